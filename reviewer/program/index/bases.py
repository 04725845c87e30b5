"""Trees of which the store holds a whole index: another state of the same files is one of them and a few changes.

After a pull, an edit or a patch a handful of files differ, and to search those costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from reviewer.source.tree import Tree
from reviewer.store.factstore import Store

KIND = "bases"

KEPT = 6
"""Trees that are remembered; their listings take some 4 MB each where the tree lies on disk."""

MAX_CHANGED = 2_000
"""Files that may differ from a tree's base; beyond it an index of its own costs less."""


NEAR = 50
"""Files that may differ from a base for which no nearer one is looked for."""


@dataclass(frozen=True, slots=True)
class Base:
    """A tree whose index is stored, and how ours differs. ``changed``: paths with another content, or on one side only."""

    identity: str
    changed: frozenset[str]
    present: tuple[str, ...]  # those of `changed` that our tree has


class Bases:
    """What the store knows of trees near ours."""

    def __init__(self, tree: Tree, store: Store) -> None:
        self.tree = tree
        self._store = store

    @cached_property
    def nearest(self) -> Base | None:
        """The stored tree that differs least, ours left out; None if all differ too much."""
        best: Base | None = None
        for identity in self.identities():
            if identity == self.tree.identity():
                continue
            changed = self.tree.changed_since(identity, self.listing(identity))
            if changed is not None and len(changed) <= (len(best.changed) if best is not None else MAX_CHANGED):
                best = Base(identity, changed, tuple(sorted(p for p in changed if self.tree.exists(p))))
                if len(changed) <= NEAR:
                    break
        return best

    def listing(self, identity: str) -> bytes:
        """What was to be remembered of a stored tree, to tell later how another differs; empty if nothing is known of it."""
        return self._store.memo_get(KIND, identity) or b""

    def remember(self) -> None:
        """Our tree's index is stored as a whole."""
        identity = self.tree.identity()
        listing = self.tree.listing()
        if listing is None:
            return
        others = [i for i in self.identities() if i != identity]
        self._store.put_many(KIND, [(identity, listing), (_LIST, "\n".join([identity, *others][:KEPT]).encode())])
        self._store.forget(KIND, KEPT + 1)

    def identities(self) -> list[str]:
        """The stored trees, the latest first."""
        known = self._store.memo_get(KIND, _LIST)
        return known.decode().split("\n") if known else []


_LIST = "all"
