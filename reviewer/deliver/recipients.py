"""Whom an answer to a patch goes to: its author, and whoever had the patch."""

from __future__ import annotations

import re

from reviewer.deliver.message import is_address
from reviewer.source.patch import Author, Patch

_RELAY = re.compile(r"devnull\+(.*)@[^@]*", re.IGNORECASE)
"""The address of a relay that nobody reads, with the author's in it (b4's web endpoint: ``devnull+ann.example.org@...``)."""

_VIA = re.compile(r"\s+via\s.*", re.IGNORECASE | re.DOTALL)
"""What a relay, or a list that writes mails anew, puts behind the author's name."""


def recipients(patch: Patch, own: Author) -> tuple[tuple[Author, ...], tuple[Author, ...]]:
    """(To, Cc) of an answer. Nobody is added who did not have the patch; ``own`` address is left out.

    :param patch: a patch or a cover letter, as mailed.
    """
    author = author_of(patch)
    to = (author,) if is_address(author.email) and _key(author) != _key(own) else ()
    others: dict[str, Author] = {}
    for person in (*((patch.sender,) if patch.sender else ()), *patch.to, *patch.cc):
        if is_address(person.email) and not _RELAY.fullmatch(person.email):
            others.setdefault(_key(person), person)
    for person in (*to, own):
        others.pop(_key(person), None)
    return to, tuple(others.values())


def author_of(patch: Patch) -> Author:
    """The author, also where the mail came through a relay that put its own address in place of theirs."""
    author = patch.author
    relay = _RELAY.fullmatch(author.email)
    if relay is None and not _VIA.search(author.name):
        return author
    name = _VIA.sub("", author.name)
    known = [p for p in (*patch.reply_to, *patch.cc, *patch.to) if is_address(p.email) and not _RELAY.fullmatch(p.email)]
    if relay is not None:
        flat = relay[1].lower()
        for person in known:
            if _key(person).replace("@", ".") == flat:
                return Author(person.name or name, person.email)
    named = [p for p in patch.reply_to if p in known and p.email.lower() != author.email.lower()]
    best = next((p for p in named if _VIA.sub("", p.name) == name), next(iter(named), None))
    if best is not None:
        return Author(best.name or name, best.email)
    return Author(name, "") if relay is not None else author


def _key(person: Author) -> str:
    return person.email.lower()
