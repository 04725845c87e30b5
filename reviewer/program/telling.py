"""Code that asks whether it may sleep: ``if (!in_interrupt()) msleep(1);``."""

from __future__ import annotations

from reviewer.parse.cfg import successors
from reviewer.parse.facts import Body, Branch, Call, Config, Expr, Name, Read, Result
from reviewer.program import values
from reviewer.program.link import Func, Program
from reviewer.program.lockflow import Flow, polarity


def asks(program: Program, func: Func) -> bool:
    """Whether the function calls anything that tells its context, by the names that it calls."""
    return any((m := program.models.functions.get(c)) is not None and m.tells for c in func.calls)


def in_task_only(program: Program, flow: Flow) -> frozenset[int]:
    """Blocks that run only once such a question was answered by "a task"."""
    body = flow.frame.body
    if body is None or not asks(program, flow.frame.func):
        return frozenset()
    conditions: dict[int, Expr] = {}
    for seen in flow.seen:
        if isinstance(seen.event, Read) and seen.args:
            conditions[seen.event.at] = seen.args[0][0]
    everything = reachable(body, None)
    found: set[int] = set()
    for number, block in enumerate(body.blocks):
        if not isinstance(block.exit, Branch) or isinstance(block.exit.condition, Config):
            continue
        for edge in edges_of_tasks(program, flow, block.exit, conditions.get(block.exit.at)):
            found |= everything - reachable(body, (number, edge))
    return frozenset(found)


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
    if not isinstance(expr, Result):
        return ""
    call = flow.frame.call(expr.call)
    if not isinstance(call, Call) or not isinstance(call.callee, Name):
        return ""
    model = program.models.functions.get(call.callee.id)
    return model.tells if model is not None else ""


def reachable(body: Body, without: tuple[int, int] | None) -> frozenset[int]:
    """Blocks that the entry leads to, not over the edge ``without``."""
    seen = {0}
    todo = [0]
    while todo:
        b = todo.pop()
        for to in successors(body.blocks[b].exit):
            if to not in seen and (b, to) != without:
                seen.add(to)
                todo.append(to)
    return frozenset(seen)
