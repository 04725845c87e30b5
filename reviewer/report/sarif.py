"""SARIF 2.1.0, for code hosts and editors: rules, findings with their proofs as code flows, what could not be read.

The same answer gives the same bytes: neither times nor the machine's folders are in it, but for the repository's.

:source: OASIS, sarif-v2.1.0-errata01; docs.github.com, "SARIF support for code scanning"
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from reviewer import __version__
from reviewer.checks.finding import Finding, Step, StepKind
from reviewer.checks.result import ScanResult
from reviewer.report.depth import depths
from reviewer.report.explain import Rule
from reviewer.report.json_v1 import Object
from reviewer.report.plain import clip, plural, safe
from reviewer.report.sarif_rules import descriptor
from reviewer.report.select import by_certainty
from reviewer.review.result import Cause, Reviewed, ReviewResult, Status

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

ROOT = "%SRCROOT%"
"""The name of the repository's top. Its place is left out, so that the consumer knows its own."""

MAX_RESULTS = 5000
"""GitHub refuses more than 25,000 results, or 10 MB compressed, and shows 5,000."""

MAX_STEPS = 1000
"""Steps of a code flow: GitHub refuses more than 10,000 and shows 1,000."""

MAX_RELATED = 100
"""Related locations: GitHub refuses more than 1,000 and shows 100."""

MAX_TEXT = 1000
"""Characters of one message."""

KINDS: dict[StepKind, tuple[str, ...]] = {
    "acquire": ("acquire", "lock"), "release": ("release", "lock"), "call": ("call", "function"),
    "return": ("return", "function"), "access": ("access", "value"), "alloc": ("alloc", "memory"),
}  # fmt: skip
"""A step's kind, with the standard's word beside it where it has one."""

STATES: dict[Status, str] = {"introduced": "new", "unchanged": "unchanged", "fixed": "absent"}

SKIPPED = "skipped-file"


def scan_sarif(
    result: ScanResult, findings: Sequence[Finding], rules: Sequence[Rule], *, category: str, repository: str | None = None,
    inside: str = "",
) -> str:  # fmt: skip
    """The log of a scan.

    :param findings: those that passed the filters. :param rules: those that ran, sorted by id.
    :param category: which question this is: a code host keeps the alerts of each apart.
    :param repository: URI of the repository, for a scan of one of its revisions.
    :param inside: where in its repository the tree lies, with ``/`` at the end.
    """
    writer = _Writer(rules, inside)
    kept, left = _most_certain(findings)
    results = [writer.result(finding) for finding in kept]
    return _log(writer, results, result.skipped, left, category, _provenance(repository, result.rev), {})


def review_sarif(
    result: ReviewResult, shown: Sequence[Reviewed], rules: Sequence[Rule], *, category: str, repository: str | None = None,
    inside: str = "",
) -> str:  # fmt: skip
    """The log of a review, each result with its ``baselineState``; see :func:`scan_sarif`.

    What one patch brings and a later one mends is in neither of the trees that are compared, and left out.
    """
    writer = _Writer(rules, inside)
    told = [r for r in shown if r.mended_by is None]
    kept, left = _most_certain([r.finding for r in told])
    wanted = set(map(id, kept))
    results = [writer.reviewed(r) for r in told if id(r.finding) in wanted]
    patches = [
        {"number": p.number, "subject": safe(p.subject), **({"messageId": safe(p.message_id)} if p.message_id else {})}
        for p in result.patches
    ]
    properties: Object = {"base": result.base, "baseReason": safe(result.base_reason), "patches": patches}
    return _log(writer, results, result.skipped, left, category, _provenance(repository, result.rev), properties)


def _most_certain(findings: Sequence[Finding]) -> tuple[Sequence[Finding], int]:
    """As many as fit, in their order, and how many do not."""
    if len(findings) <= MAX_RESULTS:
        return findings, 0
    wanted = set(map(id, sorted(findings, key=by_certainty)[:MAX_RESULTS]))
    return [f for f in findings if id(f) in wanted], len(findings) - MAX_RESULTS


def _provenance(repository: str | None, rev: str | None) -> list[Object]:
    if repository is None or rev is None:
        return []  # what was read is no revision: files on disk, or a series on top of one
    return [{"repositoryUri": repository, "revisionId": rev, "mappedTo": {"uriBaseId": ROOT}}]


def _log(
    writer: _Writer, results: list[Object], skipped: Sequence[tuple[str, str]], left: int, category: str,
    provenance: list[Object], properties: Object,
) -> str:  # fmt: skip
    notifications = [writer.skipped(file, reason) for file, reason in skipped]
    if left:
        text = f"{plural(left, 'finding')} left out, of the least certain ones: a code host takes no more results"
        notifications.append({"descriptor": {"id": "left-out"}, "level": "error", "message": {"text": text}})
    run: Object = {
        "tool": {"driver": {
            "name": "reviewer",
            "version": __version__,
            "shortDescription": {"text": "Finds concurrency hazards in Linux kernel source."},
            "rules": [descriptor(rule) for rule in writer.rules],
            "notifications": [
                {"id": SKIPPED, "shortDescription": {"text": "A file was needed and could not be read in full."}},
                {"id": "left-out", "shortDescription": {"text": "There were more findings than the format may hold."}},
            ],
        }},
        "automationDetails": {"id": f"reviewer/{safe(category)}/"},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notifications}],
        **({"versionControlProvenance": provenance} if provenance else {}),
        "originalUriBaseIds": {ROOT: {"description": {"text": "The top folder of the repository."}}},
        "columnKind": "unicodeCodePoints",
        "results": results,
        **({"properties": properties} if properties else {}),
    }  # fmt: skip
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


class _Writer:
    """Findings as results."""

    def __init__(self, rules: Sequence[Rule], inside: str) -> None:
        self.rules = list({rule.id: rule for rule in rules}.values())
        self._index = {rule.id: number for number, rule in enumerate(self.rules)}
        self._inside = inside

    def result(self, finding: Finding, cause: Cause | None = None) -> Object:
        place = self._location(finding.file, finding.line, finding.column, finding.function)
        related = self._related(finding, cause)
        properties: Object = {"confidence": finding.confidence, "involves": [safe(name) for name in finding.involves]}
        if finding.prevented_by:
            properties["preventedBy"] = safe(finding.prevented_by)
        if finding.fix is not None:
            properties["fix"] = "\n".join(safe_line(line) for line in finding.fix.split("\n"))
        return {
            "ruleId": finding.rule,
            **({"ruleIndex": self._index[finding.rule]} if finding.rule in self._index else {}),
            "level": finding.severity,
            "message": {"text": f"{message(finding.message)} ({finding.confidence} confidence)"},
            "locations": [place],
            **({"relatedLocations": related} if related else {}),
            **({"codeFlows": [self._flow(finding.proof)]} if finding.proof else {}),
            "partialFingerprints": {"reviewer/v1": finding.fingerprint},
            "properties": properties,
        }

    def reviewed(self, reviewed: Reviewed) -> Object:
        written = self.result(reviewed.finding, reviewed.cause)
        properties: Object = {}
        if reviewed.patch is not None:
            properties["patch"] = reviewed.patch.number
        if reviewed.cause is not None and reviewed.cause.why:
            properties["why"] = safe(reviewed.cause.why)
        given = written["properties"]
        assert isinstance(given, dict)
        return {**written, "baselineState": STATES[reviewed.status], "properties": {**given, **properties}}

    def skipped(self, file: str, reason: str) -> Object:
        """A file that was needed and could not be read: the results may not be all there are."""
        return {
            "descriptor": {"id": SKIPPED},
            "level": "error",
            "message": {"text": message(f"{file}: {reason}")},
            "locations": [{"physicalLocation": {"artifactLocation": self._artifact(file)}}],
        }

    def _related(self, finding: Finding, cause: Cause | None) -> list[Object]:
        """The hunk that brings or mends it, then what the proof's steps do to locks and data, elsewhere than at its place."""
        found: list[Object] = []
        if cause is not None:
            text = message(f"hunk {cause.header}")
            found.append({**self._location(cause.file, cause.line, None, ""), "message": {"text": text}})
        seen = {(finding.file, finding.line)}
        for step in finding.proof:
            if step.kind != "call" and (step.file, step.line) not in seen:
                seen.add((step.file, step.line))
                found.append(self._step_location(step, f"{step.kind}: {source(step)}"))
        return [{"id": number, **location} for number, location in enumerate(found[:MAX_RELATED], 1)]

    def _flow(self, proof: Sequence[Step]) -> Object:
        """The proof as one thread flow: its steps do not say on which CPU they run."""
        return {"threadFlows": [{"locations": list(self._steps(proof[:MAX_STEPS]))}]}

    def _steps(self, proof: Sequence[Step]) -> Iterator[Object]:
        known = depths(proof)
        for number, (step, nesting) in enumerate(zip(proof, known.levels, strict=True), 1):
            held = f" (held: {', '.join(step.held)})" if step.held else ""
            text = f"{number}. {step.kind} in {step.function}: {source(step)}{held}"
            yield {
                "location": self._step_location(step, text),
                "kinds": list(KINDS.get(step.kind, (step.kind,))),
                "nestingLevel": nesting,
                **({"executionOrder": number} if known.one_way else {}),
            }

    def _step_location(self, step: Step, text: str) -> Object:
        return {**self._location(step.file, step.line, None, step.function), "message": {"text": message(text)}}

    def _location(self, file: str, line: int, column: int | None, function: str) -> Object:
        line = max(line, 1)
        region: Object = {"startLine": line, **({"startColumn": max(column, 1)} if column is not None else {}), "endLine": line}
        return {
            "physicalLocation": {"artifactLocation": self._artifact(file), "region": region},
            **({"logicalLocations": [{"name": safe(function), "kind": "function"}]} if function else {}),
        }

    def _artifact(self, file: str) -> Object:
        return {"uri": uri(self._inside + file), "uriBaseId": ROOT}


def source(step: Step) -> str:
    """The source text of a step, without the brace that opens a block behind it."""
    return step.text.rstrip().removesuffix("{").rstrip()


def message(text: str) -> str:
    """Plain text of a message: braces doubled, since ``{0}`` is a placeholder; ``[a](b)`` broken up, since it is a link."""
    plain = clip(safe(text), MAX_TEXT)
    return plain.replace("{", "{{").replace("}", "}}").replace("](", "] (")


def safe_line(line: str) -> str:
    """A line of a diff: its tabs stay."""
    return "\t".join(map(safe, line.split("\t")))


def uri(path: str) -> str:
    """A relative URI reference of a path, byte by byte; ``:`` too, so that no folder looks like a scheme."""
    # A half of a surrogate pair stands for no byte of any name.
    whole = re.sub("[\ud800-\udc7f\udd00-\udfff]", "\ufffd", path)
    return quote(whole.encode("utf-8", "surrogateescape"), safe="/")

