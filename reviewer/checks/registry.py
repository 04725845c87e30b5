"""Which rules exist and which check answers for each: ``rules/ID.yaml`` and the functions marked ``@check("ID")``.

A rule of the user's is only data: an instance of one of ours, or a pattern of what must not be reached.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from reviewer.checks.finding import Finding
from reviewer.data import rules_dir
from reviewer.errors import RuleError

if TYPE_CHECKING:
    from reviewer.checks.analysis import Analysis
    from reviewer.checks.entry import Dependency, Reached
    from reviewer.checks.focus import Focus
    from reviewer.program.graph.chains import NotifierChain
    from reviewer.program.linked.link import Func

Run = Callable[["Analysis"], Iterable[Finding]]

General = Callable[["Focus"], Iterable[Finding]]

Late = Callable[[Sequence["Reached"]], Iterable[Finding]]

Dependencies = Callable[["Analysis", "NotifierChain", Iterable["Func"]], Iterable[tuple[str, "Dependency"]]]

NOT_RULES = frozenset({"dialect.yaml"})


class Only(msgspec.Struct, frozen=True, kw_only=True):
    """Which findings of another rule are this one's: patterns of names; empty means any."""

    chain: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    function: tuple[str, ...] = ()


class Below(msgspec.Struct, frozen=True, kw_only=True):
    """Where a search starts; one of the first four is given. ``table`` is ``struct T.field``; ``registered`` are
    words of the models (``Registers.how``); ``files`` are those in which a start may stand, empty for any."""

    chain: tuple[str, ...] = ()
    function: tuple[str, ...] = ()
    table: str = ""
    registered: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """A mask with all of ``flags`` and none of ``without``, in the tree's own names."""

    flags: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What must not be reached: calls by name, an allocation, lock classes that are waited for, waits by the models' words."""

    call: tuple[str, ...] = ()
    allocation: Allocation | None = None
    lock: tuple[str, ...] = ()
    wait: tuple[str, ...] = ()


class Unless(msgspec.Struct, frozen=True, kw_only=True):
    """Lock classes that excuse it where they are held, functions that excuse it where they are on the way."""

    holding: tuple[str, ...] = ()
    through: tuple[str, ...] = ()


class Forbid(msgspec.Struct, frozen=True, kw_only=True):
    below: Below
    reach: Target
    unless: Unless = Unless()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule as its YAML tells it. ``severity`` is that of a finding that nothing prevents; ``mend`` how to fix it;
    ``confidence`` what its confidence rests on. A rule that is only data has ``like`` (the id of one of ours), with
    ``only``, or ``forbid``; one of ours has neither. ``answers``: categories of known bugs that it is to find (``bench``)."""

    id: str
    title: str
    family: str
    severity: Literal["error", "warning"]
    what: str
    why: str
    mend: str
    source: str
    confidence: str
    like: str = ""
    only: Only = Only()
    forbid: Forbid | None = None
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A rule's id with what finds it.

    ``run``: its findings, of an analysis. A rule about what callbacks depend on has two halves instead: ``below``, which
    asks nothing of a chain's callers, and ``late``, which puts that and the callers together. ``chains``: it asks for
    chains, so without any there is nothing to do. ``callers``: it asks who calls them. ``general``: a rule of the general family,
    which asks about some functions whatever they belong to, and nothing of the chains.
    """

    id: str
    run: Run | None = None
    chains: bool = True
    callers: bool = True
    below: Dependencies | None = None
    late: Late | None = None
    general: General | None = None

    @property
    def below_name(self) -> str:
        """Of the function that finds what callbacks depend on: rules that are alike share one. "" without any."""
        return f"{self.below.__module__}.{self.below.__name__}" if self.below is not None else ""


_CHECKS: dict[str, Check] = {}


def check(id: str, callers: bool = True) -> Callable[[Run], Run]:
    """Marks the one function that answers for rule ``id``.

    :param callers: whether it asks who calls the chains; if not, its answer outlives a change of them.
    """

    def register(run: Run) -> Run:
        _CHECKS[id] = Check(id, run, callers=callers)
        return run

    return register


def general(id: str) -> Callable[[General], General]:
    """Marks the function that answers for rule ``id`` of the general family."""

    def register(find: General) -> General:
        _CHECKS[id] = Check(id, chains=False, callers=False, general=find)
        return find

    return register


def below(id: str) -> Callable[[Dependencies], Dependencies]:
    """Marks the function that says what callbacks depend on, for rule ``id``."""

    def register(find: Dependencies) -> Dependencies:
        _CHECKS[id] = replace(_CHECKS.get(id, Check(id)), below=find)
        return find

    return register


def late(id: str) -> Callable[[Late], Late]:
    """Marks the function that makes findings of rule ``id`` from what callbacks depend on and from who calls them."""

    def register(find: Late) -> Late:
        _CHECKS[id] = replace(_CHECKS.get(id, Check(id)), late=find)
        return find

    return register


def module_of(id: str) -> str:
    """The module that must hold the check of a rule."""
    return "reviewer.checks." + id.replace("-", "_")


def checks(extra: Sequence[Path] = ()) -> Iterator[Check]:
    """The check of every rule, sorted by id.

    :raises RuleError: a rule that no module answers for.
    """
    for one in all_rules(extra):
        if one.forbid is not None:
            from reviewer.checks import forbidden

            yield Check(one.id, partial(forbidden.run, one), bool(one.forbid.below.chain))
        elif one.like:
            from reviewer.checks import instance

            like = built_in(one.like)
            yield Check(
                one.id, partial(instance.run, one, like.run) if like.run is not None else None, callers=like.callers,
                below=like.below,
                late=partial(instance.late, one, like.late) if like.late is not None else None,
            )  # fmt: skip
        else:
            yield built_in(one.id)


def built_in(id: str) -> Check:
    """The check that a module of ours holds.

    :raises RuleError: no module answers for ``id``.
    """
    try:
        importlib.import_module(module_of(id))
    except ModuleNotFoundError as e:
        raise RuleError(f"rule {id}: there is no check for it", "remove its YAML file") from e
    return _CHECKS[id]


def all_rules(extra: Sequence[Path] = ()) -> list[Rule]:
    """Every rule of the package and of ``DIR/*.yaml`` of the user, sorted by id; a later one wins.

    :raises RuleError: ``FILE:LINE: what; how to mend``
    """
    ours = {one.id: one for one in (read_rule(path) for path in rule_files(rules_dir()))}
    found = dict(ours)
    for folder in extra:
        for path in rule_files(folder):
            one = read_rule(path, ours)
            found[one.id] = one
    return [found[id] for id in sorted(found)]


def rule_files(folder: Path) -> list[Path]:
    """The rule files of a folder, sorted."""
    return [path for path in sorted(folder.glob("*.yaml")) if path.name not in NOT_RULES]


TEXTS = ("title", "severity", "what", "why", "mend", "source", "confidence")
"""What every rule says of itself."""

SEARCH_CONFIDENCE = (
    "High while every call on the way is direct or goes through a table with few targets; low where a table has too many"
    " of them or an allocation's mask cannot be told."
)


def read_rule(path: Path, ours: Mapping[str, Rule] | None = None) -> Rule:
    """One rule file, checked.

    :param ours: the rules that have a check in the package, for a rule of the user's; None for one of ours. A user's rule
        under the id of one of ours is an instance of it.
    :raises RuleError: it does not fit, with the line.
    """
    from reviewer.checks.rule_schema import RuleSchema
    from reviewer.yamlfile import read

    file = read(path)
    got = file.check(RuleSchema)
    if got.id != path.stem:
        file.fail(("id",), f"the id is {got.id!r}", f"name the file {got.id}.yaml or set 'id: {path.stem}'")
    fields = got.model_dump(exclude_none=True)
    if got.forbid is not None:
        fields.setdefault("confidence", SEARCH_CONFIDENCE)
    elif ours is not None:
        like = got.like or (got.id if got.id in ours else "")
        if not like:
            file.fail((), "the rule does not say what it looks for", "add 'like:' with the id of a rule, or 'forbid:'")
        if like not in ours:
            file.fail(("like",), f"there is no rule {like!r} to be like", f"use one of {', '.join(sorted(ours))}")
        fields = {**{name: getattr(ours[like], name) for name in TEXTS}, **fields, "like": like}
    for name in TEXTS:
        if name not in fields:
            file.fail((), f"'{name}' is missing", f"add '{name}:'")
    return msgspec.convert(fields, Rule)
