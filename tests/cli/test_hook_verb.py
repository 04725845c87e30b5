"""``reviewer hook`` as a command; what the hook then does is in tests/deliver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reviewer.cli.hook import printed, words
from reviewer.cli.options import Options

if TYPE_CHECKING:
    from conftest import Outcome

    Run = Callable[..., Outcome]


def test_a_folder_that_may_not_be_written(process: Run, kernel: Path, says: Callable[..., None]) -> None:
    hooks = kernel / ".git/hooks"
    assert process("hook", "install", kernel).code == 0
    hooks.chmod(0o500)
    says(process("hook", "uninstall", kernel), 2, str(hooks), "make it writable")
    (hooks / "pre-commit").chmod(0)
    says(process("hook", "install", kernel, "--jobs", "1"), 2, "pre-commit: Permission denied", "make the hook readable")
    hooks.chmod(0o700)
    (hooks / "pre-commit").unlink()
    (hooks / "pre-commit").write_text("#!/bin/sh\n")
    hooks.chmod(0o500)
    says(process("hook", "install", kernel), 2, str(hooks), "make it writable")
    assert [path.name for path in hooks.glob("pre-commit*") if not path.name.endswith(".sample")] == ["pre-commit"]
    hooks.chmod(0o700)


def test_what_is_not_for_a_hook_is_refused(real: Run, kernel: Path, says: Callable[..., None]) -> None:
    for option in (("--rev", "HEAD"), ("--format", "json"), ("-o", "file"), ("-q",)):
        says(real("hook", "install", kernel, *option), 2, "No such option", "reviewer hook install --help")


def test_the_words_of_the_hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert words(Options(), None) == []
    said = Options(path=("a b", "mm"), fail_on="never", jobs=2, baseline="old.json", rules_dir=("/r",), no_store=True)
    assert words(said, "all") == [
        "--chain", "all", "--path", "a b", "--path", "mm", "--fail-on", "never", "--rules-dir", "/r",
        "--baseline", f"{tmp_path}/old.json", "--jobs", "2", "--no-store",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("least", "fail", "weakest"),
    [(None, None, "medium"), (None, "low", "low"), ("low", "high", "low"), ("high", None, "medium"), ("high", "never", "high")],
)
def test_no_commit_is_refused_for_what_is_not_printed(least: str | None, fail: str | None, weakest: str) -> None:
    assert printed(Options(min_confidence=least, fail_on=fail)) == weakest
