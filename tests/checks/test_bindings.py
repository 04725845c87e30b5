"""Callees that are passed too many numbers for a summary of each: what they come to is told by what leads there."""

from __future__ import annotations

import pytest

from reviewer.checks.result import ScanRequest
from reviewer.checks.run import scan
from reviewer.data import fixtures_dir
from reviewer.program.api.load import load_models
from reviewer.program.flow import summaries
from reviewer.source.tree import open_tree
from reviewer.store.factstore import NullStore


@pytest.mark.parametrize("many", [0, summaries.MAX_BINDINGS])
def test_the_arm_of_a_switch_that_the_caller_chooses(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summaries, "MAX_BINDINGS", many)
    tree = open_tree(str(fixtures_dir() / "sleep-in-atomic"), None)
    request = ScanRequest(everything=True, rules=("sleep-in-atomic",), paths=("drivers/orders.c",))
    found = scan(tree, NullStore(), load_models([], None), request, lambda *_: None).findings
    assert {f.function for f in found if f.confidence != "low"} == {"bench_tick"}
    assert [("bench_make" in f.message) for f in found if f.confidence != "low"] == [True]
