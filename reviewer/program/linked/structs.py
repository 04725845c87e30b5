"""The types of access paths, and what a name means inside one function."""

from __future__ import annotations

import re

from reviewer.parse import facts
from reviewer.parse.facts import (
    AddressOf,
    Binary,
    Cast,
    Choice,
    Const,
    CType,
    Deref,
    Expr,
    Index,
    Items,
    Member,
    Name,
    Result,
    Unary,
)
from reviewer.program.linked import generics, values
from reviewer.program.linked.commands import in_order
from reviewer.program.linked.link import PASTED, Func, Program

CALL = re.compile(r"([A-Za-z_]\w*)\s*\(\s*\)")
"""A macro's body that is a call without arguments, and nothing else."""

MAX_TYPEDEFS = 8
"""Typedefs of typedefs that are followed; the kernel's longest chain has four."""


class Frame:
    """One function as a place where expressions have a meaning: its names, its types, its results."""

    def __init__(self, program: Program, func: Func) -> None:
        self.program = program
        self.func = func
        body = program.body(func)
        self.body = in_order(program, func.path, body) if body is not None else None
        self.parameters = {p.name: i for i, p in enumerate(func.parameters) if p.name}
        self.locals: dict[str, facts.Variable] = {}
        for v in self.body.locals if self.body is not None else ():
            if not v.extern:  # else it only says that there is such an object
                self.locals.setdefault(v.name, v)
        self._names: dict[str, Expr] = {}
        # By identity, the expression kept alive beside its answer: (expression, canonical form, what could be known of it).
        self._canonical: dict[int, tuple[Expr, Expr, tuple[str, ...]]] = {}
        self._calls: dict[int, facts.Call] = {}
        self._used: frozenset[int] | None = None
        self._assigned: frozenset[str] | None = None
        if self.body is not None:
            self.body = generics.chosen(self, self.body)
        for block in self.body.blocks if self.body is not None else ():
            for e in block.events:
                if isinstance(e, facts.Call):
                    self._calls[e.number] = e

    def call(self, number: int) -> facts.Call | None:
        return self._calls.get(number)

    def uses(self, number: int) -> bool:
        """Whether the result of a call is looked at anywhere in the function."""
        if self._used is None:
            read = values.expressions(self.body) if self.body is not None else ()
            self._used = frozenset(e.call for r in read for e in values.walk(r) if isinstance(e, Result))
        return number in self._used

    @property
    def assigned(self) -> frozenset[str]:
        """Names that the function assigns to, or hands to an iterator as its cursor."""
        if self._assigned is None:
            found: set[str] = set()
            for block in self.body.blocks if self.body is not None else ():
                for e in block.events:
                    if isinstance(e, facts.Write) and isinstance(e.target, Name):
                        found.add(e.target.id)
                    elif isinstance(e, facts.Call) and e.loop:
                        found |= {a.id for a in e.args if isinstance(a, Name)}
            self._assigned = frozenset(found)
        return self._assigned

    def name(self, word: str) -> Expr:
        """The canonical form of an identifier (see :mod:`reviewer.program.linked.values`)."""
        got = self._names.get(word)
        if got is None:
            got = self._names[word] = self._name(word)
        return got

    def _name(self, word: str) -> Expr:
        if word[:1] == "?":
            return Name(f"${word}")
        if word.startswith(PASTED):
            return values.UNKNOWN
        i = self.parameters.get(word)
        if i is not None:
            return Name(f"%{i}")
        local = self.locals.get(word)
        path = self.func.path
        if local is not None:
            return Name(f"::{path}:{self.func.name}.{word}") if local.static else Name(f"${word}")
        if not word or not (word[0].isalpha() or word[0] == "_") or " " in word:
            return Name(word)
        if word == "NULL":
            return Const(0)
        if word.upper() == word:
            constant = self.program.constant(word, path)
            return Const(constant) if constant is not None else Name(word)
        found = self.program.own_variable(word, path)
        if found is not None:
            where, variable = found
            return Name(f"::{where}:{word}" if variable.static else f"::{word}")
        enumerator = self.program.enumerator(word, path)
        if enumerator is not None:
            return Const(enumerator)
        # A family of names (``trace_*``) is no proof that this one is a function.
        if self.program.functions(path, word) or self.program.models.meant(word) in self.program.models.functions:
            return Name(word)
        if not word.islower():
            constant = self.program.constant(word, path)  # a family of its own has a lower case prefix (``lbmSYNC``)
            if constant is not None:
                return Const(constant)
        # Defined elsewhere: an object or a function, which only a look into that file could tell apart.
        return Name(f"::{word}")

    def callee(self, expr: Expr, known: dict[str, Expr]) -> Expr:
        """The canonical form of what is called; a plain function name stays as it is."""
        if isinstance(expr, Name) and expr.id not in self.parameters and expr.id not in self.locals:
            return expr
        return self.canonical(expr, known)

    def canonical(self, expr: Expr, known: dict[str, Expr]) -> Expr:
        """The expression in canonical form; ``known`` holds what locals (``$x``), parameters (``%i``) and results
        (``rN``) are known to be."""
        got = self._canonical.get(id(expr))
        if got is None:
            value = self._named(expr)
            got = self._canonical[id(expr)] = (expr, value, knowable(value))
        value = got[1]
        if known:
            for name in got[2]:
                if name in known:
                    return substituted(value, known)
        return value

    def _named(self, expr: Expr) -> Expr:
        """The expression with every identifier as what it means here."""
        if values.size(expr) > values.MAX_SIZE:
            return values.UNKNOWN
        macro = self.func.macro is not None

        def leaf(e: Expr) -> Expr | None:
            if isinstance(e, Name):
                return self.name(e.id)
            if isinstance(e, AddressOf) and isinstance(e.base, Name):
                n = self.name(e.base.id)
                return AddressOf(n) if isinstance(n, Name) and n.id[:1] in "$%" else None  # not of its value
            if macro and isinstance(e, Member) and e.name.startswith(PASTED):
                return values.UNKNOWN
            if macro and isinstance(e, Member) and e.name in self.parameters:  # ACCESS_PRIVATE(p, member)
                return values.member(values.rebuild(e.base, leaf), f"%{self.parameters[e.name]}", e.arrow)
            return None

        got = values.rebuild(expr, leaf)
        return got if values.size(got) <= values.MAX_SIZE else values.UNKNOWN

    def typed(self, target: Name, value: Expr) -> Expr:
        """A value as a pointer variable of declared type holds it: ``void *`` takes the variable's type, and so does a private
        area, an array of numbers (``&ch->privdata``)."""
        local = self.locals.get(target.id[1:]) if target.id.startswith("$") else None
        if local is None or not self._tells(local.type, value):
            return value
        return values.cast(self._declared(local), value)

    def returned(self, value: Expr) -> Expr:
        """A value as callers get it, who are told its type: a getter gives ``i->i_private``, which has none, out as one."""
        definition = self.func.definition
        if definition is None or not self._tells(definition.type, value):
            return value
        return values.cast(definition.type, value)

    def _tells(self, type_: CType, value: Expr) -> bool:
        """Whether a pointer's declared type says more than the value's own."""
        if not type_.pointer or isinstance(value, Const) or type_.name in BASIC:
            return False
        own = self.type_of(value)
        return own is None or BASIC.issuperset(own.name.split())

    # --- types ----------------------------------------------------------------------------------

    def resolve(self, type_: CType) -> CType:
        """The type with its typedefs followed."""
        for _ in range(MAX_TYPEDEFS):
            if " " in type_.name or type_.name in BASIC:
                return type_
            target = self.program.typedef(type_.name, self.func.path)
            if target is None:
                return type_
            type_ = CType(
                target.name, type_.pointer + target.pointer, type_.array + target.array, type_.function or target.function
            )
        return type_

    def type_of(self, expr: Expr) -> CType | None:
        """The type of a canonical expression, or None if it cannot be told."""
        if isinstance(expr, Name):
            return self._type_of_name(expr.id)
        if isinstance(expr, Member):
            base = self.type_of(expr.base)
            if base is None:
                return None
            return self.field_type(self.resolve(base), expr.name)
        if isinstance(expr, Cast):
            return expr.type
        if isinstance(expr, Deref | Index):
            base = self.type_of(expr.base)
            if base is None:
                return None
            base = self.resolve(base)
            if base.array:
                return CType(base.name, base.pointer, base.array - 1, base.function)
            if base.pointer:
                return CType(base.name, base.pointer - 1, 0, base.function)
            return base if isinstance(expr, Index) else None
        if isinstance(expr, AddressOf):
            base = self.type_of(expr.base)
            return CType(base.name, base.pointer + 1, 0, base.function) if base is not None else None
        if isinstance(expr, Result):
            return self._type_of_result(expr.call)
        if isinstance(expr, Binary):
            left = self.type_of(expr.left)
            return left if left is not None and (left.pointer or left.array) else self.type_of(expr.right)
        if isinstance(expr, Choice):
            return self.type_of(expr.then) or self.type_of(expr.other)
        if isinstance(expr, Unary):
            return self.type_of(expr.operand)
        if isinstance(expr, Items):
            return expr.type
        return None

    def _type_of_name(self, name: str) -> CType | None:
        if name.startswith("%"):
            parameters = self.func.parameters
            i = int(name[1:])
            got = parameters[i].type if i < len(parameters) else None
            return got if got is None or got.name != "?" else None
        if name.startswith("$"):
            local = self.locals.get(name[1:])
            return self._declared(local) if local is not None else None
        if name.startswith("::"):
            return self.global_type(name)
        found = self.program.functions(self.func.path, name)
        return found[0].definition.type if found and found[0].definition is not None else None

    def _declared(self, local: facts.Variable) -> CType:
        """A local's declared type; ``typeof(x)`` and ``__auto_type`` are those of their expression."""
        name = local.type.name
        if name.startswith(("typeof", "__typeof")):
            inner = name[name.find("(") + 1 : name.rfind(")")].strip().strip("()*& ")
            if inner.isidentifier():
                base = self.type_of(self.name(inner))
                if base is not None:
                    stars = name.count("*")
                    return CType(base.name, max(0, base.pointer - stars) + local.type.pointer, base.array, base.function)
        return local.type

    def global_type(self, name: str) -> CType | None:
        """The type of ``::x``, ``::file:x`` or ``::file:f.x``."""
        file, _, word = name[2:].rpartition(":")
        if file and "." in word and "/" not in word:
            function, _, local = word.partition(".")
            for func in self.program.functions(file, function):
                body = self.program.body(func)
                for v in body.locals if body is not None else ():
                    if v.name == local:
                        return v.type
            return None
        found = self.program.variable(word, file or self.func.path)
        if found is not None:
            return found[1].type
        return self._type_of_call(word) if not file else None

    def _type_of_call(self, word: str) -> CType | None:
        """The type of a word such as ``current`` that a macro makes a call without arguments."""
        macro = self.program.macro(word, self.func.path)
        called = CALL.fullmatch(macro.body.strip()) if macro is not None and macro.parameters is None else None
        return self._returned(called[1]) if called is not None else None

    def field_type(self, owner: CType, field: str) -> CType | None:
        found = self.field(owner, field)
        return found[1].type if found is not None else None

    def field(self, owner: CType, field: str) -> tuple[str, facts.FieldDef] | None:
        """The struct that owns ``field`` as lock classes name it, and the field; anonymous members are looked through."""
        if not owner.name.startswith(("struct ", "union ")):
            return None
        found = self.program.struct_at(owner.name, self.func.path)
        if found is None:
            return None
        return self._field_in(found, field, owner.name, 0)

    def _field_in(
        self, struct_at: tuple[str, facts.StructDef], field: str, owner: str, depth: int
    ) -> tuple[str, facts.FieldDef] | None:
        home, struct = struct_at
        for f in struct.fields:
            if f.name == field:
                return owner, at_home(f, home)
        if depth < 4:
            for f in struct.fields:
                if not f.name and f.type.name.startswith(("struct ", "union ")):
                    inner = self.program.struct_at(at_home(f, home).type.name, home)
                    found = self._field_in(inner, field, owner, depth + 1) if inner is not None else None
                    if found is not None:
                        return found
        return None

    def _type_of_result(self, number: int) -> CType | None:
        call = self._calls.get(number)
        if call is None or not isinstance(call.callee, Name):
            if call is not None:
                got = self.type_of(self.canonical(call.callee, {}))
                return CType(got.name, max(0, got.pointer - 1) if got.function else got.pointer) if got else None
            return None
        name = call.callee.id
        if name in MEMBER_OF and len(call.args) > MEMBER_OF[name]:
            type_ = call.args[MEMBER_OF[name]]
            if isinstance(type_, Name) and " " in type_.id:
                return CType(type_.id, 1)
        model = self.program.model(name)
        if model is not None and model.identity is not None and model.identity < len(call.args):
            return self.type_of(self.canonical(call.args[model.identity], {}))
        return self._returned(name)

    def _returned(self, name: str) -> CType | None:
        """What a function of that name returns."""
        for func in self.program.resolve(name, self.func.path):
            if func.definition is not None:
                return func.definition.type
        return self.program.return_type(name, self.func.path)


def knowable(value: Expr) -> tuple[str, ...]:
    """The keys under which a state may know something about parts of a canonical expression."""
    found: dict[str, None] = {}
    for e in values.walk(value):
        if isinstance(e, Name):
            if e.id[:1] in "$%":
                found[e.id] = None
        elif isinstance(e, Result):
            found[f"r{e.call}"] = None
        elif isinstance(e, Deref) and isinstance(e.base, Name) and e.base.id[:1] == "%":
            found[f"*{e.base.id}"] = None
        elif isinstance(e, Member) and isinstance(e.base, Name) and e.base.id[:1] == "%" and e.arrow:
            found[f"{e.base.id}->{e.name}"] = None
    return tuple(found)


def substituted(value: Expr, known: dict[str, Expr]) -> Expr:
    """A canonical expression with what is known put in."""

    def leaf(e: Expr) -> Expr | None:
        if isinstance(e, Name):
            return known.get(e.id, e)
        if isinstance(e, Result):
            return known.get(f"r{e.call}", e)
        if isinstance(e, AddressOf):
            if isinstance(e.base, Name):
                return e  # the address of a local is not that of its value
            if isinstance(e.base, Deref):
                return values.rebuild(e.base.base, leaf)
            if isinstance(e.base, Member):
                return values.address_of(inside(e.base))
        elif isinstance(e, Deref) and isinstance(e.base, Name):
            return known.get(f"*{e.base.id}")  # a constant stored through a parameter
        elif isinstance(e, Member):
            if isinstance(e.base, Name) and e.arrow:
                return known.get(f"{e.base.id}->{e.name}")  # a constant in what a parameter points to
            if isinstance(e.base, Member):
                return inside(e)
        return None

    def inside(e: Member) -> Expr:
        """A part of an object: what is around it has no value of its own."""
        base = inside(e.base) if isinstance(e.base, Member) else values.rebuild(e.base, leaf)
        return values.member(base, e.name, e.arrow)

    got = values.rebuild(value, leaf)
    return got if values.size(got) <= values.MAX_SIZE else values.UNKNOWN


def at_home(f: facts.FieldDef, home: str) -> facts.FieldDef:
    """The field, an anonymous struct type of its named with the file whose numbering it follows."""
    if "<anon:" not in f.type.name or "@" in f.type.name:
        return f
    t = f.type
    return facts.FieldDef(f.name, CType(f"{t.name}@{home}", t.pointer, t.array, t.function))


MEMBER_OF = {
    "container_of": 1, "container_of_const": 1, "list_entry": 1, "list_first_entry": 1, "list_last_entry": 1,
    "list_first_entry_or_null": 1, "hlist_entry": 1, "rb_entry": 1, "from_timer": 0, "list_entry_rcu": 1,
    "llist_entry": 1, "rb_entry_safe": 1, "timer_container_of": 0,
}  # fmt: skip
"""Macros that take a type as an argument and give a pointer to it: a shape of C, not of one subsystem."""

BASIC = frozenset({
    "void", "int", "char", "short", "long", "unsigned", "bool", "_Bool", "float", "double", "u8", "u16", "u32",
    "u64", "s8", "s16", "s32", "s64", "size_t", "ssize_t", "gfp_t", "loff_t", "pid_t", "?",
})  # fmt: skip
