"""rcu-misuse: what RCU protects is read outside of a read section, used after it, or freed while readers may still hold it.

Whether a lock that is held is the writers' own cannot be told from the code, so any lock excuses a read, unless the others who
call the same helper, or the same function before the patch, have a section.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from reviewer.checks.finding import Confidence, Finding, Step
from reviewer.checks.focus import Focus
from reviewer.checks.followed import Followed
from reviewer.checks.proof import effect_steps, place, step
from reviewer.checks.rcu_before import lost
from reviewer.checks.rcu_care import care_of
from reviewer.checks.rcu_sections import bared, does, out_of_section, section_gone, users
from reviewer.checks.rcu_waits import barrier_gone, overtaken, wait_gone
from reviewer.checks.registry import general
from reviewer.checks.unasked import unasked
from reviewer.checks.unpinned import unpinned
from reviewer.parse.cfg import successors
from reviewer.parse.facts import Call, Name, Result, Write
from reviewer.program.concurrency.grace import Grace
from reviewer.program.concurrency.rcu import DEPTH, Need, Needs, excuses, in_section, protects, reads_rcu
from reviewer.program.concurrency.rcu_uses import after_section
from reviewer.program.flow.horizon import FAR
from reviewer.program.flow.lockflow import Seen, reached
from reviewer.program.flow.objects import object_name, rooted
from reviewer.program.graph.nearby import Verdict
from reviewer.program.graph.upward import ATOMIC
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold

RULE = "rcu-misuse"

FLAVOURS = ("_bh", "_sched")
"""How the names of accessors end that want softirqs or preemption off rather than a section."""

CALLBACK = "rcu"
"""How the models call it (``Registers.how``) that a function is run once the readers are done."""


@general(RULE)
def rcu_misuse(focus: Focus) -> Iterator[Finding]:
    reads = Reads(focus)
    grace = Grace(focus.summaries)
    followed = Followed(focus, grace)
    for func in focus.functions:
        read = [*reads.of(func), *reads.walks(func)]
        yield from read or [*reads.uncovered(func), *reads.bare(func)]
        yield from waits_inside(focus, func)
        early = list(freed_early(focus, grace, func))
        yield from early
        if not early:
            yield from care_lost(focus, func)
        yield from used_after(focus, func)
        yield from freed_in_walk(focus, grace, func)
        yield from walked(focus, followed, func)


def walked(focus: Focus, followed: Followed, func: Func) -> Iterator[Finding]:
    """What a core follows by itself (a symbolic link in a path walk), freed as its owner goes."""
    for seen, word, field in followed.freed(func):
        name = field.removeprefix("struct ")
        message = f"{word} is freed with no grace period, and a walk under RCU may still follow it ({name})"
        steps = (step(focus.analysis, "access", func, seen.event.at, seen.must()),)
        sure = not focus.program.models.followed[field]  # no operation of the filesystem's own has to be asked for it
        yield told(focus, func, seen.event.at, message, word, steps, "high" if sure else "medium")


def freed_in_walk(focus: Focus, grace: Grace, func: Func) -> Iterator[Finding]:
    """A list that is walked by an iterator which reads the next link of an entry after the body has left that entry to be freed:
    outside of a section the grace period may be over by then, whatever lock keeps other writers out."""
    if not focus.horizon.has(reads_rcu, func, 0) or not grace.may("defer", func, 1):
        return
    flow = focus.flow(func)
    body = flow.frame.body if flow is not None else None
    if flow is None or body is None:
        return
    for walk in flow.seen:
        event = walk.event
        model = focus.program.model(event.callee.id) if isinstance(event, Call) and isinstance(event.callee, Name) else None
        if not isinstance(event, Call) or not event.loop or model is None or not reads_rcu(model) or any(map(pins, walk.may())):
            continue
        cursor = next((a for a in walk.args[0] if isinstance(a, Name)), None) if walk.args else None
        for seen in flow.seen:
            freed = seen.event
            if (
                isinstance(freed, Call) and not freed.loop and cursor is not None and cursor in grace.left(flow, seen)
                and walk.block in reached(body, successors(body.blocks[seen.block].exit))
                and seen.block in reached(body, successors(body.blocks[walk.block].exit))
                and (above := focus.nearby.held_above(func, pins)) in ("none", "unknown")
            ):
                word = values.show(cursor, names(focus, func))
                walked = step(focus.analysis, "access", func, event.at, walk.must())
                message = f"{word} is left to be freed by RCU, and {model.name}() goes on from it outside of a read section"
                steps = (walked, step(focus.analysis, "call", func, freed.at))
                yield told(focus, func, freed.at, message, word, steps, "high" if above == "none" else "medium")
                return


def pins(hold: Hold) -> bool:
    """Whether no grace period ends while it is held."""
    return hold.kind in ATOMIC or hold.kind == "srcu"


def waits_inside(focus: Focus, func: Func) -> Iterator[Finding]:
    """A section of SRCU that was let go around a wait before the patch: as long as the wait lasts nobody gets through
    synchronize_srcu()."""
    still = focus.let_go.kept(func, on_purpose=True)
    flow = focus.flow(func) if still else None
    for seen in flow.seen if flow is not None else ():
        section = next((h for h in still.get(seen.event.at, ()) if h.kind == "srcu"), None)
        wait = next((e for e in focus.effects.at(func, seen) if e.wait is not None and e.doubt < 2), None) if section else None
        if section is not None and wait is not None:
            message = f"{wait.called}() waits in a read section of {section.name}, which was let go here before the patch"
            yield told(focus, func, seen.event.at, message, section.name, effect_steps(focus.analysis, func, section, wait))
            return


def used_after(focus: Focus, func: Func) -> Iterator[Finding]:
    """Pointers that are followed after the section in which they were fetched."""
    analysis = focus.analysis
    after = after_section(focus.summaries, func, out_of_section(focus, func))
    above = focus.nearby.held_above(func, pins) if after else "none"
    confidence: Confidence = "low" if above == "some" and focus.other is None else "medium"
    for at, held in after.items() if above != "all" else ():  # else the callers have a section of their own around it
        word = values.show(held.pointer, names(focus, func))
        fetched = f"{word} was fetched ({held.name}())" if not isinstance(held.pointer, Result) else f"what {word} gave was found"
        steps = (
            step(analysis, "access", func, held.at), step(analysis, "release", func, held.over),
            step(analysis, "access", func, at),
        )  # fmt: skip
        yield told(focus, func, at, f"{fetched} in an RCU read section and is followed after its end", word, steps, confidence)
    for seen, word, over in unpinned(focus, func):
        ways = (step(analysis, "release", func, over.event.at), step(analysis, "access", func, seen.event.at))
        message = f"{word} is used after the RCU read section that it was found in, with no reference any more"
        yield told(focus, func, seen.event.at, message, word, ways)


def care_lost(focus: Focus, func: Func) -> Iterator[Finding]:
    """What the function did for readers before the patch."""
    flow = focus.flow(func) if focus.edited(func) else None
    if flow is None or focus.before is None:
        return
    before, now = care_of(focus.before, func), care_of(focus, func)
    found = list(lost(focus, flow, before, now))
    for seen, object_, how, freed in found:
        word = values.show(object_, names(focus, func))
        what = f"{freed.name}() is called for {word} at once" if freed is not None else f"{word} is linked or unlinked"
        what = f"{word} is stored" if isinstance(seen.event, Write) else what
        steps = [step(focus.analysis, "call", f, call.at) for f, call in freed.way] if freed is not None else []
        steps.append(
            step(focus.analysis, "access", freed.func, freed.at) if freed is not None
            else step(focus.analysis, "access", func, seen.event.at)
        )  # fmt: skip
        yield told(focus, func, seen.event.at, f"{what}; before the patch that was done {how}", word, steps)
    barrier = barrier_gone(focus, flow, before, now)
    if barrier is not None:
        seen, callback, left = barrier
        steps = [step(focus.analysis, "register", left.frame.func, seen.event.at)]
        message = f"{func.name}() waits no more for what is left to RCU: {callback.name}() may still be to come"
        yield told(focus, func, flow.seen[-1].event.at, message, callback.name, steps)
    for call, callee, field, at in unasked(focus, Grace(focus.summaries), func) if not found else ():
        message = f"{callee.name}() frees at once what it left to RCU before the patch: {func.name}() sets {field} no more"
        steps = [step(focus.analysis, "call", func, call.event.at), step(focus.analysis, "register", callee, at.event.at)]
        yield told(focus, func, call.event.at, message, field, steps)
    gone = wait_gone(focus, flow, before, now) if not found else None
    if gone is not None:
        seen, word = gone
        message = f"{word}() takes something away from RCU readers; before the patch {func.name}() then waited for them"
        yield told(focus, func, seen.event.at, message, word, (step(focus.analysis, "access", func, seen.event.at),))
    early = overtaken(focus, flow) if not found and gone is None else None
    if early is not None:
        seen, word = early
        message = f"{word}() is called before {func.name}() waits for RCU readers; before the patch that came first"
        yield told(focus, func, seen.event.at, message, word, (step(focus.analysis, "call", func, seen.event.at),))


def told(
    focus: Focus, func: Func, at: int, message: str, word: str, steps: Sequence[Step], confidence: Confidence = "medium"
) -> Finding:
    """A finding at a position of a function, about what ``word`` names."""
    file, line, column, function = place(func, at)
    return Finding(
        rule=RULE, severity="error", confidence=confidence, file=file, line=line, column=column, function=function,
        message=message, involves=(word,), proof=tuple(steps), event=focus.program.line_text(file, line),
    )  # fmt: skip


def freed_early(focus: Focus, grace: Grace, func: Func) -> Iterator[Finding]:
    """Objects that are freed right after they were taken away from readers."""
    if teardown(func) or after_grace(focus, func):
        return
    analysis = focus.analysis
    for unlinked, freed in grace.early(func):
        at = freed.way[0][1].at if freed.way else freed.at
        file, line, column, function = place(func, at)
        confidence: Confidence = "high" if not unlinked.way and not freed.way else "medium"
        if focus.other is None and freed.way and not unlinked.way:
            confidence = "low"  # whoever ends an object by a function for that waits, or frees it later, in there
        if focus.other is None and unlinked.way and unlinked.func.path.endswith(".c"):
            confidence = "low"  # a helper that unlinks also serves those who have no readers any more, or none yet
        steps = [step(analysis, "call", f, call.at) for f, call in unlinked.way]
        steps.append(step(analysis, "access", unlinked.func, unlinked.at))
        steps += [step(analysis, "call", f, call.at) for f, call in freed.way]
        steps.append(step(analysis, "access", freed.func, freed.at))
        word = values.show(freed.object, names(focus, func))
        yield Finding(
            rule=RULE, severity="error", confidence=confidence, file=file, line=line, column=column, function=function,
            message=f"{word} is freed ({freed.name}()) with no grace period after {unlinked.name}() took it from RCU readers",
            involves=(word,), proof=tuple(steps), event=focus.program.line_text(file, line),
        )  # fmt: skip


class Reads:
    """Reads outside of a section."""

    def __init__(self, focus: Focus) -> None:
        self.focus = focus
        self.needs = Needs(focus.summaries)
        self.older = Reads(focus.before) if focus.before is not None else None
        self._protected: dict[tuple[str, str], frozenset[tuple[str, str]]] = {}
        self.nearby = focus.nearby

    def of(self, func: Func) -> Iterator[Finding]:
        depth = self.depth(func)
        if not self.focus.horizon.has(reads_rcu, func, depth) or teardown(func):
            return
        flow = self.focus.flow(func)
        done: set[str] = set()
        for seen in flow.seen if flow is not None else ():
            for need in self.needs.at(func, seen, depth):
                word = need.through if need.way else need.object or need.name
                if word in done or in_section(seen, need):
                    continue
                found = self.judged(func, seen, need)
                if found is not None:
                    done.add(word)
                    yield found

    def depth(self, func: Func) -> int:
        """How far below a function reads are looked for: further where a patch has taken a section away."""
        return FAR if self.focus.other is not None and self.focus.differs(func) else DEPTH

    def walks(self, func: Func) -> Iterator[Finding]:
        """Lists that were walked in a section before a patch, and now are with neither a section nor the iterator for it."""
        were = self.older.walked(func) if self.older is not None and self.focus.edited(func) else {}
        flow = self.focus.flow(func) if were else None
        for seen in flow.seen if flow is not None else ():
            if flow is None or not isinstance(seen.event, Call) or not seen.event.loop:
                continue
            heads = [object_name(flow.frame, rooted(flow.frame, values.deref(arg))) for arg in seen.args[0]]
            need, callers = next((were.pop(head) for head in heads if head in were), (None, False))
            if need is None or in_section(seen, need) or any(excuses(h, need) for h in seen.may()):
                continue
            above = self.above(func, need, others=True)
            if above != "all" and (above != "some" or callers):
                yield self.finding(func, seen, replace(need, func=func, at=seen.event.at), "medium", True, 0)

    def walked(self, func: Func) -> dict[str, tuple[Need, bool]]:
        """Lists that the function of this name walks by an iterator of RCU in a section, each with whether it is its callers'."""
        found: dict[str, tuple[Need, bool]] = {}
        for mine in self.focus.program.functions(func.path, func.name):
            flow = self.focus.flow(mine) if self.focus.horizon.has(reads_rcu, mine, DEPTH) else None
            for seen in flow.seen if flow is not None else ():
                for need in self.needs.at(mine, seen) if isinstance(seen.event, Call) and seen.event.loop else ():
                    if not need.way and need.object:
                        own = in_section(seen, need)
                        if own or self.above(mine, need, others=False) == "all":
                            found.setdefault(need.object, (need, not own))
        return found

    def uncovered(self, func: Func) -> Iterator[Finding]:
        """What is done as before a patch, but for the section around it, where no caller has anything that may do as well."""
        flow = self.focus.flow(func) if self.focus.edited(func) and not teardown(func) else None
        seen = section_gone(self.focus, flow) if flow is not None else None
        if seen is None or any(map(does, seen.must())) or all(m.masks or m.context != "task" for m in self.focus.modes.of(func)):
            return  # with interrupts or softirqs off no grace period ends
        if self.nearby.held_above(func, does) == "all" or any(does(h) for _, h in self.focus.entries.held(func)):
            return
        yield self.uncovers(func, seen, "an RCU read section")

    def bare(self, func: Func) -> Iterator[Finding]:
        """The same for SRCU, whose sections stand beside locks that protect something else."""
        flow = self.focus.flow(func) if self.focus.edited(func) and not teardown(func) else None
        seen = bared(self.focus, flow) if flow is not None else None
        if seen is not None and self.nearby.held_above(func, lambda h: h.kind == "srcu") not in ("all", "some"):
            yield self.uncovers(func, seen, "a read section of SRCU")

    def uncovers(self, func: Func, seen: Seen, what: str) -> Finding:
        callee = seen.event.callee if isinstance(seen.event, Call) else None
        model = self.focus.program.model(callee.id) if isinstance(callee, Name) else None
        named = isinstance(callee, Name) and not (model is not None and model.pure)
        word = f"{callee.id}()" if named and isinstance(callee, Name) else "what this line reads"
        message = f"{word} stood in {what} before the patch, and stands in none any more"
        steps = (step(self.focus.analysis, "access", func, seen.event.at, seen.must()),)
        return told(self.focus, func, seen.event.at, message, word, steps)

    def above(self, func: Func, need: Need, others: bool) -> Verdict:
        """Whether the callers have a section, or, with ``others``, a lock that may do as well."""
        return self.nearby.held_above(func, lambda h: protects(h, need) or (others and excuses(h, need)))

    def judged(self, func: Func, seen: Seen, need: Need) -> Finding | None:
        words = {(need.spec.flavour, need.object or "-"), (need.spec.flavour, need.through)}
        removed = self.older is not None and self.focus.edited(func) and bool(self.older.protected(func) & words)
        if removed and not need.way and (self.says_otherwise(func, need) or any(h.mode == "exclusive" for h in seen.must())):
            return None  # the author has thought of it: softirqs are off, or the lock that has been there does
        other = [h for h in (*seen.may(), *need.held) if excuses(h, need)]
        if (other or need.vouched) and not removed:
            return None
        helper = need.way[1][0] if len(need.way) > 1 else need.func
        with_section, without = users(self.focus, helper, func) if need.way else (0, 0)
        if need.way and not removed and not with_section:
            return None  # nobody does it: the helper's own affair
        if not need.way and not removed and not need.spec.strict:
            return None
        above = self.nearby.held_above(func, lambda h: protects(h, need))
        if above == "all" or (above == "some" and not removed):
            return None  # or it is a helper, and those of its callers who have no section are asked
        others = self.nearby.held_above(func, lambda h: excuses(h, need))
        if others in ("all", "some") and not removed:
            return None
        sure = above == "none"
        confidence: Confidence = "low"
        if removed:
            confidence = "high" if sure and not other else "medium"
        elif need.way and with_section >= 2 and with_section > without:
            # Whoever calls an operation of a table may have a section around all of them.
            confidence = "high" if sure else "low" if self.nearby.only_by_address(func) else "medium"
        elif sure:
            confidence = "medium"
        if confidence == "medium" and not removed and self.focus.other is None:
            confidence = "low"  # of code that has run, callers have sections that cannot be seen: by macros, through tables
        return self.finding(func, seen, need, confidence, removed, with_section)

    def says_otherwise(self, func: Func, need: Need) -> bool:
        """Whether a patch has the function read by an accessor of another flavour than before (``rcu_dereference_bh()``)."""
        if not need.name.endswith(FLAVOURS) or self.older is None:
            return False
        return all(need.name not in mine.calls for mine in self.older.focus.program.functions(func.path, func.name))

    def finding(
        self, func: Func, seen: Seen, need: Need, confidence: Confidence, removed: bool, others: int
    ) -> Finding:
        analysis = self.focus.analysis
        file, line, column, function = place(func, seen.event.at)
        why = " any more" if removed else f", which {others} other callers have" if others > 1 and need.way else ""
        what = f"{need.name}()"
        if need.way:
            what = f"{need.through}() reads what RCU protects ({need.name}() in {need.func.name}()) and"
        steps: list[Step] = [step(analysis, "call", caller, call.at, seen.must()) for caller, call in need.way]
        steps.append(step(analysis, "access", need.func, need.at, (*seen.must(), *need.held)))
        return Finding(
            rule=RULE, severity="error", confidence=confidence, file=file, line=line, column=column, function=function,
            message=f"{what} is called outside of an RCU read section{why}",
            involves=(need.object or need.through,), proof=tuple(steps), event=self.focus.program.line_text(file, line),
        )  # fmt: skip

    def protected(self, func: Func) -> frozenset[tuple[str, str]]:
        """Objects that the function of this name reads, and helpers that it calls, in a section, each with its flavour."""
        key = (func.path, func.name)
        got = self._protected.get(key)
        if got is None:
            found: set[tuple[str, str]] = set()
            for mine in self.focus.program.functions(func.path, func.name):
                flow = self.focus.flow(mine)
                depth = self.depth(mine)
                for seen in flow.seen if flow is not None and self.focus.horizon.has(reads_rcu, mine, depth) else ():
                    for need in self.needs.at(mine, seen, depth):
                        if in_section(seen, need):
                            found |= {(need.spec.flavour, word) for word in (need.object, need.through) if word}
            got = self._protected[key] = frozenset(found)
        return got


def names(focus: Focus, func: Func) -> dict[str, str]:
    """Canonical names to those in the source; a result is named by what was called."""
    found = {f"%{i}": p.name for i, p in enumerate(func.parameters)}
    flow = focus.flow(func)
    for seen in flow.seen if flow is not None else ():
        if isinstance(seen.event, Call) and isinstance(seen.event.callee, Name):
            found[f"r{seen.event.number}"] = f"{seen.event.callee.id}()"
    return found


def teardown(func: Func) -> bool:
    """Whether it runs once, while the module comes or goes and nobody else is there."""
    annotations = func.definition.annotations if func.definition is not None else ()
    return any(a.startswith(("__init", "__exit")) for a in annotations)


def after_grace(focus: Focus, func: Func, level: int = 2) -> bool:
    """Whether it is an operation that is called when no reader of the object is left, or what is run after a grace period, or
    runs below nothing but such ones."""
    operations = focus.program.models.operations
    entries = focus.entries.of(func)
    if entries or not level:
        return bool(entries) and all(
            e.how == CALLBACK or (e.how in operations and operations[e.how].after_grace) for e in entries
        )  # fmt: skip
    callers = focus.lives.callers(func)
    return func.static and bool(callers) and all(after_grace(focus, c, level - 1) for c in callers)
