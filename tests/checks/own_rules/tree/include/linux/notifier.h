/* Miniature of our own: the four kinds of chain. */
#ifndef MINI_NOTIFIER_H
#define MINI_NOTIFIER_H

#include <linux/lock.h>

#define NOTIFY_DONE 0x0000
#define NOTIFY_OK 0x0001
#define NOTIFY_BAD 0x8002

struct notifier_block;
typedef int (*notifier_fn_t)(struct notifier_block *nb, unsigned long action, void *data);

struct notifier_block {
	notifier_fn_t notifier_call;
	struct notifier_block *next;
	int priority;
};

struct blocking_notifier_head {
	struct rw_semaphore rwsem;
	struct notifier_block *head;
};
struct atomic_notifier_head {
	spinlock_t lock;
	struct notifier_block *head;
};
struct raw_notifier_head {
	struct notifier_block *head;
};
struct srcu_notifier_head {
	struct mutex mutex;
	struct notifier_block *head;
};

#define BLOCKING_NOTIFIER_HEAD(name) struct blocking_notifier_head name = { { 0 }, NULL }
#define ATOMIC_NOTIFIER_HEAD(name) struct atomic_notifier_head name = { { 0 }, NULL }
#define RAW_NOTIFIER_HEAD(name) struct raw_notifier_head name = { NULL }
#define BLOCKING_INIT_NOTIFIER_HEAD(list) ((list)->head = NULL)
void srcu_init_notifier_head(struct srcu_notifier_head *list);

int blocking_notifier_chain_register(struct blocking_notifier_head *list, struct notifier_block *nb);
int blocking_notifier_chain_unregister(struct blocking_notifier_head *list, struct notifier_block *nb);
int blocking_notifier_call_chain(struct blocking_notifier_head *list, unsigned long action, void *data);
int atomic_notifier_chain_register(struct atomic_notifier_head *list, struct notifier_block *nb);
int atomic_notifier_call_chain(struct atomic_notifier_head *list, unsigned long action, void *data);
int raw_notifier_chain_register(struct raw_notifier_head *list, struct notifier_block *nb);
int raw_notifier_call_chain(struct raw_notifier_head *list, unsigned long action, void *data);
int srcu_notifier_chain_register(struct srcu_notifier_head *list, struct notifier_block *nb);
int srcu_notifier_call_chain(struct srcu_notifier_head *list, unsigned long action, void *data);
int notifier_from_errno(int error);

#endif
