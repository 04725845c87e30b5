"""Shared objects, and the locks around each access to them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from reviewer.parse.facts import AddressOf, Call, Cast, Const, Deref, Expr, Index, Member, Name, Read, Write
from reviewer.program import values
from reviewer.program.contexts import Contexts
from reviewer.program.link import Func
from reviewer.program.lockflow import Seen
from reviewer.program.locks import Hold, lock_class
from reviewer.program.structs import Frame
from reviewer.program.summaries import accesses as model_accesses

Op = Literal["read", "set", "add", "sub", "rmw", "test_set", "clear"]

MAX_CLOSURE = 200
"""Functions of a callback's own module that are walked."""

MAX_DEPTH = 3
"""Calls below a callback at which functions outside its own unit still count as its module's."""

CHANGES: frozenset[Op] = frozenset({"set", "add", "sub", "rmw", "test_set", "clear"})
COUNTS: frozenset[Op] = frozenset({"add", "sub", "rmw"})


@dataclass(frozen=True, slots=True)
class Access:
    """One access to a shared object. ``held``: what its function, and those above it as far as walked, hold."""

    object: str
    op: Op
    atomic: bool
    value: Expr | None
    func: Func
    at: int
    block: int
    held: tuple[Hold, ...]
    path: Expr

    @property
    def line(self) -> int:
        return self.func.line_of(self.at)

    def guards(self) -> frozenset[str]:
        """Lock classes held exclusively."""
        return frozenset(h.name for h in self.held if h.mode == "exclusive" and h.name)

    @property
    def word(self) -> str:
        """The object's own name: a static without its file, a field without its struct."""
        return short(self.object)


def short(name: str) -> str:
    """``oom_callback_count`` for ``kernel/rcu/tree_plugin.h:oom_callback_count``; a field keeps its struct."""
    return name.rpartition(":")[2] if "/" in name else name


@dataclass(frozen=True, slots=True)
class Visit:
    """A function of a closure, and how it was reached.

    ``args``: its arguments in terms of the root; ``held``: what is held around it; ``path``: the calls that lead
    here, from the root; ``later``: it runs after the root has gone on (queued by ``call_rcu`` and the like).
    """

    func: Func
    args: tuple[Expr, ...]
    held: tuple[Hold, ...]
    path: tuple[tuple[Func, Call], ...]
    later: bool = False


@dataclass(slots=True)
class Closure:
    """The functions of its own module that a callback reaches, and what they touch."""

    root: Func
    visits: list[Visit] = field(default_factory=list)
    accesses: list[Access] = field(default_factory=list)


class Shared:
    """Accesses to shared objects, memoised."""

    def __init__(self, contexts: Contexts) -> None:
        self.contexts = contexts
        self.summaries = contexts.summaries
        self.program = contexts.program
        self._own: dict[str, list[Access]] = {}
        self._closures: dict[str, Closure] = {}
        self._elsewhere: dict[str, list[Access]] = {}

    # --- one function ---------------------------------------------------------------------------

    def of(self, func: Func) -> list[Access]:
        """Accesses of one function to objects that others can reach, with its own locks."""
        got = self._own.get(func.key)
        if got is None:
            flow = self.summaries.flow(func)
            frame = self.program.frame(func)
            got = self._own[func.key] = [a for s in flow.seen for a in self.in_event(frame, s)] if flow else []
        return got

    def in_event(self, frame: Frame, seen: Seen) -> Iterator[Access]:
        event = seen.event
        held = seen.must()
        func = frame.func

        def access(path: Expr, op: Op, atomic: bool, value: Expr | None) -> Iterator[Access]:
            name = object_name(frame, path)
            if name or parameter_rooted(path):
                yield Access(name, op, atomic, value, func, event.at, seen.block, held, path)

        if isinstance(event, Write):
            target, value = seen.args[0]
            if not event.declares and not (isinstance(target, Name) and target.id[:1] in "$%"):
                yield from access(target, write_op(event.op, target, value), False, value)
            for path in reads(value):
                yield from access(path, "read", False, None)
        elif isinstance(event, Call):
            model = self.program.model(event.callee.id) if isinstance(event.callee, Name) else None
            args = seen.args[0]
            touched: list[Expr] = []
            if model is not None:
                for a, path in model_accesses(model, args):
                    touched.append(path)
                    stored = args[a.value] if a.value is not None and a.value < len(args) else None
                    if stored is None and a.constant is not None:
                        stored = Const(a.constant)
                    op: Op = a.op
                    if op == "set" and stored is not None and contains(stored, path):
                        op = "rmw"
                    yield from access(path, op, a.atomic, stored)
            for arg in args:
                for path in reads(arg):
                    if path not in touched:
                        yield from access(path, "read", False, None)
        elif isinstance(event, Read):
            for path in reads(seen.args[0][0]):
                yield from access(path, "read", False, None)

    # --- a callback's module --------------------------------------------------------------------

    def closure(self, root: Func) -> Closure:
        """What ``root`` reaches inside its own module (its unit and folder), callbacks that it queues included."""
        got = self._closures.get(root.key)
        if got is None:
            got = self._closures[root.key] = self._walk(root)
        return got

    def _walk(self, root: Func) -> Closure:
        closure = Closure(root)
        folder = posixpath.dirname(root.path)
        unit = set(self.program.unit(root.path))
        start = tuple(Name(f"%{i}") for i in range(len(root.parameters)))
        todo = [Visit(root, start, (), ())]
        done: set[str] = set()
        while todo and len(closure.visits) < MAX_CLOSURE:
            visit = todo.pop(0)
            if visit.func.key in done:
                continue
            done.add(visit.func.key)
            closure.visits.append(visit)
            for a in self.of(visit.func):
                closure.accesses.append(self._seen_from(closure.root, visit, a))
            for target, args, held, call, later in self._callees(visit):
                near = target.path in unit or (
                    posixpath.dirname(target.path) == folder and len(visit.path) < MAX_DEPTH
                )
                if near and target.key not in done:
                    todo.append(Visit(target, args, held, (*visit.path, (visit.func, call)), visit.later or later))
        return closure

    def _seen_from(self, root: Func, visit: Visit, access: Access) -> Access:
        """The access in terms of the root: with the locks around the visit, and named if only a pointer was known."""
        name = access.object
        path = access.path
        if not name:
            path = values.substitute(access.path, visit.args, visit.func.name)
            name = object_name(self.program.frame(root), path)
        return Access(
            name, access.op, access.atomic, access.value, access.func, access.at, access.block,
            visit.held + access.held, path,
        )  # fmt: skip

    def _callees(self, visit: Visit) -> Iterator[tuple[Func, tuple[Expr, ...], tuple[Hold, ...], Call, bool]]:
        frame = self.program.frame(visit.func)
        flow = self.summaries.flow(visit.func)
        for seen in flow.seen if flow is not None else ():
            call = seen.event
            if not isinstance(call, Call):
                continue
            held = visit.held + seen.must()
            args = seen.args[0]
            outer = tuple(values.substitute(a, visit.args, visit.func.name) for a in args)
            for target in self.summaries.calls.targets(frame, seen.callee or call.callee):
                if target.func is not None:
                    yield target.func, outer, held, call, False
                if target.model is None:
                    continue
                for invokes in target.model.invokes:
                    for t, _ in self.summaries.invoked(frame, call, invokes, args):
                        if t.func is not None:
                            yield t.func, (), held, call, False
                for registers in target.model.registers:
                    if registers.starts and registers.callback is not None and registers.callback < len(args):
                        for t in self.summaries.calls.targets(frame, args[registers.callback]):
                            if t.func is not None:
                                yield t.func, (), (), call, True

    # --- the rest of the tree -------------------------------------------------------------------

    def elsewhere(self, name: str, home: str) -> list[Access]:
        """Changes of one object anywhere, their own locks only; functions that run once at start-up left out.

        :param home: a file in which the name is known, for statics.
        """
        got = self._elsewhere.get(name)
        if got is None:
            got = self._elsewhere[name] = list(self._changes_of(name, home))
        return got

    def exists(self, name: str, home: str) -> bool:
        """Whether the name is that of a variable or field; a local that a macro declares only looks like one."""
        if "/" in name or name.startswith(("struct ", "union ", "*")):
            return True
        return self.program.variable(name.partition(".")[0], home) is not None

    def _changes_of(self, name: str, home: str) -> Iterator[Access]:
        if not self.exists(name, home):
            return
        word = short(name).rpartition(".")[2]
        if "/" in name:
            files: tuple[str, ...] = self.program.unit(name.rpartition(":")[0])
        elif name.startswith(("struct ", "union ")):
            files = self.program.unit(home)
        else:
            files = self.program.names.files_mentioning([word]).get(word, ())
        self.program.load(files)
        for file in files:
            for func in self.program.functions_with(file, word):
                if not runs_once(func) and self._may_change(func, word):
                    for a in self.of(func):
                        if a.object == name and a.op in CHANGES:
                            yield a

    def _may_change(self, func: Func, word: str) -> bool:
        """Whether the body, looked at without running it, could change an object of this name.

        It stores to an expression with the word in it, hands one to a modelled accessor, or takes its address.
        """
        if any(p.name == word for p in func.parameters):
            return False
        body = self.program.body(func)
        for block in body.blocks if body is not None else ():
            for event in block.events:
                if isinstance(event, Write):
                    if names_word(event.target, word) or takes_address(event.value, word):
                        return True
                elif isinstance(event, Call) and any(names_word(a, word) for a in event.args):
                    model = self.program.model(event.callee.id) if isinstance(event.callee, Name) else None
                    if model is not None and any(a.op in CHANGES for a in model.accesses):
                        return True
        return False


@lru_cache(maxsize=1 << 14)
def words_of(expr: Expr) -> frozenset[str]:
    """Identifiers and field names in an expression as written."""
    return frozenset(e.id if isinstance(e, Name) else e.name for e in values.walk(expr) if isinstance(e, Name | Member))


def names_word(expr: Expr, word: str) -> bool:
    return word in words_of(expr)


def takes_address(expr: Expr, word: str) -> bool:
    """Whether the value is, or holds, the address of something with the word in its name."""
    return names_word(expr, word) and any(isinstance(e, AddressOf) and names_word(e, word) for e in values.walk(expr))


def runs_once(func: Func) -> bool:
    """Whether the function belongs to start-up or unloading, when nobody else is there yet (``__init``, ``__exit``)."""
    if func.definition is None:
        return False
    return any(a in ONCE for a in func.definition.annotations)


ONCE = frozenset({"__init", "__exit", "__init_or_module", "__devinit", "__meminit", "__cpuinit"})


def object_name(frame: Frame, path: Expr) -> str:
    """The name of a shared object, as a lock class is named; "" for locals and unknown pointers."""
    while isinstance(path, Cast):
        path = path.operand
    if isinstance(path, Name):
        return path.id[2:] if path.id.startswith("::") else ""
    if isinstance(path, Member):
        base = path
        while isinstance(base, Member | Index):
            if isinstance(base, Member) and base.arrow:
                return lock_class(frame, path)
            base = base.base  # type: ignore[assignment]
        if isinstance(base, Name) and base.id.startswith("::"):
            return lock_class(frame, path) or base.id[2:]
        return ""
    if isinstance(path, Index):
        return object_name(frame, path.base)
    if isinstance(path, Deref):
        inner = path.base
        if isinstance(inner, Name) and inner.id.startswith("::"):
            return f"*{inner.id[2:]}"
        if isinstance(inner, Member):
            name = object_name(frame, inner)
            return f"*{name}" if name else ""
    return ""


def parameter_rooted(path: Expr) -> bool:
    """``*p`` with ``p`` a parameter: the caller knows what it is."""
    return isinstance(path, Deref) and isinstance(path.base, Name) and path.base.id.startswith("%")


def write_op(op: str, target: Expr, value: Expr) -> Op:
    if op == "+=":
        return "add"
    if op == "-=":
        return "sub"
    if op != "=":
        return "rmw"
    if contains(value, target):
        return "rmw"
    return "set"


def contains(expr: Expr, part: Expr) -> bool:
    return any(e == part for e in values.walk(expr))


def reads(expr: Expr) -> list[Expr]:
    """The outermost lvalues that evaluating the expression reads."""
    found: list[Expr] = []

    def visit(e: Expr) -> None:
        if isinstance(e, AddressOf):
            inner = e.base
            while isinstance(inner, Member | Index):
                if isinstance(inner, Index):
                    visit(inner.index)
                inner = inner.base
            if isinstance(inner, Deref):
                visit(inner.base)
        elif isinstance(e, Name):
            if e.id.startswith("::"):
                found.append(e)
        elif isinstance(e, Member | Deref | Index):
            found.append(e)
        else:
            for c in values.children(e):
                visit(c)

    visit(expr)
    return found


