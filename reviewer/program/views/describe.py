"""``context``: who calls a function, holding what, in which context, and what keeps two callers apart."""

from __future__ import annotations

from dataclasses import dataclass

from reviewer.errors import InputError
from reviewer.program.flow.summaries import Summaries
from reviewer.program.graph.callers import CallerSearch, Root
from reviewer.program.graph.chains import Chains
from reviewer.program.graph.contexts import CallSite, Contexts
from reviewer.program.graph.upward import Above, Climb, Upward, Way, held_at, joined
from reviewer.program.index.linkage import ASIDE
from reviewer.program.linked.link import Func, Program
from reviewer.program.linked.locks import Hold
from reviewer.program.linked.points import Point, point

MAX_TAKERS = 12
"""Functions that take the serialiser of which the proof shows the way in."""


@dataclass(frozen=True, slots=True)
class Taker:
    """A function that takes the serialiser before it calls down; ``hold`` says how, ``at`` where."""

    func: Func
    hold: Hold
    line: int


@dataclass(frozen=True, slots=True)
class Description:
    """The context of one definition.

    ``must``: held on every known path; ``may``: on some; ``serialiser``: lets one caller in at a time. ``partial``: why
    there may be more callers (empty: all are known); ``cut``: what the budget left out.
    """

    func: Func
    climb: Climb
    takers: tuple[Taker, ...]
    proof: tuple[Point, ...]

    @property
    def bottom(self) -> Above:
        return self.climb.bottom

    @property
    def ways(self) -> tuple[Way, ...]:
        return tuple(self.bottom.ways)

    @property
    def roots(self) -> tuple[Root, ...]:
        return tuple(self.bottom.roots)

    @property
    def serialiser(self) -> Hold | None:
        return self.climb.serialiser

    @property
    def partial(self) -> tuple[str, ...]:
        """Empty if all callers are known, else why not."""
        if not self.bottom.partial:
            return ()
        callers = self.bottom.callers
        known = [*callers.partial, *callers.cut] if callers is not None else []
        return tuple(known) or ("callers of its callers are not all known",)

    @property
    def cut(self) -> tuple[str, ...]:
        return tuple(self.climb.cut)


def upward(summaries: Summaries) -> Upward:
    """The search for callers."""
    return Upward(CallerSearch(Contexts(summaries, Chains(summaries))))


def describe(program: Program, name: str) -> tuple[Description, ...]:
    """One description per definition of ``name``, in the order of their files.

    :param name: a function's name; ``file:name`` for one of several.
    :raises InputError: the tree does not define it.
    """
    search = upward(Summaries(program))
    return tuple(description(search, func) for func in definitions(program, name))


def definitions(program: Program, name: str) -> list[Func]:
    """The definitions of a function; those of programs beside the kernel (``tools/``) only if there are no others.

    :raises InputError: the tree does not define it.
    """
    file, _, word = name.rpartition(":")
    files = [file] if file else list(program.names.files_defining(word))
    kernel = [f for f in files if f.split("/", 1)[0] not in ASIDE]
    program.load(kernel or files)
    found: list[Func] = []
    for path in kernel or files:
        own = program.functions(path, word)
        found.extend([f for f in own if f.definition is not None and f.definition.calls] or own[:1])
    if not found:
        macros = program.names.files_defining_macro(word) if not file else ()
        macro = program.macro_function(word, macros[0], macros) if macros else None
        found = [macro] if macro is not None else []
    if not found:
        raise InputError(f"the tree does not define a function {name}", "spell it as the tree does; FILE:NAME for one of several")
    return found


def description(search: Upward, func: Func) -> Description:
    climb = search.of(func)
    takers: list[Taker] = []
    proof: list[Point] = []
    serialiser = climb.serialiser
    if serialiser is not None:
        for site, hold, above in climb.takers(serialiser.name)[:MAX_TAKERS]:
            takers.append(Taker(site.caller, hold, site.caller.line_of(hold.at)))
            if hold is not site.chain_hold:
                proof.append(point("acquire", site.caller, hold.at))
            proof.extend(steps_down(climb, site, above))
    else:
        for way in list(ways_in(climb))[:2]:
            proof.extend(way)
    return Description(func, climb, tuple(takers), tuple(dict.fromkeys(proof)))


def steps_down(climb: Climb, first: CallSite, called: Above) -> list[Point]:
    """The calls from one call site down to the function in question, with the locks held at each."""
    found: list[Point] = []
    held: tuple[Hold, ...] = ()
    for site in (first, *climb.path_down(called)):
        held = joined(held_at(site, True), held)
        found.append(point("call", site.caller, site.call.at, held))
    return found


def ways_in(climb: Climb) -> list[list[Point]]:
    """Ways on which no serialising lock is held: each from a registration or from the last known caller down."""
    found: list[list[Point]] = []
    for above in sorted(climb.met.values(), key=lambda a: a.level):
        path = climb.path_down(above)
        rest = steps_down(climb, path[0], path_target(climb, above)) if path else []
        for root in above.roots:
            if root.runs:
                found.append([Point("register", root.file, root.line, root.function), *rest])
        if above is not climb.bottom and not above.sites and not above.roots:
            found.append(rest)
    return found


def path_target(climb: Climb, above: Above) -> Above:
    """The function that the first call on the way down from ``above`` calls."""
    return above.down[1] if above.down is not None else climb.bottom
