"""Findings before and after: introduced, fixed, unchanged, by fingerprint.

A note and a real hazard with the same fingerprint are two things: a note that becomes an error is introduced, an error that
becomes a note is fixed. So are a suspicion and a finding: what was low, because a condition kept it from coming about, and is
more than that once the condition is gone, is introduced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from reviewer.checks.finding import Finding, with_fingerprints

Key = tuple[str, bool]
"""(fingerprint, is it a note)."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Of two lists of findings. Each is named as in the program after the change; fixed ones as in the one before."""

    introduced: tuple[Finding, ...] = ()
    fixed: tuple[Finding, ...] = ()
    unchanged: tuple[Finding, ...] = field(default=())


def key(finding: Finding) -> Key:
    return finding.fingerprint, finding.severity == "note"


def compare(before: Sequence[Finding], after: Sequence[Finding], renamed: Mapping[str, str]) -> Difference:
    """:param renamed: new path to old path of files that moved: a finding moves with its file."""
    names = {f.fingerprint: old for f, old in zip(after, _under_old_names(after, renamed), strict=True)} if renamed else {}
    old = {key(f): f for f in before}
    new = {(names.get(f.fingerprint, f.fingerprint), f.severity == "note"): f for f in after}
    introduced = [f for k, f in new.items() if k not in old and not (k[1] and (k[0], False) in old)]
    fixed = [f for k, f in old.items() if k not in new and not (k[1] and (k[0], False) in new)]
    unchanged = [f for k, f in new.items() if k in old]
    surer = [f for k, f in new.items() if k in old and suspected(old[k]) and not suspected(f)]
    vaguer = [f for k, f in old.items() if k in new and suspected(new[k]) and not suspected(f)]
    _told_apart(before, introduced, unchanged, renamed)
    for likeness in (same_function, same_file):
        for one in list(introduced):
            alike = (f for f in fixed if likeness(f, {}) == likeness(one, renamed) and not worse(one, f))
            twin = next(alike, None)
            if twin is not None and (likeness is same_function or one.severity == "note"):
                introduced.remove(one)
                fixed.remove(twin)
                unchanged.append(one)
    unchanged = [f for f in unchanged if f not in surer]
    return Difference((*introduced, *surer), (*fixed, *vaguer), tuple(unchanged))


def suspected(finding: Finding) -> bool:
    """Whether there is too little evidence for it to be reported."""
    return finding.confidence == "low"


def worse(now: Finding, then: Finding) -> bool:
    """Whether there was less evidence for a hazard that is found in another way now: a wait that came too early is gone."""
    return now.severity != "note" and now.confidence == "high" != then.confidence


def _told_apart(
    before: Sequence[Finding], introduced: list[Finding], unchanged: list[Finding], renamed: Mapping[str, str]
) -> None:
    """Of several findings of one call, which only their order tells apart, those are unchanged that say what was said before."""
    said: dict[tuple[object, ...], set[str]] = {}
    for f in before if introduced else ():
        said.setdefault(same_function(f, {}), set()).add(f.message)
    for n, one in enumerate(introduced):
        old = said.get(same_function(one, renamed), set())
        for m, other in enumerate(unchanged if one.message in old else ()):
            if other.message not in old and same_function(other, renamed) == same_function(one, renamed):
                introduced[n], unchanged[m] = other, one
                break


def same_function(finding: Finding, renamed: Mapping[str, str]) -> tuple[object, ...]:
    """The same hazard in other words: a variable of the function has another name, or the call another argument.

    :param renamed: new path to old path of files that moved, for a finding of the program after the change.
    """
    return (*same_file(finding, renamed), finding.function)


def same_file(finding: Finding, renamed: Mapping[str, str]) -> tuple[object, ...]:
    """The same hazard that has moved, into a helper or out of one. Of notes only: a real one is worth saying again."""
    return finding.rule, renamed.get(finding.file, finding.file), finding.objects, finding.severity == "note"


def _under_old_names(findings: Iterable[Finding], renamed: Mapping[str, str]) -> list[str]:
    """The fingerprint that each finding would have had in the file's old place, in the order given."""
    moved = [msgspec.structs.replace(f, file=renamed.get(f.file, f.file)) for f in findings]
    # Ordinals among equals follow the order of places, which a move keeps within a file.
    marked = with_fingerprints(moved)
    by_place = {(f.rule, f.file, f.line, f.column, f.involves, f.severity): f.fingerprint for f in marked}
    return [by_place[f.rule, f.file, f.line, f.column, f.involves, f.severity] for f in moved]
