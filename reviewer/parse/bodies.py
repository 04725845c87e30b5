"""The text of one function to its body."""

from __future__ import annotations

import hashlib

import tree_sitter

from reviewer.parse import cfg
from reviewer.parse.dialect import Dialect
from reviewer.parse.facts import Body
from reviewer.parse.normalise import normalise


def body_key(text: bytes) -> str:
    """The name under which the body of this text is kept: 32 hex digits."""
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def made(text: bytes, dialect: Dialect, parser: tree_sitter.Parser) -> Body | None:
    """The control-flow graph of a function's text, or None if there is no function in it.

    :param text: from the first line of its header to the brace that ends it.
    """
    node = find_definition(parser.parse(normalise(text, dialect)).root_node)
    return cfg.body(node, text, dialect.variables) if node is not None else None


def find_definition(root: tree_sitter.Node) -> tree_sitter.Node | None:
    """The function definition in the parse of a slice, inside an ERROR or ``#if`` node if need be."""
    todo = [root]
    while todo:
        node = todo.pop(0)
        if node.type == "function_definition":
            return node
        if node.type in ("translation_unit", "ERROR") or node.type.startswith("preproc"):
            todo.extend(node.named_children)
    return None
