"""What an answer rests on, and whether a change of some files can touch it.

An answer about a program is made of functions that were looked at and of words that were looked for. A change that touches
none of these leaves the answer as it is, so that it need not be computed again (early cut-off, as in an incremental build).
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import blake2b
from itertools import accumulate, compress
from typing import Protocol

from reviewer.program.index.change import Change

ALL = "*"
"""In place of a function's name: whatever functions the file has."""

INCLUDES = "#"
"""In place of a function's name: what the file includes."""


class Names(Protocol):
    """What is asked of :class:`reviewer.program.index.scope.Definitions`."""

    def files_defining(self, name: str) -> tuple[str, ...]: ...
    def files_defining_struct(self, name: str) -> tuple[str, ...]: ...
    def files_defining_macro(self, name: str) -> tuple[str, ...]: ...
    def files_defining_enumerator(self, name: str) -> tuple[str, ...]: ...
    def files_initialising(self, tag: str) -> tuple[str, ...]: ...
    def files_assigning(self, member: str) -> tuple[str, ...]: ...
    def files_mentioning(
        self, names: Iterable[str], under: Sequence[str] = ()
    ) -> dict[str, tuple[str, ...]]: ...
    def expect(self, names: Iterable[str]) -> None: ...
    def kept_by_file(
        self, kind: str, key: str, files: Sequence[str], find: Callable[[Sequence[str]], Iterable[tuple[str, str]]]
    ) -> list[tuple[str, str]]: ...


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

    def expect(self, names: Iterable[str]) -> None:
        """No answer rests on what is only expected."""
        self._names.expect(names)

    def kept_by_file(
        self, kind: str, key: str, files: Sequence[str], find: Callable[[Sequence[str]], Iterable[tuple[str, str]]]
    ) -> list[tuple[str, str]]:
        return self._names.kept_by_file(kind, key, files, find)


BITS = 36
"""Of a mark: an answer has some thirty thousand, a change some thousand: one answer in a thousand is made anew in vain."""

_WIDTH = 3
"""Bytes that a mark is kept in: how far it is from the one before it, some 2 ** (BITS - 15) on average."""

_FAR = (1 << 8 * _WIDTH) - 1
"""In place of a distance: that far, and no mark there yet."""


class Trace:
    """What one answer rests on: marks of everything that was looked at or for (:meth:`of` says what that is)."""

    __slots__ = ("_marks",)

    def __init__(self, marks: Iterable[int] = ()) -> None:
        self._marks = array("Q", sorted(set(marks)))

    @classmethod
    def of(
        cls, files: Iterable[str] = (), functions: Iterable[tuple[str, str]] = (), defined: Iterable[str] = (),
        filled: Iterable[str] = (), mentioned: Iterable[tuple[str, str]] = (), outside: Iterable[tuple[str, str]] = (),
        inside: Iterable[tuple[str, str]] = (),
    ) -> Trace:  # fmt: skip
        """:param files: that were read. :param functions: (path, name) of those that were looked at, there or not.
        :param defined: names, :param filled: structs and members, :param mentioned: (folder, word) as in :class:`Heard`.
        :param outside: (path, word) of words that were looked for in a file, outside functions; :param inside: in functions.
        """
        single = ((FILE, files), (DEFINED, defined), (FILLED, filled))
        in_files = ((FUNCTION, functions), (OUTSIDE, outside), (INSIDE, inside))
        return cls((
            *(mark(kind, name) for kind, names in single for name in names),
            *(mark(MENTIONED, folder, word) for folder, word in mentioned),
            *(mark(kind, place, word) for kind, pairs in in_files for place, word in by_folder(pairs)),
        ))  # fmt: skip

    def __len__(self) -> int:
        return len(self._marks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trace) and self._marks == other._marks

    __hash__ = None  # type: ignore[assignment]

    def __or__(self, other: Trace) -> Trace:
        return Trace((*self._marks, *other._marks)) if len(self) and len(other) else self if len(self) else other

    def marks(self) -> Iterator[int]:
        """All of them, in their order."""
        return iter(self._marks)

    def pack(self) -> bytes:
        """How many distances there are, then their highest bytes, of which many are alike, and so on to the lowest."""
        distances = _little_endian(array("I", _distances(self._marks))).tobytes()
        return b"".join((struct.pack("<I", len(distances) // 4), *(distances[i::4] for i in reversed(range(_WIDTH)))))

    @classmethod
    def unpack(cls, data: bytes) -> Trace:
        """:raises ValueError: no trace that :meth:`pack` made."""
        count = struct.unpack_from("<I", data)[0] if len(data) >= 4 else -1
        if len(data) != 4 + _WIDTH * count:
            raise ValueError("no trace")
        wide = bytearray(4 * count)
        for place, i in enumerate(reversed(range(_WIDTH))):
            wide[i::4] = data[4 + place * count : 4 + (place + 1) * count]
        distances = array("I")
        distances.frombytes(wide)
        distances = _little_endian(distances)
        made = cls.__new__(cls)
        made._marks = array("Q", compress(accumulate(distances), map(_FAR.__ne__, distances)))
        return made

    def has_any(self, marks: AbstractSet[int]) -> bool:
        """Whether one of some marks is among its own."""
        if len(marks) * 8 > len(self._marks):
            return not marks.isdisjoint(self._marks)
        return any(mark in self._marks[(at := bisect_left(self._marks, mark)) : at + 1] for mark in marks)

    def touched(self, changes: Touches) -> bool:
        """Whether these changes can make the answer another one."""
        return self.has_any(changes.anywhere) or any(
            self.has_any(file) and self.has_any(inside) for file, inside in changes.files
        )  # fmt: skip


def _distances(marks: Sequence[int]) -> Iterator[int]:
    """From each mark to the next one, in steps that fit."""
    before = 0
    for number in marks:
        distance, before = number - before, number
        while distance >= _FAR:
            yield _FAR
            distance -= _FAR
        yield distance


def _little_endian(numbers: array[int]) -> array[int]:
    if sys.byteorder == "little":
        return numbers
    other = numbers[:]
    other.byteswap()
    return other


class Touches:
    """Marks of the answers that the change of some files touches.

    :ivar anywhere: of those that have one of these. :ivar files: of each file, answers that have the first, for they have read
        it, and one of the second.
    """

    def __init__(self, changes: Mapping[str, Change]) -> None:
        """:param changes: by path."""
        self.anywhere = {m for path, change in changes.items() for m in _anywhere(path, change)}
        self.files = [({mark(FILE, path)}, set(_inside(path, change))) for path, change in changes.items()]


def _anywhere(path: str, change: Change) -> Iterator[int]:
    folders = ("", *(path[:i] for i, letter in enumerate(path) if letter == "/"), path)
    yield from (mark(DEFINED, name) for name in change.defining)
    yield from (mark(FILLED, name) for name in change.filling)
    yield from (mark(MENTIONED, folder, word) for folder in folders for word in change.differing)


def _inside(path: str, change: Change) -> Iterator[int]:
    names = [*change.functions, *([ALL] if change.functions else []), *([INCLUDES] if change.includes else [])]
    for kind, words in ((FUNCTION, names), (OUTSIDE, change.outside), (INSIDE, change.inside)):
        yield from (mark(kind, place, word) for word in words for place in (path, folder_of(path)))
    if change.gone:
        yield mark(FILE, path)


SEVERAL = 3
"""Files of one folder, beyond which a word that is looked for in each of them makes one mark: of the folder."""


def by_folder(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """(path, word), or (folder with a stroke, word) for a word that stands with several files of the folder."""
    found: dict[tuple[str, str], list[str]] = {}
    for path, word in pairs:
        found.setdefault((folder_of(path), word), []).append(path)
    for (folder, word), paths in found.items():
        yield from ((path, word) for path in paths) if len(paths) <= SEVERAL or word in (ALL, INCLUDES) else ((folder, word),)


def folder_of(path: str) -> str:
    return path[: path.rfind("/") + 1] or "/"


FILE, DEFINED, FILLED, FUNCTION, MENTIONED, OUTSIDE, INSIDE = "rdtfmoi"
"""What a mark is of."""


def mark(kind: str, name: str, word: str = "") -> int:
    """A number for one thing that an answer can rest on; the same on every machine."""
    text = f"{kind}{name}\0{word}".encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") >> (64 - BITS)
