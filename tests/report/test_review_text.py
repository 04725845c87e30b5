"""A review for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reviewer.checks.finding import Finding
from reviewer.report.paint import Paint
from reviewer.report.review_text import QUOTED, SNIP, cause_lines, quoted, review_text, under, verdict
from reviewer.review.result import (
    Cause,
    ContextChange,
    FunctionContext,
    HeldLock,
    PatchRef,
    ReliedOn,
    Reviewed,
    ReviewResult,
)

FIRST, SECOND = PatchRef(1, "pump: first"), PatchRef(2, "pump: second")

CAUSE = Cause(file="drivers/demo/pump.c", line=36, header="@@ -36,2 +36,3 @@ f", text=(" a", "+\tpump();", " b"), inside=True)

Make = Callable[..., Finding]


def change(function: str, patch: int = 1, serialiser: str | None = "b_lock", relied: int = 0) -> ContextChange:
    return ContextChange(
        function=function, file="drivers/demo/pump.c", patch=patch, changes=(f"serialiser a_lock -> {serialiser or 'none'}",),
        before=FunctionContext(must=(HeldLock("a_lock"),), serialiser="a_lock"),
        after=FunctionContext(must=(HeldLock("list.rwsem", "shared"),), serialiser=serialiser),
        relied_on=tuple(
            ReliedOn("f" * 16, "callback-not-concurrent", f"total{n}", "drivers/demo/pump.c", 9) for n in range(relied)
        ),
    )  # fmt: skip


def text(*reviewed: Reviewed, contexts: tuple[ContextChange, ...] = (), paint: Paint | None = None, **options: Any) -> str:
    patches = options.pop("patches", (FIRST, SECOND))
    result = ReviewResult(
        tree_path="linux", base="c" * 40, base_reason="base HEAD", title="pumps", patches=patches, contexts=contexts,
        findings=reviewed, skipped=options.pop("skipped", ()),
    )  # fmt: skip
    given = {"hidden": 0, "floor": "medium", "brief": False, "verbose": False, **options}
    return review_text(result, reviewed, paint=paint or Paint(False), **given)


def test_nothing() -> None:
    assert text() == "pumps\n2 patches on cccccccccccc: base HEAD\n\nno hazard introduced; 0.0 s\n"
    assert text(patches=(FIRST,)).startswith("1 patch on cccccccccccc: base HEAD\n\n")
    assert text(brief=True) == ""


def test_patch_by_patch(make_finding: Make) -> None:
    found = text(
        Reviewed(finding=make_finding(message="two"), status="introduced", patch=SECOND, cause=CAUSE),
        Reviewed(finding=make_finding(message="one"), status="fixed", patch=FIRST),
    )
    assert found.index("[1/2] pump: first\n\nfixed: ") < found.index("[2/2] pump: second\n\nintroduced: ")
    assert "\n  > @@ -36,2 +36,3 @@ f\n  >  a\n  > +       pump();\n  >  b\n" in found
    assert found.endswith("1 hazard introduced, 1 fixed; 0.0 s\n")


def test_a_patch_of_which_there_is_nothing_to_say(make_finding: Make) -> None:
    found = text(Reviewed(finding=make_finding(), status="introduced", patch=SECOND))
    assert "[1/2]" not in found and "[2/2]" in found


def test_what_is_mended_is_said_where_it_was_brought(make_finding: Make) -> None:
    found = text(Reviewed(finding=make_finding(), status="introduced", patch=FIRST, mended_by=2))
    assert "\nintroduced (mended by patch 2): drivers/demo/pump.c:38: error: " in found
    assert found.endswith("no hazard introduced, 1 mended within the series; 0.0 s\n")


def test_unchanged_and_the_whole_series(make_finding: Make) -> None:
    still = Reviewed(finding=make_finding(message="still"), status="unchanged")
    whole = Reviewed(finding=make_finding(message="whole"), status="introduced")
    assert "still" not in text(still) and "\n\nunchanged:\ndrivers/demo/pump.c:38: error: still" in text(still, verbose=True)
    assert "\n\nintroduced: drivers/demo/pump.c:38: error: whole" in text(whole)


@pytest.mark.parametrize(("why", "shown"), [("f is on the way", " (f is on the way):"), ("", ":")])
def test_a_hunk_elsewhere(why: str, shown: str) -> None:
    cause = Cause(file="mm/a.c", line=1, header="@@ -1 +1 @@", text=("+a",), inside=False, why=why)
    assert list(cause_lines(cause)) == [f"  by this hunk of mm/a.c{shown}", "  > @@ -1 +1 @@", "  > +a"]


def test_a_long_hunk() -> None:
    short = [" a"] * (QUOTED - 1) + ["+b"]
    assert quoted(short) == short
    long = [" a"] * 40 + ["+b"] + [" c"] * 40
    assert quoted(long) == [SNIP, " a", " a", "+b", " c", " c", SNIP]
    assert len(quoted(["+b"] * 500)) <= 2 * QUOTED + 1


def test_control_characters_of_a_patch_do_nothing_to_a_terminal(make_finding: Make) -> None:
    cause = Cause(file="mm/a.c", line=1, header="@@ \x1b[2J", text=("+\x1b]0;x\x07",), inside=False, why="\x1b[31m")
    patch = PatchRef(1, "pump: \x1b[2Jfirst")
    found = text(Reviewed(finding=make_finding(), status="introduced", patch=patch, cause=cause), patches=(patch,))
    assert "\x1b" not in found and "\x07" not in found


def test_contexts_that_change_alike_are_told_together() -> None:
    found = text(contexts=(change("f", relied=2), change("g", relied=1), change("h", serialiser=None), change("i", patch=2)))
    assert "\n\ncontext: f (drivers/demo/pump.c), g (drivers/demo/pump.c)\n  serialiser a_lock -> b_lock\n" in found
    assert "\n  f: under a_lock -> under list.rwsem (shared)\n" in found
    assert found.count("relied on it: total0 at drivers/demo/pump.c:9 [callback-not-concurrent]") == 1, "each once"
    assert "\n\ncontext: h (drivers/demo/pump.c)\n  serialiser a_lock -> none\n" in found
    assert found.index("[2/2]") < found.index("context: i ")
    assert found.endswith("no hazard introduced, 4 functions under other locks; 0.0 s\n")
    assert text(contexts=(change("f"),), brief=True) == ""


def test_contexts_on_which_nothing_relied_are_counted() -> None:
    many = tuple(told(n, f"now always under l{n}") for n in range(11))
    assert "\n3 more functions under other locks, on which nothing relied (-v shows them)\n" in text(contexts=many)
    assert text(contexts=many).count("context: ") == 8
    assert text(contexts=many, verbose=True).count("context: ") == 11


def told(n: int, said: str) -> ContextChange:
    none = FunctionContext()
    return ContextChange(function=f"f{n}", file="a.c", patch=1, before=none, after=none, changes=(said,))


def test_what_is_held_on_some_paths_is_told_if_asked_for() -> None:
    some = (told(1, "may now run under l"), told(2, "no longer ever under l"))
    assert "context: " not in text(contexts=some) and "more function" not in text(contexts=some)
    assert "under other locks" not in text(contexts=some)
    assert text(contexts=some, verbose=True).count("context: ") == 2


def test_the_verdict(make_finding: Make) -> None:
    note = Reviewed(finding=make_finding(severity="note"), status="introduced", patch=FIRST)
    result = ReviewResult(tree_path="linux", base="c", skipped=(("a.c", "absent"),))
    assert verdict(result, [note], 3, "high") == (
        "no hazard introduced, 1 note introduced (3 more below --min-confidence high); 0.0 s; incomplete, 1 file skipped"
    )
    assert "\n\nskipped a.c: absent\n\n" in text(skipped=(("a.c", "absent"),))


def test_under() -> None:
    assert under(FunctionContext()) == "under no lock"
    assert under(FunctionContext(must=(HeldLock("a"), HeldLock("b", "shared")))) == "under a, b (shared)"


def test_colour(make_finding: Make) -> None:
    found = text(Reviewed(finding=make_finding(), status="introduced", patch=FIRST), paint=Paint(True))
    assert "\x1b[" in found and "pump: first" in found
