"""The shape of ``ID.yaml``; apart from the registry, so that pydantic is imported only where a file is read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

WaitName = Literal[
    "event", "completion", "work", "workqueue", "timer", "irq", "thread", "grace_period", "refcount", "device", "tasklet",
    "callbacks",
]  # fmt: skip
"""What the models' ``waits`` know (program/api/models.py)."""

FLAG = r"^[A-Za-z_]\w*$"


def _one_or_more(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Words = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1), BeforeValidator(_one_or_more)]
"""One text or a list of texts. Names of functions, chains, lock classes and files may have ``*``."""


class Part(BaseModel):
    """Base of all shapes: strict, no key that is not named."""

    model_config = ConfigDict(extra="forbid", strict=True)


class OnlySchema(Part):
    """Which findings of the other rule are this rule's."""

    chain: Words | None = None
    files: Words | None = None
    function: Words | None = None


class BelowSchema(Part):
    """Where the search starts: callbacks of chains, named functions, what a table's field or a registration runs."""

    chain: Words | None = None
    function: Words | None = None
    table: Annotated[str, Field(pattern=r"^(struct|union) \w+\.\w+$")] | None = None
    registered: Words | None = None
    files: Words | None = None

    @model_validator(mode="after")
    def _one_start(self) -> BelowSchema:
        given = [name for name in ("chain", "function", "table", "registered") if getattr(self, name) is not None]
        if len(given) != 1:
            what = f"{' and '.join(given)} at once" if given else "no start"
            raise ValueError(f"{what}; give one of: chain, function, table, registered")
        if self.registered is not None and self.files is None:
            raise ValueError("'registered' over a whole kernel is too much; add 'files:' with a folder or more")
        return self


class AllocationSchema(Part):
    """An allocation whose mask has all of ``flags`` and none of ``without``."""

    flags: Annotated[list[Annotated[str, Field(pattern=FLAG)]], BeforeValidator(_one_or_more)] = []
    without: Annotated[list[Annotated[str, Field(pattern=FLAG)]], BeforeValidator(_one_or_more)] = []


class ReachSchema(Part):
    """What must not be reached: any of these."""

    call: Words | None = None
    allocation: AllocationSchema | None = None
    lock: Words | None = None
    wait: Annotated[list[WaitName], BeforeValidator(_one_or_more)] | None = None

    @model_validator(mode="after")
    def _something(self) -> ReachSchema:
        if not any(getattr(self, name) for name in type(self).model_fields if name != "allocation") and self.allocation is None:
            raise ValueError("nothing is forbidden; give one of: call, allocation, lock, wait")
        return self


class UnlessSchema(Part):
    """What makes it right: a lock that is held there, or a function on the way."""

    holding: Words | None = None
    through: Words | None = None


class ForbidSchema(Part):
    below: BelowSchema
    reach: ReachSchema
    unless: UnlessSchema | None = None


class RuleSchema(Part):
    """Every text is for people: what happens, why it matters, how to mend it, where the contract is written down.

    ``like``, with ``only``, makes the rule an instance of one of ours, whose texts and severity it has where it gives none
    itself; ``forbid`` is a pattern of its own. ``answers``: categories of ``reviewer bench`` whose bugs it is to find.
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)+$")
    title: str | None = Field(None, min_length=10)
    family: Literal["notifier", "general", "own"] = "own"
    severity: Literal["error", "warning"] | None = None
    what: str | None = Field(None, min_length=20)
    why: str | None = Field(None, min_length=20)
    mend: str | None = Field(None, min_length=10)
    source: str | None = Field(None, min_length=10)
    confidence: str | None = Field(None, min_length=10)
    answers: list[Annotated[str, Field(pattern="^[A-Z]$")]] = []
    like: str | None = None
    only: OnlySchema | None = None
    forbid: ForbidSchema | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> RuleSchema:
        if self.like is not None and self.forbid is not None:
            raise ValueError("both 'like' and 'forbid'; make two rules of it")
        if self.only is not None and self.like is None:
            raise ValueError("'only' without 'like'; add 'like:' with the id of a rule")
        return self
