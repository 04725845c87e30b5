"""A patch series as data: what each patch says and what it changes. Filled by the readers of mail, files and commits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Operation = Literal["modify", "add", "delete", "rename", "copy"]


@dataclass(frozen=True, slots=True)
class Hunk:
    """One ``@@`` part of a diff.

    :ivar old_start: 1-based, as the header says (0 where there is no old text). :ivar old_count: lines. The same for new.
    :ivar section: what stands behind the second ``@@``.
    :ivar lines: each with its mark (space, ``+`` or ``-``) and with its line end, which is missing from a line that
        ``\\ No newline at end of file`` follows.
    :ivar line: 1-based line of the ``@@`` in the file or mail body that it was read from.
    """

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    section: bytes
    lines: tuple[bytes, ...]
    line: int

    @property
    def header(self) -> bytes:
        """The ``@@`` line, without a line end."""
        old = b"%d" % self.old_start if self.old_count == 1 else b"%d,%d" % (self.old_start, self.old_count)
        new = b"%d" % self.new_start if self.new_count == 1 else b"%d,%d" % (self.new_start, self.new_count)
        return b"@@ -%s +%s @@" % (old, new) + (b" " + self.section if self.section else b"")


@dataclass(frozen=True, slots=True)
class FileChange:
    """What a patch does to one file. Paths are relative to the tree's top, with ``/``; odd bytes as surrogates.

    :ivar old_path: None for a new file. :ivar new_path: None for a deleted one.
    :ivar old_mode: octal as git writes it, or None where the diff does not say. The same for new.
    :ivar old_blob: (abbreviated) id of the ``index`` line, "" where there is none. The same for new.
    :ivar binary: the content changes in a way that is no text.
    :ivar patch: the literal or delta of a ``GIT binary patch``, None where the diff only says that files differ.
    :ivar line: 1-based line of the ``diff --git`` (or ``---``) in the file or mail body that it was read from.
    """

    operation: Operation
    old_path: str | None
    new_path: str | None
    old_mode: str | None = None
    new_mode: str | None = None
    old_blob: str = ""
    new_blob: str = ""
    hunks: tuple[Hunk, ...] = ()
    binary: bool = False
    patch: bytes | None = None
    line: int = 0

    @property
    def path(self) -> str:
        """The path after the change; of a deleted file, the one before."""
        path = self.new_path if self.new_path is not None else self.old_path
        assert path is not None
        return path


@dataclass(frozen=True, slots=True)
class Author:
    """A person as a mail names them; either may be empty."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch of a series.

    :ivar number: 1-based place in its series; a lone patch is 1. :ivar total: patches in the series.
    :ivar subject: as the commit would have it, without ``[PATCH ...]``. :ivar full_subject: as the mail has it, decoded.
    :ivar message_id: without ``<>``; "" where it came from no mail. :ivar commit: full id, "" where it is no commit.
    :ivar references: message ids of its thread, oldest first, without ``<>``.
    :ivar date: as the mail or commit says, "" if unknown.
    :ivar to: the mail's own ``To`` addresses; :ivar cc: likewise.
    :ivar sender: who the mail's header says it is from, if not the author; None where it came from no mail.
    :ivar reply_to: where the mail's header wants answers.
    :ivar message: the text before the diff, without trailers' meaning: what the commit message would be.
    :ivar origin: file and, in an mbox, message that it came from; for error lines.
    """

    number: int
    total: int
    subject: str
    full_subject: str
    message_id: str
    author: Author
    date: str
    message: str
    files: tuple[FileChange, ...]
    origin: str
    commit: str = ""
    references: tuple[str, ...] = ()
    to: tuple[Author, ...] = ()
    cc: tuple[Author, ...] = ()
    sender: Author | None = None
    reply_to: tuple[Author, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """Patches in the order in which they apply.

    :ivar version: 1 where nothing says v2 or later. :ivar title: subject of the cover letter, or of the only patch.
    :ivar cover_id: message id of the cover letter, "" without one. :ivar cover: what its header says; number 0, no files.
    :ivar base_commit: what a ``base-commit:`` trailer says, "" where none does.
    :ivar notes: lines for the user: which of several versions was taken, which replies were passed over.
    """

    patches: tuple[Patch, ...]
    version: int = 1
    title: str = ""
    cover_id: str = ""
    cover: Patch | None = None
    base_commit: str = ""
    notes: tuple[str, ...] = field(default=())
