"""What comments ask their function's callers to hold."""

from __future__ import annotations

import pytest

from reviewer.program.graph.said import PROTECTED, asked


@pytest.mark.parametrize(
    ("comment", "locks"),
    [
        ("/* Must be called with pump->lock held. */", ["pump->lock"]),
        ("/* called under the tank_mutex */", ["tank_mutex"]),
        ("/**\n * fill - more of it\n * @tank: where\n *\n * Context: Any. Caller holds &tank->lock.\n */", ["tank->lock"]),
        ("/* tank->lock must be held when calling this function */", ["tank->lock"]),
        ("/*\n * Empties the tank. Caller should hold\n * drain_lock, or so it was.\n */", ["drain_lock"]),
        ("/* Expects tank_mutex to be held; fills one. */", ["tank_mutex"]),
        ("/* Called with rtnl_lock() held. Needs the pump. */", ["rtnl_lock"]),
        ("/* Must not be called with pump->lock held. */", []),
        ("/* Called with or without pump->lock held. */", []),
        ("/* Called with pump->lock held if it is running. */", []),
        ("/* Must be called with pump->lock held, which it drops. */", ["pump->lock"]),
        ("/* Caller must hold pump->lock unless it is the last. */", []),
        ("/* Fills the tank under pressure. */", []),
    ],
)
def test_what_a_comment_asks_for(comment: str, locks: list[str]) -> None:
    assert asked(comment) == locks


@pytest.mark.parametrize(
    ("comment", "lock"),
    [
        ("/* protected by tank_lock */", "tank_lock"),
        ("/* the level, guarded by the tank->lock */", "tank->lock"),
        ("/* protects the tank */", None),
    ],
)
def test_what_the_comment_of_a_field_names(comment: str, lock: str | None) -> None:
    match = PROTECTED.search(comment)
    assert (match["lock"] if match is not None else None) == lock
