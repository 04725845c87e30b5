"""unguarded-counter-reset: a shared counter is set to a constant while others, or a second caller, count on it.

Two shapes. A callback resets (or tests and then sets) what its own helpers count, with no lock of its own: two callers
undo each other's count. Or somebody else resets what the callback changes, with no lock in common. A flag that is only
ever stored is not a counter: without a change that depends on the old value nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.analysis import Analysis, Callback
from reviewer.checks.finding import Confidence, Finding, Severity
from reviewer.checks.proof import (
    access_step,
    entry_steps,
    inside,
    place,
    replace_line,
    takers_text,
    visit_steps,
)
from reviewer.checks.registry import check
from reviewer.parse.facts import Const
from reviewer.program.shared import CHANGES, COUNTS, Access, Closure, short

RULE = "unguarded-counter-reset"


@check(RULE)
def unguarded_counter_reset(analysis: Analysis) -> Iterator[Finding]:
    for callback in analysis.callbacks:
        closure = analysis.shared.closure(callback.func)
        for name in dict.fromkeys(a.object for a in closure.accesses if a.object):
            yield from in_callback(analysis, callback, closure, name)
            yield from elsewhere(analysis, callback, closure, name)


def in_callback(analysis: Analysis, callback: Callback, closure: Closure, name: str) -> Iterator[Finding]:
    """The callback itself resets what it, its helpers or others count."""
    later = {v.func.key for v in closure.visits if v.later}
    unit = set(analysis.program.unit(callback.func.path))
    mine = [a for a in closure.accesses if a.object == name]
    now = [a for a in mine if a.func.key not in later and a.func.path in unit]
    if any(a.op == "test_set" for a in now):
        return  # an atomic gate on the very object: only one caller gets past it
    resets = [a for a in now if a.op == "set" and isinstance(a.value, Const)]
    if not resets:
        return
    everywhere = mine + analysis.shared.elsewhere(name, callback.func.path)
    counts = distinct(a for a in everywhere if a.op in COUNTS)
    for reset in resets[:1]:
        tested = [a for a in now if a.op == "read" and a.func.key == reset.func.key and a.block != reset.block]
        if not counts and not (tested and len(resets) > 1):
            continue
        if any(reset.guards() & a.guards() for a in now if a is not reset and a.op in CHANGES) or (
            reset.guards() and not counts
        ):
            continue
        if reset.guards() and all(reset.guards() & a.guards() for a in counts):
            continue
        yield report(analysis, callback, closure, reset, counts or tested)


def report(
    analysis: Analysis, callback: Callback, closure: Closure, reset: Access, counts: list[Access]
) -> Finding:
    serialiser = callback.serialiser
    word = reset.word
    others = ", ".join(dict.fromkeys(a.func.name for a in counts if a.func.key != reset.func.key))
    value = reset.value.value if isinstance(reset.value, Const) else 0
    text = f"{word} is set to {value} with no lock of its own"
    text += f" while {others} count on it" if others else " between two callers that both count on it"
    severity: Severity
    if serialiser is not None:
        severity = "note"
        text += (
            f": two callers would undo each other's count; only {short(serialiser.name)}, held by"
            f" {takers_text(analysis, callback)}, keeps them apart"
        )
    else:
        severity = "error"
        text += ": two callers of the chain undo each other's count"
    outer = inside(callback)
    visit = next((v for v in closure.visits if v.func.key == reset.func.key), None)
    steps = entry_steps(analysis, callback)
    if visit is not None:
        steps += visit_steps(analysis, visit, outer)
    steps.append(access_step(analysis, reset, outer))
    steps += [access_step(analysis, a) for a in counts[:6] if a.func.key != reset.func.key or a.at != reset.at]
    file, line, column, function = place(reset.func, reset.at)
    involved = {word} | ({short(serialiser.name)} if serialiser is not None else set())
    return Finding(
        rule=RULE, severity=severity, confidence="high" if reset.func.key == callback.func.key else "medium",
        file=file, line=line, column=column, function=function, message=text, involves=tuple(sorted(involved)),
        proof=tuple(steps), event=analysis.program.line_text(file, line), fix=fix(analysis, reset, value),
    )  # fmt: skip


def fix(analysis: Analysis, reset: Access, value: int) -> str | None:
    """``atomic_set(&c, 1)`` to ``atomic_inc(&c)``: the count of this caller is added, not stored over the others'."""
    if value != 1 or not reset.atomic:
        return None
    line = analysis.program.line_text(reset.func.path, reset.line)
    for prefix in ("atomic_long", "atomic64", "atomic", "refcount"):
        start = line.find(f"{prefix}_set(")
        if start >= 0:
            end = line.find(",", start)
            close = line.find(")", end)
            if end < 0 or close < 0:
                return None
            old = line[start : close + 1]
            argument = line[start + len(prefix) + 5 : end]
            return replace_line(analysis, reset.func.path, reset.line, old, f"{prefix}_inc({argument})")
    return None


def elsewhere(analysis: Analysis, callback: Callback, closure: Closure, name: str) -> Iterator[Finding]:
    """Somebody else resets what the callback changes, with no lock in common."""
    if not is_variable(name) or not analysis.shared.exists(name, callback.func.path):
        return
    unit = set(analysis.program.unit(callback.func.path))
    changes = [a for a in closure.accesses if a.object == name and a.op in CHANGES and a.func.path in unit]
    if not changes or not is_number(analysis, changes[0]):
        return
    inside_ = {v.func.key for v in closure.visits}
    others = analysis.shared.elsewhere(name, callback.func.path)
    counts = distinct(a for a in [*changes, *others] if a.op in COUNTS and not a.atomic)
    if not counts:
        return
    for reset in others:
        if reset.func.key in inside_ or reset.op != "set" or not isinstance(reset.value, Const):
            continue
        full = reset.guards() | {h.name for h in analysis.contexts.of(reset.func).must if h.mode == "exclusive"}
        theirs = {callback.serialiser.name} if callback.serialiser is not None else set()
        if any(full & (a.guards() | theirs) for a in changes):
            continue
        if full and all(full & a.guards() for a in counts):
            continue
        file, line, column, function = place(reset.func, reset.at)
        change = changes[0]
        confidence: Confidence = "high" if change in counts else "medium"
        yield Finding(
            rule=RULE, severity="warning", confidence=confidence, file=file, line=line, column=column,
            function=function,
            message=f"{reset.word} is set to {reset.value.value} with no lock while {change.func.name}, below the"
            f" {callback.chain.short} callback, changes it, and a change can be lost",
            involves=(reset.word,),
            proof=(access_step(analysis, reset), *[access_step(analysis, a) for a in distinct([*changes, *counts])[:4]]),
            event=analysis.program.line_text(file, line),
        )  # fmt: skip


def is_variable(name: str) -> bool:
    """A variable rather than a field: the same instance for sure."""
    return not name.startswith(("struct ", "union ", "*"))


def is_number(analysis: Analysis, access: Access) -> bool:
    """Whether the object holds a number: a pointer, a list or a lock is no counter."""
    frame = analysis.program.frame(access.func)
    type_ = frame.type_of(access.path)
    if type_ is None:
        return True
    if type_.pointer or type_.array:
        return False
    return access.atomic or not type_.name.startswith(("struct ", "union "))


def distinct(accesses: Iterator[Access] | list[Access]) -> list[Access]:
    """Each place once."""
    return list({(a.func.key, a.at): a for a in accesses}.values())
