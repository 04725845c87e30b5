"""What was needed and could not be read in full: the ``skipped`` of a result.

A search of the whole tree stumbles over every absent file. One that has no part in the question is no gap: a program
that is not linked with the kernel's, or a header that none of the files in question includes, itself or by other headers.
Any other source may hold what was searched for, so it counts.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from itertools import groupby

from reviewer.program.index.linkage import ASIDE
from reviewer.program.linked.link import Program

MAX_LEVELS = 8
"""Headers between an absent one and a file in question; deeper chains of includes are real but rare."""


def skipped(program: Program, unread: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Sorted (file, reason).

    :param unread: (file, reason) of what searches of the tree could not read.
    """
    found: dict[str, str] = {p: r for p, r in dict(unread).items() if p.split("/", 1)[0] not in ASIDE}
    headers = [path for path in found if path.endswith(".h") and path not in program.skipped]
    for path in unneeded(program, headers):
        del found[path]
    found |= program.skipped
    return tuple(sorted((path, plain(path, reason)) for path, reason in found.items()))


def plain(path: str, reason: str) -> str:
    """The reason without the file's name, which stands beside it."""
    return reason.removeprefix(f"{path}: ")


def unneeded(program: Program, headers: list[str]) -> set[str]:
    """Those of ``headers`` that no file with a function in question includes, by whatever way."""
    asked = program.looked_into()
    chains: dict[str, set[str]] = {header: {header} for header in headers}
    needed: set[str] = set()
    fresh: dict[str, set[str]] = {header: {header} for header in headers}
    for _ in range(MAX_LEVELS):
        wanted = {target for targets in fresh.values() for target in targets}
        if not wanted:
            break
        by = includers(program, wanted)
        for header, targets in list(fresh.items()):
            users = {user for target in targets for user in by[target]}
            if users & asked:
                needed.add(header)
                del fresh[header]
                continue
            fresh[header] = {u for u in users if u.endswith(".h")} - chains[header]
            chains[header] |= fresh[header]
    return set(headers) - needed - {h for h, targets in fresh.items() if targets}


def includers(program: Program, targets: Iterable[str]) -> Mapping[str, set[str]]:
    """For each path the files that include it, as far as its name tells."""
    found: dict[str, set[str]] = {}
    for part, group in groupby(sorted(targets), part_of):
        names = {target: posixpath.basename(target) for target in group}
        mentioning = program.names.files_mentioning(sorted(set(names.values())), [part] if part else ())
        for target, name in names.items():
            found[target] = {u for u in mentioning[name] if u != target and includes(program, u, target)}
    return found


def part_of(path: str) -> str:
    """The folder whose files may include a header: a driver's own is not for others, and a whole tree costs seconds."""
    parts = path.split("/")
    return "" if parts[0] in ("include", "arch") or len(parts) < 3 else "/".join(parts[:2])


def includes(program: Program, user: str, target: str) -> bool:
    """Whether an ``#include`` of ``user`` can mean ``target``."""
    folder = posixpath.dirname(user)
    for name, _ in next(program.heads([user])).includes:
        relative = posixpath.normpath(posixpath.join(folder, name))
        if relative == target or f"/{target}".endswith(f"/{posixpath.normpath(name)}"):
            return True
    return False
