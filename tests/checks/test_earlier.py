"""The parts of a whole tree: which answers hold for another state of it, and which are found anew."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from reviewer.checks import earlier, groups, run, sweep
from reviewer.checks.groups import Done, Job, Task
from reviewer.checks.result import ScanRequest, ScanResult
from reviewer.cli.engine import fill
from reviewer.data import fixtures_dir
from reviewer.program.api.load import load_models
from reviewer.source.tree import open_tree
from reviewer.store.factstore import FactStore, NullStore, Store

REQUEST = ScanRequest(everything=True, jobs=1)

def git(folder: Path, *arguments: str) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    subprocess.run(["git", "-C", str(folder), *arguments], env=environment, check=True, capture_output=True)


class Kernel:
    """A tree under git, and the files of the parts of it that were asked anew."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.store = store
        self.asked: list[str] = []

    def scan(self, rev: str | None) -> ScanResult:
        self.asked.clear()
        if rev is None:
            time.sleep(0.05)  # an edit in the same tick of the clock as the scan is told from no other
        tree = open_tree(str(self.folder), rev)
        fill(tree, self.store, load_models(), 1, lambda *_: None)
        return run.scan(tree, self.store, load_models(), REQUEST, lambda *_: None)

    def alone(self, rev: str | None) -> ScanResult:
        """What is said of the tree by someone who knows no other."""
        return run.scan(open_tree(str(self.folder), rev), NullStore(), load_models(), REQUEST, lambda *_: None)

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.folder / path
        text = file.read_text()
        assert text.count(old) == 1
        file.write_text(text.replace(old, new))

    def commit(self) -> None:
        git(self.folder, "add", "-A", "-f")
        git(self.folder, "commit", "-q", "-m", "next")


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    folder = tmp_path / "linux"
    shutil.copytree(fixtures_dir() / "self-deadlock", folder)
    git(tmp_path, "init", "-q", str(folder))
    monkeypatch.setattr(run, "MANY", 0)
    monkeypatch.setattr(sweep, "FILES", 1)
    with FactStore.open(tmp_path / "store") as store:
        made = Kernel(folder, store)
        made.commit()
        done = groups.done

        def noted(job: Job, tasks: Sequence[Task]) -> list[Done]:
            made.asked += (file for task in tasks for file in task.files)
            return done(job, tasks)

        monkeypatch.setattr(groups, "done", noted)
        yield made


CAPSTAN, WINCH, WALK = "drivers/winches/capstan.c", "drivers/winches/winch.c", "drivers/walk.c"

EDITS = {
    "a comment": (CAPSTAN, "#include <linux/pm.h>", "/* More\n * lines. */\n#include <linux/pm.h>", set(), {CAPSTAN}),
    "a function": (CAPSTAN, "\tcapstan_turns = 0;\n\tmutex_unlock", "\tmutex_unlock", {CAPSTAN}, {WALK, "drivers/crane.c"}),
    "a new call": (WALK, "struct yard;", "void winch_pull(void);\nvoid f(void) { winch_pull(); }", {WALK}, {"drivers/crane.c"}),
    "a macro": ("include/linux/pm.h", "#define DEFINE_PM_OPS(", "#define DEFINE_PM_OPS_(", {WINCH}, {WALK}),
}


@pytest.mark.parametrize("rev", ["HEAD", None])
@pytest.mark.parametrize("edit", EDITS)
def test_what_an_edit_touches_is_asked_anew(kernel: Kernel, edit: str, rev: str | None) -> None:
    path, old, new, touched, left = EDITS[edit]
    first = kernel.scan(rev)
    everything = set(kernel.asked)
    assert first.findings and {CAPSTAN, WINCH, WALK} <= everything
    assert kernel.scan(rev).findings == first.findings
    assert not kernel.asked
    kernel.edit(path, old, new)
    if rev is not None:
        kernel.commit()
    again = kernel.scan(rev)
    assert touched <= set(kernel.asked) < everything
    assert left.isdisjoint(kernel.asked)
    alone = kernel.alone(rev)
    assert again.findings == alone.findings
    assert again.stats.functions == alone.stats.functions
    assert again.stats.files == alone.stats.files


def test_a_state_that_comes_back(kernel: Kernel) -> None:
    first = kernel.scan("HEAD")
    kernel.edit(CAPSTAN, "\tcapstan_turns = 0;\n\tmutex_unlock", "\tmutex_unlock")
    kernel.commit()
    kernel.scan("HEAD")
    assert kernel.asked == [CAPSTAN]
    assert kernel.scan("HEAD~1").findings == first.findings
    assert not kernel.asked
    kernel.scan("HEAD")
    assert not kernel.asked, "only the one answer that is new was written, and the list of those that hold"


def test_a_file_of_another_suffix_that_was_asked_for(kernel: Kernel) -> None:
    """What is on disk is told apart by files with C's suffixes; an answer may rest on others."""
    included = with_another_suffix(kernel)
    kernel.scan(None)
    everything = set(kernel.asked)
    included.write_text("int yards;\n")
    kernel.scan(None)
    assert set(kernel.asked) == everything
    kernel.scan(None)
    assert not kernel.asked


def test_a_file_of_another_suffix_that_changes_meanwhile(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier, "AT_ONCE", 1)
    done, included = groups.done, with_another_suffix(kernel)

    def meddled(job: Job, tasks: Sequence[Task]) -> list[Done]:
        if WALK in kernel.asked:
            included.write_text("int yards;\n")
        return done(job, tasks)

    with monkeypatch.context() as patch:
        patch.setattr(groups, "done", meddled)
        kernel.scan(None)
    everything = set(kernel.asked)
    kernel.scan(None)
    assert set(kernel.asked) == everything, "nobody can tell which of the two an answer rests on"
    kernel.scan(None)
    assert not kernel.asked


def with_another_suffix(kernel: Kernel) -> Path:
    """A file that one of C includes, and that is not there yet."""
    kernel.edit(WALK, "struct yard;", '#include "yard.inc"\nstruct yard;')
    kernel.commit()
    return kernel.folder / WALK.replace("walk.c", "yard.inc")


def test_files_on_disk_that_git_does_not_know(kernel: Kernel) -> None:
    """Nobody can tell later what was in them, so everything is asked anew."""
    kernel.edit(CAPSTAN, "capstan_turns = 0", "capstan_turns = 1")
    kernel.scan(None)
    everything = set(kernel.asked)
    kernel.edit(CAPSTAN, "capstan_turns = 1", "capstan_turns = 2")
    kernel.scan(None)
    assert set(kernel.asked) == everything
    assert kernel.scan(None).findings == kernel.alone(None).findings


def test_an_interrupted_scan_goes_on(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier, "AT_ONCE", 1)
    done, before = groups.done, 5

    def interrupted(job: Job, tasks: Sequence[Task]) -> list[Done]:
        if len(kernel.asked) == before:
            raise KeyboardInterrupt
        return done(job, tasks)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(groups, "done", interrupted)
        kernel.scan("HEAD")
    first = set(kernel.asked)
    assert len(first) == before
    alone = kernel.alone("HEAD")
    assert kernel.scan("HEAD").findings == alone.findings
    assert first.isdisjoint(kernel.asked)


def test_answers_that_have_been_let_go_of_are_found_anew(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier, "KEPT", 8)  # those about chains, which are asked without a file, among them
    first = kernel.scan("HEAD")
    everything = len(kernel.asked)
    assert kernel.scan("HEAD").findings == first.findings
    assert everything - len(kernel.asked) in range(1, 9)
