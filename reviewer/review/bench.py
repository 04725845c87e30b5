"""What a review finds of known bugs, and what it says of harmless patches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from reviewer.checks.finding import Finding, at_least
from reviewer.checks.registry import Rule
from reviewer.review.cases import Case, spellings
from reviewer.review.result import Reviewed

CATEGORY, SCOPE, CONFIDENCE = "category", "scope", "confidence"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one case.

    :ivar found: a rule of the case's category has seen the bug where it is. :ivar near: introduced findings in that function or
        with it in their proof, of any rule; :ivar others: introduced findings elsewhere. Of a harmless patch all are ``others``.
    :ivar failed: why there is no answer, "" where there is one. :ivar seconds: of wall time.
    """

    case: Case
    found: bool
    near: tuple[Finding, ...]
    others: tuple[Finding, ...]
    seconds: float
    failed: str = ""


class Count(msgspec.Struct):
    found: int = 0
    of: int = 0


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Of all cases. ``groups``: for each category, scope and confidence; ``wrong``: harmless patches with a finding or without
    an answer; ``others``: other introduced findings of the bugs; ``median``: seconds of a case."""

    bugs: Count
    harmless: int
    wrong: int
    others: int
    failed: int
    median: float
    groups: Mapping[str, Mapping[str, Count]]


def judge(case: Case, findings: Iterable[Reviewed], rules: Iterable[Rule], seconds: float) -> Verdict:
    """Hold the findings of a review against what is known of the case."""
    sure = [
        r.finding for r in findings
        if r.status == "introduced" and r.finding.severity != "note" and at_least(r.finding.confidence, "medium")
    ]  # fmt: skip
    answering = {rule.id for rule in rules if case.category in rule.answers}
    names = frozenset(spellings(case.function)) if case.function else frozenset()
    near = [f for f in sure if not names.isdisjoint((f.function, *(s.function for s in f.proof)))]
    return Verdict(
        case=case, found=any(f.rule in answering for f in near), near=tuple(near),
        others=tuple(f for f in sure if f not in near), seconds=round(seconds, 2),
    )  # fmt: skip


def failed(case: Case, why: str, seconds: float) -> Verdict:
    """A case without an answer."""
    return Verdict(case=case, found=False, near=(), others=(), seconds=round(seconds, 2), failed=why)


def summary(verdicts: Sequence[Verdict]) -> Summary:
    bugs = [v for v in verdicts if v.case.category]
    harmless = [v for v in verdicts if not v.case.category]
    groups: dict[str, dict[str, Count]] = {CATEGORY: {}, SCOPE: {}, CONFIDENCE: {}}
    total = Count()
    for v in bugs:
        for kind, name in ((CATEGORY, v.case.category), (SCOPE, v.case.scope), (CONFIDENCE, v.case.confidence)):
            for count in [groups[kind].setdefault(name, Count())] if name else []:
                count.of += 1
                count.found += v.found
        total.of += 1
        total.found += v.found
    seconds = sorted(v.seconds for v in verdicts)
    return Summary(
        bugs=total, harmless=len(harmless), wrong=sum(bool(v.others or v.failed) for v in harmless),
        others=sum(len(v.others) for v in bugs), failed=sum(bool(v.failed) for v in verdicts),
        median=seconds[len(seconds) // 2] if seconds else 0.0,
        groups={kind: dict(sorted(counts.items())) for kind, counts in groups.items()},
    )  # fmt: skip
