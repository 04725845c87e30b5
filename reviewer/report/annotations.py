"""GitHub's workflow commands: findings as annotations beside the lines of a pull request.

:source: docs.github.com, "Workflow commands for GitHub Actions"; actions/runner, ActionCommand.cs and ExecutionContext.cs
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from reviewer.checks.finding import Finding, Severity, Step
from reviewer.checks.result import ScanResult
from reviewer.report.plain import clip, plural, safe
from reviewer.report.select import by_certainty
from reviewer.report.text import TEXT_WIDTH
from reviewer.review.result import Cause, Reviewed, ReviewResult

Level = Literal["error", "warning", "notice"]

LEVELS: dict[Severity, Level] = {"error": "error", "warning": "warning", "note": "notice"}

MAX_EACH = 10
"""Annotations of one level that a step may make; the runner drops what comes later without a word."""

MAX_MESSAGE = 4000
"""Characters of a message; the runner cuts at 4096."""

MAX_SENTENCE = 1000
"""Characters of a finding's sentence, so that there is room for its proof."""

MAX_STEPS = 10
"""Steps of a proof in an annotation: the first ones and the last ones. The other formats have them all."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """One command. ``column`` is None where only the line is known; ``message`` has lines."""

    level: Level
    finding: Finding
    file: str
    line: int
    column: int | None
    message: tuple[str, ...]


def scan_annotations(result: ScanResult, findings: Sequence[Finding], inside: str = "") -> str:
    """An annotation for each finding, the most certain first, as many as GitHub takes.

    :param findings: those that passed the filters. :param inside: where in its repository the tree lies, with ``/`` at the end.
    """
    found = [
        Annotation(LEVELS[f.severity], f, f.file, f.line, f.column, (sentence(f), *proof_lines(f.proof))) for f in findings
    ]
    return _commands(found, len(result.skipped), inside)


def review_annotations(result: ReviewResult, shown: Sequence[Reviewed], inside: str = "") -> str:
    """An annotation for each finding that the series brings; for one that a later patch mends only a notice.

    It stands in the lines of the diff, which is what a reader of the pull request sees: at the finding's own line if a hunk
    has it, else at the first changed line of the hunk that brings it.
    """
    return _commands([_brought(r) for r in shown if r.status == "introduced"], len(result.skipped), inside)


def _brought(reviewed: Reviewed) -> Annotation:
    finding, cause = reviewed.finding, reviewed.cause
    level = LEVELS[finding.severity]
    message = [sentence(finding)]
    if cause is not None and not cause.inside:
        where = f"the hazard is in {safe(finding.function)}, {safe(finding.file)}:{finding.line}"
        message.append(where + (f"; why this hunk: {safe(cause.why)}" if cause.why else ""))
    if reviewed.mended_by is not None:
        level = "notice"
        message.append(f"patch {reviewed.mended_by} of the series mends it")
    message += proof_lines(finding.proof)
    if cause is not None and not cause.inside:
        return Annotation(level, finding, cause.file, first_changed_line(cause), None, tuple(message))
    return Annotation(level, finding, finding.file, finding.line, finding.column, tuple(message))


def first_changed_line(cause: Cause) -> int:
    """The first line that the hunk adds; where it only removes, the line that now stands there, or the last one before.

    1-based, in the file after the patch.
    """
    at, kept, removed = cause.line, 0, 0
    for mark in (line[:1] for line in cause.text):
        if mark == "+":
            return max(at, 1)
        if mark == "-":
            removed = removed or max(at, 1)
        elif mark != "\\":
            at, kept = at + 1, at
    return min(removed, max(kept, 1)) if removed else max(cause.line, 1)


def sentence(finding: Finding) -> str:
    """What the finding says, on one line, with its confidence."""
    return f"{clip(safe(finding.message), MAX_SENTENCE)} ({finding.confidence} confidence)"


def proof_lines(proof: Sequence[Step]) -> Iterator[str]:
    """The steps, one a line; of a long proof the first ones and the last ones."""
    left = len(proof) - MAX_STEPS
    for number, step in enumerate(proof):
        if left <= 0 or number < MAX_STEPS // 2 or number >= MAX_STEPS // 2 + left:
            yield _step(step)
        elif number == MAX_STEPS // 2:
            yield f"[ {plural(left, 'more step')} ]"


def _step(step: Step) -> str:
    held = f" (held: {clip(safe(', '.join(step.held)), 2 * TEXT_WIDTH)})" if step.held else ""
    return f"{safe(step.file)}:{step.line} {safe(step.function)}: {step.kind} {clip(safe(step.text), TEXT_WIDTH)}{held}"


def _commands(found: Iterable[Annotation], skipped: int, inside: str) -> str:
    order = list(LEVELS.values())
    ordered = sorted(found, key=lambda a: (by_certainty(a.finding), order.index(a.level)))
    rest = Counter(a.level for a in ordered) - Counter(dict.fromkeys(order, MAX_EACH))
    # The line that counts what is left is a notice, too.
    allowed = {level: MAX_EACH - (level == "notice" and bool(rest or skipped)) for level in order}
    written: Counter[Level] = Counter()
    lines = []
    for annotation in ordered:
        if written[annotation.level] < allowed[annotation.level]:
            lines.append(_command(annotation, inside))
            written[annotation.level] += 1
    left = Counter(a.level for a in ordered) - written
    words = []
    if left:
        counted = ", ".join(plural(left[level], level) for level in order if left[level])
        words.append(f"{counted} more: GitHub shows {MAX_EACH} of each kind for a step; other formats have them all")
    if skipped:
        words.append(f"incomplete: {plural(skipped, 'file')} could not be read in full")
    if words:
        lines.append(f"::notice title=reviewer::{_data('; '.join(words))}")
    return "".join(f"{line}\n" for line in lines)


def _command(annotation: Annotation, inside: str) -> str:
    line = max(annotation.line, 1)
    properties = {"file": inside + annotation.file, "line": str(line), "endLine": str(line)}
    if annotation.column is not None:
        properties["col"] = str(max(annotation.column, 1))
    properties["title"] = annotation.finding.rule
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{annotation.level} {written}::{_data(clip(chr(10).join(annotation.message), MAX_MESSAGE))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """A name with its line ends; whatever else a terminal would obey is written as in other reports."""
    parts = (part if part in ("\r", "\n") else safe(part) for part in re.split("([\r\n])", text))
    return _data("".join(parts)).replace(":", "%3A").replace(",", "%2C")
