"""A series patch by patch: what each brings, what it mends, and under what other locks things run after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from reviewer.checks.analysis import Analysis
from reviewer.checks.finding import Finding, with_fingerprints
from reviewer.checks.memo import Memo
from reviewer.checks.result import ScanResult, Stats
from reviewer.parse.dialect import Dialect
from reviewer.parse.pieces import Pieces
from reviewer.program.flow.summaries import Near
from reviewer.program.linked.link import Program
from reviewer.review import context_change
from reviewer.review.cause import cause_of
from reviewer.review.context_change import Side
from reviewer.review.delta import Delta, delta
from reviewer.review.difference import Key, compare, key
from reviewer.review.result import ContextChange, PatchRef, Reviewed, ReviewResult
from reviewer.source.patch import FileChange
from reviewer.source.tree import SUFFIXES, Tree


@dataclass(frozen=True, slots=True)
class Step:
    """One patch and the tree after it.

    :ivar patch: None for all patches of a series at once.
    :ivar changes: what tells the tree from the one before, hunks by its lines.
    :ivar before: the tree before, where that is not the one of the last step: commits of several branches in a row.
    """

    patch: PatchRef | None
    tree: Tree
    changes: tuple[FileChange, ...]
    before: Tree | None = None


@dataclass(frozen=True, slots=True)
class Tools:
    """What a review asks of the layers below. ``scan``: the rules about chains over a tree; ``program``: the linked program of
    one, given that of a tree that differs in some paths; ``memo``: what is known of one; ``around``: the general rules, on what
    a patch touches."""

    scan: Callable[[Tree], ScanResult]
    program: Callable[[Tree, Program | None, frozenset[str]], Program]
    memo: Callable[[Tree], Memo]
    around: Callable[[Analysis, Analysis, Delta], tuple[list[Finding], list[Finding]]]
    dialect: Dialect


@dataclass
class State:
    """One tree of the series, looked into when that is needed.

    ``before``: the one before it, and how they differ: what both have in common is looked at once.
    """

    tree: Tree
    tools: Tools
    before: tuple[State, Delta] | None = None
    _result: ScanResult | None = None
    _side: Side | None = None

    @property
    def result(self) -> ScanResult:
        if self._result is None:
            self._result = self.tools.scan(self.tree)
        return self._result

    @property
    def side(self) -> Side:
        if self._side is None:
            memo = self.tools.memo(self.tree)
            self._side = Side(self._analysis(), self.result.chains, self.result.findings, memo)
        return self._side

    def _analysis(self) -> Analysis:
        if self.before is None:
            return Analysis(self.tools.program(self.tree, None, frozenset()), review=True)
        state, change = self.before
        near = state.side.analysis
        program = self.tools.program(self.tree, near.program, change.paths)
        return Analysis(program, near=Near(near.summaries, change.paths, change.words), review=True)

    def close(self) -> None:
        """Keep what was found out."""
        if self._side is not None:
            self._side.program.keep()
            self._side.memo.flush()

    def unlike(self, tree: Tree) -> State:
        """The state of a tree that differs from this one in nothing that code says."""
        return State(tree, self.tools, self.before, self._result, self._side)


@dataclass
class Account:
    """What is known of the series so far. ``live``: index of what it has brought and not yet mended; ``last``: all findings
    after the last step that was looked at."""

    reviewed: list[Reviewed] = field(default_factory=list)
    live: dict[Key, int] = field(default_factory=dict)
    contexts: list[ContextChange] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    last: tuple[Finding, ...] = ()

    def add(self, state: State, following: State, step: Step, change: Delta) -> None:
        """One step from a state to the following one."""
        sides = state.tools.around(state.side.analysis, following.side.analysis, change)
        before, after = (
            (*side.result.findings, *with_fingerprints(found)) for side, found in zip((state, following), sides, strict=True)
        )
        difference = compare(before, after, change.renamed)
        number = step.patch.number if step.patch is not None else 0
        contexts = context_change.changes(state.side, following.side, change, number)
        self.contexts += contexts
        for finding in difference.introduced:
            cause = cause_of(finding, change)
            if cause is not None:
                self.live[key(finding)] = len(self.reviewed)
                self.reviewed.append(Reviewed(finding=finding, status="introduced", patch=step.patch, cause=cause))
        for finding in difference.fixed:
            brought = self.live.pop(key(finding), None)
            if brought is not None:
                self.reviewed[brought] = msgspec.structs.replace(self.reviewed[brought], mended_by=number)
                continue
            cause = cause_of(finding, change.backwards)
            if cause is not None:
                self.reviewed.append(Reviewed(finding=finding, status="fixed", patch=step.patch, cause=cause))
        self.last = after


def review(base: Tree, steps: Sequence[Step], tools: Tools) -> ReviewResult:
    """What the steps bring and mend, in their order; findings that are there before and after come last."""
    start = time.monotonic()
    account = Account()
    state = State(base, tools)
    looked = 0
    for step in steps:
        if step.before is not None:
            state = State(step.before, tools)
        change = delta_of(state.tree, step, tools.dialect)
        if change.silent:
            state = state.unlike(step.tree)
            continue
        following = State(step.tree, tools, (state, change))
        account.add(state, following, step, change)
        for path, reason in (*state.result.skipped, *following.result.skipped):
            account.skipped.setdefault(path, reason)
        state.close()
        state = following
        looked += 1
    state.close()
    brought = {key(r.finding) for r in account.reviewed if r.status == "introduced"}
    after = state.result if looked else None
    unchanged = [
        Reviewed(finding=f, status="unchanged")
        for f in account.last if key(f) not in brought
    ]  # fmt: skip
    stats = after.stats if after is not None else Stats()
    return ReviewResult(
        tree_path=base.path, base=base.rev or "", patches=tuple(s.patch for s in steps if s.patch is not None),
        stats=msgspec.structs.replace(stats, seconds=round(time.monotonic() - start, 3)),
        chains=after.chains if after is not None else (), findings=(*account.reviewed, *unchanged),
        contexts=tuple(account.contexts), skipped=tuple(sorted(account.skipped.items())),
    )  # fmt: skip


def but_for(result: ReviewResult, others: Iterable[ScanResult]) -> ReviewResult:
    """The review of a merge: what one of the ``others`` that are merged has already is not brought by the merge."""
    if not any(r.status == "introduced" for r in result.findings):
        return result  # and nobody is looked into
    after = [r.finding for r in result.findings if r.status != "fixed"]
    own = {key(f) for f in after}
    for other in others:
        own &= {key(f) for f in compare(other.findings, after, {}).introduced}
    return msgspec.structs.replace(
        result,
        findings=tuple(
            Reviewed(finding=r.finding, status="unchanged") if r.status == "introduced" and key(r.finding) not in own else r
            for r in result.findings
        ),
    )


def delta_of(before: Tree, step: Step, dialect: Dialect) -> Delta:
    """What a step changes in C files."""
    changes = [c for c in step.changes if any(p is not None and p.endswith(SUFFIXES) for p in (c.old_path, c.new_path))]
    old = pieces(before, (c.old_path for c in changes), dialect)
    new = pieces(step.tree, (c.new_path for c in changes), dialect)
    return delta(changes, old, new)


def pieces(tree: Tree, paths: Iterable[str | None], dialect: Dialect) -> Mapping[str, Pieces]:
    """The files that can be read, by path."""
    wanted = [p for p in dict.fromkeys(paths) if p is not None and tree.exists(p)]
    return {path: Pieces(got, dialect) for path, got in tree.read_many(wanted) if isinstance(got, bytes)}


def introduced(result: ReviewResult, each: bool) -> list[Finding]:
    """What counts for the exit code: introduced and still there at the end; with ``each``, by any patch."""
    return [r.finding for r in result.findings if r.status == "introduced" and (each or r.mended_by is None)]
