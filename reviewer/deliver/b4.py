"""What b4 reads from a check: lines of ``b4.prep-perpatch-check-cmd``, and the JSON of ``b4.review-*-check-cmd``.

b4 takes every line on standard output for a finding, one with ``ERROR:`` in it for a failure, and every line on standard
error for a failure, too.

:source: ``run_local_check()`` in b4's ``__init__.py``, ``_run_external_cmd()`` in its ``review/checks.py``;
    ``report()`` in scripts/checkpatch.pl for the shape of a line
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Literal

from reviewer.checks.finding import Finding
from reviewer.report.plain import plural, safe
from reviewer.review.result import Reviewed

TOOL = "reviewer"

_LEVELS = {"error": "ERROR", "warning": "WARNING"}

_MARK = re.compile(r"\b(ERROR|WARNING|CHECK):")
"""What a line may say once, of itself."""

Status = Literal["pass", "warn", "fail"]


def finding_line(reviewed: Reviewed) -> str:
    """``FILE:LINE: ERROR|WARNING: rule: one sentence``, the line that of the file after the patch."""
    finding, cause = reviewed.finding, reviewed.cause
    said = _plain(finding.message).rstrip(".")
    if cause is not None and cause.file != finding.file:
        said += f" (by the change of {_plain(cause.file)})"
    return f"{_plain(finding.file)}:{finding.line}: {_LEVELS[finding.severity]}: {_plain(finding.rule)}: {said}"


def trouble_line(text: str) -> str:
    """The line for a patch that could not be looked at: a failure, since nobody knows what it brings."""
    return f"ERROR: not reviewed: {_plain(text)}"


def skipped_line(skipped: Sequence[tuple[str, str]]) -> str:
    """The line for a result that is incomplete."""
    file, reason = skipped[0]
    more = f" and {len(skipped) - 1} more" if len(skipped) > 1 else ""
    return f"WARNING: incomplete, not read: {_plain(file)} ({_plain(reason)}){more}"


def lines(found: Iterable[Reviewed], skipped: Sequence[tuple[str, str]]) -> list[str]:
    """All that is to be said of a patch; nothing where nothing is."""
    return [*map(finding_line, found), *([skipped_line(skipped)] if skipped else [])]


def report(found: Sequence[Reviewed], skipped: Sequence[tuple[str, str]]) -> str:
    """The JSON for ``b4 review``: one entry that passes, warns or fails, with a line for each finding as its details."""
    findings = [r.finding for r in found]
    status: Status = "fail" if any(f.severity == "error" for f in findings) else "warn" if findings or skipped else "pass"
    return _entry(status, _summary(findings, len(skipped)), lines(found, skipped))


def trouble_report(text: str) -> str:
    """The JSON for a patch that could not be looked at."""
    return _entry("fail", trouble_line(text).removeprefix("ERROR: "), [])


def _summary(findings: Sequence[Finding], skipped: int) -> str:
    counts = {one: sum(f.severity == one for f in findings) for one in _LEVELS}
    words = [plural(count, one) for one, count in counts.items() if count] or ["no concurrency hazard found"]
    return ", ".join(words) + (f"; incomplete, {plural(skipped, 'file')} not read" if skipped else "")


def _entry(status: Status, summary: str, details: Sequence[str]) -> str:
    entry = {"tool": TOOL, "status": status, "summary": summary}
    if details:
        entry["details"] = "\n".join(details)
    return json.dumps([entry]) + "\n"


def _plain(text: str) -> str:
    """On one line, and without what b4 would take for another level."""
    return _MARK.sub(r"\1 :", safe(text).strip())
