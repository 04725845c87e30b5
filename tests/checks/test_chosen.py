"""Which callers of a function a review looks at."""

from __future__ import annotations

from pathlib import Path

from reviewer.checks.chosen import with_callers
from reviewer.checks.result import ScanRequest
from reviewer.checks.run import open_program
from reviewer.program.api.load import load_models
from reviewer.source.tree import open_tree
from reviewer.store.factstore import NullStore

PUMP = """
struct pump { int level; };
void pump_free(struct pump *pump) { pump->level = 0; }
void pump_close(struct pump *pump) { pump_free(pump); }
"""
STATE = """
struct state { void (*pump_free)(struct state *state); };
void state_put(struct state *state) { state->pump_free(state); }
void state_drop(struct state state) { state.pump_free(&state); }
"""


def test_who_calls_a_member_of_that_name_is_no_caller(tmp_path: Path) -> None:
    for name, text in {"Makefile": "VERSION = 6\n", "Kbuild": "", "drivers/pump.c": PUMP, "fs/state.c": STATE}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    program = open_program(open_tree(str(tmp_path), None), NullStore(), load_models(), ScanRequest(), lambda *_: None)
    found = with_callers(program, program.functions("drivers/pump.c", "pump_free"))
    assert [f.name for f in found] == ["pump_free", "pump_close"]
