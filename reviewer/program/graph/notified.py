"""On which notifier chain a callback is, from its block upwards: who passes the block on, and to what that comes in the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reviewer.parse.facts import Call, Expr, Member, Name
from reviewer.program.api.models import ChainKind
from reviewer.program.graph.callers import stripped
from reviewer.program.linked.link import Func, Program
from reviewer.program.linked.locks import lock_class

Chain = tuple[ChainKind, str]
"""Its kind, and its head as :attr:`Joined.chain` has it."""

MAX_WRAPPERS = 3
"""Functions that pass the block on, one to the next (``register_netevent_notifier()``)."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A chain of a ``kind`` on which a block is put by a call of ``api`` in a function. ``chain``: the name of
    the head, or of the member that it is."""

    kind: ChainKind
    chain: str
    api: str
    path: str
    line: int
    function: str


class Notified:
    """Memoised by the block's name, its struct and its file."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._made: dict[tuple[str, str, str], tuple[Joined, ...]] = {}
        self._wrapped: dict[tuple[str, int, str], Chain | None] = {}

    def chains(self, block: str, path: str, whole: str = "") -> tuple[Joined, ...]:
        """Where the unit of a file registers a block, by the name of its variable or member.

        :param whole: of a member, its name with its struct's (``struct pump.nb``), where that is known: others call theirs so.
        """
        key = (block, path, whole)
        got = self._made.get(key)
        if got is None:
            got = self._made[key] = tuple(self._joined(block, path, whole))
        return got

    def _joined(self, block: str, path: str, whole: str) -> Iterator[Joined]:
        for file in self.program.unit(path):
            for user in self.program.functions_with(file, block):
                for call, index in passing(self.program, user, block):
                    if whole and self._whole(user, call.args[index]) not in ("", whole):
                        continue
                    chain = self._chain(call, index, file, MAX_WRAPPERS)
                    if chain is not None:
                        yield Joined(*chain, called(call), file, user.line_of(call.at), user.name)

    def _whole(self, user: Func, block: Expr) -> str:
        """The name of a block that is a member, with its struct's."""
        frame = self.program.frame(user)
        return lock_class(frame, frame.canonical(stripped(block), {}))

    def _chain(self, call: Call, index: int, path: str, wrappers: int) -> Chain | None:
        """The chain that a call puts one of its arguments on, if it does."""
        model = self.program.models.functions.get(self.program.models.meant(called(call)))
        register = model.chain_register if model is not None else None
        if register is None:
            return self._wrapper(called(call), index, path, wrappers) if wrappers else None
        if register.remove or register.block != index or register.chain.base != "arg":
            return None
        return (register.kind, named(call.args[register.chain.index])) if register.chain.index < len(call.args) else None

    def _wrapper(self, api: str, index: int, path: str, wrappers: int) -> Chain | None:
        """The chain that a function puts one of its parameters on."""
        key = (api, index, path)
        if key not in self._wrapped:
            self._wrapped[key] = None
            for receiver in self.program.resolve(api, path)[:1]:
                words = [p.name for p in receiver.parameters]
                inner = passing(self.program, receiver, words[index]) if index < len(words) else ()
                chains = (self._chain(call, at, receiver.path, wrappers - 1) for call, at in inner)
                self._wrapped[key] = next((c for c in chains if c is not None), None)
        return self._wrapped[key]


def called(call: Call) -> str:
    return call.callee.id if isinstance(call.callee, Name) else ""


def passing(program: Program, func: Func, block: str) -> Iterator[tuple[Call, int]]:
    """Calls that a function passes a block to, by its name, with the index of that argument."""
    body = program.body(func)
    for part in body.blocks if body is not None else ():
        for event in part.events:
            for index, arg in enumerate(event.args) if isinstance(event, Call) else ():
                if named(arg) == block:
                    assert isinstance(event, Call)
                    yield event, index


def named(value: Expr) -> str:
    """The variable or member that an argument is, or is the address of; "" for another."""
    value = stripped(value)
    if isinstance(value, Member):
        return value.name
    return value.id.removeprefix("::") if isinstance(value, Name) else ""
