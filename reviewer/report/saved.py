"""The findings of earlier scans, kept in the fact store for ``explain FINGERPRINT``.

One memo of kind ``findings`` per fingerprint, the newest scan's: a msgpack array of :class:`SavedFinding`.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from reviewer.checks.finding import Finding
from reviewer.checks.result import ScanResult

KIND = "findings"


class Memos(Protocol):
    """What is needed of a fact store."""

    def memo_get(self, kind: str, key: str) -> bytes | None: ...
    def memo_put(self, kind: str, key: str, value: bytes) -> None: ...


class SavedFinding(msgspec.Struct, frozen=True, array_like=True):
    """A finding and where it was found."""

    tree_path: str
    rev: str | None
    finding: Finding


def save(store: Memos, result: ScanResult) -> None:
    """Keeps every finding of a scan, those of low confidence included."""
    for finding in result.findings:
        value = SavedFinding(result.tree_path, result.rev, finding)
        store.memo_put(KIND, finding.fingerprint, msgspec.msgpack.encode(value))


def load(store: Memos, fingerprint: str) -> SavedFinding | None:
    """The finding with that fingerprint; None if no scan kept it, or another release wrote it differently."""
    value = store.memo_get(KIND, fingerprint)
    if value is None:
        return None
    try:
        return msgspec.msgpack.decode(value, type=SavedFinding)
    except msgspec.DecodeError:  # ValidationError is one
        return None
