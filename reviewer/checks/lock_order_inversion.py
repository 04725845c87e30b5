"""lock-order-inversion: two lock classes are taken in both orders.

Only orders that a function in question shows are looked up; the other order is searched in the same functions, then in the
folder.
Left out: trylocks, two readers on either lock, and orders that a common outer lock keeps apart.
"""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.finding import Confidence, Finding, Step
from reviewer.checks.focus import Focus
from reviewer.checks.proof import effect_steps, place
from reviewer.checks.registry import general
from reviewer.program.orders import Order, Orders

RULE = "lock-order-inversion"

MAX_SEARCHED = 24
"""Orders of one focus whose inverse is searched beyond its functions."""


@general(RULE)
def lock_order_inversion(focus: Focus) -> Iterator[Finding]:
    orders = Orders(focus.summaries, focus.effects)
    mine: dict[tuple[str, str], list[Order]] = {}
    for flow in focus.flows():
        for pair, order in orders.of(flow.frame.func).items():
            mine.setdefault(pair, []).append(order)
    searched = 0
    for pair, found in mine.items():
        best = min(found, key=lambda o: (o.doubt, o.effect.depth))
        if best.doubt > 1:
            continue
        others = list(mine.get((pair[1], pair[0]), ()))
        if not others:
            if searched >= MAX_SEARCHED:
                continue
            searched += 1
            others = list(orders.inverse(best))
        for order in found:
            if order.doubt > 1:
                continue
            against = [o for o in others if deadlocks(order, o)]
            if against:
                yield finding(focus, order, min(against, key=lambda o: (o.doubt, o.effect.depth)))


def deadlocks(one: Order, other: Order) -> bool:
    """Whether two tasks may wait for each other: nothing keeps them apart, and neither lock is only read by both."""
    if one.outer & other.outer:
        return False
    inner, back = one.effect.hold, other.effect.hold
    assert inner is not None and back is not None
    first = one.hold.mode == back.mode == "shared"
    second = inner.mode == other.hold.mode == "shared"
    return not first and not second


def finding(focus: Focus, one: Order, other: Order) -> Finding:
    analysis = focus.analysis
    first, second = one.pair
    doubt = one.doubt + other.doubt + unpublished(one) + unpublished(other)
    confidence: Confidence = "high" if doubt == 0 else "medium" if doubt == 1 else "low"
    file, line, column, function = place(one.func, one.seen.event.at)
    there = other.effect.func.name if other.effect.way else other.func.name
    steps: tuple[Step, ...] = (
        *effect_steps(analysis, one.func, one.hold, one.effect),
        *effect_steps(analysis, other.func, other.hold, other.effect),
    )
    return Finding(
        rule=RULE, severity="error", confidence=confidence, file=file, line=line, column=column, function=function,
        message=f"{second} is taken while {first} is held; {there}() takes them the other way round",
        involves=tuple(sorted(one.pair)), proof=steps, event=focus.program.line_text(file, line),
    )  # fmt: skip


def unpublished(order: Order) -> int:
    """2 for code that runs once, before or after anybody else can know its objects."""
    definition = order.func.definition
    once = definition is not None and {"__init", "__exit"} & set(definition.annotations)
    return 2 if once else 0
