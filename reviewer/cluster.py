"""Work that is spread over other machines, by dask.distributed (``--executor dask://HOST:PORT``, the extra ``cluster``).

The scheduler and its workers are the user's; each worker needs this release of reviewer and the tree under the same path.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

from reviewer.data import installation_digest
from reviewer.errors import InputError

SCHEME = "dask://"

TIMEOUT = 10
"""Seconds in which the scheduler has to answer."""

AHEAD = 4
"""Pieces of work for each thread of the workers that are sent before the first is back."""

T = TypeVar("T")
R = TypeVar("R")


class Cluster:
    """A connection to a scheduler; use it in a ``with``.

    :param address: ``dask://HOST:PORT``
    :raises InputError: (on entry) no such address, nobody answers, dask is not installed, or the workers have another release
    """

    def __init__(self, address: str) -> None:
        if not address.startswith(SCHEME) or not address.removeprefix(SCHEME).rpartition(":")[2].isdigit():
            raise InputError(f"--executor {address}: not an executor", f"write {SCHEME}HOST:PORT, the address of a scheduler")
        self.address = address
        self._client: Any = None

    def __enter__(self) -> Self:
        try:
            client: Any = importlib.import_module("distributed").Client
        except ImportError:
            raise InputError("--executor: dask.distributed is not installed", "pip install 'reviewer[cluster]'") from None
        try:
            self._client = client(f"tcp://{self.address.removeprefix(SCHEME)}", timeout=TIMEOUT, set_as_default=False)
        except OSError:
            what = f"--executor {self.address}: no scheduler answers there"
            raise InputError(what, "start one with `dask scheduler`") from None
        releases = set(self._client.run(installation_digest).values())
        if releases != {installation_digest()}:
            what = "its workers have another release of reviewer" if releases else "it has no workers"
            self._client.close()
            raise InputError(f"--executor {self.address}: {what}", "install this release there and start `dask worker`")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """The function of each item, in their order. What it takes and gives is pickled."""
        threads = sum(self._client.nthreads().values())
        rest = iter(items)
        waiting = [self._client.submit(function, item, pure=False) for item in islice(rest, AHEAD * threads)]
        while waiting:
            first = waiting.pop(0)
            waiting += (self._client.submit(function, item, pure=False) for item in islice(rest, 1))
            yield first.result()
