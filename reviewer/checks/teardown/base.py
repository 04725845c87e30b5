"""What the shapes of teardown-order share: a focus with what is known of lifetimes, and how one of its findings reads."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from reviewer.checks.finding import Confidence, Finding, Step
from reviewer.checks.focus import Focus
from reviewer.checks.proof import place, step
from reviewer.parse.facts import Call, Const, Member, Name, Write
from reviewer.program.concurrency.guards import EDGES, first
from reviewer.program.concurrency.lifetimes import GET, PUT, Act, Uses, owner_of, pointed
from reviewer.program.flow.lockflow import Seen, seen_at
from reviewer.program.flow.objects import object_name, objects_read, root_of, rooted, short
from reviewer.program.index.linkage import OF_DRIVERS
from reviewer.program.linked.link import Func

RULE = "teardown-order"

LEVELS = 3
"""Levels of callers that are looked at for who ends the object."""

MAX_ABOVE = 24
"""Callers that are looked at."""

CALLBACKS = frozenset({"timer", "work", "tasklet"})
"""What is set up on an object and runs some time after it was started."""

TIMER = "struct timer_list"
"""What makes a work item a delayed one (include/linux/workqueue.h)."""

ANY = "*"
"""A queue that comes from a caller: whoever drains one may drain this."""

GIVES_BACK = re.compile(r"^(?:fput|iput|dput|mntput|deactivate_super)$")
"""What gives back a reference to a file, an inode, an entry, a mount, a filesystem (include/linux/fs.h, file.h, dcache.h)."""

ENDS_IT = re.compile(r"(?:^|_)(?:free|destroy|release|delete)(?:_|$)")
"""Operations that end the object that they are passed."""

MODULES = frozenset({*OF_DRIVERS, "arch", "crypto", "lib"})
"""Folders whose files may be modules; what stands elsewhere is part of the kernel, whatever it says of its end."""


@dataclass
class Teardown:
    """One focus with what is known of lifetimes in its program."""

    focus: Focus

    def __post_init__(self) -> None:
        self.lives = self.focus.lives
        self.program = self.focus.program

    @cached_property
    def before(self) -> Teardown | None:
        return Teardown(self.focus.before) if self.focus.before is not None else None

    def edited(self) -> Iterator[tuple[Func, Func]]:
        """The functions in question that a patch changes, each as it was and as it is."""
        old = self.before
        functions = {(f.path, f.name): f for f in old.focus.functions} if old is not None else {}
        for func in self.focus.functions if functions else ():
            was = functions.get((func.path, func.name))
            if was is not None and was.text != func.text:
                yield was, func

    def tops(self, func: Func, levels: int = LEVELS) -> list[Func]:
        """The function and its callers, as far as they are looked at."""
        met = {func.key: func}
        level = [func]
        for _ in range(levels):
            callers = [c for f in level for c in self.lives.callers(f)]
            level = []
            for f in callers:
                if f.key not in met and len(met) < MAX_ABOVE:
                    met[f.key] = f
                    level.append(f)
        return list(met.values())

    def waited(self, uses: Uses, above: Iterable[Func], lost: Act | None = None) -> bool:
        """Whether some function, or what it reaches, waits for the callback or for the queue on which it runs.

        :param lost: the wait in whose place it would have to be.
        """
        waits = {a.func.key for a in uses.waits if lost is None or a.may_be(lost)}
        queues = self.queues(uses) if lost is None or not self.delayed(lost) else frozenset[str]()
        for func in (g for f in above for g in (f, *self.lives.passed(f))):
            below = self.reached(func, uses)
            if queues and not any(self.drains(f, queues) for f in below.values()):
                below = below | self.come_back(below.values())
            if not waits.isdisjoint(below):
                return True
            if queues and any(self.drains(f, queues) for f in below.values()):
                return True
        return False

    def come_back(self, below: Iterable[Func]) -> dict[str, Func]:
        """What operations of the same folder reach that an API runs before it returns (``unregister_netdev()``: ``ndo_stop``)."""
        found: dict[str, Func] = {}
        back, calls = self.program.models.comes_back, self.focus.summaries.calls
        for func, table in ((f, i.table) for f in below for name in f.calls for i in back.get(name, ()) if not i.waited):
            for target in calls.beside(table, func.path):
                found |= self.lives.below(target.func) if target.func is not None else {}
        return found

    def queues(self, uses: Uses) -> frozenset[str]:
        """The queues on which a callback runs: also those of others that they are set to; ANY, where they may be any."""
        found = set(uses.queues)
        for name in (q for q in uses.queues if owner_of(q)):
            word = short(name).rpartition(".")[2]
            assigned = re.compile(rb"\b%b\s*=[^=]" % re.escape(word).encode())
            for func in self.lives.naming(word, uses.starts[0].func.path):
                flow = self.focus.flow(func) if assigned.search(func.text) is not None else None
                for seen in flow.seen if flow is not None else ():
                    if flow is None or not isinstance(seen.event, Write) or not seen.args:
                        continue
                    target, value = (rooted(flow.frame, e) for e in seen.args[0])
                    if object_name(flow.frame, target) == name and isinstance(value, Name | Member):
                        found.add(object_name(flow.frame, value) or ANY)
        return frozenset(found)

    def reached(self, func: Func, uses: Uses) -> dict[str, Func]:
        """What a function reaches by name inside its folder and, where a callback is set up in another one, a library's, from
        the calls of that on inside it."""
        below = self.lives.below(func)
        homes = {posixpath.dirname(a.func.path) for a in uses.setups} - {posixpath.dirname(func.path)}
        found = dict(below) if homes else below
        for name, near in ((name, f.path) for f in below.values() for name in f.calls) if homes else ():
            for called in self.program.resolve(name, near):
                if posixpath.dirname(called.path) in homes and called.path.endswith(".c") and called.key not in found:
                    found |= self.lives.below(called)
        return found

    def delayed(self, act: Act) -> bool:
        """Whether a callback waits for a timer before it is queued: who waits for the queue does not wait for that."""
        owner, _, field = act.name.rpartition(".")
        found = self.program.struct_at(owner_of(act.name), act.func.path) if owner else None
        types = [f.type.name for f in found[1].fields if f.name == field] if found is not None else []
        return act.what == "work" and any(self.lives.contains(t, TIMER, act.func.path) for t in types)

    def timed(self, start: Act) -> bool:
        """Whether a delayed work is started with a delay, as far as can be told: without one it is queued at once."""
        flow = self.focus.flow(start.func)
        seen = seen_at(flow, start.at)
        return seen is None or not seen.args or seen.args[0][-1] != Const(0)

    def drains(self, func: Func, queues: frozenset[str]) -> bool:
        return not self.lives.draining.isdisjoint(func.calls) and any(
            a.kind == "stop" and a.what == "workqueue" and (not a.name or ANY in queues or a.name.lstrip("*") in queues)
            for a in self.lives.acts(func)
        )

    def ends(self, name: str, above: Iterable[Func], begin: Func | None = None) -> Act | None:
        """Where the object of a class, or one that has it inside, is freed below some function.

        :param begin: what makes the object, so that one with a private area is known by its size.
        """
        owner = owner_of(name)
        freed = [act for func in above for act in self.lives.frees(func)] if owner else []
        whole = (act for act in freed if self.lives.contains(act.struct, owner, act.func.path))
        private = (act for act in freed if self.lives.is_private(act, owner))
        made = (act for act in freed if begin is not None and self.lives.made_with(begin, act.struct, owner))
        return next(whole, None) or next(private, None) or next(made, None)

    def unbinds(self, above: Iterable[Func]) -> Func | None:
        """The first that is an operation which ends what another of its table begins, or leaves a module."""
        ends = self.program.models.ends_of
        for func in above:
            if any(slot in ends and ends[slot] in table for slot, table in self.lives.operations(func)):
                return func
            if self.leaves(func):
                return func
        return None

    def twins(self, begins: Iterable[Func]) -> Iterator[tuple[Func, Func]]:
        """Operations that begin something, of those given, each with what ends it in the same table."""
        ends_of = self.program.models.ends_of.items()
        for begin in begins:
            for slot, table in self.lives.operations(begin):
                for name in (table[e] for e, b in ends_of if b == slot and e in table):
                    for end in self.program.resolve(name, begin.path):
                        yield begin, end

    def leaves(self, func: Func) -> bool:
        """Whether a function is what runs when the module is left."""
        inside = func.path.partition("/")[0] in MODULES
        return inside and not self.lives.callers(func) and "exitcall" in self.focus.setups.kinds(func)

    def flags(self, func: Func, at: int) -> frozenset[str]:
        """The objects that decide whether a function comes to a position."""
        frame = self.program.frame(func)
        guards = self.focus.ways.guards(func, at)
        return frozenset(name for g in guards for name, _ in objects_read(frame, g.condition) if name)

    def calls(self, func: Func, name: str) -> list[Seen]:
        """The calls of a name in a function."""
        flow = self.focus.flow(func)
        return [s for s in (flow.seen if flow is not None else ()) if isinstance(s.event, Call) and s.event.callee == Name(name)]

    def callbacks(self, uses: Uses, home: str) -> list[Func]:
        names = dict.fromkeys((n, p) for a in uses.setups for n in (a.callback, *a.others) if n for p in (home, a.func.path))
        found = {f.key: f for name, path in names for f in self.program.resolve(name, path)}
        return [*uses.declared, *found.values()]

    def runs(self, uses: Uses, home: str) -> bool:
        """Whether the callback is started by somebody, and does anything. Drivers that share a struct have a timer of its kind
        each: where this one sets it up itself, another that does so, too, does not start it."""
        ours = [a for a in uses.setups if a.callback or a.others]
        if any(a.func.path == home for a in ours):
            others = {a.func.path for a in ours} - {home}
            if uses.starts and all(a.func.path in others for a in uses.starts):
                return False
        bodies = [self.program.body(f) for f in self.callbacks(uses, home)]
        idle = bool(bodies) and all(b is not None and not any(block.events for block in b.blocks) for b in bodies)
        return bool(uses.starts) and not idle

    def counted(self, uses: Uses, home: str) -> bool:
        """Whether the callback itself gives a reference back or frees the object: it keeps the object while it is pending."""
        name = uses.setups[0].name if uses.setups else ""
        for callback in self.callbacks(uses, home):
            if any(self.gives_back(n, callback) for n in callback.calls) or self.ends(name, [callback]) is not None:
                return True
            if owner_of(name) and self.has_it_ended(callback, owner_of(name)):
                return True
        return any(a.used for a in uses.stops) or any(map(self.referenced, uses.starts))

    def has_it_ended(self, callback: Func, owner: str) -> bool:
        """Whether a callback passes its object to an operation that ends it, by its name (``p->ops->destroy_session(p)``)."""
        frame, flow = self.program.frame(callback), self.focus.flow(callback)
        for seen in flow.seen if flow is not None else ():
            callee = seen.event.callee if isinstance(seen.event, Call) else None
            if isinstance(callee, Member) and ENDS_IT.search(callee.name):
                if any(pointed(frame, arg) == owner for args in seen.args for arg in args):
                    return True
        return False

    def referenced(self, start: Act) -> bool:
        """Whether the function that starts a callback takes a reference, of the callback's object as far as can be told."""
        if not any(map(self.takes_reference, start.func.calls)):
            return False
        flow, root = self.focus.flow(start.func), root_of(start.path) if start.path is not None else None
        if flow is None or root is None:
            return True
        for seen in flow.seen:
            callee = seen.event.callee if isinstance(seen.event, Call) else None
            if isinstance(callee, Name) and self.takes_reference(callee.id):
                if any(root_of(arg) == root for args in seen.args for arg in args):
                    return True
        return False

    def gives_back(self, name: str, func: Func) -> bool:
        """Whether a call of that name in a function gives a reference back which somebody else has taken, and not a lock."""
        if GIVES_BACK.search(name):
            return True
        if not PUT.search(name):
            return False
        twin = name.replace("put", "get").replace("unref", "ref").replace("release", "claim")
        return twin == name or twin not in func.calls

    def takes_reference(self, name: str) -> bool:
        """Whether a function of that name takes a reference: ``x_get_call()``, if something gives it back by ``x_put_call()``."""
        if name.startswith("get_") or (GET.search(name) is None and "_get_" in name):
            twin = re.sub(r"(^|_)get_", r"\1put_", name, count=1)
            return twin in self.program.models.functions or bool(self.program.names.files_defining(twin))
        return GET.search(name) is not None


def used_by(teardown: Teardown, stop: Act, end: Act) -> bool:
    """Whether the callback that is waited for works on what has ended: it lies inside, or is named below the callback, or below
    one that the callback starts."""
    owner = owner_of(stop.name)
    if owner and (teardown.lives.contains(end.struct, owner, stop.func.path) or teardown.lives.is_private(end, owner)):
        return True
    if not isinstance(end.path, Member):
        return False
    first = teardown.callbacks(teardown.lives.uses(stop.name, stop.func.path), stop.func.path)
    started = {a.name for f in first for a in teardown.lives.acts(f) if a.kind == "start" and a.name and a.name != stop.name}
    then = [f for name in started for f in teardown.callbacks(teardown.lives.uses(name, stop.func.path), stop.func.path)]
    return any(end.path.name in f.words for callback in (*first, *then) for f in teardown.lives.below(callback).values())


def synchronous(teardown: Teardown, uses: Uses) -> bool:
    """Whether whoever starts the callback waits for something afterwards, which may well be the callback's end."""
    for act in uses.starts:
        flow = teardown.focus.flow(act.func)
        for seen in flow.seen if flow is not None else ():
            if seen.event.at > act.at and isinstance(seen.event, Call):
                model = teardown.program.model(seen.event.callee.id) if isinstance(seen.event.callee, Name) else None
                if model is not None and any(w.what in ("completion", "event") for w in model.waits):
                    return True
    return False


def undone_by(teardown: Teardown, uses: Uses) -> Func | None:
    """The function beside what sets a callback up that undoes it, by its name (``x_init_queue()``, ``x_fini_queue()``): where one
    would look for the wait."""
    setup = uses.setups[0].func if uses.setups else None
    stem = stem_of(setup.name) if setup is not None else ()
    if setup is None or not stem or "_".join(stem) == setup.name:
        return None
    beside = (f for f in teardown.program.functions_in(setup.path) if f.key != setup.key and not first(f))
    return next((f for f in beside if stem_of(f.name) == stem and f.name != "_".join(stem)), None)


def stem_of(name: str) -> tuple[str, ...]:
    """The words of a name without those that say that something begins or ends."""
    return tuple(word for word in name.split("_") if word.rstrip("0123456789") not in EDGES)


def end_of(new: Teardown, func: Func, ended: Act | None) -> int:
    """Where in the function the object ends, or where the function does."""
    if ended is not None and ended.func.key == func.key:
        return ended.at
    flow = new.focus.flow(func)
    return max((e.at for e in flow.endings), default=0) if flow is not None else 0


def finding(
    teardown: Teardown, func: Func, at: int, act: Act, weak: Act | None, ended: Act | None, unbound: Func | None,
    confidence: Confidence, again: Act | None = None, late: bool = False, flag: str = "", fellow: Act | None = None,
    fails: bool = False, asked: str = "",
) -> Finding:  # fmt: skip
    """:param fellow: where another callback of the object is stopped, or what starts this one.
    :param asked: what is asked before the callback is waited for.
    :param fails: the function returns an error there, and what ends the object will not be called.
    """
    analysis = teardown.focus.analysis
    name = act.name.lstrip("*") or act.api
    uses = teardown.lives.uses(act.name, func.path) if act.name else Uses()
    steps: list[Step] = [step(analysis, "register", a.func, a.at) for a in (*uses.setups[:1], *uses.starts[:1])]
    if fellow is not None:
        steps.append(step(analysis, "call", fellow.func, fellow.at))
    undoes = undone_by(teardown, uses) if weak is None and again is None and not (late or fails or asked) else None
    if undoes is not None and undoes.key != func.key and (fellow is None or undoes.key != fellow.func.key):
        steps.append(step(analysis, "return", undoes, end_of(teardown, undoes, None)))
    steps.append(step(analysis, "call", func, at))
    if ended is not None and (ended.func.key, ended.at) != (func.key, at):
        steps.append(step(analysis, "call", ended.func, ended.at))
    if unbound is not None and unbound.key != func.key:
        steps.append(step(analysis, "return", unbound, 0))
    end = f"{ended.struct or ended.path} is freed" if ended is not None and ended.struct else "the driver is gone"
    if again is not None and flag:
        steps.append(step(analysis, "register", again.func, again.at))
        message = f"{again.func.name}() does not ask {flag} any more and may start the {act.what} {name} again, while {end}"
    elif again is not None and act.what == "workqueue":
        steps.append(step(analysis, "register", again.func, again.at))
        message = f"{again.func.name}(), which ends later, may use the work queue {name}, while {end}"
    elif again is not None:
        steps.append(step(analysis, "register", again.func, again.at))
        message = f"{again.func.name}(), stopped later, starts the {act.what} {name} again, which may run while {end}"
    elif asked:
        message = f"the {act.what} {name} is waited for only if {asked} says so, which it does not while it runs; then {end}"
    elif fails:
        message = f"nothing waits for the {act.what} {name}, which has been started, where {func.name}() fails"
    elif late:
        message = f"the {act.what} {name} is waited for only after {end}, which it uses"
    elif weak is not None:
        message = f"{weak.api}() does not wait for the {act.what} {name}, which may run while {end}"
    else:
        message = f"nothing waits for the {act.what} {name}, which may run while {end}"
    file, line, column, function = place(func, at)
    return Finding(
        rule=RULE, severity="error", confidence=confidence, file=file, line=line, column=column, function=function,
        message=message, involves=(name,), proof=tuple(steps), event=teardown.program.line_text(file, line),
    )  # fmt: skip
