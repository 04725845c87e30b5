"""Which findings are printed: by path, by confidence, and without those that an earlier run had."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from reviewer.checks.finding import CONFIDENCES, Confidence, Finding, Severity, at_least
from reviewer.checks.paths import path_pattern
from reviewer.errors import InputError

Known = frozenset[tuple[str, bool]]
"""Findings of an earlier run: (fingerprint, is a note)."""


def on_paths(findings: Iterable[Finding], globs: Sequence[str]) -> tuple[Finding, ...]:
    """Findings whose place or proof touches a file that one of ``globs`` names; all of them without globs."""
    if not globs:
        return tuple(findings)
    wanted = path_pattern(globs)
    return tuple(
        f for f in findings if any(wanted.match(file) for file in {f.file, *(s.file for s in f.proof)})
    )


def unmatched(paths: Iterable[str], globs: Sequence[str]) -> list[str]:
    """One line for each glob that names no file at all: most likely a slip of the pen."""
    if not globs:
        return []
    known = list(paths)
    return [
        f"no .c or .h file of this tree matches --path {glob}"
        for glob in globs
        if not any(map(path_pattern([glob]).match, known))
    ]


def confident(findings: Iterable[Finding], floor: Confidence) -> tuple[Finding, ...]:
    """Findings of ``floor`` or more."""
    return tuple(f for f in findings if at_least(f.confidence, floor))


SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


def by_certainty(finding: Finding) -> tuple[int, int, str, int, int, str, str]:
    """A key that sorts the most certain first, errors before warnings before notes, then by place."""
    return (
        -CONFIDENCES.index(finding.confidence), SEVERITIES.index(finding.severity),
        finding.file, finding.line, finding.column, finding.rule, finding.fingerprint,
    )  # fmt: skip


def unknown(findings: Iterable[Finding], known: Known) -> tuple[Finding, ...]:
    """Findings that the earlier run did not have.

    A note that has become an error or a warning is reported again: what used to prevent it is gone.
    """
    return tuple(f for f in findings if not _covered(f, known))


def _covered(finding: Finding, known: Collection[tuple[str, bool]]) -> bool:
    if (finding.fingerprint, False) in known:
        return True
    return finding.severity == "note" and (finding.fingerprint, True) in known


def read_baseline(path: str) -> Known:
    """The findings of an earlier run's JSON report.

    :raises InputError: the file cannot be read, or is no report of schema 1.
    """
    mend = "give a file written by `reviewer scan --format json -o FILE`"
    try:
        report = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"baseline {path}: {error.strerror}", mend) from None
    except (ValueError, RecursionError):
        raise InputError(f"baseline {path}: not JSON", mend) from None
    if (
        not isinstance(report, dict)
        or report.get("schema") != 1
        or not isinstance(report.get("findings"), list)
    ):
        raise InputError(f"baseline {path}: not a report of schema 1", mend)
    try:
        return frozenset((str(f["fingerprint"]), f["severity"] == "note") for f in report["findings"])
    except (KeyError, TypeError):
        raise InputError(f"baseline {path}: a finding without fingerprint or severity", mend) from None
