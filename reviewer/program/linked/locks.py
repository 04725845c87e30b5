"""An access path to a lock class and its instance, as in lockdep: the class is the struct field, not the object."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

import msgspec

from reviewer.parse.facts import AddressOf, Cast, Deref, Expr, Index, Member, Name
from reviewer.program.api.models import Held, Kind, Mode, Taken
from reviewer.program.linked.structs import Frame

SLEEPING: frozenset[Kind] = frozenset(
    {"mutex", "rtmutex", "ww_mutex", "rwsem", "percpu_rwsem", "semaphore", "socket"}
)
"""Kinds whose holder may sleep, so that memory can be allocated with reclaim while one is held
(Documentation/locking/locktypes, "Sleeping locks")."""

OUTSIDE = "?"
"""``Hold.where`` of a lock that callers hold whom nobody has named."""

COMMON = frozenset({"lock", "mutex", "sem"})
"""Names of so many locks that another object of the name says nothing."""


class Hold(msgspec.Struct, frozen=True):
    """One lock that is held.

    ``lock`` is the canonical expression of the lock object, the instance; ``name`` its class, empty while it is known
    only as a parameter of the function. ``at`` is the position where it was taken, in the function that owns the
    state; ``where`` the function key of an acquisition further down ("" for this function). ``plain``: without the acquire
    context that would tell a task that it has the lock already (Documentation/locking/ww-mutex-design).
    """

    lock: Expr
    name: str
    kind: Kind
    mode: Mode
    taken: Taken
    irq: str
    at: int
    where: str = ""
    plain: bool = False

    def shown(self) -> str:
        """The class as findings print it."""
        return f"{self.name} (shared)" if self.mode == "shared" else self.name


FOLDER = "{folder}"
"""At the end of a lock's name in a model (``x of {folder}``): the folder of the driver, each of which has one of its own."""


def of_folder(lock: str, path: str) -> str:
    return lock.replace(FOLDER, posixpath.dirname(path)) if FOLDER in lock else lock


def as_said(lock: str, path: str) -> str:
    """A lock as the models call it, for one who asks from a file."""
    folder = posixpath.dirname(path)
    return lock.removesuffix(folder) + FOLDER if folder and lock.endswith(f" of {folder}") else lock


def outside(held: Iterable[Held], path: str = "") -> list[Hold | None]:
    """The holds of callers that a model tells of; None by itself where it tells of none. ``path``: the file that is called."""
    names = [(of_folder(h.lock, path), h) for h in held]
    return [Hold(Name("::" + name), name, h.kind, h.mode, "lock", "", 0, OUTSIDE) for name, h in names] or [None]


def lock_class(frame: Frame, lock: Expr) -> str:
    """The class of a lock object, or "" if it is known only through a parameter or not at all.

    A global is its name, a static ``file:name``, a function's static ``file:function.name``, a field
    ``struct T.field`` with anonymous structs by their path.
    """
    if isinstance(lock, Name):
        return lock.id[2:] if lock.id.startswith("::") else ""
    if isinstance(lock, Index):
        return lock_class(frame, lock.base)
    if isinstance(lock, Cast):
        return lock_class(frame, lock.operand)
    if isinstance(lock, Member):
        owner = frame.type_of(lock.base)
        if owner is not None:
            owner = frame.resolve(owner)
        if owner is None or not owner.name.startswith(("struct ", "union ")):
            return ""
        if "<anon:" in owner.name:
            prefix = lock_class(frame, lock.base)
            return f"{prefix}.{lock.name}" if prefix else ""
        return f"{owner.name}.{lock.name}"
    if isinstance(lock, Deref):
        inner = lock.base
        if isinstance(inner, Member | Index) or (isinstance(inner, Name) and inner.id.startswith("::")):
            got = lock_class(frame, inner)
            return f"*{got}" if got else ""
        return lock_class(frame, inner) if isinstance(inner, AddressOf | Cast) else ""
    if isinstance(lock, AddressOf):
        return lock_class(frame, lock.base)
    return ""


ALONE: frozenset[Kind] = frozenset({"preempt", "irq", "bh", "pagefault", "rcu", "srcu", "local"})
"""Kinds that keep out only this CPU's own tasks and interrupts, or nobody."""

FAIR: frozenset[Kind] = frozenset({"rwsem", "percpu_rwsem"})
"""Kinds on which a second reader waits for a writer who waits for the first (kernel/locking/rwsem.c)."""


def writer_between(hold: Hold, taken: Hold) -> int | None:
    """The doubt that whoever holds a lock keeps the other from it; None if it does not. Of two readers it takes a writer that has
    queued up between them (kernel/locking/rwsem.c, rwsem_down_read_slowpath()): no reader gets past him."""
    if hold.mode != "shared" or taken.mode != "shared":
        return 0
    return 1 if hold.kind == taken.kind and hold.kind in FAIR else None
