"""Waits of a callback for shared state: for a condition on it, for a completion, by a polling loop.

Two callers of the callback pass such a wait together unless a lock or a gate of the callback's own spans it; and after it,
what the callback itself has queued earlier has come to its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from reviewer.parse import facts
from reviewer.parse.cfg import successors
from reviewer.parse.facts import AddressOf, Branch, Call, Cast, Config, Deref, Expr, Index, Member, Name, Result
from reviewer.program import values
from reviewer.program.link import Func
from reviewer.program.locks import Hold
from reviewer.program.models import Waits
from reviewer.program.objects import object_name, objects_read, root_of, rooted
from reviewer.program.shared import Closure, Shared, Visit, exclusive
from reviewer.program.summaries import place

DRAINING = frozenset({"work", "workqueue", "timer", "irq", "thread", "grace_period", "tasklet", "callbacks"})
"""Waits after which callbacks that were queued before have run (models, ``Waits.what``)."""


@dataclass(frozen=True, slots=True)
class Wait:
    """One wait. ``objects``: names, each with its bit as text, whose value is waited for; empty where the wait is for
    queued callbacks to have run, whatever they touch."""

    visit: Visit
    at: int
    objects: tuple[tuple[str, str], ...]
    held: tuple[Hold, ...]
    gates: frozenset[str]

    def guards(self) -> frozenset[str]:
        return exclusive(self.held) | self.gates


def waits(shared: Shared, closure: Closure) -> list[Wait]:
    """Every wait that the callback makes before it returns."""
    return [w for visit in closure.visits if not visit.later for w in in_visit(shared, closure, visit)]


def in_visit(shared: Shared, closure: Closure, visit: Visit) -> Iterator[Wait]:
    frame = shared.program.frame(visit.func)
    flow = shared.summaries.flow(visit.func)
    polls = polling(frame.body) if frame.body is not None else {}
    for seen in flow.seen if flow is not None else ():
        held = visit.held + seen.must()
        event = seen.event
        objects: list[tuple[str, str]] | None = None
        if isinstance(event, Call) and isinstance(event.callee, Name):
            model = shared.program.model(event.callee.id)
            for wait in model.waits if model is not None else ():
                args = seen.args[0]
                if wait.condition is not None and wait.condition < len(args):
                    objects = objects_read(frame, args[wait.condition])
                elif wait.what == "completion":
                    on = place(wait.on, args) if wait.on is not None else None
                    name = object_name(frame, rooted(frame, on)) if on is not None else ""
                    objects = completed_by(shared, closure, name) if name else None
                elif drains(wait):
                    objects = []
        elif isinstance(event, facts.Read) and event.at in polls and seen.args:
            found = objects_read(frame, seen.args[0][0])
            changed = {(a.object, a.bit) for a in shared.of(visit.func) if a.op != "read" and a.block in polls[event.at]}
            if found and not changed & set(found):
                objects = found
        if objects is not None:
            gates = visit.gates | shared.gate_names(frame, event.at)
            yield Wait(visit, event.at, tuple(objects), held, gates)


def drains(wait: Waits) -> bool:
    return wait.what in DRAINING and not wait.gives_up


def completed_by(shared: Shared, closure: Closure, name: str) -> list[tuple[str, str]]:
    """The counts whose end is told by this completion: ``if (atomic_dec_and_test(&n)) complete(&done);``."""
    found: dict[tuple[str, str], None] = {}
    for visit in closure.visits:
        frame = shared.program.frame(visit.func)
        flow = shared.summaries.flow(visit.func)
        for seen in flow.seen if flow is not None else ():
            call = seen.event
            model = shared.program.model(call.callee.id) if isinstance(call, Call) and isinstance(call.callee, Name) else None
            for signal in model.signals if model is not None else ():
                on = place(signal.on, seen.args[0])
                if signal.what == "completion" and on is not None and object_name(frame, rooted(frame, on)) == name:
                    for gate in shared.gate_names(frame, seen.event.at):
                        found[gate, ""] = None
    return list(found)


@lru_cache(maxsize=4096)
def reachable(body: facts.Body) -> tuple[frozenset[int], ...]:
    """For each block those that can run after it."""
    result = []
    for start in range(len(body.blocks)):
        seen: set[int] = set()
        todo = list(successors(body.blocks[start].exit))
        while todo:
            b = todo.pop()
            if b not in seen:
                seen.add(b)
                todo.extend(successors(body.blocks[b].exit))
        result.append(frozenset(seen))
    return tuple(result)


def polling(body: facts.Body) -> dict[int, frozenset[int]]:
    """Branches that leave or repeat a loop on a condition with no local in it: position to the loop's blocks."""
    found: dict[int, frozenset[int]] = {}
    after = reachable(body)
    calls = {e.number: e for b in body.blocks for e in b.events if isinstance(e, Call)}
    names = {v.name for v in body.locals if not v.static}
    for b, block in enumerate(body.blocks):
        exit_ = block.exit
        if not isinstance(exit_, Branch) or isinstance(exit_.condition, Config) or b not in after[b]:
            continue
        if (b in after[exit_.then] or exit_.then == b) == (b in after[exit_.other] or exit_.other == b):
            continue
        if not any(n in names or n.startswith("?") for n in plain_names(exit_.condition, calls)):
            found[exit_.at] = frozenset(x for x in after[b] if b in after[x])
    return found


def plain_names(expr: Expr, calls: dict[int, Call]) -> set[str]:
    """Names whose own value is in the expression or in the arguments of its calls; ``p`` in ``p->busy`` is none."""
    if isinstance(expr, Name):
        return {expr.id}
    if isinstance(expr, Result):
        call = calls.get(expr.call)
        if call is None:
            return set()
        found = {"?"} if call.loop else set()  # an iterator's own condition
        return found.union(*(plain_names(a, calls) for a in call.args))
    if isinstance(expr, Member | Deref | AddressOf | Index | Cast):
        root = root_of(expr)
        found = set() if isinstance(root, Name) else plain_names(root, calls)
        return found.union(*(plain_names(e.index, calls) for e in values.walk(expr) if isinstance(e, Index)))
    return set().union(*(plain_names(e, calls) for e in values.children(expr)))


# --- order ----------------------------------------------------------------------------------------

Way = tuple[tuple[Func, int], ...]
"""Positions from the root down: each call on the way, then the event itself."""


def way_to(path: tuple[tuple[Func, Call], ...], func: Func, at: int) -> Way:
    return (*((f, c.at) for f, c in path), (func, at))


def comes_after(shared: Shared, first: Way, second: Way) -> bool:
    """Whether the second event can run once the first has, in one run of the root."""
    for (f, a), (g, b) in zip(first, second, strict=False):
        if f.key != g.key:
            return False
        if a != b:
            body = shared.program.body(f)
            return body is not None and in_order(body, a, b)
    return False


def in_order(body: facts.Body, first: int, second: int) -> bool:
    """Whether the event at position ``second`` can run after the one at ``first``."""
    here, there = located(body, first), located(body, second)
    if here is None or there is None:
        return False
    if there[0] in reachable(body)[here[0]]:
        return True
    return here[0] == there[0] and here[1] < there[1]


def located(body: facts.Body, at: int) -> tuple[int, int] | None:
    """Block and index of the event, or of the exit, at a position."""
    for b, block in enumerate(body.blocks):
        for i, event in enumerate(block.events):
            if event.at == at:
                return b, i
        if getattr(block.exit, "at", None) == at:
            return b, len(block.events)
    return None
