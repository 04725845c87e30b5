"""Outlines of files: those that are stored are decoded, the rest are read and parsed, on all cores when there are many."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from typing import Protocol

from reviewer.errors import MissingContent
from reviewer.parse import facts
from reviewer.parse.dialect import Dialect, dialect_digest, load_dialect
from reviewer.parse.extract import empty, outline
from reviewer.store import codec
from reviewer.store.factstore import Store

PARALLEL_FROM = 24
"""Files from which on a pool of processes pays for its start (about 50 ms by fork)."""


class Source(Protocol):
    """What filling needs of a tree."""

    def blob(self, path: str) -> str: ...
    def note_skipped(self, path: str, reason: str) -> None: ...
    def read_many(self, paths: Sequence[str]) -> Iterator[tuple[str, bytes | MissingContent]]: ...


def outlines(
    tree: Source, paths: Sequence[str], store: Store, dialect: Dialect, jobs: int
) -> Iterator[tuple[str, facts.FileFacts]]:
    """``(path, outline)`` for each of ``paths``, in no particular order.

    A file that cannot be read gets an empty outline that says why, and is noted in ``tree.skipped``.
    """
    kind = codec.kind("outline", dialect_digest(dialect))
    blobs: dict[str, str] = {}
    for path in paths:
        try:
            blobs[path] = tree.blob(path)
        except MissingContent as e:
            tree.note_skipped(path, e.what)
            yield path, empty(0, e.what)
    stored = store.get_many(kind, list(dict.fromkeys(blobs.values())))
    missing: list[str] = []
    for path, blob in blobs.items():
        data = stored.get(blob)
        if data is None:
            missing.append(path)
            continue
        try:
            yield path, codec.decode_outline(data)
        except codec.DecodeError:
            missing.append(path)
    if not missing:
        return
    made: list[tuple[str, bytes]] = []
    for path, data in parsed(tree, missing, jobs):
        made.append((blobs[path], data))
        yield path, codec.decode_outline(data)
    store.put_many(kind, made)


def parsed(tree: Source, paths: Sequence[str], jobs: int) -> Iterator[tuple[str, bytes]]:
    """``(path, encoded outline)`` of files that were never seen."""
    texts: list[tuple[str, bytes]] = []
    for path, text in tree.read_many(paths):
        if isinstance(text, MissingContent):
            tree.note_skipped(path, text.what)
            yield path, codec.encode(empty(0, text.what))
        else:
            texts.append((path, text))
    if jobs > 1 and len(texts) >= PARALLEL_FROM:
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            yield from pool.imap_unordered(parse_one, texts, chunksize=4)
    else:
        yield from map(parse_one, texts)


def parse_one(item: tuple[str, bytes]) -> tuple[str, bytes]:
    path, text = item
    return path, codec.encode(outline(text, load_dialect()))
