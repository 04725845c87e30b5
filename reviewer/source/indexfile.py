"""The entries of a git index file, read here for one kind of index only: a sparse one.

git expands a sparse index as soon as it reads it where no sparse checkout is configured, as in our scratch, and in doing so
sets the times of the user's objects. Source: git's gitformat-index, versions 2 to 4 (a sparse index is never split).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_FIXED = 40
"""Bytes of times, device, inode, mode, owner and size before an entry's object id; the mode stands at 24."""

_EXTENDED = 0x4000
_INTENT_TO_ADD = 0x2000


class BadIndex(Exception):
    """The bytes are no index that we can read."""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One entry. ``mode`` is octal as in a tree (``40000``: a folder that is not expanded, ``path`` without its slash);
    ``stage`` is 0 unless there is a conflict."""

    path: bytes
    mode: str
    blob: str
    stage: int


def sparse_index(content: bytes, id_bytes: int) -> list[IndexEntry] | None:
    """Entries of a sparse index, but those that are only meant to be added; None for an index of the usual kind.

    :param id_bytes: 20, or 32 in a SHA-256 repository.
    :raises BadIndex: it seems to be a sparse one and cannot be read
    """
    if b"sdir\0\0\0\0" not in content:
        return None
    try:
        entries, end = _entries(content, id_bytes)
        # The same bytes may be a file's name and its padding: it has to be an extension.
        while end + 8 <= len(content) - id_bytes:
            name, size = struct.unpack_from(">4sI", content, end)
            if name == b"sdir":
                return entries
            end += 8 + size
    except (struct.error, IndexError, ValueError) as error:
        raise BadIndex("the file ends early") from error
    return None


def _entries(content: bytes, id_bytes: int) -> tuple[list[IndexEntry], int]:
    """The entries, and where they end."""
    signature, version, count = struct.unpack_from(">4sII", content)
    if signature != b"DIRC" or not 2 <= version <= 4:
        raise BadIndex("neither version 2, 3 nor 4")
    result: list[IndexEntry] = []
    at = 12
    path = b""
    for _ in range(count):
        start = at
        (mode,) = struct.unpack_from(">I", content, start + 24)
        at = start + _FIXED + id_bytes
        blob = content[at - id_bytes : at].hex()
        (flags,) = struct.unpack_from(">H", content, at)
        at += 2
        extended = 0
        if flags & _EXTENDED:
            (extended,) = struct.unpack_from(">H", content, at)
            at += 2
        if version == 4:  # a path is the one before it less so many bytes, and a rest
            strip, at = _offset(content, at)
            end = content.index(b"\0", at)
            path = path[: len(path) - strip] + content[at:end]
            at = end + 1
        else:
            end = content.index(b"\0", at)
            path = content[at:end]
            at = start + (end - start + 8) // 8 * 8  # one to eight NULs
        if not extended & _INTENT_TO_ADD:
            result.append(IndexEntry(path.rstrip(b"/"), f"{mode:o}", blob, flags >> 12 & 3))
    return result, at


def _offset(content: bytes, at: int) -> tuple[int, int]:
    """The number in the way of a pack's offsets (gitformat-pack, "offset encoding"), and where it ends."""
    byte = content[at]
    value = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = content[at]
        value = (value + 1 << 7) | (byte & 0x7F)
    return value, at + 1
