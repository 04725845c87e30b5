"""Which files a question needs: where names are defined, from one pass of ``git grep`` over the whole tree.

Kernel style puts definitions at column 0, so the lines that can define something are found without parsing. The index is
kept in the store by the tree's identity, in shards, so that a look-up reads a few kilobytes.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import msgspec

SHARDS = 128
"""Parts of the stored index; one look-up reads one of them."""

VERSION = "2"
"""Changes when the index says something else for the same tree."""

HEADERS = r"^[A-Za-z_][\w \t*]*\b\w+[ \t]*\([^;]*$"
DECLARED = r"^(?:static |const |extern )*\w*(?:DEFINE|DECLARE|NOTIFIER_HEAD|LIST_HEAD)\w*\("
AGGREGATES = r"^(?:typedef )?(?:struct|union) \w+[ \t]*(?:\w+[ \t]*)?\{"
VARIABLES = r"^(?!extern|typedef|return|goto|else|case|default)(?:\w+[ \t]+)+\**\w+(?:\[[^]]*\])*[ \t]*(?:=|;)"
FUNCTION_MACROS = r"^[ \t]*#[ \t]*define[ \t]+\w+\("
OBJECT_MACROS = r"^[ \t]*#[ \t]*define[ \t]+\w+[ \t]"
OBJECT_FOLDERS = ("include", "arch/x86/include", "arch/s390/include", "arch/powerpc/include", "arch/arm64/include")
"""Object-like macros are looked up here and in the user's own unit: register maps elsewhere have millions."""

LINE = re.compile(rb"^([^\n:]+(?::[^\n:]+)?\.[ch]):([^\n]*)$", re.M)
MACRO = re.compile(rb"[ \t]*#[ \t]*define[ \t]+(\w+)")
STRUCT = re.compile(rb"(?:typedef[ \t]+)?((?:struct|union)[ \t]+\w+)[^(=;]*\{")
MADE = re.compile(rb"(?:(?:static|const|extern)[ \t]+)*(\w*(?:DEFINE|DECLARE|NOTIFIER_HEAD|LIST_HEAD)\w*)\(([^)]*)")
CALLED = re.compile(rb"(\w+)[ \t]*\(")
ASSIGNED = re.compile(rb"(\w+)(?:\[[^]]*\])*[ \t]*(?:=|;)")
WORD = re.compile(rb"\w+")

Index = dict[str, tuple[str, ...]]


class Searched(Protocol):
    """What the index needs of a tree."""

    def identity(self) -> str: ...
    def grep_text(self, options: Sequence[str], patterns: Sequence[str]) -> bytes: ...
    def grep_raw(
        self, options: Sequence[str], patterns: Sequence[str], under: Sequence[str], suffixes: Sequence[str]
    ) -> Iterable[tuple[str, bytes]]: ...
    def grep_files(self, patterns: Sequence[str], *, under: Sequence[str] = ()) -> list[str]: ...


class Memo(Protocol):
    """What the index needs of a store."""

    def memo_get(self, kind: str, key: str) -> bytes | None: ...
    def put_many(self, kind: str, items: Iterable[tuple[str, bytes]]) -> None: ...


class Definitions:
    """Where names are defined and mentioned; made at the first question, or read from the store."""

    def __init__(self, tree: Searched, store: Memo) -> None:
        self.tree = tree
        self.store = store
        self._identity: str | None = None
        self._index: Index | None = None
        self._shards: dict[int, Index] = {}
        self._stored: bool | None = None
        self._mentioned: dict[tuple[str, tuple[str, ...]], tuple[str, ...]] = {}

    @property
    def identity(self) -> str:
        if self._identity is None:
            self._identity = self.tree.identity()
        return self._identity

    def files_defining(self, name: str) -> tuple[str, ...]:
        """Files with a definition of a function or variable of that name, as far as a line shows it."""
        return self._look_up(f"d {name}")

    def files_defining_struct(self, name: str) -> tuple[str, ...]:
        """Files that define ``struct T`` or ``union T``."""
        return self._look_up(f"s {name}")

    def files_defining_macro(self, name: str) -> tuple[str, ...]:
        return self._look_up(f"m {name}")

    def files_mentioning(self, names: Iterable[str], under: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
        """Files in which each of the words stands."""
        wanted = list(dict.fromkeys(names))
        where = tuple(under)
        missing = [n for n in wanted if (n, where) not in self._mentioned]
        if missing and not where:
            for n in list(missing):
                kept = self.store.memo_get(f"mentioned@{VERSION}", f"{self.identity} {n}")
                if kept is not None:
                    self._mentioned[n, where] = msgspec.msgpack.decode(kept, type=tuple[str, ...])
                    missing.remove(n)
        if missing:
            self._search(missing, where)
        return {n: self._mentioned[n, where] for n in wanted}

    def _search(self, names: list[str], where: tuple[str, ...]) -> None:
        found: dict[str, dict[str, None]] = {n: {} for n in names}
        if len(names) == 1:
            found[names[0]] = dict.fromkeys(self.tree.grep_files(names, under=where))
        else:
            words = {n.encode(): n for n in names}
            for path, text in self.tree.grep_raw(["-F", "-w"], names, where, (".c", ".h")):
                for word in WORD.findall(text):
                    name = words.get(word)
                    if name is not None:
                        found[name][path] = None
        items = []
        for name, paths in found.items():
            self._mentioned[name, where] = tuple(sorted(paths))
            items.append((f"{self.identity} {name}", msgspec.msgpack.encode(self._mentioned[name, where])))
        if not where:
            self.store.put_many(f"mentioned@{VERSION}", items)

    # --- the index --------------------------------------------------------------------------------

    def _look_up(self, key: str) -> tuple[str, ...]:
        if self._index is not None:
            return self._index.get(key, ())
        number = zlib.crc32(key.encode("utf-8", "surrogateescape")) % SHARDS
        shard = self._shards.get(number)
        if shard is None:
            kept = self.store.memo_get(f"defined@{VERSION}", f"{self.identity} {number}")
            if kept is None:
                self._index = self._build()
                self._keep(self._index)
                return self._index.get(key, ())
            shard = self._shards[number] = msgspec.msgpack.decode(kept, type=Index)
        return shard.get(key, ())

    def _keep(self, index: Index) -> None:
        shards: list[Index] = [{} for _ in range(SHARDS)]
        for key, paths in index.items():
            shards[zlib.crc32(key.encode("utf-8", "surrogateescape")) % SHARDS][key] = paths
        self.store.put_many(
            f"defined@{VERSION}",
            [(f"{self.identity} {i}", msgspec.msgpack.encode(s)) for i, s in enumerate(shards)],
        )

    def _build(self) -> Index:
        found: dict[str, dict[str, None]] = {}
        with ThreadPoolExecutor(2) as pool:
            macros = pool.submit(self._macros)
            code = self.tree.grep_text(["-P"], ["|".join((HEADERS, DECLARED, AGGREGATES, VARIABLES))])
            self._take_code(code, found)
            for name, paths in macros.result().items():
                found[f"m {name}"] = paths
        return {key: tuple(sorted(paths)) for key, paths in found.items()}

    def _macros(self) -> dict[str, dict[str, None]]:
        found: dict[str, dict[str, None]] = {}
        for pattern, under in ((FUNCTION_MACROS, ()), (OBJECT_MACROS, OBJECT_FOLDERS)):
            for path, text in self.tree.grep_raw(["-P"], [pattern], under, (".c", ".h")):
                m = MACRO.match(text)
                if m is not None:
                    found.setdefault(m[1].decode("ascii", "replace"), {})[path] = None
        return found

    def _take_code(self, text: bytes, found: dict[str, dict[str, None]]) -> None:
        paths: dict[bytes, str] = {}
        for m in LINE.finditer(text):
            raw, line = m[1], m[2]
            path = paths.get(raw)
            if path is None:
                path = paths[raw] = raw.rpartition(b":")[2].decode("utf-8", "surrogateescape")
            made = MADE.match(line)
            if made is not None:
                for word in WORD.findall(made[2])[:2]:
                    found.setdefault(f"d {word.decode('ascii', 'replace')}", {})[path] = None
                continue
            aggregate = STRUCT.match(line)
            if aggregate is not None:
                found.setdefault("s " + " ".join(aggregate[1].decode("ascii", "replace").split()), {})[path] = None
                continue
            called = CALLED.search(line)
            if called is not None:
                name = called[1]
                if name.isupper():
                    for word in WORD.findall(line[called.end() :])[:1]:
                        found.setdefault(f"d {word.decode('ascii', 'replace')}", {})[path] = None
                found.setdefault(f"d {name.decode('ascii', 'replace')}", {})[path] = None
                continue
            assigned = ASSIGNED.search(line)
            if assigned is not None:
                found.setdefault(f"d {assigned[1].decode('ascii', 'replace')}", {})[path] = None
