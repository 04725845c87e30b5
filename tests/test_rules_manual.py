"""One rule, four places: rules/ID.yaml, reviewer/checks/ID.py, fixtures/ID/ and its section in docs/rules.md."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from reviewer.checks import registry
from reviewer.checks.examples import trees

ROOT = Path(__file__).resolve().parent.parent
MANUAL = ROOT / "docs" / "rules.md"

SCENES = {"oom"}
"""Fixture trees for several rules at once."""


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_rules", ROOT / "docs" / "write_rules.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_one_id_four_places() -> None:
    rules = {path.stem for path in registry.rule_files(ROOT / "rules")}
    modules = {
        id
        for path in (ROOT / "reviewer" / "checks").glob("*.py")
        for id in [path.stem.replace("_", "-")]
        if re.search(r"^@(?:check|late|general)\(", path.read_text(), re.MULTILINE)
    }
    fixtures = {tree.name for tree in trees(ROOT / "fixtures")} - SCENES
    sections = set(re.findall(r"^### `([a-z0-9-]+)`$", MANUAL.read_text(), re.MULTILINE))
    assert rules == modules
    assert rules == fixtures
    assert rules == sections
    assert {one.id for one in registry.checks()} == rules


def test_the_manual_is_current(writer: ModuleType) -> None:
    text = MANUAL.read_text()
    assert writer.manual(text, registry.all_rules()) == text, "run docs/write_rules.py"


def test_the_writer_keeps_what_stands_around(writer: ModuleType) -> None:
    text = f"before\n{writer.BEGIN}stale words\n{writer.END}after\n"
    made = writer.manual(text, registry.all_rules()[:1])
    assert made.startswith("before\n") and made.endswith("after\n") and "stale words" not in made
    assert writer.manual(made, registry.all_rules()[:1]) == made


def test_the_examples_in_the_manual_are_rules(tmp_path: Path) -> None:
    """Each block that names a file is such a file."""
    found = dict(re.findall(r"```yaml\n# DIR/(\S+)\n(.*?)```", MANUAL.read_text(), re.DOTALL))
    assert {Path(name).parent.name for name in found} == {"", "api"}
    (tmp_path / "api").mkdir()
    for name, text in found.items():
        (tmp_path / name).write_text(text)
    ids = {one.id for one in registry.all_rules([tmp_path])}
    assert {Path(name).stem for name in found if "/" not in name} <= ids
    from reviewer.program.api.load import load_models

    assert any(o.chain == "pump_list" for o in load_models([tmp_path]).obligations)


def test_every_key_of_a_rule_is_described() -> None:
    from reviewer.checks import rule_schema

    text = MANUAL.read_text()
    for shape in (rule_schema.RuleSchema, rule_schema.OnlySchema, rule_schema.BelowSchema, rule_schema.ReachSchema,
                  rule_schema.UnlessSchema, rule_schema.ForbidSchema, rule_schema.AllocationSchema):  # fmt: skip
        for key in shape.model_fields:
            if key not in ("family", "confidence"):
                assert f"`{key}`" in text or f"\n{key}:" in text, key


def test_the_rule_files_are_plain_yaml() -> None:
    for path in registry.rule_files(ROOT / "rules"):
        assert yaml.safe_load(path.read_text())["id"] == path.stem
