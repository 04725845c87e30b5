"""teardown-order: a callback is stopped while an interrupt that starts it again is still there.

A managed interrupt goes only after ``remove()``; one that is freed by hand, where it is freed. Silent if the function has turned
any interrupt off before, by a function that is known to do so or has a name that says so: then no handler runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.finding import Finding
from reviewer.checks.teardown.base import CALLBACKS, Teardown, finding
from reviewer.checks.teardown.irq_left import Request, asks_for_irq, frees_irq, is_managed, requests, waits_for_irq
from reviewer.checks.teardown.restarted import always, unheeding
from reviewer.parse.facts import Call, Name
from reviewer.program.concurrency.lifetimes import Act, owner_of
from reviewer.program.linked.link import Func


def again_by_irq(teardown: Teardown) -> Iterator[Finding]:
    lives = teardown.lives
    for func in teardown.focus.functions:
        if not lives.may_act(func):
            continue
        begins = [begin for begin, end in ended_by(teardown, func)]
        stops = {a.name: a for a in lives.acts(func) if a.kind == "stop" and a.name and a.what in CALLBACKS}  # the last of each
        for stop in stops.values() if begins else ():
            if stop.waits and not stop.for_good and owner_of(stop.name):
                yield from restarted_by(teardown, func, stop, begins)


def ended_by(teardown: Teardown, func: Func) -> Iterator[tuple[Func, Func]]:
    """What begins the objects that an operation ends, each with the operation."""
    ends = teardown.program.models.ends_of
    for slot, table in teardown.lives.operations(func):
        for begin in teardown.program.resolve(table[ends[slot]], func.path) if ends.get(slot) in table else ():
            yield begin, func


def restarted_by(teardown: Teardown, func: Func, stop: Act, begins: list[Func]) -> Iterator[Finding]:
    for begin in begins:
        ended = teardown.ends(stop.name, [func], begin)
        if ended is None and not teardown.lives.managed(begin, owner_of(stop.name)):
            continue
        asking = (f for f in teardown.lives.below(begin).values() if asks_for_irq(teardown, f))
        for request in (r for f in asking for r in requests(teardown, f)):
            again = started_by(teardown, request, stop) if request.enabled else None
            if again is not None and alive(teardown, func, request, stop):
                yield finding(teardown, func, stop.at, stop, stop, ended, func, "medium", again)
                return


def started_by(teardown: Teardown, request: Request, stop: Act) -> Act | None:
    """Where the handler of an interrupt starts a callback whatever has happened."""
    handlers = {h.key for name in request.handlers for h in teardown.program.resolve(name, request.act.func.path)}
    starts = teardown.lives.uses(stop.name, stop.func.path).starts
    return next((a for a in starts if a.func.key in handlers and (always(teardown, a) or unheeding(teardown, a))), None)


def alive(teardown: Teardown, func: Func, request: Request, stop: Act) -> bool:
    """Whether an interrupt still comes where a function stops a callback for the last time."""
    if is_managed(teardown, request) and not frees_irq(teardown, func):
        return True
    flow = teardown.focus.flow(func)
    calls = [s.event for s in (flow.seen if flow is not None else ()) if isinstance(s.event, Call)]
    named = [(c.callee.id, c.at) for c in calls if isinstance(c.callee, Name)]
    ends = [at for name, at in named if waits_for_irq(teardown, name)]
    return bool(ends) and min(ends) > stop.at and not any("irq" in name for name, at in named if at < stop.at)
