/* Miniature of our own: the words that the examples need, and no more. */
#ifndef MINI_KERNEL_H
#define MINI_KERNEL_H

#define NULL ((void *)0)
#define true 1
#define false 0
typedef _Bool bool;
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned int gfp_t;
typedef unsigned long size_t;
typedef long ssize_t;
typedef long long loff_t;

#define __init
#define __exit
#define __user
#define __force
#define THIS_MODULE NULL
#define EXPORT_SYMBOL_GPL(symbol) extern int mini_export_##symbol
#define module_init(function) extern int mini_init_##function
#define early_initcall(function) extern int mini_early_##function

enum { EPERM = 1, EINTR = 4, EIO = 5, EAGAIN = 11, ENOMEM = 12, EBUSY = 16, EINVAL = 22 };

#define container_of(p, type, field) ((type *)((char *)(p) - __builtin_offsetof(type, field)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define READ_ONCE(object) (*(volatile __typeof__(object) *)&(object))
#define WRITE_ONCE(object, v) (*(volatile __typeof__(object) *)&(object) = (v))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

int printk(const char *format, ...);
#define pr_info(...) printk(__VA_ARGS__)
#define pr_err(...) printk(__VA_ARGS__)
int snprintf(char *to, size_t room, const char *format, ...);
void *memset(void *at, int byte, size_t n);
void *memcpy(void *to, const void *from, size_t n);

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD(name) struct list_head name = { &(name), &(name) }
void INIT_LIST_HEAD(struct list_head *head);
void list_add(struct list_head *entry, struct list_head *head);
void list_add_tail(struct list_head *entry, struct list_head *head);
void list_del(struct list_head *entry);
int list_empty(const struct list_head *head);
#define list_first_entry(head, type, field) container_of((head)->next, type, field)
#define list_for_each_entry(p, head, field)                                     \
	for (p = container_of((head)->next, __typeof__(*p), field);             \
	     &p->field != (head);                                               \
	     p = container_of(p->field.next, __typeof__(*p), field))

#endif
