"""GitHub's workflow commands, read back as the runner reads them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewer.checks.finding import Finding, Step
from reviewer.checks.result import ScanResult
from reviewer.report.annotations import first_changed_line, review_annotations, scan_annotations
from reviewer.review.result import Cause, PatchRef, Reviewed, ReviewResult

Make = Callable[..., Finding]

EMPTY = ScanResult(tree_path="linux")
HUNK = (" a", "-b", "+c", "+d", " e")
CAUSE = Cause(file="mm/core.c", line=10, header="@@ -10,3 +10,4 @@ void f(void)", text=HUNK, inside=False, why="it changes f")
FIRST = PatchRef(1, "mm: take the lock")
SERIES = ReviewResult(tree_path="linux", base="b" * 40, patches=(FIRST, PatchRef(2, "mm: more")))


@dataclass(frozen=True)
class Command:
    name: str
    properties: dict[str, str]
    message: str


def parsed(line: str) -> Command:
    """One line as ActionCommand.TryParseV2 of actions/runner takes it apart."""
    assert line.startswith("::")
    end = line.index("::", 2)
    name, _, given = line[2:end].partition(" ")
    pairs = (pair.split("=", 1) for pair in given.split(",") if pair)
    return Command(name, {key: unescaped(value, property=True) for key, value in pairs}, unescaped(line[end + 2 :]))


def unescaped(text: str, property: bool = False) -> str:
    codes = {"%0D": "\r", "%0A": "\n", "%25": "%", **({"%3A": ":", "%2C": ","} if property else {})}
    return re.sub("%(?:0D|0A|25|3A|2C)", lambda m: codes.get(m[0], m[0]), text)


def commands(text: str) -> list[Command]:
    assert text == "" or text.endswith("\n")
    return [parsed(line) for line in text.splitlines()]


def scanned(*findings: Finding, result: ScanResult = EMPTY, inside: str = "") -> list[Command]:
    return commands(scan_annotations(result, findings, inside))


def reviewed(finding: Finding, **parts: Any) -> Reviewed:
    return Reviewed(**{"finding": finding, "status": "introduced", "patch": FIRST, "cause": CAUSE, **parts})


def test_a_finding_as_the_runner_gets_it(make_finding: Make) -> None:
    assert scan_annotations(EMPTY, [make_finding()]) == (
        "::error file=drivers/demo/pump.c,line=38,endLine=38,col=2,title=sleep-in-atomic::"
        "pump_drain() may sleep while struct pump.lock is held (high confidence)"
        "%0Adrivers/demo/pump.c:36 pump_irq: acquire spin_lock(&p->lock) (held: struct pump.lock)"
        "%0Adrivers/demo/pump.c:38 pump_irq: call pump_drain(p) (held: struct pump.lock)"
        "%0Adrivers/demo/pump.c:41 pump_drain: sleep msleep(10) (held: struct pump.lock)\n"
    )


def test_nothing_found_is_no_output() -> None:
    assert scan_annotations(EMPTY, []) == ""
    assert review_annotations(SERIES, []) == ""


@pytest.mark.parametrize(("severity", "name"), [("error", "error"), ("warning", "warning"), ("note", "notice")])
def test_severities(make_finding: Make, severity: str, name: str) -> None:
    assert [c.name for c in scanned(make_finding(severity=severity))] == [name]


def test_the_most_certain_come_first(make_finding: Make) -> None:
    findings = [
        make_finding(severity=severity, confidence=confidence, line=line)
        for line, (severity, confidence) in enumerate(
            [("note", "low"), ("warning", "high"), ("error", "low"), ("error", "medium"), ("error", "high"), ("note", "high")], 1
        )
    ]
    assert [int(c.properties["line"]) for c in scanned(*findings)] == [5, 2, 6, 4, 3, 1]


def test_fifty_findings_stay_within_the_limits(make_finding: Make) -> None:
    kinds = [("error", "medium"), ("error", "high"), ("warning", "high"), ("note", "high"), ("warning", "low")]
    findings = [make_finding(severity=s, confidence=c, line=10 * n + k) for n in range(10) for k, (s, c) in enumerate(kinds)]
    written = scanned(*findings)
    assert Counter(c.name for c in written) == {"error": 10, "warning": 10, "notice": 10}
    kept = {int(c.properties["line"]) % 10 for c in written if c.name in ("error", "warning")}
    assert kept == {1, 2}, "those of high confidence are the ones that stay"
    assert written[-1].properties == {"title": "reviewer"}
    assert written[-1].message.startswith("10 errors, 10 warnings, 1 notice more: ")


def test_ten_of_each_fit_without_a_word(make_finding: Make) -> None:
    findings = [make_finding(severity=s, line=n) for n in range(1, 11) for s in ("error", "warning", "note")]
    assert all("file" in c.properties for c in scanned(*findings))
    assert len(scanned(*findings)) == 30


def test_one_too_many_is_counted(make_finding: Make) -> None:
    findings = [make_finding(severity="warning", line=n) for n in range(1, 12)]
    *_, last = scanned(*findings)
    assert last.name == "notice"
    assert last.message.startswith("1 warning more: ")


def test_what_could_not_be_read_is_said(make_finding: Make, result: ScanResult) -> None:
    notes = [make_finding(severity="note", line=n) for n in range(1, 11)]
    written = scanned(*notes, result=result)
    assert len(written) == 10
    assert written[-1].message.endswith("; incomplete: 1 file could not be read in full")
    assert scanned(result=result)[0].message == "incomplete: 1 file could not be read in full"


@pytest.mark.parametrize("name", ["a,b.c", "a:b.c", "100%.c", "a%3Ab.c", "a\nb.c", "a\r\nb.c", "a=b.c", "a::b.c", "ä b.c"])
def test_odd_names_come_back(make_finding: Make, name: str) -> None:
    (command,) = scanned(make_finding(file=name))
    assert command.properties["file"] == name
    assert command.properties["title"] == "sleep-in-atomic"


def test_percent_and_line_ends_in_a_message(make_finding: Make) -> None:
    text = scan_annotations(EMPTY, [make_finding(message="100%0A of\n::error::it", proof=())])
    assert text.count("\n") == 1
    assert commands(text)[0].message == "100%0A of ::error::it (high confidence)"


def test_a_message_has_bounds(make_finding: Make) -> None:
    step = Step("call", "f" * 3000, 1, "g" * 3000, "h" * 3000, ("l" * 3000,))
    (command,) = scanned(make_finding(message="m" * 50_000, proof=(step,) * 100))
    assert len(command.message) <= 4000
    assert command.message.split("\n")[1].startswith("fff"), "the sentence leaves room for the proof"


def test_a_long_proof_has_its_first_and_last_steps(make_finding: Make) -> None:
    steps = tuple(Step("call", "a.c", n, f"f{n}", "g()") for n in range(1, 31))
    lines = scanned(make_finding(proof=steps))[0].message.split("\n")[1:]
    assert [line.split(":")[1].split()[0] for line in lines if line.startswith("a.c")] == [
        "1", "2", "3", "4", "5", "26", "27", "28", "29", "30",
    ]  # fmt: skip
    assert lines[5] == "[ 20 more steps ]"
    eleven = scanned(make_finding(proof=steps[:11]))[0].message
    assert "[ 1 more step ]" in eleven


def test_a_tree_below_its_repository(make_finding: Make) -> None:
    assert scanned(make_finding(), inside="linux/")[0].properties["file"] == "linux/drivers/demo/pump.c"


def test_a_review_tells_what_is_introduced_only(make_finding: Make) -> None:
    shown = [reviewed(make_finding(), status=status) for status in ("fixed", "unchanged")]
    assert review_annotations(SERIES, shown) == ""


def test_a_finding_inside_of_its_hunk_stands_at_its_line(make_finding: Make) -> None:
    cause = msgspec.structs.replace(CAUSE, file="drivers/demo/pump.c", line=30, inside=True, why="")
    (command,) = commands(review_annotations(SERIES, [reviewed(make_finding(), cause=cause)]))
    assert command.name == "error"
    assert command.properties == {
        "file": "drivers/demo/pump.c", "line": "38", "endLine": "38", "col": "2", "title": "sleep-in-atomic",
    }  # fmt: skip
    assert "the hazard is in" not in command.message


def test_a_finding_elsewhere_stands_at_the_hunk_that_brings_it(make_finding: Make) -> None:
    (command,) = commands(review_annotations(SERIES, [reviewed(make_finding())], "linux/"))
    assert command.properties == {"file": "linux/mm/core.c", "line": "11", "endLine": "11", "title": "sleep-in-atomic"}
    assert command.message.split("\n")[1] == (
        "the hazard is in pump_irq, drivers/demo/pump.c:38; why this hunk: it changes f"
    )


def test_what_a_later_patch_mends_is_a_notice(make_finding: Make) -> None:
    (command,) = commands(review_annotations(SERIES, [reviewed(make_finding(), mended_by=2)]))
    assert command.name == "notice"
    assert "patch 2 of the series mends it" in command.message.split("\n")


@pytest.mark.parametrize(
    ("line", "text", "expected"),
    [
        (10, (" a", " b", "+c"), 12),
        (10, ("+a", " b"), 10),
        (10, (" a", "-b", "+c"), 11),
        (10, (" a", "-b", " c"), 11),
        (10, (" a", "-b"), 10),
        (10, (" a", "", "-b", " c"), 12),
        (10, (" a", "-b", " c", "+d"), 12),
        (10, (" a", "-b", "\\ No newline at end of file", "+b", "\\ No newline at end of file"), 11),
        (0, ("-a", "-b"), 1),
        (1, ("+a",), 1),
        (7, (), 7),
    ],
)
def test_the_first_changed_line(line: int, text: tuple[str, ...], expected: int) -> None:
    assert first_changed_line(msgspec.structs.replace(CAUSE, line=line, text=text)) == expected


HOSTILE = st.text(st.characters(exclude_categories=()) | st.sampled_from(list("%:,=\r\n\t\x1b\x85\u2028\u202e\udcff\ud800")))


@given(file=HOSTILE.filter(bool), function=HOSTILE, message=HOSTILE, text=HOSTILE, why=HOSTILE, line=st.integers(0, 2**40))
def test_hostile_texts_make_one_command_each(
    file: str, function: str, message: str, text: str, why: str, line: int
) -> None:
    finding = Finding(
        rule="sleep-in-atomic", severity="error", confidence="high", file=file, line=line, column=1, function=function,
        message=message, involves=(), event="", proof=(Step("call", file, line, function, text, (text,)),),
    )  # fmt: skip
    cause = msgspec.structs.replace(CAUSE, file=file, why=why)
    written = scan_annotations(EMPTY, [finding]) + review_annotations(SERIES, [reviewed(finding, cause=cause)])
    written.encode("utf-8", "strict")
    assert written.count("\n") == 2
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", written)
    for command in commands(written):
        assert command.name == "error"
        assert set(command.properties) - {"col"} == {"file", "line", "endLine", "title"}
        assert int(command.properties["line"]) >= 1
        if file.isprintable():
            assert command.properties["file"] == file
