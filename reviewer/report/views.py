"""What ``context``, ``relies-on`` and ``graph`` show: plain records, made from a Program, printed here."""

from __future__ import annotations

from typing import Literal

import msgspec

from reviewer.checks.finding import Confidence, Step
from reviewer.checks.result import Site
from reviewer.program.models import Irq, Mode, Taken


class Held(msgspec.Struct, frozen=True):
    """A lock class that is held, with its mode and how it was taken."""

    lock: str
    mode: Mode = "exclusive"
    taken: Taken = "lock"

    def __str__(self) -> str:
        return f"{self.lock} (shared)" if self.mode == "shared" else self.lock


class Caller(msgspec.Struct, frozen=True):
    """One way into the function.

    :ivar how: ``call``, or what calls it indirectly: a table's field, a chain, a registration (``work``).
    :ivar held: lock classes held at the call on every path, callers' included; a shared hold says so.
    """

    site: Site
    how: str = "call"
    held: tuple[Held, ...] = ()


class ContextReport(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls a function, holding what, and what keeps two CPUs from being in it at once.

    :ivar must: held on every known call path. :ivar may: held on some (``must`` left out).
    :ivar serialiser: lock class that lets one caller in at a time, None where two CPUs may be inside.
    :ivar callers_known: ``partial`` if it is exported, its address is taken or unresolved code may call it.
    :ivar in_reclaim: whether it can run inside reclaim or the OOM killer.
    :ivar proof: a call path on which the serialiser is taken, or two that show there is none.
    """

    function: str
    file: str
    line: int
    must: tuple[Held, ...] = ()
    may: tuple[Held, ...] = ()
    serialiser: str | None = None
    irq: Irq = "task"
    callers_known: Literal["all", "partial"] = "all"
    in_reclaim: bool = False
    callers: tuple[Caller, ...] = ()
    proof: tuple[Step, ...] = ()


class Reliance(msgspec.Struct, frozen=True, kw_only=True):
    """A shared object, or a callback, that nothing but the lock in question serialises.

    :ivar accesses: the conflicting accesses (object), or where it is called from under the lock (callback).
    """

    kind: Literal["object", "callback"]
    name: str
    confidence: Confidence = "medium"
    message: str = ""
    accesses: tuple[Site, ...] = ()


class RelianceReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that relies on one lock class. ``taken_at``: where it is taken."""

    lock: str
    taken_at: tuple[Site, ...] = ()
    relied_on_by: tuple[Reliance, ...] = ()


class Node(msgspec.Struct, frozen=True):
    """A function or a lock class. ``id`` is unique in its graph: a static carries its file."""

    id: str
    file: str = ""
    line: int = 0


class Edge(msgspec.Struct, frozen=True):
    """A call (caller, callee), or an order of locks (held, then taken), with one place that shows it.

    :ivar how: as in :class:`Caller` for calls; ``taken`` of the second lock for locks.
    :ivar count: how many places show it.
    """

    source: str
    target: str
    site: Site
    how: str = "call"
    confidence: Confidence = "high"
    count: int = 1


class GraphReport(msgspec.Struct, frozen=True, kw_only=True):
    """A graph to draw. Nodes without edges are kept; an edge's ends need no node of their own."""

    kind: Literal["calls", "locks"]
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
