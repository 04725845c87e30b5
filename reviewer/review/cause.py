"""Which hunk of a patch brings a finding, or takes it away."""

from __future__ import annotations

import os
from collections.abc import Iterator

from reviewer.checks.finding import Finding
from reviewer.program.index.change import KEYWORDS, WORD
from reviewer.review.delta import Delta, FileDelta
from reviewer.review.result import Cause
from reviewer.source.patch import Hunk


def cause_of(finding: Finding, delta: Delta) -> Cause | None:
    """The hunk around the finding's own line; else one that a step of its proof lies in; else one that changes a function on
    the proof's way, or something that the proof names. None if no hunk has to do with it.
    """
    own = delta.files.get(finding.file)
    hunk = own.hunk_at(finding.line) if own is not None else None
    if own is not None and hunk is not None and changes_code(hunk):
        return _cause(own, hunk, True, "")
    for file, hunk, why in _indirect(finding, delta):
        return _cause(file, hunk, False, why)
    return None


def _indirect(finding: Finding, delta: Delta) -> Iterator[tuple[FileDelta, Hunk, str]]:
    for s in finding.proof:
        file = delta.files.get(s.file)
        hunk = file.hunk_at(s.line) if file is not None else None
        if file is not None and hunk is not None and changes_code(hunk):
            yield file, hunk, f"{s.function} is on the way" if s.function else ""
    functions = {s.function for s in finding.proof} | {finding.function}
    for file in delta.files.values():
        for name in functions & file.functions:
            for hunk in file.hunks:
                if os.fsencode(name) in hunk.section or any(_names(line, {name}) for line in hunk.lines):
                    yield file, hunk, f"it changes {name}"
    words = {w.decode() for s in finding.proof for w in WORD.findall(os.fsencode(s.text))} | set(finding.involves)
    words -= KEYWORDS
    held = {h.removesuffix(" (shared)").rpartition(":")[2].rpartition(".")[2] for s in finding.proof for h in s.held}
    for wanted in (held, words):
        for file in delta.files.values():
            for hunk in file.hunks:
                found = next((w for line in changed_lines(hunk) if (w := _names(line, wanted))), "")
                if found:
                    yield file, hunk, f"it changes what becomes of {found}"


def changed_lines(hunk: Hunk) -> Iterator[bytes]:
    return (line for line in hunk.lines if line[:1] in (b"+", b"-"))


def changes_code(hunk: Hunk) -> bool:
    """Whether the hunk does more than move blanks."""
    return any(line[1:].strip() for line in changed_lines(hunk))


def _names(line: bytes, words: set[str]) -> str:
    """One of ``words`` that stands in the line, "" if none does."""
    return next((w for m in WORD.findall(line) if (w := m.decode()) in words), "")


def _cause(file: FileDelta, hunk: Hunk, inside: bool, why: str) -> Cause:
    text = tuple(line.rstrip(b"\r\n").decode("utf-8", "replace") for line in hunk.lines)
    return Cause(
        file=file.path, line=hunk.new_start, header=hunk.header.decode("utf-8", "replace"), text=text, inside=inside, why=why
    )
