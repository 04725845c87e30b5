"""teardown-order: an object ends, or a driver is unbound, and the whole folder never cancels a callback that was set up on it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice

from reviewer.checks.finding import Finding
from reviewer.checks.teardown.base import CALLBACKS, Teardown, end_of, finding, synchronous
from reviewer.parse.facts import Call, Member, Name, Result, Write
from reviewer.program.concurrency.guards import AFTER, first
from reviewer.program.concurrency.lifetimes import Act, Uses, owner_of, pointed
from reviewer.program.flow.lockflow import Seen, on_every_way
from reviewer.program.flow.objects import object_name, rooted
from reviewer.program.flow.summaries import place
from reviewer.program.linked.link import Func

LEVELS_TO_BEGIN = 5
"""Levels of callers from what sets a callback up to the operation that begins the life of its object."""

SUSPENDS = re.compile(r"(?:^|_)(?:suspend|freeze|poweroff|hibernate)(?:_|$)")
"""How the kernel names what puts a device to sleep."""


def never_stopped(teardown: Teardown) -> Iterator[Finding]:
    lives = teardown.lives
    done: set[str] = set()
    for func in beginning(teardown):
        for act in lives.acts(func) if lives.may_act(func) else ():
            if act.kind == "setup" and act.name not in done and owner_of(act.name) and act.what in CALLBACKS:
                done.add(act.name)
                yield from never(teardown, func, act)


def counted_down(teardown: Teardown, uses: Uses) -> bool:
    """Whether those that are started are counted, and the callback counts down what a function of the file sleeps for
    (``atomic_inc(&p->pending); queue_work(..)``, and ``while (atomic_read(&p->pending)) io_schedule();``)."""
    counters: set[str] = set.intersection(*({*accessed(teardown, a.func, "add")} for a in uses.starts)) if uses.starts else set()
    if not counters:
        return False
    path = uses.starts[0].func.path
    below = {g.key: g for f in teardown.callbacks(uses, path) for g in teardown.lives.below(f).values() if g.path == path}
    counters &= {name for f in below.values() for name in accessed(teardown, f, "sub")}
    models = teardown.program.models.functions
    return bool(counters) and any(
        any((m := models.get(c)) is not None and (m.may_sleep or m.waits) for c in f.calls)
        and not counters.isdisjoint(accessed(teardown, f, "read"))
        for f in teardown.program.functions_in(path)
    )  # fmt: skip


def accessed(teardown: Teardown, func: Func, op: str) -> Iterator[str]:
    """The members of structs on which a function does an atomic operation of some kind."""
    models = teardown.program.models.functions
    if not any((m := models.get(name)) is not None and any(a.op == op for a in m.accesses) for name in func.calls):
        return
    frame, flow = teardown.program.frame(func), teardown.focus.flow(func)
    for seen in flow.seen if flow is not None else ():
        model = models.get(seen.callee.id) if isinstance(seen.callee, Name) else None
        for access in model.accesses if model is not None and seen.args else ():
            where = place(access.object, seen.args[0]) if access.op == op and access.atomic else None
            name = object_name(frame, rooted(frame, where)) if where is not None else ""
            if owner_of(name):
                yield name


def beginning(teardown: Teardown) -> list[Func]:
    """The functions that are looked at, and what stands below the operations that begin what one of these ends."""
    lives, ends = teardown.lives, teardown.program.models.ends_of
    found = {f.key: f for f in teardown.focus.functions}
    for end in teardown.focus.functions:
        for slot, table in lives.operations(end) if teardown.focus.differs(end) and lives.may_act(end) else ():
            for begin in teardown.program.resolve(table[ends[slot]], end.path) if ends.get(slot) in table else ():
                found |= lives.below(begin)
    return list(found.values())


def never(teardown: Teardown, func: Func, act: Act) -> Iterator[Finding]:
    """A class that the whole folder never stops, and where its objects end: at the operation that ends what set it up."""
    lives = teardown.lives
    uses = lives.uses(act.name, func.path)
    stopped = not all(only_asleep(teardown, a.func) for a in uses.waits)
    kept = stopped or uses.escapes or teardown.counted(uses, func.path)
    if kept or not teardown.runs(uses, func.path) or synchronous(teardown, uses) or counted_down(teardown, uses):
        return
    if not teardown.callbacks(uses, func.path):
        return  # whether it keeps the object by itself cannot be told
    lost = act if not uses.stops and teardown.delayed(act) and any(map(teardown.timed, uses.starts)) else None
    near = teardown.tops(func)
    far = [f for f in teardown.tops(func, LEVELS_TO_BEGIN) if all(f.key != n.key for n in near)]
    ends = chain(ended_nearby(teardown, func, act), ended_elsewhere(teardown, func, act))
    alone = (
        finding(teardown, end, freed.at, act, weak := kept_from(teardown, uses, end), freed, None, "medium", fellow=weak)
        for end, freed in ends if not teardown.waited(uses, teardown.tops(end), lost)
    )  # fmt: skip
    yield from islice(chain(at_twins(teardown, near, act, uses, lost), alone, at_twins(teardown, far, act, uses, lost)), 1)


def kept_from(teardown: Teardown, uses: Uses, end: Func) -> Act | None:
    """Where a callback is only kept from beginning: by what comes to the end of its object, if there is such a place, with the
    call that leads to it there."""
    above, begin = {f.key for f in teardown.tops(end)}, {a.func.key for a in uses.starts}
    stops = [a for a in uses.stops if a.func.key not in begin]
    for weak in stops:
        for user in (weak.func, *teardown.lives.callers(weak.func)):
            calls = [s.event.at for s in teardown.calls(user, weak.func.name)]
            if user.key in above:
                return replace(weak, func=user, at=calls[0]) if calls else weak
    return next((a for a in stops if AFTER.search(a.func.name)), next(iter(stops), None))


def at_twins(teardown: Teardown, begins: Iterable[Func], act: Act, uses: Uses, lost: Act | None) -> Iterator[Finding]:
    """A callback that nothing waits for where an operation ends what one of these begins. A delayed work, which nobody cancels
    (``lost``), is not waited for where its queue is drained: its timer may still be running."""
    lives = teardown.lives
    for begin, end in teardown.twins(begins):
        if foreign(teardown, act, uses, end):
            continue
        ended = teardown.ends(act.name, [end], begin)
        if (ended is not None or lives.managed(begin, owner_of(act.name))) and not teardown.waited(uses, (end, begin), lost):
            at, below = end_of(teardown, end, ended), lives.below(end)
            weak = next((a for a in uses.stops if a.func.key in below), None)
            fellow = weak or stopped_instead(teardown, end, act) or kept_from(teardown, uses, end)
            yield finding(teardown, end, at, act, weak, ended, end, "medium", fellow=fellow)
            return


def foreign(teardown: Teardown, act: Act, uses: Uses, end: Func) -> bool:
    """Whether a callback of another file, a library's, is there for drivers with an operation that those of this file are not: it
    calls that whatever has happened, so nobody can have started it for them."""
    for callback in teardown.callbacks(uses, act.func.path):
        for func in (callback, *teardown.lives.callees(callback)) if callback.path != end.path else ():
            flow, frame = teardown.focus.flow(func), teardown.program.frame(func)
            for seen in flow.seen if flow is not None and func.path != end.path else ():
                callee = frame.canonical(seen.event.callee, {}) if isinstance(seen.event, Call) else None
                table = frame.type_of(callee.base) if isinstance(callee, Member) and isinstance(callee.base, Member) else None
                if not isinstance(callee, Member) or table is None:
                    continue
                struct = frame.resolve(table).name
                if lacks(teardown, end.path, struct, callee.name) and always_called(teardown, func, seen):
                    return True
    return False


def lacks(teardown: Teardown, path: str, struct: str, field: str) -> bool:
    """Whether a file has tables of a kind, all of them without one operation."""
    if path not in teardown.program.files_initialising(struct, path):
        return False
    return next(iter(teardown.focus.summaries.calls.in_file(path, struct, field)), None) is None


def always_called(teardown: Teardown, func: Func, seen: Seen) -> bool:
    """Whether a function comes to a call on every way."""
    body = teardown.program.body(func)
    return body is not None and on_every_way(body, seen.block)


def stopped_instead(teardown: Teardown, end: Func, act: Act) -> Act | None:
    """Where, below the end of an object, another callback of it is stopped, as this one should be."""
    for func in teardown.lives.below(end).values():
        for other in teardown.lives.acts(func) if func.key != end.key and teardown.lives.may_act(func, 0) else ():
            if other.kind == "stop" and owner_of(other.name) == owner_of(act.name):
                return other
    return None


def ended_nearby(teardown: Teardown, func: Func, act: Act) -> Iterator[tuple[Func, Act]]:
    """Functions of the file that free an object which has the callback's inside, other than where setting it up has failed, or
    one that they have only just made."""
    begins = {f.key for f in teardown.tops(func)}
    uses = teardown.lives.uses(act.name, func.path)
    shared = teardown.focus.analysis.shared
    for end in teardown.program.functions_in(act.func.path):
        if end.key in begins or not teardown.lives.may_act(end, 0):
            continue
        callers = teardown.lives.callers(end)
        if all(c.key in begins for c in callers) and (callers or not at_release(teardown, end, act)):
            continue
        for freed in teardown.lives.acts(end):
            if freed.kind == "free" and freed.func.key == end.key and freed.struct and freed.path is not None:
                if shared.private(teardown.program.frame(end), freed.path) or made_here(teardown, end, freed):
                    continue
                owner = owner_of(act.name)
                if freed.struct != owner and teardown.lives.freed_alone(owner, end.path):
                    continue  # what it has inside may be another one, which is never set up
                if teardown.lives.contains(freed.struct, owner, end.path) and not whole_kept(teardown, uses, end, freed):
                    yield end, freed
                    break


def whole_kept(teardown: Teardown, uses: Uses, end: Func, freed: Act) -> bool:
    """Whether all that start a callback take a reference to what the freed object belongs to: a table of requests goes with the
    port that each of them holds."""
    whole = pointed(teardown.program.frame(end), freed.path.base) if isinstance(freed.path, Member) else ""
    return bool(whole and uses.starts) and all(holds(teardown, start.func, whole) for start in uses.starts)


def holds(teardown: Teardown, func: Func, struct: str) -> bool:
    """Whether a function takes a reference to an object of some type."""
    frame, flow = teardown.program.frame(func), teardown.focus.flow(func)
    return any(
        isinstance(s.event, Call) and isinstance(s.event.callee, Name) and teardown.takes_reference(s.event.callee.id)
        and any(pointed(frame, arg) == struct for args in s.args for arg in args)
        for s in (flow.seen if flow is not None else ())
    )  # fmt: skip


def ended_elsewhere(teardown: Teardown, func: Func, act: Act) -> Iterator[tuple[Func, Act]]:
    """The same for the other files of the folder, where one frees an object of the very type that was set up here, which some
    function on the way to its end only keeps from beginning."""
    lives, owner = teardown.lives, owner_of(act.name)
    begins = {f.key for f in teardown.tops(func)}
    shared = teardown.focus.analysis.shared
    word, folder = owner.rpartition(" ")[2], posixpath.dirname(act.func.path)
    stops = lives.uses(act.name, func.path).stops
    near = teardown.program.names.files_mentioning([word], (folder,)).get(word, ()) if stops and folder else ()
    for end in (f for file in near if file != act.func.path and file.endswith(".c") for f in teardown.program.functions_in(file)):
        if end.key in begins or first(end) or lives.names.isdisjoint(end.calls) or word not in end.words:
            continue
        for freed in lives.acts(end):
            if freed.kind == "free" and freed.func.key == end.key and freed.struct == owner and freed.path is not None:
                if not shared.private(teardown.program.frame(end), freed.path) and not made_here(teardown, end, freed):
                    yield end, freed
                    break


def at_release(teardown: Teardown, end: Func, act: Act) -> bool:
    """Whether a function ends an object with the last reference to it, which the callback is not known to have. One that calls
    what the object has it call (``d->workfn(w)``) may well give a reference back by that. And whoever drains its queue, wherever
    it is, may do so before the last reference goes."""
    uses, owner = teardown.lives.uses(act.name, act.func.path), owner_of(act.name)
    if not teardown.lives.runs_at_release(end):
        return False
    if any(teardown.drains(f, uses.queues) for f in teardown.program.functions_in(act.func.path)):
        return False
    for callback in teardown.callbacks(uses, act.func.path):
        if any(end.name in f.words for f in teardown.lives.below(callback).values()):
            return False  # it gives a reference back by itself
        frame, flow = teardown.program.frame(callback), teardown.focus.flow(callback)
        calls = (s.event for s in (flow.seen if flow is not None else ()) if isinstance(s.event, Call))
        bases = (c.callee.base for c in calls if isinstance(c.callee, Member))
        if any(owner in (pointed(frame, base), pointed(frame, frame.canonical(base, {}))) for base in bases):
            return False
    return True


def made_here(teardown: Teardown, func: Func, freed: Act) -> bool:
    """Whether a function frees what it has itself allocated into a member before (``p->all = kcalloc(..)``), as it does when it
    fails."""
    flow = teardown.focus.flow(func)
    written = (s for s in (flow.seen if flow is not None else ()) if isinstance(s.event, Write) and s.event.at < freed.at)
    return any(target == freed.path and isinstance(value, Result) for s in written for target, value in s.args)


def only_asleep(teardown: Teardown, func: Func) -> bool:
    """Whether a function is there for suspend only: unbinding does not come through it."""
    return SUSPENDS.search(func.name) is not None and all(SUSPENDS.search(c.name) for c in teardown.lives.callers(func))
