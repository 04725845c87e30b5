"""The ``#if`` condition over each line, as normalised text."""

from __future__ import annotations

import re
from bisect import bisect_right

from reviewer.parse import lexical
from reviewer.parse.lexical import Split

DIRECTIVE = re.compile(rb"\s*#\s*(\w+)(.*)", re.S)
COMMENT = re.compile(rb"/\*.*?\*/|//[^\n]*", re.S)
GUARD = re.compile(rb"\s*+(?:(?>/\*.*?\*/)\s*+)*+#[ \t]*define[ \t]+(\w+)[ \t\r]*(?=\n|\Z|/)", re.S)
MAX_TEXT = 300
"""Characters of one condition that are kept."""


class Conditions:
    """Conditions by byte offset of one text. Include guards do not count."""

    def __init__(self, of: Split | bytes) -> None:
        split = of if isinstance(of, Split) else lexical.split(of)
        self.offsets: list[int] = [0]
        self.texts: list[str] = [""]
        text = split.text
        stack: list[tuple[str, str, str]] = []  # (this arm, arms before it negated, what stands over the group)
        for line in split.groups:
            m = DIRECTIVE.match(text, line.start, line.end)
            if m is None:
                continue
            kind, rest = m[1], m[2]
            if b"/" in rest:
                rest = COMMENT.sub(b" ", rest)
            if b"\\" in rest:
                rest = rest.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
            condition = " ".join(rest.decode("utf-8", "replace").split())
            if kind in (b"ifdef", b"ifndef"):
                word = f"defined({condition.split(' ')[0]})" if condition else "1"
                arm = word if kind == b"ifdef" else f"!{word}"
                if kind == b"ifndef" and is_guard(text, line.end, condition):
                    arm = ""
                stack.append((arm, negated(arm), self.texts[-1]))
            elif kind == b"if":
                stack.append((condition[:MAX_TEXT], negated(condition)[:MAX_TEXT], self.texts[-1]))
            elif kind == b"elif" and stack:
                _, before, outer = stack[-1]
                stack[-1] = (
                    both(before, condition)[:MAX_TEXT], both(before, negated(condition))[:MAX_TEXT], outer
                )  # fmt: skip
            elif kind == b"else" and stack:
                _, before, outer = stack[-1]
                stack[-1] = (before, before, outer)
            elif kind == b"endif" and stack:
                outer = stack.pop()[2]
                self.offsets.append(line.end)
                self.texts.append(outer)
                continue
            if stack:
                arm, _, outer = stack[-1]
                self.offsets.append(line.end)
                self.texts.append(both(outer, arm)[:MAX_TEXT])

    def at(self, offset: int) -> str:
        """The condition under which the byte at ``offset`` stands, "" for none."""
        return self.texts[bisect_right(self.offsets, offset) - 1] if len(self.texts) > 1 else ""


def is_guard(text: bytes, at: int, name: str) -> bool:
    """Whether ``#ifndef NAME`` is followed at once by ``#define NAME``: an include guard."""
    m = GUARD.match(text, at)
    return m is not None and m[1].decode("ascii", "replace") == name.split(" ")[0]


def both(a: str, b: str) -> str:
    return f"{a} && {b}" if a and b else a or b


def negated(condition: str) -> str:
    if not condition:
        return ""
    if condition.startswith("!defined(") and condition.endswith(")") and condition.count("(") == 1:
        return condition[1:]
    if re.fullmatch(r"\w+\([\w, ]*\)|\w+", condition):
        return f"!{condition}"
    return f"!({condition})"
