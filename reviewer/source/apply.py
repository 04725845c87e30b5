"""The hunks of a patch onto a text, as ``git apply`` would: whole or not at all.

Where the two differ from GNU patch, this is git: no fuzz, a hunk that began at line 1 must stand at the beginning, one
without context below must end the file, lines that an earlier hunk of the same file produced match no more, and the
search starts at the line that the *new* side of the header names (source: ``find_pos`` and ``match_fragment`` in
git's apply.c). White space and line ends must be equal: a patch with LF does not fit a file with CR LF.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reviewer.errors import InputError
from reviewer.source.patch import FileChange, Hunk

_SHOWN = 60
"""Characters of a source line in a message."""


class DoesNotApply(InputError):
    """A patch does not fit the tree (exit 2); one line says what stood there instead.

    :ivar origin: the patch's file. :ivar line: 1-based line of the hunk (or of the file's part) in it.
    :ivar path: the file in the tree. :ivar hunk: the hunk's ``@@`` line without its section, "" where it is no hunk's
        fault.
    """

    def __init__(self, origin: str, line: int, path: str, why: str, hunk: str = "", mend: str = "try an older --base") -> None:
        place = f"{origin}:{line}" if line else origin
        what = f"hunk {hunk} does not apply to {shown(path)}: {why}" if hunk else why
        super().__init__(f"{place}: {what}", mend)
        self.origin, self.line, self.path, self.hunk, self.why = origin, line, path, hunk, why


@dataclass(frozen=True, slots=True)
class Placed:
    """A text after its hunks.

    :ivar offsets: of each hunk, how many lines below the expected place it stood.
    """

    content: bytes
    offsets: tuple[int, ...]


def apply_hunks(old: bytes, change: FileChange, origin: str = "") -> bytes:
    """The content after the hunks of ``change``.

    :param old: the content before (of a submodule: ``Subproject commit ID`` and a newline).
    :param origin: file of the patch, for the error.
    :raises DoesNotApply: a hunk does not fit
    """
    return place_hunks(old, change, origin).content


def place_hunks(old: bytes, change: FileChange, origin: str = "") -> Placed:
    """Like ``apply_hunks``, and where each hunk stood.

    :raises DoesNotApply: a hunk does not fit
    """
    lines = split_lines(old)
    made = bytearray(len(lines))  # 1: this line comes from a hunk and may not match again
    offsets = []
    for hunk in change.hunks:
        before, after = _sides(hunk)
        expected = hunk.new_start - 1 if hunk.new_start else 0
        beginning = hunk.old_start <= 1
        end = hunk.lines[-1][:1] not in (b" ", b"\n") if hunk.lines else True
        place = _find(lines, made, before, expected, beginning, end)
        if place is None:
            why = _why(lines, made, before, expected, beginning, end)
            raise DoesNotApply(origin, hunk.line, change.old_path or change.path, why, _header(hunk))
        lines[place : place + len(before)] = after
        made[place : place + len(before)] = b"\1" * len(after)
        offsets.append(place - expected)
    return Placed(b"".join(lines), tuple(offsets))


def split_lines(text: bytes) -> list[bytes]:
    """Lines with their LF; a CR or form feed ends none."""
    *whole, rest = text.split(b"\n")
    lines = [line + b"\n" for line in whole]
    return [*lines, rest] if rest else lines


def shown(text: str | bytes) -> str:
    """Text of a patch or a file in a message: nothing in it that a terminal would obey."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def _sides(hunk: Hunk) -> tuple[list[bytes], list[bytes]]:
    """Lines before and after."""
    before, after = [], []
    for line in hunk.lines:
        mark, text = line[:1], line[1:]
        if mark == b"\n":  # some programs strip the blank of an empty context line
            mark, text = b" ", b"\n"
        if text and mark in b" -":
            before.append(text)
        if text and mark in b" +":
            after.append(text)
    return before, after


def _find(lines: Sequence[bytes], made: bytearray, before: list[bytes], expected: int, beginning: bool, end: bool) -> int | None:
    """0-based line at which the hunk fits, the nearest first; None where it fits nowhere."""
    if beginning:
        expected = 0
    elif end:
        expected = len(lines) - len(before)
    if not 0 <= expected <= len(lines):
        expected = len(lines)
    for place in _outwards(expected, len(lines)):
        if beginning and place:
            continue
        if _fits(lines, made, before, place, end):
            return place
    return None


def _outwards(start: int, last: int) -> Iterator[int]:
    """``start``, then by turns one below and one above it, within 0 and ``last``."""
    yield start
    for distance in range(1, max(start, last - start) + 1):
        if start + distance <= last:
            yield start + distance
        if start - distance >= 0:
            yield start - distance


def _fits(lines: Sequence[bytes], made: bytearray, before: list[bytes], place: int, end: bool) -> bool:
    stop = place + len(before)
    if stop > len(lines) or (end and stop != len(lines)):
        return False
    if not before:
        return True
    if lines[place] != before[0] and len(before) > 1:
        return False
    if any(made[place:stop]) or lines[place : stop - 1] != before[:-1]:
        return False
    there, wanted = lines[stop - 1], before[-1]
    # git compares white space loosely by line and then the bytes of the whole hunk: a last line without a line end
    # also fits one that goes on with white space, unless it must end the file.
    return there == wanted or (not end and there.startswith(wanted) and not there[len(wanted) :].strip(b" \t\r\n"))


def _header(hunk: Hunk) -> str:
    header = hunk.header
    return shown(header[: len(header) - len(hunk.section) - 1] if hunk.section else header)


def _why(lines: Sequence[bytes], made: bytearray, before: list[bytes], expected: int, beginning: bool, end: bool) -> str:
    """What stands at the place that fits best: where most lines are equal, of these the nearest."""
    if not before:
        return f"it adds to an empty file, which has {len(lines)} lines"
    where: dict[bytes, list[int]] = {}
    for number, line in enumerate(lines):
        where.setdefault(line, []).append(number)
    score = Counter(number - index for index, text in enumerate(before) for number in where.get(text, ()))
    likely = [(count, -abs(place - expected), place) for place, count in score.items() if place >= 0]
    place = max(likely)[2] if likely else min(expected, max(len(lines) - len(before), 0))
    for index, text in enumerate(before):
        if place + index >= len(lines):
            return f'the file ends with line {len(lines)} where the patch has "{_brief(text)}"'
        if lines[place + index] != text:
            return f"line {place + index + 1} {_difference(lines[place + index], text)}"
    if any(made[place : place + len(before)]):
        return f"line {place + 1} was already changed by the hunk before it"
    if beginning and place:
        return f"its text stands at line {place + 1}, but it starts at the beginning of a file"
    rest = len(lines) - place - len(before)
    return f"its text stands at line {place + 1}, but has no context below and {rest} more lines follow"


def _difference(there: bytes, wanted: bytes) -> str:
    if there.rstrip(b"\r\n") == wanted.rstrip(b"\r\n"):
        return f"ends in {_line_end(there)} where the patch has {_line_end(wanted)}"
    if there.split() == wanted.split() and there.split():
        return f'is "{_brief(there)}" with other white space than in the patch'
    return f'is "{_brief(there)}" where the patch has "{_brief(wanted)}"'


def _line_end(line: bytes) -> str:
    return (
        "CR LF" if line.endswith(b"\r\n") else "LF" if line.endswith(b"\n") else "CR" if line.endswith(b"\r") else "no line end"
    )


def _brief(line: bytes) -> str:
    text = shown(line.strip().replace(b"\t", b" "))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
