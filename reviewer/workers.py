"""Worker processes that are forked from this one."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.pool import Pool


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
    with made:
        yield made


def _begin(start: Callable[[], None] | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if start is not None:
        start()
