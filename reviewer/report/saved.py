"""The findings of earlier scans, kept in the fact store for ``explain FINGERPRINT``.

One memo of kind ``findings`` per fingerprint, the newest scan's: :class:`SavedFinding` as JSON in ASCII. It is
written by the standard library: a file name that is no UTF-8 has lone surrogates, which msgspec refuses.
"""

from __future__ import annotations

import json
from typing import Protocol

import msgspec

from reviewer.checks.finding import Finding
from reviewer.checks.result import ScanResult

KIND = "findings"


class Memos(Protocol):
    """What is needed of a fact store."""

    def memo_get(self, kind: str, key: str) -> bytes | None: ...
    def memo_put(self, kind: str, key: str, value: bytes) -> None: ...


class SavedFinding(msgspec.Struct, frozen=True):
    """A finding and where it was found."""

    tree_path: str
    rev: str | None
    finding: Finding


def save(store: Memos, result: ScanResult) -> None:
    """Keeps every finding of a scan, those of low confidence included."""
    for finding in result.findings:
        value = SavedFinding(result.tree_path, result.rev, finding)
        store.memo_put(KIND, finding.fingerprint, json.dumps(msgspec.to_builtins(value)).encode("ascii"))


def load(store: Memos, fingerprint: str) -> SavedFinding | None:
    """The finding with that fingerprint; None if no scan kept it, or another release wrote it differently."""
    value = store.memo_get(KIND, fingerprint)
    if value is None:
        return None
    try:
        return msgspec.convert(json.loads(value), SavedFinding)
    except (ValueError, msgspec.ValidationError):
        return None
