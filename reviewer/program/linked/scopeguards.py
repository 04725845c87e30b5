"""Scope guards that the tree itself defines: what ``guard(name)`` takes, and gives back at the end of the scope.

``DEFINE_GUARD(name, type, lock, unlock)`` and its sisters (include/linux/cleanup.h) are read as two macros of one argument,
``lock`` and ``unlock``; the guards of the common locks are API models and come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from reviewer.parse import facts
from reviewer.parse.code import BALANCED
from reviewer.parse.extract import split_arguments
from reviewer.program.index.linkage import by_distance, reachable

if TYPE_CHECKING:
    from reviewer.program.linked.link import Func, Program

KINDS = {"DEFINE_GUARD": 2, "DEFINE_LOCK_GUARD_1": 2, "DEFINE_LOCK_GUARD_0": 1}
"""The macro, and which of its arguments takes the lock, counted from 0; the next one releases it."""

DEFINITION = re.compile(rb"^[ \t]*(DEFINE_(?:LOCK_)?GUARD(?:_[01])?)[ \t]*(" + BALANCED + rb")", re.MULTILINE)

POINTER = re.compile(r"\b_T->lock\b")
"""In ``DEFINE_LOCK_GUARD_1`` the object is a member of the guard."""


class ScopeGuards:
    """Memoised per program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._files: tuple[str, ...] | None = None
        self._in: dict[str, dict[str, tuple[int, str, str]]] = {}

    def function(self, event: str, path: str) -> Func | None:
        """What an event ``guard:NAME`` or ``unguard:NAME`` in ``path`` runs; None if the tree does not say."""
        from reviewer.program.linked.link import Func

        kind, _, name = event.partition(":")
        if kind not in ("guard", "unguard"):
            return None
        if self._files is None:
            found = self.program.names.files_mentioning(KINDS)
            self._files = tuple(sorted({file for files in found.values() for file in files}))
        for file in by_distance([f for f in self._files if reachable(f, path)], path):
            known = self._in.get(file)
            if known is None:
                known = self._in[file] = dict(self._defined(file))
            if name in known:
                line, lock, unlock = known[name]
                word = f"{kind}_{name}"
                macro = facts.Macro(word, ("_T",), lock if kind == "guard" else unlock, line, "")
                return Func(f"{file}#{word}@{line}", file, word, None, macro)
        return None

    def _defined(self, file: str) -> Iterator[tuple[str, tuple[int, str, str]]]:
        """The guards that a file defines, each with (line, what takes, what releases)."""
        text = self.program.text(file)
        for m in DEFINITION.finditer(text):
            at = KINDS.get(m[1].decode())
            args = [on_one_line(a) for a in split_arguments(m[2][1:-1])]
            if at is not None and len(args) > at + 1:
                lock, unlock = (POINTER.sub("_T", a) if m[1].endswith(b"_1") else a for a in args[at : at + 2])
                yield args[0], (text.count(b"\n", 0, m.start()) + 1, lock, unlock)


def on_one_line(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").replace("\\\n", " ").split())
