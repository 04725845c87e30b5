"""What went wrong, where, and how to mend it; each kind knows its exit code."""

from __future__ import annotations


class ReviewerError(Exception):
    """An expected failure, shown as one line ``reviewer: WHAT; MEND`` on stderr.

    :ivar exit_code: the process's exit code as documented in README, "Exit codes".
    """

    exit_code = 2

    def __init__(self, what: str, mend: str | None = None) -> None:
        super().__init__(what if mend is None else f"{what}; {mend}")
        self.what = what
        self.mend = mend


class InputError(ReviewerError):
    """The input or the usage is wrong (exit 2)."""


class RuleError(InputError):
    """A rule, API model or settings file does not fit its schema (exit 2); names file and line."""


class StoreError(ReviewerError):
    """The fact store cannot be used at all (exit 2). Most store troubles only cost the cache."""


class MissingContent(ReviewerError):
    """The content of one file cannot be had (absent blob, unreadable file).

    Never fatal by itself: the file is listed in ``skipped`` and the result is incomplete (exit 3).
    """

    exit_code = 3
