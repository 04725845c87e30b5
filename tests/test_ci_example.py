"""The example workflow calls what is there, and the page about formats names no other options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from reviewer.cli.main import cli
from reviewer.cli.options import FINDING_FORMATS

DOCS = Path(__file__).resolve().parents[1] / "docs"
WORKFLOW: dict[Any, Any] = yaml.safe_load((DOCS / "ci" / "github.yml").read_text())
PAGE = (DOCS / "formats.md").read_text()


def steps() -> list[dict[str, Any]]:
    (job,) = WORKFLOW["jobs"].values()
    return list(job["steps"])


def calls() -> Iterator[list[str]]:
    """The words of each command line that runs reviewer, up to what the shell takes."""
    for step in steps():
        for line in step.get("run", "").replace("\\\n", " ").splitlines():
            words = shlex.split(line)
            if words[:1] == ["reviewer"]:
                yield words[: words.index("||")] if "||" in words else words


def parameters(verb: str) -> dict[str, click.Option]:
    found = (p for p in cli.commands[verb].params if isinstance(p, click.Option))
    return {name: parameter for parameter in found for name in (*parameter.opts, *parameter.secondary_opts)}


def test_it_runs_on_pull_requests_and_may_upload() -> None:
    assert set(WORKFLOW[True]) == {"pull_request"}, "YAML reads `on` as true"
    assert WORKFLOW["permissions"] == {"contents": "read", "security-events": "write"}


def test_the_history_is_there() -> None:
    checkout = next(step for step in steps() if step.get("uses", "").startswith("actions/checkout@"))
    assert checkout["with"]["fetch-depth"] == 0
    assert "filter" not in checkout["with"]


def test_every_call_is_one_that_the_parser_takes() -> None:
    found = list(calls())
    assert [next(w for w in call if w in FINDING_FORMATS) for call in found] == ["github", "sarif"]
    for _, verb, *rest in found:
        cli.commands[verb].make_context(verb, list(rest))
        known = parameters(verb)
        assert [word for word in rest if word.startswith("-") and word not in known] == []


def test_a_slip_in_a_call_would_be_seen() -> None:
    with pytest.raises(click.UsageError):
        cli.commands["review"].make_context("review", ["--range", "A..B", "--comulative"])


def test_what_is_written_is_what_is_uploaded() -> None:
    written = {call[call.index("-o") + 1] for call in calls() if "-o" in call}
    script = next(step["run"] for step in steps() if "jq" in step.get("run", ""))
    upload = next(step for step in steps() if step.get("uses", "").startswith("github/codeql-action/upload-sarif@"))
    assert all(name in script.split("jq")[1] for name in written)
    assert script.rstrip().endswith(f"> {upload['with']['sarif_file']}")


def test_every_expression_is_closed() -> None:
    text = (DOCS / "ci" / "github.yml").read_text()
    assert text.count("${{") == text.count("}}") == len(re.findall(r"\$\{\{[^{}]+\}\}", text))


def test_the_page_names_only_options_that_are_there() -> None:
    known = {*parameters("scan"), *parameters("review")}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    assert named <= known
    assert all(f"--format {format}" in PAGE for format in FINDING_FORMATS if format not in ("text", "json"))


def test_the_pages_that_it_links_to_exist() -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", PAGE):
        assert (DOCS / target).exists()
