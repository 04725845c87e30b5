"""What a diff says, with git as the judge: what it writes is read back, what it refuses is refused."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reviewer.errors import InputError
from reviewer.source.diff import has_diff, parse_diff, unquote
from reviewer.source.patch import FileChange, Hunk

RunGit = Callable[..., str]


def diff(folder: Path, *options: str) -> bytes:
    """What git says has changed in the work tree since the last commit, new files included."""
    subprocess.run(["git", "-C", str(folder), "add", "-A"], check=True)
    command = ["git", "-C", str(folder), "diff", "--cached", "-M", "--full-index", *options]
    return subprocess.run(command, check=True, capture_output=True).stdout


def text_of(hunks: tuple[Hunk, ...]) -> bytes:
    """Hunks as git would write them."""
    result = b""
    for hunk in hunks:
        result += hunk.header + b"\n"
        for line in hunk.lines:
            result += line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"
    return result


def one(text: bytes, **options: int) -> FileChange:
    (change,) = parse_diff(text, "x.patch", strip=options.get("strip"))
    return change


def refused(text: bytes) -> str:
    with pytest.raises(InputError) as caught:
        parse_diff(text, "x.patch")
    assert "\n" not in str(caught.value)
    return str(caught.value)


EDIT = b"""diff --git a/mm/demo.c b/mm/demo.c
index 1111111..2222222 100644
--- a/mm/demo.c
+++ b/mm/demo.c
@@ -1,3 +1,4 @@ int pump_read(void)
 one
-two
+2
+2.5
 three
"""


PLAIN = b"""Index: linux/mm/demo.c
===================================================================
--- linux.orig/mm/demo.c\t2020-01-02 03:04:05.000000000 +0100
+++ linux/mm/demo.c\t2020-01-02 03:04:06.000000000 +0100
@@ -1 +1 @@
-a
+b
"""


def test_a_hunk() -> None:
    change = one(EDIT)
    assert (change.operation, change.old_path, change.new_path) == ("modify", "mm/demo.c", "mm/demo.c")
    assert (change.old_mode, change.new_mode, change.old_blob, change.new_blob) == ("100644", "100644", "1111111", "2222222")
    (hunk,) = change.hunks
    assert (hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count) == (1, 3, 1, 4)
    assert hunk.section == b"int pump_read(void)" and change.line == 1 and hunk.line == 5
    assert hunk.lines == (b" one\n", b"-two\n", b"+2\n", b"+2.5\n", b" three\n")
    assert b"\n".join(EDIT.split(b"\n")[4:]) == text_of(change.hunks)


def test_every_kind_of_change_as_git_writes_it(work_tree: Path, git: RunGit) -> None:
    (work_tree / "mm/big.c").write_text("".join(f"line {number}\n" for number in range(40)))
    (work_tree / "gone.c").write_text("int gone;\n")
    (work_tree / "run.sh").write_text("true\n")
    (work_tree / "kind").write_text("file\n")
    (work_tree / "pic").write_bytes(b"\0\1\2")
    git(work_tree, "add", "-A")
    git(work_tree, "commit", "-q", "-m", "two")
    (work_tree / "mm/big.c").rename(work_tree / "drivers/ä b.c")
    text = (work_tree / "drivers/ä b.c").read_text().replace("line 30\n", "line thirty\n")
    (work_tree / "drivers/ä b.c").write_text(text)
    (work_tree / "gone.c").unlink()
    (work_tree / "run.sh").chmod(0o755)
    (work_tree / "kind").unlink()
    (work_tree / "kind").symlink_to("Makefile")
    (work_tree / "pic").write_bytes(b"\0\1\2\3" * 50)
    (work_tree / "new\ttab.c").write_bytes(b"int x;")
    (work_tree / "empty").write_bytes(b"")
    for quote in ("true", "false"):
        git(work_tree, "config", "core.quotePath", quote)
        found = parse_diff(diff(work_tree, "--binary"), "x")
        by_path = {(change.operation, change.path): change for change in found}
        assert set(by_path) == {
            ("rename", "drivers/ä b.c"), ("delete", "gone.c"), ("modify", "run.sh"), ("delete", "kind"), ("add", "kind"),
            ("modify", "pic"), ("add", "new\ttab.c"), ("add", "empty"),
        }  # fmt: skip
    moved = by_path["rename", "drivers/ä b.c"]
    assert moved.old_path == "mm/big.c" and moved.hunks[0].section == b"line 26"
    assert b"+line thirty\n" in moved.hunks[0].lines
    assert by_path["delete", "gone.c"].new_path is None and by_path["delete", "gone.c"].new_mode is None
    assert (by_path["modify", "run.sh"].old_mode, by_path["modify", "run.sh"].new_mode) == ("100644", "100755")
    assert by_path["add", "kind"].new_mode == "120000" and by_path["add", "kind"].hunks[0].lines == (b"+Makefile",)
    assert by_path["add", "new\ttab.c"].old_path is None and by_path["add", "new\ttab.c"].hunks[0].lines == (b"+int x;",)
    assert by_path["add", "empty"].hunks == ()
    assert by_path["modify", "pic"].binary and (by_path["modify", "pic"].patch or b"").startswith((b"literal ", b"delta "))


def test_a_binary_change_without_its_content(work_tree: Path) -> None:
    (work_tree / "mm/demo.c").write_bytes(b"\0")
    change = one(diff(work_tree))
    assert change.binary and change.patch is None and change.operation == "modify"


def test_a_submodule_is_data() -> None:
    header = b"diff --git a/sub b/sub\nnew file mode 160000\nindex 0000000..1234567\n--- /dev/null\n+++ b/sub\n"
    change = one(header + b"@@ -0,0 +1 @@\n+Subproject commit 1\n")
    assert (change.operation, change.new_mode, change.old_blob) == ("add", "160000", "")


def test_a_copy(work_tree: Path) -> None:
    (work_tree / "mm/copy.c").write_bytes((work_tree / "mm/demo.c").read_bytes())
    change = one(diff(work_tree, "-C", "--find-copies-harder"))
    assert (change.operation, change.old_path, change.new_path, change.hunks) == ("copy", "mm/demo.c", "mm/copy.c", ())


def test_names_without_prefixes(work_tree: Path) -> None:
    (work_tree / "mm/demo.c").write_text("x\n")
    (work_tree / "drivers/odd name.c").rename(work_tree / "drivers/odder name.c")
    assert [change.path for change in parse_diff(diff(work_tree, "--no-prefix"), "x")] == ["drivers/odder name.c", "mm/demo.c"]
    prefixed = diff(work_tree, "--src-prefix=x/y/", "--dst-prefix=z/w/", "--", "mm")
    assert [change.path for change in parse_diff(prefixed, "x", strip=2)] == ["mm/demo.c"]


def test_a_plain_diff() -> None:
    change = one(PLAIN)
    assert (change.operation, change.old_path, change.new_path, change.old_mode, change.line) == (
        "modify", "mm/demo.c", "mm/demo.c", None, 3,
    )  # fmt: skip
    assert one(PLAIN.replace(b"linux.orig/mm/demo.c", b"linux/mm/demo.c.orig")).path == "mm/demo.c"
    assert one(PLAIN.replace(b"+++ linux/mm/demo.c", b"+++ linux/mm/demo.c.new")).path == "mm/demo.c"


@pytest.mark.parametrize("zone", [b"1970-01-01 01:00:00.000000000 +0100", b"1969-12-31 19:00:00 -0500"])
def test_a_file_that_diff_says_is_from_1970_is_new(zone: bytes) -> None:
    text = PLAIN.replace(b"2020-01-02 03:04:05.000000000 +0100", zone).replace(b"@@ -1 +1 @@\n-a\n", b"@@ -0,0 +1 @@\n")
    assert one(text).operation == "add"
    assert one(text.replace(b"19:00", b"20:00").replace(b"01:00", b"02:00")).operation == "modify"


def test_dev_null() -> None:
    assert one(b"--- /dev/null\n+++ b/x.c\n@@ -0,0 +1 @@\n+a\n").old_path is None
    assert one(b"--- a/x.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n").new_path is None
    assert one(b"Binary files /dev/null and b/logo differ\n").operation == "add"


def test_a_signature_is_no_removed_line() -> None:
    assert one(EDIT + b"-- \n2.39.5\n\n").hunks == one(EDIT).hunks
    assert one(EDIT + b"--\nTo unsubscribe\n").hunks == one(EDIT).hunks


def test_a_removed_line_that_looks_like_a_header() -> None:
    change = one(b"--- a/x.sql\n+++ b/x.sql\n@@ -1,2 +1,2 @@\n--- old\n-- more\n+++ new\n+more\n")
    assert change.hunks[0].lines == (b"--- old\n", b"-- more\n", b"+++ new\n", b"+more\n")


def test_line_ends() -> None:
    inside = EDIT.replace(b"two\n", b"two\r\n")
    assert one(inside).hunks[0].lines[1] == b"-two\r\n"
    on_the_way = EDIT.replace(b"\n", b"\r\n")
    assert one(on_the_way).hunks == one(EDIT).hunks and one(on_the_way).path == "mm/demo.c"


def test_an_eaten_space() -> None:
    text = EDIT.replace(b" one\n", b"\n")
    assert one(text).hunks[0].lines[0] == b" \n"


def test_no_newline_in_the_middle() -> None:
    text = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"
    assert one(text).hunks[0].lines == (b"-a", b"+a\n")
    assert text_of(one(text).hunks) == text[16:]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (EDIT.replace(b" three\n", b""), "x.patch:9: the hunk of line 5 promises 3 old and 4 new lines, but ends after 2 and 3;"),
        (EDIT.replace(b"-1,3 +1,4", b"-1,4 +1,5") + b"-- \n2.39\n", "x.patch:12: the hunk of line 5 promises 4 old"),
        (EDIT.replace(b"+1,4", b"+1,3").replace(b" three\n", b" three\n+4\n"), "x.patch:10: the hunk of line 5 promises 3 old"),
        (EDIT + b"+more\n", "x.patch:11: the hunk of line 5 promises 3 old and 4 new lines, but more are there; "),
        (EDIT.replace(b"+2.5", b"2.5"), "x.patch:9: the hunk"),
        (EDIT.replace(b"@@ -1,3", b"@@ -1,x"), "x.patch:5: this @@ line is malformed"),
        (EDIT.replace(b"100644", b"rwxr"), "x.patch:2: the index line"),
        (EDIT.replace(b"+++ b/mm/demo.c", b"+++ b/mm/other.c"), "x.patch:4: 'mm/other.c' here and 'mm/demo.c' above"),
        (EDIT.replace(b"index", b"new file mode 100644\nindex"), "x.patch:6: new file 'mm/demo.c' has old lines"),
        (EDIT.replace(b"index", b"deleted file mode 100644\nindex"), "x.patch:6: deleted file 'mm/demo.c' has new lines"),
        (EDIT[EDIT.index(b"@@") :], "x.patch:1: a hunk without a file name above it"),
        (b"diff --git a/x b/x\nindex 1111..2222 100644\n", "x.patch:1: nothing is said of what changes in 'x'"),
        (b"diff --git a/x b/y\nold mode 100644\nnew mode 100755\n", "x.patch:1: the header does not say which file"),
        (b"diff --git a/x b/y\nrename from x\n", "x.patch:1: only one name of a rename"),
        (b"diff --git x.c y.c\nold mode 100644\nnew mode 100755\n", "x.patch:1: the header does not say"),
        (b"--- x.c\n+++ x.c\n@@ -1 +1 @@\n-a\n+b\n", "x.patch:1: 'x.c' has no 1 leading component to strip (-p1); make"),
        (PLAIN.replace(b"@@ -1", b"@@ -one"), "x.patch:5: this @@ line is malformed"),
        (EDIT.replace(b"-1,3 +1,4", b"-1,4 +1,4") + b"-- \n2.39.5\n", "x.patch:11: the hunk of line 5 promises 4 old and 4 new"),
        (b"diff --cc x.c\nindex 1,2..3\n", "x.patch:1: a merge's combined diff"),
        (b"diff --git a/x b/x\nGIT binary patch\nliteral 3\nnonsense\n\n", "x.patch:4: this line is not of a binary patch"),
        (b'diff --git "a/\\q" "b/\\q"\nnew file mode 100644\n', "x.patch:1: a quoted name"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(text: bytes, what: str) -> None:
    assert what in refused(text)


def test_git_refuses_the_wrong_counts_too(work_tree: Path) -> None:
    for text in (EDIT.replace(b" three\n", b""), EDIT.replace(b"+2.5", b"2.5")):
        done = subprocess.run(["git", "-C", str(work_tree), "apply", "--numstat"], input=text, capture_output=True, check=False)
        assert done.returncode != 0 and b"corrupt patch" in done.stderr


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../x", "'..' component"), ("mm/../../x", "'..' component"), ("./x", "'.' component"), ("mm//x", "empty component"),
        ("/etc/passwd", "absolute"), ("mm/", "empty component"), (".git/config", ".git folder"), ("mm/.GIT/x", ".git folder"),
        ("git~1/x", ".git folder"), ("GIT~1", ".git folder"), (".git /x", ".git folder"), (".git. . /x", ".git folder"),
        (".git::$INDEX_ALLOCATION/x", ".git folder"), (".g\u200cit/x", ".git folder"), ("\ufeff.git/x", ".git folder"),
        ("mm\\x.c", "backslash"), ("C:/x", "drive letter"), ("c:x", "drive letter"), ("x" * 5000, "longer than 4096"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["git", "plain", "rename", "quoted", "delete"])
def test_dangerous_paths(name: str, why: str, form: str) -> None:
    raw = os.fsencode(name)
    old, new = (b'"' + b"".join(b"\\%03o" % byte for byte in side + raw) + b'"' for side in (b"a/", b"b/"))
    text = {
        "git": b"diff --git a/%b b/%b\nold mode 100644\nnew mode 100755\n" % (raw, raw),
        "plain": b"--- a/ok.c\n+++ b/%b\n@@ -1 +1 @@\n-a\n+b\n" % raw,
        "rename": b"diff --git a/ok.c b/%b\nrename from ok.c\nrename to %b\n" % (raw, raw),
        "quoted": b"diff --git %b %b\nnew file mode 120000\n--- /dev/null\n+++ %b\n@@ -0,0 +1 @@\n+t\n" % (old, new, new),
        "delete": b"--- a/%b\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n" % raw,
    }[form]  # fmt: skip
    message = refused(text)
    if name.startswith("x") and form in ("git", "quoted"):
        assert "header does not say" in message or "too long" in message
        return
    assert "is refused: it" in message and message.startswith("x.patch:")
    assert why in message


def test_a_nul_is_refused() -> None:
    assert "NUL" in refused(b'--- a/x\n+++ "b/y\\000.c"\n@@ -1 +1 @@\n-a\n+b\n')


@pytest.mark.parametrize("name", [".gitignore", "mm/.gitattributes", "..x", "x..y/z", "ab:c", ".github/x", "git~10", "gitx/.gi"])
def test_names_that_only_look_dangerous(name: str) -> None:
    raw = name.encode()
    assert one(b"diff --git a/%b b/%b\nold mode 100644\nnew mode 100755\n" % (raw, raw)).path == name


def test_unquote() -> None:
    assert unquote(rb"a/\303\244\t\"\\.c") == b'a/\xc3\xa4\t"\\.c'
    assert unquote(rb"\8") is None and unquote(b"\\") is None


def test_quoted_text_is_no_diff() -> None:
    assert has_diff(EDIT) and has_diff(PLAIN) and has_diff(b"text\n\n" + EDIT.replace(b"\n", b"\r\n"))
    quoted = b"".join(b"> " + line + b"\n" for line in EDIT.splitlines())
    assert not has_diff(quoted) and parse_diff(quoted, "x") == () and not has_diff(b"--- a\n+++ b\n")


def test_a_long_list_of_spaces_is_quick() -> None:
    assert "too long" in refused(b"diff --git " + b" " * 200_000 + b"x\nnew file mode 100644\n")
    assert "does not say" in refused(b"diff --git " + b"a/b " * 2_000 + b"c\n")


# Properties

SOUP = st.sampled_from(
    [*EDIT.splitlines(keepends=True), *PLAIN.splitlines(keepends=True), b"\\ No newline at end of file\n", b"\n", b"-- \n", b"+a",
     b"GIT binary patch\n", b"literal 3\n", b"KcmZ\n", b"rename from x\n", b"rename to y\n", b"new file mode 100644\n",
     b"+++ /dev/null\n", b"@@ -0,0 +1 @@\n", b'diff --git "a/\\303" b/x\n', b"Binary files a/x and b/x differ\n"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(SOUP, st.binary(max_size=20)), max_size=30), st.sampled_from([None, 0, 1, 2]))
def test_no_text_is_too_odd(pieces: list[bytes], strip: int | None) -> None:
    try:
        found = parse_diff(b"".join(pieces), "x", strip=strip)
    except InputError as error:
        assert "\n" not in str(error)
        return
    for change in found:
        for hunk in change.hunks:
            assert sum(line[:1] in (b" ", b"-") for line in hunk.lines) == hunk.old_count
            assert sum(line[:1] in (b" ", b"+") for line in hunk.lines) == hunk.new_count


CONTENT = st.lists(
    st.sampled_from(
        [b"a", b"b", b"", b"-- ", b"--- x", b"+++ y", b"@@ -1 +1 @@", b"\\ No", b"c\r", b"diff --git a/x b/x", b"\xff\xfe"]
    ),
    max_size=30,
)  # fmt: skip


@pytest.fixture(scope="module")
def scratch_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("pair")
    for side in ("a", "b"):
        (folder / side).mkdir()
    yield folder


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=CONTENT, after=CONTENT, ends=st.tuples(st.booleans(), st.booleans()))
def test_what_git_writes_reads_back_to_the_same_text(
    scratch_pair: Path, before: list[bytes], after: list[bytes], ends: tuple[bool, bool]
) -> None:
    for side, lines, end in (("a", before, ends[0]), ("b", after, ends[1])):
        (scratch_pair / side / "x.c").write_bytes(b"\n".join(lines) + b"\n" * end)
    command = ["git", "diff", "--no-index", "--no-prefix", "--text", "a/x.c", "b/x.c"]
    text = subprocess.run(command, cwd=scratch_pair, capture_output=True, check=False).stdout
    found = parse_diff(text, "x")
    assert len(found) == (b"@@" in text)
    if found:
        start = text.index(b"\n@@ ") + 1
        assert text_of(found[0].hunks) == text[start:]
