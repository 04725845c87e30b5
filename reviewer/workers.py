"""Worker processes that are forked from this one."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.pool import Pool

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


def _begin(start: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if start is not None:
        start()
