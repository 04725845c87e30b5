"""The text of a unified or git diff, read to file changes. What git apply accepts and refuses is the measure."""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass, field

from reviewer.errors import InputError
from reviewer.source.patch import FileChange, Hunk, Operation
from reviewer.source.paths import LONGEST, refusal, shown

_HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@ ?(.*)", re.DOTALL)
_MODE = re.compile(rb"[0-7]{3,6}")
_INDEX = re.compile(rb"([0-9a-f]{4,64})\.\.([0-9a-f]{4,64})(?: ([0-7]{3,6}))?")
_SIMILARITY = re.compile(rb"\d{1,3}%")
_BINARY = re.compile(rb"(?:Binary f|F)iles (.+) and (.+) differ")
_SECTION = re.compile(rb"(?:literal|delta) \d{1,19}")
_DATA = re.compile(rb"[A-Za-z](?:[0-9A-Za-z!#$%&()*+;<=>?@^_`{|}~-]{5})+")
"""A line of a binary patch: the number of bytes as a letter, then groups of base 85 (RFC 1924's alphabet)."""

_ESCAPE = re.compile(rb'\\(?:([abtnvfr"\\])|([0-3][0-7]{2})|(.?))', re.DOTALL)
_LETTERS = dict(zip(b'abtnvfr"\\', b'\a\b\t\n\v\f\r"\\', strict=True))
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)

_EPOCH = re.compile(rb"(1969-12-31|1970-01-01) (\d{2}):(\d{2}):00(?:\.0+)? ([-+])(\d{2}):?(\d{2})\s*")
"""The time that ``diff -N`` gives to a file that is not there, in the zone of who made the diff."""

_GIT_VERSION = re.compile(rb"\d+\.\d+[\w.-]*")

_MANGLED = "the text was wrapped or edited on its way; get the patch as it was sent"

_STARTS = re.compile(rb"^(?:diff --git |--- [^\n]+\n\+\+\+ [^\n]+\n@@ -|Binary files [^\n]+ differ\r?$)", re.MULTILINE)


def has_diff(text: bytes) -> bool:
    """Whether there is anything in ``text`` that ``parse_diff`` would take for a change (quoted text is not)."""
    return _STARTS.search(text) is not None


def parse_diff(text: bytes, origin: str, *, strip: int | None = None, first_line: int = 1) -> tuple[FileChange, ...]:
    """All file changes of a diff, in its order. Text around and between them is passed over, as git apply does.

    :param text: the diff; what comes from a mail with the transfer encoding undone.
    :param origin: what to call it in errors. :param first_line: the number of its first line there.
    :param strip: leading components to take off each name, as ``-p`` of git apply; None: 1, or 0 for a file
        whose ``diff --git`` line names it twice the same (``diff.noprefix``).
    :raises InputError: a name that no patch may touch, a hunk with other lines than its ``@@`` counts, a header that
        contradicts itself; one line, ``ORIGIN:LINE: what``.
    :source: Documentation/diff-generate-patch.txt and apply.c of git
    """
    return _Parser(io.BytesIO(text).readlines(), origin, strip, first_line).parse()


def unquote(name: bytes) -> bytes | None:
    r"""The inside of a C-quoted name (``a/\303\244.c``) as bytes; None if an escape is none."""
    wrong = False

    def plain(escape: re.Match[bytes]) -> bytes:
        nonlocal wrong
        if escape[1]:
            return bytes([_LETTERS[escape[1][0]]])
        if escape[2]:
            return bytes([int(escape[2], 8)])
        wrong = True
        return b""

    result = _ESCAPE.sub(plain, name)
    return None if wrong else result


@dataclass(slots=True)
class _Draft:
    """A file change on the way."""

    line: int
    strip: int
    operation: Operation = "modify"
    old: bytes | None = None
    new: bytes | None = None
    old_mode: str | None = None
    new_mode: str | None = None
    old_blob: str = ""
    new_blob: str = ""
    hunks: list[Hunk] = field(default_factory=list)
    binary: bool = False
    patch: bytes | None = None
    crlf: bool = False

    @property
    def name(self) -> bytes:
        return self.new or self.old or b""


class _Parser:
    """A cursor over lines. ``at`` is the index of the line that is looked at."""

    def __init__(self, lines: list[bytes], origin: str, strip: int | None, first_line: int) -> None:
        self.lines = lines
        self.origin = origin
        self.strip = strip
        self.first_line = first_line
        self.at = 0

    def wrong(self, at: int, what: str, mend: str) -> InputError:
        return InputError(f"{self.origin}:{at + self.first_line}: {what}", mend)

    def line(self, at: int | None = None) -> bytes:
        """A line without its end, empty behind the last."""
        at = self.at if at is None else at
        if at >= len(self.lines):
            return b""
        return self.lines[at].removesuffix(b"\n").removesuffix(b"\r")

    def parse(self) -> tuple[FileChange, ...]:
        result: list[FileChange] = []
        while self.at < len(self.lines):
            raw = self.lines[self.at]
            if raw.startswith(b"diff --git "):
                result.append(self._git_change())
            elif raw.startswith(b"--- ") and self._begins_plain():
                result.append(self._plain_change())
            elif raw.startswith((b"Binary files ", b"Files ")) and (found := _BINARY.fullmatch(self.line())):
                result.append(self._plain_binary(found))
            elif raw.startswith((b"diff --cc ", b"diff --combined ")):
                raise self.wrong(self.at, "a merge's combined diff cannot be applied", "give the patches of its branch")
            elif self._hunk_at(self.at):
                raise self.wrong(self.at, "a hunk without a file name above it", _MANGLED)
            else:
                self.at += 1
        return tuple(result)

    def _begins_plain(self) -> bool:
        return self.line(self.at + 1).startswith(b"+++ ") and self.line(self.at + 2).startswith(b"@@ -")

    def _hunk_at(self, at: int) -> re.Match[bytes] | None:
        line = self.line(at)
        return _HUNK.fullmatch(line) if line.startswith(b"@@ -") else None

    # Names

    def _stripped(self, name: bytes, strip: int, at: int) -> bytes:
        """``name`` without its first components."""
        if name.startswith(b"/"):
            raise self._refused(name, "it is absolute", at)
        rest = name
        for _ in range(strip):
            _, slash, rest = rest.partition(b"/")
            if not slash:
                level = f"-p{strip}"
                raise self.wrong(
                    at, f"'{shown(name)}' has no {strip} leading component{'s' * (strip > 1)} to strip ({level})",
                    "make the diff with the prefixes a/ and b/",
                )
        return rest

    def _refused(self, name: bytes, why: str, at: int) -> InputError:
        return self.wrong(at, f"the path '{shown(name)}' is refused: {why}", "no patch may touch that")

    def _whole_name(self, text: bytes, at: int) -> bytes:
        """The name that is all of ``text``, quoted or not."""
        if not text.startswith(b'"'):
            return text
        quoted = _QUOTED.match(text)
        name = unquote(quoted[1]) if quoted else None
        if name is None:
            raise self.wrong(at, "a quoted name does not end, or has an escape that is none", _MANGLED)
        return name

    def _file_line(self, at: int) -> tuple[bytes, bytes]:
        """(name, timestamp) of a ``---`` or ``+++`` line."""
        text = self.line(at)[4:]
        if text.startswith(b'"'):
            return self._whole_name(text, at), b""
        name, tab, time = text.partition(b"\t")
        # git ends a name that has a space in it with a tab; a space at the end without one was added on the way.
        return (name if tab else name.rstrip(b" ") or name), time

    def _twice(self, text: bytes, at: int) -> tuple[bytes, bytes] | None:
        """The two names of ``diff --git``, where it can be said where the first ends: when they are the same."""
        if len(text) > 8 * LONGEST:
            raise self.wrong(at, "the names on this line are too long", _MANGLED)
        if quoted := _QUOTED.match(text):
            first, rest = self._whole_name(quoted[0], at), text[quoted.end() :]
            return (first, self._whole_name(rest[1:], at)) if rest.startswith(b" ") else None
        if text.endswith(b'"') and (start := text.find(b' "')) > 0:
            return text[:start], self._whole_name(text[start + 1 :], at)
        if len(text) > 2 * LONGEST + 16:
            return None
        middle = len(text) // 2
        if text[middle : middle + 1] == b" " and text[:middle] == text[middle + 1 :]:
            return text[:middle], text[middle + 1 :]  # no prefixes
        strip = 1 if self.strip is None else self.strip
        space = text.find(b" ")
        while space >= 0:
            first, second = text[:space], text[space + 1 :]
            if first.split(b"/", strip)[strip:] == second.split(b"/", strip)[strip:] != []:
                return first, second
            space = text.find(b" ", space + 1)
        return None

    def _finish(self, draft: _Draft) -> FileChange:
        at = draft.line - self.first_line
        paths: list[str | None] = []
        for name in (draft.old, draft.new):
            path = None if name is None else os.fsdecode(name)
            if name is not None and path is not None and (why := refusal(path)):
                raise self._refused(name, why, at)
            paths.append(path)
        return FileChange(
            draft.operation, paths[0], paths[1], draft.old_mode, draft.new_mode, draft.old_blob, draft.new_blob,
            tuple(draft.hunks), draft.binary, draft.patch, draft.line,
        )  # fmt: skip

    # git's own format

    def _git_change(self) -> FileChange:
        start = self.at
        both = self._twice(self.line()[len(b"diff --git ") :], start)
        strip = self.strip
        if strip is None:
            strip = 0 if both and both[0] == both[1] else 1
        draft = _Draft(start + self.first_line, strip, crlf=self.lines[start].endswith(b"\r\n"))
        self.at += 1
        while self.at < len(self.lines) and self._extended(draft):
            self.at += 1
        self._git_names(draft, both, start)
        if self.line() == b"GIT binary patch":
            self._binary_patch(draft)
        elif self.line().startswith((b"Binary files ", b"Files ")) and self.line().endswith(b" differ"):
            draft.binary = True
            self.at += 1
        else:
            self._hunks(draft)
        if draft.operation == "modify" and not (draft.hunks or draft.binary) and draft.old_mode == draft.new_mode:
            raise self.wrong(start, f"nothing is said of what changes in '{shown(draft.name)}'", _MANGLED)
        return self._finish(draft)

    def _extended(self, draft: _Draft) -> bool:
        """Take one extended header line; False where there is none."""
        line = self.line()
        for key, use in _EXTENDED.items():
            if line.startswith(key):
                use(self, draft, line[len(key) :])
                return True
        return False

    def _mode(self, text: bytes) -> str:
        if not _MODE.fullmatch(text.rstrip()):
            raise self.wrong(self.at, f"'{shown(text)}' is no file mode", _MANGLED)
        return text.rstrip().decode()

    def _old_mode(self, draft: _Draft, text: bytes) -> None:
        draft.old_mode = self._mode(text)

    def _new_mode(self, draft: _Draft, text: bytes) -> None:
        draft.new_mode = self._mode(text)

    def _added(self, draft: _Draft, text: bytes) -> None:
        draft.operation = "add"
        draft.new_mode = self._mode(text)

    def _deleted(self, draft: _Draft, text: bytes) -> None:
        draft.operation = "delete"
        draft.old_mode = self._mode(text)

    def _moved_from(self, draft: _Draft, text: bytes) -> None:
        draft.operation = "copy" if self.line().startswith(b"copy") else "rename"
        # These names have no prefix: one component less is taken off.
        draft.old = self._stripped(self._whole_name(text, self.at), max(0, draft.strip - 1), self.at)

    def _moved_to(self, draft: _Draft, text: bytes) -> None:
        draft.operation = "copy" if self.line().startswith(b"copy") else "rename"
        draft.new = self._stripped(self._whole_name(text, self.at), max(0, draft.strip - 1), self.at)

    def _similarity(self, draft: _Draft, text: bytes) -> None:
        if not _SIMILARITY.fullmatch(text.rstrip()):
            raise self.wrong(self.at, f"'{shown(text)}' is no percentage", _MANGLED)

    def _index(self, draft: _Draft, text: bytes) -> None:
        found = _INDEX.fullmatch(text.rstrip())
        if not found:
            raise self.wrong(self.at, "the index line does not name two objects", _MANGLED)
        # Only zeros: there is no such object.
        draft.old_blob, draft.new_blob = (name.decode() if name.strip(b"0") else "" for name in found.group(1, 2))
        if found[3] and draft.old_mode is None and draft.new_mode is None:
            draft.old_mode = draft.new_mode = found[3].decode()

    def _git_names(self, draft: _Draft, both: tuple[bytes, bytes] | None, start: int) -> None:
        """Take the ``---`` and ``+++`` lines; settle both names; say no to those that contradict each other."""
        moved = draft.operation in ("rename", "copy")
        if moved and (draft.old is None or draft.new is None):
            raise self.wrong(start, f"only one name of a {draft.operation} is given", _MANGLED)
        if moved and self.strip is None and self.line(start) == b"diff --git %b %b" % (draft.old or b"", draft.new or b""):
            draft.strip = 0
        if not moved and both:
            draft.old, draft.new = (self._stripped(name, draft.strip, start) for name in both)
            if draft.old != draft.new:
                draft.old = draft.new = None
        if self.line().startswith(b"--- ") and self.line(self.at + 1).startswith(b"+++ "):
            for at, side in ((self.at, "old"), (self.at + 1, "new")):
                name = self._file_line(at)[0]
                known: bytes | None = getattr(draft, side)
                if name == b"/dev/null":
                    if moved:
                        raise self.wrong(at, f"a {draft.operation} from or to nothing", _MANGLED)
                    draft.operation = "add" if side == "old" else "delete"
                    continue
                stripped = self._stripped(name, draft.strip, at)
                if known is not None and known != stripped:
                    what = f"'{shown(stripped)}' here and '{shown(known)}' above it name one file"
                    raise self.wrong(at, what, _MANGLED)
                setattr(draft, side, stripped)
            self.at += 2
        if draft.old is None and draft.new is None:
            raise self.wrong(start, "the header does not say which file changes", _MANGLED)
        if not moved:
            draft.old = draft.old if draft.old is not None else draft.new
            draft.new = draft.new if draft.new is not None else draft.old
        if not moved and draft.old != draft.new:
            raise self.wrong(start, f"'{shown(draft.name)}' has another name before, and no rename is said", _MANGLED)
        if draft.operation == "add":
            draft.old, draft.old_mode = None, None
        elif draft.operation == "delete":
            draft.new, draft.new_mode = None, None
        elif draft.new_mode is None:
            draft.new_mode = draft.old_mode

    def _binary_patch(self, draft: _Draft) -> None:
        """``GIT binary patch``: one or two parts, each ended by an empty line."""
        start = self.at + 1
        self.at += 1
        for part in range(2):
            if not _SECTION.fullmatch(self.line()):
                if part == 0:
                    raise self.wrong(self.at, "a binary patch without its content", _MANGLED)
                break
            self.at += 1
            while self.at < len(self.lines) and self.line():
                if not _DATA.fullmatch(self.line()):
                    raise self.wrong(self.at, "this line is not of a binary patch", _MANGLED)
                self.at += 1
            self.at += 1
        self.at = min(self.at, len(self.lines))
        draft.binary = True
        draft.patch = b"".join(self.line(at) + b"\n" for at in range(start, self.at))

    # Plain diffs

    def _plain_change(self) -> FileChange:
        start = self.at
        strip = 1 if self.strip is None else self.strip
        draft = _Draft(start + self.first_line, strip, crlf=self.lines[start].endswith(b"\r\n"))
        (old, old_time), (new, new_time) = self._file_line(start), self._file_line(start + 1)
        if old == b"/dev/null" and new == b"/dev/null":
            raise self.wrong(start, "neither the old nor the new file has a name", _MANGLED)
        if old == b"/dev/null" or (_is_epoch(old_time) and not _is_epoch(new_time)):
            draft.operation, draft.new = "add", self._stripped(new, strip, start + 1)
        elif new == b"/dev/null" or (_is_epoch(new_time) and not _is_epoch(old_time)):
            draft.operation, draft.old = "delete", self._stripped(old, strip, start)
        else:
            first, second = self._stripped(old, strip, start), self._stripped(new, strip, start + 1)
            # Of x.c and x.c.orig the shorter is meant; otherwise the new name.
            draft.old = draft.new = first if second.startswith(first) else second
        self.at += 2
        self._hunks(draft)
        return self._finish(draft)

    def _plain_binary(self, found: re.Match[bytes]) -> FileChange:
        at = self.at
        self.at += 1
        strip = 1 if self.strip is None else self.strip
        draft = _Draft(at + self.first_line, strip, binary=True)
        names = [None if name == b"/dev/null" else self._stripped(name, strip, at) for name in found.group(1, 2)]
        if names[0] is None and names[1] is None:
            raise self.wrong(at, "neither the old nor the new file has a name", _MANGLED)
        draft.operation = "add" if names[0] is None else "delete" if names[1] is None else "modify"
        draft.old = names[0] if names[1] is None else (None if names[0] is None else names[1])
        draft.new = names[1]
        return self._finish(draft)

    # Hunks

    def _hunks(self, draft: _Draft) -> None:
        before = after = 0
        while self.line().startswith(b"@@ -"):
            hunk = self._hunk(draft)
            draft.hunks.append(hunk)
            before += hunk.old_count
            after += hunk.new_count
        if not draft.hunks:
            return
        if draft.operation == "add" and before:
            raise self.wrong(draft.hunks[0].line - self.first_line, f"new file '{shown(draft.name)}' has old lines", _MANGLED)
        if draft.operation == "delete" and after:
            what = f"deleted file '{shown(draft.name)}' has new lines"
            raise self.wrong(draft.hunks[0].line - self.first_line, what, _MANGLED)
        self._nothing_left(draft.hunks[-1])

    def _hunk(self, draft: _Draft) -> Hunk:
        start = self.at
        header = self._hunk_at(start)
        if header is None:
            raise self.wrong(start, "this @@ line is malformed", _MANGLED)
        old_start, old_count, new_start, new_count = (1 if text is None else int(text) for text in header.group(1, 2, 3, 4))
        self.at += 1
        lines: list[bytes] = []
        old, new = old_count, new_count
        while old > 0 or new > 0:
            raw = self.lines[self.at] if self.at < len(self.lines) else None
            if raw is not None and draft.crlf and raw.endswith(b"\r\n"):
                raw = raw[:-2] + b"\n"  # the way here made these ends, of the header's lines as well
            if raw in (b"\n", b"\r\n"):
                raw = b" " + raw  # whose only space was eaten
            mark = raw[:1] if raw is not None else b""
            if raw is not None and mark == b"\\" and lines:
                self._no_newline(lines)
                self.at += 1
                continue
            old -= mark in (b" ", b"-")
            new -= mark in (b" ", b"+")
            if raw is None or mark not in (b" ", b"-", b"+") or old < 0 or new < 0:
                raise self._miscounted(start, (old_count, new_count), lines)
            lines.append(raw)
            self.at += 1
        if lines and lines[-1] == b"-- \n" and _GIT_VERSION.fullmatch(self.line()):
            self.at -= 1  # a mail's signature, of which the count made a removed line
            raise self._miscounted(start, (old_count, new_count), lines[:-1])
        if lines and self.line().startswith(b"\\ "):
            self._no_newline(lines)
            self.at += 1
        if lines and not lines[-1].endswith(b"\n") and self.at >= len(self.lines):
            # The text itself ended without a newline; git's mark alone says that the file does.
            if not self.lines[-1].startswith(b"\\"):
                lines[-1] += b"\n"
        return Hunk(old_start, old_count, new_start, new_count, header[5], tuple(lines), start + self.first_line)

    def _no_newline(self, lines: list[bytes]) -> None:
        lines[-1] = lines[-1].removesuffix(b"\n")

    def _miscounted(self, start: int, wanted: tuple[int, int], lines: list[bytes]) -> InputError:
        old = sum(line[:1] in (b" ", b"-") for line in lines)
        new = sum(line[:1] in (b" ", b"+") for line in lines)
        at = min(self.at, len(self.lines) - 1)
        return self.wrong(
            at,
            f"the hunk of line {start + self.first_line} promises {wanted[0]} old and {wanted[1]} new lines, "
            f"but ends after {old} and {new}",
            _MANGLED,
        )

    def _nothing_left(self, hunk: Hunk) -> None:
        """Lines that go on like the hunk which is over: its count is wrong. git apply would drop them without a word."""
        at = self.at
        while at < len(self.lines) and self.lines[at][:1] in (b" ", b"+", b"-"):
            if self.lines[at].startswith((b"--", b"+++ ")):
                return  # a mail's signature, or the next file
            if self.lines[at][:1] != b" ":
                counts = f"{hunk.old_count} old and {hunk.new_count} new lines"
                raise self.wrong(at, f"the hunk of line {hunk.line} promises {counts}, but more are there", _MANGLED)
            at += 1


def _is_epoch(time: bytes) -> bool:
    """Whether a timestamp is 1970-01-01 00:00:00 UTC."""
    found = _EPOCH.fullmatch(time)
    if not found:
        return False
    day = 0 if found[1] == b"1970-01-01" else -1440
    offset = int(found[5]) * 60 + int(found[6])
    return day + int(found[2]) * 60 + int(found[3]) == (offset if found[4] == b"+" else -offset)


_EXTENDED = {
    b"index ": _Parser._index,
    b"old mode ": _Parser._old_mode,
    b"new mode ": _Parser._new_mode,
    b"new file mode ": _Parser._added,
    b"deleted file mode ": _Parser._deleted,
    b"rename from ": _Parser._moved_from,
    b"rename to ": _Parser._moved_to,
    b"rename old ": _Parser._moved_from,
    b"rename new ": _Parser._moved_to,
    b"copy from ": _Parser._moved_from,
    b"copy to ": _Parser._moved_to,
    b"similarity index ": _Parser._similarity,
    b"dissimilarity index ": _Parser._similarity,
}
