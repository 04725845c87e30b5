"""Facts of one revision, linked on demand: from a name in a file to what it means there.

Nothing is linked ahead of a question. Outlines are read when a name leads to their file, bodies when a path
through the program needs them.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Protocol

import tree_sitter
import tree_sitter_c

from reviewer.errors import MissingContent
from reviewer.parse import cfg, facts
from reviewer.parse.constexpr import evaluate
from reviewer.parse.dialect import Dialect
from reviewer.parse.normalise import normalise
from reviewer.program.gfp import GfpFlags
from reviewer.program.models import ApiModels
from reviewer.program.models import Function as Model

if TYPE_CHECKING:
    from reviewer.program.structs import Frame

GFP_HEADERS = ("include/linux/gfp_types.h", "include/linux/gfp.h")
"""Where the allocation flags are defined: the first since 6.0, the second before."""

MAX_CANDIDATES = 8
"""Definitions of one name that a call may mean; beyond it the call is left unresolved."""

ASIDE = ("tools", "scripts", "samples", "Documentation", "usr")
"""Folders whose programs are not linked with the kernel's: names do not cross their border."""


class Content(Protocol):
    """What linking needs of a :class:`reviewer.source.tree.Tree`."""

    def read(self, path: str) -> bytes: ...
    def blob(self, path: str) -> str: ...
    def exists(self, path: str) -> bool: ...


class Names(Protocol):
    """What linking needs of :class:`reviewer.program.scope.Definitions`."""

    def files_defining(self, name: str) -> tuple[str, ...]: ...
    def files_defining_struct(self, name: str) -> tuple[str, ...]: ...
    def files_defining_macro(self, name: str) -> tuple[str, ...]: ...
    def files_mentioning(
        self, names: Iterable[str], under: Sequence[str] = ()
    ) -> dict[str, tuple[str, ...]]: ...


class Outlines(Protocol):
    """Outlines by path, from the store or from the parser."""

    def __call__(self, paths: Sequence[str]) -> Iterator[tuple[str, facts.FileFacts]]: ...


class Bodies(Protocol):
    """Bodies by the digest of their function's text; None where there is none yet."""

    def get(self, key: str) -> facts.Body | None: ...
    def put(self, key: str, body: facts.Body) -> None: ...
    def flush(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Func:
    """A function definition at its place, or a function-like macro that stands for one.

    ``key`` is unique in its program: path, name and number.
    """

    key: str
    path: str
    name: str
    definition: facts.Function | None
    macro: facts.Macro | None = None

    @property
    def parameters(self) -> tuple[facts.Variable, ...]:
        if self.definition is not None:
            return self.definition.parameters
        assert self.macro is not None
        return tuple(facts.Variable(p, facts.CType("?")) for p in self.macro.parameters or ())

    @property
    def calls(self) -> tuple[str, ...]:
        """Distinct names that the function calls; none are known of a macro."""
        return self.definition.calls if self.definition is not None else ()

    @property
    def line(self) -> int:
        """1-based line on which row 0 of the body stands."""
        if self.definition is not None:
            return self.definition.line
        assert self.macro is not None
        return self.macro.line

    @property
    def static(self) -> bool:
        return self.definition is None or self.definition.static

    def line_of(self, at: int) -> int:
        """1-based line in the file of a position in the body."""
        return self.line if self.macro is not None else self.line + facts.row_of(at)


class Program:
    """One revision. Everything is memoised; nothing is ever changed once asked.

    :ivar skipped: files that could not be read or parsed, with the reason.
    """

    def __init__(
        self, content: Content, names: Names, outlines: Outlines, bodies: Bodies, models: ApiModels, dialect: Dialect
    ) -> None:
        self.content = content
        self.names = names
        self.outlines = outlines
        self.bodies = bodies
        self.models = models
        self.dialect = dialect
        self.skipped: dict[str, str] = {}
        self._facts: dict[str, facts.FileFacts] = {}
        self._index: dict[str, FileIndex] = {}
        self._bodies: dict[str, facts.Body | None] = {}
        self._text: dict[str, bytes] = {}
        self._resolved: dict[tuple[str, str], tuple[Func, ...]] = {}
        self._constants: dict[tuple[str, str], int | None] = {}
        self._structs: dict[tuple[str, str], tuple[str, facts.StructDef] | None] = {}
        self._variables: dict[tuple[str, str], tuple[str, facts.Variable] | None] = {}
        self._units: dict[str, tuple[str, ...]] = {}
        self._macros: dict[tuple[str, str], tuple[str, facts.Macro] | None] = {}
        self._models: dict[str, Model | None] = {}
        self._frames: dict[str, Frame] = {}
        self._seen_typedefs: dict[str, facts.CType] = {}
        self._seen_enumerators: dict[str, int] = {}
        self._seen_returns: dict[str, facts.CType] = {}
        self._parser: tree_sitter.Parser | None = None

    # --- files ----------------------------------------------------------------------------------

    def load(self, paths: Iterable[str]) -> None:
        """Bring the outlines of ``paths`` in, together: cheaper than one by one."""
        missing = [p for p in dict.fromkeys(paths) if p and p not in self._facts]
        if not missing:
            return
        for path, got in self.outlines(missing):
            self._facts[path] = got
        for path in missing:
            self._facts.setdefault(path, EMPTY)
            index = self.index(path)
            for name, type_ in index.typedefs.items():
                self._seen_typedefs.setdefault(name, type_)
            for name, number in index.enumerators.items():
                self._seen_enumerators.setdefault(name, number)
            for name, prototype in index.prototypes.items():
                self._seen_returns.setdefault(name, prototype.type)

    def outline(self, path: str) -> facts.FileFacts:
        got = self._facts.get(path)
        if got is None:
            self.load([path])
            got = self._facts.get(path, EMPTY)
        return got

    def index(self, path: str) -> FileIndex:
        """Look-up tables of one file's outline, with what its file-scope macro uses expand to."""
        got = self._index.get(path)
        if got is None:
            got = self._index[path] = FileIndex(path, self.outline(path))
        return got

    def loaded(self) -> list[str]:
        """Paths whose outline has been read so far."""
        return [p for p, f in self._facts.items() if f is not EMPTY]

    def text(self, path: str) -> bytes:
        """Bytes of a file; empty, and listed in ``skipped``, if it cannot be read."""
        got = self._text.get(path)
        if got is None:
            try:
                got = self.content.read(path)
            except MissingContent as e:
                self.skipped[path] = e.what
                got = b""
            self._text[path] = got
        return got

    def line_text(self, path: str, line: int) -> str:
        """The source line, without surrounding blanks; empty where there is none."""
        lines = self._lines(path)
        return lines[line - 1].decode("utf-8", "replace").strip() if 0 < line <= len(lines) else ""

    def _lines(self, path: str) -> list[bytes]:
        got = self._line_cache.get(path)
        if got is None:
            got = self._line_cache[path] = self.text(path).split(b"\n")
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
        return got

    def _make_body(self, func: Func) -> facts.Body | None:
        if func.definition is not None:
            original = self.text(func.path)[func.definition.start : func.definition.end]
        else:
            assert func.macro is not None
            params = ", ".join("..." if p.endswith("...") else p for p in func.macro.parameters or ())
            text = func.macro.body
            keyword = "" if STATEMENT.match(text) else "return "
            original = f"long {func.name}({params}) {{ {keyword}{text} ; }}\n".encode()
        if not original:
            return None
        key = hashlib.blake2b(original, digest_size=16).hexdigest()
        kept = self.bodies.get(key)
        if kept is not None:
            return kept
        if self._parser is None:
            self._parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language()))
        root = self._parser.parse(normalise(original, self.dialect)).root_node
        node = find_definition(root)
        if node is None:
            return None
        got = cfg.body(node, original)
        self.bodies.put(key, got)
        return got

    # --- linkage --------------------------------------------------------------------------------

    def unit(self, path: str) -> tuple[str, ...]:
        """Files that share the statics of ``path``: what it includes by ``"..."``, and who so includes it.

        A header that several sources include belongs to the first of them in the same folder.
        """
        got = self._units.get(path)
        if got is None:
            root = path
            if path.endswith(".h") and "/include/" not in f"/{path}":
                root = self._includer(path) or path
            got = self._units[path] = tuple(dict.fromkeys([path, root, *self._included(root)]))
        return got

    def _includer(self, path: str) -> str | None:
        """The ``.c`` file of the same folder that includes this header and is meant to: by a quoted include."""
        folder, base = posixpath.split(path)
        for user in self.names.files_mentioning([base], (folder,)).get(base, ()):
            if user.endswith(".c") and posixpath.dirname(user) == folder:
                for include in self.outline(user).includes:
                    if not include.system and posixpath.normpath(posixpath.join(folder, include.path)) == path:
                        return user
        return None

    def _included(self, path: str, depth: int = 3) -> list[str]:
        found: list[str] = []
        folder = posixpath.dirname(path)
        for include in self.outline(path).includes:
            if include.system:
                continue
            target = posixpath.normpath(posixpath.join(folder, include.path))
            if target != path and target not in found and self.content.exists(target):
                found.append(target)
                if depth > 1:
                    found.extend(t for t in self._included(target, depth - 1) if t not in found)
        return found

    def functions(self, path: str, name: str) -> tuple[Func, ...]:
        """Definitions of ``name`` in ``path``, alternatives under ``#if`` each, in the order of the file."""
        return self.index(path).functions.get(name, ())

    def functions_in(self, path: str) -> Iterator[Func]:
        """Every function that ``path`` defines, in the order of the file."""
        for definition in self.outline(path).functions:
            for func in self.functions(path, definition.name):
                if func.definition is definition:
                    yield func

    def functions_at(self, path: str, offsets: Sequence[int]) -> Iterator[Func]:
        """Functions of ``path`` whose text covers one of these byte offsets."""
        for func in self.functions_in(path):
            definition = func.definition
            if definition is not None and any(definition.start <= o < definition.end for o in offsets):
                yield func

    def functions_with(self, path: str, word: str, *more: str) -> Iterator[Func]:
        """Functions of ``path`` in whose body all these words stand (called, read, written), in the order of the file."""
        words = (word, *more)
        for func in self.functions_in(path):
            definition = func.definition
            if definition is not None and all(w in definition.mentions or w in definition.calls for w in words):
                yield func

    def resolve(self, name: str, path: str) -> tuple[Func, ...]:
        """What a call of ``name`` in ``path`` means: the definitions that the linker could choose.

        A static of the same unit wins; then a macro of the unit; then the definitions elsewhere, an architecture's own
        only for its own folder or for generic code, a real body rather than a configuration's stub.
        """
        got = self._resolved.get((name, path))
        if got is None:
            got = self._resolved[name, path] = self._resolve(name, path)
        return got

    def _resolve(self, name: str, path: str) -> tuple[Func, ...]:
        own = self.functions(path, name)
        if own:
            return real_bodies(own)
        for other in self.unit(path)[1:]:
            own = self.functions(other, name)
            if own:
                return real_bodies(own)
        macro = self.macro_function(name, path, self.unit(path))
        if macro is not None:
            return (macro,)
        files = [f for f in self.names.files_defining(name) if reachable(f, path)]
        files = by_distance(files, path)[:MAX_CANDIDATES]
        self.load(files)
        found = [f for p in files for f in self.functions(p, name) if not f.static or p.endswith(".h")]
        if found:
            outside = [f for f in found if f.path.endswith(".c")]
            if outside or any(f.definition is not None and f.definition.calls for f in found):
                best = outside or found
                nearest = min(distance(f.path, path) for f in best)
                return real_bodies(tuple(f for f in best if distance(f.path, path) == nearest))
        stubs = tuple(found)  # nothing but configuration's stubs: a macro elsewhere may be the real thing
        files = closest([f for f in self.names.files_defining_macro(name) if reachable(f, path)], path)
        macro = self.macro_function(name, path, files)
        return (macro,) if macro is not None else stubs

    def macro_function(self, name: str, path: str, files: Sequence[str]) -> Func | None:
        self.load(files)
        for file in files:
            found = self.index(file).macros.get(name)
            for macro in found or ():
                if macro.parameters is not None and macro.body.strip():
                    return Func(f"{file}#{name}@{macro.line}", file, name, None, macro)
        return None

    def macro(self, name: str, path: str) -> facts.Macro | None:
        """The object- or function-like macro that ``name`` is in ``path``, or None."""
        key = (name, posixpath.dirname(path))
        if key not in self._macros:
            self._macros[key] = self._macro(name, path)
        got = self._macros[key]
        return got[1] if got is not None else None

    def _macro(self, name: str, path: str) -> tuple[str, facts.Macro] | None:
        for file in self.unit(path):
            for macro in self.index(file).macros.get(name, ()):
                return file, macro
        for file in closest([f for f in self.names.files_defining_macro(name) if reachable(f, path)], path):
            for macro in self.index(file).macros.get(name, ()):
                return file, macro
        return None

    def struct(self, name: str, path: str) -> facts.StructDef | None:
        """The definition that ``struct T`` has in ``path``, or None."""
        got = self.struct_at(name, path)
        return got[1] if got is not None else None

    def struct_at(self, name: str, path: str) -> tuple[str, facts.StructDef] | None:
        key = (name, path)
        if key not in self._structs:
            self._structs[key] = self._struct(name, path)
        return self._structs[key]

    def _struct(self, name: str, path: str) -> tuple[str, facts.StructDef] | None:
        name, _, home = name.partition("@")
        if home:
            path = home
        own = self.index(path).structs.get(name)
        if own is not None:
            return path, own
        files = self.names.files_defining_struct(name)
        for file in closest([f for f in files if reachable(f, path)], path):
            found = self.index(file).structs.get(name)
            if found is not None:
                return file, found
        return None

    def typedef(self, name: str, path: str) -> facts.CType | None:
        for file in self.unit(path):
            found = self.index(file).typedefs.get(name)
            if found is not None:
                return found
        return self._seen_typedefs.get(name)

    def variable(self, name: str, path: str) -> tuple[str, facts.Variable] | None:
        """The file-scope variable that ``name`` is in ``path``, with the file that defines it."""
        key = (name, path)
        if key not in self._variables:
            self._variables[key] = self._variable(name, path)
        return self._variables[key]

    def _variable(self, name: str, path: str) -> tuple[str, facts.Variable] | None:
        declared = None
        for file in self.unit(path):
            found = self.index(file).variables.get(name)
            if found is not None:
                if not found.extern:
                    return file, found
                declared = (file, found)
        for file in by_distance([f for f in self.names.files_defining(name) if reachable(f, path)], path):
            found = self.index(file).variables.get(name)
            if found is not None and not found.static:
                if not found.extern:
                    return file, found
                declared = declared or (file, found)
        return declared

    def own_variable(self, name: str, path: str) -> tuple[str, facts.Variable] | None:
        """The variable that ``name`` is in the unit of ``path``; nothing outside the unit is read."""
        for file in self.unit(path):
            found = self.index(file).variables.get(name)
            if found is not None and not found.extern:
                return file, found
        return None

    def enumerator(self, name: str, path: str) -> int | None:
        for file in self.unit(path):
            got = self.index(file).enumerators.get(name)
            if got is not None:
                return got
        return self._seen_enumerators.get(name)

    def constant(self, name: str, path: str) -> int | None:
        """The value of a macro or enumerator in ``path``, or None if it is not a constant that can be told."""
        key = (name, posixpath.dirname(path))
        if key not in self._constants:
            self._constants[key] = None  # a macro that names itself has no value
            self._constants[key] = self._constant(name, path)
        return self._constants[key]

    def _constant(self, name: str, path: str) -> int | None:
        known = self.models.constants.get(name)
        if known is not None:
            return known
        macro = self.macro(name, path)
        if macro is not None:
            if self.ambiguous(name, path):
                return None
            return evaluate(macro.body, FileMacros(self, path)) if macro.parameters is None else None
        return self.enumerator(name, path)

    def ambiguous(self, name: str, path: str) -> bool:
        """Whether a macro has several values, one per configuration: then it decides nothing."""
        key = (name, posixpath.dirname(path))
        found = self._macros.get(key)
        if found is None:
            return False
        return len({m.body for m in self.index(found[0]).macros.get(name, ())}) > 1

    def return_type(self, name: str, path: str) -> facts.CType | None:
        """What a function that is only declared returns, by the prototypes read so far."""
        for file in self.unit(path):
            found = self.index(file).prototypes.get(name)
            if found is not None:
                return found.type
        return self._seen_returns.get(name)

    # --- masks ----------------------------------------------------------------------------------

    @cached_property
    def gfp(self) -> GfpFlags:
        """The allocation flags of this tree, from its own headers."""
        home = next((p for p in GFP_HEADERS if self.content.exists(p)), "")
        return GfpFlags(FileMacros(self, home))

    @cache  # noqa: B019 - one program lives as long as its answers
    def gfp_value(self, text: str) -> int | None:
        """The mask of an expression such as ``GFP_KERNEL | __GFP_NORETRY`` in this tree."""
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
            from reviewer.program.structs import Frame

            got = self._frames[func.key] = Frame(self, func)
        return got

    def variables_with_values(self, path: str) -> Iterator[facts.Variable]:
        """File-scope variables that have an initialiser."""
        for v in self.outline(path).variables:
            if v.value is not None:
                yield v

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
            for macro in self.index(file).macros.get(name, ()):
                m = OBJECT.fullmatch(macro.body)
                if macro.parameters is None and m is not None and m[1] != "NULL":
                    return m[1]
        return name

    # --- models ---------------------------------------------------------------------------------

    def model(self, name: str) -> Model | None:
        """What the API models say of a function of this name, aliases followed."""
        if name not in self._models:
            got = self.models.functions.get(name)
            if got is None:
                got = next((m for prefix, m in self.models.patterns if name.startswith(prefix)), None)
            seen = set()
            while got is not None and got.alias and got.alias not in seen:
                seen.add(got.alias)
                got = self.models.functions.get(got.alias)
            self._models[name] = got
        return self._models[name]


class FileMacros:
    """The macros and enumerators that are visible from one file, for :mod:`reviewer.parse.constexpr`."""

    def __init__(self, program: Program, path: str) -> None:
        self.program = program
        self.path = path

    def macro(self, name: str) -> facts.Macro | None:
        return self.program.macro(name, self.path)

    def enumerator(self, name: str) -> int | None:
        return self.program.enumerator(name, self.path)


class FileIndex:
    """Look-up tables over one outline."""

    def __init__(self, path: str, file: facts.FileFacts) -> None:
        self.path = path
        functions: dict[str, list[Func]] = {}
        for i, f in enumerate(file.functions):
            functions.setdefault(f.name, []).append(Func(f"{path}#{f.name}@{i}", path, f.name, f))
        self.functions = {n: tuple(fs) for n, fs in functions.items()}
        macros: dict[str, list[facts.Macro]] = {}
        for m in file.macros:
            macros.setdefault(m.name, []).append(m)
        self.macros = {n: tuple(ms) for n, ms in macros.items()}
        self.structs: dict[str, facts.StructDef] = {}
        for s in file.structs:
            if s.fields or s.name not in self.structs:
                self.structs[s.name] = s
        self.typedefs = {t.name: t.type for t in file.typedefs}
        self.variables: dict[str, facts.Variable] = {}
        for v in file.variables:
            old = self.variables.get(v.name)
            if old is None or old.extern or (old.value is None and v.value is not None):
                self.variables[v.name] = v
        self.prototypes = {p.name: p for p in file.prototypes}
        self.enumerators: dict[str, int] = {}
        several: set[str] = set()
        for group in file.enumerators:
            last: int | None = -1
            for e in group:
                if e.value is None:
                    last = last + 1 if last is not None else None
                else:
                    last = self._enumerator_value(e.value)
                if last is not None:
                    if self.enumerators.get(e.name, last) != last:
                        several.add(e.name)  # one value per configuration: it decides nothing
                    self.enumerators[e.name] = last

        for name in several:
            del self.enumerators[name]

    def _enumerator_value(self, expr: facts.Expr) -> int | None:
        from reviewer.program.values import rebuild

        def leaf(e: facts.Expr) -> facts.Expr | None:
            if isinstance(e, facts.Name) and e.id in self.enumerators:
                return facts.Const(self.enumerators[e.id])
            return None

        got = rebuild(expr, leaf)
        return got.value if isinstance(got, facts.Const) else None


STATEMENT = re.compile(r"\s*(?:(?:do|if|for|while|switch|goto|return|static|struct|typeof|__typeof__)\b|\{|asm)|.*;\s*$", re.S)
"""A macro body that stands for statements; any other is an expression, and so the value of the macro."""

OBJECT = re.compile(r"[\s(&]*([A-Za-z_]\w*)[\s)]*")
"""A macro body that names one object or its address."""

EMPTY = facts.FileFacts((), (), (), (), (), (), (), (), (), 0, "unread")


def find_definition(root: tree_sitter.Node) -> tree_sitter.Node | None:
    """The function definition in the parse of a slice, inside an ERROR or ``#if`` node if need be."""
    todo = [root]
    while todo:
        node = todo.pop(0)
        if node.type == "function_definition":
            return node
        if node.type in ("translation_unit", "ERROR") or node.type.startswith("preproc"):
            todo.extend(node.named_children)
    return None


def real_bodies(funcs: tuple[Func, ...]) -> tuple[Func, ...]:
    """Of alternatives under ``#if``, those with something in them; all, if none has."""
    if len(funcs) < 2:
        return funcs
    real = tuple(f for f in funcs if f.definition is not None and f.definition.calls)
    return (real or funcs)[:MAX_CANDIDATES]


def architecture(path: str) -> str | None:
    parts = path.split("/", 2)
    return parts[1] if parts[0] == "arch" and len(parts) > 2 else None


def reachable(definition: str, user: str) -> bool:
    """Whether code in ``user`` can be linked with a definition in ``definition``."""
    top = definition.split("/", 1)[0]
    if top in ASIDE and user.split("/", 1)[0] != top:
        return False
    there, here = architecture(definition), architecture(user)
    return there is None or here is None or there == here


def closest(files: Sequence[str], user: str, limit: int = MAX_CANDIDATES) -> list[str]:
    """The candidates that are nearest to ``user``: its own file, its folder, headers, the core, the rest."""
    if len(files) <= 1:
        return list(files)
    best = min(distance(f, user) for f in files)
    return by_distance([f for f in files if distance(f, user) == best], user)[:limit]


def by_distance(files: Sequence[str], user: str) -> list[str]:
    """The candidates, the nearest to ``user`` first."""
    return sorted(files, key=lambda f: (distance(f, user), -common_depth(f, user), f))


def distance(file: str, user: str) -> int:
    """How far a definition in ``file`` is from ``user``: the same file, folder, driver, headers, architecture, core."""
    folder = posixpath.dirname(user)
    if file == user:
        return 0
    if posixpath.dirname(file) == folder:
        return 1
    if file.startswith("include/"):
        return 3
    if folder and common_depth(file, user) >= 3:
        return 2
    there = architecture(file)
    if there is not None:
        return 4 if there == architecture(user) else 6
    return 5


def common_depth(a: str, b: str) -> int:
    n = 0
    for x, y in zip(a.split("/"), b.split("/"), strict=False):
        if x != y:
            break
        n += 1
    return n


