"""``reviewer rules``: the rule set, and a rule's own examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reviewer.cli.options import Options, options
from reviewer.errors import InputError

if TYPE_CHECKING:
    from reviewer.checks.examples import Mark

KERNEL_FOLDERS = (
    "arch",
    "block",
    "drivers",
    "fs",
    "include",
    "kernel",
    "lib",
    "mm",
    "net",
    "security",
    "sound",
)
"""One of them at its top makes a folder a kernel tree."""


@click.group()
def rules() -> None:
    """Look at the rules, and run a rule's own examples."""


@rules.command("list")
@options(tree=False, analysis=False, rules_dir=True, store=False)
def list_rules(options: Options) -> int:
    """List the rules, one line each."""
    from reviewer.cli import engine
    from reviewer.cli.output import check_output, paint_for, write
    from reviewer.cli.session import rules_dirs
    from reviewer.report import json_v1
    from reviewer.report.explain import rule_object
    from reviewer.report.plain import safe

    check_output(options)
    found = engine.all_rules(rules_dirs(options))
    if options.format == "json":
        write(options, json_v1.encode({**json_v1.tool(), "rules": [rule_object(one) for one in found]}))
        return 0
    paint = paint_for(options)
    wide = max((len(one.id) for one in found), default=0)
    lines = [
        f"{paint(one.id.ljust(wide), 'bold')}  {one.severity.ljust(7)}  {safe(one.title)}\n" for one in found
    ]
    write(options, "".join(lines))
    return 0


@rules.command()
@click.argument("id", metavar="ID")
@options(tree=False, analysis=False, rules_dir=True, store=False)
def show(options: Options, id: str) -> int:
    """Show everything that rule ID says of itself."""
    from reviewer.cli.explain import explain_rule
    from reviewer.cli.output import check_output

    check_output(options)
    return explain_rule(options, id)


@rules.command()
@click.argument("folder", metavar="PATH")
@options(tree=False, analysis=True, store=False)
def test(options: Options, folder: str) -> int:
    """Run the examples in PATH: a small kernel tree with marks in its comments, or a folder of such trees.

    A mark is a comment on the line of a finding: expect: RULE CONFIDENCE "text", quiet: RULE - why, or
    miss: RULE - why. A line without a mark must be silent. Exits with 1 where the two differ.
    """
    from reviewer.checks.examples import marks
    from reviewer.cli.output import check_output, write
    from reviewer.report import json_v1
    from reviewer.report.plain import plural, safe

    check_output(options)
    if not Path(folder).is_dir():
        raise InputError(f"{folder}: not a folder", "name a folder with marked C files, such as fixtures/oom")
    found = {tree: marks(tree) for tree in example_trees(Path(folder))}
    count = sum(map(len, found.values()))
    if not count:
        raise InputError(
            f"{folder}: no marks in it", 'write /* expect: RULE CONFIDENCE "text" */ beside a line'
        )
    problems = [problem for tree, own in found.items() for problem in _differences(options, tree, own)]
    if options.format == "json":
        write(options, json_v1.encode({**json_v1.tool(), "marks": count, "problems": problems}))
    else:
        lines = [f"{safe(problem)}\n" for problem in problems]
        write(options, "".join([*lines, f"{plural(count, 'mark')}, {plural(len(problems), 'problem')}\n"]))
    return 1 if problems else 0


def example_trees(path: Path) -> list[Path]:
    """``path`` itself where it looks like a kernel tree, else the trees below it."""
    from reviewer.checks.examples import trees

    is_tree = any(path.glob("*.[ch]")) or any((path / name).is_dir() for name in KERNEL_FOLDERS)
    return [path] if is_tree else trees(path)


def _differences(options: Options, tree: Path, marks: Sequence[Mark]) -> Iterator[str]:
    """How the findings in one tree differ from its marks, as lines."""
    from dataclasses import replace

    from reviewer.checks.examples import compare
    from reviewer.cli import engine
    from reviewer.cli.session import session

    with session(replace(options, tree=str(tree), no_store=True)) as opened:
        request = opened.request(everything=True)
        result = engine.scan(opened.tree, opened.store, opened.models(), request, opened.progress)
    yield from (f"{tree}/{problem}" for problem in compare(marks, result.findings))
    yield from (f"{tree}/{file}: skipped: {reason}" for file, reason in result.skipped)
