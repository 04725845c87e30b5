"""What is said of a finding in a mail: a question, what was seen, and the way there with the locks held.

Line numbers are those of our tree, not of the reader's: functions, calls and locks say where something is.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from reviewer.checks.finding import CONFIDENCES, Finding, Step
from reviewer.report.plain import clip, plural, safe
from reviewer.review.result import ContextChange

WIDTH = 72
"""Columns of our own text."""

PATH_WIDTH = 78
"""Columns of a line of a call path, whose source text is cut there."""

MOST_STEPS = 12
TAIL = 5
"""Steps at the end of a long way that are shown in any case: there the hazard is."""

MOST_BULLETS = 10
MOST_NAMES = 5

QUESTIONS = {
    "callback-needs-reclaim": "Can this deadlock?",
    "callback-not-concurrent": "Is this still right when several callers get there?",
    "missing-freed-update": "Does the caller get to know what was done here?",
    "silent-trylock-failure": "Should the caller be told when the lock was not taken?",
    "sleep-in-atomic": "Can this sleep here?",
    "lock-imbalance": "Is the lock released on every path?",
    "self-deadlock": "Can this deadlock?",
    "lock-order-inversion": "Can this deadlock?",
    "wait-under-lock": "Can this deadlock?",
    "irq-unsafe-lock": "Can an interrupt come in here?",
    "reclaim-recursion": "Can this deadlock?",
    "teardown-order": "Can anybody still use it at this point?",
    "unguarded-access": "Is there anything that keeps two of these apart?",
    "unguarded-counter-reset": "Can a count get lost here?",
    "write-after-failed-lock": "Is the lock held here on every path?",
}
"""What to ask, by rule."""

ASK = "Is this safe?"
"""What to ask for a rule of the user's own."""

OPENINGS = {"high": "As far as this tool can see, ", "medium": "It looks as if ", "low": "It may be that "}

_COMMENT = re.compile(r"\s*/\*.*?(?:\*/|$)|\s*//.*")

_COMMANDS = re.compile(r"^(\s*(?:[\w-]+-by|fixes|closes|link|cc|pw-bot|base-commit|change-id))\s*:|^(\s*)#", re.IGNORECASE)
"""A line that tools take for a tag or for a command to a bot."""


def summary(findings: Sequence[Finding], what: str) -> list[str]:
    """The first sentence: how many, how sure. :param what: ``patch`` or ``series``."""
    count = Counter(f.confidence for f in findings)
    shares = [f"{count[c]} of {c}" for c in reversed(CONFIDENCES) if count[c]]
    sure = f"{findings[0].confidence if len(shares) == 1 else ', '.join(shares)} confidence"
    if len(findings) == 1:
        text = f"a concurrency hazard ({sure}). It is described below the line that causes it."
    else:
        text = f"{len(findings)} concurrency hazards ({sure}). They are described below the lines that cause them."
    return paragraph(f"This {what} seems to bring {text}")


def own_remark(finding: Finding) -> list[str]:
    """Of a finding whose place is the quoted line."""
    return [*paragraph(f"{_ask(finding)} {_seen(finding)}."), *_way([finding])]


def distant_remark(findings: Sequence[Finding]) -> list[str]:
    """Of findings whose places are elsewhere, and that come from the same quoted change: said once."""
    ordered = sorted(findings, key=_weight)
    first = ordered[0]
    if len(ordered) == 1:
        return [*paragraph(f"{_ask(first)} {_seen(first)}. That is in {_where(first)}."), *_way([first])]
    asked = list(dict.fromkeys(_ask(f) for f in ordered))[:2]
    lines = paragraph(f"{' '.join(asked)} {len(ordered)} places seem to rest on what changes here:")
    shared = Counter(tail for f in ordered if (tail := _tail(_said(f))))
    for finding in ordered[:MOST_BULLETS]:
        said = _said(finding)
        if shared[tail := _tail(said)] > 1:
            said = said[: -len(tail)].rstrip().removesuffix(";").removesuffix(", and")
        lines += ["", *paragraph(f"{_where(finding)}: {said} ({_tag(finding)})", "- ", "  ")]
    if len(ordered) > MOST_BULLETS:
        lines += ["", *paragraph(f"and {plural(len(ordered) - MOST_BULLETS, 'more place')}.", "- ", "  ")]
    for tail, count in shared.items():
        if count > 1:
            lines += ["", *paragraph(f"In {'all' if count == len(ordered) else count} of these, {tail}.")]
    return [*lines, *_way(ordered)]


def _tail(said: str) -> str:
    """The last clause of a sentence, which several findings may share; "" without one."""
    for mark in ("; ", ", and "):
        if mark in said:
            return said.rpartition(mark)[2]
    return ""


def _weight(finding: Finding) -> tuple[int, bool, str, int]:
    return -CONFIDENCES.index(finding.confidence), finding.severity != "error", finding.file, finding.line


def _ask(finding: Finding) -> str:
    return QUESTIONS.get(finding.rule, ASK)


def _said(finding: Finding) -> str:
    return safe(finding.message).rstrip(".")


def _seen(finding: Finding) -> str:
    return f"{OPENINGS[finding.confidence]}{_said(finding)} ({_tag(finding)})"


def _tag(finding: Finding) -> str:
    return f"{safe(finding.rule)}, {finding.confidence} confidence"


def _where(finding: Finding) -> str:
    return f"{name(finding.function)}() in {name(finding.file)}" if finding.function else name(finding.file)


def name(text: str) -> str:
    """A function or file within a sentence: letters that could pass for something else are not shown."""
    return re.sub(r"[^\w./+,@~-]", "?", safe(text))


def lock(text: str) -> str:
    """A lock class without the file of a static one."""
    return safe(re.sub(r"^[^ ]*[/.][^ /]*:", "", text))


# The way there


def _way(findings: Sequence[Finding]) -> list[str]:
    """The proof of the first that has one, indented, a step a line."""
    shown = next((f for f in findings if f.proof), None)
    if shown is None:
        return []
    said = f"The way to {name(shown.function)}():" if len(findings) > 1 and shown.function else "The way there:"
    return ["", said, "", *path_lines(shown)]


def path_lines(finding: Finding) -> Iterator[str]:
    """The steps, with the locks held where they change."""
    steps = _told(finding)
    wide = min(36, max(len(name(s.function)) for s in steps if isinstance(s, Step)))
    held: tuple[str, ...] = ()
    for number, s in enumerate(steps):
        if isinstance(s, str):
            yield f"  ({s})"
            continue
        if s.held != held and (number or s.held):
            yield from paragraph(_holding(held, s.held), "  - ", "    ")
        held = s.held
        text = clip(_COMMENT.sub("", safe(s.text)).strip(), max(20, PATH_WIDTH - wide - 4))
        yield f"  {clip(name(s.function), wide).ljust(wide)}  {text}".rstrip()


def _holding(before: Sequence[str], now: Sequence[str]) -> str:
    if not now:
        return "also:"
    more = [held for held in now if held not in before]
    grown = bool(before and more) and set(before) <= set(now)
    return f"{'and ' if grown else ''}holding {', '.join(dict.fromkeys(map(lock, more if grown else now)))}:"


STEPS_LEFT_OUT = "some steps are left out here"
WAYS_LEFT_OUT = "more ways are left out here"


def _told(finding: Finding) -> list[Step | str]:
    """The proof, shortened: what leads to the place, the first way on from there, and a word for what is left out."""
    proof = [s for n, s in enumerate(finding.proof) if _is_place(s, finding) or not _taken_by_next(finding.proof, n)]
    own = [n for n, s in enumerate(proof) if _is_place(s, finding)]
    first = own[0] if own else 0
    before: list[Step | str] = [*proof[:first]]
    after: list[Step | str] = [*proof[first : own[1] if len(own) > 1 else None]]
    if len(own) > 1:
        after.append(WAYS_LEFT_OUT)
    if len(before) + len(after) <= MOST_STEPS:
        return before + after
    if len(before) > 5:
        before = [STEPS_LEFT_OUT, *before[-3:]]
    if len(before) + len(after) > MOST_STEPS + 1:
        after = [*after[: MOST_STEPS - len(before) - TAIL], STEPS_LEFT_OUT, *after[-TAIL:]]
    return before + after


def _is_place(s: Step, finding: Finding) -> bool:
    return (s.file, s.line, s.function) == (finding.file, finding.line, finding.function)


def _taken_by_next(proof: Sequence[Step], n: int) -> bool:
    """Whether a step takes a lock under which the same function goes on: the locks of the next step say so."""
    return (
        proof[n].kind == "acquire" and n + 1 < len(proof) and proof[n + 1].function == proof[n].function
        and len(proof[n + 1].held) > len(proof[n].held)
    )  # fmt: skip


# What runs under other locks


def contexts_text(contexts: Sequence[ContextChange]) -> list[str]:
    """What runs under other locks than before and relied on the old ones; nothing where nothing did."""
    told = [c for c in contexts if c.relied_on]
    groups: dict[tuple[str | None, str | None], list[ContextChange]] = {}
    for c in told:
        groups.setdefault((c.before.serialiser, c.after.serialiser), []).append(c)
    lines: list[str] = []
    for (before, after), same in groups.items():
        functions = names(f"{name(c.function)}()" for c in same)
        relied = names(name(r.object) for c in same for r in c.relied_on)
        if before is not None and before != after:
            now = f"{lock(after)} does" if after is not None else "nothing that this tool knows of does"
            text = f"So far {lock(before)} kept two callers of {functions} apart; with this change {now}."
        else:
            text = f"With this change {functions} run under other locks: {safe('; '.join(same[0].changes))}."
        lines += ["", *paragraph(f"{text} What relied on that: {relied}.")]
    return lines


def names(found: Iterable[str]) -> str:
    """The first few of several names."""
    distinct = list(dict.fromkeys(found))
    more = len(distinct) - MOST_NAMES
    if more > 0:
        return f"{', '.join(distinct[:MOST_NAMES])} and {more} more"
    return distinct[0] if len(distinct) == 1 else f"{', '.join(distinct[:-1])} and {distinct[-1]}"


def paragraph(text: str, first: str = "", later: str = "") -> list[str]:
    """Lines of at most ``WIDTH`` columns, none of which a tool would take for a tag, a command or a quote."""
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )
    return [_harmless(line) for line in lines]


def _harmless(line: str) -> str:
    line = _COMMANDS.sub(lambda found: f"{found[1]} :" if found[1] else f"{found[2]}'#", line)
    return f" {line}" if line.startswith((">", "-- ", "---", "diff ", "@@")) else line

