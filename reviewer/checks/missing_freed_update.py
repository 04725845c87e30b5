"""missing-freed-update: a callback owes its caller a count, and on some path it has done its work without adding to it.

Work is a change that others can see: a write to shared state, a call that frees, queues or changes something. Logging,
locking, reading, waiting, gates and counts of calls are none, so an early return before any of it owes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reviewer.checks.analysis import Analysis, Callback
from reviewer.checks.finding import Finding, Step
from reviewer.checks.proof import entry_steps, inside, place, step
from reviewer.checks.registry import check
from reviewer.parse import facts
from reviewer.parse.facts import Binary, Call, Cast, Const, Deref, Expr, Name, Result, Write
from reviewer.program.concurrency.shared import CHANGES, COUNTS, Op
from reviewer.program.flow import lockflow
from reviewer.program.flow.lockflow import Ending, Observer, State
from reviewer.program.flow.objects import contains, root_of
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame

RULE = "missing-freed-update"
DATA = 2
"""Index of the data pointer among a callback's parameters (include/linux/notifier.h, notifier_fn_t)."""

MAX_DEPTH = 6
"""Calls below a callback that are searched for an effect; deeper ones count as having one."""


MAX_WORKS = 4
"""Calls that did work that are remembered on a path, to see whether all of them came to nothing."""


@dataclass(frozen=True, slots=True)
class Paid:
    """What has happened on a path.

    ``worked``: position and number of each call that did work, ``NO_RESULT`` for a plain store. ``spoiled``: position of
    a store over what was there. ``carriers``: objects that hold the pointer to the count, besides the parameter.
    """

    worked: tuple[tuple[int, int], ...] = ()
    paid: bool = False
    spoiled: int | None = None
    carriers: frozenset[Expr] = frozenset()

    def did(self, at: int, number: int) -> Paid:
        if len(self.worked) >= MAX_WORKS or any(w[0] == at for w in self.worked):
            return self
        return replace(self, worked=(*self.worked, (at, number)))


NO_RESULT = -1


def is_work(op: Op, atomic: bool, tests: bool) -> bool:
    """Whether a change is work; a gate and a count of calls are none."""
    return op in CHANGES and op != "test_set" and op != "add" and not (atomic and (tests or op == "sub"))


class Watch(Observer):
    """Follows work and payment along the paths of one callback."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def start(self) -> object:
        return Paid()

    def event(self, frame: Frame, event: facts.Event, state: State, args: tuple[Expr, ...]) -> object:
        now = state.extra
        assert isinstance(now, Paid)
        counts = now.carriers | {COUNT}
        if isinstance(event, Write):
            target, value = args
            if is_count(target, counts):
                adds = event.op == "+=" or (event.op == "=" and contains(value, target))
                return replace(now, paid=True, spoiled=now.spoiled if adds or event.op != "=" else event.at)
            carried = frozenset(carriers(target, value, counts))
            if carried:
                now = replace(now, carriers=now.carriers | carried)
            if (isinstance(target, Name) and target.id[:1] in "$%") or event.declares or local(target):
                return now
            return now if carried or event.op == "+=" else now.did(event.at, NO_RESULT)
        if isinstance(event, Call):
            paid = self.work.pays(frame, event, args, counts)
            if paid:
                now = replace(now, paid=True, spoiled=event.at if paid == "sets" else now.spoiled)
            if self.work.call_works(frame, event, args):
                return now.did(event.at, event.number)
        return now


COUNT: Expr = Name(f"%{DATA}")
"""The callback's own pointer to the count."""


def carriers(target: Expr, value: Expr, counts: frozenset[Expr]) -> Iterator[Expr]:
    """Objects that a store makes hold the pointer to the count: ``scan.freed = parm`` or ``{ .freed = parm }``."""
    if stripped(value) in counts and not (isinstance(target, Name) and target.id.startswith("$")):
        yield target
    if isinstance(value, facts.Items):
        for designator, item in value.items:
            if stripped(item) in counts and designator.startswith("."):
                held = target
                for name in designator[1:].split("."):
                    held = values.member(held, name, False)
                yield held


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
                if any(is_work(a.op, a.atomic, a.tests) for a in model.accesses) and not all(local(a) for a in args[:1]):
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
        found = any(is_work(a.op, a.atomic, a.tests) for a in self.analysis.shared.of(func) if a.object)
        if not found:
            flow = self.analysis.summaries.flow(func)
            for seen in flow.seen if flow is not None else ():
                if isinstance(seen.event, Call) and self.call_works(frame, seen.event, seen.args[0], depth):
                    found = True
                    break
        self._works[func.key] = found
        return found

    def pays(
        self, frame: Frame, call: Call, args: tuple[Expr, ...], counts: frozenset[Expr], depth: int = 0
    ) -> str:
        """``adds`` or ``sets`` if a callee does that to the count through one of the expressions that point to it, or "".

        It may get the pointer itself or an object that holds it; an unknown callee gets the benefit of the doubt.

        :param counts: pointers to the count, in terms of the caller.
        """
        handed = [a for a in args if leads_to(a, counts)]
        if not handed and all(root_is_local(c) for c in counts):
            return ""
        targets = self.analysis.summaries.calls.targets(frame, frame.canonical(call.callee, {}))
        if not targets:
            return "adds" if handed else ""
        for target in targets:
            if target.func is None:
                if target.model is not None and handed and any(a.op in CHANGES for a in target.model.accesses):
                    return "adds"
                continue
            inner = self.analysis.summaries.flow(target.func)
            for a in self.analysis.shared.of(target.func):
                if a.op in CHANGES and is_count(values.substitute(a.path, args, target.func.name), counts):
                    return "adds" if a.op in COUNTS else "sets"
            if depth >= MAX_PAYERS or inner is None:
                continue
            for seen in inner.seen:
                if isinstance(seen.event, Call):
                    given = tuple(values.substitute(a, args, target.func.name) for a in seen.args[0])
                    if any(leads_to(g, counts) for g in given):
                        callee = self.analysis.program.frame(target.func)
                        paid = self.pays(callee, seen.event, given, counts, depth + 1)
                        if paid:
                            return paid
        return ""


MAX_PAYERS = 4
"""Calls below a callback through which the pointer to the count is followed."""


def stripped(expr: Expr) -> Expr:
    while isinstance(expr, Cast):
        expr = expr.operand
    return expr


def is_count(target: Expr, counts: frozenset[Expr]) -> bool:
    """``*p`` with ``p`` one of the pointers to the count, through casts and locals."""
    return isinstance(target, Deref) and stripped(target.base) in counts


def leads_to(arg: Expr, counts: frozenset[Expr]) -> bool:
    """Whether an argument is a pointer to the count, or the address of an object that holds one."""
    arg = stripped(arg)
    if arg in counts:
        return True
    held = arg.base if isinstance(arg, facts.AddressOf) else Deref(arg)
    return any(contains(c, held) or contains(c, arg) for c in counts if c != COUNT)


def root_is_local(pointer: Expr) -> bool:
    root = root_of(pointer)
    return isinstance(root, Name) and root.id[:1] in "$%"


def local(arg: Expr) -> bool:
    """An object on the caller's own stack."""
    names = [e.id for e in values.walk(arg) if isinstance(e, Name)]
    return bool(names) and all(n.startswith("$") for n in names) and not any(
        isinstance(e, Deref) or (isinstance(e, facts.Member) and e.arrow) for e in values.walk(arg)
    )


# --- nothing done, nothing owed -------------------------------------------------------------------


def owes_nothing(frame: Frame, ending: Ending, payments: list[Expr]) -> bool:
    """Whether on this path the amount that would have been added is known to be 0, or all work came to nothing."""
    state = ending.state
    told = state.extra
    assert isinstance(told, Paid)
    if any(is_nothing(state, frame.canonical(p, state.known)) for p in payments):
        return True
    return all(number != NO_RESULT and is_nothing(state, Result(number)) for _, number in told.worked)


def is_nothing(state: State, amount: Expr) -> bool:
    """Whether the path knows that the amount is 0 or less."""
    if isinstance(amount, Result):
        amount = state.known.get(f"r{amount.call}", amount)
    if isinstance(amount, Const):
        return amount.value <= 0
    if isinstance(amount, Binary) and amount.op == "-":
        same = (Binary("==", amount.left, amount.right), Binary("==", amount.right, amount.left))
        if any(state.truths.get(c) for c in same):
            return True
    for condition, truth in state.truths.items():
        if condition == amount or (not truth and amount in terms(condition)):
            return not truth
        if isinstance(condition, Binary) and isinstance(condition.right, Const) and amount in terms(condition.left):
            if NOTHING.get((condition.op, condition.right.value, truth)):
                return True
            if condition.op == "==" and truth and condition.right.value < 0:
                return True
    return False


NOTHING = {
    (">", 0, False): True, ("<=", 0, True): True, ("<", 1, True): True, (">=", 1, False): True, ("<", 0, True): True,
}  # fmt: skip
"""Comparisons, with their truth, that say that a value is 0 or an error."""


def terms(expr: Expr) -> list[Expr]:
    """The parts of a sum, itself included."""
    if isinstance(expr, Binary) and expr.op in ("+", "|"):
        return [expr, *terms(expr.left), *terms(expr.right)]
    return [expr]


def ever_pays(frame: Frame) -> bool:
    """Whether the callback does anything with the pointer to the count at all."""
    pointers = {COUNT}
    for block in frame.body.blocks if frame.body is not None else ():
        for event in block.events:
            if isinstance(event, Call):
                parts: tuple[Expr, ...] = event.args
            else:
                parts = (event.target, event.value) if isinstance(event, Write) else (event.value,)
            if any(e in pointers for p in parts for e in values.walk(frame.canonical(p, {}))):
                return True
    return False


def payments_in(frame: Frame) -> list[Expr]:
    """What the callback adds to the count, as written."""
    found: list[Expr] = []
    for block in frame.body.blocks if frame.body is not None else ():
        for event in block.events:
            if isinstance(event, Write) and isinstance(event.target, Deref) and event.op == "+=":
                found.append(event.value)
    return found


@check(RULE)
def missing_freed_update(analysis: Analysis) -> Iterator[Finding]:
    work = Work(analysis)
    for callback in analysis.callbacks:
        if callback.owes:
            yield from in_callback(analysis, callback, work)


def in_callback(analysis: Analysis, callback: Callback, work: Work) -> Iterator[Finding]:
    frame = analysis.program.frame(callback.func)
    flow = lockflow.run(frame, analysis.summaries, observer=Watch(work))
    payments = payments_in(frame)
    bad = [
        e for e in flow.endings
        if isinstance(e.state.extra, Paid)
        and (e.state.extra.spoiled is not None or (
            e.state.extra.worked and not e.state.extra.paid and not owes_nothing(frame, e, payments)
        ))
    ]  # fmt: skip
    if not bad:
        return
    ending = bad[0]
    told = ending.state.extra
    assert isinstance(told, Paid)
    ever = any(isinstance(e.state.extra, Paid) and e.state.extra.paid for e in flow.endings)
    caller = callback.context.sites[0].caller.name if callback.context.sites else "its caller"
    at = ending.at
    event = ""
    if told.spoiled is not None:
        text, at = "overwrites what earlier callbacks added", told.spoiled
    elif ever:
        text = "returns on a path that has done its work and adds nothing"
    else:
        text, at = "does its work and never updates the count", told.worked[0][0]
        event = "no update of the count"  # whatever the work is: another way of doing it is no other hazard
    steps: list[Step] = entry_steps(analysis, callback)
    outer = inside(callback)
    worked = told.worked[0][0] if told.worked else at
    steps.append(step(analysis, "access", callback.func, worked, outer))
    if at != worked:
        steps.append(step(analysis, "access" if told.spoiled is not None else "return", callback.func, at, outer))
    file, line, column, function = place(callback.func, at)
    yield Finding(
        rule=RULE, severity="warning", confidence="high", file=file, line=line, column=column, function=function,
        message=f"{function} {text} that {caller} reads after the chain {callback.chain.short}:"
        " it cannot tell whether the callback helped",
        involves=(callback.chain.short,), proof=tuple(steps), event=event or analysis.program.line_text(file, line),
    )  # fmt: skip
