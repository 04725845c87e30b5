"""The fix of a path that forgets to unlock, where it is one line: the release that the other paths make, before the return."""

from __future__ import annotations

import difflib
import re

from reviewer.checks.analysis import Analysis
from reviewer.program.concurrency.balance import Way
from reviewer.program.linked.link import Func

STATEMENT = re.compile(r"\s*[A-Za-z_]\w*\([^;{}]*\);\s*(/\*.*\*/)?\s*\Z")
"""A call that is a statement of its own on one line."""


def fix_of(analysis: Analysis, func: Func, way: Way, good: Way) -> str | None:
    """A unified diff, or None where the return is shared with paths that have released the lock, or nothing is that simple."""
    release, leave = func.line_of(good.released), func.line_of(way.ending.at)
    text = analysis.program.original(func.path).decode("utf-8", "surrogateescape")
    lines = text.splitlines(keepends=True)
    if not (0 < release <= len(lines) and 1 < leave <= len(lines)) or good.ending.at == way.ending.at:
        return None
    unlock, back = lines[release - 1], lines[leave - 1]
    if not STATEMENT.match(unlock) or not re.match(r"\s*return\b[^;]*;\s*\Z", back):
        return None
    if re.search(r"\w\(", back):
        return None  # what the return calls may need the lock
    indent = back[: len(back) - len(back.lstrip())]
    call = unlock.split("/*")[0].strip()
    before = lines[leave - 2].rstrip()
    changed = list(lines)
    if before.endswith(("{", ";", "}", "*/", ":")) or not before:
        changed.insert(leave - 1, f"{indent}{call}\n")
    elif before.endswith(")") or before.endswith("else"):
        changed[leave - 2] = before + " {\n"
        outer = indent[:-1]
        changed[leave - 1 : leave] = [f"{indent}{call}\n", back, f"{outer}}}\n"]
    else:
        return None
    diff = difflib.unified_diff(lines, changed, f"a/{func.path}", f"b/{func.path}", n=3)
    return "".join(diff).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
