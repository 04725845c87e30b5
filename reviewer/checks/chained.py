"""What the callbacks of a notifier chain do to whoever calls the chain under a lock: they may come back to what takes it.

Asked only where chain and lock belong together, as members of one object or as objects of one file: what the chain tells of is
what the lock protects, so that callbacks will ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from msgspec.structs import replace

from reviewer.checks.focus import Focus
from reviewer.parse.facts import Call, Name
from reviewer.program.flow.effects import Effect
from reviewer.program.flow.lockflow import Seen
from reviewer.program.graph.chains import NotifierChain
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold

MAX_USERS = 40
"""Callbacks of one chain that are asked."""


@dataclass(slots=True)
class Chained:
    """Memoised by chain."""

    focus: Focus
    _users: dict[str, tuple[Func, ...]] = field(default_factory=dict)

    def at(self, func: Func, seen: Seen, held: tuple[Hold, ...]) -> Iterator[Effect]:
        """The locks that callbacks take of a chain which is called under locks that belong to it."""
        call, chains = seen.event, self.focus.analysis.chains
        if not isinstance(call, Call) or not isinstance(call.callee, Name) or not seen.args:
            return
        spec = chains.calling.modelled.get(call.callee.id)
        if spec is None or spec.chain.index >= len(seen.args[0]):
            return
        frame = self.focus.program.frame(func)
        head = chains.names_of(frame, seen.args[0][spec.chain.index], spec.chain.address)
        names = {h.name for h in held if belong(head, h.name)}
        for callback in self.users(head) if names else ():
            binding = self.focus.summaries.bind(callback, seen.args[0], frame)
            for effect in self.focus.effects.of(callback, binding):
                if effect.kind == "acquire" and effect.hold is not None and effect.hold.name in names and not effect.doubt:
                    yield replace(effect, way=((func, call), *effect.way), held=(*seen.must(), *effect.held), back=True)

    def users(self, head: str) -> tuple[Func, ...]:
        got = self._users.get(head)
        if got is None:
            chain = NotifierChain(head, "", head.rpartition(":")[0], 0)
            self.focus.analysis.chains.complete([chain])
            got = self._users[head] = tuple({u.callback.key: u.callback for u in chain.users}.values())[:MAX_USERS]
        return got


def belong(head: str, lock: str) -> bool:
    """Whether a chain and a lock are members of one struct, or statics of one file."""
    owner = head.rpartition("." if head.startswith(("struct ", "union ")) else ":")[0]
    return bool(owner) and lock.startswith((f"{owner}.", f"{owner}:"))
