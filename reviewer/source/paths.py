"""Which paths a patch may name, and how names are shown: nothing outside the tree, nothing that is the repository itself."""

from __future__ import annotations

import os
import re

LONGEST = 4096
"""Bytes of a path: PATH_MAX of Linux."""

_HFS_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
"""Characters that HFS+ leaves out when it compares names (Apple TN1150, "Unicode Subtleties")."""

_DRIVE = re.compile(r"[A-Za-z]:")

_NTFS_GIT = re.compile(r"(?:\.git|git~1)[. ]*(?::.*)?", re.IGNORECASE | re.DOTALL)
"""``.git`` as NTFS also finds it: by its short name, with dots or spaces behind, as a stream (``::$INDEX_ALLOCATION``)."""


def refusal(path: str) -> str | None:
    """Why no patch may touch ``path``; None if it may.

    The answer is the same on every system, since a tree that is reviewed on one may be checked out on another. What git
    refuses (``verify_path``, with ``core.protectHFS`` and ``core.protectNTFS`` on) is refused, and backslashes and
    drive letters wherever they are.

    :param path: relative to the tree's top, after prefixes were stripped; odd bytes as surrogates.
    """
    if not path:
        return "it is empty"
    if len(os.fsencode(path)) > LONGEST:
        return f"it is longer than {LONGEST} bytes"
    if "\0" in path:
        return "it has a NUL in it"
    if path.startswith("/"):
        return "it is absolute"
    if "\\" in path:
        return "it has a backslash in it"
    if _DRIVE.match(path):
        return "it begins with a drive letter"
    for part in path.split("/"):
        if not part:
            return "it has an empty component"
        if part in (".", ".."):
            return f"it has a '{part}' component"
        if _NTFS_GIT.fullmatch(part) or _HFS_IGNORED.sub("", part).lower() == ".git":
            return "it goes through a .git folder"
    return None


def shown(name: str | bytes) -> str:
    """A name for an error line: printable, on one line, not endless."""
    text = os.fsdecode(name) if isinstance(name, bytes) else name
    cut = text if len(text) <= 200 else text[:200] + "..."
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in cut)
