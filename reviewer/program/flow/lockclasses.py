"""Which lock classes are several: the code gives some of their locks another class, as lockdep sees it.

``lockdep_set_subclass(&ea_inode->i_rwsem, 1)``: what is said of the order of the one kind says nothing of the other
(Documentation/locking/lockdep-design.rst, "Lock-class").
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from reviewer.parse.facts import Call, Name
from reviewer.program.flow.summaries import Summaries
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import lock_class


class LockClasses:
    """Memoised by folder."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.program = summaries.program
        functions = self.program.models.functions
        self._apis = {name: m.reclasses for name, m in functions.items() if m.reclasses is not None}
        self._split: dict[str, frozenset[str]] = {}

    def split(self, name: str, path: str) -> bool:
        """Whether the code around ``path`` knows several classes of the locks of this name."""
        folder = posixpath.dirname(path)
        got = self._split.get(folder)
        if got is None:
            got = self._split[folder] = frozenset(self._reclassed(folder))
        return name in got

    def _reclassed(self, folder: str) -> Iterator[str]:
        for api, files in self.program.names.files_mentioning(self._apis, (folder,) if folder else ()).items():
            near = [f for f in files if posixpath.dirname(f) == folder]
            self.program.load(near)
            for func in (f for file in near for f in self.program.functions_with(file, api)):
                if not self._makes(func):
                    yield from self._named(func)

    def _makes(self, func: Func) -> bool:
        """Whether a function initialises locks: the class that it gives them is that of all of them."""
        return any("init" in name and (m := self.program.model(name)) is not None and m.pure for name in func.calls)

    def _named(self, func: Func) -> Iterator[str]:
        frame = self.program.frame(func)
        for seen in self.summaries.calls_in(func):
            call = seen.event
            index = self._apis.get(call.callee.id) if isinstance(call, Call) and isinstance(call.callee, Name) else None
            for args in seen.args if index is not None else ():
                if index is not None and index < len(args):
                    yield lock_class(frame, values.deref(args[index]))
