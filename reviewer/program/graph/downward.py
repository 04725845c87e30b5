"""What functions reach by calls: straight, through tables, on notifier chains, as callbacks; the nearest first.

A node is a function under a binding (its constant arguments), so that a branch which the caller's constants rule out is
not walked. The walk has a visible budget; what it cut is said.
"""

from __future__ import annotations

import heapq
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from reviewer.parse.facts import Call, Expr, Name
from reviewer.program.api.models import Function as Model
from reviewer.program.flow.lockflow import Flow, Seen
from reviewer.program.flow.setups import Setups
from reviewer.program.flow.summaries import Binding, place
from reviewer.program.graph.chains import NotifierChain
from reviewer.program.graph.contexts import Contexts
from reviewer.program.linked.calls import Target
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold

MAX_CHAINS = 6
"""Notifier chains of one walk whose users are looked up; each costs searches of the tree."""

MAX_USERS = 40
"""Users of one chain that are walked."""

FAR = 2
"""What a call into another folder adds to the distance; a call within the folder adds 1, as do headers and macros."""

UNSURE = 2
"""Doubt of a call with more targets than can be followed with confidence; 1 is a call through a table, 0 one by name."""


@dataclass(slots=True, eq=False)
class Node:
    """A function as it was reached, and the calls it makes. ``reached``: the edge by which it was first met."""

    func: Func
    binding: Binding
    distance: int
    doubt: int
    reached: Edge | None = None
    flow: Flow | None = None
    edges: list[Edge] = field(default_factory=list)
    walked: bool = False


@dataclass(slots=True, eq=False)
class Edge:
    """One call.

    ``callee``: the function reached, None for one that the API models describe (a leaf, named ``name``). ``how``:
    ``call``, ``struct T.field``, ``chain NAME``, the API that runs or registers a callback. ``args``: the arguments in
    the caller's terms. ``chain_hold``: the lock that the API itself holds around it. ``later``: it runs after the caller
    has gone on.
    """

    caller: Node
    seen: Seen
    call: Call
    name: str
    how: str
    doubt: int
    args: tuple[Expr, ...] = ()
    callee: Node | None = None
    model: Model | None = None
    chain_hold: Hold | None = None
    later: bool = False

    @property
    def line(self) -> int:
        return self.caller.func.line_of(self.call.at)


@dataclass(slots=True)
class Reached:
    """One walk. ``nodes``: in the order in which they were met; ``cut``: what the budget left out, for people."""

    nodes: list[Node] = field(default_factory=list)
    cut: dict[str, None] = field(default_factory=dict)
    unresolved: int = 0

    @property
    def edges(self) -> Iterator[Edge]:
        for node in self.nodes:
            yield from node.edges


class Downward:
    """Walks over one program. Users of chains and functions of queued work are looked up once."""

    def __init__(self, contexts: Contexts) -> None:
        self.contexts = contexts
        self.summaries = contexts.summaries
        self.chains = contexts.chains
        self.program = contexts.program
        self._users: dict[str, list[Func]] = {}
        self.setups = Setups(self.summaries)

    def walk(self, starts: Iterable[Func], distance: int, functions: int, later: bool = True) -> Reached:
        """Everything at or below ``starts`` up to that distance and that many functions.

        :param later: whether callbacks that run after their caller has gone on are walked, too.
        """
        reached = Reached()
        nodes: dict[tuple[str, Binding], Node] = {}
        queue: list[tuple[int, int, int, Node]] = []

        def enter(node: Node) -> Node:
            old = nodes.get((node.func.key, node.binding))
            if old is not None:
                return old
            nodes[node.func.key, node.binding] = node
            reached.nodes.append(node)
            heapq.heappush(queue, (node.doubt, node.distance, len(nodes), node))
            return node

        for func in starts:
            enter(Node(func, (), 0, 0))
        walked: set[str] = set()
        left = far = 0
        while queue:
            _, _, _, node = heapq.heappop(queue)
            if node.func.key not in walked and len(walked) >= functions:
                left += 1
                continue
            if node.distance > distance:
                far += 1
                continue
            walked.add(node.func.key)
            node.walked = True
            node.flow = self.summaries.flow(node.func, node.binding)
            for edge in self.edges(node, reached):
                if edge.later and not later:
                    continue
                node.edges.append(edge)
                if edge.callee is not None:
                    edge.callee.reached = edge
                    edge.callee = enter(edge.callee)
        for count, why in ((left, f"beyond the first {functions}"), (far, f"more than {distance} steps away")):
            if count:
                reached.cut[f"the calls of {count} functions {why}"] = None
        if reached.unresolved:
            reached.cut[f"{reached.unresolved} calls through pointers whose targets are not known"] = None
        return reached

    # --- one function -----------------------------------------------------------------------------

    def edges(self, node: Node, reached: Reached) -> Iterator[Edge]:
        """The calls of one function by its flow; ``reached`` counts what could not be resolved."""
        frame = self.program.frame(node.func)
        for seen in node.flow.seen if node.flow is not None else ():
            call = seen.event
            if not isinstance(call, Call):
                continue
            callee = seen.callee or call.callee
            targets = self.summaries.calls.targets(frame, callee)
            if not targets and not isinstance(callee, Name):
                reached.unresolved += 1
            done: set[tuple[str, Binding]] = set()
            for args in dict.fromkeys(seen.args):
                for target in targets:
                    for edge in self._target(node, seen, call, target, args, reached):
                        below = edge.callee
                        key = (edge.name, ()) if below is None else (below.func.key + edge.how, below.binding)
                        if key not in done:
                            done.add(key)
                            yield edge

    def _target(
        self, node: Node, seen: Seen, call: Call, target: Target, args: tuple[Expr, ...], reached: Reached
    ) -> Iterator[Edge]:
        how = target.via or "call"
        doubt = UNSURE if not target.sure else int(bool(target.via))
        if target.model is None:
            if target.func is not None:
                yield self._to(node, seen, call, target.func, args, how, doubt)
            return
        model = target.model
        if not model.pure:
            yield Edge(node, seen, call, target.name, how, doubt, args, model=model)
        frame = self.program.frame(node.func)
        for invokes in model.invokes:
            for t, inner in self.summaries.invoked(frame, call, invokes, args):
                if t.func is not None:
                    yield self._to(node, seen, call, t.func, inner, model.name, UNSURE if not t.sure else doubt)
        for registers in model.registers:
            for func in self.setups.started(frame, registers, args):
                yield self._to(node, seen, call, func, (), registers.how, doubt, later=True)
        if model.chain_call is not None:
            yield from self._chain(node, seen, call, model, args, reached)

    def _to(
        self, node: Node, seen: Seen, call: Call, func: Func, args: tuple[Expr, ...], how: str, doubt: int,
        later: bool = False, hold: Hold | None = None,
    ) -> Edge:  # fmt: skip
        near = posixpath.dirname(func.path) == posixpath.dirname(node.func.path)
        cost = 1 if near or func.path.endswith(".h") or func.macro is not None else FAR
        unsure = UNSURE if doubt >= UNSURE else 0
        binding = self.summaries.bind(func, args, self.program.frame(node.func))
        below = Node(func, binding, node.distance + cost, max(node.doubt, unsure))
        return Edge(node, seen, call, func.name, how, doubt, args, below, chain_hold=hold, later=later)

    # --- chains -------------------------------------------------------------------------------------

    def _chain(
        self, node: Node, seen: Seen, call: Call, model: Model, args: tuple[Expr, ...], reached: Reached
    ) -> Iterator[Edge]:
        spec = model.chain_call
        assert spec is not None
        if spec.chain.index >= len(args):
            return
        frame = self.program.frame(node.func)
        head = self.chains.names_of(frame, args[spec.chain.index], spec.chain.address)
        if not head:
            reached.unresolved += 1
            return
        hold = None
        lock = place(spec.holds.lock, args) if spec.holds is not None else None
        if spec.holds is not None and lock is not None:
            suffix = "".join(f".{p}" for p in spec.holds.lock.path)
            name = f"{head}{suffix}" if spec.holds.lock.base == "arg" else spec.holds.lock.name
            hold = Hold(lock, name, spec.holds.kind, spec.holds.mode, "lock", "", call.at)
        for user in self.users(head, reached):
            yield self._to(node, seen, call, user, (), f"chain {head}", 0, hold=hold)

    def users(self, head: str, reached: Reached) -> Sequence[Func]:
        """The callbacks of a chain."""
        got = self._users.get(head)
        if got is None:
            if len(self._users) >= MAX_CHAINS:
                reached.cut[f"the users of chain {head}"] = None
                return ()
            chain = NotifierChain(head, "", head.rpartition(":")[0], 0)
            self.chains.complete([chain])
            got = self._users[head] = list({u.callback.key: u.callback for u in chain.users}.values())
        if len(got) > MAX_USERS:
            reached.cut[f"{len(got) - MAX_USERS} of {len(got)} users of chain {head}"] = None
        return got[:MAX_USERS]
