"""The general rules over many files: folder by folder, by several processes.

A task is a few files of one folder with a program of their own, so that what it says does not depend on the number of processes.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from itertools import groupby

from reviewer.checks.analysis import Analysis
from reviewer.checks.chosen import of_files
from reviewer.checks.finding import Finding
from reviewer.checks.focus import Focus
from reviewer.checks.registry import Check

FILES = 12
"""Files of one folder that a task takes on."""


def batches(files: Iterable[str]) -> list[tuple[str, ...]]:
    """The files in tasks, those of a folder together."""
    found: list[tuple[str, ...]] = []
    for _, group in groupby(sorted(files, key=lambda f: (posixpath.dirname(f), f)), posixpath.dirname):
        inside = list(group)
        found += (tuple(inside[i : i + FILES]) for i in range(0, len(inside), FILES))
    return found


def of_folder(analysis: Analysis, files: Sequence[str], checks: Iterable[Check]) -> list[Finding]:
    """What the general rules say of these files and of their callers."""
    functions = of_files(analysis.program, files)
    return findings(Focus(analysis, functions, functions), checks)


def findings(focus: Focus, checks: Iterable[Check]) -> list[Finding]:
    """What the general rules say of a focus."""
    return [finding for check in checks if check.general is not None for finding in check.general(focus)]
