"""What the results of a function's ways tell its callers: whether they can know with which of them a lock comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reviewer.parse.facts import Call, Result
from reviewer.program.concurrency.balance import Way
from reviewer.program.flow.summaries import exported
from reviewer.program.linked.link import Func
from reviewer.program.linked.structs import Frame

SUCCESS = {"zero", "positive", "nonnegative"}
"""Results with which a lock may be left to the caller on purpose, while failures release it."""

MEANS = {"nonzero": {"negative", "positive"}, "nonnegative": {"zero", "positive", "nonzero"}}
"""What a result of which less is known may be."""


def overlap(a: set[str], b: set[str]) -> bool:
    """Whether a result of one kind may be of the other, too."""
    if a & b:
        return True
    return any(bool(b & MEANS.get(r, set())) for r in a) or any(bool(a & MEANS.get(r, set())) for r in b)


def same_answer(frame: Frame, one: Way, other: Way) -> bool:
    """Whether no caller can tell two ways apart by the result: none, the same value of what the caller knows, or that of another
    call of the same function."""
    a, b = one.ending.value, other.ending.value
    if isinstance(a, Result) and isinstance(b, Result) and a != b:
        blocks = frame.body.blocks if frame.body is not None else ()
        made = {e.number: e.callee for block in blocks for e in block.events if isinstance(e, Call)}
        return a.call in made and made[a.call] == made.get(b.call)
    return a == b and (a is None or exported(a))


def returns_pointer(func: Func) -> bool:
    return func.definition is not None and func.definition.type.pointer > 0


def returns_truth(func: Func) -> bool:
    return func.definition is not None and func.definition.type.name in ("bool", "_Bool") and not func.definition.type.pointer


def as_object(way: Way) -> Way:
    """For a function that returns an object or NULL, success is what is no zero."""
    meant = {"nonzero": "positive", "zero": "negative"}
    return replace(way, result=meant.get(way.result, way.result))


def tries(func: Func, held: Sequence[Way]) -> bool:
    """Whether it is a try variant by its name, which by convention returns other than 0 with the lock."""
    return "trylock" in func.name and all(w.result in ("nonzero", "positive") for w in held)


def fails_alike(func: Func, way: Way, others: Sequence[Way]) -> bool:
    """Whether a way fails as another does that has not taken the lock, so that no caller can tell them apart."""
    failed = way.result == "negative" or (returns_truth(func) and way.result == "zero")
    return failed and any(w.taken <= 0 and w.result == way.result for w in others)


def failing(ways: Sequence[Way]) -> bool:
    return any(w.result == "negative" for w in ways)
