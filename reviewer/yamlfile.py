"""YAML that remembers its lines, and pydantic's complaints told as ``FILE:LINE: what; how to mend``.

Only plain data is read: scalars are strings, integers, ``true``, ``false`` and ``null``. YAML 1.1's ``on``,
``off``, ``yes`` and ``no`` stay words, because ``irq: off`` is one. Importing this module imports yaml, so
import it only where a file has to be read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from reviewer.errors import RuleError

Loc = tuple[int | str, ...]
_Schema = TypeVar("_Schema", bound=BaseModel)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?(0x[0-9a-fA-F]+|\d+)\Z")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


class YamlFile:
    """One parsed file.

    :ivar data: mappings, lists and scalars.
    :ivar path: as errors name it.
    """

    def __init__(self, path: Path, text: bytes) -> None:
        """:raises RuleError: not UTF-8, not YAML, a key twice in one mapping, or an alias."""
        self.path = path
        self._lines: dict[Loc, int] = {}
        self._seen: set[int] = set()
        try:
            # Decoded here: the C parser would say "unacceptable character" without a line.
            node = yaml.compose(text.decode("utf-8"), Loader=_LOADER)
            self.data: Any = None if node is None else self._value(node, ())
        except UnicodeDecodeError as error:
            line = text.count(b"\n", 0, error.start) + 1
            raise RuleError(f"{path}:{line}: not UTF-8", "save the file as UTF-8") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            what = getattr(error, "problem", None) or "not readable as YAML"
            line = mark.line + 1 if mark is not None else 1
            raise RuleError(f"{path}:{line}: {what}", "mend the YAML there") from None
        except RecursionError:
            raise RuleError(f"{path}:1: nested too deeply", "flatten the file") from None

    def line(self, loc: Loc) -> int:
        """1-based line of the item at ``loc`` (keys and list indexes), or of the closest one around it."""
        while loc and loc not in self._lines:
            loc = loc[:-1]
        return self._lines.get(loc, 1)

    def fail(self, loc: Loc, what: str, mend: str) -> NoReturn:
        """:raises RuleError: always, naming this file and the line of ``loc``."""
        raise RuleError(f"{self.path}:{self.line(loc)}: {what}", mend)

    def check(self, schema: type[_Schema], loc: Loc = ()) -> _Schema:
        """The part of the file at ``loc`` as ``schema``.

        :raises RuleError: for the first thing that does not fit
        """
        data = self.data
        for step in loc:
            data = data[step]
        try:
            return schema.model_validate(data, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            inner = tuple(first["loc"])
            self.fail(loc + inner, *_explain(inner, first, schema))

    def _value(self, node: yaml.Node, loc: Loc) -> Any:
        self._lines.setdefault(loc, node.start_mark.line + 1)
        if id(node) in self._seen:  # an alias: a few lines of them can expand to gigabytes
            self.fail(loc, "an alias (*name)", "write the value out")
        self._seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, loc)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*loc, i)) for i, item in enumerate(node.value)]
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._lines[loc] = key_node.start_mark.line + 1
                self.fail(loc, "a key that is not a word", "write keys as plain words")
            key = key_node.value
            self._lines[(*loc, key)] = key_node.start_mark.line + 1
            if key in result:
                self.fail((*loc, key), f"'{key}' stands twice in one mapping", "keep one of the two")
            result[key] = self._value(value_node, (*loc, key))
        return result

    def _scalar(self, node: yaml.ScalarNode, loc: Loc) -> Any:
        text: str = node.value
        if node.style in ("'", '"', "|", ">"):  # quoted or a block
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.match(text):
            return int(text, 0) if "x" in text else int(text)
        return text


def read(path: Path) -> YamlFile:
    """:raises RuleError: the file cannot be read, or is not the YAML we take"""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise RuleError(
            f"{path}:1: {error.strerror or error}", "make the file readable or remove it"
        ) from None
    return YamlFile(path, text)


def _explain(loc: Loc, error: Any, schema: type[BaseModel]) -> tuple[str, str]:
    """What is wrong and how to mend it, in the words of the file rather than of the validator."""
    name = next((str(step) for step in reversed(loc) if isinstance(step, str)), "")
    kind = error["type"]
    if kind == "extra_forbidden":
        known = ", ".join(sorted(_keys(schema, loc[:-1])))
        return f"unknown key '{name}'", f"remove it or use one of: {known}"
    if kind == "missing":
        return f"'{name}' is missing", f"add '{name}:'"
    context = error.get("ctx", {})
    if kind == "literal_error":
        return f"'{name}' cannot be {error['input']!r}", f"use {context['expected']}"
    if kind == "value_error":
        what, _, mend = str(context["error"]).partition("; ")
        return (f"'{name}': {what}" if name else what), mend or "mend the value"
    return f"'{name}': {error['msg']}" if name else str(error["msg"]), "mend the value"


def _keys(schema: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """The keys that the mapping at ``loc`` of ``schema`` may have."""
    current = schema
    for step in loc:
        if isinstance(step, int) or step not in current.model_fields:
            continue
        for part in _models(current.model_fields[step].annotation):
            current = part
    return [field.alias or name for name, field in current.model_fields.items()]


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models(part)]
