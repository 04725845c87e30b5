"""unguarded-access, of lists: one is walked, entry by entry, with no lock at all, while those who change it have one.

Fewer accesses than elsewhere are enough, since a plain list cannot be walked beside a change. But the way by which the function
is entered has to be known from its beginning, and no lock taken on it.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from typing import TypeAlias

from msgspec.structs import replace

from reviewer.checks.finding import Confidence, Finding, Step
from reviewer.checks.let_go import brought
from reviewer.checks.proof import entry_step, step
from reviewer.checks.unguarded.guarding import Side, finding, knows, strange
from reviewer.checks.unguarded.other_object import owner_of
from reviewer.checks.unguarded.outside import BY_USERS, STARTED, free_entries
from reviewer.parse.facts import Call, Name
from reviewer.program.concurrency.guards import LOCKED, Touch, once
from reviewer.program.flow.lockflow import Seen
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import OUTSIDE

ENOUGH = 3
"""Accesses to a list with its lock, in as many functions less one, from which a guard is inferred."""

LEVELS = 4
"""Callers above a walk in which its beginning is looked for."""

STARTS = re.compile(r"\.(?:start|stop|prepare|restore)(?:_|$)")
"""Operations that begin what others do then, or come after these (``struct vb2_ops.start_streaming``)."""

Way: TypeAlias = tuple[tuple[Func, int], ...]


def walked(side: Side, func: Func) -> Iterator[Finding]:
    if once(func) or LOCKED.search(func.name):
        return
    for t in side.guards.touches(func):
        if not (t.look and named(t) and walks(side, t)) or kept_out(side, t) or side.guards.around(func) or frees_owner(side, t):
            continue
        found = guard(side, t)
        if found is None:
            continue
        lock, witness = found
        way = bare_way(side, func, lock, LEVELS)
        if way is not None and not one_table(side, t, lock) and not one_thread(side, t):
            doubtful = strange(side, t, lock) or (headless(side, t) and not knows(side, t, lock))
            sure: Confidence = "low" if doubtful or unchanged(side, witness, lock) else "medium"
            yield entered_by(side, finding(side, func, t, lock, sure, witness), way)
            return


def entered_by(side: Side, found: Finding, way: tuple[Way, Step]) -> Finding:
    """A finding with the way to its function before the rest of its proof."""
    calls, first = way
    steps = (step(side.focus.analysis, "call", f, at) for f, at in calls)
    return replace(found, proof=(first, *steps, *found.proof))


def unchanged(side: Side, witness: Touch, lock: str) -> bool:
    """Whether nobody is known to change the list under the lock, nor a comment of the list to name it: those who walk the list
    with it may have it for something else."""
    return witness.look and side.guards.said.protector(witness.object, witness.func.path) != lock


def walks(side: Side, touch: Touch) -> bool:
    """Whether an access goes from entry to entry of a list; whether there is any may be asked at any time."""
    flow = side.focus.flow(touch.func)
    return any(s.event.at == touch.access.at and isinstance(s.event, Call) and s.event.loop for s in (flow.seen if flow else ()))


def headless(side: Side, touch: Touch) -> bool:
    """Whether a list is walked from one of its entries: some of these are on a list that all know, this one on its own."""
    flow = side.focus.flow(touch.func)
    for seen in flow.seen if flow is not None else ():
        event = seen.event
        if flow is not None and isinstance(event, Call) and event.at == touch.access.at and event.args:
            type_ = flow.frame.type_of(flow.frame.canonical(event.args[0], {}))
            struct = flow.frame.resolve(type_).name if type_ is not None else ""
            return any(isinstance(a, Name) and f"{struct}.{a.id}" == touch.object for a in event.args[1:])
    return False


def named(touch: Touch) -> bool:
    """Whether the list is one that others can name, too: a member of a struct, or a static."""
    return "." in touch.object or ":" in touch.object


def kept_out(side: Side, touch: Touch) -> bool:
    """Whether the walk has anything that may keep others out, on some path at least."""
    flow = side.focus.flow(touch.func)
    return any(s.may() for s in (flow.seen if flow is not None else ()) if s.event.at == touch.access.at)


def frees_owner(side: Side, touch: Touch) -> bool:
    """Whether the function frees the object that has the list: nobody else knows it by then."""
    owner = owner_of(touch.access.path)
    flow = side.focus.flow(touch.func) if owner is not None else None
    for seen in flow.seen if flow is not None else ():
        call = seen.event
        model = side.program.model(call.callee.id) if isinstance(call, Call) and isinstance(call.callee, Name) else None
        freed = model.frees if model is not None else None
        if freed is not None and call.at > touch.access.at and any(freed < len(a) and a[freed] == owner for a in seen.args):
            return True
    return False


def guard(side: Side, touch: Touch) -> tuple[str, Touch] | None:
    """The lock that nearly all others have who touch the list, and one of these."""
    guards = side.guards
    others = [(o, guards.total(o)) for o in guards.others(touch.object, touch.func.path) if o.func.key != touch.func.key]
    counts = Counter(lock for _, held in others for lock in held)
    if not counts:
        return None
    lock = counts.most_common(1)[0][0]
    inside = [o for o, held in others if lock in held]
    functions = {o.func.key for o in inside}
    outside = {o.func.key for o, held in others if lock not in held and not once(o.func)} - functions
    changed = any(not o.look for o in inside)
    said = guards.said.protector(touch.object, touch.func.path) == lock
    if ((len(inside) < ENOUGH or len(functions) < ENOUGH - changed) and not said) or len(outside) * 3 > len(functions):
        return None
    return lock, next((o for o in inside if not o.look), inside[0])


def bare_way(side: Side, func: Func, lock: str, levels: int, met: set[str] | None = None) -> tuple[Way, Step] | None:
    """A way down to a function on which nobody holds a lock, and what shows that it begins without: that something outside enters
    there, with none, or that the lock is taken there, too.

    :param met: functions from which there is none.
    """
    guards, met = side.guards, set() if met is None else met
    met.add(func.key)
    if any(e.hold is not None for e in side.focus.entries.of(func)):
        return None
    entries = free_entries(side, func, lock) if guards.entered(func) else None
    if entries:
        runs = next((e for e in entries if STARTS.search(e.how) is None), None)  # what starts is done before others begin
        return ((), entry_step(side.focus.analysis, runs)) if runs is not None else None
    for caller, seen in calls_of(side, func) if levels else ():
        if caller.key in met or once(caller) or seen.may() or any(e.hold is not None for e in side.focus.entries.of(caller)):
            continue
        taken = next((h for h in side.taken_in(caller) if h.name == lock and h.where != OUTSIDE), None)
        flow = side.focus.flow(caller)
        if flow is not None and brought(side.focus, flow, lock):
            continue
        if taken is not None:
            return ((caller, seen.event.at),), step(side.focus.analysis, "acquire", caller, taken.at)
        above = bare_way(side, caller, lock, levels - 1, met)
        if above is not None:
            return (*above[0], (caller, seen.event.at)), above[1]
    return None


def one_table(side: Side, touch: Touch, lock: str) -> bool:
    """Whether all that change a list, and the walk, are operations of one table alone, which its core may well call one at a
    time, and have the lock from far above, for something else. What user space enters is called at any time."""
    mine = origins(side, touch.func, LEVELS)
    if len(mine) != 1 or BY_USERS.search(f"{min(mine)}.") or not min(mine).startswith("struct "):
        return False
    changes = [o for o in side.guards.others(touch.object, touch.func.path) if not o.look and not once(o.func)]
    return all(lock not in o.held and origins(side, o.func, LEVELS) <= mine for o in changes)


def origins(side: Side, func: Func, levels: int) -> frozenset[str]:
    """The structs of the tables by which a function is entered, itself or by its callers; what else enters it by its kind."""
    found = (how for f in above(side, func, levels)[0] for how in ways_in(side, f))
    return frozenset(how.partition(".")[0].partition("@")[0] for how in found)


def ways_in(side: Side, func: Func) -> set[str]:
    """How a function is entered by its address: by which table, or as what."""
    entries = side.focus.entries
    return {*(e.how for e in entries.of(func)), *(s.struct for s in entries.slots(func))}


def one_thread(side: Side, touch: Touch) -> bool:
    """Whether all that change a list run in one thread, or one work, and the walk does, too: who alone changes it may read it as
    it is, and has the lock for those who read it elsewhere."""
    mine = started_as(side, touch.func)
    if len(mine) != 1 or min(mine)[1] not in STARTED:
        return False
    changes = [o for o in side.guards.others(touch.object, touch.func.path) if not o.look and not once(o.func)]
    return bool(changes) and all(started_as(side, o.func) == mine for o in changes)


def started_as(side: Side, func: Func) -> frozenset[tuple[str, str]]:
    """The functions, with how each is entered, by which a function is come to; one that nobody calls is entered somehow."""
    functions, cut = above(side, func, LEVELS)
    found: set[tuple[str, str]] = set()
    for f in functions:
        ways = ways_in(side, f)
        if not ways and (f in cut or not side.guards.lives.callers(f)):
            ways.add("")
        found |= {(f.key, how) for how in ways}
    return frozenset(found)


def above(side: Side, func: Func, levels: int) -> tuple[list[Func], list[Func]]:
    """A function and its callers, and theirs; those of the last level, whose callers have not been asked for."""
    level, met = [func], {func.key: func}
    for _ in range(levels):
        level = [c for f in level for c in side.guards.lives.callers(f) if c.key not in met]
        met |= {c.key: c for c in level}
    return list(met.values()), level


def calls_of(side: Side, func: Func) -> Iterator[tuple[Func, Seen]]:
    """The calls of a function, by name and through the tables of its own folder."""
    for caller in side.guards.lives.callers(func):
        for seen in side.guards.calls(caller, func.name):
            yield caller, seen
    for site in side.focus.entries.callers(func):
        there = side.focus.analysis.contexts.seen(site.caller, site.call)
        if there is not None and posixpath.dirname(site.caller.path) == posixpath.dirname(func.path):
            yield site.caller, there
