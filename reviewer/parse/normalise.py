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
========================================  ==================================================================
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

from reviewer.parse.dialect import Dialect
from reviewer.parse.groups import resolve
from reviewer.parse.lexical import BLANKS, Split, split

# Parentheses nested up to four deep, without backtracking; deeper ones are matched by Parentheses.
_P0 = rb"\([^()]*+\)"
_P1 = rb"\((?:[^()]++|" + _P0 + rb")*+\)"
_P2 = rb"\((?:[^()]++|" + _P1 + rb")*+\)"
BALANCED = rb"\((?:[^()]++|" + _P2 + rb")*+\)"

WORDS = re.compile(rb"[A-Za-z_]\w*")
FILE_SCOPE = re.compile(rb"\n((?:(?:static|extern|const|STATIC|inline)[ \t]+)*+)([A-Za-z_]\w*)[ \t]*+(" + BALANCED + rb")")
STATEMENT = re.compile(
    rb"\n([ \t]++)((?:(?:else|do)[ \t]++|\}[ \t]*+(?:else[ \t]++)?)?)([A-Za-z_]\w*+)(?<!\Wif)(?<!\Wfor)(?<!\Wwhile)(?<!\Wswitch)"
    rb"[ \t]*+(" + BALANCED + rb")(?=(\s*+)[\w{}])"
)
FOR_EACH = re.compile(rb"for_each\w*+[ \t]*+(" + BALANCED + rb")(?=\s*+[^\s;,)])")
TYPE_ARGUMENT = re.compile(
    rb"[(,]\s*+((?:(?:const|volatile|struct|union|enum|unsigned|signed|long|short)[ \t]++)++\w++(?:[ \t]*+\*[ \t*]*+)?"
    rb"|(?:const[ \t]++)?[A-Za-z_]\w*+[ \t]*+\*[ \t*]*+)(?=\s*[,)])"
)
RANGE = re.compile(rb"\bcase\b[^;{}?:]*?\.\.\.")
ASM = re.compile(rb"\b(?:asm|__asm__|__asm|asm_inline|asm_volatile_goto)\b[ \t]*+(?:(?:volatile|__volatile__|goto|inline|__inline)\b[ \t]*+)*+\s*+\(")
ADJACENT = re.compile(rb"\"[ \t\n]*+(\w+[ \t]*+" + BALANCED + rb")|[(,=\s](\w+[ \t]*+" + BALANCED + rb")[ \t\n]*+\"")
STATIC_MACRO = re.compile(rb"(?<=[\s;{}])static[ \t]++(?=[A-Z][A-Z0-9_]*+[ \t]*+\()")
OFFSETOF = re.compile(rb"\boffsetof(?=[ \t]*+\()(?![ \t]*+\(\s*(?:struct[ \t]++|union[ \t]++)?\w+\s*,\s*\w+\s*\))")
TYPE_ONLY = frozenset({b"sizeof", b"typeof", b"__typeof__", b"__typeof", b"__alignof__", b"_Alignof", b"alignof", b"typeof_unqual", b"__alignof"})
NOT_A_TYPE = frozenset({b"return", b"else", b"do", b"case", b"goto", b"in"})
LOOP_NAME = re.compile(rb"for_?each|(?:\A|_)iter|\Awith_")
KEYWORDS_OF_STATEMENTS = re.compile(rb"\s*(?:return|goto|break|continue)\b")
WORD_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


@dataclass(frozen=True, slots=True)
class MacroUse:
    """A macro invoked at file scope. Offsets into the file: of its name, and of its parentheses, both included.

    ``header``: a ``{`` follows, so that it makes a function. ``valued``: an initialiser or an array length follows.
    """

    name: bytes
    start: int
    opening: int
    closing: int
    static: bool
    header: bool = False
    valued: bool = False


@dataclass(slots=True)
class Normalised:
    """``text`` is for the parser; ``split`` has the code before the rewriting and the preprocessor lines."""

    text: bytes
    split: Split
    uses: list[MacroUse] = field(default_factory=list)
    words: set[bytes] = field(default_factory=set)


def normalise(text: bytes, dialect: Dialect) -> bytes:
    """The text as the parser should see it: same length, line ends at the same offsets. Takes a file or one function.

    Any bytes will do; the time is linear in their number.
    """
    return rewrite(text, dialect).text


def rewrite(text: bytes, dialect: Dialect) -> Normalised:
    """:func:`normalise`, with what was learnt on the way."""
    parts = split(text)
    code = bytearray(parts.code)
    resolve(parts, code)
    result = Normalised(b"", parts)
    result.words = set(WORDS.findall(code))
    _Rewriting(code, dialect, result).run()
    if len(code) != len(text):  # every rewriting is of equal length; a slip must not shift what follows
        code = bytearray(parts.code)
    result.text = bytes(code)
    return result


class Parentheses:
    """Matching parentheses of the whole text, computed once when first asked for."""

    def __init__(self, code: bytearray) -> None:
        self.opening: list[int] = []
        self.closing: list[int] = []
        pairs: list[tuple[int, int]] = []
        stack: list[int] = []
        for m in re.finditer(rb"[()]|\n\}", code):
            at = m.start()
            char = code[at]
            if char == 0x28:
                stack.append(at)
            elif char == 0x0A:
                stack.clear()
            elif stack:
                pairs.append((stack.pop(), at))
        pairs.sort()
        self.opening = [a for a, _ in pairs]
        self.closing = [b for _, b in pairs]

    def closing_of(self, opening: int) -> int:
        """The offset of the parenthesis that closes the one at ``opening``, or -1."""
        i = bisect_left(self.opening, opening)
        return self.closing[i] if i < len(self.opening) and self.opening[i] == opening else -1


class _Rewriting:
    """One file's rewriting, step by step, in place."""

    def __init__(self, code: bytearray, dialect: Dialect, result: Normalised) -> None:
        self.code = code
        self.dialect = dialect
        self.result = result
        self.words = result.words
        self.parentheses: Parentheses | None = None

    def run(self) -> None:
        words = self.words
        dialect = self.dialect
        self.annotations()
        if words & _ASM_WORDS:
            self.assembly()
        if words & dialect.member_noise_words or words & dialect.member_noise:
            self.member_noise()
        for word in words & dialect.member_groups.keys():
            self.member_group(word, dialect.member_groups[word])
        for word in words & dialect.members.keys():
            self.member(word)
        self.file_scope()
        self.statements()
        if b"case" in words:
            self.ranges()
        if b"static" in words:
            self.blank_matches(STATIC_MACRO)
        if b"offsetof" in words:
            for m in list(OFFSETOF.finditer(self.code)):
                self.code[m.end() - 1] = 0x5F
        self.type_arguments()
        self.adjacent_strings()

    # --- tools ----------------------------------------------------------------------------------

    def blank(self, start: int, end: int) -> None:
        self.code[start:end] = self.code[start:end].translate(BLANKS)

    def blank_matches(self, pattern: re.Pattern[bytes]) -> None:
        for m in list(pattern.finditer(self.code)):
            self.blank(m.start(), m.end())

    def find(self, word: bytes) -> Iterator[int]:
        """Offsets of ``word`` as a whole word that is no member."""
        code = self.code
        length = len(word)
        at = code.find(word)
        while at >= 0:
            end = at + length
            if (at == 0 or code[at - 1] not in WORD_BYTES) and (end >= len(code) or code[end] not in WORD_BYTES):
                before = code[at - 1] if at else 0
                if before != 0x2E and not (before == 0x3E and code[at - 2] == 0x2D):
                    yield at
            at = code.find(word, end)

    def skip_blanks(self, at: int) -> int:
        code = self.code
        while at < len(code) and code[at] in b" \t\r\n":
            at += 1
        return at

    def closing(self, opening: int) -> int:
        """The offset of the parenthesis that closes the one at ``opening``, or -1."""
        m = _BALANCED.match(self.code, opening)
        if m is not None:
            return m.end() - 1
        if self.parentheses is None:
            self.parentheses = Parentheses(self.code)
        return self.parentheses.closing_of(opening)

    def arguments(self, opening: int, closing: int) -> list[tuple[int, int]]:
        """(start, end) of each argument between the two parentheses, blanks around them left out."""
        code = self.code
        found: list[tuple[int, int]] = []
        depth = 0
        start = opening + 1
        for m in _COMMAS.finditer(code, opening + 1, closing):
            char = code[m.start()]
            if char == 0x2C:
                if depth == 0:
                    found.append((start, m.start()))
                    start = m.end()
            elif char in b"([{":
                depth += 1
            else:
                depth -= 1
        found.append((start, closing))
        return [self.strip(a, b) for a, b in found]

    def strip(self, start: int, end: int) -> tuple[int, int]:
        part = bytes(self.code[start:end])
        return start + len(part) - len(part.lstrip()), start + len(part.rstrip())

    def last(self, position: int) -> int:
        """The last character before ``position`` that is no blank, or 0."""
        code = self.code
        at = position - 1
        stop = max(-1, position - 20_000)
        while at > stop and code[at] in b" \t\r\n\f":
            at -= 1
        return code[at] if at > stop else 0

    # --- steps ----------------------------------------------------------------------------------

    def annotations(self) -> None:
        dialect = self.dialect
        for word in self.words & dialect.annotations:
            for at in list(self.find(word)):
                self.blank(at, at + len(word))
        for word in self.words & dialect.annotations_with_arguments:
            for at in list(self.find(word)):
                opening = self.skip_blanks(at + len(word))
                if opening < len(self.code) and self.code[opening] == 0x28:
                    closing = self.closing(opening)
                    if closing > 0:
                        self.blank(at, closing + 1)
        for word in self.words & dialect.static_words | self.words & dialect.inline_words:
            for at in list(self.find(word)):
                follower = self.skip_blanks(at + len(word))
                if follower < len(self.code) and self.code[follower] != 0x28:
                    self.blank(at, at + len(word))

    def assembly(self) -> None:
        for m in list(ASM.finditer(self.code)):
            opening = m.end() - 1
            closing = self.closing(opening)
            if closing < opening + 3 or b"{" in self.code[opening:closing]:
                continue
            self.blank(opening + 1, closing)
            at = opening + 1
            while at + 1 < closing and (self.code[at] in b"\r\n" or self.code[at + 1] in b"\r\n"):
                at += 1
            if at + 1 < closing:
                self.code[at : at + 2] = b'""'
            word = bytes(self.code[m.start() : opening])
            if b"goto" in word:  # `asm goto`, `asm_volatile_goto`: without the labels it is a plain one
                self.code[m.start() : opening] = b"asm" + word[3:].translate(BLANKS)

    def member_noise(self) -> None:
        for word in self.words & self.dialect.member_noise_words:
            for at in list(self.find(word)):
                self.blank(at, at + len(word))
        for word in self.words & self.dialect.member_noise:
            for at in list(self.find(word)):
                opening = self.skip_blanks(at + len(word))
                if opening < len(self.code) and self.code[opening] == 0x28:
                    closing = self.closing(opening)
                    if closing > 0:
                        end = closing + 1
                        if self.code[end : end + 1] == b";":
                            end += 1
                        self.blank(at, end)

    def member_group(self, word: bytes, count: int) -> None:
        for at in list(self.find(word)):
            opening = self.skip_blanks(at + len(word))
            if opening >= len(self.code) or self.code[opening] != 0x28:
                continue
            closing = self.closing(opening)
            if closing < 0:
                continue
            args = self.arguments(opening, closing)
            if len(args) <= count:
                continue
            self.blank(at, args[count][0])
            self.blank(closing, closing + 1)
            if self.code[closing + 1 : closing + 2] == b";":
                self.blank(closing + 1, closing + 2)

    def member(self, word: bytes) -> None:
        """``DECLARE_BITMAP(x, N);`` in a struct: at file scope and in bodies it is left to others."""
        how = self.dialect.members[word]
        for at in list(self.find(word)):
            line = self.code.rfind(b"\n", 0, at) + 1
            opening = self.skip_blanks(at + len(word))
            if line == at or opening >= len(self.code) or self.code[opening] != 0x28:
                continue
            closing = self.closing(opening)
            if closing < 0 or not self.in_struct(at):
                continue
            args = self.arguments(opening, closing)
            wanted = [how.name] + ([how.type_argument] if how.type_argument is not None else [])
            if max(wanted) >= len(args):
                continue
            name = bytes(self.code[args[how.name][0] : args[how.name][1]])
            made = bytearray(self.code[at : closing + 1].translate(BLANKS))
            if how.type_argument is not None:
                a, b = args[how.type_argument]
                made[a - at : b - at] = self.code[a:b]
            else:
                made[0:4] = b"long"  # the true type is the outline's to tell
            a, b = args[how.name]
            made[a - at : b - at] = name
            if isinstance(how.array, int) and how.array is not True:
                if how.array < len(args) and how.array != how.name and args[how.array][0] > b:
                    c, d = args[how.array]
                    made[c - at : d - at] = self.code[c:d]
                    made[self.code.find(b",", b) - at] = 0x5B
                    made[closing - at] = 0x5D
            self.code[at : closing + 1] = made

    def in_struct(self, at: int) -> bool:
        """Whether the brace around ``at`` opens a struct or a union; looks back to the last first-column brace."""
        code = self.code
        depth = 0
        stop = max(code.rfind(b"\n}", 0, at), at - 20_000, 0)
        for m in reversed(list(_BRACES.finditer(code, stop, at))):
            if code[m.start()] == 0x7D:
                depth += 1
            elif depth:
                depth -= 1
            else:
                head = bytes(code[max(0, m.start() - 120) : m.start()])
                return bool(_STRUCT_HEAD.search(head))
        return False

    def file_scope(self) -> None:
        """Macros in the first column: uses, function headers, variables."""
        code = self.code
        uses = self.result.uses
        no = self.dialect.not_iterators
        # The text begins a line, though no line end stands before it.
        first = _FILE_SCOPE_START.match(code)
        matches = [(first.start(1), first)] if first is not None else []
        matches += [(m.start(1), m) for m in FILE_SCOPE.finditer(code)]
        for start, m in matches:
            name = m[2]
            if name in no:
                continue
            opening, closing = m.start(3), m.end(3) - 1
            follower = self.skip_blanks(closing + 1)
            char = code[follower] if follower < len(code) else 0
            before = self.last(start)
            if before not in _BOUNDARY:
                continue
            if before in b")" and not m[1] and char == 0x7B:
                continue
            if char != 0x7B and self.inside_body(start):
                continue
            static = b"static" in m[1] or b"STATIC" in m[1]
            use = MacroUse(bytes(name), m.start(2), opening, closing, static)
            if char == 0x3B:  # ;
                uses.append(use)
                self.blank(start, follower + 1)
            elif char == 0x7B:  # {
                if self.header(start, m.start(2), opening, closing):
                    uses.append(MacroUse(bytes(name), m.start(2), opening, closing, static, header=True))
            elif char in b"=[" and char:
                if self.variable(use):
                    uses.append(MacroUse(bytes(name), m.start(2), opening, closing, static, valued=True))
            elif char in b"(,)" and char:
                continue
            elif b"\n" in code[closing:follower] or follower >= len(code):
                uses.append(use)
                self.blank(start, closing + 1)

    def inside_body(self, at: int) -> bool:
        """Whether a function's opening brace in the first column is nearer than a closing one."""
        return self.code.rfind(b"\n{", 0, at) > self.code.rfind(b"\n}", 0, at)

    def header(self, start: int, name: int, opening: int, closing: int) -> bool:
        length = opening - name
        if length < 3:
            return False
        code = self.code
        code[name:opening] = b"T " + b"F" * (length - 2)
        self.blank(opening + 1, closing)
        return True

    def variable(self, use: MacroUse) -> bool:
        """``DEFINE_X(type, name) = ...`` to ``type name = ...``; a macro with one argument names the variable."""
        code = self.code
        args = self.arguments(use.opening, use.closing)
        how = self.dialect.variables.get(use.name.decode("ascii", "replace"))
        at = how.name if how is not None else len(args) - 1
        type_at = how.type_argument if how is not None else (0 if len(args) > 1 else None)
        if at >= len(args) or use.opening - use.start < 4:
            return False
        made = bytearray(code[use.start : use.closing + 1].translate(BLANKS))
        kept = [at] if type_at is None or type_at == at or type_at >= len(args) else [at, type_at]
        for i in kept:
            a, b = args[i]
            made[a - use.start : b - use.start] = code[a:b]
        if len(kept) < 2:
            made[0:4] = b"long"
        code[use.start : use.closing + 1] = made
        return True

    def statements(self) -> None:
        """Iterators and their like become loops; macro statements get the semicolon they lack."""
        code = self.code
        no = self.dialect.not_iterators
        iterators = self.dialect.iterators
        # Three rounds: a match takes the argument list of what it finds, so that an iterator directly
        # below another is only seen once the first has been rewritten.
        for m in list(STATEMENT.finditer(code)):
            name = m[3]
            if name in no:
                continue
            start, opening, closing = m.start(3), m.start(4), m.end(4) - 1
            if code[start : start + len(name)] != name:
                continue
            follower = m.end(5)
            char = code[follower]
            if not m[2] and self.last(m.start()) not in _STATEMENT_BOUNDARY and not self.after_keyword(m.start()):
                continue
            known = name in iterators or LOOP_NAME.search(name) is not None
            if char == 0x7B or (known and char != 0x7D):
                self.loop(start, opening, closing)
            else:
                self.macro_statement(m, name, start, closing, follower, char)
        if b"for_each" in code:
            for m in list(FOR_EACH.finditer(code)):
                start = m.start()
                while start and code[start - 1] in WORD_BYTES:
                    start -= 1
                before = self.last(start)
                if before in _STATEMENT_BOUNDARY or self.after_keyword(start):
                    self.loop(start, m.start(1), m.end(1) - 1)

    def after_keyword(self, at: int) -> bool:
        return _AFTER_KEYWORD.search(bytes(self.code[max(0, at - 40) : at])) is not None

    def macro_statement(
        self, m: re.Match[bytes], name: bytes, start: int, closing: int, follower: int, char: int
    ) -> None:
        code = self.code
        gap = bytes(code[closing + 1 : follower])
        if b"\n" not in gap:
            # `MACRO(x) word`: a declaration whose type is a macro, unless a call follows.
            if name.isupper() and _CALL.match(code, follower) and gap:
                code[closing + 1] = 0x3B
            return
        indent = len(m[1].expandtabs())
        tail = gap[gap.rfind(b"\n") + 1 :]
        if char != 0x7D and len(tail.expandtabs()) > indent:
            if name.isupper() or not _CALL_OR_ASSIGNMENT.match(code, follower):
                return
            self.loop(start, m.start(4), closing)
        elif self.in_initialiser(start):
            return
        elif tail:
            code[follower - 1] = 0x3B
        elif gap[:1] in (b" ", b"\t"):
            code[closing + 1] = 0x3B
        else:
            self.blank(start, closing + 1)

    def in_initialiser(self, at: int) -> bool:
        """Whether the nearest open brace before ``at`` follows ``=`` (a table made of macros)."""
        before = bytes(self.code[max(0, at - 3000) : at])
        depth = 0
        for m in reversed(list(_BRACES.finditer(before))):
            if m[0] == b"}":
                depth += 1
            elif depth:
                depth -= 1
            else:
                head = before[: m.start()].rstrip()
                return head.endswith((b"=", b",", b"]")) or bool(_STRUCT_HEAD.search(head + b"{"[:0]))
        return False

    def loop(self, start: int, opening: int, closing: int) -> None:
        """The word at ``start`` to ``while``, its arguments to operands of the comma operator."""
        code = self.code
        length = opening - start
        if length < 5 or closing - opening < 1:
            return
        if not code[opening + 1 : closing].strip():
            if closing - opening >= 2 and code[opening + 1] not in b"\r\n":
                code[opening + 1] = 0x31
            elif length >= 8:
                code[start : closing + 1] = b"while(1)".ljust(closing + 1 - start)
                return
            else:
                return
        name = bytes(code[start:opening]).rstrip()
        code[start:opening] = b"while".ljust(length)
        if b"guard" in name or b"{" in code[opening:closing]:
            for a, b in self.arguments(opening, closing):
                part = bytes(code[a:b])
                if KEYWORDS_OF_STATEMENTS.match(part) or b"{" in part or b";" in part:
                    code[a:b] = _word(part)
        for a, b in self.arguments(opening, closing):
            if a == b:  # an empty argument
                if a < closing and code[a] in b" \t":
                    code[a] = 0x30

    def ranges(self) -> None:
        for m in list(RANGE.finditer(self.code)):
            self.code[m.end() - 3 : m.end()] = b" | "

    def type_arguments(self) -> None:
        code = self.code
        for m in list(TYPE_ARGUMENT.finditer(code)):
            start, end = m.span(1)
            opening = m.start()
            if code[opening] == 0x2C:
                opening = self.enclosing(opening)
                if opening < 0:
                    continue
            at = opening - 1
            while at >= 0 and code[at] in b" \t":
                at -= 1
            if at < 0 or code[at] not in WORD_BYTES:
                continue  # a cast, or the parameters of a function pointer
            stop = at + 1
            while at >= 0 and code[at] in WORD_BYTES:
                at -= 1
            name = bytes(code[at + 1 : stop])
            if name in TYPE_ONLY or name in _KEYWORDS or not self.is_call(at):
                continue
            part = bytes(code[start:end]).rstrip()
            code[start : start + len(part)] = _word(part)

    def enclosing(self, at: int) -> int:
        """The offset of the parenthesis around ``at``, or -1; looks at most 1,000 bytes back."""
        code = self.code
        depth = 0
        for m in reversed(list(_ANY_BRACKET.finditer(code, max(0, at - 1000), at))):
            char = code[m.start()]
            if char in b")":
                depth += 1
            elif char in b"(":
                if depth == 0:
                    return m.start()
                depth -= 1
            elif depth == 0:
                return -1
        return -1

    def is_call(self, at: int) -> bool:
        """Whether the word that ends its left side at ``at`` is called, rather than declared: by what stands before."""
        code = self.code
        while at >= 0 and code[at] in b" \t\r\n":
            at -= 1
        if at < 0:
            return False
        char = code[at]
        if char in b"*":
            while at >= 0 and code[at] in b"* \t\r\n":
                at -= 1
            return at >= 0 and code[at] not in WORD_BYTES
        if char in b"}":
            return self.inside_body(at)
        if char in WORD_BYTES:
            stop = at + 1
            while at >= 0 and code[at] in WORD_BYTES:
                at -= 1
            return bytes(code[at + 1 : stop]) in NOT_A_TYPE
        return True

    def adjacent_strings(self) -> None:
        code = self.code
        if b'"' not in code:
            return
        for m in list(ADJACENT.finditer(code)):
            group = 1 if m[1] is not None else 2
            start, end = m.span(group)
            if group == 1 and code[m.start() - 1] in b"(,=?: \t\n" and code[m.start() + 1] == 0x2E:
                continue
            if group == 2 and _IS_STATEMENT_WORD.match(m[2]):
                continue
            self.blank(start, end)


def _word(part: bytes) -> bytes:
    """The same number of bytes as one identifier; line ends stay."""
    word = bytearray(_NO_WORD.sub(b"_", part))
    if word and word[0] in b"0123456789":
        word[0] = 0x5F
    if bytes(word) in _KEYWORDS:
        word[0] = word[0] & 0xDF
    return bytes(word)


_NO_WORD = re.compile(rb"[^\w\r\n]")
_KEYWORDS = frozenset({
    b"if", b"for", b"while", b"switch", b"return", b"goto", b"break", b"continue", b"do", b"else", b"case", b"default",
})  # fmt: skip
_ASM_WORDS = frozenset({b"asm", b"__asm__", b"__asm", b"asm_inline", b"asm_volatile_goto"})
_BALANCED = re.compile(BALANCED)
_FILE_SCOPE_START = re.compile(FILE_SCOPE.pattern[2:])
_COMMAS = re.compile(rb"[,(){}\[\]]")
_BRACES = re.compile(rb"[{}]")
_ANY_BRACKET = re.compile(rb"[(){};]")
_STRUCT_HEAD = re.compile(rb"\b(?:struct|union)(?:\s+\w+)*\s*\Z")
_BOUNDARY = frozenset(b";})\0")
_STATEMENT_BOUNDARY = frozenset(b";{}):\0")
_AFTER_KEYWORD = re.compile(rb"\b(?:else|do)\s*\Z")
_CALL = re.compile(rb"\w+[ \t]*\(")
_CALL_OR_ASSIGNMENT = re.compile(rb"(?:if|for|while|switch|return|continue|break|goto)\b|[\w.>\[\]-]+\s*(?:\(|[-+|&]?=)")
_IS_STATEMENT_WORD = re.compile(rb"(?:if|for|while|switch|return|sizeof|else)\b")
