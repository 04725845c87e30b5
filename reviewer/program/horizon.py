"""What stands within some distance below a function, told from the names that are called: whether it is worth a closer look."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Literal

from reviewer.program.calls import Calls
from reviewer.program.link import Func
from reviewer.program.models import Function as Model

DEPTH = 4
"""How far below a function effects are looked for: a call within the folder, of a header or of a macro counts 1, one that
leaves the folder 2. A longer way leads through tables, as a rule, of which nobody can tell which entry is meant."""

FAR = 6
"""The same for what puts its task to sleep: whoever sleeps, deep in a library, does so for every caller."""

What = Literal["effects", "waits", "rcu"]


def cost(caller: Func, callee: Func) -> int:
    """What a call adds to the distance."""
    if callee.path.endswith(".h") or callee.macro is not None:
        return 1
    return 1 if posixpath.dirname(caller.path) == posixpath.dirname(callee.path) else 2


class Horizon:
    """Memoised by function and distance."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self._made: dict[tuple[What, str, int], bool] = {}

    def has(self, what: What, func: Func, depth: int) -> bool:
        """Whether an API of that kind is called within ``depth`` below the function; calls through tables do not count."""
        key = (what, func.key, depth)
        got = self._made.get(key)
        if got is None:
            got = self._made[key] = any(self._by_name(what, name, func, depth) for name in func.calls)
        return got

    def _by_name(self, what: What, name: str, func: Func, depth: int) -> bool:
        for target in self.calls.named(name, func.path):
            if target.model is not None:
                if TESTS[what](target.model):
                    return True
            elif target.func is not None:
                left = depth - cost(func, target.func)
                if left >= 0 and self.has(what, target.func, left):
                    return True
        return False


def matters(model: Model) -> bool:
    """Whether a modelled call has an effect of those that are looked for, or runs something that may."""
    return bool(
        model.takes or model.inside or model.waits or model.allocates is not None or model.may_sleep or model.invokes
        or model.sleeps_if_gfp is not None or model.sleeps_if_nonzero is not None or model.sleeps_if_zero is not None
    )  # fmt: skip


TESTS: dict[What, Callable[[Model], bool]] = {
    "effects": matters,
    "waits": lambda model: bool(model.waits),
    "rcu": lambda model: model.rcu_read is not None and not model.rcu_read.writer,
}
