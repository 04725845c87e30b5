/* Miniature of our own: locks by their kernel names. */
#ifndef MINI_LOCK_H
#define MINI_LOCK_H

#include <linux/kernel.h>

struct mutex {
	int owner;
};
struct rw_semaphore {
	long count;
};
struct semaphore {
	unsigned int count;
};
typedef struct {
	int value;
} spinlock_t;

#define DEFINE_MUTEX(name) struct mutex name = { 0 }
#define DEFINE_SPINLOCK(name) spinlock_t name = { 0 }
#define DECLARE_RWSEM(name) struct rw_semaphore name = { 0 }
#define DEFINE_SEMAPHORE(name) struct semaphore name = { 1 }

void mutex_init(struct mutex *lock);
void mutex_lock(struct mutex *lock);
void mutex_lock_nested(struct mutex *lock, unsigned int subclass);
int mutex_lock_killable(struct mutex *lock);
int mutex_lock_interruptible(struct mutex *lock);
int mutex_trylock(struct mutex *lock);
void mutex_unlock(struct mutex *lock);

enum mutex_trylock_recursive_enum {
	MUTEX_TRYLOCK_FAILED,
	MUTEX_TRYLOCK_SUCCESS,
	MUTEX_TRYLOCK_RECURSIVE,
};
enum mutex_trylock_recursive_enum mutex_trylock_recursive(struct mutex *lock);

void spin_lock_init(spinlock_t *lock);
void spin_lock(spinlock_t *lock);
int spin_trylock(spinlock_t *lock);
void spin_unlock(spinlock_t *lock);
void mini_irq_save(spinlock_t *lock, unsigned long *flags);
void mini_irq_restore(spinlock_t *lock, unsigned long flags);
#define spin_lock_irqsave(lock, flags) mini_irq_save(lock, &(flags))
#define spin_unlock_irqrestore(lock, flags) mini_irq_restore(lock, flags)

void down_read(struct rw_semaphore *sem);
int down_read_trylock(struct rw_semaphore *sem);
void up_read(struct rw_semaphore *sem);
void down_write(struct rw_semaphore *sem);
int down_write_trylock(struct rw_semaphore *sem);
int down_write_killable(struct rw_semaphore *sem);
void up_write(struct rw_semaphore *sem);

int down_interruptible(struct semaphore *sem);
int down_trylock(struct semaphore *sem);
void down(struct semaphore *sem);
void up(struct semaphore *sem);

void preempt_disable(void);
void preempt_enable(void);

#endif
