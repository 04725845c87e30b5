"""Earlier states of files on disk: read from git's index, where that has them."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from reviewer.source.tree import Tree, open_tree


def git(folder: Path, *arguments: str) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | {"GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(["git", "-C", str(folder), *arguments], env=environment, check=True, capture_output=True)


def settle(file: Path) -> None:
    """Its last change lies before the index was written."""
    then = time.time() - 60
    os.utime(file, (then, then))


@pytest.fixture
def linux(tmp_path: Path) -> Path:
    folder = tmp_path / "linux"
    folder.mkdir()
    git(tmp_path, "init", "-q", str(folder))
    for name in ("a.c", "b.c", "c d.h"):
        (folder / name).write_text(f"int {name[0]};\n")
        settle(folder / name)
    git(folder, "add", "-A")
    return folder


def opened(folder: Path) -> Tree:
    return open_tree(str(folder), None)


def test_what_was_added_can_be_read_when_it_has_changed(linux: Path) -> None:
    before = opened(linux)
    identity, contents = before.identity(), before.contents()
    (linux / "a.c").write_text("int other;\n")
    (linux / "c d.h").unlink()
    (linux / "new.c").write_text("int new;\n")
    found = opened(linux).read_at(identity, ["a.c", "c d.h", "new.c"], contents)
    assert found == {"a.c": b"int a;\n", "c d.h": b"int c;\n"}


@pytest.mark.parametrize("how", ["edited", "not added", "as late as the index"])
def test_what_the_index_has_otherwise_is_not_told(linux: Path, how: str) -> None:
    name = "u.c" if how == "not added" else "a.c"
    if how != "as late as the index":
        (linux / name).write_text("int mine;\n")
    else:
        late = time.time() + 60
        os.utime(linux / name, (late, late))
        git(linux, "add", "-A")
    before = opened(linux)
    contents = before.contents()
    assert before.read_at(before.identity(), [name], contents) is None
    assert before.read_at(before.identity(), ["b.c"], contents) == {"b.c": b"int b;\n"}


def test_no_filter_is_run(linux: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (linux / ".gitattributes").write_text("*.c filter=odd\n")
    git(linux, "config", "filter.odd.clean", f"touch {mark}; cat")
    git(linux, "config", "filter.odd.smudge", f"touch {mark}; cat")
    os.utime(linux / "a.c")
    before = opened(linux)
    contents = before.contents()
    before.read_at(before.identity(), ["b.c"], contents)
    assert contents and not mark.exists()


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int a;\n")
    tree = opened(tmp_path)
    assert tree.contents() == b""
    assert tree.read_at(tree.identity(), ["a.c"], b"") is None
