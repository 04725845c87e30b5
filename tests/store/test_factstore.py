"""Bytes by kind and key: kept, replaced, forgotten, all or nothing."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewer.errors import StoreError
from reviewer.store.factstore import FILE_NAME, FactStore, NullStore
from reviewer.store.packed import Damaged, pack, unpack


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FactStore]:
    with FactStore.open(tmp_path / "store") as opened:
        yield opened


def test_kept_over_a_restart(store: FactStore, tmp_path: Path) -> None:
    store.put_many("body@1", [("a", b"one"), ("b", b"two" * 1000)])
    store.memo_put("answer", "a", b"other")
    store.close()
    with FactStore.open(tmp_path / "store") as again:
        assert again.get_many("body@1", ["a", "b", "c"]) == {"a": b"one", "b": b"two" * 1000}
        assert again.memo_get("answer", "a") == b"other"
        assert again.memo_get("answer", "b") is None
        assert again.memo_get("nothing", "a") is None


def test_more_keys_than_a_query_takes(store: FactStore) -> None:
    rows = {f"key{n}": b"%d" % n for n in range(2_500)}
    store.put_many("body@1", rows.items())
    assert store.get_many("body@1", list(rows)) == rows


def test_half_a_batch_is_none(store: FactStore) -> None:
    def rows() -> Iterator[tuple[str, bytes]]:
        yield "a", b"one"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.put_many("body@1", rows())
    assert store.memo_get("body@1", "a") is None
    store.put_many("body@1", [("a", b"two")])
    assert store.memo_get("body@1", "a") == b"two"


def test_the_newest_are_kept(store: FactStore) -> None:
    for n in range(10):
        store.memo_put("answer", str(n), b"x")
    store.memo_put("answer", "3", b"again")
    store.memo_put("body@1", "0", b"x")
    store.forget("answer", 3)
    assert set(store.get_many("answer", [str(n) for n in range(10)])) == {"8", "9", "3"}
    assert store.memo_get("body@1", "0") == b"x"


def test_gc_drops_other_versions_then_the_oldest(store: FactStore) -> None:
    store.put_many("body@old-dialect", [("a", b"x" * 100)])
    store.put_many("body@new-dialect", [(str(n), bytes([n]) * 200) for n in range(20)])
    store.memo_put("answer", "a", b"kept: no version")
    store.gc(None, "new")
    assert store.memo_get("body@old-dialect", "a") is None
    assert store.memo_get("answer", "a") is not None
    assert len(store.get_many("body@new-dialect", [str(n) for n in range(20)])) == 20
    store.gc(1_000, "new")
    left = store.get_many("body@new-dialect", [str(n) for n in range(20)])
    assert left and set(left) == {str(n) for n in range(20 - len(left), 20)}


@given(st.binary(max_size=2_000), st.integers(0), st.integers(0, 7))
def test_a_flipped_bit_is_noticed(value: bytes, place: int, bit: int) -> None:
    packed = pack(value)
    assert unpack(packed) == value
    damaged = bytearray(packed)
    damaged[place % len(packed)] ^= 1 << bit
    with pytest.raises(Damaged):
        unpack(bytes(damaged))


def test_a_damaged_value_costs_the_file_not_the_run(store: FactStore, tmp_path: Path) -> None:
    store.put_many("body@1", [("a", b"one"), ("b", b"two")])
    store.close()
    db = sqlite3.connect(tmp_path / "store" / FILE_NAME)
    db.execute("UPDATE fact SET value = ? WHERE key = 'b'", [b"\0" * 8])
    db.commit()
    db.close()
    with FactStore.open(tmp_path / "store") as again:
        assert again.get_many("body@1", ["a", "b"]) == {}
        assert (tmp_path / "store" / f"{FILE_NAME}.broken").exists()
        again.memo_put("body@1", "a", b"new")
        assert again.memo_get("body@1", "a") == b"new"


def test_a_lock_is_waited_for_once(tmp_path: Path) -> None:
    FactStore.open(tmp_path / "store").close()
    other = sqlite3.connect(tmp_path / "store" / FILE_NAME, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    done = threading.Event()

    def use() -> None:
        with FactStore.open(tmp_path / "store", lock_seconds=0.2) as store:
            for n in range(1_000):
                assert store.memo_get("body@1", str(n)) is None
                store.memo_put("body@1", str(n), b"x")
            assert "locked" in store.trouble
        done.set()

    thread = threading.Thread(target=use, daemon=True)
    thread.start()
    assert done.wait(5)
    other.close()


def test_a_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="not a folder"):
        FactStore.open(tmp_path / "file")


def test_nothing_is_kept_by_the_null_store() -> None:
    store = NullStore()
    store.memo_put("body@1", "a", b"x")
    assert store.memo_get("body@1", "a") is None and store.get_many("body@1", ["a"]) == {}
