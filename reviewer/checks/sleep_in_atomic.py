"""sleep-in-atomic: a call that may sleep is reached with a spinlock held, or with preemption or interrupts off, or in a function
that is started where nothing may sleep (an interrupt, a timer, an operation that is called atomically).

A lock that the callee lets go while it sleeps is not held then; where a function asks whether it may sleep, its answer counts.
Low confidence: a way through a table of which only some entries sleep; what is left to the last user of an object; what a word
decides that is not known here (``if (request->waiting)``).
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import msgspec

from reviewer.checks.finding import Finding, Step
from reviewer.checks.focus import Focus
from reviewer.checks.let_go import asserts
from reviewer.checks.passed_above import nobody_goes
from reviewer.checks.proof import confidence_of, effect_steps, entry_step, place, step
from reviewer.checks.registry import general
from reviewer.parse.facts import Binary, Call, Choice, Const, Expr, Index, Member, Name, Result
from reviewer.program.concurrency.entries import Entry
from reviewer.program.concurrency.lockusers import INTERRUPTS
from reviewer.program.concurrency.modes import OFF, Mode
from reviewer.program.flow.effects import Effect, class_or_field, is_named, may_block, stations
from reviewer.program.flow.horizon import FAR
from reviewer.program.flow.lockflow import Flow, Seen, on_every_way, seen_at
from reviewer.program.flow.objects import root_of
from reviewer.program.flow.origins import Origins
from reviewer.program.flow.precedence import always_first
from reviewer.program.flow.summaries import Binding
from reviewer.program.flow.telling import last_if
from reviewer.program.graph.contexts import CallSite
from reviewer.program.graph.masks import handed_on
from reviewer.program.graph.upward import ATOMIC
from reviewer.program.linked import values
from reviewer.program.linked.link import Func, runs_at_boot
from reviewer.program.linked.locks import ALONE, Hold, lock_class

RULE = "sleep-in-atomic"

FAR_FILES = 3
"""Files that a way of as many calls leads through, beyond which its conditions are seldom all known."""

CONDITIONS = 3
"""Functions on a way, each of which comes to the next one under some condition."""

STATES = 4
"""Conditions on objects on the way to a sleep, from which on they are, in code that has run, hardly ever met at once."""

MAX_LOOKED_AT = 4
"""Sleeps of one call, the surest first, that are asked whether something on the way speaks against them."""

MAX_MORE = 4
"""Other functions in which one call may sleep, shown beside the one that is told of."""

MAX_MADE = 3
"""Makers of an object that are shown."""

MAX_ALIKE = 5
"""Calls of one function that are told of under one lock: more of them are the same fault."""

MAX_ABOVE = 6
"""Levels of callers above a function of a patch, up to the interrupt."""

SPINNING = frozenset({"spinlock_t", "struct spinlock", "raw_spinlock_t", "struct raw_spinlock", "rwlock_t"})
"""Types of the locks under which nobody may sleep."""

ATOMIC_NAME = "_inatomic"
"""In the names of functions that are called with page faults disabled (``futex_atomic_cmpxchg_inatomic()``)."""

DRIVERS = 2
"""Drivers whose operations sleep, from which on a library that calls these has to reckon with it."""

CPU = frozenset({"irq", "preempt"})
"""What the boot CPU has off before there is anybody else to run (init/main.c, system_state)."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """A call that may sleep, with what forbids it. ``because``: how the sentence ends; ``object``: what the finding is about.
    ``aside``: it leads past the files that were asked for. ``above``: calls by which the function gets what it passes on."""

    doubt: int
    effect: Effect
    because: str
    object: str
    hold: Hold | None = None
    entry: Entry | None = None
    aside: bool = False
    above: tuple[CallSite, ...] = ()

    def rank(self) -> tuple[int, int, int, int]:
        return self.doubt, self.aside, self.hold is None, self.effect.depth


@general(RULE)
def sleep_in_atomic(focus: Focus) -> Iterator[Finding]:
    for func in (*focus.functions, *focus.beyond):
        if focus.effects.may_matter(func, FAR):
            still = focus.let_go.theirs(func)
            says = focus.summaries.names.asserts(func)
            flow = focus.flow(func) if focus.summaries.holds(func) or hands_on(focus, func) or still or says else None
            told = asserted(focus, flow) if flow is not None and says else ()
            under = [
                (seen, best) for seen in (flow.seen if flow is not None else ())
                if (best := strongest(focus, func, seen, sleeps_under_lock(
                    focus, func, seen, (*still.get(seen.event.at, ()), *said_before(focus, func, seen, told))
                )))
            ]  # fmt: skip
            yield from (finding(focus, func, *one) for one in (few(under) if focus.other is None else under))
            if not under:
                below = list(in_context(focus, func))
                yield from below
                if not below and focus.other is not None and focus.differs(func):
                    yield from in_context_above(focus, focus.other, func)
        elif focus.effects.through_tables(func):
            yield from in_context(focus, func, through=True)


def asserted(focus: Focus, flow: Flow) -> tuple[tuple[Hold, Seen], ...]:
    """The spinning locks that the function says its callers hold, each with the event by which it says so."""
    found: list[tuple[Hold, Seen]] = []
    for seen in flow.seen:
        for hold in asserts(focus, flow.frame.func, seen):
            type_ = flow.frame.type_of(hold.lock) if hold.kind == "other" else None
            spins = type_ is not None and not SPINNING.isdisjoint((type_.name, flow.frame.resolve(type_).name))
            if hold.kind in ATOMIC or spins:
                found.append((msgspec.structs.replace(hold, kind="spin"), seen))
    return tuple(found)


def said_before(focus: Focus, func: Func, seen: Seen, told: Iterable[tuple[Hold, Seen]]) -> Iterator[Hold]:
    """Those of them that have been spoken of on every way to an event, and that have not been let go of since."""
    frame = focus.program.frame(func)
    for hold, at in told:
        free = any(hold.lock in d for d in seen.dropped) or any(h.lock == hold.lock for h in seen.may())
        if at is not seen and not free and always_first(frame, at, seen):
            yield hold


def few(found: list[tuple[Seen, Sleep]]) -> Iterator[tuple[Seen, Sleep]]:
    """The surest of those under each lock."""
    best = sorted(found, key=lambda one: one[1].rank())
    chosen: Counter[str] = Counter()
    shown: set[int] = set()
    for _, sleep in best:
        chosen[sleep.object] += 1
        if chosen[sleep.object] <= MAX_ALIKE:
            shown.add(id(sleep))
    yield from (one for one in found if id(one[1]) in shown)


def by_flag(focus: Focus, effect: Effect) -> int:
    """The doubt that a callee's object has the flag that it asks for before it sleeps (``if (!(port->caps & CAP_RPM)) return``):
    few have it, whose callers are others. What sleeps for some objects only, such as waking a device, needs two
    things to be so. Nobody has run what a patch brings."""
    if focus.other is not None or not focus.settled.by_flag(effect):
        return 0
    model = focus.program.models.functions.get(effect.name)
    return 2 if model is not None and model.spared_by else 1


def seldom(focus: Focus, func: Func, seen: Seen, doubt: int, effect: Effect) -> int:
    """The doubt that in code that has run, the conditions on a way are ever met at once: two of them ask for the opposite, or it
    is not sure by itself and has many; or that it was not somebody else who came there first, as early as the machine started."""
    if focus.other is not None or doubt > 1:
        return 0
    if not focus.settled.by_flag(effect) and focus.settled.at_odds_below(func, seen, effect):
        return 1
    if doubt == 0:
        return int(for_one_of_several(focus, effect) or in_one_state(focus, effect))
    if focus.settled.once(effect):
        return 1
    enough = CONDITIONS if files(effect) <= FAR_FILES else CONDITIONS - 1
    if len(effect.way) < enough:
        return 0
    met = 0
    for func, at in stations(effect)[1:]:
        flow = focus.flow(func)
        body = flow.frame.body if flow is not None else None
        blocks = {s.block for s in flow.seen if s.event.at == at} if flow is not None else set()
        met += bool(blocks) and body is not None and not any(on_every_way(body, b) for b in blocks)
    return int(met >= enough)


def for_one_of_several(focus: Focus, effect: Effect) -> bool:
    """Whether a callee sleeps only where a parameter is one certain number, and it is not told which one it gets
    (``enable(mgr->id)``, which waits if that is the TV): who calls it knows."""
    for (caller, call), (callee, at) in zip(effect.way, stations(effect)[1:], strict=True):
        frame = focus.program.frame(caller)
        for guard in focus.ways.guards(callee, at):
            asked = guard.condition if guard.truth else None
            if isinstance(asked, Binary) and asked.op == "==" and isinstance(asked.right, Const) and isinstance(asked.left, Name):
                index = asked.left.id.removeprefix("%")
                given = call.args[int(index)] if index.isdigit() and int(index) < len(call.args) else None
                if given is not None and not isinstance(frame.canonical(given, {}), Const):
                    return True
    return False


def in_one_state(focus: Focus, effect: Effect) -> bool:
    """Whether callees ask so much of their objects before they sleep that few are ever in that state."""
    return sum(asks_object(g.condition) for f, at in stations(effect)[1:] for g in focus.ways.guards(f, at)) >= STATES


def asks_object(condition: Expr) -> bool:
    """Whether a condition is about what a parameter points to, or a call has given, and no count of a loop."""
    asked = condition.left if isinstance(condition, Binary) and isinstance(condition.right, Const) else condition
    asked = asked.left if isinstance(asked, Binary) and asked.op == "&" and isinstance(asked.right, Const) else asked
    root = root_of(asked) if isinstance(asked, Member | Index) else None
    return isinstance(root, Result) or (isinstance(root, Name) and root.id.startswith("%"))


def strongest(focus: Focus, func: Func, seen: Seen, found: Iterable[Sleep]) -> Sleep | None:
    """What is said of one call: the surest of what may sleep there, if nothing on the way speaks against it."""
    first = sorted(found, key=Sleep.rank)[:MAX_LOOKED_AT]
    flagged = [replace(s, doubt=s.doubt + by_flag(focus, s.effect)) for s in first]
    ranked = sorted((replace(s, doubt=s.doubt + seldom(focus, func, seen, s.doubt, s.effect)) for s in flagged), key=Sleep.rank)
    free = (
        s for s in ranked
        if not focus.settled.against(func, seen, s.effect) and not (s.doubt < 2 and nobody_goes(focus, func, s.effect))
    )  # fmt: skip
    return next(free, replace(ranked[0], doubt=ranked[0].doubt + 2) if ranked else None)


def hands_on(focus: Focus, func: Func) -> bool:
    """Whether the function names another one of its file other than to call it."""
    names = {f.name for f in focus.program.functions_in(func.path)} - {func.name, *func.calls}
    return not names.isdisjoint(func.words)


def sleeps_under_lock(focus: Focus, func: Func, seen: Seen, more: tuple[Hold, ...]) -> Iterator[Sleep]:
    """What may sleep in one call under the locks of its function, and under ``more`` of its callers, or in a callback of it that
    must not."""
    holds = [h for h in (*seen.may(), *more) if h.kind in ATOMIC and not (h.kind in CPU and runs_at_boot(func))]
    if not holds and not passes_function(focus, func, seen):
        return
    must = frozenset((*seen.must(), *more))
    locks_last = takes_with_count(focus, func, must)
    for effect, above in (*((e, ()) for e in blocking(focus, func, seen)), *as_passed(focus, func, seen)):
        if locks_last and not effect.way:
            effect = msgspec.structs.replace(effect, last=False)
        least = unsure(focus, effect) + isinstance(effect.what, Choice)
        for hold in holds:
            masks = OFF.get(hold.irq, "")
            free = effect.lets_go(hold) or turned_on(focus, holds, hold, effect)
            free = free or (hold not in must and focus.effects.under(func, seen, hold, effect, FAR) is None)
            if not free and not allowed(focus, effect, masks, masks == "bh"):
                name = hold.name or hold.kind
                doubt = least
                if hold not in must:
                    # A callee that leaves with it on some ways only is itself at fault; and what a function does on its own
                    # with a lock that it may not have, in code that has run, goes by a word that both depend on.
                    doubt += 2 if hold.where or (focus.other is None and not effect.way) else 1
                doubt += far(focus, effect)
                if focus.other is None and not hold.name and hold.kind not in ALONE and effect.way:
                    doubt += 2  # of what class it is cannot be told, and so not whether the callee lets it go
                if hold.where and hold.kind in CPU:
                    # A callee that nests such sections by a count of its own seems to leave one open; not on all ways.
                    doubt += 1 if hold in must else 2
                yield Sleep(doubt, effect, f"while {name} is held", name, hold, aside=focus.aside(func, effect), above=above)
        for hold in held_around_callback(focus, func, seen, effect):
            if not allowed(focus, effect, OFF.get(hold.irq, ""), OFF.get(hold.irq) == "bh"):
                because = f"in a callback of {effect.way[0][1].callee.id}(), which holds {hold.name}"  # type: ignore[union-attr]
                yield Sleep(least, effect, because, hold.name, aside=focus.aside(func, effect))
        if effect.under and not passed_above(focus, effect):
            because = f"in a callback of {effect.under}(), which runs where it must not"
            yield Sleep(least, effect, because, effect.under)


def takes_with_count(focus: Focus, func: Func, must: Iterable[Hold]) -> bool:
    """Whether one of the locks is taken by the very call that gives a reference up (``refcount_dec_and_lock()``): where it is
    held the reference was the last one."""
    if not any(h.kind in ATOMIC and not h.where for h in must):
        return False
    taken = {h.at for h in must if not h.where}
    flow = focus.flow(func)
    models = focus.program.models.functions
    return flow is not None and any(
        s.event.at in taken and isinstance(s.event, Call) and isinstance(s.event.callee, Name)
        and (m := models.get(s.event.callee.id)) is not None and m.takes and last_if(m)
        for s in flow.seen
    )  # fmt: skip


def turned_on(focus: Focus, holds: Sequence[Hold], hold: Hold, effect: Effect) -> bool:
    """Whether a callee lets in what the function has turned off by itself, along with a lock that was taken after that
    (``local_bh_disable(); spin_lock(&l); flush();``, and ``flush()`` does ``spin_unlock_bh(&l)`` around the sleep)."""
    if hold.kind not in ("irq", "bh") or not any(not h.irq and h.kind not in ALONE and effect.lets_go(h) for h in holds):
        return False
    words = ("bh",) if hold.kind == "bh" else ("on", "restore")
    return any(
        d.irq in words and d.kind not in ALONE
        for f in (*(f for f, _ in effect.way[1:]), effect.func) for c in f.calls
        if (m := focus.program.models.functions.get(c)) is not None for d in m.drops
    )  # fmt: skip


def blocking(focus: Focus, func: Func, seen: Seen) -> Iterator[Effect]:
    """The effects of a call that put its task to sleep."""
    found: list[Effect] = []
    for effect in focus.effects.at(func, seen, FAR):
        blocks = may_block(focus.summaries, effect) or (focus.edited(func) and may_choose_to(focus, effect))
        if not effect.asked and blocks and not spared(focus, func, effect):
            found.append(effect)
    yield from found if focus.other is None or not any(e.some for e in found) else for_any_driver(found)


def for_any_driver(found: Sequence[Effect]) -> Iterator[Effect]:
    """What sleeps, with a table on the way not counted against it where the operations of several drivers sleep that a library
    calls through it: it cannot count on one whose does not. In code that has run, somebody has seen to it."""
    drivers: dict[tuple[str, int], set[str]] = {}
    for effect in found:
        at = into_driver(effect) if not (effect.last or effect.chosen) else None
        if at is not None:
            drivers.setdefault(at[0], set()).add(at[1])
    for effect in found:
        at = into_driver(effect)
        several = at is not None and not effect.kin and len(drivers.get(at[0], ())) >= DRIVERS
        yield msgspec.structs.replace(effect, some=False) if several else effect


def into_driver(effect: Effect) -> tuple[tuple[str, int], str] | None:
    """The first call through a table on an effect's way, and the folder that it leads to, if that is another one; None where a
    later one leads somewhere else again."""
    into = [*(f for f, _ in effect.way[1:]), effect.func]
    tables = [(f, call, to) for (f, call), to in zip(effect.way, into, strict=True) if not is_named(call.callee)]
    if not tables or len({posixpath.dirname(to.path) for _, _, to in tables}) > 1:
        return None
    func, call, to = tables[0]
    folder = posixpath.dirname(to.path)
    return ((func.key, call.at), folder) if folder != posixpath.dirname(func.path) else None


def as_passed(focus: Focus, func: Func, seen: Seen) -> Iterator[tuple[Effect, tuple[CallSite, ...]]]:
    """Allocations with the mask that a parameter of the function is, for which somebody passes one that has direct reclaim, with
    the calls by which it comes."""
    for effect in focus.effects.at(func, seen, FAR):
        index = handed_on(effect.what) if effect.kind == "alloc" and not effect.asked else None
        above = focus.masks.may_reclaim(func, index) if index is not None else ()
        if above:
            yield effect, above


def may_choose_to(focus: Focus, effect: Effect) -> bool:
    """Whether an allocation has direct reclaim if a condition says so, which need not know of the locks that are held."""
    what, gfp = effect.what, focus.program.gfp
    return effect.kind == "alloc" and isinstance(what, Choice) and any(
        isinstance(arm, Const) and gfp.reclaims(arm.value) for arm in (what.then, what.other)
    )  # fmt: skip


def spared(focus: Focus, func: Func, effect: Effect) -> bool:
    """Whether the driver has said that the call does not sleep on its objects (``pm_runtime_irq_safe``), or a lock on the way
    or around the function makes it fail instead (``pagefault_disable``), which some say in their names."""
    model = focus.program.models.functions.get(effect.name)
    word = model.spared_by.encode() if model is not None else b""
    if bool(word) and any(word in focus.program.text(path) for path in {func.path, effect.func.path}):
        return True
    if model is None or not model.spared_under:
        return False
    if any(ATOMIC_NAME in f.name for f in (func, effect.func, *(f for f, _ in effect.way))):
        return True
    return any(h.name == model.spared_under for h in (*effect.held, *focus.above(func).must))


def passes_function(focus: Focus, func: Func, seen: Seen) -> bool:
    """Whether an argument of a call is a function of this file by its name."""
    return isinstance(seen.event, Call) and any(
        isinstance(a, Name) and a.id[:1] not in "$%:" and focus.program.functions(func.path, a.id)
        for args in seen.args[:1] for a in args
    )  # fmt: skip


def held_around_callback(focus: Focus, func: Func, seen: Seen, effect: Effect) -> Iterator[Hold]:
    """Locks under which the callee of a call runs the function of this file that it is passed, where that sleeps, unless it
    drops them itself before."""
    below = [*(f for f, _ in effect.way[1:]), effect.func]
    if len(below) < 2 or not passes_function(focus, func, seen):
        return
    passed = {a.id for args in seen.args[:1] for a in args if isinstance(a, Name)}
    callback = next((f for f in below[1:] if f.name in passed and f.path == func.path), None)
    if callback is None:
        return
    inside = [e for e in focus.effects.of(callback, depth=FAR) if (e.func.key, e.at) == (effect.func.key, effect.at)]
    own = {h.name for e in inside for h in e.held}
    frame = focus.program.frame(callback)
    gone = {name for e in inside for name in (*e.gone, *(class_or_field(frame, lock) for lock in e.let_go))}
    for h in effect.held:
        if h.name and h.kind in ATOMIC and h.name not in own | gone and not any(e.lets_go(h) for e in inside):
            yield h


def passed_above(focus: Focus, effect: Effect) -> bool:
    """Whether a function on the way passes the callback by itself, so that the finding is its own."""
    for callee, _ in effect.way[1:]:
        for own in focus.effects.of(callee, depth=FAR):
            if own.under and (own.func.key, own.at) == (effect.func.key, effect.at):
                return True
    return False


def in_context(focus: Focus, func: Func, through: bool = False) -> Iterator[Finding]:
    """Calls that may sleep in a function that is started where it must not.

    :param through: only tables lead to them, and an operation of one that is known to be called so is told of by itself.
    """
    entry = focus.entries.strictest(func) or focus.entries.learned(func)
    flow = focus.flow(func) if entry is not None else None
    if entry is None or flow is None:
        return
    for seen in flow.seen:
        effect = nearest(focus, func, seen, entry) if isinstance(seen.event, Call) else None
        if effect is None or (entry.hold is not None and lets_go(flow, effect, entry.hold)):
            continue
        below = (*(f for f, _ in effect.way[1:]), effect.func) if through else ()
        if any(focus.entries.strictest(f) or focus.entries.learned(f) for f in below):
            continue
        if focus.settled.set_up_apart(set_ups(focus, func, entry), func, seen, effect):
            continue
        name = entry.hold.name if entry.hold is not None else entry.how
        because = f"in {func.name}(), which {described(entry)}"
        doubt = unsure(focus, effect) + entry.doubt + 2 * focus.settled.against(func, seen, effect)
        # Not all who call through the table hold the lock: in code that has run, the others are those who have this entry.
        doubt += int(focus.other is None and entry.hold is not None and entry.doubt > 0)
        # Where nobody else runs nobody holds the lock, and nothing complains: what has run does not wait.
        doubt += int(focus.other is None and entry.alone)
        doubt += 2 * passed_nothing(focus, func, seen)
        doubt += by_flag(focus, effect)
        doubt += seldom(focus, func, seen, doubt, effect)
        doubt -= doubt == 2 and was_careful(focus, func, seen, effect)
        yield finding(focus, func, seen, Sleep(doubt, effect, because, name, None, entry))


def passed_nothing(focus: Focus, func: Func, seen: Seen) -> bool:
    """Whether a call of a callback in code that has run comes about only if that is passed no object: by who is about to close
    it (``if (!skb) { unregister_netdev(dev); return; }``), and not by who has one to pass."""
    frame = focus.program.frame(func)
    return focus.other is None and any(
        not g.truth and isinstance(g.condition, Name) and g.condition.id.startswith("%")
        and (type_ := frame.type_of(g.condition)) is not None and type_.pointer > 0
        for g in focus.ways.guards(func, seen.event.at)
    )  # fmt: skip


def set_ups(focus: Focus, func: Func, entry: Entry) -> list[tuple[str, str, int]]:
    """Where a function is set up to be started in that way."""
    return [(e.path, e.function, e.line) for e in focus.entries.of(func) if (e.how, e.by) == (entry.how, entry.by)]


def was_careful(focus: Focus, func: Func, seen: Seen, effect: Effect) -> bool:
    """Whether the same call allocates without sleeping on the other side of a patch: somebody had a reason."""
    other = focus.other
    if other is None or effect.kind != "alloc" or not isinstance(seen.event, Call):
        return False
    for there in other.program.functions(func.path, func.name):
        flow = other.flow(there)
        for s in flow.seen if flow is not None else ():
            if isinstance(s.event, Call) and s.event.callee == seen.event.callee:
                same = [e for e in other.effects.at(there, s, FAR) if e.kind == "alloc" and e.name == effect.name]
                if same and not any(may_block(other.summaries, e) for e in same):
                    return True
    return False


def in_context_above(focus: Focus, other: Focus, func: Func) -> Iterator[Finding]:
    """Calls that may sleep in a function of a patch that never slept before, and that an interrupt or softirq comes to by calls.
    Its own callers are asked for what they pass, and with that the function is looked at again."""
    if not any(sleeps(focus, func, ())) or any(any(sleeps(other, f, ())) for f in other.program.functions(func.path, func.name)):
        return
    done: set[int] = set()
    for mode in focus.modes.of(func, MAX_ABOVE):
        entry = mode.entry
        if entry is None or entry.doubt or entry.hold is not None or mode.context not in INTERRUPTS or not mode.way:
            continue
        passed = handed_down(focus, mode, func)
        flow = focus.summaries.flow(func, passed[1]) if passed is not None else None
        context = replace(entry, masks=mode.masks, context=mode.context)
        for seen in flow.seen if flow is not None else ():
            effect = nearest(focus, func, seen, context) if isinstance(seen.event, Call) and seen.event.at not in done else None
            if effect is None or passed is None:
                continue
            whole = msgspec.structs.replace(effect, way=(*((s.caller, s.call) for s in mode.way), *effect.way))
            doubt = 1 + unsure(focus, effect) + 2 * focus.settled.against(mode.top, passed[0], whole)
            because = f"in {func.name}(), to which {mode.top.name}() comes, which {described(context)}"
            done.add(seen.event.at)
            yield finding(focus, func, seen, Sleep(doubt, effect, because, entry.how, None, entry), mode.way)


def sleeps(focus: Focus, func: Func, binding: Binding) -> Iterator[Effect]:
    """What may put the task of a function to sleep."""
    flow = focus.summaries.flow(func, binding) if focus.effects.may_matter(func, FAR) else None
    for seen in flow.seen if flow is not None else ():
        yield from (e for e in blocking(focus, func, seen) if e.doubt < 2)


def handed_down(focus: Focus, mode: Mode, func: Func) -> tuple[Seen, Binding] | None:
    """The first call of a way, and what the function gets to know at its end; None if the way is not gone after all, or only by
    those who may sleep."""
    binding: Binding = ()
    first: Seen | None = None
    for site, callee in zip(mode.way, [*(s.caller for s in mode.way[1:]), func], strict=True):
        flow = focus.summaries.flow(site.caller, binding)
        number = site.call.number
        seen = next((s for s in flow.seen if isinstance(s.event, Call) and s.event.number == number), None) if flow else None
        if seen is None or focus.effects.asked(site.caller, seen):
            return None
        alike = site.how == "call" and len(set(seen.args)) == 1
        binding = focus.summaries.bind(callee, seen.args[0], focus.program.frame(site.caller)) if alike else ()
        first = first or seen
    return (first, binding) if first is not None else None


def nearest(focus: Focus, func: Func, seen: Seen, entry: Entry) -> Effect | None:
    interrupt = entry.context in ("softirq", "hardirq")
    found = (e for e in blocking(focus, func, seen) if not allowed(focus, e, entry.masks, interrupt))
    return min(found, key=lambda e: (unsure(focus, e), focus.aside(func, e), e.depth), default=None)


def unsure(focus: Focus, effect: Effect) -> int:
    """How much doubt there is that the way leads to the sleep: low where a table decides of which only some entries sleep, where
    it is for the last user of an object, who need not be this one, where a word decides that is not known here, or where the
    object decides which of two locks is taken. What a patch brings need not be so sure: nobody has run it."""
    doubt = effect.doubt
    if focus.other is None and doubt > (effect.kin and of_own_kinds(effect) and not of_another_kind(focus, effect)):
        doubt = 2  # one of several functions by a name or a table: that it is not this one has been seen to, as a rule
    if focus.other is None and sets_itself_up(focus, effect):
        doubt += 2  # what runs has been set up before
    if effect.kind == "acquire" and focus.lock_users.instead(effect.func, effect.at, effect.name):
        return doubt + 2
    return doubt + (2 if focus.other is None else 1) * (effect.some or effect.last or effect.chosen)


def sets_itself_up(focus: Focus, effect: Effect) -> bool:
    """Whether the call sets up the very function from which the way comes, an interrupt handler that masks its interrupt, say, by
    what requests it where that has not been done yet."""
    model = focus.program.models.functions.get(effect.name)
    callbacks = [r.callback for r in model.registers if r.callback is not None] if model is not None and effect.way else []
    here = seen_at(focus.flow(effect.func), effect.at) if callbacks else None
    given = [args[i] for args in (here.args if here is not None else ()) for i in callbacks if i < len(args)]
    return any(Name(f.name) in values.walk(a) for a in given for f, _ in effect.way)


def of_own_kinds(effect: Effect) -> bool:
    """Whether a table on the way, whose entries are those of several kinds of a driver's objects, is of the very driver that
    comes to it, or of its neighbour: of a library, below which each driver has a folder, each has objects of one kind
    (``io->write()`` of one on the PCI bus asks no USB)."""
    home = posixpath.dirname(effect.way[0][0].path) if effect.way else ""
    tables = {posixpath.dirname(f.path) for f, call in effect.way if not is_named(call.callee)}
    return all(folder == home or posixpath.dirname(folder) == posixpath.dirname(home) for folder in tables)


def of_another_kind(focus: Focus, effect: Effect) -> bool:
    """Whether a table leads to what a driver has for another kind of its objects: a function on the way there stands in a file
    that has a table of its own with another function in that place (the interrupt of a card on the PCI bus asks no USB)."""
    calls = focus.summaries.calls
    for n, (caller, call) in enumerate(effect.way):
        target = effect.way[n + 1][0] if n + 1 < len(effect.way) else effect.func
        frame = focus.program.frame(caller)
        type_ = frame.type_of(frame.canonical(call.callee.base, {})) if isinstance(call.callee, Member) else None
        if not isinstance(call.callee, Member) or type_ is None:
            continue
        struct, field = frame.resolve(type_).name, call.callee.name
        for path in {f.path for f, _ in effect.way[: n + 1]} - {target.path} if struct.startswith("struct ") else ():
            own = [f.key for f in calls.in_file(path, struct, field)]
            if own and target.key not in own:
                return True
    return False


def far(focus: Focus, effect: Effect) -> int:
    """The doubt that the way is ever gone as a whole: it leads through several files, each with conditions of its own. Nobody has
    run what a patch brings."""
    return int(focus.other is None and len(effect.way) >= FAR_FILES <= files(effect))


def files(effect: Effect) -> int:
    """How many files a way leads through, that of its first function among them."""
    return len({effect.func.path, *(f.path for f, _ in effect.way)})


def allowed(focus: Focus, effect: Effect, masks: str, interrupt: bool) -> bool:
    """Whether the call may be made all the same: it wants interrupts on and no more, or copes with being in one."""
    model = focus.program.models.functions.get(effect.name)
    return model is not None and ((model.needs_irqs and masks != "irq") or (model.in_interrupt and interrupt))


def lets_go(flow: Flow, effect: Effect, hold: Hold) -> bool:
    """Whether the caller's lock is not held any more where the effect is."""
    return any(lock_class(flow.frame, lock) == hold.name or lock == hold.lock for lock in effect.let_go)


def described(entry: Entry) -> str:
    if entry.hold is not None and entry.hold.name:
        return f"is called with {entry.hold.name} held"
    where = {"atomic": "where it must not sleep", "softirq": "in softirq", "hardirq": "in interrupt", "nmi": "in NMI"}
    return f"runs {where[entry.context]} ({entry.how})"


def finding(focus: Focus, func: Func, seen: Seen, sleep: Sleep, above: Sequence[CallSite] = ()) -> Finding:
    effect = sleep.effect
    file, line, column, function = place(func, seen.event.at)
    called = effect.called
    what = f"{called}() may sleep" if called == effect.name else f"{called}() may sleep (in {effect.name}())"
    proof: Sequence[Step]
    if sleep.entry is not None:
        calls = (step(focus.analysis, "call", s.caller, s.call.at) for s in above)
        proof = (entry_step(focus.analysis, sleep.entry), *calls, *effect_steps(focus.analysis, func, sleep.entry.hold, effect))
    else:
        calls = (step(focus.analysis, "call", s.caller, s.call.at) for s in sleep.above)
        proof = (*calls, *effect_steps(focus.analysis, func, sleep.hold, effect))
    return Finding(
        rule=RULE, severity="error", confidence=confidence_of(sleep.doubt), file=file, line=line, column=column,
        function=function, message=f"{what} {sleep.because}", involves=(sleep.object,),
        proof=(*proof, *made_so(focus, effect), *also(focus, func, seen, sleep)), event=focus.program.line_text(file, line),
    )  # fmt: skip


def made_so(focus: Focus, effect: Effect) -> Iterator[Step]:
    """Who has made the object of the call so that it sleeps, and what they were given that does not say otherwise."""
    model = focus.program.model(effect.name)
    if effect.kind != "sleep" or model is None or model.sleeps_by is None:
        return
    origins = Origins(focus.summaries.calls)
    origins.sleeps(stations(effect), model.sleeps_by)
    yield from (step(focus.analysis, "register", func, at) for func, at in islice(origins.makers, MAX_MADE))
    for path, line, fields in islice(origins.told, MAX_MADE):
        text = f"{focus.program.line_text(path, line)} (no {', '.join(fields)})"
        yield Step(kind="register", file=path, line=line, function="", text=text)


def also(focus: Focus, func: Func, seen: Seen, sleep: Sleep) -> Iterator[Step]:
    """Where other functions of the files that were asked for may sleep below the same call: those have to be mended, too."""
    told = {sleep.effect.func.key}
    for effect in blocking(focus, func, seen) if focus.about else ():
        mine = effect.func.path in focus.about and effect.func.key not in told and unsure(focus, effect) < 2
        if mine and (sleep.hold is None or not effect.lets_go(sleep.hold)) and len(told) <= MAX_MORE:
            told.add(effect.func.key)
            yield step(focus.analysis, "sleep", effect.func, effect.at)
