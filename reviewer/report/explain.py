"""A rule, or a finding with its rule, explained at length."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Protocol

from reviewer.report.json_v1 import Object
from reviewer.report.paint import Paint
from reviewer.report.plain import safe
from reviewer.report.saved import SavedFinding
from reviewer.report.text import finding_lines

WIDTH = 96


class Rule(Protocol):
    """What is shown of a rule; ``mend`` says how to fix what it finds."""

    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def why(self) -> str: ...
    @property
    def mend(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def confidence(self) -> str: ...


def rule_text(rule: Rule, paint: Paint) -> str:
    """What the rule reports, why it matters, how to mend it, where that is known from."""
    return "\n".join(_rule_lines(rule, paint)) + "\n"


def _rule_lines(rule: Rule, paint: Paint) -> Iterator[str]:
    yield f"{paint(rule.id, 'bold')}: {safe(rule.title)} [{rule.severity}]"
    for label, text in (
        ("What it reports", rule.what),
        ("Why it matters", rule.why),
        ("How to mend it", rule.mend),
        ("Confidence", rule.confidence),
        ("Source", rule.source),
    ):
        if text:
            yield ""
            yield paint(label, "bold")
            yield from paragraphs(text)


def paragraphs(text: str) -> Iterator[str]:
    """``text`` wrapped and indented; blank lines and lines that are indented already stay as they are."""
    block: list[str] = []

    def wrapped() -> Iterator[str]:
        if block:
            yield from textwrap.wrap(" ".join(block), WIDTH, initial_indent="  ", subsequent_indent="  ")
            block.clear()

    for line in text.rstrip().split("\n"):
        if line.strip() and not line.startswith((" ", "\t")):
            block.append(safe(line))
            continue
        yield from wrapped()
        stripped = line.strip()
        yield f"  {' ' * (len(line) - len(line.lstrip()))}{safe(stripped)}" if stripped else ""
    yield from wrapped()


def rule_object(rule: Rule) -> Object:
    return {
        "id": rule.id,
        "title": rule.title,
        "severity": rule.severity,
        "confidence": rule.confidence,
        "what": rule.what,
        "why": rule.why,
        "mend": rule.mend,
        "source": rule.source,
    }


def finding_text(saved: SavedFinding, rule: Rule | None, paint: Paint) -> str:
    """The finding with its proof, then its rule (None: the rule is no longer there)."""
    at = f" at {saved.rev}" if saved.rev else ""
    lines = [
        *finding_lines(saved.finding, paint),
        "",
        f"fingerprint {saved.finding.fingerprint}, found in {safe(saved.tree_path)}{at}",
    ]
    return "\n".join(lines) + "\n" + (f"\n{rule_text(rule, paint)}" if rule is not None else "")
