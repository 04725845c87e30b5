"""What a function needs an RCU read section for, at any depth: reads that neither it nor those it calls protect.

Bottom-up and bounded like ``effects.py``. Any RCU flavour counts as a section of every other: since v5.0 one grace period waits
for all of them, and before it nobody mixes them without a reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reviewer.parse.facts import Call, Name, Result
from reviewer.program.api.models import Function as Model
from reviewer.program.api.models import RcuRead
from reviewer.program.flow.horizon import cost
from reviewer.program.flow.lockflow import Seen
from reviewer.program.flow.objects import object_name, rooted
from reviewer.program.flow.summaries import Summaries, place
from reviewer.program.graph.upward import ATOMIC
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold
from reviewer.program.linked.structs import Frame

DEPTH = 4
"""How far below a function reads are looked for, in the distances of ``horizon.py``."""

MAX_NEEDS = 12
"""Needs of one function that are kept, the nearest first."""

MACROS = 2
"""Macros, one by way of the other, that are looked into for a section around their arguments."""


@dataclass(frozen=True, slots=True)
class Need:
    """A read that wants a section: the API function ``name`` is called at ``at`` in ``func``.

    ``object``: class of what is read, "" if it has no name. ``way``: the calls from the function that was asked. ``held``:
    locks that those on the way hold. ``vouched``: the read says itself under which other condition it is right.
    """

    name: str
    object: str
    spec: RcuRead
    func: Func
    at: int
    way: tuple[tuple[Func, Call], ...] = ()
    held: tuple[Hold, ...] = ()
    vouched: bool = False

    @property
    def through(self) -> str:
        """What the function itself calls."""
        return self.way[1][0].name if len(self.way) > 1 else self.func.name if self.way else self.name

    def key(self) -> tuple[str, str]:
        """Reads with equal keys are the same to a caller."""
        return self.name, self.object


class Needs:
    """Memoised by function and depth."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.program = summaries.program
        self._made: dict[tuple[str, int], tuple[Need, ...]] = {}

    def of(self, func: Func, depth: int = DEPTH) -> tuple[Need, ...]:
        """The needs of a function that it does not see to itself, the nearest first."""
        key = (func.key, depth)
        got = self._made.get(key)
        if got is None:
            if not self.summaries.names.horizon.has(reads_rcu, func, depth):
                return ()
            self._made[key] = ()  # a recursion needs nothing more
            flow = self.summaries.flow(func)
            found: dict[tuple[str, str], Need] = {}
            for seen in flow.seen if flow is not None else ():
                for need in self.at(func, seen, depth):
                    if not in_section(seen, need):
                        found.setdefault(need.key(), need)
            got = self._made[key] = tuple(sorted(found.values(), key=lambda n: len(n.way)))[:MAX_NEEDS]
        return got

    def at(self, func: Func, seen: Seen, depth: int = DEPTH) -> Iterator[Need]:
        """The needs of one call, whatever is held around it."""
        call = seen.event
        if not isinstance(call, Call):
            return
        frame = self.program.frame(func)
        targets = self.summaries.calls.targets(frame, seen.callee or call.callee)
        if len(targets) != 1 or not targets[0].sure:
            return
        target = targets[0]
        if self.in_macro(frame, call):
            return
        if target.model is not None:
            spec = target.model.rcu_read
            if spec is None or spec.writer:
                return
            vouched = spec.condition is not None and spec.condition < len(call.args)
            at = place(spec.object, seen.args[0]) if spec.object is not None and seen.args else None
            name = object_name(frame, rooted(frame, at)) if at is not None else ""
            yield Need(target.name, name, spec, func, call.at, vouched=vouched or bool(spec.instead))
        elif target.func is not None:
            left = depth - cost(func, target.func)
            for need in self.of(target.func, left) if left >= 0 else ():
                yield replace(need, way=((func, call), *need.way), held=(*seen.must(), *need.held))

    def in_macro(self, frame: Frame, call: Call) -> bool:
        """Whether a call is an argument of a macro that evaluates it in a section of its own (``debug_rcu("%s", name_of(x))``
        with ``rcu_read_lock(); printk(fmt, ##__VA_ARGS__); rcu_read_unlock();``)."""
        if frame.body is None or not frame.uses(call.number):
            return False
        result, path = Result(call.number), frame.func.path
        return any(
            isinstance(e, Call) and isinstance(e.callee, Name) and any(result in values.walk(a) for a in e.args)
            and self.wraps(e.callee.id, path)
            for block in frame.body.blocks for e in block.events
        )  # fmt: skip

    def wraps(self, name: str, path: str, levels: int = MACROS) -> bool:
        """Whether the name is that of a macro which opens a section and closes it."""
        models = self.program.models.functions
        if name in models:
            return False
        for macro in self.program.resolve(name, path)[:1]:
            if macro.macro is None:
                return False
            known = [m for c in macro.calls if (m := models.get(c)) is not None]
            if any(t.kind == "rcu" for m in known for t in m.takes) and any(d.kind == "rcu" for m in known for d in m.drops):
                return True
            return levels > 1 and any(self.wraps(c, macro.path, levels - 1) for c in macro.calls if c != name)
        return False


def reads_rcu(model: Model) -> bool:
    """Whether a modelled call reads what RCU protects."""
    return model.rcu_read is not None and not model.rcu_read.writer


def in_section(seen: Seen, need: Need) -> bool:
    """Whether a read stands in a section, or under a lock that does as well, in some world of an event."""
    return any(protects(h, need) for world in seen.held for h in world)


def protects(hold: Hold, need: Need) -> bool:
    """Whether a lock makes the read right by itself."""
    return hold.kind == need.spec.flavour or hold.name in need.spec.instead


def excuses(hold: Hold, need: Need) -> bool:
    """Whether a lock may be what keeps the writers out, or makes a grace period wait."""
    return hold.kind in ATOMIC or hold.mode == "exclusive" or (hold.kind == "srcu" and need.spec.flavour == "rcu")
