"""Constants, declared types and expressions without side effects, from syntax trees.

Text is taken from ``source``, the original bytes of the same length as the normalised text that was parsed, so that a
name that the normaliser rewrote (``struct T`` as an argument) is read as it was written.
"""

from __future__ import annotations

import re

import tree_sitter

from reviewer.parse.facts import CType

INTEGER = re.compile(r"(0[xX][0-9a-fA-F']+|0[bB][01']+|[0-9][0-9']*)([uUlLzZ]*)\Z")
ESCAPES = {"n": 10, "t": 9, "r": 13, "0": 0, "a": 7, "b": 8, "f": 12, "v": 11, "\\": 92, "'": 39, '"': 34, "e": 27}

POINTERS = frozenset({"pointer_declarator", "abstract_pointer_declarator"})
ARRAYS = frozenset({"array_declarator", "abstract_array_declarator"})
FUNCTIONS = frozenset({"function_declarator", "abstract_function_declarator"})


def number(text: str) -> int | None:
    """The value of an integer literal, suffixes and digit separators allowed; None for a floating one."""
    text = text.strip()
    if text[:1] in "+-" and text:  # tree-sitter reads -16 as one literal
        inner = number(text[1:])
        return -inner if inner is not None and text[0] == "-" else inner
    m = INTEGER.match(text)
    if m is None:
        return None
    digits = m[1].replace("'", "")
    if digits[:2] in ("0x", "0X"):
        return int(digits, 16)
    if digits[:2] in ("0b", "0B"):
        return int(digits, 2)
    return int(digits, 8) if digits[0] == "0" and digits.isdigit() and not set(digits) & {"8", "9"} else int(digits)


def character(text: str) -> int | None:
    """The value of a character constant, or None if it is not a simple one."""
    inner = text[text.find("'") + 1 : -1]
    if len(inner) == 1:
        return ord(inner)
    if len(inner) == 2 and inner[0] == "\\":
        return ESCAPES.get(inner[1])
    if inner.startswith("\\x"):
        return int(inner[2:], 16) if inner[2:] else None
    if inner[:1] == "\\" and inner[1:].isdigit():
        return int(inner[1:], 8) if not set(inner[1:]) & {"8", "9"} else None
    return None


def text_of(node: tree_sitter.Node, source: bytes) -> str:
    """The node's original text, with runs of blanks squeezed."""
    text = source[node.start_byte : node.end_byte].decode("utf-8", "replace")
    return text if text.isidentifier() else " ".join(text.split())


def base_type(node: tree_sitter.Node, source: bytes) -> str:
    """The name of a type specifier: ``struct T``, ``unsigned long``, a typedef's name, ``typeof(x)`` by its text.

    A struct without a tag gives ``struct <anon>``; who numbers them (the outline) replaces that.
    """
    kind = node.type
    if kind in ("struct_specifier", "union_specifier", "enum_specifier"):
        word = kind.split("_", 1)[0]
        name = node.child_by_field_name("name")
        return f"{word} {text_of(name, source)}" if name is not None else f"{word} <anon>"
    return text_of(node, source)


def ctype(
    type_node: tree_sitter.Node, declarator: tree_sitter.Node | None, source: bytes
) -> tuple[str, CType]:
    """``(name, type)`` of one declarator; the name is empty for an abstract one."""
    pointer = array = 0
    function = False
    name = ""
    node = declarator
    while node is not None:
        kind = node.type
        if kind in POINTERS:
            pointer += 1
        elif kind in ARRAYS:
            array += 1
        elif kind in FUNCTIONS:
            function = True
        elif kind in ("identifier", "field_identifier", "type_identifier"):
            name = text_of(node, source)
            break
        inner = node.child_by_field_name("declarator")
        if inner is None and kind in ("parenthesized_declarator", "abstract_parenthesized_declarator"):
            inner = next((c for c in node.named_children if "declarator" in c.type or c.type == "identifier"), None)
        node = inner
    return name, CType(base_type(type_node, source), pointer, array, function)


def simple_type(text: str, array: bool = False) -> CType:
    """The type that a macro's argument spells: ``struct T *``."""
    words = [w for w in text.replace("*", " ").split() if w not in ("const", "__user", "volatile")]
    return CType(" ".join(words) or "?", text.count("*"), int(array))
