"""self-deadlock: a lock is taken again on a way on which it is held, in the function or further down.

The same instance: one object at file scope, or the same field of what is reached by the same path. Another object of the
same class is another lock, and is left to the rule about their order. Held is what the function takes, what it asserts of its
callers, and what those hold who call it through a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import msgspec

from reviewer.checks.chained import Chained
from reviewer.checks.deferred import model_of
from reviewer.checks.finding import Finding, Severity, Step
from reviewer.checks.focus import Focus
from reviewer.checks.let_go import asserts
from reviewer.checks.passed_above import nobody_goes
from reviewer.checks.proof import confidence_of, effect_steps, entry_step, holder_steps, place, step
from reviewer.checks.registry import general
from reviewer.checks.same_class import always, nested, told_apart
from reviewer.parse.cfg import successors
from reviewer.parse.facts import Binary, Call, Const, Deref, Expr, Member, Name, Result, Switch
from reviewer.program.api.models import Function as Model
from reviewer.program.api.models import Kind
from reviewer.program.concurrency.balance import stored, word_of
from reviewer.program.concurrency.entries import Entry
from reviewer.program.flow.effects import Effect
from reviewer.program.flow.horizon import DEPTH, FAR
from reviewer.program.flow.lockflow import Flow, Seen, names_in, reached, seen_at
from reviewer.program.flow.objects import of_parameter, root_of
from reviewer.program.flow.precedence import comes_first
from reviewer.program.flow.stable import Written
from reviewer.program.flow.summaries import place as place_of
from reviewer.program.flow.ways import is_flag
from reviewer.program.graph.contexts import CallSite
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import ALONE, FAIR, OUTSIDE, Hold, lock_class
from reviewer.program.linked.roundtrips import plain
from reviewer.program.linked.structs import Frame
from reviewer.program.linked.values import deref

RULE = "self-deadlock"

MAX_MORE = 3
"""Other calls of one function that come to the same lock, and callers that hold it, shown beside the one that is told of."""

OWNED: frozenset[Kind] = frozenset({"ww_mutex", "other"})
"""Kinds that tell their owner that it has them, if it has said who it is, or of which nothing is known."""


@general(RULE)
def self_deadlock(focus: Focus) -> Iterator[Finding]:
    chained = Chained(focus)
    for func in focus.functions:
        concerned = focus.summaries.holds(func) or focus.summaries.names.asserts(func) or (
            focus.horizon.has(takes, func, DEPTH) and bool(entered_with(focus, func) or focus.let_go.theirs(func))
        )  # fmt: skip
        flow = focus.flow(func) if concerned else None
        if flow is not None and not flow.capped:  # capped: most often a loop that takes the locks of many objects
            found = list(in_flow(focus, flow, chained))
            yield from found or (of_one_class(focus, func, *one) for one in nested(focus, func))


def taken_alike(focus: Focus, hold: Hold, effect: Effect) -> bool:
    """Whether a lock was taken by the very wrapper that takes it again, and so with the same subclass."""
    path, _, key = hold.where.partition("#")
    wrappers = (f for f in focus.program.functions(path, key.partition("@")[0]) if f.key == hold.where) if key else ()
    return any(effect.func.key == f.key or effect.func.name in f.calls for f in wrappers)


def of_one_class(focus: Focus, func: Func, seen: Seen, hold: Hold, effect: Effect) -> Finding:
    """Another lock, for all that is known, but of the same class."""
    file, line, column, function = place(func, seen.event.at)
    taken = f"is taken in {effect.func.name}()" if effect.way else "is taken"
    return Finding(
        rule=RULE, severity="error", confidence="medium", file=file, line=line, column=column, function=function,
        message=f"{hold.name} {taken} while one of its class is held, and no subclass tells the two apart",
        involves=(hold.name,), proof=tuple(effect_steps(focus.analysis, func, hold, effect)),
        event=focus.program.line_text(file, line),
    )  # fmt: skip


def entered_with(focus: Focus, func: Func) -> tuple[tuple[Entry, Hold], ...]:
    """What is held by those who call the function through a table, by the models; in a review, which asks about few, by the calls
    that there are, too: less surely if it takes the lock for others as well, who do not hold it."""
    held = focus.entries.held(func)
    if focus.other is None:
        return held
    return (*held, *(
        (replace(a.entry, doubt=int(any(takes_for(focus, func, site, a.hold) for site in a.without))), a.hold)
        for a in focus.entries.around(func) if takes_for(focus, func, a.site, a.hold)
    ))  # fmt: skip


def takes_for(focus: Focus, func: Func, site: CallSite, hold: Hold) -> bool:
    """Whether the function takes the lock when it is called from there."""
    args = focus.entries.arguments(site)
    binding = focus.summaries.bind(func, args, focus.program.frame(site.caller))
    effects = focus.effects.of(func, binding)
    return any(e.kind == "acquire" and e.hold is not None and e.hold.name == hold.name for e in effects)


def takes(model: Model) -> bool:
    """Whether a modelled call takes a lock, and be it for a moment."""
    return bool(model.takes or model.inside)


@dataclass(frozen=True, slots=True)
class Again:
    """A lock that is held (``asserted``: as the function says of its callers; ``entry``: by those who call it through a table)
    and taken again."""

    seen: Seen
    hold: Hold
    effect: Effect
    asserted: bool
    doubt: int
    entry: Entry | None = None


def in_flow(focus: Focus, flow: Flow, chained: Chained) -> Iterator[Finding]:
    func = flow.frame.func
    best: dict[tuple[Expr, str], Again] = {}
    every: dict[tuple[Expr, str], dict[str, Again]] = {}
    written: Written | None = None
    asserted: list[tuple[Hold, Seen]] = []
    entered = {h: e for e, h in entered_with(focus, func) if counts(h)}
    still = focus.let_go.theirs(func)
    lent = stored(flow)
    for seen in flow.seen:
        if not isinstance(seen.event, Call):
            continue
        asserted += ((hold, seen) for hold in asserts(focus, func, seen))
        # Not what another arm says: if (flags & LOCK) mutex_lock(&lock); else lockdep_assert_held(&lock);
        said = [hold for hold, at in asserted if at is seen or comes_first(flow.frame, at, seen)]
        known = still.get(seen.event.at, ())
        held = [h for h in seen.may() if counts(h) and not (h.kind == "semaphore" and h.lock in lent)]
        more = [
            h for h in dict.fromkeys((*said, *known, *entered))
            if not any(h.lock in d for d in seen.dropped) and all(h.lock != g.lock for g in held)
        ]  # fmt: skip
        if not held and not more:
            continue
        locks = {h.lock for h in (*held, *more)}
        classes = {h.name for h in (*held, *more)}
        must = seen.must()
        depth = DEPTH if focus.other is None else FAR  # nobody has run what a patch brings
        for effect in (*focus.effects.at(func, seen, depth), *at_home(focus, func, seen), *chained.at(func, seen, seen.must())):
            if effect.kind != "acquire" or not blocks(focus, effect):
                continue
            if effect.what not in locks and effect.hold is not None and effect.hold.name in classes:
                effect = renamed(flow.frame, effect, locks)
                if effect.what not in locks:
                    effect = of_its_own(focus, func, seen, effect, (*held, *more))
            if effect.what not in locks:
                effect = by_pointer(focus, func, effect, must)
            if effect.what not in locks:
                continue
            if effect.what in effect.let_go and (effect.way or all(h.lock != effect.what for h in seen.may())):
                continue  # by this function itself on some way to a lock of its own: there it is not held, here it may be
            if written is None:
                written = Written(flow)
            stable = written.stable(effect.what)
            for hold in (*held, *more):
                there = None
                if hold.lock == effect.what and (stable or (hold in held and still_the_same(flow, written, hold, seen))):
                    there = effect if hold in more else focus.effects.under(func, seen, hold, effect)
                if there is not None and not nests(focus, func, seen, hold, there):
                    doubt = 0 if hold in more or hold in must else 2 if hold.where or perhaps_released(focus, flow, hold) else 1
                    if doubt == 1 and focus.other is None and there.way:
                        doubt = 2  # in code that has run, the callee knows on which ways its caller holds it
                    if doubt == 0 and hold in must and focus.releases.perhaps(flow, hold, seen, there):
                        doubt = 2
                    if denied(focus, func, seen, hold, there):
                        doubt += 2
                    elif focus.settled.by_flag(there):
                        doubt += 2 if focus.other is None else 1  # objects of one kind have the flag, and those others not
                    if around(focus, func, seen, hold, there):
                        doubt += 1
                    if focus.other is None and there.way and there.func.key == func.key:
                        doubt += 2  # whoever comes back to itself does so for another object, or has marked this one before
                    if hold.kind == "semaphore" and focus.other is None:
                        doubt += 1  # in code that has run, somebody else may well be the one who ups it
                    if hold.plain and focus.ways.guards(there.func, there.at):
                        doubt += 2  # taken so by a library that was passed no context: both times, or neither
                    if focus.orders.nests(there) and not taken_alike(focus, hold, there):
                        doubt += 2  # with a subclass: the author knows it to be another object
                    if focus.other is None and doubt < 2 and focus.settled.at_odds_below(func, seen, there):
                        doubt += 1
                    guards = focus.ways.guards(there.func, there.at) if focus.other is None and there.way else ()
                    if there.back:  # no caller of an operation: what it was passed tells nothing, but a flag of the device may
                        guards = tuple(g for g in guards if is_flag(g.condition))
                    if guards:  # in code that has run, what is asked there may well tell whether the caller holds it
                        doubt += 2 if any(is_code(g.condition) for g in guards) else 1
                    elif focus.other is None and there.way and not there.back and by_command(focus, there):
                        doubt += 2
                    entry = entered.get(hold) if hold not in known else None
                    doubt += entry.doubt if entry is not None else 0
                    again = Again(seen, hold, there, hold in said, there.doubt + doubt, entry)
                    key = (hold.lock, there.func.key)
                    every.setdefault(key, {}).setdefault(there.called, again)
                    if key not in best or again.doubt < best[key].doubt:
                        best[key] = again
    for key, again in best.items():
        others = [a for name, a in every[key].items() if name != again.effect.called and a.doubt < 2]
        yield finding(focus, func, again, others[:MAX_MORE])


def still_the_same(flow: Flow, written: Written, hold: Hold, seen: Seen) -> bool:
    """Whether a lock goes by the name that it had where it was taken."""
    taken = seen_at(flow, hold.at)
    return taken is not None and written.between(hold.lock, taken, seen)


def renamed(frame: Frame, effect: Effect, locks: Iterable[Expr]) -> Effect:
    """An effect on one of some locks that has it by another name, with the name that the lock has there."""
    what = effect.what
    for around in (False, True) if what is not None and what not in effect.let_go else ():
        assert what is not None
        names = {plain(frame, lock, around): lock for lock in locks}
        found = names.get(plain(frame, what, around))
        if found is not None:
            return msgspec.structs.replace(effect, what=found, doubt=max(effect.doubt, int(around)))
    return effect


def nothing(model: Model) -> bool:
    """No API: what is asked for are functions that come back to their caller's driver."""
    return False


def at_home(focus: Focus, func: Func, seen: Seen) -> Iterator[Effect]:
    """What a call does in operations of its own driver that it comes back to, as far as the usual effects do not say so."""
    homing = focus.analysis.homing
    if homing is not focus.effects and homing.horizon.has(nothing, func, DEPTH):
        yield from (effect for effect in homing.at(func, seen) if effect.back)


def of_its_own(focus: Focus, func: Func, seen: Seen, effect: Effect, held: Iterable[Hold]) -> Effect:
    """The effect of an operation that an API comes back to: it has no words for its caller's object, but it is the operation of
    that very object, so what it takes of the class of a lock that is held is that lock."""
    hold = effect.hold
    if hold is None or not effect.back:
        return effect
    mine = [h for h in held if h.name == hold.name and always(seen, h.name)]
    if len(mine) != 1 or effect.lets_go(mine[0]) or told_apart(focus, func, hold.name):
        return effect
    return msgspec.structs.replace(effect, what=mine[0].lock, doubt=max(effect.doubt, 1))


def by_pointer(focus: Focus, func: Func, effect: Effect, held: Iterable[Hold]) -> Effect:
    """The effect of a library that takes the lock to which an object of its own keeps a pointer (``mutex_lock(c->owner->lock)``),
    as one on the lock that is held, where the file of the caller lets that pointer lead to no other class of locks."""
    what = effect.what
    field = what.base if isinstance(what, Deref) else None
    frame = focus.program.frame(func)
    if not isinstance(field, Member) or not field.arrow or effect.let_go:
        return effect
    root = root_of(field)
    local = isinstance(root, Name) and not root.id.startswith("::")  # what stands alone has no owner who could tell
    owner = frame.type_of(field.base) if local else None
    if owner is None:
        return effect
    stored = focus.summaries.origins.stored(frame.resolve(owner).name, field.name, focus.program.unit(func.path))
    names = {lock_class(focus.program.frame(f), deref(value)) for f, value in stored}
    mine = [h for h in held if names == {h.name} and h.name]
    return msgspec.structs.replace(effect, what=mine[0].lock, doubt=max(effect.doubt, 1)) if len(mine) == 1 else effect


def is_code(condition: Expr) -> bool:
    """Whether one answer of several is asked for (``rv = window_of(offset); if (rv == 1) lock();``): the arguments decide."""
    return (
        isinstance(condition, Binary) and condition.op == "==" and isinstance(condition.left, Result)
        and isinstance(condition.right, Const) and condition.right.value > 0
    )  # fmt: skip


def by_command(focus: Focus, effect: Effect) -> bool:
    """Whether the lock is taken in some cases of what a parameter's object says is to be done (``switch (cmd->opcode) { case
    LOAD: break; default: lock(); }``): who holds it knows what it asks for."""
    flow = focus.flow(effect.func)
    here = seen_at(flow, effect.at)
    body = flow.frame.body if flow is not None else None
    if flow is None or here is None or body is None:
        return False
    block = here.block
    for number, part in enumerate(body.blocks):
        exit_ = part.exit
        if not isinstance(exit_, Switch) or block in reached(body, [0], number):
            continue
        call = flow.frame.call(exit_.value.call) if isinstance(exit_.value, Result) else None
        asked = call.args if call is not None else (exit_.value,)  # le16_to_cpu(cmd->opcode)
        words = [flow.frame.canonical(e, {}) for e in asked]
        beside = any(block not in reached(body, [arm]) for arm in successors(exit_))
        if beside and any(isinstance(e, Member) and of_parameter(e) for e in words):
            return True
    return False


def perhaps_released(focus: Focus, flow: Flow, hold: Hold) -> bool:
    """Whether some call under the lock may release it, by the names in it."""
    word = word_of(hold.lock)
    return any(
        isinstance(s.event, Call) and any(h.lock == hold.lock for h in s.may())
        and focus.releases.possible(flow.frame, s.callee or s.event.callee, hold.kind, word)
        for s in flow.seen
    )  # fmt: skip


def counts(hold: Hold) -> bool:
    return hold.kind not in ALONE and (hold.kind not in OWNED or hold.plain)


def denied(focus: Focus, func: Func, seen: Seen, hold: Hold, effect: Effect) -> bool:
    """Whether something on the way speaks against it that the lock is taken again, or by the same task."""
    settled = focus.settled
    last = effect.last and not focus.came_under(func, seen, hold)
    if not effect.way:
        return last or counted(seen, hold, effect) or settled.told_gone(func, seen, hold)
    ahead = settled.against(func, seen, effect) or settled.once(effect) or told_by(focus, func, effect)
    return last or ahead or effect.comes_back() or settled.owned(effect) or nobody_goes(focus, func, effect)


def told_by(focus: Focus, func: Func, effect: Effect) -> bool:
    """Whether a function comes back to itself and takes the lock only for objects of one kind, as a field of what it is passed
    says: then it does so for one of the other kind (``if (part->sub) { lock(); put_whole(part); unlock(); }``, and in
    ``put_whole()``: ``put(whole->part)``)."""
    if effect.func.key != func.key:
        return False
    roots = (root_of(e) for g in focus.ways.guards(func, effect.at) for e in values.walk(g.condition) if isinstance(e, Member))
    return any(isinstance(root, Name) and root.id.startswith("%") for root in roots)


def counted(seen: Seen, hold: Hold, effect: Effect) -> bool:
    """Whether one call in a loop takes a semaphore, as often as it has room (``for (i = 0; i < slots; i++) down(&sem)``)."""
    return hold.kind == "semaphore" and not effect.way and seen.event.at == hold.at


def around(focus: Focus, func: Func, seen: Seen, hold: Hold, effect: Effect) -> bool:
    """Whether a loop comes back to the very call, which a local has said to make: it need not say so again, nor come back with
    what it had then (``if (wait) lock(); ... if (!got) { wait = true; goto again; }``). Or one that lets the lock go on some of
    its ways, by a condition that is forgotten here; or a local, a count of turns say, has told how the loop before was left."""
    if effect.way:
        return False
    guarded = any(any(n.startswith("$") for n in names_in(g.condition)) for g in focus.ways.guards(func, seen.event.at))
    if hold in seen.must() or focus.other is not None:
        return guarded and seen.event.at == hold.at
    return guarded or (seen.event.at == hold.at and let_go_around(focus, func, seen, hold))


def let_go_around(focus: Focus, func: Func, seen: Seen, hold: Hold) -> bool:
    """Whether a loop around an event releases a lock somewhere."""
    flow = focus.flow(func)
    return flow is not None and any(
        place_of(d.lock, s.args[0]) == hold.lock and comes_first(flow.frame, s, seen) and comes_first(flow.frame, seen, s)
        for s in flow.seen if s.args and (model := model_of(focus, s)) is not None for d in model.drops
    )  # fmt: skip


def blocks(focus: Focus, effect: Effect) -> bool:
    """Whether the lock is waited for, by somebody who may not have it already."""
    hold = effect.hold
    if hold is None or hold.taken in ("trylock", "timeout") or not counts(hold):
        return False
    model = focus.program.model(effect.name)
    return model is None or not model.recursive


def nests(focus: Focus, func: Func, seen: Seen, hold: Hold, effect: Effect) -> bool:
    """Whether both only read a lock that lets readers nest in an interrupt, or with softirqs off, and this is where they are."""
    inner = effect.hold
    if inner is None or hold.kind != "rwlock" or (hold.mode, inner.mode) != ("shared", "shared"):
        return False
    if any(h.irq == "bh" or h.kind == "bh" for h in (inner, hold, *seen.may(), *effect.held)):
        return True
    return not any(m.context == "task" and m.masks != "bh" for m in focus.modes.of(func))


def finding(focus: Focus, func: Func, again: Again, more: Iterable[Again] = ()) -> Finding:
    """:param more: by way of other callees, which go to the end of the proof."""
    hold, effect = again.hold, again.effect
    assert effect.hold is not None
    both = hold.mode == effect.hold.mode == "shared"
    severity: Severity = "warning" if both else "error"
    doubt = again.doubt + (1 if hold.kind in FAIR or hold.kind == "rwlock" else 2) * both
    confidence = confidence_of(doubt)
    file, line, column, function = place(func, again.seen.event.at)
    name = hold.name or effect.hold.name or hold.kind
    called = effect.called if effect.way else ""
    taken = f"is taken again in {effect.func.name}()" if effect.way else "is taken again"
    if called and called != effect.func.name:
        taken += f", by way of {called}(),"
    why = "while it is held"
    outer: tuple[Step, ...] = ()
    analysis = focus.analysis
    first = step(analysis, "access" if again.asserted else "acquire", func, hold.at, (hold,))
    if hold.where == OUTSIDE and again.entry is None:
        handed = hold in focus.let_go.handed_over(func).get(again.seen.event.at, ())
        why = f"while its caller holds it, {'for it releases it later' if handed else 'which it knew before the patch'}"
        first = step(analysis, "call", func, again.seen.event.at, (hold,))
        above = islice(focus.holders.of(func, {hold.name}), MAX_MORE) if hold.name else ()
        outer = tuple(s for holder in above for s in holder_steps(analysis, holder))
    elif again.asserted:
        why = "while its caller holds it, as it asserts"
    elif again.entry is not None:
        why = f"while it is held by whoever calls {again.entry.how}"
        first = entry_step(analysis, again.entry)
    rest = effect_steps(analysis, func, hold, effect)
    also = (step(analysis, "call", f, call.at, (hold,)) for a in more for f, call in a.effect.way[1:2])
    return Finding(
        rule=RULE, severity=severity, confidence=confidence, file=file, line=line, column=column, function=function,
        message=f"{name} {taken} {why}", involves=(name,),
        proof=(*outer, first, *(s for s in rest if s != first), *also), event=focus.program.line_text(file, line),
    )  # fmt: skip
