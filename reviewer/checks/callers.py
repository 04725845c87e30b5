"""How the callbacks of chains are called: the half of a finding that rests on the chain's callers (:class:`Entry`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewer.checks.analysis import Analysis, Callback
from reviewer.checks.entry import Entry, Waiter
from reviewer.checks.proof import entry_steps, inside, place, shown, step
from reviewer.parse.facts import Call
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import SLEEPING

MAX_UP, MAX_FUNCTIONS = 4, 40
"""Levels of callers, and functions, among which an allocation is looked for."""


def entries(analysis: Analysis) -> Iterator[Entry]:
    """One for each callback of the selected chains."""
    waiting: dict[str, tuple[Waiter, ...]] = {}
    for callback in analysis.callbacks:
        head = callback.chain.head
        if head not in waiting:
            waiting[head] = tuple(waiters(analysis, callback)) if callback.in_reclaim else ()
        outer = inside(callback)
        yield Entry(
            key=callback.func.key, function=callback.func.name, file=callback.func.path, chain=callback.chain.short, head=head,
            in_reclaim=callback.in_reclaim, steps=tuple(entry_steps(analysis, callback)), outer=shown(outer),
            held=tuple(dict.fromkeys(h.name for h in outer if h.name)), waiters=waiting[head],
        )  # fmt: skip


def waiters(analysis: Analysis, callback: Callback) -> Iterator[Waiter]:
    """Locks that the chain's own caller takes around the call and waits for, if an allocation can lead to it."""
    for site in callback.context.sites:
        for hold in site.must:
            if hold.taken == "trylock" or hold.mode != "exclusive" or hold.kind not in SLEEPING or not hold.name or hold.where:
                continue
            way = from_allocation(analysis, site.caller)
            if way is None:
                continue
            file, line, column, function = place(site.caller, hold.at)
            steps = [step(analysis, "call", caller, call.at) for caller, call in way]
            steps.append(step(analysis, "acquire", site.caller, hold.at))
            yield Waiter(
                lock=hold.name, file=file, line=line, column=column, function=function,
                event=analysis.program.line_text(file, line), steps=tuple(steps),
            )  # fmt: skip


def from_allocation(analysis: Analysis, func: Func) -> Sequence[tuple[Func, Call]] | None:
    """The calls from a function that the models know to allocate down to ``func``; None if none is found."""
    level: list[tuple[Func, tuple[tuple[Func, Call], ...]]] = [(func, ())]
    seen = {func.key}
    for _ in range(MAX_UP):
        following = []
        for one, way in level:
            for caller, call in analysis.chains.callers_of(one):
                if caller.key in seen or len(seen) > MAX_FUNCTIONS:
                    continue
                seen.add(caller.key)
                longer = ((caller, call), *way)
                model = analysis.program.model(caller.name)
                if model is not None and model.allocates is not None:
                    return longer
                following.append((caller, longer))
        level = following
    return None
