"""lock-order-inversion: two lock classes are taken in both orders.

Only orders that a function in question shows are looked up; the other order is searched in the same functions, then in the
folder.
Left out: trylocks, two readers on either lock unless readers queue behind writers, and orders that a common outer lock keeps
apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from reviewer.checks import apart
from reviewer.checks.finding import Finding, Step
from reviewer.checks.focus import Focus
from reviewer.checks.passed_above import nobody_goes
from reviewer.checks.proof import confidence_of, effect_steps, entry_step, place, step
from reviewer.checks.registry import general
from reviewer.parse.facts import Call
from reviewer.program.concurrency.orders import Order
from reviewer.program.linked.configured import exclusive
from reviewer.program.linked.link import Func
from reviewer.program.linked.locks import SLEEPING, Hold, writer_between

RULE = "lock-order-inversion"

MAX_SEARCHED = 24
"""Orders of one focus whose inverse is searched beyond its functions."""

MAX_MORE = 3
"""Other functions that take the two locks, shown beside the two that are told of."""

FAR = 3
"""Calls of two orders together, from which on one of their conditions most often keeps them apart."""

MAX_WEIGHED = 4
"""Orders the other way round, of those that go best with one, of which all is asked that may speak against them."""

Pairs = dict[tuple[str, str], list[Order]]


@general(RULE)
def lock_order_inversion(focus: Focus) -> Iterator[Finding]:
    mine = pairs(focus)
    before = pairs(focus.other) if focus.other is not None else None
    searched = 0
    told: set[str] = set()
    done: set[tuple[str, str]] = set()
    for pair, found in mine.items():
        sure = [o for o in found if o.doubt < 2]
        back = (pair[1], pair[0])
        if not sure or pair in done:
            continue
        if before is not None and pair in before and (back in mine) == (back in before):
            continue  # the patch has nothing to do with this order
        others = mine.get(back, [])
        blamed = pair
        if others:
            done |= {pair, back}
            new = [p for p in (pair, back) if before is not None and p not in before]
            rarer = (all(o.entry for o in sure), len(sure)) <= (all(o.entry for o in others), len(others))
            blamed = new[0] if len(new) == 1 else pair if rarer else back  # what an operation's callers hold cannot be helped
            sure, others = (sure, others) if blamed == pair else (others, sure)
            themselves = {o.func.key for o in others if o.doubt < 2} <= {o.func.key for o in sure}
            if searched < MAX_SEARCHED and themselves:
                searched += 1  # a function against itself says little: one condition may decide both
                others = [*others, *focus.orders.inverse(min(sure, key=certainty))]
        elif searched < MAX_SEARCHED:
            searched += 1
            others = list(focus.orders.inverse(min(sure, key=certainty)))
        found_ = [
            (o, [x for x in others if deadlocks(o, x) and not elsewhere(focus, o, x)])
            for o in sorted(sure, key=certainty) if o.doubt < 2
        ]  # fmt: skip
        fresh = before is not None and blamed not in before
        inverted = [(o, surest(o, against) if not fresh else worst(focus, o, against)) for o, against in found_ if against]
        shown = list(brought(focus, inverted) if fresh else inverted[:1])
        told |= {order.func.key for order, _ in shown}
        more = [*(one for one, _ in inverted), *(back for one, against in found_[:1] for back in against)] if not fresh else []
        yield from (finding(focus, *one, more) for one in shown)
    for func in focus.functions if focus.before is not None else ():
        if func.key not in told and focus.edited(func):
            yield from not_let_go(focus, func)


def not_let_go(focus: Focus, func: Func) -> Iterator[Finding]:
    """A lock of the callers that was let go around a call, which a patch now makes under it: whoever did so knew of somebody who
    takes the two the other way round, though it cannot be seen here."""
    still = focus.let_go.kept(func, on_purpose=True)
    flow = focus.flow(func) if still else None
    for seen in flow.seen if flow is not None else ():
        for hold in still.get(seen.event.at, ()):
            taken = [
                e for e in focus.effects.at(func, seen)
                if e.kind == "acquire" and e.doubt < 2 and e.hold is not None and {hold.kind, e.hold.kind} <= SLEEPING
                and e.hold.name not in ("", hold.name) and e.hold.taken != "trylock" and not e.lets_go(hold)
            ]  # fmt: skip
            for effect in taken[:1]:
                assert effect.hold is not None
                file, line, column, function = place(func, seen.event.at)
                yield Finding(
                    rule=RULE, severity="warning", confidence="medium", file=file, line=line, column=column, function=function,
                    message=f"{effect.hold.name} is taken while {hold.name} is held, which was let go here before the patch",
                    involves=tuple(sorted((hold.name, effect.hold.name))),
                    proof=effect_steps(focus.analysis, func, hold, effect), event=focus.program.line_text(file, line),
                )  # fmt: skip
                return


def brought(focus: Focus, inverted: Sequence[tuple[Order, Order]]) -> Iterator[tuple[Order, Order]]:
    """What a patch brings is shown wherever it is: in each function that it changes, and once for all callers of one that now
    takes the second lock."""
    shown: set[object] = set()
    for order, other in sorted(inverted, key=lambda both: not focus.edited(both[0].func)):
        taken = order.effect.func.key, order.effect.at
        key = order.func.key if focus.edited(order.func) else taken
        if key not in shown:
            shown |= {key, taken}
            yield order, other


def pairs(focus: Focus) -> Pairs:
    """The orders that the functions in question show."""
    result: Pairs = {}
    for func in focus.functions:
        if focus.summaries.holds(func) or (focus.effects.may_matter(func) and focus.entries.held_for_sure(func)):
            for pair, order in focus.orders.of(func).items():
                result.setdefault(pair, []).append(order)
        for order in focus.orders.under_more(func, still) if (still := focus.let_go.kept(func)) else ():
            result.setdefault(order.pair, []).append(order)
    return result


def certainty(order: Order) -> tuple[int, int]:
    return order.doubt, order.effect.depth


def surest(one: Order, others: Iterable[Order]) -> Order:
    """Which of the other orders goes best with one."""
    return min(others, key=partial(fit, one))


def fit(one: Order, other: Order) -> tuple[int, int]:
    return other.doubt + unpublished(other) + itself(one, other) + through_each_other(one, other), other.effect.depth


def worst(focus: Focus, one: Order, others: Iterable[Order]) -> Order:
    """Which of the other orders that go best with one a patch shows, each given all that speaks against it."""
    best = sorted(others, key=partial(fit, one))[:MAX_WEIGHED]
    return min(best, key=lambda o: min(doubts(focus, one, o), 2))


def through_each_other(one: Order, other: Order) -> bool:
    """Whether the one order comes through the function that shows the other: that would take its own second lock twice, did
    nothing say which it is."""
    return one.func.key in met(other) - met(one) or other.func.key in met(one) - met(other)


def turns_back(focus: Focus, order: Order) -> bool:
    """Whether a function on the way to the second lock takes the first one again, under the second: of this object that would
    never end, so that it is for another one (of a provider, of the device below)."""
    back = order.pair[::-1]
    functions = (f for f in (*(f for f, _ in order.effect.way[1:]), order.effect.func) if f.key != order.func.key)
    found = (focus.orders.of(f).get(back) for f in functions if focus.summaries.holds(f))
    if order.effect.lets_go(order.hold):
        return False
    return any(
        o is not None and not o.doubt and (again := o.effect.hold) is not None and writer_between(order.hold, again) == 0
        for o in found
    )


def itself(one: Order, other: Order) -> int:
    """1 for two orders of one function of which one is uncertain: one lock or the other, as one condition says."""
    return int(one.func.key == other.func.key and one.doubt + other.doubt > 0)


def deadlocks(one: Order, other: Order) -> bool:
    """Whether two tasks may wait for each other: nothing keeps them apart, and neither lock is only read by both, unless readers
    queue behind writers."""
    if one.outer & other.outer:
        return False
    return None not in readers(one, other)


def readers(one: Order, other: Order) -> tuple[int | None, int | None]:
    """Of either lock, what :func:`writer_between` says of its two holders."""
    inner, back = one.effect.hold, other.effect.hold
    assert inner is not None and back is not None
    return writer_between(one.hold, back), writer_between(inner, other.hold)


def met(order: Order) -> set[str]:
    """The functions that an order comes through, below the one that holds the first lock."""
    return {*(f.key for f, _ in order.effect.way[1:]), order.effect.func.key} if order.effect.way else set()


def elsewhere(focus: Focus, one: Order, other: Order) -> bool:
    """Whether what the one order holds is not what the other takes: a struct is in another several times, or in an array, and
    they mean different ones of these (``c->tx.lock``, ``c->rx.lock``), or objects of two families, or no kernel has both."""
    inner, back = one.effect.hold, other.effect.hold
    assert inner is not None and back is not None
    pairs_ = (one.hold, back), (inner, other.hold)
    ways = ((one.func,), apart.down(other.func, other.effect)), (apart.down(one.func, one.effect), (other.func,))
    met_by_both = (*apart.down(one.func, one.effect), *apart.down(other.func, other.effect))
    return exclusive(focus.program, met_by_both) or any(
        apart.other_member(focus, one.func, mine, other.func, theirs)
        or apart.other_element(focus, one.func, mine, other.func, theirs)
        # What a patch takes below the sockets of several families, it does below those that are meant the other way round, too.
        or (focus.other is None and apart.other_family(focus, mine.name, *way))
        for (mine, theirs), way in zip(pairs_, ways, strict=True)
    )


def certain_object(focus: Focus, one: Order, other: Order) -> bool:
    """Whether the one order is that of a certain object's lock, and the other of those that somebody points to."""
    inner, back = one.effect.hold, other.effect.hold
    assert inner is not None and back is not None
    return (
        apart.of_one_static(focus, one.func, one.hold, other.func, back)
        or apart.of_one_static(focus, one.func, inner, other.func, other.hold)
    )


def takes_new_ones(focus: Focus, order: Order) -> bool:
    """Whether the second lock is in an object that the function has just made: hardly anybody else has it already."""
    path = order.effect.what
    return path is not None and focus.settled.of_new(order.func, path)


def also(focus: Focus, more: Iterable[Order], told: Sequence[Order]) -> Iterator[Step]:
    """Where other functions take the second lock under the first, or the first under the second."""
    known = {f for order in told for f in (order.func.key, *met(order))}
    others = {o.func.key: o for o in more if o.func.key not in known and o.doubt < 2}
    for order in list(others.values())[:MAX_MORE]:
        inner = order.effect.hold
        holds = (order.hold, inner) if inner is not None else (order.hold,)
        yield step(focus.analysis, "acquire", order.func, order.seen.event.at, holds)


def edited_too(focus: Focus, order: Order) -> Iterator[Step]:
    """Other functions that a patch edits, and by which the same function comes to the second lock under the first."""
    flow, inner = focus.flow(order.func) if focus.before is not None else None, order.effect.hold
    if flow is None or inner is None:
        return
    found: dict[str, Step] = {}
    for seen in flow.seen:
        under = isinstance(seen.event, Call) and any(h.name == order.hold.name for h in seen.may())
        for e in focus.effects.at(order.func, seen) if under else ():
            again = e.hold if e.kind == "acquire" and e.doubt < 2 and focus.edited(e.func) else None
            if again is not None and again.name == inner.name and e.func.key != order.effect.func.key:
                found.setdefault(e.func.key, step(focus.analysis, "acquire", e.func, e.at, (order.hold, again)))
    yield from list(found.values())[:MAX_MORE]


def doubts(focus: Focus, one: Order, other: Order) -> int:
    """What speaks against two orders together."""
    doubt = one.doubt + other.doubt + unpublished(one) + unpublished(other) + itself(one, other)
    if focus.other is None and len(one.effect.way) + len(other.effect.way) >= FAR:
        doubt += 1  # nobody has run what a patch brings
    if focus.other is None:
        doubt += one.effect.chosen + other.effect.chosen  # what some objects do alone, and this may be none of them
    doubt += sum(r or 0 for r in readers(one, other)) * (1 if focus.other is not None else 2)  # a writer has to come in between
    if any(settled(focus, order) for order in (one, other)):
        doubt += 2
    if certain_object(focus, one, other):
        doubt += 2 if focus.other is None else 1
    if focus.other is None:
        doubt += any(takes_new_ones(focus, order) for order in (one, other))
    if any(order.hold.kind == "semaphore" and order.hold.where for order in (one, other)):
        doubt += 2  # what a callee has left it at, another may change: a state rather than a lock
    if through_each_other(one, other):
        doubt += 2 if focus.other is None else 1
    if focus.other is None and any(turns_back(focus, order) for order in (one, other)):
        doubt += 2  # nobody has run what a patch brings
    if any(focus.lock_classes.split(name, f.path) for name in one.pair for f in (one.func, other.func, other.effect.func)):
        doubt += 2 if focus.other is None else 1  # perhaps of another kind, which is what the authors say of some
    if any(second_of_its_class(focus, order) for order in (one, other)):
        doubt += 2 if focus.other is None else 1
    if one.func.path != other.func.path and any(h.kind == "socket" for h in (one.hold, other.hold)):
        doubt = max(doubt, 1)  # most protocols have a class of their own (sock_lock_init_class_and_name() in include/net/sock.h)
    if any(perhaps_released(focus, order) for order in (one, other)):
        doubt += 2
    if doubt == 2 and turned(focus, one):
        doubt = 1  # where conditions decide about both, they did so before the patch, too
    if one.whole != other.whole[::-1]:
        doubt += 2  # a device of another kind
    if doubt == 1 and focus.other is None and any(may_have_it(focus, order) for order in (one, other)):
        doubt = 2
    return doubt


def may_have_it(focus: Focus, order: Order) -> bool:
    """Whether the second lock is one for which nobody waits who has it already: somebody far above may (a device is awake while
    it is in use)."""
    model = focus.program.models.functions.get(order.effect.name)
    return model is not None and model.recursive


def finding(focus: Focus, one: Order, other: Order, more: Iterable[Order] = ()) -> Finding:
    """:param more: other orders of the two locks, which go to the end of the proof."""
    analysis = focus.analysis
    first, second = one.pair
    confidence = confidence_of(doubts(focus, one, other))
    file, line, column, function = place(one.func, one.seen.event.at)
    inner = one.effect.hold
    waited = f"readers of {second} are waited for" if inner is not None and inner.kind == "srcu" else f"{second} is taken"
    there = other.effect.func.name if other.effect.way else other.func.name
    steps: tuple[Step, ...] = tuple(
        s for order in (one, other) for s in (
            *([entry_step(analysis, order.entry)] if order.entry is not None else []),
            *effect_steps(analysis, order.func, order.hold, order.effect),
        )
    )  # fmt: skip
    return Finding(
        rule=RULE, severity="error", confidence=confidence, file=file, line=line, column=column, function=function,
        message=f"{waited} while {first} is held; {there}() takes them the other way round",
        involves=tuple(sorted(one.pair)), proof=(*steps, *also(focus, more, (one, other)), *edited_too(focus, one)),
        event=focus.program.line_text(file, line),
    )  # fmt: skip


def turned(focus: Focus, order: Order) -> bool:
    """Whether a patch has a function take two locks the other way round than before."""
    before, func = focus.before, order.func
    back = order.pair[::-1]
    return before is not None and focus.edited(func) and back not in focus.orders.of(func) and any(
        back in before.orders.of(f) and order.pair not in before.orders.of(f)
        for f in before.program.functions(func.path, func.name)
    )  # fmt: skip


def settled(focus: Focus, order: Order) -> bool:
    """Whether the second lock is not taken after all: a caller has seen to it, or it is for the last user of an object, who
    need not be this one, or by what leads back to its caller, of another object."""
    ahead = focus.settled.against(order.func, order.seen, order.effect) or focus.settled.once(order.effect)
    last = order.effect.last and not focus.came_under(order.func, order.seen, order.hold)
    return ahead or last or order.effect.comes_back() or nobody_goes(focus, order.func, order.effect)


def second_of_its_class(focus: Focus, order: Order) -> bool:
    """Whether one of the class of the second lock is held all the while, by this function or whoever calls it: lockdep would
    complain of two, wherever the code had ever come to it, so that it is said of an object that is not there."""
    inner = order.effect.hold
    assert inner is not None
    if any(h.name == inner.name and not order.effect.lets_go(h) for h in (*order.seen.must(), *entered_with(focus, order.func))):
        return True
    return focus.nearby.held_above(order.func, lambda h: h.name == inner.name) == "all"


def entered_with(focus: Focus, func: Func) -> tuple[Hold, ...]:
    """What is held by those who call an operation (an open() that opens the device below)."""
    return tuple(h for e, h in focus.entries.held_for_sure(func) if not e.doubt)


def perhaps_released(focus: Focus, order: Order) -> bool:
    """Whether something deep below a call has let the first lock go before the second is taken."""
    flow = focus.flow(order.func)
    return flow is not None and focus.releases.perhaps(flow, order.hold, order.seen, order.effect)


def unpublished(order: Order) -> int:
    """2 for code that runs once, before or after anybody else can know its objects."""
    definition = order.func.definition
    once = definition is not None and {"__init", "__exit"} & set(definition.annotations)
    return 2 if once else 0
