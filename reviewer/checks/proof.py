"""Proofs: effects, contexts and accesses to steps with file, line and locks."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from itertools import pairwise

from reviewer.checks.analysis import Analysis, Callback
from reviewer.checks.finding import Confidence, Step, StepKind
from reviewer.parse import facts
from reviewer.parse.facts import Call
from reviewer.program.concurrency.entries import Entry
from reviewer.program.concurrency.shared import Access, Visit
from reviewer.program.flow.effects import Effect
from reviewer.program.graph.holders import Holder
from reviewer.program.graph.reach import Leaf
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import OUTSIDE, SLEEPING, Hold


def shown(held: Iterable[Hold]) -> tuple[str, ...]:
    """Lock classes for a step, each once, in the order in which they were taken."""
    return tuple(dict.fromkeys(h.shown() for h in held if h.name))


def step(analysis: Analysis, kind: StepKind, func: Func, at: int, held: Iterable[Hold] = ()) -> Step:
    """A step at a position of a function."""
    line = func.line_of(at)
    text = analysis.program.line_text(func.path, line)
    return Step(kind, func.path, line, func.name, text, shown(held))


def place(func: Func, at: int) -> tuple[str, int, int, str]:
    """``(file, line, column, function)`` of a position, the column from 1."""
    return func.path, func.line_of(at), facts.column_of(at) + 1, func.name


def leaf_steps(analysis: Analysis, leaf: Leaf, held: Sequence[Hold] = ()) -> list[Step]:
    """From the root of a search down to a leaf, with the locks held at every step."""
    steps: list[Step] = []
    path = leaf.node.path()
    for above, node in pairwise(path):
        assert node.call is not None
        steps.append(step(analysis, "call", above.func, node.call.at, (*held, *node.held)))
    steps.append(step(analysis, leaf.kind, leaf.node.func, leaf.at, (*held, *leaf.node.held, *leaf.held)))
    return steps


def entry_step(analysis: Analysis, entry: Entry) -> Step:
    """Where a function is registered, or called through its table."""
    held = (entry.hold.name,) if entry.hold is not None and entry.hold.name else ()
    text = analysis.program.line_text(entry.path, entry.line)
    return Step("register", entry.path, entry.line, entry.function, text, held)


def effect_steps(analysis: Analysis, func: Func, hold: Hold | None, effect: Effect) -> tuple[Step, ...]:
    """From where ``func`` takes a lock, itself or by a wrapper, down to what a call of it does, with the locks held at every
    step."""
    held: tuple[Hold, ...] = (hold,) if hold is not None else ()
    steps = [step(analysis, "acquire", func, hold.at, held)] if hold is not None and hold.where != OUTSIDE else []
    steps += [step(analysis, "call", caller, call.at, held) for caller, call in effect.way]
    kind: StepKind = effect.kind
    steps.append(step(analysis, kind, effect.func, effect.at, joined_holds(held, effect.held)))
    return tuple(steps)


def holder_steps(analysis: Analysis, holder: Holder) -> list[Step]:
    """From where a caller takes its lock down to the call of the function that was asked about."""
    held = (holder.hold,)
    taken = step(analysis, "acquire", holder.way[0].caller, holder.hold.at, held)
    return [taken, *(step(analysis, "call", s.caller, s.call.at, held) for s in holder.way)]


def joined_holds(outer: Iterable[Hold], inner: Iterable[Hold]) -> tuple[Hold, ...]:
    """Both, each class and mode once."""
    return tuple({(h.name, h.mode, h.lock): h for h in (*outer, *inner)}.values())


def first_call(leaf: Leaf) -> int:
    """The position, in the root of the search, of the call that leads to a leaf."""
    path = leaf.node.path()
    if len(path) > 1 and path[1].call is not None:
        return path[1].call.at
    return leaf.at


def entry_steps(analysis: Analysis, callback: Callback) -> list[Step]:
    """How the callback is reached: who takes the serialising lock, then the call of the chain."""
    steps: list[Step] = []
    serialiser = callback.serialiser
    if serialiser is not None:
        for site, hold in analysis.contexts.takers(callback.context, serialiser.name):
            steps.append(step(analysis, "acquire", site.caller, hold.at))
            steps.append(step(analysis, "call", site.caller, site.call.at, site.may))
    for site in callback.context.sites:
        held = [*site.must]
        if serialiser is not None and not any(h.name == serialiser.name for h in held):
            held.insert(0, serialiser)
        steps.append(step(analysis, "call", site.caller, site.call.at, held))
    return list(dict.fromkeys(steps))


def inside(callback: Callback) -> tuple[Hold, ...]:
    """Locks held while the callback runs, the chain's own included."""
    found = list(callback.context.must)
    for site in callback.context.sites:
        if site.chain_hold is not None and not any(h.name == site.chain_hold.name for h in found):
            found.append(site.chain_hold)
    return tuple(found)


def visit_steps(analysis: Analysis, visit: Visit, outer: Sequence[Hold]) -> list[Step]:
    """The calls from the root of a closure to one of its functions."""
    return way_steps(analysis, visit.path, outer)


def way_steps(analysis: Analysis, way: Iterable[tuple[Func, Call]], outer: Sequence[Hold]) -> list[Step]:
    """The calls on the way from a root, with the locks held around the root."""
    return [step(analysis, "call", func, call.at, outer) for func, call in way]


def access_step(analysis: Analysis, access: Access, outer: Sequence[Hold] = ()) -> Step:
    return step(analysis, "access", access.func, access.at, (*outer, *access.held))


def takers_text(analysis: Analysis, callback: Callback) -> str:
    """``__alloc_pages_may_oom (trylock), moom_callback``: who takes the lock that serialises the callback."""
    assert callback.serialiser is not None
    found = analysis.contexts.takers(callback.context, callback.serialiser.name)
    words = dict.fromkeys(
        f"{site.caller.name} ({hold.taken})" if hold.taken != "lock" else site.caller.name for site, hold in found
    )
    return ", ".join(words)


def replace_line(analysis: Analysis, path: str, line: int, old: str, new: str) -> str | None:
    """A unified diff that replaces ``old`` by ``new`` on one line, or None if it does not stand there once."""
    text = analysis.program.original(path).decode("utf-8", "surrogateescape")
    lines = text.splitlines(keepends=True)
    if not 0 < line <= len(lines) or lines[line - 1].count(old) != 1:
        return None
    changed = list(lines)
    changed[line - 1] = lines[line - 1].replace(old, new)
    diff = difflib.unified_diff(lines, changed, f"a/{path}", f"b/{path}", n=3)
    return "".join(diff).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


ONE_AT_A_TIME = frozenset({"work", "timer", "hrtimer", "tasklet", "irq", "threaded_irq", "irq_work", "kthread"})
"""What is not entered again while it runs (Documentation/core-api/workqueue, Documentation/core-api/genericirq)."""


def perhaps_alone(analysis: Analysis, callback: Callback) -> bool:
    """Whether callers that we do not see may well keep others out.

    Some known ones hold a lock that the rest may hold, too; or the only one is an interrupt handler, a work item or a
    thread, of which one runs at a time.
    """
    context = callback.context
    if not context.partial or callback.serialiser is not None:
        return False
    if any(h.mode == "exclusive" and h.kind in SLEEPING for h in context.may):
        return True
    roots = list(context.roots().values())
    if len(roots) != 1:
        return False
    kinds = analysis.shared.setups.kinds(roots[0])
    return bool(kinds) and kinds <= ONE_AT_A_TIME


def confidence_of(doubt: int) -> Confidence:
    """From how uncertain the way is: direct calls and known tables are certain."""
    if doubt == 0:
        return "high"
    return "medium" if doubt == 1 else "low"
