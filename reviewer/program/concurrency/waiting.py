"""Waits of a callback for shared state: for a condition on it, for a completion, by a polling loop.

Two callers of the callback pass such a wait together unless a lock or a gate of the callback's own spans it; and after it,
what the callback itself has queued earlier has come to its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reviewer.parse import facts
from reviewer.parse.facts import AddressOf, Branch, Call, Cast, Config, Deref, Expr, Index, Member, Name, Result
from reviewer.program.api.models import Waits
from reviewer.program.concurrency.shared import Closure, Shared, Visit, exclusive
from reviewer.program.flow.objects import object_name, objects_read, root_of, rooted
from reviewer.program.flow.precedence import in_order, order_of
from reviewer.program.flow.summaries import place
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold

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
    changes: dict[tuple[str, str], set[int]] = {}
    for a in shared.of(visit.func) if polls else ():
        if a.op != "read":
            changes.setdefault((a.object, a.bit), set()).add(a.block)
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
            if found and all(polls[event.at].isdisjoint(changes.get(o, ())) for o in found):
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


def polling(body: facts.Body) -> dict[int, frozenset[int]]:
    """Branches that leave or repeat a loop on a condition with no local in it: position to the loop's blocks."""
    found: dict[int, frozenset[int]] = {}
    order = order_of(body)
    calls = {e.number: e for b in body.blocks for e in b.events if isinstance(e, Call)}
    names = {v.name for v in body.locals if not v.static}
    for b, block in enumerate(body.blocks):
        exit_ = block.exit
        if not isinstance(exit_, Branch) or isinstance(exit_.condition, Config) or not order.after(b, b):
            continue
        if (order.after(exit_.then, b) or exit_.then == b) == (order.after(exit_.other, b) or exit_.other == b):
            continue
        if not any(n in names or n.startswith("?") for n in plain_names(exit_.condition, calls)):
            found[exit_.at] = order.loop(b)
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
