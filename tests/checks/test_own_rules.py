"""Rules that are only data: what they find in a marked tree, what of them cannot be read, and what they inherit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reviewer.checks.registry import all_rules, checks
from reviewer.cli.main import run
from reviewer.data import fixtures_dir
from reviewer.errors import RuleError

HERE = Path(__file__).parent / "own_rules"

GOOD = """\
id: pump-asks
title: a pump must not ask
severity: error
what: A callback asks the controller.
why: The controller waits for the callback.
mend: Do not ask it there.
source: include/pump.h
forbid:
  below: {chain: pump_list}
  reach: {call: pump_ask}
"""


@pytest.fixture
def rules_test(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str]]]:
    def command(tree: Path, *extra: str) -> tuple[int, list[str]]:
        code = run(["rules", "test", str(tree), "--format", "json", *extra])
        found = json.loads(capsys.readouterr().out)
        assert found["marks"]
        return code, found["problems"]

    return command


def test_the_marks_of_the_tree(rules_test: Callable[..., tuple[int, list[str]]]) -> None:
    assert rules_test(HERE / "tree", "--rules-dir", str(HERE / "rules")) == (0, [])


@pytest.mark.parametrize("rule", sorted(path.stem for path in (HERE / "rules").glob("*.yaml")))
def test_every_rule_has_marks_of_both_kinds(
    rules_test: Callable[..., tuple[int, list[str]]], rule: str, tmp_path: Path
) -> None:
    """And without the rule its expectations fail, so nothing else meets them."""
    text = "".join(path.read_text() for path in (HERE / "tree").rglob("*.c"))
    assert f"expect: {rule} " in text and f"quiet: {rule} " in text
    shutil.copytree(HERE / "rules", tmp_path / "rules")
    (tmp_path / "rules" / f"{rule}.yaml").unlink()
    code, problems = rules_test(HERE / "tree", "--rules-dir", str(tmp_path / "rules"))
    assert code == 1
    assert all(f"missing: {rule}: " in problem for problem in problems)


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        ("pump-chain-asks-nobody", "unless: {through: pump_idle}", ""),
        ("pump-chain-leaves-the-pipe", 'unless: {holding: "*valve_lock"}', ""),
        ("pump-flush-without-reclaim", ", without: [__GFP_NORETRY]", ""),
        ("pump-flush-without-reclaim", "flags: __GFP_DIRECT_RECLAIM, ", ""),
        ("pump-chain-asks-nobody", "below: {chain: pump_list}", 'below: {chain: "*"}'),
        ("pump-needs-reclaim", "only: {chain: pump_list, files: drivers/pump}", "only: {files: kernel}"),
    ],
)
def test_every_part_of_a_rule_counts(
    rules_test: Callable[..., tuple[int, list[str]]], tmp_path: Path, rule: str, old: str, new: str
) -> None:
    shutil.copytree(HERE / "rules", tmp_path / "rules")
    file = tmp_path / "rules" / f"{rule}.yaml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    code, problems = rules_test(HERE / "tree", "--rules-dir", str(tmp_path / "rules"))
    assert code == 1 and all(rule in problem for problem in problems)


def test_what_runs_when(capsys: pytest.CaptureFixture[str]) -> None:
    """Chains by the question, the rest with --all or by name."""

    def found(*extra: str) -> set[str]:
        run(["scan", str(HERE / "tree"), "--rules-dir", str(HERE / "rules"), "--no-store", "--format", "json", *extra])
        return {one["rule"] for one in json.loads(capsys.readouterr().out)["findings"]}

    assert found() == set()
    chain = {"pump-chain-asks-nobody", "pump-chain-leaves-the-pipe", "pump-needs-reclaim", "callback-needs-reclaim"}
    assert found("--chain", "pump_list") == chain
    assert found("--chain", "other_list") == set()
    tree = {"pump-flush-without-reclaim", "pump-work-waits-for-none", "pump-reset-is-quiet"}
    assert found("--all") == chain | tree
    assert found("--rules", "pump-reset-is-quiet") == {"pump-reset-is-quiet"}


def test_own_severity_and_texts_for_one_of_ours(tmp_path: Path) -> None:
    (tmp_path / "missing-freed-update.yaml").write_text("id: missing-freed-update\nseverity: error\ntitle: pay what you owe\n")
    rules = {one.id: one for one in all_rules([tmp_path])}
    before = {one.id: one for one in all_rules()}
    assert set(rules) == set(before)
    mine = rules["missing-freed-update"]
    assert (mine.severity, mine.title) == ("error", "pay what you owe")
    assert mine.why == before["missing-freed-update"].why
    assert before["missing-freed-update"].severity == "warning"

    from reviewer.checks.result import ScanRequest
    from reviewer.checks.run import scan
    from reviewer.program.api.load import load_models
    from reviewer.source.tree import open_tree
    from reviewer.store.factstore import NullStore

    request = ScanRequest(rules=("missing-freed-update",), rules_dirs=(str(tmp_path),))
    result = scan(open_tree(str(fixtures_dir() / "oom")), NullStore(), load_models(), request, lambda *_: None)
    assert {f.severity for f in result.findings} == {"error"}


def test_a_later_folder_wins(tmp_path: Path) -> None:
    for name, title in (("one", "the first of them"), ("two", "the second of them")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pump-asks.yaml").write_text(GOOD.replace("a pump must not ask", title))
    rules = {one.id: one for one in all_rules([tmp_path / "one", tmp_path / "two"])}
    assert rules["pump-asks"].title == "the second of them"
    assert [c.id for c in checks([tmp_path / "one"]) if c.id == "pump-asks"] == ["pump-asks"]


BAD = [
    ("id: pump-asks", "id: Pump Asks", 1, "'id'"),
    ("id: pump-asks", "id: pump-other", 1, "the id is 'pump-other'; name the file pump-other.yaml"),
    ("severity: error", "severity: fatal", 3, "'severity' cannot be 'fatal'; use 'error' or 'warning'"),
    ("mend: Do not ask it there.\n", "", 1, "'mend' is missing; add 'mend:'"),
    ("mend:", "mned:", 6, "unknown key 'mned'; remove it or use one of: answers, confidence, family, forbid, "),
    ("source:", "like: callback-needs-reclaim\nsource:", 1, "both 'like' and 'forbid'; make two rules of it"),
    ("{chain: pump_list}", "{chian: pump_list}", 9, "unknown key 'chian'; remove it or use one of: chain, files, function"),
    ("{chain: pump_list}", "{}", 9, "'below': no start; give one of: chain, function, table, registered"),
    ("{chain: pump_list}", "{chain: a, function: b}", 9, "'below': chain and function at once"),
    ("{chain: pump_list}", "{registered: work}", 9, "add 'files:' with a folder"),
    ("{chain: pump_list}", "{table: pump_ops}", 9, "'table'"),
    ("{chain: pump_list}", "{chain: []}", 9, "'chain'"),
    ("{chain: pump_list}", "{chain: 7}", 9, "'chain'"),
    ("{call: pump_ask}", "{wait: forever}", 10, "'wait' cannot be 'forever'; use 'event'"),
    ("{call: pump_ask}", "{}", 10, "'reach': nothing is forbidden; give one of: call, allocation, lock, wait"),
    ("{call: pump_ask}", "{allocation: {flags: [GFP KERNEL]}}", 10, "'flags'"),
    ("  reach: {call: pump_ask}\n", "", 8, "'reach' is missing"),
    ("  reach: {call: pump_ask}", "  reach: {call: pump_ask}\n  reach: {call: other}", 11, "'reach' stands twice"),
    ("forbid:\n  below", "forbid:\n\tbelow", 9, "mend the YAML there"),
]


@pytest.mark.parametrize(("old", "new", "line", "what"), BAD, ids=[new[:30] for _, new, _, _ in BAD])
def test_a_broken_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, line: int, what: str) -> None:
    """From the command line: 2, and one line with file, line, what, and how to mend it."""
    assert GOOD.count(old) == 1
    file = tmp_path / "pump-asks.yaml"
    file.write_text(GOOD)
    assert [one.id for one in all_rules([tmp_path]) if one.id == "pump-asks"]
    file.write_text(GOOD.replace(old, new))
    for command in (["scan", str(HERE / "tree"), "--no-store", "--all"], ["rules", "list"], ["explain", "pump-asks"]):
        code = run([*command, "--rules-dir", str(tmp_path)])
        out, err = capsys.readouterr()
        assert (code, out) == (2, "")
        assert err.startswith(f"reviewer: {file}:{line}: ") and err.count("\n") == 1, err
        assert what in err, err
        assert "; " in err, "how to mend it"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("id: pump-asks\ntitle: a pump must not ask\n", "1: the rule does not say what it looks for; add 'like:'"),
        ("id: pump-asks\nlike: lock-order\n", "2: there is no rule 'lock-order' to be like; use one of callback-needs-reclaim,"),
        ("id: pump-asks\nonly: {chain: x}\n", "'only' without 'like'"),
        ("- id: pump-asks\n", "1: "),
        ("", "1: "),
        ("id: pump-asks\nlike: &a callback-needs-reclaim\ntitle: *a\n", "3: an alias"),
        ("id: [\n", "mend the YAML there"),
    ],
)
def test_a_rule_that_is_none(tmp_path: Path, text: str, what: str) -> None:
    file = tmp_path / "pump-asks.yaml"
    file.write_text(text)
    with pytest.raises(RuleError) as error:
        all_rules([tmp_path])
    assert str(error.value).startswith(f"{file}:")
    assert what in str(error.value)


def test_a_rule_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "pump-asks.yaml").write_bytes(GOOD.replace("must", "m\udcffst").encode("utf-8", "surrogateescape"))
    with pytest.raises(RuleError, match=r"pump-asks\.yaml:2: not UTF-8; save the file as UTF-8"):
        all_rules([tmp_path])
