/* The chain, and who calls it. */
#include <pump.h>

DEFINE_MUTEX(pipe_lock);
DEFINE_MUTEX(valve_lock);
static BLOCKING_NOTIFIER_HEAD(pump_list);
static BLOCKING_NOTIFIER_HEAD(other_list);

int register_pump_notifier(struct notifier_block *nb)
{
	return blocking_notifier_chain_register(&pump_list, nb);
}

int register_other_notifier(struct notifier_block *nb)
{
	return blocking_notifier_chain_register(&other_list, nb);
}

void pump_pressure(void)
{
	blocking_notifier_call_chain(&pump_list, 0, NULL);
	blocking_notifier_call_chain(&other_list, 0, NULL);
}

/* Asks once the chain has been left. */
void pump_idle(struct pump *pump)
{
	pump->level = pump_ask(pump);
}
