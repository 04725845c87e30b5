"""What holds at an event of a function, whatever way it came there: on each it was tested, or made so, and not undone since.

A question (:class:`Question`) is asked of one function in its own terms, and, where that leaves it open, of its caller in those
of the call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from reviewer.parse import facts
from reviewer.parse.cfg import successors
from reviewer.parse.facts import AddressOf, Binary, Branch, Call, Config, Const, Expr, Member, Name, Result, Switch
from reviewer.program.api.models import Function as Model
from reviewer.program.flow.lockflow import Flow, Seen, polarity, reached, seen_at
from reviewer.program.flow.objects import rooted
from reviewer.program.flow.summaries import Summaries, accesses
from reviewer.program.flow.telling import conditions_of, stores
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame
from reviewer.program.linked.written import calls_of

PURE_BELOW = 3
"""Calls below a predicate (``IS_TYPE_A(hw)``) that are looked at for what it reads."""

ORDER: dict[str, Callable[[int, int], bool]] = {
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


BIT = "a bit"
"""In place of a predicate's name: whether one bit of a word is set."""

Predicate = tuple[str, tuple[Expr, ...]]
"""The name of a predicate and what it is given; of a bit, its number and the address of its word."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Something, a field or a few bits of one, is to stand in this relation to another value, or is not to."""

    what: Expr
    op: str
    other: Expr
    truth: bool

    def allows(self, number: int) -> bool:
        """Whether it may be a number, of those that a constant is compared with."""
        assert isinstance(self.other, Const)
        return ORDER[self.op](number, self.other.value) == self.truth

    def contradicts(self, other: Asked) -> bool:
        """Whether both cannot be had of one thing at once."""
        if isinstance(self.other, Const) and isinstance(other.other, Const):
            near = {c.value + n for c in (self.other, other.other) for n in (-1, 0, 1)}
            return not any(self.allows(n) and other.allows(n) for n in near)
        equal = {"==", "!="}
        if self.other != other.other or self.op not in equal or other.op not in equal:
            return False
        return ((self.op == "==") == self.truth) != ((other.op == "==") == other.truth)

    def refuses(self, value: Expr, set_: bool = False) -> bool:
        """Whether it cannot be a value that is stored.

        :param set_: the value is not 0, whatever it is.
        """
        if isinstance(self.other, Const) and isinstance(value, Const):
            return not self.allows(value.value)
        if self.other == Const(0) and self.op in ("==", "!="):
            return (self.op == "==") == self.truth and (set_ or points(value))
        return self.op in ("==", "!=") and value == self.other and (self.op == "==") != self.truth


def asked_in(condition: Expr, truth: bool) -> Asked | None:
    """What a condition asks of a field or a variable of the file; None if it asks something else."""
    positive, condition = polarity(condition)
    truth = truth == positive
    if is_place(condition) or (isinstance(condition, Binary) and condition.op == "&" and is_place(condition.left)):
        return Asked(condition, "!=", Const(0), truth)
    if isinstance(condition, Binary) and condition.op in ORDER and is_place(condition.left):
        return Asked(condition.left, condition.op, condition.right, truth)
    return None


def points(value: Expr) -> bool:
    """Whether a value is the address of an object or of a function."""
    return isinstance(value, AddressOf) or (isinstance(value, Name) and value.id[:1] not in "$%:" and not value.id.isupper())


def is_place(expr: Expr) -> bool:
    return isinstance(expr, Member) or (isinstance(expr, Name) and expr.id.startswith("::"))


def word_of(expr: Expr) -> str:
    """The name of the field, or of the variable, that an expression is."""
    while not isinstance(expr, Member | Name):
        inner = next(iter(values.children(expr)), None)
        if inner is None:
            return ""
        expr = inner
    return expr.name if isinstance(expr, Member) else expr.id.rpartition(":")[2]


class Question:
    """Whether a condition is excluded, in terms of one function; a subclass knows what tests it and what changes it."""

    def refused_by(self, flow: Flow, condition: Expr, truth: bool) -> bool:
        """Whether the condition cannot be had where another one has this truth."""
        raise NotImplementedError

    def after(self, flow: Flow, seen: Seen) -> bool | None:
        """True if an event excludes the condition, False if it may bring it about, None if it has nothing to do with it."""
        raise NotImplementedError

    def above(self, caller: Frame, args: tuple[Expr, ...], callee: str) -> Question | None:
        """The same in terms of a caller; None if that means nothing there."""
        raise NotImplementedError


class OfField(Question):
    """A field, some bits of it, or a variable of the file."""

    def __init__(self, owner: Established, asked: Asked) -> None:
        self.owner = owner
        self.asked = asked = replace(asked, what=bare(asked.what))
        self.place = asked.what.left if isinstance(asked.what, Binary) else asked.what
        self.word = word_of(self.place)

    def refused_by(self, flow: Flow, condition: Expr, truth: bool) -> bool:
        said = asked_in(condition, truth)
        return said is not None and bare(said.what) == self.asked.what and self.asked.contradicts(said)

    def after(self, flow: Flow, seen: Seen) -> bool | None:
        event = seen.event
        if isinstance(event, facts.Write):
            target = bare(seen.args[0][0] if seen.args else event.target)
            if not is_place(target) or word_of(target) != self.word:
                return None
            plain = event.op == "=" and self.asked.what == self.place
            if plain and all(self.asked.refuses(v, self.owner.is_made(flow.frame, v)) for _, v in seen.args):
                return True if target == self.place else None
            return False
        if not isinstance(event, Call):
            return None
        if any(bare(a) == AddressOf(self.place) for args in seen.args for a in args):
            return False
        below = self.owner.naming(flow.frame.func, event, self.word)
        body = self.owner.summaries.program.body(below) if below is not None else None
        return False if below is not None and (stores(body, self.word) or hands_out(body, self.word)) else None

    def above(self, caller: Frame, args: tuple[Expr, ...], callee: str) -> Question | None:
        if not means_something(self.place):
            return None
        what = values.substitute(self.asked.what, args, callee)
        place = what.left if isinstance(what, Binary) else what
        asked = Asked(what, self.asked.op, values.substitute(self.asked.other, args, callee), self.asked.truth)
        return OfField(self.owner, asked) if is_place(place) else None


class OfList(Question):
    """A list that is to have entries, or an entry that is to be on one."""

    def __init__(self, owner: Established, head: Expr) -> None:
        self.owner = owner
        self.head = head
        self.word = word_of(head)

    def refused_by(self, flow: Flow, condition: Expr, truth: bool) -> bool:
        positive, condition = polarity(condition)
        return positive == truth and self.owner.asked_empty(flow, condition) == self.head

    def after(self, flow: Flow, seen: Seen) -> bool | None:
        call = seen.event
        if not isinstance(call, Call):
            return None
        model = self.owner.model(call)
        if self._given(flow.frame, seen):
            if model is None:
                return False
            i = model.empties
            if i is not None and all(i < len(args) and listed(flow.frame, args[i]) == self.head for args in seen.args):
                return True
            return None if [a.op for a in model.accesses] in (["read"], ["sub"]) else False
        below = self.owner.naming(flow.frame.func, call, self.word) if model is None else None
        return False if below is not None and self.owner.links_any(below, self.word) else None

    def _given(self, frame: Frame, seen: Seen) -> bool:
        return any(listed(frame, a) == self.head for args in seen.args for a in args)

    def above(self, caller: Frame, args: tuple[Expr, ...], callee: str) -> Question | None:
        if not means_something(self.head):
            return None
        head = bare(rooted(caller, values.substitute(self.head, args, callee)))
        return OfList(self.owner, head) if is_place(head) else None


class OfPredicate(Question):
    """What a predicate says of its arguments: a function, or a macro, that only looks at fields (``IS_TYPE_A(hw)``,
    ``test_bit(UP, &hw->state)``)."""

    def __init__(self, owner: Established, said: Predicate, truth: bool, words: frozenset[str], asked: int = -1) -> None:
        """:param asked: the call that asks, in the function in whose terms the question is: what else it does comes after."""
        self.owner = owner
        self.said = said
        self.truth = truth
        self.words = words
        self.asked = asked

    def refused_by(self, flow: Flow, condition: Expr, truth: bool) -> bool:
        positive, condition = polarity(condition)
        call = flow.frame.call(condition.call) if isinstance(condition, Result) else None
        return call is not None and (positive == truth) != self.truth and self.owner.predicate(flow, call) == self.said

    def after(self, flow: Flow, seen: Seen) -> bool | None:
        event = seen.event
        if isinstance(event, facts.Write):
            return False if word_of(event.target) in self.words else None
        if not isinstance(event, Call) or event.number == self.asked:
            return None
        model = self.owner.model(event)
        if model is not None:
            return self._by_model(model, seen)
        for word in self.words:
            below = self.owner.naming(flow.frame.func, event, word)
            if below is not None and self.owner.changes(below, word):
                return False
        return None

    def _by_model(self, model: Model, seen: Seen) -> bool | None:
        """What a modelled call does to a bit or another object that the predicate is given, or looks for itself."""
        for args in seen.args:
            for a, path in accesses(model, args):
                if a.op == "read" or word_of(path) not in self.words:
                    continue
                bit = args[a.bit] if a.bit is not None and a.bit < len(args) else None
                mine = self.said[1][0] if self.said[0] == BIT else None
                if isinstance(bit, Const) and isinstance(mine, Const) and bit != mine:
                    continue
                same = bit is not None and (BIT, tuple(map(bare, args))) == self.said
                return bool(same and a.constant is not None and bool(a.constant) != self.truth)
        return None

    def above(self, caller: Frame, args: tuple[Expr, ...], callee: str) -> Question | None:
        if not all(map(means_something, self.said[1])):
            return None
        given = tuple(bare(values.substitute(a, args, callee)) for a in self.said[1])
        return OfPredicate(self.owner, (self.said[0], given), self.truth, self.words)


def is_bit_test(model: Model | None) -> bool:
    """Whether a modelled call tells what one bit was."""
    return model is not None and len(model.accesses) == 1 and model.accesses[0].bit is not None and (
        model.accesses[0].op == "read" or model.accesses[0].tests
    )  # fmt: skip


def members_in(paths: Iterable[Expr]) -> frozenset[str]:
    """The names of those that are members of something."""
    return frozenset(word_of(path) for path in paths if any(isinstance(e, Member) for e in values.walk(path)))


def means_something(path: Expr) -> bool:
    """Whether the caller of a function can tell what a path is: it starts from a parameter, or a variable of the file."""
    parts = list(values.walk(path))
    return not any(isinstance(e, Result | facts.Text) or (isinstance(e, Name) and e.id.startswith("$")) for e in parts)


def bare(path: Expr) -> Expr:
    """A path without its casts: ``((struct T *)&p->x)->y`` is ``p->x.y``."""

    def leaf(e: Expr) -> Expr | None:
        if isinstance(e, facts.Cast) and e.type.pointer:
            return bare(e.operand)
        if isinstance(e, Member):
            return values.member(bare(e.base), e.name, e.arrow)
        return None

    return values.rebuild(path, leaf) if any(isinstance(e, facts.Cast) for e in values.walk(path)) else path


def listed(frame: Frame, address: Expr) -> Expr:
    """The list, or the entry, of which a call is given the address."""
    return bare(rooted(frame, values.deref(address)))


def is_local(body: facts.Body, target: Expr) -> bool:
    """Whether a function writes to a variable of its own, or makes up a value on two ways (``a || b``)."""
    return isinstance(target, Name) and (target.id.startswith("?") or any(v.name == target.id for v in body.locals))


def hands_out(body: facts.Body | None, field: str) -> bool:
    """Whether a function hands out the address of a member of that name."""
    return any(
        isinstance(a, AddressOf) and isinstance(a.base, Member) and a.base.name == field
        for call in calls_of(body) for a in call.args
    )  # fmt: skip


class Established:
    """Asks functions."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.program = summaries.program
        self._pure: dict[str, frozenset[str] | None] = {}
        self._edges: dict[str, list[tuple[int, int, Expr, bool]]] = {}

    # --- questions --------------------------------------------------------------------------------

    def question(self, func: Func, condition: Expr, truth: bool) -> Question | None:
        """Whether a condition of a function is excluded; None if that cannot be asked."""
        flow = self.summaries.flow(func)
        if flow is None:
            return None
        head = self.asked_empty(flow, condition) if not truth else None
        if head is not None:
            return OfList(self, head) if is_place(head) else None
        call = flow.frame.call(condition.call) if isinstance(condition, Result) else None
        if call is not None and isinstance(call.callee, Name):
            said = self.predicate(flow, call)
            words = self.reads(call, said[1], func)
            return OfPredicate(self, said, truth, words, call.number) if words else None
        asked = asked_in(condition, truth)
        return OfField(self, asked) if asked is not None else None

    def at(self, func: Func, at: int, question: Question) -> bool | None:
        """True if the condition is excluded on every way to an event of a function; False if something on one of them may have
        brought it about; None if that is for the function's callers to say."""
        flow = self.summaries.flow(func)
        body = flow.frame.body if flow is not None else None
        here = seen_at(flow, at)
        where = here.block if here is not None else self._ends(body, at)
        if flow is None or body is None or where is None:
            return False
        refusing = {(n, to) for n, to, condition, truth in self.edges(flow) if question.refused_by(flow, condition, truth)}
        told = {(type(s.event), s.event.at): s for s in flow.seen}
        before: dict[int, list[int]] = {}
        for n in reached(body, [0]):
            for to in successors(body.blocks[n].exit):
                before.setdefault(to, []).append(n)
        open_ = False
        met: set[int] = set()
        todo = [(where, here is not None)]
        while todo:
            number, first = todo.pop()
            events = body.blocks[number].events
            until = next((i for i, e in enumerate(events) if first and e.at == at), len(events))
            for event in reversed(events[:until]):
                seen = told.get((type(event), event.at))
                says = question.after(flow, seen) if seen is not None else None
                if says is False:
                    return False
                if says:
                    break
            else:
                open_ = open_ or number == 0
                for one in before.get(number, ()):
                    if (one, number) not in refusing and one not in met:
                        met.add(one)
                        todo.append((one, False))
        return None if open_ else True

    def _ends(self, body: facts.Body | None, at: int) -> int | None:
        """The block that ends with a branch, or a ``switch``, at a position."""
        blocks = enumerate(body.blocks if body is not None else ())
        return next((n for n, b in blocks if isinstance(b.exit, Branch | Switch) and b.exit.at == at), None)

    def edges(self, flow: Flow) -> list[tuple[int, int, Expr, bool]]:
        """The branches of a function: from where to where, and on what condition."""
        got = self._edges.get(flow.frame.func.key)
        if got is None:
            got = self._edges[flow.frame.func.key] = list(self._branches(flow))
        return got

    def _branches(self, flow: Flow) -> Iterator[tuple[int, int, Expr, bool]]:
        conditions = conditions_of(flow)
        for n, block in enumerate(flow.frame.body.blocks if flow.frame.body is not None else ()):
            exit_ = block.exit
            if isinstance(exit_, Branch) and not isinstance(exit_.condition, Config) and exit_.then != exit_.other:
                condition = conditions.get(exit_.at, exit_.condition)
                yield n, exit_.then, condition, True
                yield n, exit_.other, condition, False

    # --- what functions do ------------------------------------------------------------------------

    def model(self, call: Call) -> Model | None:
        return self.program.models.functions.get(call.callee.id) if isinstance(call.callee, Name) else None

    def given(self, flow: Flow, call: Call) -> tuple[Expr, ...]:
        """What a call is given."""
        for s in flow.seen:
            if isinstance(s.event, Call) and s.event.number == call.number and s.args:
                return tuple(map(bare, s.args[0]))
        return tuple(bare(flow.frame.canonical(a, {})) for a in call.args)

    def predicate(self, flow: Flow, call: Call) -> Predicate:
        """What a call asks. All that tell what a bit was ask the same, whatever they make of it (``test_and_clear_bit``)."""
        name = call.callee.id if isinstance(call.callee, Name) else ""
        return BIT if is_bit_test(self.model(call)) else name, self.given(flow, call)

    def reads(self, call: Call, args: Sequence[Expr], func: Func) -> frozenset[str] | None:
        """The fields that a call of a predicate reads; None if it is none."""
        model = self.model(call)
        if model is not None and is_bit_test(model):
            return members_in(path for _, path in accesses(model, tuple(args)))
        return self._read_below(call, args, func, PURE_BELOW)

    def asked_empty(self, flow: Flow, condition: Expr) -> Expr | None:
        """The list that a condition asks whether it is empty."""
        call = flow.frame.call(condition.call) if isinstance(condition, Result) else None
        model = self.model(call) if call is not None else None
        if call is None or model is None or model.empty is None or model.empty >= len(call.args):
            return None
        return listed(flow.frame, self.given(flow, call)[model.empty])

    def is_made(self, frame: Frame, value: Expr) -> bool:
        """Whether a value is what an API has just made, or NULL if there was no memory, which whoever goes on does not ask."""
        call = frame.call(value.call) if isinstance(value, Result) else None
        model = self.model(call) if call is not None else None
        return model is not None and (model.fresh or model.never_null or model.allocates is not None)

    def naming(self, func: Func, call: Call, word: str) -> Func | None:
        """The function that is called by name, if the word stands in it."""
        for target in self.summaries.calls.named(call.callee.id, func.path)[:1] if isinstance(call.callee, Name) else ():
            return target.func if target.func is not None and word in target.func.words else None
        return None

    def changes(self, func: Func, word: str) -> bool:
        """Whether a function may change a member of that name: stores to it, or passes it to what does more than read."""
        body = self.program.body(func)
        handed = (c for c in calls_of(body) if any(word_of(a) == word for a in c.args if isinstance(a, AddressOf | Member)))
        return stores(body, word) or any(
            model is None or any(a.op != "read" for a in model.accesses) for model in map(self.model, handed)
        )

    def links_any(self, func: Func, word: str) -> bool:
        """Whether a function may put a member of that name on a list, or something on the list that it is."""
        body = self.program.body(func)
        for block in body.blocks if body is not None else ():
            for call in block.events:
                if isinstance(call, Call) and any(word_of(a) == word for a in call.args):
                    model = self.model(call)
                    if model is None or not (model.empties is not None or [a.op for a in model.accesses] in (["read"], ["sub"])):
                        return True
        return False

    def read_by(self, func: Func, below: int = PURE_BELOW) -> frozenset[str] | None:
        """The fields that a function reads to answer, which it does by nothing else; None if it does more than that."""
        if func.key not in self._pure:
            self._pure[func.key] = None  # one that calls itself
            self._pure[func.key] = self._read_by(func, below)
        return self._pure[func.key]

    def _read_by(self, func: Func, below: int) -> frozenset[str] | None:
        body = self.program.body(func)
        if body is None or not below:
            return None
        found = {e.name for read in values.expressions(body) for e in values.walk(read) if isinstance(e, Member)}
        for event in (e for b in body.blocks for e in b.events):
            if isinstance(event, facts.Write) and not is_local(body, event.target):
                return None
            if isinstance(event, Call):
                inner = self._read_below(event, event.args, func, below - 1)
                if inner is None:
                    return None
                found |= inner
        return frozenset(found)

    def _read_below(self, call: Call, args: Sequence[Expr], func: Func, below: int) -> frozenset[str] | None:
        """The fields that a call of a function reads to answer, if it does nothing else."""
        model = self.model(call)
        if model is not None and (model.identity is not None or model.pure):
            return frozenset()
        if model is not None and model.accesses:
            words = members_in(path for a, path in accesses(model, tuple(args)) if a.op == "read")
            return words if len(words) == len(model.accesses) else None
        targets = self.summaries.calls.named(call.callee.id, func.path)[:1] if isinstance(call.callee, Name) else ()
        return self.read_by(targets[0].func, below) if targets and targets[0].func is not None else None
