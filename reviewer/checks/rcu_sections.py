"""Read sections that a patch takes away."""

from __future__ import annotations

from collections.abc import Iterator

from reviewer.checks.deferred import model_of
from reviewer.checks.focus import Focus
from reviewer.parse.facts import Call, Deref, Expr, Index, Member, Name, Result
from reviewer.program.api.models import Function as Model
from reviewer.program.concurrency.grace import DOES
from reviewer.program.concurrency.lifetimes import PUT
from reviewer.program.flow.lockflow import Flow, Seen
from reviewer.program.flow.summaries import stored
from reviewer.program.graph.upward import ATOMIC
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold

FOLLOWED = Member | Deref | Index
"""Expressions that read through a pointer, or out of an object that one may lead to."""

SHALLOW = 2
"""How far below a call a section of its own is looked for, in the distances of ``horizon.py``."""

BELOW = 4
"""Calls within its file, the one in the section among them, to the function that reads what readers are waited for."""


def bared(focus: Focus, flow: Flow) -> Seen | None:
    """The first call that stood in a section of SRCU before the patch and now stands in none, though nothing took its place.

    Whoever wants his readers to sleep has work done in there of which a look at what is called shows little; so what the call
    needs is not asked, only whether it has a section, too.
    """
    func = flow.frame.func
    moved = out_of_section(focus, func, "srcu")
    if not moved:
        return None
    called, had = did_before(focus, func)
    if not called.issuperset(func.calls) or any(h.name not in had for h in holds(flow)):
        return None
    return next((s for s in flow.seen if isinstance(s.event, Call) and s.event.at in moved and works(focus, flow, s)), None)


def works(focus: Focus, flow: Flow, seen: Seen) -> bool:
    """Whether a call may read what a section protects: it is of a function or through a pointer, and nothing in it takes one."""
    assert isinstance(seen.event, Call)
    targets = focus.summaries.calls.targets(flow.frame, seen.callee or seen.event.callee)
    return bool(seen.event.args) and all(
        t.model is None and t.func is not None and not focus.edited(t.func) and not focus.horizon.has(takes_srcu, t.func, SHALLOW)
        for t in targets
    )  # fmt: skip


def takes_srcu(model: Model) -> bool:
    return any(h.kind == "srcu" for h in model.takes)


def section_gone(focus: Focus, flow: Flow) -> Seen | None:
    """The first event that stood in a read section before the patch and now stands in none, though nothing took its place.

    None where the function still has a section, has a lock that it had not, gives a reference back, reads by another accessor
    than before, or where all that is left of the section has one of its own. What it works on there must be borrowed: found by
    some call, and never given back. Whoever takes a section from around his own objects mostly has no use for it, unless he
    calls what all others call in one.
    """
    func = flow.frame.func
    if focus.before is None or any(h.kind == "rcu" for h in holds(flow)):
        return None
    moved = out_of_section(focus, func)
    called, had = did_before(focus, func)
    if not moved or any(h.name not in had for h in holds(flow)):
        return None
    new = set(func.calls) - called
    if any(PUT.search(c) or ((m := focus.program.model(c)) is not None and m.rcu_read is not None) for c in new):
        return None
    left = [s for s in flow.seen if s.event.at in moved and not has_section(focus, flow, s)]
    given_back = {e for s in flow.seen if gives_back(s) for args in s.args for a in args for e in values.walk(a)}
    members = awaited_members(focus, func.path) if left else frozenset()
    for s in left:
        if any(r not in given_back for r in borrowed(focus, flow, s)) or reads_below(focus, func.path, s, members):
            return s
        if wanted_by_all(focus, func, s):
            return s
    return None


def users(focus: Focus, helper: Func, besides: Func) -> tuple[int, int]:
    """How many callers of a helper have a section around the call, and how many others have nothing at all."""
    have: set[str] = set()
    lack: set[str] = set()
    for site in focus.nearby.of(helper).sites:
        held = [h for world in site.seen.held for h in world]
        if any(map(is_section, held)):
            have.add(site.caller.key)
        elif not held and focus.nearby.held_above(site.caller, is_section) != "all":
            lack.add(site.caller.key)
    return len(have), len(lack - have - {besides.key})


def wanted_by_all(focus: Focus, func: Func, seen: Seen) -> bool:
    """Whether a function is called that others in the file call in a section, and nobody there with no section and no lock."""
    callee = seen.event.callee if isinstance(seen.event, Call) else None
    if not isinstance(callee, Name) or focus.program.model(callee.id) is not None:
        return False
    inside = False
    for other in focus.program.functions_with(func.path, callee.id):
        flow = focus.flow(other) if other.key != func.key and callee.id in other.calls else None
        for held in (s.may() for s in (flow.seen if flow is not None else ()) if is_call_of(s, callee)):
            if any(map(is_section, held)) or focus.nearby.held_above(other, is_section) in ("all", "some"):
                inside = True
            elif not any(map(does, held)) and focus.nearby.held_above(other, does) == "none":
                return False
    return inside


def is_call_of(seen: Seen, callee: Name) -> bool:
    return isinstance(seen.event, Call) and seen.event.callee == callee


def is_section(hold: Hold) -> bool:
    return hold.kind == "rcu"


def does(hold: Hold) -> bool:
    """Whether a lock may do instead of a section, by its kind."""
    return is_section(hold) or hold.kind in ATOMIC or hold.mode == "exclusive"


def reads_below(focus: Focus, path: str, seen: Seen, members: frozenset[tuple[str, str]]) -> bool:
    """Whether a function of the file that is called, or one below it, names one of these members and its struct."""
    readers: dict[str, Func] = {}
    callee = seen.event.callee if isinstance(seen.event, Call) and members else None
    todo = [callee.id] if isinstance(callee, Name) else []
    for _ in range(BELOW):
        found = (t.func for c in todo for t in focus.summaries.calls.named(c, path) if t.func is not None and t.func.path == path)
        new = {f.key: f for f in found if f.key not in readers}
        readers |= new
        todo = [c for f in new.values() for c in f.calls]
    return any(tag in f.words and member in f.words for f in readers.values() for tag, member in members)


def awaited_members(focus: Focus, path: str) -> frozenset[tuple[str, str]]:
    """``(struct, member)`` of what a function of the file stores before it waits, by itself, for those who read it: what sections
    are for (net/xdp/xsk.c, ``WRITE_ONCE(xs->state, ..); synchronize_net();``)."""
    found: set[tuple[str, str]] = set()
    for func in focus.program.functions_in(path):
        flow = focus.flow(func) if focus.horizon.has(DOES["wait"], func, 0) else None
        if flow is None:
            continue
        last = max((s.event.at for s in flow.seen if (m := model_of(focus, s)) is not None and DOES["wait"](m)), default=0)
        for target in (t for s in flow.seen if s.event.at < last for t in stored(s, model_of(focus, s))):
            tag = flow.frame.type_of(target.base) if isinstance(target, Member) else None
            if tag is not None and isinstance(target, Member):
                found.add((flow.frame.resolve(tag).name.removeprefix("struct "), target.name))
    return frozenset(found)


def did_before(focus: Focus, func: Func) -> tuple[set[str], set[str]]:
    """What the function of this name called before the patch, and the locks that it held."""
    flows = focus.flows_before(func)
    return {name for was in flows for name in was.frame.func.calls}, {h.name for was in flows for h in holds(was)}


def out_of_section(focus: Focus, func: Func, kind: str = "rcu") -> frozenset[int]:
    """Positions of events that stood in a read section before the patch and stand in none any more."""
    flow, old = focus.flow(func) if focus.edited(func) else None, focus.before
    if flow is None or old is None:
        return frozenset()
    inside = {
        line_of(old, was.frame.func, seen) for was in focus.flows_before(func) for seen in was.seen
        if any(h.kind == kind for h in seen.must())
    }  # fmt: skip
    return frozenset(
        s.event.at for s in flow.seen if not any(h.kind == kind for h in s.may()) and line_of(focus, func, s) in inside
    )


def gives_back(seen: Seen) -> bool:
    return isinstance(seen.event, Call) and isinstance(seen.event.callee, Name) and PUT.search(seen.event.callee.id) is not None


def borrowed(focus: Focus, flow: Flow, seen: Seen) -> set[Expr]:
    """Pointers that an event uses and that a call in this function has found; what it has allocated is its own."""
    found: set[Expr] = set()
    for e in (e for args in seen.args for a in args for e in values.walk(a)):
        call = flow.frame.call(e.call) if isinstance(e, Result) else None
        if call is not None and isinstance(call.callee, Name):
            model = focus.program.model(call.callee.id)
            if model is None or model.allocates is None:
                found.add(e)
    return found


def holds(flow: Flow) -> Iterator[Hold]:
    return (h for seen in flow.seen for world in seen.held for h in world)


def line_of(focus: Focus, func: Func, seen: Seen) -> str:
    return focus.program.line_text(func.path, func.line_of(seen.event.at))


def has_section(focus: Focus, flow: Flow, seen: Seen) -> bool:
    """Whether an event needs no section around it: a call of a function that has its own, or that takes nothing along, or a value
    in which no pointer is followed. What the patch changes, too, is looked at by itself."""
    if not isinstance(seen.event, Call):
        return not reads(seen)
    targets = focus.summaries.calls.targets(flow.frame, seen.callee or seen.event.callee)
    if targets and all(t.model is not None and t.model.pure for t in targets):
        return not reads(seen)  # ``max_t(int, net->limit, n)``
    if not targets or not seen.event.args:
        return True
    models = focus.program.models.functions
    return all(
        t.model is not None or (t.func is not None and (focus.edited(t.func) or any(
            h.kind == "rcu" for c in t.func.calls if (m := models.get(c)) is not None for h in m.takes
        ))) for t in targets
    )  # fmt: skip


def reads(seen: Seen) -> bool:
    """Whether an event follows a pointer to say what it works on."""
    return any(isinstance(e, FOLLOWED) for args in seen.args[:1] for arg in args for e in values.walk(arg))
