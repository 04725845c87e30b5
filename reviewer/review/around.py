"""The general rules around a patch: the functions that it touches, and their callers."""

from __future__ import annotations

from pathlib import Path

from reviewer.checks.analysis import Analysis
from reviewer.checks.chosen import touched, waiting
from reviewer.checks.finding import Finding
from reviewer.checks.focus import Focus
from reviewer.checks.registry import Check, checks
from reviewer.checks.result import ScanRequest
from reviewer.checks.sweep import findings
from reviewer.program.index.linkage import subsystem
from reviewer.review.delta import Delta
from reviewer.review.halves import in_halves
from reviewer.store.factstore import Store


def around(
    before: Analysis, after: Analysis, change: Delta, request: ScanRequest, store: Store
) -> tuple[list[Finding], list[Finding]]:
    """What the general rules say of both sides of a change, without fingerprints."""
    wanted: list[Check] = [
        c for c in checks([Path(folder) for folder in request.rules_dirs])
        if c.general is not None and (not request.rules or c.id in request.rules)
    ]  # fmt: skip
    if not wanted:
        return [], []
    old = focus_on(before, change, None)
    new = focus_on(after, change, old)
    old.after = new
    if request.jobs > 1:
        return in_halves(old, new, wanted, store)
    return findings(old, wanted), findings(new, wanted)


def focus_on(analysis: Analysis, change: Delta, before: Focus | None) -> Focus:
    """What a change touches in one of its two programs; all of the files that differ stand beside it, and whoever waits for a
    callback that differs, or that calls what does."""
    program = analysis.program
    changes = {p: d.change for d in change.files.values() for p in (d.old_path, d.new_path) if p is not None}
    there = [p for p in changes if program.content.exists(p)]
    beside = [func for path in there for func in program.functions_in(path)]
    edited = [func for func in beside if func.name in changes[func.path].functions]
    near = {subsystem(func.path) for func in edited}
    chosen = touched(program, changes)
    backs = {func.key: func for func in (*edited, *chosen) if subsystem(func.path) in near}
    named = frozenset(w for c in changes.values() for w in c.outside).union(*(func.words for func in edited))
    return Focus(analysis, chosen, [*beside, *waiting(analysis, backs.values(), there)], before, named=named)
