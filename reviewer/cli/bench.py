"""``reviewer bench``: recall on known bugs, false alarms on harmless patches."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reviewer.cli.options import Options, options
from reviewer.errors import InputError, ReviewerError

if TYPE_CHECKING:
    from reviewer.checks.registry import Rule
    from reviewer.review.bench import Verdict
    from reviewer.review.cases import Case


EACH = 8
"""Cases that a process takes on; then a fresh one follows, for what it keeps in memory only grows."""


@click.command()
@click.argument("cases", metavar="CASES.yaml")
@options(positional=False, formats=("text", "json"))
@click.option("--only", metavar="ID", multiple=True, help="Only this case (repeat).")
def bench(options: Options, cases: str, only: tuple[str, ...]) -> int:
    """Apply each case of CASES.yaml to TREE as a patch, review it, and count what is found.

    TREE is a git repository; fill its store first, by `reviewer index`.
    """
    from reviewer.checks.registry import all_rules
    from reviewer.cli.output import Progress, check_output, paint_for, write
    from reviewer.cli.session import rules_dirs
    from reviewer.report import bench as report
    from reviewer.report import json_v1
    from reviewer.review.bench import summary
    from reviewer.review.cases import read_cases

    check_output(options)
    chosen = [c for c in read_cases(Path(cases)) if not only or c.id in only]
    unknown = set(only) - {c.id for c in chosen}
    if unknown:
        raise InputError(f"{cases}: no case {', '.join(sorted(unknown))}", "name one that is there")
    rules = all_rules(rules_dirs(options))
    verdicts: list[Verdict] = []
    with Progress(not options.quiet) as progress:
        for verdict in judged(options, chosen, rules):
            verdicts.append(verdict)
            progress("cases", len(verdicts), len(chosen))
    figures = summary(verdicts)
    if options.format == "json":
        write(options, json_v1.encode(report.document(verdicts, figures)))
    else:
        paint = paint_for(options)
        write(options, "".join(report.line(v, paint) for v in verdicts) + report.table(figures))
    return 3 if figures.failed else 0


def judged(options: Options, cases: Sequence[Case], rules: Sequence[Rule]) -> Iterator[Verdict]:
    """The verdicts, in the order of the cases."""
    from reviewer.workers import pool

    processes = min(options.processes, len(cases))
    scan_base(options)  # once, rather than by every process
    if processes < 2:
        for case in cases:
            yield one(options, case, rules)
            gc.collect()  # two programs, which hold each other's parts in circles, are done with
        return
    single = replace(options, jobs=1, quiet=True)
    with pool(processes, partial(_start, single, cases, rules), EACH) as workers:
        yield from workers.imap(_one, range(len(cases)))


_inherited: tuple[Options, Sequence[Case], Sequence[Rule]] | None = None


def _start(options: Options, cases: Sequence[Case], rules: Sequence[Rule]) -> None:
    """In a worker: what all of its cases have in common."""
    global _inherited
    _inherited = options, cases, rules


def _one(number: int) -> Verdict:
    assert _inherited is not None
    options, cases, rules = _inherited
    return one(options, cases[number], rules)


def scan_base(options: Options) -> None:
    """Have the store know what the rules about chains say of the tree as it is."""
    from reviewer.cli import engine
    from reviewer.cli.session import session

    with session(options) as opened:
        request = opened.request(opened.settings.chain)
        engine.scan(opened.tree, opened.store, opened.models(), request, opened.progress)


def one(options: Options, case: Case, rules: Sequence[Rule]) -> Verdict:
    """Review one case."""
    from reviewer.cli import engine
    from reviewer.cli.review import reviewed
    from reviewer.review.bench import failed, judge
    from reviewer.review.cases import as_patch
    from reviewer.review.prepare import Question

    start = time.monotonic()
    try:
        tree = engine.open_tree(options.tree, options.rev)
        try:
            patch = as_patch(case, tree)
            base = tree.rev
        finally:
            tree.close()
        question = Question(inputs=("-",), base=base, stdin=BytesIO(patch))
        with reviewed(options, question) as (_, _, result):
            return judge(case, result.findings, rules, time.monotonic() - start)
    except ReviewerError as error:
        return failed(case, str(error), time.monotonic() - start)
