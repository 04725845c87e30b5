"""A work tree, a bare repository or a plain directory as one kind of Tree.

Symbolic links and submodules are never followed. In a plain directory everything below a dot folder
(``.pc``, ``.git``) is left out: it holds copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reviewer.errors import InputError
from reviewer.source.base import SUFFIXES, Tree
from reviewer.source.disk import DirectoryTree, WorkTree, blob_id
from reviewer.source.revision import RevisionTree

__all__ = [
    "SUFFIXES", "DirectoryTree", "Place", "RevisionTree", "Tree", "WorkTree", "blob_id", "is_repository", "looks_like_tree",
    "open_tree", "place_of",
]  # fmt: skip


def open_tree(path: str, rev: str | None = None, objects: Path | None = None) -> Tree:
    """The tree at ``path``.

    :param path: a git work tree's top folder, a bare repository or a plain directory.
    :param rev: a commit or tree by any name git knows, read from objects only; HEAD in a bare repository.
    :param objects: a scratch object directory to look in too (a patched tree lives there).
    :raises InputError: no such folder, no C file in it, no such revision, git refuses the repository
    """
    folder = Path(path)
    if not folder.exists():
        raise InputError(f"{path}: no such directory", "give a kernel source tree")
    if not folder.is_dir():
        raise InputError(f"{path}: not a directory", "give the top folder of a kernel source tree")
    bare = _is_bare(folder)
    tree: Tree
    if bare or rev is not None:
        if not bare and not _is_work_tree(folder):
            raise InputError(f"{path}: no git repository, so no revision '{rev}'", "leave --rev out")
        tree = RevisionTree(folder, "HEAD" if rev is None else rev, objects)
    elif _is_work_tree(folder):
        tree = WorkTree(folder)
    else:
        tree = DirectoryTree(folder)
    if not tree.has_c():
        where = f"{path} at {rev}" if rev else path
        raise InputError(f"{where}: no .c file in it", "give the top folder of a kernel source tree")
    return tree


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tree can be opened again, by another process or on another machine that sees the same files."""

    path: str
    rev: str | None

    def opened(self) -> Tree:
        """The tree; each process opens it once."""
        return _opened(self)


@cache
def _opened(place: Place) -> Tree:
    return open_tree(place.path, place.rev)


def place_of(tree: Tree) -> Place:
    """The place of a tree that is no patched one."""
    return Place(str(Path(tree.path).resolve()), tree.rev)


def is_repository(folder: Path) -> bool:
    """Whether the folder is a git work tree's top or a bare repository."""
    return _is_bare(folder) or _is_work_tree(folder)


def looks_like_tree(path: str) -> bool:
    """Whether a command line's first word names a source tree rather than patches: a repository, or a folder with a
    ``Kbuild`` or ``Makefile`` at its top and no ``.patch`` file."""
    folder = Path(path)
    if not folder.is_dir():
        return False
    if is_repository(folder):
        return True
    return any((folder / name).is_file() for name in ("Kbuild", "Makefile")) and next(folder.glob("*.patch"), None) is None


def _is_bare(folder: Path) -> bool:
    return (folder / "HEAD").is_file() and (folder / "objects").is_dir() and (folder / "refs").is_dir()


def _is_work_tree(folder: Path) -> bool:
    return (folder / ".git").exists()
