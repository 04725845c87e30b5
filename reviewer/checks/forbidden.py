"""A rule that is a pattern: below these functions none of that may be reached, unless.

The search is the one that the other rules use: branches that the caller's constants rule out are not walked, tables and
registrations are resolved as far as they can be, and every finding has its way down with the locks held at each step.
"""

from __future__ import annotations

import functools
import operator
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from reviewer.checks.analysis import Analysis, Callback
from reviewer.checks.finding import Finding, Step
from reviewer.checks.names import matches, stands_in
from reviewer.checks.proof import confidence_of, entry_steps, first_call, inside, leaf_steps, place
from reviewer.checks.registry import Allocation, Below, Rule, Target
from reviewer.parse.facts import Call, Const, Expr, Name, Text
from reviewer.program.api.models import Function as Model
from reviewer.program.api.models import Irq
from reviewer.program.flow.lockflow import Seen
from reviewer.program.flow.setups import Setups
from reviewer.program.flow.summaries import Summaries
from reviewer.program.flow.summaries import place as object_at
from reviewer.program.graph.reach import DOUBTFUL, Leaf, Node, Reach, Search
from reviewer.program.linked import calls as program_calls
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold

DISTANCE, NODES = 20, 1500
"""How far below a start is searched, and how many functions at most (the nearest first)."""

MAX_OTHERS = 5
"""Other ways down that a message names."""


@dataclass(frozen=True, slots=True)
class Start:
    """A function below which is searched. ``how``: what it is, for people. ``outer``: locks that all its callers hold.
    ``steps``: how it is reached."""

    func: Func
    how: str
    outer: tuple[Hold, ...]
    steps: tuple[Step, ...]


def run(rule: Rule, analysis: Analysis) -> Iterator[Finding]:
    assert rule.forbid is not None
    reach = Pattern(analysis.summaries, rule.forbid.reach)
    for start in starts(analysis, rule.forbid.below):
        yield from below(rule, analysis, reach, start)


# --- where it starts ------------------------------------------------------------------------------


def starts(analysis: Analysis, below: Below) -> Iterator[Start]:
    """Every start of the rule once, in the order found."""
    if below.chain:
        for callback in analysis.callbacks:
            chain = callback.chain
            if (matches(below.chain, chain.short) or matches(below.chain, chain.head)) and stands_in(
                below.files, callback.func.path
            ):
                yield of_callback(analysis, callback)
        return
    done: set[str] = set()
    for func, how in functions(analysis, below):
        if func.key not in done and stands_in(below.files, func.path):
            done.add(func.key)
            yield Start(func, how, analysis.contexts.of(func).must, ())


def of_callback(analysis: Analysis, callback: Callback) -> Start:
    how = f"a callback of {callback.chain.short}"
    return Start(callback.func, how, inside(callback), tuple(entry_steps(analysis, callback)))


def functions(analysis: Analysis, below: Below) -> Iterator[tuple[Func, str]]:
    """The functions that ``below`` names, each with what it is."""
    program = analysis.program
    for name in below.function:
        for path in program.names.files_defining(name):
            for func in program.functions(path, name):
                yield func, "a function in question"
    if below.table:
        struct, _, field = below.table.partition(".")
        for folder in below.files or ("",):
            for _, func in analysis.summaries.calls.entries(struct, field, posixpath.join(folder, "_")):
                yield func, f"what {below.table} may call"
    if below.registered:
        yield from registered(analysis, below)


def registered(analysis: Analysis, below: Below) -> Iterator[tuple[Func, str]]:
    """Functions that some call in the files makes run later or on an event."""
    program = analysis.program
    setups = Setups(analysis.summaries)
    models = {
        name: [r for r in model.registers if r.how in below.registered]
        for name, model in program.models.functions.items()
        if any(r.how in below.registered for r in model.registers)
    }
    folders = [folder.rstrip("/*") for folder in below.files]
    users: dict[str, None] = {}
    for files in program.names.files_mentioning(sorted(models), folders).values():
        users.update(dict.fromkeys(files))
    program.load(users)
    for path in users:
        for func in program.functions_in(path):
            if any(name in models for name in func.calls):
                for seen, name in direct_calls(analysis, func):
                    for registers in models.get(name, ()):
                        for args in seen.args[:1]:
                            for started in setups.started(program.frame(func), registers, args):
                                yield started, f"run by {name}() as {registers.how}"


def direct_calls(analysis: Analysis, func: Func) -> Iterator[tuple[Seen, str]]:
    flow = analysis.summaries.flow(func)
    for seen in flow.seen if flow is not None else ():
        if isinstance(seen.event, Call) and isinstance(seen.event.callee, Name):
            yield seen, seen.event.callee.id


# --- what is reached ------------------------------------------------------------------------------


class Pattern(Reach):
    """A search whose leaves are what a rule forbids."""

    def __init__(self, summaries: Summaries, wanted: Target) -> None:
        super().__init__(summaries)
        self.wanted = wanted

    def may_matter(self, func: Func) -> bool:
        return True  # a rule may forbid the call of any function

    def _expand(self, node: Node, seen: Seen, search: Search, extra: int) -> Iterator[Node]:
        call = seen.event
        assert isinstance(call, Call)
        callee = seen.callee or call.callee
        if isinstance(callee, Name) and self.calls(callee.id):  # defined by the tree, modelled, or neither
            self._add_call(node, callee.id, call.at, seen, search, node.doubt)
        yield from super()._expand(node, seen, search, extra)

    def _target(
        self, node: Node, seen: Seen, call: Call, target: program_calls.Target, args: tuple[Expr, ...], search: Search,
        context: Irq, extra: int, unsure: int = 0,
    ) -> Iterator[Node]:  # fmt: skip
        if target.via and self.calls(target.name):
            doubt = node.doubt + unsure + (0 if target.sure else DOUBTFUL)
            self._add_call(node, target.name, call.at, seen, search, doubt)
        yield from super()._target(node, seen, call, target, args, search, context, extra, unsure)

    def calls(self, name: str) -> bool:
        return bool(self.wanted.call) and matches(self.wanted.call, name.rpartition(":")[2])

    def _add_call(self, node: Node, name: str, at: int, seen: Seen, search: Search, doubt: int) -> None:
        short = name.rpartition(":")[2]
        search.leaves.append(Leaf("call", node, short, at, Text(short), seen.must(), doubt))

    def _leaves(
        self, node: Node, seen: Seen, call: Call, target: program_calls.Target, model: Model, args: tuple[Expr, ...],
        search: Search, doubt: int,
    ) -> None:  # fmt: skip
        held = seen.must()
        wanted = self.wanted
        if wanted.allocation is not None and model.allocates is not None:
            mask = self.outer(node, self.summaries.mask(model, args))
            cleared = node.cleared | self._cleared(seen)
            if cleared:
                mask = values.binary("&", mask, Const(~cleared))
            if (several := values.bits_of(mask)) is not None:
                excuses = [self.program.gfp_value(name) or 0 for name in wanted.allocation.without]
                mask = Const(several[0] & ~functools.reduce(operator.or_, excuses, 0) | several[1])
            if not isinstance(mask, Const) or self.forbidden_mask(wanted.allocation, mask.value):
                unknown = 0 if isinstance(mask, Const) else 2
                search.leaves.append(Leaf("alloc", node, target.name, call.at, mask, held, doubt + unknown))
        for takes in model.takes if wanted.lock else ():
            lock = object_at(takes.lock, args)
            name = self.class_at(node, lock) if lock is not None else ""
            if lock is None or not name or takes.taken == "trylock" or not matches(wanted.lock, name):
                continue  # a trylock waits for nobody
            hold = Hold(lock, name, takes.kind, takes.mode, takes.taken, takes.irq, call.at)
            search.leaves.append(Leaf("acquire", node, target.name, call.at, lock, held, doubt, hold))
        for wait in model.waits:
            if wait.what in wanted.wait:
                search.leaves.append(Leaf("wait", node, target.name, call.at, Text(wait.what), held, doubt))

    def forbidden_mask(self, allocation: Allocation, mask: int) -> bool:
        """Whether the mask has every flag that the rule names and none that excuses it; a flag that this tree does not
        define is in no mask."""
        flags = [self.program.gfp_value(name) for name in allocation.flags]
        excuses = [self.program.gfp_value(name) for name in allocation.without]
        return all(f is not None and mask & f == f for f in flags) and not any(e and mask & e == e for e in excuses)


def below(rule: Rule, analysis: Analysis, reach: Pattern, start: Start) -> Iterator[Finding]:
    """One finding per call of the start and kind of thing (for locks, per class): the most certain, then nearest way; the
    message names others that are as certain."""
    search = reach.below(start.func, DISTANCE, NODES)
    ways: dict[tuple[int, str, str], list[Leaf]] = {}
    for leaf in sorted(search.leaves, key=lambda leaf: leaf.rank):
        if not excused(rule, leaf, start):
            lock = leaf.lock.name if leaf.lock is not None else ""
            ways.setdefault((first_call(leaf), leaf.kind, lock), []).append(leaf)
    for (at, _, lock), leaves in ways.items():
        leaf = leaves[0]
        others = dict.fromkeys(
            f"{other.name}() in {other.node.func.name}" for other in leaves[1:] if other.doubt == leaf.doubt
        )
        others.pop(f"{leaf.name}() in {leaf.node.func.name}", None)
        also = f"; also by {', '.join([*others][:MAX_OTHERS])}" if others else ""
        file, line, column, function = place(start.func, at)
        yield Finding(
            rule=rule.id, severity=rule.severity, confidence=confidence_of(leaf.doubt), file=file, line=line,
            column=column, function=function, message=sentence(rule, analysis, leaf, start) + also,
            involves=tuple(sorted({leaf.name, lock} - {""})),
            proof=(*start.steps, *leaf_steps(analysis, leaf, start.outer)), event=analysis.program.line_text(file, line),
        )  # fmt: skip


def excused(rule: Rule, leaf: Leaf, start: Start) -> bool:
    assert rule.forbid is not None
    unless = rule.forbid.unless
    if unless.through and any(matches(unless.through, node.func.name) for node in leaf.node.path()):
        return True
    held = {hold.name for hold in (*start.outer, *leaf.node.held, *leaf.held) if hold.name}
    return bool(unless.holding) and any(matches(unless.holding, name) for name in held)


def sentence(rule: Rule, analysis: Analysis, leaf: Leaf, start: Start) -> str:
    where = leaf.node.func.name
    text = {
        "call": f"calls {leaf.name}()",
        "alloc": f"allocates by {leaf.name}() with {mask_text(analysis, leaf)}",
        "acquire": f"waits for {leaf.lock.name if leaf.lock is not None else 'a lock'} by {leaf.name}()",
        "wait": f"waits in {leaf.name}()",
    }[leaf.kind]
    way = "" if where == start.func.name else f", by {where}"
    return f"{start.func.name}, {start.how}, {text}{way}: {rule.title}"


def mask_text(analysis: Analysis, leaf: Leaf) -> str:
    return analysis.program.gfp.text(leaf.data.value) if isinstance(leaf.data, Const) else "a mask that cannot be told"
