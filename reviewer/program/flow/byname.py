"""What a function may do with locks, told from the names that it calls: of ten functions one holds anything, and only that one
need be executed to know where.

Calls are followed as far as a summary follows them. A lock that only a call through a table returns with is not foreseen: such a
function is looked at when one of its callers is.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from typing import Literal

from reviewer.program.api.models import Function as Model
from reviewer.program.flow.horizon import SCOPED, Horizon
from reviewer.program.linked.calls import Calls, Target
from reviewer.program.linked.link import Func, Program

LEVELS = 2
"""Calls below a function in which a net lock effect is looked for."""

THIN = 2
"""Distinct callees of a function whose outcome is looked at although it touches no lock itself."""

INLINED = 2
"""Calls of an inline or a macro to anything but modelled API, up to which a look into it costs nothing."""

INDIRECT = re.compile(rb"(?:->|\.)\s*\w+\s*\)?\s*\(|\(\s*\*\s*\w+\s*\)\s*\(")
"""A call through a field or a pointer."""

LOCKS = re.compile(r"(?:raw_|arch_)?spinlock_t|rwlock_t|struct (?:mutex|rw_semaphore|semaphore|lockref|percpu_rw_semaphore)")
"""The types of locks: a function that returns a pointer to one says which lock its caller takes."""

PARTNERS = (("get", "put"), ("acquire", "release"), ("lock", "unlock"), ("begin", "end"), ("enter", "exit"))
"""Words in the names of two functions of which the one gives back what the other takes."""

CLAIMS = ("__acquires", "__releases", "__cond_acquires")
"""How the annotations begin by which an author says what a function does to locks (include/linux/compiler_types.h)."""

Holding = Literal["takes", "masks"]
"""What is held: anything, or what turns interrupts or softirqs off."""

What = Holding | Literal["locks", "steers"]


class ByName:
    """Memoised by function."""

    def __init__(self, program: Program, calls: Calls) -> None:
        self.program = program
        self.calls = calls
        self.horizon = Horizon(calls)
        self._thin: dict[str, bool] = {}
        self._below: dict[tuple[str, int], bool] = {}
        self._indirect: dict[str, bool] = {}
        self._depths: dict[tuple[str, int], int] = {}
        self._hidden: dict[tuple[str, int], bool] = {}
        self._made: dict[tuple[What, str, int], bool] = {}

    # --- how far a summary looks ------------------------------------------------------------------

    def needed(self, func: Func, level: int) -> int:
        """The levels below that can make a difference: none, if nothing thin is called."""
        got = self._depths.get((func.key, level))
        if got is None:
            got = self._depths[func.key, level] = 0  # a cycle needs nothing more
            for name in func.calls:
                if name in self.program.models.functions:
                    continue
                for callee in self.program.resolve(name, func.path):
                    cost = self.cost(callee)
                    if cost <= level and self.thin(callee):
                        got = max(got, cost + self.needed(callee, level - cost))
                if got == level:
                    break
            if got < level and self.calls_indirectly(func):
                got = level
            self._depths[func.key, level] = got
        return got

    def thin(self, func: Func) -> bool:
        """Whether a function may be a lock wrapper, or so small that its value is worth knowing."""
        got = self._thin.get(func.key)
        if got is None:
            got = (
                func.macro is not None or len(func.calls) <= THIN or claims(func) or names_lock(func)
                or any(self.touches_locks(c) or self._passes_on(c, func.path) for c in func.calls) or self._is_half(func)
            )  # fmt: skip
            self._thin[func.key] = got
        return got

    def cost(self, func: Func) -> int:
        """The levels that a look into a callee costs: none for an inline or a macro that passes on what another returns, or what
        another finds by what one more gives (``table_lock(table_of(dev), nr)``)."""
        if not (func.macro is not None or func.path.endswith(".h")):
            return 1
        return 0 if len(func.calls) <= 1 or sum(c not in self.program.models.functions for c in func.calls) <= INLINED else 1

    def touches_locks(self, name: str) -> bool:
        """Whether an API of that name takes or drops anything."""
        model = self.program.models.functions.get(name)
        return model is not None and bool(model.takes or model.drops or model.gfp_scope)

    def only_releases(self, func: Func) -> bool:
        """Whether what it calls by name drops something and takes nothing: a callee that is worth nothing without a look."""
        models = [m for c in func.calls if (m := self.program.models.functions.get(c)) is not None]
        return any(m.drops for m in models) and not any(m.takes for m in models)

    def hides_release(self, func: Func, level: int) -> bool:
        """Whether it calls such a one that lies below the level."""
        key = (func.key, level)
        got = self._hidden.get(key)
        if got is None:
            got = self._hidden[key] = any(
                self.cost(callee) > level and self.only_releases(callee)
                for name in func.calls if name not in self.program.models.functions
                for callee in self.program.resolve(name, func.path)
            )  # fmt: skip
        return got

    def _passes_on(self, name: str, path: str) -> bool:
        """Whether a name is that of an inline that only calls such an API (``pte_unmap()``)."""
        if name in self.program.models.functions:
            return False
        return any(
            f.macro is None and self.cost(f) == 0 and any(self.touches_locks(c) for c in f.calls)
            for f in self.program.resolve(name, path)
        )

    def _is_half(self, func: Func) -> bool:
        """Whether it is one of two functions of a file that take something and give it back, by their names, and another one of
        the file does so with locks for it."""
        file = func.path
        if not any(self.program.functions(file, name) for name in partners(func.name)):
            return False
        return any(self.touches_locks(c) for name in func.calls for f in self.program.functions(file, name) for c in f.calls)

    def calls_indirectly(self, func: Func) -> bool:
        """Whether it calls through a field or a pointer, so that names do not tell whom."""
        got = self._indirect.get(func.key)
        if got is None:
            if func.macro is not None:
                got = INDIRECT.search(func.macro.body.encode("utf-8", "replace")) is not None
            else:
                assert func.source is not None
                file, piece = func.source
                got = INDIRECT.search(file.skim.body_of(piece)) is not None
            self._indirect[func.key] = got
        return got

    def indirect_below(self, func: Func, levels: int) -> bool:
        """The same of what it calls in its folder, some levels down."""
        got = self._below.get((func.key, levels))
        if got is None:
            self._below[func.key, levels] = False
            home = posixpath.dirname(func.path)
            names = (name for name in func.calls if name not in self.program.models.functions)
            callees = (
                f for name in names for f in self.program.resolve(name, func.path)
                if f.macro is None and posixpath.dirname(f.path) == home
            )
            got = any(self.calls_indirectly(f) or (levels > 1 and self.indirect_below(f, levels - 1)) for f in callees)
            self._below[func.key, levels] = got
        return got

    # --- what it may do -----------------------------------------------------------------------------

    def steers(self, func: Func, level: int) -> bool:
        """Whether a call of it may make a difference to a caller who does not look at the result: what is held after it, and
        whether it comes back."""
        return self.calls_indirectly(func) or self._may("steers", func, level)

    def takers(self, func: Func, what: What) -> Iterator[Target]:
        """What it calls that may take something (``locks``: or drop it), and whoever calls it can see that."""
        for name in func.calls:
            if SCOPED.search(name):
                yield Target(name, None, None)
                return
            for target in self.calls.named(name, func.path):
                if self._target_may(what, target, LEVELS):
                    yield target

    def asserts(self, func: Func) -> bool:
        """Whether it says what its callers hold."""
        models = self.program.models.functions
        return any((m := models.get(name)) is not None and m.asserts for name in func.calls)

    def _may(self, what: What, func: Func, level: int) -> bool:
        key = (what, func.key, level)
        got = self._made.get(key)
        if got is None:
            self._made[key] = False  # a cycle adds nothing
            got = self._made[key] = any(self._name_may(what, name, func, level) for name in func.calls)
        return got

    def _name_may(self, what: What, name: str, func: Func, level: int) -> bool:
        if SCOPED.search(name):
            return True
        return any(self._target_may(what, target, level) for target in self.calls.named(name, func.path))

    def _target_may(self, what: What, target: Target, level: int) -> bool:
        if target.model is not None:
            return TESTS[what](target.model)
        if target.func is None:
            return False
        left = level - self.cost(target.func)
        if left < 0 or not self.thin(target.func):
            return False
        return (what == "steers" and self.calls_indirectly(target.func)) or self._may(what, target.func, left)


def partners(name: str) -> Iterator[str]:
    """The names that a function would have which undoes what one of this name does."""
    words = name.split("_")
    for n, word in enumerate(words):
        for pair in PARTNERS:
            if word in pair:
                yield "_".join((*words[:n], pair[1 - pair.index(word)], *words[n + 1 :]))


def claims(func: Func) -> bool:
    """Whether its author says that it returns with another set of locks than it was called with."""
    return func.definition is not None and any(a.startswith(CLAIMS) for a in func.definition.annotations)


def names_lock(func: Func) -> bool:
    """Whether it returns a pointer to a lock."""
    type_ = func.definition.type if func.definition is not None else None
    return type_ is not None and type_.pointer == 1 and LOCKS.fullmatch(type_.name) is not None


def _steers(model: Model) -> bool:
    return bool(model.takes or model.drops or model.gfp_scope is not None or model.no_return or model.ends_if is not None)


TESTS: dict[What, Callable[[Model], bool]] = {
    "takes": lambda model: bool(model.takes),
    "masks": lambda model: any(t.irq for t in model.takes),
    "locks": lambda model: bool(model.takes or model.drops),
    "steers": _steers,
}
