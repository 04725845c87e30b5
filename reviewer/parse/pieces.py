"""The facts of one file, piece by piece as they are asked for.

The same facts as :mod:`reviewer.parse.extract` makes of a whole file, from the same code; a name leads to the pieces that
could define it, and only those are parsed.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import Protocol

import msgspec

from reviewer.parse import facts
from reviewer.parse.bodies import body_key
from reviewer.parse.code import words_of
from reviewer.parse.conditions import Conditions
from reviewer.parse.dialect import Dialect
from reviewer.parse.extract import ANNOTATION, DEFINE, MAX_BYTES, MAX_PARSE, Outliner, macro, names_in
from reviewer.parse.groups import dead_arms
from reviewer.parse.head import Head, head_of
from reviewer.parse.layout import WORTH_KEEPING, Layout, laid_out, layout_of
from reviewer.parse.lexical import Directive
from reviewer.parse.skim import Piece, Skim, positions, skim, word_before

LINE_FEED = re.compile(rb"\n")

MAX_NAMED = 300_000
"""Bytes of a file up to which its names are listed: headers that describe registers define 100,000 of them."""

AFTER_TAG = re.compile(rb"[{;=*,]")
"""What tells a struct's members, after attributes, from a use of its tag."""

TAG = re.compile(r"(struct|union) (?:<anon:(\d+)>|(\w+))")


class Layouts(Protocol):
    """Layouts by the digest of their file's text; None where there is none yet."""

    def get(self, key: str) -> Layout | None: ...
    def put(self, key: str, value: Layout) -> None: ...
    def flush(self) -> None: ...


class Pieces:
    """One file, read on demand.

    :ivar problem: why nothing can be read of it, "" otherwise.
    :ivar outside: words that were looked for outside functions, found or not. :ivar inside: in functions.
    """

    def __init__(self, text: bytes, dialect: Dialect, layouts: Layouts | None = None) -> None:
        """:param layouts: where the layout may be known."""
        self.dialect = dialect
        self._layouts = layouts
        self.outside: set[str] = set()
        self.inside: set[str] = set()
        self.problem = ""
        if len(text) > MAX_BYTES:
            self.problem, text = "too large", b""
        elif b"\0" in text[:4096]:
            self.problem, text = "binary", b""
        self.text = text
        self._outlines: dict[int, facts.FileFacts] = {}
        self._signatures: dict[int, facts.Function] = {}
        self._macros: dict[str, tuple[facts.Macro, ...]] = {}
        self._words: dict[int, frozenset[str]] = {}
        self._calls: dict[int, tuple[str, ...]] = {}
        self._static: dict[int, bool] = {}

    @cached_property
    def skim(self) -> Skim:
        """Where its pieces are."""
        if self._layouts is None or len(self.text) < WORTH_KEEPING:
            return skim(self.text, self.dialect)
        key = body_key(self.text)
        known = self._layouts.get(key)
        got = laid_out(self.text, known) if known is not None else None
        if got is None:
            got = skim(self.text, self.dialect)
            self._layouts.put(key, layout_of(got))
        return got

    @cached_property
    def conditions(self) -> Conditions:
        return Conditions(self.skim.parts)

    def line_at(self, offset: int) -> int:
        """The 1-based line of the byte at ``offset``."""
        return bisect_right(self._lines, offset - 1) + 1

    @cached_property
    def _lines(self) -> array[int]:
        """Offsets of the line feeds."""
        return array("I", (m.start() for m in LINE_FEED.finditer(self.text)))

    @cached_property
    def names(self) -> frozenset[str] | None:
        """What the file defines as a function or a macro; None if there is too much to look through."""
        return frozenset((*self.skim.named, *self.skim.macros())) if len(self.text) <= MAX_NAMED else None

    # --- functions --------------------------------------------------------------------------------

    def functions(self, name: str) -> list[Piece]:
        """Definitions of the function, in the order of the file."""
        return self.skim.named.get(name, [])

    def all_functions(self) -> Iterator[Piece]:
        """Every function definition, in the order of the file."""
        return (p for p in self.skim.pieces if p.name)

    def functions_with(self, word: str, *more: str) -> Iterator[Piece]:
        """Function definitions in whose body all these words stand, in the order of the file."""
        self.inside.add(word)
        others = [w.encode() for w in more]
        self.inside.update(more)
        for piece in self.skim.functions_with(word.encode()):
            if all(any(True for _ in positions(self.skim.body_of(piece), w)) for w in others):
                yield piece

    def signature(self, piece: Piece) -> facts.Function:
        """The function's header; ``calls`` by a look at its text, ``mentions`` left out."""
        got = self._signatures.get(piece.start)
        if got is None:
            got = self._signatures[piece.start] = self._signature(piece)
        return got

    def _signature(self, piece: Piece) -> facts.Function:
        head = self.text[piece.start : piece.brace]
        made = Outliner(head + b"{}\n", self.dialect)
        try:
            made.run()
        except RecursionError:
            made.functions.clear()
        line, condition, calls = self.line_at(piece.start), self.condition(piece), self.calls(piece)
        for f in made.functions:
            if f.name == piece.name or len(made.functions) == 1:
                return msgspec.structs.replace(
                    f, name=piece.name, start=piece.start, end=piece.end, line=line, name_line=f.name_line + line - 1,
                    condition=condition, calls=calls,
                )  # fmt: skip
        annotations = tuple(a.decode("ascii", "replace") for a in ANNOTATION.findall(head))
        words = set(head.split())
        return facts.Function(
            piece.name, facts.CType("?"), (), piece.start, piece.end, line, line, b"static" in words, b"inline" in words,
            condition, annotations, calls, (), True,
        )  # fmt: skip

    def words(self, piece: Piece) -> frozenset[str]:
        """All words of the piece's code."""
        got = self._words.get(piece.start)
        if got is None:
            found = words_of(self.skim.code_of(piece))
            got = self._words[piece.start] = frozenset(w.decode("utf-8", "replace") for w in found)
        return got

    def calls(self, piece: Piece) -> tuple[str, ...]:
        """Distinct names that are followed by an argument list in the body, sorted."""
        got = self._calls.get(piece.start)
        if got is None:
            got = self._calls[piece.start] = tuple(names_in(self.skim.body_of(piece))[0])
        return got

    def condition(self, piece: Piece) -> str:
        """The ``#if`` under which a piece stands; "" for none."""
        return self.conditions.at(piece.start)

    def static(self, piece: Piece) -> bool:
        """Whether a function is static, by the words before its name where they are no macro's: to read the header for it takes
        ten times as long."""
        got = self._static.get(piece.start)
        if got is None:
            head = self.text[piece.start : piece.brace].partition(piece.name.encode("utf-8", "surrogateescape"))[0]
            if b"(" in head:
                got = self.signature(piece).static
            else:
                got = not words_of(head).isdisjoint(self.dialect.static_words | {b"static"})
            self._static[piece.start] = got
        return got

    # --- everything else --------------------------------------------------------------------------

    def declares(self, word: str) -> bool:
        """Whether the word stands at file scope at all."""
        self.outside.add(word)
        return word.encode("utf-8", "surrogateescape") in self.skim.outer_words()

    def declaring(self, word: str) -> Iterator[Piece]:
        """Pieces that are no function and in which the word stands, in order."""
        self.outside.add(word)
        return self.skim.declaring(word.encode("utf-8", "surrogateescape"))

    def _declaring(self, word: str) -> Iterator[facts.FileFacts]:
        for piece in self.declaring(word):
            yield self.outline_of(piece)

    def outline_of(self, piece: Piece) -> facts.FileFacts:
        """What one piece declares, with the lines and conditions of the file."""
        got = self._outlines.get(piece.start)
        if got is None:
            got = self._outlines[piece.start] = self._outline_of(piece)
        return got

    def _outline_of(self, piece: Piece) -> facts.FileFacts:
        if piece.end - piece.start > MAX_PARSE:
            return facts.FileFacts((), (), (), (), (), (), (), (), (), 0, "too large to parse")
        made = Outliner(self.text[piece.start : piece.end] + b"\n", self.dialect, piece.start)
        try:
            made.run()
        except RecursionError:
            made.structs.clear()
        shift = self.line_at(piece.start) - 1
        outer = self.conditions.at(piece.start)
        replace = msgspec.structs.replace

        def under(condition: str) -> str:
            return f"{outer} && {condition}" if outer and condition else outer or condition

        return facts.FileFacts(
            (),
            tuple(replace(p, condition=under(p.condition)) for p in made.prototypes),
            tuple(replace(s, line=s.line + shift, condition=under(s.condition)) for s in made.structs if s is not None),
            tuple(made.typedefs),
            tuple(replace(v, line=v.line + shift, condition=under(v.condition)) for v in made.variables),
            tuple(made.enumerators),
            (),
            tuple(replace(u, line=u.line + shift, condition=under(u.condition)) for u in made.uses),
            (), 0, "",
        )  # fmt: skip

    def struct(self, name: str) -> facts.StructDef | None:
        """The definition of ``struct T``, ``union T`` or ``struct <anon:N>``; the one with members where there are two."""
        m = TAG.fullmatch(name)
        if m is None:
            return None
        if m[2] is not None:
            piece = self.skim.piece_at(int(m[2]))
            pieces = [piece] if piece is not None else []
        else:
            self.outside.add(m[3])
            pieces = list(self._opening(m[3].encode()))
        empty = None
        for piece in pieces:
            for s in self.outline_of(piece).structs:
                if s.name == name:
                    if s.fields:
                        return s
                    empty = empty or s
        return empty

    def _opening(self, tag: bytes) -> Iterator[Piece]:
        """Pieces in which a brace follows the tag."""
        if tag not in self.skim.outer_words():
            return
        for piece, at in self.skim.outside(tag):
            code = self.skim.code_of(piece)
            after = AFTER_TAG.search(code, at + len(tag), at + len(tag) + 300)
            if after is not None and after[0] == b"{" and word_before(code, at, max(0, at - 40)) in (b"struct", b"union"):
                yield piece

    def typedef(self, name: str) -> facts.CType | None:
        """What the name stands for."""
        for piece in self.declaring(name):
            if self.text.startswith(b"typedef", piece.start) or b"typedef" in self.text[piece.start : piece.end]:
                for t in self.outline_of(piece).typedefs:
                    if t.name == name:
                        return t.type
        return None

    def variable(self, name: str) -> facts.Variable | None:
        """The file-scope variable: its definition rather than a declaration, with an initialiser rather than without."""
        best: facts.Variable | None = None
        for found in self._declaring(name):
            for v in found.variables:
                if v.name == name and (best is None or best.extern or (best.value is None and v.value is not None)):
                    best = v
        return best

    def prototype(self, name: str) -> facts.Prototype | None:
        for found in self._declaring(name):
            for p in found.prototypes:
                if p.name == name:
                    return p
        return None

    def enums(self, name: str) -> Iterator[tuple[facts.Enumerator, ...]]:
        """The enumerations in which the name stands."""
        for piece in self.declaring(name):
            if b"enum" in self.text[piece.start : piece.end]:
                for group in self.outline_of(piece).enumerators:
                    if any(e.name == name for e in group):
                        yield group

    def uses(self, name: str) -> Iterator[facts.Use]:
        """Uses of the macro at file scope."""
        for found in self._declaring(name):
            yield from (u for u in found.uses if u.name == name)

    def uses_with(self, word: str) -> Iterator[facts.Use]:
        """Uses of macros at file scope in which the word stands."""
        for found in self._declaring(word):
            yield from found.uses

    def variables(self, *words: str) -> Iterator[facts.Variable]:
        """File-scope variables of the pieces in which all these words stand."""
        for piece in self._with(words):
            yield from self.outline_of(piece).variables

    def structs(self, *words: str) -> Iterator[facts.StructDef]:
        """Structs of the pieces in which all these words stand."""
        for piece in self._with(words):
            if piece.brace >= 0:
                yield from self.outline_of(piece).structs

    def _with(self, words: tuple[str, ...]) -> Iterator[Piece]:
        self.outside.update(words)
        first, *rest = [w.encode() for w in words]
        for piece in self.skim.declaring(first):
            if all(any(True for _ in positions(self.skim.code_of(piece), w)) for w in rest):
                yield piece

    # --- the preprocessor -------------------------------------------------------------------------

    def macros(self, name: str) -> tuple[facts.Macro, ...]:
        """The definitions of a macro, in the order of the file."""
        self.outside.add(name)
        got = self._macros.get(name)
        if got is None:
            got = self._macros[name] = ()
            if name.encode("utf-8", "surrogateescape") in self.text:
                lines = self.skim.macros().get(name, ())
                got = self._macros[name] = tuple(self._macro(line) for line in lines if not self._is_dead(line.start))
        return got

    def _is_dead(self, offset: int) -> bool:
        """Whether no configuration compiles what stands there (``#ifndef __KERNEL__``)."""
        return any(start <= offset < end for start, end in self._dead)

    @cached_property
    def _dead(self) -> list[tuple[int, int]]:
        return dead_arms(self.skim.parts, self.dialect)

    def macros_with(self, word: str) -> Iterator[facts.Macro]:
        """Macros in whose body the word stands, in the order of the file."""
        self.outside.add(word)
        wanted = word.encode("utf-8", "surrogateescape")
        if wanted in self.text:
            for line in self.skim.parts.defines:
                text = self.text[line.start : line.end]
                m = DEFINE.match(text) if line.kind == b"define" and wanted in text else None
                if m is not None and any(True for _ in positions(m[3], wanted)):
                    yield self._macro(line)

    def _macro(self, line: Directive) -> facts.Macro:
        m = DEFINE.match(self.text, line.start, line.end)
        assert m is not None
        at = self.text.find(b"#", line.start)
        return macro(m, self.line_at(at), self.conditions.at(at))

    @cached_property
    def head(self) -> Head:
        """What it includes, and which numbers it names."""
        return head_of(self.text)
