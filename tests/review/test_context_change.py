"""What of two pictures of a function's callers is said."""

from __future__ import annotations

from reviewer.program.api.models import Taken
from reviewer.review.context_change import Picture, moved, sentences
from reviewer.review.result import FunctionContext, HeldLock

SHARED = HeldLock("list.rwsem", "shared")


def picture(
    serialiser: str | None, *must: HeldLock, may: tuple[HeldLock, ...] = (), takers: tuple[tuple[str, Taken], ...] = ()
) -> Picture:
    own = (HeldLock(serialiser),) if serialiser is not None else ()
    return Picture(
        context=FunctionContext(must=(*own, *must), may=may, serialiser=serialiser), takers=takers, above=()
    )


def said(old: Picture, new: Picture) -> list[str]:
    return list(sentences(old, new))


def test_nothing_differs() -> None:
    one = picture("a_lock", SHARED, takers=(("f", "trylock"), ("g", "lock")))
    assert said(one, one) == []
    assert said(one, picture("a_lock", SHARED, takers=(("h", "trylock"), ("g", "lock")))) == []


def test_another_lock_taken_otherwise() -> None:
    old = picture("a_lock", takers=(("f", "trylock"), ("g", "lock")))
    found = said(old, picture("b_lock", takers=(("h", "killable"),)))
    assert found[:2] == ["serialiser a_lock -> b_lock", "taken trylock -> killable (before, g: lock)"]
    assert any("wait for it" in s for s in found) and any("can fail" in s for s in found)


def test_no_lock_any_more() -> None:
    assert said(picture("a_lock"), picture(None)) == ["serialiser a_lock -> none"]
    assert said(picture(None), picture("a_lock")) == ["serialiser none -> a_lock"]


def test_readers_keep_nobody_out() -> None:
    first, second = said(picture("a_lock", SHARED), picture(None, SHARED))
    assert first == "serialiser a_lock -> none" and second.startswith("list.rwsem, held for reading, keeps nobody out")


def test_locks_that_serialise_nobody() -> None:
    assert said(picture(None, HeldLock("x")), picture(None, SHARED))[:2] == ["no longer always under x",
        "now always under list.rwsem (shared)"]  # fmt: skip
    assert said(picture(None), picture(None, may=(HeldLock("x"),))) == ["may now run under x"]
    assert said(picture(None, may=(HeldLock("x"),)), picture(None)) == ["no longer ever under x"]


def test_where_it_runs() -> None:
    def at(irq: str) -> Picture:
        return Picture(context=FunctionContext(irq=irq), takers=(), above=())  # type: ignore[arg-type]

    assert said(at("task"), at("hardirq")) == ["runs in task -> hardirq"]


def test_the_way_a_lock_is_taken_is_no_other_lock() -> None:
    assert moved([HeldLock("x", taken="lock")], [HeldLock("x", taken="trylock")]) == ([], [])
    assert moved([HeldLock("x")], [HeldLock("x", "shared")]) == (["x"], ["x (shared)"])
