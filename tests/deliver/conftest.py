"""A small kernel in a repository of its own, and git as its user runs it, hooks and all; b4's own reader of replies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mails import Comment

from reviewer.cli.main import run
from reviewer.data import fixtures_dir

ROOT = Path(__file__).resolve().parents[2]

BALLOON = "drivers/virtio/virtio_balloon.c"
OOM = "mm/oom_kill.c"


@dataclass
class Repository:
    """A work tree. ``environment``: of every git in it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env={**self.environment, **more}, capture_output=True, text=True, timeout=120, check=False
        )

    def git(self, *arguments: str) -> str:
        done = self.run("git", *arguments)
        assert done.returncode == 0, done
        return done.stdout.strip()

    def commit(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A ``git commit`` with the hook, that may be refused."""
        return self.run("git", "commit", "-q", "-m", "message", *arguments, **more)

    def make(self, *arguments: str) -> None:
        """A commit of everything without any hook."""
        self.git("add", "-A")
        self.git("commit", "-q", "--no-verify", "-m", "made", *arguments)

    def edit(self, name: str, old: str, new: str) -> None:
        file = self.folder / name
        text = file.read_text()
        assert text.count(old) == 1, f"{name} has changed: {old!r}"
        file.write_text(text.replace(old, new))

    def allocate(self) -> None:
        """A hazard: the OOM killer's callback comes to allocate."""
        begin = "\tunsigned int given;\n\n"
        self.edit(BALLOON, f"{begin}\tmutex_lock", f"{begin}\tkzalloc(8, GFP_KERNEL);\n\tmutex_lock")

    def allocate_there(self) -> None:
        """Another hazard, with a place of its own: the callback itself allocates."""
        self.edit(BALLOON, "\tgiven = leak_balloon(", "\tkzalloc(4, GFP_KERNEL);\n\tgiven = leak_balloon(")

    def add_function(self, name: str = OOM, of: str = "") -> None:
        """No hazard."""
        file = self.folder / name
        text = file.read_text()
        file.write_text(f"{text}\nint added{of}_{len(text)}(int number)\n{{\n\treturn number + 1;\n}}\n")

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One fact store for all: the same small tree is looked at again and again."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def environment(tmp_path: Path, cache: Path) -> dict[str, str]:
    """Of a user without settings."""
    home = tmp_path / "home"
    home.mkdir()
    result = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PRE_COMMIT"))}
    result |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    result |= {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "GIT_EDITOR": "true", "XDG_CACHE_HOME": str(cache)}
    result |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("SKIP", "XDG_CONFIG_HOME"):
        result.pop(name, None)
    return result


@pytest.fixture
def bare_kernel(tmp_path: Path, environment: dict[str, str]) -> Repository:
    """A small kernel, committed; the name of its folder wants quoting. No hook."""
    folder = tmp_path / "the kernel's \"tree\""
    shutil.copytree(fixtures_dir() / "oom", folder)
    repository = Repository(folder, environment)
    repository.git("init", "-q", "-b", "main")
    repository.make()
    return repository


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs ``reviewer hook`` in this process; returns what it says."""

    def command(*arguments: str | Path, code: int = 0) -> str:
        for name in ("HOME", "GIT_CONFIG_NOSYSTEM", "XDG_CACHE_HOME"):
            monkeypatch.setenv(name, environment[name])
        capfd.readouterr()
        assert run(["hook", *map(str, arguments)]) == code
        out, err = capfd.readouterr()
        return out + err

    return command


@pytest.fixture
def kernel(bare_kernel: Repository, hook: Callable[..., str]) -> Repository:
    """The same with the hook."""
    hook("install", bare_kernel.folder)
    return bare_kernel


@pytest.fixture
def on_path(tmp_path: Path) -> Path:
    """A folder with ``reviewer`` in it, for PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "reviewer"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -P -c 'from reviewer.cli.main import main; main()' \"$@\"\n")
    script.chmod(0o755)
    return folder


@pytest.fixture
def b4_comments() -> Callable[..., list[Comment]]:
    """The remarks that b4 finds; given the diff of the patch, at the places that it settles on."""
    review = pytest.importorskip("b4.review._review")

    def read(body: str, diff: str | None = None) -> list[Comment]:
        found = review._extract_comments_from_quoted_reply(body)
        if diff is not None:
            review._resolve_comment_positions(diff, found)
        return [Comment(c["path"].removeprefix("b/").removeprefix("a/"), c["line"], c["content"], c["text"]) for c in found]

    return read
