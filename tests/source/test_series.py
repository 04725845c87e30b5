"""Series from mboxes, files, folders and standard input; git makes them, splits them and says what is right."""

from __future__ import annotations

import gzip
import io
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reviewer.errors import InputError
from reviewer.source import inputs
from reviewer.source.mail import tidy
from reviewer.source.mbox import is_mbox, split_mbox
from reviewer.source.patch import Series
from reviewer.source.series import read_series
from reviewer.source.subject import Subject, clean_title, parse_subject

RunGit = Callable[..., str]


def mail(
    subject: str,
    name: str,
    *,
    answers: Sequence[str] = (),
    body: str = "Because.\n",
    file: str = "mm/demo.c",
    diff: bool = True,
    sender: str = "a@example.org",
    day: int = 2,
) -> bytes:
    """One mail as it stands in an mbox."""
    head = f"From {sender} Mon Mar  2 10:00:00 2020\nFrom: A <{sender}>\nDate: Mon, {day} Mar 2020 10:00:00 +0000\n"
    head += f"Subject: {subject}\nMessage-ID: <{name}>\n"
    if answers:
        head += f"In-Reply-To: <{answers[-1]}>\nReferences: {' '.join(f'<{other}>' for other in answers)}\n"
    change = f"---\n x | 2 +-\n\ndiff --git a/{file} b/{file}\n--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-a\n+{name}\n-- \n2.39\n"
    return (head + "\n" + body + (change if diff else "") + "\n").encode()


def cover(subject: str, name: str, **options: object) -> bytes:
    return mail(subject, name, diff=False, **options)  # type: ignore[arg-type]


def read(folder: Path, *messages: bytes) -> Series:
    """The series in an mbox of these messages."""
    path = folder / "t.mbox"
    path.write_bytes(b"".join(messages))
    return read_series([str(path)])


def refused(folder: Path, *messages: bytes) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, *messages)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(folder), "DIR")


def titles(series: Series) -> list[str]:
    return [patch.subject for patch in series.patches]


V1 = (
    cover("[PATCH 0/2] pump: count", "c1"),
    mail("[PATCH 1/2] pump: one", "p1", answers=["c1"]),
    mail("[PATCH 2/2] pump: two", "p2", answers=["c1"]),
)
V2 = (
    cover("[PATCH v2 0/2] pump: count", "c2", answers=["c1"], day=3),
    mail("[PATCH v2 1/2] pump: one", "q1", answers=["c1", "c2"], day=3),
    mail("[PATCH v2 2/2] pump: two", "q2", answers=["c1", "c2"], day=3),
)


@pytest.fixture
def history(work_tree: Path, git: RunGit) -> Path:
    """Commits with all that makes a patch odd."""
    git(work_tree, "config", "core.autocrlf", "false")
    (work_tree / "mm/demo.c").write_text("static int pump;\n-- \n>From here\nFrom there\n")
    (work_tree / "mm/tab\tname.c").write_text("int tab;")
    git(work_tree, "add", "-A")
    git(work_tree, "commit", "-qm", "mm: grüße, a title that is long enough to be folded by whoever sends it as a mail\n\nä")
    (work_tree / "mm/demo.c").rename(work_tree / "mm/ümlaut.c")
    (work_tree / "logo").write_bytes(bytes(range(256)))
    (work_tree / "Makefile").chmod(0o755)
    git(work_tree, "add", "-A")
    git(work_tree, "commit", "-qm", "mm: rename\n\nFrom here on\nit is\n\n- a\n-- b", "--author=Ü <ü@x>")
    (work_tree / "mm/tab\tname.c").write_bytes(b"int tab;\r\nint other;\r\n")
    git(work_tree, "commit", "-qam", "mm: [x] line ends")
    return work_tree


@pytest.mark.parametrize("options", [[], ["--attach"], ["--inline"], ["--cover-letter", "--thread"], ["-N"], ["-v3", "-n"]])
def test_what_format_patch_writes_is_read_as_git_am_applies_it(
    history: Path, git: RunGit, tmp_path: Path, options: list[str]
) -> None:
    out = tmp_path / "out"
    git(history, "format-patch", "-q", *options, "--base=HEAD~3", "-o", str(out), "HEAD~3")
    for named in ([str(out)], sorted(str(path) for path in out.iterdir())):
        series = read_series(named)
        again = history.parent / f"again{len(named)}"
        git(tmp_path, "clone", "-q", str(history), str(again))
        git(again, "checkout", "-q", "HEAD~3")
        git(again, "am", "-q", "--keep-cr", *sorted(str(path) for path in out.iterdir() if "0000" not in path.name))
        applied = git(again, "log", "--reverse", "--format=%s%x00%an%x00%ae%x00%b%x01", "origin/HEAD~3..HEAD").split("\x01")
        for patch, line in zip(series.patches, applied, strict=False):
            subject, name, address, body = line.lstrip("\n").split("\0")
            assert (patch.subject, patch.author.name, patch.author.email) == (subject, name, address)
            assert patch.message == tidy(body)
        assert [(patch.number, patch.total) for patch in series.patches] == [(1, 3), (2, 3), (3, 3)]
        assert series.version == (3 if "-v3" in options else 1)
        assert series.base_commit == git(history, "rev-parse", "HEAD~3") and series.notes == ()
        changes = [(change.operation, change.path) for patch in series.patches for change in patch.files]
        assert changes == [
            ("modify", "mm/demo.c"), ("add", "mm/tab\tname.c"),
            ("modify", "Makefile"), ("add", "logo"), ("rename", "mm/ümlaut.c"), ("modify", "mm/tab\tname.c"),
        ]  # fmt: skip
        assert series.patches[2].files[0].hunks[0].lines == (b"-int tab;", b"+int tab;\r\n", b"+int other;\r\n")
        subprocess.run(["rm", "-rf", str(again)], check=True)


def test_an_mbox_of_format_patch(history: Path, tmp_path: Path) -> None:
    command = ["git", "-C", str(history), "format-patch", "--stdout", "HEAD~3"]
    text = subprocess.run(command, check=True, capture_output=True).stdout
    for data in (text, gzip.compress(text), re.sub(rb"\n+(?=From [0-9a-f]{40})", b"\n", text)):
        series = read_series(["-"], io.BytesIO(data))
        assert [patch.number for patch in series.patches] == [1, 2, 3]
        assert series.patches[1].origin == "standard input (message 2)"
        assert "From here on\nit is" in series.patches[1].message
    path = tmp_path / "x.mbox.gz"
    path.write_bytes(gzip.compress(text))
    assert titles(read_series([str(path)])) == titles(series)


# mbox


def test_separators() -> None:
    mbox = (
        b"From a@b Mon Mar  2 10:00:00 2020\nFrom: a\n\nFrom here on\n>From there\n>>From x\n\nFrom now, at 10:00 2020\n\n"
        b"From c@d Mon Mar  2 10:00:00 2020 +0100\nFrom: c\n\nfine\n\nFrom e Mon Mar  2 10:00:00 2020\nis no header\n"
        b"From e Mon Mar  2 10:00:00 2020\nFrom: e\n"
    )
    first, second = split_mbox(mbox)
    assert first.endswith(b"\n\nFrom here on\nFrom there\n>From x\n\nFrom now, at 10:00 2020\n\n")
    assert second.endswith(b"is no header\nFrom e Mon Mar  2 10:00:00 2020\nFrom: e\n")
    assert not is_mbox(b"From: a\n\n" + mbox) and not is_mbox(b"From here to 10:00 there\n")


def test_a_length_is_believed_if_it_fits() -> None:
    body = b"one\n\nFrom a@b Mon Mar  2 10:00:00 2020\nFrom: inside\n\n"
    second = b"From c@d Mon Mar  2 10:00:00 2020\nFrom: c\n\nx\n"
    head = b"From a@b Mon Mar  2 10:00:00 2020\nContent-Length: %d\n\n"
    assert len(list(split_mbox(head % len(body) + body + b"\n" + second))) == 2
    assert len(list(split_mbox(head % len(body) + body))) == 1
    assert len(list(split_mbox(head % 7 + body + b"\n" + second))) == 3


LINES = ["From x", ">From y", "", "a", "From a Mon Mar  2 10:00:00 2020"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from(LINES), max_size=6), min_size=1, max_size=4))
def test_what_is_escaped_comes_back_as_from_git(tmp_path_factory: pytest.TempPathFactory, bodies: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("split")
    mbox = b""
    for lines in bodies:
        escaped = [">" + line if line.lstrip(">").startswith("From ") else line for line in lines]
        mbox += "\n".join(["From a Mon Mar  2 10:00:00 2020", "From: a", "", *escaped, "", ""]).encode()
    (folder / "m").write_bytes(mbox)
    subprocess.run(["git", "mailsplit", "--mboxrd", f"-o{folder}", str(folder / "m")], check=True, capture_output=True)
    theirs = [path.read_bytes() for path in sorted(folder.glob("0*"))]
    assert list(split_mbox(mbox)) == theirs


# Threads


def test_a_thread_with_everything(tmp_path: Path) -> None:
    quoted = "> @@ -1 +1 @@\n> -a\n> +b\nWhy?\n"
    series = read(
        tmp_path,
        V1[2],
        cover("Re: [PATCH 1/2] pump: one", "r1", answers=["c1", "p1"], sender="r@x", body=quoted),
        mail("Re: [PATCH 2/2] pump: two", "r2", answers=["c1", "p2"], sender="s@x", body="Rather so:\n"),
        mail("[PATCH] pump: fix a warning", "bot", answers=["c1", "p2"], sender="bot@x"),
        V1[0],
        V1[1],
        cover("[syzbot ci] Re: pump: count", "r3", answers=["c1"], sender="t@x"),
    )
    assert titles(series) == ["pump: one", "pump: two"] and [patch.number for patch in series.patches] == [1, 2]
    assert (series.title, series.cover_id, series.version) == ("pump: count", "c1", 1)
    assert len(series.notes) == 2
    assert "(message 3): a diff in a reply is passed over: 'Re: [PATCH 2/2] pump: two'" in series.notes[0]
    assert "(message 4): a patch offered in the thread of another is passed over: 'pump: fix a warning'" in series.notes[1]
    assert series.patches[0].references == ("c1",) and series.patches[0].message_id == "p1"


def test_the_newest_version(tmp_path: Path) -> None:
    series = read(tmp_path, *V2, *V1)
    assert series.version == 2 and [patch.message_id for patch in series.patches] == ["q1", "q2"]
    assert series.notes == ("v1 of 'pump: count' is older than v2, which is taken",)


def test_the_newest_complete_version(tmp_path: Path) -> None:
    series = read(tmp_path, *V1, *V2[:2])
    assert series.version == 1 and series.notes == ("v2 of 'pump: count' is incomplete, 2 of 2 is missing; v1 is taken",)


def test_mails_that_only_have_a_diff_in_them(tmp_path: Path) -> None:
    series = read(tmp_path, mail("Patch \"pump: one\" has been added to the stable tree", "bot", sender="bot@x"), *V1)
    assert titles(series) == ["pump: one", "pump: two"] and "no patch by its subject" in series.notes[0]
    assert titles(read(tmp_path, mail("pump: one", "m"))) == ["pump: one"]


def test_a_subject_in_the_body(tmp_path: Path) -> None:
    inner = "Subject: pump: a better title\n\nBecause.\n"
    series = read(tmp_path, *V1[:2], mail("[PATCH 2/2] pump: two", "p2", answers=["c1"], body=inner))
    assert titles(series) == ["pump: one", "pump: a better title"]
    assert series.patches[1].full_subject == "[PATCH 2/2] pump: two" and series.patches[1].message == "Because.\n"
    answer = mail("Re: [PATCH 2/2] pump: two", "r", answers=["c1", "p2"], body="No:\n-- >8 --\n" + inner)
    assert titles(read(tmp_path, *V1, answer)) == ["pump: one", "pump: two"]


def test_a_new_version_in_a_thread_of_its_own(tmp_path: Path) -> None:
    alone = [message.replace(b"<c1> <c2>", b"<c2>").replace(b"In-Reply-To: <c1>\nReferences: <c1>\n", b"") for message in V2]
    series = read(tmp_path, *alone, *V1)
    assert series.version == 2 and titles(series) == ["pump: one", "pump: two"] and len(series.notes) == 1


def test_the_same_version_twice(tmp_path: Path) -> None:
    later = [message.replace(b"v2 ", b"") for message in V2]
    series = read(tmp_path, *later, *V1)
    assert [patch.message_id for patch in series.patches] == ["q1", "q2"]
    assert series.notes == ("v1 of 'pump: count' is there twice; the later is taken",)


def test_one_patch_becomes_two(tmp_path: Path) -> None:
    single = mail("[PATCH] pump: both", "s", day=1)
    grown = [message.replace(b"<c1>", b"<s>") for message in V2]
    assert [patch.message_id for patch in read(tmp_path, single, *grown).patches] == ["q1", "q2"]


def test_a_new_version_of_one_patch_does_not_replace_the_series(tmp_path: Path) -> None:
    series = read(tmp_path, *V1, mail("[PATCH v2] pump: two", "again", answers=["c1", "p2"], day=4))
    assert [patch.message_id for patch in series.patches] == ["p1", "p2"]
    assert "offered in the thread of another" in series.notes[0]


def test_a_series_that_answers_a_question(tmp_path: Path) -> None:
    asked = cover("pump trouble", "d", sender="d@x")
    series = [message.replace(b"Message-ID: <c1>\n", b"Message-ID: <c1>\nIn-Reply-To: <d>\n") for message in V1]
    answer = cover("Re: [PATCH 2/2] pump: two", "r", answers=["p2"], sender="r@x")
    offer = mail("[PATCH] pump: other", "o", answers=["r"], sender="o@x")
    found = read(tmp_path, asked, *series, answer, offer)
    assert titles(found) == ["pump: one", "pump: two"] and "'pump: other'" in found.notes[0]


def test_notes_have_an_end(tmp_path: Path) -> None:
    answers = [mail("Re: [PATCH 2/2] pump: two", f"r{number}", answers=["c1"]) for number in range(50)]
    notes = read(tmp_path, *V1, *answers).notes
    assert len(notes) == 31 and notes[-1] == "... and 20 more of the kind"


def test_single_patches_by_version(tmp_path: Path) -> None:
    series = read(tmp_path, mail("[PATCH] pump: one", "a"), mail("[PATCH v3] pump: one", "b", answers=["a"]),
                  mail("[PATCH v2] pump: one", "c", answers=["a"]))  # fmt: skip
    assert [patch.message_id for patch in series.patches] == ["b"] and series.version == 3 and series.title == "pump: one"
    resent = read(tmp_path, mail("[PATCH] pump: one", "a"), mail("[RESEND PATCH] pump: one", "b"))
    assert [patch.message_id for patch in resent.patches] == ["b"]


def test_without_a_thread(tmp_path: Path) -> None:
    series = read(tmp_path, *(mail(f"[PATCH {number}/3] pump: {number}", f"m{number}") for number in (2, 3, 1)))
    assert titles(series) == ["pump: 1", "pump: 2", "pump: 3"] and series.notes == ()


def test_two_series(tmp_path: Path) -> None:
    other = mail("[PATCH 1/1] fan: spin", "f", sender="f@x")
    series = read(tmp_path, *V1, other)
    assert titles(series) == ["pump: one", "pump: two", "fan: spin"]
    assert [(patch.number, patch.total) for patch in series.patches] == [(1, 3), (2, 3), (3, 3)]
    assert series.notes == ("2 series, taken one after the other: 'pump: count', 'fan: spin'",)


def test_a_message_twice(tmp_path: Path) -> None:
    series = read(tmp_path, *V1, *V1)
    assert titles(series) == ["pump: one", "pump: two"] and series.notes == ()


def test_an_incomplete_series(tmp_path: Path) -> None:
    assert refused(tmp_path, V1[0], V1[2]) == (
        "DIR/t.mbox: v1 of 'pump: count' is incomplete, 1 of 2 is missing; "
        "get the whole thread, or give the patches as files, one by one"
    )
    many = refused(tmp_path, mail("[PATCH 01/30] a", "a"), mail("[PATCH 30/30] b", "b", answers=["a"]))
    assert "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ... of 30 are missing" in many


def test_an_incomplete_series_of_files(tmp_path: Path) -> None:
    for name, message in (("b", V1[2]), ("a", mail("[PATCH 3/3] pump: three", "z")), ("c", mail("[PATCH 1/3] pump: one", "y"))):
        (tmp_path / name).write_bytes(message)
    series = read_series([str(tmp_path / "a"), str(tmp_path / "c")])
    assert [(patch.number, patch.total) for patch in series.patches] == [(1, 3), (3, 3)]
    assert series.notes == ("v1 of 'pump: one': only what was given is read, 2 of 3 is missing",)
    (lone,) = read_series([str(tmp_path / "b")]).patches
    assert (lone.number, lone.total) == (2, 2)


def test_a_reply_that_is_all_there_is(tmp_path: Path) -> None:
    answer = mail("Re: pump trouble", "r", answers=["q"], body="Try this:\n")
    series = read(tmp_path, cover("pump trouble", "q"), answer)
    assert titles(series) == ["pump trouble"] and "a reply, but the only patch there is" in series.notes[0]
    assert "only replies have patches in them, 2" in refused(tmp_path, answer, mail("Re: pump trouble", "r2"))


def test_the_base_may_stand_in_the_cover_letter(tmp_path: Path) -> None:
    base = "0123456789abcdef0123456789abcdef01234567"
    body = f"Hello\n\nbase-commit: {base}\nprerequisite-patch-id: {base[:8]}\n-- \n2.39\n"
    with_base = cover("[PATCH 0/2] pump: count", "c1", body=body)
    assert read(tmp_path, with_base, *V1[1:]).base_commit == base


def test_a_damaged_diff_names_its_message(tmp_path: Path) -> None:
    message = refused(tmp_path, V1[0], V1[1], V1[2].replace(b"-a\n", b""))
    assert message.startswith("DIR/t.mbox (message 3):18: the hunk of line 16 promises 1 old and 1 new lines, but ends")


# Files and folders

BARE = b"pump: count\n\nBecause.\n\n--- a/mm/demo.c\n+++ b/mm/demo.c\n@@ -1 +1 @@\n-a\n+b\n"


def test_bare_diffs(tmp_path: Path) -> None:
    (tmp_path / "fix-pump.diff").write_bytes(BARE[BARE.index(b"---") :])
    (tmp_path / "other.patch").write_bytes(BARE)
    series = read_series([str(tmp_path / "other.patch"), str(tmp_path / "fix-pump.diff")])
    assert titles(series) == ["pump: count", "fix-pump"]
    assert [patch.message for patch in series.patches] == ["Because.\n", ""]
    assert series.patches[0].files[0].line == 5 and series.patches[0].author.email == "" and series.patches[0].total == 2
    assert read_series(["-"], io.BytesIO(b"\xef\xbb\xbf\n" + BARE)).title == "pump: count"
    lone = read_series(["-"], io.BytesIO(BARE.replace(b"\n", b"\r\n")))
    assert lone.title == "pump: count" and lone.patches[0].files[0].hunks[0].lines == (b"-a\n", b"+b\n")


def test_unnumbered_files_stay_in_the_order_given(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(mail(f"[PATCH] same title{name * (name == 'c')}", f"m{name}"))
    series = read_series([str(tmp_path / name) for name in "bca"])
    assert [patch.message_id for patch in series.patches] == ["mb", "mc", "ma"] and series.notes == ()


def test_what_git_show_prints(history: Path, git: RunGit, tmp_path: Path) -> None:
    command = ["git", "-C", str(history), "log", "-p", "--format=medium", "--abbrev-commit", "--no-abbrev-commit"]
    text = subprocess.run([*command, "-1", "HEAD~1"], check=True, capture_output=True).stdout
    (patch,) = read_series(["-"], io.BytesIO(text)).patches
    assert (patch.subject, patch.author.name, patch.author.email) == ("mm: rename", "Ü", "ü@x")
    assert patch.message == "From here on\nit is\n\n- a\n-- b\n" and len(patch.files) == 3
    several = subprocess.run(command, check=True, capture_output=True).stdout
    with pytest.raises(InputError, match="a log of several commits"):
        read_series(["-"], io.BytesIO(several))


def test_a_quilt_folder(tmp_path: Path) -> None:
    (tmp_path / "series").write_text("# pumps\nfirst.patch\n\n  sub/second.patch -p0 # no prefix\nthird -p1\n#gone.patch\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "first.patch").write_bytes(BARE)
    (tmp_path / "sub/second.patch").write_bytes(BARE.replace(b"a/mm", b"mm").replace(b"b/mm", b"mm"))
    (tmp_path / "third").write_bytes(b"From: Q <q@x>\nSubject: with a header\n\ntext\n\n" + BARE[BARE.index(b"---") :])
    (tmp_path / "unlisted.patch").write_bytes(b"nothing")
    series = read_series([str(tmp_path)])
    assert titles(series) == ["pump: count", "pump: count", "with a header"]
    assert {patch.files[0].path for patch in series.patches} == {"mm/demo.c"}
    assert series.patches[2].author.name == "Q"


@pytest.mark.parametrize(
    ("line", "what"),
    [("absent.patch", "series:1: 'absent.patch' is not there"), ("../x", "series:1: '../x' is outside"),
     ("x -R", "series:1: '-R' is not"), ("/etc/passwd", "outside"), ("#", "names no patch")],
)  # fmt: skip
def test_what_is_wrong_in_a_quilt_folder(tmp_path: Path, line: str, what: str) -> None:
    (tmp_path / "x").write_bytes(BARE)
    (tmp_path / "series").write_text(line + "\n")
    with pytest.raises(InputError, match=what):
        read_series([str(tmp_path)])


def test_a_maildir(tmp_path: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "cur/100.x:2,S").write_bytes(V1[1].split(b"\n", 1)[1])
    (tmp_path / "new/99.x").write_bytes(V1[2].split(b"\n", 1)[1])
    (tmp_path / "tmp/1").write_bytes(b"half a ma")
    assert titles(read_series([str(tmp_path)])) == ["pump: one", "pump: two"]


def test_a_folder_is_sorted_by_its_numbers(tmp_path: Path) -> None:
    for number in (2, 10, 1):
        (tmp_path / f"{number}.patch").write_bytes(BARE.replace(b"pump:", b"pump %d:" % number))
    (tmp_path / ".hidden.patch").write_bytes(b"x")
    (tmp_path / "README").write_bytes(b"x")
    assert titles(read_series([str(tmp_path)])) == ["pump 1: count", "pump 2: count", "pump 10: count"]
    for path in tmp_path.glob("*.patch"):
        path.rename(path.with_suffix(""))
    assert len(read_series([str(tmp_path)]).patches) == 3


def test_an_old_version_in_a_folder(history: Path, git: RunGit, tmp_path: Path) -> None:
    for version in ("-v1", "-v2"):
        git(history, "format-patch", "-q", version, "-o", str(tmp_path / "out"), "HEAD~3")
    series = read_series([str(tmp_path / "out")])
    assert series.version == 2 and len(series.patches) == 3 and "older than v2" in series.notes[0]


GIVE = "; give an mbox, patch files or a directory of them"


def test_what_is_no_series(tmp_path: Path) -> None:
    def what(*names: str, stdin: bytes | None = None) -> str:
        with pytest.raises(InputError) as caught:
            read_series([name if name == "-" else str(tmp_path / name) for name in names], io.BytesIO(stdin or b""))
        assert "\n" not in str(caught.value)
        return str(caught.value).replace(str(tmp_path), "DIR")

    (tmp_path / "noise").write_bytes(os.urandom(3000))
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.gz").write_bytes(gzip.compress(BARE)[:-9])
    (tmp_path / "cover").write_bytes(V1[0])
    (tmp_path / "file").write_bytes(b"")
    assert what("absent") == "DIR/absent: no such file or folder" + GIVE
    assert what("noise") == "DIR/noise: no patch in it" + GIVE
    assert what("empty") == "DIR/empty: no patch in it" + GIVE
    assert what("cover") == "DIR/cover: no patch in it" + GIVE
    assert what("file") == "DIR/file: no patch in it" + GIVE
    assert what("file/x") == "DIR/file/x: no such file or folder" + GIVE
    assert what("bad.gz").startswith("DIR/bad.gz: the gzip data is damaged")
    assert what("-", stdin=b"") == "standard input: no patch in it" + GIVE
    assert what("x\ny") == "DIR/x\\ny: no such file or folder" + GIVE
    with pytest.raises(InputError, match="standard input: there is none"):
        read_series(["-"], None)
    with pytest.raises(InputError, match="no file: no patch"):
        read_series([])


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MOST", 10_000)
    (tmp_path / "bomb").write_bytes(gzip.compress(b"x" * 10_000_000))
    with pytest.raises(InputError, match="bomb: larger than"):
        read_series([str(tmp_path / "bomb")])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(BARE)
    (tmp_path / "x").chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        read_series([str(tmp_path / "x")])


# Subjects


@pytest.mark.parametrize(
    ("text", "version", "number", "total", "title"),
    [
        ("[PATCH v3 2/7] mm: x", 3, 2, 7, "mm: x"), ("[RFC PATCH] mm: x", 1, None, 1, "mm: x"),
        ("[PATCH net-next 3/4 v2] mm: x", 2, 3, 4, "mm: x"), ("[PATCH 03/12] mm: x", 1, 3, 12, "mm: x"),
        ("[RESEND PATCH v2 00/10] mm: x", 2, 0, 10, "mm: x"), ("[PATCHv4 1/2] mm: x", 4, 1, 2, "mm: x"),
        ("[PATCH V2] mm: x", 2, None, 1, "mm: x"), ("[RFC v2 1/3] mm: v4l: x", 2, 1, 3, "mm: v4l: x"),
        ("[PATCH v5.15 1/3] mm: x", 1, 1, 3, "mm: x"), ("[PATCH 6.1.y 1/3] mm: x", 1, 1, 3, "mm: x"),
        ("[net-next] [PATCH v2 1/2] [media] x", 2, 1, 2, "x"), ("[PATCH] 1/3: x", 1, 1, 3, "1/3: x"),
        ("[PATCH 1 of 3] x", 1, 1, 3, "x"), ("[PATCH 0/0] x", 1, None, 1, "x"), ("mm: x 1/2 v2", 1, None, 1, "mm: x 1/2 v2"),
        ("PATCH: x", 1, None, 1, "PATCH: x"), ("[PATCH", 1, None, 1, "[PATCH"), ("", 1, None, 1, ""),
    ],
)  # fmt: skip
def test_subjects(text: str, version: int, number: int | None, total: int, title: str) -> None:
    found = parse_subject(text)
    assert (found.version, found.number, found.total, found.title, found.reply) == (version, number, total, title, False)


def test_replies() -> None:
    assert all(parse_subject(f"{mark} [PATCH v2 1/2] x").reply for mark in ("Re:", "RE:", "Aw:", "Re[2]:", "AW: Re:", "答复："))
    assert not parse_subject("[PATCH] Re: x").reply and not parse_subject("regulator: x").reply
    assert parse_subject("Re: [PATCH v2 1/2] x") == Subject(True, True, 2, 1, 2, False, "x")
    assert parse_subject("[PATCH RESEND] x").resend and clean_title("regulator: x") == "regulator: x"


# Properties

PIECES = st.sampled_from(
    [*V1, *V2, BARE, b"From a Mon Mar  2 10:00:00 2020\n", b"From: x\n", b"\n", V1[1][:150], b"\x1f\x8b", b"\0"]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(PIECES, st.binary(max_size=30)), max_size=12))
def test_no_input_is_too_odd(pieces: list[bytes]) -> None:
    try:
        series = read_series(["-"], io.BytesIO(b"".join(pieces)))
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert series.patches and [patch.number for patch in series.patches] == sorted({patch.number for patch in series.patches})
