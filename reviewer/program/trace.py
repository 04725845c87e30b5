"""What an answer rests on, and whether a change of some files can touch it.

An answer about a program is made of functions that were looked at and of words that were looked for. A change that touches
none of these leaves the answer as it is, so that it need not be computed again (early cut-off, as in an incremental build).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reviewer.program.change import Change

if TYPE_CHECKING:
    from reviewer.program.link import Names


ALL = "*"
"""In place of a function's name: whatever functions the file has."""

INCLUDES = "#"
"""In place of a function's name: what the file includes."""


class Heard:
    """An index of names that remembers what it was asked.

    :ivar defined: names of which the definitions were asked for. :ivar filled: structs and members of which the users were.
    :ivar mentioned: (folder, word) of words that were looked for in a folder, "" being the whole tree.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self.defined: set[str] = set()
        self.filled: set[str] = set()
        self.mentioned: set[tuple[str, str]] = set()

    def files_defining(self, name: str) -> tuple[str, ...]:
        self.defined.add(name)
        return self._names.files_defining(name)

    def files_defining_struct(self, name: str) -> tuple[str, ...]:
        self.defined.add(name.split(" ", 1)[-1])
        return self._names.files_defining_struct(name)

    def files_defining_macro(self, name: str) -> tuple[str, ...]:
        self.defined.add(name)
        return self._names.files_defining_macro(name)

    def files_defining_enumerator(self, name: str) -> tuple[str, ...]:
        self.defined.add(name)
        return self._names.files_defining_enumerator(name)

    def files_initialising(self, tag: str) -> tuple[str, ...]:
        self.filled.add(tag)
        return self._names.files_initialising(tag)

    def files_assigning(self, member: str) -> tuple[str, ...]:
        self.filled.add(member)
        return self._names.files_assigning(member)

    def files_mentioning(self, names: Iterable[str], under: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
        wanted = list(names)
        for folder in under or ("",):
            self.mentioned.update((folder, name) for name in wanted)
        return self._names.files_mentioning(wanted, under)

    def kept_by_file(
        self, kind: str, key: str, files: Sequence[str], find: Callable[[Sequence[str]], Iterable[tuple[str, str]]]
    ) -> list[tuple[str, str]]:
        return self._names.kept_by_file(kind, key, files, find)


Pairs = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Trace:
    """What one answer rests on.

    :ivar files: that were read. :ivar functions: (path, name) of those that were looked at, there or not.
    :ivar defined: names, :ivar filled: structs and members, :ivar mentioned: (folder, word) as in :class:`Heard`.
    :ivar outside: (path, word) of words that were looked for in a file, outside functions; :ivar inside: in functions.
    """

    files: frozenset[str] = frozenset()
    functions: Pairs = frozenset()
    defined: frozenset[str] = frozenset()
    filled: frozenset[str] = frozenset()
    mentioned: Pairs = frozenset()
    outside: Pairs = frozenset()
    inside: Pairs = frozenset()

    def __or__(self, other: Trace) -> Trace:
        return Trace(*(getattr(self, name) | getattr(other, name) for name in _SETS))

    def pack(self) -> bytes:
        """The trace as bytes."""
        parts = [_packed(getattr(self, name)) for name in _PAIRS] + ["\n".join(getattr(self, name)) for name in _WORDS]
        return zlib.compress("\n\n".join(parts).encode("utf-8", "surrogateescape"), 1)

    @classmethod
    def unpack(cls, data: bytes) -> Trace:
        """:raises ValueError: no trace that :meth:`pack` made."""
        try:
            parts = zlib.decompress(data).decode("utf-8", "surrogateescape").split("\n\n")
        except zlib.error as error:
            raise ValueError(str(error)) from None
        functions, mentioned, outside, inside = map(_pairs, parts[: len(_PAIRS)])
        files, defined, filled = (frozenset(filter(None, text.split("\n"))) for text in parts[len(_PAIRS) :])
        return cls(files, functions, defined, filled, mentioned, outside, inside)

    def touched(self, changes: Mapping[str, Change]) -> bool:
        """Whether one of these changed files, by path, can make the answer another one."""
        return any(self._touched(path, change) for path, change in changes.items())

    def _touched(self, path: str, change: Change) -> bool:
        if not self.defined.isdisjoint(change.defining) or not self.filled.isdisjoint(change.filling):
            return True
        folders = ["", *(path[:i] for i, letter in enumerate(path) if letter == "/"), path]
        if any((folder, word) in self.mentioned for folder in folders for word in change.differing):
            return True
        if path not in self.files:
            return False
        names = (*change.functions, ALL) if change.functions else ()
        if change.includes:
            names = (*names, INCLUDES)
        if change.gone or any((path, name) in self.functions for name in names):
            return True
        return any((path, word) in self.outside for word in change.outside) or any(
            (path, word) in self.inside for word in change.inside
        )


_PAIRS = ("functions", "mentioned", "outside", "inside")

_WORDS = ("files", "defined", "filled")

_SETS = ("files", "functions", "defined", "filled", "mentioned", "outside", "inside")
"""The fields of a trace in their order."""


def _packed(pairs: Pairs) -> str:
    """Lines ``path NUL word NUL word``."""
    by_path: dict[str, list[str]] = {}
    for path, word in pairs:
        by_path.setdefault(path, []).append(word)
    return "\n".join("\0".join((path, *words)) for path, words in by_path.items())


def _pairs(text: str) -> Pairs:
    lines = (line.split("\0") for line in text.split("\n") if line)
    return frozenset((path, word) for path, *words in lines for word in words)
