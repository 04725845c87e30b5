"""The index of words, and the bodies of a whole tree: what git would say, found once, and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from reviewer.data import fixtures_dir
from reviewer.parse.dialect import load_dialect
from reviewer.program.api.load import load_models
from reviewer.program.index import scope
from reviewer.program.index.scope import Definitions
from reviewer.program.views import fill
from reviewer.source.tree import Tree, open_tree
from reviewer.store.factstore import FactStore

WORDS = ["oom_lock", "oom_notify_list", "mutex_lock", "no_such_word", "notifier_call", "u"]


def silent(what: str, done: int, of: int) -> None:
    """No progress."""


@pytest.fixture
def store(tmp_path: Path) -> FactStore:
    return FactStore.open(tmp_path / "store")


@pytest.fixture
def linux(tmp_path: Path) -> Path:
    """A copy of a miniature kernel."""
    folder = tmp_path / "linux"
    shutil.copytree(fixtures_dir() / "oom", folder)
    return folder


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_index_says_what_grep_says(linux: Path, store: FactStore, jobs: int) -> None:
    Definitions(open_tree(str(linux)), store, None, jobs).build(silent)
    indexed = Definitions(open_tree(str(linux)), store)
    for word in WORDS:
        found = subprocess.run(
            ["grep", "-rlwF", "--include=*.[ch]", word, "."], cwd=linux, capture_output=True, text=True, check=False
        ).stdout.split()
        assert list(indexed.files_mentioning([word])[word]) == sorted(f.removeprefix("./") for f in found)
        inside = [f for f in sorted(f.removeprefix("./") for f in found) if f.startswith("mm/")]
        assert list(indexed.files_mentioning([word], ["mm"])[word]) == inside


def test_only_what_changed_is_read_again(linux: Path, store: FactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in linux.rglob("*.[ch]"):  # an hour old, so that no change can hide within a tick of the clock
        os.utime(file, (time.time() - 3600,) * 2)
    time.sleep(0.05)
    Definitions(open_tree(str(linux)), store).build(silent)
    with (linux / "mm/oom_kill.c").open("a") as file:
        file.write("static int freshly_added;\n")
    asked: list[object] = []
    real = scope.read_words

    def watched(tree: Tree, jobs: int, files: Sequence[str] | None, report: None) -> tuple[list[str], dict[int, bytes]]:
        asked.append(files)
        return real(tree, jobs, files, report)

    monkeypatch.setattr(scope, "read_words", watched)
    after = Definitions(open_tree(str(linux)), store)
    assert after.files_mentioning(["freshly_added"])["freshly_added"] == ("mm/oom_kill.c",)
    assert "mm/oom_kill.c" in after.files_mentioning(["oom_lock"])["oom_lock"]
    assert asked in ([("mm/oom_kill.c",)], [])


@pytest.mark.parametrize("jobs", [1, 2])
def test_bodies_are_made_once(linux: Path, store: FactStore, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    models, dialect = load_models(), load_dialect()
    fill.fill_tree(open_tree(str(linux)), store, models, dialect, jobs, silent)
    bodies = store.stats()["body"]
    assert bodies > 20

    # Another folder with the same contents: a file that was seen is not parsed again.
    shutil.copytree(linux, linux.parent / "clone")
    monkeypatch.setattr(fill, "made", lambda *_: pytest.fail("parsed again"))
    fill.fill_tree(open_tree(str(linux.parent / "clone")), store, models, dialect, 1, silent)
    assert store.stats()["body"] == bodies


def test_an_interrupted_fill_goes_on(linux: Path, store: FactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    models, dialect = load_models(), load_dialect()
    monkeypatch.setattr(fill, "BATCH", 3)

    def stop(what: str, done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill.fill_tree(open_tree(str(linux)), store, models, dialect, 1, stop)
    first = store.stats().get("filled", 0)
    assert first
    fill.fill_tree(open_tree(str(linux)), store, models, dialect, 1, silent)
    assert store.stats()["filled"] > first
