"""``reviewer reply`` on small kernels: what is mailed, where, and when nothing is."""

from __future__ import annotations

import email
import email.policy
import mailbox
import sys
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "deliver"))

from mails import comments

if TYPE_CHECKING:
    from conftest import Outcome

    Run = Callable[..., Outcome]
    Git = Callable[..., str]
    Says = Callable[..., None]

CMM = "arch/s390/mm/cmm.c"
CALL = "\tcmm_note(left);\n"
HELPER = """\
static void cmm_note(long left)
{
\tlong *room = kmalloc(sizeof(*room), GFP_KERNEL);

\tif (room)
\t\t*room = left;
\tkfree(room);
}

"""

ASK_FIRST = """\
unsigned long ask_first(void)
{
\tunsigned long pages = 0;

\tblocking_notifier_call_chain(&oom_notify_list, 0, &pages);
\treturn pages;
}
EXPORT_SYMBOL_GPL(ask_first);

"""


class Work:
    """A kernel on whose top a series is written."""

    def __init__(self, folder: Path, git: Git) -> None:
        self.folder, self.git = folder, git

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text()
        assert text.count(old) == 1, old
        (self.folder / path).write_text(text.replace(old, new))

    def commit(self, subject: str) -> None:
        self.git(self.folder, "commit", "-q", "-am", subject)

    def hazard(self, file: str = CMM) -> None:
        """GFP_KERNEL below a callback of the OOM killer."""
        self.edit(file, "static int cmm_oom_notify", HELPER + "static int cmm_oom_notify")
        self.edit(file, "\tif (left > 0)\n", CALL + "\tif (left > 0)\n")

    def series(self, target: Path, *options: str) -> Path:
        text = self.git(
            self.folder, "format-patch", "--stdout", "--thread", "--to=linux-mm@example.org",
            "--cc=\"Smith, O. (TI)\" <smith@example.org>", *options, "base..HEAD",
        )  # fmt: skip
        self.git(self.folder, "reset", "-q", "--hard", "base")
        target.write_text(text + "\n")
        return target


@pytest.fixture
def work(kernel: Path, git: Git) -> Work:
    git(kernel, "tag", "base")
    git(kernel, "config", "format.useAutoBase", "false")
    return Work(kernel, git)


def mails(path: Path) -> list[EmailMessage]:
    found = [email.message_from_bytes(bytes(one), policy=email.policy.default) for one in mailbox.mbox(path)]
    assert all(isinstance(one, EmailMessage) for one in found)
    return found  # type: ignore[return-value]


def test_an_answer_below_the_line(real: Run, work: Work, tmp_path: Path) -> None:
    work.hazard()
    work.commit("s390/cmm: für später")
    given = work.series(tmp_path / "given.mbox")
    out = tmp_path / "out.mbox"
    outcome = real("reply", work.folder, given, "-o", out, "--from", "Bot <bot@example.net>")
    assert (outcome.code, outcome.out) == (1, "")
    (answer,) = mails(out)
    (patch,) = mails(given)
    assert answer["Subject"] == f"Re: {patch['Subject']}"
    assert answer["In-Reply-To"] == patch["Message-ID"] == answer["References"]
    assert answer["From"] == "Bot <bot@example.net>" and answer["To"] == '"a@b" <a@b>'
    assert answer["Cc"] == 'linux-mm@example.org, "Smith, O. (TI)" <smith@example.org>'
    assert answer["Auto-Submitted"] == "auto-replied"
    body = answer.get_content()
    (comment,) = comments(body)
    assert (comment.path, comment.content) == (CMM, "+" + CALL.rstrip("\n"))
    work.hazard()
    assert (work.folder / CMM).read_text().split("\n")[comment.line - 1] == CALL.rstrip("\n")
    assert "kmalloc() with GFP_KERNEL in cmm_note" in " ".join(comment.text.split())
    assert "oom_lock" in comment.text
    quoted = [line[2:] for line in body.split("\n") if line.startswith("> ")]
    assert set(quoted) <= set(given.read_text().split("\n"))
    base = work.git(work.folder, "rev-parse", "base")
    assert f"reviewer review --base {base} . -" in body


def test_b4_finds_the_line(real: Run, work: Work, tmp_path: Path) -> None:
    review = pytest.importorskip("b4.review._review")
    work.hazard()
    work.commit("s390/cmm: note")
    diff = work.git(work.folder, "diff", "base")
    given = work.series(tmp_path / "given.mbox")
    real("reply", work.folder, given, "-o", tmp_path / "out.mbox")
    body = mails(tmp_path / "out.mbox")[0].get_content()
    found = review._extract_comments_from_quoted_reply(body)
    assert [(c["path"], c["line"], c["content"]) for c in found] == [(f"b/{CMM}", c.line, c.content) for c in comments(body)]
    before = [(c["path"], c["line"]) for c in found]
    review._resolve_comment_positions(diff, found)
    assert [(c["path"], c["line"]) for c in found] == before


def test_a_reply_can_be_repeated_byte_for_byte(
    real: Run, work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1780000000")
    work.hazard()
    work.commit("s390/cmm: note")
    given = work.series(tmp_path / "given.mbox")
    first, second = (real("reply", work.folder, given, "--no-store", "--jobs", "1") for _ in range(2))
    assert first.out.startswith("From mboxrd@z ") and first == second
    assert "\nFrom: reviewer <reviewer@localhost>\n" in first.out


def test_nothing_is_introduced(real: Run, work: Work, tmp_path: Path) -> None:
    """There are findings in the kernel before; nothing is said of them, also not where the patch touches their file."""
    work.edit(CMM, "long left, now;", "long now, left;")
    work.commit("s390/cmm: another order")
    given = work.series(tmp_path / "given.mbox")
    out = tmp_path / "out.mbox"
    assert real("reply", work.folder, given, "-o", out)[:2] == (0, "")
    assert not out.exists()
    assert real("reply", work.folder, given)[:2] == (0, "")
    out.write_text("answers to something else\n")
    real("reply", work.folder, given, "-o", out)
    assert out.read_text() == ""


def test_what_a_later_patch_mends_is_not_mailed(real: Run, work: Work, tmp_path: Path) -> None:
    work.hazard()
    work.commit("s390/cmm: note")
    work.edit(CMM, CALL, "")
    work.commit("s390/cmm: no note")
    given = work.series(tmp_path / "given.mbox", "--cover-letter")
    outcome = real("reply", work.folder, given, "-o", tmp_path / "out.mbox")
    assert outcome.code == 0 and not (tmp_path / "out.mbox").exists()


def test_only_the_patch_that_brings_it_is_answered(real: Run, work: Work, tmp_path: Path) -> None:
    work.edit(CMM, "long left, now;", "long now, left;")
    work.commit("s390/cmm: another order")
    work.hazard()
    work.commit("s390/cmm: note")
    given = work.series(tmp_path / "given.mbox", "--cover-letter")
    assert real("reply", work.folder, given, "-o", tmp_path / "out.mbox").code == 1
    (answer,) = mails(tmp_path / "out.mbox")
    cover, _, second = mails(given)
    assert answer["Subject"] == "Re: [PATCH 2/2] s390/cmm: note"
    assert answer["In-Reply-To"] == second["Message-ID"]
    assert answer["References"].split() == [cover["Message-ID"], second["Message-ID"]]


def test_what_a_moved_call_takes_from_others(real: Run, work: Work, tmp_path: Path) -> None:
    """The chain is called without oom_lock: several places elsewhere rest on it, and are said once, below that call."""
    old = (work.folder / "mm/oom_kill.c").read_text()
    start, end = old.index("\tunsigned long pages = 0;"), old.index("\treturn kill_somebody(control);")
    work.edit("mm/oom_kill.c", old[start:end], "")
    work.edit("mm/oom_kill.c", "bool out_of_memory(", ASK_FIRST + "bool out_of_memory(")
    work.commit("mm: ask first")
    given = work.series(tmp_path / "given.mbox")
    assert real("reply", work.folder, given, "-o", tmp_path / "out.mbox").code == 1
    (answer,) = mails(tmp_path / "out.mbox")
    body = answer.get_content()
    found = comments(body)
    assert [c.path for c in found] == ["mm/oom_kill.c"] and "call_chain" in found[0].content
    assert body.count("> @@") == 1
    text = " ".join(found[0].text.split())
    assert "places seem to rest on what changes here" in text
    assert "kernel/rcu/tree_plugin.h" in text and "drivers/virtio/virtio_balloon.c" in text
    assert "So far oom_lock kept two callers of" in text


def test_confidence_and_paths_choose(real: Run, work: Work, tmp_path: Path) -> None:
    work.hazard()
    work.commit("s390/cmm: note")
    given = work.series(tmp_path / "given.mbox")
    out = tmp_path / "out.mbox"
    assert real("reply", work.folder, given, "-o", out, "--path", "fs")[0] == 0
    assert not out.exists()
    assert real("reply", work.folder, given, "-o", out, "--fail-on", "never")[0] == 0
    assert out.exists()


def test_a_patch_that_was_never_mailed(real: Run, work: Work, tmp_path: Path) -> None:
    work.hazard()
    work.commit("s390/cmm: note")
    given = work.series(tmp_path / "given.patch", "--no-thread")
    outcome = real("reply", work.folder, given, "-o", tmp_path / "out.mbox")
    assert outcome.code == 1 and "no Message-ID" in outcome.err
    (answer,) = mails(tmp_path / "out.mbox")
    assert answer["In-Reply-To"] is None and answer["References"] is None


def test_a_tree_without_git(real: Run, work: Work, tmp_path: Path) -> None:
    import shutil

    work.hazard()
    work.commit("s390/cmm: note")
    given = work.series(tmp_path / "given.mbox")
    shutil.rmtree(work.folder / ".git")
    outcome = real("reply", "-C", work.folder, given)
    assert outcome.code == 1 and "    reviewer review . -\n" in outcome.out


@pytest.mark.parametrize("sender", ["nobody", "a b@example.org", "x <a@b.org>\nBcc: c@d.org", ""])
def test_a_bad_sender(real: Run, work: Work, says: Says, sender: str) -> None:
    says(real("reply", work.folder, "nothing.mbox", "--from", sender), 2, "--from")


def test_no_series(real: Run, work: Work, says: Says) -> None:
    says(real("reply", "-C", work.folder), 2, "SERIES")


def test_a_tree_cannot_say_who_we_are(real: Run, work: Work, tmp_path: Path, says: Says) -> None:
    work.hazard()
    work.commit("s390/cmm: note")
    given = work.series(tmp_path / "given.mbox")
    (work.folder / ".reviewer.toml").write_text('from = "someone@example.org"\n')
    work.git(work.folder, "add", "-A")
    work.commit("settings")
    says(real("reply", work.folder, given), 2, "from", "who you are")
