"""What every kind of source tree answers: which files, their bytes, their blob ids, where a word stands."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

from reviewer.errors import MissingContent
from reviewer.source.gitrun import Git, GitFailed, split_records
from reviewer.source.search import Search, arguments, matching

SUFFIXES: tuple[str, ...] = (".c", ".h")
"""Files that hold C."""


class Tree(ABC):
    """One state of a source tree. Paths are relative to its top, with ``/``; odd bytes as surrogates.

    :ivar path: as the user gave it. :ivar rev: full commit (or tree) id, None when read from disk.
    :ivar skipped: (path, reason) of files that a search could not read, each once.
    :ivar asked: paths of other suffixes than :data:`SUFFIXES` that somebody asked for, there or not: a source may
        include any file.
    :ivar near: another tree of the repository that differs in a few files, such as the one before a patch; or None.
    """

    rev: str | None = None
    near: Tree | None = None

    def __init__(self, folder: Path) -> None:
        self.path = str(folder)
        self.folder = folder
        self.skipped: list[tuple[str, str]] = []
        self.asked: set[str] = set()
        self._paths: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._path_set: frozenset[str] | None = None
        self._git: Git | None = None
        self._damaged: list[str] = []

    # --- what it holds

    def paths(self, suffixes: Sequence[str] = SUFFIXES) -> Sequence[str]:
        """Every regular file whose name ends in one of ``suffixes``, sorted."""
        key = tuple(suffixes)
        if key not in self._paths:
            self._paths[key] = tuple(sorted(self._list(key)))
        return self._paths[key]

    def exists(self, path: str) -> bool:
        """Whether ``path`` is a regular file of this tree (of any suffix)."""
        if not path.endswith(SUFFIXES):
            self.asked.add(path)
        elif SUFFIXES in self._paths:
            return path in self._known()
        return self._exists(path)

    def has_c(self) -> bool:
        """Whether there is any ``.c`` file at all."""
        return any(path.endswith(".c") for path in self.paths())

    def _known(self) -> frozenset[str]:
        if self._path_set is None:
            self._path_set = frozenset(self.paths())
        return self._path_set

    @abstractmethod
    def _list(self, suffixes: tuple[str, ...]) -> Iterable[str]: ...

    @abstractmethod
    def _exists(self, path: str) -> bool: ...

    @abstractmethod
    def blob(self, path: str) -> str:
        """Git's id of the file's content, 40 or 64 hex digits.

        :raises MissingContent: no such file, or it cannot be read
        """

    @abstractmethod
    def read(self, path: str) -> bytes:
        """The file's bytes.

        :raises MissingContent: no such file, absent from the clone, or unreadable
        """

    @abstractmethod
    def read_many(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes | MissingContent]]:
        """(path, bytes or what kept us from them), in the order asked."""

    @abstractmethod
    def identity(self) -> str:
        """Changes if and only if the C content that a scan sees may have changed."""

    def listing(self) -> bytes | None:
        """What :meth:`changed_since` needs to know later of this state; None if a change of it might go unseen."""
        return None

    def changed_since(self, identity: str, listing: bytes) -> frozenset[str] | None:
        """C files that differ between the state of that :meth:`identity` and this one; None if that cannot be told.

        :param listing: what :meth:`listing` gave of that state.
        """
        return None

    def contents(self) -> bytes:
        """What :meth:`read_at` needs to know later of this state."""
        return b""

    def read_at(self, identity: str, paths: Sequence[str], contents: bytes) -> dict[str, bytes] | None:
        """Files as they were in the state of that :meth:`identity`, by path; None if that state cannot be read any more.

        :param contents: what :meth:`contents` gave of that state.
        """
        return None

    def after_fork(self) -> None:  # noqa: B027  most kinds share nothing with their parent process
        """In a child process: let the parent have its helper processes, and start others when need be."""

    def close(self) -> None:  # noqa: B027  most kinds have nothing to let go of
        """Let go of helper processes; the tree may still be used."""

    # --- where words stand

    def grep(
        self,
        patterns: Sequence[str],
        *,
        fixed: bool = True,
        word: bool = True,
        under: Sequence[str] = (),
        perl: bool = False,
        suffixes: Sequence[str] = SUFFIXES,
    ) -> Iterator[tuple[str, int, bytes]]:
        """(path, 1-based line, text) of each line that matches one of ``patterns``, by ``git grep``.

        :param fixed: patterns are words, not expressions. :param word: match whole words only.
        :param perl: patterns are Perl expressions (implies not ``fixed``); a few at most.
        :param under: folders or files to stay in; none means everywhere.
        Files that cannot be read are left out and named in ``skipped``.
        :raises GitFailed: a bad expression
        """
        options = ["-n", *matching(fixed, word, perl)]
        for record, text in self.grep_raw(options, patterns, under, suffixes):
            number, _, line = text.partition(b"\0")
            yield record, int(number), line

    def grep_files(
        self,
        patterns: Sequence[str],
        *,
        fixed: bool = True,
        word: bool = True,
        under: Sequence[str] = (),
        perl: bool = False,
        suffixes: Sequence[str] = SUFFIXES,
    ) -> list[str]:
        """Sorted paths of the files in which :meth:`grep` would find a line."""
        options = ["-l", "-z", *matching(fixed, word, perl)]
        found = self._retried(options, patterns, under, suffixes, lambda stream: split_records(stream, b"\0"))
        prefix = len(self._prefix())
        paths = {os.fsdecode(name[prefix:]) for name in found}
        return sorted(path for path in paths if self._ours(path, suffixes))

    def grep_raw(
        self, options: Sequence[str], patterns: Sequence[str], under: Sequence[str], suffixes: Sequence[str]
    ) -> Iterator[tuple[str, bytes]]:
        """(path, rest of the line behind the path's NUL) of ``git grep -z OPTIONS``."""
        prefix = len(self._prefix())
        last, path, ours = b"", "", False
        for line in self._retried(["-z", *options], patterns, under, suffixes, _lines):
            name, _, rest = line.partition(b"\0")
            if name != last:
                last, path = name, os.fsdecode(name[prefix:])
                ours = self._ours(path, suffixes)
            if ours:
                yield path, rest.rstrip(b"\r\n")

    def grep_blocks(
        self, options: Sequence[str], patterns: Sequence[str], under: Sequence[str] = (), apart: Sequence[str] = ()
    ) -> Iterator[bytes]:
        """What ``git grep --heading --break OPTIONS`` prints, without ``-z``, in large blocks of whole files.

        For output that is taken apart in bulk. A block is groups between empty lines; the first line of a group
        names the file as git does (:meth:`text_path` makes a path of it).
        :param under: folders or files to stay in; none means everywhere. :param apart: folders to leave out.
        :raises GitFailed: also when git died of a damaged file; that file is left out from then on, so
            starting over helps if :attr:`skipped` has grown.
        """
        command = arguments(["--heading", "--break", *options], self._grep_scope(), under, SUFFIXES, [*self._damaged, *apart])
        try:
            with self._search(command, patterns) as stream:
                rest = b""
                while data := stream.read(1 << 20):
                    whole, found, tail = (rest + data).rpartition(b"\n\n")
                    rest = tail
                    if found:
                        yield whole
                if rest:
                    yield rest.rstrip(b"\n")
        except GitFailed as failure:
            self._damaged += self._leave_out(failure)
            raise

    def text_path(self, name: bytes) -> str | None:
        """The path behind a name in :meth:`grep_blocks`'s output; None if the file is not of this tree."""
        path = os.fsdecode(name[len(self._prefix()) :])
        return path if self._ours(path, SUFFIXES) else None

    def _retried(
        self,
        options: Sequence[str],
        patterns: Sequence[str],
        under: Sequence[str],
        suffixes: Sequence[str],
        records: Callable[[IO[bytes]], Iterator[bytes]],
    ) -> Iterator[bytes]:
        """Records of one search. If git dies of a file, it is searched again without that file."""
        if not patterns:
            return
        given = 0
        while True:
            command = arguments(options, self._grep_scope(), under, suffixes, self._damaged)
            try:
                with self._search(command, patterns) as stream:
                    # What went out before git died comes again, in the same order.
                    for record in islice(records(stream), given, None):
                        given += 1
                        yield record
                return
            except GitFailed as failure:
                more = [path for path in self._leave_out(failure) if path not in self._damaged]
                if not more:
                    raise
                self._damaged += more

    @contextmanager
    def _search(self, command: Sequence[str], patterns: Sequence[str]) -> Iterator[IO[bytes]]:
        search = Search(self._runner(), command, patterns)
        try:
            with search as stream:
                yield stream
        finally:
            for name, reason in search.unread:
                self.note_skipped(name[len(self._prefix()) :], reason)

    def _leave_out(self, failure: GitFailed) -> list[str]:
        """Files that made git fail; none when it failed for another reason."""
        return []

    def _runner(self) -> Git:
        if self._git is None:
            self._git = Git(self.folder)
        return self._git

    @abstractmethod
    def _grep_scope(self) -> list[str]:
        """Arguments that say where ``git grep`` looks."""

    def _prefix(self) -> bytes:
        """What git puts before each path."""
        return b""

    def _ours(self, path: str, suffixes: Sequence[str]) -> bool:
        """Whether a file that git searched belongs to this tree."""
        return True

    def note_skipped(self, path: str, reason: str) -> None:
        """Remember that ``path`` could not be read. Said once."""
        if (path, reason) not in self.skipped:
            self.skipped.append((path, reason))


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines of ``git grep -z``; a line feed before the NUL belongs to a file's name."""
    head = b""
    for line in stream:
        head += line
        if b"\0" in head:
            yield head
            head = b""
