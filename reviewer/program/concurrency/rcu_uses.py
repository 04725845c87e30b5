"""Pointers that were fetched in an RCU read section and are followed after its end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reviewer.parse.facts import AddressOf, Binary, Branch, Call, Const, Deref, Event, Expr, Member, Name, Read, Result, Write
from reviewer.program.concurrency.grace import owner
from reviewer.program.concurrency.lifetimes import GET, PUT
from reviewer.program.flow import lockflow
from reviewer.program.flow.lockflow import Observer, Outcome, State
from reviewer.program.flow.summaries import Summaries, place
from reviewer.program.graph.upward import ATOMIC
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame


@dataclass(frozen=True, slots=True)
class Held:
    """A pointer that a section keeps valid. ``over``: since where the section is over, -1 while it lasts. ``found``: a look-up
    has returned it, and nothing else knows of it: whoever gets it later follows it."""

    pointer: Expr
    name: str
    at: int
    over: int = -1
    found: bool = False


class Uses(Observer):
    """Whatever is done with the pointer inside of the section, other than to look, may be what makes it last longer.

    ``moved``: positions of events that stood in the section before a patch. Where there are such, what is done with other objects
    that the pointer leads to is no excuse, and an event that was moved and hands the pointer on follows it, too.
    """

    def __init__(self, summaries: Summaries, moved: frozenset[int]) -> None:
        self.summaries = summaries
        self.program = summaries.program
        self.moved = moved
        self.found: dict[int, Held] = {}
        self._known: frozenset[Expr] | None = None
        self._own: frozenset[Expr] | None = None

    def known(self, frame: Frame) -> frozenset[Expr]:
        """Pointers that the function compares with others: who looks for an object that he has already keeps it by himself."""
        if self._known is None:
            found: set[Expr] = set()
            for block in frame.body.blocks if frame.body is not None else ():
                if isinstance(block.exit, Branch):
                    condition = lockflow.polarity(frame.canonical(block.exit.condition, {}))[1]
                    if isinstance(condition, Binary) and condition.op == "==":
                        sides = (condition.left, condition.right)
                        if not any(isinstance(side, Const) for side in sides):
                            found |= set(sides)
            self._known = frozenset(found)
        return self._known

    def own(self, frame: Frame) -> frozenset[Expr]:
        """What the function gives back somewhere: it has a reference of its own."""
        if self._own is None:
            flow = self.summaries.flow(frame.func)
            calls = (s for s in (flow.seen if flow is not None else ()) if isinstance(s.event, Call))
            given = (s for s in calls if isinstance(s.callee, Name) and PUT.search(s.callee.id))
            self._own = frozenset(e for s in given for args in s.args for a in args for e in values.walk(a))
        return self._own

    def start(self) -> object:
        return frozenset()

    def event(self, frame: Frame, event: Event, state: State, args: tuple[Expr, ...]) -> object:
        held: frozenset[Held] = state.extra  # type: ignore[assignment]
        looks = False
        locked = any(h.kind != "rcu" and (h.kind in ATOMIC or h.mode == "exclusive") for h in state.locks)
        if isinstance(event, Call):
            model = self.program.model(event.callee.id) if isinstance(event.callee, Name) else None
            read = model.rcu_read if model is not None else None
            if read is not None and read.flavour == "rcu" and not read.writer:
                pointer = args[0] if event.loop and args else place(read.object, args) if read.object is not None else None
                found = read.object is not None and read.object.base == "result"
                if found and Result(event.number) not in self.own(frame):
                    pointer = Result(event.number)
                held = frozenset(h for h in held if h.pointer != pointer)
                inside = any(h.kind == "rcu" for h in state.locks)
                looked_at = found or (isinstance(pointer, Member | Name | Deref) and pointer not in self.known(frame))
                if pointer is not None and inside and not locked and looked_at:
                    assert model is not None
                    held |= {Held(pointer, model.name, event.at, found=found)}
                return held
            if model is not None and (model.takes or model.drops):
                return held
            looks = model is not None and (model.passes or model.allocates is not None)  # or copies, and keeps nothing alive
            looks = looks and not (isinstance(event.callee, Name) and GET.search(event.callee.id))
            if self.moved and model is None and isinstance(event.callee, Name) and not event.loop and not locked:
                given = Result(event.number)
                if any(h.kind == "rcu" for h in state.locks) and given not in self.own(frame):
                    held = frozenset(h for h in held if h.pointer != given) | {Held(given, event.callee.id, event.at)}
        for h in held:
            if h.over >= 0:
                used = follows(frame, event, state, h.pointer)
                later = event.at in self.moved or (h.found and not looks)
                used |= later and isinstance(event, Call) and hands_on(frame, args, h.pointer)
                if not locked and state.locks == () and used:
                    self.found.setdefault(event.at, h)
                    held = held - {h}
            elif h.found:
                held = held - {h} if kept(frame, event, args, h.pointer) else held
            elif looks:
                continue
            elif self.moved:
                held = held - {h} if isinstance(event, Call) and hands_on(frame, args, h.pointer) else held
            elif any(h.pointer in lockflow.parts_of(a) for a in (args if isinstance(event, Call) else args[:1])):
                held = held - {h}
        if isinstance(event, Write) and len(args) > 1 and (args[0] in pointers(held) or (locked and args[1] in pointers(held))):
            held = frozenset(h for h in held if h.pointer not in args)  # another one; or the writers have fetched it, too
        if (isinstance(event, Write) or (isinstance(event, Call) and event.loop)) and args and isinstance(args[0], Name):
            held = frozenset(h for h in held if args[0].id not in lockflow.names_in(h.pointer))
        return held

    def looks(self, frame: Frame, read: Read, state: State) -> object:
        held: frozenset[Held] = state.extra  # type: ignore[assignment]
        for h in held:
            if h.over >= 0 and state.locks == () and follows(frame, read, state, h.pointer):
                self.found.setdefault(read.at, h)
                held = held - {h}
        return held

    def outcome(self, frame: Frame, call: Call, outcome: Outcome, state: State) -> object:
        held: frozenset[Held] = state.extra  # type: ignore[assignment]
        if not held or not outcome.drops:
            return held
        inside = [h for h in state.locks if h.kind == "rcu"]
        left = [h for h in inside if h.lock not in outcome.drops]
        if len(inside) == 1 and not left:
            return frozenset(replace(h, over=call.at) if h.over < 0 else h for h in held)
        return held


def pointers(held: frozenset[Held]) -> set[Expr]:
    return {h.pointer for h in held}


def follows(frame: Frame, event: Event, state: State, pointer: Expr) -> bool:
    """Whether an event itself reads what a pointer points to, rather than a copy of what was read."""
    parts = event.args if isinstance(event, Call) else (event.target, event.value) if isinstance(event, Write) else (event.value,)
    every = [e for part in parts for e in values.walk(part)]
    reckoned = {m for e in every if isinstance(e, AddressOf) for m in addressed(e.base)}
    return any(
        isinstance(e, Member | Deref) and (isinstance(e, Deref) or e.arrow) and e not in reckoned
        and frame.canonical(e.base, state.known) == pointer for e in every
    )  # fmt: skip


def addressed(expr: Expr) -> Iterator[Expr]:
    """What is not read where the address of a member is taken (``&p->list``, ``&p->list.next``)."""
    while isinstance(expr, Member):
        yield expr
        if expr.arrow:
            return
        expr = expr.base


def hands_on(frame: Frame, args: tuple[Expr, ...], pointer: Expr) -> bool:
    """Whether a call gets the object itself, or a part of it, rather than what it leads to."""
    return any(owner(frame, arg) == pointer for arg in args)


def kept(frame: Frame, event: Event, args: tuple[Expr, ...], pointer: Expr) -> bool:
    """Whether a pointer that a look-up has returned is handed on, so that it may be made to last, or put into some object."""
    if isinstance(event, Call):
        return hands_on(frame, args, pointer)
    return isinstance(event, Write) and not isinstance(args[0], Name) and pointer in lockflow.parts_of(args[1])


def after_section(summaries: Summaries, func: Func, moved: frozenset[int] = frozenset()) -> dict[int, Held]:
    """For the position of an event: the pointer that is followed there although its section is over. ``moved`` as in `Uses`."""
    frame = summaries.program.frame(func)
    named = summaries.program.models.functions
    reads = bool(moved) or any(n in named and named[n].rcu_read is not None for n in func.calls)
    drops = any(n in named and any(d.kind == "rcu" for d in named[n].drops) for n in func.calls)
    if frame.body is None or not reads or not drops:
        return {}
    watch = Uses(summaries, moved)
    lockflow.run(frame, summaries, observer=watch)
    return watch.found
