from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reviewer.errors import InputError, MissingContent
from reviewer.source.tree import DirectoryTree, RevisionTree, Tree, WorkTree, blob_id, open_tree

RunGit = Callable[..., str]
C_FILES = ["drivers/odd name.c", "include/demo.h", "mm/demo.c"]


@pytest.fixture(params=["directory", "work_tree", "bare"])
def any_tree(request: pytest.FixtureRequest) -> Tree:
    return open_tree(str(request.getfixturevalue(request.param)))


def test_kinds(directory: Path, work_tree: Path, bare: Path, git: RunGit) -> None:
    assert isinstance(open_tree(str(directory)), DirectoryTree)
    assert isinstance(open_tree(str(work_tree)), WorkTree)
    tree = open_tree(str(bare))
    assert isinstance(tree, RevisionTree)
    assert tree.rev == git(bare, "rev-parse", "HEAD")
    assert open_tree(str(work_tree)).rev is None
    assert open_tree(str(work_tree), "main").rev == git(work_tree, "rev-parse", "HEAD")


def test_all_kinds_answer_alike(any_tree: Tree) -> None:
    assert list(any_tree.paths()) == C_FILES
    assert list(any_tree.paths(suffixes=("Makefile",))) == ["Makefile"]
    assert any_tree.exists("Makefile") and any_tree.exists("mm/demo.c")
    assert not any_tree.exists("mm") and not any_tree.exists("mm/none.c")
    assert any_tree.read("include/demo.h") == b"int pump_read(void);\n"
    assert any_tree.blob("include/demo.h") == blob_id(b"int pump_read(void);\n")
    assert list(any_tree.grep(["pump_read"])) == [
        ("include/demo.h", 1, b"int pump_read(void);"),
        ("mm/demo.c", 2, b"int pump_read(void)"),
    ]
    assert list(any_tree.grep(["pump"], under=["include"])) == []
    assert [hit[1] for hit in any_tree.grep(["pump"], under=["mm/demo.c"])] == [1, 4]
    assert any_tree.grep_files(["odd", "pump"]) == ["drivers/odd name.c", "mm/demo.c"]
    assert any_tree.grep_files(["pump_rea"]) == []
    assert any_tree.grep_files(["pump_rea"], word=False) == ["include/demo.h", "mm/demo.c"]
    assert any_tree.grep_files([r"^int \w+;$"], perl=True, word=False) == ["drivers/odd name.c"]
    assert any_tree.grep_files([]) == [] and list(any_tree.grep([])) == []
    assert any_tree.skipped == []


def test_read_many_keeps_order_and_reports_what_is_missing(any_tree: Tree) -> None:
    wanted = ["mm/demo.c", "none.c", "drivers/odd name.c", "mm/demo.c"]
    got = list(any_tree.read_many(wanted))
    assert [path for path, _ in got] == wanted
    assert isinstance(got[1][1], MissingContent)
    assert got[2][1] == b"int odd;\n" and got[0][1] == got[3][1]


@pytest.mark.parametrize(
    "path", ["none.c", "mm", "../plain/mm/demo.c", "/etc/passwd", "mm/../mm/demo.c", "a\0b", ""]
)
def test_no_such_file(any_tree: Tree, path: str) -> None:
    with pytest.raises(MissingContent):
        any_tree.read(path)
    with pytest.raises(MissingContent):
        any_tree.blob(path)
    assert not any_tree.exists(path)


def test_many_files_through_one_reader(work_tree: Path, git: RunGit) -> None:
    contents = {f"many/f{n}.c": b"int x%d;\n" % n * (n % 700 + 1) for n in range(1500)}
    (work_tree / "many").mkdir()
    for path, content in contents.items():
        (work_tree / path).write_bytes(content)
    git(work_tree, "add", "-A")
    git(work_tree, "commit", "-qm", "many")
    tree = open_tree(str(work_tree), "HEAD")
    assert dict(tree.read_many(contents)) == contents
    half = tree.read_many(contents)  # abandoned half-way
    next(half)
    half.close()  # type: ignore[attr-defined]
    assert tree.read("many/f7.c") == contents["many/f7.c"]


def test_work_tree_as_it_lies_on_disk(work_tree: Path) -> None:
    (work_tree / ".gitignore").write_text("*.mod.c\n")
    (work_tree / "mm/built.mod.c").write_text("int pump;\n")
    (work_tree / "mm/new.c").write_text("int pump;\n")
    (work_tree / "include/demo.h").unlink()
    tree = open_tree(str(work_tree))
    assert list(tree.paths()) == ["drivers/odd name.c", "mm/demo.c", "mm/new.c"]
    assert tree.grep_files(["pump"]) == ["mm/demo.c", "mm/new.c"]
    assert list(open_tree(str(work_tree), "HEAD").paths()) == C_FILES


def test_a_tracked_file_that_is_ignored_counts(work_tree: Path) -> None:
    (work_tree / ".gitignore").write_text("demo.c\n")
    tree = open_tree(str(work_tree))
    assert "mm/demo.c" in tree.paths()
    assert tree.grep_files(["pump"]) == ["mm/demo.c"]


def test_links_are_never_followed(tmp_path: Path, work_tree: Path, directory: Path, git: RunGit) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.c").write_text("int pump;\n")
    for folder in (work_tree, directory):
        (folder / "mm/link.c").symlink_to(outside / "secret.c")
        (folder / "linked").symlink_to(outside)
    git(work_tree, "add", "-A")
    git(work_tree, "commit", "-qm", "links")
    for tree in (open_tree(str(work_tree)), open_tree(str(directory)), open_tree(str(work_tree), "HEAD")):
        assert list(tree.paths()) == C_FILES
        assert tree.grep_files(["pump"]) == ["mm/demo.c"]
        for path in ("mm/link.c", "linked/secret.c"):
            assert not tree.exists(path)
            with pytest.raises(MissingContent):
                tree.read(path)


def test_pipes_are_not_read(directory: Path) -> None:
    os.mkfifo(directory / "mm/pipe.c")
    tree = open_tree(str(directory))
    assert list(tree.paths()) == C_FILES
    with pytest.raises(MissingContent):
        tree.read("mm/pipe.c")


def test_plain_directory_inside_a_repository(work_tree: Path) -> None:
    """A tree inside a repository is a directory of its own: the parent's ignore rules do not count."""
    inner = work_tree / "fixtures/one"
    (inner / "mm").mkdir(parents=True)
    (inner / "mm/a.c").write_text("int pump;\n")
    (work_tree / ".gitignore").write_text("fixtures/\n")
    tree = open_tree(str(inner))
    assert isinstance(tree, DirectoryTree)
    assert list(tree.paths()) == ["mm/a.c"]
    assert list(tree.grep(["pump"])) == [("mm/a.c", 1, b"int pump;")]


def test_plain_directory_ignores_nothing_but_dot_folders(directory: Path) -> None:
    (directory / ".gitignore").write_text("*.c\n")
    (directory / ".pc/one/mm").mkdir(parents=True)
    (directory / ".pc/one/mm/demo.c").write_text("int pump;\n")
    tree = open_tree(str(directory))
    assert list(tree.paths()) == C_FILES
    assert tree.grep_files(["pump"]) == ["mm/demo.c"]


@pytest.mark.parametrize("kind", ["directory", "work_tree"])
def test_identity_follows_every_c_file(kind: str, request: pytest.FixtureRequest, git: RunGit) -> None:
    folder: Path = request.getfixturevalue(kind)

    def identity() -> str:
        time.sleep(0.05)
        return open_tree(str(folder)).identity()

    seen = [identity()]

    def changed() -> bool:
        seen.append(identity())
        return seen[-1] not in seen[:-1]

    assert not changed()
    (folder / "README").write_text("not C\n")
    assert not changed()
    file = folder / "mm/demo.c"
    before = file.stat()
    file.write_bytes(file.read_bytes().replace(b"pump", b"pomp"))  # same size, same file, and the time set back
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert changed()
    (folder / "mm/more.c").write_text("")
    assert changed()
    (folder / "mm/more.c").rename(folder / "mm/less.c")
    assert changed()
    (folder / "mm/less.c").unlink()
    assert not changed()
    (folder / "mm").rename(folder / "mm2")
    assert changed()
    (folder / "mm").symlink_to("mm2")  # a link: its files are none of the tree's
    assert list(open_tree(str(folder)).paths()) == [path.replace("mm/", "mm2/") for path in C_FILES]
    if kind == "work_tree":
        (folder / ".gitignore").write_text("mm2\n")
        assert changed()


def test_a_state_that_may_still_change_unseen_has_a_name_of_its_own(directory: Path) -> None:
    """Two writes in one tick of the clock leave the same times."""
    time.sleep(0.05)
    settled = open_tree(str(directory)).identity()
    (directory / "mm/demo.c").write_text("int a;\n")
    first, second = open_tree(str(directory)), open_tree(str(directory))
    assert first.identity() != second.identity()
    assert first.identity() == first.identity()
    time.sleep(0.05)
    third = open_tree(str(directory)).identity()
    assert third == open_tree(str(directory)).identity()
    assert third not in (settled, first.identity(), second.identity())


def test_identity_of_a_revision_is_its_content(work_tree: Path, bare: Path, git: RunGit) -> None:
    first = open_tree(str(bare)).identity()
    assert open_tree(str(work_tree), "HEAD").identity() == first
    git(work_tree, "commit", "-q", "--allow-empty", "-m", "same content")
    assert open_tree(str(work_tree), "HEAD").identity() == first
    (work_tree / "mm/demo.c").write_text("int other;\n")
    git(work_tree, "commit", "-qam", "two")
    assert open_tree(str(work_tree), "HEAD").identity() != first


def test_blob_follows_the_disk(directory: Path) -> None:
    tree = open_tree(str(directory))
    first = tree.blob("mm/demo.c")
    (directory / "mm/demo.c").write_bytes(b"int x;\n")
    assert tree.blob("mm/demo.c") == blob_id(b"int x;\n") != first


def test_crlf_and_filters_are_not_applied(work_tree: Path, git: RunGit) -> None:
    git(work_tree, "config", "core.autocrlf", "true")
    git(work_tree, "config", "filter.evil.clean", "touch ran; cat")
    (work_tree / ".gitattributes").write_text("*.c filter=evil\n")
    (work_tree / "mm/demo.c").write_bytes(b"int pump;\r\n")
    tree = open_tree(str(work_tree))
    assert tree.blob("mm/demo.c") == blob_id(b"int pump;\r\n")
    assert tree.grep_files(["pump"]) == ["mm/demo.c"]
    assert not (work_tree / "ran").exists()


def test_missing_blob(work_tree: Path, git: RunGit) -> None:
    lost = git(work_tree, "rev-parse", "HEAD:mm/demo.c")
    (work_tree / ".git/objects" / lost[:2] / lost[2:]).unlink()
    tree = open_tree(str(work_tree), "HEAD")
    assert tree.grep_files(["pump", "odd"]) == ["drivers/odd name.c"]
    assert [path for path, _ in tree.skipped] == ["mm/demo.c"]
    assert tree.blob("mm/demo.c") == lost
    with pytest.raises(MissingContent, match=r"mm/demo\.c"):
        tree.read("mm/demo.c")
    assert tree.read("drivers/odd name.c") == b"int odd;\n"
    list(tree.grep(["pump"]))
    assert len(tree.skipped) == 1


def test_damaged_blob(work_tree: Path, git: RunGit) -> None:
    broken = git(work_tree, "rev-parse", "HEAD:mm/demo.c")
    file = work_tree / ".git/objects" / broken[:2] / broken[2:]
    file.chmod(0o644)
    file.write_bytes(b"garbage")
    tree = open_tree(str(work_tree), "HEAD")
    got = dict(tree.read_many(["include/demo.h", "mm/demo.c", "drivers/odd name.c"]))
    assert isinstance(got["mm/demo.c"], MissingContent)
    assert got["include/demo.h"] and got["drivers/odd name.c"] == b"int odd;\n"
    assert tree.grep_files(["odd"]) == ["drivers/odd name.c"]


def test_partial_clone_never_fetches(tmp_path: Path, work_tree: Path, git: RunGit) -> None:
    git(work_tree, "config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "partial"
    git(tmp_path, "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{work_tree}", str(clone))
    tree = open_tree(str(clone), "HEAD")
    assert list(tree.paths()) == C_FILES
    with pytest.raises(MissingContent):
        tree.read("mm/demo.c")
    assert tree.grep_files(["pump"]) == []
    assert sorted(path for path, _ in tree.skipped) == C_FILES


def test_bare_repository_without_config(bare: Path) -> None:
    (bare / "config").unlink()
    assert open_tree(str(bare)).grep_files(["pump"]) == ["mm/demo.c"]


def test_unreadable_file(directory: Path) -> None:
    (directory / "mm/demo.c").chmod(0)
    tree = open_tree(str(directory))
    if os.access(directory / "mm/demo.c", os.R_OK):
        pytest.skip("root reads everything")
    with pytest.raises(MissingContent, match="Permission denied"):
        tree.read("mm/demo.c")
    assert tree.grep_files(["odd", "pump"]) == ["drivers/odd name.c"]
    assert tree.skipped == [("mm/demo.c", "failed to open: Permission denied")]


@pytest.mark.parametrize("setting", ["core.fsmonitor", "core.hooksPath", "core.pager", "diff.external"])
def test_nothing_of_the_repository_is_run(work_tree: Path, setting: str, git: RunGit) -> None:
    script = work_tree / "evil"
    script.write_text(f"#!/bin/sh\ntouch {work_tree}/ran\n")
    script.chmod(0o755)
    git(work_tree, "config", setting, str(script))
    git(work_tree, "config", "grep.column", "true")
    git(work_tree, "config", "color.grep", "always")
    tree = open_tree(str(work_tree))
    assert list(tree.grep(["odd"])) == [("drivers/odd name.c", 1, b"int odd;")]
    tree.identity()
    assert not (work_tree / "ran").exists()


def test_the_repository_is_not_written_to(work_tree: Path, git: RunGit) -> None:
    """Bytes and times of all of .git, with a stale index that a refresh would rewrite."""
    time.sleep(0.01)
    (work_tree / "mm/demo.c").touch()
    git(work_tree, "config", "core.untrackedCache", "true")

    def state() -> dict[str, tuple[bytes, int]]:
        files = [file for file in (work_tree / ".git").rglob("*") if file.is_file()]
        return {str(file): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}

    before = state()
    for rev in (None, "HEAD"):
        tree = open_tree(str(work_tree), rev)
        tree.identity()
        assert len(dict(tree.read_many(tree.paths()))) == 3
        assert tree.grep_files(["pump"]) == ["mm/demo.c"]
        tree.close()
    assert state() == before


def test_odd_names(work_tree: Path) -> None:
    names = ["mm/new\nline.c", "mm/tab\t.c", ":(top)x.c", "mm/st*r.c", os.fsdecode(b"mm/\xff.c")]
    for name in names:
        (work_tree / name).parent.mkdir(parents=True, exist_ok=True)
        (work_tree / name).write_text("int needle;\n")
    tree = open_tree(str(work_tree))
    assert tree.grep_files(["needle"]) == sorted(names)
    assert sorted(path for path, _, _ in tree.grep(["needle"])) == sorted(names)
    assert tree.grep_files(["needle"], under=["mm/st*r.c"]) == ["mm/st*r.c"]
    assert tree.grep_files(["needle"], under=[":(top)x.c"]) == [":(top)x.c"]
    assert tree.read("mm/new\nline.c") == b"int needle;\n"


@pytest.mark.parametrize(
    ("make", "rev", "message"),
    [
        ("none", None, "no such directory"),
        ("file", None, "not a directory"),
        ("empty", None, r"no \.c file"),
        ("plain", "v1", "no git repository"),
        ("tree", "v9", "no revision 'v9'"),
        ("tree", "--all", "no revision"),
        ("tree", "HEAD:Makefile", "no revision"),
        ("broken", None, "no valid repository"),
        ("unborn", "HEAD", "no commit at HEAD"),
    ],
)
def test_bad_input(
    tmp_path: Path, directory: Path, work_tree: Path, git: RunGit, make: str, rev: str | None, message: str
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken/.git").mkdir(parents=True)
    (tmp_path / "broken/a.c").write_text("int x;\n")
    (tmp_path / "unborn").mkdir()
    git(tmp_path / "unborn", "init", "-q")
    with pytest.raises(InputError, match=message) as caught:
        open_tree(str(tmp_path / make), rev)
    assert "\n" not in str(caught.value) and "; " in str(caught.value)


def test_more_words_than_a_pipe_holds(work_tree: Path) -> None:
    words = [f"word_number_{n}" for n in range(4000)] + ["odd"]
    assert open_tree(str(work_tree)).grep_files(words) == ["drivers/odd name.c"]


def test_a_list_made_from_a_near_tree_is_the_tree_s_own(tmp_path: Path, git: Callable[..., str]) -> None:
    folder = tmp_path / "r"
    for name, text in {"a.c": "int a;\n", "b/b.c": "int b;\n", "c.h": "int c;\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "one")
    (folder / "a.c").write_text("int other;\n")
    (folder / "b/b.c").unlink()
    (folder / "b/b.c").symlink_to("../a.c")
    (folder / "c.h").unlink()
    (folder / "d.c").write_text("int d;\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "two")
    alone, near = RevisionTree(folder, "HEAD"), RevisionTree(folder, "HEAD")
    near.near = RevisionTree(folder, "HEAD~1")
    assert list(near.paths()) == list(alone.paths()) == ["a.c", "d.c"]
    assert [near.blob(path) for path in near.paths()] == [alone.blob(path) for path in alone.paths()]
