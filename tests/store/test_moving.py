"""A store as one file, for another machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from reviewer.errors import StoreError
from reviewer.store.factstore import FactStore


def test_what_is_exported_comes_in(tmp_path: Path) -> None:
    with FactStore.open(tmp_path / "a") as a, FactStore.open(tmp_path / "b") as b:
        a.put_many("body@1", [("x", b"one"), ("y", b"two" * 500)])
        b.put_many("words", [("z", b"three")])
        b.put_many("body@1", [("x", b"mine")])
        a.export(tmp_path / "facts")
        assert b.take_in(tmp_path / "facts") == 1
        assert b.get_many("body@1", ["x", "y"]) == {"x": b"mine", "y": b"two" * 500}
        assert b.memo_get("words", "z") == b"three"
        assert not (tmp_path / "facts.part").exists()
    with FactStore.open(tmp_path / "b") as again:
        assert again.memo_get("body@1", "y") == b"two" * 500


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"x" * 5000])
def test_another_file_is_refused_and_nothing_is_lost(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other").write_bytes(content)
    with FactStore.open(tmp_path / "b") as b:
        b.put_many("words", [("z", b"three")])
        with pytest.raises(StoreError, match="not an exported fact store"):
            b.take_in(tmp_path / "other")
        assert b.memo_get("words", "z") == b"three"
        assert not b.trouble


def test_no_folder_to_write_to(tmp_path: Path) -> None:
    with FactStore.open(tmp_path / "a") as a, pytest.raises(StoreError, match="cannot be written"):
        a.export(tmp_path / "missing" / "facts")
