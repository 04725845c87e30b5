"""What stands below ``GIT binary patch``: base 85, deflated, a whole content or a delta.

Source: git's documentation of the pack format (gitformat-pack, "Deltified representation"); the lines as ``git apply``
reads them: a length letter (A-Z 1-26 bytes, a-z 27-52) and five characters for each four bytes.
"""

from __future__ import annotations

import base64
import re
import zlib

_HEAD = re.compile(rb"(?:GIT binary patch\r?\n)?(literal|delta) (\d+)\r?\n")
_LIMIT = 256 << 20
"""No content of a source tree is larger; a few bytes could claim and deflate to anything."""


class BadBinaryPatch(Exception):
    """The text is no binary patch, or it does not belong to this content. The text says which."""


def apply_binary(patch: bytes, old: bytes) -> bytes:
    """The content after a binary patch.

    :param patch: ``literal N`` or ``delta N`` and its lines; a ``GIT binary patch`` line before it and the reverse
        patch behind it may be there.
    :param old: the content before.
    :raises BadBinaryPatch:
    """
    head = _HEAD.match(patch)
    if head is None:
        raise BadBinaryPatch("neither a literal nor a delta")
    data = inflate(decode_lines(patch[head.end() :]), int(head[2]))
    return data if head[1] == b"literal" else apply_delta(data, old)


def decode_lines(text: bytes) -> bytes:
    """The bytes of base 85 lines up to the first empty line."""
    result = bytearray()
    for line in text.split(b"\n"):
        line = line.rstrip(b"\r")
        if not line:
            break
        letter = line[0]
        length = letter - 64 if 65 <= letter <= 90 else letter - 96 + 26 if 97 <= letter <= 122 else 0
        groups, rest = divmod(len(line) - 1, 5)
        if not length or rest or not groups * 4 - 4 < length <= groups * 4:
            raise BadBinaryPatch("a line of it is damaged")
        try:
            result += base64.b85decode(line[1:])[:length]  # RFC 1924's alphabet is git's
        except ValueError as error:
            raise BadBinaryPatch("a line of it is damaged") from error
    return bytes(result)


def inflate(data: bytes, size: int) -> bytes:
    """What deflated data of a known size hold."""
    if size > _LIMIT:
        raise BadBinaryPatch(f"it claims {size} bytes")
    stream = zlib.decompressobj()
    try:
        result = stream.decompress(data, size + 1)
    except zlib.error as error:
        raise BadBinaryPatch("its deflated data are damaged") from error
    if len(result) != size or not stream.eof:
        raise BadBinaryPatch("its size is not what it says")
    return result


def apply_delta(delta: bytes, old: bytes) -> bytes:
    """The content that a git delta makes of ``old``."""
    try:
        return _apply_delta(delta, old)
    except IndexError as error:
        raise BadBinaryPatch("the delta ends early") from error


def _apply_delta(delta: bytes, old: bytes) -> bytes:
    old_size, at = _varint(delta, 0)
    new_size, at = _varint(delta, at)
    if old_size != len(old) or new_size > _LIMIT:
        raise BadBinaryPatch("the delta was made for another content")
    result = bytearray()
    while at < len(delta):
        command = delta[at]
        at += 1
        if command & 0x80:  # copy: a bit for each byte of offset and size that follows
            offset = size = 0
            for bit in range(4):
                if command & 1 << bit:
                    offset |= delta[at] << 8 * bit
                    at += 1
            for bit in range(3):
                if command & 0x10 << bit:
                    size |= delta[at] << 8 * bit
                    at += 1
            size = size or 0x10000
            piece = old[offset : offset + size]
            if len(piece) != size:
                raise BadBinaryPatch("the delta copies from behind the end")
        elif command:  # insert
            piece = delta[at : at + command]
            if len(piece) != command:
                raise BadBinaryPatch("the delta ends early")
            at += command
        else:
            raise BadBinaryPatch("the delta holds an unknown command")
        result += piece
        if len(result) > new_size:
            break
    if len(result) != new_size:
        raise BadBinaryPatch("the delta makes another size than it says")
    return bytes(result)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
