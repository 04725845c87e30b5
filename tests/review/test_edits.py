"""Patches for the fixture trees: each is found, or nothing is said of it, as its ``edits.yaml`` wants."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from kernels import commit

from reviewer.cli.main import run
from reviewer.data import fixtures_dir

EDITS = sorted(fixtures_dir().glob("*/edits.yaml"))


@pytest.mark.parametrize("edits", EDITS, ids=lambda path: path.parent.name)
def test_a_review_of_each_edit_says_what_it_should(edits: Path, tmp_path: Path) -> None:
    tree, out = tmp_path / "linux", tmp_path / "out.json"
    shutil.copytree(edits.parent, tree)
    commit(tree)
    run(["bench", str(edits), "--tree", str(tree), "--no-store", "--jobs", "1", "-q", "--format", "json", "-o", str(out)])
    cases = json.loads(out.read_text())["cases"]
    assert cases
    missed = [c["id"] for c in cases if c["category"] and not c["found"]]
    told = [(c["id"], f["message"]) for c in cases for f in c["others"]]
    assert (missed, told) == ([], [])
