"""What the authors of a kernel say of locks, against what the program has found out."""

from __future__ import annotations

import random
from collections.abc import Iterator

from reviewer.program.flow.summaries import Summaries
from reviewer.program.graph.callers import CallerSearch
from reviewer.program.graph.contexts import CallSite
from reviewer.program.index.linkage import ASIDE
from reviewer.program.linked.link import Func, Program
from reviewer.program.linked.locks import Hold, lock_class

ACQUIRES, RELEASES, MUST_HOLD = "__acquires", "__releases", "__must_hold"
"""Annotations for sparse (include/linux/compiler_types.h)."""

ASSERTS = tuple(f"lockdep_assert_held{kind}" for kind in ("", "_write", "_read", "_once"))
"""Assertions about the callers (include/linux/lockdep.h)."""

LEVELS = 2
"""Levels of callers above the first that are asked for a lock."""

FEW = 24
"""Callers of one function that are asked."""


def with_words(program: Program, words: tuple[str, ...]) -> list[str]:
    found = program.names.files_mentioning(words)
    return sorted({f for word in words for f in found[word] if f.split("/", 1)[0] not in ASIDE})


def annotated(program: Program, count: int, seed: int) -> list[Func]:
    """Random definitions with an annotation."""
    files = with_words(program, (ACQUIRES, RELEASES, MUST_HOLD))
    functions = [f for path in files for f in program.functions_in(path) if claims_of(f)]
    return random.Random(seed).sample(functions, min(len(functions), count))


def claims_of(func: Func) -> dict[str, set[str]]:
    """What is said of each lock, as it is written."""
    found: dict[str, set[str]] = {}
    for text in func.definition.annotations if func.definition is not None else ():
        word, opening, lock = text.partition("(")
        if opening and word in (ACQUIRES, RELEASES, MUST_HOLD):
            found.setdefault(lock.rstrip(") ").lstrip("& "), set()).add(word)
    return found


def annotation(summaries: Summaries, func: Func) -> Iterator[tuple[str, str]]:
    """(cause, case) for every lock of which the author says something."""
    outcomes = summaries.of(func).outcomes
    frame = summaries.program.frame(func)
    takes = [len(o.takes) for o in outcomes]
    drops = [len(o.drops) for o in outcomes]
    model = summaries.program.models.functions.get(func.name)
    if model is not None and (model.takes or model.drops):
        takes, drops = [len(model.takes)], [len(model.drops)]
    held = {h.name for o in outcomes for h in o.takes} | {lock_class(frame, d) for o in outcomes for d in o.drops}
    names = sorted(name or "?" for name in held)
    for lock, words in claims_of(func).items():
        case = f"{func.path}:{func.line} {func.name} {' '.join(sorted(words))} {lock}: {', '.join(names) or 'nothing'}"
        yield judged(summaries, func, words, takes, drops), case


def judged(summaries: Summaries, func: Func, words: set[str], takes: list[int], drops: list[int]) -> str:
    if MUST_HOLD in words:
        return "agree: held before and after" if takes == drops else "must hold, and we see a net effect"
    if words == {ACQUIRES, RELEASES}:
        if any(takes) and any(drops):
            return "agree: let go and taken again" + ("" if all(takes) and all(drops) else ", on some way")
        flow = summaries.flow(func)
        inside = flow is not None and any(s.may() for s in flow.seen)
        return "agree: taken and given back" if inside else "let go and taken again, and we see neither"
    has = takes if ACQUIRES in words else drops
    what = "taken" if ACQUIRES in words else "released"
    if all(has):
        return f"agree: {what}"
    return f"agree: {what} on some way" if any(has) else f"{what}, and we do not see it"


def asserted(search: CallerSearch, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """(cause, case) for every known call of random functions that assert a lock: whether it is held there."""
    program, contexts = search.program, search.contexts
    files = with_words(program, ASSERTS)
    chosen = random.Random(seed).sample(files, min(len(files), count))
    functions = {f.key: f for path in chosen for word in ASSERTS for f in program.functions_with(path, word)}
    for func in random.Random(seed).sample(list(functions.values()), min(len(functions), count)):
        for hold in contexts.asserted(func):
            if hold.kind != "other":
                continue
            if not hold.name:
                yield "the lock is known to its own object only", f"{func.path} {func.name}"
                continue
            for site, verdict in at_callers(search, func, hold, LEVELS, frozenset({func.key})):
                yield verdict, f"{hold.name}: {func.path} {func.name} <- {site.caller.path}:{site.line} {site.caller.name}"


def at_callers(
    search: CallerSearch, func: Func, hold: Hold, levels: int, met: frozenset[str]
) -> Iterator[tuple[CallSite, str]]:
    for site in search.of(func).sites[:FEW]:
        yield site, at_site(search, site, hold.name, levels, met, hold)


def at_site(search: CallerSearch, site: CallSite, name: str, levels: int, met: frozenset[str], hold: Hold) -> str:
    held = {h.name for h in site.must} | ({site.chain_hold.name} if site.chain_hold is not None else set())
    if name in held:
        return "agree: held at the call"
    if name in {h.name for h in search.contexts.asserted(site.caller)}:
        return "agree: the caller asserts it, too"
    if site.caller.key in met:
        return "agree: a recursion"
    if name in {h.name for h in site.may}:
        return "held on some way to the call"
    above = [v for _, v in at_callers(search, site.caller, hold, levels - 1, met | {site.caller.key})] if levels else []
    good = [v.startswith("agree") for v in above]
    if above and all(good):
        return "agree: held further up"
    if any(good):
        return "held further up by some"
    if not levels:
        return "not held within three levels"
    return "not held, and nobody is known further up" if not above else "not held within three levels"

