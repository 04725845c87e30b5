"""teardown-order, of a patch: a wait that there was before is not there any more, or comes too late now."""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.finding import Confidence, Finding
from reviewer.checks.teardown.base import CALLBACKS, Teardown, end_of, finding, used_by
from reviewer.parse.facts import Call, Expr, Name
from reviewer.program.concurrency.lifetimes import PUT, Act, Uses, pointed
from reviewer.program.flow.effects import Effect
from reviewer.program.flow.objects import root_of, rooted
from reviewer.program.linked.calls import function_names
from reviewer.program.linked.link import Func
from reviewer.program.linked.written import calls_of


def lost_waits(new: Teardown) -> Iterator[Finding]:
    old = new.before
    if old is None:
        return
    for was, func in new.edited():
        if not old.lives.may_act(was):
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
        if not calls and (new.waited(uses, above) or new.waited(uses, left_to_others(new))):
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


def left_to_others(new: Teardown) -> list[Func]:
    """What a patch has functions call that they did not call before, and the functions that these pass on: the driver core may
    end things after the driver's own remove() (``devm_power_supply_register()`` has ``devm_power_supply_release()`` called)."""
    added = dict.fromkeys((name, func.path) for was, func in new.edited() for name in func.calls if name not in was.calls)
    called = [callee for name, path in added for callee in new.program.resolve(name, path)]
    named = ((name, f.path) for f in called for c in calls_of(new.program.body(f)) for a in c.args for name in function_names(a))
    return [*called, *(f for name, path in dict.fromkeys(named) for f in new.program.resolve(name, path))]


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
    if not now < then or len(new.focus.ways.guards(func, after.at)) >= len(old.focus.ways.guards(was, before.at)):
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
