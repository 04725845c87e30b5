"""Whom a call reaches: by name, through a function pointer, through a table, through an API that runs a callback."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial

import msgspec

from reviewer.parse import facts
from reviewer.parse.facts import AddressOf, Cast, Choice, CType, Expr, Items, Member, Name
from reviewer.program.api.models import Function as Model
from reviewer.program.index.linkage import driver_of, reachable
from reviewer.program.linked import generics
from reviewer.program.linked.configured import exclusive
from reviewer.program.linked.link import Func, Program
from reviewer.program.linked.scopeguards import ScopeGuards
from reviewer.program.linked.stores import Stores
from reviewer.program.linked.structs import Frame, at_home
from reviewer.program.linked.written import calls_of

MAX_TARGETS = 16
"""Targets of one table entry that are followed with confidence; beyond it the call says nothing for certain."""

MAX_FILES = 60
"""Files with a table of a struct type that are read in search of its targets. A type of which more files have one
(``file_operations``) is looked up in the caller's folder only."""

MAX_ASSIGNING = 60
"""Files that assign a function to a member of a name; beyond it the nearest count, and those that have a table as well."""


MAX_SETTING = 8
"""Files that call a function which stores what it is passed into a table; what more of them use says nothing of one driver."""


class Target(msgspec.Struct, frozen=True):
    """One function that a call may reach.

    ``func`` or ``model``, whichever there is; a model wins, because a modelled function is a leaf. ``sure``: the call can
    mean nothing else, or one of a known few. ``via``: how, for people ("struct virtio_config_ops.set").
    """

    name: str
    func: Func | None
    model: Model | None
    sure: bool = True
    via: str = ""


class Calls:
    """Resolves callees; memoised per program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._tables: dict[tuple[str, str, str], tuple[tuple[str, Func], ...]] = {}
        self._own: dict[tuple[str, str, str], tuple[tuple[str, Func], ...]] = {}
        self._nearby: dict[tuple[str, str, str], bool] = {}
        self._named: dict[tuple[str, str], tuple[Target, ...]] = {}
        self._exported: dict[str, frozenset[str]] = {}
        self._arms: dict[tuple[str, str], tuple[Target, ...]] = {}
        self._guards = ScopeGuards(program)
        self.stores = Stores(program)
        self.unresolved: dict[str, int] = {}
        self.many: dict[str, int] = {}

    def targets(self, frame: Frame, callee: Expr, home: str = "") -> tuple[Target, ...]:
        """Everything that a call with this canonical callee may reach; empty if that is not known.

        :param home: the folder of the driver that is at work, see :meth:`table`.
        """
        while isinstance(callee, Cast | AddressOf):
            callee = callee.operand if isinstance(callee, Cast) else callee.base
        if isinstance(callee, Name):
            if callee.id[:1] in "$%":
                self.unresolved[callee.id[:1]] = self.unresolved.get(callee.id[:1], 0) + 1
                return ()
            if callee.id.startswith("::"):
                return self.variable_targets(frame, callee.id)
            return self._in_arm(frame.func, self.named(callee.id, frame.func.path))
        if isinstance(callee, Choice):
            return self.targets(frame, callee.then, home) + self.targets(frame, callee.other, home)
        if isinstance(callee, Member):
            owner = frame.type_of(callee.base)
            owner = frame.resolve(owner) if owner is not None else None
            if owner is None or not owner.name.startswith(("struct ", "union ")):
                self.unresolved["?"] = self.unresolved.get("?", 0) + 1
                return ()
            found = self.table(owner.name, callee.name, frame.func.path, home=home)
            return self.stores.narrowed(frame, callee, owner.name, found)
        return ()

    def _in_arm(self, caller: Func, found: tuple[Target, ...]) -> tuple[Target, ...]:
        """Of functions of the caller's own file that stand in another arm of an ``#if`` than it does, those of its own arm."""
        near = [t.func for t in found if t.func is not None and t.func.path == caller.path and t.func.condition]
        if not near or not caller.condition:
            return found
        key = caller.key, near[0].key
        if key not in self._arms:
            own = [near[0]]
            if exclusive(self.program, (caller, near[0])):
                own = [f for f in self.program.functions(caller.path, near[0].name) if not exclusive(self.program, (caller, f))]
            self._arms[key] = tuple(Target(f.name, f, None) for f in own if f is not near[0])
        return self._arms[key] or found

    def named(self, name: str, path: str) -> tuple[Target, ...]:
        key = (name, path)
        got = self._named.get(key)
        if got is None:
            got = self._named[key] = self._named_targets(name, path)
        return got

    def _named_targets(self, name: str, path: str) -> tuple[Target, ...]:
        name = self.program.models.meant(name)
        model = self.program.models.functions.get(name)
        if model is not None and not self._shadowed(name, path):
            return (Target(name, None, self.program.model(name)),)
        funcs = self.program.resolve(name, path)
        if funcs and funcs[0].name in self.program.models.functions and funcs[0].name != name:
            return self.named(funcs[0].name, path)  # a macro has given it another name
        chosen = generics.functions(funcs[0].macro) if funcs and funcs[0].macro is not None else ()
        if chosen:  # by a type that is not known here
            return tuple(target for function in chosen for target in self.named(function, funcs[0].path))
        if funcs:
            funcs = self._included(name, path, self._linked(funcs, path))
            sure = len(funcs) == 1 or len({f.path for f in funcs}) <= 4
            return tuple(Target(name, f, None, sure) for f in funcs)
        guard = self._guards.function(name, path)
        if guard is not None:
            return (Target(name, guard, None),)
        model = self.program.model(name)
        return (Target(name, None, model),) if model is not None else ()

    def _included(self, name: str, path: str, funcs: tuple[Func, ...]) -> tuple[Func, ...]:
        """The macro of a header that ``path`` includes, where the only functions of that name are another driver's."""
        if any(f.macro is not None or not driver_of(f.path) or path.startswith(f"{posixpath.dirname(f.path)}/") for f in funcs):
            return funcs
        found = self.program.macro_at(name, path) if self.program.names.files_defining_macro(name) else None
        if found is None or found[1].parameters is None or found[1].condition:
            return funcs
        seen = {*self.program.unit(path), *self.program.units.visible(path)}
        if found[0] not in seen or not seen.isdisjoint(f.path for f in funcs):
            return funcs
        macro = self.program.macro_function(name, path, (found[0],))
        return (macro,) if macro is not None else funcs

    def _linked(self, funcs: tuple[Func, ...], path: str) -> tuple[Func, ...]:
        """Of definitions in several files of one folder, which are never linked with each other, those of the file without which
        the caller's would not link: it alone defines something else that the caller's file calls."""
        files = {f.path for f in funcs}
        if len(files) < 2 or len({posixpath.dirname(f) for f in files}) > 1:
            return funcs
        called = {name for f in self.program.functions_in(path) for name in f.calls}
        needed = {file for file in files if any(self._only_in(name, file) for name in self._exports(file) & called)}
        return tuple(f for f in funcs if f.path in needed) if len(needed) == 1 else funcs

    def _exports(self, file: str) -> frozenset[str]:
        """The functions of a file that others may call."""
        got = self._exported.get(file)
        if got is None:
            got = self._exported[file] = frozenset(f.name for f in self.program.functions_in(file) if not f.static)
        return got

    def _only_in(self, name: str, file: str) -> bool:
        return self.program.names.files_defining(name) == (file,)

    def _shadowed(self, name: str, path: str) -> bool:
        """Whether a file has a static function of its own under a modelled name."""
        return any(f.source is not None and f.static and f.path == path for f in self.program.functions(path, name))

    def variable_targets(self, frame: Frame, name: str) -> tuple[Target, ...]:
        """A global function pointer: what it is initialised with."""
        file, _, word = name[2:].rpartition(":")
        named = self.named(word, file or frame.func.path) if not file or self.program.functions(file, word) else ()
        if named:
            return named  # with a file, a static function of another one that was passed on
        found = self.program.variable(word, file or frame.func.path)
        if found is None or found[1].value is None:
            return ()
        got = function_names(found[1].value)
        return tuple(t for n in got for t in self.named(n, found[0]))

    # --- tables ---------------------------------------------------------------------------------

    def table(self, struct: str, field: str, path: str, home: str = "") -> tuple[Target, ...]:
        """Functions that ``struct T.field`` may hold, for a call in ``path``.

        :param home: folder of the driver that is at work. Where it has tables of that type, a helper library comes back
            through those, not through its siblings'; a field that they leave empty holds nothing.
        """
        found = self.entries(struct, field, path, home) or self._set_here(struct, field, path)
        if not is_test(path):
            found = tuple((w, f) for w, f in found if not is_test(w)) or found
        found = tuple((w, f) for w, f in found if reachable(w, path) and self.same_struct(struct, w, path))
        sure = len({f.key for _, f in found}) <= MAX_TARGETS
        if not sure:
            near = [(w, f) for w, f in found if posixpath.dirname(w) == posixpath.dirname(path)]
            if near:
                found, sure = tuple(near), len(near) <= MAX_TARGETS
            else:
                key = f"{struct}.{field}"
                self.many[key] = len(found)
                found = found[:MAX_TARGETS]
        return self._targets(struct, field, (func for _, func in found), sure)

    def _targets(self, struct: str, field: str, funcs: Iterable[Func], sure: bool) -> tuple[Target, ...]:
        """Functions that stand in ``struct T.field``, each once."""
        via = f"{struct.partition('@')[0]}.{field}"
        result: dict[str, Target] = {}
        for func in funcs:
            model = self.program.models.functions.get(func.name)
            result.setdefault(func.key, Target(func.name, func if model is None else None, model, sure, via))
        return tuple(result.values())

    def beside(self, slot: str, path: str, instead: str = "") -> tuple[Target, ...]:
        """Functions that a slot, ``struct T.field``, may hold for the driver that a file belongs to: those in tables of its own
        unit, else in those of its folder, unless several drivers live there.

        :param instead: a member; tables that have it, too, do not count.
        """
        struct, _, field = slot.rpartition(".")
        folder, unit = posixpath.dirname(path), set(self.program.unit(path))
        found = [(w, f) for w, f in self.entries(struct, field, path) if posixpath.dirname(w) == folder]
        own = [(w, f) for w, f in found if w in unit]
        if not own and (len({w for w, _ in found}) > MAX_BESIDE or self._has_table(struct, path, unit)):
            return ()
        other = {w for w, _ in self.entries(struct, instead, path)} if instead else set()
        # Several parts with tables of their own: which of them is at work is not told by the folder.
        sure = bool(own) or len({w for w in self.files_with(struct, path) if posixpath.dirname(w) == folder}) < 2
        return self._targets(struct, field, (f for w, f in own or found if w not in other), sure)

    def _has_table(self, struct: str, path: str, unit: set[str]) -> bool:
        """Whether one of some files has an object of ``struct T``, whatever it puts into it."""
        return not unit.isdisjoint(self.files_with(struct, path))

    def files_with(self, struct: str, path: str) -> tuple[str, ...]:
        """The files that have an object of ``struct T``; of those whose objects a macro makes, the ones in the folder of a file."""
        return (*self.program.files_initialising(struct, path), *self._making(struct, path, posixpath.dirname(path)))

    def same_struct(self, struct: str, table: str, path: str) -> bool:
        """Whether a file with a table means the same ``struct T`` as ``path``: drivers of one family have headers of their own, with
        the same words in them."""
        tag = struct.partition("@")[0]
        return not self.program.struct_home(tag, path) or self.program.same_struct(tag, table, path)

    def has_bits(self, struct: str, field: str, func: Func, word: str, mask: int) -> bool:
        """Whether a table that puts ``func`` into ``struct T.field`` may have one of the bits ``mask`` in its number ``word``."""
        for v in self.program.initialised_with(func.path, func.name):
            if not isinstance(v.value, Items) or v.type.name.partition("@")[0] != struct.partition("@")[0]:
                continue
            given = dict(v.value.items)
            if func.name in function_names(given.get(f".{field}", Name(""))):
                number = self.program.constants.number(given[f".{word}"], func.path) if f".{word}" in given else 0
                return number is None or bool(number & mask)
        return True

    def entries(self, struct: str, field: str, path: str, home: str = "") -> tuple[tuple[str, Func], ...]:
        """``(file of the table, function)`` for every place that puts a function into ``struct T.field``.

        :param home: a folder with a slash at its end; where it has tables of that type, no others count.
        """
        if home and not any(
            f.startswith(home) and (is_test(path) or not is_test(f)) for f in self.program.files_initialising(struct, path)
        ):
            home = ""  # a library with tests of its own still comes back to its drivers
        key = (struct, field, home or self._place(struct, field, path))
        got = self._tables.get(key)
        if got is None:
            self._tables[key] = ()
            got = self._tables[key] = tuple(self._entries(struct, field, path, home))
        return got

    def in_file(self, file: str, struct: str, field: str) -> Iterator[Func]:
        """Functions that one file puts into ``struct T.field``."""
        for name in (*self._initialised(file, struct, field), *self._assigned(file, struct, field)):
            yield from (func for _, func in self._meant(name, file))

    def _place(self, struct: str, field: str, path: str) -> str:
        """The folder on which it depends which tables count: the caller's own, that of the struct, or none."""
        under = self.program.struct_home(struct.partition("@")[0], path)
        near = self._nearby.get((struct, field, under))
        if near is None:
            many = len(self.program.files_assigning(struct, field, path)) > MAX_ASSIGNING
            near = self._nearby[struct, field, under] = many or self._crowded(struct, path)
        return posixpath.dirname(path) if near else under

    def _crowded(self, struct: str, path: str) -> bool:
        return len(self.program.files_initialising(struct, path)) > MAX_FILES

    def _entries(self, struct: str, field: str, path: str, home: str) -> Iterator[tuple[str, Func]]:
        initialising = self.program.files_initialising(struct, path)
        assigning = self.program.files_assigning(struct, field, path)
        making = self._making(struct, path, home or (posixpath.dirname(path) if self._crowded(struct, path) else ""))
        if home:
            initialising, assigning = (tuple(f for f in s if f.startswith(home)) for s in (initialising, assigning))
        elif self._crowded(struct, path):
            initialising, assigning = (self._near(files, path) for files in (initialising, assigning))
        elif len(assigning) > MAX_ASSIGNING:
            known = {*initialising, *self._near(assigning, path)}
            assigning = tuple(f for f in assigning if f in known)
        files = tuple(dict.fromkeys((*initialising, *assigning, *making)))
        pieces = partial(self._named_in, struct, field, frozenset(initialising), frozenset(assigning), frozenset(making))
        found = self.program.kept_by_file("tables", f"{struct}.{field}", files, (struct, field), pieces)
        for file, name in found:
            yield from self._meant(name, file)

    def _meant(self, name: str, file: str) -> Iterable[tuple[str, Func]]:
        """(file of the table, function) for what a file stores, by name or as what is passed for a parameter."""
        return self._passed(name, file) if name.startswith("%") else ((file, func) for func in self._function(name, file))

    def _set_here(self, struct: str, field: str, path: str) -> tuple[tuple[str, Func], ...]:
        """What a file itself stores, by whatever name: the index knows of assignments of what looks like a function only."""
        got = self._own.get((struct, field, path))
        if got is None:
            self._own[struct, field, path] = ()
            stored = self._assigned(path, struct, field)
            got = self._own[struct, field, path] = tuple(pair for name in stored for pair in self._meant(name, path))
        return got

    def _passed(self, parameter: str, file: str) -> Iterator[tuple[str, Func]]:
        """(file of the call, function) for what is passed for a parameter (``%index name``), a setter of the file stores that."""
        index, _, setter = parameter[1:].partition(" ")
        for func in self.program.functions(file, setter):
            calling = self.program.unit(file) if func.confined else self.program.files_calling([func])[func.name]
            if len(calling) > MAX_SETTING:
                continue  # a library's for everybody
            self.program.load(calling)
            for path in calling:
                for caller in self.program.functions_with(path, setter):
                    for call in calls_of(self.program.body(caller) if setter in caller.calls else None):
                        given = call.args[int(index)] if call.callee == Name(setter) and int(index) < len(call.args) else None
                        for name in function_names(given) if given is not None else ():
                            yield from ((path, f) for f in self._function(name, path))

    def _named_in(
        self, struct: str, field: str, initialising: frozenset[str], assigning: frozenset[str], making: frozenset[str],
        files: Sequence[str],
    ) -> Iterator[tuple[str, str]]:
        """(file, name of a function) for the places in these files that put a function into ``struct T.field``."""
        self.program.load(files)
        needle = re.compile(rb"[.>]\s*" + re.escape(field.encode()) + rb"\s*=[^=]")
        # A table inside an object is filled without a word of its type: ``port->ops.send = send;``
        inside = re.compile(rb"(?:->|\.)\s*\w+\s*(?:->|\.)\s*" + re.escape(field.encode()) + rb"\s*=[^=]")
        tag = struct.partition("@")[0].split(" ", 1)[1].encode()
        by_macro = re.compile(BY_MACRO % re.escape(tag))
        for file in files:
            text = self.program.text(file)
            named = needle.search(text) or by_macro.search(text) or has_in_order(text, tag)
            filled = file in making or (file in initialising and named)
            if filled or (file in assigning and tag in text):
                yield from ((file, name) for name in self._initialised(file, struct, field))
                yield from ((file, name) for name in self._assigned(file, struct, field))
            elif file in assigning and inside.search(text):
                yield from ((file, name) for name in self._assigned(file, struct, field, True))

    def _making(self, struct: str, path: str, folder: str) -> tuple[str, ...]:
        """Files of a folder, or of the tree, that have an object of ``struct T`` made by a macro of a header."""
        makers = self.program.makers(struct, path)
        found = self.program.names.files_mentioning(makers, (folder.rstrip("/"),) if folder else ()) if makers else {}
        return tuple(sorted({f for files in found.values() for f in files if f.endswith(".c")}))

    @staticmethod
    def _near(files: tuple[str, ...], path: str) -> tuple[str, ...]:
        """Those of a file's own folder and below."""
        folder = posixpath.dirname(path)
        return tuple(f for f in files if f == path or f.startswith(folder + "/"))

    def _function(self, name: str, path: str) -> tuple[Func, ...]:
        own = self.program.functions(path, name)
        if own:
            return own
        got = self.program.resolve(name, path)
        if not got and self.program.model(name) is not None:
            return (Func(f"model#{name}", path, name, None, facts.Macro(name, (), "", 0, "")),)
        return got

    def _initialised(self, file: str, struct: str, field: str) -> Iterator[str]:
        tag = struct.partition("@")[0].split(" ", 1)[1]
        in_order = has_in_order(self.program.text(file), tag.encode())
        words = (field, tag) if in_order else (field,)
        named = (v for word in words for v in self.program.initialised_with(file, word))
        tables = {v.name: v for v in (*named, *self.program.filled_with(file, tag))}
        for v in tables.values():
            if v.value is not None:
                yield from self._in_value(v.value, v.type, file, struct, field, 0)
        for func in self.program.functions_with(file, tag, *([] if in_order else [field])):
            body = self.program.body(func)
            for type_, value in initialisers_of(body) if body is not None else ():
                yield from self._in_value(value, type_, file, struct, field, 0)

    def _in_value(
        self, value: Expr, type_: CType, file: str, struct: str, field: str, depth: int
    ) -> Iterator[str]:
        if not isinstance(value, Items) or depth > 4:
            return
        type_ = value.type or type_
        if type_.array:
            inner = CType(type_.name, type_.pointer, type_.array - 1, type_.function)
            for _, item in value.items:
                yield from self._in_value(item, inner, file, struct, field, depth + 1)
            return
        definition = None
        if type_.name.startswith(("struct ", "union ")):
            definition = self.program.struct_at(type_.name, file)
        same = type_.name.partition("@")[0] == struct.partition("@")[0]
        position = 0
        for designator, item in value.items:
            names = [n for n in designator.split(".") if n]
            member = None
            if definition is not None:
                if names:
                    for i, f in enumerate(definition[1].fields):
                        if f.name == names[0]:
                            member, position = at_home(f, definition[0]), i
                elif position < len(definition[1].fields):
                    member = at_home(definition[1].fields[position], definition[0])
            position += 1
            if (same and (names[:1] == [field] if names else member is not None and member.name == field)) or (len(names) > 1 and names[-1] == field):
                yield from function_names(item)
            elif isinstance(item, Items) and member is not None:
                yield from self._in_value(item, member.type, file, struct, field, depth + 1)

    def _assigned(self, file: str, struct: str, field: str, known: bool = False) -> Iterator[str]:
        """Assignments at run time: ``p->field = function``, the type of ``p`` checked; with ``known`` it must be. What is assigned
        is a function's name, or, of a parameter, ``%index name`` of the function that it belongs to."""
        text = self.program.text(file)
        pattern = re.compile(rb"(?:->|\.)\s*" + re.escape(field.encode()) + rb"\s*=\s*&?\s*[A-Za-z_]\w*\s*[;,?]")
        offsets = [m.start() for m in pattern.finditer(text)]
        if not offsets:
            return
        for func in self.program.functions_at(file, offsets):
            frame = self.program.frame(func)
            for block in frame.body.blocks if frame.body is not None else ():
                for e in block.events:
                    if isinstance(e, facts.Write) and isinstance(e.target, Member) and e.target.name == field:
                        owner = frame.type_of(frame.canonical(e.target.base, {}))
                        if owner is None and known:
                            continue
                        if owner is None or frame.resolve(owner).name.partition("@")[0] == struct.partition("@")[0]:
                            for name in function_names(e.value):
                                index = frame.parameters.get(name)
                                yield name if index is None else f"%{index} {func.name}"


MAX_BESIDE = 2
"""Files with tables of one kind that a folder has where it is one driver's."""

BY_MACRO = rb"\b%b\b[^;{}()=]*=\s*\{(?:[^{}]*(?:[,)]|\*/|\n[ \t]*#[^\n]*))?\s*[A-Z]\w*\s*[(,]"
"""An initialiser of a struct, a part of which may be a macro's, behind another, a comment or a line of the preprocessor."""

IN_ORDER = rb"\b%b\b[^;{}()=]*=\s*\{(?:\s|\{|/\*(?:[^*]|\*[^/])*\*/|\[[^\]]*\]\s*=)*(?!0\s*[,}])[\"&(\w]"
"""An initialiser of a struct, or of an array of them, whose values stand in the order of its members."""

TEST = re.compile(r"(?:^|/)(?:(?:selftests?|tests?|kunit)/|(?:selftest|mock)_\w+\.[ch]$)|[/_-](?:tests?|selftests?|kunit)\.[ch]$")
"""Where the kernel keeps tests of itself."""


@cache
def is_test(path: str) -> bool:
    """Whether a file holds tests: their tables serve no other code."""
    return TEST.search(path) is not None


def has_in_order(text: bytes, tag: bytes) -> bool:
    """Whether a file fills a ``struct tag`` without naming its members."""
    return re.search(IN_ORDER % re.escape(tag), text) is not None


def initialisers_of(body: facts.Body) -> Iterator[tuple[CType, Expr]]:
    """What the locals of a function are declared with, statics and those of a call."""
    types = {local.name: local.type for local in body.locals}
    yield from ((local.type, local.value) for local in body.locals if local.value is not None)
    for block in body.blocks:
        for e in block.events:
            if isinstance(e, facts.Write) and e.declares and isinstance(e.target, Name) and isinstance(e.value, Items):
                if e.target.id in types:
                    yield types[e.target.id], e.value


def function_names(value: Expr) -> Iterator[str]:
    """Names that an initialiser or assignment may mean as a function."""
    if isinstance(value, Name):
        yield value.id.removeprefix("::")
    elif isinstance(value, AddressOf):
        yield from function_names(value.base)
    elif isinstance(value, Cast):
        yield from function_names(value.operand)
    elif isinstance(value, Choice):
        yield from function_names(value.then)
        yield from function_names(value.other)
