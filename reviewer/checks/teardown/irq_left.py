"""teardown-order: what an interrupt's handler is passed is freed, and the interrupt is not, or only afterwards.

A managed interrupt goes when the driver has been unbound, which is after whatever its ``remove()`` frees by itself
(Documentation/driver-api/driver-model/devres.rst). The handler's object is the last argument of all that ask for an interrupt
(kernel-doc in kernel/irq/manage.c).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from reviewer.checks.finding import Finding
from reviewer.checks.teardown.base import Teardown, finding
from reviewer.checks.teardown.ended_early import kept
from reviewer.checks.teardown.never_stopped import LEVELS_TO_BEGIN, made_here
from reviewer.parse.facts import AddressOf, Call, Expr, Member, Name
from reviewer.program.api.models import Function as Model
from reviewer.program.concurrency.lifetimes import Act, pointed
from reviewer.program.flow.objects import object_name, rooted
from reviewer.program.linked.calls import function_names
from reviewer.program.linked.link import Func
from reviewer.program.linked.values import walk

IRQ = frozenset({"irq", "threaded_irq"})

LATER = frozenset({"IRQF_NO_AUTOEN", "IRQ_NOAUTOEN"})
"""What an interrupt is asked for with that is enabled only later (include/linux/interrupt.h, irq.h)."""


class Request(NamedTuple):
    """Where an interrupt is asked for; ``api`` of the act is the handler, ``struct`` the type of what that is passed.

    ``device``: the struct with the device that manages it, "" where that is not said; ``api``: the function that asks;
    ``handlers``: what runs, also in a thread; ``shared``: with other devices; ``enabled``: it may come at once.
    """

    act: Act
    device: str
    api: str
    handlers: tuple[str, ...]
    shared: bool
    enabled: bool


def irq_left(teardown: Teardown) -> Iterator[Finding]:
    done: set[tuple[str, str]] = set()
    for func in teardown.focus.functions:
        for request in requests(teardown, func):
            if request.enabled and (request.act.struct, request.act.api) not in done:
                done.add((request.act.struct, request.act.api))
                yield from never_freed(teardown, request)
        yield from freed_late(teardown, func)


def modelled(teardown: Teardown, func: Func) -> Iterator[tuple[Model, tuple[Expr, ...], int]]:
    """The calls of a function to do with interrupts: the model, what is passed, and where."""
    models = teardown.program.models.functions
    if not any(name in models and about_irqs(models[name]) for name in func.calls):
        return
    flow = teardown.focus.flow(func)
    for seen in flow.seen if flow is not None else ():
        callee = seen.event.callee if isinstance(seen.event, Call) else None
        model = models.get(callee.id) if isinstance(callee, Name) else None
        if model is not None and about_irqs(model) and seen.args and len(seen.args[0]) > 1:
            yield model, seen.args[0], seen.event.at


def about_irqs(model: Model) -> bool:
    return any(r.how in IRQ for r in model.registers) or any(w.what == "irq" for w in model.waits)


def requests(teardown: Teardown, func: Func) -> Iterator[Request]:
    """Where a function asks for an interrupt whose handler is passed an object."""
    for model, args, at in modelled(teardown, func):
        if not model.registers:
            continue
        frame = teardown.program.frame(func)
        cookie = rooted(frame, args[-1])
        handlers = (r.callback for r in model.registers if r.how in IRQ and r.callback is not None and r.callback < len(args))
        names = [n for i in handlers for n in function_names(args[i]) if not n.startswith("%")]
        if struct := pointed(frame, cookie):
            device = args[0].base if isinstance(args[0], AddressOf) else None
            owner = pointed(frame, device.base) if isinstance(device, Member) else ""
            act = Act("start", "irq", "", cookie, func, at, names[0] if names else model.name, struct=struct)
            said = words(teardown, func, at)
            enabled = said.isdisjoint(LATER) and LATER.isdisjoint(func.words)
            yield Request(act, owner, model.name, tuple(names), "IRQF_SHARED" in said, enabled)


def asks_for_irq(teardown: Teardown, func: Func) -> bool:
    """Whether a function asks for an interrupt."""
    models = teardown.program.models.functions
    return any((m := models.get(name)) is not None and m.registers and about_irqs(m) for name in func.calls)


def waits_for_irq(teardown: Teardown, name: str) -> bool:
    """Whether no handler of an interrupt runs any more after a call of that name."""
    model = teardown.program.models.functions.get(name)
    return model is not None and any(w.what == "irq" for w in model.waits)


def words(teardown: Teardown, func: Func, at: int) -> frozenset[str]:
    """The words that a call is passed, as they are written."""
    flow = teardown.focus.flow(func)
    calls = (s.event for s in (flow.seen if flow is not None else ()) if s.event.at == at and isinstance(s.event, Call))
    return frozenset(e.id for call in calls for arg in call.args for e in walk(arg) if isinstance(e, Name))


def is_managed(teardown: Teardown, request: Request) -> bool:
    """Whether an interrupt is freed by itself when the driver is unbound."""
    return teardown.program.models.functions[request.api].managed


def never_freed(teardown: Teardown, asked: Request) -> Iterator[Finding]:
    """An operation that frees the object, and ends what another one began that asks for the interrupt, and has it enabled at
    once: whoever enables it later will turn it off again before. Of a managed one the
    device has to be the one that this operation is called for: that of another object ends as that does."""
    lives, request = teardown.lives, asked.act
    if any(frees_irq(teardown, end) for _, end in teardown.twins([request.func])):
        return  # what asks for it has a counterpart of its own, whoever else calls it
    for begin, end in teardown.twins(teardown.tops(request.func, LEVELS_TO_BEGIN)):
        if asked.device and all(p.type.name != asked.device for p in begin.parameters):
            continue
        freed = next((a for a in lives.frees(end) if ends_it(teardown, a, request)), None)
        if freed is not None and not frees_irq(teardown, end) and not closed(teardown, end, request):
            yield finding(teardown, freed.func, freed.at, request, None, freed, end, "medium", fellow=request)
            return


def ends_it(teardown: Teardown, freed: Act, request: Act) -> bool:
    """Whether what is freed is what the handler is passed, as far as types tell, or has that inside."""
    if made_here(teardown, freed.func, freed) or freed.func.key == request.func.key:
        return False
    return teardown.lives.contains(freed.struct, request.struct, freed.func.path)


def frees_irq(teardown: Teardown, end: Func) -> bool:
    """Whether an interrupt is freed, or turned off, below an operation; or perhaps, by what has a name that says so."""
    below = teardown.lives.below(end).values()
    models = teardown.program.models.functions
    return any("irq" in name and ((m := models.get(name)) is None or about_irqs(m)) for f in below for name in f.calls)


def closed(teardown: Teardown, end: Func, request: Act) -> bool:
    """Whether an operation of the same folder that an API runs below an ending one waits for an interrupt, and for no other one,
    as far as its number tells (``unregister_netdev()``: ``ndo_stop``)."""
    mine = {n for model, n in numbers(teardown, request.func, request.at) if n and model.registers}
    back = teardown.come_back(teardown.lives.below(end).values())
    found = (n for f in back.values() for model, n in numbers(teardown, f) if any(w.what == "irq" for w in model.waits))
    return any(not n or not mine or n in mine for n in found)


def numbers(teardown: Teardown, func: Func, only: int | None = None) -> Iterator[tuple[Model, str]]:
    """The calls of a function to do with interrupts, or that at one position, each with the member that holds the number of the
    interrupt; "" where that is another value."""
    models, frame = teardown.program.models.functions, teardown.program.frame(func)
    if not any(name in models and about_irqs(models[name]) for name in func.calls):
        return
    flow = teardown.focus.flow(func)
    for seen in flow.seen if flow is not None else ():
        callee = seen.event.callee if isinstance(seen.event, Call) else None
        model = models.get(callee.id) if isinstance(callee, Name) else None
        if model is None or not about_irqs(model) or not seen.args or only not in (None, seen.event.at):
            continue
        on = next((w.on for w in model.waits if w.what == "irq"), None)
        index = on.index if on is not None else 1 if model.managed else 0
        if index < len(seen.args[0]):
            yield model, object_name(frame, rooted(frame, seen.args[0][index]))


def freed_late(teardown: Teardown, func: Func) -> Iterator[Finding]:
    """An interrupt that is freed after what its handler is passed."""
    ends = [a for a in teardown.lives.acts(func) if a.kind == "free" and a.struct] if teardown.lives.may_act(func, 0) else []
    for model, args, at in modelled(teardown, func) if ends else ():
        if not any(w.what == "irq" for w in model.waits):
            continue
        cookie = rooted(teardown.program.frame(func), args[-1])
        stop = Act("stop", "irq", "", cookie, func, at, model.name, waits=True)
        end = next((e for e in ends if e.path == cookie and e.at < at and kept(teardown, func, e, stop)), None)
        if end is not None:
            yield finding(teardown, func, end.at, stop, None, end, None, "high", late=True)
