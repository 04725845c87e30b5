"""A tree read from git objects only."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from reviewer.errors import InputError, MissingContent, ReviewerError
from reviewer.source.base import SUFFIXES, Tree
from reviewer.source.gitrun import Git, GitFailed

_REGULAR_MODES = (b"100644", b"100755", b"100664")
"""Modes of regular files in git trees; 100664 is found in very old ones."""


class RevisionTree(Tree):
    """A commit's tree, from objects only."""

    def __init__(self, folder: Path, rev: str, objects: Path | None = None) -> None:
        super().__init__(folder)
        self._git = Git(folder, objects)
        self.rev, self._tree_id = self._resolve(rev)
        self._git.forget_promises()
        self._cat = self._git.cat_file()
        self._blobs: dict[str, str] | None = None

    def _resolve(self, rev: str) -> tuple[str, str]:
        """(commit or tree id, tree id)."""
        found = []
        for name in (f"{rev}^{{}}", f"{rev}^{{tree}}"):
            output, stderr, code = self._runner().run_raw("rev-parse", "--verify", name)
            # An option is never a revision; --end-of-options is not understood by every git in use.
            if code != 0 or rev.startswith("-"):
                raise self._unknown(rev, self._runner().failure(("rev-parse",), code, stderr))
            found.append(output.decode().strip())
        return found[0], found[1]

    def _unknown(self, rev: str, failure: ReviewerError) -> ReviewerError:
        if isinstance(failure, InputError):
            return failure  # git refuses the whole repository
        if rev == "HEAD":
            return InputError(f"{self.path}: the repository has no commit at HEAD", "give --rev")
        return InputError(f"{self.path}: no revision '{rev}' in it", "name a commit, tag or branch of it")

    def _entries(self) -> dict[str, str]:
        """Path to blob id of every regular file."""
        if self._blobs is None:
            result: dict[str, str] = {}
            try:
                listing = self._runner().run("ls-tree", "-r", "-z", "--full-tree", self._tree_id)
            except GitFailed as error:
                raise InputError(
                    f"{self.path}: the folders of {self.rev} cannot be listed ({error})",
                    "the clone is partial or damaged; fetch it whole",
                ) from error
            for entry in listing.split(b"\0")[:-1]:
                head, _, name = entry.partition(b"\t")
                mode, _, rest = head.partition(b" ")
                if mode in _REGULAR_MODES:
                    result[os.fsdecode(name)] = rest[5:].decode()
            self._blobs = result
        return self._blobs

    def _list(self, suffixes: tuple[str, ...]) -> Iterable[str]:
        return [path for path in self._entries() if path.endswith(suffixes)]

    def _exists(self, path: str) -> bool:
        return path in self._entries()

    def blob(self, path: str) -> str:
        try:
            return self._entries()[path]
        except KeyError:
            raise MissingContent(f"{path}: no such file at {self.rev}") from None

    def read(self, path: str) -> bytes:
        content = self._cat.read(self.blob(path))
        if content is None:
            raise _absent(path)
        return content

    def read_many(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes | MissingContent]]:
        entries = self._entries()
        wanted = list(paths)
        present = (entries[path] for path in wanted if path in entries)
        # A reader of its own: the caller may stop half-way, or read other files in between.
        with self._runner().cat_file() as reader:
            contents = reader.read_many(present)
            for path in wanted:
                if path not in entries:
                    yield path, MissingContent(f"{path}: no such file at {self.rev}")
                    continue
                content = next(contents)[1]
                yield path, _absent(path) if content is None else content

    def identity(self) -> str:
        return f"tree:{self._tree_id}"

    def after_fork(self) -> None:
        self._parents = self._cat  # kept, lest its end is taken for ours
        self._cat = self._runner().cat_file()

    def listing(self) -> bytes | None:
        return b""

    def changed_since(self, identity: str, listing: bytes) -> frozenset[str] | None:
        kind, _, other = identity.partition(":")
        if kind != "tree":
            return None
        try:
            # Trees only: what the repository says of diffs (drivers, external programs) has no part in this.
            names = self._runner().run("diff-tree", "-r", "-z", "--name-only", "--no-renames", other, self._tree_id)
        except GitFailed:
            return None  # another repository's
        return frozenset(path for name in names.split(b"\0")[:-1] if (path := os.fsdecode(name)).endswith(SUFFIXES))

    def read_at(self, identity: str, paths: Sequence[str]) -> dict[str, bytes] | None:
        kind, _, other = identity.partition(":")
        if kind != "tree":
            return None
        with self._runner().cat_file() as reader:
            found = list(reader.read_many(f"{other}:{path}" for path in paths))
        return {path: got for path, (_, got) in zip(paths, found, strict=True) if got is not None}

    def close(self) -> None:
        self._cat.close()

    def _grep_scope(self) -> list[str]:
        return [self._tree_id]

    def _leave_out(self, failure: GitFailed) -> list[str]:
        # git grep dies of a damaged object where it only complains about an absent one.
        ids = set(re.findall(r"\b[0-9a-f]{40,64}\b", failure.stderr)) - {self._tree_id}
        paths = [path for path, blob in self._entries().items() if blob in ids]
        for path in paths:
            self.note_skipped(path, "content damaged in the repository")
        return paths

    def _prefix(self) -> bytes:
        return self._tree_id.encode() + b":"


def _absent(path: str) -> MissingContent:
    return MissingContent(f"{path}: content absent from the repository (shallow, partial or damaged clone)")
