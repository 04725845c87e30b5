"""Marks in C comments that say what the rules should find in a tree, and their comparison with findings.

A mark stands on the line that it is about::

    atomic_set(&n, 1);	/* expect: unguarded-counter-reset note high "oom_lock" */
    atomic_inc(&n);	/* quiet: unguarded-counter-reset - indivisible by itself */
    n = 0;		/* miss: unguarded-counter-reset - the other writer is assembly */
    n = 0;		/* also: callback-not-concurrent - the same state seen by another rule */

``expect`` wants one finding of the rule: of this severity (none given: error or warning), this confidence
(``medium+``: or a higher one) and with this text in its message. ``quiet`` names the idiom that the rule must
not take for the real thing, ``miss`` a known gap, and ``also`` lets the rule speak there without obliging it.
A line without a mark must draw no finding of any rule, so every fixture is a false-alarm test too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from reviewer.checks.finding import CONFIDENCES, Confidence, Finding, Severity, at_least
from reviewer.errors import InputError

Kind = Literal["expect", "quiet", "miss", "also"]
ProblemKind = Literal["missing", "unexpected", "fired on quiet", "found a known miss"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One mark.

    :ivar file: relative to the fixture tree, with ``/``. :ivar line: 1-based, where the comment begins.
    :ivar text: of ``expect`` the part of the message, else the reason.
    :ivar severity: None for ``error`` or ``warning``; only of ``expect``, as are the next two.
    :ivar exact: whether a higher confidence than :attr:`confidence` is wrong too.
    """

    file: str
    line: int
    kind: Kind
    rule: str
    text: str
    severity: Severity | None = None
    confidence: Confidence = "low"
    exact: bool = True

    def fits(self, finding: Finding) -> bool:
        """Whether the finding, which is of this rule and place, is the expected one."""
        return not self.differs(finding)

    def differs(self, finding: Finding) -> str:
        """What is wrong with the finding, in words; empty if nothing is."""
        wrong = []
        if finding.severity != self.severity and (self.severity or finding.severity == "note"):
            wrong.append(f"severity {finding.severity} instead of {self.severity or 'error or warning'}")
        if finding.confidence != self.confidence and (
            self.exact or not at_least(finding.confidence, self.confidence)
        ):
            plus = "" if self.exact else " or higher"
            wrong.append(f"confidence {finding.confidence} instead of {self.confidence}{plus}")
        if self.text not in finding.message:
            wrong.append(f'message "{finding.message}" without "{self.text}"')
        return ", ".join(wrong)


class Problem(msgspec.Struct, frozen=True):
    """A difference between the marks and the findings of a tree."""

    kind: ProblemKind
    file: str
    line: int
    rule: str
    detail: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind}: {self.rule}: {self.detail}"


# --- reading --------------------------------------------------------------------------------------

_COMMENT = re.compile(
    r"""(?P<comment>/\*.*?(?:\*/|\Z)|//[^\n]*)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL
)
_LIKE_A_MARK = re.compile(
    r"(?:/\*+|//)\s*(?P<kind>(?:expect|quiet|miss|also)\w*)\s*:(?P<rest>.*)\Z", re.DOTALL
)
_RULE = r"(?P<rule>[a-z][a-z0-9]*(?:-[a-z0-9]+)+)"
_EXPECT = re.compile(
    _RULE + r"(?:\s+(?P<severity>error|warning|note))?\s+(?P<confidence>high|medium|low)(?P<plus>\+?)"
    r'\s+"(?P<text>[^"]+)"\Z'
)
_REASON = re.compile(_RULE + r"\s+-\s+(?P<text>\S.*)\Z")


def marks(tree_dir: Path) -> list[Mark]:
    """The marks of every ``.c`` and ``.h`` file below ``tree_dir``, sorted by place.

    :raises InputError: there is no such folder, or a comment looks like a mark and is none
    """
    if not tree_dir.is_dir():
        raise InputError(f"{tree_dir} is not a folder", "name a fixture tree, such as fixtures/oom")
    found: list[Mark] = []
    for path in sorted(p for p in tree_dir.rglob("*.[ch]") if p.is_file()):
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        found += marks_in(text, path.relative_to(tree_dir).as_posix())
    return found


def marks_in(text: str, file: str) -> list[Mark]:
    """The marks of one file's text, in order.

    :raises InputError: a comment looks like a mark and is none; names ``file`` and the line
    """
    result = []
    for match in _COMMENT.finditer(text):
        comment = match["comment"]
        if comment and (like := _LIKE_A_MARK.match(comment)):
            line = text.count("\n", 0, match.start()) + 1
            result.append(_mark(like["kind"], like["rest"], file, line))
    return result


def _mark(kind: str, rest: str, file: str, line: int) -> Mark:
    words = re.sub(r"\s*\n[\s*]*", " ", rest.removesuffix("*/")).strip()
    match kind:
        case "expect":
            if m := _EXPECT.match(words):
                return Mark(
                    file=file, line=line, kind="expect", rule=m["rule"], text=m["text"],
                    severity=next((s for s in SEVERITIES if s == m["severity"]), None),
                    confidence=next(c for c in CONFIDENCES if c == m["confidence"]), exact=not m["plus"],
                )  # fmt: skip
            mend = 'write expect: RULE [error|warning|note] high|medium|low[+] "part of the message"'
        case "quiet" | "miss" | "also":
            if m := _REASON.match(words):
                return Mark(file=file, line=line, kind=kind, rule=m["rule"], text=m["text"])
            mend = f"write {kind}: RULE - why"
        case _:
            mend = "the marks are expect, quiet, miss and also"
    raise InputError(f"{file}:{line}: cannot read the mark '{kind}: {words}'", mend)


def trees(root: Path) -> list[Path]:
    """The fixture trees below ``root``, one per folder that holds a marked tree, sorted.

    A rule's fixtures are ``root/RULE``; any other folder (``root/oom``) is a tree for several rules.
    """
    return sorted(p for p in root.iterdir() if p.is_dir() and any(p.rglob("*.c"))) if root.is_dir() else []


# --- comparing ------------------------------------------------------------------------------------


def compare(marks: Sequence[Mark], findings: Iterable[Finding]) -> list[Problem]:
    """What does not agree, sorted by place. Empty: the rules say what the tree wants them to say.

    Each ``expect`` takes one finding, so two findings of one rule on a line need two marks.
    """
    found: dict[tuple[str, int, str], list[Finding]] = {}
    for finding in findings:
        found.setdefault((finding.file, finding.line, finding.rule), []).append(finding)
    marked: dict[tuple[str, int, str], list[Mark]] = {}
    for mark in marks:
        marked.setdefault((mark.file, mark.line, mark.rule), []).append(mark)
    problems: list[Problem] = []
    for place in found.keys() | marked.keys():
        problems += _at_one_place(marked.get(place, []), found.get(place, []))
    return sorted(problems, key=lambda p: (p.file, p.line, p.rule, p.kind, p.detail))


def _at_one_place(marks: list[Mark], findings: list[Finding]) -> list[Problem]:
    expected = [m for m in marks if m.kind == "expect"]
    taken = _assign(expected, findings)
    left = [f for i, f in enumerate(findings) if i not in taken.values()]
    problems: list[Problem] = []
    for number, mark in enumerate(expected):
        if number in taken:
            continue
        # A finding that is there but not as it should be: one problem, not a missing and an unexpected one.
        detail = mark.differs(left.pop(0)) if left else f'no finding with "{mark.text}"'
        problems.append(Problem("missing", mark.file, mark.line, mark.rule, detail))
    others = {m.kind: m for m in marks if m.kind != "expect"}
    for finding in left:
        if mark_ := others.get("miss"):
            kind: ProblemKind = "found a known miss"
            detail = f"make it an expect mark: {finding.message} (was a gap: {mark_.text})"
        elif mark_ := others.get("quiet"):
            kind, detail = "fired on quiet", f"{finding.message} (should be silent: {mark_.text})"
        elif "also" in others:
            continue
        else:
            kind, detail = "unexpected", f"{finding.severity}, {finding.confidence}: {finding.message}"
        problems.append(Problem(kind, finding.file, finding.line, finding.rule, detail))
    return problems


def _assign(expected: list[Mark], findings: list[Finding]) -> dict[int, int]:
    """Mark number to finding number, as many as can be had (augmenting paths: a mark may fit several)."""
    owner: dict[int, int] = {}

    def place(mark: int, tried: set[int]) -> bool:
        for number, finding in enumerate(findings):
            if number in tried or not expected[mark].fits(finding):
                continue
            tried.add(number)
            if number not in owner or place(owner[number], tried):
                owner[number] = mark
                return True
        return False

    for mark in range(len(expected)):
        place(mark, set())
    return {mark: finding for finding, mark in owner.items()}
