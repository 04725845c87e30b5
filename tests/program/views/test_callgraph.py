"""The call graph: exact edges, how each call is made, where it stands, and what was cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reviewer.errors import InputError
from reviewer.program.linked.link import Program
from reviewer.program.views import neighbourhood
from reviewer.program.views.callgraph import graph

Make = Callable[..., Program]

CHAIN = "chain mm/oom_kill.c:oom_notify_list"


def edges(program: Program, start: str | None) -> set[tuple[str, str, str]]:
    """(caller, callee, how) of every edge, files left out."""
    found = graph(program, start).edges.values()
    return {(e.source.rpartition(":")[2], e.target.rpartition(":")[2], e.how) for e in found}


def test_without_a_start_it_is_what_the_default_scan_sees(oom: Program) -> None:
    found = edges(oom, None)
    into = {(source, how) for source, target, how in found if target == "out_of_memory"}
    assert into == {
        ("pagefault_out_of_memory", "call"),
        ("mem_cgroup_out_of_memory", "call"),
        ("__alloc_pages_may_oom", "call"),
        ("moom_callback", "call"),
    }
    assert {target for source, target, how in found if how == CHAIN and source == "out_of_memory"} == {
        "cmm_oom_notify",
        "i915_gem_shrinker_oom",
        "rcu_oom_notify",
        "virtballoon_oom_notify",
    }
    assert ("__alloc_pages_slowpath", "__alloc_pages_may_oom", "call") in found
    assert ("virtio_cwrite32", "virtio_ccw_set_config", "struct virtio_config_ops.set") in found


def test_from_a_function_only_what_it_reaches(oom: Program) -> None:
    assert edges(oom, "rcu_oom_notify") == {
        ("rcu_oom_notify", "wait_event", "call"),
        ("rcu_oom_notify", "smp_call_function_single", "call"),
        ("rcu_oom_notify", "rcu_oom_notify_cpu", "smp_call_function_single"),
        ("rcu_oom_notify", "cond_resched", "call"),
        ("rcu_oom_notify_cpu", "rcu_oom_post", "call"),
        ("rcu_oom_post", "call_rcu_sched", "struct rcu_state.call"),
        ("rcu_oom_post", "call_rcu_bh", "struct rcu_state.call"),
        ("rcu_oom_post", "rcu_oom_callback", "rcu"),
        ("rcu_oom_callback", "wake_up", "call"),
    }


def test_nodes_and_edges_have_their_place(oom: Program) -> None:
    found = graph(oom, "rcu_oom_notify")
    node = found.nodes["kernel/rcu/tree_plugin.h:rcu_oom_notify_cpu"]
    assert (node.file, node.line) == ("kernel/rcu/tree_plugin.h", 23)
    edge = next(e for e in found.edges.values() if e.how == "smp_call_function_single")
    assert (edge.function, edge.file, edge.line) == ("rcu_oom_notify", "kernel/rcu/tree_plugin.h", 38)


def test_a_call_through_a_table_is_less_certain(oom: Program) -> None:
    found = graph(oom, "virtballoon_oom_notify").edges.values()
    assert {e.doubt for e in found if e.how.startswith("struct ")} == {1}
    assert {e.doubt for e in found if e.how == "call"} == {0}


def test_registrations_carry_their_kind(program_of: Make) -> None:
    text = """
#include <linux/demo.h>
struct pump { struct work_struct work; };
static void later(struct work_struct *work) { }
static void ticked(struct timer_list *timer) { }
static DEFINE_TIMER(timer, ticked);
void probe(struct pump *p) { INIT_WORK(&p->work, later); }
void kick(struct pump *p) { schedule_work(&p->work); mod_timer(&timer, 5); }
"""
    program = program_of(text)
    assert ("probe", "later", "work") in edges(program, "probe")
    assert {e for e in edges(program, "kick") if e[2] != "call"} == {
        ("kick", "later", "work"),
        ("kick", "ticked", "timer"),
    }


def test_the_budget_is_said(oom: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbourhood, "FUNCTIONS", 1)
    found = graph(oom, "rcu_oom_notify")
    assert len(found.edges) == 4
    assert list(found.cut) == ["the calls of 2 functions beyond the first 1"]


def test_a_tree_without_the_chain_gives_nothing(program_of: Make) -> None:
    assert not graph(program_of("void f(void) { }\n"), None).nodes


def test_an_unknown_start(oom: Program) -> None:
    with pytest.raises(InputError, match="does not define a function nowhere"):
        graph(oom, "nowhere")
