"""What a review answers: filled by ``review/run.py``, printed by ``report/``."""

from __future__ import annotations

from typing import Literal

import msgspec

from reviewer.checks.finding import Finding
from reviewer.checks.result import Chain, Stats
from reviewer.program.api.models import Irq, Mode, Taken

Status = Literal["introduced", "fixed", "unchanged"]


class PatchRef(msgspec.Struct, frozen=True):
    """A patch of the series. ``message_id`` is without ``<>``, "" where it came from no mail."""

    number: int
    subject: str
    message_id: str = ""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The hunk that brings, or mends, something.

    :ivar inside: the finding's own line lies in it; otherwise the hunk changes something that the finding rests on.
    :ivar line: 1-based line of the hunk in the file after the patch. :ivar header: its ``@@`` line.
    :ivar text: its lines, each with its mark, without line ends.
    :ivar why: what of the hunk matters, for people; "" where it speaks for itself.
    """

    file: str
    line: int
    header: str
    text: tuple[str, ...]
    inside: bool
    why: str = ""


class Reviewed(msgspec.Struct, frozen=True, kw_only=True):
    """A finding and what the series does to it.

    :ivar patch: the patch that brings or mends it; None for one that is there before and after.
    :ivar mended_by: number of the later patch of the series that takes away what ``patch`` has brought.
    """

    finding: Finding
    status: Status
    patch: PatchRef | None = None
    mended_by: int | None = None
    cause: Cause | None = None


class HeldLock(msgspec.Struct, frozen=True):
    """A lock class, its mode, and how it is taken."""

    lock: str
    mode: Mode = "exclusive"
    taken: Taken = "lock"


class FunctionContext(msgspec.Struct, frozen=True, kw_only=True):
    """Under what a function runs. ``serialiser``: None where two CPUs may be inside at once."""

    must: tuple[HeldLock, ...] = ()
    may: tuple[HeldLock, ...] = ()
    serialiser: str | None = None
    irq: Irq = "task"
    callers_known: Literal["all", "partial"] = "all"


class ReliedOn(msgspec.Struct, frozen=True):
    """Something that was right only because of the old context: a note of the program before."""

    fingerprint: str
    rule: str
    object: str
    file: str
    line: int


SOME_PATHS = ("may now run under ", "no longer ever under ")
"""How a sentence begins that is about locks held on some paths."""


class ContextChange(msgspec.Struct, frozen=True, kw_only=True):
    """A function that runs under other locks after a patch than before it. ``patch``: its number."""

    function: str
    file: str
    patch: int
    before: FunctionContext
    after: FunctionContext
    changes: tuple[str, ...]
    relied_on: tuple[ReliedOn, ...] = ()

    @property
    def minor(self) -> bool:
        """Whether only what is held on some paths differs: that tells who calls, and seldom what goes wrong."""
        return all(said.startswith(SOME_PATHS) for said in self.changes)


class ReviewResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a series changes, before any filter of the command line.

    :ivar base: full id of the commit or tree that the series applies to. :ivar base_reason: why that one.
    :ivar rev: commit after the last patch where there is one (a range), else None.
    :ivar patches: in the order of the series. :ivar chains: as they are after the last patch.
    :ivar skipped: (file, reason). :ivar messages: lines for standard error.
    """

    tree_path: str
    base: str
    base_reason: str = ""
    rev: str | None = None
    title: str = ""
    patches: tuple[PatchRef, ...] = ()
    stats: Stats = Stats()
    chains: tuple[Chain, ...] = ()
    findings: tuple[Reviewed, ...] = ()
    contexts: tuple[ContextChange, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    messages: tuple[str, ...] = ()
