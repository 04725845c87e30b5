"""Where a spinning lock is taken near a file, and what is off there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from reviewer.parse.facts import Call, Member
from reviewer.program.api.models import ELEMENT, Kind
from reviewer.program.concurrency.modes import masked
from reviewer.program.flow.lockflow import Seen
from reviewer.program.flow.objects import short
from reviewer.program.flow.summaries import Summaries, place
from reviewer.program.index.linkage import by_distance, subsystem
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold, lock_class

SPINNING: frozenset[Kind] = frozenset({"spin", "raw_spin", "rwlock"})
"""Kinds for whose owner others spin, so that an interrupt that wants one must not come while it is held."""

MAX_FILES = 16
"""Files of the subsystem that name a lock and are looked at, the nearest first."""


COMMON = frozenset({"read", "start", "stop", "add", "del", "get", "set", "event", "complete", "function", "func", "handler",
    "enable", "disable", "match", "target", "create", "cache", "setup", "suspend", "resume", "reset", "write", "input",
    "output", "hook", "tx", "act", "queue", "dequeue", "irq", "filter", "callback", "update", "final", "disconnect"})  # fmt: skip
"""Fields of tables whose names say nothing by themselves."""


MAX_FUNCTIONS = 32
"""Functions that take a lock, by the text, and are executed."""

INTERRUPTS = frozenset({"hardirq", "softirq", "nmi"})

WORD = re.compile(rb"[A-Za-z_]\w+")

ANY = frozenset({"lock", "slock", "spinlock", "rlock", "wlock", "_lock"})
"""Names of so many locks that they are looked for in one unit only; so are those shorter than ``SHORT``."""

SHORT = 5


def last_word(name: str) -> str:
    return short(name).rpartition(".")[2].rpartition(":")[2].lstrip("*")


def spelled(name: str) -> re.Pattern[bytes]:
    """A call that looks like taking a lock of that name; the variant is the first group."""
    word = re.escape(last_word(name).encode())
    return re.compile(rb"\b\w*(?<!un)lock(_irqsave|_irq|_bh|)(?:_nested)?\s*\(\s*&?[^();]*\b" + word + rb"\b")


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

    @property
    def back(self) -> bool:
        """Whether the function takes back what its caller has held, and so leaves interrupts as the caller has them."""
        return all(self.hold.lock in world for world in self.seen.dropped)


class LockUsers:
    """Memoised by lock class."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.program = summaries.program
        self._made: dict[str, tuple[Take, ...]] = {}
        self._looks: dict[str, tuple[bool, bool]] = {}
        self._where: dict[str, tuple[str, ...]] = {}
        self._starting: dict[str, bool] = {}
        self._own: dict[str, tuple[Take, ...]] = {}
        self._instead: dict[tuple[str, int], bool] = {}

    def of(self, name: str, path: str) -> tuple[Take, ...]:
        """Where the class is taken, in the unit of ``path`` and, for a field, in the subsystem."""
        got = self._made.get(name)
        if got is None:
            self._made[name] = ()
            funcs = {f.key: f for f in self._users(name, path)}.values()
            got = self._made[name] = tuple(t for f in funcs for t in self.takes(f) if t.hold.name == name)
        return got

    def look(self, name: str, path: str) -> tuple[bool, bool]:
        """By the text of the files that name a class: whether several variants take it, and whether one of those files, or one
        that calls them in their folder, has to do with interrupts, timers or softirqs."""
        got = self._looks.get(name)
        if got is None:
            pattern = spelled(name)
            kinds: set[bytes] = set()
            taking: dict[str, list[int]] = {}
            for file in self._files(name, path):
                for m in pattern.finditer(self.program.text(file)):
                    kinds.add(m[1].removesuffix(b"save"))
                    taking.setdefault(file, []).append(m.start())
            started = any(map(self._starts, taking)) or any(self._called_from(f, at) for f, at in taking.items())
            got = self._looks[name] = (len(kinds) > 1, started)
        return got

    def _called_from(self, file: str, offsets: list[int]) -> bool:
        """Whether another file of the folder has to do with interrupts and names a function that stands at such a place."""
        folder = posixpath.dirname(file)
        outward = [f.name for f in self.program.functions_at(file, offsets[:MAX_FUNCTIONS]) if not f.static] if folder else []
        named = self.program.names.files_mentioning(outward, (folder,)) if outward else {}
        beside = {f for files in named.values() for f in files if f.endswith(".c") and posixpath.dirname(f) == folder}
        return any(map(self._starts, sorted(beside)))

    def _starts(self, file: str) -> bool:
        """Whether a file names anything by which code is started in another context than a task's."""
        got = self._starting.get(file)
        if got is None:
            got = self._starting[file] = not self._words.isdisjoint(WORD.findall(self.program.text(file)))
        return got

    @cached_property
    def _words(self) -> frozenset[bytes]:
        models = self.program.models
        apis = {
            n for n, m in models.functions.items()
            if any(r.context in INTERRUPTS and r.callback is not None for r in m.registers)
        }  # fmt: skip
        inside = [t.rpartition(".") for t, o in models.operations.items() if o.context in INTERRUPTS]
        tables = {field if field != ELEMENT else type_ for type_, _, field in inside}
        return frozenset(word.encode() for word in apis | tables - COMMON)

    def _files(self, name: str, path: str) -> tuple[str, ...]:
        got = self._where.get(name)
        if got is None:
            got = self._where[name] = tuple(self._search_files(name, path))
        return got

    def _users(self, name: str, path: str) -> Iterator[Func]:
        """Functions in which a call that looks like taking the lock stands, those of its own unit first."""
        pattern = spelled(name)
        found = 0
        for file in self._files(name, path):
            offsets = [m.start() for m in pattern.finditer(self.program.text(file))]
            for func in self.program.functions_at(file, offsets):
                found += 1
                if found <= MAX_FUNCTIONS:
                    yield func

    def _search_files(self, name: str, path: str) -> list[str]:
        word = last_word(name)
        files = list(self.program.unit(path))
        if word in ANY or len(word) < SHORT:
            return files
        if name.startswith(("struct ", "union ")) or "/" not in name:
            folder = subsystem(path)
            own = posixpath.dirname(path)
            near = self.program.names.files_mentioning([word], (own,)).get(word, ()) if own else ()
            if len(near) <= MAX_FILES and folder != own:
                near = self.program.names.files_mentioning([word], (folder,)).get(word, ())
            files += by_distance([f for f in near if f not in files and f.endswith(".c")], path)[:MAX_FILES]
        return files

    def _locks(self, func: Func) -> bool:
        models = self.program.models.functions
        return any((m := models.get(c)) is not None and m.takes for c in func.calls)

    def takes(self, func: Func) -> tuple[Take, ...]:
        """The spinning locks that a function takes by calls of its own, not those that it only tries for."""
        got = self._own.get(func.key)
        if got is None:
            got = self._own[func.key] = tuple(self._takes(func)) if self._locks(func) else ()
        return got

    def instead(self, func: Func, at: int, api: str) -> bool:
        """Whether the function takes a spinning lock of the same object elsewhere, rather than what a call of ``api`` takes
        (``if (pcm->nonatomic) mutex_lock(&s->mutex); else spin_lock(&s->lock);``)."""
        got = self._instead.get((func.key, at))
        if got is None:
            got = self._instead[func.key, at] = self._takes_instead(func, at, api)
        return got

    def _takes_instead(self, func: Func, at: int, api: str) -> bool:
        others, model = self.takes(func), self.program.models.functions.get(api)
        flow = self.summaries.flow(func) if others and model is not None else None
        events = flow.seen if flow is not None else ()
        seen = next((s for s in events if s.event.at == at and isinstance(s.event, Call)), None)
        if seen is None or model is None:
            return False
        mine = {place(t.lock, args) for t in model.takes for args in seen.args}
        return any(
            isinstance(lock, Member) and isinstance(take.hold.lock, Member) and take.hold.lock.base == lock.base
            and not any(h.lock == take.hold.lock for h in seen.may()) and not any(h.lock == lock for h in take.seen.may())
            for take in others for lock in mine
        )  # fmt: skip

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
