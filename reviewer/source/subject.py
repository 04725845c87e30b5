"""The subject of a mail with a patch: version, number and total in its brackets, and the title behind them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_REPLY = re.compile(r"\s*(?:re|aw|sv|vs|antw|antwort|odp|res|回复|答复)(?:\[\d+\])?\s*[:：]", re.IGNORECASE)
_BRACKETS = re.compile(r"\s*\[([^\]]*)\]")
_ANYWHERE = re.compile(r"\[([^\[\]]*\bPATCH[^\[\]]*)\]", re.IGNORECASE)
_TAG = re.compile(r"PATCH|\bRFC|\bRFT", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\d/.])(\d{1,4})(?:\s*/\s*|\s+of\s+)(\d{1,4})(?![\d/])")
_BEHIND = re.compile(r"\s*\(?(\d{1,4})/(\d{1,4})\)?[:\s]")
_VERSION = re.compile(r"(?:^|[\s,_-]|PATCH|RFC)v\.?(\d{1,3})(?=$|[\s,/_-])", re.IGNORECASE)
_RESEND = re.compile(r"\b(?:RESEND|REPOST)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a subject says.

    :ivar reply: it begins with ``Re:`` or what stands for it in other languages. :ivar tagged: PATCH or RFC is in brackets.
    :ivar number: 0 for a cover letter, None without ``N/M``. :ivar total: M, else 1.
    :ivar resend: the same version once more. :ivar title: as the commit would have it.
    """

    reply: bool
    tagged: bool
    version: int
    number: int | None
    total: int
    resend: bool
    title: str


def parse_subject(text: str) -> Subject:
    """Read a decoded subject.

    :source: git-format-patch(1), ``--reroll-count``, ``--subject-prefix``; Documentation/process/submitting-patches.rst
    """
    at = 0
    while found := _REPLY.match(text, at):
        at = found.end()
    reply = at > 0
    tags: list[str] = []
    while found := _BRACKETS.match(text, at):
        tags.append(found[1])
        at = found.end()
    tag = " ".join(tags)
    if not _TAG.search(tag) and (elsewhere := _ANYWHERE.search(text, at)):
        tag = f"{tag} {elsewhere[1]}"
    tagged = _TAG.search(tag) is not None
    numbers = _NUMBER.search(tag) or (_BEHIND.match(text, at) if tagged else None)
    number, total = (int(numbers[1]), int(numbers[2])) if numbers else (None, 1)
    if total == 0:
        number, total = None, 1
    version = _VERSION.search(tag) if tagged or numbers else None
    return Subject(
        reply=reply,
        tagged=tagged,
        version=max(1, int(version[1])) if version else 1,
        number=number,
        total=total,
        resend=_RESEND.search(tag) is not None,
        title=clean_title(text),
    )


def clean_title(text: str) -> str:
    """A subject as ``git am`` makes a title of it: without ``Re:`` and anything in brackets before it.

    :source: git-mailinfo(1), "Usually the program removes email cruft from the Subject"
    """
    rest = text
    while True:
        rest = rest.lstrip(" \t:")
        if rest[:3].lower() == "re:":
            rest = rest[3:]
        elif rest.startswith("[") and "]" in rest:
            rest = rest[rest.index("]") + 1 :]
        else:
            return " ".join(rest.split())
