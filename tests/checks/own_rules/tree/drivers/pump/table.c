/* Operations of a table, jobs of a worker, a function by its name. */
#include <pump.h>

static void *page_for(gfp_t flags)
{
	return kmalloc(4096, flags);
}

static void deep_flush(struct pump *pump)
{
	kfree(page_for(GFP_KERNEL)); /* expect: pump-flush-without-reclaim high "allocates by kmalloc() with GFP_KERNEL, by page_for" */
}

static void light_flush(struct pump *pump)
{
	kfree(page_for(GFP_NOWAIT)); /* quiet: pump-flush-without-reclaim - no direct reclaim */
	kfree(page_for(GFP_KERNEL | __GFP_NORETRY)); /* quiet: pump-flush-without-reclaim - gives up early */
}

static void deep_fill(struct pump *pump)
{
	kfree(page_for(GFP_KERNEL)); /* quiet: pump-flush-without-reclaim - another operation */
}

const struct pump_ops deep_ops = { .flush = deep_flush, .fill = deep_fill };
const struct pump_ops light_ops = { .flush = light_flush };

static void waiting_job(struct work_struct *work)
{
	struct pump *pump = container_of(work, struct pump, work);

	wait_for_completion(&pump->dry); /* expect: pump-work-waits-for-none high "waiting_job, run by INIT_WORK() as work, waits in wait_for_completion()" */
}

static void short_job(struct work_struct *work)
{
	complete(&container_of(work, struct pump, work)->dry); /* quiet: pump-work-waits-for-none - it wakes, it does not wait */
}

void pump_setup(struct pump *pump, struct pump *second)
{
	INIT_WORK(&pump->work, waiting_job);
	INIT_WORK(&second->work, short_job);
	wait_for_completion(&pump->dry); /* quiet: pump-work-waits-for-none - no work item */
}

static void settle(struct pump *pump, int how)
{
	if (how > 1)
		pump_start(pump);
}

void pump_reset(struct pump *pump)
{
	settle(pump, 0); /* quiet: pump-reset-is-quiet - only from 2 on */
	settle(pump, 2); /* expect: pump-reset-is-quiet warning high "calls pump_start(), by settle" */
}
