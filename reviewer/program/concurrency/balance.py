"""Whether all ways through a function leave a lock alike: the net of taking and releasing it, ending by ending.

A lock that a function takes on a path on which it has not let it go before was not held by the caller. So whatever releases it
beyond that releases nothing, and whatever leaves with it hands it over or forgets it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from reviewer.parse import facts
from reviewer.parse.facts import Binary, Choice, Const, Deref, Expr, Member, Name, Result, Unary
from reviewer.program.api.models import Kind
from reviewer.program.concurrency.joined import Joined
from reviewer.program.flow import lockflow
from reviewer.program.flow.effects import Effect, is_named
from reviewer.program.flow.lockflow import Ending, Flow, Observer, Outcome, Seen, State, seen_at
from reviewer.program.flow.precedence import comes_first
from reviewer.program.flow.summaries import NOTHING, Summaries
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import COMMON, Hold, lock_class
from reviewer.program.linked.structs import Frame

DEPTH = 4
"""Calls below a function in which a release is looked for by names alone."""

MAX_NAMES = 60
"""Distinct callees of a function that are looked into for a release; what calls more is no wrapper."""

Key = str | Expr
"""A lock as a function knows it: its class, or the object while it has none."""

What = Literal["drops", "takes"]

Accused = Callable[[Frame, Expr, Key], bool]
"""Whether a callee is itself at fault with a lock, so that its caller is not."""


@dataclass(frozen=True, slots=True)
class Way:
    """How one path ends for one lock.

    ``net``: 1 held, 0 as before, -1 released for the caller. ``taken``/``released``: where that last happened on the path, or -1.
    ``maybe``: a call that may release it, by the names in it, or -1. ``result``: see :func:`result_of`.
    """

    net: int
    taken: int
    released: int
    maybe: int
    result: str
    ending: Ending


@dataclass(slots=True)
class Balance:
    """All ways through one function for one lock.

    ``fresh``: it is taken where no caller can hold it; ``nested``: where the function holds it already. ``unsure``: calls that
    release it on some ways only. ``strays``: calls that release it where the function does not hold it.
    ``firm``: calls that look like its release, but a summary gives up on them. ``lent``: it is taken where a callee seems to
    have left it held, so that one of the two is wrong. ``deeper``: calls that may take it once more, where it nests.
    ``vague``: calls that take it on some ways only, and nothing that is known of them tells on which. ``owing``: calls that
    release it where the function does not hold it, and may well have taken it themselves, too deep for a summary. ``below``:
    calls of functions that take or release it; ``partly``: those that do so on some of their ways only; ``blurred``: those of
    which the result does not tell on which.
    """

    frame: Frame
    key: Key
    kind: Kind
    hold: Hold | None
    fresh: bool
    nested: bool
    capped: bool
    unsure: set[int]
    strays: set[int]
    firm: set[int]
    lent: bool = False
    deeper: bool = False
    vague: set[int] = field(default_factory=set)
    owing: set[int] = field(default_factory=set)
    partly: set[int] = field(default_factory=set)
    below: set[int] = field(default_factory=set)
    blurred: set[int] = field(default_factory=set)
    ways: list[Way] = field(default_factory=list)

    def with_net(self, net: int) -> list[Way]:
        return [w for w in self.ways if w.net == net]


def is_number(result: Expr | None) -> bool:
    """Whether a result is a constant, or one of two."""
    return isinstance(result, Const) or (
        isinstance(result, Choice) and isinstance(result.then, Const) and isinstance(result.other, Const)
    )  # fmt: skip


def key_of(frame: Frame, lock: Expr) -> Key:
    return lock_class(frame, lock) or lock


def hold_key(hold: Hold) -> Key:
    return hold.name or hold.lock


def word_of(lock: Expr) -> str:
    """The last name of a lock object, by which other functions speak of it, too; "" for none."""
    for e in values.walk(lock):
        if isinstance(e, Member):
            return e.name
        if isinstance(e, Name):
            return e.id.rpartition(":")[2].rpartition(".")[2] if e.id.startswith("::") else ""
    return ""


def stored(flow: Flow) -> frozenset[Expr]:
    """The objects whose address a function stores in others: of a semaphore, for whoever is to let it go (``t.done = &sem``)."""
    found = set()
    for seen in flow.seen:
        if isinstance(seen.event, facts.Write) and not isinstance(seen.event.target, Name):
            found |= {v.base for args in seen.args for v in args[1:] if isinstance(v, facts.AddressOf)}
    return frozenset(found)


def net_of(frame: Frame, ending: Ending, key: Key) -> int:
    held = sum(hold_key(h) == key for h in ending.state.locks)
    dropped = sum(key_of(frame, d) == key for d in ending.state.dropped)
    return held - dropped


def is_unknown(lock: Expr) -> bool:
    """Whether nothing is known of the lock's object, or what is known of it is that it is none."""
    return any(e == values.UNKNOWN or (isinstance(e, Member) and isinstance(e.base, Const)) for e in values.walk(lock))


def uneven(flow: Flow) -> Iterator[tuple[Key, Expr, Hold | None]]:
    """Locks that some endings leave otherwise than others, each with its object and, if the function ever holds it, a hold."""
    frame = flow.frame
    found: dict[Key, tuple[Expr, Hold | None]] = {}
    for e in flow.endings:
        for h in e.state.locks:
            known = found.get(hold_key(h))
            if known is None or known[1] is None or (is_unknown(known[0]) and not is_unknown(h.lock)):
                found[hold_key(h)] = (h.lock, h)
        for d in e.state.dropped:
            found.setdefault(key_of(frame, d), (d, None))
    for seen in flow.seen:
        for h in (h for world in seen.held for h in world):
            if found.get(hold_key(h), (h.lock, h))[1] is None:
                found[hold_key(h)] = (found[hold_key(h)][0], h)
    for key, (lock, hold) in found.items():
        if len({net_of(frame, e, key) for e in flow.endings}) > 1:
            yield key, lock, hold


class Track(Observer):
    """Where a lock was last taken and released on a path."""

    def __init__(self, releases: Releases, key: Key, lock: Expr, accused: Accused) -> None:
        self.releases = releases
        self.accused = accused
        self.key = key
        self.word = word_of(lock)
        self.fresh = False
        self.nested = False
        self.unsure: set[int] = set()
        self.firm: set[int] = set()
        self.strays: set[int] = set()
        self.lent = False
        self.deeper = False
        self.vague: set[int] = set()
        self.owing: set[int] = set()
        self.partly: set[int] = set()
        self.below: set[int] = set()
        self.blurred: set[int] = set()
        self.kind: Kind = "other"

    def start(self) -> object:
        return Trail()

    def event(self, frame: Frame, event: facts.Event, state: State, args: tuple[Expr, ...]) -> object:
        trail = extra(state)
        if isinstance(event, facts.Write):
            return trail._replace(told=args) if trail.released >= 0 and is_told(args) else trail
        if isinstance(event, facts.Call):
            self.look_below(frame, event, state, args)
        if isinstance(event, facts.Call) and self.mixed(frame, event, state, args):
            self.unsure.add(event.at)
        if isinstance(event, facts.Call) and self.tries(frame, event, state, args):
            trail = trail._replace(tried=event.at)
        if isinstance(event, facts.Call) and self.kind == "rcu" and not self.deeper and self.holds(state):
            self.deeper = self.releases.nests(frame, frame.callee(event.callee, state.known), self.kind)
        if isinstance(event, facts.Call) and trail.maybe < 0 and self.holds(state) and self.untold(frame, event, state, args):
            return trail._replace(maybe=event.at)
        if isinstance(event, facts.Call) and trail.maybe < 0:
            callee = frame.callee(event.callee, state.known)
            held = self.holds(state)
            if not held and self.half_taken(frame, event, state, args):
                self.vague.add(event.at)
                return trail._replace(maybe=event.at, owed=event.at)
            if not held and self.releases.possible(frame, callee, self.kind, self.word, "takes"):
                return trail._replace(maybe=event.at, owed=event.at)
            if not held and not (trail.taken < 0 and trail.released < 0):
                return trail
            if (
                self.releases.possible(frame, callee, self.kind, self.word)
                or self.invoked(frame, event, callee, args)
                or self.accused(frame, callee, self.key)
                or (event.at in self.unsure and self.mixed(frame, event, state, args, "when"))
            ):
                if self.releases.possible(frame, callee, self.kind, self.word, depth=1):
                    self.firm.add(event.at)
                return trail._replace(maybe=event.at)
        return trail

    def look_below(self, frame: Frame, call: facts.Call, state: State, args: tuple[Expr, ...]) -> None:
        """Notes a call of a function that takes or releases the lock itself, be it on some of its ways."""
        if isinstance(call.callee, Name) and call.callee.id in self.releases.summaries.program.models.functions:
            return
        outcomes = self.releases.summaries.outcomes(frame, call, frame.callee(call.callee, state.known), args, state)
        touching = [
            any(hold_key(h) == self.key for h in o.takes) or any(key_of(frame, d) == self.key for d in o.drops) for o in outcomes
        ]  # fmt: skip
        if any(touching):
            self.below.add(call.at)
            if not all(touching):
                self.partly.add(call.at)
                if not all(o.nonzero or is_number(o.result) for o in outcomes):
                    self.blurred.add(call.at)

    def invoked(self, frame: Frame, call: facts.Call, callee: Expr, args: tuple[Expr, ...]) -> bool:
        """Whether an API runs a callback that may release the lock (``kref_put(&o->ref, o_free)``)."""
        model = self.releases.program.model(callee.id) if isinstance(callee, Name) else None
        return any(
            target.func is not None and self.releases.within(target.func, self.kind, self.word, DEPTH)
            for invokes in (model.invokes if model is not None else ())
            for target, _ in self.releases.summaries.invoked(frame, call, invokes, args)
        )

    def mixed(
        self, frame: Frame, call: facts.Call, state: State, args: tuple[Expr, ...], by: str = ""
    ) -> bool:
        """Whether a callee releases the lock on some ways only.

        :param by: ``when``: depending on something that may have been forgotten on the way here.
        """
        if not isinstance(call.callee, Name) or call.callee.id in self.releases.summaries.program.models.functions:
            return False
        outcomes = self.releases.summaries.outcomes(frame, call, frame.callee(call.callee, state.known), args, state)
        if len(outcomes) < 2 or (by and not any(o.when for o in outcomes)):
            return False
        drops = [any(key_of(frame, d) == self.key for d in o.drops) for o in outcomes]
        return any(drops) and not all(drops)

    def untold(self, frame: Frame, call: facts.Call, state: State, args: tuple[Expr, ...]) -> bool:
        """Whether a callee releases the lock on some ways only, and nothing tells its caller on which."""
        if not self.mixed(frame, call, state, args):
            return False
        outcomes = self.releases.summaries.outcomes(frame, call, frame.callee(call.callee, state.known), args, state)
        if any(o.when for o in outcomes):
            return False
        drops = [any(key_of(frame, d) == self.key for d in o.drops) for o in outcomes]
        one, two = ({o.result for o, d in zip(outcomes, drops, strict=True) if d == which} for which in (True, False))
        return not all(isinstance(r, Const) for r in one | two) or not one.isdisjoint(two)

    def tries(self, frame: Frame, call: facts.Call, state: State, args: tuple[Expr, ...]) -> bool:
        """Whether a call takes the lock on some ways only."""
        outcomes = self.releases.summaries.outcomes(frame, call, frame.callee(call.callee, state.known), args, state)
        taking = [any(hold_key(h) == self.key for h in o.takes) for o in outcomes] if len(outcomes) > 1 else []
        return any(taking) and not all(taking)

    def half_taken(self, frame: Frame, call: facts.Call, state: State, args: tuple[Expr, ...]) -> bool:
        """Whether a callee seems to take the lock on some ways only, and nothing tells its caller on which."""
        if not isinstance(call.callee, Name) or call.callee.id in self.releases.summaries.program.models.functions:
            return False
        outcomes = self.releases.summaries.outcomes(frame, call, frame.callee(call.callee, state.known), args, state)
        taking = [any(hold_key(h) == self.key for h in o.takes) for o in outcomes]
        told = len({o.result for o in outcomes}) > 1 or any(o.when or o.nonzero for o in outcomes)
        return any(taking) and not all(taking) and not told

    def holds(self, state: State) -> bool:
        return any(hold_key(h) == self.key for h in state.locks)

    def outcome(self, frame: Frame, call: facts.Call, outcome: Outcome, state: State) -> object:
        trail = extra(state)
        if any(key_of(frame, d) == self.key for d in outcome.drops):
            held = self.holds(state)
            if not held and trail.maybe < 0 and trail.owed < 0:
                self.strays.add(call.at)
            if not held and trail.owed == call.at:
                self.owing.add(call.at)
            blamed = trail.maybe == call.at and self.accused(frame, frame.callee(call.callee, state.known), self.key)
            trail = trail._replace(released=call.at, maybe=call.at if blamed else -1, owed=trail.owed if held else -1)
        if any(hold_key(h) == self.key for h in outcome.takes):
            if self.holds(state):
                self.nested = True
                self.lent |= any(hold_key(h) == self.key and bool(h.where) for h in state.locks)
            elif trail.released < 0:
                self.fresh = True
            return trail._replace(taken=call.at, maybe=-1, tried=-1)
        return trail


class Trail(NamedTuple):
    """Where the lock was last taken, released, perhaps released (or taken) on a path; -1 for nowhere.

    ``owed``: a call that may have taken it, of which no release has been seen yet, whatever other object of its class has come
    and gone since. ``tried``: a call that did not get it, so that this world is not mixed with one in which nobody tried.
    ``told``: what a caller that waits for word of it was told last, since it was released: where, and a number.
    """

    taken: int = -1
    released: int = -1
    maybe: int = -1
    owed: int = -1
    tried: int = -1
    told: tuple[Expr, ...] = ()


def is_told(stored: tuple[Expr, ...]) -> bool:
    """Whether a number is written to where a parameter points (``*dropped = true;``)."""
    target, value = stored[:2] if len(stored) > 1 else (None, None)
    return isinstance(target, Deref) and isinstance(target.base, Name) and target.base.id[:1] == "%" and isinstance(value, Const)


def extra(state: State) -> Trail:
    got = state.extra
    assert isinstance(got, Trail)
    return got


def balance(
    summaries: Summaries, releases: Releases, func: Func, key: Key, lock: Expr, hold: Hold | None, accused: Accused,
    truths: dict[Expr, bool] | None = None,
) -> Balance:  # fmt: skip
    """The ways through ``func`` for one lock, by a run of their own.

    :param truths: conditions that are decided beforehand, as long as nothing is written that they ask for.
    """
    track = Track(releases, key, lock, accused)
    track.kind = hold.kind if hold is not None else "other"
    if track.kind == "rcu":
        track.word = ""  # it is no object by whose name a callee would speak of it
    frame = summaries.program.frame(func)
    flow = lockflow.run(frame, summaries, observer=track, truths=truths)
    result = Balance(frame, key, track.kind, hold, track.fresh, track.nested, flow.capped, track.unsure, track.strays, track.firm)
    result.lent, result.deeper, result.vague, result.owing = track.lent, track.deeper, track.vague, track.owing
    result.below, result.partly, result.blurred = track.below, track.partly, track.blurred
    for e in flow.endings:
        trail = extra(e.state)
        result.ways.append(Way(net_of(frame, e, key), trail.taken, trail.released, trail.maybe, result_of(e), e))
    return result


def result_of(ending: Ending) -> str:
    """What a caller can tell the result for: ``void``, ``zero``, ``negative``, ``nonnegative``, ``positive``, ``nonzero`` or
    ``?``."""
    value, state = ending.value, ending.state
    if value is None:
        return "void"
    if isinstance(value, Const):
        number = values.signed(value.value)
        if number & 0xFFFFFFFF == number and number >> 31:
            number -= 1 << 32
        return "zero" if number == 0 else "negative" if number < 0 else "positive"
    positive, condition = lockflow.polarity(value)
    known = values.truth(condition)
    if known is None:
        known = state.truths.get(condition)
    if state.truths.get(Binary("<", value, Const(0))) or values.is_error(value):
        return "negative"
    if known is None and isinstance(condition, Result) and f"r{condition.call}" in state.known:
        known = values.truth(state.known[f"r{condition.call}"])
    if known is None:
        return "nonnegative" if is_truth(value) or state.truths.get(Binary("<", value, Const(0))) is False else "?"
    return "nonzero" if known == positive else "zero"


def is_truth(value: Expr) -> bool:
    """Whether a value is that of a comparison."""
    return (isinstance(value, Unary) and value.op == "!") or (isinstance(value, Binary) and value.op in COMPARISONS)


COMPARISONS = frozenset({"==", "!=", "<", ">", "<=", ">=", "&&", "||"})


class Releases:
    """Whether a call may release a lock of some kind, by the names of what it calls: for callees that no summary looks into."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.program = summaries.program
        self.joined = Joined(summaries)
        self._made: dict[tuple[str, Kind, str, int, What], bool] = {}

    def possible(
        self, frame: Frame, callee: Expr, kind: Kind, word: str, what: What = "drops", depth: int = DEPTH
    ) -> bool:
        """Whether a callee may release the lock, or, with ``what``, take it.

        :param depth: calls below the callee that are looked into.
        """
        return any(
            t.func is not None and (self.within(t.func, kind, word, depth, what) or self.gave_up(t.func, kind, word, what))
            for t in self.summaries.calls.targets(frame, callee)
        )

    def perhaps(self, flow: Flow, hold: Hold, seen: Seen, effect: Effect) -> bool:
        """Whether the lock may have been let go, too deep for a summary, before the effect of an event comes about under it."""
        return self.before(flow, hold, seen) or self.on_the_way(effect, hold)

    def before(self, flow: Flow, hold: Hold, seen: Seen) -> bool:
        """Whether a call under the lock, on a way to ``seen``, releases it by the names in it, though no summary says so; or the
        one that seems to return with it does, on some of its ways."""
        frame, word = flow.frame, word_of(hold.lock)
        for s in flow.seen:
            call = s.event
            if not isinstance(call, facts.Call) or s is seen:
                continue
            if call.at == hold.at and hold.where:
                if self.possible(frame, s.callee or call.callee, hold.kind, word, depth=1):
                    return True
            elif any(h.lock == hold.lock for h in s.may()) and comes_first(frame, s, seen):
                if self.untold(frame, s, hold) or self.handed_on(flow, hold, s):
                    return True
        return False

    def handed_on(self, flow: Flow, hold: Hold, seen: Seen) -> bool:
        """Whether an event puts the lock's object on a list of another, an operation of whose entries releases such a lock."""
        word = word_of(hold.lock)
        return any(
            self.within(func, hold.kind, word, 2) or self.gave_up(func, hold.kind, word)
            for func in self.joined.operations(flow, hold, seen)
        )

    def on_the_way(self, effect: Effect, hold: Hold) -> bool:
        """Whether a function between the caller that holds the lock and the effect so releases it before it goes on."""
        places = [(f, call.at) for f, call in effect.way[1:]] + [(effect.func, effect.at)] * bool(effect.way)
        for func, at in places:
            flow = self.summaries.flow(func)
            here = seen_at(flow, at)
            if flow is None or here is None:
                continue
            for s in flow.seen:
                if s is not here and comes_first(flow.frame, s, here) and self.untold(flow.frame, s, hold):
                    return True
        return False

    def untold(self, frame: Frame, seen: Seen, hold: Hold) -> bool:
        """Whether a call releases such a lock, and does not take it, by the names in it, while no summary says so."""
        call = seen.event
        if not isinstance(call, facts.Call):
            return False
        callee, word = seen.callee or call.callee, word_of(hold.lock)
        if not self.possible(frame, callee, hold.kind, word, depth=1):
            return False
        outcomes = self.summaries.outcomes(frame, call, callee, seen.args[0], State())
        told = any(hold_key(hold) == key_of(frame, d) for o in outcomes for d in o.drops)
        if told or not self.possible(frame, callee, hold.kind, word, "takes", depth=1):
            return not told
        return any(self.leaves_without(frame, t.func, seen, word) for t in self.summaries.calls.targets(frame, callee) if t.func)

    def leaves_without(self, frame: Frame, func: Func, seen: Seen, word: str) -> bool:
        """Whether a function that does both ends on some way with such a lock let go, for what it is passed."""
        flow = self.summaries.flow(func, self.summaries.bind(func, seen.args[0], frame))
        return word != "" and any(
            any(word_of(d) == word for d in e.state.dropped) and all(word_of(h.lock) != word for h in e.state.locks)
            for e in (flow.endings if flow is not None else ())
        )

    def nests(self, frame: Frame, callee: Expr, kind: Kind) -> bool:
        """Whether a call may leave with one more of a kind of lock that can be taken again and again, or cannot be told."""
        targets = self.summaries.calls.targets(frame, callee)
        if not targets and not is_named(callee):
            return True
        return any(
            h.kind == kind
            for t in targets if t.func is not None for o in self.summaries.of(t.func).outcomes for h in o.takes
        )  # fmt: skip

    def released_by(self, func: Func, key: Key, word: str) -> bool:
        """Whether the function releases a lock of its callers, or of nobody that it knows."""
        frame = self.summaries.program.frame(func)
        if not self.says(func, word):
            return False
        return any(key_of(frame, d) == key for o in self.summaries.of(func).outcomes for d in o.drops)

    def gave_up(self, func: Func, kind: Kind, word: str, what: What = "drops") -> bool:
        """Whether the function releases such locks on some ways, too many for a summary."""
        summary = self.summaries.of(func)
        flow = summary.flow
        if flow is None or not (flow.capped or summary.outcomes == NOTHING):
            return False
        if what == "drops" and word and word not in COMMON:
            if any(word_of(lock) == word for e in flow.endings for lock in e.state.dropped):
                return True
        if not self.says(func, word):
            return False
        return flow.capped or any(e.state.locks or e.state.dropped for e in flow.endings)

    def within(self, func: Func, kind: Kind, word: str, depth: int, what: What = "drops") -> bool:
        """Whether a function at or below ``func`` releases such a lock and takes none, or the other way round."""
        key = (func.key, kind, word, depth, what)
        got = self._made.get(key)
        if got is None:
            self._made[key] = False
            got = self._made[key] = self._within(func, kind, word, depth, what)
        return got

    def _within(self, func: Func, kind: Kind, word: str, depth: int, what: What = "drops") -> bool:
        models = self.summaries.program.models.functions
        known = [m for m in (models.get(c) for c in func.calls) if m is not None]
        drops = any(d.kind == kind for m in known for d in m.drops)
        takes = any(t.kind == kind for m in known for t in m.takes)
        if (drops and not takes if what == "drops" else takes and not drops) and self.says(func, word):
            return True
        if what == "drops" and takes and drops and any(d.lock.path[-1:] == (word,) for m in known for d in m.drops):
            # A lock that only the models name, in an object that it is given: the one that it takes may be another's.
            flow = self.summaries.flow(func)
            if any(word_of(lock) == word for e in (flow.endings if flow is not None else ()) for lock in e.state.dropped):
                return True
        if what == "takes" and takes and drops:  # one that gives it back only where it fails
            flow = self.summaries.flow(func)
            left = (h for e in (flow.endings if flow is not None else ()) for h in e.state.locks)
            if any(h.kind == kind and word_of(h.lock) == word for h in left):
                return True
        if depth == 0 or len(func.calls) > MAX_NAMES:
            return False
        return any(
            t.func is not None and t.func.key != func.key and self.within(t.func, kind, word, depth - 1, what)
            for name in func.calls if name not in models
            for t in self.summaries.calls.named(name, func.path)
        )  # fmt: skip

    @staticmethod
    def says(func: Func, word: str) -> bool:
        """Whether the word stands in the function's text."""
        if not word or func.source is None:
            return True
        file, piece = func.source
        return re.search(rb"\b%b\b" % word.encode(), file.skim.body_of(piece)) is not None
