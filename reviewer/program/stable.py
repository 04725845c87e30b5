"""Whether an expression means the same object at two points of a function: nothing that it is made of is written in between.

Asked of the whole function, in no order: what is written anywhere, other than once where it is declared, is not stable.
"""

from __future__ import annotations

from reviewer.parse import facts
from reviewer.parse.facts import AddressOf, Expr, Name, Result
from reviewer.program import values
from reviewer.program.lockflow import Flow
from reviewer.program.summaries import comes_again


class Written:
    """What one function writes."""

    def __init__(self, flow: Flow) -> None:
        self.frame = flow.frame
        self.targets: set[Expr] = set()
        self.results: dict[int, int] = {}
        counts: dict[Expr, int] = {}
        again: dict[int, bool] = {}
        for seen in flow.seen:
            event = seen.event
            if seen.block not in again:
                again[seen.block] = comes_again(self.frame, seen.block, -1)
            loop = again[seen.block]
            if isinstance(event, facts.Call):
                self.results[event.number] = loop
                for arg in seen.args[0] if seen.args else ():
                    if isinstance(arg, AddressOf) and isinstance(arg.base, Name) and arg.base.id[:1] in "$%":
                        counts[arg.base] = counts.get(arg.base, 0) + 1 + loop
                if event.loop:
                    self.targets |= {self.frame.canonical(a, {}) for a in event.args}
            elif isinstance(event, facts.Write):
                target = seen.args[0][0]
                counts[target] = counts.get(target, 0) + 1 + loop
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
