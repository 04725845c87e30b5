"""Which files a question needs: who defines a name, who mentions it.

One search over the whole tree answers every "who defines" (see :mod:`reviewer.program.symbols`); it is kept
in the store by the tree's identity, in pages, so that a look-up in a stored tree reads some kilobytes. Each
"who mentions" costs a search of the tree (1 to 2 s for a kernel) unless it is stored: ask for many names at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from reviewer.parse.dialect import Dialect, load_dialect
from reviewer.program.symbols import PAGES, PATTERN, Pages, lookup, page_of, read_symbols
from reviewer.source.tree import SUFFIXES, Tree
from reviewer.store import codec
from reviewer.store.factstore import Store

_KEPT_TREES = 6
"""Trees whose names stay in the store: some 8 MB each, and every edit of a work tree makes another."""

_KEPT_MENTIONS = 20_000

_WORDS_AT_ONCE = 200
"""``git grep`` looks for each fixed word by itself: 10 cost as much as one, 100 three times as much."""


class Definitions:
    """Names of one tree.

    :param store: what has been found is kept there by :meth:`Tree.identity`.
    """

    def __init__(self, tree: Tree, store: Store, dialect: Dialect | None = None) -> None:
        self.tree = tree
        self._store = store
        self._dialect = dialect
        self._paths: list[str] | None = None
        self._pages: Pages = {}
        self._whole = False
        self._mentions: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}

    # --- who defines

    def files_defining(self, name: str) -> tuple[str, ...]:
        """Files that define a function or file-scope variable ``name`` (or a type by that name), sorted."""
        word = _bytes(name)
        return self._files([word + b"(", word])

    def files_defining_struct(self, name: str) -> tuple[str, ...]:
        """Files that define ``struct x`` or ``union x``, sorted."""
        word = _bytes(name)
        # Where the brace is on the next line, a function's return type looks the same: second best.
        return self._files([word + b"{"]) or self._files([word])

    def files_defining_enumerator(self, name: str) -> tuple[str, ...]:
        """Files with a line that looks like an enumerator ``NAME`` in capitals, sorted."""
        return self._files([b"\t" + _bytes(name)])

    def files_defining_macro(self, name: str) -> tuple[str, ...]:
        """Files with a ``#define`` of ``name``, sorted; not those that define it as a mere number."""
        word = b"define " + _bytes(name)
        return self._files([word + b"(", word])

    def _files(self, keys: Iterable[bytes]) -> tuple[str, ...]:
        numbers = {number for key in keys for number in lookup(self._page(page_of(key)), key)}
        if not numbers:
            return ()
        paths = self._all_paths()
        return tuple(sorted(paths[number] for number in numbers))

    def _page(self, number: int) -> bytes:
        page = self._pages.get(number)
        if page is None:
            if not self._whole:
                page = self._store.memo_get(self._kind("symbols"), f"{self.tree.identity()}/{number}")
            if page is None:
                self._build()
                page = self._pages.get(number, b"")
            self._pages[number] = page
        return page

    def _all_paths(self) -> list[str]:
        if self._paths is None:
            stored = self._store.memo_get(self._kind("symbols"), f"{self.tree.identity()}/paths")
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
        self._paths, self._pages = read_symbols(self.tree, self._known_dialect())
        self._whole = True
        identity = self.tree.identity()
        kind = self._kind("symbols")
        rows = [(f"{identity}/{number}", page) for number, page in self._pages.items()]
        paths = "\0".join(self._paths).encode("utf-8", "surrogateescape")
        # All in one transaction: a reader sees a tree's pages and paths of one search, or none.
        self._store.put_many(kind, [*rows, (f"{identity}/paths", paths)])
        self._store.forget(kind, _KEPT_TREES * (PAGES + 1))

    def _kind(self, what: str) -> str:
        return codec.kind(what, f"{_PATTERN_DIGEST}{self._known_dialect().digest}")

    def _known_dialect(self) -> Dialect:
        if self._dialect is None:
            self._dialect = load_dialect()
        return self._dialect

    # --- who mentions

    def files_mentioning(self, names: Iterable[str], under: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
        """For each of ``names`` the sorted files in which it stands as a word; each name is a key.

        :param under: folders or files to stay in; none means the whole tree.
        """
        where = tuple(under)
        wanted = list(dict.fromkeys(names))
        missing = [name for name in wanted if (name, where) not in self._mentions]
        if not where:
            missing = self._stored_mentions(missing)
        for start in range(0, len(missing), _WORDS_AT_ONCE):
            self._search(missing[start : start + _WORDS_AT_ONCE], where)
        return {name: self._mentions[name, where] for name in wanted}

    def _stored_mentions(self, names: list[str]) -> list[str]:
        """Takes what the store knows; returns the rest."""
        identity = self.tree.identity()
        keys = {f"{identity}/{name}": name for name in names}
        for key, value in self._store.get_many(_MENTIONS, list(keys)).items():
            text = value.decode("utf-8", "surrogateescape")
            self._mentions[keys[key], ()] = tuple(text.split("\0")) if text else ()
        return [name for name in names if (name, ()) not in self._mentions]

    def _search(self, names: list[str], under: tuple[str, ...]) -> None:
        found: dict[bytes, dict[str, None]] = {_bytes(name): {} for name in names}
        usable = [name for name in names if name and "\n" not in name]
        for path, word in self.tree.grep_raw(["-o", "-F", "-w"], usable, under, SUFFIXES):
            found[word][path] = None
        rows: list[tuple[str, bytes]] = []
        for name in names:
            files = tuple(sorted(found[_bytes(name)]))
            self._mentions[name, under] = files
            rows.append((f"{self.tree.identity()}/{name}", "\0".join(files).encode("utf-8", "surrogateescape")))
        if not under:
            self._store.put_many(_MENTIONS, rows)
            self._store.forget(_MENTIONS, _KEPT_MENTIONS)


_MENTIONS = "mentions"

_PATTERN_DIGEST = hashlib.sha256(PATTERN.encode()).hexdigest()[:8]


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
