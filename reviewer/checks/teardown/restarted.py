"""teardown-order: a callback is stopped before what starts it again."""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.finding import Finding
from reviewer.checks.teardown.base import CALLBACKS, Teardown, finding
from reviewer.parse.facts import Const, Expr, Result
from reviewer.program.concurrency.lifetimes import Act
from reviewer.program.flow.lockflow import on_every_way
from reviewer.program.flow.objects import objects_read
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame
from reviewer.program.linked.values import walk


def wrong_order(teardown: Teardown) -> Iterator[Finding]:
    lives = teardown.lives
    for func in teardown.focus.functions:
        if not lives.may_act(func):
            continue
        stops = [a for a in lives.acts(func) if a.kind == "stop" and a.name and a.what in CALLBACKS]
        for first in stops:
            later = [a for a in stops if a.at > first.at and a.name != first.name]
            if first.waits and not first.for_good and later and not any(a.name == first.name and a.at > first.at for a in stops):
                yield from restarted(teardown, func, first, later)


def restarted(teardown: Teardown, func: Func, first: Act, later: list[Act]) -> Iterator[Finding]:
    """A callback that has been stopped, and one stopped after it that starts it again whatever has happened."""
    lives = teardown.lives
    mine = lives.uses(first.name, func.path)
    for second in later:
        other = lives.uses(second.name, func.path)
        for callback in teardown.callbacks(other, func.path):
            above = teardown.tops(func)
            again = next(
                (a for a in mine.starts if a.func.key == callback.key and (always(teardown, a) or unheeding(teardown, a))), None
            )
            if again is None:
                continue
            ended, unbound = teardown.ends(first.name, above), teardown.unbinds(above)
            if ended is not None or unbound is not None:
                yield finding(teardown, func, first.at, first, first, ended, unbound, "medium", again)
                return


def always(teardown: Teardown, act: Act) -> bool:
    """Whether its function comes to an act on every path."""
    flow = teardown.focus.flow(act.func)
    body = flow.frame.body if flow is not None else None
    if flow is None or body is None:
        return False
    return on_every_way(body, next((s.block for s in flow.seen if s.event.at == act.at), 0))


def unheeding(teardown: Teardown, act: Act) -> bool:
    """Whether what decides that a function comes to an act is the function's own, so that nobody can keep it from that."""
    frame = teardown.program.frame(act.func)
    guards = teardown.focus.ways.guards(act.func, act.at)
    return all(not objects_read(frame, g.condition) and reckoned(frame, g.condition) for g in guards)


def reckoned(frame: Frame, condition: Expr) -> bool:
    """Whether the calls in a condition only reckon with what they are given, and look at no object (``ktime_to_ns(t) < 0``)."""
    for call in (frame.call(e.call) for e in walk(condition) if isinstance(e, Result)):
        args = [frame.canonical(arg, {}) for arg in call.args] if call is not None else []
        if not args or not all(reckoned(frame, arg) if isinstance(arg, Result) else is_number(frame, arg) for arg in args):
            return False
    return True


def is_number(frame: Frame, expr: Expr) -> bool:
    """Whether a value is a constant, or of a type that points to nothing."""
    type_ = frame.type_of(expr)
    return isinstance(expr, Const) or (type_ is not None and not frame.resolve(type_).pointer)
