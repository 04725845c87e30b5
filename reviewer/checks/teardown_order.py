"""teardown-order: an object ends, or a driver is unbound, while a callback that was set up on it may still run.

Shapes: a wait that there was before a patch and is not there any more, or comes too late now; a wait that comes only after the
end; a callback that is started, and its object freed since a later step has failed; a cancel that does not wait, then the end of
the object; an object that ends, or an unbinding, without any cancel in the whole folder. The last two are silent as soon as
anything on the way waits for the callback or for its queue: whoever waits elsewhere may have a reason.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice

from reviewer.checks.deferred import own_left_to_rcu
from reviewer.checks.finding import Confidence, Finding, Step
from reviewer.checks.focus import Focus
from reviewer.checks.proof import place, step
from reviewer.checks.registry import general
from reviewer.parse.cfg import successors
from reviewer.parse.facts import Call, Const, Expr, Member, Name, Result, Write
from reviewer.program.effects import Effect
from reviewer.program.lifetimes import GET, PUT, Act, Uses, holder, owner_of, pointed
from reviewer.program.link import Func
from reviewer.program.linkage import OF_DRIVERS
from reviewer.program.lockflow import Seen, on_every_way, reached
from reviewer.program.objects import objects_read, result_used, root_of, rooted
from reviewer.program.structs import Frame
from reviewer.program.values import walk

RULE = "teardown-order"

LEVELS = 3
"""Levels of callers that are looked at for who ends the object."""

LEVELS_TO_BEGIN = 5
"""The same from what sets a callback up to the operation that begins the life of its object."""

MAX_ABOVE = 24
"""Callers that are looked at."""

MAX_OF_MODULE = 60
"""Functions below the end of a module by which its files are known."""


CALLBACKS = frozenset({"timer", "work", "tasklet"})
"""What is set up on an object and runs some time after it was started."""

TOLD = frozenset({"callbacks", "completion", "event"})
"""Waits by which a module may learn that the last of its callbacks has run."""

TIMER = "struct timer_list"
"""What makes a work item a delayed one (include/linux/workqueue.h)."""

OPENS = re.compile(r"(?:^|_)open$")
"""Operations that begin the use of an object, which is there before and after."""

MODULES = frozenset({*OF_DRIVERS, "arch", "crypto", "lib"})
"""Folders whose files may be modules; what stands elsewhere is part of the kernel, whatever it says of its end."""

DRIVER_ONLY = re.compile(rb"\bmodule_(?:\w+_)?driver\s*\(")
"""Of a file: its module only registers a driver and, at the end, unregisters it (include/linux/device/driver.h)."""

UNBINDS = frozenset({"remove", "remove_new", "disconnect"})
"""Operations after the last of which a module may be unloaded."""

SUSPENDS = re.compile(r"(?:^|_)(?:suspend|freeze|poweroff|hibernate)(?:_|$)")
"""How the kernel names what puts a device to sleep."""


@general(RULE)
def teardown_order(focus: Focus) -> Iterator[Finding]:
    teardown = Teardown(focus)
    weak = list(unwaited(teardown))
    told = {f.involves[0] for f in weak}
    found: dict[tuple[str, str], Finding] = {}
    for finding in (
        *lost_waits(teardown), *weak, *wrong_order(teardown), *after_the_end(teardown), *freed_as_started(teardown),
        *(f for f in never_stopped(teardown) if f.involves[0] not in told), *left_behind(teardown),
    ):
        found.setdefault((finding.involves[0], finding.function), finding)
    yield from found.values()


@dataclass
class Teardown:
    """One focus with what is known of lifetimes in its program."""

    focus: Focus

    def __post_init__(self) -> None:
        self.lives = self.focus.lives
        self.program = self.focus.program

    @cached_property
    def before(self) -> Teardown | None:
        return Teardown(self.focus.before) if self.focus.before is not None else None

    def tops(self, func: Func, levels: int = LEVELS) -> list[Func]:
        """The function and its callers, as far as they are looked at."""
        met = {func.key: func}
        level = [func]
        for _ in range(levels):
            callers = [c for f in level for c in self.lives.callers(f)]
            level = []
            for f in callers:
                if f.key not in met and len(met) < MAX_ABOVE:
                    met[f.key] = f
                    level.append(f)
        return list(met.values())

    def waited(self, uses: Uses, above: Iterable[Func], lost: Act | None = None) -> bool:
        """Whether some function, or what it reaches, waits for the callback or for the queue on which it runs.

        :param lost: the wait in whose place it would have to be.
        """
        waits = {a.func.key for a in uses.waits if lost is None or a.may_be(lost)}
        queues = uses.queues if lost is None or not self.delayed(lost) else frozenset[str]()
        for func in (g for f in above for g in (f, *self.lives.passed(f))):
            below = self.lives.below(func)
            if not waits.isdisjoint(below):
                return True
            if queues and any(self.drains(f, queues) for f in below.values()):
                return True
        return False

    def delayed(self, act: Act) -> bool:
        """Whether a callback waits for a timer before it is queued: who waits for the queue does not wait for that."""
        owner, _, field = act.name.rpartition(".")
        found = self.program.struct_at(owner_of(act.name), act.func.path) if owner else None
        types = [f.type.name for f in found[1].fields if f.name == field] if found is not None else []
        return act.what == "work" and any(self.lives.contains(t, TIMER, act.func.path) for t in types)

    def drains(self, func: Func, queues: frozenset[str]) -> bool:
        return not self.lives.draining.isdisjoint(func.calls) and any(
            a.kind == "stop" and a.what == "workqueue" and (not a.name or a.name.lstrip("*") in queues)
            for a in self.lives.acts(func)
        )

    def ends(self, name: str, above: Iterable[Func], begin: Func | None = None) -> Act | None:
        """Where the object of a class, or one that has it inside, is freed below some function.

        :param begin: what makes the object, so that one with a private area is known by its size.
        """
        owner = owner_of(name)
        freed = [act for func in above for act in self.lives.frees(func)] if owner else []
        whole = (act for act in freed if self.lives.contains(act.struct, owner, act.func.path))
        private = (act for act in freed if self.lives.is_private(act, owner))
        made = (act for act in freed if begin is not None and self.lives.made_with(begin, act.struct, owner))
        return next(whole, None) or next(private, None) or next(made, None)

    def unbinds(self, above: Iterable[Func]) -> Func | None:
        """The first that is an operation which ends what another of its table begins, or leaves a module."""
        ends = self.program.models.ends_of
        for func in above:
            if any(slot in ends and ends[slot] in table for slot, table in self.lives.operations(func)):
                return func
            if self.leaves(func):
                return func
        return None

    def leaves(self, func: Func) -> bool:
        """Whether a function is what runs when the module is left."""
        inside = func.path.partition("/")[0] in MODULES
        return inside and not self.lives.callers(func) and "exitcall" in self.focus.setups.kinds(func)

    def flags(self, func: Func, at: int) -> frozenset[str]:
        """The objects that decide whether a function comes to a position."""
        frame = self.program.frame(func)
        guards = self.focus.settled.guards(func, at)
        return frozenset(name for g in guards for name, _ in objects_read(frame, g.condition) if name)

    def calls(self, func: Func, name: str) -> list[Seen]:
        """The calls of a name in a function."""
        flow = self.focus.flow(func)
        return [s for s in (flow.seen if flow is not None else ()) if isinstance(s.event, Call) and s.event.callee == Name(name)]

    def callbacks(self, uses: Uses, home: str) -> list[Func]:
        names = dict.fromkeys(a.callback for a in uses.setups if a.callback)
        return [*uses.declared, *(f for name in names for f in self.program.resolve(name, home))]

    def runs(self, uses: Uses, home: str) -> bool:
        """Whether the callback is started by somebody, and does anything. Drivers that share a struct have a timer of its kind
        each: where this one sets it up itself, another that does so, too, does not start it."""
        if any(a.func.path == home for a in uses.setups):
            others = {a.func.path for a in uses.setups} - {home}
            if uses.starts and all(a.func.path in others for a in uses.starts):
                return False
        bodies = [self.program.body(f) for f in self.callbacks(uses, home)]
        idle = bool(bodies) and all(b is not None and not any(block.events for block in b.blocks) for b in bodies)
        return bool(uses.starts) and not idle

    def counted(self, uses: Uses, home: str) -> bool:
        """Whether the callback itself gives a reference back or frees the object: it keeps the object while it is pending."""
        name = uses.setups[0].name if uses.setups else ""
        for callback in self.callbacks(uses, home):
            if any(self.gives_back(n, callback) for n in callback.calls) or self.ends(name, [callback]) is not None:
                return True
        return any(a.used for a in uses.stops) or any(self.takes_reference(n) for a in uses.starts for n in a.func.calls)

    def gives_back(self, name: str, func: Func) -> bool:
        """Whether a call of that name in a function gives a reference back which somebody else has taken, and not a lock."""
        if not PUT.search(name):
            return False
        twin = name.replace("put", "get").replace("unref", "ref").replace("release", "claim")
        return twin == name or twin not in func.calls

    def takes_reference(self, name: str) -> bool:
        """Whether a function of that name takes a reference: ``x_get_call()``, if something gives it back by ``x_put_call()``."""
        if name.startswith("get_") or (GET.search(name) is None and "_get_" in name):
            twin = re.sub(r"(^|_)get_", r"\1put_", name, count=1)
            return twin in self.program.models.functions or bool(self.program.names.files_defining(twin))
        return GET.search(name) is not None


# --- a patch takes a wait away ------------------------------------------------------------------------------------------


def lost_waits(new: Teardown) -> Iterator[Finding]:
    old = new.before
    if old is None:
        return
    functions = {(f.path, f.name): f for f in old.focus.functions}
    for func in new.focus.functions:
        was = functions.get((func.path, func.name))
        if was is None or was.text == func.text or not old.lives.may_act(was):
            continue
        now = {(a.what, a.name or str(a.path)) for a in new.lives.acts(func) if a.waits}
        for act in old.lives.acts(was):
            if act.kind == "stop" and act.waits and (act.what, act.name or str(act.path)) not in now and not act.queue:
                yield from lost(old, new, func, act)
        yield from lost_below(old, new, was, func)
        yield from not_for_good(old, new, was, func)
        yield from lost_flags(old, new, was, func)
        yield from too_late(old, new, was, func)


def lost(old: Teardown, new: Teardown, func: Func, act: Act) -> Iterator[Finding]:
    """A wait of ``func`` for a callback that is not there any more."""
    above = new.tops(func)
    ended = new.ends(act.name, above)
    unbound = new.unbinds(above)
    some = ended or next((a for f in above for a in new.lives.frees(f)), None)
    if some is None and unbound is None:
        return
    if act.name:
        uses, were = new.lives.uses(act.name, func.path), old.lives.uses(act.name, func.path)
        if not uses.set_up or (not uses.starts and not uses.escapes):
            return
        moved = {(a.func.path, a.func.name) for a in uses.waits} - {(a.func.path, a.func.name) for a in were.waits}
        if moved or new.waited(uses, above, act):
            return
        if ended is None and any(new.unbinds(new.tops(a.func)) is not None for a in uses.waits if a.func.key != func.key):
            return  # the other end waits: what is stopped may be pending when it comes
        weak = next((a for a in new.lives.acts(func) if a.kind == "stop" and a.name == act.name), None)
    else:
        weak = None
    confidence: Confidence = "high" if ended is not None or weak is not None else "medium"
    at = weak.at if weak is not None else end_of(new, func, ended)
    yield finding(new, func, at, act, weak, ended or some, unbound, confidence)


def not_for_good(old: Teardown, new: Teardown, was: Func, func: Func) -> Iterator[Finding]:
    """A callback that could not be started any more once it was stopped, and now can, by what is stopped later."""
    then = {(a.what, a.name) for a in old.lives.acts(was) if a.kind == "stop" and a.for_good and a.name}
    for act in new.lives.acts(func) if then else ():
        if act.kind != "stop" or not act.waits or act.for_good or (act.what, act.name) not in then:
            continue
        uses = new.lives.uses(act.name, func.path)
        own = {f.key for f in new.callbacks(uses, func.path)}
        own |= {f.key for a in uses.setups for f in new.tops(a.func)}  # whoever begins is done before the end
        again = next((a for a in uses.starts if a.func.key not in own), None)
        above = new.tops(func)
        ended, unbound = new.ends(act.name, above), new.unbinds(above)
        if again is not None and uses.set_up and (ended is not None or unbound is not None):
            yield finding(new, func, act.at, act, act, ended, unbound, "medium", again)


def lost_below(old: Teardown, new: Teardown, was: Func, func: Func) -> Iterator[Finding]:
    """A wait that a callee, itself as it was, made for ``func`` and makes no more: ``func`` does not call it, or passes something
    else (``stop_timers(x, false)``)."""
    now = waits_below(new, func)
    for key, effect in waits_below(old, was).items():
        if key in now or not effect.way or any(map(old.focus.differs, (*(f for f, _ in effect.way[1:]), effect.func))):
            continue
        what, name = key
        above = new.tops(func)
        uses = new.lives.uses(name, func.path)
        if not uses.set_up or not uses.starts or any(key in waits_below(new, f) for f in above):
            continue
        calls = new.calls(func, effect.called)
        if not calls and new.waited(uses, above):
            continue
        ended, unbound = new.ends(name, above), new.unbinds(above)
        at = calls[0].event.at if calls else 0
        given = put_after(new, func, effect.what, at) if not new.counted(uses, func.path) else None
        if ended is None and unbound is None and given is None:
            continue
        act = Act("stop", what, name, effect.what, func, at, effect.name, waits=True)
        at = at or (given.at if given is not None else end_of(new, func, ended))
        yield finding(new, func, at, act, None, ended or given, unbound, "high" if ended is not None else "medium")
        return


def waits_below(teardown: Teardown, func: Func) -> dict[tuple[str, str], Effect]:
    """What a function and its callees wait for, by kind and class, given what it passes to them."""
    lives, frame = teardown.lives, teardown.program.frame(func)
    found: dict[tuple[str, str], Effect] = {}
    for effect in teardown.focus.effects.of(func):
        wait = effect.wait
        if wait is not None and wait.what in CALLBACKS and not wait.gives_up and effect.what is not None:
            name = lives.name(frame, lives.whole(frame, rooted(frame, effect.what)))
            if name:
                found.setdefault((wait.what, name), effect)
    return found


def put_after(teardown: Teardown, func: Func, what: Expr | None, at: int) -> Act | None:
    """Where a function, after a position, gives a reference to the object back through which it knows ``what``."""
    root = root_of(what) if what is not None else None
    flow = teardown.focus.flow(func)
    for seen in flow.seen if flow is not None else ():
        callee = seen.event.callee if isinstance(seen.event, Call) and seen.event.at > at else None
        for arg in seen.args[0] if isinstance(callee, Name) and PUT.search(callee.id) else ():
            struct = pointed(flow.frame, arg) if flow is not None and root_of(arg) == root else ""
            if isinstance(callee, Name) and struct:
                return Act("free", callee.id, "", arg, func, seen.event.at, callee.id, struct=struct)
    return None


def lost_flags(old: Teardown, new: Teardown, was: Func, func: Func) -> Iterator[Finding]:
    """A flag that ``func`` has asked before it started a callback, and that whoever waits for the callback has set before: it
    is not asked any more, so the callback may be started once more after the wait."""
    then = {(a.what, a.name): a for a in old.lives.acts(was) if a.kind == "start" and a.name}
    for act in new.lives.acts(func) if then else ():
        before = then.get((act.what, act.name)) if act.kind == "start" else None
        flags = unasked(old, new, was, func, before, act) if before is not None else frozenset()
        uses = new.lives.uses(act.name, func.path) if flags else Uses()
        for stop in (a for a in uses.waits if uses.set_up and not a.for_good and a.func.key != func.key):
            twins = [f for f in old.program.functions_in(stop.func.path) if f.name == stop.func.name]
            told = {flag for f in twins for flag in flags if old.focus.settled.sets(old.program.frame(f), flag)}
            above = new.tops(stop.func)
            ended, unbound = new.ends(stop.name, above), new.unbinds(above)
            if told and (ended is not None or unbound is not None):
                yield finding(new, stop.func, stop.at, stop, stop, ended, unbound, "medium", act, flag=min(told))
                break


def unasked(old: Teardown, new: Teardown, was: Func, func: Func, before: Act, after: Act) -> frozenset[str]:
    """What decided whether ``was`` came to an act, if nothing else does so in ``func``, and no caller asks for it instead."""
    then, now = old.flags(was, before.at), new.flags(func, after.at)
    if not now < then or len(new.focus.settled.guards(func, after.at)) >= len(old.focus.settled.guards(was, before.at)):
        return frozenset()
    above = (new.flags(c, s.event.at) for c in new.lives.callers(func) for s in new.calls(c, func.name))
    return (then - now).difference(*above)


def too_late(old: Teardown, new: Teardown, was: Func, func: Func) -> Iterator[Finding]:
    """A wait that came before the end of what its callback uses, and comes after it now."""
    before = [a for a in old.lives.acts(was) if a.kind == "stop" and a.waits and a.name]
    after = [a for a in new.lives.acts(func) if a.kind == "stop" and a.waits and a.name]
    if not before or not after:
        return
    ended = {(a.struct, a.path): a.at for a in old.lives.given_up(was)}
    for end in new.lives.given_up(func):
        then = ended.get((end.struct, end.path), 0)
        for stop in after:
            mine = [a.at for a in after if a.name == stop.name]
            were = [a.at for a in before if a.name == stop.name]
            if were and max(were) < then and min(mine) > end.at and used_by(new, stop, end):
                yield finding(new, func, end.at, stop, None, end, None, "medium", late=True)
                break


def used_by(teardown: Teardown, stop: Act, end: Act) -> bool:
    """Whether the callback that is waited for works on what has ended: it lies inside, or is named below the callback, or below
    one that the callback starts."""
    owner = owner_of(stop.name)
    if owner and (teardown.lives.contains(end.struct, owner, stop.func.path) or teardown.lives.is_private(end, owner)):
        return True
    if not isinstance(end.path, Member):
        return False
    first = teardown.callbacks(teardown.lives.uses(stop.name, stop.func.path), stop.func.path)
    started = {a.name for f in first for a in teardown.lives.acts(f) if a.kind == "start" and a.name and a.name != stop.name}
    then = [f for name in started for f in teardown.callbacks(teardown.lives.uses(name, stop.func.path), stop.func.path)]
    return any(end.path.name in f.words for callback in (*first, *then) for f in teardown.lives.below(callback).values())


def end_of(new: Teardown, func: Func, ended: Act | None) -> int:
    """Where in the function the object ends, or where the function does."""
    if ended is not None and ended.func.key == func.key:
        return ended.at
    flow = new.focus.flow(func)
    return max((e.at for e in flow.endings), default=0) if flow is not None else 0


# --- started, then freed ------------------------------------------------------------------------------------------------


def freed_as_started(teardown: Teardown) -> Iterator[Finding]:
    """A function that starts a callback and, on some way from there on, frees the object with nothing that stops it between: as a
    rule where a later step has failed."""
    lives = teardown.lives
    for func in teardown.focus.functions:
        if not lives.may_act(func, 0):
            continue
        acts = lives.acts(func)
        ends = [a for a in acts if a.kind == "free" and a.struct and a.path is not None]
        told: set[str] = set()
        for act in (a for a in acts if a.kind == "start" and a.what in CALLBACKS and owner_of(a.name)) if ends else ():
            end = next((e for e in ends if e.path == holder(act.path) and started_before(teardown, func, act, e)), None)
            uses = lives.uses(act.name, func.path)
            if end is None or act.name in told or not uses.set_up:
                continue
            told.add(act.name)
            if not teardown.counted(uses, func.path) and not synchronous(teardown, uses):
                yield finding(teardown, func, end.at, act, None, end, None, "medium")


def started_before(teardown: Teardown, func: Func, act: Act, end: Act) -> bool:
    """Whether a way leads from where a function starts a callback to where it frees the object, past all that may stop it."""
    flow = teardown.focus.flow(func)
    body = flow.frame.body if flow is not None else None
    if flow is None or body is None or end.at < act.at or not kept(teardown, func, act, end):
        return False
    seen = {s.event.at: s for s in flow.seen}
    call = seen[act.at].event if act.at in seen else None
    if end.at not in seen or not isinstance(call, Call) or result_used(flow.frame, call):
        return False
    stops = {s.event.at: s.block for s in flow.seen if s.event.at != act.at and may_stop(teardown, func, act, s)}
    first, last = seen[act.at].block, seen[end.at].block
    if any(block == last and at < end.at for at, block in stops.items()):
        return False
    if any(block == first and at > act.at for at, block in stops.items()):
        return False
    todo, met = [first], {first, *stops.values()} - {last}
    while todo:
        here = todo.pop()
        if here == last:
            return True
        for b in successors(body.blocks[here].exit):
            if b not in met:
                met.add(b)
                todo.append(b)
    return False


def may_stop(teardown: Teardown, func: Func, act: Act, seen: Seen) -> bool:
    """Whether a call may keep a callback from running: it stops one, or waits; it reaches what does so; or the object is given
    to whom we cannot follow."""
    call, lives = seen.event, teardown.lives
    if not isinstance(call, Call):
        return False
    given = {act.path, holder(act.path)}
    passes = any(root_of(arg) == root_of(p) for args in seen.args for arg in args for p in given if p is not None)
    targets = list(teardown.focus.summaries.calls.targets(teardown.program.frame(func), seen.callee or call.callee))
    uses = lives.uses(act.name, func.path)
    stopping = {a.func.key for a in uses.stops}
    for target in targets:
        if target.model is not None:
            if target.model.waits or target.model.cancels:
                return True
        elif target.func is not None:
            below = lives.below(target.func)
            if not stopping.isdisjoint(below) or any(teardown.drains(f, uses.queues) for f in below.values()):
                return True
            if passes and posixpath.dirname(target.func.path) != posixpath.dirname(func.path) and target.func.path.endswith(".c"):
                return True
    return passes and not targets


# --- a wait that comes after the end ------------------------------------------------------------------------------------


def after_the_end(teardown: Teardown) -> Iterator[Finding]:
    """A wait for a callback, or for the queue on which it runs, only after the object that has it inside was freed."""
    lives = teardown.lives
    for func in teardown.focus.functions:
        if not lives.may_act(func, 0):
            continue
        acts = lives.acts(func)
        ends = [a for a in acts if a.kind == "free" and a.struct and a.path is not None]
        for stop in (a for a in acts if a.kind == "stop" and a.waits) if ends else ():
            late = next((e for e in ends if e.at < stop.at and comes_to(teardown, func, e.at, stop.at)), None)
            if late is not None and stop.what == "workqueue":
                yield from drained_late(teardown, func, late, stop)
            elif late is not None and stop.what in CALLBACKS and holder(stop.path) == late.path:
                stopped = any(a.name == stop.name and a.at < late.at for a in acts if a.kind == "stop")
                if not stopped and kept(teardown, func, late, stop):
                    yield finding(teardown, func, late.at, stop, None, late, None, "high", late=True)


def drained_late(teardown: Teardown, func: Func, end: Act, stop: Act) -> Iterator[Finding]:
    """The works of an object that has ended, whose queue is waited for only now."""
    lives = teardown.lives
    acts = [a for f in teardown.program.functions_in(func.path) if lives.may_act(f, 0) for a in lives.acts(f, 0)]
    for act in {a.name: a for a in acts if a.kind == "setup" and a.what == "work" and owner_of(a.name)}.values():
        uses = lives.uses(act.name, func.path)
        before = any(a.kind == "stop" and a.at < end.at and a.name in (act.name, stop.name) for a in lives.acts(func))
        if before or uses.stops or uses.escapes or stop.name.lstrip("*") not in {q.lstrip("*") for q in uses.queues}:
            continue
        if lives.contains(end.struct, owner_of(act.name), func.path) and teardown.runs(uses, func.path):
            if not teardown.counted(uses, func.path) and not synchronous(teardown, uses):
                yield finding(teardown, func, end.at, act, None, end, None, "medium", late=True)


def kept(teardown: Teardown, func: Func, first: Act, then: Act) -> bool:
    """Whether the pointer by which two acts know their object is not written between them."""
    flow = teardown.focus.flow(func)
    root = root_of(first.path) if first.path is not None else None
    return flow is not None and not any(
        isinstance(s.event, Write) and first.at < s.event.at < then.at and flow.frame.canonical(s.event.target, {}) == root
        for s in flow.seen
    )


def comes_to(teardown: Teardown, func: Func, first: int, then: int) -> bool:
    """Whether a function may come from one position to another one."""
    flow = teardown.focus.flow(func)
    body = flow.frame.body if flow is not None else None
    if flow is None or body is None:
        return False
    blocks = {s.event.at: s.block for s in flow.seen}
    return first in blocks and then in blocks and blocks[then] in reached(body, [blocks[first]])


# --- a cancel that does not wait ----------------------------------------------------------------------------------------


def unwaited(teardown: Teardown) -> Iterator[Finding]:
    lives = teardown.lives
    for func in teardown.focus.functions:
        if not lives.may_act(func):
            continue
        for act in lives.acts(func):
            if act.kind != "stop" or act.waits or act.used or not act.name or act.what not in CALLBACKS:
                continue
            uses = lives.uses(act.name, func.path)
            if not uses.set_up or not teardown.runs(uses, func.path):
                continue
            ended, sure = end_after(teardown, func, act) or (None, False)
            gone = None if ended is not None else gone_after(teardown, func, act)
            if ended is None and gone is None:
                continue
            if teardown.counted(uses, func.path):
                continue
            again = None
            if teardown.waited(uses, above := teardown.tops(func)):
                again = None if teardown.waited(uses, above, act) else started_on_queue(teardown, uses, act)
                if again is None:
                    continue
            confidence: Confidence = "high" if sure and again is None else "medium"
            yield finding(teardown, func, act.at, act, act, ended, gone, confidence, again)


def started_on_queue(teardown: Teardown, uses: Uses, act: Act) -> Act | None:
    """Where another work of the queue starts a delayed one again: who waits for the queue lets it do so, and does not wait for
    the delay."""
    lives = teardown.lives
    own = {f.key for f in teardown.callbacks(uses, act.func.path)}
    for start in uses.starts if teardown.delayed(act) else ():
        for callback in (f for f in teardown.tops(start.func) if f.key not in own and "work" in teardown.focus.setups.kinds(f)):
            users = {f.key: f for file in teardown.program.unit(callback.path) for f in teardown.program.functions_in(file)}
            acts = (a for f in users.values() if lives.may_act(f, 0) for a in lives.acts(f, 0))
            for other in (a for a in acts if a.kind == "setup" and a.name and a.callback == callback.name):
                if not uses.queues.isdisjoint(lives.uses(other.name, other.func.path).queues):
                    return start
    return None


def gone_after(teardown: Teardown, func: Func, act: Act) -> Func | None:
    """The function that leaves the module of a variable, or unbinds the driver of an object that lives as long as that: the
    one that cancels, or its caller."""
    lives = teardown.lives
    owner = owner_of(act.name)
    ends = teardown.program.models.ends_of
    for end in (func, *lives.callers(func)):
        if not owner and teardown.leaves(end):
            return end
        for slot, table in lives.operations(end) if owner else ():
            begins = teardown.program.resolve(table[ends[slot]], end.path) if ends.get(slot) in table else ()
            whole = not OPENS.search(ends.get(slot, ""))  # what was opened lives on when it is closed
            if any(lives.managed(begin, owner) or (whole and sets_up(teardown, begin, act)) for begin in begins):
                return end
    return None


def sets_up(teardown: Teardown, begin: Func, act: Act) -> bool:
    """Whether what an act stops is set up by the operation that the end of the object undoes."""
    below = teardown.lives.below(begin)
    return any(a.func.key in below for a in teardown.lives.uses(act.name, act.func.path).setups)


def end_after(teardown: Teardown, func: Func, act: Act) -> tuple[Act, bool] | None:
    """Where the object ends after the cancel: in the same function (sure), or in a caller after the call. In what a patch changes
    also something that the object points to and the callback uses."""
    pointer = holder(act.path)
    owner = owner_of(act.name)
    freed = [a for a in teardown.lives.acts(func) if a.kind == "free" and a.at > act.at and pointer is not None]
    for other in freed:
        if other.path == pointer:
            return other, True
    for other in freed if teardown.focus.edited(func) else ():
        if isinstance(other.path, Member) and other.path.base == pointer and used_by(teardown, act, other):
            return other, False
    if not owner:
        return None
    for caller in teardown.lives.callers(func):
        for other in teardown.lives.acts(caller):
            if other.kind == "free" and (
                teardown.lives.contains(other.struct, owner, func.path) or teardown.lives.is_private(other, owner)
            ):
                flow = teardown.focus.flow(caller)
                calls = [s.event.at for s in flow.seen if s.callee == Name(func.name)] if flow is not None else []
                if any(at < other.at for at in calls):
                    return other, False
    return None


# --- no cancel anywhere -------------------------------------------------------------------------------------------------


def never_stopped(teardown: Teardown) -> Iterator[Finding]:
    lives = teardown.lives
    done: set[str] = set()
    for func in beginning(teardown):
        for act in lives.acts(func) if lives.may_act(func) else ():
            if act.kind == "setup" and act.name not in done and owner_of(act.name) and act.what in CALLBACKS:
                done.add(act.name)
                yield from never(teardown, func, act)


def beginning(teardown: Teardown) -> list[Func]:
    """The functions that are looked at, and what stands below the operations that begin what one of these ends."""
    lives, ends = teardown.lives, teardown.program.models.ends_of
    found = {f.key: f for f in teardown.focus.functions}
    for end in teardown.focus.functions:
        for slot, table in lives.operations(end) if teardown.focus.differs(end) and lives.may_act(end) else ():
            for begin in teardown.program.resolve(table[ends[slot]], end.path) if ends.get(slot) in table else ():
                found |= lives.below(begin)
    return list(found.values())


def never(teardown: Teardown, func: Func, act: Act) -> Iterator[Finding]:
    """A class that the whole folder never stops, and where its objects end: at the operation that ends what set it up."""
    lives = teardown.lives
    uses = lives.uses(act.name, func.path)
    stopped = not all(only_asleep(teardown, a.func) for a in uses.waits)
    kept = stopped or uses.escapes or teardown.counted(uses, func.path)
    if kept or not teardown.runs(uses, func.path) or synchronous(teardown, uses):
        return
    if not teardown.callbacks(uses, func.path):
        return  # whether it keeps the object by itself cannot be told
    near = teardown.tops(func)
    far = [f for f in teardown.tops(func, LEVELS_TO_BEGIN) if all(f.key != n.key for n in near)]
    alone = (
        finding(teardown, end, freed.at, act, None, freed, None, "medium")
        for end, freed in ended_nearby(teardown, func, act) if not teardown.waited(uses, teardown.tops(end))
    )  # fmt: skip
    yield from islice(chain(at_twins(teardown, near, act, uses), alone, at_twins(teardown, far, act, uses)), 1)


def at_twins(teardown: Teardown, begins: Iterable[Func], act: Act, uses: Uses) -> Iterator[Finding]:
    """A callback that nothing waits for where an operation ends what one of these begins."""
    lives = teardown.lives
    for begin in begins:
        for slot, table in lives.operations(begin):
            for name in (table[e] for e, b in teardown.program.models.ends_of.items() if b == slot and e in table):
                for end in teardown.program.resolve(name, begin.path):
                    both = (end, begin)
                    ended = teardown.ends(act.name, [end], begin)
                    if (ended is not None or lives.managed(begin, owner_of(act.name))) and not teardown.waited(uses, both):
                        at, below = end_of(teardown, end, ended), lives.below(end)
                        weak = next((a for a in uses.stops if a.func.key in below), None)
                        fellow = weak or stopped_instead(teardown, end, act)
                        yield finding(teardown, end, at, act, weak, ended, end, "medium", fellow=fellow)
                        return


def stopped_instead(teardown: Teardown, end: Func, act: Act) -> Act | None:
    """Where, below the end of an object, another callback of it is stopped, as this one should be."""
    for func in teardown.lives.below(end).values():
        for other in teardown.lives.acts(func) if func.key != end.key and teardown.lives.may_act(func, 0) else ():
            if other.kind == "stop" and owner_of(other.name) == owner_of(act.name):
                return other
    return None


def ended_nearby(teardown: Teardown, func: Func, act: Act) -> Iterator[tuple[Func, Act]]:
    """Functions of the file that free an object which has the callback's inside, other than where setting it up has failed, or
    one that they have only just made."""
    begins = {f.key for f in teardown.tops(func)}
    shared = teardown.focus.analysis.shared
    for end in teardown.program.functions_in(act.func.path):
        if end.key in begins or not teardown.lives.may_act(end, 0):
            continue
        callers = teardown.lives.callers(end)
        if all(c.key in begins for c in callers) and (callers or not at_release(teardown, end, act)):
            continue
        for freed in teardown.lives.acts(end):
            if freed.kind == "free" and freed.func.key == end.key and freed.struct and freed.path is not None:
                if shared.private(teardown.program.frame(end), freed.path) or made_here(teardown, end, freed):
                    continue
                owner = owner_of(act.name)
                if freed.struct != owner and teardown.lives.freed_alone(owner, end.path):
                    continue  # what it has inside may be another one, which is never set up
                if teardown.lives.contains(freed.struct, owner, end.path):
                    yield end, freed
                    break


def at_release(teardown: Teardown, end: Func, act: Act) -> bool:
    """Whether a function ends an object with the last reference to it, which the callback is not known to have. One that calls
    what the object has it call (``d->workfn(w)``) may well give a reference back by that."""
    if not teardown.lives.runs_at_release(end):
        return False
    owner = owner_of(act.name)
    for callback in teardown.callbacks(teardown.lives.uses(act.name, act.func.path), act.func.path):
        frame, flow = teardown.program.frame(callback), teardown.focus.flow(callback)
        calls = (s.event for s in (flow.seen if flow is not None else ()) if isinstance(s.event, Call))
        bases = (c.callee.base for c in calls if isinstance(c.callee, Member))
        if any(owner in (pointed(frame, base), pointed(frame, frame.canonical(base, {}))) for base in bases):
            return False
    return True


def made_here(teardown: Teardown, func: Func, freed: Act) -> bool:
    """Whether a function frees what it has itself allocated into a member before (``p->all = kcalloc(..)``), as it does when it
    fails."""
    flow = teardown.focus.flow(func)
    written = (s for s in (flow.seen if flow is not None else ()) if isinstance(s.event, Write) and s.event.at < freed.at)
    return any(target == freed.path and isinstance(value, Result) for s in written for target, value in s.args)


def only_asleep(teardown: Teardown, func: Func) -> bool:
    """Whether a function is there for suspend only: unbinding does not come through it."""
    return SUSPENDS.search(func.name) is not None and all(SUSPENDS.search(c.name) for c in teardown.lives.callers(func))


def synchronous(teardown: Teardown, uses: Uses) -> bool:
    """Whether whoever starts the callback waits for something afterwards, which may well be the callback's end."""
    for act in uses.starts:
        flow = teardown.focus.flow(act.func)
        for seen in flow.seen if flow is not None else ():
            if seen.event.at > act.at and isinstance(seen.event, Call):
                model = teardown.program.model(seen.event.callee.id) if isinstance(seen.event.callee, Name) else None
                if model is not None and any(w.what in ("completion", "event") for w in model.waits):
                    return True
    return False


# --- stopped before what starts it again --------------------------------------------------------------------------------


def wrong_order(teardown: Teardown) -> Iterator[Finding]:
    lives = teardown.lives
    for func in teardown.focus.functions:
        if not lives.may_act(func):
            continue
        stops = [a for a in lives.acts(func) if a.kind == "stop" and a.name and a.what in CALLBACKS]
        for first in stops:
            later = [a for a in stops if a.at > first.at and a.name != first.name]
            if first.waits and not first.for_good and later and not any(a.name == first.name and a.at > first.at for a in stops):
                yield from restarted(teardown, func, first, later)


def restarted(teardown: Teardown, func: Func, first: Act, later: list[Act]) -> Iterator[Finding]:
    """A callback that has been stopped, and one stopped after it that starts it again whatever has happened."""
    lives = teardown.lives
    mine = lives.uses(first.name, func.path)
    for second in later:
        other = lives.uses(second.name, func.path)
        for callback in teardown.callbacks(other, func.path):
            above = teardown.tops(func)
            again = next(
                (a for a in mine.starts if a.func.key == callback.key and (always(teardown, a) or unheeding(teardown, a))), None
            )
            if again is None:
                continue
            ended, unbound = teardown.ends(first.name, above), teardown.unbinds(above)
            if ended is not None or unbound is not None:
                yield finding(teardown, func, first.at, first, first, ended, unbound, "medium", again)
                return


def always(teardown: Teardown, act: Act) -> bool:
    """Whether its function comes to an act on every path."""
    flow = teardown.focus.flow(act.func)
    body = flow.frame.body if flow is not None else None
    if flow is None or body is None:
        return False
    return on_every_way(body, next((s.block for s in flow.seen if s.event.at == act.at), 0))


def unheeding(teardown: Teardown, act: Act) -> bool:
    """Whether what decides that a function comes to an act is the function's own, so that nobody can keep it from that."""
    frame = teardown.program.frame(act.func)
    guards = teardown.focus.settled.guards(act.func, act.at)
    return all(not objects_read(frame, g.condition) and reckoned(frame, g.condition) for g in guards)


def reckoned(frame: Frame, condition: Expr) -> bool:
    """Whether the calls in a condition only reckon with what they are given, and look at no object (``ktime_to_ns(t) < 0``)."""
    for call in (frame.call(e.call) for e in walk(condition) if isinstance(e, Result)):
        args = [frame.canonical(arg, {}) for arg in call.args] if call is not None else []
        if not args or not all(reckoned(frame, arg) if isinstance(arg, Result) else is_number(frame, arg) for arg in args):
            return False
    return True


def is_number(frame: Frame, expr: Expr) -> bool:
    """Whether a value is a constant, or of a type that points to nothing."""
    type_ = frame.type_of(expr)
    return isinstance(expr, Const) or (type_ is not None and not frame.resolve(type_).pointer)


# --- a module that leaves its callbacks behind --------------------------------------------------------------------------


def left_behind(teardown: Teardown) -> Iterator[Finding]:
    for func in teardown.focus.functions:
        leaves = teardown.leaves(func)
        if (leaves or last_of_module(teardown, func)) and not waits_at_end(teardown, func):
            yield from left_running(teardown, func)
            yield from outlived(teardown, func) if leaves else ()


def last_of_module(teardown: Teardown, func: Func) -> bool:
    """Whether a function unbinds a driver, for whose file a macro makes the end of the module (``module_platform_driver()``)."""
    if DRIVER_ONLY.search(teardown.program.text(func.path)) is None or not teardown.lives.may_act(func):
        return False
    return any(slot in UNBINDS for slot, _ in teardown.lives.operations(func))


def outlived(teardown: Teardown, func: Func) -> Iterator[Finding]:
    """A module that goes while a function of it, which it has passed to call_rcu(), may still be pending
    (Documentation/RCU/rcubarrier.rst)."""
    focus = teardown.focus
    told = {func.key}
    for seen, callback, flow in own_left_to_rcu(focus, func.path):
        mine = flow.frame.func
        if mine.key not in told:
            told.add(mine.key)
            steps = (step(focus.analysis, "register", mine, seen.event.at), step(focus.analysis, "call", callback, 0))
            file, line, column, function = place(func, end_of(teardown, func, None))
            yield Finding(
                rule=RULE, severity="error", confidence="medium", file=file, line=line, column=column, function=function,
                message=f"the module is left without rcu_barrier(), while {callback.name}() may still be about to run",
                involves=(callback.name,), proof=(*steps, step(focus.analysis, "return", func, 0)),
                event=teardown.program.line_text(file, line),
            )  # fmt: skip


def left_running(teardown: Teardown, func: Func) -> Iterator[Finding]:
    """A callback of a variable of the module that leaves, which is started and which nothing in the module waits for."""
    lives = teardown.lives
    files = module_files(teardown, func)
    functions = [f for file in sorted(files) for f in teardown.program.functions_in(file)]
    started = {
        a.name: a for f in functions if lives.may_act(f, 0) for a in lives.acts(f, 0)
        if a.kind == "start" and a.what in CALLBACKS and a.name and not owner_of(a.name)
    }  # fmt: skip
    for name, act in started.items():
        uses = lives.uses(name, act.func.path)
        mine = [f for f in teardown.callbacks(uses, act.func.path) if f.path in files]
        kept = uses.stops or uses.escapes or teardown.waited(uses, [func])
        if mine and teardown.runs(uses, act.func.path) and not kept:
            yield finding(teardown, func, end_of(teardown, func, None), act, None, None, func, "medium")


def module_files(teardown: Teardown, func: Func) -> frozenset[str]:
    """The files of which a module consists, by the function that leaves it: its own, and those of its folder with a function that
    it reaches by name. One that is exported is there for other modules, and may be another module's itself."""
    lives, folder = teardown.lives, posixpath.dirname(func.path)
    todo, met = [func], {func.key: func}
    while todo and len(met) < MAX_OF_MODULE:
        for f in lives.callees(todo.pop(0)):
            if f.key not in met and f.path.endswith(".c") and posixpath.dirname(f.path) == folder and not exported(teardown, f):
                met[f.key] = f
                todo.append(f)
    return frozenset(f.path for f in met.values())


def exported(teardown: Teardown, func: Func) -> bool:
    """Whether a file says of a function of it that other modules may call it."""
    return re.search(rb"\bEXPORT_\w+\(\s*%s\b" % re.escape(func.name.encode()), teardown.program.text(func.path)) is not None


def waits_at_end(teardown: Teardown, func: Func) -> bool:
    """Whether what runs at the end of a module waits for RCU's callbacks, or for something that a callback may tell of; by
    itself, or by a call that leads far (``unregister_pernet_subsys()``)."""
    if any(e.wait is not None and e.wait.what in TOLD for e in teardown.focus.effects.of(func)):
        return True
    models, below = teardown.program.models.functions, teardown.lives.below(func).values()
    found = (m for f in below for name in f.calls if (m := models.get(name)) is not None)
    return any(w.what in TOLD for m in found for w in m.waits) or any("msleep" in f.calls for f in below)


def finding(
    teardown: Teardown, func: Func, at: int, act: Act, weak: Act | None, ended: Act | None, unbound: Func | None,
    confidence: Confidence, again: Act | None = None, late: bool = False, flag: str = "", fellow: Act | None = None,
) -> Finding:  # fmt: skip
    """:param fellow: where another callback of the object is stopped."""
    analysis = teardown.focus.analysis
    name = act.name.lstrip("*") or act.api
    uses = teardown.lives.uses(act.name, func.path) if act.name else Uses()
    steps: list[Step] = [step(analysis, "register", a.func, a.at) for a in (*uses.setups[:1], *uses.starts[:1])]
    if fellow is not None:
        steps.append(step(analysis, "call", fellow.func, fellow.at))
    steps.append(step(analysis, "call", func, at))
    if ended is not None and (ended.func.key, ended.at) != (func.key, at):
        steps.append(step(analysis, "call", ended.func, ended.at))
    if unbound is not None and unbound.key != func.key:
        steps.append(step(analysis, "return", unbound, 0))
    end = f"{ended.struct or ended.path} is freed" if ended is not None and ended.struct else "the driver is gone"
    if again is not None and flag:
        steps.append(step(analysis, "register", again.func, again.at))
        message = f"{again.func.name}() does not ask {flag} any more and may start the {act.what} {name} again, while {end}"
    elif again is not None:
        steps.append(step(analysis, "register", again.func, again.at))
        message = f"{again.func.name}(), stopped later, starts the {act.what} {name} again, which may run while {end}"
    elif late:
        message = f"the {act.what} {name} is waited for only after {end}, which it uses"
    elif weak is not None:
        message = f"{weak.api}() does not wait for the {act.what} {name}, which may run while {end}"
    else:
        message = f"nothing waits for the {act.what} {name}, which may run while {end}"
    file, line, column, function = place(func, at)
    return Finding(
        rule=RULE, severity="error", confidence=confidence, file=file, line=line, column=column, function=function,
        message=message, involves=(name,), proof=tuple(steps), event=teardown.program.line_text(file, line),
    )  # fmt: skip
