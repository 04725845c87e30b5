"""b4's own reader of quoted replies, where b4 is installed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mails import Comment


@pytest.fixture
def b4_comments() -> Callable[..., list[Comment]]:
    """The remarks that b4 finds; given the diff of the patch, at the places that it settles on."""
    review = pytest.importorskip("b4.review._review")

    def read(body: str, diff: str | None = None) -> list[Comment]:
        found = review._extract_comments_from_quoted_reply(body)
        if diff is not None:
            review._resolve_comment_positions(diff, found)
        return [Comment(c["path"].removeprefix("b/").removeprefix("a/"), c["line"], c["content"], c["text"]) for c in found]

    return read
