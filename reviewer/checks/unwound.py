"""Whether a function on the way undoes, after a failure, what it has itself made: ``x_init(); if (y_init()) x_exit();``

What has just been made has not been put to use, as a rule, so that what would happen with it at other times does not happen.
"""

from __future__ import annotations

from reviewer.checks.focus import Focus
from reviewer.parse.facts import Call, Name
from reviewer.program.flow.effects import Effect
from reviewer.program.flow.lockflow import seen_at
from reviewer.program.flow.precedence import comes_first

MAKES = frozenset({"init", "alloc", "create", "new", "make", "setup"})
"""Words of the names of what makes something."""

ENDS = frozenset({"exit", "free", "cleanup", "destroy", "deinit", "uninit", "fini", "release", "delete", "teardown"})
"""Words of the names of what ends it."""


def undone(focus: Focus, effect: Effect) -> bool:
    """Whether one of the functions on the way to an effect has, before, called what makes the thing that its next call ends, by
    their names."""
    for func, call in effect.way:
        ended = stem(call.callee.id, ENDS) if isinstance(call.callee, Name) else ()
        flow = focus.flow(func) if ended else None
        here = seen_at(flow, call.at)
        if flow is not None and here is not None and any(
            isinstance(s.event, Call) and isinstance(s.event.callee, Name) and stem(s.event.callee.id, MAKES) == ended
            and comes_first(flow.frame, s, here) for s in flow.seen
        ):  # fmt: skip
            return True
    return False


def stem(name: str, edges: frozenset[str]) -> tuple[str, ...]:
    """The words of a name without the one of these that it has; none if it has none."""
    words = name.strip("_").split("_")
    rest = tuple(word for word in words if word not in edges)
    return rest if len(rest) < len(words) else ()
