"""Ways through two operations of one object: the second is of the table in which the first one stands.

``release(map)`` stands in the table of one kind of maps; where it calls what ends in ``map->ops->put()``, that is the ``put`` of
the same table, whatever other kinds of maps have in theirs.
"""

from __future__ import annotations

from reviewer.parse.facts import Call, Expr, Items, Member, Name
from reviewer.program.flow.effects import Effect
from reviewer.program.flow.lockflow import Seen, seen_at
from reviewer.program.flow.summaries import Summaries
from reviewer.program.linked import values
from reviewer.program.linked.calls import function_names
from reviewer.program.linked.link import Func


class OneTable:
    """Memoised by function and struct."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.program = summaries.program
        self._own: dict[tuple[str, str], tuple[Items, ...]] = {}

    def denies(self, effect: Effect) -> bool:
        """Whether a call through a table on the way to an effect reaches a function that the object's own table does not have."""
        for n, (caller, call) in enumerate(effect.way):
            target = effect.way[n + 1][0] if n + 1 < len(effect.way) else effect.func
            if isinstance(call.callee, Member) and self._denied(effect.way[: n + 1], caller, call, target):
                return True
        return False

    def _denied(self, way: tuple[tuple[Func, Call], ...], caller: Func, call: Call, target: Func) -> bool:
        here = self._at(caller, call)
        callee = (here.callee if here is not None else None) or call.callee
        table = callee.base if isinstance(callee, Member) else None
        if not isinstance(callee, Member) or not isinstance(table, Member) or not table.arrow:
            return False
        frame = self.program.frame(caller)
        type_ = frame.type_of(table)
        struct = frame.resolve(type_).name if type_ is not None else ""
        object_: Expr = table.base
        denied = False
        for n in range(len(way) - 1, -1, -1):
            func = way[n][0]
            own = self._tables(func, struct) if isinstance(object_, Name) and object_.id.startswith("%") else ()
            if own:  # the outermost operation tells what the object is
                denied = all(target.name not in function_names(dict(t.items).get(f".{callee.name}", Name(""))) for t in own)
            outer = self._at(*way[n - 1]) if n else None
            if outer is None or not outer.args:
                break
            object_ = values.substitute(object_, outer.args[0], func.name)
        return denied

    def _at(self, func: Func, call: Call) -> Seen | None:
        """The call with its canonical arguments."""
        return seen_at(self.summaries.flow(func), call.at)

    def _tables(self, func: Func, struct: str) -> tuple[Items, ...]:
        """The tables of a kind in which a function stands that only its own file knows."""
        key = (func.key, struct)
        got = self._own.get(key)
        if got is None:
            asked = func.static and struct.startswith("struct ")
            found = self.program.initialised_with(func.path, func.name) if asked else ()
            tables = [v.value for v in found if isinstance(v.value, Items) and v.type.name == struct]
            mine = (t for t in tables if any(func.name in function_names(item) for _, item in t.items))
            got = self._own[key] = tuple(mine)
        return got
