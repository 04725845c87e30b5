"""The parts of a scan: what they share shows in nothing that they say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from reviewer.checks.examples import trees
from reviewer.checks.finding import Finding
from reviewer.checks.groups import Done, Job, done, general_task
from reviewer.checks.registry import checks
from reviewer.checks.result import ScanRequest, ScanResult
from reviewer.checks.run import maker, scan
from reviewer.data import fixtures_dir
from reviewer.parse.dialect import load_dialect
from reviewer.program.api.load import load_models
from reviewer.program.index.files import Files
from reviewer.source.tree import open_tree
from reviewer.store.factstore import NullStore

GENERAL = [c for c in checks() if c.general is not None]

TREES = [t for t in trees(fixtures_dir()) if t.name in {c.id for c in GENERAL}]

by_name = pytest.mark.parametrize("tree", TREES, ids=lambda t: t.name)


def parts(tree: Path, files: Sequence[str]) -> dict[str, Done]:
    """What the general rules say of each file by itself, asked one after the other by one process."""
    opened, store, request = open_tree(str(tree)), NullStore(), ScanRequest(everything=True)
    fresh, in_memory = maker(opened, store, load_models(), request), Files(opened, load_dialect())
    job = Job(fresh, in_memory, opened, store, GENERAL, {}, True, False)
    return {file: done(job, [general_task((file,))])[0] for file in files}


def findings(results: dict[str, Done]) -> dict[str, list[Finding]]:
    return {file: result.findings for file, result in results.items()}


@by_name
def test_files_in_memory_show_in_nothing_that_a_part_says(tree: Path) -> None:
    files = [p for p in open_tree(str(tree)).paths() if p.endswith(".c")]
    there, back = parts(tree, files), parts(tree, files[::-1])
    assert any(one.findings for one in there.values())
    for file in files:
        assert there[file].findings == back[file].findings
        assert there[file].trace == back[file].trace, "what it rests on does not depend on who was asked before"
        assert there[file].record.bodies == back[file].record.bodies


def test_a_question_about_one_file_asks_no_callback_of_other_files() -> None:
    tree = open_tree(str(fixtures_dir() / "oom"))

    def answer(*paths: str) -> ScanResult:
        return scan(tree, NullStore(), load_models(), ScanRequest(everything=True, paths=paths, jobs=1), lambda *_: None)

    whole = answer("mm/oom_kill.c")
    assert len(whole.chains[0].users) > 3
    for path in {user.file for user in whole.chains[0].users}:
        one = answer(path)
        assert len(one.chains[0].users) == len(whole.chains[0].users), "who else is on the chain is said"
        assert one.stats.functions < whole.stats.functions
        chains = {c.id for c in checks() if c.chains}
        assert {f for f in one.findings if f.file == path and f.rule in chains} == {
            f for f in whole.findings if f.file == path and f.rule in chains
        }
