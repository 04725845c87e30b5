"""teardown-order, of a patch: what an operation uses is freed before the call that waits for it, and was freed after that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reviewer.checks.finding import Finding
from reviewer.checks.proof import place, step
from reviewer.checks.teardown.base import RULE, Teardown
from reviewer.parse.facts import Call, Member, Name
from reviewer.program.flow.objects import object_name, rooted, short
from reviewer.program.linked.link import Func


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an object that is freed: its class, the word for it, where it is freed."""

    name: str
    word: str
    at: int


def still_used(new: Teardown) -> Iterator[Finding]:
    old = new.before
    if old is None:
        return
    for was, func in new.edited():
        if not new.lives.may_act(func, 0):
            continue
        then, freed = waits(old, was), {p.name: p.at for p in parts(old, was)}
        for api, at in waits(new, func).items():
            early = [p for p in parts(new, func) if p.at < at and api in then and then[api] < freed.get(p.name, 0)]
            for part in early:
                user = next(users(new, func, api, part), None)
                if user is not None:
                    yield finding(new, func, api, at, part, user)
                    break


def waits(teardown: Teardown, func: Func) -> dict[str, int]:
    """The calls of a function that wait for operations of its driver, each with the first place."""
    back = teardown.program.models.comes_back
    flow = teardown.focus.flow(func) if any(i.waited for name in func.calls for i in back.get(name, ())) else None
    found: dict[str, int] = {}
    for seen in flow.seen if flow is not None else ():
        callee = seen.event.callee if isinstance(seen.event, Call) else None
        if isinstance(callee, Name) and any(i.waited for i in back.get(callee.id, ())):
            found[callee.id] = min(seen.event.at, found.get(callee.id, seen.event.at))
    return found


def parts(teardown: Teardown, func: Func) -> Iterator[Part]:
    """What a function itself frees that is a member of something."""
    frame = teardown.program.frame(func)
    for act in teardown.lives.acts(func):
        if act.kind == "free" and isinstance(act.path, Member) and act.func.key == func.key:
            name = object_name(frame, rooted(frame, act.path))
            if name:
                yield Part(name, short(name).rpartition(".")[2], act.at)


def users(teardown: Teardown, func: Func, api: str, part: Part) -> Iterator[Func]:
    """The operations that the call waits for and that use the part, themselves or in what they call."""
    lives, calls = teardown.lives, teardown.focus.summaries.calls
    for invokes in teardown.program.models.comes_back[api]:
        for target in calls.beside(invokes.table, func.path, invokes.instead) if invokes.waited else ():
            below = lives.below(target.func).values() if target.func is not None else ()
            if any(part.word in f.words and lives.means_member(f, part.word, part.name) for f in below):
                assert target.func is not None
                yield target.func


def finding(teardown: Teardown, func: Func, api: str, at: int, part: Part, user: Func) -> Finding:
    analysis = teardown.focus.analysis
    file, line, column, function = place(func, part.at)
    return Finding(
        rule=RULE, severity="error", confidence="medium", file=file, line=line, column=column, function=function,
        message=f"{part.name} is freed while {user.name}(), which uses it, may run: {api}() comes only later, and waits for it",
        involves=(part.name,),
        proof=(step(analysis, "call", func, part.at), step(analysis, "call", func, at), step(analysis, "access", user, 0)),
        event=teardown.program.line_text(file, line),
    )  # fmt: skip
