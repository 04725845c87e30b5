"""A finding is an argument: the rule, the place, the sentence, and the proof.

A check yields data; text with line numbers in it is made by the writers in ``report/``.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal

import msgspec

Severity = Literal["error", "warning", "note"]
Confidence = Literal["high", "medium", "low"]
StepKind = Literal["call", "acquire", "release", "access", "alloc", "sleep", "wait", "register", "return"]

CONFIDENCES: tuple[Confidence, ...] = ("low", "medium", "high")
"""From the weakest to the strongest, so that an index compares them."""


def at_least(confidence: Confidence, floor: Confidence) -> bool:
    """Whether ``confidence`` is ``floor`` or stronger."""
    return CONFIDENCES.index(confidence) >= CONFIDENCES.index(floor)


class Step(msgspec.Struct, frozen=True):
    """One step of a proof. ``held``: lock classes, a shared hold written ``CLASS (shared)``."""

    kind: StepKind
    file: str
    line: int
    function: str
    text: str
    held: tuple[str, ...] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One hazard at one place.

    :ivar line: 1-based. :ivar column: 1-based.
    :ivar message: one sentence, without line numbers.
    :ivar involves: shared objects and lock classes, sorted.
    :ivar fix: a unified diff that ``git apply`` takes, or None.
    :ivar event: normalised text of the event, for the fingerprint only.
    :ivar prevented_by: of a note, the lock class that prevents the hazard today, as ``involves`` names it; no shared object.
    """

    rule: str
    severity: Severity
    confidence: Confidence
    file: str
    line: int
    column: int
    function: str
    message: str
    involves: tuple[str, ...]
    proof: tuple[Step, ...]
    event: str
    fix: str | None = None
    prevented_by: str = ""
    fingerprint: str = ""

    @property
    def objects(self) -> tuple[str, ...]:
        """What is involved, without the lock that prevents the hazard today: another lock makes no other hazard."""
        return tuple(name for name in self.involves if name != self.prevented_by)


def fingerprint(rule: str, file: str, function: str, event: str, objects: tuple[str, ...], ordinal: int) -> str:
    """16 hex digits that survive line moves: no line, call path, held lock, severity or confidence goes in."""
    text = "\0".join((rule, file, function, re.sub(r"\s+", " ", event).strip(), *sorted(objects), str(ordinal)))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def with_fingerprints(findings: list[Finding]) -> list[Finding]:
    """The findings sorted by place and rule, each with its fingerprint; equals are told apart by an ordinal."""
    ordered = sorted(findings, key=lambda f: (f.file, f.line, f.column, f.rule, f.event, f.involves))
    seen: dict[tuple[str, str, str, str, tuple[str, ...]], int] = {}
    result = []
    for f in ordered:
        key = (f.rule, f.file, f.function, f.event, f.objects)
        ordinal = seen.get(key, 0)
        seen[key] = ordinal + 1
        print_ = fingerprint(f.rule, f.file, f.function, f.event, f.objects, ordinal)
        result.append(msgspec.structs.replace(f, fingerprint=print_))
    return result
