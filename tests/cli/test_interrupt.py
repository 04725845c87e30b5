"""Ctrl-C in the middle of the work: 130, one line, a store that is whole, and a second run as if nothing had been."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reviewer.store.factstore import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Outcome

    Run = Callable[..., Outcome]

SCAN = ("scan", "--format", "json", "--fail-on", "never", "--jobs", "2")

SLOW = """
import os, sys, time
from reviewer.checks import run
from reviewer.cli.main import main

real = run.Analysis.callbacks.func

def slow(self):
    found = real(self)
    self.program.keep()
    open(os.environ["REVIEWER_TEST_READY"], "w").close()
    if os.environ["REVIEWER_TEST_WHERE"] == "write":
        self.program.bodies.store.put_many("odd", ((str(n), time.sleep(0.001) or b"x") for n in range(100_000)))
    else:
        time.sleep(60)
    return found

run.Analysis.callbacks = property(slow)
main()
"""
"""A scan that stops in the middle and says so, so that the signal comes at a known place."""


@pytest.mark.parametrize("where", ["analysis", "write"])
@pytest.mark.parametrize("group", [False, True], ids=["kill", "terminal"])
def test_interrupt(real: Run, kernel: Path, tmp_path: Path, where: str, group: bool) -> None:
    from running import environment

    store, ready = tmp_path / "store", tmp_path / "ready"
    extra = {"REVIEWER_TEST_READY": str(ready), "REVIEWER_TEST_WHERE": where}
    command = [os.environ.get("PYTHON", __import__("sys").executable), "-c", SLOW, *SCAN, str(kernel), "--store", str(store)]
    run = subprocess.Popen(
        command, env=environment(tmp_path / "cache") | extra, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not ready.exists():
        assert run.poll() is None and time.monotonic() < deadline, run.communicate()
        time.sleep(0.02)
    time.sleep(0.1)
    if group:  # a terminal's Ctrl-C goes to git, too
        os.killpg(run.pid, signal.SIGINT)
    else:
        run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=10)
    assert (run.returncode, out, err) == (130, b"", b"reviewer: interrupted\n")
    with contextlib.closing(sqlite3.connect(store / FILE_NAME)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert db.execute("SELECT count(*) FROM fact JOIN kind ON kind.id = kind WHERE name LIKE 'body%'").fetchone()[0] > 0
        assert db.execute("SELECT count(*) FROM kind WHERE name = 'odd'").fetchone()[0] == 0, "half a batch was kept"
    second = real(*SCAN, kernel, "--store", store)
    assert (second.code, second.err) == (0, "")
    assert findings(second) == findings(real(*SCAN, kernel, "--no-store"))


def findings(outcome: Outcome) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(outcome.out)["findings"]
    assert found
    return found


def test_interrupts_at_any_time(kernel: Path, tmp_path: Path) -> None:
    """Wherever it comes: 130 or a whole report, no traceback, and a whole store."""
    from running import COMMAND, environment

    store = tmp_path / "store"
    for wait in (0.25, 0.35, 0.5, 0.7):
        run = subprocess.Popen(
            [*COMMAND, *SCAN, str(kernel), "--store", str(store)], env=environment(tmp_path / "cache"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        time.sleep(wait)
        os.killpg(run.pid, signal.SIGINT)
        out, err = run.communicate(timeout=10)
        if run.returncode == 0:
            assert json.loads(out)["findings"]
        elif run.returncode == 130:
            assert (out, err) == (b"", b"reviewer: interrupted\n")
        else:  # the interpreter was still importing us
            assert run.returncode == -signal.SIGINT
    if (store / FILE_NAME).exists():
        with contextlib.closing(sqlite3.connect(store / FILE_NAME)) as db:
            assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_an_interrupt_that_a_library_makes_something_else_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """pydantic gives only the text of what hits it while it makes a class."""
    from reviewer.cli import main

    def hit(*_: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise ValueError(f"no class: {error!r}") from None

    monkeypatch.setattr(main.cli, "invoke", hit)
    assert main.run(["rules", "list"]) == 130
    assert capsys.readouterr().err == "reviewer: interrupted\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
