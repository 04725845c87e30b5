"""Where a text defines functions, told from brackets and words alone.

An independent witness: it knows nothing of the normaliser nor of the parser, so that a definition that both of them
lose is still counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from reviewer.parse.dialect import Dialect
from reviewer.parse.groups import dead_arms
from reviewer.parse.lexical import BLANKS, Split

MAX_HEADER = 4000
"""Bytes before a brace in which its header is looked for; the longest real one (a macro with pairs) has 600."""

BRACES = re.compile(rb"[{}]")
INNERMOST = re.compile(rb"\([^()]*+\)")
TOKEN = re.compile(rb"\w+|[^\w\s]")
LONE_WORD = re.compile(rb"\n[A-Z][A-Z0-9_]*+[ \t]*+(?=\n)")
INITIALISER = re.compile(rb"\s*\.\s*\w|\s*\[[^][]*\]\s*=")
LINKAGE = re.compile(rb"\s*extern\s*\"[^\"]*\"\s*")
TAGS = frozenset({b"struct", b"union", b"enum"})
STATEMENTS = frozenset({b"if", b"for", b"while", b"switch"})
NO_HEADER = frozenset({b"=", b"[", b"]", b".", b"#", b":", b","})


def definitions(split: Split, dialect: Dialect) -> list[int]:
    """Offset of the opening brace of every function definition of the text, in order.

    Arms of an ``#if`` are looked at, each from the nesting that the ``#if`` began with, but for those that no
    configuration compiles. A brace in the first
    column closes whatever is open.
    """
    code = split.code
    for start, end in dead_arms(split, dialect):
        code = code[:start] + code[start:end].translate(BLANKS) + code[end:]
    found: list[int] = []
    arms: list[int] = []
    depth = 0
    after = 0  # where what stands before the next brace begins
    parentheses = 0  # open at depth 0: braces among the arguments of a macro
    for at, kind in _events(split, code):
        if kind == b"{":
            if depth == 0:
                if LINKAGE.fullmatch(code, after, at):
                    after = at + 1  # what follows is still at file scope
                    continue
                parentheses += code.count(b"(", after, at) - code.count(b")", after, at)
                if parentheses <= 0 and _is_header(code, after, at, dialect):
                    found.append(at)
            depth += 1
        elif kind == b"}":
            if at == 0 or code[at - 1] == 0x0A:
                depth = min(depth, 1)
                parentheses = 0
            depth = max(0, depth - 1)
            if depth == 0:
                after = at + 1
        elif kind == b"endif":
            if arms:
                arms.pop()
        elif kind in (b"if", b"ifdef", b"ifndef"):
            arms.append(depth)
        elif arms:
            depth = arms[-1]
    return found


def _events(split: Split, code: bytes) -> Iterator[tuple[int, bytes]]:
    """(offset, ``{``, ``}`` or the kind of a directive), in order."""
    groups = iter(split.groups)
    group = next(groups, None)
    for m in BRACES.finditer(code):
        while group is not None and group.start < m.start():
            yield group.start, group.kind
            group = next(groups, None)
        yield m.start(), m[0]


def _is_header(code: bytes, start: int, brace: int, dialect: Dialect) -> bool:
    """Whether what stands between ``start`` and the brace heads a function."""
    head = code[max(start, brace - MAX_HEADER) : brace]
    semicolon = head.rfind(b";")
    if semicolon >= 0:
        if not head[semicolon + 1 :].strip():
            return _is_old_style(head, dialect)
        head = head[semicolon + 1 :]
    for m in LONE_WORD.finditer(head):  # what a closing macro ends is not ours
        rest = head[m.end() :]
        if b"(" in rest and b"=" not in rest:
            head = rest
    return _names_a_function(head, dialect) and not INITIALISER.match(code, brace + 1, brace + 200)


def _is_old_style(head: bytes, dialect: Dialect) -> bool:
    """``f(a) int a; {``: the header is the first of these statements, parameters the rest."""
    statements = head.rsplit(b")", 1)
    if len(statements) != 2 or b"=" in statements[1] or b"}" in statements[1]:
        return False
    header = statements[0] + b")"
    return _names_a_function(header[header.rfind(b";") + 1 :], dialect) and bool(statements[1].strip(b" \t\r\n;"))


def _names_a_function(head: bytes, dialect: Dialect) -> bool:
    """Whether a word with an argument list that is no attribute's stands in ``head``, and nothing of a variable."""
    while b"(" in head:
        inner = INNERMOST.sub(b" \x01 ", head)
        if inner == head:
            return False  # inside of a macro's arguments
        head = inner
    tokens: list[bytes] = TOKEN.findall(head)
    if not NO_HEADER.isdisjoint(tokens) or not TAGS.isdisjoint(tokens[-2:]):
        return False
    named = [word for word, behind in pairwise(tokens) if behind == b"\x01" and word != b"\x01"]
    if named and named[-1] in STATEMENTS:
        return False  # the braces before it do not balance
    return any(word not in dialect.annotations_with_arguments for word in named)
