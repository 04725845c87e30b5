"""What code leaves to RCU: functions that a call has run after a grace period."""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.focus import Focus
from reviewer.parse.facts import Call, Name
from reviewer.program.api.models import Function as Model
from reviewer.program.concurrency.grace import DOES
from reviewer.program.flow.lockflow import Flow, Seen
from reviewer.program.linked.link import Func


def model_of(focus: Focus, seen: Seen) -> Model | None:
    event = seen.event
    return focus.program.model(event.callee.id) if isinstance(event, Call) and isinstance(event.callee, Name) else None


def left_to_rcu(focus: Focus, flow: Flow, seen: Seen) -> Iterator[Func]:
    """Functions that a call has run after a grace period."""
    model = model_of(focus, seen)
    for spec in model.registers if model is not None and seen.args else ():
        if spec.how == "rcu" and spec.callback is not None:
            yield from focus.setups.started(flow.frame, spec, seen.args[0])


def own_left_to_rcu(focus: Focus, path: str) -> Iterator[tuple[Seen, Func, Flow]]:
    """``(call, callback, flow of its function)`` where a file leaves one of its own functions to RCU."""
    for func in focus.program.functions_in(path):
        flow = focus.flow(func) if focus.horizon.has(DOES["defer"], func, 0) else None
        if flow is not None:
            yield from ((seen, f, flow) for seen in flow.seen for f in left_to_rcu(focus, flow, seen) if f.path == path)
