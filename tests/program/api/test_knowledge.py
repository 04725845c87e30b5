"""What is known of a value: bits of masks, numbers in structs; what of the rest of the tree a way can meet."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewer.checks.holders import akin
from reviewer.parse.facts import AddressOf, Call, Const, Name
from reviewer.program.flow.lockflow import merged_bits
from reviewer.program.flow.summaries import Summaries, constant_fields
from reviewer.program.graph.reach import returns_reference
from reviewer.program.linked import values
from reviewer.program.linked.calls import is_test
from reviewer.program.linked.link import Program
from reviewer.program.linked.values import binary, bits, bits_of

MakeProgram = Callable[[dict[str, str]], Program]

words = st.integers(0, (1 << 32) - 1)
masks = st.tuples(words, words).map(lambda two: (two[0], two[0] & two[1]))
"""``(may, must)``: what is certain is possible."""


# --- bits -----------------------------------------------------------------------------------------


@given(masks)
def test_bits_say_what_they_were_made_of(mask: tuple[int, int]) -> None:
    assert bits_of(bits("$flags", *mask)) == mask


@given(masks, st.lists(st.tuples(st.sampled_from("|&"), words), max_size=6))
def test_flags_that_are_set_and_cleared_stay_known(mask: tuple[int, int], steps: list[tuple[str, int]]) -> None:
    may, must = mask
    value = bits("$flags", may, must)
    for op, number in steps:
        value = binary("|", value, Const(number)) if op == "|" else binary("&", value, Const(~number))
        may, must = (may | number, must | number) if op == "|" else (may & ~number, must & ~number)
    assert bits_of(value) == (may, must)


@given(masks, masks)
def test_a_merged_mask_is_the_one_or_the_other(one: tuple[int, int], other: tuple[int, int]) -> None:
    merged = merged_bits("$flags", bits("$flags", *one), bits("$flags", *other))
    assert bits_of(merged) == (one[0] | other[0], one[1] & other[1])


@pytest.mark.parametrize("unknown", [None, Const(-5), Name("$x"), binary("&", Name("$x"), Const(7)), values.UNKNOWN])
def test_what_is_no_mask_has_no_bits(unknown: values.Expr | None) -> None:
    assert bits_of(unknown) is None
    assert merged_bits("$flags", Const(4), unknown) is None


# --- structs that are passed on -------------------------------------------------------------------

STRUCTS = "struct spot { int count; int first; int *list; struct { int x; } in; };\nstruct order { struct spot *spot; };\n"

PASSED = {
    "struct spot p = {}; use(&p);": {"count": 0, "first": 0, "list": 0},
    "struct spot p = { 0 }; use(&p);": {"count": 0, "first": 0, "list": 0},
    "struct spot p = { .count = 2 }; use(&p);": {"count": 2, "first": 0, "list": 0},
    "struct spot p = { .count = n }; use(&p);": {"first": 0, "list": 0},
    "for (;;) { struct spot p = {}; use(&p); }": {"count": 0, "first": 0, "list": 0},
    "struct spot p = { 1, 0 }; use(&p);": None,
    "struct spot p; use(&p);": None,
    "static struct spot p = {}; use(&p);": None,
    "struct spot p = {}; fill(&p); use(&p);": None,
    "struct spot p = {}; fill(&p.count); use(&p);": None,
    "struct spot p = {}; use2(&p, &p);": None,
    "struct spot p = {}; p.count = n; use(&p);": {"first": 0, "list": 0},
    "struct spot p = {}; p.count++; use(&p);": {"first": 0, "list": 0},
    "struct spot p = {}; p.in.x = n; use(&p);": {"count": 0, "first": 0, "list": 0},
    "struct spot p = {}; p = other(); use(&p);": None,
    "struct spot p = {}; struct spot *q = &p; fill(q); use(&p);": None,
    "struct spot p = {}; struct order o = { .spot = &p }; fill(&o); use(&p);": None,
    "struct spot p = {}; kept = &p; use(&p);": None,
    "struct spot p = {}; while (n--) use(&p);": None,
}
"""What the last call of a function is given, and the numbers and null pointers that its callee may rely on."""


@pytest.mark.parametrize(("text", "expected"), PASSED.items(), ids=list(PASSED))
def test_numbers_in_a_struct(make_program: MakeProgram, text: str, expected: dict[str, int] | None) -> None:
    program = make_program({"drivers/x.c": f"{STRUCTS}static struct spot *kept;\nvoid f(int n)\n{{\n{text}\n}}\n"})
    frame = program.frame(program.functions("drivers/x.c", "f")[0])
    assert frame.body is not None
    call = [e for b in frame.body.blocks for e in b.events if isinstance(e, Call)][-1]
    argument = frame.canonical(call.args[0], {})
    assert isinstance(argument, AddressOf)
    found = constant_fields(frame, argument)
    assert (None if found is None else dict(found.items)) == (
        None if expected is None else {name: Const(value) for name, value in expected.items()}
    )


def test_a_copy_keeps_no_bits_of_what_has_changed(make_program: MakeProgram) -> None:
    program = make_program({"drivers/x.c": """void f(int a, int b)
{
	int flags = 0, before;

	if (a)
		flags |= 1;
	before = flags;
	flags = 0;
	if (b)
		flags |= 1;
	if (before != flags)
		here();
}
"""})
    flow = Summaries(program).flow(program.functions("drivers/x.c", "f")[0])
    assert flow is not None
    assert [s.event.callee for s in flow.seen if isinstance(s.event, Call)] == [Name("here")]


# --- references, tests, drivers -------------------------------------------------------------------

GIVEN_BACK = {
    "thing_get(p); thing_put(p);": True,
    "get_thing(p); put_thing(p);": True,
    "__thing_get(p); thing_put(p);": True,
    "kref_get(&p->ref); kref_put(&p->ref, gone);": True,
    "thing_put(p);": False,
    "thing_put(p); thing_get(p);": False,
    "thing_get(q); thing_put(p);": False,
    "thing_get(p); input_thing(p);": False,
    "pm_runtime_get_sync(p); pm_runtime_put_sync(p);": False,
    "usb_autopm_get_interface(p); usb_autopm_put_interface(p);": False,
    "host_wakeref_get(p); host_wakeref_put(p);": False,
}


@pytest.mark.parametrize(("text", "expected"), GIVEN_BACK.items(), ids=list(GIVEN_BACK))
def test_whether_a_call_gives_back_what_was_taken(make_program: MakeProgram, text: str, expected: bool) -> None:
    head = "struct thing { int ref; };\nvoid f(struct thing *p, struct thing *q)\n"
    program = make_program({"drivers/x.c": f"{head}{{\n{text}\n}}\n"})
    flow = Summaries(program).flow(program.functions("drivers/x.c", "f")[0])
    assert flow is not None
    assert any(returns_reference(flow, seen) for seen in flow.seen) is expected


@pytest.mark.parametrize(("path", "expected"), [
    ("drivers/x/selftests/mock_x.c", True),
    ("drivers/x/gt/selftest_x.c", True),
    ("drivers/x/gt/mock_engine.c", True),
    ("drivers/x/tests/x_helpers.c", True),
    ("drivers/x/x_test.c", True),
    ("drivers/x/x-test.c", True),
    ("drivers/x/latest.c", False),
    ("drivers/x/testmode.c", False),
    ("drivers/x/mock.c", False),
])  # fmt: skip
def test_files_of_tests(path: str, expected: bool) -> None:
    assert is_test(path) is expected


@pytest.mark.parametrize(("driver", "way", "expected"), [
    ("drivers/gpu/drm/amber", {"drivers/gpu/drm/amber"}, True),
    ("drivers/gpu/drm/beryl", {"drivers/gpu/drm/amber"}, False),
    ("drivers/gpu/drm", {"drivers/gpu/drm/amber"}, True),
    ("drivers/gpu/drm/beryl", {"drivers/gpu/drm"}, True),
    ("drivers/gpu/drm/beryl", {"drivers/gpu/drm", "drivers/gpu/drm/amber"}, False),
    ("drivers/gpu/drm/amber_x", {"drivers/gpu/drm/amber"}, False),
    ("", {"drivers/gpu/drm/amber"}, True),
    ("fs/amber", set(), True),
])  # fmt: skip
def test_whose_objects_are_at_hand(driver: str, way: set[str], expected: bool) -> None:
    assert akin(driver, frozenset(way)) is expected
