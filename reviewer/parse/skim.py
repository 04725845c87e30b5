"""A file's top level without the parser: where each function and each declaration begins and ends.

A question about one function needs one function, not its file. The layout of kernel C makes the pieces of a file
cheap to find: what is at file scope begins in the first column, and a body ends with a brace in the first column. The parser
then sees single pieces (:mod:`reviewer.parse.pieces`), some hundred bytes rather than some ten thousand.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from reviewer.parse.dialect import Dialect
from reviewer.parse.lexical import Directive, Split, split

BRACE = re.compile(rb"[{}]")
SOLID = re.compile(rb"[^ \t\r\n\f};]")
TOKEN = re.compile(rb"[;{(]")
WORD = re.compile(rb"[A-Za-z_]\w*")
MEMBERS = re.compile(rb"\b(?:struct|union|enum)\b[^(]*$")
LINKAGE = re.compile(rb"\bextern\s*\"[^\"]*\"\s*$")
DEFINED = re.compile(rb"\s*#\s*define\s+(\w+)")
INITIALISED = re.compile(rb"(?<![=!<>])=(?!=)")
TRIES = 12
"""Closing braces in the first column that are tried for one that balances a body."""


class Piece(NamedTuple):
    """One thing at file scope: bytes ``start`` to ``end`` of the file.

    ``name``: of a function definition, else "". ``brace``: the offset of its opening brace, -1 where there is none.
    """

    start: int
    end: int
    brace: int
    name: str = ""


@dataclass(slots=True, eq=False)
class Skim:
    """The pieces of one file, in order. ``parts``: its text, code parted from the rest."""

    parts: Split
    pieces: list[Piece]
    named: dict[str, list[Piece]] = field(init=False)
    _starts: list[int] = field(init=False)
    _outer: frozenset[bytes] | None = None
    _macros: dict[str, list[Directive]] | None = None
    _codes: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._starts = [piece.start for piece in self.pieces]
        self.named = {}
        for piece in self.pieces:
            if piece.name:
                self.named.setdefault(piece.name, []).append(piece)

    @property
    def text(self) -> bytes:
        return self.parts.text

    @property
    def code(self) -> bytes:
        """The text with comments, strings and directives blanked."""
        return self.parts.code

    def code_of(self, piece: Piece) -> bytes:
        """The code of one piece: of a file whose layout was known before, no more is blanked than is asked for."""
        whole = self.parts.whole
        if whole is not None:
            return whole[piece.start : piece.end]
        got = self._codes.get(piece.start)
        if got is None:
            # Behind a semicolon, for a # that begins a piece begins no line.
            got = self._codes[piece.start] = split(b";" + self.text[piece.start : piece.end]).code[1:]
        return got

    def body_of(self, piece: Piece) -> bytes:
        """The code of a function's body, from its brace on."""
        return self.code_of(piece)[piece.brace - piece.start :]

    def piece_at(self, offset: int) -> Piece | None:
        """The piece that covers the byte at ``offset``."""
        i = bisect_right(self._starts, offset) - 1
        if i < 0 or offset >= self.pieces[i].end:
            return None
        return self.pieces[i]

    def outer_words(self) -> frozenset[bytes]:
        """Words that stand at file scope: all that could name a type, a variable, an enumerator or a prototype."""
        if self._outer is None:
            found: set[bytes] = set()
            for piece in self.pieces:
                code = self.code_of(piece)
                found.update(WORD.findall(code, 0, piece.brace - piece.start if piece.name else len(code)))
            self._outer = frozenset(found)
        return self._outer

    def declaring(self, word: bytes) -> Iterator[Piece]:
        """Pieces that are no function and in which the word stands, in order."""
        if word not in self.outer_words():
            return
        last = None
        for piece, _ in self.outside(word):
            if piece is not last:
                last = piece
                yield piece

    def outside(self, word: bytes) -> Iterator[tuple[Piece, int]]:
        """Where the word stands in the code of what is no function, in order: the piece, and the offset in it."""
        for at in positions(self.text, word):
            piece = self.piece_at(at)
            if piece is not None and not piece.name and self.code_of(piece).startswith(word, at - piece.start):
                yield piece, at - piece.start

    def functions_with(self, word: bytes) -> Iterator[Piece]:
        """Function definitions in whose body the word stands, in order."""
        last = None
        for at in positions(self.text, word):
            piece = self.piece_at(at)
            if piece is not None and piece.name and piece is not last and at > piece.brace:
                last = piece
                yield piece

    def macros(self) -> dict[str, list[Directive]]:
        """The ``#define`` lines, by name."""
        if self._macros is None:
            self._macros = {}
            for line in self.parts.defines:
                if line.kind == b"define":
                    m = DEFINED.match(self.text, line.start)
                    if m is not None:
                        self._macros.setdefault(m[1].decode("utf-8", "replace"), []).append(line)
        return self._macros


def positions(text: bytes, word: bytes) -> Iterator[int]:
    """Offsets at which ``word`` stands as a whole word."""
    size = len(word)
    at = text.find(word)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + size : at + size + 1]
        if not (before.isalnum() or before == b"_") and not (after.isalnum() or after == b"_"):
            yield at
        at = text.find(word, at + size)


def skim(text: bytes, dialect: Dialect) -> Skim:
    """The pieces of one file. Takes any bytes; linear in their number but for a body that never balances."""
    parts = split(text)
    return Skim(parts, list(_Skimming(parts.code, dialect).run()))


class _Skimming:
    """One pass over the depth-0 tokens of a file."""

    def __init__(self, code: bytes, dialect: Dialect) -> None:
        self.code = code
        self.dialect = dialect

    def run(self) -> Iterator[Piece]:
        code = self.code
        size = len(code)
        start = self.begin(0)
        at = start
        groups: list[tuple[int, int]] = []
        while True:
            m = TOKEN.search(code, at)
            if m is None:
                break
            at = m.start()
            token = code[at]
            if token == 0x28:
                close = self.closing(at)
                groups.append((at, close))
                at = close + 1
                continue
            if token == 0x3B:
                yield Piece(start, at + 1, -1)
                start = at = self.begin(at + 1)
                groups = []
                continue
            head = code[start:at]
            if LINKAGE.search(head):
                start = at = self.begin(at + 1)
                groups = []
                continue
            end = self.list_end(at) if head.rstrip().endswith(b"=") else self.body_end(at)
            name = self.function_name(start, at, groups) if groups else ""
            if name:
                yield Piece(start, end, at, name)
            else:
                stop = code.find(b";", end)
                following = TOKEN.search(code, end)
                if stop >= 0 and following is not None and (following.start() == stop or not groups):
                    end = self.statement_end(end)
                yield Piece(start, end, at)
            start = at = self.begin(end)
            groups = []
        if start < size and code[start:].strip():
            yield Piece(start, size, -1)

    def begin(self, at: int) -> int:
        """The first byte at or after ``at`` that is no blank, and no brace or semicolon that is left over."""
        m = SOLID.search(self.code, at)
        return m.start() if m is not None else len(self.code)

    def closing(self, opening: int) -> int:
        """The offset of the parenthesis that closes the one at ``opening``; that of the line's end if none does."""
        code = self.code
        end = code.find(b")", opening)
        tries = 0
        while end >= 0:
            if code.count(b"(", opening, end) == code.count(b")", opening, end) + 1:
                return end
            end = code.find(b")", end + 1)
            tries += 1
            if tries > 2_000:
                break
        line = code.find(b"\n", opening)
        return line if line >= 0 else len(code) - 1

    def body_end(self, opening: int) -> int:
        """The offset past the brace that closes the one at ``opening``.

        A brace that closes on its own line, else the first in the first column that balances what is between; where none
        does (arms of an ``#if`` that open twice) the first in the first column.
        """
        code = self.code
        line = code.find(b"\n", opening)
        line = len(code) if line < 0 else line
        opened = code.count(b"{", opening, line)
        if opened == code.count(b"}", opening, line):
            return code.rfind(b"}", opening, line) + 1
        end = first = code.find(b"\n}", opening)
        start = opening
        balance = 0
        for _ in range(TRIES):
            if end < 0:
                break
            balance += code.count(b"{", start, end + 2) - code.count(b"}", start, end + 2)
            if balance == 0:
                return end + 2
            start = end + 2
            end = code.find(b"\n}", start)
        return (self.balanced(opening) or len(code)) if first < 0 else first + 2

    def list_end(self, opening: int) -> int:
        """The offset past the brace that closes an initialiser's list, wherever on its line that stands."""
        return self.balanced(opening) or self.body_end(opening)

    def balanced(self, opening: int) -> int:
        """The offset past the brace that closes the one at ``opening``, by counting; 0 if none does."""
        depth = 0
        for m in BRACE.finditer(self.code, opening):
            depth += 1 if m[0] == b"{" else -1
            if depth == 0:
                return m.end()
        return 0

    def statement_end(self, at: int) -> int:
        """The offset past the semicolon that ends a declaration whose braces have closed (``}, b = { ... };``)."""
        code = self.code
        while True:
            m = TOKEN.search(code, at)
            if m is None:
                return len(code)
            token = code[m.start()]
            if token == 0x3B:
                return m.end()
            at = self.closing(m.start()) + 1 if token == 0x28 else self.body_end(m.start())

    def function_name(self, start: int, brace: int, groups: list[tuple[int, int]]) -> str:
        """The name that the header ``start`` to ``brace`` defines, "" if it is no function's."""
        code = self.code
        flat = code[start : groups[0][0]]
        if INITIALISED.search(flat) or INITIALISED.search(code, groups[-1][1], brace):
            return ""
        tail = code[groups[-1][1] + 1 : brace]
        if MEMBERS.search(tail):
            return ""
        annotations = self.dialect.annotations_with_arguments
        for opening, _ in reversed(groups):
            word = word_before(code, opening, start)
            if word in annotations:
                continue
            if not word:
                return ""  # NAME(a, b)(c) { ... }: whatever a macro makes of it
            header = self.dialect.header(word.decode("ascii", "replace"))
            if header is not None:
                args = code[opening + 1 : brace].split(b",")
                first = WORD.search(args[0])
                return header.name.replace("{0}", first[0].decode("ascii", "replace") if first is not None else "")
            return word.decode("ascii", "replace")
        return ""


def word_before(code: bytes, at: int, start: int) -> bytes:
    """The identifier that ends right before ``at``, blanks aside."""
    end = at
    while end > start and code[end - 1] in b" \t\r\n":
        end -= 1
    begin = end
    while begin > start and (code[begin - 1 : begin].isalnum() or code[begin - 1] == 0x5F):
        begin -= 1
    return code[begin:end]
