"""A mail of ours as bytes. What comes from others (subjects, names, addresses, message ids) can add no header to it."""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from reviewer.report.plain import clip, safe
from reviewer.source.patch import Author

WIDTH = 76
"""Columns at which a header is folded."""

LONGEST_LINE = 998
"""Bytes of a line of a mail (RFC 5322, section 2.1.1); with a longer one the body is quoted-printable."""

ANCESTORS = 20
"""Message ids in References, besides the first of the thread."""

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_ID = re.compile(r"[!-;=?-~]{1,250}")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
"""What may stand as it is in an encoded word, in a name too (RFC 2047, section 5)."""

_WORD_OF_ITS_OWN = 200
"""A longer word without a blank in it is encoded, so that it can be folded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A mail.

    :ivar message_id: without ``<>``. :ivar references: the thread, oldest first, ending with the mail that this one answers.
    :ivar extra: (name, value) of further headers, ours. :ivar body: lines that end in a newline.
    """

    sender: Author
    to: tuple[Author, ...]
    cc: tuple[Author, ...]
    subject: str
    message_id: str
    references: tuple[str, ...]
    date: datetime
    extra: tuple[tuple[str, str], ...] = ()
    body: str = ""


def is_address(text: str) -> bool:
    """Whether it can stand in a header as it is: an ASCII address without quotes, comments and blanks."""
    return _ADDRESS.fullmatch(text) is not None


def is_message_id(text: str) -> bool:
    """Whether it can stand between ``<>`` in a header: printable ASCII without blanks and without ``<>``."""
    return _ID.fullmatch(text) is not None


def encode(message: Message) -> bytes:
    """The mail, with ``\\n`` as line end: a plain text, 8 bit, or quoted-printable where a line is too long for a mail."""
    body = message.body.encode("utf-8", "replace")
    long = any(len(line) > LONGEST_LINE for line in body.split(b"\n"))
    known = [name for name in message.references if is_message_id(name)]
    thread = [f"<{name}>" for name in (known if len(known) <= ANCESTORS else [known[0], *known[-ANCESTORS:]])]
    fields = [
        ("From", [mailbox(message.sender)]),
        ("To", _list(message.to) or ["undisclosed-recipients:;"]),
        ("Cc", _list(message.cc)),
        ("Subject", subject_words(message.subject)),
        ("Date", [format_datetime(message.date)]),
        ("Message-ID", [f"<{message.message_id}>"]),
        ("In-Reply-To", thread[-1:]),
        ("References", thread),
        ("Auto-Submitted", ["auto-replied"]),
        *((name, safe(value).split(" ")) for name, value in message.extra),
        ("MIME-Version", ["1.0"]),
        ("Content-Type", ["text/plain; charset=utf-8"]),
        ("Content-Transfer-Encoding", ["quoted-printable" if long else "8bit"]),
    ]
    head = "".join(_folded(name, words) for name, words in fields if words)
    return head.encode("ascii", "replace") + b"\n" + (quopri.encodestring(body) if long else body)


def mboxrd(mails: Iterable[bytes]) -> bytes:
    """Mails as an mbox, in which every body can be told from the next mail (``>From`` quoting, at every level).

    :source: public-inbox and git-mailsplit(1), ``--mboxrd``
    """
    return b"".join(
        b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + re.sub(rb"^(>*From )", rb">\1", mail, flags=re.MULTILINE) + b"\n"
        for mail in mails
    )


def mailbox(person: Author) -> str:
    """``Name <address>``, the name quoted or encoded as it needs."""
    name = clip(safe(person.name).strip(), 200)
    if not name:
        return person.email
    if not name.isascii() or "=?" in name:
        return f"{' '.join(encoded_words(name))} <{person.email}>"
    if not _ATOMS.fullmatch(name):
        name = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    return f"{name} <{person.email}>"


def subject_words(text: str) -> list[str]:
    """A subject as words that may be put on lines of their own; from the first that is not plain ASCII on, encoded."""
    words = clip(safe(text), 5000).split()
    odd = next((n for n, w in enumerate(words) if not w.isascii() or "=?" in w or len(w) > _WORD_OF_ITS_OWN), len(words))
    rest = " ".join(words[odd:])
    return [*words[:odd], *(encoded_words(rest) if rest else ())]


def encoded_words(text: str) -> list[str]:
    """``text`` as encoded words of at most 75 characters, none of which ends within a letter (RFC 2047)."""
    words = [""]
    for letter in text:
        code = "".join(
            "_" if byte == 0x20 else chr(byte) if byte in _PLAIN else f"={byte:02X}" for byte in letter.encode("utf-8", "replace")
        )
        if len(words[-1]) + len(code) > 63:
            words.append("")
        words[-1] += code
    return [f"=?utf-8?q?{word}?=" for word in words]


def _list(persons: tuple[Author, ...]) -> list[str]:
    texts = [mailbox(person) for person in persons if is_address(person.email)]
    return [f"{text}," for text in texts[:-1]] + texts[-1:]


def _folded(name: str, words: list[str]) -> str:
    """One header; what stands after a line's end begins with a blank."""
    lines = [f"{name}:"]
    for number, word in enumerate(words):
        if number and len(lines[-1]) + 1 + len(word) > WIDTH:
            lines.append("")
        lines[-1] += f" {word}"
    return "\n".join(lines) + "\n"
