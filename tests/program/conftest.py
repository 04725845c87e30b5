"""A program out of a few lines of C."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reviewer.checks.result import ScanRequest
from reviewer.checks.run import open_program
from reviewer.program.api import load_models
from reviewer.program.link import Program
from reviewer.source.tree import open_tree
from reviewer.store.factstore import NullStore

MakeProgram = Callable[[dict[str, str]], Program]


@pytest.fixture
def make_program(tmp_path: Path) -> MakeProgram:
    """Files by path to the linked program of a tree that holds them."""

    def make(files: dict[str, str]) -> Program:
        for name, text in {"Makefile": "VERSION = 6\n", "Kbuild": "", **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return open_program(
            open_tree(str(tmp_path), None), NullStore(), load_models(), ScanRequest(), lambda what, done, of: None
        )

    return make
