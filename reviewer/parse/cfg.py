"""A function's text to its control-flow graph: blocks of ordered events on access paths.

Both the normalised and the original text of the function are needed: they have the same length, the tree comes from the
first and every name from the second, so what the normaliser rewrote (an iterator into ``while``, ``struct T``
in an argument into one word) is read as it was written.

``&&``, ``||``, ``?:`` and statement expressions with side effects become branches; ``a && b`` in a condition
always does. Every arm of an ``#if`` group is kept: the group is a branch on a :class:`facts.Config` condition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import tree_sitter

from reviewer.parse import facts
from reviewer.parse.dialect import Declares
from reviewer.parse.expressions import character, ctype, number, simple_type
from reviewer.parse.facts import Expr

MAX_EVENTS = 60_000
"""Events after which a body is cut off and marked broken; the longest real kernel function has under 6,000."""

MAX_DEPTH = 400
"""Nesting of statements and expressions that is followed; generated parentheses beyond it become Text."""

MAX_LOOK = 2_000
"""Nodes of an expression that are looked at for an effect; a larger one is taken to have some."""

TRANSPARENT = frozenset({"likely", "unlikely", "__builtin_expect"})
"""Calls that are their first argument and say nothing else: conditions are lowered through them."""

NULL_AT_END = tuple(
    (re.compile(pattern), argument) for pattern, argument in (
        (r"hlist_for_each_entry(?:_safe|_rcu\w*|_srcu|_continue\w*|_from\w*)?", 0), (r"hash_for_each_possible(?:_rcu\w*)?", 1),
        (r"hash_for_each(?:_rcu)?", 2), (r"idr_for_each_entry(?:_ul)?", 1), (r"xa_for_each(?:_start|_marked)?", 2),
        (r"for_each_pci_dev|for_each_(?:compatible|matching)_node|for_each_node_by_\w+", 0),
        (r"(?:device_|fwnode_)?for_each_(?:available_)?child_(?:of_)?node", 1),
    )
)  # fmt: skip
"""Iterators that end with their cursor, the argument of this number, NULL (include/linux/list.h, hashtable.h, idr.h, xarray.h,
pci.h, of.h): a list that closes on its head does not."""

SCALAR = re.compile(r"\(\s*(?:(?:__)?[us](?:8|16|32|64)|__[bl]e(?:16|32|64)|\w+_t|typeof(?:_unqual)?\s*\([^()]*\))\s*\)")
"""A type of the kernel's in parentheses, by its name; a call of a function in parentheses has none of these."""

DIRECTIVE = re.compile(rb"[\s#]*(\w+)")

ASSIGN = {"=", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "|=", "^="}


@dataclass
class Scope:
    """One compound statement: what has to happen when control leaves it, innermost last."""

    cleanups: list[tuple[str, tuple[Expr, ...]]] = field(default_factory=list)


@dataclass
class Target:
    """Where ``break`` and ``continue`` go, and how many scopes stay open there."""

    stop: int
    again: int | None
    depth: int


class TooLarge(Exception):
    """The body passes a limit."""


def body(tree: tree_sitter.Node, original: bytes, variables: Mapping[str, Declares] | None = None) -> facts.Body:
    """The graph of one function definition.

    :param tree: the ``function_definition`` node of the normalised slice.
    :param original: the original bytes of the same slice, of the same length.
    :param variables: macros that declare a variable, by name.
    """
    lowering = Lowering(original, variables)
    return lowering.run(tree)


STATIC_BEFORE = re.compile(rb"\bstatic\s+(?:__maybe_unused\s+|__read_mostly\s+)*$")


class Lowering:
    """State of one lowering: open block, open scopes, labels."""

    def __init__(self, source: bytes, variables: Mapping[str, Declares] | None = None) -> None:
        self.source = source
        self.variables = variables or {}
        self.events: list[list[facts.Event]] = []
        self.exits: list[facts.Exit | None] = []
        self.now = self.new_block()
        self.calls = 0
        self.temporaries = 0
        self.count = 0
        self.depth = 0
        self.broken = False
        self.cut = False
        self.locals: list[facts.Variable] = []
        self.scopes: list[Scope] = []
        self.targets: list[Target] = []
        self.switches: list[tuple[list[tuple[tuple[Expr, ...], int]], list[int]]] = []
        self.labels: dict[str, tuple[int, tuple[Scope, ...]]] = {}
        self.gotos: list[tuple[int, str, tuple[Scope, ...], int]] = []

    # --- blocks ---------------------------------------------------------------------------------

    def new_block(self) -> int:
        self.events.append([])
        self.exits.append(None)
        return len(self.events) - 1

    def leave(self, exit_: facts.Exit) -> None:
        """End the open block, unless it has ended already (code after a return)."""
        if self.exits[self.now] is None:
            self.exits[self.now] = exit_

    def go_on(self, block: int) -> None:
        """Fall into ``block`` and continue there."""
        self.leave(facts.Jump(block))
        self.now = block

    def emit(self, event: facts.Event) -> None:
        self.count += 1
        if self.count > MAX_EVENTS:
            raise TooLarge
        self.events[self.now].append(event)

    def call(self, callee: Expr, args: tuple[Expr, ...], at: int, loop: bool = False) -> Expr:
        n = self.calls
        self.calls += 1
        self.emit(facts.Call(n, callee, args, at, loop))
        return facts.Result(n)

    def temporary(self) -> facts.Name:
        self.temporaries += 1
        return facts.Name(f"?{self.temporaries}")

    # --- text -----------------------------------------------------------------------------------

    def text(self, node: tree_sitter.Node) -> str:
        text = self.source[node.start_byte : node.end_byte].decode("utf-8", "replace")
        return text.replace("\r\n", "\n") if "\r" in text else text

    def word(self, node: tree_sitter.Node) -> str:
        """Text of a name, with the blanks of ``struct   T`` squeezed."""
        text = self.text(node)
        return " ".join(text.split()) if " " in text or "\t" in text or "\n" in text else text

    @staticmethod
    def at(node: tree_sitter.Node) -> int:
        point = node.start_point
        return facts.position(point[0], point[1])

    # --- the function ---------------------------------------------------------------------------

    def run(self, tree: tree_sitter.Node) -> facts.Body:
        block = tree.child_by_field_name("body")
        self.broken = tree.has_error
        try:
            if block is not None:
                self.compound(block)
            else:
                self.broken = True
        except (TooLarge, RecursionError):
            self.broken = self.cut = True
        end = facts.position(tree.end_point[0], max(0, tree.end_point[1] - 1))
        self.leave(facts.Return(None, end))
        self.patch_gotos()
        return self.finish(end)

    def patch_gotos(self) -> None:
        for block, name, scopes, at in self.gotos:
            target = self.labels.get(name)
            if target is None:
                self.broken = True
                self.exits[block] = facts.Stop()
                continue
            to, open_there = target
            keep = {id(s) for s in open_there}
            self.now = block
            for scope in reversed(scopes):
                if id(scope) not in keep:
                    self.clean(scope, at)
            self.exits[block] = facts.Jump(to)

    def finish(self, end: int) -> facts.Body:
        """Drop what cannot be reached, number the rest in order of appearance."""
        exits: list[facts.Exit] = [e if e is not None else facts.Return(None, end) for e in self.exits]
        order: list[int] = []
        seen = {0}
        todo = [0]
        while todo:
            b = todo.pop()
            order.append(b)
            for s in successors(exits[b]):
                if s not in seen:
                    seen.add(s)
                    todo.append(s)
        order.sort()
        rename = {b: i for i, b in enumerate(order)}
        blocks = tuple(facts.Block(tuple(self.events[b]), renamed(exits[b], rename)) for b in order)
        return facts.Body(blocks, tuple(self.locals), self.calls, self.broken, self.cut)

    # --- statements -----------------------------------------------------------------------------

    def statement(self, node: tree_sitter.Node) -> None:
        if self.depth > MAX_DEPTH:
            self.broken = self.cut = True
            return
        self.depth += 1
        try:
            handler = STATEMENTS.get(node.type)
            if handler is not None:
                handler(self, node)
            elif node.type in IGNORED:
                pass
            elif node.type == "ERROR":
                self.broken = True
                for child in node.named_children:
                    if child.type in STATEMENTS or child.type in IGNORED:
                        self.statement(child)
                    elif child.type in EXPRESSIONS:
                        self.discard(child)
            elif node.type in EXPRESSIONS:
                self.discard(node)
        finally:
            self.depth -= 1

    def compound(self, node: tree_sitter.Node) -> Expr:
        """A block; its value, for statement expressions, is that of its last expression statement."""
        scope = Scope()
        self.scopes.append(scope)
        value: Expr = facts.Text("")
        children = [c for c in node.named_children if c.type != "comment"]
        for i, child in enumerate(children):
            if i == len(children) - 1 and child.type == "expression_statement" and child.named_child_count:
                value = self.discard(child.named_children[0])
            else:
                self.statement(child)
        self.scopes.pop()
        if self.exits[self.now] is None:
            self.clean(scope, facts.position(node.end_point[0], max(0, node.end_point[1] - 1)))
        return value

    def block(self, node: tree_sitter.Node) -> None:
        self.compound(node)

    def clean(self, scope: Scope, at: int) -> None:
        for name, args in reversed(scope.cleanups):
            self.call(facts.Name(name), args, at)

    def clean_down_to(self, depth: int, at: int) -> None:
        for scope in reversed(self.scopes[depth:]):
            self.clean(scope, at)

    def attributed(self, node: tree_sitter.Node) -> None:
        for child in node.named_children:
            self.statement(child)

    def expression_statement(self, node: tree_sitter.Node) -> None:
        for child in node.named_children:
            if child.type != "comment" and not self.declares(child):
                self.discard(child)

    def declares(self, node: tree_sitter.Node) -> bool:
        """Whether it is a macro that declares a local: ``static DEFINE_MUTEX(lock);``, its ``static`` blanked by the
        normaliser."""
        callee = node.child_by_field_name("function") if node.type == "call_expression" else None
        how = self.variables.get(self.text(callee)) if callee is not None else None
        given = node.child_by_field_name("arguments")
        if how is None or given is None or how.name >= given.named_child_count:
            return False
        name = given.named_children[how.name]
        if name.type != "identifier":
            return False
        type_ = how.type
        if not type_ and how.type_argument is not None and how.type_argument < given.named_child_count:
            type_ = self.text(given.named_children[how.type_argument])
        static = STATIC_BEFORE.search(self.source, max(0, node.start_byte - 24), node.start_byte) is not None
        self.locals.append(facts.Variable(
            self.text(name), simple_type(type_ or "?", how.array not in (None, False)), static=static,
            line=facts.row_of(self.at(node)), macro=self.text(callee) if callee is not None else "",
        ))  # fmt: skip
        return True

    def discard(self, node: tree_sitter.Node) -> Expr:
        """Evaluate for effects; an expression without any is kept as a Read, for the accesses in it."""
        before = self.count
        value = self.expr(node)
        if self.count == before and isinstance(
            value, facts.Member | facts.Index | facts.Deref | facts.Binary | facts.Name
        ):
            self.emit(facts.Read(value, self.at(node)))
        return value

    def declaration(self, node: tree_sitter.Node) -> None:
        type_node = node.child_by_field_name("type")
        static = extern = False
        for child in node.children:
            if child.type == "storage_class_specifier":
                static |= self.text(child) == "static"
                extern |= self.text(child) == "extern"
        cleanup = self.cleanup_of(node)
        for declarator in node.children_by_field_name("declarator"):
            value_node = None
            inner = declarator
            if declarator.type == "init_declarator":
                value_node = declarator.child_by_field_name("value")
                inner = declarator.child_by_field_name("declarator") or declarator
            if type_node is None or inner.type == "function_declarator":
                continue
            name, type_ = ctype(type_node, inner, self.source)
            if not name:
                continue
            at = self.at(inner)
            row = facts.row_of(at)
            if static:
                value = self.expr(value_node) if value_node is not None else None
                self.locals.append(facts.Variable(name, type_, static=True, value=value, line=row))
                continue
            self.locals.append(facts.Variable(name, type_, line=row, extern=extern))
            if value_node is not None:
                value = self.expr(value_node)
                self.emit(facts.Write(facts.Name(name), "=", value, at, declares=True))
            if cleanup is not None:
                self.scopes[-1].cleanups.append((f"cleanup:{cleanup}", (facts.Name(name),)))

    def cleanup_of(self, node: tree_sitter.Node) -> str | None:
        """The destructor of ``__free(kfree)``, which the normaliser has blanked, read from the original."""
        text = self.source[node.start_byte : node.end_byte]
        found = text.find(b"__free(")
        if found < 0:
            return None
        end = text.find(b")", found)
        return text[found + 7 : end].decode("utf-8", "replace").strip() if end > 0 else None

    def if_statement(self, node: tree_sitter.Node) -> None:
        then, other, after = self.new_block(), self.new_block(), self.new_block()
        condition = node.child_by_field_name("condition")
        consequence = node.child_by_field_name("consequence")
        alternative = node.child_by_field_name("alternative")
        if condition is not None:
            self.branch(condition, then, other)
        self.now = then
        if consequence is not None:
            self.statement(consequence)
        self.leave(facts.Jump(after))
        self.now = other
        if alternative is not None:
            for child in alternative.named_children if alternative.type == "else_clause" else [alternative]:
                self.statement(child)
        self.leave(facts.Jump(after))
        self.now = after

    def while_statement(self, node: tree_sitter.Node) -> None:
        condition = node.child_by_field_name("condition")
        inside = node.child_by_field_name("body")
        keyword = iterator_name(self.source, node.start_byte)
        if keyword != "while":
            self.iterator(node, keyword, condition, inside)
            return
        head, start, after = self.new_block(), self.new_block(), self.new_block()
        self.go_on(head)
        if condition is not None:
            self.branch(condition, start, after)
        self.loop_body(inside, start, after, head)

    def loop_body(self, inside: tree_sitter.Node | None, start: int, after: int, again: int) -> None:
        self.now = start
        self.targets.append(Target(after, again, len(self.scopes)))
        if inside is not None:
            self.statement(inside)
        self.targets.pop()
        self.leave(facts.Jump(again))
        self.now = after

    def iterator(
        self, node: tree_sitter.Node, name: str, condition: tree_sitter.Node | None, inside: tree_sitter.Node | None
    ) -> None:
        """``list_for_each_entry(p, head, m) body``, ``scoped_guard(mutex, &l) body``, ``with_thing(x) body``."""
        at = self.at(node)
        args = self.iterator_args(condition)
        if name in ("scoped_guard", "scoped_cond_guard") and args:
            kind = args[0].id if isinstance(args[0], facts.Name) else "?"
            rest = args[1:] if name == "scoped_guard" else args[2:]
            scope = Scope([(f"unguard:{kind}", rest)])
            self.scopes.append(scope)
            after = self.new_block()
            inner = self.new_block()
            taken = self.call(facts.Name(f"guard:{kind}"), rest, at)
            if name == "scoped_cond_guard":
                refused = self.new_block()
                self.leave(facts.Branch(taken, inner, refused, at))
                self.now = refused
                self.leave(facts.Jump(after))
            else:
                self.leave(facts.Jump(inner))
            self.now = inner
            self.targets.append(Target(after, after, len(self.scopes) - 1))
            if inside is not None:
                self.statement(inside)
            self.targets.pop()
            self.scopes.pop()
            if self.exits[self.now] is None:
                self.clean(scope, facts.position(node.end_point[0], node.end_point[1]))
            self.leave(facts.Jump(after))
            self.now = after
            return
        head, start, after = self.new_block(), self.new_block(), self.new_block()
        self.go_on(head)
        more = self.call(facts.Name(name), args, at, loop=True)
        cursor = next((args[i] for pattern, i in NULL_AT_END if i < len(args) and pattern.fullmatch(name)), None)
        if cursor is None:
            self.leave(facts.Branch(more, start, after, at))
        else:
            over = self.new_block()
            self.leave(facts.Branch(more, start, over, at))
            self.now = over
            self.emit(facts.Write(cursor, "=", facts.Const(0), at))
            self.leave(facts.Jump(after))
        self.loop_body(inside, start, after, head)

    def iterator_args(self, condition: tree_sitter.Node | None) -> tuple[Expr, ...]:
        """The arguments, which stand as operands of the comma operator in the loop's condition."""
        args: list[Expr] = []

        def collect(node: tree_sitter.Node) -> None:
            if node.type == "comma_expression":
                for side in ("left", "right"):
                    child = node.child_by_field_name(side)
                    if child is not None:
                        collect(child)
            elif node.type == "parenthesized_expression" and condition is not None and node.id == condition.id:
                for child in node.named_children:
                    if child.type != "comment":
                        collect(child)
            else:
                args.append(self.expr(node))

        if condition is not None:
            collect(condition)
        return tuple(args)

    def do_statement(self, node: tree_sitter.Node) -> None:
        start, test, after = self.new_block(), self.new_block(), self.new_block()
        self.go_on(start)
        self.loop_body(node.child_by_field_name("body"), start, after, test)
        self.now = test
        condition = node.child_by_field_name("condition")
        if condition is not None:
            self.branch(condition, start, after)
        self.leave(facts.Jump(after))
        self.now = after

    def for_statement(self, node: tree_sitter.Node) -> None:
        initializer = node.child_by_field_name("initializer")
        condition = node.child_by_field_name("condition")
        update = node.child_by_field_name("update")
        inside = node.child_by_field_name("body")
        self.scopes.append(Scope())
        if initializer is not None:
            if initializer.type == "declaration":
                self.declaration(initializer)
            else:
                self.discard(initializer)
        head, start, step, after = (self.new_block() for _ in range(4))
        self.go_on(head)
        if condition is not None:
            self.branch(condition, start, after)
        else:
            self.leave(facts.Jump(start))
        self.loop_body(inside, start, after, step)
        self.now = step
        if update is not None:
            self.discard(update)
        self.leave(facts.Jump(head))
        self.now = after
        self.scopes.pop()

    def switch_statement(self, node: tree_sitter.Node) -> None:
        condition = node.child_by_field_name("condition")
        value = self.expr(condition) if condition is not None else facts.Text("")
        origin = self.now
        after = self.new_block()
        cases: list[tuple[tuple[Expr, ...], int]] = []
        default: list[int] = []
        self.switches.append((cases, default))
        self.targets.append(Target(after, None, len(self.scopes)))
        self.now = self.new_block()  # statements before the first case are dead
        inside = node.child_by_field_name("body")
        if inside is not None:
            self.statement(inside)
        self.targets.pop()
        self.switches.pop()
        self.leave(facts.Jump(after))
        if self.exits[origin] is None:
            self.exits[origin] = facts.Switch(
                value, tuple(cases), default[0] if default else after, self.at(node)
            )
        self.now = after

    def case_statement(self, node: tree_sitter.Node) -> None:
        block = self.new_block()
        self.go_on(block)
        value = node.child_by_field_name("value")
        if self.switches:
            cases, default = self.switches[-1]
            if value is None:
                default.append(block)
            else:
                cases.append(((self.constant(value),), block))
        first = True
        for child in node.named_children:
            if first and value is not None and child.id == value.id:
                first = False
                continue
            if child.type != "comment":
                self.statement(child)

    def constant(self, node: tree_sitter.Node) -> Expr:
        if node.type == "binary_expression" and self.text(node).find("...") > 0:
            return facts.Text(self.text(node))
        return self.expr(node)

    def labeled_statement(self, node: tree_sitter.Node) -> None:
        label = node.child_by_field_name("label")
        block = self.new_block()
        self.go_on(block)
        if label is not None:
            self.labels[self.text(label)] = (block, tuple(self.scopes))
        for child in node.named_children:
            if (label is None or child.id != label.id) and child.type != "comment":
                self.statement(child)

    def goto_statement(self, node: tree_sitter.Node) -> None:
        label = node.child_by_field_name("label")
        if self.exits[self.now] is None and label is not None:
            self.gotos.append((self.now, self.text(label), tuple(self.scopes), self.at(node)))
            self.exits[self.now] = facts.Stop()  # patched once the label is known
        self.now = self.new_block()

    def break_statement(self, node: tree_sitter.Node) -> None:
        self.jump_out(node, again=False)

    def continue_statement(self, node: tree_sitter.Node) -> None:
        self.jump_out(node, again=True)

    def jump_out(self, node: tree_sitter.Node, again: bool) -> None:
        for target in reversed(self.targets):
            to = target.again if again else target.stop
            if to is not None:
                self.clean_down_to(target.depth, self.at(node))
                self.leave(facts.Jump(to))
                self.now = self.new_block()
                return
        # Its loop is in a macro around it (``poll_until(2000, if (ready(dev)) break;)``): what follows is reached both ways.

    def return_statement(self, node: tree_sitter.Node) -> None:
        value: Expr | None = None
        for child in node.named_children:
            if child.type != "comment":
                value = self.expr(child)
        self.clean_down_to(0, self.at(node))
        self.leave(facts.Return(value, self.at(node)))
        self.now = self.new_block()

    def preproc(self, node: tree_sitter.Node) -> None:
        """``#if`` inside a body: a branch on the group's condition, an arm each way."""
        then, other, after = self.new_block(), self.new_block(), self.new_block()
        condition = node.child_by_field_name("condition") or node.child_by_field_name("name")
        text = " ".join(self.text(condition).split()) if condition is not None else "1"
        # Read from the original: behind a label the normaliser writes `;#if` for `#ifdef`.
        word = DIRECTIVE.match(self.source, node.start_byte)
        kind = word[1] if word is not None else b""
        if kind.endswith(b"def"):
            text = f"defined({text})"
        negate = kind.endswith(b"ndef")
        alternative = node.child_by_field_name("alternative")
        branch = facts.Branch(facts.Config(text), *((other, then) if negate else (then, other)), self.at(node))
        self.leave(branch)
        self.now = then
        for child in node.named_children:
            same = condition is not None and child.id == condition.id
            if not same and (alternative is None or child.id != alternative.id):
                self.statement(child)
        self.leave(facts.Jump(after))
        self.now = other
        if alternative is not None:
            if alternative.type == "preproc_else":
                for child in alternative.named_children:
                    self.statement(child)
            else:
                self.preproc(alternative)
        self.leave(facts.Jump(after))
        self.now = after

    # --- conditions -----------------------------------------------------------------------------

    def branch(self, node: tree_sitter.Node, then: int, other: int) -> None:
        """Go to ``then`` if the expression is true, else to ``other``."""
        kind = node.type
        if kind == "parenthesized_expression":
            inner = [c for c in node.named_children if c.type != "comment"]
            if len(inner) == 1 and inner[0].type != "compound_statement":
                self.branch(inner[0], then, other)
                return
        elif kind == "unary_expression":
            argument = node.child_by_field_name("argument")
            if argument is not None and self.source[node.start_byte : node.start_byte + 1] == b"!":
                self.branch(argument, other, then)
                return
        elif kind == "binary_expression":
            operator = node.child_by_field_name("operator")
            op = operator.type if operator is not None else ""
            if op in ("&&", "||"):
                left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
                if left is not None and right is not None:
                    middle = self.new_block()
                    self.branch(left, middle if op == "&&" else then, other if op == "&&" else middle)
                    self.now = middle
                    self.branch(right, then, other)
                    return
        elif kind == "call_expression":
            callee = node.child_by_field_name("function")
            arguments = node.child_by_field_name("arguments")
            if callee is not None and arguments is not None and self.text(callee) in TRANSPARENT:
                args = [c for c in arguments.named_children if c.type != "comment"]
                if args:
                    self.branch(args[0], then, other)
                    return
        value = self.expr(node)
        self.leave(facts.Branch(value, then, other, self.at(node)))

    # --- expressions ----------------------------------------------------------------------------

    def expr(self, node: tree_sitter.Node) -> Expr:
        handler = EXPRESSIONS.get(node.type)
        if handler is None or self.depth > MAX_DEPTH:
            self.cut |= handler is not None
            if node.type == "ERROR":
                self.broken = True
            return facts.Text(self.text(node)[:80])
        self.depth += 1
        try:
            return handler(self, node)
        finally:
            self.depth -= 1

    def identifier(self, node: tree_sitter.Node) -> Expr:
        return facts.Name(self.word(node))

    def number(self, node: tree_sitter.Node) -> Expr:
        value = number(self.text(node))
        return facts.Const(value) if value is not None else facts.Text(self.text(node))

    def char(self, node: tree_sitter.Node) -> Expr:
        value = character(self.text(node))
        return facts.Const(value) if value is not None else facts.Text(self.text(node))

    def string(self, node: tree_sitter.Node) -> Expr:
        return facts.Text(self.text(node)[:80])

    def parenthesized(self, node: tree_sitter.Node) -> Expr:
        value: Expr = facts.Text("")
        for child in node.named_children:
            if child.type == "compound_statement":
                value = self.compound(child)
            elif child.type != "comment":
                value = self.expr(child)
        return value

    def field(self, node: tree_sitter.Node) -> Expr:
        base, name = node.child_by_field_name("argument"), node.child_by_field_name("field")
        if base is None or name is None:
            return facts.Text(self.text(node)[:80])
        arrow = self.source[base.end_byte : name.start_byte].strip().startswith(b"->")
        return facts.Member(self.expr(base), self.text(name), arrow)

    def subscript(self, node: tree_sitter.Node) -> Expr:
        base, index = node.child_by_field_name("argument"), node.child_by_field_name("index")
        if base is None or index is None:
            return facts.Text(self.text(node)[:80])
        return facts.Index(self.expr(base), self.expr(index))

    def pointer(self, node: tree_sitter.Node) -> Expr:
        argument = node.child_by_field_name("argument")
        if argument is None:
            return facts.Text(self.text(node)[:80])
        value = self.expr(argument)
        if self.source[node.start_byte : node.start_byte + 1] == b"&":
            return value.base if isinstance(value, facts.Deref) else facts.AddressOf(value)
        return value.base if isinstance(value, facts.AddressOf) else facts.Deref(value)

    def unary(self, node: tree_sitter.Node) -> Expr:
        argument = node.child_by_field_name("argument")
        if argument is None:
            return facts.Text(self.text(node)[:80])
        op = self.source[node.start_byte : node.start_byte + 1].decode("ascii", "replace")
        value = self.expr(argument)
        if op == "+":
            return value
        if op == "-" and isinstance(value, facts.Const):
            return facts.Const(-value.value)
        return facts.Unary(op, value)

    def binary(self, node: tree_sitter.Node) -> Expr:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = node.child_by_field_name("operator")
        if left is None or right is None or operator is None:
            return facts.Text(self.text(node)[:80])
        op = operator.type
        if op in ("&&", "||") and has_effect(right):
            return self.choose(node)
        return facts.Binary(op, self.expr(left), self.expr(right))

    def choose(self, node: tree_sitter.Node) -> Expr:
        """``a && f()`` as a value: 1 or 0 on two paths."""
        result = self.temporary()
        then, other, after = self.new_block(), self.new_block(), self.new_block()
        self.branch(node, then, other)
        at = self.at(node)
        for block, value in ((then, 1), (other, 0)):
            self.now = block
            self.emit(facts.Write(result, "=", facts.Const(value), at))
            self.leave(facts.Jump(after))
        self.now = after
        return result

    def conditional(self, node: tree_sitter.Node) -> Expr:
        condition = node.child_by_field_name("condition")
        then_node = node.child_by_field_name("consequence")
        other_node = node.child_by_field_name("alternative")
        if condition is None or other_node is None:
            return facts.Text(self.text(node)[:80])
        if then_node is not None and not has_effect(node):
            return facts.Choice(self.expr(condition), self.expr(then_node), self.expr(other_node))
        result = self.temporary()
        then, other, after = self.new_block(), self.new_block(), self.new_block()
        at = self.at(node)
        if then_node is None:  # a ?: b
            value = self.expr(condition)
            self.leave(facts.Branch(value, then, other, at))
            self.now = then
            self.emit(facts.Write(result, "=", value, at))
        else:
            self.branch(condition, then, other)
            self.now = then
            self.emit(facts.Write(result, "=", self.expr(then_node), at))
        self.leave(facts.Jump(after))
        self.now = other
        self.emit(facts.Write(result, "=", self.expr(other_node), at))
        self.leave(facts.Jump(after))
        self.now = after
        return result

    def assignment(self, node: tree_sitter.Node) -> Expr:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = node.child_by_field_name("operator")
        if left is None or right is None:
            return facts.Text(self.text(node)[:80])
        op = operator.type if operator is not None else "="
        value = self.expr(right)
        target = self.expr(left)
        self.emit(facts.Write(target, op if op in ASSIGN else "=", value, self.at(node)))
        return target if op != "=" else value if isinstance(value, facts.Const | facts.Result) else target

    def update(self, node: tree_sitter.Node) -> Expr:
        argument = node.child_by_field_name("argument")
        operator = node.child_by_field_name("operator")
        if argument is None:
            return facts.Text(self.text(node)[:80])
        target = self.expr(argument)
        op = "+=" if operator is not None and operator.type == "++" else "-="
        self.emit(facts.Write(target, op, facts.Const(1), self.at(node)))
        return target

    def cast(self, node: tree_sitter.Node) -> Expr:
        type_node, value = node.child_by_field_name("type"), node.child_by_field_name("value")
        if type_node is None or value is None:
            return facts.Text(self.text(node)[:80])
        inner = type_node.child_by_field_name("type")
        type_ = ctype(inner or type_node, type_node.child_by_field_name("declarator"), self.source)[1]
        operand = self.expr(value)
        if type_.name == "void" and not type_.pointer:
            return operand
        return facts.Cast(type_, operand)

    def comma(self, node: tree_sitter.Node) -> Expr:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is not None:
            self.discard(left)
        return self.expr(right) if right is not None else facts.Text("")

    def call_expression(self, node: tree_sitter.Node) -> Expr:
        callee_node = node.child_by_field_name("function")
        arguments = node.child_by_field_name("arguments")
        if callee_node is None:
            return facts.Text(self.text(node)[:80])
        at = self.at(node)
        if callee_node.type == "call_expression":
            guard = self.guard(callee_node, arguments, at)
            if guard is not None:
                return guard
        type_ = self.type_in_parentheses(callee_node)
        if type_ and len(given := self.arguments(arguments)) == 1:
            return facts.Cast(facts.CType(type_), given[0])
        callee = self.expr(callee_node)
        while isinstance(callee, facts.Deref):
            callee = callee.base
        args = self.arguments(arguments)
        if isinstance(callee, facts.Name) and callee.id in TRANSPARENT and args:
            return args[0]
        return self.call(callee, args, at)

    def type_in_parentheses(self, callee: tree_sitter.Node) -> str:
        """The type in ``(u32)(x)``, which could as well be a call; "" where it is one."""
        text = self.text(callee) if callee.type == "parenthesized_expression" else ""
        return text[1:-1].strip() if SCALAR.fullmatch(text) else ""

    def arguments(self, node: tree_sitter.Node | None) -> tuple[Expr, ...]:
        if node is None:
            return ()
        return tuple(self.argument(c) for c in node.named_children if c.type != "comment")

    def argument(self, node: tree_sitter.Node) -> Expr:
        if node.type in ("type_descriptor", "struct_specifier", "union_specifier", "primitive_type", "type_identifier"):
            return facts.Name(self.word(node))
        if node.type == "compound_statement":
            self.compound(node)
            return facts.Text("{}")
        return self.expr(node)

    def guard(
        self, callee: tree_sitter.Node, arguments: tree_sitter.Node | None, at: int
    ) -> Expr | None:
        """``guard(mutex)(&l)``: taken here, released when the scope is left. ``CLASS(fd, f)(n)`` alike."""
        inner, classes = callee.child_by_field_name("function"), callee.child_by_field_name("arguments")
        if inner is None or classes is None or self.text(inner) not in ("guard", "CLASS"):
            return None
        names = [self.word(c) for c in classes.named_children if c.type != "comment"]
        if not names:
            return None
        args = self.arguments(arguments)
        result = self.call(facts.Name(f"guard:{names[0]}"), args, at)
        if self.text(inner) == "CLASS" and len(names) > 1:
            self.emit(facts.Write(facts.Name(names[1]), "=", result, at, declares=True))
        if self.scopes:
            self.scopes[-1].cleanups.append((f"unguard:{names[0]}", args))
        return result

    def sizeof(self, node: tree_sitter.Node) -> Expr:
        return facts.Text(self.text(node)[:80])

    def items(self, node: tree_sitter.Node) -> Expr:
        return self.item_list(node, None)

    def compound_literal(self, node: tree_sitter.Node) -> Expr:
        type_node, value = node.child_by_field_name("type"), node.child_by_field_name("value")
        type_ = None
        if type_node is not None:
            inner = type_node.child_by_field_name("type")
            type_ = ctype(inner or type_node, type_node.child_by_field_name("declarator"), self.source)[1]
        return self.item_list(value, type_) if value is not None else facts.Text(self.text(node)[:80])

    def item_list(self, node: tree_sitter.Node, type_: facts.CType | None) -> Expr:
        items: list[tuple[str, Expr]] = []
        for child in node.named_children:
            if child.type == "comment" or child.type.startswith("preproc"):
                continue
            if child.type == "initializer_pair":
                designator = "".join(
                    "".join(self.text(d).split()) for d in child.children_by_field_name("designator")
                )
                value = child.child_by_field_name("value")
                if value is not None:
                    items.append((designator, self.expr(value)))
            else:
                items.append(("", self.expr(child)))
        return facts.Items(type_, tuple(items))


def successors(exit_: facts.Exit) -> Iterator[int]:
    """The blocks that an exit may lead to, in the order in which they are written."""
    if isinstance(exit_, facts.Jump):
        yield exit_.to
    elif isinstance(exit_, facts.Branch):
        yield exit_.then
        yield exit_.other
    elif isinstance(exit_, facts.Switch):
        for _, block in exit_.cases:
            yield block
        yield exit_.default


def renamed(exit_: facts.Exit, rename: dict[int, int]) -> facts.Exit:
    """The exit with its blocks' new numbers."""
    if isinstance(exit_, facts.Jump):
        return facts.Jump(rename[exit_.to])
    if isinstance(exit_, facts.Branch):
        return facts.Branch(exit_.condition, rename[exit_.then], rename[exit_.other], exit_.at)
    if isinstance(exit_, facts.Switch):
        cases = tuple((values, rename[b]) for values, b in exit_.cases)
        return facts.Switch(exit_.value, cases, rename[exit_.default], exit_.at)
    return exit_


def iterator_name(source: bytes, start: int) -> str:
    """The word that stands at ``start`` in the original text: ``while``, or the iterator's name."""
    end = start
    while end < len(source) and (source[end : end + 1].isalnum() or source[end] == 0x5F):
        end += 1
    return source[start:end].decode("ascii", "replace")


EFFECTS = frozenset({"call_expression", "assignment_expression", "update_expression", "compound_statement"})


def has_effect(node: tree_sitter.Node) -> bool:
    """Whether evaluating the expression can call or write something."""
    todo = [node]
    for _ in range(MAX_LOOK):
        if not todo:
            return False
        n = todo.pop()
        if n.type in EFFECTS:
            return True
        todo.extend(n.named_children)
    return True


IGNORED = frozenset({
    "comment", "preproc_def", "preproc_function_def", "preproc_call", "preproc_include", "type_definition",
    "struct_specifier", "union_specifier", "enum_specifier", "preproc_directive", "preproc_params",
})  # fmt: skip

STATEMENTS: dict[str, Callable[[Lowering, tree_sitter.Node], None]] = {
    "compound_statement": Lowering.block,
    "expression_statement": Lowering.expression_statement,
    "declaration": Lowering.declaration,
    "if_statement": Lowering.if_statement,
    "while_statement": Lowering.while_statement,
    "do_statement": Lowering.do_statement,
    "for_statement": Lowering.for_statement,
    "switch_statement": Lowering.switch_statement,
    "case_statement": Lowering.case_statement,
    "labeled_statement": Lowering.labeled_statement,
    "goto_statement": Lowering.goto_statement,
    "break_statement": Lowering.break_statement,
    "continue_statement": Lowering.continue_statement,
    "return_statement": Lowering.return_statement,
    "preproc_if": Lowering.preproc,
    "preproc_ifdef": Lowering.preproc,
    "preproc_elif": Lowering.preproc,
    "preproc_elifdef": Lowering.preproc,
    "attributed_statement": Lowering.attributed,
}

EXPRESSIONS: dict[str, Callable[[Lowering, tree_sitter.Node], Expr]] = {
    "identifier": Lowering.identifier,
    "type_identifier": Lowering.identifier,
    "field_identifier": Lowering.identifier,
    "primitive_type": Lowering.identifier,
    "type_descriptor": Lowering.identifier,
    "number_literal": Lowering.number,
    "char_literal": Lowering.char,
    "true": lambda self, node: facts.Const(1),
    "false": lambda self, node: facts.Const(0),
    "null": lambda self, node: facts.Const(0),
    "string_literal": Lowering.string,
    "concatenated_string": Lowering.string,
    "parenthesized_expression": Lowering.parenthesized,
    "compound_statement": Lowering.compound,
    "field_expression": Lowering.field,
    "subscript_expression": Lowering.subscript,
    "pointer_expression": Lowering.pointer,
    "unary_expression": Lowering.unary,
    "binary_expression": Lowering.binary,
    "conditional_expression": Lowering.conditional,
    "assignment_expression": Lowering.assignment,
    "update_expression": Lowering.update,
    "cast_expression": Lowering.cast,
    "comma_expression": Lowering.comma,
    "call_expression": Lowering.call_expression,
    "sizeof_expression": Lowering.sizeof,
    "offsetof_expression": Lowering.sizeof,
    "alignof_expression": Lowering.sizeof,
    "gnu_asm_expression": Lowering.sizeof,
    "initializer_list": Lowering.items,
    "compound_literal_expression": Lowering.compound_literal,
}

