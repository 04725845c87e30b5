"""The lock graph: exact orders, with the place where the second lock is taken and how."""

from __future__ import annotations

from collections.abc import Callable

from reviewer.program.linked.link import Program
from reviewer.program.views.lockgraph import graph

Make = Callable[..., Program]


def orders(program: Program, start: str | None) -> set[tuple[str, str, str]]:
    """(held, taken, how) of every edge, files left out."""
    found = graph(program, start).edges.values()
    return {(e.source.rpartition(":")[2], e.target.rpartition(":")[2], e.how) for e in found}


def test_around_the_oom_killer(oom: Program) -> None:
    below = {
        ("cmm_lock", "lock"),
        ("struct virtio_balloon.balloon_lock", "lock"),
        ("struct drm_device.struct_mutex", "trylock"),
    }
    assert orders(oom, None) == {
        ("oom_lock", "oom_notify_list.rwsem", "lock"),
        *(("oom_lock", *order) for order in below),
        *(("oom_notify_list.rwsem", *order) for order in below),
    }


def test_an_edge_has_its_witness(oom: Program) -> None:
    found = graph(oom, None)
    edge = found.edges["oom_lock", "struct virtio_balloon.balloon_lock", "lock"]
    assert (edge.function, edge.file, edge.line) == ("leak_balloon", "drivers/virtio/virtio_balloon.c", 58)
    assert (edge.mode, edge.doubt) == ("exclusive", 0)
    assert found.edges["oom_lock", "mm/oom_kill.c:oom_notify_list.rwsem", "lock"].mode == "shared"
    node = found.nodes["struct virtio_balloon.balloon_lock"]
    assert (node.file, node.line) == ("drivers/virtio/virtio_balloon.c", 11)


ORDER = """
#include <linux/demo.h>
struct pump { struct mutex lock; spinlock_t queue; };
static DEFINE_MUTEX(a);
static DEFINE_MUTEX(b);
static void take(struct mutex *m) { mutex_lock(m); mutex_unlock(m); }
static void below(struct pump *p) { spin_lock(&p->queue); spin_unlock(&p->queue); }
"""


def test_what_a_callee_takes_counts_at_the_call(program_of: Make) -> None:
    text = ORDER + "void f(struct pump *p) { mutex_lock(&p->lock); below(p); mutex_unlock(&p->lock); }\n"
    assert orders(program_of(text), "f") == {("struct pump.lock", "struct pump.queue", "lock")}


def test_a_lock_that_is_an_argument_gets_the_callers_name(program_of: Make) -> None:
    text = ORDER + "void f(void) { mutex_lock(&a); take(&b); mutex_unlock(&a); }\n"
    assert orders(program_of(text), "f") == {("a", "b", "lock")}


def test_a_lock_that_was_given_back_makes_no_order(program_of: Make) -> None:
    text = ORDER + "void f(void) { mutex_lock(&a); mutex_unlock(&a); take(&b); }\n"
    assert orders(program_of(text), "f") == set()


def test_a_callee_that_lets_the_lock_go_makes_no_order(program_of: Make) -> None:
    text = ORDER + """
static void swap(void) { mutex_unlock(&a); take(&b); mutex_lock(&a); }
void f(void) { mutex_lock(&a); swap(); mutex_unlock(&a); }
"""
    assert orders(program_of(text), "f") == set()


def test_a_trylock_is_marked_and_a_failed_one_makes_no_order(program_of: Make) -> None:
    text = ORDER + """
void f(void)
{
	mutex_lock(&a);
	if (mutex_trylock(&b))
		mutex_unlock(&b);
	mutex_unlock(&a);
}
void g(struct pump *p)
{
	if (!mutex_trylock(&a)) {
		below(p);
		return;
	}
	mutex_unlock(&a);
}
"""
    program = program_of(text)
    assert orders(program, "f") == {("a", "b", "trylock")}
    assert orders(program, "g") == set()


def test_held_on_some_paths_is_less_certain(program_of: Make) -> None:
    text = ORDER + """
void f(int flag)
{
	if (flag)
		mutex_lock(&a);
	take(&b);
	if (flag)
		mutex_unlock(&a);
}
"""
    found = graph(program_of(text), "f").edges.values()
    assert [(e.source, e.doubt) for e in found] == [("drivers/pump.c:a", 1)]


def test_work_that_is_queued_runs_without_the_callers_locks(program_of: Make) -> None:
    text = ORDER + """
static void job(struct work_struct *work) { take(&b); }
static DECLARE_WORK(item, job);
void f(void) { mutex_lock(&a); schedule_work(&item); mutex_unlock(&a); }
"""
    assert orders(program_of(text), "f") == set()


def test_contexts_are_no_locks_to_wait_for(program_of: Make) -> None:
    text = ORDER + "void f(void) { rcu_read_lock(); take(&a); rcu_read_unlock(); preempt_disable(); preempt_enable(); }\n"
    assert orders(program_of(text), "f") == set()
