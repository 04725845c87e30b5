"""Arguments and operands that only a macro can take: types, operators, designators, nothing at all."""

from __future__ import annotations

import re

from reviewer.parse.code import BALANCED, NAME_BYTES, Code

_TYPE_WORDS = rb"(?:const|volatile|struct|union|enum|unsigned|signed|long|short)"
# Python 3.11.2 (Debian 12) fails on a group that is repeated possessively and ends with a look ahead; 3.11.7 does not.
ARGUMENT = re.compile(
    rb"[(,]\s*+(?:"
    rb"(?P<empty>(?<=[,\s])[,)])"
    rb"|(?P<operator>[=!<>&|+*/%^-]{1,3}+)(?=\s*+[,)])"
    rb"|(?P<designator>\.\s*+\w[\w.]*+\s*+=(?!=))"
    rb"|(?P<type>(?:" + _TYPE_WORDS + rb"\s++(?=[A-Za-z_]))+\w++(?:\s++const\b)?+(?:[ \t]*+\*[ \t*]*+(?:const[ \t]*+)?)?"
    rb"|(?:const[ \t]++)?[A-Za-z_]\w*+[ \t]*+\*[ \t*]*+(?:const[ \t]*+)?"
    rb"|[A-Z][A-Z0-9_]++[ \t]++[A-Z][A-Z0-9_]++)(?=\s*[,)])"
    rb"|(?P<jump>(?:return|goto|break|continue)\b)"
    rb"|(?P<mark>[A-Z][A-Z0-9_]++[ \t]++)(?=[A-Za-z_]\w*+\()"
    rb")"
)
TYPE_OF = (b"typeof", b"__typeof__", b"__typeof", b"typeof_unqual", b"__typeof_unqual__")
SIZE_OF = (b"__alignof__", b"__alignof")
TYPE_ONLY = frozenset({b"sizeof", b"_Alignof", b"alignof", *TYPE_OF, *SIZE_OF})
NOT_A_CALL = frozenset({b"if", b"for", b"while", b"switch", b"return", b"goto", b"do", b"else", b"case"})
BEFORE_A_CALL = frozenset({b"return", b"else", b"do", b"case", b"goto", b"in"})
NUMBER = re.compile(rb"0[xX][0-9a-fA-F]*[uUlL]*|0[bB][01]+[uUlL]*|\d+[uUlL]*|\d+[fFlL]?|\d+[eE]\d*[fFlL]?|0[xX][0-9a-fA-F]*[pP]\d*")
OFFSETOF = re.compile(rb"offsetof(?=[ \t]*+\()(?![ \t]*+\(\s*(?:struct[ \t]++|union[ \t]++)?\w+\s*,\s*\w+\s*\))")
BEFORE_STRING = re.compile(rb'[(,="]\s*+((?:[A-Za-z_]\w*+\s++(?=[A-Za-z_]))+)\w++\s*+"')
CALL_AFTER_STRING = re.compile(rb'"[ \t\n]*+(\w+[ \t]*+' + BALANCED + rb")")
CALL_BEFORE_STRING = re.compile(rb'\)[ \t\n]*+"')
IS_STATEMENT = frozenset({b"if", b"for", b"while", b"switch", b"return", b"sizeof", b"else"})
MARK = re.compile(rb"\][ \t\n]++([A-Za-z_]\w*+)(?=\s*+[=;,])")
BRACKET = re.compile(rb"[(){}]")
DOTS = re.compile(rb'\.\.\.(?![.\"])')
CASE = re.compile(rb"\bcase\b[^;{}?:]*\Z")
ASM = re.compile(
    rb"\b(?:asm|__asm__|__asm|asm_inline|asm_volatile_goto)\b[ \t]*+"
    rb"(?:(?:volatile|__volatile__|__volatile|goto|inline|__inline)\b[ \t]*+)*+\s*+\("
)
ASM_WORDS = frozenset({b"asm", b"__asm__", b"__asm", b"asm_inline", b"asm_volatile_goto"})


def assembly(code: Code) -> None:
    """``asm volatile("..." : ...)`` to ``asm         (""      )``; one that names a variable's register goes."""
    text = code.text
    for m in list(ASM.finditer(text)):
        start, opening = m.start(), m.end() - 1
        closing = code.closing(opening)
        if closing < opening + 3 or text.count(b"{", opening, closing) != text.count(b"}", opening, closing):
            continue
        before = code.word_before(start)[1]
        if before and before not in BEFORE_A_CALL:
            code.blank(start, closing + 1)
            continue
        code.blank(start, closing)
        text[start : start + 3] = b"asm"
        text[opening] = 0x28
        at = opening + 1
        while at + 1 < closing and (text[at] in b"\r\n" or text[at + 1] in b"\r\n"):
            at += 1
        if at + 1 < closing:
            text[at : at + 2] = b'""'


def arguments(code: Code, words: set[bytes]) -> list[int]:
    """Rewrite what stands between parentheses and is no expression.

    :return: offsets of the parenthesis or comma before each argument that is a jump, for :mod:`.statements`
    """
    jumps: list[int] = []
    text = code.text
    for word in TYPE_OF:
        if word in words:
            for at, _, closing in code.called(word):
                code.join(at, closing + 1)
    for word in SIZE_OF:
        if word in words:
            for at, opening, _ in code.called(word):
                text[at:opening] = b"sizeof".ljust(opening - at)
    for word in words:
        if word[0] < 0x3A and NUMBER.fullmatch(word) is None:
            for at in list(code.find(word)):
                text[at] = 0x5F
    last = last_opening = -1
    for m in list(ARGUMENT.finditer(text)):
        kind = m.lastgroup
        if kind == "type":
            _type(code, m.start(), *m.span("type"))
        elif kind == "jump":
            jumps.append(m.start())
        elif kind == "mark":
            code.blank(*m.span("mark"))
        elif kind == "empty":
            _empty(code, m.start(), m.end() - 1)
        elif kind == "operator":
            start, end = m.span("operator")
            text[start:end] = b"_" * (end - start)
        elif kind == "designator":
            at = m.start()
            if text[at] == 0x28:
                last_opening = at
            elif last < 0 or BRACKET.search(text, last, at):  # in a table, one look back serves for a whole row
                last_opening = code.enclosing(at, 3000)
            last = at
            if last_opening >= 0:
                _designator(code, last_opening, *m.span("designator"))
    return jumps


def _empty(code: Code, before: int, after: int) -> None:
    """``f(a, , b)`` to ``f(a,0, b)``, ``f(a,)`` to ``f(a )``."""
    if code.text[before] == 0x28 and code.text[after] == 0x29:
        return
    if not code.put_between(before + 1, after, 0x30):
        code.text[before if code.text[before] == 0x2C else after] = 0x20


def _designator(code: Code, opening: int, start: int, end: int) -> None:
    """``f(a, .b = c)`` to ``f(a,  b , c)``: an assignment would be a write."""
    if code.last(opening) not in NAME_BYTES:
        return
    code.text[start] = 0x20
    part = code.text[start : end - 1]
    code.text[start : end - 1] = part.replace(b".", b"_")
    code.text[end - 1] = 0x2C


def _type(code: Code, before: int, start: int, end: int) -> None:
    """A type as argument of a call to one word."""
    text = code.text
    opening = before if text[before] == 0x28 else code.enclosing(before)
    if opening < 0:
        return
    at, name = code.word_before(opening)
    if not name or name in TYPE_ONLY or name in NOT_A_CALL or not is_call(code, at - 1):
        return  # a cast, or the parameters of a function
    code.join(start, start + len(text[start:end].rstrip()))


def is_call(code: Code, at: int) -> bool:
    """Whether the word that ends its left side at ``at`` is called, rather than declared: by what stands before."""
    text = code.text
    at = code.last_at(at + 1)
    if at < 0:
        return False
    char = text[at]
    if char == 0x2A:
        while at >= 0 and text[at] in b"* \t\r\n":
            at -= 1
        if at < 0 or text[at] not in NAME_BYTES:
            return at >= 0
        return code.word_before(at + 1)[1] in BEFORE_A_CALL or code.inside_body(at)
    if char == 0x7D:
        return code.inside_body(at)
    if char in NAME_BYTES:
        return code.word_before(at + 1)[1] in BEFORE_A_CALL
    return True


def operands(code: Code, words: set[bytes]) -> None:
    """Strings and what stands beside them, ranges of cases, members of ``offsetof``, marks behind a variable."""
    text = code.text
    if b'"' in text:
        _strings(code)
    if b"case" in words:
        for m in list(DOTS.finditer(text)):
            at = m.start()
            if text[at - 1] not in b'."' and CASE.search(text, max(0, at - 300), at):
                text[at : at + 3] = b" | "
    if b"offsetof" in words:
        for m in list(OFFSETOF.finditer(text)):
            if m.start() == 0 or text[m.start() - 1] not in NAME_BYTES:
                text[m.end() - 1] = 0x5F
    for m in list(MARK.finditer(text)):
        code.blank(m.start(1), m.end(1))


def _strings(code: Code) -> None:
    """``A B "x"`` to ``  B "x"``, ``"x" F(y) "z"`` to ``"x"      "z"``."""
    text = code.text
    for m in list(BEFORE_STRING.finditer(text)):
        if not IS_STATEMENT.isdisjoint(m[1].split()):
            continue
        code.blank(m.start(1), m.end(1))
    for m in list(CALL_AFTER_STRING.finditer(text)):
        start, end = m.span(1)
        if text[m.start() - 1] in b"(,=?: \t\n" and text[m.start() + 1] == 0x2E:
            continue  # the quote opens the string
        code.blank(start, end)
    for m in list(CALL_BEFORE_STRING.finditer(text)):
        opening = code.enclosing(m.start())
        if opening < 0:
            continue
        start, word = code.word_before(opening)
        if word and word not in IS_STATEMENT and text[start - 1] in b"(,= \t\r\n":
            code.blank(start, m.start() + 1)
