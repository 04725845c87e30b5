"""Progress on a terminal, and -o FILE."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from reviewer.cli.options import Options, default_store
from reviewer.cli.output import Progress, check_output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(True) as progress:
        for done in range(1000):
            progress("reading \x1b[2J", done, 1000)
    text = terminal.getvalue()
    assert "reading \\x1b[2J" in text
    assert text.count("reading") < 50, "not once per file"
    assert "\n" not in text
    assert text.endswith("\r\x1b[K")


@pytest.mark.parametrize(("on", "stream"), [(False, Terminal), (True, io.StringIO)])
def test_no_progress_when_nobody_wants_it(
    on: bool, stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = stream()
    monkeypatch.setattr(sys, "stderr", output)
    with Progress(on) as progress:
        progress("reading", 1, 2)
    assert output.getvalue() == ""


def test_an_existing_report_is_not_touched_before_the_new_one_is_there(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("old")
    check_output(Options(output=str(report)))
    assert report.read_text() == "old"
    check_output(Options())


def test_the_cache_folder() -> None:
    assert default_store({"XDG_CACHE_HOME": "/c"}) == Path("/c/reviewer")
    for unusable in ({}, {"XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": "relative"}):
        assert default_store(unusable) == Path.home() / ".cache" / "reviewer"
