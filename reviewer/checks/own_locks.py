"""Locks that are no objects of the kernel's: a semaphore of the hardware, a register, a lock of a cluster, which a driver takes
and gives back by functions of its own. What the two are is told by their names (``x_lock()`` with ``x_unlock()``); what the
caller means to do by its other ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from reviewer.checks.focus import Focus
from reviewer.checks.lock_questions import contract, questions
from reviewer.checks.lock_results import as_object, overlap, returns_pointer
from reviewer.parse.facts import Binary, Body, Branch, Call, Const, Event, Expr, Jump, Member, Name, Result, Return, Write
from reviewer.program.concurrency.balance import Way, result_of
from reviewer.program.flow import lockflow
from reviewer.program.flow.lockflow import Ending, Observer, State, reached
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame

PAIRS = ((re.compile(r"(?:(?<=_)|^)lock(?=_|$)"), "unlock"), (re.compile(r"(?:(?<=_)|^)acquire(?=_|$)"), "release"))
"""The word in a name that says that a lock is taken, and the one in its place where it is given back."""

TAKES = re.compile(r"lock|acquire|begin|start|enter|prepare|open|grab|get|claim|down")
"""Words in the name of a function that may leave with a lock on purpose."""

BELOW = 2
"""Calls below a function in which the release is looked for by name."""

MAX_CALLERS = 12


class Taken(NamedTuple):
    """``release``: the name of what gives it back; ``of``: whose operation it is, and the first arguments; ``number`` and ``at``:
    the call that took it; ``released``: where it was given back, or -1."""

    release: str
    of: tuple[Expr, ...]
    number: int
    at: int
    released: int = -1


@dataclass(frozen=True, slots=True)
class Left:
    """A way that leaves with such a lock, and one that gives it back. ``lock``: what took it."""

    lock: str
    way: Way
    good: Way


def left_behind(focus: Focus, func: Func) -> Iterator[Left]:
    """The locks of its own with which a function leaves on a way on which it has failed, though it gives them back on others."""
    pairs = dict(sorted((word, other) for word in func.words for other in partner(word) if other in func.words))
    if not pairs or TAKES.search(func.name) or func.definition is None or func.definition.type.name in ("void", "bool"):
        return  # without a number as a result there is no way that fails
    pairs = {lock: other for lock, other in pairs.items() if is_own(focus, func, lock) and is_own(focus, func, other)}
    frame = focus.program.frame(func)
    if not pairs or frame.body is None:
        return
    watch = Watch(focus, pairs)
    flow = lockflow.run(frame, focus.summaries, observer=watch)
    pairs = {lock: other for lock, other in pairs.items() if other not in watch.unclear}
    if not pairs or flow.capped or handed_over(focus, func, pairs):
        return
    sites = {t.at: lock for e in flow.endings for t in kept(e) for lock, other in pairs.items() if other == t.release}
    for site, lock in sorted(sites.items()):
        found = uneven(frame, lock, site, flow.endings)
        if found is not None:
            yield found


def partner(word: str) -> Iterator[str]:
    for pattern, other in PAIRS:
        if len(pattern.findall(word)) == 1:
            yield pattern.sub(other, word)


def is_own(focus: Focus, func: Func, word: str) -> bool:
    """Whether a function, or an operation, of that name takes and releases no lock that is known, nor gets an object."""
    if focus.program.model(word) is not None:
        return False
    found = focus.program.resolve(word, func.path)
    return not any(returns_pointer(f) or any(o.takes or o.drops for o in focus.summaries.of(f).outcomes) for f in found)


class Watch(Observer):
    """What has been taken on a path, and what has been given back of it. ``unclear``: releases of what more is done with than to
    take it and to give it back."""

    def __init__(self, focus: Focus, pairs: dict[str, str]) -> None:
        self.focus = focus
        self.pairs = pairs
        self.others = frozenset(pairs.values())
        self.unclear: set[str] = set()

    def start(self) -> object:
        return frozenset[Taken]()

    def event(self, frame: Frame, event: Event, state: State, args: tuple[Expr, ...]) -> object:
        known: frozenset[Taken] = state.extra  # type: ignore[assignment]
        if not isinstance(event, Call):
            return known
        word = called(event)
        of = (owner_of(frame, event), *args[:2])
        held = {t for t in known if t.released < 0}
        if word in self.pairs:
            if any(t.release == self.pairs[word] and t.at != event.at for t in held):
                self.unclear.add(self.pairs[word])  # again, or another one of them
            return frozenset(t for t in known if t.at != event.at) | {Taken(self.pairs[word], of, event.number, event.at)}
        if word not in self.others:
            return known - {t for t in held if gives_back(self.focus, frame.func, word, t.release)} if held else known
        mine = {t for t in held if t.release == word}
        if not mine or any(isinstance(e, Result) and e.call == t.number for t in mine for a in args for e in values.walk(a)):
            self.unclear.add(word)  # for the caller; or it is no lock but something with a number
        freed = next((f for n in (3, 2, 1) if (f := {t for t in mine if t.of[:n] == of[:n]})), mine)
        return (known - freed) | {t._replace(released=event.at) for t in freed}


def owner_of(frame: Frame, call: Call) -> Expr:
    """Whose operation is called; nothing's if it is a function."""
    return frame.canonical(call.callee.base, {}) if isinstance(call.callee, Member) else Const(0)


def called(call: Call) -> str:
    """The name of the function, or of the operation, that is called."""
    callee = call.callee
    return callee.id if isinstance(callee, Name) else callee.name if isinstance(callee, Member) else ""


def gives_back(focus: Focus, func: Func, word: str, release: str, depth: int = BELOW) -> bool:
    """Whether a function of that name may call the release, by the names in it."""
    if not word or focus.program.model(word) is not None:
        return False
    return any(
        release in f.words or (depth > 1 and any(gives_back(focus, f, c, release, depth - 1) for c in f.calls))
        for f in focus.program.resolve(word, func.path)
    )  # fmt: skip


def handed_over(focus: Focus, func: Func, pairs: dict[str, str]) -> bool:
    """Whether some caller gives back what the function leaves with, by its names."""
    callers = {s.caller.key: s.caller for s in focus.callers_of(func).sites[:MAX_CALLERS]}
    return any(not caller.words.isdisjoint(pairs.values()) for caller in callers.values())


def kept(ending: Ending) -> frozenset[Taken]:
    return ending.state.extra  # type: ignore[return-value]


def answer(ending: Ending, number: int) -> tuple[bool | None, bool | None, frozenset[tuple[Expr, bool]]]:
    """What a way knows of the result of the call that takes the lock."""
    result, truths = Result(number), ending.state.truths
    known = {c: t for c, t in truths.items() if isinstance(c, Binary) and c.left == result}
    return truths.get(result), truths.get(Binary("<", result, Const(0))), frozenset(known.items())


def uneven(frame: Frame, lock: str, site: int, endings: list[Ending]) -> Left | None:
    """The way to blame for one call that takes a lock."""
    ways = [(e, t) for e in endings for t in kept(e) if t.at == site]
    good = [(e, t) for e, t in ways if t.released > 0]
    answers = {answer(e, t.number) for e, t in good}
    meant = as_object if returns_pointer(frame.func) else same
    even = [meant(Way(0, site, t.released, -1, outcome(frame, e), e)) for e, t in good]
    results = {w.result for w in even}
    for ending, taken in ways:
        way = meant(Way(1, site, -1, -1, outcome(frame, ending), ending))
        if taken.released > 0 or answer(ending, taken.number) not in answers:
            continue
        fails = way.result == "negative" and bool(results & {"zero", "negative", "nonnegative", "positive"})
        alike = way.result != "zero" and overlap({way.result}, results - {"?"})
        if (fails or alike) and not contract([way], even) and not chosen(frame, way, even):
            if undone(frame, taken, ending):
                continue
            if not asked_first(frame, taken, ending, [w.released for w in even]) and not in_turns(frame, site, even[0].released):
                return Left(lock, way, even[0])
    return None


def undone(frame: Frame, taken: Taken, ending: Ending) -> bool:
    """Whether a way leaves with the lock only past the question whether what goes before has been undone
    (``if (!detach(p)) release(p); return error;``): what could not be is kept with its lock."""
    body = frame.body
    for n, block in enumerate(body.blocks if body is not None else ()):
        asked = block.exit
        if body is None or not isinstance(asked, Branch) or asked.at < taken.at:
            continue
        condition = lockflow.polarity(asked.condition)[1]
        given = [e.value for e in block.events if isinstance(e, Write) and e.target == condition]
        answer_of = given[-1] if given else condition
        undoing = isinstance(answer_of, Result) and answer_of.call != taken.number
        arms = (asked.then, asked.other), (asked.other, asked.then)
        if undoing and any(gives(body, arm, taken.release) and leads_on(body, arm) == onward(body, other) for arm, other in arms):
            returns = {m for m, b in enumerate(body.blocks) if isinstance(b.exit, Return) and b.exit.at == ending.at}
            if returns.isdisjoint(reached(body, [0], n)):
                return True
    return False


def gives(body: Body, block: int, release: str) -> bool:
    """Whether a block calls the release."""
    return any(isinstance(e, Call) and called(e) == release for e in body.blocks[block].events)


def leads_on(body: Body, block: int) -> int:
    """The block with something in it to which a block leads on; -1 for none."""
    after = body.blocks[block].exit
    return onward(body, after.to) if isinstance(after, Jump) else -1


def onward(body: Body, block: int) -> int:
    """A block, or the next one with something in it."""
    while not body.blocks[block].events and isinstance(after := body.blocks[block].exit, Jump):
        block = after.to
    return block


def in_turns(frame: Frame, site: int, released: int) -> bool:
    """Whether a loop takes a lock of each of many in turn, and gives it back for the next: with which of them it has ended is
    told by a count."""
    blocks = frame.body.blocks if frame.body is not None else ()
    taking, giving = ([n for n, block in enumerate(blocks) if any(e.at == at for e in block.events)] for at in (site, released))
    body = frame.body
    return body is not None and bool(taking and giving) and (
        taking[0] in reached(body, giving) and giving[0] in reached(body, taking)
    )  # fmt: skip


def same(way: Way) -> Way:
    """For a function whose result is a number."""
    return way


def asked_first(frame: Frame, taken: Taken, ending: Ending, released: list[int]) -> bool:
    """Whether a way returns by an answer of the call that takes the lock, after which nothing is released: it was not taken then
    (``if (!access_lock(q)) return -EPERM;``)."""
    body = frame.body
    if body is None:
        return False
    releases = {n for n, block in enumerate(body.blocks) if any(e.at in released for e in block.events)}
    returns = {n for n, block in enumerate(body.blocks) if getattr(block.exit, "at", -1) == ending.at}
    for asked in (b.exit for b in body.blocks):
        if isinstance(asked, Branch) and Result(taken.number) in values.walk(frame.canonical(asked.condition, {})):
            arms = reached(body, [asked.then]), reached(body, [asked.other])
            for arm, other in (arms, arms[::-1]):
                if releases.isdisjoint(arm) and returns <= arm and returns.isdisjoint(other):
                    return True
    return False


def outcome(frame: Frame, ending: Ending) -> str:
    """What a caller can tell the result for; a word that was found equal to an error number is one, and so is a pointer made of
    one."""
    number = frame.type_of(ending.value) if isinstance(ending.value, Result) and returns_pointer(frame.func) else None
    if number is not None and not number.pointer:
        return "negative"
    for condition, truth in ending.state.truths.items():
        if truth and isinstance(condition, Binary) and condition.op == "==" and condition.left == ending.value:
            if isinstance(condition.right, Const):
                return result_of(Ending(ending.state, condition.right, ending.at))
    return result_of(ending)


def chosen(frame: Frame, way: Way, even: list[Way]) -> bool:
    """Whether the lock is taken, or released, under a condition of which the way may have forgotten the answer."""
    return bool(questions(frame, way.taken)) and any(questions(frame, w.released) & questions(frame, way.taken) for w in even)
