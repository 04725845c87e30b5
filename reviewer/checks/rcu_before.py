"""What a patch takes from RCU readers: a free that waited for them, a wait, a list function that they could stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from reviewer.checks.focus import Focus
from reviewer.parse.facts import Call, Expr, Name
from reviewer.program import values
from reviewer.program.grace import Deed, Grace, owner
from reviewer.program.link import Func
from reviewer.program.lockflow import Flow, Seen
from reviewer.program.models import Function as Model


@dataclass(slots=True)
class Care:
    """What a function does for readers: objects freed later, whether it waits, entries that it adds or removes with care."""

    later: set[str] = field(default_factory=set)
    waits: bool = False
    variants: set[tuple[str, str]] = field(default_factory=set)
    names: set[str] = field(default_factory=set)


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
            found.waits |= grace.waits(flow.frame, seen.event, seen.callee)
            if model is None or not seen.args:
                continue
            found.names.add(model.name)
            if model.frees_later is not None and model.frees_later < len(seen.args[0]):
                found.later.add(values.show(owner(flow.frame, seen.args[0][model.frees_later])))
            if model.variant_of and seen.args[0]:
                found.variants.add((model.variant_of, values.show(seen.args[0][0])))
    return found


def lost(focus: Focus, flow: Flow) -> Iterator[tuple[Seen, Expr, str, Deed | None]]:
    """``(event, object, what was lost, where it is freed)`` for what the function did before the patch and does not any more."""
    func = flow.frame.func
    if focus.before is None:
        return
    before = care_of(focus.before, func)
    if not (before.later or before.waits or before.variants):
        return
    now = care_of(focus, func)
    grace = Grace(focus.summaries)
    unwaited = before.waits and not now.waits and not now.later
    for seen in flow.seen:
        if not isinstance(seen.event, Call) or not seen.args:
            continue
        deeds = grace.at(flow.frame, seen.event, seen.callee, seen.args[0])
        for freed in deeds.frees if not now.waits else ():
            if values.show(freed.object) in before.later:
                yield seen, freed.object, "later, after a grace period", freed
            elif unwaited:
                yield seen, freed.object, "after a wait for RCU readers", freed
                unwaited = False
        model = model_of(focus, seen)
        if model is not None and seen.args[0] and (model.name, values.show(seen.args[0][0])) in before.variants - now.variants:
            yield seen, seen.args[0][0], f"with {model.name}'s RCU variant", None


def model_of(focus: Focus, seen: Seen) -> Model | None:
    event = seen.event
    return focus.program.model(event.callee.id) if isinstance(event, Call) and isinstance(event.callee, Name) else None
