"""Which functions the general rules look at: those of some files, or what a patch touches, and who calls them.

A hazard that a function brings is often seen in its caller, who holds the lock.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from reviewer.checks.analysis import Analysis
from reviewer.checks.focus import Focus
from reviewer.parse.facts import Call, Items, Name
from reviewer.program.api.models import Function as Model
from reviewer.program.flow.setups import block_of, last_name
from reviewer.program.index.change import KEYWORDS, Change
from reviewer.program.index.linkage import ASIDE, by_distance, module_of, reachable, subsystem
from reviewer.program.linked.calls import function_names
from reviewer.program.linked.link import Func, Program
from reviewer.program.linked.written import calls_of

LEVELS = 4
"""Levels of callers that are looked at."""

MAX_FILES = 24
"""Files that name one function and are looked at for callers, the nearest first. What more files name is an API of its own, and
whoever changes how it may be called knows its users."""

TABLES, MAX_CALLS = 2, 4
"""How many tables on a way upwards are followed, and calls through one that are."""

MAX_CALLERS = 240
"""Callers that are looked at."""


def of_files(analysis: Analysis, files: Iterable[str], above: bool = True) -> list[Func]:
    """The functions of ``files`` and, with ``above``, the callers elsewhere of those that do more than compute."""
    program, names = analysis.program, analysis.summaries.names
    inside = [func for file in files for func in program.functions_in(file)]
    if not above:
        return inside
    acting = [f for f in inside if names.calls_indirectly(f) or names.horizon.has(acts, f, LEVELS)]
    return list({f.key: f for f in (*inside, *with_callers(program, acting))}.values())


def acts(model: Model) -> bool:
    """Whether a modelled call does anything that its callers could have to know of."""
    return not model.pure


def touched(program: Program, changes: Mapping[str, Change]) -> list[Func]:
    """The functions that changed files make others, by path; those that call what is declared otherwise; and their callers."""
    chosen: list[Func] = []
    for path, change in changes.items():
        if not program.content.exists(path):
            continue
        words = change.outside - KEYWORDS
        told = calls_told_otherwise(program, path, change)
        for func in program.functions_in(path):
            called = words and func.source is not None and not words.isdisjoint(func.calls)
            if func.name in change.functions or called or not told.isdisjoint(func.calls):
                chosen.append(func)
    return with_callers(program, chosen, True)


def calls_told_otherwise(program: Program, path: str, change: Change) -> frozenset[str]:
    """The APIs that sleep or not as an object's maker has been told, if a change tells one otherwise (``.fast_io = true``)."""
    models = program.models.functions
    told = [m.makes for m in models.values() if m.makes is not None and not change.outside.isdisjoint(m.makes.unless)]
    words = {struct.split(" ", 1)[1].encode() for makes in told for struct in makes.told_by}
    if not any(word in program.text(path) for word in words):
        return frozenset()
    return frozenset(name for name, m in models.items() if m.sleeps_by is not None)


def waiting(analysis: Analysis, functions: Iterable[Func], known: Collection[str]) -> list[Func]:
    """Functions of other files of the driver, or the subsystem, than those ``known`` that name what one of these is set up for (a
    work, a timer), or the queue of such a work, and wait for something: what a callback takes its waiter must not hold."""
    program, found = analysis.program, dict[str, Func]()
    models = program.models.functions
    for func in functions:
        words = analysis.shared.setups.words(func)
        folder = module_of(func.path).rstrip("/") or subsystem(func.path)
        named = program.names.files_mentioning(words, (folder,) if folder else ()) if words else {}
        queues = frozenset(q for word, files in named.items() for q in queues_of(program, word, files)) - words - {""}
        named |= program.names.files_mentioning(queues, (folder,)) if queues and folder else {}
        for word, files in named.items():
            others = [f for f in files if f.endswith(".c") and f not in known and reachable(func.path, f)]
            near = by_distance(others, func.path)
            for file in near[:MAX_FILES]:
                for user in program.functions_with(file, word):
                    waits = (w for name in user.calls if name in models for w in models[name].waits)
                    if any(word not in queues or w.what == "workqueue" for w in waits):
                        found[user.key] = user
    return list(found.values())


def queues_of(program: Program, work: str, files: Iterable[str]) -> Iterator[str]:
    """Names of the members and variables in which the queues stand that a work of that name is put on: whoever waits for one need
    not name the work."""
    models = program.models.functions
    for user in (u for file in list(files)[:MAX_FILES] if file.endswith(".c") for u in program.functions_with(file, work)):
        if not any(r.queue is not None for name in user.calls if name in models for r in models[name].registers):
            continue
        for call in calls_of(program.frame(user).body):
            model = models.get(call.callee.id) if isinstance(call.callee, Name) else None
            for r in model.registers if model is not None else ():
                if r.queue is not None and r.block is not None and r.queue.base == "arg":
                    item, queue = (block_of(place, call.args) for place in (r.block, r.queue))
                    if item is not None and queue is not None and last_name(item) == work:
                        yield last_name(queue)


def with_callers(program: Program, functions: Iterable[Func], tables: bool = False) -> list[Func]:
    """The functions, and who calls them, several levels up; with ``tables`` also by what runs the operations of one, and who
    passes one to a function that may call it."""
    chosen = {func.key: func for func in functions}
    first = frozenset(chosen) if tables else frozenset[str]()
    level, added = list(chosen.values()), 0
    for _ in range(LEVELS):
        following: list[Func] = []
        outward = [f.name for f in level if not f.confined and f.source is not None]
        named = program.names.files_mentioning(dict.fromkeys(outward)) if outward else {}
        for func in level:
            files = program.unit(func.path) if func.confined else named.get(func.name, ())
            passing = passed_by(program, func) if func.key in first else ()
            for caller in (*callers(program, func, files), *(runners(program, func) if tables else ()), *passing):
                if caller.key not in chosen and added < MAX_CALLERS:
                    chosen[caller.key] = caller
                    following.append(caller)
                    added += 1
        level = following
    return list(chosen.values())


def through_tables(focus: Focus, functions: Iterable[Func]) -> list[Func]:
    """Who calls some functions as operations of tables whose context no model knows, and who calls those by their names; two
    tables up."""
    met = {f.key: f for f in functions}
    found: dict[str, Func] = {}
    level = list(met.values())
    for _ in range(TABLES):
        following: dict[str, Func] = {}
        for slot in dict.fromkeys((s.struct, s.field, s.path) for f in level for s in focus.entries.slots(f)):
            sites, cut = focus.callers.through(*slot)
            through = {s.caller.key: s.caller for s in sites if reachable(slot[2], s.caller.path)}
            if not cut and len(through) <= MAX_CALLS:
                following |= through
        named = {c.key: c for f in following.values() for c in focus.lives.callers(f)}
        level = [f for f in (following | named).values() if f.key not in met][: MAX_CALLERS // TABLES]
        met |= {f.key: f for f in level}
        found |= {f.key: f for f in level}
    return list(found.values())


def callers(program: Program, func: Func, files: Iterable[str]) -> Iterator[Func]:
    """Functions in ``files`` that call ``func`` by its name."""
    near = [f for f in files if f.split("/", 1)[0] not in ASIDE and reachable(func.path, f)]
    if len(near) > MAX_FILES:
        return
    for file in by_distance(near, func.path):
        if any(f.path == func.path for f in program.resolve(func.name, file)):
            yield from (c for c in program.functions_with(file, func.name) if c.key != func.key and names_call(c, func.name))


def passed_by(program: Program, func: Func) -> Iterator[Func]:
    """Functions of its file that pass ``func`` to another that no model knows, which may call it."""
    for user in program.functions_with(func.path, func.name):
        body = program.body(user) if user.key != func.key and func.name not in user.calls else None
        calls = (e for block in (body.blocks if body is not None else ()) for e in block.events if isinstance(e, Call))
        if any(Name(func.name) in c.args and isinstance(c.callee, Name) and program.model(c.callee.id) is None for c in calls):
            yield user


def names_call(caller: Func, name: str) -> bool:
    """Whether a function calls another by its name, and not a member that is called so (``stid->sc_free(stid)``)."""
    return name in caller.calls and re.search(rb"(?<![\w.>])%b\s*\(" % name.encode(), caller.text) is not None


def runners(program: Program, func: Func) -> Iterator[Func]:
    """Functions of the same folder that call what runs ``func`` as an operation of a table (``pm_runtime_get_sync()``)."""
    apis: dict[str, None] = {}
    for v in program.initialised_with(func.path, func.name) if program.runners else ():
        for designator, item in v.value.items if isinstance(v.value, Items) else ():
            if func.name in function_names(item):
                apis.update(dict.fromkeys(program.runners.get(f"{v.type.name}{designator}", ())))
    folder = posixpath.dirname(func.path)
    found = program.names.files_mentioning(apis, (folder,)) if apis and folder else {}
    files = {f: None for api in apis for f in found.get(api, ()) if posixpath.dirname(f) == folder}
    for file in files if len(files) <= MAX_FILES else program.unit(func.path):
        users = {c.key: c for api in apis for c in program.functions_with(file, api)}
        yield from (c for c in users.values() if not apis.keys().isdisjoint(c.calls))
