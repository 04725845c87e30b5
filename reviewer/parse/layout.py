"""Where the pieces of a file are, as numbers that can be kept: to find them takes longer than to parse one of them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from reviewer.parse.lexical import CONDITIONALS, DEFINES, Directive, Split
from reviewer.parse.skim import Piece, Skim

WORTH_KEEPING = 6_000
"""Bytes of a file from which on its layout is read faster than made."""

KINDS = (*sorted(CONDITIONALS), *sorted(DEFINES))


class Layout(msgspec.Struct, array_like=True, frozen=True):
    """The pieces and the directives of one text, each number relative to the one before.

    ``pieces``: for each the gap before it, its length, and the offset of its brace plus 1 (0 for none). ``names``: theirs,
    parted by line feeds. ``groups``, ``defines``: for each directive its number in :data:`KINDS`, the gap, and the length.
    """

    size: int
    pieces: list[int]
    names: str
    groups: list[int]
    defines: list[int]


def layout_of(skim: Skim) -> Layout:
    """The layout of a text that has been looked through."""
    numbers: list[int] = []
    at = 0
    for piece in skim.pieces:
        numbers += (piece.start - at, piece.end - piece.start, piece.brace - piece.start + 1 if piece.brace >= 0 else 0)
        at = piece.end
    names = "\n".join(piece.name for piece in skim.pieces)
    return Layout(len(skim.text), numbers, names, _flat(skim.parts.groups), _flat(skim.parts.defines))


def laid_out(text: bytes, layout: Layout) -> Skim | None:
    """What looking through ``text`` would give; None if the layout is another text's."""
    if layout.size != len(text):
        return None
    pieces: list[Piece] = []
    at = 0
    numbers = iter(layout.pieces)
    for gap, length, brace, name in zip(numbers, numbers, numbers, layout.names.split("\n"), strict=False):
        start = at + gap
        at = start + length
        pieces.append(Piece(start, at, start + brace - 1 if brace else -1, name))
    return Skim(Split(text, _directives(layout.groups), _directives(layout.defines)), pieces)


def _flat(directives: Iterable[Directive]) -> list[int]:
    found: list[int] = []
    at = 0
    for line in directives:
        found += (KINDS.index(line.kind), line.start - at, line.end - line.start)
        at = line.end
    return found


def _directives(numbers: list[int]) -> list[Directive]:
    found: list[Directive] = []
    at = 0
    rest = iter(numbers)
    for kind, gap, length in zip(rest, rest, rest, strict=True):
        start = at + gap
        at = start + length
        found.append(Directive(KINDS[kind], start, at))
    return found
