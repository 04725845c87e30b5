"""silent-trylock-failure: when a trylock fails the job is skipped, and the caller sees "nothing to do".

Looked for below callbacks that owe a result, and with ``--all`` below functions of tables that do (shrinkers). An amount of
0 after a failed trylock is what an empty pool gives too. A function that returns ``bool``, or comes back with the lock
held, hands the failure on to its caller and is the caller's business; an error code, a flag that is stored, other work or
another try tell the caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reviewer.checks.analysis import Analysis
from reviewer.checks.finding import Finding, Step
from reviewer.checks.missing_freed_update import Work, ever_pays
from reviewer.checks.proof import entry_steps, inside, place, step, visit_steps
from reviewer.checks.registry import check
from reviewer.parse import facts
from reviewer.parse.facts import Call, Const, Expr, Name, Write
from reviewer.program.concurrency.shared import Visit
from reviewer.program.flow import lockflow
from reviewer.program.flow.lockflow import Ending, Observer, Outcome, State
from reviewer.program.flow.objects import short
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold
from reviewer.program.linked.structs import Frame

RULE = "silent-trylock-failure"


class Watch(Observer):
    """Remembers the last lock that could not be got, until something tells of it."""

    def __init__(self, analysis: Analysis, work: Work) -> None:
        self.analysis = analysis
        self.work = work

    def event(self, frame: Frame, event: facts.Event, state: State, args: tuple[Expr, ...]) -> object:
        if state.extra is None:
            return None
        if isinstance(event, Write):
            target = args[0]
            if not (isinstance(target, Name) and target.id[:1] in "$%"):
                return None  # a flag or a count is stored: that tells
        elif isinstance(event, Call) and self.work.call_works(frame, event, args):
            return None  # it is done in another way, later, or somebody is told
        return state.extra

    def outcome(self, frame: Frame, call: Call, outcome: Outcome, state: State) -> object:
        if outcome.failed:
            return (outcome.failed, call.number, call.at)
        if any(h.taken != "lock" for h in outcome.takes):
            return None
        return state.extra


@dataclass(frozen=True, slots=True)
class Asked:
    """A function that owes a number: ``who`` asks for it, by ``steps``, holding ``outer``.

    ``by_result``: the number is what it returns; otherwise it adds to what a pointer points to.
    """

    func: Func
    who: str
    steps: tuple[Step, ...]
    outer: tuple[Hold, ...]
    by_result: bool


@check(RULE)
def silent_trylock_failure(analysis: Analysis) -> Iterator[Finding]:
    work = Work(analysis)
    for asked in all_asked(analysis):
        closure = analysis.shared.closure(asked.func)
        done: set[str] = set()
        for visit in closure.visits:
            if visit.later or visit.func.key in done:
                continue
            done.add(visit.func.key)
            if tries(analysis, visit):
                yield from in_function(analysis, asked, visit, work)


def all_asked(analysis: Analysis) -> Iterator[Asked]:
    for callback in analysis.callbacks:
        if callback.owes:
            steps = tuple(entry_steps(analysis, callback))
            yield Asked(callback.func, callback.chain.short, steps, inside(callback), by_result=False)
    if analysis.everything:
        for table, func in analysis.owing():
            yield Asked(func, table, (), (), by_result=True)


def tries(analysis: Analysis, visit: Visit) -> bool:
    """Whether a call in the function may fail to get a lock."""
    frame = analysis.program.frame(visit.func)
    flow = analysis.summaries.flow(visit.func)
    for seen in flow.seen if flow is not None else ():
        if isinstance(seen.event, Call):
            found = analysis.summaries.outcomes(frame, seen.event, seen.callee or seen.event.callee, seen.args[0], State())
            if any(o.failed for o in found):
                return True
    return False


def in_function(analysis: Analysis, asked: Asked, visit: Visit, work: Work) -> Iterator[Finding]:
    func = visit.func
    definition = func.definition
    if definition is None or definition.type.name in ("bool", "_Bool") or definition.type.pointer:
        return
    frame = analysis.program.frame(func)
    flow = lockflow.run(frame, analysis.summaries, observer=Watch(analysis, work))
    root = func.key == asked.func.key and not asked.by_result
    void = definition.type.name == "void"
    silent = [e for e in flow.endings if e.state.extra is not None and (void or root or is_zero(e))]
    lost = silent[0].state.extra if silent else None
    if root and not ever_pays(frame):
        return  # it reports nothing either way: that is missing-freed-update
    if not isinstance(lost, tuple) or (not void and not root and not is_amount(flow.endings, str(lost[0]))):
        return
    name, number, at = str(lost[0]), int(lost[1]), int(lost[2])
    call = frame.call(number)
    leaf = call.callee.id if call is not None and isinstance(call.callee, Name) else "the trylock"
    outer = asked.outer
    steps = [*asked.steps, *visit_steps(analysis, visit, outer)]
    steps.append(step(analysis, "acquire", func, at, (*outer, *visit.held)))
    steps.append(step(analysis, "return", func, silent[0].at, (*outer, *visit.held)))
    file, line, column, function = place(func, at)
    what = "returns 0" if is_zero(silent[0]) else "returns"
    yield Finding(
        rule=RULE, severity="warning", confidence="high" if len(visit.path) <= 2 else "medium", file=file, line=line,
        column=column, function=function,
        message=f"{function} {what} when {leaf}() does not get {short(name)}: to the caller of {asked.who}"
        " it looks as if there had been nothing to free",
        involves=tuple(sorted((asked.who, short(name)))), proof=tuple(steps),
        event=analysis.program.line_text(file, line),
    )  # fmt: skip


def is_amount(endings: list[Ending], lock: str) -> bool:
    """Whether what the function returns where it does not fail can be an amount.

    A function that comes back with the lock held says by its value that it is; 0 and error codes are no amounts.
    """
    others = [e for e in endings if e.state.extra is None]
    held = [e for e in others if any(h.name == lock for h in e.state.locks)]
    if held and all(e in held or (isinstance(e.value, Const) and e.value.value) for e in others):
        return False
    return any(not (isinstance(e.value, Const) and e.value.value <= 0) for e in others)


def is_zero(ending: Ending) -> bool:
    return isinstance(ending.value, Const) and ending.value.value == 0
