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
from reviewer.program.lockflow import Seen
from reviewer.program.locks import Hold
from reviewer.program.models import Waits
from reviewer.program.objects import object_name, objects_read, root_of, rooted
from reviewer.program.shared import Closure, Shared, Visit, exclusive
from reviewer.program.structs import Frame
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


class Order:
    """Which block of a body can run after which.

    By strongly connected components, each with the set of those behind it as the bits of a number: a body of 20,000
    blocks has 400 million pairs.
    """

    def __init__(self, body: facts.Body) -> None:
        self.component = components(body)
        count = max(self.component, default=-1) + 1
        behind = [0] * count
        size = [0] * count
        for b in range(len(body.blocks)):
            size[self.component[b]] += 1
        members: list[list[int]] = [[] for _ in range(count)]
        for b, c in enumerate(self.component):
            members[c].append(b)
        for c in range(count):  # a component is numbered after everything that it leads to
            for b in members[c]:
                for to in successors(body.blocks[b].exit):
                    other = self.component[to]
                    if other != c or size[c] > 1 or to == b:
                        behind[c] |= behind[other] | 1 << other
        self._behind = behind
        self._members = members

    def after(self, first: int, second: int) -> bool:
        """Whether block ``second`` can run once ``first`` has ended."""
        return bool(self._behind[self.component[first]] >> self.component[second] & 1)

    def loop(self, block: int) -> frozenset[int]:
        """The blocks that can run both after ``block`` and before it runs again; none if it never does."""
        return frozenset(self._members[self.component[block]]) if self.after(block, block) else frozenset()


def components(body: facts.Body) -> list[int]:
    """The number of each block's strongly connected component, those that are reached first numbered first (Tarjan 1972)."""
    found = [-1] * len(body.blocks)
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    open_: list[int] = []
    number = 0
    for root in range(len(body.blocks)):
        if root in index:
            continue
        stack = [(root, successors(body.blocks[root].exit))]
        index[root] = low[root] = len(index)
        open_.append(root)
        while stack:
            b, rest = stack[-1]
            for to in rest:
                if to not in index:
                    index[to] = low[to] = len(index)
                    open_.append(to)
                    stack.append((to, successors(body.blocks[to].exit)))
                    break
                if found[to] < 0:
                    low[b] = min(low[b], index[to])
            else:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[b])
                if low[b] == index[b]:
                    while True:
                        member = open_.pop()
                        found[member] = number
                        if member == b:
                            break
                    number += 1
    return found


@lru_cache(maxsize=4096)
def order_of(body: facts.Body) -> Order:
    return Order(body)


def comes_first(frame: Frame, one: Seen, other: Seen) -> bool:
    """Whether an event can come before another."""
    if one.block == other.block and one.event.at < other.event.at:
        return True
    return frame.body is not None and order_of(frame.body).after(one.block, other.block)


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


def in_order(body: facts.Body, first: int, second: int) -> bool:
    """Whether the event at position ``second`` can run after the one at ``first``."""
    here, there = located(body, first), located(body, second)
    if here is None or there is None:
        return False
    if order_of(body).after(here[0], there[0]):
        return True
    return here[0] == there[0] and here[1] < there[1]


def located(body: facts.Body, at: int) -> tuple[int, int] | None:
    """Block and index of the event, or of the exit, at a position."""
    return positions(body).get(at)


@lru_cache(maxsize=4096)
def positions(body: facts.Body) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for b, block in enumerate(body.blocks):
        for i, event in enumerate(block.events):
            found.setdefault(event.at, (b, i))
        at = getattr(block.exit, "at", None)
        if at is not None:
            found.setdefault(at, (b, len(block.events)))
    return found
