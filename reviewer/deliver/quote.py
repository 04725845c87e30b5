"""The lines of a patch as it was mailed under which a remark belongs, and how they are quoted."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reviewer.checks.finding import Finding
from reviewer.report.plain import visible
from reviewer.review.result import Cause, Reviewed
from reviewer.source.patch import FileChange, Hunk, Patch

SNIP = "[ ... ]"
"""A line of its own for what is left out of a quote, as b4 and readers of kernel lists know it."""

LEAD = 40
"""Lines of a hunk that are quoted above a remark. All of a usual hunk: b4 counts lines from the ``@@`` on."""

KEPT = 12
"""Lines above a remark that stay where there are more than ``LEAD``."""

_WORD = re.compile(r"[A-Za-z_]\w*")
_NEAR = 3
_TRIED = 100
"""Lines of a cause that are looked for in a patch, from the one that is wanted outwards."""

_MOST = 500
"""Equal lines of one patch that are looked at as the place of a remark."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line of a mailed patch, by the positions of its file, hunk and line in it."""

    file: int
    hunk: int
    line: int


def place_of(patch: Patch, reviewed: Reviewed) -> Place | None:
    """The line that brings a finding; None where the mailed patch has nothing like the hunk that does.

    The cause is a hunk of a fresh diff, which may stand elsewhere, be cut otherwise and have another context than the one
    that was mailed: what the lines say decides, then what stands around them.
    """
    cause = reviewed.cause
    if cause is None:
        return None
    wanted = anchor(reviewed.finding, cause)
    for index in sorted(range(len(cause.text)), key=lambda n: (abs(n - wanted), n < wanted))[:_TRIED]:
        if not cause.text[index][1:].strip() and index != wanted:
            continue
        found = _similar(patch, cause, index, True) or _similar(patch, cause, index, False)
        if found is not None:
            return found
    return None


def anchor(finding: Finding, cause: Cause) -> int:
    """Which line of the cause a remark belongs to: the finding's own; else the last step of its proof in the hunk, a changed
    line before others; else the last changed line that names something of the finding; else the last that is changed."""
    numbers = {number: index for index, number in enumerate(_new_lines(cause)) if number}
    if cause.inside and finding.file == cause.file and finding.line in numbers:
        return numbers[finding.line]
    steps = [numbers[s.line] for s in finding.proof if s.file == cause.file and s.line in numbers]
    added = [index for index in steps if cause.text[index].startswith("+")]
    if added or steps:
        return max(added or steps)
    changed = [n for n, line in enumerate(cause.text) if line[:1] in ("+", "-") and _WORD.search(line[1:])]
    held = {h.removesuffix(" (shared)") for s in finding.proof for h in s.held}
    for texts in ({*finding.involves, *held}, {finding.function, *(s.function for s in finding.proof)}):
        words = {word for text in texts for word in _WORD.findall(text.rpartition(":")[2].rpartition(".")[2])}
        named = [n for n in changed if not words.isdisjoint(_WORD.findall(cause.text[n]))]
        if named:
            return named[-1]
    return changed[-1] if changed else len(cause.text) - 1


def _new_lines(cause: Cause) -> Iterator[int]:
    """Of each line its number after the patch, 0 for one that is gone."""
    number = cause.line
    for line in cause.text:
        if line.startswith("-"):
            yield 0
        else:
            yield number
            number += 1


def _similar(patch: Patch, cause: Cause, index: int, exact: bool) -> Place | None:
    """The mailed line that is like the cause's, with the most equal lines around it, and the nearest to its number."""
    text = cause.text if exact else [line[1:] for line in cause.text]
    best: tuple[int, int, int] | None = None
    chosen: Place | None = None
    looked = 0
    for n, change in enumerate(patch.files):
        if cause.file not in (change.new_path, change.old_path):
            continue
        for m, hunk in enumerate(change.hunks):
            lines = [line if exact else line[1:] for line in map(content, hunk.lines)]
            for k, line in enumerate(lines):
                if line != text[index] or looked > _MOST:
                    continue
                looked += 1
                around = sum(
                    0 <= k + d < len(lines) and 0 <= index + d < len(text) and lines[k + d] == text[index + d]
                    for d in range(-_NEAR, _NEAR + 1)
                )
                key = (around, -abs(hunk.new_start + k - cause.line - index), -looked)
                if best is None or key > best:
                    best, chosen = key, Place(n, m, k)
    return chosen


def content(line: bytes) -> str:
    """A line of a hunk as a cause has it."""
    return line.rstrip(b"\r\n").decode("utf-8", "replace")


def settled(places: Iterable[Place]) -> Place:
    """The one line for remarks that belong to the same hunk: that of most of them, the last of several."""
    counts = Counter(places)
    return max(counts, key=lambda place: (counts[place], place))


# Text


def quoted(patch: Patch, remarks: Mapping[Place, Sequence[str]]) -> list[str]:
    """The hunks with remarks, each line behind ``> `` and otherwise as it was mailed, each remark under its line.

    :param remarks: not empty; lines of each, without quoting.
    """
    lines: list[str] = []
    hunks: dict[tuple[int, int], list[Place]] = {}
    for place in sorted(remarks):
        hunks.setdefault((place.file, place.hunk), []).append(place)
    cut = False
    before: tuple[int, int] | None = None
    for (file, number), places in hunks.items():
        change = patch.files[file]
        if cut:
            lines += ["", SNIP]
        if before is None or before[0] != file:
            lines += [f"> {line}" for line in file_header(change)]
            if number:
                lines.append(SNIP)
        elif number > before[1] + 1 and not cut:
            lines.append(SNIP)
        hunk = change.hunks[number]
        lines.append(f"> {text_of(hunk.header)}")
        lines += _hunk_lines(hunk, places, remarks)
        cut = places[-1].line + 1 < len(hunk.lines)
        before = (file, number)
    return lines


def _hunk_lines(hunk: Hunk, places: Sequence[Place], remarks: Mapping[Place, Sequence[str]]) -> Iterator[str]:
    start = 0
    for place in places:
        if place.line - start >= LEAD:
            start = place.line - KEPT
            yield SNIP
        yield from (f"> {text_of(line)}" for line in hunk.lines[start : place.line + 1])
        yield ""
        yield from remarks[place]
        start = place.line + 1
        if place is not places[-1]:
            yield ""


def text_of(line: bytes) -> str:
    """A line of the patch for a mail in UTF-8. Most patches are; in others each byte is taken for a letter of Latin 1."""
    line = line.rstrip(b"\r\n")
    try:
        return visible(line.decode("utf-8"))
    except UnicodeDecodeError:
        return visible(line.decode("latin-1"))


def file_header(change: FileChange) -> Iterator[str]:
    """The lines that say which file is changed, as git writes them."""
    old, new = change.old_path, change.new_path
    if change.old_blob or change.new_blob or change.old_mode or change.new_mode or change.operation != "modify":
        path = change.path
        yield f"diff --git {_name('a/', old or path)} {_name('b/', new or path)}"
    yield f"--- {_name('a/', old) if old is not None else '/dev/null'}"
    yield f"+++ {_name('b/', new) if new is not None else '/dev/null'}"


def _name(prefix: str, path: str) -> str:
    """A name as git shows it: in quotes, with octal escapes, where it has something else than printable ASCII in it."""
    raw = os.fsencode(prefix + path)
    if not re.search(rb'[\x00-\x1f\x7f-\xff"\\]', raw):
        return raw.decode("ascii")
    return '"' + re.sub(rb'[\x00-\x1f\x7f-\xff"\\]', lambda odd: b"\\%03o" % ord(odd[0]), raw).decode("ascii") + '"'
