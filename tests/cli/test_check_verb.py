"""``reviewer check``: the protocols of b4, and b4 itself."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from running import COMMAND, environment
from test_reply_verb import CALL, CMM, Work

if TYPE_CHECKING:
    from conftest import Outcome

    Run = Callable[..., Outcome]
    Git = Callable[..., str]

LINE = re.compile(r"[^\s:]+:\d+: (ERROR|WARNING): [a-z-]+: [^\n]+")


@pytest.fixture
def work(kernel: Path, git: Git) -> Work:
    git(kernel, "tag", "base")
    return Work(kernel, git)


@pytest.fixture
def checked(real: Run, work: Work, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a check in the work tree, as b4 does; the first argument is what is on standard input."""

    def run(given: str | bytes, *arguments: str) -> Outcome:
        data = given if isinstance(given, bytes) else given.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        monkeypatch.chdir(work.folder)
        return real("check", *arguments)

    return run


@pytest.fixture
def patches(work: Work) -> list[str]:
    """Three commits, of which the first has a hazard and the last mends it; the work tree stays at their end."""
    work.hazard()
    work.commit("s390/cmm: note")
    work.edit("mm/oom_kill.c", "killing for order", "really killing for order")
    work.commit("mm: say it")
    work.edit(CMM, CALL, "")
    work.commit("s390/cmm: no note")
    text = work.git(work.folder, "format-patch", "--stdout", "base..HEAD")
    return re.split(r"^(?=From [0-9a-f]{40} )", text + "\n", flags=re.MULTILINE)[1:]


def test_each_patch_on_its_own_base(checked: Run, patches: list[str], work: Work) -> None:
    first, second, third = (checked(patch, "b4") for patch in patches)
    assert first.code == 1 and first.err == ""
    (line,) = first.out.splitlines()
    assert LINE.fullmatch(line)
    file, number, _ = line.split(":", 2)
    text = work.git(work.folder, "show", f"HEAD~2:{CMM}").split("\n")
    assert file == CMM and text[int(number) - 1] == CALL.rstrip("\n")
    assert second == third == (0, "", "")


def test_json(checked: Run, patches: list[str]) -> None:
    outcome = checked(patches[0], "b4-json")
    (entry,) = json.loads(outcome.out)
    assert (entry["tool"], entry["status"], entry["summary"]) == ("reviewer", "fail", "1 error")
    assert LINE.fullmatch(entry["details"]) and outcome.err == ""
    outcome = checked(patches[1], "b4-json")
    assert (outcome.code, json.loads(outcome.out)[0]["status"]) == (0, "pass")


def test_a_cover_letter_is_nothing_to_check(checked: Run) -> None:
    cover = "From: a@b.org\nSubject: [PATCH 0/2] mm: parts\nMessage-ID: <1@b.org>\n\nwhat it is about\n"
    assert checked(cover, "b4") == (0, "", "")
    assert checked(cover, "b4-json") == (0, "[]\n", "")


DOES_NOT_APPLY = """\
From: a@b.org
Subject: [PATCH] mm: x

---
diff --git a/mm/oom_kill.c b/mm/oom_kill.c
index 1111111..2222222 100644
--- a/mm/oom_kill.c
+++ b/mm/oom_kill.c
@@ -1,2 +1,2 @@
 what is not there
-nor this
+at all
"""


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        ("", ()),
        (DOES_NOT_APPLY, ()),
        (DOES_NOT_APPLY.replace("+at all\n", ""), ()),
        (DOES_NOT_APPLY.replace("a/mm", "a/../mm").replace("b/mm", "b/../mm"), ()),
        (b"\xff\xfe\0" * 50, ()),
        (DOES_NOT_APPLY, ("--base", "nowhere")),
        (DOES_NOT_APPLY, ("-C", "nowhere")),
        (DOES_NOT_APPLY, ("--rules", "no-such-rule")),
    ],
)
def test_trouble_is_one_line_that_fails(checked: Run, given: str | bytes, arguments: tuple[str, ...]) -> None:
    outcome = checked(given, "b4", *arguments)
    assert outcome.code == 1 and outcome.err == ""
    assert outcome.out.count("\n") == 1 and outcome.out.startswith("ERROR: not reviewed: ")
    outcome = checked(given, "b4-json", *arguments)
    (entry,) = json.loads(outcome.out)
    assert outcome.err == "" and entry["status"] == "fail" and entry["summary"].startswith("not reviewed: ")


def test_quoted_source_makes_no_failure_of_a_warning() -> None:
    from reviewer.checks.finding import Finding
    from reviewer.deliver.b4 import finding_line, lines, report
    from reviewer.review.result import Reviewed

    finding = Finding(
        rule="r", severity="warning", confidence="high", file="a\nERROR: b.c", line=3, column=1, function="f",
        message='pr_err("ERROR: x") is\nreached\x1b[2J.', involves=(), proof=(), event="",
    )  # fmt: skip
    line = finding_line(Reviewed(finding=finding, status="introduced"))
    assert "ERROR:" not in line and "\n" not in line and "\x1b" not in line
    assert line.startswith("a ERROR : b.c:3: WARNING: r: pr_err(")
    assert lines([], [("x.c", "ERROR: gone"), ("y.c", "z")]) == ["WARNING: incomplete, not read: x.c (ERROR : gone) and 1 more"]
    assert json.loads(report([], [("x.c", "gone")]))[0]["status"] == "warn"


def test_b4_prep_check(work: Work, patches: list[str], tmp_path: Path) -> None:
    """The real b4, without a network: it takes each line that we print for a finding, and ours alone."""
    pytest.importorskip("b4.ez")
    folder, git = work.folder, work.git
    own = tmp_path / "home"
    own.mkdir()
    script = tmp_path / "reviewer-check"
    command = " ".join(map(shlex.quote, COMMAND))
    script.write_text(f'#!/bin/sh\nexec {command} check b4 --store {shlex.quote(str(tmp_path / "store"))} "$@"\n')
    script.chmod(0o755)
    (own / "gitconfig").write_text("[user]\n\tname = Ann Example\n\temail = ann@example.org\n")
    settings = {
        **environment(tmp_path / "cache"), "HOME": str(own), "XDG_DATA_HOME": str(own / "data"), "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(own / "gitconfig"),
    }  # fmt: skip
    settings = {key: value for key, value in settings.items() if key not in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")}
    git(folder, "config", "b4.prep-perpatch-check-cmd", str(script))
    git(folder, "checkout", "-q", "-b", "work")
    git(folder, "branch", "-f", "main", "base")

    def b4(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from b4.command import cmd; sys.exit(cmd())", *arguments],
            cwd=folder, env=settings, capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode in (0, 1), done
        return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)

    assert "b4/" in b4("prep", "-n", "hazard", "-f", "main")
    git(folder, "cherry-pick", "base..work")
    said = b4("prep", "--check", "--no-cache")
    assert "Success: 2, Warning: 0, Error: 1" in said, said
    (line,) = [line for line in said.splitlines() if "callback-needs-reclaim" in line]
    assert f"{script.name}: {CMM}:" in line and ": ERROR: callback-needs-reclaim: " in line
    assert git(folder, "status", "--short") == ""
