"""What is held before each event of a function, path by path (property simulation).

A state is the locks that are held plus what is known: values of locals, parameters and results, and the truth of
conditions met on the way. States with the same locks merge; what differs between them is forgotten. So
``ok = mutex_trylock(&l); ... if (!ok) return;`` keeps both worlds apart, and a ladder of unrelated ``if`` costs nothing.

(Das, Lerner, Seigle: ESP: path-sensitive program verification in polynomial time, PLDI 2002.)
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from functools import lru_cache
from typing import Protocol

import msgspec
from msgspec.structs import replace

from reviewer.parse import facts
from reviewer.parse.cfg import successors
from reviewer.parse.facts import AddressOf, Binary, Config, Const, Deref, Expr, Name, Result
from reviewer.program.linked import values
from reviewer.program.linked.blockorder import ranks
from reviewer.program.linked.locks import ALONE, Hold
from reviewer.program.linked.structs import Frame
from reviewer.program.linked.written import events_of

MAX_STATES = 64
"""States kept per block; beyond it must is the intersection and may the union (DESIGN, section 4)."""

MAX_ROUNDS = 3
"""Times a block is entered again after its states have changed; then what still changes is forgotten."""

MAX_STEPS = 150_000
"""Events of one run that are executed with all their states; then each block keeps ``FEW_STATES``, and a run that still does
not end is cut. The longest run of a default scan of v4.17 has 62,000."""

FEW_STATES = 2
"""States kept per block once a run has used up its steps."""

MAX_FACTS = 96
"""Conditions, and values, that a state remembers: what a function of 10,000 tests learned first is forgotten first, else
time and memory grow with the square of its length."""

MAX_DROPPED = 24
"""Locks of callers that a function lets go, at most; one that is forgotten seems to be held after all. A loop over an array of
locks lets each of them go (drivers/md/raid5.c has eight, and another one)."""

MAX_ALIKE = 2
"""Holds of a lock under the same words in one state."""

MAX_NESTED = 4
"""The same of what may be held more than once: readers, interrupts and preemption off."""

LAST = 1 << 30
"""The number, among the events of its block, of the condition at its end."""

ERROR = -4
"""The value of a killable or interruptible lock that failed (-EINTR); only its sign and its not being 0 matter."""


Key = tuple[tuple[tuple[Expr, str], ...], Collection[Expr], tuple[tuple[str, ...], ...], object]
"""What keeps states apart: locks with their mode, locks dropped, memalloc scopes, a check's own state."""


LOCK_TYPE = re.compile(r"struct (?:(?:raw_)?spinlock|mutex|rw_semaphore|semaphore|rt_mutex|percpu_rw_semaphore)")
"""What is nothing but a lock."""

SWITCHES = frozenset({"IS_ENABLED", "IS_BUILTIN", "IS_MODULE", "IS_REACHABLE"})
"""How code asks for an option of the configuration (include/linux/kconfig.h)."""


class State(msgspec.Struct):
    """One world at one point.

    ``known``: canonical values of ``$local``, ``%parameter`` and ``rN`` (result of call N). ``truths``: conditions and what
    they were. ``kinds``: tests of an object's function table (``obj->ops->flags & C``) that were true: they say which tables
    the object can have. ``promises``: those that hold where a result ``rN`` is not zero. ``dropped``: locks released that
    were held by a caller. ``scopes``: flags that memalloc scopes take away. ``extra``: whatever a check's own automaton
    keeps (hashable).
    """

    locks: tuple[Hold, ...] = ()
    dropped: tuple[Expr, ...] = ()
    scopes: tuple[tuple[str, ...], ...] = ()
    known: dict[str, Expr] = {}
    truths: dict[Expr, bool] = {}
    extra: object = None
    kinds: tuple[Expr, ...] = ()
    promises: dict[str, tuple[Expr, ...]] = {}

    def key(self) -> Key:
        locks = tuple([(h.lock, h.mode) for h in self.locks]) if self.locks else ()
        return locks, frozenset(self.dropped) if len(self.dropped) > 1 else self.dropped, self.scopes, self.extra

    def copy(self) -> State:
        return State(
            self.locks, self.dropped, self.scopes, dict(self.known), dict(self.truths), self.extra, self.kinds,
            dict(self.promises),
        )  # fmt: skip

    def constant(self, expr: Expr) -> Expr | None:
        """The number that a word is known to be."""
        known = self.known.get(expr.id) if isinstance(expr, Name) else None
        return known if isinstance(known, Const) else None

    def learn(self, name: str, value: Expr | None) -> None:
        """``name`` now has this value (None: not known); what was built on the old one is forgotten."""
        self.forget(name)
        if value is not None and value != values.UNKNOWN and not mentions(value, name):
            self.known[name] = value

    def forget(self, name: str) -> None:
        self.known.pop(name, None)
        old = (name, values.SOME + name)
        if self.known:
            for k in [k for k, v in self.known.items() if not isinstance(v, Const) and not names_in(v).isdisjoint(old)]:
                del self.known[k]
        if self.truths:
            for c in [c for c in self.truths if not names_in(c).isdisjoint(old)]:
                del self.truths[c]
        if self.kinds:
            self.kinds = tuple(c for c in self.kinds if not mentions(c, name))
        if self.promises:
            self.promises = {
                r: cs for r, cs in self.promises.items() if r != name and not any(mentions(c, name) for c in cs)
            }

    def forget_fields(self, pointer: Name) -> None:
        """What a parameter points to may have been written."""
        start = f"{pointer.id}->"
        for k in [k for k in self.known if k.startswith(start)]:
            del self.known[k]

    def forget_path(self, path: Expr) -> None:
        """An object in memory was written: conditions on it say nothing any more."""
        if self.kinds:
            self.kinds = tuple(c for c in self.kinds if path not in parts_of(c))
        if self.truths:
            for c in [c for c in self.truths if path in parts_of(c)]:
                del self.truths[c]


def tests_kind(condition: Expr) -> bool:
    """Whether a condition looks at bits of a table that an object points to: ``obj->ops->flags & C``."""
    return (
        isinstance(condition, Binary) and condition.op == "&" and isinstance(condition.right, Const)
        and isinstance(condition.left, facts.Member) and condition.left.arrow
        and isinstance(condition.left.base, facts.Member)
    )  # fmt: skip


def kinds_in(condition: Expr) -> tuple[Expr, ...]:
    """The tests of tables that a condition which is true consists of."""
    if isinstance(condition, Binary) and condition.op == "&&":
        return kinds_in(condition.left) + kinds_in(condition.right)
    return (condition,) if tests_kind(condition) else ()


def mentions(expr: Expr, name: str) -> bool:
    """Whether a canonical name, or result ``rN``, occurs in the expression."""
    return name in names_in(expr)


@lru_cache(maxsize=1 << 16)
def names_in(expr: Expr) -> frozenset[str]:
    """The canonical names and results (``rN``) of an expression."""
    found = set()
    for e in values.walk(expr):
        if isinstance(e, Name):
            found.add(e.id)
        elif isinstance(e, Result):
            found.add(f"r{e.call}")
    return frozenset(found)


@lru_cache(maxsize=1 << 16)
def parts_of(expr: Expr) -> frozenset[Expr]:
    """Every subexpression."""
    return frozenset(values.walk(expr))


class Outcome(msgspec.Struct, frozen=True):
    """One way in which a call may end, in the caller's terms.

    ``result``: the value, if known. ``outs``: constants stored through pointer arguments: (index, value).
    ``failed``: the class of a lock that a try, killable or interruptible variant did not get on this way. ``promises``: what is
    true of a table (:func:`tests_kind`) if the result is not zero. ``when``: conditions that hold on this way, and not on
    every other. ``nonzero``: the result is no zero. ``enters``, ``leaves``: a memalloc scope, that stays open or is not its own.
    """

    takes: tuple[Hold, ...] = ()
    drops: tuple[Expr, ...] = ()
    result: Expr | None = None
    outs: tuple[tuple[int, Expr], ...] = ()
    enters: tuple[str, ...] | None = None
    leaves: bool = False
    ends: bool = False
    failed: str = ""
    promises: tuple[Expr, ...] = ()
    when: tuple[tuple[Expr, bool], ...] = ()
    nonzero: bool = False


class Callees(Protocol):
    """Answers what a call does; :mod:`reviewer.program.flow.summaries` has the real one."""

    def outcomes(
        self, frame: Frame, call: facts.Call, callee: Expr, args: tuple[Expr, ...], state: State
    ) -> tuple[Outcome, ...]: ...


class Observer:
    """A check's own automaton along the paths. The default sees nothing."""

    def start(self) -> object:
        return None

    def event(self, frame: Frame, event: facts.Event, state: State, args: tuple[Expr, ...]) -> object:
        """The new ``extra`` after ``event``; ``args`` are canonical (a call's, or target and value of a write)."""
        return state.extra

    def looks(self, frame: Frame, read: facts.Read, state: State) -> object:
        """The new ``extra`` after what a branch asks for, or what the function returns."""
        return state.extra

    def outcome(self, frame: Frame, call: facts.Call, outcome: Outcome, state: State) -> object:
        """The new ``extra`` once a call has ended this way."""
        return state.extra


class Seen(msgspec.Struct):
    """One event and the worlds in which it was reached."""

    event: facts.Event
    block: int
    callee: Expr | None = None
    args: list[tuple[Expr, ...]] = []
    held: list[tuple[Hold, ...]] = []
    scopes: list[tuple[tuple[str, ...], ...]] = []
    kinds: list[tuple[Expr, ...]] = []
    dropped: list[tuple[Expr, ...]] = []

    def must(self) -> tuple[Hold, ...]:
        """Locks held in every world."""
        if not self.held:
            return ()
        first, rest = self.held[0], self.held[1:]
        return tuple(h for h in first if all(any(same_lock(h, g) for g in other) for other in rest))

    def under(self, hold: Hold) -> Seen:
        """The event in those worlds only in which the lock is held."""
        worlds = zip(self.args, self.held, self.scopes, self.kinds, self.dropped, strict=True)
        kept = [w for w in worlds if any(same_lock(h, hold) for h in w[1])]
        args, held, scopes, kinds, dropped = ([w[i] for w in kept] for i in range(5))
        return Seen(self.event, self.block, self.callee, args, held, scopes, kinds, dropped)  # type: ignore[arg-type]

    def may(self) -> tuple[Hold, ...]:
        """Locks held in some world."""
        found: list[Hold] = []
        for world in self.held:
            found.extend(h for h in world if not any(same_lock(h, g) for g in found))
        return tuple(found)


def same_lock(a: Hold, b: Hold) -> bool:
    return (a.lock == b.lock or (bool(a.name) and a.name == b.name)) and a.mode == b.mode


class Ending(msgspec.Struct):
    """The function returns: with this state and value."""

    state: State
    value: Expr | None
    at: int


class Flow(msgspec.Struct):
    """What one run over a body saw."""

    frame: Frame
    seen: list[Seen]
    endings: list[Ending]
    capped: bool = False


def run(
    frame: Frame,
    callees: Callees,
    bound: dict[str, Expr] | None = None,
    held: tuple[Hold, ...] = (),
    observer: Observer | None = None,
    truths: dict[Expr, bool] | None = None,
) -> Flow:
    """Execute the body of ``frame`` symbolically from one entry state.

    :param bound: values of parameters (``%i``) that the caller has fixed.
    :param held: locks held on entry.
    :param truths: conditions on parameters that the caller has decided.
    """
    return Runner(frame, callees, observer or Observer()).run(bound or {}, held, truths or {})


def unexecuted(frame: Frame, reached: Container[int] = ()) -> Iterator[Seen]:
    """The calls of a body as they are written, with nothing known and nothing held.

    :param reached: numbers of calls to leave out.
    """
    for number, block in enumerate(frame.body.blocks if frame.body is not None else ()):
        for e in block.events:
            if isinstance(e, facts.Call) and e.number not in reached:
                args = tuple(frame.canonical(a, {}) for a in e.args)
                yield Seen(e, number, frame.callee(e.callee, {}), [args], [()], dropped=[()])


World = tuple[
    tuple[Expr, ...], tuple[Hold, ...], tuple[tuple[str, ...], ...], tuple[Expr, ...], tuple[Expr, ...]
]
"""Canonical arguments of an event, the locks and scopes under which it was reached, what was known of tables, and the locks
of a caller that had been released."""


class Runner:
    """The fixpoint. A block is executed once for each state that enters it, and again where that state loses knowledge;
    what was recorded of the earlier time is then replaced."""

    def __init__(self, frame: Frame, callees: Callees, observer: Observer) -> None:
        self.frame = frame
        self.callees = callees
        self.observer = observer
        self.capped = False
        self.steps = 0
        self.words = frame.program.scope_words
        self.limit = MAX_STATES
        self.executed: set[int] = set()
        self.now: dict[int, list[World]] = {}
        self.ended: list[Ending] = []
        self.given: dict[str, set[int]] | None = None
        self.events: dict[tuple[int, int], tuple[facts.Event, Expr | None]] = {}

    def run(self, bound: dict[str, Expr], held: tuple[Hold, ...], truths: dict[Expr, bool]) -> Flow:
        body = self.frame.body
        if body is None:
            return Flow(self.frame, [], [])
        order = ranks(body)
        entry = State(locks=held, known=dict(bound), truths=dict(truths), extra=self.observer.start())
        ins: dict[int, dict[Key, State]] = {0: {entry.key(): entry}}
        worlds: dict[int, dict[Key, dict[int, list[World]]]] = {}
        endings: dict[int, dict[Key, list[Ending]]] = {}
        rounds: dict[tuple[int, Key], int] = {}
        counter = itertools.count()
        queue: list[tuple[int, int, int, Key]] = [(order[0], 0, 0, entry.key())]
        queued = {(0, entry.key())}
        while queue and self.steps < 2 * MAX_STEPS:
            _, _, b, key = heapq.heappop(queue)
            queued.discard((b, key))
            rounds[b, key] = rounds.get((b, key), 0) + 1
            self.now, self.ended = {}, []
            for to, state in self.block(body, b, ins[b][key]):
                reached = state.key()
                if (
                    self.merge(ins.setdefault(to, {}), reached, state, rounds.get((to, reached), 0))
                    and (to, reached) not in queued
                ):
                    heapq.heappush(queue, (order[to], next(counter), to, reached))
                    queued.add((to, reached))
            worlds.setdefault(b, {})[key] = self.now
            if self.ended:
                endings.setdefault(b, {})[key] = self.ended
        self.capped |= bool(queue)
        if self.limit < MAX_STATES or queue:
            path, name = self.frame.func.path, self.frame.func.name
            self.frame.program.skipped.setdefault(path, f"{name} has too many paths: looked at in part")
        found: list[Seen] = []
        for b in sorted(worlds, key=lambda b: order[b]):
            numbers = sorted({i for world in worlds[b].values() for i in world})
            for i in numbers:
                event, callee = self.events[b, i]
                seen = Seen(event, b, callee)
                for world in worlds[b].values():
                    for args, locks, scopes, kinds, dropped in world.get(i, ()):
                        seen.args.append(args)
                        seen.held.append(locks)
                        seen.scopes.append(scopes)
                        seen.kinds.append(kinds)
                        seen.dropped.append(dropped)
                found.append(seen)
        ended = [e for b in sorted(endings, key=lambda b: order[b]) for es in endings[b].values() for e in es]
        return Flow(self.frame, found, ended, self.capped)

    def merge(self, into: dict[Key, State], key: Key, state: State, rounds: int) -> bool:
        """Add a state to a block's; whether that says anything new."""
        old = into.get(key)
        if old is None:
            if len(into) >= self.limit:
                self.capped = True
                return False
            into[key] = state
            return True
        changed = False
        if old.kinds and old.kinds != state.kinds:
            common = tuple(c for c in old.kinds if c in state.kinds)
            changed = common != old.kinds
            old.kinds = common
        if old.promises and old.promises != state.promises:
            old.promises = {r: cs for r, cs in old.promises.items() if state.promises.get(r) == cs}
        known, truths = old.known, old.truths
        if known:
            other = state.known
            for k, v in [(k, v) for k, v in known.items() if other.get(k) != v]:
                both = merged_bits(k, v, other.get(k)) or merged_error(k, old, state) or merged_result(k, old, state)
                if both is None:
                    del known[k]
                elif both == v:
                    continue
                else:
                    known[k] = both
                changed = True
        if truths:
            others = state.truths
            for c in [c for c, t in truths.items() if others.get(c) != t]:
                del truths[c]
                changed = True
        if changed and rounds > 4 * MAX_ROUNDS:
            known.clear()
            truths.clear()
        return changed

    def block(self, body: facts.Body, b: int, start: State) -> Iterator[tuple[int, State]]:
        block = body.blocks[b]
        self.steps += len(block.events) + 1
        if self.steps > MAX_STEPS and self.limit > FEW_STATES:
            self.limit, self.capped = FEW_STATES, True
        current: list[State] = [start.copy()]
        for i, event in enumerate(block.events):
            if len(current) == 1:
                current = list(self.event(b, i, event, current[0]))
                continue
            after: list[State] = []
            for state in current:
                after.extend(self.event(b, i, event, state))
            current = self.squeeze(after) if len(after) > 8 else after
        for state in current:
            yield from self.exit(b, block.exit, state)

    def squeeze(self, states: list[State]) -> list[State]:
        merged: dict[Key, State] = {}
        for s in states:
            self.merge(merged, s.key(), s, 0)
        return list(merged.values())

    # --- events ---------------------------------------------------------------------------------

    def event(self, b: int, i: int, event: facts.Event, state: State) -> Iterable[State]:
        frame = self.frame
        if isinstance(event, facts.Call):
            callee = frame.callee(event.callee, state.known)
            if event.loop:
                self.moved(event, state)
            args = tuple(frame.canonical(a, state.known) for a in event.args)
            if event.number in self.executed:  # in a loop: the last round's result is gone
                state.forget(f"r{event.number}")
            self.executed.add(event.number)
            self.record(b, i, event, state, callee, args)
            if isinstance(event.callee, Name) and event.callee.id in SWITCHES:
                return self.switched(event, args, state)
            outcomes = self.callees.outcomes(frame, event, callee, args, state)
            state.extra = self.observer.event(frame, event, state, args)
            model = frame.program.models.functions.get(event.callee.id) if isinstance(event.callee, Name) else None
            if model is not None and model.returns is not None:
                self.ended.append(Ending(state, args[model.returns] if model.returns < len(args) else None, event.at))
                return ()
            for a in args:
                if isinstance(a, AddressOf) and isinstance(a.base, Name) and a.base.id[:1] in "$%":
                    state.forget(a.base.id)
                elif isinstance(a, Name):
                    if state.known.pop(f"*{a.id}", None) is not None:
                        state.forget_path(Deref(a))
                    state.forget_fields(a)
                if state.truths and isinstance(a, Name | facts.Member) and isinstance(event.callee, Name):
                    self.counted(event.callee.id, a, state)
            if len(outcomes) == 1:
                return self.apply(state, event, args, outcomes[0])
            told = fails_below_zero(outcomes)
            null = not told and fails_with_null(outcomes) and self.points(event)
            result: list[State] = []
            for o in outcomes:
                after = state.copy()
                value = o.result if o.result is not None else Result(event.number)
                if o.takes and not isinstance(value, Const):
                    if told:
                        assume(after, Binary("<", value, Const(0)), False)
                    tell_apart(after, value, outcomes)
                found = replace(o, nonzero=True) if null and o.takes and not isinstance(o.result, Const) else o
                result.extend(self.apply(after, event, args, found))
            return result
        if isinstance(event, facts.Write):
            plain = isinstance(event.target, facts.Name)
            if isinstance(event.target, Deref):
                target = values.deref(frame.canonical(event.target.base, state.known))
            else:
                made = self.part_of(event.target)  # a struct of the function's own is not what it was initialised with
                known = state.known if made not in state.known else {k: v for k, v in state.known.items() if k != made}
                target = frame.canonical(event.target, {} if plain else known)
            value = frame.canonical(event.value, state.known)
            if isinstance(value, facts.Choice):
                value = decided(state, value)
            self.record(b, i, event, state, None, (target, value))
            if isinstance(target, Name) and target.id[:1] in "$%":
                if event.op != "=":
                    before = state.known.get(target.id, target)
                    value = values.binary(event.op[:-1], before, value)
                state.learn(target.id, self.frame.typed(target, value))
            else:
                state.forget_path(target)
                if event.op == "=" and isinstance(target, facts.Member) and not isinstance(event.value, Const):
                    kept = truth_of(state, value)
                    if kept is not None:  # what a call has given, and a member keeps, is still what it was
                        state.truths[target] = kept
                bits = self.words.get(target)
                if bits is not None:
                    state.scopes = scopes_by_word(state.scopes, event, bits)
                if event.op == "=" and isinstance(target, facts.Member) and any(not h.name for h in state.locks):
                    self.name_hold(state, target, value)
                if isinstance(target, facts.Member) and isinstance(target.base, Name):
                    state.known.pop(f"{target.base.id}->{target.name}", None)
                if isinstance(target, Deref) and isinstance(target.base, Name) and target.base.id.startswith("%"):
                    stored = f"*{target.base.id}"
                    if event.op == "=" and isinstance(value, Const):
                        state.known[stored] = value
                    else:
                        state.known.pop(stored, None)
            state.extra = self.observer.event(frame, event, state, (target, value))
            return (state,)
        value = frame.canonical(event.value, state.known)
        self.record(b, i, event, state, None, (value,))
        state.extra = self.observer.event(frame, event, state, (value,))
        return (state,)

    def part_of(self, target: Expr) -> str | None:
        """The canonical name of the local that something is a member, or an element, of."""
        root = target
        while isinstance(root, facts.Index) or (isinstance(root, facts.Member) and not root.arrow):
            root = root.base
        name = self.frame.name(root.id) if isinstance(root, Name) and root is not target else None
        return name.id if isinstance(name, Name) and name.id.startswith("$") else None

    def switched(self, call: facts.Call, args: tuple[Expr, ...], state: State) -> Iterable[State]:
        """An option of the configuration is asked for."""
        option = call.args[0] if call.args else None
        if isinstance(option, Name):
            on = self.frame.program.switches.decided(f"defined({option.id})", self.frame.func.path)
            state.learn(f"r{call.number}", Const(int(on)) if on is not None else None)
        state.extra = self.observer.event(self.frame, call, state, args)
        return (state,)

    def points(self, call: facts.Call) -> bool:
        """Whether a call returns a pointer."""
        type_ = self.frame.type_of(Result(call.number))
        return type_ is not None and type_.pointer > 0

    def name_hold(self, state: State, target: Expr, value: Expr) -> None:
        """A lock that was taken by a pointer of no class is kept in a member (``vmf->ptl = pte_lockptr(...)``): from then on it
        goes by that one's name, too."""
        lock = values.deref(value)
        if any(h.lock == lock and not h.name for h in state.locks):
            name = self.class_of(values.deref(target))
            state.locks = tuple(replace(h, name=name) if h.lock == lock and not h.name else h for h in state.locks)

    def counted(self, callee: str, pointer: Expr, state: State) -> None:
        """What a field was compared with says nothing once a function of the same unit, which got the pointer, has written it."""
        compared = {
            (c, e.name) for c in state.truths if isinstance(c, Binary) and c.op in ORDERED
            for e in (c.left, c.right) if isinstance(e, facts.Member) and e.base == pointer
        }  # fmt: skip
        for func in self.frame.program.functions(self.frame.func.path, callee) if compared else ():
            for condition, field in compared:
                if field in func.words and writes_field(func.text, field):
                    state.truths.pop(condition, None)

    def moved(self, call: facts.Call, state: State) -> None:
        """An iterator sets its cursor: what a local was initialised with is not its value inside of the loop."""
        for a in call.args:
            name = self.frame.name(a.id) if isinstance(a, Name) else None
            if isinstance(name, Name) and name.id.startswith("$") and isinstance(state.known.get(name.id), Const):
                state.forget(name.id)

    def record(
        self, b: int, i: int, event: facts.Event, state: State, callee: Expr | None, args: tuple[Expr, ...]
    ) -> None:
        if i not in self.now:
            self.events[b, i] = (event, callee)
            self.now[i] = []
        self.now[i].append((args, state.locks, state.scopes, state.kinds, state.dropped))

    def apply(self, state: State, call: facts.Call, args: tuple[Expr, ...], o: Outcome) -> Iterable[State]:
        if o.ends:
            return ()
        for condition, truth in o.when:
            if state.truths.get(condition, truth) != truth:
                return ()
            assume(state, condition, truth)
        if any(h.taken == "trylock" and self.taken_again(state, h) for h in o.takes):
            return ()  # it has it already, so that to try fails
        state.extra = self.observer.outcome(self.frame, call, o, state)
        scope = isinstance(call.callee, Name) and call.callee.id.startswith("unguard:")
        for lock in o.drops:
            if not scope or any(h.lock == lock for h in state.locks):  # a guard that tried in vain lets nothing go
                gone = self.drop(state, lock)
                plain = gone is not None and not gone.irq and gone.kind != "irq" and has_irq_off(state)
                if (gone is None or plain) and self.restores_saved(call):
                    without_irq(state, saved=True)
                if gone is None or gone.kind == "irq":
                    # What was turned off once more since the flags were saved is as it was then, too.
                    while gone is not None and gone.irq == "off" and self.restores(call) and has_irq_off(state):
                        gone = self.drop(state, lock)
                    continue
                if not gone.irq and (let_in := self.lets_in(call)):
                    without_irq(state, kind=let_in)
                elif gone.irq in ("off", "save") and self.leaves_off(call):
                    state.locks = (*state.locks, replace(gone, lock=INTERRUPTS, name=self.class_of(INTERRUPTS), kind="irq"))
        if o.takes:
            state.locks = state.locks + tuple(h for h in o.takes if not (self.taken_again(state, h) or self.piles_up(state, h)))
        if o.enters is not None and state.scopes.count(o.enters) < MAX_SCOPES:
            state.scopes = (*state.scopes, o.enters)
        if o.leaves:
            state.scopes = without_last(state.scopes)
        if o.result is not None:
            state.learn(f"r{call.number}", o.result)
        if o.nonzero:
            positive, condition = polarity(o.result if o.result is not None else Result(call.number))
            assume(state, condition, positive)
        if o.promises:
            state.promises[f"r{call.number}"] = o.promises
        for index, value in o.outs:
            if index < len(args):
                a = args[index]
                if isinstance(a, AddressOf) and isinstance(a.base, Name) and a.base.id[:1] in "$%":
                    state.learn(a.base.id, value)
        return (state,)

    def drop(self, state: State, lock: Expr) -> Hold | None:
        """Release a lock; what was held of it, None if the function held none."""
        gone = self.take_out(state, lambda h: h.lock == lock)
        name = self.class_of(lock) if gone is None else ""
        if name:
            gone = self.take_out(state, lambda h: h.name == name)
        elif gone is None and any(isinstance(v, Const) for v in state.known.values()):
            # Named by what has since been found to be a number.
            gone = self.take_out(state, lambda h: not h.name and values.rebuild(h.lock, state.constant) == lock)
        if gone is None and state.locks and through_local(lock):
            # What the variable was is forgotten, not which call gave it, and with what (``ptl = pud_lock(args.mm, args.pudp);``).
            given = self.givers(lock)
            gone = self.take_out(state, lambda h: bool(h.where) and h.at in given)
        if gone is None and not name and len(state.locks) == 1 and through_local(lock):
            # The variable is not known to hold it any more; there is no other that it can be.
            gone = self.take_out(state, lambda h: self.may_be(lock, h))
        if gone is not None:
            return gone
        if lock not in state.dropped and len(state.dropped) < MAX_DROPPED:
            state.dropped = (*state.dropped, lock)
        return None

    def givers(self, lock: Expr) -> frozenset[int]:
        """Where the calls stand whose results the local is given through which a lock is named."""
        assert isinstance(lock, Deref) and isinstance(lock.base, Name)
        if self.given is None:
            self.given = {}
            for event in events_of(self.frame.body) if self.frame.body is not None else ():
                if isinstance(event, facts.Write) and isinstance(event.target, Name) and isinstance(event.value, Result):
                    call = self.frame.call(event.value.call)
                    if call is not None:
                        self.given.setdefault(f"${event.target.id}", set()).add(call.at)
        return frozenset(self.given.get(lock.base.id, ()))

    def may_be(self, lock: Expr, hold: Hold) -> bool:
        """Whether two locks can be one: a spinlock is no mutex. What is locked otherwise, as a page is, has several types."""
        types = [self.frame.type_of(e) for e in (lock, hold.lock)]
        names = {t.name for t in types if t is not None}
        return len(names) < 2 or not any(map(LOCK_TYPE.fullmatch, names))

    @staticmethod
    def take_out(state: State, meant: Callable[[Hold], bool]) -> Hold | None:
        """The hold that was taken last of those that are meant, which is not held any more."""
        locks = state.locks
        for i in range(len(locks) - 1, -1, -1):
            if meant(locks[i]):
                state.locks = locks[:i] + locks[i + 1 :]
                return locks[i]
        return None

    def taken_again(self, state: State, hold: Hold) -> bool:
        """Whether a loop takes the very object again that it has taken here in its last round: then that was let go in between,
        somewhere out of sight, and holds would pile up. What may be nested, or be another object under the same words, may be
        held more than once."""
        again = any((h.at, h.where, h.lock, h.mode) == (hold.at, hold.where, hold.lock, hold.mode) for h in state.locks)
        return again and once(hold) and same_everywhere(self.frame, hold.lock)

    def piles_up(self, state: State, hold: Hold) -> bool:
        """Whether a lock is held often enough under the very same words: a loop takes those of many objects, or somebody lets it
        go who is not seen. One more would tell nothing that two do not, and each costs all that follows once more."""
        most = MAX_ALIKE if once(hold) else MAX_NESTED
        if len(state.locks) < most or sum(h.lock == hold.lock and h.mode == hold.mode for h in state.locks) < most:
            return False
        self.capped = True
        return True

    def lets_in(self, call: facts.Call) -> str:
        """What a call that releases a lock lets in, too, by itself or in a wrapper that only releases: interrupts (``irq``), or
        softirqs (``bh``)."""
        program = self.frame.program
        model = program.model(call.callee.id) if isinstance(call.callee, Name) else None
        drops = model.drops if model is not None else ()
        if model is None and isinstance(call.callee, Name):
            for func in program.resolve(call.callee.id, self.frame.func.path)[:1]:
                models = [m for c in func.calls if (m := program.model(c)) is not None]
                drops = tuple(d for m in models for d in m.drops) if not any(m.takes for m in models) else ()
        words = {d.irq for d in drops}
        return "irq" if words & {"on", "restore"} else "bh" if "bh" in words else ""

    def restores(self, call: facts.Call) -> bool:
        """Whether a call makes interrupts what they were when some flags were saved."""
        model = self.frame.program.model(call.callee.id) if isinstance(call.callee, Name) else None
        return model is not None and any(d.irq == "restore" for d in model.drops)

    def restores_saved(self, call: facts.Call) -> bool:
        """The same of a function that only restores, for another one that has saved them (``*flags`` here, ``flags`` there)."""
        program = self.frame.program
        for func in program.resolve(call.callee.id, self.frame.func.path)[:1] if isinstance(call.callee, Name) else ():
            models = [m for c in func.calls if (m := program.model(c)) is not None]
            if any(d.irq == "restore" for m in models for d in m.drops) and not any(m.takes for m in models):
                return True
        return False

    def leaves_off(self, call: facts.Call) -> bool:
        """Whether it is the variant, or a macro for it, that says nothing of interrupts: those that were turned off with the lock
        stay off (``spin_lock_irqsave(&a, flags); spin_lock(&b); spin_unlock(&a); spin_unlock_irqrestore(&b, flags);``)."""
        program = self.frame.program
        model = program.model(call.callee.id) if isinstance(call.callee, Name) else None
        drops = model.drops if model is not None else ()
        if model is None and isinstance(call.callee, Name):
            macros = [f for f in program.resolve(call.callee.id, self.frame.func.path)[:1] if f.macro is not None]
            drops = tuple(d for f in macros for c in f.calls if (m := program.model(c)) is not None for d in m.drops)
        return bool(drops) and not any(d.irq for d in drops)

    def class_of(self, lock: Expr) -> str:
        from reviewer.program.linked.locks import lock_class

        return lock_class(self.frame, lock)

    # --- exits ----------------------------------------------------------------------------------

    def exit(self, b: int, exit_: facts.Exit, state: State) -> Iterator[tuple[int, State]]:
        if isinstance(exit_, facts.Jump):
            yield exit_.to, state
        elif isinstance(exit_, facts.Branch):
            yield from self.branch(b, exit_, state)
        elif isinstance(exit_, facts.Switch):
            yield from self.switch(exit_, state)
        elif isinstance(exit_, facts.Return):
            value = self.frame.canonical(exit_.value, state.known) if exit_.value is not None else None
            if exit_.value is not None:
                state.extra = self.observer.looks(self.frame, facts.Read(exit_.value, exit_.at), state)
            self.ended.append(Ending(state, value, exit_.at))

    def branch(self, b: int, exit_: facts.Branch, state: State) -> Iterator[tuple[int, State]]:
        if isinstance(exit_.condition, Config):
            condition: Expr = exit_.condition
        else:
            condition = self.frame.canonical(exit_.condition, state.known)
        if not isinstance(condition, Config):
            test = facts.Read(exit_.condition, exit_.at)
            self.record(b, LAST, test, state, None, (condition,))
            state.extra = self.observer.looks(self.frame, test, state)
        positive, condition = polarity(condition)
        known = values.truth(condition)
        if known is None:
            known = state.truths.get(condition)
        if known is None and state.truths:
            known = by_sign(state.truths, condition)
        if known is None and isinstance(condition, Config):
            known = self.frame.program.switches.decided(condition.condition, self.frame.func.path)
        if known is None and self.is_function(condition):
            known = True
        if known is None and any(follows(h.lock, condition) for h in state.locks):
            known = True  # a lock that is held is somewhere: the pointer to its object is no NULL
        if isinstance(condition, facts.Member) and condition.arrow and isinstance(condition.base, Result):
            state.truths.setdefault(condition.base, True)  # what is followed here is no NULL afterwards
        for truth, to in ((True, exit_.then), (False, exit_.other)):
            if known is not None and known != (truth == positive):
                continue
            other = state.copy() if known is None else state
            if known is None:
                assume(other, condition, truth == positive)
            yield to, other

    def is_function(self, condition: Expr) -> bool:
        """Whether the condition is a function that the caller has passed (``if (callback)``), and so no NULL."""
        return (
            isinstance(condition, Name) and condition.id[:1] not in "$%:"
            and bool(self.frame.program.resolve(condition.id, self.frame.func.path))
        )  # fmt: skip

    def switch(self, exit_: facts.Switch, state: State) -> Iterator[tuple[int, State]]:
        value = self.frame.canonical(exit_.value, state.known)
        rest = not self.all_named(exit_)
        for cases, to in exit_.cases:
            for case in cases:
                constant = self.frame.canonical(case, {})
                condition = values.binary("==", value, constant)
                known = values.truth(condition)
                if known is False:
                    continue
                other = state.copy()
                if isinstance(constant, Const):
                    assume(other, Binary("==", value, constant), True)
                yield to, other
                if known is True:
                    rest = False
        if rest:
            yield exit_.default, state

    def all_named(self, exit_: facts.Switch) -> bool:
        """Whether a switch goes by a local that is only ever given numbers (``int stage = 1; if (last) stage = 2;``), and has a
        case for each of them."""
        body = self.frame.body
        value = self.frame.canonical(exit_.value, {})
        if body is None or not isinstance(value, Name) or not value.id.startswith("$"):
            return False
        word, given = Name(value.id[1:]), set[Expr]()
        for event in events_of(body):
            if isinstance(event, facts.Call) and (AddressOf(word) in event.args or (event.loop and word in event.args)):
                return False
            if isinstance(event, facts.Write) and event.target == word:
                number = self.frame.canonical(event.value, {}) if event.op == "=" else None
                if not isinstance(number, Const):
                    return False
                given.add(number)
        return bool(given) and given <= {self.frame.canonical(case, {}) for cases, _ in exit_.cases for case in cases}


def seen_at(flow: Flow | None, at: int) -> Seen | None:
    """The event at a position of a function, if anything is known of it."""
    return next((s for s in flow.seen if s.event.at == at), None) if flow is not None else None


@lru_cache(maxsize=1 << 12)
def writes_field(text: bytes, field: str) -> bool:
    """Whether the text of a function gives a field of something another value."""
    word = re.escape(field.encode())
    return re.search(rb"(?:->|\.)\s*" + word + rb"\s*(?:(?:[-+|&^]|<<|>>)?=(?!=)|\+\+|--)", text) is not None


def without_last(scopes: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """The scopes after the last of them was left; one that a caller has entered leaves a mark."""
    if not scopes or scopes[-1] == LEFT:
        return (*scopes[:-1], LEFT)
    return scopes[:-1]


def net_scope(scopes: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...] | None, bool]:
    """What a caller has of the scopes with which a function returns: one that it has entered, or that it has left one."""
    entered = [scope for scope in scopes if scope != LEFT]
    left = LEFT in scopes
    return entered[-1] if entered and not left else None, left and not entered


def scopes_by_word(
    scopes: tuple[tuple[str, ...], ...], write: facts.Write, bits: dict[str, list[str]]
) -> tuple[tuple[str, ...], ...]:
    """Scopes without a call: a bit of a word is set, cleared, or the word is as it was (``current->flags |= PF_MEMALLOC_NOIO``,
    ``current->flags = saved``)."""
    named = [tuple(bits[e.id]) for e in values.walk(write.value) if isinstance(e, Name) and e.id in bits]
    if write.op == "|=":
        return (*scopes, *(flags for flags in named if flags not in scopes))
    if write.op == "&=":
        for flags in named:
            last = next((i for i in reversed(range(len(scopes))) if scopes[i] == flags), None)
            scopes = scopes if last is None else scopes[:last] + scopes[last + 1 :]
        return scopes
    return () if write.op == "=" else scopes


def fails_below_zero(outcomes: tuple[Outcome, ...]) -> bool:
    """Whether every way on which a call takes no lock ends with an error number: then what it returns with the lock is none,
    whatever else it is."""
    failed = [o for o in outcomes if not o.takes]
    return len(failed) < len(outcomes) and all(values.is_error(o.result) for o in failed) and bool(failed)


def fails_with_null(outcomes: tuple[Outcome, ...]) -> bool:
    """Whether every way on which a call takes no lock ends with 0: a pointer that it returns with the lock is none, then."""
    failed = [o for o in outcomes if not o.takes]
    return 0 < len(failed) < len(outcomes) and all(not o.drops and o.result == Const(0) for o in failed)


def tell_apart(state: State, value: Expr, outcomes: tuple[Outcome, ...]) -> None:
    """Where a call takes a lock, it does not return what it returns without it (``new = map(old); if (new != old) unmap();``)."""
    for other in (o.result for o in outcomes if not o.takes):
        if other is not None and other != value and not isinstance(other, Const):
            assume(state, Binary("==", value, other), False)
            assume(state, Binary("==", other, value), False)


def through_local(lock: Expr) -> bool:
    """Whether all that is known of a lock is the local variable that points to it; one of a callee (``$3.lock``) is none."""
    return isinstance(lock, Deref) and isinstance(lock.base, Name) and lock.base.id.startswith("$") and "." not in lock.base.id


def once(hold: Hold) -> bool:
    """Whether nobody can hold the same object twice."""
    return hold.mode == "exclusive" and hold.kind not in ALONE


def same_everywhere(frame: Frame, lock: Expr) -> bool:
    """Whether the words for a lock mean one object throughout a function: they begin with a parameter that stays what it is,
    or are a variable's or its members', and have no index."""
    follows_pointer = False
    while isinstance(lock, facts.Member | Deref):
        follows_pointer |= isinstance(lock, Deref) or lock.arrow
        lock = lock.base
    if not isinstance(lock, Name) or not lock.id.startswith("%"):
        return isinstance(lock, Name) and lock.id.startswith("::") and not follows_pointer
    i = int(lock.id[1:])
    return i < len(frame.func.parameters) and frame.func.parameters[i].name not in frame.assigned


MAX_SCOPES = 2
"""Scopes of one kind inside each other: what a loop enters, and leaves by a call that is not followed, does not count."""

LEFT: tuple[str, ...] = ()
"""Stands among the scopes for one of the caller's that was left."""

INTERRUPTS = Name("::irq")
"""What ``local_irq_disable()`` holds, by the models."""


def has_irq_off(state: State) -> bool:
    return any(h.kind == "irq" for h in state.locks)


def without_irq(state: State, saved: bool = False, kind: str = "irq") -> None:
    """Interrupts, or softirqs, that were turned off before a lock was taken are on again (``local_irq_save(); spin_lock();
    spin_unlock_irqrestore();``).

    :param saved: by a callee, that is, which has saved them for its caller.
    """
    locks = state.locks
    for i in range(len(locks) - 1, -1, -1):
        if locks[i].kind == kind and (locks[i].where or not saved):
            state.locks = locks[:i] + locks[i + 1 :]
            return


def follows(lock: Expr, pointer: Expr) -> bool:
    """Whether the lock is a member of what ``pointer`` points to."""
    while isinstance(lock, facts.Member):
        if lock.arrow and lock.base == pointer:
            return True
        lock = lock.base
    return False


def truth_of(state: State, value: Expr) -> bool | None:
    """Whether a value is known not to be zero: a lock in it that is held is somewhere."""
    positive, condition = polarity(value)
    known = values.truth(condition)
    if known is None:
        known = state.truths.get(condition)
    if known is None and any(follows(h.lock, condition) for h in state.locks):
        known = True
    return None if known is None else known == positive


def decided(state: State, value: facts.Choice) -> Expr:
    """The arm of ``condition ? then : other`` that it comes to, if that is known."""
    known = truth_of(state, value.condition)
    return value if known is None else value.then if known else value.other


def merged_bits(variable: str, one: Expr, other: Expr | None) -> Expr | None:
    """What is known of a value that is the one or the other, if both are masks; None for nothing."""
    a, b = values.bits_of(one), values.bits_of(other)
    return values.bits(variable, a[0] | b[0], a[1] & b[1]) if a is not None and b is not None else None


def merged_error(variable: str, one: State, other: State) -> Expr | None:
    """What is known of a value that is an error number on both ways."""
    for state in (one, other):
        value = state.known.get(variable)
        if not values.is_error(value) and (
            not isinstance(value, Result) or not state.truths.get(Binary("<", value, Const(0)))
        ):
            return None
    return values.some_error(variable)


def merged_result(variable: str, one: State, other: State) -> Expr | None:
    """A result that a variable has on both ways, of which one of them knows the value, too."""
    for state, told in ((one, other), (other, one)):
        value, number = state.known.get(variable), told.known.get(variable)
        if isinstance(value, Result) and isinstance(number, Const) and told.known.get(f"r{value.call}") == number:
            return value
    return None


ORDERED = frozenset({"<", "<=", ">", ">="})
"""How a number is compared, and not a flag, on which locks depend."""

REVERSED = {">=": "<", "<=": ">"}


def by_sign(truths: dict[Expr, bool], condition: Expr) -> bool | None:
    """What is known of the sign of a number answers, if it does: what is neither 0 nor below it is above."""
    if isinstance(condition, Binary) and condition.op in ("<", ">") and condition.right == ZERO:
        number = condition.left
        other = truths.get(Binary("<" if condition.op == ">" else ">", number, ZERO))
        nonzero = truths.get(number)
        return False if other or nonzero is False else True if nonzero and other is False else None
    below, above = (truths.get(Binary(op, condition, ZERO)) for op in ("<", ">"))
    return True if below or above else False if below is False and above is False else None


ZERO = Const(0)


def polarity(condition: Expr) -> tuple[bool, Expr]:
    """``(False, c)`` for ``!c``, ``x != y``, ``x == 0``, ``x >= 0`` and ``x <= 0``: so that equal questions look equal. A pointer
    of another type is NULL where the pointer is."""
    positive = True
    while True:
        if isinstance(condition, facts.Unary) and condition.op == "!":
            positive = not positive
            condition = condition.operand
        elif isinstance(condition, Binary) and condition.op == "!=":
            positive = not positive
            condition = values.binary("==", condition.left, condition.right)
        elif isinstance(condition, Binary) and condition.op == "==" and condition.right == Const(0):
            positive = not positive
            condition = condition.left
        elif isinstance(condition, Binary) and condition.op in REVERSED and condition.right == Const(0):
            positive = not positive
            condition = values.binary(REVERSED[condition.op], condition.left, condition.right)
        elif isinstance(condition, facts.Cast) and condition.type.pointer:
            condition = condition.operand
        else:
            return positive, condition


def assume(state: State, condition: Expr, truth: bool) -> None:
    """On this path the condition is ``truth``; equalities with constants become values."""
    state.truths[condition] = truth
    if truth and isinstance(condition, Result):
        state.kinds += state.promises.get(f"r{condition.call}", ())
    elif truth:
        state.kinds += kinds_in(condition)
    if len(state.truths) > MAX_FACTS:
        del state.truths[next(iter(state.truths))]
    if truth and isinstance(condition, Binary) and condition.op == "==" and isinstance(condition.right, Const):
        set_value(state, condition.left, condition.right)
    elif truth and isinstance(condition, Binary) and condition.op == "<" and condition.right == Const(0):
        if isinstance(condition.left, Result):
            set_value(state, condition.left, values.some_error(f"r{condition.left.call}"))
    elif not truth:
        set_value(state, condition, Const(0))


def set_value(state: State, expr: Expr, value: Expr) -> None:
    if isinstance(expr, Name) and expr.id[:1] in "$%":
        state.known[expr.id] = value
    elif isinstance(expr, Result | facts.Member | facts.Index | facts.Deref):
        if isinstance(expr, Result):
            state.known[f"r{expr.call}"] = value
        for k in [k for k, v in state.known.items() if v == expr]:
            state.known[k] = value
    if len(state.known) > MAX_FACTS:
        del state.known[next(iter(state.known))]


def reached(body: facts.Body, start: Iterable[int], without: int = -1) -> set[int]:
    """Blocks that can be reached from some, those among them, other than through the block ``without``."""
    seen: set[int] = set()
    todo = list(start)
    while todo:
        b = todo.pop()
        if b not in seen and b != without:
            seen.add(b)
            todo.extend(successors(body.blocks[b].exit))
    return seen


def on_every_way(body: facts.Body, block: int) -> bool:
    """Whether every way through a body passes one of its blocks."""
    return not any(isinstance(body.blocks[b].exit, facts.Return) for b in reached(body, [0], block))
