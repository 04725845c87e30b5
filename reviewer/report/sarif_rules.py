"""Rules as SARIF tells them: what a code host shows beside an alert."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reviewer.report.explain import Rule
from reviewer.report.json_v1 import Object
from reviewer.report.plain import clip, safe

MAX_DESCRIPTION = 1024
"""Characters that GitHub takes of a rule's title and of what it is."""

TAGS = ("concurrency", "linux-kernel")
"""Of every rule, with its family. GitHub takes 20 tags and shows 10."""


def descriptor(rule: Rule) -> Object:
    """A ``reportingDescriptor``."""
    properties: Object = {"tags": list(dict.fromkeys((*TAGS, safe(rule.family)))), "problem.severity": rule.severity}
    precision = best_confidence(rule.confidence)
    if precision:
        properties["precision"] = precision
    return {
        "id": rule.id,
        "name": rule.id,
        "shortDescription": {"text": clip(one_line(rule.title) or rule.id, MAX_DESCRIPTION)},
        "fullDescription": {"text": clip(one_line(rule.what) or rule.id, MAX_DESCRIPTION)},
        "help": {"text": help_text(rule) or rule.id, "markdown": help_markdown(rule) or rule.id},
        "defaultConfiguration": {"level": rule.severity},
        "properties": properties,
    }


def best_confidence(text: str) -> str:
    """What the rule's own words say first of its confidence ("High if ..."): that of a proof without any doubt.

    Empty if they do not begin with it.
    """
    found = re.match(r"(high|medium|low)\b", text.strip(), re.IGNORECASE)
    return found[1].lower() if found else ""


def help_text(rule: Rule) -> str:
    return "\n\n".join(f"{label}: {lines(text)}" for label, text in _sections(rule))


def help_markdown(rule: Rule) -> str:
    return "\n\n".join(f"**{label}.** {markdown(lines(text))}" for label, text in _sections(rule))


def _sections(rule: Rule) -> Sequence[tuple[str, str]]:
    told = (
        ("What it reports", rule.what),
        ("Why it matters", rule.why),
        ("How to mend it", rule.mend),
        ("Confidence", rule.confidence),
        ("Source", rule.source),
    )
    return [(label, text) for label, text in told if text.strip()]


def one_line(text: str) -> str:
    return safe(text.strip())


def lines(text: str) -> str:
    """``text`` as it stands, line by line, with nothing in it that a terminal would obey."""
    return "\n".join(safe(line).rstrip() for line in text.strip().split("\n"))


def markdown(text: str) -> str:
    """``text`` as Markdown that shows just that: ``*freed`` and ``__GFP_NORETRY`` are no emphasis."""
    return re.sub(r"([\\`*_\[\]<>#|~])", r"\\\1", text)
