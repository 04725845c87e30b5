"""What a pointer that is called through was given, where the stores into it tell more than the type of the struct it is in.

Two idioms. A driver keeps the table that it found and puts its own in the place (``own->lower_ops = dev->ops; dev->ops =
&own_ops``): what is called through the kept one is never in its own. And an object that has a common one inside fills that by a
path of its own (``virt->base.submit = virt_submit``): what other objects of the common type have there does not count for it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

from reviewer.parse.facts import AddressOf, Const, Expr, Member, Name, Write
from reviewer.program.linked.link import Func, Program
from reviewer.program.linked.structs import Frame
from reviewer.program.linked.written import writes_of

MAX_FILES = 40
"""Files of a folder with the name of a member, above which it is everybody's."""


class Named(Protocol):
    """What a call may mean, by the name of it."""

    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=Named)


class Stores:
    """Memoised by struct and member."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._over: dict[tuple[str, str, str], frozenset[Expr]] = {}
        self._inside: dict[tuple[str, str, str, str], frozenset[str]] = {}

    def narrowed(self, frame: Frame, callee: Member, struct: str, found: tuple[T, ...]) -> tuple[T, ...]:
        """Of what any ``struct T.field`` may hold, where that is called, what this one may."""
        holder = callee.base
        if not isinstance(holder, Member) or not found:
            return found
        owner = frame.type_of(holder.base)
        outer = frame.resolve(owner).name if owner is not None else ""
        if not outer.startswith("struct "):
            return found
        if callee.arrow:
            own = self._own(frame.func.path, outer, holder.name, struct, callee.name)
            return tuple(t for t in found if t.name not in own) if own else found
        if len(found) > 1:
            filled = self._by_path(frame.func.path, outer, holder.name, struct, callee.name)
            return tuple(t for t in found if t.name in filled) or found if filled else found
        return found

    # --- a table in the place of the one that is kept -------------------------------------------------

    def _own(self, path: str, outer: str, holder: str, struct: str, field: str) -> frozenset[str]:
        """The functions in the tables that were put in the place of the one which ``outer.holder`` keeps."""
        home = self._home(outer, path)
        if not home:
            return frozenset()
        key = outer, holder, home
        if key not in self._over:
            self._over[key] = frozenset()
            self._over[key] = frozenset(self._put_over(*key))
        found: set[str] = set()
        for table in self._over[key]:
            file, _, word = table.id[2:].rpartition(":") if isinstance(table, Name) else ("", "", "")
            variable = self.program.variable(word, file or path) if word else None
            found |= set(self.program.table_entry(*variable, struct, field)) if variable is not None else set()
        return frozenset(found)

    def _home(self, outer: str, path: str) -> str:
        """The file of a struct that only the folder of its driver knows; "" for any other."""
        found = self.program.struct_at(outer, path)
        folder = posixpath.dirname(path)
        return found[0] if found is not None and folder and posixpath.dirname(found[0]) == folder else ""

    def _put_over(self, outer: str, holder: str, home: str) -> list[Expr]:
        """The tables that stand where those were that are kept in ``outer.holder``; none unless all of these were found so."""
        tables: list[Expr] = []
        for func, write in self._written(holder, self._files(holder, posixpath.dirname(home))):
            frame = self.program.frame(func)
            if not isinstance(write.target, Member) or not self._owned(frame, write.target.base, outer, home):
                continue
            value = frame.canonical(write.value, {})
            if value == Const(0):
                continue
            over = [
                frame.canonical(w.value, {}) for w in writes_of(frame.body)
                if isinstance(value, Member) and w.at > write.at and frame.canonical(w.target, {}) == value
            ]  # fmt: skip
            if not over:
                return []
            tables += (v.base if isinstance(v, AddressOf) else v for v in over)
        return tables

    # --- a common object inside of another --------------------------------------------------------------

    def _by_path(self, path: str, outer: str, part: str, struct: str, field: str) -> frozenset[str]:
        """The functions that are stored in ``outer.part.field`` by that path; none if it may get others by other ways."""
        home = self._home(outer, path)
        key = outer, part, field, home
        if home and key not in self._inside:
            self._inside[key] = frozenset()
            assigning = self.program.files_assigning(struct, field, path)
            if len(assigning) <= MAX_FILES and not self.program.files_initialising(struct, path):
                self._inside[key] = frozenset(self._stored(outer, part, field, home, assigning))
        return self._inside.get(key, frozenset())

    def _stored(self, outer: str, part: str, field: str, home: str, files: Sequence[str]) -> set[str]:
        found: set[str] = set()
        others: list[tuple[Func, Expr]] = []
        known = [f for f in files if f == home] if home.endswith(".c") else files  # by its name, another file's is another one
        for func, write in self._written(field, known):
            frame = self.program.frame(func)
            target = write.target
            holder = target.base if isinstance(target, Member) and not target.arrow else None
            if isinstance(holder, Member) and holder.name == part and self._owned(frame, holder.base, outer, home):
                found.add(write.value.id if isinstance(write.value, Name) else "")
            else:
                others.append((func, write.value))
        if not found or "" in found:
            return set()
        handed = re.compile(rb"&[^;,=]*(?:->|\.)\s*" + re.escape(part.encode()) + rb"\b(?!\s*(?:->|\.|\[))")
        found |= {v.id for f, v in others if isinstance(v, Name) and self._handed(f, handed)}
        return found

    def _handed(self, func: Func, part: re.Pattern[bytes]) -> bool:
        """Whether a function that fills any object of the common type may be given the one that is inside."""
        if part.search(func.text):
            return True
        folder = posixpath.dirname(func.path)
        callers = (f for file in self._files(func.name, folder) for f in self.program.functions_with(file, func.name))
        return any(part.search(f.text) for f in callers)

    # --- stores ----------------------------------------------------------------------------------------

    def _files(self, word: str, folder: str) -> list[str]:
        """The files of a folder with a word; none if they are many."""
        named = self.program.names.files_mentioning([word], (folder,)).get(word, ())
        found = [f for f in named if posixpath.dirname(f) == folder]
        return found if len(found) <= MAX_FILES else []

    def _written(self, field: str, files: Sequence[str]) -> Iterator[tuple[Func, Write]]:
        """The assignments to a member of that name in functions of some files."""
        for func in (f for file in files for f in self.program.functions_with(file, field)):
            for write in writes_of(self.program.frame(func).body):
                if isinstance(write.target, Member) and write.target.name == field and write.op == "=":
                    yield func, write

    def _owned(self, frame: Frame, base: Expr, outer: str, home: str) -> bool:
        """Whether what a path begins with is, or points to, an object of the struct ``outer`` of the file ``home``."""
        owner = frame.type_of(frame.canonical(base, {}))
        if owner is None or frame.resolve(owner).name != outer:
            return False
        found = self.program.struct_at(outer, frame.func.path)
        return found is not None and found[0] == home
