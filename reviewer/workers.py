"""Worker processes that are forked from this one."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.pool import Pool
from queue import SimpleQueue
from typing import TypeVar

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


def in_stretches(
    workers: Pool, processes: int, work: Callable[[int, int], Sequence[T]], count: int, longest: int
) -> Iterator[T]:
    """The results of ``count`` pieces of work, in their order, by workers that take neighbouring ones together.

    :param work: the results from one number up to, and without, another; it may stop early, after one at least, and the rest is
        taken on by a fresh worker. :param longest: pieces that are given to a worker at once.

    :raises Exception: what ``work`` raised.
    """
    ended: SimpleQueue[tuple[int, int, Sequence[T]] | BaseException] = SimpleQueue()
    todo = deque((i, min(i + longest, count)) for i in range(0, count, longest))
    early: dict[int, T] = {}
    running = following = 0
    while running or todo:
        while todo and running < processes:
            start, end = todo.popleft()
            workers.apply_async(_done, (work, start, end), callback=ended.put, error_callback=ended.put)
            running += 1
        one = ended.get()
        running -= 1
        if isinstance(one, BaseException):
            raise one
        start, end, got = one
        early.update(enumerate(got, start))
        if start + len(got) < end:
            todo.appendleft((start + len(got), end))
        while following in early:
            yield early.pop(following)
            following += 1


def _done(work: Callable[[int, int], Sequence[T]], start: int, end: int) -> tuple[int, int, Sequence[T]]:
    return start, end, work(start, end)


def _begin(start: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if start is not None:
        start()
