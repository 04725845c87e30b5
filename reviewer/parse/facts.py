"""The facts of one file: frozen records and nothing else.

There are two tiers. The *outline* of a file (:class:`FileFacts`) says what it defines; the *body* of a
function (:class:`Body`) is its control-flow graph over ordered events, made only when a question needs it.
Facts are keyed by content: they hold no path, and a body's positions count from the first line of its
function, so moving a function in its file changes nothing.

Facts are syntax. ``mutex_lock`` is a name here, not a lock.
"""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, array_like=True, tag_field="record"):
    """Base of every fact: immutable, hashable, written as a plain array."""


# --- places ---------------------------------------------------------------------------------------

POSITION_BITS = 10
"""Low bits of a position that hold the column; kernel lines longer than 1,023 columns are clipped."""


def position(row: int, column: int) -> int:
    """Pack a row counted from the function's first line (0-based) and a 0-based column into one integer."""
    return row << POSITION_BITS | min(column, (1 << POSITION_BITS) - 1)


def row_of(at: int) -> int:
    """The 0-based row, from the function's first line, of a packed position."""
    return at >> POSITION_BITS


def column_of(at: int) -> int:
    """The 0-based column of a packed position."""
    return at & ((1 << POSITION_BITS) - 1)


# --- types ----------------------------------------------------------------------------------------


class CType(Record, frozen=True, cache_hash=True, tag="t"):
    """A declared type, with qualifiers, attributes and storage class left out.

    ``name`` is ``struct T``, ``union T``, ``enum T``, a typedef's name or a basic type (``unsigned long``).
    A struct without a tag is named by its place in its file: ``struct <anon:17>`` (17 is its index in
    ``FileFacts.structs``). ``typeof(x)`` keeps its text.
    """

    name: str
    pointer: int = 0  # number of '*'
    array: int = 0  # number of '[]'
    function: bool = False  # (pointer to) a function returning `name`


class FieldDef(Record, frozen=True, tag="m"):
    """A member of a struct or union. ``name`` is empty for an anonymous struct or union member."""

    name: str
    type: CType
    condition: str = ""  # the `#if` condition it stands under inside the struct, "" for none
    guarded_by: str = ""  # argument of __guarded_by / __counted_by-like annotation, if any
    comment: str = ""  # a trailing or preceding comment that says "protected by" or "guarded by"


class StructDef(Record, frozen=True, tag="s"):
    """``struct``, ``union`` or ``enum``-less aggregate with its members in order."""

    name: str  # "struct T", "union T" or "struct <anon:N>"
    fields: tuple[FieldDef, ...]
    line: int  # 1-based line of the definition in the file
    condition: str = ""


class Typedef(Record, frozen=True, tag="y"):
    name: str
    type: CType


# --- expressions ----------------------------------------------------------------------------------


class Name(Record, frozen=True, cache_hash=True, tag="n"):
    """An identifier: local, parameter, global, enumerator, function or object-like macro."""

    id: str


class Const(Record, frozen=True, cache_hash=True, tag="k"):
    """An integer (or character) constant."""

    value: int


class Text(Record, frozen=True, cache_hash=True, tag="x"):
    """Something whose value no question needs (string, float, asm, ...), by its source text, clipped."""

    text: str


class Result(Record, frozen=True, cache_hash=True, tag="r"):
    """The value of call number ``call`` of this body (see :class:`Call`)."""

    call: int


class Member(Record, frozen=True, cache_hash=True, tag="f"):
    """``base.name`` or ``base->name``."""

    base: Expr
    name: str
    arrow: bool


class Index(Record, frozen=True, cache_hash=True, tag="i"):
    base: Expr
    index: Expr


class Deref(Record, frozen=True, cache_hash=True, tag="d"):
    base: Expr


class AddressOf(Record, frozen=True, cache_hash=True, tag="a"):
    base: Expr


class Unary(Record, frozen=True, cache_hash=True, tag="u"):
    op: str  # one of - + ~ !
    operand: Expr


class Binary(Record, frozen=True, cache_hash=True, tag="b"):
    op: str  # C's binary operator; && and || only where both sides are without calls and writes
    left: Expr
    right: Expr


class Cast(Record, frozen=True, cache_hash=True, tag="c"):
    type: CType
    operand: Expr


class Choice(Record, frozen=True, cache_hash=True, tag="q"):
    """``condition ? then : other`` with no call or write inside (others become branches)."""

    condition: Expr
    then: Expr
    other: Expr


class Items(Record, frozen=True, cache_hash=True, tag="l"):
    """A braced initialiser or compound literal: (designator, value) pairs, in order.

    The designator is ``.a.b`` for a field, ``[n]`` for an index expression's text, ``""`` where there is none.
    """

    type: CType | None
    items: tuple[tuple[str, Expr], ...]


class Config(Record, frozen=True, cache_hash=True, tag="g"):
    """The condition of an ``#if`` group inside a body, as normalised text (``defined(CONFIG_SMP)``)."""

    condition: str


Expr = (
    Name
    | Const
    | Text
    | Result
    | Member
    | Index
    | Deref
    | AddressOf
    | Unary
    | Binary
    | Cast
    | Choice
    | Items
    | Config
)


# --- bodies ---------------------------------------------------------------------------------------


class Call(Record, frozen=True, tag="C"):
    """A call of a function or function-like macro.

    ``number`` counts the calls of the body in order of appearance; ``Result(number)`` is its value.
    A type given as an argument (``container_of(p, struct T, m)``) is ``Name("struct T")``.
    ``guard(mutex)(&l)`` is a call of ``Name("guard:mutex")``; leaving its scope is ``Name("unguard:mutex")``
    with the same arguments. A variable declared with ``__free(kfree)`` is, at scope exit,
    a call of ``Name("cleanup:kfree")`` with the variable. An iterator (``list_for_each_entry(p, ...) {}``)
    is a call of its name with flag ``loop`` at the head of the loop.
    """

    number: int
    callee: Expr
    args: tuple[Expr, ...]
    at: int
    loop: bool = False


class Write(Record, frozen=True, tag="W"):
    """An assignment. ``op`` is ``=``, ``+=``, ...; ``++``/``--`` are ``+=``/``-=`` of ``Const(1)``.

    ``declares``: the initialiser of a local variable rather than an assignment statement.
    """

    target: Expr
    op: str
    value: Expr
    at: int
    declares: bool = False


class Read(Record, frozen=True, tag="R"):
    """An expression evaluated for nothing but its reads (an expression statement without effect)."""

    value: Expr
    at: int


Event = Call | Write | Read


class Jump(Record, frozen=True, tag="J"):
    to: int


class Branch(Record, frozen=True, tag="B"):
    """Two-way branch; ``condition`` has no ``&&``/``||``/``!`` at its top: those are lowered to branches."""

    condition: Expr
    then: int
    other: int
    at: int


class Switch(Record, frozen=True, tag="S"):
    """Multi-way branch: (case values, block) pairs; ``default`` is the block where none fits."""

    value: Expr
    cases: tuple[tuple[tuple[Expr, ...], int], ...]
    default: int
    at: int


class Return(Record, frozen=True, tag="E"):
    value: Expr | None
    at: int


class Stop(Record, frozen=True, tag="Z"):
    """Control does not go on (after ``BUG()`` and the like, by shape: an unreachable end)."""


Exit = Jump | Branch | Switch | Return | Stop


class Block(Record, frozen=True, tag="K"):
    """Straight-line events, then one exit. Block 0 is the entry."""

    events: tuple[Event, ...]
    exit: Exit


class Variable(Record, frozen=True, tag="V"):
    """A variable at file scope, or a local of a body."""

    name: str
    type: CType
    static: bool = False
    value: Expr | None = None  # initialiser, for file scope and for function statics
    line: int = 0  # 1-based line in the file; for a local the 0-based row in its function
    condition: str = ""
    extern: bool = False
    macro: str = ""  # the macro that declares it: DEFINE_MUTEX in DEFINE_MUTEX(x)


class Body(Record, frozen=True, cache_hash=True, tag="Y"):
    """The control-flow graph of one function."""

    blocks: tuple[Block, ...]
    locals: tuple[Variable, ...]  # parameters are not among them
    calls: int  # how many calls there are
    broken: bool = False  # an ERROR or MISSING node inside, or a size limit that cut it
    cut: bool = False  # a size limit: what lies beyond it is not in the blocks


# --- outlines -------------------------------------------------------------------------------------


class Function(Record, frozen=True, tag="F"):
    """A function definition. ``start`` to ``end`` are byte offsets of its whole text in the file."""

    name: str
    type: CType  # what it returns
    parameters: tuple[Variable, ...]
    start: int
    end: int
    line: int  # 1-based line of `start`
    name_line: int  # 1-based line on which its name stands
    static: bool
    inline: bool
    condition: str  # conjunction of the `#if` conditions over it, "" for none
    annotations: tuple[str, ...]  # __must_hold(x), __acquires(x), __init, ... as written
    calls: tuple[str, ...]  # distinct names that are called in it, sorted
    mentions: tuple[str, ...]  # distinct field names and identifiers, sorted, without those in `calls`
    broken: bool  # an ERROR or MISSING node inside
    macro: str = ""  # SYSCALL_DEFINE3 and the like when a macro makes the header


class Prototype(Record, frozen=True, tag="P"):
    name: str
    type: CType
    parameters: tuple[Variable, ...]
    static: bool
    condition: str
    annotations: tuple[str, ...]


class Macro(Record, frozen=True, tag="D"):
    """``#define``. ``parameters`` is None for an object-like macro. ``body`` has its continuations joined."""

    name: str
    parameters: tuple[str, ...] | None
    body: str
    line: int
    condition: str


class Enumerator(Record, frozen=True, tag="e"):
    name: str
    value: Expr | None  # None: the one before plus one
    condition: str = ""


class Use(Record, frozen=True, tag="U"):
    """A macro used at file scope: ``EXPORT_SYMBOL(f)``, ``early_initcall(f)``, ``DEFINE_MUTEX(x)``."""

    name: str
    args: tuple[Expr, ...]
    line: int
    condition: str
    static: bool = False


class Include(Record, frozen=True, tag="I"):
    path: str
    system: bool  # <...> rather than "..."
    condition: str


class FileFacts(Record, frozen=True, tag="o"):
    """The outline of one file."""

    functions: tuple[Function, ...]
    prototypes: tuple[Prototype, ...]
    structs: tuple[StructDef, ...]
    typedefs: tuple[Typedef, ...]
    variables: tuple[Variable, ...]
    enumerators: tuple[tuple[Enumerator, ...], ...]  # one tuple per enum
    macros: tuple[Macro, ...]
    uses: tuple[Use, ...]
    includes: tuple[Include, ...]
    lines: int
    problem: str = ""  # why the facts are empty or partial: "binary", "too large", "timeout", ...
