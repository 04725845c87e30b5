"""No patch adds a header to our mail, whatever is in its own; every reader of mail reads ours."""

from __future__ import annotations

import email
import email.policy
import mailbox as mailboxes
import re
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import getaddresses
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mails import make_cause, make_finding, make_patch, make_result, make_reviewed, series_of

from reviewer.checks.finding import Step
from reviewer.deliver.message import LONGEST_LINE, Message, encode, encoded_words, mboxrd
from reviewer.deliver.message import mailbox as mailbox_of
from reviewer.deliver.reply import Voice, replies
from reviewer.errors import InputError
from reviewer.source.patch import Author
from reviewer.source.series import read_series

NOW = datetime(2026, 6, 2, 12, 0, tzinfo=UTC)
OWN = Author("reviewer", "reviewer@example.net")
VOICE = Voice(sender=OWN, now=NOW, rules="abcd1234", base="b" * 40)

OURS = {
    "From", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted",
    "X-Reviewer-Version", "X-Reviewer-Report", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
}  # fmt: skip

EVIL = "\r\n\t\0\x0b\x0c\x1b\x1c\x7f\x85\u2028\u202e\u2066\u200f \"'\\<>()[],;:@=?%$`#-+>|Aaé漢🔥\ud800\udcff"
TEXT = st.one_of(
    st.text(st.sampled_from(EVIL), max_size=40),
    st.text(max_size=40),
    st.sampled_from([
        "x\r\nBcc: all@example.com", "x\nReviewed-by: A <a@b.c>", "=?utf-8?q?a=0D=0ABcc:_x?=", "a" * 3000, "Re:", "",
        "\n\nbody", "x\r\n\r\n<b>", "From here", "x y\u2028Bcc: q",
    ]),
)  # fmt: skip
PERSON = st.builds(Author, TEXT, st.one_of(TEXT, st.sampled_from(["a@b.org", "x\n@b.org", "a@b\nBcc: c@d", "é@b.org"])))


def mail(**parts: Any) -> Message:
    given: dict[str, Any] = {
        "sender": OWN, "to": (Author("Ann", "ann@example.org"),), "cc": (), "subject": "Re: x", "message_id": "i@example.net",
        "references": ("p@example.org",), "date": NOW, "body": "text\n",
    }  # fmt: skip
    return Message(**{**given, **parts})


def read(data: bytes) -> EmailMessage:
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def check_header(data: bytes) -> None:
    """ASCII, folded, each of our headers at most once, no other."""
    head, _, _ = data.partition(b"\n\n")
    assert re.fullmatch(rb"[\x20-\x7e\n]*", head), head
    names = [line.partition(b":")[0].decode() for line in head.split(b"\n") if not line.startswith(b" ")]
    assert len(names) == len(set(names))
    assert set(names) <= OURS and {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"} <= set(names), names
    assert all(line.strip() for line in head.split(b"\n"))
    assert all(len(line) <= LONGEST_LINE for line in data.split(b"\n"))


@settings(deadline=None)
@given(TEXT, st.lists(PERSON, max_size=4), PERSON, st.lists(TEXT, max_size=5), TEXT, TEXT)
def test_nothing_in_a_patch_becomes_a_header(
    subject: str, people: list[Author], author: Author, ids: list[str], path: str, source: str
) -> None:
    patch = make_patch(
        subject=subject, full_subject=subject, author=author, to=tuple(people), cc=tuple(people[::-1]), references=tuple(ids),
        message_id=ids[0] if ids else "", sender=people[0] if people else None, reply_to=tuple(people[:2]), date=subject,
    )  # fmt: skip
    step = Step("call", path, 3, source, source, (path, source))
    finding = make_finding(file=path, function=source, message=f"{source}: {path}", involves=(source,), proof=(step,) * 3)
    found = [
        make_reviewed(patch, finding, make_cause(inside=False, why=source)),
        make_reviewed(patch, make_finding(fingerprint="f" * 16)),
    ]
    cover = make_patch(number=0, full_subject=subject, message_id=subject, author=author, files=())
    series = series_of(patch, cover_id=subject, cover=cover)
    (answer,) = replies(series, make_result(*found), found, VOICE)
    data = encode(answer)
    check_header(data)
    body = read(data).get_content()
    ours = [line for line in body.split("\n") if not line.startswith(">")]
    assert not any(re.match(r"\s*([\w-]+-by|fixes|closes|pw-bot):", line, re.IGNORECASE) for line in ours)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066\u200f]", body)
    assert mboxrd([data]).count(b"\nFrom ") == 0


@settings(deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_nothing_in_a_mail_becomes_a_header(subject: bytes, sender: bytes, cc: bytes, name: bytes) -> None:
    raw = (
        b"From: %s <ann@example.org>\nSubject: [PATCH] %s\nCc: %s\nMessage-ID: <%s>\n\nwhy\n---\n" % (sender, subject, cc, name)
    ) + b"diff --git a/mm/pump.c b/mm/pump.c\n--- a/mm/pump.c\n+++ b/mm/pump.c\n@@ -1 +1 @@\n-one\n+two\n"
    try:
        series = read_series(("-",), BytesIO(raw))
    except InputError:
        return
    patch = series.patches[0]
    found = [make_reviewed(patch, make_finding(line=1), make_cause(patch, 0))]
    (answer,) = replies(series, make_result(*found), found, VOICE)
    check_header(encode(answer))


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=300))
def test_a_subject_is_read_back(text: str) -> None:
    text = " ".join(text.split())
    text = re.sub("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", "", text)
    data = encode(mail(subject=f"Re: {text}"))
    check_header(data)
    raw = email.message_from_bytes(data)["Subject"]
    assert " ".join(str(make_header(decode_header(raw))).split()) == f"Re: {text}".strip()


def test_the_readable_part_of_a_subject_stays_readable() -> None:
    data = encode(mail(subject="Re: [PATCH v2 3/7] mm: für das Öl"))
    assert b"\nSubject: Re: [PATCH v2 3/7] mm: =?utf-8?q?" in data


@pytest.mark.parametrize(
    "name",
    ["Ann Example", "Example, Ann", "Ann (TI)", 'Ann "A" E', "Ann E.", "Ähn", "a\\b", "=?utf-8?q?x?=", "李, 小 (R)", "Ann " * 40],
)
def test_a_name_is_read_back(name: str) -> None:
    data = encode(mail(to=(Author(name, "ann@example.org"), Author("B", "b@example.org"))))
    check_header(data)
    raw = email.message_from_bytes(data)["To"]
    (first, second) = getaddresses([raw.replace("\n", "")])
    assert second == ("B", "b@example.org")
    assert first[1] == "ann@example.org"
    assert str(make_header(decode_header(first[0]))) == name.strip()


def test_an_encoded_word_is_short_and_ends_with_a_letter() -> None:
    for word in encoded_words("漢字" * 100):
        assert len(word) <= 75
        decode_header(word)[0][0].decode()  # type: ignore[union-attr]


def test_a_mail_without_anybody_still_has_a_recipient() -> None:
    data = encode(mail(to=(Author("A", "no address"),)))
    assert b"\nTo: undisclosed-recipients:;\n" in data


def test_a_name_cannot_break_out_of_its_quotes() -> None:
    assert mailbox_of(Author('a" <evil@example.com>, "b', "a@b.org")) == '"a\\" <evil@example.com>, \\"b" <a@b.org>'


def test_a_long_thread_keeps_its_first_and_last() -> None:
    ids = tuple(f"{n}@example.org" for n in range(100))
    message = read(encode(mail(references=ids)))
    known = message["References"].split()
    assert known[0] == "<0@example.org>" and known[-1] == "<99@example.org>" and len(known) == 21
    assert message["In-Reply-To"] == "<99@example.org>"


def test_a_body_of_usual_lines_is_sent_as_it_is() -> None:
    data = encode(mail(body="grün\n"))
    assert b"Content-Transfer-Encoding: 8bit" in data and data.endswith("\n\ngrün\n".encode())


def test_a_line_too_long_for_a_mail_is_quoted_printable() -> None:
    body = "> +\t" + "x" * 2000 + "\n"
    data = encode(mail(body=body))
    assert b"Content-Transfer-Encoding: quoted-printable" in data
    check_header(data)
    assert read(data).get_content() == body


def test_mails_stay_apart_in_an_mbox(tmp_path: Path) -> None:
    body = "From here on\n>From there\n> From a quote\n"
    path = tmp_path / "two.mbox"
    path.write_bytes(mboxrd([encode(mail(body=body)), encode(mail(body=body))]))
    box = mailboxes.mbox(path)
    assert len(box) == 2
    text = box[0].get_payload()
    assert re.sub("^>(>*From )", r"\1", str(text), flags=re.MULTILINE).strip() == body.strip()




def test_ids_that_are_none_are_left_out() -> None:
    data = encode(mail(references=("ok@example.org", "a b", "x\nBcc: y@z", "<a@b>", "é@b", "", "x\0@b")))
    check_header(data)
    assert read(data)["References"] == read(data)["In-Reply-To"] == "<ok@example.org>"
