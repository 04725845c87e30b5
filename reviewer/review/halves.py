"""The general rules of a review by two processes, where there are processors for them.

Rules ask for the same summaries and effects, so that a half of them takes more than half of the time of all, and a third process
would gain next to nothing. Which rule is in which half is fixed, and the other process begins with what its parent knows: nothing
of what is said depends on how fast one of them is.
"""

from __future__ import annotations

from collections.abc import Sequence

from reviewer.checks.finding import Finding
from reviewer.checks.focus import Focus
from reviewer.checks.registry import Check
from reviewer.checks.sweep import findings
from reviewer.store.factstore import Store
from reviewer.workers import beside

THERE = frozenset({"irq-unsafe-lock", "lock-order-inversion", "self-deadlock", "unguarded-access"})
"""The rules of the other process; all others, those of users too, are for this one."""

Told = tuple[list[Finding], list[Finding]]
"""What is said before a patch and after it."""


def in_halves(old: Focus, new: Focus, wanted: Sequence[Check], store: Store) -> Told:
    """What the rules say of both sides, in the order of the rules."""
    here, there = ([c for c in wanted if (c.id in THERE) == other] for other in (False, True))
    if not here or not there:
        return findings(old, wanted), findings(new, wanted)

    def other() -> dict[str, Told]:
        told = by_rule(old, new, there)
        old.program.keep()
        new.program.keep()
        return told

    with beside((old.program.content, new.program.content, store), other) as rest:
        told = by_rule(old, new, here) | rest()
    before, after = ([f for c in wanted for f in told[c.id][side]] for side in (0, 1))
    return before, after


def by_rule(old: Focus, new: Focus, wanted: Sequence[Check]) -> dict[str, Told]:
    """The same, rule by rule; all of the side before the patch comes first, with which the other one has most in common."""
    before = {c.id: findings(old, [c]) for c in wanted}
    return {c.id: (before[c.id], findings(new, [c])) for c in wanted}
