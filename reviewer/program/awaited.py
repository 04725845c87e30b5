"""Who is waited for: the functions behind a work item, a timer, an interrupt, a thread, a queue or a completion.

Found by the API models where the object is set up, in the files that know it; nothing is guessed from names.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from reviewer.parse.facts import Call, Expr, Member, Name, Result, Write
from reviewer.program.calls import function_names
from reviewer.program.effects import Effect
from reviewer.program.link import Func
from reviewer.program.lockflow import Seen
from reviewer.program.models import Registers, Waits
from reviewer.program.objects import object_name, rooted, short
from reviewer.program.setups import Setups, block_of
from reviewer.program.structs import Frame
from reviewer.program.summaries import Summaries, place

MAX_FILES = 16
"""Files of one folder in which an object's users are looked for."""


BY_VALUE = ("irq", "thread", "workqueue")
"""What a number or a pointer stands for that users keep in a variable: the variable is what two functions have in common."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """A function that has to end before the waiter goes on. ``doubt``: 0 where the object was told apart by its name, and runs
    nothing else."""

    func: Func
    how: str
    doubt: int = 0


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
        self._found: dict[tuple[str, str, str], tuple[Awaited, ...]] = {}

    def of(self, asked: Func, effect: Effect) -> tuple[Awaited, ...]:
        """The functions that the wait of an effect, seen from ``asked``, is for; none if that cannot be told."""
        wait = effect.wait
        if wait is None:
            return ()
        for frame, what in self.objects(asked, effect):
            name = object_name(frame, rooted(frame, what))
            if wait.what in BY_VALUE:
                name = name.removeprefix("*")
            if name:
                key = (wait.what, name, frame.func.path)
                got = self._found.get(key)
                if got is None:
                    self._found[key] = ()
                    got = self._found[key] = tuple(self._search(frame, wait, what, name))
                return got
        return ()

    def objects(self, asked: Func, effect: Effect) -> Iterator[tuple[Frame, Expr]]:
        """The object that is waited for, as the waiting function names it, then as ``asked`` does."""
        assert effect.wait is not None
        frame = self.program.frame(effect.func)
        flow = self.summaries.flow(effect.func)
        for seen in flow.seen if flow is not None else ():
            if isinstance(seen.event, Call) and seen.event.at == effect.at and effect.wait.on is not None:
                for args in seen.args[:1]:
                    what = block_of(effect.wait.on, args)
                    if what is not None:
                        yield frame, what
        if effect.what is not None:
            what = effect.what
            for _ in effect.wait.on.path if effect.wait.on is not None else ():
                what = what.base if isinstance(what, Member) else what
            yield self.program.frame(asked), what

    def _search(self, frame: Frame, wait: Waits, what: Expr, name: str) -> Iterator[Awaited]:
        if wait.what in ("work", "timer", "tasklet"):
            found = self.setups.of(frame, what)
            for func in found:  # a struct that is there for its work has as many functions as users
                yield Awaited(func, wait.what, min(len(found) - 1, 2))
        elif wait.what == "irq":
            yield from self._handlers(frame, name)
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

    def _handlers(self, frame: Frame, name: str) -> Iterator[Awaited]:
        """Handlers of an interrupt: by the number's object; else, with doubt, the only ones that the unit requests."""
        kinds = ("irq", "threaded_irq")
        exact: list[Awaited] = []
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
        yield from exact if exact else rest if len(requests) == 1 else ()

    def _threads(self, frame: Frame, name: str) -> Iterator[Awaited]:
        """Functions of a thread whose task is stored in the object."""
        for func in self.users(frame, name):
            inner = self.program.frame(func)
            started = {
                call.number: list(self._callbacks(args, registers, func.path))
                for call, args, registers in self._models(func, ("kthread",))
            }
            for block in inner.body.blocks if started and inner.body is not None else ():
                for event in block.events:
                    if isinstance(event, Write) and isinstance(event.value, Result) and event.value.call in started:
                        target = inner.canonical(event.target, {})
                        if object_name(inner, rooted(inner, target)) == name or isinstance(target, Name):
                            for callback in started[event.value.call]:
                                yield Awaited(callback, "kthread", int(isinstance(target, Name)))

    def _queued(self, frame: Frame, name: str) -> Iterator[Awaited]:
        """What is put on a work queue."""
        for func in self.users(frame, name):
            inner = self.program.frame(func)
            for _, args, registers in self._models(func, ("work",)):
                if not registers.starts or registers.block is None:
                    continue
                if any(object_name(inner, rooted(inner, a)) == name for a in args):
                    where = block_of(registers.block, args)
                    for callback in self.setups.of(inner, where):
                        yield Awaited(callback, "work")

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

