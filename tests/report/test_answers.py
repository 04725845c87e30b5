"""``context`` and ``relies-on``, and what ``explain`` and ``doctor`` print."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from reviewer.checks.finding import Finding, Step
from reviewer.checks.result import Site
from reviewer.report.answers import context_object, context_text, reliance_object, reliance_text
from reviewer.report.doctor import BrokenCause, CallHealth, Check, Diagnosis, ParseHealth, diagnosis_object, diagnosis_text
from reviewer.report.explain import finding_text, paragraphs, rule_object, rule_text
from reviewer.report.paint import Paint, wants_color
from reviewer.report.saved import SavedFinding
from reviewer.report.views import (
    Caller,
    ContextReport,
    Held,
    Registration,
    Reliance,
    RelianceReport,
    Taking,
)

PLAIN = Paint(False)

CONTEXT = ContextReport(
    function="pump_notify",
    file="drivers/demo/pump.c",
    line=12,
    must=(Held("pump_list.rwsem", "shared"), Held("big_lock", taken="trylock")),
    serialiser="big_lock",
    callers_known="partial",
    in_reclaim=True,
    callers=(Caller(Site("pump_all", "drivers/demo/core.c", 7), "pump_list", (Held("big_lock"),)),),
    proof=(Step("acquire", "mm/a.c", 3, "alloc", "mutex_trylock(&big_lock)", ("big_lock",)),),
    taken_by=(Taking(Site("alloc", "mm/a.c", 3), taken="trylock"),),
    registrations=(Registration("chain pump_list", "register_pump", Site("", "drivers/demo/pump.c", 40)),),
    partial_because=("EXPORT_SYMBOL(pump_notify) in drivers/demo/pump.c",),
    cut=("3 files",),
)


def test_context_for_people() -> None:
    assert context_text(CONTEXT, PLAIN) == (
        "pump_notify drivers/demo/pump.c:12\n"
        "  runs in      task context, may sleep, inside reclaim or the OOM killer\n"
        "  serialised   big_lock\n"
        "  taken by     alloc  mm/a.c:3  trylock\n"
        "  must hold    pump_list.rwsem (shared)  lock\n"
        "               big_lock                  trylock\n"
        "  may hold     nothing else\n"
        "  called from  pump_all  drivers/demo/core.c:7  pump_list  held: big_lock\n"
        "               and perhaps by others: EXPORT_SYMBOL(pump_notify) in drivers/demo/pump.c\n"
        "  registered   chain pump_list  by register_pump    drivers/demo/pump.c:40\n"
        "  not looked at 3 files\n"
        "  proof\n"
        "    mm/a.c:3 alloc  mutex_trylock(&big_lock)  acquire  held: big_lock\n"
    )


def test_context_of_a_function_that_nobody_calls() -> None:
    text = context_text(ContextReport(function="f", file="a.c", line=1), PLAIN)
    assert "by nothing: two CPUs may be inside at once" in text
    assert "must hold    nothing\n" in text
    assert "called from  nobody known" in text
    assert "perhaps" not in text


def test_context_for_scripts() -> None:
    found = context_object(CONTEXT)
    assert list(found) == [
        *("function", "file", "line", "must", "may", "serialiser", "irq", "callers_known"),
        *("in_reclaim", "callers", "proof", "taken_by", "registrations", "partial_because", "cut"),
    ]
    assert found["taken_by"] == [
        {"function": "alloc", "file": "mm/a.c", "line": 3, "mode": "exclusive", "taken": "trylock"}
    ]
    site = {"function": "", "file": "drivers/demo/pump.c", "line": 40}
    assert found["registrations"] == [
        {"how": "chain pump_list", "by": "register_pump", "at": site, "irq": "task"}
    ]
    assert found["must"] == [
        {"class": "pump_list.rwsem", "mode": "shared", "taken": "lock"},
        {"class": "big_lock", "mode": "exclusive", "taken": "trylock"},
    ]
    assert found["callers"] == [
        {
            "function": "pump_all",
            "file": "drivers/demo/core.c",
            "line": 7,
            "how": "pump_list",
            "held": [{"class": "big_lock", "mode": "exclusive", "taken": "lock"}],
        }
    ]


RELIANCE = RelianceReport(
    lock="big_lock",
    taken_at=(Taking(Site("alloc", "mm/a.c", 3), taken="trylock"),),
    relied_on_by=(
        Reliance(
            kind="object",
            name="count",
            confidence="high",
            file="mm/b.c",
            line=5,
            accesses=(Site("reset", "mm/b.c", 5),),
            proof=(Step("access", "mm/b.c", 5, "reset", "count = 0;", ("big_lock",)),),
        ),
        Reliance(kind="callback", name="pump_notify", message="it resets count"),
    ),
    cut=("3 files",),
)


def test_reliance_for_people() -> None:
    assert reliance_text(RELIANCE, PLAIN) == (
        "big_lock\n"
        "  taken in     alloc  mm/a.c:3  trylock\n"
        "\n"
        "  object count mm/b.c:5 [high]\n"
        "    accessed in  reset  mm/b.c:5\n"
        "    proof\n"
        "      mm/b.c:5 reset  count = 0;  access   held: big_lock\n"
        "\n"
        "  callback pump_notify [medium]: it resets count\n"
        "    called from  nobody known\n"
        "\n"
        "  not looked at 3 files\n"
        "2 things that only big_lock serialises\n"
    )


def test_reliance_for_scripts() -> None:
    found = reliance_object(RELIANCE)
    assert found["taken_at"] == [
        {"function": "alloc", "file": "mm/a.c", "line": 3, "mode": "exclusive", "taken": "trylock"}
    ]
    assert found["cut"] == ["3 files"]
    assert list(found["relied_on_by"][0]) == [  # type: ignore[index]
        *("kind", "name", "confidence", "message", "file", "line", "accesses", "proof"),
    ]
    assert [one["name"] for one in found["relied_on_by"]] == ["count", "pump_notify"]  # type: ignore[attr-defined]


class Rule(NamedTuple):
    id: str = "sleep-in-atomic"
    title: str = "a call may sleep"
    what: str = "A call that may sleep,\nin atomic context.\n\n  spin_lock(&l);\n  msleep(1);\n"
    why: str = "The scheduler complains."
    mend: str = "Sleep elsewhere."
    source: str = ""
    severity: str = "error"
    confidence: str = "high where it is certain"


def test_a_rule_explained() -> None:
    assert rule_text(Rule(), PLAIN) == (
        "sleep-in-atomic: a call may sleep [error]\n"
        "\nWhat it reports\n  A call that may sleep, in atomic context.\n"
        "\n    spin_lock(&l);\n    msleep(1);\n"
        "\nWhy it matters\n  The scheduler complains.\n"
        "\nHow to mend it\n  Sleep elsewhere.\n"
        "\nConfidence\n  high where it is certain\n"
    )


def test_paragraphs_are_wrapped() -> None:
    assert max(map(len, paragraphs("word " * 100))) <= 96


def test_rule_for_scripts() -> None:
    assert rule_object(Rule())["mend"] == "Sleep elsewhere."


def test_a_finding_explained(make_finding: Callable[..., Finding]) -> None:
    saved = SavedFinding("linux", "a" * 40, make_finding())
    text = finding_text(saved, Rule(), PLAIN)
    assert text.startswith("drivers/demo/pump.c:38: error:")
    assert f"fingerprint 0123456789abcdef, found in linux at {'a' * 40}\n" in text
    assert "How to mend it" in text
    assert "How to mend it" not in finding_text(saved, None, PLAIN)


DIAGNOSIS = Diagnosis(
    checks=(Check("python", "3.11"), Check("graphviz", "", "no `dot`")),
    tree_path="linux",
    health=ParseHealth(files=2, of_files=9, functions=200, broken=1, causes=(BrokenCause("odd \x1b macro", 1, "a.c:7"),)),
    calls=CallHealth(
        files=1, functions=3, direct=8, defined=4, modelled=2, external=1, indirect=5, indirect_known=2
    ),
)


def test_diagnosis() -> None:
    assert diagnosis_text(DIAGNOSIS, PLAIN) == (
        "python    3.11\ngraphviz  no `dot`\n\nlinux: 9 files, 2 parsed\n"
        "200 functions, 99.50 % without a parse error\n"
        "1 function with one; the commonest causes, each with an example:\n       1  odd \\x1b macro  a.c:7\n"
        "8 direct calls in 1 file, 87.50 % lead to a definition (4), a modelled API (2) or a declaration (1)\n"
        "5 indirect calls: 2 with a known target, 3 without\n"
    )
    found = diagnosis_object(DIAGNOSIS)
    assert found["calls"] == {
        "files": 1, "functions": 3, "direct": 8, "defined": 4, "modelled": 2, "external": 1, "indirect": 5,
        "indirect_known": 2,
    }  # fmt: skip
    assert found["parse"] == {
        "files": 2,
        "of_files": 9,
        "functions": 200,
        "functions_with_errors": 1,
        "causes": [{"cause": "odd \x1b macro", "count": 1, "place": "a.c:7"}],
    }


def test_diagnosis_without_a_tree() -> None:
    alone = Diagnosis(checks=DIAGNOSIS.checks, no_tree="no C file here")
    assert diagnosis_text(alone, PLAIN).endswith("no tree: no C file here\n")
    assert diagnosis_object(alone)["parse"] is None


def test_when_to_colour() -> None:
    assert wants_color("auto", True, {})
    assert not wants_color("auto", False, {})
    assert not wants_color("auto", True, {"NO_COLOR": "1"})
    assert wants_color("auto", True, {"NO_COLOR": ""})
    assert not wants_color("auto", True, {"TERM": "dumb"})
    assert wants_color("always", False, {"NO_COLOR": "1"})
    assert not wants_color("never", True, {})
    assert re.fullmatch("\x1b\\[[0-9;]+mx\x1b\\[0m", Paint(True)("x", "red"))
