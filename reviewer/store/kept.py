"""What is made of texts, by the digest of the text or the id of its blob, written to the store in batches."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from reviewer.parse.dialect import Dialect, dialect_digest
from reviewer.parse.facts import Body
from reviewer.parse.head import Head
from reviewer.parse.layout import Layout
from reviewer.store import codec
from reviewer.store.factstore import Store

BATCH = 2_000
"""Values that are held back before they are written; one transaction each."""

T = TypeVar("T", bound=Body | Layout | Head)


class Kept(Generic[T]):
    """Looks a value up in the store, and keeps new ones until :meth:`flush`; programs of several trees may share one."""

    def __init__(self, store: Store, kind: str, decode: Callable[[bytes], T]) -> None:
        self.store = store
        self.kind = kind
        self._decode: Callable[[bytes], T] = decode
        self._new: dict[str, T] = {}
        self._read: dict[str, T] = {}

    def get(self, key: str) -> T | None:
        """The value, or None if there is none yet or the stored one cannot be read."""
        known = self._new.get(key) or self._read.get(key)
        if known is None:
            known = self._stored(key)
            if known is not None:
                if len(self._read) >= BATCH:
                    self._read.clear()
                self._read[key] = known
        return known

    def _stored(self, key: str) -> T | None:
        data = self.store.memo_get(self.kind, key)
        if data is None:
            return None
        try:
            return self._decode(data)
        except codec.DecodeError:
            return None

    def get_many(self, keys: Sequence[str]) -> dict[str, T]:
        """The values of those keys that have one, by one look into the store."""
        found = {key: value for key in keys if (value := self._new.get(key) or self._read.get(key)) is not None}
        for key, data in self.store.get_many(self.kind, [key for key in keys if key not in found]).items():
            with contextlib.suppress(*codec.DecodeError):
                found[key] = self._decode(data)
        return found

    def put(self, key: str, value: T) -> None:
        self._new[key] = value
        if len(self._new) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what is held back."""
        if self._new:
            self.store.put_many(self.kind, [(key, codec.encode(value)) for key, value in self._new.items()])
            self._new = {}


def kept_bodies(store: Store, dialect: Dialect) -> Kept[Body]:
    """Bodies by the digest of their function's text."""
    return Kept(store, body_kind(dialect), codec.decode_body)


def kept_layouts(store: Store, dialect: Dialect) -> Kept[Layout]:
    """Layouts by the digest of their file's text."""
    return Kept(store, layout_kind(dialect), codec.decode_layout)


def kept_heads(store: Store, dialect: Dialect) -> Kept[Head]:
    """Heads by the id of their file's blob."""
    return Kept(store, head_kind(dialect), codec.decode_head)


def body_kind(dialect: Dialect) -> str:
    return codec.kind("body", dialect_digest(dialect))


def layout_kind(dialect: Dialect) -> str:
    return codec.kind("layout", dialect_digest(dialect))


def head_kind(dialect: Dialect) -> str:
    return codec.kind("head", dialect_digest(dialect))
