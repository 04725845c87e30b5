"""The general rules over many files: part by part, by several processes.

A task is some files that stand near each other. What they call in common is executed once; more files to a task would share more,
and need more memory.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from itertools import groupby

import msgspec

from reviewer.checks.analysis import Analysis
from reviewer.checks.chosen import of_files, through_tables
from reviewer.checks.finding import Finding
from reviewer.checks.focus import Focus
from reviewer.checks.registry import Check
from reviewer.program.linked.references import unreferenced

FILES = 64
"""Files that a task takes on: some 5 MB of facts and summaries each."""

NEAR = 2
"""Folders of a path that the files of one task have in common."""


SELF_TEST = re.compile(r"(?:^|/)tests/|(?:^|/)(?:tests?[-_][^/]*|[^/]*[-_](?:self)?tests?|[^/]*(?:selftest|kunit)[^/]*)\.[ch]$")
"""How the kernel names the files of its own tests (lib/locking-selftest.c, lib/test_kmod.c, net/core/dev_addr_lists_test.c)."""


def batches(files: Iterable[str]) -> list[tuple[str, ...]]:
    """The C files in tasks: those of a folder together, and small folders that stand side by side."""
    folders = groupby(sorted(files, key=lambda f: (posixpath.dirname(f), f)), posixpath.dirname)
    found: list[list[str]] = []
    last: list[str] | None = None
    for folder, group in folders:
        inside, home = list(group), folder.split("/")[:NEAR]
        if last == home and len(found[-1]) + len(inside) <= FILES:
            found[-1] += inside
        else:
            found += (inside[i : i + FILES] for i in range(0, len(inside), FILES))
        last = home
    return [tuple(batch) for batch in found]


def of_part(analysis: Analysis, files: Sequence[str], checks: Iterable[Check], above: bool = True) -> list[Finding]:
    """What the general rules say of these files and, with ``above``, of their callers elsewhere."""
    left_out = analysis.program.switches.left_out
    functions = [f for f in of_files(analysis, files, above) if not f.condition or not left_out(f.condition, f.path)]
    about = frozenset(files) if above else frozenset()
    analysis.effects.about = about
    narrow = Focus(analysis, functions, functions)
    focus = Focus(analysis, functions, functions, about=about, beyond=through_tables(narrow, functions) if above else ())
    analysis.foci += (narrow, focus)
    return findings(focus, checks)


def findings(focus: Focus, checks: Iterable[Check]) -> list[Finding]:
    """What the general rules say of a focus; in a scan little of code that tests the kernel, by itself or by doing it wrong, or
    that nobody calls."""
    found = [finding for check in checks if check.general is not None for finding in check.general(focus)]
    if focus.other is not None:
        return found
    return [msgspec.structs.replace(f, confidence="low") if f.confidence != "low" and idle(focus, f) else f for f in found]


def idle(focus: Focus, finding: Finding) -> bool:
    """Whether a finding is about code that does not run, or does so to test others."""
    if SELF_TEST.search(finding.file):
        return True
    functions = focus.program.functions(finding.file, finding.function)
    return bool(functions) and all(unreferenced(focus.program, f) for f in functions)
