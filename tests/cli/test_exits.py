"""The exit code, as documented in README."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reviewer.checks.finding import Finding
from reviewer.cli.exits import exit_code

ORDER = ("low", "medium", "high")


@pytest.mark.parametrize("fail_on", ORDER)
@pytest.mark.parametrize("confidence", ORDER)
def test_a_finding_counts_from_fail_on_upwards(
    confidence: Any, fail_on: Any, make_finding: Callable[..., Finding]
) -> None:
    expected = int(ORDER.index(confidence) >= ORDER.index(fail_on))
    assert exit_code([make_finding(confidence=confidence)], (), fail_on) == expected


def test_the_table(make_finding: Callable[..., Finding]) -> None:
    finding, note = make_finding(severity="warning"), make_finding(severity="note", confidence="high")
    skipped = [("a.c", "absent")]
    assert exit_code([], [], "low") == 0
    assert exit_code([note], [], "low") == 0
    assert exit_code([note, finding], [], "low") == 1
    assert exit_code([finding], skipped, "low") == 1
    assert exit_code([note], skipped, "low") == 3
    assert exit_code([], skipped, "high") == 3
    assert exit_code([finding], [], None) == 0
    assert exit_code([finding], skipped, None) == 3
