"""Where in its repository a folder lies: code hosts name files from the repository's top."""

from __future__ import annotations

from pathlib import Path

from reviewer.source.tree import is_repository


def path_in_repository(folder: str) -> str:
    """What stands before a file's path in ``folder`` to make it a path in the repository, such as ``linux/``.

    Empty for a repository's top, a bare repository, and a folder in no repository.
    """
    top = Path(folder).resolve()
    if is_repository(top):
        return ""
    for above in top.parents:
        if is_repository(above):
            return f"{top.relative_to(above).as_posix()}/"
    return ""
