"""Macros that choose a function by the type of an argument."""

from __future__ import annotations

import pytest

from reviewer.parse.facts import CType, Macro
from reviewer.program.linked.generics import Selection, defined_in, functions, selection

DECK, LOOM = CType("struct deck", 1), CType("struct loom", 1)


def macro(body: str, *parameters: str) -> Macro:
    return Macro("lock", parameters, body, 1, "")


@pytest.mark.parametrize(
    "body",
    [
        "_Generic((x), struct deck *: deck_lock, struct loom *: loom_lock)(x)",
        "_Generic(x,\tconst struct deck * :\tdeck_lock,\tstruct loom *\t: loom_lock)(x)",
        "  _Generic((x), struct deck * : deck_lock, struct loom * : loom_lock)(x);",
    ],
)
def test_the_functions_stand_with_their_types(body: str) -> None:
    chosen = selection(macro(body, "x"))
    assert chosen == Selection(0, ((DECK, "deck_lock"), (LOOM, "loom_lock")))
    assert functions(macro(body, "x")) == ("deck_lock", "loom_lock")


def test_the_type_of_a_later_argument_decides() -> None:
    chosen = selection(macro("_Generic((how), int: by_number, default: by_name)(what, how)", "what", "how"))
    assert chosen == Selection(1, ((CType("int"), "by_number"), (CType("default"), "by_name")))


@pytest.mark.parametrize(
    "body",
    [
        "deck_lock(x)",
        "_Generic((x), struct deck *: (const struct loom *)loom_of(x), struct loom *: (x))",
        "_Generic((x), struct deck *: deck_lock, struct loom *: loom_lock)(x, 0)",
        "_Generic((x)->deck, struct deck *: deck_lock)(x)",
        "_Generic((x), struct deck *: deck_lock",
    ],
)
def test_what_is_no_plain_choice_is_none(body: str) -> None:
    assert selection(macro(body, "x")) is None
    assert functions(macro(body, "x")) == ()


def test_definitions_are_found_over_continued_lines() -> None:
    text = b"#define near(x) far(x)\n#define lock(x) _Generic((x), int: f)(x)\n"
    text += b"# define unlock(x)\t\\\n\t_Generic((x), int: g)(x)\n"
    assert list(defined_in(text)) == ["lock", "unlock"]
