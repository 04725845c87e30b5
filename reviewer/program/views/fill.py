"""The bodies of a whole tree's functions into the store, so that later questions find them there.

Only functions that call something which the models know to matter (a lock, a sleep, an allocation, a wait, a registration) are
parsed: in a kernel that is one in four, with a third of the text. What else a question leads to is parsed when it is asked.
"""

from __future__ import annotations

import gc
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from reviewer.cluster import Cluster
from reviewer.errors import MissingContent
from reviewer.parse.bodies import body_key, made
from reviewer.parse.code import words_of
from reviewer.parse.dialect import Dialect, dialect_digest, load_dialect
from reviewer.parse.extract import parser
from reviewer.parse.head import head_of
from reviewer.parse.layout import WORTH_KEEPING, layout_of
from reviewer.parse.pieces import MAX_NAMED, Pieces
from reviewer.program.api.models import ApiModels
from reviewer.program.api.models import Function as Model
from reviewer.program.graph.takers import GUARDS
from reviewer.program.index.bases import Bases
from reviewer.source.tree import Place, Tree, place_of
from reviewer.store import codec
from reviewer.store.factstore import NullStore, Store
from reviewer.store.kept import body_kind, head_kind, layout_kind
from reviewer.workers import pool

BATCH = 60
"""Files that a process takes on at a time; what was made of them is written at once."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""


@dataclass(frozen=True, slots=True)
class Work:
    """What worker processes inherit. ``hot``: names whose callers matter; ``done``: kind of the marks of files that are done."""

    tree: Tree
    store: Store
    dialect: Dialect
    hot: frozenset[bytes]
    done: str
    batches: Sequence[Sequence[str]]


@dataclass(slots=True)
class Batch:
    """What was made of some files. ``marks``: digests of their contents; ``size``: bytes read."""

    bodies: list[tuple[str, bytes]]
    layouts: list[tuple[str, bytes]]
    heads: list[tuple[str, bytes]]
    marks: list[str]
    size: int
    skipped: list[tuple[str, str]]


def fill_tree(
    tree: Tree, store: Store, models: ApiModels, dialect: Dialect, jobs: int, progress: Progress, cluster: Cluster | None = None
) -> bool:
    """The same for a whole tree: only what tells it from a tree that is done already is looked at.

    :return: whether no such tree was known, so that all files were looked at
    """
    hot = hot_names(models)
    mark = f"{_kind_of_marks(hot, dialect)}-trees"
    if store.memo_get(mark, tree.identity()) is not None:
        return False
    base = Bases(tree, store).nearest
    known = base is not None and store.memo_get(mark, base.identity) is not None
    fill(tree, base.present if base is not None and known else tree.paths(), store, hot, dialect, jobs, progress, cluster)
    store.put_many(mark, [(tree.identity(), b"")])
    return not known


def hot_names(models: ApiModels) -> frozenset[bytes]:
    """Functions whose callers matter to a rule."""
    return frozenset(name.encode() for name in (*GUARDS, *(n for n, model in models.functions.items() if matters(model))))


def _kind_of_marks(hot: frozenset[bytes], dialect: Dialect) -> str:
    names = hashlib.sha256(b"\0".join(sorted(hot))).hexdigest()[:12]
    return f"{codec.kind('filled', dialect_digest(dialect))}-{names}"


def fill(
    tree: Tree, paths: Sequence[str], store: Store, hot: frozenset[bytes], dialect: Dialect, jobs: int, progress: Progress,
    cluster: Cluster | None = None,
) -> None:  # fmt: skip
    """Have the store hold the bodies that matter of these files. Files that it has seen before cost no more than to be read.

    Each batch is written as it is done: what is interrupted goes on from there.
    """
    bodies, layouts, heads = body_kind(dialect), layout_kind(dialect), head_kind(dialect)
    batches = [paths[i : i + BATCH] for i in range(0, len(paths), BATCH)]
    work = Work(tree, store, dialect, hot, _kind_of_marks(hot, dialect), batches)
    started, files, size = time.monotonic(), 0, 0
    made_by = done(work, jobs) if cluster is None else cluster.map(partial(elsewhere, place_of(tree), hot), batches)
    for number, batch in enumerate(made_by):
        store.put_many(bodies, batch.bodies)
        store.put_many(layouts, batch.layouts)
        store.put_many(heads, batch.heads)
        store.put_many(work.done, [(mark, b"") for mark in batch.marks])
        for path, reason in batch.skipped:
            tree.note_skipped(path, reason)
        files += len(batches[number])
        size += batch.size
        spent = max(time.monotonic() - started, 0.001)
        left = spent / files * (len(paths) - files)
        progress(f"functions, {size / 1e6 / spent:.1f} MB/s, {left:.0f} s left,", files, len(paths))


def matters(model: Model) -> bool:
    """Whether a function that calls this is one whose body some rule looks into."""
    return bool(
        model.takes or model.drops or model.waits or model.allocates is not None or model.may_sleep or model.registers
        or model.invokes or model.asserts or model.gfp_scope is not None or model.signals or model.chain_call is not None
        or model.sleeps_by is not None
        or model.chain_register is not None or model.frees is not None
    )  # fmt: skip


def done(work: Work, jobs: int) -> Iterator[Batch]:
    """Each batch, in their order."""
    if jobs < 2 or len(work.batches) < 2:
        yield from (made_of(work, batch) for batch in work.batches)
        return
    global _inherited
    _inherited = work
    try:
        gc.freeze()
        with pool(min(jobs, len(work.batches)), _start) as workers:
            yield from workers.imap(_one, range(len(work.batches)))
    finally:
        _inherited = None
        gc.unfreeze()


_inherited: Work | None = None
"""What worker processes find when they start: an open tree has processes of its own, and cannot be sent."""


def _start() -> None:
    assert _inherited is not None
    _inherited.tree.after_fork()
    _inherited.store.after_fork()


def _one(number: int) -> Batch:
    assert _inherited is not None
    return made_of(_inherited, _inherited.batches[number])


def elsewhere(place: Place, hot: frozenset[bytes], paths: Sequence[str]) -> Batch:
    """A batch on another machine, which has no store."""
    return made_of(Work(place.opened(), NullStore(), load_dialect(), hot, "", ()), paths)


def made_of(work: Work, paths: Sequence[str]) -> Batch:
    """The bodies of files that have not been seen before."""
    result = Batch([], [], [], [], 0, [])
    texts: dict[str, tuple[str, bytes]] = {}
    for path, text in work.tree.read_many(paths):
        if isinstance(text, MissingContent):
            result.skipped.append((path, text.what))
            continue
        result.size += len(text)
        texts.setdefault(body_key(text), (path, text))
    known = work.store.get_many(work.done, list(texts))
    grammar = parser()
    for mark, (path, text) in texts.items():
        if mark in known:
            continue
        result.marks.append(mark)
        if path.endswith(".h") and len(text) <= MAX_NAMED and b"\0" not in text:
            result.heads.append((work.tree.blob(path), codec.encode(head_of(text))))
        hot = not work.hot.isdisjoint(words_of(text))
        lasting = WORTH_KEEPING <= len(text) <= MAX_NAMED
        if not hot and not lasting:
            continue
        file = Pieces(text, work.dialect)
        if lasting:
            result.layouts.append((mark, codec.encode(layout_of(file.skim))))
        if not hot:
            continue
        for piece in file.all_functions():
            original = file.text[piece.start : piece.end]
            if work.hot.isdisjoint(words_of(original)):
                continue
            body = made(original, work.dialect, grammar)
            if body is not None:
                result.bodies.append((body_key(original), codec.encode(body)))
    return result
