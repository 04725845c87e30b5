"""Several patches in a row, patches that change nothing, and where the trees come from."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import oom
import pytest
from kernels import Desk, Kernel, Patch, Said, commit, git, instead, write

Says = Callable[..., Said]

COUNT = "atomic_set(&oom_callback_count, 1);"

COMMENT = Patch({oom.ALLOC: instead(("uninterruptible(2);", "uninterruptible(2);	/* a moment */"))}, "mm: say so")

BACK = Patch(
    {oom.BALLOON: instead(("kmalloc(sizeof(*note), GFP_KERNEL)", "kmalloc(sizeof(*note), GFP_NOWAIT)"))},
    "virtio_balloon: do not wait for memory",
)

NEW_FILE = Patch({"mm/other.c": "int mm_other(void)\n{\n\treturn 1;\n}\n"}, "mm: another file")

MENDED = (COMMENT, oom.allocates("GFP_KERNEL"), NEW_FILE, BACK)
"""The second brings a hazard, the fourth takes it away."""


# --- several patches -------------------------------------------------------------------------------


def test_what_a_later_patch_mends_is_said_and_does_not_count(kernel: Kernel, desk: Desk) -> None:
    series = kernel.series(*MENDED)
    said = desk.json(kernel.folder, series)
    assert said.code == 0
    (found,) = said.report["findings"]
    assert (found["status"], found["rule"]) == ("introduced", "callback-needs-reclaim")
    assert (found["patch"]["number"], found["mended_by"]) == (2, 4)
    assert found["patch"]["subject"] == "virtio_balloon: note what was given"
    assert [p["number"] for p in said.report["patches"]] == [1, 2, 3, 4]
    assert desk.json(kernel.folder, series, "--each").code == 1


def test_the_whole_series_at_once(kernel: Kernel, desk: Desk) -> None:
    series = kernel.series(*MENDED)
    said = desk.json(kernel.folder, series, "--cumulative", "--each")
    assert said.code == 0
    assert said.report["findings"] == []
    worse = desk.json(kernel.folder, kernel.series(COMMENT, oom.own_mutex()), "--cumulative")
    assert worse.code == 1
    assert {f["patch"] and f["patch"]["number"] for f in worse.findings()} == {None}
    assert {c["patch"] for c in worse.report["contexts"]} == {None}


def test_each_patch_answers_for_its_own(says: Says) -> None:
    """In two steps: first the lock of its own, then none."""
    drop = Patch({oom.OOM: instead(
        ("	static DEFINE_MUTEX(oom_notifier_lock);\n", ""),
        ("	if (mutex_lock_killable(&oom_notifier_lock))\n		return 1;\n", ""),
        ("	mutex_unlock(&oom_notifier_lock);\n", ""),
    )}, "mm,oom: readers need no mutex")  # fmt: skip
    said = says(oom.own_mutex(), drop)
    by_patch = {n: {(f["rule"], f["severity"]) for f in said.findings() if f["patch"]["number"] == n} for n in (1, 2)}
    assert ("callback-not-concurrent", "warning") in by_patch[1]
    assert ("unguarded-counter-reset", "error") in by_patch[2]
    (itself,) = said.findings(rule="callback-needs-reclaim")
    assert (itself["patch"]["number"], itself["mended_by"]) == (1, 2)
    serialisers = {
        c["patch"]: (c["before"]["serialiser"], c["after"]["serialiser"])
        for c in said.report["contexts"] if c["function"] == "rcu_oom_notify"
    }  # fmt: skip
    own = "mm/oom_kill.c:try_oom_notifier.oom_notifier_lock"
    assert serialisers == {1: ("oom_lock", own), 2: (own, None)}


def test_a_hazard_that_comes_back_is_introduced_again(says: Says) -> None:
    again = Patch({oom.BALLOON: instead(("kmalloc(sizeof(*note), GFP_NOWAIT)", "kmalloc(sizeof(*note), GFP_KERNEL)"))})
    said = says(oom.allocates("GFP_KERNEL"), BACK, again)
    assert said.code == 1
    assert [(f["patch"]["number"], f["mended_by"]) for f in said.findings()] == [(1, 2), (3, None)]


def test_mending_what_was_there_is_fixed(says: Says) -> None:
    gives = Patch({oom.CCW: lambda text: text.replace("GFP_KERNEL | GFP_DMA", "GFP_NOWAIT | GFP_DMA")}, "virtio_ccw: do not wait")
    said = says(gives)
    assert said.code == 0
    assert said.rules() == []
    (found,) = said.findings("fixed")
    assert (found["rule"], found["patch"]["number"]) == ("callback-needs-reclaim", 1)
    assert found["hunk"]["file"] == oom.CCW


# --- a note that becomes an error, and back ---------------------------------------------------------


def test_a_note_that_becomes_an_error_is_introduced_and_the_other_way_round_fixed(kernel: Kernel, says: Says, desk: Desk) -> None:
    note = says(oom.relative_count()).findings("fixed", rule="unguarded-counter-reset")
    brought = says(oom.no_mutex())
    (error,) = brought.findings(rule="unguarded-counter-reset")
    assert error["fingerprint"] == note[0]["fingerprint"]
    assert not brought.findings("fixed"), "the note is not fixed: it has become worse"
    worse = kernel.commits(oom.no_mutex())
    git(kernel.folder, "branch", "-f", "worse", worse)
    try:
        back = kernel.folder.parent / "back.patch"
        back.write_text(git(kernel.folder, "diff", worse, "main") + "\n")
        said = desk.json(kernel.folder, back, "--base", worse)
    finally:
        git(kernel.folder, "branch", "-D", "worse")
    assert said.code == 0
    (fixed,) = said.findings("fixed", rule="unguarded-counter-reset")
    assert (fixed["severity"], fixed["fingerprint"]) == ("error", error["fingerprint"])
    assert not said.findings(), "nor is the note that is left introduced"


# --- nothing that code says ------------------------------------------------------------------------

SILENT = {
    "a comment": Patch({oom.PLUGIN: instead((COUNT, "/* our own */ " + COUNT))}),
    "blanks": Patch({oom.PLUGIN: lambda text: text.replace("\t", "        ").replace("\n\n", "\n\n\n")}),
    "another file": Patch({"Documentation/mm.rst": "Text\n", "Makefile": "obj-y += mm/\n"}),
}


@pytest.mark.parametrize("patch", SILENT.values(), ids=SILENT)
def test_a_patch_that_changes_no_code(kernel: Kernel, desk: Desk, patch: Patch) -> None:
    said = desk.json(kernel.folder, kernel.series(patch), "--each", "--min-confidence", "low")
    assert said.code == 0
    assert said.report["findings"] == said.report["contexts"] == []


def moved(text: str) -> str:
    """rcu_oom_callback() goes to the end of the file, with a declaration in front."""
    start, end = text.index("static void rcu_oom_callback("), text.index("static void rcu_oom_post(")
    head = text[start : text.index("\n", start)]
    return text[:start] + head + ";\n\n" + text[end:] + "\n" + text[start:end]


def rename(old: str, new: str, least: int) -> Callable[[str], str]:
    """The word, which stands there some times."""

    def edit(text: str) -> str:
        text, number = re.subn(rf"\b{old}\b", new, text)
        assert number >= least
        return text

    return edit


STILL = {
    "a function moved": Patch({oom.PLUGIN: moved}),
    "a local renamed": Patch({oom.BALLOON: rename("page", "fresh", 2)}),
    "a function renamed that nobody reports": Patch({
        oom.OOM: lambda text: text.replace("kill_somebody", "kill_a_process"),
    }),
    "another string": Patch({"drivers/tty/sysrq.c": instead(("nothing to kill", "nobody to kill"))}),
}  # fmt: skip


@pytest.mark.parametrize("patch", STILL.values(), ids=STILL)
def test_a_patch_that_changes_nothing_of_what_happens(kernel: Kernel, desk: Desk, patch: Patch) -> None:
    said = desk.json(kernel.folder, kernel.series(patch), "--each", "--min-confidence", "low")
    assert [(f["status"], f["rule"], f["message"]) for f in said.report["findings"]] == []
    assert said.report["contexts"] == []
    assert said.code == 0


def test_a_local_renamed_in_the_line_of_a_finding(kernel: Kernel, desk: Desk) -> None:
    said = desk.json(kernel.folder, kernel.series(Patch({oom.BALLOON: rename("given", "leaked", 6)})))
    assert said.report["findings"] == []


@pytest.mark.parametrize("more", [{}, {"drivers/virtio/balloon/oom.c": instead(("#define BATCH 256", "#define BATCH 255"))}],
                         ids=["nothing else", "with an edit"])  # fmt: skip
def test_a_file_that_moves_takes_its_findings_along(kernel: Kernel, desk: Desk, more: dict[str, Callable[[str], str]]) -> None:
    patch = Patch(more, "virtio: a folder of its own", {oom.BALLOON: "drivers/virtio/balloon/oom.c"})
    said = desk.json(kernel.folder, kernel.series(patch), "-v", "--min-confidence", "low")
    assert said.rules("introduced") == said.rules("fixed") == []
    moved = said.findings("unchanged", file="drivers/virtio/balloon/oom.c")
    assert {f["rule"] for f in moved} == {"callback-not-concurrent", "callback-needs-reclaim"}
    assert said.code == 0


# --- commits and the index --------------------------------------------------------------------------


def test_a_range_of_commits(own: Kernel, desk: Desk) -> None:
    base, last = own.base, own.commits(*MENDED)
    git(own.folder, "branch", "topic", last)
    said = desk.json(own.folder, "--range", "main..topic")
    assert said.code == 0
    assert said.report["tree"]["base"] == base
    assert said.report["tree"]["rev"] == last
    (found,) = said.report["findings"]
    assert (found["patch"]["number"], found["mended_by"]) == (2, 4)
    assert desk.json(own.folder, "--range", "main..topic~2").code == 1
    mail = desk.json(own.folder, own.series(*MENDED))
    assert [dict(f, patch=None) for f in mail.report["findings"]] == [dict(f, patch=None) for f in said.report["findings"]]


def test_an_empty_range(own: Kernel, desk: Desk) -> None:
    said = desk.json(own.folder, "--range", "main..main")
    assert said.code == 0
    assert said.report["patches"] == said.report["findings"] == []


def test_the_first_commit_of_all(own: Kernel, desk: Desk) -> None:
    """What it brings was there nowhere before."""
    said = desk.json(own.folder, "--range", own.base)
    brought = said.findings(rule="callback-needs-reclaim")
    assert brought and all(f["patch"]["number"] == 1 and f["hunk"]["inside"] for f in brought)
    assert said.rules("fixed") == said.report["contexts"] == []
    assert said.report["tree"]["rev"] == own.base
    assert said.code == 1


def test_the_index_and_not_the_work_tree(own: Kernel, desk: Desk) -> None:
    """A partial stage: of two changes in one file only the staged one is reviewed."""
    assert desk.json(own.folder, "--staged").report["findings"] == []
    write(own.folder, oom.shares_a_mutex("GFP_KERNEL").edits)
    git(own.folder, "add", oom.POWERPC)
    write(own.folder, {oom.POWERPC: lambda text: text.replace("kmalloc(sizeof(*cmm_report), GFP_KERNEL)", "NULL")})
    write(own.folder, oom.allocates("GFP_KERNEL").edits)  # not staged at all
    said = desk.json(own.folder, "--staged")
    assert said.code == 1
    assert {(f["rule"], f["file"]) for f in said.findings()} == {
        ("callback-needs-reclaim", oom.POWERPC), ("reclaim-recursion", oom.POWERPC),
    }  # fmt: skip
    assert said.report["tree"]["rev"] is None
    assert said.report["tree"]["base"] == own.base


def test_another_index(own: Kernel, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a hook of ``git commit -a``, which has an index of its own."""
    index = own.folder / ".git" / "next-index"
    shutil.copy(own.folder / ".git" / "index", index)
    write(own.folder, oom.allocates("GFP_KERNEL").edits)
    git(own.folder, "add", "-A")
    assert desk.json(own.folder, "--staged").code == 1
    monkeypatch.setenv("GIT_INDEX_FILE", str(index))
    assert desk.json(own.folder, "--staged").code == 0


# --- other trees ------------------------------------------------------------------------------------


def test_a_plain_directory(own: Kernel, desk: Desk) -> None:
    series = own.series(oom.no_mutex())
    shutil.rmtree(own.folder / ".git")
    said = desk.json("-C", own.folder, series)
    assert said.code == 1
    assert said.findings(rule="unguarded-counter-reset", severity="error")
    assert said.report["tree"]["rev"] is None
    assert len(said.contexts()) == 5


def test_a_bare_repository(kernel: Kernel, desk: Desk, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(kernel.folder), "bare.git")
    said = desk.json(tmp_path / "bare.git", kernel.series(oom.no_mutex()))
    assert said.code == 1
    assert said.report["tree"]["base"] == kernel.base


def test_the_base_is_named_or_found(own: Kernel, desk: Desk) -> None:
    """The series is for the commit before; HEAD has moved on since, in the same file."""
    base, series = own.base, own.series(oom.relative_count())
    write(own.folder, {oom.PLUGIN: lambda text: "/* More. */\n" + text})
    head = commit(own.folder, "rcu: say more")
    assert desk.json(own.folder, series).report["tree"]["base"] == base
    assert desk.json(own.folder, series, "--base", base).report["tree"]["base"] == base
    assert desk.json(own.folder, series, "--base", "HEAD").report["tree"]["base"] == head
