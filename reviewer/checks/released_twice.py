"""A release that a patch makes the second one on some way through a function: the lock is the callers', and given back once more.

What a function has taken itself is counted (:mod:`reviewer.program.concurrency.balance`); of a lock that it comes with, its ways
tell only whether it is released. In a review alone: in code that has run, conditions that are not understood here keep the two
apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reviewer.checks.deferred import model_of
from reviewer.checks.focus import Focus
from reviewer.parse.facts import Expr
from reviewer.program.flow.lockflow import Flow, Seen
from reviewer.program.flow.summaries import place
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import ALONE, lock_class


@dataclass(frozen=True, slots=True)
class Twice:
    """``lock``: its class; ``first``, ``again``: where it is released."""

    lock: str
    first: int
    again: int


def released_twice(focus: Focus, func: Func) -> Iterator[Twice]:
    """The locks of its callers that a function releases twice on some way since the patch."""
    now = focus.flow(func) if focus.before is not None and focus.edited(func) else None
    if focus.before is None or now is None or now.capped:
        return
    before = {lock_class(was.frame, lock) for was in focus.flows_before(func) for _, lock in again(focus.before, was)}
    told: set[str] = set()
    for seen, lock in again(focus, now):
        name = lock_class(now.frame, lock)
        firsts = [s.event.at for s in now.seen if s is not seen and lock in (x for x, _ in releases(focus, s))]
        if name and name not in told | before and firsts:
            told.add(name)
            yield Twice(name, min(firsts), seen.event.at)


def again(focus: Focus, flow: Flow) -> Iterator[tuple[Seen, Expr]]:
    """The calls that release a lock which is not held, and has been released before on that way."""
    for seen in flow.seen:
        for lock, world in releases(focus, seen):
            name = lock_class(flow.frame, lock)
            if lock in seen.dropped[world] and not any(h.lock == lock or h.name == name for h in seen.held[world]):
                yield seen, lock


def releases(focus: Focus, seen: Seen) -> Iterator[tuple[Expr, int]]:
    """(lock, number of the world) of what an event releases by its model: locks that one has or has not."""
    model = model_of(focus, seen)
    for spec in model.drops if model is not None else ():
        for world, args in enumerate(seen.args):
            lock = place(spec.lock, args)
            if lock is not None and spec.kind not in ALONE and spec.kind not in ("semaphore", "other"):
                yield lock, world
