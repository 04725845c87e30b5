"""teardown-order: a function that begins the life of an object fails after it has started something, and leaves that running.

What ends the object is not called for one whose beginning has failed: a failed ``probe()`` is not followed by ``remove()``, nor a
failed ``ndo_open()`` by ``ndo_stop()``. What it has started before it has to stop by itself: a timer, a work item, an interrupt,
and what the handler of an interrupt starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from reviewer.checks.finding import Confidence, Finding
from reviewer.checks.teardown.base import CALLBACKS, Teardown, finding, synchronous
from reviewer.checks.teardown.ended_early import may_stop
from reviewer.checks.teardown.irq_left import Request, asks_for_irq, frees_irq, is_managed, requests, waits_for_irq
from reviewer.checks.teardown.restarted import always, unheeding
from reviewer.parse import facts
from reviewer.parse.facts import Call, Const, Expr, Name, Result
from reviewer.program.concurrency.lifetimes import Act, holder, owner_of
from reviewer.program.flow import lockflow
from reviewer.program.flow.lockflow import Ending, Flow, Observer, State, by_sign
from reviewer.program.flow.objects import objects_read, rooted
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame

BINDS = frozenset({"probe", "bind", "add_dev"})
"""Operations that begin a binding: what they have allocated for as long as it lasts is freed when they fail."""


class Started(NamedTuple):
    """What a function has started: the callback, and ``by``: its own call, or that for the interrupt whose handler starts it.
    ``managed``: an interrupt that goes by itself when the driver's binding has failed; ``shared``: it comes for others, too."""

    act: Act
    by: Act
    managed: bool = False
    shared: bool = False


class Watch(Observer):
    """Which of what is started still runs, path by path: positions in ``started``."""

    def __init__(self, started: list[Started], stops: list[frozenset[int]], frees: frozenset[int]) -> None:
        self.started, self.stops, self.frees = started, stops, frees
        self.begins: dict[int, set[int]] = {}
        for i, s in enumerate(started):
            self.begins.setdefault(s.by.at, set()).add(i)
        self.asked: dict[int, int] = {}
        self.freed: dict[int, int] = {}

    def start(self) -> object:
        return ()

    def event(self, frame: Frame, event: facts.Event, state: State, args: tuple[Expr, ...]) -> object:
        mine = self.running(state)
        if not isinstance(event, Call):
            return tuple(sorted(mine))
        given = {rooted(frame, arg) for arg in args} if mine and event.at in self.frees else frozenset[Expr]()
        for i in mine:
            if of(self.started[i]) in given:
                self.freed.setdefault(i, event.at)
        mine = frozenset(i for i in mine if event.at not in self.stops[i])
        made = Result(event.number)
        mine = frozenset(i for i in mine if not is_of(self.started[i], made))  # another one, in a loop
        for i in self.begins.get(event.at, ()):
            self.asked[i] = event.number
            mine |= {i}
        return tuple(sorted(mine))

    def running(self, state: State) -> frozenset[int]:
        """Those that were started, as far as a state knows: a request whose result is an error has started nothing."""
        mine = state.extra
        assert isinstance(mine, tuple)
        return frozenset(i for i in mine if i not in self.asked or not is_failure(state, Result(self.asked[i])))


def is_failure(state: State, value: Expr | None) -> bool:
    """Whether a number is known to be an error's on a path."""
    if isinstance(value, Result):
        known = state.known.get(f"r{value.call}")
        sure = state.truths.get(value) or by_sign(state.truths, value)
        return bool(sure) or values.is_error(known)
    return values.is_error(value)


def begun_failed(teardown: Teardown) -> Iterator[Finding]:
    for func in teardown.focus.functions:
        if teardown.lives.may_act(func) or any(asks_for_irq(teardown, f) for f in (func, *teardown.lives.callees(func))):
            yield from left_by(teardown, func)


def left_by(teardown: Teardown, func: Func) -> Iterator[Finding]:
    """What a function leaves running where it fails, or frees the object of."""
    definition = func.definition
    started = list(begun(teardown, func))
    if not started or definition is None or definition.type.pointer:
        return
    frees = {a.at: a for a in teardown.lives.acts(func) if a.kind == "free" and a.struct}
    watch = Watch(started, [stops(teardown, func, s) for s in started], frozenset(frees))
    flow = lockflow.run(teardown.program.frame(func), teardown.focus.summaries, observer=watch)
    told: set[str] = set()
    for i, s in enumerate(started):
        name = s.act.name or s.act.api
        if name in told or (s.act.what != "irq" and s.by is s.act and i in watch.freed):
            continue
        if covered(teardown, func, watch.stops[i], watch.freed.get(i, 0)):
            continue
        if i in watch.freed:
            end = frees[watch.freed[i]]
            told.add(name)
            sure: Confidence = "medium" if not s.managed or s.shared else "low"
            yield finding(teardown, func, end.at, s.act, None, end, None, sure, fellow=s.by)
            continue
        failed = next((e for e in flow.endings if i in watch.running(e.state) and fails(flow, e)), None)
        if failed is not None and not covered(teardown, func, watch.stops[i], failed.at) and ends_with(teardown, func, s):
            told.add(name)
            yield finding(teardown, func, failed.at, s.act, None, None, None, "medium", fellow=s.by, fails=True)


def covered(teardown: Teardown, func: Func, stops: frozenset[int], at: int) -> bool:
    """Whether a function, before a position, stops a callback if the object says that there is one
    (``if (p->irq) free_irq(p->irq, p)``)."""
    frame = teardown.program.frame(func)
    guards = (g for stop in stops if stop < at for g in teardown.focus.ways.guards(func, stop))
    return any(objects_read(frame, g.condition) for g in guards)


def fails(flow: Flow, ending: Ending) -> bool:
    """Whether a function returns an error there: it is known to be one, or is some value where it returns 0 elsewhere."""
    if is_failure(ending.state, ending.value):
        return True
    some = isinstance(ending.value, Name | Result)
    return some and any(e.value == Const(0) and e.at != ending.at for e in flow.endings)


def of(started: Started) -> Expr | None:
    """The pointer to the object that a callback works on."""
    return started.by.path if started.by.what == "irq" else holder(started.act.path)


def is_of(started: Started, made: Expr) -> bool:
    """Whether the object of a callback is reached from the result of a call."""
    path = of(started)
    return path is not None and any(e == made for e in values.walk(path))


def begun(teardown: Teardown, func: Func) -> Iterator[Started]:
    lives = teardown.lives
    for act in lives.acts(func) if lives.may_act(func) else ():
        if act.kind == "start" and act.what in CALLBACKS and owner_of(act.name) and outlives(teardown, func, act):
            yield Started(act, act)
    for request in (r for r in (*requests(teardown, func), *requests_below(teardown, func)) if r.enabled):
        managed = is_managed(teardown, request)
        yield Started(request.act, request.act, managed, request.shared)
        yield from (Started(act, request.act, managed, request.shared) for act in by_handler(teardown, request))


def requests_below(teardown: Teardown, func: Func) -> Iterator[Request]:
    """Interrupts for an object of a function that another of its file asks for, each where the function calls that."""
    lives, frame = teardown.lives, teardown.program.frame(func)
    inner = (f for f in lives.callees(func) if f.path == func.path and asks_for_irq(teardown, f))
    near = {f.name: f for f in inner if not any(waits_for_irq(teardown, name) for name in f.calls)}
    flow = teardown.focus.flow(func) if near else None
    for seen in flow.seen if flow is not None else ():
        below = near.get(seen.callee.id) if isinstance(seen.callee, Name) else None
        for request in requests(teardown, below) if below is not None else ():
            if below is not None and request.act.path is not None:
                path = rooted(frame, values.substitute(request.act.path, seen.args[0], below.name))
                yield request._replace(act=replace(request.act, func=func, at=seen.event.at, path=path))


def by_handler(teardown: Teardown, request: Request) -> Iterator[Act]:
    """The callbacks of its object that an interrupt's handler starts."""
    lives = teardown.lives
    for handler in (h for name in request.handlers for h in teardown.program.resolve(name, request.act.func.path)):
        for act in lives.acts(handler):
            if act.kind == "start" and act.what in CALLBACKS and owner_of(act.name) and outlives(teardown, handler, act):
                inside = lives.contains(request.act.struct, owner_of(act.name), handler.path)
                if inside and (always(teardown, act) or unheeding(teardown, act)):
                    yield act


def outlives(teardown: Teardown, func: Func, act: Act) -> bool:
    """Whether a callback may run when the one who has started it is done, and holds no reference by itself."""
    uses = teardown.lives.uses(act.name, func.path)
    return uses.set_up and not teardown.counted(uses, func.path) and not synchronous(teardown, uses)


def stops(teardown: Teardown, func: Func, started: Started) -> frozenset[int]:
    """Where a function calls what may keep a callback from running any more."""
    flow = teardown.focus.flow(func)
    return frozenset(
        s.event.at for s in (flow.seen if flow is not None else ())
        if s.event.at != started.by.at and isinstance(s.event, Call)
        and (may_stop(teardown, func, started.act, s) or may_free_irq(teardown, func, started, s.event))
    )  # fmt: skip


def may_free_irq(teardown: Teardown, func: Func, started: Started, call: Call) -> bool:
    """Whether a call frees the interrupt or turns it off, by its model, by its name, or in what it reaches."""
    if started.by.what != "irq" or not isinstance(call.callee, Name):
        return False
    if call.callee.id in teardown.program.models.functions:
        return waits_for_irq(teardown, call.callee.id)
    below = teardown.program.resolve(call.callee.id, func.path)
    return any(frees_irq(teardown, f) for f in below) if below else "irq" in call.callee.id


def ends_with(teardown: Teardown, func: Func, started: Started) -> bool:
    """Whether the object of a callback is gone when an operation has failed: it lasts as long as the binding, or only what ends
    the operation in the same table stops the callback."""
    if started.managed and started.act.what == "irq":
        return False
    lives = teardown.lives
    owner = owner_of(started.act.name) or started.act.struct
    path = of(started)
    handed = isinstance(path, Name) and path.id.startswith("%")  # it was there before
    for slot, _ in lives.operations(func):
        if slot in BINDS and not handed and lives.managed(func, owner):
            return True
        if slot not in BINDS and any(only_end(teardown, end, started) for _, end in teardown.twins([func])):
            return True
    return False


def only_end(teardown: Teardown, end: Func, started: Started) -> bool:
    """Whether a callback is stopped by what ends an operation, and by nobody else."""
    act = started.act
    if act.what == "irq":
        return frees_irq(teardown, end)
    waits = teardown.lives.uses(act.name, act.func.path).waits
    below = teardown.lives.below(end)
    return bool(waits) and all(a.func.key in below for a in waits)
