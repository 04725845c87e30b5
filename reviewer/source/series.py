"""A patch series from what a user gives: an mbox, patch files, a directory of them, standard input."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import IO

from reviewer.errors import InputError
from reviewer.source.diff import parse_diff
from reviewer.source.inputs import GIVE, Message, read_messages
from reviewer.source.mail import Mail, parse_mail
from reviewer.source.patch import Author, Patch, Series
from reviewer.source.paths import shown
from reviewer.source.subject import Subject, parse_subject
from reviewer.source.threads import Choice, Entry, choose

_SHOWN = re.compile(r"commit [0-9a-f]{40,64}[^\n]*\n(?:Merge:[^\n]*\n)?Author:([^<\n]*)<([^>\n]*)>\nDate:([^\n]*)\n\n")
"""How ``git show`` and ``git log`` begin."""

_SHOWN_NEXT = re.compile(rb"^commit [0-9a-f]{40,64}\b", re.MULTILINE)

_NOISE = re.compile(r"[=\s*_-]*$|#|Index: ")


def read_series(inputs: Sequence[str], stdin: IO[bytes] | None = None) -> Series:
    """Read a series.

    :param inputs: paths of an mbox (also packed with gzip), of mails, ``git format-patch`` files or diffs, of a folder of them,
        a maildir or a quilt folder with a ``series`` file; ``-`` is standard input.
    :param stdin: what ``-`` reads.
    :return: its patches in the order in which they apply; ``notes`` says what was left out: older and incomplete versions,
        diffs in replies. ``Patch.message`` is the text below the subject.
    :raises InputError: an input is absent or cannot be read, has no patch in it, or only a part of a series; a diff is
        damaged, or touches what no patch may touch. One line, with the place and the way out.
    :source: git-am(1), git-mailinfo(1), git-mailsplit(1), quilt(1)
    """
    entries = _entries(read_messages(inputs, stdin))
    where = ", ".join(shown("standard input" if name == "-" else name) for name in inputs[:3]) + ", ..." * (len(inputs) > 3)
    if not any(entry.is_patch for entry in entries):
        raise InputError(f"{where or 'no file'}: no patch in it", GIVE)
    choice = choose(entries, where)
    if not choice.groups:
        raise InputError(f"{where}: no patch in it", GIVE)
    return _series(choice)


def _entries(messages: Iterable[Message]) -> list[Entry]:
    """Messages with what matters for the choice; the text of those that are no patch is dropped."""
    result: list[Entry] = []
    seen: set[str] = set()
    for message in messages:
        whole = parse_mail(message.data, message.origin)
        if whole.message_id:
            if whole.message_id in seen:
                continue
            seen.add(whole.message_id)
        parts = [_within(part, whole) for part in whole.attached if part.has_diff]
        for mail in parts or [whole]:
            mail = mail if mail.subject else _described(mail, message)
            subject = _subject(mail)
            is_patch = mail.has_diff and not (subject.number == 0 and not subject.reply)
            if not is_patch:
                mail = replace(mail, message="", diff=b"", attached=())
            result.append(
                Entry(mail, subject, message.origin, message.stem, len(result), message.explicit, message.strip, is_patch)
            )
    return result


def _subject(mail: Mail) -> Subject:
    """What the header's subject says of the place in the thread, with the title that the body may give instead."""
    own, inner = parse_subject(mail.own_subject), parse_subject(mail.subject)
    return replace(own, title=inner.title) if own.reply or own.tagged or own.number is not None else inner


def _within(part: Mail, whole: Mail) -> Mail:
    """A patch that is attached to a mail: its own subject and author, the mail's thread."""
    return replace(
        part,
        sender=whole.sender,
        to=part.to or whole.to,
        cc=part.cc or whole.cc,
        reply_to=part.reply_to or whole.reply_to,
        message_id=part.message_id or whole.message_id,
        references=whole.references,
    )


def _described(mail: Mail, given: Message) -> Mail:
    """A diff without a mail around it: the first line of the text above it is the subject, else the file's name.

    :raises InputError: it is a log of several commits, which has the newest first
    """
    stem = given.stem
    if mail.message.startswith("commit ") and _SHOWN_NEXT.search(mail.diff):
        raise InputError(f"{given.origin}: a log of several commits, the newest first", "make files with git format-patch")
    if shown_commit := _SHOWN.match(mail.message):
        message = "\n".join(line.removeprefix("    ") for line in mail.message[shown_commit.end() :].split("\n"))
        subject, _, message = message.partition("\n\n")
        author = Author(shown_commit[1].strip(), shown_commit[2])
        subject = " ".join(subject.split())
        return replace(mail, subject=subject or stem, message=message, author=author, date=shown_commit[3].strip())
    lines = mail.message.split("\n")
    first = next((number for number, line in enumerate(lines) if not _NOISE.match(line)), None)
    if first is None:
        return replace(mail, subject=stem, message="")
    return replace(mail, subject=lines[first].strip(), message="\n".join(lines[first + 1 :]).lstrip("\n"))


def _series(choice: Choice) -> Series:
    entries = [entry for group in choice.groups for entry in group.entries()]
    patches = [entry for entry in entries if entry.is_patch]
    covers = [group.cover for group in choice.groups if group.cover]
    alone = choice.groups[0] if len(choice.groups) == 1 else None
    title = covers[0].subject.title if covers else patches[0].subject.title if len(patches) == 1 else ""
    return Series(
        patches=tuple(
            _patch(entry, *((entry.subject.number or 1, alone.total) if alone else (place, len(patches))))
            for place, entry in enumerate(patches, 1)
        ),
        version=alone.version if alone else min(group.version for group in choice.groups),
        title=title,
        cover_id=covers[0].mail.message_id if covers else "",
        cover=_patch(covers[0], 0, len(patches)) if covers else None,
        base_commit=next((entry.mail.base_commit for entry in entries if entry.mail.base_commit), ""),
        notes=choice.notes,
    )


def _patch(entry: Entry, number: int, total: int) -> Patch:
    mail = entry.mail
    return Patch(
        number=number,
        total=total,
        subject=entry.subject.title or mail.subject,
        full_subject=mail.own_subject or mail.subject,
        message_id=mail.message_id,
        author=mail.author,
        date=mail.date,
        message=mail.message,
        files=parse_diff(mail.diff, entry.origin, strip=entry.strip, first_line=mail.diff_line) if number else (),
        origin=entry.origin,
        references=mail.references,
        to=mail.to,
        cc=mail.cc,
        sender=mail.sender if mail.sender.email and mail.sender != mail.author else None,
        reply_to=mail.reply_to,
    )
