"""Commits and what is staged, read with git and compared with what git itself would mail."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reviewer.errors import InputError
from reviewer.source.commits import read_commits, read_staged
from reviewer.source.series import read_series

RunGit = Callable[..., str]


@pytest.fixture
def history(work_tree: Path, git: RunGit) -> Path:
    """Three commits on top of the first: an edit, a rename with a new file, a mode."""
    (work_tree / "mm/demo.c").write_text("static int pump;\nint pump_read(void)\n{\n\treturn ++pump;\n}\n")
    git(work_tree, "commit", "-qam", "mm: count reads\n\nNobody\nknew.\n\nFixes: 123456789abc (\"one\")")
    (work_tree / "include/demo.h").rename(work_tree / "include/ümlaut.h")
    (work_tree / "new.bin").write_bytes(b"\0\1" * 40)
    git(work_tree, "add", "-A")
    git(work_tree, "commit", "-q", "-m", "include: rename")
    (work_tree / "Makefile").chmod(0o755)
    git(work_tree, "commit", "-qam", "make: run it")
    return work_tree


def test_a_range(history: Path, git: RunGit) -> None:
    series = read_commits(history, "HEAD~3..HEAD")
    assert [(patch.number, patch.total, patch.subject) for patch in series.patches] == [
        (1, 3, "mm: count reads"), (2, 3, "include: rename"), (3, 3, "make: run it"),
    ]  # fmt: skip
    first, second, third = series.patches
    assert first.message == 'Nobody\nknew.\n\nFixes: 123456789abc ("one")\n'
    assert (first.author.name, first.author.email) == ("a", "a@b")
    assert first.commit == git(history, "rev-parse", "HEAD~2") and first.message_id == ""
    assert first.date == git(history, "log", "-1", "--format=%aD", "HEAD~2")
    assert [(change.operation, change.old_path, change.path) for change in second.files] == [
        ("rename", "include/demo.h", "include/ümlaut.h"), ("add", None, "new.bin"),
    ]  # fmt: skip
    assert second.files[1].binary and second.files[1].patch
    assert (third.files[0].old_mode, third.files[0].new_mode, third.files[0].hunks) == ("100644", "100755", ())
    assert series.title == "" and series.notes == ()


def test_commits_are_what_format_patch_would_mail(history: Path, git: RunGit, tmp_path: Path) -> None:
    git(history, "format-patch", "-q", "--binary", "--full-index", "-M", "-o", str(tmp_path / "out"), "HEAD~3")
    mailed = read_series([str(tmp_path / "out")])
    for commit, mail in zip(read_commits(history, "HEAD~3..").patches, mailed.patches, strict=True):
        assert (commit.subject, commit.message, commit.author, commit.date) == (
            mail.subject, mail.message, mail.author, mail.date,
        )  # fmt: skip
        for ours, theirs in zip(commit.files, mail.files, strict=True):
            assert (ours.path, ours.operation, ours.old_blob, ours.new_blob) == (
                theirs.path, theirs.operation, theirs.old_blob, theirs.new_blob,
            )  # fmt: skip
            assert [hunk.lines for hunk in ours.hunks] == [hunk.lines for hunk in theirs.hunks]
            assert ours.patch == theirs.patch


def test_ways_to_name_commits(history: Path, git: RunGit) -> None:
    assert [patch.subject for patch in read_commits(history, "HEAD~1").patches] == ["include: rename"]
    assert [patch.subject for patch in read_commits(history, "..HEAD").patches] == []
    assert [patch.subject for patch in read_commits(history, "main~1..").patches] == ["make: run it"]
    git(history, "tag", "-a", "-m", "tag", "v1", "HEAD~2")
    assert read_commits(history, "v1").title == "mm: count reads"
    git(history, "checkout", "-q", "-b", "side", "HEAD~2")
    git(history, "commit", "-q", "--allow-empty", "-m", "side: nothing")
    series = read_commits(history, "main...side")
    assert [(patch.subject, patch.files) for patch in series.patches] == [("side: nothing", ())]


def test_merges_are_left_out(history: Path, git: RunGit) -> None:
    git(history, "checkout", "-q", "-b", "side", "HEAD~1")
    git(history, "commit", "-q", "--allow-empty", "-m", "side: nothing")
    git(history, "merge", "-q", "--no-ff", "-m", "merge", "main")
    series = read_commits(history, "main~1..side")
    assert sorted(patch.subject for patch in series.patches) == ["make: run it", "side: nothing"]
    assert len(series.notes) == 1 and series.notes[0].startswith("merges are left out: ")
    assert read_commits(history, "side").patches == ()


def test_the_first_commit_adds_everything(work_tree: Path) -> None:
    (patch,) = read_commits(work_tree, "HEAD").patches
    assert {change.operation for change in patch.files} == {"add"}
    assert sorted(change.path for change in patch.files) == ["Makefile", "drivers/odd name.c", "include/demo.h", "mm/demo.c"]


@pytest.mark.parametrize("name", ["nope", "nope..HEAD", "HEAD..nope", "-n1", "--all", "HEAD -- mm", "HEAD:mm", "", "^HEAD"])
def test_unknown_revisions(work_tree: Path, name: str) -> None:
    with pytest.raises(InputError, match="no commit ") as caught:
        read_commits(work_tree, name)
    assert "\n" not in str(caught.value)


def test_no_repository(directory: Path) -> None:
    for read in (lambda: read_commits(directory, "HEAD"), lambda: read_staged(directory)):
        with pytest.raises(InputError, match="no valid repository"):
            read()


def test_a_shallow_clone_has_no_first_commit(history: Path, git: RunGit, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth=2", f"file://{history}", "shallow")
    assert len(read_commits(tmp_path / "shallow", "HEAD").patches) == 1
    with pytest.raises(InputError, match=r"the history ends at .* \(a shallow clone\)"):
        read_commits(tmp_path / "shallow", "HEAD~1")


def test_absent_content(history: Path, git: RunGit) -> None:
    blob = git(history, "rev-parse", "HEAD~2:mm/demo.c")
    (history / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(InputError, match="cannot be read"):
        read_commits(history, "HEAD~2")


def test_nothing_that_is_configured_runs(history: Path, git: RunGit, tmp_path: Path) -> None:
    """Diff drivers, text conversions, external diffs and hooks of the repository."""
    trap, witness = tmp_path / "trap", tmp_path / "ran"
    trap.write_text(f"#!/bin/sh\ntouch {witness}\ncat \"$1\"\n")
    trap.chmod(0o755)
    for name in ("diff.external", "diff.trap.command", "diff.trap.textconv", "core.fsmonitor", "core.pager", "core.editor"):
        git(history, "config", name, str(trap))
    (history / ".gitattributes").write_text("* diff=trap filter=trap\n")
    git(history, "config", "filter.trap.clean", str(trap))
    (history / "mm/demo.c").write_text("int x;\n")
    subprocess.run(["git", "-C", str(history), "-c", "filter.trap.clean=cat", "-c", "core.fsmonitor=", "add", "mm"], check=True)
    witness.unlink(missing_ok=True)
    assert read_commits(history, "HEAD~3..HEAD").patches[0].files[0].hunks
    assert [change.path for change in read_staged(history).patches[0].files] == ["mm/demo.c"]
    assert not witness.exists()


def test_configuration_does_not_change_the_text(history: Path, git: RunGit) -> None:
    before = read_commits(history, "HEAD~3..HEAD").patches
    for setting in (
        "diff.noprefix=true", "diff.context=9", "diff.renames=false", "diff.mnemonicPrefix=true", "diff.suppressBlankEmpty=true",
        "color.ui=always", "diff.submodule=log", "diff.relative=true", "diff.interHunkContext=40", "core.quotePath=true",
    ):  # fmt: skip
        name, value = setting.split("=")
        git(history, "config", name, value)
    assert read_commits(history, "HEAD~3..HEAD").patches == before


def test_c_text_that_is_called_binary_is_shown(history: Path, git: RunGit) -> None:
    (history / ".git/info").mkdir(exist_ok=True)
    (history / ".git/info/attributes").write_text("*.c -diff\n")
    assert read_commits(history, "HEAD~2").patches[0].files[0].hunks
    (history / "mm/demo.c").write_text("int x;\n")
    git(history, "add", "-A")
    assert read_staged(history).patches[0].files[0].hunks


def test_other_encodings(work_tree: Path, git: RunGit) -> None:
    (work_tree / "text").write_bytes("mm: gr\u00fc\u00dfe\n\nsch\u00f6n\n".encode("latin-1"))
    git(work_tree, "-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-q", "--allow-empty", "-F", str(work_tree / "text"))
    (patch,) = read_commits(work_tree, "HEAD").patches
    assert (patch.subject, patch.message) == ("mm: grüße", "schön\n")


def test_staged(history: Path, git: RunGit) -> None:
    assert read_staged(history).patches == ()
    (history / "mm/demo.c").write_text("int staged;\n")
    git(history, "add", "-A")
    (history / "mm/demo.c").write_text("int not_staged;\n")
    series = read_staged(history)
    (patch,) = series.patches
    assert (patch.subject, patch.number, patch.total, patch.commit) == ("staged changes", 1, 1, "")
    assert b"+int staged;\n" in patch.files[0].hunks[0].lines
    assert series.base_commit == git(history, "rev-parse", "HEAD")


def test_staged_before_the_first_commit(tmp_path: Path, git: RunGit) -> None:
    git(tmp_path, "init", "-q")
    assert read_staged(tmp_path).patches == ()
    (tmp_path / "x.c").write_text("int x;\n")
    git(tmp_path, "add", "x.c")
    series = read_staged(tmp_path)
    assert series.patches[0].files[0].operation == "add" and series.base_commit == ""


def test_staged_in_the_index_of_a_hook(history: Path, git: RunGit, tmp_path: Path) -> None:
    """``git commit -a`` runs the hook with another index: what it says is what is committed."""
    seen = tmp_path / "index"
    hook = history / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\ncp "$GIT_INDEX_FILE" {seen}\nexit 1\n')
    hook.chmod(0o755)
    (history / "mm/demo.c").write_text("int all;\n")
    somebody = ("-c", "user.name=a", "-c", "user.email=a@b")  # a fresh machine knows nobody
    subprocess.run(["git", "-C", str(history), *somebody, "commit", "-qam", "x"], check=False, capture_output=True)
    assert read_staged(history).patches == ()
    assert read_staged(history, seen).patches[0].files[0].path == "mm/demo.c"


def test_conflicts(history: Path, git: RunGit) -> None:
    git(history, "checkout", "-q", "-b", "side", "HEAD~3")
    (history / "mm/demo.c").write_text("int conflict;\n")
    git(history, "commit", "-qam", "side")
    subprocess.run(["git", "-C", str(history), "-c", "user.name=a", "-c", "user.email=a@b", "merge", "-q", "main"],
                   check=False, capture_output=True)  # fmt: skip
    with pytest.raises(InputError, match=r"'mm/demo\.c' has conflicts"):
        read_staged(history)


def test_the_repository_is_not_written_to(history: Path) -> None:
    def state() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in (history / ".git").rglob("*")}

    before = state()
    read_commits(history, "HEAD~3..HEAD")
    read_staged(history)
    assert state() == before
