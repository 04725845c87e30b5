"""Many blobs into one pack, for a whole tree at once: ten thousands of loose objects take longer to make and to remove.

``git fast-import`` would do it too, and needs five times as long for a kernel tree. Source: gitformat-pack.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

_BLOB = 3
_AHEAD = 64
"""Files read before the oldest of them is written: enough for every core, few enough for memory."""

_T = TypeVar("_T")


def pack_blobs(path: Path, contents: Iterable[Callable[[], bytes | None]], sha256: bool = False) -> Iterator[str | None]:
    """Write a pack of blobs and its index beside it; give the id of each blob, in order.

    :param path: ends in ``.pack``.
    :param contents: called in threads, a few at a time; None for a content that is gone after all.
    :raises OSError: of a call, or of writing
    """
    new_hash = hashlib.sha256 if sha256 else hashlib.sha1

    def prepare(read: Callable[[], bytes | None]) -> tuple[bytes, bytes] | None:
        content = read()
        if content is None:
            return None
        name = new_hash(b"blob %d\0" % len(content) + content).digest()
        return name, _head(_BLOB, len(content)) + zlib.compress(content, 1)

    places: dict[bytes, tuple[int, int]] = {}
    with path.open("w+b") as pack:
        offset = pack.write(struct.pack(">4sII", b"PACK", 2, 0))
        for made in _in_threads(prepare, contents):
            if made is not None and made[0] not in places:
                places[made[0]] = zlib.crc32(made[1]), offset
                offset += pack.write(made[1])
            yield None if made is None else made[0].hex()
        pack.seek(0)
        pack.write(struct.pack(">4sII", b"PACK", 2, len(places)))
        pack.seek(0)
        whole = new_hash()
        while piece := pack.read(1 << 20):
            whole.update(piece)
        pack.write(whole.digest())
    index = _index(places) + whole.digest()
    # By us, too: git would inflate and hash everything again.
    path.with_suffix(".idx").write_bytes(index + new_hash(index).digest())


def _index(places: dict[bytes, tuple[int, int]]) -> bytes:
    """The index, version 2, of objects with their checksum and offset, without its trailer."""
    names = sorted(places)
    counts = [0] * 256
    for name in names:
        counts[name[0]] += 1
    offsets, far = [], []
    for name in names:
        offset = places[name][1]
        if offset >= 1 << 31:  # these have a table of their own
            far.append(offset)
            offset = 1 << 31 | len(far) - 1
        offsets.append(offset)
    return b"".join(
        (
            b"\377tOc\0\0\0\2",
            struct.pack(">256I", *accumulate(counts)),
            *names,
            struct.pack(f">{len(names)}I", *(places[name][0] for name in names)),
            struct.pack(f">{len(names)}I", *offsets),
            struct.pack(f">{len(far)}Q", *far),
        )
    )


def _head(kind: int, size: int) -> bytes:
    """Type and size before an object: four bits of the size, then seven for each byte."""
    result = bytearray()
    byte = kind << 4 | size & 0x0F
    size >>= 4
    while size:
        result.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    return bytes(result) + bytes([byte])


def _in_threads(work: Callable[[Callable[[], bytes | None]], _T], items: Iterable[Callable[[], bytes | None]]) -> Iterator[_T]:
    """``map`` in threads (reading, hashing and deflating leave Python's lock alone), a few ahead."""
    with ThreadPoolExecutor() as pool:
        waiting: list[Future[_T]] = []
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > _AHEAD:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()
