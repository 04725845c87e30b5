"""The library as the verbs see it: one function per question, each imported when it is asked.

A verb that needs no analysis then starts in the time that click takes, and a test can put something else in
place of the analysis.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from reviewer.checks.result import Progress, ScanRequest, ScanResult
from reviewer.errors import InputError
from reviewer.report.doctor import ParseHealth
from reviewer.report.explain import Rule
from reviewer.report.views import ContextReport, GraphReport, RelianceReport


class Tree(Protocol):
    """What a verb needs of :class:`reviewer.source.tree.Tree`."""

    @property
    def path(self) -> str: ...
    @property
    def rev(self) -> str | None: ...
    def exists(self, path: str) -> bool: ...
    def read(self, path: str) -> bytes: ...
    def close(self) -> None: ...
    def paths(self) -> Sequence[str]: ...


class Store(Protocol):
    """What a verb needs of :class:`reviewer.store.factstore.FactStore`."""

    def memo_get(self, kind: str, key: str) -> bytes | None: ...
    def memo_put(self, kind: str, key: str, value: bytes) -> None: ...
    def stats(self) -> Mapping[str, int]: ...
    def gc(self, max_bytes: int | None) -> int: ...
    def close(self) -> None: ...


def _library(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"reviewer.{module}"), name)


def open_tree(path: str, rev: str | None) -> Tree:
    """:raises InputError: no such tree or revision, no C file in it, git refuses."""
    return cast("Tree", _library("source.tree", "open_tree")(path, rev))


def open_store(path: Path | None) -> Store:
    """The store at ``path``; None for one that keeps nothing."""
    if path is None:
        return cast("Store", _library("store.factstore", "NullStore")())
    return cast("Store", _library("store.factstore", "FactStore").open(path))


def load_models(extra: Sequence[Path], cache: Path | None) -> Any:
    """:raises RuleError: a model of the package or of the user does not fit its schema."""
    return _library("program.api", "load_models")(extra, cache)


def scan(tree: Tree, store: Store, models: Any, request: ScanRequest, progress: Progress) -> ScanResult:
    """Runs the rules; see :mod:`reviewer.checks.run`."""
    return cast("ScanResult", _library("checks.run", "scan")(tree, store, models, request, progress))


def open_program(tree: Tree, store: Store, models: Any, request: ScanRequest, progress: Progress) -> Any:
    """The linked program of a tree, read as it is asked."""
    return _library("checks.run", "open_program")(tree, store, models, request, progress)


def describe(program: Any, function: str) -> tuple[ContextReport, ...]:
    """One report per definition of that name.

    :raises InputError: the tree does not define it.
    """
    return cast("tuple[ContextReport, ...]", _library("program.contexts", "describe")(program, function))


def relies_on(program: Any, lock: str) -> RelianceReport:
    """:raises InputError: no such lock class in the tree."""
    return cast("RelianceReport", _library("program.contexts", "relies_on")(program, lock))


def call_graph(program: Any, start: str | None) -> GraphReport:
    """:raises InputError: the tree does not define ``start``."""
    return cast("GraphReport", _library("program.calls", "graph")(program, start))


def lock_graph(program: Any, start: str | None) -> GraphReport:
    """:raises InputError: the tree does not define ``start``."""
    return cast("GraphReport", _library("program.lockgraph", "graph")(program, start))


def all_rules(extra: Sequence[Path]) -> Sequence[Rule]:
    """Every rule, the user's included, sorted by id."""
    return sorted(_library("checks.registry", "all_rules")(extra), key=lambda rule: str(rule.id))


def rule(id: str, extra: Sequence[Path]) -> Rule:
    """:raises InputError: there is no such rule; names those that look like it."""
    rules = {one.id: one for one in all_rules(extra)}
    if id in rules:
        return rules[id]
    raise InputError(f"there is no rule {id!r}", f"{_similar(id, rules)}`reviewer rules list` shows all")


def health(files: Iterable[bytes], of_files: int) -> ParseHealth:
    """Parses ``files`` and counts what is broken in them."""
    found = _library("parse.health", "health")(files, _library("parse.dialect", "load_dialect")())
    return ParseHealth(
        files=found.files,
        of_files=of_files,
        functions=found.functions,
        broken=found.broken,
        causes=tuple(found.causes),
    )


def _similar(id: str, known: Iterable[str]) -> str:
    import difflib

    close = difflib.get_close_matches(id, list(known), 1)
    return f"did you mean {close[0]}? " if close else ""
