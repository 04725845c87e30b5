"""What is taken away from RCU readers and then freed: what a function unlinks and frees, and whether it waits in between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from reviewer.parse.facts import AddressOf, Branch, Call, Cast, Const, Deref, Event, Expr, Index, Member, Name, Result, Write
from reviewer.program.api.models import Function as Model
from reviewer.program.flow import lockflow
from reviewer.program.flow.horizon import Test, cost
from reviewer.program.flow.lockflow import Flow, Observer, Seen, State, on_every_way
from reviewer.program.flow.objects import root_of, rooted
from reviewer.program.flow.summaries import Binding, Summaries, exported, place
from reviewer.program.linked import values
from reviewer.program.linked.calls import Target
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame

DEPTH = 2
"""Calls below a function in which something is unlinked or freed, in the distances of ``horizon.py``."""

WAITS_DEPTH = 3
"""The same for a wait for readers: one that is missed is a false alarm."""

WAITS = frozenset({"grace_period", "callbacks"})


@dataclass(frozen=True, slots=True)
class Deed:
    """An object is unlinked or freed. ``object``: the pointer to it; ``name``: the API function, called at ``at`` in ``func``.
    ``way``: the calls from the function that was asked."""

    object: Expr
    name: str
    func: Func
    at: int
    way: tuple[tuple[Func, Call], ...] = ()


@dataclass(frozen=True, slots=True)
class Deeds:
    """What calls of a function do, in terms of its parameters."""

    unlinks: tuple[Deed, ...] = ()
    frees: tuple[Deed, ...] = ()


NOTHING = Deeds()


class Grace:
    """Memoised by function and depth."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.program = summaries.program
        self._made: dict[tuple[str, Binding, int], Deeds] = {}

    # --- by names alone ---------------------------------------------------------------------------

    def may(self, what: str, func: Func, depth: int) -> bool:
        """Whether a function can do it (``unlink``, ``free``, ``wait``, ``count``) within ``depth``, by the names it calls."""
        return self.summaries.names.horizon.has(DOES[what], func, depth)

    # --- deeds ------------------------------------------------------------------------------------

    def of(self, func: Func, binding: Binding = (), depth: int = DEPTH) -> Deeds:
        """What a call of the function unlinks and frees; nothing of one that counts references, or waits for readers."""
        key = (func.key, binding, depth)
        got = self._made.get(key)
        if got is None:
            self._made[key] = NOTHING
            if not (self.may("unlink", func, depth) or self.may("free", func, depth)) or self.may("count", func, 0):
                return NOTHING
            flow = self.summaries.flow(func, binding)
            unlinks: dict[Expr, Deed] = {}
            frees: dict[Expr, Deed] = {}
            for seen in flow.seen if flow is not None else ():
                if isinstance(seen.event, Call) and flow is not None:
                    for args in seen.args[:2]:
                        found = self.at(flow.frame, seen.event, seen.callee, args, depth)
                        for deed in found.unlinks:
                            if exported(deed.object):
                                unlinks.setdefault(deed.object, deed)
                        for deed in found.frees:
                            if exported(deed.object):
                                frees.setdefault(deed.object, deed)
            got = self._made[key] = Deeds(tuple(unlinks.values())[:8], tuple(frees.values())[:8])
        return got

    def at(self, frame: Frame, call: Call, callee: Expr | None, args: tuple[Expr, ...], depth: int = DEPTH) -> Deeds:
        """What one call unlinks and frees, in terms of its function."""
        targets = self.summaries.calls.targets(frame, callee or call.callee)
        if len(targets) != 1 or not targets[0].sure:
            return NOTHING
        target = targets[0]
        if target.model is not None:
            return self._modelled(frame, call, target.model, args)
        assert target.func is not None
        left = depth - cost(frame.func, target.func)
        if left < 0 or self.may("wait", target.func, WAITS_DEPTH):
            return NOTHING
        below = self.of(target.func, self.summaries.bind(target.func, args, frame), left)

        def lifted(deed: Deed) -> Deed:
            object_ = owner(frame, values.substitute(deed.object, args, f"{call.number}"))
            return replace(deed, object=object_, way=((frame.func, call), *deed.way))

        return Deeds(tuple(map(lifted, below.unlinks)), tuple(map(lifted, below.frees)))

    def _modelled(self, frame: Frame, call: Call, model: Model, args: tuple[Expr, ...]) -> Deeds:
        unlinks: list[Deed] = []
        frees: list[Deed] = []
        if model.unlinks is not None:
            where = place(model.unlinks, args)
            if where is not None:
                unlinks.append(Deed(owner(frame, values.address_of(where)), model.name, frame.func, call.at))
        if model.publishes is not None and model.publishes.value < len(args):
            where, value = place(model.publishes.object, args), args[model.publishes.value]
            # With NULL or another object in its place; an initialisation takes nobody's.
            if where is not None and (value == Const(0) or (model.publishes.ordered and value != where)):
                unlinks.append(Deed(where, model.name, frame.func, call.at))
        if model.frees is not None and model.frees < len(args) and not self.keeps_type(frame, model, args):
            frees.append(Deed(owner(frame, args[model.frees]), model.name, frame.func, call.at))
        return Deeds(tuple(unlinks), tuple(frees))

    def in_new(self, frame: Frame, unlinked: Deed) -> bool:
        """Whether a pointer gets another value that is in an object which the function has made."""
        api = self.program.model(unlinked.name)
        root = root_of(unlinked.object) if api is not None and api.publishes is not None else None
        call = frame.call(root.call) if isinstance(root, Result) else None
        model = self.program.model(call.callee.id) if call is not None and isinstance(call.callee, Name) else None
        return model is not None and (model.fresh or model.allocates is not None)

    def keeps_type(self, frame: Frame, model: Model, args: tuple[Expr, ...]) -> bool:
        """Whether the cache that an object goes back to is made so that readers who still hold it find another of its kind, and
        look whether it is the one that they mean."""
        cache = args[model.cache] if model.cache is not None and model.cache < len(args) else None
        word = cache.name if isinstance(cache, Member) else cache.id.rpartition(":")[2] if isinstance(cache, Name) else ""
        made = re.compile(rb"\b%b\s*=[^;]*\b(?:%b)\b" % (re.escape(word).encode(), "|".join(model.keeps_type).encode()))
        return bool(word and model.keeps_type) and any(
            func.source is not None and made.search(func.source[0].skim.body_of(func.source[1]))
            for file in self.program.unit(frame.func.path) for func in self.program.functions_with(file, word)
        )  # fmt: skip

    def waits(self, frame: Frame, call: Call, callee: Expr | None) -> bool:
        """Whether a call may wait for readers, or that cannot be told."""
        targets = self.summaries.calls.targets(frame, callee or call.callee)
        return any(self._waits(frame, t) for t in targets)

    def _waits(self, frame: Frame, target: Target) -> bool:
        if target.model is not None:
            return DOES["wait"](target.model)
        assert target.func is not None
        left = WAITS_DEPTH - cost(frame.func, target.func)
        return left >= 0 and self.may("wait", target.func, left)

    # --- along the paths --------------------------------------------------------------------------

    def early(self, func: Func) -> Iterator[tuple[Deed, Deed]]:
        """``(unlinked, freed)`` for every object that the function frees although readers may still hold it."""
        if not self.may("unlink", func, DEPTH) or not self.may("free", func, DEPTH):
            return
        frame = self.program.frame(func)
        if frame.body is None:
            return
        watch = Watch(self)
        lockflow.run(frame, self.summaries, observer=watch)
        for unlinked, freed in watch.found.values():
            if not self.emptied(func, unlinked) and not self.told(func, freed):
                yield unlinked, freed

    def told(self, func: Func, freed: Deed) -> bool:
        """Whether a condition decides between freeing at once and after a grace period: where there is no reader any more
        (``if (get_net(net)) queue_rcu_work(..); else free(..);``)."""
        at = freed.way[0][1].at if freed.way else freed.at
        body, flow = self.program.frame(func).body, self.summaries.flow(func)
        if body is None or flow is None:
            return False
        here = {s.block for s in flow.seen if s.event.at == at}
        later = {s.block for s in flow.seen if isinstance(s.event, Call) and self.defers(flow.frame, s.event, s.callee)}
        return any(
            isinstance(b.exit, Branch) and ({b.exit.then, b.exit.other} & here) and ({b.exit.then, b.exit.other} & later)
            for b in body.blocks
        )  # fmt: skip

    def defers(self, frame: Frame, call: Call, callee: Expr | None) -> bool:
        """Whether a call, or what it calls, leaves something to be done after a grace period."""
        for target in self.summaries.calls.targets(frame, callee or call.callee):
            if DOES["defer"](target.model) if target.model is not None else target.func and self.may("defer", target.func, 1):
                return True
        return False

    def left(self, flow: Flow, seen: Seen, depth: int = 1) -> frozenset[Expr]:
        """The objects, as pointers, that a call leaves to be freed after a grace period."""
        call = seen.event
        if not isinstance(call, Call) or not seen.args:
            return frozenset()
        found: set[Expr] = set()
        for target in self.summaries.calls.targets(flow.frame, seen.callee or call.callee):
            if target.model is not None:
                blocks = [r.block for r in target.model.registers if r.how == "rcu" and r.block is not None]
                places = [at for b in blocks if (at := place(b, seen.args[0])) is not None]
                later = target.model.frees_later
                found |= {owner(flow.frame, values.address_of(at)) for at in places}
                found |= {owner(flow.frame, seen.args[0][later])} if later is not None and later < len(seen.args[0]) else set()
            elif target.func is not None and depth and self.may("defer", target.func, 0):
                below = self.summaries.flow(target.func)
                body = below.frame.body if below is not None else None
                if below is None or body is None:
                    continue
                counts = self.may("count", target.func, 0)  # whoever counts may find that somebody else has it, too
                inner = [self.left(below, s, depth - 1) for s in below.seen if not counts or on_every_way(body, s.block)]
                given = {f"%{i}": a for i, a in enumerate(seen.args[0])}
                found |= {given[e.id] for e in frozenset().union(*inner) if isinstance(e, Name) and e.id in given}
        return frozenset(found)

    def emptied(self, func: Func, unlinked: Deed) -> bool:
        """Whether a loop takes away whatever is left once the readers have been waited for: no new ones come to what ends."""
        at = unlinked.way[0][1].at if unlinked.way else unlinked.at
        flow = self.summaries.flow(func)
        events = [s for s in (flow.seen if flow is not None else ()) if isinstance(s.event, Call) and s.event.at < at]
        loops = [s.event.at for s in events if isinstance(s.event, Call) and s.event.loop and unlinked.object in s.args[0]]
        return bool(loops) and any(
            s.event.at < loops[0] and self.waits(self.program.frame(func), s.event, s.callee)
            for s in events if isinstance(s.event, Call)
        )

    def makes(self, func: Func, head: Expr) -> bool:
        """Whether a list belongs to an object that the function gets from a callee and returns: nobody else knows it yet."""
        root = root_of(head)
        flow = self.summaries.flow(func) if isinstance(root, Result) else None
        return flow is not None and any(e.value == root for e in flow.endings)


Gone = frozenset[tuple[Expr, int]]


class Watch(Observer):
    """Objects that were unlinked on the path and have not waited for readers since."""

    def __init__(self, grace: Grace) -> None:
        self.grace = grace
        self.deeds: dict[tuple[Expr, int], Deed] = {}
        self.alone: set[Expr] = set()
        self.found: dict[int, tuple[Deed, Deed]] = {}

    def start(self) -> object:
        return frozenset()

    def event(self, frame: Frame, event: Event, state: State, args: tuple[Expr, ...]) -> object:
        gone: Gone = state.extra  # type: ignore[assignment]
        if isinstance(event, Write):
            if gone and isinstance(args[0], Name):
                gone = frozenset(g for g in gone if args[0].id not in lockflow.names_in(g[0]))
            return gone
        if not isinstance(event, Call):
            return gone
        if event.loop and gone:
            names = {a.id for a in args if isinstance(a, Name)}
            names |= {frame.canonical(a, {}).id for a in event.args if isinstance(frame.canonical(a, {}), Name)}  # type: ignore[union-attr]
            gone = frozenset(g for g in gone if names.isdisjoint(lockflow.names_in(g[0])))
        callee = frame.callee(event.callee, state.known)
        model = self.grace.program.model(callee.id) if isinstance(callee, Name) else None
        read = model.rcu_read if model is not None else None
        if read is not None and read.writer and read.condition is not None and read.condition < len(args):
            where = place(read.object, args) if read.object is not None else None
            if where is not None and values.truth(args[read.condition]):
                self.alone.add(where)
            return gone
        if gone and self.grace.waits(frame, event, callee):
            return frozenset()
        if model is not None and [a.op for a in model.accesses] == ["add", "set"] and len(args) > 1:
            if self.grace.makes(frame.func, args[1]):
                self.alone.add(owner(frame, args[0]))
        deeds = self.grace.at(frame, event, callee, args)
        for freed in deeds.frees:
            for object_, at in gone:
                if object_ == freed.object and not self.put_there(frame, event, args, self.deeds[object_, at], freed):
                    self.found.setdefault(event.at, (self.deeds[object_, at], freed))
        for unlinked in deeds.unlinks:
            if not isinstance(unlinked.object, Const) and unlinked.object not in self.alone:
                if self.grace.in_new(frame, unlinked):
                    continue
                self.deeds[unlinked.object, event.at] = unlinked
                gone = gone | {(unlinked.object, event.at)}
        return gone


    def put_there(self, frame: Frame, call: Call, args: tuple[Expr, ...], unlinked: Deed, freed: Deed) -> bool:
        """Whether what is freed is what was put in the other one's place: the pointer is read again, after it was replaced
        (``rcu_assign_pointer(t->rows, new); ... fail: table_free(t)``, which does ``kfree(t->rows)``)."""
        model = self.grace.program.model(unlinked.name)
        if model is None or model.publishes is None:
            return False
        if freed.way:
            return all(owner(frame, a) != freed.object for a in args)
        return any(isinstance(a, Member) and frame.canonical(a, {}) == freed.object for a in call.args)


DOES: dict[str, Test] = {
    "unlink": lambda m: m.unlinks is not None or m.publishes is not None,
    "free": lambda m: m.frees is not None,
    "wait": lambda m: any(w.what in WAITS for w in m.waits),
    "count": lambda m: any(a.tests for a in m.accesses),
    "defer": lambda m: m.frees_later is not None or any(r.how == "rcu" for r in m.registers),
}


def owner(frame: Frame, pointer: Expr) -> Expr:
    """The pointer to the whole object of which a pointer means a part: ``p`` for ``&p->list`` and for a container_of() of it."""
    pointer = rooted(frame, pointer)
    while True:
        if isinstance(pointer, Cast):
            pointer = pointer.operand
        elif isinstance(pointer, AddressOf) and isinstance(pointer.base, Member | Index):
            inner: Expr = pointer.base
            while isinstance(inner, Member | Index) and not (isinstance(inner, Member) and inner.arrow):
                inner = inner.base
            if isinstance(inner, Member | Deref):
                pointer = inner.base
            else:
                return AddressOf(inner)
        else:
            return pointer
