"""write-after-failed-lock: guarded state is written on the path where the killable or try variant failed.

The object counts as guarded when every other change of it that we see is made under the very lock.
"""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.analysis import Analysis
from reviewer.checks.finding import Finding
from reviewer.checks.proof import access_step, place, step
from reviewer.checks.registry import check
from reviewer.parse import facts
from reviewer.parse.facts import Call, Expr, Write
from reviewer.program import lockflow
from reviewer.program.link import Func
from reviewer.program.lockflow import Observer, Outcome, State
from reviewer.program.objects import object_name, short
from reviewer.program.shared import CHANGES
from reviewer.program.structs import Frame

RULE = "write-after-failed-lock"


class Watch(Observer):
    """Collects writes made while a lock that was asked for is not held."""

    def __init__(self) -> None:
        self.written: dict[tuple[str, str, int], int] = {}

    def start(self) -> object:
        return ()

    def event(self, frame: Frame, event: facts.Event, state: State, args: tuple[Expr, ...]) -> object:
        failed = state.extra
        assert isinstance(failed, tuple)
        if failed and isinstance(event, Write):
            name = object_name(frame, args[0])
            for lock, at in failed:
                if name and not any(h.name == lock for h in state.locks):
                    self.written.setdefault((name, lock, event.at), at)
        return failed

    def outcome(self, frame: Frame, call: Call, outcome: Outcome, state: State) -> object:
        failed = state.extra
        assert isinstance(failed, tuple)
        taken = {h.name for h in outcome.takes}
        failed = tuple(f for f in failed if f[0] not in taken)
        if outcome.failed and outcome.failed != "?":
            return (*[f for f in failed if f[0] != outcome.failed], (outcome.failed, call.at))[-4:]
        return failed


@check(RULE)
def write_after_failed_lock(analysis: Analysis) -> Iterator[Finding]:
    for func in analysis.functions_nearby():
        if any(fallible(analysis, c) for c in func.calls):
            yield from in_function(analysis, func)


def fallible(analysis: Analysis, callee: str) -> bool:
    """Whether the models know the callee as a lock function that may come back without the lock."""
    model = analysis.program.models.functions.get(callee)
    return model is not None and any(t.taken != "lock" for t in model.takes)


def in_function(analysis: Analysis, func: Func) -> Iterator[Finding]:
    watch = Watch()
    lockflow.run(analysis.program.frame(func), analysis.summaries, observer=watch)
    for (name, lock, at), tried in watch.written.items():
        others = [
            a
            for a in [*analysis.shared.of(func), *analysis.shared.elsewhere(name, func.path)]
            if a.object == name and a.op in CHANGES and not (a.func.key == func.key and a.at == at)
        ]
        guarded = [a for a in others if lock in a.guards()]
        bad = {w[2] for w in watch.written if w[0] == name}
        open_ = [a for a in others if lock not in a.guards() and not (a.func.key == func.key and a.at in bad)]
        if not guarded or open_:
            continue
        file, line, column, function = place(func, at)
        yield Finding(
            rule=RULE, severity="error", confidence="high", file=file, line=line, column=column, function=function,
            message=f"{short(name)} is written although {short(lock)}, which guards it everywhere else, was not obtained",
            involves=tuple(sorted((short(name), short(lock)))),
            proof=(
                step(analysis, "acquire", func, tried), step(analysis, "access", func, at),
                access_step(analysis, guarded[0]),
            ),
            event=analysis.program.line_text(file, line),
        )  # fmt: skip
