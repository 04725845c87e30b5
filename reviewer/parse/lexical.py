"""Comments, strings and preprocessor lines told from code, in one pass that keeps every offset.

:func:`split` overwrites comments and preprocessor lines with blanks and the inside of strings and character
constants with dots. What is left can be searched for brackets and words without stumbling over text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

LEXEME = re.compile(
    rb"\n[ \t\f]*+\#"  # a preprocessor line, to its end: continued lines and comments are part of it
    rb"(?:[^\n\\/\"']|\\\r?\n|\\[^\r\n]|\\\r|\\(?=\n)|/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/)?|//[^\n\\]*+|/"
    rb"|\"(?:[^\"\\\n]|\\\r?\n|\\[^\n])*+\"?|'(?:[^'\\\n]|\\[^\n])*+'?)*+"
    rb"|/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/)?"  # an unterminated comment takes the rest: no second scan
    rb"|//(?:[^\n\\]|\\\r?\n|\\)*+"
    rb"|\"(?:[^\"\\\n]|\\\r?\n|\\[^\n])*+\"?"
    rb"|'(?:[^'\\\n]|\\[^\n])*+'?"
)

BLANKS = bytes(c if c in b"\n\r\t" else 0x20 for c in range(256))
"""For ``bytes.translate``: everything but line ends and tabs becomes a blank."""

DOTS = bytes(c if c in b"\n\r" else 0x2E for c in range(256))
"""For ``bytes.translate``: the inside of a string becomes dots, which are neither words nor brackets."""

KIND = re.compile(rb"\s*#\s*([a-z_]*)")

CONDITIONALS = frozenset({b"if", b"ifdef", b"ifndef", b"elif", b"elifdef", b"elifndef", b"else", b"endif"})
DEFINES = frozenset({b"define", b"include", b"include_next", b"import"})


class Directive(NamedTuple):
    """One preprocessor line with its continuations. ``start`` is the offset of its line, ``end`` the one past it."""

    kind: bytes
    start: int
    end: int


@dataclass(slots=True)
class Split:
    """A text and its preprocessor lines. ``groups``: ``#if`` to ``#endif``; ``defines``: ``#define``, ``#include``."""

    text: bytes
    groups: list[Directive]
    defines: list[Directive]
    whole: bytes | None = None
    """``code``, once it is known."""

    @property
    def code(self) -> bytes:
        """The text with comments and directives blanked and strings dotted: as long as ``text``."""
        if self.whole is None:
            self.whole = split(self.text).code
        return self.whole


CONTINUED = re.compile(rb".(\r?\n)(.)")


def closed(m: re.Match[bytes]) -> bytes:
    """A string that goes on in the next line as two strings, side by side."""
    return b'"' + m[1] + (b" " if m[2] == b'"' else b'"')


def split(text: bytes) -> Split:
    """Part one file, or a slice of it that begins with a whole line, into code and the rest; linear in its length."""
    groups: list[Directive] = []
    defines: list[Directive] = []
    kind_of = KIND.match

    def blank(m: re.Match[bytes]) -> bytes:
        lexeme = m[0]
        first = lexeme[0]
        if first == 0x22 or first == 0x27:
            if len(lexeme) < 3:
                return lexeme
            dotted = lexeme[:1] + lexeme[1:-1].translate(DOTS) + lexeme[-1:]
            return dotted if b"\n" not in dotted else CONTINUED.sub(closed, dotted)
        if first == 0x0A:
            if lexeme.startswith(b"\n#define "):
                defines.append(Directive(b"define", m.start(), m.end() - 1))
                return lexeme.translate(BLANKS)
            found = kind_of(lexeme)
            kind = found[1] if found is not None else b""
            # The virtual line end before the text makes m.start() the offset of the line itself.
            if kind in CONDITIONALS:
                groups.append(Directive(kind, m.start(), m.end() - 1))
            elif kind in DEFINES:
                defines.append(Directive(kind, m.start(), m.end() - 1))
        return lexeme.translate(BLANKS)

    code = LEXEME.sub(blank, b"\n" + text)
    return Split(text, groups, defines, code[1:])
