"""Who made an object, and so whether a call on it may sleep: a map of registers over a slow bus has a mutex of its own, one over
memory a spinlock, and both are read by one function.

What is asked for is how a pointer came to be: from the field, the variable or the parameter back to the call that made it, in
whatever file that stands. The text is enough for that; nothing is executed. Where two ways lead back to makers that differ, or
one to none that is known, nothing is said.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import msgspec

from reviewer.parse import facts
from reviewer.parse.facts import AddressOf, Call, Cast, Choice, Const, Deref, Expr, Index, Items, Member, Name, Result
from reviewer.program.api.models import Makes
from reviewer.program.linked import values
from reviewer.program.linked.calls import Calls
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame
from reviewer.program.linked.written import calls_of, events_of, writes_of

MAX_STEPS = 6
"""Fields, parameters and results on the way back to the call that made an object."""

MAX_FILES = 40
"""Files that know a struct, above which it is one of a whole subsystem, filled by anybody."""

Verdict = bool | None
"""Whether calls on an object sleep; None: it cannot be told."""

WORD = re.compile(rb"[A-Za-z_]\w*")


class Origins:
    """Memoised by field, parameter and variable.

    :ivar makers: the calls that have been come to which make what sleeps. :ivar told: what these have been given that could have
        said otherwise: file, line and the fields that would have.
    """

    def __init__(self, calls: Calls) -> None:
        self.makers: dict[tuple[Func, int], None] = {}
        self.told: dict[tuple[str, int, tuple[str, ...]], None] = {}
        self.calls = calls
        self.program = calls.program
        self._told: dict[tuple[str, ...], Verdict] = {}

    def sleeps(self, stations: Sequence[tuple[Func, int]], argument: int) -> bool:
        """Whether the call at the last of the stations (a function, and the event in it that leads to the next) sleeps, by the
        object that its argument points to."""
        func, at = stations[-1]
        value = self._argument(func, at, argument)
        for outer, call_at in reversed(stations[:-1]):
            index = parameter(value)
            if index is None:
                break
            given = self._argument(outer, call_at, index, func.name)
            if given is None:
                break
            func, value = outer, given
        return value is not None and self._made(func, value, MAX_STEPS) is True

    def _argument(self, func: Func, at: int, index: int, callee: str = "") -> Expr | None:
        """What a function passes in a call; a call by name must be one of ``callee``."""
        frame = self.program.frame(func)
        for call in calls_of(frame.body):
            if call.at == at and index < len(call.args) and not (callee and is_other(call, callee)):
                return frame.canonical(call.args[index], {})
        return None

    def _made(self, func: Func, value: Expr, steps: int) -> Verdict:
        """How the object was made to which a value points, in terms of a function."""
        if steps < 0:
            return None
        frame = self.program.frame(func)
        value = plain(value)
        if isinstance(value, Choice):
            return agreed(self._made(func, arm, steps) for arm in (value.then, value.other) if not is_none(arm))
        if isinstance(value, Result):
            call = frame.call(value.call)
            return self._by_call(func, call, steps) if call is not None else None
        if isinstance(value, Member):
            return self._of_field(frame, value, steps)
        if not isinstance(value, Name):
            return None
        if value.id.startswith("%"):
            return self._of_parameter(func, int(value.id[1:]), steps)
        if value.id.startswith("$"):
            return self._of_local(frame, value.id[1:], steps)
        return self._of_variable(func, value, steps) if value.id.startswith("::") else None

    # --- where a pointer is kept --------------------------------------------------------------------

    def _of_field(self, frame: Frame, field: Member, steps: int) -> Verdict:
        owner = frame.type_of(field.base)
        struct = frame.resolve(owner).name if owner is not None else ""
        if not struct.startswith("struct "):
            return None
        path = frame.func.path
        found = self.program.struct_at(struct, path)
        key = "field", struct, field.name, found[0] if found is not None else path
        if key not in self._told:
            self._told[key] = None
            stored = self.stored(struct, field.name, self._knowing(struct, path))
            self._told[key] = agreed(self._made(func, value, steps - 1) for func, value in stored)
        return self._told[key]

    def stored(self, struct: str, field: str, files: Iterable[str]) -> Iterator[tuple[Func, Expr]]:
        """What functions of some files store in a field of a struct, NULL and errors left out."""
        for file in files:
            for func in self.program.functions_with(file, field):
                frame = self.program.frame(func)
                for write in writes_of(frame.body):
                    target = write.target
                    if isinstance(target, Index):
                        target = target.base
                    if isinstance(target, Member) and target.name == field and write.op == "=":
                        owner = frame.type_of(frame.canonical(target.base, {}))
                        value = frame.canonical(write.value, {})
                        if owner is not None and frame.resolve(owner).name == struct and not self._is_none(frame, value):
                            yield func, value

    def _knowing(self, struct: str, path: str) -> Sequence[str]:
        """The files that can fill an object of a struct; none if they are too many."""
        found = self.program.struct_at(struct, path)
        if found is None or found[0].endswith(".c"):
            return (found[0] if found is not None else path,)
        files = {*self.program.files_naming(struct, path), path}
        return sorted(files) if len(files) <= MAX_FILES else ()

    def _of_parameter(self, func: Func, index: int, steps: int) -> Verdict:
        key = "parameter", func.key, str(index)
        if key not in self._told:
            self._told[key] = None
            self._told[key] = agreed(
                self._made(caller, value, steps - 1) for caller, value in self._passed(func, index)
            )
        return self._told[key]

    def _passed(self, func: Func, index: int) -> Iterator[tuple[Func, Expr]]:
        """What the callers of a function pass for a parameter."""
        files = self.program.unit(func.path) if func.static else self.program.files_calling([func]).get(func.name, ())
        for file in files if len(files) <= MAX_FILES else ():
            for caller in self.program.functions_with(file, func.name):
                frame = self.program.frame(caller)
                for call in calls_of(frame.body):
                    if call.callee == Name(func.name) and index < len(call.args):
                        yield caller, frame.canonical(call.args[index], {})

    def _of_local(self, frame: Frame, word: str, steps: int) -> Verdict:
        given: list[Expr] = []
        for event in events_of(frame.body):
            if isinstance(event, facts.Write) and plain(event.target) == Name(word):
                given.append(frame.canonical(event.value, {}))
            elif isinstance(event, Call) and AddressOf(Name(word)) in event.args:
                return None  # the callee fills it
        told = (v for v in given if not self._is_none(frame, v) and plain(v) != Name(f"${word}"))
        return agreed(self._made(frame.func, v, steps - 1) for v in told)

    def _of_variable(self, func: Func, variable: Name, steps: int) -> Verdict:
        word = variable.id.rpartition(":")[2]
        found = self.program.own_variable(word, func.path)
        if found is None:
            return None
        key = "variable", found[0], word
        if key not in self._told:
            self._told[key] = None
            self._told[key] = agreed(self._made(f, v, steps - 1) for f, v in self._assigned(found[0], word))
        return self._told[key]

    def _assigned(self, path: str, word: str) -> Iterator[tuple[Func, Expr]]:
        for func in self.program.functions_with(path, word):
            frame = self.program.frame(func)
            if word in frame.locals or word in frame.parameters:
                continue
            for write in writes_of(frame.body):
                value = frame.canonical(write.value, {})
                if plain(write.target) == Name(word) and not self._is_none(frame, value):
                    yield func, value

    def _is_none(self, frame: Frame, value: Expr) -> bool:
        """Whether a value is no object: NULL, an error."""
        call = frame.call(value.call) if isinstance(value, Result) else None
        model = self.program.model(call.callee.id) if call is not None and isinstance(call.callee, Name) else None
        return is_none(value) or (model is not None and model.makes is None and model.passes)

    # --- who made it --------------------------------------------------------------------------------

    def _by_call(self, func: Func, call: Call, steps: int) -> Verdict:
        if not isinstance(call.callee, Name):
            return None
        frame = self.program.frame(func)
        model = self.program.model(call.callee.id)
        if model is not None:
            if model.makes is not None:
                return self._by_maker(func, call, model.makes, steps)
            i = model.identity if model.identity is not None else len(call.args)
            return self._made(func, frame.canonical(call.args[i], {}), steps - 1) if i < len(call.args) else None
        targets = [t.func for t in self.calls.named(call.callee.id, func.path) if t.func is not None]
        return agreed(self._returned(func, call, target, steps) for target in targets[:1])

    def _returned(self, caller: Func, call: Call, callee: Func, steps: int) -> Verdict:
        """How what a function returns was made."""
        frame = self.program.frame(callee)
        verdicts: list[Verdict] = []
        for block in frame.body.blocks if frame.body is not None else ():
            if not isinstance(block.exit, facts.Return) or block.exit.value is None:
                continue
            value = frame.canonical(block.exit.value, {})
            i = parameter(value)
            if i is not None and i < len(call.args):
                verdicts.append(self._made(caller, self.program.frame(caller).canonical(call.args[i], {}), steps - 1))
            elif not self._is_none(frame, value):
                verdicts.append(self._made(callee, value, steps - 1))
        return agreed(verdicts)

    def _by_maker(self, func: Func, call: Call, makes: Makes, steps: int) -> Verdict:
        if makes.of is not None:
            given = call.args[makes.of] if makes.of < len(call.args) else None
            return self._made(func, self.program.frame(func).canonical(given, {}), steps - 1) if given is not None else None
        if makes.shared_by:
            return self._by_parent(func.path, makes.shared_by)
        if not makes.sleeps:
            return False
        for struct, index in makes.told_by.items():
            objects = self._objects(func, call.args[index], struct) if index < len(call.args) else None
            if objects is None or any(self._says(path, v.value, makes.unless) for path, v in objects):
                return None
            if self._changed(func.path, struct, makes.unless):
                return None
            self.told.update(dict.fromkeys((path, v.line, makes.unless) for path, v in objects))
        self.makers[func, call.at] = None
        return True

    def _by_parent(self, path: str, folder: str) -> Verdict:
        """How all have made such objects who include a header of that folder that the file includes, too."""
        key = "parent", path
        if key not in self._told:
            self._told[key] = None
            shared = [h for h in self.program.units.visible(path) if posixpath.dirname(h) == folder]
            found = [v for header in shared for v in self._made_beside(header)]
            self._told[key] = agreed(found)
        return self._told[key]

    def _made_beside(self, header: str) -> Iterator[Verdict]:
        """What those make who include a header; nothing if they are many."""
        stem = posixpath.splitext(posixpath.basename(header))[0]
        files = self.program.names.files_mentioning([stem]).get(stem, ()) if stem.isidentifier() else ()
        for file in files if len(files) <= MAX_FILES else ():
            if not file.endswith(".c") or header not in self.program.units.visible(file):
                continue
            for name in self._makers:
                for func in self.program.functions_with(file, name):
                    for call in calls_of(self.program.frame(func).body):
                        if call.callee == Name(name):
                            yield self._by_call(func, call, MAX_STEPS)

    @cached_property
    def _makers(self) -> tuple[str, ...]:
        """APIs that make such an object by themselves."""
        every = self.program.models.functions.items()
        return tuple(n for n, m in every if m.makes is not None and m.makes.of is None and not m.makes.shared_by)

    def _objects(self, func: Func, value: Expr, struct: str) -> list[tuple[str, facts.Variable]] | None:
        """The initialised objects of a struct that may be meant, each with its file; None if there is none to be seen."""
        frame = self.program.frame(func)
        value = frame.canonical(value, {})
        if value == Const(0):
            return []
        root = rooted_in(value)
        if root.startswith("::"):
            found = self.program.variable(root.rpartition(":")[2], func.path)
            if found is not None and found[1].type.name == struct and isinstance(found[1].value, Items):
                return [found]
        elif root.startswith("$"):
            own = [w for w in writes_of(frame.body) if w.declares and w.target == Name(root[1:])]
            if own and isinstance(own[0].value, Items) and own[0].value.items:
                local = frame.locals.get(root[1:])
                if local is not None:
                    return [(func.path, msgspec.structs.replace(local, value=own[0].value, line=func.line_of(own[0].at)))]
        return self._named(func.path, struct) or None

    def _named(self, path: str, struct: str) -> list[tuple[str, facts.Variable]]:
        """The objects of a struct in a file and its folder that the file names."""
        tag = struct.split(" ", 1)[1]
        words = set(WORD.findall(self.program.text(path)))
        folder = posixpath.dirname(path)
        files = [f for f in self.program.names.files_initialising(tag) if posixpath.dirname(f) == folder]
        return [
            (file, v)
            for file in files for v in self.program.initialised_with(file, tag)
            if v.type.name == struct and isinstance(v.value, Items) and v.name.encode() in words
        ]  # fmt: skip

    def _says(self, path: str, items: Expr | None, fields: Iterable[str]) -> bool:
        """Whether an initialiser, or a part of it, gives one of these fields a value."""
        names = {f".{name}" for name in fields}
        for designator, value in items.items if isinstance(items, Items) else ():
            if isinstance(value, Items):
                if self._says(path, value, fields):
                    return True
            elif designator in names and self.program.constants.number(value, path) != 0:
                return True
        return False

    def _changed(self, path: str, struct: str, fields: Iterable[str]) -> bool:
        """Whether a function of a file gives one of these fields of a struct a value."""
        for name in fields:
            for func in self.program.functions_with(path, name):
                frame = self.program.frame(func)
                for write in writes_of(frame.body):
                    if isinstance(write.target, Member) and write.target.name == name:
                        owner = frame.type_of(frame.canonical(write.target.base, {}))
                        if owner is not None and frame.resolve(owner).name == struct:
                            return True
        return False


def is_other(call: Call, callee: str) -> bool:
    """Whether a call is one by name of another function, which gets to this one by itself."""
    return isinstance(call.callee, Name) and call.callee.id != callee


def agreed(verdicts: Iterable[Verdict]) -> Verdict:
    """What all say."""
    found: Verdict = None
    for n, verdict in enumerate(verdicts):
        if verdict is None or (n and verdict != found):
            return None
        found = verdict
    return found


def plain(value: Expr) -> Expr:
    """The pointer itself: the array for one of its entries, whatever type it is cast to."""
    while isinstance(value, Cast | Index | Deref):
        value = value.operand if isinstance(value, Cast) else value.base
    return value


def parameter(value: Expr | None) -> int | None:
    """The number of the parameter that a value is."""
    value = plain(value) if value is not None else None
    return int(value.id[1:]) if isinstance(value, Name) and value.id.startswith("%") else None


def is_none(value: Expr) -> bool:
    return isinstance(value, Const) or values.is_error(value)


def rooted_in(value: Expr) -> str:
    """The name with which a path begins; "" if it begins with none."""
    while isinstance(value, Cast | Index | Deref | AddressOf | Member):
        if isinstance(value, Member) and value.arrow:
            return ""
        value = value.operand if isinstance(value, Cast) else value.base
    return value.id if isinstance(value, Name) else ""
