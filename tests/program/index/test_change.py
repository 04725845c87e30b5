"""How two states of a file differ, as far as code can tell."""

from __future__ import annotations

import pytest

from reviewer.parse.dialect import load_dialect
from reviewer.parse.pieces import Pieces
from reviewer.program.index.change import Change, change_of

BASE = """#include <linux/pump.h>
#define RATE 3 /* per second */
struct pump {
	int level;
};
static int total;
#ifdef CONFIG_SLOW
static void wait(void)
{
	slow();
}
#else
static void wait(void)
{
}
#endif
int run(struct pump *p)
{
#if RATE > 2
	fast(p);
#endif
	return p->level++ + total;
}
"""


def change(old: str | None, new: str | None) -> Change:
    dialect = load_dialect()
    return change_of(*(Pieces(t.encode(), dialect) if t is not None else None for t in (old, new)))


def edited(*pairs: tuple[str, str]) -> Change:
    text = BASE
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return change(BASE, text)


SILENT = {
    "comment": [("	return p->level", "	/* now */\n	return p->level")],
    "comment of a macro": [("/* per second */", "/* or so */")],
    "blanks": [("	int level;\n", "    int   level ;\n\n")],
    "comment of an #if": [("#endif\nint run", "#endif /* CONFIG_SLOW */\n\nint run")],
    "moved": [("static int total;\n", ""), ("int run(", "static int total;\nint run(")],
}

LOUD = {
    "an #if inside": [("#if RATE > 2\n	fast(p);\n#endif\n", "	fast(p);\n#if RATE > 2\n#endif\n")],
    "an #if around another function": [("#endif\nint run", "int run"), ("total;\n}\n", "total;\n}\n#endif\n")],
    "arms": [("#ifdef CONFIG_SLOW", "#ifndef CONFIG_SLOW")],
    "tokens": [("p->level++ + total", "p->level + ++total")],
    "a macro": [("RATE 3", "RATE 1")],
    "a type": [("	int level;", "	long level;")],
    "an include": [("linux/pump.h", "linux/pond.h")],
}


@pytest.mark.parametrize("pairs", SILENT.values(), ids=SILENT)
def test_what_says_nothing(pairs: list[tuple[str, str]]) -> None:
    assert edited(*pairs).silent


@pytest.mark.parametrize("pairs", LOUD.values(), ids=LOUD)
def test_what_says_something(pairs: list[tuple[str, str]]) -> None:
    assert not edited(*pairs).silent


@pytest.mark.xfail(strict=True, reason="the order of two definitions of one macro is not looked at")
def test_a_macro_that_is_defined_twice() -> None:
    assert not change("#define A 1\n#define A 2\n", "#define A 2\n#define A 1\n").silent


def test_a_string_in_other_words_is_no_change() -> None:
    old = 'void f(void)\n{\n\tprintk("a \\"quoted\\" word");\n\tg();\n\tprintk("b");\n}\n'
    assert change(old, old.replace("quoted", "said")).silent
    assert not change(old, old.replace("g()", "h()")).silent


def test_a_function_that_changes() -> None:
    found = edited(("fast(p);", "faster(p);"))
    assert found.functions == {"run"}
    assert found.inside == {"fast", "faster"} == found.differing
    assert not found.outside and not found.defining and not found.gone and not found.includes
    assert not found.filling, "the function only names the struct"


def test_who_fills_a_table() -> None:
    old = "void f(struct pump *p)\n{\n\tg(p->ops == h);\n}\n"
    assert change(old, old.replace("==", "=")).filling == {"ops"}
    assert not change(old, old.replace("h)", "i)")).filling, "a comparison fills nothing"
    both = "void f(struct pump *p)\n{\n\tp->ops = h;\n\tp->run = i;\n}\n"
    assert change(both, both.replace("= i", "= j")).filling == {"run"}, "the other assignment is as it was"


TABLES = ["struct pump p = { .run = h };", "*q = (struct pump) { .run = h };", "struct pump a[2] = { { h } };"]


@pytest.mark.parametrize("table", TABLES)
def test_a_table_inside_a_function(table: str) -> None:
    old = f"void f(struct pond *q)\n{{\n\t{table}\n}}\n"
    assert change(old, old.replace("h }", "i }")).filling >= {"pump"}
    assert "pond" not in change(old, old.replace("h }", "i }")).filling


def test_code_outside_functions() -> None:
    found = edited(("static int total;", "static int total = LIMIT;"))
    assert not found.functions
    assert {"total", "LIMIT"} <= found.outside
    assert found.defining == {"total"}
    assert edited(("#define RATE 3", "#define RATE 4")).defining == {"RATE"}
    assert edited(("	int level;", "	int level, depth;")).defining == {"pump"}
    assert edited(("linux/pump.h", "linux/pond.h")).includes


def test_what_a_macro_may_define() -> None:
    assert {"pump_lock"} <= change("int a;\n", "int a;\nDEFINE_MUTEX(pump_lock);\n").defining


def test_a_file_on_one_side() -> None:
    found = change(None, BASE)
    assert found.gone and found.functions == {"wait", "run"} and {"run", "wait", "pump", "RATE", "total"} <= found.defining
    assert change(BASE, None) == found
    assert change(None, None).silent
    assert change(BASE, BASE) == Change()
