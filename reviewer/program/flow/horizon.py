"""What stands within some distance below a function, told from the names that are called: whether it is worth a closer look."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping

from reviewer.program.api.models import Function as Model
from reviewer.program.api.models import Invokes
from reviewer.program.linked.calls import Calls
from reviewer.program.linked.link import Func

DEPTH = 4
"""How far below a function effects are looked for: a call within the folder, of a header or of a macro counts 1, one that
leaves the folder 2. A longer way leads through tables, as a rule, of which nobody can tell which entry is meant."""

FAR = 6
"""The same for what puts its task to sleep: whoever sleeps, deep in a library, does so for every caller."""

SCOPED = re.compile(r"^(?:guard|CLASS|class_)|guard$")
"""How macros are named that hold something to the end of their scope (linux/cleanup.h)."""

Test = Callable[[Model], bool]
"""What is looked for in an API; a function of its module, by which what was found is kept."""


def cost(caller: Func, callee: Func) -> int:
    """What a call adds to the distance; the only one of a header's wrapper is what that stands for."""
    if callee.path.endswith(".h") or callee.macro is not None:
        return 1
    if caller.path.endswith(".h") and len(caller.calls) == 1:
        return 1
    return 1 if posixpath.dirname(caller.path) == posixpath.dirname(callee.path) else 2


class Horizon:
    """Memoised by function and distance.

    :ivar back: functions behind which anything may stand, for they come back to operations of their caller's driver; a review,
        which asks about few, says so before it asks.
    """

    def __init__(self, calls: Calls, back: Mapping[str, tuple[Invokes, ...]] | None = None) -> None:
        self.calls = calls
        self.back: Mapping[str, tuple[Invokes, ...]] = back if back is not None else {}
        self._made: dict[tuple[Test, str, int], bool] = {}

    def has(self, test: Test, func: Func, depth: int) -> bool:
        """Whether such an API is called within ``depth`` below the function; calls through tables do not count."""
        key = (test, func.key, depth)
        got = self._made.get(key)
        if got is None:
            got = self._made[key] = any(self._by_name(test, name, func, depth) for name in func.calls)
        return got

    def _by_name(self, test: Test, name: str, func: Func, depth: int) -> bool:
        if SCOPED.search(name):
            return self._scoped(test, func)
        if name in self.back:
            return True
        for target in self.calls.named(name, func.path):
            if target.model is not None:
                if test(target.model):
                    return True
            elif target.func is not None:
                left = depth - cost(func, target.func)
                if left >= 0 and self.has(test, target.func, left):
                    return True
        return False

    def _scoped(self, test: Test, func: Func) -> bool:
        """Whether what a scope takes is such an API, by the kinds that the function names; one of the tree's own is a lock."""
        models = self.calls.program.models
        known = [taker for kind, taker in models.guards.items() if kind in func.words]
        found = (models.functions.get(taker) for taker in known or [models.guards["mutex"]])
        return any(model is not None and test(model) for model in found)
