"""What a review says of the ways in which a notifier chain was moved out of the lock that kept its callbacks apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import oom
import pytest
from kernels import Said

Says = Callable[..., Said]

OWN = "mm/oom_kill.c:try_oom_notifier.oom_notifier_lock"

CALLBACKS = {
    (oom.POWERPC, "cmm_oom_notify"),
    (oom.S390, "cmm_oom_notify"),
    (oom.BALLOON, "virtballoon_oom_notify"),
    (oom.PLUGIN, "rcu_oom_notify"),
    ("drivers/gpu/drm/i915/i915_gem_shrinker.c", "i915_gem_shrinker_oom"),
}

FIXED_AMOUNTS = {(oom.POWERPC, "cmm_oom_notify"), (oom.S390, "cmm_oom_notify"), (oom.BALLOON, "virtballoon_oom_notify")}


def places(findings: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(f["file"], f["function"]) for f in findings}


# --- a mutex of its own ----------------------------------------------------------------------------


def test_own_mutex_brings_no_race_on_the_counter(says: Says) -> None:
    said = says(oom.own_mutex())
    assert not said.findings(rule="unguarded-counter-reset")
    assert said.findings("unchanged", rule="unguarded-counter-reset", severity="note", file=oom.PLUGIN)


def test_own_mutex_changes_the_context_of_every_callback(says: Says) -> None:
    contexts = says(oom.own_mutex()).contexts()
    assert contexts.keys() == CALLBACKS
    for context in contexts.values():
        assert context["patch"] == 1
        assert context["before"]["serialiser"] == "oom_lock"
        assert context["after"]["serialiser"] == OWN
        assert context["changes"][0] == f"serialiser oom_lock -> {OWN}"
        taken = context["changes"][1]
        assert taken.startswith("taken trylock -> killable (before, ")
        assert "moom_callback: lock" in taken and "mem_cgroup_out_of_memory: lock" in taken
        before, after = ({h["class"]: (h["mode"], h["taken"]) for h in context[side]["must"]} for side in ("before", "after"))
        assert before["oom_lock"][0] == "exclusive" and OWN not in before
        assert after[OWN] == ("exclusive", "killable") and "oom_lock" not in after
        assert "mm/oom_kill.c:oom_notify_list.rwsem" in before.keys() & after.keys()


def test_own_mutex_names_what_relied_on_the_old_lock(says: Says) -> None:
    said = says(oom.own_mutex())
    contexts = said.contexts()
    rcu = contexts[oom.PLUGIN, "rcu_oom_notify"]["relied_on"]
    assert {(r["rule"], r["object"]) for r in rcu} == {
        ("unguarded-counter-reset", "oom_callback_count"), ("callback-not-concurrent", "oom_callback_count"),
    }  # fmt: skip
    powerpc = contexts[oom.POWERPC, "cmm_oom_notify"]["relied_on"]
    assert {r["object"] for r in powerpc} == {"cmm_free_pages", "oom_freed_pages"}
    assert {r["file"] for r in powerpc} == {oom.POWERPC}
    assert contexts["drivers/gpu/drm/i915/i915_gem_shrinker.c", "i915_gem_shrinker_oom"]["relied_on"] == []
    # A hazard keeps its name when another lock prevents it.
    still = {f["fingerprint"] for f in said.findings("unchanged", rule="unguarded-counter-reset")}
    assert {r["fingerprint"] for r in rcu if r["rule"] == "unguarded-counter-reset"} <= still


def test_own_mutex_lets_each_waiter_give_up_the_amount_again(says: Says) -> None:
    found = says(oom.own_mutex()).findings(rule="callback-not-concurrent")
    assert places(found) == FIXED_AMOUNTS
    for finding in found:
        assert finding["severity"] == "warning"
        assert "wait for it" in finding["message"] and "oom_notifier_lock" in finding["message"]
        assert finding["hunk"]["file"] == oom.OOM and not finding["hunk"]["inside"]
        assert "try_oom_notifier" in finding["hunk"]["why"]


def test_own_mutex_waits_for_itself_where_a_callback_allocates(says: Says) -> None:
    (found,) = says(oom.own_mutex()).findings(rule="callback-needs-reclaim")
    assert (found["severity"], found["file"], found["function"]) == ("error", oom.OOM, "try_oom_notifier")
    assert "waits for itself" in found["message"]
    steps = [(s["kind"], s["function"]) for s in found["proof"]]
    assert ("acquire", "try_oom_notifier") in steps
    assert ("alloc", "virtio_ccw_set_config") in steps
    assert "__alloc_pages_nodemask" in {function for _, function in steps}, "the way down from an allocation"
    assert found["hunk"]["file"] == oom.OOM and found["hunk"]["inside"]


def test_functions_that_no_longer_reach_the_chain_are_said(says: Says) -> None:
    for context in says(oom.own_mutex()).contexts().values():
        (said,) = [c for c in context["changes"] if c.startswith("no longer reached from ")]
        names = said.removeprefix("no longer reached from ").split(", ")
        assert sorted(names) == ["mem_cgroup_out_of_memory", "moom_callback", "pagefault_out_of_memory"]


# --- none at all, or one for readers ---------------------------------------------------------------


def test_no_mutex_is_a_race(says: Says) -> None:
    said = says(oom.no_mutex())
    assert said.code == 1
    (counter,) = said.findings(rule="unguarded-counter-reset")
    assert (counter["severity"], counter["confidence"], counter["file"]) == ("error", "high", oom.PLUGIN)
    assert counter["patch"]["number"] == 1 and counter["mended_by"] is None
    concurrent = said.findings(rule="callback-not-concurrent")
    assert places(concurrent) == {*FIXED_AMOUNTS, (oom.PLUGIN, "rcu_oom_notify")}
    assert {f["severity"] for f in concurrent} == {"warning"}
    assert said.rules("fixed") == []
    for context in said.contexts().values():
        assert (context["before"]["serialiser"], context["after"]["serialiser"]) == ("oom_lock", None)
        assert context["changes"][0] == "serialiser oom_lock -> none"


def test_a_reader_keeps_nobody_out(says: Says) -> None:
    """The chain's own semaphore is held shared on both sides, whatever it is taken with."""
    said = says(oom.read_killable())
    assert said.code == 1
    (counter,) = said.findings(rule="unguarded-counter-reset")
    assert (counter["severity"], counter["confidence"]) == ("error", "high")
    assert {c["after"]["serialiser"] for c in said.contexts().values()} == {None}


@pytest.mark.parametrize("itself", [False, True], ids=["hands the list on", "walks the list"])
def test_a_killable_read_lock_is_as_no_lock(says: Says, itself: bool) -> None:
    """The function that takes it is the tree's own, and known by what it does."""
    without, reader = says(oom.no_mutex()), says(oom.read_killable(itself))
    assert reader.rules() == without.rules()
    assert places(reader.findings(rule="callback-not-concurrent")) == places(without.findings(rule="callback-not-concurrent"))
    assert [s["function"] for c in reader.report["chains"] for s in c["called_from"]] == ["try_oom_notifier"]
    for context in reader.contexts().values():
        (rwsem,) = [h for h in context["after"]["must"] if h["class"] == "mm/oom_kill.c:oom_notify_list.rwsem"]
        assert (rwsem["mode"], rwsem["taken"]) == ("shared", "killable")


# --- what was proposed instead ---------------------------------------------------------------------


def test_taking_over_the_last_result_brings_nothing(says: Says) -> None:
    said = says(oom.last_result())
    assert said.code == 0
    assert said.rules() == []
    assert said.contexts().keys() == CALLBACKS
    for context in said.contexts().values():
        assert (context["before"]["serialiser"], context["after"]["serialiser"]) == ("oom_lock", OWN)


def test_writing_after_a_lock_that_failed(says: Says) -> None:
    (found,) = says(oom.halves()).findings(rule="write-after-failed-lock")
    assert (found["severity"], found["confidence"], found["file"]) == ("error", "high", oom.OOM)
    assert "try_oom_notifier.pages" in found["involves"]
    assert found["hunk"]["inside"]
    assert not says(oom.last_result()).findings(None, rule="write-after-failed-lock")


def test_counting_relatively_mends_the_counter_alone(says: Says) -> None:
    said = says(oom.relative_count())
    assert said.code == 0
    assert said.rules() == []
    assert said.rules("fixed") == [("unguarded-counter-reset", "note")]
    assert said.findings("unchanged", rule="callback-not-concurrent", severity="note", file=oom.PLUGIN)
    assert said.findings("unchanged", rule="missing-freed-update", file=oom.PLUGIN)
    assert said.report["contexts"] == []


# --- callbacks that need memory --------------------------------------------------------------------


def test_a_callback_that_allocates_two_calls_deep(says: Says) -> None:
    said = says(oom.allocates("GFP_KERNEL"))
    assert said.code == 1
    (found,) = said.findings()
    assert (found["rule"], found["severity"], found["confidence"]) == ("callback-needs-reclaim", "error", "high")
    steps = [(s["kind"], s["function"]) for s in found["proof"]]
    for step in (("call", "virtballoon_oom_notify"), ("call", "balloon_tell"), ("alloc", "balloon_note")):
        assert step in steps
    assert steps.index(("call", "balloon_tell")) < steps.index(("alloc", "balloon_note"))
    assert "GFP_KERNEL" in found["message"]


@pytest.mark.parametrize(
    ("mask", "around"),
    [("GFP_NOWAIT", ("", "")), ("GFP_KERNEL | __GFP_NORETRY", ("", "")), ("GFP_KERNEL", oom.NORECLAIM)],
    ids=["nowait", "noretry", "memalloc_noreclaim_save"],
)
def test_an_allocation_that_cannot_wait_for_reclaim(says: Says, mask: str, around: tuple[str, str]) -> None:
    said = says(oom.allocates(mask, around))
    assert said.code == 0
    assert said.rules() == []


def test_a_mutex_under_which_another_allocates(says: Says) -> None:
    said = says(oom.shares_a_mutex("GFP_KERNEL"))
    assert said.code == 1
    found, other = sorted(said.findings(), key=lambda f: f["rule"])
    assert (found["rule"], found["severity"], found["function"]) == ("callback-needs-reclaim", "error", "cmm_oom_notify")
    assert (other["rule"], other["function"]) == ("reclaim-recursion", "cmm_make_report"), "the same from the other side"
    assert any("cmm_report_lock" in name for name in found["involves"])
    steps = {(s["kind"], s["function"]) for s in found["proof"]}
    assert ("alloc", "cmm_make_report") in steps, "the other side"
    assert "cmm_oom_notify" in {function for _, function in steps}, "our side"
    held = [h for s in found["proof"] if s["kind"] == "alloc" for h in s["held"]]
    assert any("cmm_report_lock" in h for h in held)


def test_a_mutex_under_which_nobody_allocates_so(says: Says) -> None:
    said = says(oom.shares_a_mutex("GFP_NOWAIT"))
    assert said.code == 0
    assert said.rules() == []
