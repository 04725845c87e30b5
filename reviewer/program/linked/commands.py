"""Arguments of a macro that are commands: ``SLEEP_UNTIL(wq, cond, unlock(l), lock(l))`` unlocks, sleeps and locks again.

The facts have the calls among the arguments before the call itself, as for a function. Here the commands come in the order in
which the macro's body has them: the first before what it does itself, the others after it.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from reviewer.parse.facts import Body, Call, Event, Name, Result
from reviewer.program.linked.link import Program

DEPTH = 2
"""Macros that a macro hands its commands on to, one below the other (``wait_event_cmd()`` has two)."""

PASSES = re.compile(r"(\w+)\s*\(([^()]*)\)")
"""A call whose arguments have no calls in them."""


def in_order(program: Program, path: str, body: Body) -> Body:
    """The body with the commands of macros where they are run."""
    blocks = list(body.blocks)
    for n, block in enumerate(blocks):
        events = list(block.events)
        for outer in block.events:
            if isinstance(outer, Call) and isinstance(outer.callee, Name) and given(outer) and may_run(program, outer.callee.id):
                order = commands(program, outer.callee.id, path)
                later = [outer.args[i] for i in order[1:] if i < len(outer.args)]
                moved: list[Event] = [
                    e for r in later for e in events if isinstance(r, Result) and isinstance(e, Call) and e.number == r.call
                ]
                if moved:
                    events = [e for e in events if e not in moved]
                    at = events.index(outer) + 1
                    events[at:at] = moved
        if tuple(events) != block.events:
            blocks[n] = replace(block, events=tuple(events))
    return replace(body, blocks=tuple(blocks)) if tuple(blocks) != body.blocks else body


def given(call: Call) -> bool:
    """Whether more than one argument is a call."""
    return sum(isinstance(a, Result) for a in call.args) > 1


def may_run(program: Program, name: str) -> bool:
    """Whether a callee can be a macro that does more than compute (``min(f(), g())``)."""
    model = program.models.functions.get(name)
    return bool(model.waits) if model is not None else bool(program.names.files_defining_macro(name))


def commands(program: Program, name: str, path: str, depth: int = DEPTH) -> tuple[int, ...]:
    """The parameters of a macro that are statements in its body, by index, in the order in which they are run."""
    macro = program.macro(name, path)
    parameters = macro.parameters or () if macro is not None else ()
    found: dict[int, int] = {}
    for i, parameter in enumerate(parameters):
        assert macro is not None
        word = re.escape(parameter)
        match = re.search(rf"(?:^|[;{{}}),])\s*{word}\s*;|;\s*{word}\s*\)", macro.body)
        if match is not None:
            found[i] = match.start()
    if not found and macro is not None and depth:
        for inner, given_ in PASSES.findall(macro.body):
            words = [w.strip() for w in given_.split(",")]
            if inner != name and sum(w in parameters for w in words) > 1:
                below = commands(program, inner, path, depth - 1)
                passed = [parameters.index(words[i]) for i in below if i < len(words) and words[i] in parameters]
                if passed:
                    return tuple(passed)
    return tuple(sorted(found, key=lambda i: found[i]))
