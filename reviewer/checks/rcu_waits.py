"""Waits for RCU readers that a patch takes away, or has come too late."""

from __future__ import annotations

from reviewer.checks.deferred import model_of, own_left_to_rcu
from reviewer.checks.focus import Focus
from reviewer.checks.rcu_care import Care, care_of, domain_of
from reviewer.checks.rcu_sections import line_of
from reviewer.parse.facts import Call, Name
from reviewer.program.api.models import Function as Model
from reviewer.program.concurrency.grace import DOES, Grace
from reviewer.program.flow.lockflow import Flow, Seen, on_every_way
from reviewer.program.flow.precedence import always_first, comes_first
from reviewer.program.linked.link import Func

UNLINKS = 2
"""How far below a call something is looked for that takes something away from readers, or frees it."""


def fewer_waits(focus: Focus, func: Func, before: Care, now: Care) -> bool:
    """Whether a function waited for readers by itself and now neither it nor another function of the patch does so instead."""
    old = focus.before
    assert old is not None
    some = now.by_itself and now.domains < before.domains and now.waits <= before.waits
    if not before.by_itself or not (some or (not now.by_itself and now.waits < before.waits)) or not now.later <= before.later:
        return False
    others = [(care_of(focus, f), care_of(old, f)) for f in focus.functions if f.key != func.key and focus.edited(f)]
    return not any(after.waits - was.waits or after.domains - was.domains for after, was in others)


def wait_gone(focus: Focus, flow: Flow, before: Care, now: Care) -> tuple[Seen, str] | None:
    """``(event, callee)``: the last call of a function that takes something away from readers, for whom it then waited by itself
    before the patch, and for whom now neither it nor any other function of the patch does."""
    func, old, body = flow.frame.func, focus.before, flow.frame.body
    assert old is not None
    if not fewer_waits(focus, func, before, now):
        return None
    grace = Grace(focus.summaries)
    then = [(was, s) for was in focus.flows_before(func) for s in was.seen]
    gone = before.domains - now.domains or before.domains
    last = max((s.event.at for was, s in then if domain_of(was, s, model_of(old, s)) in gone), default=0)
    taken = {line_of(old, was.frame.func, s) for was, s in then if s.event.at < last}
    for s in sorted(flow.seen, key=lambda s: s.event.at, reverse=True):
        if not isinstance(s.event, Call) or not isinstance(s.event.callee, Name) or line_of(focus, func, s) not in taken:
            continue
        waits = grace.waits(flow.frame, s.event, s.callee) and domain_of(flow, s, model_of(focus, s)) in {None, *gone}
        if body is not None and waits and on_every_way(body, s.block):
            return None
        if does_by_name(grace, "unlink", func, s.event.callee.id):
            return s, s.event.callee.id
    return None


def does_by_name(grace: Grace, what: str, func: Func, callee: str) -> bool:
    """Whether what a function calls by a name unlinks or frees something, by itself or not far below."""
    return any(
        DOES[what](t.model) if t.model is not None else t.func is not None and grace.may(what, t.func, UNLINKS)
        for t in grace.summaries.calls.named(callee, func.path)
    )


def overtaken(focus: Focus, flow: Flow) -> tuple[Seen, str] | None:
    """``(event, callee)``: a call that frees and that had a wait for readers before it on every way, and has none now, although
    the function still waits: further down, for what it has taken away from them before either."""
    func, old = flow.frame.func, focus.before
    assert old is not None
    waits = waits_in(focus, flow)
    taken = [s for s in flow.seen if (m := model_of(focus, s)) is not None and (m.publishes is not None or DOES["unlink"](m))]
    if not waits or not taken:
        return None
    after = {
        line_of(old, was.frame.func, s) for was in focus.flows_before(func) for w in waits_in(old, was) for s in was.seen
        if isinstance(s.event, Call) and always_first(was.frame, w, s)
    }  # fmt: skip
    grace = Grace(focus.summaries)
    for s in flow.seen if after else ():
        if not isinstance(s.event, Call) or not isinstance(s.event.callee, Name) or line_of(focus, func, s) not in after:
            continue
        if any(comes_first(flow.frame, w, s) for w in waits) or not any(comes_first(flow.frame, t, s) for t in taken):
            continue
        if does_by_name(grace, "free", func, s.event.callee.id):
            return s, s.event.callee.id
    return None


def waits_in(focus: Focus, flow: Flow) -> list[Seen]:
    """Where a function waits for readers by itself."""
    return [s for s in flow.seen if domain_of(flow, s, model_of(focus, s)) is not None]


def barrier_gone(focus: Focus, flow: Flow, before: Care, now: Care) -> tuple[Seen, Func, Flow] | None:
    """``(call, callback, flow of its function)``: what the file leaves to RCU, and a function waited for before the patch
    (Documentation/RCU/rcubarrier.rst); now neither it does nor another function of the patch."""
    func, old = flow.frame.func, focus.before
    assert old is not None
    gone = {w for w in before.waits - now.waits if (m := focus.program.model(w)) is not None and for_callbacks(m)}
    others = (f for f in focus.functions if f.key != func.key and focus.edited(f))
    if not gone or not flow.seen or any(gone & (care_of(focus, f).waits - care_of(old, f).waits) for f in others):
        return None
    return next(own_left_to_rcu(focus, func.path), None)


def for_callbacks(model: Model) -> bool:
    return any(w.what == "callbacks" for w in model.waits)
