"""A module imports only from its own folder or from folders above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import reviewer

LAYERS = ("", "source", "parse", "store", "program", "checks", "review", "report", "deliver", "cli")
"""From top to bottom. The first is the package's own files: errors, settings, data."""

PARTS = ("api", "index", "linked", "flow", "graph", "concurrency", "views")
"""Of ``program``, from top to bottom."""

PACKAGE = Path(reviewer.__file__).parent


def layer(module: str) -> str:
    """The folder of ``reviewer.folder.module``; empty for the package's own files."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else ""


def rank(module: str) -> tuple[int, int]:
    """How far down a module stands: its folder, and in ``program`` the folder in that."""
    parts = module.split(".")
    inner = parts[2] if len(parts) > 2 and parts[1] == "program" else ""
    return LAYERS.index(layer(module)), PARTS.index(inner) if inner in PARTS else 0


def imports(source: str, module: str, is_package: bool) -> Iterator[tuple[str, int]]:
    """Every module of ours that ``source`` imports, wherever: in functions and under TYPE_CHECKING, too.

    ``from reviewer import errors`` may mean a module or a name; both readings are given.
    """
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".") if is_package else module.split(".")[:-1]
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and _imports_by_text(node):
            argument = node.args[0]
            assert isinstance(argument, ast.Constant)
            names = [str(argument.value)]
        line = getattr(node, "lineno", 0)
        yield from ((name, line) for name in names if name.split(".")[0] == "reviewer")


def _imports_by_text(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return (
        name in ("import_module", "__import__") and bool(node.args) and isinstance(node.args[0], ast.Constant)
    )


def upward(source: str, module: str, is_package: bool = False) -> list[str]:
    """Imports of ``source`` that point down, as ``line: module``."""
    own = rank(module)
    found = imports(source, module, is_package)
    return sorted({f"{line}: {name}" for name, line in found if rank(name) > own})


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "_data" not in path.parts)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_up(path: Path) -> None:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    module = ".".join(parts[:-1] if is_package else parts)
    assert upward(path.read_text(), module, is_package) == []


def test_every_folder_has_a_layer() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders <= set(LAYERS)
    assert {path.parent.name for path in PACKAGE.glob("program/*/__init__.py")} == set(PARTS)


@pytest.mark.parametrize(
    "source",
    [
        "import reviewer.report.text",
        "from reviewer.report import text",
        "from reviewer import report",
        "from ..report import text",
        "from .. import report",
        "def f():\n    from reviewer.cli.main import run",
        "if TYPE_CHECKING:\n    from reviewer.checks.finding import Finding",
        "importlib.import_module('reviewer.checks.run')",
    ],
)
def test_downward_imports_are_seen(source: str) -> None:
    assert upward(source, "reviewer.parse.extract")


def test_the_parts_of_the_program_have_an_order() -> None:
    assert upward("from reviewer.program.flow.summaries import Summaries", "reviewer.program.linked.calls")
    assert not upward("from reviewer.program.linked.calls import Calls", "reviewer.program.flow.summaries")


@pytest.mark.parametrize(
    "source",
    [
        "from reviewer.errors import InputError",
        "from reviewer import __version__",
        "from reviewer.parse import facts",
        "from . import facts",
        "from reviewer.source.tree import Tree",
        "import json, reportlab",
    ],
)
def test_upward_imports_are_fine(source: str) -> None:
    assert upward(source, "reviewer.parse.extract") == []


def test_the_packages_own_files_import_no_folder() -> None:
    assert upward("from reviewer.parse import facts", "reviewer.errors")
