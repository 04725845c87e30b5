"""Cases of known bugs: read, made into patches, and judged."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from reviewer.checks.finding import Finding, Step
from reviewer.checks.registry import all_rules
from reviewer.errors import ReviewerError
from reviewer.review.bench import failed, judge, summary
from reviewer.review.cases import Case, Edit, edited, read_cases
from reviewer.review.result import Reviewed

TEXT = b"static int one(void)\n{\n\treturn 1;\n}\n\nstatic int two(void)\n{\n\treturn 1;\n}\n"


def test_an_edit_is_looked_for_in_its_function_only() -> None:
    edit = Edit("a.c", "two", "\treturn 1;\n", "\treturn 2;\n")
    assert edited(TEXT, edit, "case x") == TEXT[: TEXT.rindex(b"1")] + b"2;\n}\n"


def test_a_system_call_is_named_as_it_is_written() -> None:
    text = TEXT.replace(b"static int one(void)", b"SYSCALL_DEFINE0(one)")
    assert b"return 3" in edited(text, Edit("a.c", "one", "\treturn 1;\n", "\treturn 3;\n"), "case x")


def test_a_text_that_stands_twice_is_refused() -> None:
    with pytest.raises(ReviewerError, match=r"case x: its text stands 2 times in a\.c"):
        edited(TEXT, Edit("a.c", None, "return 1;", "return 2;"), "case x")


def test_a_line_that_goes_takes_its_end_with_it() -> None:
    assert edited(TEXT, Edit("a.c", "one", "\treturn 1;\n", ""), "case x").startswith(b"static int one(void)\n{\n}\n")


GOOD = """
- id: X1
  category: A
  confidence: high
  edits: [{file: a.c, function: one, find: "1", replace: "2"}]
  expect: {function: one, scope: intraprocedural}
- id: X2
  edits: [{file: a.c, function: null, find: "1", replace: "2"}]
  expect: {findings: 0}
"""


def test_cases_are_read(tmp_path: Path) -> None:
    (tmp_path / "cases.yaml").write_text(GOOD)
    bug, harmless = read_cases(tmp_path / "cases.yaml")
    assert (bug.category, bug.function, bug.scope) == ("A", "one", "intraprocedural")
    assert (harmless.category, harmless.function) == ("", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- id: X1\n  edits: []\n", "2"),
        (GOOD + GOOD, "there twice"),
        ("- id: X1\n  category: A\n  edits: [{file: a, find: b, replace: c}]\n", "without expect.function"),
        ("id: X1\n", "list"),
    ],
)
def test_a_broken_file_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "cases.yaml").write_text(text)
    with pytest.raises(ReviewerError, match=said):
        read_cases(tmp_path / "cases.yaml")


BUG = Case(id="X1", subject="s", category="A", function="one", scope="same", confidence="high", edits=())


def reviewed(status: str = "introduced", **changes: object) -> Reviewed:
    finding = Finding(
        rule="sleep-in-atomic", severity="error", confidence="high", file="a.c", line=1, column=1, function="two", message="m",
        involves=(), proof=(Step("call", "a.c", 1, "one", "", ()),), event="e",
    )  # fmt: skip
    return msgspec.convert({"finding": msgspec.structs.replace(finding, **changes), "status": status}, Reviewed)


def test_found_if_the_function_is_in_the_proof() -> None:
    assert judge(BUG, [reviewed()], all_rules(), 1.0).found


@pytest.mark.parametrize(
    "finding",
    [
        reviewed("unchanged"), reviewed(severity="note"), reviewed(confidence="low"), reviewed(rule="missing-freed-update"),
        reviewed(proof=()),
    ],
)  # fmt: skip
def test_not_found_otherwise(finding: Reviewed) -> None:
    assert not judge(BUG, [finding], all_rules(), 1.0).found


def test_the_figures() -> None:
    harmless = Case(id="X2", subject="s", category="", function="", scope="", confidence="", edits=())
    verdicts = [
        judge(BUG, [reviewed(), reviewed(proof=())], all_rules(), 1.0), failed(BUG, "why", 3.0),
        judge(harmless, [reviewed()], all_rules(), 2.0), judge(harmless, [], all_rules(), 2.0),
    ]  # fmt: skip
    got = summary(verdicts)
    assert (got.bugs.found, got.bugs.of, got.others, got.harmless, got.wrong, got.failed) == (1, 2, 1, 2, 1, 1)
    assert got.groups["category"]["A"].found == 1
    assert got.median == 2.0
