"""Graphs as other tools read them."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import networkx
import pytest

from reviewer.checks.result import Site
from reviewer.errors import InputError
from reviewer.report.graphs import check_format, directed, dot, graph_bytes
from reviewer.report.views import Edge, GraphReport, Node

REPORT = GraphReport(
    kind="locks",
    nodes=(Node("a_lock", "mm/a.c", 3), Node("alone")),
    edges=(
        Edge("a_lock", "struct b.lock", Site("f", "mm/a.c", 9), how="lock", count=2),
        Edge("a_lock", "struct b.lock", Site("g", "mm/b.c", 5), how="trylock", count=3),
        Edge("struct b.lock", 'odd"\\\x1b', Site("h", "mm/b.c", 7), confidence="low"),
    ),
    cut=("2 functions",),
)


def test_nodes_and_edges_with_their_place() -> None:
    graph = directed(REPORT)
    assert set(graph) == {"a_lock", "alone", "struct b.lock", 'odd"\\\\x1b'}
    assert graph.nodes["a_lock"] == {"file": "mm/a.c", "line": 3}
    assert graph.edges["a_lock", "struct b.lock"] == {
        "how": "lock",
        "confidence": "high",
        "function": "f",
        "file": "mm/a.c",
        "line": 9,
        "count": 5,
    }


def test_json_and_graphml_read_back_as_the_same_graph() -> None:
    graph = directed(REPORT)
    again = networkx.node_link_graph(json.loads(graph_bytes(REPORT, "json")), edges="edges")
    assert again.is_directed()
    assert dict(again.edges) == dict(graph.edges)
    from_xml = networkx.read_graphml(io.BytesIO(graph_bytes(REPORT, "graphml")))
    assert dict(from_xml.edges) == dict(graph.edges)


def test_dot_quotes_what_it_must_and_draws_an_edge_once() -> None:
    text = dot(REPORT)
    assert "\t// not looked at: 2 functions\n" in text
    assert text.count('"a_lock" -> "struct b.lock"') == 1
    assert '"odd\\"\\\\\\\\x1b"' in text
    assert text.count("style=dashed") == 1
    assert '\t"alone" [' in text
    assert text.startswith("digraph locks {\n")
    assert text.endswith("}\n")


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_svg_is_drawn() -> None:
    assert b"<svg" in graph_bytes(REPORT, "svg")


def fake_dot(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "dot"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_svg_comes_from_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_dot(tmp_path, "echo args=$1; cat", monkeypatch)
    assert graph_bytes(REPORT, "svg").decode() == "args=-Tsvg\n" + dot(REPORT)


def test_svg_without_graphviz_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="not on PATH; install graphviz, or take --format dot"):
        check_format("svg")
    check_format("dot")


def test_a_dot_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_dot(tmp_path, "echo first >&2; echo second >&2; exit 1", monkeypatch)
    with pytest.raises(InputError, match="`dot` failed: first; take"):
        graph_bytes(REPORT, "svg")


def test_a_trylock_is_dotted_and_kinds_are_labels() -> None:
    edges = (
        Edge("a", "b", Site("f", "a.c", 1), how="trylock", mode="exclusive"),
        Edge("b", "c", Site("f", "a.c", 2), how="work"),
        Edge("c", "d", Site("f", "a.c", 3), how="lock", mode="shared"),
    )
    report = GraphReport(kind="locks", edges=edges)
    lines = [line for line in dot(report).split("\n") if "->" in line]
    assert 'style=dotted, label="trylock"' in lines[0]
    assert 'label="work"' in lines[1]
    assert "label=" not in lines[2]
    assert directed(report).edges["c", "d"]["mode"] == "shared"
    assert directed(REPORT).graph["cut"] == "2 functions"
