"""Small kernels in repositories, patch series for them as mails, and what a review says of those."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from reviewer.cli.main import run

Edit = Callable[[str], str]
"""The text of a file before and after."""

Edits = Mapping[str, Edit | str | None]
"""By path: how it is edited, a whole new text, or None where it goes."""


def git(folder: Path, *arguments: str, input: bytes | None = None) -> str:
    """git in ``folder``, without the settings of whoever runs the tests, at a fixed time."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "A", f"GIT_{who}_EMAIL": "a@example.org", f"GIT_{who}_DATE": "1500000000 +0000"}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, input=input)
    return os.fsdecode(done.stdout).rstrip("\n")


def write(folder: Path, edits: Edits) -> None:
    for name, edit in edits.items():
        path = folder / name
        if edit is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(edit if isinstance(edit, str) else edit(path.read_text()))


def instead(*pairs: tuple[str, str]) -> Edit:
    """Each first text, which stands there once, becomes the second."""

    def edit(text: str) -> str:
        for old, new in pairs:
            assert text.count(old) == 1, f"{old!r} stands there {text.count(old)} times"
            text = text.replace(old, new)
        return text

    return edit


def commit(folder: Path, message: str = "base") -> str:
    """Everything as one commit of a repository, which is made if need be; its id."""
    if not (folder / ".git").exists():
        git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


class Patch(NamedTuple):
    """A patch to be written. ``moves``: old path to new path, before the edits."""

    edits: Edits
    subject: str = "mm: a change"
    moves: Mapping[str, str] = {}


@dataclass
class Kernel:
    """A repository whose ``main`` is the base of every series."""

    folder: Path
    mails: int = 0

    @property
    def base(self) -> str:
        return git(self.folder, "rev-parse", "main")

    def text(self, path: str) -> str:
        return (self.folder / path).read_text()

    def commits(self, *patches: Patch) -> str:
        """The patches as commits on top of the base, which no branch names; the id of the last."""
        git(self.folder, "checkout", "-q", "--detach", "main")
        try:
            for patch in patches:
                for old, new in patch.moves.items():
                    (self.folder / new).parent.mkdir(parents=True, exist_ok=True)
                    git(self.folder, "mv", old, new)
                write(self.folder, patch.edits)
                last = commit(self.folder, patch.subject)
        finally:
            git(self.folder, "checkout", "-q", "-f", "main")
        return last

    def series(self, *patches: Patch) -> Path:
        """The patches as ``git format-patch`` writes them, in one mbox."""
        last = self.commits(*patches)
        self.mails += 1
        path = self.folder.parent / f"series{self.mails}.mbox"
        path.write_text(git(self.folder, "format-patch", "-M", "--stdout", "--thread", f"main..{last}") + "\n")
        return path


@dataclass(frozen=True)
class Said:
    """What a review in JSON says. ``code``: the exit code."""

    code: int
    report: Mapping[str, Any]

    def findings(self, status: str | None = "introduced", **parts: object) -> list[dict[str, Any]]:
        """Those of this status whose other parts are like these."""
        return [
            f for f in self.report["findings"]
            if status in (None, f["status"]) and all(f[key] == value for key, value in parts.items())
        ]  # fmt: skip

    def rules(self, status: str = "introduced") -> list[tuple[str, str]]:
        """(rule, severity) of the findings of this status, sorted."""
        return sorted((f["rule"], f["severity"]) for f in self.findings(status))

    def contexts(self) -> dict[tuple[str, str], dict[str, Any]]:
        """By (file, function)."""
        return {(c["file"], c["function"]): c for c in self.report["contexts"]}


@dataclass
class Desk:
    """Where reviews are asked for."""

    folder: Path
    asked: int = 0
    options: Sequence[str] = field(default=("--jobs", "1", "--no-store"))

    def text(self, *arguments: object) -> tuple[int, str]:
        """The exit code and the report for people."""
        self.asked += 1
        out = self.folder / f"out{self.asked}"
        code = run(["review", *map(str, arguments), *self.options, "-o", str(out)])
        return code, out.read_text() if out.exists() else ""

    def json(self, *arguments: object) -> Said:
        code, text = self.text(*arguments, "--format", "json")
        return Said(code, json.loads(text))
