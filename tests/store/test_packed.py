"""Values as they stand in the store."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from reviewer.store import packed
from reviewer.store.factstore import SCHEMA


def test_another_dictionary_needs_another_schema() -> None:
    dictionary = Path(packed.__file__).with_name(packed.DICTIONARY).read_bytes()
    assert (SCHEMA, hashlib.sha256(dictionary).hexdigest()[:12]) == (3, "bfc287981367"), "count SCHEMA up with the dictionary"


def test_what_bodies_have_in_common_costs_little() -> None:
    value = b"\xabmutex_lock\xa0" * 3 + b"\xadmutex_unlock\xa0" * 3
    assert len(packed.pack(value)) < len(value) / 2
    assert packed.unpack(packed.pack(value)) == value


@pytest.mark.parametrize("data", [None, "text", b"", b"1234", b"12345z"])
def test_what_nobody_packed(data: object) -> None:
    with pytest.raises(packed.Damaged):
        packed.unpack(data)
