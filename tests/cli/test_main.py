"""The one error handler, with real processes where a process is what matters."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reviewer import __version__
from reviewer.cli import engine, main
from reviewer.errors import InputError, MissingContent, ReviewerError, StoreError

if TYPE_CHECKING:
    from conftest import Library, Outcome

    Reviewer = Callable[..., Outcome]

MAIN = "from reviewer.cli.main import main; main()"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("a.c: is bad", "make it good"), 2, "reviewer: a.c: is bad; make it good\n"),
        (StoreError("the store is gone"), 2, "reviewer: the store is gone\n"),
        (MissingContent("a.c: absent"), 3, "reviewer: a.c: absent\n"),
        (InputError("two\nlines \x1b[2J"), 2, "reviewer: two lines \\x1b[2J\n"),
        (KeyboardInterrupt(), 130, "reviewer: interrupted\n"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_errors_become_a_line_and_a_code(
    error: BaseException, code: int, line: str, reviewer: Reviewer, library: Library
) -> None:
    library.error = error
    assert reviewer("scan") == (code, "", line)
    assert library.trees[0].closed
    assert library.stores[0].closed


def test_a_bug_leaves_a_log(reviewer: Reviewer, library: Library, tmp_path: Path) -> None:
    library.error = ZeroDivisionError("of our\nown")
    outcome = reviewer("scan", "--chain", "pump_list")
    log = tmp_path / "cache" / "reviewer" / "crash.log"
    assert outcome.code == 2
    assert outcome.err == (
        f"reviewer: unexpected ZeroDivisionError: of our own; please report it with {log}\n"
    )
    text = log.read_text()
    assert "Traceback" in text
    assert "['scan', '--chain', 'pump_list']" in text
    assert __version__ in text


def test_a_bug_without_a_place_for_the_log(
    reviewer: Reviewer, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    library.error = ZeroDivisionError("ours")
    outcome = reviewer("scan")
    assert outcome.code == 2
    assert "Traceback" in outcome.err
    assert outcome.err.endswith("please report it with the lines above\n")


def test_a_part_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (("nowhere", "ask"), ("errors", "ask")):
        with pytest.raises(ReviewerError, match=f"cannot answer that: it has no reviewer.{module}.ask"):
            engine._library(module, name)
    assert engine._library("errors", "ReviewerError") is ReviewerError


def test_help_and_version(reviewer: Reviewer) -> None:
    assert reviewer("--version").out == f"reviewer {__version__}\n"
    outcome = reviewer("scan", "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert "--min-confidence" in outcome.out


def test_no_verb_and_an_unknown_verb(reviewer: Reviewer) -> None:
    assert reviewer().code == 2
    outcome = reviewer("sacn")
    assert outcome.code == 2
    assert outcome.err == "reviewer: No such command 'sacn'. Did you mean 'scan'?; see `reviewer --help`\n"


def process(*arguments: str, **settings: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", MAIN, *arguments], stderr=subprocess.PIPE, **settings)  # type: ignore[call-overload, no-any-return]


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    started = process("scan", "--help", stdout=write)
    os.close(write)
    assert started.communicate(timeout=30)[1] == b""
    assert started.returncode == 0


def test_standard_output_on_a_full_disk() -> None:
    with Path("/dev/full").open("wb") as full:
        started = process("scan", "--help", stdout=full)
        error = started.communicate(timeout=30)[1]
    assert error == b"reviewer: standard output: No space left on device; make room, or write elsewhere\n"
    assert started.returncode == 2


def test_interrupted_while_a_class_is_made(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def hit(*_: object) -> None:
        raise RuntimeError("Error calling __set_name__") from KeyboardInterrupt()

    monkeypatch.setattr(engine, "open_tree", hit)
    assert main.run(["scan"]) == 130
    assert capsys.readouterr().err == "reviewer: interrupted\n"


def test_interrupted() -> None:
    code = (
        "import sys, time; from reviewer.cli import engine, main\n"
        "def slow(*a): print('ready', flush=True); time.sleep(60)\n"
        "engine.open_tree = slow; sys.exit(main.run(['scan']))"
    )
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert started.stdout is not None
    assert started.stdout.readline() == b"ready\n"
    started.send_signal(signal.SIGINT)
    assert started.communicate(timeout=30)[1] == b"reviewer: interrupted\n"
    assert started.returncode == 130


def test_verbs_are_found_without_importing_the_analysis() -> None:
    show = "print('|', *sys.modules)"
    code = f"import sys; sys.argv = ['reviewer', '--help']\ntry:\n    {MAIN}\nfinally:\n    {show}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    loaded = set(done.stdout.rpartition("|")[2].split())
    assert "reviewer.cli.scan" in loaded
    assert not loaded & {"networkx", "tree_sitter", "pydantic", "yaml", "msgspec", "git", "sqlite3"}


@pytest.mark.parametrize(
    ("command", "error", "code"),
    [
        ("store stats --store {} >&-", b"reviewer: standard output is closed; give -o FILE\n", 2),
        ("store stats --store {} >/dev/full", b"reviewer: standard output: No space left on device", 2),
        ("store stats --store {} --frob 2>&-", b"", 2),
        ("scan /no/such/tree 2>/dev/full", b"", 2),
        ("store stats --store {} -o {}/out >&- 2>&-", b"", 0),
    ],
)
def test_streams_that_are_closed_or_full(command: str, error: bytes, code: int, tmp_path: Path) -> None:
    line = f'exec "$0" -c "{MAIN}" {command.replace("{}", str(tmp_path))}'
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(["sh", "-c", line, sys.executable], capture_output=True, timeout=30, env=buffered)
    assert done.stderr.startswith(error)
    assert done.stderr.count(b"\n") == bool(error)
    assert done.returncode == code


def test_a_name_that_the_terminal_cannot_show() -> None:
    settings = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "scan", "/no/caf\u00e9".encode() + b"\xff"],
        capture_output=True, timeout=30, env=settings,
    )  # fmt: skip
    assert done.stderr.startswith(b"reviewer: /no/caf\\xe9\\xff: no such directory")
    assert done.returncode == 2
