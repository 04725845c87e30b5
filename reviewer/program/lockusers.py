"""Where a spinning lock is taken near a file, and what is off there."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from reviewer.parse.facts import Call
from reviewer.program.link import Func
from reviewer.program.linkage import by_distance, subsystem
from reviewer.program.lockflow import Seen
from reviewer.program.locks import Hold, lock_class
from reviewer.program.models import Kind
from reviewer.program.modes import masked
from reviewer.program.objects import short
from reviewer.program.summaries import Summaries, place

SPINNING: frozenset[Kind] = frozenset({"spin", "raw_spin", "rwlock"})
"""Kinds for whose owner others spin, so that an interrupt that wants one must not come while it is held."""

MAX_FILES = 16
"""Files of the subsystem that name a lock and are looked at, the nearest first."""


@dataclass(frozen=True, slots=True)
class Take:
    """One place where a lock is taken by a call of its own. ``masks``: what is off while it is held, by this function alone."""

    func: Func
    seen: Seen
    hold: Hold
    masks: str

    @property
    def at(self) -> int:
        return self.seen.event.at


class LockUsers:
    """Memoised by lock class."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.program = summaries.program
        self._made: dict[str, tuple[Take, ...]] = {}
        self._own: dict[str, tuple[Take, ...]] = {}

    def of(self, name: str, path: str) -> tuple[Take, ...]:
        """Where the class is taken, in the unit of ``path`` and, for a field, in the subsystem."""
        got = self._made.get(name)
        if got is None:
            self._made[name] = ()
            funcs = {f.key: f for f in self._users(name, path)}.values()
            got = self._made[name] = tuple(t for f in funcs for t in self.takes(f) if t.hold.name == name)
        return got

    def _users(self, name: str, path: str) -> Iterator[Func]:
        word = short(name).rpartition(".")[2].rpartition(":")[2].lstrip("*")
        files = list(self.program.unit(path))
        if name.startswith(("struct ", "union ")) or "/" not in name:
            folder = subsystem(path)
            # A word like "lock" is everywhere: then only those who name the struct, too, in the file's own folder.
            own = posixpath.dirname(path)
            near = self.program.names.files_mentioning([word], (own,)).get(word, ()) if own else ()
            if len(near) <= MAX_FILES and folder != own and word != "lock":
                near = self.program.names.files_mentioning([word], (folder,)).get(word, ())
            files += by_distance([f for f in near if f not in files and f.endswith(".c")], path)[:MAX_FILES]
        self.program.load(files)
        for file in files:
            yield from (f for f in self.program.functions_with(file, word) if self._locks(f))

    def _locks(self, func: Func) -> bool:
        models = self.program.models.functions
        return any((m := models.get(c)) is not None and m.takes for c in func.calls)

    def takes(self, func: Func) -> tuple[Take, ...]:
        """The spinning locks that a function takes by calls of its own, not those that it only tries for."""
        got = self._own.get(func.key)
        if got is None:
            got = self._own[func.key] = tuple(self._takes(func)) if self._locks(func) else ()
        return got

    def _takes(self, func: Func) -> Iterator[Take]:
        flow = self.summaries.flow(func)
        frame = self.program.frame(func)
        for seen in flow.seen if flow is not None else ():
            if not isinstance(seen.event, Call):
                continue
            targets = self.summaries.calls.targets(frame, seen.callee or seen.event.callee)
            model = targets[0].model if len(targets) == 1 else None
            for taken in model.takes if model is not None else ():
                if taken.kind not in SPINNING or taken.taken == "trylock":
                    continue
                lock = place(taken.lock, seen.args[0])
                name = lock_class(frame, lock) if lock is not None else ""
                if lock is not None and name:
                    hold = Hold(lock, name, taken.kind, taken.mode, taken.taken, taken.irq, seen.event.at)
                    yield Take(func, seen, hold, masked((hold, *seen.must())))
