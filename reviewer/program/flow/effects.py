"""What a call does, at any depth: what it takes, waits for, allocates, and whether it may sleep.

Bottom-up and bounded (every call uses up some of the distance, so recursion ends): an effect is rooted at the parameters of the
function that was asked, so one table serves all its callers; a mask that depends on an argument is decided where the argument
is known. A modelled function is a leaf.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Literal

import msgspec
from msgspec.structs import replace

from reviewer.parse.facts import Call, Const, Deref, Expr, Member, Name, Result
from reviewer.program.api.models import Function as Model
from reviewer.program.api.models import Invokes, Waits
from reviewer.program.flow.horizon import DEPTH, Horizon, cost
from reviewer.program.flow.lockflow import Flow, Seen, State, unexecuted
from reviewer.program.flow.precedence import comes_first
from reviewer.program.flow.summaries import Binding, Summaries, place, without_context
from reviewer.program.flow.telling import (
    after_last,
    asks,
    chosen,
    compiled_without,
    counts,
    in_task_only,
    last_if,
    warned_only,
    warns,
)
from reviewer.program.linked import values
from reviewer.program.linked.calls import Target
from reviewer.program.linked.link import Func, Program
from reviewer.program.linked.locks import ALONE, SLEEPING, Hold, lock_class, outside
from reviewer.program.linked.structs import Frame

MAX_EFFECTS = 48
"""Effects of one function that are kept, the nearest first."""

MAX_ARGUMENTS = 4
"""Different arguments of one call that are told apart."""

MAX_KIN = 4
"""Entries of a table of one driver's that stand for kinds of its objects (three MACs of one family of chips)."""

TABLES_BELOW = 2
"""Calls below a function down to one that calls through a table."""

HANDED_BELOW, MAX_HANDED = 2, 24
"""Calls below a function that comes back to its caller's driver in which the operation is looked for, and calls of that."""

OPERATIONS = Waits(what="operations")
"""Of whoever calls what waits for the operations of its caller's driver."""

EffectKind = Literal["sleep", "alloc", "acquire", "wait"]

Blocks = Callable[[Program, Flow], frozenset[int]]
"""Tells blocks of a function that run under some condition only (:mod:`reviewer.program.flow.telling`)."""


class Effect(msgspec.Struct, frozen=True):
    """Something that happens at or below a function.

    ``what``: the lock, what is waited for, or the allocation's mask, in terms of the function that was asked. ``hold``: how a
    lock is taken; ``wait``: of a wait. ``name``: the API function, called at ``at`` in ``func``. ``way``: the calls from the
    function that was asked down to ``func``. ``held``: what the functions on the way hold, outermost first; ``let_go``: locks
    of the callers of the function that was asked which are not held at this point any more, ``gone``: their classes.
    ``cleared``: flags that memalloc scopes on the way take from an allocation's mask. ``doubt``: 0 while every call on the
    way can mean only this. ``under``: the API that runs a callback on the way where it must not sleep, "" for none;
    ``asked``: some function on the way has made sure that it runs in a task. ``some``: on the way is a call through a table of
    which only some entries put their task to sleep; ``kin``: through one whose entries all stand in its caller's own folder,
    each for some of the driver's objects. ``last``: it happens to whoever gives the last reference up. ``chosen``: a
    word that nobody on the way has decided says whether it happens (``if (request->waiting)``), or what is passed to the API.
    ``back``: in an operation that a function deep in a library comes back to, of its caller's own driver.
    """

    kind: EffectKind
    name: str
    what: Expr | None
    func: Func
    at: int
    way: tuple[tuple[Func, Call], ...] = ()
    hold: Hold | None = None
    wait: Waits | None = None
    held: tuple[Hold, ...] = ()
    let_go: tuple[Expr, ...] = ()
    gone: frozenset[str] = frozenset()
    cleared: frozenset[str] = frozenset()
    doubt: int = 0
    under: str = ""
    asked: bool = False
    some: bool = False
    kin: bool = False
    last: bool = False
    chosen: bool = False
    back: bool = False

    @property
    def depth(self) -> int:
        return len(self.way)

    @property
    def called(self) -> str:
        """The function, or the API, by whose call the function that was asked comes to it."""
        if len(self.way) > 1:
            return self.way[1][0].name
        return self.func.name if self.way else self.name

    def key(self) -> tuple[object, ...]:
        """Effects with equal keys mean the same to a caller. Each function that takes a lock counts: on the way to one of them
        something may speak against it; so does each of those that a table has for different objects."""
        hold = self.hold
        lock = (hold.name, hold.mode, hold.taken, hold.irq, self.func.key) if hold is not None else None
        wait = self.wait.what if self.wait is not None else ""
        flags = self.asked, self.some, self.last, self.chosen
        kin = self.func.key if self.kin else ""
        return self.kind, self.what, lock, wait, self.let_go, self.gone, self.cleared, self.under, flags, kin

    def lets_go(self, hold: Hold) -> bool:
        """Whether the lock is not held here any more: the callee names it as its caller does, or names one of its class."""
        if hold.lock in self.let_go or hold.name in self.gone or f"?{hold.name[hold.name.rfind('.') :]}" in self.gone:
            return True
        # A pointer to a lock that an object keeps (``q->lock_ptr``) may be to any, and whoever holds one by it may hold any.
        return hold.kind not in ALONE and bool(self.let_go) and any(map(kept_by_pointer, (hold.lock, *self.let_go)))

    def comes_back(self) -> bool:
        """Whether a call through a table leads to the caller, or to a function that calls it: did it stand in the table of this
        object, there would be no end to it."""
        met = [*(f for f, _ in self.way), self.func]
        return any(
            not is_named(call.callee) and (func.key == met[n + 1].key or func.name in met[n + 1].calls)
            for n, (func, call) in enumerate(self.way)
        )  # fmt: skip


def kept_by_pointer(lock: Expr) -> bool:
    """Whether a lock goes by a pointer to it that an object keeps."""
    return isinstance(lock, Deref) and isinstance(lock.base, Member)


def stations(effect: Effect) -> list[tuple[Func, int]]:
    """The events by which a function comes to an effect, its own first: each with the function that it stands in."""
    return [*((f, call.at) for f, call in effect.way), (effect.func, effect.at)]


LOOKED_UP = re.compile(r"_(?:get|find)_by_|_by_(?:name|phandle|node)$")
"""In the name of a function: it finds what somebody else has made known under a name."""


def looked_up(frame: Frame, value: Expr) -> bool:
    """Whether a value is an object that a function has found by its name (``psy = power_supply_get_by_name("charger")``): that of
    another driver, whoever has operations of that kind here."""
    call = frame.call(value.call) if isinstance(value, Result) else None
    return call is not None and isinstance(call.callee, Name) and LOOKED_UP.search(call.callee.id) is not None


class Effects:
    """Tables of effects, memoised by function, constant arguments and depth.

    ``tables_below``: functions that only come to something through a table further down count, too, as they do for the few that a
    review asks about. ``about``: files of which each function counts for itself, even if others have an equal effect nearer by.
    """

    def __init__(self, summaries: Summaries, tables_below: bool = False, horizon: Horizon | None = None) -> None:
        """:param horizon: one that knows which functions come back to their caller's driver, in place of the usual."""
        self.summaries = summaries
        self.horizon = horizon if horizon is not None else summaries.names.horizon
        self.about: frozenset[str] = frozenset()
        self.tables_below = tables_below
        self.program = summaries.program
        self._made: dict[tuple[str, Binding, int], tuple[Effect, ...]] = {}
        self._only: dict[tuple[Blocks, str], frozenset[int]] = {}
        self._chosen: dict[tuple[str, Binding], frozenset[int]] = {}
        self._arguments: dict[str, dict[int, list[Seen]]] = {}
        self._swapped: dict[str, tuple[tuple[Expr, Seen], ...]] = {}
        self._passed: dict[tuple[str, str], tuple[Expr, ...]] = {}

    def of(self, func: Func, binding: Binding = (), depth: int = DEPTH) -> tuple[Effect, ...]:
        """The effects of a call of ``func`` for callers who pass what ``binding`` says, the nearest first."""
        key = (func.key, binding, depth)
        got = self._made.get(key)
        if got is None:
            if not self.may_matter(func, depth) and not self._handed(func, binding, depth):
                return ()
            flow = self.summaries.flow(func, binding)
            found: dict[tuple[object, ...], Effect] = {}
            for seen in flow.seen if flow is not None else ():
                for effect in self.at(func, seen, depth):
                    if seen.block in self._chosen_only(func, binding):
                        effect = replace(effect, chosen=True)
                    mark = effect.key(), effect.func.key if effect.func.path in self.about else ""
                    old = found.get(mark)
                    if old is None or (effect.doubt, effect.depth) < (old.doubt, old.depth):
                        found[mark] = effect
            nearest = sorted(found.values(), key=lambda e: (e.doubt, e.depth))
            got = self._made[key] = tuple(nearest[:MAX_EFFECTS])
        return got

    def _handed(self, func: Func, binding: Binding, depth: int) -> bool:
        """Whether a function of which its caller passes the name may have any effect."""
        names = [value for _, value in binding if isinstance(value, Name) and value.id[:1] not in "$%"]
        targets = [t for name in names for t in self.summaries.calls.targets(self.program.frame(func), name)]
        return any(t.func is not None and self.may_matter(t.func, depth) for t in targets)

    def at(self, func: Func, seen: Seen, depth: int = DEPTH) -> Iterator[Effect]:
        """The effects of one call of ``func``, in terms of its parameters."""
        call = seen.event
        if not isinstance(call, Call):
            return
        frame = self.program.frame(func)
        targets = self.summaries.calls.targets(frame, seen.callee or call.callee)
        doubt = 0 if len(targets) < 2 else 1
        held = seen.must()
        gone = (*let_go(seen), *self._let_go_around(func, call, depth))
        classes = frozenset(class_or_field(frame, lock) for lock in gone) - {""}
        gone = (*gone, *self._let_go_beside(func, seen))
        asked = self.asked(func, seen)
        last = seen.block in self._blocks(func, counts, after_last)
        if seen.block in self._blocks(func, warns, warned_only):
            doubt = 2  # where what must not be is so
        targets = tuple(t for t in targets if not self._left_out(frame, seen, t))
        scopes = cleared(seen)
        table = len(targets) > 1 and not is_named(seen.callee or call.callee)
        kin = table and are_kin(func, targets)
        for args in list(dict.fromkeys(seen.args))[:MAX_ARGUMENTS]:
            found: list[Iterable[Effect]] = [
                self._target(func, call, t, args, held, gone, doubt if t.sure else 2, depth) for t in targets
            ]
            if table:
                found = [tuple(effects) for effects in found]
            some = table and not kin and not all(any(may_block(self.summaries, e) for e in effects) for effects in found)
            for effect in (e for effects in found for e in effects):
                if classes:
                    effect = replace(effect, gone=effect.gone | classes)
                if scopes and effect.kind == "alloc":
                    effect = replace(effect, cleared=effect.cleared | scopes)
                if asked or some or kin or last:
                    effect = replace(
                        effect, asked=effect.asked or asked, some=effect.some or some, kin=effect.kin or kin,
                        last=effect.last or last,
                    )  # fmt: skip
                yield effect

    @staticmethod
    def _left_out(frame: Frame, seen: Seen, target: Target) -> bool:
        """Whether an API is called only in a kernel in which it does nothing to speak of."""
        option = target.model.only_with if target.model is not None else ""
        return bool(option) and frame.body is not None and seen.block in compiled_without(frame.body, option)

    def asked(self, func: Func, seen: Seen) -> bool:
        """Whether an event stands where the function has made sure that it runs in a task."""
        return seen.block in self._blocks(func, asks, in_task_only)

    def _let_go_beside(self, func: Func, seen: Seen) -> Iterator[Expr]:
        """Locks that were let go of before an event while another of their class was held (``unlock(&a->lock); f(b);
        lock(&a->lock)`` under ``b->lock``): by its class alone, the release is that of the other one."""
        got = self._swapped.get(func.key)
        if got is None:
            models = self.program.models.functions
            known = [m for m in (models.get(c) for c in func.calls) if m is not None]
            both = any(m.drops for m in known) and any(m.takes for m in known)
            flow = self.summaries.flow(func) if both else None
            got = self._swapped[func.key] = tuple(self._swaps(flow)) if flow is not None else ()
        for lock, before in got:
            if comes_first(self.program.frame(func), before, seen) and all(h.lock != lock for h in seen.may()):
                yield lock

    def _let_go_around(self, func: Func, call: Call, depth: int) -> Iterator[Expr]:
        """Locks that a macro releases which is given the call as a statement (``wait_event_lock_irq_cmd(q, c, l, call())``)."""
        for outer in self._outer(func).get(call.number, ()) if depth else ():
            for target in self.summaries.calls.targets(self.program.frame(func), outer.callee or Name("")):
                for wait in target.model.waits if target.model is not None else ():
                    lock = place(wait.releases, outer.args[0]) if wait.releases is not None else None
                    if lock is not None:
                        yield lock
            for effect in self.at(func, outer, depth - 1):
                yield from effect.let_go

    def _outer(self, func: Func) -> dict[int, list[Seen]]:
        """The calls of macros, by the numbers of the calls that are their arguments."""
        got = self._arguments.get(func.key)
        if got is None:
            got = self._arguments[func.key] = {}
            flow = self.summaries.flow(func)
            for seen in flow.seen if flow is not None else ():
                call = seen.event
                inner = [a.call for a in call.args if isinstance(a, Result)] if isinstance(call, Call) and seen.args else []
                if inner and is_named(seen.callee or Name("")):
                    targets = self.summaries.calls.targets(self.program.frame(func), seen.callee or Name(""))
                    if any(self._runs_statements(t) for t in targets):
                        for number in inner:
                            got.setdefault(number, []).append(seen)
        return got

    def _runs_statements(self, target: Target) -> bool:
        """Whether a call may let locks go around what it is given: an API that says so, or a macro that does anything."""
        if target.func is not None:
            return target.func.macro is not None and self.may_matter(target.func)
        return target.model is not None and any(w.releases is not None for w in target.model.waits)

    def _swaps(self, flow: Flow) -> Iterator[tuple[Expr, Seen]]:
        """Calls that release an object other than those that are held, but of a class with one of them."""
        for seen in flow.seen:
            call = seen.event
            if not isinstance(call, Call) or not isinstance(call.callee, Name) or not seen.args:
                continue
            model = self.program.models.functions.get(call.callee.id)
            for spec in model.drops if model is not None else ():
                lock = place(spec.lock, seen.args[0])
                held = seen.may()
                if lock is None or not held or any(h.lock == lock for h in held):
                    continue
                name = lock_class(flow.frame, lock)
                if name and any(h.name == name for h in held):
                    yield lock, seen

    def _blocks(self, func: Func, may: Callable[[Program, Func], bool], find: Blocks) -> frozenset[int]:
        """What ``find`` says of a function, which is executed for it only if it may have such blocks."""
        got = self._only.get((find, func.key))
        if got is None:
            flow = self.summaries.flow(func) if may(self.program, func) else None
            got = self._only[find, func.key] = find(self.program, flow) if flow is not None else frozenset()
        return got

    def _chosen_only(self, func: Func, binding: Binding) -> frozenset[int]:
        got = self._chosen.get((func.key, binding))
        if got is None:
            flow = self.summaries.flow(func, binding)
            got = chosen(self.program, flow) if flow is not None else frozenset()
            self._chosen[func.key, binding] = got
        return got

    def under(self, func: Func, seen: Seen, hold: Hold, effect: Effect, depth: int = DEPTH) -> Effect | None:
        """The effect of an event as it comes about where the lock is held, if it does: an argument may say that it is."""
        if len(set(seen.args)) < 2 or hold in seen.must():
            return effect
        return next((e for e in self.at(func, seen.under(hold), depth) if e.key() == effect.key()), None)

    def _target(
        self, func: Func, call: Call, target: Target, args: tuple[Expr, ...], held: tuple[Hold, ...],
        gone: tuple[Expr, ...], doubt: int, depth: int,
    ) -> Iterator[Effect]:  # fmt: skip
        frame = self.program.frame(func)
        released: tuple[Expr, ...] = ()
        if target.func is None or target.func.macro is not None:
            released = tuple(self._released_by(func, call))
            gone = (*gone, *released)
        if target.model is not None:
            named = frozenset(class_or_field(frame, lock) for lock in released) - {""}
            for effect in self._leaf(func, call, target.model, args):
                yield replace(effect, held=held, let_go=gone, gone=named, doubt=max(effect.doubt, doubt))
        name = target.model.name if target.model is not None else target.func.name if target.func is not None else ""
        back = tuple(b for b in self.horizon.back.get(name, ()) if func.words.isdisjoint(b.unless))
        if any(b.waited for b in back):
            yield Effect("wait", name, None, func, call.at, wait=OPERATIONS, held=held, let_go=gone, doubt=doubt)
        for invokes in target.model.invokes if target.model is not None and depth else ():
            yield from self._invoked(func, call, invokes, name, args, held, gone, doubt, depth)
        for invokes in back if depth else ():
            given = self._handed_back(target.func, invokes) if target.func is not None else ()
            far = any(looked_up(frame, a) for a in args)
            for effect in self._invoked(func, call, invokes, name, args, held, gone, doubt + 2 * far, depth, given):
                yield replace(effect, back=True)
        if target.model is not None or target.func is None:
            return
        left = depth - cost(func, target.func)
        if left < 0:
            return
        if call.callee == Name(target.func.name) and len(args) < len(target.func.parameters) and target.func.macro is None:
            doubt = 2  # one of them is a macro that stands for several: which parameter gets which cannot be told
        binding = self.summaries.bind(target.func, args, frame)
        prefix = target.func.name
        for effect in self.of(target.func, binding, left):
            object_ = values.substitute(effect.what, args, prefix) if effect.what is not None else None
            hold = effect.hold
            if hold is not None and object_ is not None:
                hold = replace(hold, lock=object_, name=hold.name or lock_class(frame, object_))
            below = tuple(values.substitute(d, args, prefix) for d in effect.let_go)
            classes = {class_or_field(frame, d) for d in below}  # a callee knows a lock that it is passed by no class
            yield replace(
                effect, what=object_, hold=hold, way=((func, call), *effect.way), held=(*held, *effect.held),
                let_go=(*gone, *below), gone=effect.gone | (classes - {""}), doubt=max(effect.doubt, doubt),
            )  # fmt: skip

    def _invoked(
        self, func: Func, call: Call, invokes: Invokes, name: str, args: tuple[Expr, ...], held: tuple[Hold, ...],
        gone: tuple[Expr, ...], doubt: int, depth: int, given: tuple[Expr, ...] = (),
    ) -> Iterator[Effect]:  # fmt: skip
        """The effects of what an API runs before it returns; ``given``: what it passes to that, as far as this is known."""
        if invokes.context not in ("task", "atomic") or invokes.waited:
            return
        under = name if invokes.context == "atomic" else ""
        around = (*held, *(h for h in outside(invokes.holds) if h is not None))
        for t, inner in self.summaries.invoked(self.program.frame(func), call, invokes, args):
            unsure = doubt + (not t.sure) + invokes.seldom
            left = depth - (not invokes.seldom)  # who does at once what was to be done later is no step of its own
            for effect in self._target(func, call, t, (*inner, *given[len(inner) :]), around, gone, unsure, left):
                yield replace(effect, under=effect.under or under, last=effect.last or invokes.last)

    def _handed_back(self, func: Func, invokes: Invokes) -> tuple[Expr, ...]:
        """The numbers that a function passes to the operation that it comes back to (``host->ops->enable_irq(host, 0)``), in all
        calls of it that are seen in it and a few calls below."""
        key = func.key, invokes.table
        got = self._passed.get(key)
        if got is None:
            slot = invokes.table.rpartition(".")[2]
            found = list(islice(self._operated(func, slot, HANDED_BELOW), MAX_HANDED))
            same = zip(*found, strict=False) if len(found) < MAX_HANDED else ()
            got = self._passed[key] = tuple(
                v[0] if isinstance(v[0], Const) and len(set(v)) == 1 else values.UNKNOWN for v in same
            )
        return got

    def _operated(self, func: Func, slot: str, depth: int) -> Iterator[tuple[Expr, ...]]:
        """What is passed in the calls of a member of that name in a function, and in what it calls by name."""
        for seen in unexecuted(self.program.frame(func)):
            if isinstance(seen.callee, Member) and seen.callee.name == slot:
                yield from seen.args
            elif isinstance(seen.callee, Name) and depth:
                for target in self.summaries.calls.named(seen.callee.id, func.path):
                    if target.func is not None:
                        yield from self._operated(target.func, slot, depth - 1)

    def _released_by(self, func: Func, call: Call) -> Iterator[Expr]:
        """Locks that the arguments of a macro release: they are statements, which it runs around what it does
        (``wait_event_cmd(queue, done, unlock(&l), lock(&l))``)."""
        numbers = [a.call for a in call.args if isinstance(a, Result)]
        flow = self.summaries.flow(func) if numbers else None
        for seen in flow.seen if flow is not None else ():
            inner = seen.event
            if isinstance(inner, Call) and inner.number in numbers and seen.args:
                callee = seen.callee or inner.callee
                for outcome in self.summaries.outcomes(self.program.frame(func), inner, callee, seen.args[0], State()):
                    yield from outcome.drops

    def _leaf(self, func: Func, call: Call, model: Model, args: tuple[Expr, ...]) -> Iterator[Effect]:
        frame = self.program.frame(func)

        def effect(kind: EffectKind, object_: Expr | None) -> Effect:
            return Effect(kind, model.name, object_, func, call.at)

        held = [place(d.lock, args) for d in model.drops]
        inside = model.inside if not self._of_another(frame, model, args) else ()
        for takes in (*model.takes, *inside):
            lock = place(takes.lock, args, func.path)
            if lock is not None and (takes.mode != "shared" or lock not in held):  # a downgrade waits for nobody
                plain, name = without_context(takes, args), lock_class(frame, lock)
                hold = Hold(lock, name, takes.kind, takes.mode, takes.taken, takes.irq, call.at, plain=plain)
                yield replace(effect("acquire", lock), hold=hold, last=last_if(model))  # refcount_dec_and_mutex_lock()
        for wait in model.waits:
            on = place(wait.on, args) if wait.on is not None else None
            yield replace(effect("wait", on), wait=wait)
        sure = model.allocates is not None and is_member(frame, args, model.allocates.surely_in)
        if model.allocates is not None:
            yield replace(effect("alloc", self.summaries.mask(model, args)), doubt=0 if sure else 2)
        if sure:
            return  # and so it may sleep
        if model.sleeps_if_gfp is not None and model.sleeps_if_gfp < len(args):
            yield effect("alloc", args[model.sleeps_if_gfp])
        elif model.sleeps_if_nonzero is not None and model.sleeps_if_nonzero < len(args):
            if values.truth(args[model.sleeps_if_nonzero]):
                yield effect("sleep", None)
        elif model.sleeps_if_zero is not None:
            if model.sleeps_if_zero < len(args) and values.truth(args[model.sleeps_if_zero]) is False:
                yield effect("sleep", None)
        elif model.sleeps_by is not None:
            if model.sleeps_by < len(args):
                yield effect("sleep", args[model.sleeps_by])
        elif model.may_sleep and not model.waits and not any(t.kind in SLEEPING for t in model.takes):
            yield replace(effect("sleep", None), chosen=model.sleeps_seldom)

    def _of_another(self, frame: Frame, model: Model, args: tuple[Expr, ...]) -> bool:
        """Whether a call is about an object that the driver has found elsewhere: what that one is kept from by its own callbacks
        is nothing that the driver's callbacks do."""
        objects = {i.object for i in model.invokes if i.bound == "directory" and i.object is not None}
        return bool(model.inside and objects) and all(self.summaries.got_elsewhere(frame, place(o, args)) for o in objects)

    def may_matter(self, func: Func, depth: int = DEPTH) -> bool:
        """Whether any effect can stand within ``depth`` below the function, by the names that are called."""
        names = self.summaries.names
        if names.calls_indirectly(func) or self.horizon.has(matters, func, depth):
            return True
        return self.tables_below and depth > 1 and self.through_tables(func, min(depth - 1, TABLES_BELOW))

    def through_tables(self, func: Func, depth: int = TABLES_BELOW) -> bool:
        """Whether a function that stands so far below makes a call through a table, behind which any effect can stand."""
        return self.summaries.names.indirect_below(func, depth)


def matters(model: Model) -> bool:
    """Whether a modelled call has an effect of those that are looked for, or runs something that may."""
    return bool(
        model.takes or model.inside or model.waits or model.allocates is not None or model.may_sleep or model.invokes
        or model.sleeps_if_gfp is not None or model.sleeps_if_nonzero is not None or model.sleeps_if_zero is not None
        or model.sleeps_by is not None
    )  # fmt: skip


def is_member(frame: Frame, args: tuple[Expr, ...], struct: str) -> bool:
    """Whether the first argument is the address of a member of a struct; of any, if that is ""."""
    target = values.deref(args[0]) if args else None
    type_ = frame.type_of(target.base) if isinstance(target, Member) else None
    return not struct or (type_ is not None and frame.resolve(type_).name == struct)


def are_kin(func: Func, targets: Iterable[Target]) -> bool:
    """Whether a few functions that a table may hold all stand in the folder of their caller."""
    homes = [posixpath.dirname(t.func.path) if t.func is not None else "" for t in targets]
    return len(homes) <= MAX_KIN and set(homes) == {posixpath.dirname(func.path)}


def is_named(callee: Expr) -> bool:
    """Whether a function is called by its name: of several definitions, each is that of some configuration."""
    return isinstance(callee, Name) and callee.id[:1] not in "$%:"


def class_or_field(frame: Frame, lock: Expr) -> str:
    """The class of a lock; ``?.field`` where only the name of its field is known (``current->sighand->siglock``)."""
    name = lock_class(frame, lock)
    return name or (f"?.{lock.name}" if isinstance(lock, Member) else "")


def let_go(seen: Seen) -> tuple[Expr, ...]:
    """Locks of the callers that are not held at an event on some way to it."""
    found: dict[Expr, None] = {}
    for held, dropped in zip(seen.held, seen.dropped, strict=True):
        for lock in dropped:
            if all(h.lock != lock for h in held):
                found[lock] = None
    return tuple(found)


def cleared(seen: Seen) -> frozenset[str]:
    """Flags that memalloc scopes take away on every way to an event."""
    worlds = [frozenset(flag for scope in world for flag in scope) for world in seen.scopes]
    return frozenset.intersection(*worlds) if worlds else frozenset()


def may_block(summaries: Summaries, effect: Effect) -> bool:
    """Whether the effect puts its task to sleep: a wait, a lock that sleeps, direct reclaim."""
    if effect.kind == "wait":
        model = summaries.program.model(effect.name)  # that of a timer spins
        return model is not None and model.may_sleep
    if effect.kind == "sleep":
        model = summaries.program.model(effect.name)
        by = model.sleeps_by if model is not None else None
        return by is None or summaries.origins.sleeps(stations(effect), by)
    if effect.kind == "acquire":
        return effect.hold is not None and effect.hold.kind in SLEEPING and effect.hold.taken != "trylock"
    gfp = summaries.program.gfp
    return isinstance(effect.what, Const) and gfp.reclaims(effect.what.value)
