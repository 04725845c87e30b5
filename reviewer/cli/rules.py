"""``reviewer rules``: the rule set, and a rule's own examples."""

from __future__ import annotations

from pathlib import Path

import click

from reviewer.cli.options import Options, options
from reviewer.errors import InputError


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
@click.argument("path", metavar="PATH")
@options(tree=False, rules_dir=True, store=False)
def test(options: Options, path: str) -> int:
    """Run the examples in PATH: a small kernel tree with marks in its comments, or a folder of such trees.

    A mark is a comment on the line of a finding: expect: RULE CONFIDENCE "text", quiet: RULE - why, or
    miss: RULE - why. A line without a mark must be silent. Exits with 1 where the two differ.
    """
    from reviewer.cli import engine
    from reviewer.cli.output import check_output, write
    from reviewer.cli.session import rules_dirs
    from reviewer.report.plain import plural, safe

    check_output(options)
    if not Path(path).is_dir():
        raise InputError(f"{path}: not a folder", "name a folder with marked C files, such as fixtures/oom")
    lines: list[str] = []
    marks = problems = 0
    for outcome in engine.run_examples(Path(path), rules_dirs(options), options.processes):
        marks += outcome.marks
        problems += len(outcome.problems)
        lines.extend(f"{safe(line)}\n" for line in outcome.problems)
    if not marks:
        raise InputError(
            f"{path}: no marks in it", 'write /* expect: RULE CONFIDENCE "text" */ beside a line'
        )
    lines.append(f"{plural(marks, 'mark')}, {plural(problems, 'problem')}\n")
    write(options, "".join(lines))
    return 1 if problems else 0
