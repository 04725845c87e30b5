"""Answers about earlier trees that hold for this one, for nothing that they rest on has changed.

The store keeps each answer with its trace. A tree that differs from a stored one in a few files gives the same answer to a
question whose trace these changes do not touch; only lines move.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from reviewer.checks.result import ScanRequest
from reviewer.data import installation_digest
from reviewer.errors import MissingContent
from reviewer.parse.dialect import Dialect
from reviewer.parse.pieces import Pieces
from reviewer.program.bases import Bases
from reviewer.program.change import Change, change_of
from reviewer.program.models import ApiModels
from reviewer.program.trace import Trace
from reviewer.source.tree import Tree
from reviewer.store.factstore import Store

KIND, TRACES = "part", "trace"

KEPT = 400
"""Answers that stay in the store: some 20 to 150 KB each with their traces."""

MAX_CHANGED = 200
"""Files that may differ from the tree of an answer; to compare more costs as much as the answer."""

T = TypeVar("T")


class Memo:
    """What is known of one tree, or of a tree near it.

    :param rests_on: digests of what answers rest on beside the tree: models, rules, our own code.
    """

    def __init__(self, tree: Tree, store: Store, dialect: Dialect, rests_on: Sequence[str]) -> None:
        self.tree = tree
        self._store = store
        self._dialect = dialect
        self._rests_on = rests_on
        self._new: list[tuple[str, bytes, bytes]] = []

    def get(self, question: str, type_: type[T]) -> tuple[T, Trace] | None:
        """The answer to a question, with what it rests on; None if it has to be worked out."""
        if self.tree.rev is None:
            return None  # files on disk: what else was asked for, a file of another suffix, is not in their identity
        digest = self._digest(question)
        own = self._load(f"{self.tree.identity()}/{digest}", type_)
        if own is not None:
            return own
        for other in self._others:
            packed = self._store.memo_get(TRACES, f"{other.identity}/{digest}")
            if packed is None or other.changes is None:
                continue
            try:
                trace = Trace.unpack(packed)
            except ValueError:
                continue
            known = None if trace.touched(other.changes) else self._load(f"{other.identity}/{digest}", type_, other, trace)
            if known is not None:
                return known
        return None

    def put(self, question: str, answer: object, trace: Trace, skipped: Iterable[str]) -> None:
        """Keep an answer about this tree, once :meth:`flush` is called.

        :param skipped: files that were needed and could not be had, or only in part.
        """
        if self.tree.rev is None:
            return
        key = f"{self.tree.identity()}/{self._digest(question)}"
        value = {"answer": msgspec.to_builtins(answer), "closed": closed(self.tree, skipped)}
        # By the standard library, in ASCII: a file name that is no UTF-8 has lone surrogates, which msgspec refuses.
        self._new.append((key, json.dumps(value).encode("ascii"), trace.pack()))

    def flush(self) -> None:
        """Write what is to be kept, and let go of the oldest. Not while worker processes write, too."""
        if self._new:
            self._store.put_many(KIND, [(key, answer) for key, answer, _ in self._new])
            self._store.put_many(TRACES, [(key, trace) for key, _, trace in self._new])
            self._new.clear()
            for kind in (KIND, TRACES):
                self._store.forget(kind, KEPT)

    def _digest(self, question: str) -> str:
        return hashlib.sha256(json.dumps([*self._rests_on, question]).encode("ascii")).hexdigest()

    def _load(
        self, key: str, type_: type[T], other: Other | None = None, trace: Trace | None = None
    ) -> tuple[T, Trace] | None:
        """:param other: the tree that the answer is about, whose lines may have moved. :param trace: of that answer."""
        value = self._store.memo_get(KIND, key)
        if value is None:
            return None
        try:
            kept = json.loads(value)
            if any(can_be_read(self.tree, path) for path in kept["closed"]):
                return None
            answer = kept["answer"]
            if other is None or trace is None:
                packed = self._store.memo_get(TRACES, key)
                return (msgspec.convert(answer, type_), Trace.unpack(packed)) if packed is not None else None
            return msgspec.convert(other.moved(answer), type_), trace
        except (ValueError, KeyError, msgspec.ValidationError, Gone):
            return None

    @cached_property
    def _others(self) -> list[Other]:
        """Trees near this one of which the store may have answers: the one before it in a series, and the nearest stored one."""
        found: dict[str, Other] = {}
        for identity, changed in self._near():
            if len(changed) <= MAX_CHANGED and identity not in found:
                found[identity] = Other(self.tree, self._dialect, identity, changed)
        return list(found.values())

    def _near(self) -> Iterator[tuple[str, frozenset[str]]]:
        if self.tree.near is not None and self.tree.near.identity() != self.tree.identity():
            identity = self.tree.near.identity()
            changed = self.tree.changed_since(identity, b"")
            if changed is not None:
                yield identity, changed
        base = Bases(self.tree, self._store).nearest
        if base is not None:
            yield base.identity, base.changed


class Other:
    """Another tree, and how this one differs from it. ``changed``: the files that do, or are on one side only."""

    def __init__(self, tree: Tree, dialect: Dialect, identity: str, changed: frozenset[str]) -> None:
        self.tree = tree
        self.identity = identity
        self._dialect = dialect
        self._changed = sorted(changed)
        self._sides: dict[str, tuple[bytes, bytes]] = {}
        self._moves: dict[str, Moves] = {}

    @cached_property
    def changes(self) -> Mapping[str, Change] | None:
        """How each file differs, by path; None if the other tree's files cannot be had any more."""
        before = self.tree.read_at(self.identity, self._changed)
        if before is None:
            return None
        now = {path: got for path, got in self.tree.read_many(self._changed) if isinstance(got, bytes)}
        found = {}
        for path in self._changed:
            old, new = before.get(path), now.get(path)
            self._sides[path] = old or b"", new or b""
            found[path] = change_of(*(Pieces(t, self._dialect) if t is not None else None for t in (old, new)))
        return found

    def moved(self, value: Any) -> Any:
        """An answer with its lines where they stand now.

        :raises Gone: one of them is not there as it was
        """
        if isinstance(value, list):
            return [self.moved(one) for one in value]
        if not isinstance(value, dict):
            return value
        file, line = value.get("file"), value.get("line")
        made = {key: self.moved(one) for key, one in value.items()}
        if isinstance(file, str) and isinstance(line, int) and file in self._sides:
            if value.get("fix"):
                raise Gone
            made["line"] = self._moves_of(file).new(line)
        return made

    def _moves_of(self, path: str) -> Moves:
        if path not in self._moves:
            self._moves[path] = Moves(*self._sides[path])
        return self._moves[path]


def closed(tree: Tree, paths: Iterable[str]) -> list[str]:
    """Of these files those that cannot be read, sorted."""
    return sorted(path for path in paths if not can_be_read(tree, path))


def can_be_read(tree: Tree, path: str) -> bool:
    try:
        tree.read(path)
    except MissingContent:
        return False
    return True


def rests_on(models: ApiModels, request: ScanRequest) -> list[str]:
    """Digests of everything but the tree that an answer rests on: models, rules, the user's own included, and our code."""
    folders = [digest_of(sorted(Path(folder).glob("*.yaml"))) for folder in request.rules_dirs]
    config = [digest_of([Path(request.config)])] if request.config is not None else []
    return [models.digest, installation_digest(), *folders, *config]


def digest_of(files: Iterable[Path]) -> str:
    """Of names and contents; a file that cannot be read is none."""
    total = hashlib.sha256()
    for file in files:
        try:
            content = file.read_bytes()
        except OSError:
            continue
        total.update(f"{file.name!r} {len(content)}\0".encode() + content)
    return total.hexdigest()


class Gone(Exception):
    """A line is not there any more."""


class Moves:
    """Where the lines of one text stand in another."""

    def __init__(self, old: bytes, new: bytes) -> None:
        a, b = old.split(b"\n"), new.split(b"\n")
        first = 0
        while first < min(len(a), len(b)) and a[first] == b[first]:
            first += 1
        last = 0
        while last < min(len(a), len(b)) - first and a[-1 - last] == b[-1 - last]:
            last += 1
        middle = SequenceMatcher(None, a[first : len(a) - last], b[first : len(b) - last], autojunk=False)
        blocks = [(i + first, j + first, n) for i, j, n in middle.get_matching_blocks() if n]
        self._blocks = [(0, 0, first), *blocks, (len(a) - last, len(b) - last, last)]
        self._starts = [i for i, _, _ in self._blocks]

    def new(self, line: int) -> int:
        """The 1-based line in the new text.

        :raises Gone: it stands on the old side only
        """
        i, j, n = self._blocks[bisect_right(self._starts, line - 1) - 1]
        if line - 1 >= i + n:
            raise Gone
        return line - i + j
