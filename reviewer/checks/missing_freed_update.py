"""missing-freed-update: a callback owes its caller a count, and on some path it has done its work without adding to it.

Work is a change that others can see: a write to shared state, a call that frees, queues or changes something. Logging,
locking, reading and waiting are none, so an early return before any of it owes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reviewer.checks.analysis import Analysis, Callback
from reviewer.checks.finding import Finding, Step
from reviewer.checks.proof import entry_steps, inside, place, step
from reviewer.checks.registry import check
from reviewer.parse import facts
from reviewer.parse.facts import Call, Cast, Deref, Expr, Name, Write
from reviewer.program import lockflow, values
from reviewer.program.link import Func
from reviewer.program.lockflow import Observer, State
from reviewer.program.shared import CHANGES, contains
from reviewer.program.structs import Frame

RULE = "missing-freed-update"
DATA = 2
"""Index of the data pointer among a callback's parameters (include/linux/notifier.h, notifier_fn_t)."""

MAX_DEPTH = 6
"""Calls below a callback that are searched for an effect; deeper ones count as having one."""


@dataclass(frozen=True, slots=True)
class Paid:
    """What has happened on a path: ``worked`` is the position of the first work, ``spoiled`` of an overwrite."""

    worked: int | None = None
    paid: bool = False
    spoiled: int | None = None


class Watch(Observer):
    """Follows work and payment along the paths of one callback."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def start(self) -> object:
        return Paid()

    def event(self, frame: Frame, event: facts.Event, state: State, args: tuple[Expr, ...]) -> object:
        now = state.extra
        assert isinstance(now, Paid)
        if isinstance(event, Write):
            target, value = args
            if is_data(target, DATA):
                if event.op in ("+=", "=") and (event.op == "+=" or contains(value, target)):
                    return Paid(now.worked, True, now.spoiled)
                return Paid(now.worked, True, event.at if event.op == "=" else now.spoiled)
            if not (isinstance(target, Name) and target.id[:1] in "$%") and not event.declares:
                return now if now.worked is not None else Paid(event.at, now.paid, now.spoiled)
            return now
        if isinstance(event, Call):
            for i, a in enumerate(args):
                if names_data(a) and self.work.pays(frame, event, i):
                    return Paid(now.worked, True, now.spoiled)
            if now.worked is None and self.work.call_works(frame, event, args):
                return Paid(event.at, now.paid, now.spoiled)
        return now


class Work:
    """Whether calls do work or pay, memoised."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._works: dict[str, bool] = {}

    def call_works(self, frame: Frame, call: Call, args: tuple[Expr, ...], depth: int = 0) -> bool:
        targets = self.analysis.summaries.calls.targets(frame, frame.canonical(call.callee, {}))
        for target in targets:
            model = target.model
            if model is not None:
                if model.frees is not None or model.invokes or any(r.starts for r in model.registers):
                    return True
                if any(a.op in CHANGES for a in model.accesses) and not all(local(a) for a in args[:1]):
                    return True
            elif target.func is not None and self.works(target.func, depth + 1):
                return True
        return False

    def works(self, func: Func, depth: int) -> bool:
        """Whether the function changes something that others can see."""
        got = self._works.get(func.key)
        if got is not None:
            return got
        if depth > MAX_DEPTH:
            return True
        self._works[func.key] = False
        frame = self.analysis.program.frame(func)
        found = any(a.op in CHANGES for a in self.analysis.shared.of(func) if a.object)
        if not found:
            flow = self.analysis.summaries.flow(func)
            for seen in flow.seen if flow is not None else ():
                if isinstance(seen.event, Call) and self.call_works(frame, seen.event, seen.args[0], depth):
                    found = True
                    break
        self._works[func.key] = found
        return found

    def pays(self, frame: Frame, call: Call, index: int) -> bool:
        """Whether the callee adds to what its argument ``index`` points to; an unknown one gets the benefit."""
        targets = self.analysis.summaries.calls.targets(frame, frame.canonical(call.callee, {}))
        if not targets:
            return True
        for target in targets:
            if target.func is None:
                continue
            for a in self.analysis.shared.of(target.func):
                if is_data(a.path, index) and a.op in CHANGES:
                    return True
        return False


def is_data(target: Expr, index: int) -> bool:
    """``*p`` with ``p`` parameter number ``index``, through casts and locals."""
    if not isinstance(target, Deref):
        return False
    base = target.base
    while isinstance(base, Cast):
        base = base.operand
    return base == Name(f"%{index}")


def names_data(arg: Expr) -> bool:
    while isinstance(arg, Cast):
        arg = arg.operand
    return arg == Name(f"%{DATA}")


def local(arg: Expr) -> bool:
    """An object on the caller's own stack."""
    names = [e.id for e in values.walk(arg) if isinstance(e, Name)]
    return bool(names) and all(n.startswith("$") for n in names) and not any(
        isinstance(e, facts.Member) and e.arrow for e in values.walk(arg)
    )


@check(RULE)
def missing_freed_update(analysis: Analysis) -> Iterator[Finding]:
    work = Work(analysis)
    for callback in analysis.callbacks:
        if callback.owes:
            yield from in_callback(analysis, callback, work)


def in_callback(analysis: Analysis, callback: Callback, work: Work) -> Iterator[Finding]:
    frame = analysis.program.frame(callback.func)
    flow = lockflow.run(frame, analysis.summaries, observer=Watch(work))
    bad = [e for e in flow.endings if isinstance(e.state.extra, Paid) and e.state.extra.worked is not None
           and (not e.state.extra.paid or e.state.extra.spoiled is not None)]  # fmt: skip
    if not bad:
        return
    ending = bad[0]
    told = ending.state.extra
    assert isinstance(told, Paid)
    assert told.worked is not None
    ever = any(isinstance(e.state.extra, Paid) and e.state.extra.paid for e in flow.endings)
    caller = callback.context.sites[0].caller.name if callback.context.sites else "its caller"
    at = ending.at
    if told.spoiled is not None:
        text, at = "overwrites what earlier callbacks added", told.spoiled
    elif ever:
        text = "returns on a path that has done its work and adds nothing"
    else:
        text, at = "does its work and never updates the count", told.worked
    steps: list[Step] = entry_steps(analysis, callback)
    outer = inside(callback)
    steps.append(step(analysis, "access", callback.func, told.worked, outer))
    if at != told.worked:
        steps.append(step(analysis, "access" if told.spoiled is not None else "return", callback.func, at, outer))
    file, line, column, function = place(callback.func, at)
    yield Finding(
        rule=RULE, severity="warning", confidence="high", file=file, line=line, column=column, function=function,
        message=f"{function} {text} that {caller} reads after the chain {callback.chain.short}:"
        " it cannot tell whether the callback helped",
        involves=(callback.chain.short,), proof=tuple(steps), event=analysis.program.line_text(file, line),
    )  # fmt: skip
