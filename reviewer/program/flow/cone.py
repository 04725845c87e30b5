"""Whether anything that a search looks for can stand below a function, told from names alone.

Most functions that a callback reaches compute or write a register and call nothing that allocates, locks or waits. To know
that takes a look at the names that they call, not an execution. The look is short: what is still open three calls
further down counts as able to.
"""

from __future__ import annotations

from reviewer.program.api.models import Function as Model
from reviewer.program.flow.summaries import Summaries
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import SLEEPING

LEVELS = 3
"""Calls that are followed by name. Further down the look costs more than the executions that it saves."""


class Cone:
    """Answers are kept per function."""

    def __init__(self, summaries: Summaries) -> None:
        self.program = summaries.program
        self.summaries = summaries
        self._open: dict[str, bool] = {}
        self._closed: dict[str, int] = {}  # levels to which nothing was found

    def may_matter(self, func: Func, levels: int = LEVELS) -> bool:
        """Whether an allocation, a lock that sleeps, a wait, or a call that cannot be followed by name may stand at or
        below ``func``."""
        known = self._open.get(func.key)
        if known is not None:
            return known
        if self._closed.get(func.key, -1) >= levels:
            return False
        if self._itself(func):
            self._open[func.key] = True
            return True
        if levels == 0:
            return True
        self._closed[func.key] = levels  # a cycle adds nothing
        for name in func.calls:
            if name in self.program.models.functions:
                continue
            for callee in self.program.resolve(name, func.path):
                if self.may_matter(callee, levels - 1):
                    del self._closed[func.key]
                    if levels == LEVELS:
                        self._open[func.key] = True
                    return True
        return False

    def _itself(self, func: Func) -> bool:
        """Whether it does so in its own body."""
        if self.summaries.names.calls_indirectly(func):
            return True
        parameters = {p.name for p in func.parameters}
        for name in func.calls:
            if name in parameters:
                return True
            model = self.program.model(name)
            if model is not None and matters(model):
                return True
        return False


def matters(model: Model) -> bool:
    """Whether a modelled call is something to find, or runs a callback that may be."""
    return bool(
        model.allocates is not None or model.waits or model.invokes or model.registers or model.gfp_scope is not None
        or model.chain_call is not None or any(t.kind in SLEEPING for t in (*model.takes, *model.inside))
    )  # fmt: skip
