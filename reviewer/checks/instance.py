"""A rule that is like another one, restricted by data: to chains, files, functions; with a severity and texts of its own."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from reviewer.checks.analysis import Analysis
from reviewer.checks.entry import Reached
from reviewer.checks.finding import Finding
from reviewer.checks.names import matches, stands_in
from reviewer.checks.registry import Late, Rule, Run


def run(rule: Rule, like: Run, analysis: Analysis) -> Iterator[Finding]:
    """The findings of the other rule's check that ``rule.only`` admits, as findings of ``rule``.

    A note stays a note: what prevents the hazard does so under any name.
    """
    yield from admitted(rule, like(restricted(analysis, rule.only.chain)))


def late(rule: Rule, like: Late, reached: Sequence[Reached]) -> Iterator[Finding]:
    """The same of a check that is made of two halves."""
    chains = rule.only.chain
    mine = [(e, d) for e, d in reached if not chains or matches(chains, e.chain) or matches(chains, e.head)]
    yield from admitted(rule, like(mine))


def admitted(rule: Rule, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Those that ``rule.only`` admits, as findings of ``rule``."""
    only = rule.only
    for finding in findings:
        if not matches(only.function, finding.function) or not stands_in(only.files, finding.file):
            continue
        severity = finding.severity if finding.severity == "note" else rule.severity
        yield msgspec.structs.replace(finding, rule=rule.id, severity=severity)


def restricted(analysis: Analysis, chains: tuple[str, ...]) -> Analysis:
    """The analysis as if only these chains were in question; what has been worked out is shared."""
    if not chains:
        return analysis
    view = copy.copy(analysis)
    view.selected = [c for c in analysis.selected if matches(chains, c.short) or matches(chains, c.head)]
    view.__dict__.pop("callbacks", None)
    return view
