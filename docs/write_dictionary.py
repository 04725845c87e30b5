"""Writes the dictionary that values in the store are compressed with, made of the functions of the fixtures.

    python docs/write_dictionary.py

A store that was written with another dictionary cannot be read: count ``SCHEMA`` in reviewer/store/factstore.py up with it. There
is no need to do so when fixtures change; a third of the bytes of a kernel's bodies are what any few thousand functions share.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import zstandard

from reviewer.data import fixtures_dir
from reviewer.parse.bodies import made
from reviewer.parse.dialect import load_dialect
from reviewer.parse.extract import parser
from reviewer.parse.pieces import Pieces
from reviewer.store import codec, packed

SIZE = 32_768
"""Bytes: twice as many bring a hundredth."""


def bodies() -> Iterator[bytes]:
    """Of all functions of the fixtures, as the store has them."""
    dialect, grammar = load_dialect(), parser()
    for path in sorted(fixtures_dir().rglob("*.[ch]")):
        file = Pieces(path.read_bytes(), dialect)
        for piece in file.all_functions():
            body = made(file.text[piece.start : piece.end], dialect, grammar)
            if body is not None:
                yield codec.encode(body)


def main() -> None:
    samples: list[bytes | bytearray | memoryview] = list(bodies())
    dictionary = zstandard.train_dictionary(SIZE, samples)
    target = Path(packed.__file__).with_name(packed.DICTIONARY)
    target.write_bytes(dictionary.as_bytes())
    print(f"{target}: {len(dictionary.as_bytes())} bytes of {len(samples)} functions", file=sys.stderr)


if __name__ == "__main__":
    main()
