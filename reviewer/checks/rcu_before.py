"""What a patch frees, links or unlinks with less care for RCU readers than before."""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.deferred import left_to_rcu, model_of
from reviewer.checks.focus import Focus
from reviewer.checks.rcu_care import Care, said
from reviewer.checks.rcu_waits import fewer_waits
from reviewer.parse.facts import AddressOf, Call, Cast, Const, Expr, Member, Name, Write
from reviewer.program.api.models import Function as Model
from reviewer.program.concurrency.grace import DOES, Deed, Grace
from reviewer.program.flow.lockflow import Flow, Seen, on_every_way
from reviewer.program.linked import values
from reviewer.program.linked.link import Func


def lost(focus: Focus, flow: Flow, before: Care, now: Care) -> Iterator[tuple[Seen, Expr, str, Deed | None]]:
    """``(event, object, what was lost, where it is freed)`` for what the function did before the patch and does not any more."""
    if not waits_instead(before, now):
        for seen, object_, name in hastened(focus, flow):
            yield seen, object_, "later, after a grace period", Deed(object_, name, flow.frame.func, seen.event.at)
    if not (before.later or before.waits or before.variants or before.published):
        return
    grace = Grace(focus.summaries)
    unwaited = (before.waits and not now.waits and now.later <= before.later) or sometimes(focus, flow, before, now)
    for seen in flow.seen:
        if isinstance(seen.event, Write) and not isinstance(seen.args[0][1], Const):
            api = before.published.get(values.show(seen.args[0][0]))
            if api is not None and values.show(seen.args[0][0]) not in now.published:
                yield seen, seen.args[0][0], f"by {api}(), which keeps the order", None
        if not isinstance(seen.event, Call) or not seen.args:
            continue
        deeds = grace.at(flow.frame, seen.event, seen.callee, seen.args[0])
        for freed in deeds.frees if not waits_instead(before, now) else ():
            if values.show(freed.object) in before.later:
                yield seen, freed.object, "later, after a grace period", freed
            elif unwaited and (before.by_itself or said(flow.frame, freed.object) in before.given):
                yield seen, freed.object, "after a wait for RCU readers", freed
                unwaited = False
        model = model_of(focus, seen)
        if model is not None and seen.args[0] and (model.name, values.show(seen.args[0][0])) in before.variants - now.variants:
            yield seen, seen.args[0][0], f"with {model.name}'s RCU variant", None


def sometimes(focus: Focus, flow: Flow, before: Care, now: Care) -> bool:
    """Whether a function waited for readers by itself, on every way, and now only some of its ways do, in a callee."""
    old = focus.before
    if old is None or flow.frame.body is None or not fewer_waits(focus, flow.frame.func, before, now):
        return False
    grace = Grace(focus.summaries)
    always = any(
        was.frame.body is not None and on_every_way(was.frame.body, s.block)
        for was in focus.flows_before(flow.frame.func) for s in was.seen
        if (m := model_of(old, s)) is not None and DOES["wait"](m)
    )
    return always and not any(
        isinstance(s.event, Call) and grace.waits(flow.frame, s.event, s.callee) and on_every_way(flow.frame.body, s.block)
        for s in flow.seen
    )


def hastened(focus: Focus, flow: Flow) -> Iterator[tuple[Seen, Expr, str]]:
    """What the function does to an object by itself without a wait (it frees a part of it, or hands it on to be freed), and what
    before the patch was done by a callback that it left to RCU, and that does so no more or is not left to it any more."""
    func, old = flow.frame.func, focus.before
    assert old is not None
    before = focus.flows_before(func)
    left = {f.name: f for was in before for seen in was.seen for f in left_to_rcu(old, was, seen)}
    if not left:
        return
    still = {f.name: f for seen in flow.seen for f in left_to_rcu(focus, flow, seen)}
    mine = {key for was in before for key in done_to(old, was.frame.func)}
    now = done_to(focus, func)
    for name, callback in left.items():
        kept = done_to(focus, still[name]).keys() if name in still else set()
        gone = done_to(old, callback).keys() - kept
        for key in sorted((gone & now.keys()) - mine):
            yield *now[key], key[0]


def waits_instead(before: Care, now: Care) -> bool:
    """Whether a function waits for readers, so that it may free at once: not because it has waited for something before, too, and
    left the object to RCU all the same."""
    return now.by_itself or not now.waits <= before.waits


def done_to(focus: Focus, func: Func) -> dict[tuple[str, str], tuple[Seen, Member]]:
    """Calls that work on a member of some object, by their names and that member; to set it up, or to read it, is no work."""
    found: dict[tuple[str, str], tuple[Seen, Member]] = {}
    flow = focus.flow(func)
    for seen in flow.seen if flow is not None else ():
        model = model_of(focus, seen)
        if not isinstance(seen.event, Call) or not isinstance(seen.event.callee, Name) or not seen.args:
            continue
        if model is None or not (only_reads(model) or sets_up(model)):
            for member in seen.args[0]:
                while isinstance(member, Cast | AddressOf):
                    member = member.operand if isinstance(member, Cast) else member.base
                if isinstance(member, Member):
                    found.setdefault((seen.event.callee.id, member.name), (seen, member))
    return found


def only_reads(model: Model) -> bool:
    """Whether a call tells of an object and leaves it as it was (``rcu_access_pointer()``, ``list_empty()``, ``kref_read()``)."""
    return model.passes or model.rcu_read is not None or bool(model.accesses and all(a.op == "read" for a in model.accesses))


def sets_up(model: Model) -> bool:
    """Whether a call says what is to run later, and does not start it (``INIT_WORK()``)."""
    return bool(model.registers) and not any(r.starts for r in model.registers)
