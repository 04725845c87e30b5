"""Bodies of functions by the digest of their text, written to the store in batches."""

from __future__ import annotations

from reviewer.parse.dialect import Dialect, dialect_digest
from reviewer.parse.facts import Body
from reviewer.store import codec
from reviewer.store.factstore import Store

BATCH = 2_000
"""Bodies that are held back before they are written; one transaction each."""


class StoredBodies:
    """Looks a body up in the store, and keeps new ones until :meth:`flush`; programs of several trees may share one."""

    def __init__(self, store: Store, dialect: Dialect) -> None:
        self.store = store
        self.kind = codec.kind("body", dialect_digest(dialect))
        self._new: dict[str, Body] = {}
        self._read: dict[str, Body] = {}

    def get(self, key: str) -> Body | None:
        """The body, or None if there is none yet or the stored one cannot be read."""
        known = self._new.get(key) or self._read.get(key)
        if known is None:
            known = self._stored(key)
            if known is not None:
                if len(self._read) >= BATCH:
                    self._read.clear()
                self._read[key] = known
        return known

    def _stored(self, key: str) -> Body | None:
        data = self.store.memo_get(self.kind, key)
        if data is None:
            return None
        try:
            return codec.decode_body(data)
        except codec.DecodeError:
            return None

    def put(self, key: str, body: Body) -> None:
        self._new[key] = body
        if len(self._new) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what is held back."""
        if self._new:
            self.store.put_many(self.kind, [(key, codec.encode(body)) for key, body in self._new.items()])
            self._new = {}
