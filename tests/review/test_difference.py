"""Introduced, fixed, unchanged: by fingerprint, and whether it is a note."""

from __future__ import annotations

from msgspec.structs import replace

from reviewer.checks.finding import Finding, Severity, with_fingerprints
from reviewer.review.difference import compare, key

PUMP = "drivers/pump/pump.c"


def finding(event: str = "pump_put(p);", severity: Severity = "error", file: str = PUMP, line: int = 7, **parts: str) -> Finding:
    return Finding(
        rule=parts.get("rule", "unguarded-counter-reset"), severity=severity, confidence="high", file=file, line=line, column=2,
        function=parts.get("function", "pump_run"), message="a sentence", involves=("total",), proof=(), event=event,
    )  # fmt: skip


def marked(*findings: Finding) -> list[Finding]:
    return with_fingerprints(list(findings))


def test_by_fingerprint() -> None:
    before = marked(finding("a();"), finding("b();", line=9))
    after = marked(finding("b();", line=30), finding("c();", line=31, function="pump_stop"))
    found = compare(before, after, {})
    assert [f.event for f in found.introduced] == ["c();"]
    assert [f.event for f in found.fixed] == ["a();"]
    assert [(f.event, f.line) for f in found.unchanged] == [("b();", 30)], "as it stands after the change"


def test_nothing_and_all() -> None:
    some = marked(finding())
    assert compare([], [], {}).introduced == ()
    assert list(compare([], some, {}).introduced) == list(compare(some, [], {}).fixed) == some
    assert list(compare(some, some, {}).unchanged) == some


def test_a_suspicion_that_becomes_sure_is_introduced() -> None:
    sure = marked(finding(), finding("b();", line=9))
    vague = [replace(f, confidence="low") for f in sure]
    surer = compare([vague[0], sure[1]], sure, {})
    assert ([f.event for f in surer.introduced], [f.event for f in surer.unchanged]) == (["pump_put(p);"], ["b();"])
    vaguer = compare(sure, [vague[0], sure[1]], {})
    assert [f.event for f in vaguer.fixed] == ["pump_put(p);"]
    assert compare(vague, vague, {}).introduced == ()


def test_a_note_that_becomes_an_error_is_introduced() -> None:
    note, error = marked(finding(severity="note")), marked(finding())
    assert note[0].fingerprint == error[0].fingerprint and key(note[0]) != key(error[0])
    worse = compare(note, error, {})
    assert (list(worse.introduced), worse.fixed, worse.unchanged) == (error, (), ())
    better = compare(error, note, {})
    assert (better.introduced, list(better.fixed), better.unchanged) == ((), error, ())


def test_warning_and_error_are_one() -> None:
    found = compare(marked(finding(severity="warning")), marked(finding()), {})
    assert found.introduced == found.fixed == ()


def test_one_more_of_the_same_kind() -> None:
    two = marked(finding(), finding(line=20))
    assert two[0].fingerprint != two[1].fingerprint
    found = compare(two[:1], two, {})
    assert [f.line for f in found.introduced] == [20]


def test_of_two_at_one_call_the_one_that_says_something_new() -> None:
    old = replace(finding(), message="by way of a()")
    new = replace(finding(), column=1, message="by way of b()")
    found = compare(marked(old), marked(new, old), {})
    assert [[f.message for f in part] for part in (found.introduced, found.unchanged)] == [["by way of b()"], ["by way of a()"]]


def test_a_file_that_moves() -> None:
    new = "drivers/pump/main.c"
    before = marked(finding(), finding("other();", file="mm/a.c"))
    after = marked(finding(file=new, line=9), finding("more();", file=new), finding("other();", file="mm/a.c"))
    found = compare(before, after, {new: PUMP})
    assert [f.event for f in found.introduced] == ["more();"]
    assert found.fixed == ()
    assert {f.file for f in found.unchanged} == {new, "mm/a.c"}
    assert len(compare(before, after, {}).fixed) == 1, "else it would be another"


def test_two_files_that_change_places() -> None:
    before = marked(finding("a();", file="a.c"), finding("b();", file="b.c"))
    after = marked(finding("a();", file="b.c"), finding("b();", file="a.c"))
    found = compare(before, after, {"a.c": "b.c", "b.c": "a.c"})
    assert found.introduced == found.fixed == ()


def test_the_same_in_other_words() -> None:
    """A local variable has another name, or a call another argument."""
    found = compare(marked(finding("pump_put(p);")), marked(finding("pump_put(pump);")), {})
    assert found.introduced == found.fixed == ()
    assert [f.event for f in found.unchanged] == ["pump_put(pump);"]
    other = compare(marked(finding("pump_put(p);")), marked(finding("pump_put(pump);", rule="write-after-failed-lock")), {})
    assert len(other.introduced) == len(other.fixed) == 1


def test_another_finding_of_the_same_is_introduced_if_it_is_surer() -> None:
    """A wait came too early before the change, and is gone after it."""
    early = replace(finding("cancel_work_sync(&p->work);"), confidence="medium")
    found = compare(marked(early), marked(finding("kfree(p);")), {})
    assert [f.event for f in found.introduced] == ["kfree(p);"]
    assert [f.event for f in found.fixed] == ["cancel_work_sync(&p->work);"]
    back = compare(marked(finding("kfree(p);")), marked(early), {})
    assert back.introduced == back.fixed == ()


def test_a_note_may_move_into_a_helper_but_an_error_is_said_again() -> None:
    note = compare(marked(finding(severity="note")), marked(finding(severity="note", function="pump_help")), {})
    assert note.introduced == note.fixed == ()
    error = compare(marked(finding()), marked(finding(function="pump_help")), {})
    assert len(error.introduced) == len(error.fixed) == 1
