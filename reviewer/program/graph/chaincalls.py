"""What calls a notifier chain that it is given: the API by its models, and other functions by what they do.

A function calls a chain if it takes the chain's head as a parameter and hands it to one that does, or hands on the head's list
to one that calls ``notifier_call`` of its elements. What it holds of the head around that call is the chain's own lock.
"""

from __future__ import annotations

from typing import Literal

from reviewer.parse.facts import AddressOf, Call, Expr, Member, Name
from reviewer.program.api.models import ChainCall, Place, Takes
from reviewer.program.flow.summaries import Summaries
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold

HEAD_TYPES: dict[str, Literal["blocking", "atomic", "raw", "srcu"]] = {
    "struct blocking_notifier_head": "blocking",
    "struct atomic_notifier_head": "atomic",
    "struct raw_notifier_head": "raw",
    "struct srcu_notifier_head": "srcu",
}
"""The four kinds of chain of include/linux/notifier.h."""

LIST = "head"
"""The member of a head that its list is (include/linux/notifier.h)."""

CALLBACK = "notifier_call"
"""The member of a notifier block that is called."""

MAX_WRAPPERS = 4
"""Functions between a call and the one that walks the list that are followed."""


class ChainCalls:
    """Functions that call chains. ``modelled``: those of the API, by name."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.program = summaries.program
        models = self.program.models.functions
        self.modelled = {n: m.chain_call for n, m in models.items() if m.chain_call is not None}
        self._found: dict[str, ChainCall | None] = {}
        self._named: dict[tuple[str, str], ChainCall | None] = {}

    def of(self, name: str, path: str) -> ChainCall | None:
        """How a function that ``path`` calls by this name calls a chain; None if it calls none that it is given."""
        got = self.modelled.get(name)
        if got is None and self.program.model(name) is None:
            key = (name, path)
            if key not in self._named:
                found = (self._of(func, 0) for func in self.program.resolve(name, path) if func.macro is None)
                self._named[key] = next((f for f in found if f is not None), None)
            got = self._named[key]
        return got

    def _of(self, func: Func, depth: int) -> ChainCall | None:
        if func.key not in self._found:
            self._found[func.key] = None  # recursion adds nothing
            if heads_of(func) and depth < MAX_WRAPPERS:
                self._found[func.key] = self._look(func, depth)
        return self._found[func.key]

    def _look(self, func: Func, depth: int) -> ChainCall | None:
        flow = self.summaries.flow(func)
        for seen in flow.seen if flow is not None else ():
            if not isinstance(seen.event, Call):
                continue
            callee, args = seen.event.callee, seen.args[0]
            if isinstance(callee, Member) and callee.name == CALLBACK:  # it walks the list itself
                data = parameter(args[2]) if len(args) > 2 else None
                return next((self._called(func, i, data, seen.must()) for i in heads_of(func)), None)
            if not isinstance(callee, Name):
                continue
            inner = self.modelled.get(callee.id)
            if inner is None and self.program.model(callee.id) is None:
                found = (self._of(f, depth + 1) for f in self.program.resolve(callee.id, func.path) if f.macro is None)
                inner = next((f for f in found if f is not None), None)
            if inner is not None:
                head = parameter(args[inner.chain.index]) if inner.chain.index < len(args) else None
                if head is not None:
                    data = parameter(args[inner.data]) if inner.data is not None and inner.data < len(args) else None
                    return ChainCall(
                        chain=Place(base="arg", index=head), kind=inner.kind, action=None, data=data,
                        holds=moved(inner.holds, inner.chain.index, head),
                    )  # fmt: skip
            walked = self._walked(func, callee.id, args, seen.must())
            if walked is not None:
                return walked
        return None

    def _walked(self, func: Func, name: str, args: tuple[Expr, ...], held: tuple[Hold, ...]) -> ChainCall | None:
        """A call that hands on the list of a head that is a parameter, to a function that calls its elements."""
        for arg in args:
            list_ = arg.base if isinstance(arg, AddressOf) else None
            head = parameter(list_.base) if isinstance(list_, Member) and list_.name == LIST and list_.arrow else None
            data = self._element_data(name, func.path) if head in heads_of(func) else None
            if head is None or data is None:
                continue
            return self._called(func, head, parameter(args[data]) if data < len(args) else None, held)
        return None

    def _called(self, func: Func, head: int, data: int | None, held: tuple[Hold, ...]) -> ChainCall:
        """The call of the chain that parameter ``head`` is; a member of it that is held is the chain's own lock."""
        own = [(h, h.lock.name) for h in held if isinstance(h.lock, Member) and h.lock.base == Name(f"%{head}")]
        holds = [
            Takes(lock=Place(base="arg", index=head, path=(member,)), kind=h.kind, mode=h.mode, taken=h.taken)
            for h, member in own
        ]
        return ChainCall(
            chain=Place(base="arg", index=head), kind=HEAD_TYPES[func.parameters[head].type.name], action=None, data=data,
            holds=holds[0] if holds else None,
        )  # fmt: skip

    def _element_data(self, name: str, path: str) -> int | None:
        """The parameter that a function passes as data to ``notifier_call`` of what it walks; None if it calls none."""
        for func in self.program.resolve(name, path):
            flow = self.summaries.flow(func)
            for seen in flow.seen if flow is not None else ():
                event = seen.event
                if isinstance(event, Call) and isinstance(event.callee, Member) and event.callee.name == CALLBACK:
                    return (parameter(seen.args[0][2]) or 0) if len(seen.args[0]) > 2 else 0
        return None


def heads_of(func: Func) -> list[int]:
    """Numbers of the parameters that point to a chain's head."""
    return [i for i, p in enumerate(func.parameters) if p.type.pointer == 1 and p.type.name in HEAD_TYPES]


def parameter(expr: Expr) -> int | None:
    """The number of the parameter that an expression is."""
    return int(expr.id[1:]) if isinstance(expr, Name) and expr.id[:1] == "%" and expr.id[1:].isdigit() else None


def moved(holds: Takes | None, old: int, new: int) -> Takes | None:
    """The chain's lock with the head as another argument."""
    if holds is None or holds.lock.base != "arg":
        return holds
    if holds.lock.index != old:
        return None
    lock = Place(base="arg", index=new, path=holds.lock.path, address=holds.lock.address)
    return Takes(lock=lock, kind=holds.kind, mode=holds.mode, taken=holds.taken)
