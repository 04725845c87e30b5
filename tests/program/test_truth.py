"""What names, guards, included sources and assertions mean, where others than the program have said so of a real tree."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reviewer.program.callers import CallerSearch
from reviewer.program.chains import Chains
from reviewer.program.contexts import Contexts
from reviewer.program.link import Program
from reviewer.program.summaries import Summaries

ProgramOf = Callable[..., Program]

HEAD = """
struct pump { spinlock_t lock; struct mutex gate; int level; struct pump *next; };
void spin_lock(spinlock_t *lock);
void spin_unlock(spinlock_t *lock);
void mutex_lock(struct mutex *lock);
void mutex_unlock(struct mutex *lock);
void work(struct pump *pump);
"""


def contexts(program: Program) -> Contexts:
    summaries = Summaries(program)
    return Contexts(summaries, Chains(summaries))


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
