"""The normaliser keeps every offset, whatever the bytes, and what it makes of kernel C parses without an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from soup import TOKENS

from reviewer.parse.dialect import load_dialect
from reviewer.parse.extract import parser
from reviewer.parse.normalise import normalise

DIALECT = load_dialect()

def ends(text: bytes) -> list[tuple[int, int]]:
    return [(i, c) for i, c in enumerate(text) if c in b"\r\n"]


def keeps_its_shape(text: bytes) -> None:
    got = normalise(text, DIALECT)
    assert len(got) == len(text)
    assert ends(got) == ends(text)


@given(st.binary(max_size=300))
def test_any_bytes_keep_length_and_lines(text: bytes) -> None:
    keeps_its_shape(text)


@given(st.text(alphabet="(){}[];,.:=\"'\\#/*\n\t aA_1", max_size=200))
def test_punctuation_keeps_length_and_lines(text: str) -> None:
    keeps_its_shape(text.encode())


@given(st.lists(TOKENS, max_size=60))
def test_token_soup_keeps_length_and_lines(tokens: list[str]) -> None:
    keeps_its_shape("".join(tokens).encode())


@given(st.lists(TOKENS, max_size=40))
def test_a_body_of_token_soup_keeps_length_and_lines(tokens: list[str]) -> None:
    keeps_its_shape(b"int f(void)\n{\n\t" + "".join(tokens).encode() + b"\n}\n")


FILE_SCOPE = {
    "an annotation nobody has heard of": "static __unheard int f(struct pump *p)\n{\n}\n",
    "one on its own line": "__unheard\nint f(void)\n{\n}\n",
    "one with arguments": "__unheard __of(2)\n__it(x)\nstatic int f(void)\n{\n}\n",
    "one behind the header": "static int f(void) __unheard\n{\n}\n",
    "one behind the type": "static pump_t pumpinline\nf(void)\n{\n}\n",
    "one behind the tag": "static struct pump UNHEARD *f(void)\n{\n}\n",
    "one known and one not": "asmlinkage __unheard void f(void)\n{\n}\n",
    "a macro that closes a table": "PUMP_START(A, 1)\n\t.a = f,\nPUMP_END\n\nstatic void g(void)\n{\n}\n",
    "a macro that begins a structure": "pump_machine(cell) {\n\t.a = f,\n};\n",
    "a header by a macro": "SYSCALL_DEFINE2(f, int, a, struct pump __user *, b)\n{\n}\n",
    "prose under #if 0": "#if 0\nIt's not { C at all.\n#endif\nint f(void)\n{\n}\n",
    "assembly": "#ifdef __ASSEMBLY__\n.macro f x\n\tmov \\x {\n#else\nint f(void)\n{\n}\n#endif\n",
    "a string over two lines": 'void f(void)\n{\n\tg("a \\\n\t\tb");\n}\n',
    "a name made of two": "void CAT(pump_, stop)(int a)\n{\n}\n",
}

BODIES = {
    "an iterator": "pump_for_each(p, head)\n\t\tg(p);",
    "an iterator in capitals": "PUMP_FOR_EACH(p)\n\t\tp->x = 1;",
    "a loop that ends with a macro": "do {\n\t\tg();\n\t} while_each_pump(p, q);",
    "the same without arguments": "do {\n\t\tg();\n\t} while_each_pump();",
    "a macro without its semicolon": "PUMP_NOTE(x)\n\tg();",
    "a macro that is a word": "PUMP_PROLOGUE\n\tg();",
    "the last of a body": "g();\n\tPUMP_EPILOGUE",
    "a statement as an argument": 'PUMP_CHECK(a == b,\n\t\t"odd", return -1);',
    "an empty one": 'PUMP_CHECK(a == b, "odd",\n\t\t);',
    "two of them": "PUMP_IO(a, return f(a), return g(a));",
    "statements in a wrapper": "IF_DEBUG(g(a); g(b);)\n\tg(c);",
    "statements in a short wrapper": "DB(g(a);)\n\tg(c);",
    "a wrapped if": "D1(if (a) {\n\t\tg(a);\n\t});",
    "a jump in a wrapper, and an else": 'if (a)\n\t\tSKIP(return, "a");\n\telse if (b)\n\t\tSKIP(goto out, "b");\nout:\n\tg();',
    "a loop in a macro": "pump_msec(p, 2000,\n\t\tif (g(p))\n\t\t\tbreak;\n\t);",
    "its value": "if (pump_msec(p, 2000,\n\t\tif (g(p))\n\t\t\tbreak;\n\t) < 0)\n\t\treturn;",
    "the same without room": "r = pump_msec(p, 20,\n\t\tif (g(p))\n\t\t\tbreak;);",
    "an operator as an argument": "PUMP_CMP(a, ==, b);",
    "designated arguments": "PUMP_OPTS(o, .a = 1, .b.c = 2);",
    "a number that is a word": "if (VER(p, 194A) || tg(p, 1SHOT))\n\t\tg();",
    "words before a string": 'printk(KERN_ERR PUMP_NAME "x" PUMP_TAIL(1) "y");',
    "a word before a call": 'printk(KERN_ERR pr_fmt("x"));',
    "a type as an argument": "p = pump_of(q, const struct pump *, m) + f(unsigned long *, x);",
    "typeof an expression": "return try(&l->a, (typeof(l->a.c) *)old);",
    "alignof an expression": "g(__alignof__(*p));",
    "a register variable": 'register long r asm("r0") = 1;',
    "inline assembly": 'asm_inline volatile("x"\n\t\t: "=r" (a) : [b] "r" (b));',
    "a label before an #if": "goto again;\nagain:\n#ifdef A\n\tg();\n#endif\n\tf();",
    "a label before a condition": "goto again;\nagain:\n#if A > 1\n\tg();\n#else\n\th();\n#endif\n\tf();",
    "a label before an #endif": "#ifdef A\n\tg();\nout:\n#endif\n\tf();",
    "a label at the end": "goto out;\nout:\n\t",
    "a local by a macro": "DECLARE_BITMAP(x, 7) = { 0 };\n\tg(x);",
    "another": "static DEFINE_PUMP(struct pump, x) = {\n\t\t.a = 1,\n\t};",
    "a mark behind a variable": "static const void *x[2] __unheard = { 0 };",
    "a bit-field without a name": "struct {\n\t\tu32 a : 2;\n\t\tu32 : 30;\n\t} x;",
    "an if with a macro for its parentheses": "if time_after(a, b)\n\t\tg();",
    "a range of cases": "switch (a) {\n\tcase 1 ... 3:\n\tcase 'a'...'z':\n\t\tg();\n\t}",
    "an else that an #ifdef splits": "if (a)\n\t\tg();\n#ifdef A\n\telse if (b)\n\t\th();\n#endif",
    "offsetof an element": "g(offsetof(struct pump, a[1].b));",
    "a guard with a body": "scoped_cond_guard(mutex_try, return -EBUSY, &l) {\n\t\tg();\n\t}",
    "another that may return": "pump_claim_scoped(return -EBUSY, p) {\n\t\tg();\n\t}",
}


def parses(text: str) -> None:
    made = normalise(text.encode(), DIALECT)
    root = parser().parse(made).root_node
    assert not root.has_error, made.decode()
    keeps_its_shape(text.encode())


@pytest.mark.parametrize("text", FILE_SCOPE.values(), ids=FILE_SCOPE.keys())
def test_file_scope_parses(text: str) -> None:
    parses(text)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_parses(body: str) -> None:
    parses(f"int f(struct pump *p)\n{{\n\t{body}\n}}\n")


@pytest.mark.parametrize(
    "text",
    [
        "typedef int (*fn)(struct pump *, int);\n",
        "struct pump *\nfind(struct pump *p, int n)\n{\n\treturn p + n;\n}\n",
        "static inline unsigned long f(const struct pump *p, u32 *q)\n{\n\treturn *q * g(p);\n}\n",
        "enum state {\n\tOFF,\n\tON\n};\n",
        "int a = 1, *b = &a, c[3] = { 1, 2, 3 };\n",
        "int f(void)\n{\n\tfor (;;)\n\t\tg();\n\treturn h(1, 2) ? a : b;\n}\n",
        "int f(a, b)\nint a;\nint b;\n{\n\treturn a;\n}\n",
    ],
)
def test_plain_c_stays_as_it_is(text: str) -> None:
    assert normalise(text.encode(), DIALECT).decode() == text
