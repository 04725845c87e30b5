"""The functions that a graph shows: those below a start, or, without one, around the OOM killer's chain.

The second is what the default scan looks at: who leads to the calls of the chain, and what its callbacks reach.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from reviewer.program.flow.summaries import Summaries
from reviewer.program.graph.callers import CallerSearch
from reviewer.program.graph.chains import Chains
from reviewer.program.graph.contexts import CallSite, Contexts
from reviewer.program.graph.downward import Downward, Reached
from reviewer.program.linked.link import Func, Program
from reviewer.program.views.describe import definitions

DISTANCE, FUNCTIONS = 12, 400
"""How far below a function that was asked for, and how many functions at most."""

AROUND_DISTANCE, AROUND_FUNCTIONS = 6, 200
"""The same below the OOM killer, whose callbacks reach half of the drivers."""

UP, UP_FUNCTIONS = 2, 30
"""Levels of callers above the calls of the chain, and functions whose callers are looked for."""

SCOPE = "oom-killer"
"""The scope of the API models that a question without a start is about."""


@dataclass(slots=True)
class Neighbourhood:
    """``above``: calls towards the start, each with the function that is called there."""

    below: Reached
    above: list[tuple[CallSite, Func]] = field(default_factory=list)


class Explorer:
    """What the graphs are drawn from."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.summaries = Summaries(program)
        self.chains = Chains(self.summaries)
        self.contexts = Contexts(self.summaries, self.chains)
        self.search = CallerSearch(self.contexts)
        self.downward = Downward(self.contexts)

    def around(self, start: str | None) -> Neighbourhood:
        """What ``start`` reaches; without one, the OOM killer's surroundings, or nothing where the tree has none.

        :raises InputError: the tree does not define ``start``.
        """
        if start is not None:
            return Neighbourhood(self.downward.walk(definitions(self.program, start), DISTANCE, FUNCTIONS))
        callers = self._callers_of_chain()
        found = Neighbourhood(Reached())
        self._climb(callers, found)
        below = self.downward.walk(callers, AROUND_DISTANCE, AROUND_FUNCTIONS)
        below.cut.update(found.below.cut)
        found.below = below
        return found

    def _callers_of_chain(self) -> list[Func]:
        scope = self.program.models.scopes.get(SCOPE)
        found: dict[str, Func] = {}
        for name in scope.chains if scope is not None else ():
            for chain in self.chains.heads(name):
                for site in self.chains.calls_of(chain):
                    found[site.func.key] = site.func
        return list(found.values())

    def _climb(self, funcs: list[Func], found: Neighbourhood) -> None:
        level = funcs
        seen = {f.key for f in funcs}
        asked = 0
        for _ in range(UP):
            rest = level[: max(0, UP_FUNCTIONS - asked)]
            asked += len(rest)
            self.search.prefetch(rest)
            above: dict[str, Func] = {}
            for func in rest:
                callers = self.search.of(func)
                found.below.cut.update(callers.cut)
                for site in callers.sites:
                    found.above.append((site, func))
                    if site.caller.key not in seen:
                        seen.add(site.caller.key)
                        above[site.caller.key] = site.caller
            level = list(above.values())
        if level:
            found.below.cut[f"the callers of {len(level)} functions further up"] = None
