"""Which files belong together: those that share one unit's statics, and the headers that a file sees.

A static's scope is the translation unit: a source with what it includes by ``"..."``. A header that is a piece of a source,
such as ``kernel/rcu/tree_plugin.h``, belongs to the source that includes it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from reviewer.parse.dialect import Dialect
from reviewer.parse.head import Head
from reviewer.parse.pieces import Pieces
from reviewer.program.index.linkage import architecture

MAX_HEADERS, MAX_INCLUDES = 500, 4
"""Headers that are looked into for what a file sees of others, and how many includes deep."""


class Content(Protocol):
    """What is needed of a tree."""

    def exists(self, path: str) -> bool: ...


class Names(Protocol):
    """What is needed of the index of definitions."""

    def files_mentioning(self, names: Iterable[str], under: Sequence[str] = ()) -> dict[str, tuple[str, ...]]: ...


class Units:
    """Units and included headers of one revision, memoised."""

    def __init__(
        self, content: Content, names: Names, dialect: Dialect, file: Callable[[str], Pieces],
        heads: Callable[[Iterable[str]], Iterator[Head]],
    ) -> None:  # fmt: skip
        """:param heads: the heads of some files, in their order."""
        self._content = content
        self._names = names
        self._dialect = dialect
        self._file = file
        self._heads = heads
        self._made: dict[str, tuple[str, ...]] = {}
        # By unit: the files in which a name is defined, and those that are too large to list their names.
        self._defined: dict[str, tuple[dict[str, tuple[str, ...]], list[str]]] = {}
        self._visible: dict[str, dict[str, int]] = {}
        self._direct: dict[str, tuple[str, ...]] = {}
        self._numbered: dict[str, list[str]] = {}  # macros that are numbers, of the headers looked into
        self._counted: set[str] = set()

    def forget(self) -> None:
        """Let go of what is made again when it is asked for."""
        for kept in (self._defined, self._visible, self._direct):
            kept.clear()

    def looked_into(self) -> set[str]:
        """Files of which it matters what they include."""
        return {path for unit in self._made.values() for path in unit} | self._direct.keys()

    def headers_with_number(self, name: str) -> list[str]:
        """Of the headers that have been looked into, those with a macro of this name whose value begins like a number."""
        return self._numbered.get(name, [])

    def of(self, path: str) -> tuple[str, ...]:
        """Files that share the statics of ``path``: what it includes by ``"..."``, and who so includes it.

        A header with functions of its own (not inline ones) that several sources include belongs to the first of them in
        the same folder; so does a source that includes nothing, and can only be a part of another.
        """
        got = self._made.get(path)
        if got is None:
            root = path
            if self._is_piece(path):
                root = self._includer(path) or path
            got = self._made[path] = tuple(dict.fromkeys([path, root, *self._included(root)]))
        return got

    def _is_piece(self, path: str) -> bool:
        """Whether a file is made to be included by a source."""
        if path.endswith(".h"):
            return "/include/" not in f"/{path}" and self._defines_statics(path)
        return path.endswith(".c") and not self._includes(path) and any(True for _ in self._file(path).all_functions())

    def _defines_statics(self, path: str) -> bool:
        """Whether a header holds functions that are no inline ones: a piece of a source file, really."""
        file = self._file(path)
        inline = self._dialect.inline_words | {b"inline"}
        return any(not inline & set(file.text[p.start : p.brace].split()) for p in file.all_functions())

    def _includer(self, path: str) -> str | None:
        """The ``.c`` file of the same folder that includes this one and is meant to: by a quoted include."""
        folder, base = posixpath.split(path)
        for user in self._names.files_mentioning([base], (folder,)).get(base, ()):
            if user.endswith(".c") and posixpath.dirname(user) == folder:
                for name, system in self._includes(user):
                    if not system and posixpath.normpath(posixpath.join(folder, name)) == path:
                        return user
        return None

    def _included(self, path: str, depth: int = 3) -> list[str]:
        found: list[str] = []
        folder = posixpath.dirname(path)
        for name, system in self._includes(path):
            if system:
                continue
            target = posixpath.normpath(posixpath.join(folder, name))
            if target != path and target not in found and self._content.exists(target):
                found.append(target)
                if depth > 1:
                    found.extend(t for t in self._included(target, depth - 1) if t not in found)
        return found

    def visible(self, path: str) -> dict[str, int]:
        """Headers that ``path`` includes, directly or through others, the nearest first, numbered; within limits. A piece of a
        source sees what that one sees, too."""
        got = self._visible.get(path)
        if got is None:
            seen: dict[str, None] = {}
            level = [path, *self.of(path)[1:2]] if self._is_piece(path) else [path]
            for _ in range(MAX_INCLUDES):
                new = dict.fromkeys(h for headers in self._headers(level) for h in headers if h not in seen)
                seen.update(new)
                level = list(new)
                if len(seen) > MAX_HEADERS:
                    break
            got = self._visible[path] = {h: i for i, h in enumerate(seen)}
            fresh = [header for header in got if header not in self._counted]
            self._counted.update(fresh)
            for header, head in zip(fresh, self._heads(fresh), strict=True):
                for word in head.numbers.split("\n") if head.numbers else ():
                    self._numbered.setdefault(word, []).append(header)
        return got

    def _includes(self, path: str) -> tuple[tuple[str, bool], ...]:
        """``(path, system)`` of each ``#include`` of a file."""
        return next(self._heads([path])).includes

    def _headers(self, paths: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """For each of some files those that it includes, as far as the tree has them."""
        missing = [path for path in paths if path not in self._direct]
        for path, head in zip(missing, self._heads(missing), strict=True):
            folder = posixpath.dirname(path)
            arch = architecture(path)
            found: list[str] = []
            for name, system in head.includes:
                wanted = [f"include/{name}", f"include/uapi/{name}"]
                if arch is not None:
                    wanted[:0] = [f"arch/{arch}/include/{name}", f"arch/{arch}/include/uapi/{name}"]
                elif name.startswith("asm/"):
                    wanted.append(f"include/asm-generic/{name[4:]}")
                if not system:
                    wanted.insert(0, posixpath.normpath(posixpath.join(folder, name)))
                found.extend(next(([w] for w in wanted if self._content.exists(w)), []))
            self._direct[path] = tuple(found)
        return (self._direct[path] for path in paths)

    def with_name(self, path: str, name: str) -> list[str]:
        """The other files of the unit that may define a function or a macro of this name, in the unit's order."""
        got = self._defined.get(path)
        if got is None:
            got = self._defined[path] = ({}, [])
            for other in self.of(path)[1:]:
                names = self._file(other).names
                alone = (other,)  # one for all its names
                if names is None:
                    got[1].append(other)
                for word in names or ():
                    before = got[0].get(word)
                    got[0][word] = alone if before is None else (*before, other)
        named, large = got
        found = named.get(name, ())
        return [f for f in self.of(path)[1:] if f in found or f in large] if large else list(found)
