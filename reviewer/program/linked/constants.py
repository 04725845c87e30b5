"""Constants as a file sees them: macros, enumerators, expressions of both."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Protocol

from reviewer.parse import facts
from reviewer.parse.constexpr import evaluate
from reviewer.parse.pieces import Pieces
from reviewer.program.api.models import ApiModels
from reviewer.program.index.linkage import closest, reachable
from reviewer.program.linked.values import rebuild

TRUTH = {"true": 1, "false": 0}
"""Enumerators of include/linux/stddef.h that every file sees, and words of the language by now."""


MAX_NEAREST = 32
"""Headers of a file, the nearest first, in which an enumerator is looked for that the index leaves out."""


class Names(Protocol):
    """What is needed of the index of definitions."""

    def files_defining_enumerator(self, name: str) -> tuple[str, ...]: ...


class Units(Protocol):
    """What is needed of the files that a file includes."""

    def visible(self, path: str) -> dict[str, int]: ...


class Program(Protocol):
    """What is needed of :class:`reviewer.program.linked.link.Program`."""

    @property
    def models(self) -> ApiModels: ...
    @property
    def names(self) -> Names: ...
    @property
    def constants(self) -> Constants: ...
    @property
    def units(self) -> Units: ...
    def text(self, path: str) -> bytes: ...
    def file(self, path: str) -> Pieces: ...
    def unit(self, path: str) -> Sequence[str]: ...
    def macro(self, name: str, path: str) -> facts.Macro | None: ...
    def macro_at(self, name: str, path: str) -> tuple[str, facts.Macro] | None: ...


class Constants:
    """Memoised per program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._constants: dict[tuple[str, str], int | None] = {}
        self._enumerators: dict[tuple[str, str], int | None] = {}

    def enumerator(self, name: str, path: str) -> int | None:
        """The value of an enumerator that ``path`` sees, or None; None, too, where it differs by configuration."""
        if name in TRUTH:
            return TRUTH[name]
        key = (name, posixpath.dirname(path))
        if key not in self._enumerators:
            self._enumerators[key] = None
            unit = self.program.unit(path)  # what merely looks like an enumerator there must not hide the header that has it
            found = self.program.names.files_defining_enumerator(name)
            for file in (*unit, *closest([f for f in found if f not in unit and reachable(f, path)], path)):
                groups = self.program.file(file).enums(name)
                known = {v for group in groups if (v := self._value_in(group, name, file)) is not None}
                if known:
                    self._enumerators[key] = known.pop() if len(known) == 1 else None
                    break
        return self._enumerators[key]

    def included(self, name: str, path: str) -> int | None:
        """The value of an enumerator in lower case, which the index leaves out, by the nearest headers that ``path`` includes."""
        for header in islice(self.program.units.visible(path), MAX_NEAREST):
            if name.encode() in self.program.text(header):
                known = {self._value_in(group, name, header) for group in self.program.file(header).enums(name)}
                if known:
                    return known.pop() if len(known) == 1 else None
        return None

    def _value_in(self, group: tuple[facts.Enumerator, ...], name: str, path: str) -> int | None:
        values: dict[str, int] = {}
        last: int | None = -1
        for e in group:
            if e.value is None:
                last = last + 1 if last is not None else None
            else:
                last = self.number(e.value, path, values)
            if e.name == name:
                return last
            if last is not None:
                values[e.name] = last
        return None

    def number(self, expr: facts.Expr, path: str, before: Mapping[str, int] = MappingProxyType({})) -> int | None:
        """The value of an expression of constants in ``path``, or None; ``before``: what further names are worth."""

        def leaf(e: facts.Expr) -> facts.Expr | None:
            if isinstance(e, facts.Name):
                known = before.get(e.id)
                if known is None:
                    macro = self.program.macro(e.id, path)
                    if macro is not None and macro.parameters is None:
                        known = evaluate(macro.body, FileMacros(self.program, path))
                return facts.Const(known) if known is not None else None
            if isinstance(e, facts.Text):
                known = evaluate(e.text, FileMacros(self.program, path))
                return facts.Const(known) if known is not None else None
            return None

        got = rebuild(expr, leaf)
        return got.value if isinstance(got, facts.Const) else None

    def constant(self, name: str, path: str) -> int | None:
        """The value of a macro or enumerator in ``path``, or None if it is not a constant that can be told."""
        key = (name, path)
        if key not in self._constants:
            self._constants[key] = None  # a macro that names itself has no value
            self._constants[key] = self._constant(name, path)
        return self._constants[key]

    def _constant(self, name: str, path: str) -> int | None:
        known = self.program.models.constants.get(name)
        if known is not None:
            return known
        found = self.program.macro_at(name, path)
        if found is not None:
            home, macro = found
            if macro.parameters is not None or len({m.body for m in self.program.file(home).macros(name)}) > 1:
                return None  # several values, one per configuration, decide nothing
            # What the macro names is meant as its own file sees it, where that says anything.
            return evaluate(macro.body, FileMacros(self.program, home, path))
        return self.enumerator(name, path)


class FileMacros:
    """The macros and enumerators that are visible from one file, for :mod:`reviewer.parse.constexpr`."""

    def __init__(self, program: Program, path: str, user: str = "") -> None:
        self.program = program
        self.homes = [h for h in (path, user) if h]  # `user`: a file that includes `path`, and may see more

    def macro(self, name: str) -> facts.Macro | None:
        """The macro; what it is made of may be mere numbers, which are known only to the file in which it stands."""
        for home in self.homes:
            got = self.program.macro_at(name, home)
            if got is not None:
                if got[0] not in self.homes:
                    self.homes.append(got[0])
                return got[1]
        return None

    def enumerator(self, name: str) -> int | None:
        return next((v for home in self.homes if (v := self.program.constants.enumerator(name, home)) is not None), None)
