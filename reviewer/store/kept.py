"""What is made of texts, by the digest of the text, written to the store in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from reviewer.parse.dialect import Dialect, dialect_digest
from reviewer.parse.facts import Body
from reviewer.parse.layout import Layout
from reviewer.store import codec
from reviewer.store.factstore import Store

BATCH = 2_000
"""Values that are held back before they are written; one transaction each."""

T = TypeVar("T", bound=Body | Layout)


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


def body_kind(dialect: Dialect) -> str:
    return codec.kind("body", dialect_digest(dialect))


def layout_kind(dialect: Dialect) -> str:
    return codec.kind("layout", dialect_digest(dialect))
