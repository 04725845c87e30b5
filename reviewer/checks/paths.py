"""``--path``: which files a pattern of the user's names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate


def path_pattern(globs: Sequence[str]) -> re.Pattern[str]:
    """One expression for all globs.

    As in a git pathspec, ``*`` crosses ``/``, and the name of a folder stands for everything below it.
    """
    return re.compile("|".join(_one(glob) for glob in globs))


def _one(glob: str) -> str:
    glob = re.sub(r"^(\./)+", "", glob).rstrip("/")
    # "**/" may stand for no folder at all, which fnmatch does not know.
    parts = [translate(part)[len("(?s:") : -len(r")\Z")] for part in re.split(r"\*\*/", glob)]
    return rf"(?s:{'(?:.*/)?'.join(parts)}(?:/.*)?)\Z"
