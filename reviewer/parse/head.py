"""What a file shows at a glance to those who include it: which files it includes itself, and which numbers it names.

Some thousand headers are walked to tell what one file sees; few of them are read for anything else.
"""

from __future__ import annotations

import re

import msgspec

INCLUDE = re.compile(rb"^[ \t]*#[ \t]*include[ \t]*([<\"])([^>\"\n]+)[>\"]", re.M)
NUMBERED = re.compile(rb"#[ \t]*define[ \t]+(\w+)[ \t]+(?=[\d(-])")


class Head(msgspec.Struct, array_like=True, frozen=True):
    """``includes``: ``(path, system)`` of each ``#include``, in order. ``numbers``: names, parted by line feeds, of the
    object-like macros whose value begins like a number.
    """

    includes: tuple[tuple[str, bool], ...] = ()
    numbers: str = ""


def head_of(text: bytes) -> Head:
    """The head of a text."""
    includes = tuple((m[2].decode("utf-8", "replace").strip(), m[1] == b"<") for m in INCLUDE.finditer(text))
    return Head(includes, b"\n".join(sorted(number_macros(text))).decode("ascii", "replace"))


def number_macros(text: bytes) -> set[bytes]:
    """Names of the object-like macros of a text whose value begins like a number."""
    return set(NUMBERED.findall(text))
