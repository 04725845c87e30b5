"""The header of a mail: its fields, encoded words (RFC 2047), persons, message ids."""

from __future__ import annotations

import binascii
import re
from email import quoprimime
from email.utils import getaddresses

from reviewer.source.patch import Author

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_LONGEST = 256 * 1024
"""Bytes of one field that are looked at. Real ones have a few hundred; a long Cc 20,000."""

_WORD = re.compile(r"=\?([^?\s]+)\?([bBqQ])\?([^?]*)\?=")
_WORDS = re.compile(rf"{_WORD.pattern}(?:\s+{_WORD.pattern})*")
_ID = re.compile(r"<\s*([^<>\s]+)\s*>")
_MAILBOX = re.compile(r"([^<]*)<\s*([^<>]*?)\s*>(?:\s*\(([^()]*)\))?")
_PAIR = re.compile(r"\\(.)", re.DOTALL)

CHARSETS = {"gb2312": "gb18030", "gbk": "gb18030", "ks_c_5601-1987": "cp949", "iso-8859-1": "cp1252", "us-ascii": "utf-8"}
"""What senders mean with a charset's name, where it is more than what it says."""


class Header:
    """Fields of one header, in order.

    :ivar fields: (lower-case name, unfolded raw value).
    """

    def __init__(self, fields: list[tuple[str, bytes]]) -> None:
        self.fields = fields

    def raw(self, name: str) -> bytes:
        """The first field of that name, b"" where there is none."""
        return next((value for key, value in self.fields if key == name), b"")

    def text(self, name: str) -> str:
        """The first field of that name, decoded, white space as single spaces."""
        return " ".join(words(self.raw(name)).split())

    def ids(self, name: str) -> tuple[str, ...]:
        """Message ids of all fields of that name, without ``<>``, each once."""
        text = " ".join(_plain(value) for key, value in self.fields if key == name)
        found = _ID.findall(text) or [word for word in text.split() if "@" in word]
        return tuple(dict.fromkeys(found))

    def persons(self, name: str) -> tuple[Author, ...]:
        """Addresses of all fields of that name."""
        return persons([value for key, value in self.fields if key == name])


def read_header(lines: list[bytes]) -> tuple[Header, int]:
    """The header that ``lines`` begin with, and how many lines it takes, the empty one behind it included.

    As for git mailinfo it ends at the first line that can be no field, and mbox separators in it are passed over.
    """
    fields: list[tuple[str, list[bytes]]] = []
    at = 0
    while at < len(lines):
        line = lines[at].rstrip(b"\r\n")
        if not line:
            at += 1
            break
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1][1].append(b" " + line.strip())
        elif found := _FIELD.match(line):
            fields.append((found[1].decode().lower(), [line[found.end() :].strip()]))
        elif not line.startswith((b"From ", b">From ")):
            break
        at += 1
    return Header([(name, b"".join(parts)[:_LONGEST]) for name, parts in fields]), at


def decode(text: bytes, charset: str) -> str:
    """Prose as text: in the charset that is said, or in UTF-8, or in Latin 1, which takes every byte."""
    name = charset.strip().lower()
    for codec in (CHARSETS.get(name, name), "utf-8"):
        try:
            return text.decode(codec)
        except (LookupError, UnicodeError, ValueError):
            continue
    return text.decode("latin-1")


def _plain(raw: bytes) -> str:
    return decode(raw, "")


def _group(group: re.Match[str]) -> str:
    """Encoded words that follow each other: one text, since a letter may be cut between two of them."""
    result: list[str] = []
    pending, charset = b"", ""
    for word in _WORD.finditer(group[0]):
        name = word[1].split("*")[0].lower()
        if word[2] in "qQ":
            content = quoprimime.header_decode(word[3]).encode("latin-1", "replace")
        else:
            letters = re.sub(r"[^A-Za-z0-9+/]", "", word[3])
            letters = letters[: len(letters) - (len(letters) % 4 == 1)]
            content = binascii.a2b_base64(letters + "=" * (-len(letters) % 4))
        if name != charset:
            result.append(decode(pending, charset))
            pending, charset = b"", name
        pending += content
    result.append(decode(pending, charset))
    return "".join(result)


def words(raw: bytes | str) -> str:
    """A field's value with its encoded words decoded. What cannot be decoded stays as it is.

    :source: RFC 2047, section 6.2: white space between two encoded words does not count
    """
    text = raw if isinstance(raw, str) else _plain(raw)
    return _WORDS.sub(_group, text)


def _unquoted(name: str) -> str:
    name = name.strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = _PAIR.sub(r"\1", name[1:-1])
    return " ".join(words(name).split())


def person(raw: bytes) -> Author:
    """The one person of a ``From`` field, whose name may have commas that nobody quoted."""
    text = _plain(raw)
    if found := _MAILBOX.search(text):
        return Author(_unquoted(found[1]) or _unquoted(found[3] or ""), found[2])
    return next(iter(persons([raw])), Author("", ""))


def persons(fields: list[bytes]) -> tuple[Author, ...]:
    """The persons of fields such as ``Cc``; those without an address are left out.

    Names are decoded after the list was split: an encoded name may have a comma in it.
    """
    try:
        found = getaddresses([_plain(field) for field in fields])
    except (RecursionError, ValueError, IndexError):  # comments in comments
        return ()
    return tuple(Author(" ".join(words(name).split()), address) for name, address in found if "@" in address)
