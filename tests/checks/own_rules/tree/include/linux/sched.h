/* Miniature of our own: waiting, work, timers, calls on other CPUs. */
#ifndef MINI_SCHED_H
#define MINI_SCHED_H

#include <linux/lock.h>

#define HZ 100
extern unsigned long jiffies;

typedef struct wait_queue_head {
	spinlock_t lock;
	struct list_head head;
} wait_queue_head_t;

#define DECLARE_WAIT_QUEUE_HEAD(name) wait_queue_head_t name = { { 0 }, { NULL, NULL } }
void init_waitqueue_head(wait_queue_head_t *wq);
void wake_up(wait_queue_head_t *wq);
void mini_sleep_on(wait_queue_head_t *wq);
#define wait_event(wq, condition)                                               \
	do {                                                                    \
		while (!(condition))                                            \
			mini_sleep_on(&(wq));                                   \
	} while (0)

struct completion {
	unsigned int done;
	wait_queue_head_t wait;
};
void init_completion(struct completion *c);
void wait_for_completion(struct completion *c);
void complete(struct completion *c);

struct work_struct {
	void (*func)(struct work_struct *work);
};
#define DECLARE_WORK(name, function) struct work_struct name = { .func = (function) }
#define INIT_WORK(work, function) ((work)->func = (function))
bool schedule_work(struct work_struct *work);
bool flush_work(struct work_struct *work);

struct timer_list {
	void (*function)(struct timer_list *timer);
	unsigned long expires;
};
#define DEFINE_TIMER(name, handler) struct timer_list name = { .function = (handler) }
int mod_timer(struct timer_list *timer, unsigned long expires);

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));

int smp_call_function_single(int cpu, void (*func)(void *info), void *info, int wait);
extern int nr_cpu_ids;
#define for_each_online_cpu(cpu) for ((cpu) = 0; (cpu) < nr_cpu_ids; (cpu)++)

void msleep(unsigned int ms);
long schedule_timeout_uninterruptible(long ticks);
bool need_resched(void);
void cpu_relax(void);
void cond_resched(void);

#endif
