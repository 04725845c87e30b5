"""The shape of ``rules/ID.yaml``; apart from the registry, so that pydantic is imported only where a file is read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RuleSchema(BaseModel):
    """Every text is for people: what happens, why it matters, how to mend it, where the contract is written down."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(pattern=r"[a-z]+(-[a-z]+)*")
    title: str = Field(min_length=10)
    family: Literal["notifier", "general"]
    severity: Literal["error", "warning"]
    what: str = Field(min_length=20)
    why: str = Field(min_length=20)
    mend: str = Field(min_length=10)
    source: str = Field(min_length=10)
    confidence: str = Field(min_length=10)
