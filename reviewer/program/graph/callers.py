"""Every way into a function: calls by name, through a table, through an API that runs or registers a callback.

A callback's callers are who runs it: for a notifier, the places that call its chain; for a work item, a timer or an
interrupt, the registration by the API models (a :class:`Root`). What is looked at is bounded, and what was left out is said.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from reviewer.parse.facts import AddressOf, Body, Call, Cast, Choice, CType, Expr, Items, Member, Name, Return, Write
from reviewer.program.api.models import ELEMENT, ChainRegister, Irq, Registers
from reviewer.program.api.models import Function as Model
from reviewer.program.flow.lockflow import Seen, unexecuted
from reviewer.program.graph.chains import ChainSite, NotifierChain
from reviewer.program.graph.contexts import CallSite, Contexts
from reviewer.program.index.linkage import ASIDE, architecture, by_distance, reachable
from reviewer.program.linked import values
from reviewer.program.linked.calls import MAX_FILES, function_names
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import lock_class
from reviewer.program.linked.structs import Frame, at_home

MAX_SITES = 40
"""Places that call one function; beyond it the rest is left out and the callers are ``partial``."""

BATCH = 16
"""Files that are read together while callers are looked for: a function that all call is not worth the whole tree."""

MAX_PASSED = 3
"""Calls through which a function that is passed as an argument is followed."""

MAX_CHAINS = 4
"""Notifier chains of one callback whose calls are looked up."""

BLOCK = ("struct notifier_block", "notifier_call")
"""What goes on a notifier chain (include/linux/notifier.h): the struct, and its field for the function."""


@dataclass(frozen=True, slots=True)
class Root:
    """A registration that makes a function run without any caller that could be named.

    ``how``: work, timer, irq, ... of the API model, ``chain NAME``, or the macro that makes the function's header (a
    system call). ``by``: the API that registers. ``function``, ``file``, ``line``: where; no function at file scope.
    """

    how: str
    by: str
    function: str
    file: str
    line: int
    context: Irq = "task"
    in_reclaim: bool = False
    runs: bool = True  # the root itself runs the function, holding nothing; a chain's callers do it instead


@dataclass(slots=True)
class Callers:
    """The ways into one function.

    ``partial``: why there may be more, for people; ``cut``: what the budget left out.
    """

    func: Func
    sites: list[CallSite] = field(default_factory=list)
    roots: list[Root] = field(default_factory=list)
    partial: dict[str, None] = field(default_factory=dict)
    cut: dict[str, None] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return not self.partial and not self.cut


@dataclass(frozen=True, slots=True)
class Passed:
    """A value (a function, a notifier block, a work item) that is argument ``index`` of a call."""

    func: Func
    call: Call
    callee: Expr
    args: tuple[Expr, ...]
    index: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A function that is put into ``struct T.field``; ``object``: class of the struct object, "" if it cannot be named."""

    struct: str
    field: str
    object: str
    func: Func | None
    file: str
    line: int


class CallerSearch:
    """Callers of functions of one program, memoised."""

    def __init__(self, contexts: Contexts) -> None:
        self.contexts = contexts
        self.summaries = contexts.summaries
        self.chains = contexts.chains
        self.program = contexts.program
        self._made: dict[str, Callers] = {}
        self._through: dict[tuple[str, str, str, str], tuple[list[CallSite], str]] = {}
        self._blocks: dict[tuple[str, str], Registers | None] = {}
        self._chain_sites: dict[str, tuple[list[CallSite], bool]] = {}

    def prefetch(self, funcs: Iterable[Func]) -> None:
        """One search of the tree for the names of all these functions, rather than one for each."""
        self.program.files_calling([f for f in funcs if f.key not in self._made and self._home(f) is None])

    def of(self, func: Func) -> Callers:
        """The ways into ``func``."""
        got = self._made.get(func.key)
        if got is None:
            got = self._made[func.key] = Callers(func)
            self._search(got)
        return got

    # --- where its name stands ------------------------------------------------------------------

    def _home(self, func: Func) -> tuple[str, ...] | None:
        """The files that can name a static function; None if any file can."""
        if not func.static or func.macro is not None:
            return None
        unit = self.program.unit(func.path)
        return unit if any(f.endswith(".c") for f in unit) else None

    def _files(self, func: Func) -> list[str]:
        home = self._home(func)
        if home is not None:
            return list(home)
        found = self.program.files_calling([func])[func.name]
        top = func.path.split("/", 1)[0]
        near = (f for f in found if f.split("/", 1)[0] not in ASIDE or f.split("/", 1)[0] == top)
        return by_distance([f for f in near if reachable(func.path, f)], func.path)

    def _search(self, got: Callers) -> None:
        func = got.func
        if func.definition is not None and func.definition.macro:
            line = func.definition.name_line
            got.roots.append(Root(func.definition.macro, func.definition.macro, "", func.path, line))
        files = self._files(func)
        for start in range(0, len(files), BATCH):
            batch = files[start : start + BATCH]
            self.program.load(batch)
            for n, file in enumerate(batch, start):
                if len(got.sites) >= MAX_SITES:
                    got.cut[f"{len(files) - n} of {len(files)} files that name {func.name}"] = None
                    return
                if self._means(func, file):
                    self._in_file(got, file)

    def _means(self, func: Func, file: str) -> bool:
        meant = self.program.resolve(func.name, file)
        if any(f.path == func.path for f in meant):
            return True
        # Generic code means the default of all architectures; what one of them has instead is linked in its place.
        instead = architecture(func.path) is not None and not func.static and reachable(func.path, file)
        return instead and bool(meant) and all(is_weak(f) for f in meant)

    def _in_file(self, got: Callers, file: str) -> None:
        name = got.func.name
        for caller in self.program.functions_with(file, name):
            if not self.program.switches.left_out(caller.condition, caller.path):
                self._in_function(got, caller)
            if len(got.sites) >= MAX_SITES:
                return
        for macro in self.program.macros_with(file, name):
            if macro.name != name:
                self._in_function(got, macro)
        for use in self.program.file(file).uses_with(name):
            for index, arg in enumerate(use.args):
                if name in function_names(arg):
                    self._used(got, use.name, index, file, use.line)
        for v in self.program.initialised_with(file, name):
            assert v.value is not None
            place = f"{file}:{v.name}" if v.static else v.name
            for struct, slot, holder in self.slots(v.value, v.type, file, name):
                stored = Stored(struct, slot, place if holder == v.value else "", None, file, v.line)
                self._stored(got, stored)

    def _used(self, got: Callers, macro: str, index: int, file: str, line: int) -> None:
        """The function is an argument of a macro at file scope: a registration, or nobody knows what."""
        model = self.program.model(macro)
        roots = [r for r in model.registers if r.callback == index] if model is not None else []
        for r in roots:
            got.roots.append(Root(r.how, macro, "", file, line, r.context, r.in_reclaim))
        if not roots and not (model is not None and model.pure):
            got.partial[f"{macro}({got.func.name}) in {file}"] = None

    def _in_function(self, got: Callers, caller: Func) -> None:
        """Calls of the function, and what else ``caller`` does with its name."""
        func = got.func
        body = self.program.body(caller)
        if body is not None and not means(body, func.name):
            return  # a label or a field of that name, which is not worth an execution
        flow = self.summaries.flow(caller)
        frame = self.program.frame(caller)
        self._in_statics(got, caller, func.name)
        if flow is None:
            got.partial[f"{caller.name} could not be read"] = None
            return
        if any(e.value is not None and names_function(e.value, func) for e in flow.endings):
            got.partial[f"{caller.name} returns its address"] = None
        for seen in self.events(caller):
            event = seen.event
            if isinstance(event, Call):
                callee = seen.callee or event.callee
                if is_function(callee, func):
                    got.sites.append(CallSite(caller, event, seen.must(), seen.may()))
                for args in dict.fromkeys(seen.args):
                    for index, arg in enumerate(args):
                        if names_function(arg, func):
                            self._passed(got, Passed(caller, event, callee, args, index), 0)
            elif isinstance(event, Write):
                self._written(got, frame, event, seen)

    def _in_statics(self, got: Callers, caller: Func, word: str) -> None:
        """Statics of a function, or of a macro that declares one around its argument, that hold the function."""
        body = self.program.body(caller)
        for v in body.locals if body is not None else ():
            if v.value is not None and v.static:
                for struct, slot, holder in self.slots(v.value, v.type, caller.path, word):
                    object_ = f"{caller.path}:{caller.name}.{v.name}" if holder == v.value else ""
                    line = caller.line + (0 if caller.macro is not None else v.line)
                    self._stored(got, Stored(struct, slot, object_, caller, caller.path, line))

    def _written(self, got: Callers, frame: Frame, event: Write, seen: Seen) -> None:
        target, value = seen.args[0]
        name = got.func.name
        line = frame.func.line_of(event.at)
        if isinstance(value, Items):
            type_ = value.type or frame.type_of(target)
            if type_ is not None:
                for struct, slot, holder in self.slots(value, frame.resolve(type_), frame.func.path, name):
                    object_ = lock_class(frame, target) if holder == value else ""
                    self._stored(got, Stored(struct, slot, object_, frame.func, frame.func.path, line))
        elif names_function(value, got.func):
            self._stored_at(got, frame, target, line)

    def _stored_at(self, got: Callers, frame: Frame, target: Expr, line: int) -> None:
        """A pointer to the function is stored in an object."""
        if isinstance(target, Name) and target.id.startswith("$"):
            return  # followed by its value
        if isinstance(target, Member):
            owner = frame.type_of(target.base)
            if owner is not None:
                struct = frame.resolve(owner).name
                object_ = lock_class(frame, values.deref(target.base) if target.arrow else target.base)
                self._stored(got, Stored(struct, target.name, object_, frame.func, frame.func.path, line))
                return
        got.partial[f"its address is stored in {frame.func.name}"] = None

    def events(self, func: Func) -> Iterator[Seen]:
        """The events of a function, with the calls that no path reaches: a constant of some configuration rules them out,
        and they are registrations and calls all the same."""
        flow = self.summaries.flow(func)
        if flow is None:
            return
        yield from flow.seen
        yield from unexecuted(flow.frame, {s.event.number for s in flow.seen if isinstance(s.event, Call)})

    # --- an argument ------------------------------------------------------------------------------

    def _passed(self, got: Callers, passed: Passed, depth: int) -> None:
        """The function is passed to a call: run at once, registered, stored, or passed on."""
        frame = self.program.frame(passed.func)
        targets = self.summaries.calls.targets(frame, passed.callee)
        if not targets:
            got.partial[f"it is passed on in {passed.func.name}"] = None
        for target in targets:
            if target.model is not None:
                self._given(got, passed, target.model)
            elif target.func is not None:
                self._received(got, passed, target.func, depth)

    def _given(self, got: Callers, passed: Passed, model: Model) -> None:
        """The function is an argument of a modelled API."""
        known = model.passes
        line = passed.func.line_of(passed.call.at)
        for r in model.registers:
            if r.callback == passed.index:
                known = True
                got.roots.append(
                    Root(r.how, model.name, passed.func.name, passed.func.path, line, r.context, r.in_reclaim)
                )
        for i in model.invokes:
            if i.callback == passed.index:
                known = True
                site = self.contexts.site(passed.func, passed.call)
                got.sites.append(
                    CallSite(site.caller, site.call, site.must, site.may, how=model.name, runs=i.context, many=i.many)
                )
        if not known:
            got.partial[f"it is passed to {model.name} in {passed.func.name}"] = None

    def _received(self, got: Callers, passed: Passed, receiver: Func, depth: int) -> None:
        """What a function does with the parameter in which it gets the function."""
        flow = self.summaries.flow(receiver)
        if flow is None or depth >= MAX_PASSED:
            got.partial[f"it is passed on in {receiver.name}"] = None
            return
        parameter = Name(f"%{passed.index}")
        frame = self.program.frame(receiver)
        if passed.index < len(receiver.parameters):
            self._in_statics(got, receiver, receiver.parameters[passed.index].name)
        for seen in flow.seen:
            event = seen.event
            if isinstance(event, Call):
                callee = seen.callee or event.callee
                if stripped(callee) == parameter:
                    got.sites.append(CallSite(receiver, event, seen.must(), seen.may(), how=f"passed by {passed.func.name}"))
                for args in dict.fromkeys(seen.args):
                    for index, arg in enumerate(args):
                        if stripped(arg) == parameter:
                            self._passed(got, Passed(receiver, event, callee, args, index), depth + 1)
            elif isinstance(event, Write) and stripped(seen.args[0][1]) == parameter:
                self._stored_at(got, frame, seen.args[0][0], receiver.line_of(event.at))

    # --- a table ----------------------------------------------------------------------------------

    def slots(self, value: Expr, type_: CType, path: str, name: str) -> Iterator[tuple[str, str, Expr]]:
        """``(struct, field, initialiser of the struct)`` for each place of an initialiser that holds the function ``name``."""
        if not isinstance(value, Items):
            return
        type_ = value.type or type_
        if type_.array:
            inner = CType(type_.name, type_.pointer, type_.array - 1, type_.function)
            for _, item in value.items:
                if isinstance(item, Items):
                    yield from self.slots(item, inner, path, name)
                elif name in function_names(item):
                    yield type_.name, ELEMENT, value  # of an array of pointers to functions, by the name of its type
            return
        found = self.program.struct_at(type_.name, path) if type_.name.startswith(("struct ", "union ")) else None
        fields = [at_home(f, found[0]) for f in found[1].fields] if found is not None else []
        position = -1
        for designator, item in value.items:
            position += 1
            owner, member = type_.name, None
            words = [w for w in designator.split(".") if w and not w.startswith("[")]
            if not words and position < len(fields):
                member = fields[position]
            for i, word in enumerate(words):
                inside = fields
                if i:
                    inner_at = self.program.struct_at(owner, path)
                    inside = [at_home(f, inner_at[0]) for f in inner_at[1].fields] if inner_at is not None else []
                index = next((n for n, f in enumerate(inside) if f.name == word), -1)
                member = inside[index] if index >= 0 else None
                if i == 0 and index >= 0:
                    position = index
                if i + 1 < len(words):
                    owner = member.type.name if member is not None else "?"
            literal = item.base if isinstance(item, AddressOf) else item  # .ops = &(const struct ops) { ... }
            if isinstance(literal, Items):
                yield from self.slots(literal, member.type if member is not None else CType("?"), path, name)
            elif name in function_names(item):
                slot = words[-1] if words else member.name if member is not None else "?"
                yield owner, slot, value if len(words) < 2 else item

    def _stored(self, got: Callers, stored: Stored) -> None:
        """The function stands in ``struct T.field``: a registration by its type, a chain's callback, or a table."""
        struct = stored.struct.partition("@")[0]
        where = stored.func.name if stored.func is not None else ""
        if (struct, stored.field) == BLOCK:
            self._on_chain(got, stored)
            return
        spec = self._registers_field(struct, stored.field, stored.file)
        if spec is not None:
            by = f"{struct}.{stored.field}"
            got.roots.append(Root(spec.how, by, where, stored.file, stored.line, spec.context, spec.in_reclaim))
            return
        if not struct.startswith(("struct ", "union ")) or "<anon:" in struct:
            got.partial[f"its address is in a table in {stored.file}"] = None
            return
        got.partial[f"its address is in {struct}.{stored.field}"] = None
        sites, cut = self.through(stored.struct, stored.field, stored.file)
        known = {(s.caller.key, s.call.number) for s in got.sites}
        got.sites.extend(s for s in sites if (s.caller.key, s.call.number) not in known)
        if cut:
            got.cut[cut] = None

    def _registers_field(self, struct: str, slot: str, path: str) -> Registers | None:
        """The model by which a function in ``struct T.field`` runs: the type is what the API's own declaration says."""
        key = (struct, slot)
        if key not in self._blocks:
            self._blocks[key] = None
            for name, model in self.program.models.functions.items():
                for r in model.registers:
                    if r.field == slot and r.block is not None and self._block_type(name, r, path) == struct:
                        self._blocks[key] = r
                        return r
        return self._blocks[key]

    def _block_type(self, name: str, spec: Registers, path: str) -> str:
        """The struct that the model's block is, by the definition of the API function in this tree; "" if unknown."""
        assert spec.block is not None
        for func in self.program.resolve(name, path)[:1]:
            parameters = func.parameters
            if func.definition is None or spec.block.base != "arg" or spec.block.index >= len(parameters):
                continue
            type_ = parameters[spec.block.index].type
            frame = self.program.frame(func)
            for word in spec.block.path:
                inner = frame.field_type(frame.resolve(type_), word)
                if inner is None:
                    return ""
                type_ = inner
            return frame.resolve(type_).name
        return ""

    def through(self, struct: str, slot: str, path: str) -> tuple[list[CallSite], str]:
        """Calls through ``struct T.field``, and what was left out in the search ("" for nothing)."""
        defined = self.program.struct_at(struct.partition("@")[0], path)
        key = (struct, slot, defined[0] if defined is not None else "", posixpath.dirname(path))
        got = self._through.get(key)
        if got is None:
            self._through[key] = ([], "")
            got = self._through[key] = self._calls_through(struct, slot, path)
        return got

    def _calls_through(self, struct: str, slot: str, path: str) -> tuple[list[CallSite], str]:
        tag, _, home = struct.partition("@")
        word = tag.split(" ", 1)[1]
        named = self.program.names.files_mentioning([word, slot])
        holding = frozenset(named.get(word, ()))
        files = [f for f in named.get(slot, ()) if f in holding] if not home else [home]
        files = by_distance([f for f in files if reachable(path, f)], path)
        cut = ""
        if len(files) > MAX_FILES:
            cut = f"calls through {tag}.{slot} in {len(files)} files"
            return [], cut
        files += self._beside(tag, path, [f for f in named.get(slot, ()) if f not in holding] if not home else [])
        pattern = re.compile(rb"(?:->|\.)\s*" + re.escape(slot.encode()) + rb"\s*\)?\s*\(")
        files = [f for f in files if pattern.search(self.program.text(f))]
        self.program.load(files)
        files = [f for f in files if self.summaries.calls.same_struct(struct, f, path)]
        found: list[CallSite] = []
        for file in files:
            offsets = [m.start() for m in pattern.finditer(self.program.text(file))]
            for func in self.program.functions_at(file, offsets):
                found.extend(self._through_in(func, tag, slot))
                if len(found) >= MAX_SITES:
                    return found, f"more calls through {tag}.{slot}"
        return found, cut

    def _beside(self, tag: str, path: str, files: Iterable[str]) -> list[str]:
        """Those files of the table's folder, and of its type's, that may call by way of another object (``dev->ops->run(dev)``),
        and so without a word of its type; none if they are many."""
        found = self.program.struct_at(tag, path)
        folders = {posixpath.dirname(f) for f in (path, *([found[0]] if found is not None else []))} - {""}
        near = [f for f in files if posixpath.dirname(f) in folders]
        return by_distance(near, path) if len(near) <= MAX_FILES else []

    def _through_in(self, func: Func, tag: str, slot: str) -> Iterator[CallSite]:
        frame = self.program.frame(func)
        for seen in self.summaries.calls_in(func):
            event = seen.event
            callee = stripped(seen.callee) if seen.callee is not None else None
            if isinstance(callee, Member) and callee.name == slot:
                owner = frame.type_of(callee.base)
                if owner is not None and frame.resolve(owner).name.partition("@")[0] == tag:
                    assert isinstance(event, Call)
                    yield CallSite(func, event, seen.must(), seen.may(), how=f"{tag}.{slot}")

    # --- a notifier chain -------------------------------------------------------------------------

    def _on_chain(self, got: Callers, stored: Stored) -> None:
        """The function is a notifier: the chains that its block is put on, and who calls them."""
        found = list(self.chains_of(stored))
        if not found:
            got.partial["it is a notifier of a chain that could not be told"] = None
        for chain, root in found:
            if any(r.how == root.how and (r.file, r.line) == (root.file, root.line) for r in got.roots):
                continue
            first = not any(r.how == root.how for r in got.roots)
            got.roots.append(root)
            if not first:
                continue
            sites, whole = self.chain_calls(chain)
            got.sites.extend(sites)
            if not whole:
                got.partial[f"nobody was found who calls {chain}"] = None

    def chains_of(self, stored: Stored) -> Iterator[tuple[str, Root]]:
        """``(head, registration)`` for each chain that the notifier block is put on."""
        seen: set[str] = set()
        for passed in self._uses_of(stored):
            for head, api, site in self._registered(passed, 0):
                line = passed.func.line_of(passed.call.at)
                if head not in seen:
                    if len(seen) >= MAX_CHAINS:
                        return
                    seen.add(head)
                del site
                yield head, Root(f"chain {head}", api, passed.func.name, passed.func.path, line, runs=False)

    def _uses_of(self, stored: Stored) -> Iterator[Passed]:
        """Calls that get the address of an object, named as a lock class is."""
        if not stored.object:
            return
        word = stored.object.rpartition(":")[2].rpartition(".")[2]
        plain = not stored.object.startswith(("struct ", "union ")) and "/" not in stored.object
        files = self.program.names.files_mentioning([word]).get(word, ()) if plain else self.program.unit(stored.file)
        self.program.load(files)
        found = [f for file in files for f in self.program.functions_with(file, word)]
        if stored.func is not None and stored.func.macro is not None:
            found.append(stored.func)
        for func in found:
            frame = self.program.frame(func)
            for seen in self.events(func):
                if not isinstance(seen.event, Call):
                    continue
                for args in dict.fromkeys(seen.args):
                    for index, arg in enumerate(args):
                        if isinstance(arg, AddressOf) and lock_class(frame, arg.base) == stored.object:
                            yield Passed(func, seen.event, seen.callee or seen.event.callee, args, index)

    def _registered(self, passed: Passed, depth: int) -> Iterator[tuple[str, str, Passed]]:
        """``(head, API, call)`` for each chain that an argument ends up on."""
        frame = self.program.frame(passed.func)
        for target in self.summaries.calls.targets(frame, passed.callee):
            spec = self.chains.registrars.get(target.name)
            if spec is not None:
                head = self._head(frame, spec, passed)
                if spec.block == passed.index and head:
                    yield head, target.name, passed
            elif target.func is not None and depth < MAX_PASSED:
                yield from self._registered_in(target.func, passed, depth)

    def _registered_in(self, receiver: Func, passed: Passed, depth: int) -> Iterator[tuple[str, str, Passed]]:
        parameter = Name(f"%{passed.index}")
        for seen in self.events(receiver):
            event = seen.event
            if not isinstance(event, Call):
                continue
            for args in dict.fromkeys(seen.args):
                for index, arg in enumerate(args):
                    if stripped(arg) != parameter:
                        continue
                    inner = Passed(receiver, event, seen.callee or event.callee, args, index)
                    for head, _, site in self._registered(inner, depth + 1):
                        yield head, receiver.name, site
                    yield from self._head_passed_in(inner, passed, receiver)

    def _head_passed_in(self, inner: Passed, outer: Passed, receiver: Func) -> Iterator[tuple[str, str, Passed]]:
        """A wrapper that is given the chain, too: the head is an argument of its caller."""
        if not isinstance(inner.callee, Name):
            return
        spec = self.chains.registrars.get(inner.callee.id)
        if spec is None or spec.block != inner.index or self._head(self.program.frame(receiver), spec, inner):
            return
        args = tuple(values.substitute(a, outer.args, receiver.name) for a in inner.args)
        head = self._head(self.program.frame(outer.func), spec, Passed(outer.func, outer.call, inner.callee, args, 0))
        if head:
            yield head, receiver.name, outer

    def _head(self, frame: Frame, spec: ChainRegister, passed: Passed) -> str:
        if spec.chain.index >= len(passed.args):
            return ""
        return self.chains.names_of(frame, passed.args[spec.chain.index], spec.chain.address)

    def chain_calls(self, head: str) -> tuple[list[CallSite], bool]:
        """The calls of a chain as call sites of its callbacks, with the chain's own lock; and whether there are any."""
        got = self._chain_sites.get(head)
        if got is None:
            file = head.rpartition(":")[0]
            chain = NotifierChain(head, "", file, 0)
            sites: list[ChainSite] = self.chains.calls_of(chain)
            found = [c for s in sites for c in self.contexts.chain_sites(s)]
            got = self._chain_sites[head] = (found, bool(found))
        return got


DECLARING = ("DECLARE_", "DEFINE_")
"""How the names of macros begin that declare what their argument names."""


def means(body: Body, word: str) -> bool:
    """Whether an identifier stands in an expression of a body, where no local has its name."""
    wanted = Name(word)
    if any(v.name == word for v in body.locals) or declared_by_macro(body, wanted):
        return False
    for v in body.locals:
        if v.value is not None and wanted in values.walk(v.value):
            return True
    for block in body.blocks:
        if isinstance(block.exit, Return) and block.exit.value is not None and wanted in values.walk(block.exit.value):
            return True
        for e in block.events:
            if isinstance(e, Call):
                if e.callee == wanted or any(wanted in values.walk(x) for x in (e.callee, *e.args)):
                    return True
            elif wanted in values.walk(e.value):
                return True
    return False


def declared_by_macro(body: Body, name: Name) -> bool:
    """Whether a macro declares a local of that name (``DECLARE_COMPLETION_ONSTACK(done);``)."""
    return any(
        isinstance(e, Call) and name in e.args[:1] and isinstance(e.callee, Name) and e.callee.id.startswith(DECLARING)
        for block in body.blocks for e in block.events
    )


def is_weak(func: Func) -> bool:
    """Whether another definition of the name may take the place of this one (GCC manual, "Common Function Attributes")."""
    return func.source is not None and b"__weak" in func.source[0].text[func.source[1].start : func.source[1].brace].split()


def stripped(expr: Expr) -> Expr:
    """A value without casts and ``&`` (``&f`` is ``f`` for a function)."""
    while isinstance(expr, Cast | AddressOf):
        expr = expr.operand if isinstance(expr, Cast) else expr.base
    return expr


def is_function(expr: Expr, func: Func) -> bool:
    """Whether a canonical callee is this function by name."""
    expr = stripped(expr)
    return isinstance(expr, Name) and expr.id.removeprefix("::") == func.name


def names_function(expr: Expr, func: Func) -> bool:
    """Whether a canonical value may be a pointer to this function."""
    expr = stripped(expr)
    if isinstance(expr, Choice):
        return names_function(expr.then, func) or names_function(expr.other, func)
    return is_function(expr, func)
