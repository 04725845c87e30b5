"""The first column: macros at file scope, the headers of functions, and words before them that are no type."""

from __future__ import annotations

import re
from dataclasses import dataclass

from reviewer.parse.code import BALANCED, Code
from reviewer.parse.dialect import Dialect

RUN = rb"([A-Za-z_][\w* \t\r\n]*+)"
ITEM = re.compile(rb"\n[ ]*+" + RUN)
FIRST_ITEM = re.compile(rb"[ ]*+" + RUN)
WORD = re.compile(rb"\w+")
NEXT_RUN = re.compile(rb"[\s*]*+" + RUN)
MEMBER = re.compile(rb"\s*+\.\s*\w")
CLOSING_WORD = re.compile(rb"\n([A-Z_][A-Z0-9_]*+)[ \t]*+;?(?=[ \t]*+\n|\Z)")
LONE_WORDS = re.compile(rb"(?:[A-Z_][A-Z0-9_]*+[ \t\r]*+\n\s*+)++(?=\S)")
BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")

STORAGE = frozenset({b"static", b"extern", b"const", b"STATIC", b"inline"})
"""Words that may stand before a macro's name without making it a function's."""

QUALIFIERS = STORAGE | {b"volatile", b"register", b"restrict", b"__restrict", b"_Thread_local", b"__thread", b"typedef", b"__extension__"}
BASE_TYPES = frozenset({
    b"void", b"int", b"char", b"short", b"long", b"unsigned", b"signed", b"float", b"double", b"bool", b"_Bool",
    b"size_t", b"ssize_t", b"u8", b"u16", b"u32", b"u64", b"s8", b"s16", b"s32", b"s64", b"uint8_t", b"uint16_t",
    b"uint32_t", b"uint64_t", b"int8_t", b"int16_t", b"int32_t", b"int64_t", b"__be16", b"__be32", b"__be64",
    b"__le16", b"__le32", b"__le64", b"__u8", b"__u16", b"__u32", b"__u64", b"__s8", b"__s16", b"__s32", b"__s64",
})  # fmt: skip
TAGGED = frozenset({b"struct", b"union", b"enum"})
PLAIN = QUALIFIERS | BASE_TYPES
STATEMENT = frozenset({b"return", b"else", b"do", b"case", b"default", b"goto", b"if", b"for", b"while", b"switch"})
MAX_ANNOTATIONS = 20
"""Annotations with arguments in a row that are followed."""

BOUNDARY = frozenset(b";})\0")


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


def toplevel(code: Code, original: bytes, dialect: Dialect) -> list[MacroUse]:
    """Rewrite what begins in the first column; the macros found there, in order.

    :param original: the code before annotations were blanked: what stood before a word may have been one.
    """
    return _Toplevel(code, original, dialect).run()


class _Toplevel:
    def __init__(self, code: Code, original: bytes, dialect: Dialect) -> None:
        self.code = code
        self.original = original
        self.text = code.text
        self.dialect = dialect
        self.uses: list[MacroUse] = []
        self.gone = -1  # where the last use that was blanked ended
        self.before = 0  # and the last character that stood before it

    def run(self) -> list[MacroUse]:
        first = FIRST_ITEM.match(self.text)  # the text begins a line, though no line end stands before it
        items = [first] if first is not None else []
        items += ITEM.finditer(self.text)
        for m in items:
            start, end = m.span(1)
            line = m.start() + (m is not first)
            if line != start and self.original[line] in b" \t\f":
                continue  # it was indented from the beginning
            self.item(start, end, m[1])
        return self.uses

    def item(self, start: int, end: int, run: bytes) -> None:
        """One stretch of words; what it is shows the character behind it, at ``end``."""
        follower = self.code.at(end)
        if b"\n" in run and (lone := LONE_WORDS.match(run)) is not None:  # MACHINE_END, and what follows it
            rest = run[lone.end() :]
            if len(rest.split()) > 1 or rest.isupper() or BLANK_LINE.search(lone[0]):
                self.code.blank(start, start + lone.end())
                start, run = start + lone.end(), rest
        if follower == 0x28:
            words = run.replace(b"*", b" ").split()
            if len(words) == 1 or STORAGE.issuperset(words[:-1]):
                name = run.rstrip()
                if not name.endswith(b"*"):
                    self.macro(start, start + len(name) - len(words[-1]), end, words)
            else:
                self.header(start, end, words)
        elif follower == 0x7B:
            if run.count(b" ") > 1:
                self.tagged(start, end)
        elif follower and follower in b"=;[":
            words = run.replace(b"*", b" ").split()
            if len(words) > 2:
                self.variable_noise(start, end, words)

    # --- one word and its arguments

    def macro(self, start: int, name_at: int, opening: int, words: list[bytes]) -> None:
        code, name = self.code, words[-1]
        if name in self.dialect.not_iterators or self.text[name_at : name_at + len(name)] != name:
            return
        closing = code.closing(opening)
        if closing < 0:
            return
        follower = code.skip_blanks(closing + 1)
        char = code.at(follower)
        before = self.before if self.gone >= 0 and not self.text[self.gone : start].strip() else code.last(start)
        if before not in BOUNDARY or (before == 0x29 and len(words) == 1 and char == 0x7B):
            return
        if char != 0x7B and code.inside_body(start):
            return
        static = b"static" in words or b"STATIC" in words
        use = MacroUse(name, name_at, opening, closing, static)
        if char == 0x3B:  # ;
            self.uses.append(use)
            code.blank(start, follower + 1)
            self.gone, self.before = follower + 1, before
        elif char == 0x7B:  # {
            if MEMBER.match(self.text, follower + 1):
                self.described(use, follower, follower)
            elif opening - name_at >= 3:
                self.uses.append(MacroUse(name, name_at, opening, closing, static, header=True))
                self.text[name_at:opening] = b"T " + b"F" * (opening - name_at - 2)
                code.blank(opening + 1, closing)
        elif char in b"=[" and char:
            if self.variable(use):
                self.uses.append(MacroUse(name, name_at, opening, closing, static, valued=True))
        elif char == 0x2E:  # a table of members, to the word that closes it
            self.table(use)
        elif char in b"(,)" and char:
            return
        elif b"\n" in self.text[closing:follower] or follower >= len(self.text):
            self.uses.append(use)
            code.blank(start, closing + 1)
            self.gone, self.before = closing + 1, before
        elif name.isupper() or name.startswith(b"__"):  # an annotation with arguments, on its header's line
            self.uses.append(use)
            code.blank(name_at, closing + 1)

    def variable(self, use: MacroUse) -> bool:
        """``DEFINE_X(type, name) = ...`` to ``type name = ...``; a macro with one argument names the variable."""
        args = self.code.arguments(use.opening, use.closing)
        how = self.dialect.variables.get(use.name.decode("ascii", "replace"))
        at = how.name if how is not None else len(args) - 1
        type_at = how.type_argument if how is not None else (0 if len(args) > 1 else None)
        if at >= len(args) or use.opening - use.start < 4:
            return False
        declare(self.code, use.start, use.closing, args, at, type_at)
        return True

    def described(self, use: MacroUse, brace: int, before: int) -> bool:
        """``machine(x) { .a = b }`` to ``long x = { .a = b }``, ``=`` going where there is a blank before ``before``."""
        args = self.code.arguments(use.opening, use.closing)
        a, b = args[0]
        if use.opening - use.start < 4 or b <= a:
            return False
        declare(self.code, use.start, use.closing, args, 0, None)
        if not self.code.put_between(b, before, 0x3D):
            return False
        self.uses.append(MacroUse(use.name, use.start, use.opening, use.closing, use.static, valued=True))
        end = self.text.find(b"\n}", brace)
        if end >= 0 and self.code.at(self.code.skip_blanks(end + 2)) != 0x3B:
            self.code.put(end + 2, 0x3B)
        return True

    def table(self, use: MacroUse) -> None:
        """``MACHINE(X, "...") .a = b, MACHINE_END`` to ``long X = { .a = b, };``"""
        m = CLOSING_WORD.search(self.text, use.closing)
        if m is None or m.end(1) - m.start(1) < 2 or b"}\n" in self.text[use.closing : m.start()]:
            return
        args = self.code.arguments(use.opening, use.closing)
        if use.opening - use.start < 4 or use.closing - args[0][1] < 2:
            return
        declare(self.code, use.start, use.closing, args, 0, None)
        self.text[use.closing - 1 : use.closing + 1] = b"={"
        self.code.blank(m.start(), m.end())
        self.text[m.start(1) : m.start(1) + 2] = b"};"
        self.uses.append(MacroUse(use.name, use.start, use.opening, use.closing, use.static, valued=True))

    # --- several words

    def header(self, start: int, opening: int, words: list[bytes]) -> None:
        """``static __foo int f(...) __bar {``: the annotations go, whatever they are called."""
        if words[0] in STATEMENT:
            return
        before = words[:-1]
        unknown = [word for word in before if word not in PLAIN]
        tags = not TAGGED.isdisjoint(unknown)
        m = _BALANCED.match(self.text, opening)
        closing = m.end() - 1 if m is not None else -1
        after = self.code.skip_blanks(closing + 1) if closing > 0 else -1
        follows = closing > 0 and self.code.at(after) in _WORD_START
        crowded = len(unknown) > 2 if tags else len(unknown) > (0 if not BASE_TYPES.isdisjoint(before) else 1)
        if not (crowded or follows) or self.code.inside_body(start):
            return
        if follows and self.goes_on(after):
            for at, word in self.positions(start, opening):
                if word not in PLAIN:
                    self.code.blank(at, at + len(word))
            self.code.blank(opening, closing + 1)
            return
        if crowded:
            self.unknown_words(start, opening, words, 1)

    def goes_on(self, at: int) -> bool:
        """Whether a header begins at ``at``, behind an argument list, so that the list is an annotation's.

        If a body or the end begins there instead, the words before that are annotations, and blanked.
        """
        code = self.code
        begin = at
        for _ in range(MAX_ANNOTATIONS):
            m = NEXT_RUN.match(self.text, at)
            end = m.end() if m is not None else code.skip_blanks(at)
            count = len(m[1].replace(b"*", b" ").split()) if m is not None else 0
            char = code.at(end)
            if char == 0x7B or (char == 0x3B and count <= 1):
                code.blank(begin, end)
            if char != 0x28 or m is None:
                return False
            if count > 1:
                return True
            at = code.closing(end) + 1
            if not at:
                return False
        return False

    def unknown_words(self, start: int, end: int, words: list[bytes], names: int) -> None:
        """Blank all words but those of the type and the last ``names``."""
        found = self.positions(start, end)
        head = found[: len(found) - names]
        tag = next((i for i, (_, word) in enumerate(head) if word in TAGGED), None)
        kept: set[int] = set()
        if tag is not None:
            name = next((i for i in range(tag + 1, len(head)) if not _is_annotation(head[i][1])), tag + 1)
            kept = {tag, name}
        elif BASE_TYPES.isdisjoint(words):
            candidates = [i for i, (_, word) in enumerate(head) if word not in QUALIFIERS]
            likely = [i for i in candidates if not _is_annotation(head[i][1])] or candidates[-1:]
            starred = [i for i in likely if b"*" in self.text[head[i][0] : head[i][0] + len(head[i][1]) + 2]]
            kept = {(starred or likely)[0]}
        for i, (at, word) in enumerate(head):
            if i not in kept and word not in PLAIN:
                self.code.blank(at, at + len(word))

    def variable_noise(self, start: int, end: int, words: list[bytes]) -> None:
        """``static struct T x __mark = ...``: a mark behind the name of a variable."""
        unknown = [word for word in words if word not in PLAIN]
        if words[0] in STATEMENT or b"typedef" in words:
            return
        expected = 1 if not BASE_TYPES.isdisjoint(words) else 3 if not TAGGED.isdisjoint(words) else 2
        if len(unknown) <= expected or self.code.inside_body(start):
            return
        surplus = len(unknown) - expected
        for at, word in reversed(self.positions(start, end)):
            if surplus and word not in PLAIN and word not in TAGGED and _is_annotation(word):
                self.code.blank(at, at + len(word))
                surplus -= 1

    def tagged(self, start: int, end: int) -> None:
        """``struct __packed T {``, ``_packed struct T {``: only the tag and its keyword stay."""
        found = self.positions(start, end)
        tag = next((i for i, (_, word) in enumerate(found) if word in TAGGED), None)
        if tag is None or self.code.inside_body(start):
            return
        for i, (at, word) in enumerate(found):
            if word not in PLAIN and (i < tag or tag < i < len(found) - 1):
                self.code.blank(at, at + len(word))

    def positions(self, start: int, end: int) -> list[tuple[int, bytes]]:
        return [(m.start(), m[0]) for m in WORD.finditer(self.text, start, end)]


def declare(
    code: Code, start: int, closing: int, args: list[tuple[int, int]], name: int, type_: int | None
) -> None:
    """Of ``MACRO(args)`` only the arguments that are the name and the type stay; without a type it is ``long``."""
    kept = [name] if type_ is None or type_ == name or type_ >= len(args) else [name, type_]
    parts = [(args[i][0], bytes(code.text[args[i][0] : args[i][1]])) for i in kept]
    code.blank(start, closing + 1)
    if len(kept) < 2:
        code.text[start : start + 4] = b"long"
    for at, part in parts:
        code.text[at : at + len(part)] = part


def _is_annotation(word: bytes) -> bool:
    """Whether a word looks like one: upper-case, underscores first, or it says "inline"."""
    return word.startswith(b"_") or word.isupper() or b"inline" in word


_BALANCED = re.compile(BALANCED)
_WORD_START = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
