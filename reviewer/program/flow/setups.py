"""What a work item, a timer or a tasklet runs: found where it is declared or set up, by the API models."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

import msgspec

from reviewer.parse.facts import AddressOf, Call, Deref, Expr, Index, Member, Name, Write
from reviewer.program.api.models import Place, Registers
from reviewer.program.flow.objects import object_name, rooted, short
from reviewer.program.flow.summaries import Summaries, place
from reviewer.program.index.linkage import by_distance, subsystem
from reviewer.program.linked import values
from reviewer.program.linked.calls import function_names
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame

SETS_UP = re.compile(r"(?i)init|setup|work|timer|task")
"""How a wrapper of an API that sets a callback up is named."""

MAX_FILES = 40
"""Files of the subsystem that name a field and are searched for its setup, the nearest first."""


class Setups:
    """Memoised by object."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.program = summaries.program
        models = self.program.models.functions
        self.fields = frozenset(r.field for m in models.values() for r in m.registers if r.field and r.starts)
        self._found: dict[tuple[str, str], tuple[Func, ...]] = {}

    def started(self, frame: Frame, registers: Registers, args: tuple[Expr, ...]) -> Iterator[Func]:
        """The functions that a queueing call will have run, named in it or set up for the object that it queues."""
        if registers.callback is not None:
            if registers.callback < len(args):
                for target in self.summaries.calls.targets(frame, args[registers.callback]):
                    if target.func is not None:
                        yield target.func
        elif registers.block is not None:
            yield from self.of(frame, block_of(registers.block, args))

    def of(self, frame: Frame, block: Expr | None) -> tuple[Func, ...]:
        """The functions that are set up for an object: a variable, or the same field of the same struct."""
        name = object_name(frame, rooted(frame, block)) if block is not None else ""
        if not name:
            return ()
        key = (name, posixpath.dirname(frame.func.path))
        got = self._found.get(key)
        if got is None:
            self._found[key] = ()
            found = {f.key: f for f in self._near(name, frame.func.path)}
            got = self._found[key] = tuple(found.values())
        return got

    def kinds(self, func: Func) -> frozenset[str]:
        """As what the function is set up to be run, by the files beside its own: ``work``, ``irq``, ``timer`` ..."""
        return frozenset(registers.how for registers, _ in self._set_up_as(func))

    def words(self, func: Func) -> frozenset[str]:
        """Names of the members and variables for which the function is set up, by the files beside its own."""
        found = (block_of(r.block, args) for r, args in self._set_up_as(func) if r.block is not None)
        return frozenset(last_name(block) for block in found if block is not None) - {""}

    def _set_up_as(self, func: Func) -> Iterator[tuple[Registers, tuple[Expr, ...]]]:
        """Registrations of the function as a callback, with what is passed to them."""
        folder = posixpath.dirname(func.path)
        found = self.program.names.files_mentioning([func.name], (folder,) if folder else ()).get(func.name, ())
        for file in dict.fromkeys([*self.program.unit(func.path), *(f for f in found if f.endswith(".c"))]):
            for piece in self.program.file(file).declaring(func.name):
                for use in self.program.file(file).outline_of(piece).uses:
                    yield from self._as_callback(use.name, use.args, func.name)
            for user in self.program.functions_with(file, func.name):
                body = self.program.body(user)
                for block in body.blocks if body is not None else ():
                    for event in block.events:
                        if isinstance(event, Call) and isinstance(event.callee, Name):
                            yield from self._as_callback(event.callee.id, event.args, func.name)

    def _as_callback(
        self, callee: str, args: tuple[Expr, ...], name: str
    ) -> Iterator[tuple[Registers, tuple[Expr, ...]]]:
        model = self.program.models.functions.get(callee)
        for r in model.registers if model is not None else ():
            if r.callback is not None and r.callback < len(args) and name in function_names(args[r.callback]):
                yield r, args

    def _near(self, name: str, path: str) -> list[Func]:
        """What is found; of a family of drivers that share a struct, where each folder sets its own function up, that of the
        folder in question and of the libraries around it."""
        found = list(self._search(name, path))
        own = posixpath.dirname(path)
        if any(posixpath.dirname(file) == own for file, _ in found):
            found = [(file, func) for file, func in found if one_above(own, posixpath.dirname(file))]
        return [func for _, func in found]

    def _search(self, name: str, path: str) -> Iterator[tuple[str, Func]]:
        """The functions, each with the file that sets it up."""
        word = short(name).rpartition(".")[2]
        files = self.program.unit(name.rpartition(":")[0].lstrip("*") if "/" in name else path)
        if name.startswith(("struct ", "union ")):
            folder = subsystem(path)
            near = self.program.names.files_mentioning([word], (folder,) if folder else ()).get(word, ())
            close = by_distance([f for f in near if f.endswith(".c")], path)[:MAX_FILES]
            files = tuple(dict.fromkeys([*files, *close]))
        self.program.load(files)
        for file in files:
            if posixpath.dirname(path) != posixpath.dirname(file) and not self.program.same_class(name, path, file):
                continue
            yield from ((file, f) for f in self.declared(file, word))
            for func in self.program.functions_with(file, word):
                if any(self._setups(c) or self._wrappers(c, file) for c in func.calls):
                    yield from ((file, f) for f in self._in_body(func, name))
                if not self.fields.isdisjoint(func.words):
                    yield from ((file, f) for f in self._assigned(func, name))

    def declared(self, file: str, word: str) -> Iterator[Func]:
        """By ``DECLARE_WORK(word, function)``."""
        variable = self.program.file(file).variable(word)
        for registers in self._setups(variable.macro) if variable is not None else ():
            assert registers.block is not None and registers.callback is not None and variable is not None
            for use in self.program.file(file).uses(variable.macro):
                if registers.block.index < len(use.args) and use.args[registers.block.index] == Name(word):
                    yield from self._named(use.args, registers.callback, file)

    def _setups(self, callee: str) -> list[Registers]:
        model = self.program.models.functions.get(callee)
        return [
            r for r in (model.registers if model is not None else ())
            if r.callback is not None and r.block is not None and not r.starts
        ]  # fmt: skip

    def _wrappers(self, callee: str, path: str) -> tuple[Func, ...]:
        """Macros and functions of that name that set something up for whoever calls them."""
        if callee in self.program.models.functions or not SETS_UP.search(callee):
            return ()
        return tuple(f for f in self.program.resolve(callee, path) if any(self._setups(c) for c in f.calls))

    def _in_body(self, func: Func, name: str) -> Iterator[Func]:
        frame = self.program.frame(func)
        for block in frame.body.blocks if frame.body is not None else ():
            for event in block.events:
                if not isinstance(event, Call) or not isinstance(event.callee, Name):
                    continue
                args = tuple(frame.canonical(a, {}) for a in event.args)
                given = [(args, r) for r in self._setups(event.callee.id)]
                for wrapper in self._wrappers(event.callee.id, func.path):
                    given += self._through(wrapper, args)
                for each, registers in given:
                    assert registers.block is not None and registers.callback is not None
                    where = block_of(registers.block, each)
                    if where is not None and object_name(frame, rooted(frame, where)) == name:
                        yield from self._named(each, registers.callback, func.path)

    def _assigned(self, func: Func, name: str) -> Iterator[Func]:
        """By an assignment, as an hrtimer is set up (``x->timer.function = f``)."""
        frame = self.program.frame(func)
        for block in frame.body.blocks if frame.body is not None else ():
            for event in block.events:
                target = event.target if isinstance(event, Write) else None
                if not isinstance(event, Write) or not isinstance(target, Member) or target.name not in self.fields:
                    continue
                where = frame.canonical(target.base, {})
                if object_name(frame, rooted(frame, where)).lstrip("*") == name.lstrip("*"):
                    for word in function_names(event.value):
                        yield from self.program.resolve(word, func.path)

    def _through(self, wrapper: Func, args: tuple[Expr, ...]) -> Iterator[tuple[tuple[Expr, ...], Registers]]:
        """The setups in a wrapper, with their arguments in terms of its caller."""
        frame = self.program.frame(wrapper)
        for block in frame.body.blocks if frame.body is not None else ():
            for event in block.events:
                if isinstance(event, Call) and isinstance(event.callee, Name):
                    for registers in self._setups(event.callee.id):
                        inner = (frame.canonical(a, {}) for a in event.args)
                        yield tuple(values.substitute(a, args, wrapper.name) for a in inner), registers

    def _named(self, args: tuple[Expr, ...], index: int, path: str) -> Iterator[Func]:
        for word in function_names(args[index]) if index < len(args) else ():
            yield from self.program.resolve(word, path)


def one_above(one: str, other: str) -> bool:
    """Whether two folders are the same, or one is inside the other."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def last_name(expr: Expr) -> str:
    """Of an expression as it is written: of a member, else of a variable."""
    while isinstance(expr, AddressOf | Index | Deref):
        expr = expr.base
    return expr.name if isinstance(expr, Member) else expr.id if isinstance(expr, Name) else ""


def block_of(where: Place, args: tuple[Expr, ...]) -> Expr | None:
    """The whole object that a model means a part of: the delayed work for its ``.work``."""
    return place(msgspec.structs.replace(where, path=()), args)
