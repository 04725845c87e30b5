"""``.pre-commit-hooks.yaml`` with the pre-commit framework itself; only the way of installing is another one."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from reviewer.deliver.patchfolders import PATCH

if TYPE_CHECKING:
    from conftest import Repository

    Hook = Callable[..., str]

pytest.importorskip("pre_commit", reason="needs the pre-commit framework (pip install '.[dev]')")

MANIFEST = Path(__file__).resolve().parents[2] / ".pre-commit-hooks.yaml"
HOOKS: list[dict[str, Any]] = yaml.safe_load(MANIFEST.read_text())

FRAMEWORK = (sys.executable, "-m", "pre_commit")


def use(repository: Repository, on_path: Path, id: str, *arguments: str) -> Repository:
    """The repository with the framework installed, and one hook of ours; what it keeps for itself goes to its HOME."""
    (hook,) = (hook for hook in HOOKS if hook["id"] == id)
    local = {**hook, "language": "system", "args": list(arguments)}
    (repository.folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [{"repo": "local", "hooks": [local]}]}))
    environment = {**repository.environment, "PRE_COMMIT_HOME": f"{repository.environment['HOME']}/framework"}
    environment["PATH"] = f"{on_path}:{environment['PATH']}"
    result = dataclasses.replace(repository, environment=environment)
    result.git("add", "-A")
    result.git("commit", "-q", "-m", "configuration")
    done = result.run(*FRAMEWORK, "install")
    assert done.returncode == 0, done
    return result


def test_the_manifest_is_valid(bare_kernel: Repository) -> None:
    done = bare_kernel.run(*FRAMEWORK, "validate-manifest", str(MANIFEST))
    assert done.returncode == 0, done
    assert [hook["files"] for hook in HOOKS] == [r"\.[ch]$", r"\.(patch|diff)$|(^|/)series$"]
    for name in ("a/b.patch", "series", "p/series", "b.diff", "myseries", "series/a", "a.patch.orig"):
        assert bool(re.search(HOOKS[1]["files"], name)) == bool(PATCH.search(name)), name


def test_staged_changes(bare_kernel: Repository, on_path: Path) -> None:
    kernel = use(bare_kernel, on_path, "reviewer")
    kernel.add_function()
    done = kernel.commit("-a")
    assert done.returncode == 0, done
    assert "introduced" not in done.stderr + done.stdout
    kernel.allocate()
    done = kernel.commit("-a")
    assert done.returncode == 1
    assert "kzalloc() with GFP_KERNEL in leak_balloon" in done.stderr + done.stdout
    kernel.git("reset", "-q")
    kernel.add_function()
    done = kernel.commit("mm/oom_kill.c")  # the framework puts the hazard, which is not staged, aside meanwhile
    assert done.returncode == 0, done
    assert kernel.commit("-a", SKIP="reviewer").returncode == 0


def test_options(bare_kernel: Repository, on_path: Path) -> None:
    kernel = use(bare_kernel, on_path, "reviewer", "--fail-on", "never")
    kernel.allocate()
    assert kernel.commit("-a").returncode == 0


def test_ours_does_not_push_its_hook_aside(bare_kernel: Repository, on_path: Path, hook: Hook) -> None:
    kernel = use(bare_kernel, on_path, "reviewer")
    before = (kernel.folder / ".git/hooks/pre-commit").read_bytes()
    assert ".pre-commit-config.yaml" in hook("install", kernel.folder, code=2)
    assert (kernel.folder / ".git/hooks/pre-commit").read_bytes() == before


def test_the_framework_over_ours(bare_kernel: Repository, on_path: Path, hook: Hook) -> None:
    """It keeps the hook that it finds and runs it, and so each finding is told twice, but nothing is lost."""
    hook("install", bare_kernel.folder)
    kernel = use(bare_kernel, on_path, "reviewer-series", "--tree", ".")
    kernel.allocate()
    done = kernel.commit("-a")
    assert done.returncode == 1
    assert "kzalloc() with GFP_KERNEL in leak_balloon" in done.stderr + done.stdout


def test_a_tree_of_patches(bare_kernel: Repository, on_path: Path, tmp_path: Path) -> None:
    bare_kernel.allocate()
    hazard = bare_kernel.git("diff") + "\n"
    bare_kernel.git("checkout", "-q", ".")
    folder = tmp_path / "keeper"
    (folder / "patches").mkdir(parents=True)
    (folder / "patches/series").write_text("# none yet\n")
    (folder / "patches/README").write_text("text\n")
    keeper = dataclasses.replace(bare_kernel, folder=folder)
    keeper.git("init", "-q", "-b", "main")
    keeper = use(keeper, on_path, "reviewer-series", "--tree", str(bare_kernel.folder))
    (folder / "patches/series").write_text("a.patch\n")
    (folder / "patches/a.patch").write_text(hazard)
    keeper.git("add", "-A")
    done = keeper.commit()
    assert done.returncode == 1
    assert "kzalloc() with GFP_KERNEL in leak_balloon" in done.stderr + done.stdout
    (folder / "patches/a.patch").write_text(hazard.replace("GFP_KERNEL", "GFP_ATOMIC"))
    keeper.git("add", "-A")
    assert keeper.commit().returncode == 0
    (folder / "patches/README").write_text("more\n")
    done = keeper.commit("-a")
    assert done.returncode == 0 and "no files to check" in done.stderr + done.stdout
    assert keeper.run(*FRAMEWORK, "run", "--all-files").returncode == 0
