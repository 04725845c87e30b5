"""A review says the same by one process and by two."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from kernels import commit

from reviewer.cli.main import run
from reviewer.data import fixtures_dir
from reviewer.review.halves import THERE


def reviewed(tree: Path, out: Path, *options: str) -> dict[str, object]:
    """The answer about the last commit, without the time that it took."""
    code = run(["review", str(tree), "--range", "HEAD~1..HEAD", "-q", "--format", "json", "-o", str(out), *options])
    assert code in (0, 1)
    answer = json.loads(out.read_text())
    del answer["stats"]["seconds"]
    return answer


def edited(tree: Path, case: str) -> None:
    """Makes one edit of ``edits.yaml`` the last commit of its tree."""
    cases = yaml.safe_load((tree / "edits.yaml").read_text())
    (mine,) = (c for c in cases if c["id"] == case)
    for edit in mine["edits"]:
        file = tree / edit["file"]
        file.write_text(file.read_text().replace(edit["find"], edit["replace"]))
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@localhost"]
    subprocess.run(["git", "-C", str(tree), *who, "commit", "-qam", case], check=True)


@pytest.mark.parametrize(
    ("rule", "case"), [("unguarded-access", "papers-of-another-folder"), ("teardown-order", "left-to-nobody")]
)
def test_what_is_said_does_not_depend_on_the_number_of_processes(rule: str, case: str, tmp_path: Path) -> None:
    tree = tmp_path / "linux"
    shutil.copytree(fixtures_dir() / rule, tree)
    commit(tree)
    edited(tree, case)
    alone, together = (reviewed(tree, tmp_path / "out.json", "--no-store", "--jobs", jobs) for jobs in ("1", "2"))
    assert alone == together
    assert [f for f in alone["findings"] if f["rule"] == rule and f["status"] == "introduced"]  # type: ignore[attr-defined]


def test_the_other_process_keeps_what_it_has_made(tmp_path: Path) -> None:
    tree, store = tmp_path / "linux", tmp_path / "store"
    shutil.copytree(fixtures_dir() / "unguarded-access", tree)
    commit(tree)
    edited(tree, "papers-of-another-folder")
    answers = [reviewed(tree, tmp_path / "out.json", "--store", str(store), "--jobs", "2") for _ in range(2)]
    assert answers[0] == answers[1]


def test_there_are_rules_for_both() -> None:
    rules = {p.stem for p in (fixtures_dir().parent / "rules").glob("*.yaml")}
    assert rules >= THERE and rules - THERE
