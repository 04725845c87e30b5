"""From what is to be reviewed to trees: a series onto its base, commits, or what is staged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from reviewer.errors import InputError
from reviewer.review.result import PatchRef
from reviewer.review.run import Step
from reviewer.source.basecommit import find_base
from reviewer.source.commits import merging, read_commits, read_staged
from reviewer.source.differ import changes
from reviewer.source.patch import Patch, Series
from reviewer.source.scratch import EMPTY_TREE, Scratch
from reviewer.source.series import read_series
from reviewer.source.tree import RevisionTree, Tree, is_repository, open_tree


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be reviewed: one of ``inputs``, ``staged`` and ``span``.

    :ivar inputs: an mbox, patch files, a folder of them, ``-`` for ``stdin``. :ivar span: a range of commits.
    :ivar base: what the series applies to; found where None. :ivar branch: where it is looked for, HEAD where None.
    :ivar index: the index file of a ``git commit`` under way, where it is not the usual one.
    :ivar cumulative: the whole series at once.
    """

    inputs: tuple[str, ...] = ()
    staged: bool = False
    span: str | None = None
    base: str | None = None
    branch: str | None = None
    index: Path | None = None
    cumulative: bool = False
    stdin: IO[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """The trees of a review.

    :ivar commit: full id of what the series applies to. :ivar rev: commit after the last step, None where there is none.
    :ivar notes: lines for the user: which version of a series was taken, where hunks stood elsewhere.
    :ivar others: what a merge under way brings together with the base; none of that is the merge's own.
    :ivar sure: whether the base is what the series was made for, as far as anybody can tell.
    """

    series: Series
    base: Tree
    commit: str
    reason: str
    rev: str | None
    steps: tuple[Step, ...]
    notes: tuple[str, ...]
    others: tuple[Tree, ...] = ()
    sure: bool = True


@contextmanager
def prepared(tree: str, question: Question) -> Iterator[Prepared]:
    """The trees before and after each patch; they live as long as the context.

    :param tree: a work tree's top folder, a bare repository or a plain directory. None of it is written to.
    :raises InputError: no such tree, nothing that is a patch, no such revision :raises DoesNotApply: a patch does not fit
    """
    folder = Path(tree)
    if not folder.is_dir():
        open_tree(tree)  # says what is wrong with it
    repository = is_repository(folder)
    if not repository and (question.staged or question.span):
        raise InputError(f"{tree}: no git repository, so nothing is staged and there are no commits", "give a patch series")
    with ExitStack() as stack:
        scratch = stack.enter_context(Scratch(folder if repository else None))
        trees = Trees(tree, scratch, stack)
        if question.span is not None:
            found = _of_commits(trees, question.span, question.cumulative)
        elif question.staged:
            found = _of_index(trees, question.index)
        else:
            found = _of_series(trees, question)
        if not any(one.has_c() for one in (found.base, *(step.tree for step in found.steps[-1:]))):
            raise InputError(f"{tree}: no .c file in it", "give the top folder of a kernel source tree")
        yield found


class Trees:
    """Opens the trees that a scratch repository can see, each once."""

    def __init__(self, path: str, scratch: Scratch, stack: ExitStack) -> None:
        self.path = path
        self.folder = Path(path)
        self.scratch = scratch
        self._stack = stack
        self._open: dict[str, RevisionTree] = {}

    def __getitem__(self, name: str) -> Tree:
        """The tree of a commit or tree id."""
        if name not in self._open:
            if self.scratch.repository is not None:
                tree = RevisionTree(self.folder, name, self.scratch.objects)
            else:
                tree = RevisionTree(self.scratch.folder, name)
            tree.path = self.path
            tree.near = next(reversed(self._open.values()), None)  # the tree before it in a series
            self._stack.callback(tree.close)
            self._open[name] = tree
        return self._open[name]

    def steps(self, base: str, after: Sequence[tuple[PatchRef | None, str]]) -> Iterator[Step]:
        """One for each (patch, tree after it), the first from ``base`` on."""
        before = base
        _ = self[base]  # opened first: each tree is near the one that was opened before it
        for patch, tree in after:
            yield Step(patch, self[tree], changes(self.scratch, before, tree))
            before = tree


def ref(patch: Patch) -> PatchRef:
    return PatchRef(patch.number, patch.subject, patch.message_id)


def _of_series(trees: Trees, question: Question) -> Prepared:
    series = read_series(question.inputs, question.stdin)
    if trees.scratch.repository is None:
        if question.base is not None:
            raise InputError(f"{trees.path}: no git repository, so no --base", "leave it out")
        commit = tree = trees.scratch.snapshot(trees.folder)
        reason, notes, sure = f"the files in {trees.path}", series.notes, True
    else:
        found = find_base(trees.scratch, series, question.base, question.branch or "HEAD")
        commit, tree, reason, sure = found.commit, found.tree, found.reason, found.sure
        notes = (*series.notes, *found.notes)
    applied = trees.scratch.apply(tree, series)
    after: list[tuple[PatchRef | None, str]] = [(ref(one.patch), one.tree) for one in applied]
    if question.cumulative and after:
        after = [(None, after[-1][1])]
    steps = tuple(trees.steps(tree, after))
    notes = (*notes, *(note for one in applied for note in one.notes))
    return Prepared(series, trees[commit], commit, reason, None, steps, notes, sure=sure)


def _of_commits(trees: Trees, span: str, cumulative: bool) -> Prepared:
    series = read_commits(trees.folder, span)
    git = trees.scratch.git
    if not series.patches:
        commit = git.text("rev-parse", "--verify", "HEAD^{commit}") if ".." not in span else _end(trees, span)
        return Prepared(series, trees[commit], commit, f"{span} has no commits", commit, (), series.notes)
    empty = EMPTY_TREE[len(series.patches[0].commit) == 64]
    parents = [_parent(trees, patch.commit) for patch in series.patches]
    first, last = parents[0] or empty, series.patches[-1].commit
    reason = f"the parent of {series.patches[0].commit[:12]}"
    if cumulative:
        step = Step(None, trees[last], changes(trees.scratch, first, last))
        return Prepared(series, trees[first], first, reason, last, (step,), series.notes)
    steps = []
    at = first
    for patch, parent in zip(series.patches, parents, strict=True):
        before = parent or empty
        step = Step(ref(patch), trees[patch.commit], changes(trees.scratch, before, patch.commit))
        steps.append(replace(step, before=trees[before]) if before != at else step)
        at = patch.commit
    return Prepared(series, trees[first], first, reason, last, tuple(steps), series.notes)


def _end(trees: Trees, span: str) -> str:
    """Full id of the commit at the end of a range."""
    name = span.rpartition("..")[2] or "HEAD"
    return RevisionTree(trees.folder, name).rev or name


def _parent(trees: Trees, commit: str) -> str:
    """The first parent of a commit, "" of the first commit of all."""
    names = trees.scratch.git.text("rev-list", "--parents", "-n1", commit).split()
    return names[1] if len(names) > 1 else ""


def _of_index(trees: Trees, index: Path | None) -> Prepared:
    series = read_staged(trees.folder, index)
    base, staged = trees.scratch.staged(index)
    commit = series.base_commit or base
    reason = "HEAD, which the staged changes go on top of" if series.base_commit else "nothing, before the first commit"
    after: list[tuple[PatchRef | None, str]] = [(ref(p), staged) for p in series.patches]
    others = tuple(trees[name] for name in merging(trees.folder))
    return Prepared(series, trees[base], commit, reason, None, tuple(trees.steps(base, after)), series.notes, others)
