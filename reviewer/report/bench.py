"""What ``reviewer bench`` prints: a line for each case, then what was found of each kind."""

from __future__ import annotations

from collections.abc import Sequence

from reviewer.report import json_v1
from reviewer.report.paint import Paint
from reviewer.report.plain import plural, safe
from reviewer.review.bench import Summary, Verdict


def line(verdict: Verdict, paint: Paint) -> str:
    """One case on one line, and its unexpected findings below."""
    case = verdict.case
    if verdict.failed:
        said = paint(f"no answer: {safe(verdict.failed)}", "red")
    elif case.category:
        said = paint("found", "green") if verdict.found else paint("missed", "red")
        if not verdict.found and verdict.near:
            said += f", though {', '.join(sorted({f.rule for f in verdict.near}))} sees something there"
    else:
        said = paint("false alarm", "red") if verdict.others else paint("silent", "green")
    kind = f"{case.category} {case.scope}" if case.category else "harmless"
    lines = [f"{safe(case.id):8} {kind:32} {verdict.seconds:6.1f} s  {said}"]
    lines += [f"         {safe(f'{f.file}:{f.line}')}: {safe(f.message)} [{f.rule}, {f.confidence}]" for f in verdict.others]
    return "\n".join(lines) + "\n"


def table(summary: Summary) -> str:
    """The figures."""
    lines: list[str] = []
    for kind, counts in summary.groups.items():
        for name, count in counts.items():
            lines.append(f"  {kind} {safe(name):32} {count.found:3} of {count.of}")
    bugs = summary.bugs
    if bugs.of:
        share = f"{bugs.found / bugs.of:.0%}"
        lines.append(f"{bugs.found} of {plural(bugs.of, 'bug')} found ({share}), {summary.others} other findings")
    if summary.harmless:
        lines.append(f"{summary.wrong} of {plural(summary.harmless, 'harmless patch', 'harmless patches')} with a finding")
    if summary.failed:
        lines.append(f"{plural(summary.failed, 'case')} without an answer")
    lines.append(f"median {summary.median:.1f} s a case")
    return "\n".join(lines) + "\n"


def document(verdicts: Sequence[Verdict], summary: Summary) -> json_v1.Object:
    """The same as JSON."""

    def one(v: Verdict) -> json_v1.Object:
        return {
            "id": v.case.id, "category": v.case.category or None, "scope": v.case.scope or None,
            "confidence": v.case.confidence or None, "found": v.found if v.case.category else None, "seconds": v.seconds,
            "failed": v.failed or None, "near": [json_v1.finding_object(f) for f in v.near],
            "others": [json_v1.finding_object(f) for f in v.others],
        }  # fmt: skip

    return {
        **json_v1.tool(), "cases": [one(v) for v in verdicts],
        "summary": {
            "bugs": summary.bugs.of, "found": summary.bugs.found, "others": summary.others, "harmless": summary.harmless,
            "wrong": summary.wrong, "failed": summary.failed, "median_seconds": summary.median,
            "groups": {kind: {n: [c.found, c.of] for n, c in counts.items()} for kind, counts in summary.groups.items()},
        },
    }  # fmt: skip
