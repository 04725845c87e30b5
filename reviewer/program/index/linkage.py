"""Which definition a name in a file may mean, by where the two stand in the tree."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

MAX_CANDIDATES = 8
"""Definitions of one name that a call may mean; beyond it the call is left unresolved."""

ASIDE = ("tools", "scripts", "samples", "Documentation", "usr")
"""Folders whose programs are not linked with the kernel's: names do not cross their border."""


OF_DRIVERS = ("drivers", "fs", "net", "sound")
"""Top folders whose folders below are drivers, file systems, protocols: parts that know little of each other."""


def architecture(path: str) -> str | None:
    parts = path.split("/", 2)
    return parts[1] if parts[0] == "arch" and len(parts) > 2 else None


def reachable(definition: str, user: str) -> bool:
    """Whether code in ``user`` can be linked with a definition in ``definition``."""
    top = definition.split("/", 1)[0]
    if top in ASIDE and user.split("/", 1)[0] != top:
        return False
    there, here = architecture(definition), architecture(user)
    return there is None or here is None or there == here


def closest(files: Sequence[str], user: str, limit: int = MAX_CANDIDATES) -> list[str]:
    """The candidates that are nearest to ``user``: its own file, its folder, headers, the core, the rest."""
    if len(files) <= 1:
        return list(files)
    best = min(distance(f, user) for f in files)
    return by_distance([f for f in files if distance(f, user) == best], user)[:limit]


def by_distance(files: Sequence[str], user: str) -> list[str]:
    """The candidates, the nearest to ``user`` first."""
    return sorted(files, key=lambda f: (distance(f, user), -common_depth(f, user), f))


def distance(file: str, user: str) -> int:
    """How far a definition in ``file`` is from ``user``: the same file, folder, driver, headers, architecture, core."""
    folder = posixpath.dirname(user)
    if file == user:
        return 0
    if posixpath.dirname(file) == folder:
        return 1
    if file.startswith("include/"):
        return 3
    if folder and common_depth(file, user) >= 3:
        return 2
    there = architecture(file)
    if there is not None:
        return 4 if there == architecture(user) else 6
    return 5


def common_depth(a: str, b: str) -> int:
    n = 0
    for x, y in zip(a.split("/"), b.split("/"), strict=False):
        if x != y:
            break
        n += 1
    return n


def subsystem(path: str) -> str:
    """The folder that a file's subsystem has for itself: three deep."""
    return "/".join(posixpath.dirname(path).split("/")[:3])


def module_of(path: str) -> str:
    """The folder of the driver that a file belongs to, with a slash at its end: four deep, "" for what lies higher."""
    parts = path.split("/")
    return "/".join(parts[:4]) + "/" if len(parts) > 4 and parts[0] in OF_DRIVERS else ""


def driver_of(path: str) -> str:
    """The folder of the driver or file system that a file belongs to, as deep as it goes; "" for the kernel's core."""
    parts = path.split("/")
    if parts[0] not in OF_DRIVERS or len(parts) < 3 or parts[1] == "base":
        return ""
    return "/".join(parts[: 4 if len(parts) > 4 else 3 if len(parts) > 3 else 2])
