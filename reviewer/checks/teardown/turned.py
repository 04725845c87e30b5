"""teardown-order, of a patch: two waits the other way round, or the second of two rounds gone, so that what is waited for later
starts again what was stopped before it: a timer that a thread arms, a work that another work or the device's operation queues, a
queue that the works of another one put theirs on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from reviewer.checks.finding import Finding
from reviewer.checks.teardown.base import CALLBACKS, Teardown, finding
from reviewer.checks.teardown.still_used import waits
from reviewer.parse.facts import Call, Name
from reviewer.program.concurrency.lifetimes import MAX_BELOW, Act
from reviewer.program.flow.effects import Effect
from reviewer.program.linked.link import Func
from reviewer.program.linked.written import calls_of

OPERATIONS = "operations"
"""The kind of a wait for operations of the driver's (``virtio_reset_device()``); its name is the table's member."""

RUNNING = frozenset({*CALLBACKS, "workqueue", "thread", OPERATIONS})
"""Kinds of waits after which something that has started others does not run any more."""


@dataclass(frozen=True, slots=True)
class Stop:
    """An act that stops something and waits for its end, and where the function in question comes to it, by a call maybe."""

    act: Act
    at: int


def not_again(new: Teardown) -> Iterator[Finding]:
    """What is stopped only before another that may start it again, and was stopped after that one before a patch."""
    old = new.before
    for func in new.focus.functions if old is not None else ():
        if old is None or not new.focus.edited(func):
            continue
        now = waiting(new, func)
        before = [s for was in old.program.functions(func.path, func.name) for s in waiting(old, was)] if now else []
        for stop in (s for s in now if may_come_back(new, s.act)):
            first = stop.act
            seconds = (s.act for s in now if after(before, s, stop) and not after(now, s, stop) and after(now, stop, s))
            again = next((a for s in seconds if s.name != first.name and (a := starter(new, first, s)) is not None), None)
            if again is not None:
                above = new.tops(func)
                ended, unbound = destroyed(new, first) or new.ends(first.name, above), new.unbinds(above)
                if ended is not None or unbound is not None:
                    yield finding(new, func, stop.at, first, first, ended, unbound, "medium", again)


def waiting(teardown: Teardown, func: Func) -> list[Stop]:
    """The calls of a function that stop something and wait for its end: by themselves, or in a function that it calls."""
    lives = teardown.lives
    acts = [*(lives.acts(func) if lives.may_act(func) else ()), *for_operations(teardown, func)]
    found = [Stop(a, a.at) for a in acts if stops(a)]
    near = {f.name: [*lives.acts(f, 0), *for_operations(teardown, f)] for f in lives.callees(func) if f.macro is None}
    flow = teardown.focus.flow(func) if any(near.values()) else None
    for seen in flow.seen if flow is not None else ():
        callee = seen.callee if isinstance(seen.event, Call) else None
        below = near.get(callee.id, []) if isinstance(callee, Name) else []
        found += (Stop(a, seen.event.at) for a in below if stops(a))
    return found


def for_operations(teardown: Teardown, func: Func) -> Iterator[Act]:
    """The waits of a function for operations of its driver."""
    back = teardown.program.models.comes_back
    for api, at in waits(teardown, func).items():
        for invokes in back[api]:
            if invokes.waited:
                yield Act("stop", OPERATIONS, invokes.table, None, func, at, api, waits=True)


def stops(act: Act) -> bool:
    return act.kind == "stop" and bool(act.name) and act.what in RUNNING and act.waits and not act.for_good


def may_come_back(teardown: Teardown, act: Act) -> bool:
    """Whether a stop has an end that somebody can undo: a callback may be started again, what has been freed used."""
    return act.what in CALLBACKS or destroyed(teardown, act) is not None


def destroyed(teardown: Teardown, act: Act) -> Act | None:
    """The end of a queue that goes with its works."""
    model = teardown.program.models.functions.get(act.api)
    if act.what != "workqueue" or model is None or model.frees is None:
        return None
    return replace(act, kind="free", struct="struct workqueue_struct")


def after(stops: Sequence[Stop], one: Stop, other: Stop) -> bool:
    """Whether what ``other`` stops is stopped after what ``one`` does."""
    firsts = [s.at for s in stops if s.act.name == one.act.name]
    return bool(firsts) and any(s.act.name == other.act.name and s.at > min(firsts) for s in stops)


def starter(teardown: Teardown, first: Act, second: Act) -> Act | None:
    """Where what one act waits for starts what the other has stopped, by itself or below it."""
    below = reached(teardown, runs(teardown, second))
    return next((a for a in starts(teardown, first) if a.func.key in below), None) if below else None


def reached(teardown: Teardown, funcs: Iterable[Func]) -> dict[str, Func]:
    """What some functions reach by name, or have an API run (``kref_put(&x->ref, x_end)``)."""
    found: dict[str, Func] = {}
    todo = list(funcs)
    while todo and len(found) < MAX_BELOW:
        below = teardown.lives.below(todo.pop(0))
        todo += (g for f in below.values() if f.key not in found for g in invoked(teardown, f) if g.key not in found)
        found |= below
    return found


def invoked(teardown: Teardown, func: Func) -> Iterator[Func]:
    """The functions that a function passes to what runs them before it returns."""
    models = teardown.program.models.functions
    runners = {n: run for n in func.calls if n in models and (run := [i for i in models[n].invokes if i.callback is not None])}
    if not runners:
        return
    frame = teardown.program.frame(func)
    for call in calls_of(frame.body):
        for invokes in runners.get(call.callee.id, ()) if isinstance(call.callee, Name) else ():
            for target, _ in teardown.focus.summaries.invoked(frame, call, invokes, call.args):
                if target.func is not None:
                    yield target.func


def runs(teardown: Teardown, act: Act) -> list[Func]:
    """The functions whose end an act waits for."""
    if act.what == OPERATIONS:
        return [t.func for t in teardown.focus.summaries.calls.beside(act.name, act.func.path) if t.func is not None]
    if act.what in CALLBACKS:
        return teardown.callbacks(teardown.lives.uses(act.name, act.func.path), act.func.path)
    model = teardown.program.models.functions.get(act.api)
    wait = next((w for w in (model.waits if model is not None else ()) if w.what == act.what), None)
    if wait is None:
        return []
    return [a.func for a in teardown.focus.waited.of(act.func, Effect("wait", act.api, act.path, act.func, act.at, wait=wait))]


def starts(teardown: Teardown, act: Act) -> list[Act]:
    """Where a callback is started, or anything is put on a queue."""
    lives = teardown.lives
    if act.what != "workqueue":
        return lives.uses(act.name, act.func.path).starts
    users = [f for f in lives.naming(act.word.rpartition(".")[2], act.func.path) if lives.may_act(f, 0)]
    return [a for f in users for a in lives.acts(f) if a.kind == "start" and a.queue and a.queue == act.name.lstrip("*")]
