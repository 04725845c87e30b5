"""A remark stands under the line that it belongs to, in the hunk as it was mailed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mails import DIFF, Comment, comments, make_cause, make_finding, make_patch, make_reviewed

from reviewer.checks.finding import Step
from reviewer.deliver.quote import LEAD, SNIP, Place, anchor, file_header, place_of, quoted, settled, text_of
from reviewer.source.patch import FileChange

REMARK = ["Can this sleep?"]


def body_of(diff: bytes, *places: Place) -> str:
    return "\n".join(quoted(make_patch(diff=diff), dict.fromkeys(places, REMARK)))


def test_the_line_of_the_finding() -> None:
    patch = make_patch()
    place = place_of(patch, make_reviewed(patch))
    assert place == Place(0, 1, 4)
    assert patch.files[0].hunks[1].lines[4] == b"+\tlevel = fill(GFP_KERNEL);\n"


def test_the_mailed_hunk_stands_elsewhere() -> None:
    patch = make_patch(diff=DIFF.replace(b"@@ -20,7 +21,8 @@", b"@@ -520,7 +521,8 @@"))
    assert place_of(patch, make_reviewed(patch)) == Place(0, 1, 4)


def test_the_mailed_hunks_are_cut_otherwise() -> None:
    """A fresh diff makes one hunk of two that were mailed with less context."""
    mailed = DIFF[: DIFF.index(b"@@ -1,4")] + (
        b"@@ -3,2 +3,3 @@\n three\n+first\n four\n@@ -5,2 +6,3 @@\n five\n+second\n six\n"
    )
    patch = make_patch(diff=mailed)
    fresh = (" one", " two", " three", "+first", " four", " five", "+second", " six", " seven")
    cause = make_cause(text=fresh, line=1)
    assert place_of(patch, make_reviewed(patch, make_finding(line=7), cause)) == Place(0, 1, 1)


def test_a_line_that_was_not_mailed_goes_to_the_nearest_that_was() -> None:
    mailed = DIFF[: DIFF.index(b"@@ -1,4")] + b"@@ -22,0 +24,2 @@\n+\tlevel = fill(GFP_KERNEL);\n+\tsettle(level);\n"
    patch = make_patch(diff=mailed)
    assert place_of(patch, make_reviewed(patch, make_finding(line=27))) == Place(0, 0, 1)


def test_of_equal_lines_the_one_with_equal_neighbours() -> None:
    mailed = DIFF[: DIFF.index(b"@@ -1,4")] + (
        b"@@ -1,4 +1,5 @@\n a\n b\n+\treturn 0;\n c\n d\n@@ -11,4 +12,5 @@\n e\n f\n+\treturn 0;\n g\n h\n"
    )
    patch = make_patch(diff=mailed)
    for hunk in (0, 1):
        cause = make_cause(patch, hunk, line=300)
        assert place_of(patch, make_reviewed(patch, make_finding(line=302), cause)) == Place(0, hunk, 2)


def test_marks_may_differ() -> None:
    """Another way of diffing says ``+`` of a line where the mail has context."""
    patch = make_patch(diff=DIFF[: DIFF.index(b"@@ -1,4")] + b"@@ -1,2 +1,3 @@\n one\n+zero\n two\n")
    cause = make_cause(text=("+one", "+zero"), line=1)
    assert place_of(patch, make_reviewed(patch, make_finding(line=1), cause)) == Place(0, 0, 0)


def test_nothing_like_it_was_mailed() -> None:
    patch = make_patch()
    assert place_of(patch, make_reviewed(patch, cause=make_cause(text=("+strange",), line=24))) is None
    assert place_of(patch, make_reviewed(patch, cause=make_cause(file="mm/other.c"))) is None
    assert place_of(patch, make_reviewed(patch, cause=make_cause(line=24, text=("+strange", " ", "+ \t")))) is None


def test_a_finding_elsewhere_belongs_to_the_step_in_the_hunk() -> None:
    steps = (Step("call", "mm/pump.c", 25, "pump", "settle(level);"), Step("access", "mm/far.c", 9, "far", "x = 0;"))
    finding = make_finding(file="mm/far.c", line=9, function="far", proof=steps)
    assert anchor(finding, make_cause(inside=False)) == 5


@pytest.mark.parametrize(("name", "expected"), [("read_level", 3), ("settle", 5), ("nobody", 5)])
def test_else_to_the_changed_line_that_names_something(name: str, expected: int) -> None:
    finding = make_finding(file="mm/far.c", line=9, function="far", proof=(), involves=(f"mm/pump.c:{name}",))
    assert anchor(finding, make_cause(inside=False)) == expected


def test_settled_takes_the_line_of_most() -> None:
    assert settled([Place(0, 0, 5), Place(0, 0, 2), Place(0, 0, 2)]) == Place(0, 0, 2)
    assert settled([Place(0, 0, 5), Place(0, 0, 2)]) == Place(0, 0, 5)


def test_the_quote_is_the_mail_untouched() -> None:
    body = body_of(DIFF, Place(0, 1, 4))
    lines = [line[2:] for line in body.split("\n") if line.startswith("> ")]
    mailed = DIFF.decode().split("\n")
    assert lines == [mailed[0], *mailed[2:4], *mailed[mailed.index("@@ -20,7 +21,8 @@ static int pump(void)") :][:6]]
    assert body.split("\n")[3] == SNIP  # the first hunk


def test_two_remarks_in_one_hunk_and_one_in_another() -> None:
    body = body_of(DIFF, Place(0, 1, 5), Place(0, 1, 3), Place(0, 0, 1))
    assert [(c.path, c.line, c.content) for c in comments(body)] == [
        ("mm/pump.c", 2, "+first"),
        ("mm/pump.c", 23, "-\tlevel = read_level();"),
        ("mm/pump.c", 25, "+\tsettle(level);"),
    ]
    assert body.count("> diff --git") == 1 and body.count("> @@") == 2


def test_b4_finds_the_same_lines(b4_comments: Callable[..., list[Comment]]) -> None:
    for place in [Place(0, n, k) for n, count in ((0, 5), (1, 9)) for k in range(count)]:
        body = body_of(DIFF, place)
        ours, theirs = comments(body), b4_comments(body)
        assert ours == theirs and len(ours) == 1
        assert b4_comments(body, DIFF.decode()) == ours


LONG = DIFF[: DIFF.index(b"@@ -1,4")] + b"@@ -0,0 +1,300 @@\n" + b"".join(b"+line %d;\n" % n for n in range(1, 301))


def test_a_long_hunk_is_cut(b4_comments: Callable[..., list[Comment]]) -> None:
    body = body_of(LONG, Place(0, 0, 250))
    assert len(body.split("\n")) < 25 and SNIP in body.split("\n")
    (comment,) = b4_comments(body, LONG.decode())
    assert (comment.path, comment.line, comment.content) == ("mm/pump.c", 251, "+line 251;")


def test_a_usual_hunk_is_not_cut_above_a_remark() -> None:
    body = body_of(LONG, Place(0, 0, LEAD - 1))
    assert SNIP not in body
    assert comments(body)[0].line == LEAD


def test_what_is_left_out_between_remarks_is_marked() -> None:
    other = DIFF.replace(b"mm/pump.c", b"mm/tank.c")
    body = body_of(DIFF + other, Place(0, 1, 4), Place(1, 0, 1))
    lines = body.split("\n")
    assert lines[lines.index("> diff --git a/mm/tank.c b/mm/tank.c") - 1] == SNIP
    assert [c.path for c in comments(body)] == ["mm/pump.c", "mm/tank.c"]


def test_letters_of_other_charsets() -> None:
    assert text_of("+ä\n".encode()) == "+ä"
    assert text_of("+ä\r\n".encode("latin-1")) == "+ä"
    assert text_of(b"+\ta\x1b[2J\x0c\n") == "+\ta\\x1b[2J\\x0c"


def change(**parts: object) -> FileChange:
    given: dict[str, object] = {"operation": "modify", "old_path": "a.c", "new_path": "a.c", "old_blob": "1", **parts}
    return FileChange(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, ["diff --git a/a.c b/a.c", "--- a/a.c", "+++ b/a.c"]),
        ({"old_blob": ""}, ["--- a/a.c", "+++ b/a.c"]),
        ({"operation": "add", "old_path": None}, ["diff --git a/a.c b/a.c", "--- /dev/null", "+++ b/a.c"]),
        ({"operation": "delete", "new_path": None}, ["diff --git a/a.c b/a.c", "--- a/a.c", "+++ /dev/null"]),
        ({"operation": "rename", "old_path": "b.c"}, ["diff --git a/b.c b/a.c", "--- a/b.c", "+++ b/a.c"]),
        (
            {"old_path": "ä\n.c", "new_path": "ä\n.c"},
            [r'diff --git "a/\303\244\012.c" "b/\303\244\012.c"', r'--- "a/\303\244\012.c"', r'+++ "b/\303\244\012.c"'],
        ),
    ],
)
def test_file_headers(parts: dict[str, object], expected: list[str]) -> None:
    assert list(file_header(change(**parts))) == expected
