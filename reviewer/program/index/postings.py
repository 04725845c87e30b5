"""An index of a tree's files by key, made by one search and kept in the store in pages.

A look-up in a stored tree reads some kilobytes. A tree that differs from a stored one in a few files is searched only there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from zlib import crc32

from reviewer.program.index.bases import KEPT, Base, Bases
from reviewer.store.factstore import Store

Pages = dict[int, bytes]
"""Page number to its lines ``KEY NUL number,number,`` each after a line feed; numbers count the paths."""

STEM = 8
"""Letters of a key that say which page has it: names that begin alike stand together, in their order, and compress to a third."""


def page_of(key: bytes, count: int) -> int:
    """Which of ``count`` pages has a key. Of one of several words (``struct x {``) the last one counts."""
    return crc32(key[key.rfind(b" ") + 1 :][:STEM]) % count


def paged(entries: Iterable[tuple[bytes, bytes]], count: int) -> Pages:
    """Pages of (key, ``number,number,``)."""
    lists: list[list[bytes]] = [[] for _ in range(count)]
    for key, numbers in entries:
        lists[page_of(key, count)].append(key + b"\0" + numbers)
    return {number: b"\n" + b"\n".join(sorted(lines)) + b"\n" * bool(lines) for number, lines in enumerate(lists)}


class Postings:
    """Key to the files that have it, for one tree.

    :param bases: stored trees near ours. :param kind: under which the store keeps the pages.
    :param count: pages that keys are spread over. :param read: the search, as (paths, pages), of these files or (None) of all.
    """

    def __init__(
        self, bases: Bases, store: Store, kind: str, count: int,
        read: Callable[[Sequence[str] | None], tuple[list[str], Pages]],
    ) -> None:  # fmt: skip
        self.tree = bases.tree
        self._bases = bases
        self._base: Base | None = None
        self._changes: tuple[list[str], Pages] = ([], {})  # of a base, what the changed files have instead
        self._store = store
        self._kind = kind
        self._count = count
        self._read = read
        self._paths: list[str] | None = None
        self._pages: Pages = {}
        self._whole = False

    def files(self, keys: Iterable[bytes]) -> tuple[str, ...]:
        """Files under any of ``keys``, sorted."""
        keys = list(keys)
        numbers = {number for key in keys for number in lookup(self._page(page_of(key, self._count)), key)}
        found = {self._all_paths()[number] for number in numbers} if numbers else set()
        if self._base is not None:
            paths, pages = self._changes
            found -= self._base.changed
            found |= {paths[n] for key in keys for n in lookup(pages.get(page_of(key, self._count), b""), key)}
        return tuple(sorted(found))

    def known(self) -> bool:
        """Whether the store has the pages of this tree, or of one near it."""
        if self._whole or self._base is not None or self._paths is not None:
            return True
        if self._store.memo_get(self._kind, f"{self.tree.identity()}/paths") is not None:
            return True
        return self._lean()

    def build(self) -> None:
        """Make sure that they are there."""
        if not self.known():
            self._build()

    def _page(self, number: int) -> bytes:
        page = self._pages.get(number)
        if page is None:
            if not self._whole:
                page = self._store.memo_get(self._kind, f"{self._identity()}/{number}")
            if page is None and self._lean():
                return self._page(number)
            if page is None:
                self._build()
                page = self._pages.get(number, b"")
            self._pages[number] = page
        return page

    def _identity(self) -> str:
        """Of the tree whose pages are used."""
        return self._base.identity if self._base is not None else self.tree.identity()

    def _lean(self) -> bool:
        """Use the pages of a base, and search what has changed since; False if there is none."""
        base = self._bases.nearest if self._base is None and not self._pages and not self._whole else None
        if base is None or self._store.memo_get(self._kind, f"{base.identity}/paths") is None:
            return False
        self._base = base
        self._changes = self._read(base.present) if base.present else ([], {})
        return True

    def _all_paths(self) -> list[str]:
        if self._paths is None:
            stored = self._store.memo_get(self._kind, f"{self._identity()}/paths")
            if stored is None:
                self._build()
                assert self._paths is not None
            else:
                self._paths = stored.decode("utf-8", "surrogateescape").split("\0")
        return self._paths

    def _build(self) -> None:
        """Search the tree, keep all pages."""
        if self._whole:
            return
        self._base = None
        self._paths, self._pages = self._read(None)
        self._whole = True
        identity = self.tree.identity()
        rows = [(f"{identity}/{number}", page) for number, page in self._pages.items()]
        paths = "\0".join(self._paths).encode("utf-8", "surrogateescape")
        # First, since nobody builds again what is there: whoever finds the tree listed without its pages passes it by.
        self._bases.remember()
        # All in one transaction: a reader sees a tree's pages and paths of one search, or none.
        self._store.put_many(self._kind, [*rows, (f"{identity}/paths", paths)])
        self._store.forget(self._kind, KEPT * (self._count + 1))


def lookup(page: bytes, key: bytes) -> list[int]:
    """Numbers of the paths under ``key``."""
    numbers: list[int] = []
    needle = b"\n" + key + b"\0"
    start = page.find(needle)
    while start >= 0:
        end = page.index(b"\n", start + len(needle))
        numbers += map(int, page[start + len(needle) : end - 1].split(b","))
        start = page.find(needle, end)
    return numbers
