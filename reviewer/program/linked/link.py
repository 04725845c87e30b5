"""Facts of one revision, linked on demand: from a name in a file to what it means there.

Nothing is linked ahead of a question. A file is read when a name leads to it, and of a file only the pieces that the name
leads to; a body is made when a path through the program needs it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import tree_sitter

from reviewer.parse import facts
from reviewer.parse.bodies import body_key, made
from reviewer.parse.dialect import Dialect
from reviewer.parse.extract import parser
from reviewer.parse.head import Head
from reviewer.parse.pieces import Pieces
from reviewer.parse.skim import Piece
from reviewer.program.api.models import ApiModels
from reviewer.program.api.models import Function as Model
from reviewer.program.index.change import KEYWORDS
from reviewer.program.index.files import Content, Files
from reviewer.program.index.generated import filled, given, makers, may_make, variables
from reviewer.program.index.linkage import MAX_CANDIDATES, by_distance, closest, distance, reachable, subsystem
from reviewer.program.index.switches import Switches
from reviewer.program.index.trace import ALL, INCLUDES, Heard, Names, Trace
from reviewer.program.index.units import Units
from reviewer.program.linked import generics
from reviewer.program.linked.constants import Constants, FileMacros
from reviewer.program.linked.gfp import GfpFlags

if TYPE_CHECKING:
    from reviewer.program.linked.structs import Frame

DRIVERS = frozenset({"drivers", "fs", "net", "sound", "security", "crypto"})
"""Top folders of parts that know each other by headers of ``include/`` only."""

GFP_HEADERS = ("include/linux/gfp_types.h", "include/linux/gfp.h")
"""Where the allocation flags are defined: the first since 6.0, the second before."""


class Bodies(Protocol):
    """Bodies by the digest of their function's text; None where there is none yet."""

    def get(self, key: str) -> facts.Body | None: ...
    def put(self, key: str, value: facts.Body) -> None: ...
    def flush(self) -> None: ...


PASTE = re.compile(r"\b([A-Za-z_]\w*)\s*##\s*([A-Za-z_]\w*)\b(?!\s*\()")
"""Two words that a macro makes one, other than the name of a function."""

PASTED = "__pasted_"

CALLED = re.compile(r"([A-Za-z_]\w*)\s*\(")

WORD = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class Func:
    """A function definition at its place, or a function-like macro that stands for one.

    ``key`` is unique in its program: path, name and number.
    """

    key: str
    path: str
    name: str
    source: tuple[Pieces, Piece] | None
    macro: facts.Macro | None = None

    @property
    def definition(self) -> facts.Function | None:
        """The function's header; None for a macro."""
        return self.source[0].signature(self.source[1]) if self.source is not None else None

    @property
    def text(self) -> bytes:
        """Its whole text as it stands in the file; empty for a macro."""
        if self.source is None:
            return b""
        file, piece = self.source
        return file.text[piece.start : piece.end]

    @property
    def words(self) -> frozenset[str]:
        """All words of its text."""
        if self.source is None:
            assert self.macro is not None
            return frozenset(WORD.findall(self.macro.body))
        file, piece = self.source
        return file.words(piece)

    @property
    def parameters(self) -> tuple[facts.Variable, ...]:
        if self.source is not None:
            return self.source[0].signature(self.source[1]).parameters
        assert self.macro is not None
        return tuple(facts.Variable(p, facts.CType("?")) for p in self.macro.parameters or ())

    @property
    def calls(self) -> tuple[str, ...]:
        """Distinct names that the function calls."""
        if self.source is not None:
            return self.source[0].calls(self.source[1])
        assert self.macro is not None
        return tuple(dict.fromkeys((*CALLED.findall(self.macro.body), *generics.functions(self.macro))))

    @property
    def condition(self) -> str:
        """The ``#if`` under which it stands; "" for none."""
        if self.source is not None:
            return self.source[0].condition(self.source[1])
        return self.macro.condition if self.macro is not None else ""

    @property
    def line(self) -> int:
        """1-based line on which row 0 of the body stands."""
        if self.source is not None:
            return self.source[0].line_at(self.source[1].start)
        assert self.macro is not None
        return self.macro.line

    @property
    def static(self) -> bool:
        return self.source is None or self.source[0].static(self.source[1])

    @property
    def confined(self) -> bool:
        """Whether only its own unit can call it by name: not so the inline of a header, though that is static."""
        return self.static and not self.path.endswith(".h")

    def line_of(self, at: int) -> int:
        """1-based line in the file of a position in the body."""
        return self.line if self.macro is not None else self.line + facts.row_of(at)


@dataclass(slots=True)
class Record:
    """What a process has read of a program. ``bodies``: key of a function to whether a parse error stands in it."""

    files: set[str] = field(default_factory=set)
    bodies: dict[str, bool] = field(default_factory=dict)
    parsed: set[str] = field(default_factory=set)
    skipped: dict[str, str] = field(default_factory=dict)


class Program:
    """One revision. Everything is memoised; nothing is ever changed once asked.

    :ivar skipped: files that could not be read or parsed, with the reason.
    :ivar parsed: files of which a function was not in the store.
    :ivar near: the program of another tree from which answers were taken over.
    """

    def __init__(
        self, content: Content, names: Names, bodies: Bodies, models: ApiModels, dialect: Dialect, files: Files | None = None
    ) -> None:
        """:param files: files of the same tree that another program has read."""
        self.content = content
        self.files = files if files is not None else Files(content, dialect)
        self.names = Heard(names)
        self.bodies = bodies
        self.models = models
        self.dialect = dialect
        self.skipped: dict[str, str] = {}
        self.parsed: set[str] = set()
        self._others = Record()
        self.constants = Constants(self)
        self.switches = Switches(self)
        self.units = Units(content, self.names, dialect, self.file, self.heads)
        self._files: dict[str, Pieces] = {}
        self._functions: dict[tuple[str, str], tuple[Func, ...]] = {}
        self._bodies: dict[str, facts.Body | None] = {}
        self._soles: dict[str, tuple[Func, ...]] = {}
        self._resolved: dict[tuple[str, str], tuple[Func, ...]] = {}
        self._typedefs: dict[tuple[str, str], facts.CType | None] = {}
        self._structs: dict[tuple[str, str], tuple[str, facts.StructDef] | None] = {}
        self._variables: dict[tuple[str, str], tuple[str, facts.Variable] | None] = {}
        self._made: dict[str, dict[str, facts.Variable]] = {}
        self._filled: dict[tuple[str, str, int], facts.Variable] = {}
        self._makers: dict[tuple[str, str], tuple[str, ...]] = {}
        self.making: dict[tuple[str, str, str], bool] = {}
        self._given: dict[str, frozenset[str]] = {}
        self._own: dict[tuple[str, str], tuple[str, facts.Variable] | None] = {}
        self._macros: dict[tuple[str, str], tuple[str, facts.Macro] | None] = {}
        self._models: dict[str, Model | None] = {}
        self._frames: dict[str, Frame] = {}
        self._masks: dict[str, int | None] = {}
        self.near: Program | None = None
        self._rested: set[tuple[str, str]] = set()
        self._embeds: dict[tuple[str, str], tuple[str, ...]] = {}
        self._parser: tree_sitter.Parser | None = None

    # --- files ----------------------------------------------------------------------------------

    def load(self, paths: Iterable[str]) -> None:
        """Read ``paths`` together: cheaper than one by one."""
        self.files.read(p for p in paths if p not in self._files)

    def file(self, path: str) -> Pieces:
        """A file, read on demand; empty, and listed in ``skipped``, if it cannot be read."""
        got = self._files.get(path)
        if got is None:
            got = self._files[path] = self.files.get(path)
            if path in self.files.skipped:
                self.skipped[path] = self.files.skipped[path]
        return got

    def heads(self, paths: Iterable[str]) -> Iterator[Head]:
        """What some files include, and which numbers they name, in their order; the files themselves need not be read for it."""
        for path, head in self.files.heads(list(paths)):
            if path in self.files.skipped:
                self.skipped[path] = self.files.skipped[path]
            yield head

    def record(self) -> Record:
        """What has been read so far, by this process and those whose record it has taken."""
        bodies = {key: body.broken for key, body in self._bodies.items() if body is not None}
        return Record(self.seen(), self._others.bodies | bodies, self.parsed, self.skipped)

    def trace(self) -> Trace:
        """What the answers of this program rest on so far; of files that it shares, what any program has asked of them."""
        made = ((path, rest.rpartition("@")[0]) for path, _, rest in (key.partition("#") for key in self._bodies))
        heard = self.names
        included = ((path, INCLUDES) for path in self.units.looked_into())
        own = Trace.of(
            files={*self._files, *self.units.looked_into(), *(path for path, _ in self._rested)},
            functions={*self._functions, *made, *included}, defined=heard.defined, filled=heard.filled, mentioned=heard.mentioned,
            outside={*((path, word) for path, file in self._files.items() for word in file.outside - KEYWORDS), *self._rested},
            inside={*((path, word) for path, file in self._files.items() for word in file.inside), *self._rested},
        )
        return own | self.near.trace() if self.near is not None else own

    def take(self, record: Record) -> None:
        """Add what another process has read of the same program."""
        self._others.files |= record.files
        self._others.bodies |= record.bodies
        self.parsed |= record.parsed
        self.skipped |= record.skipped

    def forget(self) -> None:
        """Let go of what has been read, though not of what is known of it; it is read again when it is asked for."""
        self.take(self.record())
        for kept in (
            self._files, self._functions, self._bodies, self._resolved, self._soles, self._structs, self._variables, self._made,
            self._filled, self._given, self._own, self._macros, self._frames, self._line_cache,
        ):  # fmt: skip
            kept.clear()
        self.files.forget()
        self.units.forget()

    def keep(self) -> None:
        """Have what was made of texts written to the store."""
        self.bodies.flush()
        self.files.keep()

    def seen(self) -> set[str]:
        """Paths of the files that have been read so far."""
        return self._others.files | self._files.keys()

    def counts(self) -> tuple[int, int]:
        """How many functions have been executed or looked into so far, and in how many a parse error stands."""
        made = self.record().bodies
        return len(made), sum(made.values())

    def looked_into(self) -> set[str]:
        """Paths of the files of which a function has been executed or looked into."""
        return {key.partition("#")[0] for key in self.record().bodies}

    def text(self, path: str) -> bytes:
        """Bytes of a file; empty, and listed in ``skipped``, if it cannot be read. Arms that are not compiled are blank."""
        return self.file(path).text

    def original(self, path: str) -> bytes:
        """The bytes of a file with all its arms, to quote and to change."""
        self.file(path)
        return self.files.original(path)

    def line_text(self, path: str, line: int) -> str:
        """The source line, without surrounding blanks; empty where there is none."""
        lines = self._lines(path)
        return lines[line - 1].decode("utf-8", "replace").strip() if 0 < line <= len(lines) else ""

    def _lines(self, path: str) -> list[bytes]:
        got = self._line_cache.get(path)
        if got is None:
            got = self._line_cache[path] = self.original(path).split(b"\n")
        return got

    @cached_property
    def _line_cache(self) -> dict[str, list[bytes]]:
        return {}

    # --- bodies ---------------------------------------------------------------------------------

    def body(self, func: Func) -> facts.Body | None:
        """The control-flow graph of a function, or None if there is nothing to make it from."""
        if func.key in self._bodies:
            return self._bodies[func.key]
        got = self._bodies[func.key] = self._make_body(func)
        if got is not None and got.cut:
            self.skipped.setdefault(func.path, f"{func.name} is too large or too deep: read in part")
        return got

    def _make_body(self, func: Func) -> facts.Body | None:
        original = func.text
        if func.macro is not None:
            params = ", ".join("..." if p.endswith("...") else p for p in func.macro.parameters or ())
            # ``fn##_nb`` is one word, whatever fn is; what it names depends on who uses the macro.
            text = PASTE.sub(f"{PASTED}\\1\\2", func.macro.body).replace("##", "")
            keyword = "" if STATEMENT.match(text) else "return "
            original = f"long {func.name}({params}) {{ {keyword}{text} ; }}\n".encode()
        if not original:
            return None
        key = body_key(original)
        kept = self.bodies.get(key)
        if kept is not None:
            return kept
        if self._parser is None:
            self._parser = parser()
        got = made(original, self.dialect, self._parser)
        if got is not None:
            self.bodies.put(key, got)
            self.parsed.add(func.path)
        return got

    # --- linkage --------------------------------------------------------------------------------

    def unit(self, path: str) -> tuple[str, ...]:
        """Files that share the statics of ``path``, itself first (see :meth:`reviewer.program.index.units.Units.of`)."""
        return self.units.of(path)

    def functions(self, path: str, name: str) -> tuple[Func, ...]:
        """Definitions of ``name`` in ``path``, alternatives under ``#if`` each, in the order of the file."""
        key = (path, name)
        got = self._functions.get(key)
        if got is None:
            file = self.file(path)
            got = self._functions[key] = tuple(
                Func(f"{path}#{name}@{i}", path, name, (file, piece)) for i, piece in enumerate(file.functions(name))
            )
        return got

    def _func(self, path: str, piece: Piece) -> Func:
        return next(f for f in self.functions(path, piece.name) if f.source is not None and f.source[1] is piece)

    def functions_in(self, path: str) -> Iterator[Func]:
        """Every function that ``path`` defines, in the order of the file."""
        self._functions.setdefault((path, ALL), ())
        return (self._func(path, piece) for piece in self.file(path).all_functions())

    def functions_at(self, path: str, offsets: Sequence[int]) -> Iterator[Func]:
        """Functions of ``path`` whose text covers one of these byte offsets."""
        pieces = (self.file(path).skim.piece_at(o) for o in offsets)
        for piece in dict.fromkeys(pieces):
            if piece is not None and piece.name:
                yield self._func(path, piece)

    def functions_with(self, path: str, word: str, *more: str) -> Iterator[Func]:
        """Functions of ``path`` in whose body all these words stand (called, read, written), in the order of the file."""
        return (self._func(path, piece) for piece in self.file(path).functions_with(word, *more))

    def resolve(self, name: str, path: str) -> tuple[Func, ...]:
        """What a call of ``name`` in ``path`` means: the definitions that the linker could choose.

        A static of the same unit wins; then a macro of the unit; then the definitions elsewhere, an architecture's own
        only for its own folder or for generic code, a real body rather than a configuration's stub.
        """
        got = self._resolved.get((name, path))
        if got is None:
            self._resolved[name, path] = ()  # a circle of macros leads nowhere
            got = self._resolved[name, path] = self._resolve(name, path)
        return got

    def _only_in(self, path: str, name: str) -> bool:
        """Whether no other file defines a function or macro of this name."""
        return self.names.files_defining(name) == (path,) and not self.names.files_defining_macro(name)

    def _sole(self, name: str) -> tuple[Func, ...]:
        """The definitions of a name that only one source of the tree has, for all to call; none if anything else may be meant."""
        got = self._soles.get(name)
        if got is None:
            files = self.names.files_defining(name)
            alone = len(files) == 1 and files[0].endswith(".c") and not self.names.files_defining_macro(name)
            found = self.functions(files[0], name) if alone else ()
            got = self._soles[name] = real_bodies(found) if not any(f.static for f in found) else ()
        return got

    def _resolve(self, name: str, path: str) -> tuple[Func, ...]:
        if not self.functions(path, name):  # a file's own names need no look into the index
            sole = self._sole(name)
            if sole and reachable(sole[0].path, path):
                return sole
        unit = self.units.with_name(path, name)
        for file in (path, *unit):
            own = self.functions(file, name)
            if own and (file.endswith(".c") or not all(map(self._may_be_stub, own)) or self._only_in(file, name)):
                return real_bodies(own)
        macro = self.macro_function(name, path, (path, *unit))
        if macro is not None:
            return (macro,)
        files = [f for f in self.names.files_defining(name) if reachable(f, path)]
        files = by_distance(files, path)[:MAX_CANDIDATES]
        self.load(files)
        found = [f for p in files for f in self.functions(p, name) if p.endswith(".h") or not f.static]
        if found:
            outside = [f for f in found if f.path.endswith(".c")]
            if outside or any(f.calls for f in found):
                best = outside or found
                nearest = min(distance(f.path, path) for f in best)
                return real_bodies(tuple(f for f in best if distance(f.path, path) == nearest))
        stubs = tuple(found)  # nothing but configuration's stubs: a macro elsewhere may be the real thing
        files = closest([f for f in self.names.files_defining_macro(name) if reachable(f, path)], path)
        macro = self.macro_function(name, path, files)
        return (macro,) if macro is not None else stubs or self._renamed(name, path)

    def _may_be_stub(self, func: Func) -> bool:
        """Whether it may stand, in some configuration, for what a source defines: an inline under ``#if`` that calls nothing, or
        nothing but what has no effect (``return ERR_PTR(-ENOTSUPP);``)."""
        if func.source is None or not func.condition:
            return False
        models = (self.models.functions.get(name) for name in func.calls)
        return all(m is not None and m.passes for m in models)

    def _renamed(self, name: str, path: str) -> tuple[Func, ...]:
        """What a macro without parameters gives another name (``#define hold take``)."""
        found = self._worded(name, path)
        macro = found[1] if found is not None else None
        if macro is None or macro.parameters is not None or not WORD.fullmatch(macro.body.strip()):
            return ()
        return self.resolve(macro.body.strip(), path)

    def macro_function(self, name: str, path: str, files: Sequence[str]) -> Func | None:
        """The function-like macro with a body, in the first of ``files`` that has one."""
        for file in files:
            for macro in self.file(file).macros(name):
                if macro.parameters is not None and macro.body.strip():
                    return Func(f"{file}#{name}@{macro.line}", file, name, None, macro)
        return None

    def macros_with(self, path: str, word: str) -> Iterator[Func]:
        """Function-like macros of ``path`` in whose body the word stands."""
        for macro in self.file(path).macros_with(word):
            if macro.parameters is not None:
                yield Func(f"{path}#{macro.name}@{macro.line}", path, macro.name, None, macro)

    def macro(self, name: str, path: str) -> facts.Macro | None:
        """The object- or function-like macro that ``name`` is in ``path``, or None."""
        got = self.macro_at(name, path)
        return got[1] if got is not None else None

    def macro_at(self, name: str, path: str) -> tuple[str, facts.Macro] | None:
        """The same with the file that defines it."""
        key = (name, path)
        if key not in self._macros:
            self._macros[key] = self._macro(name, path)
        return self._macros[key]

    def _macro(self, name: str, path: str) -> tuple[str, facts.Macro] | None:
        found = self._worded(name, path)
        if found is not None:
            return found
        # The index leaves out macros that are mere numbers; what the file includes has them.
        seen = self.units.visible(path)
        for file in sorted(self.units.headers_with_number(name), key=lambda f: seen.get(f, 0)):
            if file in seen:
                for macro in self.file(file).macros(name):
                    return file, macro
        return None

    def _worded(self, name: str, path: str) -> tuple[str, facts.Macro] | None:
        """A macro that is no mere number, or one of the unit's own."""
        for file in (path, *self.units.with_name(path, name)):
            for macro in self.file(file).macros(name):
                return file, macro
        for file in closest([f for f in self.names.files_defining_macro(name) if reachable(f, path)], path):
            for macro in self.file(file).macros(name):
                return file, macro
        return None

    def struct(self, name: str, path: str) -> facts.StructDef | None:
        """The definition that ``struct T`` has in ``path``, or None."""
        got = self.struct_at(name, path)
        return got[1] if got is not None else None

    def struct_at(self, name: str, path: str) -> tuple[str, facts.StructDef] | None:
        """The same with the file that defines it."""
        key = (name, path)
        if key not in self._structs:
            self._structs[key] = self._struct(name, path)
        return self._structs[key]

    def struct_home(self, name: str, path: str) -> str:
        """The folder in which ``struct T``, as ``path`` knows it, is at home; "" for the whole tree.

        A struct of a subsystem's own headers is meant in that subsystem only, three folders deep: others may have one
        of the same name.
        """
        found = self.struct_at(name, path if self.content.exists(path) else "")  # a folder may ask, by a made-up file
        if found is not None and not f"/{found[0]}".count("/include/") and found[0].count("/") >= 2:
            return subsystem(found[0])
        return ""

    def same_struct(self, name: str, one: str, other: str) -> bool:
        """Whether ``struct T`` is the same one in both files, as far as that can be told: two drivers of one vendor name theirs
        alike."""
        here, there = self.struct_at(name, one), self.struct_at(name, other)
        return here is None or there is None or here[0] == there[0]

    def same_class(self, name: str, one: str, other: str) -> bool:
        """Whether a class of objects, where it is the member of a struct, is the same one in both files."""
        struct, dot, _ = name.lstrip("*").partition(".")
        return one == other or not dot or not struct.startswith(("struct ", "union ")) or self.same_struct(struct, one, other)

    def files_naming(self, name: str, path: str) -> tuple[str, ...]:
        """Files in which the tag of ``struct T``, as ``path`` knows it, stands as a word."""
        tag, _, home = name.partition("@")
        word = tag.split(" ", 1)[-1]
        if home:
            return (home,)
        under = self.struct_home(tag, path)
        return self.names.files_mentioning([word], (under,) if under else ()).get(word, ())

    def files_initialising(self, name: str, path: str) -> tuple[str, ...]:
        """Files with an initialised object of ``struct T``, as ``path`` knows it."""
        tag, _, home = name.partition("@")
        if home:
            return (home,)
        own = self.names.files_initialising(tag.split(" ", 1)[-1])
        around = (f for outer in self._embedding(tag, path) for f in self.names.files_initialising(outer.split(" ", 1)[-1]))
        return self._within(tuple(sorted({*own, *around})), self.struct_home(tag, path))

    def _embedding(self, tag: str, path: str) -> tuple[str, ...]:
        """Structs of the same file that have a ``struct T`` inside: a table that is part of an object is filled with that."""
        found = self.struct_at(tag, path if self.content.exists(path) else "")  # a folder may ask, by a made-up file
        where = found[0] if found is not None else ""
        got = self._embeds.get((tag, where))
        if got is None:
            structs = self.file(where).structs(tag.split(" ", 1)[-1]) if where else ()
            others = (s for s in structs if s.name != tag and "<anon:" not in s.name)
            inside = (s.name for s in others if any(f.type.name == tag and not f.type.pointer for f in s.fields))
            got = self._embeds[tag, where] = tuple(dict.fromkeys(inside))
        return got

    def files_assigning(self, name: str, member: str, path: str) -> tuple[str, ...]:
        """Files that assign what may be a function to a member of that name, where ``struct T`` is known."""
        tag, _, home = name.partition("@")
        if home:
            return (home,)
        return self._within(self.names.files_assigning(member), self.struct_home(tag, path))

    @staticmethod
    def _within(files: tuple[str, ...], folder: str) -> tuple[str, ...]:
        return tuple(f for f in files if f.startswith(folder + "/")) if folder else files

    def kept_by_file(
        self, kind: str, key: str, files: Sequence[str], words: Sequence[str],
        find: Callable[[Sequence[str]], Iterable[tuple[str, str]]],
    ) -> list[tuple[str, str]]:  # fmt: skip
        """What ``find`` says of ``files``, as (file, word) sorted by file; kept in the store, so that files need not be read.

        :param words: what it looks for in a file: if these do not change there, nor does what it says of that file.
        """
        self._rested.update((file, word.partition("@")[0].split(" ", 1)[-1]) for file in files for word in words)
        return self.names.kept_by_file(kind, key, files, find)

    def files_beside(self, func: Func) -> list[str]:
        """Other files of a function's folder, not of its unit, in which its name stands; none if only its unit can name it."""
        folder = posixpath.dirname(func.path)
        if func.static or not folder:
            return []
        unit = self.unit(func.path)
        near = self.names.files_mentioning([func.name], (folder,)).get(func.name, ())
        return [f for f in near if posixpath.dirname(f) == folder and f not in unit]

    def files_calling(self, funcs: Iterable[Func]) -> dict[str, tuple[str, ...]]:
        """For each function's name the files that may call it or take its address: those that have the word.

        A driver's function that no header of ``include/`` declares is looked for in the driver's own folder, three
        deep; the rest of the tree is searched once for all the others.
        """
        inner: dict[str, str] = {}
        anywhere: list[str] = []
        for func in funcs:
            folder = subsystem(func.path)
            if folder.count("/") and folder.split("/", 1)[0] in DRIVERS:
                inner[func.name] = folder
            else:
                anywhere.append(func.name)
        found: dict[str, tuple[str, ...]] = {}
        public = self.names.files_mentioning(inner, ("include",)) if inner else {}
        anywhere += [name for name, files in public.items() if files]
        private: dict[str, list[str]] = {}
        for name, files in public.items():
            if not files:
                private.setdefault(inner[name], []).append(name)
        for folder, names in private.items():
            found.update(self.names.files_mentioning(names, (folder,)))
        found.update(self.names.files_mentioning(anywhere))
        return found

    def _struct(self, name: str, path: str) -> tuple[str, facts.StructDef] | None:
        name, _, home = name.partition("@")
        if home:
            path = home
        own = self.file(path).struct(name)
        if own is not None:
            return path, own
        files = [f for f in self.names.files_defining_struct(name) if reachable(f, path)]
        if len(files) > 1:  # what the file includes; of others, as far as includes are followed, the nearest
            included = self.units.visible(path)
            files = sorted((f for f in files if f in included), key=lambda f: included[f]) or closest(files, path)
        for file in files:
            found = self.file(file).struct(name)
            if found is not None:
                return file, found
        return None

    def typedef(self, name: str, path: str) -> facts.CType | None:
        """What a typedef's name stands for in ``path``, or None."""
        key = (name, posixpath.dirname(path))
        if key not in self._typedefs:
            files = [f for f in self.names.files_defining(name) if reachable(f, path)]
            self._typedefs[key] = next(
                (t for f in (*self.unit(path), *closest(files, path)) if (t := self.file(f).typedef(name)) is not None), None
            )
        return self._typedefs[key]

    def variable(self, name: str, path: str) -> tuple[str, facts.Variable] | None:
        """The file-scope variable that ``name`` is in ``path``, with the file that defines it."""
        key = (name, path)
        if key not in self._variables:
            found = self._variable(name, path)
            self._variables[key] = (found[0], self.filled(*found)) if found is not None else None
        return self._variables[key]

    def _variable(self, name: str, path: str) -> tuple[str, facts.Variable] | None:
        declared = None
        for file in self.unit(path):
            found = self._declared(name, file)
            if found is not None:
                if not found.extern:
                    return file, found
                declared = (file, found)
        for file in by_distance([f for f in self.names.files_defining(name) if reachable(f, path)], path):
            found = self.file(file).variable(name)
            if found is not None and not found.static:
                if not found.extern:
                    return file, found
                declared = declared or (file, found)
        return self._generated(name, path) or declared

    def _declared(self, name: str, file: str) -> facts.Variable | None:
        """The variable as the file declares it; a macro that declares it knows better than a guess by its name."""
        found = self.file(file).variable(name)
        return self.generated(file).get(name, found) if found is not None and found.type.name == "?" else found

    def _generated(self, name: str, path: str) -> tuple[str, facts.Variable] | None:
        """A variable that a macro use in the unit makes."""
        for file in self.unit(path):
            words = self._given.get(file)
            if words is None:
                words = self._given[file] = given(self.file(file))
            found = self.generated(file).get(name) if may_make(words, name) else None
            if found is not None:
                return file, found
        return None

    def generated(self, path: str) -> dict[str, facts.Variable]:
        """The variables that macro uses in the file make, by name."""
        got = self._made.get(path)
        if got is None:
            self._made[path] = {}
            got = self._made[path] = variables(self, path)
        return got

    def filled(self, path: str, variable: facts.Variable) -> facts.Variable:
        """A variable that ``path`` declares, with its initialiser as macros in there fill it."""
        if not isinstance(variable.value, facts.Items):
            return variable
        key = (path, variable.name, variable.line)
        got = self._filled.get(key)
        if got is None:
            got = self._filled[key] = filled(self, path, variable)
        return got

    def filled_with(self, path: str, tag: str) -> Iterator[facts.Variable]:
        """Variables of ``path`` that have a word in their declaration and get a part of their initialiser from a macro."""
        for v in self.file(path).variables(tag):
            got = self.filled(path, v)
            if got is not v:
                yield got

    def makers(self, struct: str, path: str) -> tuple[str, ...]:
        """Macros beside the definition of ``struct T``, as ``path`` knows it, that make objects of it."""
        found = self.struct_at(struct, path if self.content.exists(path) else "")
        if found is None:
            return ()
        key = (found[0], struct)
        got = self._makers.get(key)
        if got is None:
            got = self._makers[key] = makers(self, found[0], struct.partition("@")[0].rpartition(" ")[2])
        return got

    @cached_property
    def selecting_macros(self) -> frozenset[str]:
        """Macros of the headers that everybody includes which choose a function by the type of an argument. To search the whole
        tree for the few others would cost a scan without an index as much as all else that it looks for."""
        files = self.names.files_mentioning([generics.WORD], ("include",))[generics.WORD]

        def find(some: Sequence[str]) -> Iterator[tuple[str, str]]:
            yield from ((file, name) for file in some for name in generics.defined_in(self.text(file)))

        return frozenset(name for _, name in self.kept_by_file("selecting", generics.WORD, files, (generics.WORD,), find))

    def own_variable(self, name: str, path: str) -> tuple[str, facts.Variable] | None:
        """The variable that ``name`` is in the unit of ``path``; nothing outside the unit is read."""
        key = (name, path)
        if key not in self._own:
            self._own[key] = None
            for file in self.unit(path):
                found = self._declared(name, file)
                if found is not None and not found.extern:
                    self._own[key] = (file, found)
                    break
            else:
                self._own[key] = self._generated(name, path)
        return self._own[key]

    def constant(self, name: str, path: str) -> int | None:
        """The value of a macro or enumerator in ``path``, or None if it is not a constant that can be told."""
        return self.constants.constant(name, path)

    def enumerator(self, name: str, path: str) -> int | None:
        """The value of an enumerator that ``path`` sees, or None; None, too, where it differs by configuration."""
        return self.constants.enumerator(name, path)

    def return_type(self, name: str, path: str) -> facts.CType | None:
        """What a function that is only declared returns."""
        for file in self.unit(path):
            found = self.file(file).prototype(name)
            if found is not None:
                return found.type
        return None

    # --- masks ----------------------------------------------------------------------------------

    @cached_property
    def gfp(self) -> GfpFlags:
        """The allocation flags of this tree, from its own headers."""
        home = next((p for p in GFP_HEADERS if self.content.exists(p)), "")
        return GfpFlags(FileMacros(self, home))

    @cached_property
    def runners(self) -> dict[str, tuple[str, ...]]:
        """The modelled functions that run what stands in a table of the caller's folder, by ``struct T.field``."""
        found: dict[str, tuple[str, ...]] = {}
        said = [(name, model.invokes) for name, model in self.models.functions.items()]
        for name, every in (*said, *self.models.comes_back.items()):
            for invokes in every:
                if invokes.table and invokes.bound == "directory":
                    found[invokes.table] = (*found.get(invokes.table, ()), name)
        return found

    @cached_property
    def scope_words(self) -> dict[facts.Expr, dict[str, list[str]]]:
        """The words, as canonical lvalues, of which a bit stands for a memalloc scope (``current->flags``)."""
        found: dict[facts.Expr, dict[str, list[str]]] = {}
        for word, bits in self.models.word_scopes.items():
            pointer, _, name = word.partition("->")
            found[facts.Member(facts.Name(f"::{pointer}"), name, True)] = bits
        return found

    def gfp_value(self, text: str) -> int | None:
        """The mask of an expression such as ``GFP_KERNEL | __GFP_NORETRY`` in this tree."""
        if text not in self._masks:
            self._masks[text] = self._gfp_value(text)
        return self._masks[text]

    def _gfp_value(self, text: str) -> int | None:
        mask = 0
        for word in text.split("|"):
            value = self.gfp.value(word.strip())
            if value is None:
                return None
            mask |= value
        return mask

    # --- frames and tables ------------------------------------------------------------------------

    def frame(self, func: Func) -> Frame:
        got = self._frames.get(func.key)
        if got is None:
            from reviewer.program.linked.structs import Frame

            got = self._frames[func.key] = Frame(self, func)
        return got

    def initialised_with(self, path: str, word: str) -> Iterator[facts.Variable]:
        """File-scope variables of ``path`` in whose declaration or initialiser the word stands."""
        yield from (self.filled(path, v) for v in self.file(path).variables(word) if v.value is not None)
        yield from (v for v in self.generated(path).values() if v.value is not None)

    def table_entry(self, path: str, table: facts.Variable, struct: str, field: str) -> Iterator[str]:
        """Functions that a variable's initialiser, or a table that it points to, puts into ``struct T.field``."""
        if not isinstance(table.value, facts.Items):
            return
        for designator, value in table.value.items:
            if designator == f".{field}" and table.type.name == struct and isinstance(value, facts.Name):
                yield value.id
            pointed = value.base if isinstance(value, facts.AddressOf) else value
            if isinstance(pointed, facts.Name):
                pointed = facts.Name(self.meant(pointed.id, path))
            if isinstance(pointed, facts.Name) and table.type.name != struct:
                inner = self.variable(pointed.id, path)
                if inner is not None and inner[1].type.name == struct:
                    yield from self.table_entry(inner[0], inner[1], struct, field)

    def meant(self, name: str, path: str) -> str:
        """The object that an object-like macro such as ``PCI_PM_OPS_PTR`` stands for; ``name`` itself otherwise."""
        for file in self.unit(path):
            for macro in self.file(file).macros(name):
                m = OBJECT.fullmatch(macro.body)
                if macro.parameters is None and m is not None and m[1] != "NULL":
                    return m[1]
        return name

    # --- models ---------------------------------------------------------------------------------

    def model(self, name: str) -> Model | None:
        """What the API models say of a function of this name, aliases followed."""
        if name not in self._models:
            got = self.models.functions.get(self.models.meant(name))
            if got is None:
                got = next((m for prefix, m in self.models.patterns if name.startswith(prefix)), None)
            seen = set()
            while got is not None and got.alias and got.alias not in seen:
                seen.add(got.alias)
                got = self.models.functions.get(got.alias)
            self._models[name] = got
        return self._models[name]


STATEMENT = re.compile(r"\s*(?:(?:do|if|for|while|switch|goto|return|static|struct|typeof|__typeof__)\b|\{|asm)|.*;\s*$", re.S)
"""A macro body that stands for statements; any other is an expression, and so the value of the macro."""

OBJECT = re.compile(r"[\s(&]*([A-Za-z_]\w*)[\s)]*")
"""A macro body that names one object or its address."""


def runs_at_boot(func: Func) -> bool:
    """Whether a function is thrown away after boot or load, by its header."""
    if func.source is None:
        return False
    file, piece = func.source
    return re.search(rb"\b__(?:init|exit)\b", file.skim.code_of(piece)[: piece.brace - piece.start]) is not None


def real_bodies(funcs: tuple[Func, ...]) -> tuple[Func, ...]:
    """Of alternatives under ``#if``, those with something in them; all, if none has."""
    if len(funcs) < 2:
        return funcs
    real = tuple(f for f in funcs if f.calls)
    return (real or funcs)[:MAX_CANDIDATES]
