"""Which functions are never in one kernel: they stand in the two arms of an ``#if``, or in a file that one of these includes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from reviewer.program.linked.link import Func, Program

WORD = re.compile(r"!?defined\(\w+\)")
"""One switch, on or off, as conditions have it."""


def exclusive(program: Program, functions: Iterable[Func]) -> bool:
    """Whether some of the functions are compiled only without what others of them are compiled with."""
    wanted = frozenset(w for func in {f.key: f for f in functions}.values() for w in conditions(program, func))
    return any(f"!{word}" in wanted for word in wanted)


def conditions(program: Program, func: Func) -> frozenset[str]:
    """The switches that a function needs on or off (``defined(CONFIG_X)``), those of whoever includes its file with them."""
    found = {func.condition}
    name = posixpath.basename(func.path)
    for user in program.unit(func.path) if func.path.endswith(".c") else ():
        at = program.text(user).find(b'#include "%b"' % name.encode()) if user.endswith(".c") and user != func.path else -1
        if at >= 0:
            found.add(program.file(user).conditions.at(at))
    return frozenset(w for text in found if "||" not in text and "!(" not in text for w in WORD.findall(text))
