/* Callbacks of the chain. */
#include <pump.h>

static int refresh(struct pump *pump, bool ask)
{
	if (ask)
		return pump_ask(pump);
	return pump->level;
}

static int eager_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct pump *pump = container_of(nb, struct pump, nb);

	return refresh(pump, true) ? NOTIFY_OK : NOTIFY_DONE; /* expect: pump-chain-asks-nobody high "eager_notify, a callback of pump_list, calls pump_ask(), by refresh" */
}

static int calm_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct pump *pump = container_of(nb, struct pump, nb);

	pump_idle(pump); /* quiet: pump-chain-asks-nobody - pump_idle is allowed to */
	return refresh(pump, false) ? NOTIFY_OK : NOTIFY_DONE; /* quiet: pump-chain-asks-nobody - the constant rules it out */
}

static int nosy_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	return pump_query_level(container_of(nb, struct pump, nb)); /* expect: pump-chain-asks-nobody high "pump_query_level()" */
}

static int plumber_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	mutex_lock(&pipe_lock); /* expect: pump-chain-leaves-the-pipe high "waits for pipe_lock by mutex_lock()" */
	mutex_unlock(&pipe_lock);
	return NOTIFY_OK;
}

static int careful_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	mutex_lock(&valve_lock);
	mutex_lock(&pipe_lock); /* quiet: pump-chain-leaves-the-pipe - under valve_lock */
	mutex_unlock(&pipe_lock);
	mutex_unlock(&valve_lock);
	if (mutex_trylock(&pipe_lock)) /* quiet: pump-chain-leaves-the-pipe - a trylock waits for nobody */
		mutex_unlock(&pipe_lock);
	return NOTIFY_OK;
}

static int hungry_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	kfree(kmalloc(64, GFP_KERNEL)); /* expect: pump-needs-reclaim warning high "kmalloc()" */ /* also: callback-needs-reclaim - the rule it is like */
	return NOTIFY_OK;
}

static int other_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	kfree(kmalloc(64, GFP_KERNEL)); /* quiet: pump-needs-reclaim - another chain */
	return pump_query_level(container_of(nb, struct pump, nb)); /* quiet: pump-chain-asks-nobody - another chain */
}

static struct notifier_block eager = { .notifier_call = eager_notify };
static struct notifier_block calm = { .notifier_call = calm_notify };
static struct notifier_block nosy = { .notifier_call = nosy_notify };
static struct notifier_block plumber = { .notifier_call = plumber_notify };
static struct notifier_block careful = { .notifier_call = careful_notify };
static struct notifier_block hungry = { .notifier_call = hungry_notify };
static struct notifier_block other = { .notifier_call = other_notify };

int register_other_notifier(struct notifier_block *nb);

int pumps_init(void)
{
	register_pump_notifier(&eager);
	register_pump_notifier(&calm);
	register_pump_notifier(&nosy);
	register_pump_notifier(&plumber);
	register_pump_notifier(&careful);
	register_pump_notifier(&hungry);
	return register_other_notifier(&other);
}
