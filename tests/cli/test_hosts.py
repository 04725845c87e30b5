"""``--format github`` and ``--format sarif`` from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from reviewer.checks.finding import Finding
from reviewer.cli.main import cli

if TYPE_CHECKING:
    from conftest import Library, Outcome

    Reviewer = Callable[..., Outcome]

BALLOON = "drivers/virtio/virtio_balloon.c"


def run_of(text: str) -> dict[str, Any]:
    (run,) = json.loads(text)["runs"]
    assert isinstance(run, dict)
    return run


def test_annotations_and_the_exit_code(reviewer: Reviewer, library: Library, make_finding: Callable[..., Finding]) -> None:
    library.findings = (make_finding(), make_finding(line=9, confidence="low"))
    outcome = reviewer("scan", "--format", "github")
    assert outcome.code == 1
    assert outcome.err == ""
    assert outcome.out == (
        "::error file=mm/a.c,line=7,endLine=7,col=2,title=sleep-in-atomic::g() may sleep (medium confidence)"
        "%0Amm/a.c:7 f: call g() (held: a_lock)\n"
    )


def test_standard_output_is_data_only(reviewer: Reviewer, library: Library) -> None:
    library.messages = ("this tree has no such chain",)
    assert reviewer("scan", "--format", "github") == (0, "", "reviewer: this tree has no such chain\n")
    outcome = reviewer("scan", "--format", "sarif")
    assert run_of(outcome.out)["results"] == []
    assert outcome.err == "reviewer: this tree has no such chain\n"


def test_to_a_file(reviewer: Reviewer, library: Library, make_finding: Callable[..., Finding], tree: Path) -> None:
    library.findings = (make_finding(),)
    library.skipped = (("mm/gone.c", "its blob is absent"),)
    outcome = reviewer("scan", "--format", "sarif", "-o", "out.sarif", "--fail-on", "never")
    assert (outcome.code, outcome.out) == (3, "")
    run = run_of((tree / "out.sarif").read_text())
    assert [result["ruleId"] for result in run["results"]] == ["sleep-in-atomic"]
    assert run["results"][0]["ruleIndex"] == 1
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == 1


def test_the_rules_are_those_that_run(reviewer: Reviewer) -> None:
    def ids(*arguments: str) -> list[str]:
        run = run_of(reviewer("scan", "--format", "sarif", *arguments).out)
        return [rule["id"] for rule in run["tool"]["driver"]["rules"]]

    assert ids() == ["lock-imbalance", "sleep-in-atomic"]
    assert ids("--rules", "sleep-in-atomic") == ["sleep-in-atomic"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "reviewer/scan/oom/"),
        (("--chain", "pump_list"), "reviewer/scan/chain/pump_list/"),
        (("--chain", "all"), "reviewer/scan/chain/all/"),
        (("--all",), "reviewer/scan/all/"),
    ],
)
def test_each_question_is_a_category_of_its_own(reviewer: Reviewer, arguments: tuple[str, ...], expected: str) -> None:
    run = run_of(reviewer("scan", "--format", "sarif", *arguments).out)
    assert run["automationDetails"]["id"] == expected


def test_a_folder_of_a_repository(
    reviewer: Reviewer, library: Library, make_finding: Callable[..., Finding], tree: Path
) -> None:
    (tree / ".git").mkdir()
    (tree / "third" / "linux").mkdir(parents=True)
    library.findings = (make_finding(),)
    assert reviewer("scan", "third/linux", "--format", "github").out.startswith("::error file=third/linux/mm/a.c,")
    run = run_of(reviewer("scan", "third/linux", "--format", "sarif").out)
    place = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place["uri"] == "third/linux/mm/a.c"


@pytest.mark.parametrize("verb", [("context", "f"), ("relies-on", "l"), ("doctor",), ("rules", "list"), ("store", "stats")])
@pytest.mark.parametrize("format", ["github", "sarif"])
def test_a_verb_without_findings_does_not_offer_them(verb: tuple[str, ...], format: str) -> None:
    result = CliRunner().invoke(cli, [*verb, "--format", format])
    assert result.exit_code == 2
    assert "Invalid value for '--format'" in result.output


def test_a_range_of_commits(kernel: Path, commit: Callable[..., None], git: Callable[..., str], real: Reviewer) -> None:
    """The second commit brings a file with a hazard, and moves nothing else."""
    text = (kernel / BALLOON).read_text()
    (kernel / BALLOON).write_text("")
    commit(kernel, "without the balloon")
    (kernel / BALLOON).write_text(text)
    commit(kernel, "with the balloon")
    asked = ("review", kernel, "--range", "HEAD~1..HEAD")

    annotated = real(*asked, "--format", "github")
    assert annotated.code == 1
    places = [line.split(",title=")[0] for line in annotated.out.splitlines()]
    hazard = next(n for n, line in enumerate(text.splitlines(), 1) if "expect: callback-needs-reclaim" in line)
    assert f"::error file={BALLOON},line={hazard},endLine={hazard},col=2" in places
    assert all(place.split(" ")[1].startswith(f"file={BALLOON},") for place in places)

    run = run_of(real(*asked, "--format", "sarif").out)
    assert {result["baselineState"] for result in run["results"]} == {"new"}
    assert run["versionControlProvenance"] == [{
        "repositoryUri": kernel.resolve().as_uri(),
        "revisionId": git(kernel, "rev-parse", "HEAD"),
        "mappedTo": {"uriBaseId": "%SRCROOT%"},
    }]  # fmt: skip
    assert run["automationDetails"]["id"] == "reviewer/review/oom/"

    everything = run_of(real(*asked, "--format", "sarif", "-v").out)
    assert {result["baselineState"] for result in everything["results"]} == {"new", "unchanged"}

    git(kernel, "revert", "--no-edit", "HEAD")
    mended = real("review", kernel, "--range", "HEAD~1..HEAD", "--format", "sarif")
    assert mended.code == 0
    assert {result["baselineState"] for result in run_of(mended.out)["results"]} == {"absent"}
    assert real("review", kernel, "--range", "HEAD~1..HEAD", "--format", "github").out == ""
