"""How the steps of a proof follow from each other: how deep in calls each is, and where another way begins.

A proof puts ways one after the other: several callers, or what runs elsewhere at the same time. The steps do not say which;
what can be told is whether a step follows from the one before it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from reviewer.checks.finding import Step


@dataclass(frozen=True, slots=True)
class Depths:
    """:ivar levels: for each step the calls above it, as far as its way shows them.
    :ivar one_way: each step follows from the one before it, so that they happen in this order."""

    levels: tuple[int, ...]
    one_way: bool


def depths(proof: Sequence[Step]) -> Depths:
    """Call depth step by step; a step that nothing before it leads to begins at 0."""
    stack: list[tuple[str, str]] = []
    levels: list[int] = []
    one_way = True
    before: Step | None = None
    for step in proof:
        here = (step.file, step.function)
        if here in stack:
            above = stack.index(here) + 1
            one_way = one_way and above == len(stack)
            del stack[above:]
        elif before is not None and leads_to(before, step):
            stack.append(here)
        else:
            one_way = one_way and before is None
            stack = [here]
        levels.append(len(stack) - 1)
        before = step
    return Depths(tuple(levels), one_way)


def leads_to(call: Step, step: Step) -> bool:
    """Whether ``step`` happens inside of what ``call`` calls: its line names the function, or what is held there is still
    held, as on a call through a table or a chain."""
    if call.kind != "call":
        return False
    return step.function in re.findall(r"\w+", call.text) or (bool(call.held) and set(call.held) <= set(step.held))
