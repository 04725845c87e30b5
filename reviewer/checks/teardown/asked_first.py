"""teardown-order: whoever ends an object waits for its callback only if a flag says so, which is down while that still runs.

Either the callback itself takes the flag down and goes on, or the flag is whether it is pending (``timer_pending()``): that it is
no more as soon as it runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.finding import Finding
from reviewer.checks.teardown.base import CALLBACKS, Teardown, finding
from reviewer.checks.teardown.unwaited import end_after, gone_after
from reviewer.parse.facts import Const, Result, Write
from reviewer.program.concurrency.lifetimes import Act
from reviewer.program.flow.objects import object_name, objects_read, rooted
from reviewer.program.linked.link import Func

PENDING = frozenset({"timer_pending", "work_pending", "delayed_work_pending"})
"""What tells whether a callback is yet to run (include/linux/timer.h, workqueue.h)."""


def asked_first(teardown: Teardown) -> Iterator[Finding]:
    lives = teardown.lives
    for func in teardown.focus.functions:
        acts = lives.acts(func, 0) if lives.may_act(func, 0) else ()
        for act in (a for a in acts if a.kind == "stop" and a.waits and a.name and a.what in CALLBACKS):
            flag = asked(teardown, func, act)
            if flag and not otherwise_waited(teardown, func, act):
                end = end_after(teardown, func, act)
                gone = gone_after(teardown, func, act) if end is None else None
                uses = lives.uses(act.name, func.path)
                if (end is not None or gone is not None) and uses.set_up and not teardown.counted(uses, func.path):
                    ended = end[0] if end is not None else None
                    yield finding(teardown, func, act.at, act, act, ended, gone, "medium", asked=flag)


def asked(teardown: Teardown, func: Func, act: Act) -> str:
    """The flag, or the call, that decides whether a function waits, and that says no while the callback runs."""
    frame = teardown.program.frame(func)
    for guard in teardown.focus.ways.guards(func, act.at):
        if not guard.truth:
            continue
        call = frame.call(guard.condition.call) if isinstance(guard.condition, Result) else None
        name = getattr(call.callee, "id", "") if call is not None else ""
        if name in PENDING:
            return f"{name}()"
        for flag, _ in objects_read(frame, guard.condition):
            if flag and any(takes_down(teardown, f, flag) for f in callbacks(teardown, act)):
                return flag
    return ""


def callbacks(teardown: Teardown, act: Act) -> list[Func]:
    return teardown.callbacks(teardown.lives.uses(act.name, act.func.path), act.func.path)


def takes_down(teardown: Teardown, callback: Func, flag: str) -> bool:
    """Whether a callback sets a flag to 0 and does something afterwards."""
    flow = teardown.focus.flow(callback)
    for seen in flow.seen if flow is not None else ():
        if isinstance(seen.event, Write) and flow is not None:
            target, value = seen.args[0]
            if value == Const(0) and object_name(flow.frame, rooted(flow.frame, target)) == flag:
                return any(s.event.at > seen.event.at for s in flow.seen)
    return False


def otherwise_waited(teardown: Teardown, func: Func, act: Act) -> bool:
    """Whether something else on the way to the end waits for the callback, or for its queue."""
    uses = teardown.lives.uses(act.name, func.path)
    others = {a.func.key for a in uses.waits} - {func.key}
    for above in teardown.tops(func):
        below = teardown.lives.below(above)
        if not others.isdisjoint(below) or any(teardown.drains(f, uses.queues) for f in below.values()):
            return True
    again = [a for a in teardown.lives.acts(func) if a.kind == "stop" and a.waits and a.name == act.name and a.at != act.at]
    return any(not asked(teardown, func, a) for a in again)
