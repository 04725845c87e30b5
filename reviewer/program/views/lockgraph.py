"""``graph locks``: which lock class is taken while which is held, each order with a place that shows it.

What a call takes further down counts at the call: the sets of locks taken below each function are made over the walked
functions to a fixpoint, so that a function is walked once, whatever is held around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reviewer.parse.facts import Expr
from reviewer.program.api.models import Kind, Place, Takes
from reviewer.program.flow.lockflow import Seen
from reviewer.program.flow.summaries import place
from reviewer.program.graph.contexts import CallSite
from reviewer.program.graph.downward import Edge, Node, Reached
from reviewer.program.linked import values
from reviewer.program.linked.link import Func, Program
from reviewer.program.linked.locks import Hold, lock_class
from reviewer.program.linked.structs import Frame
from reviewer.program.views.graphs import Graph, GraphEdge, GraphNode
from reviewer.program.views.neighbourhood import Explorer

CONTEXTS: frozenset[Kind] = frozenset({"rcu", "preempt", "irq", "bh", "local"})
"""What nobody waits for when it is taken, so that no order of it can deadlock."""

MAX_TAKEN = 400
"""Lock classes below one function; beyond it more are left out."""


@dataclass(frozen=True, slots=True)
class Taking:
    """A lock taken at or below a function: its class, or the object in the function's terms while it has none.

    ``function``, ``file``, ``line``: where. ``doubt``: of the calls on the way there.
    """

    name: str
    lock: Expr | None
    mode: str
    taken: str
    function: str
    file: str
    line: int
    doubt: int = 0

    @property
    def key(self) -> tuple[str, Expr | None, str, bool]:
        return self.name, None if self.name else self.lock, self.mode, self.taken == "trylock"


def graph(program: Program, start: str | None) -> Graph:
    """The order of lock classes at and below ``start``, or around the OOM killer's chain.

    :raises InputError: the tree does not define ``start``.
    """
    found = Explorer(program).around(start)
    result = orders(program, found.below, found.above)
    result.cut.update(found.below.cut)
    return result


def orders(program: Program, reached: Reached, above: Sequence[tuple[CallSite, Func]] = ()) -> Graph:
    """Every order that the walked functions show.

    :param above: calls that lead to the start of the walk, whose locks are held around all that it takes.
    """
    result = Graph()
    below = takings(program, reached)
    # Orders that can deadlock come before those of a trylock, which cannot: they give an edge its place.
    found: list[tuple[Hold, Taking, int]] = []
    for node in reached.nodes:
        for own, seen in own_takings(program, node):
            found.extend((h, own, doubt) for h, doubt in around(seen.must(), seen.may()))
        for edge in node.edges:
            if edge.callee is None or edge.later:
                continue
            held = around(edge.seen.must(), edge.seen.may())
            if edge.chain_hold is not None:
                held.append((edge.chain_hold, 0))
            drops = dropped(program, edge) if held else frozenset()
            for h, doubt in held:
                if h.name not in drops:
                    found.extend((h, t, doubt) for t in raised(program, edge, below[id(edge.callee)].values()))
    starts = [t for n in reached.nodes[:1] if n.reached is None for t in below[id(n)].values()]
    for site, func in above:
        inner = [
            held_taking(s, h) for s, _ in above if s.caller.key == func.key
            for h in s.may if h.name and h.kind not in CONTEXTS
        ]  # fmt: skip
        found.extend((h, t, doubt) for h, doubt in around(site.must, site.may) for t in (*inner, *starts))
    for held_, taking, doubt in sorted(found, key=lambda f: (f[1].taken == "trylock", max(f[1].doubt, f[2]))):
        again = taking.lock == held_.lock and taking.taken == "trylock"  # it fails, and no order is made
        if taking.name and held_.kind not in CONTEXTS and not again:
            add(program, result, held_, taking, max(taking.doubt, doubt))
    return result


def around(must: Sequence[Hold], may: Sequence[Hold]) -> list[tuple[Hold, int]]:
    """What is held at a place, with the doubt of it: 1 where it is held on some paths only."""
    always = {h.name for h in must}
    return [(h, 0 if h.name in always else 1) for h in may if h.name]


def held_taking(site: CallSite, hold: Hold) -> Taking:
    """A lock that a caller holds, as what it took."""
    func = site.caller
    return Taking(hold.name, hold.lock, hold.mode, hold.taken, func.name, func.path, func.line_of(hold.at))


def add(program: Program, result: Graph, held: Hold, taking: Taking, doubt: int) -> None:
    for name in (held.name, taking.name):
        if name not in result.nodes:
            result.nodes[name] = declared(program, name, taking.file)
    result.add(
        GraphEdge(
            held.name, taking.name, taking.taken, taking.function, taking.file, taking.line, doubt,
            mode=taking.mode,
        )
    )  # fmt: skip


def declared(program: Program, name: str, path: str) -> GraphNode:
    """A lock class with the place where it is declared, if that can be told."""
    if name.startswith(("struct ", "union ")):
        found = program.struct_at(name.partition(".")[0], path)
        return GraphNode(name, found[0], found[1].line) if found is not None else GraphNode(name)
    file, _, word = name.rpartition(":")
    variable = program.variable(word.partition(".")[0], file or path)
    if variable is None:
        return GraphNode(name, file)
    return GraphNode(name, variable[0], variable[1].line)


# --- what a function takes --------------------------------------------------------------------------


def own_takings(program: Program, node: Node) -> Iterator[tuple[Taking, Seen]]:
    """Locks that the function itself takes by the API models, each with its event."""
    frame = program.frame(node.func)
    for edge in node.edges:
        if edge.model is None:
            continue
        chain = edge.model.chain_call or edge.model.chain_register
        specs: list[Takes] = [*edge.model.takes, *edge.model.inside]
        if edge.model.chain_call is not None and edge.model.chain_call.holds is not None:
            specs.append(edge.model.chain_call.holds)
        for spec in specs:
            lock = place(spec.lock, edge.args, node.func.path)
            if lock is None or spec.kind in CONTEXTS:
                continue
            name = lock_class(frame, lock)
            if chain is not None and spec.lock.index == chain.chain.index < len(edge.args):
                # A chain's own lock goes by the chain, as where its callbacks run.
                head = chain_head(frame, edge.args[chain.chain.index], chain.chain)
                name = "".join((head, *(f".{p}" for p in spec.lock.path))) if head else name
            yield (
                Taking(name, lock, spec.mode, spec.taken, node.func.name, node.func.path, edge.line, edge.doubt),
                edge.seen,
            )


def chain_head(frame: Frame, arg: Expr, where: Place) -> str:
    """The chain that an argument means, as a lock class is named."""
    return lock_class(frame, values.deref(arg) if where.address else arg)


def takings(program: Program, reached: Reached) -> dict[int, dict[tuple[object, ...], Taking]]:
    """For each node, by its identity, what is taken at or below it, callbacks that run later left out."""
    below: dict[int, dict[tuple[object, ...], Taking]] = {
        id(n): {t.key: t for t, _ in own_takings(program, n)} for n in reached.nodes
    }
    changed = True
    while changed:  # callees come after their callers, recursion aside: few rounds
        changed = False
        for node in reversed(reached.nodes):
            mine = below[id(node)]
            for edge in node.edges:
                if edge.callee is None or edge.later:
                    continue
                for taking in raised(program, edge, list(below[id(edge.callee)].values())):
                    if taking.key in mine:
                        continue
                    if len(mine) >= MAX_TAKEN:
                        reached.cut[f"more than {MAX_TAKEN} locks below {node.func.name}"] = None
                        break
                    mine[taking.key] = taking
                    changed = True
    return below


def raised(program: Program, edge: Edge, taken: Iterable[Taking]) -> Iterator[Taking]:
    """What a callee takes, in terms of its caller."""
    assert edge.callee is not None
    frame = program.frame(edge.caller.func)
    for t in taken:
        doubt = max(t.doubt, edge.doubt)
        if t.name:
            yield t if doubt == t.doubt else Taking(t.name, t.lock, t.mode, t.taken, t.function, t.file, t.line, doubt)
        elif t.lock is not None and edge.args:
            lock = values.substitute(t.lock, edge.args, edge.callee.func.name)
            yield Taking(lock_class(frame, lock), lock, t.mode, t.taken, t.function, t.file, t.line, doubt)


def dropped(program: Program, edge: Edge) -> frozenset[str]:
    """Lock classes that the callee lets go, for good or for a while: they are not held around what it does then."""
    assert edge.callee is not None
    flow = edge.callee.flow
    frame = program.frame(edge.callee.func)
    names = {lock_class(frame, d) for e in (flow.endings if flow is not None else ()) for d in e.state.dropped}
    return frozenset(n for n in names if n)

