"""The callers of a function, and theirs, until what they hold is known: full lock sets, contexts, and the ways in.

A search goes level by level, so that the names of one level are looked up in one search of the tree. It goes above the
callers of a function only while these share no lock that keeps other CPUs out, and ends as soon as two ways in are known
that have no such lock in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from reviewer.program.api.models import Irq, Kind
from reviewer.program.graph.callers import Callers, CallerSearch, Root
from reviewer.program.graph.contexts import CallSite, serialises
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import SLEEPING, Hold, lock_class

MAX_LEVELS = 4
"""Levels of callers that are looked at."""

MAX_FUNCTIONS = 60
"""Functions of one search whose callers are looked for."""

RESTRICTION: dict[Irq, int] = {"task": 0, "atomic": 1, "softirq": 2, "hardirq": 3, "nmi": 4}
"""Contexts from the one in which most is allowed (Documentation/kernel-hacking/hacking.rst, "The Players")."""

ATOMIC: frozenset[Kind] = frozenset({"spin", "raw_spin", "rwlock", "bit", "seq", "rcu", "preempt", "irq", "bh"})
"""Kinds whose holder must not sleep (Documentation/locking/locktypes, "Spinning locks")."""


@dataclass(frozen=True, slots=True)
class Way:
    """A call site with everything that is held there.

    ``full``: the site's own locks, the chain's, and what its caller's callers always hold.
    """

    site: CallSite
    full: tuple[Hold, ...]
    irq: Irq


@dataclass(slots=True)
class Above:
    """What is known of one function from its callers.

    ``must``: held on every known path; ``ways``: its call sites; ``down``: the call towards the function that the
    search was about, and that call's function; ``asked``: whether its callers were looked for.
    """

    func: Func
    level: int
    down: tuple[CallSite, Above] | None = None
    callers: Callers | None = None
    climbs: bool = False
    must: tuple[Hold, ...] = ()
    may: tuple[Hold, ...] = ()
    irq: Irq = "task"
    in_reclaim: bool = False
    partial: bool = False
    ways: list[Way] = field(default_factory=list)

    @property
    def sites(self) -> Sequence[CallSite]:
        return self.callers.sites if self.callers is not None else ()

    @property
    def roots(self) -> Sequence[Root]:
        return self.callers.roots if self.callers is not None else ()


@dataclass(slots=True)
class Climb:
    """One search: the function it is about, and all functions above it that were met, by key."""

    bottom: Above
    met: dict[str, Above]
    cut: dict[str, None] = field(default_factory=dict)

    @property
    def serialiser(self) -> Hold | None:
        """The lock that lets one caller in at a time; one that exists once before one of many objects."""
        if any(site.many for site in self.bottom.sites):
            return None
        found = [h for h in self.bottom.must if serialises(h)]
        found.sort(key=lambda h: h.name.startswith(("struct ", "union ", "*")))
        return found[0] if found else None

    def takers(self, name: str) -> list[tuple[CallSite, Hold, Above]]:
        """Where lock class ``name`` is first held on the ways in: call site, hold, and the function called there."""
        found: list[tuple[CallSite, Hold, Above]] = []
        for above in sorted(self.met.values(), key=lambda a: a.level):
            for site in above.sites:
                mine = next((h for h in held_at(site, True) if h.name == name), None)
                if mine is not None and not any(s.caller.key == site.caller.key for s, _, _ in found):
                    found.append((site, mine, above))
        return found

    def path_down(self, above: Above) -> list[CallSite]:
        """The calls from a function that was met down to the one the search is about."""
        found: list[CallSite] = []
        at: Above = above
        while at.down is not None:
            found.append(at.down[0])
            at = at.down[1]
        return found


class Upward:
    """Climbs, memoised by function."""

    def __init__(self, search: CallerSearch) -> None:
        self.search = search
        self.summaries = search.summaries
        self.program = search.program
        scopes = self.program.models.scopes.values()
        self.reclaim = frozenset(f for s in scopes if s.in_reclaim for f in s.functions)
        self._chains = frozenset(o.chain for o in self.program.models.obligations if o.in_reclaim)
        self._made: dict[str, Climb] = {}
        self._dropped: dict[str, frozenset[str]] = {}

    def of(self, func: Func, functions: int = MAX_FUNCTIONS) -> Climb:
        """The callers of ``func`` as far up as need be.

        :param functions: how many functions' callers are looked for at most.
        """
        got = self._made.get(func.key)
        if got is None:
            got = self._made[func.key] = self._climb(func, functions)
        return got

    def _climb(self, func: Func, functions: int) -> Climb:
        climb = Climb(Above(func, 0), {})
        climb.met[func.key] = climb.bottom
        level = [climb.bottom]
        asked = 0
        while level:
            if level[0].level > MAX_LEVELS or asked >= functions:
                climb.cut[f"the callers of {plural(len(level), 'function')} further up"] = None
                break
            if len(level) > functions - asked:
                climb.cut[f"the callers of {plural(len(level) - functions + asked, 'function')} further up"] = None
                level = level[: functions - asked]
            asked += len(level)
            level = self._ask(climb, level)
            possible = self._fixpoint(climb, True)[func.key]
            if possible is not None and not any(serialises(h) for h in possible):
                break
        self._settle(climb)
        return climb

    def _ask(self, climb: Climb, level: list[Above]) -> list[Above]:
        """Looks for the callers of one level of functions; gives the next level."""
        self.search.prefetch(a.func for a in level)
        above: list[Above] = []
        for node in level:
            node.callers = self.search.of(node.func)
            for cut in node.callers.cut:
                climb.cut[cut] = None
            node.climbs = not node.callers.cut and not shared_lock(node.sites)
            for site in node.sites if node.climbs else ():
                if site.caller.key not in climb.met:
                    climb.met[site.caller.key] = Above(site.caller, node.level + 1, (site, node))
                    above.append(climb.met[site.caller.key])
        return above

    def _fixpoint(self, climb: Climb, hopeful: bool) -> dict[str, tuple[Hold, ...] | None]:
        """Must sets from the top down; a recursion adds nothing. None: anything may be held.

        :param hopeful: what was not asked may hold anything; otherwise it holds nothing.
        """
        order = sorted(climb.met.values(), key=lambda a: -a.level)
        must: dict[str, tuple[Hold, ...] | None] = dict.fromkeys((a.func.key for a in order), None)
        for _ in range(len(order) + 1):
            changed = False
            for node in order:
                if node.callers is None and hopeful:
                    continue
                found = self._meet(climb, node, must)
                if not same(found, must[node.func.key]):
                    must[node.func.key] = found
                    changed = True
            if not changed:
                break
        return must

    def _settle(self, climb: Climb) -> None:
        """What is known of every function that was met."""
        order = sorted(climb.met.values(), key=lambda a: -a.level)
        must = self._fixpoint(climb, False)
        for node in order:
            node.must = must[node.func.key] or ()
        for _ in range(MAX_LEVELS + 1):
            for node in order:
                self._spread(climb, node)
        for node in order:
            self._doubt(climb, node)

    def _meet(
        self, climb: Climb, node: Above, must: dict[str, tuple[Hold, ...] | None]
    ) -> tuple[Hold, ...] | None:
        """What all ways into the function hold; None while no way has been settled."""
        if node.callers is None or any(r.runs for r in node.roots):
            return ()
        sets: list[tuple[Hold, ...]] = []
        for site in node.sites:
            above: tuple[Hold, ...] = ()
            if node.climbs and site.caller.key in climb.met:
                got = must[site.caller.key]
                if got is None:
                    continue
                above = tuple(h for h in got if h.name not in self.dropped(site.caller))
            sets.append(joined(held_at(site, False), above))
        if not sets:
            return None if node.sites else ()
        return common(sets)

    def _spread(self, climb: Climb, node: Above) -> None:
        """May set, context and reclaim of one function, from those above it."""
        ways: list[Way] = []
        may: dict[tuple[str, str], Hold] = {(h.name, h.mode): h for h in node.must}
        irq: Irq = "task"
        inside = node.func.name in self.reclaim
        for site in node.sites:
            above = climb.met.get(site.caller.key) if node.climbs else None
            outer = tuple(h for h in above.must if h.name not in self.dropped(site.caller)) if above is not None else ()
            for h in (*held_at(site, True), *(above.may if above is not None else ())):
                may.setdefault((h.name, h.mode), h)
            here = context_at(site, above.irq if above is not None else "task")
            ways.append(Way(site, joined(held_at(site, False), outer), here))
            irq = stricter(irq, here)
            inside |= site.caller.name in self.reclaim or (above is not None and above.in_reclaim)
            inside |= site.via.rpartition(":")[2] in self._chains and bool(site.via)
        for root in node.roots:
            irq = stricter(irq, root.context)
            inside |= root.in_reclaim
        node.ways, node.irq, node.in_reclaim = ways, irq, inside
        held = {h.name for h in node.must}
        node.may = tuple(h for h in may.values() if h.name and h.name not in held)

    def _doubt(self, climb: Climb, node: Above) -> None:
        """Partial: more callers may be there, or a lock is owed to a function above of which that is so."""
        node.partial = node.callers is None or not node.callers.complete or not (node.sites or node.roots)
        if node.partial or not node.climbs:
            return
        needed = {h.name for h in node.must}
        for site in node.sites:
            above = climb.met.get(site.caller.key)
            owed = needed - {h.name for h in held_at(site, False)}
            if owed and above is not None and above is not node and above.partial:
                node.partial = True

    def dropped(self, func: Func) -> frozenset[str]:
        """Lock classes of its callers that a function lets go, for good or for a while."""
        got = self._dropped.get(func.key)
        if got is None:
            frame = self.program.frame(func)
            outcomes = self.summaries.of(func).outcomes
            names = {lock_class(frame, d) for o in outcomes for d in o.drops}
            got = self._dropped[func.key] = frozenset(n for n in names if n)
        return got


def held_at(site: CallSite, some: bool) -> tuple[Hold, ...]:
    """Named locks held at a call site by its own function, the chain's included; ``some``: on some path suffices."""
    found = [h for h in (site.may if some else site.must) if h.name]
    if site.chain_hold is not None and site.chain_hold.name:
        found.append(site.chain_hold)
    return tuple(found)


def shared_lock(sites: Iterable[CallSite]) -> bool:
    """Whether all call sites hold a common lock that keeps other CPUs out."""
    sets = [frozenset(h.name for h in held_at(s, False) if serialises(h)) for s in sites]
    return bool(sets) and bool(frozenset.intersection(*sets))


def joined(inner: Sequence[Hold], outer: Sequence[Hold]) -> tuple[Hold, ...]:
    """Both, the outer first, each class and mode once."""
    return tuple({(h.name, h.mode): h for h in (*outer, *inner)}.values())


def common(sets: Sequence[Sequence[Hold]]) -> tuple[Hold, ...]:
    """What stands in every set: shared if it is so in any, taken as in the set in which it cannot fail."""
    found: list[Hold] = []
    for name in dict.fromkeys(h.name for h in sets[0]):
        mine = [[h for h in s if h.name == name] for s in sets]
        if not all(mine):
            continue
        # A set that has the lock in both modes has it exclusively.
        best = [min(hs, key=lambda h: (h.mode != "exclusive", ORDER.index(h.taken))) for hs in mine]
        shared = [h for h in best if h.mode == "shared"]
        found.append(min(shared or best, key=lambda h: ORDER.index(h.taken)))
    return tuple(found)


ORDER = ("lock", "guard", "killable", "interruptible", "timeout", "trylock")
"""Ways of taking a lock, those that cannot fail first."""


def same(a: Sequence[Hold] | None, b: Sequence[Hold] | None) -> bool:
    if a is None or b is None:
        return a is b
    return {(h.name, h.mode) for h in a} == {(h.name, h.mode) for h in b}


def context_at(site: CallSite, above: Irq) -> Irq:
    """The context in which the callee of a site runs: the API's own, else the caller's with what it holds."""
    if site.runs != "task":
        return site.runs
    sleeps = any(h.kind in SLEEPING and h.taken != "trylock" for h in site.must)
    atomic = any(h.kind in ATOMIC for h in held_at(site, True))
    # Whoever has taken a sleeping lock without trying is a task, whatever else calls its function.
    base: Irq = "task" if sleeps else above
    return stricter(base, "atomic") if atomic else base


def stricter(a: Irq, b: Irq) -> Irq:
    """The one of two contexts in which less is allowed."""
    return a if RESTRICTION[a] >= RESTRICTION[b] else b


def plural(count: int, one: str) -> str:
    return f"{count} {one}" if count == 1 else f"{count} {one}s"
