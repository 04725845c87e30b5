"""The arithmetic of C integers, and of masks of which only some bits are known.

Sizes are those of LP64, which every 64-bit Linux port uses: ``int`` has 32 bits, ``long`` and pointers 64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

ALL_BITS = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Mask:
    """``(name & keep) | bits``: what became of the parameter ``name`` on its way through masks.

    ``keep`` and ``bits`` are 64-bit patterns without a common bit. ``Mask("gfp")`` is the parameter itself.
    """

    name: str
    keep: int = ALL_BITS
    bits: int = 0

    def given(self, value: int) -> int:
        """The number this is once the parameter is known to be ``value``."""
        return value & self.keep | self.bits


class Num(NamedTuple):
    """A C integer after promotion: ``size`` is 32 or 64 bits, ``value`` fits it."""

    value: int
    size: int = 32
    signed: bool = True


Value = Num | Mask | None
"""None is "not known"; it never means zero."""

TYPES: Mapping[str, tuple[int, bool]] = MappingProxyType(
    {
        "char": (8, True), "signed char": (8, True), "unsigned char": (8, False),
        "short": (16, True), "unsigned short": (16, False), "int": (32, True), "unsigned int": (32, False),
        "long": (64, True), "unsigned long": (64, False), "long long": (64, True),
        "unsigned long long": (64, False),
        "s8": (8, True), "u8": (8, False), "s16": (16, True), "u16": (16, False),
        "s32": (32, True), "u32": (32, False), "s64": (64, True), "u64": (64, False),
        "__s8": (8, True), "__u8": (8, False), "__s16": (16, True), "__u16": (16, False),
        "__s32": (32, True), "__u32": (32, False), "__s64": (64, True), "__u64": (64, False),
        "int8_t": (8, True), "uint8_t": (8, False), "int16_t": (16, True), "uint16_t": (16, False),
        "int32_t": (32, True), "uint32_t": (32, False), "int64_t": (64, True), "uint64_t": (64, False),
        "size_t": (64, False), "ssize_t": (64, True), "loff_t": (64, True), "uintptr_t": (64, False),
        "gfp_t": (32, False), "fmode_t": (32, False), "slab_flags_t": (32, False), "umode_t": (16, False),
        "__be16": (16, False), "__be32": (32, False), "__le16": (16, False), "__le32": (32, False),
    }
)  # fmt: skip
"""Width in bits and signedness of the types whose casts are followed (typedefs: include/linux/types.h)."""

BOOLS = frozenset({"_Bool", "bool"})


def number(value: int, size: int = 32, signed: bool = True) -> Num:
    """``value`` wrapped into the type and promoted to at least ``int``."""
    value &= (1 << size) - 1
    if signed and value >> (size - 1):
        value -= 1 << size
    return Num(value, size, signed) if size >= 32 else Num(value)


def as_number(value: int) -> Num | None:
    """A value whose type is not known, in the narrowest of int, long and unsigned long that holds it."""
    if -(1 << 31) <= value < 1 << 31:
        return Num(value)
    if -(1 << 63) <= value < 1 << 63:
        return Num(value, 64)
    return Num(value, 64, False) if 0 < value < 1 << 64 else None


def truth(value: Value) -> bool | None:
    """Whether a condition with this value holds; None where that is not known."""
    if isinstance(value, Num):
        return value.value != 0
    return True if isinstance(value, Mask) and value.bits else None


def cast(value: Value, type_name: str, pointer: bool = False) -> Value:
    """``(type_name)value``. A cast to a type we do not know leaves the value as it is."""
    if type_name in BOOLS and not pointer:
        known = truth(value)
        return None if known is None else Num(int(known))
    size, signed = (64, False) if pointer else TYPES.get(type_name, (0, False))
    if not size or value is None:
        return value
    if isinstance(value, Num):
        return number(value.value, size, signed)
    if size < 64 and signed:
        return None  # would copy an unknown sign bit upwards
    return _mask(value.name, value.keep & (1 << size) - 1, value.bits & (1 << size) - 1)


def unary(op: str, value: Value) -> Value:
    """One of ``- + ~ !`` applied to ``value``."""
    if op == "!":
        known = truth(value)
        return None if known is None else Num(int(not known))
    if op == "+":
        return value
    if not isinstance(value, Num):
        return None
    if op == "-":
        return number(-value.value, value.size, value.signed)
    return number(~value.value, value.size, value.signed) if op == "~" else None


def binary(op: str, left: Value, right: Value) -> Value:
    """A binary operator of C; None where the result is not known or not defined (division by zero)."""
    if op in ("&&", "||"):
        return _logical(op == "||", truth(left), truth(right))
    if op == "&" and Num(0) in (_plain(left), _plain(right)):
        return Num(0)
    if isinstance(left, Num) and isinstance(right, Num):
        return _arithmetic(op, left, right)
    if isinstance(left, Mask):
        return _masked(op, left, right)
    if isinstance(right, Mask) and op in ("&", "|", "^", "==", "!="):
        return _masked(op, right, left)
    return None


def _plain(value: Value) -> Value:
    return Num(value.value) if isinstance(value, Num) else value


def _logical(any_of: bool, left: bool | None, right: bool | None) -> Value:
    if left is any_of or right is any_of:
        return Num(int(any_of))
    return None if left is None or right is None else Num(int(not any_of))


def _arithmetic(op: str, left: Num, right: Num) -> Num | None:
    if op in ("<<", ">>"):
        if not 0 <= right.value < left.size:
            return None
        shifted = left.value << right.value if op == "<<" else left.value >> right.value
        return number(shifted, left.size, left.signed)
    # The usual arithmetic conversions: the wider type wins, at equal width the unsigned one.
    size = max(left.size, right.size)
    signed = all(n.signed for n in (left, right) if n.size == size)
    a, b = number(left.value, size, signed).value, number(right.value, size, signed).value
    match op:
        case "==" | "!=" | "<" | ">" | "<=" | ">=":
            order = {"==": a == b, "!=": a != b, "<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}
            return Num(int(order[op]))
        case "+":
            result = a + b
        case "-":
            result = a - b
        case "*":
            result = a * b
        case "&":
            result = a & b
        case "|":
            result = a | b
        case "^":
            result = a ^ b
        case "/" | "%" if b:
            quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
            result = quotient if op == "/" else a - b * quotient
        case _:
            return None
    return number(result, size, signed)


def _mask(name: str, keep: int, bits: int) -> Value:
    """A mask, or the number it is when nothing of the parameter is left in it."""
    return Mask(name, keep & ~bits, bits) if keep & ~bits else Num(bits, 64, False)


def _masked(op: str, left: Mask, right: Value) -> Value:
    if isinstance(right, Mask):
        if right.name != left.name:
            return None
        keep, bits = left.keep | right.keep, left.bits | right.bits
        if op == "|":
            return _mask(left.name, keep, bits)
        if op == "&":  # a bit stays if neither side clears it
            kept = (left.keep | left.bits) & (right.keep | right.bits)
            return _mask(left.name, kept & keep, left.bits & right.bits)
        return None
    if right is None:
        return None
    other = right.value & ALL_BITS
    match op:
        case "&":
            return _mask(left.name, left.keep & other, left.bits & other)
        case "|":
            return _mask(left.name, left.keep & ~other, left.bits | other)
        case "^" if not left.keep & other:
            return _mask(left.name, left.keep, left.bits ^ other)
        case "==" | "!=" if (left.bits ^ other) & ~left.keep & ALL_BITS:
            return Num(int(op == "!="))
        case _:
            return None
