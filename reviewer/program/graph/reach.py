"""What a call reaches: allocations, locks and waits at or below it, the nearest first, within a visible budget.

Nodes are functions under a binding (the constant arguments), so that a branch which the caller's constants rule out is
never walked. Every node keeps the call by which it was first reached; that chain is the witness.
"""

from __future__ import annotations

import heapq
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from reviewer.parse.facts import Binary, Call, Const, Expr, Member, Name, Text
from reviewer.program.api.models import Function as Model
from reviewer.program.api.models import Irq
from reviewer.program.flow.cone import Cone
from reviewer.program.flow.lockflow import Flow, Seen
from reviewer.program.flow.summaries import Binding, Summaries, place
from reviewer.program.index.linkage import MAX_CANDIDATES, module_of
from reviewer.program.linked import values
from reviewer.program.linked.calls import Target
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import SLEEPING, Hold, lock_class

SAME_FOLDER, OTHER_FOLDER, TABLE = 1, 2, 1
"""What a call adds to the distance: leaving the folder costs more, and so does a function table."""

ONE_OF_MANY, DOUBTFUL = 1, 2
"""What a step adds to the doubt of a way: a function table with a few entries; one with more, or a callback that runs only if
this was the last reference."""

LeafKind = Literal["alloc", "acquire", "wait", "call"]


@dataclass(slots=True, eq=False)
class Node:
    """A function as it was reached.

    ``args``: the arguments in terms of ``parent``'s function. ``held``: locks of the functions above, outermost first.
    ``cleared``: allocation flags that memalloc scopes above take away. ``doubt``: 0 while every call on the way can
    only mean this.
    """

    func: Func
    binding: Binding
    parent: Node | None
    call: Call | None
    args: tuple[Expr, ...]
    held: tuple[Hold, ...]
    distance: int
    doubt: int
    cleared: int
    via: str = ""
    context: Irq = "task"
    kinds: tuple[Expr, ...] = ()

    def path(self) -> list[Node]:
        """From the root to this node."""
        found: list[Node] = []
        node: Node | None = self
        while node is not None:
            found.append(node)
            node = node.parent
        return found[::-1]


@dataclass(frozen=True, slots=True)
class Leaf:
    """Something that matters at a call of ``node``'s function.

    ``data``: the gfp mask, or what is waited on, in terms of the outermost function that knows it. ``name``: the API
    function. ``lock``: what is acquired. ``held``: the node's own locks at the call.
    """

    kind: LeafKind
    node: Node
    name: str
    at: int
    data: Expr
    held: tuple[Hold, ...]
    doubt: int
    lock: Hold | None = None

    @property
    def rank(self) -> tuple[int, int, str]:
        """The most certain first, then the nearest."""
        return self.doubt, self.node.distance, self.name


@dataclass(slots=True)
class Search:
    """The result of one search. ``functions``: keys of those walked; ``cut``: how many the budget left out."""

    leaves: list[Leaf] = field(default_factory=list)
    functions: set[str] = field(default_factory=set)
    nodes: int = 0
    cut: int = 0


class Reach:
    """Searches over one program."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.program = summaries.program
        self.cone = Cone(summaries)

    def may_matter(self, func: Func) -> bool:
        """Whether what is looked for may stand at or below ``func``; a search for something else says so itself."""
        return self.cone.may_matter(func)

    def below(self, func: Func, distance: int, nodes: int) -> Search:
        """Everything at or below ``func`` up to that distance and that many functions."""
        root = Node(func, (), None, None, (), (), 0, 0, 0)
        return self._search([root], distance, nodes, stop=False)

    def under(self, func: Func, calls: list[Seen], distance: int, nodes: int) -> Search:
        """What some calls of ``func`` reach, until the first certain reclaiming allocation is found."""
        root = Node(func, (), None, None, (), (), 0, 0, 0)
        search = Search()
        start: list[Node] = []
        for seen in calls:
            start.extend(self._expand(root, seen, search, 1))
        if any(self._certain(leaf) for leaf in search.leaves):
            return search
        return self._search(start, distance, nodes, stop=True, search=search)

    def _certain(self, leaf: Leaf) -> bool:
        return (
            leaf.kind == "alloc" and not leaf.doubt and isinstance(leaf.data, Const)
            and self.program.gfp.retries(leaf.data.value)
        )  # fmt: skip

    def _search(
        self, start: list[Node], distance: int, nodes: int, stop: bool, search: Search | None = None
    ) -> Search:
        search = search or Search()
        queue: list[tuple[bool, int, int, Node]] = []
        counter = 0
        for node in start:
            heapq.heappush(queue, (*turn(node), counter, node))
            counter += 1
        done: set[tuple[str, Binding]] = set()
        while queue:
            _, _, _, node = heapq.heappop(queue)
            key = (node.func.key, node.binding)
            if key in done:
                continue
            done.add(key)
            if search.nodes >= nodes:
                search.cut += 1
                continue
            search.nodes += 1
            search.functions.add(node.func.key)
            flow = self.summaries.flow(node.func, node.binding)
            for seen in flow.seen if flow is not None else ():
                if not isinstance(seen.event, Call) or (flow is not None and returns_reference(flow, seen)):
                    continue
                for child in self._expand(node, seen, search, 0):
                    if (child.func.key, child.binding) in done:
                        continue
                    if child.distance > distance:
                        search.cut += 1
                        continue
                    heapq.heappush(queue, (*turn(child), counter, child))
                    counter += 1
            if stop and any(self._certain(leaf) for leaf in search.leaves):
                break
        return search

    # --- one call -------------------------------------------------------------------------------

    def _expand(self, node: Node, seen: Seen, search: Search, extra: int) -> Iterator[Node]:
        """Leaves of one call go to ``search``; functions that it reaches are returned."""
        call = seen.event
        assert isinstance(call, Call)
        frame = self.program.frame(node.func)
        home = module_of(node.path()[0].func.path)
        targets = self.summaries.calls.targets(frame, seen.callee or call.callee, home)
        if not targets and node.func.macro is not None and node.parent is not None and seen.callee is not None:
            # A macro's parameters have no types of their own; its user's arguments have.
            outer = values.substitute(seen.callee, node.args, node.func.name)
            targets = self.summaries.calls.targets(self.program.frame(node.parent.func), outer, home)
        targets = self._possible(node, seen, targets)
        several = len(targets) > 1 and any(t.via for t in targets)
        one_of_many = (ONE_OF_MANY if len(targets) <= MAX_CANDIDATES else DOUBTFUL) if several else 0
        for args in dict.fromkeys(seen.args):
            for target in targets:
                yield from self._target(node, seen, call, target, args, search, "task", extra, one_of_many)

    def _possible(self, node: Node, seen: Seen, targets: tuple[Target, ...]) -> tuple[Target, ...]:
        """Of a table's entries those whose table has the bits that were tested on the way to the call."""
        callee = seen.callee
        if len(targets) < 2 or not isinstance(callee, Member) or not isinstance(callee.base, Member):
            return targets
        frame = self.program.frame(node.func)
        owner = frame.type_of(callee.base)
        table: Expr = callee.base
        known = bits_of_table(always(seen), table)
        at = node
        while at.parent is not None:
            table = values.substitute(table, at.args, at.func.name)
            known += bits_of_table(at.kinds, table)
            at = at.parent
        if not known or owner is None:
            return targets
        struct = frame.resolve(owner).name
        has_bits = self.summaries.calls.has_bits
        return tuple(
            t for t in targets
            if t.func is None or all(has_bits(struct, callee.name, t.func, word, mask) for word, mask in known)
        )  # fmt: skip

    def _target(
        self, node: Node, seen: Seen, call: Call, target: Target, args: tuple[Expr, ...], search: Search, context: Irq,
        extra: int, unsure: int = 0,
    ) -> Iterator[Node]:  # fmt: skip
        frame = self.program.frame(node.func)
        doubt = node.doubt + unsure + (0 if target.sure else DOUBTFUL)
        if target.model is not None:
            self._leaves(node, seen, call, target, target.model, args, search, doubt)
            for invokes in target.model.invokes:
                seldom = unsure + (DOUBTFUL if invokes.last else 0)
                for t, inner in self.summaries.invoked(frame, call, invokes, args):
                    yield from self._target(node, seen, call, t, inner, search, invokes.context, extra, seldom)
            return
        if target.func is None or not target.sure or not self.may_matter(target.func):
            return
        cost = SAME_FOLDER if posixpath.dirname(target.func.path) == posixpath.dirname(node.func.path) else OTHER_FOLDER
        if target.func.path.endswith(".h") or target.func.macro is not None:
            cost = SAME_FOLDER
        cost += TABLE if target.via else 0
        yield Node(
            target.func, self.summaries.bind(target.func, args, frame), node, call, args, (*node.held, *seen.must()),
            node.distance + cost + extra, doubt, node.cleared | self._cleared(seen), target.via,
            context if context != "task" else node.context, always(seen),
        )  # fmt: skip

    def _leaves(
        self, node: Node, seen: Seen, call: Call, target: Target, model: Model, args: tuple[Expr, ...], search: Search,
        doubt: int,
    ) -> None:  # fmt: skip
        held = seen.must()
        if model.allocates is not None:
            mask = self.outer(node, self.summaries.mask(model, args))
            cleared = node.cleared | self._cleared(seen)
            if cleared:
                mask = values.binary("&", mask, Const(~cleared))
            if (several := values.bits_of(mask)) is not None:
                mask = Const(self.program.gfp.worst(*several))
            if not isinstance(mask, Const) or self.program.gfp.retries(mask.value):
                search.leaves.append(Leaf("alloc", node, target.name, call.at, mask, held, doubt))
        for takes in model.takes:
            lock = place(takes.lock, args)
            if lock is None or takes.kind not in SLEEPING:
                continue
            name = self.class_at(node, lock)
            hold = Hold(lock, name, takes.kind, takes.mode, takes.taken, takes.irq, call.at)
            search.leaves.append(Leaf("acquire", node, target.name, call.at, lock, held, doubt, hold))
        for wait in model.waits:
            on = place(wait.on, args) if wait.on is not None else None
            search.leaves.append(Leaf("wait", node, target.name, call.at, on or Text(wait.what), held, doubt))

    def outer(self, node: Node, expr: Expr) -> Expr:
        """The expression in terms of the outermost function on the way that still knows it."""
        at: Node | None = node
        while at is not None and at.parent is not None and not isinstance(expr, Const):
            if not any(isinstance(e, Name) and e.id.startswith("%") for e in values.walk(expr)):
                break
            expr = values.substitute(expr, at.args, at.func.name)
            at = at.parent
        return expr

    def class_at(self, node: Node, lock: Expr) -> str:
        """The class of a lock, looked for in the callers while it is known only as a parameter."""
        at: Node | None = node
        while at is not None:
            name = lock_class(self.program.frame(at.func), lock)
            if name or at.parent is None:
                return name
            lock = values.substitute(lock, at.args, at.func.name)
            at = at.parent
        return ""

    def _cleared(self, seen: Seen) -> int:
        """Flags that memalloc scopes take away in every world that reaches the event."""
        masks = []
        for world in seen.scopes:
            mask = 0
            for names in world:
                for name in names:
                    mask |= self.program.gfp_value(name) or 0
            masks.append(mask)
        result = masks[0] if masks else 0
        for mask in masks[1:]:
            result &= mask
        return result


def always(seen: Seen) -> tuple[Expr, ...]:
    """What is known of tables (:func:`reviewer.program.flow.lockflow.tests_kind`) in every world that reaches the event."""
    first, *rest = seen.kinds or [()]
    return tuple(c for c in first if all(c in other for other in rest))


def bits_of_table(conditions: tuple[Expr, ...], table: Expr) -> list[tuple[str, int]]:
    """(member, mask) of the conditions that are about this table."""
    found: list[tuple[str, int]] = []
    for condition in conditions:
        match condition:
            case Binary("&", Member(base, word, True), Const(mask)) if base == table:
                found.append((word, mask))
    return found


def turn(node: Node) -> tuple[bool, int]:
    """What is walked first: the near before the far, what is doubtful last of all."""
    return node.doubt >= DOUBTFUL, node.distance + node.doubt


PUT = re.compile(r"(?<![a-z])put(?![a-z])")
"""The word in the name of what gives a reference back: ``put_device``, ``kref_put``."""

USES = re.compile(r"(?<![a-z])(?:(?:auto)?pm|power|wakeref)(?![a-z])")
"""The word in the name of what counts uses: ``pm_runtime_put_sync``, ``usb_autopm_put_interface``."""


def returns_reference(flow: Flow, seen: Seen) -> bool:
    """Whether a call gives back a reference that the same function has taken: then it is never the last one.

    ``get_device(d); ...; put_device(d);``: by the names, which the kernel pairs throughout. A count of uses is no
    reference: it starts at 0, and who gives the last use back switches the device off.
    """
    call = seen.event
    if not isinstance(call, Call) or not isinstance(call.callee, Name) or not PUT.search(call.callee.id):
        return False
    if USES.search(call.callee.id):
        return False
    taken = PUT.sub("get", call.callee.id)
    return any(
        isinstance(e, Call) and e.callee in (Name(taken), Name(f"__{taken}")) and e.number < call.number
        and any(a[:1] == b[:1] for a in other.args for b in seen.args)
        for other in flow.seen if (e := other.event) is not call
    )  # fmt: skip
