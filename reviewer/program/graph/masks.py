"""Which masks the callers of a function pass for a parameter of it, by name and through tables, some levels up."""

from __future__ import annotations

from reviewer.parse.facts import Binary, Const, Expr, Name
from reviewer.program.graph.callers import CallerSearch
from reviewer.program.graph.contexts import CallSite
from reviewer.program.linked.link import Func

MAX_UP = 4
"""Callers of callers through which a mask is handed down: a driver's operation, its core's two functions, their user."""

MAX_SITES = 40
"""Calls of one function that are looked at."""


class Masks:
    """Memoised by function and parameter."""

    def __init__(self, callers: CallerSearch) -> None:
        self.callers = callers
        self.program = callers.program
        self._made: dict[tuple[str, int], tuple[CallSite, ...]] = {}

    def may_reclaim(self, func: Func, index: int, left: int = MAX_UP) -> tuple[CallSite, ...]:
        """The calls by which a mask with direct reclaim comes to a parameter, the outermost first; none if nobody passes one."""
        key = (func.key, index)
        got = self._made.get(key)
        if got is None and left > 0:
            self._made[key] = ()
            got = self._made[key] = self._search(func, index, left)
        return got or ()

    def _search(self, func: Func, index: int, left: int) -> tuple[CallSite, ...]:
        above: list[tuple[CallSite, int]] = []
        for site in self.callers.of(func).sites[:MAX_SITES]:
            call = site.call
            if index >= len(call.args) or (isinstance(call.callee, Name) and call.callee.id != func.name):
                continue
            mask = self.program.frame(site.caller).canonical(call.args[index], {})
            if isinstance(mask, Const) and self.program.gfp.reclaims(mask.value):
                return (site,)
            outer = handed_on(mask)
            if outer is not None:
                above.append((site, outer))
        for site, outer in above:
            found = self.may_reclaim(site.caller, outer, left - 1)
            if found:
                return (*found, site)
        return ()


def handed_on(mask: Expr | None) -> int | None:
    """The number of the parameter that a mask is, with more flags perhaps."""
    while isinstance(mask, Binary) and mask.op == "|":
        arms = [arm for arm in (mask.left, mask.right) if not isinstance(arm, Const)]
        mask = arms[0] if len(arms) == 1 else None
    return int(mask.id[1:]) if isinstance(mask, Name) and mask.id.startswith("%") else None
