"""Kernel C rewritten, at the same length, into C that tree-sitter parses without errors.

Every line end stays at its offset, and every word that stays is at its own. Whoever reads a tree of normalised text takes
names from the *original* text at the same offsets. What is rewritten, and how to read it back:

========================================  ==================================================================
original                                  normalised
========================================  ==================================================================
comments, ``#define``, ``#include`` ...   blanks
inside of strings and characters          dots
``#if`` groups                            see :mod:`reviewer.parse.groups`; conditions become one word, ``XXXX``
``__init``, ``__must_hold(x)`` ...        blanks (word sets in ``rules/dialect.yaml``)
``list_for_each_entry(p, h, m) body``     ``while              (p, h, m) body``: a loop whose keyword is another word
                                          in the original; an empty argument list becomes ``while (1)``
``scoped_guard(mutex, &l) body``          the same
``scoped_cond_guard(t, return -E, &l)``   the same, with a statement as argument turned into one word
``f(x, struct T *, m)``                   ``f(x, struct_T__, m)``: a type as argument is one word
``offsetof(struct T, a[1].b)``            ``offseto_(struct_T, a[1].b)``: a call, where the grammar takes only a plain member
``case 1 ... 3:``                         ``case 1  |  3:``
``asm volatile("..." : ...)``             ``asm         (""      )``
``"a" M(x) "b"``                          ``"a"      "b"``
``MACRO(x)`` without semicolon, in a body ``;`` in the blanks before the next statement, if there are any
``MACRO(x);`` at file scope               blanks; :class:`Normalised` lists it
``SYSCALL_DEFINE2(f, int, a, ...) {``     ``T FFFFFFFFFFFF(                ) {``; :class:`Normalised` lists it
``DEFINE_PER_CPU(struct T, x) = 1;``      ``               struct T  x  = 1;``
``DECLARE_BITMAP(x, N);`` among members   ``long           x[ N];``
``static UNHEARD int f(...) {``            ``static         int f(...) {``: of several words before a name the type stays
``M(a, return b);``                       ``M`` to ``while``: ``while (a) return b ;``, called, and perhaps left by what it was given
``DEBUG(f(a);)``                          ``if(1){f(a);}`` where there is room, else a block
``x = M(a, if (b) break; );``             ``x = M(a,{if (b) break; });``
``M(a, ==, , .b = c)``                    ``M(a, __,0,  b , c)``
``} while_each(a);``                      ``} while     (a);``
``typeof(*x)``, ``194A``                  one word
``KERN_ERR NAME "x"``                     ``         NAME "x"``
``register T x asm("r0") = y``            ``register T x           = y``
a label before ``#ifdef A``               ``;`` behind it, or ``;#if   A``
========================================  ==================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from reviewer.parse.arguments import ASM_WORDS, arguments, assembly, operands
from reviewer.parse.code import WORD_BYTES, Code, words_of
from reviewer.parse.dialect import Dialect
from reviewer.parse.groups import resolve, write_back
from reviewer.parse.lexical import Split, split
from reviewer.parse.members import blank_annotations, members
from reviewer.parse.statements import statements
from reviewer.parse.toplevel import MacroUse, toplevel

STATIC_MACRO = re.compile(rb"static[ \t]++(?=[A-Z][A-Z0-9_]*+[ \t]*+\()")


@dataclass(slots=True)
class Normalised:
    """``text`` is for the parser; ``split`` has the code before the rewriting and the preprocessor lines."""

    text: bytes
    split: Split
    uses: list[MacroUse] = field(default_factory=list)


def normalise(text: bytes, dialect: Dialect) -> bytes:
    """The text as the parser should see it: same length, line ends at the same offsets. Takes a file or one function.

    Any bytes will do; the time is linear in their number.
    """
    return rewrite(text, dialect).text


def rewrite(text: bytes, dialect: Dialect, parts: Split | None = None) -> Normalised:
    """:func:`normalise`, with what was learnt on the way; ``parts`` saves splitting the text again."""
    parts = parts if parts is not None else split(text)
    raw = bytearray(parts.code)
    lines = resolve(parts, raw, dialect)
    code = Code(raw)
    words = words_of(raw)
    blank_annotations(code, words, dialect)
    if words & ASM_WORDS:
        assembly(code)
    members(code, words, dialect)
    uses = toplevel(code, parts.code, dialect)
    statements(code, arguments(code, words), dialect)
    if b"static" in words:
        for m in list(STATIC_MACRO.finditer(raw)):
            if m.start() == 0 or raw[m.start() - 1] not in WORD_BYTES:
                code.blank(m.start(), m.end())
    operands(code, words)
    write_back(parts, raw, lines)
    if len(raw) != len(text):  # every rewriting is of equal length; a slip must not shift what follows
        raw = bytearray(parts.code)
    return Normalised(bytes(raw), parts, uses)
