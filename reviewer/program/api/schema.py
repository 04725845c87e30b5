"""The shape of ``rules/api/*.yaml``, and its entries turned into the records of ``models.py``.

A file is a list of entries; an entry is of the kind whose key it has: ``call`` or ``pattern`` (a function's
model), ``scope``, ``obligation``, ``operations``, ``ops``, ``handles``, ``word_scopes``, ``bus_types``, ``ends_of``,
``followed``, ``guards`` with ``unguards``, ``cleanups``, ``constants``, ``trees``, ``families``, ``private``,
``comes_back``. Each has a ``source``. Importing this module imports pydantic and yaml; ``api.py`` does so only when no
compiled models are at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator, model_validator

from reviewer.program.api import models
from reviewer.program.api.models import Irq, Kind, Masks, Mode, Place, Taken

_T = TypeVar("_T")
_NAME = re.compile(r"[A-Za-z_]\w*\Z")
_FAMILY = re.compile(r"[\w{},]+\Z")
_BRACES = re.compile(r"\{([^{}]*)\}")
_ARG = re.compile(r"arg (\d)\Z")
_PLACE = re.compile(
    r"(?:(?P<object>object )?arg (?P<arg>\d)|(?P<result>result)|global (?P<name>(?:struct )?[\w./:-]+|[\w ]+ of \{folder\}))"
    r"(?: (?P<path>(?:\.\w+)+))?\Z"
)
_RESULTS = ("zero", "nonzero", "nonnegative", "positive", "not_error")
MAX_FAMILY = 512
"""Names that one ``call:`` may stand for; more is a slip of the braces."""


# --- words ----------------------------------------------------------------------------------------


def expand(family: str) -> list[str]:
    """``spin_lock{,_bh}`` to the names it stands for, in order; braces may nest.

    :raises ValueError: not a name, braces that do not match, or more than ``MAX_FAMILY`` names
    """
    if not _FAMILY.match(family):
        raise ValueError(f"'{family}' is not a name or a family of names; write one like spin_lock{{,_bh}}")
    todo, names = [family], []
    while todo:
        text = todo.pop(0)
        inner = _BRACES.search(text)
        if inner is None:
            if not _NAME.match(text):
                raise ValueError(f"'{family}' gives '{text}', which is not a name; match its braces")
            names.append(text)
        else:
            todo[:0] = [text[: inner.start()] + part + text[inner.end() :] for part in inner[1].split(",")]
        if len(names) + len(todo) > MAX_FAMILY:
            raise ValueError(f"'{family}' stands for more than {MAX_FAMILY} names; split the entry")
    return names


def _names(value: Any) -> list[str]:
    families = [value] if isinstance(value, str) else value
    if not isinstance(families, list) or not families or not all(isinstance(f, str) for f in families):
        raise ValueError("not a name or a list of names; write one like spin_lock{,_bh}")
    return [name for family in families for name in expand(family)]


def _index(value: Any) -> int:
    found = _ARG.match(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is not an argument; write 'arg N', counted from 0")
    return int(found[1])


def _place(value: Any) -> Place:
    found = _PLACE.match(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(
            f"{value!r} is not a place; "
            "write 'arg N', 'arg N .field', 'object arg N', 'result' or 'global NAME'"
        )
    path = tuple((found["path"] or "").split(".")[1:])
    if found["arg"] is not None:
        return Place(base="arg", index=int(found["arg"]), path=path, address=not found["object"])
    if found["result"]:
        return Place(base="result", path=path)
    return Place(base="global", name=found["name"], path=path)


def _outcome(value: Any) -> str:
    """``{result: 0}`` and the like to the words of ``models.Takes.held_when``."""
    if value == "always":
        return "always"
    mend = f"write {{result: X}} with X an integer, an enumerator or one of {', '.join(_RESULTS)}"
    if not isinstance(value, dict) or list(value) != ["result"]:
        raise ValueError(f"{value!r} does not say which result; {mend}")
    result = value["result"]
    if isinstance(result, int) and not isinstance(result, bool):
        return "zero" if result == 0 else f"== {result}"
    if isinstance(result, str) and result in _RESULTS:
        return result
    if isinstance(result, str) and re.fullmatch(r"-?[A-Z]\w*", result):
        return f"== {result}"
    raise ValueError(f"{result!r} is not a result; {mend}")


def _one_or_more(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


ArgIndex = Annotated[int, BeforeValidator(_index)]
PlaceText = Annotated[Place, BeforeValidator(_place)]
Outcome = Annotated[str, BeforeValidator(_outcome)]
OneOrMore = Annotated[list[_T], BeforeValidator(_one_or_more)]
Source = Annotated[str, StringConstraints(min_length=8, strip_whitespace=True)]
ChainKind = Literal["blocking", "atomic", "raw", "srcu"]


# --- the parts of a function's entry --------------------------------------------------------------


class Part(BaseModel):
    """Base of all shapes: strict, no key that is not named, Places allowed."""

    model_config = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True)

    def fields(self) -> dict[str, Any]:
        """The fields as arguments for the record of the same name."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class Takes(Part):
    lock: PlaceText
    kind: Kind
    mode: Mode = "exclusive"
    taken: Taken = "lock"
    held_when: Outcome | None = None
    irq: Literal["", "off", "save", "bh"] = ""
    subclass: ArgIndex | None = None
    recursive: bool = False
    already: Outcome | None = None
    sure_without: ArgIndex | None = None

    def record(self, held_when: str = "always") -> models.Takes:
        fields = self.fields()
        fields["held_when"] = self.held_when or held_when
        fields["already"] = self.already or ""
        return models.Takes(**fields)


class Drops(Part):
    lock: PlaceText
    kind: Kind
    mode: Mode = "exclusive"
    irq: Literal["", "on", "restore", "bh"] = ""
    when: Outcome = "always"


class Allocates(Part):
    gfp: ArgIndex | None = None
    flags: str = ""
    flags_irqs_off: str = ""
    surely_in: Annotated[str, StringConstraints(pattern=r"^(struct \w+)?$")] = ""

    @field_validator("flags_irqs_off")
    @classmethod
    def _needs_flags(cls, value: str, info: Any) -> str:
        if value and not info.data.get("flags"):
            raise ValueError("there is no 'flags' that it could replace; add 'flags'")
        return value


class GfpScope(Part):
    clears: list[str] = Field(min_length=1)
    enter: bool

    def record(self) -> models.GfpScope:
        return models.GfpScope(clears=tuple(self.clears), enter=self.enter)


class Waits(Part):
    what: Literal[
        "event", "completion", "work", "workqueue", "timer", "irq", "thread", "grace_period", "refcount",
        "device", "tasklet", "callbacks", "napi", "attribute", "urb",
    ]  # fmt: skip
    on: PlaceText | None = None
    condition: ArgIndex | None = None
    gives_up: bool = False
    for_good: bool = False
    releases: PlaceText | None = None


class Signals(Part):
    what: Literal["event", "completion"]
    on: PlaceText


class Held(Part):
    lock: str
    kind: Kind = "mutex"
    mode: Mode = "exclusive"

    def record(self) -> models.Held:
        return models.Held(**self.fields())


class Invokes(Part):
    callback: ArgIndex | None = None
    table: str = ""
    instead: str = ""
    argument: ArgIndex | None = None
    context: Irq = "task"
    bound: Literal["", "directory", "bus"] = ""
    object: PlaceText | None = None
    many: bool = False
    last: bool = False
    seldom: bool = False
    holds: OneOrMore[Held] = []

    def record(self) -> models.Invokes:
        return models.Invokes(**{**self.fields(), "holds": tuple(h.record() for h in self.holds)})


TableText = Annotated[str, StringConstraints(pattern=r"^struct \w+\.\w+$")]


class Back(Part):
    table: TableText
    unless: OneOrMore[str] = []
    holds: OneOrMore[Held] = []

    def record(self) -> models.Invokes:
        holds = tuple(h.record() for h in self.holds)
        return models.Invokes(table=self.table, bound="directory", unless=tuple(self.unless), holds=holds)


class Registers(Part):
    how: str
    callback: ArgIndex | None = None
    block: PlaceText | None = None
    field: str = ""
    argument: ArgIndex | None = None
    context: Irq = "task"
    starts: bool = False
    in_reclaim: bool = False
    masks: Masks = ""
    sure: bool = True
    unless: OneOrMore[str] = []
    queue: PlaceText | None = None
    suffix: OneOrMore[str] = []
    prefix: ArgIndex | None = None
    holds: OneOrMore[Held] = []
    in_order: bool = False

    def record(self) -> models.Registers:
        lists = {"unless": tuple(self.unless), "suffix": tuple(self.suffix), "holds": tuple(h.record() for h in self.holds)}
        return models.Registers(**{**self.fields(), **lists})


class Cancels(Part):
    what: Literal[
        "work", "workqueue", "timer", "irq", "thread", "tasklet", "callbacks", "urb", "napi", "notifier",
    ]  # fmt: skip
    on: PlaceText | None = None
    waits: bool = False


class Accesses(Part):
    object: PlaceText
    op: Literal["read", "set", "add", "sub", "test_set", "clear"]
    atomic: bool = True
    value: ArgIndex | None = None
    constant: int | None = None
    tests: bool = False
    wins: Annotated[str, StringConstraints(pattern=r"^(zero|nonzero|other|arg \d)?$")] = ""
    bit: ArgIndex | None = None
    finds: bool = False


class ChainCall(Part):
    chain: PlaceText
    kind: ChainKind
    action: ArgIndex | None = 1
    data: ArgIndex | None = 2
    holds: Takes | None = None


class ChainRegister(Part):
    chain: PlaceText
    block: ArgIndex = 1
    kind: ChainKind = "blocking"
    remove: bool = False


class ChainHead(Part):
    head: ArgIndex = 0
    kind: ChainKind = "blocking"


class RcuRead(Part):
    flavour: Literal["rcu", "srcu"] = "rcu"
    object: PlaceText | None = None
    condition: ArgIndex | None = None
    instead: list[str] = []
    strict: bool = False
    writer: bool = False

    def record(self) -> models.RcuRead:
        return models.RcuRead(**{**self.fields(), "instead": tuple(self.instead)})


class Halts(Part):
    flags: list[str] = Field(min_length=1)
    enter: bool
    object: PlaceText | None = None
    why: str = ""

    def record(self) -> models.Halts:
        return models.Halts(**{**self.fields(), "flags": tuple(self.flags)})


class MakesPart(Part):
    sleeps: bool = True
    told_by: dict[Annotated[str, StringConstraints(pattern=r"^struct \w+$")], ArgIndex] = {}
    unless: list[str] = []
    of: ArgIndex | None = None
    shared_by: str = ""

    def record(self) -> models.Makes:
        return models.Makes(**{**self.fields(), "unless": tuple(self.unless)})


class Publishes(Part):
    object: PlaceText
    value: ArgIndex
    ordered: bool = False


_NO_EFFECT = (
    "call", "pattern", "source", "held_when", "pure", "no_return", "fresh", "in_order", "per_cpu", "identity", "reclasses",
    "value", "alias", "tells", "empty", "empties", "is_error", "error_or_zero", "ends_if", "cancels", "ends", "managed",
    "never_null", "returns", "spares_last", "cache", "keeps_type", "rules_out",
    "makes",
)  # fmt: skip


class Entry(Part):
    """What both ``call`` and ``pattern`` entries say. ``held_when`` is for all of its ``takes``."""

    takes: OneOrMore[Takes] = []
    held_when: Outcome = "always"
    drops: OneOrMore[Drops] = []
    may_sleep: bool = False
    sleeps_if_gfp: ArgIndex | None = None
    sleeps_if_nonzero: ArgIndex | None = None
    sleeps_if_zero: ArgIndex | None = None
    sleeps_by: ArgIndex | None = None
    sleeps_seldom: bool = False
    only_with: str = ""
    spared_under: str = ""
    needs_irqs: bool = False
    in_interrupt: bool = False
    spared_by: str = ""
    rules_out: str = ""
    asserts: OneOrMore[Takes] = []
    inside: OneOrMore[Takes] = []
    allocates: Allocates | None = None
    gfp_scope: GfpScope | None = None
    waits: OneOrMore[Waits] = []
    signals: OneOrMore[Signals] = []
    invokes: OneOrMore[Invokes] = []
    registers: OneOrMore[Registers] = []
    accesses: OneOrMore[Accesses] = []
    chain_call: ChainCall | None = None
    chain_register: ChainRegister | None = None
    chain_head: ChainHead | None = None
    halts: Halts | None = None
    rcu_read: RcuRead | None = None
    publishes: Publishes | None = None
    unlinks: PlaceText | None = None
    serves: PlaceText | None = None
    pure: bool = False
    no_return: bool = False
    never_null: bool = False
    returns: ArgIndex | None = None
    variant_of: str = ""
    frees_later: ArgIndex | None = None
    frees: ArgIndex | None = None
    cache: ArgIndex | None = None
    keeps_type: list[str] = []
    cancels: OneOrMore[Cancels] = []
    ends: ArgIndex | None = None
    managed: bool = False
    spares_last: bool = False
    fresh: bool = False
    makes: MakesPart | None = None
    in_order: bool = False
    per_cpu: bool = False
    tells: Literal["", "atomic", "task"] = ""
    identity: ArgIndex | None = None
    reclasses: ArgIndex | None = None
    value: PlaceText | None = None
    empty: ArgIndex | None = None
    empties: ArgIndex | None = None
    is_error: ArgIndex | None = None
    error_or_zero: ArgIndex | None = None
    ends_if: ArgIndex | None = None
    alias: str = ""
    source: Source

    def contradiction(self) -> str:
        """What in the entry cannot be true of any function; "" for nothing."""
        for take in self.takes:
            if (take.held_when or self.held_when) != "always":
                continue
            for drop in self.drops:
                same = (take.lock, take.kind, take.mode) == (drop.lock, drop.kind, drop.mode)
                if same and drop.when == "always":
                    return "it both takes and drops the same lock, always"
        effects = {
            name
            for name in type(self).model_fields
            if name not in _NO_EFFECT and getattr(self, name) not in ([], None, False, "")
        }
        if self.pure and effects:
            return f"it is pure and yet has '{min(effects)}'"
        if self.alias and (effects or self.pure):
            return f"it is an alias and yet has '{min(effects or {'pure'})}' of its own"
        if self.held_when != "always" and not self.takes:
            return "it has 'held_when' and takes nothing"
        return ""

    def record(self, name: str) -> models.Function:
        """The record for one name of the family."""
        gfp = self.allocates.gfp if self.allocates is not None and not self.may_sleep else None
        allocates = None if self.allocates is None else models.Allocates(**self.allocates.fields())
        call = self.chain_call
        return models.Function(
            name=name,
            takes=tuple(take.record(self.held_when) for take in self.takes),
            drops=tuple(models.Drops(**drop.fields()) for drop in self.drops),
            may_sleep=self.may_sleep,
            sleeps_if_gfp=self.sleeps_if_gfp if self.sleeps_if_gfp is not None else gfp,
            allocates=allocates,
            gfp_scope=None if self.gfp_scope is None else self.gfp_scope.record(),
            sleeps_if_nonzero=self.sleeps_if_nonzero,
            sleeps_if_zero=self.sleeps_if_zero,
            sleeps_by=self.sleeps_by,
            sleeps_seldom=self.sleeps_seldom,
            only_with=self.only_with,
            spared_under=self.spared_under,
            needs_irqs=self.needs_irqs,
            in_interrupt=self.in_interrupt,
            spared_by=self.spared_by,
            rules_out=self.rules_out,
            asserts=tuple(take.record() for take in self.asserts),
            inside=tuple(take.record() for take in self.inside),
            signals=tuple(models.Signals(**signal.fields()) for signal in self.signals),
            waits=tuple(models.Waits(**wait.fields()) for wait in self.waits),
            invokes=tuple(run.record() for run in self.invokes),
            registers=tuple(item.record() for item in self.registers),
            accesses=tuple(models.Accesses(**access.fields()) for access in self.accesses),
            chain_call=None if call is None else _chain_call(call),
            chain_register=_as(models.ChainRegister, self.chain_register),
            chain_head=_as(models.ChainHead, self.chain_head),
            halts=None if self.halts is None else self.halts.record(),
            rcu_read=None if self.rcu_read is None else self.rcu_read.record(),
            publishes=_as(models.Publishes, self.publishes),
            unlinks=self.unlinks,
            serves=self.serves,
            pure=self.pure,
            no_return=self.no_return, never_null=self.never_null, returns=self.returns,
            variant_of=self.variant_of,
            frees_later=self.frees_later,
            frees=self.frees,
            cache=self.cache, keeps_type=tuple(self.keeps_type),
            cancels=tuple(models.Cancels(**item.fields()) for item in self.cancels),
            ends=self.ends,
            managed=self.managed,
            spares_last=self.spares_last,
            fresh=self.fresh,
            makes=None if self.makes is None else self.makes.record(),
            in_order=self.in_order,
            per_cpu=self.per_cpu,
            tells=self.tells,
            identity=self.identity,
            reclasses=self.reclasses,
            value=self.value,
            empty=self.empty,
            empties=self.empties,
            is_error=self.is_error,
            error_or_zero=self.error_or_zero,
            ends_if=self.ends_if,
            alias=self.alias,
            source=self.source,
        )


def _as(record: type[_T], part: Part | None) -> _T | None:
    return None if part is None else record(**part.fields())


def _chain_call(part: ChainCall) -> models.ChainCall:
    fields = part.fields()
    fields["holds"] = None if part.holds is None else part.holds.record()
    return models.ChainCall(**fields)


# --- entries --------------------------------------------------------------------------------------


class CallEntry(Entry):
    call: Annotated[list[str], BeforeValidator(_names)]


class PatternEntry(Entry):
    pattern: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*\*$")]


class ScopeEntry(Part):
    scope: str
    functions: list[str] = []
    files: list[str] = []
    chains: list[str] = []
    in_reclaim: bool = False
    source: Source


class ObligationEntry(Part):
    obligation: str
    in_reclaim: bool = False
    alone: bool = False
    forbids: list[str] = []
    unless: list[str] = []
    owes: Literal["", "add to data", "result"] = ""
    source: Source


class OperationsEntry(Part):
    """``operations: struct T`` with the fields that are called in the same context; of the functions in an array, the type of a
    function with the field ``[]``."""

    operations: Annotated[str, StringConstraints(pattern=r"^((struct|union) )?\w+$")]
    fields_: list[str] = Field(min_length=1, alias="fields")
    context: Irq
    masks: Masks = ""
    holds: OneOrMore[str | Held] = []
    kind: Kind | None = None
    mode: Mode = "exclusive"
    holds_among: dict[str, Held] = {}
    unless: OneOrMore[str] = []
    sure: bool = True
    apart: OneOrMore[str] = []
    after_grace: bool = False
    interrupts: bool = False
    alone: bool = False
    source: Source

    def records(self) -> Iterator[models.Operation]:
        kind = self.kind or ("mutex" if self.context == "task" else "spin")
        for field in self.fields_:
            yield models.Operation(
                table=f"{self.operations}.{field}", context=self.context, masks=self.masks,
                holds=tuple(h.record() if isinstance(h, Held) else models.Held(h, kind, self.mode) for h in self.holds),
                holds_among={word: held.record() for word, held in self.holds_among.items()},
                unless=tuple(self.unless), sure=self.sure, apart=tuple(f"{self.operations}.{f}" for f in self.apart),
                after_grace=self.after_grace, interrupts=self.interrupts, alone=self.alone, source=self.source,
            )  # fmt: skip


class OpsEntry(Part):
    ops: list[Annotated[str, StringConstraints(pattern=r"^struct \w+\.\w+$")]]
    forbids: list[str] = []
    reclaim: list[str] = []
    idle: bool = False
    scoped: bool = False
    seldom: bool = False
    why: str = ""
    source: Source

    def record(self) -> models.OpsContext:
        return models.OpsContext(
            ops=tuple(self.ops), forbids=tuple(self.forbids), reclaim=tuple(self.reclaim), idle=self.idle, scoped=self.scoped,
            seldom=self.seldom, why=self.why,
        )  # fmt: skip


class HandlesEntry(Part):
    handles: dict[str, list[str]]
    source: Source


class WordScopesEntry(Part):
    word_scopes: dict[str, dict[str, list[str]]]
    source: Source


class BusTypesEntry(Part):
    bus_types: dict[str, str]
    source: Source


class EndsEntry(Part):
    ends_of: dict[str, str]
    source: Source


class FollowedEntry(Part):
    """``followed``: fields that a core follows under RCU, each with the operations by which it comes there (none: by itself)."""

    followed: dict[Annotated[str, StringConstraints(pattern=r"^struct \w+\.\w+$")], list[TableText]]
    source: Source


class GuardsEntry(Part):
    guards: dict[str, str]
    unguards: dict[str, str]
    source: Source


class CleanupsEntry(Part):
    cleanups: dict[str, str]
    source: Source


class ConstantsEntry(Part):
    constants: dict[str, int]
    source: Source


class TreesEntry(Part):
    trees: dict[str, str]
    source: Source


class FamiliesEntry(Part):
    families: dict[str, str]
    source: Source


class BackEntry(Part):
    """``comes_back``: functions that run operations of their caller's own driver before they return, or wait for such."""

    comes_back: list[str] = Field(min_length=1)
    invokes: list[Back] = []
    waits_for: list[TableText] = []
    source: Source

    @model_validator(mode="after")
    def _comes_back_to_something(self) -> BackEntry:
        if not self.invokes and not self.waits_for:
            raise ValueError("name operations in invokes or in waits_for")
        return self

    def records(self) -> tuple[models.Invokes, ...]:
        return (
            *(i.record() for i in self.invokes),
            *(models.Invokes(table=table, bound="directory", waited=True) for table in self.waits_for),
        )


class PrivateEntry(Part):
    private: dict[str, list[str]]
    source: Source


ENTRIES: dict[str, type[Part]] = {
    "call": CallEntry,
    "pattern": PatternEntry,
    "scope": ScopeEntry,
    "obligation": ObligationEntry,
    "operations": OperationsEntry,
    "ops": OpsEntry,
    "handles": HandlesEntry,
    "word_scopes": WordScopesEntry,
    "bus_types": BusTypesEntry,
    "ends_of": EndsEntry,
    "followed": FollowedEntry,
    "guards": GuardsEntry,
    "cleanups": CleanupsEntry,
    "constants": ConstantsEntry,
    "trees": TreesEntry,
    "families": FamiliesEntry,
    "private": PrivateEntry,
    "comes_back": BackEntry,
}
"""The key that makes an entry what it is, and its shape."""


def kinds(keys: Iterable[str]) -> Iterator[str]:
    """Which of the keys make an entry what it is; exactly one should."""
    return (key for key in keys if key in ENTRIES)
