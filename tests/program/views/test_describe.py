"""Contexts: who calls a function, holding what, in which context, and what serialises it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reviewer.errors import InputError
from reviewer.program.linked.link import Program
from reviewer.program.views.describe import Description, describe

Make = Callable[..., Program]


def one(program: Program, name: str) -> Description:
    found = describe(program, name)
    assert len(found) == 1
    return found[0]


def must(found: Description) -> set[tuple[str, str, str]]:
    return {(h.name, h.mode, h.taken) for h in found.bottom.must}


def callers(found: Description) -> dict[str, str]:
    return {way.site.caller.name: way.site.how for way in found.ways}


def test_a_callback_is_called_by_who_calls_its_chain(oom: Program) -> None:
    found = one(oom, "rcu_oom_notify")
    chain = "mm/oom_kill.c:oom_notify_list"
    assert callers(found) == {"out_of_memory": f"chain {chain}"}
    assert must(found) == {("oom_lock", "exclusive", "lock"), (f"{chain}.rwsem", "shared", "lock")}
    assert found.serialiser is not None
    assert found.serialiser.name == "oom_lock"
    assert {(t.func.name, t.hold.taken, t.line) for t in found.takers} == {
        ("__alloc_pages_may_oom", "trylock", 16),
        ("pagefault_out_of_memory", "trylock", 48),
        ("moom_callback", "lock", 10),
        ("mem_cgroup_out_of_memory", "lock", 14),
    }
    assert [(r.how, r.by, r.function) for r in found.roots] == [
        (f"chain {chain}", "register_oom_notifier", "rcu_oom_setup")
    ]
    assert found.bottom.in_reclaim
    assert not found.partial
    assert [(p.kind, p.function) for p in found.proof if p.line in (16, 22)] == [
        ("acquire", "__alloc_pages_may_oom"),
        ("call", "__alloc_pages_may_oom"),
    ]


def test_a_call_on_another_cpu_runs_in_interrupt(oom: Program) -> None:
    found = one(oom, "rcu_oom_notify_cpu")
    assert callers(found) == {"rcu_oom_notify": "smp_call_function_single"}
    assert found.bottom.irq == "hardirq"
    assert found.serialiser is not None  # the caller waits, with the lock held


def test_every_definition_of_a_name_has_its_answer(oom: Program) -> None:
    assert [d.func.path for d in describe(oom, "cmm_oom_notify")] == [
        "arch/powerpc/platforms/pseries/cmm.c",
        "arch/s390/mm/cmm.c",
    ]
    assert one(oom, "arch/s390/mm/cmm.c:cmm_oom_notify").func.path == "arch/s390/mm/cmm.c"


def test_roots_by_the_models(oom: Program) -> None:
    work = one(oom, "moom_callback")
    assert [(r.how, r.by, r.function, r.line) for r in work.roots] == [("work", "DECLARE_WORK", "", 16)]
    assert work.serialiser is None
    assert work.bottom.irq == "task"
    timer = one(oom, "cmm_timer_fn")
    assert [r.how for r in timer.roots] == ["timer"]
    assert timer.bottom.irq == "softirq"


def test_an_unknown_function_is_an_input_error(oom: Program) -> None:
    with pytest.raises(InputError, match="does not define a function no_such"):
        describe(oom, "no_such")


LEVELS = """
#include <linux/demo.h>
static DEFINE_MUTEX(outer);
static DEFINE_MUTEX(inner);
static void leaf(void) { }
static void one(void) { mutex_lock(&inner); leaf(); mutex_unlock(&inner); }
static void two(void) { leaf(); }
void first(void) { mutex_lock(&outer); one(); two(); mutex_unlock(&outer); }
void second(void) { mutex_lock(&outer); two(); mutex_unlock(&outer); }
"""


def test_the_search_goes_up_until_a_common_lock_is_known(program_of: Make) -> None:
    found = one(program_of(LEVELS), "leaf")
    assert must(found) == {("drivers/pump.c:outer", "exclusive", "lock")}
    assert {h.name for h in found.bottom.may} == {"drivers/pump.c:inner"}
    assert not found.partial


def test_a_lock_that_one_caller_lacks_serialises_nothing(program_of: Make) -> None:
    found = one(program_of(LEVELS + "void third(void) { two(); }\n"), "leaf")
    assert found.serialiser is None
    assert [p.function for p in found.proof if p.kind == "call"]


def test_a_lock_that_is_dropped_on_the_way_is_not_held(program_of: Make) -> None:
    text = LEVELS.replace("{ leaf(); }", "{ mutex_unlock(&outer); leaf(); mutex_lock(&outer); }")
    assert one(program_of(text), "leaf").serialiser is None


def test_a_shared_hold_is_no_serialiser(program_of: Make) -> None:
    text = """
static DECLARE_RWSEM(sem);
static void leaf(void) { }
void reader(void) { down_read(&sem); leaf(); up_read(&sem); }
void writer(void) { down_write(&sem); leaf(); up_write(&sem); }
"""
    found = one(program_of(text), "leaf")
    assert must(found) == {("drivers/pump.c:sem", "shared", "lock")}
    assert found.serialiser is None


def test_interrupts_that_are_off_here_stop_no_other_cpu(program_of: Make) -> None:
    text = """
static void leaf(void) { }
void f(void) { unsigned long flags; local_irq_save(flags); leaf(); local_irq_restore(flags); }
"""
    found = one(program_of(text), "leaf")
    assert found.serialiser is None
    assert found.bottom.irq == "atomic"


def test_on_all_cpus_at_once_nothing_serialises(program_of: Make) -> None:
    text = """
static DEFINE_MUTEX(lock);
static void everywhere(void *data) { }
static void somewhere(void *data) { }
void f(void)
{
	mutex_lock(&lock);
	on_each_cpu(everywhere, NULL, 1);
	smp_call_function_single(0, somewhere, NULL, 1);
	mutex_unlock(&lock);
}
"""
    program = program_of(text)
    assert one(program, "everywhere").serialiser is None
    assert one(program, "somewhere").serialiser is not None


def test_why_callers_are_not_all_known(program_of: Make) -> None:
    text = """
#include <linux/demo.h>
struct ops { void (*run)(void); };
static void in_table(void) { }
static void passed(void) { }
void exported(void) { }
EXPORT_SYMBOL(exported);
static const struct ops ops = { .run = in_table };
void call_it(const struct ops *o) { o->run(); }
void unknown_api(void (*f)(void));
void setup(void) { unknown_api(passed); }
static void counted(void) { }
void user(void) { counted(); exported(); }
static int known_callback(struct work_struct *work) { counted(); return 0; }
static DECLARE_WORK(job, known_callback);
"""
    program = program_of(text)
    assert one(program, "in_table").partial == ("its address is in struct ops.run",)
    assert callers(one(program, "in_table")) == {"call_it": "struct ops.run"}
    assert one(program, "exported").partial == ("EXPORT_SYMBOL(exported) in drivers/pump.c",)
    assert one(program, "passed").partial
    assert one(program, "counted").partial == ()
    assert one(program, "known_callback").partial == ()


def test_a_registration_through_a_wrapper(program_of: Make) -> None:
    text = """
#include <linux/demo.h>
static irqreturn_t handler(int irq, void *data) { return 0; }
static int demo_request(int irq, irqreturn_t (*f)(int, void *)) { return request_irq(irq, f, 0, "demo", 0); }
int probe(void) { return demo_request(7, handler); }
"""
    found = one(program_of(text), "handler")
    assert [(r.how, r.by, r.function) for r in found.roots] == [("irq", "request_irq", "demo_request")]
    assert found.bottom.irq == "hardirq"
    assert not found.partial


def test_a_call_that_a_configuration_rules_out_is_a_call(program_of: Make) -> None:
    text = """
#define DEMO_ON 0
static DEFINE_MUTEX(lock);
static void leaf(void) { }
void f(void) { mutex_lock(&lock); leaf(); mutex_unlock(&lock); }
void g(void) { if (DEMO_ON) leaf(); }
"""
    found = one(program_of(text), "leaf")
    assert set(callers(found)) == {"f", "g"}
    assert found.serialiser is None


def test_what_everybody_calls_is_cut_and_partial(program_of: Make) -> None:
    files = {f"drivers__d{n}_c": f"void f{n}(void) {{ popular(); }}\n" for n in range(60)}
    program = program_of("void popular(void) { }\n", **files)
    found = one(program, "popular")
    assert len(found.ways) == 40
    assert found.partial == ("20 of 61 files that name popular",)
    assert found.cut == found.partial


def test_a_shrinker_runs_inside_reclaim(program_of: Make) -> None:
    text = """
struct shrinker { unsigned long (*scan_objects)(struct shrinker *s); };
int register_shrinker(struct shrinker *s) { return 0; }
static unsigned long scan(struct shrinker *s) { return 0; }
static struct shrinker demo = { .scan_objects = scan };
int probe(void) { return register_shrinker(&demo); }
"""
    found = one(program_of(text), "scan")
    assert [r.how for r in found.roots] == ["shrinker"]
    assert found.bottom.in_reclaim
