"""Folders of patches in a repository that keeps patches: which a commit touches, and how they were before it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path, PurePosixPath

from reviewer.errors import InputError, MissingContent
from reviewer.source.listing import staged_files, tracked_files
from reviewer.source.tree import RevisionTree

PATCH = re.compile(r"\.(patch|diff)\Z|(\A|/)series\Z")
"""As ``files`` in ``.pre-commit-hooks.yaml``."""


def patch_folders(top: Path, index: Path | None, where: Sequence[str] = ()) -> tuple[str, ...]:
    """Folders of the patches that are staged, relative to ``top``, sorted; of all that are tracked if nothing is staged.

    A patch belongs to the nearest folder above it with a quilt ``series``, else to its own. A folder from which the last
    patch was removed is left out.

    :param top: a work tree's top. :param index: as for :func:`reviewer.source.listing.staged_files`
    :param where: files or folders, relative to ``top``: only patches at or below one of them.
    :raises InputError: git refuses the repository
    """
    tracked = {name for name in tracked_files(top, index) if PATCH.search(name)}
    changed = staged_files(top, index) or tracked
    wanted = [_normal(one) for one in where]
    touched = [name for name in changed if PATCH.search(name) and (not wanted or any(_below(name, one) for one in wanted))]
    folders = {_folder(name, tracked) for name in touched}
    return tuple(sorted(folder for folder in folders if any(_below(name, folder) for name in tracked)))


@contextmanager
def committed(top: Path, folder: str) -> Iterator[Path | None]:
    """A copy of a folder as HEAD has it; None if HEAD has no patch there."""
    with ExitStack() as stack:
        try:
            head = stack.enter_context(closing(RevisionTree(top, "HEAD")))
        except InputError:  # before the first commit
            yield None
            return
        names = [name for name in head.paths(("",)) if _below(name, folder)]
        if not any(PATCH.search(name) for name in names):
            yield None
            return
        copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="reviewer-")))
        for name, content in head.read_many(names):
            if not isinstance(content, MissingContent):
                file = copy / PurePosixPath(name).relative_to(folder)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        yield copy


def _folder(name: str, tracked: set[str]) -> str:
    own = PurePosixPath(name).parent
    return str(next((above for above in (own, *own.parents) if str(above / "series") in tracked), own))


def _normal(path: str) -> str:
    return os.path.normpath(path)


def _below(name: str, folder: str) -> bool:
    return folder in (".", name) or name.startswith(f"{folder}/")
