"""What a patch takes from RCU readers: a section, a free that waited for them, a wait, a list function that they could stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from reviewer.checks.deferred import left_to_rcu, model_of, own_left_to_rcu
from reviewer.checks.focus import Focus
from reviewer.parse.facts import AddressOf, Call, Cast, Const, Deref, Expr, Index, Member, Name, Result, Write
from reviewer.program.api.models import Function as Model
from reviewer.program.concurrency.grace import DOES, Deed, Grace, owner
from reviewer.program.concurrency.lifetimes import PUT
from reviewer.program.flow.lockflow import Flow, Seen, on_every_way
from reviewer.program.flow.precedence import always_first, comes_first
from reviewer.program.flow.summaries import place, stored
from reviewer.program.graph.upward import ATOMIC
from reviewer.program.linked import values
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import Hold, lock_class
from reviewer.program.linked.structs import Frame

FOLLOWED = Member | Deref | Index
"""Expressions that read through a pointer, or out of an object that one may lead to."""

SHALLOW = 2
"""How far below a call a section of its own is looked for, in the distances of ``horizon.py``."""

BELOW = 4
"""Calls within its file, the one in the section among them, to the function that reads what readers are waited for."""

UNLINKS = 2
"""How far below a call something is looked for that takes something away from readers, or frees it."""


@dataclass(slots=True)
class Care:
    """What a function does for readers: objects freed later, what it waits in (by itself: for a grace period, and not, perhaps,
    in a callee, or for callbacks), what it gives those callees, and whose readers these are, entries added or removed with care,
    where readers find what was initialised before."""

    later: set[str] = field(default_factory=set)
    waits: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    by_itself: bool = False
    variants: set[tuple[str, str]] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    published: dict[str, str] = field(default_factory=dict)


def care_of(focus: Focus, func: Func) -> Care:
    """Of the function of this name in a focus."""
    found = Care()
    grace = Grace(focus.summaries)
    for mine in focus.program.functions(func.path, func.name):
        flow = focus.flow(mine)
        for seen in flow.seen if flow is not None else ():
            if not isinstance(seen.event, Call) or flow is None:
                continue
            model = model_of(focus, seen)
            if grace.waits(flow.frame, seen.event, seen.callee):
                found.waits.add(values.show(seen.event.callee))
                found.given.update(said(flow.frame, part) for args in seen.args for a in args for part in steps(a))
                found.by_itself |= model is not None and any(w.what != "callbacks" for w in model.waits)
            if model is None or not seen.args:
                continue
            found.names.add(model.name)
            domain = domain_of(flow, seen, model)
            if domain is not None:
                found.domains.add(domain)
            if model.frees_later is not None and model.frees_later < len(seen.args[0]):
                found.later.add(values.show(owner(flow.frame, seen.args[0][model.frees_later])))
            spec = model.publishes
            where = place(spec.object, seen.args[0]) if spec is not None and spec.ordered else None
            if spec is not None and where is not None and not isinstance(seen.args[0][spec.value], Const):
                found.published[values.show(where)] = model.name
            if model.variant_of and seen.args[0]:
                found.variants.add((model.variant_of, values.show(seen.args[0][0])))
    return found


def said(frame: Frame, path: Expr) -> str:
    """A path in words that are the same on both sides of a patch, whatever number a call has."""
    def by_name(expr: Expr) -> Expr | None:
        call = frame.call(expr.call) if isinstance(expr, Result) else None
        return call.callee if call is not None else None

    return values.show(values.rebuild(path, by_name))


def steps(path: Expr) -> Iterator[Expr]:
    """A path and what is passed on the way to its end, one after the other."""
    yield path
    while isinstance(path, Member | Deref | AddressOf | Index | Cast):
        path = path.operand if isinstance(path, Cast) else path.base
        yield path


def domain_of(flow: Flow, seen: Seen, model: Model | None) -> str | None:
    """Whose readers a call waits for by itself: the class of an SRCU domain, "" of RCU; None if it waits for none."""
    if model is None or not DOES["wait"](model):
        return None
    return lock_class(flow.frame, values.deref(seen.args[0][0])) if seen.args and seen.args[0] else ""


def lost(focus: Focus, flow: Flow, before: Care, now: Care) -> Iterator[tuple[Seen, Expr, str, Deed | None]]:
    """``(event, object, what was lost, where it is freed)`` for what the function did before the patch and does not any more."""
    if not waits_instead(before, now):
        for seen, object_, name in hastened(focus, flow):
            yield seen, object_, "later, after a grace period", Deed(object_, name, flow.frame.func, seen.event.at)
    if not (before.later or before.waits or before.variants or before.published):
        return
    grace = Grace(focus.summaries)
    unwaited = (before.waits and not now.waits and now.later <= before.later) or sometimes(focus, flow, before, now)
    for seen in flow.seen:
        if isinstance(seen.event, Write) and not isinstance(seen.args[0][1], Const):
            api = before.published.get(values.show(seen.args[0][0]))
            if api is not None and values.show(seen.args[0][0]) not in now.published:
                yield seen, seen.args[0][0], f"by {api}(), which keeps the order", None
        if not isinstance(seen.event, Call) or not seen.args:
            continue
        deeds = grace.at(flow.frame, seen.event, seen.callee, seen.args[0])
        for freed in deeds.frees if not waits_instead(before, now) else ():
            if values.show(freed.object) in before.later:
                yield seen, freed.object, "later, after a grace period", freed
            elif unwaited and (before.by_itself or said(flow.frame, freed.object) in before.given):
                yield seen, freed.object, "after a wait for RCU readers", freed
                unwaited = False
        model = model_of(focus, seen)
        if model is not None and seen.args[0] and (model.name, values.show(seen.args[0][0])) in before.variants - now.variants:
            yield seen, seen.args[0][0], f"with {model.name}'s RCU variant", None


def sometimes(focus: Focus, flow: Flow, before: Care, now: Care) -> bool:
    """Whether a function waited for readers by itself, on every way, and now only some of its ways do, in a callee."""
    old = focus.before
    if old is None or flow.frame.body is None or not fewer_waits(focus, flow.frame.func, before, now):
        return False
    grace = Grace(focus.summaries)
    always = any(
        was.frame.body is not None and on_every_way(was.frame.body, s.block)
        for was in focus.flows_before(flow.frame.func) for s in was.seen
        if (m := model_of(old, s)) is not None and DOES["wait"](m)
    )
    return always and not any(
        isinstance(s.event, Call) and grace.waits(flow.frame, s.event, s.callee) and on_every_way(flow.frame.body, s.block)
        for s in flow.seen
    )


def fewer_waits(focus: Focus, func: Func, before: Care, now: Care) -> bool:
    """Whether a function waited for readers by itself and now neither it nor another function of the patch does so instead."""
    old = focus.before
    assert old is not None
    some = now.by_itself and now.domains < before.domains and now.waits <= before.waits
    if not before.by_itself or not (some or (not now.by_itself and now.waits < before.waits)) or not now.later <= before.later:
        return False
    others = [(care_of(focus, f), care_of(old, f)) for f in focus.functions if f.key != func.key and focus.edited(f)]
    return not any(after.waits - was.waits or after.domains - was.domains for after, was in others)


def hastened(focus: Focus, flow: Flow) -> Iterator[tuple[Seen, Expr, str]]:
    """What the function does to an object by itself without a wait (it frees a part of it, or hands it on to be freed), and what
    before the patch was done by a callback that it left to RCU, and that does so no more or is not left to it any more."""
    func, old = flow.frame.func, focus.before
    assert old is not None
    before = focus.flows_before(func)
    left = {f.name: f for was in before for seen in was.seen for f in left_to_rcu(old, was, seen)}
    if not left:
        return
    still = {f.name: f for seen in flow.seen for f in left_to_rcu(focus, flow, seen)}
    mine = {key for was in before for key in done_to(old, was.frame.func)}
    now = done_to(focus, func)
    for name, callback in left.items():
        kept = done_to(focus, still[name]).keys() if name in still else set()
        gone = done_to(old, callback).keys() - kept
        for key in sorted((gone & now.keys()) - mine):
            yield *now[key], key[0]


def waits_instead(before: Care, now: Care) -> bool:
    """Whether a function waits for readers, so that it may free at once: not because it has waited for something before, too, and
    left the object to RCU all the same."""
    return now.by_itself or not now.waits <= before.waits


def done_to(focus: Focus, func: Func) -> dict[tuple[str, str], tuple[Seen, Member]]:
    """Calls that work on a member of some object, by their names and that member; to set it up, or to read it, is no work."""
    found: dict[tuple[str, str], tuple[Seen, Member]] = {}
    flow = focus.flow(func)
    for seen in flow.seen if flow is not None else ():
        model = model_of(focus, seen)
        if not isinstance(seen.event, Call) or not isinstance(seen.event.callee, Name) or not seen.args:
            continue
        if model is None or not (only_reads(model) or sets_up(model)):
            for member in seen.args[0]:
                while isinstance(member, Cast | AddressOf):
                    member = member.operand if isinstance(member, Cast) else member.base
                if isinstance(member, Member):
                    found.setdefault((seen.event.callee.id, member.name), (seen, member))
    return found


def only_reads(model: Model) -> bool:
    """Whether a call tells of an object and leaves it as it was (``rcu_access_pointer()``, ``list_empty()``, ``kref_read()``)."""
    return model.passes or model.rcu_read is not None or bool(model.accesses and all(a.op == "read" for a in model.accesses))


def sets_up(model: Model) -> bool:
    """Whether a call says what is to run later, and does not start it (``INIT_WORK()``)."""
    return bool(model.registers) and not any(r.starts for r in model.registers)


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


def wait_gone(focus: Focus, flow: Flow, before: Care, now: Care) -> tuple[Seen, str] | None:
    """``(event, callee)``: the last call of a function that takes something away from readers, for whom it then waited by itself
    before the patch, and for whom now neither it nor any other function of the patch does."""
    func, old, body = flow.frame.func, focus.before, flow.frame.body
    assert old is not None
    if not fewer_waits(focus, func, before, now):
        return None
    grace = Grace(focus.summaries)
    then = [(was, s) for was in focus.flows_before(func) for s in was.seen]
    gone = before.domains - now.domains or before.domains
    last = max((s.event.at for was, s in then if domain_of(was, s, model_of(old, s)) in gone), default=0)
    taken = {line_of(old, was.frame.func, s) for was, s in then if s.event.at < last}
    for s in sorted(flow.seen, key=lambda s: s.event.at, reverse=True):
        if not isinstance(s.event, Call) or not isinstance(s.event.callee, Name) or line_of(focus, func, s) not in taken:
            continue
        waits = grace.waits(flow.frame, s.event, s.callee) and domain_of(flow, s, model_of(focus, s)) in {None, *gone}
        if body is not None and waits and on_every_way(body, s.block):
            return None
        if does_by_name(grace, "unlink", func, s.event.callee.id):
            return s, s.event.callee.id
    return None


def does_by_name(grace: Grace, what: str, func: Func, callee: str) -> bool:
    """Whether what a function calls by a name unlinks or frees something, by itself or not far below."""
    return any(
        DOES[what](t.model) if t.model is not None else t.func is not None and grace.may(what, t.func, UNLINKS)
        for t in grace.summaries.calls.named(callee, func.path)
    )


def overtaken(focus: Focus, flow: Flow) -> tuple[Seen, str] | None:
    """``(event, callee)``: a call that frees and that had a wait for readers before it on every way, and has none now, although
    the function still waits: further down, for what it has taken away from them before either."""
    func, old = flow.frame.func, focus.before
    assert old is not None
    waits = waits_in(focus, flow)
    taken = [s for s in flow.seen if (m := model_of(focus, s)) is not None and (m.publishes is not None or DOES["unlink"](m))]
    if not waits or not taken:
        return None
    after = {
        line_of(old, was.frame.func, s) for was in focus.flows_before(func) for w in waits_in(old, was) for s in was.seen
        if isinstance(s.event, Call) and always_first(was.frame, w, s)
    }  # fmt: skip
    grace = Grace(focus.summaries)
    for s in flow.seen if after else ():
        if not isinstance(s.event, Call) or not isinstance(s.event.callee, Name) or line_of(focus, func, s) not in after:
            continue
        if any(comes_first(flow.frame, w, s) for w in waits) or not any(comes_first(flow.frame, t, s) for t in taken):
            continue
        if does_by_name(grace, "free", func, s.event.callee.id):
            return s, s.event.callee.id
    return None


def waits_in(focus: Focus, flow: Flow) -> list[Seen]:
    """Where a function waits for readers by itself."""
    return [s for s in flow.seen if domain_of(flow, s, model_of(focus, s)) is not None]


def barrier_gone(focus: Focus, flow: Flow, before: Care, now: Care) -> tuple[Seen, Func, Flow] | None:
    """``(call, callback, flow of its function)``: what the file leaves to RCU, and a function waited for before the patch
    (Documentation/RCU/rcubarrier.rst); now neither it does nor another function of the patch."""
    func, old = flow.frame.func, focus.before
    assert old is not None
    gone = {w for w in before.waits - now.waits if (m := focus.program.model(w)) is not None and for_callbacks(m)}
    others = (f for f in focus.functions if f.key != func.key and focus.edited(f))
    if not gone or not flow.seen or any(gone & (care_of(focus, f).waits - care_of(old, f).waits) for f in others):
        return None
    return next(own_left_to_rcu(focus, func.path), None)


def for_callbacks(model: Model) -> bool:
    return any(w.what == "callbacks" for w in model.waits)


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
