"""How many of the calls in some files lead somewhere: what ``doctor`` says of the call graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from reviewer.parse.facts import Call, Name
from reviewer.program.linked.calls import Calls
from reviewer.program.linked.link import Func, Program

COMPILER = ("__builtin_", "__sync_", "__atomic_", "typeof(", "__compiletime_assert")
"""How the names of calls begin that the compiler answers by itself (GCC manual, "Built-in Functions")."""


@dataclass(slots=True)
class Resolution:
    """Calls by what they lead to. ``unknown``: the names of direct calls that lead nowhere, by how often."""

    functions: int = 0
    defined: int = 0
    modelled: int = 0
    external: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    indirect: int = 0
    indirect_known: int = 0

    @property
    def direct(self) -> int:
        return self.known + self.unknown.total()

    @property
    def known(self) -> int:
        """Direct calls of a function or macro of the tree, of an API that is modelled, or of one that is only declared."""
        return self.defined + self.modelled + self.external


def resolution(program: Program, files: Iterable[str]) -> Resolution:
    """Looks up every call of every function of these files."""
    found, calls = Resolution(), Calls(program)
    for path in files:
        for func in program.functions_in(path):
            found.functions += 1
            _count(found, calls, func)
    return found


def _count(found: Resolution, calls: Calls, func: Func) -> None:
    frame = calls.program.frame(func)
    for block in frame.body.blocks if frame.body is not None else ():
        for event in block.events:
            if not isinstance(event, Call):
                continue
            callee = frame.callee(event.callee, {})
            if not isinstance(callee, Name) or callee.id[:1] in "$%:":
                found.indirect += 1
                found.indirect_known += bool(calls.targets(frame, callee))
                continue
            targets = calls.named(callee.id, func.path)
            if any(t.func is not None for t in targets):
                found.defined += 1
            elif targets:
                found.modelled += 1
            elif is_external(calls.program, callee.id, func.path):
                found.external += 1
            else:
                found.unknown[callee.id] += 1


def is_external(program: Program, name: str, path: str) -> bool:
    """Whether a function without a definition in C is known all the same: the compiler's own, or declared for assembly."""
    return name.startswith(COMPILER) or program.return_type(name, path) is not None
