"""A review for people: patch by patch the findings with the hunk that causes them, then what runs under other locks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from reviewer.report.paint import Paint
from reviewer.report.plain import plural, safe
from reviewer.report.text import finding_lines
from reviewer.review.result import Cause, ContextChange, FunctionContext, PatchRef, Reviewed, ReviewResult

QUOTED = 24
"""Lines of a hunk that are quoted; of a longer one the changed lines with what stands around them."""

AROUND = 2
"""Unchanged lines that are kept before and behind a changed one."""

MAX_CONTEXTS = 8
"""Functions under other locks that are told one by one for each patch, unless something relied on the old ones."""


def review_text(
    result: ReviewResult, shown: Sequence[Reviewed], *, hidden: int, floor: str, paint: Paint, brief: bool, verbose: bool
) -> str:
    """The whole review.

    :param shown: findings that passed the filters. :param hidden: how many more are below the confidence ``floor``.
    :param brief: findings only, nothing where there are none. :param verbose: unchanged findings and all contexts, too.
    """
    parts: list[str] = []
    if not brief:
        parts.append("\n".join(_head(result, paint)))
    for patch in result.patches:
        lines = list(_patch_lines(result, shown, patch, paint, brief, verbose))
        if lines:
            parts.append("\n".join(lines))
    whole = [r for r in shown if r.patch is None and r.status != "unchanged"]
    lines = [line for r in whole for line in _reviewed_lines(r, paint)]
    if not brief:
        lines += _context_lines([c for c in result.contexts if c.patch == 0], paint, verbose)
    if lines:
        parts.append("\n".join(lines))
    if verbose:
        parts += ["\n".join(["unchanged:", *finding_lines(r.finding, paint)]) for r in shown if r.status == "unchanged"]
    if not brief:
        if result.skipped:
            parts.append("\n".join(f"skipped {safe(file)}: {safe(reason)}" for file, reason in result.skipped))
        parts.append(verdict(result, shown, hidden, floor))
    return "\n\n".join(parts) + "\n" if parts else ""


def _head(result: ReviewResult, paint: Paint) -> Iterator[str]:
    if result.title and len(result.patches) > 1:
        yield paint(safe(result.title), "bold")
    yield f"{plural(len(result.patches), 'patch', 'patches')} on {result.base[:12]}: {safe(result.base_reason)}"


def _patch_lines(
    result: ReviewResult, shown: Sequence[Reviewed], patch: PatchRef, paint: Paint, brief: bool, verbose: bool
) -> Iterator[str]:
    own = [r for r in shown if r.patch == patch]
    contexts = [] if brief else [c for c in result.contexts if c.patch == patch.number]
    if not own and not contexts:
        return
    yield paint(f"[{patch.number}/{len(result.patches)}] {safe(patch.subject)}", "bold")
    for r in own:
        yield ""
        yield from _reviewed_lines(r, paint)
    yield from _context_lines(contexts, paint, verbose)


def _reviewed_lines(reviewed: Reviewed, paint: Paint) -> Iterator[str]:
    first, *rest = finding_lines(reviewed.finding, paint)
    mended = f" (mended by patch {reviewed.mended_by})" if reviewed.mended_by is not None else ""
    yield f"{reviewed.status}{mended}: {first}"
    if reviewed.cause is not None:
        yield from cause_lines(reviewed.cause)
    yield from rest


def cause_lines(cause: Cause) -> Iterator[str]:
    """The hunk that brings it, and why that one where the finding lies elsewhere."""
    if not cause.inside:
        yield f"  by this hunk of {safe(cause.file)}" + (f" ({safe(cause.why)}):" if cause.why else ":")
    yield f"  > {safe(cause.header)}"
    for line in quoted(cause.text):
        yield f"  > {safe(line.expandtabs())}".rstrip()


def quoted(lines: Sequence[str]) -> list[str]:
    """The lines of a hunk; of a long one the changes with a little around them, ``[ ... ]`` for what is left out."""
    if len(lines) <= QUOTED:
        return list(lines)
    near = {
        n + d for n, line in enumerate(lines) if line[:1] in ("+", "-") for d in range(-AROUND, AROUND + 1)
    }
    found: list[str] = []
    for n, line in enumerate(lines):
        if n in near and len(found) < 2 * QUOTED:
            found.append(line)
        elif not found or found[-1] != SNIP:
            found.append(SNIP)
    return found


SNIP = "[ ... ]"


def _context_lines(contexts: Sequence[ContextChange], paint: Paint, verbose: bool) -> list[str]:
    """Functions under other locks; those that change in the same way are told together."""
    told = [c for c in contexts if verbose or c.relied_on or c.before.serialiser != c.after.serialiser]
    rest = [c for c in contexts if c not in told and not c.minor]
    told += rest[: max(0, MAX_CONTEXTS - len(told))]
    groups: dict[tuple[str, ...], list[ContextChange]] = {}
    for c in told:
        groups.setdefault(c.changes, []).append(c)
    lines: list[str] = []
    for said, same in groups.items():
        names = ", ".join(f"{safe(c.function)} ({safe(c.file)})" for c in same)
        lines += ["", f"{paint('context:', 'cyan')} {names}", *(f"  {safe(one)}" for one in said)]
        lines += [f"  {safe(c.function)}: {under(c.before)} -> {under(c.after)}" for c in same[:1] if c.before != c.after]
        relied = dict.fromkeys((r.rule, r.object, r.file, r.line) for c in same for r in c.relied_on)
        lines += [f"  relied on it: {safe(object)} at {safe(file)}:{line} [{rule}]" for rule, object, file, line in relied]
    left = sum(not c.minor for c in contexts if c not in told)
    if left > 0:
        lines += ["", f"{plural(left, 'more function')} under other locks, on which nothing relied (-v shows them)"]
    return lines


def under(context: FunctionContext) -> str:
    """The locks that are always held, in a few words."""
    return "under " + (", ".join(f"{safe(h.lock)}{' (shared)' if h.mode == 'shared' else ''}" for h in context.must) or "no lock")


def verdict(result: ReviewResult, shown: Sequence[Reviewed], hidden: int, floor: str) -> str:
    """One line: what the series brings, what it mends, what it leaves."""
    counts = Counter(
        "mended within the series" if r.mended_by is not None else r.status
        for r in shown if r.finding.severity != "note" and r.status != "unchanged"
    )  # fmt: skip
    words = [
        f"{plural(counts['introduced'], 'hazard')} introduced" if counts["introduced"] else "no hazard introduced",
        *(f"{counts[s]} {s}" for s in ("fixed", "mended within the series") if counts[s]),
    ]
    notes = sum(r.finding.severity == "note" and r.status == "introduced" for r in shown)
    words += [f"{plural(notes, 'note')} introduced"] if notes else []
    functions = len({(c.file, c.function) for c in result.contexts if not c.minor})
    words += [f"{plural(functions, 'function')} under other locks"] if functions else []
    below = f" ({hidden} more below --min-confidence {floor})" if hidden else ""
    incomplete = f"; incomplete, {plural(len(result.skipped), 'file')} skipped" if result.skipped else ""
    return f"{', '.join(words)}{below}; {result.stats.seconds:.1f} s{incomplete}"
