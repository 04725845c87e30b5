"""Which functions the general rules look at: those of some files, and who calls them from elsewhere.

A hazard that a function brings is often seen in its caller, who holds the lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from reviewer.program.link import Func, Program
from reviewer.program.linkage import ASIDE, by_distance, reachable

LEVELS = 3
"""Levels of callers outside of the files in question."""

MAX_FILES = 24
"""Files that name one function and are looked at for callers, the nearest first. What more files name is an API of its own, and
whoever changes how it may be called knows its users."""

MAX_CALLERS = 80
"""Callers outside of the files in question that are looked at."""


def of_files(program: Program, files: Iterable[str], about: Callable[[Func], bool] = lambda func: True) -> list[Func]:
    """The functions of ``files`` and their callers elsewhere.

    :param about: which functions' callers are looked for.
    """
    chosen = {func.key: func for file in files for func in program.functions_in(file)}
    inside = {func.path for func in chosen.values()}
    level = [func for func in chosen.values() if about(func)]
    outside = 0
    for _ in range(LEVELS):
        following: list[Func] = []
        level = [f for f in level if not f.static and f.definition is not None]
        named = program.names.files_mentioning(dict.fromkeys(f.name for f in level)) if level else {}
        for func in level:
            for caller in callers(program, func, named.get(func.name, ())):
                if caller.key not in chosen and outside < MAX_CALLERS:
                    chosen[caller.key] = caller
                    following.append(caller)
                    outside += caller.path not in inside
        level = following
    return list(chosen.values())


def callers(program: Program, func: Func, named: Iterable[str]) -> Iterator[Func]:
    """Functions in the files ``named`` that call ``func`` by its name."""
    near = [f for f in named if f.endswith(".c") and f.split("/", 1)[0] not in ASIDE and reachable(func.path, f)]
    if len(near) > MAX_FILES:
        return
    for file in by_distance(near, func.path):
        if any(f.key == func.key for f in program.resolve(func.name, file)):
            yield from (c for c in program.functions_with(file, func.name) if func.name in c.calls)
