"""teardown-order: a cancel that does not wait, then the end of the object.

Silent as soon as anything on the way waits for the callback or for its queue: whoever waits elsewhere may have a reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from reviewer.checks.finding import Confidence, Finding
from reviewer.checks.teardown.base import CALLBACKS, Teardown, finding, used_by
from reviewer.checks.teardown.restarted import always, unheeding
from reviewer.parse.facts import Member, Name
from reviewer.program.concurrency.lifetimes import Act, Uses, holder, owner_of
from reviewer.program.linked.link import Func

OPENS = re.compile(r"(?:^|_)open$")
"""Operations that begin the use of an object, which is there before and after."""


def unwaited(teardown: Teardown) -> Iterator[Finding]:
    lives = teardown.lives
    for func in teardown.focus.functions:
        if not lives.may_act(func):
            continue
        for act in lives.acts(func):
            if act.kind != "stop" or act.waits or act.used or not act.name or act.what not in CALLBACKS:
                continue
            uses = lives.uses(act.name, func.path)
            if not uses.set_up or not teardown.runs(uses, func.path):
                continue
            ended, sure = end_after(teardown, func, act) or (None, False)
            gone = None if ended is not None else gone_after(teardown, func, act)
            if ended is None and gone is None and set_again(teardown, uses, act):
                ended = freed_somewhere(teardown, act)
            if ended is None and gone is None:
                continue
            if teardown.counted(uses, func.path):
                continue
            again = None
            if teardown.waited(uses, above := teardown.tops(func)):
                again = None if teardown.waited(uses, above, act) else started_on_queue(teardown, uses, act)
                if again is None:
                    continue
            confidence: Confidence = "high" if sure and again is None else "medium"
            yield finding(teardown, func, act.at, act, act, ended, gone, confidence, again)


def set_again(teardown: Teardown, uses: Uses, act: Act) -> bool:
    """Whether a delayed work starts itself again whatever has happened, so that who drains its queue after a cancel that does not
    wait (``cancel_delayed_work(); flush_workqueue();``) waits only for this time."""
    own = {f.key for f in teardown.callbacks(uses, act.func.path)}
    drained = any(a.kind == "stop" and a.what == "workqueue" and a.at > act.at for a in teardown.lives.acts(act.func))
    return drained and teardown.delayed(act) and any(
        a.func.key in own and teardown.timed(a) and (always(teardown, a) or unheeding(teardown, a)) for a in uses.starts
    )


def freed_somewhere(teardown: Teardown, act: Act) -> Act | None:
    """Where the folder frees an object that has the callback's inside."""
    lives, owner = teardown.lives, owner_of(act.name)
    near = (f for f in lives.naming(owner.rpartition(" ")[2], act.func.path) if owner and not lives.names.isdisjoint(f.calls))
    return next((a for f in near for a in lives.acts(f, 0) if a.kind == "free" and a.struct == owner), None)


def started_on_queue(teardown: Teardown, uses: Uses, act: Act) -> Act | None:
    """Where another work of the queue starts a delayed one again: who waits for the queue lets it do so, and does not wait for
    the delay."""
    lives = teardown.lives
    own = {f.key for f in teardown.callbacks(uses, act.func.path)}
    if set_again(teardown, uses, act):
        return next(a for a in uses.starts if a.func.key in own)
    for start in uses.starts if teardown.delayed(act) else ():
        for callback in (f for f in teardown.tops(start.func) if f.key not in own and "work" in teardown.focus.setups.kinds(f)):
            users = {f.key: f for file in teardown.program.unit(callback.path) for f in teardown.program.functions_in(file)}
            acts = (a for f in users.values() if lives.may_act(f, 0) for a in lives.acts(f, 0))
            for other in (a for a in acts if a.kind == "setup" and a.name and a.callback == callback.name):
                if not uses.queues.isdisjoint(lives.uses(other.name, other.func.path).queues):
                    return start
    return None


def gone_after(teardown: Teardown, func: Func, act: Act) -> Func | None:
    """The function that leaves the module of a variable, or unbinds the driver of an object that lives as long as that: the
    one that cancels, or its caller."""
    lives = teardown.lives
    owner = owner_of(act.name)
    ends = teardown.program.models.ends_of
    for end in (func, *lives.callers(func)):
        if not owner and teardown.leaves(end):
            return end
        for slot, table in lives.operations(end) if owner else ():
            begins = teardown.program.resolve(table[ends[slot]], end.path) if ends.get(slot) in table else ()
            whole = not OPENS.search(ends.get(slot, ""))  # what was opened lives on when it is closed
            if any(lives.managed(begin, owner) or (whole and sets_up(teardown, begin, act)) for begin in begins):
                return end
    return None


def sets_up(teardown: Teardown, begin: Func, act: Act) -> bool:
    """Whether what an act stops is set up by the operation that the end of the object undoes."""
    below = teardown.lives.below(begin)
    return any(a.func.key in below for a in teardown.lives.uses(act.name, act.func.path).setups)


def end_after(teardown: Teardown, func: Func, act: Act) -> tuple[Act, bool] | None:
    """Where the object ends after the cancel: in the same function (sure), or in a caller after the call. In what a patch changes
    also something that the object points to and the callback uses."""
    pointer = holder(act.path)
    owner = owner_of(act.name)
    freed = [a for a in teardown.lives.acts(func) if a.kind == "free" and a.at > act.at and pointer is not None]
    for other in freed:
        if other.path == pointer:
            return other, True
    for other in freed if teardown.focus.edited(func) else ():
        if isinstance(other.path, Member) and other.path.base == pointer and used_by(teardown, act, other):
            return other, False
    if not owner:
        return None
    for caller in teardown.lives.callers(func):
        for other in teardown.lives.acts(caller):
            if other.kind == "free" and (
                teardown.lives.contains(other.struct, owner, func.path) or teardown.lives.is_private(other, owner)
            ):
                flow = teardown.focus.flow(caller)
                calls = [s.event.at for s in flow.seen if s.callee == Name(func.name)] if flow is not None else []
                if any(at < other.at for at in calls):
                    return other, False
    return None
