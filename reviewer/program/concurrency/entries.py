"""What starts a function by itself, and in which context: an interrupt, a timer, a softirq, an operation called atomically.

From registrations and tables, by the API models; of a table that no model knows, from the locks around the calls through it.
Only the files are read that can name the function for that purpose: its own unit and, unless it is static, its folder.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from reviewer.parse.facts import AddressOf, Binary, Branch, Call, Deref, Expr, Index, Items, Member, Name, Switch, Write
from reviewer.program.api.models import Held, Irq, Operation, Registers
from reviewer.program.concurrency.attributes import words
from reviewer.program.graph.callers import BLOCK, CallerSearch, means, names_function, stripped
from reviewer.program.graph.contexts import CallSite
from reviewer.program.graph.nearby import Nearby
from reviewer.program.graph.notified import Notified, named
from reviewer.program.graph.upward import ATOMIC, RESTRICTION
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import OUTSIDE, Hold, lock_class, outside

MAX_FILES = 12
"""Files of its folder in which the registration of a function that is not static is looked for."""

MAX_SLOTS = 2
"""Tables of one function whose callers' locks are asked for."""

MAX_CALLS = 8
"""Calls through a table that are taken for the callers of each function in it."""

MAX_TABLES = 40
"""Files with a table of a type; of one that more files have (``file_operations``), the callers are no secret to anybody."""

MAX_DRIVERS = 120
"""The same where the locks around every single call are asked for."""

ABOVE = 3
"""Levels of callers above a call through a table that are asked what they hold."""

ONE_DRIVER = 3
"""Files of a folder with a table of a type, up to which the folder is that of one driver."""

MASKED: dict[Irq, str] = {"task": "", "atomic": "", "softirq": "bh", "hardirq": "irq", "nmi": "irq"}
"""What a context keeps out of its CPU by itself."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One way in which a function is started, other than by a call that names it.

    ``how``: work, timer, irq, napi ... or ``struct T.field``. ``by``: the API function, or the function whose call through the
    table was found. ``masks``: "" , bh or irq: what cannot come in between. ``hold``: what its caller holds, if that has a name;
    one that holds two locks is two entries.
    ``doubt``: 0 where the context is certain. ``alone``: nobody else runs, and all locks are free. ``path``, ``line``,
    ``function``: the registration.
    """

    context: Irq
    how: str
    by: str
    masks: str
    path: str
    line: int
    function: str = ""
    hold: Hold | None = None
    doubt: int = 0
    alone: bool = False

    @property
    def atomic(self) -> bool:
        return self.context != "task"


@dataclass(frozen=True, slots=True)
class Slot:
    """The function stands in ``struct T.field``. ``table``: the variable or member that has it, "" where that has no name;
    ``whole``: of a member, with the name of its struct."""

    struct: str
    field: str
    path: str
    line: int
    function: str = ""
    table: str = ""
    whole: str = ""


@dataclass(frozen=True, slots=True)
class Around:
    """``hold`` is held around ``site``, a call of the function through a table; ``without``: other such calls."""

    entry: Entry
    hold: Hold
    site: CallSite
    without: tuple[CallSite, ...]


class Entries:
    """Memoised by function."""

    def __init__(self, search: CallerSearch, nearby: Nearby | None = None) -> None:
        """:param nearby: of a review, which asks about few functions, so that the locks around tables are learned, too."""
        self.search = search
        self.nearby = nearby
        self.program = search.program
        self.summaries = search.summaries
        self.notified = Notified(self.program)
        self._alone = {o.chain for o in self.program.models.obligations if o.alone}
        self._made: dict[str, tuple[Entry, ...]] = {}
        self._slots: dict[str, tuple[Slot, ...]] = {}
        self._held: dict[str, tuple[tuple[Entry, Hold], ...]] = {}
        self._around: dict[str, tuple[Around, ...]] = {}
        self._above: dict[tuple[str, int], tuple[Hold, ...]] = {}
        self._learned: dict[tuple[str, str, str], Entry | None] = {}
        models = self.program.models.functions.values()
        self._suffixes = sorted({suffix for m in models for r in m.registers for suffix in r.suffix})
        self._prefixed = [m for m in models if any(r.prefix is not None for r in m.registers)]

    def of(self, func: Func) -> tuple[Entry, ...]:
        """The ways in which ``func`` is started, by the models."""
        got = self._made.get(func.key)
        if got is None:
            slots: list[Slot] = []
            found = list(dict.fromkeys(self._search(func, slots))) if func.macro is None else []
            got = self._made[func.key] = tuple(found)
            self._slots[func.key] = tuple(dict.fromkeys(slots))
        return got

    def strictest(self, func: Func) -> Entry | None:
        """The entry in whose context least is allowed, the surest first; None where all are tasks."""
        atomic = [e for e in self.of(func) if e.atomic]
        return min(atomic, key=lambda e: (e.doubt, -RESTRICTION[e.context]), default=None)

    def held(self, func: Func) -> tuple[tuple[Entry, Hold], ...]:
        """The locks that are held by those who call the function through a table, by the models, each once; the lock of an object
        by the parameter that is that object, if there is one."""
        got = self._held.get(func.key)
        if got is None:
            entries = {e.hold.name: e for e in reversed(self.of(func)) if e.hold is not None and e.hold.name}
            got = self._held[func.key] = tuple((e, self._own(func, e.hold)) for e in entries.values() if e.hold is not None)
        return got

    def held_for_sure(self, func: Func) -> tuple[tuple[Entry, Hold], ...]:
        """The same and, in a review, what is held around every call through a table that no model knows."""
        known = self.held(func)
        learned = [(a.entry, a.hold) for a in self.around(func) if not a.without] if self.nearby is not None else []
        return (*known, *(both for both in learned if all(both[1].name != h.name for _, h in known)))

    def _own(self, func: Func, hold: Hold) -> Hold:
        struct, dot, field = hold.name.partition(".")
        if not dot or not struct.startswith("struct "):
            return hold
        frame = self.program.frame(func)
        for i, parameter in enumerate(func.parameters):
            type_ = frame.resolve(parameter.type)
            if type_.name == struct and type_.pointer == 1:
                lock: Expr = Name(f"%{i}")
                for n, name in enumerate(field.split(".")):
                    lock = values.member(lock, name, n == 0)
                return replace(hold, lock=lock)
        return hold

    def slots(self, func: Func) -> tuple[Slot, ...]:
        """The tables with the function of which no model knows the context."""
        self.of(func)
        return self._slots.get(func.key, ())

    def callers(self, func: Func) -> Iterator[CallSite]:
        """The calls through the tables with the function, where there are few."""
        for slot in self.slots(func)[:MAX_SLOTS]:
            sites, cut = self.search.through(slot.struct, slot.field, slot.path)
            if not cut and len(sites) <= MAX_CALLS:
                yield from sites

    def run_by(self, func: Func) -> Iterator[CallSite]:
        """The calls in its own unit of what runs an operation, at once and without a sleep, for which the function stands in a
        table (``snd_pcm_period_elapsed()`` in an interrupt may stop the stream)."""
        tables = {f"{s.struct.partition('@')[0]}.{s.field}" for s in self.slots(func)} | {e.by for e in self.of(func)}
        models = self.program.models.functions
        apis = {api for t in tables for api in self.program.runners.get(t, ()) if api in models and not models[api].may_sleep}
        apis = {api for api in apis if any(i.table in tables for i in models[api].invokes)}
        for file in self.program.unit(func.path) if apis else ():
            for caller in {f.key: f for api in sorted(apis) for f in self.program.functions_with(file, api)}.values():
                for seen in self.summaries.calls_in(caller, "masks"):
                    call = seen.event
                    if isinstance(call, Call) and isinstance(call.callee, Name) and call.callee.id in apis:
                        yield CallSite(caller, call, seen.must(), seen.may(), how=call.callee.id)

    def around(self, func: Func) -> tuple[Around, ...]:
        """Of a function in tables that no model knows: the locks that are held by those who call through one of these, in terms
        of its parameters, each once."""
        got = self._around.get(func.key)
        if got is None:
            found: dict[tuple[Expr, str], Around] = {}
            for slot in self.slots(func)[:MAX_SLOTS]:
                for one in self._held_through(slot):
                    found.setdefault((one.hold.lock, one.hold.mode), one)
            got = self._around[func.key] = tuple(found.values())
        return got

    def _held_through(self, slot: Slot) -> Iterator[Around]:
        if len(self.program.files_initialising(slot.struct, slot.path)) > MAX_DRIVERS:
            return
        through, cut = self.search.through(slot.struct, slot.field, slot.path)
        if cut or len(through) > MAX_CALLS or any(self._of_fellow(s, slot) for s in through):
            return
        held = [{(h.lock, h.mode): h for h in self._as_passed(site)} for site in through]
        how = f"{slot.struct.partition('@')[0]}.{slot.field}"
        for site, here in zip(through, held, strict=True):
            for key, hold in here.items():
                caller = site.caller
                entry = Entry("task", how, caller.name, "", caller.path, site.line, caller.name, hold)
                without = tuple(s for s, there in zip(through, held, strict=True) if key not in there)
                yield Around(entry, hold, site, without)

    def _as_passed(self, site: CallSite) -> Iterator[Hold]:
        """The locks that are held at a call, in terms of what it passes; others than these, and those that are there once, the
        callee does not know."""
        args = self.arguments(site) if site.must else ()
        for hold in site.must:
            lock = passed(hold.lock, args)
            if lock is not None:
                yield replace(hold, lock=lock, at=0, where=OUTSIDE)
        for hold in self.above(site.caller):
            if all(hold.name != h.name for h in site.must):
                yield replace(hold, at=0, where=OUTSIDE)

    def above(self, func: Func, levels: int = ABOVE) -> tuple[Hold, ...]:
        """Of the locks that are there once, those that everybody holds who calls a function, or says that he does; none where
        somebody else may call it."""
        key = func.key, levels
        got = self._above.get(key)
        if got is None and self.nearby is not None:
            self._above[key] = ()
            got = self._above[key] = tuple(self._found_above(func, levels, self.nearby))
        return got or ()

    def _found_above(self, func: Func, levels: int, nearby: Nearby) -> Iterator[Hold]:
        yield from (h for h in self.search.contexts.asserted(func) if is_one(h.lock))
        known = nearby.of(func)
        if known.open or not known.sites or not levels:
            return
        held = [
            {(h.name, h.mode): h for h in (*s.seen.must(), *self.above(s.caller, levels - 1)) if h.name and is_one(h.lock)}
            for s in known.sites
        ]  # fmt: skip
        yield from (h for key, h in held[0].items() if all(key in other for other in held[1:]))

    def arguments(self, site: CallSite) -> tuple[Expr, ...]:
        """What a call passes, in terms of the function that makes it."""
        flow = self.summaries.flow(site.caller)
        seen = (s for s in flow.seen if isinstance(s.event, Call) and s.event.at == site.call.at) if flow is not None else ()
        return next((s.args[0] for s in seen if s.args), ())

    def learned(self, func: Func) -> Entry | None:
        """Of a function in a table: the lock that those who call through it hold, where they must not sleep."""
        for slot in self.slots(func)[:MAX_SLOTS]:
            key = (slot.struct, slot.field, posixpath.dirname(slot.path))
            if key not in self._learned:
                self._learned[key] = None
                self._learned[key] = self._from_calls(slot)
            found = self._learned[key]
            if found is not None:
                return found
        return None

    def _from_calls(self, slot: Slot) -> Entry | None:
        if len(self.program.files_initialising(slot.struct, slot.path)) > MAX_TABLES:
            return None
        through, cut = self.search.through(slot.struct, slot.field, slot.path)
        sites = [s for s in through if not self._of_fellow(s, slot) and not self._filled_by_caller(s, slot)]
        atomic = [(s, next((h for h in s.must if h.kind in ATOMIC), None)) for s in sites]
        holding = [(s, h) for s, h in atomic if h is not None]
        if not holding:
            return self._from_interrupts(sites, f"{slot.struct.partition('@')[0]}.{slot.field}", 1) if not cut else None
        site, hold = holding[0]
        doubt = int(len(holding) < len(sites))
        if doubt and all(self._chosen(s) for s, _ in holding):
            doubt = 2
        irq = any(h.irq in ("off", "save") for s, _ in holding[:1] for h in s.must)
        masks = "irq" if irq else "bh" if any(h.irq == "bh" for h in site.must) else ""
        return Entry(
            "atomic", f"{slot.struct.partition('@')[0]}.{slot.field}", site.caller.name, masks, site.caller.path,
            site.line, site.caller.name, replace(hold, where=OUTSIDE), doubt + bool(cut),
        )  # fmt: skip

    def _from_interrupts(self, sites: Sequence[CallSite], how: str, doubt: int) -> Entry | None:
        """What is called by these alone, who are interrupts or softirqs; None if one of them may be anything else."""
        started = [self._started(site.caller) for site in sites]
        known = [(site, entry) for site, entry in zip(sites, started, strict=True) if entry is not None]
        if not known or len(known) < len(sites):
            return None
        site, entry = min(known, key=lambda k: RESTRICTION[k[1].context])
        caller = site.caller
        return Entry(entry.context, how, caller.name, entry.masks, caller.path, site.line, caller.name, None, doubt + entry.doubt)

    def _started(self, func: Func, levels: int = 3) -> Entry | None:
        """What starts a function that only ever runs in an interrupt or a softirq, itself or by its callers of the same file."""
        entries = self.of(func)
        if entries or self.slots(func) or not func.static or not levels:
            atomic = [e for e in entries if e.context in ("softirq", "hardirq", "nmi")]
            only = len(atomic) == len(entries) and not self.slots(func)
            return min(atomic, key=lambda e: (RESTRICTION[e.context], e.doubt), default=None) if only else None
        callers = [f for f in self.program.functions_with(func.path, func.name) if f.key != func.key]
        if not all(func.name in f.calls for f in callers):
            return None
        above = [self._started(f, levels - 1) for f in callers]
        known = [e for e in above if e is not None]
        return min(known, key=lambda e: RESTRICTION[e.context]) if known and len(known) == len(above) else None

    def _of_fellow(self, site: CallSite, slot: Slot) -> bool:
        """Whether the pointer to the table that is called through is kept in an object of a fellow driver: its type is known in
        another folder only, which has tables of the kind, too. A core that drivers register with has none."""
        callee = stripped(site.call.callee)
        table = callee.base if isinstance(callee, Member) else None
        if not isinstance(table, Member):
            return False
        frame = self.program.frame(site.caller)
        keeper = frame.type_of(frame.canonical(table.base, {}))
        name = frame.resolve(keeper).name if keeper is not None else ""
        found = self.program.struct_at(name.partition("@")[0], site.caller.path) if name else None
        home = posixpath.dirname(found[0]) if found is not None else ""
        if not home or "/include/" in f"/{home}/" or slot.path.startswith(home + "/"):
            return False
        making = (
            *self.program.files_initialising(slot.struct, slot.path),
            *self.program.files_assigning(slot.struct, slot.field, slot.path),
        )  # fmt: skip
        return any(posixpath.dirname(f) == home for f in making)

    def _filled_by_caller(self, site: CallSite, slot: Slot) -> bool:
        """Whether the caller's file puts functions of its own where it calls (``fc->read = pci_read;``), and is a fellow
        driver's: neither there nor beside the other one is the struct at home, as it would be in a core that has defaults."""
        callee = stripped(site.call.callee)
        if not isinstance(callee, Member) or isinstance(callee.base, Member):
            return False
        found = self.program.struct_at(slot.struct.partition("@")[0], site.caller.path)
        folders = posixpath.dirname(found[0]) if found is not None else "", posixpath.dirname(slot.path)
        here = posixpath.dirname(site.caller.path)
        if not folders[0] or "/include/" in f"/{folders[0]}/" or len({here, *folders}) < 3:
            return False
        return next(iter(self.summaries.calls.in_file(site.caller.path, slot.struct, slot.field)), None) is not None

    def _chosen(self, site: CallSite) -> bool:
        """Whether the caller looks at a word beside the pointer that it calls through (``switch (cb->type)``): then it is meant
        for some of the functions only."""
        callee = site.call.callee
        body = self.program.body(site.caller)
        if body is None or not isinstance(callee, Member):
            return False
        table = callee.base if isinstance(callee.base, Member) else callee  # map->ops->f(), and map->type says which
        objects, names = (callee.base, table.base), (callee.name, table.name)
        for block in body.blocks:
            asked = block.exit.value if isinstance(block.exit, Switch) else None
            if isinstance(block.exit, Branch) and isinstance(block.exit.condition, Binary):
                asked = block.exit.condition.left if block.exit.condition.op in ("==", "!=") else None
            if isinstance(asked, Member) and asked.base in objects and asked.name not in names:
                return True
        return False

    # --- where it is registered -------------------------------------------------------------------

    def _search(self, func: Func, slots: list[Slot]) -> Iterator[Entry]:
        name = func.name
        for file in (*self.program.unit(func.path), *self.program.files_beside(func)[:MAX_FILES]):
            if name.encode() not in self.program.text(file):
                continue
            if all(f.key != func.key for f in self.program.resolve(name, file) or (func,)):
                continue  # another function of that name is meant
            for use in self.program.file(file).uses_with(name):
                for index, arg in enumerate(use.args):
                    if arg == Name(name):
                        yield from self._registered(use.name, index, file, use.line, "")
            yield from self._pasted(name, file)
            for v in self.program.initialised_with(file, name):
                if isinstance(v.value, Items):
                    for struct, field, _ in self.search.slots(v.value, v.type, file, name):
                        yield from self._in_slot(Slot(struct, field, file, v.line, "", v.name), slots)
            for user in self.program.functions_with(file, name):
                yield from self._in_body(func, user, slots)

    def _pasted(self, name: str, file: str) -> Iterator[Entry]:
        """The function's name is put together by a macro at file scope (``DEVICE_ATTR_RO(state)`` for ``state_show``)."""
        for suffix in self._suffixes:
            word = name.removesuffix(suffix)
            for use in self.program.file(file).uses_with(word) if word != name else ():
                model = self.program.models.functions.get(use.name)
                for r in model.registers if model is not None else ():
                    given = use.args[r.callback : r.callback + 1] if r.callback is not None and r.prefix is None else ()
                    if suffix in r.suffix and given == (Name(word),):
                        yield from entries_of(r, use.name, file, use.line, "")
        if not any(map(name.endswith, self._suffixes)):
            return
        for model in self._prefixed:
            for use in self.program.file(file).uses(model.name):
                for r in model.registers:
                    if r.prefix is not None and name in words(use.args, r):
                        yield from entries_of(r, use.name, file, use.line, "")

    def _in_body(self, func: Func, user: Func, slots: list[Slot]) -> Iterator[Entry]:
        body = self.program.body(user)
        if body is None or not means(body, func.name):
            return
        frame = self.program.frame(user)
        for v in body.locals:
            if isinstance(v.value, Items):
                for struct, field, _ in self.search.slots(v.value, v.type, user.path, func.name):
                    yield from self._in_slot(Slot(struct, field, user.path, user.line + v.line, user.name, v.name), slots)
        for block in body.blocks:
            for event in block.events:
                line = user.line_of(event.at)
                if isinstance(event, Call):
                    for index, arg in enumerate(event.args):
                        if names_function(arg, func) and isinstance(event.callee, Name):
                            yield from self._registered(event.callee.id, index, user.path, line, user.name)
                elif isinstance(event, Write) and isinstance(event.value, Items):
                    type_ = event.value.type or frame.type_of(frame.canonical(event.target, {}))
                    if type_ is not None:
                        for struct, field, _ in self.search.slots(event.value, frame.resolve(type_), user.path, func.name):
                            yield from self._in_slot(Slot(struct, field, user.path, line, user.name, named(event.target)), slots)
                elif isinstance(event, Write) and isinstance(event.target, Member) and names_function(event.value, func):
                    owner = frame.type_of(frame.canonical(event.target.base, {}))
                    if owner is not None:
                        struct = frame.resolve(owner).name
                        table = event.target.base
                        whole = lock_class(frame, frame.canonical(table, {})) if isinstance(table, Member) else ""
                        slot = Slot(struct, event.target.name, user.path, line, user.name, named(table), whole)
                        yield from self._in_slot(slot, slots)

    def _registered(self, api: str, index: int, path: str, line: int, function: str, depth: int = 0) -> Iterator[Entry]:
        """The function is an argument of a call: of a modelled API, or of a wrapper that passes it on."""
        model = self.program.models.functions.get(self.program.models.meant(api))
        if model is not None:
            for r in model.registers:
                if r.callback == index and not self._excused(r, path):
                    yield from entries_of(r, model.name, path, line, function)
            for i in model.invokes:
                if i.callback == index and (i.context != "task" or i.holds):
                    for hold in outside(i.holds):
                        yield Entry(i.context, api, model.name, MASKED[i.context], path, line, function, hold)
            return
        if depth:
            return
        for receiver in self.program.resolve(api, path)[:1]:
            if index >= len(receiver.parameters):
                continue
            word = receiver.parameters[index].name
            body = self.program.body(receiver)
            for block in body.blocks if body is not None else ():
                for event in block.events:
                    if isinstance(event, Call) and isinstance(event.callee, Name) and event.callee.id != api:
                        for at, arg in enumerate(event.args):
                            if stripped(arg) == Name(word):
                                yield from self._registered(event.callee.id, at, receiver.path, line, function, depth + 1)
                    elif isinstance(event, Write) and event.op == "=" and stripped(event.value) == Name(word):
                        yield from self._kept(event.target, receiver, api)

    def _kept(self, target: Expr, receiver: Func, api: str) -> Iterator[Entry]:
        """The function is put into a variable of the receiver's file, or array, and called from it in interrupts only."""
        while isinstance(target, Index):
            target = target.base
        if not isinstance(target, Name):
            return
        frame = self.program.frame(receiver)
        variable = frame.canonical(target, {})
        if not isinstance(variable, Name) or not variable.id.startswith("::"):
            return
        sites: list[CallSite] = []
        for user in self.program.functions_with(receiver.path, target.id):
            for seen in self.summaries.calls_in(user) if user.key != receiver.key else ():
                callee = stripped(seen.callee) if seen.callee is not None else None
                while isinstance(callee, Index | Deref):
                    callee = callee.base
                if callee == variable and isinstance(seen.event, Call):
                    sites.append(CallSite(user, seen.event, seen.must(), seen.may()))
        # Nobody else can see a static variable; nor, as a rule, call by another one that is not.
        entry = self._from_interrupts(sites, f"{api}()", 0)
        if entry is not None:
            yield entry

    def _in_slot(self, slot: Slot, slots: list[Slot]) -> Iterator[Entry]:
        struct = slot.struct.partition("@")[0]
        if (struct, slot.field) == BLOCK and slot.table:
            yield from self._on_chains(slot)
        operation = self.program.models.operations.get(f"{struct}.{slot.field}")
        if operation is None:
            if struct.startswith("struct ") and "<anon:" not in struct:
                slots.append(slot)
        elif not self._excused(operation, slot.path):
            masks = operation.masks or MASKED[operation.context]
            held = [*operation.holds, *self._among(operation, slot.path)]
            if not held and operation.holds_among and not operation.sure:
                return  # of those who register themselves by another name nothing is known
            for hold in outside(held, slot.path):
                yield Entry(
                    operation.context, operation.table, operation.table, masks, slot.path, slot.line, slot.function, hold,
                    int(not operation.sure), operation.alone,
                )  # fmt: skip

    def _on_chains(self, slot: Slot) -> Iterator[Entry]:
        """A notifier's callback, by the kind of the chain: an atomic one is called under RCU, whoever calls it. When the machine
        goes down, it may be that nobody minds."""
        for joined in self.notified.chains(slot.table, slot.path, slot.whole):
            if joined.kind == "atomic":
                how, doubt = f"notifier chain {joined.chain}", int(joined.chain in self._alone)
                yield Entry("atomic", how, joined.api, "", joined.path, joined.line, joined.function, None, doubt)

    def _among(self, operation: Operation, path: str) -> list[Held]:
        """What is held around the operations of those who register themselves by a name that the unit has; the file where the
        lock is at home calls them."""
        texts = [self.program.text(f) for f in self.program.unit(path) if f.endswith(".c")] if operation.holds_among else []
        return [
            held for word, held in operation.holds_among.items()
            if held.lock.partition(":")[0] != path and any(word.encode() in text for text in texts)
        ]  # fmt: skip

    def _excused(self, by: Operation | Registers, path: str) -> bool:
        """Whether the unit of a file has a word that asks for another context; or the rest of the driver, where that has no table
        of the kind itself."""
        texts = [self.program.text(f) for f in self.program.unit(path)] if by.unless else []
        if any(word.encode() in text for text in texts for word in by.unless):
            return True
        folder = posixpath.dirname(path)
        if not by.unless or not folder or not isinstance(by, Operation):
            return False
        tables = {f for f in self.program.files_initialising(by.table.rpartition(".")[0], path) if posixpath.dirname(f) == folder}
        if len(tables) > ONE_DRIVER:
            return False
        named = self.program.names.files_mentioning(by.unless, (folder,))
        beside = {f for files in named.values() for f in files if posixpath.dirname(f) == folder and f.endswith(".c")}
        return bool(beside.difference(tables))


def entries_of(registers: Registers, api: str, path: str, line: int, function: str) -> Iterator[Entry]:
    masks = registers.masks or MASKED[registers.context]
    for hold in outside(registers.holds):
        yield Entry(registers.context, registers.how, api, masks, path, line, function, hold, int(not registers.sure))


def is_one(lock: Expr) -> bool:
    """Whether a lock is a variable, which is there once."""
    return isinstance(lock, Name) and lock.id.startswith("::")


def passed(lock: Expr, args: tuple[Expr, ...]) -> Expr | None:
    """A lock of the caller as the callee names it, by the argument that leads to it; None if none does."""
    if is_one(lock):
        return lock
    if lock in args:
        return Name(f"%{args.index(lock)}")
    if not isinstance(lock, Member):
        return None
    if not lock.arrow and AddressOf(lock.base) in args:
        return values.member(Name(f"%{args.index(AddressOf(lock.base))}"), lock.name, True)
    base = passed(lock.base, args)
    return values.member(base, lock.name, lock.arrow) if base is not None else None
