"""Answers of the program as the records that are written: places become sites, holds become lock classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, cast

from reviewer.checks.finding import Confidence, Step
from reviewer.checks.result import Site
from reviewer.program.graph.contexts import CallSite
from reviewer.program.linked.link import Program
from reviewer.program.linked.locks import Hold
from reviewer.program.linked.points import Point
from reviewer.program.views import reliance as library
from reviewer.program.views.describe import Description
from reviewer.program.views.graphs import Graph
from reviewer.report.views import (
    Caller,
    ContextReport,
    Edge,
    GraphReport,
    Held,
    Node,
    Registration,
    Reliance,
    RelianceReport,
    Taking,
)

CONFIDENCE: tuple[Confidence, ...] = ("high", "medium", "low")
"""By doubt: a call by name or on a chain, one through a table, one through a table with too many entries."""


def steps(program: Program, points: Iterable[Point]) -> tuple[Step, ...]:
    """Points with the text of their lines."""
    return tuple(
        Step(p.kind, p.file, p.line, p.function, program.line_text(p.file, p.line), p.held) for p in points
    )


def holds(held: Iterable[Hold]) -> tuple[Held, ...]:
    """Named locks, each class and mode once."""
    found = {(h.name, h.mode): Held(h.name, h.mode, h.taken) for h in held if h.name}
    return tuple(found.values())


def call_site(site: CallSite) -> Site:
    return Site(site.caller.name, site.caller.path, site.line)


def context_report(program: Program, description: Description) -> ContextReport:
    """One definition's context."""
    func, bottom = description.func, description.bottom
    serialiser = description.serialiser
    line = func.definition.name_line if func.definition is not None else func.line
    return ContextReport(
        function=func.name,
        file=func.path,
        line=line,
        must=holds(bottom.must),
        may=holds(bottom.may),
        serialiser=serialiser.name if serialiser is not None else None,
        irq=bottom.irq,
        callers_known="partial" if bottom.partial else "all",
        in_reclaim=bottom.in_reclaim,
        callers=tuple(
            Caller(call_site(way.site), way.site.how, holds(way.full)) for way in description.ways
        ),
        proof=steps(program, description.proof),
        taken_by=tuple(
            Taking(Site(t.func.name, t.func.path, t.line), t.hold.mode, t.hold.taken)
            for t in description.takers
        ),
        registrations=tuple(
            Registration(r.how, r.by, Site(r.function, r.file, r.line), r.context) for r in description.roots
        ),
        partial_because=description.partial,
        cut=description.cut,
    )


def graph_report(kind: Literal["calls", "locks"], graph: Graph) -> GraphReport:
    """A graph with its edges in the order in which they were found, those of a lock that waits first."""
    return GraphReport(
        kind=kind,
        nodes=tuple(Node(n.id, n.file, n.line) for n in graph.nodes.values()),
        edges=tuple(
            Edge(
                e.source,
                e.target,
                Site(e.function, e.file, e.line),
                e.how,
                CONFIDENCE[min(e.doubt, 2)],
                e.count,
                cast("Literal['exclusive', 'shared', '']", e.mode),
            )
            for e in graph.edges.values()
        ),
        cut=tuple(graph.cut),
    )


def reliance_report(found: library.Reliance, reliers: Iterable[Reliance]) -> RelianceReport:
    """What relies on one lock; ``reliers``: who does."""
    return RelianceReport(
        lock=found.lock,
        taken_at=tuple(
            Taking(Site(t.func.name, t.func.path, t.line), t.hold.mode, t.hold.taken) for t in found.taken
        ),
        relied_on_by=tuple(reliers),
        cut=tuple(found.cut),
    )


def relier_record(program: Program, relier: library.Relier) -> Reliance:
    """One of those who rely on a lock."""
    called = tuple(Site(e.caller.func.name, e.caller.func.path, e.line) for e in relier.called)
    return Reliance(
        kind=relier.kind,
        name=relier.name,
        confidence="medium" if relier.partial else "high",
        message=relier.why,
        file=relier.file,
        line=relier.line,
        accesses=called or tuple(Site(a.func.name, a.func.path, a.line) for a in relier.accesses),
        proof=steps(program, relier.proof),
    )
