"""What tells two states of a tree apart: functions whose code differs, words that changed outside functions, hunks.

Comments and blanks do not count: a function is changed if its code is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from reviewer.parse.pieces import Pieces
from reviewer.program.index.change import KEYWORDS, Change, change_of
from reviewer.source.patch import FileChange, Hunk
from reviewer.source.tree import SUFFIXES


@dataclass(frozen=True, slots=True)
class FileDelta:
    """One C file. Paths are None on the side where it does not exist.

    :ivar backwards: the sides are changed over, though not in ``hunks``.
    """

    old_path: str | None
    new_path: str | None
    hunks: tuple[Hunk, ...]
    change: Change
    backwards: bool = False

    @property
    def path(self) -> str:
        return self.new_path or self.old_path or ""

    @property
    def functions(self) -> frozenset[str]:
        """Names of functions whose code differs, is new or is gone."""
        return self.change.functions

    @property
    def silent(self) -> bool:
        """Whether only comments and blanks differ."""
        return self.change.silent and self.old_path == self.new_path

    def hunk_at(self, line: int) -> Hunk | None:
        """The hunk around a line of the file at ``new_path``."""
        places = [(h.old_start, h.old_count) if self.backwards else (h.new_start, h.new_count) for h in self.hunks]
        i = bisect_right([start for start, _ in places], line) - 1
        return self.hunks[i] if i >= 0 and line < places[i][0] + max(places[i][1], 1) else None


@dataclass(frozen=True)
class Delta:
    """All C files that differ, by their path after the change."""

    files: Mapping[str, FileDelta] = field(default_factory=dict)

    @cached_property
    def functions(self) -> frozenset[tuple[str, str]]:
        """(path, name) of changed functions, by the paths of both sides."""
        return frozenset((p, name) for d in self.files.values() for p in (d.old_path, d.new_path) if p for name in d.functions)

    @cached_property
    def paths(self) -> frozenset[str]:
        """Paths of files that differ, on both sides."""
        return frozenset(p for d in self.files.values() for p in (d.old_path, d.new_path) if p)

    @cached_property
    def words(self) -> frozenset[str]:
        """Words by which other code can notice: functions that differ, what is declared otherwise, members that are filled."""
        changes = [d.change for d in self.files.values()]
        found = (w for c in changes for words in (c.functions, c.outside, c.defining, c.filling) for w in words)
        return frozenset(found) - KEYWORDS

    @cached_property
    def renamed(self) -> Mapping[str, str]:
        """New path to old path of files that moved."""
        pairs = ((d.new_path, d.old_path) for d in self.files.values())
        return {new: old for new, old in pairs if new is not None and old is not None and new != old}

    @cached_property
    def backwards(self) -> Delta:
        """The same with the sides changed: a finding that is gone has its place in the lines of the tree before."""
        files = (FileDelta(d.new_path, d.old_path, d.hunks, d.change, not d.backwards) for d in self.files.values())
        return Delta({d.path: d for d in files})

    @property
    def silent(self) -> bool:
        """Whether no code differs."""
        return all(d.silent for d in self.files.values())


def delta(changes: Iterable[FileChange], before: Mapping[str, Pieces], after: Mapping[str, Pieces]) -> Delta:
    """What the changes of C files come to.

    :param before: the files of the old tree that are named in ``changes``, by path; the same for ``after``.
    """
    files: dict[str, FileDelta] = {}
    for change in changes:
        old_path = change.old_path if change.operation != "copy" else None
        if not change.path.endswith(SUFFIXES) and not (old_path or "").endswith(SUFFIXES):
            continue
        old = before.get(old_path) if old_path is not None else None
        new = after.get(change.new_path) if change.new_path is not None else None
        files[change.path] = FileDelta(old_path, change.new_path, change.hunks, change_of(old, new))
    return Delta(files)
