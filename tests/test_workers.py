"""Stretches of work: in order, whoever is ready first, and whoever stops early."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Sequence

import pytest

from reviewer.workers import in_stretches, pool


def squares(start: int, end: int) -> Sequence[tuple[int, int]]:
    """At most three at a time."""
    return [(i * i, os.getpid()) for i in range(start, min(end, start + 3))]


def refuses(start: int, end: int) -> Sequence[int]:
    if start >= 4:
        raise ValueError("not this one")
    return range(start, end)


@pytest.mark.parametrize(("count", "longest"), [(0, 4), (1, 4), (10, 4), (11, 11), (7, 1)])
def test_all_are_done_once_and_in_order(count: int, longest: int) -> None:
    with pool(2, each=1) as workers:
        got = list(in_stretches(workers, 2, squares, count, longest))
    assert [square for square, _ in got] == [i * i for i in range(count)]


def test_a_stretch_that_stops_early_goes_on_in_another_process() -> None:
    with pool(1, each=1) as workers:
        got = list(in_stretches(workers, 1, squares, 9, 9))
    assert len({process for _, process in got}) == 3


def test_what_went_wrong_in_a_worker_is_raised_here() -> None:
    with pool(2, each=1) as workers, pytest.raises(ValueError, match="not this one"):
        list(in_stretches(workers, 2, refuses, 8, 2))


def large(number: int) -> dict[int, bytes]:
    """More than a pipe holds."""
    return dict.fromkeys(range(32_768), b"\n")


def stop_early() -> None:
    """Leave pools while their workers are writing."""
    for _ in range(100):
        with contextlib.suppress(KeyboardInterrupt), pool(2) as workers:
            for _ in workers.imap(large, range(12)):
                raise KeyboardInterrupt


@pytest.mark.slow
def test_a_pool_ends_while_large_results_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait for a worker that it has killed in the middle of one, which happens once in some thirty times."""
    monkeypatch.setattr("reviewer.workers.PATIENCE", 0.1)
    child = multiprocessing.get_context("fork").Process(target=stop_early)
    child.start()
    child.join(120)
    child.kill()
    assert child.exitcode == 0, "it waits for ever"
