"""The callers of a function in its own file or folder, and what they hold: cheap, where ``callers.py`` asks the whole tree."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from reviewer.parse.facts import Call
from reviewer.program.flow.lockflow import Seen
from reviewer.program.flow.setups import Setups
from reviewer.program.flow.summaries import Summaries
from reviewer.program.graph.callers import is_function
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold

MAX_FILES = 40
"""Files of a folder that are read for callers of one function."""

MAX_SITES = 30
"""Call sites of one function that are looked at."""

LEVELS = 3
"""Levels of callers above a function."""

TASKS = frozenset({"work", "kthread", "threaded_irq", "task_work", "async", "initcall", "exitcall"})
"""Ways of being run by the API (``Registers.how``) that hold nothing."""

Verdict = Literal["all", "some", "none", "unknown"]


@dataclass(frozen=True, slots=True)
class Site:
    """One call: by whom, in which worlds."""

    caller: Func
    call: Call
    seen: Seen


@dataclass(frozen=True, slots=True)
class Known:
    """``sites``: calls by name. ``runs``: as what the API runs it (work, timer, irq ...). ``open``: more may be elsewhere."""

    sites: tuple[Site, ...]
    runs: frozenset[str]
    open: bool


class Nearby:
    """Memoised by function."""

    def __init__(self, summaries: Summaries, setups: Setups) -> None:
        self.summaries = summaries
        self.program = summaries.program
        self.setups = setups
        self._made: dict[str, Known] = {}

    def of(self, func: Func) -> Known:
        """The calls of a function that its own file (of a static) or its folder has."""
        got = self._made.get(func.key)
        if got is None:
            got = self._made[func.key] = self._search(func)
        return got

    def _files(self, func: Func) -> tuple[tuple[str, ...], bool]:
        unit = tuple(f for f in self.program.unit(func.path) if f.endswith(".c"))
        if func.static and func.macro is None:
            return (unit or (func.path,)), not func.path.endswith(".c")
        folder = posixpath.dirname(func.path)
        if func.path.endswith(".h") or func.macro is not None:
            return (), True
        found = self.program.names.files_mentioning([func.name], (folder,) if folder else ()).get(func.name, ())
        near = [f for f in found if f.endswith(".c") and posixpath.dirname(f) == folder]
        return tuple(near[:MAX_FILES]), True

    def _search(self, func: Func) -> Known:
        files, more = self._files(func)
        self.program.load(files)
        sites: list[Site] = []
        for file in files:
            if not any(f.path == func.path for f in self.program.resolve(func.name, file)):
                continue
            if any(True for _ in self.program.initialised_with(file, func.name)):
                more = True
            for caller in self.program.functions_with(file, func.name):
                if caller.key == func.key:
                    continue
                if func.name not in caller.calls:
                    more = True
                elif len(sites) < MAX_SITES:
                    sites += self._in(caller, func)
                else:
                    more = True
        return Known(tuple(sites), self.setups.kinds(func) if more else frozenset(), more)

    def _in(self, caller: Func, func: Func) -> Iterator[Site]:
        flow = self.summaries.flow(caller)
        for seen in flow.seen if flow is not None else ():
            event = seen.event
            if isinstance(event, Call) and is_function(seen.callee or event.callee, func):
                yield Site(caller, event, seen)

    def held_above(self, func: Func, good: Callable[[Hold], bool], levels: int = LEVELS) -> Verdict:
        """Whether those who call a function, or theirs, hold what is ``good`` around it."""
        return self._above(func, good, levels, frozenset())

    def _above(self, func: Func, good: Callable[[Hold], bool], levels: int, met: frozenset[str]) -> Verdict:
        known = self.of(func)
        found: set[Verdict] = set()
        for site in known.sites:
            if site.caller.key in met:
                continue
            if any(any(map(good, world)) for world in site.seen.held):
                found.add("all")
            elif levels > 1:
                found.add(self._above(site.caller, good, levels - 1, met | {func.key}))
            else:
                found.add("unknown")
        if known.runs:
            found.add("none" if known.runs <= TASKS else "unknown")
        elif known.open and found != {"all"}:
            found.add("unknown")
        if not found or found == {"unknown"}:
            return "unknown"
        if len(found) == 1:
            return found.pop()
        if "all" in found or "some" in found:
            return "some"
        return "unknown"

    def in_table(self, func: Func) -> bool:
        """Whether it stands in an initialiser of its unit."""
        return any(True for file in self.program.unit(func.path) for _ in self.program.initialised_with(file, func.name))

    def only_by_address(self, func: Func, levels: int = LEVELS) -> bool:
        """Whether a function, or all that call it, is entered by its address alone, from code that is not here."""
        known = self.of(func)
        if known.runs or (known.sites and known.open) or levels == 0:
            return False
        if not known.sites:
            return known.open and (func.static or self.in_table(func))
        return all(self.only_by_address(site.caller, levels - 1) for site in known.sites)
