"""The normaliser keeps every offset: length and line ends, whatever the bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reviewer.parse.dialect import load_dialect
from reviewer.parse.normalise import normalise

TOKENS = st.sampled_from([
    "static ", "__init ", "int ", "f", "(", ")", "{", "}", ";", "\n", "\t", "list_for_each_entry(p, h, m) ", "struct T", ", ",
    "#if A\n", "#else\n", "#endif\n", "#define X(a) \\\n",
    '"s"', "'c'", "/* ", " */", "DEFINE_MUTEX(x);", "container_of(p, struct T, m)",
])  # fmt: skip


def ends(text: bytes) -> list[int]:
    return [i for i, c in enumerate(text) if c == 0x0A]


@given(st.binary(max_size=300))
def test_any_bytes_keep_length_and_lines(text: bytes) -> None:
    got = normalise(text, load_dialect())
    assert len(got) == len(text)
    assert ends(got) == ends(text)


@given(st.lists(TOKENS, max_size=60))
def test_token_soup_keeps_length_and_lines(tokens: list[str]) -> None:
    text = "".join(tokens).encode()
    got = normalise(text, load_dialect())
    assert len(got) == len(text)
    assert ends(got) == ends(text)
