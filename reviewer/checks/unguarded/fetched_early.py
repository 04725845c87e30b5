"""unguarded-access, of a pointer: it is fetched, then the lock is taken that others hold who replace it and free what it led to.

The way from the fetch to the lock is all that they need: under the lock it leads to what is gone. Low where the lock is a part of
that: nobody can have it before the fetch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewer.checks.finding import Finding
from reviewer.checks.unguarded.guarding import Side, finding, knows, struct_of
from reviewer.parse.facts import Call, Deref, Event, Expr, Member, Name, Write
from reviewer.program.concurrency.guards import Touch, exclusive, once
from reviewer.program.concurrency.lifetimes import pointed
from reviewer.program.concurrency.shared import Access
from reviewer.program.flow.lockflow import Seen
from reviewer.program.flow.objects import object_name, rooted, short
from reviewer.program.linked import values
from reviewer.program.linked.link import Func

LAST = re.compile(r"_dec_and_(?:test|\w*lock)")
"""What tells that a reference was the last (include/linux/refcount.h)."""


def fetched_early(side: Side, func: Func) -> Iterator[Finding]:
    flow = side.focus.flow(func) if not once(func) else None
    for seen in flow.seen if flow is not None else ():
        event = seen.event
        if flow is None or not isinstance(event, Write) or not isinstance(event.value, Member) or seen.may():
            continue
        path, struct = seen.args[0][1], pointed(flow.frame, seen.args[0][1])
        name = object_name(flow.frame, rooted(flow.frame, path)) if struct and isinstance(event.target, Name) else ""
        if "." not in name or side.guards.shared.private(flow.frame, path):
            continue
        touch = Touch(Access(name, "read", False, None, func, event.at, seen.block, (), path), frozenset(), look=True)
        for lock in sorted(followed_under(flow.seen, event.target, event.at)):
            other = replaced_under(side, touch, lock, struct) if knows(side, touch, lock) else None
            if other is not None and not side.guards.around(func) and not read_again(side, touch, lock):
                doubtful = struct_of(lock) == struct or by_last(other)
                yield finding(side, func, touch, lock, "low" if doubtful else "medium", other)
                return


def by_last(touch: Touch) -> bool:
    """Whether the pointer is taken away with the last reference to what it leads to: whoever looks at it may have one."""
    return any(map(LAST.search, touch.func.calls))


def followed_under(seen: list[Seen], pointer: Expr, since: int) -> frozenset[str]:
    """The locks that are taken after a variable was set, and under which it is followed before it is set once more."""
    found: frozenset[str] = frozenset()
    for s in sorted((s for s in seen if s.event.at > since), key=lambda s: s.event.at):
        taken = frozenset(h.name for h in s.must() if h.at > since and not h.where) & exclusive(s)
        if any(isinstance(e, Member | Deref) and e.base == pointer for e in written(s.event)):
            found |= taken
        if isinstance(s.event, Write) and s.event.target == pointer:
            break
    return found


def written(event: Event) -> Iterator[Expr]:
    """What stands in an event, as written."""
    whole = event.args if isinstance(event, Call) else (event.target, event.value) if isinstance(event, Write) else (event.value,)
    for expr in whole:
        yield from values.walk(expr)


def replaced_under(side: Side, touch: Touch, lock: str, struct: str) -> Touch | None:
    """Where another function of the file replaces the pointer with the lock, if one frees what it led to, with that, too, and
    those who replace it without the lock are fewer."""
    guards, path = side.guards, touch.func.path
    near = [f for f in side.program.functions_with(path, short(touch.object).rpartition(".")[2]) if f.key != touch.func.key]
    touches = (t for f in near if not once(f) for t in guards.touches(f))
    changes = [(t, guards.total(t)) for t in touches if t.object == touch.object and not t.look]
    with_lock = [t for t, held in changes if lock in held]
    if not with_lock or 2 * len(with_lock) < len(changes):
        return None
    return with_lock[0] if any(frees_under(side, f, lock, struct) for f in near) else None


def frees_under(side: Side, func: Func, lock: str, struct: str) -> bool:
    """Whether a function frees an object of a type with a lock, its own or a caller's."""
    lives = side.guards.lives
    if not lives.may_act(func, 0) or not any(a.kind == "free" and a.struct == struct for a in lives.acts(func, 0)):
        return False
    calls = (s for c in lives.callers(func) for s in side.guards.calls(c, func.name))
    return lock in side.guards.takes(func) or any(lock in exclusive(s) for s in calls)


def read_again(side: Side, touch: Touch, lock: str) -> bool:
    """Whether the function looks at the member once more when it has the lock."""
    mine = (*side.guards.reads(touch.func), *side.guards.touches(touch.func))
    return any(t.object == touch.object and lock in t.held for t in mine)
