"""A scan in independent parts, so that several processes can share it and none has to hold it all.

A part is the callbacks of one chain or, where there is only one chain, those of one folder. Each part has an analysis of its
own, whether it shares a process with others or not: what a part says depends on nothing that another has asked before.
"""

from __future__ import annotations

import gc
import multiprocessing
import posixpath
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from reviewer.checks.analysis import Analysis
from reviewer.checks.finding import Finding
from reviewer.program.chains import NotifierChain
from reviewer.program.link import Program, Record
from reviewer.source.tree import Tree
from reviewer.store.factstore import Store

PARTS_PER_PROCESS = 24
"""Parts that a process takes on, at most; then a fresh one follows, for what was linked for one part rarely serves another, and
memory is better given back."""

MANY_FILES = 2_500
"""Files that a process has in memory, some 90 kB each, when it lets go of them before its next part."""

Check = Callable[[Analysis], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Part:
    """Chains with some of their users; ``first``: the part that looks into the chains' own files, too."""

    chains: tuple[NotifierChain, ...]
    first: bool


@dataclass(slots=True)
class Done:
    """What a part found, and what its process has read for it."""

    findings: list[Finding]
    record: Record
    unread: list[tuple[str, str]] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Job:
    """What worker processes inherit."""

    program: Program
    tree: Tree
    store: Store
    checks: Sequence[Check]
    parts: Sequence[Part]
    everything: bool


def parts_of(chains: Sequence[NotifierChain]) -> list[Part]:
    """The parts of a scan of these chains, in a fixed order; one without chains if there are none."""
    if len(chains) != 1:
        return [Part((c,), True) for c in chains] or [Part((), True)]
    users = sorted(chains[0].users, key=lambda u: u.callback.path)
    folders = dict.fromkeys(posixpath.dirname(u.callback.path) for u in users)
    return [
        Part((replace(chains[0], users=[u for u in users if posixpath.dirname(u.callback.path) == folder]),), not i)
        for i, folder in enumerate(folders)
    ] or [Part((chains[0],), True)]


def run(job: Job, jobs: int) -> Iterator[Done]:
    """What each part found, in the order of the parts, by that many processes."""
    if jobs < 2 or len(job.parts) < 2:
        for i in range(len(job.parts)):
            yield Done(findings_of(job, i), Record())
        return
    global _inherited
    _inherited = job
    try:
        processes = min(jobs, len(job.parts))
        gc.collect()
        gc.freeze()  # what a worker inherits stays shared with its parent
        tasks = min(PARTS_PER_PROCESS, max(1, len(job.parts) // (4 * processes)))
        with multiprocessing.get_context("fork").Pool(processes, _start, maxtasksperchild=tasks) as pool:
            yield from pool.imap(_one, range(len(job.parts)), chunksize=1)
    finally:
        _inherited = None
        gc.unfreeze()


_inherited: Job | None = None


def _start() -> None:
    """In a worker: it has files of its own, and leaves Ctrl-C to its parent."""
    assert _inherited is not None
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _inherited.tree.after_fork()
    _inherited.store.after_fork()


def _one(i: int) -> Done:
    job = _inherited
    assert job is not None
    findings = findings_of(job, i)
    job.program.bodies.flush()
    return Done(findings, job.program.record(), list(job.tree.skipped), set(job.tree.asked))


def findings_of(job: Job, i: int) -> list[Finding]:
    """The findings of one part."""
    part = job.parts[i]
    if job.program.held() > MANY_FILES:
        job.program.forget()
    analysis = Analysis(job.program, everything=job.everything, chains_too=part.first)
    analysis.selected = list(part.chains)
    return [finding for check in job.checks for finding in check(analysis)]
