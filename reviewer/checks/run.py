"""One scan: from a tree and a question to chains and findings."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from reviewer.checks.analysis import Analysis
from reviewer.checks.earlier import Earlier
from reviewer.checks.entry import Dependency
from reviewer.checks.finding import Finding, with_fingerprints
from reviewer.checks.groups import (
    Done,
    Elsewhere,
    Job,
    Kept,
    Task,
    general_task,
    general_tasks,
    kept,
    parts_of,
    run,
    taken_up,
    tasks_of,
)  # fmt: skip
from reviewer.checks.memo import Memo, rests_on
from reviewer.checks.paths import path_pattern
from reviewer.checks.registry import Check, checks
from reviewer.checks.result import Chain, Progress, ScanRequest, ScanResult, Site, Stats, User
from reviewer.checks.skipped import skipped
from reviewer.cluster import Cluster
from reviewer.errors import InputError
from reviewer.parse.dialect import load_dialect
from reviewer.parse.kconfig import Configuration
from reviewer.program.api.models import ApiModels
from reviewer.program.graph.chains import ChainUser, NotifierChain
from reviewer.program.index.files import Files
from reviewer.program.index.linkage import ASIDE
from reviewer.program.index.trace import Trace
from reviewer.program.linked.link import Program, Record
from reviewer.program.views.fill import hot_names
from reviewer.source.tree import Place, place_of

if TYPE_CHECKING:
    from reviewer.source.tree import Tree
    from reviewer.store.factstore import Store

RECURSION = 20_000
"""Frames of Python for summaries of calls below calls; the default of 1,000 is too few for 60 levels."""


MANY = 40
"""Tasks of one scan from which on their answers are kept apart: those of a whole tree would push everything else out of the
store."""


def open_program(tree: Tree, store: Store, models: ApiModels, request: ScanRequest, progress: Progress) -> Program:
    """The linked program of a tree; nothing is read before it is asked for."""
    return maker(tree, store, models, request)(in_memory(tree, store, request))


def near_program(
    tree: Tree, store: Store, models: ApiModels, request: ScanRequest, near: Program | None, changed: frozenset[str]
) -> Program:
    """The linked program of a tree that is another's but for the paths ``changed``; both share what they have in memory."""
    if near is None:
        return maker(tree, store, models, request)(in_memory(tree, store, request))
    files = Files(tree, load_dialect(), near.files, changed)
    fresh = maker(tree, store, models, request)(files)
    fresh.bodies, fresh.near = near.bodies, near
    return fresh


def in_memory(tree: Tree, store: Store, request: ScanRequest) -> Files:
    """The files of a tree, none of them read yet; what the store knows of their layouts and heads is used."""
    from reviewer.store.kept import kept_heads, kept_layouts

    dialect = load_dialect()
    return Files(
        tree, dialect, layouts=kept_layouts(store, dialect), configuration=configuration_of(request),
        known_heads=kept_heads(store, dialect),
    )  # fmt: skip


def configuration_of(request: ScanRequest) -> Configuration | None:
    """:raises InputError: the file sets nothing, or cannot be read."""
    if request.config is None:
        return None
    try:
        made = Configuration(Path(request.config).read_bytes())
    except OSError as e:
        raise InputError(f"--config {request.config}: {e.strerror}", "name a file that can be read") from None
    if not made.values:
        mend = "name the .config that `make defconfig` writes"
        raise InputError(f"--config {request.config}: no line of it sets a CONFIG_ option", mend)
    return made


def maker(tree: Tree, store: Store, models: ApiModels, request: ScanRequest) -> Callable[[Files], Program]:
    """Makes programs of a tree, which share the index of names and the files that have been read."""
    import sys

    from reviewer.program.index.scope import Definitions
    from reviewer.store.kept import kept_bodies

    sys.setrecursionlimit(max(sys.getrecursionlimit(), RECURSION))
    dialect = load_dialect()
    names, bodies = Definitions(tree, store, dialect, request.jobs), kept_bodies(store, dialect)

    def fresh(files: Files) -> Program:
        return Program(tree, names, bodies, models, dialect, files)

    return fresh


def elsewhere(place: Place, models: ApiModels, request: ScanRequest, files: tuple[str, ...]) -> Done:
    """What the general rules say of a batch of files, on another machine, which has no store."""
    from reviewer.store.factstore import NullStore

    tree, store = place.opened(), NullStore()
    wanted = [c for c in wanted_checks(request) if c.general is not None]
    fresh, read = maker(tree, store, models, request), in_memory(tree, store, request)
    job = Job(fresh, read, tree, store, wanted, {}, True, bool(request.paths))
    [one] = run(job, [general_task(files)], 1)
    return one


def wanted_checks(request: ScanRequest) -> list[Check]:
    """The checks that a request names, or those that are on by default."""
    return [
        c for c in checks([Path(folder) for folder in request.rules_dirs])
        if (c.id in request.rules if request.rules else c.chains or request.everything)
        and (c.general is None or request.everything)
    ]  # fmt: skip


def scan(
    tree: Tree, store: Store, models: ApiModels, request: ScanRequest, progress: Progress, cluster: Cluster | None = None
) -> ScanResult:
    """Answer ``request`` for ``tree``.

    :param cluster: other machines that work on the general rules; they need the tree under the same path.

    :raises InputError: ``request.chain`` names no chain of the tree.
    """
    start = time.monotonic()
    memo = Memo(tree, store, load_dialect(), rests_on(models, request))
    question = json.dumps(["scan", request.chain, request.everything, request.rules, request.paths])
    known = memo.get(question, ScanResult)
    if known is not None:
        stats = msgspec.structs.replace(known[0].stats, seconds=round(time.monotonic() - start, 3), cached=known[0].stats.files)
        result = msgspec.structs.replace(known[0], tree_path=tree.path, rev=tree.rev, stats=stats)
        memo.put(question, result, known[1], (path for path, _ in result.skipped))
        memo.flush()
        return result
    fresh, files = maker(tree, store, models, request), in_memory(tree, store, request)
    program = fresh(files)
    wanted = wanted_checks(request)
    chosen = files_of(program, tree, request) if request.everything else ()
    general = general_tasks(chosen, wanted)
    job = Job(fresh, files, tree, store, wanted, {}, request.everything, bool(request.paths))
    others = cluster.map if cluster is not None else None
    remote = partial(others, partial(elsewhere, place_of(tree), models, request)) if others is not None else None
    results: list[Done] = []
    # What the answers of a whole tree rest on is not put together: they would have to be looked at one by one anyhow.
    whole: Memo | None = None

    def take(what: str, job: Job, tasks: Sequence[Task], remote: Elsewhere | None = None) -> Trace:
        nonlocal whole
        if len(tasks) > MANY and whole is None:
            whole = Earlier(tree, store, load_dialect(), rests_on(models, request))
        trace, found = Trace(), dict[int, Done]()
        for number, one in done_or_known(job, tasks, whole or memo, request.jobs, remote):
            program.take(one.record)
            trace |= one.trace if whole is None else Trace()
            for path, reason in one.unread:
                tree.note_skipped(path, reason)
            tree.asked |= one.asked
            found[number] = replace(one, record=Record(), trace=Trace())
            progress(what, len(found), len(tasks))
        results.extend(found[number] for number in sorted(found))
        return trace

    # Before the chains are looked for, which needs memory that worker processes would inherit.
    trace = take("parts", job, general, remote)
    messages: list[str] = []
    progress("chains", 0, 0)
    selected = select(Analysis(program, everything=request.everything), request, messages, chosen)
    trace |= program.trace()
    if len(selected) > 1:
        program.forget()  # each chain needs other files
    wanted = [c for c in wanted if selected or not c.chains]
    below = {c.below_name: c.below for c in wanted if c.below is not None}
    in_reclaim = frozenset(o.chain for o in models.obligations if o.in_reclaim)
    parts = parts_of(concerned(selected, chosen) if chosen and request.paths else selected)
    tasks = tasks_of(parts, in_reclaim, wanted)
    if len(tasks) > MANY:
        order = {id(part): number for number, part in enumerate(parts)}
        tasks.sort(key=lambda task: order[id(task.part)])
    trace |= take("callbacks", replace(job, checks=wanted, below=below), tasks)
    functions, broken = program.counts()
    stats = Stats(
        files=len(program.seen()), functions=functions, functions_with_errors=broken,
        seconds=round(time.monotonic() - start, 3), cached=len(program.looked_into() - program.parsed),
    )  # fmt: skip
    result = ScanResult(
        tree_path=tree.path, rev=tree.rev, stats=stats, chains=tuple(chain_record(c) for c in selected),
        findings=tuple(with_fingerprints(unique(put_together(wanted, results)))), skipped=skipped(program, tree.skipped),
        messages=tuple(messages),
    )  # fmt: skip
    if whole is not None:
        whole.flush()
    else:
        memo.put(question, result, trace, (path for path, _ in (*tree.skipped, *result.skipped)))
    memo.flush()
    return result


def done_or_known(
    job: Job, tasks: Sequence[Task], memo: Memo, jobs: int, remote: Elsewhere | None = None
) -> Iterator[tuple[int, Done]]:
    """What each task comes to, with its number; those are done of which the store has no answer that still holds."""
    asked = {
        "below": sorted(job.below),
        "rest": [c.id for c in job.checks if c.callers],
        "alone": [c.id for c in job.checks if not c.callers and c.general is None],
        "general": [c.id for c in job.checks if c.general is not None],
    }
    names = ["\n".join((task.name, *asked[task.kind])) for task in tasks]
    anew: list[int] = []
    for number, name in enumerate(names):
        got = memo.get(name, Kept)
        if got is None:
            anew.append(number)
            continue
        memo.put(name, *got, got[0].skipped)
        yield number, taken_up(*got)
    for number, one in zip(anew, run(job, [tasks[i] for i in anew], jobs, remote, len(tasks) > MANY), strict=True):
        memo.put(names[number], kept(one), one.trace, (*(path for path, _ in one.unread), *one.record.skipped))
        yield number, one


def put_together(wanted: Sequence[Check], results: Sequence[Done]) -> list[Finding]:
    """The findings of all tasks, and those that take two halves."""
    found = [f for one in results for f in one.findings]
    entries = [e for one in results for e in one.entries]
    for check in wanted:
        if check.late is not None and check.below is not None:
            by_callback: dict[tuple[str, str], list[Dependency]] = {}
            for by, head, key, dependency in (d for one in results for d in one.dependencies):
                if by == check.below_name:
                    by_callback.setdefault((head, key), []).append(dependency)
            found += check.late([(e, by_callback.get((e.head, e.key), [])) for e in entries])
    return found


def files_of(program: Program, tree: Tree, request: ScanRequest) -> tuple[str, ...]:
    """The files that a scan with every rule is about: of a whole tree those of the kernel that name anything a rule knows."""
    if request.paths:
        wanted = path_pattern(request.paths)
        return tuple(f for f in tree.paths() if wanted.match(f))
    named = program.names.files_mentioning(name.decode() for name in hot_names(program.models))
    return tuple(sorted({f for files in named.values() for f in files if f.split("/", 1)[0] not in ASIDE}))


def select(
    analysis: Analysis, request: ScanRequest, messages: list[str], files: Sequence[str] = ()
) -> list[NotifierChain]:
    """The chains that the request is about, completed; an empty list with a message where there is none.

    :param files: of a request for every rule, the files that it is about.
    """
    program = analysis.program
    if request.everything and request.paths:
        named = dict.fromkeys(analysis.chains.named_in(files))
        chains = [c for name in named for c in analysis.chains.heads(name)]
    elif request.chain == "all" or request.everything:
        chains = analysis.chains.heads()
    elif request.chain is not None:
        chains = analysis.chains.heads(request.chain)
        if not chains:
            raise InputError(
                f"{program_path(program)}: no notifier chain is called {request.chain!r}", "`--chain all` lists them"
            )
    else:
        scope = program.models.scopes["oom-killer"]
        chains = [c for name in scope.chains for c in analysis.chains.heads(name)]
        if not chains:
            messages.append("this tree has no OOM notifier chain, so there is nothing to check")
    analysis.chains.complete(chains)
    return chains


def concerned(chains: Sequence[NotifierChain], files: Sequence[str]) -> list[NotifierChain]:
    """The chains with those of their users that a question about some files is about: the callbacks in them; all of a chain that
    is defined or called there."""
    near = set(files)
    found: list[NotifierChain] = []
    for chain in chains:
        whole = chain.file in near or any(site.func.path in near for site in chain.calls)
        users = [u for u in chain.users if whole or u.callback.path in near or u.site.func.path in near]
        if users or whole:
            found.append(replace(chain, users=users))
    return found


def program_path(program: Program) -> str:
    return str(getattr(program.content, "path", "the tree"))


def chain_record(chain: NotifierChain) -> Chain:
    calls = {(s.func.path, s.func.name, s.func.line_of(s.call.at)): s for s in chain.calls}
    users: dict[tuple[str, str], ChainUser] = {}
    for u in chain.users:
        users.setdefault((u.callback.path, u.callback.name), u)
    return Chain(
        chain.short, chain.kind, chain.file,
        tuple(Site(name, path, line) for path, name, line in sorted(calls)),
        tuple(
            User(name, path, Site(u.site.func.name, u.site.func.path, u.site.func.line_of(u.site.call.at)))
            for (path, name), u in sorted(users.items())
        ),
    )  # fmt: skip


def unique(findings: list[Finding]) -> list[Finding]:
    """One finding per place, rule and lock class: the strongest."""
    order = {"high": 0, "medium": 1, "low": 2}
    severity = {"error": 0, "warning": 1, "note": 2}
    best: dict[tuple[str, str, int, int, tuple[str, ...]], Finding] = {}
    for f in findings:
        key = (f.rule, f.file, f.line, f.column, f.involves)
        old = best.get(key)
        if old is None or (severity[f.severity], order[f.confidence]) < (severity[old.severity], order[old.confidence]):
            best[key] = f
    return list(best.values())


