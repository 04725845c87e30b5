"""How a file differs between two trees, as far as code can tell: comments and blanks do not count."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from reviewer.parse.pieces import Pieces

TOKEN = re.compile(rb"\w+|[^\w\s]")

STRING = re.compile(rb'"[^"]*"')
"""A string, of which nothing is analysed: a message in other words is no change."""

WORD = re.compile(rb"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Change:
    """One C file on two sides.

    :ivar functions: names of functions that differ, are new or are gone.
    :ivar outside: words of changed code outside functions: declarations, types, tables, macros.
    :ivar inside: words that stand on one side only of a changed function. :ivar differing: on one side only of the file.
    :ivar defining: words of code outside functions, and names of functions, that stand there on one side only.
    :ivar includes: what it includes differs. :ivar gone: it is on one side only.
    """

    functions: frozenset[str] = frozenset()
    outside: frozenset[str] = frozenset()
    inside: frozenset[str] = frozenset()
    differing: frozenset[str] = frozenset()
    defining: frozenset[str] = frozenset()
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
    outside = words_of(((was.rest - now.rest) + (now.rest - was.rest)).elements())
    inside: set[str] = set()
    for name in functions:
        inside |= words_of(was.functions.get(name, ())) ^ words_of(now.functions.get(name, ()))
    defining = words_of((was.rest - now.rest).elements()) ^ words_of((now.rest - was.rest).elements())
    return Change(
        frozenset(functions), frozenset(outside), frozenset(inside), frozenset(words_in(old) ^ words_in(new)),
        frozenset(defining | (was.functions.keys() ^ now.functions.keys())),
        (old.includes if old is not None else ()) != (new.includes if new is not None else ()),
        (old is None) != (new is None),
    )  # fmt: skip


class Parts:
    """A file taken apart: the code of each function by name, and of everything else, single blanks between tokens."""

    def __init__(self, file: Pieces | None) -> None:
        self.functions: dict[str, Counter[bytes]] = {}
        self.rest: Counter[bytes] = Counter()
        if file is None:
            return
        text = file.text
        for piece in file.skim.pieces:
            code = b" ".join(TOKEN.findall(STRING.sub(b'""', file.skim.code[piece.start : piece.end])))
            if piece.name:
                self.functions.setdefault(piece.name, Counter())[code] += 1
            else:
                self.rest[code] += 1
        for directive in (*file.skim.parts.defines, *file.skim.parts.groups):
            code = b" ".join(TOKEN.findall(text, directive.start, directive.end))
            inside = file.skim.piece_at(directive.start)
            if inside is not None and inside.name:
                self.functions[inside.name][code] += 1
            else:
                self.rest[code] += 1


def words_of(texts: Iterable[bytes]) -> set[str]:
    return {os.fsdecode(w) for text in texts for w in set(WORD.findall(text))}


def words_in(file: Pieces | None) -> set[str]:
    """All words of a file's code. A search finds those in comments, too, but then there is nothing to be seen."""
    if file is None:
        return set()
    lines = (file.text[d.start : d.end] for d in (*file.skim.parts.defines, *file.skim.parts.groups))
    return words_of((file.skim.code, *lines))
