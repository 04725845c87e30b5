"""Where a lock class is taken: by itself, and by those who call a function that returns with it held."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field

from reviewer.errors import InputError
from reviewer.parse.facts import StructDef
from reviewer.program.flow.lockflow import Flow
from reviewer.program.graph.callers import CallerSearch
from reviewer.program.index.linkage import ASIDE
from reviewer.program.linked.link import Func, Program
from reviewer.program.linked.locks import Hold

MAX_FILES = 200
"""Files that name the lock (its struct, for a field) and are searched."""

MAX_WRAPPERS = 8
"""Functions that return with the lock held whose callers count, too (``rtnl_lock``)."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A function that takes the lock, at ``line`` of its file; ``hold`` says how."""

    func: Func
    hold: Hold
    line: int


@dataclass(slots=True)
class Takers:
    """Everyone who takes one lock class. ``cut``: what was left out, for people."""

    lock: str
    home: str
    places: list[Taken] = field(default_factory=list)
    cut: dict[str, None] = field(default_factory=dict)

    @property
    def functions(self) -> list[Func]:
        return list({t.func.key: t.func for t in self.places}.values())


def lock_named(program: Program, name: str) -> tuple[str, str]:
    """``(class, file that declares it)`` of a lock as reports write it; a static may go without its file.

    :raises InputError: the tree has no such lock, or several statics of that name.
    """
    if name.startswith(("struct ", "union ")):
        struct, _, member = name.partition(".")
        for file, found in _structs(program, struct):
            if _has(found, member):
                return name, file
        raise _no_lock(program, name)
    file, _, word = name.rpartition(":")
    variable, _, rest = word.partition(".")
    homes = [file] if file else [f for f in program.names.files_defining(variable) if f.split("/", 1)[0] not in ASIDE]
    program.load(homes)
    classes: dict[str, str] = {}
    for home in homes:
        found_at = program.file(home).variable(variable)
        if found_at is not None and not found_at.extern:
            classes[f"{home}:{word}" if found_at.static else word] = home
        elif file and rest and program.functions(home, variable):
            classes[name] = home  # a function's static
    if not file and name in classes:
        return name, classes[name]
    if len(classes) > 1:
        raise InputError(f"{name} is a static of several files", f"name one: {', '.join(sorted(classes)[:6])}")
    if not classes:
        raise _no_lock(program, name)
    return next(iter(classes.items()))


def _structs(program: Program, struct: str) -> Iterator[tuple[str, StructDef]]:
    """The definitions of a struct: those of headers by the index of definitions, else by who names it."""
    tag = struct.split(" ", 1)[1]
    files = program.names.files_defining_struct(tag)
    for file in files or program.names.files_mentioning([tag]).get(tag, ())[:MAX_FILES]:
        found = program.file(file).struct(struct)
        if found is not None and found.fields:
            yield file, found


def _has(struct: StructDef, member: str) -> bool:
    """Whether a struct may have that member; what its anonymous members hold is not looked into."""
    return any(not f.name or f.name == member.partition(".")[0] for f in struct.fields)


def _no_lock(program: Program, name: str) -> InputError:
    mend = 'write it as reports do: oom_lock, mm/oom_kill.c:name, "struct page.lock"'
    struct, _, member = name.partition(".")
    if name.startswith("struct ") and member:
        for _, found in _structs(program, struct):
            close = difflib.get_close_matches(member, [f.name for f in found.fields], 1)
            if close:
                mend = f"did you mean {struct}.{close[0]}?"
    return InputError(f"the tree has no lock {name}", mend)


def takers(search: CallerSearch, name: str) -> Takers:
    """Everyone who takes the lock.

    :raises InputError: the tree has no such lock.
    """
    program = search.program
    lock, home = lock_named(program, name)
    result = Takers(lock, home)
    wrappers: list[Func] = []
    for func in _candidates(program, lock, result):
        flow = search.summaries.flow(func)
        if flow is None:
            continue
        for hold in _acquired(flow, lock):
            result.places.append(Taken(func, hold, func.line_of(hold.at)))
        if any(h.name == lock and not h.where for e in flow.endings for h in e.state.locks):
            wrappers.append(func)
    search.prefetch(wrappers[:MAX_WRAPPERS])
    known = {t.func.key for t in result.places}
    for wrapper in wrappers[:MAX_WRAPPERS]:
        callers = search.of(wrapper)
        result.cut.update(callers.cut)
        for caller in dict.fromkeys(s.caller for s in callers.sites):
            flow = search.summaries.flow(caller)
            if caller.key in known or flow is None:
                continue
            known.add(caller.key)
            result.places.extend(Taken(caller, h, caller.line_of(h.at)) for h in _acquired(flow, lock))
    if len(wrappers) > MAX_WRAPPERS:
        result.cut[f"the callers of {len(wrappers) - MAX_WRAPPERS} functions that return with {lock} held"] = None
    return result


def _candidates(program: Program, lock: str, result: Takers) -> Iterator[Func]:
    word = lock.rpartition(":")[2].rpartition(".")[2]
    if lock.startswith(("struct ", "union ")):
        tag = lock.split(" ", 1)[1].partition(".")[0]
        named = program.names.files_mentioning([tag, word])
        files = [f for f in named.get(word, ()) if f in set(named.get(tag, ()))]
    elif "/" in lock:
        files = list(program.unit(lock.rpartition(":")[0]))
    else:
        files = list(program.names.files_mentioning([word]).get(word, ()))
    files = [f for f in files if f.split("/", 1)[0] not in ASIDE]
    if len(files) > MAX_FILES:
        result.cut[f"{len(files) - MAX_FILES} of {len(files)} files that name {lock}"] = None
        files = files[:MAX_FILES]
    program.load(files)
    for file in files:
        for func in program.functions_with(file, word):
            if any(_takes(program, c) for c in func.calls):
                yield func


def _takes(program: Program, callee: str) -> bool:
    model = program.models.functions.get(callee)
    return callee in GUARDS or (model is not None and bool(model.takes))


GUARDS = frozenset({"guard", "scoped_guard", "scoped_cond_guard"})
"""Declarations that take a lock until the end of their scope (include/linux/cleanup.h): a shape of C by now."""


def _acquired(flow: Flow, lock: str) -> list[Hold]:
    """The acquisitions of a lock class in one function, in the order of their places."""
    found: dict[int, Hold] = {}
    for worlds in (*(s.held for s in flow.seen), [e.state.locks for e in flow.endings]):
        for world in worlds:
            for h in world:
                if h.name == lock:
                    found.setdefault(h.at, h)
    return [found[at] for at in sorted(found)]
