"""How a file differs between two trees, as far as code can tell: comments and blanks do not count."""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reviewer.parse.lexical import CONDITIONALS, Directive
from reviewer.parse.pieces import Pieces
from reviewer.parse.skim import Piece

_KEYWORDS = """
auto bool break case char const continue default do double else enum extern float for goto if inline int long register
return short signed sizeof static struct switch typedef union unsigned void volatile while
"""
KEYWORDS = frozenset(_KEYWORDS.split())
"""Words that say nothing of where something stands, though a type's name may be made of them."""

TOKEN = re.compile(rb"\w+|\+\+|--|->|&&|\|\||<<|>>|[^\w\s]")
"""As the compiler reads it, as far as a blank could make two tokens of one: ``p++ + q`` is not ``p + ++q``."""

FILLS = re.compile(rb"[\w\])] (?:->|\.) (\w+) = (?!=)[^;]*|\b(?:struct|union) (\w+)")
"""An assignment to a member, with what is assigned, or the mention of a struct: who fills tables is found by these."""

LOCAL = re.compile(rb"\b(?:struct|union) (\w+) (?:[^;{}()]*= |[* \[\]]*\) )\{")
"""A table inside a function, of a variable or without a name; others are only mentioned there."""

STRING = re.compile(rb'"[^"]*"')
"""A string, of which nothing is analysed: a message in other words is no change."""

WORD = re.compile(rb"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Change:
    """One C file on two sides.

    :ivar functions: names of functions that differ, are new or are gone.
    :ivar outside: words of changed code outside functions: declarations, types, tables, macros.
    :ivar inside: words that stand on one side only of a changed function. :ivar differing: on one side only of the file.
    :ivar defining: names that it defines on one side only, or otherwise there. :ivar filling: members that
        it assigns otherwise, and structs of tables in what has changed.
    :ivar includes: what it includes differs. :ivar gone: it is on one side only.
    """

    functions: frozenset[str] = frozenset()
    outside: frozenset[str] = frozenset()
    inside: frozenset[str] = frozenset()
    differing: frozenset[str] = frozenset()
    defining: frozenset[str] = frozenset()
    filling: frozenset[str] = frozenset()
    includes: bool = False
    gone: bool = False

    @property
    def silent(self) -> bool:
        """Whether no code differs."""
        return not (self.functions or self.outside or self.includes or self.gone)


def change_of(old: Pieces | None, new: Pieces | None) -> Change:
    """What tells two states of a file apart; None where it is not there."""
    was, now = Parts(old), Parts(new)
    functions = {n for n in (*was.functions, *now.functions) if was.functions.get(n) != now.functions.get(n)}
    lost, come = was.rest - now.rest, now.rest - was.rest
    outside = words_of((lost + come).elements())
    inside: set[str] = set()
    filling: set[str] = set()
    for name in functions:
        before, after = was.functions.get(name, Counter()), now.functions.get(name, Counter())
        inside |= words_of(before) ^ words_of(after)
        filling |= {name for name, _ in assigned(before) ^ assigned(after)}
        filling |= {os.fsdecode(m[1]) for text in (*before, *after) for m in LOCAL.finditer(text)}
    filling |= {os.fsdecode(m[1] or m[2]) for text in (*lost, *come) for m in FILLS.finditer(text)}
    defining = was.functions.keys() ^ now.functions.keys()
    for parts, texts in ((was, lost), (now, come)):
        for text in texts:
            defining |= parts.defines(text)
    return Change(
        frozenset(functions), frozenset(outside), frozenset(inside), frozenset(words_in(old) ^ words_in(new)),
        frozenset(defining), frozenset(filling),
        (old.head.includes if old is not None else ()) != (new.head.includes if new is not None else ()),
        (old is None) != (new is None),
    )  # fmt: skip


def assigned(texts: Iterable[bytes]) -> set[tuple[str, bytes]]:
    """Members that code assigns, each with the whole assignment."""
    return {(os.fsdecode(m[1]), m[0]) for text in texts for m in FILLS.finditer(text) if m[1] is not None}


class Parts:
    """A file taken apart: the code of each function by name, and of everything else, single blanks between tokens."""

    def __init__(self, file: Pieces | None) -> None:
        self.functions: dict[str, Counter[bytes]] = {}
        self.rest: Counter[bytes] = Counter()
        self._file = file
        self._pieces: dict[bytes, Piece] = {}
        if file is None:
            return
        every = (*file.skim.parts.defines, *file.skim.parts.groups)
        # What is included is told apart.
        directives = sorted((d for d in every if d.kind in (b"define", *CONDITIONALS)), key=lambda d: d.start)
        outer = [d for d in directives if not ((piece := file.skim.piece_at(d.start)) is not None and piece.name)]
        for piece in file.skim.pieces:
            if piece.name:
                self.functions.setdefault(piece.name, Counter())[_under(file, piece.start) + _code(file, piece, directives)] += 1
            else:
                code = _under(file, piece.start) + _code(file, piece, ())
                self.rest[code] += 1
                self._pieces[code] = piece
        for directive in outer:
            # An #if counts by what is under it, too: to move one changes that.
            under = _under(file, directive.start) if directive.kind == b"define" else b""
            self.rest[under + b" ".join(TOKEN.findall(COMMENT.sub(b" ", file.text[directive.start : directive.end])))] += 1

    def defines(self, code: bytes) -> set[str]:
        """Names that a part outside functions defines; of a macro's use all that it is given, for it may define these."""
        macro = MACRO.search(code)
        if macro is not None:
            return {os.fsdecode(macro[1])}
        piece = self._pieces.get(code)
        if piece is None or self._file is None:
            return set()
        made = self._file.outline_of(piece)
        found = {s.name.rpartition(" ")[2] for s in made.structs} | {t.name for t in made.typedefs}
        found |= {v.name for v in made.variables} | {e.name for group in made.enumerators for e in group}
        return found | (words_of([code]) - KEYWORDS - {u.name for u in made.uses} if made.uses else set())


MACRO = re.compile(rb"# define (\w+)")

COMMENT = re.compile(rb"/\*.*?\*/|//[^\n]*", re.DOTALL)


def _code(file: Pieces, piece: Piece, directives: Sequence[Directive]) -> bytes:
    """The code of a piece, single blanks between tokens, directives where they stand."""
    tokens: list[bytes] = []
    at = piece.start
    for d in directives[bisect_left(directives, piece.start, key=lambda d: d.start) :]:
        if d.start >= piece.end:
            break
        tokens += TOKEN.findall(STRING.sub(b'""', file.skim.code[at : d.start]))
        tokens += TOKEN.findall(COMMENT.sub(b" ", file.text[d.start : d.end]))
        at = d.end
    tokens += TOKEN.findall(STRING.sub(b'""', file.skim.code[at : piece.end]))
    return b" ".join(tokens)


def _under(file: Pieces, offset: int) -> bytes:
    """The ``#if`` around an offset, "" where there is none."""
    condition = file.conditions.at(offset) if file.skim.parts.groups else ""
    return b"" if not condition else b"# if " + b" ".join(TOKEN.findall(os.fsencode(condition))) + b" : "


def words_of(texts: Iterable[bytes]) -> set[str]:
    return {os.fsdecode(w) for text in texts for w in set(WORD.findall(text))}


def words_in(file: Pieces | None) -> set[str]:
    """All words of a file's code. A search finds those in comments, too, but then there is nothing to be seen."""
    if file is None:
        return set()
    lines = (file.text[d.start : d.end] for d in (*file.skim.parts.defines, *file.skim.parts.groups))
    return words_of((file.skim.code, *lines))
