"""Macro expansion of one expression: tokens in, tokens out, as the C preprocessor does it.

It knows object-like and function-like macros, ``#``, ``##``, variable arguments and the rule against
recursion (a name is not expanded inside its own expansion). Directives and ``defined`` are not its job.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from typing import Protocol

from reviewer.parse.facts import Macro

STEPS = 20_000
"""Tokens looked at before an expansion is given up: doubling macros would else grow without bound."""

NEVER = frozenset({
    "IS_ENABLED", "IS_BUILTIN", "IS_MODULE", "IS_REACHABLE", "__is_defined", "defined", "sizeof", "offsetof",
    "typeof", "__builtin_constant_p", "__builtin_choose_expr", "likely", "unlikely",
})  # fmt: skip
"""Names left alone: what they stand for is the configuration, or is better known than their expansion."""

ANNOTATIONS = frozenset({
    "__force", "__user", "__kernel", "__iomem", "__percpu", "__rcu", "__bitwise", "__nocast", "__private",
    "__safe", "__extension__", "__maybe_unused",
})  # fmt: skip
"""Words without a value. Headers define them as attributes, which would only be in the way: not expanded."""

ALWAYS = {
    "_AC": Macro("_AC", ("X", "Y"), "(X##Y)", 0, ""),
    "GENMASK": Macro("GENMASK", ("h", "l"), "((~0UL << (l)) & (~0UL >> (63 - (h))))", 0, ""),
    "GENMASK_ULL": Macro("GENMASK_ULL", ("h", "l"), "((~0ULL << (l)) & (~0ULL >> (63 - (h))))", 0, ""),
}
"""Macros whose own text has a second form for assembly, or checks that only a compiler understands."""

LACKING = {
    "BIT": Macro("BIT", ("n",), "(1UL << (n))", 0, ""),
    "BIT_ULL": Macro("BIT_ULL", ("n",), "(1ULL << (n))", 0, ""),
    "_BITUL": Macro("_BITUL", ("n",), "(1UL << (n))", 0, ""),
    "_BITULL": Macro("_BITULL", ("n",), "(1ULL << (n))", 0, ""),
    "UL": Macro("UL", ("x",), "(_AC(x, UL))", 0, ""),
    "ULL": Macro("ULL", ("x",), "(_AC(x, ULL))", 0, ""),
    "_UL": Macro("_UL", ("x",), "(_AC(x, UL))", 0, ""),
    "_ULL": Macro("_ULL", ("x",), "(_AC(x, ULL))", 0, ""),
}
"""Stand-ins for include/linux/bits.h and const.h, for an environment that was made without them."""

_TOKEN = re.compile(
    r"""(?P<space>\s+|/\*.*?(?:\*/|\Z)|//[^\n]*|\\\n)
    |[A-Za-z_$][\w$]*
    |\.?\d(?:[eEpP][+-]|[\w.])*
    |"(?:\\.|[^"\\])*"
    |'(?:\\.|[^'\\])*'
    |\#\#|<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||->|\+\+|--|\.\.\.|[-+*/%&|^]=
    |.""",
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z_$]")


class MacroEnv(Protocol):
    """Where names get their meaning: the macros and enumerators of one revision."""

    def macro(self, name: str) -> Macro | None:
        """The macro of this name, or None."""
        ...

    def enumerator(self, name: str) -> int | None:
        """The value of an enumerator, or None."""
        ...


class TooMuch(Exception):
    """The expansion did not end within :data:`STEPS` tokens, or a macro's arguments do not fit it."""


class _Token(str):
    """A token and the macros that may not be expanded in it again."""

    __slots__ = ("hidden",)
    hidden: frozenset[str]


def is_word(token: str) -> bool:
    """Whether the token is an identifier or a keyword."""
    return bool(_WORD.match(token))


@lru_cache(maxsize=8192)
def tokens(text: str) -> tuple[str, ...]:
    """The tokens of ``text`` without white space and comments. Never raises; an unknown byte is a token."""
    return tuple(m.group() for m in _TOKEN.finditer(text) if m.lastgroup != "space")


def expand(text: str, env: MacroEnv, keep: Collection[str] = ()) -> tuple[str, ...]:
    """The tokens of ``text`` with every macro expanded but those named in ``keep``.

    :raises TooMuch: the expansion does not end, or an invocation has no matching parenthesis
    """
    return tuple(_Expansion(env, keep).run(_plain(tokens(text))))


def _plain(texts: Collection[str], hidden: frozenset[str] = frozenset()) -> list[_Token]:
    result = []
    for text in texts:
        token = _Token(text)
        token.hidden = hidden
        result.append(token)
    return result


class _Expansion:
    def __init__(self, env: MacroEnv, keep: Collection[str]) -> None:
        self.env = env
        self.keep = keep
        self.steps = 0

    def run(self, source: list[_Token], depth: int = 0) -> list[_Token]:
        """Prosser's algorithm, with a stack (its end is the next token) for the rescanning."""
        if depth > 50:
            raise TooMuch
        stack = source[::-1]
        out: list[_Token] = []
        while stack:
            self.steps += 1
            if self.steps > STEPS:
                raise TooMuch
            token = stack.pop()
            macro = self._macro(token)
            if macro is None:
                out.append(token)
            elif macro.parameters is None:
                body = _plain(tokens(macro.body), token.hidden | {token})
                stack.extend(reversed(_pasted(body)))
            elif stack and stack[-1] == "(":
                arguments, closing = _arguments(stack)
                hidden = (token.hidden & closing.hidden) | {token}
                stack.extend(reversed(self._substitute(macro, arguments, hidden, depth)))
            else:
                out.append(token)
        return out

    def _macro(self, token: _Token) -> Macro | None:
        name = str(token)
        if not _WORD.match(name) or name in NEVER or name in ANNOTATIONS or name in token.hidden:
            return None
        if name in self.keep:
            return None
        return ALWAYS.get(name) or self.env.macro(name) or LACKING.get(name)

    def _substitute(
        self, macro: Macro, arguments: list[list[_Token]], hidden: frozenset[str], depth: int
    ) -> list[_Token]:
        bound = _bind(macro.parameters or (), arguments)
        body = tokens(macro.body)
        out: list[_Token] = []
        i = 0
        while i < len(body):
            token = body[i]
            follows = body[i + 1] if i + 1 < len(body) else ""
            if token == "#" and follows in bound:
                out.extend(_plain(['"' + " ".join(bound[follows]).replace('"', "'") + '"'], hidden))
                i += 2
                continue
            if token in bound:
                raw = "##" in (follows, body[i - 1] if i else "")
                replacement = bound[token] if raw else self.run(bound[token], depth + 1)
                for old in replacement:
                    new = _Token(old)
                    new.hidden = old.hidden | hidden
                    out.append(new)
                if raw and not replacement:
                    out.extend(_plain([""], hidden))  # keeps the place of an empty side of ##
            else:
                out.extend(_plain([token], hidden))
            i += 1
            self.steps += 1 + len(out) // 64
            if self.steps > STEPS:
                raise TooMuch
        return _pasted(out)


def _bind(parameters: tuple[str, ...], arguments: list[list[_Token]]) -> dict[str, list[_Token]]:
    """Parameter to argument tokens; the rest of the arguments belong to ``...``.

    :raises TooMuch: their numbers do not fit
    """
    fixed = [p for p in parameters if not p.endswith("...")]
    if len(fixed) < len(parameters):
        rest: list[_Token] = []
        for n, argument in enumerate(arguments[len(fixed) :]):
            rest += [*(_plain([","]) if n else []), *argument]
        name = parameters[-1].removesuffix("...").strip() or "__VA_ARGS__"
        return {**dict(zip(fixed, arguments, strict=False)), name: rest}
    if not fixed and arguments == [[]]:
        return {}
    if len(fixed) != len(arguments):
        raise TooMuch
    return dict(zip(fixed, arguments, strict=True))


def _arguments(stack: list[_Token]) -> tuple[list[list[_Token]], _Token]:
    """Take ``( ... )`` off the stack: the arguments between its commas, and the closing parenthesis."""
    stack.pop()
    arguments: list[list[_Token]] = [[]]
    depth = 0
    while stack:
        token = stack.pop()
        if token == ")" and not depth:
            return arguments, token
        if token == "," and not depth:
            arguments.append([])
            continue
        depth += (token in ("(", "[", "{")) - (token in (")", "]", "}"))
        arguments[-1].append(token)
    raise TooMuch


def _pasted(body: list[_Token]) -> list[_Token]:
    """Join the neighbours of each ``##``."""
    if "##" not in body:
        return body
    out: list[_Token] = []
    i = 0
    while i < len(body):
        if body[i] == "##" and out and i + 1 < len(body):
            joined = _Token(out[-1] + body[i + 1])
            joined.hidden = out[-1].hidden & body[i + 1].hidden
            out[-1] = joined
            i += 2
        else:
            out.append(body[i])
            i += 1
    return [token for token in out if token]
