"""A file's text to its outline: what it defines, and which names each function calls and mentions.

One parse of the normalised text; names are read from the original bytes at the same offsets. Only nodes outside bodies
are visited: what happens in a body is :mod:`reviewer.parse.cfg`'s, function by function, when it is asked.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import cache, cached_property

import tree_sitter
import tree_sitter_c

from reviewer.parse import facts
from reviewer.parse.cfg import Lowering
from reviewer.parse.code import WORD_BYTES, words_of
from reviewer.parse.conditions import Conditions
from reviewer.parse.dialect import Dialect
from reviewer.parse.expressions import ctype, number, simple_type, text_of
from reviewer.parse.facts import CType, Expr, FieldDef, Variable
from reviewer.parse.head import INCLUDE
from reviewer.parse.lexical import Split, split
from reviewer.parse.normalise import rewrite
from reviewer.parse.toplevel import MacroUse

MAX_BYTES = 12_000_000
"""Bytes of a file that are read at all; the largest real header (a register map) has 7 MB."""

CONTROLS = bytes(c for c in range(32) if c not in b"\t\n\v\f\r\x1a\x1b")

MAX_DEPTH = 150
"""Nesting of an initialiser that is followed; three frames each leave the rest of Python's thousand to the caller."""

MAX_PARSE = 3_000_000
"""Bytes of a file that are parsed; beyond it only macros are read. The largest real source has 0.6 MB."""

DEFINE = re.compile(rb"\s*#\s*define\s+(\w+)(\([^)]*\))?(.*)", re.S)
COMMENT = re.compile(rb"/\*.*?\*/|//[^\n]*", re.S)
ANNOTATION = re.compile(rb"\b(__(?:init|exit|meminit|init_or_module|sched|cpuinit)\b|__(?:must_hold|acquires|releases|acquire|release|cond_acquires)\s*\([^()]*\))")
CODE = re.compile(rb"[{};]")
NUMBERS = re.compile(rb"\{\s*+(?:-?(?:0[xX][0-9a-fA-F]++|\d++)[uUlL]*+\s*+,\s*+)*+(?:-?(?:0[xX][0-9a-fA-F]++|\d++)[uUlL]*+\s*+)?\}")
NAME = re.compile(r"[A-Za-z_]\w*\Z")
GUARDED = re.compile(rb"protect|guard|serializ|serialis|under |lock", re.I)
KEYWORDS = frozenset({
    "if", "for", "while", "switch", "return", "sizeof", "do", "else", "case", "goto", "default", "break", "continue",
    "struct", "union", "enum", "const", "static", "inline", "void", "int", "char", "short", "long", "unsigned", "signed",
    "volatile", "extern", "typeof", "__typeof__", "defined",
})  # fmt: skip
OUTER = frozenset({"translation_unit", "ERROR", "linkage_specification", "declaration_list"})
MARKED = bytes(c if c in WORD_BYTES or c == 0x28 else 0x20 if c in b" \t\r\n\f\v" else 0x3B for c in range(256))
"""For ``bytes.translate``: words and ``(`` stay, blanks become one kind, the rest semicolons."""


@cache
def language() -> tree_sitter.Language:
    return tree_sitter.Language(tree_sitter_c.language())


def parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(language())


class Pure(Lowering):
    """Initialisers: a call in one is kept as its text, for macros that expand to more of the list."""

    def expr(self, node: tree_sitter.Node) -> Expr:
        if self.depth > MAX_DEPTH:
            return facts.Text(self.text(node)[:80])
        if node.type == "call_expression":
            return self.call_expression(node)
        return self.items(node) if node.type == "initializer_list" else super().expr(node)

    def call_expression(self, node: tree_sitter.Node) -> Expr:
        return facts.Text(" ".join(self.text(node).split())[:400])

    def items(self, node: tree_sitter.Node) -> Expr:
        """A row of numbers is read from its text; large tables are little else."""
        text = self.source[node.start_byte : node.end_byte]
        if NUMBERS.fullmatch(text) is None:
            return super().items(node)
        values = (number(part) for part in text[1:-1].decode("ascii").split(",") if part.strip())
        return facts.Items(None, tuple(("", facts.Const(value)) for value in values if value is not None))


def outline(text: bytes, dialect: Dialect) -> facts.FileFacts:
    """The outline of one file; ``problem`` says why it is empty or partial. Never raises for what the text is."""
    lines = text.count(b"\n") + (not text.endswith(b"\n") and bool(text))
    if len(text) > MAX_BYTES:
        return empty(lines, "too large")
    if looks_binary(text):
        return empty(lines, "binary")
    outliner = Outliner(text, dialect)
    outliner.preprocessor()
    if len(text) > MAX_PARSE:
        return outliner.finish(lines, "too large to parse: macros only")
    if CODE.search(outliner.parts.code):
        outliner.run()
    return outliner.finish(lines, outliner.problem)


def looks_binary(text: bytes) -> bool:
    """Whether the beginning of a file holds a NUL, as git looks for one, or is full of control characters."""
    start = text[:4096]
    return b"\0" in start or len(start) - len(start.translate(None, CONTROLS)) > len(start) // 20


def empty(lines: int, problem: str) -> facts.FileFacts:
    return facts.FileFacts((), (), (), (), (), (), (), (), (), lines, problem)


def macro(define: re.Match[bytes], line: int, condition: str) -> facts.Macro:
    """The macro of a ``#define`` directive that :data:`DEFINE` has matched from its start to its end."""
    name, arguments, body = define.groups()
    if b"/" in body:
        body = COMMENT.sub(b" ", body)
    if b"\\" in body:
        body = body.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
    parameters = None
    if arguments is not None:
        words = (p.strip(" \t\r\n\\") for p in arguments[1:-1].decode("utf-8", "replace").split(","))
        parameters = tuple(w for w in words if w)
    return facts.Macro(name.decode("ascii"), parameters, " ".join(body.decode("utf-8", "replace").split()), line, condition)


def names_in(code: bytes) -> tuple[list[str], list[str]]:
    """Distinct (names that are called, other names), each sorted, keywords and numbers left out.

    :param code: without comments, the inside of strings dotted; what the normaliser rewrites is to be in it.
    """
    marked = b" ".join(code.translate(MARKED).split()).replace(b" (", b"(")
    words = sorted(set(marked.replace(b"(", b"( ").replace(b";", b" ").split()))
    first = bisect_left(words, b":")  # past the numbers and the lone parenthesis
    if first == len(words):
        return [], []
    texts = b" ".join(words[first:]).decode("ascii").split(" ")
    called = [text[:-1] for text in texts if text[-1] == "("]
    known = KEYWORDS.union(called)
    return [text for text in called if text not in KEYWORDS], [text for text in texts if text[-1] != "(" and text not in known]


class Outliner:
    """Collects the facts of one file, or of a slice of it that begins with a whole line.

    ``parts``, ``conditions`` and ``pure`` are made when first asked for.
    """

    def __init__(self, source: bytes, dialect: Dialect, first: int = 0) -> None:
        self.source = source
        self.dialect = dialect
        self.first = first  # number of the first struct without a tag; a slice of a file must not repeat another's
        self.functions: list[facts.Function] = []
        self.prototypes: list[facts.Prototype] = []
        self.structs: list[facts.StructDef | None] = []
        self.typedefs: list[facts.Typedef] = []
        self.variables: list[Variable] = []
        self.enumerators: list[tuple[facts.Enumerator, ...]] = []
        self.macros: list[facts.Macro] = []
        self.uses: list[facts.Use] = []
        self.includes: list[facts.Include] = []
        self.code = source
        self.headers: dict[int, MacroUse] = {}
        self.problem = ""

    @cached_property
    def parts(self) -> Split:
        """The source, code parted from the rest."""
        return split(self.source)

    @cached_property
    def conditions(self) -> Conditions:
        """The ``#if`` condition over each byte."""
        return Conditions(self.parts)

    @cached_property
    def pure(self) -> Pure:
        return Pure(self.source)

    def finish(self, lines: int, problem: str) -> facts.FileFacts:
        return facts.FileFacts(
            tuple(self.functions), tuple(self.prototypes), tuple(s for s in self.structs if s is not None),
            tuple(self.typedefs), tuple(self.variables), tuple(self.enumerators), tuple(self.macros),
            tuple(self.uses), tuple(self.includes), lines, problem,
        )  # fmt: skip

    # --- without the parser -----------------------------------------------------------------------

    def preprocessor(self) -> None:
        source = self.source
        line, last = 1, 0
        for directive in self.parts.defines:
            start, end = directive.start, directive.end
            if directive.kind != b"define":
                m = INCLUDE.match(source, start, end)
                if m is not None:
                    path = m[2].decode("utf-8", "replace").strip()
                    self.includes.append(facts.Include(path, m[1] == b"<", self.conditions.at(start)))
                continue
            m = DEFINE.match(source, start, end)
            if m is not None:
                line += source.count(b"\n", last, start)
                last = start
                self.macros.append(macro(m, line, self.conditions.at(start)))

    # --- with it ----------------------------------------------------------------------------------

    def run(self) -> None:
        normalised = rewrite(self.source, self.dialect, self.parts)
        self.code = normalised.text
        for use in normalised.uses:
            if use.header:
                self.headers[use.start] = use
            else:
                self.use(use)
        self.visit(parser().parse(normalised.text).root_node)

    def use(self, use: MacroUse) -> None:
        name = use.name.decode("ascii", "replace")
        inner = self.source[use.opening + 1 : use.closing]
        args = tuple(self.argument(a) for a in split_arguments(inner))
        line = self.source.count(b"\n", 0, use.start) + 1
        condition = self.conditions.at(use.start)
        declares = self.dialect.variables.get(name)
        if declares is None and name.startswith(("DEFINE_", "DECLARE_")) and args:
            first = args[0]
            if isinstance(first, facts.Name) and " " not in first.id:
                self.variables.append(
                    Variable(first.id, CType("?"), use.static, None, line, condition, False, name)
                )
        elif declares is not None and declares.name < len(args):
            which = args[declares.name]
            if isinstance(which, facts.Name):
                type_ = declares.type
                if not type_ and declares.type_argument is not None and declares.type_argument < len(args):
                    given = args[declares.type_argument]
                    type_ = given.id if isinstance(given, facts.Name) else "?"
                self.variables.append(
                    Variable(which.id, simple_type(type_ or "?", declares.array not in (None, False)), use.static, None,
                             line, condition, False, name)
                )  # fmt: skip
        self.uses.append(facts.Use(name, args, line, condition, use.static))

    def argument(self, text: bytes) -> Expr:
        """A macro argument: a word, a type of several words, ``&x``, a number, or its text."""
        words = " ".join(COMMENT.sub(b" ", text).decode("utf-8", "replace").split())
        if re.fullmatch(r"[A-Za-z_]\w*|(?:struct|union|enum) \w+", words):
            return facts.Name(words)
        if re.fullmatch(r"&\s*[A-Za-z_]\w*", words):
            return facts.AddressOf(facts.Name(words[1:].strip()))
        if re.fullmatch(r"\d+", words):
            return facts.Const(int(words))
        return facts.Text(words[:400])

    def line(self, node: tree_sitter.Node) -> int:
        return int(node.start_point[0]) + 1

    def visit(self, node: tree_sitter.Node) -> None:
        todo = [node]
        while todo:
            n = todo.pop()
            try:
                outer = self.item(n)
            except RecursionError:
                self.problem = "nested too deeply"
                continue
            if outer:
                todo.extend(reversed(n.named_children))

    def item(self, node: tree_sitter.Node) -> bool:
        """Take what one node at file scope defines; whether it only holds such nodes."""
        kind = node.type
        if kind == "function_definition":
            self.function(node)
        elif kind == "declaration":
            self.declaration(node)
        elif kind in ("struct_specifier", "union_specifier"):
            self.struct(node)
        elif kind == "enum_specifier":
            self.enum(node)
        elif kind == "type_definition":
            self.typedef(node)
        else:
            return kind in OUTER or kind.startswith("preproc")
        return False

    def function(self, node: tree_sitter.Node) -> None:
        declarator = node.child_by_field_name("declarator")
        type_node = node.child_by_field_name("type")
        block = node.child_by_field_name("body")
        header = function_declarator(declarator)
        if header is None or type_node is None or block is None:
            return
        macro = ""
        inner = header.child_by_field_name("declarator")
        if inner is None:
            return
        name = text_of(inner, self.source)
        parameters = self.parameters(header)
        start = node.start_byte
        made = None
        if self.headers:
            made = next((u for at, u in self.headers.items() if start <= at < block.start_byte), None)
        if made is not None:
            macro, name, parameters = self.made(made)
        if not NAME.match(name):
            return
        pointer = 0
        d = declarator
        while d is not None and d.type == "pointer_declarator":
            pointer += 1
            d = d.child_by_field_name("declarator")
        head = self.source[self.source.rfind(b"\n", 0, start) + 1 : block.start_byte]
        words = words_of(head)
        annotations = ANNOTATION.findall(head) if b"__" in head else ()
        calls, mentions = names_in(self.parts.code[block.start_byte : node.end_byte])
        self.functions.append(
            facts.Function(
                name, CType(ctype(type_node, None, self.source)[1].name, pointer), parameters, start, node.end_byte,
                self.line(node), int(header.start_point[0]) + 1,
                bool(words & (self.dialect.static_words | {b"static"})),
                bool(words & (self.dialect.inline_words | {b"inline"})), self.conditions.at(start),
                tuple(a.decode("ascii", "replace") for a in annotations), tuple(calls), tuple(mentions), node.has_error,
                macro,
            )
        )  # fmt: skip

    def made(self, use: MacroUse) -> tuple[str, str, tuple[Variable, ...]]:
        """``SYSCALL_DEFINE2(name, type, a, type, b) {``: the macro, what the function is called, its parameters."""
        macro = use.name.decode("ascii", "replace")
        args = [
            " ".join(a.decode("utf-8", "replace").split())
            for a in split_arguments(self.source[use.opening + 1 : use.closing])
        ]
        header = self.dialect.header(macro)
        name = header.name.replace("{0}", args[0]) if header is not None and args else (args[0] if args else macro)
        parameters: list[Variable] = []
        if header is not None and header.pairs:
            for type_, word in zip(args[1::2], args[2::2], strict=False):
                parameters.append(Variable(word, simple_type(type_)))
        return macro, name, tuple(parameters)

    def parameters(self, header: tree_sitter.Node) -> tuple[Variable, ...]:
        found: list[Variable] = []
        node = header.child_by_field_name("parameters")
        for child in node.named_children if node is not None else ():
            if child.type != "parameter_declaration":
                continue
            type_node = child.child_by_field_name("type")
            if type_node is None:
                continue
            name, type_ = ctype(type_node, child.child_by_field_name("declarator"), self.source)
            if type_.name == "void" and not name and not type_.pointer:
                continue
            found.append(Variable(name, type_))
        return tuple(found)

    def declaration(self, node: tree_sitter.Node) -> None:
        type_node = node.child_by_field_name("type")
        if type_node is None:
            return
        made = self.defined(type_node)
        static = extern = False
        for child in node.children:
            if child.type == "storage_class_specifier":
                word = text_of(child, self.source)
                static |= word == "static"
                extern |= word == "extern"
        condition = self.conditions.at(node.start_byte)
        for declarator in node.children_by_field_name("declarator"):
            value = None
            inner = declarator
            if declarator.type == "init_declarator":
                value = declarator.child_by_field_name("value")
                inner = declarator.child_by_field_name("declarator") or declarator
            name, type_ = ctype(type_node, inner, self.source)
            if made:
                type_ = CType(made, type_.pointer, type_.array, type_.function)
            header = function_declarator(inner)
            if header is not None and is_plain(header):
                returned = CType(type_.name, type_.pointer)
                self.prototypes.append(
                    facts.Prototype(name, returned, self.parameters(header), static, condition, ())
                )
            elif name:
                expr = self.pure.expr(value) if value is not None else None
                self.variables.append(
                    Variable(name, type_, static, expr, int(inner.start_point[0]) + 1, condition, extern)
                )

    def defined(self, type_node: tree_sitter.Node) -> str:
        """The name of a struct, union or enum that is defined right here, "" otherwise."""
        if type_node.type in ("struct_specifier", "union_specifier"):
            return self.struct(type_node) if type_node.child_by_field_name("body") is not None else ""
        if type_node.type == "enum_specifier":
            self.enum(type_node)
        return ""

    def struct(self, node: tree_sitter.Node) -> str:
        block = node.child_by_field_name("body")
        tag = node.child_by_field_name("name")
        word = node.type.split("_", 1)[0]
        if block is None:
            return f"{word} {text_of(tag, self.source)}" if tag is not None else ""
        index = len(self.structs)
        self.structs.append(None)
        name = f"{word} {text_of(tag, self.source)}" if tag is not None else f"{word} <anon:{self.first + index}>"
        fields: list[FieldDef] = []
        self.fields(block, fields)
        self.structs[index] = facts.StructDef(
            name, tuple(fields), self.line(node), self.conditions.at(node.start_byte)
        )
        return name

    def fields(self, block: tree_sitter.Node, into: list[FieldDef]) -> None:
        for child in block.named_children:
            if child.type.startswith("preproc") or child.type == "ERROR":
                self.fields(child, into)
                continue
            type_node = child.child_by_field_name("type") if child.type == "field_declaration" else None
            if type_node is None:
                continue
            made = self.defined(type_node)
            condition = self.conditions.at(child.start_byte)
            comment = self.comment_after(child)
            declarators = child.children_by_field_name("declarator")
            if not declarators and made:
                into.append(FieldDef("", CType(made), condition))
            for declarator in declarators:
                name, type_ = ctype(type_node, declarator, self.source)
                if made:
                    type_ = CType(made, type_.pointer, type_.array, type_.function)
                into.append(FieldDef(name, type_, condition, comment=comment))

    def comment_after(self, node: tree_sitter.Node) -> str:
        """A comment on the field's own line that speaks of protection."""
        end = self.source.find(b"\n", node.end_byte)
        rest = self.source[node.end_byte : end if end >= 0 else len(self.source)]
        if b"/*" not in rest and b"//" not in rest:
            return ""
        return " ".join(rest.decode("utf-8", "replace").split())[:120] if GUARDED.search(rest) else ""

    def enum(self, node: tree_sitter.Node) -> None:
        block = node.child_by_field_name("body")
        if block is None:
            return
        found: list[facts.Enumerator] = []
        todo = list(reversed(block.named_children))
        while todo:
            child = todo.pop()
            if child.type == "enumerator":
                name, value = child.child_by_field_name("name"), child.child_by_field_name("value")
                if name is not None:
                    expr = self.pure.expr(value) if value is not None else None
                    found.append(
                        facts.Enumerator(text_of(name, self.source), expr, self.conditions.at(child.start_byte))
                    )
            elif child.type.startswith("preproc") or child.type == "ERROR":
                todo.extend(reversed(child.named_children))
        self.enumerators.append(tuple(found))

    def typedef(self, node: tree_sitter.Node) -> None:
        type_node = node.child_by_field_name("type")
        if type_node is None:
            return
        made = self.defined(type_node)
        for declarator in node.children_by_field_name("declarator"):
            name, type_ = ctype(type_node, declarator, self.source)
            if made:
                type_ = CType(made, type_.pointer, type_.array, type_.function)
            if name:
                self.typedefs.append(facts.Typedef(name, type_))


def function_declarator(node: tree_sitter.Node | None) -> tree_sitter.Node | None:
    """The innermost function declarator of a declarator, if there is one."""
    found = None
    while node is not None:
        if node.type == "function_declarator":
            found = node
        inner = node.child_by_field_name("declarator")
        if inner is None and node.type == "parenthesized_declarator":
            inner = next(iter(node.named_children), None)
        node = inner
    return found


def is_plain(header: tree_sitter.Node) -> bool:
    """A function's own declarator rather than that of a pointer to one."""
    inner = header.child_by_field_name("declarator")
    return inner is not None and inner.type == "identifier"


def split_arguments(text: bytes) -> list[bytes]:
    """The arguments of a macro, split at the commas that no bracket encloses."""
    found: list[bytes] = []
    depth = start = 0
    for m in re.finditer(rb"[(){}\[\],]|\"(?:\\.|[^\"\\])*\"", text):
        c = m[0]
        if c in (b"(", b"{", b"["):
            depth += 1
        elif c in (b")", b"}", b"]"):
            depth -= 1
        elif c == b"," and depth == 0:
            found.append(text[start : m.start()])
            start = m.end()
    found.append(text[start:])
    return [f.strip() for f in found] if text.strip() else []
