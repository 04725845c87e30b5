"""What the rules of the general family look at: some functions of one program, and what helps to judge them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from reviewer.checks.analysis import Analysis
from reviewer.program.callers import Callers, CallerSearch, Root
from reviewer.program.effects import Effects
from reviewer.program.link import Func
from reviewer.program.lockflow import Flow, Seen
from reviewer.program.locks import Hold
from reviewer.program.orders import Orders
from reviewer.program.setups import Setups
from reviewer.program.upward import Above, Upward


@dataclass(eq=False)
class Focus:
    """One question to the general rules.

    ``functions``: those in question; a finding has its place in one of them. ``before``: of a review, the focus on the tree
    before the patch: what is inferred statistically is inferred there, else one edit would bring findings in functions that it
    leaves alone.
    """

    analysis: Analysis
    functions: Sequence[Func]
    before: Focus | None = None

    def __post_init__(self) -> None:
        self.program = self.analysis.program
        self.summaries = self.analysis.summaries
        self.effects = Effects(self.summaries)

    @cached_property
    def files(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f.path for f in self.functions))

    @cached_property
    def callers(self) -> CallerSearch:
        return CallerSearch(self.analysis.contexts)

    @cached_property
    def orders(self) -> Orders:
        """Which lock is taken under which."""
        return Orders(self.summaries, self.effects)

    @cached_property
    def upward(self) -> Upward:
        return Upward(self.callers)

    @property
    def setups(self) -> Setups:
        """What work items, timers and tasklets run."""
        return self.analysis.shared.setups

    def flow(self, func: Func) -> Flow | None:
        """The events of a function with what is held at each."""
        return self.summaries.flow(func)

    def flows(self) -> Iterator[Flow]:
        """Those of the functions in question that can be read."""
        for func in self.functions:
            flow = self.flow(func)
            if flow is not None:
                yield flow

    def callers_of(self, func: Func) -> Callers:
        """Call sites and registrations of a function, one level."""
        return self.callers.of(func)

    def roots(self, func: Func) -> Sequence[Root]:
        """Registrations that make the function run (an interrupt, a timer, a work item, a table's operation)."""
        return self.callers.of(func).roots

    def above(self, func: Func) -> Above:
        """What is held around the function by its callers, and in which context it runs."""
        return self.upward.of(func).bottom


def some(seen: Seen, hold: Hold) -> bool:
    """Whether the lock is held in some world of an event."""
    return any(h.lock == hold.lock and h.mode == hold.mode for world in seen.held for h in world)
