"""What a function may do with locks, by the names that it calls and the summaries of its callees."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest

from reviewer.program.flow.summaries import Summaries
from reviewer.program.linked.link import Func, Program

TEXT = """
#include <linux/demo.h>
struct pump { spinlock_t lock; int level; const struct pump_ops *ops; };
struct pump_ops { void (*run)(struct pump *pump); };
void spin_lock(spinlock_t *lock);
void spin_unlock(spinlock_t *lock);
void rcu_read_lock(void);
void panic(const char *text);
int printk(const char *text);

static void pump_lock(struct pump *pump) { spin_lock(&pump->lock); }
static void pump_unlock(struct pump *pump) { spin_unlock(&pump->lock); }
static void pump_add(struct pump *pump) { spin_lock(&pump->lock); pump->level++; spin_unlock(&pump->lock); }
static void pump_die(struct pump *pump) { if (pump->level < 0) panic("pump"); }
static void pump_say(struct pump *pump) { printk("pump"); }
static void pump_run(struct pump *pump) { pump->ops->run(pump); }

void plain(struct pump *pump) { pump->level = 1; pump_say(pump); }
void direct(struct pump *pump) { spin_lock(&pump->lock); spin_unlock(&pump->lock); }
void wrapped(struct pump *pump) { pump_lock(pump); pump_unlock(pump); }
void inner(struct pump *pump) { pump_add(pump); }
void only_drops(struct pump *pump) { pump_unlock(pump); }
void scoped(struct pump *pump) { guard(spinlock)(&pump->lock); pump->level = 2; }
void reads(struct pump *pump) { rcu_read_lock(); }
"""


def named(program: Program, name: str) -> Func:
    return program.functions("drivers/pump.c", name)[0]


@pytest.mark.parametrize(
    ("name", "holds", "locks"),
    [
        ("plain", False, False), ("direct", True, True), ("wrapped", True, True), ("inner", False, False),
        ("only_drops", False, True), ("scoped", True, True), ("reads", True, True), ("pump_add", True, True),
    ],
)  # fmt: skip
def test_who_holds_something(program_of: Callable[..., Program], name: str, holds: bool, locks: bool) -> None:
    program = program_of(TEXT)
    summaries = Summaries(program)
    func = named(program, name)
    assert summaries.holds(func) is holds
    assert summaries.locks(func) is locks


@pytest.mark.parametrize(
    ("name", "steers"), [("pump_say", False), ("pump_lock", True), ("pump_die", True), ("pump_run", True), ("pump_add", True)]
)
def test_whose_call_makes_a_difference(program_of: Callable[..., Program], name: str, steers: bool) -> None:
    program = program_of(TEXT)
    assert Summaries(program).names.steers(named(program, name), 1) is steers


def test_a_program_is_let_go(program_of: Callable[..., Program]) -> None:
    program = program_of(TEXT)
    Summaries(program).flow(named(program, "direct"))
    program.gfp_value("GFP_KERNEL")
    here = weakref.ref(program)
    del program
    gc.collect()
    assert here() is None
