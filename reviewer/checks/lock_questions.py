"""The questions that a function asks around a lock: whether it is taken and released under the same conditions."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from reviewer.parse.cfg import successors
from reviewer.parse.facts import Branch, Const, Expr, Member, Name, Read, Return, Write
from reviewer.program.concurrency.balance import Balance, Way
from reviewer.program.flow.lockflow import Flow, names_in, polarity, reached
from reviewer.program.flow.objects import of_parameter
from reviewer.program.linked import values
from reviewer.program.linked.structs import Frame

MAX_ASKED = 3
"""Conditions in a row (``a && b && c``) that lead to an event."""

MAX_CASES = 3
"""Conditions that are asked more than once and decided beforehand, each both ways."""

LOCKED = re.compile(r"(?:^|[_.>%$])(?:is_|was_)?(?:locked|held)(?:$|_)|(?:^|_)(?:have|has|got)_\w*lock$")
"""How the kernel names what says that somebody has taken a lock."""


def same_questions(state: Balance, held: Way, good: Way) -> bool:
    """Whether the lock is taken and released under the same several conditions (``if (a || b) lock(); ... if (b || a)
    unlock();``), of which not all could be remembered in between."""
    one, two = (questions(state.frame, at) for at in (held.taken, good.released))
    return len(one & two) > 1 and (one <= two or two <= one)


def same_last_question(state: Balance, held: Way, less: Way) -> bool:
    """The same for the last condition alone, where it is released by a way that has not been asked before."""
    one, two = (questions(state.frame, at, 1) for at in (held.taken, less.released))
    return not one.isdisjoint(two)


def always_asked(state: Balance, held: Way, good: Way) -> bool:
    """Whether the condition under which the lock is taken is asked again before it is released, wherever the way from there
    leads: who leaves with it has forgotten the first answer."""
    body = state.frame.body
    if body is None or not same_last_question(state, held, good):
        return False
    first, last = (next((n for n, b in enumerate(body.blocks) if any(e.at == at for e in b.events)), -1)
                   for at in (held.taken, good.released))  # fmt: skip
    for number, block in enumerate(body.blocks):
        if first >= 0 and isinstance(block.exit, Branch) and last in (block.exit.then, block.exit.other):
            around = reached(body, successors(body.blocks[first].exit), number)
            return not any(isinstance(body.blocks[n].exit, Return) for n in around)
    return False


def by_flag(state: Balance, held: Way, less: Way) -> bool:
    """Whether a local variable says where the lock is taken (``if (locked) lock();``), but not where it is released: there
    something else does that depends on it."""
    asked = questions(state.frame, held.taken)
    local = bool(asked) and all(isinstance(e, Name) and e.id.startswith("$") for e, _ in asked)
    return local and asked.isdisjoint(questions(state.frame, less.released))


def says_locked(frame: Frame, at: int) -> bool:
    """Whether a flag whose name says so tells that a lock is held where it is released (``if (user->locked) unlock();``)."""
    return any(
        truth and LOCKED.search(e.name if isinstance(e, Member) else e.id if isinstance(e, Name) else "")
        for condition, truth in questions(frame, at) for e in values.walk(condition)
    )


def questions(frame: Frame, at: int, levels: int = MAX_ASKED) -> frozenset[tuple[Expr, bool]]:
    """The conditions, and what they were, without which nobody comes to the block of an event, the last few of them."""
    body = frame.body
    assert body is not None
    here = {number for number, block in enumerate(body.blocks) if any(e.at == at for e in block.events)}
    found: set[tuple[Expr, bool]] = set()
    for _ in range(levels):
        before = {n: b.exit for n, b in enumerate(body.blocks) if not here.isdisjoint(successors(b.exit))}
        for exit_ in before.values():
            if not isinstance(exit_, Branch):
                return frozenset(found)  # others come here, too
            positive, condition = polarity(frame.canonical(exit_.condition, {}))
            found.add((condition, (exit_.then in here) == positive))
        here = {n for n in before if all(isinstance(e, Read) for e in body.blocks[n].events)}  # a && b
    return frozenset(found)


def asked_again(flow: Flow) -> list[Expr]:
    """Conditions on what is no local that more than one branch of a function asks, those first that most do."""
    found: dict[Expr, set[int]] = {}
    for seen in flow.seen:
        for args in seen.args if isinstance(seen.event, Read) else ():
            condition = polarity(args[0])[1]
            if not isinstance(condition, Const) and not any(n.startswith("$") for n in names_in(condition)):
                found.setdefault(condition, set()).add(seen.event.at)
    again = [c for c, places in found.items() if len(places) > 1]
    return sorted(again, key=lambda c: -len(found[c]))[:MAX_CASES]


def contract(held: Sequence[Way], even: Sequence[Way], decides: Callable[[Expr], bool] | None = None) -> bool:
    """Whether a plain argument decides: ``if (!keep) unlock();``.

    :param decides: what else may; of all ways then, not only of those that take the lock.
    """
    first = held[0].ending.state.truths if held else {}
    for condition, truth in first.items():
        if not (decides or plain_argument)(condition):
            continue
        if any(w.ending.state.truths.get(condition) != truth for w in held):
            continue
        if all(w.ending.state.truths.get(condition) == (not truth) for w in even if w.taken > 0 or decides):
            return True
    return False


def had_before(frame: Frame, bare: Way, held: Sequence[Way]) -> bool:
    """Whether a way that takes no lock finds that the caller's object has it already: it asks for a member that the ways which
    leave with the lock set (``if (ctx->bdev) return 0; ... lock(); ctx->bdev = bdev; return 0;``)."""
    asked = {c for c, truth in bare.ending.state.truths.items() if truth and isinstance(c, Member) and of_parameter(c)}
    set_by = {
        frame.canonical(e.target, {}) for b in (frame.body.blocks if frame.body is not None else ()) for e in b.events
        if isinstance(e, Write) and isinstance(e.target, Member)
    }  # fmt: skip
    return any(c in set_by and all(c not in w.ending.state.truths for w in held) for c in asked)


def plain_argument(condition: Expr) -> bool:
    """A test of a parameter's own value, not of what it points to."""
    names = [e for e in values.walk(condition) if not isinstance(e, Const)]
    return any(isinstance(e, Name) and e.id.startswith("%") for e in names) and all(
        not isinstance(e, Name) or e.id.startswith("%") for e in names
    ) and not any(type(e).__name__ in ("Member", "Deref", "Index", "Result") for e in names)
