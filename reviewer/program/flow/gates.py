"""Atomic gates: places that only one caller at a time can have reached, because it won an atomic test.

``if (test_and_set_bit(0, &busy)) return;`` lets one caller in. What counts is the result on the path, not that such an
operation is somewhere in the function, and a function that hands the result on is looked through.
"""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.parse import facts
from reviewer.parse.facts import Binary, Call, Const, Expr, Name, Result, Write
from reviewer.program.api.models import Accesses
from reviewer.program.flow import lockflow
from reviewer.program.flow.lockflow import Observer, State, polarity
from reviewer.program.flow.summaries import Summaries, accesses
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame

MAX_HELPERS = 2
"""Functions between the atomic test and the one who looks at its result."""

Gate = tuple[Expr, Expr | None]
"""The object that is tested, in terms of the function that asks, and the bit of it."""

ABOVE: dict[tuple[str, str, bool], int] = {
    ("add", ">", False): 1, ("add", ">=", False): 2, ("add", "<", True): 2, ("add", "<=", True): 1,
    ("sub", "<", False): 0, ("sub", ">=", True): 0, ("sub", ">", False): 0, ("sub", "<=", True): 0,
}  # fmt: skip
"""Comparisons of a count's new value, with their truth, that one caller alone can see: the bound for each."""


class Gates:
    """Which gates stand open behind the caller, per function and event; memoised."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.program = summaries.program
        self._at: dict[str, dict[int, frozenset[Gate]]] = {}
        self._results: dict[str, list[tuple[Expr, frozenset[Gate]]]] = {}

    def at(self, func: Func) -> dict[int, frozenset[Gate]]:
        """For the position of each event: the gates that this caller has won on every path, and not opened again."""
        got = self._at.get(func.key)
        if got is None:
            self._at[func.key] = {}
            got = self._at[func.key] = self._run(func) if self._tests(func, 0) else {}
        return got

    def _tests(self, func: Func, depth: int) -> bool:
        """Whether the function, or one that it calls, makes an atomic test."""
        for name in func.calls:
            model = self.program.models.functions.get(name)
            if model is not None and any(a.tests for a in model.accesses):
                return True
            if model is None and depth < MAX_HELPERS:
                for callee in self.program.functions(func.path, name):
                    if self._tests(callee, depth + 1):
                        return True
        return False

    def _run(self, func: Func) -> dict[int, frozenset[Gate]]:
        watch = Watch(self)
        lockflow.run(self.program.frame(func), self.summaries, observer=watch)
        return watch.found

    def won(self, frame: Frame, state: State, depth: int = 0) -> frozenset[Gate]:
        """The gates that this path has come through."""
        found: set[Gate] = set()
        for condition, truth in state.truths.items():
            found |= self.by(frame, condition, truth, depth)
        return frozenset(found)

    def by(self, frame: Frame, condition: Expr, truth: bool, depth: int = 0) -> frozenset[Gate]:
        """The gates that are won if the condition has this truth."""
        result = result_in(condition)
        call = frame.call(result.call) if result is not None else None
        if result is None or call is None or not isinstance(call.callee, Name):
            return frozenset()
        args = tuple(frame.canonical(a, {}) for a in call.args)
        found: set[Gate] = set()
        for target in self.summaries.calls.named(call.callee.id, frame.func.path):
            if target.model is not None:
                for access, path in accesses(target.model, args):
                    if access.tests and wins(access, args, result, condition, truth):
                        found.add((path, args[access.bit] if access.bit is not None else None))
            elif target.func is not None and depth < MAX_HELPERS:
                found |= self._through(target.func, args, result, condition, truth, depth)
        return frozenset(found)

    def _through(
        self, func: Func, args: tuple[Expr, ...], result: Result, condition: Expr, truth: bool, depth: int
    ) -> frozenset[Gate]:
        """Gates of a helper that its result tells of: ``return !test_and_set_bit(0, &busy);``."""
        common: frozenset[Gate] | None = None
        for value, gates in self.results(func, depth + 1):
            compared = replaced(condition, result, value)
            known = values.truth(compared)
            if known is not None and known != truth:
                continue
            if known is None:
                positive, inner = polarity(compared)
                gates = gates | self.by(self.program.frame(func), inner, truth == positive, depth + 1)
            common = gates if common is None else common & gates
        outer = set()
        for path, bit in common or ():
            outer.add((
                values.substitute(path, args, func.name),
                values.substitute(bit, args, func.name) if bit is not None else None,
            ))  # fmt: skip
        return frozenset(outer)

    def results(self, func: Func, depth: int) -> list[tuple[Expr, frozenset[Gate]]]:
        """What the function may return, with the gates it has won by then."""
        got = self._results.get(func.key)
        if got is None:
            self._results[func.key] = []
            if self._tests(func, depth):
                frame = self.program.frame(func)
                flow = self.summaries.flow(func)
                self._results[func.key] = [
                    (e.value, self.won(frame, e.state, depth))
                    for e in (flow.endings if flow is not None else ())
                    if e.value is not None
                ]
            got = self._results[func.key]
        return got


class Watch(Observer):
    """Records the gates at each event; ``extra`` holds those that this path has opened again."""

    def __init__(self, gates: Gates) -> None:
        self.gates = gates
        self.found: dict[int, frozenset[Gate]] = {}

    def start(self) -> object:
        return frozenset()

    def event(self, frame: Frame, event: facts.Event, state: State, args: tuple[Expr, ...]) -> object:
        opened = state.extra
        assert isinstance(opened, frozenset)
        here = self.gates.won(frame, state) - opened
        before = self.found.get(event.at)
        self.found[event.at] = here if before is None else here & before
        for gate, again in self._changes(frame, event, args):
            opened = opened - {gate} if again else opened | {gate}
        return opened

    def _changes(
        self, frame: Frame, event: facts.Event, args: tuple[Expr, ...]
    ) -> Iterator[tuple[Gate, bool]]:
        """Objects that the event stores to, which opens a gate, or tests anew."""
        if isinstance(event, Write):
            yield (args[0], None), False
        elif isinstance(event, Call) and isinstance(event.callee, Name):
            model = self.gates.program.model(event.callee.id)
            for access, path in accesses(model, args) if model is not None else ():
                if access.op != "read":
                    yield (path, args[access.bit] if access.bit is not None else None), access.tests


def replaced(expr: Expr, part: Expr, value: Expr) -> Expr:
    """The expression with one part replaced, folded again."""

    def leaf(e: Expr) -> Expr | None:
        return value if e == part else None

    return values.rebuild(expr, leaf)


def result_in(condition: Expr) -> Result | None:
    """The call whose result a condition is about: ``r``, ``r == 1``, ``r > 1``."""
    if isinstance(condition, Binary):
        condition = condition.left if isinstance(condition.left, Result) else condition.right
    return condition if isinstance(condition, Result) else None


def wins(access: Accesses, args: tuple[Expr, ...], result: Result, condition: Expr, truth: bool) -> bool:
    """Whether a condition with this truth says that this caller made the change before any other."""
    how = access.wins
    if how == "other":
        stored = args[access.value] if access.value is not None and access.value < len(args) else None
        if not isinstance(stored, Const):
            return False
        how = "nonzero" if stored.value == 0 else "zero"
    if how.startswith("arg "):
        old = args[int(how[4:])]
        if old != Const(0):
            return truth and condition in (Binary("==", result, old), Binary("==", old, result))
        how = "zero"
    if how == "zero":
        return condition == result and not truth
    if how == "nonzero":
        return truth and (
            condition == result
            or (isinstance(condition, Binary) and condition.op == "==" and isinstance(condition.right, Const))
        )
    if not isinstance(condition, Binary) or not isinstance(condition.right, Const):
        return False
    if condition.op == "==":
        return truth
    return ABOVE.get((access.op, condition.op, truth)) == condition.right.value
