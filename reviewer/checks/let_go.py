"""Locks of the callers of which a function knew before a patch: it let them go around some of its calls, or said that they hold
them. What is done under them now is theirs to answer for."""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.focus import Focus
from reviewer.parse.facts import Call, Expr, Name
from reviewer.program.link import Func
from reviewer.program.lockflow import Flow, Seen, State
from reviewer.program.locks import ALONE, OUTSIDE, Hold, lock_class
from reviewer.program.summaries import place


def kept(focus: Focus, func: Func, on_purpose: bool = False) -> dict[int, tuple[Hold, ...]]:
    """For the positions of events: the locks, in the function's terms. Whoever lets a lock go and takes it again says that his
    callers hold it, however far away; so does who calls what is for those who hold it (``stop_machine_cpuslocked()``).

    :param on_purpose: only those that were let go around the event, for its sake.
    """
    flow = focus.flow(func) if focus.before is not None and focus.edited(func) else None
    if flow is None or focus.before is None:
        return {}
    old = focus.before
    around: dict[str, set[Hold]] = {}
    asserted: set[Hold] = set()
    for mine in old.program.functions(func.path, func.name):
        was = old.flow(mine)
        for hold, start, end in let_go(old, was) if was is not None else ():
            for seen in was.seen if was is not None else ():
                if start < seen.event.at < end:
                    around.setdefault(old.program.line_text(mine.path, mine.line_of(seen.event.at)), set()).add(hold)
        asserted |= set(told(old, was)) if was is not None and not on_purpose else set()
    if not around and not asserted:
        return {}
    lost, still = not_held_any_more(focus), let_go(focus, flow)
    found: dict[int, tuple[Hold, ...]] = {}
    for seen in flow.seen:
        at = seen.event.at
        holds = around.get(focus.program.line_text(func.path, func.line_of(at)), set()) | asserted
        left = tuple(
            h for h in sorted(holds, key=lambda h: h.name)
            if h.name not in lost and not any(h.name == g.name and start < at < end for g, start, end in still)
            and all(h.name != g.name for g in seen.may()) and not any(h.lock in d for d in seen.dropped)
        )  # fmt: skip
        if left:
            found[at] = left
    return found


def not_held_any_more(focus: Focus) -> frozenset[str]:
    """Classes of locks that some function of the patch does not take any more: its callees may well rely on that."""
    lost: set[str] = set()
    for func in filter(focus.edited, focus.functions):
        now, had = focus.flow(func), set[str]()
        for mine in focus.before.program.functions(func.path, func.name) if focus.before is not None else ():
            was = focus.before.flow(mine) if focus.before is not None else None
            if was is not None and focus.before is not None:
                theirs = {h.name for h, _, _ in let_go(focus.before, was)}  # it gave back what it had let go
                had |= {h.name for s in was.seen for h in s.may()} - theirs
        lost |= had - {h.name for s in (now.seen if now is not None else ()) for h in s.may()}
    return frozenset(lost)


def told(focus: Focus, flow: Flow) -> Iterator[Hold]:
    """Locks that the function does not take and that what it calls asserts."""
    for seen in flow.seen:
        call = seen.event
        model = focus.program.model(call.callee.id) if isinstance(call, Call) and isinstance(call.callee, Name) else None
        for spec in model.asserts if model is not None and seen.args and not any(seen.dropped) else ():
            lock = place(spec.lock, seen.args[0])
            name = lock_class(flow.frame, lock) if lock is not None and spec.kind not in ALONE else ""
            if lock is not None and name and all(h.lock != lock for h in seen.may()):
                yield Hold(lock, name, spec.kind, spec.mode, "lock", "", 0, OUTSIDE)


def let_go(focus: Focus, flow: Flow) -> list[tuple[Hold, int, int]]:
    """``(lock, from, to)`` for each lock that the function releases without having it and takes again further down."""
    released: list[tuple[Expr, int]] = []
    found: list[tuple[Hold, int, int]] = []
    for seen in sorted(flow.seen, key=lambda s: s.event.at):
        drops, takes = changes(focus, flow, seen)
        released += [(lock, seen.event.at) for lock in drops if all(h.lock != lock for h in seen.must())]
        for take in takes:
            for lock, start in released:
                name = lock_class(flow.frame, lock) if lock == take.lock else ""
                if name and (take.kind not in ALONE or take.kind == "srcu") and take.taken != "trylock":
                    hold = Hold(lock, name, take.kind, take.mode, "lock", "", 0, OUTSIDE)
                    found.append((hold, start, seen.event.at))
            released = [r for r in released if r[0] != take.lock]
    return found


def changes(focus: Focus, flow: Flow, seen: Seen) -> tuple[list[Expr], list[Hold]]:
    """What a call releases and what it takes, if it always does one of the two."""
    call = seen.event
    if not isinstance(call, Call) or not seen.args:
        return [], []
    model = focus.program.model(call.callee.id) if isinstance(call.callee, Name) else None
    if model is not None:
        drops = [lock for d in model.drops if (lock := place(d.lock, seen.args[0])) is not None]
        locks = [(t, lock) for t in model.takes if (lock := place(t.lock, seen.args[0])) is not None]
        return drops, [Hold(lock, "", t.kind, t.mode, t.taken, "", call.at) for t, lock in locks]
    outcomes = focus.summaries.outcomes(flow.frame, call, seen.callee or call.callee, seen.args[0], State())
    if len(outcomes) != 1 or bool(outcomes[0].drops) == bool(outcomes[0].takes):
        return [], []
    return list(outcomes[0].drops), list(outcomes[0].takes)
