"""What the shapes of unguarded-access share: a focus with its guards, and how one of its findings reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from reviewer.checks.finding import Confidence, Finding, Step
from reviewer.checks.focus import Focus
from reviewer.checks.proof import place, step
from reviewer.parse.facts import Member, StructDef
from reviewer.program.concurrency.guards import Guards, Touch, once
from reviewer.program.flow.objects import rooted, short
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold
from reviewer.program.linked.structs import at_home

RULE = "unguarded-access"


@dataclass
class Side:
    """A focus with its guards."""

    focus: Focus

    def __post_init__(self) -> None:
        self.program = self.focus.program
        self.guards = Guards(self.focus.analysis.shared, self.focus.lives, self.focus.setups)
        self._inside: dict[str, dict[str, list[Touch]]] = {}

    @cached_property
    def before(self) -> Side | None:
        return Side(self.focus.before) if self.focus.before is not None else None

    @cached_property
    def _by_file(self) -> dict[str, list[Func]]:
        found: dict[str, list[Func]] = {}
        for f in self.focus.every:
            if not once(f):
                found.setdefault(f.path, []).append(f)
        return found

    @cached_property
    def starting(self) -> frozenset[str]:
        """The API functions that start a callback."""
        return frozenset(name for name, m in self.program.models.functions.items() if any(r.starts for r in m.registers))

    def taken_in(self, func: Func) -> Iterator[Hold]:
        """The locks that a function takes, those left out that it has let go before, for its callers, and takes back."""
        flow = self.focus.flow(func)
        for seen in flow.seen if flow is not None else ():
            for held, dropped in zip(seen.held, seen.dropped, strict=True):
                yield from (h for h in held if h.lock not in dropped)

    def inside(self, object_: str, path: str) -> list[Touch]:
        """Accesses to an object by the functions in question that stand in one file, start-up and constructors left out."""
        if path not in self._inside:
            found: dict[str, list[Touch]] = {}
            for f in self._by_file.get(path, ()):
                for t in self.guards.touches(f):
                    found.setdefault(t.object, []).append(t)
            self._inside[path] = found
        return self._inside[path].get(object_, [])


def witness(side: Side, touch: Touch, lock: str, func: Func) -> Touch | None:
    """Another access to the same object that has the lock."""
    return next(
        (t for t in side.guards.others(touch.object, func.path) if t.func.name != func.name and lock in side.guards.total(t)),
        None,
    )


def strange(side: Side, touch: Touch, lock: str) -> bool:
    """Whether a lock stands in another object than what is accessed, to which nothing leads from there: the path does not come
    by, and it is no part of the lock's owner and has no pointer to that. What many have in turn, or nobody but its owner, was
    then under the lock by chance where others had it."""
    owner, where = struct_of(touch.object), struct_of(lock)
    if not owner or not where or knows(side, touch, lock):
        return False
    frame = side.program.frame(touch.func)
    on_way = (frame.type_of(e.base) for e in values.walk(rooted(frame, touch.access.path)) if isinstance(e, Member))
    if any(t is not None and frame.resolve(t).name == where for t in on_way):
        return False
    return not has_member(side, where, owner, touch.func.path, pointers=False)


def knows(side: Side, touch: Touch, lock: str) -> bool:
    """Whether the struct of what is accessed has the lock, or has its owner as a part, or a pointer to that."""
    owner, where = struct_of(touch.object), struct_of(lock)
    return owner == where or has_member(side, owner, where, touch.func.path, pointers=True)


def is_there(side: Side, lock: str, path: str) -> bool:
    """Whether the tree has the lock; else a patch has put another one in its place, or a comment names one of old."""
    struct, dot, field = lock.lstrip("*").partition(".")
    if struct.startswith("struct ") and dot:
        found = side.program.struct_at(struct, path)
        return found is None or has_field(side, found, field.partition(".")[0])
    file, _, name = lock.partition(":")
    return not name or not side.program.content.exists(file) or side.program.variable(name.partition(".")[0], file) is not None


def has_field(side: Side, found: tuple[str, StructDef], name: str) -> bool:
    """Whether a struct, with the file that defines it, has a member of a name, be it in a member without one."""
    home, struct = found
    if any(f.name == name for f in struct.fields):
        return True
    nameless = (side.program.struct_at(at_home(f, home).type.name, home) for f in struct.fields if not f.name)
    return any(inner is not None and has_field(side, inner, name) for inner in nameless)


def struct_of(name: str) -> str:
    """``struct T`` of ``struct T.a.b``; "" for what is at file scope."""
    struct, dot, _ = name.lstrip("*").partition(".")
    return struct if dot and struct.startswith(("struct ", "union ")) else ""


def has_member(side: Side, owner: str, part: str, path: str, pointers: bool) -> bool:
    """Whether a struct has a member that is another one, be it an array of them, or, with ``pointers``, that points to one."""
    found = side.program.struct_at(owner, path)
    return found is not None and any(f.type.name == part and (pointers or not f.type.pointer) for f in found[1].fields)


def finding(
    side: Side, func: Func, touch: Touch, lock: str, confidence: Confidence, other: Touch | None, callee: Func | None = None,
    apart: bool = False,
) -> Finding:  # fmt: skip
    """:param callee: what is called without the lock. :param apart: the lock held is that of another object."""
    analysis = side.focus.analysis
    steps: list[Step] = [step(analysis, "call", f, at) for f, at in touch.way]
    steps.append(step(analysis, "access", touch.func, touch.access.at))
    if other is not None:
        steps.append(step(analysis, "access", other.func, other.access.at, other.access.held))
    file, line, column, function = place(func, touch.at)
    what = f"{short(touch.object)} is {'looked at' if touch.look else 'changed'}"
    if callee is not None:
        message = f"{callee.name}() is called without {lock}, which its other callers hold"
    elif apart:
        message = f"{what} under {lock} of another object than its own"
    else:
        message = f"{what} without {lock}, which guards it elsewhere"
    return Finding(
        rule=RULE, severity="error", confidence=confidence, file=file, line=line, column=column, function=function,
        message=message, involves=(touch.object, lock), proof=tuple(steps), event=side.program.line_text(file, line),
    )  # fmt: skip
