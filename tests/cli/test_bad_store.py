"""A fact store in every bad state: the answer is the same, one line says what is lost, and nobody else's file suffers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reviewer.store import factstore
from reviewer.store.factstore import FILE_NAME, FactStore
from reviewer.store.packed import pack

if TYPE_CHECKING:
    from conftest import Outcome

    Run = Callable[..., Outcome]
    Says = Callable[..., None]

SCAN = ("scan", "--format", "json", "--fail-on", "never")


def answer(outcome: Outcome) -> dict[str, Any]:
    """The report without what may differ from run to run."""
    found: dict[str, Any] = json.loads(outcome.out)
    del found["stats"]
    return found


@pytest.fixture
def expected(real: Run, kernel: Path) -> dict[str, Any]:
    found = answer(real(*SCAN, kernel, "--no-store"))
    assert found["findings"]
    return found


def is_whole(store: Path) -> bool:
    with contextlib.closing(sqlite3.connect(store / FILE_NAME)) as db:
        return bool(db.execute("PRAGMA integrity_check").fetchone()[0] == "ok")


# --- damaged --------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["garbage", "empty", "cut", "overwritten", "another schema", "no tables"])
def test_a_corrupt_store(real: Run, kernel: Path, tmp_path: Path, expected: dict[str, Any], damage: str) -> None:
    store = tmp_path / "store"
    real(*SCAN, kernel, "--store", store)
    file = store / FILE_NAME
    if damage == "garbage":
        file.write_bytes(os.urandom(100_000))
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "cut":
        os.truncate(file, file.stat().st_size // 2)
    elif damage == "overwritten":
        data = file.read_bytes()
        file.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    else:
        with contextlib.closing(sqlite3.connect(file)) as db:
            if damage == "another schema":
                db.execute("PRAGMA user_version = 99")
            else:
                db.execute("DROP TABLE fact")
                db.commit()
    outcome = real(*SCAN, kernel, "--store", store)
    assert (outcome.code, answer(outcome)) == (0, expected)
    lines = outcome.err.splitlines()
    if damage == "empty":
        assert lines == []
    else:
        assert len(lines) == 1 and lines[0].startswith("reviewer: fact store ") and "starting a fresh one" in lines[0], lines
        assert (store / f"{FILE_NAME}.broken").exists(), "the damaged file is kept for whoever wants it"
    again = real(*SCAN, kernel, "--store", store)
    assert (again.code, again.err, answer(again)) == (0, "", expected)
    assert is_whole(store)


def test_a_value_that_is_garbage(real: Run, kernel: Path, tmp_path: Path, expected: dict[str, Any]) -> None:
    store = tmp_path / "store"
    real(*SCAN, kernel, "--store", store)
    with contextlib.closing(sqlite3.connect(store / FILE_NAME)) as db:
        db.execute("UPDATE fact SET value = CAST(substr(value, 1, 4) || x'72c1ff00ff' AS BLOB)")
        db.commit()
    outcome = real(*SCAN, kernel, "--store", store)
    assert (outcome.code, answer(outcome)) == (0, expected)
    assert outcome.err.count("\n") == 1 and "does not fit its checksum" in outcome.err


def test_the_store_of_another_release_is_left_alone(
    real: Run, kernel: Path, tmp_path: Path, expected: dict[str, Any]
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    other = store / "facts-99.sqlite3"
    other.write_bytes(b"what a later release wrote")
    outcome = real(*SCAN, kernel, "--store", store)
    assert (outcome.code, outcome.err, answer(outcome)) == (0, "", expected)
    assert other.read_bytes() == b"what a later release wrote"


def test_facts_of_another_extractor_are_not_used(
    real: Run, kernel: Path, tmp_path: Path, expected: dict[str, Any]
) -> None:
    store = tmp_path / "store"
    real(*SCAN, kernel, "--store", store)
    with contextlib.closing(sqlite3.connect(store / FILE_NAME)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM kind")]
        assert any("@" in name for name in names)
        db.execute("UPDATE fact SET value = ? WHERE kind IN (SELECT id FROM kind WHERE name LIKE '%@%')", [pack(b"\xc0")])
        db.execute("UPDATE kind SET name = replace(name, '@', '@0123456789ab') WHERE name LIKE '%@%'")
        db.commit()
    outcome = real(*SCAN, kernel, "--store", store)
    assert (outcome.code, answer(outcome)) == (0, expected)


# --- not to be written ----------------------------------------------------------------------------


def test_a_store_that_another_process_holds(
    real: Run, says: Says, kernel: Path, tmp_path: Path, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    FactStore.open(store).close()
    monkeypatch.setattr(factstore, "LOCK_SECONDS", 0.1)
    with contextlib.closing(sqlite3.connect(store / FILE_NAME, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        outcome = real(*SCAN, kernel, "--store", store)
        db.execute("ROLLBACK")
    says(outcome, 0, str(store), "is locked by another process, so nothing new is kept")
    assert answer(outcome) == expected
    assert real(*SCAN, kernel, "--store", store).err == ""


def test_two_scans_at_once(kernel: Path, tmp_path: Path, expected: dict[str, Any]) -> None:
    from running import COMMAND, environment

    command = [*COMMAND, *SCAN, str(kernel), "--store", str(tmp_path / "store")]
    runs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path / "cache"))
        for _ in range(3)
    ]
    for run in runs:
        out, err = run.communicate(timeout=60)
        assert (run.returncode, err) == (0, b"")
        found = json.loads(out)
        del found["stats"]
        assert found == expected
    assert is_whole(tmp_path / "store")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("cannot mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(real: Run, says: Says, kernel: Path, small_disk: Path, expected: dict[str, Any]) -> None:
    outcome = real(*SCAN, kernel, "--store", small_disk / "store")
    says(outcome, 0, "has no room left on its disk, so nothing new is kept")
    assert answer(outcome) == expected
    again = real(*SCAN, kernel, "--store", small_disk / "store")
    assert (again.code, answer(again)) == (0, expected)


def test_a_disk_that_fills_up(
    real: Run, says: Says, kernel: Path, tmp_path: Path, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(db: sqlite3.Connection) -> None:
        size = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {size + 2}")  # SQLite's own SQLITE_FULL

    opened = FactStore._opened

    def small(self: FactStore, lock_seconds: float) -> sqlite3.Connection:
        db = opened(self, lock_seconds)
        full(db)
        return db

    monkeypatch.setattr(FactStore, "_opened", small)
    outcome = real(*SCAN, kernel, "--store", tmp_path / "store")
    says(outcome, 0, "has no room left on its disk, so nothing new is kept")
    assert answer(outcome) == expected
    assert is_whole(tmp_path / "store")


@pytest.fixture
def closed() -> Iterator[Callable[[Path], None]]:
    """Takes the right to write away from a folder and all in it, until the test is over."""
    done: list[Path] = []

    def close(folder: Path) -> None:
        done.append(folder)
        subprocess.run(["chmod", "-R", "a-w", str(folder)], check=True)

    yield close
    for folder in done:
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)


def test_a_read_only_store_is_read(process: Run, kernel: Path, tmp_path: Path, closed: Callable[[Path], None]) -> None:
    store = tmp_path / "store"
    first = process(*SCAN, kernel, "--store", store)
    assert (first.code, first.err) == (0, "")
    (kernel / "mm/new.c").write_text("int new_file;\n")  # so that there is something to keep
    closed(store)
    before = {p: p.read_bytes() for p in store.iterdir()}
    second = process(*SCAN, kernel, "--store", store)
    assert second.code == 0
    assert second.err.count("\n") == 1 and "is read-only, so nothing new is kept" in second.err
    assert answer(second) == answer(first)
    assert {p: p.read_bytes() for p in store.iterdir()} == before


def test_a_store_that_cannot_be_made(process: Run, kernel: Path, tmp_path: Path, closed: Callable[[Path], None]) -> None:
    (tmp_path / "closed").mkdir()
    closed(tmp_path / "closed")
    outcome = process(*SCAN, kernel, "--store", tmp_path / "closed" / "store")
    assert outcome.code == 0
    assert outcome.err.count("\n") == 1 and "cannot be made (Permission denied), so nothing new is kept" in outcome.err
    assert answer(outcome)["findings"]


@pytest.mark.parametrize("extra", [[], ["--rev", "HEAD"]], ids=["on disk", "revision"])
def test_a_read_only_tree(
    process: Run, kernel: Path, closed: Callable[[Path], None], expected: dict[str, Any], extra: list[str]
) -> None:
    closed(kernel)
    outcome = process(*SCAN, kernel, *extra, "--no-store")
    assert (outcome.code, outcome.err) == (0, "")
    assert answer(outcome)["findings"] == expected["findings"]


def test_a_file_that_is_closed_to_us(process: Run, kernel: Path) -> None:
    path = "drivers/virtio/virtio_balloon.c"
    (kernel / path).chmod(0)
    outcome = process(*SCAN, kernel, "--no-store")
    assert (outcome.code, outcome.err) == (3, "")
    assert answer(outcome)["skipped"] == [{"file": path, "reason": "Permission denied"}]


def test_a_folder_that_is_closed_to_us(process: Run, kernel: Path) -> None:
    (kernel / "drivers/virtio").chmod(0)
    try:
        for plain in (False, True):
            if plain:
                shutil.rmtree(kernel / ".git")
            outcome = process(*SCAN, kernel, "--no-store")
            assert (outcome.code, outcome.err) == (3, "")
            assert all(one["file"].startswith("drivers/virtio") for one in answer(outcome)["skipped"])
    finally:
        (kernel / "drivers/virtio").chmod(0o755)


def test_a_repository_of_another_user(real: Run, says: Says, kernel: Path) -> None:
    """git refuses it; so do we, and say how to allow it."""
    if os.geteuid():
        pytest.skip("needs root to make a file of another user")
    for path in (kernel, *kernel.rglob("*")):
        os.chown(path, 1, 1, follow_symlinks=False)
    says(real("scan", kernel, "--no-store"), 2, "safe.directory")


def test_a_file_is_no_store(real: Run, says: Says, kernel: Path, tmp_path: Path) -> None:
    file = tmp_path / "thesis.txt"
    file.write_text("years of work")
    outcome = real("scan", kernel, "--store", file)
    says(outcome, 2, "thesis.txt: not a folder; name a folder for the facts")
    assert file.read_text() == "years of work"


# --- looking after it -----------------------------------------------------------------------------


def test_stats_and_gc(real: Run, kernel: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    real(*SCAN, kernel, "--store", store)
    stats = json.loads(real("store", "stats", "--store", store, "--format", "json").out)
    assert stats["path"] == str(store)
    assert stats["stats"]["bytes"] > 0 and sum(stats["stats"].values()) > stats["stats"]["bytes"]
    (store / "facts-0.sqlite3").write_bytes(b"x" * 50_000)
    freed = json.loads(real("store", "gc", "--store", store, "--format", "json").out)["freed_bytes"]
    assert freed >= 50_000 and not (store / "facts-0.sqlite3").exists()
    assert json.loads(real("store", "stats", "--store", store, "--format", "json").out)["stats"]["findings"]
    assert real("store", "gc", "--store", store, "--max-mb", "0").code == 0
    assert set(json.loads(real("store", "stats", "--store", store, "--format", "json").out)["stats"]) == {"bytes"}
    assert is_whole(store)


@pytest.mark.parametrize("verb", ["stats", "gc"])
def test_a_store_that_was_never_made(real: Run, tmp_path: Path, verb: str) -> None:
    outcome = real("store", verb, "--store", tmp_path / "store")
    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize("verb", ["stats", "gc"])
def test_a_locked_store_can_be_looked_at(
    real: Run, tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    FactStore.open(store).close()
    monkeypatch.setattr(factstore, "LOCK_SECONDS", 0.1)
    with contextlib.closing(sqlite3.connect(store / FILE_NAME, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        outcome = real("store", verb, "--store", store)
    assert outcome.code == (0 if verb == "stats" else 2), "a gc that has freed nothing must not look like one that has"
    assert outcome.err.count("\n") == (0 if verb == "stats" else 1)
