"""Which files a question needs: who defines a name, who fills a function table, who mentions a word.

One search over the whole tree answers every "who defines" and "who fills" (see :mod:`reviewer.program.index.symbols`); it is
kept in the store by the tree's identity. Each "who mentions" costs a search of the tree (1 to 2 s for a kernel) unless
it is stored, or the index of words is (:mod:`reviewer.program.index.words`): ask for many names at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence

from reviewer.data import installation_digest
from reviewer.parse.dialect import Dialect, load_dialect
from reviewer.program.index.bases import Base, Bases
from reviewer.program.index.postings import STEM, Pages, Postings
from reviewer.program.index.symbols import PAGES, PATTERN, read_symbols
from reviewer.program.index.words import PAGES as WORD_PAGES
from reviewer.program.index.words import read_words
from reviewer.source.tree import SUFFIXES, Tree
from reviewer.store import codec
from reviewer.store.factstore import Store

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is (0: not known)."""

_KEPT_MENTIONS = 20_000

_WORDS_AT_ONCE = 200
"""``git grep`` looks for each fixed word by itself: 10 cost as much as one, 100 three times as much."""

_AT_NO_COST = 10
"""Words of one search, up to which one more costs nothing."""


class Definitions:
    """Names of one tree.

    :param store: what has been found is kept there by :meth:`Tree.identity`. :param jobs: processes to search with.
    """

    def __init__(self, tree: Tree, store: Store, dialect: Dialect | None = None, jobs: int = 1) -> None:
        self.tree = tree
        self._store = store
        known = dialect if dialect is not None else load_dialect()
        kind = codec.kind("symbols", f"{_DIGEST}{known.digest}")
        self._digest = known.digest
        self._bases = Bases(tree, store)
        self._symbols = Postings(self._bases, store, kind, PAGES, lambda files: read_symbols(tree, known, jobs, files))
        self._words = Postings(self._bases, store, _WORDS, WORD_PAGES, self._read_words)
        self._jobs = jobs
        self._progress: Progress | None = None
        self._mentions: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}
        self._expected: dict[str, None] = {}

    # --- who defines

    def files_defining(self, name: str) -> tuple[str, ...]:
        """Files that define a function or file-scope variable ``name`` (or a type by that name), sorted."""
        word = _bytes(name)
        return self._symbols.files([word + b"(", word])

    def files_defining_struct(self, name: str) -> tuple[str, ...]:
        """Files that define ``struct x`` or ``union x``, sorted."""
        word = _bytes(name)
        # Where the brace is on the next line, a function's return type looks the same, if it is no pointer.
        return self._symbols.files([word + b"{", word])

    def files_defining_enumerator(self, name: str) -> tuple[str, ...]:
        """Files with a line that looks like an enumerator ``NAME`` in capitals, sorted."""
        return self._symbols.files([b"\t" + _bytes(name)])

    def files_defining_macro(self, name: str) -> tuple[str, ...]:
        """Files with a ``#define`` of ``name``, sorted; not those that define it as a mere number."""
        word = b"define " + _bytes(name)
        return self._symbols.files([word + b"(", word])

    def files_initialising(self, tag: str) -> tuple[str, ...]:
        """Files with an initialiser of a ``struct x`` object, sorted."""
        return self._symbols.files([b"=" + _bytes(tag)])

    def files_assigning(self, member: str) -> tuple[str, ...]:
        """Files that assign what may be a function to a member of that name, sorted."""
        return self._symbols.files([b">" + _bytes(member)])

    # --- who mentions

    def files_mentioning(self, names: Iterable[str], under: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
        """For each of ``names`` the sorted files in which it stands as a word; each name is a key.

        :param under: folders or files to stay in; none means the whole tree.
        """
        where = tuple(under)
        wanted = list(dict.fromkeys(names))
        missing = [name for name in wanted if (name, where) not in self._mentions]
        if missing and self._words.known():
            missing = self._indexed(missing, where)
        if not where:
            missing = self._stored_mentions(missing)
        for start in range(0, len(missing), _WORDS_AT_ONCE):
            self._search(missing[start : start + _WORDS_AT_ONCE], where)
        return {name: self._mentions[name, where] for name in wanted}

    def expect(self, names: Iterable[str]) -> None:
        """Words that may be asked for, one by one: the next searches of the whole tree look for them, too."""
        self._expected |= dict.fromkeys(names)

    def build(self, progress: Progress) -> None:
        """Have the store hold the whole index: definitions, and who mentions which word."""
        progress("definitions", 0, 0)
        self._symbols.build()
        self._progress = progress
        self._words.build()

    def _read_words(self, files: Sequence[str] | None) -> tuple[list[str], Pages]:
        progress = self._progress
        report = (lambda done, total: progress("words of files", done, total)) if progress is not None else None
        return read_words(self.tree, self._jobs, files, report)

    def _indexed(self, names: list[str], under: tuple[str, ...]) -> list[str]:
        """Takes what the index of words knows; returns names that are no words."""
        inside = tuple(f"{folder}/" for folder in under)
        rest: list[str] = []
        for name in names:
            word = _bytes(name)
            if not _IDENTIFIER.fullmatch(word):
                rest.append(name)
                continue
            files = self._words.files([word])
            if under:
                files = tuple(f for f in files if f.startswith(inside) or f in under)
            self._mentions[name, under] = files
        return rest

    # --- what was found file by file

    def kept_by_file(
        self, kind: str, key: str, files: Sequence[str], find: Callable[[Sequence[str]], Iterable[tuple[str, str]]]
    ) -> list[tuple[str, str]]:
        """What ``find`` says of these files, as (file, word), sorted by file: from the store, where only files that differ from
        a stored tree's are asked anew."""
        identity = self.tree.identity()
        digest = hashlib.sha256("\0".join((key, *files)).encode("utf-8", "surrogateescape")).hexdigest()[:24]
        kind = codec.kind(kind, hashlib.sha256((installation_digest() + self._digest).encode("ascii")).hexdigest())
        stored = self._store.memo_get(kind, f"{identity}/{digest}")
        if stored is not None:
            return _pairs(stored)
        base = self._bases.nearest
        stored = self._store.memo_get(kind, f"{base.identity}/{digest}") if base is not None else None
        if base is not None and stored is not None:
            old = [pair for pair in _pairs(stored) if pair[0] not in base.changed]
            return sorted([*old, *find([f for f in files if f in base.changed])], key=_file)
        found = sorted(find(files), key=_file)
        text = "\n".join(f"{file}\0{word}" for file, word in found)
        self._store.memo_put(kind, f"{identity}/{digest}", text.encode("utf-8", "surrogateescape"))
        return found

    def _stored_mentions(self, names: list[str]) -> list[str]:
        """Takes what the store knows; returns the rest."""
        identity = self.tree.identity()
        keys = {f"{identity}/{name}": name for name in names}
        for key, value in self._store.get_many(_MENTIONS, list(keys)).items():
            text = value.decode("utf-8", "surrogateescape")
            self._mentions[keys[key], ()] = tuple(text.split("\0")) if text else ()
        missing = [name for name in names if (name, ()) not in self._mentions]
        base = self._bases.nearest if missing else None
        return missing if base is None else self._mentions_of(base, missing)

    def _mentions_of(self, base: Base, names: list[str]) -> list[str]:
        """The same from what is stored of a tree that differs in a few files."""
        stored = self._store.get_many(_MENTIONS, [f"{base.identity}/{name}" for name in names])
        known = [name for name in names if f"{base.identity}/{name}" in stored]
        here = self.files_mentioning(known, base.present) if known and base.present else {}
        for name in known:
            text = stored[f"{base.identity}/{name}"].decode("utf-8", "surrogateescape")
            old = set(text.split("\0")) - base.changed if text else set()
            self._mentions[name, ()] = tuple(sorted(old | set(here.get(name, ()))))
        return [name for name in names if (name, ()) not in self._mentions]

    def _search(self, names: list[str], under: tuple[str, ...]) -> None:
        if not under:
            names = [*names, *self._next_expected(_AT_NO_COST - len(names))]
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

    def _next_expected(self, number: int) -> list[str]:
        """Some of the words that are expected and not known yet; they are expected no longer."""
        unknown = [name for name in self._expected if (name, ()) not in self._mentions][: max(number, 0)]
        for name in unknown:
            del self._expected[name]
        return unknown


_MENTIONS = "mentions"

_WORDS = f"words-{WORD_PAGES}-{STEM}"

_IDENTIFIER = re.compile(rb"[A-Za-z_]\w*", re.ASCII)

_DIGEST = hashlib.sha256(f"{PAGES} {STEM} {PATTERN}".encode()).hexdigest()[:8]


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _pairs(stored: bytes) -> list[tuple[str, str]]:
    lines = (line.partition("\0") for line in stored.decode("utf-8", "surrogateescape").split("\n") if line)
    return [(file, word) for file, _, word in lines]


def _file(pair: tuple[str, str]) -> str:
    return pair[0]
