"""Files of one tree in memory, shared by the programs that are linked from it, and a record of what was asked of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from reviewer.errors import MissingContent
from reviewer.parse.dialect import Dialect
from reviewer.parse.extract import MAX_BYTES
from reviewer.parse.head import Head
from reviewer.parse.kconfig import Configuration
from reviewer.parse.pieces import Layouts, Pieces


class Content(Protocol):
    """What linking needs of a :class:`reviewer.source.tree.Tree`."""

    def read(self, path: str) -> bytes: ...
    def blob(self, path: str) -> str: ...
    def exists(self, path: str) -> bool: ...
    def read_many(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes | MissingContent]]: ...
    def after_fork(self) -> None: ...


class Heads(Protocol):
    """Heads by the id of their file's blob; those that there are."""

    def get_many(self, keys: Sequence[str]) -> dict[str, Head]: ...
    def put(self, key: str, value: Head) -> None: ...
    def flush(self) -> None: ...


FEW = 40
"""Files up to which reading one by one is faster than to start a process of git's for them."""


class Files:
    """Files that have been read, by path.

    :ivar skipped: files that could not be read, with the reason.
    """

    def __init__(
        self, content: Content, dialect: Dialect, near: Files | None = None, changed: frozenset[str] = frozenset(),
        layouts: Layouts | None = None, configuration: Configuration | None = None, known_heads: Heads | None = None,
    ) -> None:  # fmt: skip
        """:param near: files of another tree that is the same but for the paths ``changed``; the layouts, the heads and the
        configuration are shared, too. :param configuration: picks ``#if`` arms; without one all arms are there."""
        self.layouts: Layouts | None = near.layouts if near is not None else layouts
        self.configuration: Configuration | None = near.configuration if near is not None else configuration
        self.known_heads: Heads | None = near.known_heads if near is not None else known_heads
        self._near = near
        self._changed = changed
        self.content = content
        self.dialect = dialect
        self.skipped: dict[str, str] = {}
        self._pieces: dict[str, Pieces] = {}
        self._originals: dict[str, bytes] = {}
        self._heads: dict[str, Head] = {}

    def __len__(self) -> int:
        return len(self._pieces)

    def ask_anew(self) -> None:
        """Forget which words were looked for: another question begins."""
        for file in self._pieces.values():
            if file.outside or file.inside:
                file.outside, file.inside = set(), set()

    def read(self, paths: Iterable[str]) -> None:
        """Read files together: cheaper than one by one."""
        missing = [p for p in dict.fromkeys(paths) if p and p not in self._pieces and self._shared(p) is None]
        if len(missing) < FEW:
            return
        for path, got in self.content.read_many(missing):
            self._pieces[path] = self._made(path, got)

    def get(self, path: str) -> Pieces:
        """A file, read on demand; empty, and listed in ``skipped``, if it cannot be read."""
        got = self._pieces.get(path) or self._shared(path)
        if got is None:
            text: bytes | MissingContent
            try:
                text = self.content.read(path) if path else b""  # "": a tree without the header asked for
            except MissingContent as e:
                text = e
            got = self._pieces[path] = self._made(path, text)
        return got

    def heads(self, paths: Sequence[str]) -> Iterator[tuple[str, Head]]:
        """The heads of some files, by path in their order. Those of files that nobody has asked for anything else may be known to
        the store."""
        missing = [p for p in paths if p not in self._heads]
        stored: dict[str, Head] = {}
        blobs: dict[str, str] = {}
        if self.known_heads is not None and self.configuration is None:  # which would pick other lines of the same file
            blobs = {path: blob for path in missing if (blob := self._blob(path))}
            stored = self.known_heads.get_many(list(blobs.values()))
        for path in missing:
            blob = blobs.get(path, "")
            head = stored.get(blob)
            if head is None:
                head = self.get(path).head
                if blob and self.known_heads is not None and path not in self.skipped:
                    self.known_heads.put(blob, head)
            self._heads[path] = head
        return ((path, self._heads[path]) for path in paths)

    def _blob(self, path: str) -> str:
        """The id of a file's content; "" if there is none."""
        try:
            return self.content.blob(path) if path else ""
        except MissingContent:
            return ""

    def original(self, path: str) -> bytes:
        """The text of a file with all its arms, as a reader sees it."""
        pieces = self.get(path)
        return self._originals.get(path, pieces.text)

    def _shared(self, path: str) -> Pieces | None:
        """The file, if the tree near this one has it in memory."""
        if self._near is None or path in self._changed or path in self._near.skipped:
            return None
        got = self._near._pieces.get(path) or self._near._shared(path)
        if got is not None:
            self._pieces[path] = got
            if self.configuration is not None:
                self._originals[path] = self._near.original(path)
        return got

    def _made(self, path: str, got: bytes | MissingContent) -> Pieces:
        if isinstance(got, MissingContent):
            self.skipped[path] = got.what
            got = b""
        text = self.configuration.pick(got) if self.configuration is not None and len(got) <= MAX_BYTES else got
        if text != got:
            self._originals[path] = got
        pieces = Pieces(text, self.dialect, self.layouts)
        if pieces.problem:
            self.skipped[path] = f"{path}: {pieces.problem}"
        return pieces

    def keep(self) -> None:
        """Have new layouts and heads written to the store."""
        for kept in (self.layouts, self.known_heads):
            if kept is not None:
                kept.flush()

    def forget(self) -> None:
        """Let go of all files; they are read again when they are asked for."""
        for kept in (self._pieces, self._originals, self._heads):
            kept.clear()
