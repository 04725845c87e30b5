"""Every fixture tree says what its marks want; the trees themselves are well made.

One test per tree: a missing, an unexpected, a fired-on-quiet and a found-a-known-miss all fail it.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from reviewer.checks.examples import compare, marks, trees
from reviewer.checks.finding import Finding
from reviewer.checks.result import ScanRequest
from reviewer.data import fixtures_dir

TREES = trees(fixtures_dir())
RULE_TREES = [t for t in TREES if t.name != "oom"]

by_name = pytest.mark.parametrize("tree", TREES, ids=lambda t: t.name)
by_rule = pytest.mark.parametrize("tree", RULE_TREES, ids=lambda t: t.name)


def scan(tree: Path, *, everything: bool) -> tuple[Finding, ...]:
    """The findings of any confidence in a tree, read from disk with no store."""
    try:
        from reviewer.checks.run import scan as run
        from reviewer.program.api.load import load_models
        from reviewer.source.tree import open_tree
        from reviewer.store.factstore import NullStore
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("reviewer."):
            pytest.skip(f"{error.name} is not there yet")
        raise
    request = ScanRequest(everything=everything)
    result = run(open_tree(str(tree), None), NullStore(), load_models(), request, lambda what, done, of: None)
    assert not result.skipped
    return result.findings


@by_name
def test_findings_are_what_the_marks_say(tree: Path) -> None:
    problems = compare(marks(tree), scan(tree, everything=True))
    assert not problems, "\n" + "\n".join(map(str, problems))


def test_the_default_scan_finds_all_of_the_oom_tree() -> None:
    tree = fixtures_dir() / "oom"
    problems = compare(marks(tree), scan(tree, everything=False))
    assert not problems, "\n" + "\n".join(map(str, problems))


# --- the trees themselves: these need no engine ---


@by_rule
def test_a_rules_tree_has_cases_for_both_answers(tree: Path) -> None:
    kinds = Counter(m.kind for m in marks(tree) if m.rule == tree.name)
    assert kinds["expect"] >= 4, kinds
    assert kinds["quiet"] >= 4, kinds


@by_name
def test_files_are_short_enough_to_read(tree: Path) -> None:
    for path in tree.rglob("*.[ch]"):
        assert len(path.read_text().splitlines()) <= 120, path


def test_the_miniature_headers_are_the_same_everywhere() -> None:
    texts: dict[str, set[str]] = {}
    for tree in TREES:
        for path in (tree / "include/linux").glob("*.h"):
            texts.setdefault(path.name, set()).add(path.read_text())
    own = {"pressure.h"}  # the chains of one tree
    assert {name for name, seen in texts.items() if len(seen) > 1} <= own


@by_name
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_files_are_valid_c(tree: Path) -> None:
    """A case that no compiler takes proves nothing."""
    files = [str(p) for p in sorted(tree.rglob("*.c"))]
    command = ["gcc", "-fsyntax-only", "-ffreestanding", "-nostdinc", "-Wall", "-Wno-unused-function"]
    done = subprocess.run(
        [*command, f"-I{tree}/include", *files], capture_output=True, text=True, check=False
    )
    assert not done.stderr and not done.returncode, done.stderr
