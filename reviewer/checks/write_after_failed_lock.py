"""write-after-failed-lock: guarded state is written on the path where the killable or try variant failed.

The object counts as guarded when every other change of it that we see is made under the very lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reviewer.checks.analysis import Analysis
from reviewer.checks.finding import Finding
from reviewer.checks.proof import access_step, place, step
from reviewer.checks.registry import check
from reviewer.parse import facts
from reviewer.parse.facts import Call, Expr, Member, Name, Write
from reviewer.program.concurrency.shared import CHANGES, Access, distinct, exclusive
from reviewer.program.flow import lockflow
from reviewer.program.flow.lockflow import Observer, Outcome, State
from reviewer.program.flow.objects import object_name, rooted, short
from reviewer.program.flow.summaries import accesses
from reviewer.program.flow.summaries import place as place_of
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame

RULE = "write-after-failed-lock"


@dataclass(frozen=True, slots=True)
class Bad:
    """A change made without the lock that was asked for: of ``name``, at ``at``, or by a callee there."""

    name: str
    lock: str
    tried: int
    at: int
    held: frozenset[str]
    source: tuple[str, int]


class Watch(Observer):
    """Collects changes made while a lock that was asked for is not held."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.found: dict[tuple[str, str, int], Bad] = {}

    def start(self) -> object:
        return ()

    def event(self, frame: Frame, event: facts.Event, state: State, args: tuple[Expr, ...]) -> object:
        failed = state.extra
        assert isinstance(failed, tuple)
        held = exclusive(state.locks)
        for lock, tried, owner in failed:
            if lock not in held:
                for name, source, inner, changed in self.changes(frame, event, args):
                    other = owner is not None and changed is not None and owner != changed
                    if lock not in inner and not other:
                        bad = Bad(name, lock, tried, event.at, held | inner, source)
                        self.found.setdefault((name, lock, event.at), bad)
        return failed

    def changes(
        self, frame: Frame, event: facts.Event, args: tuple[Expr, ...]
    ) -> Iterator[tuple[str, tuple[str, int], frozenset[str], Expr | None]]:
        """Objects that the event changes, not atomically: name, place, the locks that a callee takes for it, and the
        instance that it is a part of."""
        here = (frame.func.key, event.at)
        if isinstance(event, Write):
            name = object_name(frame, rooted(frame, args[0]))
            if name and not event.declares:
                yield name, here, frozenset(), owner_of(args[0])
        elif isinstance(event, Call) and isinstance(event.callee, Name):
            for target in self.analysis.summaries.calls.named(event.callee.id, frame.func.path):
                if target.model is not None:
                    for access, path in accesses(target.model, args):
                        name = object_name(frame, rooted(frame, path))
                        if access.op in CHANGES and not access.atomic and name:
                            yield name, here, frozenset(), owner_of(path)
                elif target.func is not None and target.func.path == frame.func.path:
                    for a in self.analysis.shared.of(target.func):
                        if a.op in CHANGES and not a.atomic and a.object:
                            path = values.substitute(a.path, args, target.func.name)
                            yield a.object, (a.func.key, a.at), a.guards(), owner_of(path)

    def outcome(self, frame: Frame, call: Call, outcome: Outcome, state: State) -> object:
        failed = state.extra
        assert isinstance(failed, tuple)
        taken = {h.name for h in outcome.takes}
        failed = tuple(f for f in failed if f[0] not in taken)
        if outcome.failed and outcome.failed != "?":
            tried = (outcome.failed, call.at, self.asked(frame, call, state))
            return (*[f for f in failed if f[0] != outcome.failed], tried)[-4:]
        return failed

    def asked(self, frame: Frame, call: Call, state: State) -> Expr | None:
        """The instance whose lock a modelled call has asked for."""
        model = self.analysis.program.model(call.callee.id) if isinstance(call.callee, Name) else None
        if model is None or not model.takes:
            return None
        lock = place_of(model.takes[0].lock, tuple(frame.canonical(a, state.known) for a in call.args))
        return owner_of(lock) if lock is not None else None


@check(RULE, callers=False)
def write_after_failed_lock(analysis: Analysis) -> Iterator[Finding]:
    for func in analysis.functions_nearby():
        if any(fallible(analysis, c, func.path) for c in func.calls):
            yield from in_function(analysis, func)


def owner_of(path: Expr) -> Expr | None:
    """The struct instance that a field belongs to, as it is reached; None for what is no field."""
    return path.base if isinstance(path, Member) else None


def fallible(analysis: Analysis, callee: str, path: str, wrapped: bool = False) -> bool:
    """Whether a callee may come back without the lock it was called for: by the models, or as a wrapper in the file."""
    model = analysis.program.models.functions.get(callee)
    if model is not None:
        return any(t.taken != "lock" for t in model.takes)
    return not wrapped and any(
        fallible(analysis, c, path, True) for f in analysis.program.functions(path, callee) for c in f.calls
    )


def in_function(analysis: Analysis, func: Func) -> Iterator[Finding]:
    watch = Watch(analysis)
    lockflow.run(analysis.program.frame(func), analysis.summaries, observer=watch)
    sources = {b.source for b in watch.found.values()}
    for bad in watch.found.values():
        others = [
            a
            for a in distinct([*analysis.shared.of(func), *analysis.shared.elsewhere(bad.name, func.path)])
            if a.object == bad.name and a.op in CHANGES and (a.func.key, a.at) not in sources
        ]
        if not any(bad.lock in a.guards() for a in others):
            continue
        common = all_guards(analysis, others, bad.lock)
        if bad.lock not in common or common & bad.held:
            continue
        file, line, column, function = place(func, bad.at)
        yield Finding(
            rule=RULE, severity="error", confidence="high", file=file, line=line, column=column, function=function,
            message=f"{short(bad.name)} is written although {short(bad.lock)}, which guards it everywhere else, was not"
            " obtained",
            involves=tuple(sorted((short(bad.name), short(bad.lock)))),
            proof=(
                step(analysis, "acquire", func, bad.tried), step(analysis, "access", func, bad.at),
                access_step(analysis, others[0]),
            ),
            event=analysis.program.line_text(file, line),
        )  # fmt: skip


def all_guards(analysis: Analysis, accesses: list[Access], lock: str) -> frozenset[str]:
    """What guards every change: its own locks and, where the lock is not among them, those of all its callers."""
    common: frozenset[str] | None = None
    for access in sorted(accesses, key=lambda a: lock in a.guards()):
        own = access.guards()
        if lock not in own:
            own |= exclusive(analysis.contexts.of(access.func).must)
        common = own if common is None else common & own
        if lock not in common:
            break
    return common or frozenset()
