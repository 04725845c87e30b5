"""Calls of one function as the program and cscope have them, and why they differ."""

from __future__ import annotations

import re
from collections.abc import Iterator

from crossref import Crossref

from reviewer.parse.facts import Call, Expr, Member, Name
from reviewer.program.graph.callers import CallerSearch
from reviewer.program.index.linkage import ASIDE
from reviewer.program.linked import values
from reviewer.program.linked.link import Func, Program

LANGUAGE = re.compile(
    r"offsetof|sizeof|typeof|(un)?likely|defined|asm|__\w+__|__(aligned|must_hold|free|printf)|IS_\w+|CLASS|(scoped_)?guard"
)
"""What looks like a call and is a word of C, an attribute, a condition of ``#if``, or a scope guard (ours has it by its kind)."""

DECLARES = re.compile(r"[A-Z_]*(LIST_HEAD|BITMAP|BITS_TO_LONGS|DECLARE\w*|DEFINE\w*|STRUCT_SIZE|ONSTACK)")
"""Macros in a declaration."""

NEVER = re.compile(r"^[ \t]*#[ \t]*if[ \t]+0\b.*?^[ \t]*#[ \t]*(?:endif|else)\b", re.DOTALL | re.MULTILINE)
"""An arm that no configuration has."""

TYPE = re.compile(r"(__)?[subl]e?(8|16|32|64)|\w+_t|bool|void|int|long|char")
"""What stands before the ``(`` of a pointer to a function."""


def callees(program: Program, func: Func, words: Crossref) -> Iterator[tuple[str, str]]:
    """(cause, case) for every name that the function calls, for the one or for both."""
    last = func.line + func.text.count(b"\n")
    theirs = {p.name for p in words.callees(func.name) if p.file == func.path and func.line <= p.line <= last}
    ours: set[str] = set()
    pointers: set[str] = set()
    frame = program.frame(func)
    for block in frame.body.blocks if frame.body is not None else ():
        for e in block.events:
            if isinstance(e, Call):
                callee = frame.callee(e.callee, {})
                if isinstance(callee, Name) and callee.id[:1] not in "$%":
                    ours.add(callee.id)
                else:
                    pointers |= spelled(e.callee)
    code = text_of(func)
    for name in sorted(ours | theirs):
        case = f"{func.path}:{func.line} {func.name} -> {name}"
        if name in ours and name in theirs:
            yield "agree", case
        elif name in ours:
            yield only_ours(name, code), case
        else:
            yield only_theirs(name, code, pointers), case


def only_ours(name: str, code: str) -> str:
    if ":" in name:
        return "a scope guard or cleanup, which cscope does not know"
    return "in the code, and cscope has not read it" if stands_in(name, code) else "OURS ALONE: not in the code"


def only_theirs(name: str, code: str, pointers: set[str]) -> str:
    if name in pointers:
        return "a call through a field or a variable, which we have as such"
    if LANGUAGE.fullmatch(name):
        return "no call: a word of the language, an attribute, a scope guard"
    if DECLARES.fullmatch(name) or TYPE.fullmatch(name):
        return "no call: part of a declaration"
    return "MISSED: in the code" if stands_in(name, code) else "cscope has the wrong function: not in the code"


def stands_in(name: str, code: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", code) is not None


def text_of(func: Func) -> str:
    """The text of a function without comments, strings and what stands under ``#if 0``."""
    assert func.source is not None
    file, piece = func.source
    return NEVER.sub("", file.skim.code[piece.start : piece.end].decode("utf-8", "replace"))


def spelled(callee: Expr) -> set[str]:
    """The words in an expression that is called."""
    found = {e.name for e in values.walk(callee) if isinstance(e, Member)}
    return found | {e.id for e in values.walk(callee) if isinstance(e, Name)}


def callers(search: CallerSearch, func: Func, words: Crossref) -> Iterator[tuple[str, str]]:
    """(cause, case) for every function or macro that calls this one, for the one or for both."""
    got = search.of(func)
    ours = {(s.caller.path, s.caller.name) for s in got.sites if s.how == "call"}
    theirs = {(p.file, p.name) for p in words.callers(func.name)}
    for place in sorted(ours | theirs):
        case = f"{func.path}:{func.line} {func.name} <- {place[0]} {place[1]}"
        if place in ours:
            yield "agree" if place in theirs else not_theirs(search.program, func, place), case
        elif not got.cut:
            yield not_ours(search, func, place), case
    if got.cut:
        yield "a function with more callers than are looked for", f"{func.path}:{func.line} {func.name}"


def not_theirs(program: Program, func: Func, place: tuple[str, str]) -> str:
    found = program.functions(*place)
    here = not found or any(stands_in(func.name, text_of(f)) for f in found if f.source is not None)
    return "in the code, and cscope has not read it" if here else "OURS ALONE: not in the code"


def not_ours(search: CallerSearch, func: Func, place: tuple[str, str]) -> str:
    program = search.program
    file, name = place
    if file.split("/", 1)[0] in ASIDE:
        return "a program beside the kernel (tools, samples)"
    named = program.functions(file, name)
    if named and not any(stands_in(func.name, text_of(f)) for f in named if f.source is not None):
        return "cscope has the wrong function: not in the code"
    meant = program.resolve(func.name, file)
    if meant and not any(f.key == func.key for f in meant):
        if any(f.path == func.path for f in meant):
            return "another arm of an #if is meant"
        return "another definition of the name is meant"
    if not named:
        return "a macro, or what cscope takes for a function"
    if all(func.name not in f.calls for f in named):
        return "no call: a variable, a member, a declaration"
    if all(func.name in pointers_in(program, f) for f in named):
        return "a call through a field of that name"
    return "MISSED"


def pointers_in(program: Program, func: Func) -> set[str]:
    """The words in what a function calls other than by name."""
    found: set[str] = set()
    body = program.body(func)
    for block in body.blocks if body is not None else ():
        for e in block.events:
            if isinstance(e, Call) and not isinstance(e.callee, Name):
                found |= spelled(e.callee)
    return found
