"""The findings of earlier scans, kept in the fact store for ``explain FINGERPRINT``.

One memo of kind ``findings`` per fingerprint, the newest scan's: :class:`SavedFinding` as JSON in ASCII,
written by the standard library: a file name that is no UTF-8 has lone surrogates, which msgspec refuses.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec

from reviewer.checks.finding import Finding
from reviewer.checks.result import ScanResult
from reviewer.store.factstore import Store

KIND = "findings"


class SavedFinding(msgspec.Struct, frozen=True):
    """A finding and where it was found."""

    tree_path: str
    rev: str | None
    finding: Finding


def save(store: Store, result: ScanResult) -> None:
    """Keeps every finding of a scan, those of low confidence included."""
    save_all(store, result.tree_path, result.rev, result.findings)


def save_all(store: Store, tree_path: str, rev: str | None, findings: Iterable[Finding]) -> None:
    """Keeps findings of one tree."""
    found = ((f.fingerprint, SavedFinding(tree_path, rev, f)) for f in findings)
    store.put_many(KIND, ((key, json.dumps(msgspec.to_builtins(one)).encode("ascii")) for key, one in found))


def load(store: Store, fingerprint: str) -> SavedFinding | None:
    """The finding with that fingerprint; None if no scan kept it, or another release wrote it differently."""
    value = store.memo_get(KIND, fingerprint)
    if value is None:
        return None
    try:
        return msgspec.convert(json.loads(value), SavedFinding)
    except (ValueError, msgspec.ValidationError):
        return None
