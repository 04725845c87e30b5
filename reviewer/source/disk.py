"""Trees read as they lie on disk: a git work tree, a plain directory."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
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


_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""What lstat says of a file that was removed, as against one that is closed to us."""


class _DiskTree(Tree):
    """Files as they lie on disk."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._root = os.path.realpath(folder)
        self._hashes: dict[tuple[int, int, int, int], str] = {}
        self._real_folders: dict[str, bool] = {}
        self._identity: str | None = None

    def _stat(self, path: str) -> os.stat_result | None:
        """lstat of a regular file that is reached without a symbolic link, else None."""
        parts = path.split("/")
        if path.startswith("/") or ".." in parts or "\0" in path:
            return None
        above = "/".join(parts[:-1])
        if above not in self._real_folders:
            there = os.path.join(self._root, above) if above else self._root  # noqa: PTH118  hot
            self._real_folders[above] = os.path.realpath(there) == there
        if not self._real_folders[above]:
            return None
        try:
            found = os.lstat(f"{self._root}/{path}")
        except OSError as error:
            if error.errno not in _NOT_THERE:
                self.note_skipped(path, error.strerror or "unreadable")
            return None
        return found if stat.S_ISREG(found.st_mode) else None

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

    def _walk(self) -> Iterator[tuple[str, os.stat_result]]:
        """Every C file with its lstat, in an order that depends on names only."""
        for path in self.paths():
            found = self._stat(path)
            if found is not None:
                yield path, found

    def identity(self) -> str:
        if self._identity is None:
            digest = hashlib.sha256(os.fsencode(self._root))
            lines = [f"{path}\0{s.st_size} {s.st_mtime_ns} {s.st_ino}\0" for path, s in self._walk()]
            digest.update(os.fsencode("".join(lines)))
            self._identity = f"disk:{digest.hexdigest()[:40]}"
        return self._identity


class WorkTree(_DiskTree):
    """A git work tree: tracked files, and untracked ones that are not ignored."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._git = Git(folder)

    def _list(self, suffixes: tuple[str, ...]) -> Iterable[str]:
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
        names = {os.fsdecode(name) for name in listing.split(b"\0")[:-1]}
        return [path for path in names if self._stat(path) is not None]

    def _grep_scope(self) -> list[str]:
        # --untracked alone would leave out tracked files that a pattern ignores; so everything is searched,
        # and what `paths` does not list is dropped from the answer.
        return ["--untracked", "--no-exclude-standard", "--no-recurse-submodules"]

    def _ours(self, path: str, suffixes: Sequence[str]) -> bool:
        return path in self._known() if tuple(suffixes) == SUFFIXES else path in set(self.paths(suffixes))


class DirectoryTree(_DiskTree):
    """A plain directory."""

    def _list(self, suffixes: tuple[str, ...]) -> Iterable[str]:
        return [path for path, _ in self._scan(suffixes)]

    def has_c(self) -> bool:
        return any(True for _ in self._scan((".c",)))

    def _walk(self) -> Iterator[tuple[str, os.stat_result]]:
        found = sorted(self._scan(SUFFIXES), key=lambda item: item[0])
        self._paths.setdefault(SUFFIXES, tuple(path for path, _ in found))
        for path, entry in found:
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
