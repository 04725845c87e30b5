"""Which files mention a word, for every word of a tree: what ``git grep -w`` would say, found once.

A word is an identifier anywhere in a file, comments and strings included, since git sees those, too. Names of macros that stand
for a number are left out where they are defined: 300 MB of a kernel are registers of graphics cards.
"""

from __future__ import annotations

import gc
import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Sequence

from reviewer.errors import MissingContent
from reviewer.parse.code import words_of
from reviewer.parse.head import number_macros
from reviewer.program.index.postings import Pages, paged
from reviewer.source.tree import Tree
from reviewer.workers import pool

PAGES = 16384
"""Pieces that words are spread over, some 3 kB each when packed: one is read to look a word up."""

SHARES = 12
"""Pieces of a tree that processes take on, so that they end together."""

LARGE = 200_000
"""Bytes of a file from which on it is looked at for macros that are numbers."""

_DIGITS = frozenset(b"0123456789")

Progress = Callable[[int, int], None]
"""Called with the files that are done and how many there are."""


def read_words(
    tree: Tree, jobs: int = 1, files: Sequence[str] | None = None, progress: Progress | None = None
) -> tuple[list[str], Pages]:
    """(paths, pages) of the words of the tree's C files.

    :param files: only these.
    """
    paths = list(files if files is not None else tree.paths())
    if jobs < 2 or files is not None or multiprocessing.current_process().daemon:
        return paths, _read(tree, paths, 0)
    global _inherited
    _inherited = tree, paths
    step = max(1, -(-len(paths) // SHARES))
    starts = range(0, len(paths), step)
    pages: Pages = dict.fromkeys(range(PAGES), b"\n")
    skipped: list[tuple[str, str]] = []
    try:
        gc.freeze()
        with pool(min(jobs, len(starts)), _start) as workers:
            for start, (found, absent) in zip(starts, workers.imap(_share, [(s, step) for s in starts]), strict=True):
                for number, page in found.items():
                    pages[number] += page[1:]
                skipped += absent
                if progress is not None:
                    progress(min(start + step, len(paths)), len(paths))
    finally:
        _inherited = None
        gc.unfreeze()
    for path, reason in skipped:
        tree.note_skipped(path, reason)
    return paths, pages


_inherited: tuple[Tree, list[str]] | None = None
"""What worker processes find when they start: an open tree has processes of its own, and cannot be sent."""


def _start() -> None:
    assert _inherited is not None
    _inherited[0].after_fork()


def _share(which: tuple[int, int]) -> tuple[Pages, list[tuple[str, str]]]:
    """Of a worker process."""
    assert _inherited is not None
    tree, paths = _inherited
    start, step = which
    known = len(tree.skipped)
    return _read(tree, paths[start : start + step], start), tree.skipped[known:]


def _read(tree: Tree, paths: Sequence[str], first: int) -> Pages:
    """The words of these files, which are numbered from ``first`` on."""
    found: defaultdict[bytes, bytes] = defaultdict(bytes)
    numbers = {path: first + i for i, path in enumerate(paths)}
    for path, text in tree.read_many(paths):
        if isinstance(text, MissingContent):
            tree.note_skipped(path, text.what)
            continue
        words = words_of(text)
        if len(text) > LARGE:
            words -= number_macros(text)
        number = b"%d," % numbers[path]
        for word in words:
            found[word] += number
    return paged(((word, files) for word, files in found.items() if word[0] not in _DIGITS), PAGES)
