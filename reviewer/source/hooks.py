"""Where git looks for the hooks of a repository."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from reviewer.errors import InputError
from reviewer.source.gitrun import SAFE_CONFIG, Git
from reviewer.source.tree import is_repository


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of a work tree.

    :ivar folder: absolute, with ``core.hooksPath`` of every configuration that git reads; it may be absent.
    :ivar repository: absolute path of the git folder that all linked work trees have in common.
    :ivar foreign: the folder lies neither in the repository nor in the work tree, so that others may use it too.
    """

    folder: Path
    repository: Path
    foreign: bool


def hooks_of(tree: Path) -> Hooks:
    """The hooks that ``git commit`` runs in a work tree.

    :param tree: the top folder of a work tree, which may be a linked one.
    :raises InputError: no repository there, or a bare one; git is not there, or refuses it
    :source: githooks(5), git-config(1) "core.hooksPath"
    """
    if not tree.is_dir() or not is_repository(tree):
        raise InputError(f"{tree}: no git repository there", "name the top folder of a git work tree")
    git = Git(tree)
    git.settings = tuple(setting for setting in SAFE_CONFIG if not setting.startswith("core.hooksPath="))
    question = ("rev-parse", "--is-inside-work-tree", "--git-common-dir", "--git-path", "hooks")
    output, stderr, code = git.run_raw(*question)
    if code != 0:
        raise git.failure(question, code, stderr)
    inside, common, hooks = (os.fsdecode(line) for line in output.split(b"\n")[:3])
    if inside != "true":
        raise InputError(f"{tree}: nothing is committed in a bare repository", "name the top folder of a work tree")
    top = tree.resolve()
    repository = (top / common).resolve()
    folder = top / hooks
    real = folder.resolve()
    return Hooks(folder, repository, not real.is_relative_to(repository) and not real.is_relative_to(top))
