"""Small repositories to look at, built with plain git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


def run_git(folder: Path, *arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


FILES = {
    "mm/demo.c": b"static int pump;\nint pump_read(void)\n{\n\treturn pump;\n}\n",
    "include/demo.h": b"int pump_read(void);\n",
    "Makefile": b"obj-y += mm/\n",
    "drivers/odd name.c": b"int odd;\n",
}


def write_files(folder: Path) -> None:
    for path, content in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


@pytest.fixture
def git() -> Callable[..., str]:
    return run_git


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "plain"
    folder.mkdir()
    write_files(folder)
    return folder


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    write_files(folder)
    run_git(folder, "init", "-q", "-b", "main")
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-q", "-m", "one")
    return folder


@pytest.fixture
def bare(tmp_path: Path, work_tree: Path) -> Path:
    folder = tmp_path / "bare.git"
    run_git(tmp_path, "clone", "-q", "--bare", str(work_tree), str(folder))
    return folder
