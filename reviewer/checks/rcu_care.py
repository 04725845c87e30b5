"""What a function does for RCU readers, to be held against what it did before a patch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from reviewer.checks.deferred import model_of
from reviewer.checks.focus import Focus
from reviewer.parse.facts import AddressOf, Call, Cast, Const, Deref, Expr, Index, Member, Result
from reviewer.program.api.models import Function as Model
from reviewer.program.concurrency.grace import DOES, Grace, owner
from reviewer.program.flow.lockflow import Flow, Seen
from reviewer.program.flow.summaries import place
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import lock_class
from reviewer.program.linked.structs import Frame


@dataclass(slots=True)
class Care:
    """What a function does for readers: objects freed later, what it waits in (by itself: for a grace period, and not, perhaps,
    in a callee, or for callbacks), what it gives those callees, and whose readers these are, entries added or removed with care,
    where readers find what was initialised before."""

    later: set[str] = field(default_factory=set)
    waits: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    by_itself: bool = False
    variants: set[tuple[str, str]] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    published: dict[str, str] = field(default_factory=dict)


def care_of(focus: Focus, func: Func) -> Care:
    """Of the function of this name in a focus."""
    found = Care()
    grace = Grace(focus.summaries)
    for mine in focus.program.functions(func.path, func.name):
        flow = focus.flow(mine)
        for seen in flow.seen if flow is not None else ():
            if not isinstance(seen.event, Call) or flow is None:
                continue
            model = model_of(focus, seen)
            if grace.waits(flow.frame, seen.event, seen.callee):
                found.waits.add(values.show(seen.event.callee))
                found.given.update(said(flow.frame, part) for args in seen.args for a in args for part in steps(a))
                found.by_itself |= model is not None and any(w.what != "callbacks" for w in model.waits)
            if model is None or not seen.args:
                continue
            found.names.add(model.name)
            domain = domain_of(flow, seen, model)
            if domain is not None:
                found.domains.add(domain)
            if model.frees_later is not None and model.frees_later < len(seen.args[0]):
                found.later.add(values.show(owner(flow.frame, seen.args[0][model.frees_later])))
            spec = model.publishes
            where = place(spec.object, seen.args[0]) if spec is not None and spec.ordered else None
            if spec is not None and where is not None and not isinstance(seen.args[0][spec.value], Const):
                found.published[values.show(where)] = model.name
            if model.variant_of and seen.args[0]:
                found.variants.add((model.variant_of, values.show(seen.args[0][0])))
    return found


def said(frame: Frame, path: Expr) -> str:
    """A path in words that are the same on both sides of a patch, whatever number a call has."""
    def by_name(expr: Expr) -> Expr | None:
        call = frame.call(expr.call) if isinstance(expr, Result) else None
        return call.callee if call is not None else None

    return values.show(values.rebuild(path, by_name))


def steps(path: Expr) -> Iterator[Expr]:
    """A path and what is passed on the way to its end, one after the other."""
    yield path
    while isinstance(path, Member | Deref | AddressOf | Index | Cast):
        path = path.operand if isinstance(path, Cast) else path.base
        yield path


def domain_of(flow: Flow, seen: Seen, model: Model | None) -> str | None:
    """Whose readers a call waits for by itself: the class of an SRCU domain, "" of RCU; None if it waits for none."""
    if model is None or not DOES["wait"](model):
        return None
    return lock_class(flow.frame, values.deref(seen.args[0][0])) if seen.args and seen.args[0] else ""
