"""``relies-on``: what only one lock serialises, though it does not take that lock itself.

A shared variable relies on lock L if L stands in the intersection of the full lock sets (a function's own and its
callers') over all conflicting accesses, while the intersection of the own sets is empty of it and of any other common
lock. A callback that is run under L relies on it if a second run of it at the same time would break something: it changes
shared state with no lock of its own, or looks outside its lock at what it has changed under it.

Fields of objects that are reached by pointers count for callbacks only: which object is meant is known there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from reviewer.parse.facts import Call, Const, Member, Name
from reviewer.program.concurrency.shared import CHANGES, COUNTS, Access, Closure, Shared, runs_once
from reviewer.program.flow.lockflow import Seen
from reviewer.program.flow.objects import object_name, short
from reviewer.program.flow.summaries import Summaries
from reviewer.program.graph.callers import CallerSearch
from reviewer.program.graph.contexts import serialises
from reviewer.program.graph.downward import Downward, Edge, Node, Reached
from reviewer.program.graph.takers import Taken, Takers, takers
from reviewer.program.graph.upward import Climb, Upward
from reviewer.program.linked import values
from reviewer.program.linked.link import Program
from reviewer.program.linked.points import Point, point
from reviewer.program.views.describe import steps_down, upward

DISTANCE, FUNCTIONS = 6, 250
"""How far below the calls that are made under the lock, and how many functions at most."""

MAX_HOLDERS = 40
"""Functions that hold the lock whose calls are followed."""

MAX_OBJECTS = 80
"""Variables without a lock of their own that are looked at everywhere."""

MAX_FILES = 120
"""Files that name a variable; one that more files name is not looked at everywhere."""

MAX_SHOWN = 8
"""Accesses, and functions that take the lock, that one proof shows."""


@dataclass(frozen=True, slots=True)
class Relier:
    """One thing that relies on the lock.

    ``file``, ``line``: of a callback where it is defined, of an object the first access. ``accesses``: the conflicting
    ones, or what a second run would break. ``partial``: whether callers may be missing, so that the lock is not sure to be
    held. ``why``: one sentence. ``called``: the calls of a callback under the lock.
    """

    kind: Literal["object", "callback"]
    name: str
    file: str
    line: int
    why: str
    accesses: tuple[Access, ...]
    proof: tuple[Point, ...]
    partial: bool
    called: tuple[Edge, ...] = ()


@dataclass(slots=True)
class Under:
    """What is done under a lock: who takes it, what is reached from there, the callbacks of chains that are called; of the answer
    what is known so far."""

    found: Takers
    region: Reached
    callbacks: list[Edge]
    result: Reliance


@dataclass(slots=True)
class Reliance:
    """Everything that relies on one lock class; ``cut``: what was left out, for people."""

    lock: str
    taken: list[Taken] = field(default_factory=list)
    reliers: list[Relier] = field(default_factory=list)
    cut: dict[str, None] = field(default_factory=dict)


def relies_on(program: Program, lock: str) -> Reliance:
    """What only ``lock``, a class as reports write it, serialises.

    :raises InputError: the tree has no such lock.
    """
    return search(program).relies_on(lock)


def search(program: Program) -> Search:
    """The same, part by part."""
    return Search(upward(Summaries(program)))


class Search:
    """One question's parts: callers above, calls below, accesses."""

    def __init__(self, above: Upward) -> None:
        self.above = above
        self.callers: CallerSearch = above.search
        self.program = above.program
        self.downward = Downward(self.callers.contexts)
        self.shared = Shared(self.callers.contexts)

    def relies_on(self, lock: str) -> Reliance:
        """:raises InputError: the tree has no such lock."""
        under = self.under(lock)
        under.result.reliers.extend(self.reliers(under, under.callbacks))
        return under.result

    def under(self, lock: str) -> Under:
        """:raises InputError: the tree has no such lock."""
        found = takers(self.callers, lock)
        result = Reliance(found.lock, found.places, cut=found.cut)
        direct = self._calls_under(found, result)
        region = self.downward.walk(
            [e.callee.func for e in direct if e.callee is not None], DISTANCE, FUNCTIONS, later=False
        )
        result.cut.update(region.cut)
        edges = (e for e in (*direct, *region.edges) if e.how.startswith("chain "))
        callbacks = {e.callee.func.key: e for e in edges if e.callee is not None}
        return Under(found, region, list(callbacks.values()), result)

    def reliers(self, under: Under, callbacks: Iterable[Edge], objects: bool = True) -> Iterator[Relier]:
        """What relies on the lock: variables, unless they are not asked for, then callbacks, those in question."""
        if objects:
            yield from self._objects(under.found, under.region, under.result)
        for edge in callbacks:
            yield from self._callback(under.found.lock, edge)

    def _calls_under(self, found: Takers, result: Reliance) -> list[Edge]:
        """Calls that are made under the lock by those who take it."""
        edges: list[Edge] = []
        holders = found.functions
        if len(holders) > MAX_HOLDERS:
            result.cut[f"what {len(holders) - MAX_HOLDERS} of {len(holders)} functions call under {found.lock}"] = None
        first = Reached()
        for func in holders[:MAX_HOLDERS]:
            node = Node(func, (), 0, 0, flow=self.callers.summaries.flow(func))
            for edge in self.downward.edges(node, first):
                if edge.callee is not None and not edge.later and holds(edge.seen, found.lock):
                    edges.append(edge)
        result.cut.update(first.cut)
        return edges

    # --- variables ----------------------------------------------------------------------------------

    def _objects(self, found: Takers, region: Reached, result: Reliance) -> Iterator[Relier]:
        touched: dict[str, list[Access]] = {}
        for node in region.nodes:
            for access in self._accesses(node):
                touched.setdefault(access.object, []).append(access)
        wanted = [
            name for name, mine in touched.items()
            if any(a.op in CHANGES for a in mine) and not common(a.guards() for a in conflicting(mine))
        ]  # fmt: skip
        if len(wanted) > MAX_OBJECTS:
            result.cut[f"{len(wanted) - MAX_OBJECTS} of {len(wanted)} variables with no lock of their own"] = None
        wanted = wanted[:MAX_OBJECTS]
        # One search of the tree for all; a word of the source that is no variable at all is left out here.
        named = {n: n.partition(".")[0] for n in wanted if "/" not in n}
        named = {n: w for n, w in named.items() if self.program.variable(w, touched[n][0].func.path) is not None}
        files = self.program.names.files_mentioning(n.rpartition(".")[2] for n in named)
        for name in wanted:
            if "/" not in name and name not in named:
                continue
            if name in named and len(files[name.rpartition(".")[2]]) > MAX_FILES:
                result.cut[f"the accesses to {name}, which many files name"] = None
                continue
            relier = self._object(found.lock, name, touched[name])
            if relier is not None:
                yield relier

    def _accesses(self, node: Node) -> Iterator[Access]:
        """Accesses of a walked function to variables, those by a pointer parameter named after the caller's argument."""
        if node.flow is None or runs_once(node.func):
            return
        frame = self.program.frame(node.func)
        for seen in node.flow.seen:
            for a in self.shared.in_event(frame, seen):
                name, path = a.object, a.path
                at: Node = node
                while not name and at.reached is not None:
                    edge = at.reached
                    path = values.substitute(path, edge.args, at.func.name)
                    at = edge.caller
                    name = object_name(self.program.frame(at.func), path)
                if is_variable(name) and self.shared.exists(name, a.func.path):
                    yield replace(a, object=name, path=path)

    def _object(self, lock: str, name: str, mine: list[Access]) -> Relier | None:
        """The variable, if every conflicting access anywhere is under the lock and not by its own function's doing."""
        everywhere = distinct([*self._everywhere(name, mine[0].func.path), *mine])
        conflicts = conflicting(everywhere)
        if not conflicts or not depends(everywhere) or common(a.guards() for a in conflicts):
            return None
        partial = False
        for a in sorted(conflicts, key=lambda a: any(m.func.key == a.func.key for m in mine)):
            if lock in a.guards():
                continue
            climb = self.above.of(a.func)
            if not held_above(climb, lock):
                return None
            partial |= climb.bottom.partial
        outside = [a for a in everywhere if a not in conflicts and a.op == "read" and lock not in a.guards()]
        proof = self._proof(lock, [a for a in conflicts if lock not in a.guards()], everywhere)
        why = sentence(conflicts, everywhere)
        weak = partial or any(not held_above(self.above.of(a.func), lock) for a in outside[:1])
        first = next((a for a in conflicts if a.op in CHANGES), conflicts[0])
        return Relier("object", short(name), first.func.path, first.line, why, tuple(conflicts), proof, weak)

    def _everywhere(self, name: str, home: str) -> Iterator[Access]:
        """Changes anywhere; reads by those who change it, and, of a static, by all of its unit."""
        changes = self.shared.elsewhere(name, home)
        yield from changes
        readers = {a.func.key: a.func for a in changes}
        if "/" in name:
            word = short(name).rpartition(".")[2]
            for file in self.program.unit(name.rpartition(":")[0]):
                readers.update((f.key, f) for f in self.program.functions_with(file, word) if not runs_once(f))
        for func in readers.values():
            yield from (a for a in self.shared.of(func) if a.object == name and a.op == "read")

    def _proof(self, lock: str, accesses: list[Access], everywhere: Iterable[Access]) -> tuple[Point, ...]:
        """How the lock comes to be held around the accesses, then these, then those who count on them."""
        points: list[Point] = []
        for func in dict.fromkeys(a.func for a in accesses):
            points.extend(ways_under(self.above.of(func), lock))
        shown = [*accesses, *(a for a in everywhere if a.op in COUNTS and a not in accesses)]
        for a in shown[:MAX_SHOWN]:
            outer = [h for h in self.above.of(a.func).bottom.must if h.name == lock] if a in accesses else []
            points.append(point("access", a.func, a.at, (*outer, *a.held)))
        return tuple(dict.fromkeys(points))

    # --- callbacks ------------------------------------------------------------------------------------

    def _callback(self, lock: str, edge: Edge) -> Iterator[Relier]:
        assert edge.callee is not None
        func = edge.callee.func
        climb = self.above.of(func)
        if not held_above(climb, lock) or climb.serialiser is None:
            return
        closure = self.shared.closure(func)
        broken, why = self._breaks(closure)
        if not broken:
            return
        outer = [h for h in climb.bottom.must if h.name == lock]
        points = [*ways_under(climb, lock)]
        for a in broken[:MAX_SHOWN]:
            visit = next((v for v in closure.visits if v.func.key == a.func.key), None)
            for caller, call in visit.path if visit is not None else ():
                points.append(point("call", caller, call.at, outer))
            points.append(point("access", a.func, a.at, (*outer, *a.held)))
        line = func.definition.name_line if func.definition is not None else func.line
        steps = tuple(dict.fromkeys(points))
        yield Relier(
            "callback", func.name, func.path, line, why, tuple(broken), steps, climb.bottom.partial, (edge,)
        )


    def _breaks(self, closure: Closure) -> tuple[list[Access], str]:
        """What a second run of the callback at the same time would break, and one sentence; nothing for a safe one."""
        mine = [
            a for a in closure.accesses
            if a.object and not a.later and self.shared.single(a) and self.shared.exists(a.object, closure.root.path)
        ]  # fmt: skip
        free = [a for a in mine if not a.guards() and not a.maybe]
        bare = [a for a in free if a.op in CHANGES and not safe(a) and (is_variable(a.object) or a.op in COUNTS)]
        if bare:
            names = ", ".join(dict.fromkeys(a.word for a in bare))
            return distinct(bare), f"it changes {names} with no lock of its own"
        for a in free:
            if a.op != "read" or not spelled(self.program, a):
                continue
            if self.shared.gate_names(self.program.frame(a.func), a.at):
                continue
            guarded = [c for c in mine if c.object == a.object and c.op in CHANGES and c.guards() and not safe(c)]
            if guarded:
                lock = short(min(guarded[0].guards()))
                return distinct([guarded[0], a]), f"it changes {a.word} under {lock} and then reads it without"
        return [], ""


# --- judgements -----------------------------------------------------------------------------------------


def holds(seen: Seen, lock: str) -> bool:
    """Whether a lock class is held exclusively at an event, on every path to it."""
    return any(h.name == lock and h.mode == "exclusive" for h in seen.must())


def held_above(climb: Climb, lock: str) -> bool:
    """Whether every known caller holds the lock so that no other CPU can be inside."""
    many = any(site.many for site in climb.bottom.sites)
    return not many and any(h.name == lock and serialises(h) for h in climb.bottom.must)


def ways_under(climb: Climb, lock: str) -> list[Point]:
    """The paths on which the lock is taken and the function is then reached."""
    points: list[Point] = []
    for site, hold, called in climb.takers(lock)[:MAX_SHOWN]:
        points.append(point("acquire", site.caller, hold.at))
        points.extend(steps_down(climb, site, called))
    return points


def is_variable(name: str) -> bool:
    """A variable rather than a field of some object: the same instance for sure."""
    return bool(name) and not name.startswith(("struct ", "union ", "*"))


def distinct(accesses: Iterable[Access]) -> list[Access]:
    """Each place and kind of access once."""
    return list({(a.func.key, a.at, a.op): a for a in accesses}.values())


def safe(access: Access) -> bool:
    """A change that loses nothing, whoever else changes the object at the same time: atomic, and relative to the old value."""
    return access.atomic and access.op in COUNTS | {"test_set", "clear"}


def conflicting(accesses: Iterable[Access]) -> list[Access]:
    """Changes that another change can undo, and what the functions that make them read of the object before they act."""
    known = list(accesses)
    changes = [a for a in known if a.op in CHANGES and not safe(a)]
    actors = {a.func.key for a in changes}
    return [a for a in known if a in changes or (a.op == "read" and a.func.key in actors)]


def depends(accesses: Iterable[Access]) -> bool:
    """Whether some change depends on the old value, so that it can be lost: a count, or a check before it is set."""
    known = list(accesses)
    if any(a.op in COUNTS for a in known):
        return True
    sets = [a for a in known if a.op == "set"]
    return any(r.op == "read" and r.func.key == s.func.key and r.block != s.block for s in sets for r in known)


def common(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    known = list(sets)
    return frozenset.intersection(*known) if known else frozenset()


def sentence(conflicts: list[Access], everywhere: list[Access]) -> str:
    """What a second caller would break."""
    first = next((a for a in conflicts if a.op in CHANGES), conflicts[0])
    others = dict.fromkeys(a.func.name for a in everywhere if a.op in COUNTS and a.func.key != first.func.key)
    what = f"set to {first.value.value}" if first.op == "set" and isinstance(first.value, Const) else "set"
    if first.op != "set":
        what = "changed"
    text = f"it is {what} in {first.func.name} with no lock of its own"
    return f"{text} while {', '.join(others)} count on it" if others else text


def spelled(program: Program, access: Access) -> bool:
    """Whether the object stands in the source where it is read, rather than in the value that a call has returned."""
    word = access.object.rpartition(":")[2].rpartition(".")[2].lstrip("*")
    body = program.body(access.func)
    for block in body.blocks if body is not None else ():
        for e in block.events:
            if e.at == access.at:
                for part in (*e.args, e.callee) if isinstance(e, Call) else (e.value,):
                    if any(x == Name(word) or (isinstance(x, Member) and x.name == word) for x in values.walk(part)):
                        return True
    return False

