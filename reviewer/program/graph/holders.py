"""Who holds one of some locks around a function: its callers, and theirs, by their names."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from reviewer.parse.facts import Call, Name
from reviewer.program.flow.byname import Holding
from reviewer.program.flow.lockflow import Seen
from reviewer.program.graph.callers import CallerSearch, is_function
from reviewer.program.graph.contexts import CallSite
from reviewer.program.index.linkage import by_distance, reachable, subsystem
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold

LEVELS = 3
"""Levels of callers."""

MAX_FUNCTIONS = 24
"""Functions of one search whose callers are looked for."""

MAX_FILES = 6
"""Files of its subsystem that name a function, the nearest first."""


@dataclass(frozen=True, slots=True)
class Holder:
    """``way``: the calls from the one who holds ``hold`` down to the function that was asked about."""

    hold: Hold
    way: tuple[CallSite, ...]


class Holders:
    """Call sites, memoised by function.

    :ivar through: calls of a function through the tables that it stands in, which only the search for who holds a lock follows.
    """

    def __init__(self, search: CallerSearch, through: Callable[[Func], Iterable[CallSite]] | None = None) -> None:
        self.program = search.program
        self.summaries = search.summaries
        self.through = through
        self._sites: dict[tuple[str, Holding], tuple[CallSite, ...]] = {}

    def of(self, func: Func, classes: Collection[str]) -> Iterator[Holder]:
        """The callers that hold one of these lock classes on every path to their call, the nearest first."""
        return self.where(func, lambda h: h.name in classes)

    def where(self, func: Func, wanted: Callable[[Hold], bool], what: Holding = "takes") -> Iterator[Holder]:
        """The same for holds that are asked about one by one; ``masks``: about such that turn interrupts or softirqs off."""
        level: list[tuple[Func, tuple[CallSite, ...]]] = [(func, ())]
        met = {func.key}
        for _ in range(LEVELS):
            above: list[tuple[Func, tuple[CallSite, ...]]] = []
            for callee, way in level:
                for site in (*self.sites(callee, what), *(self.through(callee) if self.through is not None else ())):
                    found = next((h for h in site.must if wanted(h)), None)
                    if found is not None:
                        yield Holder(found, (site, *way))
                    elif site.caller.key not in met and len(met) < MAX_FUNCTIONS and not self._drops(site.caller):
                        met.add(site.caller.key)
                        above.append((site.caller, (site, *way)))
            level = above

    def sites(self, func: Func, what: Holding = "takes") -> tuple[CallSite, ...]:
        """The calls of a function by its name, in its unit or its subsystem, with what is held at each; ``masks``: with what
        turns interrupts or softirqs off, at least."""
        got = self._sites.get((func.key, "takes"))
        if got is None:
            got = self._sites.get((func.key, what))
        if got is None:
            got = self._sites[func.key, what] = tuple(self._search(func, what)) if func.macro is None else ()
        return got

    def _files(self, func: Func) -> list[str]:
        unit = list(self.program.unit(func.path))
        if func.confined:
            return unit
        shared = func.path.startswith("include/")  # a header's inline serves all the tree
        folder = "" if shared else subsystem(func.path)
        under = (folder,) if folder else ()
        named = self.program.names.files_mentioning([func.name], under)[func.name] if folder or shared else ()
        if shared and len(named) > MAX_FILES:
            return unit  # it serves everybody: whoever has a lock around it has it by chance
        near = [f for f in named if f not in unit and reachable(func.path, f)]
        return [*unit, *by_distance(near, func.path)[:MAX_FILES]]

    def _search(self, func: Func, what: Holding) -> Iterator[CallSite]:
        for file in self._files(func):
            for caller in self.program.functions_with(file, func.name):
                passed = not self._iterating.isdisjoint(caller.calls)
                if (func.name not in caller.calls and not passed) or caller.key == func.key:
                    continue
                if self.program.switches.left_out(caller.condition, caller.path):
                    continue
                if not any(f.path == func.path for f in self.program.resolve(func.name, file)):
                    break
                for seen in self.summaries.calls_in(caller, what):
                    call = seen.event
                    assert isinstance(call, Call)
                    if is_function(seen.callee or call.callee, func):
                        yield CallSite(caller, call, seen.must(), seen.may())
                    elif passed and isinstance(call.callee, Name) and self._iterates(call.callee.id, seen, func):
                        yield CallSite(caller, call, seen.must(), seen.may(), how=call.callee.id)

    @cached_property
    def _iterating(self) -> frozenset[str]:
        """APIs that run a callback at once, as their caller would."""
        models = self.program.models.functions
        return frozenset(
            n for n, m in models.items()
            if not m.may_sleep and any(i.callback is not None and i.context == "task" for i in m.invokes)
        )  # fmt: skip

    def _iterates(self, api: str, seen: Seen, func: Func) -> bool:
        """Whether a call is one of those, with the function as its callback."""
        if api not in self._iterating:
            return False
        model = self.program.models.functions[api]
        indices = [i.callback for i in model.invokes if i.callback is not None]
        return any(i < len(args) and is_function(args[i], func) for args in seen.args for i in indices)

    def _drops(self, func: Func) -> bool:
        """Whether a function lets a lock of its callers go, for a while or for good."""
        return self.summaries.locks(func) and any(o.drops for o in self.summaries.of(func).outcomes)
