"""What each file of a tree defines, by one ``git grep`` over lines that can define something.

The expression prints only the name with what tells its kind, so that a whole kernel comes down to some 30 MB:

====================  =====================================================================
``name(``             a function's header (a line that ends in ``;`` is a prototype and is left out)
``name``              a variable, a type's name behind ``}`` or ``typedef``, a pointer to a function
``MACRO(arguments``   a macro in capitals at the start of a line: what it declares is among its arguments
``struct x {``        a struct or union, also one inside another; without ``{`` the brace is on the next line
TAB ``NAME``          an enumerator, or a line of an initialiser that looks like one
``define name(``      a macro; ``define name`` without arguments, unless its value begins with a digit
``struct x name``     an object with an initialiser, at file scope or in a function
``>field``            an assignment to a member, of something that may be a function's name (``.field`` for ``p.field``)
====================  =====================================================================

Too much is found now and then (prose in a comment, a prototype over two lines); that costs a look at a file
that does not define the name after all. Macros whose value is a mere number are left out because headers that
describe registers have a million of them.
"""

from __future__ import annotations

import multiprocessing
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reviewer.parse.dialect import Dialect
from reviewer.program.index.postings import Pages, paged
from reviewer.source.gitrun import GitFailed
from reviewer.source.tree import Tree
from reviewer.workers import pool

_WORDS = r"(?:\w+[ \t*]+(?:__\w+[ \t*]+)*+(?=[a-zA-Z0-9]|_(?!_)))*+"
"""Words of a declaration before its name, attributes among them (``static int __init``)."""

_NO_PROTOTYPE = r"(?![^{\n]*;[ \t\r]*(?:/[*/].*)?$)"

_NO_DECLARATION = r"(?!extern\b|typedef\b|return\b|goto\b|MODULE_|EXPORT_|(?:struct|union|enum)[ \t]+\w+;)"

_ARROW = r"(?:-(?=>)|(?=\.))"

_OWNERS = rf"[a-zA-Z_(*][\w()*]*+(?:\[[^]\n]*+\])*+{_ARROW}(?:[>.][\w()]++(?:\[[^]\n]*+\])*+{_ARROW})*"
"""What stands before the last member of an access path: ``p->a[i].b-`` of ``p->a[i].b->c``."""

_ALTERNATIVES = (
    r"[ \t]*+#[ \t]*+\Kdefine[ \t]++\w++(?:\(|(?=[ \t]++(?:[^\d(\s-]|\([^\d-])))",
    r"[ \t]*+(?:typedef[ \t]+|static[ \t]+|const[ \t]+)*+\K(?:struct|union)[ \t]++\w++(?:[ \t]*+(?:__\w+[ \t]*+)*+\{|$)",
    r"[ \t]*+(?:(?:static|const|__\w+)[ \t]+)*+\Kstruct[ \t]++\w++[ \t]++(?:const[ \t]++)?\w++"
    r"(?=[^\n;,()={]*+=[ \t]*+(?:\{|[A-Z]|$))",
    rf"[ \t]++{_OWNERS}\K[>.]\w+(?=[ \t]*+=[ \t]*+&?[a-zA-Z_]\w*_\w*[ \t]*+[;?])",
    r"[ \t]++[A-Z][A-Z0-9_]++(?=(?:[ \t]*+=[^=;{}()\n]*+(?:\([^;{}()\n]*+\)[^;{}()\n]*+)*+)?,?[ \t\r]*+(?:/[*/].*)?$)",
    r"typedef[ \t]++[^;{(\n]*[ \t*]\K\w++(?=(?:\[[^];\n]*+\])*+;)",
    r"\}[ \t]*+(?:__\w+(?:\([^\n]*?\)+)?[ \t]+)*+\*?\K(?!_)\w++(?=[ \t]*+(?:[\[=;,]|__))",
    rf"(?=[a-zA-Z_]){_NO_DECLARATION}{_WORDS}\K(?:"
    r"[A-Z][A-Z0-9_]++\([^()\n]*+"
    rf"|\w+(?:[ \t*]+__\w+)*+(?:[ \t]?\({_NO_PROTOTYPE}|(?=[ \t]*+[=;,\[]))"
    r"|\w+[ \t*]*+\(\*[ \t]*+(?:\w+[ \t]+)?\K\w+(?=[\[\])]))",
)
"""Possessive (``*+``) throughout: without it the search costs twice as much."""

PATTERN = f"^(?:{'|'.join(_ALTERNATIVES)})"

PAGES = 16384
"""Pieces that names are spread over, some 1 kB each when packed: one is read to look one name up."""

_IDENTIFIER = re.compile(rb"[A-Za-z_]\w*")

@dataclass(frozen=True, slots=True)
class Part:
    """A part of a tree, searched by itself: files in the folders ``under``, those in ``apart`` left out."""

    under: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()

    def covers(self, path: str) -> bool:
        """Whether a file is of this part."""
        inside = not self.under or path.startswith(tuple(f"{folder}/" for folder in self.under))
        return inside and not path.startswith(tuple(f"{folder}/" for folder in self.apart))


WHOLE = Part()

_LARGE = ("drivers/gpu", "drivers/net")

PARTS = (Part(_LARGE), Part(("drivers",), _LARGE), Part((), ("drivers", "arch", "include")), Part(("arch", "include")))
"""Of a kernel, a quarter of the work each, so that several processes end together."""


@dataclass(slots=True)
class Symbols:
    """What the files of a part of a tree define. ``skipped``: (path, reason) of those that could not be read."""

    paths: list[str]
    pages: Pages
    skipped: list[tuple[str, str]]


def read_symbols(
    tree: Tree, dialect: Dialect, jobs: int = 1, files: Sequence[str] | None = None
) -> tuple[list[str], Pages]:
    """(paths, pages) of what the files of the tree define. Of several parts of a tree the numbers of paths follow on.

    :param files: only these. :raises GitFailed: git can not search at all
    """
    if jobs < 2 or files is not None or multiprocessing.current_process().daemon:  # a worker may have none of its own
        whole = read_part(tree, dialect, WHOLE if files is None else Part(tuple(files)), 0)
        return whole.paths, whole.pages
    starts = [0]
    for part in PARTS[:-1]:
        starts.append(starts[-1] + sum(part.covers(path) for path in tree.paths()))
    global _inherited
    _inherited = tree, dialect
    try:
        with pool(min(jobs, len(PARTS)), _start) as workers:
            found = workers.starmap(_part, zip(PARTS, starts, strict=True), chunksize=1)
    finally:
        _inherited = None
    paths: list[str] = []
    pages: Pages = dict.fromkeys(range(PAGES), b"\n")
    for symbols, start in zip(found, starts, strict=True):
        if symbols is None:
            return read_symbols(tree, dialect)  # which says what is wrong
        for path, reason in symbols.skipped:
            tree.note_skipped(path, reason)
        paths += [""] * (start - len(paths))
        paths += symbols.paths
        for number, page in symbols.pages.items():
            pages[number] += page[1:]
    return paths, pages


_inherited: tuple[Tree, Dialect] | None = None
"""What worker processes find when they start: an open tree has processes of its own, and cannot be sent."""


def _start() -> None:
    assert _inherited is not None
    _inherited[0].after_fork()


def _part(part: Part, first: int) -> Symbols | None:
    """Of a worker process; None if git fails."""
    assert _inherited is not None
    tree, dialect = _inherited
    try:
        return read_part(tree, dialect, part, first)
    except GitFailed:
        return None


def read_part(tree: Tree, dialect: Dialect, part: Part, first: int) -> Symbols:
    """What the files of a part define; its paths are numbered from ``first`` on.

    :raises GitFailed: git can not search at all
    """
    known = len(tree.skipped)
    paths, found = _found(tree, part, first)
    entries = ((key, numbers) for text, numbers in found.items() for key in _keys(text, dialect))
    return Symbols(paths, paged(entries, PAGES), tree.skipped[known:])


def _found(tree: Tree, part: Part, first: int) -> tuple[list[str], dict[bytes, bytes]]:
    """(paths, for each text that the search finds the numbers of its files)."""
    while True:
        before = len(tree.skipped)
        try:
            return _searched(tree, part, first)
        except GitFailed:
            if len(tree.skipped) == before:
                raise


def _searched(tree: Tree, part: Part, first: int) -> tuple[list[str], dict[bytes, bytes]]:
    paths: list[str] = []
    found: defaultdict[bytes, bytes] = defaultdict(bytes)
    for block in tree.grep_blocks(["-o", "-h", "-P"], [PATTERN], part.under, part.apart):
        for group in block.split(b"\n\n"):
            name, *keys = group.split(b"\n")
            path = tree.text_path(name)
            if path is None:
                continue
            number = b"%d," % (first + len(paths))
            paths.append(path)
            for key in set(keys):
                found[key] += number
    return paths, found


def _keys(text: bytes, dialect: Dialect) -> Iterable[bytes]:
    """Keys under which what the search printed is looked up."""
    if text.endswith((b" (", b"\t(")):  # as some old files write it
        text = text[:-2] + b"("
    # Most are as they should be: no blank, and no parenthesis but the last.
    if b" " not in text and b"\t" not in text:
        if text[:1] == b".":
            return (b">" + text[1:],)
        return _declared(text, dialect) if b"(" in text[:-1] else (text,)
    if text[:7] == b"define " and b"\t" not in text:
        return (b"define " + text[7:].lstrip(),)
    return (b"\t" + text.strip(),) if text[:1] in (b" ", b"\t") else _in_words(text, dialect)


def _in_words(text: bytes, dialect: Dialect) -> Iterator[bytes]:
    """The same of several words."""
    words = text.split()
    if words[0] == b"struct" and len(words) > 2 and not text.endswith((b"{", b"(")):
        yield b"=" + words[1]
        yield words[-1]
    elif words[0] in (b"struct", b"union"):
        brace = text.endswith(b"{")
        yield words[0] + b" " + words[1].rstrip(b"{") + (b"{" if brace else b"")
    elif words[0] == b"define":
        yield b"define " + words[1]
    elif b"(" in text[:-1]:
        yield from _declared(text, dialect)
    elif text.endswith(b"("):  # attributes before the name
        yield words[-1].lstrip(b"*")
    else:  # attributes behind the name, or a name that looks like one
        yield from (word.lstrip(b"*") for word in words)


def _declared(key: bytes, dialect: Dialect) -> Iterator[bytes]:
    """Names that a macro at file scope may declare."""
    macro, _, rest = key.partition(b"(")
    words = [_IDENTIFIER.findall(argument) for argument in rest.split(b",")]
    header = dialect.header(macro.decode("ascii", "replace"))
    if header is not None:
        texts = [word[-1].decode() if word else "" for word in words] + [""] * 4
        yield header.name.format(*texts).encode() + b"("
    # DEFINE_MUTEX(x), DEFINE_PER_CPU(type, x), DECLARE_WORK(x, function): the first two arguments will do.
    for word in words[:2]:
        if word:
            yield word[-1]
    yield macro + b"("

