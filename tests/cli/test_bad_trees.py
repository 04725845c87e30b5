"""Trees that are not what they should be: the exit code, one line, and nothing invented."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Outcome

    Run = Callable[..., Outcome]
    Says = Callable[..., None]
    Git = Callable[..., str]


def report(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(outcome.out)
    return found


def users(outcome: Outcome) -> set[str]:
    return {user["function"] for chain in report(outcome)["chains"] for user in chain["users"]}


SCAN = ("scan", "--format", "json", "--fail-on", "never", "--no-store")

USERS = {"rcu_oom_notify", "virtballoon_oom_notify", "i915_gem_shrinker_oom", "cmm_oom_notify"}


# --- what is no tree ------------------------------------------------------------------------------


def test_nothing_there(real: Run, says: Says, tmp_path: Path) -> None:
    outcome = real("scan", tmp_path / "nowhere")
    says(outcome, 2, "nowhere: no such directory; give a kernel source tree")
    assert outcome.out == ""


def test_a_file_is_no_tree(real: Run, says: Says, kernel: Path) -> None:
    says(real("scan", kernel / "mm" / "oom_kill.c"), 2, "oom_kill.c: not a directory; give the top folder")


def test_no_c_file(real: Run, says: Says, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "readme.h").write_text("int only_a_header;\n")
    says(real("scan", tmp_path / "docs"), 2, "docs: no .c file in it; give the top folder")


def test_no_c_file_at_the_revision(real: Run, says: Says, kernel: Path, git: Git) -> None:
    empty = git(kernel, "commit-tree", "-m", "empty", git(kernel, "mktree", input=""))
    says(real("scan", kernel, "--rev", empty), 2, "no .c file in it")


def test_a_tree_without_the_chain(real: Run, says: Says, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "main.c").write_text("int main(void)\n{\n\treturn 0;\n}\n")
    outcome = real(*SCAN, tmp_path / "project")
    says(outcome, 0, "no OOM notifier chain")
    assert report(outcome)["findings"] == report(outcome)["chains"] == []


def test_a_chain_that_is_not_there(real: Run, says: Says, kernel: Path) -> None:
    outcome = real(*SCAN, kernel, "--chain", "pump_chain")
    says(outcome, 2, "no notifier chain is called 'pump_chain'")
    assert outcome.out == ""


# --- kinds of repository --------------------------------------------------------------------------


def test_a_bare_repository_says_the_same_as_its_work_tree(real: Run, kernel: Path, git: Git, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(kernel), "bare.git")
    on_disk, bare = report(real(*SCAN, kernel)), report(real(*SCAN, tmp_path / "bare.git"))
    assert on_disk["findings"] and on_disk["findings"] == bare["findings"]
    assert on_disk["chains"] == bare["chains"]
    assert bare["tree"]["rev"] == git(kernel, "rev-parse", "HEAD")


def test_a_shallow_clone_is_whole_at_its_tip(real: Run, kernel: Path, git: Git, tmp_path: Path) -> None:
    git(kernel, "commit", "-q", "--allow-empty", "-m", "two")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{kernel}", "shallow")
    outcome = real(*SCAN, tmp_path / "shallow", "--rev", "HEAD")
    assert (outcome.code, outcome.err, report(outcome)["skipped"]) == (0, "", [])
    assert users(outcome) == USERS


def test_beyond_the_end_of_a_shallow_clone(real: Run, says: Says, kernel: Path, git: Git, tmp_path: Path) -> None:
    old = git(kernel, "rev-parse", "HEAD")
    git(kernel, "commit", "-q", "--allow-empty", "-m", "two")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{kernel}", "shallow")
    for rev in ("HEAD~1", old):
        says(real("scan", tmp_path / "shallow", "--rev", rev), 2, f"no revision '{rev}'", "branch of it")


@pytest.mark.parametrize("rev", ["nowhere", "--help", "HEAD:mm/oom_kill.c", "HEAD..HEAD~1", "", "main\nHEAD", "HEAD^{blob}"])
def test_an_unknown_revision(real: Run, says: Says, kernel: Path, rev: str) -> None:
    outcome = real("scan", kernel, f"--rev={rev}")
    says(outcome, 2, "no revision")
    assert outcome.out == ""


def test_a_revision_of_what_is_no_repository(real: Run, says: Says, kernel: Path, tmp_path: Path) -> None:
    shutil.copytree(kernel, tmp_path / "plain", ignore=shutil.ignore_patterns(".git"))
    says(real("scan", tmp_path / "plain", "--rev", "HEAD"), 2, "no git repository", "leave --rev out")


def test_no_commit_yet(real: Run, says: Says, git: Git, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "new.git")
    says(real("scan", tmp_path / "new.git"), 2, "no commit at HEAD; give --rev")
    git(tmp_path, "init", "-q", "new")
    says(real("scan", tmp_path / "new"), 2, "no .c file in it")


@pytest.mark.parametrize("kind", ["empty folder", "file to nowhere", "no HEAD", "broken config", "broken index", "format 99"])
def test_a_broken_repository(real: Run, says: Says, kernel: Path, kind: str) -> None:
    dot_git = kernel / ".git"
    if kind in ("empty folder", "file to nowhere"):
        shutil.rmtree(dot_git)
        dot_git.mkdir() if kind == "empty folder" else dot_git.write_text("gitdir: /nowhere/at/all\n")
    elif kind == "no HEAD":
        (dot_git / "HEAD").unlink()
    elif kind == "broken config":
        (dot_git / "config").write_text("[core\n")
    elif kind == "broken index":
        (dot_git / "index").write_bytes(b"DIRC garbage")
    else:
        (dot_git / "config").write_text("[core]\n\trepositoryformatversion = 99\n")
    outcome = real("scan", kernel)
    says(outcome, 2, str(kernel), "; ")
    assert outcome.out == ""


# --- absent objects -------------------------------------------------------------------------------


@pytest.fixture
def partial(kernel: Path, git: Git, commit: Callable[..., None], tmp_path: Path) -> Callable[..., Path]:
    """A bare partial clone of the kernel in which the contents of some files are absent."""

    def make(*absent: str) -> Path:
        commit(kernel, "two")
        big = [git(kernel, "rev-parse", f"HEAD:{path}") for path in absent]
        clone = tmp_path / "partial.git"
        git(kernel, "config", "uploadpack.allowFilter", "true")
        git(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", f"file://{kernel}", str(clone))
        wanted = git(kernel, "rev-list", "--objects", "--no-object-names", "HEAD").split()
        pack = git(kernel, "pack-objects", "-q", str(clone / "objects/pack/pack"), input="\n".join(set(wanted) - set(big)) + "\n")
        (clone / f"objects/pack/pack-{pack}.promisor").touch()
        return clone

    return make


HEADER = '#include "pump_regs.h"\nint pump_setup(void)\n{\n\treturn PUMP_REG;\n}\n'


def test_an_absent_file_that_is_needed(real: Run, partial: Callable[..., Path]) -> None:
    clone = partial("drivers/virtio/virtio_balloon.c", "mm/memcontrol.c")
    outcome = real(*SCAN, clone)
    assert (outcome.code, outcome.err) == (3, "")
    skipped = {one["file"]: one["reason"] for one in report(outcome)["skipped"]}
    assert set(skipped) == {"drivers/virtio/virtio_balloon.c", "mm/memcontrol.c"}
    assert all("absent" in reason for reason in skipped.values())
    assert users(outcome) == USERS - {"virtballoon_oom_notify"}


def test_every_file_absent(real: Run, kernel: Path, partial: Callable[..., Path]) -> None:
    """Not "there is no chain": nobody could look."""
    files = [str(p.relative_to(kernel)) for p in kernel.rglob("*.[ch]")]
    outcome = real(*SCAN, partial(*files))
    assert outcome.code == 3
    assert {one["file"] for one in report(outcome)["skipped"]} >= {f for f in files if f.endswith(".c")}


def test_an_absent_header_that_nobody_in_question_includes(real: Run, kernel: Path, partial: Callable[..., Path]) -> None:
    (kernel / "drivers/pump").mkdir()
    (kernel / "drivers/pump/pump.c").write_text(HEADER)
    (kernel / "drivers/pump/pump_regs.h").write_text("#define PUMP_REG 1\n")
    (kernel / "Documentation").mkdir()
    (kernel / "Documentation/example.c").write_text("int example;\n")
    (kernel / "Makefile").write_text("obj-y += mm/\n")
    outcome = real(*SCAN, partial("drivers/pump/pump_regs.h", "Documentation/example.c", "Makefile"))
    assert (outcome.code, report(outcome)["skipped"]) == (0, [])
    assert users(outcome) == USERS


@pytest.mark.parametrize("through", [False, True])
def test_an_absent_header_of_a_file_in_question(
    real: Run, kernel: Path, partial: Callable[..., Path], through: bool
) -> None:
    balloon = kernel / "drivers/virtio/virtio_balloon.c"
    name = "pump_regs.h"
    (balloon.parent / name).write_text("#define PUMP_REG 1\n")
    if through:  # by a header that is there
        (balloon.parent / "all.h").write_text(f'#include "{name}"\n')
        name = "all.h"
    balloon.write_text(f'#include "{name}"\n' + balloon.read_text())
    outcome = real(*SCAN, partial("drivers/virtio/pump_regs.h"))
    assert outcome.code == 3
    assert [one["file"] for one in report(outcome)["skipped"]] == ["drivers/virtio/pump_regs.h"]


def test_an_absent_folder(real: Run, says: Says, kernel: Path, git: Git, tmp_path: Path) -> None:
    clone = tmp_path / "holes.git"
    shutil.copytree(kernel / ".git", clone)
    git(clone, "config", "core.bare", "true")
    tree = git(kernel, "rev-parse", "HEAD:mm")
    (clone / "objects" / tree[:2] / tree[2:]).unlink()
    says(real("scan", clone), 2, "cannot be listed", "partial or damaged; fetch it whole")


def test_a_damaged_file(real: Run, kernel: Path, git: Git) -> None:
    blob = git(kernel, "rev-parse", "HEAD:drivers/virtio/virtio_balloon.c")
    path = kernel / ".git/objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.write_bytes(b"garbage")
    outcome = real(*SCAN, kernel, "--rev", "HEAD")
    assert outcome.code == 3
    assert [one["file"] for one in report(outcome)["skipped"]] == ["drivers/virtio/virtio_balloon.c"]
    assert outcome.err == ""


# --- links and submodules -------------------------------------------------------------------------

OUTSIDER = """#include <linux/oom.h>
#include <linux/notifier.h>
static int outsider_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	return 0;
}
static struct notifier_block outsider_nb = { .notifier_call = outsider_notify };
int outsider_init(void)
{
	return register_oom_notifier(&outsider_nb);
}
"""


@pytest.mark.parametrize("kind", ["work tree", "revision", "plain"])
def test_links_are_never_followed(
    real: Run, kernel: Path, commit: Callable[..., None], tmp_path: Path, kind: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "outsider.c").write_text(OUTSIDER)
    (kernel / "mm/link.c").symlink_to(outside / "outsider.c")
    (kernel / "outside").symlink_to(outside)
    (kernel / "mm/loop").symlink_to("..")
    (kernel / "mm/dangling.c").symlink_to("nowhere.c")
    (kernel / "mm/pipe.c").unlink(missing_ok=True)
    commit(kernel, "links")
    os.mkfifo(kernel / "mm/pipe.c")
    if kind == "plain":
        shutil.rmtree(kernel / ".git")
    outcome = real(*SCAN, kernel, *(["--rev", "HEAD"] if kind == "revision" else []))
    assert (outcome.code, outcome.err, report(outcome)["skipped"]) == (0, "", [])
    assert users(outcome) == USERS


@pytest.mark.parametrize("revision", [False, True])
def test_submodules_are_never_entered(
    real: Run, kernel: Path, git: Git, commit: Callable[..., None], tmp_path: Path, revision: bool
) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "outsider.c").write_text(OUTSIDER)
    commit(inner)
    git(kernel, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "drivers/inner")
    commit(kernel, "submodule")
    outcome = real(*SCAN, kernel, *(["--rev", "HEAD"] if revision else []))
    assert (outcome.code, outcome.err) == (0, "")
    assert users(outcome) == USERS


def test_a_repository_that_says_its_work_tree_is_elsewhere(real: Run, kernel: Path, git: Git, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "mm").mkdir(parents=True)
    (outside / "mm/outsider.c").write_text(OUTSIDER)
    git(kernel, "config", "core.worktree", str(outside))
    outcome = real(*SCAN, kernel)
    assert users(outcome) == USERS
    assert outcome.code == 0
