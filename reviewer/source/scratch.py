"""A private repository for patched trees, thrown away afterwards.

It has no configuration, no hooks and no attributes, and borrows the user's objects. Every git that looks at objects for
us runs in it, so that nothing the user's repository says can run a program, and nothing of it is written: new objects
are written here by us. (git itself would set the time of an object of the user's that it was about to write again.)
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from reviewer.errors import InputError
from reviewer.source.gitrun import CatFile, Git, GitFailed
from reviewer.source.indexfile import BadIndex, IndexEntry, sparse_index
from reviewer.source.objects import Objects
from reviewer.source.packwriter import pack_blobs
from reviewer.source.patch import Patch, Series
from reviewer.source.patchtree import PatchOntoTree
from reviewer.source.treeedit import TreeEdit

EMPTY_TREE = {
    False: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    True: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
"""Id of the tree without files, by whether it is a SHA-256 one; git knows it without an object."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A patch that was applied.

    :ivar tree: id of the whole tree after it. :ivar notes: for the user: offsets, three-way merges, what was passed over.
    """

    patch: Patch
    tree: str
    notes: tuple[str, ...]


class Scratch:
    """A private repository in a temporary folder; use it in a ``with``.

    :param repository: a work tree's top folder or a bare repository, whose objects are borrowed; None for none.
    :ivar git: runs git in it: no configuration, the user's objects and ours. :ivar repository: as given.
    :raises InputError: (on entry) git is not installed or refuses the repository
    """

    def __init__(self, repository: Path | None) -> None:
        self.repository = repository
        self._sha256 = False
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._cat: CatFile | None = None
        self._process = 0

    def __enter__(self) -> Self:
        self._process = os.getpid()
        self._folder = tempfile.TemporaryDirectory(prefix="reviewer-")
        try:
            self._make(Path(self._folder.name))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove it. A forked child leaves it to its parent."""
        if self._cat is not None:
            self._cat.close()
        folder, self._folder = self._folder, None
        if folder is None or self._process != os.getpid():
            return
        try:
            folder.cleanup()
        except KeyboardInterrupt:  # a second Ctrl-C, from someone impatient
            shutil.rmtree(folder.name, ignore_errors=True)
            raise

    @property
    def folder(self) -> Path:
        """The repository's folder: a bare one."""
        assert self._folder is not None, "Scratch is used in a with"
        return Path(self._folder.name)

    @property
    def objects(self) -> Path:
        """Folder of the new objects, for ``open_tree``."""
        return self.folder / "objects"

    def _make(self, folder: Path) -> None:
        for name in ("objects/info", "objects/pack", "refs"):
            (folder / name).mkdir(parents=True)
        (folder / "HEAD").write_text("ref: refs/heads/none\n")
        if self.repository is not None:
            self._borrow(folder, self.repository)
        if self._sha256:
            (folder / "config").write_text("[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n")
        self.git = Git(folder)
        self.git.env |= {
            "GIT_DIR": str(folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "HOME": str(folder),  # where attributes of the user's would be, and the configuration for git before 2.32
        }
        self.git.env.pop("XDG_CONFIG_HOME", None)
        self._cat = self.git.cat_file()
        self._objects = Objects(folder / "objects", self._cat, self._sha256)

    def _borrow(self, folder: Path, repository: Path) -> None:
        answer = Git(repository).run("rev-parse", "--show-object-format", "--git-path", "objects", "--git-path", "shallow")
        algorithm, objects, shallow = (os.fsdecode(line) for line in answer.split(b"\n")[:3])
        self._sha256 = algorithm == "sha256"
        own = repository.resolve()
        (folder / "objects/info/alternates").write_bytes(_quoted(os.fsencode(own / objects)) + b"\n")
        if (own / shallow).is_file():  # where a shallow clone ends, parents are named that nobody has
            shutil.copyfile(own / shallow, folder / "shallow")

    def tree_of(self, name: str) -> str:
        """Id of the tree of a commit or tree id.

        :raises InputError: there is no such commit or tree
        """
        try:
            return self.git.text("rev-parse", "--verify", "-q", f"{name}^{{tree}}")
        except GitFailed as error:
            where = f"{self.repository}: " if self.repository else ""
            raise InputError(
                f"{where}no commit or tree '{name}' in it", "name a commit of it; a shallow or partial clone lacks some"
            ) from error

    def apply(self, base: str, series: Series) -> list[Applied]:
        """Apply a series onto a tree.

        :param base: id of a commit or tree. :return: one for each patch, in order
        :raises DoesNotApply: a patch does not fit; names the patch and the place
        :raises InputError: no such base :raises MissingContent: an object that is needed is absent
        """
        edit = TreeEdit(self._objects, self.tree_of(base))
        onto = PatchOntoTree(self._objects, edit, self.git)
        result = []
        for patch in series.patches:
            notes = onto.apply(patch)
            result.append(Applied(patch, edit.write(), notes))
        return result

    def snapshot(self, folder: Path) -> str:
        """The tree of a plain directory, byte for byte; its id.

        Regular files only, and none below a folder whose name begins with a dot, as everywhere with plain directories.

        :raises InputError: a file or folder cannot be read
        """
        files: list[tuple[str, str]] = []

        def contents() -> Iterator[Callable[[], bytes | None]]:
            for path, entry in _files(folder):
                files.append((path, "100755" if entry.stat(follow_symlinks=False).st_mode & stat.S_IXUSR else "100644"))
                yield partial(_read, entry.path)

        edit = TreeEdit(self._objects, EMPTY_TREE[self._sha256])
        pack = self.objects / "pack/snapshot.pack"
        try:
            for number, blob in enumerate(pack_blobs(pack, contents(), self._sha256)):
                if blob is not None:
                    edit.put(*files[number], blob)
        except OSError as error:
            where = os.fsdecode(error.filename) if error.filename else str(folder)
            raise InputError(f"{where}: {error.strerror or 'unreadable'}", "make it readable or move it away") from error
        return edit.write()

    def staged(self, index: Path | None = None) -> tuple[str, str]:
        """What would be committed: (tree of HEAD, tree of the index).

        :param index: the index file, where a hook is told of another one by ``GIT_INDEX_FILE``; relative to the repository.
        :raises InputError: the index has conflicts, or is no index
        """
        assert self.repository is not None, "a plain directory has no index"
        git = Git(self.repository)
        answer = git.run("rev-parse", "--absolute-git-dir", "--git-path", "index")
        git_folder, usual = (os.fsdecode(line) for line in answer.split(b"\n")[:2])
        source = self.repository.resolve() / (usual if index is None else index)
        head, _, code = git.run_raw("rev-parse", "--verify", "-q", "HEAD^{tree}")
        base = head.decode().strip() if code == 0 else EMPTY_TREE[self._sha256]
        if not source.exists():  # nothing was ever added
            return base, EMPTY_TREE[self._sha256]
        copy = self.folder / "index"
        shutil.copyfile(source, copy)
        for shared in Path(git_folder).glob("sharedindex.*"):  # the other part of a split index
            shutil.copyfile(shared, self.folder / shared.name)
        try:
            entries = sparse_index(copy.read_bytes(), self._objects.id_bytes)
        except BadIndex as error:
            raise InputError(f"{source}: the index cannot be read ({error})", "try git status there") from error
        return base, self._index_tree(copy, base, source) if entries is None else self._sparse_index_tree(entries)

    def _sparse_index_tree(self, entries: list[IndexEntry]) -> str:
        self._refuse_conflicts({os.fsdecode(entry.path) for entry in entries if entry.stage})
        edit = TreeEdit(self._objects, EMPTY_TREE[self._sha256])
        for entry in entries:
            edit.put(os.fsdecode(entry.path), entry.mode, entry.blob)
        return edit.write()

    def _refuse_conflicts(self, paths: set[str]) -> None:
        if paths:
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            raise InputError(f"{self.repository}: {min(paths)}{more} is not merged yet", "resolve the conflict and git add it")

    def _index_tree(self, index: Path, base: str, source: Path) -> str:
        # No write-tree: it would write trees that the user's repository has and set the time of its packs for it.
        command = ("diff-index", "--cached", "--raw", "-z", "-r", "--no-abbrev", "--no-renames", "--ita-invisible-in-index", base)
        self.git.env["GIT_INDEX_FILE"] = str(index)
        try:
            output, complaint, code = self.git.run_raw(*command)
        finally:
            del self.git.env["GIT_INDEX_FILE"]
        if code:
            failure = self.git.failure(command, code, complaint)
            raise InputError(f"{source}: the index cannot be read ({failure})", "try git status there") from failure
        fields = output.split(b"\0")
        changes = [(head.decode().split(" "), os.fsdecode(path)) for head, path in zip(fields[:-1:2], fields[1::2], strict=True)]
        self._refuse_conflicts({path for head, path in changes if head[4] == "U"})
        edit = TreeEdit(self._objects, base)
        for head, path in changes:
            if head[4] in "DT":
                edit.remove(path)
        for head, path in changes:
            if head[4] != "D":
                edit.put(path, head[1], head[3])
        return edit.write()


def _files(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """(path below ``folder``, entry) of each regular file."""
    folders = [""]
    while folders:
        prefix = folders.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith("."):
                        folders.append(f"{prefix}{entry.name}/")
                elif entry.is_file(follow_symlinks=False) and entry.name.lower() != ".git":
                    yield prefix + entry.name, entry


def _read(path: str) -> bytes | None:
    """Content of a regular file; None if it is none any more."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(handle, "rb") as file:
        return file.read() if stat.S_ISREG(os.fstat(handle).st_mode) else None


def _quoted(path: bytes) -> bytes:
    """A path as git quotes it, where that is needed: as in C."""
    if not re.search(rb'[\n"\\]', path):
        return path
    return b'"' + re.sub(rb'[\n"\\]', lambda found: b"\\n" if found[0] == b"\n" else b"\\" + found[0], path) + b'"'
