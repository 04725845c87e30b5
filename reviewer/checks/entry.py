"""A callback in two halves: what calls it, and what it depends on whoever calls it.

The second half is the expensive one, and a change of the chain's callers does not touch it; a finding is made of both.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from reviewer.checks.finding import Finding, Step


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a callback depends on.

    :ivar finding: what that would come to; its proof begins in the callback and knows no lock of the callers.
    :ivar inside: how many steps of that proof run under the callers' locks: the rest is another task's.
    :ivar waits_for: class of the lock that is waited for, "" where it is no lock.
    :ivar allocates: it is an allocation of the callback's own task.
    """

    finding: Finding
    inside: int
    waits_for: str = ""
    allocates: bool = False


class Waiter(msgspec.Struct, frozen=True, kw_only=True):
    """A lock around the call of a chain that its taker waits for, where an allocation can lead to that taker.

    :ivar lock: its class. :ivar file: where it is taken; the same for the place's other parts.
    :ivar steps: from the allocator's function down to where it is taken.
    """

    lock: str
    file: str
    line: int
    column: int
    function: str
    event: str
    steps: tuple[Step, ...]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One callback of a chain, and under what it runs.

    :ivar key: of the callback's function. :ivar chain: the head's name without its file.
    :ivar steps: how it is reached. :ivar outer: classes held while it runs, a shared hold marked; ``held``: unmarked.
    :ivar waiters: locks of the chain's callers that an allocation below a callback would come back to.
    """

    key: str
    function: str
    file: str
    chain: str
    head: str
    in_reclaim: bool
    steps: tuple[Step, ...]
    outer: tuple[str, ...]
    held: tuple[str, ...]
    waiters: tuple[Waiter, ...] = ()


Reached = tuple[Entry, Sequence[Dependency]]


def finding_of(entry: Entry, dependency: Dependency) -> Finding | None:
    """The finding of one dependency under one entry; None if the callers hold the very lock that is waited for."""
    if dependency.waits_for and dependency.waits_for in entry.held:
        return None
    own = dependency.finding.proof
    under = tuple(
        msgspec.structs.replace(s, held=tuple(dict.fromkeys((*entry.outer, *s.held)))) if n < dependency.inside else s
        for n, s in enumerate(own)
    )
    return msgspec.structs.replace(dependency.finding, proof=(*entry.steps, *under))
