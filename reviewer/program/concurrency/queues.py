"""Work queues that run one work at a time: two of their works never wait for each other, for one of them does not run. And those
that stand still while the system sleeps."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from reviewer.parse.facts import Call, Const, Expr, Name, Result, Write
from reviewer.program.api.models import Registers
from reviewer.program.concurrency.awaited import Waited
from reviewer.program.concurrency.entries import Entries
from reviewer.program.flow.effects import Effect
from reviewer.program.flow.objects import object_name, rooted
from reviewer.program.flow.setups import block_of
from reviewer.program.flow.summaries import place
from reviewer.program.graph.nearby import Nearby
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame

FREEZABLE = "WQ_FREEZABLE"
"""The flag of a queue that is frozen with the system (include/linux/workqueue.h)."""

CALLERS = 2
"""Callers of a function, one above the other, that are asked what runs them."""


class Queues:
    """Memoised by object."""

    def __init__(self, waited: Waited, entries: Entries, nearby: Nearby) -> None:
        self.waited = waited
        self.entries = entries
        self.nearby = nearby
        self.program = waited.program
        self._found: dict[str, str] = {}
        self._frozen: dict[str, bool] = {}

    def apart(self, asked: Func, effect: Effect) -> bool:
        """Whether ``asked``, which is a work, or is called by such works alone, and the work that its effect waits for are put on
        one ordered queue, and on no other."""
        queue = next((self._queue(f, object_name(f, rooted(f, what))) for f, what in self.waited.objects(asked, effect)), "")
        return bool(queue) and self._runs_on(asked, queue, CALLERS)

    def _runs_on(self, func: Func, queue: str, levels: int) -> bool:
        """Whether a function is run by works of a queue and by nobody else."""
        if self.entries.of(func):
            return self.of_function(func) == queue
        callers = {s.caller.key: s.caller for s in self.nearby.of(func).sites} if levels and self._at_home(func) else {}
        return bool(callers) and all(self._runs_on(caller, queue, levels - 1) for caller in callers.values())

    def _at_home(self, func: Func) -> bool:
        """Whether nobody outside its folder names a function."""
        folder = posixpath.dirname(func.path)
        found = self.program.names.files_mentioning([func.name]).get(func.name, ()) if not func.static else ()
        return all(posixpath.dirname(f) == folder for f in found)

    def frozen(self, asked: Func, effect: Effect) -> bool:
        """Whether the work that an effect waits for is put on queues alone that are frozen before devices are suspended, and
        thawed after they are resumed (kernel/power/process.c, freeze_processes())."""
        for frame, what in self.waited.objects(asked, effect):
            name = object_name(frame, rooted(frame, what))
            if name:
                if name not in self._frozen:
                    queues = {queue: inner for queue, inner, _ in self._put_on(frame, name)}
                    self._frozen[name] = bool(queues) and all(self._freezes(inner, q) for q, inner in queues.items())
                return self._frozen[name]
        return False

    def _freezes(self, frame: Frame, queue: str) -> bool:
        """Whether whatever is stored under this name is a queue that freezes."""
        word = queue.rpartition(":")[2].rpartition(".")[2]
        home = self.program.variable(word, frame.func.path) if word and "." not in queue else None
        elsewhere = self.program.functions_with(home[0], word) if home is not None and home[0] != frame.func.path else ()
        made = 0
        for func in (*self.waited.users(frame, queue), *elsewhere) if queue else ():
            inner = self.program.frame(func)
            bit = self.program.enumerator(FREEZABLE, func.path)
            for call in self._makers(inner, queue):
                flags = [inner.canonical(a, {}) for a in call.args]
                if bit is None or not any(isinstance(a, Const) and a.value & bit for a in flags):
                    return False
                made += 1
        return made > 0

    def of_function(self, func: Func) -> str:
        """The ordered queue of all works that are set up to run a function; "" if it is started otherwise, too."""
        queues: set[str] = set()
        for entry in self.entries.of(func):
            if entry.how != "work" or not entry.function:
                return ""
            for user in self.program.functions_with(entry.path, func.name):
                frame = self.program.frame(user)
                for args, r in self._calls(frame):
                    if r.callback is not None and r.callback < len(args) and args[r.callback] == frame.name(func.name):
                        where = block_of(r.block, args) if r.block is not None else None
                        name = object_name(frame, rooted(frame, where)) if where is not None else ""
                        queues.add(self._queue(self.program.frame(func), name))
        return queues.pop() if len(queues) == 1 else ""

    def _queue(self, frame: Frame, name: str) -> str:
        """The name of the one ordered queue that a work item is put on near a function; "" for none, or several."""
        if not name:
            return ""
        got = self._found.get(name)
        if got is None:
            put = list(self._put_on(frame, name))
            queues = {queue: inner for queue, inner, _ in put}
            got = ""
            if len(queues) == 1:
                queue, inner = queues.popitem()
                if queue and (all(r.in_order for _, _, r in put) or self._ordered(inner, queue)):
                    got = queue
            self._found[name] = got
        return got

    def _put_on(self, frame: Frame, name: str) -> Iterator[tuple[str, Frame, Registers]]:
        """The queues that a work item is put on: the name of each, where, and by what."""
        for func in self.waited.users(frame, name):
            inner = self.program.frame(func)
            for args, r in self._calls(inner):
                where = block_of(r.block, args) if r.starts and r.block is not None else None
                if where is not None and object_name(inner, rooted(inner, where)) == name:
                    queue = place(r.queue, args) if r.queue is not None else None
                    name_of = object_name(inner, rooted(inner, queue)) if queue is not None else ""
                    yield name_of.lstrip("*"), inner, r

    def _ordered(self, frame: Frame, queue: str) -> bool:
        """Whether every queue that is stored under this name runs one work at a time."""
        made = 0
        for func in self.waited.users(frame, queue):
            for call in self._makers(self.program.frame(func), queue):
                model = self.program.model(call.callee.id) if isinstance(call.callee, Name) else None
                if model is None or not model.in_order:
                    return False
                made += 1
        return made > 0

    @staticmethod
    def _makers(frame: Frame, queue: str) -> Iterator[Call]:
        """The calls of a function whose result it stores under a name."""
        for block in frame.body.blocks if frame.body is not None else ():
            for event in block.events:
                if isinstance(event, Write) and isinstance(event.value, Result):
                    call = frame.call(event.value.call)
                    if call is not None and object_name(frame, rooted(frame, frame.canonical(event.target, {}))) == queue:
                        yield call

    def _calls(self, frame: Frame) -> Iterator[tuple[tuple[Expr, ...], Registers]]:
        """Calls of a function that set up or queue a work, with canonical arguments."""
        models = self.program.models.functions
        if not any((m := models.get(c)) is not None and m.registers for c in frame.func.calls):
            return
        for block in frame.body.blocks if frame.body is not None else ():
            for event in block.events:
                if isinstance(event, Call) and isinstance(event.callee, Name):
                    model = models.get(event.callee.id)
                    for r in model.registers if model is not None else ():
                        if r.how == "work":
                            yield tuple(frame.canonical(a, {}) for a in event.args), r
