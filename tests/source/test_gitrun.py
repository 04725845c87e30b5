from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from reviewer.errors import InputError
from reviewer.source.gitrun import Git, GitFailed, environment, split_records

RunGit = Callable[..., str]


def test_inherited_git_variables_are_dropped() -> None:
    env = environment(
        {"GIT_DIR": "/x", "GIT_INDEX_FILE": "/y", "PATH": "/bin", "LANGUAGE": "de"}, Path("/up")
    )
    assert "GIT_DIR" not in env and "GIT_INDEX_FILE" not in env and "LANGUAGE" not in env
    assert env["PATH"] == "/bin" and env["GIT_CEILING_DIRECTORIES"] == "/up" and env["LC_ALL"] == "C"
    assert env["GIT_OPTIONAL_LOCKS"] == "0" and env["GIT_NO_LAZY_FETCH"] == "1"


def test_git_dir_of_a_calling_hook_does_not_leak(
    work_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert Git(work_tree).text("rev-parse", "--show-toplevel") == str(work_tree.resolve())


def test_a_parent_repository_is_not_found(work_tree: Path) -> None:
    with pytest.raises(InputError, match="no valid repository"):
        Git(work_tree / "mm").run("rev-parse", "HEAD")


def test_refusals_have_a_way_out(work_tree: Path) -> None:
    git = Git(work_tree)
    stderr = b"fatal: detected dubious ownership in repository at '/srv/linux'\nTo add an exception ..."
    refused = git.failure(("grep",), 128, stderr)
    assert isinstance(refused, InputError)
    assert str(refused).endswith("git config --global --add safe.directory /srv/linux")
    refused = git.failure(
        ("grep",), 128, b"fatal: cannot use bare repository (safe.bareRepository is 'explicit')"
    )
    assert isinstance(refused, InputError) and "safe.bareRepository all" in str(refused)


def test_other_failures_keep_what_git_said(work_tree: Path) -> None:
    with pytest.raises(GitFailed, match=r"git ls-tree: fatal: .*nope"):
        Git(work_tree).run("ls-tree", "nope")


def test_no_git(work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(InputError, match="git is not installed"):
        Git(work_tree).run("version")


def test_cat_file(work_tree: Path, git: RunGit) -> None:
    blob = git(work_tree, "rev-parse", "HEAD:drivers/odd name.c")
    with Git(work_tree).cat_file() as reader:
        assert reader.read(blob) == b"int odd;\n"
        assert reader.read("HEAD:drivers/odd name.c") == b"int odd;\n"
        assert reader.read("0" * 40) is None
        assert reader.read("HEAD:a b missing") is None
        assert reader.read("two\nlines") is None
        assert reader.read(blob) == b"int odd;\n"
        names = [f"HEAD:{'long/' * 200}{n}" for n in range(400)] + [blob]
        assert [name for name, content in reader.read_many(names) if content] == [blob]


def test_scratch_objects_are_seen_and_kept_apart(work_tree: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "objects"
    scratch.mkdir()
    git = Git(work_tree, objects=scratch)
    made = git.run("hash-object", "-w", "--stdin", input=b"int patched;\n").decode().strip()
    with git.cat_file() as reader, Git(work_tree).cat_file() as plain:
        assert reader.read(made) == b"int patched;\n"
        assert reader.read("HEAD:drivers/odd name.c") == b"int odd;\n"
        assert plain.read(made) is None


def test_split_records() -> None:
    assert list(split_records(io.BytesIO(b"ab\0c\0\0de"), b"\0", chunk=2)) == [b"ab", b"c", b"", b"de"]
    assert list(split_records(io.BytesIO(b"ab\0"), b"\0", chunk=1)) == [b"ab"]
