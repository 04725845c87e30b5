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


_KEYWORDS = """
auto bool break case char const continue default do double else enum extern float for goto if inline int long register
return short signed sizeof static struct switch typedef union unsigned void volatile while
"""
KEYWORDS = frozenset(_KEYWORDS.split())
"""Words that say nothing of where something stands, though a type's name may be made of them."""

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


Pairs = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Trace:
    """What one answer rests on.

    :ivar files: that were read. :ivar functions: (path, name) of those that were looked at, there or not.
    :ivar names: that were looked up in the index of the tree.
    :ivar outside: (path, word) of words that were looked for in a file, outside functions; :ivar inside: in functions.
    """

    files: frozenset[str] = frozenset()
    functions: Pairs = frozenset()
    names: frozenset[str] = frozenset()
    outside: Pairs = frozenset()
    inside: Pairs = frozenset()

    def __or__(self, other: Trace) -> Trace:
        return Trace(
            self.files | other.files, self.functions | other.functions, self.names | other.names,
            self.outside | other.outside, self.inside | other.inside,
        )  # fmt: skip

    def pack(self) -> bytes:
        """The trace as bytes."""
        parts = (*map(_packed, (self.functions, self.outside, self.inside)), "\n".join(self.files), "\n".join(self.names))
        return zlib.compress("\n\n".join(parts).encode("utf-8", "surrogateescape"), 1)

    @classmethod
    def unpack(cls, data: bytes) -> Trace:
        """:raises ValueError: no trace that :meth:`pack` made."""
        try:
            parts = zlib.decompress(data).decode("utf-8", "surrogateescape").split("\n\n")
            functions, outside, inside, files, names = parts
        except zlib.error as error:
            raise ValueError(str(error)) from None
        return cls(
            frozenset(filter(None, files.split("\n"))), _pairs(functions), frozenset(filter(None, names.split("\n"))),
            _pairs(outside), _pairs(inside),
        )  # fmt: skip

    def touched(self, changes: Mapping[str, Change]) -> bool:
        """Whether one of these changed files, by path, can make the answer another one."""
        return any(self._touched(path, change) for path, change in changes.items())

    def _touched(self, path: str, change: Change) -> bool:
        if not self.names.isdisjoint(change.differing) or not self.names.isdisjoint(change.defining):
            return True
        if path not in self.files:
            return False
        names = (*change.functions, ALL) if change.functions else ()
        if change.gone or change.includes or any((path, name) in self.functions for name in names):
            return True
        return any((path, word) in self.outside for word in change.outside) or any(
            (path, word) in self.inside for word in change.inside
        )


def _packed(pairs: Pairs) -> str:
    """Lines ``path NUL word NUL word``."""
    by_path: dict[str, list[str]] = {}
    for path, word in pairs:
        by_path.setdefault(path, []).append(word)
    return "\n".join("\0".join((path, *words)) for path, words in by_path.items())


def _pairs(text: str) -> Pairs:
    lines = (line.split("\0") for line in text.split("\n") if line)
    return frozenset((path, word) for path, *words in lines for word in words)
