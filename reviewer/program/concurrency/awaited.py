"""Who is waited for: the functions behind a work item, a timer, an interrupt, a thread, a queue or a completion.

Found by the API models where the object is set up, in the files that know it; nothing is guessed from names.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from reviewer.parse.facts import Call, Cast, Deref, Expr, Index, Member, Name, Result, Write
from reviewer.program.api.models import Registers, Waits
from reviewer.program.concurrency import attributes
from reviewer.program.flow.effects import OPERATIONS, Effect
from reviewer.program.flow.lockflow import Flow, Seen, seen_at
from reviewer.program.flow.objects import object_name, rooted, short
from reviewer.program.flow.precedence import always_first, comes_first
from reviewer.program.flow.settled import uncast
from reviewer.program.flow.setups import Setups, block_of
from reviewer.program.flow.summaries import Summaries, place
from reviewer.program.linked.calls import function_names
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame

MAX_FILES = 16
"""Files of one folder in which an object's users are looked for."""


BY_VALUE = ("irq", "thread", "workqueue")
"""What a number or a pointer stands for that users keep in a variable: the variable is what two functions have in common."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """A function that has to end before the waiter goes on. ``doubt``: 0 where the object was told apart by its name, and runs
    nothing else. ``item``: the name of the work or timer."""

    func: Func
    how: str
    doubt: int = 0
    item: str = ""


@dataclass(frozen=True, slots=True)
class Signal:
    """A call that ends a wait for a completion."""

    func: Func
    seen: Seen


class Waited:
    """Memoised by object and by the file that waits: who else knows the object is asked near that file."""

    def __init__(self, setups: Setups) -> None:
        self.setups = setups
        self.summaries: Summaries = setups.summaries
        self.program = setups.program
        self._found: dict[tuple[str, ...], tuple[Awaited, ...]] = {}
        self._apart: dict[tuple[str, str], bool] = {}

    def of(self, asked: Func, effect: Effect) -> tuple[Awaited, ...]:
        """The functions that the wait of an effect, seen from ``asked``, is for; none if that cannot be told."""
        wait = effect.wait
        if wait is None:
            return ()
        if wait == OPERATIONS:
            return tuple(self._operations(effect))
        for frame, what in self.objects(asked, effect):
            if wait.what == attributes.KIND:
                return tuple(Awaited(f, wait.what) for f in attributes.callbacks(self.program, frame.func.path, what))
            name = object_name(frame, rooted(frame, what))
            if wait.what in BY_VALUE:
                name = name.removeprefix("*")
            if name:
                whole = within(frame, rooted(frame, what)) if wait.what == "irq" else ()
                key = (wait.what, name, *whole, frame.func.path)
                got = self._found.get(key)
                if got is None:
                    self._found[key] = ()
                    got = self._found[key] = tuple(self._search(frame, wait, what, name, whole))
                if got or wait.what != "thread":
                    return got
        return self._only_thread(effect.func.path) if wait.what == "thread" else ()

    def _operations(self, effect: Effect) -> Iterator[Awaited]:
        for invokes in self.program.models.comes_back[effect.name]:
            if invokes.waited:
                field = invokes.table.rpartition(".")[2]
                for target in self.summaries.calls.beside(invokes.table, effect.func.path):
                    if target.func is not None:
                        yield Awaited(target.func, f"{field} operation", 0 if target.sure else 1)

    def objects(self, asked: Func, effect: Effect) -> Iterator[tuple[Frame, Expr]]:
        """The object that is waited for, as the waiting function names it, then as ``asked`` does."""
        assert effect.wait is not None
        frame = self.program.frame(effect.func)
        flow = self.summaries.flow(effect.func)
        found: list[Expr] = []
        for seen in flow.seen if flow is not None else ():
            if isinstance(seen.event, Call) and seen.event.at == effect.at and effect.wait.on is not None:
                for args in seen.args[:1]:
                    what = block_of(effect.wait.on, args)
                    if what is not None:
                        found.append(what)
                        yield frame, what
        if effect.wait.what in BY_VALUE and found:
            yield from ((frame, home) for home in came_from(flow, found))
        if effect.what is not None:
            what = effect.what
            for _ in effect.wait.on.path if effect.wait.on is not None else ():
                what = what.base if isinstance(what, Member) else what
            yield self.program.frame(asked), what

    def _search(self, frame: Frame, wait: Waits, what: Expr, name: str, whole: tuple[str, ...]) -> Iterator[Awaited]:
        if wait.what in ("work", "timer", "tasklet", "urb", "napi"):
            found = self.setups.of(frame, what)
            for func in found:  # a struct that is there for its work has as many functions as users
                yield Awaited(func, wait.what, min(len(found) - 1, 2), item=name)
        elif wait.what == "irq":
            yield from self._handlers(frame, name, whole)
        elif wait.what == "thread":
            yield from self._threads(frame, name)
        elif wait.what == "workqueue":
            yield from self._queued(frame, name)

    # --- interrupts, threads, queues --------------------------------------------------------------

    def users(self, frame: Frame, name: str) -> Iterator[Func]:
        """Functions near a file that name an object, by the last word of its name."""
        word = short(name).rpartition(".")[2].rpartition(":")[2].lstrip("*")
        path = frame.func.path
        files = list(self.program.unit(path))
        folder = posixpath.dirname(path)
        if folder and name.lstrip("*").startswith(("struct ", "union ")):
            named = self.program.names.files_mentioning([word], (folder,)).get(word, ())
            near = [f for f in named if f not in files and f.endswith(".c") and posixpath.dirname(f) == folder]
            files = [f for f in files if f in named or posixpath.dirname(f) != folder] + near
        files = [*(f for f in files if f.endswith(".c")), *(f for f in files if not f.endswith(".c"))][:MAX_FILES]
        self.program.load(files)
        for file in files:
            yield from self.program.functions_with(file, word)

    def _models(self, func: Func, how: tuple[str, ...]) -> Iterator[tuple[Call, tuple[Expr, ...], Registers]]:
        """Calls in a function that register a callback of one of these kinds, with canonical arguments."""
        if not any(self._registers(c, how) for c in func.calls):
            return
        frame = self.program.frame(func)
        for block in frame.body.blocks if frame.body is not None else ():
            for event in block.events:
                if isinstance(event, Call) and isinstance(event.callee, Name):
                    for r in self._registers(event.callee.id, how):
                        yield event, tuple(frame.canonical(a, {}) for a in event.args), r

    def _registers(self, callee: str, how: tuple[str, ...]) -> list[Registers]:
        model = self.program.models.functions.get(callee)
        return [r for r in (model.registers if model is not None else ()) if r.how in how]

    def _callbacks(self, args: tuple[Expr, ...], registers: Registers, path: str) -> Iterator[Func]:
        if registers.callback is not None and registers.callback < len(args):
            for word in function_names(args[registers.callback]):
                yield from self.program.resolve(word, path)

    def _handlers(self, frame: Frame, name: str, whole: tuple[str, ...]) -> Iterator[Awaited]:
        """Handlers of an interrupt: by the number's object; else, with doubt, the only ones that the unit requests.

        Where several objects of a type have one each, ``whole`` says which is meant (``queue->entry.vector``, not
        ``device->entry.vector``). A file that requests one itself is a driver of its own, beside others that have one in the same
        struct of their library (``port->irq``).
        """
        kinds = ("irq", "threaded_irq")
        exact: list[Awaited] = []
        closer: list[Awaited] = []
        own: list[Awaited] = []
        rest: list[Awaited] = []
        requests: set[tuple[str, int]] = set()
        units = [f for file in self.program.unit(frame.func.path) for f in self.program.functions_in(file)]
        for func in {f.key: f for f in (*self.users(frame, name), *units)}.values():
            inner = self.program.frame(func)
            for call, args, registers in self._models(func, kinds):
                same = any(object_name(inner, rooted(inner, a)) == name for a in args if not isinstance(a, Name))
                requests.add((func.key, call.number))
                for callback in self._callbacks(args, registers, func.path):
                    (exact if same else rest).append(Awaited(callback, registers.how, 0 if same else 1))
                    if same and len(whole) > 1 and whole in self._wholes(func, call):
                        closer.append(exact[-1])
                    if same and func.path == frame.func.path:
                        own.append(exact[-1])
        yield from closer or own or exact or (rest if len(requests) == 1 else ())

    def _wholes(self, func: Func, call: Call) -> Iterator[tuple[str, ...]]:
        """The arguments of a call by the outermost structs that they are in, where locals say so (``entry = &queue->entry;``)."""
        flow = self.summaries.flow(func)
        frame = self.program.frame(func)
        for seen in flow.seen if flow is not None else ():
            if isinstance(seen.event, Call) and seen.event.number == call.number:
                for argument in seen.args[0]:
                    yield within(frame, rooted(frame, argument))

    def _threads(self, frame: Frame, name: str) -> Iterator[Awaited]:
        """Functions of a thread whose task is stored in the object."""
        for func in self.users(frame, name):
            inner = self.program.frame(func)
            started = {
                call.number: list(self._callbacks(args, registers, func.path))
                for call, args, registers in self._models(func, ("kthread",))
            }
            homes: dict[int, list[Expr]] = {}
            flow = self.summaries.flow(func) if started else None
            for seen in flow.seen if flow is not None else ():
                for target, value in seen.args if isinstance(seen.event, Write) else ():
                    thread = uncast(value)
                    if isinstance(thread, Result) and thread.call in started:
                        homes.setdefault(thread.call, []).append(target)
            for number, targets in homes.items():
                kept = [t for t in targets if not isinstance(t, Name)]  # a local is only on the way to where the thread is kept
                if kept and all(object_name(inner, rooted(inner, t)) != name for t in kept):
                    continue
                for callback in started[number]:
                    yield Awaited(callback, "kthread", int(not kept))

    def _only_thread(self, path: str) -> tuple[Awaited, ...]:
        """The thread of a file that starts one and stops it, wherever it is kept between; none if there may be two."""
        key = ("thread", "", path)
        if key not in self._found:
            started = {
                (func.key, call.number): tuple(self._callbacks(args, registers, path))
                for func in self.program.functions_in(path) for call, args, registers in self._models(func, ("kthread",))
            }  # fmt: skip
            run = {f.key: f for given in started.values() for f in given}
            known = all(started.values()) and len(run) == 1
            self._found[key] = tuple(Awaited(f, "kthread", 1) for f in run.values() if known)
        return self._found[key]

    def _queued(self, frame: Frame, name: str) -> Iterator[Awaited]:
        """What is put on a work queue."""
        for func in self.users(frame, name):
            inner = self.program.frame(func)
            for _, args, registers in self._models(func, ("work",)):
                if not registers.starts or registers.block is None:
                    continue
                if any(object_name(inner, rooted(inner, a)) == name for a in args):
                    where = block_of(registers.block, args)
                    item = object_name(inner, rooted(inner, where)) if where is not None else ""
                    for callback in self.setups.of(inner, where):
                        yield Awaited(callback, "work", item=item)

    def waited_apart(self, near: Func, item: str) -> bool:
        """Whether somebody waits for a work by itself, not for its queue."""
        frame = self.program.frame(near)
        key = item, near.path
        if key not in self._apart:
            self._apart[key] = any(
                object_name(inner, rooted(inner, where)) == item
                for func in self.users(frame, item) for inner in [self.program.frame(func)]
                for where in self._waits_for(inner, "work")
            )  # fmt: skip
        return self._apart[key]

    def _waits_for(self, frame: Frame, what: str) -> Iterator[Expr]:
        """The objects that a function itself waits for."""
        models = self.program.models.functions
        waiting = {c: m.waits for c in frame.func.calls if (m := models.get(c)) is not None and m.waits}
        for block in frame.body.blocks if waiting and frame.body is not None else ():
            for event in block.events:
                if isinstance(event, Call) and isinstance(event.callee, Name):
                    for wait in waiting.get(event.callee.id, ()):
                        where = block_of(wait.on, event.args) if wait.what == what and wait.on is not None else None
                        if where is not None:
                            yield frame.canonical(where, {})

    def too_early(self, effect: Effect, awaited: Awaited) -> bool:
        """Whether a queue is only just made where it is waited for (the error path of whoever makes it), and the work that is
        put on it is not even set up: the same function does that later, or has done so, puts none on it and destroys it again.
        """
        frame = self.program.frame(effect.func)
        flow = self.summaries.flow(effect.func)
        here = seen_at(flow, effect.at)
        if flow is None or here is None or not here.args or effect.wait is None or effect.wait.on is None:
            return False
        queue = block_of(effect.wait.on, here.args[0])
        name = object_name(frame, rooted(frame, queue)).removeprefix("*") if queue is not None else ""
        made = name and any(
            isinstance(s.event, Write) and isinstance(s.event.value, Result) and always_first(frame, s, here)
            and object_name(frame, rooted(frame, s.args[0][0])) == name
            for s in flow.seen
        )  # fmt: skip
        if not made:
            return False
        setting = [
            s for s in flow.seen
            if isinstance(s.event, Call) and isinstance(s.event.callee, Name)
            for r in self._registers(s.event.callee.id, ("work",))
            if r.callback is not None and r.callback < len(s.event.args)
            and awaited.func.name in function_names(s.event.args[r.callback])
        ]  # fmt: skip
        if not setting or not any(comes_first(frame, s, here) for s in setting):
            return bool(setting)
        model = self.program.models.functions.get(effect.name)
        goes = model is not None and model.frees is not None
        return goes and not any(r.starts for c in frame.func.calls for r in self._registers(c, ("work",)))

    # --- completions ------------------------------------------------------------------------------

    def signals(self, asked: Func, effect: Effect) -> Iterator[Signal]:
        """The calls that complete what an effect waits for."""
        for frame, what in self.objects(asked, effect):
            name = object_name(frame, rooted(frame, what))
            if not name:
                continue
            for func in self.users(frame, name):
                if not any((m := self.program.models.functions.get(c)) is not None and m.signals for c in func.calls):
                    continue
                inner = self.program.frame(func)
                flow = self.summaries.flow(func)
                for seen in flow.seen if flow is not None else ():
                    event = seen.event
                    if not isinstance(event, Call) or not isinstance(event.callee, Name):
                        continue
                    model = self.program.models.functions.get(event.callee.id)
                    for signal in model.signals if model is not None else ():
                        on = place(signal.on, seen.args[0])
                        if signal.what == "completion" and on is not None and object_name(inner, rooted(inner, on)) == name:
                            yield Signal(func, seen)
            return


def came_from(flow: Flow | None, found: list[Expr]) -> Iterator[Expr]:
    """The members that locals were read from (``task = rig->task; rig->task = NULL; kthread_stop(task);``)."""
    for seen in flow.seen if flow is not None else ():
        for target, value in seen.args if isinstance(seen.event, Write) else ():
            if isinstance(target, Name) and target in found and isinstance(value, Member):
                yield value


def within(frame: Frame, path: Expr) -> tuple[str, ...]:
    """The name of an object from the outermost struct that a pointer is to: ``struct queue.entry``, ``vector``."""
    inner: list[str] = []
    path = path.base if isinstance(path, Deref) else path
    while isinstance(path, Member | Cast | Index):
        if isinstance(path, Member):
            if path.arrow or not isinstance(path.base, Member | Index):
                return (object_name(frame, path), *reversed(inner))
            inner.append(path.name)
        path = path.operand if isinstance(path, Cast) else path.base
    return ()
