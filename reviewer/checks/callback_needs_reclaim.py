"""callback-needs-reclaim: a callback that runs inside reclaim or the OOM killer depends on a reclaiming allocation.

Directly, by an allocation below it with direct reclaim and without __GFP_NORETRY; or through a lock that it
waits for, while somebody else holds that lock and makes such an allocation: the holder waits for the OOM killer, the OOM
killer for the holder. A trylock waits for nobody. A mask that cannot be told, or a call that may reach too many
functions, gives low confidence.
"""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.analysis import Analysis, Callback
from reviewer.checks.finding import Finding, Step
from reviewer.checks.holders import Holders
from reviewer.checks.proof import confidence_of, effect_steps, entry_steps, inside, place
from reviewer.checks.registry import check
from reviewer.parse.facts import Const
from reviewer.program.locks import SLEEPING
from reviewer.program.shared import short
from reviewer.program.summaries import Effect

RULE = "callback-needs-reclaim"


@check(RULE)
def callback_needs_reclaim(analysis: Analysis) -> Iterator[Finding]:
    holders = Holders(analysis)
    for callback in analysis.callbacks:
        if callback.in_reclaim:
            yield from allocations(analysis, callback)
            yield from locks(analysis, callback, holders)


def allocations(analysis: Analysis, callback: Callback) -> Iterator[Finding]:
    """One finding per call of the callback, with its most certain allocation."""
    effects = analysis.summaries.effects(callback.func)
    best: dict[int, Effect] = {}
    for e in effects:
        if e.kind != "alloc":
            continue
        old = best.get(e.at)
        if old is None or weight(e) < weight(old):
            best[e.at] = e
    for e in best.values():
        doubt = weight(e)[0]
        mask = analysis.program.gfp.text(e.data.value) if isinstance(e.data, Const) else "a mask that cannot be told"
        file, line, column, function = place(callback.func, e.at)
        steps: list[Step] = entry_steps(analysis, callback)
        steps += effect_steps(analysis, callback.func, e, inside(callback))
        yield Finding(
            rule=RULE, severity="error", confidence=confidence_of(doubt), file=file, line=line, column=column,
            function=function,
            message=f"{function} runs inside the OOM killer and reaches {e.leaf}() with {mask} in {steps[-1].function}:"
            " the allocation may wait for the OOM killer itself",
            involves=(callback.chain.short, e.leaf), proof=tuple(steps),
            event=analysis.program.line_text(file, line),
        )  # fmt: skip


def weight(e: Effect) -> tuple[int, int]:
    """How uncertain an allocation is, then how far away."""
    return e.doubt + (0 if isinstance(e.data, Const) else 2), e.depth


def locks(analysis: Analysis, callback: Callback, holders: Holders) -> Iterator[Finding]:
    """Locks that the callback waits for and that others hold over such an allocation."""
    effects = analysis.summaries.effects(callback.func)
    outer = inside(callback)
    done: set[str] = set()
    for e in sorted(effects, key=weight):
        lock = e.lock
        if e.kind != "acquire" or lock is None or lock.taken == "trylock" or lock.kind not in SLEEPING:
            continue
        if not lock.name or lock.name in done or any(h.name == lock.name for h in outer):
            continue
        done.add(lock.name)
        found = holders.allocating(lock.name, callback.func.path)
        if found is None:
            continue
        holder, inner = found
        steps = entry_steps(analysis, callback)
        steps += effect_steps(analysis, callback.func, e, outer)
        steps += effect_steps(analysis, holder, inner)
        mask = analysis.program.gfp.text(inner.data.value) if isinstance(inner.data, Const) else "a reclaiming mask"
        file, line, column, function = place(callback.func, e.at)
        yield Finding(
            rule=RULE, severity="error", confidence=confidence_of(e.doubt + inner.doubt), file=file, line=line,
            column=column, function=function,
            message=f"{function} runs inside the OOM killer and waits for {short(lock.name)}, which {holder.name} holds"
            f" while {inner.leaf}() allocates with {mask}: each waits for the other",
            involves=tuple(sorted((callback.chain.short, short(lock.name)))), proof=tuple(steps),
            event=analysis.program.line_text(file, line),
        )  # fmt: skip
