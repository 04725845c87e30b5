"""teardown-order, within one function: a callback is started and its object freed, or is waited for when the object is gone."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

from reviewer.checks.finding import Finding
from reviewer.checks.teardown.base import CALLBACKS, Teardown, finding, synchronous
from reviewer.parse.cfg import successors
from reviewer.parse.facts import Body, Call, Expr, Result, Write
from reviewer.program.concurrency.lifetimes import Act, Uses, holder, owner_of
from reviewer.program.flow.lockflow import Seen, reached
from reviewer.program.flow.objects import result_used, root_of
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame


def freed_as_started(teardown: Teardown) -> Iterator[Finding]:
    """A function that starts a callback and, on some way from there on, frees the object with nothing that stops it between: as a
    rule where a later step has failed."""
    lives = teardown.lives
    for func, acts, ends in ending(teardown):
        told: set[str] = set()
        for act in (a for a in acts if a.kind == "start" and a.what in CALLBACKS and owner_of(a.name)):
            end = next((e for e in ends if e.path == holder(act.path) and started_before(teardown, func, act, e)), None)
            uses = lives.uses(act.name, func.path)
            if end is None or act.name in told or not uses.set_up:
                continue
            told.add(act.name)
            if not teardown.counted(uses, func.path) and not synchronous(teardown, uses):
                yield finding(teardown, func, end.at, act, None, end, None, "medium")


def ending(teardown: Teardown) -> Iterator[tuple[Func, tuple[Act, ...], list[Act]]]:
    """The functions that free objects of a known type: with all that they do to lives, and with the frees."""
    for func in teardown.focus.functions:
        acts = teardown.lives.acts(func) if teardown.lives.may_act(func, 0) else ()
        ends = [a for a in acts if a.kind == "free" and a.struct and a.path is not None]
        if ends:
            yield func, acts, ends


def started_before(teardown: Teardown, func: Func, act: Act, end: Act) -> bool:
    """Whether a way leads from where a function starts a callback to where it frees the object, past all that may stop it."""
    flow = teardown.focus.flow(func)
    body = flow.frame.body if flow is not None else None
    if flow is None or body is None or end.at < act.at or not kept(teardown, func, act, end):
        return False
    seen = {s.event.at: s for s in flow.seen}
    call = seen[act.at].event if act.at in seen else None
    if end.at not in seen or not isinstance(call, Call) or result_used(flow.frame, call):
        return False
    stops = [(s.block, s.event.at) for s in flow.seen if s.event.at != act.at and may_stop(teardown, func, act, s)]
    barred = teardown.focus.ways.barred(func, act.at)
    return leads(body, (seen[act.at].block, act.at), (seen[end.at].block, end.at), stops, barred)


def leads(
    body: Body, first: tuple[int, int], last: tuple[int, int], past: Iterable[tuple[int, int]],
    barred: frozenset[tuple[int, int]] = frozenset(),
) -> bool:  # fmt: skip
    """Whether a way leads from one point of a function to another one and comes past none of some others: each a block and a
    position.

    :param barred: edges that it does not take.
    """
    (begin, at), (end, until) = first, last
    points = list(past)
    if begin == end and at < until:
        return not any(block == begin and at < p < until for block, p in points)
    if any((block == begin and p > at) or (block == end and p < until) for block, p in points):
        return False
    todo, met = [begin], {block for block, _ in points if block not in (begin, end)}
    while todo:
        here = todo.pop()
        for b in (to for to in successors(body.blocks[here].exit) if (here, to) not in barred):
            if b == end:
                return True
            if b not in met:
                met.add(b)
                todo.append(b)
    return False


def may_stop(teardown: Teardown, func: Func, act: Act, seen: Seen) -> bool:
    """Whether a call may keep a callback from running: it stops one, or waits; it reaches what does so; or the object is given
    to whom we cannot follow."""
    call, lives = seen.event, teardown.lives
    if not isinstance(call, Call):
        return False
    given = {act.path, holder(act.path)}
    frame = teardown.program.frame(func)
    pointers = [arg for args in seen.args for arg in args if may_point(frame, arg)]
    passes = any(root_of(arg) == root_of(p) for arg in pointers for p in given if p is not None)
    targets = list(teardown.focus.summaries.calls.targets(frame, seen.callee or call.callee))
    uses = lives.uses(act.name, func.path) if act.name else Uses()
    stopping = {a.func.key for a in uses.stops}
    for target in targets:
        if target.model is not None:
            if any(w.what != "irq" or act.what == "irq" for w in target.model.waits) or target.model.cancels:
                return True
        elif target.func is not None:
            below = lives.below(target.func)
            if not stopping.isdisjoint(below) or any(teardown.drains(f, uses.queues) for f in below.values()):
                return True
            if passes and posixpath.dirname(target.func.path) != posixpath.dirname(func.path) and target.func.path.endswith(".c"):
                return True
    return passes and not targets


def may_point(frame: Frame, arg: Expr) -> bool:
    """Whether a value may lead to an object: it is no number."""
    type_ = frame.type_of(arg)
    return type_ is None or bool(frame.resolve(type_).pointer or type_.array)


def after_the_end(teardown: Teardown) -> Iterator[Finding]:
    """A wait for a callback, or for the queue on which it runs, only after the object that has it inside was freed."""
    for func, acts, ends in ending(teardown):
        for stop in (a for a in acts if a.kind == "stop" and a.waits):
            late = next((e for e in ends if e.at < stop.at and comes_to(teardown, func, e.at, stop.at)), None)
            if late is not None and stop.what == "workqueue":
                yield from drained_late(teardown, func, late, stop)
            elif late is not None and stop.what in CALLBACKS and holder(stop.path) == late.path:
                stopped = any(a.name == stop.name and a.at < late.at for a in acts if a.kind == "stop")
                if not stopped and kept(teardown, func, late, stop):
                    yield finding(teardown, func, late.at, stop, None, late, None, "high", late=True)


def drained_late(teardown: Teardown, func: Func, end: Act, stop: Act) -> Iterator[Finding]:
    """The works of an object that has ended, whose queue is waited for only now."""
    lives = teardown.lives
    acts = [a for f in teardown.program.functions_in(func.path) if lives.may_act(f, 0) for a in lives.acts(f, 0)]
    for act in {a.name: a for a in acts if a.kind == "setup" and a.what == "work" and owner_of(a.name)}.values():
        uses = lives.uses(act.name, func.path)
        before = any(a.kind == "stop" and a.at < end.at and a.name in (act.name, stop.name) for a in lives.acts(func))
        if before or uses.stops or uses.escapes or stop.name.lstrip("*") not in {q.lstrip("*") for q in uses.queues}:
            continue
        if lives.contains(end.struct, owner_of(act.name), func.path) and teardown.runs(uses, func.path):
            if not teardown.counted(uses, func.path) and not synchronous(teardown, uses):
                yield finding(teardown, func, end.at, act, None, end, None, "medium", late=True)


def kept(teardown: Teardown, func: Func, first: Act, then: Act) -> bool:
    """Whether a function may come from one act to another one with the pointer by which both know their object not written
    between: the cursor of a loop is, each time round."""
    flow = teardown.focus.flow(func)
    body = flow.frame.body if flow is not None else None
    root = root_of(first.path) if first.path is not None else None
    if flow is None or body is None:
        return False
    blocks = {s.event.at: s.block for s in flow.seen}
    written = [(s.block, s.event.at) for s in flow.seen if writes(flow.frame, s, root)]
    if first.at not in blocks or then.at not in blocks:
        return False
    return leads(body, (blocks[first.at], first.at), (blocks[then.at], then.at), written)


def writes(frame: Frame, seen: Seen, root: Expr | None) -> bool:
    """Whether an event puts something else into a variable, or returns the value once more."""
    event = seen.event
    if isinstance(event, Write):
        return frame.canonical(event.target, {}) == root
    if isinstance(root, Result):
        return isinstance(event, Call) and event.number == root.call
    return isinstance(event, Call) and event.loop and any(frame.canonical(a, {}) == root for a in event.args)


def comes_to(teardown: Teardown, func: Func, first: int, then: int) -> bool:
    """Whether a function may come from one position to another one."""
    flow = teardown.focus.flow(func)
    body = flow.frame.body if flow is not None else None
    if flow is None or body is None:
        return False
    blocks = {s.event.at: s.block for s in flow.seen}
    return first in blocks and then in blocks and blocks[then] in reached(body, [blocks[first]])
