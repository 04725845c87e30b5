"""Functions that run under other locks after a patch than before it, though nobody touched them.

Candidates are the callbacks of chains whose way in was changed, and the functions that a changed function calls holding
something else than before. From those whose context really differs the search goes on to what they call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import msgspec

from reviewer.checks.analysis import Analysis
from reviewer.checks.finding import Finding
from reviewer.checks.memo import Memo
from reviewer.checks.result import Chain
from reviewer.parse.facts import Call
from reviewer.program.api.models import Taken
from reviewer.program.flow.objects import short
from reviewer.program.graph.upward import Upward
from reviewer.program.linked.link import Func, Program
from reviewer.program.linked.locks import Hold
from reviewer.program.views.describe import Description, description, upward
from reviewer.review.delta import Delta
from reviewer.review.lock_use import MAX_SENTENCES, lock_use
from reviewer.review.lock_use import sentences as lock_sentences
from reviewer.review.result import SOME_PATHS, ContextChange, FunctionContext, HeldLock, ReliedOn

MAX_FUNCTIONS, MAX_CHANGED = 8, 24
"""Functions of one patch, callbacks aside, whose contexts are compared; changed ones whose own use of locks is."""

CALLERS = 16
"""Functions above each of these whose callers are looked for."""

MANY_FILES = 30
"""Files that name a function whose context is compared: what everybody calls runs under no lock of its callers."""

MAX_LEVELS = 3
"""Calls below a changed function that are followed while contexts differ."""

HeldSets = set[tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]]
"""(must, may) at the calls of one function, as (class, mode)."""


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls a function, and under what.

    :ivar takers: (function, how) of those that take the serialiser. :ivar above: (path, name) of the functions that were met.
    """

    context: FunctionContext
    takers: tuple[tuple[str, Taken], ...]
    above: tuple[tuple[str, str], ...]


@dataclass
class Side:
    """One of the two programs.

    :ivar findings: what a scan says of it. :ivar memo: what is known of its tree, and of trees near it.
    """

    analysis: Analysis
    chains: Sequence[Chain]
    findings: Sequence[Finding]
    memo: Memo

    def __post_init__(self) -> None:
        self._made: dict[tuple[str, str], Picture | None] = {}

    @property
    def program(self) -> Program:
        return self.analysis.program

    @cached_property
    def search(self) -> Upward:
        return upward(self.analysis.summaries)

    def picture(self, path: str, name: str) -> Picture | None:
        """The callers of a function; None if the file does not define it."""
        key = (path, name)
        if key not in self._made:
            question = f"context {path}#{name}"
            known = self.memo.get(question, Picture)
            self._made[key] = known[0] if known is not None else self._pictured(path, name)
            if known is None and self._made[key] is not None:
                self.memo.put(question, self._made[key], self.program.trace(), self.program.skipped)
        return self._made[key]

    def _pictured(self, path: str, name: str) -> Picture | None:
        func = self.function(path, name)
        if func is None:
            return None
        self.search.of(func, CALLERS)
        found = description(self.search, func)
        return Picture(
            context=context(found), takers=tuple((t.func.name, t.hold.taken) for t in found.takers),
            above=tuple(sorted({(a.func.path, a.func.name) for a in found.climb.met.values()})),
        )  # fmt: skip

    def function(self, path: str, name: str) -> Func | None:
        """The definition with something in it, None if the file has none."""
        found = self.program.functions(path, name)
        return next((f for f in found if f.calls), found[0] if found else None)


def changes(before: Side, after: Side, delta: Delta, patch: int) -> list[ContextChange]:
    """What changed around functions, those first on which something relied."""
    found = list(own_locks(before, after, delta, patch))
    for path, name in candidates(before, after, delta):
        change = compared(before, after, delta, path, name, patch)
        if change is not None:
            found.append(change)
    return sorted(found, key=lambda c: (not c.relied_on, c.before.serialiser == c.after.serialiser))


def own_locks(before: Side, after: Side, delta: Delta, patch: int) -> Iterator[ContextChange]:
    """Changed functions that do something else with locks than before: a lock's scope, a call that moves in or out, a lock
    that is taken in another way."""
    for path, name in sorted(delta.functions)[:MAX_CHANGED]:
        old, new = before.function(delta.renamed.get(path, path), name), after.function(path, name)
        if old is None or new is None:
            continue
        was, now = (lock_use(side.search.summaries, func) for side, func in ((before, old), (after, new)))
        said = tuple(islice(lock_sentences(was, now), MAX_SENTENCES))
        if said:
            # Who calls it is another question, and on a whole kernel an expensive one.
            unasked = FunctionContext(callers_known="partial")
            yield ContextChange(function=name, file=path, patch=patch, before=unasked, after=unasked, changes=said)


def candidates(before: Side, after: Side, delta: Delta) -> Iterator[tuple[str, str]]:
    """(path, name) of functions that may run under something else now; the changed ones themselves left out."""
    given: set[tuple[str, str]] = set(delta.functions)
    asked = 0
    for path, name in callbacks(before, after, delta):
        if (path, name) not in given:
            given.add((path, name))
            yield path, name
    level = [(path, name) for path, name in sorted(delta.functions)]
    for _ in range(MAX_LEVELS):
        following: list[tuple[str, str]] = []
        called = [one for path, name in level for one in other_calls(before, after, delta, path, name)]
        for callee in worth_asking(before, after, called):
            if callee in given or asked >= MAX_FUNCTIONS:
                continue
            given.add(callee)
            asked += 1
            yield callee
            if differs(before, after, delta, *callee):
                following.append(callee)
        level = following


def callbacks(before: Side, after: Side, delta: Delta) -> Iterator[tuple[str, str]]:
    """Callbacks of chains that are called elsewhere, or by functions, or below functions, that the patch changes."""
    old = {c.head: c for c in before.chains}
    for chain in after.chains:
        was = old.get(chain.head)
        if was is None:
            continue
        callers = {(s.file, s.function) for s in chain.called_from}
        # The search for callers ends below one that takes a lock itself, so that those who call the chain are asked for, too.
        same = callers == {(s.file, s.function) for s in was.called_from} and callers.isdisjoint(delta.functions)
        users = {(u.file, u.function) for u in was.users} & {
            (delta.renamed.get(u.file, u.file), u.function) for u in chain.users
        }
        if not users:
            continue
        if same:
            # Callbacks of one chain share their callers, and so one of them tells for all.
            one = before.picture(*min(users))
            if one is None or delta.functions.isdisjoint(set(one.above) - users):
                continue
        yield from sorted(users)


@dataclass(frozen=True, slots=True)
class OtherCall:
    """A definition that ``caller``, a file, calls in another way. ``locks``: a lock has to do with it; ``now``: it is called
    still."""

    callee: tuple[str, str]
    caller: str
    locks: bool
    now: bool


def other_calls(before: Side, after: Side, delta: Delta, path: str, name: str) -> Iterator[OtherCall]:
    """What a function calls before and after, holding other locks, or only before, or only after."""
    old = before.function(delta.renamed.get(path, path), name)
    new = after.function(path, name)
    was = held_at_calls(before, old) if old is not None else {}
    now = held_at_calls(after, new) if new is not None else {}
    for callee in sorted({*was, *now}):
        ways = was.get(callee, set()) ^ now.get(callee, set())
        if ways:
            yield OtherCall(callee, path, any(held for way in ways for held in way), callee in now)


def worth_asking(before: Side, after: Side, calls: Sequence[OtherCall]) -> list[tuple[str, str]]:
    """Of these calls the functions whose callers tell something, each once: not those that everybody calls.

    A caller less that holds nothing takes no lock away; one more may be the first that holds nothing, but to know that of a
    function from elsewhere takes a search of the tree, which such a call alone is not worth.
    """
    found: dict[tuple[str, str], None] = {}
    elsewhere: dict[tuple[str, str], tuple[Side, Func]] = {}
    for call in calls:
        path, name = call.callee
        side = after if call.now else before
        func = side.function(path, name)
        if func is None or not (call.locks or call.now):
            continue
        if func.confined:
            found[call.callee] = None
        elif call.locks:
            elsewhere[call.callee] = side, func
    for side in (before, after):
        mine = {key: func for key, (owner, func) in elsewhere.items() if owner is side}
        files = side.program.files_calling(mine.values()) if mine else {}
        found.update((key, None) for key, func in mine.items() if len(files[func.name]) <= MANY_FILES)
    return list(found)


def held_at_calls(side: Side, func: Func) -> dict[tuple[str, str], HeldSets]:
    """What a function holds at its calls, by the definition called; modelled functions and macros left out."""
    flow = side.search.summaries.flow(func)
    found: dict[tuple[str, str], HeldSets] = {}
    if flow is None:
        return found
    for seen in flow.seen:
        if not isinstance(seen.event, Call):
            continue
        for target in side.search.summaries.calls.targets(flow.frame, seen.callee or seen.event.callee):
            callee = target.func
            if callee is None or callee.macro is not None or target.model is not None or not callee.calls:
                continue  # what calls nothing takes no lock, sleeps nowhere, and changes hardly anything
            held = as_set(seen.must()), as_set(seen.may())
            found.setdefault((callee.path, callee.name), set()).add(held)
    return found


def as_set(holds: Iterable[Hold]) -> frozenset[tuple[str, str]]:
    return frozenset((h.name, h.mode) for h in holds if h.name)


def differs(before: Side, after: Side, delta: Delta, path: str, name: str) -> bool:
    pair = both(before, after, delta, path, name)
    return pair is not None and pair[0].context != pair[1].context


def both(before: Side, after: Side, delta: Delta, path: str, name: str) -> tuple[Picture, Picture] | None:
    """The function's picture in both programs; None if one has it not."""
    old = before.picture(delta.renamed.get(path, path), name)
    new = after.picture(path, name)
    return (old, new) if old is not None and new is not None else None


def compared(before: Side, after: Side, delta: Delta, path: str, name: str, patch: int) -> ContextChange | None:
    """The change of one function's context; None if it stays the same."""
    pair = both(before, after, delta, path, name)
    if pair is None:
        return None
    old, new = pair
    said = list(sentences(old, new))
    if old.context.serialiser is not None and old.context.serialiser != new.context.serialiser:
        lost = no_longer(after, path, name, [function for function, _ in old.takers])
        said += [f"no longer reached from {', '.join(lost)}"] if lost else []
    if not said:
        return None
    otherwise = old.context.serialiser != new.context.serialiser
    return ContextChange(
        function=name, file=path, patch=patch, before=old.context, after=new.context, changes=tuple(said),
        relied_on=relied_on(before, delta.renamed.get(path, path), name, old.context.serialiser) if otherwise else (),
    )  # fmt: skip


def context(d: Description) -> FunctionContext:
    serialiser = d.serialiser
    return FunctionContext(
        must=held(d.bottom.must), may=held(d.bottom.may), serialiser=serialiser.name if serialiser is not None else None,
        irq=d.bottom.irq, callers_known="partial" if d.bottom.partial else "all",
    )  # fmt: skip


def held(holds: Iterable[Hold]) -> tuple[HeldLock, ...]:
    """Named locks, each class and mode once, sorted."""
    found = {(h.name, h.mode): HeldLock(h.name, h.mode, h.taken) for h in holds if h.name}
    return tuple(found[k] for k in sorted(found))


def sentences(old: Picture, new: Picture) -> Iterator[str]:
    """What differs, each in a few words."""
    was, now = old.context, new.context
    if was.serialiser != now.serialiser:
        yield f"serialiser {was.serialiser or 'none'} -> {now.serialiser or 'none'}"
    shared = [h.lock for h in now.must if h.mode == "shared"]
    if was.serialiser is not None and now.serialiser is None and shared:
        yield f"{' and '.join(shared)}, held for reading, keeps nobody out: readers come in together"
    yield from taken_otherwise(old, new)
    gone, come = moved(was.must, now.must)
    for lock in gone:
        if lock not in (was.serialiser, now.serialiser):
            yield f"no longer always under {lock}"
    for lock in come:
        if lock not in (was.serialiser, now.serialiser):
            yield f"now always under {lock}"
    if was.irq != now.irq:
        yield f"runs in {was.irq} -> {now.irq}"
    gone, come = moved((*was.must, *was.may), (*now.must, *now.may))
    known = {was.serialiser, now.serialiser, *(h.lock for h in (*was.must, *now.must))}
    now_some, no_more = SOME_PATHS
    yield from (f"{no_more}{lock}" for lock in gone if lock not in known)
    yield from (f"{now_some}{lock}" for lock in come if lock not in known)


def no_longer(side: Side, path: str, name: str, wanted: Sequence[str]) -> list[str]:
    """Of these functions those that do not lead to a function by calls, whatever is held on the way. Only if all ways are
    known: where the budget leaves some unseen, each may lead there."""
    func = side.function(path, name)
    level = [func] if func is not None else []
    seen = {f.key for f in level}
    found: set[str] = set()
    search = side.search.search
    for _ in range(ABOVE_LEVELS):
        search.prefetch(level)
        following: list[Func] = []
        for one in level:
            callers = search.of(one)
            if callers.cut or len(seen) > ABOVE_FUNCTIONS:
                return []
            for site in callers.sites:
                if site.caller.name in wanted:
                    found.add(site.caller.name)
                elif site.caller.key not in seen:
                    seen.add(site.caller.key)
                    following.append(site.caller)
        if not following:
            break
        level = following
    return [name for name in dict.fromkeys(wanted) if name not in found]


ABOVE_LEVELS, ABOVE_FUNCTIONS = 5, 120
"""How far above a function its callers are looked for, and how many of them."""


def moved(was: Sequence[HeldLock], now: Sequence[HeldLock]) -> tuple[list[str], list[str]]:
    """(locks that are gone, locks that have come), a shared hold marked."""
    old, new = {shown(h): None for h in was}, {shown(h): None for h in now}
    return [n for n in old if n not in new], [n for n in new if n not in old]


def shown(lock: HeldLock) -> str:
    return f"{lock.lock} (shared)" if lock.mode == "shared" else lock.lock


WAITS = "those who find it taken wait for it and then run in turn, where they used to go away"


def taken_otherwise(old: Picture, new: Picture) -> Iterator[str]:
    """How the serialiser is taken, if that differs: a trylock sends the losers away, a lock lets them in one by one."""
    was, now = dict(old.takers), dict(new.takers)
    if not was or not now or set(was.values()) == set(now.values()):
        return
    first = "trylock" if "trylock" in was.values() else next(iter(was.values()))
    others = [f"{name}: {how}" for name, how in was.items() if how != first]
    then = next(iter(now.values()))
    if "trylock" in now.values():
        then = "trylock"
    if first == then:
        return
    yield f"taken {first} -> {then}" + (f" (before, {', '.join(others)})" if others else "")
    if first == "trylock" and "trylock" not in now.values():
        yield WAITS
    if then in ("killable", "interruptible") and then not in was.values():
        yield f"a {then} lock can fail: what is done then is new"


def relied_on(before: Side, path: str, name: str, serialiser: str | None) -> tuple[ReliedOn, ...]:
    """Notes of the program before that name the lost serialiser, in the function or on a way through it."""
    if serialiser is None:
        return ()
    return tuple(
        ReliedOn(f.fingerprint, f.rule, next(iter(f.objects), ""), f.file, f.line)
        for f in before.findings
        if f.prevented_by in (serialiser, short(serialiser))
        and ((f.file, f.function) == (path, name) or any((s.file, s.function) == (path, name) for s in f.proof))
    )
