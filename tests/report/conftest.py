"""One sample of everything that the writers print."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reviewer.checks.finding import Finding, Step
from reviewer.checks.result import Chain, ScanResult, Site, Stats, User

PUMP = "drivers/demo/pump.c"


@pytest.fixture
def make_finding() -> Callable[..., Finding]:
    """A finding; keyword arguments replace its parts."""

    def make(**parts: Any) -> Finding:
        held = ("struct pump.lock",)
        given = {
            "rule": "sleep-in-atomic",
            "severity": "error",
            "confidence": "high",
            "file": PUMP,
            "line": 38,
            "column": 2,
            "function": "pump_irq",
            "message": "pump_drain() may sleep while struct pump.lock is held",
            "involves": ("struct pump.lock",),
            "proof": (
                Step("acquire", PUMP, 36, "pump_irq", "spin_lock(&p->lock)", held),
                Step("call", PUMP, 38, "pump_irq", "pump_drain(p)", held),
                Step("sleep", PUMP, 41, "pump_drain", "msleep(10)", held),
            ),
            "event": "pump_drain(p)",
            "fingerprint": "0123456789abcdef",
        }
        return Finding(**{**given, **parts})

    return make


@pytest.fixture
def result(make_finding: Callable[..., Finding]) -> ScanResult:
    site = Site("pump_probe", PUMP, 90)
    return ScanResult(
        tree_path="linux",
        rev="f" * 40,
        stats=Stats(files=3, functions=12, functions_with_errors=1, seconds=0.25, cached=2),
        chains=(
            Chain(
                "pump_list",
                "blocking",
                "drivers/demo/core.c",
                called_from=(Site("pump_all", "drivers/demo/core.c", 7),),
                users=(User("pump_notify", PUMP, site), User("p_n", "drivers/demo/p.c", site)),
            ),
        ),
        findings=(make_finding(),),
        skipped=(("drivers/demo/gone.c", "its blob is absent"),),
        messages=("one line",),
    )
