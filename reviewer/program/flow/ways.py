"""Under which conditions an event of a function comes about: of the branches that every way to it leads over, and of switches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from reviewer.parse import facts
from reviewer.parse.cfg import successors
from reviewer.parse.facts import (
    AddressOf,
    Binary,
    Branch,
    Call,
    Config,
    Const,
    Expr,
    Member,
    Name,
    Result,
    Switch,
    Text,
)
from reviewer.program.flow.established import Established, word_of
from reviewer.program.flow.lockflow import Flow, polarity, reached, seen_at
from reviewer.program.flow.summaries import Summaries
from reviewer.program.flow.telling import conditions_of, reachable
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame

MAX_LABELS = 8
"""Labels of one ``switch`` from which the ways to an event go on."""

MAX_GUARDS = 24
"""Conditions around one event that are looked at, the nearest to the entry first."""


@dataclass(frozen=True, slots=True)
class Guard:
    """An event comes about only where ``condition``, in terms of its function, is ``truth``; ``at``: where that is asked."""

    condition: Expr
    truth: bool
    at: int = field(default=-1, compare=False)


class Ways:
    """Memoised by function and position."""

    def __init__(self, summaries: Summaries, established: Established) -> None:
        self.summaries = summaries
        self.established = established
        self._guards: dict[tuple[str, int], tuple[Guard, ...]] = {}
        self._arms: dict[tuple[str, int], tuple[tuple[Guard, ...], ...]] = {}

    def guards(self, func: Func, at: int) -> tuple[Guard, ...]:
        """The conditions around an event of a function."""
        key = (func.key, at)
        got = self._guards.get(key)
        if got is None:
            flow = self.summaries.flow(func)
            got = self._guards[key] = tuple(islice(self.around(flow, at), MAX_GUARDS)) if flow is not None else ()
        return got

    def around(self, flow: Flow, at: int, written: bool = False) -> Iterator[Guard]:
        """:param written: in the words in which the function asks, whatever it has put into these before."""
        body = flow.frame.body
        block = next((s.block for s in flow.seen if s.event.at == at), None)
        if body is None or block is None:
            return
        conditions = conditions_of(flow) if not written else {}
        for number, edge in shortest(body, block):  # what every way leads over, this one does, too
            exit_ = body.blocks[number].exit
            if not isinstance(exit_, Branch) or isinstance(exit_.condition, Config) or exit_.then == exit_.other:
                continue
            if block not in reachable(body, (number, edge)):
                asks = exit_.condition if not written else flow.frame.canonical(exit_.condition, {})
                positive, condition = polarity(conditions.get(exit_.at, asks))
                same, condition = polarity(self.told_by(flow.frame, condition))
                yield Guard(condition, (edge == exit_.then) == (positive == same), read_at(flow, exit_))

    def arms(self, func: Func, at: int) -> tuple[tuple[Guard, ...], ...]:
        """Of each ``switch`` that every way to an event of a function leads over: for what the ways go on, one label of them, or,
        where that is the default, none of the others."""
        key = (func.key, at)
        got = self._arms.get(key)
        if got is None:
            flow = self.summaries.flow(func)
            got = self._arms[key] = tuple(self._labelled(flow, at)) if flow is not None else ()
        return got

    def barred(self, func: Func, at: int) -> frozenset[tuple[int, int]]:
        """The edges that no way from an event takes: of branches that ask what was asked before it, of what is not changed
        since and had another answer (``if (poll) add_timer(t); ... if (!poll) free_irq(irq);``)."""
        flow = self.summaries.flow(func)
        here = seen_at(flow, at)
        body = flow.frame.body if flow is not None else None
        if flow is None or body is None or here is None:
            return frozenset()
        later = reached(body, [here.block])
        changed = changed_in(body, later)
        again = frozenset(e.number for n in later for e in body.blocks[n].events if isinstance(e, Call))
        said = {g.condition: g.truth for g in self.guards(func, at) if stays(flow.frame, g.condition, changed, again)}
        found: set[tuple[int, int]] = set()
        for block, to, asks, truth in self.established.edges(flow) if said else ():
            positive, condition = polarity(asks)
            if condition in said and said[condition] != (truth == positive):
                found.add((block, to))
        return frozenset(found)

    def _labelled(self, flow: Flow, at: int) -> Iterator[tuple[Guard, ...]]:
        frame, body, here = flow.frame, flow.frame.body, seen_at(flow, at)
        block = here.block if here is not None else None
        switches = [n for n, b in enumerate(body.blocks) if isinstance(b.exit, Switch)] if body is not None else []
        for number in switches if body is not None and block is not None else ():
            assert body is not None
            exit_ = body.blocks[number].exit
            if not isinstance(exit_, Switch) or block == number or block in reached(body, [0], number):
                continue
            value = frame.canonical(exit_.value, {})
            once = assigned(frame, value) if isinstance(value, Name) else []
            value = once[0] if len(once) == 1 else value
            leading = {to for to in successors(exit_) if block in reached(body, [to], number)}
            rest = exit_.default in leading
            labels = [c for cases, to in exit_.cases for c in cases if (to in leading) != rest]
            parameter = isinstance(value, Name) and value.id.startswith("%")
            if not (isinstance(value, Member) or parameter) or not labels or (len(labels) > MAX_LABELS and not rest):
                continue
            field = value.name if isinstance(value, Member) else ""
            if not any(writes_to(b, field) and number in reached(body, [n]) for n, b in enumerate(body.blocks)):
                guards = tuple(Guard(values.binary("==", value, frame.canonical(c, {})), not rest, exit_.at) for c in labels)
                yield from ((g,) for g in guards) if rest else (guards,)

    def told_by(self, frame: Frame, condition: Expr) -> Expr:
        """The field or the flag that a function asks for, for a call of such a function."""
        call = frame.call(condition.call) if isinstance(condition, Result) else None
        if call is None or not isinstance(call.callee, Name):
            return condition
        for target in self.summaries.calls.named(call.callee.id, frame.func.path)[:1]:
            flow = self.summaries.flow(target.func) if target.func is not None else None
            results = {e.value for e in flow.endings} if flow is not None else set()
            if len(results) == 1:
                value = results.pop()
                told = polarity(value)[1] if value is not None else None
                if value is not None and (isinstance(told, Member) or (told is not None and is_flag(told))):
                    args = tuple(frame.canonical(a, {}) for a in call.args)
                    return values.substitute(value, args, call.callee.id)
        return condition


def changed_in(body: facts.Body, blocks: Iterable[int]) -> frozenset[str]:
    """The variables and the members that some blocks store something in, or hand out the address of."""
    found: set[str] = set()
    for event in (e for b in blocks for e in body.blocks[b].events):
        if isinstance(event, facts.Write):
            found.add(word_of(event.target))
        elif isinstance(event, Call):
            found |= {word_of(a) for a in event.args if isinstance(a, AddressOf) or event.loop}
    return frozenset(found)


def stays(frame: Frame, condition: Expr, changed: frozenset[str], again: frozenset[int] | None = None) -> bool:
    """Whether what a condition asks is told by names, of which a function changes none.

    :param again: calls that are made once more; what another has returned stays what it was. Without it no result does.
    """
    for e in values.walk(condition):
        if isinstance(e, Result) and (again is None or e.call in again):
            return False
        if isinstance(e, Text) or (isinstance(e, Member) and e.name in changed):
            return False
        if isinstance(e, Name) and e.id[:1] in "$%:":
            i = int(e.id[1:]) if e.id.startswith("%") else -1
            word = frame.func.parameters[i].name if 0 <= i < len(frame.func.parameters) else word_of(e).removeprefix("$")
            if word in changed:
                return False
    return True


def assigned(frame: Frame, local: Name) -> list[Expr]:
    """All that a local is ever assigned; nothing if it can get a value otherwise, too."""
    word = Name(local.id[1:])
    found: list[Expr] = []
    for block in frame.body.blocks if frame.body is not None and local.id.startswith("$") else ():
        for e in block.events:
            if isinstance(e, Call) and (AddressOf(word) in e.args or (e.loop and word in e.args)):
                return []
            if isinstance(e, facts.Write) and e.target == word:
                found.append(frame.canonical(e.value, {}))
    return found


def writes_to(block: facts.Block, field: str) -> bool:
    """Whether something is stored in a member of that name."""
    return any(isinstance(e, facts.Write) and isinstance(e.target, Member) and e.target.name == field for e in block.events)


def shortest(body: facts.Body, block: int) -> list[tuple[int, int]]:
    """The edges of one of the shortest ways from the entry to a block."""
    before: dict[int, int] = {0: -1}
    todo = deque([0])
    while todo and block not in before:
        b = todo.popleft()
        for to in successors(body.blocks[b].exit):
            if to not in before:
                before[to] = b
                todo.append(to)
    edges: list[tuple[int, int]] = []
    at = block
    while before.get(at, -1) >= 0:
        edges.append((before[at], at))
        at = before[at]
    return edges[::-1]


def read_at(flow: Flow, exit_: Branch) -> int:
    """Where what a branch asks was read: where the local that it asks was set, if it is set but once (``was = p->busy; ... if
    (was)``)."""
    condition = polarity(exit_.condition)[1]
    local = condition.left if isinstance(condition, Binary) else condition
    own = isinstance(local, Name) and all(p.name != local.id for p in flow.frame.func.parameters)
    events = (s.event for s in flow.seen if own)
    written = [e.at for e in events if isinstance(e, facts.Write) and e.target == local]
    return written[0] if len(written) == 1 else exit_.at


def is_flag(condition: Expr) -> bool:
    """Whether a condition is one bit of a field, or a few of them."""
    return (
        isinstance(condition, Binary) and condition.op == "&"
        and isinstance(condition.right, Const) and isinstance(condition.left, Member)
    )  # fmt: skip
