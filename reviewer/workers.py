"""Worker processes that are forked from this one."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.pool import Pool
from typing import Protocol, TypeVar, cast

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds that the end of a pool is waited for; it takes milliseconds, or for ever."""


@contextmanager
def pool(processes: int, start: Callable[[], None] | None = None, each: int | None = None) -> Iterator[Pool]:
    """Workers that leave Ctrl-C to their parent, from the moment on in which they are forked.

    :param start: run first in each of them. :param each: tasks after which a worker makes room for a fresh one.
    """
    # The mask is inherited, by the thread that forks their successors, too: before ``_begin`` has run, a worker would print a
    # traceback.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        made = multiprocessing.get_context("fork").Pool(processes, _begin, (start,), each)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield made
    finally:
        # Where results are still under way, ``terminate`` may kill a worker in the middle of writing one, and then waits for ever
        # for the lock that this worker held, or for the rest of what it wrote. By then all workers have been told to go, and
        # its threads keep no process from ending.
        ending = threading.Thread(target=made.terminate, daemon=True)
        ending.start()
        ending.join(PATIENCE)


class Forked(Protocol):
    """What has files open, or processes, that a child must not share: a tree, a store."""

    def after_fork(self) -> None: ...


@contextmanager
def beside(things: Iterable[Forked], work: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """Another process, which begins with what this one knows and does ``work`` once; gives what waits for its answer.

    :param things: what the work reads from, of which the other process is to have its own.
    """

    def start() -> None:
        gc.disable()  # it ends too soon to look for garbage
        for thing in things:
            thing.after_fork()

    global _work
    _work = work
    try:
        gc.freeze()  # what it inherits stays shared
        with pool(1, start) as workers:
            answer = workers.apply_async(_worked)
            yield lambda: cast("T", answer.get())
    finally:
        _work = None
        gc.unfreeze()


_work: Callable[[], object] | None = None


def _worked() -> object:
    assert _work is not None
    return _work()


def _begin(start: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if start is not None:
        start()
