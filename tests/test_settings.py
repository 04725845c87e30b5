"""``.reviewer.toml``: what it may say and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from reviewer.errors import RuleError
from reviewer.settings import Settings, choose, read_settings


def test_every_key(tmp_path: Path) -> None:
    (tmp_path / "my").mkdir()
    text = b"""
format = "json"
min-confidence = "low"
fail-on = "never"
color = "always"
chain = "pump_list"
rules = ["a-b", "c-d"]
path = "mm"
config = ".config"
baseline = "my/old.json"
rules-dir = ["my"]
jobs = 4
"""
    assert read_settings(text, "s", tmp_path) == Settings(
        format="json",
        min_confidence="low",
        fail_on="never",
        color="always",
        chain="pump_list",
        rules=("a-b", "c-d"),
        path=("mm",),
        config=f"{tmp_path}/.config",
        baseline=f"{tmp_path}/my/old.json",
        rules_dir=(f"{tmp_path}/my",),
        jobs=4,
    )
    assert read_settings(b"", "s", None) == Settings()


def test_who_wins() -> None:
    assert choose("option", "setting", "default") == "option"
    assert choose(None, "setting", "default") == "setting"
    assert choose(None, None, "default") == "default"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"x = 1\n", r"^s:1: unknown key 'x'; known keys: "),
        (b"\n\n[table]\na = 1\n", r"^s:3: unknown key 'table'"),
        (b"# x\n'odd key' = 1\n", r"^s:2: unknown key 'odd key'"),
        (b"[[x]]\n", r"^s:1: unknown key 'x'"),
        (b"jobs = true\n", r"^s:1: jobs is True; use a number from 1"),
        (b"jobs = 1000\n", r"jobs is 1000"),
        (b'jobs = "2"\n', r"jobs is '2'"),
        (b"format = 3\n", r"^s:1: format is 3; use one of text, json"),
        (b"format = []\n", r"format is \[\]"),
        (b'min-confidence = "never"\n', r"use one of high, medium, low"),
        (b"rules = [1]\n", r"rules is 1; use a text in quotes"),
        (b"rules = 1\n", r"rules is 1; use a list of texts"),
        (b'path = [""]\n', r"path is ''"),
        (b"chain = 1979-05-27\n", r"chain is datetime"),
        (b'store = "x"\n', r"store cannot be set by a tree, .*; give --store on the command line"),
        (b"no-store = true\n", r"no-store cannot be set by a tree"),
        (b'output = "x"\n', r"output cannot be set by a tree"),
        (b'executor = "dask://h:1"\n', r"executor cannot be set by a tree"),
        (b"a = 1\na = 2\n", r"^s:2: not TOML: "),
        (b"a = \n", r"^s:1: not TOML: Invalid value; write"),
        (b"\xff\n", r"^s: not UTF-8"),
        (b"x = 1\n" * 20_000, r"^s: 120000 bytes, more than 65536"),
        (b"a = " + b"[" * 30_000, r"^s(:1)?: (nested too deeply|not TOML)"),
    ],
)
def test_what_is_refused(text: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=says) as caught:
        read_settings(text, "s", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["config", "baseline", "rules-dir"])
@pytest.mark.parametrize(
    "path", ["/etc", "../other", "sub/../../other", "link", "link/deeper", "~/x/../../.."]
)
def test_no_path_leaves_the_tree(key: str, path: str, tmp_path: Path) -> None:
    root = tmp_path / "linux"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    text = f"{key} = {path!r}\n".encode()
    if path.startswith("~"):
        # Not expanded: a folder of the tree that is called "~".
        read_settings(f"{key} = '~/x'\n".encode(), "s", root)
    with pytest.raises(RuleError, match=f"^s:1: {key} .* lies outside of the tree; give --{key} on"):
        read_settings(text, "s", root)


def test_a_bare_repository_cannot_name_paths() -> None:
    with pytest.raises(RuleError, match="config needs a tree on disk"):
        read_settings(b"config = '.config'\n", "s", None)
