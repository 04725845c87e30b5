"""Objects that others can reach: their names, and the access paths to them."""

from __future__ import annotations

from reviewer.parse.facts import (
    AddressOf,
    Binary,
    Call,
    Cast,
    Const,
    CType,
    Deref,
    Expr,
    Index,
    Member,
    Name,
    Result,
    Unary,
)
from reviewer.program.flow.summaries import accesses as model_accesses
from reviewer.program.linked import values
from reviewer.program.linked.locks import lock_class
from reviewer.program.linked.structs import MEMBER_OF, Frame


def short(name: str) -> str:
    """``oom_callback_count`` for ``kernel/rcu/tree_plugin.h:oom_callback_count``; a field keeps its struct."""
    return name.rpartition(":")[2] if "/" in name else name


def rooted(frame: Frame, expr: Expr) -> Expr:
    """The expression with ``container_of(p, struct T, m)`` as a cast of ``p``, so that its root can be seen."""

    def leaf(e: Expr) -> Expr | None:
        if not isinstance(e, Result):
            return None
        call = frame.call(e.call)
        if call is None or not isinstance(call.callee, Name) or call.callee.id not in MEMBER_OF:
            return None
        at = MEMBER_OF[call.callee.id]
        type_ = call.args[at] if at < len(call.args) else None
        if at == 0 or not isinstance(type_, Name) or " " not in type_.id:
            return None
        return Cast(CType(type_.id, 1), rooted(frame, frame.canonical(call.args[0], {})))

    return values.rebuild(expr, leaf) if any(isinstance(e, Result) for e in values.walk(expr)) else expr


def root_of(path: Expr) -> Expr:
    """What a path starts from: a variable, a parameter, the result of a call."""
    while True:
        if isinstance(path, Member | Deref | AddressOf | Index):
            path = path.base
        elif isinstance(path, Cast):
            path = path.operand
        else:
            return path


def shared_index(index: Expr) -> bool:
    """Whether two callers may mean the same element: by a constant, a variable or the action they are called with."""
    return all(
        isinstance(e, Const | Binary | Unary) or (isinstance(e, Name) and (e.id.startswith("::") or e.id == "%1"))
        for e in values.walk(index)
    )


def read_through(frame: Frame, expr: Expr) -> Expr:
    """The expression with ``atomic_read(&x)`` and the like as ``x``."""

    def leaf(e: Expr) -> Expr | None:
        if not isinstance(e, Result):
            return None
        found = read_by(frame, e)
        return found[0][0] if len(found) == 1 else None

    return values.rebuild(expr, leaf) if any(isinstance(e, Result) for e in values.walk(expr)) else expr


def read_by(frame: Frame, result: Result, tests: bool = False) -> list[tuple[Expr, str]]:
    """What a modelled call has read to come to its result, each with its bit as text: ``x`` for ``atomic_read(&x)``."""
    call = frame.call(result.call)
    model = frame.program.model(call.callee.id) if call is not None and isinstance(call.callee, Name) else None
    if call is None or model is None:
        return []
    args = tuple(frame.canonical(a, {}) for a in call.args)
    if model.identity is not None and model.identity < len(args):
        return [(p, "") for p in reads(args[model.identity])]
    return [
        (path, values.show(args[a.bit]) if a.bit is not None and a.bit < len(args) else "")
        for a, path in model_accesses(model, args)
        if a.op == "read" or (tests and a.tests)
    ]


def objects_read(frame: Frame, condition: Expr, tests: bool = False) -> list[tuple[str, str]]:
    """The shared objects, each with its bit as text, that a condition looks at, through the calls in it.

    :param tests: operations that change the object and tell what it was count, too.
    """
    paths = [(p, "") for p in reads(condition)]
    for e in values.walk(condition):
        if isinstance(e, Result):
            paths += read_by(frame, e, tests)
    found = [(object_name(frame, rooted(frame, p)), bit) for p, bit in paths]
    return [f for f in dict.fromkeys(found) if f[0]]


def result_used(frame: Frame, call: Call) -> bool:
    """Whether anything in the function looks at the value of a call."""
    wanted = Result(call.number)
    for block in frame.body.blocks if frame.body is not None else ():
        for event in block.events:
            if isinstance(event, Call):
                parts: tuple[Expr, ...] = (event.callee, *event.args)
            else:
                parts = (event.value,)
            if any(e == wanted for p in parts for e in values.walk(p)):
                return True
        value = getattr(block.exit, "condition", None) or getattr(block.exit, "value", None)
        if value is not None and any(e == wanted for e in values.walk(value)):
            return True
    return False


def object_name(frame: Frame, path: Expr) -> str:
    """The name of a shared object, as a lock class is named; "" for locals and unknown pointers."""
    while isinstance(path, Cast):
        path = path.operand
    if isinstance(path, Name):
        return path.id[2:] if path.id.startswith("::") else ""
    if isinstance(path, Member):
        base = path
        while isinstance(base, Member | Index):
            if isinstance(base, Member) and base.arrow:
                return lock_class(frame, path)
            base = base.base  # type: ignore[assignment]
        if isinstance(base, Name) and base.id.startswith("::"):
            return lock_class(frame, path) or base.id[2:]
        return ""
    if isinstance(path, Index):
        return object_name(frame, path.base)
    if isinstance(path, Deref):
        inner = path.base
        if isinstance(inner, Name) and inner.id.startswith("::"):
            return f"*{inner.id[2:]}"
        if isinstance(inner, Member):
            name = object_name(frame, inner)
            return f"*{name}" if name else ""
    return ""


def parameter_rooted(path: Expr) -> bool:
    """``*p`` with ``p`` a parameter, through casts: the caller knows what it is."""
    if not isinstance(path, Deref):
        return False
    base = path.base
    while isinstance(base, Cast):
        base = base.operand
    return isinstance(base, Name) and base.id.startswith("%")


def of_parameter(path: Expr) -> bool:
    """A parameter, or a member of what one points to, however far in, with nothing called in between."""
    while isinstance(path, Member):
        path = path.base
    return isinstance(path, Name) and path.id.startswith("%")


def contains(expr: Expr, part: Expr) -> bool:
    return any(e == part for e in values.walk(expr))


def reads(expr: Expr) -> list[Expr]:
    """The outermost lvalues that evaluating the expression reads."""
    found: list[Expr] = []

    def visit(e: Expr) -> None:
        if isinstance(e, AddressOf):
            inner = e.base
            while isinstance(inner, Member | Index):
                if isinstance(inner, Index):
                    visit(inner.index)
                inner = inner.base
            if isinstance(inner, Deref):
                visit(inner.base)
        elif isinstance(e, Name):
            if e.id.startswith("::"):
                found.append(e)
        elif isinstance(e, Member | Deref | Index):
            found.append(e)
        else:
            for c in values.children(e):
                visit(c)

    visit(expr)
    return found


