"""A tree read from git objects only."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from reviewer.errors import InputError, MissingContent, ReviewerError
from reviewer.source.base import SUFFIXES, Tree
from reviewer.source.gitrun import Git, GitFailed

_REGULAR_MODES = (b"100644", b"100755", b"100664")
"""Modes of regular files in git trees; 100664 is found in very old ones."""


_LOOKS, _AT_ONCE = 6, 500
"""How often files are looked up one by one before the whole tree is listed, and how many at a time."""


def _regular(listing: bytes) -> dict[str, str]:
    """Path to blob id of the regular files in what ``ls-tree -z`` prints."""
    result: dict[str, str] = {}
    for entry in listing.split(b"\0")[:-1]:
        head, _, name = entry.partition(b"\t")
        mode, _, rest = head.partition(b" ")
        if mode in _REGULAR_MODES:
            result[os.fsdecode(name)] = rest[5:].decode()
    return result


class RevisionTree(Tree):
    """A commit's tree, from objects only; its list is made from that of the tree near it, if there is one."""

    def __init__(self, folder: Path, rev: str, objects: Path | None = None) -> None:
        super().__init__(folder)
        self._git = Git(folder, objects)
        self.rev, self._tree_id = self._resolve(rev)
        self._git.forget_promises()
        self._cat = self._git.cat_file()
        self._blobs: dict[str, str] | None = None
        self._few: dict[str, str | None] = {}
        self._looks = 0

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
        if self._blobs is None and isinstance(self.near, RevisionTree):
            self._blobs = self._changed(self.near)
        if self._blobs is None:
            try:
                listing = self._runner().run("ls-tree", "-r", "-z", "--full-tree", self._tree_id)
            except GitFailed as error:
                raise InputError(
                    f"{self.path}: the folders of {self.rev} cannot be listed ({error})",
                    "the clone is partial or damaged; fetch it whole",
                ) from error
            self._blobs = _regular(listing)
        return self._blobs

    def _changed(self, near: RevisionTree) -> dict[str, str] | None:
        """The list of another tree with what differs in ours."""
        command = ("diff-tree", "-r", "-z", "--raw", "--no-abbrev", "--no-renames", near._tree_id, self._tree_id)
        output, _, code = self._runner().run_raw(*command)
        if code != 0:
            return None
        found = dict(near._entries())
        fields = output.split(b"\0")
        for head, name in zip(fields[:-1:2], fields[1::2], strict=True):
            _, mode, _, blob, _ = head.split(b" ")
            if mode in _REGULAR_MODES:
                found[os.fsdecode(name)] = blob.decode()
            else:
                found.pop(os.fsdecode(name), None)
        return found

    def _blobs_of(self, paths: Sequence[str]) -> Mapping[str, str | None]:
        """Blob ids of these files, by path. To list a whole kernel takes a quarter of a second: not for a few files."""
        missing = [path for path in paths if path not in self._few]
        self._looks += bool(missing)
        odd = any(path.startswith(":") or "\0" in path or not path for path in missing)
        if self._blobs is not None or self._looks > _LOOKS or len(missing) > _AT_ONCE or odd:
            return self._entries()
        if missing:
            # Paths, not patterns: ls-tree knows none.
            listing, _, code = self._runner().run_raw("ls-tree", "-z", "--full-tree", self._tree_id, "--", *missing)
            if code != 0:
                return self._entries()
            self._few |= dict.fromkeys(missing) | _regular(listing)
        return self._few

    def has_c(self) -> bool:
        if self._blobs is not None:
            return super().has_c()
        with self._runner().popen("ls-tree", "-r", "--name-only", self._tree_id, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            found = any(name.rstrip(b'"\n').endswith(b".c") for name in process.stdout)
            process.kill()
        return found or super().has_c()

    def _list(self, suffixes: tuple[str, ...]) -> Iterable[str]:
        return [path for path in self._entries() if path.endswith(suffixes)]

    def _exists(self, path: str) -> bool:
        return self._blobs_of([path]).get(path) is not None

    def blob(self, path: str) -> str:
        blob = self._blobs_of([path]).get(path)
        if blob is None:
            raise MissingContent(f"{path}: no such file at {self.rev}")
        return blob

    def read(self, path: str) -> bytes:
        content = self._cat.read(self.blob(path))
        if content is None:
            raise _absent(path)
        return content

    def read_many(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes | MissingContent]]:
        wanted = list(paths)
        entries = self._blobs_of(wanted)
        present = (blob for path in wanted if (blob := entries.get(path)) is not None)
        # A reader of its own: the caller may stop half-way, or read other files in between.
        with self._runner().cat_file() as reader:
            contents = reader.read_many(present)
            for path in wanted:
                if entries.get(path) is None:
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

    def read_at(self, identity: str, paths: Sequence[str], contents: bytes) -> dict[str, bytes] | None:
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
