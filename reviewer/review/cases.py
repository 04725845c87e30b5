"""``CASES.yaml``: known bugs and harmless patches as edits of a tree, for ``reviewer bench``.

A case is a list of edits; each replaces a text that stands exactly once in the lines of a function (or, with no function, in the
file). A bug says of which category it is and where it is to be seen; a harmless patch expects no finding.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, RootModel

from reviewer.errors import InputError
from reviewer.parse.dialect import load_dialect
from reviewer.parse.pieces import Pieces
from reviewer.source.tree import Tree
from reviewer.yamlfile import read


class EditSchema(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)
    file: str = Field(min_length=1)
    function: str | None = None
    find: str = Field(min_length=1)
    replace: str


class ExpectSchema(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)
    function: str | None = None
    scope: str | None = None


class CaseSchema(BaseModel):
    """Other keys are for people."""

    model_config = ConfigDict(extra="ignore", strict=True)
    id: str = Field(min_length=1)
    subject: str | None = None
    category: str | None = Field(None, pattern="^[A-Z]$")
    confidence: str | None = None
    edits: list[EditSchema] = Field(min_length=1)
    expect: ExpectSchema | None = None


class CasesSchema(RootModel[list[CaseSchema]]):
    pass


class Edit(msgspec.Struct, frozen=True):
    """``find``, once in ``function`` of ``file``, becomes ``replace``."""

    file: str
    function: str | None
    find: str
    replace: str


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One bug, with its category, or one harmless patch, without.

    :ivar function: where the bug is to be seen. :ivar scope: how far apart its parts are. :ivar confidence: how sure it is one.
    """

    id: str
    subject: str
    category: str
    function: str
    scope: str
    confidence: str
    edits: tuple[Edit, ...]


def read_cases(path: Path) -> list[Case]:
    """:raises InputError: no such file, or it does not fit; with the line"""
    file = read(path)
    found: list[Case] = []
    seen: dict[str, int] = {}
    for number, one in enumerate(file.check(CasesSchema).root):
        if one.id in seen:
            file.fail((number, "id"), f"the id {one.id!r} is there twice", "name it otherwise")
        seen[one.id] = number
        function = one.expect.function if one.expect is not None else None
        if one.category is not None and function is None:
            file.fail((number,), "a case with a category and without expect.function", "say where the bug is to be seen")
        edits = tuple(Edit(e.file, e.function, e.find, e.replace) for e in one.edits)
        scope = (one.expect.scope if one.expect is not None else None) or ""
        found.append(
            Case(
                id=one.id, subject=one.subject or one.id, category=one.category or "", function=function or "", scope=scope,
                confidence=one.confidence or "", edits=edits,
            )
        )  # fmt: skip
    return found


def as_patch(case: Case, tree: Tree) -> bytes:
    """The case as a patch of the tree.

    :raises InputError: a file is not there, or a text does not stand in it exactly once
    """
    before: dict[str, bytes] = {}
    after: dict[str, bytes] = {}
    for number, edit in enumerate(case.edits, 1):
        if edit.file not in after:
            before[edit.file] = after[edit.file] = tree.read(edit.file)
        after[edit.file] = edited(after[edit.file], edit, f"case {case.id}, edit {number}")
    text = "".join(f"{line}\n" for line in (f"Subject: [PATCH] {case.id}: {' '.join(case.subject.split())}", "", "---"))
    return text.encode() + b"".join(_diff(path, before[path], after[path]) for path in before)


def edited(text: bytes, edit: Edit, where: str) -> bytes:
    """A file after an edit.

    :param where: the case, for a complaint.
    """
    find = edit.find.rstrip("\n").encode("utf-8", "surrogateescape")
    replace = edit.replace.rstrip("\n").encode("utf-8", "surrogateescape")
    places = sorted({at for start, end in _ranges(text, edit) for at in _found(text, find, start, end)})
    if len(places) != 1:
        inside = f"{edit.file}, function {edit.function}" if edit.function else edit.file
        raise InputError(f"{where}: its text stands {len(places)} times in {inside}", "write it so that it stands there once")
    start, end = places[0], places[0] + len(find)
    if not replace and text[end : end + 1] == b"\n" and (start == 0 or text[start - 1 : start] == b"\n"):
        end += 1  # the whole line goes
    return text[:start] + replace + text[end:]


def _ranges(text: bytes, edit: Edit) -> Iterator[tuple[int, int]]:
    if edit.function is None:
        yield 0, len(text)
        return
    pieces = Pieces(text, load_dialect())
    for piece in (piece for name in spellings(edit.function) for piece in pieces.functions(name)):
        # A header may begin on a line that the piece leaves to what stands before it: an attribute, a comment.
        yield text.rfind(b"\n", 0, piece.start) + 1, max(piece.end, text.find(b"\n", piece.end - 1))


def spellings(function: str) -> tuple[str, ...]:
    """The names that a function may have of which a case says one: ``SYSCALL_DEFINE1(f, ...)`` is written ``f``, defines
    ``sys_f`` (include/linux/syscalls.h)."""
    return function, f"sys_{function}", f"compat_sys_{function}"


def _found(text: bytes, find: bytes, start: int, end: int) -> Iterator[int]:
    at = text.find(find, start, end)
    while at >= 0:
        yield at
        at = text.find(find, at + 1, end)


def _diff(path: str, old: bytes, new: bytes) -> bytes:
    lines: Iterable[Any] = difflib.diff_bytes(
        difflib.unified_diff, old.splitlines(keepends=True), new.splitlines(keepends=True),
        b"a/" + path.encode(), b"b/" + path.encode(),
    )  # fmt: skip
    head = f"diff --git a/{path} b/{path}\n".encode()
    return head + b"".join(
        line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n" for line in map(bytes, lines)
    )
