"""What names, guards, included sources and assertions mean, where others than the program have said so of a real tree."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reviewer.parse.extract import split_arguments
from reviewer.parse.facts import Call
from reviewer.program.flow.summaries import Summaries
from reviewer.program.graph.callers import CallerSearch
from reviewer.program.graph.chains import Chains
from reviewer.program.graph.contexts import Contexts
from reviewer.program.linked.link import Program
from reviewer.program.linked.locks import lock_class
from reviewer.program.views.resolution import resolution

ProgramOf = Callable[..., Program]

HEAD = """
struct pump { spinlock_t lock; struct mutex gate; int level; struct pump *next; };
void spin_lock(spinlock_t *lock);
void spin_unlock(spinlock_t *lock);
void mutex_lock(struct mutex *lock);
void mutex_unlock(struct mutex *lock);
void work(struct pump *pump);
"""


def held_at(program: Program, function: str, callee: str, path: str = "drivers/pump.c") -> set[str]:
    """Classes of the locks held at the call of ``callee`` on every path."""
    flow = Summaries(program).flow(program.functions(path, function)[0])
    assert flow is not None
    at = [s for s in flow.seen if isinstance(s.event, Call) and getattr(s.event.callee, "id", "") == callee]
    return {h.name for h in at[0].must()}


def net(program: Program, function: str) -> list[tuple[list[str], list[str]]]:
    """What each ending takes and drops."""
    func = program.functions("drivers/pump.c", function)[0]
    frame = program.frame(func)
    outcomes = Summaries(program).of(func).outcomes
    return [([h.name for h in o.takes], [lock_class(frame, d) for d in o.drops]) for o in outcomes]


def contexts(program: Program) -> Contexts:
    summaries = Summaries(program)
    return Contexts(summaries, Chains(summaries))


@pytest.mark.parametrize(
    ("definition", "use"),
    [
        ("DEFINE_GUARD(pump, struct pump *, mutex_lock(&_T->gate), mutex_unlock(&_T->gate))", "guard(pump)(p);"),
        (
            "DEFINE_LOCK_GUARD_1(pump, struct pump,\n\t\tmutex_lock(&_T->lock->gate), mutex_unlock(&_T->lock->gate))",
            "guard(pump)(p);",
        ),
        ("DEFINE_LOCK_GUARD_0(pump, mutex_lock(&pump_gate), mutex_unlock(&pump_gate))", "guard(pump)();"),
    ],
)
def test_a_scope_guard_of_the_tree(program_of: ProgramOf, definition: str, use: str) -> None:
    function = f"void f(struct pump *p) {{ {{ {use} work(p); }} p->level = 0; done(p); }}"
    program = program_of(f"{HEAD}struct mutex pump_gate;\n{definition}\n{function}\n")
    assert held_at(program, "f", "work") == {"pump_gate" if "_0" in definition else "struct pump.gate"}
    assert held_at(program, "f", "done") == set()


def test_arguments_of_a_guard() -> None:
    assert split_arguments(b"a, f(x, y), { 1, 2 },\n  g()") == [b"a", b"f(x, y)", b"{ 1, 2 }", b"g()"]


def test_a_macro_that_is_given_a_member(program_of: ProgramOf) -> None:
    program = program_of(
        f"""{HEAD}
#define PRIVATE(p, member) ((p)->member)
#define lock_pump(p) spin_lock(&PRIVATE(p, lock))
void f(struct pump *p) {{ lock_pump(p); work(p); }}
void g(struct pump *p) {{ spin_lock(&PRIVATE(p, lock)); work(p); }}
"""
    )
    assert held_at(program, "f", "work") == {"struct pump.lock"}
    assert held_at(program, "g", "work") == {"struct pump.lock"}


def test_the_type_of_a_word_that_is_a_call(program_of: ProgramOf) -> None:
    program = program_of(
        f"""{HEAD}
static inline struct pump *this_pump(void) {{ return lookup(1); }}
#define here this_pump()
void f(void) {{ mutex_lock(&here->next->gate); work(here); }}
"""
    )
    assert held_at(program, "f", "work") == {"struct pump.gate"}


def test_a_callee_that_says_what_it_does_is_looked_into(program_of: ProgramOf) -> None:
    program = program_of(
        f"""{HEAD}
static void end(struct pump *p) __releases(&p->lock) {{ a(p); b(p); c(p); spin_unlock(&p->lock); }}
static void middle(struct pump *p) __releases(&p->lock) {{ a(p); b(p); c(p); end(p); }}
void f(struct pump *p) {{ spin_lock(&p->lock); middle(p); work(p); }}
"""
    )
    assert held_at(program, "f", "work") == set()


def test_a_loop_around_a_callee_that_drops_out_of_sight(program_of: ProgramOf) -> None:
    program = program_of(
        f"""{HEAD}
void f(struct pump *p)
{{
	spin_lock(&p->lock);
	while (1) {{
		if (p->level)
			return;
		drops_it_elsewhere(p);
		spin_lock(&p->lock);
	}}
}}
"""
    )
    assert net(program, "f") == [(["struct pump.lock"], [])]


def test_another_name_for_a_function(program_of: ProgramOf) -> None:
    program = program_of(
        f"""{HEAD}
#define hold_pump take_pump
#define ring_a ring_b
#define ring_b ring_a
static void take_pump(struct pump *p) {{ spin_lock(&p->lock); }}
void f(struct pump *p) {{ hold_pump(p); work(p); ring_a(p); }}
"""
    )
    assert held_at(program, "f", "work") == {"struct pump.lock"}


def test_sources_that_a_source_includes_share_their_statics(program_of: ProgramOf) -> None:
    program = program_of(
        drivers__hcd_c='#include <linux/demo.h>\nstatic void wake(int x) { }\n#include "hub.c"\n#include "sched.c"\n',
        drivers__hub_c="static void hub(int x) { wake(x); budget(x); }\n",
        drivers__sched_c="static void budget(int x) { }\n",
    )
    search = CallerSearch(contexts(program))
    for path, name in (("drivers/hcd.c", "wake"), ("drivers/sched.c", "budget")):
        found = search.of(program.functions(path, name)[0])
        assert [(s.caller.path, s.caller.name) for s in found.sites] == [("drivers/hub.c", "hub")]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("lockdep_assert_held(&p->lock); work(p);", True),
        ("if (!p) return; lockdep_assert_held(&p->lock); work(p);", True),
        ("if (p->level) lockdep_assert_held(&p->lock); work(p);", False),
        ("while (p->level) { lockdep_assert_held(&p->lock); work(p); } work(p);", False),
    ],
)
def test_an_assertion_under_a_condition_says_nothing_of_all_callers(program_of: ProgramOf, body: str, says: bool) -> None:
    program = program_of(f"{HEAD}void f(struct pump *p) {{ {body} }}\n")
    found = contexts(program).asserted(program.functions("drivers/pump.c", "f")[0])
    assert [h.name for h in found] == (["struct pump.lock"] if says else [])


def test_calls_that_lead_somewhere(program_of: ProgramOf) -> None:
    program = program_of(
        f"""{HEAD}
struct ops {{ void (*run)(struct pump *p); }};
static void run(struct pump *p) {{ p->level = (u32)(p->level); }}
static const struct ops pump_ops = {{ .run = run }};
void f(struct pump *p, const struct ops *ops, void (*hook)(void))
{{
	run(p);
	mutex_lock(&p->gate);
	work(p);
	ops->run(p);
	hook();
	nobody(p);
	__builtin_trap();
}}
"""
    )
    found = resolution(program, ["drivers/pump.c"])
    assert (found.functions, found.direct, found.defined, found.modelled, found.external) == (2, 5, 1, 2, 1)
    assert found.unknown == {"nobody": 1}
    assert (found.indirect, found.indirect_known) == (2, 1)


def test_an_architecture_s_own_version_has_the_callers_of_the_weak_default(program_of: ProgramOf) -> None:
    program = program_of(
        init__main_c="void __weak pump_init(void) { }\nvoid start(void) { pump_init(); }\n",
        arch__a__pump_c="void pump_init(void) { }\n",
        drivers__pump_c="static void pump_init(void) { }\nvoid probe(void) { pump_init(); }\n",
    )
    search = CallerSearch(contexts(program))
    for path, callers in (("arch/a/pump.c", ["start"]), ("init/main.c", ["start"]), ("drivers/pump.c", ["probe"])):
        assert [s.caller.name for s in search.of(program.functions(path, "pump_init")[0]).sites] == callers
