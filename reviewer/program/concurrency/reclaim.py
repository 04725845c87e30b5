"""What runs inside reclaim and which locks it waits for; where an allocation must not have some flag."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from reviewer.parse.facts import AddressOf, Call, Event, Expr, Member, Name, Result, Write
from reviewer.program.api.models import Halts, OpsContext
from reviewer.program.concurrency.grace import owner
from reviewer.program.flow import lockflow
from reviewer.program.flow.effects import Effect, Effects
from reviewer.program.flow.lockflow import Observer, Seen, State
from reviewer.program.flow.objects import result_used
from reviewer.program.flow.summaries import Summaries, place
from reviewer.program.graph.callers import BLOCK
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import SLEEPING, Hold
from reviewer.program.linked.structs import Frame

DIRECT = "__GFP_DIRECT_RECLAIM"

MAX_FILES = 24
"""Files of a folder that are read for what runs inside reclaim."""

MAX_BESIDE = 12
"""Files of a folder that are looked at for tables with a function of another one."""


@dataclass(frozen=True, slots=True)
class InReclaim:
    """A function that runs inside reclaim, and one lock that it waits for. ``flags``: allocations without one of these do not
    lead there. ``how``: what calls it. ``idle``: it is called for an object that nobody uses; whether a filesystem
    ever lets reclaim have its inodes (one that lives in memory does not) cannot be told."""

    func: Func
    how: str
    flags: tuple[str, ...]
    effect: Effect
    idle: bool = False


class Reclaim:
    """Memoised by folder and file."""

    def __init__(self, summaries: Summaries, effects: Effects) -> None:
        self.summaries = summaries
        self.program = summaries.program
        self.effects = effects
        self._kept: dict[str, frozenset[str]] = {}
        self._locks: dict[str, dict[str, InReclaim]] = {}
        self._slots: dict[str, dict[str, list[tuple[str, OpsContext]]]] = {}

    # --- masks ------------------------------------------------------------------------------------

    def asks(self, effect: Effect, flags: tuple[str, ...]) -> bool:
        """Whether an allocation is known to have direct reclaim and all these flags, the scopes on the way counted."""
        if effect.kind != "alloc" or effect.what is None:
            return False
        known, value = values.known_bits(effect.what)
        for flag in {DIRECT, *flags}:
            bit = self.program.gfp.value(flag)
            if flag in effect.cleared or not bit or not known & value & bit:
                return False
        return True

    # --- scopes -----------------------------------------------------------------------------------

    def kept_in(self, struct: str, path: str) -> frozenset[str]:
        """Flags that a scope takes away of which an object of a struct keeps what was before (``tp->flags =
        memalloc_nofs_save();``): whoever has such an object is in the scope."""
        got = self._kept.get(struct)
        if got is None:
            found = self.program.struct_at(struct, path) if struct.startswith("struct ") else None
            folder = posixpath.dirname(found[0]) if found is not None and not found[0].startswith("include/") else ""
            got = self._kept[struct] = frozenset(self._kept_by(struct, folder)) if folder else frozenset()
        return got

    def _kept_by(self, struct: str, folder: str) -> Iterator[str]:
        entering = {n: m.gfp_scope.clears for n, m in self.program.models.functions.items() if m.gfp_scope and m.gfp_scope.enter}
        named = self.program.names.files_mentioning(entering, (folder,))
        for file in dict.fromkeys(f for files in named.values() for f in files if posixpath.dirname(f) == folder):
            for func in (f for name in entering for f in self.program.functions_with(file, name)):
                flow = self.summaries.flow(func)
                if flow is None or any(e.state.locks for e in flow.endings):
                    continue  # it goes with a lock, and not with the object
                for seen in flow.seen:
                    target, value = seen.args[0] if isinstance(seen.event, Write) else (None, None)
                    call = flow.frame.call(value.call) if isinstance(value, Result) else None
                    if call is not None and isinstance(target, Member) and isinstance(call.callee, Name):
                        type_ = flow.frame.type_of(target.base)
                        if type_ is not None and flow.frame.resolve(type_).name == struct:
                            yield from entering.get(call.callee.id, ())

    # --- tables -----------------------------------------------------------------------------------

    def slots(self, file: str) -> dict[str, list[tuple[str, OpsContext]]]:
        """The functions that a file puts into modelled tables: key to ``(struct T.field, what is said of it)``."""
        got = self._slots.get(file)
        if got is None:
            got = self._slots[file] = {}
            text = self.program.text(file)
            for ops in self.program.models.ops:
                for slot in ops.ops:
                    struct, _, field = slot.rpartition(".")
                    if field.encode() not in text or struct.encode() not in text:
                        continue
                    for func in self.summaries.calls.in_file(file, struct, field):
                        got.setdefault(func.key, []).append((slot, ops))
        return got

    def stands_in(self, func: Func) -> list[tuple[str, OpsContext]]:
        """The modelled tables with a function, in its own file or, of one that others may name, in files beside it."""
        files = {func.path: None}
        folder = posixpath.dirname(func.path)
        if not func.static and folder:
            named = self.program.names.files_mentioning([func.name], (folder,)).get(func.name, ())
            files |= dict.fromkeys(f for f in named if posixpath.dirname(f) == folder and f.endswith(".c"))
        return [said for file in list(files)[:MAX_BESIDE] for said in self.slots(file).get(func.key, ())]

    def roots(self, file: str) -> Iterator[tuple[Func, str, tuple[str, ...], bool]]:
        """Functions of a file that run inside reclaim: ``(function, how, flags, idle)``."""
        found = {f.key: f for f in self.program.functions_in(file)} if self.slots(file) else {}
        for key, said in self.slots(file).items():
            for slot, ops in said:
                if ops.reclaim and key in found:
                    flags = ops.reclaim
                    text = found[key].source
                    assert text is not None
                    if any(f.key == key for f in self.program.functions_with(file, "gfp_mask")):
                        flags = tuple(dict.fromkeys((*flags, "__GFP_IO", "__GFP_FS")))
                    yield found[key], slot, flags, ops.idle
        yield from self._notifiers(file)

    def _notifiers(self, file: str) -> Iterator[tuple[Func, str, tuple[str, ...], bool]]:
        """Callbacks of chains that are called inside reclaim, where the file itself registers one."""
        chains = {o.chain for o in self.program.models.obligations if o.in_reclaim}
        if BLOCK[1].encode() not in self.program.text(file):
            return
        callbacks = {f.key: f for f in self.summaries.calls.in_file(file, *BLOCK)}
        if not callbacks:
            return
        for func in self.program.functions_in(file):
            for name in func.calls:
                for chain in chains if "notif" in name else ():
                    for target in self.program.resolve(name, file):
                        if any(f.key == target.key for f in self.program.functions_with(target.path, chain)):
                            for callback in callbacks.values():
                                yield callback, chain, (DIRECT,), False
                            return

    # --- locks ------------------------------------------------------------------------------------

    def locks(self, file: str) -> dict[str, InReclaim]:
        """Locks (:func:`lock_key`) that something in the folder of a file waits for inside reclaim."""
        folder = posixpath.dirname(file)
        got = self._locks.get(folder)
        if got is None:
            got = self._locks[folder] = {}
            for path in self._files(folder):
                for func, how, flags, idle in self.roots(path):
                    self._of_root(got, func, how, flags, idle)
        return got

    def _files(self, folder: str) -> list[str]:
        words = [slot.rpartition(".")[2] for ops in self.program.models.ops if ops.reclaim for slot in ops.ops]
        words += sorted(o.chain for o in self.program.models.obligations if o.in_reclaim)
        words.append(BLOCK[1])
        named = self.program.names.files_mentioning(words, (folder,) if folder else ())
        found = dict.fromkeys(f for word in words for f in named.get(word, ()))
        return [f for f in found if f.endswith(".c") and posixpath.dirname(f) == folder][:MAX_FILES]

    def _of_root(self, into: dict[str, InReclaim], func: Func, how: str, flags: tuple[str, ...], idle: bool) -> None:
        flow = self.summaries.flow(func)
        for seen in flow.seen if flow is not None else ():
            for effect in self.effects.at(func, seen):
                hold = effect.hold
                if effect.kind != "acquire" or hold is None or not hold.name or hold.kind not in SLEEPING:
                    continue
                if hold.taken != "lock" or effect.doubt > 1:
                    continue
                if idle and own(self.program.frame(func), hold.lock):
                    continue
                into.setdefault(lock_key(hold), InReclaim(func, how, flags, effect, idle))

    # --- sections in which something stands still --------------------------------------------------

    def halting(self, func: Func) -> bool:
        """Whether a function itself makes something stand still."""
        named = self.program.models.functions
        return any(n in named and named[n].halts is not None for n in func.calls)

    def halted(self, func: Func) -> dict[int, tuple[Halts, int]]:
        """For the number of each call that is made in such a section: what was done, and where."""
        watch = Watch(self)
        lockflow.run(self.program.frame(func), self.summaries, observer=watch)
        return watch.found


class Watch(Observer):
    """What stands still on the path."""

    def __init__(self, reclaim: Reclaim) -> None:
        self.reclaim = reclaim
        self.found: dict[int, tuple[Halts, int]] = {}
        self.known: dict[tuple[Expr, int], Halts] = {}

    def start(self) -> object:
        return frozenset()

    def event(self, frame: Frame, event: Event, state: State, args: tuple[Expr, ...]) -> object:
        still: frozenset[tuple[Expr, int]] = state.extra  # type: ignore[assignment]
        if not isinstance(event, Call):
            return still
        model = self.reclaim.program.model(event.callee.id) if isinstance(event.callee, Name) else None
        halts = model.halts if model is not None else None
        if halts is None:
            for key in still:
                self.found.setdefault(event.number, (self.known[key], key[1]))
            return still
        if halts.object is None and not halts.enter:
            return frozenset()  # whatever it was, it does not stand still any more
        object_ = place(halts.object, args) if halts.object is not None else None
        object_ = object_ if object_ is not None else values.UNKNOWN
        if halts.enter and result_used(frame, event):
            return still  # since v6.14 it opens a scope and returns what to restore
        if halts.enter:
            self.known[object_, event.at] = halts
            return still | {(object_, event.at)}
        return frozenset(k for k in still if k[0] != object_)


def own(frame: Frame, lock: Expr) -> bool:
    """Whether a lock lies in the object that is the function's first parameter."""
    whole = owner(frame, AddressOf(lock))
    return isinstance(whole, Name) and whole.id == "%0"


def lock_key(hold: Hold) -> str:
    """The class of a lock; of one inside a lock of the tree's own making, with the member that this is."""
    lock = hold.lock
    inside = isinstance(lock, Member) and not lock.arrow and isinstance(lock.base, Member)
    return f"{hold.name} of {lock.base.name}" if inside else hold.name  # type: ignore[union-attr]


def calls(seen: Seen) -> str:
    """The name that an event calls, "" for anything else."""
    event = seen.event
    if not isinstance(event, Call):
        return ""
    return event.callee.id if isinstance(event.callee, Name) else values.show(event.callee)
