"""Who reads and writes an attribute in sysfs, found from the attribute, or the group of such, that somebody removes.

Whoever removes one waits for those who are in its show and store (fs/kernfs/dir.c, kernfs_drain()).
"""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.parse.facts import AddressOf, Cast, Expr, Items, Member, Name
from reviewer.program.api.models import Registers
from reviewer.program.linked import values
from reviewer.program.linked.calls import function_names
from reviewer.program.linked.link import Func, Program

KIND = "attribute"
"""How the models call it (``Registers.how``, ``Waits.what``)."""

INFIX = "_attr_"
"""What stands between the kind and the name in variables that macros such as DEVICE_ATTR() define (include/linux/device.h)."""

GROUPS = ("_groups", "_group")
"""How the variables end that ATTRIBUTE_GROUPS() makes of an array that ends in _attrs (include/linux/sysfs.h)."""

LEVELS = 3
"""From an array of groups to an attribute."""


def callbacks(program: Program, path: str, removed: Expr) -> Iterator[Func]:
    """The functions of the attributes that an expression in a file means: a variable for one of them, for a group, or for an
    array of groups."""
    word = variable_of(removed)
    names = attributes(program, path, word, LEVELS) if word else set()
    for name, registers in macros(program) if names else ():
        for use in program.file(path).uses(name):
            if use.args and isinstance(use.args[0], Name) and use.args[0].id in names:
                for function in words(use.args, registers):
                    yield from program.resolve(function, path)


def macros(program: Program) -> list[tuple[str, Registers]]:
    return [(name, r) for name, m in program.models.functions.items() for r in m.registers if r.how == KIND and r.prefix is None]


def words(args: tuple[Expr, ...], registers: Registers) -> Iterator[str]:
    """The names of the functions that a macro at file scope registers: passed to it, or put together of its arguments."""
    index, prefix = registers.callback, registers.prefix
    before = args[prefix] if prefix is not None and prefix < len(args) else None
    if index is not None and index < len(args) and (prefix is None or isinstance(before, Name)):
        for word in function_names(args[index]):
            whole = before.id + word if isinstance(before, Name) else word
            yield from (whole + suffix for suffix in registers.suffix or ("",))


def variable_of(expr: Expr) -> str:
    """The variable that a pointer is to, or to a member of which it is."""
    while isinstance(expr, AddressOf | Cast | Member):
        if isinstance(expr, Member) and expr.arrow:
            return ""
        expr = expr.operand if isinstance(expr, Cast) else expr.base
    return expr.id.rpartition(":")[2] if isinstance(expr, Name) and not expr.id.startswith("%") else ""


def attributes(program: Program, path: str, word: str, levels: int) -> set[str]:
    """What the macros that define the attributes behind a variable were given as their names."""
    if INFIX in word:
        return {word.partition(INFIX)[2]}
    if not levels:
        return set()
    variable = program.file(path).variable(word)
    if variable is not None and isinstance(variable.value, Items):
        inner = {e.id.rpartition(":")[2] for e in values.walk(variable.value) if isinstance(e, Name)}
        return {found for name in inner for found in attributes(program, path, name, levels - 1)}
    for end in GROUPS:
        if word.endswith(end):
            return attributes(program, path, word.removesuffix(end) + "_attrs", levels - 1)
    return set()
