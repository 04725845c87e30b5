"""Whole answers of earlier scans, kept in the fact store.

An answer is repeated only where nothing that it rests on can have changed: the content of the tree, the question, the
rules and models (the user's own, too), our code, and whatever could not be read at the time.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import msgspec

from reviewer.checks.memo import can_be_read, closed, content_id, rests_on
from reviewer.checks.result import ScanRequest, ScanResult

if TYPE_CHECKING:
    from reviewer.program.api.models import ApiModels
    from reviewer.source.tree import Tree
    from reviewer.store.factstore import Store

KIND = "answer"

KEPT = 40
"""Answers that stay in the store: some 100 KB each, before compression."""


class Answer(msgspec.Struct, frozen=True):
    """A result and what to look at before it is repeated.

    :ivar closed: files that were needed, or searched, and could not be had. :ivar others: files that are no C files by
        their name and were asked for, with their blob id, "" where there was none.
    """

    result: ScanResult
    closed: tuple[str, ...]
    others: dict[str, str]


def key(tree: Tree, models: ApiModels, request: ScanRequest) -> str:
    """The name of the answer to ``request`` for ``tree``. The processes used do not count."""
    parts = [tree.identity(), request.chain, request.everything, request.paths, request.rules, *rests_on(models, request)]
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()


def load(store: Store, key: str, tree: Tree) -> ScanResult | None:
    """The answer kept under ``key``, if it still holds for ``tree``."""
    value = store.memo_get(KIND, key)
    if value is None:
        return None
    try:
        answer = msgspec.convert(json.loads(value), Answer)
    except (ValueError, msgspec.ValidationError):
        return None
    if any(can_be_read(tree, path) for path in answer.closed):
        return None
    if any(content_id(tree, path) != blob for path, blob in answer.others.items()):
        return None
    return answer.result


def save(store: Store, key: str, tree: Tree, result: ScanResult) -> None:
    """Keep ``result``, the answer to ``key``."""
    skipped = {path for path, _ in (*tree.skipped, *result.skipped)}
    unread = tuple(closed(tree, skipped))
    # A revision's identity says what every file is; a disk's speaks of C files only.
    others = {path: content_id(tree, path) for path in sorted(tree.asked)} if tree.rev is None else {}
    answer = Answer(result, unread, others)
    # By the standard library, in ASCII: a file name that is no UTF-8 has lone surrogates, which msgspec refuses.
    store.memo_put(KIND, key, json.dumps(msgspec.to_builtins(answer)).encode("ascii"))
    store.forget(KIND, KEPT)
