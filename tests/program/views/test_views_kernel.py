"""The views on a whole kernel: what is known of the OOM killer's chain in Debian's 6.12."""

from __future__ import annotations

import pytest

from reviewer.program.linked.link import Program
from reviewer.program.views.describe import describe
from reviewer.program.views.lockgraph import graph
from reviewer.program.views.reliance import relies_on

pytestmark = pytest.mark.kernel


def test_context(kernel: Program) -> None:
    (found,) = describe(kernel, "virtio_balloon_oom_notify")
    assert found.serialiser is not None
    assert found.serialiser.name == "oom_lock"
    assert {(t.func.name, t.hold.taken) for t in found.takers} == {
        ("mem_cgroup_out_of_memory", "killable"),
        ("__alloc_pages_may_oom", "trylock"),
        ("lru_gen_age_node", "trylock"),
        ("moom_callback", "lock"),
    }
    assert found.bottom.in_reclaim
    assert not found.partial


def test_reliance(kernel: Program) -> None:
    found = relies_on(kernel, "oom_lock")
    assert {(r.name, r.file) for r in found.reliers} == {
        ("cmm_oom_notify", "arch/powerpc/platforms/pseries/cmm.c"),
        ("cmm_oom_notify", "arch/s390/mm/cmm.c"),
        ("virtio_balloon_oom_notify", "drivers/virtio/virtio_balloon.c"),
    }
    assert {t.func.name for t in found.taken} == {
        "moom_callback",
        "mem_cgroup_out_of_memory",
        "oom_killer_disable",
        "__alloc_pages_may_oom",
        "lru_gen_age_node",
    }


def test_lock_order(kernel: Program) -> None:
    edges = graph(kernel, None).edges
    assert ("oom_lock", "mm/oom_kill.c:oom_notify_list.rwsem", "lock") in edges
    assert ("oom_lock", "struct virtio_balloon.balloon_lock", "lock") in edges


def test_what_the_whole_kernel_calls_is_answered_within_the_caps(kernel: Program) -> None:
    found = describe(kernel, "kfree")
    assert [d.func.path for d in found] == ["mm/slub.c"]
    assert found[0].serialiser is None
    assert found[0].partial
    assert any("files that name kfree" in cut for cut in found[0].cut)
