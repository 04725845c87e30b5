"""A word of an object that has it freed after a grace period, and that a patch says no more before the object is given up."""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.deferred import model_of
from reviewer.checks.focus import Focus
from reviewer.parse.facts import Call, Expr, Member, Name
from reviewer.program.concurrency.grace import Grace
from reviewer.program.flow.lockflow import Flow, Seen
from reviewer.program.flow.summaries import stored
from reviewer.program.linked import values
from reviewer.program.linked.link import Func


def unasked(focus: Focus, grace: Grace, func: Func) -> Iterator[tuple[Seen, Func, str, Seen]]:
    """``(call, callee, field, what the callee defers by)``: the function gives an object to a callee that asks it for the field,
    and leaves it to RCU only where that is set; before the patch the function set it (``map->free_after_gp = true; put(map);``).

    Nothing where another function of the patch stores to the field instead.
    """
    before = {f.name for flow in focus.flows_before(func) for f in fields(focus, flow)}
    flow = focus.flow(func) if before else None
    if flow is None:
        return
    gone = before - {f.name for f in fields(focus, flow)} - newly_stored(focus, func)
    for seen in flow.seen if gone else ():
        callee = seen.event.callee if isinstance(seen.event, Call) else None
        for target in focus.summaries.calls.named(callee.id, func.path)[:1] if isinstance(callee, Name) else ():
            if target.func is None or gone.isdisjoint(target.func.words):
                continue
            for left, name in deferred_by(focus, grace, target.func):
                if name in gone:
                    yield seen, target.func, name, left
                    return


def fields(focus: Focus, flow: Flow) -> Iterator[Member]:
    """The fields that a function stores to."""
    for seen in flow.seen:
        yield from (path for path in stored(seen, model_of(focus, seen)) if isinstance(path, Member))


def newly_stored(focus: Focus, besides: Func) -> set[str]:
    """The fields to which other functions of a patch store, and did not before."""
    found: set[str] = set()
    for func in focus.functions:
        flow = focus.flow(func) if func.key != besides.key and focus.edited(func) else None
        if flow is not None:
            were = {f.name for was in focus.flows_before(func) for f in fields(focus, was)}
            found |= {f.name for f in fields(focus, flow)} - were
    return found


def deferred_by(focus: Focus, grace: Grace, func: Func) -> Iterator[tuple[Seen, str]]:
    """Calls of a function that leave something to RCU, each with a field without which it does not come to them."""
    flow = focus.flow(func) if grace.may("defer", func, 1) else None
    for seen in flow.seen if flow is not None else ():
        if flow is not None and isinstance(seen.event, Call) and grace.defers(flow.frame, seen.event, seen.callee):
            for guard in focus.ways.guards(func, seen.event.at):
                name = asked_field(guard.condition) if guard.truth else ""
                if name:
                    yield seen, name


def asked_field(condition: Expr) -> str:
    """The field that a condition asks for, and nothing else."""
    members = [e for e in values.walk(condition) if isinstance(e, Member)]
    return condition.name if isinstance(condition, Member) else members[0].name if len(members) == 1 else ""
