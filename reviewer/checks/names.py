"""Names and paths against the patterns of a rule's data."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def matches(patterns: Iterable[str], name: str) -> bool:
    """Whether ``name`` fits one of ``patterns`` (``*`` and ``?``); without patterns it does."""
    wanted = tuple(patterns)
    return not wanted or any(fnmatchcase(name, pattern) for pattern in wanted)


def stands_in(patterns: Iterable[str], path: str) -> bool:
    """Whether a file is meant: by its path, ``*`` crossing ``/``, or by a folder above it; without patterns it is."""
    wanted = [pattern.rstrip("/") for pattern in patterns]
    return not wanted or any(fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}/*") for pattern in wanted)
