"""Workers that are left while they work."""

from __future__ import annotations

import contextlib
import multiprocessing

import pytest

from reviewer.workers import pool


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
