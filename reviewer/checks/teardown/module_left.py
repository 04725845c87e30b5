"""teardown-order: a module is left, and callbacks of its variables, or what it left to RCU, may still be about to run."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from reviewer.checks.deferred import own_left_to_rcu
from reviewer.checks.finding import Finding
from reviewer.checks.proof import place, step
from reviewer.checks.teardown.base import CALLBACKS, RULE, Teardown, end_of, finding
from reviewer.program.concurrency.lifetimes import owner_of
from reviewer.program.linked.link import Func

MAX_OF_MODULE = 60
"""Functions below the end of a module by which its files are known."""

TOLD = frozenset({"callbacks", "completion", "event"})
"""Waits by which a module may learn that the last of its callbacks has run."""

DRIVER_ONLY = re.compile(rb"\bmodule_(?:\w+_)?driver\s*\(")
"""Of a file: its module only registers a driver and, at the end, unregisters it (include/linux/device/driver.h)."""

UNBINDS = frozenset({"remove", "remove_new", "disconnect"})
"""Operations after the last of which a module may be unloaded."""


def left_behind(teardown: Teardown) -> Iterator[Finding]:
    paths = dict.fromkeys(func.path for func in teardown.focus.functions)
    drivers = {path for path in paths if DRIVER_ONLY.search(teardown.program.text(path)) is not None}
    for func in teardown.focus.functions:
        leaves = teardown.leaves(func)
        last = leaves or (func.path in drivers and unbinds(teardown, func))
        if last and not waits_at_end(teardown, func):
            yield from left_running(teardown, func)
            yield from outlived(teardown, func) if leaves else ()


def unbinds(teardown: Teardown, func: Func) -> bool:
    """Whether a function is called last when a driver is unbound."""
    return teardown.lives.may_act(func) and any(slot in UNBINDS for slot, _ in teardown.lives.operations(func))


def outlived(teardown: Teardown, func: Func) -> Iterator[Finding]:
    """A module that goes while a function of it, which it has passed to call_rcu(), may still be pending
    (Documentation/RCU/rcubarrier.rst)."""
    focus = teardown.focus
    told = {func.key}
    for seen, callback, flow in own_left_to_rcu(focus, func.path):
        mine = flow.frame.func
        if mine.key not in told:
            told.add(mine.key)
            steps = (step(focus.analysis, "register", mine, seen.event.at), step(focus.analysis, "call", callback, 0))
            file, line, column, function = place(func, end_of(teardown, func, None))
            yield Finding(
                rule=RULE, severity="error", confidence="medium", file=file, line=line, column=column, function=function,
                message=f"the module is left without rcu_barrier(), while {callback.name}() may still be about to run",
                involves=(callback.name,), proof=(*steps, step(focus.analysis, "return", func, 0)),
                event=teardown.program.line_text(file, line),
            )  # fmt: skip


def left_running(teardown: Teardown, func: Func) -> Iterator[Finding]:
    """A callback of a variable of the module that leaves, which is started and which nothing in the module waits for."""
    lives = teardown.lives
    files = module_files(teardown, func)
    functions = [f for file in sorted(files) for f in teardown.program.functions_in(file)]
    started = {
        a.name: a for f in functions if lives.may_act(f, 0) for a in lives.acts(f, 0)
        if a.kind == "start" and a.what in CALLBACKS and a.name and not owner_of(a.name)
    }  # fmt: skip
    for name, act in started.items():
        uses = lives.uses(name, act.func.path)
        mine = [f for f in teardown.callbacks(uses, act.func.path) if f.path in files]
        kept = uses.stops or uses.escapes or teardown.waited(uses, [func])
        if mine and teardown.runs(uses, act.func.path) and not kept:
            yield finding(teardown, func, end_of(teardown, func, None), act, None, None, func, "medium")


def module_files(teardown: Teardown, func: Func) -> frozenset[str]:
    """The files of which a module consists, by the function that leaves it: its own, and those of its folder with a function that
    it reaches by name. One that is exported is there for other modules, and may be another module's itself."""
    lives, folder = teardown.lives, posixpath.dirname(func.path)
    todo, met = [func], {func.key: func}
    while todo and len(met) < MAX_OF_MODULE:
        for f in lives.callees(todo.pop(0)):
            if f.key not in met and f.path.endswith(".c") and posixpath.dirname(f.path) == folder and not exported(teardown, f):
                met[f.key] = f
                todo.append(f)
    return frozenset(f.path for f in met.values())


def exported(teardown: Teardown, func: Func) -> bool:
    """Whether a file says of a function of it that other modules may call it."""
    return re.search(rb"\bEXPORT_\w+\(\s*%s\b" % re.escape(func.name.encode()), teardown.program.text(func.path)) is not None


def waits_at_end(teardown: Teardown, func: Func) -> bool:
    """Whether what runs at the end of a module waits for RCU's callbacks, or for something that a callback may tell of; by
    itself, or by a call that leads far (``unregister_pernet_subsys()``)."""
    if any(e.wait is not None and e.wait.what in TOLD for e in teardown.focus.effects.of(func)):
        return True
    models, below = teardown.program.models.functions, teardown.lives.below(func).values()
    found = (m for f in below for name in f.calls if (m := models.get(name)) is not None)
    return any(w.what in TOLD for m in found for w in m.waits) or any("msleep" in f.calls for f in below)
