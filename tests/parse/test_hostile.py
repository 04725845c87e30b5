"""Texts that were made to hurt: each is read, without an exception, and in time and memory that grow with its length.

Nothing is timed here. A text that costs the square of its length would take hours, and the address space is capped.
"""

from __future__ import annotations

import random
import resource
from collections.abc import Iterator

import pytest

from reviewer.parse.dialect import load_dialect
from reviewer.parse.extract import outline
from reviewer.parse.health import file_health
from reviewer.parse.normalise import normalise

DIALECT = load_dialect()
SIZE = 100_000
"""Bytes of each text: what takes a second at the cost of each byte takes a day at the cost of each pair."""

ROOM = 3 << 30
"""Bytes of address space that a file may need on top of what the process has."""


@pytest.fixture(autouse=True)
def little_room() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as statm:  # noqa: PTH123  a file that is no file
        used = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def times(part: str, size: int = SIZE) -> bytes:
    return (part * (size // len(part))).encode()


def body(part: str) -> bytes:
    return b"int f(void)\n{\n" + times(part) + b"}\n"


TEXTS = {
    "parentheses": times("("),
    "closing ones": times(")"),
    "calls that do not end": times("a("),
    "nested arguments": times("f(,"),
    "statements in calls": body("\tM(a;)\n"),
    "nested statements": b"int f(void)\n{\n" + times("M(a;", SIZE // 4) + b")" * (SIZE // 16) + b"}\n",
    "semicolons before parentheses": times(";)"),
    "jumps as arguments": body("\tM(a, return b);\n"),
    "braces": times("{"),
    "designators": b"int x = {" + times(", .a = 1") + b"};\n",
    "designators in a call": b"f(" + times(", .a = 1") + b");\n",
    "groups that do not end": times("#if A\n"),
    "nested groups": times("#if A && B\nint a;\n", SIZE // 2) + times("#endif\n", SIZE // 4),
    "arms": b"#if A\n" + times("#elif B\nint x;\n") + b"#endif\n",
    "quotes": times('"'),
    "strings that go on": times('"\\\n'),
    "words and strings": times('"a" b c '),
    "a comment that does not end": b"/*" + times(" * x\n"),
    "comments": times("/* x */\n"),
    "backslashes": times("\\\n"),
    "words": times("a "),
    "lines of a word": times("a\n"),
    "macros at file scope": times("A(x)\n"),
    "macros that do not end": times("A(x\n"),
    "annotations": b"int f(int a)\n" + times("A(b)\n"),
    "tables of a machine": times("M(A, B)\n.a = 1,\n"),
    "types as arguments": b"f(" + times("u32 *, ") + b"a);\n",
    "structs that do not end": times("struct a {\n"),
    "members by macros": b"struct a {\n" + times("\tDECLARE_BITMAP(x, 3);\n") + b"};\n",
    "iterators": body("\tfor_each(x) {\n"),
    "ranges": body("\tcase 1 ... 2:\n"),
    "assembly": body('\tasm volatile("x" : "=r" (a));\n'),
    "attributes": times("__attribute__(("),
    "typeof": times("typeof("),
    "macro statements": body("\tM(a)\n\n"),
    "valued macros": body("\tM(a) = { 0 };\n"),
    "labels": body("a:\n#ifdef X\n\tg();\n#endif\n"),
    "blanks": b"f(a)\n" + times(" ") + b"{",
    "conditions in conditions": b"int x = a" + times(" ? b : c") + b";\n",
    "else after else": body("\tif (a) b(); else\n"),
    "nested lists": b"int t = " + b"{" * (SIZE // 2) + b"}" * (SIZE // 2) + b";\n",
    "members of members": b"int x = a" + times("->b") + b";\n",
    "pointers": b"int " + times("*") + b"b;\n",
    "macros": times("#define A(x) \\\n\tx\n"),
    "no unix line ends": times("int x;\r"),
    "form feeds": times("\f"),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_it_is_read(text: bytes) -> None:
    assert len(normalise(text, DIALECT)) == len(text)
    outline(text, DIALECT)
    file_health(text, DIALECT)


def test_binary_noise_is_told_as_such() -> None:
    noise = random.Random(1).randbytes(1_000_000)
    assert outline(noise, DIALECT).problem == "binary"
    assert outline(noise.replace(b"\0", b"x"), DIALECT).problem == "binary"
    late = b"int f(void) { return 0; }\n" * 200 + noise[:20_000]
    assert len(outline(late, DIALECT).functions) >= 200


def test_latin1_and_drawings_are_no_noise() -> None:
    text = b"/* \xe9\xe8\xfc\xdf " + b"\xc4" * 3000 + b" */\nint f(void) { }\n\x0c\nint g(void) { }\n\x1a"
    assert [f.name for f in outline(text, DIALECT).functions] == ["f", "g"]


def test_a_generated_header_of_ten_megabytes_gives_its_macros() -> None:
    line = b"#define mmPUMP_REGISTER_%06d__FIELD_NAME__SHIFT 0x%08x\n"
    text = b"".join(line % (n, n) for n in range(170_000))
    assert len(text) > 10_000_000
    made = outline(text, DIALECT)
    assert len(made.macros) == 170_000
    assert made.macros[-1].line == 170_000
    assert "too large" in made.problem


def test_more_than_that_is_not_read_at_all() -> None:
    assert outline(b"int x;\n" * 2_000_000, DIALECT).problem == "too large"


@pytest.mark.parametrize("where", ["int x = %s1%s;\n", "int f(void)\n{\n\treturn %s1%s;\n}\n", "int f(int %sa%s)\n{\n}\n"])
def test_three_thousand_nested_parentheses(where: str) -> None:
    text = (where % ("(" * 3000, ")" * 3000)).encode()
    made = outline(text + b"int after(void)\n{\n\tg();\n}\n", DIALECT)
    assert "after" in [f.name for f in made.functions]
    assert file_health(text, DIALECT).functions <= 1


def test_one_function_of_twenty_thousand_lines() -> None:
    text = b"int f(int a)\n{\n" + b"\tif (a)\n\t\ta += g(a);\n" * 10_000 + b"\treturn a;\n}\n"
    (function,) = outline(text, DIALECT).functions
    assert not function.broken
    assert function.calls == ("g",)
    assert function.end == len(text) - 1


@pytest.mark.parametrize(
    "tail",
    [
        b"/* no end", b'const char *s = "no end', b"char c = 'x", b"#if A\nint b;\n", b"#ifdef A\nint b;\n#else\n",
        b"int f(void)\n{\n", b"#define A \\",
    ],
)
def test_what_stands_before_something_unterminated_is_kept(tail: bytes) -> None:
    made = outline(b"int before(void)\n{\n\tg();\n}\n\n" + tail, DIALECT)
    assert made.functions[0].name == "before"
    assert not made.functions[0].broken
