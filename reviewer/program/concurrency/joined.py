"""Locks that go with an object: it is put on a list of another one (a transaction), and an operation of that kind of entries
releases the lock, some time later.

``lock(p); ... join(transaction, p); return commit(transaction);``: the function that took the lock never lets it go, and
neither does anything that it calls by name.
"""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.parse.facts import Call, Expr, Member, Name
from reviewer.program.flow.lockflow import Flow, Seen, parts_of
from reviewer.program.flow.objects import root_of
from reviewer.program.flow.summaries import Summaries, accesses
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold
from reviewer.program.linked.structs import Frame

BELOW = 1
"""Calls below the function that is given the object, down to the one that puts it on the list."""

MAX_CALLS = 12
"""Functions that a call which joins one object to another makes, at most."""


class Joined:
    """Memoised by function."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.program = summaries.program
        self._links: dict[tuple[str, int], tuple[tuple[str, str, str], ...]] = {}
        self._slots: dict[tuple[str, str], tuple[Func, ...]] = {}

    def operations(self, flow: Flow, hold: Hold, seen: Seen) -> Iterator[Func]:
        """The operations of the kind of entry by which an event puts the object of a lock that it is passed on a list of another
        of its arguments; none if it does nothing of the kind."""
        call = seen.event
        if not isinstance(call, Call) or not isinstance(call.callee, Name) or len(call.args) < 2 or not seen.args:
            return
        mine = [f"%{i}" for i, a in enumerate(seen.args[0]) if isinstance(hold.lock, Member) and a in parts_of(hold.lock)]
        for target in self.summaries.calls.named(call.callee.id, flow.frame.func.path)[:1] if mine else ():
            for entry, head, struct in self.links(target.func) if target.func is not None else ():
                if entry in mine and head not in mine and target.func is not None:
                    yield from self._operations(struct, target.func.path)

    def links(self, func: Func, below: int = BELOW) -> tuple[tuple[str, str, str], ...]:
        """``(entry, head, struct)``: the parameters of which a function puts the one, or a part of it, on a list of the other,
        and the struct that has the list's entry in it."""
        key = (func.key, below)
        got = self._links.get(key)
        if got is None:
            got = self._links[key] = ()
            if func.macro is None and len(func.calls) <= MAX_CALLS and self._may_link(func, below):
                got = self._links[key] = tuple(dict.fromkeys(self._linked(func, below)))
        return got

    def _may_link(self, func: Func, below: int) -> bool:
        models = self.program.models.functions
        for name in func.calls:
            model = models.get(name)
            if model is not None and any(a.op == "add" and not a.atomic for a in model.accesses):
                return True
            if model is None and below and any(self._may_link(f, below - 1) for f in self.program.resolve(name, func.path)[:1]):
                return True
        return False

    def _linked(self, func: Func, below: int) -> Iterator[tuple[str, str, str]]:
        flow = self.summaries.flow(func)
        for seen in flow.seen if flow is not None else ():
            callee = seen.event.callee if isinstance(seen.event, Call) else None
            if not isinstance(callee, Name) or not seen.args or flow is None:
                continue
            model = self.program.models.functions.get(callee.id)
            if model is not None:
                found = {a.op: path for a, path in accesses(model, seen.args[0]) if not a.atomic}
                if set(found) == {"add", "set"}:
                    yield from self._pair(flow.frame, found["set"], found["add"])
                continue
            for target in self.summaries.calls.named(callee.id, func.path)[:1] if below else ():
                for entry, head, struct in self.links(target.func, below - 1) if target.func is not None else ():
                    roots = [root_of(a) for a in seen.args[0]]
                    one, two = int(entry[1:]), int(head[1:])
                    if max(one, two) < len(roots):
                        yield from self._named(roots[one], roots[two], struct)

    def _pair(self, frame: Frame, entry: Expr, head: Expr) -> Iterator[tuple[str, str, str]]:
        owner = frame.type_of(entry.base) if isinstance(entry, Member) else None
        if owner is not None:
            yield from self._named(root_of(entry), root_of(head), frame.resolve(owner).name)

    @staticmethod
    def _named(entry: Expr, head: Expr, struct: str) -> Iterator[tuple[str, str, str]]:
        if isinstance(entry, Name) and isinstance(head, Name) and entry.id[:1] == head.id[:1] == "%":
            yield entry.id, head.id, struct

    def _operations(self, struct: str, path: str) -> tuple[Func, ...]:
        """What the tables of functions hold to which a struct has a pointer."""
        key = (struct, path)
        got = self._slots.get(key)
        if got is None:
            got = self._slots[key] = tuple({f.key: f for f in self._in_tables(struct, path)}.values())
        return got

    def _in_tables(self, struct: str, path: str) -> Iterator[Func]:
        found = self.program.struct_at(struct, path)
        for field in found[1].fields if found is not None else ():
            table = self.program.struct_at(field.type.name, path) if field.type.pointer == 1 else None
            for slot in table[1].fields if table is not None else ():
                if slot.type.function:
                    yield from (f for _, f in self.summaries.calls.entries(field.type.name, slot.name, path))
