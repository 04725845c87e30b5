"""reclaim-recursion: an allocation may reclaim where reclaim comes back, or where IO cannot complete.

That a lock is the very one which reclaim waits for is told by its class, so two objects of a class look alike.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from functools import cached_property

from msgspec.structs import replace

from reviewer.checks.finding import Confidence, Finding, Step
from reviewer.checks.focus import Focus
from reviewer.checks.proof import confidence_of, effect_steps, place, step
from reviewer.checks.registry import general
from reviewer.parse.facts import Branch, Call, Expr, Index, Member, Name, Result, Switch, Write
from reviewer.program.concurrency.balance import word_of
from reviewer.program.concurrency.reclaim import DIRECT, InReclaim, Reclaim, calls, lock_key
from reviewer.program.flow.effects import Effect, cleared
from reviewer.program.flow.horizon import DEPTH
from reviewer.program.flow.lockflow import Flow, Seen, seen_at
from reviewer.program.flow.objects import object_name, root_of, rooted
from reviewer.program.flow.precedence import always_first
from reviewer.program.graph.contexts import CallSite
from reviewer.program.graph.masks import handed_on
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import SLEEPING, Hold
from reviewer.program.linked.structs import Frame
from reviewer.program.linked.written import events_of

RULE = "reclaim-recursion"

FAR = 3
"""Calls below what reclaim runs at which a lock is less sure to be taken: there are conditions on the way."""

USUAL = 3
"""Other functions that allocate under a lock, with which that is the custom."""

DEEP = 8
"""How far below a call that was in a scope before a patch an allocation is looked for: somebody knew that there is one."""

ABOVE = 6
"""Calls up from an allocation that a patch changes, to an operation in which it must not wait for something."""

MAX_ABOVE = 150
"""Callers that are asked on the way up."""

WITH_HANDLE = 2
"""Calls below a function with a transaction open at which an allocation is still told of; further down, many are for cases that
those who have one never come to."""

ALSO = 2
"""Other places of a file in which an allocation is kept from waiting for IO or a filesystem, so that it seems to matter there."""

CAREFUL = re.compile(rb"\b(?:GFP_NOFS|GFP_NOIO|memalloc_no(?:fs|io)_save)\b")

FORWARDED = 2
"""Callers of a function, one above the other, that hand their own mask on."""

MAX_FILES, MAX_FUNCTIONS = 24, 60
"""Files of a folder, and functions, that are asked whether they do."""


@general(RULE)
def reclaim_recursion(focus: Focus) -> Iterator[Finding]:
    search = Search(focus)
    for func in focus.functions if focus.program.gfp.known else ():
        flow = focus.flow(func) if search.concerns(func) else None
        if flow is not None:
            yield from search.of(flow)


class Search:
    """One focus."""

    def __init__(self, focus: Focus) -> None:
        self.focus = focus
        self.program = focus.program
        self.reclaim = Reclaim(focus.summaries, focus.effects)
        self.nearby = focus.nearby
        self._under: dict[tuple[str, str], set[str]] = {}

    def concerns(self, func: Func) -> bool:
        """Whether anything can be said of a function, by names and tables alone."""
        handles = self.program.models.handles
        return (
            self.focus.edited(func)
            or any(p.type.name == "gfp_t" or p.type.name in handles for p in func.parameters)
            or self.reclaim.halting(func)
            or func.key in self.reclaim.slots(func.path)
            or (bool(self.reclaim.locks(func.path)) and self.focus.effects.may_matter(func))
        )

    def of(self, flow: Flow) -> Iterator[Finding]:
        found: dict[int, Finding] = {}
        for finding in (
            *self.under_locks(flow), *self.in_operations(flow), *self.while_halted(flow), *self.with_handle(flow),
            *self.flags_ignored(flow), *self.scope_removed(flow), *self.lock_without_scope(flow), *self.flags_added(flow),
        ):  # fmt: skip
            found.setdefault(finding.line, finding)
        yield from found.values()

    def allocations(self, func: Func, seen: Seen, flags: tuple[str, ...]) -> list[Effect]:
        """What one call allocates with these flags, the surest first."""
        found = [e for e in self.focus.effects.at(func, seen) if self.reclaim.asks(e, flags)]
        return sorted(found, key=lambda e: (e.doubt, e.depth))

    def allocation(self, func: Func, seen: Seen, flags: tuple[str, ...]) -> list[Effect]:
        """The surest of them of which nothing on the way says that it does not come to it; empty if there is none."""
        later: list[Effect] = []
        for effect in self.allocations(func, seen, flags):
            if self.focus.settled.against(func, seen, effect):
                continue
            if not self.refills(effect):
                return [effect]
            later.append(replace(effect, doubt=effect.doubt + 1))
        return later[:1]

    def refills(self, effect: Effect) -> bool:
        """Whether something is allocated for a field only where that is NULL, and another function fills it, or comes here to
        have it filled, too: the one that begins, without which this one does not run (``if (!p->log) p->log = alloc();`` in a
        reset)."""
        func = effect.func
        frame = self.program.frame(func)
        for guard in self.focus.ways.guards(func, effect.at):
            field = field_of(guard.condition)
            if guard.truth or field is None or field.name not in fields_filled(frame, effect.at):
                continue
            name = object_name(frame, rooted(frame, field))
            others = self.focus.analysis.shared.elsewhere(name, func.path) if name else ()
            if any(a.func.key != func.key and is_result(a.value) for a in others):
                return True
            above = {f.key for f, _ in effect.way}
            return any(site.caller.key not in above for site in self.focus.callers_of(func).sites)
        return False

    # --- a lock that reclaim waits for ------------------------------------------------------------

    def under_locks(self, flow: Flow) -> Iterator[Finding]:
        func = flow.frame.func
        for seen in flow.seen:
            holds = [h for h in seen.may() if h.name and h.kind in SLEEPING]
            known = self.reclaim.locks(func.path) if holds else {}
            for hold in holds:
                root = known.get(lock_key(hold))
                if root is None or root.func.key == func.key:
                    continue
                for effect in self.allocation(func, seen, root.flags):
                    if self.scope_around(func, frozenset((DIRECT, *root.flags))):
                        continue
                    sure = hold in seen.must()
                    doubt = effect.doubt + (not sure) + (not sure and self.perhaps_released(flow, seen, hold))
                    doubt = max(doubt, self.gives_up(effect), 2 * root.idle)
                    doubt += (root.effect.depth >= FAR) + 2 * (doubt < 2 and self.usual(func, hold, root))
                    yield self.locked(func, seen, hold, root, effect, doubt)

    def perhaps_released(self, flow: Flow, seen: Seen, hold: Hold) -> bool:
        """Whether a call on every way there may have released a lock that is held on some of them only: it knows by something of
        its own whether it is held (``if (root) up_write(&root->sem);``)."""
        word, frame = word_of(hold.lock), flow.frame
        return any(
            isinstance(s.event, Call) and always_first(frame, s, seen)
            and self.focus.releases.possible(frame, s.callee or s.event.callee, hold.kind, word)
            for s in flow.seen
        )

    def scope_around(self, func: Func, flags: frozenset[str]) -> bool:
        """Whether a function runs in a scope that takes one of some flags away: all its known callers have one, or it is passed
        the object with which one comes."""
        sites = self.nearby.of(func).sites
        if sites and not any(flags.isdisjoint(cleared(site.seen)) for site in sites):
            return True
        given = (p.type.name for p in func.parameters if p.type.pointer == 1)
        return any(flags & self.reclaim.kept_in(name, func.path) for name in given)

    def usual(self, func: Func, hold: Hold, root: InReclaim) -> bool:
        """Whether others in the folder allocate so under the lock as a matter of course.

        lockdep reports the first of them that runs once reclaim has come to the lock (``fs_reclaim``, mm/page_alloc.c): where
        everybody does it, reclaim does not come there. In a review, all this was so before the patch.
        """
        side = self.old if self.old is not None else self
        if side is not self and lock_key(hold) not in side.reclaim.locks(func.path):
            return False
        got = side.allocate_under(func.path, hold, root)
        return len(got - {func.name}) >= USUAL

    @cached_property
    def old(self) -> Search | None:
        return Search(self.focus.before) if self.focus.before is not None else None

    def allocate_under(self, path: str, hold: Hold, root: InReclaim) -> set[str]:
        """Functions of the folder that allocate under a lock, until there are enough."""
        folder, word = posixpath.dirname(path), word_of(hold.lock)
        got = self._under.get((folder, lock_key(hold)))
        if got is None:
            got = self._under[folder, lock_key(hold)] = set()
            files = self.program.names.files_mentioning([word]).get(word, ()) if word else ()
            near = [f for f in files if posixpath.dirname(f) == folder and f.endswith(".c")]
            for func in [f for file in near[:MAX_FILES] for f in self.program.functions_with(file, word)][:MAX_FUNCTIONS]:
                flow = self.focus.flow(func) if len(got) <= USUAL else None
                for seen in flow.seen if flow is not None else ():
                    if any(lock_key(h) == lock_key(hold) for h in seen.must()) and self.allocations(func, seen, root.flags):
                        got.add(func.name)
                        break
        return got

    def gives_up(self, effect: Effect) -> bool:
        """Whether the allocation fails rather than reclaim for ever."""
        bit = self.program.gfp.value("__GFP_NORETRY") or 0
        return effect.what is not None and bool(values.known_bits(effect.what)[1] & bit)

    def locked(self, func: Func, seen: Seen, hold: Hold, root: InReclaim, effect: Effect, doubt: int) -> Finding:
        confidence = confidence_of(doubt)
        waits = f"{root.func.name}() ({root.how}) waits for in reclaim"
        message = f"{words(effect)} may reclaim memory while {hold.name} is held, which {waits}"
        steps = (
            *effect_steps(self.focus.analysis, func, hold, effect),
            *effect_steps(self.focus.analysis, root.func, None, root.effect),
        )
        return self.made(func, seen, confidence, message, (hold.name,), steps)

    # --- places where IO cannot complete -----------------------------------------------------------

    def in_operations(self, flow: Flow) -> Iterator[Finding]:
        func = flow.frame.func
        said = self.reclaim.stands_in(func) if self.focus.other is not None else self.reclaim.slots(func.path).get(func.key, ())
        for slot, ops in said:
            for seen in flow.seen if ops.forbids else ():
                for effect in self.allocation(func, seen, ops.forbids):
                    unsure = bool(effect.doubt) or effect.last  # the last user need not be this one
                    doubt = (effect.depth > 2) + (ops.scoped or ops.seldom) * (1 if self.focus.other is not None else 2)
                    confidence = confidence_of(2 if unsure else doubt)
                    message = f"{words(effect)} may wait for IO in {slot}, where {ops.why}"
                    steps = effect_steps(self.focus.analysis, func, None, effect)
                    yield self.made(func, seen, confidence, message, (slot,), steps)

    def while_halted(self, flow: Flow) -> Iterator[Finding]:
        func = flow.frame.func
        if not self.reclaim.halting(func):
            return
        halted = self.reclaim.halted(func)
        for seen in flow.seen:
            if not isinstance(seen.event, Call) or seen.event.number not in halted:
                continue
            halts, at = halted[seen.event.number]
            for effect in self.allocation(func, seen, halts.flags):
                confidence: Confidence = "high" if effect.doubt == 0 else "medium" if effect.doubt == 1 else "low"
                message = f"{words(effect)} may wait for IO while {halts.why}"
                first = step(self.focus.analysis, "call", func, at)
                steps = (first, *effect_steps(self.focus.analysis, func, None, effect))
                yield self.made(func, seen, confidence, message, (halts.why,), steps)
                return  # one is enough: the mend is a scope

    def with_handle(self, flow: Flow) -> Iterator[Finding]:
        """A parameter says that a transaction is open."""
        func = flow.frame.func
        handles = self.program.models.handles
        given = next((p for p in func.parameters if p.type.pointer == 1 and p.type.name in handles), None)
        if given is None:
            return
        flags = handles[given.type.name]
        for seen in flow.seen:
            if any(flag in scope for world in seen.scopes for scope in world for flag in flags):
                continue
            for effect in self.allocation(func, seen, flags):
                below = [f for f, _ in effect.way[1:]] + [effect.func] * bool(effect.way)
                if effect.depth > WITH_HANDLE or any(p.type.name == given.type.name for f in below for p in f.parameters):
                    continue  # said of that function
                message = f"{words(effect)} may write back in reclaim while a transaction ({given.type.name}) is open"
                steps = effect_steps(self.focus.analysis, func, None, effect)
                yield self.made(func, seen, "medium" if effect.doubt == 0 else "low", message, (given.type.name,), steps)

    # --- the caller's flags, the caller's scope ----------------------------------------------------

    def flags_ignored(self, flow: Flow) -> Iterator[Finding]:
        """The function is told how to allocate and does otherwise."""
        func = flow.frame.func
        index = next((i for i, p in enumerate(func.parameters) if p.type.name == "gfp_t" and not p.type.pointer), None)
        if index is None or self.looks_at(flow, index) or self.unrestricted(func, index) or self.only_adds(flow, index):
            return
        for seen in flow.seen:
            for effect in self.allocation(func, seen, ("__GFP_IO", "__GFP_FS")):
                if effect.depth or effect.doubt:
                    continue
                name = func.parameters[index].name
                message = f"{words(effect)} may wait for IO although the caller says in {name} how to allocate"
                steps = effect_steps(self.focus.analysis, func, None, effect)
                yield self.made(func, seen, "medium" if self.has_mask(effect) else "low", message, (name,), steps)

    def has_mask(self, effect: Effect) -> bool:
        """Whether the API that allocates can be told how."""
        model = self.program.model(effect.name)
        return model is None or model.allocates is None or model.allocates.gfp is not None

    def unrestricted(self, func: Func, index: int, levels: int = FORWARDED) -> bool:
        """Whether all known callers allow anything, or pass on what theirs say, who do, so that there is nothing to heed."""
        masks = [(site.caller, a[index]) for site in self.nearby.of(func).sites for a in site.seen.args if index < len(a)]
        return bool(masks) and all(
            self.has_all(mask)
            or (levels > 0 and (handed := handed_on(mask)) is not None and self.unrestricted(caller, handed, levels - 1))
            for caller, mask in masks
        )

    def has_all(self, mask: Expr) -> bool:
        """Whether an allocation with a mask, whatever else may be in it, waits for anything."""
        bits = [b for b in (self.program.gfp.value(f) for f in (DIRECT, "__GFP_IO", "__GFP_FS")) if b]
        must, value = values.known_bits(mask)
        return all(must & value & b for b in bits)

    def only_adds(self, flow: Flow, index: int) -> bool:
        """Whether a parameter is not how to allocate here: it is kept for later allocations, or only added to a mask that waits
        for anything (``GFP_KERNEL | flags``)."""
        parameter = Name(f"%{index}")
        uses = [(seen, arg) for seen in flow.seen if seen.args for arg in seen.args[0] if parameter in values.walk(arg)]
        uses = [(s, arg) for s, arg in uses if not (isinstance(s.event, Write) and isinstance(s.event.target, Name))]
        return bool(uses) and all(isinstance(s.event, Write) or self.has_all(arg) for s, arg in uses)

    def looks_at(self, flow: Flow, index: int) -> bool:
        """Whether a function decides by the bits of a parameter."""
        parameter = Name(f"%{index}")
        frame = flow.frame
        for block in frame.body.blocks if frame.body is not None else ():
            exit_ = block.exit
            tested = exit_.condition if isinstance(exit_, Branch) else exit_.value if isinstance(exit_, Switch) else None
            if tested is not None and parameter in values.walk(frame.canonical(tested, {})):
                return True
        return any(parameter in seen.args[0] and self.tells(flow, seen) for seen in flow.seen)

    def tells(self, flow: Flow, seen: Seen) -> bool:
        """Whether what is called answers a question (it returns a bool)."""
        event = seen.event
        targets = self.focus.summaries.calls.targets(flow.frame, event.callee) if isinstance(event, Call) else ()
        found = [t.func.definition for t in targets if t.func is not None]
        return any(d is not None and d.type.name in ("bool", "_Bool") for d in found)

    def flags_added(self, flow: Flow) -> Iterator[Finding]:
        """A patch lets an allocation wait for IO, or a filesystem, from which it was kept: as it is elsewhere in the file
        all the same, or where an operation comes to it that must not."""
        func, before = flow.frame.func, self.focus.before
        if before is None or not self.focus.edited(func):
            return
        old = [self.direct(before, was) for was in self.focus.flows_before(func)]
        mine = self.direct(self.focus, flow)
        asks = self.reclaim.asks
        for name, (seen, effect) in mine.items():
            had = next((got[name][1] for got in old if name in got), None)
            if had is None or not asks(had, ()):
                continue
            gone = tuple(f for f in ("__GFP_FS", "__GFP_IO") if asks(effect, (f,)) > asks(had, (f,)))
            reason = self.reason(func, gone) if gone else None
            if reason is not None:
                message = f"{words(effect)} may allocate with {', '.join(gone)}, from which it was kept before{reason[0]}"
                steps = (*reason[1], *effect_steps(self.focus.analysis, func, None, effect))
                yield self.made(func, seen, "medium", message, gone, steps)
                return  # one is enough: what keeps it from that is the same for all

    def reason(self, func: Func, gone: tuple[str, ...]) -> tuple[str, tuple[Step, ...]] | None:
        """Why an allocation of a function was kept from something, as the end of a sentence and steps; None if nothing tells."""
        own = sum(w in func.words for w in ("GFP_NOFS", "GFP_NOIO"))
        if len(CAREFUL.findall(self.program.text(func.path))) - own >= ALSO:
            return ", as others are here", ()
        met = {func.key}
        level: list[tuple[Func, tuple[CallSite, ...]]] = [(func, ())]
        for _ in range(ABOVE):
            above: list[tuple[Func, tuple[CallSite, ...]]] = []
            for inner, way in level:
                for slot, ops in self.reclaim.stands_in(inner):
                    if not set(gone).isdisjoint(ops.forbids):
                        steps = tuple(step(self.focus.analysis, "call", site.caller, site.call.at) for site in way)
                        return f", below {slot}, where {ops.why}", steps
                for site in self.focus.callers_of(inner).sites if len(met) < MAX_ABOVE else ():
                    if site.caller.key not in met:
                        met.add(site.caller.key)
                        above.append((site.caller, (site, *way)))
            level = above
        return None

    @staticmethod
    def direct(focus: Focus, flow: Flow) -> dict[tuple[str, int], tuple[Seen, Effect]]:
        """The allocations that a function makes itself, by the name of the API and the number of the call among those of it."""
        found: dict[tuple[str, int], tuple[Seen, Effect]] = {}
        count: dict[str, int] = {}
        for seen in sorted(flow.seen, key=lambda s: s.event.at):
            for effect in focus.effects.at(flow.frame.func, seen) if isinstance(seen.event, Call) else ():
                if effect.kind == "alloc" and not effect.way and not effect.doubt:
                    count[effect.name] = count.get(effect.name, 0) + 1
                    found[effect.name, count[effect.name]] = seen, effect
        return found

    def scope_removed(self, flow: Flow) -> Iterator[Finding]:
        """The same call stood in a memalloc scope before the patch."""
        func = flow.frame.func
        before = self.focus.before
        if before is None or not self.focus.edited(func):
            return
        older = self.scoped(before, func, any(cleared(s) for s in flow.seen))
        done: set[str] = set()
        for seen in flow.seen if older else ():
            gone = older.get(calls(seen), frozenset()) - cleared(seen)
            if not gone or done & gone:
                continue
            doubt = self.may_allocate(func, seen, gone)
            if doubt is None or self.scope_above(func, gone):
                continue
            done |= gone
            flags = ", ".join(sorted(gone))
            message = f"{calls(seen)}() may allocate with {flags}, from which a memalloc scope kept it before"
            steps = (step(self.focus.analysis, "call", func, seen.event.at, seen.must()), *doubt)
            yield self.made(func, seen, "medium", message, tuple(sorted(gone)), steps)

    def lock_without_scope(self, flow: Flow) -> Iterator[Finding]:
        """A function that returns with a lock held was in a memalloc scope, too, before the patch: all that its callers allocate
        under the lock was in that scope."""
        func = flow.frame.func
        before = self.focus.before
        if before is None or not self.focus.edited(func):
            return
        older = self.returns_with(before, func)
        now = self.returns_with(self.focus, func) if older else {}
        for lock, (_, scope) in older.items():
            hold, left = now.get(lock, (None, scope))
            gone = scope - left
            found = self.allocated_under(func, hold, gone) if gone and hold is not None else None
            if found is None or hold is None:
                continue
            flags, name = ", ".join(sorted(gone)), lock_words(hold)
            message = f"what is allocated under {name} may use {flags}, which a memalloc scope that came with the lock took away"
            seen = seen_at(flow, hold.at)
            if seen is not None:
                steps = (step(self.focus.analysis, "acquire", func, hold.at, (hold,)), *found[1])
                yield self.made(func, seen, found[0], message, (name, *sorted(gone)), steps)

    @staticmethod
    def returns_with(focus: Focus, func: Func) -> dict[Expr, tuple[Hold, frozenset[str]]]:
        """The locks with which the function of this name returns, each with the flags that scopes take away then."""
        found: dict[Expr, tuple[Hold, frozenset[str]]] = {}
        for mine in focus.program.functions(func.path, func.name):
            flow = focus.flow(mine)
            for ending in flow.endings if flow is not None else ():
                flags = frozenset(flag for scope in ending.state.scopes for flag in scope)
                for hold in ending.state.locks:
                    if hold.kind in SLEEPING:
                        old = found.get(hold.lock, (hold, flags))
                        found[hold.lock] = hold, old[1] & flags
        return found

    def allocated_under(self, func: Func, taken: Hold, gone: frozenset[str]) -> tuple[Confidence, tuple[Step, ...]] | None:
        """An allocation of a caller under the lock with which a function returns, and how sure it is; None if each caller has
        such a scope."""
        best: tuple[int, tuple[Step, ...]] = (2, ())
        sites = self.focus.holders.sites(func)
        callers = {site.caller.key: site.caller for site in sites}
        scoped = bool(callers)
        for caller in list(callers.values())[:MAX_FUNCTIONS]:
            theirs = self.focus.flow(caller)
            for seen in theirs.seen if theirs is not None else ():
                scoped = scoped and (calls(seen) != func.name or gone <= cleared(seen))
                hold = next((h for h in seen.may() if h.where == func.key and h.kind == taken.kind), None)
                if hold is None or calls(seen) == func.name or gone <= cleared(seen) or not best[0]:
                    continue
                for effect in self.focus.effects.at(caller, seen):
                    # Who takes care by itself says that reclaim is entered here, and that it must not come back.
                    doubt = effect.doubt + (not self.may_ask(effect, gone))
                    if doubt < best[0] and self.reclaim.asks(effect, ()) and not effect.lets_go(hold):
                        best = doubt, effect_steps(self.focus.analysis, caller, hold, effect)
        return None if scoped else ("medium" if best[0] < 2 else "low", best[1])

    @staticmethod
    def scoped(before: Focus, func: Func, still: bool) -> dict[str, frozenset[str]]:
        """The calls that the function of this name makes in a scope: what the scope takes away. Where there are scopes after the
        patch, too (``still``), all calls of the name have to be in one."""
        found: dict[str, frozenset[str]] = {}
        for mine in before.program.functions(func.path, func.name):
            flow = before.flow(mine)
            for seen in flow.seen if flow is not None else ():
                if isinstance(seen.event, Call) and cleared(seen):
                    old = found.get(calls(seen), cleared(seen))
                    found[calls(seen)] = old & cleared(seen) if still else old | cleared(seen)
        return found

    def may_allocate(self, func: Func, seen: Seen, gone: frozenset[str]) -> tuple[Step, ...] | None:
        """Steps to an allocation that the flags matter to, none where it cannot be told; None if there is no such thing."""
        event = seen.event
        assert isinstance(event, Call)
        targets = self.focus.summaries.calls.targets(self.program.frame(func), seen.callee or event.callee)
        if not targets and not isinstance(event.callee, Name):
            return ()
        for depth in (DEPTH, DEEP):
            for effect in self.focus.effects.at(func, seen, depth):
                if self.may_ask(effect, gone):
                    return effect_steps(self.focus.analysis, func, None, effect)[1:]
        if not isinstance(event.callee, Name):
            return ()  # a table: what lies below it cannot be told
        for effect in self.focus.effects.at(func, seen):
            # Who allocates with care says that reclaim must not come back; a table is called, too, of which that cannot be told.
            if self.reclaim.asks(effect, ()) and effect.doubt == 0 and effect.way and self.beyond(effect.way[0][1], func):
                return effect_steps(self.focus.analysis, func, None, effect)[1:]
        return () if self.beyond(event, func) and not self.careful(func) else None

    def careful(self, func: Func) -> bool:
        """Whether a patch has the function name masks that it did not name before, instead of the scope."""
        masks = {word for word in func.words if word.startswith(("GFP_", "__GFP_"))}
        old = self.old.program.functions(func.path, func.name) if self.old is not None else ()
        return bool(masks.difference(*(mine.words for mine in old)))

    def beyond(self, call: Call, caller: Func) -> bool:
        """Whether something is called through a table below a call, within the folder."""
        todo = [(call.callee.id, caller, 0)] if isinstance(call.callee, Name) else []
        met: set[str] = set()
        folder = posixpath.dirname(caller.path)
        for name, near, depth in todo:
            for callee in self.program.resolve(name, near.path) if self.program.model(name) is None else ():
                if callee.key in met or posixpath.dirname(callee.path) != folder:
                    continue
                met.add(callee.key)
                passed = {p.name for p in callee.parameters}  # ``int run(int (*cb)(void *), void *p) { return cb(p); }``
                if self.focus.summaries.names.calls_indirectly(callee) or not passed.isdisjoint(callee.calls):
                    return True
                todo += [(below, callee, depth + 1) for below in callee.calls] if depth < FAR else []
        return False

    def may_ask(self, effect: Effect, flags: frozenset[str]) -> bool:
        """Whether an allocation may have direct reclaim and these flags: its caller may decide, and nothing takes one away."""
        if effect.kind != "alloc" or effect.what is None or flags & effect.cleared:
            return False
        known, value = values.known_bits(effect.what)
        bits = [b for b in (self.program.gfp.value(f) for f in (DIRECT, *flags)) if b]
        return all(not known & b or value & b for b in bits)

    def scope_above(self, func: Func, gone: frozenset[str]) -> bool:
        """Whether all known callers have such a scope."""
        sites = self.nearby.of(func).sites
        return bool(sites) and all(gone <= cleared(site.seen) for site in sites)

    def made(
        self, func: Func, seen: Seen, confidence: Confidence, message: str, involves: tuple[str, ...], steps: tuple[Step, ...]
    ) -> Finding:
        file, line, column, function = place(func, seen.event.at)
        return Finding(
            rule=RULE, severity="error", confidence=confidence, file=file, line=line, column=column, function=function,
            message=message, involves=involves, proof=steps, event=self.program.line_text(file, line),
        )  # fmt: skip


def field_of(place: Expr) -> Member | None:
    """The field that a place is, or of which it is one entry."""
    inner = place.base if isinstance(place, Index) else place
    return inner if isinstance(inner, Member) else None


def is_result(value: Expr | None) -> bool:
    """Whether a value is what a call gives."""
    return value is not None and isinstance(root_of(value), Result)


def fields_filled(frame: Frame, at: int) -> frozenset[str]:
    """The fields in which what the call at a position gives is stored."""
    events = list(events_of(frame.body))
    made = {Result(e.number) for e in events if isinstance(e, Call) and e.at == at}
    stores = (field_of(e.target) for e in events if isinstance(e, Write) and root_of(e.value) in made)
    return frozenset(field.name for field in stores if field is not None)


def lock_words(hold: Hold) -> str:
    """The class of a lock, or what the function calls it."""
    return hold.name or (f"{hold.lock.name}" if isinstance(hold.lock, Member) else values.show(hold.lock))


def words(effect: Effect) -> str:
    """``kmalloc()`` or ``helper() (in kmalloc())``: the call, and what allocates in it."""
    called = effect.called
    return f"{called}()" if called == effect.name else f"{called}() (in {effect.name}())"
