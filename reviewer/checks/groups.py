"""A scan in independent tasks, so that several processes can share it and none has to hold it all.

A part is the callbacks of one chain or, where there is only one chain, those of one folder. Of a part there are up to three
tasks: what its callbacks depend on (``below``), what asks nothing of the chain's callers (``alone``), and everything else
(``rest``). The general rules ask about a few files of a folder at a time (``general``). Each task has a program and an analysis
of its own, whether it shares a process with others or not, so that it is known on what its answer depends (its trace). Files in
memory are all that those of one process share, a quarter of the time; a common program would save a twentieth more. Only where
there are many parts do the tasks of one share a program, and each then rests on what any of them has asked.
"""

from __future__ import annotations

import gc
import posixpath
import resource
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

import msgspec

from reviewer.checks.analysis import Analysis
from reviewer.checks.callers import entries
from reviewer.checks.entry import Dependency, Entry
from reviewer.checks.finding import Finding
from reviewer.checks.registry import Check, Dependencies
from reviewer.checks.sweep import batches, of_part
from reviewer.program.graph.chains import NotifierChain
from reviewer.program.index.files import Files
from reviewer.program.index.trace import Trace
from reviewer.program.linked.link import Func, Program, Record
from reviewer.source.tree import Tree
from reviewer.store.factstore import Store
from reviewer.workers import pool

AT_HOME = 100
"""Tasks that are done without a process for them, if no more than one is wanted; more of them would fill the memory, which only
the end of a process gives back (6.5 GB after 200 tasks)."""

COLLECTED_AFTER = 12
"""Such tasks after which the programs that are done with are looked for, whose parts hold each other."""

MANY_FILES = 6_000
"""Files that a process has in memory, some 60 kB each, when it lets go of them before its next task."""

AT_ONCE = 4
"""Units that a worker takes on: neighbours, which read the same files."""

FILES_AT_ONCE = 96
"""Files that the units of a worker are about, unless one has more. A large folder alone takes up to 1.4 GB (fs/ocfs2), and what
it leaves is not all given back before the process ends: with four after each other, two processes came to 4 GB."""

MUCH = 1_200 << 20
"""Bytes that a worker has had in memory when it lets go of its files before its next task."""

OURS = ("reviewer.checks.", "reviewer.program.")
"""Modules of the parts of an analysis."""

Kind = Literal["below", "alone", "rest", "general"]


@dataclass(frozen=True, slots=True)
class Part:
    """Chains with some of their users; ``first``: the part that looks into the chains' own files, too."""

    chains: tuple[NotifierChain, ...]
    first: bool


@dataclass(frozen=True, slots=True)
class Task:
    """One question about a part; of the general rules, about ``files``."""

    kind: Kind
    part: Part
    files: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The same for the same question about another state of the tree.

        What a task is given is part of the question, since no trace of its own tells how that was found: who calls the chains,
        and who is on them. Only ``rest`` asks who calls them.
        """
        if self.kind == "general":
            return "\n".join((self.kind, *self.files))
        chains = self.part.chains
        users = sorted(f"{c.head} {u.callback.path} {u.callback.name}" for c in chains for u in c.users)
        asked = chains if self.kind == "rest" else ()
        calls = {f"{c.head} called by {s.func.path} {s.func.name}" for c in asked for s in c.calls}
        return "\n".join((self.kind, str(self.part.first), *(f"{c.head} {c.kind}" for c in chains), *users, *sorted(calls)))


@dataclass(slots=True)
class Done:
    """What a task found, and what its process has read for it.

    ``dependencies``: of a task ``below``, (function that found it, head of the chain, key of the callback, what it depends on).
    """

    findings: list[Finding] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    dependencies: list[tuple[str, str, str, Dependency]] = field(default_factory=list)
    record: Record = field(default_factory=Record)
    trace: Trace = field(default_factory=Trace)
    unread: list[tuple[str, str]] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)


class Kept(msgspec.Struct, frozen=True):
    """What the store keeps of a task that is done."""

    findings: tuple[Finding, ...]
    entries: tuple[Entry, ...]
    dependencies: tuple[tuple[str, str, str, Dependency], ...]
    files: tuple[str, ...]
    bodies: dict[str, bool]
    skipped: dict[str, str]


def kept(done: Done) -> Kept:
    return Kept(
        tuple(done.findings), tuple(done.entries), tuple(done.dependencies), tuple(sorted(done.record.files)),
        done.record.bodies, done.record.skipped,
    )  # fmt: skip


def taken_up(kept: Kept, trace: Trace) -> Done:
    """A task that needs not be done again."""
    return Done(
        list(kept.findings), list(kept.entries), list(kept.dependencies),
        Record(set(kept.files), kept.bodies, set(), kept.skipped), trace,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """What worker processes inherit. ``fresh`` makes a program of the tree over files in memory. ``above``: the general rules
    look at the callers of the files in question, too, for not all files are."""

    fresh: Callable[[Files], Program]
    files: Files
    tree: Tree
    store: Store
    checks: Sequence[Check]
    below: Mapping[str, Dependencies]
    everything: bool
    above: bool


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


def general_tasks(files: Sequence[str], checks: Sequence[Check]) -> list[Task]:
    """The tasks of the general rules over these files."""
    if not any(c.general is not None for c in checks):
        return []
    return [general_task(batch) for batch in batches(files)]


def general_task(files: tuple[str, ...]) -> Task:
    """The question to the general rules about a batch of files."""
    return Task("general", Part((), False), files)


def tasks_of(parts: Sequence[Part], in_reclaim: frozenset[str], checks: Sequence[Check]) -> list[Task]:
    """The tasks of these parts, the longer ones first.

    :param in_reclaim: names of the chains whose callbacks must not depend on memory.
    """
    below = any(c.below is not None for c in checks)
    deep = [p for p in parts if below and any(c.users and c.short in in_reclaim for c in p.chains)]
    alone = any(c.run is not None and not c.callers for c in checks)
    rest = below or any(c.run is not None and c.callers for c in checks)
    return [
        *(Task("below", p) for p in deep), *(Task("rest", p) for p in parts if rest),
        *(Task("alone", p) for p in parts if alone),
    ]  # fmt: skip


def run(
    job: Job, tasks: Sequence[Task], jobs: int, elsewhere: Elsewhere | None = None, together: bool = False
) -> Iterator[Done]:
    """What each task found, in their order, by that many processes.

    :param elsewhere: takes the tasks, all of the general rules, off them. :param together: tasks of a part that follow each
        other share a program, and so a process.
    """
    if elsewhere is not None:
        yield from elsewhere([task.files for task in tasks])
        return
    units = [tuple(unit) for _, unit in groupby(tasks, key=lambda task: id(task.part if together else task))]
    if len(units) < 2 or (jobs < 2 and len(units) <= AT_HOME):
        for i, unit in enumerate(units, 1):
            yield from done(job, unit)
            if i % COLLECTED_AFTER == 0:
                gc.collect()
        return
    processes = min(max(jobs, 1), len(units))
    turns = list(turns_of(units, min(AT_ONCE, max(len(units) // (processes * AT_ONCE), 1))))  # nobody is to wait for the last one
    global _inherited
    _inherited = job, turns
    try:
        gc.collect()
        gc.freeze()  # what a worker inherits stays shared with its parent
        with pool(processes, _start, 1) as workers:
            for found in workers.imap(_turn, range(len(turns))):
                yield from found
    finally:
        _inherited = None
        gc.unfreeze()


Unit = tuple[Task, ...]
"""Tasks that share a program."""

Turn = Sequence[Unit]
"""What one worker does before it makes room for a fresh one."""


def turns_of(units: Iterable[Unit], many: int) -> Iterator[Turn]:
    """Neighbours together, that many of them at most and no more files than a worker takes on."""
    turn: list[Unit] = []
    files = 0
    for unit in units:
        more = sum(len(task.files) for task in unit)
        if turn and (len(turn) == many or files + more > FILES_AT_ONCE):
            yield turn
            turn, files = [], 0
        turn.append(unit)
        files += more
    if turn:
        yield turn


Elsewhere = Callable[[Sequence[tuple[str, ...]]], Iterator[Done]]
"""What the general rules say of batches of files, in their order, worked out on other machines."""


_inherited: tuple[Job, Sequence[Turn]] | None = None


def _start() -> None:
    """In a worker, which has files of its own and takes on a few tasks. To look for garbage would cost a fifth of its time:
    what a task leaves is taken apart (:func:`take_apart`), and the rest goes with the process."""
    assert _inherited is not None
    gc.disable()
    job, _ = _inherited
    job.tree.after_fork()
    job.store.after_fork()


def _turn(i: int) -> list[Done]:
    assert _inherited is not None
    job, turns = _inherited
    found: list[Done] = []
    for unit in turns[i]:
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10 > MUCH:
            job.files.forget()
        found += done(job, unit)
    return found


def done(job: Job, tasks: Sequence[Task]) -> list[Done]:
    """Tasks of one part, from a fresh program on, so that it is known what they ask of it."""
    if len(job.files) > MANY_FILES:
        job.files.forget()
    job.files.ask_anew()
    part = tasks[0].part
    analysis = Analysis(job.fresh(job.files), everything=job.everything, chains_too=part.first)
    analysis.selected = list(part.chains)
    found = [_done(job, task, analysis) for task in tasks]
    analysis.program.keep()
    take_apart(analysis)
    return found


def take_apart(analysis: Analysis) -> None:
    """Empty an analysis, its program, what was asked of them and all that these consist of: they hold each other, and to look for
    such garbage takes longer than to make it. What the program shares with others stays as it is."""
    program = analysis.program
    shared = (program.files, program.content, program.models, program.bodies, program.dialect, program.names)
    met: dict[int, object] = {id(s): s for s in shared}
    todo: list[object] = [analysis, *analysis.foci]
    parts: list[object] = []
    while todo:
        part = todo.pop()
        if id(part) not in met:
            met[id(part)] = part
            parts.append(part)
            owners = (getattr(value, "__self__", value) for value in vars(part).values())
            todo += (o for o in owners if hasattr(o, "__dict__") and type(o).__module__.startswith(OURS))
    for part in parts:
        vars(part).clear()


def _done(job: Job, task: Task, analysis: Analysis) -> Done:
    result = Done()
    if task.kind == "general":
        result.findings = of_part(analysis, task.files, job.checks, job.above)
    elif task.kind == "below":
        for name, find in job.below.items():
            for chain in task.part.chains:
                found = find(analysis, chain, callbacks_of(chain))
                result.dependencies += ((name, chain.head, key, dependency) for key, dependency in found)
    else:
        runs = [c.run for c in job.checks if c.run is not None and c.callers == (task.kind == "rest")]
        result.findings = [finding for run_ in runs for finding in run_(analysis)]
        result.entries = list(entries(analysis)) if job.below and task.kind == "rest" else []
    result.record, result.trace = analysis.program.record(), analysis.program.trace()
    result.unread, result.asked = list(job.tree.skipped), set(job.tree.asked)
    return result


def callbacks_of(chain: NotifierChain) -> list[Func]:
    """The callbacks of a chain, each once."""
    return list({u.callback.key: u.callback for u in chain.users}.values())
