"""What lockdep would warn of in the code that a patch brings: a lock is taken while another of its class is held.

Two objects of one struct, for all that is known: the path to the one is not the path to the other. Mostly one leads back to the
other (``chan->dev->rx`` is ``chan``), and where it does not, two tasks may take them the other way round each. Whoever means to
nest them says so with a subclass (Documentation/locking/lockdep-design.rst).
"""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.focus import Focus
from reviewer.parse.facts import Call
from reviewer.program.api.models import Kind
from reviewer.program.flow.effects import Effect
from reviewer.program.flow.lockflow import Flow, Seen
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import ALONE, Hold

APART: frozenset[Kind] = frozenset({"ww_mutex", "other", "semaphore", "socket"})
"""Kinds that are made to be nested, that have no owner, or of which each family has a class of its own."""


def nested(focus: Focus, func: Func) -> Iterator[tuple[Seen, Hold, Effect]]:
    """Where a patch has a lock taken under another of its class, as the function did nowhere before: a patch of the function, or
    of one on the way from it to the inner lock."""
    if focus.before is None:
        return
    there = focus.edited(func)
    found = {
        hold.name: (seen, hold, effect) for seen, hold, effect in reversed(list(pairs(focus, func)))
        if there or any(focus.edited(f) for f in (*(f for f, _ in effect.way[1:]), effect.func))
    }
    if not found:
        return
    before = focus.before
    was = {hold.name for mine in before.program.functions(func.path, func.name) for _, hold, _ in pairs(before, mine)}
    for name, one in found.items():
        if name not in was and not told_apart(focus, func, name):
            yield one


def pairs(focus: Focus, func: Func) -> Iterator[tuple[Seen, Hold, Effect]]:
    flow = focus.flow(func) if focus.summaries.holds(func) else None
    if flow is None or flow.capped:
        return
    for seen in flow.seen:
        held = [h for h in seen.may() if h.name and h.kind not in ALONE and h.kind not in APART and always(seen, h.name)]
        if not held or not isinstance(seen.event, Call):
            continue
        for effect in focus.effects.at(func, seen):
            inner = effect.hold
            if effect.kind != "acquire" or inner is None or inner.taken in ("trylock", "timeout"):
                continue
            if effect.doubt > comes_home(func, effect):
                continue
            if any(h.lock == inner.lock for h in seen.may()) or focus.orders.nests(effect):
                continue
            for hold in held:
                same = hold.name == inner.name and hold.kind == inner.kind and "exclusive" in (hold.mode, inner.mode)
                if same and not effect.lets_go(hold) and sure(focus, flow, seen, hold, effect):
                    yield seen, hold, effect


def comes_home(func: Func, effect: Effect) -> int:
    """1 where a library comes back to the file that called it, through one of several tables: the object is that file's."""
    there = {f.path for f, _ in effect.way[1:]} - {func.path}
    return int((effect.some or effect.kin) and effect.func.path == func.path and bool(there))


def always(seen: Seen, name: str) -> bool:
    """Whether a lock of the class is held in every world, one for reading and one for writing perhaps."""
    return all(any(h.name == name for h in world) for world in seen.held)


def sure(focus: Focus, flow: Flow, seen: Seen, hold: Hold, effect: Effect) -> bool:
    """Whether nothing on the way speaks against it."""
    settled, func = focus.settled, flow.frame.func
    if effect.last or effect.comes_back() or settled.against(func, seen, effect) or settled.once(effect):
        return False
    there = focus.effects.under(func, seen, hold, effect)
    return there is not None and there.doubt <= comes_home(func, effect) and not focus.releases.perhaps(flow, hold, seen, there)


def told_apart(focus: Focus, func: Func, name: str) -> bool:
    """Whether locks of the name are of several classes, or of objects that form a tree."""
    return focus.lock_classes.split(name, func.path) or focus.orders.small(name, func) or name in focus.program.models.trees
