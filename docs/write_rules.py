#!/usr/bin/env python3
"""Writes the rules' part of docs/rules.md from rules/*.yaml; what stands around it is kept.

    python docs/write_rules.py            write
    python docs/write_rules.py --check    exit with 1 if it is not current
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from reviewer.checks.registry import Rule, all_rules

MANUAL = Path(__file__).resolve().parent / "rules.md"
BEGIN, END = "<!-- written by docs/write_rules.py from rules/*.yaml -->\n", "<!-- end of what is written -->\n"
WIDTH = 116


def section(rule: Rule) -> Iterator[str]:
    yield f"### `{rule.id}`"
    yield ""
    yield from textwrap.wrap(f"{rule.title[0].upper()}{rule.title[1:]}. *{rule.severity}*", WIDTH)
    parts = {
        "What it reports": rule.what, "Why it matters": rule.why, "How to mend it": rule.mend,
        "Confidence": rule.confidence, "Source": rule.source,
    }  # fmt: skip
    for label, text in parts.items():
        yield ""
        # Names such as *freed and __GFP_NORETRY are no emphasis.
        words = re.sub(r"(?<!\w)__|[*<]", lambda m: "".join(f"\\{c}" for c in m[0]), text)
        yield from textwrap.wrap(f"**{label}.** {words}", WIDTH, break_on_hyphens=False, break_long_words=False)
    yield ""


def written(rules: Iterable[Rule]) -> str:
    """The sections of all rules."""
    return "\n".join(line for rule in rules for line in section(rule))


def manual(text: str, rules: Iterable[Rule]) -> str:
    """``text`` with its written part made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{written(rules)}\n{END}{after}"


def main(arguments: list[str]) -> int:
    old = MANUAL.read_text()
    new = manual(old, all_rules())
    if arguments == ["--check"]:
        if old != new:
            sys.stderr.write("docs/rules.md is not current; run docs/write_rules.py\n")
        return int(old != new)
    MANUAL.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
