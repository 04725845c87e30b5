"""Top-down: who can call a function, holding what, and what keeps two callers apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from reviewer.parse.cfg import successors
from reviewer.parse.facts import Body, Call, Name
from reviewer.program.api.models import Irq
from reviewer.program.flow.lockflow import Seen, reached
from reviewer.program.flow.summaries import Summaries, place
from reviewer.program.graph.chains import Chains, ChainSite
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import ALONE, Hold, lock_class

MAX_UP = 3
"""Levels of callers that a must set is followed upwards."""

MAX_CALLERS = 60
"""Callers of one function that are looked at; more, and nothing is known to be held by all."""


@dataclass(frozen=True, slots=True)
class CallSite:
    """One place from which a function is called, and what is held there.

    ``must``/``may``: the caller's own locks at the call. ``via``: the notifier chain in between, if there is one.
    ``how``: ``call``, or what else leads there (``struct T.field``, the API that runs a callback). ``runs``: the context
    into which that API takes the callee (``hardirq`` on another CPU); task where it stays the caller's. ``many``: it runs
    the callee on several CPUs at once.
    """

    caller: Func
    call: Call
    must: tuple[Hold, ...]
    may: tuple[Hold, ...]
    via: str = ""
    chain_hold: Hold | None = None
    how: str = "call"
    runs: Irq = "task"
    many: bool = False

    @property
    def line(self) -> int:
        return self.caller.line_of(self.call.at)


@dataclass(slots=True)
class Context:
    """Callers and locks of one function."""

    func: Func
    sites: list[CallSite]
    must: tuple[Hold, ...] = ()
    may: tuple[Hold, ...] = ()
    partial: bool = False
    above: dict[str, Context] = field(default_factory=dict)

    def roots(self) -> dict[str, Func]:
        """The outermost callers that were found: those whose own callers are not known."""
        found: dict[str, Func] = {}
        todo: list[Context] = [self]
        seen: set[str] = set()
        while todo:
            context = todo.pop()
            for site in context.sites:
                above = context.above.get(site.caller.key)
                if above is None or not above.sites:
                    found[site.caller.key] = site.caller
                elif above.func.key not in seen:
                    seen.add(above.func.key)
                    todo.append(above)
        return found

    def exclusive(self) -> tuple[Hold, ...]:
        return tuple(h for h in self.must if serialises(h))


def common(sets: list[list[Hold]]) -> tuple[Hold, ...]:
    """The locks that are in every set, in the order of the first."""
    first, rest = sets[0], sets[1:]
    return tuple(
        h for h in first if h.name and all(any(g.name == h.name and g.mode == h.mode for g in s) for s in rest)
    )


def serialises(hold: Hold) -> bool:
    """Whether a lock keeps other CPUs out: a shared hold does not, nor do interrupts that are off on one CPU."""
    return hold.mode == "exclusive" and bool(hold.name) and hold.kind not in ALONE


def passed_by(body: Body, block: int) -> bool:
    """Whether what a block says is said of some calls of the function only: what comes after it is reached around it, too, or
    more is done around it than after it. A way around that does nothing but return was no reason to say it."""
    after = reached(body, successors(body.blocks[block].exit)) - {block}
    around = reached(body, [0], block)
    if any(body.blocks[b].events for b in after & around):
        return True
    apart = {b for b in around - after if block not in reached(body, [b])}
    return events_in(body, apart) > events_in(body, after | {block})


def events_in(body: Body, blocks: Iterable[int]) -> int:
    """How much is done in some blocks of a function."""
    return sum(len(body.blocks[b].events) for b in blocks)


class Contexts:
    """Contexts of functions, memoised."""

    def __init__(self, summaries: Summaries, chains: Chains) -> None:
        self.summaries = summaries
        self.chains = chains
        self.program = summaries.program
        self._made: dict[str, Context] = {}
        self._sites: dict[str, list[CallSite]] = {}
        self._asserted: dict[str, tuple[Hold, ...]] = {}

    def of(self, func: Func, depth: int = 0) -> Context:
        """The callers of ``func`` and what they hold, their own callers' locks included."""
        got = self._made.get(func.key)
        if got is not None:
            return got
        self._made[func.key] = Context(func, [], partial=True)  # recursion adds nothing
        made = self.build(func, self.sites(func), depth)
        made.must += self.asserted(func)
        self._made[func.key] = made
        return made

    def of_chain(self, callback: Func, sites: list[ChainSite]) -> Context:
        """The context of a chain's callback: the callers of the chain, and theirs."""
        found = [s for site in sites for s in self.chain_sites(site)]
        return self.build(callback, found, 0)

    def build(self, func: Func, sites: list[CallSite], depth: int) -> Context:
        context = Context(func, sites)
        if not sites:
            context.partial = True
            return context
        own: list[list[Hold]] = []
        may: dict[tuple[str, str], Hold] = {}
        for site in sites:
            full = list(site.must)
            if site.chain_hold is not None:
                full.append(site.chain_hold)
            for h in (*site.may, *full):
                may.setdefault((h.name, h.mode), h)
            own.append(full)
        must = common(own)
        # What every caller takes by itself is enough; otherwise somebody further up may hold what they lack.
        lacking = not any(serialises(h) for h in must)
        context.partial |= lacking and depth >= MAX_UP
        if lacking and depth < MAX_UP:
            self.chains.prefetch(site.caller for site in sites if site.caller.key not in self._made)
            for site, full in zip(sites, own, strict=True):
                above = self.of(site.caller, depth + 1)
                context.above[site.caller.key] = above
                full.extend(above.must)
                context.partial |= above.partial and not above.must
                for h in above.may:
                    may.setdefault((h.name, h.mode), h)
            must = common(own)
        context.must = must
        context.may = tuple(h for h in may.values() if h.name)
        return context

    def serialiser(self, context: Context) -> Hold | None:
        """The lock that keeps two callers out of the function: held exclusively, on every known path."""
        found = context.exclusive()
        return found[0] if found else None

    # --- sites ----------------------------------------------------------------------------------

    def sites(self, func: Func) -> list[CallSite]:
        got = self._sites.get(func.key)
        if got is None:
            got = self._sites[func.key] = list(self._call_sites(func))
        return got

    def _call_sites(self, func: Func) -> Iterator[CallSite]:
        callers = 0
        for caller, call in self.chains.callers_of(func):
            callers += 1
            if callers > MAX_CALLERS:
                return
            yield self.site(caller, call)

    def site(self, caller: Func, call: Call) -> CallSite:
        seen = self.seen(caller, call)
        asserted = self.asserted(caller)
        if seen is None:
            return CallSite(caller, call, asserted, asserted)
        return CallSite(caller, call, seen.must() + asserted, seen.may() + asserted)

    def asserted(self, func: Func) -> tuple[Hold, ...]:
        """Locks that the function says its callers hold, by an assertion that would complain."""
        got = self._asserted.get(func.key)
        if got is None:
            got = self._asserted[func.key] = tuple(self._asserts(func)) if self._may_assert(func) else ()
        return got

    def asserted_of_some(self, func: Func) -> tuple[Hold, ...]:
        """Locks that the function says some of its callers hold, by what they pass (``if (p != mine) assert_held(&p->l);``)."""
        return tuple(self._asserts(func, of_some=True)) if self._may_assert(func) else ()

    def _may_assert(self, func: Func) -> bool:
        models = self.program.models.functions
        return any((m := models.get(c)) is not None and m.asserts for c in func.calls)

    def _asserts(self, func: Func, of_some: bool = False) -> Iterator[Hold]:
        frame = self.program.frame(func)
        for number, block in enumerate(frame.body.blocks if frame.body is not None else ()):
            for event in block.events:
                if not isinstance(event, Call) or not isinstance(event.callee, Name):
                    continue
                model = self.program.model(event.callee.id)
                for asserts in model.asserts if model is not None else ():
                    lock = place(asserts.lock, tuple(frame.canonical(a, {}) for a in event.args))
                    if lock is not None and frame.body is not None and passed_by(frame.body, number) == of_some:
                        yield Hold(lock, lock_class(frame, lock), asserts.kind, asserts.mode, "lock", "", event.at)

    def seen(self, caller: Func, call: Call) -> Seen | None:
        flow = self.summaries.flow(caller)
        for seen in flow.seen if flow is not None else ():
            if isinstance(seen.event, Call) and seen.event.number == call.number:
                return seen
        return None

    def chain_sites(self, site: ChainSite) -> Iterator[CallSite]:
        """The call of a chain as a call site of its callbacks: with the chain's own lock."""
        plain = self.site(site.func, site.call)
        spec = self.chains.call_of(site)
        hold = None
        if spec is not None and spec.holds is not None:
            frame = self.program.frame(site.func)
            args = tuple(frame.canonical(a, {}) for a in site.call.args)
            lock = place(spec.holds.lock, args)
            if lock is not None:
                suffix = "".join(f".{p}" for p in spec.holds.lock.path)
                name = f"{site.chain}{suffix}" if spec.holds.lock.base == "arg" else spec.holds.lock.name
                hold = Hold(lock, name, spec.holds.kind, spec.holds.mode, spec.holds.taken, "", site.call.at)
        how = f"chain {site.chain}"
        yield CallSite(plain.caller, plain.call, plain.must, plain.may, site.chain, hold, how)

    def takers(self, context: Context, name: str) -> list[tuple[CallSite, Hold]]:
        """The call sites, here or above, at which lock class ``name`` is held, with the hold."""
        found: list[tuple[CallSite, Hold]] = []
        todo = [context]
        seen: set[str] = set()
        while todo:
            c = todo.pop(0)
            if c.func.key in seen:
                continue
            seen.add(c.func.key)
            for site in c.sites:
                mine = [h for h in site.may if h.name == name]
                if mine:
                    found.append((site, mine[0]))
                elif site.caller.key in c.above:
                    todo.append(c.above[site.caller.key])
        return found
