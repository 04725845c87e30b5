"""Answers that are kept: where their lines stand now, what opens again, and how many stay."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewer.checks import memo as memo_
from reviewer.checks.memo import Gone, Memo, Moves
from reviewer.parse.dialect import load_dialect
from reviewer.program.index.bases import Bases
from reviewer.program.index.trace import Trace
from reviewer.source.tree import open_tree
from reviewer.store.factstore import FactStore

lines = st.lists(st.sampled_from(["a", "b", "c", "d", "{", "}", ""]), max_size=14)


@given(lines, lines)
def test_a_line_that_has_moved_is_the_same_line(old: list[str], new: list[str]) -> None:
    moves = Moves("\n".join(old).encode(), "\n".join(new).encode())
    found = []
    for n, line in enumerate(old or [""], 1):
        try:
            at = moves.new(n)
        except Gone:
            continue
        assert (new or [""])[at - 1] == line
        found.append(at)
    assert found == sorted(set(found)), "in the same order, no two at one place"


@given(lines, st.integers(0, 14), lines)
def test_lines_around_an_insertion_are_all_found(old: list[str], at: int, more: list[str]) -> None:
    at = min(at, len(old))
    new = [*old[:at], *more, *old[at:]]
    moves = Moves("\n".join(old).encode(), "\n".join(new).encode())
    for n in range(1, len(old) + 1):
        assert new[moves.new(n) - 1] == old[n - 1]


def test_lines_that_are_gone() -> None:
    moves = Moves(b"a\nb\nc\n", b"a\nx\nc\n")
    assert [moves.new(1), moves.new(3)] == [1, 3]
    with pytest.raises(Gone):
        moves.new(2)


# --- a repository -----------------------------------------------------------------------------------


class Place(msgspec.Struct, frozen=True):
    file: str
    line: int
    fix: str | None = None


def git(folder: Path, *arguments: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(["git", "-C", str(folder), *arguments], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


TEXT = "int f(void)\n{\n\treturn 1;\n}\n\nint g(void)\n{\n\treturn 2;\n}\n"

Opened = Callable[[dict[str, str]], Memo]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """Commits files, and what is known of that commit; the store is one."""
    folder = tmp_path / "linux"
    folder.mkdir()
    git(folder, "init", "-q")
    store = FactStore.open(tmp_path / "store")

    def commit(files: dict[str, str]) -> Memo:
        for name, text in files.items():
            (folder / name).write_text(text)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "--allow-empty", "-m", "one")
        tree = open_tree(str(folder), "HEAD")
        return Memo(tree, store, load_dialect(), ["models"])

    return commit


def keep(memo: Memo, question: str, answer: object, trace: Trace, skipped: tuple[str, ...] = ()) -> None:
    memo.put(question, answer, trace, skipped)
    memo.flush()
    Bases(memo.tree, memo._store).remember()


G = Trace.of(files={"a.c"}, functions={("a.c", "g")})


def test_the_same_tree_and_question(opened: Opened) -> None:
    memo = opened({"a.c": TEXT})
    assert memo.get("which", Place) is None
    keep(memo, "which", Place("a.c", 8), G)
    assert memo.get("which", Place) == (Place("a.c", 8), G)
    assert memo.get("what", Place) is None
    assert Memo(memo.tree, memo._store, load_dialect(), ["other models"]).get("which", Place) is None


def test_nothing_is_kept_before_the_flush(opened: Opened) -> None:
    memo = opened({"a.c": TEXT})
    memo.put("which", Place("a.c", 8), G, ())
    assert memo.get("which", Place) is None
    memo.flush()
    assert memo.get("which", Place) is not None


def test_another_tree_in_which_lines_have_moved(opened: Opened) -> None:
    keep(opened({"a.c": TEXT}), "which", [Place("a.c", 8)], G)
    found = opened({"a.c": "/* more\n */\n" + TEXT.replace("return 1;", "return 3;")}).get("which", list[Place])
    assert found == ([Place("a.c", 10)], G)


def test_a_change_that_touches_the_answer(opened: Opened) -> None:
    keep(opened({"a.c": TEXT}), "which", Place("a.c", 3), G)
    assert opened({"a.c": TEXT.replace("return 2;", "return 3;")}).get("which", Place) is None


def test_a_line_that_is_not_as_it_was(opened: Opened) -> None:
    """No code differs, but the text of a proof does."""
    keep(opened({"a.c": TEXT}), "which", Place("a.c", 8), G)
    assert opened({"a.c": TEXT.replace("return 2;", "return 2; /* so */")}).get("which", Place) is None


def test_a_diff_is_not_moved(opened: Opened) -> None:
    keep(opened({"a.c": TEXT}), "which", Place("a.c", 8, "--- a/a.c"), G)
    assert opened({"a.c": "\n" + TEXT}).get("which", Place) is None
    assert opened({"a.c": TEXT, "b.c": "int b;\n"}).get("which", Place) is not None


def test_what_could_not_be_read_can_be_read_now(opened: Opened) -> None:
    memo = opened({"a.c": TEXT})
    keep(memo, "which", Place("a.c", 8), G, ("gone.c", "a.c"))
    assert memo.get("which", Place) is not None, "still not there; what was cut for its size stays so"
    assert opened({"gone.c": "int gone;\n"}).get("which", Place) is None


def test_files_on_disk_are_not_remembered(opened: Opened) -> None:
    memo = opened({"a.c": TEXT})
    disk = Memo(open_tree(memo.tree.path, None), memo._store, load_dialect(), ["models"])
    disk.put("which", Place("a.c", 8), G, ())
    disk.flush()
    assert disk.get("which", Place) is None


def test_too_many_files_differ(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(opened({"a.c": TEXT}), "which", Place("a.c", 8), G)
    monkeypatch.setattr(Memo, "max_changed", 1)
    assert opened({"b.c": "int b;\n"}).get("which", Place) is not None
    assert opened({"c.c": "int c;\n"}).get("which", Place) is None


def test_only_so_many_stay(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo_, "KEPT", 3)
    memo = opened({"a.c": TEXT})
    for n in range(6):
        keep(memo, f"which {n}", Place("a.c", n), G)
    assert [memo.get(f"which {n}", Place) is not None for n in range(6)] == [False] * 3 + [True] * 3
