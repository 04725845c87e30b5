"""The library as the verbs see it: one function per question, each imported when it is asked.

A verb that needs no analysis then starts in the time that click takes, and a test can put something else in
place of the analysis.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reviewer.checks.result import Progress, ScanRequest, ScanResult
from reviewer.errors import InputError, ReviewerError, StoreError
from reviewer.report.doctor import BrokenCause, CallHealth, ParseHealth
from reviewer.report.explain import Rule
from reviewer.report.views import ContextReport, GraphReport, Reliance, RelianceReport

if TYPE_CHECKING:
    from reviewer.cluster import Cluster
    from reviewer.program.api.models import ApiModels
    from reviewer.program.linked.link import Program
    from reviewer.review.prepare import Prepared
    from reviewer.review.result import ReviewResult
    from reviewer.source.tree import Tree
    from reviewer.store.factstore import FactStore, Store


def open_tree(path: str, rev: str | None) -> Tree:
    """:raises InputError: no such tree or revision, no C file in it, git refuses."""
    from reviewer.source import tree

    return tree.open_tree(path, rev)


def open_store(path: Path | None) -> Store:
    """The store at ``path``; None for one that keeps nothing.

    :raises StoreError: ``path`` is something else than a folder.
    """
    from reviewer.store.factstore import FactStore, NullStore

    return NullStore() if path is None else FactStore.open(path)


def collect(store: Store, max_bytes: int | None) -> int:
    """Drops what other versions wrote, then the oldest; gives the bytes that were freed.

    :raises StoreError: the store could not be written to.
    """
    from reviewer.store.codec import extractor_version

    freed = store.gc(max_bytes, extractor_version())
    _check_kept(store)
    return freed


def export(store: Store, path: Path) -> int:
    """Writes the store as one file; gives its size in bytes.

    :raises StoreError: there is no store, or the file cannot be written.
    """
    _real(store).export(path)
    return path.stat().st_size


def take_in(store: Store, path: Path) -> int:
    """Adds what an exported file has; gives the number of values that were new.

    :raises StoreError: there is no store, or it is no such file.
    """
    return _real(store).take_in(path)


def _check_kept(store: Store) -> None:
    """:raises StoreError: something was not kept."""
    if store.trouble:
        where = f" {store.path.parent}" if store.path is not None else ""
        raise StoreError(f"the fact store{where} {store.trouble}", "try again when that is mended")


def _real(store: Store) -> FactStore:
    from reviewer.store.factstore import FactStore

    if not isinstance(store, FactStore):
        raise StoreError("--no-store: there is no store", "leave it out")
    return store


def load_models(extra: Sequence[Path], cache: Path | None) -> ApiModels:
    """:raises RuleError: a model of the package or of the user does not fit its schema."""
    from reviewer.program.api import load

    return load.load_models(extra, cache)


def scan(
    tree: Tree, store: Store, models: ApiModels, request: ScanRequest, progress: Progress, executor: str | None = None
) -> ScanResult:
    """Runs the rules, or repeats what they said of the very same tree and question.

    :raises InputError: the request names a chain or a rule that is not there.
    """
    from reviewer.cli import remembered

    start = time.monotonic()
    key = remembered.key(tree, models, request)
    known = remembered.load(store, key, tree)
    if known is not None:
        stats = msgspec.structs.replace(
            known.stats, seconds=round(time.monotonic() - start, 3), cached=known.stats.files
        )
        return msgspec.structs.replace(known, tree_path=tree.path, rev=tree.rev, stats=stats)
    from reviewer.checks import run
    from reviewer.store.factstore import NullStore

    if request.everything and not request.paths and not isinstance(store, NullStore):
        fill(tree, store, models, request.jobs, progress, executor)  # what the whole tree is asked for is found once
    with cluster(executor) as others:
        result = run.scan(tree, store, models, request, progress, others)
    remembered.save(store, key, tree, result)
    return result


@contextmanager
def cluster(executor: str | None) -> Iterator[Cluster | None]:
    """The machines that an executor names; None for none.

    :raises InputError: nobody answers there.
    """
    if executor is None:
        yield None
        return
    from reviewer.cluster import Cluster

    with Cluster(executor) as others:
        yield others


def index(
    tree: Tree, store: Store, models: ApiModels, request: ScanRequest, progress: Progress, executor: str | None = None
) -> None:
    """Has the store hold what the files of a tree define and mention, the bodies of functions that matter to a rule, and the
    answer to ``request``, the question that is asked first of a tree, and that every review asks of its base.

    Of a tree that is like a stored one no question is answered: what changed is indexed in less time than that takes.

    :raises StoreError: it can not be written to, which ends the work at once: what is committed stays.
    """

    def checked(what: str, done: int, of: int) -> None:
        _check_kept(store)
        progress(what, done, of)

    if fill(tree, store, models, request.jobs, checked, executor):
        scan(tree, store, models, request, checked)
    _check_kept(store)


def fill(tree: Tree, store: Store, models: ApiModels, jobs: int, progress: Progress, executor: str | None = None) -> bool:
    """Definitions, words and bodies, as far as the store can be written to.

    :return: whether no tree near this one was known
    """
    from reviewer.parse.dialect import load_dialect
    from reviewer.program.index.scope import Definitions
    from reviewer.program.views.fill import fill_tree

    Definitions(tree, store, None, jobs).build(progress)
    with cluster(executor) as others:
        return fill_tree(tree, store, models, load_dialect(), jobs, progress, others)


def review(
    given: Prepared, store: Store, models: ApiModels, request: ScanRequest, progress: Progress
) -> ReviewResult:
    """What the steps of a series bring and mend."""
    from reviewer.checks import run as library
    from reviewer.checks.memo import Memo, rests_on
    from reviewer.parse.dialect import load_dialect
    from reviewer.review import around, run

    dialect, digests = load_dialect(), rests_on(models, request)
    tools = run.Tools(
        lambda tree: scan(tree, store, models, request, progress),
        lambda tree, near, changed: library.near_program(tree, store, models, request, near, changed),
        lambda tree: Memo(tree, store, dialect, digests),
        partial(around.around, request=request, store=store),
        dialect,
    )
    result = run.review(given.base, given.steps, tools)
    if given.others:
        result = run.but_for(result, map(tools.scan, given.others))
    return msgspec.structs.replace(
        result, base=given.commit, base_reason=given.reason, rev=given.rev, title=given.series.title,
        messages=(*given.notes, *result.messages),
    )  # fmt: skip


def open_program(
    tree: Tree, store: Store, models: ApiModels, request: ScanRequest, progress: Progress
) -> Program:
    """The linked program of a tree, read as it is asked."""
    from reviewer.checks import run

    return run.open_program(tree, store, models, request, progress)


def _library(module: str, name: str) -> Any:
    """A part that not every build has.

    :raises ReviewerError: this one has it not.
    """
    path = f"reviewer.{module}"
    try:
        return getattr(importlib.import_module(path), name)
    except (ModuleNotFoundError, AttributeError) as error:
        if getattr(error, "name", None) not in (path, name):
            raise  # something else is missing, inside of that part
        raise ReviewerError(f"this version cannot answer that: it has no {path}.{name}") from None


def describe(program: Program, function: str) -> tuple[ContextReport, ...]:
    """One report per definition of that name.

    :raises InputError: the tree does not define it.
    """
    from reviewer.program.views import describe as library
    from reviewer.report.convert import context_report

    with _kept(program):
        return tuple(context_report(program, found) for found in library.describe(program, function))


def relies_on(program: Program, lock: str, store: Store, jobs: int) -> RelianceReport:
    """What only a lock serialises; with several ``jobs``, most of the callbacks are looked at by another process.

    :raises InputError: no such lock class in the tree.
    """
    from reviewer.program.views import reliance
    from reviewer.report.convert import reliance_report, relier_record
    from reviewer.workers import beside

    with _kept(program):
        search = reliance.search(program)
        under = search.under(lock)
        mine = len(under.callbacks) if jobs < 2 else len(under.callbacks) // 3  # the variables take as long as another third

        def other() -> tuple[list[Reliance], dict[str, str]]:
            with _kept(program):
                found = [relier_record(program, r) for r in search.reliers(under, under.callbacks[mine:], objects=False)]
            return found, program.skipped

        def here() -> list[Reliance]:
            return [relier_record(program, r) for r in search.reliers(under, under.callbacks[:mine])]

        if mine == len(under.callbacks):
            return reliance_report(under.result, here())
        with beside((program.content, store), other) as rest:
            found = here()
            more, skipped = rest()
        program.skipped.update(skipped)
        return reliance_report(under.result, [*found, *more])


def call_graph(program: Program, start: str | None) -> GraphReport:
    """:raises InputError: the tree does not define ``start``."""
    from reviewer.program.views import callgraph
    from reviewer.report.convert import graph_report

    with _kept(program):
        return graph_report("calls", callgraph.graph(program, start))


def lock_graph(program: Program, start: str | None) -> GraphReport:
    """:raises InputError: the tree does not define ``start``."""
    from reviewer.program.views import lockgraph
    from reviewer.report.convert import graph_report

    with _kept(program):
        return graph_report("locks", lockgraph.graph(program, start))


@contextmanager
def _kept(program: Program) -> Iterator[None]:
    """What was parsed for an answer goes to the store, even if there is none."""
    try:
        yield
    finally:
        program.keep()


def skipped(tree: Tree, program: Program) -> tuple[tuple[str, str], ...]:
    """(file, reason) of what an answer needed and could not be read in full, sorted."""
    return tuple(sorted({**dict(tree.skipped), **program.skipped}.items()))


def all_rules(extra: Sequence[Path]) -> Sequence[Rule]:
    """Every rule, the user's included, sorted by id."""
    return sorted(_library("checks.registry", "all_rules")(extra), key=lambda rule: str(rule.id))


def check_rules(ids: Sequence[str], extra: Sequence[Path]) -> None:
    """:raises InputError: one of ``ids`` is no rule."""
    for id in ids:
        rule(id, extra)


def rule(id: str, extra: Sequence[Path]) -> Rule:
    """:raises InputError: there is no such rule; names those that look like it."""
    rules = {one.id: one for one in all_rules(extra)}
    if id in rules:
        return rules[id]
    raise InputError(f"there is no rule {id!r}", f"{_similar(id, rules)}`reviewer rules list` shows all")


def health(files: Iterable[tuple[str, bytes]], of_files: int, jobs: int) -> ParseHealth:
    """Parses ``files``, given as (path, text), with that many processes, and counts what is broken in them."""
    from reviewer.parse.dialect import load_dialect
    from reviewer.parse.health import health

    found = health(files, load_dialect(), jobs)
    return ParseHealth(
        files=found.files,
        of_files=of_files,
        functions=found.functions,
        broken=found.broken,
        causes=tuple(BrokenCause(cause.what, cause.count, cause.place) for cause in found.causes),
    )


def calls(tree: Tree, store: Store, models: ApiModels, paths: Sequence[str], jobs: int) -> CallHealth:
    """Looks up every call in the files ``paths``, and counts what leads somewhere."""
    from reviewer.program.views.resolution import resolution

    program = open_program(tree, store, models, ScanRequest(jobs=jobs), lambda *_: None)
    with _kept(program):
        found = resolution(program, paths)
    return CallHealth(
        files=len(paths),
        functions=found.functions,
        direct=found.direct,
        defined=found.defined,
        modelled=found.modelled,
        external=found.external,
        indirect=found.indirect,
        indirect_known=found.indirect_known,
    )


def _similar(id: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(id, list(known), 1)
    return f"did you mean {close[0]}? " if close else ""
