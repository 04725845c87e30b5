/* Miniature of our own: bits chosen here, names and composites as in the kernel. */
#ifndef MINI_GFP_H
#define MINI_GFP_H

#include <linux/kernel.h>

#define ___GFP_HIGH 0x01u
#define ___GFP_IO 0x02u
#define ___GFP_FS 0x04u
#define ___GFP_NOWARN 0x08u
#define ___GFP_NORETRY 0x10u
#define ___GFP_ZERO 0x20u
#define ___GFP_DMA 0x40u
#define ___GFP_DIRECT_RECLAIM 0x80u
#define ___GFP_KSWAPD_RECLAIM 0x100u

#define __GFP_HIGH ((__force gfp_t) ___GFP_HIGH)
#define __GFP_IO ((__force gfp_t) ___GFP_IO)
#define __GFP_FS ((__force gfp_t) ___GFP_FS)
#define __GFP_NOWARN ((__force gfp_t) ___GFP_NOWARN)
#define __GFP_NORETRY ((__force gfp_t) ___GFP_NORETRY)
#define __GFP_ZERO ((__force gfp_t) ___GFP_ZERO)
#define __GFP_DMA ((__force gfp_t) ___GFP_DMA)
#define __GFP_DIRECT_RECLAIM ((__force gfp_t) ___GFP_DIRECT_RECLAIM)
#define __GFP_KSWAPD_RECLAIM ((__force gfp_t) ___GFP_KSWAPD_RECLAIM)
#define __GFP_RECLAIM (__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM)

#define GFP_ATOMIC (__GFP_HIGH | __GFP_KSWAPD_RECLAIM)
#define GFP_NOWAIT __GFP_KSWAPD_RECLAIM
#define GFP_NOIO __GFP_RECLAIM
#define GFP_NOFS (__GFP_IO | __GFP_RECLAIM)
#define GFP_KERNEL (__GFP_FS | __GFP_IO | __GFP_RECLAIM)
#define GFP_DMA (__GFP_DMA)

void *kmalloc(size_t size, gfp_t flags);
void *kzalloc(size_t size, gfp_t flags);
void kfree(const void *object);
unsigned long __get_free_page(gfp_t gfp_mask);
void free_page(unsigned long address);

unsigned int memalloc_noreclaim_save(void);
void memalloc_noreclaim_restore(unsigned int saved);

#endif
