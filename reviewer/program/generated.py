"""Variables that a macro of the tree makes at file scope: ``DEFINE_USER(block, callback);``.

The macro's text says what they are, so each use is expanded and read as a declaration.
"""

from __future__ import annotations

import re
from typing import Protocol

import msgspec

from reviewer.parse import facts
from reviewer.parse.code import words_of
from reviewer.parse.dialect import Dialect
from reviewer.parse.expand import TooMuch, expand
from reviewer.parse.extract import Outliner
from reviewer.parse.pieces import Pieces

USE = re.compile(rb"\s*(static\s+)?([A-Za-z_]\w*)\s*\([^{}]*\)\s*;?\s*", re.S)
"""A piece at file scope that is one macro use and nothing else."""

MAKES = re.compile(r"\bstruct\s+\w+\s+[\w#\s]*=\s*\{|^\s*(?:static\s+)?(?:const\s+)?struct\s+\w+\s+\w[\w#\s]*(?:\[\])?\s*=")
"""A macro body that declares a struct variable with an initialiser."""

MAX_USE = 4_000
"""Bytes of a use that is looked at; longer ones are tables that no question is about."""


class Macros(Protocol):
    """What the expansion needs of :class:`reviewer.program.link.Program`."""

    dialect: Dialect

    def file(self, path: str) -> Pieces: ...
    def macro(self, name: str, path: str) -> facts.Macro | None: ...


class Making:
    """The macros, seen from one file, that make variables; others stay as they are for the dialect to read."""

    def __init__(self, program: Macros, path: str) -> None:
        self.program = program
        self.path = path

    def macro(self, name: str) -> facts.Macro | None:
        got = self.program.macro(name, self.path)
        return got if got is not None and got.parameters is not None and MAKES.search(got.body) else None

    def enumerator(self, name: str) -> int | None:
        return None


def given(file: Pieces) -> frozenset[str]:
    """Words that macro uses at file scope are given."""
    found: set[bytes] = set()
    for piece in file.skim.pieces:
        if not piece.name and piece.end - piece.start <= MAX_USE:
            code = file.skim.code_of(piece)
            use = USE.fullmatch(code)
            if use is not None:
                found.update(words_of(code[use.end(2) :]))
    return frozenset(word.decode("ascii", "replace") for word in found)


def may_make(words: frozenset[str], name: str) -> bool:
    """Whether a macro that is given ``words`` may make a variable ``name``: it is one of them, or pasted from one."""
    return any(word in name for word in words)


def variables(program: Macros, path: str) -> dict[str, facts.Variable]:
    """The variables, by name, that macro uses in the file ``path`` make."""
    file = program.file(path)
    macros = Making(program, path)
    found: dict[str, facts.Variable] = {}
    for piece in file.skim.pieces:
        if piece.name or piece.end - piece.start > MAX_USE:
            continue
        use = USE.fullmatch(file.skim.code_of(piece))
        if use is None:
            continue
        name = use[2].decode()
        if name in program.dialect.variables or macros.macro(name) is None:
            continue
        try:
            words = expand(file.text[piece.start : piece.end].decode("utf-8", "replace"), macros)
        except TooMuch:
            continue
        made = Outliner((" ".join(words) + ";\n").encode(), program.dialect, piece.start)
        made.run()
        for v in made.variables:
            found.setdefault(v.name, msgspec.structs.replace(v, line=file.line_at(piece.start)))
    return found
