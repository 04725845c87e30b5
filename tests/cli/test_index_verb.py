"""``reviewer index`` where things go wrong: two at once, no room, no right to write, files that change, very many files."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reviewer.source.disk import _DiskTree
from reviewer.store.factstore import FILE_NAME
from reviewer.store.packed import unpack

if TYPE_CHECKING:
    from conftest import Outcome

    Run = Callable[..., Outcome]
    Says = Callable[..., None]
    Facts = dict[tuple[str, str], bytes]

SCAN = ("scan", "--format", "json", "--fail-on", "never")

MANY = 100_000


ANSWERS = frozenset({"answer", "findings", "part", "trace"})
"""Kinds of what was made of facts."""


def facts(store: Path) -> Facts:
    """All that a whole store has, by kind and key; answers left out, which tell how long they took."""
    with contextlib.closing(sqlite3.connect(store / FILE_NAME)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = db.execute("SELECT name, key, value FROM fact JOIN kind ON kind.id = kind").fetchall()
    return {(name, key): unpack(value) for name, key, value in rows if name.partition("@")[0] not in ANSWERS}


def findings(outcome: Outcome) -> list[dict[str, Any]]:
    assert outcome.code == 0 and outcome.err == "", outcome
    found: list[dict[str, Any]] = json.loads(outcome.out)["findings"]
    return found


@pytest.fixture
def old(kernel: Path) -> Path:
    """The kernel, an hour old: no change of it can hide within a tick of the clock, so its facts are found again."""
    for file in kernel.rglob("*.[ch]"):
        os.utime(file, (time.time() - 3600,) * 2)
    time.sleep(0.05)
    return kernel


@pytest.fixture
def expected(real: Run, old: Path, tmp_path: Path) -> Callable[[str], Facts]:
    """What an index of the kernel is by so many processes; they number the files, each in its way."""

    def indexed(jobs: str) -> Facts:
        store = tmp_path / f"expected{jobs}"
        assert real("index", old, "--store", store, "--jobs", jobs).code == 0
        return facts(store)

    return indexed


def test_several_at_once(old: Path, tmp_path: Path, expected: Callable[[str], Facts]) -> None:
    from running import COMMAND, environment

    command = [*COMMAND, "index", str(old), "--store", str(tmp_path / "store"), "--jobs", "2"]
    runs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path / "cache"))
        for _ in range(4)
    ]
    for run in runs:
        out, err = run.communicate(timeout=60)
        assert (run.returncode, err) == (0, b"") and out
    assert facts(tmp_path / "store") == expected("2")


# --- no room ----------------------------------------------------------------------------------------

ROOM = 2 << 20
"""Bytes that hold the index of definitions, but not that of words with it."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A file system with room for so many bytes; one that is there grows to that size."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def sized(room: int) -> Path:
        how = f"{'remount,' if folder.is_mount() else ''}size={room}"
        if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", how, "tmpfs", str(folder)], check=False).returncode:
            pytest.skip("cannot mount a small file system")
        return folder

    yield sized
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a worker may be on its way out


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_disk_without_room(
    real: Run, says: Says, old: Path, disk: Callable[[int], Path], expected: Callable[[str], Facts], jobs: str
) -> None:
    store = disk(64 << 10) / "store"
    outcome = real("index", old, "--store", store, "--jobs", jobs)
    says(outcome, 2, str(store), "has no room left on its disk; try again when that is mended")
    assert outcome.out == ""

    disk(ROOM)
    says(real("index", old, "--store", store, "--jobs", jobs), 2, "has no room left on its disk")
    kept = facts(store)
    assert kept and kept.items() <= expected(jobs).items()

    disk(ROOM << 5)
    assert real("index", old, "--store", store, "--jobs", jobs).code == 0
    assert facts(store) == expected(jobs)


def test_a_limit_for_files(old: Path, tmp_path: Path, expected: Callable[[str], Facts]) -> None:
    """A quota, more or less: the disk has room, and a write fails all the same."""
    from running import COMMAND, environment

    store = tmp_path / "store"
    command = [*COMMAND, "index", str(old), "--store", str(store), "--jobs", "1"]

    def index(room: int) -> tuple[int, str]:
        done = subprocess.run(
            command, env=environment(tmp_path / "cache"), capture_output=True, text=True, timeout=60, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
        )  # fmt: skip
        return done.returncode, done.stderr

    code, err = index(ROOM)
    assert code == 2 and err.count("\n") == 1 and f"the fact store {store} cannot be used" in err
    kept = facts(store)
    assert kept and kept.items() < expected("1").items()
    assert index(ROOM << 5) == (0, "")
    assert facts(store) == expected("1")


# --- no right to write, another release -------------------------------------------------------------


def test_a_read_only_store(process: Run, says: Says, old: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert process("index", old, "--store", store).code == 0
    before = facts(store)
    subprocess.run(["chmod", "-R", "a-w", str(store)], check=True)
    try:
        outcome = process("index", old, "--store", store)
        assert (outcome.code, outcome.err) == (0, ""), "all is there, so there is nothing to complain about"
        (old / "mm/new.c").write_text("void new_one(void)\n{\n\tmutex_lock(&oom_lock);\n}\n")
        says(process("index", old, "--store", store), 2, f"the fact store {store} is read-only")
        says(process("store", "gc", "--store", store), 2, f"the fact store {store} is read-only")
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(store)], check=True)
    assert facts(store) == before


def test_a_store_that_cannot_be_made(process: Run, says: Says, old: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    outcome = process("index", old, "--store", tmp_path / "closed" / "store")
    says(outcome, 2, "cannot be made (Permission denied); try again when that is mended")


def test_the_file_of_another_release(real: Run, says: Says, old: Path, tmp_path: Path, expected: Callable[[str], Facts]) -> None:
    store = tmp_path / "store"
    real("index", old, "--store", store, "--jobs", "1")
    with contextlib.closing(sqlite3.connect(store / FILE_NAME)) as db:
        db.execute("PRAGMA user_version = 99")
    says(real("index", old, "--store", store, "--jobs", "1"), 0, "schema 99", "starting a fresh one")
    assert (store / f"{FILE_NAME}.broken").exists()
    assert facts(store) == expected("1")


# --- files that change ------------------------------------------------------------------------------

CHANGED = "mm/oom_kill.c"

ADDED = """
void freshly_added(void)
{
	spin_lock(&fresh_lock);
	msleep(1);
	spin_unlock(&fresh_lock);
}
"""


def add(file: Path) -> None:
    with file.open("a") as text:
        text.write(ADDED)


def cut(file: Path) -> None:
    """The first half of the file, as an editor leaves it that has not written the rest yet."""
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize("change", [add, cut, Path.unlink])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_file_that_changes_while_it_is_read(
    real: Run, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], when: str
) -> None:
    """Whichever state that run has seen, the next one sees what is there."""
    store, read, met = tmp_path / "store", _DiskTree.read, []

    def changing(self: _DiskTree, path: str) -> bytes:
        if path != CHANGED or met:
            return read(self, path)
        met.append(path)
        if when == "before":
            change(old / CHANGED)
            return read(self, path)
        text = read(self, path)
        change(old / CHANGED)
        return text

    monkeypatch.setattr(_DiskTree, "read", changing)
    first = real("index", old, "--store", store, "--jobs", "1")
    assert met and first.err == ""
    assert first.code == (3 if change is Path.unlink else 0), "a file that went away was not read"
    monkeypatch.undo()

    wanted = real("scan", old, "--all", "--format", "json", "--fail-on", "never", "--no-store")
    assert ("freshly_added" in wanted.out) == (change is add)
    again = real("index", old, "--store", store, "--jobs", "1")
    assert (again.code, again.err) == (0, "")
    assert findings(real("scan", old, "--all", "--format", "json", "--fail-on", "never", "--store", store)) == findings(wanted)


@pytest.mark.slow
def test_very_many_files_in_one_folder(real: Run, old: Path, tmp_path: Path) -> None:
    """More than a command line holds, and than a process may open."""
    shutil.rmtree(old / ".git")
    wanted = findings(real(*SCAN, old, "--no-store"))
    assert wanted
    (old / "many").mkdir()
    for n in range(MANY):
        (old / f"many/pump{n}.c").write_bytes(b"int pump%d(void) { return %d; }\n" % (n, n))
    store = tmp_path / "store"
    indexed = real("index", old, "--store", store, "--format", "json")
    assert (indexed.code, indexed.err) == (0, "")
    assert json.loads(indexed.out)["stats"]["files"] > MANY
    assert findings(real(*SCAN, old, "--store", store)) == wanted
    context = real("context", "pump77777", old, "--store", store, "--format", "json")
    assert "many/pump77777.c" in context.out
