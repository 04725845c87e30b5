"""``reviewer review``: what a patch series brings or removes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reviewer.cli.options import BRANCH, Options, options, split_inputs
from reviewer.errors import InputError

if TYPE_CHECKING:
    from reviewer.cli.session import Session
    from reviewer.review.prepare import Prepared, Question
    from reviewer.review.result import Reviewed, ReviewResult


@click.command()
@click.argument("inputs", metavar="[TREE] SERIES...", nargs=-1)
@options(positional=False, findings=True, rev=BRANCH)
@click.option("--base", metavar="REV", help="What the series applies to.  [default: found]")
@click.option("--staged", is_flag=True, help="Review what is staged in the index.")
@click.option("--range", "span", metavar="A..B", help="Review these commits.")
@click.option("--cumulative", is_flag=True, help="Compare the base with the last patch only.")
@click.option("--each", is_flag=True, help="Exit with 1 also for what a later patch mends.")
@click.option("--chain", metavar="NAME", help="Another notifier chain than the OOM killer's; `all` for every chain.")
def review(
    options: Options, inputs: tuple[str, ...], base: str | None, staged: bool, span: str | None, cumulative: bool,
    each: bool, chain: str | None,
) -> int:  # fmt: skip
    """Say what a patch series brings and removes, and what runs under other locks because of it.

    SERIES is an mbox, patch files, a folder of them, or - for standard input.
    """
    from reviewer.cli.exits import exit_code
    from reviewer.review.prepare import Question
    from reviewer.review.run import introduced

    options, series = split_inputs(options, inputs)
    if sum((bool(series), staged, span is not None)) != 1:
        raise InputError("give one of SERIES, --staged and --range", "`reviewer review --help` shows how")
    if base is not None and not series:
        raise InputError("--base is for a patch series", "leave it out")
    question = Question(
        inputs=series, staged=staged, span=span, base=base, branch=options.rev, cumulative=cumulative,
        index=index_of_hook() if staged else None, stdin=sys.stdin.buffer if sys.stdin is not None else None,
    )  # fmt: skip
    with reviewed(options, question, chain) as (opened, _, result):
        write(opened, result, chain)
        wanted = {id(r.finding) for r in asked_for(opened.options, result.findings)}
        counted = [finding for finding in introduced(result, each) if id(finding) in wanted]
        return exit_code(counted, result.skipped, opened.options.fail_floor)


def asked_for(options: Options, findings: Sequence[Reviewed]) -> list[Reviewed]:
    """Those on the user's paths and not in the user's baseline."""
    from reviewer.report import select

    known = select.read_baseline(options.baseline) if options.baseline else frozenset()
    kept = {id(f) for f in select.unknown(select.on_paths((r.finding for r in findings), options.path), known)}
    return [r for r in findings if id(r.finding) in kept]


def index_of_hook() -> Path | None:
    """The index of a ``git commit`` under way, as git tells its hooks; None for the repository's own."""
    named = os.environ.get("GIT_INDEX_FILE")
    return Path(named) if named else None


@contextmanager
def reviewed(
    options: Options, question: Question, chain: str | None = None
) -> Iterator[tuple[Session, Prepared, ReviewResult]]:
    """The review of a question, with the session and the trees that it was made in.

    :raises InputError: see :func:`reviewer.review.prepare.prepared`
    """
    from reviewer.cli import engine
    from reviewer.cli.output import check_output
    from reviewer.cli.session import session_of
    from reviewer.report import saved
    from reviewer.review.prepare import prepared

    check_output(options)
    with prepared(options.tree, question) as given, session_of(options, given.base) as opened:
        engine.check_rules(opened.options.rules, opened.rules_dirs)
        request = opened.request(chain if chain is not None else opened.settings.chain)
        result = engine.review(given, opened.store, opened.models(), request, opened.progress)
        saved.save_all(opened.store, result.tree_path, result.base, (r.finding for r in result.findings))
        yield opened, given, result


def write(opened: Session, result: ReviewResult, chain: str | None = None) -> None:
    """The report, in the format that is asked for."""
    from reviewer.cli import hosts
    from reviewer.cli.output import paint_for, say
    from reviewer.cli.output import write as write_out
    from reviewer.report import json_v1, review_text, select

    options = opened.options
    relevant = [r for r in asked_for(options, result.findings) if options.verbose or r.status != "unchanged"]
    shown = [r for r in relevant if select.confident([r.finding], options.floor)]
    if not options.quiet:
        for message in result.messages:
            say(f"reviewer: {message}")
    if options.format == "json":
        write_out(options, json_v1.encode(json_v1.review_report(result, shown)))
        return
    if options.format in hosts.FORMATS:
        write_out(options, hosts.review_report(opened, result, shown, chain if chain is not None else opened.settings.chain))
        return
    hidden = sum(r.status != "unchanged" for r in relevant) - sum(r.status != "unchanged" for r in shown)
    text = review_text.review_text(
        result, shown, hidden=hidden, floor=options.floor, paint=paint_for(options), brief=options.quiet, verbose=options.verbose
    )
    write_out(options, text)
