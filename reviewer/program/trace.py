"""What an answer rests on, and whether a change of some files can touch it.

An answer about a program is made of functions that were looked at and of words that were looked for. A change that touches
none of these leaves the answer as it is, so that it need not be computed again (early cut-off, as in an incremental build).
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
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


BITS = 40
"""Of a mark: an answer has some ten thousand, a change as many, so that one in ten thousand answers is made anew for nothing."""


@dataclass(frozen=True)
class Trace:
    """What one answer rests on.

    :ivar marks: of everything that was looked at or for, numbers of :data:`BITS` bits; :meth:`of` says what that is.
    """

    marks: frozenset[int] = frozenset()

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
        return cls(frozenset((
            *(mark(kind, name) for kind, names in single for name in names),
            *(mark(MENTIONED, folder, word) for folder, word in mentioned),
            *(mark(kind, place, word) for kind, pairs in in_files for place, word in by_folder(pairs)),
        )))  # fmt: skip

    def __or__(self, other: Trace) -> Trace:
        return Trace(self.marks | other.marks)

    def pack(self) -> bytes:
        """The trace as bytes, four to a mark: how many begin with each byte, and the rest of each."""
        ordered = sorted(self.marks)
        first = Counter(number >> 32 for number in ordered)
        numbers = array("I", (first[i] for i in range(256)))
        numbers.extend(number & 0xFFFFFFFF for number in ordered)
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers.tobytes()

    @classmethod
    def unpack(cls, data: bytes) -> Trace:
        """:raises ValueError: no trace that :meth:`pack` made."""
        numbers = array("I")
        numbers.frombytes(data)
        if sys.byteorder == "big":
            numbers.byteswap()
        if len(numbers) < 256 or len(numbers) - 256 != sum(numbers[:256]):
            raise ValueError("no trace")
        rest = iter(numbers[256:])
        return cls(frozenset(i << 32 | number for i, count in enumerate(numbers[:256]) for number in islice(rest, count)))

    def touched(self, changes: Iterable[Touch]) -> bool:
        """Whether one of these changes can make the answer another one."""
        return any(
            not self.marks.isdisjoint(change.anywhere)
            or (change.file in self.marks and not self.marks.isdisjoint(change.inside))
            for change in changes
        )


@dataclass(frozen=True, slots=True)
class Touch:
    """Marks of the answers that the change of one file touches: of those that have one in ``anywhere``, and of those that read
    the ``file`` and have one in ``inside``."""

    anywhere: frozenset[int]
    file: int
    inside: frozenset[int]

    @classmethod
    def of(cls, path: str, change: Change) -> Touch:
        folders = ("", *(path[:i] for i, letter in enumerate(path) if letter == "/"), path)
        names = [*change.functions, ALL] if change.functions else []
        if change.includes:
            names.append(INCLUDES)
        anywhere = Trace.of(
            defined=change.defining, filled=change.filling,
            mentioned=((folder, word) for folder in folders for word in change.differing),
        )  # fmt: skip
        in_file = ((FUNCTION, names), (OUTSIDE, change.outside), (INSIDE, change.inside))
        inside = {mark(kind, place, word) for kind, words in in_file for word in words for place in (path, folder_of(path))}
        if change.gone:
            inside.add(mark(FILE, path))
        return cls(anywhere.marks, mark(FILE, path), frozenset(inside))


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
    return int.from_bytes(blake2b(text, digest_size=BITS // 8).digest(), "big")
