"""What keeps a callback set up on an object from running, and what ends the object's life; learned from the API models.

A callback belongs to a class of objects, the field on which it was set up (``struct T.work``). All uses of a class are looked
for in the unit and folder of whoever asks; calls are followed by name inside that folder.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from reviewer.parse.facts import AddressOf, Call, Cast, Deref, Expr, Index, Items, Member, Name, Result, Text, Write
from reviewer.program.api.models import Function as Model
from reviewer.program.api.models import Place
from reviewer.program.flow.lockflow import Seen
from reviewer.program.flow.objects import object_name, result_used, root_of, rooted, short
from reviewer.program.flow.setups import Setups
from reviewer.program.flow.summaries import Summaries, place
from reviewer.program.linked import values
from reviewer.program.linked.calls import function_names
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame
from reviewer.program.linked.written import calls_of

STOPPING = frozenset({"work", "workqueue", "timer", "irq", "thread", "tasklet", "callbacks"})
"""Waits (models, ``Waits.what``) after which a callback does not run any more."""

DEPTH = 2
"""Calls below a function in which what happens to an object that it passes is looked for."""

MAX_BELOW = 200
"""Functions below one that are followed."""

MAX_NAMING = 12
"""Files that name a function and are looked at for callers."""

MAX_FIELDS = 4
"""Structs inside structs that are looked through."""

ActKind = Literal["setup", "start", "stop", "free"]


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that a function does to the life of an object or of a callback.

    ``what``: work, timer ... of the models; ``name``: the class of the object, "" while only a parameter tells; ``path``: the
    object; of a ``free`` the pointer. ``waits``: the callback does not run any more afterwards, ``for_good``: not even if it is
    started again. ``queue``: class of the queue on which it is started. ``struct``: of a ``free``, the type that ends.
    ``used``: somebody looks at the result. ``func``, ``at``: whose call it is; ``api``: the modelled function; ``callback``: of
    a ``setup``, the function's name; ``others``: those that it may be, where a table tells.
    """

    kind: ActKind
    what: str
    name: str
    path: Expr | None
    func: Func
    at: int
    api: str
    waits: bool = False
    for_good: bool = False
    queue: str = ""
    struct: str = ""
    used: bool = False
    callback: str = ""
    others: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        return short(self.name)

    @property
    def instance(self) -> tuple[str, ...]:
        """By which members the object stands in the one that a pointer leads to: ``video.timeout`` of ``&dev->video.timeout``."""
        found: list[str] = []
        path = self.path
        while isinstance(path, Member):
            found.append(path.name)
            if path.arrow:
                break
            path = path.base
        return tuple(reversed(found))

    def may_be(self, other: Act) -> bool:
        """Whether both may mean one object: of a struct that another has several times inside, each is one of its own."""
        one, two = sorted((self.instance, other.instance), key=len)
        return len(one) < 2 or two[-len(one) :] == one


@dataclass(slots=True)
class Uses:
    """What the code of a folder does with one class. ``escapes``: functions that pass its address to what we cannot
    read, other than the callback itself, which somebody may call straight away.
    ``declared``: the functions of a variable that is set up where it is declared (``DEFINE_TIMER``)."""

    setups: list[Act] = field(default_factory=list)
    declared: list[Func] = field(default_factory=list)
    starts: list[Act] = field(default_factory=list)
    stops: list[Act] = field(default_factory=list)
    escapes: list[Func] = field(default_factory=list)

    @property
    def waits(self) -> list[Act]:
        return [a for a in self.stops if a.waits]

    @property
    def set_up(self) -> bool:
        """Whether it is known what runs."""
        return bool(self.setups or self.declared)

    @property
    def queues(self) -> frozenset[str]:
        return frozenset(a.queue for a in self.starts if a.queue)


class Lifetimes:
    """Memoised over one program."""

    def __init__(self, setups: Setups) -> None:
        self.setups = setups
        self.summaries: Summaries = setups.summaries
        self.program = setups.program
        models = self.program.models.functions
        self.names = frozenset(n for n, m in models.items() if acts_of(m))
        self.draining = frozenset(
            n for n, m in models.items()
            if any(w.what in ("workqueue", "thread") for w in m.waits) or any(c.what == "workqueue" for c in m.cancels)
        )  # fmt: skip
        self.serving = frozenset(n for n, m in models.items() if m.serves is not None)
        self._served: dict[str, tuple[str, ...]] = {}
        self.managing = frozenset(n for n, m in models.items() if m.managed)
        self.fields = {
            r.field: "timer" if "timer" in r.how else r.how
            for m in models.values() for r in m.registers if r.block is not None and r.starts
        }  # fmt: skip
        self.inner = frozenset(p.path[-1] for m in models.values() for p in places(m) if p.path)
        self._acts: dict[tuple[str, int], tuple[Act, ...]] = {}
        self._may: dict[tuple[str, int], bool] = {}
        self._uses: dict[tuple[str, str], Uses] = {}
        self._alone: dict[tuple[str, str], bool] = {}
        self._below: dict[str, dict[str, Func]] = {}
        self._callers: dict[str, tuple[Func, ...]] = {}

    # --- one function -----------------------------------------------------------------------------

    def may_act(self, func: Func, depth: int = DEPTH) -> bool:
        """Whether a function can have acts, by the names that it calls."""
        got = self._may.get((func.key, depth))
        if got is None:
            self._may[func.key, depth] = False
            got = not self.names.isdisjoint(self.program.models.meant(n) for n in func.calls)
            if not got and depth:
                got = any(self.may_act(f, depth - 1) for f in self.callees(func))
            self._may[func.key, depth] = got
        return got

    def acts(self, func: Func, depth: int = DEPTH) -> tuple[Act, ...]:
        """What a function does, and what others do to the objects that it passes."""
        key = (func.key, depth)
        got = self._acts.get(key)
        if got is None:
            self._acts[key] = ()
            found: dict[tuple[object, ...], Act] = {}
            if self.may_act(func, depth) or self._assigns(func):
                flow = self.summaries.flow(func)
                frame = self.program.frame(func)
                for seen in flow.seen if flow is not None else ():
                    for act in self._in_event(frame, seen, depth):
                        found.setdefault((act.kind, act.what, act.name, act.path, act.at, act.waits), act)
            got = self._acts[key] = tuple(found.values())
        return got

    def _assigns(self, func: Func) -> bool:
        """Whether it may set a callback up by an assignment."""
        return any(f in func.words for f in self.fields)

    def _in_event(self, frame: Frame, seen: Seen, depth: int) -> Iterator[Act]:
        event = seen.event
        if isinstance(event, Write):
            yield from self._assigned(frame, event, seen)
        elif isinstance(event, Call):
            for target in self.summaries.calls.targets(frame, seen.callee or event.callee):
                for args in list(dict.fromkeys(seen.args))[:2]:
                    if target.model is not None:
                        yield from self._modelled(frame, event, target.model, args)
                    elif target.func is not None and depth and target.sure and self.may_act(target.func, depth - 1):
                        yield from self._passed(frame, event, target.func, args, depth)

    def _passed(self, frame: Frame, call: Call, callee: Func, args: tuple[Expr, ...], depth: int) -> Iterator[Act]:
        for act in self.acts(callee, depth - 1):
            if act.name or act.path is None or (act.kind == "free" and act.struct):
                continue
            path = values.substitute(act.path, args, callee.name)
            made = replace(act, path=path, func=frame.func, at=call.at, name=self.name(frame, path))
            if act.callback.startswith("%") and (i := int(act.callback[1:])) < len(args):
                made = replace(made, callback=next(function_names(args[i]), ""))
            yield replace(made, struct=pointed(frame, path)) if act.kind == "free" else made

    def _assigned(self, frame: Frame, event: Write, seen: Seen) -> Iterator[Act]:
        """``x->timer.function = f``, ``x->urb->complete = f``."""
        target, value = seen.args[0]
        if not isinstance(target, Member) or (target.arrow and not isinstance(target.base, Member)):
            return
        if target.name in self.fields and isinstance(value, Name):
            if self.of_the_api(frame, target):
                whole = Deref(target.base) if target.arrow else target.base
                name = self.name(frame, whole)
                yield Act(
                    "setup", self.fields[target.name], name, whole, frame.func, event.at, target.name,
                    callback=value.id.removeprefix("::"),
                )

    def _modelled(self, frame: Frame, call: Call, model: Model, args: tuple[Expr, ...]) -> Iterator[Act]:
        def act(kind: ActKind, what: str, on: Place | None) -> Act:
            path = place(msgspec.structs.replace(on, path=()), args) if on is not None else None
            path = self.whole(frame, rooted(frame, path)) if path is not None else None
            return Act(kind, what, self.name(frame, path) if path is not None else "", path, frame.func, call.at, model.name)

        for r in model.registers:
            if r.block is None:
                if r.starts or r.how in ("irq", "threaded_irq"):
                    yield act("start", r.how, None)
                continue
            what = "timer" if "timer" in r.how else r.how
            if r.starts:
                queue = place(r.queue, args) if r.queue is not None else None
                yield replace(act("start", what, r.block), queue=self.queue(frame, queue))
            elif r.callback is not None and r.callback < len(args):
                name = next(function_names(args[r.callback]), "")
                others = () if name else self.by_table(frame, args[r.callback])
                yield replace(act("setup", what, r.block), callback=name, others=others)
        for w in model.waits:
            if w.what in STOPPING and not w.gives_up:
                made = act("stop", w.what, w.on)
                yield replace(made, waits=True, for_good=w.for_good, queue=made.name if w.what == "workqueue" else "")
            if w.what == "thread":
                for name in self.served(frame.func.path):
                    yield Act("stop", "workqueue", name, None, frame.func, call.at, model.name, waits=True, queue=name)
        for c in model.cancels:
            yield replace(act("stop", c.what, c.on), waits=c.waits, used=result_used(frame, call))
        if model.chain_register is not None and model.chain_register.remove:
            yield replace(act("stop", "notifier", Place(base="arg", index=model.chain_register.block)), waits=True)
        ended = model.frees if model.frees is not None else model.ends
        if ended is not None and ended < len(args):
            path = rooted(frame, args[ended])
            yield Act("free", model.name, "", path, frame.func, call.at, model.name, struct=pointed(frame, path))

    def served(self, path: str) -> tuple[str, ...]:
        """The queues whose works the threads run that a file starts (``kthread_run(kthread_worker_fn, &p->worker, ..)``)."""
        got = self._served.get(path)
        if got is None:
            self._served[path] = ()
            users = {f.key: f for word in self.serving for f in self.program.functions_with(path, word)}
            got = self._served[path] = tuple(dict.fromkeys(q for f in users.values() for q in self._serves(f)))
        return got

    def _serves(self, func: Func) -> Iterator[str]:
        flow, frame = self.summaries.flow(func), self.program.frame(func)
        for seen in flow.seen if flow is not None else ():
            model = self.program.models.functions.get(seen.callee.id) if isinstance(seen.callee, Name) else None
            for r in model.registers if model is not None and seen.args else ():
                args = seen.args[0]
                if r.callback is None or r.argument is None or max(r.callback, r.argument) >= len(args):
                    continue
                if not self.serving.isdisjoint(function_names(args[r.callback])):
                    name = self.name(frame, rooted(frame, values.deref(args[r.argument])))
                    yield from (name,) if name else ()

    def by_table(self, frame: Frame, callback: Expr) -> tuple[str, ...]:
        """The functions that a member of a table may be (``tasklet_init(&q->tasklet, q->ops->run, ..)``)."""
        targets = self.summaries.calls.targets(frame, callback) if isinstance(callback, Member) else ()
        return tuple(dict.fromkeys(t.func.name for t in targets if t.func is not None))

    def queue(self, frame: Frame, path: Expr | None) -> str:
        return object_name(frame, rooted(frame, path.base if isinstance(path, Deref) else path)) if path is not None else ""

    def name(self, frame: Frame, path: Expr) -> str:
        """The class of an object; a pointer variable stands for what it points to."""
        return object_name(frame, path) or (object_name(frame, path.base) if isinstance(path, Deref) else "")

    def whole(self, frame: Frame, path: Expr) -> Expr:
        """``x->d`` for ``x->d.work``, where the API itself has put its work into another of its structs."""
        while isinstance(path, Member) and not path.arrow and path.name in self.inner and self.around_one(frame, path):
            path = path.base
        return path

    def around_one(self, frame: Frame, path: Member) -> bool:
        """Whether the header that declares what a field is also declares the struct that it belongs to, and not a library or a
        driver, for objects of its own that have one inside."""
        inner = frame.type_of(path)
        found = self.program.struct_at(frame.resolve(inner).name, frame.func.path) if inner is not None else None
        owner = frame.type_of(path.base) if found is not None else None
        whole = self.program.struct_at(frame.resolve(owner).name, frame.func.path) if owner is not None else None
        return found is not None and whole is not None and found[0] == whole[0]

    def of_the_api(self, frame: Frame, path: Member) -> bool:
        """Whether the struct that a field belongs to is one of a header for all."""
        owner = frame.type_of(path.base)
        found = self.program.struct_at(frame.resolve(owner).name, frame.func.path) if owner is not None else None
        return found is not None and found[0].startswith("include/")

    # --- one class of callbacks -------------------------------------------------------------------

    def uses(self, name: str, home: str) -> Uses:
        """What the unit and the folder of ``home`` do with a class."""
        key = (name, posixpath.dirname(home))
        got = self._uses.get(key)
        if got is None:
            got = self._uses[key] = Uses()
            word = short(name).rpartition(".")[2]
            if not owner_of(name):
                got.declared += (f for file in self.program.unit(home) for f in self.setups.declared(file, word))
            passed: list[tuple[Func, str]] = []
            for func in self.naming(word, home):
                if not owner_of(name) or self.means_member(func, word, name):
                    passed += self._use(got, func, name)
            own = {*(a.callback for a in got.setups), *(f.name for f in got.declared)}
            got.escapes += (func for func, callee in passed if callee not in own)
        return got

    def never_started(self, name: str, home: str) -> bool:
        """Whether the code that declares a struct sets one of its callbacks up and never starts it, as far as can be told."""
        owner = owner_of(name)
        found = self.program.struct_at(owner, home) if owner else None
        if found is None or posixpath.dirname(found[0]) != posixpath.dirname(home):
            return False  # a library may start it
        uses = self.uses(name, home)
        return uses.set_up and not uses.starts and not uses.escapes

    def means_member(self, func: Func, word: str, name: str) -> bool:
        """Whether a member in a function may be the one of this class, by declared types: many structs have a ``work``."""
        frame = self.program.frame(func)
        if frame.body is None or func.macro is not None:
            return True
        every = (e for whole in values.expressions(frame.body) for e in values.walk(whole))
        members = {e for e in every if isinstance(e, Member) and e.name == word}
        known = {object_name(frame, rooted(frame, frame.canonical(m, {}))).lstrip("*") for m in members}
        return not known.isdisjoint(("", name.lstrip("*")))  # a pointer to it may be the member

    def naming(self, word: str, home: str) -> Iterator[Func]:
        """Functions of the unit, and of the folder and those below it, in which a word stands, and that are compiled at all."""
        left_out = self.program.switches.left_out
        folder = posixpath.dirname(home)
        near = self.program.names.files_mentioning([word], (folder,) if folder else ()).get(word, ())
        files = dict.fromkeys([*self.program.unit(home), *(f for f in near if f.endswith(".c"))])
        self.program.load(files)
        for file in files:
            found = self.program.functions_with(file, word)
            yield from (f for f in found if not f.condition or not left_out(f.condition, f.path))

    def _use(self, uses: Uses, func: Func, name: str) -> Iterator[tuple[Func, str]]:
        """Puts the acts of a function on a class to the others.

        :return: the function, with the name of each that it passes the address to and that no model knows.
        """
        done: set[int] = set()
        for act in self.acts(func):
            if act.name == name:
                done.add(act.at)
                {"setup": uses.setups, "start": uses.starts, "stop": uses.stops}.get(act.kind, []).append(act)
        frame = self.program.frame(func)
        flow = self.summaries.flow(func)
        for seen in flow.seen if flow is not None else ():
            call = seen.event
            if not isinstance(call, Call) or call.at in done:
                continue
            for arg in seen.args[0]:
                inner = arg.operand if isinstance(arg, Cast) else arg
                if isinstance(inner, AddressOf) and self.name(frame, self.whole(frame, rooted(frame, inner.base))) == name:
                    targets = self.summaries.calls.targets(frame, seen.callee or call.callee)
                    if not targets or any(t.model is None for t in targets):
                        yield func, call.callee.id if isinstance(call.callee, Name) else ""

    # --- what is below ----------------------------------------------------------------------------

    def callees(self, func: Func) -> Iterator[Func]:
        """Functions of its own folder, of headers and macros that it calls by name."""
        folder = posixpath.dirname(func.path)
        for name in func.calls:
            for target in self.summaries.calls.named(name, func.path):
                f = target.func
                if f is not None and (posixpath.dirname(f.path) == folder or f.path.endswith(".h") or f.macro is not None):
                    yield f
        yield from self._by_index(func)

    def _by_index(self, func: Func) -> Iterator[Func]:
        """The functions of an array of its file of which it calls each in turn (``while (i--) ends[i]();``)."""
        if func.source is None or BY_INDEX.search(func.text) is None:
            return
        for call in calls_of(self.program.body(func)):
            array = call.callee.base if isinstance(call.callee, Index) else None
            found = self.program.own_variable(array.id, func.path) if isinstance(array, Name) else None
            value = found[1].value if found is not None else None
            for name in (n for _, v in (value.items if isinstance(value, Items) else ()) for n in function_names(v)):
                yield from self.program.resolve(name, func.path)

    def callers(self, func: Func) -> tuple[Func, ...]:
        """Functions that call it by name: in its unit and, of one that others may call, in its folder and those below.

        The whole tree is not asked: it takes a second for each name.
        """
        got = self._callers.get(func.key)
        if got is None:
            files = dict.fromkeys(self.program.unit(func.path))
            if not func.static:
                folder = posixpath.dirname(func.path)
                named = self.program.names.files_mentioning([func.name], (folder,) if folder else ()).get(func.name, ())
                files |= dict.fromkeys([f for f in named if f.endswith(".c")][:MAX_NAMING])
            found = [
                f for file in files for f in self.program.functions_with(file, func.name)
                if func.name in f.calls and any(r.key == func.key for r in self.program.resolve(func.name, file))
            ]  # fmt: skip
            got = self._callers[func.key] = tuple(found)
        return got

    def below(self, func: Func) -> dict[str, Func]:
        """The function and all that it reaches by name, inside its folder."""
        got = self._below.get(func.key)
        if got is None:
            got = self._below[func.key] = {func.key: func}
            todo = [func]
            while todo and len(got) < MAX_BELOW:
                for f in self.callees(todo.pop(0)):
                    if f.key not in got:
                        got[f.key] = f
                        todo.append(f)
        return got

    def passed(self, func: Func) -> Iterator[Func]:
        """Functions of the tables whose address a function passes on to what takes leave of them
        (``component_master_del(dev, &ops)``): others may run them for other objects."""
        body = self.program.body(func)
        for event in (e for block in (body.blocks if body is not None else ()) for e in block.events):
            leaves = isinstance(event, Call) and isinstance(event.callee, Name) and UNDOES.search(event.callee.id)
            for arg in event.args if leaves and isinstance(event, Call) else ():
                if not isinstance(arg, AddressOf) or not isinstance(arg.base, Name):
                    continue
                found = self.program.variable(arg.base.id, func.path)
                value = found[1].value if found is not None else None
                for name in (n for table in (tables(value) if value is not None else ()) for n in table.values()):
                    yield from self.program.resolve(name, func.path)

    def is_private(self, act: Act, owner: str) -> bool:
        """Whether what a ``free`` ends has an object of type ``owner`` as its private area, to which the function that gives it
        up has a pointer: an object of a subsystem. One that is freed by itself somewhere is none (``*shost_priv(shost) = p``)."""
        model = self.program.models.functions.get(act.api)
        if model is None or model.ends is None or act.struct == owner:
            return False
        types = (v.type for v in self.program.frame(act.func).locals.values())
        mine = any(t.name == owner and t.pointer == 1 for t in (*types, *(p.type for p in act.func.parameters)))
        return mine and not self.freed_alone(owner, act.func.path)

    def freed_alone(self, owner: str, home: str) -> bool:
        """Whether the folder frees an object of a type by itself."""
        key = (owner, posixpath.dirname(home))
        got = self._alone.get(key)
        if got is None:
            near = (f for f in self.naming(owner.rpartition(" ")[2], home) if not self.names.isdisjoint(f.calls))
            got = self._alone[key] = any(a.kind == "free" and a.struct == owner for f in near for a in self.acts(f))
        return got

    def frees(self, func: Func) -> Iterator[Act]:
        """Every ``free`` of the function and of what it reaches."""
        for f in self.below(func).values():
            if not self.names.isdisjoint(f.calls):
                yield from (a for a in self.acts(f) if a.kind == "free" and a.struct)

    def given_up(self, func: Func) -> list[Act]:
        """Objects that a function frees, or passes to what frees one of their type, each where it calls for that."""
        found = [a for a in self.acts(func) if a.kind == "free" and a.struct]
        near = {f.name: f for f in self.callees(func)}
        frame, flow = self.program.frame(func), self.summaries.flow(func) if near else None
        for seen in flow.seen if flow is not None else ():
            callee = seen.callee if isinstance(seen.event, Call) else None
            below = near.get(callee.id) if isinstance(callee, Name) else None
            for act in self.frees(below) if below is not None else ():
                passed = (rooted(frame, arg) for arg in seen.args[0])
                path = next((arg for arg in passed if pointed(frame, arg) == act.struct), None)
                if path is not None:
                    found.append(replace(act, func=func, at=seen.event.at, path=path))
        return found

    def managed(self, func: Func, owner: str) -> bool:
        """Whether below a function an object that has ``owner`` inside is allocated for as long as a driver is bound."""
        for f in self.below(func).values():
            if self.managing.isdisjoint(f.calls):
                continue
            flow = self.summaries.flow(f)
            for seen in flow.seen if flow is not None else ():
                if isinstance(seen.event, Write):
                    frame = self.program.frame(f)
                    root = root_of(seen.args[0][1])
                    call = frame.call(root.call) if isinstance(root, Result) else None
                    if call is not None and isinstance(call.callee, Name) and call.callee.id in self.managing:
                        if self.contains(pointed(frame, frame.canonical(seen.event.target, {})), owner, f.path):
                            return True
        return False

    def made_with(self, func: Func, whole: str, owner: str) -> bool:
        """Whether below a function an object of type ``whole`` is made with a private area that has ``owner`` inside
        (``dev = alloc_etherdev(sizeof(struct priv))``)."""
        for f in self.below(func).values():
            if not any("alloc" in name for name in f.calls):
                continue
            frame = self.program.frame(f)
            for event in (e for block in (frame.body.blocks if frame.body is not None else ()) for e in block.events):
                made = event.value if isinstance(event, Write) else None
                call = frame.call(made.call) if isinstance(made, Result) else None
                if call is None or not isinstance(event, Write) or pointed(frame, frame.canonical(event.target, {})) != whole:
                    continue
                if any(self.contains(size, owner, f.path) for size in sizes(frame, call.args)):
                    return True
        return False

    def contains(self, struct: str, owner: str, path: str, depth: int = 0) -> bool:
        """Whether an object of type ``struct`` has one of type ``owner`` inside, by value."""
        if struct == owner:
            return True
        found = self.program.struct_at(struct, path) if depth < MAX_FIELDS else None
        return found is not None and any(
            not f.type.pointer and not f.type.function and f.type.name.startswith(("struct ", "union "))
            and self.contains(f.type.name, owner, found[0], depth + 1)
            for f in found[1].fields
        )  # fmt: skip

    # --- operations -------------------------------------------------------------------------------

    def runs_at_release(self, func: Func) -> bool:
        """Whether a function is what the last reference to an object ends with: it stands in a table, or a member, of that name,
        or is passed to what gives a reference back (``kref_put(&x->ref, x_free)``)."""
        if any(RELEASE.search(slot) for slot, _ in self.operations(func)):
            return True
        models = self.program.models.functions
        for user in (f for file in self.program.unit(func.path) for f in self.program.functions_with(file, func.name)):
            body = self.program.body(user)
            for event in (e for block in (body.blocks if body is not None else ()) for e in block.events):
                if isinstance(event, Write) and isinstance(event.target, Member) and RELEASE.search(event.target.name):
                    if func.name in function_names(event.value):
                        return True
                elif isinstance(event, Call) and isinstance(event.callee, Name):
                    model = models.get(event.callee.id)
                    last = [i.callback for i in (model.invokes if model is not None else ()) if i.last and i.callback is not None]
                    if any(i < len(event.args) and func.name in function_names(event.args[i]) for i in last):
                        return True
        return False

    def operations(self, func: Func) -> Iterator[tuple[str, dict[str, str]]]:
        """``(field, the table's functions by field)`` for each table of its driver that holds a function."""
        beside = [f for f in self.program.files_beside(func) if f.endswith(".c")]
        for file in (*self.program.unit(func.path), *beside[:MAX_NAMING]):
            for v in self.program.initialised_with(file, func.name):
                for table in tables(v.value) if v.value is not None else ():
                    yield from ((slot, table) for slot, name in table.items() if name == func.name)


def sizes(frame: Frame, args: Iterable[Expr]) -> Iterator[str]:
    """The structs of which the size is among some arguments (``sizeof(struct T)``, ``sizeof(*p)``)."""
    for text in (a.text for a in args if isinstance(a, Text)):
        match = SIZE.search(text)
        if match is not None and match["pointer"]:
            yield pointed(frame, frame.canonical(Name(match["pointer"]), {}))
        elif match is not None:
            yield f"struct {match['struct']}"


def tables(value: Expr) -> Iterator[dict[str, str]]:
    """Functions by field of an initialiser, and of those inside it."""
    if not isinstance(value, Items):
        return
    found: dict[str, str] = {}
    for designator, item in value.items:
        while isinstance(item, Cast | AddressOf):
            item = item.operand if isinstance(item, Cast) else item.base
        if isinstance(item, Name) and designator.startswith("."):
            found[designator.rpartition(".")[2]] = item.id
        elif isinstance(item, Call):
            continue
        else:
            yield from tables(item)
    if found:
        yield found


def acts_of(model: Model) -> bool:
    """Whether a model says anything of lifetimes."""
    return bool(
        model.cancels or model.frees is not None or model.ends is not None
        or any(r.block is not None or r.starts for r in model.registers)
        or any(w.what in STOPPING for w in model.waits)
        or (model.chain_register is not None and model.chain_register.remove)
    )  # fmt: skip


def places(model: Model) -> Iterable[Place]:
    yield from (r.block for r in model.registers if r.block is not None)
    yield from (w.on for w in model.waits if w.on is not None)


def pointed(frame: Frame, pointer: Expr) -> str:
    """The struct that a pointer points to; "" for anything else."""
    type_ = frame.type_of(pointer)
    type_ = frame.resolve(type_) if type_ is not None else None
    return type_.name if type_ is not None and type_.pointer == 1 and type_.name.startswith(("struct ", "union ")) else ""


def owner_of(name: str) -> str:
    """``struct T`` of ``struct T.field``; "" for a variable."""
    head = name.lstrip("*")
    return head.partition(".")[0] if head.startswith(("struct ", "union ")) else ""


def holder(path: Expr | None) -> Expr | None:
    """The pointer ``p`` of ``p->a.b``; None without one."""
    while isinstance(path, Member | Index):
        if isinstance(path, Member) and path.arrow:
            return path.base
        path = path.base
    return path.base if isinstance(path, Deref) else None


BY_INDEX = re.compile(rb"\w\s*\[[^][]*\]\s*\(")
"""A call of what an array holds."""

SIZE = re.compile(r"\bsizeof\s*\(?\s*(?:struct\s+(?P<struct>\w+)|\*\s*(?P<pointer>\w+)\b(?!\s*(?:->|\.|\[)))")
"""The size of a struct, or of what a local points to."""

GET = re.compile(r"_(?:get|hold|ref|grab)(?:_unless_zero|_not_zero)?$|^(?:get|hold|grab)_")
"""How the kernel names what takes a reference; ``x_get_drvdata`` and the like only look something up."""

PUT = re.compile(r"(?:^|_)(?:un)?(?:put|unref|release)(?:_|$)")
"""How the kernel names what gives a reference back."""

RELEASE = re.compile(r"(?:^|_)release$")
"""Members that hold what ends an object once nobody has a reference to it (``struct device_type.release``)."""

UNDOES = re.compile(r"(?:^|_)(?:del|delete|unregister|deregister|remove)(?:_|$)")
"""How functions are named that take leave of what has been registered, and run its last functions."""
