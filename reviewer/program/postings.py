"""An index of a tree's files by key, made by one search and kept in the store in pages.

A look-up in a stored tree reads some kilobytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reviewer.program.symbols import PAGES, Pages, lookup, page_of
from reviewer.source.tree import Tree
from reviewer.store.factstore import Store

_KEPT_TREES = 6
"""Trees whose pages stay in the store: some 8 MB each, and every edit of a work tree makes another."""


class Postings:
    """Key to the files that have it, for one tree.

    :param kind: under which the store keeps the pages. :param read: the search, as (paths, pages).
    """

    def __init__(self, tree: Tree, store: Store, kind: str, read: Callable[[], tuple[list[str], Pages]]) -> None:
        self.tree = tree
        self._store = store
        self._kind = kind
        self._read = read
        self._paths: list[str] | None = None
        self._pages: Pages = {}
        self._whole = False

    def files(self, keys: Iterable[bytes]) -> tuple[str, ...]:
        """Files under any of ``keys``, sorted."""
        numbers = {number for key in keys for number in lookup(self._page(page_of(key)), key)}
        if not numbers:
            return ()
        paths = self._all_paths()
        return tuple(sorted(paths[number] for number in numbers))

    def _page(self, number: int) -> bytes:
        page = self._pages.get(number)
        if page is None:
            if not self._whole:
                page = self._store.memo_get(self._kind, f"{self.tree.identity()}/{number}")
            if page is None:
                self._build()
                page = self._pages.get(number, b"")
            self._pages[number] = page
        return page

    def _all_paths(self) -> list[str]:
        if self._paths is None:
            stored = self._store.memo_get(self._kind, f"{self.tree.identity()}/paths")
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
        self._paths, self._pages = self._read()
        self._whole = True
        identity = self.tree.identity()
        rows = [(f"{identity}/{number}", page) for number, page in self._pages.items()]
        paths = "\0".join(self._paths).encode("utf-8", "surrogateescape")
        # All in one transaction: a reader sees a tree's pages and paths of one search, or none.
        self._store.put_many(self._kind, [*rows, (f"{identity}/paths", paths)])
        self._store.forget(self._kind, _KEPT_TREES * (PAGES + 1))
