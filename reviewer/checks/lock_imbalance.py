"""lock-imbalance: a path that leaves with a lock which the others release, or that releases what it does not hold.

What the function means to do is told by its own paths: a result that says whether the lock is held makes a conditional
wrapper, an argument that decides a contract, and callers who release it a hand-over. Low confidence for what may be one of
these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from reviewer.checks.deferred import model_of
from reviewer.checks.finding import Confidence, Finding, Step
from reviewer.checks.focus import Focus
from reviewer.checks.lock_fix import fix_of
from reviewer.checks.lock_questions import (
    always_asked,
    asked_again,
    by_flag,
    contract,
    had_before,
    plain_argument,
    same_last_question,
    same_questions,
    says_locked,
)
from reviewer.checks.lock_results import (
    SUCCESS,
    as_object,
    failing,
    fails_alike,
    overlap,
    returns_pointer,
    returns_truth,
    same_answer,
    tries,
)
from reviewer.checks.own_locks import Left, left_behind
from reviewer.checks.proof import place, step
from reviewer.checks.registry import general
from reviewer.checks.release_lost import Lost, release_lost
from reviewer.checks.released_twice import Twice, released_twice
from reviewer.parse.facts import AddressOf, Binary, Call, Const, Deref, Expr, Member, Name, Result, Return, Write
from reviewer.program.api.models import Kind
from reviewer.program.concurrency.balance import (
    Balance,
    Key,
    Way,
    balance,
    extra,
    hold_key,
    is_unknown,
    key_of,
    net_of,
    result_of,
    stored,
    uneven,
    word_of,
)
from reviewer.program.flow.lockflow import Ending, Flow, Seen, State, parts_of, reached
from reviewer.program.flow.stable import Written
from reviewer.program.flow.summaries import exported
from reviewer.program.flow.summaries import place as located
from reviewer.program.flow.ways import is_flag
from reviewer.program.linked import values
from reviewer.program.linked.calls import Target
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold
from reviewer.program.linked.structs import Frame

RULE = "lock-imbalance"

MAX_SITES = 12
"""Call sites of a function that are asked whether they release what it leaves held."""

COUNTED: frozenset[Kind] = frozenset({"irq", "bh", "preempt", "pagefault"})
"""Kinds of which one release undoes one take or all of them, as the case may be."""

NESTING: frozenset[Kind] = COUNTED | {"rcu", "srcu"}
"""Kinds that are no object which could be looked at: that one is released once too often is told by the count alone."""

SIGNALS: frozenset[Kind] = frozenset({"semaphore", "other"})
"""Kinds that one task may take and another release."""


@general(RULE)
def lock_imbalance(focus: Focus) -> Iterator[Finding]:
    rule = Imbalance(focus)
    for func in focus.functions:
        flow = focus.flow(func) if func.macro is None and focus.summaries.locks(func) else None
        if flow is not None and not flow.capped and (len(flow.endings) > 1 or focus.edited(func)):
            yield from rule.of(func)
        if func.macro is None:
            yield from (left_behind_by(focus, func, left) for left in left_behind(focus, func))
            yield from (lost_by(focus, func, lost) for lost in release_lost(focus, func) if not rule.tells(func, lost.lock))
            yield from (twice_by(focus, func, twice) for twice in released_twice(focus, func) if not rule.tells(func, twice.lock))


@dataclass(frozen=True, slots=True)
class Fault:
    """One lock that the ways through one function leave differently; ``way`` is the one to blame, ``good`` one to compare."""

    key: Key
    lock: Expr
    way: Way
    good: Way
    stray: bool
    doubt: int


class Imbalance:
    def __init__(self, focus: Focus) -> None:
        self.focus = focus
        self.releases = focus.releases
        self.named = {f.key for f in focus.functions}
        self._faults: dict[str, list[Fault]] = {}

    def of(self, func: Func) -> Iterator[Finding]:
        for fault in self.faults(func):
            yield self.finding(func, fault)

    def tells(self, func: Func, lock: str) -> bool:
        """Whether there is something to say of a lock of this class by the function's own ways, or by those of its callers."""
        callers = [c for c in self.focus.lives.callers(func) if c.key in self.named]
        return any(f.key == lock for f in (*self.faults(func), *(f for c in callers for f in self.faults(c))))

    def faults(self, func: Func) -> list[Fault]:
        got = self._faults.get(func.key)
        if got is None:
            got = self._faults[func.key] = []
            got += self._faults_of(func)
        return got

    def _faults_of(self, func: Func) -> Iterator[Fault]:
        flow = self.focus.flow(func)
        assert flow is not None
        found = list(uneven(flow))
        for key, lock, hold in found:
            if any(other != key and word_of(o) == word_of(lock) for other, o, _ in found):
                continue  # one lock by two names, of which only one type is known
            if is_unknown(lock):
                continue
            state = balance(self.focus.summaries, self.releases, func, key, lock, hold, self.accused)
            if state.capped or len(state.ways) < 2:
                continue
            fault = self.judged(func, lock, state)
            if fault is not None and fault.doubt < 2 and fault.way.net and self.by_cases(func, lock, hold, fault):
                fault = replace(fault, doubt=2)
            if fault is not None and fault.doubt < 2 and self.focus.other is None:
                signal = (state.kind in SIGNALS) * (2 if fault.way.result == "?" else 1)  # what is called last may pass it on
                doubt = max(by_callees(flow, state, fault), self.in_use(flow, state, fault), signal)
                fault = replace(fault, doubt=doubt)
            if fault is not None:
                yield fault
        yield from self.held_now(func, flow)
        yield from self.held_by_failure(func, flow)

    def in_use(self, flow: Flow, state: Balance, fault: Fault) -> int:
        """How much doubt there is about code that has run, by the shape. Callers would miss a lock that is theirs; a release by
        ways that have not even tried to take it follows from something that was asked before, or after a callee that may have
        released it, or the words for the lock mean another one by then; and so does one under a condition, on the way to where
        all ends that is no failure. Of two locks of one class nobody can tell which of them a callee has released."""
        way, func = fault.way, flow.frame.func
        if way.net == 0 or state.nested:
            return 2
        if way.net < 0:
            untried = way.taken <= 0 and extra(way.ending.state).tried <= 0
            if not fault.stray or not (untried or self.changes_hands(flow, state, fault)):
                return 0
            return 1 if not untried and self.lost_below(flow, fault) is not None else 2
        beside = [w for w in state.with_net(0) if w.ending.at == way.ending.at and w.taken > 0 and w.released > 0]
        told = way.result != "negative" and all(self.focus.ways.guards(func, w.released) for w in beside)
        return 2 if beside and told else 0

    def changes_hands(self, flow: Flow, state: Balance, fault: Fault) -> bool:
        """Whether a callee may release the lock, by the names in it, or is given it; or the function reassigns a word for it."""
        word = word_of(fault.lock)
        return not Written(flow).stable(fault.lock) or any(
            isinstance(s.event, Call) and self.is_ours(flow, s)
            and (
                self.releases.possible(flow.frame, s.callee or s.event.callee, state.kind, word)
                or any(values.deref(arg) == fault.lock for args in s.args for arg in args)
            )
            for s in flow.seen
        )

    def lost_below(self, flow: Flow, fault: Fault) -> Seen | None:
        """The call of a function that releases the lock where it fails, and there alone, with a number that it returns on no
        other way: whoever goes on to release it has not thought of that."""
        for seen in flow.seen:
            if not isinstance(seen.event, Call) or not self.is_ours(flow, seen) or seen.event.at >= fault.way.released:
                continue
            callee = seen.callee or seen.event.callee
            outcomes = self.focus.summaries.outcomes(flow.frame, seen.event, callee, seen.args[0], State())
            gone = [o.result for o in outcomes if any(key_of(flow.frame, d) == fault.key for d in o.drops)]
            rest = [o.result for o in outcomes if all(key_of(flow.frame, d) != fault.key for d in o.drops)]
            held = any(hold_key(h) == fault.key for h in seen.must())
            if held and gone and rest and not any(plain_argument(c) for o in outcomes for c, _ in o.when) and all(
                isinstance(r, Const) and values.signed(r.value) < 0 and r not in rest for r in gone
            ):  # fmt: skip
                return seen
        return None

    def released_below(self, func: Func, fault: Fault) -> Iterator[Step]:
        """The call that has released the lock before, and where it did, as far as that can be told."""
        flow = self.focus.flow(func)
        seen = self.lost_below(flow, fault) if flow is not None else None
        if flow is None or seen is None or not isinstance(seen.event, Call):
            return
        yield step(self.focus.analysis, "call", func, seen.event.at, seen.must())
        for target in self.focus.summaries.calls.targets(flow.frame, seen.callee or seen.event.callee):
            below = self.focus.flow(target.func) if target.func is not None else None
            for inner in below.seen if below is not None else ():
                model = model_of(self.focus, inner)
                locks = [lock for d in (model.drops if model is not None else ()) if (lock := located(d.lock, inner.args[0]))]
                if below is not None and any(key_of(below.frame, lock) == fault.key for lock in locks):
                    yield step(self.focus.analysis, "release", below.frame.func, inner.event.at)
                    return

    def is_ours(self, flow: Flow, seen: Seen) -> bool:
        """Whether a call is of a function that is looked into, not of an API."""
        assert isinstance(seen.event, Call)
        targets = self.focus.summaries.calls.targets(flow.frame, seen.callee or seen.event.callee)
        return any(t.func is not None and t.func.macro is None for t in targets)

    def held_now(self, func: Func, flow: Flow) -> Iterator[Fault]:
        """A lock with which every way leaves since a patch, and that the function released before it."""
        for hold in flow.endings[0].state.locks if flow.endings and self.focus.edited(func) else ():
            key = hold_key(hold)
            if not is_unknown(hold.lock) and all(any(hold_key(h) == key for h in e.state.locks) for e in flow.endings):
                state = balance(self.focus.summaries, self.releases, func, key, hold.lock, hold, self.accused)
                sure = [w for w in state.ways if w.net == 1 and (w.maybe < 0 or self.no_release(func, key, w.maybe))]
                fault = self.kept_now(func, hold.lock, state, sure)
                if fault is not None:
                    yield fault

    def held_by_failure(self, func: Func, flow: Flow) -> Iterator[Fault]:
        """A lock that goes with success alone before a patch, and with failure, too, after it; its callers are as they were."""
        old = [e for was in self.old_flows(func) for e in was.endings] if self.focus.edited(func) else []
        good, bad = by_success(flow.endings)
        good_before, bad_before = by_success(old)
        held = {hold_key(h): h for e in bad for h in e.state.locks} if good and good_before and bad_before else {}
        for key, hold in held.items():
            if all(has(e, key) for e in (*good, *good_before)) and not any(has(e, key) for e in bad_before):
                state = balance(self.focus.summaries, self.releases, func, key, hold.lock, hold, self.accused)
                ways = [w for w in state.ways if w.net == 1 and w.maybe < 0 and w.result not in SUCCESS]
                callers = self.focus.lives.callers(func) if ways else []
                told = any(f.key == key for c in callers if c.key in self.named for f in self.faults(c))
                if ways and not told and not any(map(self.focus.differs, callers)):
                    yield Fault(key, hold.lock, pick(ways), ways[0], False, 1)

    def kept_now(self, func: Func, lock: Expr, state: Balance, sure: list[Way]) -> Fault | None:
        """Nothing in the function releases a lock any more that it takes, and no caller does it instead."""
        used = any(hold_key(h) == state.key for flow in self.old_flows(func) for s in flow.seen for h in s.may())
        if not sure or not used or state.kind in SIGNALS or not self.never_kept(func, state.key):
            return None
        return None if self.handed_over(func, state.key) else Fault(state.key, lock, pick(sure), sure[0], False, 0)

    def by_cases(self, func: Func, lock: Expr, hold: Hold | None, fault: Fault) -> bool:
        """Whether all ways are even once the conditions that are asked more than once are decided beforehand: of ``if (a || b)
        lock(); ... if (a || b) unlock();`` the ways forget in between which of the two it was."""
        flow = self.focus.flow(func)
        asked = asked_again(flow) if flow is not None else []
        cases = [dict(zip(asked, truths, strict=True)) for truths in product((True, False), repeat=len(asked))]
        states = (
            balance(self.focus.summaries, self.releases, func, fault.key, lock, hold, self.accused, case)
            for case in cases if asked
        )  # fmt: skip
        return bool(asked) and all(not s.capped and not s.with_net(fault.way.net) for s in states)

    def judged(self, func: Func, lock: Expr, state: Balance) -> Fault | None:
        if any(abs(w.net) > 1 for w in state.ways):
            return None
        flow = self.focus.flow(func)
        if state.kind == "semaphore" and flow is not None and lock in stored(flow):
            return None  # whom it was passed to lets it go
        if (state.kind in COUNTED and state.nested) or (state.lent and not self.never_kept(func, state.key)):
            return None
        held, even, less = state.with_net(1), state.with_net(0), state.with_net(-1)
        if held and less:
            return None  # a condition that both depend on was forgotten
        if held:
            return self.left_held(func, lock, state, held, even)
        if less and state.fresh:
            return self.stray(func, lock, state, less, even + held)
        if less and even and not held:
            told = self.kept(func, lock, state, less, even) or self.not_back(lock, state, less, even)
            return told or self.lost_now(func, lock, state, less, even)
        return None

    def left_held(self, func: Func, lock: Expr, state: Balance, held: list[Way], even: list[Way]) -> Fault | None:
        """Some ways leave with the lock, others take and release it."""
        if returns_pointer(func) or tries(func, held):
            held, even = list(map(as_object, held)), list(map(as_object, even))
        gone = {w.ending.at for w in held if self.said_gone(state, w)}
        held = [w for w in held if w.ending.at not in gone]
        released = [w for w in even if w.released > 0 and w.taken > 0]
        sure = [w for w in held if w.maybe < 0 or self.no_release(func, state.key, w.maybe)]
        if not sure or not state.fresh:
            return None
        if not any(w.released > 0 or w.maybe > 0 for w in even) and self.old_flows(func):
            return self.kept_now(func, lock, state, sure)
        if self.never_kept(func, state.key):
            doubt = 1
        elif any(w.result in SUCCESS for w in held) and not any(w.result in SUCCESS for w in even):
            # The lock goes with success. What fails with it has forgotten it, if it fails as others do that release it.
            alike = [w for w in sure if overlap({w.result}, {e.result for e in even} - {"?"})]
            if not alike and not (any(w.result == "?" for w in released) and self.nobody_releases(func, state)):
                return None
            beside = not alike and self.released_elsewhere(func, lock, state.key, called=True)  # by a caller's caller
            sure, doubt = alike or sure, 1 + beside
        else:
            doubt = self.told(sure, held, [w for w in even if w.taken > 0 or not had_before(state.frame, w, sure)])
        maybe = [replace(w, released=w.maybe) for w in (*held, *even) if w.maybe in state.firm and w.taken > 0]
        gave = released or maybe
        if returns_pointer(func) and all(w.result == "negative" or w.ending.state.locks for w in gave) and not failing(sure):
            doubt = max(doubt, 2 - self.never_kept(func, state.key))  # who gets an object has the lock with it
        if not released:
            released = maybe
            doubt += 2 if state.kind in SIGNALS else 1  # whoever is told to go on gives it back, now or later
        if not released:
            return None
        if state.kind in COUNTED and state.hold is not None and state.hold.where:
            doubt += 2  # what a callee does to its CPU: its sister may do the reverse by other means
        way = pick(sure)
        if way.taken in state.vague and not any(w.taken == way.taken and gives_back(state, w) for w in state.ways):
            doubt += 2  # the callee may well have given it back: nobody here does
        if doubt < 2 and self.callee_says(func, state, way.taken, released[0].released):
            doubt += 2
        if doubt < 2 and (self.handed_over(func, state.key) or same_questions(state, way, released[0])):
            doubt += 2
        if doubt < 2 and state.kind in SIGNALS and self.released_elsewhere(func, lock, state.key):
            # Another function gives it back; but not after a failure that looks like that of a way which never had it.
            doubt += 1 if fails_alike(func, way, even) else 2
        if doubt < 2 and way.result in (SUCCESS | {"void", "?"}):
            counted = state.kind in COUNTED and self.let_go_elsewhere(func, state.kind, state.key)
            doubt += 2 * (counted or self.sister_releases(func, state.key))
        if doubt < 2 and (says_locked(state.frame, released[0].released) or always_asked(state, way, released[0])):
            doubt += 2
        locked = [h.lock for h in way.ending.state.locks if hold_key(h) == state.key]
        value = way.ending.value
        if doubt < 2 and not isinstance(value, Const) and any(value in parts_of(lock) for lock in locked):
            doubt += 2  # it returns the object whose lock it holds
        if doubt < 2 and any(w.released in state.owing for w in released):
            doubt += 2  # what those ways have released, the same callee may have taken
        if doubt < 2 and (self.kept_in(func, way, locked, released) or self.called_back(func, state)):
            doubt += 2
        if doubt < 2 and (self.handed_on(func, state) or self.gone_with(state, way)):
            doubt += 2
        if doubt < 2 and any(isinstance(d, Deref) for d in way.ending.state.dropped):
            doubt += 2  # what it has released by a pointer to a lock may be this one
        if doubt < 2 and (self.never_positive(state, way) or self.below_or_zero(state, way)):
            doubt += 2
        return Fault(state.key, lock, way, released[0], False, doubt)

    def never_kept(self, func: Func, key: Key) -> bool:
        """Whether a patch edits the function, and before it no way left with the lock: then no caller waits for that."""
        flows = self.old_flows(func)
        return bool(flows) and not any(hold_key(h) == key for flow in flows for e in flow.endings for h in e.state.locks)

    def no_release(self, func: Func, key: Key, at: int) -> bool:
        """Whether a call that looks like a release is none: before a patch it was there, too, and the function released the lock
        by itself on all ways."""
        body = self.focus.program.body(func) if self.never_kept(func, key) else None
        events = (e for block in (body.blocks if body is not None else ()) for e in block.events)
        call = next((e for e in events if isinstance(e, Call) and e.at == at), None)
        return call is not None and isinstance(call.callee, Name) and all(
            call.callee.id in flow.frame.func.calls for flow in self.old_flows(func)
        )  # fmt: skip

    def old_flows(self, func: Func) -> list[Flow]:
        """What the function did before a patch that edits it."""
        return [flow for flow in self.focus.flows_before(func) if not flow.capped] if self.focus.edited(func) else []

    def was_even(self, func: Func, key: Key) -> bool:
        """Whether a patch edits the function, all of whose ways left a lock as they found it before."""
        old = [(flow.frame, e) for flow in self.old_flows(func) for e in flow.endings]
        return bool(old) and all(net_of(frame, e, key) == 0 for frame, e in old)

    def stray(self, func: Func, lock: Expr, state: Balance, less: list[Way], rest: list[Way]) -> Fault | None:
        """Some ways release it once more than they took it, and no caller can hold it."""
        if not rest:
            return None
        if not state.strays:
            return None
        way = pick(less)
        if way.released not in state.strays:
            way = replace(way, released=min(state.strays))
        doubt = 2 if state.kind in (SIGNALS | NESTING) or state.deeper or way.released in state.unsure else 0
        if state.kind in NESTING and not state.deeper and way.released not in state.unsure and self.was_even(func, state.key):
            doubt = 1  # a caller may hold it as well, but nobody has released that for him before
        if any(w.taken >= 0 and (same_last_question(state, w, way) or by_flag(state, w, way)) for w in rest):
            doubt = 2
        if contract(less, rest):
            doubt = 2
        if says_locked(state.frame, way.released):
            doubt = 2
        return Fault(state.key, lock, way, rest[0], True, doubt)

    def kept(self, func: Func, lock: Expr, state: Balance, less: list[Way], even: list[Way]) -> Fault | None:
        """Most ways release what the caller holds, and some do not; or the other way round."""
        promise = promised(func, lock)
        if promise == "both":
            return None
        if promise:
            blamed, good = (even, less) if promise == "releases" else (less, even)
            sure = [w for w in blamed if w.maybe < 0]
            # Who fails with another lock held than who succeeds may mean to: the annotation cannot say so.
            told = not overlap({w.result for w in sure}, {w.result for w in good})
            doubt = int(promise == "must_hold" and told)
            if told and returns_truth(func) and {w.result for w in sure} == {"zero"}:
                doubt = 2  # true says that it is released
            if contract(sure, good, of_kind) or vouched(state.frame, lock):
                doubt = 2  # a flag of what the caller passes, which he knows; or the author has thought of it
            return Fault(state.key, lock, pick(sure), good[0], promise == "must_hold", doubt) if sure else None
        return None

    @staticmethod
    def not_back(lock: Expr, state: Balance, less: list[Way], even: list[Way]) -> Fault | None:
        """The caller's lock is let go for a while, and where it cannot be had again the function returns as it does with it, or
        has told the caller so by a flag that says on other ways that the lock is gone."""
        back = next((w for w in even if w.taken > 0 and w.released > 0), None)
        for way in less if back is not None and state.kind not in (SIGNALS | NESTING) else ():
            assert back is not None
            failed = extra(way.ending.state).tried
            if told_apart(way, back):
                continue
            same = any(same_answer(state.frame, way, other) for other in even) or told_alike(way, back, less)
            if failed > 0 and way.maybe < 0 and same:
                return Fault(state.key, lock, replace(way, taken=-1), replace(back, taken=failed), False, 1)
        return None

    def lost_now(self, func: Func, lock: Expr, state: Balance, less: list[Way], even: list[Way]) -> Fault | None:
        """A lock of its callers that is gone on some ways since a patch, and with which all left before it; the callers are as
        they were."""
        key = state.key
        sure = [w for w in less if w.maybe < 0]
        back = next((w for w in even if w.taken > 0 and w.released > 0), None)
        old = [(flow.frame, e.state) for flow in self.old_flows(func) for e in flow.endings]
        if not sure or back is None or not old or state.kind in (SIGNALS | NESTING):
            return None
        if any(any(key_of(frame, d) == key for d in s.dropped) and all(hold_key(h) != key for h in s.locks) for frame, s in old):
            return None
        if any(map(self.focus.differs, self.focus.lives.callers(func))):
            return None
        return Fault(key, lock, replace(pick(sure), taken=-1), back, False, 1)

    @staticmethod
    def told(blamed: Sequence[Way], held: Sequence[Way], even: Sequence[Way]) -> int:
        """How much doubt there is that the ways that leave with the lock are a mistake."""
        held_results = {w.result for w in held}
        even_results = {w.result for w in even}
        if contract(blamed, even):
            return 2
        given_back = {w.result for w in even if w.taken > 0}
        common = overlap(held_results - {"?"}, given_back - {"?"}) or bool((held_results & even_results) - {"?"})
        if "void" in held_results or common:
            return 0
        if held_results <= {"negative", "nonzero"} and even_results & {"zero", "positive", "nonnegative"}:
            return 0
        if "?" in held_results | even_results:
            return 2 if held_results <= SUCCESS else 1
        return 2

    def accused(self, frame: Frame, callee: Expr, key: Key) -> bool:
        """Whether a callee, which its caller would have to trust, is at fault itself."""
        for target in self.focus.summaries.calls.targets(frame, callee):
            func = target.func
            if func is not None and func.macro is None and func.key in self.named:
                classes = {fault.key for fault in self.faults(func)}
                if key in classes or any(not isinstance(c, str) for c in classes):
                    return True
        return False

    def said_gone(self, state: Balance, way: Way) -> bool:
        """Whether a way was told, by the number that a call returned, that the call has let the lock go (``if (ret == RETRY)
        return ret;``), which it returns on none of the ways that keep it, for all that is known."""
        frame, summaries = state.frame, self.focus.summaries
        for condition, truth in way.ending.state.truths.items():
            asked = truth and isinstance(condition, Binary) and condition.op == "==" and isinstance(condition.left, Result)
            call = frame.call(condition.left.call) if asked else None  # type: ignore[union-attr]
            for target in summaries.calls.targets(frame, call.callee) if call is not None and call.at > way.taken else ():
                outcomes = summaries.of(target.func).outcomes if target.func is not None else ()
                inner = frame.program.frame(target.func) if target.func is not None else frame
                gone = {o.result for o in outcomes if any(key_of(inner, d) == state.key for d in o.drops)}
                if condition.right in gone - {o.result for o in outcomes if not o.drops}:  # type: ignore[union-attr]
                    return True
        return False

    def callee_says(self, func: Func, state: Balance, taken: int, released: int) -> bool:
        """Whether the lock is released only if a call that was made under it says so in a local (``flush(&gone); if (!gone)
        unlock();``)."""
        body = state.frame.body
        told = {
            AddressOf(e) for guard in self.focus.ways.guards(func, released) for e in values.walk(guard.condition)
            if isinstance(e, Name) and e.id.startswith("$")
        }  # fmt: skip
        return bool(told) and any(
            isinstance(e, Call) and taken < e.at < released and not told.isdisjoint(state.frame.canonical(a, {}) for a in e.args)
            for block in (body.blocks if body is not None else ()) for e in block.events
        )  # fmt: skip

    def handed_over(self, func: Func, key: Key) -> bool:
        """Whether a caller releases what this function leaves held."""
        sites = self.focus.callers_of(func).sites[:MAX_SITES]
        for caller in {s.caller.key: s.caller for s in sites}.values():
            flow = self.focus.flow(caller)
            for seen in flow.seen if flow is not None else ():
                mine = [h for h in seen.may() if h.where == func.key]
                if mine and seen.callee is not None and self.drops(caller, seen, mine):
                    return True
        return False

    def handed_on(self, func: Func, state: Balance) -> bool:
        """Whether the function gives the lock's object to another one, an operation of whose entries releases it."""
        flow, hold = self.focus.flow(func), state.hold
        return flow is not None and hold is not None and any(
            any(h.lock == hold.lock for h in s.may()) and self.releases.handed_on(flow, hold, s) for s in flow.seen
        )  # fmt: skip

    def kept_in(self, func: Func, way: Way, locks: list[Expr], released: list[Way]) -> bool:
        """Whether the function puts the lock's object into what a caller has passed, once it can fail no more with the lock given
        back (``c->inode = inode;``): whoever ends that releases it."""
        flow = self.focus.flow(func)
        body = flow.frame.body if flow is not None else None
        owners = [lock for lock in locks if isinstance(lock, Member)]
        objects = {lock.base if lock.arrow else values.address_of(lock.base) for lock in owners}
        if flow is None or body is None or not objects:
            return False
        blocks = {s.event.at: s.block for s in flow.seen}
        for seen in flow.seen:
            if not isinstance(seen.event, Write) or way.taken not in blocks or not way.taken < seen.event.at < way.ending.at:
                continue
            target, value = seen.args[0]
            given = isinstance(target, Member) and target.arrow and any(
                isinstance(e, Name) and e.id.startswith("%") for e in values.walk(target)
            )  # fmt: skip
            later = reached(body, [seen.block])
            if given and value in objects and not any(blocks.get(w.released) in later for w in released):
                ends = {n for n, b in enumerate(body.blocks) if isinstance(b.exit, Return) and b.exit.at == way.ending.at}
                return ends.isdisjoint(reached(body, [blocks[way.taken]], seen.block))
        return False

    def called_back(self, func: Func, state: Balance) -> bool:
        """Whether the function has a callback called that releases such a lock: it is passed to what we need not know."""
        flow, hold = self.focus.flow(func), state.hold
        calls = (s for s in flow.seen if isinstance(s.event, Call)) if flow is not None and hold is not None else ()
        for seen in calls:
            for name in (a.id for args in seen.args[:1] for a in args if isinstance(a, Name) and a.id[:1] not in "$%"):
                for back in self.focus.program.functions(func.path, name.rpartition(":")[2]):
                    frame = self.focus.program.frame(back)
                    dropped = (d for o in self.focus.summaries.of(back).outcomes for d in o.drops)
                    if hold is not None and any(key_of(frame, d) == state.key for d in dropped):
                        return True
        return False

    def gone_with(self, state: Balance, way: Way) -> bool:
        """Whether on this way the lock's object is gone, and the lock with it: a call has said that it gave the last reference up
        (``lock(&p->lock); if (put_locked(p)) return;``)."""
        hold, frame = state.hold, state.frame
        flow = self.focus.flow(frame.func)
        seen = flow.seen if flow is not None else []
        for condition, truth in way.ending.state.truths.items():
            call = frame.call(condition.call) if truth and isinstance(condition, Result) else None
            if hold is None or call is None or not isinstance(call.callee, Name):
                continue
            given = {a for s in seen if s.event is call for args in s.args for a in args}
            targets = self.focus.summaries.calls.named(call.callee.id, frame.func.path)
            if not given.isdisjoint(parts_of(hold.lock)) and any(map(self.puts, targets)):
                return True
        return False

    def puts(self, target: Target) -> bool:
        """Whether a call of something gives a reference up and does what the last one has to do."""
        models = self.focus.program.models.functions
        known = [target.model] if target.model is not None else [models.get(c) for c in target.func.calls] if target.func else []
        return any(m is not None and any(i.last for i in m.invokes) for m in known)

    def nobody_releases(self, func: Func, state: Balance) -> bool:
        """Whether the callers are known, and none of them releases such a lock, by the names in it."""
        callers = {s.caller.key: s.caller for s in self.focus.callers_of(func).sites}
        word = word_of(state.hold.lock) if state.hold is not None else ""
        return bool(callers) and bool(word) and len(callers) <= MAX_SITES and not self.focus.roots(func) and not any(
            self.releases.within(caller, state.kind, word, 1) or self.releases.released_by(caller, state.key, "")
            for caller in callers.values()
        )  # fmt: skip

    def never_positive(self, state: Balance, way: Way) -> bool:
        """Whether on this way a wrapper has taken the lock and returned more than 0, which it is not known to do: it asks for
        less than 0, its caller for anything but 0, and they mean the same."""
        blocks = state.frame.body.blocks if state.frame.body is not None else ()
        taking = next((e for b in blocks for e in b.events if isinstance(e, Call) and e.at == way.taken), None)
        if taking is None:
            return False
        result, truths = Result(taking.number), way.ending.state.truths
        if not truths.get(result) or truths.get(Binary("<", result, Const(0))) is not False:
            return False
        outcomes = self.focus.summaries.outcomes(state.frame, taking, taking.callee, taking.args, State())
        return not any(isinstance(o.result, Const) and values.signed(o.result.value) > 0 for o in outcomes)

    def below_or_zero(self, state: Balance, way: Way) -> bool:
        """Whether on this way a call has returned more than 0 that only ever returns 0 or an error number: whoever asks for less
        than 0 here and for 0 there means to have covered both."""
        truths = way.ending.state.truths
        for condition, truth in truths.items():
            if truth and isinstance(condition, Result) and truths.get(Binary("<", condition, Const(0))) is False:
                call = state.frame.call(condition.call)
                targets = self.focus.summaries.calls.targets(state.frame, call.callee) if call is not None else ()
                flows = [self.focus.summaries.flow(t.func) if t.func is not None else None for t in targets]
                if flows and all(f is not None and {result_of(e) for e in f.endings} <= {"zero", "negative"} for f in flows):
                    return True
        return False

    def released_elsewhere(self, func: Func, lock: Expr, key: Key, called: bool = False) -> bool:
        """Whether another function of the unit gives it back: a completion of what this one has started, say; with ``called``
        one that others call, not this one."""
        word = word_of(lock)

        def fits(other: Func) -> bool:
            return other.key != func.key and not (called and (other.name in func.calls or not self.focus.lives.callers(other)))

        return bool(word) and any(
            fits(other) and self.releases.released_by(other, key, word)
            for file in self.focus.program.unit(func.path) for other in self.focus.program.functions_with(file, word)
        )  # fmt: skip

    def let_go_elsewhere(self, func: Func, kind: Kind, key: Key) -> bool:
        """The same for what is off on a CPU: a handler that turns preemption off for what another turns on again."""
        program = self.focus.program
        names = [n for n, m in program.models.functions.items() if any(d.kind == kind for d in m.drops)]
        return any(
            other.key != func.key and self.releases.released_by(other, key, "")
            for file in program.unit(func.path) for name in names for other in program.functions_with(file, name)
        )

    def sister_releases(self, func: Func, key: Key) -> bool:
        """Whether another operation of a table gives back what this one has taken (``.start`` and ``.stop``); or, where the table
        has a caller of the function, what another one calls."""
        lives, program = self.focus.lives, self.focus.program
        sisters = [
            (own, other) for own in (func, *lives.callers(func)[:MAX_SITES]) for _, table in lives.operations(own)
            for name in table.values() if name != own.name for other in program.resolve(name, own.path)
        ]  # fmt: skip
        return any(
            self.releases.released_by(f, key, "") for own, other in sisters
            for f in (other, *(lives.callees(other) if own.key != func.key and own.path == other.path else ()))
            if f.macro is None and f.key not in (own.key, func.key)
        )  # fmt: skip

    def drops(self, caller: Func, seen: object, holds: list[Hold]) -> bool:
        from reviewer.program.flow.lockflow import Seen

        assert isinstance(seen, Seen)
        frame = self.focus.program.frame(caller)
        call = seen.event
        outcomes = self.focus.summaries.outcomes(frame, call, seen.callee, seen.args[0], State())  # type: ignore[arg-type]
        dropped = {d for o in outcomes for d in o.drops}
        from reviewer.program.linked.locks import lock_class

        names = {lock_class(frame, d) for d in dropped} - {""}
        return any(h.lock in dropped or h.name in names for h in holds)

    def finding(self, func: Func, fault: Fault) -> Finding:
        analysis = self.focus.analysis
        name = fault.key if isinstance(fault.key, str) else values.show(fault.lock)
        way, good = fault.way, fault.good
        confidence: Confidence = "high" if fault.doubt == 0 else "medium" if fault.doubt == 1 else "low"
        steps: list[Step] = []
        if fault.stray:
            file, line, column, function = place(func, way.released)
            message = f"{name} is released here on a path that does not hold it"
            if good.taken > 0:
                steps.append(step(analysis, "acquire", func, good.taken))
            steps += self.released_below(func, fault)
            steps.append(step(analysis, "release", func, way.released))
        else:
            file, line, column, function = place(func, way.ending.at)
            message = f"{function}() returns with {name} held on a path, while other paths release it"
            if way.taken > 0:
                steps.append(step(analysis, "acquire", func, way.taken))
            else:
                message = f"{function}() returns without releasing {name}, which it releases for its caller on other paths"
            if way.net < 0 < good.taken:
                message = f"{function}() lets {name} go for a while, does not get it back and returns as it does with it"
                steps += [step(analysis, "release", func, way.released), step(analysis, "acquire", func, good.taken)]
            elif good.released > 0:
                steps.append(step(analysis, "release", func, good.released))
            elif good.net > 0:
                message = f"{function}() returns with {name} held, which it released before the patch"
            steps.append(step(analysis, "return", func, way.ending.at, way.ending.state.locks))
        return Finding(
            rule=RULE, severity="error", confidence=confidence, file=file, line=line, column=column, function=function,
            message=message, involves=(name,), proof=tuple(steps), event=analysis.program.line_text(file, line),
            fix=fix_of(analysis, func, way, good) if not fault.stray and fault.doubt < 2 else None,
        )  # fmt: skip


def left_behind_by(focus: Focus, func: Func, left: Left) -> Finding:
    """A lock of the driver's own with which a function leaves."""
    way, analysis = left.way, focus.analysis
    steps = (
        step(analysis, "call", func, way.taken), step(analysis, "call", func, left.good.released),
        step(analysis, "return", func, way.ending.at),
    )  # fmt: skip
    message = f"{func.name}() returns with what {left.lock}() took on a path, while other paths give it back"
    return at_medium(focus, func, left.lock, way.ending.at, message, steps)


def lost_by(focus: Focus, func: Func, lost: Lost) -> Finding:
    """A lock that a patch leaves held where a function fails."""
    message = f"{func.name}() fails with {lost.lock} held, which {lost.by}() released there before the patch"
    return at_medium(focus, func, lost.lock, lost.at, message, (step(focus.analysis, "return", func, lost.at),))


def twice_by(focus: Focus, func: Func, twice: Twice) -> Finding:
    """A lock of its callers that a function releases once more."""
    message = f"{twice.lock} is released a second time on a way through {func.name}() that does not take it again"
    steps = tuple(step(focus.analysis, "release", func, at) for at in (twice.first, twice.again))
    return at_medium(focus, func, twice.lock, twice.again, message, steps)


def at_medium(focus: Focus, func: Func, lock: str, at: int, message: str, steps: tuple[Step, ...]) -> Finding:
    """A finding about a lock at a position of a function."""
    file, line, column, function = place(func, at)
    return Finding(
        rule=RULE, severity="error", confidence="medium", file=file, line=line, column=column, function=function,
        message=message, involves=(lock,), proof=steps, event=focus.program.line_text(file, line),
    )  # fmt: skip


def told_apart(way: Way, back: Way) -> bool:
    """Whether a way without the lock tells the caller by a flag what one that has it back does not."""
    one, other = extra(way.ending.state).told, extra(back.ending.state).told
    return bool(one) and one[:1] == other[:1] and one != other


def told_alike(way: Way, back: Way, less: Sequence[Way]) -> bool:
    """Whether a way without the lock tells the caller by a flag what one that has it back does, unlike others without it."""
    said = extra(way.ending.state).told
    others = (extra(other.ending.state).told for other in less)
    return bool(said) and said == extra(back.ending.state).told and any(o and o[0] == said[0] and o != said for o in others)


def by_callees(flow: Flow, state: Balance, fault: Fault) -> int:
    """How much doubt there is about code that has run, where a callee takes or releases the lock: its ways depend on more than is
    known here, its result need not tell all of it, and what always goes one way may have a sister that undoes it."""
    places = {fault.way.taken, fault.way.released, fault.good.taken, fault.good.released}
    if places & state.partly and not passed_on(flow, fault):
        return 2 if places & state.blurred else fault.doubt + 1
    return max(fault.doubt, int(bool(places & state.below)))


def passed_on(flow: Flow, fault: Fault) -> bool:
    """Whether the release is given what the taking call has returned, which nothing asks on the way (``mode = lock_map(inode);
    ... unlock(inode, mode);``): it says how the lock was taken, not whether."""
    taking = next((s.event for s in flow.seen if s.event.at == fault.way.taken and isinstance(s.event, Call)), None)
    if taking is None:
        return False
    result = Result(taking.number)
    asked = any(result in values.walk(condition) for condition in fault.way.ending.state.truths)
    return not asked and any(
        s.event.at == fault.good.released and any(result in values.walk(a) for args in s.args for a in args) for s in flow.seen
    )


def promised(func: Func, lock: Expr) -> str:
    """What an annotation of the function says of a lock: ``acquires``, ``releases``, ``must_hold``, ``both`` or "" for nothing.

    :source: Documentation/dev-tools/sparse.rst, "Using sparse for lock checking"
    """
    found = set()
    word = word_of(lock)
    for text in func.definition.annotations if func.definition is not None else ():
        match = re.match(r"__(acquires|releases|must_hold)\s*\((.*)\)\s*\Z", text)
        if match and word and word in re.findall(r"\w+", match[2]):
            found.add(match[1])
    return found.pop() if len(found) == 1 else "both" if found else ""


def of_kind(condition: Expr) -> bool:
    """Whether a condition is a flag, or tells one kind of object from the others (``if (index->type == &type_ring)``)."""
    return is_flag(condition) or (
        isinstance(condition, Binary) and condition.op == "==" and isinstance(condition.left, Member)
        and isinstance(condition.right, AddressOf) and exported(condition)
    )  # fmt: skip


def vouched(frame: Frame, lock: Expr) -> bool:
    """Whether the function tells sparse that it takes or releases the lock where it does not (``if (--depth) { __release(lock);
    return; }``).

    :source: include/linux/compiler_types.h
    """
    return any(
        isinstance(e, Call) and isinstance(e.callee, Name) and e.callee.id in ("__release", "__acquire")
        and any(word_of(frame.canonical(a, {})) == word_of(lock) for a in e.args)
        for block in (frame.body.blocks if frame.body is not None else ()) for e in block.events
    )  # fmt: skip


def by_success(endings: Sequence[Ending]) -> tuple[list[Ending], list[Ending]]:
    """The ways out that say that all went well, and those that do not; none if there is nothing to tell them by."""
    told = [(e, result_of(e)) for e in endings]
    if any(r == "void" for _, r in told):
        return [], []
    return [e for e, r in told if r in SUCCESS], [e for e, r in told if r not in SUCCESS]


def has(ending: Ending, key: Key) -> bool:
    """Whether a lock is held at the end of a way."""
    return any(hold_key(h) == key for h in ending.state.locks)


def pick(ways: Sequence[Way]) -> Way:
    return min(ways, key=lambda w: (w.ending.at, w.taken))


def gives_back(state: Balance, way: Way) -> bool:
    """Whether what was taken last on a way is released, or perhaps released, later on."""
    return way.released > way.taken or (way.maybe > way.taken and way.maybe in state.firm)
