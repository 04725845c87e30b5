"""unguarded-access: what its module keeps under one lock is changed, or a list of it walked, without that lock.

Which lock guards what is inferred from the accesses themselves, in a review from those before the patch. Three shapes: an access
that had the lock before a patch; an assertion of a lock that a caller cannot hold; one access among many that have it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from reviewer.checks.finding import Finding
from reviewer.checks.focus import Focus
from reviewer.checks.registry import general
from reviewer.checks.unguarded.asserted import asserted, unheld
from reviewer.checks.unguarded.called_bare import called_bare
from reviewer.checks.unguarded.fetched_early import fetched_early
from reviewer.checks.unguarded.freed_bare import freed_bare
from reviewer.checks.unguarded.guarding import RULE, Side, finding, is_there, strange, witness
from reviewer.checks.unguarded.moved_out import found_outside, read_outside
from reviewer.checks.unguarded.other_object import another, under_another
from reviewer.checks.unguarded.walked import walked
from reviewer.parse.facts import AddressOf, Branch, Call, Expr, Member, Name, Result
from reviewer.program.concurrency.guards import LOCKED, Touch, exclusive, once
from reviewer.program.concurrency.shared import runs_once
from reviewer.program.flow.lockflow import Seen, reached
from reviewer.program.flow.objects import root_of
from reviewer.program.graph.contexts import serialises
from reviewer.program.linked import values
from reviewer.program.linked.link import Func

ENOUGH = 4
"""Guarded accesses, in as many functions less one, from which a guard is inferred in a tree that nobody has changed."""

MAX_ASKED = 8
"""Accesses without a lock of their own whose callers are asked."""

DEEP, MAX_ASKING = 4, 80
"""How far, and in how many functions, an assertion is looked for of a lock that a patch takes from a call."""

LEVELS = 2
"""Callers above an access whose locals it may be about."""

SHARE = 0.8
"""The part of all accesses that must have the lock."""


@general(RULE)
def unguarded_access(focus: Focus) -> Iterator[Finding]:
    side = Side(focus)
    found: dict[tuple[str, str], Finding] = {}
    for each in (*lost(side), *asserted(side), *outliers(side)):
        found.setdefault((each.function, each.involves[-1]), each)
    yield from found.values()


# --- a patch takes the lock away ----------------------------------------------------------------------------------------


def lost(new: Side) -> Iterator[Finding]:
    old = new.before
    if old is None:
        return
    functions = {(f.path, f.name): f for f in old.focus.functions}
    for func in new.focus.functions:
        was = functions.get((func.path, func.name))
        if was is None or runs_once(func) or was.text == func.text:
            continue
        if old.guards.takes(was) - new.guards.takes(func) or asks_elsewhere(old, new, was, func):
            yield from without(old, new, was, func)
        yield from unasked(old, new, was, func)
        yield from read_outside(old, new, was, func)
        yield from found_outside(old, new, was, func)
        yield from under_another(old, new, was, func)


def asks_elsewhere(old: Side, new: Side, was: Func, func: Func) -> bool:
    """Whether an access of the function stands under other locks than before, although it still takes the same ones."""
    one = Counter((t.object, t.held) for t in old.guards.touches(was))
    two = Counter((t.object, t.held) for t in new.guards.touches(func))
    return any(two[key] > one[key] and not key[1] for key in two)


def without(old: Side, new: Side, was: Func, func: Func) -> Iterator[Finding]:
    """Accesses, and calls, that had a lock before and have none now."""
    outer, outer_now = old.guards.around(was), new.guards.around(func)
    had: dict[tuple[str, str, bool], frozenset[str]] = {}
    for t in old.guards.own(was):
        key = (t.object, t.func.name, t.look)
        had[key] = had.get(key, t.held | outer) & (t.held | outer)
    best: dict[str, tuple[int, int, Touch]] = {}
    for t in new.guards.own(func):
        were = had.get((t.object, t.func.name, t.look), frozenset())
        held = t.held | outer_now
        for lock in were - held if held <= were and not detached(new, t) else ():
            rank = evidence(old, func, t, lock) if is_there(new, lock, func.path) else 0
            if rank > guarded_by(old, func, t, held) and (lock not in best or (rank, -len(t.way)) > best[lock][:2]):
                best[lock] = (rank, -len(t.way), t)
    for lock, (rank, _, touch) in best.items():
        yield finding(new, func, touch, lock, "high" if rank > 1 else "medium", witness(old, touch, lock, func))
    if not best:
        yield from calls_without(old, new, was, func, outer, outer_now)


def evidence(old: Side, func: Func, touch: Touch, lock: str) -> int:
    """How sure it is that the lock guards the object: 2 if others have it too, 1 if some do or if nothing speaks against."""
    others = [t for t in old.guards.others(touch.object, func.path) if t.func.name != func.name]
    guarded = sum(lock in t.held for t in others)
    free = [t for t in others if lock not in t.held]
    above = [old.guards.around(t.func) for t in free[:MAX_ASKED]]
    guarded += sum(lock in a for a in above)
    bare = sum(not t.held and not a for t, a in zip(free, above, strict=False))
    if guarded and guarded >= 2 * bare:
        return 2
    if not guarded and not bare and lent(old, touch, lock, func.path):
        return 0
    return 1 if guarded >= bare and (guarded or not touch.look) else 0


def guarded_by(old: Side, func: Func, touch: Touch, held: frozenset[str]) -> bool:
    """Whether the locks that are still held may guard the object: others have one of them, or nobody has any."""
    theirs = [t.held for t in old.guards.others(touch.object, func.path) if t.func.name != func.name and t.held]
    return bool(held) and (not theirs or any(held & locks for locks in theirs))


def lent(side: Side, touch: Touch, lock: str, path: str) -> bool:
    """Whether an object is passed in, of a type that the whole kernel knows, and the lock one of a part that keeps its structs to
    itself."""
    given = touch.access.path
    if not (isinstance(given, Member) and isinstance(given.base, Name) and given.base.id.startswith("%")):
        return False
    homes = [side.program.struct_at(name.lstrip("*").partition(".")[0], path) for name in (touch.object, lock)]
    one, two = (f"/{home[0]}" if home is not None else "" for home in homes)
    return "/include/" in one and bool(two) and "/include/" not in two


def calls_without(
    old: Side, new: Side, was: Func, func: Func, outer: frozenset[str], outer_now: frozenset[str]
) -> Iterator[Finding]:
    """A function that all others call with the lock held, and that this one has called so until now."""
    for callee in new.guards.lives.callees(func):
        if callee.macro is not None or not callee.path.endswith(".c"):
            continue
        had = [exclusive(s) | outer for s in old.guards.calls(was, callee.name)]
        now = [s for s in new.guards.calls(func, callee.name) if not exclusive(s)]
        common = frozenset.intersection(*had) if had else frozenset()
        if not now or not common - outer_now:
            continue
        others = [c for c in old.guards.lives.callers(callee) if c.name != func.name]
        if not 0 < len(others) <= MAX_ASKED:
            continue
        for lock in common - outer_now:
            if lock not in new.guards.takes(callee) and all(
                lock in exclusive(s) or lock in old.guards.around(c) for c in others for s in old.guards.calls(c, callee.name)
            ):
                touch = next((t for t in new.guards.own(callee) if not t.look and not t.held), None)
                if touch is not None:
                    touch = replace(touch, way=((func, now[0].event.at), *touch.way))
                    yield finding(new, func, touch, lock, "medium", None, callee)
                    return
                if LOCKED.search(callee.name):  # what it changes is a device's, or lies too deep; its name says the same
                    yield unheld(new, func, now[0].event.at, callee, lock, (), "medium", ", and has until now")
                    return


def unasked(old: Side, new: Side, was: Func, func: Func) -> Iterator[Finding]:
    """Functions that say, or said before the patch, which lock they want held, and that are called without it now."""
    outer, outer_now = old.guards.around(was), new.guards.around(func)
    flow = new.focus.flow(func)
    done: set[tuple[str, str]] = set()
    for seen in flow.seen if flow is not None else ():
        callee = (seen.callee or seen.event.callee) if isinstance(seen.event, Call) else None
        if not isinstance(callee, Name) or callee.id in new.program.models.functions:
            continue
        for asked in old.program.resolve(callee.id, was.path):
            wanted = wants(old, asked)
            had = frozenset().union(*(exclusive(s) for s in old.guards.calls(was, callee.id)), outer) if wanted else frozenset()
            lost = {h for h in wanted if h in had and h not in outer_now and all(g.name != h for g in seen.may())}
            for lock in sorted(lost):
                now = new.program.resolve(callee.id, func.path)
                if (callee.id, lock) not in done and not any(lock in new.guards.takes(f) for f in now):
                    done.add((callee.id, lock))
                    still = any(lock in wants(new, f) for f in now)
                    yield unheld(new, func, seen.event.at, asked, lock, (), "high" if still else "medium", ", and has until now")
            for lock in had_for_some(old, was, seen, callee.id, asked) - outer_now - {h.name for h in seen.may()}:
                if (callee.id, lock) not in done and lock not in wanted:
                    done.add((callee.id, lock))
                    yield unheld(new, func, seen.event.at, asked, lock, (), "medium", ", and has until now")
            had = frozenset().union(*(exclusive(s) for s in old.guards.calls(was, callee.id))) - wanted
            gone = had - outer_now - {g.name for g in seen.may()} - {lock for name, lock in done if name == callee.id}
            for lock, deep in wants_below(old, asked, gone) if gone else ():
                done.add((callee.id, lock))
                yield unheld(new, func, seen.event.at, deep, lock, (), "medium", ", and has until now")
            gone = had_on_some_ways(old, was, callee.id) - had - wanted - outer_now - new.guards.takes(func)
            for lock, deep in wants_below(old, asked, gone, True) if gone else ():
                if (callee.id, lock) not in done:
                    done.add((callee.id, lock))
                    yield unheld(new, func, seen.event.at, deep, lock, (), "medium", ", and has until now, of some objects")


def had_for_some(old: Side, was: Func, seen: Seen, name: str, asked: Func) -> frozenset[str]:
    """Locks that a callee wants held of some callers, by what they pass, and that were held around each call that passed the
    same as one does now."""
    wanted = {h.name for h in old.focus.analysis.contexts.asserted_of_some(asked) if h.name}
    same = [s for s in old.guards.calls(was, name) if not set(s.args).isdisjoint(seen.args)] if wanted else []
    return frozenset.intersection(frozenset(wanted), *map(exclusive, same)) if same else frozenset()


def had_on_some_ways(old: Side, was: Func, name: str) -> frozenset[str]:
    """Locks that were held around a call on some ways to it (``if (ring->polled) mutex_lock(&ring->lock);``)."""
    return frozenset(h.name for s in old.guards.calls(was, name) for h in s.may() if serialises(h))


def wants(side: Side, func: Func) -> frozenset[str]:
    """Lock classes that a function, or one that it calls in its turn, says its callers hold."""
    contexts, names = side.focus.analysis.contexts, side.focus.summaries.names
    found = {h.name for h in contexts.asserted(func) if h.name}
    near = (f for name in func.calls for f in side.program.resolve(name, func.path)) if func.macro is None else ()
    for callee in near:
        if callee.macro is None and names.asserts(callee):
            here = list(side.guards.calls(func, callee.name))
            said = {h.name for h in contexts.asserted(callee) if h.name}
            found |= {lock for lock in said if here and all(all(h.name != lock for h in s.may()) for s in here)}
    return frozenset(found)


def wants_below(side: Side, func: Func, locks: frozenset[str], of_some: bool = False) -> Iterator[tuple[str, Func]]:
    """Those of some locks of which a function further below, through tables too, says that its callers hold them; with
    ``of_some``, or only some of its callers, by what they pass. An inline on the way is no step of its own."""
    contexts = side.focus.analysis.contexts
    level, met = [(func, locks)], {func.key}
    for _ in range(DEEP):
        following: list[tuple[Func, frozenset[str]]] = []
        for f, wanted in level:
            flow = side.focus.flow(f)
            frame = side.program.frame(f)
            for seen in flow.seen if flow is not None else ():
                if not isinstance(seen.event, Call) or not (left := wanted - {h.name for h in seen.may()}):
                    continue
                for target in side.focus.summaries.calls.targets(frame, seen.callee or seen.event.callee):
                    if target.func is None or target.func.key in met or len(met) >= MAX_ASKING:
                        continue
                    met.add(target.func.key)
                    (level if target.func.path.endswith(".h") else following).append((target.func, left))
                    some = contexts.asserted_of_some(target.func) if of_some else ()
                    said = {h.name for h in (*contexts.asserted(target.func), *some)} & left
                    yield from ((lock, target.func) for lock in sorted(said))
        level = following


# --- one among many -----------------------------------------------------------------------------------------------------


def outliers(side: Side) -> Iterator[Finding]:
    summaries = side.focus.summaries
    with_locks = {f.path for f in side.focus.every if summaries.holds(f) or summaries.names.asserts(f)}
    for func in side.focus.functions:
        if once(func) or LOCKED.search(func.name) or func.path not in with_locks:
            continue
        yield from another(side, func)
        yield from walked(side, func)
        yield from called_bare(side, func)
        yield from freed_bare(side, func)
        yield from fetched_early(side, func)
        for t in side.guards.touches(func):
            if t.held or t.access.op not in ("add", "sub", "rmw") or t.access.idempotent:
                continue
            others = side.inside(t.object, func.path)
            counts = Counter(lock for o in others for lock in o.held)
            if not counts or (len(others) - counts.most_common(1)[0][1]) > MAX_ASKED:
                continue
            lock = counts.most_common(1)[0][0]
            inside = [o for o in others if lock in o.held or lock in side.guards.around(o.func)]
            functions = {o.func.key for o in inside}
            if (len(inside) < max(ENOUGH, SHARE * len(others)) or len(functions) < ENOUGH - 1) and not (
                2 * len(inside) >= len(others) and side.guards.said.protector(t.object, func.path) == lock
            ):
                continue
            if sometimes(side, t, lock):
                continue  # the caller says whether it has the lock already
            if detached(side, t):
                continue
            if side.guards.only_once(func) or side.guards.handed(func):
                continue
            if known(side, func) and not side.guards.around(func) and not side.guards.gated(t):
                by_chance = computed(side, t) and strange(side, t, lock)
                doubtful = by_chance or emptied(side, t) or of_callers(side, func, root_of(t.access.path))
                yield finding(side, func, t, lock, "low" if doubtful else "medium", inside[0])


def sometimes(side: Side, touch: Touch, lock: str) -> bool:
    """Whether the function itself holds the lock at the access on some path."""
    flow = side.focus.flow(touch.func)
    seen = (s for s in (flow.seen if flow is not None else ()) if s.event.at == touch.access.at)
    return any(h.name == lock for s in seen for h in s.may())


def detached(side: Side, touch: Touch) -> bool:
    """Whether the object is an entry of a list whose head only this call knows: a local, or one that all callers hand in; or a
    part of one that belongs to whoever has it."""
    func = touch.func
    if any(map(of_this_call, values.walk(touch.access.path))) or owned(side, touch):
        return True  # list_first_entry(&local, ...)
    flow = side.focus.flow(func)
    cursor = root_of(touch.access.path)
    for seen in flow.seen if flow is not None else ():
        event = seen.event
        if isinstance(cursor, Result) and isinstance(event, Call) and event.number == cursor.call:
            return any(map(of_this_call, seen.args[0]))
        if not isinstance(event, Call) or not event.loop or not isinstance(cursor, Name) or cursor not in seen.args[0]:
            continue
        for head in seen.args[0]:
            if of_this_call(head):
                return True
            if isinstance(head, Name) and head.id.startswith("%") and func.static and not side.guards.entered(func):
                i = int(head.id[1:])
                sites = [s for c in side.guards.lives.callers(func) for s in side.guards.calls(c, func.name)]
                if sites and all(i < len(args) and of_this_call(args[i]) for s in sites for args in s.args):
                    return True
    return False


def computed(side: Side, touch: Touch) -> bool:
    """Whether the change is arithmetic in the object itself, no API's with what is but an entry of a list of others."""
    flow = side.focus.flow(touch.func)
    return not any(isinstance(s.event, Call) for s in (flow.seen if flow is not None else ()) if s.event.at == touch.access.at)


def of_callers(side: Side, func: Func, root: Expr, levels: int = LEVELS) -> bool:
    """Whether an object is what a caller, or a caller's, has on its stack."""
    if not isinstance(root, Name) or not root.id.startswith("%"):
        return False
    i = int(root.id[1:])
    given = (
        (c, args[i]) for c in side.guards.lives.callers(func) for s in side.guards.calls(c, func.name) for args in s.args
        if i < len(args)
    )  # fmt: skip
    return any(of_this_call(arg) or (levels > 0 and of_callers(side, caller, arg, levels - 1)) for caller, arg in given)


def owned(side: Side, touch: Touch) -> bool:
    """Whether the access goes through a member that the owner of an object has for himself."""
    frame = side.program.frame(touch.func)
    private = side.program.models.private
    return any(
        isinstance(e, Member) and (type_ := frame.type_of(e.base)) is not None
        and e.name in private.get(frame.resolve(type_).name, ())
        for e in values.walk(touch.access.path)
    )  # fmt: skip


def emptied(side: Side, touch: Touch) -> bool:
    """Whether a loop takes every entry off a list, whatever it is: nobody else has a way to the list by then, as a rule."""
    flow = side.focus.flow(touch.func)
    body = flow.frame.body if flow is not None else None
    if flow is None or body is None or touch.access.op != "sub":
        return False
    cursor = root_of(touch.access.path)
    blocks = {s.block for s in flow.seen if s.event.at == touch.access.at}
    for seen in flow.seen:
        event = seen.event
        if isinstance(event, Call) and event.loop and cursor in seen.args[0] and len(blocks) == 1:
            entry = body.blocks[seen.block].exit
            if isinstance(entry, Branch) and seen.block not in reached(body, [entry.then], *blocks):
                return True
    return False


def of_this_call(head: Expr) -> bool:
    """Whether a list head is a local variable."""
    return isinstance(head, AddressOf) and isinstance(head.base, Name) and head.base.id.startswith("$")


def known(side: Side, func: Func) -> bool:
    """Whether it can be told who enters the function."""
    return side.guards.entered(func) or bool(side.guards.lives.callers(func))
