"""What relies on a lock that it does not take itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reviewer.errors import InputError
from reviewer.program.linked.link import Program
from reviewer.program.views.reliance import relies_on

Make = Callable[..., Program]


def reliers(program: Program, lock: str) -> set[tuple[str, str, str]]:
    return {(r.kind, r.name, r.file) for r in relies_on(program, lock).reliers}


def test_what_relies_on_the_oom_killers_lock(oom: Program) -> None:
    assert reliers(oom, "oom_lock") == {
        ("object", "oom_callback_count", "kernel/rcu/tree_plugin.h"),
        ("callback", "rcu_oom_notify", "kernel/rcu/tree_plugin.h"),
        ("callback", "virtballoon_oom_notify", "drivers/virtio/virtio_balloon.c"),
        ("callback", "cmm_oom_notify", "arch/s390/mm/cmm.c"),
        ("callback", "cmm_oom_notify", "arch/powerpc/platforms/pseries/cmm.c"),
    }


def test_every_place_that_takes_it(oom: Program) -> None:
    assert [(t.func.name, t.hold.taken, t.line) for t in relies_on(oom, "oom_lock").taken] == [
        ("moom_callback", "lock", 10),
        ("mem_cgroup_out_of_memory", "lock", 14),
        ("pagefault_out_of_memory", "trylock", 48),
        ("__alloc_pages_may_oom", "trylock", 16),
    ]


def test_the_proof_shows_the_lock_then_the_access_then_who_counts(oom: Program) -> None:
    found = next(r for r in relies_on(oom, "oom_lock").reliers if r.kind == "object")
    kinds = [p.kind for p in found.proof]
    assert kinds.index("acquire") < kinds.index("call") < kinds.index("access")
    reset = next(p for p in found.proof if p.kind == "access" and p.line == 35)
    assert reset.held == ("oom_lock",)
    assert {p.function for p in found.proof if p.kind == "access"} == {
        "rcu_oom_notify",
        "rcu_oom_callback",
        "rcu_oom_post",
    }
    assert not found.partial


COUNT = """
#include <linux/demo.h>
static DEFINE_MUTEX(big);
static DEFINE_MUTEX(own);
static int count;
static void add(void) { count++; }
void f(void) { mutex_lock(&big); add(); mutex_unlock(&big); }
void g(void) { mutex_lock(&big); add(); mutex_unlock(&big); }
"""


def test_a_count_under_its_callers_lock_relies_on_it(program_of: Make) -> None:
    assert reliers(program_of(COUNT), "drivers/pump.c:big") == {("object", "count", "drivers/pump.c")}
    assert reliers(program_of(COUNT), "big") == {("object", "count", "drivers/pump.c")}


@pytest.mark.parametrize(
    "text",
    [
        COUNT.replace("{ count++; }", "{ mutex_lock(&own); count++; mutex_unlock(&own); }"),
        COUNT + "void h(void) { add(); }\n",
        COUNT + "void h(void) { count++; }\n",
        COUNT.replace("static int count", "static atomic_t count").replace("count++", "atomic_inc(&count)"),
        COUNT.replace("add();", "").replace("count++", "mutex_lock(&big); count++; mutex_unlock(&big)"),
        COUNT.replace("count++", "count = 1"),
        COUNT.replace("mutex_lock(&big)", "smp_mb()").replace("mutex_unlock(&big)", "smp_mb()"),
    ],
    ids=["own lock", "caller without", "access without", "atomic", "takes it itself", "only ever stored", "nobody holds it"],
)
def test_what_does_not_rely_on_it(program_of: Make, text: str) -> None:
    assert reliers(program_of(text), "big") == set()


def test_a_lockless_reader_lowers_the_confidence(program_of: Make) -> None:
    text = COUNT + "int show(void) { return count; }\nvoid use(void) { int seen = count; log_it(seen); }\n"
    found = relies_on(program_of(text), "big").reliers
    assert [(r.name, r.partial) for r in found] == [("count", True)]


CALLBACK = """
#include <linux/demo.h>
static DEFINE_MUTEX(big);
static DEFINE_SPINLOCK(own);
static BLOCKING_NOTIFIER_HEAD(pump_list);
static int level;
static int pump_cb(struct notifier_block *nb, unsigned long action, void *data)
{
	BODY
	return 0;
}
static struct notifier_block pump_nb = { .notifier_call = pump_cb };
int probe(void) { return blocking_notifier_chain_register(&pump_list, &pump_nb); }
void run(void)
{
	mutex_lock(&big);
	blocking_notifier_call_chain(&pump_list, 0, NULL);
	mutex_unlock(&big);
}
void set(int to) { spin_lock(&own); level = to; spin_unlock(&own); }
"""


@pytest.mark.parametrize(
    "body", ["level = level / 2;", "spin_lock(&own); level--; spin_unlock(&own); report(level);"], ids=["bare", "reads after"]
)
def test_a_callback_that_needs_its_callers_one_at_a_time(program_of: Make, body: str) -> None:
    found = relies_on(program_of(CALLBACK.replace("BODY", body)), "big").reliers
    assert [(r.kind, r.name) for r in found] == [("callback", "pump_cb")]
    assert [(e.caller.func.name, e.line) for e in found[0].called] == [("run", 17)]


@pytest.mark.parametrize(
    "body",
    ["spin_lock(&own); level--; spin_unlock(&own);", "if (test_and_set_bit(0, &busy)) return 0; level = level / 2;", ""],
    ids=["own lock", "gate", "nothing"],
)
def test_a_callback_that_does_not(program_of: Make, body: str) -> None:
    assert relies_on(program_of(CALLBACK.replace("BODY", body)), "big").reliers == []


def test_takers_through_a_wrapper(program_of: Make) -> None:
    text = """
static DEFINE_MUTEX(big);
static int count;
static void add(void) { count++; }
void big_lock(void) { mutex_lock(&big); }
void big_unlock(void) { mutex_unlock(&big); }
void f(void) { big_lock(); add(); big_unlock(); }
"""
    found = relies_on(program_of(text), "big")
    assert [(t.func.name, t.line) for t in found.taken] == [("big_lock", 5), ("f", 7)]
    assert [r.name for r in found.reliers] == ["count"]


def test_locks_that_are_not_there(oom: Program, program_of: Make) -> None:
    with pytest.raises(InputError, match="the tree has no lock no_lock; write it as reports do"):
        relies_on(oom, "no_lock")
    with pytest.raises(InputError, match=r"did you mean struct virtio_balloon\.balloon_lock\?"):
        relies_on(oom, "struct virtio_balloon.balloon_lok")
    with pytest.raises(InputError, match=r"a static of several files; name one: arch/powerpc/.*cmm_lock, arch/s390/"):
        relies_on(oom, "cmm_lock")
