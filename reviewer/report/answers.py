"""``context`` and ``relies-on`` as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewer.report.json_v1 import Object, site_object, step_object
from reviewer.report.paint import Paint
from reviewer.report.plain import plural, safe
from reviewer.report.text import labelled, proof_lines
from reviewer.report.views import ContextReport, Held, Reliance, RelianceReport

IRQ_WORDS = {
    "task": "task context, may sleep",
    "softirq": "softirq",
    "hardirq": "hard interrupt",
    "nmi": "non-maskable interrupt",
    "atomic": "task context with preemption or interrupts off",
}


def context_text(report: ContextReport, paint: Paint) -> str:
    """Who calls it holding what, for people."""
    return "\n".join(_context_lines(report, paint)) + "\n"


def _context_lines(report: ContextReport, paint: Paint) -> Iterator[str]:
    yield paint(f"{safe(report.function)} {safe(report.file)}:{report.line}", "bold")
    inside = ", inside reclaim or the OOM killer" if report.in_reclaim else ""
    yield from labelled("runs in", [[IRQ_WORDS[report.irq] + inside]])
    yield from labelled("serialised", [[report.serialiser or "by nothing: two CPUs may be inside at once"]])
    yield from labelled("must hold", _holds(report.must), nothing="nothing")
    yield from labelled("may hold", _holds(report.may), nothing="nothing else")
    partial = report.callers_known == "partial"
    yield from labelled(
        "called from",
        (
            [
                c.site.function,
                f"{c.site.file}:{c.site.line}",
                c.how,
                "held: " + (", ".join(map(str, c.held)) or "nothing"),
            ]
            for c in report.callers
        ),
    )
    if partial:
        yield from labelled("", [["and perhaps by others: it is exported, or its address is taken"]])
    if report.proof:
        yield "  proof"
        yield from (f"  {line}" for line in proof_lines(report.proof, report.file))


def _holds(held: Sequence[Held]) -> list[list[str]]:
    return [[str(one), one.taken] for one in held]


def context_object(report: ContextReport) -> Object:
    """The keys of a review's ``before``, and who calls it."""
    return {
        "function": report.function,
        "file": report.file,
        "line": report.line,
        "must": [_held_object(one) for one in report.must],
        "may": [_held_object(one) for one in report.may],
        "serialiser": report.serialiser,
        "irq": report.irq,
        "callers_known": report.callers_known,
        "in_reclaim": report.in_reclaim,
        "callers": [
            {**site_object(c.site), "how": c.how, "held": [_held_object(one) for one in c.held]}
            for c in report.callers
        ],
        "proof": [step_object(step) for step in report.proof],
    }


def _held_object(held: Held) -> Object:
    return {"class": held.lock, "mode": held.mode, "taken": held.taken}


def reliance_text(report: RelianceReport, paint: Paint) -> str:
    """What only this lock serialises, for people."""
    return "\n".join(_reliance_lines(report, paint)) + "\n"


def _reliance_lines(report: RelianceReport, paint: Paint) -> Iterator[str]:
    yield paint(safe(report.lock), "bold")
    yield from labelled(
        "taken in", ([s.function, f"{s.file}:{s.line}"] for s in report.taken_at), nothing="nowhere"
    )
    for one in report.relied_on_by:
        yield ""
        yield f"  {one.kind} {paint(safe(one.name), 'bold')} [{one.confidence}]" + (
            f": {safe(one.message)}" if one.message else ""
        )
        label = "accessed in" if one.kind == "object" else "called from"
        yield from labelled(label, ([s.function, f"{s.file}:{s.line}"] for s in one.accesses), indent=4)
    yield ""
    yield f"{plural(len(report.relied_on_by), 'thing')} that only {safe(report.lock)} serialises"


def reliance_object(report: RelianceReport) -> Object:
    return {
        "lock": report.lock,
        "taken_at": [site_object(site) for site in report.taken_at],
        "relied_on_by": [_one_reliance(one) for one in report.relied_on_by],
    }


def _one_reliance(one: Reliance) -> Object:
    return {
        "kind": one.kind,
        "name": one.name,
        "confidence": one.confidence,
        "message": one.message,
        "accesses": [site_object(site) for site in one.accesses],
    }
