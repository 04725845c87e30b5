"""What a scan is asked and what it answers: filled by ``checks/run.py``, printed by ``report/``."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from reviewer.checks.finding import Finding

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is (0: not known)."""


class ScanRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which question a scan answers.

    :ivar chain: a notifier chain's name, ``all`` for every chain, or None for the OOM killer and its chain.
    :ivar everything: every rule over the whole tree; wins over ``chain``.
    :ivar paths: with ``everything``: only what has to do with files that these patterns name.
    :ivar rules: ids of the rules to run; empty means those that are on by default.
    :ivar rules_dirs: folders with the user's own rules and API models, later ones over earlier ones.
    :ivar config: path of a kernel ``.config`` that picks ``#if`` arms, or None to keep all arms.
    :ivar jobs: processes to use, at least 1.
    """

    chain: str | None = None
    everything: bool = False
    paths: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    rules_dirs: tuple[str, ...] = ()
    config: str | None = None
    jobs: int = 1


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer rests on. ``seconds`` is wall time; ``cached`` counts files whose facts were stored."""

    files: int = 0
    functions: int = 0
    functions_with_errors: int = 0
    seconds: float = 0.0
    cached: int = 0


class Site(msgspec.Struct, frozen=True):
    """A place in a function. ``line`` is 1-based."""

    function: str
    file: str
    line: int


class User(msgspec.Struct, frozen=True):
    """A callback on a chain. ``file`` defines it; ``registered_at`` is the call that puts it on the chain."""

    function: str
    file: str
    registered_at: Site


class Chain(msgspec.Struct, frozen=True):
    """A notifier chain. ``kind`` is blocking, atomic, raw or srcu; ``file`` defines the head."""

    head: str
    kind: str
    file: str
    called_from: tuple[Site, ...] = ()
    users: tuple[User, ...] = ()


class ScanResult(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a scan found, before any filter of the command line.

    :ivar tree_path: the tree as the user named it. :ivar rev: full commit id, None for files on disk.
    :ivar findings: of any confidence, with their fingerprints, sorted by place.
    :ivar contexts: changes of context; only a review has any.
    :ivar skipped: (file, reason) of what was needed and could not be read in full.
    :ivar messages: lines for standard error, such as that the tree has no such chain.
    """

    tree_path: str
    rev: str | None = None
    stats: Stats = Stats()
    chains: tuple[Chain, ...] = ()
    findings: tuple[Finding, ...] = ()
    contexts: tuple[object, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    messages: tuple[str, ...] = ()
