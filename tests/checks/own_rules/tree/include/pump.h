/* Pumps: a chain, a table of operations, locks. */
#ifndef PUMP_H
#define PUMP_H

#include <linux/gfp.h>
#include <linux/lock.h>
#include <linux/notifier.h>
#include <linux/sched.h>

struct pump {
	struct notifier_block nb;
	struct work_struct work;
	struct completion dry;
	int level;
};

struct pump_ops {
	void (*flush)(struct pump *pump);
	void (*fill)(struct pump *pump);
};

extern struct mutex pipe_lock;
extern struct mutex valve_lock;

int register_pump_notifier(struct notifier_block *nb);
int pump_ask(struct pump *pump);
int pump_query_level(struct pump *pump);
void pump_start(struct pump *pump);
void pump_idle(struct pump *pump);

#endif
