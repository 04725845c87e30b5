"""Definitions counted from the raw text alone."""

from __future__ import annotations

import pytest

from reviewer.parse.definitions import definitions
from reviewer.parse.dialect import load_dialect
from reviewer.parse.lexical import split


def count(text: str) -> int:
    return len(definitions(split(text.encode()), load_dialect()))


@pytest.mark.parametrize(
    "text",
    [
        "static int f(int a) { return 1; }\n",
        "struct pump *\nf(void)\n{\n}\n",
        "int (*f(void))(int) { }\n",
        "static void f(void) __acquires(lock)\n{\n}\n",
        "SYSCALL_DEFINE1(f, int, a)\n{\n\tif (a) { }\n}\n",
        "int f(a, b)\nint a;\nint b;\n{\n}\n",
        'extern "C" {\nint f(void) { }\n}\n',
        "MACHINE(PUMP)\n\t.name = x,\nMACHINE_END\n\nstatic void f(void)\n{\n}\n",
        "static __unheard_of int f(struct pump *p)\n{\n}\n",
        "#ifdef A\nint f(int a)\n#else\nint f(long a)\n#endif\n{\n}\n",
        "int f(void)\n{\n#ifdef A\n\tif (a) {\n#else\n\tif (b) {\n#endif\n\t}\n}\n",
        "PUMP_NOTE(x)\n\nstruct pump { int a; };\n\nint f(void)\n{\n}\n",
    ],
)
def test_one_definition(text: str) -> None:
    assert count(text) == 1


@pytest.mark.parametrize(
    "text",
    [
        "struct pump { int (*start)(int); };\n",
        "struct pump x[2] = { { f(1) } };\n",
        "enum state { OFF, ON };\n",
        "define_pump(x) {\n\t.name = y,\n}\n",
        "TRACE_EVENT(pump, TP_fast_assign(if (x) { y = 1; } if (z) { y = 2; }));\n",
        "#define F(x) \\\n\tint f(void) { }\n",
        "/* int f(void) { } */\n",
        "#if 0\nint f(void) { }\n#endif\n",
        "#ifdef __ASSEMBLY__\nf(x) {\n#endif\n",
        "#ifndef __KERNEL__\nint f(void) { }\n#endif\n",
        "DECLARE_AVERAGE(rate)\n\nstruct pump {\n\tint a;\n};\n",
    ],
)
def test_no_definition(text: str) -> None:
    assert count(text) == 0


def test_both_arms_define() -> None:
    assert count("#ifdef A\nint f(void)\n{\n}\n#else\nint f(void) { }\n#endif\n") == 2


def test_a_definition_after_braces_that_do_not_balance_is_counted() -> None:
    assert count("int f(void)\n{\n\tif (a) {\n}\n\nint g(void)\n{\n}\n") == 2
