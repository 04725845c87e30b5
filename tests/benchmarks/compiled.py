"""Calls of one function as the program and the compiler have them, and why they differ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from objects import Expanded, Object, read

from reviewer.parse.facts import Call, Name
from reviewer.program.index.linkage import ASIDE, reachable
from reviewer.program.linked.link import Func, Program
from reviewer.program.linked.scopeguards import ScopeGuards

MADE = re.compile(
    r"__x86_\w+|__fentry__|__stack_chk_fail|__SCT__\w+|__(ubsan|asan|kasan|tsan)_\w+|__builtin_\w+|"
    r"mem(cpy|set|move|cmp|chr)|str(len|cmp|ncmp|chr|cpy|ncpy|cat|scpy|nlen)|__(memcpy|memset|memmove)|"
    r"_?f?printk|__warn_printk|snprintf|sprintf|__udivti3|__popcountdi2"
)
"""What the compiler calls of its own accord, or puts itself in place of a call: thunks, trampolines, and the C library."""

PASTED = re.compile(r"(\w+)\s*##")

DEEP = 12
"""Functions inside of functions that are followed."""

FEW = 10
"""Headers that are looked into for another definition of a macro."""


def compiled(build: Path, program: Program) -> Iterator[str]:
    """Sources of the kernel proper of which the build folder has the object, sorted."""
    for file in sorted(build.rglob("*.o")):
        path = str(file.relative_to(build).with_suffix(".c"))
        if set(ASIDE).isdisjoint(path.split("/")) and program.content.exists(path):
            yield path


def against_objects(program: Program, build: Path) -> Iterator[tuple[str, str]]:
    """(cause, case) of every call in the functions of every object."""
    for path in compiled(build, program):
        output = (build / path).with_suffix(".i")
        yield from one(program, path, read((build / path).with_suffix(".o")), Expanded(output) if output.is_file() else None)


def one(program: Program, path: str, made: Object, given: Expanded | None) -> Iterator[tuple[str, str]]:
    """:param given: what the preprocessor made of the source, if that was kept."""
    calls = Calls(program)
    for name, theirs in sorted(made.calls.items()):
        funcs = [f for file in (path, *program.unit(path)) for f in program.functions(file, name)]
        if not funcs:
            funcs = [f for f in program.resolve(name, path) if f.name == name and f.path.endswith(".h")]
        if not funcs:
            cause = "a function that a macro defines: not compared"
            yield from ((cause, f"{path} {name} -> {callee}") for callee in sorted(theirs))
            continue
        ours = {callee: meant for f in funcs for callee, meant in calls.of(f).items()}
        agreed: set[str] = set()
        for callee, meant in sorted(ours.items()):
            same = {in_c(callee), callee, *(f.name for f in meant)} & theirs
            agreed |= same
            if callee != name:
                yield ("agree" if same else only_ours(callee, meant, funcs, given)), f"{path} {name} -> {callee}"
        for callee in sorted(theirs - agreed):
            yield only_theirs(callee, funcs, calls, given), f"{path} {name} -> {callee}"


def in_c(callee: str) -> str:
    """The function that stands behind the event of a scope guard; other names as they are."""
    kind, _, name = callee.partition(":")
    known = {"guard": f"class_{name}_constructor", "unguard": f"class_{name}_destructor", "cleanup": f"__free_{name}"}
    return known.get(kind, callee)


def only_ours(callee: str, meant: tuple[Func, ...], funcs: list[Func], given: Expanded | None) -> str:
    if ":" in callee:
        return "ours: a scope guard, whose functions are inlined"
    if all(callee not in f.words for f in funcs):
        return "OURS ALONE: not in the code"
    if meant and all(f.macro is not None for f in meant):
        return "ours: a macro"
    if MADE.fullmatch(callee):
        return "ours: the compiler does it itself"
    if meant and all(f.static or f.path.endswith(".h") or f.path in {g.path for g in funcs} for f in meant):
        return "ours: an inlined function"
    if given is None:
        return "ours: under an #if, or not to be reached"
    if callee not in {w for f in funcs for w in given.words(f.name)}:
        return "ours: under an #if that this configuration has not, or a macro there"
    if given.words(callee):
        return "ours: inlined, or a stub of this configuration"
    return "ours: in the preprocessor's output, and optimised away"


def only_theirs(callee: str, funcs: list[Func], calls: Calls, given: Expanded | None) -> str:
    if callee in calls.inside(funcs):
        return "agree: in a function or macro that is inlined"
    if MADE.fullmatch(callee):
        return "theirs: the compiler's own"
    if callee in calls.spelled(funcs):
        return "MISSED: spelled as a call in the code"
    if callee in calls.inside(funcs, constant=True):
        return "theirs: through a variable or parameter that is constant there"
    if given is not None and callee in given.assembly:
        return "theirs: in inline assembly"
    if callee in calls.inside(funcs, constant=True, anywhere=True):
        return "MISSED: ours takes the function of another configuration where this one has a macro"
    if any(callee.startswith(part) for part in calls.pasted(funcs)):
        return "MISSED: a macro puts the name together (##)"
    if given is None:
        return "MISSED: the preprocessor's output would tell"
    if any(callee in given.below(f.name) for f in funcs):
        return "MISSED: in the preprocessor's output"
    return "theirs: not in the preprocessor's output below it"


class Calls:
    """What functions call by name, and what it means."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._guards = ScopeGuards(program)
        self._known: dict[str, dict[str, tuple[Func, ...]]] = {}
        self._elsewhere: dict[str, tuple[Func, ...]] = {}
        self._inside: dict[tuple[str, bool, bool], tuple[set[str], set[str], set[str]]] = {}

    def of(self, func: Func) -> dict[str, tuple[Func, ...]]:
        """Names that a function calls, each with the definitions that may be meant."""
        got = self._known.get(func.key)
        if got is None:
            names: set[str] = set()
            frame = self._program.frame(func)
            for block in frame.body.blocks if frame.body is not None else ():
                for e in block.events:
                    if isinstance(e, Call):
                        callee = frame.callee(e.callee, {})
                        if isinstance(callee, Name) and callee.id[:1] not in "$%":
                            names.add(callee.id)
            got = self._known[func.key] = {name: self._meant(name, func.path) for name in names}
        return got

    def _meant(self, name: str, path: str) -> tuple[Func, ...]:
        kind, _, what = name.partition(":")
        if kind == "cleanup":
            return self._program.resolve(what, path)
        guard = self._guards.function(name, path) if what else None
        return (guard,) if guard is not None else self._program.resolve(name, path)

    def inside(self, funcs: list[Func], constant: bool = False, anywhere: bool = False) -> set[str]:
        """All that these call, themselves or in what is inlined, by any of its names.

        :param constant: functions of the unit that are merely named are called, too. :param anywhere: a name also means the
            macros and inline functions of all headers that define it, whichever the configuration is.
        """
        return set().union(*(self._below(f, constant, anywhere)[0] for f in funcs))

    def spelled(self, funcs: list[Func]) -> set[str]:
        """Names with an argument list behind them, in the text of these and of what is inlined."""
        return set().union(*(self._below(f, False, False)[2] for f in funcs))

    def pasted(self, funcs: list[Func]) -> set[str]:
        """How names begin that macros below put together."""
        return set().union(*(self._below(f, True, True)[1] for f in funcs))

    def _below(self, func: Func, constant: bool, anywhere: bool) -> tuple[set[str], set[str], set[str]]:
        """(names, beginnings of names that are put together, names with an argument list)."""
        key = (func.key, constant, anywhere)
        if key in self._inside:
            return self._inside[key]
        unit = {func.path, *self._program.unit(func.path)}
        names: set[str] = set()
        parts: set[str] = set()
        spelled: set[str] = set()
        met, level = {func.key}, [func]
        for _ in range(DEEP):
            below: dict[str, Func] = {}
            for one in level:
                parts.update(part for part in PASTED.findall(one.macro.body if one.macro is not None else "") if len(part) > 3)
                named = dict(self.of(one))
                spelled.update(one.calls)
                if constant:
                    names.update(one.words)
                if anywhere and one.macro is not None:
                    named |= {word: self._program.resolve(word, one.path) for word in one.words if word not in named}
                if constant:
                    named |= {w: own for w in one.words if w not in named and (own := self._program.functions(func.path, w))}
                for name, meant in named.items():
                    names.update((name, *(f.name for f in meant)))
                    more = self._in_headers(name) if anywhere else ()
                    below |= {f.key: f for f in (*meant, *more) if f.static or f.path in unit or f.path.endswith(".h")}
            level = [f for f in below.values() if f.key not in met]
            met.update(f.key for f in level)
        got = self._inside[key] = names, parts, spelled
        return got

    def _in_headers(self, name: str) -> tuple[Func, ...]:
        """Macros and inline functions of that name in any header."""
        got = self._elsewhere.get(name)
        if got is None:
            program = self._program
            found = [f for p in program.names.files_defining(name) if p.endswith(".h") for f in program.functions(p, name)]
            for path in program.names.files_defining_macro(name)[:FEW]:
                arms = [m for m in program.file(path).macros(name) if m.parameters is not None]
                found += [Func(f"{path}#{name}@{m.line}", path, name, None, m) for m in arms]
            got = self._elsewhere[name] = tuple(f for f in found if reachable(f.path, "kernel/fork.c"))
        return got
