"""``context`` and ``relies-on`` as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reviewer.report.json_v1 import Object, site_object, step_object
from reviewer.report.paint import Paint
from reviewer.report.plain import plural, safe
from reviewer.report.text import labelled, proof_lines
from reviewer.report.views import ContextReport, Held, Reliance, RelianceReport, Taking

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
    if report.taken_by:
        yield from labelled("taken by", _takings(report.taken_by))
    yield from labelled("must hold", _holds(report.must), nothing="nothing")
    yield from labelled("may hold", _holds(report.may), nothing="nothing else")
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
    if report.callers_known == "partial":
        why = "; ".join(report.partial_because) or "it is exported, or its address is taken"
        yield from labelled("", [[f"and perhaps by others: {why}"]])
    if report.registrations:
        yield from labelled(
            "registered",
            ([r.how, f"by {r.by}", r.site.function, f"{r.site.file}:{r.site.line}"] for r in report.registrations),
        )
    if report.cut:
        yield from labelled("not looked at", ([one] for one in report.cut))
    if report.proof:
        yield "  proof"
        yield from (f"  {line}" for line in proof_lines(report.proof, report.file))


def _holds(held: Sequence[Held]) -> list[list[str]]:
    return [[str(one), one.taken] for one in held]


def _takings(places: Sequence[Taking]) -> list[list[str]]:
    return [[t.site.function, f"{t.site.file}:{t.site.line}", _way(t)] for t in places]


def _way(taking: Taking) -> str:
    return f"{taking.taken} (shared)" if taking.mode == "shared" else taking.taken


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
        "taken_by": [_taking_object(one) for one in report.taken_by],
        "registrations": [
            {"how": r.how, "by": r.by, "at": site_object(r.site), "irq": r.irq} for r in report.registrations
        ],
        "partial_because": list(report.partial_because),
        "cut": list(report.cut),
    }


def _taking_object(taking: Taking) -> Object:
    return {**site_object(taking.site), "mode": taking.mode, "taken": taking.taken}


def _held_object(held: Held) -> Object:
    return {"class": held.lock, "mode": held.mode, "taken": held.taken}


def reliance_text(report: RelianceReport, paint: Paint) -> str:
    """What only this lock serialises, for people."""
    return "\n".join(_reliance_lines(report, paint)) + "\n"


def _reliance_lines(report: RelianceReport, paint: Paint) -> Iterator[str]:
    yield paint(safe(report.lock), "bold")
    yield from labelled("taken in", _takings(report.taken_at), nothing="nowhere")
    for one in report.relied_on_by:
        yield ""
        place = f" {safe(one.file)}:{one.line}" if one.file else ""
        yield f"  {one.kind} {paint(safe(one.name), 'bold')}{place} [{one.confidence}]" + (
            f": {safe(one.message)}" if one.message else ""
        )
        label = "accessed in" if one.kind == "object" else "called from"
        yield from labelled(label, ([s.function, f"{s.file}:{s.line}"] for s in one.accesses), indent=4)
        if one.proof:
            yield "    proof"
            yield from (f"    {line}" for line in proof_lines(one.proof, ""))
    yield ""
    if report.cut:
        yield from labelled("not looked at", ([one] for one in report.cut))
    yield f"{plural(len(report.relied_on_by), 'thing')} that only {safe(report.lock)} serialises"


def reliance_object(report: RelianceReport) -> Object:
    return {
        "lock": report.lock,
        "taken_at": [_taking_object(one) for one in report.taken_at],
        "relied_on_by": [_one_reliance(one) for one in report.relied_on_by],
        "cut": list(report.cut),
    }


def _one_reliance(one: Reliance) -> Object:
    return {
        "kind": one.kind,
        "name": one.name,
        "confidence": one.confidence,
        "message": one.message,
        "file": one.file,
        "line": one.line,
        "accesses": [site_object(site) for site in one.accesses],
        "proof": [step_object(step) for step in one.proof],
    }
