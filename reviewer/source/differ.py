"""What tells two trees of one repository apart, file by file, with hunks that fit their lines."""

from __future__ import annotations

from reviewer.source.diff import parse_diff
from reviewer.source.patch import FileChange
from reviewer.source.scratch import Scratch
from reviewer.source.tree import SUFFIXES

OPTIONS = (
    "-r", "-p", "-M", "-U3", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color", "--text",
    "--diff-algorithm=histogram", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
"""As format-patch writes it; ``--text``: an attribute or a NUL makes no C file a binary one."""


def changes(scratch: Scratch, before: str, after: str) -> tuple[FileChange, ...]:
    """C files that differ between two trees.

    :param before: id of a tree that the scratch repository can see; the same for ``after``.
    """
    specs = [f"*{suffix}" for suffix in SUFFIXES]
    text = scratch.git.run("diff-tree", *OPTIONS, before, after, "--", *specs)
    return parse_diff(text, "the difference of two trees", strip=1)
