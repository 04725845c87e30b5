"""A layout that is kept says of a text what looking through it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from soup import TOKENS

from reviewer.parse.bodies import body_key
from reviewer.parse.dialect import load_dialect
from reviewer.parse.layout import WORTH_KEEPING, Layout, laid_out, layout_of
from reviewer.parse.pieces import Pieces
from reviewer.parse.skim import positions, skim
from reviewer.store import codec

DIALECT = load_dialect()

PADDING = b"/* " + b"." * WORTH_KEEPING + b" */\n"


class Kept:
    """Layouts in memory, as bytes. ``made``: how many were put there."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.made = 0

    def get(self, key: str) -> Layout | None:
        return codec.decode_layout(self.values[key]) if key in self.values else None

    def put(self, key: str, value: Layout) -> None:
        self.values[key] = codec.encode(value)
        self.made += 1

    def flush(self) -> None:
        return None


@given(st.lists(TOKENS, max_size=60).map("".join))
def test_a_layout_gives_back_what_was_found(source: str) -> None:
    text = source.encode()
    found = skim(text, DIALECT)
    again = laid_out(text, codec.decode_layout(codec.encode(layout_of(found))))
    assert again is not None
    assert again.pieces == found.pieces
    assert again.named == found.named
    assert (again.parts.groups, again.parts.defines) == (found.parts.groups, found.parts.defines)


@given(st.lists(TOKENS, max_size=60).map("".join))
def test_the_code_of_single_pieces_is_that_of_the_file(source: str) -> None:
    text = source.encode()
    found = skim(text, DIALECT)
    again = laid_out(text, layout_of(found))
    assert again is not None
    assert [again.code_of(p) for p in again.pieces] == [found.code[p.start : p.end] for p in found.pieces]
    assert again.outer_words() == found.outer_words()
    pieces = ((found.piece_at(at), at) for at in positions(found.code, b"f"))
    outside = [(p, at - p.start) for p, at in pieces if p is not None and not p.name]
    assert list(again.outside(b"f")) == outside == list(found.outside(b"f"))
    assert again.parts.whole is None  # no more was blanked than was asked for


def test_a_file_is_looked_through_once() -> None:
    text = PADDING + b"static int a;\nint f(void)\n{\n\treturn g(a);\n}\n#define M 1\n"
    kept = Kept()
    for _ in range(2):
        file = Pieces(text, DIALECT, kept)
        (piece,) = file.functions("f")
        assert file.calls(piece) == ("g",)
        assert file.declares("a")
        assert [m.name for m in file.macros("M")] == ["M"]
    assert kept.made == 1


def test_a_layout_of_another_text_is_not_believed() -> None:
    text = PADDING + b"int f(void)\n{\n\treturn 0;\n}\n"
    kept = Kept()
    kept.put(body_key(text), layout_of(skim(b"int g(void)\n{\n}\n", DIALECT)))
    assert [p.name for p in Pieces(text, DIALECT, kept).all_functions()] == ["f"]
    assert kept.made == 2
