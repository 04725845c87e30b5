"""Which rules exist and which check answers for each: ``rules/ID.yaml`` and the functions marked ``@check("ID")``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from reviewer.checks.finding import Finding
from reviewer.data import rules_dir
from reviewer.errors import RuleError

if TYPE_CHECKING:
    from reviewer.checks.analysis import Analysis

Run = Callable[["Analysis"], Iterable[Finding]]

NOT_RULES = frozenset({"dialect.yaml"})


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule as its YAML tells it. ``severity`` is that of a finding that nothing prevents; ``mend`` how to fix it;
    ``confidence`` what its confidence rests on."""

    id: str
    title: str
    family: str
    severity: Literal["error", "warning"]
    what: str
    why: str
    mend: str
    source: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Check:
    """A rule's id with the function that finds it."""

    id: str
    run: Run


_CHECKS: dict[str, Check] = {}


def check(id: str) -> Callable[[Run], Run]:
    """Marks the one function that answers for rule ``id``."""

    def register(run: Run) -> Run:
        _CHECKS[id] = Check(id, run)
        return run

    return register


def module_of(id: str) -> str:
    """The module that must hold the check of a rule."""
    return "reviewer.checks." + id.replace("-", "_")


def checks(extra: Sequence[Path] = ()) -> Iterator[Check]:
    """The check of every rule, sorted by id.

    :raises RuleError: a rule that no module answers for.
    """
    for one in all_rules(extra):
        try:
            importlib.import_module(module_of(one.id))
        except ModuleNotFoundError as e:
            raise RuleError(f"rule {one.id}: there is no check for it", "remove its YAML file") from e
        yield _CHECKS[one.id]


def all_rules(extra: Sequence[Path] = ()) -> list[Rule]:
    """Every rule of the package and of ``DIR/*.yaml`` of the user, sorted by id; a later one wins.

    :raises RuleError: ``FILE:LINE: what; how to mend``
    """
    found: dict[str, Rule] = {}
    for folder in (rules_dir(), *extra):
        for path in sorted(folder.glob("*.yaml")):
            if path.name not in NOT_RULES:
                one = read_rule(path)
                found[one.id] = one
    return [found[id] for id in sorted(found)]


def read_rule(path: Path) -> Rule:
    """One rule file, checked.

    :raises RuleError: it does not fit, with the line.
    """
    from reviewer.checks.rule_schema import RuleSchema
    from reviewer.yamlfile import read

    file = read(path)
    got = file.check(RuleSchema)
    if got.id != path.stem:
        file.fail(("id",), f"the id is {got.id!r}", f"name the file {got.id}.yaml or set 'id: {path.stem}'")
    return Rule(**got.model_dump())
