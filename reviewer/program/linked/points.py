"""Places in the program as plain records: what the layers below turn into the steps of a proof."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold

PointKind = Literal["call", "acquire", "access", "register"]


@dataclass(frozen=True, slots=True)
class Point:
    """One step: what happens where, and the lock classes held there. ``function`` is empty at file scope; ``line`` is
    1-based."""

    kind: PointKind
    file: str
    line: int
    function: str
    held: tuple[str, ...] = ()


def point(kind: PointKind, func: Func, at: int, held: Iterable[Hold] = ()) -> Point:
    """A step at a position of a function; each lock once, in the order in which they were taken."""
    names = tuple(dict.fromkeys(h.shown() for h in held if h.name))
    return Point(kind, func.path, func.line_of(at), func.name, names)
