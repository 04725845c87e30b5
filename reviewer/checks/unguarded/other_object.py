"""An access that stands under the lock of another object than its own: of the same type and by the same name, it keeps nobody
out who takes the right one."""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.finding import Confidence, Finding
from reviewer.checks.unguarded.guarding import Side, finding, witness
from reviewer.parse.facts import AddressOf, Expr, Index, Member
from reviewer.program.concurrency.guards import Touch
from reviewer.program.flow.objects import of_parameter
from reviewer.program.linked.link import Func

OWNERS = 2
"""Other functions that take the lock of the object itself, from which it is inferred in a tree that nobody has changed."""


def another(side: Side, func: Func) -> Iterator[Finding]:
    """A change under the lock of another object, where all others who have such a lock have that of the object."""
    for t in side.guards.touches(func):
        for lock in sorted(t.held - own_locks(t)) if not t.look else ():
            if not of_one_type(side, t, lock) or part_of_it(side, t, lock):
                continue
            others = [o for o in side.guards.others(t.object, func.path) if o.func.name != func.name]
            if len({o.func.key for o in others if lock in own_locks(o)}) >= OWNERS and elsewhere_own(side, t, lock):
                sure: Confidence = "medium" if side.focus.other is not None or both_passed(t, lock) else "low"
                yield finding(side, func, t, lock, sure, witness(side, t, lock, func), apart=True)
                return


def both_passed(touch: Touch, lock: str) -> bool:
    """Whether both objects are the caller's, who can tell them apart: a local may well have been the other one before."""
    owners = [owner_of(touch.access.path), *(owner_of(h.lock) for h in touch.access.held if h.name == lock)]
    return all(owner is not None and of_parameter(owner) for owner in owners)


def under_another(old: Side, new: Side, was: Func, func: Func) -> Iterator[Finding]:
    """Accesses that had the lock of their own object, and have the same lock of another one now."""
    mine = {(t.object, lock) for t in (*old.guards.touches(was), *old.guards.reads(was)) for lock in own_locks(t)}
    for t in (*new.guards.touches(func), *new.guards.reads(func)):
        for lock in sorted(t.held - own_locks(t)):
            if (t.object, lock) in mine and of_one_type(new, t, lock) and elsewhere_own(old, t, lock):
                yield finding(new, func, t, lock, "medium", witness(old, t, lock, func), apart=True)
                return


def of_one_type(side: Side, touch: Touch, lock: str) -> bool:
    """Whether the lock stands in another object of the type that the accessed one has."""
    frame = side.program.frame(touch.func)

    def struct(owner: Expr | None) -> str:
        type_ = frame.type_of(owner) if owner is not None else None
        return frame.resolve(type_).name if type_ is not None else ""

    mine = struct(owner_of(touch.access.path))
    return bool(mine) and all(struct(owner_of(h.lock)) == mine for h in touch.access.held if h.name == lock)


def part_of_it(side: Side, touch: Touch, lock: str) -> bool:
    """Whether one of the two objects is found by a part that knows its whole (``ep->udc``): most likely both are that whole."""
    frame = side.program.frame(touch.func)

    def from_part(owner: Expr | None) -> bool:
        if not isinstance(owner, Member):
            return False
        whole, part = frame.type_of(owner), frame.type_of(owner.base)
        return whole is not None and part is not None and frame.resolve(whole).name != frame.resolve(part).name

    locks = (owner_of(h.lock) for h in touch.access.held if h.name == lock)
    return any(from_part(owner) for owner in (owner_of(touch.access.path), *locks))


def elsewhere_own(old: Side, touch: Touch, lock: str) -> bool:
    """Whether no other function accesses the object under a lock of its class that is not its own."""
    others = [t for t in old.guards.others(touch.object, touch.func.path) if t.func.name != touch.func.name]
    return all(lock in own_locks(t) for t in others if lock in t.held)


def own_locks(touch: Touch) -> frozenset[str]:
    """Classes of the locks held that stand in the same object as what is accessed."""
    owner = owner_of(touch.access.path)
    return frozenset(h.name for h in touch.access.held if h.name in touch.held and owner_of(h.lock) == owner)


def owner_of(path: Expr) -> Expr | None:
    """The pointer to the object in which a path ends."""
    while isinstance(path, Member | Index | AddressOf):
        if isinstance(path, Member) and path.arrow:
            return path.base
        path = path.base
    return None
