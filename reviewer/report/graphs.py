"""Call and lock graphs for other tools: dot, graphml, node-link JSON, and svg where Graphviz is installed."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from typing import TYPE_CHECKING

from reviewer.errors import InputError
from reviewer.report.plain import safe
from reviewer.report.views import GraphReport

if TYPE_CHECKING:  # networkx takes half a second to import
    import networkx

FORMATS = ("dot", "graphml", "json", "svg")

PLAIN = ("call", "lock")
"""Kinds of edges that a drawing needs no label for."""

SVG_SECONDS = 120
"""Graphviz is given up after that: its layout is worse than quadratic in the number of edges."""


def check_format(format: str) -> None:
    """Complains before a long analysis rather than after it.

    :raises InputError: svg was asked for and Graphviz is not installed.
    """
    if format == "svg":
        _graphviz()


def graph_bytes(report: GraphReport, format: str) -> bytes:
    """The graph in one of :data:`FORMATS`.

    :raises InputError: svg was asked for and ``dot`` is not installed, fails or takes too long.
    """
    if format == "dot":
        return dot(report).encode("utf-8", "replace")
    if format == "svg":
        return _svg(report)
    import networkx

    graph = directed(report)
    if format == "json":
        data = networkx.node_link_data(graph, edges="edges")
        return (json.dumps(data, indent=1, ensure_ascii=True) + "\n").encode("ascii")
    out = io.BytesIO()
    networkx.write_graphml_xml(graph, out)
    return out.getvalue()


def directed(report: GraphReport) -> networkx.DiGraph[str]:
    """The graph as networkx knows it; attributes are texts and numbers, safe for XML.

    Of several edges between the same two nodes the first gives the place; their counts are added.
    """
    import networkx

    graph: networkx.DiGraph[str] = networkx.DiGraph(kind=report.kind, cut=safe("; ".join(report.cut)))
    for node in report.nodes:
        graph.add_node(safe(node.id), file=safe(node.file), line=node.line)
    for edge in report.edges:
        ends = safe(edge.source), safe(edge.target)
        if graph.has_edge(*ends):
            graph.edges[ends]["count"] += edge.count
            continue
        graph.add_edge(
            *ends,
            how=edge.how,
            confidence=edge.confidence,
            function=safe(edge.site.function),
            file=safe(edge.site.file),
            line=edge.site.line,
            count=edge.count,
            **({"mode": edge.mode} if edge.mode else {}),
        )
    return graph


def dot(report: GraphReport) -> str:
    """The graph in Graphviz's language. What is inferred is dashed; a trylock, which cannot deadlock, is dotted; an edge
    that is no plain call or lock has its kind as label."""
    lines = [f"digraph {report.kind} {{", "\trankdir=LR;", '\tnode [shape=box, fontname="monospace"];']
    lines += [f"\t// not looked at: {safe(one)}" for one in report.cut]
    for node in report.nodes:
        place = f"{node.file}:{node.line}" if node.line else node.file
        lines.append(f"\t{_quoted(node.id)} [tooltip={_quoted(place)}];")
    seen = set()
    for edge in report.edges:
        if (ends := (edge.source, edge.target)) in seen:
            continue
        seen.add(ends)
        style = "" if edge.confidence == "high" else ", style=dashed"
        if edge.how == "trylock":
            style = ", style=dotted"
        if edge.how not in PLAIN:
            style += f", label={_quoted(edge.how)}"
        label = _quoted(f"{edge.site.function} {edge.site.file}:{edge.site.line}")
        lines.append(f"\t{_quoted(edge.source)} -> {_quoted(edge.target)} [edgetooltip={label}{style}];")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    """A quoted identifier of the dot language, in which the quote ends it and a backslash may escape it."""
    return '"' + safe(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _svg(report: GraphReport) -> bytes:
    program = _graphviz()
    mend = "take --format dot and draw it elsewhere"
    try:
        done = subprocess.run(
            [program, "-Tsvg"], input=dot(report).encode(), capture_output=True, timeout=SVG_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"`dot` took more than {SVG_SECONDS} s for {len(report.edges)} edges", mend
        ) from None
    except OSError as error:
        raise InputError(f"cannot run {program}: {error.strerror}", mend) from None
    if done.returncode:
        first = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
        raise InputError(f"`dot` failed: {safe(first)}", mend)
    return done.stdout


def _graphviz() -> str:
    program = shutil.which("dot")
    if program is None:
        what = "svg needs Graphviz's `dot`, which is not on PATH"
        raise InputError(what, "install graphviz, or take --format dot")
    return program
