"""README and docs name every verb and option that the parser has, and no others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from reviewer.cli.main import cli

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
MANUAL = (ROOT / "docs" / "commands.md").read_text()

FOREIGN = {"--no-pager", "--amend", "--no-verify", "--all-files", "--check", "--no-cache"}
"""Options of other programs that the documents may name."""


def verbs(command: click.Command, path: str = "reviewer") -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, verb in command.commands.items():
            yield from verbs(verb, f"{path} {name}")
    else:
        yield path, command


VERBS = dict(verbs(cli))
OPTIONS = {
    option
    for verb in VERBS.values()
    for parameter in verb.params
    if isinstance(parameter, click.Option)
    for option in (*parameter.opts, *parameter.secondary_opts)
}


def named(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


@pytest.mark.parametrize("verb", [path.split()[1] for path in VERBS])
def test_readme_names_every_verb(verb: str) -> None:
    assert re.search(rf"reviewer {verb}\b", README)


@pytest.mark.parametrize("verb", VERBS)
def test_the_manual_has_a_line_for_every_verb(verb: str) -> None:
    assert re.search(rf"^#+ `{re.escape(verb)}\b", MANUAL, re.MULTILINE)


@pytest.mark.parametrize("option", sorted(OPTIONS))
def test_the_manual_names_every_option(option: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", MANUAL)


@pytest.mark.parametrize("text", [README, MANUAL], ids=["README", "manual"])
def test_no_option_is_named_that_is_not_there(text: str) -> None:
    known = OPTIONS | {"--help", "--version"} | FOREIGN
    assert named(text) - known == set()


@pytest.mark.parametrize("text", [README, MANUAL], ids=["README", "manual"])
def test_no_verb_is_named_that_is_not_there(text: str) -> None:
    called = set(re.findall(r"(?:^|[`/ ])reviewer ([a-z][a-z-]+)", "\n".join(code(text)), re.MULTILINE))
    assert called - set(cli.commands) == set()


def code(text: str) -> list[str]:
    """What the document shows as code: fenced blocks and `spans`."""
    return [
        *re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE),
        *re.findall(r"`[^`\n]+`", text),
    ]


def test_the_manual_has_every_exit_code() -> None:
    for number in (0, 1, 2, 3, 130):
        assert re.search(rf"^\| {number} \|", README, re.MULTILINE)


def test_every_setting_is_described() -> None:
    from reviewer.settings import KEYS

    section = MANUAL.split("## Settings", 1)[1]
    assert [key for key in KEYS if f"`{key}`" not in section] == []


def test_linked_files_exist() -> None:
    for document in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "commands.md"):
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
