"""Shared objects, and the locks around each access to them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from reviewer.parse import facts
from reviewer.parse.facts import AddressOf, Call, Cast, Const, Expr, Index, Member, Name, Read, Result, Write
from reviewer.program.flow import lockflow
from reviewer.program.flow.gates import Gates
from reviewer.program.flow.lockflow import Observer, Seen, State
from reviewer.program.flow.objects import (
    contains,
    object_name,
    objects_read,
    parameter_rooted,
    read_through,
    reads,
    result_used,
    root_of,
    rooted,
    shared_index,
    short,
)
from reviewer.program.flow.setups import Setups
from reviewer.program.flow.summaries import accesses as model_accesses
from reviewer.program.graph.contexts import Contexts
from reviewer.program.index.linkage import reachable
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import ALONE, Hold
from reviewer.program.linked.structs import Frame

Op = Literal["read", "set", "add", "sub", "rmw", "test_set", "clear"]

MAX_CLOSURE = 200
"""Functions of a callback's own module that are walked."""

MAX_DEPTH = 3
"""Calls below a callback at which functions outside its own unit still count as its module's."""

MAX_FILES = 300
"""Files that name a variable and are searched for changes of it; with more, nothing is said of it."""

MAX_AFAR = 12
"""Files of other folders that name a member and its lock, and are searched for changes; what more name belongs to everybody."""

CHANGES: frozenset[Op] = frozenset({"set", "add", "sub", "rmw", "test_set", "clear"})
COUNTS: frozenset[Op] = frozenset({"add", "sub", "rmw"})


@dataclass(frozen=True, slots=True)
class Access:
    """One access to a shared object. ``held``: what its function, and those above it as far as walked, hold.

    ``gates``: objects whose atomic test this caller has won. ``maybe``: lock classes held exclusively on some path (taken
    unless the caller has it already). ``bit``: the one bit of the object that is meant, as text. ``idempotent``: done twice
    it is as if done once (constant bits are set or cleared). ``later``: in a callback that was only queued. ``way``: the
    calls that lead here from the root.
    """

    object: str
    op: Op
    atomic: bool
    value: Expr | None
    func: Func
    at: int
    block: int
    held: tuple[Hold, ...]
    path: Expr
    bit: str = ""
    tests: bool = False
    idempotent: bool = False
    gates: frozenset[str] = frozenset()
    maybe: frozenset[str] = frozenset()
    later: bool = False
    way: tuple[tuple[Func, Call], ...] = ()

    @property
    def line(self) -> int:
        return self.func.line_of(self.at)

    def guards(self) -> frozenset[str]:
        """What keeps a second caller out: lock classes held exclusively, gates."""
        return exclusive(self.held) | self.gates

    @property
    def word(self) -> str:
        """The object's own name: a static without its file, a field without its struct."""
        return short(self.object)


def exclusive(held: tuple[Hold, ...]) -> frozenset[str]:
    return frozenset(h.name for h in held if h.mode == "exclusive" and h.name and h.kind not in ALONE)


@dataclass(frozen=True, slots=True)
class Visit:
    """A function of a closure, and how it was reached.

    ``args``: its arguments in terms of the root; ``held``, ``maybe`` and ``gates``: what is held, held on some path, and
    won around it; ``path``: the calls that lead here, from the root; ``later``: it runs after the root has gone on
    (queued by ``call_rcu`` and the like).
    """

    func: Func
    args: tuple[Expr, ...]
    held: tuple[Hold, ...]
    path: tuple[tuple[Func, Call], ...]
    later: bool = False
    gates: frozenset[str] = frozenset()
    maybe: frozenset[str] = frozenset()

    def key(self) -> tuple[object, ...]:
        """Visits of one function that differ in what protects them are kept apart."""
        return self.func.key, self.later, exclusive(self.held), self.gates


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
        self.gates = Gates(self.summaries)
        self.setups = Setups(self.summaries)
        self._own: dict[str, list[Access]] = {}
        self._closures: dict[str, Closure] = {}
        self._elsewhere: dict[str, list[Access]] = {}
        self._per_cpu: dict[str, bool] = {}
        self._looks: dict[str, dict[int, frozenset[tuple[str, str]]]] = {}

    # --- one function ---------------------------------------------------------------------------

    def of(self, func: Func) -> list[Access]:
        """Accesses of one function to objects that others can reach, with its own locks."""
        got = self._own.get(func.key)
        if got is None:
            flow = self.summaries.flow(func)
            frame = self.program.frame(func)
            got = self._own[func.key] = [a for s in flow.seen for a in self.in_event(frame, s)] if flow else []
        return got

    def in_event(self, frame: Frame, seen: Seen, gates: bool = True) -> Iterator[Access]:
        """:param gates: whether the gates that are won around it are looked for, which takes a run of its own."""
        event = seen.event
        held = seen.must()
        maybe = exclusive(seen.may())
        func = frame.func

        def access(
            path: Expr, op: Op, atomic: bool, value: Expr | None, bit: str = "", tests: bool = False, idempotent: bool = False
        ) -> Iterator[Access]:
            path = rooted(frame, path)
            if self.private(frame, path):
                return
            name = object_name(frame, path)
            if name or parameter_rooted(path):
                won = self.gate_names(frame, event.at) if gates and op != "read" else frozenset()
                yield Access(
                    name, op, atomic, value, func, event.at, seen.block, held, path, bit, tests, idempotent, won, maybe
                )

        if isinstance(event, Write):
            target, value = seen.args[0]
            if not event.declares and not (isinstance(target, Name) and target.id[:1] in "$%"):
                idempotent = event.op in ("|=", "&=") and isinstance(value, Const)
                changes = write_op(event.op, target, read_through(frame, value))
                yield from access(target, changes, False, value, idempotent=idempotent)
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
                    atomic = a.atomic
                    if op == "set" and stored is not None and contains(read_through(frame, stored), path):
                        op, atomic = "rmw", False  # read, changed and stored in two steps
                    elif op in ("set", "clear") and a.bit is not None and not atomic:
                        op = "rmw"  # the other bits of the word are written back as they were read
                    elif op == "test_set" and a.wins in ("other", "zero", "nonzero") and not result_used(frame, event):
                        op = "set"  # nobody looks at what was there
                    bit = values.show(args[a.bit]) if a.bit is not None and a.bit < len(args) else ""
                    yield from access(path, op, atomic, stored, bit, a.tests)
            for arg in args:
                for path in reads(arg):
                    if path not in touched:
                        yield from access(path, "read", False, None)
        elif isinstance(event, Read):
            for path in reads(seen.args[0][0]):
                yield from access(path, "read", False, None)

    def checked(self, access: Access) -> bool:
        """Whether on every path the function has looked at the object before this access to it."""
        func = access.func
        got = self._looks.get(func.key)
        if got is None:
            looks = Looks()
            lockflow.run(self.program.frame(func), self.summaries, observer=looks)
            got = self._looks[func.key] = looks.found
        return (access.object, access.bit) in got.get(access.at, frozenset())

    def gate_names(self, frame: Frame, at: int) -> frozenset[str]:
        """The gates that are won at a position, as names that are equal for equal objects."""
        found = self.gates.at(frame.func).get(at)
        return frozenset(self.gate_name(frame, path, bit) for path, bit in found) if found else frozenset()

    def gate_name(self, frame: Frame, path: Expr, bit: Expr | None) -> str:
        path = rooted(frame, path)
        name = object_name(frame, path) or values.show(path)
        return f"{name}#{values.show(bit)}" if bit is not None else name

    def private(self, frame: Frame, path: Expr) -> bool:
        """Whether the object was made by this call, or belongs to this CPU: nobody else can be at it. Nor can that be said of
        what a function gives that the tree does not have (yet: the patch of a series before this one may be missing)."""
        root = root_of(path)
        if isinstance(root, Result):
            call = frame.call(root.call)
            callee = call.callee.id if call is not None and isinstance(call.callee, Name) else ""
            model = self.program.model(callee) if callee else None
            if model is None:
                return bool(callee) and not self.summaries.calls.named(callee, frame.func.path)
            return model.fresh or model.per_cpu or model.allocates is not None
        if isinstance(root, Name) and root.id.startswith("::"):
            return self.per_cpu(root.id, frame.func.path)
        return False

    def per_cpu(self, name: str, path: str) -> bool:
        """Whether a variable has a copy for each CPU."""
        got = self._per_cpu.get(name)
        if got is None:
            file, _, word = name[2:].rpartition(":")
            found = self.program.variable(word, file or path)
            got = self._per_cpu[name] = found is not None and "PER_CPU" in found[1].macro
        return got

    def single(self, access: Access) -> bool:
        """Whether two callers of the callback mean the same object: a variable, or a field of what was registered."""
        root = root_of(access.path)
        if not isinstance(root, Name) or not (root.id.startswith("::") or root.id == "%0"):
            return False
        return all(shared_index(e.index) for e in values.walk(access.path) if isinstance(e, Index))

    @staticmethod
    def variable(access: Access) -> bool:
        """Whether the path is a variable, or a part of one that no pointer is followed to: one instance for all."""
        path = access.path
        while isinstance(path, Member | Index):
            if (isinstance(path, Member) and path.arrow) or (isinstance(path, Index) and not isinstance(path.index, Const)):
                return False
            path = path.base
        return isinstance(path, Name) and path.id.startswith("::")

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
        done: set[tuple[object, ...]] = set()
        while todo and len(closure.visits) < MAX_CLOSURE:
            visit = todo.pop(0)
            if visit.key() in done:
                continue
            done.add(visit.key())
            closure.visits.append(visit)
            for a in self.of(visit.func):
                closure.accesses.append(self._seen_from(closure.root, visit, a))
            for inner in self._callees(visit):
                near = inner.func.path in unit or (
                    posixpath.dirname(inner.func.path) == folder and len(visit.path) < MAX_DEPTH
                )
                if near and inner.key() not in done:
                    todo.append(inner)
        return closure

    def _seen_from(self, root: Func, visit: Visit, access: Access) -> Access:
        """The access in terms of the root: with the locks around the visit, and named if only a pointer was known."""
        name = access.object
        path = access.path if visit.func.key == root.key else values.substitute(access.path, visit.args, visit.func.name)
        if not name:
            name = object_name(self.program.frame(root), path)
        return replace(
            access, object=name, held=visit.held + access.held, path=path, gates=visit.gates | access.gates,
            maybe=visit.maybe | access.maybe, later=visit.later, way=visit.path,
        )  # fmt: skip

    def _callees(self, visit: Visit) -> Iterator[Visit]:
        frame = self.program.frame(visit.func)
        flow = self.summaries.flow(visit.func)
        root = visit.path[0][0] if visit.path else visit.func
        for seen in flow.seen if flow is not None else ():
            call = seen.event
            if not isinstance(call, Call):
                continue
            held = visit.held + seen.must()
            args = seen.args[0]
            way = (*visit.path, (visit.func, call))
            outer = tuple(self._outer(frame, root, visit, a) for a in args)
            gates = visit.gates | self.gate_names(frame, call.at)
            maybe = visit.maybe | exclusive(seen.may())

            def now(func: Func, given: tuple[Expr, ...]) -> Visit:
                return Visit(func, given, held, way, visit.later, gates, maybe)  # noqa: B023 - used at once

            targets = self.summaries.calls.targets(frame, seen.callee or call.callee)
            for target in targets:
                if target.func is not None:
                    yield now(target.func, outer)
                if target.model is None:
                    continue
                for invokes in target.model.invokes:
                    for t, given in self.summaries.invoked(frame, call, invokes, args):
                        if t.func is not None:
                            yield now(t.func, tuple(self._outer(frame, root, visit, a) for a in given))
                for registers in target.model.registers:
                    if registers.starts:
                        for func in self.setups.started(frame, registers, args):
                            yield Visit(func, (), (), way, True)
            if any(t.model is not None for t in targets):
                continue
            for i, func in self._functions_in(visit.func.path, args):
                runs = [t for t in targets if t.func is not None and self._calls_argument(t.func, i, 0)]
                yield now(func, ()) if runs else Visit(func, (), (), way, True)

    def _functions_in(self, path: str, args: tuple[Expr, ...]) -> Iterator[tuple[int, Func]]:
        """Functions of the unit that are handed over by name, with the number of the argument."""
        for i, arg in enumerate(args):
            while isinstance(arg, AddressOf | Cast):
                arg = arg.base if isinstance(arg, AddressOf) else arg.operand
            if isinstance(arg, Name) and arg.id[:1] not in "$%:":
                for file in self.program.unit(path):
                    yield from ((i, f) for f in self.program.functions(file, arg.id))

    def _calls_argument(self, func: Func, index: int, depth: int) -> bool:
        """Whether the function itself calls what its argument points to, or hands it to one that does."""
        if index >= len(func.parameters) or depth > MAX_DEPTH:
            return False
        wanted = Name(func.parameters[index].name)
        body = self.program.body(func)
        for block in body.blocks if body is not None else ():
            for event in block.events:
                if not isinstance(event, Call):
                    continue
                if event.callee == wanted:
                    return True
                if wanted in event.args and isinstance(event.callee, Name):
                    i = event.args.index(wanted)
                    inner = self.program.resolve(event.callee.id, func.path)
                    if any(f.key != func.key and self._calls_argument(f, i, depth + 1) for f in inner):
                        return True
        return False

    @staticmethod
    def _outer(frame: Frame, root: Func, visit: Visit, arg: Expr) -> Expr:
        """An argument in terms of the root."""
        arg = rooted(frame, arg)
        return arg if visit.func.key == root.key else values.substitute(arg, visit.args, visit.func.name)

    # --- the rest of the tree -------------------------------------------------------------------

    def elsewhere(self, name: str, home: str) -> list[Access]:
        """Changes of one object anywhere, their own locks only; functions that run once at start-up left out.

        :param home: a file in which the name is known, for statics.
        """
        got = self._elsewhere.get(name)
        if got is None:
            got = self._elsewhere[name] = list(self._changes_of(name, home))
        return got

    def afar(self, name: str, lock: str, home: str) -> Iterator[Access]:
        """Changes of a struct's member by files of other folders that name a lock, too; none of a member whose name stands in
        many."""
        if not name.lstrip("*").startswith(("struct ", "union ")):
            return
        word, other = (short(n).lstrip("*").rpartition(".")[2] for n in (name, lock))
        named = self.program.names.files_mentioning([word, other])
        near = self._knowing(name, word, home)
        files = [f for f in named[word] if f in named[other] and f not in near and f.endswith(".c") and reachable(home, f)]
        if len(files) <= MAX_AFAR:
            yield from self._changes_in(files, name, word)

    def exists(self, name: str, home: str) -> bool:
        """Whether the name is that of a variable or field; a local that a macro declares only looks like one."""
        name = name.lstrip("*")
        if "/" in name or name.startswith(("struct ", "union ")):
            return True
        word = name.partition(".")[0]
        return self.program.variable(word, home) is not None or self._promised(word, home)

    def _promised(self, word: str, home: str) -> bool:
        """Whether a header that the file includes says that there is such a variable, which no C file defines."""
        named = self.program.names.files_mentioning([word])[word]
        headers = [f for f in named if f.endswith(".h")][:MAX_FILES]
        return any(f in self.program.units.visible(home) and self.program.file(f).variable(word) for f in headers)

    def _changes_of(self, name: str, home: str) -> Iterator[Access]:
        if not self.exists(name, home):
            return
        word = short(name).lstrip("*").rpartition(".")[2]
        if "/" in name:
            files: tuple[str, ...] = self.program.unit(name.rpartition(":")[0].lstrip("*"))
        elif name.lstrip("*").startswith(("struct ", "union ")):
            files = self._knowing(name, word, home)
        else:
            files = self.program.names.files_mentioning([word]).get(word, ())
        if len(files) <= MAX_FILES:
            yield from self._changes_in(files, name, word)

    def _changes_in(self, files: Sequence[str], name: str, word: str) -> Iterator[Access]:
        self.program.load(files)
        member = "." in short(name)
        for file in files:
            for func in self.program.functions_with(file, word):
                if not runs_once(func) and self._may_change(func, word, member):
                    for a in self.of(func):
                        if a.object == name and a.op in CHANGES:
                            yield a

    def _knowing(self, name: str, word: str, home: str) -> tuple[str, ...]:
        """Files that may name the member of a struct: that which defines it, if no other can, else those of the folder."""
        found = self.program.struct_at(name.lstrip("*").partition(".")[0], home)
        if found is not None and found[0].endswith(".c"):
            return (found[0],)
        folder = posixpath.dirname(home)
        near = self.program.names.files_mentioning([word], (folder,) if folder else ()).get(word, ())
        return tuple(dict.fromkeys([*self.program.unit(home), *(f for f in near if posixpath.dirname(f) == folder)]))

    def _may_change(self, func: Func, word: str, member: bool) -> bool:
        """Whether the body, looked at without running it, could change an object of this name, or a member of it.

        It stores to an expression with the word in it, hands one to a modelled accessor, or takes its address.
        """
        if not member and any(p.name == word for p in func.parameters):
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


class Looks(Observer):
    """For the position of each event: the objects, each with its bit, that conditions on every path are about."""

    def __init__(self) -> None:
        self.found: dict[int, frozenset[tuple[str, str]]] = {}

    def event(self, frame: Frame, event: facts.Event, state: State, args: tuple[Expr, ...]) -> object:
        here = frozenset(o for c in state.truths for o in objects_read(frame, c, tests=True))
        before = self.found.get(event.at)
        self.found[event.at] = here if before is None else here & before
        return None


def runs_once(func: Func) -> bool:
    """Whether the function belongs to start-up or unloading, when nobody else is there yet (``__init``, ``__exit``)."""
    if func.definition is None:
        return False
    return any(a in ONCE for a in func.definition.annotations)


ONCE = frozenset({"__init", "__exit", "__init_or_module", "__devinit", "__meminit", "__cpuinit"})


def write_op(op: str, target: Expr, value: Expr) -> Op:
    if op == "+=":
        return "add"
    if op == "-=":
        return "sub"
    if op != "=":
        return "rmw"
    if contains(value, target) and value != target:  # a value that was saved and is put back is a plain store
        return "rmw"
    return "set"


def distinct(accesses: Iterable[Access]) -> list[Access]:
    """Each place once, as it was first met."""
    found: dict[tuple[str, int], Access] = {}
    for a in accesses:
        found.setdefault((a.func.key, a.at), a)
    return list(found.values())
