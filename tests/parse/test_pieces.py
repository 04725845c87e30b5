"""What is told of a function without its header being read agrees with the header."""

from __future__ import annotations

import pytest

from reviewer.parse.dialect import load_dialect
from reviewer.parse.pieces import Pieces

HEADERS = {
    "int plain(void)": False,
    "static int its_own(void)": True,
    "static __printf(1, 2) void attributed(const char *f, ...)": True,
    "int\nnon_static(void)": False,
    "INTERVALS(struct node, static inline, tree)\n\nint\nafter_a_macro(struct node *static_node)": False,
    "static inline int small(void)": True,
    "int not_static_inside(int static_words)": False,
    "SYSCALL_DEFINE1(pump, int, fd)": False,
}


@pytest.mark.parametrize(("header", "static"), HEADERS.items())
def test_static(header: str, static: bool) -> None:
    text = f"#ifdef CONFIG_PUMP\nstatic int before;\n{header}\n{{\n\tif (first(1))\n\t\tsecond();\n}}\n#endif\n"
    file = Pieces(text.encode(), load_dialect())
    (piece,) = file.all_functions()
    read = file.signature(piece)
    assert file.static(piece) == read.static == static
    assert (file.calls(piece), file.condition(piece), file.line_at(piece.start)) == (read.calls, read.condition, read.line)
    assert read.calls == ("first", "second") and "CONFIG_PUMP" in read.condition
