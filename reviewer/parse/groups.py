"""Which ``#if`` groups the parser may see, and which are taken apart before it does.

At file scope, in structs, enums and initialisers the directive lines go and every arm stays: the condition over a
line is known from :mod:`reviewer.parse.conditions`. Inside a function body a group of whole statements stays
as it is, for it becomes a branch. A group that splits a statement, or whose arms do not balance their brackets,
is reduced to one arm: the first with something in it, but the ``#else`` of ``#ifndef``. Arms that no configuration
compiles (``#if 0``, ``#ifdef __ASSEMBLY__``) go first of all: what they hold need not be C.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

from reviewer.parse.dialect import Dialect
from reviewer.parse.lexical import BLANKS, Directive, Split

BRACKET = re.compile(rb"[][(){}]")
LAST = re.compile(rb"\S(?=\s*\Z)")
NEGATED = re.compile(rb"\s*#\s*(?:ifndef\b|if\s+0\s*(?:\Z|[\n/])|if\s*!\s*defined\b[^|&\n]*\Z|if\s+IS_ENABLED\(\)\Z)")
CLOSERS = {0x29: 0x28, 0x5D: 0x5B, 0x7D: 0x7B}
MAX_DEPTH = 200
"""Nesting of groups that is followed; deeper ones lose their directives and keep all arms."""


@dataclass(slots=True)
class Group:
    """One ``#if`` to ``#endif``: the directives in order, and the groups inside each arm."""

    lines: list[Directive]
    inner: list[Group] = field(default_factory=list)
    closed: bool = True


def nest(directives: list[Directive]) -> tuple[list[Group], list[Directive]]:
    """Groups from the outside in, and the directives that belong to none (a slice may begin between two)."""
    top: list[Group] = []
    stack: list[Group] = []
    stray: list[Directive] = []
    for line in directives:
        if line.kind in (b"if", b"ifdef", b"ifndef"):
            group = Group([line])
            (stack[-1].inner if stack else top).append(group)
            stack.append(group)
        elif not stack:
            stray.append(line)
        else:
            stack[-1].lines.append(line)
            if line.kind == b"endif":
                stack.pop()
    for group in stack:
        group.closed = False
    return top, stray


class Brackets:
    """The brackets that are open at a position; positions must not go back."""

    def __init__(self, code: bytearray) -> None:
        self.code = code
        self.at = 0
        self.open: list[int] = []

    def before(self, position: int) -> list[int]:
        """Offsets of the brackets open at ``position``, outermost first.

        A closing brace in the first column ends everything: what went wrong before it is forgotten.
        """
        start = self.at
        restart = self.code.rfind(b"\n}", start, position)
        if restart >= 0:
            self.open = []
            start = restart + 2
        code = self.code
        for m in BRACKET.finditer(code, start, position):
            at = m.start()
            char = code[at]
            opener = CLOSERS.get(char)
            if opener is None:
                self.open.append(at)
            elif self.open:
                if code[self.open[-1]] == opener:
                    self.open.pop()
                elif opener == 0x7B:  # a parenthesis was left open: the brace knows better
                    while self.open and code[self.open.pop()] != 0x7B:
                        pass
        self.at = max(position, start)
        return self.open


def last_char(code: bytearray, position: int) -> int:
    """The last character before ``position`` that is no blank, or 0. Looks at most 4,000 bytes back."""
    part = bytes(code[max(0, position - 4000) : position]).rstrip()
    return part[-1] if part else 0


def resolve(split: Split, code: bytearray, dialect: Dialect) -> list[Kept]:
    """Take groups apart in ``code``, which holds the directives as blanks.

    ``code`` changes in place and keeps its length and its line ends. Directives that stay become form feeds, which
    are blanks that nothing is written into, until :func:`write_back` puts them where they were.

    :return: the directives that stay
    """
    if not split.groups:
        return []
    resolver = _Resolver(split, code, dialect)
    top, stray = nest(split.groups)
    cut_stray(stray, code)
    for group in top:
        resolver.group(group, 0)
    for kept in resolver.kept:
        start, end = kept.line.start, kept.line.end
        code[start:end] = code[start:end].translate(FEEDS)
    return resolver.kept


@dataclass(frozen=True, slots=True)
class Kept:
    """A directive that the parser sees. ``labelled``: a label stands before it, which wants a statement."""

    line: Directive
    labelled: bool = False


def dead_arms(split: Split, dialect: Dialect) -> list[tuple[int, int]]:
    """(start, end) of every arm that no configuration compiles: ``#if 0``, and what is for assemblers, C++ or user space."""
    found: list[tuple[int, int]] = []
    stack: list[list[int | None]] = []  # [where a dead arm began, whether an arm that is always true was seen]
    for line in split.groups:
        opens = line.kind in OPENING
        if opens:
            stack.append([None, 0])
        elif not stack:
            continue
        top = stack[-1]
        if top[0] is not None:
            found.append((top[0], line.start))
            top[0] = None
        if line.kind == b"endif":
            stack.pop()
            continue
        verdict = 1 if line.kind == b"else" else constant(split.text[line.start : line.end], dialect)
        if top[1] or verdict == 0:
            top[0] = line.end
        elif verdict == 1:
            top[1] = 1
    found += [(top[0], len(split.text)) for top in stack if top[0] is not None]
    return found


def constant(line: bytes, dialect: Dialect) -> int | None:
    """1 or 0 if the condition of a directive has that value in every configuration, else None."""
    m = SIMPLE.match(line)
    if m is None:
        return None
    number, if_not, if_word, negation, word, more = m.groups()
    if number is not None:
        return int(number)
    name = word if if_word is None else if_word
    if name not in dialect.never_defined and name not in dialect.always_defined:
        return None
    truth = (name in dialect.always_defined) != bool(if_not or negation)
    if not more or more == (b"&&" if not truth else b"||"):
        return int(truth)
    return None


SIMPLE = re.compile(
    rb"[ \t]*#[ \t]*(?:(?:el)?if[ \t]+\(?([01])\)?[ \t\r]*(?:\Z|/[*/])"
    rb"|(?:el)?if(n)?def[ \t]+(\w+)"
    rb"|(?:el)?if[ \t]+(!)?[ \t]*defined[ \t]*\(?[ \t]*(\w+)[ \t]*\)?[ \t\r]*(\Z|/[*/]|\|\||&&))"
)
OPENING = frozenset({b"if", b"ifdef", b"ifndef"})
FEEDS = bytes(c if c in b"\n\r" else 0x0C for c in range(256))


def cut_stray(stray: list[Directive], code: bytearray) -> None:
    """Blank what lies between an ``#else`` whose ``#if`` stands before the slice and its ``#endif``."""
    start: int | None = None
    for line in stray:
        if line.kind == b"endif":
            if start is not None:
                blank(code, start, line.start)
            start = None
        elif start is None:
            start = line.end
    if start is not None:
        blank(code, start, len(code))


def blank(code: bytearray, start: int, end: int) -> None:
    """Overwrite a stretch with blanks, line ends excepted."""
    code[start:end] = code[start:end].translate(BLANKS)


class _Resolver:
    """Decides about the groups of one text, from the outside in."""

    def __init__(self, split: Split, code: bytearray, dialect: Dialect) -> None:
        self.split = split
        self.code = code
        self.brackets = Brackets(code)
        self.kept: list[Kept] = []
        dead = dead_arms(split, dialect)
        self.dead = {start for start, _ in dead}
        for start, end in dead:
            blank(code, start, end)

    def group(self, group: Group, depth: int) -> None:
        """Decide about one group, then about those inside the arms that stay."""
        code, lines = self.code, group.lines
        start = lines[0].start
        stack = list(self.brackets.before(start))
        every = [(a.end, b.start) for a, b in itertools.pairwise(lines)]
        if not group.closed:
            every.append((lines[-1].end, len(code)))
        arms = [arm for arm in every if arm[0] not in self.dead]
        if not arms or depth > MAX_DEPTH:
            return
        if not code[arms[0][0] : arms[-1][1]].strip():
            return  # nothing but directives
        outermost = code[stack[0]] if stack else 0
        in_body = outermost == 0x7B and is_body(code, stack[0])
        innermost = code[stack[-1]] if stack else 0
        in_list = innermost in (0x28, 0x5B) or (innermost == 0x7B and is_list(code, stack[-1]))
        before = last_char(code, start)
        guard = depth == 0 and not stack and before == 0 and len(arms) == 1
        decided = len(arms) < len(every)
        if (
            (decided and len(arms) == 1)
            or guard
            or in_order(self.split, code, arms, stack, in_list, before, lines[-1].end if group.closed else len(code))
        ):
            if in_body and not in_list and group.closed and not decided:
                self.keep(lines)
            keep = range(len(arms))
        else:
            keep = range(*chosen(self.split, code, group, arms))
            for i, (a, b) in enumerate(arms):
                if i not in keep:
                    blank(code, a, b)
        for inner in group.inner:
            at = inner.lines[0].start
            if any(arms[i][0] <= at <= arms[i][1] for i in keep):
                self.group(inner, depth + 1)

    def keep(self, lines: list[Directive]) -> None:
        """Leave the directives to the parser, unless one follows a label and there is no room for a semicolon."""
        kept: list[Kept] = []
        spaces: list[int] = []
        for line in lines:
            m = LABEL.search(self.code, max(0, line.start - 300), line.start)
            if m is None or m[1] in (b"default", b"case"):
                kept.append(Kept(line))
                continue
            space = next((at for at in range(m.end(1), line.start) if self.code[at] in b" \t" and at > m.start(2)), -1)
            if space >= 0:
                spaces.append(space)
                kept.append(Kept(line))
            elif restored(self.split, Kept(line, labelled=True)) is not None:
                kept.append(Kept(line, labelled=True))
            else:
                return
        for space in spaces:
            self.code[space] = 0x3B
        self.kept += kept


LABEL = re.compile(rb"[;{}\n][ \t]*([A-Za-z_]\w*)[ \t]*(:)\s*\Z")


def chosen(split: Split, code: bytearray, group: Group, arms: list[tuple[int, int]]) -> tuple[int, int]:
    """The one arm that stays, as a range of indexes."""
    text = split.text[group.lines[0].start : group.lines[0].end]
    full = [i for i, (a, b) in enumerate(arms) if code[a:b].strip()]
    if len(full) > 1 and full[0] == 0 and NEGATED.match(text):
        return full[1], full[1] + 1
    if len(arms) == 1 and NEGATED.match(text) and b"ifndef" not in text and b"!" not in text:
        return 0, 0  # `#if 0` in the middle of a statement
    return (full[0], full[0] + 1) if full else (0, 0)


def write_back(split: Split, code: bytearray, kept: list[Kept]) -> None:
    """Put directives where they stood, their conditions as single words: the parser need not understand them."""
    for one in kept:
        line = one.line
        made = restored(split, one)
        whole = split.code[line.start : line.end]  # blanks and line ends
        code[line.start : line.end] = whole if made is None else made + whole[len(made) :]


def restored(split: Split, kept: Kept) -> bytes | None:
    """The directive as the parser sees it, from the beginning of its line; None if there is no room for it."""
    line = kept.line
    text = split.text[line.start : line.end]
    if line.kind in (b"if", b"elif"):
        m = CONDITION.match(text)
        if m is None:
            return None
        head, length = m[1].translate(BLANKS) if b"/*" in m[1] else m[1], m.end(2) - m.start(2)
        if not kept.labelled:
            return head + b"X" * length
        return b";#if!".ljust(len(head) + 1, b" ") + b"X" * (length - 1) if length > 1 and line.kind == b"if" else None
    m = PLAIN.match(text)
    if m is None:
        return None
    if not kept.labelled:
        return m[0]
    if line.kind in (b"ifdef", b"ifndef"):
        name = m[0].split()[-1]
        return b";#if".ljust(len(m[0]) - len(name)) + name
    word = b";#" + line.kind
    return word if len(word) <= len(text.rstrip(b"\r")) else None


CONDITION = re.compile(rb"([ \t]*#[ \t]*(?:el)?if[ \t]*)((?:[^\s\\/]|/(?![*/])|[ \t]+(?![\s\\]|/[*/]|\Z))+)")
PLAIN = re.compile(rb"[ \t]*#[ \t]*[a-z]+(?:[ \t]+(?!else|endif)\w+)?")


def is_body(code: bytearray, brace: int) -> bool:
    """Whether the outermost brace opens a function body: what stands before it ends with a parenthesis."""
    before = bytes(code[max(0, brace - 2000) : brace]).rstrip()
    if before.endswith(b")"):
        return True
    # After the header an annotation may stand, or K&R declarations; a struct or an initialiser has its own marks.
    tail = before[max(before.rfind(b";"), before.rfind(b"}")) + 1 :]
    return b"(" in tail and not re.search(rb"=\s*\Z|\b(?:struct|union|enum)\b[^()]*\Z", tail)


def is_list(code: bytearray, brace: int) -> bool:
    """Whether the brace opens an initialiser or an enum: items that commas part, not statements."""
    before = bytes(code[max(0, brace - 200) : brace]).rstrip()
    if before[-1:] in (b"=", b",", b"]", b"{", b"("):
        return (before[-1:] != b"{" and before[-1:] != b"(") or not _statement_follows(code, brace)
    return bool(re.search(rb"\benum(?:\s+\w+)?(?:\s*:\s*\w+)?\Z", before)) or (
        before.endswith(b")") and bool(re.search(rb"[=(,{]\s*\([\w\s*\[\]]+\)\Z", before))
    )


def _statement_follows(code: bytearray, brace: int) -> bool:
    part = bytes(code[brace : brace + 2000])
    semicolon, comma = part.find(b";"), part.find(b",")
    return semicolon >= 0 and (comma < 0 or semicolon < comma)


def in_order(
    split: Split,
    code: bytearray,
    arms: list[tuple[int, int]],
    stack: list[int],
    in_list: bool,
    before: int,
    after: int,
) -> bool:
    """Whether all arms can stand one after the other: each is balanced and made of whole statements or items."""
    in_parentheses = bool(stack) and code[stack[-1]] != 0x7B
    for a, b in arms:
        arm = bytes(code[a:b]).strip()
        if not arm:
            continue
        for opener, closer in ((b"{", b"}"), (b"(", b")"), (b"[", b"]")):
            if arm.count(opener) != arm.count(closer):
                return False
        first, last = arm[0], arm[-1]
        if first == 0x7D or first == 0x29:
            return False
        if in_parentheses:
            if len([1 for x, y in arms if code[x:y].strip()]) > 1:
                return False
            continue
        if in_list:
            if last != 0x2C and not (len(arms) == 1 or next_char(code, after) == 0x7D):
                return False
            if before not in (0x7B, 0x2C):
                return False
            continue
        if last not in (0x3B, 0x7D, 0x3A) and not (last == 0x29 and not stack and next_char(code, after) != 0x7B):
            return False
        if before not in (0, 0x3B, 0x7B, 0x7D, 0x3A) and not (before == 0x29 and not stack):
            return False
        if arm.startswith(b"else") or LAST_ELSE.search(arm):
            return False
        if (arm.startswith((b"if", b"for", b"while")) and next_word(code, after) == b"else"):
            return False
        if before == 0x7D and next_word(code, after) == b"else":
            return False
    return True


LAST_ELSE = re.compile(rb"\b(?:else|do)\Z")
NEXT = re.compile(rb"\s*(\w+|\S)?")


def next_char(code: bytearray, position: int) -> int:
    """The first character from ``position`` on that is no blank, or 0."""
    m = NEXT.match(code, position, position + 4000)
    return m[1][0] if m is not None and m[1] else 0


def next_word(code: bytearray, position: int) -> bytes:
    m = NEXT.match(code, position, position + 4000)
    return bytes(m[1]) if m is not None and m[1] else b""
