"""One configuration of a kernel: which ``#if`` arms of a text are compiled under it.

:source: Documentation/kbuild/kconfig-language.rst and Documentation/kbuild/kconfig-macro-language.rst for what ``.config``
    holds, include/linux/kconfig.h for ``IS_ENABLED()`` and its kin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from reviewer.parse.groups import Group, blank, nest
from reviewer.parse.lexical import Directive, split

SETTING = re.compile(rb"^(CONFIG_\w+)=(.*?)\r?$", re.MULTILINE)
"""A line of ``.config``; what is not set is a comment there, and not defined in C."""

OWN = re.compile(rb"#[ \t]*(?:define|undef)[ \t]+(CONFIG_\w+)")
"""Some drivers set a switch of this form themselves: no configuration decides about it."""

ASKED = re.compile(rb"\bIS_(ENABLED|BUILTIN|MODULE|REACHABLE)[ \t]*\([ \t]*(CONFIG_\w+)[ \t]*\)")

DIRECTIVE = re.compile(rb"\s*#\s*([a-z]+)(.*)", re.DOTALL)

NOISE = re.compile(rb"/\*.*?\*/|//[^\n]*|\\\r?\n", re.DOTALL)
"""Comments and continuations within a directive."""

TOKEN = re.compile(rb"\s*(defined\s*\(\s*\w+\s*\)|defined\s+\w+|&&|\|\||[=!<>]=|[!()<>]|\w+|\S)")

COMPARES = {
    b"==": int.__eq__, b"!=": int.__ne__, b"<": int.__lt__, b">": int.__gt__, b"<=": int.__le__, b">=": int.__ge__,
}  # fmt: skip


class Configuration:
    """What a ``.config`` sets.

    :ivar values: the text after ``CONFIG_X=`` by ``CONFIG_X``.
    """

    def __init__(self, text: bytes) -> None:
        self.values: Mapping[bytes, bytes] = {m[1]: m[2].strip() for m in SETTING.finditer(text)}

    def pick(self, text: bytes) -> bytes:
        """The text with blanks for the arms that are not compiled, and for the directives that decide about them.

        As long as ``text``, with the same lines; what the configuration leaves open stays an ``#if``. ``IS_ENABLED(CONFIG_X)``
        and its kin become their value.
        """
        if b"CONFIG_" not in text:
            return text
        own = frozenset(OWN.findall(text))
        picked = bytearray(text)
        for group in nest(split(text).groups)[0]:
            self._pick(group, picked, own)
        return ASKED.sub(lambda m: self._said(m, own), bytes(picked))

    def decided(self, condition: bytes, own: frozenset[bytes] = frozenset()) -> bool | None:
        """Whether the condition of an ``#if`` holds, as far as the configuration tells. ``own``: switches it knows nothing of."""
        value = _Reader(self, TOKEN.findall(NOISE.sub(b" ", condition)), own).whole()
        return None if value is None else value != 0

    def value(self, name: bytes) -> int | None:
        """The number that ``name`` is in a condition: 0 if it is not set, None if it is no number there."""
        said = self.values.get(name)
        return 0 if said is None or said == b"m" else 1 if said == b"y" else _number(said)

    def _pick(self, group: Group, picked: bytearray, own: frozenset[bytes]) -> None:
        lines = group.lines
        open_ = False  # an arm before this one may be the one that is compiled
        chosen = False
        for line, after in zip(lines, [*lines[1:], None], strict=True):
            if line.kind == b"endif":
                if not open_:
                    blank(picked, line.start, line.end)
                break
            known = None if chosen else self._holds(picked, line, own)
            if chosen or known is False:
                blank(picked, line.start, after.start if after is not None else len(picked))
                continue
            if known:
                chosen = True
                if open_:
                    _become_else(picked, line)
                else:
                    blank(picked, line.start, line.end)
            else:
                if not open_:
                    _become_if(picked, line)
                open_ = True
            end = after.start if after is not None else len(picked)
            for inner in group.inner:
                if line.end <= inner.lines[0].start < end:
                    self._pick(inner, picked, own)

    def _holds(self, text: bytearray, line: Directive, own: frozenset[bytes]) -> bool | None:
        m = DIRECTIVE.match(text, line.start, line.end)
        if line.kind == b"else" or m is None:
            return line.kind == b"else" or None
        rest = bytes(m[2])
        if line.kind in (b"ifdef", b"ifndef", b"elifdef", b"elifndef"):
            words = NOISE.sub(b" ", rest).split()
            known = self.decided(b"defined(%b)" % words[0], own) if words else None
            return known if known is None or line.kind.endswith(b"fdef") else not known
        return self.decided(rest, own)

    def _said(self, m: re.Match[bytes], own: frozenset[bytes]) -> bytes:
        value = self.asked(m[1], m[2], own)
        return m[0] if value is None else b"%d" % value + b" " * (len(m[0]) - 1)

    def asked(self, kind: bytes, name: bytes, own: frozenset[bytes] = frozenset()) -> int | None:
        """What ``IS_<kind>(name)`` is; None if that depends on where it is asked."""
        if name in own:
            return None
        said = self.values.get(name)
        if kind == b"REACHABLE" and said == b"m":
            return None
        return int((said == b"y" and kind != b"MODULE") or (said == b"m" and kind in (b"ENABLED", b"MODULE")))


class _Reader:
    """Reads one condition; None is "cannot be told", which ``0 &&`` and ``1 ||`` do not mind."""

    def __init__(self, configuration: Configuration, tokens: list[bytes], own: frozenset[bytes]) -> None:
        self.configuration = configuration
        self.tokens = tokens
        self.own = own
        self.at = 0

    def whole(self) -> int | None:
        try:
            value = self.either()
        except (IndexError, RecursionError):
            return None
        return value if self.at == len(self.tokens) else None

    def next(self, *wanted: bytes) -> bytes:
        if self.at < len(self.tokens) and self.tokens[self.at] in wanted:
            self.at += 1
            return self.tokens[self.at - 1]
        return b""

    def either(self) -> int | None:
        value = self.all()
        while self.next(b"||"):
            other = self.all()
            value = 1 if value or other else 0 if value == 0 and other == 0 else None
        return value

    def all(self) -> int | None:
        value = self.compared()
        while self.next(b"&&"):
            other = self.compared()
            value = 0 if value == 0 or other == 0 else 1 if value and other else None
        return value

    def compared(self) -> int | None:
        value = self.one()
        while how := self.next(*COMPARES):
            other = self.one()
            value = int(COMPARES[how](value, other)) if value is not None and other is not None else None
        return value

    def one(self) -> int | None:
        token = self.tokens[self.at]
        self.at += 1
        if token == b"!":
            value = self.one()
            return None if value is None else int(not value)
        if token == b"(":
            value = self.either()
            return value if self.next(b")") else None
        if token.startswith(b"defined"):
            return self._defined(token[7:].strip(b"() \t\n"))
        if token.startswith(b"IS_") and self.tokens[self.at : self.at + 3 : 2] == [b"(", b")"]:
            name = self.tokens[self.at + 1]
            self.at += 3
            return self.configuration.asked(token[3:], name, self.own) if name.startswith(b"CONFIG_") else None
        if token.startswith(b"CONFIG_"):
            return self.configuration.value(token) if token not in self.own else None
        return _number(token)

    def _defined(self, name: bytes) -> int | None:
        if not name.startswith(b"CONFIG_") or name in self.own:
            return None
        said = self.configuration.values.get(name)
        if said is None and name.endswith(b"_MODULE"):
            return int(self.configuration.values.get(name.removesuffix(b"_MODULE")) == b"m")
        return int(said is not None and said != b"m")


def _number(text: bytes) -> int | None:
    try:
        return int(text.rstrip(b"uUlL"), 0)
    except ValueError:
        return None


def _become_if(picked: bytearray, line: Directive) -> None:
    """``#elif`` to ``#if``, ``#elifdef`` to ``#ifdef``, as long as before."""
    if line.kind.startswith(b"el"):
        at = picked.index(line.kind, line.start, line.end)
        picked[at : at + len(line.kind)] = line.kind[2:] + b"  "


def _become_else(picked: bytearray, line: Directive) -> None:
    if line.kind != b"else":
        at = picked.index(line.kind, line.start, line.end)
        blank(picked, at, line.end)
        picked[at : at + 4] = b"else"
