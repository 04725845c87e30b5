"""Values as they stand in the store: compressed with a shared dictionary, each with a checksum.

Most values are the bodies of single functions, some hundred bytes each. By itself such a value compresses to a half; with what
bodies have in common, their shape and the commonest names of the kernel's API, to a third (``docs/write_dictionary.py`` says what
the dictionary is made of). SQLite has no checksums, and a flipped bit must not become a fact.
"""

from __future__ import annotations

import functools
import zlib
from importlib import resources

import zstandard

DICTIONARY = "bodies.zdict"
"""Beside this module. With another one, nothing that was packed before can be read: :data:`factstore.SCHEMA` must count up."""

_COMPRESS_FROM = 32
"""Bytes from which on a value is compressed: below, the header eats the gain."""

_LEVEL = 6
"""A higher one takes longer for next to nothing; at 3, a body takes a third of the time and a tenth more room."""

_PLAIN, _PACKED = b"r", b"z"


class Damaged(ValueError):
    """Not what :func:`pack` made."""


def pack(value: bytes) -> bytes:
    """Checksum, one byte that says how, and the value."""
    if len(value) >= _COMPRESS_FROM:
        packed = _compressor().compress(value)
        if len(packed) < len(value):
            return _checked(_PACKED + packed)
    return _checked(_PLAIN + value)


def unpack(data: object) -> bytes:
    """The value again.

    :raises Damaged: not what :func:`pack` made
    """
    packed = data[4:] if isinstance(data, bytes) else b""
    if not isinstance(data, bytes) or not packed or data[:4] != _checksum(packed):
        raise Damaged("a value does not fit its checksum")
    try:
        return _decompressor().decompress(packed[1:]) if packed[:1] == _PACKED else packed[1:]
    except zstandard.ZstdError as error:
        raise Damaged(str(error)) from error


def _checked(packed: bytes) -> bytes:
    return _checksum(packed) + packed


def _checksum(packed: bytes) -> bytes:
    return zlib.crc32(packed).to_bytes(4, "big")


@functools.cache
def _parameters() -> zstandard.ZstdCompressionParameters:
    # What stands in the frame to tell it from other files' is four bytes of some two hundred.
    return zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=True, write_checksum=False, write_dict_id=False
    )


@functools.cache
def _dictionary() -> zstandard.ZstdCompressionDict:
    data = resources.files(__package__).joinpath(DICTIONARY).read_bytes()
    return zstandard.ZstdCompressionDict(data)


@functools.cache
def _compressor() -> zstandard.ZstdCompressor:
    dictionary = _dictionary()
    dictionary.precompute_compress(compression_params=_parameters())
    return zstandard.ZstdCompressor(dict_data=dictionary, compression_params=_parameters())


@functools.cache
def _decompressor() -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor(dict_data=_dictionary(), format=zstandard.FORMAT_ZSTD1_MAGICLESS)
