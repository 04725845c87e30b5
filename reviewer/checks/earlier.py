"""What is known of the many parts of a whole tree: each answer is kept once, and of each state of it which answers hold.

A scan of a kernel asks a thousand questions. After a pull of ten files all but some twenty of the answers stay as they are; to
write them anew for each state would fill the store with copies.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TypeVar

from reviewer.checks.memo import Memo, content_id
from reviewer.parse.dialect import Dialect
from reviewer.program.index.bases import Bases
from reviewer.program.index.trace import Trace
from reviewer.source.tree import Tree
from reviewer.store.factstore import Store

STATE, CONTENTS, ASKED = "whole", "whole contents", "whole asked"

STATES = 6
"""States of trees of which it is known which answers hold; what they list takes some 130 KB, and some 4 MB of files on disk."""

KEPT = 1_500
"""Answers that stay in the store, some 100 KB each with their traces: those of one kernel, and of what changed since."""

AT_ONCE = 40
"""Answers after which they are written: an interrupted scan goes on there."""

T = TypeVar("T")


class Earlier(Memo):
    """As :class:`Memo`, for the parts of a scan of a whole tree, on disk, too.

    An answer stays with the state of the tree that it was found for. Of each state there is a list: the digest of each question,
    and the state that has its answer.
    """

    kind, traces, max_changed = "whole part", "whole trace", 1_000

    def __init__(self, tree: Tree, store: Store, dialect: Dialect, rests_on: Sequence[str]) -> None:
        super().__init__(tree, store, dialect, rests_on)
        self._states: dict[str, str] = {}
        self._asked: dict[str, str] = {}
        self._agree: dict[str, bool] = {}
        self._ours: dict[str, str] = {}
        if self.lasting:
            # Before anything is read: what is changed meanwhile is another state.
            self._here = tree.contents()
            self._states = self._known()

    @property
    def lasting(self) -> bool:
        return self.tree.rev is not None or self.tree.listing() is not None

    def get(self, question: str, type_: type[T]) -> tuple[T, Trace] | None:
        digest = self._digest(question)
        state = self._states.get(digest)
        known = self._at(state, digest, type_) if state is not None and self._agrees(state) else None
        if state is not None and known is not None:
            self._ours[digest] = state
        return known

    def put(self, question: str, answer: object, trace: Trace, skipped: Iterable[str]) -> None:
        """Keep an answer, unless it is one that :meth:`get` gave; every so many are written."""
        digest = self._digest(question)
        if digest in self._ours or not self.lasting:
            return
        super().put(question, answer, trace, skipped)
        self._ours[digest] = self.tree.identity()
        if len(self._new) >= AT_ONCE:
            self._write()

    def flush(self) -> None:
        if self._ours:
            self._write()
            for kind, keep in ((STATE, STATES), (CONTENTS, STATES), (ASKED, STATES), (self.kind, KEPT), (self.traces, KEPT)):
                self._store.forget(kind, keep)

    def _write(self) -> None:
        here = self.tree.identity()
        listed = self._listed(here) if self._agrees(here) else {}
        if not self._same_as_before():
            self._new.clear()  # whatever was found since may rest on either content
            return
        super()._write()
        self._store.memo_put(STATE, here, json.dumps({**listed, **self._ours}).encode("ascii"))
        if self.tree.rev is None:
            self._store.memo_put(ASKED, here, json.dumps(self._asked).encode("ascii"))
        if self._here:
            self._store.memo_put(CONTENTS, self.tree.identity(), self._here)
            self._here = b""

    def _known(self) -> dict[str, str]:
        """For each question the state that has an answer to it: this very one, or that of the tree nearest to it."""
        own = self._listed(self.tree.identity())
        near = [(other.distance, other.identity) for state in self._stored() if (other := self._other(state)) is not None]
        for _, state in sorted(near):
            others = self._listed(state)
            if others:
                return {**others, **own}
        return own

    def _stored(self) -> list[str]:
        return [state for state in Bases(self.tree, self._store).identities() if state != self.tree.identity()]

    def _listed(self, state: str) -> dict[str, str]:
        value = self._store.memo_get(STATE, state)
        return json.loads(value) if value is not None else {}

    def _contents(self, state: str) -> bytes:
        return self._store.memo_get(CONTENTS, state) or b""

    def _agrees(self, state: str) -> bool:
        """Whether files of other suffixes, Makefiles above all, are as they were in that state. Its answers may rest on any that
        was asked for, and of files on disk the identity says only what those with C's suffixes are."""
        if self.tree.rev is not None:
            return True
        if state not in self._agree:
            value = self._store.memo_get(ASKED, state)
            known = json.loads(value) if value is not None else None
            self._agree[state] = known is not None and all(content_id(self.tree, path) == one for path, one in known.items())
            if known is not None and self._agree[state] and state == self.tree.identity():
                self._asked = known | self._asked
        return self._agree[state]

    def _same_as_before(self) -> bool:
        """Whether what was asked for is still as it was when it was; new ones are noted."""
        if self.tree.rev is not None:
            return True
        now = {path: content_id(self.tree, path) for path in sorted(self.tree.asked)}
        same = all(self._asked.get(path, one) == one for path, one in now.items())
        self._asked = now | self._asked
        return same
