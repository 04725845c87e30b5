"""``reviewer review``: what stands where on its command line, exit codes, the report, and that nothing is written."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import oom
import pytest
from kernels import Desk, Kernel, Patch, Said, commit, git, instead, write

from reviewer.cli.main import run

Says = Callable[..., Said]

NOTHING = Patch({"mm/other.c": "int mm_other(void)\n{\n\treturn 1;\n}\n"}, "mm: another file")


def refused(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line on standard error of a command line that ends with 2."""
    capfd.readouterr()
    assert run(["review", *map(str, arguments), "--no-store"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("reviewer: ") and err.count("\n") == 1, err
    return err


# --- exit codes -------------------------------------------------------------------------------------


def test_nothing_and_something(kernel: Kernel, desk: Desk) -> None:
    assert desk.text(kernel.folder, kernel.series(NOTHING))[0] == 0
    bad = kernel.series(oom.no_mutex())
    assert desk.text(kernel.folder, bad)[0] == 1
    assert desk.text(kernel.folder, bad, "--fail-on", "never")[0] == 0
    assert desk.text(kernel.folder, bad, "--rules", "write-after-failed-lock")[0] == 0


def test_what_is_not_printed_counts_by_fail_on(kernel: Kernel, desk: Desk) -> None:
    """callback-not-concurrent is of medium confidence there."""
    series = kernel.series(oom.no_mutex())
    rule = ("--rules", "callback-not-concurrent")
    code, text = desk.text(kernel.folder, series, *rule, "--min-confidence", "high")
    assert code == 1
    assert "no hazard introduced" in text and "more below --min-confidence high)" in text
    assert desk.text(kernel.folder, series, *rule, "--fail-on", "high")[0] == 0


def test_notes_never_count(kernel: Kernel, desk: Desk) -> None:
    """A callback that frees a fixed amount, under oom_lock: a note is introduced."""
    edit = instead(("	now = loaned_pages;\n", "	oom_kb++;\n	now = loaned_pages;\n"))
    more = Patch({oom.POWERPC: edit}, "powerpc/cmm: more each time")
    said = desk.json(kernel.folder, kernel.series(more), "--fail-on", "low", "--min-confidence", "low")
    assert said.findings() and {f["severity"] for f in said.findings()} == {"note"}
    assert said.code == 0


def test_a_series_that_does_not_apply(kernel: Kernel, capfd: pytest.CaptureFixture[str]) -> None:
    path = kernel.series(oom.relative_count())
    path.write_text(path.read_text().replace("	smp_mb();", "	rmb();").replace("index ", "index 0"))
    err = refused(capfd, kernel.folder, path)
    assert path.name in err and "kernel/rcu/tree_plugin.h" in err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "give one of SERIES, --staged and --range"),
        (["--staged", "--range", "main..main"], "give one of SERIES, --staged and --range"),
        (["--staged", "--base", "main"], "--base is for a patch series"),
        (["--range", "nowhere..main"], "nowhere"),
        (["absent.patch"], "absent.patch"),
        (["README"], "README"),
    ],
    ids=["nothing", "two", "base", "revision", "absent", "no patch"],
)
def test_usage_and_input_that_are_wrong(
    kernel: Kernel, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], part: str,
) -> None:  # fmt: skip
    (tmp_path / "README").write_text("text\n")
    monkeypatch.chdir(tmp_path)
    assert part in refused(capfd, "-C", kernel.folder, *arguments)


def test_an_incomplete_answer(own: Kernel, desk: Desk) -> None:
    """A file that is needed and absent: 3; with something introduced as well: 1."""
    series, bad = own.series(COMMENTED), own.series(oom.allocates("GFP_KERNEL"))
    blob = git(own.folder, "rev-parse", "HEAD:drivers/tty/sysrq.c")
    path = own.folder / ".git" / "objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.unlink()
    said = desk.json(own.folder, series)
    assert said.code == 3
    assert [s["file"] for s in said.report["skipped"]] == ["drivers/tty/sysrq.c"]
    assert desk.json(own.folder, bad).code == 1


COMMENTED = Patch({oom.OOM: instead(("pr_info(\"killing for order", "pr_err(\"killing for order"))}, "mm,oom: it is an error")


# --- [TREE] SERIES... -------------------------------------------------------------------------------


def test_the_first_argument_is_the_tree_if_it_is_one(
    kernel: Kernel, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = kernel.series(oom.no_mutex())
    monkeypatch.chdir(kernel.folder)
    assert desk.json(series).code == 1, "the current folder"
    monkeypatch.chdir(tmp_path)
    assert desk.json("--tree", kernel.folder, series).code == 1
    assert desk.json(kernel.folder, series).report["tree"]["path"] == str(kernel.folder)


def test_a_folder_of_patches_is_no_tree(kernel: Kernel, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a Makefile make it one."""
    last = kernel.commits(oom.own_mutex(), NOTHING)
    git(kernel.folder, "format-patch", "-q", "-o", str(tmp_path / "out"), f"main..{last}")
    (tmp_path / "out" / "Makefile").write_text("all:\n")
    monkeypatch.chdir(kernel.folder)
    said = desk.json(tmp_path / "out")
    assert [p["subject"] for p in said.report["patches"]] == ["mm,oom: a mutex of its own for the notifiers", "mm: another file"]
    assert said.code == 1


def test_a_plain_tree_is_known_by_its_makefile(own: Kernel, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series = own.series(oom.no_mutex())
    (own.folder / "Kbuild").write_text("")
    (own.folder / ".git").rename(tmp_path / "gone")
    monkeypatch.chdir(tmp_path)
    assert desk.json(own.folder, series).code == 1


def test_standard_input(kernel: Kernel, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    mail = kernel.series(oom.no_mutex()).read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(mail), isatty=lambda: False))
    said = desk.json(kernel.folder, "-")
    assert said.code == 1
    assert said.findings(rule="unguarded-counter-reset", severity="error")


# --- filters ----------------------------------------------------------------------------------------


def test_what_stays_as_it_is_is_shown_on_request(kernel: Kernel, desk: Desk) -> None:
    series = kernel.series(oom.allocates("GFP_KERNEL"))
    assert {f["status"] for f in desk.json(kernel.folder, series).report["findings"]} == {"introduced"}
    said = desk.json(kernel.folder, series, "-v")
    assert {f["status"] for f in said.report["findings"]} == {"introduced", "unchanged"}
    for finding in said.findings("unchanged"):
        assert finding["patch"] is finding["mended_by"] is finding["hunk"] is None
    text = desk.text(kernel.folder, series, "-v")[1]
    assert "\nunchanged:\nkernel/rcu/tree_plugin.h:" in text
    assert "unchanged:" not in desk.text(kernel.folder, series)[1]


def test_paths(kernel: Kernel, desk: Desk) -> None:
    series = kernel.series(oom.no_mutex())
    said = desk.json(kernel.folder, series, "--path", "arch/powerpc")
    assert said.code == 1 and {f["file"] for f in said.findings()} == {oom.POWERPC}
    said = desk.json(kernel.folder, series, "--path", "fs")
    assert said.code == 0 and said.report["findings"] == []


def test_a_baseline(kernel: Kernel, desk: Desk, tmp_path: Path) -> None:
    series = kernel.series(oom.no_mutex())
    known = tmp_path / "known.json"
    known.write_text(json.dumps(desk.json(kernel.folder, series).report))
    said = desk.json(kernel.folder, series, "--baseline", known)
    assert said.code == 0 and said.report["findings"] == []
    worse = desk.json(kernel.folder, kernel.series(oom.no_mutex(), oom.allocates("GFP_KERNEL")), "--baseline", known)
    assert worse.code == 1 and [f["rule"] for f in worse.findings()] == ["callback-needs-reclaim"]


# --- the report --------------------------------------------------------------------------------------

KEYS = {
    "": ["schema", "tool", "tree", "stats", "patches", "chains", "findings", "contexts", "skipped"],
    "tree": ["path", "rev", "base"],
    "stats": ["files", "functions", "functions_with_errors", "seconds", "cached"],
    "patches": ["number", "subject", "message_id"],
    "chains": ["head", "kind", "file", "called_from", "users"],
    "findings": [
        "rule", "severity", "confidence", "status", "mended_by", "patch", "file", "line", "column", "function", "message",
        "involves", "proof", "fix", "fingerprint", "hunk",
    ],
    "contexts": ["function", "file", "patch", "before", "after", "changes", "relied_on"],
}  # fmt: skip


def test_keys_and_their_order(says: Says, kernel: Kernel) -> None:
    report = says(oom.no_mutex()).report
    assert list(report) == KEYS[""]
    assert report["schema"] == 1
    for name in ("tree", "stats"):
        assert list(report[name]) == KEYS[name]
    for name in ("patches", "chains", "findings", "contexts"):
        assert report[name]
        for one in report[name]:
            assert list(one) == KEYS[name]
    for finding in report["findings"]:
        assert all(list(s) == ["kind", "file", "line", "function", "text", "held"] for s in finding["proof"])
        if finding["status"] == "introduced":
            assert list(finding["patch"]) == KEYS["patches"]
            assert list(finding["hunk"]) == ["file", "line", "header", "inside", "why"]
    for context in report["contexts"]:
        for side in ("before", "after"):
            assert list(context[side]) == ["must", "may", "serialiser", "irq", "callers_known"]
            assert all(list(h) == ["class", "mode", "taken"] for h in (*context[side]["must"], *context[side]["may"]))
        assert all(list(r) == ["fingerprint", "rule", "object", "file", "line"] for r in context["relied_on"])
    assert report["tree"] == {"path": str(kernel.folder), "rev": None, "base": kernel.base}
    (patch,) = report["patches"]
    assert patch["message_id"].endswith("@example.org") and "<" not in patch["message_id"]


def test_a_proof_has_what_the_patch_changed(says: Says) -> None:
    """An introduced finding has a changed function, edge or context in its proof."""
    for patch in (oom.own_mutex(), oom.no_mutex(), oom.halves(), oom.allocates("GFP_KERNEL"), oom.shares_a_mutex("GFP_KERNEL")):
        for finding in says(patch).findings():
            assert {s["file"] for s in finding["proof"]} & patch.edits.keys(), finding["message"]


def test_the_text(kernel: Kernel, desk: Desk) -> None:
    code, text = desk.text(kernel.folder, kernel.series(NOTHING, oom.own_mutex(), oom.allocates("GFP_KERNEL")))
    assert code == 1
    head, *parts = text.split("\n\n")
    assert head.splitlines()[-1].startswith(f"3 patches on {kernel.base[:12]}: ")
    assert "[1/3]" not in text, "a patch of which there is nothing to say"
    assert text.index("\n[2/3] mm,oom: a mutex of its own for the notifiers\n") < text.index("\n[3/3] virtio_balloon: note what")
    introduced = [p for p in parts if p.startswith("introduced: ")]
    assert len(introduced) == 5
    for part in introduced:
        assert "\n  > @@ -" in part, "the hunk is quoted"
        assert "\n  > +" in part
    (itself,) = [p for p in introduced if "waits for itself" in p]
    assert "  > " + "+\tif (mutex_lock_killable(&oom_notifier_lock))".expandtabs() in itself
    (elsewhere,) = [p for p in introduced if p.startswith(f"introduced: {oom.S390}")]
    assert f"\n  by this hunk of {oom.OOM} (try_oom_notifier is on the way):\n" in elsewhere
    (context,) = [p for p in parts if p.startswith("context: ")]
    lines = context.splitlines()
    assert all(f"{name} ({file})" in lines[0] for file, name in (
        (oom.POWERPC, "cmm_oom_notify"), (oom.S390, "cmm_oom_notify"), (oom.PLUGIN, "rcu_oom_notify"),
    ))  # fmt: skip
    assert lines[1] == "  serialiser oom_lock -> mm/oom_kill.c:try_oom_notifier.oom_notifier_lock"
    assert any(line.startswith("  relied on it: oom_callback_count at kernel/rcu/tree_plugin.h:") for line in lines)
    assert parts[-1].startswith("5 hazards introduced, 5 functions under other locks; ")


def test_quietly(kernel: Kernel, desk: Desk) -> None:
    assert desk.text(kernel.folder, kernel.series(NOTHING), "-q") == (0, "")
    text = desk.text(kernel.folder, kernel.series(oom.own_mutex()), "-q")[1]
    assert text.startswith("[1/1] ") and "context: " not in text and "no hazard" not in text


# --- what is not the verb's business ------------------------------------------------------------------


def snapshot(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Mode, time of change and content of everything below, ``.git`` included."""
    return {
        str(p.relative_to(folder)): (
            p.lstat().st_mode, p.lstat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else ""
        )
        for p in sorted(folder.rglob("*"))
    }  # fmt: skip


def ways(own: Kernel) -> Iterator[tuple[object, ...]]:
    yield (own.series(oom.no_mutex()),)
    yield ("--cumulative", own.series(oom.no_mutex(), NOTHING))
    git(own.folder, "branch", "topic", own.commits(oom.allocates("GFP_KERNEL")))
    yield ("--range", "main..topic")
    write(own.folder, oom.relative_count().edits)
    git(own.folder, "add", "-A")
    yield ("--staged",)


def test_the_repository_stays_as_it_is(own: Kernel, tmp_path: Path) -> None:
    for n, way in enumerate(list(ways(own))):
        for path in own.folder.glob("mm/*.c"):  # the index is due for a refresh
            os.utime(path, (n + 1, n + 1))
        before = snapshot(own.folder)
        out = ("--store", str(tmp_path / "store"), "-o", str(tmp_path / "out"))
        code = run(["review", "-C", str(own.folder), *map(str, way), *out])
        assert code in (0, 1)
        assert snapshot(own.folder) == before, way


def test_what_the_store_knows_changes_nothing(kernel: Kernel, tmp_path: Path) -> None:
    """A second review of the same, and one of a series that shares its first patches."""
    store = Desk(tmp_path, options=("--jobs", "1", "--store", str(tmp_path / "store")))
    plain = Desk(tmp_path, asked=100)
    first, longer = kernel.series(NOTHING, oom.own_mutex()), kernel.series(NOTHING, oom.own_mutex(), oom.relative_count())
    for series in (first, first, longer, kernel.series(oom.no_mutex())):
        again, fresh = store.json(kernel.folder, series, "-v"), plain.json(kernel.folder, series, "-v")
        assert again.code == fresh.code
        for key in ("findings", "contexts", "chains", "skipped"):
            assert again.report[key] == fresh.report[key]


def test_processes_change_nothing(kernel: Kernel, tmp_path: Path) -> None:
    series = kernel.series(oom.halves())
    one, two = (Desk(tmp_path, n, ("--no-store", "--jobs", str(n))).json(kernel.folder, series).report for n in (1, 2))
    assert [one[k] for k in ("findings", "contexts", "chains")] == [two[k] for k in ("findings", "contexts", "chains")]


def test_another_chain(own: Kernel, desk: Desk) -> None:
    """A lock around another chain's call: `--chain` looks at it."""
    write(own.folder, {"kernel/pump.c": PUMP})
    commit(own.folder, "pump")
    drop = instead(("	mutex_lock(&pump_lock);\n", ""), ("	mutex_unlock(&pump_lock);\n", ""))
    series = own.series(Patch({"kernel/pump.c": drop}))
    told = ("kernel/pump.c", "pump_told")
    assert told not in desk.json(own.folder, series).contexts()
    context = desk.json(own.folder, series, "--chain", "pump_list").contexts()[told]
    assert context["changes"][0] == "serialiser kernel/pump.c:pump_lock -> none"


PUMP = """#include <linux/notifier.h>

static BLOCKING_NOTIFIER_HEAD(pump_list);
static DEFINE_MUTEX(pump_lock);
static unsigned long pumped;

static int pump_told(struct notifier_block *block, unsigned long action, void *data)
{
	pumped += action;
	return NOTIFY_OK;
}

static struct notifier_block pump_block = { .notifier_call = pump_told };

void pump_all(unsigned long much)
{
	mutex_lock(&pump_lock);
	blocking_notifier_call_chain(&pump_list, much, NULL);
	mutex_unlock(&pump_lock);
}

int pump_setup(void)
{
	return blocking_notifier_chain_register(&pump_list, &pump_block);
}
"""
