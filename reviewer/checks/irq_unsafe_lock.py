"""irq-unsafe-lock: a lock that an interrupt takes is taken elsewhere with that interrupt on; or interrupts are turned on by a
function whose caller needs them off.

Two kinds of evidence for the first: a way on which the lock is taken in an interrupt (or softirq) and one on which it is taken
by a task, or by a softirq, that this interrupt may hit; or that everybody else who takes the lock turns interrupts off.
"""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.apart import other_element
from reviewer.checks.finding import CONFIDENCES, Finding, Step
from reviewer.checks.focus import Focus
from reviewer.checks.proof import confidence_of, effect_steps, entry_step, holder_steps, place, step
from reviewer.checks.registry import general
from reviewer.parse.facts import Binary, Call, Expr, Member, Name
from reviewer.program.concurrency.entries import MASKED, Entry
from reviewer.program.concurrency.lockusers import Take
from reviewer.program.concurrency.modes import STRENGTH, Mode, stronger
from reviewer.program.flow.effects import Effect, may_block
from reviewer.program.flow.lockflow import Flow, seen_at, unexecuted
from reviewer.program.flow.objects import object_name, rooted
from reviewer.program.flow.settled import asked_word
from reviewer.program.flow.telling import is_false
from reviewer.program.flow.ways import Guard
from reviewer.program.graph.upward import ATOMIC
from reviewer.program.linked.link import Func, runs_at_boot
from reviewer.program.linked.locks import Hold, lock_class
from reviewer.program.linked.written import calls_of

RULE = "irq-unsafe-lock"

OTHERS = 3
"""Places where a lock is taken with interrupts off before one that does not stands out."""

NEAR = 2
"""Calls below a function within which it puts its task to sleep."""

MAX_TAKES = 8
"""Places of one lock of which the contexts are looked up."""

NEEDED = {"hardirq": "irq", "softirq": "bh"}
"""What has to be off where a lock is held that this context takes (Documentation/kernel-hacking/locking.rst)."""

CALLED = {"irq": "interrupts", "bh": "softirqs"}


@general(RULE)
def irq_unsafe_lock(focus: Focus) -> Iterator[Finding]:
    for flow in focus.holding():
        again = list(enabled_again(focus, flow))
        yield from again or enabled_for_callers(focus, flow.frame.func)
        if focus.differs(flow.frame.func):
            yield from taken_with_interrupts_on(focus, flow.frame.func)


# --- interrupts turned on ---------------------------------------------------------------------------


def enabled_again(focus: Focus, flow: Flow) -> Iterator[Finding]:
    """A call that takes and drops a lock by the variant that turns interrupts on, where they are off."""
    func = flow.frame.func
    for seen in flow.seen:
        if not isinstance(seen.event, Call):
            continue
        off = [h for h in seen.may() if h.irq in ("off", "save")]
        if not off or runs_at_boot(func):
            continue
        best: tuple[int, int, Effect, Hold] | None = None
        must = seen.must()
        for effect in focus.effects.at(func, seen):
            if effect.kind != "acquire" or effect.hold is None or effect.hold.irq != "off" or effect.asked:
                continue
            if puts_back(focus, effect.func, effect.hold):
                continue
            for hold in off:
                back = effect.lets_go(hold) and hold.irq == "save" and bool(effect.way) and may_be_off(focus, func)
                if back or (not effect.lets_go(hold) and hold.lock != effect.hold.lock):
                    doubt = effect.doubt + 2 * effect.last + (hold not in must) * (2 if hold.where else 1) + back
                    if best is None or (doubt, effect.depth) < best[:2]:
                        best = (doubt, effect.depth, effect, hold)
        if best is not None:
            doubt, _, effect, hold = best
            name = hold.name or hold.kind
            message = f"{called_in(effect)} turns interrupts on again while {name} is held with interrupts off"
            if focus.other is None and effect.way and doubt:
                doubt += 1  # the callee knows whether interrupts are off; of what a patch brings, nobody has run it
            yield finding(focus, func, seen.event.at, doubt, message, name, effect_steps(focus.analysis, func, hold, effect))


def may_be_off(focus: Focus, func: Func) -> bool:
    """Whether a function is started with interrupts off, if only now and then: to turn them off it has to save what they were."""
    entry = focus.entries.strictest(func)
    return entry is not None and entry.masks == "irq" and entry.context in ("softirq", "hardirq")


def puts_back(focus: Focus, func: Func, hold: Hold) -> bool:
    """Whether a function that turns interrupts off only ever puts them back as they were (``local_irq_disable();
    local_irq_restore(flags);`` after an earlier ``local_irq_save(flags)``)."""
    models = focus.program.models.functions
    ends = {d.irq for c in func.calls if (m := models.get(c)) is not None for d in m.drops if d.kind == hold.kind}
    return "restore" in ends and "on" not in ends


def enabled_for_callers(focus: Focus, func: Func) -> Iterator[Finding]:
    """A lock taken by the variant that turns interrupts on, in a function that is called with interrupts off."""
    inside = {f.key for f in focus.functions}
    for take in focus.lock_users.takes(func)[:1]:
        if take.hold.irq != "off":
            continue
        name = take.hold.name
        for holder in focus.holders.where(func, lambda h: h.irq in ("off", "save"), "masks"):
            owner, hold = holder.way[0].caller, holder.hold
            if owner.key not in inside and not given_back(focus, take, hold):
                steps = holder_steps(focus.analysis, holder)
                steps.append(step(focus.analysis, "acquire", func, take.at, (hold, take.hold)))
                message = f"{func.name}() turns interrupts on again while {hold.name or hold.kind} is held with interrupts off"
                yield finding(focus, owner, holder.way[0].call.at, 0, message, hold.name or hold.kind, tuple(steps))
                return
        for mode in focus.modes.of(func):
            excluded = mode.entry is None or settled(focus, take, mode) or focus.modes.is_cut(mode.way, func, take.at)
            if mode.entry is not None and not excluded and mode.masks == "irq" and mode.context != "task":
                steps = [entry_step(focus.analysis, mode.entry), *way(focus, mode)]
                steps.append(step(focus.analysis, "acquire", func, take.at, (take.hold,)))
                message = f"{func.name}() turns interrupts on again after {name}, where they may be off ({mode.entry.how})"
                # What takes back what its caller held knows whether interrupts were off; a flag may say so.
                back = all(any(lock_class(focus.program.frame(func), d) == name for d in w) for w in take.seen.dropped)
                yield finding(focus, func, take.at, 1 + mode.entry.doubt + back, message, name, tuple(steps))
                return


def given_back(focus: Focus, take: Take, hold: Hold) -> bool:
    """Whether the caller's lock, and its interrupts, were let go before on every way to the take."""
    frame = focus.program.frame(take.func)
    return all(any(lock_class(frame, d) == hold.name for d in world) for world in take.seen.dropped)


def called_in(effect: Effect) -> str:
    called = effect.called
    return f"{called}()" if called == effect.name else f"{called}() (by {effect.name}())"


# --- a lock that an interrupt takes ----------------------------------------------------------------


def taken_with_interrupts_on(focus: Focus, func: Func) -> Iterator[Finding]:
    done: set[str] = set()
    for take in focus.lock_users.takes(func):
        if take.hold.name in done or runs_at_boot(func):
            continue
        found: list[Finding | None] = []
        if take.masks != "irq":
            mixed, started = focus.lock_users.look(take.hold.name, func.path)
            found.append(by_evidence(focus, take) if started else None)
            found.append(by_majority(focus, take) if mixed else None)
        if take.hold.irq != "save":
            found.append(weakened(focus, take))
        sure = max((f for f in found if f is not None), key=lambda f: CONFIDENCES.index(f.confidence), default=None)
        if sure is not None:
            done.add(take.hold.name)
            yield sure


def by_evidence(focus: Focus, take: Take) -> Finding | None:
    for other in nearest(focus.lock_users.of(take.hold.name, take.func.path), take):
        same = focus.program.same_class(take.hold.name, take.func.path, other.func.path)
        if same and not other.hold.mode == take.hold.mode == "shared":
            best: Finding | None = None
            for found in conflicts(focus, take, other):
                if best is None or CONFIDENCES.index(found.confidence) > CONFIDENCES.index(best.confidence):
                    best = found
                if best.confidence == "high":
                    break
            if best is not None:
                return best
    return None


def conflicts(focus: Focus, take: Take, other: Take) -> Iterator[Finding]:
    """The ways on which ``other`` takes the lock in an interrupt that may hit a way to ``take``."""
    for context in focus.modes.of(other.func):
        needed = NEEDED.get(context.context) or interrupting(focus, context)
        if needed is not None and context.entry is not None and STRENGTH[take.masks] < STRENGTH[needed]:
            for mode in exposed(focus, take, focus.modes.of(take.func), context, needed):
                yield conflict(focus, take, mode, other, context, needed)


def interrupting(focus: Focus, context: Mode) -> str | None:
    """What has to be off for an operation that is called under a lock which interrupts take: who waits for the operation's own
    lock there keeps the interrupt waiting, that has hit whoever holds it."""
    operation = focus.program.models.operations.get(context.entry.by) if context.entry is not None else None
    return "irq" if operation is not None and operation.interrupts else None


def nearest(takes: tuple[Take, ...], take: Take) -> list[Take]:
    """Those of the same function first, then of the same file; one of each function. A handler needs not turn anything off, and
    who takes back what its caller had has no context of its own."""
    mine = take.func
    ordered = sorted(takes, key=lambda t: (t.func.key != mine.key, t.func.path != mine.path, t.back, t.masks != ""))
    return list({t.func.key: t for t in reversed(ordered)}.values())[::-1][:MAX_TAKES]


def exposed(focus: Focus, take: Take, modes: tuple[Mode, ...], context: Mode, needed: str) -> Iterator[Mode]:
    """The ways on which the lock is taken where the context may come in between."""
    for mode in modes:
        if STRENGTH[stronger(mode.masks, take.masks)] >= STRENGTH[needed]:
            continue
        if mode.context not in ("task", "softirq") or quiet(focus, take, mode, context) or instead(focus, mode, context):
            continue
        if not settled(focus, take, mode) and not focus.modes.is_cut(mode.way, take.func, take.at):
            yield mode


def settled(focus: Focus, take: Take, mode: Mode) -> bool:
    """Whether a function on the way has made a field what it must not be for the lock to be taken (``dev->polls = 0;
    transfer(dev);``, which asks for it before it polls)."""
    if not mode.way:
        return False
    first = mode.way[0]
    flow = focus.flow(first.caller)
    seen = seen_at(flow, first.call.at)
    effect = Effect("acquire", "", None, take.func, take.at, tuple((s.caller, s.call) for s in mode.way))
    return seen is not None and focus.settled.against(first.caller, seen, effect)


def quiet(focus: Focus, take: Take, mode: Mode, context: Mode) -> bool:
    """Whether, on this way, the interrupt is not requested yet, or was waited for or turned off before."""
    assert context.entry is not None
    for func, at in stations(take, mode):
        if runs_at_boot(func) or (func.path, func.name) == (context.entry.path, context.entry.function):
            return True
        soft = context.context == "softirq"
        if any(stops(focus, func, name, soft) for name in func.calls) and ended_before(focus, func, at, soft):
            return True
        if any(only_while_off(focus, func, guard) for guard in focus.ways.guards(func, at)):
            return True
    top = focus.entries.learned(mode.top) if mode.entry is None and focus.entries.slots(mode.top) else None
    return top is not None and STRENGTH[top.masks] >= STRENGTH[NEEDED[context.context]]


def only_while_off(focus: Focus, func: Func, guard: Guard) -> bool:
    """Whether a field has to be set that nobody sets before the interrupt is off (``disable_irq(p->irq); p->polls = true;``)."""
    if not guard.truth or not isinstance(guard.condition, Member):
        return False
    frame = focus.program.frame(func)
    name = object_name(frame, rooted(frame, guard.condition))
    changes = focus.analysis.shared.elsewhere(name, func.path) if name else []
    sets = [a for a in changes if a.value is None or not is_false(a.value)]
    return bool(sets) and all(ended_before(focus, a.func, a.at) for a in sets)


def stations(take: Take, mode: Mode) -> list[tuple[Func, int]]:
    """The functions of a way, each with where it goes on to the next one, or takes the lock."""
    return [(take.func, take.at), *((s.caller, s.call.at) for s in mode.way)]


def ended_before(focus: Focus, func: Func, at: int, soft: bool = False) -> bool:
    """Whether a function calls such an API before a position, and does not start again by a helper what another one has ended."""
    calls = [s.event for s in unexecuted(focus.program.frame(func)) if isinstance(s.event, Call) and s.event.at < at]
    named = [c.callee.id for c in sorted(calls, key=lambda c: c.at) if isinstance(c.callee, Name)]
    if any(ends(focus, name) for name in named):
        return True
    told = (stops(focus, func, n, soft) for n in named if stops(focus, func, n, soft) or starts(focus, func, n))
    return [False, *told][-1]


def stops(focus: Focus, func: Func, name: str, soft: bool) -> bool:
    """Whether a call in a function is of such an API, or of a function of the same file that turns an interrupt off for good, or
    a softirq, if that is what is asked for (``soft``)."""
    return ends(focus, name) or any(
        (ends if soft else turns_off)(focus, n) and n.replace("disable", "enable", 1) not in (n, *f.calls)
        for f in focus.program.functions(func.path, name) for n in f.calls
    )  # fmt: skip


def starts(focus: Focus, func: Func, name: str) -> bool:
    """Whether a call in a function turns on what such an API turns off, or is of a function of the same file that does."""
    inside = [n for f in focus.program.functions(func.path, name) for n in f.calls]
    return any((off := n.replace("enable", "disable", 1)) != n and ends(focus, off) for n in (name, *inside))


def turns_off(focus: Focus, name: str) -> bool:
    """Whether an API turns an interrupt off, or waits for it."""
    model = focus.program.models.functions.get(name)
    return model is not None and "irq" in (*(c.what for c in model.cancels), *(w.what for w in model.waits))


def ends(focus: Focus, name: str) -> bool:
    """Whether an API waits until an interrupt, a timer or a softirq is over, or turns an interrupt off."""
    model = focus.program.models.functions.get(name)
    return turns_off(focus, name) or (model is not None and any(w.what in ("timer", "tasklet", "napi") for w in model.waits))


def instead(focus: Focus, mode: Mode, context: Mode) -> bool:
    """Whether one of the two is set up only where the other is not (``if (irq) request_irq(...); else timer_setup(...);``)."""
    one, two = (guards(focus, m.entry) if m.entry is not None else frozenset() for m in (mode, context))
    return any((condition, not truth) in two for condition, truth in one)


def guards(focus: Focus, entry: Entry) -> frozenset[tuple[Expr, bool]]:
    """The conditions under which a registration is made."""
    return frozenset(
        (guard.condition, guard.truth) for func, at in registration(focus, entry) for guard in focus.ways.guards(func, at)
    )


def conflict(focus: Focus, take: Take, mine: Mode, other: Take, theirs: Mode, needed: str) -> Finding:
    assert theirs.entry is not None
    name = take.hold.name
    where = "in interrupt" if needed == "irq" else "in softirq"
    message = f"{name} is taken with {CALLED[needed]} on, while {other.func.name}() takes it {where} ({theirs.entry.how})"
    proof = [*way(focus, mine), step(focus.analysis, "acquire", take.func, take.at, (take.hold,))]
    proof += [entry_step(focus.analysis, theirs.entry), *way(focus, theirs)]
    proof.append(step(focus.analysis, "acquire", other.func, other.at, (other.hold,)))
    doubt = theirs.entry.doubt + apart(focus, take, mine, other, theirs)
    if mine.entry is None and not any(puts_to_sleep(focus, func) for func, _ in stations(take, mine)):
        # Whom nobody is seen to call may be called by a softirq through a table, and so may the calls of an operation that no
        # model knows: that is no evidence of a task.
        doubt += 2 if mine.open else 1 + (other.func.key == take.func.key)
    doubt += mine.entry.doubt if mine.entry is not None else 0
    doubt += 2 * set_up(focus, mine, theirs)
    doubt += any(runs_operation(focus, site.how) for site in theirs.way)  # and may have it do a part only: to stop, not to start
    operation = focus.program.models.operations.get(mine.entry.by) if mine.entry is not None else None
    if operation is not None and theirs.entry.by in operation.apart:
        doubt += 2  # unless several objects share the lock
    doubt += 2 * other_element(focus, take.func, take.hold, other.func, other.hold)
    doubt += 2 * focus.settled.kept_back(take.func, take.hold.lock, take.at)  # the interrupt does not know the object yet
    if focus.other is None and any(isinstance(g.condition, Name) for g in focus.ways.guards(take.func, take.at)):
        doubt += 1  # an argument, or a local, says how the lock is to be taken
    if focus.other is None:
        doubt += unlikely(focus, take, mine, other, theirs)
    if focus.other is None and needed == "bh" and (mine.way or doubt):
        # A timer or a softirq has nothing to do for a device that somebody above is about to stop or to start: a flag says so.
        doubt += 1
    return finding(focus, take.func, take.at, doubt, message, name, tuple(proof))


def unlikely(focus: Focus, take: Take, mine: Mode, other: Take, theirs: Mode) -> int:
    """The doubt that in code that has run the interrupt takes the lock: a function of its own may have to find a field so, or a
    table, or it is so where the interrupt is requested and the opposite where the task is."""
    assert theirs.entry is not None
    guards = focus.ways.guards(other.func, other.at) if theirs.way else ()
    frame = focus.program.frame(other.func)
    asked_for = any(asked_word(frame, g)[0] is not None or isinstance(g.condition, Binary) for g in guards)
    here, there = stations(take, mine), [*stations(other, theirs), *registration(focus, theirs.entry)]
    return asked_for + focus.settled.at_odds(here, there)


def registration(focus: Focus, entry: Entry) -> Iterator[tuple[Func, int]]:
    """Where an interrupt, or something else that runs by itself, is set up."""
    for func in focus.program.functions(entry.path, entry.function) if entry.function else ():
        yield from ((func, call.at) for call in calls_of(focus.program.body(func)) if func.line_of(call.at) == entry.line)


def runs_operation(focus: Focus, api: str) -> bool:
    """Whether a call is of an API that runs what stands in a table."""
    model = focus.program.models.functions.get(api)
    return model is not None and any(i.table for i in model.invokes)


def puts_to_sleep(focus: Focus, func: Func) -> bool:
    """Whether a function certainly is a task's: it sleeps, and not only where an argument, an object or a count says so."""
    flow = focus.flow(func) if focus.effects.may_matter(func, NEAR) else None
    for seen in flow.seen if flow is not None else ():
        if isinstance(seen.event, Call) and not any(h.kind in ATOMIC for h in seen.may()):
            for e in focus.effects.at(func, seen, NEAR):
                if not (e.doubt or e.asked or e.some or e.last or e.chosen or e.under) and may_block(focus.summaries, e):
                    return True
    return False


def set_up(focus: Focus, mine: Mode, theirs: Mode) -> bool:
    """Whether the task is about to request the device's interrupt, or has nothing to fear from the one that it requests: until
    then the device does not work, and no timer or softirq has anything to do for it."""
    models = focus.program.models.functions
    for site in mine.way:
        body = focus.program.body(site.caller)
        asked = [
            e.at for b in (body.blocks if body is not None else ()) for e in b.events
            if isinstance(e, Call) and isinstance(e.callee, Name) and (m := models.get(e.callee.id)) is not None
            and any(r.how == "irq" for r in m.registers)
        ]  # fmt: skip
        if asked and (site.call.at < min(asked) or (theirs.entry is not None and theirs.entry.how != "irq")):
            return True
    return False


def apart(focus: Focus, take: Take, mine: Mode, other: Take, theirs: Mode) -> int:
    """How far the interrupt is from the task: 1 for another file, 2 for another driver, whose objects are its own although a
    subsystem has declared them for both."""
    if other.func.path == take.func.path:
        return 0
    here, there = ({f.path for f in (t.func, *m.functions)} for t, m in ((take, mine), (other, theirs)))
    struct = take.hold.name.lstrip("*").partition(".")[0]
    found = focus.program.struct_at(struct, take.func.path) if struct.startswith(("struct ", "union ")) else None
    return 2 if found is not None and found[0].startswith("include/") and here.isdisjoint(there) else 1


def way(focus: Focus, mode: Mode) -> list[Step]:
    return [step(focus.analysis, "call", s.caller, s.call.at) for s in mode.way]


def by_majority(focus: Focus, take: Take) -> Finding | None:
    """Everybody else turns interrupts, or softirqs, off. One is enough where the patch has this one cease to."""
    old = before_the_patch(focus, take)
    ceased = bool(old) and STRENGTH[take.masks] < min(STRENGTH[t.masks] for t in old)
    side = focus if ceased else focus.before or focus  # who ceases together with this one says nothing for it
    takes = side.lock_users.of(take.hold.name, take.func.path)
    others = [t for t in takes if (t.func.name, t.func.path) != (take.func.name, take.func.path) and not t.back]
    if len(others) < (1 if ceased else OTHERS):
        return None
    least = min((t.masks for t in others), key=lambda m: STRENGTH[m])
    if STRENGTH[least] <= STRENGTH[take.masks]:
        return None
    modes = focus.modes.of(take.func)
    less = [m for m in modes if STRENGTH[stronger(m.masks, MASKED[m.context])] < STRENGTH[least]]
    if not less:
        return None
    # By its address, or as a callback that must not sleep: perhaps where they are off.
    unknown = all((m.open and m.top.static) or m.context == "atomic" for m in less)
    name = take.hold.name
    who = f"all {len(others)} others who take it turn" if len(others) > 1 else "the only other who takes it turns"
    message = f"{name} is taken with {CALLED[least]} on, which {who} off"
    shown = [step(focus.analysis, "acquire", t.func, t.at, (t.hold,)) for t in others[:2]]
    proof = (step(focus.analysis, "acquire", take.func, take.at, (take.hold,)), *shown)
    habit = not focus.edited(take.func)  # of code that stands as it is, they may turn it off because they always do
    return finding(focus, take.func, take.at, 1 + (unknown or habit), message, name, proof)


def before_the_patch(focus: Focus, take: Take) -> list[Take]:
    """Where the function of this name took the lock before a patch."""
    if focus.before is None:
        return []
    same = (t for f in focus.before.program.functions(take.func.path, take.func.name) for t in focus.before.lock_users.takes(f))
    return [t for t in same if t.hold.name == take.hold.name]


def may_nest(focus: Focus, mode: Mode) -> bool:
    """Whether a way may lead through locks that nobody tells of: it has no known beginning, or a system call's, far above."""
    operation = focus.program.models.operations.get(mode.entry.by) if mode.entry is not None else None
    return mode.entry is None or (operation is not None and not operation.holds and not operation.holds_among)


def weakened(focus: Focus, take: Take) -> Finding | None:
    """A patch stops turning interrupts off, or saving what they were, in a function that not only tasks are known to call."""
    old = before_the_patch(focus, take)
    if not old or len(old) > len([t for t in focus.lock_users.takes(take.func) if t.hold.name == take.hold.name]):
        return None
    saved = all(t.hold.irq == "save" for t in old)
    less = STRENGTH[take.masks] < min(STRENGTH[t.masks] for t in old)
    if not less and not (saved and take.hold.irq == "off"):
        return None
    unsure = [m for m in focus.modes.of(take.func) if may_nest(focus, m) or m.context != "task"]
    needed = min((t.masks for t in old), key=lambda m: STRENGTH[m])
    if not any(m.context == "task" and may_nest(focus, m) for m in unsure) and all(
        m.context == "task" or STRENGTH[stronger(m.masks, MASKED[m.context])] >= STRENGTH[needed] for m in unsure
    ):
        return None
    name = take.hold.name
    what = f"{CALLED[needed]} are not turned off any more" if less else "interrupts are turned on again"
    message = f"{what} around {name}, and not all ways into {take.func.name}() are known to allow it"
    proof = (step(focus.analysis, "acquire", take.func, take.at, (take.hold,)), *(way(focus, unsure[0]) if unsure else ()))
    return finding(focus, take.func, take.at, 1, message, name, proof)


def finding(focus: Focus, func: Func, at: int, doubt: int, message: str, name: str, proof: tuple[Step, ...]) -> Finding:
    file, line, column, function = place(func, at)
    return Finding(
        rule=RULE, severity="error", confidence=confidence_of(doubt), file=file, line=line, column=column,
        function=function, message=message, involves=(name,), proof=proof, event=focus.program.line_text(file, line),
    )  # fmt: skip
