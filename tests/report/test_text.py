"""The text report: what people read."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from reviewer.checks.finding import Finding, Step
from reviewer.checks.result import ScanResult, Stats
from reviewer.report.paint import Paint
from reviewer.report.text import finding_lines, scan_text, verdict

PLAIN = Paint(False)


def lines(finding: Finding) -> list[str]:
    return list(finding_lines(finding, PLAIN))


def test_a_finding_reads_as_documented(make_finding: Callable[..., Finding]) -> None:
    assert lines(make_finding()) == [
        "drivers/demo/pump.c:38: error: pump_drain() may sleep while struct pump.lock is held"
        " [sleep-in-atomic, high]",
        "  36 pump_irq    spin_lock(&p->lock)  acquire  held: struct pump.lock",
        "  38 pump_irq    pump_drain(p)        call     held: struct pump.lock",
        "  41 pump_drain  msleep(10)           sleep    held: struct pump.lock",
    ]


def test_a_proof_through_several_files_names_them(make_finding: Callable[..., Finding]) -> None:
    proof = (
        Step("call", "drivers/demo/pump.c", 9, "pump_irq", "pump_drain(p)"),
        Step("sleep", "kernel/t.c", 1041, "pump_drain", "msleep(10)", ("a", "b (shared)")),
    )
    assert lines(make_finding(proof=proof))[1:] == [
        "  drivers/demo/pump.c:9 pump_irq    pump_drain(p)  call",
        "  kernel/t.c:1041       pump_drain  msleep(10)     sleep    held: a, b (shared)",
    ]


def test_a_note_says_what_prevents_it(make_finding: Callable[..., Finding]) -> None:
    step = Step("access", "drivers/demo/pump.c", 38, "pump_irq", "n = 0", ("big_lock", "other_lock"))
    note = {"severity": "note", "proof": (step,), "involves": ("big_lock", "n")}
    assert "  prevented today by: big_lock" in lines(make_finding(**note))
    assert not any(
        "prevented" in line for line in lines(make_finding(**note, message="big_lock prevents it"))
    )
    assert not any("prevented" in line for line in lines(make_finding(**{**note, "severity": "error"})))


def test_the_fix_is_shown_line_by_line(make_finding: Callable[..., Finding]) -> None:
    fixed = lines(make_finding(fix="--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-\tb\n+\tc\n"))
    assert fixed[-6:] == ["  fix:", "    --- a/x.c", "    +++ b/x.c", "    @@ -1 +1 @@", "    - b", "    + c"]


def test_escape_sequences_of_a_tree_never_reach_the_terminal(make_finding: Callable[..., Finding]) -> None:
    bad = "\x1b]0;gotcha\x07\u202e\x9b31m"
    step = Step("call", f"a{bad}.c", 3, bad, f"f({bad})\n\tg()", (bad,))
    finding = make_finding(file=f"x{bad}.c", message=f"m{bad}", proof=(step,), fix=bad)
    text = "\n".join(lines(finding))
    assert not set("\x1b\x07\u202e\x9b\t") & set(text)
    assert "f(\\x1b]0;gotcha\\x07\\u202e\\x9b31m) g()" in text


def test_a_name_that_is_no_utf8_can_be_printed(make_finding: Callable[..., Finding]) -> None:
    name = b"drivers/\xff.c".decode("utf-8", "surrogateescape")
    text = "\n".join(lines(make_finding(file=name)))
    assert text.encode().startswith(rb"drivers/\xff.c:38:")


def test_long_source_text_is_cut(make_finding: Callable[..., Finding]) -> None:
    step = Step("call", "drivers/demo/pump.c", 3, "f", "x" * 500, ("l",))
    assert len(lines(make_finding(proof=(step,)))[1]) < 100


def test_the_report_ends_with_chains_skipped_files_and_a_verdict(result: ScanResult) -> None:
    text = scan_text(result, result.findings, hidden=0, floor="medium", paint=PLAIN, brief=False)
    assert text.split("\n\n")[1:] == [
        "chain pump_list (blocking, drivers/demo/core.c)\n"
        "  called from  pump_all  drivers/demo/core.c:7\n"
        "  users        pump_notify  drivers/demo/pump.c  registered in pump_probe  drivers/demo/pump.c:90\n"
        "               p_n          drivers/demo/p.c     registered in pump_probe  drivers/demo/pump.c:90",
        "skipped drivers/demo/gone.c: its blob is absent",
        "1 error; 3 files, 2 from the store and 12 functions in 0.2 s; incomplete, 1 file skipped\n",
    ]


def test_brief_is_findings_alone(result: ScanResult) -> None:
    brief = scan_text(result, result.findings, hidden=0, floor="medium", paint=PLAIN, brief=True)
    assert "chain" not in brief
    assert brief.startswith("drivers/demo/pump.c:38")
    assert scan_text(result, (), hidden=0, floor="medium", paint=PLAIN, brief=True) == ""


def test_a_chain_that_nobody_uses(result: ScanResult) -> None:
    alone = msgspec.structs.replace(result.chains[0], users=(), called_from=())
    text = scan_text(
        msgspec.structs.replace(result, chains=(alone,)), (), hidden=0, floor="low", paint=PLAIN, brief=False
    )
    assert "  users        nobody known" in text


def test_verdict_counts_by_severity_and_tells_of_hidden_ones(make_finding: Callable[..., Finding]) -> None:
    findings = [make_finding(severity=s) for s in ("note", "error", "note", "warning")]
    assert verdict(findings, 2, "high", Stats(files=1), 0) == (
        "1 error, 1 warning, 2 notes (2 more below --min-confidence high); 1 file and 0 functions in 0.0 s"
    )
    assert verdict([], 0, "high", Stats(), 0).startswith("no hazard found; 0 files")


def test_colour_changes_nothing_but_colour(make_finding: Callable[..., Finding]) -> None:
    import re

    colored = list(finding_lines(make_finding(), Paint(True)))
    assert colored != lines(make_finding())
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in colored] == lines(make_finding())
