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
from reviewer.checks.proof import confidence_of, entry_steps, first_call, inside, leaf_steps, place
from reviewer.checks.registry import check
from reviewer.parse.facts import Const, Member
from reviewer.program.link import Func
from reviewer.program.locks import Hold
from reviewer.program.objects import short
from reviewer.program.reach import DOUBTFUL, Leaf, Search

RULE = "callback-needs-reclaim"


DISTANCE, NODES = 20, 800
"""How far below a callback is searched, and how many functions at most (the nearest first)."""

MAX_OTHERS = 3
"""Further holders of a lock that a message names."""

MAX_WAYS = 6
"""Allocations of one call that a finding shows; the first is the most certain."""


@check(RULE)
def callback_needs_reclaim(analysis: Analysis) -> Iterator[Finding]:
    holders = Holders(analysis)
    for callback in analysis.callbacks:
        if callback.in_reclaim:
            search = analysis.reach.below(callback.func, DISTANCE, NODES)
            yield from allocations(analysis, callback, search)
            yield from locks(analysis, callback, search, holders)
            yield from queued(analysis, callback, search)


def allocations(analysis: Analysis, callback: Callback, search: Search) -> Iterator[Finding]:
    """One finding per call of the callback: its most certain allocation, and the other ways down."""
    calls: dict[int, list[Leaf]] = {}
    for leaf in search.leaves:
        if leaf.kind == "alloc":
            calls.setdefault(first_call(leaf), []).append(leaf)
    outer = inside(callback)
    for at, leaves in calls.items():
        ways = branches(sorted(leaves, key=weight))
        best = ways[0]
        file, line, column, function = place(callback.func, at)
        steps: list[Step] = entry_steps(analysis, callback)
        message = (
            f"{function} runs inside the OOM killer and reaches {best.name}() with {mask_text(analysis, best)} in"
            f" {best.node.func.name}: the allocation may wait for the OOM killer itself"
        )
        certain = [w for w in ways if weight(w)[0] < max(DOUBTFUL, weight(best)[0] + 1)][:MAX_WAYS]
        if len(certain) > 1:
            message += "; also by " + ", ".join(f"{w.name}() in {w.node.func.name}" for w in certain[1:])
        for way in certain:
            steps += leaf_steps(analysis, way, outer)
        yield Finding(
            rule=RULE, severity="error", confidence=confidence_of(weight(best)[0]), file=file, line=line,
            column=column, function=function, message=message,
            involves=tuple(sorted((callback.chain.short, best.name))), proof=tuple(steps),
            event=analysis.program.line_text(file, line),
        )  # fmt: skip


def branches(leaves: list[Leaf]) -> list[Leaf]:
    """Leaves that differ early or stand in another function, in the given order."""
    found: dict[tuple[str, ...], Leaf] = {}
    for leaf in leaves:
        found.setdefault((*(n.func.name for n in leaf.node.path()[1:4]), leaf.node.func.name), leaf)
    return list(found.values())


def weight(leaf: Leaf) -> tuple[int, int, str]:
    """How uncertain an allocation is, then how far away."""
    return leaf.doubt + (0 if isinstance(leaf.data, Const) else 2), leaf.node.distance, leaf.name


def mask_text(analysis: Analysis, leaf: Leaf) -> str:
    return analysis.program.gfp.text(leaf.data.value) if isinstance(leaf.data, Const) else "a mask that cannot be told"


def locks(analysis: Analysis, callback: Callback, search: Search, holders: Holders) -> Iterator[Finding]:
    """Locks that the callback waits for and that others hold over such an allocation."""
    outer = inside(callback)
    waited: dict[str, tuple[Leaf, Hold]] = {}
    for leaf in sorted((x for x in search.leaves if x.kind == "acquire"), key=lambda x: x.rank):
        lock = leaf.lock
        if lock is not None and lock.taken != "trylock" and lock.name and all(h.name != lock.name for h in outer):
            waited.setdefault(lock.name, (leaf, lock))
    holders.prepare(waited, callback.func.path)
    for leaf, lock in waited.values():
        way = [node.func.path for node in leaf.node.path()]
        found = holders.allocating(lock.name, way, frozenset(search.functions))
        if not found:
            continue
        holder, inner = found[0]
        others = [func.name for func, other in found[1:] if other.doubt < DOUBTFUL and func.key not in search.functions]
        theirs = {h.mode for h in (*inner.node.held, *inner.held) if h.name == lock.name}
        # Two readers wait for each other only where a writer stands between them.
        readers = 2 if lock.mode == "shared" and theirs == {"shared"} else 0
        steps = entry_steps(analysis, callback)
        steps += leaf_steps(analysis, leaf, outer)
        steps += leaf_steps(analysis, inner)
        file, line, column, function = place(callback.func, first_call(leaf))
        yield Finding(
            rule=RULE, severity="error", confidence=confidence_of(leaf.doubt + inner.doubt + readers), file=file, line=line,
            column=column, function=function,
            message=f"{function} runs inside the OOM killer and waits for {short(lock.name)}, which {holder.name} holds"
            f" while {inner.name}() allocates with {mask_text(analysis, inner)}: each waits for the other"
            + (f"; so {'do' if len(others) > 1 else 'does'} {' and '.join(others[:MAX_OTHERS])}" if others else ""),
            involves=tuple(sorted((callback.chain.short, short(lock.name)))), proof=tuple(steps),
            event=analysis.program.line_text(file, line),
        )  # fmt: skip


def queued(analysis: Analysis, callback: Callback, search: Search) -> Iterator[Finding]:
    """Work items that the callback waits for and that make such an allocation."""
    outer = inside(callback)
    done: set[str] = set()
    for leaf in sorted((x for x in search.leaves if x.kind == "wait"), key=lambda x: x.rank):
        for func in awaited(analysis, leaf):
            if func.key in done:
                continue
            done.add(func.key)
            below = analysis.reach.below(func, WORK_DISTANCE, WORK_NODES)
            told = [x for x in below.leaves if x.kind == "alloc" and isinstance(x.data, Const)]  # those that reclaim
            inner = min(told, key=lambda x: x.rank, default=None)
            if inner is None:
                continue
            steps = entry_steps(analysis, callback) + leaf_steps(analysis, leaf, outer) + leaf_steps(analysis, inner)
            file, line, column, function = place(callback.func, first_call(leaf))
            yield Finding(
                rule=RULE, severity="error", confidence=confidence_of(leaf.doubt + inner.doubt), file=file, line=line,
                column=column, function=function,
                message=f"{function} runs inside the OOM killer and waits by {leaf.name}() for {func.name}, where"
                f" {inner.name}() allocates with {mask_text(analysis, inner)}: each waits for the other",
                involves=tuple(sorted((callback.chain.short, func.name))), proof=tuple(steps),
                event=analysis.program.line_text(file, line),
            )  # fmt: skip


def awaited(analysis: Analysis, leaf: Leaf) -> tuple[Func, ...]:
    """The functions of the work item or timer that is waited for; the object may be the work inside a delayed one."""
    frame = analysis.program.frame(leaf.node.func)
    found = analysis.shared.setups.of(frame, leaf.data)
    if not found and isinstance(leaf.data, Member):
        found = analysis.shared.setups.of(frame, leaf.data.base)
    return found


WORK_DISTANCE, WORK_NODES = 7, 150
"""How far below a work item an allocation is looked for, and in how many functions at most."""
