"""Macros that choose a function by the type of an argument (``#define lock(x) _Generic((x), ...)(x)``; C11, 6.5.1.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec.structs import replace

from reviewer.parse.facts import Body, Call, CType, Macro, Name

if TYPE_CHECKING:
    from reviewer.program.linked.structs import Frame

WORD = "_Generic"

DEFINED = re.compile(rb"^[ \t]*#[ \t]*define[ \t]+(\w+)\([^)\n]*\)(?:[ \t]|\\\n)*_Generic\b", re.MULTILINE)

ASSOCIATION = re.compile(
    r"\s*(?:const\s+|volatile\s+)*((?:(?:struct|union|enum)\s+)?\w+(?:\s+\w+)*?)\s*((?:\*\s*(?:const\s*)?)*):\s*(\w+)\s*"
)
"""A type, as often as it is followed by stars a pointer, and the function for it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """``by``: the index of the parameter whose type decides. ``functions``: (type, function) for each, in their order."""

    by: int
    functions: tuple[tuple[CType, str], ...]


def defined_in(text: bytes) -> Iterator[str]:
    """The macros in the text of a file that are such a choice."""
    yield from (m[1].decode("ascii", "replace") for m in DEFINED.finditer(text))


@lru_cache(maxsize=1 << 10)
def selection(macro: Macro) -> Selection | None:
    """How a macro chooses a function, which it calls with its own parameters; None if it is none of these."""
    body = macro.body.strip()
    if not body.startswith(WORD) or not macro.parameters:
        return None
    parts, end = top_level(body, len(WORD))
    passed = re.fullmatch(r"\s*\(([^()]*)\)\s*;?", body[end:])
    by = parts[0].strip("() \t") if parts else ""
    if passed is None or by not in macro.parameters:
        return None
    arguments = tuple(a.strip() for a in passed[1].split(","))
    found = [ASSOCIATION.fullmatch(part) for part in parts[1:]]
    if arguments != macro.parameters or not all(found):
        return None
    functions = tuple((CType(" ".join(m[1].split()), m[2].count("*")), m[3]) for m in found if m is not None)
    return Selection(macro.parameters.index(by), functions)


def functions(macro: Macro) -> tuple[str, ...]:
    """The functions among which a macro chooses; none if it does not."""
    how = selection(macro) if WORD in macro.body else None
    return tuple(function for _, function in how.functions) if how is not None else ()


def top_level(text: str, start: int) -> tuple[list[str], int]:
    """What stands between the commas of the parentheses that open first after ``start``, and where they end."""
    opening = text.find("(", start)
    depth, parts, since = 0, list[str](), opening + 1
    for i in range(opening, len(text)) if opening >= 0 else ():
        depth += (text[i] == "(") - (text[i] == ")")
        if depth == 0 or (depth == 1 and text[i] == ","):
            parts.append(text[since:i])
            since = i + 1
        if depth == 0:
            return parts, i + 1
    return [], len(text)


def chosen(frame: Frame, body: Body) -> Body:
    """The body with the function in place of each macro that chooses one, where the type of the argument is known."""
    macros = dict(selecting(frame))
    if not macros:
        return body
    blocks = list(body.blocks)
    for n, block in enumerate(blocks):
        events = tuple(
            replace(e, callee=Name(meant(frame, e, macros[e.callee.id]) or e.callee.id))
            if isinstance(e, Call) and isinstance(e.callee, Name) and e.callee.id in macros else e
            for e in block.events
        )
        if events != block.events:
            blocks[n] = replace(block, events=events)
    return replace(body, blocks=tuple(blocks))


def selecting(frame: Frame) -> Iterator[tuple[str, Selection]]:
    """The macros of this kind that a function calls."""
    program = frame.program
    known = program.selecting_macros
    for name in frame.func.calls if known else ():
        macro = program.macro(name, frame.func.path) if name in known else None
        how = selection(macro) if macro is not None else None
        if how is not None:
            yield name, how


def meant(frame: Frame, call: Call, how: Selection) -> str | None:
    """The function that is meant by a call; None if that cannot be told."""
    type_ = frame.type_of(frame.canonical(call.args[how.by], {})) if how.by < len(call.args) else None
    if type_ is None:
        return None
    rest = (function for known, function in how.functions if known.name == "default")
    exact = (function for known, function in how.functions if (known.name, known.pointer) == (type_.name, type_.pointer))
    return next(exact, None) or next(rest, None)
