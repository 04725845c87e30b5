"""teardown-order: what a callback uses of its object is freed, and only then is the callback waited for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from reviewer.checks.finding import Confidence, Finding
from reviewer.checks.teardown.base import CALLBACKS, Teardown, finding
from reviewer.checks.teardown.ended_early import comes_to
from reviewer.checks.teardown.irq_left import modelled
from reviewer.parse.facts import Branch, Call, Const, Deref, Expr, Member, Name, Result, Write
from reviewer.program.api.models import Function as Model
from reviewer.program.concurrency.lifetimes import Act, Uses, holder, owner_of
from reviewer.program.flow.lockflow import seen_at
from reviewer.program.flow.objects import object_name, reads, root_of, rooted, short
from reviewer.program.flow.telling import stores
from reviewer.program.linked.calls import function_names
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame
from reviewer.program.linked.values import walk

URB = "urb"
"""A request of USB: like the other callbacks it starts itself again, as a rule, until it is killed."""

STOPPED = CALLBACKS | {URB}
"""What is waited for one by one."""

STOPS = re.compile(r"(?:^|_)(?:stop|close|release|disable|shutdown|down|off)(?:_|$)")
"""Operations that end the use of what their table is of."""


def part_freed(teardown: Teardown) -> Iterator[Finding]:
    for func in teardown.focus.functions:
        if not teardown.lives.may_act(func, 0):
            continue
        acts, frame = teardown.lives.acts(func), teardown.program.frame(func)
        parts = [a for a in acts if a.kind == "free" and isinstance(a.path, Member) and a.func.key == func.key]
        # of a request of USB also what callees free: timers and works are mostly idle by then, for reasons of their own
        given = teardown.lives.given_up(func) if any(a.kind == "stop" and a.what == URB for a in acts) else []
        for stop, of, callbacks in waits(teardown, func, acts) if parts or given else ():
            freed = (*parts, *given) if stop.what == URB else parts
            late = next((p for p in freed if used_until(teardown, func, p, stop, of, callbacks)), None)
            if late is not None and late.path is not None:
                named = replace(late, struct=object_name(frame, rooted(frame, late.path)))
                quiet = stop.what == "irq" and not_begun(teardown, func, late, stop, callbacks)
                sure: Confidence = "medium" if is_of(teardown, stop, named.struct) and not quiet else "low"
                yield finding(teardown, func, late.at, stop, None, named, None, sure, late=True)


def is_of(teardown: Teardown, stop: Act, part: str) -> bool:
    """Whether a callback is one of the object whose part is freed, as far as types tell, and not of a request that it serves:
    those have come to their end, as a rule, before it is taken down."""
    owner, whole = owner_of(stop.name), owner_of(part)
    contains, path = teardown.lives.contains, stop.func.path
    return not owner or not whole or contains(owner, whole, path) or contains(whole, owner, path)


def waits(teardown: Teardown, func: Func, acts: tuple[Act, ...]) -> Iterator[tuple[Act, Expr, list[Func]]]:
    """Where a function waits for a callback for the first time, with the pointer to its object, and what runs."""
    lives, frame = teardown.lives, teardown.program.frame(func)
    met: set[str] = set()
    for act in sorted((a for a in acts if a.kind == "stop" and a.name and a.what in STOPPED), key=lambda a: a.at):
        pointer, first = holder(act.path.base if isinstance(act.path, Deref) else act.path), act.name not in met
        met.add(act.name)
        uses = lives.uses(act.name, func.path)
        if first and act.waits and pointer is not None and teardown.runs(uses, func.path):
            callbacks = teardown.callbacks(uses, func.path)
            if act.what != URB:
                yield act, pointer, callbacks
            elif not stopped_by_operation(teardown, uses, func) and not serves_others(teardown, func.path, act, callbacks):
                yield act, pointer, [g for f in callbacks for g in lives.below(f).values() if g.path == func.path]
    yield from drains(teardown, func, acts, met)
    for model, args, at in modelled(teardown, func):
        if any(w.what == "irq" for w in model.waits):
            which = f"irq {numbers(frame, args[0])}"
            if which in met:
                continue
            met.add(which)
            stop = Act("stop", "irq", "", rooted(frame, args[-1]), func, at, model.name, waits=True)
            if stop.path is not None and len(args) > 1 and model.frees is None:
                yield stop, stop.path, handlers(teardown, func, args[0])


def serves_others(teardown: Teardown, path: str, stop: Act, callbacks: list[Func]) -> bool:
    """Whether a handler is that of other requests of the file, too: what it uses may be theirs."""
    lives, names = teardown.lives, {f.name for f in callbacks}
    acts = (a for f in teardown.program.functions_in(path) if not names.isdisjoint(f.words) for a in lives.acts(f, 0))
    return any(a.kind == "setup" and a.name != stop.name and a.callback in names for a in acts)


def stopped_by_operation(teardown: Teardown, uses: Uses, func: Func) -> bool:
    """Whether an operation that ends the use of something waits for the callback, too: whoever takes leave of its table's
    owner may call that."""
    others = [a.func for a in uses.stops if a.waits and a.func.key != func.key]
    return any(STOPS.search(slot) for f in others for slot, _ in teardown.lives.operations(f))


def drains(teardown: Teardown, func: Func, acts: tuple[Act, ...], met: set[str]) -> Iterator[tuple[Act, Expr, list[Func]]]:
    """Where a function drains a queue of the object, with the works of its file that run there and that nobody waits for else."""
    lives = teardown.lives
    queues = [a for a in acts if a.kind == "stop" and a.what == "workqueue" and a.waits and owner_of(a.name.lstrip("*"))]
    set_up = (a for f in teardown.program.functions_in(func.path) if queues and lives.may_act(f, 0) for a in lives.acts(f, 0))
    works = {a.name for a in set_up if a.kind == "setup" and a.what == "work" and owner_of(a.name)} - met
    for queue in queues:
        path = queue.path.base if isinstance(queue.path, Deref) else queue.path
        for name in sorted(works) if isinstance(path, Member) else ():
            uses = lives.uses(name, func.path)
            mine = queue.name.lstrip("*") in {q.lstrip("*") for q in uses.queues}
            if mine and not uses.stops and teardown.runs(uses, func.path) and isinstance(path, Member):
                below = {g.key: g for f in teardown.callbacks(uses, func.path) for g in lives.below(f).values()}
                near = [g for g in below.values() if g.path == func.path]
                yield replace(queue, name=name, what="work"), path.base, near


def handlers(teardown: Teardown, func: Func, vector: Expr) -> list[Func]:
    """The handlers of the interrupts that a file asks for, without those of which a number says that they are other ones."""
    freed = numbers(teardown.program.frame(func), vector)
    asked = [
        (model, args) for f in teardown.program.functions_in(func.path) for model, args, _ in modelled(teardown, f)
        if freed is None or (other := numbers(teardown.program.frame(f), args[0])) is None or other == freed
    ]  # fmt: skip
    given = [args[r.callback] for m, args in asked for r in m.registers if r.callback is not None and r.callback < len(args)]
    names = {name for value in given for name in function_names(value)}
    return [f for n in sorted(names) for f in teardown.program.resolve(n, func.path)]


def numbers(frame: Frame, vector: Expr) -> tuple[str, tuple[int, ...]] | None:
    """The API that gives an interrupt its number, and the constants that it is passed (``pci_irq_vector(pdev, REPLY)``)."""
    call = frame.call(vector.call) if isinstance(vector, Result) else None
    if call is None or not isinstance(call.callee, Name):
        return None
    constants = tuple(c.value for a in call.args if isinstance(c := frame.canonical(a, {}), Const))
    return (call.callee.id, constants) if constants else None


def used_until(teardown: Teardown, func: Func, part: Act, stop: Act, of: Expr, callbacks: list[Func]) -> bool:
    """Whether a callback uses what is freed before it is waited for, and does not ask whether it is there."""
    if not isinstance(part.path, Member) or part.path.base != of or part.at >= stop.at:
        return False
    frame = teardown.program.frame(func)
    name = object_name(frame, rooted(frame, part.path))
    word = short(name).rpartition(".")[2]
    using = [f for f in callbacks if word in f.words and teardown.lives.means_member(f, word, name)]
    if not using or any(asks(teardown, f, name) for f in using) or replaced(teardown, func, part):
        return False
    if stop.what != "irq" and (not_begun(teardown, func, part, stop, callbacks) or waited_below(teardown, func, part, stop)):
        return False
    return comes_to(teardown, func, part.at, stop.at)


def not_begun(teardown: Teardown, func: Func, part: Act, stop: Act, callbacks: list[Func]) -> bool:
    """Whether a function that fails has set the callback up by itself, and nothing has made it run as yet: nobody has started it,
    or the interrupt was asked for when the part was not there either."""
    lives = teardown.lives
    if stop.what == "irq":
        names = {f.name for f in callbacks}
        asked = [at for model, args, at in modelled(teardown, func) if model.registers and runs_any(model, args, names)]
        there = made_at(teardown, func, part)
        return any(at < there for at in asked)
    if all(a.kind != "setup" or a.name != stop.name for a in lives.acts(func)):
        return False
    below = lives.below(func)
    return all(a.func.key not in below for a in lives.uses(stop.name, func.path).starts)


def runs_any(model: Model, args: tuple[Expr, ...], names: set[str]) -> bool:
    """Whether a call asks for an interrupt with one of some handlers."""
    given = (args[r.callback] for r in model.registers if r.callback is not None and r.callback < len(args))
    return any(name in names for value in given for name in function_names(value))


def made_at(teardown: Teardown, func: Func, part: Act) -> int:
    """Where a function puts there what it frees later; 0 if it does not."""
    flow = teardown.focus.flow(func)
    writes = (s for s in (flow.seen if flow is not None else ()) if isinstance(s.event, Write) and s.event.at < part.at)
    made = (s for s in writes if any(target == part.path and isinstance(root_of(value), Result) for target, value in s.args))
    return max((s.event.at for s in made), default=0)


def waited_below(teardown: Teardown, func: Func, part: Act, stop: Act) -> bool:
    """Whether a function has, before it frees a part, called what waits for the callback or drains its queue."""
    lives, frame, flow = teardown.lives, teardown.program.frame(func), teardown.focus.flow(func)
    uses = lives.uses(stop.name, func.path)
    waits, queues = {a.func.key for a in uses.waits} - {func.key}, uses.queues
    for seen in flow.seen if flow is not None else ():
        if not isinstance(seen.event, Call) or seen.event.at >= part.at:
            continue
        for target in teardown.focus.summaries.calls.targets(frame, seen.callee or seen.event.callee):
            below = lives.below(target.func) if target.func is not None else {}
            if not waits.isdisjoint(below) or (queues and any(teardown.drains(f, queues) for f in below.values())):
                return True
    return False


def replaced(teardown: Teardown, func: Func, part: Act) -> bool:
    """Whether a callee that frees a part puts another one there, or has itself stopped what uses it."""
    flow = teardown.focus.flow(func)
    here = seen_at(flow, part.at)
    assert isinstance(part.path, Member)
    for target in teardown.focus.summaries.calls.targets(flow.frame, here.callee) if flow and here and here.callee else ():
        body = teardown.program.body(target.func) if target.func is not None else None
        if stores(body, part.path.name):
            return True
    return False


def asks(teardown: Teardown, func: Func, name: str) -> bool:
    """Whether a condition of a function looks at a pointer itself, and not at what it finds by it (``readl(p->regs)``)."""
    frame = teardown.program.frame(func)
    exits = [b.exit for b in frame.body.blocks] if frame.body is not None else []
    conditions = [frame.canonical(e.condition, {}) for e in exits if isinstance(e, Branch)]
    return any(object_name(frame, rooted(frame, read)) == name for c in conditions for read in (*reads(c), *tested(frame, c)))


def tested(frame: Frame, condition: Expr) -> Iterator[Expr]:
    """What a call in a condition is asked about, whether it is an error (``IS_ERR_OR_NULL(p->regs)``)."""
    for call in (frame.call(e.call) for e in walk(condition) if isinstance(e, Result)):
        model = frame.program.model(call.callee.id) if call is not None and isinstance(call.callee, Name) else None
        if call is not None and model is not None and model.is_error:
            yield from (frame.canonical(a, {}) for a in call.args)
