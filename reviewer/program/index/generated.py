"""Variables that macros of the tree make at file scope, whole (``DEFINE_USER(block, callback);``) or in part
(``struct user u = { USER_OPS(open, close) };``).

The macro's text says what they are, so each use is expanded and read as a declaration.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
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

MAKES = re.compile(
    r"\bstruct\s+\w+\s+[\w#\s]*=\s*\{|^\s*(?:static\s+)?(?:const\s+)?struct\s+\w+\s+\w[\w#\s]*(?:\[\])?\s*="
    r"|;\s*(?:const\s+)?struct\s+\w+\s+\w+\s*$"
)
"""A macro body that declares a struct variable with an initialiser, or the last of which is the declaration of one."""

LEADING = re.compile(r"\s*(?:(?:static|const)\s+)*([A-Za-z_]\w*)\s*\(")
"""A macro body, or a part of an initialiser, that begins with the use of another macro."""

MAKES_OF = r"\bstruct\s+%s\s+[\w#\s]*(?:=\s*\{|$)"
"""The same for one struct."""

FILLS = re.compile(r"(?:^|,)\s*\.\w+\s*=")
"""A macro body that is a part of an initialiser."""

GIVES = re.compile(r"\s*([A-Za-z_]\w*)\s*\(\s*&?\s*[A-Za-z_]\w*\s*\)\s*")
"""The value of a member by way of a macro: ``pm_ptr(&ops)``."""

WRAPS = re.compile(r"[\w\s()?:,]*")
"""A macro body that gives a pointer it is given, or none: ``((cond) ? (ptr) : NULL)``."""

WORD = re.compile(r"[A-Za-z_]\w*")

DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|.)*", re.M)
"""A line of the preprocessor in an initialiser: all arms count, as where no macro stands (:mod:`reviewer.parse.groups`)."""

MAX_USE = 4_000
"""Bytes of a use that is looked at; longer ones are tables that no question is about."""


class Mentions(Protocol):
    """Where words stand."""

    def files_mentioning(self, names: Iterable[str], under: Sequence[str] = ()) -> dict[str, tuple[str, ...]]: ...


class Macros(Protocol):
    """What the expansion needs of :class:`reviewer.program.linked.link.Program`."""

    dialect: Dialect
    making: dict[tuple[str, str, str], bool]
    """What is known of macros: (file, name, question) to the answer."""

    @property
    def names(self) -> Mentions: ...

    def file(self, path: str) -> Pieces: ...
    def macro_at(self, name: str, path: str) -> tuple[str, facts.Macro] | None: ...


class Making:
    """The macros, seen from one file, of which a variable is made; others stay as they are for the dialect to read.

    ``names``: those that are used outside of other macros.
    """

    def __init__(self, program: Macros, path: str, names: frozenset[str]) -> None:
        self.program = program
        self.path = path
        self.names = set(names)

    def macro(self, name: str) -> facts.Macro | None:
        got = self.program.macro_at(name, self.path) if name in self.names else None
        if got is None:
            return None
        made = got[1]
        words = [w[0] for w in WORD.finditer(made.body)]
        if any(leads(self.program, self.path, name, to) for to in (MAKES, FILLS)):
            self.names.update(words)
            return made
        given = [w for w in words if w in (made.parameters or ())]
        return msgspec.structs.replace(made, body=given[-1]) if given and WRAPS.fullmatch(made.body) else None

    def enumerator(self, name: str) -> int | None:
        return None


def leads(program: Macros, path: str, name: str, to: re.Pattern[str]) -> bool:
    """Whether the body of a macro, or of the one that its body begins with, has what is looked for."""
    got = program.macro_at(name, path)
    if got is None:
        return False
    key = got[0], name, to.pattern
    known = program.making.get(key)
    if known is None:
        program.making[key] = False
        inner = LEADING.match(got[1].body)
        known = program.making[key] = to.search(got[1].body) is not None or (
            inner is not None and leads(program, path, inner[1], to)
        )
    return known


def filled(program: Macros, path: str, variable: facts.Variable) -> facts.Variable:
    """A variable with its initialiser as macros in there fill it; the variable as it is where there are none."""
    if variable.type.array or not fillers(program, path, variable.value):
        return variable
    file = program.file(path)
    for piece in file.declaring(variable.name):
        if piece.end - piece.start <= MAX_USE and any(v is variable for v in file.outline_of(piece).variables):
            text = DIRECTIVE.sub("", file.text[piece.start : piece.end].decode("utf-8", "replace"))
            try:
                words = expand(text, Making(program, path, frozenset(w[0] for w in WORD.finditer(text))))
            except TooMuch:
                return variable
            made = Outliner((" ".join(words) + "\n").encode(), program.dialect, piece.start)
            made.run()
            value = next((v.value for v in made.variables if v.name == variable.name), None)
            return msgspec.structs.replace(variable, value=value) if value is not None else variable
    return variable


def makers(program: Macros, home: str, tag: str) -> tuple[str, ...]:
    """Macros that make an object of the struct that the file ``home`` defines: those in there, and those in the headers of its
    folder that begin with one of them."""
    made = re.compile(MAKES_OF % re.escape(tag))
    found = {m.name for m in program.file(home).macros_with(tag) if m.parameters is not None and made.search(m.body)}
    fresh = set(found)
    while fresh:
        files = program.names.files_mentioning(sorted(fresh), (posixpath.dirname(home),) if "/" in home else ())
        seen = [
            (m, LEADING.match(m.body)) for word, inside in files.items() for f in inside if f.endswith(".h")
            for m in program.file(f).macros_with(word) if m.parameters is not None
        ]  # fmt: skip
        fresh = {m.name for m, leading in seen if leading is not None and leading[1] in fresh} - found
        found |= fresh
    return tuple(sorted(found))


def fillers(program: Macros, path: str, value: facts.Expr | None) -> bool:
    """Whether macros give parts of an initialiser, or values of its members by a name."""
    for designator, item in value.items if isinstance(value, facts.Items) else ():
        if designator:
            if (isinstance(item, facts.Text) and GIVES.fullmatch(item.text)) or fillers(program, path, item):
                return True
        elif isinstance(item, facts.Text):
            name = LEADING.match(item.text)
            if name is not None and leads(program, path, name[1], FILLS):
                return True
        elif isinstance(item, facts.Name) and item.id.isupper() and leads(program, path, item.id, FILLS):
            return True
    return False


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
    found: dict[str, facts.Variable] = {}
    for piece in file.skim.pieces:
        if piece.name or piece.end - piece.start > MAX_USE:
            continue
        use = USE.fullmatch(file.skim.code_of(piece))
        if use is None:
            continue
        name = use[2].decode()
        if name in program.dialect.variables or not leads(program, path, name, MAKES):
            continue
        text = file.text[piece.start : piece.end].decode("utf-8", "replace")
        try:
            words = expand(text, Making(program, path, frozenset({name})))
        except TooMuch:
            continue
        made = Outliner((" ".join(words) + ";\n").encode(), program.dialect, piece.start)
        made.run()
        for v in made.variables:
            if v.name not in found or found[v.name].value is None:
                found[v.name] = msgspec.structs.replace(v, line=file.line_at(piece.start))
    return found
