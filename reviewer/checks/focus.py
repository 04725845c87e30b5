"""What the rules of the general family look at: some functions of one program, and what helps to judge them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from reviewer.checks.analysis import Analysis
from reviewer.checks.let_go import LetGo
from reviewer.parse.facts import Call
from reviewer.program.concurrency.awaited import Waited
from reviewer.program.concurrency.balance import Releases
from reviewer.program.concurrency.entries import Entries
from reviewer.program.concurrency.lifetimes import Lifetimes
from reviewer.program.concurrency.lockusers import LockUsers
from reviewer.program.concurrency.modes import Modes
from reviewer.program.concurrency.orders import Orders
from reviewer.program.concurrency.queues import Queues
from reviewer.program.concurrency.wakers import Wakers
from reviewer.program.flow.effects import Effect
from reviewer.program.flow.horizon import DEPTH, Horizon
from reviewer.program.flow.lockclasses import LockClasses
from reviewer.program.flow.lockflow import Flow, Seen
from reviewer.program.flow.settled import Settled
from reviewer.program.flow.setups import Setups
from reviewer.program.flow.ways import Ways
from reviewer.program.graph.callers import Callers, CallerSearch, Root
from reviewer.program.graph.holders import Holders
from reviewer.program.graph.masks import Masks
from reviewer.program.graph.nearby import Nearby
from reviewer.program.graph.upward import Above, Upward
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import ALONE, Hold


@dataclass(eq=False)
class Focus:
    """One question to the general rules.

    ``functions``: those in question; a finding has its place in one of them, as a rule. ``beside``: all functions of the files in
    question. A rule that looks for a partner (who waits for a function that has changed, who frees what it uses) finds it among
    these, after a cheap look at the names that they call. ``before``: of a review, the focus on the tree
    before the patch: what is inferred statistically is inferred there, else one edit would bring findings in functions that it
    leaves alone. ``after``: of that one, the focus on the tree after the patch. ``about``: files that somebody has asked for by
    name, if that is so: of several reasons for one finding, one that leads through them is the one to be told. ``beyond``: who
    comes to them through tables, for the rule that looks down from a context. ``named``: of a review, the names in what the patch
    changes, on this side of it.
    """

    analysis: Analysis
    functions: Sequence[Func]
    beside: Sequence[Func] = ()
    before: Focus | None = None
    after: Focus | None = None
    about: frozenset[str] = frozenset()
    beyond: Sequence[Func] = ()
    named: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.program = self.analysis.program
        self.summaries = self.analysis.summaries
        self.effects = self.analysis.effects

    @cached_property
    def every(self) -> tuple[Func, ...]:
        """The functions in question and those beside them, each once."""
        return tuple({f.key: f for f in (*self.functions, *self.beside)}.values())

    @cached_property
    def files(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f.path for f in self.functions))

    def aside(self, func: Func, effect: Effect) -> bool:
        """Whether the way from a function to an effect leads past the files that were asked for."""
        return bool(self.about) and self.about.isdisjoint((func.path, effect.func.path, *(f.path for f, _ in effect.way)))

    @cached_property
    def callers(self) -> CallerSearch:
        return CallerSearch(self.analysis.contexts)

    @cached_property
    def orders(self) -> Orders:
        """Which lock is taken under which."""
        return Orders(self.summaries, self.effects, self.entries, self.newly_locked if self.before is not None else None)

    @cached_property
    def upward(self) -> Upward:
        return Upward(self.callers)

    @property
    def horizon(self) -> Horizon:
        """What stands below a function, by names."""
        return self.summaries.names.horizon

    @property
    def setups(self) -> Setups:
        """What work items, timers and tasklets run."""
        return self.analysis.shared.setups

    @cached_property
    def entries(self) -> Entries:
        """What starts a function by itself, and in which context."""
        return Entries(self.callers, self.nearby if self.other is not None else None)

    @cached_property
    def holders(self) -> Holders:
        """Who holds a lock around a function; in a review, which asks about few, calls through its tables count, too."""
        return Holders(self.callers, self.entries.callers if self.other is not None else None)

    @cached_property
    def nearby(self) -> Nearby:
        """Who calls a function in its own file or folder."""
        return Nearby(self.summaries, self.setups)

    @cached_property
    def modes(self) -> Modes:
        """In which contexts a function runs."""
        return Modes(self.entries, self.holders)

    @cached_property
    def masks(self) -> Masks:
        """Which masks are passed to a function."""
        return Masks(self.callers)

    @cached_property
    def releases(self) -> Releases:
        """What may release a lock, by names."""
        return Releases(self.summaries)

    @cached_property
    def lives(self) -> Lifetimes:
        """What keeps callbacks from running, and ends the objects on which they work."""
        return Lifetimes(self.setups)

    @cached_property
    def settled(self) -> Settled:
        """Conditions that a way has settled before it comes to them."""
        return Settled(self.summaries)

    @property
    def ways(self) -> Ways:
        """Under which conditions an event comes about."""
        return self.settled.ways

    @cached_property
    def queues(self) -> Queues:
        """Work queues that run one work at a time."""
        return Queues(self.waited, self.entries, self.nearby)

    @cached_property
    def lock_users(self) -> LockUsers:
        """Where a spinning lock is taken."""
        return LockUsers(self.summaries)

    @cached_property
    def lock_classes(self) -> LockClasses:
        """Which locks of one name are of several classes."""
        return LockClasses(self.summaries)

    @cached_property
    def waited(self) -> Waited:
        """Who is waited for."""
        return Waited(self.setups)

    @cached_property
    def let_go(self) -> LetGo:
        """Locks of the callers of which a function knew before a patch."""
        return LetGo(self)

    @cached_property
    def wakers(self) -> Wakers:
        """Who ends a wait for a condition."""
        return Wakers(self.waited, self.analysis.shared)

    def flow(self, func: Func) -> Flow | None:
        """The events of a function with what is held at each."""
        return self.summaries.flow(func)

    def holding(self) -> Iterator[Flow]:
        """The functions in question that hold anything."""
        for func in self.functions:
            flow = self.flow(func) if self.summaries.holds(func) else None
            if flow is not None:
                yield flow

    @property
    def other(self) -> Focus | None:
        """The other side of a review; None in a scan."""
        return self.before or self.after

    @cached_property
    def _in_question(self) -> frozenset[str]:
        """Keys of the functions that are in question on either side of a review."""
        return frozenset(f.key for side in (self, self.other) if side is not None for f in side.functions)

    @cached_property
    def _in_tables(self) -> bool:
        """Whether one of them, on either side, stands in a table of which no model knows the context."""
        return any(side.entries.slots(f) for side in (self, self.other) if side is not None for f in side.functions)

    def concerns(self, func: Func, *words: str) -> bool:
        """Whether a review, which finds what a patch brings or mends, has to look at a function: it is in question on either
        side, it may come to one that is through a table, or the patch names it, or one of the words that stand for it. In a
        scan all are. The answer is the same for both sides."""
        if self.other is None or func.key in self._in_question:
            return True
        if any(not side.named.isdisjoint((func.name, *words)) for side in (self, self.other)):
            return True
        names = self.summaries.names
        return self._in_tables and (names.calls_indirectly(func) or names.indirect_below(func, DEPTH - 1))

    def differs(self, func: Func) -> bool:
        """Whether the other side of a review has another body of the function; always in a scan."""
        if self.other is None:
            return True
        body = self.program.body(func)
        return all(self.other.program.body(f) != body for f in self.other.program.functions(func.path, func.name))

    def edited(self, func: Func) -> bool:
        """Whether a patch, if there is one in question, changes the body of the function."""
        return self.before is not None and self.differs(func)

    def flows_before(self, func: Func) -> list[Flow]:
        """What the function of this name did before a patch; empty in a scan, and before the patch itself."""
        old = self.before
        found = old.program.functions(func.path, func.name) if old is not None else ()
        return [flow for mine in found if old is not None and (flow := old.flow(mine)) is not None]

    def came_under(self, func: Func, seen: Seen, hold: Hold) -> bool:
        """Whether a patch makes a call under a lock that was made without it before: whoever did so had seen to it, as a rule, so
        that an unlikely way (the last reference that is given back) counts like any other."""
        callee = seen.callee or (seen.event.callee if isinstance(seen.event, Call) else None)
        return callee is not None and self.edited(func) and any(
            isinstance(s.event, Call) and (s.callee or s.event.callee) == callee and all(h.name != hold.name for h in s.may())
            for flow in self.flows_before(func) for s in flow.seen
        )  # fmt: skip

    def newly_locked(self, func: Func, seen: Seen) -> bool:
        """Whether a patch makes a call under a lock that was made without it before."""
        return any(self.came_under(func, seen, h) for h in seen.must() if h.kind not in ALONE)

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
