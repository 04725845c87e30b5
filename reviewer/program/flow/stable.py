"""Whether an expression means the same object at two points of a function: nothing that it is made of is written in between.

First asked of the whole function, in no order: what is written anywhere, other than once where it is declared, is not stable.
Between two events it still is, where no write can come after the one and before the other.
"""

from __future__ import annotations

from reviewer.parse import facts
from reviewer.parse.facts import AddressOf, Expr, Name, Result
from reviewer.program.flow.lockflow import Flow, Seen
from reviewer.program.flow.precedence import comes_first
from reviewer.program.flow.summaries import comes_again
from reviewer.program.linked import values


class Written:
    """What one function writes."""

    def __init__(self, flow: Flow) -> None:
        self.frame = flow.frame
        self.targets: set[Expr] = set()
        self.results: dict[int, int] = {}
        self.places: dict[Expr, list[Seen]] = {}
        counts: dict[Expr, int] = {}
        again: dict[int, bool] = {}
        for seen in flow.seen:
            event = seen.event
            if seen.block not in again:
                again[seen.block] = comes_again(self.frame, seen.block, -1)
            loop = again[seen.block]
            if isinstance(event, facts.Call):
                self.results[event.number] = loop
                self.places[Result(event.number)] = [seen]
                for arg in seen.args[0] if seen.args else ():
                    if isinstance(arg, AddressOf) and isinstance(arg.base, Name) and arg.base.id[:1] in "$%":
                        counts[arg.base] = counts.get(arg.base, 0) + 1 + loop
                        self.places.setdefault(arg.base, []).append(seen)
                for target in (self.frame.canonical(a, {}) for a in event.args if event.loop):
                    self.targets.add(target)
                    self.places.setdefault(target, []).append(seen)
            elif isinstance(event, facts.Write):
                target = seen.args[0][0]
                counts[target] = counts.get(target, 0) + 1 + loop
                self.places.setdefault(target, []).append(seen)
        parameters = {Name(f"%{i}") for i in range(len(self.frame.parameters))}
        for target, count in counts.items():
            first = isinstance(target, Name) and target.id.startswith("$")
            if count > 1 or not first or target in parameters:
                self.targets.add(target)

    def stable(self, expr: Expr) -> bool:
        """Whether it is the same object wherever the function names it."""
        for e in values.walk(expr):
            if e == values.UNKNOWN or e in self.targets or (isinstance(e, Result) and self.results.get(e.call, 1)):
                return False
        return True

    def between(self, expr: Expr, one: Seen, other: Seen) -> bool:
        """Whether it is the same object at two events, of which the one comes first."""
        parts = list(values.walk(expr))
        if values.UNKNOWN in parts or any(isinstance(e, Result) and e not in self.places for e in parts):
            return False
        writes = (w for e in parts for w in self.places.get(e, ()))
        return not any(comes_first(self.frame, one, w) and comes_first(self.frame, w, other) for w in writes)
