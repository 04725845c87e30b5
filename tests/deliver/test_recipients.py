"""An answer goes to the author, not to a relay, and to those who had the patch, and to nobody else."""

from __future__ import annotations

from io import BytesIO

import pytest
from mails import DIFF, make_patch

from reviewer.deliver.recipients import author_of, recipients
from reviewer.source.patch import Author
from reviewer.source.series import read_series

OWN = Author("reviewer", "reviewer@example.net")
ANN = Author("Ann Example", "ann@example.org")
LIST = Author("", "linux-mm@example.org")


def test_author_and_those_who_had_it() -> None:
    patch = make_patch(to=(LIST, ANN), cc=(Author("Bo", "bo@example.org"), LIST))
    assert recipients(patch, OWN) == ((ANN,), (LIST, Author("Bo", "bo@example.org")))


def test_our_own_address_is_dropped() -> None:
    patch = make_patch(to=(LIST, Author("x", "REVIEWER@example.net")))
    assert recipients(patch, OWN)[1] == (LIST,)
    assert recipients(make_patch(author=OWN), OWN) == ((), (LIST,))


def test_who_passed_on_the_patch_gets_a_copy() -> None:
    greg = Author("Greg", "greg@example.org")
    assert recipients(make_patch(sender=greg), OWN) == ((ANN,), (greg, LIST))


@pytest.mark.parametrize(
    ("reply_to", "cc", "expected"),
    [
        ((ANN,), (), ANN),
        ((), (ANN,), ANN),
        ((LIST, Author("", "ann@example.org")), (), ANN),
        ((), (), Author("Ann Example", "")),
        ((Author("Ann Example", "other@example.org"),), (), Author("Ann Example", "other@example.org")),
    ],
)
def test_a_relay_is_not_the_author(reply_to: tuple[Author, ...], cc: tuple[Author, ...], expected: Author) -> None:
    relay = Author("Ann Example via B4 Relay", "devnull+ann.example.org@kernel.org")
    patch = make_patch(author=relay, reply_to=reply_to, cc=cc)
    assert author_of(patch) == expected
    to, copies = recipients(patch, OWN)
    assert all("devnull" not in person.email for person in (*to, *copies))
    assert to == ((expected,) if expected.email else ())


def test_a_list_that_writes_mails_anew_is_not_the_author() -> None:
    munged = Author("Ann Example via linux-mm", "linux-mm@example.org")
    assert author_of(make_patch(author=munged, reply_to=(ANN,))) == ANN
    assert author_of(make_patch(author=munged)) == munged


def test_of_a_relayed_mail_the_author_in_the_body_counts() -> None:
    raw = (
        b"From: Ann Example via B4 Relay <devnull+ann.example.org@kernel.org>\nReply-To: ann@example.org\n"
        b"To: linux-mm@example.org\nSubject: [PATCH] mm: x\nMessage-ID: <1@example.org>\n\n"
        b"From: Ann Example <ann@example.org>\n\nwhy\n---\n" + DIFF
    )
    patch = read_series(("-",), BytesIO(raw)).patches[0]
    assert recipients(patch, OWN) == ((ANN,), (LIST,))


def test_what_a_header_cannot_hold_is_no_recipient() -> None:
    patch = make_patch(cc=(Author("x", "a b@example.org"), Author("y", 'q"@example.org'), Author("z", "é@example.org")))
    assert recipients(patch, OWN)[1] == (LIST,)
