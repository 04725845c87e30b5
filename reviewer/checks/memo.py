"""Answers about earlier trees that hold for this one, for nothing that they rest on has changed.

The store keeps each answer with its trace. A tree that differs from a stored one in a few files gives the same answer to a
question whose trace these changes do not touch; only lines move.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
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
from reviewer.program.api.models import ApiModels
from reviewer.program.index.bases import Bases
from reviewer.program.index.change import change_of
from reviewer.program.index.trace import Touches, Trace
from reviewer.source.tree import Tree
from reviewer.store.factstore import Store

KEPT = 400
"""Answers that stay in the store: some 20 to 150 KB each with their traces."""

FEW = 50
"""Files that are looked for by their names in an answer."""

T = TypeVar("T")


class Memo:
    """What is known of one tree, or of a tree near it.

    :cvar kind: of the answers in the store, :cvar traces: of what they rest on. :cvar max_changed: files that may differ from the
        tree of an answer; to compare more costs as much as the answer.
    """

    kind, traces, max_changed = "part", "trace", 200

    def __init__(self, tree: Tree, store: Store, dialect: Dialect, rests_on: Sequence[str]) -> None:
        """:param rests_on: digests of what answers rest on beside the tree: models, rules, our own code."""
        self.tree = tree
        self._store = store
        self._dialect = dialect
        self._rests_on = rests_on
        self._new: list[tuple[str, bytes, bytes]] = []
        self._made: dict[str, Other | None] = {}

    @property
    def lasting(self) -> bool:
        """Whether answers about the tree are kept. Not of files on disk: what else was asked for, a file of another suffix, is no
        part of their identity."""
        return self.tree.rev is not None

    def get(self, question: str, type_: type[T]) -> tuple[T, Trace] | None:
        """The answer to a question, with what it rests on; None if it has to be worked out."""
        if not self.lasting:
            return None
        digest = self._digest(question)
        states = (self.tree.identity(), *self._near)
        return next((known for state in states if (known := self._at(state, digest, type_)) is not None), None)

    def put(self, question: str, answer: object, trace: Trace, skipped: Iterable[str]) -> None:
        """Keep an answer about this tree, once :meth:`flush` is called.

        :param skipped: files that were needed and could not be had, or only in part.
        """
        if not self.lasting:
            return
        key = f"{self.tree.identity()}/{self._digest(question)}"
        value = {"answer": msgspec.to_builtins(answer), "closed": closed(self.tree, skipped)}
        # By the standard library, in ASCII: a file name that is no UTF-8 has lone surrogates, which msgspec refuses.
        self._new.append((key, json.dumps(value).encode("ascii"), trace.pack()))

    def flush(self) -> None:
        """Write what is to be kept, and let go of the oldest. Not while worker processes write, too."""
        if self._new:
            self._write()
            for kind in (self.kind, self.traces):
                self._store.forget(kind, KEPT)

    def _write(self) -> None:
        self._store.put_many(self.kind, [(key, answer) for key, answer, _ in self._new])
        self._store.put_many(self.traces, [(key, trace) for key, _, trace in self._new])
        self._new.clear()

    def _contents(self, state: str) -> bytes:
        """What was to be remembered of that state, to read its files later."""
        return b""

    def _holds(self, kept: Mapping[str, Any]) -> bool:
        """Whether what could not be read at the time can not be read now."""
        return not any(can_be_read(self.tree, path) for path in kept["closed"])

    def _digest(self, question: str) -> str:
        return hashlib.sha256(json.dumps([*self._rests_on, question]).encode("ascii")).hexdigest()

    def _at(self, state: str, digest: str, type_: type[T]) -> tuple[T, Trace] | None:
        """The answer that was found for the state of a tree, if it holds for this one."""
        other = self._other(state) if state != self.tree.identity() else None
        if other is None and state != self.tree.identity():
            return None
        key = f"{state}/{digest}"
        packed = self._store.memo_get(self.traces, key)
        if packed is None:
            return None
        try:
            trace = Trace.unpack(packed)
            if other is not None and (other.touches is None or trace.touched(other.touches)):
                return None
            value = self._store.memo_get(self.kind, key)
            if value is None or not self._holds(kept := json.loads(value)):
                return None
            answer = other.moved(kept["answer"]) if other is not None and other.may_move(value) else kept["answer"]
            return msgspec.convert(answer, type_), trace
        except (ValueError, KeyError, TypeError, msgspec.ValidationError, Gone):
            return None

    def _other(self, state: str) -> Other | None:
        """How this tree differs from that state; None if that cannot be told, or is too much."""
        if state not in self._made:
            self._note(state, self.tree.changed_since(state, Bases(self.tree, self._store).listing(state)))
        return self._made[state]

    def _note(self, state: str, changed: frozenset[str] | None) -> None:
        near = changed is not None and len(changed) <= self.max_changed
        self._made[state] = (
            Other(self.tree, self._dialect, state, changed, self._contents(state)) if changed is not None and near else None
        )

    @cached_property
    def _near(self) -> list[str]:
        """States of which the store may have answers that hold here: the tree before it in a series, the nearest stored one."""
        base = Bases(self.tree, self._store).nearest
        found = [self.tree.near.identity()] if self.tree.near is not None else []
        if base is not None:
            found.append(base.identity)
            self._note(base.identity, base.changed)  # it has just been compared
        return [state for state in dict.fromkeys(found) if state != self.tree.identity()]


class Other:
    """Another tree, and how this one differs from it. ``changed``: the files that do, or are on one side only. ``contents``: what
    that tree told to read it later."""

    def __init__(self, tree: Tree, dialect: Dialect, identity: str, changed: frozenset[str], contents: bytes) -> None:
        self.tree = tree
        self.identity = identity
        self.contents = contents
        self._dialect = dialect
        self._changed = sorted(changed)
        self._sides: dict[str, tuple[bytes, bytes]] = {}
        self._moves: dict[str, Moves] = {}

    @property
    def distance(self) -> int:
        """How many files differ."""
        return len(self._changed)

    @cached_property
    def touches(self) -> Touches | None:
        """What answers the change of each file touches; None if the other tree's files cannot be had any more."""
        before = self.tree.read_at(self.identity, self._changed, self.contents)
        if before is None:
            return None
        now = {path: got for path, got in self.tree.read_many(self._changed) if isinstance(got, bytes)}
        found = {}
        for path in self._changed:
            old, new = before.get(path), now.get(path)
            self._sides[path] = old or b"", new or b""
            found[path] = change_of(*(Pieces(t, self._dialect) if t is not None else None for t in (old, new)))
        return Touches(found)

    def may_move(self, kept: bytes) -> bool:
        """Whether an answer, as it is kept, names a file that differs. To look for each of many costs more than to move lines."""
        return len(self._sides) > FEW or any(json.dumps(path).encode("ascii") in kept for path in self._sides)

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


def content_id(tree: Tree, path: str) -> str:
    """What tells one content of a file from another; "" for a file that cannot be read."""
    try:
        return tree.blob(path)
    except MissingContent:
        return ""


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
