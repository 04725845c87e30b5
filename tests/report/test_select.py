"""Which findings are printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reviewer.checks.finding import Finding, Step
from reviewer.errors import InputError
from reviewer.report.select import confident, on_paths, path_pattern, read_baseline, unknown, unmatched


@pytest.mark.parametrize(
    ("glob", "file", "fits"),
    [
        ("kernel/rcu/tree.c", "kernel/rcu/tree.c", True),
        ("kernel/rcu/tree.c", "kernel/rcu/tree_c", False),
        ("kernel/rcu/tree.c", "x/kernel/rcu/tree.c", False),
        ("./kernel/rcu/tree.c", "kernel/rcu/tree.c", True),
        ("kernel/rcu", "kernel/rcu/tree.c", True),
        ("kernel/rcu/", "kernel/rcu/sub/tree.c", True),
        ("kernel/rc", "kernel/rcu/tree.c", False),
        ("kernel/*.c", "kernel/rcu/tree.c", True),
        ("*.h", "include/linux/oom.h", True),
        ("*.h", "mm/oom.c", False),
        ("**/oom.h", "oom.h", True),
        ("drivers/**/virtio*.c", "drivers/virtio_x.c", True),
        ("drivers/**/virtio*.c", "drivers/a/b/virtio_x.c", True),
        ("drivers/**/virtio*.c", "net/virtio_x.c", False),
        ("a?[bc].c", "axb.c", True),
        ("a+(b).c", "a+(b).c", True),
        ("**", "any/thing.c", True),
    ],
)
def test_globs(glob: str, file: str, fits: bool) -> None:
    assert bool(path_pattern([glob]).match(file)) is fits


def test_a_finding_stays_for_its_place_or_its_proof(make_finding: Callable[..., Finding]) -> None:
    step = Step("sleep", "kernel/t.c", 4, "f", "msleep(1)")
    finding = make_finding(file="drivers/p.c", proof=(step,))
    assert on_paths([finding], ["drivers/*"]) == (finding,)
    assert on_paths([finding], ["nowhere", "kernel/t.c"]) == (finding,)
    assert on_paths([finding], ["mm"]) == ()
    assert on_paths([finding], []) == (finding,)


def test_a_glob_that_names_nothing_is_told() -> None:
    assert unmatched(["mm/a.c", "fs/b.c"], ["mm", "f*"]) == []
    assert unmatched(["mm/a.c"], ["mm", "nn"]) == ["no .c or .h file of this tree matches --path nn"]
    assert unmatched([], []) == []


def test_confidence(make_finding: Callable[..., Finding]) -> None:
    high, medium, low = (make_finding(confidence=c) for c in ("high", "medium", "low"))
    assert confident([high, medium, low], "medium") == (high, medium)
    assert confident([high, medium, low], "low") == (high, medium, low)
    assert confident([high, medium, low], "high") == (high,)


@pytest.mark.parametrize(
    ("before", "now", "reported"),
    [("error", "error", False), ("error", "note", False), ("note", "note", False), ("note", "error", True)],
)
def test_a_note_that_became_an_error_is_new(
    before: str, now: str, reported: bool, make_finding: Callable[..., Finding], tmp_path: Path
) -> None:
    finding = make_finding(severity=now)
    path = tmp_path / "old.json"
    old = {"schema": 1, "findings": [{"fingerprint": finding.fingerprint, "severity": before}]}
    path.write_text(json.dumps(old))
    assert bool(unknown([finding], read_baseline(str(path)))) is reported


def test_a_finding_that_the_baseline_lacks_stays(make_finding: Callable[..., Finding]) -> None:
    assert unknown([make_finding()], frozenset({("f" * 16, False)}))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"schema": 2, "findings": []}',
        b'{"schema": 1}',
        b'{"schema": 1, "findings": [1]}',
        b'{"schema": 1, "findings": [{"severity": "note"}]}',
        b"[" * 100_000,
    ],
)
def test_a_bad_baseline_is_one_line(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_bytes(text)
    with pytest.raises(InputError, match=r"^baseline .*old\.json: [^\n]+; give a file written by"):
        read_baseline(str(path))


def test_a_missing_baseline_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_baseline(str(tmp_path / "none.json"))
