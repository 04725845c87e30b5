"""What every check works on: the linked program, the chains in question, and their callbacks with their contexts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from reviewer.parse.facts import AddressOf, Name
from reviewer.program.api.models import Obligation
from reviewer.program.concurrency.shared import Shared
from reviewer.program.flow.effects import Effects
from reviewer.program.flow.horizon import Horizon
from reviewer.program.flow.summaries import Near, Summaries
from reviewer.program.graph.chains import Chains, ChainUser, NotifierChain
from reviewer.program.graph.contexts import Context, Contexts
from reviewer.program.graph.reach import Reach
from reviewer.program.linked.link import Func, Program
from reviewer.program.linked.locks import Hold


@dataclass(frozen=True, slots=True)
class Callback:
    """One callback of a chain, and the world it runs in.

    ``serialiser``: the lock that every caller of the chain holds exclusively, or None. ``owes``: it has to add to
    the count that its third argument points to. ``in_reclaim``: its callers are in reclaim or in the OOM killer.
    """

    func: Func
    chain: NotifierChain
    user: ChainUser
    context: Context
    serialiser: Hold | None
    obligation: Obligation | None
    owes: bool

    @property
    def alone(self) -> bool:
        """Whether there can be no second caller and nobody else, for the machine is going down."""
        return self.obligation is not None and self.obligation.alone

    @property
    def in_reclaim(self) -> bool:
        return self.obligation is not None and self.obligation.in_reclaim


class Analysis:
    """One scan's view of a program. ``everything``: not only chains are in question. ``chains_too``: the files of the chains
    and of their callers are looked into, not only those of the callbacks."""

    def __init__(
        self, program: Program, everything: bool = False, chains_too: bool = True, near: Near | None = None, review: bool = False
    ) -> None:
        """:param near: summaries of another tree that need not be made again.
        :param review: few functions are asked about, so that more may be asked of each."""
        self.program = program
        self.chains_too = chains_too
        self.everything = everything
        self.summaries = Summaries(program, near)
        self.effects = Effects(self.summaries, tables_below=review)
        if review:
            self.summaries.names.horizon.back = program.models.comes_back
        self.chains = Chains(self.summaries)
        self.contexts = Contexts(self.summaries, self.chains)
        self.shared = Shared(self.contexts)
        self.reach = Reach(self.summaries)
        self.selected: list[NotifierChain] = []
        self.foci: list[object] = []  # what the general rules were asked about

    @cached_property
    def homing(self) -> Effects:
        """The effects with those of what comes back to operations of its caller's own driver, as a review has them anyway."""
        if self.summaries.names.horizon.back:
            return self.effects
        return Effects(self.summaries, horizon=Horizon(self.summaries.calls, self.program.models.comes_back))

    @cached_property
    def callbacks(self) -> list[Callback]:
        """The callbacks of the selected chains, each once per chain."""
        return [c for chain in self.selected for c in self._callbacks(chain)]

    def _callbacks(self, chain: NotifierChain) -> Iterator[Callback]:
        obligation = next((o for o in self.program.models.obligations if o.chain in (chain.short, "*")), None)
        owes = (obligation is not None and obligation.owes != "") or self.passes_a_count(chain)
        seen: set[str] = set()
        for user in chain.users:
            if user.callback.key in seen:
                continue
            seen.add(user.callback.key)
            context = self.contexts.of_chain(user.callback, chain.calls)
            yield Callback(
                user.callback, chain, user, context, self.contexts.serialiser(context), obligation, owes
            )

    def passes_a_count(self, chain: NotifierChain) -> bool:
        """Whether a caller of the chain passes the address of a local integer: then callbacks owe it a result."""
        for site in chain.calls:
            frame = self.program.frame(site.func)
            spec = self.chains.call_of(site)
            if spec is None or spec.data is None or spec.data >= len(site.call.args):
                continue
            data = frame.canonical(site.call.args[spec.data], {})
            if isinstance(data, AddressOf) and isinstance(data.base, Name) and data.base.id.startswith("$"):
                type_ = frame.type_of(data.base)
                if type_ is not None and not type_.pointer and type_.name in COUNTS:
                    return True
        return False

    def owing(self) -> Iterator[tuple[str, Func]]:
        """Functions of tables that owe their caller a number as their result, each with its ``struct T.field``."""
        for obligation in self.program.models.obligations:
            struct, _, field = obligation.chain.rpartition(".")
            if obligation.owes != "result" or not struct:
                continue
            seen: set[str] = set()
            for file in self.program.names.files_mentioning([field]).get(field, ()):
                for _, func in self.summaries.calls.entries(struct, field, file):
                    if func.key not in seen:
                        seen.add(func.key)
                        yield obligation.chain, func

    def functions_nearby(self) -> Iterator[Func]:
        """Functions of the files that hold the chains, their callers and their callbacks."""
        files: dict[str, None] = {}
        for chain in self.selected if self.chains_too else ():
            files[chain.file] = None
            for site in chain.calls:
                files[site.func.path] = None
        for callback in self.callbacks:
            for path in self.program.unit(callback.func.path):
                if path.endswith(".c") or path == callback.func.path:
                    files[path] = None
        for path in files:
            yield from self.program.functions_in(path)


COUNTS = frozenset({"unsigned long", "long", "unsigned int", "unsigned", "int", "u64", "size_t", "unsigned long long"})

