"""How deep in calls the steps of a proof are."""

from __future__ import annotations

from reviewer.checks.finding import Step, StepKind
from reviewer.report.depth import Depths, depths


def step(function: str, text: str = "", kind: StepKind = "call", held: tuple[str, ...] = (), file: str = "a.c") -> Step:
    return Step(kind, file, 1, function, text, held)


def test_no_proof() -> None:
    assert depths([]) == Depths((), True)


def test_calls_lead_down() -> None:
    proof = [step("f", "spin_lock(&l);", "acquire"), step("f", "ret = g(x);"), step("g", "h();"), step("h", "n = 0;", "access")]
    assert depths(proof) == Depths((0, 0, 1, 2), True)


def test_a_call_through_a_table_goes_on_under_the_same_locks() -> None:
    proof = [step("f", "ops->run(x);", held=("l",)), step("run_demo", "msleep(1);", "sleep", ("l", "m"))]
    assert depths(proof) == Depths((0, 1), True)


def test_another_caller_begins_anew() -> None:
    proof = [step("a", "work(&oc);", held=("l",)), step("b", "trylock(&l)", "acquire"), step("b", "work(&oc)"), step("work", "x")]
    assert depths(proof) == Depths((0, 0, 0, 1), False)


def test_a_name_inside_of_another_is_no_call() -> None:
    assert depths([step("a", "do_work();"), step("work", "x")]) == Depths((0, 0), False)


def test_what_is_no_call_leads_nowhere() -> None:
    assert depths([step("f", "g()", "access", ("l",)), step("g", "x", "access", ("l",))]) == Depths((0, 0), False)


def test_back_in_an_outer_function_it_is_no_longer_one_way() -> None:
    proof = [step("f", "g()"), step("g", "x", "access"), step("f", "h()"), step("h", "y", "access")]
    assert depths(proof) == Depths((0, 1, 0, 1), False)


def test_functions_of_one_name_in_two_files() -> None:
    proof = [step("f", "g()"), step("g", "f()"), step("f", "x", "access", file="b.c")]
    assert depths(proof) == Depths((0, 1, 2), True)
