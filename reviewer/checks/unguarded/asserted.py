"""unguarded-access, of functions that say which lock their callers hold: who calls one, and cannot hold it.

By an assertion, an annotation, or the comment of the function (:mod:`reviewer.program.graph.said`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewer.checks.finding import Confidence, Finding, Step
from reviewer.checks.lock_questions import plain_argument
from reviewer.checks.proof import entry_step, place, step
from reviewer.checks.unguarded.guarding import RULE, Side, is_there
from reviewer.checks.unguarded.outside import free_entries
from reviewer.parse.facts import AddressOf, Call, Const, Name
from reviewer.program.api.models import Kind
from reviewer.program.concurrency.balance import word_of
from reviewer.program.concurrency.entries import Entry
from reviewer.program.concurrency.guards import first, once
from reviewer.program.flow.lockflow import Seen
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import ALONE, Hold, lock_class

KINDS: tuple[Kind, ...] = ("mutex", "rwsem", "spin", "raw_spin", "rwlock")
"""Of the locks that a function may return with which an assertion names, or a comment."""

LOCK = re.compile(r"spinlock|mutex|rwlock|semaphore")
"""The types of locks."""

PART = re.compile(r"^\*?struct (?:\w+_)?(?:mutex|spinlock|rwlock|semaphore)\.")
"""A part of a lock, which does not tell whose lock it is (``lockdep_assert_held(&dev->mutex.base)``)."""


def asserted(side: Side) -> Iterator[Finding]:
    for func in asserting(side):
        named = (lock for lock in side.guards.wanted(func) if not PART.search(lock))
        wanted = sorted(lock for lock in named if is_there(side, lock, func.path))
        if not wanted or side.guards.takes(func).issuperset(wanted):
            continue  # it asserts what it has taken itself
        for caller in side.guards.lives.callers(func):
            if first(caller):
                continue
            for seen in side.guards.calls(caller, func.name):
                for lock in wanted if not none_passed(side, func, seen) else ():
                    if has(side, caller, seen, lock) or lock in side.guards.around(caller) or perhaps_above(side, caller, lock):
                        continue
                    why = bare(side, caller, seen, lock)
                    if why is not None:
                        sure: Confidence = "low" if said_of_old(side, func, lock, caller, seen) else "medium"
                        yield unheld(side, caller, seen.event.at, func, lock, (why,), sure, "")


def said_of_old(side: Side, func: Func, lock: str, caller: Func, seen: Seen) -> bool:
    """Whether, in code that has run, only a comment asks for the lock, and the caller has another: what guards the object may
    have been changed, and the comment forgotten."""
    checked = any(h.name == lock for h in side.focus.analysis.contexts.asserted(func))
    other = any(h.kind not in ALONE for h in seen.may()) or bool(side.guards.around(caller))
    return side.focus.other is None and not checked and other


def has(side: Side, caller: Func, seen: Seen, lock: str) -> bool:
    """Whether a caller has a lock at a call, or may have it: by another name, by a pointer to it, or because it hands the lock
    to somebody else (``table = find_locked(net, name, &table_mutex)``)."""
    if any(h.name == lock or misnamed(side, h, lock, caller) for h in seen.may()) or (lock.startswith("*") and seen.may()):
        return True
    frame, models = side.program.frame(caller), side.program.models.functions
    flow = side.focus.flow(caller)
    return any(
        lock_class(frame, arg.base) == lock
        for s in (flow.seen if flow is not None else ()) if isinstance(s.event, Call) and isinstance(s.event.callee, Name)
        and s.event.callee.id not in models for args in s.args for arg in args if isinstance(arg, AddressOf)
    )  # fmt: skip


def misnamed(side: Side, hold: Hold, lock: str, func: Func) -> bool:
    """Whether a hold of which the struct has no such member is that lock: the type of what lies behind an object, and is found by
    counting on from there, was not known (``cmd = rq_to_pdu(rq)``)."""
    return hold.name.rpartition(".")[2] == lock.rpartition(".")[2] and not is_there(side, hold.name, func.path)


def asserting(side: Side) -> list[Func]:
    """The functions in question and, where somebody has asked for files by name, what those call that asks for a lock."""
    focus, names, said = side.focus, side.focus.summaries.names, side.guards.said
    mine = (f for f in focus.functions if f.path in focus.about)
    called = (c for f in mine for c in side.guards.lives.callees(f) if c.macro is None and (names.asserts(c) or said.words(c)))
    return list({f.key: f for f in (*focus.functions, *called)}.values())


def bare(side: Side, caller: Func, seen: Seen, lock: str) -> Step | None:
    """What shows that a caller has not the lock: that it calls what takes it, or what starts the caller."""
    taker = next(takers(side, caller, lock), None)
    if taker is not None:
        return None if perhaps_taken(side, caller, taker[1]) else step(side.focus.analysis, "acquire", taker[0], taker[1].at)
    entry = started(side, caller, lock)
    word = lock.rpartition(":")[2].rpartition(".")[2]
    if entry is not None and any(possibly_taken(side, caller, kind, word, seen.event.at) for kind in KINDS):
        return None
    return entry_step(side.focus.analysis, entry) if entry is not None else None


def started(side: Side, func: Func, lock: str) -> Entry | None:
    """What starts a function that nobody calls, if it certainly does so without the lock: by itself, under locks that are known,
    or from a part of the kernel that has no way to the lock. In a table may be what runs before others know of an object."""
    entries = free_entries(side, func, lock)
    if not entries or side.guards.lives.callers(func):
        return None
    tables = [e for e in entries if e.how.startswith("struct ")]
    if tables and once(func):
        return None
    return (tables or entries)[0]


def unheld(
    side: Side, caller: Func, at: int, callee: Func, lock: str, more: tuple[Step, ...], confidence: Confidence, since: str
) -> Finding:  # fmt: skip
    """A call without a lock that the callee wants."""
    analysis = side.focus.analysis
    file, line, column, function = place(caller, at)
    said = (*analysis.contexts.asserted(callee), *analysis.contexts.asserted_of_some(callee))
    wanted = next((h.at for h in said if h.name == lock), 0)
    return Finding(
        rule=RULE, severity="error", confidence=confidence, file=file, line=line, column=column, function=function,
        message=f"{callee.name}() wants {lock} held, which {caller.name}() does not hold{since}",
        involves=(lock,), event=side.program.line_text(file, line),
        proof=(step(analysis, "call", caller, at), step(analysis, "access", callee, wanted), *more),
    )  # fmt: skip


def perhaps_taken(side: Side, caller: Func, hold: Hold) -> bool:
    """Whether a call may return with the lock, by the names in it, too deep for a summary."""
    return possibly_taken(side, caller, hold.kind, word_of(hold.lock))


def possibly_taken(side: Side, caller: Func, kind: Kind, word: str, until: int | None = None) -> bool:
    """The same of a lock by its name, and of the calls that stand before a position."""
    flow = side.focus.flow(caller)
    return flow is not None and any(
        isinstance(s.event, Call) and (until is None or s.event.at < until)
        and side.focus.releases.possible(flow.frame, s.callee or s.event.callee, kind, word, "takes")
        for s in flow.seen
    )


def none_passed(side: Side, func: Func, seen: Seen) -> bool:
    """Whether a call passes NULL for a pointer to a lock: it says that there is nobody to keep out."""
    return any(
        arg == Const(0) and given.type.pointer == 1 and LOCK.search(given.type.name) is not None
        for args in seen.args for arg, given in zip(args, func.parameters, strict=False)
    )  # fmt: skip


def perhaps_above(side: Side, func: Func, lock: str) -> bool:
    """Whether a caller of a function has the lock on some way to it: what says so may well decide here, too."""
    calls = (s for c in side.guards.lives.callers(func) for s in side.guards.calls(c, func.name))
    return any(h.name == lock for s in calls for h in s.may())


def takers(side: Side, caller: Func, lock: str) -> Iterator[tuple[Func, Hold]]:
    """Other functions that the caller calls, without the lock, and that take it: so nobody above the caller holds it."""
    for callee in side.guards.lives.callees(caller):
        if callee.macro is None and lock in side.guards.takes(callee) and lock not in side.guards.around(callee):
            yield from (
                (callee, hold) for hold in side.taken_in(callee) if hold.name == lock and not by_argument(side, callee, hold)
            )


def by_argument(side: Side, func: Func, hold: Hold) -> bool:
    """Whether an argument, no pointer, says that a lock is to be taken: whoever has it already says that it is not."""
    frame = side.program.frame(func)
    asked = (g.condition for g in side.focus.ways.guards(func, hold.at) if plain_argument(g.condition))
    types = (frame.type_of(e) for condition in asked for e in values.walk(condition) if isinstance(e, Name))
    return any(t is not None and not t.pointer for t in types)
