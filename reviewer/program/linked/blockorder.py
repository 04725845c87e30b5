"""The order in which the blocks of a body are executed until nothing changes.

A weak topological order (Bourdoncle: Efficient chaotic iteration strategies with widenings, FMPA 1993): predecessors before
successors, back edges aside, and the blocks of a loop together, before what comes after the loop. So a loop has come to its
end when the rest of the function is executed, which is once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

from reviewer.parse import facts
from reviewer.parse.cfg import successors


@lru_cache(maxsize=1 << 12)
def ranks(body: facts.Body) -> Sequence[int]:
    """The place of each block in the order; 0 for those that nothing leads to."""
    after = [tuple(successors(block.exit)) for block in body.blocks]
    ordered, loops = _depth_first(after)
    if loops:
        first = {b: i for i, b in enumerate(ordered)}
        ordered = list(_weak_order(after, ordered, first))
    rank = [0] * len(after)
    for i, b in enumerate(ordered):
        rank[b] = i
    return rank


def _depth_first(after: Sequence[tuple[int, ...]]) -> tuple[list[int], bool]:
    """The blocks in reverse postorder, and whether any edge leads back."""
    done: list[int] = []
    state = [0] * len(after)  # 1: on the way, 2: done
    state[0] = 1
    stack = [(0, iter(after[0]))]
    loops = False
    while stack:
        b, rest = stack[-1]
        for s in rest:
            if state[s] == 0:
                state[s] = 1
                stack.append((s, iter(after[s])))
                break
            loops |= state[s] == 1
        else:
            state[b] = 2
            done.append(b)
            stack.pop()
    return done[::-1], loops


def _weak_order(after: Sequence[tuple[int, ...]], blocks: Collection[int], first: dict[int, int]) -> Iterator[int]:
    """Blocks in weak topological order: of each loop its head, which comes first in ``first``, then the rest likewise."""
    for component in _components(after, blocks):
        if len(component) == 1:
            yield component[0]
            continue
        head = min(component, key=first.__getitem__)
        yield head
        yield from _weak_order(after, sorted(set(component) - {head}, key=first.__getitem__), first)


def _components(after: Sequence[tuple[int, ...]], blocks: Collection[int]) -> list[list[int]]:
    """The strongly connected components among some blocks, predecessors first (Tarjan, SIAM J. Comput. 1972)."""
    inside = set(blocks)
    number: dict[int, int] = {}
    low: dict[int, int] = {}
    open_: list[int] = []
    closed: set[int] = set()
    found: list[list[int]] = []
    for root in blocks:
        if root in number:
            continue
        number[root] = low[root] = len(number)
        open_.append(root)
        stack = [(root, iter(after[root]))]
        while stack:
            b, rest = stack[-1]
            for s in rest:
                if s not in inside or s in closed:
                    continue
                if s not in number:
                    number[s] = low[s] = len(number)
                    open_.append(s)
                    stack.append((s, iter(after[s])))
                    break
                low[b] = min(low[b], number[s])
            else:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[b])
                if low[b] == number[b]:
                    at = open_.index(b)
                    found.append(open_[at:])
                    closed.update(open_[at:])
                    del open_[at:]
    return found[::-1]
