"""Whether anybody refers to a function."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reviewer.program.linked.link import Program
from reviewer.program.linked.references import WHOLE, unreferenced

LIBRARY = """
#include "dray.h"
int dray_load(int sacks)
{
	return sacks;
}
"""


def asked(program_of: Callable[..., Program], files: dict[str, str], whole: bool = True) -> bool:
    """Of ``dray_load()``, in a tree with these files beside its own."""
    kernel = dict.fromkeys(WHOLE, "int here;\n") if whole else {}
    own = {"drivers/dray.c": LIBRARY, "drivers/dray.h": "int dray_load(int sacks);\n"}
    program = program_of(**own, **kernel, **files)
    (func,) = program.functions("drivers/dray.c", "dray_load")
    return unreferenced(program, func)


def test_a_declaration_is_no_reference(program_of: Callable[..., Program]) -> None:
    assert asked(program_of, {"drivers/other.c": "/* dray_load() was here */\nint other;\n"})


def test_what_is_no_whole_kernel_may_have_callers_elsewhere(program_of: Callable[..., Program]) -> None:
    assert not asked(program_of, {}, whole=False)


def test_the_name_of_a_static_is_put_together_by_a_macro(program_of: Callable[..., Program]) -> None:
    whole = dict.fromkeys(WHOLE, "int here;\n")
    text = "static int tare_show(void)\n{\n\treturn 0;\n}\nDEFINE_SHOW_ATTRIBUTE(tare);\n"
    program = program_of(**{"drivers/tare.c": text}, **whole)
    (func,) = program.functions("drivers/tare.c", "tare_show")
    assert not unreferenced(program, func)


@pytest.mark.parametrize(
    "text",
    [
        "int cart(void)\n{\n\treturn dray_load(2);\n}\n",
        "struct ops { int (*load)(int); };\nstruct ops cart = {\n\t.load = dray_load,\n};\n",
        "EXPORT_SYMBOL(dray_load);\n",
        "#define cart_load(n) dray_load((n) * 2)\n",
        "static inline int cart(void)\n{\n\treturn dray_load(2);\n}\n",
    ],
)
def test_calls_tables_exports_and_macros_are(program_of: Callable[..., Program], text: str) -> None:
    assert not asked(program_of, {"drivers/cart.c": text})
