"""``reviewer scan``: options in, report and exit code out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reviewer.checks.finding import Finding

if TYPE_CHECKING:
    from conftest import Library, Outcome

    Reviewer = Callable[..., Outcome]


def fingerprints(outcome: Outcome) -> list[str]:
    return [finding["fingerprint"] for finding in json.loads(outcome.out)["findings"]]


def test_nothing_found(reviewer: Reviewer) -> None:
    outcome = reviewer("scan")
    assert outcome == (0, "no hazard found; 2 files and 5 functions in 0.1 s\n", "")


def test_a_finding(reviewer: Reviewer, library: Library, make_finding: Callable[..., Finding]) -> None:
    library.findings = (make_finding(),)
    outcome = reviewer("scan")
    assert outcome.code == 1
    assert outcome.out.startswith("mm/a.c:7: error: g() may sleep [sleep-in-atomic, medium]\n")
    assert outcome.err == ""


def test_the_request_says_what_the_command_line_said(
    reviewer: Reviewer, library: Library, tree: Path
) -> None:
    (tree / "mine").mkdir()
    (tree / ".config").write_text("")
    reviewer(
        "scan", "--chain", "pump_list", "--rules", "lock-imbalance", "--rules", "sleep-in-atomic",
        "--rules-dir", "mine", "--config", ".config", "--jobs", "3",
    )  # fmt: skip
    request = library.request
    assert request is not None
    assert (request.chain, request.everything, request.rules) == (
        "pump_list",
        False,
        ("lock-imbalance", "sleep-in-atomic"),
    )
    assert (request.rules_dirs, request.config, request.jobs) == (("mine",), ".config", 3)
    reviewer("scan", "--all")
    assert library.request is not None
    assert (library.request.chain, library.request.everything) == (None, True)
    assert library.request.jobs == len(os.sched_getaffinity(0))


def test_tree_and_revision(reviewer: Reviewer, library: Library, tree: Path) -> None:
    (tree / "sub").mkdir()
    for arguments in (["sub"], ["-C", "sub"], ["--tree", "sub"], ["--tree=sub", "--rev", "v1"]):
        reviewer("scan", *arguments)
    reviewer("scan")
    assert [(t.path, t.rev) for t in library.trees] == [
        ("sub", None), ("sub", None), ("sub", None), ("sub", "v1"), (".", None),
    ]  # fmt: skip
    assert all(t.closed for t in library.trees)
    assert all(s.closed for s in library.stores)


def test_json(reviewer: Reviewer, library: Library, make_finding: Callable[..., Finding]) -> None:
    library.findings = (make_finding(),)
    outcome = reviewer("scan", "--format", "json", "--fail-on", "never")
    assert outcome.code == 0
    assert json.loads(outcome.out)["findings"][0]["message"] == "g() may sleep"


def test_filters(reviewer: Reviewer, library: Library, make_finding: Callable[..., Finding]) -> None:
    library.findings = tuple(
        make_finding(confidence=confidence, file=file, proof=(), fingerprint=print_ * 16)
        for confidence, file, print_ in (
            ("high", "mm/a.c", "a"),
            ("medium", "mm/b.c", "b"),
            ("low", "fs/c.c", "c"),
        )
    )
    assert fingerprints(reviewer("scan", "--format=json")) == ["a" * 16, "b" * 16]
    assert fingerprints(reviewer("scan", "--format=json", "--min-confidence=high")) == ["a" * 16]
    everything = reviewer("scan", "--format=json", "--min-confidence=low", "--path", "mm/b*", "--path", "fs")
    assert fingerprints(everything) == ["b" * 16, "c" * 16]


def test_fail_on_counts_what_is_not_printed(
    reviewer: Reviewer, library: Library, make_finding: Callable[..., Finding]
) -> None:
    library.findings = (make_finding(confidence="low"),)
    assert reviewer("scan").code == 0
    outcome = reviewer("scan", "--fail-on", "low")
    assert outcome.code == 1
    assert "(1 more below --min-confidence medium)" in outcome.out
    assert reviewer("scan", "--fail-on", "low", "--path", "elsewhere").code == 0


def test_baseline(reviewer: Reviewer, library: Library, make_finding: Callable[..., Finding]) -> None:
    library.findings = (make_finding(),)
    assert reviewer("scan", "--format", "json", "-o", "old.json").code == 1
    library.findings = (make_finding(line=99), make_finding(fingerprint="f" * 16))
    outcome = reviewer("scan", "--format", "json", "--baseline", "old.json")
    assert fingerprints(outcome) == ["f" * 16]
    library.findings = (make_finding(line=99),)
    assert reviewer("scan", "--baseline", "old.json").code == 0


def test_incomplete(reviewer: Reviewer, library: Library, make_finding: Callable[..., Finding]) -> None:
    library.skipped = (("mm/a.c", "its blob is absent"),)
    outcome = reviewer("scan")
    assert outcome.code == 3
    assert "skipped mm/a.c: its blob is absent" in outcome.out
    library.findings = (make_finding(),)
    assert reviewer("scan").code == 1


def test_messages_go_to_standard_error(reviewer: Reviewer, library: Library) -> None:
    library.messages = ("no OOM notifier chain in this tree",)
    assert reviewer("scan").err == "reviewer: no OOM notifier chain in this tree\n"
    assert reviewer("scan", "-q") == (0, "", "")


def test_a_path_that_names_no_file_is_told(reviewer: Reviewer) -> None:
    line = "reviewer: no .c or .h file of this tree matches --path drivers/vritio\n"
    assert reviewer("scan", "--path", "mm", "--path", "drivers/vritio").err == line


def test_an_unreadable_settings_file_is_not_passed_over(
    reviewer: Reviewer, library: Library, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / ".reviewer.toml").write_text("")

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    outcome = reviewer("scan")
    assert outcome.code == 2
    assert outcome.err.startswith("reviewer: .reviewer.toml: Permission denied; make .reviewer.toml readable")
    assert library.request is None


def test_no_progress_without_a_terminal(reviewer: Reviewer) -> None:
    assert reviewer("scan").err == ""


def test_output_file(reviewer: Reviewer, tree: Path) -> None:
    outcome = reviewer("scan", "-o", "report.txt")
    assert outcome.out == ""
    assert (tree / "report.txt").read_text().startswith("no hazard found")


def test_colour_only_when_asked(
    reviewer: Reviewer, library: Library, make_finding: Callable[..., Finding]
) -> None:
    library.findings = (make_finding(),)
    assert "\x1b" not in reviewer("scan").out
    assert "\x1b[1;31merror:\x1b[0m" in reviewer("scan", "--color", "always").out


def test_store_paths(reviewer: Reviewer, library: Library, tmp_path: Path) -> None:
    reviewer("scan")
    assert library.store_path == tmp_path / "cache" / "reviewer"
    reviewer("scan", "--store", "there")
    assert library.store_path == Path("there")
    reviewer("scan", "--no-store")
    assert library.store_path is None


def test_settings_of_the_tree(
    reviewer: Reviewer, library: Library, tree: Path, make_finding: Callable[..., Finding]
) -> None:
    (tree / ".reviewer.toml").write_text('fail-on = "high"\nformat = "json"\nchain = "pump_list"\njobs = 2\n')
    library.findings = (make_finding(),)
    outcome = reviewer("scan")
    assert outcome.code == 0
    assert json.loads(outcome.out)["schema"] == 1
    assert library.request is not None
    assert (library.request.chain, library.request.jobs) == ("pump_list", 2)
    assert reviewer("scan", "--fail-on", "medium", "--format", "text").code == 1
    reviewer("scan", "--all")
    assert library.request.chain is None


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["/no/such/tree"], "reviewer: /no/such/tree: no such directory; name a kernel tree"),
        (["a", "-C", "b"], "reviewer: TREE is given twice, as 'a' and as -C 'b'; give it once"),
        (["-C", ""], "reviewer: TREE is empty; name a folder, or leave it out for the current one"),
        (["--frobnicate"], "reviewer: scan: No such option '--frobnicate'"),
        (["--format", "xml"], "reviewer: scan: Invalid value for '--format'"),
        (["--min-confidence", "big"], "reviewer: scan: Invalid value for '--min-confidence'"),
        (["--fail-on", "maybe"], "reviewer: scan: Invalid value for '--fail-on'"),
        (["--jobs", "0"], "reviewer: scan: Invalid value for '--jobs'"),
        (["--jobs", "many"], "reviewer: scan: Invalid value for '--jobs'"),
        (["--rev"], "reviewer: scan: Option '--rev' requires an argument"),
        ([".", ".", "."], "reviewer: scan: Got unexpected extra argument"),
        (["--chain", "a", "--all"], "reviewer: --chain and --all contradict each other"),
        (["--baseline", "none.json"], "reviewer: --baseline none.json: no such file"),
        (
            ["--rules", "lock-balance"],
            "reviewer: there is no rule 'lock-balance'; did you mean lock-imbalance?",
        ),
        (["--config", "none"], "reviewer: --config none: no such file"),
        (["--rules-dir", "none"], "reviewer: --rules-dir none: not a folder"),
        (["--store", "a", "--no-store"], "reviewer: --store and --no-store contradict each other"),
        (["--store", ""], "reviewer: --store is empty"),
        (["-o", "no/such/folder.json"], "reviewer: -o no/such/folder.json: there is no folder no/such"),
        (["-o", "."], "reviewer: -o '.': is a folder"),
    ],
)
def test_wrong_usage_is_one_line_and_2(
    arguments: list[str], line: str, reviewer: Reviewer, library: Library
) -> None:
    outcome = reviewer("scan", *arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith(line)
    assert outcome.err.count("\n") == 1
    assert "; " in outcome.err
    assert library.request is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("colour = 1\n", ".reviewer.toml:1: unknown key 'colour'; known keys: baseline,"),
        ("\n\njobs = 0\n", ".reviewer.toml:3: jobs is 0; use a number"),
        ("jobs = ", ".reviewer.toml:1: not TOML"),
        ('store = "/tmp/x"\n', ".reviewer.toml:1: store cannot be set by a tree"),
        ('rules-dir = ["/etc"]\n', ".reviewer.toml:1: rules-dir '/etc' lies outside of the tree"),
        ('rules-dir = ["rules"]\n', "--rules-dir "),
        ('baseline = "none.json"\n', "--baseline "),
    ],
)
def test_bad_settings_are_one_line_and_2(
    text: str, line: str, reviewer: Reviewer, library: Library, tree: Path
) -> None:
    (tree / ".reviewer.toml").write_text(text)
    outcome = reviewer("scan")
    assert outcome.code == 2
    assert outcome.err.startswith(f"reviewer: {line}")
    assert outcome.err.count("\n") == 1
    assert library.request is None
    assert all(t.closed for t in library.trees)


def test_a_disk_that_is_full(reviewer: Reviewer) -> None:
    outcome = reviewer("scan", "-o", "/dev/full")
    assert outcome.code == 2
    assert outcome.err == "reviewer: -o /dev/full: No space left on device; write to another place\n"
