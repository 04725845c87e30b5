"""The exit code of a command that prints findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized

from reviewer.checks.finding import Confidence, Finding, at_least

CLEAN = 0
FOUND = 1
USAGE = 2
INCOMPLETE = 3
INTERRUPTED = 130


def exit_code(findings: Iterable[Finding], skipped: Sized, fail_on: Confidence | None) -> int:
    """1 with a finding (no note) of confidence ``fail_on`` or more, else 3 if anything was skipped, else 0.

    :param fail_on: None means that no finding counts (``--fail-on never``).
    """
    if fail_on is not None and any(
        f.severity != "note" and at_least(f.confidence, fail_on) for f in findings
    ):
        return FOUND
    return INCOMPLETE if skipped else CLEAN


def answered(skipped: Sequence[tuple[str, str]]) -> int:
    """The exit code of an answer that is no list of findings; names on standard error what it could not read."""
    from reviewer.cli.output import say

    for file, reason in skipped:
        say(f"reviewer: skipped {file}: {reason}")
    return INCOMPLETE if skipped else CLEAN
