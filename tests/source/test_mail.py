"""Mails, with git mailinfo as the judge of what is message and what is patch."""

from __future__ import annotations

import base64
import quopri
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviewer.errors import InputError
from reviewer.source import mail as mail_module
from reviewer.source.headers import persons, words
from reviewer.source.mail import Mail, is_mail, is_scissors, parse_mail, tidy, unflow
from reviewer.source.patch import Author
from reviewer.source.subject import clean_title

DIFF = b"""diff --git a/mm/demo.c b/mm/demo.c
index 1111111..2222222 100644
--- a/mm/demo.c
+++ b/mm/demo.c
@@ -1,2 +1,2 @@
 one
-two
+2
"""

HEAD = b"""From: A Writer <writer@example.org>
To: list@example.org, "Boss, The" <boss@example.org>
Cc: =?utf-8?q?J=C3=BCrgen=2C_H?= <j@example.org>
Date: Mon, 2 Mar 2020 10:00:00 +0100
Subject: [PATCH v2 1/2] mm: count
Message-ID: <two@example.org>
In-Reply-To: <one@example.org>
References: <zero@example.org> <one@example.org>
"""

TEXT = b"Because.\n\nSigned-off-by: A Writer <writer@example.org>\n---\n mm/demo.c | 2 +-\n\n" + DIFF + b"-- \n2.39.5\n"


def read(data: bytes) -> Mail:
    return parse_mail(data, "x.mail")


def mailinfo(data: bytes, folder: Path) -> tuple[dict[str, str], str, bytes]:
    """(fields, message, patch) as git says them."""
    command = ["git", "mailinfo", "--scissors", str(folder / "message"), str(folder / "patch")]
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    fields = dict(line.split(": ", 1) for line in done.stdout.decode().splitlines() if ": " in line)
    return fields, (folder / "message").read_bytes().decode(), (folder / "patch").read_bytes()


def agrees(data: bytes, folder: Path) -> Mail:
    """Read a mail, and see that git reads the same."""
    fields, message, patch = mailinfo(data, folder)
    ours = read(data)
    assert clean_title(ours.subject) == fields.get("Subject", "")
    assert (ours.author.name, ours.author.email) == (fields["Author"], fields["Email"])
    assert ours.date == fields.get("Date", "").strip()
    assert ours.message == tidy(message)
    assert ours.diff == patch
    return ours


def test_a_plain_mail(tmp_path: Path) -> None:
    mail = agrees(HEAD + b"\n" + TEXT, tmp_path)
    assert mail.subject == "[PATCH v2 1/2] mm: count" and mail.message_id == "two@example.org"
    assert mail.references == ("zero@example.org", "one@example.org")
    assert mail.to == (Author("", "list@example.org"), Author("Boss, The", "boss@example.org"))
    assert mail.cc == (Author("Jürgen, H", "j@example.org"),)
    assert mail.message == "Because.\n\nSigned-off-by: A Writer <writer@example.org>\n"
    assert mail.diff.startswith(b"---\n mm/demo.c")
    assert mail.diff_line == len((HEAD + b"\n").splitlines()) + 4  # in the file, as nothing is encoded


FIELDS = [
    (b"Subject: =?UTF-8?q?mm:_gr=C3=BC=C3=9F?=\n =?UTF-8?q?e_an_alle?=\n", "mm: grüße an alle"),
    (b"Subject: =?UTF-8?B?bW06IGdyw7w=?= =?utf-8?b?w59l?=\n", "mm: grüße"),
    (b"Subject: =?utf-8?b?w7?= =?utf-8?b?xy?=\n", None),
    (b"Subject: =?iso-8859-1?Q?gr=FC=DFe?= and\n\tmore\n", "grüße and more"),
    (b"Subject: Re: [PATCH] [media] mm: count\n", "mm: count"),
    (b"Subject: [PATCH v3 1/2]mm: count: [x] y\n", "mm: count: [x] y"),
    (b"Subject: mm: gr\xc3\xbc\xc3\x9fe\n", "mm: grüße"),
    (b"Subject: mm: a   \n  b\n", "mm: a b"),
    (b"Subject:\n", ""),
]


@pytest.mark.parametrize(("field", "title"), FIELDS)
def test_subjects(field: bytes, title: str | None, tmp_path: Path) -> None:
    head = b"From: a <a@b>\nDate: x\n" + field
    if title is None:
        assert clean_title(read(head + b"\n" + TEXT).subject)
        return
    assert clean_title(agrees(head + b"\n" + TEXT, tmp_path).subject) == title


@pytest.mark.parametrize(
    ("field", "author"),
    [
        (b'"Last, First" <f@x.org>', Author("Last, First", "f@x.org")),
        (b"First (nick) Last <f@x.org>", Author("First (nick) Last", "f@x.org")),
        (b"f@x.org (First Last)", Author("First Last", "f@x.org")),
        (b"<f@x.org> (First Last)", Author("First Last", "f@x.org")),
        (b"=?utf-8?q?J=C3=BCrgen?= <f@x.org>", Author("Jürgen", "f@x.org")),
        (b'"A \\"b\\" C" <f@x.org>', Author('A "b" C', "f@x.org")),
        (b"J. Doe, Jr. <f@x.org>", Author("J. Doe, Jr.", "f@x.org")),
    ],
)
def test_authors(field: bytes, author: Author, tmp_path: Path) -> None:
    assert agrees(b"From: " + field + b"\nSubject: x\nDate: y\n\n" + TEXT, tmp_path).author == author


def test_one_id_of_a_thread_is_not_there_twice() -> None:
    thread = b"In-Reply-To: <1@x> (a's mail of monday)\nReferences: <1@x>\n\t<2@x>\n"
    assert read(b"From: a@b\n" + thread + b"\n").references == ("2@x", "1@x")
    assert read(b"From: a@b\nMessage-ID: < 1@x >\nReferences: 1@y 2@y\n\n").references == ("1@y", "2@y")


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
def test_transfer_encodings(encoding: str, line_end: bytes, tmp_path: Path) -> None:
    text = TEXT.replace(b"Because.", "Because of Ü = ü.".encode()).replace(b"+2", "+ü =3D".encode())
    body = {"8bit": text, "quoted-printable": quopri.encodestring(text), "base64": base64.encodebytes(text)}[encoding]
    head = HEAD + b"Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: " + encoding.encode() + b"\n\n"
    data = (head + body).replace(b"\n", line_end)
    mail = read(data) if line_end == b"\r\n" else agrees(data, tmp_path)
    assert mail.message.startswith("Because of Ü = ü.\n") and mail.diff == text[text.index(b"---") :]
    assert mail.diff_line == (4 if encoding != "8bit" else 4 + head.count(b"\n"))


def test_line_ends_that_an_encoding_brings_along() -> None:
    head = HEAD + b"Content-Transfer-Encoding: base64\n\n"
    assert read(head + base64.encodebytes(TEXT.replace(b"\n", b"\r\n"))).diff == TEXT[TEXT.index(b"---") :]
    mixed = TEXT.replace(b"+2\n", b"+2\r\n")  # a file with such ends: those stay
    assert b"+2\r\n" in read(head + base64.encodebytes(mixed)).diff and b"+2\r\n" in read(HEAD + b"\n" + mixed).diff


@pytest.mark.parametrize("footer", [b"\n______\nour list: https://example.org/\n", b"footer\n"])
@pytest.mark.parametrize("more", [b"", b"x", b"xy"])
def test_a_footer_behind_base64_is_no_base64(footer: bytes, more: bytes) -> None:
    body = base64.encodebytes(TEXT + more)
    if footer.startswith(b"\n") or body.endswith(b"=\n"):
        assert read(HEAD + b"Content-Transfer-Encoding: base64\n\n" + body + footer).diff.endswith(b"-- \n2.39.5\n" + more)


def test_prose_is_decoded_and_the_diff_is_not(tmp_path: Path) -> None:
    text = TEXT.decode().replace("Because.", "Schön.").replace("+2", "+ö").encode("latin-1")
    mail = agrees(HEAD + b"Content-Type: text/plain; charset=iso-8859-1\n\n" + text, tmp_path)
    assert mail.message.startswith("Schön.\n") and b"+\xf6\n" in mail.diff
    twofold = HEAD + b"Content-Type: text/plain; charset=iso-8859-1\n\n" + b"\xc3\xbc\n" + DIFF
    assert agrees(twofold, tmp_path).message == "\u00c3\u00bc\n"
    for unsaid in (b"", b"Content-Type: text/plain; charset=us-ascii\n", b"Content-Type: text/plain; charset=nonsense\n"):
        assert read(HEAD + unsaid + b"\n" + text).message.startswith("Schön.\n")
        assert read(HEAD + unsaid + b"\n" + text.decode("latin-1").encode()).message.startswith("Schön.\n")


def test_flowed_text(tmp_path: Path) -> None:
    stuffed = b"".join((b" " + line if line[:1] in (b" ", b">") else line) + b"\n" for line in DIFF.splitlines())
    for delsp in (b"", b"; delsp=yes"):
        head = HEAD + b"Content-Type: text/plain; charset=utf-8; format=flowed" + delsp + b"\n\n"
        mail = agrees(head + b"This is \nflowed.\n\n" + stuffed + b"-- \nsignature\n", tmp_path)
        assert mail.message == ("This is flowed.\n" if not delsp else "This isflowed.\n")
        assert mail.diff == DIFF + b"-- \nsignature\n"
    assert unflow(b"a \n", False) == b"a \n" and unflow(b"a \n-- \nb\n", True) == b"a\n-- \nb\n"


BODIES = {
    "author": b"From: Other <other@example.org>\n\nBecause.\n---\n",
    "all": b"\n\nFrom: Other <o@x.org>\nSubject: [PATCH] some\n thing\nDate: Tue, 3 Mar 2020 10:00:00 +0100\n\nBecause.\n---\n",
    "no blank": b"Subject: other\nBecause.\n---\n",
    "twice": b"From: Other <o@x.org>\n\nFrom: Third <t@x.org>\n\nBecause.\n---\n",
    "later": b"Because.\nFrom: Other <o@x.org>\n---\n",
    "escaped": b">From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: Other <o@x.org>\n\nB.\n---\n",
    "bare": b"[PATCH] mm: from the body\n\nBecause.\n---\n",
    "scissors": b"Hello,\n\nsee below\n\n-- >8 --\nSubject: mm: cut\n\nBecause.\n---\n",
    "scissors twice": b"From: Other <o@x.org>\n\na\n---8<---8<---\nb\n - - >8 - - >8 - cut here\nc\n---\n",
    "no scissors": b"a >8 b\n--8<\n>8 this is a very long line that has one pair of scissors in it --\n---\n",
    "index": b"Because.\n\nIndex: mm/demo.c\n=====\n",
    "dashes": b"Because.\n----\nMore.\n--- \n",
    "file": b"Because.\n",
    "blanks": b"\n\n  Because.  \n\n\n\nMore.\n\n---\n",
}


@pytest.mark.parametrize("name", BODIES)
def test_where_the_message_begins_and_ends(name: str, tmp_path: Path) -> None:
    agrees(HEAD + b"\n" + BODIES[name] + DIFF, tmp_path)


def test_in_body_headers_override() -> None:
    mail = read(HEAD + b"\n" + BODIES["all"] + DIFF)
    assert mail.author == Author("Other", "o@x.org") and mail.sender == Author("A Writer", "writer@example.org")
    assert mail.subject == "[PATCH] some thing" and mail.date.startswith("Tue, 3") and mail.message == "Because.\n"


def test_who_answers_is_not_whom_they_quote(tmp_path: Path) -> None:
    mail = agrees(HEAD + b"\nFrom: Other <o@x.org>\n\n> " + DIFF.replace(b"\n", b"\n> "), tmp_path)
    assert mail.author.name == "A Writer" and not mail.has_diff


@pytest.mark.parametrize(
    ("line", "cut"),
    [(b"-- >8 --\n", True), (b"8< -----", True), (b"--- %< --- cut ---", True), (b">8", False), (b"a >8 in a sentence", False)],
)
def test_scissors(line: bytes, cut: bool) -> None:
    assert is_scissors(line) is cut


def multipart(kind: str, *parts: tuple[str, bytes]) -> bytes:
    result = HEAD + b'MIME-Version: 1.0\nContent-Type: multipart/%b; boundary="=_x"\n\nfor old readers\n' % kind.encode()
    for header, content in parts:
        result += b"--=_x\n" + header.encode() + b"\n" + content + b"\n"
    return result + b"--=_x--\n"


PLAIN = "Content-Type: text/plain; charset=utf-8\n"


def test_the_first_plain_text_of_alternatives() -> None:
    html = b"<p>Because.</p>" + DIFF
    mail = read(multipart("alternative", (PLAIN, TEXT), ("Content-Type: text/html\n", html)))
    assert mail.message.startswith("Because.\n") and mail.diff.rstrip() == TEXT[TEXT.index(b"---") :].rstrip()
    assert b"<p>" not in mail.diff


@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: text/x-patch\n", "Content-Type: text/x-diff; charset=us-ascii\nContent-Disposition: attachment\n",
        'Content-Type: application/octet-stream\nContent-Disposition: attachment; filename="a.patch"\n',
        'Content-Type: text/plain; name="x.diff"\n', 'Content-Type: application/octet-stream; name="=?utf-8?q?x=2Epatch?="\n',
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoded", [False, True])
def test_attached_patches(header: str, encoded: bool) -> None:
    content = base64.encodebytes(DIFF) if encoded else DIFF
    header += "Content-Transfer-Encoding: base64\n" if encoded else ""
    mail = read(multipart("mixed", (PLAIN, b"Because.\n"), (header, content), (PLAIN, b"our list: x\n")))
    assert mail.message == "Because.\n" and mail.diff.rstrip() == DIFF.rstrip()


def test_other_attachments_are_no_patches() -> None:
    noise = ("Content-Type: application/gzip\nContent-Transfer-Encoding: base64\n", base64.encodebytes(b"\n" + DIFF))
    signature = ("Content-Type: application/pgp-signature\n", b"-----BEGIN-----\n")
    mail = read(multipart("signed", (PLAIN, b"Because.\n"), noise, signature))
    assert not mail.has_diff and mail.message == "Because.\n"


def test_an_attached_mail_keeps_its_author() -> None:
    inner = b"From %b Mon Sep 17 00:00:00 2001\nFrom: I <i@x.org>\nSubject: [PATCH] in\n\n" % (b"0123" * 10) + TEXT
    attached = ('Content-Type: text/x-patch; name="0001-in.patch"\n', inner)
    mail = read(multipart("mixed", (PLAIN, b"please take\n"), attached, attached))
    assert not mail.has_diff and [part.author.name for part in mail.attached] == ["I", "I"]
    assert mail.attached[0].subject == "[PATCH] in" and mail.attached[0].has_diff


def test_eight_bit_parts() -> None:
    text = TEXT.decode().replace("Because.", "Schön.").replace("+2", "+ö").encode("latin-1")
    mail = read(multipart("mixed", ("Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n", text)))
    assert mail.message.startswith("Schön.\n") and b"+\xf6\n" in mail.diff


def test_a_base_commit() -> None:
    base = b"0123456789abcdef0123456789abcdef01234567"
    mail = read(HEAD + b"\n" + TEXT + b"\nbase-commit: " + base + b"\nprerequisite-patch-id: 77\n")
    assert mail.base_commit == base.decode()
    assert read(HEAD + b"\n> base-commit: " + base + b"\n").base_commit == ""


def test_a_text_that_is_no_mail() -> None:
    for text in (b"Index: mm/demo.c\n" + DIFF, b"Description: foo\n\n" + DIFF, DIFF):
        mail = read(text)
        assert not is_mail(text) and mail.has_diff and mail.subject == "" and mail.author == Author("", "")


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_module, "LARGEST", 1000)
    with pytest.raises(InputError, match=r"^x\.mail: one message of more than"):
        read(HEAD + b"\n" + b"x" * 1000)


def test_parts_without_end() -> None:
    nested = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (level, level) for level in range(3000))
    with pytest.raises(InputError, match=r"x\.mail: the mail's parts are nested too deeply"):
        read(HEAD + nested)
    with pytest.raises(InputError, match=r"x\.mail: the mail has more than 1000 parts"):
        read(multipart("mixed", *[(PLAIN, b"x")] * 1001))
    assert persons([b"(" * 5000 + b"a@b" + b")" * 5000]) == ()


def test_parts_in_parts() -> None:
    inner = b"--y\n" + PLAIN.encode() + b"\nBecause.\n--y\nContent-Type: text/x-diff\n\n" + DIFF + b"--y--\nnot this\n"
    mail = read(multipart("signed", ("Content-Type: multipart/mixed;\n boundary=y\n", inner), (PLAIN, b"our list: x\n")))
    assert mail.message == "Because.\n" and mail.diff == DIFF
    forwarded = ("Content-Type: message/rfc822\n", b"From: x@y\nSubject: x\n" + PLAIN.encode() + b"\n" + TEXT)
    assert read(multipart("mixed", forwarded)).has_diff
    open_end = multipart("mixed", (PLAIN, b"Because.\n"), ("Content-Type: text/x-diff\n", DIFF)).replace(b"--=_x--\n", b"")
    assert read(open_end).diff.rstrip() == DIFF.rstrip()
    no_boundary = HEAD + b"Content-Type: multipart/mixed\n\n" + TEXT
    assert read(no_boundary).message.startswith("Because.\n") and read(no_boundary).has_diff


PIECES = st.sampled_from(
    [*HEAD.splitlines(keepends=True), *TEXT.splitlines(keepends=True), b"\n", b"Content-Type: multipart/mixed; boundary=x\n",
     b"--x\n", b"--x--\n", b"Content-Transfer-Encoding: base64\n", b"Content-Transfer-Encoding: quoted-printable\n", b"YWJj=\n",
     b"=?utf-8?b?=?= =?x?q?=ZZ?=", b"Content-Type: text/plain; charset*0*=utf-8''x; format=flowed\n", b"-- >8 --\n", b"\r\n",
     b'Content-Type: text/x-patch; name*="x\n', b"From nobody Mon Sep 17 00:00:00 2001\n", b"Content-Type: message/rfc822\n"]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(PIECES, st.binary(max_size=20)), max_size=40))
def test_no_mail_is_too_odd(pieces: list[bytes]) -> None:
    try:
        mail = read(b"From: a@b\n" + b"".join(pieces))
    except InputError as error:
        assert "\n" not in str(error)
        return
    for text in (mail.subject, mail.date, mail.message_id, mail.author.name, mail.author.email):
        assert "\n" not in text
        text.encode()


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="aé\u4e2d =?_-", max_size=40))
def test_encoded_words_come_back(text: str) -> None:
    coded = "=?utf-8?b?" + base64.b64encode(text.encode()).decode() + "?="
    assert words(coded) == text
    quoted = quopri.encodestring(text.encode(), header=True).decode().replace("=\n", "").replace("?", "=3F")
    assert words(f"=?utf-8?q?{quoted}?=") == text
