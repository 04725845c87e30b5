"""unguarded-access, of what a member points to: it is freed with no lock at all, and the object goes on, while others follow the
member under a lock. Whoever has just looked at it there goes on with what is freed.
"""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.finding import Confidence, Finding
from reviewer.checks.unguarded.guarding import Side, finding, knows
from reviewer.checks.unguarded.walked import LEVELS, bare_way, entered_by
from reviewer.parse.facts import Call, Expr, Member, Name, Write
from reviewer.program.concurrency.guards import LOCKED, Touch, exclusive, once
from reviewer.program.concurrency.lifetimes import Act
from reviewer.program.concurrency.shared import Access
from reviewer.program.flow.lockflow import Seen, seen_at
from reviewer.program.flow.objects import object_name, root_of, rooted, short
from reviewer.program.linked import values
from reviewer.program.linked.link import Func

ENOUGH = 2
"""Functions that follow the member under the lock."""

RUNS = frozenset({"timer", "work", "irq", "threaded_irq", "tasklet", "thread", "kthread"})
"""What runs beside everything else: one of these that follows the member is enough."""

SERVES = frozenset({"napi", "irq"})
"""What serves a device, and is turned off as it is closed (``Waits.what``)."""


def freed_bare(side: Side, func: Func) -> Iterator[Finding]:
    lives = side.guards.lives
    if once(func) or LOCKED.search(func.name) or not lives.may_act(func, 0):
        return
    for act in lives.acts(func, 0):
        touch = freed(side, func, act) if act.kind == "free" and isinstance(act.path, Member) else None
        if touch is None or side.guards.around(func) or side.guards.only_once(func):
            continue
        found = follower(side, touch)
        if found is not None and not within(side, func, act.path, found[0]):
            lock, other = found
            way = bare_way(side, func, lock, LEVELS)
            sure: Confidence = "medium" if way is not None or never_above(side, func, lock, LEVELS) else "low"
            if stopped_before(side, func, act.at):
                sure = "low"
            made = finding(side, func, touch, lock, sure, other)
            yield made if way is None else entered_by(side, made, way)
            return


def within(side: Side, func: Func, pointer: Expr | None, lock: str) -> bool:
    """Whether a lock is a part of what a pointer points to: to get at it one has followed the pointer already."""
    frame = side.program.frame(func)
    type_ = frame.type_of(pointer) if pointer is not None else None
    return type_ is not None and lock.startswith(f"{frame.resolve(type_).name}.")


def stopped_before(side: Side, func: Func, at: int) -> bool:
    """Whether a function has, before a position, turned off what serves the device: then those who follow what it frees are, as
    a rule, over."""
    models = side.program.models.functions
    flow = side.focus.flow(func)
    calls = (s.event.callee for s in (flow.seen if flow is not None else ()) if isinstance(s.event, Call) and s.event.at < at)
    return any(
        isinstance(callee, Name) and (m := models.get(callee.id)) is not None and any(w.what in SERVES for w in m.waits)
        for callee in calls
    )  # fmt: skip


def never_above(side: Side, func: Func, lock: str, levels: int) -> bool:
    """Whether there are callers of a function, and none of those that are looked at has the lock on any way to it."""
    callers = side.guards.lives.callers(func) if levels else ()
    calls = [(c, s) for c in callers for s in side.guards.calls(c, func.name)]
    return bool(calls or not levels) and all(
        all(h.name != lock for h in s.may()) and (side.guards.entered(c) or never_above(side, c, lock, levels - 1))
        for c, s in calls
    )


def freed(side: Side, func: Func, act: Act) -> Touch | None:
    """The free of what a member of a shared object points to, with nothing held, where the function also stores to the member."""
    flow, frame = side.focus.flow(func), side.program.frame(func)
    here = seen_at(flow, act.at)
    if flow is None or here is None or here.may() or not isinstance(act.path, Member):
        return None
    name = object_name(frame, rooted(frame, act.path))
    stored = any(isinstance(s.event, Write) and s.event.at > act.at and s.args[0][0] == act.path for s in flow.seen)
    ended = any(a.kind == "free" and a.path == act.path.base for a in side.guards.lives.acts(func, 0))  # the object goes, too
    if not stored or ended or "." not in name or side.guards.shared.private(frame, act.path):
        return None
    return Touch(Access(name, "set", False, None, func, act.at, here.block, (), act.path), frozenset())


def follower(side: Side, touch: Touch) -> tuple[str, Touch] | None:
    """The lock under which others of the file follow a member that is freed, if they are enough, with one of them."""
    found: dict[str, list[Touch]] = {}
    for func in side.program.functions_with(touch.func.path, short(touch.object).rpartition(".")[2]):
        if func.key != touch.func.key and not once(func):
            for held, use in followed(side, func, touch.object):
                for lock in held:
                    found.setdefault(lock, []).append(use)
    mine = frozenset(lock for held, _ in followed(side, touch.func, touch.object) for lock in held)
    for lock, uses in sorted(found.items(), key=lambda f: -len({u.func.key for u in f[1]})):
        functions = {u.func.key: u.func for u in uses}
        beside = next((u for u in uses if not RUNS.isdisjoint(side.guards.setups.kinds(u.func))), None)
        if (beside is not None or len(functions) >= ENOUGH) and (lock in mine or knows(side, touch, lock)):
            return lock, beside or uses[0]
    return None


def followed(side: Side, func: Func, name: str) -> Iterator[tuple[frozenset[str], Touch]]:
    """Where a function looks at something behind a member, or at the member, with a lock of its own or of all its callers."""
    flow, frame = side.focus.flow(func), side.program.frame(func)
    outer = side.guards.around(func)
    for seen in flow.seen if flow is not None else ():
        held = exclusive(seen) | outer
        read = [e for args in seen.args for whole in args for e in members(whole, seen.event)] if held else []
        near = (e for e in read if short(name).endswith(f".{e.name}"))
        path = next((e for e in near if object_name(frame, rooted(frame, e)) == name), None)
        if flow is not None and path is not None:
            access = Access(name, "read", False, None, func, seen.event.at, seen.block, tuple(seen.must()), path)
            held -= {h.name for h in seen.must() if of_each(flow.seen, h.lock) and root_of(h.lock) != root_of(path)} - outer
            if held:
                yield held, Touch(access, held, look=True)


def of_each(seen: list[Seen], lock: Expr) -> bool:
    """Whether a lock is that of the entries of a list, of each in turn."""
    root = root_of(lock)
    loops = (s for s in seen if isinstance(s.event, Call) and s.event.loop and s.args)
    return isinstance(root, Name) and any(root in s.args[0] for s in loops)


def members(whole: Expr, event: object) -> Iterator[Member]:
    """The members in an expression, but for the one that a store writes to by itself."""
    found = (e for e in values.walk(whole) if isinstance(e, Member))
    target = event.target if isinstance(event, Write) else None
    return (e for e in found if target is None or e != whole or isinstance(event, Call))
