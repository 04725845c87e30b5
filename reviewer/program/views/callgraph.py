"""``graph calls``: who calls whom, by name, through tables, on chains and as callbacks."""

from __future__ import annotations

from reviewer.program.api.models import Function as Model
from reviewer.program.graph.downward import UNSURE, Reached
from reviewer.program.linked.link import Program
from reviewer.program.views.graphs import Graph, GraphEdge, Names
from reviewer.program.views.neighbourhood import Explorer


def graph(program: Program, start: str | None) -> Graph:
    """The graph of calls below ``start``, or around the OOM killer's chain.

    :raises InputError: the tree does not define ``start``.
    """
    found = Explorer(program).around(start)
    result = Graph()
    names = Names(program)
    for site, func in found.above:
        for end in (site.caller, func):
            result.nodes.setdefault(names.of(end), names.node(end))
        result.add(
            GraphEdge(names.of(site.caller), names.of(func), site.how, site.caller.name, site.caller.path, site.line)
        )
    draw(found.below, result, names)
    result.cut.update(found.below.cut)
    return result


def draw(reached: Reached, result: Graph, names: Names) -> None:
    """Adds the functions and calls of a walk. A macro that calls nothing is an expression, and left out."""
    plain = {names.of(n.func) for n in reached.nodes if n.func.macro is not None and not n.edges and n.reached}
    plain -= {names.of(n.func) for n in reached.nodes if n.edges}
    for node in reached.nodes:
        result.nodes.setdefault(names.of(node.func), names.node(node.func))
    for edge in reached.edges:
        source = edge.caller.func
        if edge.model is not None and not matters(edge.model):
            continue
        if edge.callee is not None:
            target = names.of(edge.callee.func)
        else:
            leaf = names.leaf(edge.name, source.path)
            target = leaf.id
            result.nodes.setdefault(target, leaf)
        doubt = UNSURE if edge.doubt >= UNSURE else edge.doubt
        result.add(GraphEdge(names.of(source), target, edge.how, source.name, source.path, edge.line, doubt))
    result.without(plain)


def matters(model: Model) -> bool:
    """Whether an API function does more than to compute or to touch memory."""
    return model.identity is None and bool(
        model.takes or model.drops or model.inside or model.may_sleep or model.allocates or model.gfp_scope
        or model.waits or model.signals or model.invokes or model.registers or model.chain_call
        or model.chain_register or model.frees is not None or model.sleeps_if_gfp is not None
    )  # fmt: skip
