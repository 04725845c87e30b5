"""callback-not-concurrent: a callback is right only if its callers come one at a time, and nothing of its own sees to it.

Three shapes: state of its own is changed without lock or atomic; it waits or looks for a condition and then acts as if
that still held; it gives up a fixed amount per call, so that N callers give up N times as much.
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
    step,
    takers_text,
    visit_steps,
    way_steps,
)
from reviewer.checks.registry import check
from reviewer.parse import facts
from reviewer.parse.facts import Binary, Branch, Call, Const, Expr, Name, Read, Write
from reviewer.program.concurrency.shared import CHANGES, COUNTS, Access, Closure, Op, exclusive
from reviewer.program.concurrency.waiting import comes_after, way_to
from reviewer.program.concurrency.waiting import waits as waits_of
from reviewer.program.flow.objects import objects_read, short
from reviewer.program.flow.precedence import in_order
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.values import ORDER

RULE = "callback-not-concurrent"

STARTS: frozenset[Op] = CHANGES - {"sub", "clear"}
"""Changes that may begin a new round on what was waited for; counting down ends one."""


@check(RULE)
def callback_not_concurrent(analysis: Analysis) -> Iterator[Finding]:
    for callback in analysis.callbacks:
        if callback.alone:
            continue
        closure = analysis.shared.closure(callback.func)
        yield from counts(analysis, callback, closure)
        yield from waits(analysis, callback, closure)
        yield from looks(analysis, callback, closure)
        if callback.owes:
            yield from amounts(analysis, callback)


def counts(analysis: Analysis, callback: Callback, closure: Closure) -> Iterator[Finding]:
    """State of its own that is read, changed and written back, with no lock and no atomic operation."""
    done: set[str] = set()
    for a in closure.accesses:
        if a.op not in COUNTS or a.atomic or not a.object or a.object in done or a.later or a.guards() or a.maybe:
            continue
        if a.idempotent and only_change(closure, a):
            continue
        if not analysis.shared.single(a) or not analysis.shared.exists(a.object, callback.func.path):
            continue
        done.add(a.object)
        if guarded_by_callers(analysis, callback, closure, a):
            continue
        outer = inside(callback)
        steps = entry_steps(analysis, callback) + way_steps(analysis, a.way, outer)
        steps.append(access_step(analysis, a, outer))
        yield report(analysis, callback, a.func, a.at, f"{a.word} is changed with no lock and no atomic operation",
                     (a.word,), steps)  # fmt: skip


def only_change(closure: Closure, access: Access) -> bool:
    """Whether the callback does nothing else to the object: setting the same bits twice loses nothing."""
    same = [b for b in closure.accesses if b.object == access.object and b.op in CHANGES]
    return all(b.idempotent and b.value == access.value for b in same)


def guarded_by_callers(analysis: Analysis, callback: Callback, closure: Closure, access: Access) -> bool:
    """Whether the lock of the chain's callers is the object's own: everybody else who changes it holds it, too."""
    if callback.serialiser is None:
        return False
    inside_ = {v.func.key for v in closure.visits}
    others = [a for a in analysis.shared.elsewhere(access.object, callback.func.path) if a.func.key not in inside_]
    name = callback.serialiser.name
    return bool(others) and all(
        name in a.guards() or name in exclusive(analysis.contexts.of(a.func).must) for a in others
    )


def waits(analysis: Analysis, callback: Callback, closure: Closure) -> Iterator[Finding]:
    """A wait for a condition on an object that the callback then changes: two callers pass the wait together."""
    done: set[str] = set()
    for wait in waits_of(analysis.shared, closure):
        if wait.guards():
            continue
        here = way_to(wait.visit.path, wait.visit.func, wait.at)
        for name, bit in wait.objects:
            changed = [
                a for a in closure.accesses
                if a.object == name and a.op in STARTS and (not bit or a.bit == bit) and not a.later
                and name not in a.gates and analysis.shared.single(a)
                and comes_after(analysis.shared, here, way_to(a.way, a.func, a.at))
            ]  # fmt: skip
            if not changed or any(a.op == "test_set" for a in changed) or name in done:
                continue
            done.add(name)
            outer = inside(callback)
            steps = entry_steps(analysis, callback) + visit_steps(analysis, wait.visit, outer)
            steps.append(step(analysis, "wait", wait.visit.func, wait.at, (*outer, *wait.held)))
            steps += [access_step(analysis, a, outer) for a in changed[:3]]
            yield report(
                analysis, callback, wait.visit.func, wait.at,
                f"two callers pass the wait on {short(name)} in {wait.visit.func.name} together and both start a new round",
                (short(name),), steps,
            )  # fmt: skip
            break


def looks(analysis: Analysis, callback: Callback, closure: Closure) -> Iterator[Finding]:
    """An atomic counter is looked at and then counted, in two steps."""
    done: set[str] = set()
    for a in closure.accesses:
        if a.op not in ("add", "sub") or not a.atomic or a.tests or a.later or a.guards() or a.maybe:
            continue
        if a.object in done or not analysis.shared.single(a):
            continue
        at = look_before(analysis, a)
        if at is None or not analysis.shared.checked(a):
            continue
        done.add(a.object)
        outer = inside(callback)
        steps = entry_steps(analysis, callback) + way_steps(analysis, a.way, outer)
        steps += [step(analysis, "access", a.func, at, (*outer, *a.held)), access_step(analysis, a, outer)]
        text = f"two callers look at {a.word} in {a.func.name} together and both go on to count"
        yield report(analysis, callback, a.func, at, text, (a.word,), steps)


def look_before(analysis: Analysis, access: Access) -> int | None:
    """Where the function has looked at the object by a plain read, before it changes it."""
    frame = analysis.program.frame(access.func)
    flow = analysis.summaries.flow(access.func)
    for seen in flow.seen if flow is not None else ():
        if not isinstance(seen.event, Read) or seen.event.at == access.at or frame.body is None:
            continue
        condition = seen.args[0][0]
        if isinstance(condition, Binary) and condition.op in ORDER and condition.right != Const(0):
            continue  # a limit that may be passed by a few
        found = objects_read(frame, condition)
        if (access.object, access.bit) in found and in_order(frame.body, seen.event.at, access.at):
            return seen.event.at
    return None


def amounts(analysis: Analysis, callback: Callback) -> Iterator[Finding]:
    """A fixed amount, a constant or a tunable, given up on each call."""
    frame = analysis.program.frame(callback.func)
    flow = analysis.summaries.flow(callback.func)
    for seen in flow.seen if flow is not None else ():
        call = seen.event
        if not isinstance(call, Call) or exclusive(seen.must()) or analysis.shared.gate_names(frame, call.at):
            continue
        for target in analysis.summaries.calls.targets(frame, seen.callee or call.callee):
            if target.func is None:
                continue
            for i, arg in enumerate(seen.args[0]):
                if fixed(arg) and consumes(analysis, target.func, i):
                    outer = inside(callback)
                    steps: list[Step] = entry_steps(analysis, callback)
                    steps.append(step(analysis, "call", callback.func, call.at, outer))
                    inner = [a for a in analysis.shared.of(target.func) if a.op == "sub"]
                    steps += [access_step(analysis, a, outer) for a in inner[:2]]
                    yield report(
                        analysis, callback, callback.func, call.at,
                        f"every call gives up {amount(arg)} by {target.func.name}(), so that N callers at once give up"
                        " N times as much",
                        (target.func.name,), steps, queue=True,
                    )  # fmt: skip
                    return


def amount(arg: Expr) -> str:
    names = [short(e.id[2:]) for e in values.walk(arg) if isinstance(e, Name) and e.id.startswith("::")]
    if names:
        return f"the amount {names[0]}"
    return f"the fixed amount {arg.value}" if isinstance(arg, Const) else "a fixed amount"


def fixed(arg: Expr) -> bool:
    """A constant (not 0, 1 or all ones) or an expression of file-scope variables and constants alone."""
    if isinstance(arg, Const):
        return (arg.value > 1 and (arg.value + 1) & arg.value != 0) or 1 < arg.value < 1 << 24
    some = False
    for e in values.walk(arg):
        if isinstance(e, facts.AddressOf | facts.Member | facts.Deref | facts.Index | facts.Result | facts.Text):
            return False
        if isinstance(e, Name):
            if e.id[:1] in "$%":
                return False
            some |= e.id.startswith("::")
    return some


def consumes(analysis: Analysis, func: Func, index: int, depth: int = 0) -> bool:
    """Whether the function takes away up to its parameter.

    It bounds a loop, and something shared shrinks there or in a function that is called there; or it is handed to a
    function that does so.
    """
    body = analysis.program.body(func)
    if body is None or index >= len(func.parameters) or depth > MAX_HANDS:
        return False
    type_ = func.parameters[index].type
    if type_.pointer or type_.name.startswith(("struct ", "enum ")) or type_.name in ("gfp_t", "bool"):
        return False
    word = Name(func.parameters[index].name)
    bounds = False
    for block in body.blocks:
        if isinstance(block.exit, Branch) and any(e == word for e in values.walk(block.exit.condition)):
            bounds = True
        for e in block.events:
            if isinstance(e, Write) and e.target == word and e.op == "-=":
                bounds = True
    if bounds and shrinks(analysis, func, 0):
        return True
    for block in body.blocks:
        for e in block.events:
            if isinstance(e, Call) and word in e.args and isinstance(e.callee, Name):
                i = e.args.index(word)
                if any(consumes(analysis, f, i, depth + 1) for f in analysis.program.resolve(e.callee.id, func.path)):
                    return True
    return False


def shrinks(analysis: Analysis, func: Func, depth: int) -> bool:
    """Whether something shared is counted down, or an element taken off a list, in the function or its own helpers."""
    if any(a.op == "sub" for a in analysis.shared.of(func)):
        return True
    helpers = (f for c in func.calls for f in analysis.program.functions(func.path, c))
    return depth < MAX_HANDS and any(f.key != func.key and shrinks(analysis, f, depth + 1) for f in helpers)


MAX_HANDS = 2
"""Functions through which an amount is handed on."""


def confidence(analysis: Analysis, callback: Callback) -> Confidence:
    if not callback.context.partial:
        return "high"
    return "low" if perhaps_alone(analysis, callback) else "medium"


def report(
    analysis: Analysis, callback: Callback, func: Func, at: int, text: str, objects: tuple[str, ...], steps: list[Step],
    queue: bool = False,
) -> Finding:
    """:param queue: callers that come one after the other are too many, too."""
    serialiser = callback.serialiser
    severity: Severity
    prevented_by = ""
    if serialiser is not None and queue and all_wait(analysis, callback):
        severity = "warning"
        text += (
            f"; those who find {short(serialiser.name)} taken wait for it ({takers_text(analysis, callback)}), and so each of"
            " them does it again"
        )
    elif serialiser is not None:
        severity = "note"
        prevented_by = short(serialiser.name)
        text += f"; only {prevented_by}, held by {takers_text(analysis, callback)}, keeps callers apart"
        objects = (*objects, prevented_by)
    else:
        severity = "warning"
        text += f", and nothing that we see keeps the callers of {callback.chain.short} apart"
    file, line, column, function = place(func, at)
    return Finding(
        rule=RULE, severity=severity, confidence=confidence(analysis, callback), file=file, line=line, column=column,
        function=function, message=text, involves=tuple(sorted(objects)), proof=tuple(steps),
        event=analysis.program.line_text(file, line), prevented_by=prevented_by,
    )  # fmt: skip


def all_wait(analysis: Analysis, callback: Callback) -> bool:
    """Whether nobody who finds the serialiser taken goes away: callers are kept apart, but come one after the other."""
    assert callback.serialiser is not None
    found = analysis.contexts.takers(callback.context, callback.serialiser.name)
    return bool(found) and all(hold.taken != "trylock" for _, hold in found)
