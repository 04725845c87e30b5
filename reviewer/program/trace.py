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


class Heard:
    """An index of names that tells which words it is asked for.

    :param ask: is told each word.
    """

    def __init__(self, names: Names, ask: Callable[[str], None]) -> None:
        self._names = names
        self._ask = ask

    def files_defining(self, name: str) -> tuple[str, ...]:
        self._ask(name)
        return self._names.files_defining(name)

    def files_defining_struct(self, name: str) -> tuple[str, ...]:
        self._ask(name.split(" ", 1)[-1])
        return self._names.files_defining_struct(name)

    def files_defining_macro(self, name: str) -> tuple[str, ...]:
        self._ask(name)
        return self._names.files_defining_macro(name)

    def files_defining_enumerator(self, name: str) -> tuple[str, ...]:
        self._ask(name)
        return self._names.files_defining_enumerator(name)

    def files_initialising(self, tag: str) -> tuple[str, ...]:
        self._ask(tag)
        return self._names.files_initialising(tag)

    def files_assigning(self, member: str) -> tuple[str, ...]:
        self._ask(member)
        return self._names.files_assigning(member)

    def files_mentioning(self, names: Iterable[str], under: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
        wanted = list(names)
        for name in wanted:
            self._ask(name)
        return self._names.files_mentioning(wanted, under)


@dataclass(frozen=True)
class Trace:
    """What one answer rests on.

    :ivar files: that were read. :ivar functions: (path, name) of those that were looked at, there or not.
    :ivar words: that were looked for, in the index or in a file.
    """

    files: frozenset[str] = frozenset()
    functions: frozenset[tuple[str, str]] = frozenset()
    words: frozenset[str] = frozenset()

    def __or__(self, other: Trace) -> Trace:
        return Trace(self.files | other.files, self.functions | other.functions, self.words | other.words)

    def pack(self) -> bytes:
        """The trace as bytes."""
        by_path: dict[str, list[str]] = {}
        for path, name in sorted(self.functions):
            by_path.setdefault(path, []).append(name)
        lines = ["\0".join((path, *names)) for path, names in by_path.items()]
        parts = ("\n".join(sorted(self.files)), "\n".join(lines), "\n".join(sorted(self.words)))
        return zlib.compress("\n\n".join(parts).encode("utf-8", "surrogateescape"), 1)

    @classmethod
    def unpack(cls, data: bytes) -> Trace:
        """:raises ValueError: no trace that :meth:`pack` made."""
        try:
            files, functions, words = zlib.decompress(data).decode("utf-8", "surrogateescape").split("\n\n")
        except zlib.error as error:
            raise ValueError(str(error)) from None
        pairs = (line.split("\0") for line in functions.split("\n") if line)
        return cls(
            frozenset(filter(None, files.split("\n"))), frozenset((path, name) for path, *names in pairs for name in names),
            frozenset(filter(None, words.split("\n"))),
        )  # fmt: skip

    def touched(self, changes: Mapping[str, Change]) -> bool:
        """Whether one of these changed files, by path, can make the answer another one."""
        return any(self._touched(path, change) for path, change in changes.items())

    def _touched(self, path: str, change: Change) -> bool:
        if path not in self.files:
            return not change.differing.isdisjoint(self.words)
        names = (*change.functions, ALL) if change.functions else ()
        if change.gone or change.includes or any((path, name) in self.functions for name in names):
            return True
        return not self.words.isdisjoint(change.outside) or not self.words.isdisjoint(change.inside)
