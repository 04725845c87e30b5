"""Answers in the thread of a series: a mail for each patch that brings hazards, or one for the series where those are many.

Nothing is said of what is there before the series, of what a later patch of it mends, and of notes.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from reviewer import __version__
from reviewer.checks.finding import Finding
from reviewer.deliver.message import Message, is_message_id
from reviewer.deliver.quote import Place, place_of, quoted, settled
from reviewer.deliver.recipients import recipients
from reviewer.deliver.remark import contexts_text, distant_remark, own_remark, paragraph, summary
from reviewer.review.result import Reviewed, ReviewResult
from reviewer.source.patch import Author, Patch, Series

MOST_MAILS = 3
"""Mails to one series; with more to say there is one, to the cover letter."""

_SHELL_SAFE = re.compile(r"[\w.%+=@-]+", re.ASCII)

_REPLY = re.compile(r"\s*re:", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """Who speaks, and what of the run a mail repeats.

    :ivar rules: digest of code, rules and models that the findings rest on. :ivar now: the mails' date.
    :ivar arguments: of the command line, that a reader has to give to see the same.
    :ivar base: what a reader has to give as ``--base``, "" where there is no repository. :ivar guessed: nobody has said it.
    """

    sender: Author
    now: datetime
    rules: str = ""
    arguments: tuple[str, ...] = ()
    base: str = ""
    guessed: bool = False


def mailed(findings: Iterable[Reviewed]) -> list[Reviewed]:
    """What is worth a mail: introduced, there at the end of the series, and no note."""
    return [
        r for r in findings
        if r.status == "introduced" and r.mended_by is None and r.finding.severity != "note" and r.patch is not None
    ]  # fmt: skip


def replies(series: Series, result: ReviewResult, findings: Iterable[Reviewed], voice: Voice) -> list[Message]:
    """The mails, in the order of the patches; none where nothing is to be said.

    :param findings: of ``result``, those that passed the filters of the command line.
    """
    worth = mailed(findings)
    by_patch: list[tuple[Patch, list[Reviewed]]] = []
    for patch in series.patches:
        own = [
            r for r in worth
            if r.patch is not None and (r.patch.number, r.patch.message_id, r.patch.subject)
            == (patch.number, patch.message_id, patch.subject)
        ]  # fmt: skip
        if own:
            by_patch.append((patch, own))
    if len(by_patch) <= MOST_MAILS:
        return [_message(patch, own, _of_patch(patch, own, series, result, voice), series, voice) for patch, own in by_patch]
    every = [r for _, own in by_patch for r in own]
    start = series.cover or series.patches[0]
    return [_message(start, every, _of_series(by_patch, series, result, voice), series, voice)]


def _message(answered: Patch, own: Sequence[Reviewed], body: Sequence[str], series: Series, voice: Voice) -> Message:
    to, cc = recipients(answered, voice.sender)
    thread = list(answered.references)
    if series.cover_id and series.cover_id not in (*thread, answered.message_id):
        thread.insert(0, series.cover_id)
    if answered.message_id:
        thread.append(answered.message_id)
    prints = sorted({r.finding.fingerprint for r in own})
    subject = answered.full_subject
    return Message(
        sender=voice.sender,
        to=to,
        cc=cc,
        subject=subject if _REPLY.match(subject) else f"Re: {subject}",
        message_id=_id(answered, prints, voice),
        references=tuple(name for name in dict.fromkeys(thread) if is_message_id(name)),
        date=voice.now,
        extra=(
            ("X-Reviewer-Version", f"{__version__} rules={voice.rules}" if voice.rules else __version__),
            ("X-Reviewer-Report", " ".join(prints)),
        ),
        body="".join(f"{line}\n" for line in body),
    )


def _id(answered: Patch, prints: Sequence[str], voice: Voice) -> str:
    """The same mail has the same id however often it is made."""
    what = answered.message_id or "\0".join((answered.full_subject, answered.author.email, answered.date, answered.message))
    parts = (what, "\0".join((__version__, voice.rules, voice.base, *prints)))
    first, second = (hashlib.sha256(part.encode("utf-8", "surrogatepass")).hexdigest() for part in parts)
    return f"reviewer.{first[:16]}.{second[:12]}@{voice.sender.email.rpartition('@')[2]}"


# Bodies


def _of_patch(
    patch: Patch, own: Sequence[Reviewed], series: Series, result: ReviewResult, voice: Voice
) -> list[str]:
    return [
        *summary([r.finding for r in own], "patch"),
        "",
        *_quotes(patch, own),
        *contexts_text([c for c in result.contexts if c.patch == patch.number]),
        *_ending(patch, series, voice),
    ]


def _of_series(
    by_patch: Sequence[tuple[Patch, list[Reviewed]]], series: Series, result: ReviewResult, voice: Voice
) -> list[str]:
    lines = summary([r.finding for _, own in by_patch for r in own], "series")
    for patch, own in by_patch:
        lines += ["", *paragraph(f"In patch {patch.number} of {patch.total}, \"{' '.join(patch.subject.split())}\","), ""]
        lines += _quotes(patch, own)
        lines += contexts_text([c for c in result.contexts if c.patch == patch.number])
    return [*lines, *_ending(series.cover or series.patches[0], series, voice)]


def _quotes(patch: Patch, own: Sequence[Reviewed]) -> Iterator[str]:
    """The hunks that bring the findings, with what is said of them."""
    placed: dict[Place, list[Finding]] = {}
    distant: dict[tuple[int, int], list[tuple[Place, Finding]]] = {}
    nowhere: list[Finding] = []
    for r in own:
        place = place_of(patch, r)
        if place is None:
            nowhere.append(r.finding)
        elif r.cause is not None and r.cause.inside:
            placed.setdefault(place, []).append(r.finding)
        else:
            distant.setdefault((place.file, place.hunk), []).append((place, r.finding))
    remarks: dict[Place, list[str]] = {}
    for place, findings in placed.items():
        remarks[place] = _apart(own_remark(finding) for finding in findings)
    for there in distant.values():
        place = settled(place for place, _ in there)
        text = distant_remark([finding for _, finding in there])
        remarks[place] = _apart([remarks[place], text]) if place in remarks else text
    if remarks:
        yield from quoted(patch, remarks)
    if nowhere:
        yield from ["", *distant_remark(nowhere)] if remarks else distant_remark(nowhere)


def _apart(texts: Iterable[list[str]]) -> list[str]:
    lines: list[str] = []
    for text in texts:
        lines += ["", *text] if lines else text
    return lines


def _ending(answered: Patch, series: Series, voice: Voice) -> Iterator[str]:
    base = ("--base", voice.base) if voice.base else ()
    yield ""
    if voice.base and voice.guessed:
        yield from paragraph(
            "The commit below is a guess, since the series does not say what it applies to (git format-patch --base does). If it "
            "is the wrong one, the rest may be wrong, too."
        )
        yield ""
    yield "To reproduce, at the top of a kernel tree:"
    yield ""
    name = answered.message_id
    if name and _SHELL_SAFE.fullmatch(name):
        yield f"  b4 am -o - {name} |"
        yield f"    reviewer review {shlex.join((*base, *voice.arguments, '.', '-'))}"
    else:
        yield f"  reviewer review {shlex.join((*base, *voice.arguments, '.', 'SERIES.mbox'))}"
    yield ""
    yield "-- "
    yield from paragraph(
        f"reviewer {__version__}, a static analyser of locking. A program wrote this mail, and it may be wrong. If so, please "
        "answer and say why, so that the rule can be mended. No answer is needed otherwise."
    )
