"""Nothing of a user's repository is written, and nothing that it names is run."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Outcome

    Run = Callable[..., Outcome]
    Git = Callable[..., str]

VERBS = (
    ("scan", "--fail-on", "never"),
    ("scan", "--fail-on", "never", "--rev", "HEAD"),
    ("scan", "--fail-on", "never", "--all"),
    ("context", "virtballoon_oom_notify"),
    ("relies-on", "oom_lock"),
    ("graph", "calls"),
    ("graph", "locks"),
    ("doctor",),
)


def snapshot(folder: Path) -> dict[str, tuple[int, int, int, str]]:
    """Mode, time of change, size and content of everything below ``folder``, the index and ``.git`` included."""
    found = {}
    for path in sorted(folder.rglob("*")):
        seen = path.lstat()
        content = ""
        if stat.S_ISREG(seen.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISLNK(seen.st_mode):
            content = str(path.readlink())
        found[str(path.relative_to(folder))] = (seen.st_mode, seen.st_mtime_ns, seen.st_size, content)
    return found


@pytest.fixture
def trapped(kernel: Path, git: Git, commit: Callable[..., None], tmp_path: Path) -> Path:
    """The kernel's repository with everything in it that git might run; each leaves a mark in ``marks``."""
    marks = tmp_path / "marks"
    marks.mkdir()

    def trap(name: str) -> str:
        script = tmp_path / f"trap-{name}"
        script.write_text(f"#!/bin/sh\ntouch {marks}/{name}\ncat 2>/dev/null\nexit 0\n")
        script.chmod(0o755)
        return str(script)

    (kernel / ".gitattributes").write_text("*.c filter=odd diff=odd merge=odd text eol=crlf working-tree-encoding=UTF-16\n")
    (kernel / ".gitignore").write_text("*.ignored.c\n")
    commit(kernel, "attributes")
    settings = {
        "core.fsmonitor": trap("fsmonitor"),
        "core.hooksPath": str(tmp_path / "hooks"),
        "core.pager": trap("pager"),
        "core.editor": trap("editor"),
        "core.sshCommand": trap("ssh"),
        "core.gitProxy": trap("proxy"),
        "core.askPass": trap("askpass"),
        "core.alternateRefsCommand": trap("alternates"),
        "core.untrackedCache": "true",
        "core.splitIndex": "true",
        "core.commitGraph": "true",
        "index.version": "4",
        "feature.manyFiles": "true",
        "filter.odd.clean": trap("clean"),
        "filter.odd.smudge": trap("smudge"),
        "filter.odd.process": trap("process"),
        "filter.odd.required": "true",
        "diff.odd.textconv": trap("textconv"),
        "diff.odd.command": trap("diffcommand"),
        "diff.external": trap("external"),
        "alias.ls-files": f"!{trap('alias')}",
        "alias.grep": f"!{trap('alias')}",
        "pager.grep": trap("pager"),
        "pager.ls-files": trap("pager"),
        "credential.helper": f"!{trap('credential')}",
        "gpg.program": trap("gpg"),
        "log.showSignature": "true",
        "gc.auto": "1",
        "maintenance.auto": "true",
        "grep.fallbackToNoIndex": "true",
        "submodule.recurse": "true",
        "trace2.eventTarget": str(marks / "trace2"),
        "remote.origin.url": f"ext::{trap('transport')} %S",
        "remote.origin.promisor": "true",
        "remote.origin.uploadpack": trap("uploadpack"),
        "remote.origin.vcs": "odd",
        "extensions.partialClone": "origin",
        "protocol.ext.allow": "always",
        "protocol.allow": "always",
    }
    (tmp_path / "hooks").mkdir()
    for hook in ("post-index-change", "pre-auto-gc", "post-checkout", "reference-transaction", "fsmonitor-watchman"):
        shutil.copy(trap(f"hook-{hook}"), tmp_path / "hooks" / hook)
        shutil.copy(trap(f"hook-{hook}"), kernel / ".git" / "hooks" / hook)
    git(kernel, "config", "core.repositoryformatversion", "1")
    for key, value in settings.items():
        git(kernel, "config", key, value)
    # An absent object, so that a promisor would be asked for it; and an index that is due for a refresh.
    blob = git(kernel, "rev-parse", "HEAD:drivers/tty/sysrq.c")
    (kernel / ".git/objects" / blob[:2] / blob[2:]).unlink()
    for path in (kernel / "mm").glob("*.c"):
        os.utime(path, (1, 1))
    (kernel / "mm/untracked.c").write_text("int untracked;\n")
    (kernel / "mm/old.ignored.c").write_text("int ignored;\n")
    for mark in marks.iterdir():  # what setting the traps set off
        mark.unlink()
    return kernel


@pytest.mark.parametrize("verb", VERBS, ids=[" ".join(verb) for verb in VERBS])
def test_nothing_is_run_and_nothing_is_written(
    real: Run, trapped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]
) -> None:
    for name in ("GIT_EXTERNAL_DIFF", "GIT_SSH_COMMAND", "GIT_PAGER", "PAGER", "GIT_EDITOR", "GIT_ASKPASS"):
        monkeypatch.setenv(name, str(tmp_path / "trap-pager"))
    before = snapshot(trapped)
    outcome = real(*verb, "-C", trapped, "--store", tmp_path / "store", "--jobs", "1")
    assert outcome.code in ((0, 3) if verb[0] == "scan" else (0, 2, 3)), outcome
    assert "unexpected" not in outcome.err, outcome.err
    assert [mark.name for mark in (tmp_path / "marks").iterdir()] == []
    assert snapshot(trapped) == before


def test_the_traps_would_spring(trapped: Path, tmp_path: Path, git: Git) -> None:
    """Else the test above could not fail."""
    for arguments in (("status",), ("add", "mm/untracked.c")):
        with contextlib.suppress(subprocess.CalledProcessError):  # the filters do not answer as git wants
            git(trapped, *arguments)
    sprung = {mark.name for mark in (tmp_path / "marks").iterdir()}
    assert "fsmonitor" in sprung
    assert sprung & {"clean", "process"}


def test_a_plain_directory_is_not_written_to(real: Run, kernel: Path, tmp_path: Path) -> None:
    shutil.rmtree(kernel / ".git")
    before = snapshot(kernel)
    assert real("scan", kernel, "--fail-on", "never").code == 0
    assert snapshot(kernel) == before


def test_a_bare_repository_is_not_written_to(real: Run, kernel: Path, git: Git, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(kernel), "bare.git")
    before = snapshot(tmp_path / "bare.git")
    assert real("scan", tmp_path / "bare.git", "--fail-on", "never").code == 0
    assert snapshot(tmp_path / "bare.git") == before


def test_inherited_git_variables_lead_nowhere_else(
    real: Run, kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a git hook, which runs with GIT_DIR and GIT_INDEX_FILE of another repository."""
    plain = real("scan", kernel, "--fail-on", "never", "--format", "json", "--no-store")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_CEILING_DIRECTORIES"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.bare")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    again = real("scan", kernel, "--fail-on", "never", "--format", "json", "--no-store")
    assert (again.code, again.err) == (0, "")
    assert again.out.partition('"chains"')[2] == plain.out.partition('"chains"')[2] != ""
