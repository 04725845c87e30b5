"""How a tree is divided into the tasks of the general rules."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from reviewer.checks.sweep import FILES, NEAR, batches

FOLDERS = st.lists(st.sampled_from(["a", "b", "net", "drivers"]), max_size=4).map("/".join)
PATHS = st.sets(st.builds(lambda folder, n: f"{folder}/f{n}.c".lstrip("/"), FOLDERS, st.integers(0, 90)), max_size=300)


@given(PATHS)
def test_every_file_once(files: set[str]) -> None:
    assert Counter(f for batch in batches(files) for f in batch) == Counter(files)


@given(PATHS)
def test_files_of_a_task_stand_near_each_other(files: set[str]) -> None:
    for batch in batches(files):
        assert 0 < len(batch) <= FILES
        assert len({tuple(f.split("/")[:-1][:NEAR]) for f in batch}) == 1


@given(PATHS, st.randoms())
def test_the_order_of_the_files_does_not_matter(files: set[str], random: Random) -> None:
    shuffled = list(files)
    random.shuffle(shuffled)
    assert batches(shuffled) == batches(sorted(files))


def test_small_folders_side_by_side_share_a_task() -> None:
    assert batches(["drivers/net/a/x.c", "drivers/net/b/y.c", "drivers/gpu/z.c"]) == [
        ("drivers/gpu/z.c",), ("drivers/net/a/x.c", "drivers/net/b/y.c"),
    ]  # fmt: skip
