"""What a changed function does with locks: which it takes and how, and what it calls under them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from reviewer.parse.facts import Call, Name
from reviewer.program.api.models import Taken
from reviewer.program.flow.summaries import Summaries
from reviewer.program.linked.link import Func

MAX_SENTENCES = 6
"""Of one function; more is a new function rather than a change."""


@dataclass(slots=True)
class LockUse:
    """``taken``: how each lock class is taken; ``under``: names called while it is held on every path; ``calls``: all names."""

    taken: dict[str, set[Taken]] = field(default_factory=dict)
    under: dict[str, set[str]] = field(default_factory=dict)
    calls: set[str] = field(default_factory=set)


def lock_use(summaries: Summaries, func: Func) -> LockUse:
    """What a function takes by itself. Calls that are lock operations, or that only compute, are left out."""
    found = LockUse()
    flow = summaries.flow(func)
    holds = [h for seen in flow.seen for h in seen.may()] if flow is not None else []
    holds += [h for ending in flow.endings for h in ending.state.locks] if flow is not None else []  # taken by its last call
    for hold in holds:
        if hold.name and not hold.where:
            found.taken.setdefault(hold.name, set()).add("lock" if hold.taken == "guard" else hold.taken)
    for seen in flow.seen if flow is not None else ():
        callee = seen.event.callee if isinstance(seen.event, Call) else None
        if not isinstance(callee, Name):
            continue
        model = summaries.program.model(callee.id)
        if model is not None and (model.passes or model.takes or model.drops):
            continue
        found.calls.add(callee.id)
        for hold in seen.must():
            if hold.name and not hold.where:
                found.under.setdefault(hold.name, set()).add(callee.id)
    return found


def sentences(was: LockUse, now: LockUse) -> Iterator[str]:
    """What differs, each in a few words."""
    for lock in sorted(was.taken.keys() | now.taken.keys()):
        before, after = was.taken.get(lock, set()), now.taken.get(lock, set())
        if not after:
            yield f"no longer takes {lock}"
        elif not before:
            yield f"now takes {lock}" + (f" ({how(after)})" if after != {"lock"} else "")
        elif before != after:
            yield f"takes {lock} {how(before)} -> {how(after)}" + consequence(before, after)
        if before and after:
            stay = was.calls & now.calls
            inside, outside = was.under.get(lock, set()) & stay, now.under.get(lock, set()) & stay
            yield from (f"{name}() moves out of {lock}" for name in sorted(inside - outside))
            yield from (f"{name}() moves into {lock}" for name in sorted(outside - inside))
        elif before:
            yield from (f"{name}() is no longer called under {lock}" for name in sorted(was.under.get(lock, set()) & now.calls))
        else:
            yield from (f"{name}() is now called under {lock}" for name in sorted(now.under.get(lock, set()) & was.calls))


def how(taken: set[Taken]) -> str:
    return " or ".join(sorted(taken))


def consequence(before: set[Taken], after: set[Taken]) -> str:
    """What another way of taking a lock means."""
    if before == {"trylock"} and "lock" in after:
        return ": it waits where it used to go away"
    come = after - before
    if come & {"killable", "interruptible", "trylock", "timeout"}:
        return ": what it does when that fails is new"
    return ""
