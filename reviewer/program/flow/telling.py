"""Code that asks whether it may sleep (``if (!in_interrupt()) msleep(1);``), or whether it has given the last reference up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from reviewer.parse.cfg import successors
from reviewer.parse.facts import (
    Binary,
    Body,
    Branch,
    Call,
    Config,
    Const,
    Expr,
    Member,
    Name,
    Read,
    Result,
    Return,
    Text,
    Unary,
    Write,
)
from reviewer.program.api.models import Function as Model
from reviewer.program.flow.lockflow import Flow, polarity
from reviewer.program.linked import values
from reviewer.program.linked.link import Func, Program
from reviewer.program.linked.written import writes_of

WAITING = re.compile(
    r"(?:^|_)(?:no|non|can|may|do)?_?(?:wait|waiting|waits|waitable|sleep|sleeping|sleeps|sleepable|cansleep|schedulable"
    r"|blocking|blockable|async|asynchronous|sync|synchronous|poll|polling|polled|atomic)(?:_|$)"
    r"|(?:^|_)(?:no|non|tx_)?_?block$"
    r"|(?:^|_)(?:in|from|is|use)_(?:(?:hard|soft)?irq|isr|intr|interrupt|(?:hr)?timer|tasklet|bh|napi|thread|work|wq)(?:_|$)",
    re.IGNORECASE,
)
"""How the kernel names a field, a flag or a parameter that says whether to wait (``request->waiting``, ``API_NO_WAIT_RES``)."""

ALLOWS = re.compile(r"(?:^|_)(?:allows?|can|may|should|wants?)_(?:\w+_)?(?:block|blocking|sleep|wait)(?:_|$)")
"""How it names a function that tells the same of what it is given (``gfpflags_allow_blocking(mask)``)."""

ONCE = re.compile(r"(?:^|_)(?:initiali[sz]ed|inited|init_done|setup_done|lazy)(?:_|$)", re.IGNORECASE)
"""How it names what tells that something is done by whoever comes first, and not by those who come later."""


SIZE = re.compile(r"sizeof\s*\(?\s*(\w+)\s*\)?")
"""The size of a variable."""

WARNS = re.compile(r"(?:^|_)WARN(?:_|$)")
"""How it names a test that complains where it is true: what must not be (``WARN_ON_ONCE``, ``drm_WARN_ON``)."""


GIVES_UP = "BUG"
"""How it names the end of everything."""


def warns(_: Program, func: Func) -> bool:
    """Whether the function has such a test, or gives up."""
    return any(c == GIVES_UP or WARNS.search(c) for c in func.calls)


def warned_only(program: Program, flow: Flow) -> frozenset[int]:
    """Blocks that run only where such a test has complained, or all ways from which lead to the end of everything
    (``if (bad) { dump(p); BUG(); }``)."""
    body = flow.frame.body
    if body is None:
        return frozenset()

    def edges(exit_: Branch) -> list[int]:
        truth, condition = polarity(exit_.condition)
        call = flow.frame.call(condition.call) if isinstance(condition, Result) else None
        while call is not None and isinstance(call.callee, Name) and not WARNS.search(call.callee.id):
            model = program.models.functions.get(call.callee.id)  # unlikely(WARN_ON(...)) is what its argument is
            i = model.identity if model is not None else None
            inner = call.args[i] if i is not None and i < len(call.args) else None
            call = flow.frame.call(inner.call) if isinstance(inner, Result) else None
        if call is None or not isinstance(call.callee, Name):
            return []
        return [exit_.then if truth else exit_.other]

    return only_over(body, edges) | given_up(body)


def given_up(body: Body) -> frozenset[int]:
    """Blocks that come to a call of ``BUG()``, whatever way they go on."""
    calls = ((n, e) for n, b in enumerate(body.blocks) for e in b.events if isinstance(e, Call))
    found = {n for n, e in calls if e.callee == Name(GIVES_UP)}
    grown = bool(found)
    while grown:
        more = {
            n for n, b in enumerate(body.blocks)
            if n not in found and (after := list(successors(b.exit))) and found.issuperset(after)
        }  # fmt: skip
        found |= more
        grown = bool(more)
    return frozenset(found)


def asks(program: Program, func: Func) -> bool:
    """Whether the function calls anything that tells its context, by the names that it calls."""
    return any((m := program.models.functions.get(c)) is not None and m.tells for c in func.calls)


def in_task_only(program: Program, flow: Flow) -> frozenset[int]:
    """Blocks that run only once such a question was answered by "a task"."""
    body = flow.frame.body
    if body is None or not asks(program, flow.frame.func):
        return frozenset()
    conditions = conditions_of(flow)
    return only_over(body, lambda exit_: edges_of_tasks(program, flow, exit_, conditions.get(exit_.at)))


def conditions_of(flow: Flow) -> dict[int, Expr]:
    """What is tested where, in canonical terms."""
    return {s.event.at: s.args[0][0] for s in flow.seen if isinstance(s.event, Read) and s.args}


def only_over(body: Body, edges: Callable[[Branch], list[int]]) -> frozenset[int]:
    """Blocks that nothing else leads to than some of these edges of branches."""
    everything = reachable(body, None)
    found: set[int] = set()
    for number, block in enumerate(body.blocks):
        if isinstance(block.exit, Branch) and not isinstance(block.exit.condition, Config):
            for edge in edges(block.exit):
                found |= everything - reachable(body, (number, edge))
    return frozenset(found)


def counts(program: Program, func: Func) -> bool:
    """Whether the function gives a reference up and looks whether it was the last, by the names that it calls."""
    return any((m := program.models.functions.get(c)) is not None and (last_if(m) or m.spares_last) for c in func.calls)


def last_if(model: Model) -> bool:
    """Whether the call counts down, and its result is not 0 for whoever has reached zero (``refcount_dec_and_test``)."""
    return any(a.op == "sub" and a.tests and a.wins == "nonzero" for a in model.accesses)


def after_last(program: Program, flow: Flow) -> frozenset[int]:
    """Blocks that run only once the last reference was given up, or where a local remembers that it was."""
    body = flow.frame.body
    if body is None:
        return frozenset()
    conditions = conditions_of(flow)

    def counted(value: Expr) -> bool:
        model = model_of(program, flow, value)
        return model is not None and last_if(model)

    results = {w.target.id for w in writes_of(body) if isinstance(w.target, Name) and counted(w.value)}
    results -= {w.target.id for w in writes_of(body) if isinstance(w.target, Name) and not counted(w.value)}

    def tested(exit_: Branch) -> list[int]:
        for condition in (exit_.condition, conditions.get(exit_.at, exit_.condition)):
            positive, inner = polarity(condition)
            model = model_of(program, flow, inner)
            if model is not None and model.spares_last:
                return [exit_.other if positive else exit_.then]
            if counted(inner) or (isinstance(inner, Name) and inner.id in results):
                return [exit_.then if positive else exit_.other]
        return []

    found = only_over(body, tested)
    remembered = flags(body, found)

    def flagged(exit_: Branch) -> list[int]:
        positive, inner = polarity(exit_.condition)
        if isinstance(inner, Name) and inner.id in remembered:
            return [exit_.then if positive else exit_.other]
        return []

    return found | only_over(body, flagged) if remembered else found


def behind_bit(program: Program, flow: Flow) -> frozenset[int]:
    """Blocks that run only if a bit was found set, or clear (``if (!test_bit(RESETTING, &dev->flags)) ...``)."""
    body = flow.frame.body
    if body is None:
        return frozenset()
    conditions = conditions_of(flow)

    def tested(exit_: Branch) -> list[int]:
        model = model_of(program, flow, polarity(conditions.get(exit_.at, exit_.condition))[1])
        bit = model is not None and any(a.bit is not None for a in model.accesses)
        return [exit_.then, exit_.other] if bit else []

    return only_over(body, tested)


def compiled_without(body: Body, option: str) -> frozenset[int]:
    """Blocks that are there only in a kernel without an option (the ``#else`` of ``#ifdef CONFIG_X``)."""
    everything = reachable(body, None)
    found: set[int] = set()
    for number, block in enumerate(body.blocks):
        if isinstance(block.exit, Branch) and block.exit.condition == Config(f"defined({option})"):
            found |= everything - reachable(body, (number, block.exit.other))
    return frozenset(found)


def chosen(program: Program, flow: Flow) -> frozenset[int]:
    """Blocks that run, or do not, as some word says of which the function and its callers' constants tell nothing.

    ``if (request->waiting) wait_for_completion();``: whoever made the request knows. ``if (size > sizeof(buf)) kmalloc()``: the
    array is there because it is large enough for most. ``if (!vgic->initialized) ...``: that was
    long ago. ``if (ops->poke) mutex_lock();``: of several tables, one has it. ``if (failed && in_interrupt()) return;``: the
    question is asked, if not on every way.
    """
    body = flow.frame.body
    if body is None:
        return frozenset()
    conditions = conditions_of(flow)

    def decided(exit_: Branch) -> bool:
        return exit_.at not in conditions or values.truth(conditions[exit_.at]) is not None

    def edges(exit_: Branch) -> list[int]:
        if decided(exit_):
            return []
        positive, _ = polarity(exit_.condition)
        said = [w for e in asked_of(exit_.condition) for w in words_in(flow, e)]
        if any(WAITING.search(word) for word in said) or any(map(ALLOWS.search, callees_in(flow, exit_.condition))):
            return [exit_.then, exit_.other]
        if is_function(flow, conditions[exit_.at]) and not fails(body, exit_.other if positive else exit_.then):
            return [exit_.then, exit_.other]
        larger = outgrows(flow, exit_.condition)
        if larger is not None:
            return [exit_.then if larger else exit_.other]
        if any(ONCE.search(word) for word in (*said, *callees_in(flow, exit_.condition))):
            return [exit_.other if positive else exit_.then]
        return []

    found = only_over(body, edges)
    for block in body.blocks if asks(program, flow.frame.func) else ():
        if isinstance(block.exit, Branch) and not isinstance(block.exit.condition, Config) and not decided(block.exit):
            for edge in edges_of_tasks(program, flow, block.exit, conditions[block.exit.at]):
                for other in {*successors(block.exit)} - {edge}:
                    found |= from_block(body, edge) - from_block(body, other)
    return found


def outgrows(flow: Flow, condition: Expr) -> bool | None:
    """Whether a condition says that something is larger than a local array, or, if False, that it is not; None for any other."""
    positive, condition = polarity(condition)
    if not isinstance(condition, Binary) or condition.op not in (">", ">=", "<", "<="):
        return None
    upward = condition.op.startswith(">")
    if is_room(flow, condition.right):
        return upward == positive
    return upward != positive if is_room(flow, condition.left) else None


def is_room(flow: Flow, expr: Expr) -> bool:
    """Whether an expression is the size of a local array: ``sizeof(buf)``."""
    m = SIZE.fullmatch(expr.text.strip()) if isinstance(expr, Text) else None
    variable = flow.frame.locals.get(m[1]) if m is not None else None
    return variable is not None and bool(variable.type.array) and not variable.type.pointer


def asked_of(condition: Expr) -> Iterator[Expr]:
    """The parts of a condition without the constants that it compares with: ``state == WAIT_STATUS`` and ``i < POLL_MAX`` are no
    words on waiting."""
    todo = [condition]
    while todo:
        e = todo.pop()
        yield e
        compares = isinstance(e, Binary) and e.op in ("==", "!=", "<", "<=", ">", ">=")
        todo += (c for c in values.children(e) if not (compares and isinstance(c, Name) and c.id.isupper()))


def fails(body: Body, block: int) -> bool:
    """Whether a block returns an error number at once."""
    exit_ = body.blocks[block].exit
    value = exit_.value if isinstance(exit_, Return) else None
    return (isinstance(value, Unary) and value.op == "-") or values.is_error(value)


def words_in(flow: Flow, expr: Expr) -> Iterator[str]:
    """The names in one node of a condition, with those that a call is given (``FLAG_IS_SET(request, CAN_SLEEP)``)."""
    if isinstance(expr, Member):
        yield expr.name
    elif isinstance(expr, Name):
        yield expr.id
    elif isinstance(expr, Result):
        call = flow.frame.call(expr.call)
        yield from (a.id for a in (call.args if call is not None else ()) if isinstance(a, Name))


def callees_in(flow: Flow, expr: Expr) -> Iterator[str]:
    """The functions whose results stand in a condition."""
    for e in values.walk(expr):
        call = flow.frame.call(e.call) if isinstance(e, Result) else None
        if call is not None and isinstance(call.callee, Name):
            yield call.callee.id


def is_function(flow: Flow, condition: Expr) -> bool:
    """Whether it is asked for an operation, which not every table has."""
    _, inner = polarity(condition)
    type_ = flow.frame.type_of(inner) if isinstance(inner, Member) else None
    return type_ is not None and flow.frame.resolve(type_).function


def flags(body: Body, blocks: frozenset[int]) -> frozenset[str]:
    """Locals that are set to true in these blocks, and to nothing but false elsewhere."""
    inside: set[str] = set()
    outside: set[str] = set()
    for number, block in enumerate(body.blocks):
        for event in block.events:
            if isinstance(event, Write) and isinstance(event.target, Name) and not is_false(event.value):
                (inside if number in blocks else outside).add(event.target.id)
    return frozenset(inside - outside)


def is_false(value: Expr) -> bool:
    return value in (Const(0), Name("false"))


def edges_of_tasks(program: Program, flow: Flow, exit_: Branch, condition: Expr | None) -> list[int]:
    """The successors of a branch that are taken by a task only; both where the question is part of a larger one."""
    if condition is None:
        return []
    positive, inner = polarity(condition)
    told = tells(program, flow, inner)
    if told:
        task_when = told == "task"
        return [exit_.then if positive == task_when else exit_.other]
    if any(tells(program, flow, e) for e in values.walk(inner)):
        return [exit_.then, exit_.other]
    return []


def tells(program: Program, flow: Flow, expr: Expr) -> str:
    model = model_of(program, flow, expr)
    return model.tells if model is not None else ""


def model_of(program: Program, flow: Flow, expr: Expr) -> Model | None:
    """The API function whose result an expression is."""
    call = flow.frame.call(expr.call) if isinstance(expr, Result) else None
    name = call.callee.id if isinstance(call, Call) and isinstance(call.callee, Name) else ""
    return program.models.functions.get(name)


def reachable(body: Body, without: tuple[int, int] | None) -> frozenset[int]:
    """Blocks that the entry leads to, not over the edge ``without``."""
    return from_block(body, 0, without)


def from_block(body: Body, start: int, without: tuple[int, int] | None = None) -> frozenset[int]:
    """A block and those that it leads to, not over the edge ``without``."""
    seen = {start}
    todo = [start]
    while todo:
        b = todo.pop()
        for to in successors(body.blocks[b].exit):
            if to not in seen and (b, to) != without:
                seen.add(to)
                todo.append(to)
    return frozenset(seen)


def stores(body: Body | None, field: str) -> bool:
    """Whether something is stored in a member of that name."""
    return any(isinstance(w.target, Member) and w.target.name == field for w in writes_of(body))
