"""Which lock class is taken while which is held, function by function, each order with how it comes about.

As for lockdep a lock is its class: two objects of one struct may be taken in both orders by two tasks that mean them the
other way round. A struct that is little more than its lock (a wait queue, a list with a lock) has as many classes as users, so
an order of such says little.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from reviewer.parse.facts import AddressOf, Call, Const, Expr, Member, Name, StructDef
from reviewer.program.concurrency import attributes
from reviewer.program.concurrency.awaited import within
from reviewer.program.concurrency.entries import Entries, Entry
from reviewer.program.flow.effects import Effect, Effects, is_named
from reviewer.program.flow.horizon import DEPTH, FAR
from reviewer.program.flow.lockflow import Flow, Seen
from reviewer.program.flow.objects import rooted
from reviewer.program.flow.summaries import Summaries
from reviewer.program.index.linkage import ASIDE, by_distance, reachable
from reviewer.program.linked.calls import function_names
from reviewer.program.linked.link import Func, Program
from reviewer.program.linked.locks import ALONE, COMMON, OUTSIDE, SLEEPING, Hold, as_said
from reviewer.program.linked.structs import Frame

SMALL = 7
"""Fields of a struct that is there for its lock; struct sk_buff_head has four, wait_queue_head two."""

QUEUE = 3
"""Fields of a driver's own queue: a list, its lock, perhaps its length."""

HEADS = ("struct list_head", "struct hlist_head", "struct llist_head")

MAX_FILES = 12
"""Files of a folder that are searched for the other order of two locks."""

MAX_FAR = 6
"""Files of other folders that are searched for it, the nearest first."""

MAX_FUNCTIONS = 40
"""Functions that are searched for it."""


@dataclass(frozen=True, slots=True)
class Order:
    """``hold`` is held in ``func`` where ``effect`` takes another lock. ``outer``: what else is held exclusively. ``entry``: how
    the function is started by those who hold the first. ``whole``: of a lock that everything has which is in a tree (a device),
    the struct whose part that is, "" where it cannot be told; a review asks for it."""

    func: Func
    seen: Seen
    hold: Hold
    effect: Effect
    outer: frozenset[str]
    doubt: int
    entry: Entry | None = None
    whole: tuple[str, str] = ("", "")

    @property
    def pair(self) -> tuple[str, str]:
        assert self.effect.hold is not None
        return self.hold.name, self.effect.hold.name


def keeps_out(hold: Hold) -> bool:
    """Whether somebody may wait for whoever holds it: for readers of SRCU ``synchronize_srcu()`` does (as for lockdep, see
    srcu_lock_sync() in include/linux/srcu.h)."""
    return hold.kind not in ALONE or hold.kind == "srcu"


def abroad(func: Func, effect: Effect) -> bool:
    """Whether a way leaves the folder, headers aside, by a table where it goes through any: one of the many who fill it need not
    be the one that is meant."""
    home = posixpath.dirname(func.path)
    met = (*(f for f, _ in effect.way[1:]), effect.func)
    by_table = [to for (_, call), to in zip(effect.way, met, strict=False) if not is_named(call.callee)]
    return any(not f.path.endswith(".h") and posixpath.dirname(f.path) != home for f in by_table or met)


def spelled(lock: Expr | None) -> bytes:
    """The end of a lock's path as code most often has it (``state.lock`` of ``&wdata->state.lock``)."""
    path = lock.base if isinstance(lock, AddressOf) else lock
    if not isinstance(path, Member):
        return b""
    owner = path.base.name if isinstance(path.base, Member) else ""
    return f"{owner}{'->' if path.arrow and owner else '.' if owner else ''}{path.name}".encode()


def whole(frame: Frame, lock: Expr) -> str:
    """The struct in which an object stands, or in which it does that has the lock inside."""
    path = within(frame, rooted(frame, lock.base if isinstance(lock, AddressOf) else lock))
    return path[0].rpartition(".")[0] if path else ""


class Orders:
    """The orders of one program, memoised by function. ``deeper``: calls below which more is looked at than elsewhere."""

    def __init__(
        self, summaries: Summaries, effects: Effects, entries: Entries, deeper: Callable[[Func, Seen], bool] | None = None
    ) -> None:
        self.entries = entries
        self.deeper = deeper
        self.summaries = summaries
        self.effects = effects
        self.program: Program = summaries.program
        self._of: dict[str, dict[tuple[str, str], Order]] = {}
        self._small: dict[str, bool] = {}

    def of(self, func: Func) -> dict[tuple[str, str], Order]:
        """The orders that one function shows, each with its surest witness."""
        got = self._of.get(func.key)
        if got is None:
            got = self._of[func.key] = {}
            flow = self.summaries.flow(func)
            for order in self._in(flow) if flow is not None and not flow.capped else ():
                old = got.get(order.pair)
                if old is None or (order.doubt, order.effect.depth) < (old.doubt, old.effect.depth):
                    got[order.pair] = order
        return got

    def under_more(self, func: Func, more: dict[int, tuple[Hold, ...]]) -> Iterator[Order]:
        """The orders where callers hold ``more`` at the positions of events."""
        flow = self.summaries.flow(func)
        for order in self._in(flow, more) if flow is not None and not flow.capped else ():
            if order.hold in more.get(order.seen.event.at, ()):
                yield order

    def _in(self, flow: Flow, more: dict[int, tuple[Hold, ...]] | None = None) -> Iterator[Order]:
        func = flow.frame.func
        entered = {h: e for e, h in self.entries.held_for_sure(func) if h.kind not in ALONE}
        for seen in flow.seen:
            if not isinstance(seen.event, Call):
                continue
            lent = more.get(seen.event.at, ()) if more else ()
            held = [h for h in (*entered, *lent, *seen.may()) if h.name and keeps_out(h)]
            if not held:
                continue
            must = (*entered, *lent, *seen.must())
            depth = FAR if self.deeper is not None and self.deeper(func, seen) else DEPTH
            for effect in self.effects.at(func, seen, depth):
                inner = effect.hold
                if effect.kind != "acquire" or inner is None or inner.taken == "trylock" or not keeps_out(inner):
                    continue
                if any(h.lock == inner.lock and not effect.lets_go(h) for h in must):
                    continue  # held already: taken once more it is no order, but a deadlock of its own
                for hold in held:
                    if not inner.name or inner.name == hold.name or effect.lets_go(hold):
                        continue
                    if (hold.kind == "srcu" and inner.kind not in SLEEPING) or (inner.kind == "srcu" and inner.mode == "shared"):
                        continue  # a reader waits for nobody, and who waits for readers holds no lock that spins
                    there = effect if hold in entered or hold in lent else self.effects.under(func, seen, hold, effect)
                    if there is None:
                        continue
                    outer = frozenset(
                        h.name for h in (*must, *effect.held)
                        if h.mode == "exclusive" and h.name not in ("", hold.name, inner.name) and h.kind not in ALONE
                    )  # fmt: skip
                    names, wholes = (hold.name, inner.name), self.wholes(func, hold, there)
                    vague = any(self.small(n, func) or (n in self.trees and not w) for n, w in zip(names, wholes, strict=True))
                    entry = entered.get(hold)
                    again = hold.at == seen.event.at  # in a loop, what the call itself may have left held: most likely it has not
                    perhaps = 0 if hold in must else 2 if again else 1
                    doubt = there.doubt + perhaps + 2 * vague + (there.doubt > 0 and abroad(func, there))
                    doubt += entry.doubt if entry is not None else 0
                    doubt += 2 * self.nests(there)
                    yield Order(func, seen, hold, there, outer, doubt, entry, wholes)

    @cached_property
    def trees(self) -> frozenset[str]:
        """Classes of locks that everything has which is in a tree."""
        return frozenset(self.program.models.trees)

    def wholes(self, func: Func, hold: Hold, effect: Effect) -> tuple[str, str]:
        """Of two locks that are in such a class, the structs whose part the objects are (``&dev->dev``: a ``struct nfc_dev``)."""
        if self.entries.nearby is None:
            return "", ""
        first = second = ""
        if hold.name in self.trees and hold.where != OUTSIDE:
            first = whole(self.program.frame(func), hold.lock)
        if effect.hold is not None and effect.hold.name in self.trees and (args := self._args(effect)):
            second = whole(self.program.frame(effect.func), args[0])
        return first, second

    def nests(self, effect: Effect) -> bool:
        """Whether a lock is taken with a subclass: to lockdep, a class apart from that of the other objects."""
        model = self.program.model(effect.name)
        index = next((t.subclass for t in (model.takes if model is not None else ()) if t.subclass is not None), None)
        args = self._args(effect) if index is not None else ()
        return index is not None and index < len(args) and args[index] != Const(0)

    def _args(self, effect: Effect) -> tuple[Expr, ...]:
        """What the call of an effect passes, in terms of the function that makes it; nothing where that cannot be told."""
        flow = self.summaries.flow(effect.func)
        calls = (s for s in (flow.seen if flow is not None else ()) if s.event.at == effect.at and s.args)
        return next((s.args[0] for s in calls if s.args[0]), ())

    def small(self, name: str, func: Func) -> bool:
        """Whether a class is a lock inside of a struct that everybody embeds for it."""
        struct, dot, _ = name.lstrip("*").partition(".")
        if not dot or not struct.startswith(("struct ", "union ")):
            return False
        got = self._small.get(struct)
        if got is None:
            found = self.program.struct_at(struct, func.path)
            got = self._small[struct] = found is None or self._is_small(found[1], found[0])
        return got

    def _is_small(self, struct: StructDef, path: str) -> bool:
        if path.startswith("include/"):
            return self.fields(struct, path) <= SMALL
        return len(struct.fields) <= QUEUE and any(f.type.name in HEADS for f in struct.fields)

    def fields(self, struct: StructDef, path: str) -> int:
        """How many fields a struct has, those of anonymous structs inside it counted."""
        inner = (self.program.struct_at(f.type.name, path) if "<anon:" in f.type.name else None for f in struct.fields)
        return sum(self.fields(found[1], found[0]) if found is not None else 1 for found in inner)

    def inverse(self, order: Order) -> Iterator[Order]:
        """The other order of the same two classes, in functions of the folder that name the lock which is taken here; or the one
        that is held, if the callers of some operations hold that which is taken. Elsewhere, in files that name both."""
        first, second = order.pair
        yield from self.registered_under(order)
        taking = self.takers.get(as_said(second, order.func.path), ())
        words = {word for word in (self.word(second), *self.wrappers(order), *taking) if word}
        around = as_said(second, order.func.path) in self.around
        first_word = self.word(first) if around else ""
        # What everybody calls his so (``lock``) is looked for where it is taken here.
        everyone = order.func.path if around and not first_word else ""
        held = self.word(first).encode()
        asked = 0
        candidates: Iterable[Func] = self._candidates(order, words, first_word, everyone)
        if self.entries.nearby is not None:  # a review, in which it matters that none is missed: who names both first
            taken = spelled(order.effect.what)
            candidates = sorted(candidates, key=lambda f: (not held or held not in f.text, taken not in f.text))
        for func in candidates:
            if asked >= MAX_FUNCTIONS:
                return
            asked += func.key not in self._of
            back = self.of(func).get((second, first))
            if back is not None and all(self.program.same_class(n, order.func.path, func.path) for n in (first, second)):
                yield back

    def _candidates(self, order: Order, words: set[str], first_word: str, everyone: str) -> Iterator[Func]:
        """The functions that may have the other order, file by file."""
        second = order.pair[1]
        for file in self._files(order, words, first_word):
            found = {f.key: f for word in sorted(words) for f in self.program.functions_with(file, word)}
            for func in [f for f in found.values() if self._returns_with(f, second)]:
                found |= {f.key: f for f in self.program.functions_with(file, func.name)}
            users = self.program.functions_with(file, first_word) if first_word else ()
            for func in self.program.functions_in(file) if file == everyone else users:
                if any(h.name == second for _, h in self.entries.held(func)):
                    found.setdefault(func.key, func)
            yield from found.values()
        if self.entries.nearby is not None and as_said(second, order.func.path) in self.around:
            yield from self._operating(order) if not first_word else ()
        elif self.entries.nearby is not None:
            for func in self.program.functions_in(order.func.path):
                if self.entries.slots(func) and any(h.name == second for _, h in self.entries.held_for_sure(func)):
                    yield func

    def _operating(self, order: Order) -> Iterator[Func]:
        """Operations in tables of the folder whose callers hold the lock that is taken here, by the models."""
        home, second = order.func.path, as_said(order.pair[1], order.func.path)
        models, calls = self.program.models.operations, self.summaries.calls
        tables = [t for t, o in models.items() if any(h.lock == second for h in (*o.holds, *o.holds_among.values()))]
        for struct in dict.fromkeys(t.rpartition(".")[0] for t in tables):
            near = [f for f in calls.files_with(struct, home) if posixpath.dirname(f) == posixpath.dirname(home)]
            fields = [t.rpartition(".")[2] for t in tables if t.rpartition(".")[0] == struct]
            for file in near[:MAX_FILES]:
                yield from (func for field in fields for func in calls.in_file(file, struct, field))

    def _files(self, order: Order, words: set[str], first_word: str) -> list[str]:
        """The files with one of the words: of the folder, its own first, and of others that name the lock which is held, too."""
        first, second = order.pair
        held = {word for word in (self.word(first), *self.takers.get(as_said(first, order.func.path), ())) if word}
        named = self.program.names.files_mentioning(sorted(words | held))
        home, folder = order.func.path, posixpath.dirname(order.func.path)
        taking = {f for word in words for f in named[word] if f.endswith(".c")}
        naming = taking | {f for f in (named[first_word] if first_word else ()) if f.endswith(".c")}
        naming |= {home} if home.endswith(".c") else set()
        near = sorted((f for f in naming if posixpath.dirname(f) == folder), key=lambda f: (f != home, f))
        named_all = all(is_named(call.callee) for _, call in order.effect.way)  # else it is the order of who fills the table
        far = taking.intersection(f for word in held for f in named[word]).difference(near) if named_all else set[str]()
        reached = [f for f in sorted(far) if f.split("/", 1)[0] not in ASIDE and reachable(home, f)]
        wanted = (near, MAX_FILES), (by_distance(reached, home), MAX_FAR)
        return [file for files, limit in wanted for file in self._knowing(second, files, home)[:limit]]

    def _knowing(self, lock: str, files: list[str], home: str) -> list[str]:
        """Those of the files that see what the struct of a lock is like, if that stands in a file of its driver: no other can
        take the lock. One that everybody may include is not looked for."""
        struct = lock.lstrip("*").rpartition(".")[0]
        found = self.program.struct_at(struct, home) if struct.startswith(("struct ", "union ")) else None
        if found is None or found[0].startswith("include/"):
            return files
        return [f for f in files if f in (home, found[0]) or found[0] in self.program.units.visible(f)]

    def _returns_with(self, func: Func, lock: str) -> bool:
        """Whether a function may leave the lock held, as one does that is there to take it."""
        return self.summaries.locks(func) and any(h.name == lock for o in self.summaries.of(func).outcomes for h in o.takes)

    @cached_property
    def takers(self) -> dict[str, tuple[str, ...]]:
        """Modelled functions and guards that take a lock of which there is one: nobody need name it (``rtnl_lock()``)."""
        found: dict[str, dict[str, None]] = {}
        for name, model in self.program.models.functions.items():
            for takes in (*model.takes, *model.inside):
                if takes.lock.base == "global" and takes.kind not in ALONE and takes.taken != "trylock":
                    found.setdefault(".".join((takes.lock.name, *takes.lock.path)), {})[name] = None
        for guard, name in self.program.models.guards.items():
            for names in found.values():
                if name in names:
                    names[guard] = None
        return {lock: tuple(names) for lock, names in found.items()}

    @cached_property
    def around(self) -> frozenset[str]:
        """Lock classes that the callers of operations hold, by the models."""
        operations = self.program.models.operations.values()
        return frozenset(h.lock for o in operations for h in (*o.holds, *o.holds_among.values()))

    def registered_under(self, order: Order) -> Iterator[Order]:
        """The other order in callbacks that the folder registers, and that are called with the second lock held."""
        first, second = order.pair
        models = self.program.models.functions
        words = [name for name, m in models.items() if any(h.lock == second for r in m.registers for h in r.holds)]
        folder = posixpath.dirname(order.func.path)
        named = self.program.names.files_mentioning(words, (folder,) if folder else ()) if words else {}
        for file in list(dict.fromkeys(f for word in words for f in named.get(word, ())))[:MAX_FILES]:
            if posixpath.dirname(file) != folder:
                continue
            for word in words:
                for callback in self._at_file_scope(file, word):
                    found = self.of(callback).get((second, first))
                    if found is not None:
                        yield found
            for user in {f.key: f for word in words for f in self.program.functions_with(file, word)}.values():
                for callback in self._callbacks(user, words):
                    found = self.of(callback).get((second, first))
                    if found is not None:
                        yield found

    def _at_file_scope(self, file: str, macro: str) -> Iterator[Func]:
        """The functions that uses of a macro outside of functions register."""
        for use in self.program.file(file).uses(macro):
            for r in self.program.models.functions[macro].registers:
                for name in attributes.words(use.args, r):
                    yield from self.program.resolve(name, file)

    def _callbacks(self, user: Func, apis: list[str]) -> Iterator[Func]:
        """The functions that a function passes to one of these to be called."""
        body = self.program.body(user)
        for block in body.blocks if body is not None else ():
            for event in block.events:
                if isinstance(event, Call) and isinstance(event.callee, Name) and event.callee.id in apis:
                    for r in self.program.models.functions[event.callee.id].registers:
                        if r.callback is not None and r.callback < len(event.args):
                            for word in function_names(event.args[r.callback]):
                                yield from self.program.resolve(word, user.path)

    @staticmethod
    def word(name: str) -> str:
        """The name by which functions speak of a lock, unless everybody calls his so."""
        word = name.rpartition(".")[2].rpartition(":")[2]
        return word if word not in COMMON else ""

    @staticmethod
    def wrappers(order: Order) -> Iterator[str]:
        """Functions and macros for the sake of the lock on the way to it."""
        for func, _ in order.effect.way[1:]:
            if func.path.endswith(".h") or func.macro is not None:
                yield func.name
        func = order.effect.func
        if order.effect.way and (func.path.endswith(".h") or func.macro is not None):
            yield func.name
        if Orders.word(order.pair[1]) == "":
            yield order.effect.name if not order.effect.way else ""
