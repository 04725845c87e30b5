"""The scan report for people: the sentence, then the proof, then what the chains are and a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from reviewer.checks.finding import Finding, Step
from reviewer.checks.result import Chain, ScanResult, Stats
from reviewer.report.paint import Paint
from reviewer.report.plain import clip, plural, safe

TEXT_WIDTH = 60
"""Source text of a proof step is cut there, so that the locks beside it stay on a terminal's line."""

SEVERITY_COLORS = {"error": "red", "warning": "yellow", "note": "cyan"}


def scan_text(
    result: ScanResult, findings: Sequence[Finding], *, hidden: int, floor: str, paint: Paint, brief: bool
) -> str:
    """The whole report.

    :param findings: those that passed the filters.
    :param hidden: how many more are below the confidence ``floor``.
    :param brief: findings only, nothing where there are none.
    """
    parts = ["\n".join(finding_lines(finding, paint)) for finding in findings]
    if not brief:
        parts += ["\n".join(_chain_lines(chain, paint)) for chain in result.chains]
        if result.skipped:
            parts.append(
                "\n".join(f"skipped {safe(file)}: {safe(reason)}" for file, reason in result.skipped)
            )
        parts.append(verdict(findings, hidden, floor, result.stats, len(result.skipped)))
    return "\n\n".join(parts) + "\n" if parts else ""


def finding_lines(finding: Finding, paint: Paint) -> Iterator[str]:
    """One finding: the sentence with its place, the proof, what prevents it (a note), the fix."""
    severity = paint(f"{finding.severity}:", SEVERITY_COLORS[finding.severity])
    place = paint(f"{safe(finding.file)}:{finding.line}:", "bold")
    yield f"{place} {severity} {safe(finding.message)} [{finding.rule}, {finding.confidence}]"
    yield from proof_lines(finding.proof, finding.file)
    if finding.severity == "note":
        preventing = [lock for lock in _held_and_involved(finding) if lock not in finding.message]
        if preventing:
            yield f"  prevented today by: {safe(', '.join(preventing))}"
    if finding.fix:
        yield "  fix:"
        yield from (f"    {safe(line)}" for line in finding.fix.rstrip("\n").split("\n"))


def proof_lines(proof: Sequence[Step], file: str) -> Iterator[str]:
    """The steps in aligned columns: place, function, text, kind, locks held.

    The place is a bare line number as long as every step lies in ``file``.
    """
    if not proof:
        return
    local = all(step.file == file for step in proof)
    places = [str(step.line) if local else f"{safe(step.file)}:{step.line}" for step in proof]
    functions = [safe(step.function) for step in proof]
    texts = [clip(safe(step.text), TEXT_WIDTH) for step in proof]
    wide = [max(map(len, column)) for column in (places, functions, texts)]
    for step, place, function, text in zip(proof, places, functions, texts, strict=True):
        where = place.rjust(wide[0]) if local else place.ljust(wide[0])
        held = f"  held: {safe(', '.join(step.held))}" if step.held else ""
        kind = step.kind.ljust(7) if held else step.kind
        yield f"  {where} {function.ljust(wide[1])}  {text.ljust(wide[2])}  {kind}{held}"


def verdict(findings: Sequence[Finding], hidden: int, floor: str, stats: Stats, skipped: int) -> str:
    """One line: how many of what, what was not shown, and what it rests on."""
    counts = Counter(finding.severity for finding in findings)
    found = (
        ", ".join(plural(counts[s], s) for s in ("error", "warning", "note") if counts[s])
        or "no hazard found"
    )
    below = f" ({hidden} more below --min-confidence {floor})" if hidden else ""
    cached = f", {stats.cached} from the store" if stats.cached else ""
    functions = plural(stats.functions, "function")
    read = f"{plural(stats.files, 'file')}{cached} and {functions} in {stats.seconds:.1f} s"
    incomplete = f"; incomplete, {plural(skipped, 'file')} skipped" if skipped else ""
    return f"{found}{below}; {read}{incomplete}"


def _held_and_involved(finding: Finding) -> list[str]:
    held = {lock.removesuffix(" (shared)") for step in finding.proof for lock in step.held}
    return [name for name in finding.involves if name in held]


def _chain_lines(chain: Chain, paint: Paint) -> Iterator[str]:
    yield f"{paint(f'chain {safe(chain.head)}', 'bold')} ({chain.kind}, {safe(chain.file)})"
    yield from labelled("called from", ([s.function, f"{s.file}:{s.line}"] for s in chain.called_from))
    yield from labelled(
        "users",
        (
            [
                u.function,
                u.file,
                f"registered in {u.registered_at.function}",
                f"{u.registered_at.file}:{u.registered_at.line}",
            ]
            for u in chain.users
        ),
    )


def labelled(
    label: str, rows: Iterable[Sequence[str]], indent: int = 2, nothing: str = "nobody known"
) -> Iterator[str]:
    """``rows`` in aligned columns, ``label`` beside the first; ``nothing`` where there is no row."""
    table = [[safe(cell) for cell in row] for row in rows] or [[nothing]]
    wide = [max(len(row[n]) for row in table) for n in range(len(table[0]))]
    for number, row in enumerate(table):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip()
        yield f"{' ' * indent}{(label if number == 0 else '').ljust(12)} {cells}"
