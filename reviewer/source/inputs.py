"""What a series is given as: files, folders and standard input, down to single messages with the name of their origin."""

from __future__ import annotations

import gzip
import io
import re
import stat
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from reviewer.errors import InputError
from reviewer.source.mbox import is_mbox, split_mbox
from reviewer.source.paths import shown

MOST = 1 << 30
"""Bytes of one input, unpacked. A list's whole year fits."""

GIVE = "give an mbox, patch files or a directory of them"
_STDIN = "standard input"

_SUFFIXES = (".patch", ".diff", ".eml", ".mbox", ".mbx", ".mail", ".txt")
_NUMERALS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Message:
    """One message, or a text that is none.

    :ivar origin: file, and message if it has several. :ivar stem: the file's name without its suffix.
    :ivar explicit: a file that was named and has nothing else in it.
    :ivar strip: what a quilt series says with ``-p``, else None.
    """

    data: bytes
    origin: str
    stem: str
    explicit: bool = False
    strip: int | None = None


def read_messages(inputs: Sequence[str], stdin: IO[bytes] | None) -> Iterator[Message]:
    """Every message of every input, in order.

    :param inputs: paths of files or folders, or ``-``. :param stdin: what ``-`` means.
    :raises InputError: one is absent, cannot be read, is empty or too large; one line each
    """
    for name in inputs:
        if name == "-":
            if stdin is None:
                raise InputError(f"{_STDIN}: there is none", GIVE)
            yield from _messages(_read(stdin, _STDIN), _STDIN, "stdin", True)
            continue
        path = Path(name)
        try:
            is_folder = stat.S_ISDIR(path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(f"{shown(name)}: no such file or folder", GIVE) from None
        except (OSError, ValueError) as error:
            raise _unreadable(name, error) from None
        yield from _folder(path) if is_folder else _file(path, explicit=True)


def _unreadable(name: str | Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"{shown(str(name))}: cannot be read ({reason})", GIVE)


def _file(path: Path, explicit: bool = False, strip: int | None = None) -> Iterator[Message]:
    try:
        with path.open("rb") as stream:
            data = _read(stream, shown(str(path)))
    except OSError as error:
        raise _unreadable(path, error) from None
    stem = path.name.removesuffix(".gz")
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix)
    yield from _messages(data, shown(str(path)), stem, explicit, strip)


def _read(stream: IO[bytes], origin: str) -> bytes:
    """All of a stream, unpacked if it is packed."""
    data = stream.read(MOST + 1)
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MOST + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{origin}: the gzip data is damaged ({error})", "get the file again") from None
    if len(data) > MOST:
        raise InputError(f"{origin}: larger than {MOST >> 20} MB", "give the thread, not the whole list")
    return data.removeprefix(b"\xef\xbb\xbf")


def _messages(data: bytes, origin: str, stem: str, explicit: bool, strip: int | None = None) -> Iterator[Message]:
    data = data.lstrip(b"\r\n") if data[:1] in (b"\r", b"\n") else data
    if not is_mbox(data):
        yield Message(data, origin, stem, explicit, strip)
        return
    number, waiting = 0, b""
    for message in split_mbox(data):
        if number:
            yield Message(waiting, f"{origin} (message {number})", stem)
        number, waiting = number + 1, message
    several = number > 1
    yield Message(waiting, f"{origin} (message {number})" if several else origin, stem, explicit and not several, strip)


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts runs of digits as numbers: 2 before 10, as git does in a maildir."""
    return [(int(part[:18]), "") if part.isdecimal() and part.isascii() else (-1, part) for part in _NUMERALS.split(name) if part]


def _folder(path: Path) -> Iterator[Message]:
    try:
        entries = sorted(path.iterdir(), key=lambda entry: natural(entry.name))
        folders = {entry.name for entry in entries if entry.is_dir()}
        files = [entry for entry in entries if entry.name not in folders and not entry.name.startswith(".")]
    except OSError as error:
        raise _unreadable(path, error) from None
    if any(entry.name == "series" for entry in files):
        yield from _quilt(path)
        return
    if folders & {"cur", "new"}:
        yield from _maildir(path)
        return
    patches = [file for file in files if file.name.removesuffix(".gz").endswith(_SUFFIXES)]
    patches = patches or [file for file in files if file.name.isdecimal()]  # MH, git mailsplit
    if not patches:
        raise InputError(f"{shown(str(path))}: no patch in it", GIVE)
    for file in patches:
        yield from _file(file)


def _maildir(path: Path) -> Iterator[Message]:
    try:
        mails = [mail for name in ("cur", "new") if (path / name).is_dir() for mail in (path / name).iterdir()]
    except OSError as error:
        raise _unreadable(path, error) from None
    mails = [mail for mail in mails if not mail.name.startswith(".") and mail.is_file()]
    if not mails:
        raise InputError(f"{shown(str(path))}: no mail in it", GIVE)
    for mail in sorted(mails, key=lambda mail: natural(mail.name)):
        yield from _file(mail)


def _quilt(path: Path) -> Iterator[Message]:
    """The patches that a quilt ``series`` file names.

    :source: quilt(1), "series"
    """
    listing = path / "series"
    try:
        lines = listing.read_bytes()[:MOST].decode("utf-8", "surrogateescape").split("\n")
    except OSError as error:
        raise _unreadable(listing, error) from None
    empty = True
    for number, line in enumerate(lines, 1):
        where = f"{shown(str(listing))}:{number}"
        named, *options = (re.split(r"(?:^|\s)#", line, maxsplit=1)[0].split()) or [""]
        if not named:
            continue
        if named.startswith("/") or ".." in named.split("/") or "\0" in named:
            raise InputError(f"{where}: '{shown(named)}' is outside of the folder", "name patches below it")
        empty = False
        file = path / named
        if not file.is_file():
            raise InputError(f"{where}: '{shown(named)}' is not there", "add the patch or take the line out")
        yield from _file(file, strip=_level(options, where))
    if empty:
        raise InputError(f"{shown(str(listing))}: it names no patch", GIVE)


def _level(options: list[str], where: str) -> int | None:
    """The ``-p`` of a line in a quilt series. ``-pab`` says the prefixes a/ and b/."""
    text = " ".join(options)
    if not text:
        return None
    if text == "-pab":
        return 1
    if found := re.fullmatch(r"-p ?(\d)", text):
        return int(found[1])
    raise InputError(f"{where}: '{shown(text)}' is not understood", "only -pN may stand behind a name")
