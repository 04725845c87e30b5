"""In which contexts a function runs, with what is off: from what starts it, or its callers, down to it.

A search from the function upwards over calls by name; a table whose operations no model knows starts a task, unless all calls
through it are known and come from interrupts, and so does a caller whom nobody calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from reviewer.program.contexts import CallSite
from reviewer.program.entries import Entries, Entry, Slot
from reviewer.program.holders import Holders
from reviewer.program.link import Func
from reviewer.program.locks import Hold
from reviewer.program.models import Irq

LEVELS = 4
"""Levels of callers."""

MAX_FUNCTIONS = 24
"""Functions of one search whose callers are looked for."""

MAX_SITES = 4
"""Calls through a table that are followed up."""

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
        self._slots: dict[Slot, list[Mode] | None] = {}

    def of(self, func: Func, levels: int = LEVELS) -> tuple[Mode, ...]:
        """The ways in which the function runs, the shortest of each context and mask."""
        got = self._made.get((func.key, levels))
        if got is None:
            got = self._made[func.key, levels] = tuple(self._search(func, levels).values())
        return got

    def _called(self, slot: Slot) -> list[Mode] | None:
        """How those run who call through a table, if all are known and none is a task; empty where nobody is seen to call."""
        if slot not in self._slots:
            self._slots[slot] = None  # for whom a call through the table leads to again
            self._slots[slot] = self._callers(slot)
        return self._slots[slot]

    def _callers(self, slot: Slot) -> list[Mode] | None:
        sites, cut = self.entries.search.through(slot.struct, slot.field, slot.path)
        if cut or len(sites) > MAX_SITES:
            return None
        struct = self.entries.program.struct_at(slot.struct, slot.path)
        if not sites and (struct is None or struct[0].startswith("include/")):
            return None  # whoever calls need not name the table's type
        found = [replace(m, masks=stronger(m.masks, masked(s.must))) for s in sites for m in self.of(s.caller)]
        return found if all(m.entry is not None and m.context != "task" for m in found) else None

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
                    if not called:
                        add(Mode("task", masks, callee, None, way, called is not None))
                    for mode in called or ():
                        add(Mode(mode.context, stronger(mode.masks, masks), callee, mode.entry, way))
                sites = (*self.holders.sites(callee, "masks"), *self.entries.run_by(callee)) if depth < levels else ()
                if not sites and not entries and not slots:
                    add(Mode("task", masks, callee, None, way, True))
                for site in sites:
                    outer = stronger(masks, masked(site.must))
                    if (site.caller.key, outer) not in met and len(met) < MAX_FUNCTIONS:
                        met.add((site.caller.key, outer))
                        above.append((site.caller, outer, (site, *way)))
            level = above
        return found
