"""callback-needs-reclaim: a callback that runs inside reclaim or the OOM killer depends on a reclaiming allocation.

Directly, by an allocation below it with direct reclaim and without __GFP_NORETRY; or through a lock that it
waits for, while somebody else holds that lock and makes such an allocation: the holder waits for the OOM killer, the OOM
killer for the holder. A trylock waits for nobody. A mask that cannot be told, or a call that may reach too many
functions, gives low confidence. And where the chain is called under a lock that is waited for, an allocation below a
callback comes back to that lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from reviewer.checks.analysis import Analysis
from reviewer.checks.entry import Dependency, Entry, Reached, Waiter, finding_of
from reviewer.checks.finding import CONFIDENCES, Finding, Step
from reviewer.checks.holders import Holders
from reviewer.checks.proof import confidence_of, first_call, leaf_steps, place
from reviewer.checks.registry import below, late
from reviewer.parse.facts import Const, Member
from reviewer.program.flow.objects import short
from reviewer.program.graph.chains import NotifierChain
from reviewer.program.graph.reach import DOUBTFUL, Leaf, Search
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold

RULE = "callback-needs-reclaim"


DISTANCE, NODES = 20, 800
"""How far below a callback is searched, and how many functions at most (the nearest first)."""

MAX_OTHERS = 3
"""Further holders of a lock that a message names."""

MAX_WAYS = 6
"""Allocations of one call that a finding shows; the first is the most certain."""


@late(RULE)
def callback_needs_reclaim(reached: Sequence[Reached]) -> Iterator[Finding]:
    """The findings of callbacks that run inside reclaim, from what they depend on and who calls them."""
    back: dict[tuple[str, str, int], list[tuple[Entry, Waiter, Dependency]]] = {}
    for entry, dependencies in reached:
        for dependency in dependencies if entry.in_reclaim else ():
            found = finding_of(entry, dependency)
            if found is not None:
                yield found
            if dependency.allocates:
                for waiter in entry.waiters:
                    back.setdefault((entry.head, waiter.file, waiter.line), []).append((entry, waiter, dependency))
    for ways in back.values():
        yield returns(sorted(ways, key=lambda way: -CONFIDENCES.index(way[2].finding.confidence)))


def returns(ways: Sequence[tuple[Entry, Waiter, Dependency]]) -> Finding:
    """The lock under which a chain is called is waited for by an allocation that a callback makes: by its own holder.

    :param ways: the allocations of the chain's callbacks, the most certain first.
    """
    entry, waiter, dependency = ways[0]
    allocation = finding_of(entry, dependency) or dependency.finding
    certain = [(e, d) for e, _, d in ways if d.finding.confidence != "low"]
    told = {e.function: d.finding.proof[-1].function for e, d in reversed(certain)}
    others = [f"{callback} in {leaf}" for callback, leaf in told.items() if callback != entry.function]
    return Finding(
        rule=RULE, severity="error", confidence=allocation.confidence, file=waiter.file, line=waiter.line,
        column=waiter.column, function=waiter.function,
        message=f"{waiter.function} waits for {short(waiter.lock)}, under which it calls {entry.chain}, and"
        f" {entry.function} allocates there in {allocation.proof[-1].function}: an allocation that finds no memory comes back"
        " here and waits for itself" + (f"; so does {' and '.join(others)}" if others else ""),
        involves=tuple(sorted((entry.chain, short(waiter.lock)))), event=waiter.event,
        proof=(*allocation.proof, *waiter.steps),
    )  # fmt: skip


@below(RULE)
def dependencies(analysis: Analysis, chain: NotifierChain, funcs: Iterable[Func]) -> Iterator[tuple[str, Dependency]]:
    """(key of the callback, what it depends on), whoever calls the chain."""
    holders = Holders(analysis)
    for func in funcs:
        search = analysis.reach.below(func, DISTANCE, NODES)
        for found in (*allocations(analysis, chain, func, search), *locks(analysis, chain, func, search, holders),
                      *queued(analysis, chain, func, search)):  # fmt: skip
            yield func.key, found


def allocations(analysis: Analysis, chain: NotifierChain, func: Func, search: Search) -> Iterator[Dependency]:
    """One for each call of the callback: its most certain allocation, and the other ways down."""
    calls: dict[int, list[Leaf]] = {}
    for leaf in search.leaves:
        if leaf.kind == "alloc":
            calls.setdefault(first_call(leaf), []).append(leaf)
    for at, leaves in calls.items():
        ways = branches(sorted(leaves, key=weight))
        best = ways[0]
        file, line, column, function = place(func, at)
        steps: list[Step] = []
        message = (
            f"{function} runs inside the OOM killer and reaches {best.name}() with {mask_text(analysis, best)} in"
            f" {best.node.func.name}: the allocation may wait for the OOM killer itself"
        )
        certain = [w for w in ways if weight(w)[0] < max(DOUBTFUL, weight(best)[0] + 1)][:MAX_WAYS]
        if len(certain) > 1:
            message += "; also by " + ", ".join(f"{w.name}() in {w.node.func.name}" for w in certain[1:])
        for way in certain:
            steps += leaf_steps(analysis, way)
        finding = Finding(
            rule=RULE, severity="error", confidence=confidence_of(weight(best)[0]), file=file, line=line,
            column=column, function=function, message=message,
            involves=tuple(sorted((chain.short, best.name))), proof=tuple(steps),
            event=analysis.program.line_text(file, line),
        )  # fmt: skip
        yield Dependency(finding=finding, inside=len(steps), allocates=True)


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


def locks(
    analysis: Analysis, chain: NotifierChain, func: Func, search: Search, holders: Holders
) -> Iterator[Dependency]:
    """Locks that the callback waits for and that others hold over such an allocation."""
    waited: dict[str, tuple[Leaf, Hold]] = {}
    for leaf in sorted((x for x in search.leaves if x.kind == "acquire"), key=lambda x: x.rank):
        lock = leaf.lock
        if lock is not None and lock.taken != "trylock" and lock.name:
            waited.setdefault(lock.name, (leaf, lock))
    holders.prepare(waited, func.path)
    for leaf, lock in waited.values():
        way = [node.func.path for node in leaf.node.path()]
        found = holders.allocating(lock.name, way, frozenset(search.functions))
        if not found:
            continue
        holder, inner = found[0]
        others = [f.name for f, other in found[1:] if other.doubt < DOUBTFUL and f.key not in search.functions]
        theirs = {h.mode for h in (*inner.node.held, *inner.held) if h.name == lock.name}
        # Two readers wait for each other only where a writer stands between them.
        readers = 2 if lock.mode == "shared" and theirs == {"shared"} else 0
        own = leaf_steps(analysis, leaf)
        file, line, column, function = place(func, first_call(leaf))
        finding = Finding(
            rule=RULE, severity="error", confidence=confidence_of(leaf.doubt + inner.doubt + readers), file=file, line=line,
            column=column, function=function,
            message=f"{function} runs inside the OOM killer and waits for {short(lock.name)}, which {holder.name} holds"
            f" while {inner.name}() allocates with {mask_text(analysis, inner)}: each waits for the other"
            + (f"; so {'do' if len(others) > 1 else 'does'} {' and '.join(others[:MAX_OTHERS])}" if others else ""),
            involves=tuple(sorted((chain.short, short(lock.name)))), proof=(*own, *leaf_steps(analysis, inner)),
            event=analysis.program.line_text(file, line),
        )  # fmt: skip
        yield Dependency(finding=finding, inside=len(own), waits_for=lock.name)


def queued(analysis: Analysis, chain: NotifierChain, callback: Func, search: Search) -> Iterator[Dependency]:
    """Work items that the callback waits for and that make such an allocation."""
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
            own = leaf_steps(analysis, leaf)
            file, line, column, function = place(callback, first_call(leaf))
            finding = Finding(
                rule=RULE, severity="error", confidence=confidence_of(leaf.doubt + inner.doubt), file=file, line=line,
                column=column, function=function,
                message=f"{function} runs inside the OOM killer and waits by {leaf.name}() for {func.name}, where"
                f" {inner.name}() allocates with {mask_text(analysis, inner)}: each waits for the other",
                involves=tuple(sorted((chain.short, func.name))), proof=(*own, *leaf_steps(analysis, inner)),
                event=analysis.program.line_text(file, line),
            )  # fmt: skip
            yield Dependency(finding=finding, inside=len(own))


def awaited(analysis: Analysis, leaf: Leaf) -> tuple[Func, ...]:
    """The functions of the work item or timer that is waited for; the object may be the work inside a delayed one."""
    frame = analysis.program.frame(leaf.node.func)
    found = analysis.shared.setups.of(frame, leaf.data)
    if not found and isinstance(leaf.data, Member):
        found = analysis.shared.setups.of(frame, leaf.data.base)
    return found


WORK_DISTANCE, WORK_NODES = 7, 150
"""How far below a work item an allocation is looked for, and in how many functions at most."""
