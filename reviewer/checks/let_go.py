"""Locks of the callers of which a function knew before a patch: it let them go around some of its calls, or said that they hold
them. What is done under them now is theirs to answer for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from reviewer.parse.facts import Call, Expr, Name
from reviewer.program.flow.lockflow import Flow, Seen, State
from reviewer.program.flow.precedence import comes_first
from reviewer.program.flow.summaries import place
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import ALONE, OUTSIDE, Hold, lock_class

if TYPE_CHECKING:
    from reviewer.checks.focus import Focus


class LetGo:
    """Memoised by function: several rules ask."""

    def __init__(self, focus: Focus) -> None:
        self.focus = focus
        self._kept: dict[tuple[str, bool], dict[int, tuple[Hold, ...]]] = {}
        self._handed: dict[str, dict[int, tuple[Hold, ...]]] = {}

    def kept(self, func: Func, on_purpose: bool = False) -> dict[int, tuple[Hold, ...]]:
        """For the positions of events: the locks, in the function's terms. Whoever lets a lock go and takes it again says that
        his callers hold it, however far away; so does who calls what is for those who hold it (``stop_machine_cpuslocked()``).

        :param on_purpose: only those that were let go around the event, for its sake.
        """
        key = func.key, on_purpose
        got = self._kept.get(key)
        if got is None:
            got = self._kept[key] = self._search(func, on_purpose) if self.focus.edited(func) else {}
        return got

    def theirs(self, func: Func) -> dict[int, tuple[Hold, ...]]:
        """For the positions of events: locks that callers hold there, by what the function did before a patch, or does later."""
        kept, handed = self.kept(func), self.handed_over(func)
        return {at: tuple(dict.fromkeys((*kept.get(at, ()), *handed.get(at, ())))) for at in {*kept, *handed}}

    def handed_over(self, func: Func) -> dict[int, tuple[Hold, ...]]:
        """For the positions of events: the locks that the function itself releases further down, on every way, without having
        taken them. Its callers hold them until then, wherever they are."""
        got = self._handed.get(func.key)
        if got is None:
            flow = self.focus.flow(func) if self.focus.summaries.names.only_releases(func) else None
            got = self._handed[func.key] = handed_over(self.focus, flow) if flow is not None else {}
        return got

    def _search(self, func: Func, on_purpose: bool) -> dict[int, tuple[Hold, ...]]:
        focus, old, flow = self.focus, self.focus.before, self.focus.flow(func)
        if old is None or flow is None:
            return {}
        around: dict[str, set[Hold]] = {}
        asserted: set[Hold] = set()
        for was in focus.flows_before(func):
            mine = was.frame.func
            for hold, start, end in let_go(old, was):
                for seen in was.seen:
                    if start < seen.event.at < end:
                        around.setdefault(old.program.line_text(mine.path, mine.line_of(seen.event.at)), set()).add(hold)
            asserted |= set() if on_purpose else set(told(old, was))
        if not around and not asserted:
            return {}
        still = let_go(focus, flow)
        found: dict[int, tuple[Hold, ...]] = {}
        for seen in flow.seen:
            at = seen.event.at
            holds = around.get(focus.program.line_text(func.path, func.line_of(at)), set()) | asserted
            left = tuple(
                h for h in sorted(holds, key=lambda h: h.name)
                if h.name not in self.lost and not any(h.name == g.name and start < at < end for g, start, end in still)
                and all(h.name != g.name for g in seen.may()) and not any(h.lock in d for d in seen.dropped)
            )  # fmt: skip
            if left:
                found[at] = left
        return found

    @cached_property
    def lost(self) -> frozenset[str]:
        """Classes of locks that some function of the patch does not take any more: its callees may well rely on that."""
        lost: set[str] = set()
        for func in filter(self.focus.edited, self.focus.functions):
            now, had = self.focus.flow(func), set[str]()
            for was in self.focus.flows_before(func):
                assert self.focus.before is not None
                theirs = {h.name for h, _, _ in let_go(self.focus.before, was)}  # it gave back what it had let go
                had |= {h.name for s in was.seen for h in s.may()} - theirs
            lost |= had - {h.name for s in (now.seen if now is not None else ()) for h in s.may()}
        return frozenset(lost)


def told(focus: Focus, flow: Flow) -> Iterator[Hold]:
    """Locks that the function does not take and that what it calls asserts."""
    for seen in flow.seen:
        for hold in asserts(focus, flow.frame.func, seen):
            if hold.name:
                yield msgspec.structs.replace(hold, at=0, where=OUTSIDE)


def asserts(focus: Focus, func: Func, seen: Seen) -> Iterator[Hold]:
    """Locks that the function says its caller holds, at an assertion that is reached with none of them let go, and that the
    function has not taken itself."""
    call = seen.event
    if not isinstance(call, Call) or not isinstance(call.callee, Name) or not seen.args or any(seen.dropped):
        return
    model = focus.program.model(focus.program.models.meant(call.callee.id))
    for spec in model.asserts if model is not None else ():
        lock = place(spec.lock, seen.args[0])
        if lock is not None and spec.kind not in ALONE and all(h.lock != lock for h in seen.may()):
            yield Hold(lock, lock_class(focus.program.frame(func), lock), spec.kind, spec.mode, "lock", "", call.at)


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


def handed_over(focus: Focus, flow: Flow) -> dict[int, tuple[Hold, ...]]:
    """For the positions of events, the locks that are the callers' and are released further down. A semaphore need not be held by
    whoever ups it, and what is released on some ways only goes by a word of the caller's."""
    releases: list[tuple[Hold, Seen]] = []
    for seen in flow.seen:
        call = seen.event
        model = focus.program.model(call.callee.id) if isinstance(call, Call) and isinstance(call.callee, Name) else None
        for drop in model.drops if model is not None and seen.args else ():
            lock = place(drop.lock, seen.args[0]) if drop.kind not in ALONE or drop.kind in ("rcu", "srcu") else None
            name = lock_class(flow.frame, lock) if lock is not None else ""
            if lock is None or not name or drop.kind == "semaphore" or any(h.lock == lock for h in seen.may()):
                continue
            if all(lock in e.state.dropped for e in flow.endings) and not brought(focus, flow, name):
                releases.append((Hold(lock, name, drop.kind, drop.mode, "lock", drop.irq, 0, OUTSIDE), seen))
    taken = {h.lock for s in flow.seen for h in s.may()}
    found: dict[int, tuple[Hold, ...]] = {}
    for seen in flow.seen if releases else ():
        held = (
            hold for hold, release in releases
            if hold.lock not in taken and not any(hold.lock in d for d in seen.dropped) and release is not seen
            and comes_first(flow.frame, seen, release)
        )  # fmt: skip
        found[seen.event.at] = tuple({h.lock: h for h in held}.values())
    return {at: holds for at, holds in found.items() if holds}


def brought(focus: Focus, flow: Flow, name: str) -> bool:
    """Whether something that a function calls returns with a lock of a class, deeper below than its summary tells."""
    takers = {
        effect.func.key: effect.func for seen in flow.seen for effect in focus.effects.at(flow.frame.func, seen)
        if effect.hold is not None and effect.kind == "acquire" and effect.hold.name == name
    }  # fmt: skip
    flows = (focus.flow(func) for func in takers.values())
    return any(h.name == name for taking in flows if taking is not None for e in taking.endings for h in e.state.locks)


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
