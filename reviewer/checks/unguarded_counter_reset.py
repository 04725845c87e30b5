"""unguarded-counter-reset: a shared counter is set to a constant while others, or a second caller, count on it.

Three shapes. A callback resets what its own helpers or others count, and no lock, gate or wait of its own keeps the count
and the reset apart. A callback looks at a flag and then sets it, in two steps. Somebody else resets what the callback
changes, with no lock in common. A value that is only ever stored is no counter: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.analysis import Analysis, Callback
from reviewer.checks.finding import Confidence, Finding, Severity, Step
from reviewer.checks.proof import (
    access_step,
    entry_steps,
    inside,
    perhaps_alone,
    place,
    replace_line,
    takers_text,
    way_steps,
)
from reviewer.checks.registry import check
from reviewer.parse import facts
from reviewer.parse.facts import Cast, Const, Expr, Member, Name
from reviewer.program.concurrency.shared import CHANGES, COUNTS, Access, Closure, distinct, exclusive
from reviewer.program.concurrency.waiting import Wait, comes_after, waits, way_to
from reviewer.program.flow import lockflow
from reviewer.program.flow.lockflow import Observer, State
from reviewer.program.flow.objects import objects_read, short
from reviewer.program.linked.structs import Frame

RULE = "unguarded-counter-reset"

NUMBERS = frozenset({"atomic_t", "atomic_long_t", "atomic64_t", "refcount_t", "struct kref"})
"""Types that are structs and hold a number all the same (include/linux/types.h, refcount.h, kref.h)."""


@check(RULE)
def unguarded_counter_reset(analysis: Analysis) -> Iterator[Finding]:
    for callback in analysis.callbacks:
        if callback.alone:
            continue
        closure = analysis.shared.closure(callback.func)
        for name in dict.fromkeys(a.object for a in closure.accesses if a.object and a.op in CHANGES):
            mine = [a for a in closure.accesses if a.object == name and a.op in CHANGES]
            if not is_number(analysis, mine[0]) or not analysis.shared.exists(name, callback.func.path):
                continue
            found = list(in_callback(analysis, callback, closure, mine))
            yield from found
            if not found:
                yield from elsewhere(analysis, callback, closure, mine)


# --- the callback resets --------------------------------------------------------------------------


def in_callback(
    analysis: Analysis, callback: Callback, closure: Closure, mine: list[Access]
) -> Iterator[Finding]:
    """The callback itself resets what it, its helpers or others count."""
    now = [a for a in mine if not a.later and analysis.shared.single(a)]
    mine = [a for a in mine if a.later or analysis.shared.single(a)]
    resets = [a for a in now if is_reset(a, mine)]
    if not resets:
        return
    counts = distinct(a for a in [*mine, *others(analysis, callback, mine[0])] if a.op in COUNTS and not a.bit)
    found = waits(analysis.shared, closure) if counts else []
    serialiser = frozenset({callback.serialiser.name}) if callback.serialiser is not None else frozenset()
    own = frozenset(mine)
    for reset in resets:
        if reset.bit or any(reset.guards() & a.guards() for a in counts if a is not reset):
            continue  # guarded by what guards the count elsewhere: whoever counts without it is to blame
        loose = [c for c in counts if not apart(analysis, reset, c, own, found, frozenset())]
        if loose:
            today = bool(serialiser) and all(apart(analysis, reset, c, own, found, serialiser) for c in loose)
            yield report(analysis, callback, reset, loose, counts, today)
            return
    for reset in resets:
        if opens_and_closes(analysis, resets, reset):
            yield report(analysis, callback, reset, [], [r for r in resets if r is not reset], bool(serialiser))
            return


def is_reset(access: Access, mine: list[Access]) -> bool:
    """A store of a constant; of an atomic that somebody counts down to zero, any store that does not look at it."""
    if access.op == "clear":
        return bool(access.bit)
    if access.op != "set":
        return False
    return isinstance(access.value, Const) or (access.atomic and any(a.tests and a.op in COUNTS for a in mine))


def apart(
    analysis: Analysis, reset: Access, count: Access, own: frozenset[Access], found: list[Wait], more: frozenset[str]
) -> bool:
    """Whether something keeps this count and the reset by another caller apart.

    :param own: the accesses of the callback itself. :param more: locks that all callers of the callback hold.
    """
    guards = reset.guards() | more
    inner = count in own
    theirs = count.guards()
    if inner and not count.later:
        theirs |= more
    elif not inner:
        theirs |= exclusive(analysis.contexts.of(count.func).must)
    if guards & theirs:
        return True
    if not guards:
        return False
    if not inner:
        return not known_callers(analysis, count)
    if analysis.shared.checked(reset):
        return True  # looked at under the same guards: what was queued before has run
    here = way_to(reset.way, reset.func, reset.at)
    return any(
        guards & (wait.guards() | more)
        and (not wait.objects or any(name == reset.object for name, _ in wait.objects))
        and comes_after(analysis.shared, way_to(wait.visit.path, wait.visit.func, wait.at), here)
        for wait in found
    )


def others(analysis: Analysis, callback: Callback, access: Access) -> list[Access]:
    """Changes of the object outside the callback's own run; of a field, those that may be of the same instance."""
    found = analysis.shared.elsewhere(access.object, callback.func.path)
    if analysis.shared.variable(access):
        return [a for a in found if a.path == access.path]
    return found if registered(access.path) else []


def registered(path: Expr) -> bool:
    """Whether the path is a field of the very object that holds the callback's block: each such object is registered."""
    while isinstance(path, Member):
        if path.arrow:
            base = path.base
            return isinstance(base, Cast) and base.operand == Name("%0")
        path = path.base
    return False


def known_callers(analysis: Analysis, access: Access) -> bool:
    """Whether the locks around the access are all known: it holds one itself, or its callers are in sight."""
    return bool(access.guards()) or not analysis.contexts.of(access.func).partial


def report(
    analysis: Analysis, callback: Callback, reset: Access, loose: list[Access], shown: list[Access], today: bool
) -> Finding:
    """:param today: whether the lock of the chain's callers prevents it today."""
    word = reset.word if not reset.bit else f"bit {reset.bit} of {reset.word}"
    value = reset.value.value if isinstance(reset.value, Const) else None
    lock = ", ".join(short(g) for g in sorted(reset.guards()))
    text = f"{word} is set to {value if value is not None else 'a new value'} "
    text += f"under {lock} only" if lock else "with no lock of its own"
    names = ", ".join(dict.fromkeys(a.func.name for a in loose if a.func.key != reset.func.key))
    if not loose:
        text += " after it was looked at"
        what = "two callers that look at the same time both go on"
    else:
        text += f" while {names} count on it" if names else " between two callers that both count on it"
        what = "two callers would undo each other's count"
    severity: Severity = "note" if today else "error"
    involved = {reset.word}
    if today:
        assert callback.serialiser is not None
        text += f": {what}; only {short(callback.serialiser.name)}, held by {takers_text(analysis, callback)}, keeps them apart"
        involved.add(short(callback.serialiser.name))
    else:
        text += f": {what}" if not loose else ": a count is lost or undone"
    outer = inside(callback)
    steps: list[Step] = entry_steps(analysis, callback)
    steps += way_steps(analysis, reset.way, outer)
    steps.append(access_step(analysis, reset, outer))
    seen = {(reset.func.key, reset.at)}
    for a in [*loose, *shown]:
        if (a.func.key, a.at) not in seen and len(seen) < 7:
            seen.add((a.func.key, a.at))
            steps.append(access_step(analysis, a))
    file, line, column, function = place(reset.func, reset.at)
    return Finding(
        rule=RULE, severity=severity, confidence=confidence(analysis, callback, reset, loose),
        file=file, line=line, column=column, function=function, message=text, involves=tuple(sorted(involved)),
        proof=tuple(steps), event=analysis.program.line_text(file, line), fix=fix(analysis, reset, value),
        prevented_by=short(callback.serialiser.name) if today and callback.serialiser is not None else "",
    )  # fmt: skip


def confidence(analysis: Analysis, callback: Callback, reset: Access, loose: list[Access]) -> Confidence:
    if reset.guards():
        return "low"  # another lock may guard the count, or several do
    if all(a.way or a.func.key == callback.func.key for a in loose) and perhaps_alone(analysis, callback):
        return "low"  # only a second caller is in question
    return "high" if reset.func.key == callback.func.key else "medium"


def fix(analysis: Analysis, reset: Access, value: int | None) -> str | None:
    """``atomic_set(&c, 1)`` to ``atomic_inc(&c)``: the count of this caller is added, not stored over the others'."""
    if value != 1 or not reset.atomic or reset.bit:
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


# --- looked at, then set --------------------------------------------------------------------------


class Flag(Observer):
    """Follows one flag: looked at and set to one constant, then, on the same path, to another."""

    def __init__(self, closing: Access, setting: Access) -> None:
        self.name = (setting.object, setting.bit)
        self.setting = setting.at
        self.closing = closing.at
        self.seen = False

    def start(self) -> object:
        return False

    def event(self, frame: Frame, event: facts.Event, state: State, args: tuple[Expr, ...]) -> object:
        if event.at == self.setting and any(self.name in objects_read(frame, c) for c in state.truths):
            return True
        if event.at == self.closing and state.extra:
            self.seen = True
        return state.extra


def opens_and_closes(analysis: Analysis, resets: list[Access], reset: Access) -> bool:
    """Whether the flag is looked at, set here, and set back further down: a gate in two steps."""
    for other in resets:
        same = other.func.key == reset.func.key and other.bit == reset.bit
        if same and other.value != reset.value and not reset.guards():
            flag = Flag(other, reset)
            lockflow.run(analysis.program.frame(reset.func), analysis.summaries, observer=flag)
            if flag.seen:
                return True
    return False


# --- somebody else resets -------------------------------------------------------------------------


def elsewhere(analysis: Analysis, callback: Callback, closure: Closure, mine: list[Access]) -> Iterator[Finding]:
    """Somebody else resets what the callback changes, with no lock in common."""
    changes = [a for a in mine if analysis.shared.variable(a)]
    if not changes:
        return
    inside_ = {v.func.key for v in closure.visits}
    found = [a for a in others(analysis, callback, mine[0]) if analysis.shared.variable(a) and a.path == changes[0].path]
    counts = distinct(a for a in [*changes, *found] if a.op in COUNTS and not a.atomic)
    if not counts:
        return
    theirs = frozenset({callback.serialiser.name}) if callback.serialiser is not None else frozenset()
    for reset in found:
        if reset.func.key in inside_ or reset.op != "set" or not isinstance(reset.value, Const):
            continue
        full = reset.guards() | exclusive(analysis.contexts.of(reset.func).must)
        if all(a.guards() for a in changes) and not known_callers(analysis, reset):
            continue
        if any(full & (a.guards() | theirs) for a in changes):
            continue
        if full and all(full & a.guards() for a in counts):
            continue
        file, line, column, function = place(reset.func, reset.at)
        change = next((a for a in changes if a in counts), changes[0])
        how_sure: Confidence = "high" if change in counts else "medium"
        if any(h.kind == "irq" for h in reset.held):
            how_sure = "low"  # on a machine with one CPU that is all it takes
        yield Finding(
            rule=RULE, severity="warning", confidence=how_sure, file=file, line=line, column=column,
            function=function,
            message=f"{reset.word} is set to {reset.value.value} with no lock in common with {change.func.name}, which"
            f" changes it below the {callback.chain.short} callback: a change can be lost",
            involves=(reset.word,),
            proof=(access_step(analysis, reset), *[access_step(analysis, a) for a in distinct([*changes, *counts])[:4]]),
            event=analysis.program.line_text(file, line),
        )  # fmt: skip


# --- what is a counter ----------------------------------------------------------------------------


def is_number(analysis: Analysis, access: Access) -> bool:
    """Whether the object holds a number: a pointer, a list, a lock or a string is no counter."""
    frame = analysis.program.frame(access.func if not access.way else access.way[0][0])
    type_ = frame.type_of(access.path)
    if type_ is None or access.bit:
        return True
    if type_.pointer or type_.array:
        return False
    return type_.name in NUMBERS or access.atomic or not frame.resolve(type_).name.startswith(("struct ", "union "))
