"""Macros that stand for statements: iterators become loops, statements among arguments their bodies."""

from __future__ import annotations

import re

from reviewer.parse.code import BALANCED, NAME_BYTES, Code, one_word
from reviewer.parse.dialect import Dialect
from reviewer.parse.toplevel import declare

STATEMENT = re.compile(
    rb"\n([ \t]++)((?:(?:else|do)[ \t]++|\}[ \t]*+(?:else[ \t]++)?)?)([A-Za-z_]\w*+)(?<!\Wif)(?<!\Wfor)(?<!\Wwhile)(?<!\Wswitch)"
    rb"[ \t]*+(" + BALANCED + rb")(?=(\s*+)[\w{}])"
)
FOR_EACH = re.compile(rb"for_each\w*+[ \t]*+(" + BALANCED + rb")(?=\s*+[^\s;,)])")
LOOP_NAME = re.compile(rb"(?i:for_?each)|(?:\A|_)iter|\Awith_")
LONE_WORD = re.compile(rb"\n[ \t]++([A-Z_]\w*+)[ \t]*+(?=\n)(\s*+)(?=[\w}])")
WHILE_WORD = re.compile(rb"\}(?:\s*+(while_\w++)|[ \t]*+(for_each\w++))\s*+(" + BALANCED + rb")[ \t]*+;")
ELSE = re.compile(rb"\s*+else\b")
JUMP = re.compile(rb"(?:return|goto|break|continue)\b")
STATEMENTS_INSIDE = re.compile(rb"[;}]\s*+\)")
LABEL_AT_END = re.compile(rb":(\s++)\}")
BARE_IF = re.compile(rb"if[ \t]++([A-Za-z_]\w*+[ \t]*+)(?=" + BALANCED + rb"\s)")
BOUNDARY = frozenset(b";{}):\0")
AFTER_KEYWORD = re.compile(rb"\b(?:else|do)\s*\Z")
CALL = re.compile(rb"\w+[ \t]*\(")
CALL_OR_ASSIGNMENT = re.compile(rb"(?:if|for|while|switch|return|continue|break|goto)\b|[\w.>\[\]-]+\s*(?:\(|[-+|&]?=)")
VALUED_MACRO = re.compile(rb"\)\s*+=\s*+\{")
BARE_FIELD = re.compile(rb":[ \t]*+\d++[ \t]*+(?=;)")
TYPE_ALONE = re.compile(rb"[;{}]\s*+(?:(?:unsigned|signed|long|short|const|volatile)\s++)*+\w++\s*+\Z")
NOT_A_MACRO = frozenset({b"if", b"for", b"while", b"switch", b"return", b"sizeof", b""})
FAR = 6000
"""Bytes back from a statement among arguments to the macro around it."""


def statements(code: Code, jumps: list[int], dialect: Dialect) -> None:
    """Rewrite the statements of all bodies.

    :param jumps: what :func:`reviewer.parse.arguments.arguments` found
    """
    text = code.text
    for m in list(STATEMENTS_INSIDE.finditer(text)):
        _statements_inside(code, m.end() - 1)
    for at in jumps:
        if text[at] in b"(,":
            opening = at if text[at] == 0x28 else code.enclosing(at, FAR)
            if opening >= 0:
                _statements_inside(code, code.closing(opening))
    for m in list(STATEMENT.finditer(text)):
        _statement(code, m, dialect)
    if b"for_each" in text:
        for m in list(FOR_EACH.finditer(text)):
            start = m.start()
            while start and text[start - 1] in NAME_BYTES:
                start -= 1
            if code.last(start) in BOUNDARY or _after_keyword(code, start):
                _loop(code, start, m.start(1), m.end(1) - 1)
    if b"} while_" in text or b"} for_each" in text:
        for m in list(WHILE_WORD.finditer(text)):
            start, end = m.span(1) if m[1] is not None else m.span(2)
            text[start:end] = b"while".ljust(end - start)
            if not text[m.start(3) + 1 : m.end(3) - 1].strip():
                text[end - 1 : m.end(3)] = b"(1)".rjust(m.end(3) - end + 1)
    for m in list(VALUED_MACRO.finditer(text)):
        _valued_macro(code, m.start())
    for m in list(LONE_WORD.finditer(text)):
        _lone_word(code, m)
    for m in list(BARE_FIELD.finditer(text)):  # a bit-field without a name
        if TYPE_ALONE.search(text, max(0, m.start() - 100), m.start()):
            code.blank(m.start(), m.end())
    for m in list(LABEL_AT_END.finditer(text)):
        code.put_between(m.start(1), m.end(1), 0x3B)
    for m in list(BARE_IF.finditer(text)):  # `if time_after(a, b)`: the macro brings parentheses of its own
        if text[m.start() - 1] not in NAME_BYTES:
            code.blank(m.start(1), m.end(1))


def _after_keyword(code: Code, at: int) -> bool:
    return AFTER_KEYWORD.search(code.text[max(0, at - 40) : at]) is not None


def _statement(code: Code, m: re.Match[bytes], dialect: Dialect) -> None:
    """``word(...)`` at the beginning of a line, and neither an operator nor a semicolon behind it."""
    text = code.text
    name = m[3]
    if name in dialect.not_iterators:
        return
    start, opening, closing = m.start(3), m.start(4), m.end(4) - 1
    if text[start : start + len(name)] != name:
        return
    follower = m.end(5)
    char = text[follower]
    if not m[2] and code.last(m.start()) not in BOUNDARY and not _after_keyword(code, m.start()):
        return
    known = name in dialect.iterators or LOOP_NAME.search(name) is not None
    if char == 0x7B or (known and char != 0x7D):
        _loop(code, start, opening, closing)
    else:
        _macro_statement(code, m, name, start, closing, follower, char)


def _macro_statement(
    code: Code, m: re.Match[bytes], name: bytes, start: int, closing: int, follower: int, char: int
) -> None:
    """A macro that brings its semicolon, or a loop by the way the next line is indented."""
    text = code.text
    gap = bytes(text[closing + 1 : follower])
    if b"\n" not in gap:
        # `MACRO(x) word`: a declaration whose type is a macro, unless a call follows.
        if name.isupper() and CALL.match(text, follower) and gap:
            text[closing + 1] = 0x3B
        return
    indent = len(m[1].expandtabs())
    tail = gap[gap.rfind(b"\n") + 1 :]
    if char != 0x7D and len(tail.expandtabs()) > indent:
        if not CALL_OR_ASSIGNMENT.match(text, follower):
            return
        _loop(code, start, m.start(4), closing)
    elif code.in_items(start):
        return
    elif not code.put_between(closing + 1, follower, 0x3B):
        code.blank(start, closing + 1)


def _loop(code: Code, start: int, opening: int, closing: int) -> None:
    """The word at ``start`` to ``while``, its arguments to operands of the comma operator."""
    text = code.text
    length = opening - start
    if length < 5 or closing - opening < 1:
        return
    if not text[opening + 1 : closing].strip():
        if closing - opening >= 2 and text[opening + 1] not in b"\r\n":
            text[opening + 1] = 0x31
        elif length >= 8:
            text[start : closing + 1] = b"while(1)".ljust(closing + 1 - start)
            return
        else:
            return
    name = bytes(text[start:opening]).rstrip()
    text[start:opening] = b"while".ljust(length)
    if b"guard" in name or b"{" in text[opening:closing] or b"return" in text[opening:closing]:
        for a, b in code.arguments(opening, closing):
            part = bytes(text[a:b])
            if JUMP.match(part) or b"{" in part or b";" in part:
                text[a:b] = one_word(part)


def _statements_inside(code: Code, closing: int) -> None:
    """``M(a, b, return x);`` to ``while (a, b) return x ;``: the macro is called, and may run what it was given."""
    text = code.text
    if closing < 0 or text[closing] != 0x29:
        return
    opening = code.enclosing(closing, FAR)
    if opening < 0:
        return
    start, name = code.word_before(opening)
    if name in NOT_A_MACRO or b"guard" in name:
        return
    args = code.arguments(opening, closing)
    first = next((i for i, (a, b) in enumerate(args) if _is_statement(text, a, b)), len(args))
    if first == len(args):
        return
    follower = code.skip_blanks(closing + 1)
    if code.at(follower) == 0x7B:
        return  # it has a body: a loop, for which the jump is a word
    ended = code.at(follower) == 0x3B
    several = b";" in text[args[first][0] : args[-1][1]].rstrip(b"; \t\r\n")
    if code.last(start) not in BOUNDARY and not _after_keyword(code, start):
        _compound_argument(code, args, first, closing)
        return
    separators = [text.find(b",", b) for _, b in args[:-1]]
    for at in separators[first:]:
        text[at] = 0x3B
    last = code.last_at(closing)
    semicolon = text[last] in b";}"
    if first == 0:
        code.blank(start, opening + 1)
        # A macro around a jump is the jump; one around statements may be empty, as a macro for debugging is.
        jump = JUMP.match(text, args[0][0]) is not None
        if jump and separators:
            code.blank(separators[0] + 1, closing)
            semicolon = True
        if semicolon or code.put_between(last + 1, closing, 0x3B):
            text[opening], text[closing] = 0x7B, 0x7D
            otherwise = ELSE.match(text, follower + ended) is not None
            if not jump and not otherwise and opening - start >= 5 and b"\n" not in text[start:opening]:
                text[start : start + 5] = b"if(1)"
            if otherwise and ended:
                text[follower] = 0x20
        else:
            text[closing] = 0x20 if ended else 0x3B
        return
    comma = separators[first - 1]
    brace = several and len(args) == first + 1 and code.put_between(comma + 1, args[first][0], 0x7B)
    text[comma] = 0x29
    text[start:opening] = (b"while" if opening - start >= 5 else b"if").ljust(opening - start)
    if brace and ended and ELSE.match(text, follower + 1):
        text[follower] = 0x20
    text[closing] = 0x7D if brace else 0x20 if ended or semicolon else 0x3B


def _compound_argument(code: Code, args: list[tuple[int, int]], first: int, closing: int) -> None:
    """``x = M(a, if (b) break; );`` to ``x = M(a,{if (b) break; });``, for its value is used."""
    text = code.text
    if first == 0 or first != len(args) - 1:
        return
    end = args[first][1]
    if not code.put_between(end, closing, 0x7D):
        if text[end - 6 : end] != b"break;":
            return
        text[end - 6 : end] = b";    }"
    if not code.put_between(args[first - 1][1] + 1, args[first][0], 0x7B):
        text[end - 1] = 0x3B


def _is_statement(text: bytearray, start: int, end: int) -> bool:
    part = text[start:end]
    return JUMP.match(part) is not None or (b";" in part and not part.startswith((b"(", b"{")))


def _valued_macro(code: Code, closing: int) -> None:
    """``static DEFINE_X(struct T, x) = { ... };`` in a body: a local variable."""
    opening = code.enclosing(closing)
    if opening < 0:
        return
    start, name = code.word_before(opening)
    if len(name) < 4 or code.at(start) in b"0123456789":
        return
    args = code.arguments(opening, closing)
    declare(code, start, closing, args, len(args) - 1, 0 if len(args) > 1 else None)


def _lone_word(code: Code, m: re.Match[bytes]) -> None:
    """A macro without arguments for a statement: a semicolon behind it, or nothing in its place."""
    start, end = m.span(1)
    text = code.text
    if not (m[1].isupper() or m[1].startswith(b"__")) or code.last(start) not in b";{}):" or code.in_items(start):
        return
    if text[m.end()] == 0x7D and code.last(start) == 0x7B:
        return  # an enum with one item
    if code.last(start) == 0x29 and text[m.end()] != 0x7D and not code.inside_body(start):
        return
    if not code.put_between(end, m.end(2), 0x3B):
        code.blank(start, end)
