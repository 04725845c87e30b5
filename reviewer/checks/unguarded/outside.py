"""What enters a function from outside its folder, and whether whoever does can have one of the folder's own locks."""

from __future__ import annotations

import posixpath
import re

from reviewer.checks.unguarded.guarding import Side
from reviewer.parse.facts import AddressOf, Call, Cast, Event, Expr, Items, Member, Name, Write
from reviewer.program.concurrency.entries import Entry, Slot
from reviewer.program.concurrency.guards import exclusive
from reviewer.program.concurrency.lifetimes import UNDOES
from reviewer.program.linked.link import Func

STARTED = frozenset({"work", "thread", "kthread"})
"""What runs because somebody has started it."""

BY_USERS = re.compile(r"^struct (?:file_operations|proc_ops)\.|\.poll$")
"""Operations that any number of tasks enter at once, with no lock (fs/read_write.c, fs/ioctl.c, fs/select.c)."""

ENDS = re.compile(r"\.\w*(?:uninit|remove|release|destructor|destroy|free|exit|disconnect|unbind|detach)\w*$")
"""Operations that end something."""


def free_entries(side: Side, func: Func, lock: str) -> list[Entry] | None:
    """The ways in which a function is entered by its address, all of them without a lock of its folder's; None if one may have
    it, or if nobody can tell."""
    entries = side.focus.entries.of(func)
    if any(e.doubt or (e.hold is not None and e.hold.name == lock) or given_under(side, e, lock) for e in entries):
        return None
    if any(e.how in STARTED for e in entries) and started_under(side, func, lock):
        return None
    if kept_between(side, func, lock):
        return None
    slots = [by_slot(s) for s in side.focus.entries.slots(func)]
    tables = [e for e in (*entries, *slots) if e.how.startswith("struct ")]
    cores = [e for e in tables if not BY_USERS.search(e.how)]
    if cores and (not private(side, lock, func.path) or any(called_here(side, func, e.how) for e in cores)):
        return None
    if any(ENDS.search(e.how) for e in cores) and undone_under(side, func, lock):
        return None
    return [*entries, *slots]


def given_under(side: Side, entry: Entry, lock: str) -> bool:
    """Whether the lock is held where a function is handed over: it may be called at once (``for_each_port(dev, f)``). So may any
    be where something on the stack of who hands it over goes with it: he waits for it, and has what he or his callers have."""
    for func in side.program.functions(entry.path, entry.function) if entry.function else ():
        flow = side.focus.flow(func)
        there = [s for s in (flow.seen if flow is not None else ()) if func.line_of(s.event.at) == entry.line]
        if any(h.name == lock for s in there for h in s.may()):
            return True
        runs = entry.how in STARTED or entry.how == entry.by  # by itself, or by the very call
        if runs and any(on_stack(arg) for s in there for args in s.args for arg in args):
            return True
    return False


def on_stack(value: Expr) -> bool:
    """Whether a value is the address of a local variable, or of a part of one."""
    place = value.base if isinstance(value, AddressOf) else value
    while isinstance(place, Member) and not place.arrow:
        place = place.base
    if not isinstance(value, AddressOf):
        return False
    return isinstance(place, Items) or (isinstance(place, Name) and place.id.startswith("$"))  # Items: its initialiser


def kept_between(side: Side, func: Func, lock: str) -> bool:
    """Whether another operation of its table returns with the lock (``open()`` takes it and ``close()`` drops it): then those who
    call the operations have it in between."""
    names = {name for _, table in side.focus.lives.operations(func) for name in table.values()} - {func.name}
    flows = (side.focus.flow(f) for name in sorted(names) for f in side.program.resolve(name, func.path))
    return any(h.name == lock for flow in flows if flow is not None for e in flow.endings for h in e.state.locks)


def started_under(side: Side, func: Func, lock: str) -> bool:
    """Whether the file of a callback starts one with the lock: whoever does so may wait for it, so that it runs on its behalf."""
    for user in side.program.functions_in(func.path):
        flow = side.focus.flow(user) if not side.starting.isdisjoint(user.calls) else None
        for seen in flow.seen if flow is not None else ():
            callee = seen.event.callee if isinstance(seen.event, Call) else None
            if isinstance(callee, Name) and callee.id in side.starting and any(h.name == lock for h in seen.may()):
                return True
    return False


def undone_under(side: Side, func: Func, lock: str) -> bool:
    """Whether the file of an operation that ends something takes leave of an object with the lock, its own or its callers', by
    what is not at home there (``unregister_dev(p->dev)``): that may well come back to the operation before it returns."""
    folder = posixpath.dirname(func.path)
    for user in side.program.functions_in(func.path):
        undo = [name for name in user.calls if UNDOES.search(name)]
        calls = [n for n in undo if all(posixpath.dirname(f.path) != folder for f in side.program.resolve(n, func.path))]
        held = (exclusive(s) for n in calls for s in side.guards.calls(user, n))
        if calls and (lock in side.guards.wanted(user) or any(lock in locks for locks in held)):
            return True
    return False


def by_slot(slot: Slot) -> Entry:
    """An operation of a table of which no model knows the context."""
    return Entry("task", f"{slot.struct.partition('@')[0]}.{slot.field}", slot.struct, "", slot.path, slot.line, slot.function)


def private(side: Side, lock: str, path: str) -> bool:
    """Whether only the folder of a file knows a lock: it is static, or a member of a struct that is at home there, and nobody
    else was given its address."""
    struct, dot, _ = lock.lstrip("*").partition(".")
    if struct.startswith("struct ") and dot:
        found = side.program.struct_at(struct, path)
        home = found[0] if found is not None else ""
    else:
        home = lock.lstrip("*").partition(":")[0] if ":" in lock else ""
    return bool(home) and posixpath.dirname(home) == posixpath.dirname(path) and not given_away(side, lock, home)


def given_away(side: Side, lock: str, home: str) -> bool:
    """Whether those who know a lock store its address (``queue->lock = &dev->queue_lock``), or pass it to what is neither theirs
    nor a lock's function.

    :param home: the file that declares it, a ``.c`` for itself alone.
    """
    word = lock.rpartition(":")[2].rpartition(".")[2]
    folder = posixpath.dirname(home)
    near = (home,) if home.endswith(".c") else side.program.names.files_mentioning([word], (folder,)).get(word, ())
    return any(
        gives(side, func, event, word) for file in near if posixpath.dirname(file) == folder and file.endswith(".c")
        for func in side.program.functions_with(file, word) if (body := side.program.body(func)) is not None
        for block in body.blocks for event in block.events
    )  # fmt: skip


def gives(side: Side, func: Func, event: Event, word: str) -> bool:
    """Whether an event hands out the address of a lock of the name."""
    if isinstance(event, Write):
        return not isinstance(event.target, Name) and points_to(event.value, word)
    if not isinstance(event, Call) or not isinstance(event.callee, Name) or not any(points_to(a, word) for a in event.args):
        return False
    folder = posixpath.dirname(func.path)
    ours = (posixpath.dirname(f.path) == folder for f in side.program.resolve(event.callee.id, func.path))
    return side.program.model(event.callee.id) is None and not any(ours)


def points_to(value: Expr, word: str) -> bool:
    while isinstance(value, Cast):
        value = value.operand
    place = value.base if isinstance(value, AddressOf) else None
    return (isinstance(place, Member) and place.name == word) or (isinstance(place, Name) and place.id == word)


def called_here(side: Side, func: Func, how: str) -> bool:
    """Whether the folder of a function calls an operation itself: with which locks, nobody has asked. A table that is at home in
    it is the folder's own."""
    struct, _, field = how.partition(".")
    folder = posixpath.dirname(func.path)
    home = side.program.struct_at(struct, func.path)
    if home is None or posixpath.dirname(home[0]) == folder:
        return True
    call = re.compile(rb"(?:->|\.)\s*" + re.escape(field.encode()) + rb"\s*\)?\s*\(")
    near = side.program.names.files_mentioning([field], (folder,)).get(field, ())
    return any(
        call.search(f.text) for path in near if posixpath.dirname(path) == folder
        for f in side.program.functions_with(path, field)
    )  # fmt: skip
