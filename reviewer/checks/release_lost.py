"""A release that a patch takes away from a function's ways that fail, and from those alone, where the lock itself is not
followed: it is one of several, or of an object that a callee has returned with it. The other side tells that it is held there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from reviewer.checks.deferred import model_of
from reviewer.checks.focus import Focus
from reviewer.checks.lock_results import SUCCESS, returns_pointer
from reviewer.checks.own_locks import outcome
from reviewer.parse.facts import Call, Event, Expr, Name, Result
from reviewer.program.api.models import Kind
from reviewer.program.concurrency.balance import word_of
from reviewer.program.flow import lockflow
from reviewer.program.flow.lockflow import Ending, Flow, Observer, Seen, State
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import ALONE, lock_class
from reviewer.program.linked.structs import Frame

MAX_CALLERS = 12
"""Callers that are asked whether they release the lock instead."""


@dataclass(frozen=True, slots=True)
class Lost:
    """``lock``: its class; ``by``: what released it before; ``at``: where the function fails now."""

    lock: str
    by: str
    at: int


@dataclass(frozen=True, slots=True)
class Release:
    """A call that releases locks of a class, and takes none."""

    name: str
    lock: str
    kind: Kind
    word: str


class Passed(Observer):
    """Which of some calls a path has passed, and behind which call these come."""

    def __init__(self, names: frozenset[str], behind: str = "") -> None:
        self.names = names
        self.behind = behind

    def start(self) -> object:
        return frozenset[str]()

    def event(self, frame: Frame, event: Event, state: State, args: tuple[Expr, ...]) -> object:
        known: frozenset[str] = state.extra  # type: ignore[assignment]
        name = event.callee.id if isinstance(event, Call) and isinstance(event.callee, Name) else ""
        first = name == self.behind or not self.behind or self.behind in known
        return known | {name} if first and (name in self.names or name == self.behind) else known


def release_lost(focus: Focus, func: Func) -> Iterator[Lost]:
    """The releases that a function has lost on the ways on which it fails."""
    old = focus.before
    now = focus.flow(func) if old is not None and focus.edited(func) else None
    if old is None or now is None or now.capped:
        return
    for was in focus.flows_before(func):
        less, more = Counter(calls(was)), Counter(calls(now))
        gone = frozenset((less - more).keys() - more.keys())
        releases = list(released(old, was, gone)) if gone and not was.capped else []
        if len({r.lock for r in releases}) != 1:
            continue
        release = releases[0]
        if any(may_release(focus, now, s, release) for s in now.seen if is_new(focus, func, s, (more - less).keys())):
            continue
        watched = lockflow.run(was.frame, old.summaries, observer=Passed(frozenset({release.name})))
        failing = [e for e in watched.endings if release.name in passed(e)]
        whole = [e for e in watched.endings if succeeds(watched, e)]
        if not failing or not whole or any(e in failing for e in whole) or not all(fails(watched, e) for e in failing):
            continue
        ends = [e for e in now.endings if fails(now, e)]
        if ends and not released_by_caller(focus, func, release):
            said = {old.program.line_text(func.path, was.frame.func.line_of(e.at)) for e in failing}
            same = [e for e in ends if focus.program.line_text(func.path, func.line_of(e.at)) in said]
            yield Lost(release.lock, release.name, max(e.at for e in same or ends))


def calls(flow: Flow) -> Iterator[str]:
    """The names that a function calls, as often as they stand there."""
    for seen in flow.seen:
        if isinstance(seen.event, Call) and isinstance(seen.event.callee, Name):
            yield seen.event.callee.id


def released(focus: Focus, flow: Flow, names: frozenset[str]) -> Iterator[Release]:
    """Calls of these names that release locks, by the model or by what the callee does, and take none."""
    for seen in flow.seen:
        event = seen.event
        if not isinstance(event, Call) or not isinstance(event.callee, Name) or event.callee.id not in names or not seen.args:
            continue
        found = focus.summaries.outcomes(flow.frame, event, seen.callee or event.callee, seen.args[0], State())
        if any(o.takes for o in found):
            continue
        for lock in {d for o in found for d in o.drops}:
            name, kind = lock_class(flow.frame, lock), kind_of(focus, flow, seen)
            if name and kind is not None:
                yield Release(event.callee.id, name, kind, word_of(lock))


def kind_of(focus: Focus, flow: Flow, seen: Seen) -> Kind | None:
    """The kind of lock that a call releases, itself or one call below."""
    model = model_of(focus, seen)
    callee = seen.event.callee if isinstance(seen.event, Call) else None
    targets = focus.summaries.calls.named(callee.id, flow.frame.func.path) if isinstance(callee, Name) else ()
    names = [c for t in targets if t.func is not None for c in deep(focus, t.func, 2)]
    known = [model, *(focus.program.models.functions.get(c) for c in names)]
    kinds = [d.kind for m in known if m is not None for d in m.drops if d.kind not in ALONE]
    return kinds[0] if kinds else None


def deep(focus: Focus, func: Func, left: int) -> Iterator[str]:
    """The names that a function and those that it calls call."""
    yield from func.calls
    for name in func.calls if left else ():
        if name not in focus.program.models.functions:
            for target in focus.summaries.calls.named(name, func.path):
                if target.func is not None:
                    yield from deep(focus, target.func, left - 1)


def may_release(focus: Focus, flow: Flow, seen: Seen, release: Release) -> bool:
    """Whether a call may release such a lock, by its model or by the names in what it calls."""
    if not isinstance(seen.event, Call):
        return False
    model = model_of(focus, seen)
    if model is not None:
        return any(d.kind == release.kind for d in model.drops)
    return focus.releases.possible(flow.frame, seen.callee or seen.event.callee, release.kind, release.word)


def is_new(focus: Focus, func: Func, seen: Seen, names: Collection[str]) -> bool:
    """Whether a patch brings a call, or changes what is called."""
    callee = seen.event.callee if isinstance(seen.event, Call) else None
    if not isinstance(callee, Name):
        return False
    targets = focus.summaries.calls.named(callee.id, func.path)
    return callee.id in names or any(t.func is not None and focus.differs(t.func) for t in targets)


def releases_such(focus: Focus, flow: Flow, seen: Seen, release: Release) -> bool:
    """Whether a call releases a lock of that class on some of its ways, or is the very one."""
    event = seen.event
    if not isinstance(event, Call) or not seen.args:
        return False
    if event.callee == Name(release.name):
        return True
    found = focus.summaries.outcomes(flow.frame, event, seen.callee or event.callee, seen.args[0], State())
    return any(lock_class(flow.frame, d) == release.lock for o in found if not o.takes for d in o.drops)


def passed(ending: Ending) -> frozenset[str]:
    known: frozenset[str] = ending.state.extra  # type: ignore[assignment]
    return known


def succeeds(flow: Flow, ending: Ending) -> bool:
    """Whether a function says there that all went well: a pointer that it returns is no error, nor NULL."""
    told = outcome(flow.frame, ending)
    if returns_pointer(flow.frame.func):
        return told in ("nonzero", "nonnegative", "positive", "?") and not is_number(flow, ending)
    return told in SUCCESS or (told == "?" and not any(outcome(flow.frame, e) in SUCCESS for e in flow.endings))


def fails(flow: Flow, ending: Ending) -> bool:
    """Whether it says that it has failed."""
    told = outcome(flow.frame, ending)
    if returns_pointer(flow.frame.func):
        return told in ("zero", "negative") or is_number(flow, ending)
    return told in ("negative", "nonzero", "positive")


def is_number(flow: Flow, ending: Ending) -> bool:
    """Whether what is returned as a pointer is a number (``ERR_PTR(err)``)."""
    given = flow.frame.type_of(ending.value) if ending.value is not None else None
    return given is not None and not given.pointer and not given.array


def released_by_caller(focus: Focus, func: Func, release: Release) -> bool:
    """Whether a caller releases the lock, or may do so, where the function has failed, or is not the one that it was."""
    for caller in focus.lives.callers(func)[:MAX_CALLERS]:
        flow = focus.flow(caller)
        if focus.differs(caller) or flow is None:
            return True
        names = frozenset(
            s.event.callee.id for s in flow.seen
            if isinstance(s.event, Call) and isinstance(s.event.callee, Name) and releases_such(focus, flow, s, release)
        )  # fmt: skip
        watched = lockflow.run(flow.frame, focus.summaries, observer=Passed(names, func.name)) if names else None
        numbers = [s.event.number for s in flow.seen if isinstance(s.event, Call) and s.event.callee == Name(func.name)]
        for ending in watched.endings if watched is not None else ():
            if passed(ending) & names and any(has_failed(func, ending.state, n) for n in numbers):
                return True
    return False


def has_failed(func: Func, state: State, number: int) -> bool:
    """Whether a call of a function has failed on a path."""
    known = state.known.get(f"r{number}")
    if returns_pointer(func):
        return values.is_error(known) or state.truths.get(Result(number)) is False
    return bool(state.truths.get(Result(number))) or values.is_error(known)
