"""Facts to bytes and back, and the version of whoever made them."""

from __future__ import annotations

import functools
import hashlib
from importlib import metadata
from pathlib import Path

import msgspec

from reviewer import parse
from reviewer.parse.facts import Body
from reviewer.parse.head import Head
from reviewer.parse.layout import Layout

DecodeError = (msgspec.DecodeError, msgspec.ValidationError)
"""What the decoders below raise for bytes that are not what they should be."""

_encoder = msgspec.msgpack.Encoder()
_body = msgspec.msgpack.Decoder(Body)
_layout = msgspec.msgpack.Decoder(Layout)
_head = msgspec.msgpack.Decoder(Head)


def encode(record: Body | Layout | Head) -> bytes:
    """One record as msgpack."""
    return _encoder.encode(record)


def decode_body(data: bytes) -> Body:
    """:raises msgspec.DecodeError: not a body"""
    return _body.decode(data)


def decode_layout(data: bytes) -> Layout:
    """:raises msgspec.DecodeError: not a layout"""
    return _layout.decode(data)


def decode_head(data: bytes) -> Head:
    """:raises msgspec.DecodeError: not a head"""
    return _head.decode(data)


@functools.cache
def extractor_version() -> str:
    """12 hex digits that change with the code that makes facts: ``parse/`` and the grammar's release.

    Computed rather than kept by hand: a forgotten bump would serve yesterday's facts for today's code.
    """
    digest = hashlib.sha256()
    for file in sorted(Path(parse.__path__[0]).glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    for package in ("tree-sitter", "tree-sitter-c"):
        try:
            digest.update(metadata.version(package).encode())
        except metadata.PackageNotFoundError:
            digest.update(b"?")
    return digest.hexdigest()[:12]


def kind(what: str, dialect_digest: str) -> str:
    """The store's kind for facts made by this extractor with that dialect: ``body@VERSION-DIALECT``."""
    return f"{what}@{extractor_version()}-{dialect_digest[:16]}"
