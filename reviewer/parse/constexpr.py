"""Constant expressions and simple macro bodies to values.

Three ways, cheapest first: a literal or a name; a flat expression (operands joined by ``|``, or one
operator), which is what most flag definitions are; else full macro expansion and pycparser. pycparser knows
no kernel C: annotations are dropped, casts to typedef names are told apart by what follows them, and what
remains (``typeof``, statement expressions, ``sizeof``) is None. Nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from reviewer.parse import facts
from reviewer.parse.cvalue import (
    TYPES,
    Mask,
    Num,
    Value,
    as_number,
    binary,
    cast,
    truth,
    unary,
)
from reviewer.parse.expand import ANNOTATIONS, MacroEnv, TooMuch, expand, is_word, tokens

__all__ = ["Constants", "FactsEnv", "MacroEnv", "Mask", "evaluate", "evaluate_mask", "fold", "fold_mask"]

NESTING = 150
"""Parentheses within each other before an expression is given up; pycparser's parser is recursive."""

LONGEST = 4_000
"""Tokens of an expression handed to pycparser; the longest real masks have a few hundred."""

Names = Mapping[str, int | Mask]
NONE_GIVEN: Names = MappingProxyType({})

_LITERAL = re.compile(r"(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)([uUlL]{0,3})\Z")
_ESCAPES = {"n": 10, "t": 9, "r": 13, "0": 0, "\\": 92, "'": 39, '"': 34, "a": 7, "b": 8, "f": 12, "v": 11}
# fmt: off
_BASIC = frozenset((
    "char", "short", "int", "long", "signed", "unsigned", "void", "_Bool", "bool", "const", "volatile",
    "float", "double",
))
_BINARY = frozenset((
    "+", "-", "*", "/", "%", "<<", ">>", "<", ">", "<=", ">=", "==", "!=", "&", "^", "|", "&&", "||",
))
# fmt: on
_IDENTITY = frozenset(("likely", "unlikely"))


# --- the public questions -------------------------------------------------------------------------


def evaluate(text: str, env: MacroEnv, arguments: Names = NONE_GIVEN) -> int | None:
    """The value of the C constant expression ``text``, or None where it has none that we can know.

    :param arguments: values of names that are not macros there: the parameters of a macro whose body ``text``
        is, or locals. They hide macros and enumerators of the same name.
    :return: the value in its C type (``~0u`` is 4294967295, ``~0`` is -1), LP64
    """
    value = evaluate_mask(text, env, arguments)
    return value if isinstance(value, int) else None


def evaluate_mask(text: str, env: MacroEnv, arguments: Names = NONE_GIVEN) -> int | Mask | None:
    """As :func:`evaluate`, but an expression of one unknown mask stays symbolic: see :class:`Mask`."""
    return _public(_Scope(env, arguments).text(text))


def fold(expr: facts.Expr, env: MacroEnv, names: Mapping[str, int] = MappingProxyType({})) -> int | None:
    """The value of an expression tree; a ``Name`` is looked up in ``names``, then in ``env``."""
    value = fold_mask(expr, env, names)
    return value if isinstance(value, int) else None


def fold_mask(expr: facts.Expr, env: MacroEnv, names: Names = NONE_GIVEN) -> int | Mask | None:
    """As :func:`fold`, with symbolic masks among ``names`` and as the result."""
    return _public(_fold(expr, _Scope(env, names)))


class Constants:
    """Evaluation over one environment that does not change, with what was asked kept.

    Itself a :class:`MacroEnv`.
    """

    def __init__(self, env: MacroEnv) -> None:
        self._env = env
        self._names: dict[str, int | None] = {}
        self.macro = env.macro
        self.enumerator = env.enumerator

    def value(self, name: str) -> int | None:
        """The value of an enumerator or an object-like macro."""
        if name not in self._names:
            self._names[name] = evaluate(name, self._env)
        return self._names[name]

    def call(self, name: str, arguments: Sequence[int | Mask | None]) -> int | Mask | None:
        """The value of the function-like macro ``name`` for these arguments; None for an unknown argument."""
        given = {f"__argument{i}": a for i, a in enumerate(arguments) if a is not None}
        text = f"{name}({', '.join(f'__argument{i}' for i in range(len(arguments)))})"
        return evaluate_mask(text, self._env, given)

    def fold(self, expr: facts.Expr, names: Names = NONE_GIVEN) -> int | Mask | None:
        """As :func:`fold_mask`."""
        if isinstance(expr, facts.Name) and expr.id not in names:
            return self.value(expr.id)
        return fold_mask(expr, self._env, names)


class FactsEnv:
    """The macros and enumerators of some files' facts, first definition first.

    Of several definitions of a macro under different ``#if`` conditions the first that is not ``0`` or empty
    is taken: the other one is the stub of a configuration that lacks the feature.
    """

    def __init__(self, files: Iterable[facts.FileFacts]) -> None:
        self._macros: dict[str, facts.Macro] = {}
        self._enums: dict[str, tuple[tuple[facts.Enumerator, ...], int]] = {}
        self._values: dict[str, int | None] = {}
        for file in files:
            for macro in file.macros:
                if macro.name not in self._macros or self._macros[macro.name].body.strip() in ("", "0"):
                    self._macros[macro.name] = macro
            for enum in file.enumerators:
                for i, enumerator in enumerate(enum):
                    self._enums.setdefault(enumerator.name, (enum, i))

    def macro(self, name: str) -> facts.Macro | None:
        """The macro of this name, or None."""
        return self._macros.get(name)

    def enumerator(self, name: str) -> int | None:
        """The enumerator's value; its whole enum is counted out at the first question."""
        if name not in self._values:
            if name not in self._enums:
                return None
            self._values[name] = None  # an enum that refers to itself ends here
            self._values |= enum_values(self._enums[name][0], self)
        return self._values[name]


def enum_values(enum: tuple[facts.Enumerator, ...], env: MacroEnv) -> dict[str, int | None]:
    """Name to value for one enum. Arms under ``C`` and under ``!C`` start counting at the same value."""
    values: dict[str, int | None] = {}
    known: dict[str, int] = {}
    arms: dict[str, int | None] = {}
    following: int | None = 0
    group: str = ""
    for enumerator in enum:
        if enumerator.condition != group:
            group = enumerator.condition
            arms.setdefault(group, following)
            opposite = group[1:] if group.startswith("!") else "!" + group
            if group and opposite in arms:
                following = arms[opposite]
        value = following if enumerator.value is None else fold(enumerator.value, env, known)
        values[enumerator.name] = value
        following = None if value is None else value + 1
        if value is not None:
            known[enumerator.name] = value
    return values


def literal(text: str) -> Num | None:
    """An integer or character constant with the type its suffix, base and size give it."""
    if match := _LITERAL.match(text):
        digits, suffix = match.groups()
        decimal = digits == "0" or not digits.startswith("0")
        base = 0 if decimal or digits[1] in "xXbB" else 8
        try:
            value = int(digits, base)
        except ValueError:  # 08
            return None
        wide, unsigned = "l" in suffix.lower(), "u" in suffix.lower()
        for size, signed in ((32, True), (32, False), (64, True), (64, False)):
            fits = value < 1 << (size - signed)
            if fits and not (wide and size == 32) and not (unsigned and signed):
                if not signed and decimal and not unsigned:
                    continue
                return Num(value, size, signed)
        return None
    if len(text) >= 3 and text[0] == text[-1] == "'":
        inner = text[1:-1]
        if len(inner) == 1 and inner != "\\":
            return Num(ord(inner)) if ord(inner) < 128 else None
        if inner.startswith("\\x"):
            try:
                return Num(int(inner[2:], 16) & 0xFF)
            except ValueError:
                return None
        if re.fullmatch(r"\\[0-7]{1,3}", inner):
            return Num(int(inner[1:], 8) & 0xFF)
        if len(inner) == 2 and inner[0] == "\\" and inner[1] in _ESCAPES:
            return Num(_ESCAPES[inner[1]])
    return None


# --- evaluation -----------------------------------------------------------------------------------


class _NotFlat(Exception):
    """The expression needs the parser."""


class _Scope:
    """One question: the environment, the given names, and the macros whose bodies are being looked into."""

    def __init__(self, env: MacroEnv, given: Names) -> None:
        self.env = env
        self.given = given
        self.active: set[str] = set()

    def text(self, text: str) -> Value:
        if len(text) > 100_000:
            return None
        try:
            return self._flat(tokens(text))
        except _NotFlat:
            pass
        try:
            expanded = expand(text, self.env, self.given)
        except TooMuch:
            return None
        if not _nesting_fits(expanded):
            return None
        try:
            return self._flat(expanded)
        except _NotFlat:
            return self._parsed(expanded)

    def name(self, name: str) -> Value:
        """A name's value: given, else macro, else enumerator (uapi headers define ``FOO`` as ``FOO``).

        :raises _NotFlat: it is a macro whose body can not be taken as a value of its own
        """
        if name in self.given:
            return _private(self.given[name])
        macro = None if name in self.active else self.env.macro(name)
        if macro is None:
            return _private(self.env.enumerator(name))
        if macro.parameters is not None:
            raise _NotFlat
        body = tokens(macro.body)
        if not _closed(body) or len(self.active) > NESTING // 4:
            raise _NotFlat
        self.active.add(name)
        try:
            return self._flat(body)
        finally:
            self.active.discard(name)

    def _flat(self, source: Sequence[str]) -> Value:
        """Operands joined by ``|``, or at most one operator: parentheses mean nothing then.

        :raises _NotFlat: it is anything else
        """
        narrow = False
        operands: list[str] = []
        operators: list[str] = []
        depth, i, awaits = 0, 0, True
        while i < len(source):
            token = source[i]
            if awaits:
                if token == "(":
                    after = self._cast_at(source, i)
                    if after:
                        if "gfp_t" not in source[i:after]:
                            raise _NotFlat
                        narrow = True
                        i = after
                        continue
                    depth += 1
                elif token not in ANNOTATIONS:
                    operands.append(token)
                    awaits = False
            elif token == ")":
                depth -= 1
            elif token in _BINARY:
                operators.append(token)
                awaits = True
            else:
                raise _NotFlat
            i += 1
        if awaits or depth or (len(operators) > 1 and any(op != "|" for op in operators)):
            raise _NotFlat
        values = [self._operand(o) for o in operands]
        result = values[0]
        for operator, value in zip(operators, values[1:], strict=True):
            result = binary(operator, result, value)
        if narrow:
            if any(isinstance(v, Num) and not 0 <= v.value < 1 << 32 for v in values):
                raise _NotFlat
            result = cast(result, "gfp_t")
        return result

    def _operand(self, token: str) -> Value:
        if is_word(token):
            return self.name(token)
        value = literal(token)
        if value is None:
            raise _NotFlat
        return value

    def _cast_at(self, source: Sequence[str], i: int) -> int:
        """Index after the cast that opens at ``i``, or 0: what stands there is a parenthesised value."""
        end = i + 1
        words: list[str] = []
        while end < len(source) and (is_word(source[end]) or (source[end] == "*" and words)):
            words.append(source[end])
            end += 1
        annotated = any(w in ANNOTATIONS for w in words)
        words = [w for w in words if w not in ANNOTATIONS]
        if not words or end + 1 >= len(source) or source[end] != ")":
            return 0
        if annotated:
            return end + 1
        follows = source[end + 1]
        if words[0] in _BASIC or words[0] in ("struct", "union", "enum") or words[-1] == "*":
            return end + 1
        if len(words) > 1:
            return end + 1 if is_word(follows) or follows[0].isdigit() or follows in "(~!-" else 0
        if words[0] in TYPES:
            return end + 1
        # `(X) (y)` and `(X) y`: an unknown X can only be a typedef, unless it has a value.
        if not (is_word(follows) or follows[0].isdigit() or follows in "(~!"):
            return 0
        name = words[0]
        if name in self.given or self.env.macro(name) or self.env.enumerator(name) is not None:
            return 0
        return end + 1

    def _parsed(self, source: tuple[str, ...]) -> Value:
        if len(source) > LONGEST:
            return None
        plain = [t for t in source if t not in ANNOTATIONS]
        types: set[str] = set()
        for i, token in enumerate(source):
            if token == "(" and (after := self._cast_at(source, i)):
                words = [w for w in source[i + 1 : after - 1] if w != "*" and w not in ANNOTATIONS]
                if words[0] not in ("struct", "union", "enum"):
                    types.update(w for w in words if w not in _BASIC or w == "bool")  # no keyword before C23
        tree = _parse(" ".join(plain), tuple(sorted(types)))
        try:
            return None if tree is None else self._node(tree)
        except RecursionError:
            return None

    def _node(self, node: Any) -> Value:
        kind = type(node).__name__
        match kind:
            case "Constant":
                return literal(node.value)
            case "ID":
                return self._left_over(node.name)
            case "UnaryOp":
                return unary(node.op, self._node(node.expr)) if node.op in "-+~!" else None
            case "BinaryOp":
                return binary(node.op, self._node(node.left), self._node(node.right))
            case "TernaryOp":
                return _chosen(
                    self._node(node.cond), lambda: self._node(node.iftrue), lambda: self._node(node.iffalse)
                )
            case "Cast":
                return self._cast_node(node)
            case "FuncCall" if type(node.name).__name__ == "ID" and node.args is not None:
                name, given = node.name.name, node.args.exprs
                if name in _IDENTITY and len(given) == 1:
                    return self._node(given[0])
                if name == "__builtin_choose_expr" and len(given) == 3:
                    return _chosen(
                        self._node(given[0]), lambda: self._node(given[1]), lambda: self._node(given[2])
                    )
        return None

    def _left_over(self, name: str) -> Value:
        """A name that expansion left: given, an enumerator, or nothing we know."""
        return _private(self.given[name] if name in self.given else self.env.enumerator(name))

    def _cast_node(self, node: Any) -> Value:
        value = self._node(node.expr)
        type_node, pointer = node.to_type.type, False
        while type(type_node).__name__ != "TypeDecl":
            if type(type_node).__name__ != "PtrDecl":
                return None
            type_node, pointer = type_node.type, True
        names = getattr(type_node.type, "names", None)
        if names == ["void"] and not pointer:
            return None
        return cast(value, basic_type(names or ()), pointer)


def basic_type(words: Iterable[str]) -> str:
    """The spelling under which ``cvalue.TYPES`` knows a type: ``long unsigned int`` is ``unsigned long``."""
    left = [w for w in words if w not in ("const", "volatile")]
    sign = "unsigned " if "unsigned" in left else ""
    explicit = "signed" in left
    rest = [w for w in left if w not in ("unsigned", "signed")]
    if len(rest) > 1:
        rest = [w for w in rest if w != "int"]
    name = sign + (" ".join(rest) or "int")
    return "signed char" if explicit and name == "char" else name


def _chosen(condition: Value, then: Any, other: Any) -> Value:
    known = truth(condition)
    if known is None:
        value = then()
        return value if value == other() else None
    result: Value = then() if known else other()
    return result


@lru_cache(maxsize=8192)
def _parse(text: str, types: tuple[str, ...]) -> Any:
    """pycparser's tree of one expression with ``types`` as typedef names; None if it is no expression."""
    from pycparser.c_parser import CParser  # 50 ms that most runs need not pay

    declared = "".join(f"typedef int {name};" for name in types)
    try:
        tree = CParser().parse(f"{declared} int __value = {text};")
    except Exception:  # its ParseError, or its own bugs: either way there is no tree
        return None
    last = tree.ext[-1]
    return getattr(last, "init", None) if len(tree.ext) == len(types) + 1 else None


@lru_cache(maxsize=8192)
def _closed(body: tuple[str, ...]) -> bool:
    """Whether a macro's body is one token or one parenthesis, so that its text may be taken by its value."""
    if len(body) == 1:
        return True
    if len(body) < 3 or body[0] != "(" or body[-1] != ")":
        return False
    depth = 0
    for i, token in enumerate(body):
        depth += (token == "(") - (token == ")")
        if not depth and i < len(body) - 1:
            return False
    return depth == 0


def _nesting_fits(source: Sequence[str]) -> bool:
    depth = signs = 0
    for token in source:
        depth += (token in ("(", "[", "{")) - (token in (")", "]", "}"))
        signs = signs + 1 if token in ("-", "+", "~", "!", "?") else 0
        if depth > NESTING or signs > NESTING:
            return False
    return True


def _fold(expr: facts.Expr, scope: _Scope) -> Value:
    match expr:
        case facts.Const(value=value):
            return as_number(value)
        case facts.Name(id=name):
            return scope.text(name) if name.isidentifier() else None
        case facts.Unary(op=op, operand=operand):
            return unary(op, _fold(operand, scope))
        case facts.Binary(op=op, left=left, right=right):
            return binary(op, _fold(left, scope), _fold(right, scope))
        case facts.Cast(type=to, operand=operand):
            return cast(_fold(operand, scope), basic_type(to.name.split()), to.pointer + to.array > 0)
        case facts.Choice(condition=condition, then=then, other=other):
            return _chosen(_fold(condition, scope), lambda: _fold(then, scope), lambda: _fold(other, scope))
        case _:
            return None


def _private(value: int | Mask | None) -> Value:
    return as_number(value) if isinstance(value, int) else value


def _public(value: Value) -> int | Mask | None:
    return value.value if isinstance(value, Num) else value
