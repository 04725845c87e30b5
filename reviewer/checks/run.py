"""One scan: from a tree and a question to chains and findings."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from reviewer.checks.analysis import Analysis
from reviewer.checks.finding import Finding, with_fingerprints
from reviewer.checks.groups import Job, parts_of, run
from reviewer.checks.registry import checks
from reviewer.checks.result import Chain, Progress, ScanRequest, ScanResult, Site, Stats, User
from reviewer.checks.skipped import skipped
from reviewer.errors import InputError
from reviewer.parse.dialect import load_dialect
from reviewer.program.chains import ChainUser, NotifierChain
from reviewer.program.link import Program
from reviewer.program.models import ApiModels

if TYPE_CHECKING:
    from reviewer.source.tree import Tree
    from reviewer.store.factstore import Store

RECURSION = 20_000
"""Frames of Python for summaries of calls below calls; the default of 1,000 is too few for 60 levels."""


def open_program(tree: Tree, store: Store, models: ApiModels, request: ScanRequest, progress: Progress) -> Program:
    """The linked program of a tree; nothing is read before it is asked for."""
    import sys

    from reviewer.program.scope import Definitions
    from reviewer.store.bodies import StoredBodies

    sys.setrecursionlimit(max(sys.getrecursionlimit(), RECURSION))
    dialect = load_dialect()

    return Program(tree, Definitions(tree, store, dialect, request.jobs), StoredBodies(store, dialect), models, dialect)


def scan(tree: Tree, store: Store, models: ApiModels, request: ScanRequest, progress: Progress) -> ScanResult:
    """Answer ``request`` for ``tree``.

    :raises InputError: ``request.chain`` names no chain of the tree.
    """
    start = time.monotonic()
    program = open_program(tree, store, models, request, progress)
    analysis = Analysis(program, everything=request.everything)
    messages: list[str] = []
    progress("chains", 0, 0)
    selected = select(analysis, request, messages)
    analysis.selected = selected
    wanted = [
        c for c in checks([Path(folder) for folder in request.rules_dirs])
        if (c.id in request.rules if request.rules else c.chains or request.everything) and (selected or not c.chains)
    ]  # fmt: skip
    parts = parts_of(selected)
    if len(parts) > 1 and len(selected) > 1:
        program.forget()  # worker processes inherit what is in memory, and each chain needs other files
    found: list[Finding] = []
    for i, done in enumerate(run(Job(program, tree, store, [c.run for c in wanted], parts, request.everything), request.jobs)):
        progress("callbacks", i + 1, len(parts))
        found += done.findings
        program.take(done.record)
        for path, reason in done.unread:
            tree.note_skipped(path, reason)
        tree.asked |= done.asked
    program.bodies.flush()
    functions, broken = program.counts()
    stats = Stats(
        files=len(program.seen()), functions=functions, functions_with_errors=broken,
        seconds=round(time.monotonic() - start, 3), cached=len(program.looked_into() - program.parsed),
    )  # fmt: skip
    return ScanResult(
        tree_path=tree.path, rev=tree.rev, stats=stats, chains=tuple(chain_record(c) for c in selected),
        findings=tuple(with_fingerprints(unique(found))), skipped=skipped(program, tree.skipped),
        messages=tuple(messages),
    )  # fmt: skip


def select(analysis: Analysis, request: ScanRequest, messages: list[str]) -> list[NotifierChain]:
    """The chains that the request is about, completed; an empty list with a message where there is none."""
    program = analysis.program
    if request.chain == "all" or request.everything:
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


