"""How much of a set of files parses: function definitions with an ERROR or MISSING inside, and what causes them."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import islice
from multiprocessing.pool import AsyncResult

import msgspec
import tree_sitter

from reviewer.parse.definitions import definitions
from reviewer.parse.dialect import Dialect
from reviewer.parse.extract import MAX_BYTES, MAX_PARSE, looks_binary, parser
from reviewer.parse.normalise import rewrite
from reviewer.workers import pool

CAUSES = 10
"""How many causes are named."""

BATCH = 16
"""Files that one process gets at a time."""

WAITING = 4
"""Batches per process that are read ahead, so that memory does not grow with the tree."""

LOOK_BACK = 4000
"""Bytes before an error in which the call around it is looked for."""

DROPPED = "defined in an arm of #if that is not read, because another arm is"
TOO_LARGE = "in a file that is too large to be parsed"


class Broken(msgspec.Struct, frozen=True):
    """A definition with an error inside. ``line``: 1-based, of the error; ``cause``: what stands there, in words."""

    line: int
    cause: str


class FileHealth(msgspec.Struct, frozen=True):
    """One file: how many functions it defines, and those that are broken, in order."""

    functions: int
    broken: tuple[Broken, ...] = ()


class Cause(msgspec.Struct, frozen=True):
    """What breaks ``count`` definitions, and the first place of it as ``path:line``."""

    what: str
    count: int
    place: str


class Health(msgspec.Struct, frozen=True):
    """``broken`` of ``functions`` definitions in ``files`` files; the commonest causes first, ten at most."""

    files: int
    functions: int
    broken: int
    causes: tuple[Cause, ...]


def health(files: Iterable[tuple[str, bytes]], dialect: Dialect, jobs: int = 1) -> Health:
    """Parses every file.

    :param files: (path, text), read as they are needed: a few batches per process are in memory at a time.
    :param jobs: processes to use.
    """
    count = functions = 0
    causes: Counter[str] = Counter()
    places: dict[str, str] = {}
    for path, one in _each(files, dialect, jobs):
        count += 1
        functions += one.functions
        for broken in one.broken:
            causes[broken.cause] += 1
            place = f"{path}:{broken.line}"
            places[broken.cause] = min(places.get(broken.cause, place), place)
    commonest = sorted(causes.items(), key=lambda item: (-item[1], item[0]))[:CAUSES]
    return Health(
        count, functions, causes.total(), tuple(Cause(what, number, places[what]) for what, number in commonest)
    )


def _each(
    files: Iterable[tuple[str, bytes]], dialect: Dialect, jobs: int
) -> Iterator[tuple[str, FileHealth]]:
    if jobs <= 1:
        for path, text in files:
            yield path, file_health(text, dialect)
        return
    source = iter(files)
    waiting: deque[AsyncResult[list[tuple[str, FileHealth]]]] = deque()
    with pool(jobs) as workers:
        while True:
            while len(waiting) < WAITING * jobs and (batch := list(islice(source, BATCH))):
                waiting.append(workers.apply_async(_batch, (batch, dialect)))
            if not waiting:
                return
            yield from waiting.popleft().get()


def _batch(files: list[tuple[str, bytes]], dialect: Dialect) -> list[tuple[str, FileHealth]]:
    return [(path, file_health(text, dialect)) for path, text in files]


def file_health(text: bytes, dialect: Dialect) -> FileHealth:
    """One file's definitions, as :mod:`reviewer.parse.definitions` counts them, and what is wrong with them.

    A definition is whole if the parser found a function with that very body and no error in it.
    """
    if len(text) > MAX_BYTES or looks_binary(text):
        return FileHealth(0)
    normalised = rewrite(text, dialect)
    braces = definitions(normalised.split, dialect)
    if not braces:
        return FileHealth(0)
    line = _Lines(text)
    if len(text) > MAX_PARSE:
        return FileHealth(len(braces), tuple(Broken(line(at), TOO_LARGE) for at in braces))
    root = parser().parse(normalised.text).root_node
    bodies = dict(_bodies(root))
    broken: list[Broken] = []
    for at in braces:
        node = bodies.get(at)
        if node is None and normalised.text[at] != 0x7B:
            broken.append(Broken(line(at), DROPPED))
        elif node is None:
            error = _error_before(root, at)
            broken.append(Broken(line(error), f"{describe(normalised.split.code, error)}, and all of the function is lost"))
        elif node.has_error:
            error = _first_error(node)
            broken.append(Broken(line(error), describe(normalised.split.code, error)))
    return FileHealth(len(braces), tuple(broken))


class _Lines:
    def __init__(self, text: bytes) -> None:
        self.text = text

    def __call__(self, at: int) -> int:
        return self.text.count(b"\n", 0, at) + 1


def _bodies(root: tree_sitter.Node) -> Iterator[tuple[int, tree_sitter.Node]]:
    """(offset of the brace, definition) of every function the parser found; inside of broken ones, too."""
    todo = [root]
    while todo:
        node = todo.pop()
        if node.type == "function_definition":
            body = node.child_by_field_name("body")
            if body is not None:
                yield body.start_byte, node
            if not node.has_error:
                continue
        elif not node.has_error and node.type not in _OUTER:
            continue
        todo.extend(node.children)


_OUTER = frozenset({
    "translation_unit", "linkage_specification", "declaration_list", "preproc_if", "preproc_ifdef", "preproc_else",
    "preproc_elif", "preproc_elifdef",
})  # fmt: skip


def _first_error(node: tree_sitter.Node) -> int:
    """The offset of the first ERROR or MISSING in ``node``."""
    while node.type != "ERROR" and not node.is_missing:
        inner = next((child for child in node.children if child.has_error or child.is_missing), None)
        if inner is None:
            break
        node = inner
    return int(node.start_byte)


def _error_before(root: tree_sitter.Node, at: int) -> int:
    """The offset of the last ERROR or MISSING that begins before ``at``; ``at`` itself if there is none."""
    found = -1
    todo = [root]
    while todo:
        node = todo.pop()
        if node.start_byte > at:
            continue
        if node.type == "ERROR" or node.is_missing:
            found = max(found, int(node.start_byte))
        if node.has_error:
            todo.extend(node.children)
    return found if found >= 0 else at


# --- in words -------------------------------------------------------------------------------------

_TOKEN = re.compile(rb'"[^"\n]*"?|\'[^\'\n]*\'?|[A-Za-z_]\w*|\d\w*|->|\S')
_STOP = re.compile(rb"[;{}]")
_KEYWORDS = frozenset({
    b"if", b"for", b"while", b"switch", b"return", b"goto", b"do", b"else", b"case", b"default", b"sizeof", b"struct",
    b"union", b"enum", b"static", b"const", b"inline", b"void", b"int", b"char", b"long", b"unsigned", b"typeof", b"asm",
})  # fmt: skip


def describe(code: bytes, at: int) -> str:
    """The construct around offset ``at`` in a few words, the same for the same idiom.

    :param code: without comments and preprocessor lines, the inside of strings dotted.
    """
    opening = _open_parenthesis(code, at)
    if opening >= 0:
        word = _word_before(code, opening)
        if word and word not in _KEYWORDS:
            return f"{_what_is_among(code, opening)} {_shape(word)}(...)"
    before = [m[0] for m in _TOKEN.finditer(code, max(0, code.rfind(b"\n", 0, max(0, at - 80))), at)]
    following = [m[0] for m in islice(_TOKEN.finditer(code, at), 2)]
    left = _shape(before[-1]) if before else "the beginning"
    if before and before[-1] == b")":
        opening = _opening_of(code, at)
        word = _word_before(code, opening) if opening >= 0 else b""
        left = f"{_shape(word)}(...)" if word else left
    return f"{' '.join(map(_shape, following)) or 'the end'} after {left}"


AMONG = (
    (re.compile(rb"[;{}]|(?:\A|,)\s*(?:return|goto|break|continue)\b"), "a statement among the arguments of"),
    (re.compile(rb'(?:\A|,|:)\s*(?:\[\w+\]\s*)?"[^"]*"\s*\('), "operands of assembly among the arguments of"),
    (re.compile(rb"(?:\A|,)\s*\.\s*\w"), "a designated initialiser among the arguments of"),
    (re.compile(rb"(?:\A|,)\s*(?:,|\Z)"), "an empty argument of"),
    (re.compile(rb"(?:\A|,)\s*(?:[=!<>&|+*/%^-]+|->|\.)\s*(?:,|\Z)"), "an operator among the arguments of"),
    (re.compile(rb"(?<![\w.])\d+[A-Za-z_]"), "a word that begins with a digit among the arguments of"),
    (re.compile(rb'\w\s+\w+\s*"|"\s*\w+\s+\w'), "strings and words side by side among the arguments of"),
)
"""What an argument list holds that the parser does not expect there, the first that fits."""


def _what_is_among(code: bytes, opening: int) -> str:
    closing = _closing_of(code, opening)
    inside = code[opening + 1 : closing if closing > 0 else opening + 400]
    return next((what for pattern, what in AMONG if pattern.search(inside)), "the arguments of")


def _shape(word: bytes) -> str:
    text = word.decode("utf-8", "replace")
    if word[:1] in (b'"', b"'"):
        return "a string"
    if word[:1].isdigit():
        return "a number" if re.fullmatch(rb"0[xX][0-9a-fA-F]+[uUlL]*|\d+[uUlL]*", word) else text
    if word in _KEYWORDS or not (word[:1].isalpha() or word[:1] == b"_"):
        return f"'{text}'"
    return text if word.isupper() or text.startswith("__") else "a word"


def _open_parenthesis(code: bytes, at: int) -> int:
    """The innermost parenthesis open at ``at``, or -1; a statement in one does not close it."""
    depth = 0
    stop = max(code.rfind(b"\n}", 0, at), code.rfind(b"\n{", 0, at), at - LOOK_BACK, 0)
    for position in range(at - 1, stop, -1):
        char = code[position]
        if char == 0x29:
            depth += 1
        elif char == 0x28:
            if depth == 0:
                return position
            depth -= 1
    return -1


def _opening_of(code: bytes, at: int) -> int:
    """The parenthesis that the one before ``at`` closes, or -1."""
    closing = code.rfind(b")", 0, at)
    return _open_parenthesis(code, closing) if closing >= 0 else -1


def _closing_of(code: bytes, opening: int) -> int:
    depth = 0
    for position in range(opening, min(len(code), opening + LOOK_BACK)):
        char = code[position]
        depth += (char == 0x28) - (char == 0x29)
        if depth == 0:
            return position
    return -1


def _word_before(code: bytes, at: int) -> bytes:
    m = re.search(rb"([A-Za-z_]\w*)\s*\Z", code[max(0, at - 80) : at])
    return m[1] if m is not None else b""
