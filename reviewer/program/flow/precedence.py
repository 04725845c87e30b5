"""Which event of a function can come after which."""

from __future__ import annotations

from functools import lru_cache

from reviewer.parse import facts
from reviewer.parse.cfg import successors
from reviewer.program.flow.lockflow import Seen, reached
from reviewer.program.linked.structs import Frame


class Order:
    """Which block of a body can run after which.

    By strongly connected components, each with the set of those behind it as the bits of a number: a body of 20,000
    blocks has 400 million pairs.
    """

    def __init__(self, body: facts.Body) -> None:
        self.component = components(body)
        count = max(self.component, default=-1) + 1
        behind = [0] * count
        size = [0] * count
        for b in range(len(body.blocks)):
            size[self.component[b]] += 1
        members: list[list[int]] = [[] for _ in range(count)]
        for b, c in enumerate(self.component):
            members[c].append(b)
        for c in range(count):  # a component is numbered after everything that it leads to
            for b in members[c]:
                for to in successors(body.blocks[b].exit):
                    other = self.component[to]
                    if other != c or size[c] > 1 or to == b:
                        behind[c] |= behind[other] | 1 << other
        self._behind = behind
        self._members = members

    def after(self, first: int, second: int) -> bool:
        """Whether block ``second`` can run once ``first`` has ended."""
        return bool(self._behind[self.component[first]] >> self.component[second] & 1)

    def loop(self, block: int) -> frozenset[int]:
        """The blocks that can run both after ``block`` and before it runs again; none if it never does."""
        return frozenset(self._members[self.component[block]]) if self.after(block, block) else frozenset()


def components(body: facts.Body) -> list[int]:
    """The number of each block's strongly connected component, those that are reached first numbered first (Tarjan 1972)."""
    found = [-1] * len(body.blocks)
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    open_: list[int] = []
    number = 0
    for root in range(len(body.blocks)):
        if root in index:
            continue
        stack = [(root, successors(body.blocks[root].exit))]
        index[root] = low[root] = len(index)
        open_.append(root)
        while stack:
            b, rest = stack[-1]
            for to in rest:
                if to not in index:
                    index[to] = low[to] = len(index)
                    open_.append(to)
                    stack.append((to, successors(body.blocks[to].exit)))
                    break
                if found[to] < 0:
                    low[b] = min(low[b], index[to])
            else:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[b])
                if low[b] == index[b]:
                    while True:
                        member = open_.pop()
                        found[member] = number
                        if member == b:
                            break
                    number += 1
    return found


@lru_cache(maxsize=4096)
def order_of(body: facts.Body) -> Order:
    return Order(body)


def comes_first(frame: Frame, one: Seen, other: Seen) -> bool:
    """Whether an event can come before another."""
    if one.block == other.block and one.event.at < other.event.at:
        return True
    return frame.body is not None and order_of(frame.body).after(one.block, other.block)


def always_first(frame: Frame, one: Seen, other: Seen) -> bool:
    """Whether no way leads to an event but by another."""
    if one.block == other.block:
        return one.event.at < other.event.at
    return frame.body is not None and other.block not in reached(frame.body, [0], one.block)


def in_order(body: facts.Body, first: int, second: int) -> bool:
    """Whether the event at position ``second`` can run after the one at ``first``."""
    here, there = located(body, first), located(body, second)
    if here is None or there is None:
        return False
    if order_of(body).after(here[0], there[0]):
        return True
    return here[0] == there[0] and here[1] < there[1]


def located(body: facts.Body, at: int) -> tuple[int, int] | None:
    """Block and index of the event, or of the exit, at a position."""
    return positions(body).get(at)


@lru_cache(maxsize=4096)
def positions(body: facts.Body) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for b, block in enumerate(body.blocks):
        for i, event in enumerate(block.events):
            found.setdefault(event.at, (b, i))
        at = getattr(block.exit, "at", None)
        if at is not None:
            found.setdefault(at, (b, len(block.events)))
    return found
