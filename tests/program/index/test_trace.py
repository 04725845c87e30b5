"""What an answer rests on: kept as bytes, and touched by the changes that could make it another one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reviewer.program.index.change import Change
from reviewer.program.index.trace import ALL, INCLUDES, Touches, Trace

FILE = "drivers/pump/pump.c"

# As paths and words are: of no line end and no NUL; a path's bytes that are no UTF-8 are lone surrogates.
words = st.text(st.characters(blacklist_categories=("Cs", "Cc")) | st.sampled_from("\udc80\udcff"), min_size=1, max_size=8)
pairs = st.frozensets(st.tuples(words, words), max_size=6)
sets = st.frozensets(words, max_size=6)
traces = st.builds(
    Trace.of, files=sets, functions=pairs, defined=sets, filled=sets, mentioned=pairs, outside=pairs, inside=pairs
)


@given(traces)
def test_bytes_and_back(trace: Trace) -> None:
    assert Trace.unpack(trace.pack()) == trace


@given(traces, traces)
def test_two_together_rest_on_what_either_does(one: Trace, other: Trace) -> None:
    both = one | other
    assert {*one.marks(), *other.marks()} == set(both.marks())
    assert both == other | one


def test_a_folder_without_a_name_is_kept() -> None:
    trace = Trace.of(mentioned=frozenset({("", "pump"), ("drivers/pump", "pump_put")}))
    assert Trace.unpack(trace.pack()) == trace


@pytest.mark.parametrize("data", [b"", b"no trace", b"\1\0\0\0", b"\1\0\0\0" * 2, b"\0" * 5])
def test_what_is_no_trace(data: bytes) -> None:
    with pytest.raises(ValueError):
        Trace.unpack(data)


TRACE = Trace.of(
    files=frozenset({FILE, "include/pump.h"}),
    functions=frozenset({(FILE, "run"), ("mm/all.c", ALL), (FILE, INCLUDES)}),
    defined=frozenset({"pump_put"}), filled=frozenset({"pump_ops", "drain"}),
    mentioned=frozenset({("", "register_pump"), ("net", "pump_get")}),
    outside=frozenset({(FILE, "RATE")}), inside=frozenset({(FILE, "total")}),
)  # fmt: skip


def change(*functions: str, **parts: set[str] | bool) -> Change:
    given = {name: frozenset(value) if isinstance(value, set) else value for name, value in parts.items()}
    return Change(frozenset(functions), **given)  # type: ignore[arg-type]


TOUCHED = {
    "a function that was looked at": (FILE, change("run")),
    "a word that was looked for outside": (FILE, change(outside={"RATE"})),
    "a word that was looked for inside": (FILE, change("other", inside={"total"})),
    "an include": (FILE, change(includes=True)),
    "a file that was read is gone": (FILE, change(gone=True)),
    "another definition, anywhere": ("net/new.c", change("pump_put", defining={"pump_put"})),
    "a table filled, anywhere": ("net/new.c", change(filling={"pump_ops"})),
    "a new mention, anywhere": ("net/new.c", change("other", differing={"register_pump"})),
    "a new mention in the folder": ("net/core/dev.c", change("other", differing={"pump_get"})),
}

LEFT = {
    "nothing": (FILE, change()),
    "a function that nobody looked at": (FILE, change("other", inside={"odd"})),
    "a word outside that nobody looked for": (FILE, change(outside={"DEPTH"})),
    "an include of a header": ("include/pump.h", change(includes=True)),
    "a mention in another folder": ("fs/a.c", change("other", differing={"pump_get"})),
    "a file that was not read": ("fs/a.c", change("run", outside={"RATE"}, inside={"total"}, gone=True, includes=True)),
}


@pytest.mark.parametrize(("path", "made"), TOUCHED.values(), ids=TOUCHED)
def test_touched(path: str, made: Change) -> None:
    assert TRACE.touched(Touches({"fs/other.c": Change(), path: made}))


@pytest.mark.parametrize(("path", "made"), LEFT.values(), ids=LEFT)
def test_left_as_it_is(path: str, made: Change) -> None:
    assert not TRACE.touched(Touches({path: made}))


def test_a_file_whose_functions_were_all_looked_at() -> None:
    trace = Trace.of(files=frozenset({"mm/all.c"}), functions=frozenset({("mm/all.c", ALL)}))
    assert trace.touched(Touches({"mm/all.c": change("new")}))
    assert not trace.touched(Touches({"mm/all.c": change(outside={"a"})}))


def test_a_word_in_many_files_of_a_folder() -> None:
    """It takes one mark, which any of those files touches, and no file of another folder."""
    folder = [f"drivers/pump/{name}.c" for name in "abcdefgh"]
    one = Trace.of(files=folder, outside={(folder[0], "RATE")})
    trace = Trace.of(files=(*folder, "net/a.c"), outside={(path, "RATE") for path in folder})
    assert len(trace) == len(one) + 1
    for path in folder:
        assert trace.touched(Touches({path: change(outside={"RATE"})}))
        assert not trace.touched(Touches({path: change(outside={"DEPTH"})}))
    assert not trace.touched(Touches({"net/a.c": change(outside={"RATE"})}))
    assert not trace.touched(Touches({"drivers/pump/new.c": change(outside={"RATE"})})), "nobody has read it"
    assert one.touched(Touches({folder[0]: change(outside={"RATE"})}))
    assert not one.touched(Touches({folder[1]: change(outside={"RATE"})}))
