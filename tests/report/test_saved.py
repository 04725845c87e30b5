"""Findings of earlier scans in the store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from reviewer.checks.finding import Finding
from reviewer.checks.result import ScanResult
from reviewer.report import saved
from reviewer.store.factstore import FactStore


def test_a_finding_comes_back_as_it_was(
    result: ScanResult, make_finding: Callable[..., Finding], tmp_path: Path
) -> None:
    odd = make_finding(
        fingerprint="f" * 16, confidence="low", message=b"\xff".decode("utf-8", "surrogateescape")
    )
    store = FactStore.open(tmp_path)
    saved.save(store, msgspec.structs.replace(result, findings=(*result.findings, odd)))
    assert saved.load(store, "0123456789abcdef") == saved.SavedFinding("linux", "f" * 40, result.findings[0])
    assert saved.load(store, "f" * 16) == saved.SavedFinding("linux", "f" * 40, odd)


def test_what_is_not_there_or_not_readable_is_none(tmp_path: Path) -> None:
    store = FactStore.open(tmp_path)
    assert saved.load(store, "0" * 16) is None
    store.memo_put(saved.KIND, "0" * 16, b"\x93garbage")
    assert saved.load(store, "0" * 16) is None
    store.memo_put(saved.KIND, "0" * 16, b'{"tree_path": "t", "rev": null, "finding": {"rule": "x"}}')
    assert saved.load(store, "0" * 16) is None
