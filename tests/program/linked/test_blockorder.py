"""The order in which blocks are executed: what comes before, and loops as a whole."""

from __future__ import annotations

import networkx
from hypothesis import given
from hypothesis import strategies as st

from reviewer.parse.bodies import made
from reviewer.parse.cfg import successors
from reviewer.parse.dialect import load_dialect
from reviewer.parse.extract import parser
from reviewer.parse.facts import Body
from reviewer.program.linked.blockorder import ranks

JUMPS = st.sampled_from(["a();", "break;", "continue;", "goto out;", "goto again;", "return;"])

BLOCKS = st.recursive(
    st.lists(JUMPS, min_size=1, max_size=3).map(" ".join),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: f"if (b()) {{ {p[0]} }} else {{ {p[1]} }} a();"),
        inner.map(lambda s: f"while (c()) {{ a(); {s} }} a();"),
        inner.map(lambda s: f"do {{ {s} }} while (d());"),
        inner.map(lambda s: f"for (;;) {{ if (e()) break; {s} }}"),
    ),
    max_leaves=8,
)


def body_of(code: str) -> Body:
    text = f"void f(void)\n{{\nfor (;;) {{\nagain:\n{code}\nif (z()) break;\n}}\nout:\nlast();\n}}\n"
    got = made(text.encode(), load_dialect(), parser())
    assert got is not None
    return got


@given(BLOCKS)
def test_what_comes_before_and_loops_as_a_whole(code: str) -> None:
    body = body_of(code)
    rank = ranks(body)
    graph = networkx.DiGraph()
    graph.add_node(0)
    graph.add_edges_from((b, s) for b, block in enumerate(body.blocks) for s in successors(block.exit))
    reached = {0, *networkx.descendants(graph, 0)}
    graph = graph.subgraph(reached)
    assert sorted(rank[b] for b in reached) == list(range(len(reached)))
    loop_of = {b: i for i, loop in enumerate(networkx.strongly_connected_components(graph)) for b in loop}
    for b, s in graph.edges:
        if loop_of[b] != loop_of[s]:
            assert rank[b] < rank[s], code
    for loop in networkx.strongly_connected_components(graph):
        places = sorted(rank[b] for b in loop)
        assert places == list(range(places[0], places[0] + len(loop))), code


def test_inner_loops_as_a_whole() -> None:
    """What stands behind an inner loop, within the outer one, comes after all of it, wherever it is left."""
    body = body_of("while (c()) { if (b()) break; x(); } y();")
    rank = ranks(body)
    at = {
        e.callee.id: rank[b] for b, block in enumerate(body.blocks) for e in block.events
        if hasattr(e, "callee") and hasattr(e.callee, "id")
    }  # fmt: skip
    assert max(at["c"], at["b"], at["x"]) < at["y"] < at["last"]
