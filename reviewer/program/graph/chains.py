"""Notifier chains: their heads, who calls them, who is on them. Found by analysis, from the API models' shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from reviewer.parse import facts
from reviewer.parse.facts import AddressOf, Call, Expr, Index, Items, Member, Name
from reviewer.program.api.models import ChainCall, ChainRegister, Place
from reviewer.program.flow.summaries import Summaries
from reviewer.program.graph.chaincalls import HEAD_TYPES, MAX_WRAPPERS, ChainCalls
from reviewer.program.index.linkage import ASIDE
from reviewer.program.linked import values
from reviewer.program.linked.calls import function_names
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import lock_class
from reviewer.program.linked.structs import Frame


@dataclass(frozen=True, slots=True)
class ChainSite:
    """A call of, or a registration on, a chain: in ``func``, at the call event."""

    func: Func
    call: Call
    chain: str


@dataclass(frozen=True, slots=True)
class ChainUser:
    """A callback on a chain."""

    callback: Func
    site: ChainSite
    block: Expr


@dataclass(slots=True)
class NotifierChain:
    """One chain. ``head`` is named as a lock class is: a global, ``file:static`` or ``struct T.field``."""

    head: str
    kind: str
    file: str
    line: int
    calls: list[ChainSite] = field(default_factory=list)
    users: list[ChainUser] = field(default_factory=list)

    @property
    def short(self) -> str:
        """The name of the head without the file of a static."""
        return self.head.rpartition(":")[2]


FEW_FILES = 8
"""Files with a chain's name that are read without asking first whether they have to do with chains at all."""


class Chains:
    """All chains of a program that a question needs."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.program = summaries.program
        models = self.program.models.functions
        self.calling = ChainCalls(summaries)
        self.registrars = {
            n: m.chain_register
            for n, m in models.items()
            if m.chain_register is not None and not m.chain_register.remove
        }
        self.makers = {n: m.chain_head for n, m in models.items() if m.chain_head is not None}
        self.tags = {type_.split(" ")[1]: type_ for type_ in HEAD_TYPES}

    # --- heads ----------------------------------------------------------------------------------

    def heads(self, wanted: str | None = None) -> list[NotifierChain]:
        """Chains whose head is defined at file scope or initialised at run time; all, or those named ``wanted``."""
        found: dict[str, NotifierChain] = {}
        names: Iterable[str] = self._defining(wanted) if wanted is not None else ()
        if not names:
            words = [wanted.rpartition(".")[2]] if wanted is not None else [*self.makers, *self.tags]
            names = [f for paths in self.program.names.files_mentioning(words).values() for f in paths]
        files = sorted({f for f in names if f.split("/", 1)[0] not in ASIDE})
        self.program.load(files)
        for file in files:
            for chain in self._heads_in(file):
                if wanted is None or wanted in (chain.short, chain.head):
                    found.setdefault(chain.head, chain)
        return list(found.values())

    def named_in(self, files: Iterable[str]) -> Iterator[str]:
        """Names of the chains on which functions of these files register, or which they call, straight or by a wrapper."""
        places = {n: m.chain_register.chain for n, m in self.program.models.functions.items() if m.chain_register is not None}
        places |= {n: m.chain_call.chain for n, m in self.program.models.functions.items() if m.chain_call is not None}
        looked: set[str] = set()
        for file in files:
            text = self.program.text(file)
            if b"notifier_block" not in text and not any(n.encode() in text for n in places):
                continue
            for func in self.program.functions_in(file):
                wrappers = (w for name in func.calls if name not in places for w in self.program.resolve(name, file))
                for one in (func, *wrappers):
                    if one.key not in looked and any(c in places for c in one.calls):
                        looked.add(one.key)
                        yield from self._named_by(one, places)

    def _named_by(self, func: Func, places: Mapping[str, Place]) -> Iterator[str]:
        frame = self.program.frame(func)
        for block in frame.body.blocks if frame.body is not None else ():
            for e in block.events:
                place = places.get(e.callee.id) if isinstance(e, Call) and isinstance(e.callee, Name) else None
                if place is not None and isinstance(e, Call) and place.index < len(e.args):
                    name = self.names_of(frame, frame.canonical(e.args[place.index], {}), place.address)
                    if name:
                        yield name

    def _defining(self, wanted: str) -> tuple[str, ...]:
        """Files that define a head at file scope by that name."""
        name = wanted.rpartition(":")[2]
        return self.program.names.files_defining(name) if "." not in name else ()

    def _heads_in(self, path: str) -> Iterator[NotifierChain]:
        file = self.program.file(path)
        for name, maker in self.makers.items():
            for use in file.uses(name):
                given = use.args[maker.head] if maker.head < len(use.args) else None
                if isinstance(given, Name):
                    word = given.id
                    yield NotifierChain(f"{path}:{word}" if use.static else word, maker.kind, path, use.line)
            for v in file.variables(name):
                if v.macro == name:
                    yield NotifierChain(f"{path}:{v.name}" if v.static else v.name, maker.kind, path, v.line)
        for tag, type_ in self.tags.items():
            for v in file.variables(tag):
                if v.type.name == type_ and not v.type.pointer and not v.extern:
                    yield NotifierChain(f"{path}:{v.name}" if v.static else v.name, HEAD_TYPES[type_], path, v.line)
            for s in file.structs(tag):
                for f in s.fields:
                    if f.type.name == type_ and not f.type.pointer and not s.name.startswith("struct <anon"):
                        yield NotifierChain(f"{s.name}.{f.name}", HEAD_TYPES[type_], path, s.line)

    # --- uses -----------------------------------------------------------------------------------

    def complete(self, chains: Iterable[NotifierChain]) -> None:
        """Fill in the callers and users of the chains."""
        chains = list(chains)
        registered: list[list[ChainSite]] = []
        for chain in chains:
            chain.calls = list(self._sites(chain, None))
            registered.append(list(self._sites(chain, self.registrars)))
        # Whoever calls the chains and whoever registers by a wrapper is asked for next: one search for all.
        self.prefetch(s.func for sites in (*registered, *(c.calls for c in chains)) for s in sites)
        for chain, sites in zip(chains, registered, strict=True):
            chain.users = list(self._users(chain, sites))

    def calls_of(self, chain: NotifierChain) -> list[ChainSite]:
        """Where the chain is called; its users are not looked for."""
        return list(self._sites(chain, None))

    def _files_of(self, chain: NotifierChain) -> tuple[str, ...]:
        if chain.head.startswith(f"{chain.file}:"):
            return tuple(sorted({chain.file, *self.program.unit(chain.file)}))
        files = self.program.names.files_mentioning([chain.short.rpartition(".")[2]])
        return next(iter(files.values()), ())

    @cached_property
    def _api_files(self) -> frozenset[str]:
        """Files that call or fill some chain."""
        found = self.program.names.files_mentioning([*self.calling.modelled, *self.registrars])
        return frozenset(f for files in found.values() for f in files)

    def _sites(self, chain: NotifierChain, registrars: dict[str, ChainRegister] | None) -> Iterator[ChainSite]:
        """Registrations on this very chain or, without ``registrars``, calls of it."""
        word = chain.short.rpartition(".")[2]
        files = self._files_of(chain)
        few = len(files) <= FEW_FILES
        if not few:
            files = tuple(f for f in files if f in self._api_files)
        self.program.load(files)
        api = self.calling.modelled if registrars is None else registrars
        for file in files:
            for func in self.program.functions_with(file, word):
                if few or any(c in api for c in func.calls):
                    yield from self._sites_in(func, chain, registrars)
            for func in self.program.macros_with(file, word):
                yield from self._sites_in(func, chain, registrars)

    def _sites_in(
        self, func: Func, chain: NotifierChain, registrars: dict[str, ChainRegister] | None
    ) -> Iterator[ChainSite]:
        flow = self.summaries.flow(func)
        for seen in flow.seen if flow is not None else ():
            call = seen.event
            if not isinstance(call, Call) or not isinstance(call.callee, Name):
                continue
            frame = self.program.frame(func)
            for args in seen.args[:1]:
                # By the argument first: whether an unknown function calls the chain takes a look at it.
                if not any(self.names_of(frame, a) == chain.head or self.names_of(frame, a, False) == chain.head for a in args):
                    continue
                name = call.callee.id
                spec = registrars.get(name) if registrars is not None else self.calling.of(name, func.path)
                if spec is None:
                    continue
                where = spec.chain
                if where.index < len(args) and self.names_of(frame, args[where.index], where.address) == chain.head:
                    yield ChainSite(func, call, chain.head)

    def call_of(self, site: ChainSite) -> ChainCall | None:
        """How the function called at a site calls its chain; None of a registration."""
        callee = site.call.callee
        return self.calling.of(callee.id, site.func.path) if isinstance(callee, Name) else None

    def names_of(self, frame: Frame, arg: Expr, address: bool = True) -> str:
        """The chain that an argument means, named as a lock class; "" if it is a parameter or unknown."""
        return lock_class(frame, values.deref(arg) if address else arg)

    def _users(self, chain: NotifierChain, sites: list[ChainSite]) -> Iterator[ChainUser]:
        """Users by the registrations ``sites``, straight or through wrappers."""
        seen: set[tuple[str, int]] = set()
        todo: list[tuple[ChainSite, int, int]] = []
        for site in sites:
            callee = site.call.callee
            assert isinstance(callee, Name)
            todo.append((site, self.registrars[callee.id].block, 0))
        while todo:
            site, index, depth = todo.pop(0)
            if (site.func.key, site.call.number) in seen:
                continue
            seen.add((site.func.key, site.call.number))
            frame = self.program.frame(site.func)
            for block in self._blocks_at(frame, site, index):
                if isinstance(block, Name) and block.id.startswith("%") and depth < MAX_WRAPPERS:
                    for caller in self.callers_of(site.func):
                        todo.append((ChainSite(caller[0], caller[1], chain.head), int(block.id[1:]), depth + 1))
                    continue
                for callback in self.callbacks(frame, block):
                    yield ChainUser(callback, site, block)

    def _blocks_at(self, frame: Frame, site: ChainSite, index: int) -> list[Expr]:
        """What an argument may be; paths are followed only where its text names no variable, field or parameter."""
        if index >= len(site.call.args):
            return []
        plain = frame.canonical(site.call.args[index], {})
        if (isinstance(plain, Name) and plain.id.startswith("%")) or (isinstance(plain, AddressOf) and lock_class(frame, plain)):
            return [plain]
        flow = self.summaries.flow(site.func)
        for seen in flow.seen if flow is not None else ():
            if seen.event is site.call or (isinstance(seen.event, Call) and seen.event.number == site.call.number):
                return list(dict.fromkeys(args[index] for args in seen.args))
        return [plain]  # a configuration's constant may rule the call out on every path; it is a registration all the same

    def prefetch(self, funcs: Iterable[Func]) -> None:
        """One search of the tree for the names of all these functions, rather than one for each."""
        self.program.files_calling([f for f in funcs if not f.confined])

    def callers_of(self, func: Func) -> Iterator[tuple[Func, Call]]:
        """Every direct call of ``func``."""
        if func.confined:
            files = self.program.unit(func.path)  # no need to search the tree for the name
        else:
            files = self.program.files_calling([func])[func.name]
        files = tuple(f for f in files if f.split("/", 1)[0] not in ASIDE)
        self.program.load(files)
        for file in files:
            for caller in self.program.functions_with(file, func.name):
                if func.name not in caller.calls:
                    continue
                if not any(f.key == func.key for f in self.program.resolve(func.name, file)):
                    continue
                body = self.program.body(caller)
                for block in body.blocks if body is not None else ():
                    for e in block.events:
                        if isinstance(e, Call) and e.callee == Name(func.name):
                            yield caller, e
            for caller in self.program.macros_with(file, func.name):
                yield from ((caller, e) for e in self._calls(caller) if caller.name != func.name and e.callee == Name(func.name))

    def _calls(self, func: Func) -> Iterator[Call]:
        body = self.program.body(func)
        for block in body.blocks if body is not None else ():
            yield from (e for e in block.events if isinstance(e, Call))

    def callbacks(self, frame: Frame, block: Expr) -> Iterator[Func]:
        """What ``notifier_call`` of a notifier block may be: by its initialiser, or assigned at run time."""
        target = values.deref(block)
        path = frame.func.path
        names: list[str] = []
        while isinstance(target, Index):
            target = target.base
        if isinstance(target, Name) and target.id.startswith("::"):
            file, _, word = target.id[2:].rpartition(":")
            if file and "." in word:
                function, _, local = word.partition(".")
                mine = (frame.func,) if frame.func.name == function else self.program.functions(file, function)
                for func in mine:
                    body = self.program.body(func)
                    for v in body.locals if body is not None else ():
                        if v.name == local and v.value is not None:
                            names.extend(self._in_block(v.value))
            else:
                found = self.program.variable(word, file or path)
                if found is not None and found[1].value is not None:
                    path = found[0]
                    names.extend(self._in_block(found[1].value))
        names.extend(self._assigned(frame, target))
        for name in dict.fromkeys(names):
            index = frame.parameters.get(name) if frame.func.macro is not None else None
            if index is None:
                yield from self.program.resolve(name, path)
                continue
            for caller, call in self.callers_of(frame.func):  # the macro's own block, one for each use
                for given in function_names(call.args[index]) if index < len(call.args) else ():
                    yield from self.program.resolve(given, caller.path)

    def _in_block(self, value: Expr) -> Iterator[str]:
        if isinstance(value, Items):
            for i, (designator, item) in enumerate(value.items):
                if isinstance(item, Items):  # an array of blocks
                    yield from self._in_block(item)
                elif designator == ".notifier_call" or (not designator and i == 0):
                    yield from function_names(item)

    def _assigned(self, frame: Frame, block: Expr) -> Iterator[str]:
        """``x->nb.notifier_call = f`` anywhere in the unit, ``nb`` being the same field or variable."""
        wanted = lock_class(frame, block)
        for file in self.program.unit(frame.func.path):
            for func in self.program.functions_with(file, "notifier_call"):
                inner = self.program.frame(func)
                for b in inner.body.blocks if inner.body is not None else ():
                    for e in b.events:
                        if not (isinstance(e, facts.Write) and isinstance(e.target, Member)):
                            continue
                        if e.target.name != "notifier_call":
                            continue
                        owner = inner.canonical(e.target.base, {})
                        owner = values.deref(owner) if e.target.arrow else owner
                        if (wanted and lock_class(inner, owner) == wanted) or (func.key == frame.func.key and owner == block):
                            yield from function_names(e.value)
