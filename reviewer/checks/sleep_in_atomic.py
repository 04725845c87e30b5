"""sleep-in-atomic: a call that may sleep is reached with a spinlock held, or with preemption or interrupts off.

A lock that the callee lets go while it sleeps is not held then. Low confidence: a way through a table of which only some
entries sleep.
"""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.finding import Confidence, Finding
from reviewer.checks.focus import Focus
from reviewer.checks.proof import effect_steps, place
from reviewer.checks.registry import general
from reviewer.program.effects import Effect, may_block
from reviewer.program.link import Func
from reviewer.program.lockflow import Seen
from reviewer.program.locks import Hold
from reviewer.program.upward import ATOMIC

RULE = "sleep-in-atomic"


@general(RULE)
def sleep_in_atomic(focus: Focus) -> Iterator[Finding]:
    for flow in focus.flows():
        func = flow.frame.func
        for seen in flow.seen:
            holds = [h for h in seen.may() if h.kind in ATOMIC]
            if holds:
                yield from sleeping_call(focus, func, seen, holds)


def sleeping_call(focus: Focus, func: Func, seen: Seen, holds: list[Hold]) -> Iterator[Finding]:
    """The strongest finding of one call under these holds."""
    best: tuple[int, int, Effect, Hold] | None = None
    must = seen.must()
    for effect in focus.effects.at(func, seen):
        if not may_block(focus.summaries, effect):
            continue
        for hold in holds:
            if hold.lock in effect.let_go:
                continue
            doubt = effect.doubt + (hold not in must)
            if best is None or (doubt, effect.depth) < best[:2]:
                best = (doubt, effect.depth, effect, hold)
    if best is None:
        return
    doubt, _, effect, hold = best
    file, line, column, function = place(func, seen.event.at)
    confidence: Confidence = "high" if doubt == 0 else "medium" if doubt == 1 else "low"
    called = effect.way[1][0].name if len(effect.way) > 1 else effect.func.name if effect.way else effect.name
    what = f"{called}() may sleep" if called == effect.name else f"{called}() may sleep (in {effect.name}())"
    yield Finding(
        rule=RULE, severity="error", confidence=confidence, file=file, line=line, column=column, function=function,
        message=f"{what} while {hold.name or hold.kind} is held",
        involves=(hold.name or hold.kind,), proof=effect_steps(focus.analysis, func, hold, effect),
        event=focus.program.line_text(file, line),
    )  # fmt: skip
