"""Hunks onto texts; git itself says what is right."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tinydiff import changes

from reviewer.source.apply import DoesNotApply, apply_hunks, place_hunks, split_lines
from reviewer.source.patch import FileChange

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder in no repository, where `git apply` works on plain files."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def diff(folder: Path, old: bytes, new: bytes, *options: str) -> bytes:
    """What git says of a change of ``t.c``; b"" where there is none."""
    for side, content in (("a", old), ("b", new)):
        (folder / side).mkdir(exist_ok=True)
        (folder / side / "t.c").write_bytes(content)
    command = ["git", "diff", "--no-index", "--no-prefix", "--text", *options, "a/t.c", "b/t.c"]
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True).stdout


def by_git(folder: Path, content: bytes, text: bytes) -> bytes | None:
    """What ``git apply`` makes of ``t.c``; None where it refuses."""
    (folder / "t.c").write_bytes(content)
    environment = ENVIRONMENT | {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    done = subprocess.run(["git", "apply", "-"], cwd=folder, env=environment, input=text, capture_output=True)
    return (folder / "t.c").read_bytes() if done.returncode == 0 else None


def by_us(content: bytes, text: bytes) -> bytes | None:
    try:
        return apply_hunks(content, changes(text)[0])
    except DoesNotApply:
        return None


LINE = st.sampled_from([b"a", b"b", b"\tif (x)", b"}", b"", b" ", b"return 0;", b"f\x0cg", b"cr\r", b"\xff"])
TEXT = st.builds(
    lambda lines, end: b"\n".join(lines) + (b"\n" if lines and end else b""),
    st.lists(LINE, max_size=40),
    st.booleans(),
)
EDIT = st.tuples(st.integers(0, 40), st.integers(0, 3), st.lists(LINE, max_size=3))


def edited(text: bytes, edits: list[tuple[int, int, list[bytes]]]) -> bytes:
    lines = split_lines(text)
    for place, gone, fresh in edits:
        lines[place : place + gone] = [line + b"\n" for line in fresh]
    return b"".join(lines)


QUICK = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


@QUICK
@given(TEXT, st.lists(EDIT, min_size=1, max_size=4), st.integers(1, 4))
def test_a_diff_leads_from_old_to_new(folder: Path, old: bytes, edits: list[tuple[int, int, list[bytes]]], context: int) -> None:
    new = edited(old, edits)
    text = diff(folder, old, new, f"-U{context}")
    if text:
        assert apply_hunks(old, changes(text)[0]) == new


@QUICK
@given(
    TEXT,
    st.lists(EDIT, min_size=1, max_size=3),
    st.lists(EDIT, min_size=1, max_size=3),
    st.integers(0, 3),
    st.booleans(),
)
def test_on_another_base_we_do_as_git(
    folder: Path,
    old: bytes,
    edits: list[tuple[int, int, list[bytes]]],
    others: list[tuple[int, int, list[bytes]]],
    context: int,
    chop: bool,
) -> None:
    text = diff(folder, old, edited(old, edits), f"-U{context}")
    if text:
        base = edited(old, others)
        base = base.removesuffix(b"\n") if chop else base
        assert by_us(base, text) == by_git(folder, base, text)


NUMBERS = b"".join(b"line %d\n" % n for n in range(1, 31))


@pytest.mark.parametrize(
    ("before", "after", "base"),
    [
        pytest.param(NUMBERS, NUMBERS.replace(b"line 15\n", b"new\n"), b"top\n" * 5 + NUMBERS, id="further down"),
        pytest.param(NUMBERS, NUMBERS.replace(b"line 15\n", b"new\n"), NUMBERS[35:], id="further up"),
        pytest.param(NUMBERS, b"new\n" + NUMBERS, b"top\n" + NUMBERS, id="beginning moved"),
        pytest.param(NUMBERS, NUMBERS + b"new\n", NUMBERS + b"more\n", id="end moved"),
        pytest.param(NUMBERS, NUMBERS + b"new\n", NUMBERS[:-1], id="no newline in the tree"),
        pytest.param(NUMBERS[:-1], NUMBERS + b"new\n", NUMBERS, id="no newline in the patch"),
        pytest.param(NUMBERS[:-1], NUMBERS[8:-1], NUMBERS, id="no newline far away"),
        pytest.param(NUMBERS[:-1], NUMBERS[:-9] + b"x\nline 30", NUMBERS, id="no newline below the change"),
        pytest.param(NUMBERS[:-1], NUMBERS[:-9] + b"x\nline 30", NUMBERS + b"more\n", id="no newline, and more follows"),
        pytest.param(NUMBERS, NUMBERS[:-1], NUMBERS, id="newline removed"),
        pytest.param(NUMBERS, b"", NUMBERS, id="emptied"),
        pytest.param(b"", NUMBERS, b"", id="filled"),
        pytest.param(b"", NUMBERS, b"x\n", id="filled already"),
        pytest.param(NUMBERS, NUMBERS.replace(b"5", b"6"), NUMBERS.replace(b"\n", b"\r\n"), id="cr lf in the tree"),
        pytest.param(NUMBERS.replace(b"\n", b"\r\n"), NUMBERS.replace(b"5", b"6").replace(b"\n", b"\r\n"), NUMBERS, id="cr lf"),
        pytest.param(
            b"x\n" + b"a\nb\nc\n" * 9,
            b"x\n" + b"a\nb\nc\n" * 4 + b"a\nnew\nc\n" + b"a\nb\nc\n" * 4,
            b"x\n" + b"a\nb\nc\n" * 7,
            id="the nearest of many",
        ),
    ],
)
def test_places(folder: Path, before: bytes, after: bytes, base: bytes) -> None:
    text = diff(folder, before, after)
    assert by_us(base, text) == by_git(folder, base, text)
    assert by_us(before, text) == after


def test_the_line_below_comes_before_the_line_above(folder: Path) -> None:
    text = diff(folder, b"1\n2\n3\n4\nx\n5\n6\n7\n8\n", b"1\n2\n3\n4\ny\n5\n6\n7\n8\n", "-U1")
    base = b"4\nx\n5\n" * 5
    assert by_us(base, text) == by_git(folder, base, text) is not None


def one(folder: Path, before: bytes, after: bytes) -> FileChange:
    return changes(diff(folder, before, after))[0]


def complaint(folder: Path, before: bytes, after: bytes, base: bytes) -> DoesNotApply:
    with pytest.raises(DoesNotApply) as caught:
        apply_hunks(base, one(folder, before, after), "0002-pump.patch")
    return caught.value


def test_what_stood_there_instead(folder: Path) -> None:
    other = b"top\n" + NUMBERS.replace(b"line 14", b"foo();")
    error = complaint(folder, NUMBERS, NUMBERS.replace(b"line 15", b"bar();"), other)
    assert str(error) == (
        "0002-pump.patch:5: hunk @@ -12,7 +12,7 @@ does not apply to t.c: "
        'line 15 is "foo();" where the patch has "line 14"; try an older --base'
    )
    assert (error.origin, error.line, error.path, error.hunk) == ("0002-pump.patch", 5, "t.c", "@@ -12,7 +12,7 @@")
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("after", "base", "said"),
    [
        (NUMBERS.replace(b"15", b"x"), NUMBERS.replace(b"\n", b"\r\n"), "ends in CR LF where the patch has LF"),
        (NUMBERS.replace(b"15", b"x"), NUMBERS.replace(b"line 15", b"line  15"), "with other white space than in the patch"),
        (NUMBERS.replace(b"15", b"x"), NUMBERS[: NUMBERS.index(b"line 15")], 'ends with line 14 where the patch has "line 15"'),
        (NUMBERS + b"x\n", NUMBERS + b"more\n", "has no context below and 1 more lines follow"),
        (b"x\n" + NUMBERS, b"top\n" + NUMBERS, "at line 2, but it starts at the beginning"),
        (NUMBERS.replace(b"15", b"x"), NUMBERS.replace(b"15", b"\x1b[2J"), r"\x1b[2J"),
        (NUMBERS.replace(b"15", b"x"), NUMBERS.replace(b"15", b"y" * 500), "yyy..."),
        (NUMBERS.replace(b"15", b"x"), b"", "the file ends with line 0"),
    ],
)
def test_complaints(folder: Path, after: bytes, base: bytes, said: str) -> None:
    line = str(complaint(folder, NUMBERS, after, base))
    assert said in line and line.isprintable() and len(line) < 300


def test_a_hunk_does_not_fit_what_another_made() -> None:
    text = b"diff --git a/t.c b/t.c\n--- a/t.c\n+++ b/t.c\n@@ -2,2 +2,3 @@\n a\n+a\n a\n"
    change = changes(text)[0]
    assert apply_hunks(b"0\na\na\n9\n", change) == b"0\na\na\na\n9\n"
    with pytest.raises(DoesNotApply, match="already changed by the hunk before"):
        apply_hunks(b"0\na\na\n9\n", replace(change, hunks=change.hunks * 2))


def test_offsets(folder: Path) -> None:
    change = one(folder, NUMBERS, NUMBERS.replace(b"line 5\n", b"x\n").replace(b"line 25\n", b"y\n"))
    assert place_hunks(NUMBERS, change).offsets == (0, 0)
    assert place_hunks(b"t\nt\n" + NUMBERS, change).offsets == (2, 2)


def test_an_empty_context_line_may_have_lost_its_blank() -> None:
    text = b"diff --git a/t.c b/t.c\n--- a/t.c\n+++ b/t.c\n@@ -1,3 +1,3 @@\n-a\n+b\n \n c\n"
    change = changes(text)[0]
    hunk = replace(change.hunks[0], lines=(b"-a\n", b"+b\n", b"\n", b" c\n"))
    assert apply_hunks(b"a\n\nc\n", replace(change, hunks=(hunk,))) == b"b\n\nc\n"
