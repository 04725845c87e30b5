"""The word sets of ``rules/dialect.yaml``; their digest is part of the store key."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from reviewer.data import rules_dir
from reviewer.errors import RuleError

WORD = re.compile(r"[A-Za-z_]\w*\Z")


class Header(msgspec.Struct, frozen=True):
    """How a macro makes a function's header.

    :ivar name: what the function is called; ``{0}`` is the first argument of the macro.
    :ivar pairs: arguments from the second on are type, name, type, name, ...
    """

    name: str
    pairs: bool = False


class Declares(msgspec.Struct, frozen=True):
    """How a macro declares a variable or a member.

    :ivar name: index of the argument that is its name.
    :ivar type: its type, or "" if ``type_argument`` is the index of the argument that is.
    :ivar array: the index of the argument that is the array's length, or whether it is an array.
    """

    name: int
    type: str = ""
    type_argument: int | None = None
    array: int | bool | None = None


class Dialect(msgspec.Struct, frozen=True):
    """``rules/dialect.yaml``, read and checked. Words are bytes where the text they are looked for is."""

    annotations: frozenset[bytes]
    annotations_with_arguments: frozenset[bytes]
    static_words: frozenset[bytes]
    inline_words: frozenset[bytes]
    iterators: frozenset[bytes]
    not_iterators: frozenset[bytes]
    header_macros: tuple[tuple[str, Header], ...]  # by the beginning of the name, longest first
    header_starts: tuple[str, ...]
    members: dict[bytes, Declares]
    member_groups: dict[bytes, int]
    member_noise: frozenset[bytes]
    member_noise_words: frozenset[bytes]
    never_defined: frozenset[bytes]
    always_defined: frozenset[bytes]
    variables: dict[str, Declares]
    digest: str

    def header(self, macro: str) -> Header | None:
        """How ``macro`` makes a function's header, by the longest beginning that is known; None if it does not."""
        if not macro.startswith(self.header_starts):
            return None
        return next(header for start, header in self.header_macros if macro.startswith(start))


def dialect_digest(dialect: Dialect) -> str:
    """16 hex digits that change whenever a word set does."""
    return dialect.digest


@cache
def load_dialect(path: Path | None = None) -> Dialect:
    """The dialect of the file at ``path``, by default the one that ships with the package; read once.

    :raises RuleError: the file is missing or does not fit
    """
    from reviewer import yamlfile

    where = path if path is not None else rules_dir() / "dialect.yaml"
    data = yamlfile.read(where).data
    try:
        return _dialect(data)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise RuleError(f"{where}:1: {error}", "see the comments in the shipped dialect.yaml") from None


def _dialect(data: Any) -> Dialect:
    if not isinstance(data, dict):
        raise ValueError("not a mapping")
    words = {key: _words(key, data.pop(key, [])) for key in _WORD_SETS}
    headers = _table(data, "header_macros", Header)
    members = _table(data, "members", Declares)
    groups = data.pop("member_groups", {})
    variables = _table(data, "variables", Declares)
    if data:
        raise ValueError(f"unknown key '{next(iter(data))}'")
    made: dict[str, Any] = {
        **words,
        "header_macros": tuple(sorted(headers.items(), key=lambda item: (-len(item[0]), item[0]))),
        "members": {name.encode(): value for name, value in members.items()},
        "member_groups": {str(name).encode(): int(count) for name, count in groups.items()},
        "variables": variables,
    }
    stable = repr([(key, sorted(v) if isinstance(v, frozenset) else v) for key, v in sorted(made.items())])
    made["header_starts"] = tuple(start for start, _ in made["header_macros"])
    return Dialect(**made, digest=hashlib.sha256(stable.encode()).hexdigest()[:16])


_WORD_SETS = (
    "annotations", "annotations_with_arguments", "static_words", "inline_words", "iterators", "not_iterators",
    "member_noise", "member_noise_words", "never_defined", "always_defined",
)  # fmt: skip


def _words(key: str, value: Any) -> frozenset[bytes]:
    if not isinstance(value, list):
        raise TypeError(f"'{key}' is not a list of words")
    for word in value:
        if not isinstance(word, str) or not WORD.match(word):
            raise ValueError(f"'{key}': {word!r} is not a word")
    return frozenset(word.encode() for word in value)


def _table(data: dict[str, Any], key: str, kind: Any) -> dict[str, Any]:
    value = data.pop(key, {})
    if not isinstance(value, Mapping):
        raise TypeError(f"'{key}' is not a mapping")
    try:
        return {str(name): msgspec.convert(entry, kind) for name, entry in value.items()}
    except msgspec.ValidationError as error:
        raise ValueError(f"'{key}': {error}") from None
