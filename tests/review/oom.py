"""The OOM notifier chain moved out of oom_lock, in the ways in which that can go wrong: patches of our own text."""

from __future__ import annotations

from kernels import Edit, Patch, instead

OOM, ALLOC, HEADER = "mm/oom_kill.c", "mm/page_alloc.c", "include/linux/oom.h"
PLUGIN, BALLOON, CCW = "kernel/rcu/tree_plugin.h", "drivers/virtio/virtio_balloon.c", "drivers/s390/virtio/virtio_ccw.c"
POWERPC, S390 = "arch/powerpc/platforms/pseries/cmm.c", "arch/s390/mm/cmm.c"

FRONT = """
struct page *__alloc_pages_nodemask(gfp_t gfp, unsigned int order)
{
	struct page *found = get_page_from_freelist(gfp, order);

	return found ? found : __alloc_pages_slowpath(gfp, order);
}
"""
"""What everybody calls, and the models know to allocate; the miniature has none."""

CHAIN_CALL = """	if (!is_memcg_oom(control)) {
		blocking_notifier_call_chain(&oom_notify_list, 0, &pages);
		if (pages)
			return true;
	}
"""

BEFORE_TRYLOCK = instead(
    (
        "	*did_some_progress = 0;\n",
        "	*did_some_progress = 0;\n	if (try_oom_notifier()) {\n"
        "		*did_some_progress = 1;\n		return NULL;\n	}\n",
    )
)


def moved_out(function: str) -> dict[str, Edit | str | None]:
    """out_of_memory() no longer calls the chain; a function of its own does, which the allocator calls before the trylock."""
    out = instead(
        ("	unsigned long pages = 0;\n\n" + CHAIN_CALL, ""),
        ("static inline bool is_memcg_oom", function + "\nstatic inline bool is_memcg_oom"),
        ("	return kill_somebody(control);", "	return is_memcg_oom(control) ? false : kill_somebody(control);"),
    )
    declared = instead(("bool out_of_memory(", "unsigned long try_oom_notifier(void);\nbool out_of_memory("))
    return {OOM: out, ALLOC: BEFORE_TRYLOCK, HEADER: declared}


OWN_MUTEX = """unsigned long try_oom_notifier(void)
{
	static DEFINE_MUTEX(oom_notifier_lock);
	unsigned long pages = 0;

	if (mutex_lock_killable(&oom_notifier_lock))
		return 1;
	blocking_notifier_call_chain(&oom_notify_list, 0, &pages);
	mutex_unlock(&oom_notifier_lock);
	return pages;
}
"""

NO_MUTEX = """unsigned long try_oom_notifier(void)
{
	unsigned long pages = 0;

	blocking_notifier_call_chain(&oom_notify_list, 0, &pages);
	return pages;
}
"""

LAST_RESULT = """unsigned long try_oom_notifier(void)
{
	static DEFINE_MUTEX(oom_notifier_lock);
	static unsigned long last_pages;
	unsigned long pages = 0;

	if (!mutex_trylock(&oom_notifier_lock)) {
		mutex_lock(&oom_notifier_lock);
		pages = last_pages;
		mutex_unlock(&oom_notifier_lock);
		return pages;
	}
	blocking_notifier_call_chain(&oom_notify_list, 0, &pages);
	last_pages = pages;
	mutex_unlock(&oom_notifier_lock);
	return pages;
}
"""

HALVES = """unsigned long try_oom_notifier(void)
{
	static DEFINE_MUTEX(oom_notifier_lock);
	static unsigned long pages;
	unsigned long found = 0;

	if (mutex_lock_killable(&oom_notifier_lock)) {
		pages /= 2;
		return pages;
	}
	blocking_notifier_call_chain(&oom_notify_list, 0, &found);
	pages = found;
	mutex_unlock(&oom_notifier_lock);
	return found;
}
"""

READ_KILLABLE_CALL = """\
int blocking_notifier_call_chain_killable(struct blocking_notifier_head *list, unsigned long action, void *data)
{
	int answer;

	if (down_read_killable(&list->rwsem))
		return -EINTR;
	answer = notifier_call_chain(&list->head, action, data);
	up_read(&list->rwsem);
	return answer;
}
"""

WALK = """#include <linux/notifier.h>

static int notifier_call_chain(struct notifier_block **list, unsigned long action, void *data)
{
	struct notifier_block *at;
	int answer = NOTIFY_DONE;

	for (at = *list; at; at = at->next)
		answer = at->notifier_call(at, action, data);
	return answer;
}

"""


def own_mutex(subject: str = "mm,oom: a mutex of its own for the notifiers") -> Patch:
    return Patch(moved_out(OWN_MUTEX), subject)


def no_mutex() -> Patch:
    return Patch(moved_out(NO_MUTEX), "mm,oom: call the notifiers outside of oom_lock")


def read_killable(itself: bool = False) -> Patch:
    """:param itself: the new function walks the list itself rather than handing it on."""
    edits = moved_out(NO_MUTEX.replace("call_chain(", "call_chain_killable("))
    call = READ_KILLABLE_CALL
    if itself:
        call = call.replace("	int answer;\n", "	struct notifier_block *at;\n	int answer = NOTIFY_DONE;\n")
        walk = "	for (at = list->head; at; at = at->next)\n		answer = at->notifier_call(at, action, data);\n"
        call = call.replace("	answer = notifier_call_chain(&list->head, action, data);\n", walk)
    edits["kernel/notifier.c"] = WALK + call
    head = READ_KILLABLE_CALL.partition("\n")[0] + ";\n"
    edits["include/linux/notifier.h"] = instead(
        ("int atomic_notifier_chain_register(", head + "int atomic_notifier_chain_register(")
    )
    edits["include/linux/lock.h"] = instead(
        ("int down_read_trylock(", "int down_read_killable(struct rw_semaphore *sem);\nint down_read_trylock(")
    )
    return Patch(edits, "kernel/notifier: a killable call of a blocking chain")


def last_result() -> Patch:
    return Patch(moved_out(LAST_RESULT), "mm,oom: one caller runs the notifiers, the others take its result")


def halves() -> Patch:
    return Patch(moved_out(HALVES), "mm,oom: halve the result for who is killed")


def relative_count() -> Patch:
    """The counter is raised rather than set."""
    edit = instead(("atomic_set(&oom_callback_count, 1);", "atomic_inc(&oom_callback_count);"))
    return Patch({PLUGIN: edit}, "rcu: count relative to what is there")


DEEP = """
static void balloon_note(struct virtio_balloon *balloon, unsigned int given)
{
	unsigned int *note = kmalloc(sizeof(*note), MASK);

	if (note)
		*note = given;
	kfree(note);
}

static void balloon_tell(struct virtio_balloon *balloon, unsigned int given)
{
	balloon_note(balloon, given);
}

static int virtballoon_oom_notify("""


def allocates(mask: str, around: tuple[str, str] = ("", "")) -> Patch:
    """The balloon's callback allocates two calls deep."""
    before, after = around
    edit = instead(
        ("\nstatic int virtballoon_oom_notify(", DEEP.replace("MASK", mask)),
        ("	*pages += given;\n", f"{before}	balloon_tell(balloon, given);\n{after}	*pages += given;\n"),
    )
    return Patch({BALLOON: edit}, "virtio_balloon: note what was given")


NORECLAIM = ("	unsigned int saved = memalloc_noreclaim_save();\n", "	memalloc_noreclaim_restore(saved);\n")


def shares_a_mutex(mask: str) -> Patch:
    """powerpc's callback takes a mutex that another path holds while it allocates."""
    edit = instead(
        ("static long cmm_alloc_pages(", f"""static DEFINE_MUTEX(cmm_report_lock);
static unsigned long *cmm_report;

int cmm_make_report(void)
{{
	mutex_lock(&cmm_report_lock);
	cmm_report = kmalloc(sizeof(*cmm_report), {mask});
	mutex_unlock(&cmm_report_lock);
	return cmm_report ? 0 : -ENOMEM;
}}

static long cmm_alloc_pages("""),
        ("	*pages += wanted - left;\n", """	*pages += wanted - left;
	mutex_lock(&cmm_report_lock);
	if (cmm_report)
		*cmm_report = left;
	mutex_unlock(&cmm_report_lock);
"""),
    )  # fmt: skip
    return Patch({POWERPC: edit}, "powerpc/cmm: a report of what is left")
