"""Whether two locks of one name are not the same lock: of two members, two elements, two kinds of objects, or two objects.

A class says what is taken under what for all objects of a struct at once. That is worth something as long as two tasks can mean
the same object, or mean two the other way round each; it is worth nothing where the words tell that they never do.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from reviewer.checks.focus import Focus
from reviewer.parse.facts import AddressOf, Call, Cast, Const, Expr, Index, Member, Name
from reviewer.program.concurrency.awaited import within
from reviewer.program.flow.effects import Effect, stations
from reviewer.program.flow.lockflow import Flow, seen_at
from reviewer.program.flow.objects import root_of, rooted
from reviewer.program.flow.precedence import always_first
from reviewer.program.flow.ways import assigned
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold, as_said, lock_class
from reviewer.program.linked.structs import Frame


def other_member(focus: Focus, func: Func, hold: Hold, there: Func, taken: Hold) -> bool:
    """Whether two locks of one class are in different members of one struct (``a->tx.lock``, ``a->rx.lock``), or of any two where
    the class is a queue that everybody has for himself."""
    pairs = [(one, two) for one in in_callers(focus, func, hold.lock) for two in in_callers(focus, there, taken.lock)]
    return all(told_apart(focus, func, hold, one, two) for one, two in pairs)


def told_apart(focus: Focus, func: Func, hold: Hold, one: tuple[str, ...], two: tuple[str, ...]) -> bool:
    """The same of two locks that are told by their members."""
    if len(one) < 2 or len(two) < 2:
        return False
    if one == two or one[0].rpartition(".")[0] == two[0].rpartition(".")[0]:
        return one != two
    inner = [(names[0].rpartition(".")[2], *names[1:]) for names in (one, two)]
    both = min(map(len, inner))
    return inner[0][-both:] != inner[1][-both:] and focus.orders.small(hold.name, func)


def in_callers(focus: Focus, func: Func, lock: Expr) -> list[tuple[str, ...]]:
    """The members in which a lock is; of a lock in what a parameter points to those that the callers pass."""
    frame, root = focus.program.frame(func), root_of(lock)
    if isinstance(root, Name) and root.id.startswith("%") and len(within(frame, rooted(frame, lock))) < 2:
        found = [
            within(there, rooted(there, values.substitute(lock, args, func.name)))
            for caller in focus.lives.callers(func) if (flow := focus.flow(caller)) is not None
            for there in (focus.program.frame(caller),) for seen in flow.seen
            if isinstance(seen.event, Call) and (seen.callee or seen.event.callee) == Name(func.name) for args in seen.args
        ]  # fmt: skip
        if found:
            return list(dict.fromkeys(found))
    return [within(frame, rooted(frame, lock))]


def other_element(focus: Focus, func: Func, hold: Hold, there: Func, taken: Hold) -> bool:
    """Whether two locks of one class are in elements of an array that are chosen by two numbers, or in different words
    (``rings[rx->id].lock``, ``rings[release->id].lock``)."""
    frames = focus.program.frame(func), focus.program.frame(there)
    locks = (rooted(frame, lock) for frame, lock in zip(frames, (hold.lock, taken.lock), strict=True))
    one, two = (next((e.index for e in values.walk(lock) if isinstance(e, Index)), None) for lock in locks)
    if isinstance(one, Const) and isinstance(two, Const):
        return one != two
    words = [members(index) if index is not None else () for index in (one, two)]
    both = min(map(len, words))
    return both > 0 and words[0][:both] != words[1][:both]


def of_one_static(focus: Focus, func: Func, hold: Hold, there: Func, taken: Hold) -> bool:
    """Whether one of two locks of a class is that of a certain object, of a type that the whole kernel knows and has many of, and
    the other one is reached by a pointer (``&init_mm.page_table_lock``, ``&mm->page_table_lock``)."""
    roots = [(root_of(lock), lock) for lock in (hold.lock, taken.lock)]
    fixed = [
        isinstance(lock, Member) and isinstance(root, Name) and root.id.startswith("::") and not followed(lock)
        for root, lock in roots
    ]  # fmt: skip
    found = focus.program.struct_at(hold.name.lstrip("*").rpartition(".")[0], func.path) if fixed[0] != fixed[1] else None
    return found is not None and "/include/" in f"/{found[0]}"


def followed(path: Expr) -> bool:
    """Whether a pointer is followed on the way to an object."""
    return any(isinstance(e, Member) and e.arrow for e in values.walk(path))


def members(expr: Expr) -> tuple[str, ...]:
    """The members by which a value is come to, the last one first."""
    names: list[str] = []
    while isinstance(expr, Member):
        names.append(expr.name)
        expr = expr.base
    return tuple(names)


def other_family(focus: Focus, name: str, one: Sequence[Func], two: Sequence[Func]) -> bool:
    """Whether a lock is one of which each family of objects has a class of its own, told by the table of its operations, and is
    come to by functions of two families (the sockets of two protocols).

    :param one: the functions on the way to the one lock, the nearest to it first; ``two``: to the other one.
    """
    tables = focus.program.models.families
    said = as_said(name, one[-1].path)
    table = next((tables[lock] for lock in tables if said == lock or said.startswith(f"{lock}.")), "")
    if not table:
        return False
    homes = [next((home for f in way if (home := table_of(focus, table, f.path))), "") for way in (one, two)]
    return "" not in homes and homes[0] != homes[1]


def table_of(focus: Focus, table: str, path: str) -> str:
    """The file with the table of operations of the family that a file belongs to: itself, or the only one of its folder."""
    files = focus.summaries.calls.files_with(table, path)
    beside = [f for f in files if posixpath.dirname(f) == posixpath.dirname(path)]
    return path if path in files else beside[0] if len(beside) == 1 else ""


def down(func: Func, effect: Effect) -> tuple[Func, ...]:
    """The functions on the way to an effect, the last one first."""
    return (effect.func, *(f for f, _ in reversed(effect.way)), func)


def other_owner(focus: Focus, func: Func, hold: Hold, effect: Effect, callback: Func, taken: Hold) -> bool:
    """Whether what is waited for is part of another object than the lock that is held: its callback takes that one's lock
    (``list_for_each_entry(port, &hub->ports, list) cancel_work_sync(&port->work);`` under ``hub->lock``, all of one struct)."""
    frame, there = focus.program.frame(func), focus.program.frame(callback)
    mine, awaited, own = owner(frame, hold.lock), owner(frame, effect.what), owner(there, taken.lock)
    if mine is None or awaited is None or not isinstance(own, Cast) or root_of(own) != Name("%0"):
        return False
    if followed(own):
        return False  # what the callback's own object points to
    types = [frame.type_of(e) for e in (mine, awaited)]
    if any(t is None or frame.resolve(t).name != own.type.name for t in types):
        return False
    flow = focus.flow(func)
    return flow is not None and two_of_a_kind(flow, mine, awaited)


def ruled_out(focus: Focus, name: str, func: Func, effect: Effect) -> bool:
    """Whether nobody has a lock where it is taken at last: a function on the way has got something that keeps others from it."""
    said = as_said(name, func.path)
    for inner, at in stations(effect):
        apis = {c for c in inner.calls if (m := focus.program.models.functions.get(c)) is not None and m.rules_out == said}
        flow = focus.flow(inner) if apis else None
        here = seen_at(flow, at)
        if flow is not None and here is not None and any(
            isinstance(s.event, Call) and isinstance(s.event.callee, Name) and s.event.callee.id in apis
            and always_first(flow.frame, s, here) for s in flow.seen
        ):  # fmt: skip
            return True
    return False


def retaken(focus: Focus, name: str, effect: Effect) -> bool:
    """Whether a lock is only taken by who has let it go before, on any way, and not taken it himself: for a caller who holds it,
    not for a function that nobody calls (``owns = p->owner == current; if (owns) unlock(); msleep(); if (owns) lock();``)."""
    for func, at in stations(effect):
        flow = focus.flow(func)
        here = seen_at(flow, at)
        if flow is not None and here is not None and here.dropped and all(
            any(lock_class(flow.frame, lock) == name for lock in world) for world in here.dropped
        ):  # fmt: skip
            return True
    return False


def owner(frame: Frame, path: Expr | None) -> Expr | None:
    """The pointer to the object that something is a part of."""
    path = rooted(frame, path) if path is not None else None
    while isinstance(path, AddressOf | Index) or (isinstance(path, Member) and not path.arrow):
        path = path.base
    return path.base if isinstance(path, Member) else None


def two_of_a_kind(flow: Flow, one: Expr, other: Expr) -> bool:
    """Whether two pointers of one type are to two objects, as far as the words go: a variable goes through a list of the other,
    of two variables neither is given the other's value, or one is a member of what the other points to."""
    pairs = (one, other), (other, one)
    lists = [(heads(flow, a), b) for a, b in pairs]
    if any(found for found, _ in lists):
        return any(e == b for found, b in lists for head in found for e in values.walk(head))
    if isinstance(one, Name) and isinstance(other, Name):
        return one != other and all(e not in (one, other) for v in (one, other) for e in assigned(flow.frame, v))
    return any(isinstance(a, Member) and a.arrow and a.base == b for a, b in pairs)


def heads(flow: Flow, cursor: Expr) -> list[Expr]:
    """What the loops are given that go through something by a local."""
    loops = (s for s in flow.seen if isinstance(s.event, Call) and s.event.loop)
    return [arg for s in loops for args in s.args if cursor in args for arg in args if arg != cursor]
