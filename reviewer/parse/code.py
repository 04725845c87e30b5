"""The text while it is rewritten: overwriting at the same length, and finding words, brackets and arguments in it."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

from reviewer.parse.lexical import BLANKS

# Parentheses nested up to four deep, without backtracking; deeper ones are matched by Parentheses.
_P0 = rb"\([^()]*+\)"
_P1 = rb"\((?:[^()]++|" + _P0 + rb")*+\)"
_P2 = rb"\((?:[^()]++|" + _P1 + rb")*+\)"
BALANCED = rb"\((?:[^()]++|" + _P2 + rb")*+\)"

NEAR = 200
"""Bytes back that are looked at first for an open parenthesis; most calls are shorter."""

FAR = 20_000
"""Bytes that a look back may cross; what is further away than that is not looked for."""

BUDGET_PER_BYTE = 20
"""Bytes of looking back for each byte of the text, after which nothing more is found by it: kernel files need less
than one; text that was made to need thousands is still read in linear time."""

NAME_BYTES = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
WORD_BYTES = frozenset(NAME_BYTES)
_SEPARATED = bytes(c if c in WORD_BYTES else 0x20 for c in range(256))
"""For ``bytes.translate``: words are kept, everything between them becomes a blank."""

FIRST_COLUMN = re.compile(rb"\n[{}]")
_BALANCED = re.compile(BALANCED)
_COMMAS = re.compile(rb"[,(){}\[\]]")
_BRACES = re.compile(rb"[{}]")
_BRACKETS = re.compile(rb"[(){}]")
_NO_WORD = re.compile(rb"[^\w\r\n]")
_STRUCT_HEAD = re.compile(rb"\b(?:struct|union)(?:\s+\w+)*\s*\Z")
_KEYWORDS = frozenset({
    b"if", b"for", b"while", b"switch", b"return", b"goto", b"break", b"continue", b"do", b"else", b"case", b"default",
})  # fmt: skip


def words_of(code: bytes | bytearray) -> set[bytes]:
    """The distinct words of a text; numbers are among them."""
    return set(bytes(code).translate(_SEPARATED).split())


def one_word(part: bytes) -> bytes:
    """The same number of bytes as one identifier; line ends stay."""
    word = bytearray(_NO_WORD.sub(b"_", part))
    if word and word[0] in b"0123456789":
        word[0] = 0x5F
    if bytes(word) in _KEYWORDS:
        word[0] = word[0] & 0xDF
    return bytes(word)


class Parentheses:
    """Matching parentheses of the whole text, computed once when first asked for."""

    def __init__(self, text: bytes | bytearray) -> None:
        pairs: list[tuple[int, int]] = []
        stack: list[int] = []
        for m in re.finditer(rb"[()]|\n\}", text):
            at = m.start()
            char = text[at]
            if char == 0x28:
                stack.append(at)
            elif char == 0x0A:
                stack.clear()
            elif stack:
                pairs.append((stack.pop(), at))
        pairs.sort()
        self.opening = [a for a, _ in pairs]
        self.closing = [b for _, b in pairs]

    def closing_of(self, opening: int) -> int:
        """The offset of the parenthesis that closes the one at ``opening``, or -1."""
        i = bisect_left(self.opening, opening)
        return self.closing[i] if i < len(self.opening) and self.opening[i] == opening else -1


class Code:
    """``text`` is overwritten in place; its length and its line ends never change."""

    def __init__(self, text: bytearray) -> None:
        self.text = text
        self.parentheses: Parentheses | None = None
        self.first_column: list[int] | None = None
        self.budget = BUDGET_PER_BYTE * len(text) + FAR

    # --- overwriting

    def blank(self, start: int, end: int) -> None:
        self.text[start:end] = self.text[start:end].translate(BLANKS)

    def join(self, start: int, end: int) -> None:
        """One identifier in place of ``start`` to ``end``; where lines end inside, on its last line."""
        part = bytes(self.text[start:end])
        line = max(part.rfind(b"\n"), part.rfind(b"\r")) + 1
        if line:
            self.blank(start, start + line)
            start += line
            start += len(self.text[start:end]) - len(self.text[start:end].lstrip())
        if start < end:
            self.text[start:end] = one_word(bytes(self.text[start:end]))

    def put(self, at: int, byte: int) -> bool:
        """``byte`` in place of a blank; whether there was one."""
        if 0 <= at < len(self.text) and self.text[at] in b" \t":
            self.text[at] = byte
            return True
        return False

    def put_between(self, start: int, end: int, byte: int) -> bool:
        """``byte`` in place of the first blank between the two offsets; whether there is one."""
        return any(self.put(at, byte) for at in range(start, min(end, len(self.text))))

    # --- finding

    def find(self, word: bytes) -> Iterator[int]:
        """Offsets of ``word`` as a whole word that is no member."""
        text = self.text
        length = len(word)
        at = text.find(word)
        while at >= 0:
            end = at + length
            if (at == 0 or text[at - 1] not in WORD_BYTES) and (end >= len(text) or text[end] not in WORD_BYTES):
                before = text[at - 1] if at else 0
                if before != 0x2E and not (before == 0x3E and text[at - 2] == 0x2D):
                    yield at
            at = text.find(word, end)

    def called(self, word: bytes) -> Iterator[tuple[int, int, int]]:
        """(offset, opening, closing) of every ``word(...)``."""
        text = self.text
        for at in list(self.find(word)):
            opening = self.skip_blanks(at + len(word))
            if opening < len(text) and text[opening] == 0x28:
                closing = self.closing(opening)
                if closing > 0:
                    yield at, opening, closing

    def skip_blanks(self, at: int) -> int:
        text = self.text
        while at < len(text) and text[at] in b" \t\r\n\f":
            at += 1
        return at

    def at(self, position: int) -> int:
        """The byte there, 0 past the end."""
        return self.text[position] if position < len(self.text) else 0

    def last_at(self, position: int) -> int:
        """The offset of the last character before ``position`` that is no blank, or -1 if there is none near."""
        for size in (64, FAR):
            start = max(0, position - size)
            length = len(self.text[start:position].rstrip())
            if length:
                return start + length - 1
        return -1

    def last(self, position: int) -> int:
        """The last character before ``position`` that is no blank, or 0."""
        at = self.last_at(position)
        return self.text[at] if at >= 0 else 0

    def word_before(self, at: int) -> tuple[int, bytes]:
        """(start, word) of the word that ends before ``at``, blanks between them allowed; empty if there is none."""
        text = self.text
        at -= 1
        while at >= 0 and text[at] in b" \t\r\n\f":
            at -= 1
        end = at + 1
        while at >= 0 and text[at] in WORD_BYTES:
            at -= 1
        return at + 1, bytes(text[at + 1 : end])

    def closing(self, opening: int) -> int:
        """The offset of the parenthesis that closes the one at ``opening``, or -1."""
        m = _BALANCED.match(self.text, opening)
        if m is not None:
            return m.end() - 1
        if self.parentheses is None:
            self.parentheses = Parentheses(self.text)
        return self.parentheses.closing_of(opening)

    def enclosing(self, at: int, far: int = 1000) -> int:
        """The offset of the parenthesis around ``at``, or -1; a brace that is open around it ends the search."""
        near = min(far, NEAR)
        found = self._enclosing(at, near)
        if found == -2 and far > near:
            found = self._enclosing(at, far)
        return max(found, -1)

    def _enclosing(self, at: int, far: int) -> int:
        """The same; -2 if the stretch ended first."""
        self.budget -= far
        if self.budget < 0:
            return -1
        depth = braces = 0
        for m in reversed(list(_BRACKETS.finditer(self.text, max(0, at - far), at))):
            char = m[0]
            if char == b"}":
                braces += 1
            elif char == b"{":
                if not braces:
                    return -1
                braces -= 1
            elif braces:
                continue
            elif char == b")":
                depth += 1
            elif depth == 0:
                return m.start()
            else:
                depth -= 1
        return -2

    def arguments(self, opening: int, closing: int) -> list[tuple[int, int]]:
        """(start, end) of each argument between the two parentheses, blanks around them left out."""
        text = self.text
        found: list[tuple[int, int]] = []
        depth = 0
        start = opening + 1
        for m in _COMMAS.finditer(text, opening + 1, closing):
            char = text[m.start()]
            if char == 0x2C:
                if depth == 0:
                    found.append(self.strip(start, m.start()))
                    start = m.end()
            elif char in b"([{":
                depth += 1
            else:
                depth -= 1
        found.append(self.strip(start, closing))
        return found

    def strip(self, start: int, end: int) -> tuple[int, int]:
        part = self.text[start:end]
        length = len(part.rstrip())
        return (start + len(part) - len(part.lstrip()), start + length) if length else (start, start)

    # --- where it stands

    def inside_body(self, at: int) -> bool:
        """Whether a function's opening brace in the first column is nearer than a closing one."""
        if self.first_column is None:
            self.first_column = [m.end() - 1 for m in FIRST_COLUMN.finditer(self.text)]
        i = bisect_left(self.first_column, at)
        return i > 0 and self.text[self.first_column[i - 1]] == 0x7B

    def in_struct(self, at: int) -> bool:
        """Whether the brace around ``at`` opens a struct or a union; looks back to the last first-column brace."""
        brace = self._brace_around(at, FAR)
        return brace >= 0 and _STRUCT_HEAD.search(self.text[max(0, brace - 120) : brace]) is not None

    def in_items(self, at: int) -> bool:
        """Whether the brace around ``at`` opens an initialiser, a struct or a union (a table made of macros)."""
        brace = self._brace_around(at, 3000)
        if brace < 0:
            return False
        head = self.text[max(0, brace - 3000) : brace].rstrip()
        return head.endswith((b"=", b",", b"]")) or _STRUCT_HEAD.search(head) is not None

    def _brace_around(self, at: int, far: int) -> int:
        text = self.text
        depth = 0
        stop = max(text.rfind(b"\n}", max(0, at - far), at), at - far, 0)
        self.budget -= at - stop
        if self.budget < 0:
            return -1
        for m in reversed(list(_BRACES.finditer(text, stop, at))):
            if m[0] == b"}":
                depth += 1
            elif depth:
                depth -= 1
            else:
                return m.start()
        return -1
