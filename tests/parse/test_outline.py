"""Outlines: a function of the text and of nothing else, and never an exception."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from soup import TOKENS

from reviewer.data import fixtures_dir
from reviewer.parse import bodies, facts
from reviewer.parse.dialect import load_dialect
from reviewer.parse.extract import Outliner, names_in, outline, parser
from reviewer.parse.head import head_of
from reviewer.parse.pieces import Pieces
from reviewer.store import codec

DIALECT = load_dialect()


def fixture_files() -> list[Path]:
    return sorted(path for path in fixtures_dir().rglob("*.[ch]") if path.is_file())


@given(st.binary(max_size=400))
def test_any_bytes_have_an_outline(text: bytes) -> None:
    outline(text, DIALECT)


@given(st.lists(TOKENS, max_size=60))
def test_token_soup_has_a_head_and_a_body_that_can_be_stored(tokens: list[str]) -> None:
    soup = "".join(tokens)
    head = head_of(soup.encode())
    assert codec.decode_head(codec.encode(head)) == head
    body = bodies.made(f"int f(void)\n{{\n\t{soup}\n}}\n".encode(), DIALECT, parser())
    assert body is None or codec.decode_body(codec.encode(body)) == body


@given(st.lists(TOKENS, max_size=60))
def test_functions_lie_in_the_text_one_after_the_other(tokens: list[str]) -> None:
    text = ("int f(void)\n{\n\t" + "".join(tokens) + "\n}\n\nint g(void)\n{\n}\n").encode()
    last = 0
    for function in outline(text, DIALECT).functions:
        assert last <= function.start < function.end <= len(text)
        assert text.count(b"\n", 0, function.start) + 1 == function.line


def test_facts_do_not_depend_on_the_order_of_files() -> None:
    texts = {path: path.read_bytes() for path in fixture_files()}
    assert len(texts) > 10
    inorder = {path: outline(text, DIALECT) for path, text in texts.items()}
    for seed in range(3):
        paths = list(texts)
        random.Random(seed).shuffle(paths)
        assert {path: outline(texts[path], DIALECT) for path in paths} == inorder


@given(st.permutations(range(6)))
def test_facts_do_not_depend_on_what_was_read_before(order: list[int]) -> None:
    texts = [
        b"#define DEFINE_PUMP(x) struct pump x\nDEFINE_PUMP(a);\n",
        b"DEFINE_PUMP(b);\nstatic int f(void) { return 1; }\n",
        b"#ifdef A\nstruct { int x; } y;\n#endif\n",
        b"struct { int z; } w;\nint f(void) { for_each(x) { g(); } }\n",
        b"/* unterminated",
        b"#if 1\n",
    ]
    alone = [outline(text, DIALECT) for text in texts]
    assert [outline(texts[n], DIALECT) for n in order] == [alone[n] for n in order]


def without_offsets(made: facts.FileFacts) -> facts.FileFacts:
    functions = tuple(msgspec.structs.replace(f, start=0, end=0) for f in made.functions)
    return msgspec.structs.replace(made, functions=functions)


@pytest.mark.parametrize("path", fixture_files(), ids=lambda path: path.name)
def test_line_ends_of_windows_change_only_offsets(path: Path) -> None:
    text = path.read_bytes()
    assert b"\r" not in text
    assert without_offsets(outline(text.replace(b"\n", b"\r\n"), DIALECT)) == without_offsets(outline(text, DIALECT))


def test_line_ends_of_windows_in_what_goes_on_over_lines() -> None:
    text = (
        b'#define F(a, \\\n\t  b) \\\n\tg(a, \\\n\t  b)\n'
        b'#if defined(A) && \\\n\tdefined(B)\nconst char *s = "x \\\n y";\n#endif\n'
        b"static int f(int a)\n{\n#ifdef A\n\tg(a);\n#endif\n\tfor_each(p)\n\t\th(p);\n\treturn 0;\n}\n"
    )
    made = outline(text, DIALECT)
    assert made.macros[0].body == "g(a, b)"
    assert made.macros[0].parameters == ("a", "b")
    assert made.variables[0].condition == "defined(A) && defined(B)"
    assert not made.functions[0].broken
    assert without_offsets(outline(text.replace(b"\n", b"\r\n"), DIALECT)) == without_offsets(made)


def test_invalid_utf8_is_read_like_anything_else() -> None:
    body = b"int f(void) { g(\"\xff\xfe\"); }"
    whole = outline(b"/* \xe9\xff */\n" + body + b"\nint \xe9x;\n", DIALECT)
    assert [f.name for f in whole.functions] == ["f"]
    assert whole.functions[0].calls == ("g",)
    alone = bodies.made(body, DIALECT, parser())
    assert alone is not None
    assert codec.decode_body(codec.encode(alone)) == alone


def test_a_slice_of_a_file_is_read_like_the_file() -> None:
    text = b"static int before;\n\nstatic int f(struct pump *p)\n{\n\tfor_each_pump(p)\n\t\tg(p);\n\treturn 0;\n}\n"
    start = text.index(b"static int f")
    (whole,) = outline(text, DIALECT).functions
    outliner = Outliner(text[start:], DIALECT)
    outliner.run()
    (part,) = outliner.functions
    assert msgspec.structs.replace(part, start=whole.start, end=whole.end, line=whole.line, name_line=whole.name_line) == whole


def test_methods_work_on_a_node_that_somebody_else_parsed() -> None:
    text = b"struct pump { int a; };\nenum { A = BIT(2) };\ntypedef int x_t;\nint v = F(1);\nint f(void) { g(); }\n"
    outliner = Outliner(text, DIALECT)
    nodes = [n for n in parser().parse(text).root_node.children if n.is_named]
    struct, enum, typedef, variable, function = nodes
    outliner.struct(struct)
    outliner.enum(enum)
    outliner.typedef(typedef)
    outliner.declaration(variable)
    outliner.function(function)
    made = outliner.finish(5, "")
    assert [s.name for s in made.structs] == ["struct pump"]
    assert made.enumerators == ((facts.Enumerator("A", facts.Text("BIT(2)")),),)
    assert [t.name for t in made.typedefs] == ["x_t"]
    assert [(v.name, v.value) for v in made.variables] == [("v", facts.Text("F(1)"))]
    assert [f.calls for f in made.functions] == [("g",)]


def test_names_in_a_body() -> None:
    calls, others = names_in(b"{ if (a) f (b, 0x5f, g\n\t(c)->f); return h(sizeof(d)) + (e); }")
    assert calls == ["f", "g", "h"]
    assert others == ["a", "b", "c", "d", "e"]


def test_rows_of_numbers_are_read_like_any_other_list() -> None:
    (row,) = outline(b"int t[] = { 1, -2, 0x3UL, };\n", DIALECT).variables
    (other,) = outline(b"int t[] = { 1, -2, /* three */ 0x3UL, };\n", DIALECT).variables
    assert row == other
    assert row.value == facts.Items(None, tuple(("", facts.Const(n)) for n in (1, -2, 3)))


def test_a_macro_for_user_space_is_none() -> None:
    text = b"#ifdef __KERNEL__\nstatic inline int f(int a)\n{\n\treturn a + 1;\n}\n#else\n#define f(a) (a)\n#endif\n"
    pieces = Pieces(text, DIALECT)
    assert (len(list(pieces.functions("f"))), pieces.macros("f")) == (1, ())
