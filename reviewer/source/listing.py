"""Names of files that are staged, or tracked."""

from __future__ import annotations

import os
from pathlib import Path

from reviewer.source.gitrun import Git


def staged_files(folder: Path, index: Path | None = None) -> tuple[str, ...]:
    """Files that the next commit would add, change or remove, against HEAD or, before the first commit, nothing.

    :param folder: a work tree's top. :param index: as for :func:`reviewer.source.commits.read_staged`
    :raises InputError: git is not there, or refuses the repository
    """
    git = _git(folder, index)
    _, stderr, code = git.run_raw("rev-parse", "--git-dir")
    if code != 0:
        raise git.failure(("rev-parse",), code, stderr)
    _, _, code = git.run_raw("rev-parse", "--verify", "-q", "HEAD^{commit}")
    if code != 0:
        return tracked_files(folder, index)
    return _names(git.run("diff-index", "--cached", "--name-only", "--no-renames", "-z", "HEAD", "--"))


def tracked_files(folder: Path, index: Path | None = None) -> tuple[str, ...]:
    """Files in the index."""
    return _names(_git(folder, index).run("ls-files", "--cached", "-z"))


def _git(folder: Path, index: Path | None) -> Git:
    git = Git(folder)
    if index is not None:
        git.env["GIT_INDEX_FILE"] = str(folder.resolve() / index)
    return git


def _names(output: bytes) -> tuple[str, ...]:
    return tuple(dict.fromkeys(os.fsdecode(name) for name in output.split(b"\0")[:-1]))
