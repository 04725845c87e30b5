"""Programs of small trees, read from disk with no store."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reviewer.checks.result import ScanRequest
from reviewer.checks.run import open_program
from reviewer.data import fixtures_dir
from reviewer.program.api.load import load_models
from reviewer.program.linked.link import Program
from reviewer.source.tree import open_tree
from reviewer.store.factstore import NullStore

MakeProgram = Callable[[dict[str, str]], Program]

HEADER = """
struct mutex { int count; };
struct rw_semaphore { int count; };
typedef struct spinlock { int raw; } spinlock_t;
struct work_struct { void (*func)(struct work_struct *work); };
struct timer_list { void (*function)(struct timer_list *timer); };
struct notifier_block { int (*notifier_call)(struct notifier_block *nb, unsigned long action, void *data); };
struct blocking_notifier_head { struct rw_semaphore rwsem; struct notifier_block *head; };
"""


def program_at(path: Path) -> Program:
    request = ScanRequest()
    return open_program(open_tree(str(path), None), NullStore(), load_models(), request, lambda *_: None)


@pytest.fixture
def make_program(tmp_path: Path) -> MakeProgram:
    """Files by path to the linked program of a tree that holds them."""

    def make(files: dict[str, str]) -> Program:
        for name, text in {"Makefile": "VERSION = 6\n", "Kbuild": "", **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return program_at(tmp_path)

    return make


@pytest.fixture
def oom() -> Program:
    """The miniature of the OOM killer and its notifier's users."""
    return program_at(fixtures_dir() / "oom")


@pytest.fixture(scope="module")
def kernel() -> Program:
    """Debian's 6.12."""
    tree = Path(os.environ.get("KERNELS", "~/kernels")).expanduser() / "linux-source-6.12"
    if not tree.exists():
        pytest.skip("no linux-source-6.12 below $KERNELS")
    return program_at(tree)


@pytest.fixture
def program_of(tmp_path: Path) -> Callable[..., Program]:
    """A program of one file ``drivers/pump.c``, or of files by name (``drivers__pump_c``)."""

    def make(text: str = "", **files: str) -> Program:
        given = {name.replace("__", "/").replace("_c", ".c"): body for name, body in files.items()}
        if text:
            given["drivers/pump.c"] = text
        for name, body in {"include/linux/demo.h": HEADER, **given}.items():
            path = tmp_path / "linux" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
        return program_at(tmp_path / "linux")

    return make
