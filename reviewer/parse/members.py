"""Words that say nothing to the parser go: annotations everywhere, macros between the members of a struct."""

from __future__ import annotations

from reviewer.parse.code import Code
from reviewer.parse.dialect import Dialect


def blank_annotations(code: Code, words: set[bytes], dialect: Dialect) -> None:
    """Blank attributes, section marks and the like, and words that stand where ``static`` or ``inline`` would."""
    for word in words & dialect.annotations:
        for at in list(code.find(word)):
            code.blank(at, at + len(word))
    for word in words & dialect.annotations_with_arguments:
        for at, _, closing in code.called(word):
            code.blank(at, closing + 1)
    for word in words & dialect.static_words | words & dialect.inline_words:
        for at in list(code.find(word)):
            follower = code.skip_blanks(at + len(word))
            if follower < len(code.text) and code.text[follower] != 0x28:
                code.blank(at, at + len(word))


def members(code: Code, words: set[bytes], dialect: Dialect) -> None:
    """Macros that stand among members: marks, groups of members, and declarations."""
    for word in words & dialect.member_noise_words:
        for at in list(code.find(word)):
            code.blank(at, at + len(word))
    for word in words & dialect.member_noise:
        for at, _, closing in code.called(word):
            code.blank(at, closing + 1 + (code.at(closing + 1) == 0x3B))
    for word in words & dialect.member_groups.keys():
        _group(code, word, dialect.member_groups[word])
    for word in words & dialect.members.keys():
        _member(code, word, dialect)


def _group(code: Code, word: bytes, before: int) -> None:
    """``struct_group(name, members);`` to ``members``; ``before`` is how many arguments stand before them."""
    for at, opening, closing in code.called(word):
        args = code.arguments(opening, closing)
        if len(args) > before:
            code.blank(at, args[before][0])
            code.blank(closing, closing + 1 + (code.at(closing + 1) == 0x3B))


def _member(code: Code, word: bytes, dialect: Dialect) -> None:
    """``DECLARE_BITMAP(x, N);`` in a struct, or as a local variable with a value. Elsewhere it is left to others."""
    how = dialect.members[word]
    text = code.text
    for at, opening, closing in code.called(word):
        if text.rfind(b"\n", 0, at) + 1 == at:
            continue
        if code.at(code.skip_blanks(closing + 1)) not in b"=[" and not code.in_struct(at):
            continue
        args = code.arguments(opening, closing)
        wanted = [how.name] + ([how.type_argument] if how.type_argument is not None else [])
        if max(wanted) >= len(args):
            continue
        a, b = args[how.name]
        made = [(a, b)]
        if how.type_argument is not None:
            made.append(args[how.type_argument])
        length = None
        if isinstance(how.array, int) and how.array is not True and how.array != how.name and how.array < len(args):
            if args[how.array][0] > b:
                length = args[how.array]
                made.append(length)
        kept = [(start, bytes(text[start:end])) for start, end in made]
        comma = text.find(b",", b)
        code.blank(at, closing + 1)
        if how.type_argument is None:
            text[at : at + 4] = b"long"  # the true type is the outline's to tell
        for start, part in kept:
            text[start : start + len(part)] = part
        if length is not None:
            text[comma] = 0x5B
            text[closing] = 0x5D
