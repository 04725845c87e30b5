"""What a patch takes out of a critical section although the section stays: a look at what others change under the lock, so that
it is decided before the lock is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reviewer.checks.finding import Finding
from reviewer.checks.unguarded.guarding import Side, finding
from reviewer.parse.facts import Call, Name
from reviewer.program.concurrency.guards import Touch, once
from reviewer.program.concurrency.lifetimes import PUT
from reviewer.program.concurrency.shared import Access
from reviewer.program.graph.contexts import serialises
from reviewer.program.linked.link import Func

Object = tuple[str, str]
"""Its name, and the one bit of it that is meant."""


def read_outside(old: Side, new: Side, was: Func, func: Func) -> Iterator[Finding]:
    """Objects that were read under a lock, are not any more, and that others change under it."""
    if once(func) and not on_socket(func):
        return
    before, after = by_object(old.guards.reads(was)), by_object(new.guards.reads(func))
    outer, outer_now = old.guards.around(was), new.guards.around(func)
    done: set[str] = set()
    for what, touches in after.items():
        had = frozenset(outer).union(*(t.held for t in before.get(what, ())))
        have = frozenset(outer_now).union(*(t.held for t in touches))
        if what not in before or not have <= had or any(lockless(new, t, had) for t in touches):
            continue
        for lock in sorted(had - have - done):
            changed = changed_under(old, func, what, lock)
            if changed is not None:
                done.add(lock)
                other = Touch(changed, frozenset({lock}))
                yield finding(new, func, touches[0], lock, "medium", other)


def found_outside(old: Side, new: Side, was: Func, func: Func) -> Iterator[Finding]:
    """What was looked up under a lock, and is not any more, while others take it out of there under that lock, and free it."""
    if once(func) and not on_socket(func):
        return
    before, after = by_object(old.guards.lookups(was)), by_object(new.guards.lookups(func))
    outer, outer_now = old.guards.around(was), new.guards.around(func)
    for what, touches in after.items():
        had = frozenset(outer).union(*(t.held for t in before.get(what, ())))
        have = frozenset(outer_now).union(*(t.held for t in touches))
        if what not in before or not have <= had or any(lockless(new, t, had) for t in touches):
            continue
        for lock in sorted(had - have):
            taken_out = removed_under(old, func, what, lock)
            if taken_out is not None or is_part(new, touches[0], lock):
                other = Touch(taken_out, frozenset({lock})) if taken_out is not None else None
                yield finding(new, func, touches[0], lock, "medium", other)
                break


def is_part(side: Side, touch: Touch, lock: str) -> bool:
    """Whether the lock is the container's own: made to be held by whoever takes something out of it."""
    frame = side.program.frame(touch.func)
    type_ = frame.type_of(touch.access.path)
    return type_ is not None and frame.resolve(type_).name == lock.rpartition(".")[0]


def removed_under(old: Side, func: Func, what: Object, lock: str) -> Access | None:
    """Where another function takes something out of a container under the lock, if all do so that do, and then frees an object
    or gives it up."""
    every = [a for a in old.focus.analysis.shared.elsewhere(what[0], func.path) if a.op == "sub" and a.func.name != func.name]
    if not every or any(all(h.name != lock or not serialises(h) for h in a.held) for a in every):
        return None
    return next((a for a in every if frees(old, a.func)), None)


def frees(side: Side, func: Func) -> bool:
    return any(a.kind == "free" for a in side.focus.lives.acts(func)) or any(PUT.search(name) for name in func.calls)


def on_socket(func: Func) -> bool:
    """Whether it is asked for by users of a socket, who may do so at any time: their bind() is no driver's."""
    return any(p.type.name in ("struct sock", "struct socket") for p in func.parameters)


def by_object(touches: tuple[Touch, ...]) -> dict[Object, list[Touch]]:
    found: dict[Object, list[Touch]] = {}
    for t in touches:
        found.setdefault((t.object, t.access.bit), []).append(t)
    return found


def lockless(side: Side, touch: Touch, had: frozenset[str]) -> bool:
    """Whether the read is meant to do without: by an accessor that says so, or in a section of another kind. Who takes a
    reference to what a pointer leads to (``get_cred(sk->sk_peer_cred)``) needs it to be there still."""
    if any(h.name not in had and not serialises(h) for h in touch.access.held):
        return True
    flow = side.focus.flow(touch.func)
    for seen in flow.seen if flow is not None else ():
        event = seen.event
        if event.at == touch.access.at and isinstance(event, Call) and isinstance(event.callee, Name):
            model = side.program.model(event.callee.id)
            if model is not None and model.identity is not None and not model.pure:
                return True
    return False


def changed_under(old: Side, func: Func, what: Object, lock: str) -> Access | None:
    """A change of the object by another function that has the lock; none if as many do without. Those do not count that share
    another lock with all that have it: that keeps the writers apart, and this one is there for the readers. Where nobody near
    has it, files that name both are asked."""
    shared = old.focus.analysis.shared
    guarded, bare = changes_with(old, func, what, lock, shared.elsewhere(what[0], func.path))
    if not guarded:
        far, free = changes_with(old, func, what, lock, shared.afar(what[0], lock, func.path))
        guarded, bare = far, bare + free
    return guarded[0] if len(guarded) > bare else None


def changes_with(
    old: Side, func: Func, what: Object, lock: str, accesses: Iterable[Access]
) -> tuple[list[Access], int]:
    """Those changes by other functions that have the lock, and how many have neither it nor what all of these have besides."""
    guarded: list[Access] = []
    others: list[Access] = []
    for a in accesses:
        if a.func.name == func.name or a.bit != what[1]:
            continue
        if any(h.name == lock and serialises(h) for h in a.held) or lock in old.guards.around(a.func):
            guarded.append(a)
        elif not once(a.func):
            others.append(a)
    among = frozenset.intersection(*map(kept_out, guarded)) if guarded else frozenset()
    return guarded, sum(kept_out(a).isdisjoint(among) for a in others)


def kept_out(access: Access) -> frozenset[str]:
    """The locks around an access that keep others out."""
    return frozenset(h.name for h in access.held if serialises(h))
