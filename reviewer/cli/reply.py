"""``reviewer reply``: answers to a patch series, as mails in its thread."""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reviewer.cli.options import BRANCH, Options, options, split_inputs
from reviewer.errors import InputError

if TYPE_CHECKING:
    from reviewer.cli.session import Session
    from reviewer.source.patch import Author, Series

FROM = "reviewer <reviewer@localhost>"
"""Who speaks unless somebody says otherwise: an address that reaches nobody, for mails that nobody sends."""


@click.command()
@click.argument("inputs", metavar="[TREE] SERIES...", nargs=-1)
@options(positional=False, findings=True, rev=BRANCH, formats=("mbox",))
@click.option("--base", metavar="REV", help="What the series applies to.  [default: found]")
@click.option("--chain", metavar="NAME", help="Another notifier chain than the OOM killer's; `all` for every chain.")
@click.option(
    "--from", "sender", metavar="ADDRESS", envvar="REVIEWER_FROM", default=FROM, show_default=True,
    help="Who the mails are from; also $REVIEWER_FROM.",
)  # fmt: skip
def reply(options: Options, inputs: tuple[str, ...], base: str | None, chain: str | None, sender: str) -> int:
    """Write answers to a patch series: what it brings, below the lines that bring it.

    SERIES is an mbox, mails, a folder of them, or - for standard input. The answers are an mbox (mboxrd) of one mail for
    each patch that brings a hazard, or of one to the cover letter. Nothing is written where there is nothing to say.
    """
    from reviewer.checks.finding import at_least
    from reviewer.cli.exits import exit_code
    from reviewer.cli.output import say
    from reviewer.cli.output import write as write_out
    from reviewer.cli.review import asked_for, reviewed
    from reviewer.deliver.message import encode, mboxrd
    from reviewer.deliver.reply import Voice, mailed, replies
    from reviewer.review.prepare import Question
    from reviewer.source.tree import is_repository

    person = own_address(sender)
    options, series = split_inputs(options, inputs)
    if not series:
        raise InputError("give a SERIES to answer", "`reviewer reply --help` shows how")
    question = Question(
        inputs=series, base=base, branch=options.rev, stdin=sys.stdin.buffer if sys.stdin is not None else None
    )
    with reviewed(options, question, chain) as (opened, given, result):
        options = opened.options
        if not options.quiet:
            for message in (*result.messages, *without_thread(given.series)):
                say(f"reviewer: {message}")
        kept = asked_for(options, mailed(result.findings))
        in_git = is_repository(Path(options.tree))
        voice = Voice(
            sender=person, now=now(), rules=digest(opened, chain), arguments=arguments(opened, chain),
            base=given.commit if in_git else "", guessed=not given.sure,
        )  # fmt: skip
        mails = replies(given.series, result, [r for r in kept if at_least(r.finding.confidence, options.floor)], voice)
        if mails or stale(options.output):
            write_out(options, mboxrd(map(encode, mails)))
        return exit_code((r.finding for r in kept), result.skipped, options.fail_floor)


def own_address(text: str) -> Author:
    """:raises InputError: it is no address, or one with quotes and blanks in it."""
    from reviewer.deliver.message import is_address
    from reviewer.source.headers import person

    found = person(text.encode("utf-8", "surrogateescape"))
    if not is_address(found.email) or re.search(r"[\x00-\x1f\x7f]", text):
        raise InputError(f"--from {text!r}: no address", "write it like 'reviewer <reviewer@example.org>'")
    return found


def now() -> datetime:
    """The time, or what ``SOURCE_DATE_EPOCH`` says it is, so that a run can be repeated byte for byte."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH", "")
    if fixed.isascii() and fixed.isdigit() and len(fixed) < 12:
        return datetime.fromtimestamp(int(fixed), UTC)
    return datetime.now(UTC).replace(microsecond=0)


def digest(opened: Session, chain: str | None) -> str:
    """Eight digits for our code, rules and models."""
    import hashlib
    import json

    from reviewer.checks.memo import rests_on

    parts = [*rests_on(opened.models(), opened.request(chain))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]


def arguments(opened: Session, chain: str | None) -> tuple[str, ...]:
    """What a reader has to say to see the same, apart from the user's own files."""
    chosen = chain if chain is not None else opened.settings.chain
    found = [f"--rules={rule}" for rule in opened.options.rules]
    found += [f"--chain={chosen}"] if chosen is not None else []
    found += [f"--min-confidence={opened.options.min_confidence}"] if opened.options.min_confidence is not None else []
    return tuple(found)


def without_thread(series: Series) -> list[str]:
    """A line for the user where patches came from no mail."""
    lost = sum(not patch.message_id for patch in series.patches)
    return [f"{lost} of {len(series.patches)} patches have no Message-ID: an answer to them is in no thread"] if lost else []


def stale(output: str | None) -> bool:
    """Whether the answers to something else may lie where ours would: to leave them is to have them sent."""
    return output is not None and Path(output).is_file() and Path(output).stat().st_size > 0
