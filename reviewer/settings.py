"""``.reviewer.toml``: which option wins, and what a tree under review may not decide.

The file lies in the tree that is being looked at, and so may come from a stranger. It can therefore only pick
among what the command line offers: it names no command, no path that is written, and no folder outside of its
tree.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

from reviewer.errors import RuleError

FILE_NAME = ".reviewer.toml"

MAX_BYTES = 64 * 1024
"""Larger files are refused before they are parsed; a real one has a dozen lines."""

MAX_JOBS = 256

T = TypeVar("T")

CONFIDENCE_NAMES = ("high", "medium", "low")

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "format": ("text", "json"),
    "min-confidence": CONFIDENCE_NAMES,
    "fail-on": (*CONFIDENCE_NAMES, "never"),
    "color": ("auto", "always", "never"),
}
_TEXTS = ("chain",)
_LISTS = ("rules", "path")
_FILES = ("config", "baseline")
_FOLDER_LISTS = ("rules-dir",)
_COMMAND_LINE_ONLY = {
    "store": "it decides where files are written",
    "output": "it decides where files are written",
    "no-store": "it belongs to the machine, not to the tree",
    "executor": "it decides where code runs",
    "from": "it says who you are",
}

_GIVE = "give --{} on the command line"

KEYS = (*_CHOICES, *_TEXTS, *_LISTS, *_FILES, *_FOLDER_LISTS, "jobs")
"""Every key that a settings file may have."""


@dataclass(frozen=True)
class Settings:
    """The values of a settings file. None means "not set there"; paths are absolute and inside the tree."""

    format: str | None = None
    min_confidence: str | None = None
    fail_on: str | None = None
    color: str | None = None
    chain: str | None = None
    rules: tuple[str, ...] | None = None
    path: tuple[str, ...] | None = None
    config: str | None = None
    baseline: str | None = None
    rules_dir: tuple[str, ...] | None = None
    jobs: int | None = None


def choose(option: T | None, setting: T | None, default: T) -> T:
    """The command line's value, else the settings file's, else the default."""
    if option is not None:
        return option
    return default if setting is None else setting


def read_settings(text: bytes, name: str, root: Path | None) -> Settings:
    """The settings in ``text``.

    :param name: how messages call the file.
    :param root: the tree's folder on disk; None in a bare repository, where no path can be named.
    :raises RuleError: not TOML, an unknown key, a value of the wrong kind, a path that leaves the tree.
    """
    table = _parse(text, name)
    values: dict[str, object] = {}
    for key, value in table.items():
        where = f"{name}:{_line_of(text, key)}"
        values[key.replace("-", "_")] = _value(key, value, where, root)
    return Settings(**values)  # type: ignore[arg-type]


def _parse(text: bytes, name: str) -> dict[str, object]:
    if len(text) > MAX_BYTES:
        raise RuleError(f"{name}: {len(text)} bytes, more than {MAX_BYTES}", "keep only settings in it")
    try:
        return tomllib.loads(text.decode("utf-8"))
    except UnicodeDecodeError:
        raise RuleError(f"{name}: not UTF-8", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = at[1] if at else text.rstrip().count(b"\n") + 1  # "at end of document"
        what = re.sub(r"\s*\(at .*\)", "", str(error))
        raise RuleError(f"{name}:{line}: not TOML: {what}", "write `key = value` lines") from None
    except RecursionError:
        raise RuleError(f"{name}: nested too deeply", "write `key = value` lines") from None


def _line_of(text: bytes, key: str) -> int:
    """The 1-based line on which a top-level key or table first stands (1 when it is spelled unusually)."""
    head = rb"""^[ \t]*\[?[ \t]*["']?""" + re.escape(key.encode()) + rb"""["' \t\].=]"""
    found = re.search(head, text, re.MULTILINE)
    return text.count(b"\n", 0, found.start()) + 1 if found else 1


def _value(key: str, value: object, where: str, root: Path | None) -> object:
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            raise RuleError(f"{where}: {key} is {value!r}", f"use one of {', '.join(_CHOICES[key])}")
        return value
    if key in _TEXTS:
        return _text(key, value, where)
    if key in _LISTS:
        return _texts(key, value, where)
    if key in _FILES:
        return _inside(key, _text(key, value, where), where, root)
    if key in _FOLDER_LISTS:
        return tuple(_inside(key, item, where, root) for item in _texts(key, value, where))
    if key == "jobs":
        if type(value) is not int or not 1 <= value <= MAX_JOBS:
            raise RuleError(f"{where}: jobs is {value!r}", f"use a number from 1 to {MAX_JOBS}")
        return value
    if key in _COMMAND_LINE_ONLY:
        raise RuleError(
            f"{where}: {key} cannot be set by a tree, {_COMMAND_LINE_ONLY[key]}", _GIVE.format(key)
        )
    raise RuleError(f"{where}: unknown key {key!r}", f"known keys: {', '.join(sorted(KEYS))}")


def _text(key: str, value: object, where: str) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise RuleError(f"{where}: {key} is {value!r}", "use a text in quotes")
    return value


def _texts(key: str, value: object, where: str) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list):
        raise RuleError(f"{where}: {key} is {value!r}", "use a list of texts")
    return tuple(_text(key, item, where) for item in items)


def _inside(key: str, value: str, where: str, root: Path | None) -> str:
    """The absolute path of ``value``, which must lie in the tree even after following symbolic links."""
    if root is None:
        raise RuleError(f"{where}: {key} needs a tree on disk, this is a bare repository", _GIVE.format(key))
    base = root.resolve()
    path = (base / value).resolve()
    if not path.is_relative_to(base):
        raise RuleError(f"{where}: {key} {value!r} lies outside of the tree", _GIVE.format(key))
    return str(path)


assert {key.replace("-", "_") for key in KEYS} == {field.name for field in fields(Settings)}
