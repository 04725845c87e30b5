"""The pre-commit hook, with real commits: what is refused, what passes in silence, and that the former hook is never lost."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reviewer.deliver.hook import KEPT

if TYPE_CHECKING:
    from conftest import Repository

    Hook = Callable[..., str]
    Done = subprocess.CompletedProcess[str]

BALLOON = "drivers/virtio/virtio_balloon.c"
OOM = "mm/oom_kill.c"
SKIP_LINE = "reviewer: a hazard is introduced; to commit all the same: SKIP=reviewer git commit\n"


def passes(done: Done) -> None:
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def refuses(done: Done) -> None:
    assert done.returncode == 1, done
    assert f"introduced: {BALLOON}:" in done.stderr
    assert "kzalloc() with GFP_KERNEL in leak_balloon" in done.stderr
    assert "[callback-needs-reclaim, high]" in done.stderr
    assert done.stderr.endswith(SKIP_LINE)


def hook_file(repository: Repository) -> Path:
    return repository.folder / ".git/hooks/pre-commit"


def former(repository: Repository, text: str, mode: int = 0o755) -> Path:
    """A hook that is there before ours."""
    file = hook_file(repository)
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Mode, time and content of what is in a folder."""
    return {
        str(path.relative_to(folder)): (seen.st_mode, seen.st_mtime_ns, b"" if path.is_dir() else path.read_bytes())
        for path in folder.rglob("*")
        for seen in (path.lstat(),)
    }


# --- what is staged


def test_a_hazard_is_refused_and_mended(kernel: Repository) -> None:
    before = kernel.head
    kernel.allocate()
    kernel.git("add", "-A")
    refuses(kernel.commit())
    assert kernel.head == before
    kernel.edit(BALLOON, "kzalloc(8, GFP_KERNEL);", "kzalloc(8, GFP_ATOMIC);")
    kernel.git("add", "-A")
    passes(kernel.commit())
    assert kernel.head != before


def test_a_hazard_that_was_there_and_one_that_goes_are_silent(kernel: Repository) -> None:
    kernel.allocate()
    kernel.make()
    kernel.add_function(BALLOON)
    passes(kernel.commit("-a"))
    kernel.edit(BALLOON, "\tkzalloc(8, GFP_KERNEL);\n", "")
    passes(kernel.commit("-a"))


def test_only_what_is_staged_counts(kernel: Repository) -> None:
    """As with ``git add -p``: the same file is staged in one state and lies on the disk in another."""
    kernel.add_function(BALLOON)
    kernel.git("add", "-A")
    kernel.allocate()
    passes(kernel.commit())
    kernel.git("add", "-A")
    kernel.edit(BALLOON, "\tkzalloc(8, GFP_KERNEL);\n", "")
    refuses(kernel.commit())


def test_files_that_are_named(kernel: Repository) -> None:
    """git commits from an index of its own then."""
    kernel.allocate()
    kernel.add_function()
    refuses(kernel.commit(BALLOON))
    kernel.git("add", BALLOON)
    passes(kernel.commit(OOM))
    assert kernel.git("diff", "--cached", "--name-only") == BALLOON


def test_a_commit_from_a_folder_below(kernel: Repository) -> None:
    kernel.allocate()
    refuses(dataclasses.replace(kernel, folder=kernel.folder / "drivers").commit("-a"))
    below = dataclasses.replace(kernel, folder=kernel.folder / "mm")
    kernel.add_function()
    passes(below.commit("oom_kill.c"))


def test_amend(kernel: Repository) -> None:
    kernel.allocate()
    kernel.make()
    kernel.add_function()
    passes(kernel.commit("-a", "--amend"))  # the hazard is in the commit that is mended
    kernel.allocate_there()
    done = kernel.commit("-a", "--amend")
    assert done.returncode == 1
    assert "in virtballoon_oom_notify" in done.stderr


def test_the_first_commit(bare_kernel: Repository, hook: Hook) -> None:
    shutil.rmtree(bare_kernel.folder / ".git")
    bare_kernel.git("init", "-q", "-b", "main")
    hook("install", bare_kernel.folder)
    bare_kernel.git("add", "mm", "include")
    passes(bare_kernel.commit())
    bare_kernel.git("update-ref", "-d", "HEAD")
    bare_kernel.allocate()
    bare_kernel.git("add", "-A")
    refuses(bare_kernel.commit())


def test_an_empty_commit(kernel: Repository) -> None:
    passes(kernel.commit("--allow-empty"))


def test_a_repository_without_c(tmp_path: Path, environment: dict[str, str], kernel: Repository, hook: Hook) -> None:
    other = dataclasses.replace(kernel, folder=tmp_path / "other")
    other.folder.mkdir()
    other.git("init", "-q")
    hook("install", other.folder)
    (other.folder / "README").write_text("text\n")
    other.git("add", "-A")
    passes(other.commit())


def test_skipped(kernel: Repository) -> None:
    kernel.allocate()
    kernel.git("add", "-A")
    refuses(kernel.commit(SKIP="reviewer-series,other"))
    passes(kernel.commit(SKIP="other,reviewer"))
    kernel.add_function(BALLOON)
    kernel.git("reset", "-q", "--soft", "HEAD^")
    passes(kernel.commit("--no-verify"))


# --- merges and what else stops half-way


@pytest.fixture
def diverged(kernel: Repository) -> Repository:
    """On ``main``; ``side`` has a hazard, and both have changed the end of a file."""
    kernel.git("checkout", "-q", "-b", "side")
    kernel.allocate()
    kernel.add_function(of="_by_side")
    kernel.make()
    kernel.git("checkout", "-q", "main")
    kernel.add_function(of="_by_main")
    kernel.make()
    return kernel


def resolve(repository: Repository) -> None:
    repository.git("checkout", "--ours", OOM)
    repository.git("add", OOM)


def test_a_merge_does_not_introduce_what_it_brings(diverged: Repository) -> None:
    assert diverged.run("git", "merge", "side").returncode == 1
    resolve(diverged)
    passes(diverged.commit())
    assert diverged.git("rev-list", "--parents", "-n1", "HEAD").count(" ") == 2


def test_what_neither_side_had_is_introduced_by_a_merge(diverged: Repository) -> None:
    assert diverged.run("git", "merge", "side").returncode == 1
    resolve(diverged)
    diverged.allocate_there()
    diverged.git("add", "-A")
    done = diverged.commit()
    assert done.returncode == 1
    assert "in virtballoon_oom_notify" in done.stderr
    assert "in leak_balloon:" not in done.stderr


@pytest.mark.parametrize(("begin", "go_on"), [("cherry-pick", "cherry-pick"), ("cherry-pick", "commit"), ("rebase", "commit")])
def test_what_goes_on_after_a_conflict(diverged: Repository, begin: str, go_on: str) -> None:
    """git runs the hook for the commit whose conflict was resolved by hand; ``git rebase --continue`` alone runs none."""
    if begin == "rebase":
        diverged.git("checkout", "-q", "side")
    assert diverged.run("git", begin, "main" if begin == "rebase" else "side").returncode == 1
    resolve(diverged)
    diverged.add_function(of="_by_both")
    diverged.git("add", "-A")
    before = diverged.head
    command = ("git", "commit", "-m", "resolved") if go_on == "commit" else ("git", go_on, "--continue")
    done = diverged.run(*command)
    assert done.returncode != 0
    assert "kzalloc() with GFP_KERNEL in leak_balloon" in done.stderr
    assert diverged.head == before
    diverged.edit(BALLOON, "kzalloc(8, GFP_KERNEL);", "kzalloc(8, GFP_ATOMIC);")
    diverged.git("add", "-A")
    done = diverged.run(*command)
    assert done.returncode == 0, done
    assert "reviewer:" not in done.stderr
    if begin == "rebase":
        diverged.git("rebase", "--continue")
        assert diverged.git("symbolic-ref", "--short", "HEAD") == "side"
    assert diverged.head != before


# --- what the review says


def test_wrong_input_refuses_with_its_line(kernel: Repository) -> None:
    (kernel.folder / ".reviewer.toml").write_text("colour = true\n")
    kernel.make()
    kernel.add_function()
    done = kernel.commit("-a")
    assert done.returncode == 1
    assert done.stderr.startswith("reviewer: .reviewer.toml") and done.stderr.count("\n") == 1


def test_an_incomplete_review_is_said_and_passes(kernel: Repository, hook: Hook) -> None:
    hook("install", kernel.folder, "--no-store")  # which would know what the file says
    blob = kernel.git("rev-parse", "HEAD:drivers/tty/sysrq.c")
    (kernel.folder / ".git/objects" / blob[:2] / blob[2:]).unlink()
    kernel.add_function()
    done = kernel.commit("-a")
    assert done.returncode == 0, done
    assert done.stderr.startswith("reviewer: the review is incomplete: drivers/tty/sysrq.c (")
    assert done.stderr.count("\n") == 1
    kernel.allocate()
    refuses(kernel.commit("-a"))


def test_options_of_the_installation(kernel: Repository, hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hook("install", kernel.folder, "--fail-on", "never", "--store", "a store")
    kernel.allocate()
    done = kernel.commit("-a")
    assert done.returncode == 0
    assert "introduced: " in done.stderr and SKIP_LINE not in done.stderr
    assert (tmp_path / "a store").is_dir(), "a path is relative to where it was said"
    kernel.git("reset", "-q", "--soft", "HEAD^")
    hook("install", kernel.folder, "--path", "drivers/gpu", "--no-store")
    passes(kernel.commit())


def test_settings_of_the_tree_hold(kernel: Repository) -> None:
    (kernel.folder / ".reviewer.toml").write_text('fail-on = "never"\nformat = "json"\n')
    kernel.make()
    kernel.allocate()
    done = kernel.commit("-a")
    assert done.returncode == 0
    assert f"introduced: {BALLOON}:" in done.stderr


def test_nothing_of_the_tree_is_imported(kernel: Repository) -> None:
    for name in ("click.py", "reviewer.py", "sitecustomize.py", "subprocess.py"):
        (kernel.folder / name).write_text("open('trapped', 'w')\n")
    kernel.allocate()
    kernel.git("add", "-A")
    refuses(kernel.commit())
    assert not (kernel.folder / "trapped").exists()


# --- which program


def python_is(repository: Repository, hook: Hook, monkeypatch: pytest.MonkeyPatch, python: str) -> None:
    monkeypatch.setattr("sys.executable", python)
    hook("install", repository.folder)


def test_without_its_interpreter_the_one_on_path(
    kernel: Repository, hook: Hook, monkeypatch: pytest.MonkeyPatch, on_path: Path
) -> None:
    python_is(kernel, hook, monkeypatch, "/no/such/python")
    kernel.allocate()
    refuses(kernel.commit("-a", PATH=f"{on_path}:{os.environ['PATH']}"))


@pytest.mark.parametrize("python", ["absent", "without it"])
def test_without_any_it_says_so_and_passes(
    bare_kernel: Repository, hook: Hook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, python: str
) -> None:
    tools = tmp_path / "tools"  # no reviewer there
    tools.mkdir()
    for name in ("git", "dirname", "sh"):
        (tools / name).symlink_to(str(shutil.which(name)))
    real = os.path.realpath(sys.executable)
    wrapper = tmp_path / "python"
    wrapper.write_text(f"#!/bin/sh\nPYTHONPATH= exec '{real}' -I -S \"$@\"\n")
    wrapper.chmod(0o755)
    python_is(bare_kernel, hook, monkeypatch, "/no/such/python" if python == "absent" else str(wrapper))
    bare_kernel.allocate()
    done = bare_kernel.commit("-a", PATH=str(tools))
    assert done.returncode == 0
    assert done.stderr.startswith("reviewer: not installed any more, so that nothing was reviewed; ")
    assert done.stderr.count("\n") == 1


# --- the former hook


def test_the_former_hook_runs_first(bare_kernel: Repository, hook: Hook, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    former(bare_kernel, f'#!/bin/sh\necho "$# $GIT_INDEX_FILE $MINE" >>"{seen}"\nexit ${{REFUSE:-0}}\n')
    said = hook("install", bare_kernel.folder)
    assert KEPT in said
    bare_kernel.add_function()
    bare_kernel.git("add", "-A")
    done = bare_kernel.commit(MINE="hello", REFUSE="3")
    assert done.returncode == 1
    bare_kernel.allocate()
    assert "introduced" not in bare_kernel.commit("-a", REFUSE="3").stderr, "what it refuses is not reviewed"
    refuses(bare_kernel.commit("-a"))
    passes(bare_kernel.commit("-a", SKIP="reviewer"))
    assert [line.split()[0] for line in seen.read_text().splitlines()] == ["0"] * 4
    _, index, mine = seen.read_text().splitlines()[0].split(" ")
    assert index.endswith(".git/index") and mine == "hello"


def test_what_the_former_hook_stages_is_reviewed(bare_kernel: Repository, hook: Hook) -> None:
    former(bare_kernel, f"#!/bin/sh\ngit add {BALLOON}\n")
    hook("install", bare_kernel.folder)
    bare_kernel.allocate()
    bare_kernel.add_function()
    bare_kernel.git("add", OOM)
    refuses(bare_kernel.commit())


def test_a_former_hook_that_git_would_not_run_is_not_run(bare_kernel: Repository, hook: Hook) -> None:
    former(bare_kernel, "#!/bin/sh\nexit 1\n", mode=0o644)
    hook("install", bare_kernel.folder)
    bare_kernel.add_function()
    passes(bare_kernel.commit("-a"))


@pytest.mark.parametrize("mode", [0o755, 0o700, 0o644, None], ids=["usual", "private", "closed", "link"])
def test_the_former_state_comes_back(bare_kernel: Repository, hook: Hook, tmp_path: Path, mode: int | None) -> None:
    hooks = hook_file(bare_kernel).parent
    if mode is None:
        (tmp_path / "shared hook").write_text("#!/bin/sh\n")
        hook_file(bare_kernel).symlink_to(tmp_path / "shared hook")
    else:
        file = former(bare_kernel, "#!/bin/sh\nexit 0 # \xff\n", mode)
        os.utime(file, (1, 1))
    before = snapshot(hooks)
    hook("install", bare_kernel.folder)
    assert snapshot(hooks) != before
    assert stat.S_IMODE(hook_file(bare_kernel).lstat().st_mode) & 0o700 == 0o700
    assert hook("uninstall", bare_kernel.folder).startswith("removed, and the former one is back: ")
    assert snapshot(hooks) == before


def test_no_former_hook_and_no_folder(bare_kernel: Repository, hook: Hook) -> None:
    hooks = hook_file(bare_kernel).parent
    before = snapshot(hooks)
    hook("install", bare_kernel.folder)
    hook("uninstall", bare_kernel.folder)
    assert snapshot(hooks) == before
    shutil.rmtree(hooks)
    hook("install", bare_kernel.folder)
    hook("install", bare_kernel.folder, "--jobs", "1")  # and it still knows that the folder was not there
    hook("uninstall", bare_kernel.folder)
    assert not hooks.exists()


def test_installed_twice(bare_kernel: Repository, hook: Hook) -> None:
    former(bare_kernel, "#!/bin/sh\nexit 1\n")
    hook("install", bare_kernel.folder, "--fail-on", "high")
    once = snapshot(hook_file(bare_kernel).parent)
    assert "is installed already" in hook("install", bare_kernel.folder, "--fail-on", "high")
    assert snapshot(hook_file(bare_kernel).parent) == once
    assert "installed anew" in hook("install", bare_kernel.folder, "--fail-on", "low")
    assert b"--fail-on low" in hook_file(bare_kernel).read_bytes()
    assert (hook_file(bare_kernel).with_name(KEPT)).read_text() == "#!/bin/sh\nexit 1\n"


# --- what is left alone


def refused(said: str, *parts: str) -> None:
    assert said.startswith("reviewer: ") and said.count("\n") == 1, said
    for part in parts:
        assert part in said


def test_an_edited_hook(kernel: Repository, hook: Hook) -> None:
    with hook_file(kernel).open("a") as file:
        file.write("echo mine\n")
    before = snapshot(hook_file(kernel).parent)
    refused(hook("install", kernel.folder, "--jobs", "1", code=2), "edited since")
    refused(hook("uninstall", kernel.folder, code=2), "edited since")
    assert snapshot(hook_file(kernel).parent) == before


@pytest.mark.parametrize(
    ("text", "part"),
    [("#!/bin/bash\n# File generated by pre-commit: https://pre-commit.com\n", ".pre-commit-config.yaml"), (None, "move it")],
)
def test_a_hook_that_must_not_be_moved(bare_kernel: Repository, hook: Hook, text: str | None, part: str) -> None:
    if text is not None:
        former(bare_kernel, text)
    else:
        hook_file(bare_kernel).mkdir(parents=True)
    before = snapshot(hook_file(bare_kernel).parent)
    refused(hook("install", bare_kernel.folder, code=2), part)
    refused(hook("uninstall", bare_kernel.folder, code=2), "another hook", "reviewer hook install")
    assert snapshot(hook_file(bare_kernel).parent) == before


def test_a_former_hook_of_an_earlier_installation(kernel: Repository, hook: Hook) -> None:
    """Somebody has put a new hook over ours, so that there are two former ones."""
    former(kernel, "one")
    hook_file(kernel).with_name(KEPT).write_text("two")
    refused(hook("install", kernel.folder, code=2), KEPT, "in the way")
    assert (hook_file(kernel).read_text(), hook_file(kernel).with_name(KEPT).read_text()) == ("one", "two")


def test_an_installation_that_fails_half_way(bare_kernel: Repository, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    former(bare_kernel, "#!/bin/sh\n")
    before = snapshot(hook_file(bare_kernel).parent)

    def full(file: Path, text: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("reviewer.deliver.hook._replace", full)
    refused(hook("install", bare_kernel.folder, code=2), "No space left on device")
    assert snapshot(hook_file(bare_kernel).parent) == before


def test_not_installed(bare_kernel: Repository, hook: Hook) -> None:
    refused(hook("uninstall", bare_kernel.folder, code=2), "no hook", "reviewer is not installed there")


def test_no_place_for_a_hook(bare_kernel: Repository, hook: Hook, tmp_path: Path) -> None:
    bare_kernel.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    for verb in ("install", "uninstall"):
        refused(hook(verb, tmp_path / "bare.git", code=2), "bare repository")
        refused(hook(verb, tmp_path, code=2), "no git repository")
        refused(hook(verb, tmp_path / "absent", code=2), "no git repository")
        refused(hook(verb, bare_kernel.folder / "mm", code=2), "no git repository")


def test_wrong_options_are_seen_before_anything_is_written(bare_kernel: Repository, hook: Hook) -> None:
    for options in (("--rules", "no-such"), ("--rules-dir", "/no"), ("--store", "a", "--no-store"), ("--config", "/no")):
        refused(hook("install", bare_kernel.folder, *options, code=2))
    assert not hook_file(bare_kernel).exists()


# --- where git looks for hooks


def test_a_hooks_folder_in_the_tree(bare_kernel: Repository, hook: Hook) -> None:
    bare_kernel.git("config", "core.hooksPath", "tools/git hooks")
    hook("install", bare_kernel.folder)
    assert (bare_kernel.folder / "tools/git hooks/pre-commit").is_file()
    assert not hook_file(bare_kernel).exists()
    bare_kernel.allocate()
    refuses(bare_kernel.commit("-a"))
    hook("uninstall", bare_kernel.folder)
    assert not (bare_kernel.folder / "tools/git hooks").exists()


def test_a_hooks_folder_of_all_repositories(bare_kernel: Repository, hook: Hook, tmp_path: Path) -> None:
    """The hook is for the one in which it was installed."""
    (Path(bare_kernel.environment["HOME"]) / ".gitconfig").write_text('[core]\n\thooksPath = "~/my hooks"\n')
    other = dataclasses.replace(bare_kernel, folder=tmp_path / "other")
    shutil.copytree(bare_kernel.folder, other.folder)
    hook("install", bare_kernel.folder)
    assert (Path(bare_kernel.environment["HOME"]) / "my hooks/pre-commit").is_file()
    for repository in (bare_kernel, other):
        repository.allocate()
    refuses(bare_kernel.commit("-a"))
    passes(other.commit("-a"))
    for verb in ("install", "uninstall"):
        refused(hook(verb, other.folder, code=2), "another repository")
    hook("uninstall", bare_kernel.folder)


def test_hooks_that_are_switched_off(bare_kernel: Repository, hook: Hook) -> None:
    bare_kernel.git("config", "core.hooksPath", "/dev/null")
    for verb in ("install", "uninstall"):
        refused(hook(verb, bare_kernel.folder, code=2), "/dev/null", "core.hooksPath")


def test_a_linked_work_tree(bare_kernel: Repository, hook: Hook, tmp_path: Path) -> None:
    bare_kernel.git("worktree", "add", "-q", str(tmp_path / "linked"))
    linked = dataclasses.replace(bare_kernel, folder=tmp_path / "linked")
    hook("install", linked.folder)
    for repository in (linked, bare_kernel):
        repository.allocate()
        refuses(repository.commit("-a"))
        repository.edit(BALLOON, "GFP_KERNEL);\n\tmutex_lock", "GFP_ATOMIC);\n\tmutex_lock")
        passes(repository.commit("-a"))
    hook("uninstall", bare_kernel.folder)


def test_a_work_tree_apart_from_its_repository(kernel: Repository, tmp_path: Path) -> None:
    """As with ``git --git-dir``: there is no ``.git`` where the hook runs."""
    (kernel.folder / ".git").rename(tmp_path / "apart.git")
    kernel.allocate()
    apart = ("git", "--git-dir", str(tmp_path / "apart.git"), "--work-tree", ".", "commit", "-q", "-m", "message")
    refuses(kernel.run(*apart, "-a"))
    kernel.add_function()
    passes(kernel.run(*apart, OOM))
