"""Values: expressions in canonical form, folded as far as constants and known bits allow.

A canonical expression is a :data:`facts.Expr` whose names say what they are: ``%2`` is parameter number 2, ``$x`` the
local ``x`` whose value is not known, ``::x`` the object ``x`` at file scope (``::file:x`` for a static,
``::file:f.x`` for a function's static). Any other name is a function, a type or a word without meaning here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any

from reviewer.parse.facts import (
    AddressOf,
    Binary,
    Body,
    Branch,
    Call,
    Cast,
    Choice,
    Const,
    CType,
    Deref,
    Expr,
    Index,
    Items,
    Member,
    Name,
    Result,
    Return,
    Switch,
    Text,
    Unary,
    Write,
)

WORD = (1 << 64) - 1
"""Values are 64-bit patterns; ``-1`` and ``~0UL`` are the same thing."""

MAX_SIZE = 40
"""Nodes of a canonical expression; a larger one is given up as unknown."""

UNKNOWN = Text("?")


def signed(value: int) -> int:
    """A 64-bit pattern as a signed number, so that ``-EINTR`` prints and compares as it should."""
    value &= WORD
    return value - (1 << 64) if value >> 63 else value


def known_bits(expr: Expr) -> tuple[int, int]:
    """``(mask, value)``: which bits of the value are known, and what they are."""
    if isinstance(expr, Const):
        return WORD, expr.value & WORD
    if isinstance(expr, Binary):
        if expr.op == "&":
            lm, lv = known_bits(expr.left)
            rm, rv = known_bits(expr.right)
            zero = (lm & ~lv) | (rm & ~rv)
            one = (lm & lv) & (rm & rv)
            return (zero | one) & WORD, one & WORD
        if expr.op == "|":
            lm, lv = known_bits(expr.left)
            rm, rv = known_bits(expr.right)
            one = (lm & lv) | (rm & rv)
            zero = (lm & ~lv) & (rm & ~rv)
            return (zero | one) & WORD, one & WORD
        if expr.op == "^":
            lm, lv = known_bits(expr.left)
            rm, rv = known_bits(expr.right)
            both = lm & rm
            return both, (lv ^ rv) & both
    if isinstance(expr, Unary) and expr.op == "~":
        m, v = known_bits(expr.operand)
        return m, ~v & m & WORD
    if isinstance(expr, Cast):
        return known_bits(expr.operand)
    return 0, 0


SOME = "$~"
"""Before a variable's canonical name: the word that stands for what is not known of its value."""


def bits(variable: str, may: int, must: int) -> Expr:
    """A value of which the bits ``must`` are set and no others than ``may``."""
    unsure = may & ~must & WORD
    if not unsure:
        return Const(must)
    some: Expr = Binary("&", Name(SOME + variable), Const(unsure))
    return Binary("|", some, Const(must)) if must else some


def bits_of(expr: Expr | None) -> tuple[int, int] | None:
    """``(may, must)`` of a constant that is not negative, or of what :func:`bits` made, with the flags that were set and
    cleared since; None for anything else."""
    if isinstance(expr, Const):
        return (expr.value, expr.value) if expr.value >= 0 else None
    if isinstance(expr, Choice):
        one, two = bits_of(expr.then), bits_of(expr.other)
        return (one[0] | two[0], one[1] & two[1]) if one is not None and two is not None else None
    if not isinstance(expr, Binary) or not all(of_bits(e) for e in walk(expr)):
        return None
    mask, must = known_bits(expr)
    may = ~mask & WORD | must
    return (may, must) if signed(may) >= 0 else None


ERRORS = WORD & ~0xFFF
"""Set in every error number, -1 to -4095 (MAX_ERRNO, include/linux/err.h)."""


def is_error(expr: Expr | None) -> bool:
    """Whether the value is an error number, whichever."""
    if isinstance(expr, Const):
        return -0x1000 < expr.value < 0
    if not isinstance(expr, Binary):
        return False
    mask, value = known_bits(expr)
    return mask & value & ERRORS == ERRORS


def some_error(variable: str) -> Expr:
    """An error number of which nothing more is known."""
    return bits(variable, WORD, ERRORS)


def of_bits(expr: Expr) -> bool:
    """Whether a part of a value says something of its bits."""
    return isinstance(expr, Binary | Unary | Const) or (isinstance(expr, Name) and expr.id.startswith(SOME))


def truth(expr: Expr) -> bool | None:
    """Whether the value is nonzero, if that is certain."""
    if isinstance(expr, Const):
        return expr.value != 0
    if isinstance(expr, AddressOf):
        return True
    mask, value = known_bits(expr)
    if value:
        return True
    if mask == WORD:
        return False
    return None


ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: int(a / b) if b else 0,
    "%": lambda a, b: a - b * int(a / b) if b else 0,
    "<<": lambda a, b: (a << b) & WORD if 0 <= b < 64 else 0,
    ">>": lambda a, b: a >> b if 0 <= b < 64 else 0,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "==": lambda a, b: int(a == b),
    "!=": lambda a, b: int(a != b),
    "<": lambda a, b: int(a < b),
    ">": lambda a, b: int(a > b),
    "<=": lambda a, b: int(a <= b),
    ">=": lambda a, b: int(a >= b),
    "&&": lambda a, b: int(bool(a and b)),
    "||": lambda a, b: int(bool(a or b)),
}


ORDER = frozenset({"<", ">", "<=", ">="})

SMALL = 1 << 31
"""What a sum stays below in any type that counts."""


def binary(op: str, left: Expr, right: Expr) -> Expr:
    """``left op right``, folded."""
    if isinstance(left, Const) and isinstance(right, Const):
        if op in ORDER and (right.value < 0 or (left.value < 0 and right.value != 0)):
            # -1UL is the largest of all, -1 is not, and which of the two this is the operands do not say.
            return Binary(op, left, right)
        return Const(signed(ARITHMETIC[op](left.value, right.value))) if op in ARITHMETIC else UNKNOWN
    if op == "&":
        result = Binary(op, left, right)
        mask, value = known_bits(result)
        return Const(signed(value)) if mask == WORD else result
    if op in ("==", "!="):
        if left == right and not has_call(left):
            return Const(int(op == "=="))
        for a, b in ((left, right), (right, left)):
            if isinstance(b, Const):
                if b.value == 0:
                    known = truth(a)
                    if known is not None:
                        return Const(int(known == (op == "!=")))
                else:
                    mask, value = known_bits(a)
                    if (value ^ b.value) & mask & WORD:
                        return Const(int(op == "!="))
    if op in ORDER and right == Const(0) and is_error(left):
        return Const(int(op in ("<", "<=")))
    if op in ORDER and isinstance(left, Binary) and isinstance(right, Const):
        told = beyond(op, left, right.value)
        if told is not None:
            return Const(int(told))
    if op == "&&":
        one, two = truth(left), truth(right)
        if one is False or two is False:
            return Const(0)
        if one and two:
            return Const(1)
    if op == "||":
        one, two = truth(left), truth(right)
        if one or two:
            return Const(1)
        if one is False and two is False:
            return Const(0)
    if op in ("+", "-", "|", "<<", ">>") and isinstance(right, Const) and right.value == 0:
        return left
    return Binary(op, left, right)


def beyond(op: str, left: Expr, right: int) -> bool | None:
    """What a comparison says if all that the value may be is on one side of the number (``1029 + (x & 16) < 1024``)."""
    found = span(left)
    if found is None or right < 0:
        return None
    low, high = (ARITHMETIC[op](n, right) for n in found)
    return bool(low) if low == high else None


def span(expr: Expr) -> tuple[int, int] | None:
    """The least and the greatest that a value may be, which is not negative; None if that cannot be told."""
    if isinstance(expr, Binary) and expr.op == "+":
        one, two = span(expr.left), span(expr.right)
        return (one[0] + two[0], one[1] + two[1]) if one is not None and two is not None and one[1] + two[1] < SMALL else None
    found = bits_of(expr)
    return (found[1], found[0]) if found is not None else None


def unary(op: str, operand: Expr) -> Expr:
    if op == "!":
        known = truth(operand)
        return Const(int(not known)) if known is not None else Unary(op, operand)
    if isinstance(operand, Const):
        return Const(signed(~operand.value if op == "~" else -operand.value))
    return Unary(op, operand)


def has_call(expr: Expr) -> bool:
    return any(isinstance(e, Result) for e in walk(expr))


INNER: dict[type, Callable[[Any], Expr]] = {
    Member: attrgetter("base"), Deref: attrgetter("base"), AddressOf: attrgetter("base"),
    Unary: attrgetter("operand"), Cast: attrgetter("operand"),
}  # fmt: skip
"""The one expression inside, of the kinds that have one; most expressions are paths of these."""

PARTS: dict[type, Callable[[Any], tuple[Expr, ...]]] = {
    Binary: attrgetter("left", "right"), Index: attrgetter("base", "index"),
    Choice: attrgetter("condition", "then", "other"), Items: lambda e: tuple(v for _, v in e.items),
}  # fmt: skip
"""The expressions inside, of the others."""


def walk(expr: Expr) -> Iterator[Expr]:
    """Every node of the expression, the outermost first."""
    todo: list[Expr] = [expr]
    while todo:
        e = todo.pop()
        yield e
        kind = type(e)
        if kind in INNER:
            todo.append(INNER[kind](e))
        elif kind in PARTS:
            todo.extend(PARTS[kind](e))


def children(expr: Expr) -> tuple[Expr, ...]:
    """The expressions inside, one level down."""
    kind = type(expr)
    return (INNER[kind](expr),) if kind in INNER else PARTS[kind](expr) if kind in PARTS else ()


def expressions(body: Body) -> Iterator[Expr]:
    """The expressions of a body, whole."""
    for block in body.blocks:
        for e in block.events:
            if isinstance(e, Call):
                yield from (e.callee, *e.args)
            else:
                yield e.value
                if isinstance(e, Write):
                    yield e.target
        if isinstance(block.exit, Branch):
            yield block.exit.condition
        elif isinstance(block.exit, Switch | Return) and block.exit.value is not None:
            yield block.exit.value


@lru_cache(maxsize=1 << 16)
def size(expr: Expr) -> int:
    n = 0
    for _ in walk(expr):
        n += 1
        if n > MAX_SIZE:
            break
    return n


def deref(base: Expr) -> Expr:
    return base.base if isinstance(base, AddressOf) else Deref(base)


def address_of(base: Expr) -> Expr:
    return base.base if isinstance(base, Deref) else AddressOf(base)


def member(base: Expr, name: str, arrow: bool) -> Expr:
    """``base->name`` or ``base.name``; ``(&x)->f`` becomes ``x.f`` and ``(*p).f`` becomes ``p->f``."""
    if arrow and isinstance(base, AddressOf):
        return Member(base.base, name, False)
    if not arrow and isinstance(base, Deref):
        return Member(base.base, name, True)
    return Member(base, name, arrow)


def rebuild(expr: Expr, leaf: Callable[[Expr], Expr | None]) -> Expr:
    """The expression with every node for which ``leaf`` has an answer replaced by it, folded again."""
    got = leaf(expr)
    if got is not None:
        return got
    if isinstance(expr, Member):
        return member(rebuild(expr.base, leaf), expr.name, expr.arrow)
    if isinstance(expr, Deref):
        return deref(rebuild(expr.base, leaf))
    if isinstance(expr, AddressOf):
        return address_of(rebuild(expr.base, leaf))
    if isinstance(expr, Binary):
        return binary(expr.op, rebuild(expr.left, leaf), rebuild(expr.right, leaf))
    if isinstance(expr, Unary):
        return unary(expr.op, rebuild(expr.operand, leaf))
    if isinstance(expr, Index):
        return Index(rebuild(expr.base, leaf), rebuild(expr.index, leaf))
    if isinstance(expr, Cast):
        return cast(expr.type, rebuild(expr.operand, leaf))
    if isinstance(expr, Choice):
        condition = rebuild(expr.condition, leaf)
        known = truth(condition)
        if known is not None:
            return rebuild(expr.then if known else expr.other, leaf)
        return Choice(condition, rebuild(expr.then, leaf), rebuild(expr.other, leaf))
    if isinstance(expr, Items):
        return Items(expr.type, tuple((d, rebuild(v, leaf)) for d, v in expr.items))
    return expr


def cast(type_: CType, operand: Expr) -> Expr:
    """Casts between integers fall away (values are 64-bit patterns); pointer casts say a type and stay."""
    if isinstance(operand, Const) or not type_.pointer:
        return operand
    while isinstance(operand, Cast):
        operand = operand.operand
    return Cast(type_, operand)


def substitute(expr: Expr, args: tuple[Expr, ...], prefix: str) -> Expr:
    """An expression of a callee in terms of its caller: parameters replaced by arguments.

    A callee's locals and results mean nothing outside: they become unknown words that start with ``prefix``. A macro may
    be given the name of a member: the member ``%1`` is the one that argument 1 names.
    """

    def leaf(e: Expr) -> Expr | None:
        if isinstance(e, Member) and e.name.startswith("%"):
            return member(rebuild(e.base, leaf), member_name(e.name, args), e.arrow)
        if isinstance(e, Name):
            if e.id.startswith("%"):
                i = int(e.id[1:])
                return args[i] if i < len(args) else UNKNOWN
            if e.id.startswith("$"):
                return Name(f"${prefix}.{e.id[1:]}")
        if isinstance(e, Result):
            return Name(f"${prefix}.r{e.call}")
        return None

    return rebuild(expr, leaf)


def member_name(parameter: str, args: tuple[Expr, ...]) -> str:
    """The member that a macro's parameter ``%i`` stands for, by the argument as it is written."""
    i = int(parameter[1:])
    given = args[i] if i < len(args) else None
    if not isinstance(given, Name):
        return parameter
    return given.id if given.id.startswith("%") else given.id.lstrip("$:").rpartition(":")[2]


def show(expr: Expr, names: Mapping[str, str] = {}) -> str:
    """The expression as C, for people."""
    if isinstance(expr, Name):
        return names.get(expr.id, expr.id.lstrip("$:%"))
    if isinstance(expr, Const):
        return str(expr.value) if -4096 < expr.value < 4096 else hex(expr.value & WORD)
    if isinstance(expr, Text):
        return expr.text
    if isinstance(expr, Result):
        return names.get(f"r{expr.call}", f"result{expr.call}")
    if isinstance(expr, Member):
        return f"{show(expr.base, names)}{'->' if expr.arrow else '.'}{expr.name}"
    if isinstance(expr, Index):
        return f"{show(expr.base, names)}[{show(expr.index, names)}]"
    if isinstance(expr, Deref):
        return f"*{show(expr.base, names)}"
    if isinstance(expr, AddressOf):
        return f"&{show(expr.base, names)}"
    if isinstance(expr, Unary):
        return f"{expr.op}{show(expr.operand, names)}"
    if isinstance(expr, Binary):
        return f"{show(expr.left, names)} {expr.op} {show(expr.right, names)}"
    if isinstance(expr, Cast):
        return show(expr.operand, names)
    if isinstance(expr, Choice):
        return f"{show(expr.condition, names)} ? {show(expr.then, names)} : {show(expr.other, names)}"
    return "{...}"
