"""Which lock guards what: accesses to shared objects with the locks of their own function and of all that call it.

Calls are followed by name, up inside the unit and folder (elsewhere if few files name the function), down inside the folder.
What enters a function by its address is not asked: nothing is held then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from reviewer.parse.facts import Call, Expr, Items, Name
from reviewer.program.api.models import Accesses
from reviewer.program.concurrency.lifetimes import Lifetimes
from reviewer.program.concurrency.shared import CHANGES, Access, Shared, runs_once
from reviewer.program.flow.lockflow import Seen
from reviewer.program.flow.objects import result_used
from reviewer.program.flow.setups import Setups
from reviewer.program.graph.callers import means
from reviewer.program.graph.contexts import serialises
from reviewer.program.graph.said import Said
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import ALONE

LEVELS = 3
"""Levels of callers that are asked what they hold."""

BELOW = 2
"""Calls below a function that count as its own accesses."""

MAX_BELOW = 40
"""Functions below one whose accesses count as its own."""

MAX_OTHERS = 40
"""Functions that are asked for accesses to one object."""

_BEFORE = "init|probe|alloc|create|new|setup|attach|bind|register|detect|ctor|clone|dup|parse"
_AFTER = "free|destroy|remove|exit|fini|deinit|cleanup|teardown|release|detach|unbind|unregister|disconnect|kill|shutdown|dtor"

EDGES = frozenset({*_BEFORE.split("|"), *_AFTER.split("|"), "start", "stop"})
"""The words of a name that say that a function begins something, or undoes that."""

FIRST = re.compile(rf"(?:^|_)(?:{_BEFORE})\w*(?:_|$)")
"""How the kernel names what runs before others know of an object."""

AFTER = re.compile(rf"(?:^|_)(?:{_AFTER})\w*(?:_|$)")
"""How it names what runs when nobody knows of an object any more."""

ONCE = re.compile(rf"(?:^|_)(?:{_BEFORE}|{_AFTER}|add|prepare|suspend|resume|restore)\w*(?:_|$)")
"""The same, and what runs when nobody does any more."""

LOCKED = re.compile(r"^__|_(?:un)?locked(?:_|$)|_nolock(?:_|$)|_held(?:_|$)")
"""How it names what is called with the lock held."""


@dataclass(frozen=True, slots=True)
class Touch:
    """One access. ``held``: lock classes that keep others out, the callers' too where that was asked. ``way``: the calls that
    lead to it from the function in question, each with the position of the call. ``look``: it only reads a list."""

    access: Access
    held: frozenset[str]
    way: tuple[tuple[Func, int], ...] = ()
    look: bool = False

    @property
    def object(self) -> str:
        return self.access.object

    @property
    def func(self) -> Func:
        return self.access.func

    @property
    def at(self) -> int:
        """Where, in the function in question."""
        return self.way[0][1] if self.way else self.access.at


class Guards:
    """Memoised over one program."""

    def __init__(self, shared: Shared, lives: Lifetimes, setups: Setups) -> None:
        self.shared = shared
        self.lives = lives
        self.setups = setups
        self.summaries = shared.summaries
        self.program = shared.program
        self._touches: dict[str, tuple[Touch, ...]] = {}
        self._reads: dict[str, tuple[Touch, ...]] = {}
        self._around: dict[tuple[str, int], frozenset[str]] = {}
        self._asking: set[str] = set()
        self._others: dict[str, tuple[Touch, ...]] = {}
        self._taken: dict[str, frozenset[str]] = {}
        self._entered: dict[str, bool] = {}
        self._handed: dict[tuple[str, int], bool] = {}
        self.said = Said(self.summaries, self.takes)

    def touches(self, func: Func) -> tuple[Touch, ...]:
        """Changes of named objects, and looks at lists, with the function's own locks."""
        got = self._touches.get(func.key)
        if got is None:
            flow = self.summaries.flow(func)
            frame = self.program.frame(func)
            found = [
                Touch(a, guarding(a), look=a.op == "read") for s in (flow.seen if flow is not None else ())
                for a in self.shared.in_event(frame, s, gates=False)
                if a.object and not a.atomic and (a.op in CHANGES or self.lists(s))
            ]  # fmt: skip
            got = self._touches[func.key] = tuple(found)
        return got

    def reads(self, func: Func) -> tuple[Touch, ...]:
        """Reads of named objects by the function itself, with the locks that keep writers out. Of atomic ones only tests of a
        bit: a counter is read as it is."""
        got = self._reads.get(func.key)
        if got is None:
            flow = self.summaries.flow(func)
            frame = self.program.frame(func)
            got = self._reads[func.key] = tuple(
                Touch(a, guarding(a), look=True) for s in (flow.seen if flow is not None else ())
                for a in self.shared.in_event(frame, s, gates=False)
                if a.object and a.op == "read" and (a.bit or not a.atomic)
            )  # fmt: skip
        return got

    def lookups(self, func: Func) -> tuple[Touch, ...]:
        """Searches of containers, with the locks around them: what is found may be gone without, however safe the search is."""
        flow = self.summaries.flow(func)
        frame = self.program.frame(func)
        return tuple(
            Touch(a, guarding(a), look=True) for s in (flow.seen if flow is not None else ())
            if isinstance(s.event, Call) and result_used(frame, s.event)
            for a in self.shared.in_event(frame, s, gates=False)
            if a.object and a.op == "read" and self.finds(s)
        )  # fmt: skip

    def finds(self, seen: Seen) -> bool:
        """Whether an event is a modelled call whose result is something that an object holds."""
        return any(a.finds for a in self._modelled(seen))

    def _modelled(self, seen: Seen) -> tuple[Accesses, ...]:
        """What the models say that an event does to objects."""
        event = seen.event
        model = self.program.model(event.callee.id) if isinstance(event, Call) and isinstance(event.callee, Name) else None
        return model.accesses if model is not None else ()

    def lists(self, seen: Seen) -> bool:
        """Whether an event is a modelled call that looks at a list's head."""
        accesses = self._modelled(seen)
        return bool(accesses) and all(a.op == "read" and not a.atomic for a in accesses)

    def gated(self, touch: Touch) -> bool:
        """Whether its caller has won an atomic test, which keeps others out as well."""
        return bool(self.shared.gate_names(self.program.frame(touch.func), touch.access.at))

    def around(self, func: Func, level: int = LEVELS) -> frozenset[str]:
        """Lock classes that every caller holds, or that the function says they do."""
        return self._held_around(func, level) or frozenset()

    def _held_around(self, func: Func, level: int) -> frozenset[str] | None:
        """None: recursion, anything may be held. Kept by level, since from further up fewer callers are asked."""
        key = func.key, level
        if key not in self._around:
            if func.key in self._asking:
                return None
            self._asking.add(func.key)
            self._around[key] = self._asked_around(func, level)
            self._asking.discard(func.key)
        return self._around[key]

    def _asked_around(self, func: Func, level: int) -> frozenset[str]:
        said = self.wanted(func)
        got: frozenset[str] | None = None
        if level == 0 or self.entered(func):
            got = frozenset()
        else:
            callers = self.lives.callers(func)
            used = [c for c in callers if any(map(exclusive, self.calls(c, func.name))) or not self.unused(c)] or callers
            for caller in [c for c in used if not once(c)] or used:
                above = self._held_around(caller, level - 1)
                for seen in self.calls(caller, func.name):
                    here = None if above is None else above | exclusive(seen)
                    if here is not None:
                        got = here if got is None else got & here
        return (got or frozenset()) | said

    def wanted(self, func: Func) -> frozenset[str]:
        """Lock classes that a function says its callers hold, by an assertion or in its comment."""
        return frozenset(h.name for h in self.shared.contexts.asserted(func) if h.name) | self.said.of(func)

    def unused(self, func: Func) -> bool:
        """Whether nobody in the tree calls a function that is there for others: what these hold is not known."""
        return not func.static and func.macro is None and not self.lives.callers(func) and not self.entered(func)

    def calls(self, caller: Func, name: str) -> Iterator[Seen]:
        """The calls of a name in a function."""
        flow = self.summaries.flow(caller)
        for seen in flow.seen if flow is not None else ():
            if isinstance(seen.event, Call) and (seen.callee or seen.event.callee) == Name(name):
                yield seen

    def entered(self, func: Func) -> bool:
        """Whether it is entered by its address: it stands in a table, or its name is passed or stored."""
        got = self._entered.get(func.key)
        if got is None:
            got = self._entered[func.key] = any(
                any(named(v.value, func.name) for v in self.program.initialised_with(f, func.name) if v.value is not None)
                for f in self.program.unit(func.path) if f.endswith(".c")
            ) or self.stored(func)
        return got

    def handed(self, func: Func, level: int = LEVELS) -> bool:
        """Whether it, or a caller, is stored or passed on by its address, and so called by whom we do not know."""
        got = self._handed.get((func.key, level))
        if got is None:
            self._handed[func.key, level] = False
            got = self.stored(func) and not self.setups.kinds(func)
            got = got or (level > 0 and any(self.handed(c, level - 1) for c in self.lives.callers(func)))
            self._handed[func.key, level] = got
        return got

    def stored(self, func: Func) -> bool:
        """Whether its address is used in a function of its unit."""
        return any(
            func.name not in g.calls and g.name != func.name and (body := self.program.body(g)) is not None
            and means(body, func.name)
            for f in self.program.unit(func.path) if f.endswith(".c") for g in self.program.functions_with(f, func.name)
        )  # fmt: skip

    def only_once(self, func: Func) -> bool:
        """Whether all its callers are functions that run before others know of an object, or after."""
        callers = self.lives.callers(func)
        return bool(callers) and not self.entered(func) and all(map(once, callers))

    def own(self, func: Func) -> list[Touch]:
        """The accesses of a function and of what it calls by name inside its folder, with the locks on the way."""
        found = list(self.touches(func))
        todo: list[tuple[Func, tuple[tuple[Func, int], ...], frozenset[str]]] = [(func, (), frozenset())]
        met = {func.key}
        while todo and len(met) < MAX_BELOW:
            f, way, held = todo.pop(0)
            near = {g.name: g for g in self.lives.callees(f) if g.macro is None and g.path.endswith(".c")}
            flow = self.summaries.flow(f) if near else None
            for seen in flow.seen if flow is not None else ():
                callee = (seen.callee or seen.event.callee) if isinstance(seen.event, Call) else None
                g = near.get(callee.id) if isinstance(callee, Name) else None
                if g is None or g.key in met:
                    continue
                met.add(g.key)
                inner = held | exclusive(seen)
                steps = (*way, (f, seen.event.at))
                found += (replace(t, held=t.held | inner, way=steps) for t in self.touches(g))
                if len(steps) < BELOW:
                    todo.append((g, steps, inner))
        return found

    def others(self, object_: str, home: str) -> tuple[Touch, ...]:
        """Accesses to an object in the unit and folder, with their own locks; those of start-up and constructors only where they
        have one, too."""
        got = self._others.get(object_)
        if got is None:
            word = object_.rpartition(":")[2].rpartition(".")[2].lstrip("*")
            found: list[Touch] = []
            asked: set[str] = set()
            for func in self.lives.naming(word, home):
                if len(asked) >= MAX_OTHERS:
                    break
                asked.add(func.key)
                found += (t for t in self.touches(func) if t.object == object_ and (t.held or not once(func)))
            got = self._others[object_] = tuple(found)
        return got

    def total(self, touch: Touch) -> frozenset[str]:
        """The locks around an access, the callers' too."""
        return touch.held | self.around(touch.func)

    def takes(self, func: Func) -> frozenset[str]:
        """Lock classes that the function itself takes somewhere, whatever its callers hold."""
        got = self._taken.get(func.key)
        if got is None:
            flow = self.summaries.flow(func)
            got = frozenset(h.name for s in flow.seen for h in s.may() if serialises(h)) if flow is not None else frozenset()
            self._taken[func.key] = got
        return got


def once(func: Func) -> bool:
    """Whether a function runs, by its name, before others know of an object, or when nobody does any more."""
    return runs_once(func) or ONCE.search(func.name) is not None


def first(func: Func) -> bool:
    """Whether a function runs, by its name, before others know of an object."""
    return runs_once(func) or FIRST.search(func.name) is not None


def named(value: Expr, word: str) -> bool:
    """Whether a name stands in an initialiser."""
    if isinstance(value, Items):
        return any(named(item, word) for _, item in value.items)
    return any(e == Name(word) for e in values.walk(value))


def locks(access: Access) -> frozenset[str]:
    return frozenset(h.name for h in access.held if serialises(h))


def guarding(access: Access) -> frozenset[str]:
    """Lock classes that keep others from changing what is touched; of a look, those held as a reader, too."""
    return locks(access) | shared_locks(access) if access.op == "read" else locks(access)


def shared_locks(access: Access) -> frozenset[str]:
    """Lock classes held as a reader."""
    return frozenset(h.name for h in access.held if h.mode == "shared" and h.name and h.kind not in ALONE)


def exclusive(seen: Seen) -> frozenset[str]:
    """Lock classes that keep others out at an event."""
    return frozenset(h.name for h in seen.must() if serialises(h))
