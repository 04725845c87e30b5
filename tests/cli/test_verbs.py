"""The other verbs, each as far as this layer goes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reviewer.checks.finding import Finding
from reviewer.cli import engine
from reviewer.cli.doctor import sampled
from reviewer.cli.rules import example_trees
from reviewer.errors import InputError
from reviewer.report.doctor import ParseHealth

if TYPE_CHECKING:
    from conftest import Library, Outcome

    Reviewer = Callable[..., Outcome]


def test_context(reviewer: Reviewer, library: Library, tree: Path) -> None:
    (tree / "sub").mkdir()
    outcome = reviewer("context", "pump_notify", "sub")
    assert outcome.code == 0
    assert outcome.out.startswith("pump_notify a.c:3\n")
    assert "\n\npump_notify b.c:3\n" in outcome.out
    assert library.trees[0].path == "sub"
    document = json.loads(reviewer("context", "pump_notify", "--format", "json").out)
    assert document["tree"] == {"path": ".", "rev": None}
    assert [c["file"] for c in document["contexts"]] == ["a.c", "b.c"]


def test_context_of_an_unknown_function(reviewer: Reviewer) -> None:
    line = "reviewer: the tree does not define nowhere; spell it as the tree does\n"
    assert reviewer("context", "nowhere") == (2, "", line)
    assert reviewer("context").err.startswith("reviewer: context: Missing argument 'FUNCTION'; see")


def test_relies_on(reviewer: Reviewer) -> None:
    assert reviewer("relies-on", "struct a.lock").out.startswith("struct a.lock\n")
    assert json.loads(reviewer("relies-on", "a_lock", "--format=json").out)["lock"] == "a_lock"


def test_graphs(reviewer: Reviewer, library: Library) -> None:
    assert '"f" -> "g"' in reviewer("graph", "calls").out
    assert reviewer("graph", "locks", "--from", "f").out.startswith("digraph locks {")
    assert library.asked == [("calls", None), ("locks", "f")]
    assert json.loads(reviewer("graph", "calls", "--format", "json").out)["edges"][0]["target"] == "g"
    assert reviewer("graph", "calls", "--format", "graphml").out.endswith("</graphml>\n")
    assert reviewer("graph", "trees").code == 2


def test_what_an_answer_could_not_read_is_said(reviewer: Reviewer, library: Library) -> None:
    library.skipped = (("mm/a.c", "its blob is absent"),)
    for verb in (["context", "f"], ["relies-on", "l"], ["graph", "calls"]):
        outcome = reviewer(*verb)
        assert outcome.code == 3
        assert "reviewer: skipped mm/a.c: its blob is absent\n" in outcome.err
    document = json.loads(reviewer("context", "f", "--format", "json").out)
    assert document["skipped"] == [{"file": "mm/a.c", "reason": "its blob is absent"}]


def test_svg_without_graphviz_is_said_before_the_analysis(
    reviewer: Reviewer, library: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = reviewer("graph", "calls", "--format", "svg")
    assert outcome.code == 2
    assert outcome.err.startswith("reviewer: svg needs Graphviz's `dot`")
    assert library.trees == []


def test_explain_a_rule(reviewer: Reviewer) -> None:
    outcome = reviewer("explain", "sleep-in-atomic")
    assert outcome.code == 0
    assert "How to mend it" in outcome.out
    assert (
        json.loads(reviewer("explain", "sleep-in-atomic", "--format=json").out)["rule"]["severity"] == "error"
    )
    assert reviewer("rules", "show", "sleep-in-atomic").out == outcome.out


def test_explain_an_unknown_rule(reviewer: Reviewer) -> None:
    outcome = reviewer("explain", "sleep-in-atomc")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        "reviewer: there is no rule 'sleep-in-atomc'; "
        "did you mean sleep-in-atomic? `reviewer rules list` shows all\n"
    )


def test_explain_a_finding_of_an_earlier_scan(
    reviewer: Reviewer, library: Library, make_finding: Callable[..., Finding]
) -> None:
    library.findings = (make_finding(confidence="low"),)
    reviewer("scan", "--rev", "v1")
    for given in ("0123456789abcdef", "0123456789ABCDEF"):
        outcome = reviewer("explain", given)
        assert outcome.out.startswith("mm/a.c:7: error: g() may sleep")
        assert "found in . at v1" in outcome.out
        assert "How to mend it" in outcome.out
    document = json.loads(reviewer("explain", "0123456789abcdef", "--format=json").out)
    assert document["finding"]["fingerprint"] == "0123456789abcdef"
    assert document["rule"]["id"] == "sleep-in-atomic"


def test_explain_a_finding_whose_rule_is_not_there(
    reviewer: Reviewer, library: Library, make_finding: Callable[..., Finding]
) -> None:
    library.findings = (make_finding(rule="my-own-rule"),)
    reviewer("scan")
    assert reviewer("explain", "0123456789abcdef").code == 0
    assert json.loads(reviewer("explain", "0123456789abcdef", "--format=json").out)["rule"] is None


def test_explain_an_unknown_finding(reviewer: Reviewer) -> None:
    outcome = reviewer("explain", "f" * 16)
    assert outcome.code == 2
    assert outcome.err.startswith(f"reviewer: no scan in this store has found {'f' * 16}; scan first")


def test_rules_list(reviewer: Reviewer) -> None:
    assert reviewer("rules", "list").out == (
        "lock-imbalance   error    a title\nsleep-in-atomic  error    a title\n"
    )
    assert [r["id"] for r in json.loads(reviewer("rules", "list", "--format=json").out)["rules"]] == [
        "lock-imbalance",
        "sleep-in-atomic",
    ]


def test_rules_test(
    reviewer: Reviewer, library: Library, tree: Path, make_finding: Callable[..., Finding]
) -> None:
    (tree / "mm").mkdir()
    (tree / "mm" / "a.c").write_text('\n\tg();\t/* expect: sleep-in-atomic medium "may sleep" */\n')
    library.findings = (make_finding(line=2),)
    outcome = reviewer("rules", "test", ".")
    assert (outcome.code, outcome.out) == (0, "1 mark, 0 problems\n")
    assert library.request is not None
    assert library.request.everything
    assert library.store_path is None
    library.findings = (make_finding(line=2), make_finding(line=1))
    outcome = reviewer("rules", "test", ".")
    assert outcome.code == 1
    assert "mm/a.c:1: unexpected: sleep-in-atomic" in outcome.out
    assert outcome.out.endswith("1 mark, 1 problem\n")
    library.findings, library.skipped = (), (("mm/b.c", "unreadable"),)
    outcome = reviewer("rules", "test", ".", "--format", "json")
    assert outcome.code == 1
    assert len(json.loads(outcome.out)["problems"]) == 2


def test_rules_test_without_marks(reviewer: Reviewer, tree: Path) -> None:
    assert reviewer("rules", "test", "none").err.startswith("reviewer: none: not a folder; ")
    assert reviewer("rules", "test", ".").err.startswith("reviewer: .: no marks in it; write ")


def test_a_folder_of_examples_and_one_example(tmp_path: Path) -> None:
    for name in ("one/mm", "two/kernel", "empty"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "one/mm/a.c").write_text("")
    (tmp_path / "two/kernel/b.c").write_text("")
    assert example_trees(tmp_path) == [tmp_path / "one", tmp_path / "two"]
    assert example_trees(tmp_path / "one") == [tmp_path / "one"]


def test_store(reviewer: Reviewer, tmp_path: Path) -> None:
    outcome = reviewer("store", "stats")
    assert outcome.out == f"{tmp_path}/cache/reviewer\n  outlines  3\n  bytes     1024\n"
    found = json.loads(reviewer("store", "stats", "--format=json", "--store", "there").out)
    assert (found["path"], found["stats"]) == ("there", {"outlines": 3, "bytes": 1024})
    assert reviewer("store", "gc").out == "5.0 MB freed\n"
    assert (
        json.loads(reviewer("store", "gc", "--max-mb", "7", "--format=json").out)["freed_bytes"] == 7_000_000
    )
    assert reviewer("store", "gc", "--max-mb", "-1").code == 2


def healthy(asked: list[int]) -> Callable[..., ParseHealth]:
    def health(files: object, of_files: int, jobs: int) -> ParseHealth:
        asked.append(len(list(files)))  # type: ignore[call-overload]
        return ParseHealth(files=asked[-1], of_files=of_files, functions=7, broken=0)

    return health


def test_doctor(reviewer: Reviewer, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(engine, "health", healthy(asked))
    for name in ("file3.c", "file4.c"):
        (tree / name).write_text("")
    outcome = reviewer("doctor", "--sample", "0")
    assert outcome.code == 0
    assert asked == [2], "files that cannot be read are left out"
    assert "20 files, 2 parsed\n7 functions, 100.00 %" in outcome.out
    assert "4 direct calls in 20 files, 75.00 % lead to" in outcome.out
    assert any(line.startswith("tree-sitter-c ") for line in outcome.out.split("\n"))
    found = json.loads(reviewer("doctor", "--format", "json").out)
    assert found["parse"]["of_files"] == 20
    assert {"name", "found", "missing"} == set(found["installation"][0])


def test_doctor_outside_of_a_tree(reviewer: Reviewer, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_tree(path: str, rev: str | None) -> None:
        raise InputError(f"{path}: no .c file in it", "give a kernel")

    monkeypatch.setattr(engine, "open_tree", no_tree)
    assert reviewer("doctor").out.endswith("no tree: .: no .c file in it; give a kernel\n")
    outcome = reviewer("doctor", "elsewhere")
    assert outcome.code == 2


def test_doctor_names_what_is_missing(reviewer: Reviewer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(engine, "health", healthy([]))
    out = reviewer("doctor").out
    assert "not on PATH; only plain directories" in out
    assert "no `dot` on PATH" in out


def test_the_sample_is_the_same_every_time() -> None:
    paths = [f"f{n}.c" for n in range(100)] + ["a.h"]
    assert sampled(paths, 5) == sampled(paths, 5)
    assert len(sampled(paths, 5)) == 5
    assert "a.h" not in sampled(paths, 200)
    assert len(sampled(paths, 200)) == 100
    assert sampled(paths, 0) == paths


@pytest.mark.parametrize(
    "verb", [["context", "f"], ["relies-on", "l"], ["graph", "calls"], ["graph", "locks"], ["doctor"]]
)
def test_one_set_of_options_fits_every_verb(
    verb: list[str], reviewer: Reviewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "health", healthy([]))
    common = ["-C", ".", "--rev", "v1", "--format", "json", "--min-confidence", "low", "--fail-on", "never"]
    common += ["--rules", "a-b", "--path", "mm", "--jobs", "2", "--store", "s", "-q", "--color", "never"]
    assert reviewer(*verb, *common).code == 0
    assert "--fail-on" not in reviewer(*verb, "--help").out
