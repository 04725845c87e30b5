"""The reader of the marks, and the comparison of marks with findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from reviewer.checks.examples import Mark, compare, marks, marks_in, trees
from reviewer.checks.finding import Confidence, Finding, Severity
from reviewer.errors import InputError


def found(
    line: int,
    rule: str = "demo-rule",
    message: str = "n is reset",
    severity: Severity = "error",
    confidence: Confidence = "high",
    file: str = "a.c",
) -> Finding:
    return Finding(
        rule=rule, severity=severity, confidence=confidence, file=file, line=line, column=1, function="f",
        message=message, involves=(), proof=(), event="",
    )  # fmt: skip


def kinds(text: str, *findings: Finding) -> list[tuple[str, int]]:
    return [(p.kind, p.line) for p in compare(marks_in(text, "a.c"), findings)]


# --- the reader ---


def test_all_kinds_and_their_parts() -> None:
    text = """\
int a; /* expect: demo-rule high "n is reset" */
int b;\t/* expect: other-rule note medium+ "x" */ /* quiet: demo-rule - it is fine */
int c; // miss: demo-rule - asm writes it
/* also: demo-rule - same
 * state */
/* expect: demo-rule
 * low "two lines" */
"""
    assert marks_in(text, "d/a.c") == [
        Mark(file="d/a.c", line=1, kind="expect", rule="demo-rule", text="n is reset", confidence="high"),
        Mark(
            file="d/a.c", line=2, kind="expect", rule="other-rule", text="x", severity="note",
            confidence="medium", exact=False,
        ),
        Mark(file="d/a.c", line=2, kind="quiet", rule="demo-rule", text="it is fine"),
        Mark(file="d/a.c", line=3, kind="miss", rule="demo-rule", text="asm writes it"),
        Mark(file="d/a.c", line=4, kind="also", rule="demo-rule", text="same state"),
        Mark(file="d/a.c", line=6, kind="expect", rule="demo-rule", text="two lines", confidence="low"),
    ]  # fmt: skip


def test_other_comments_and_strings_are_no_marks() -> None:
    text = r"""
char *s = "/* expect: demo-rule high \"x\" */", c = '"'; /* we expect nothing: really */
/* expected that, quiet */
/* nobody is told: see expect: below */
char *t = "\\"; /* quiet: demo-rule - after a string that ends in a backslash */
"""
    assert [(m.kind, m.line) for m in marks_in(text, "a.c")] == [("quiet", 5)]


@pytest.mark.parametrize(
    "comment",
    [
        "/* expect: demo-rule */",
        "/* expect: demo-rule high */",
        '/* expect: demo-rule "x" */',
        '/* expect: demo-rule hihg "x" */',
        '/* expect: demo-rule high error "x" */',
        '/* expect: Demo high "x" */',
        '/* expect: demo-rule high "" */',
        '/* expect: demo-rule high "x" and more */',
        "/* expect: */",
        '/* expects: demo-rule high "x" */',
        "/* quiet: demo-rule */",
        "/* quiet: demo-rule fine */",
        "// quiet: demo-rule -",
        "/* miss: - gap */",
    ],
)
def test_a_broken_mark_is_an_error_with_its_place(comment: str) -> None:
    with pytest.raises(InputError, match=r"^d/a\.c:3: "):
        marks_in("\n\n" + comment + "\n", "d/a.c")


def test_a_comment_that_never_ends_still_holds_its_mark() -> None:
    assert [m.text for m in marks_in("/* quiet: demo-rule - unended", "a.c")] == ["unended"]


def test_marks_of_a_tree(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel/b.c").write_text("/* quiet: demo-rule - b */\n")
    (tmp_path / "kernel/a.h").write_bytes(b"\xff\n/* quiet: demo-rule - a */\r\n")
    (tmp_path / "note.txt").write_text("/* expect: nothing */\n")
    assert [(m.file, m.line, m.text) for m in marks(tmp_path)] == [
        ("kernel/a.h", 2, "a"),
        ("kernel/b.c", 1, "b"),
    ]
    with pytest.raises(InputError):
        marks(tmp_path / "nowhere")


def test_trees_are_the_folders_with_c_files(tmp_path: Path) -> None:
    for name in ("b/mm/x.c", "a/x.c", "c/x.h"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    assert trees(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert trees(tmp_path / "nowhere") == []


# --- the comparison ---


def test_agreement() -> None:
    text = (
        'a; /* expect: demo-rule high "reset" */\nb; /* quiet: demo-rule - x */\nc; /* miss: demo-rule - y */'
    )
    assert kinds(text, found(1)) == []


def test_missing() -> None:
    assert kinds('a; /* expect: demo-rule high "reset" */') == [("missing", 1)]
    assert kinds('a; /* expect: demo-rule high "reset" */', found(1, rule="other-rule")) == [
        ("missing", 1),
        ("unexpected", 1),
    ]
    assert kinds('a; /* expect: demo-rule high "reset" */', found(2)) == [("missing", 1), ("unexpected", 2)]


def test_unexpected_in_an_unmarked_file_and_of_another_rule() -> None:
    assert [p.kind for p in compare([], [found(7, file="b.c")])] == ["unexpected"]
    assert kinds("a; /* quiet: demo-rule - x */", found(1, rule="other-rule")) == [("unexpected", 1)]


def test_fired_on_quiet_and_found_a_known_miss() -> None:
    assert kinds("a; /* quiet: demo-rule - x */", found(1)) == [("fired on quiet", 1)]
    assert kinds("a; /* miss: demo-rule - x */", found(1)) == [("found a known miss", 1)]


def test_also_allows_and_does_not_oblige() -> None:
    assert kinds("a; /* also: demo-rule - x */") == []
    assert kinds("a; /* also: demo-rule - x */", found(1)) == []
    assert kinds("a; /* also: demo-rule - x */", found(1, rule="other-rule")) == [("unexpected", 1)]


@pytest.mark.parametrize(
    ("mark", "finding", "word"),
    [
        ('demo-rule high "reset"', found(1, severity="note"), "severity note"),
        ('demo-rule note high "reset"', found(1, severity="warning"), "severity warning"),
        ('demo-rule error high "reset"', found(1, severity="warning"), "severity warning"),
        ('demo-rule high "reset"', found(1, confidence="medium"), "confidence medium"),
        ('demo-rule medium "reset"', found(1), "confidence high"),
        ('demo-rule medium+ "reset"', found(1, confidence="low"), "confidence low"),
        ('demo-rule high "gone"', found(1), "message"),
    ],
)
def test_a_finding_that_differs_is_one_problem_that_says_how(mark: str, finding: Finding, word: str) -> None:
    problems = compare(marks_in(f"a; /* expect: {mark} */", "a.c"), [finding])
    assert [p.kind for p in problems] == ["missing"]
    assert word in problems[0].detail
    assert str(problems[0]).startswith("a.c:1: missing: demo-rule: ")


def test_what_a_mark_leaves_open() -> None:
    assert kinds('a; /* expect: demo-rule high "n" */', found(1, severity="warning")) == []
    assert kinds('a; /* expect: demo-rule low+ "n" */', found(1, confidence="high")) == []


def test_one_mark_takes_one_finding() -> None:
    one = 'a; /* expect: demo-rule high "reset" */'
    assert kinds(one, found(1), found(1)) == [("unexpected", 1)]
    assert kinds(one + ' /* expect: demo-rule high "reset" */', found(1), found(1)) == []
    assert kinds(one + ' /* expect: demo-rule high "reset" */', found(1)) == [("missing", 1)]


def test_marks_are_matched_to_the_findings_that_fit_them() -> None:
    """The wider mark comes first and must not take the only finding that the narrower one accepts."""
    text = 'a; /* expect: demo-rule high "n" */ /* expect: demo-rule high "n is reset" */'
    for order in ((0, 1), (1, 0)):
        both = [found(1), found(1, message="n moves")]
        assert kinds(text, *(both[i] for i in order)) == []
