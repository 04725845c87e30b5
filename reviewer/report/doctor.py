"""What ``doctor`` found, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from reviewer.report.json_v1 import Object
from reviewer.report.paint import Paint
from reviewer.report.plain import clip, plural, safe


class Check(msgspec.Struct, frozen=True):
    """One part of the installation. ``missing``: what is wrong and what it costs, empty if all is well."""

    name: str
    found: str
    missing: str = ""


class BrokenCause(msgspec.Struct, frozen=True):
    """What breaks ``count`` function definitions, in words; ``place``: an example, as ``path:line``."""

    what: str
    count: int
    place: str


class ParseHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a tree can be parsed.

    :ivar files: how many were parsed, of ``of_files`` in the tree.
    :ivar broken: function definitions with an error inside, of ``functions``.
    :ivar causes: the commonest first, ten at most.
    """

    files: int
    of_files: int
    functions: int
    broken: int
    causes: tuple[BrokenCause, ...] = ()


class CallHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the calls in some files of a tree leads somewhere.

    :ivar defined: direct calls of a function or macro of the tree, :ivar modelled: of an API that ``rules/api/`` describes,
        :ivar external: of one that is declared, or the compiler's own. :ivar direct: all of these, and those of which
        nothing is known.
    :ivar indirect_known: calls through a pointer or a table, of ``indirect``, of which a target is known.
    """

    files: int
    functions: int
    direct: int
    defined: int
    modelled: int
    external: int
    indirect: int
    indirect_known: int


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that ``doctor`` looked at. ``no_tree``: why there is no parse health."""

    checks: tuple[Check, ...]
    tree_path: str | None = None
    rev: str | None = None
    health: ParseHealth | None = None
    calls: CallHealth | None = None
    no_tree: str = ""


def diagnosis_text(diagnosis: Diagnosis, paint: Paint) -> str:
    return "\n".join(_lines(diagnosis, paint)) + "\n"


def _lines(diagnosis: Diagnosis, paint: Paint) -> Iterator[str]:
    wide = max(len(check.name) for check in diagnosis.checks)
    for check in diagnosis.checks:
        parts = [safe(check.found), paint(safe(check.missing), "yellow") if check.missing else ""]
        yield f"{check.name.ljust(wide)}  {'  '.join(filter(None, parts))}"
    yield ""
    health = diagnosis.health
    if health is None:
        yield f"no tree: {safe(diagnosis.no_tree)}"
        return
    at = f" at {diagnosis.rev}" if diagnosis.rev else ""
    yield f"{safe(diagnosis.tree_path or '')}{at}: {plural(health.of_files, 'file')}, {health.files} parsed"
    share = 100 * (1 - health.broken / health.functions) if health.functions else 100.0
    yield f"{plural(health.functions, 'function')}, {share:.2f} % without a parse error"
    if health.causes:
        yield f"{plural(health.broken, 'function')} with one; the commonest causes, each with an example:"
    for cause in health.causes:
        yield f"  {cause.count:6}  {clip(safe(cause.what), 90)}  {safe(cause.place)}"
    if diagnosis.calls is not None:
        yield from _call_lines(diagnosis.calls)


def _call_lines(calls: CallHealth) -> Iterator[str]:
    known = calls.defined + calls.modelled + calls.external
    share = 100 * known / calls.direct if calls.direct else 100.0
    yield (
        f"{plural(calls.direct, 'direct call')} in {plural(calls.files, 'file')}, {share:.2f} % lead to a definition "
        f"({calls.defined}), a modelled API ({calls.modelled}) or a declaration ({calls.external})"
    )
    without = calls.indirect - calls.indirect_known
    yield f"{plural(calls.indirect, 'indirect call')}: {calls.indirect_known} with a known target, {without} without"


def diagnosis_object(diagnosis: Diagnosis) -> Object:
    health, calls = diagnosis.health, diagnosis.calls
    return {
        "tree": None if health is None else {"path": diagnosis.tree_path, "rev": diagnosis.rev},
        "installation": [
            {"name": c.name, "found": c.found, "missing": c.missing or None} for c in diagnosis.checks
        ],
        "parse": None
        if health is None
        else {
            "files": health.files,
            "of_files": health.of_files,
            "functions": health.functions,
            "functions_with_errors": health.broken,
            "causes": [{"cause": c.what, "count": c.count, "place": c.place} for c in health.causes],
        },
        "calls": None if calls is None else msgspec.structs.asdict(calls),
    }
