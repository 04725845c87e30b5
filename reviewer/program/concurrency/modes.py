"""In which contexts a function runs, with what is off: from what starts it, or its callers, down to it.

A search from the function upwards over calls by name; a table whose operations no model knows starts a task, unless all calls
through it are known and come from interrupts, and so does a caller whom nobody calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from reviewer.parse.facts import Call
from reviewer.program.api.models import Irq
from reviewer.program.concurrency.entries import Entries, Entry, Slot
from reviewer.program.flow.summaries import Binding
from reviewer.program.graph.contexts import CallSite
from reviewer.program.graph.holders import Holders
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold

T = TypeVar("T")

Table = tuple[str, str, str]
"""A slot, wherever it is filled: the struct, the field, and the file."""

LEVELS = 4
"""Levels of callers."""

MAX_FUNCTIONS = 24
"""Functions of one search whose callers are looked for."""

MAX_SITES = 4
"""Calls through a table that are followed up."""

MAX_TABLES = 3
"""Tables of which each is asked about for the sake of the one before."""

NO_TABLE = MAX_TABLES
"""No table that is asked about: after the last of them."""

STRENGTH = {"": 0, "bh": 1, "irq": 2}
"""What is off, from nothing to interrupts."""

OFF = {"": "", "off": "irq", "save": "irq", "bh": "bh"}
"""What taking a lock turns off, by the models' words."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One way in which a function runs.

    ``masks``: what is off when it is entered. ``entry``: what starts the way, None for a function that nobody is known to call;
    ``top``: the outermost function; ``way``: the calls from there down. ``open``: nobody knows what else may call it.
    """

    context: Irq
    masks: str
    top: Func
    entry: Entry | None
    way: tuple[CallSite, ...] = ()
    open: bool = False

    @property
    def functions(self) -> list[Func]:
        return list({f.key: f for f in (self.top, *(s.caller for s in self.way))}.values())


class Called(NamedTuple):
    """How those run who call through a table.

    ``modes``: if all are known and none is a task, empty where nobody is seen to call; else None, and ``masks``: what is off
    wherever they call, as far as that is known.
    """

    modes: list[Mode] | None
    masks: str = ""


def stronger(a: str, b: str) -> str:
    """The one of two masks that keeps more out."""
    return a if STRENGTH[a] >= STRENGTH[b] else b


def masked(holds: Iterable[Hold]) -> str:
    """What these holds keep off."""
    found = ""
    for h in holds:
        found = stronger(found, OFF.get(h.irq, ""))
    return found


class Modes:
    """Memoised by function."""

    def __init__(self, entries: Entries, holders: Holders) -> None:
        self.entries = entries
        self.holders = holders
        self._made: dict[tuple[str, int], tuple[Mode, ...]] = {}
        self._slots: dict[Table, Called] = {}
        self._asking: list[Table] = []
        self._met = NO_TABLE

    def of(self, func: Func, levels: int = LEVELS) -> tuple[Mode, ...]:
        """The ways in which the function runs, the shortest of each context and mask."""
        got = self._made.get((func.key, levels))
        if got is None:
            found, whole = self._whole(lambda: tuple(self._search(func, levels).values()))
            if whole:
                self._made[func.key, levels] = found
            return found
        return got

    def _whole(self, find: Callable[[], T]) -> tuple[T, bool]:
        """What a search finds, and whether that is all: not if it came to a table of which somebody further out asks."""
        before, self._met = self._met, NO_TABLE
        got = find()
        whole = self._met >= len(self._asking)
        self._met = min(before, self._met)
        return got, whole

    def _called(self, slot: Slot) -> Called | None:
        """How those run who call through a table; None of one that is being asked about: such a call leads to itself, and brings
        nothing new."""
        table = slot.struct, slot.field, slot.path
        if table in self._asking:
            self._met = min(self._met, self._asking.index(table))
            return None
        got = self._slots.get(table)
        if got is None and len(self._asking) < MAX_TABLES:
            found, whole = self._whole(lambda: self._asked(slot, table))
            if whole:
                self._slots[table] = found
            return found
        return got or Called(None)

    def _asked(self, slot: Slot, table: Table) -> Called:
        self._asking.append(table)
        got = self._callers(slot)
        self._asking.pop()
        return got

    def _callers(self, slot: Slot) -> Called:
        sites, cut = self.entries.search.through(slot.struct, slot.field, slot.path)
        if cut or len(sites) > MAX_SITES:
            return Called(None)
        struct = self.entries.program.struct_at(slot.struct, slot.path)
        if not sites and (struct is None or struct[0].startswith("include/")):
            return Called(None)  # whoever calls need not name the table's type
        found = [replace(m, masks=stronger(m.masks, masked(s.must))) for s in sites for m in self.of(s.caller)]
        if all(m.entry is not None and m.context != "task" for m in found):
            return Called(found)
        known = [m for m in found if not m.open] or found  # whom nobody is seen to call is no evidence that nothing is off
        return Called(None, min((m.masks for m in known), key=lambda m: STRENGTH[m]))

    def is_cut(self, way: tuple[CallSite, ...], func: Func, at: int = -1) -> bool:
        """Whether what one call of a way passes keeps those below from the next one (``if (!asleep) restart(timer);``).

        :param func: the function at its end.
        :param at: an event of that one, to which the way has to lead as well.
        """
        summaries = self.entries.summaries
        binding: Binding = ()
        for n, site in enumerate(way):
            callee = way[n + 1].caller if n + 1 < len(way) else func
            frame = summaries.program.frame(site.caller)
            args = {tuple(frame.canonical(a, {}) for a in site.call.args)}
            if binding:
                flow = summaries.flow(site.caller, binding)
                if flow is None or flow.capped:
                    return False
                args = {a for s in flow.seen if isinstance(s.event, Call) and s.event.number == site.call.number for a in s.args}
                if not args:
                    return True
            binding = summaries.bind(callee, args.pop(), frame) if site.how == "call" and len(args) == 1 else ()
        flow = summaries.flow(func, binding) if at >= 0 and binding else None
        return flow is not None and not flow.capped and all(s.event.at != at for s in flow.seen)

    def _search(self, func: Func, levels: int) -> dict[tuple[Irq, str, bool], Mode]:
        found: dict[tuple[Irq, str, bool], Mode] = {}

        def add(mode: Mode) -> None:
            key = (mode.context, mode.masks, mode.open)
            if mode.entry is not None and key in found and found[key].entry is None:
                found[key] = mode  # whose beginning is known is the better witness
            found.setdefault(key, mode)

        level: list[tuple[Func, str, tuple[CallSite, ...]]] = [(func, "", ())]
        met = {(func.key, "")}
        for depth in range(levels + 1):
            above: list[tuple[Func, str, tuple[CallSite, ...]]] = []
            for callee, masks, way in level:
                entries = self.entries.of(callee)
                for entry in entries:
                    add(Mode(entry.context, stronger(entry.masks, masks), callee, entry, way))
                slots = self.entries.slots(callee)
                for slot in slots:
                    called = self._called(slot)
                    if called is not None and not called.modes:
                        add(Mode("task", stronger(called.masks, masks), callee, None, way, called.modes is not None))
                    for mode in (called.modes or ()) if called is not None else ():
                        add(Mode(mode.context, stronger(mode.masks, masks), callee, mode.entry, way))
                sites = (*self.holders.sites(callee, "masks"), *self.entries.run_by(callee)) if depth < levels else ()
                if not sites and not entries and not slots:
                    add(Mode("task", masks, callee, None, way, True))
                for site in sites:
                    outer = stronger(masks, masked(site.must))
                    if (site.caller.key, outer) not in met and len(met) < MAX_FUNCTIONS and not self.is_cut((site, *way), func):
                        met.add((site.caller.key, outer))
                        above.append((site.caller, outer, (site, *way)))
            level = above
        return found
