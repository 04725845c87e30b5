"""Bottom-up: how a call of a function may end, for what its caller passes: net locks, result, out parameters.

A summary is made per function and per binding (the constant arguments), on demand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_, or_
from typing import Literal

import msgspec
from msgspec.structs import replace

from reviewer.parse import facts
from reviewer.parse.cfg import successors
from reviewer.parse.facts import AddressOf, Cast, Const, Deref, Expr, Items, Member, Name, Text
from reviewer.program.api.models import Accesses, Invokes, Place, Takes
from reviewer.program.api.models import Function as Model
from reviewer.program.flow import lockflow
from reviewer.program.flow.byname import LEVELS, ByName, Holding
from reviewer.program.flow.lockflow import ERROR, Flow, Outcome, Seen, State
from reviewer.program.flow.origins import Origins
from reviewer.program.flow.telling import WARNS, stores
from reviewer.program.linked import values
from reviewer.program.linked.calls import Calls, Target
from reviewer.program.linked.link import Func, Program
from reviewer.program.linked.locks import ALONE, Hold, lock_class, of_folder
from reviewer.program.linked.structs import Frame

MAX_BINDINGS = 64
"""Bindings of one function that get a summary of their own; a further one uses the unbound summary, and so depends on who asked
first. The writers of registers have a dozen callers with a number each, not more."""

MAX_FIELDS = 40
"""Numbers in a struct that a caller fixes for its callee."""

MAX_CONDITIONS = 4
"""Conditions that tell one outcome of a call from the others, at most."""

MAX_EXPORTED = 18
"""Nodes of a value or a condition that a summary hands to its callers, at most: ``&T(s)->locks[n & MASK].lock`` has 13."""

Binding = tuple[tuple[int, Expr], ...]

NOT_NULL: Expr = AddressOf(Name("?"))
"""Bound to a parameter that gets the address of something: which object does not matter, that there is one does."""


class Summary(msgspec.Struct, eq=False):
    """What one function does under one binding: how it may end, and the events on the way."""

    func: Func
    binding: Binding
    outcomes: tuple[Outcome, ...] = (Outcome(),)
    flow: Flow | None = None
    complete: bool = True
    missed: bool = False
    """Whether a release somewhere below was not looked into."""


@dataclass(frozen=True, slots=True)
class Near:
    """The summaries of another tree, and what tells it from ours.

    :ivar files: paths of files that differ. :ivar words: names of functions that differ, and words of other code that does.
    """

    summaries: Summaries
    files: frozenset[str]
    words: frozenset[str]


@dataclass(slots=True)
class Statistics:
    summaries: int = 0
    capped: int = 0
    recursions: int = 0


class Summaries:
    """Every summary of one program, made when asked.

    Net lock effects are looked for in callees down to ``LEVELS`` calls below: a lock wrapper is a thin thing, and without
    a bound the locks of one function would ask for the bodies of the whole kernel. So a summary belongs to a level, the
    number of levels below it that it may ask; that keeps the answer independent of the order of questions.
    """

    def __init__(self, program: Program, near: Near | None = None) -> None:
        """:param near: what these need not make again."""
        self.program = program
        self._near = near
        self._same: dict[tuple[str, int], bool] = {}
        self._locking: dict[tuple[str, str], bool] = {}
        self.calls = Calls(program)
        self.names = ByName(program, self.calls)
        self._made: dict[tuple[str, Binding, int], Summary] = {}
        self._open: set[tuple[str, Binding, int]] = set()
        self._bindings: dict[str, set[Binding]] = {}
        self._used: dict[str, frozenset[int]] = {}
        self._tested: dict[str, frozenset[int]] = {}
        self._containers: dict[tuple[str, str, str], str | None] = {}
        self._elsewhere: dict[tuple[str, str, str], bool] = {}
        self._level = LEVELS
        self._cut = False
        self._missed = False
        self.statistics = Statistics()

    @cached_property
    def origins(self) -> Origins:
        """Who made an object."""
        return Origins(self.calls)

    def of(self, func: Func, binding: Binding = (), level: int = LEVELS) -> Summary:
        """The summary of ``func`` for callers who pass what ``binding`` says."""
        binding = self._admitted(func, binding)
        level = self.names.needed(func, level)
        key = (func.key, binding, level)
        got = self._made.get(key)
        if got is not None:
            return got
        if key in self._open:
            self.statistics.recursions += 1
            return Summary(func, binding, complete=False)
        if self._near is not None and self.is_same(func, level):
            got = self._taken_over(func, binding, level)
            if got is not None:
                self._made[key] = got
                return got
        self._open.add(key)
        before, cut, missed = self._level, self._cut, self._missed
        self._level, self._cut, self._missed = level, False, False
        try:
            made = self._make(func, binding)
            made.missed = self._missed
            if self._cut or made.missed:  # what was not looked into may give back what the function seems to return with
                made.outcomes = tuple(dict.fromkeys(map(without_takes, made.outcomes)))
            made.outcomes = as_claimed(func, made.outcomes)
        finally:
            self._level, self._cut, self._missed = before, cut, missed
            self._open.discard(key)
        self._made[key] = made
        self.statistics.summaries += 1
        return made

    def is_same(self, func: Func, level: int) -> bool:
        """Whether the tree near ours has this function word for word, and those that it asks, as deep as a summary looks."""
        assert self._near is not None
        got = self._same.get((func.key, level))
        if got is None:
            got = self._same[func.key, level] = self._is_same(func, level, self._near)
        return got

    def _is_same(self, func: Func, level: int, near: Near) -> bool:
        if func.path in near.files or not near.words.isdisjoint(func.words):
            return False
        if level == 0:
            return True
        for name in func.calls:
            if name not in self.program.models.functions:
                if not all(self.is_same(callee, level - 1) for callee in self.program.resolve(name, func.path)):
                    return False
        return True

    def _taken_over(self, func: Func, binding: Binding, level: int) -> Summary | None:
        """The summary of the tree near ours, in terms of our program."""
        assert self._near is not None
        near = self._near.summaries
        if func.macro is not None:
            return None
        twin = next((f for f in near.program.functions(func.path, func.name) if f.key == func.key), None)
        if twin is None:
            return None
        known = near.of(twin, binding, level)
        flow = known.flow
        if flow is not None:
            flow = replace(flow, frame=self.program.frame(func))
        return Summary(func, binding, known.outcomes, flow, known.complete, known.missed)

    def _admitted(self, func: Func, binding: Binding) -> Binding:
        """The binding, or none if the function has too many already."""
        if not binding:
            return ()
        known = self._bindings.setdefault(func.key, set())
        if binding in known:
            return binding
        if len(known) >= MAX_BINDINGS:
            return ()
        known.add(binding)
        return binding

    def flow(self, func: Func, binding: Binding = ()) -> Flow | None:
        """The events of ``func`` with what is held at each."""
        return self.of(func, binding).flow

    def calls_in(self, func: Func, what: Holding = "takes") -> Iterator[Seen]:
        """The calls of a function. One that holds nothing (``masks``: that turns off nothing), as most do, is not executed for
        that: what its locals are, and what else it holds, is then not told of."""
        if self._leaves(func, what):
            flow = self.flow(func)
            for seen in flow.seen if flow is not None else ():
                if isinstance(seen.event, facts.Call):
                    yield seen
            return
        yield from lockflow.unexecuted(self.program.frame(func))

    def holds(self, func: Func) -> bool:
        """Whether the function holds anything somewhere: a lock, a read section, interrupts off. Told from what it calls, without
        a look at its own paths."""
        return self._leaves(func, "takes")

    def locks(self, func: Func) -> bool:
        """Whether it takes or drops anything, a lock that a callee takes and drops again left out."""
        return self._leaves(func, "locks")

    def _leaves(self, func: Func, what: Holding | Literal["locks"]) -> bool:
        key = (what, func.key)
        got = self._locking.get(key)
        if got is None:
            got = self._locking[key] = any(
                target.func is None or self._net(target.func, what) for target in self.names.takers(func, what)
            )
        return got

    def _net(self, callee: Func, what: Holding | Literal["locks"]) -> bool:
        level = LEVELS - self.names.cost(callee)
        return any(o.takes or (what == "locks" and o.drops) for o in self.of(callee, (), level).outcomes)

    def _make(self, func: Func, binding: Binding) -> Summary:
        frame = self.program.frame(func)
        if frame.body is None:
            return Summary(func, binding, complete=False)
        known: dict[str, Expr] = {}
        truths: dict[Expr, bool] = {}
        for i, v in binding:
            if isinstance(v, Items):
                known |= {f"%{i}->{word}": value for word, value in v.items}
            if v == NOT_NULL or isinstance(v, Items):
                truths[Name(f"%{i}")] = True
            else:
                known[f"%{i}"] = v
        flow = lockflow.run(frame, self, known, truths=truths)
        self.statistics.capped += flow.capped
        return Summary(func, binding, endings(frame, flow), flow)

    def invoked(
        self, frame: Frame, call: facts.Call, invokes: Invokes, args: tuple[Expr, ...]
    ) -> Iterator[tuple[Target, tuple[Expr, ...]]]:
        """Callbacks that a modelled API runs before it returns, with the arguments they get; one that runs another's of that very
        table (``.runtime_resume = pm_generic_runtime_resume``) adds none."""
        inner = (args[invokes.argument],) if invokes.argument is not None and invokes.argument < len(args) else ()
        for target in self._invoked(frame, call, invokes, args):
            if target.model is None or not any(i.table and i.table == invokes.table for i in target.model.invokes):
                yield target, inner

    def _invoked(self, frame: Frame, call: facts.Call, invokes: Invokes, args: tuple[Expr, ...]) -> Iterator[Target]:
        if invokes.callback is not None and invokes.callback < len(args):
            yield from self.calls.targets(frame, args[invokes.callback])
        elif invokes.table:
            struct, _, name = invokes.table.rpartition(".")
            path = frame.func.path
            if invokes.bound == "bus":
                yield from self.bus_targets(frame, invokes, args, struct, name)
            elif invokes.bound == "directory":
                if invokes.object is not None and self.got_elsewhere(frame, place(invokes.object, args)):
                    return
                yield from self.calls.beside(invokes.table, path, invokes.instead)
            else:
                yield from self.calls.table(struct, name, path)

    def bus_targets(
        self, frame: Frame, invokes: Invokes, args: tuple[Expr, ...], struct: str, name: str
    ) -> Iterator[Target]:
        """The bus type's operation for the device: ``&pdev->dev`` with ``pdev`` a ``struct pci_dev`` is on the PCI bus."""
        device = place(invokes.object or Place(base="arg"), args)
        if device is None:
            return
        owner = container(frame, device) or self._stored_container(frame, device)
        bus = self.program.models.bus_types.get(owner or "")
        if bus is None:
            return
        found = self.program.variable(bus, frame.func.path)
        if found is None:
            return
        if invokes.instead and any(True for _ in self.program.table_entry(found[0], found[1], struct, invokes.instead)):
            return
        for function in self.program.table_entry(found[0], found[1], struct, name):
            yield from self.calls.named(function, found[0])

    def got_elsewhere(self, frame: Frame, device: Expr | None) -> bool:
        """Whether a device is kept in a member that holds nothing but what calls have returned: it is one that the driver has
        found, or attached to (``priv->domain = dev_pm_domain_attach_by_name()``), not the driver's own."""
        target = device.base if isinstance(device, Deref) else device
        owner = frame.type_of(target.base) if isinstance(target, Member) else None
        if owner is None or not isinstance(target, Member):
            return False
        key = (frame.resolve(owner).name, target.name, frame.func.path)
        if key not in self._elsewhere:
            self._elsewhere[key] = False
            kept = [value for _, value in self._values_in(*key) if value != Const(0)]
            self._elsewhere[key] = bool(kept) and all(isinstance(value, facts.Result) for value in kept)
        return self._elsewhere[key]

    def _stored_container(self, frame: Frame, pointer: Expr) -> str | None:
        """The same for a pointer that a member holds (``rpm->kdev``), by what the unit stores there."""
        target = pointer.base if isinstance(pointer, Deref) else pointer
        if not isinstance(target, Member):
            return None
        owner = frame.type_of(target.base)
        if owner is None:
            return None
        struct = frame.resolve(owner).name
        key = (struct, target.name, frame.func.path)
        if key not in self._containers:
            self._containers[key] = None
            self._containers[key] = next(self._stored_in(struct, target.name, frame.func.path), None)
        return self._containers[key]

    def _stored_in(self, struct: str, field: str, path: str) -> Iterator[str]:
        for frame, value in self._values_in(struct, field, path):
            found = container(frame, value)
            if found is not None:
                yield found

    def _values_in(self, struct: str, field: str, path: str) -> Iterator[tuple[Frame, Expr]]:
        """What the unit of a file stores in a member of a struct."""
        for file in self.program.unit(path):
            for func in self.program.functions_with(file, field):
                flow = self.flow(func) if stores(self.program.body(func), field) else None
                for seen in flow.seen if flow is not None else ():
                    target, value = seen.args[0] if isinstance(seen.event, facts.Write) else (None, None)
                    if not isinstance(target, Member) or target.name != field or value is None:
                        continue
                    frame = self.program.frame(func)
                    owner = frame.type_of(target.base)
                    if owner is not None and frame.resolve(owner).name == struct:
                        yield frame, value

    def mask(self, model: Model, args: tuple[Expr, ...]) -> Expr:
        """The mask of a modelled allocation, in terms of its caller."""
        allocates = model.allocates
        assert allocates is not None
        if allocates.gfp is not None:
            return args[allocates.gfp] if allocates.gfp < len(args) else values.UNKNOWN
        value = self.program.gfp_value(allocates.flags)
        return Const(value) if value is not None else values.UNKNOWN

    def bind(self, func: Func, args: tuple[Expr, ...], frame: Frame) -> Binding:
        """What of the arguments, in terms of the caller's ``frame``, is fixed and may decide something in the callee."""
        used = self._used.get(func.key)
        if used is None:
            used = self._used[func.key] = decisive(self.program.frame(func))
        found: list[tuple[int, Expr]] = []
        for i, a in enumerate(args):
            if i not in used:
                continue
            if isinstance(a, Const) or (isinstance(a, Name) and a.id[:1] not in "$%:" and self.program.resolve(a.id, func.path)):
                found.append((i, a))
            elif isinstance(a, Name) and a.id[:1] not in "$%:" and self._static(frame.func, a.id):
                found.append((i, Name(f"::{frame.func.path}:{a.id}")))
            elif (mask := values.bits_of(a)) is not None:
                found.append((i, values.bits(f"%{i}", *mask)))
            elif isinstance(a, AddressOf):
                fixed = constant_fields(frame, a)
                if fixed is not None:
                    found.append((i, fixed))
                elif i in self._null_tests(func):
                    found.append((i, NOT_NULL))
            elif i in self._null_tests(func) and followed(a, args):
                found.append((i, NOT_NULL))
        return tuple(found)

    def _static(self, caller: Func, name: str) -> bool:
        """Whether a name is a function of the caller's file alone, which a callee elsewhere knows by no name."""
        return any(f.static and f.macro is None for f in self.program.functions(caller.path, name))

    def _null_tests(self, func: Func) -> frozenset[int]:
        """Parameters that the function compares with NULL."""
        got = self._tested.get(func.key)
        if got is None:
            frame = self.program.frame(func)
            found = set()
            for block in frame.body.blocks if frame.body is not None else ():
                if isinstance(block.exit, facts.Branch):
                    condition = lockflow.polarity(frame.canonical(block.exit.condition, {}))[1]
                    if isinstance(condition, Name) and condition.id.startswith("%"):
                        found.add(int(condition.id[1:]))
            got = self._tested[func.key] = frozenset(found)
        return got

    # --- outcomes (lockflow.Callees) --------------------------------------------------------------

    def outcomes(
        self, frame: Frame, call: facts.Call, callee: Expr, args: tuple[Expr, ...], state: State
    ) -> tuple[Outcome, ...]:
        outer = container_result(callee, call, args)
        if outer is not None:
            return (Outcome(result=outer),)
        targets = self.calls.targets(frame, callee)
        if not targets:
            return NOTHING
        if len(targets) == 1 or (targets[0].func is None and targets[0].model is not None):
            return self.target_outcomes(frame, call, targets[0], args, state)
        found = [self.target_outcomes(frame, call, t, args, state) for t in targets]
        found = without_stubs(targets, found)
        first = found[0]
        same = all([net_of(o) for o in f] == [net_of(o) for o in first] for f in found[1:])
        if not same:
            return NOTHING
        if all(f == first for f in found[1:]):
            return first
        if len(first) == 1 and all(len(f) == 1 and isinstance(f[0].result, Const) and f[0].result.value >= 0 for f in found):
            masks = [f[0].result.value for f in found if isinstance(f[0].result, Const)]
            may, must = reduce(or_, masks), reduce(and_, masks)
            return (Outcome(first[0].takes, first[0].drops, values.bits(f"r{call.number}", may, must)),)
        return tuple(Outcome(o.takes, o.drops) for o in first)

    def target_outcomes(
        self, frame: Frame, call: facts.Call, target: Target, args: tuple[Expr, ...], state: State
    ) -> tuple[Outcome, ...]:
        if target.model is not None:
            kept = self.kept_for(frame, call, target.model, args) if target.model.inside else ()
            return self.unasked(frame, call, kept or model_outcomes(self.program, frame, call, target.model, args))
        assert target.func is not None
        level = self._level - self.names.cost(target.func)
        if level < 0 or not self.names.thin(target.func):
            self._cut |= level < 0 and any(self.names.touches_locks(c) for c in target.func.calls)
            self._missed |= level < 0 and self.names.only_releases(target.func)
            return NOTHING
        if not frame.uses(call.number) and not self.names.steers(target.func, level):
            self._missed |= self.names.hides_release(target.func, level)
            return NOTHING
        summary = self.of(target.func, self.bind(target.func, args, frame), level)
        self._missed |= summary.missed
        if summary.outcomes is NOTHING or summary.outcomes == NOTHING:
            return NOTHING
        prefix = f"{call.number}"
        result = []
        for o in summary.outcomes:
            takes = []
            for h in o.takes:
                lock = to_caller(h.lock, call, args, prefix)
                if foreign(lock, prefix) and h.lock not in o.drops:
                    continue  # of an object that only the callee knows: nobody out here could release it
                name = h.name or lock_class(frame, lock)
                takes.append(Hold(lock, name, h.kind, h.mode, h.taken, h.irq, call.at, target.func.key, h.plain))
            drops = tuple(to_caller(d, call, args, prefix) for d in o.drops)
            value = values.substitute(o.result, args, prefix) if o.result is not None else None
            failed = ""
            if not takes and len(summary.outcomes) > 1:
                tried = [h for other in result_locks(summary) for h in other if h.taken != "lock"]
                if tried:
                    lock = values.substitute(tried[0].lock, args, prefix)
                    failed = tried[0].name or lock_class(frame, lock) or "?"
            promises = tuple(values.substitute(c, args, prefix) for c in o.promises)
            when: list[tuple[Expr, bool]] = []
            for c, truth in o.when:
                positive, condition = lockflow.polarity(values.substitute(c, args, prefix))
                known = values.truth(condition)
                if known is None:
                    when.append((condition, truth == positive))
                elif known != (truth == positive):
                    break
            else:
                result.append(
                    Outcome(
                        tuple(takes), drops, value, o.outs, failed=failed, promises=promises, when=tuple(when),
                        nonzero=o.nonzero, enters=o.enters, leaves=o.leaves,
                    )
                )
        under = made_under(target.func) if any(o.takes or o.drops for o in result) else None
        if under is not None:
            # What is compiled under the same condition goes with it; without it another definition, a stub, is called.
            if state.truths.get(under[0], under[1]) != under[1]:
                return NOTHING
            result = [replace(o, when=(*o.when, under)) for o in result]
        return self.unasked(frame, call, tuple(result))

    def kept_for(self, frame: Frame, call: facts.Call, model: Model, args: tuple[Expr, ...]) -> tuple[Outcome, ...]:
        """A lock that an API takes for whoever ends an object, and that the callback leaves to its caller, who is told by the
        result (``if (kref_put_mutex(&o->ref, o_free, &lock)) mutex_unlock(&lock);``)."""
        last = next((i for i in model.invokes if i.last), None)
        taken, lock = model.inside[0], place(model.inside[0].lock, args)
        if last is None or lock is None or not frame.uses(call.number):
            return ()
        ends = [target.func for target, _ in self.invoked(frame, call, last, args)]
        if not ends or any(f is None or self.names.horizon.has(lets_go, f, LEVELS) for f in ends):
            return ()
        hold = Hold(lock, lock_class(frame, lock), taken.kind, taken.mode, taken.taken, taken.irq, call.at)
        return (Outcome((hold,), (), Const(1)), Outcome((), (), Const(0)))

    @staticmethod
    def unasked(frame: Frame, call: facts.Call, outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
        """Without those that the caller knows not to happen: it does not look at the result, and the lock is no try variant
        (``ww_mutex_lock`` without a context cannot fail)."""
        if len(outcomes) < 2 or any(o.failed for o in outcomes) or frame.uses(call.number):
            return outcomes
        takers = tuple(o for o in outcomes if o.takes)
        errors = all(isinstance(o.result, Const) and negative(o.result) for o in outcomes if not o.takes)
        return takers if takers and errors else outcomes


NOTHING: tuple[Outcome, ...] = (Outcome(),)


ONE_SWITCH = re.compile(r"(!?)(defined\(\w+\))")
"""The condition of a definition that depends on one switch alone."""

CONTAINERS = frozenset({"container_of", "container_of_const", "list_entry", "hlist_entry", "rb_entry"})
"""Macros whose result is the very object that has the argument inside (include/linux/container_of.h): the same for the same
argument, so that a wrapper (``EXT4_I(inode)``) names one object to all its callers."""


def container_result(callee: Expr, call: facts.Call, args: tuple[Expr, ...]) -> Expr | None:
    """What such a macro gives, as a cast of its argument."""
    if not isinstance(callee, Name) or callee.id not in CONTAINERS or len(args) < 2 or len(call.args) < 2:
        return None
    type_ = call.args[1]
    return facts.Cast(facts.CType(type_.id, 1), args[0]) if isinstance(type_, Name) and " " in type_.id else None


def result_locks(summary: Summary) -> list[tuple[Hold, ...]]:
    """What each way of ending leaves held."""
    return [o.takes for o in summary.outcomes]


def to_caller(lock: Expr, call: facts.Call, args: tuple[Expr, ...], prefix: str) -> Expr:
    """A lock of an outcome as the caller names it."""
    there = values.substitute(lock, args, prefix)
    return values.rebuild(there, lambda e: facts.Result(call.number) if e == RETURNED else None)


def foreign(lock: Expr, prefix: str) -> bool:
    """Whether a lock belongs to an object that only the callee has a name for."""
    return any(isinstance(e, Name) and e.id.startswith(f"${prefix}.") for e in values.walk(lock))


def made_under(func: Func) -> tuple[Expr, bool] | None:
    """The one ``#ifdef`` or ``#ifndef`` under which a function is defined, as a body asks it, and which way it is met."""
    m = ONE_SWITCH.fullmatch(func.condition)
    return (facts.Config(m[2]), not m[1]) if m is not None else None


def without_stubs(targets: tuple[Target, ...], found: list[tuple[Outcome, ...]]) -> list[tuple[Outcome, ...]]:
    """What the alternatives of one header do to locks, without those that a configuration leaves empty but for an assertion
    (``static inline void begin(void) { might_sleep(); }``)."""
    funcs = [t.func for t in targets]
    if len({(f.path, f.name) if f is not None else None for f in funcs}) > 1 or not funcs[0] or not funcs[0].path.endswith(".h"):
        return found
    real = [outcomes for outcomes in found if any(o.takes or o.drops for o in outcomes)]
    empty = all(f is not None and len(f.calls) <= 1 for f, o in zip(funcs, found, strict=True) if o not in real)
    return real if real and empty else found


def net_of(outcome: Outcome) -> tuple[object, ...]:
    """What an outcome does to locks: those that it returns with by their class, for two variants of a function name the
    same object by locals of their own."""
    return tuple((h.name or h.lock, h.mode) for h in outcome.takes), outcome.drops


def lets_go(model: Model) -> bool:
    return bool(model.drops)


def as_claimed(func: Func, outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
    """The outcomes of a function whose author says that it releases (``__releases(l)``), and does not take again: where it is
    not seen to let go on one way what it does on the others, somebody out of sight does it for it."""
    said = func.definition.annotations if func.definition is not None else ()
    if not any(a.startswith("__releases") for a in said) or any("acquires" in a for a in said):
        return outcomes
    drops = {o.drops for o in outcomes if o.drops}
    if len(drops) != 1 or any(o.takes for o in outcomes):
        return outcomes
    released = next(iter(drops))
    return tuple(dict.fromkeys(o if o.drops or o.ends else replace(o, drops=released) for o in outcomes))


def without_takes(outcome: Outcome) -> Outcome:
    """The outcome without the locks that it returns with, but for those that it has released before."""
    takes = tuple(h for h in outcome.takes if h.lock in outcome.drops)
    return outcome if takes == outcome.takes else replace(outcome, takes=takes)


def place(where: Place, args: tuple[Expr, ...], path: str = "") -> Expr | None:
    """The object that a model's place means in a call with these arguments, as a canonical lvalue. ``path``: the file of the
    call, for what each driver has one of."""
    if where.base == "global":
        found: Expr = Name(f"::{of_folder(where.name, path)}")
    elif where.base == "arg":
        if where.index >= len(args):
            return None
        found = args[where.index]
        if where.address:
            if isinstance(found, Cast) and isinstance(found.operand, AddressOf):
                found = found.operand  # by whatever type, it is that object
            found = values.deref(found)
    else:
        return None
    for name in where.path:
        found = values.member(found, name, False)
    return found


def container(frame: Frame, pointer: Expr) -> str | None:
    """The struct that a device is a member of: ``struct pci_dev`` for ``&pdev->dev``; looks through locals."""
    target = pointer.base if isinstance(pointer, AddressOf | Deref) else pointer
    while isinstance(target, Member):
        owner = frame.type_of(target.base)
        if owner is None:
            return None
        owner = frame.resolve(owner)
        if owner.name in frame.program.models.bus_types:
            return owner.name
        target = target.base
    return None


def constant_fields(frame: Frame, argument: AddressOf) -> Items | None:
    """The numbers in a local struct that is initialised, passed on once, or only to who must not change it, and touched by
    nothing else; None for anything else.

    ``struct placement place = {}; validate(bo, &place)``: the callee sees zeroes, and no pointers; what was stored into a member
    in between is left out.
    """
    local = argument.base
    if not isinstance(local, Name) or not local.id.startswith("$"):
        return None
    word = local.id[1:]
    variable = frame.locals.get(word)
    if variable is None or variable.static or variable.type.array or variable.type.pointer:
        return None
    uses, initial, used, made = 0, variable.value, -1, -1
    changes = 0
    stored: set[str] = set()
    for b, block in enumerate(frame.body.blocks if frame.body is not None else ()):
        for e in block.events:
            if isinstance(e, facts.Call):
                now = sum(Name(word) in values.walk(a) for a in e.args)
                uses, used = uses + now, b if now else used
                changes += bool(now) and not only_read(frame, e, word)
            elif isinstance(e, facts.Write) and e.declares and e.target == Name(word):
                initial, made = e.value, b
            elif isinstance(e, facts.Write):
                name = member_of(e.target, word)
                if name:
                    stored.add(name)
                changes += 2 * (
                    (not name and Name(word) in values.walk(e.target)) or AddressOf(Name(word)) in values.walk(e.value)
                )
    found = frame.program.struct_at(frame.resolve(variable.type).name, frame.func.path)
    once = changes == uses == 1 and not comes_again(frame, used, made)
    if found is None or not isinstance(initial, Items) or not uses or (changes and not once):
        return None  # what is passed on twice, the first callee may have written
    given = dict(initial.items)
    if any(not d.startswith(".") and frame.canonical(v, {}) != Const(0) for d, v in initial.items):
        return None  # by position, except for "{ 0 }"
    result: list[tuple[str, Expr]] = []
    for member in found[1].fields:
        plain = not (member.type.array or member.type.function or member.name in stored)
        value = frame.canonical(given[f".{member.name}"], {}) if f".{member.name}" in given else Const(0)
        whole = not member.type.pointer and frame.resolve(member.type).name.startswith(("struct ", "union "))
        if plain and isinstance(value, Const) and not whole and not (member.type.pointer and value.value):
            result.append((member.name, value))
    return Items(None, tuple(result)) if 0 < len(result) <= MAX_FIELDS else None


def only_read(frame: Frame, call: facts.Call, word: str) -> bool:
    """Whether a call gets the address of a local only for parameters that point to what is const."""
    if not isinstance(call.callee, Name):
        return False
    func = next(iter(frame.program.resolve(call.callee.id, frame.func.path)), None)
    if func is None or func.source is None or func.definition is None:
        return False
    for i, a in enumerate(call.args):
        if Name(word) in values.walk(a):
            name = func.parameters[i].name if i < len(func.parameters) else ""
            if a != AddressOf(Name(word)) or not name or not to_const(func, name):
                return False
    return True


def to_const(func: Func, parameter: str) -> bool:
    """Whether a parameter is declared as a pointer to something const."""
    assert func.source is not None
    head = func.source[0].text[func.source[1].start : func.source[1].brace]
    pattern = rb"\bconst\s+(?:struct\s+|union\s+)?\w+\s*\*\s*(?:const\s+)?%b\s*[,)]" % parameter.encode()
    return re.search(pattern, head) is not None


def followed(pointer: Expr, args: tuple[Expr, ...]) -> bool:
    """Whether a caller follows a pointer for another argument (``start(&node->rx, node)``): it is no NULL."""
    return any(isinstance(e, Member) and e.arrow and e.base == pointer for a in args if a != pointer for e in values.walk(a))


def member_of(target: Expr, word: str) -> str:
    """The member of the local struct ``word`` into which something is stored, "" if it is none."""
    while isinstance(target, Member) and not target.arrow:
        if target.base == Name(word):
            return target.name
        target = target.base
    return ""


def comes_again(frame: Frame, block: int, without: int) -> bool:
    """Whether a loop leads from a block back to it, other than through the block ``without``."""
    if frame.body is None or block == without:
        return False
    return block in lockflow.reached(frame.body, successors(frame.body.blocks[block].exit), without)


def decisive(frame: Frame) -> frozenset[int]:
    """Parameters whose value can decide something: tested, switched on, masked, passed on, called or returned."""
    body = frame.body
    if body is None:
        return frozenset()
    found: set[int] = set()

    def take(expr: Expr) -> None:
        for e in values.walk(expr):
            if isinstance(e, Name):
                i = frame.parameters.get(e.id)
                if i is not None:
                    found.add(i)

    for block in body.blocks:
        if isinstance(block.exit, facts.Branch):
            take(block.exit.condition)
        elif isinstance(block.exit, facts.Switch | facts.Return) and block.exit.value is not None:
            take(block.exit.value)
        for e in block.events:
            if isinstance(e, facts.Call):
                take(e.callee)
                for a in e.args:
                    if not isinstance(a, Member | AddressOf | Deref):
                        take(a)
            elif isinstance(e, facts.Write):
                take(e.value)
    return frozenset(found)


def endings(frame: Frame, flow: Flow) -> tuple[Outcome, ...]:
    """How a call may end, for its callers: one outcome per net lock effect."""
    merged: dict[tuple[object, ...], Outcome] = {}
    tracked = any(e.state.locks or e.state.dropped or e.state.scopes for e in flow.endings)
    if tracked:
        flow = with_stored(flow)
    for e in without_warned(frame, flow.endings) if tracked else flow.endings:
        key = net_key(e)
        outs = pointer_results(frame, e.state) if tracked else ()
        result = returned(frame, e, tracked)
        old = merged.get(key)
        if old is None:
            entered, left = lockflow.net_scope(e.state.scopes)
            takes, drops = outward(e)
            merged[key] = Outcome(
                takes, drops, result, outs, enters=entered, leaves=left, nonzero=tracked and no_zero(e),
            )
        else:
            same = joined_result(old.result, result, tracked)
            merged[key] = Outcome(
                old.takes, old.drops, same, tuple(o for o in old.outs if o in outs), enters=old.enters, leaves=old.leaves,
                nonzero=(old.nonzero and no_zero(e)) or (same is None and both_failed(old, result)),
            )  # fmt: skip
    if len(merged) > 1:
        told = conditions(flow, merged)
        merged = {key: replace(o, when=told[key]) if told[key] else o for key, o in merged.items()}
    found = tuple(merged.values())
    if len(found) == 1 and (promises := promised(flow)):
        found = (replace(found[0], promises=promises),)
    if not found:
        return (Outcome(ends=True),) if flow.frame.body is not None and flow.seen else NOTHING
    if len(found) > 6:
        return NOTHING
    return found


def without_warned(frame: Frame, found: list[lockflow.Ending]) -> list[lockflow.Ending]:
    """Without those that a caller is not told of and that come about only where a test for what must not be has complained
    (``if (WARN_ON(owner != current)) return;`` before the lock is let go)."""
    kept = [e for e in found if e.value is not None or not any(t and warns(frame, c) for c, t in e.state.truths.items())]
    return kept or found


def warns(frame: Frame, condition: Expr) -> bool:
    """Whether a condition is the answer of such a test."""
    call = frame.call(condition.call) if isinstance(condition, facts.Result) else None
    return call is not None and isinstance(call.callee, Name) and WARNS.search(call.callee.id) is not None


def no_zero(ending: lockflow.Ending) -> bool:
    """Whether the result is known not to be zero, or is an object of which a lock was taken or dropped, and so not NULL."""
    value = ending.value
    if value is None or isinstance(value, Const):
        return False
    positive, condition = lockflow.polarity(value)
    if ending.state.truths.get(condition) == positive:
        return True
    locks = (*(h.lock for h in ending.state.locks), *ending.state.dropped)
    return any(isinstance(lock, Member) and value in lockflow.parts_of(lock.base) for lock in locks)


def net_key(ending: lockflow.Ending) -> tuple[object, ...]:
    """What makes two endings the same to a caller."""
    takes, drops = outward(ending)
    return tuple((h.lock, h.mode) for h in takes), drops, ending.state.scopes


RETURNED = Name("^")
"""In an outcome, the object that the function returns, if that is none that its caller could name otherwise."""


def with_stored(flow: Flow) -> Flow:
    """The same with the locks held at its endings by the names that a caller has for them: the object of one, which only the
    function knows, has been stored where the caller finds it (``cd->clk = get_clock(file);``)."""
    given = {e.value for e in flow.endings if e.value is not None}  # has a name for the caller already
    held = {h.lock for e in flow.endings for h in e.state.locks if h.kind not in ALONE and not exported(h.lock)}
    inner = {lock for lock in held if given.isdisjoint(lockflow.parts_of(lock))}
    kept = {
        value: target for s in flow.seen if isinstance(s.event, facts.Write) and s.event.op == "="
        for target, value in s.args
        if isinstance(target, Member | Deref) and exported(target) and from_parameter(target) and not exported(value)
        and any(value in lockflow.parts_of(lock) for lock in inner)
    } if inner else {}  # fmt: skip
    if not kept:
        return flow

    def seen(lock: Expr) -> Expr:
        return values.rebuild(lock, kept.get) if lock in inner else lock

    def ending(e: lockflow.Ending) -> lockflow.Ending:
        return replace(e, state=replace(e.state, locks=tuple(replace(h, lock=seen(h.lock)) for h in e.state.locks)))

    return replace(flow, endings=[ending(e) for e in flow.endings])


def from_parameter(path: Expr) -> bool:
    """Whether a path begins with a parameter."""
    while isinstance(path, Member | Deref | facts.Index | Cast):
        path = path.operand if isinstance(path, Cast) else path.base
    return isinstance(path, Name) and path.id.startswith("%")


def outward(ending: lockflow.Ending) -> tuple[tuple[Hold, ...], tuple[Expr, ...]]:
    """The locks held and dropped at an ending, those of the returned object by :data:`RETURNED`."""
    state, value = ending.state, ending.value
    locks = state.locks if len(state.locks) < 2 else each_once(state.locks)
    if value is None or isinstance(value, Const) or exported(value) or not (locks or state.dropped):
        return locks, state.dropped

    def seen(lock: Expr) -> Expr:
        return values.rebuild(lock, lambda e: RETURNED if e == value else None)

    return tuple(replace(h, lock=seen(h.lock)) for h in locks), tuple(map(seen, state.dropped))


def each_once(locks: tuple[Hold, ...]) -> tuple[Hold, ...]:
    """Without the second hold of an object that nobody can hold twice: what let the first one go was not seen."""
    return tuple(
        h for n, h in enumerate(locks)
        if not lockflow.once(h) or values.UNKNOWN in values.walk(h.lock)
        or not any(g.lock == h.lock and g.mode == h.mode for g in locks[:n])
    )  # fmt: skip


def conditions(
    flow: Flow, groups: Iterable[tuple[object, ...]]
) -> dict[tuple[object, ...], tuple[tuple[Expr, bool], ...]]:
    """For each net effect, the conditions on what the caller can see that hold wherever it comes about, and not everywhere
    else: ``if (dev->polled) mutex_lock(); else spin_lock();``."""
    common: dict[tuple[object, ...], dict[Expr, bool]] = {}
    for e in flow.endings:
        key, truths = net_key(e), e.state.truths
        old = common.get(key)
        common[key] = dict(truths) if old is None else {c: t for c, t in old.items() if truths.get(c) == t}
    result: dict[tuple[object, ...], tuple[tuple[Expr, bool], ...]] = {}
    for key in groups:
        others = [c for k, c in common.items() if k != key]
        result[key] = tuple(
            (c, t) for c, t in common[key].items()
            if any(other.get(c) == (not t) for other in others) and not isinstance(c, facts.Config) and exported(c)
        )[:MAX_CONDITIONS]  # fmt: skip
    return result


def returned(frame: Frame, ending: lockflow.Ending, tracked: bool) -> Expr | None:
    """What an ending says of the result. Where locks depend on it, a number that is known to be no zero is an error.

    A parameter that the function counts down (``timeout -= 2``) is not what the caller has passed any more."""
    value = ending.value
    truths = ending.state.truths
    number = frame.func.definition is None or not frame.func.definition.type.pointer
    if tracked and (values.is_error(value) or (number and isinstance(value, facts.Result) and truths.get(value))):
        return Const(ERROR)
    if tracked and isinstance(value, POINTERS) and truths.get(facts.Binary("<", value, Const(0))):
        return Const(ERROR)  # return PTR_ERR(*out);
    return frame.returned(value) if value is not None and exported(value) and as_passed(frame, value) else None


def as_passed(frame: Frame, value: Expr) -> bool:
    """Whether the parameters in a value are what the caller has passed."""
    names = (e.id for e in values.walk(value) if isinstance(e, Name) and e.id.startswith("%"))
    parameters = frame.func.parameters
    return all(int(n[1:]) < len(parameters) and parameters[int(n[1:])].name not in frame.assigned for n in names)


def joined_result(one: Expr | None, other: Expr | None, tracked: bool) -> Expr | None:
    """What two ways of ending say of the result. Where locks depend on it, one error is like another."""
    if one == other:
        return one
    if tracked and isinstance(one, Const) and isinstance(other, Const):
        if negative(one) and negative(other):
            return Const(ERROR)
        if one.value and other.value and not negative(one) and not negative(other):
            return Const(1)
    return None


def both_failed(old: Outcome, result: Expr | None) -> bool:
    """Whether a function that has failed before, with whatever number, does so again: the number is not known, but no zero."""
    failed = old.nonzero or (isinstance(old.result, Const) and negative(old.result))
    return failed and isinstance(result, Const) and negative(result)


def negative(value: Const) -> bool:
    """Whether a number is below zero as an ``int`` or a ``long``."""
    return values.signed(value.value) < 0 or (0 <= value.value < 1 << 32 and value.value >> 31 == 1)


def promised(flow: Flow) -> tuple[Expr, ...]:
    """What is known of a parameter's table wherever the function returns something else than zero."""
    common: tuple[Expr, ...] | None = None
    for e in flow.endings:
        if e.value is None or values.truth(e.value) is False:
            continue
        here = e.state.kinds + lockflow.kinds_in(e.value)
        common = here if common is None else tuple(c for c in common if c in here)
        if not common:
            return ()
    return tuple(c for c in common or () if exported(c))


def exported(value: Expr) -> bool:
    """Whether a value means something to a caller: no local, no result."""
    if values.size(value) > MAX_EXPORTED:
        return False
    for e in values.walk(value):
        if isinstance(e, Text | facts.Result | facts.Items) or (isinstance(e, Name) and e.id.startswith("$")):
            return False
    return True


def pointer_results(frame: Frame, state: State) -> tuple[tuple[int, Expr], ...]:
    """Constants that were stored through pointer parameters."""
    return tuple(
        (int(name[2:]), value)
        for name, value in state.known.items()
        if name.startswith("*%") and isinstance(value, Const)
    )


POINTERS = Member | Deref | facts.Index
"""Where a pointer is kept that may be an error number (``IS_ERR(*out)``)."""

RESULT_WHEN = {"zero": (0, ERROR), "nonzero": (1, 0), "positive": (1, 0), "nonnegative": (0, ERROR)}


def model_outcomes(
    program: Program, frame: Frame, call: facts.Call, model: Model, args: tuple[Expr, ...]
) -> tuple[Outcome, ...]:
    """How a modelled call may end."""
    if model.no_return:
        return (Outcome(ends=True),)
    result: Expr | None = None
    if model.identity is not None and model.identity < len(args):
        result = args[model.identity]
    elif model.value is not None:
        result = place(model.value, args)
    scope = model.gfp_scope
    if scope is not None:
        return (Outcome(enters=scope.clears),) if scope.enter else (Outcome(leaves=True),)
    if model.ends_if is not None and model.ends_if < len(args):
        positive, condition = lockflow.polarity(args[model.ends_if])
        known = values.truth(condition)
        if known is None:
            return (Outcome(when=((condition, not positive),)),)
        return (Outcome(ends=True),) if known == positive else NOTHING
    if model.is_error is not None and model.is_error < len(args):
        return error_outcomes(args[model.is_error])
    if model.error_or_zero is not None and model.error_or_zero < len(args):
        told = error_outcomes(args[model.error_or_zero])
        return told if told == NOTHING else tuple(replace(o, result=Const(ERROR if o.result == Const(1) else 0)) for o in told)
    drops = tuple(d for d in (place(x.lock, args) for x in model.drops if x.when == "always") if d is not None)
    if not model.takes:
        return (Outcome((), drops, result),) if drops or result is not None else NOTHING
    takes = []
    for t in model.takes:
        lock = place(t.lock, args)
        if lock is not None:
            plain = without_context(t, args)
            takes.append(Hold(lock, lock_class(frame, lock), t.kind, t.mode, t.taken, t.irq, call.at, plain=plain))
    when = model.takes[0].held_when
    already = model.takes[0].already
    lost = (takes[0].name or "?") if takes and takes[0].taken != "lock" else ""
    if when == "always":
        return (Outcome(tuple(takes), drops, result, nonzero=model.never_null),)
    if takes and takes[0].plain and lost == "":
        return (Outcome(tuple(takes), drops, Const(0)),)
    if when in RESULT_WHEN:
        yes, no = RESULT_WHEN[when]
        return (
            Outcome(tuple(takes), drops, Const(yes)),
            Outcome((), drops, Const(no), failed=lost),
        )
    if when.startswith("=="):
        word = when[2:].strip()
        value = constant_of(program, frame, word)
        found = [Outcome(tuple(takes), drops, value)]
        if already.startswith("=="):
            found.append(Outcome((), drops, constant_of(program, frame, already[2:].strip())))
        found.append(Outcome((), drops, Const(0), failed=lost))
        return tuple(found)
    return (Outcome(tuple(takes), drops, None), Outcome((), drops, None, failed=lost))


def without_context(takes: Takes, args: tuple[Expr, ...]) -> bool:
    """Whether a lock is taken as any other would be, by a call that could have said who takes it."""
    which = takes.sure_without
    return which is not None and which < len(args) and args[which] == Const(0)


def error_outcomes(value: Expr) -> tuple[Outcome, ...]:
    """How a test of a value for being an error number may end."""
    condition = values.binary("<", value, Const(0))
    known = values.truth(condition)
    if known is None and isinstance(value, AddressOf):
        known = False
    if known is not None:
        return (Outcome(result=Const(int(known))),)
    if not isinstance(value, facts.Result | Name | POINTERS):
        return NOTHING
    return tuple(Outcome(result=Const(int(truth)), when=((condition, truth),)) for truth in (True, False))


def constant_of(program: Program, frame: Frame, word: str) -> Expr:
    if word.lstrip("-").isdigit():
        return Const(int(word))
    return frame.name(word)


def accesses(model: Model, args: tuple[Expr, ...]) -> Iterator[tuple[Accesses, Expr]]:
    """Shared objects that a modelled call touches, as canonical lvalues."""
    for a in model.accesses:
        found = place(a.object, args)
        if found is not None:
            yield a, found


def stored(seen: Seen, model: Model | None) -> Iterator[Expr]:
    """Where an event, a call of a ``model`` perhaps, stores something."""
    if isinstance(seen.event, facts.Write):
        yield seen.args[0][0]
    for a, path in accesses(model, seen.args[0]) if model is not None and seen.args else ():
        if a.op != "read":
            yield path
