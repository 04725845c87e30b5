"""Graphs as plain records: nodes with their place, edges with the place that shows them.

An edge of calls says how the call is made; one of locks how the second lock is taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from reviewer.program.linked.link import Func, Program


@dataclass(frozen=True, slots=True)
class GraphNode:
    """``id`` is unique in its graph; ``line`` is 1-based, 0 where no place is known."""

    id: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """``doubt``: 0 certain, 1 through a table, 2 through one with too many targets. ``count``: places that show it.

    ``mode``: of the second lock, "" for calls.
    """

    source: str
    target: str
    how: str
    function: str
    file: str
    line: int
    doubt: int = 0
    count: int = 1
    mode: str = ""


@dataclass(slots=True)
class Graph:
    """Nodes and edges by their keys. ``cut``: what the search left out, for people."""

    nodes: dict[str, GraphNode] = field(default_factory=dict)
    edges: dict[tuple[str, str, str], GraphEdge] = field(default_factory=dict)
    cut: dict[str, None] = field(default_factory=dict)

    def add(self, edge: GraphEdge) -> None:
        """Adds an edge; of several of one kind the most certain, then the first, gives the place."""
        key = (edge.source, edge.target, edge.how)
        old = self.edges.get(key)
        if old is None:
            self.edges[key] = edge
        elif edge.doubt < old.doubt:
            self.edges[key] = replace(edge, count=old.count + 1)
        else:
            self.edges[key] = replace(old, count=old.count + 1)

    def without(self, ids: Iterable[str]) -> None:
        """Takes nodes and their edges out."""
        gone = set(ids)
        self.nodes = {k: n for k, n in self.nodes.items() if k not in gone}
        self.edges = {k: e for k, e in self.edges.items() if e.source not in gone and e.target not in gone}


class Names:
    """Unique ids of functions in one graph: a static, and the second of two namesakes, carries its file."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._ids: dict[str, str] = {}
        self._taken: dict[str, str] = {}

    def of(self, func: Func) -> str:
        got = self._ids.get(func.key)
        if got is None:
            got = f"{func.path}:{func.name}" if func.static else func.name
            if self._taken.setdefault(got, func.path) != func.path:
                got = f"{func.path}:{func.name}"
                self._taken[got] = func.path
            self._ids[func.key] = got
        return got

    def node(self, func: Func) -> GraphNode:
        line = func.definition.name_line if func.definition is not None else func.line
        return GraphNode(self.of(func), func.path, line)

    def leaf(self, name: str, path: str) -> GraphNode:
        """A function that an API model describes, with the place of its definition if it has one."""
        found = self.program.resolve(name, path)
        if not found:
            return GraphNode(name)
        line = found[0].definition.name_line if found[0].definition is not None else found[0].line
        return GraphNode(name, found[0].path, line)
