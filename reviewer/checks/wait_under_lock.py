"""wait-under-lock: waiting for a function that cannot end, for it needs a lock that the waiter holds, or is the waiter itself.

Awaited are work items, timers, interrupt handlers, tasklets, threads, work queues and completions; what they take is looked
for at any depth. A wait that gives up is no deadlock, nor is a lock that they only try for.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import msgspec

from reviewer.checks import apart
from reviewer.checks.finding import Finding, Step
from reviewer.checks.focus import Focus
from reviewer.checks.passed_above import nobody_goes
from reviewer.checks.proof import confidence_of, effect_steps, entry_step, holder_steps, place, step
from reviewer.checks.registry import general
from reviewer.checks.unwound import undone
from reviewer.parse.facts import Call, Expr, Index, Member, Name, Result
from reviewer.program.api.models import Function as Model
from reviewer.program.concurrency.awaited import Awaited
from reviewer.program.concurrency.wakers import Change
from reviewer.program.flow.effects import Effect, may_block, stations
from reviewer.program.flow.horizon import DEPTH
from reviewer.program.flow.lockflow import Seen
from reviewer.program.flow.objects import root_of
from reviewer.program.flow.precedence import comes_first
from reviewer.program.flow.settled import asked_word
from reviewer.program.flow.telling import behind_bit, last_if
from reviewer.program.flow.ways import Guard, assigned
from reviewer.program.graph.upward import ATOMIC
from reviewer.program.linked import values
from reviewer.program.linked.configured import exclusive
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import ALONE, OUTSIDE, SLEEPING, Hold, lock_class, writer_between
from reviewer.program.linked.structs import Frame

RULE = "wait-under-lock"

SPUN = frozenset({"timer", "tasklet"})
"""Waits for something that runs in softirq on this very CPU (kernel-doc of timer_delete_sync in kernel/time/timer.c)."""

FAR = 3
"""Calls to a wait and to the lock together, from which on one of their conditions most often keeps them apart."""

VERY_FAR = 6
"""Calls to a wait and to the lock together, from which on that is all but sure."""

FURTHER = 2
"""How much further down than others a wait is looked for that a function makes for itself: of whom that may be is known then."""

TASKS = frozenset({"work", "workqueue", "thread"})
"""Waits for a task."""

SIGNALLED = frozenset({"completion", "event"})
"""Waits that others end by a call, or by what they change."""


PER_CPU = re.compile(r"(?:^|_)per_cpu(?:_|$)")
"""How the kernel names what gives a CPU's copy (``per_cpu(x, cpu)``, ``per_cpu_ptr()``)."""


SLEEP = re.compile(r"(?:^|_)(?:suspend|resume|freeze|thaw|poweroff|restore)(?:_(?:noirq|late|early))?$")
"""How the kernel names what puts a device to sleep and wakes it (struct dev_pm_ops in include/linux/pm.h)."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why the awaited one cannot end: ``what`` it needs, and the steps that show it."""

    doubt: int
    what: str
    sentence: str
    proof: tuple[Step, ...]


@general(RULE)
def wait_under_lock(focus: Focus) -> Iterator[Finding]:
    for func in focus.every:
        flow = focus.flow(func) if focus.horizon.has(waits, func, DEPTH) else None
        if flow is None:
            continue
        started = bool(focus.entries.of(func))
        more = focus.let_go.theirs(func)
        for seen in flow.seen:
            below = started or bool(seen.may()) or seen.event.at in more
            if isinstance(seen.event, Call) and leads_to_wait(focus, func, seen.event, below):
                effects = tuple(focus.effects.at(func, seen))
                yield from in_call(focus, func, seen, more.get(seen.event.at, ()), effects)
                yield from to_themselves(focus, func, effects)
            elif isinstance(seen.event, Call) and runs_operations_below(focus, func, seen.event):
                yield from to_themselves(focus, func, focus.effects.at(func, seen))


def to_themselves(focus: Focus, func: Func, effects: Iterable[Effect]) -> Iterator[Finding]:
    """Findings of those who come to these waits by way of the function, and are waited for."""
    for top, its, far in further_up(focus, func, effects):
        yield from in_call(focus, top, its, (), (far,))


def further_up(focus: Focus, func: Func, effects: Iterable[Effect]) -> Iterator[tuple[Func, Seen, Effect]]:
    """Waits for a function that itself comes to them by way of this one, too far down to be seen from there."""
    for effect in effects:
        if effect.depth < FURTHER or effect.wait is None or effect.wait.gives_up or effect.wait.what not in ("work", "timer"):
            continue
        for awaited in waited_for(focus, func, effect):
            top, flow = awaited.func, focus.flow(awaited.func) if lies_below(focus, func, awaited.func) else None
            if flow is None or any(same_place(effect, e) for e in focus.effects.of(top)):
                continue
            far = ((its, e) for its in flow.seen for e in focus.effects.at(top, its, DEPTH + FURTHER) if same_place(effect, e))
            for its, e in islice(far, 1):
                yield top, its, e


def same_place(one: Effect, other: Effect) -> bool:
    """Whether two waits are one, seen from two functions."""
    return other.wait is not None and (one.func.key, one.at) == (other.func.key, other.at)


def lies_below(focus: Focus, func: Func, top: Func) -> bool:
    """Whether a function calls another by its name, at once or a few calls down."""
    level, met = [func], {func.key}
    for _ in range(FURTHER):
        level = [s.caller for f in level for s in focus.holders.sites(f) if s.caller.key not in met]
        met |= {f.key for f in level}
    return top.key in met and top.key != func.key


def leads_to_wait(focus: Focus, func: Func, call: Call, below: bool) -> bool:
    """Whether the call waits, or, if that is of interest, what it calls by name does."""
    if not isinstance(call.callee, Name):
        return False
    if below and call.callee.id in focus.horizon.back:
        return True
    for target in focus.summaries.calls.named(call.callee.id, func.path):
        if target.model is not None and waits(target.model):
            return True
        if below and target.func is not None and focus.horizon.has(waits, target.func, DEPTH - 1):
            return True
    return False


def waits(model: Model) -> bool:
    """Whether a modelled call waits for something, or runs operations of the driver's, which may."""
    return bool(model.waits) or runs_operations(model)


def runs_operations(model: Model) -> bool:
    """Whether a modelled call runs operations of the driver's own before it returns (``pm_runtime_put_sync``)."""
    return any(i.table and i.bound for i in model.invokes)


def runs_operations_below(focus: Focus, func: Func, call: Call) -> bool:
    """Whether what is called by name makes such a call itself."""
    targets = focus.summaries.calls.named(call.callee.id, func.path) if isinstance(call.callee, Name) else ()
    return any(t.func is not None and focus.horizon.has(runs_operations, t.func, 0) for t in targets)


def in_call(focus: Focus, func: Func, seen: Seen, more: tuple[Hold, ...], effects: Iterable[Effect]) -> Iterator[Finding]:
    """The strongest finding of one call and its effects; ``more``: locks that callers hold, too."""
    best: tuple[Blocked, Effect, Hold | None] | None = None
    for effect in effects:
        if effect.wait is None or effect.wait.gives_up:
            continue
        for blocked, hold in reasons(focus, func, seen, effect, more):
            if best is None or (blocked.doubt, effect.depth) < (best[0].doubt, best[1].depth):
                best = (blocked, effect, hold)
        if best is None and not effect.depth:
            yield from around(focus, func, effect)
    if best is not None:
        blocked, effect, hold = best
        flow = focus.flow(func)
        if hold is not None and flow is not None and focus.releases.perhaps(flow, hold, seen, effect):
            blocked = with_doubt(blocked, 2)
        last = effect.last and (hold is None or not focus.came_under(func, seen, hold))
        if last or focus.settled.against(func, seen, effect) or nobody_goes(focus, func, effect):
            blocked = with_doubt(blocked, 2)  # what is for the last user of an object need not be for this one
        if hold is not None and comes_back(func, effect):
            blocked = with_doubt(blocked, 2)  # whoever calls itself does so for another object
        if hold is not None and hold.where and hold.at == seen.event.at:
            blocked = with_doubt(blocked, 2)  # a callee that is called again and again cannot return with what it needs each time
        if focus.other is None:
            blocked = with_doubt(blocked, seldom(effect, hold, blocked))
            blocked = with_doubt(blocked, focus.settled.at_odds_below(func, seen, effect))
            blocked = with_doubt(blocked, hold is not None and (just_made(focus, effect) or undone_again(focus, effect)))
        outside = [entry_step(focus.analysis, e) for e, h in focus.entries.held_for_sure(func) if h is hold]
        proof = (*outside, *effect_steps(focus.analysis, func, hold, effect), *blocked.proof)
        yield finding(focus, func, seen.event.at, blocked, proof)


def seldom(effect: Effect, hold: Hold | None, blocked: Blocked) -> int:
    """The doubt about code that has run that the wait is ever made for one that needs the lock: there are several calls in
    between, each with its conditions, or a callee waits for a whole queue, which most often has no such work by then. What waits
    for itself where a field says so, and does so each time, would have been seen."""
    assert effect.wait is not None
    if hold is None:
        return int(blocked.doubt == 1)
    calls = len(effect.way) + sum(s.kind == "call" for s in blocked.proof)
    if hold.where == OUTSIDE:
        return 0
    if calls >= VERY_FAR:
        return 2 - min(blocked.doubt, 1)
    queue = effect.wait.what == "workqueue" and bool(effect.way)
    return int(blocked.doubt == 0 and (calls >= FAR or queue))


def comes_back(func: Func, effect: Effect) -> bool:
    """Whether the way to the effect leads through its function once more."""
    return any(f.key == func.key for f in (*(f for f, _ in effect.way), effect.func)[1:])


def finding(focus: Focus, func: Func, at: int, blocked: Blocked, proof: tuple[Step, ...]) -> Finding:
    file, line, column, function = place(func, at)
    return Finding(
        rule=RULE, severity="error", confidence=confidence_of(blocked.doubt), file=file, line=line, column=column,
        function=function, message=blocked.sentence, involves=(blocked.what,), proof=proof,
        event=focus.program.line_text(file, line),
    )  # fmt: skip


def around(focus: Focus, func: Func, effect: Effect) -> Iterator[Finding]:
    """Callers elsewhere that hold what the awaited function takes; those in focus have findings of their own."""
    inside = {f.key for f in focus.functions}
    for awaited in waited_for(focus, func, effect):
        taken = {class_of(focus, awaited.func, e.hold) for e in focus.effects.of(awaited.func) if e.hold is not None}
        for holder in focus.holders.of(func, frozenset(taken - {""})):
            owner = holder.way[0].caller
            if owner.key in inside or effect.lets_go(holder.hold) or downgraded(holder.hold, effect):
                continue
            if holder.hold.name in taken_below(effect.held):
                continue
            for blocked in needs(focus, awaited, owner, [holder.hold], effect):
                hold = holder.hold
                steps = holder_steps(focus.analysis, holder)
                outside = msgspec.structs.replace(hold, where=OUTSIDE)
                proof = (*steps, *effect_steps(focus.analysis, func, outside, effect), *blocked.proof)
                seldom = 2 * (effect.last or leads(focus, func, awaited)) + idle(focus, effect, awaited)
                found = with_doubt(blocked, effect.doubt + awaited.doubt + seldom)
                yield finding(focus, owner, holder.way[0].call.at, found, proof)
                return


def reasons(
    focus: Focus, func: Func, seen: Seen, effect: Effect, more: tuple[Hold, ...]
) -> Iterator[tuple[Blocked, Hold | None]]:
    """Why the wait of one effect does not end; ``more``: locks that callers hold, too."""
    assert effect.wait is not None
    awaiting = waited_for(focus, func, effect)
    if not awaiting and effect.wait.what not in SIGNALLED:
        yield from from_interrupt(focus, func, effect)
        return
    must = seen.must()
    holds = [h for h in seen.may() if not effect.lets_go(h) and focus.effects.under(func, seen, h, effect)]
    held = [h for h in holds if h.name and (h.kind not in ALONE or h.kind == "srcu") and not downgraded(h, effect)]
    locks = {h: int(h not in must) + handed_over(h) for h in held}
    locks |= {h: e.doubt for e, h in focus.entries.held_for_sure(func) if not effect.lets_go(h)}
    locks |= {h: 0 for h in more if not effect.lets_go(h)}
    below = taken_below(effect.held[len(must) :])
    locks = {h: doubt for h, doubt in locks.items() if h.name not in below}
    if effect.wait.what == "completion":
        for hold, doubt in locks.items():
            for blocked in completer_needs(focus, func, effect, hold):
                yield with_doubt(blocked, effect.doubt + doubt), hold
        return
    if effect.wait.what == "event":
        for hold, doubt in locks.items():
            for blocked in waker_needs(focus, func, effect, hold):
                yield with_doubt(blocked, effect.doubt + doubt), hold
        return
    atomic = next((h for h in must if h.kind in ATOMIC and not effect.lets_go(h)), None)
    for awaited in awaiting:
        mine = awaited.func.key == func.key
        turns = 2 * (not mine and (take_turns(focus, func, effect) or leads(focus, func, awaited)))
        turns += idle(focus, effect, awaited) + 2 * still_asleep(focus, func, effect)
        for hold, doubt in locks.items() if not mine else ():
            for blocked in needs(focus, awaited, func, [hold], effect):
                yield with_doubt(blocked, effect.doubt + awaited.doubt + doubt + turns), hold
        if atomic is not None and effect.wait.what in TASKS:
            for blocked in sleeps(focus, awaited, atomic, effect):
                yield with_doubt(blocked, effect.doubt + awaited.doubt), atomic
        if mine:
            asks = any("current_work" in f.calls for f in (effect.func, *(f for f, _ in effect.way)))
            told = asks or told_by_bit(focus, effect) or focus.settled.by_itself(effect)
            # A thread that stopped itself would never come further: it stops others, which run the same function. So does
            # who has just made another object of its kind.
            others = effect.wait.what == "thread" or (effect.what is not None and focus.settled.of_new(func, effect.what))
            doubt = effect.doubt + awaited.doubt + (2 if told or others else focus.settled.by_field(effect))
            yield Blocked(doubt, own(func), itself(func, awaited, effect), ()), None
        elif not effect.depth:
            for blocked in waits_back(focus, awaited, effect):
                yield with_doubt(blocked, effect.doubt + awaited.doubt), None
    yield from from_interrupt(focus, func, effect)


def waited_for(focus: Focus, func: Func, effect: Effect) -> list[Awaited]:
    """The functions that a wait is for; in a review, of what the patch has nothing to do with either, none."""
    found = focus.waited.of(func, effect)
    if focus.concerns(func):
        return list(found)
    return [a for a in found if focus.concerns(a.func, a.item.rpartition(".")[2])]


def told_by_bit(focus: Focus, effect: Effect) -> bool:
    """Whether a callee waits only if a bit says so: whoever is waited for may have seen to it that it does not."""
    flow = focus.flow(effect.func) if effect.way else None
    if flow is None:
        return False
    here = {s.block for s in flow.seen if s.event.at == effect.at}
    return bool(here) and here <= behind_bit(focus.program, flow)


def take_turns(focus: Focus, func: Func, effect: Effect) -> bool:
    """Whether the waiter, a work itself, and the work that it waits for never run at the same time."""
    return effect.wait is not None and effect.wait.what == "work" and focus.queues.apart(func, effect)


def leads(focus: Focus, func: Func, awaited: Awaited) -> bool:
    """Whether a thread waits for others that run its own function, in a part of it that is for their leader alone."""
    sites = focus.holders.sites(func) if awaited.how == "kthread" else ()
    return bool(sites) and all(s.caller.key == awaited.func.key for s in sites)


def still_asleep(focus: Focus, func: Func, effect: Effect) -> bool:
    """Whether a function of system sleep waits for a work that is frozen then: it may be pending, but does not run."""
    assert effect.wait is not None
    sleeps = SLEEP.search(func.name) is not None and "runtime" not in func.name
    return sleeps and effect.wait.what == "work" and focus.queues.frozen(func, effect)


def idle(focus: Focus, effect: Effect, awaited: Awaited) -> int:
    """The doubt that a work is on its queue where that is waited for: nobody puts it there, it is not even set up yet, or, where
    the queue goes away, somebody has waited for the work by itself, as a rule before."""
    assert effect.wait is not None
    if effect.wait.what in ("work", "timer") and awaited.item:
        return 2 * focus.lives.never_started(awaited.item, awaited.func.path)
    if effect.wait.what != "workqueue":
        return 0
    if focus.waited.too_early(effect, awaited) or of_its_making(focus, effect):
        return 2
    model = focus.program.models.functions.get(effect.name)
    goes = model is not None and model.frees is not None
    return 2 * (goes and bool(awaited.item) and focus.waited.waited_apart(effect.func, awaited.item))


def of_its_making(focus: Focus, effect: Effect) -> bool:
    """Whether a queue is part of an object that the waiting function has itself made, and puts no work on: nobody else could."""
    flow = focus.flow(effect.func)
    here = next((s for s in flow.seen if s.event.at == effect.at and s.args and s.args[0]), None) if flow is not None else None
    models = focus.program.models.functions
    known = (models.get(name) for name in effect.func.calls)
    return (
        here is not None and focus.settled.of_new(effect.func, here.args[0][0])
        and not any(r.starts for m in known if m is not None for r in m.registers)
    )  # fmt: skip


def with_doubt(blocked: Blocked, doubt: int) -> Blocked:
    return replace(blocked, doubt=blocked.doubt + doubt)


def own(func: Func) -> str:
    return f"{func.path}:{func.name}" if func.static else func.name


def itself(func: Func, awaited: Awaited, effect: Effect) -> str:
    return f"{effect.name}() waits for {func.name}(), in which it is called ({awaited.how})"


def needs(focus: Focus, awaited: Awaited, func: Func, holds: Iterable[Hold], effect: Effect) -> Iterator[Blocked]:
    """The awaited function takes one of these locks, which ``func`` holds."""
    for taken in focus.effects.of(awaited.func):
        if taken.kind != "acquire" or taken.hold is None or taken.hold.taken == "trylock":
            continue
        name = class_of(focus, awaited.func, taken.hold)
        for hold in holds:
            between = writer_between(hold, taken.hold)
            if name == hold.name and between is not None:
                if apart.other_member(focus, func, hold, awaited.func, taken.hold):
                    continue
                if not focus.program.same_class(name, func.path, awaited.func.path):
                    continue
                if apart.retaken(focus, name, taken):
                    continue
                if exclusive(focus.program, (*apart.down(func, effect), *apart.down(awaited.func, taken))):
                    continue
                takes = "waits for readers of" if hold.kind == "srcu" else "takes"
                sentence = f"{effect.name}() waits for {awaited.func.name}(), which {takes} {name}, while {name} is held"
                doubt = taken.doubt + between
                if name in focus.program.models.trees:  # it may well be another's; in code that has run it is
                    doubt += 1 if focus.other is not None or of_the_same(hold, effect) else 2
                doubt += 2 * apart.other_family(focus, name, (func,), apart.down(awaited.func, taken))
                doubt += 2 * apart.other_owner(focus, func, hold, effect, awaited.func, taken.hold)
                doubt += 2 * apart.other_element(focus, func, hold, awaited.func, taken.hold)
                # Who must not sleep takes no such lock: the way is none, or a fault of its own.
                doubt += 2 * (awaited.how in SPUN and taken.hold.kind in SLEEPING)
                doubt += 2 * focus.orders.nests(taken)  # with a subclass: of another object, as the author knows
                doubt += 2 * apart.ruled_out(focus, name, awaited.func, taken)
                doubt += 2 * by_last(focus, taken)  # the waiter has a reference: the other's is not the last
                doubt += 2 * of_some_threads(focus, awaited, taken, effect)
                doubt += 2 * of_another_driver(focus, func, awaited, taken)
                doubt += 2 * awake_again(focus, func, taken)
                yield Blocked(doubt, name, sentence, effect_steps(focus.analysis, awaited.func, None, taken))


def awake_again(focus: Focus, func: Func, taken: Effect) -> bool:
    """Whether the lock is taken only where the device is woken up, while the waiter, an operation of the same table, puts it to
    sleep: one of the two runs at a time."""
    if not taken.back or SLEEP.search(func.name) is None:
        return False
    inner = {f.name for f in (*(f for f, _ in taken.way[1:]), taken.func)}
    tables = (table for slot, table in focus.lives.operations(func) if slot.endswith("suspend"))
    return any("resume" in slot and name in inner for table in tables for slot, name in table.items())


def of_another_driver(focus: Focus, func: Func, awaited: Awaited, taken: Effect) -> bool:
    """Whether the awaited one, a library's, comes to the lock by an operation of some driver, and the waiter's own folder has one
    of the kind: that is what is called for its object."""
    here = posixpath.dirname(func.path)
    inner = [*(f for f, _ in taken.way[1:]), taken.func]
    for (caller, call), target in zip(taken.way, inner, strict=False):  # without a way there is only the function itself
        if isinstance(call.callee, Member) and posixpath.dirname(target.path) not in (here, posixpath.dirname(caller.path)):
            frame = focus.program.frame(caller)
            table = frame.type_of(frame.canonical(call.callee.base, {}))
            struct = frame.resolve(table).name if table is not None else ""
            entries = focus.summaries.calls.entries(struct, call.callee.name, caller.path) if struct else ()
            if any(posixpath.dirname(f.path) == here for _, f in entries):
                return True
    return False


def of_the_same(hold: Hold, effect: Effect) -> bool:
    """Whether what is waited for is part of the very object whose lock is held."""
    owner = hold.lock.base if isinstance(hold.lock, Member) else None
    return owner is not None and effect.what is not None and any(e == owner for e in values.walk(effect.what))


def handed_over(hold: Hold) -> int:
    """The doubt that a semaphore with which a callee returns is still held: whoever completes what was begun lets it go."""
    return int(hold.kind == "semaphore" and bool(hold.where))


def taken_below(held: tuple[Hold, ...]) -> frozenset[str]:
    """The classes of locks that a callee takes itself before it waits. The awaited one may well need such a lock, which is said
    where it is taken; the caller's is another, or the callee would not get as far (``lock(parent); ... lock(child); wait();``).
    """
    return frozenset(h.name for h in held if h.name and h.taken != "trylock")


def downgraded(hold: Hold, effect: Effect) -> bool:
    """Whether a callee holds for reading what its caller has taken for writing (``downgrade_write()``): that is said of it."""
    return hold.mode != "shared" and any(h.name == hold.name and h.mode == "shared" for h in effect.held)


def of_some_threads(focus: Focus, awaited: Awaited, taken: Effect, effect: Effect) -> bool:
    """Whether one of several threads of a function is waited for, which takes the lock only if a field says so (its number, a
    mode, what it is to run: ``thread->run(thread)``): in code that has run, it is not this one."""
    if awaited.how != "kthread" or focus.other is not None:
        return False
    frame = focus.program.frame(awaited.func)
    if taken.doubt and taken.way and isinstance(frame.canonical(taken.way[0][1].callee, {}), Member):
        return True
    at = taken.way[0][1].at if taken.way else taken.at
    if not any(by_field(frame, g) for g in focus.ways.guards(awaited.func, at)):
        return False
    return any(map(PER_CPU.search, effect.func.calls)) or any(isinstance(e, Index) for e in origins(focus, effect))


def by_field(frame: Frame, guard: Guard) -> bool:
    """Whether a condition is what a field says, or a local that was given what it says."""
    word = guard.condition
    given = assigned(frame, word) if isinstance(word, Name) else []
    return asked_word(frame, guard)[0] is not None or (bool(given) and all(isinstance(v, Member) for v in given))


def origins(focus: Focus, effect: Effect) -> Iterator[Expr]:
    """The parts of what the functions on the way to a wait give each other for its object."""
    for frame, path in handed_down(focus, effect):
        yield from values.walk(path)
        word = root_of(path)
        for value in assigned(frame, word) if isinstance(word, Name) else ():
            yield from values.walk(value)


def just_made(focus: Focus, effect: Effect) -> bool:
    """Whether one of the functions on the way to a wait has itself made the object of which it waits for a part: as a rule it
    undoes what it has begun, and nobody has put that to use."""
    return any(focus.settled.of_new(frame.func, path) for frame, path in handed_down(focus, effect))


def undone_again(focus: Focus, effect: Effect) -> bool:
    """The same by the names on the way, of what runs only once somebody has started it; users find an attribute at once."""
    return effect.wait is not None and effect.wait.what in TASKS | SPUN and undone(focus, effect)


def handed_down(focus: Focus, effect: Effect) -> Iterator[tuple[Frame, Expr]]:
    """What the functions on the way to a wait give each other for its object, the innermost first."""
    word: Expr | None = None
    for func, at in reversed(stations(effect)):
        flow = focus.flow(func)
        here = next((s for s in flow.seen if s.event.at == at and s.args), None) if flow is not None else None
        if flow is None or here is None:
            return
        if word is None:
            path = here.args[0][0] if here.args[0] else None
        else:
            i = int(word.id[1:]) if isinstance(word, Name) and word.id.startswith("%") else len(here.args[0])
            path = here.args[0][i] if i < len(here.args[0]) else None
        if path is None:
            return
        yield flow.frame, path
        word = root_of(path)
        got = flow.frame.call(word.call) if isinstance(word, Result) else None
        if got is not None and got.args:  # what it is a part of, as a rule
            word = root_of(flow.frame.canonical(got.args[0], {}))


def by_last(focus: Focus, taken: Effect) -> bool:
    """Whether a lock is taken by the last user only, by itself or in one step (``refcount_dec_and_mutex_lock``)."""
    model = focus.program.models.functions.get(taken.name)
    return taken.last or (model is not None and last_if(model))


def class_of(focus: Focus, func: Func, hold: Hold) -> str:
    return hold.name or lock_class(focus.program.frame(func), hold.lock)


def sleeps(focus: Focus, awaited: Awaited, hold: Hold, effect: Effect) -> Iterator[Blocked]:
    """The awaited one is a task, so the waiter sleeps; worse if it sleeps for a lock whose owner may wait for the waiter."""
    held = hold.name or hold.kind
    blocking = [e for e in focus.effects.of(awaited.func) if e.kind != "alloc" and may_block(focus.summaries, e)]
    named = [(e, class_of(focus, awaited.func, e.hold)) for e in blocking if e.hold is not None]
    for taken, name in named:
        if name:
            sentence = f"{effect.name}() waits for {awaited.func.name}(), which sleeps for {name}, while {held} is held"
            yield Blocked(taken.doubt, name, sentence, effect_steps(focus.analysis, awaited.func, None, taken))
    sentence = f"{effect.name}() waits for {awaited.func.name}(), a task ({awaited.how}), while {held} is held"
    yield Blocked(1, held, sentence, ())


def waits_back(focus: Focus, awaited: Awaited, effect: Effect) -> Iterator[Blocked]:
    """The awaited function waits for another that comes to the same wait."""
    for wait in focus.effects.of(awaited.func):
        if wait.wait is None or wait.wait.gives_up or wait.wait.what not in TASKS | SPUN:
            continue
        for other in focus.waited.of(awaited.func, wait):
            if other.func.key == awaited.func.key:
                continue  # it waits for itself, which is said of it
            if take_turns(focus, awaited.func, wait):
                continue
            for back in focus.effects.of(other.func):
                if (back.func.key, back.at) == (effect.func.key, effect.at) and not exclude(wait, back):
                    sentence = (
                        f"{effect.name}() waits for {awaited.func.name}(), which waits for {other.func.name}(), "
                        f"which comes to this wait"
                    )
                    proof = (
                        *effect_steps(focus.analysis, awaited.func, None, wait),
                        *effect_steps(focus.analysis, other.func, None, back),
                    )
                    # Whoever has two wait for each other sees to it, as a rule, that one of them finds nothing to wait for.
                    seldom = 2 if focus.other is None else 1
                    doubt = max(wait.doubt, back.doubt) + other.doubt + seldom
                    yield Blocked(doubt, own(other.func), sentence, proof)


def exclude(one: Effect, other: Effect) -> bool:
    """Whether two waits are never made at the same time: a lock is held around both, and so its wait is the one that counts."""
    return any(
        h.name and h.name == g.name and "exclusive" in (h.mode, g.mode) and not one.lets_go(h) and not other.lets_go(g)
        for h in one.held for g in other.held
    )  # fmt: skip


def from_interrupt(focus: Focus, func: Func, effect: Effect) -> Iterator[tuple[Blocked, Hold | None]]:
    """A hard interrupt waits for a softirq that it may have interrupted."""
    assert effect.wait is not None
    model = focus.program.models.functions.get(effect.name)
    if effect.wait.what not in SPUN or effect.name.startswith("hr") or model is None:
        return
    if model.spared_by and model.spared_by.encode() in focus.program.text(effect.func.path):
        return
    for entry in focus.entries.of(func):
        if entry.context == "hardirq":
            where = f"{func.name}(), which runs in interrupt ({entry.how})"
            sentence = f"{effect.name}() in {where} and may have interrupted the callback"
            yield Blocked(effect.doubt + entry.doubt, own(func), sentence, (entry_step(focus.analysis, entry),)), None


def completer_needs(focus: Focus, func: Func, effect: Effect, hold: Hold) -> Iterator[Blocked]:
    """Whoever completes holds the same lock at that moment."""
    for signal in focus.waited.signals(func, effect):
        if signal.func.key == func.key:
            continue
        for held in signal.seen.must():
            between = writer_between(hold, held)
            if held.name == hold.name and between is not None and held.taken != "trylock":
                sentence = f"{effect.name}() waits for {signal.func.name}(), which takes {hold.name}, while {hold.name} is held"
                proof = (
                    step(focus.analysis, "acquire", signal.func, held.at, (held,)),
                    step(focus.analysis, "call", signal.func, signal.seen.event.at, (held,)),
                )
                yield Blocked(between, hold.name, sentence, proof)
        for holder in focus.holders.of(signal.func, frozenset({hold.name})):
            owner, held = holder.way[0].caller, holder.hold
            between = writer_between(hold, held)
            if owner.key == func.key or between is None or held.taken == "trylock":
                continue
            way = f"{signal.func.name}(), around which {owner.name}() takes {hold.name}"
            sentence = f"{effect.name}() waits for {way}, while {hold.name} is held"
            last = step(focus.analysis, "call", signal.func, signal.seen.event.at, (held,))
            # Whoever gives a reference back under the lock need not be the last one, as long as others do so without it.
            free = any(all(h.name != hold.name for h in s.must) for s in focus.holders.sites(signal.func))
            doubt = between + 2 * free
            yield Blocked(doubt, hold.name, sentence, (*holder_steps(focus.analysis, holder), last))
            break


def waker_needs(focus: Focus, func: Func, effect: Effect, hold: Hold) -> Iterator[Blocked]:
    """Each of those who can make the condition true takes the lock before; else another may come first."""
    needed: list[tuple[Change, int, tuple[Step, ...]]] = []
    for change in focus.wakers.of(func, effect) if hold.kind in SLEEPING else ():
        found = taken_before(focus, change, hold)
        if found is None:
            return
        needed.append((change, *found))
    if needed:
        # A condition on the way to the lock may say that nobody waits: a scan cannot tell, a patch has brought the lock here.
        change, doubt, steps = min(needed, key=lambda n: n[1])
        known = doubt == 0 or focus.edited(func)
        sentence = f"{effect.name}() waits for {change.func.name}(), which takes {hold.name}, while {hold.name} is held"
        last = step(focus.analysis, "access", change.func, change.access.at, change.access.held)
        yield Blocked(max(doubt, 1) if known else 2, hold.name, sentence, (*steps, last))


def taken_before(focus: Focus, change: Change, hold: Hold) -> tuple[int, tuple[Step, ...]] | None:
    """How sure it is that a change is made under the lock, or after it was taken and dropped again; None if it is not."""
    own = next((h for h in change.access.held if h.name == hold.name), None)
    if own is not None and own.taken != "trylock" and writer_between(hold, own) == 0:
        return 0, (step(focus.analysis, "acquire", change.func, own.at, (own,)),)
    flow = focus.flow(change.func)
    frame = focus.program.frame(change.func)
    for seen in flow.seen if flow is not None else ():
        if isinstance(seen.event, Call) and comes_first(frame, seen, change.seen):
            for taken in focus.effects.at(change.func, seen):
                if taken.kind != "acquire" or taken.hold is None or taken.hold.taken == "trylock":
                    continue
                same = class_of(focus, change.func, taken.hold) == hold.name and taken.doubt == 0
                if same and writer_between(hold, taken.hold) == 0:
                    return 1, effect_steps(focus.analysis, change.func, None, taken)
    return None
