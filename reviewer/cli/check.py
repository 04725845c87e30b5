"""``reviewer check``: the protocols of maintainers' tools."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from reviewer.cli.options import BRANCH, Options, options
from reviewer.errors import ReviewerError

if TYPE_CHECKING:
    from reviewer.review.result import Reviewed

    Found = Sequence[Reviewed]
    Skipped = Sequence[tuple[str, str]]


@click.group()
def check() -> None:
    """Answer as another tool wants to be answered: b4."""


def _question(verb: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--chain", metavar="NAME", help="Another notifier chain than the OOM killer's; `all` for every chain."),
        click.option("--base", metavar="REV", help="What the patch applies to.  [default: found]"),
    ):
        verb = option(verb)
    return verb


@check.command()
@options(positional=False, findings=True, rev=BRANCH, formats=("text",))
@_question
def b4(options: Options, base: str | None, chain: str | None) -> int:
    """Check the patch mail on standard input for `b4 prep --check`.

    Prints a line for each hazard that the patch brings, and nothing else anywhere. Exits with 1 if it printed any.
    """
    from reviewer.deliver.b4 import lines, trouble_line

    def say(found: Found, skipped: Skipped) -> tuple[int, str]:
        said = lines(found, skipped)
        return int(bool(said)), "".join(f"{line}\n" for line in said)

    return _answer(options, base, chain, say, lambda text: f"{trouble_line(text)}\n")


@check.command("b4-json")
@options(positional=False, findings=True, rev=BRANCH, formats=("json",))
@_question
def b4_json(options: Options, base: str | None, chain: str | None) -> int:
    """Check the patch mail on standard input for `b4 review`, in JSON."""
    from reviewer.deliver.b4 import report, trouble_report

    def say(found: Found, skipped: Skipped) -> tuple[int, str]:
        return int(bool(found)), report(found, skipped)

    return _answer(options, base, chain, say, trouble_report, "[]\n")


def _answer(
    options: Options, base: str | None, chain: str | None, say: Callable[[Found, Skipped], tuple[int, str]],
    fail: Callable[[str], str], nothing: str = "",
) -> int:  # fmt: skip
    """Reviews what is on standard input and writes the answer; standard error stays empty, since b4 takes it for a failure.

    :param nothing: the answer to a mail that has no patch.
    """
    from reviewer.cli.output import write as write_out

    options = replace(options, quiet=True, verbose=False)
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            data = sys.stdin.buffer.read() if sys.stdin is not None else b""
            code, text = say(*_found(options, data, base, chain)) if _has_patch(data) else (0, nothing)
        except ReviewerError as error:
            code, text = 1, fail(str(error))
        write_out(options, text)
    return code


def _has_patch(data: bytes) -> bool:
    """Whether there is a patch to look at, or something that is no mail; a cover letter has none."""
    from reviewer.source.mail import is_mail, parse_mail

    if not is_mail(data):
        return True
    mail = parse_mail(data, "standard input")
    return mail.has_diff or bool(mail.attached)


def _found(options: Options, data: bytes, base: str | None, chain: str | None) -> tuple[Found, Skipped]:
    """What the patch brings, filtered as the options say, and what could not be read."""
    from reviewer.checks.finding import at_least
    from reviewer.cli.review import asked_for, reviewed
    from reviewer.deliver.reply import mailed
    from reviewer.review.prepare import Question

    question = Question(inputs=("-",), base=base, branch=options.rev, stdin=io.BytesIO(data))
    with reviewed(options, question, chain) as (opened, _, result):
        chosen = opened.options
        kept = asked_for(chosen, mailed(result.findings))
        return [r for r in kept if at_least(r.finding.confidence, chosen.floor)], result.skipped
