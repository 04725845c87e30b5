"""The messages of an mbox: mboxo, mboxrd, mboxcl, and what ``git format-patch --stdout`` prints."""

from __future__ import annotations

import re
from collections.abc import Iterator

_POSTMARK = re.compile(rb"^From [^\n]{0,300}?\d:\d\d(?::\d\d)?[ \t][^\n]{0,60}?\d{4}[^\n]{0,60}\n", re.MULTILINE)
_FORMAT_PATCH = re.compile(rb"From [0-9a-f]{40}(?:[0-9a-f]{24})? Mon Sep 17 00:00:00 2001\r?\n")
_FIELD = re.compile(rb"(?:[!-9;-~]+[ \t]*:|>From )")
_LENGTH = re.compile(rb"^Content-Length:[ \t]*(\d{1,12})[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_BODY = re.compile(rb"\r?\n\r?\n")
_ESCAPED = re.compile(rb"^>(>*From )", re.MULTILINE)


def is_mbox(data: bytes) -> bool:
    """Whether ``data`` begins with an mbox separator."""
    return _separator(data, 0) is not None


def split_mbox(data: bytes) -> Iterator[bytes]:
    """Every message, from its separator on, with ``>From `` made ``From `` again. In time linear in the size.

    A line that begins with "From " is a separator only if it has a time and a year, a header follows, and an empty line is
    before it, unless git wrote it. A ``Content-Length`` is believed if it ends where such a line is, or the text.

    :param data: begins with a separator (``is_mbox``).
    :source: RFC 4155; mbox(5) of qmail for mboxrd and mboxcl
    """
    start: int | None = 0
    while start is not None:
        end = _end(data, start)
        yield _unescaped(data[start : len(data) if end is None else end])
        start = end


def _separator(data: bytes, at: int) -> re.Match[bytes] | None:
    found = _POSTMARK.match(data, at)
    if not found or not _FIELD.match(data, found.end()):
        return None
    if at == 0 or data[max(0, at - 3) : at].endswith((b"\n\n", b"\n\r\n")) or _FORMAT_PATCH.match(data, at):
        return found
    return None


def _end(data: bytes, start: int) -> int | None:
    """Where the message that begins at ``start`` ends; None: at the end of the text."""
    search = data.index(b"\n", start) + 1
    found = next((mark.start() for mark in _POSTMARK.finditer(data, search) if _separator(data, mark.start())), None)
    limit = len(data) if found is None else found
    body = _BODY.search(data, search, limit)
    length = _LENGTH.search(data, search, body.start() + 1) if body else None
    if body and length:
        end = body.end() + int(length[1])
        if end <= len(data) <= end + 2:
            return None
        for at in range(end, end + 3):
            if at < len(data) and _separator(data, at):
                return at
    return found


def _unescaped(message: bytes) -> bytes:
    # git escapes nothing; in what others write, >From at the left margin is never a line of a diff.
    if b">From " not in message or _FORMAT_PATCH.match(message):
        return message
    return _ESCAPED.sub(rb"\1", message)
