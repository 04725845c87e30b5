"""One mail: who wrote it in which thread, what of its text would be the commit message, and the diff in it.

Text and diff are told apart as ``git mailinfo`` does, with the header lines in the body and with scissors.
"""

from __future__ import annotations

import binascii
import email.message
import io
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from reviewer.errors import InputError
from reviewer.source.diff import has_diff
from reviewer.source.headers import Header, decode, person, read_header, words
from reviewer.source.patch import Author

LARGEST = 64 << 20
"""Bytes of one message. The largest patch that Linux has had by mail is below 10 MB."""

_NESTED = 3
"""Mails attached to mails attached to mails."""

_DEPTH = 20
"""Parts in parts. Real mails have three levels."""

_PARTS = 1000
"""Parts of one mail that is still looked at."""

_PATCH_TYPES = ("text/x-patch", "text/x-diff", "text/x-patch-file", "application/x-patch", "application/x-diff")
_PATCH_NAMES = (".patch", ".diff")
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]*(?:={0,2}\s*)")
_BASE = re.compile(rb"^base-commit: ([0-9a-f]{7,64})\s*$", re.MULTILINE)
_SEPARATOR = re.compile(rb">?From [0-9a-f]{40}(?:[0-9a-f]{24})? Mon Sep 17 00:00:00 2001\s*")
_INNER = re.compile(rb"(From|Subject|Date)[ \t]*:", re.IGNORECASE)
_PERFORATION = re.compile(rb"(?:[-\s]|>8|8<|>%|%<)+")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail, or a text that has no header (then all that is about mail is empty).

    :ivar subject: as the mail has it, or as its body says instead; decoded, on one line.
    :ivar own_subject: as the header has it.
    :ivar author: of the patch: the ``From`` of the body, else of the header. :ivar sender: of the header.
    :ivar references: ids of the thread, oldest first, ending with the mail that this one answers.
    :ivar message: text above the diff and above ``---``, with its blank lines tidied as git does.
    :ivar diff: everything from ``---`` or the first diff on, bytes as they are under the transfer encoding.
    :ivar diff_line: 1-based line where ``diff`` begins: in the whole mail where its body is not encoded, else in the body.
    :ivar base_commit: of a ``base-commit:`` line, "" without one. :ivar reply_to: where the header wants answers.
    :ivar attached: mails that this one has as attachments (``git format-patch`` files).
    """

    subject: str
    own_subject: str
    author: Author
    sender: Author
    to: tuple[Author, ...]
    cc: tuple[Author, ...]
    date: str
    message_id: str
    references: tuple[str, ...]
    message: str
    diff: bytes
    diff_line: int
    base_commit: str
    reply_to: tuple[Author, ...] = ()
    attached: tuple[Mail, ...] = ()

    @property
    def has_diff(self) -> bool:
        return has_diff(self.diff)


def parse_mail(data: bytes, origin: str) -> Mail:
    """Read one message: a mail as it was sent, an mbox's part, a file of ``git format-patch``.

    :param origin: what to call it in errors.
    :raises InputError: it is larger than ``LARGEST``, or has parts without end
    :source: git-mailinfo(1); RFC 2045 to 2047, RFC 3676
    """
    return _parse(data, origin, _NESTED)


def _parse(data: bytes, origin: str, depth: int) -> Mail:
    if len(data) > LARGEST:
        raise InputError(f"{origin}: one message of more than {LARGEST >> 20} MB", "split it, or give a git range")
    header, head, body = _split(data)
    first_line = head + 1
    plain = not header.raw("content-transfer-encoding") or header.text("content-transfer-encoding").lower() in _AS_IS
    charset = ""
    attached: tuple[Mail, ...] = ()
    kind = _kind(header)
    if kind.get_content_maintype() == "multipart":
        body, charset, attached = _parts(header, body, origin, depth)
        first_line = 1
    elif header.fields:
        body, charset = _content(body, kind, header.text("content-transfer-encoding"))
        if not plain:
            first_line = 1
    mail = _read_body(body, charset, header, first_line)
    return replace(mail, attached=attached) if attached else mail


_AS_IS = ("", "7bit", "8bit", "binary")


def is_mail(data: bytes) -> bool:
    """Whether a text begins with the header of a mail, behind an mbox separator or not."""
    header, _ = read_header(io.BytesIO(data[:_HEADER_AT_MOST]).readlines())
    return _is_mail(header)


def _is_mail(header: Header) -> bool:
    # "Index: x.c" and "Description: ..." look like fields, too.
    return bool(header.raw("from") or header.raw("subject"))


_HEADER_AT_MOST = 1 << 20


def _split(data: bytes) -> tuple[Header, int, bytes]:
    """(header, lines that it takes, body), without the line ends that the transport made."""
    lines = io.BytesIO(data[:_HEADER_AT_MOST]).readlines()
    header, head = read_header(lines)
    if not _is_mail(header):
        return Header([]), 0, data
    size = sum(len(line) for line in lines[:head])
    ends = [line.endswith(b"\r\n") for line in lines[:head] if not line.startswith(b"From ")]
    body = data[size:]
    return header, head, body.replace(b"\r\n", b"\n") if ends and all(ends) else body


def _kind(header: Header) -> email.message.Message:
    """A message of the email package that has only the content type."""
    result = email.message.Message()
    if kind := header.raw("content-type"):
        result["Content-Type"] = kind.decode("ascii", "replace")
    return result


def _parameter(part: email.message.Message, name: str) -> str:
    """A parameter of the content type; "" where there is none, or none that can be read."""
    try:
        value = part.get_param(name, "")
    except (ValueError, LookupError, TypeError):
        return ""
    return str(value[2] if isinstance(value, tuple) else value)


# Bodies


def _content(body: bytes, part: email.message.Message, encoding: str) -> tuple[bytes, str]:
    """(body with its transfer encoding undone and its flowed lines joined, charset)."""
    charset = _parameter(part, "charset").lower()
    how = encoding.strip().lower()
    if "quoted-printable" in how:
        body = quopri.decodestring(body)
    elif "base64" in how:
        body = _base64(body)
    if how not in _AS_IS:
        body = _unix(body)  # the canonical form of a text has CRLF throughout
    if charset.startswith(("utf-16", "utf16", "utf-32", "utf32")):
        body, charset = decode(body, charset).encode("utf-8", "replace"), "utf-8"
    if _parameter(part, "format").lower() == "flowed":
        body = unflow(body, _parameter(part, "delsp").lower() == "yes")
    return body, charset


def _base64(body: bytes) -> bytes:
    """Lines of base 64 up to the first that is none: lists add a footer in plain text."""
    letters: list[bytes] = []
    for line in body.split(b"\n"):
        if not _BASE64.fullmatch(line):
            break
        letters.append(line)
        if line.rstrip().endswith(b"="):
            break
    text = re.sub(rb"[^A-Za-z0-9+/]", b"", b"".join(letters))
    text = text[: len(text) - (len(text) % 4 == 1)]
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4))


def unflow(body: bytes, delsp: bool) -> bytes:
    """A ``format=flowed`` text with its paragraphs' lines joined and the stuffed spaces taken away.

    :param delsp: the space at the end of a flowed line is no part of the text.
    :source: RFC 3676, sections 4.2 to 4.4; git mailinfo joins quoted lines by the same rule
    """
    result: list[bytes] = []
    pending: list[bytes] = []
    for raw in io.BytesIO(body).readlines():
        line = raw.removesuffix(b"\n").removesuffix(b"\r")
        if line == b"-- ":
            if pending:
                result.append(b"".join(pending) + b"\n")
                pending = []
            result.append(b"-- \n")
            continue
        line = line.removeprefix(b" ")
        if line.endswith(b" "):
            pending.append(line[:-1] if delsp else line)
            continue
        result.append(b"".join(pending) + line + b"\n")
        pending = []
    if pending:
        result.append(b"".join(pending) + b"\n")
    return b"".join(result)


def _leaves(header: Header, body: bytes, origin: str, depth: int, room: list[int]) -> Iterator[tuple[Header, bytes]]:
    """(header, body) of every part that has no parts itself, in order; of the mail itself if it has none.

    :param room: how many more there may be.
    :source: RFC 2046, section 5.1. The email package would need 300 bytes for each line of a mail of many parts.
    """
    part = _kind(header)
    if part.get_content_type() == "message/rfc822" and depth:
        inner, size = read_header(io.BytesIO(body[:_HEADER_AT_MOST]).readlines())
        yield from _leaves(inner, _behind(body, size), origin, depth - 1, room)
        return
    name = _parameter(part, "boundary").rstrip().encode("utf-8", "surrogateescape")
    if part.get_content_maintype() != "multipart" or not name:
        yield header, body
        return
    if not depth:
        raise InputError(f"{origin}: the mail's parts are nested too deeply", "save its text part as a file")
    start: int | None = None
    for mark in re.finditer(rb"^--%b(--)?[ \t]*(?:\r?\n|\Z)" % re.escape(name), body, re.MULTILINE):
        if start is not None:
            yield from _part(body[start : mark.start()], origin, depth, room)
        start = mark.end()
        if mark[1]:
            return
    if start is not None:  # the end is missing
        yield from _part(body[start:], origin, depth, room)


def _part(text: bytes, origin: str, depth: int, room: list[int]) -> Iterator[tuple[Header, bytes]]:
    room[0] -= 1
    if room[0] < 0:
        raise InputError(f"{origin}: the mail has more than {_PARTS} parts", "save its text part as a file")
    header, size = read_header(io.BytesIO(text[:_HEADER_AT_MOST]).readlines())
    # The line end before a boundary belongs to the boundary, but it also ends a diff's last line: it stays.
    yield from _leaves(header, _behind(text, size), origin, depth - 1, room)


def _behind(text: bytes, lines: int) -> bytes:
    """What follows the first lines."""
    at = 0
    for _ in range(lines):
        at = text.find(b"\n", at) + 1 or len(text)
    return text[at:]


def _parts(header: Header, whole: bytes, origin: str, depth: int) -> tuple[bytes, str, tuple[Mail, ...]]:
    """(text, charset, attached mails) of a multipart message.

    The text is the first text/plain, followed by the patches that are attached, unless it has a diff itself.
    """
    text: bytes | None = None
    charset = ""
    patches: list[bytes] = []
    attached: list[Mail] = []
    for own_header, body in _leaves(header, whole, origin, _DEPTH, [_PARTS]):
        part = _kind(own_header)
        kind = part.get_content_type()
        name = _file_name(own_header)
        is_patch = kind in _PATCH_TYPES or name.endswith(_PATCH_NAMES)
        if not is_patch and kind != "text/plain":
            continue
        content, own = _content(_unix(body), part, own_header.text("content-transfer-encoding"))
        if text is None and not is_patch:
            text, charset = content, own
        elif is_patch and depth and is_mail(content):
            attached.append(_parse(content, origin, depth - 1))
        elif is_patch or has_diff(content):
            patches.append(content)
    if text is None and not patches and not attached:
        return whole, "", ()  # parts without a boundary between them
    text = text or b""
    if has_diff(text):
        return text, charset, tuple(attached)
    return b"".join([text, *(b"\n" + patch for patch in patches)]), charset, tuple(attached)


def _unix(body: bytes) -> bytes:
    """Without the CR of each line, if each line has one: then they are of the way here, not of the text."""
    return body.replace(b"\r\n", b"\n") if body.count(b"\n") == body.count(b"\r\n") else body


def _file_name(header: Header) -> str:
    part = _kind(header)
    if disposition := header.raw("content-disposition"):
        part["Content-Disposition"] = disposition.decode("ascii", "replace")
    try:
        return words(part.get_filename("") or "").lower()
    except (ValueError, LookupError, TypeError):
        return ""


# Message and diff


def breaks(line: bytes) -> bool:
    """Whether the commit message ends before this line.

    :source: ``patchbreak()`` in mailinfo.c of git
    """
    if line.startswith((b"diff -", b"Index: ")):
        return True
    if not line.startswith(b"---"):
        return False
    return not line[3:].strip() or (line[3:4] == b" " and not line[4:5].isspace())


def is_scissors(line: bytes) -> bool:
    """Whether this line says "cut here": at least 8 wide, mostly dashes and scissors (``-- >8 --``).

    :source: git-mailinfo(1), ``--scissors``; the proportions are those of ``is_scissors_line()`` in mailinfo.c
    """
    visible = line.strip()
    if len(visible) < 8 or len(visible) > 1000 or not any(mark in visible for mark in (b">8", b"8<", b">%", b"%<")):
        return False
    perforation = gap = 0
    for run in _PERFORATION.findall(visible):
        # White space counts only behind a mark; text ends a perforation.
        run = run.lstrip()
        perforation += len(run)
        gap += sum(run.count(space) for space in (b" ", b"\t"))
    return len(visible) < perforation * 3 and gap * 2 < perforation


def _read_body(body: bytes, charset: str, header: Header, first_line: int) -> Mail:
    lines = io.BytesIO(body).readlines()
    inner: dict[str, bytes] = {}
    message: list[bytes] = []
    at, in_header, current = 0, True, ""
    while at < len(lines):
        line = lines[at]
        if is_scissors(line):
            message, inner, in_header, current = [], {}, True, ""
            at += 1
            continue
        if in_header:
            if not line.strip():
                in_header = not inner
                current = ""
                at += 1
                continue
            if current and line[:1] in (b" ", b"\t"):
                inner[current] += b" " + line.strip()
                at += 1
                continue
            current = ""
            field = _INNER.match(line)
            if field and field[1].lower().decode() not in inner:
                current = field[1].lower().decode()
                inner[current] = line[field.end() :].strip()
                at += 1
                continue
            if _SEPARATOR.fullmatch(line):
                at += 1
                continue
            if line.startswith(b"[PATCH]") and line[7:8].isspace() and "subject" not in inner:
                inner["subject"] = line.strip()
                at += 1
                continue
            in_header = False
        if breaks(line):
            break
        message.append(line)
        at += 1
    if at == len(lines):
        inner = {}  # whoever merely writes about a patch is no other than its sender
    sender = person(header.raw("from"))
    author = person(_utf8(inner["from"], charset)) if "from" in inner else sender
    base = _BASE.findall(body)
    thread = header.ids("references")
    for parent in header.ids("in-reply-to")[:1]:
        thread = (*(name for name in thread if name != parent), parent)
    return Mail(
        subject=" ".join(words(_utf8(inner["subject"], charset)).split()) if "subject" in inner else header.text("subject"),
        own_subject=header.text("subject"),
        author=author,
        sender=sender,
        to=header.persons("to"),
        cc=header.persons("cc"),
        date=" ".join(_utf8(inner["date"], charset).decode().split()) if "date" in inner else header.text("date"),
        message_id=next(iter(header.ids("message-id")), ""),
        references=thread,
        message=tidy(decode(b"".join(message), charset)),
        diff=b"".join(lines[at:]),
        diff_line=at + first_line,
        base_commit=base[-1].decode() if base else "",
        reply_to=header.persons("reply-to"),
    )


def _utf8(text: bytes, charset: str) -> bytes:
    return decode(text, charset).encode("utf-8", "replace")


def tidy(message: str) -> str:
    """A message as git keeps it: no blanks at the ends of lines, no blank lines around it, never two in a row.

    :source: git-stripspace(1)
    """
    result: list[str] = []
    for line in message.split("\n"):
        line = line.rstrip()
        if line or (result and result[-1]):
            result.append(line)
    while result and not result[-1]:
        result.pop()
    return "\n".join(result) + "\n" * bool(result)
