"""Whose object it is that a function has: its own, somebody's, or that of who cannot be told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reviewer.checks.analysis import Analysis
from reviewer.program.linked.link import Program

MakeProgram = Callable[[dict[str, str]], Program]

TEXT = """
struct item { int size; };
static struct item *first;
struct item *known(int n)
{
	if (n)
		look_at(n);
	if (n > 1)
		look_at(n - 1);
	look_for(n);
	return first;
}
void f(int n)
{
	struct item *one = %s;

	one->size = n;
}
"""

GIVEN = {"kmalloc(sizeof(*one), GFP_KERNEL)": True, "not_in_this_tree(n)": True, "known(n)": False, "first": False}


@pytest.mark.parametrize(("given", "private"), GIVEN.items(), ids=list(GIVEN))
def test_whose_object(make_program: MakeProgram, given: str, private: bool) -> None:
    program = make_program({"drivers/x.c": TEXT % given})
    shared, func = Analysis(program).shared, program.functions("drivers/x.c", "f")[0]
    names = {access.object for access in shared.of(func)}
    assert ("struct item.size" in names) != private
