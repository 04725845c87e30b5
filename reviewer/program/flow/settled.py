"""Conditions that a way has settled before it comes to them: a callee locks only if a field says so, and its caller has just
written the field so that it does not (``p->quick = true; add(p);`` where ``add()`` returns early for quick ones).

A field is told by its struct, as lockdep tells a lock; what is stored between the two is not looked for any further.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from reviewer.parse import facts
from reviewer.parse.facts import (
    AddressOf,
    Binary,
    Call,
    Cast,
    Const,
    Deref,
    Expr,
    Index,
    Items,
    Member,
    Name,
    Result,
    Text,
)
from reviewer.program.api.models import Function as Model
from reviewer.program.flow.effects import Effect, stations
from reviewer.program.flow.established import Asked, Established, asked_in, bare, is_place
from reviewer.program.flow.lockflow import Seen, follows, polarity, reached, seen_at, unexecuted, writes_field
from reviewer.program.flow.objects import object_name, objects_read, root_of, rooted
from reviewer.program.flow.onetable import OneTable
from reviewer.program.flow.precedence import always_first, comes_first
from reviewer.program.flow.summaries import Summaries, accesses, stored
from reviewer.program.flow.telling import stores
from reviewer.program.flow.ways import Guard, Ways, assigned, is_flag
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold, lock_class
from reviewer.program.linked.structs import Frame
from reviewer.program.linked.written import writes_of

CURRENT = (Name("::current"), Name("current"), Text("current()"), Text("get_current()"))
"""The task itself, as a variable or a macro."""


MADE_BELOW = 2
"""Functions below one that gives a new object, of which one makes it."""

Wanted = tuple[tuple[str, Expr | None], Asked]
"""A field by its name, with the flag in it if it is one of several, and what is asked of it."""


class Settled:
    """Memoised by function and position."""

    def __init__(self, summaries: Summaries) -> None:
        self.summaries = summaries
        self.program = summaries.program
        self.tables = OneTable(summaries)
        self.established = Established(summaries)
        self.ways = Ways(summaries, self.established)
        self._constants: dict[tuple[str, str, str, str], tuple[Expr, ...]] = {}
        self._kept: dict[tuple[str, str], str] = {}
        self._asked = (
            self._settled, self._still_empty, self._denied, self._given, self._never_set, self._configured, self._taken_away,
            self._other_number,
        )  # fmt: skip
        self._asked_of_labels = self._settled, self._denied, self._other_number

    def against(self, func: Func, seen: Seen, effect: Effect) -> bool:
        """Whether the effect of an event of ``func`` needs a field to be what a function on the way has made it not to be, or an
        operation to be another than the object has."""
        if self.tables.denies(effect):
            return True
        above: list[tuple[Func, int, tuple[Expr, ...]]] = [(func, seen.event.at, seen.args[0] if seen.args else ())]
        for inner, at in steps(effect):
            for guard in self.ways.guards(inner, at):
                if any(settles(above, inner, guard) for settles in self._asked):
                    return True
                if effect.kind == "alloc" and self._prepared(above, inner, guard):
                    return True
            for arm in self.ways.arms(inner, at):
                if all(any(says(above, inner, label) for says in self._asked_of_labels) for label in arm):
                    return True
            here = seen_at(self.summaries.flow(inner), at)
            above.append((inner, at, here.args[0] if here is not None and here.args else ()))
        return False

    def at_odds(self, ways: Sequence[tuple[Func, int]], others: Sequence[tuple[Func, int]] = ()) -> bool:
        """Whether two of some events come about only if a field says one thing here and the opposite there, of objects of one
        kind if not of the same, and none of their functions changes it (``if (!p->bus) register(p);``, and in the interrupt that
        this requests ``if (p->bus) lock();``).

        :param others: those that are asked against the first ones; without any, each of ``ways`` against those before it.
        """
        said: list[Wanted] = []
        funcs = {f.key: f for f, _ in (*ways, *others)}.values()
        for n, (func, at) in enumerate((*ways, *others)):
            guards = self.ways.guards(func, at)
            asks = [*self._asked_by(func, guards), *self._predicates(func, guards)]
            for name, told in asks if n >= len(ways) or not others else ():
                field = name[0].rpartition(".")[2]
                contradicted = any(name == m and told.contradicts(t) for m, t in said)
                if contradicted and not any(self.established.changes(f, field) for f in funcs):
                    return True
            said += asks if n < len(ways) else ()
        return False

    def at_odds_below(self, func: Func, seen: Seen, effect: Effect) -> bool:
        """The same of an event of a function and those below it by which it comes to an effect."""
        return self.at_odds(whole_way(func, seen, effect))

    def _predicates(self, func: Func, guards: Iterable[Guard]) -> Iterator[Wanted]:
        """What some conditions want of predicates of one object, whichever it is, and of the field that these read."""
        frame = self.program.frame(func)
        for guard in guards:
            call = frame.call(guard.condition.call) if isinstance(guard.condition, Result) else None
            args = tuple(frame.canonical(a, {}) for a in call.args) if call is not None else ()
            numbers = [a.value for a in args if isinstance(a, Const)]
            words = self.established.reads(call, args, func) if call is not None and len(args) - len(numbers) == 1 else None
            if call is not None and isinstance(call.callee, Name) and words and len(words) == 1:
                yield (f"{call.callee.id} {numbers}.{min(words)}", None), Asked(call.callee, "!=", Const(0), guard.truth)

    def set_up_apart(self, sites: Iterable[tuple[str, str, int]], func: Func, seen: Seen, effect: Effect) -> bool:
        """Whether an effect of a callback needs a field to be what it is not wherever the callback is set up (``if (!p->slow)
        ops->set = set;``, and in ``set()``: ``if (p->slow) sleep();``), and that is not changed later.

        :param sites: the file, the function and the line of each set-up.
        """
        ways = whole_way(func, seen, effect)
        wanted = [told for inner, at in ways for told in self._asked_by(inner, self.ways.guards(inner, at))]
        return bool(wanted) and all(self._only_without(*site, wanted) for site in sites)

    def _only_without(self, path: str, function: str, line: int, wanted: Sequence[Wanted]) -> bool:
        for func in self.program.functions(path, function) if function else ():
            at = [s.event.at for s in self._seen(func) if func.line_of(s.event.at) == line]
            flow = self.summaries.flow(func) if at else None
            there = dict(self._asked_by(func, self.ways.around(flow, at[-1], True))) if flow is not None else {}
            if any(name in there and there[name].contradicts(told) and self._fixed_by(func, name) for name, told in wanted):
                return True
        return False

    def _asked_by(self, func: Func, guards: Iterable[Guard]) -> Iterator[Wanted]:
        """What some conditions want of fields, by the name of the field, or of the flag in it."""
        frame = self.program.frame(func)
        for guard in guards:
            said = asked_in(guard.condition, guard.truth)
            what = said.what if said is not None else guard.condition
            place = what.left if isinstance(what, Binary) else what
            name = object_name(frame, rooted(frame, place)) if isinstance(place, Member) else ""
            if said is not None and name:
                yield (name, what.right if isinstance(what, Binary) else None), said

    def _fixed_by(self, func: Func, name: tuple[str, Expr | None]) -> bool:
        """Whether only a function, those that it calls and those that call it store to a field, as far as its unit goes."""
        word = name[0].rpartition(".")[2]
        return all(
            f.key == func.key or f.name in func.calls or func.name in f.calls
            for file in self.program.unit(func.path) for f in self.program.functions_with(file, word)
            if writes_field(f.text, word)
        )  # fmt: skip

    def once(self, effect: Effect) -> bool:
        """Whether a callee comes to the effect only while a variable is not set, and sets it: somebody was the first before."""
        for inner, at in steps(effect):
            frame = self.program.frame(inner)
            asked_for = {
                name for g in self.ways.guards(inner, at) if not g.truth and not told_apart(g.condition)
                for name, _ in objects_read(frame, g.condition) if is_variable(name)
            }  # fmt: skip
            if asked_for and any(self.sets(frame, name) for name in asked_for):
                return True
        return False

    def owned(self, effect: Effect) -> bool:
        """Whether a callee comes to the effect only if its own task is not who owns what it wants (``if (owner == current)``)."""
        return any(
            isinstance(g.condition, Binary) and g.condition.op == "==" and not g.truth
            and any(by_name(self.program.frame(inner), side) in CURRENT for side in (g.condition.left, g.condition.right))
            for inner, at in steps(effect) for g in self.ways.guards(inner, at)
        )  # fmt: skip

    def sets(self, frame: Frame, name: str) -> bool:
        """Whether a function stores something in a variable, by itself or by an API that publishes."""
        for s in self._seen(frame.func):
            callee = s.event.callee if isinstance(s.event, Call) else None
            model = self.program.models.functions.get(callee.id) if isinstance(callee, Name) else None
            if any(object_name(frame, rooted(frame, path)) == name for path in stored(s, model)):
                return True
        return False

    def by_flag(self, effect: Effect) -> bool:
        """Whether a callee comes to the effect only if a flag of some object says so (``if (!(p->flags & SHARED)) return;``)."""
        return any(is_flag(g.condition) for inner, at in steps(effect) for g in self.ways.guards(inner, at))

    def by_field(self, effect: Effect) -> bool:
        """Whether a callee comes to the effect only if a field of some object says so."""
        return any(
            asked_word(self.program.frame(inner), g)[0] is not None
            for inner, at in steps(effect) for g in self.ways.guards(inner, at)
        )  # fmt: skip

    def by_itself(self, effect: Effect) -> bool:
        """Whether the object of the effect is asked first (``if (timer_pending(&t)) timer_delete_sync(&t);``)."""
        flow = self.summaries.flow(effect.func)
        here = seen_at(flow, effect.at)
        if flow is None or here is None or not here.args or not here.args[0]:
            return False
        on = bare(here.args[0][0])
        for guard in self.ways.guards(effect.func, effect.at):
            call = flow.frame.call(guard.condition.call) if isinstance(guard.condition, Result) else None
            if call is not None and on in self.established.given(flow, call):
                return True
        return False

    def told_gone(self, func: Func, seen: Seen, hold: Hold) -> bool:
        """Whether an event comes about only if a call that was made under the lock has said so in a local of the caller
        (``flush(&handover); if (handover) lock();``): that the lock is not held any more."""
        frame = self.program.frame(func)
        for guard in self.ways.guards(func, seen.event.at):
            word = guard.condition
            if not isinstance(word, Name) or not word.id.startswith("$"):
                continue
            for s in self._seen(func):
                said = isinstance(s.event, Call) and s.event.at > hold.at and any(AddressOf(word) in args for args in s.args)
                if said and any(h.lock == hold.lock for h in s.may()) and comes_first(frame, s, seen):
                    return True
        return False


    def _denied(self, above: list[tuple[Func, int, tuple[Expr, ...]]], inner: Func, guard: Guard) -> bool:
        """Whether a function on the way has made sure, whatever way it came, that the same object says the opposite (``if
        (is_vf(p)) poll(p);``, and ``poll()`` is for those that are none)."""
        condition, at = self._copied(inner, guard)
        question = self.established.question(inner, condition, guard.truth)
        if question is None or self.established.at(inner, at, question) is False:
            return False
        below = inner
        for func, at, args in reversed(above):
            question = question.above(self.program.frame(func), args, below.name)
            if question is None:
                return False
            said = self.established.at(func, at, question)
            if said is not None:
                return said
            below = func
        return False

    def _copied(self, inner: Func, guard: Guard) -> tuple[Expr, int]:
        """What a condition asks for, and where: a local that has only ever one value is what it was set to, there."""
        frame = self.program.frame(inner)
        local = guard.condition.left if isinstance(guard.condition, Binary) else guard.condition
        once = assigned(frame, local) if isinstance(local, Name) and local.id.startswith("$") else []
        if len(once) != 1 or not is_place(once[0]):
            return guard.condition, guard.at
        if isinstance(guard.condition, Binary):
            return values.binary(guard.condition.op, once[0], guard.condition.right), guard.at
        return once[0], guard.at

    def _given(self, above: list[tuple[Func, int, tuple[Expr, ...]]], inner: Func, guard: Guard) -> bool:
        """Whether a pointer must be NULL, for which a function on the way passes an address, or one that it has asked for, or
        follows: before it goes on, for a lock that it holds, for another argument (``start(&node->rx, node)``)."""
        condition, below = guard.condition, inner
        for func, at, args in reversed(above if not guard.truth else ()):
            if isinstance(condition, Name) and condition.id.startswith("%") and int(condition.id[1:]) < len(args):
                condition = args[int(condition.id[1:])]
            elif isinstance(condition, Member) and not self._may_store(func, condition.name):
                condition = values.substitute(condition, args, below.name)
            else:
                return False
            if isinstance(condition, AddressOf) or any(leads_through(a, condition) for a in args):
                return True
            asked_for = any(g.truth and g.condition == condition for g in self.ways.guards(func, at))
            if asked_for or self._follows(func, at, condition):
                return True
            below = func
        return False

    def _other_number(self, above: list[tuple[Func, int, tuple[Expr, ...]]], inner: Func, guard: Guard) -> bool:
        """Whether what is asked of parameters alone has another answer for what a function on the way passes, or for all that
        it may be (``read(p, 1029 + base)``, which asks for its own lock below 1024)."""
        condition, below, asked = guard.condition, inner, guard.at
        for func, at, _ in reversed(above if of_parameters(condition) else ()):
            here = seen_at(self.summaries.flow(func), at)
            worlds = set(here.args) if here is not None else set()
            if len(worlds) != 1 or not as_passed(self.program.frame(below), condition, asked):
                return False
            condition, below, asked = values.substitute(condition, worlds.pop(), below.name), func, at
            known = values.truth(values.rebuild(condition, partial(self._made_by_macro, func)))
            if known is not None:
                return known != guard.truth
        return False

    def _made_by_macro(self, func: Func, value: Expr) -> Expr | None:
        """What a macro is that makes up a value (``flags_of(length)`` is ``length << 1 | NO_WAIT``)."""
        if not isinstance(value, Result):
            return None
        seen = next((s for s in self._seen(func) if isinstance(s.event, Call) and s.event.number == value.call), None)
        callee = seen.event.callee if seen is not None and isinstance(seen.event, Call) else None
        found = self.summaries.calls.named(callee.id, func.path) if isinstance(callee, Name) else ()
        macros = [t.func for t in found if t.func is not None and t.func.macro is not None]
        flow = self.summaries.flow(macros[0]) if macros else None
        made = {e.value for e in flow.endings if e.value is not None} if flow is not None else set()
        if seen is None or not seen.args or len(made) != 1:
            return None
        return values.substitute(made.pop(), seen.args[0], macros[0].name)

    def _follows(self, func: Func, at: int, pointer: Expr) -> bool:
        """Whether a function has followed a pointer on every way to an event, or holds a lock of what it points to there."""
        events = self._seen(func)
        here = next((s for s in events if s.event.at == at), None)
        if here is None or not isinstance(pointer, Name | Member | Result | Cast) or not self._lasts(func, pointer):
            return False
        if any(follows(h.lock, pointer) for h in here.must()):
            return True
        frame = self.program.frame(func)
        return any(
            s is not here and s.args and all(any(leads_through(e, pointer) for e in args) for args in s.args)
            and always_first(frame, s, here) for s in events
        )  # fmt: skip

    def _unquestioned(self, func: Func, pointer: Expr) -> bool:
        """Whether a function never asks whether a pointer that it was passed, or that a local of its has, is one."""
        flow = self.summaries.flow(func)
        if flow is None or not isinstance(pointer, Name) or pointer.id[:1] not in "%$" or not points(flow.frame, pointer):
            return False
        return not any(polarity(condition)[1] == pointer for _, _, condition, _ in self.established.edges(flow))

    def _lasts(self, func: Func, pointer: Expr) -> bool:
        """Whether the words for a pointer mean the same throughout a function: it stores to none of them."""
        frame, root = self.program.frame(func), root_of(pointer)
        if any(isinstance(e, Member) and stores(frame.body, e.name) for e in values.walk(pointer)):
            return False
        if not isinstance(root, Name) or root.id[:1] not in "$%":
            return isinstance(root, Result)
        if root.id.startswith("$"):
            return root.id[1:] not in frame.assigned or len(assigned(frame, root)) == 1
        i = int(root.id[1:])
        return i < len(func.parameters) and func.parameters[i].name not in frame.assigned

    def _configured(self, above: list[tuple[Func, int, tuple[Expr, ...]]], inner: Func, guard: Guard) -> bool:
        """Whether a library asks for a field of what it has been handed, and all objects of that struct in the file where the way
        begins are initialised so that it does not come to the event (``static struct config config = {.mode = RAW};``)."""
        field, wanted, other = asked(self.program.frame(inner), guard)
        func = above[0][0]
        root = root_of(field) if isinstance(field, Member) else None
        if not isinstance(field, Member) or not isinstance(root, Name) or not root.id.startswith("%"):
            return False
        frame = self.program.frame(inner)
        type_ = frame.type_of(field.base)
        struct = frame.resolve(type_).name if type_ is not None else ""
        if not struct.startswith("struct ") or "<anon:" in struct or "@" in struct or inner.path in self.program.unit(func.path):
            return False
        key = func.path, struct, field.name, inner.path
        if key not in self._constants:
            self._constants[key] = self._initialised(*key)
        return bool(self._constants[key]) and all(denies(v, wanted, other) for v in self._constants[key])

    def _initialised(self, path: str, struct: str, field: str, library: str) -> tuple[Expr, ...]:
        """What the objects of a struct at file scope have in a field from the start to the end; none where there are others.

        :param library: the file that asks, where the words mean the same.
        """
        tag = struct.split(" ", 1)[1]
        found: list[Expr] = []
        for file in (f for f in self.program.unit(path) if f.endswith(".c")):
            made = [v for v in self.program.initialised_with(file, tag) if v.type.name == struct]
            if any(v.type.array or v.type.pointer or not isinstance(v.value, Items) for v in made):
                return ()
            for func in self.program.functions_with(file, tag):
                body = self.program.body(func)
                if body is None or any(v.type.name == struct and not v.type.pointer for v in body.locals):
                    return ()
            if made and any(stores(self.program.body(f), field) for f in self.program.functions_with(file, field)):
                return ()
            found += (self._number(v.value, field, (file, library)) for v in made if isinstance(v.value, Items))
        return tuple(found)

    def _number(self, value: Items, field: str, files: tuple[str, ...]) -> Expr:
        """A member of an initialiser as a number, by the words of one of the files; 0 where it is left out."""
        given = [v for name, v in value.items if name == f".{field}"]
        if not all(name.startswith(".") for name, _ in value.items):
            return values.UNKNOWN
        known = (self.program.constants.number(given[-1], file) if given else 0 for file in files)
        number = next((n for n in known if n is not None), None)
        return Const(number) if number is not None else values.UNKNOWN

    def _prepared(self, above: list[tuple[Func, int, tuple[Expr, ...]]], inner: Func, guard: Guard) -> bool:
        """Whether a pointer parameter must be NULL, for which the first function on the way passes one of its own, or a local
        that need not be: what would be allocated was so before (``p = alloc(); lock(); insert(p);``)."""
        condition = guard.condition
        if guard.truth or not isinstance(condition, Name) or not points(self.program.frame(inner), condition):
            return False
        for _, _, args in reversed(above):
            if not isinstance(condition, Name) or not condition.id.startswith("%") or int(condition.id[1:]) >= len(args):
                return False
            condition = args[int(condition.id[1:])]
        if not isinstance(condition, Name):
            return isinstance(condition, Result)
        func, at, _ = above[0]
        given = assigned(self.program.frame(func), condition)
        own = (s for s in self._seen(func) if s.event.at == at)
        if any(isinstance(s.event, Call) and Result(s.event.number) in given for s in own):
            return False  # what the last round gave, and the first one has not (``p = next(p)``)
        return condition.id.startswith("%") or any(not isinstance(v, Const) for v in given)

    def _never_set(self, above: list[tuple[Func, int, tuple[Expr, ...]]], inner: Func, guard: Guard) -> bool:
        """Whether a field must be set of an object that the function itself has just made, and for this caller nobody sets it
        (``p = alloc(); if (!parent) p->queue = ..; ... if (p->queue) destroy(p->queue);``)."""
        func, _, args = above[-1]
        field = guard.condition
        root = root_of(field) if isinstance(field, Member) else None
        if not guard.truth or not isinstance(field, Member) or not isinstance(root, Result):
            return False
        frame = self.program.frame(inner)
        call = frame.call(root.call)
        flow = self.summaries.flow(inner, self.summaries.bind(inner, args, self.program.frame(func)))
        if flow is None or call is None or not isinstance(call.callee, Name) or not self._makes(call.callee.id, inner):
            return False
        for s in flow.seen:
            if isinstance(s.event, facts.Write) and any(isinstance(t, Member) and t.name == field.name for t, _ in s.args):
                return False
            below = self._naming(inner, s, field.name)
            if below is not None and stores(self.program.body(below), field.name):
                return False
        return True

    def _taken_away(self, above: list[tuple[Func, int, tuple[Expr, ...]]], inner: Func, guard: Guard) -> bool:
        """Whether a callback needs the private data of its object, which a function on the way has just taken from it
        (``set_drvdata(dev, NULL); release(dev);``, and in the callback ``p = get_drvdata(dev); if (!p) return;``)."""
        frame = self.program.frame(inner)
        call = frame.call(guard.condition.call) if guard.truth and isinstance(guard.condition, Result) else None
        member = self._kept_in(call.callee.id, inner.path) if call is not None and isinstance(call.callee, Name) else ""
        if guard.truth and isinstance(guard.condition, Member):
            member = guard.condition.name
        return bool(member) and any(self._emptied(func, at, member) for func, at, _ in above)

    def _kept_in(self, getter: str, path: str, depth: int = 2) -> str:
        """The member that a function does nothing but return, by itself or by a function that it calls."""
        key = getter, path
        got = self._kept.get(key)
        if got is None:
            got = self._kept[key] = ""
            for func in self.program.resolve(getter, path)[:1]:
                frame = self.program.frame(func)
                exits = [b.exit for b in frame.body.blocks if isinstance(b.exit, facts.Return)] if frame.body is not None else []
                value = frame.canonical(exits[0].value, {}) if len(exits) == 1 and exits[0].value is not None else None
                call = frame.call(value.call) if isinstance(value, Result) else None
                if isinstance(value, Member):
                    got = value.name
                elif call is not None and isinstance(call.callee, Name) and depth:
                    got = self._kept_in(call.callee.id, func.path, depth - 1)
            self._kept[key] = got
        return got

    def _emptied(self, func: Func, at: int, member: str) -> bool:
        """Whether a function has stored NULL in a member of what it passes in the event there, by a function that does so."""
        frame, events = self.program.frame(func), self._seen(func)
        here = next((s for s in events if s.event.at == at and s.args), None)
        for s in events if here is not None else ():
            assert here is not None
            callee = s.event.callee if isinstance(s.event, Call) else None
            args = s.args[0] if s.args else ()
            if not isinstance(callee, Name) or len(args) != 2 or args[1] != Const(0) or args[0] not in here.args[0]:
                continue
            if always_first(frame, s, here) and self._keeps(callee.id, func.path, member):
                return True
        return False

    def _keeps(self, setter: str, path: str, member: str, depth: int = 2) -> bool:
        """Whether a function stores its second parameter in a member, by itself or by a function that it calls."""
        for func in self.program.resolve(setter, path)[:1]:
            frame = self.program.frame(func)
            targets = (w.target for w in writes_of(frame.body) if frame.canonical(w.value, {}) == Name("%1"))
            if any(isinstance(target, Member) and target.name == member for target in targets):
                return True
            handed = (s.callee for s in unexecuted(frame) if s.args[0][1:] == (Name("%1"),))
            return depth > 0 and any(isinstance(c, Name) and self._keeps(c.id, func.path, member, depth - 1) for c in handed)
        return False

    def _settled(self, above: list[tuple[Func, int, tuple[Expr, ...]]], inner: Func, guard: Guard) -> bool:
        frame = self.program.frame(inner)
        bits = [(name, bit) for name, bit in objects_read(frame, guard.condition) if bit]
        if len(bits) == 1 and isinstance(guard.condition, Result):
            found = [v for func, at, _ in above for v in self._stored(func, at, *bits[0])]
            return bool(found) and denies(found[-1], guard.truth, None)
        asks = asked_in(guard.condition, guard.truth)
        name = object_name(frame, rooted(frame, asks.what)) if asks is not None else ""
        other = by_name(frame, asks.other) if asks is not None else None
        if asks is None or not name or not (isinstance(other, Const | Text) or (isinstance(other, Name) and is_place(other))):
            return False
        asks = replace(asks, other=other)
        places = lifted(above, inner, asks.what)
        given = [
            (n, v, func) for n, (func, at, _) in enumerate(above) for v in self._stored(func, at, name, "", places[n])
        ]  # fmt: skip
        if given:
            (value, level), where = self._passed(above, *given[-1][:2]), given[-1][2]
            if isinstance(asks.other, Const) and isinstance(value, Name) and value.id.startswith("::"):
                number = self.program.constants.included(value.id[2:], where.path)
                value = Const(number) if number is not None else value
            func, at, _ = above[level]
            return asks.refuses(value, self._follows(func, at, value) or self._unquestioned(func, value))
        return asks == Asked(asks.what, "!=", Const(0), True) and self._new(above, frame, asks.what)

    @staticmethod
    def _passed(above: list[tuple[Func, int, tuple[Expr, ...]]], level: int, value: Expr) -> tuple[Expr, int]:
        """What a function on the way stores, in terms of whoever passes it, and which of them that is."""
        while isinstance(value, Name) and value.id.startswith("%") and level:
            level -= 1
            args, i = above[level][2], int(value.id[1:])
            value = args[i] if i < len(args) else values.UNKNOWN
        return value, level

    def _may_store(self, func: Func, field: str) -> bool:
        """Whether a function, or one that it calls by name, stores something in a field of that name."""
        for s in self._seen(func):
            below = self._naming(func, s, field)
            if below is not None and stores(self.program.body(below), field):
                return True
        return stores(self.program.body(func), field)

    def _naming(self, func: Func, seen: Seen, word: str) -> Func | None:
        """The function that an event calls by name, if the word stands in it."""
        callee = seen.event.callee if isinstance(seen.event, Call) else None
        for target in self.summaries.calls.named(callee.id, func.path)[:1] if isinstance(callee, Name) else ():
            return target.func if target.func is not None and word in target.func.words else None
        return None

    def _stored(self, func: Func, at: int, name: str, bit: str, asked: Expr = values.UNKNOWN) -> Iterator[Expr]:
        """What is stored in a field on every way to an event of a function, by itself or by what it calls by name.

        :param asked: the field that is meant, in terms of the function; what another object gets is left out.
        """
        frame = self.program.frame(func)
        events = self._seen(func)
        here = next((s for s in events if s.event.at == at), None)
        word = name.rpartition(".")[2].rpartition(":")[2]
        for s in events if here is not None else ():
            assert here is not None
            if s is here or not always_first(frame, s, here):
                continue
            if not bit and isinstance(s.event, facts.Write):
                for value in self._value(frame, s, name, here.args[0] if here.args else ()):
                    if not of_another(frame, s.args[0][0], asked):
                        yield first_of(events, s, value)
            elif isinstance(s.event, Call) and isinstance(s.event.callee, Name):
                if bit:
                    yield from self._bit(frame, s, name, bit)
                    continue
                below = self._naming(func, s, word)
                flow = self.summaries.flow(below) if below is not None else None
                for inner in flow.seen if flow is not None else ():
                    if isinstance(inner.event, facts.Write) and flow is not None:
                        args, by = s.args[0] if s.args else (), flow.frame.func.name
                        for value in self._value(flow.frame, inner, name):
                            if not of_another(frame, values.substitute(inner.args[0][0], args, by), asked):
                                yield values.substitute(first_of(flow.seen, inner, value), args, by)

    def _bit(self, frame: Frame, seen: Seen, name: str, bit: str) -> Iterator[Expr]:
        """What an event makes of one bit."""
        assert isinstance(seen.event, Call) and isinstance(seen.event.callee, Name)
        model = self.program.models.functions.get(seen.event.callee.id)
        for a, path in accesses(model, seen.args[0]) if model is not None else ():
            if a.op in ("set", "clear", "test_set") and a.bit is not None and a.constant is not None:
                told = values.show(seen.args[0][a.bit]) if a.bit < len(seen.args[0]) else ""
                if told == bit and object_name(frame, rooted(frame, path)) == name:
                    yield Const(a.constant)

    def _value(self, frame: Frame, seen: Seen, name: str, passed: tuple[Expr, ...] = ()) -> Iterator[Expr]:
        """What an event stores in a field; ``passed``: arguments among which may be the address of a local that has it."""
        target, value = seen.args[0]
        local = isinstance(target, Member) and not target.arrow and AddressOf(target.base) in passed
        if (lock_class(frame, target) if local else object_name(frame, rooted(frame, target))) == name:
            assert isinstance(seen.event, facts.Write)
            yield by_name(frame, value) if seen.event.op == "=" else values.UNKNOWN

    def _new(
        self, above: list[tuple[Func, int, tuple[Expr, ...]]], frame: Frame, field: Expr, unlinked: bool = False
    ) -> bool:
        """Whether a field is that of an object that a function on the way has just made: it is still zero.

        :param unlinked: it is a list, on which nobody has put anything since.
        """
        path = rooted(frame, field)
        models = self.program.models.functions
        for func, at, args in reversed(above):
            path = values.substitute(path, args, frame.func.name)
            frame = self.program.frame(func)
            path = rooted(frame, path)
            if unlinked and any(s.event.at < at and links(frame, s, path, models) for s in self._seen(func)):
                return False
            root = root_of(path)
            if isinstance(root, Result):
                call = frame.call(root.call)
                return call is not None and isinstance(call.callee, Name) and self._makes(call.callee.id, func)
            if not isinstance(root, Name) or not root.id.startswith("%"):
                return False
        return False

    def _still_empty(self, above: list[tuple[Func, int, tuple[Expr, ...]]], inner: Func, guard: Guard) -> bool:
        """Whether a list must have entries, and is one of an object that a function on the way has just made and put none on."""
        frame = self.program.frame(inner)
        call = frame.call(guard.condition.call) if isinstance(guard.condition, Result) and not guard.truth else None
        model = self.program.models.functions.get(call.callee.id) if call is not None and isinstance(call.callee, Name) else None
        if call is None or model is None or model.empty is None or model.empty >= len(call.args):
            return False
        return self._new(above, frame, values.deref(frame.canonical(call.args[model.empty], {})), unlinked=True)

    def of_new(self, func: Func, path: Expr) -> bool:
        """Whether a path starts from an object that the function has itself made, whatever way it came."""
        frame = self.program.frame(func)
        root = root_of(rooted(frame, path))
        given = assigned(frame, root) if isinstance(root, Name) else [root]
        calls = [frame.call(v.call) if isinstance(v, Result) else None for v in given if v != Const(0)]
        return bool(calls) and all(
            c is not None and isinstance(c.callee, Name) and self._makes(c.callee.id, func, always=True) for c in calls
        )

    def kept_back(self, func: Func, path: Expr, at: int) -> bool:
        """Whether a path starts from an object that the function has itself made, and up to a position nobody has got to know."""
        frame = self.program.frame(func)
        root = root_of(rooted(frame, path))
        pointers = {root, *(assigned(frame, root) if isinstance(root, Name) else ())} - {Const(0)}
        return self.of_new(func, path) and not any(
            not pointers.isdisjoint(map(uncast, args if isinstance(s.event, Call) else args[1:])) and s.event.at < at
            for s in self._seen(func) for args in s.args
            if isinstance(s.event, Call) or (isinstance(s.event, facts.Write) and not isinstance(s.event.target, Name))
        )

    def _makes(self, callee: str, func: Func, always: bool = False, below: int = MADE_BELOW) -> bool:
        """Whether a function gives a new object, zeroed as they are, or NULL or an error; ``always``: and never another.

        :param below: functions below it, and macros, of which it may be the result.
        """
        for target in self.summaries.calls.named(callee, func.path):
            if target.model is not None:
                return target.model.fresh
            flow = self.summaries.flow(target.func) if target.func is not None else None
            if flow is None:
                return False
            given = [e.value for e in flow.endings if not isinstance(e.value, Const) and not values.is_error(e.value)]
            return bool(given) and (all if always else any)(self._is_fresh(flow.frame, v, below) for v in given)
        return False

    def _is_fresh(self, frame: Frame, value: Expr | None, below: int) -> bool:
        """Whether a value is that of an allocation."""
        root = root_of(value) if value is not None else None
        call = frame.call(root.call) if isinstance(root, Result) else None
        if call is None or not isinstance(call.callee, Name):
            return False
        model = self.program.model(call.callee.id)
        if model is not None:
            return model.fresh
        return below > 0 and self._makes(call.callee.id, frame.func, True, below - 1)

    def _seen(self, func: Func) -> list[Seen]:
        flow = self.summaries.flow(func)
        return flow.seen if flow is not None else []


def of_parameters(condition: Expr) -> bool:
    """Whether a condition is about parameters and numbers, and nothing else."""
    parts = list(values.walk(condition))
    named = [e.id.startswith("%") for e in parts if isinstance(e, Name)]
    return any(named) and all(named) and all(isinstance(e, Name | Const | Binary | facts.Unary) for e in parts)


def as_passed(frame: Frame, condition: Expr, at: int) -> bool:
    """Whether the parameters in a condition are at a position of a function what they were at its start."""
    names = [e.id for e in values.walk(condition) if isinstance(e, Name) and e.id.startswith("%")]
    words = {frame.func.parameters[int(n[1:])].name for n in names if int(n[1:]) < len(frame.func.parameters)} & frame.assigned
    body = frame.body
    if body is None or not words:
        return True
    writes = [b for b, block in enumerate(body.blocks) if any(
        isinstance(e, facts.Write) and isinstance(e.target, Name) and e.target.id in words for e in block.events
    )]  # fmt: skip
    here = {b for b, block in enumerate(body.blocks) if at in (getattr(block.exit, "at", -1), *(e.at for e in block.events))}
    return bool(here) and here.isdisjoint(reached(body, writes))


def points(frame: Frame, word: Name) -> bool:
    """Whether a name is that of a pointer."""
    type_ = frame.type_of(word)
    return type_ is not None and frame.resolve(type_).pointer > 0


def links(frame: Frame, seen: Seen, head: Expr, models: Mapping[str, Model]) -> bool:
    """Whether a call is given a list, or an entry, and may put it on one: anything but what makes it empty or asks."""
    call = seen.event
    if not isinstance(call, Call) or all(rooted(frame, values.deref(a)) != head for args in seen.args for a in args):
        return False
    model = models.get(call.callee.id) if isinstance(call.callee, Name) else None
    return model is None or [a.op for a in model.accesses] not in (["set"], ["read"])


def leads_through(expr: Expr, pointer: Expr) -> bool:
    """Whether a part of an expression is a member of what a pointer points to."""
    return any(isinstance(e, Member) and e.arrow and e.base == pointer for e in values.walk(expr))


def uncast(expr: Expr) -> Expr:
    while isinstance(expr, facts.Cast):
        expr = expr.operand
    return expr


def is_variable(name: str) -> bool:
    """Whether an object is a variable, not a field."""
    return bool(name) and not name.lstrip("*").startswith(("struct ", "union "))


def first_of(events: list[Seen], seen: Seen, value: Expr) -> Expr:
    """What a store stores that takes its value from the one just before (``p->x = p->y = 1``)."""
    before = events[max(events.index(seen) - 1, 0)]
    if isinstance(value, Member) and isinstance(before.event, facts.Write) and before.args and before.args[0][0] == value:
        return before.args[0][1]
    return value


def steps(effect: Effect) -> list[tuple[Func, int]]:
    """The events below the function that was asked by which it comes to the effect."""
    return stations(effect)[1:]


def whole_way(func: Func, seen: Seen, effect: Effect) -> list[tuple[Func, int]]:
    """The same, and the event of the function itself."""
    return [(func, seen.event.at), *steps(effect)]


def told_apart(condition: Expr) -> bool:
    """Whether one thing is compared with another (``owner == current``), rather than asked whether it is set."""
    return isinstance(condition, Binary) and condition.op in ("==", "!=") and not (
        isinstance(condition.left, Const) or isinstance(condition.right, Const)
    )  # fmt: skip


def asked(frame: Frame, guard: Guard) -> tuple[Expr | None, bool, Expr | None]:
    """``(field, truth, other)``: the field must be nonzero, or zero, or, with another value, equal to it, or not."""
    condition = guard.condition
    if is_place(condition):
        return condition, guard.truth, None
    if isinstance(condition, Binary) and condition.op in ("==", "!=") and is_place(condition.left):
        other = by_name(frame, condition.right)
        if isinstance(other, Const | Text) or (isinstance(other, Name) and other.id.startswith("::")):
            return condition.left, guard.truth == (condition.op == "=="), other
    return None, False, None


def asked_word(frame: Frame, guard: Guard) -> tuple[Expr | None, bool, Expr | None]:
    """The same, and of a flag its bits."""
    return (guard.condition, guard.truth, None) if is_flag(guard.condition) else asked(frame, guard)


def lifted(above: Sequence[tuple[Func, int, tuple[Expr, ...]]], inner: Func, path: Expr) -> list[Expr]:
    """A path of the innermost function in terms of each of those on the way to it, in their order."""
    found: list[Expr] = []
    below = inner
    for func, _, args in reversed(above):
        path = values.substitute(path, args, below.name)
        found.append(path)
        below = func
    return found[::-1]


def of_another(frame: Frame, stored: Expr, asked: Expr) -> bool:
    """Whether a field that a function stores to is that of another object than the one that is asked for, which it was given: it
    has found its own by something else (``copy = new_entry(n); copy->text = NULL; convert(given);``)."""
    given, root = pointed(rooted(frame, asked)), root_of(rooted(frame, stored))
    if not isinstance(given, Name) or not given.id.startswith("%") or given == root:
        return False
    if isinstance(root, Name) and root.id.startswith("%"):
        return pointed(rooted(frame, stored)) == root
    made = assigned(frame, root) if isinstance(root, Name) else [root]
    calls = [frame.call(v.call) if isinstance(v, Result) else None for v in made]
    return bool(calls) and all(c is not None and not is_passed(frame, c, given) for c in calls)


def is_passed(frame: Frame, call: Call, pointer: Expr) -> bool:
    """Whether a call gets a pointer, or the address of a part of what it points to, and so may come back with it."""
    args = (frame.canonical(a, {}) for a in call.args)
    return any(a == pointer or (isinstance(a, AddressOf | Cast) and root_of(a) == pointer) for a in args)


def pointed(path: Expr) -> Expr | None:
    """The pointer to the object of which a path is a part, where it leads through no other one."""
    while isinstance(path, Member | Index) and not (isinstance(path, Member) and path.arrow):
        path = path.base
    return path.base if isinstance(path, Member | Deref) else None


def by_name(frame: Frame, value: Expr) -> Expr:
    """The result of a call without arguments as a word that means the same everywhere (``smp_processor_id()``, ``current``)."""
    call = frame.call(value.call) if isinstance(value, Result) else None
    if call is None or call.args or not isinstance(call.callee, Name):
        return value
    return Text(f"{call.callee.id}()")


def denies(value: Expr, wanted: bool, other: Expr | None) -> bool:
    """Whether a stored value is not what is asked for."""
    if other is not None:
        if type(value) is not type(other) or value == values.UNKNOWN:
            return False
        return (value == other) != wanted if isinstance(other, Const) else value == other and not wanted
    if isinstance(value, Const):
        return bool(value.value) != wanted
    return not wanted and isinstance(value, AddressOf | Name)  # a pointer to something
