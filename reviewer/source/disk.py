"""Trees read as they lie on disk: a git work tree, a plain directory."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from reviewer.errors import InputError, MissingContent
from reviewer.source.base import SUFFIXES, Tree
from reviewer.source.gitrun import Git, GitFailed
from reviewer.source.search import complained


def blob_id(content: bytes, sha256: bool = False) -> str:
    """The id git gives to this content (raw bytes: no filter, no end-of-line conversion)."""
    header = b"blob %d\0" % len(content)
    hasher = hashlib.sha256 if sha256 else hashlib.sha1
    return hasher(header + content).hexdigest()


_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""A file that is swapped for a link or a pipe behind our back must not catch us."""


_TICK = 20_000_000
"""Nanoseconds in which the time of a file may stand still: a tick of a kernel with HZ=100, twice."""

_COARSE_TICK = 2_000_000_000
"""The same where a file system keeps whole seconds (FAT: every other one)."""

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""What lstat says of a file that was removed, as against one that is closed to us."""


class _DiskTree(Tree):
    """Files as they lie on disk."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._root = os.path.realpath(folder)
        self._hashes: dict[tuple[int, int, int, int], str] = {}
        self._real_folders: dict[str, bool] = {"": True}
        self._identity: str | None = None
        self._listing = b""

    def _stat(self, path: str) -> os.stat_result | None:
        """lstat of a regular file that is reached without a symbolic link, else None."""
        above, _, name = path.rpartition("/")
        if name in ("", "..") or path[0] == "/" or "\0" in path:
            return None
        real = self._real_folders.get(above)
        if not (self._is_real(above) if real is None else real):
            return None
        try:
            found = os.lstat(f"{self._root}/{path}")
        except OSError as error:
            if error.errno not in _NOT_THERE:
                self.note_skipped(path, error.strerror or "unreadable")
            return None
        return found if stat.S_ISREG(found.st_mode) else None

    def _is_real(self, folder: str) -> bool:
        """Whether no symbolic link lies on the way to a folder."""
        known = self._real_folders.get(folder)
        if known is None:
            above, _, name = folder.rpartition("/")
            known = name not in ("", "..") and self._is_real(above)
            try:
                known = known and stat.S_ISDIR(os.lstat(f"{self._root}/{folder}").st_mode)
            except OSError as error:
                known = error.errno not in _NOT_THERE  # closed to us: what is in it will say so
            self._real_folders[folder] = known
        return known

    def _exists(self, path: str) -> bool:
        return self._stat(path) is not None

    def blob(self, path: str) -> str:
        found = self._stat(path)
        if found is None:
            raise MissingContent(f"{path}: no such file")
        key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if key not in self._hashes:
            self._hashes[key] = blob_id(self.read(path))
        return self._hashes[key]

    def read(self, path: str) -> bytes:
        if self._stat(path) is None:
            raise MissingContent(f"{path}: no such file")
        try:
            handle = os.open(f"{self._root}/{path}", _OPEN_FLAGS)
            with os.fdopen(handle, "rb") as file:
                return file.read()
        except OSError as error:
            raise MissingContent(f"{path}: {error.strerror or 'unreadable'}") from error

    def read_many(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes | MissingContent]]:
        for path in paths:
            try:
                yield path, self.read(path)
            except MissingContent as error:
                yield path, error

    @abstractmethod
    def _walk(self, suffixes: tuple[str, ...]) -> Iterator[tuple[str, os.stat_result]]:
        """Every file with one of ``suffixes``, with its lstat, in an order that depends on names only."""

    def _list(self, suffixes: tuple[str, ...]) -> Iterable[str]:
        if suffixes != SUFFIXES:
            return [path for path, _ in self._walk(suffixes)]
        started = time.time_ns()
        newest = 0
        paths: list[str] = []
        lines: list[str] = []
        for path, s in self._walk(suffixes):
            paths.append(path)
            # The time of the last change of the inode, too: nobody can set it back.
            lines.append(f"{path}\0{s.st_size} {s.st_mtime_ns} {s.st_ctime_ns} {s.st_ino}\0")
            newest = max(newest, s.st_ctime_ns)
        self._listing = os.fsencode(self._root) + b"\0" + os.fsencode("".join(lines))
        digest = hashlib.sha256(self._listing).hexdigest()[:40]
        # A second change in the same tick of the clock would look like the first: such a state has a name of its own.
        tick = _TICK if newest % 1_000_000_000 else _COARSE_TICK
        self._identity = f"disk:{digest}" if newest < started - tick else f"disk:{digest}:{started}"
        return paths

    def listing(self) -> bytes | None:
        return self._listing if self.identity().count(":") == 1 else None

    def changed_since(self, identity: str, listing: bytes) -> frozenset[str] | None:
        if not identity.startswith("disk:"):
            return None
        self.identity()
        there, here = listing.split(b"\0"), self._listing.split(b"\0")
        if there[0] != here[0]:
            return None  # another folder's
        old, new = dict(zip(there[1::2], there[2::2], strict=False)), dict(zip(here[1::2], here[2::2], strict=False))
        return frozenset(os.fsdecode(path) for path, _ in old.items() ^ new.items())

    def identity(self) -> str:
        if self._identity is None:
            self._paths.pop(SUFFIXES, None)
            self.paths()
        assert self._identity is not None
        return self._identity


_ENTRY = re.compile(
    rb"\d+ (?P<id>[0-9a-f]+) 0\t(?P<path>[^\0]+)\0  ctime: [^\n]*\n  mtime: (?P<seconds>\d+):(?P<nanoseconds>\d+)\n"
    rb"  dev: \d+\tino: (?P<inode>\d+)\n[^\n]*\n  size: (?P<size>\d+)\t"
)
"""What ``git ls-files --stage --debug -z`` says of a file."""

_WORD = 0xFFFFFFFF
"""Bits that the index has of a size and of an inode."""


class WorkTree(_DiskTree):
    """A git work tree: tracked files, and untracked ones that are not ignored."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._git = Git(folder)

    def _walk(self, suffixes: tuple[str, ...]) -> Iterator[tuple[str, os.stat_result]]:
        patterns = [f"*{suffix}" for suffix in suffixes]
        try:
            command = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns)
            listing, complaints, code = self._runner().run_raw(*command)
            if code != 0:
                raise self._runner().failure(command, code, complaints)
        except GitFailed as error:
            raise InputError(f"{self.path}: cannot list its files ({error})", "try git status there") from error
        for name, reason in complained(complaints):
            self.note_skipped(name, reason)
        for path in sorted({os.fsdecode(name) for name in listing.split(b"\0")[:-1]}):
            found = self._stat(path)
            if found is not None:
                yield path, found

    def contents(self) -> bytes:
        """The id that the index has of each file; nothing where it may be another file than the one that was added.

        Told as git tells it, by size, time and inode (Documentation/technical/racy-git.txt), though never by content: to compare
        that, git runs whatever filters are configured.
        """
        self.identity()
        git = self._runner()
        try:
            index = self.folder / os.fsdecode(git.run("rev-parse", "--git-path", "index").rstrip(b"\n"))
            written = index.stat().st_mtime_ns
            entries = git.run("ls-files", "-z", "--stage", "--debug")
        except (GitFailed, OSError):
            return b""
        fields = iter(self._listing.split(b"\0")[1:-1])
        here = {path: tuple(int(number) for number in state.split(b" ")) for path, state in zip(fields, fields, strict=True)}
        found = dict.fromkeys(here, b"")
        for m in _ENTRY.finditer(entries):
            size, modified, _, inode = here.get(m["path"], (0, 0, 0, 0))
            then = int(m["seconds"]) * 1_000_000_000 + int(m["nanoseconds"])
            same = (size & _WORD, modified, inode & _WORD) == (int(m["size"]), then, int(m["inode"]))
            if m["path"] in found and same and modified < written:
                found[m["path"]] = m["id"]
        return b"".join(b"%s\0%s\0" % one for one in found.items())

    def read_at(self, identity: str, paths: Sequence[str], contents: bytes) -> dict[str, bytes] | None:
        fields = contents.split(b"\0")
        ids = dict(zip(fields[::2], fields[1::2], strict=False))
        there = [path for path in paths if os.fsencode(path) in ids]
        wanted = [ids[os.fsencode(path)].decode() for path in there]
        if not contents or not all(wanted):
            return None
        with self._runner().cat_file() as reader:
            found = [got for _, got in reader.read_many(wanted)]
        return None if None in found else {path: got for path, got in zip(there, found, strict=True) if got is not None}

    def _grep_scope(self) -> list[str]:
        # --untracked alone would leave out tracked files that a pattern ignores; so everything is searched,
        # and what `paths` does not list is dropped from the answer.
        return ["--untracked", "--no-exclude-standard", "--no-recurse-submodules"]

    def _ours(self, path: str, suffixes: Sequence[str]) -> bool:
        return path in self._known() if tuple(suffixes) == SUFFIXES else path in set(self.paths(suffixes))


class DirectoryTree(_DiskTree):
    """A plain directory."""

    def has_c(self) -> bool:
        return any(True for _ in self._scan((".c",)))

    def _walk(self, suffixes: tuple[str, ...]) -> Iterator[tuple[str, os.stat_result]]:
        for path, entry in sorted(self._scan(suffixes), key=lambda item: item[0]):
            try:
                yield path, entry.stat(follow_symlinks=False)
            except OSError:
                continue

    def _scan(self, suffixes: tuple[str, ...]) -> Iterator[tuple[str, os.DirEntry[str]]]:
        folders = [("", self._root)]
        while folders:
            prefix, folder = folders.pop()
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        name = entry.name
                        if name.endswith(suffixes) and entry.is_file(follow_symlinks=False):
                            yield prefix + name, entry
                        elif name[0] != "." and entry.is_dir(follow_symlinks=False):
                            folders.append((f"{prefix}{name}/", entry.path))
            except OSError as error:
                self.note_skipped(prefix or ".", error.strerror or "unreadable folder")

    def _grep_scope(self) -> list[str]:
        return ["--no-index", "--no-exclude-standard"]

    def _ours(self, path: str, suffixes: Sequence[str]) -> bool:
        return "/." not in path.rpartition("/")[0] and not (path[0] == "." and "/" in path)
