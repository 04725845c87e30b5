"""Who ends a wait for a condition: the functions that change what it looks at, and wake the queue.

Both in one function, as a rule; who changes it elsewhere and has others wake the queue is not found, and nothing is said then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reviewer.parse.facts import Call, Expr, Name, Result
from reviewer.program.concurrency.awaited import Waited
from reviewer.program.concurrency.shared import Access, Shared
from reviewer.program.flow.effects import Effect
from reviewer.program.flow.lockflow import Seen
from reviewer.program.flow.objects import object_name, objects_read, reads, rooted
from reviewer.program.flow.summaries import place
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame


@dataclass(frozen=True, slots=True)
class Change:
    """A write of something that the condition looks at, in a function that then wakes the queue."""

    func: Func
    seen: Seen
    access: Access


class Wakers:
    """Memoised by the wait."""

    def __init__(self, waited: Waited, shared: Shared) -> None:
        self.waited = waited
        self.shared = shared
        self.program = waited.program
        self._found: dict[tuple[str, int], tuple[Change, ...]] = {}

    def of(self, asked: Func, effect: Effect) -> tuple[Change, ...]:
        """The changes that can end the wait of an effect, in functions other than the one that waits."""
        key = effect.func.key, effect.at
        if key not in self._found:
            self._found[key] = tuple(self._search(asked, effect))
        return self._found[key]

    def _search(self, asked: Func, effect: Effect) -> Iterator[Change]:
        frame = self.program.frame(effect.func)
        objects = frozenset(self._condition(frame, effect))
        for inner, queue in self.waited.objects(asked, effect) if objects else ():
            name = object_name(inner, rooted(inner, queue))
            for func in self.waited.users(inner, name) if name else ():
                if func.key != effect.func.key and self._wakes(func, name):
                    yield from self._changes(func, objects)
            if name:
                return

    def _condition(self, frame: Frame, effect: Effect) -> Iterator[str]:
        """The objects that the condition of the wait looks at, those that it passes to a call among them."""
        index = effect.wait.condition if effect.wait is not None else None
        flow = self.waited.summaries.flow(effect.func) if index is not None else None
        for seen in flow.seen if flow is not None else ():
            if index is None or not isinstance(seen.event, Call) or seen.event.at != effect.at:
                continue
            for args in seen.args[:1]:
                if index == len(args) - 1:  # what is passed behind it is done around the sleep: it may let go of the lock
                    yield from (name for name, _ in objects_read(frame, args[index]))
                    for path in self._passed(frame, args[index]):
                        yield object_name(frame, rooted(frame, path))

    def _passed(self, frame: Frame, condition: Expr) -> Iterator[Expr]:
        """What is read for the arguments of calls in an expression."""
        for part in values.walk(condition):
            call = frame.call(part.call) if isinstance(part, Result) else None
            for argument in call.args if call is not None else ():
                yield from reads(frame.canonical(argument, {}))

    def _wakes(self, func: Func, queue: str) -> bool:
        """Whether a function wakes those who wait on a queue."""
        models = self.program.models.functions
        frame = self.program.frame(func)
        names = {n for n in func.calls if (m := models.get(n)) is not None and any(s.what == "event" for s in m.signals)}
        for block in frame.body.blocks if names and frame.body is not None else ():
            for event in block.events:
                if isinstance(event, Call) and isinstance(event.callee, Name) and event.callee.id in names:
                    args = tuple(frame.canonical(a, {}) for a in event.args)
                    found = [place(s.on, args) for s in models[event.callee.id].signals]
                    if any(on is not None and object_name(frame, rooted(frame, on)) == queue for on in found):
                        return True
        return False

    def _changes(self, func: Func, objects: frozenset[str]) -> Iterator[Change]:
        flow = self.waited.summaries.flow(func)
        events = {s.event.at: s for s in flow.seen} if flow is not None else {}
        for access in self.shared.of(func):
            if access.op != "read" and access.object in objects and access.at in events:
                yield Change(func, events[access.at], access)
