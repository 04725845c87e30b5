"""The reverse search: who else takes a lock, and makes a reclaiming allocation while holding it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from reviewer.checks.analysis import Analysis
from reviewer.parse.facts import Call, Const
from reviewer.program.link import Func
from reviewer.program.shared import short
from reviewer.program.summaries import Effect

MAX_FILES = 80
"""Files that name a lock's struct and are searched; the nearest to the lock's user first."""

MAX_WRAPPERS = 12
"""Functions that return with the lock held whose callers are searched too."""


class Holders:
    """Memoised by lock class."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._found: dict[str, tuple[Func, Effect] | None] = {}

    def allocating(self, name: str, near: str) -> tuple[Func, Effect] | None:
        """A function that holds lock class ``name`` over a reclaiming allocation, and the allocation as an effect of
        one of its calls; the most certain one. ``near``: a file of the lock's user."""
        if name not in self._found:
            best: tuple[Func, Effect] | None = None
            for func in self._candidates(name, near):
                for e in self._under(func, name):
                    if best is None or (e.doubt, e.depth) < (best[1].doubt, best[1].depth):
                        best = (func, e)
                if best is not None and best[1].doubt == 0 and best[1].depth <= 3:
                    break
            self._found[name] = best
        return self._found[name]

    def _candidates(self, name: str, near: str) -> Iterator[Func]:
        program = self.analysis.program
        word = short(name).rpartition(".")[2]
        files = self._files(name, word, near)
        program.load(files)
        takers: list[Func] = []
        for file in files:
            for definition in program.facts(file).functions:
                if word not in definition.mentions:
                    continue
                if not any(self._takes(c) for c in definition.calls):
                    continue
                for func in program.functions(file, definition.name):
                    if func.definition is definition:
                        yield func
                        if any(h.name == name for o in self.analysis.summaries.of(func).outcomes for h in o.takes):
                            takers.append(func)
        for taker in takers[:MAX_WRAPPERS]:
            seen: set[str] = set()
            for caller, _ in self.analysis.chains.callers_of(taker):
                if caller.key not in seen and len(seen) < 60:
                    seen.add(caller.key)
                    yield caller

    def _takes(self, callee: str) -> bool:
        model = self.analysis.program.models.functions.get(callee)
        return model is not None and bool(model.takes) or callee in ("guard", "scoped_guard")

    def _files(self, name: str, word: str, near: str) -> list[str]:
        names = self.analysis.program.names
        if "/" in name:
            return [f for f in self.analysis.program.unit(name.rpartition(":")[0])]
        if name.startswith(("struct ", "union ")):
            tag = name.split(" ", 1)[1].partition(".")[0]
            found = names.files_mentioning([tag]).get(tag, ())
        else:
            found = names.files_mentioning([word]).get(word, ())
        folder = posixpath.dirname(near)
        found = tuple(f for f in found if f.split("/", 1)[0] not in ("tools", "Documentation", "samples"))
        return sorted(found, key=lambda f: (not f.startswith(folder), f))[:MAX_FILES]

    def _under(self, func: Func, name: str) -> Iterator[Effect]:
        flow = self.analysis.summaries.flow(func)
        frame = self.analysis.program.frame(func)
        for seen in flow.seen if flow is not None else ():
            if not isinstance(seen.event, Call) or not any(h.name == name for h in seen.may()):
                continue
            for e in self.analysis.summaries.call_effects(frame, seen):
                if e.kind == "alloc" and isinstance(e.data, Const) and self.analysis.program.gfp.retries(e.data.value):
                    yield e
