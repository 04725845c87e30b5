"""Which commit a series was made for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tinydiff import series

from reviewer.errors import InputError
from reviewer.source.basecommit import BaseCommit, find_base, first_blobs
from reviewer.source.patch import Series
from reviewer.source.scratch import Scratch

RunGit = Callable[..., str]


def write(repository: Path, git: RunGit, message: str, **files: str) -> str:
    for name, content in files.items():
        (repository / f"{name}.c").write_text(content)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", message)
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def history(tmp_path: Path, git: RunGit) -> tuple[Path, dict[str, str]]:
    """A repository and its commits: a, b, side (merged into m), c, d; each changes a file of its own and some share one."""
    folder = tmp_path / "history"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    ids = {"a": write(folder, git, "a", one="1\n", two="1\n")}
    ids["b"] = write(folder, git, "b", one="2\n")
    git(folder, "checkout", "-q", "-b", "side")
    ids["side"] = write(folder, git, "side", two="side\n")
    git(folder, "checkout", "-q", "main")
    ids["b2"] = write(folder, git, "b2", three="1\n")
    git(folder, "merge", "-q", "--no-ff", "-m", "m", "side")
    ids["m"] = git(folder, "rev-parse", "HEAD")
    ids["c"] = write(folder, git, "c", one="3\n")
    ids["d"] = write(folder, git, "d", two="4\n", four="1\n")
    return folder, ids


def made_on(repository: Path, git: RunGit, base: str, *steps: dict[str, str], options: tuple[str, ...] = ()) -> Series:
    """A series that was made on ``base``, one patch for each step."""
    git(repository, "checkout", "-q", "--detach", base)
    diffs = []
    for step in steps:
        write(repository, git, "patch", **step)
        diffs.append(git(repository, "diff", *options, "HEAD~", "HEAD").encode() + b"\n")
    git(repository, "checkout", "-q", "main")
    return series(*diffs)


def find(repository: Path, wanted: Series, given: str | None = None, branch: str = "HEAD", **more: int) -> BaseCommit:
    with Scratch(repository) as scratch:
        return find_base(scratch, wanted, given, branch, **more)


@pytest.mark.parametrize(
    ("base", "steps", "expected"),
    [
        ("d", [{"one": "x\n"}], "d"),
        ("c", [{"one": "x\n"}], "d"),  # the tip still has this content
        ("c", [{"two": "x\n"}], "c"),
        ("m", [{"one": "x\n", "two": "y\n"}], "m"),
        ("b", [{"one": "x\n", "two": "y\n"}], "b2"),  # m brought in the side; b2 changed neither
        ("a", [{"one": "x\n"}], "a"),
        ("c", [{"two": "x\n"}, {"two": "y\n", "one": "z\n"}], "c"),
        ("b", [{"one": "x\n"}, {"two": "y\n"}], "b2"),  # the second patch names what lies below the first
        ("c", [{"four": "new\n"}], "c"),  # d already has the file
        ("b", [{"three": "new\n"}, {"three": "newer\n"}], "b"),
    ],
)
@pytest.mark.parametrize("options", [("--full-index",), ("--abbrev=7",)])
def test_the_newest_commit_with_the_contents(
    history: tuple[Path, dict[str, str]],
    git: RunGit,
    base: str,
    steps: list[dict[str, str]],
    expected: str,
    options: tuple[str, ...],
) -> None:
    repository, ids = history
    wanted = made_on(repository, git, ids[base], *steps, options=options)
    with Scratch(repository) as scratch:
        found = find_base(scratch, wanted)
        assert found.commit == ids[expected], found.reason
        assert found.tree == git(repository, "rev-parse", f"{found.commit}^{{tree}}")
        assert scratch.apply(found.tree, wanted)[0].notes == ()
    assert ("the newest commit of HEAD" in found.reason) == (expected != "d") and not found.notes


def test_order_of_choice(history: tuple[Path, dict[str, str]], git: RunGit) -> None:
    repository, ids = history
    wanted = made_on(repository, git, ids["a"], {"one": "x\n"})
    trailer = replace(wanted, base_commit=ids["side"])
    assert find(repository, trailer, given="main~2").commit == ids["m"]
    assert find(repository, trailer, given="main~2").reason == "base main~2 as given"
    found = find(repository, trailer)
    assert found.commit == ids["side"] and found.reason.endswith("from the series' base-commit line")
    absent = find(repository, replace(wanted, base_commit="1" * 40))
    assert absent.commit == ids["a"] and absent.notes == ("base-commit 111111111111 is not in this repository",)
    named = find(repository, replace(wanted, base_commit="main"))
    assert named.commit == ids["a"] and len(named.notes) == 1


def test_a_tree_can_be_given(history: tuple[Path, dict[str, str]], git: RunGit) -> None:
    repository, _ = history
    tree = git(repository, "rev-parse", "main~1^{tree}")
    found = find(repository, series(), given=tree)
    assert (found.commit, found.tree) == (tree, tree)


def test_another_branch(history: tuple[Path, dict[str, str]], git: RunGit) -> None:
    repository, ids = history
    wanted = made_on(repository, git, ids["side"], {"two": "x\n"})
    assert find(repository, wanted, branch="side").commit == ids["side"]
    assert "base side" in find(repository, wanted, branch="side").reason


def test_for_want_of_a_better_one(history: tuple[Path, dict[str, str]], git: RunGit) -> None:
    repository, ids = history
    wanted = made_on(repository, git, ids["a"], {"one": "x\n"})
    short = find(repository, wanted, history=3)
    assert short.commit == ids["d"] and short.reason.endswith("for want of a better one")
    assert short.notes == ("no commit among the last 3 of HEAD has the contents that the series was made for",)
    strange = made_on(repository, git, ids["a"], {"one": "x\n"})
    change = replace(strange.patches[0].files[0], old_blob="1234567")
    strange = replace(strange, patches=(replace(strange.patches[0], files=(change,)),))
    found = find(repository, strange)
    assert found.commit == ids["d"]
    assert found.notes == ("the content of one.c that the series was made for is not in this repository",)
    silent = replace(change, old_blob="", new_blob="")
    found = find(repository, replace(strange, patches=(replace(strange.patches[0], files=(silent,)),)))
    assert found.commit == ids["d"] and "does not say which contents" in found.reason


def test_clones(history: tuple[Path, dict[str, str]], git: RunGit, tmp_path: Path) -> None:
    repository, ids = history
    wanted = made_on(repository, git, ids["a"], {"one": "x\n"})
    git(repository, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare")
    git(tmp_path, "clone", "-q", "--depth=3", f"file://{repository}", "shallow")
    git(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", f"file://{repository}", "partial")
    git(tmp_path, "clone", "-q", "--bare", "--filter=tree:0", f"file://{repository}", "treeless")
    assert find(tmp_path / "bare", wanted).commit == ids["a"]
    assert find(tmp_path / "partial", wanted).commit == ids["a"]
    assert find(tmp_path / "shallow", wanted).commit == ids["d"]
    assert find(tmp_path / "shallow", made_on(repository, git, ids["c"], {"two": "x\n"})).commit == ids["c"]
    with pytest.raises(InputError):
        find(tmp_path / "treeless", wanted)


def test_no_such_revision(history: tuple[Path, dict[str, str]], tmp_path: Path, git: RunGit) -> None:
    repository, _ = history
    for name in ("nope", "--all", "main:one.c^{commit}"):
        with pytest.raises(InputError, match="no revision"):
            find(repository, series(), given=name)
    git(tmp_path, "init", "-q", "empty")
    with pytest.raises(InputError, match="no commit at HEAD"):
        find(tmp_path / "empty", series())


def test_many_commits(tmp_path: Path, git: RunGit) -> None:
    """More than fit into one question to git."""
    git(tmp_path, "init", "-q", "-b", "main", "long")
    repository = tmp_path / "long"
    stream = "".join(
        f"commit refs/heads/main\ncommitter a <a@b> {n + 1} +0000\ndata 0\nM 100644 inline f{n % 2}.c\ndata {len(str(n))}\n{n}\n"
        for n in range(1500)
    )
    subprocess.run(["git", "-C", str(repository), "fast-import", "--quiet"], input=stream.encode(), check=True)
    blobs = [git(repository, "rev-parse", f"main~1300:f{n}.c") for n in (0, 1)]
    diff = "".join(
        f"diff --git a/f{n}.c b/f{n}.c\nindex {blob}..1234567 100644\n--- a/f{n}.c\n+++ b/f{n}.c\n@@ -1 +1 @@\n-1\n+2\n"
        for n, blob in enumerate(blobs)
    )
    assert find(repository, series(diff.encode())).commit == git(repository, "rev-parse", "main~1300")


def test_first_blobs() -> None:
    head = b"diff --git a/%s b/%s\n"
    one = head % (b"a.c", b"b.c") + b"rename from a.c\nrename to b.c\nindex aaaaaaa..bbbbbbb 100644\n"
    one += head % (b"c.c", b"c.c") + b"old mode 100644\nnew mode 100755\n"
    two = head % (b"b.c", b"b.c") + b"index bbbbbbb..ccccccc 100644\n"
    two += head % (b"n.c", b"n.c") + b"new file mode 100644\nindex 0000000..ddddddd\n"
    three = head % (b"n.c", b"n.c") + b"index ddddddd..eeeeeee 100644\n" + head % (b"c.c", b"c.c") + b"index fffffff..1111111\n"
    assert first_blobs(series(one, two, three)) == {"a.c": "aaaaaaa", "n.c": ""}
