"""The verbs that ask about a program, from the command line to its real answer."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import networkx
import pytest

from reviewer.cli.main import run
from reviewer.data import fixtures_dir

OOM = str(fixtures_dir() / "oom")


@pytest.fixture
def answer(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> object:
    def ask(*arguments: str, code: int = 0) -> str:
        store = ["--store", str(tmp_path / "store")]
        assert run([*arguments, "-C", OOM, *store]) == code
        captured = capfd.readouterr()
        return captured.out if code == 0 else captured.err

    return ask


def ask(answer: object, *arguments: str, code: int = 0) -> str:
    assert callable(answer)
    found: str = answer(*arguments, code=code)
    return found


def names(rows: Sequence[dict[str, object]]) -> set[object]:
    return {row["name"] for row in rows}


def test_context(answer: object) -> None:
    text = ask(answer, "context", "rcu_oom_notify")
    assert "  serialised   oom_lock\n" in text
    assert "inside reclaim or the OOM killer" in text
    (found,) = json.loads(ask(answer, "context", "rcu_oom_notify", "--format", "json"))["contexts"]
    assert found["serialiser"] == "oom_lock"
    assert found["callers_known"] == "all"
    assert {(t["function"], t["taken"]) for t in found["taken_by"]} == {
        ("__alloc_pages_may_oom", "trylock"),
        ("pagefault_out_of_memory", "trylock"),
        ("moom_callback", "lock"),
        ("mem_cgroup_out_of_memory", "lock"),
    }
    (caller,) = found["callers"]
    assert (caller["function"], caller["how"]) == ("out_of_memory", "chain mm/oom_kill.c:oom_notify_list")
    assert {(h["class"], h["mode"]) for h in caller["held"]} == {
        ("oom_lock", "exclusive"),
        ("mm/oom_kill.c:oom_notify_list.rwsem", "shared"),
    }


def test_context_of_nothing(answer: object) -> None:
    line = ask(answer, "context", "no_such_function", code=2)
    assert line.startswith("reviewer: the tree does not define a function no_such_function; spell it")


def test_relies_on(answer: object) -> None:
    found = json.loads(ask(answer, "relies-on", "oom_lock", "--format", "json"))
    assert found["lock"] == "oom_lock"
    assert names(found["relied_on_by"]) == {
        "oom_callback_count",
        "rcu_oom_notify",
        "virtballoon_oom_notify",
        "cmm_oom_notify",
    }
    assert all(one["proof"] for one in found["relied_on_by"])
    assert len(found["taken_at"]) == 4
    assert "5 things that only oom_lock serialises" in ask(answer, "relies-on", "oom_lock")


def test_what_relies_on_a_lock_does_not_depend_on_the_number_of_processes(answer: object) -> None:
    alone, together = (ask(answer, "relies-on", "oom_lock", "--jobs", jobs, "--format", "json") for jobs in ("1", "2"))
    assert alone == together


def test_relies_on_nothing(answer: object) -> None:
    assert ask(answer, "relies-on", "no_lock", code=2).startswith("reviewer: the tree has no lock no_lock; ")


@pytest.mark.parametrize("kind", ["calls", "locks"])
def test_graphs_in_every_format(answer: object, kind: str) -> None:
    data = json.loads(ask(answer, "graph", kind, "--format", "json"))
    graph = networkx.node_link_graph(data, edges="edges")
    again = networkx.read_graphml(io.BytesIO(ask(answer, "graph", kind, "--format", "graphml").encode()))
    assert graph.number_of_edges() > 5
    assert set(graph.edges) == set(again.edges)
    dot = ask(answer, "graph", kind)
    assert dot.count(" -> ") == graph.number_of_edges()


def test_graph_from_a_function(answer: object) -> None:
    data = json.loads(ask(answer, "graph", "locks", "--from", "virtballoon_oom_notify", "--format", "json"))
    assert [node["id"] for node in data["nodes"]] == []
    data = json.loads(ask(answer, "graph", "locks", "--from", "out_of_memory", "--format", "json"))
    assert all(edge["source"] == "mm/oom_kill.c:oom_notify_list.rwsem" for edge in data["edges"])
    assert {edge["how"] for edge in data["edges"]} == {"lock", "trylock"}
