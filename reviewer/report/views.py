"""What ``context``, ``relies-on`` and ``graph`` show: plain records, made from a Program, printed here."""

from __future__ import annotations

from typing import Literal

import msgspec

from reviewer.checks.finding import Confidence, Step
from reviewer.checks.result import Site
from reviewer.program.api.models import Irq, Mode, Taken


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


class Taking(msgspec.Struct, frozen=True):
    """A place where a lock is taken, and how."""

    site: Site
    mode: Mode = "exclusive"
    taken: Taken = "lock"


class Registration(msgspec.Struct, frozen=True):
    """What makes a function run without a call by name: it is on a chain, a work item's, a timer's, a handler.

    :ivar how: ``chain NAME``, work, timer, irq, ... ; of a system call the macro that makes its header.
    :ivar by: the API function or macro that registers it.
    :ivar site: where; its function is empty at file scope.
    :ivar irq: the context in which it runs.
    """

    how: str
    by: str
    site: Site
    irq: Irq = "task"


class ContextReport(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls a function, holding what, and what keeps two CPUs from being in it at once.

    :ivar must: held on every known call path. :ivar may: held on some (``must`` left out).
    :ivar serialiser: lock class that lets one caller in at a time, None where two CPUs may be inside.
    :ivar taken_by: where the serialiser is taken on the known paths.
    :ivar irq: of the contexts in which it is known to run, the one in which least is allowed.
    :ivar callers_known: ``partial`` if it is exported, its address is taken or unresolved code may call it;
        ``partial_because`` says which of these, for people.
    :ivar in_reclaim: whether it can run inside reclaim or the OOM killer.
    :ivar registrations: what makes it run other than a call.
    :ivar proof: the call paths on which the serialiser is taken, or two that show there is none.
    :ivar cut: what the budget of the search left out, for people.
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
    taken_by: tuple[Taking, ...] = ()
    registrations: tuple[Registration, ...] = ()
    partial_because: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()


class Reliance(msgspec.Struct, frozen=True, kw_only=True):
    """A shared object, or a callback, that nothing but the lock in question serialises.

    :ivar file: where the callback is defined, or the object is first accessed. :ivar line: there.
    :ivar accesses: the conflicting accesses (object), or where it is called from under the lock (callback).
    :ivar proof: how the lock comes to be held there, and what would go wrong without it.
    """

    kind: Literal["object", "callback"]
    name: str
    confidence: Confidence = "medium"
    message: str = ""
    file: str = ""
    line: int = 0
    accesses: tuple[Site, ...] = ()
    proof: tuple[Step, ...] = ()


class RelianceReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that relies on one lock class.

    :ivar taken_at: where it is taken. :ivar cut: what the budget of the search left out, for people.
    """

    lock: str
    taken_at: tuple[Taking, ...] = ()
    relied_on_by: tuple[Reliance, ...] = ()
    cut: tuple[str, ...] = ()


class Node(msgspec.Struct, frozen=True):
    """A function or a lock class. ``id`` is unique in its graph: a static carries its file."""

    id: str
    file: str = ""
    line: int = 0


class Edge(msgspec.Struct, frozen=True):
    """A call (caller, callee), or an order of locks (held, then taken), with one place that shows it.

    :ivar how: as in :class:`Caller` for calls; ``taken`` of the second lock for locks.
    :ivar mode: of the second lock; empty for calls.
    :ivar count: how many places show it.
    """

    source: str
    target: str
    site: Site
    how: str = "call"
    confidence: Confidence = "high"
    count: int = 1
    mode: Mode | Literal[""] = ""


class GraphReport(msgspec.Struct, frozen=True, kw_only=True):
    """A graph to draw. Nodes without edges are kept; an edge's ends need no node of their own.

    :ivar cut: what the budget of the search left out, for people.
    """

    kind: Literal["calls", "locks"]
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    cut: tuple[str, ...] = ()
