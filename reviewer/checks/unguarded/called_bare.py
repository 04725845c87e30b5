"""unguarded-access, of functions that change what is under a lock and leave it to their callers: all but one have it.

An assertion without words. As in :mod:`reviewer.checks.unguarded.walked` the way by which the odd one is entered has to be known,
and free of locks.

:source: Engler et al., "Bugs as Deviant Behavior", SOSP 2001
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from reviewer.checks.finding import Finding
from reviewer.checks.unguarded.guarding import Side, finding
from reviewer.checks.unguarded.walked import LEVELS, bare_way, entered_by
from reviewer.parse.facts import Call, Name
from reviewer.program.concurrency.guards import LOCKED, Touch, exclusive, once
from reviewer.program.linked.link import Func

ENOUGH = 4
"""Other callers that have the lock."""

ENOUGH_SAID = 2
"""The same of a function whose name says that it is called with a lock."""

MAX_CALLERS = 16
"""Callers that are asked."""


def called_bare(side: Side, func: Func) -> Iterator[Finding]:
    if once(func) or LOCKED.search(func.name):
        return
    for callee, at in free_calls(side, func):
        changed = next((t for t in side.guards.touches(callee) if changes(t)), None)
        lock = common(side, func, callee) if changed is not None and not side.guards.around(func) else ""
        way = bare_way(side, func, lock, LEVELS) if lock and lock not in side.guards.takes(callee) else None
        if way is None or changed is None:
            continue
        touch = Touch(changed.access, changed.held, ((func, at),))
        yield entered_by(side, finding(side, func, touch, lock, "medium", None, callee), way)


def free_calls(side: Side, func: Func) -> Iterator[tuple[Func, int]]:
    """The functions of its folder that a function calls with nothing held, each once; those left out that say what they want."""
    flow = side.focus.flow(func)
    free: dict[str, int] = {}
    for seen in flow.seen if flow is not None else ():
        callee = (seen.callee or seen.event.callee) if isinstance(seen.event, Call) else None
        if isinstance(callee, Name) and not seen.may() and callee.id not in side.program.models.functions:
            free.setdefault(callee.id, seen.event.at)
    folder = posixpath.dirname(func.path)
    for name, at in free.items():
        for target in side.focus.summaries.calls.named(name, func.path):
            f = target.func
            if f is not None and f.macro is None and f.path.endswith(".c") and posixpath.dirname(f.path) == folder:
                if not once(f) and not side.guards.wanted(f):
                    yield f, at


def changes(touch: Touch) -> bool:
    """Whether an access, with no lock of the function's own, changes what others can reach in a way that two cannot at once."""
    return not touch.look and not touch.held and touch.access.op in ("add", "sub", "rmw") and not touch.access.idempotent


def common(side: Side, func: Func, callee: Func) -> str:
    """The lock that all others have who call a function, where they are enough; "" for none."""
    guards = side.guards
    others = [c for c in guards.lives.callers(callee) if c.key not in (func.key, callee.key)]
    enough = ENOUGH_SAID if LOCKED.search(callee.name) else ENOUGH
    if not enough <= len(others) <= MAX_CALLERS:
        return ""
    held = [exclusive(s) | guards.around(c) for c in others for s in guards.calls(c, callee.name)]
    found = frozenset.intersection(*held) if len(held) >= enough else frozenset()
    return min(found, default="")
