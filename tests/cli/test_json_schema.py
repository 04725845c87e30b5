"""Schema 1 as a strict model: every report of a real scan fits it, with no key more and none less."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from conftest import Outcome

    Run = Callable[..., Outcome]

ROOT = Path(__file__).resolve().parents[2]
MANUAL = (ROOT / "docs" / "json.md").read_text()

Text = Annotated[str, Field(min_length=1)]
Line = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]


class Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Site(Shape):
    function: Text
    file: Text
    line: Line


class User(Shape):
    function: Text
    file: Text
    registered_at: Site


class Chain(Shape):
    head: Text
    kind: Literal["blocking", "atomic", "raw", "srcu"]
    file: Text
    called_from: list[Site]
    users: list[User]


class Step(Shape):
    kind: Literal["call", "acquire", "release", "access", "alloc", "sleep", "wait", "register", "return"]
    file: Text
    line: Line
    function: Text
    text: Text
    held: list[Text]


class Finding(Shape):
    rule: Annotated[str, Field(pattern=r"^[a-z]+(-[a-z]+)+$")]
    severity: Literal["error", "warning", "note"]
    confidence: Literal["high", "medium", "low"]
    status: None
    mended_by: None
    patch: None
    file: Text
    line: Line
    column: Line
    function: Text
    message: Annotated[str, Field(pattern=r"^[^\n]+$")]
    involves: list[Text]
    proof: Annotated[list[Step], Field(min_length=1)]
    fix: Annotated[str, Field(pattern=r"^--- a/")] | None
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Stats(Shape):
    files: Count
    functions: Count
    functions_with_errors: Count
    seconds: Annotated[float, Field(ge=0)]
    cached: Count


class Tree(Shape):
    path: Text
    rev: Hash | None


class Skipped(Shape):
    file: Text
    reason: Text


class Report(Shape):
    """What ``reviewer scan --format json`` writes."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    tool: Annotated[str, Field(pattern=r"^reviewer \d+\.\d+\.\d+$")]
    tree: Tree
    stats: Stats
    chains: list[Chain]
    findings: list[Finding]
    contexts: Annotated[list[None], Field(max_length=0)]
    skipped: list[Skipped]


def report(outcome: Outcome) -> Report:
    return Report.model_validate_json(outcome.out)


@pytest.mark.parametrize(
    "arguments",
    [(), ("--rev", "HEAD"), ("--all",), ("--chain", "all"), ("--min-confidence", "low"), ("--rules", "missing-freed-update")],
    ids=lambda given: " ".join(given) or "default",
)
def test_every_report_fits(real: Run, kernel: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    for _ in range(2):  # worked out, then repeated
        outcome = real("scan", kernel, "--format", "json", "--fail-on", "never", "--store", tmp_path / "store", *arguments)
        assert (outcome.code, outcome.err) == (0, "")
        found = report(outcome)
        assert found.findings and found.chains
        assert found.stats.cached <= found.stats.files
        prints = [one.fingerprint for one in found.findings]
        assert len(set(prints)) == len(prints)
        places = [(one.file, one.line, one.column) for one in found.findings]
        assert places == sorted(places)
        for one in found.findings:
            assert one.involves == sorted(one.involves)


def test_places_are_real(real: Run, kernel: Path) -> None:
    """Every file and line that a report names is there, and a step's text stands on its line."""
    found = report(real("scan", kernel, "--format", "json", "--fail-on", "never", "--no-store"))
    text = {path: (kernel / path).read_text().split("\n") for path in {s.file for f in found.findings for s in f.proof}}
    for one in found.findings:
        assert one.line <= len(text.get(one.file) or (kernel / one.file).read_text().split("\n"))
        for step in one.proof:
            assert text[step.file][step.line - 1].strip() == step.text


def test_a_report_with_something_skipped(real: Run, kernel: Path) -> None:
    (kernel / "mm/odd.c").write_bytes(b"\0" * 100 + b" register_oom_notifier oom_notify_list ")
    outcome = real("scan", kernel, "--format", "json", "--fail-on", "never", "--no-store")
    assert outcome.code == 3
    assert [one.file for one in report(outcome).skipped] == ["mm/odd.c"]


def test_a_tree_without_findings(real: Run, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/a.c").write_text("int a;\n")
    assert report(real("scan", tmp_path / "tree", "--format", "json", "--no-store")).findings == []


def test_bytes_that_are_no_utf8(real: Run, kernel: Path) -> None:
    file = kernel / "kernel/rcu/tree_plugin.h"
    file.write_bytes(file.read_bytes().replace(b"atomic_set(", b"/* \xff */ atomic_set("))
    outcome = real("scan", kernel, "--format", "json", "--fail-on", "never", "--no-store")
    assert "/* \ufffd */ atomic_set" in json.dumps(report(outcome).model_dump(), ensure_ascii=False)


def test_the_model_is_strict(real: Run, kernel: Path) -> None:
    """Else the tests above could not fail."""
    document = json.loads(real("scan", kernel, "--format", "json", "--fail-on", "never", "--no-store").out)
    for spoil in (
        lambda d: d.update(extra=1),
        lambda d: d["stats"].pop("cached"),
        lambda d: d["findings"][0].update(line="7"),
        lambda d: d["findings"][0].update(severity="fatal"),
        lambda d: d["findings"][0].update(proof=[]),
    ):
        copy = json.loads(json.dumps(document))
        spoil(copy)
        with pytest.raises(ValueError, match="validation error"):
            Report.model_validate_json(json.dumps(copy))


def test_the_manual_names_every_key() -> None:
    for shape in (Report, Tree, Stats, Chain, User, Site, Finding, Step, Skipped):
        for name, field in shape.model_fields.items():
            assert f"`{field.alias or name}`" in MANUAL, f"docs/json.md does not name {field.alias or name}"


# --- what the filters and the exit code make of it --------------------------------------------------


def test_baseline_path_and_thresholds(real: Run, kernel: Path, tmp_path: Path) -> None:
    scan = ("scan", kernel, "--no-store", "--format", "json")
    whole = real(*scan, "--min-confidence", "low")
    assert whole.code == 1
    all_of_it = report(whole).findings
    assert real(*scan, "--fail-on", "never").code == 0
    shown = report(real(*scan, "--min-confidence", "high")).findings
    assert shown == [f for f in all_of_it if f.confidence == "high"]
    virtio = report(real(*scan, "--min-confidence", "low", "--path", "drivers/virtio")).findings
    touched = [f for f in all_of_it if any(p.startswith("drivers/virtio/") for p in (f.file, *(s.file for s in f.proof)))]
    assert virtio == touched and 0 < len(virtio) < len(all_of_it)
    baseline = tmp_path / "baseline.json"
    baseline.write_text(whole.out)
    rest = real(*scan, "--min-confidence", "low", "--baseline", baseline)
    assert (rest.code, report(rest).findings) == (0, [])
    known = json.loads(whole.out)
    gone = known["findings"].pop(0)
    baseline.write_text(json.dumps(known))
    assert [f.fingerprint for f in report(real(*scan, "--min-confidence", "low", "--baseline", baseline)).findings] == [
        gone["fingerprint"]
    ]


def test_settings_of_the_tree(real: Run, kernel: Path, tmp_path: Path) -> None:
    """Options of .reviewer.toml, a rule and a model of the tree's own; the command line wins."""
    rules = kernel / "tools/reviewer"
    rules.mkdir(parents=True)
    (rules / "balloon-waits.yaml").write_text(
        "id: balloon-waits\ntitle: the balloon waits for its host\nseverity: warning\n"
        "what: A callback of the OOM chain waits for an event.\nwhy: The host may be waiting for memory itself.\n"
        "mend: Do not wait there.\nsource: drivers/virtio\nforbid:\n"
        "  below: {chain: oom_notify_list, files: drivers/virtio}\n  reach: {wait: event}\n"
    )
    (kernel / ".reviewer.toml").write_text('rules-dir = "tools/reviewer"\nfail-on = "never"\nrules = ["balloon-waits"]\n')
    outcome = real("scan", kernel, "--no-store", "--format", "json")
    assert outcome.code == 0
    assert {f.rule for f in report(outcome).findings} == {"balloon-waits"}
    assert real("scan", kernel, "--no-store", "--fail-on", "low").code == 1
    other = report(real("scan", kernel, "--no-store", "--format", "json", "--rules", "missing-freed-update")).findings
    assert {f.rule for f in other} == {"missing-freed-update"}
    (kernel / ".reviewer.toml").write_text('rules-dir = "tools/reviewer"\nstore = "/tmp/elsewhere"\n')
    outcome = real("scan", kernel)
    assert outcome.code == 2 and outcome.err.startswith("reviewer: .reviewer.toml:2: store cannot be set by a tree")
