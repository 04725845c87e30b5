"""What was found in an RCU read section and outlasted it by a reference of its own, which a patch takes away."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewer.checks.deferred import model_of
from reviewer.checks.focus import Focus
from reviewer.checks.rcu_sections import does, is_section
from reviewer.parse.facts import AddressOf, Call, Cast, Expr, Member, Name, Result, Write
from reviewer.program.concurrency.lifetimes import GET, PUT
from reviewer.program.flow.lockflow import Flow, Seen
from reviewer.program.flow.precedence import always_first
from reviewer.program.linked.link import Func
from reviewer.program.linked.values import walk


def unpinned(focus: Focus, func: Func) -> Iterator[tuple[Seen, str, Seen]]:
    """``(event, variable, end of the section)``: the first use of each pointer that is good no longer."""
    flow = focus.flow(func) if focus.edited(func) and focus.before is not None else None
    if flow is None:
        return
    pinned: set[str] = set()
    finders: dict[str, set[str]] = {}
    for was in focus.flows_before(func):
        pinned |= {v for s in was.seen if in_section(s) for v in given(s, GET)}
        for variable, callee in found_by(was):
            finders.setdefault(variable, set()).add(callee)
    pinned -= {v for s in flow.seen for v in (*given(s, PUT), *(given(s, GET) if in_section(s) else ()))}
    pinned -= {v for v, callee in found_by(flow) if callee not in finders.get(v, set())}
    ends = [s for s in flow.seen if in_section(s) and ends_section(focus, s)] if pinned else []
    for seen in flow.seen if ends else ():
        over = next((e for e in ends if always_first(flow.frame, e, seen)), None)
        if over is None or any(map(does, seen.may())):
            continue
        used = next((v for v in sorted(pinned) if uses(seen, v)), None)
        if used is not None:
            pinned.discard(used)
            yield seen, used, over


def in_section(seen: Seen) -> bool:
    return any(map(is_section, seen.must()))


def ends_section(focus: Focus, seen: Seen) -> bool:
    model = model_of(focus, seen)
    return model is not None and any(h.kind == "rcu" for h in model.drops)


def given(seen: Seen, named: re.Pattern[str]) -> Iterator[str]:
    """The local variable whose object a call named so gets: itself, or a part of it (``kref_get(&p->kref)``)."""
    event = seen.event
    if isinstance(event, Call) and isinstance(event.callee, Name) and event.args and named.search(event.callee.id):
        yield from variable_of(event.args[0])


def found_by(flow: Flow) -> Iterator[tuple[str, str]]:
    """Local variables with the functions whose result they are given."""
    for seen in flow.seen:
        event = seen.event
        if isinstance(event, Write) and isinstance(event.target, Name) and isinstance(event.value, Result):
            call = flow.frame.call(event.value.call)
            if call is not None and isinstance(call.callee, Name):
                yield event.target.id, call.callee.id


def variable_of(expr: Expr) -> Iterator[str]:
    while isinstance(expr, AddressOf | Cast | Member):
        expr = expr.operand if isinstance(expr, Cast) else expr.base
    if isinstance(expr, Name):
        yield expr.id


def uses(seen: Seen, variable: str) -> bool:
    """Whether an event hands a pointer on, or follows it."""
    event = seen.event
    parts = event.args if isinstance(event, Call) else (event.target, event.value) if isinstance(event, Write) else (event.value,)
    return any(
        (isinstance(event, Call) and part == Name(variable)) or (isinstance(e, Member) and e.arrow and e.base == Name(variable))
        for part in parts for e in walk(part)
    )
