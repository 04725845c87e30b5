"""The reports that code hosts read: GitHub's annotations and SARIF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reviewer.cli import engine
from reviewer.report.annotations import review_annotations, scan_annotations
from reviewer.report.sarif import review_sarif, scan_sarif
from reviewer.source.inside import path_in_repository

if TYPE_CHECKING:
    from reviewer.checks.finding import Finding
    from reviewer.checks.result import ScanResult
    from reviewer.cli.session import Session
    from reviewer.report.explain import Rule
    from reviewer.review.result import Reviewed, ReviewResult

FORMATS = ("github", "sarif")


def scan_report(opened: Session, result: ScanResult, shown: Sequence[Finding], chain: str | None, everything: bool) -> str:
    """The report of a scan in the format that is asked for, one of :data:`FORMATS`."""
    inside = path_in_repository(result.tree_path)
    if opened.options.format == "github":
        return scan_annotations(result, shown, inside)
    return scan_sarif(
        result, shown, rules(opened), category=f"scan/{question(chain, everything)}",
        repository=repository(result.tree_path), inside=inside,
    )  # fmt: skip


def review_report(opened: Session, result: ReviewResult, shown: Sequence[Reviewed], chain: str | None) -> str:
    """The report of a review."""
    inside = path_in_repository(result.tree_path)
    if opened.options.format == "github":
        return review_annotations(result, shown, inside)
    return review_sarif(
        result, shown, rules(opened), category=f"review/{question(chain, False)}",
        repository=repository(result.tree_path), inside=inside,
    )  # fmt: skip


def question(chain: str | None, everything: bool) -> str:
    """What is looked at, in a word or two."""
    return "all" if everything else f"chain/{chain}" if chain is not None else "oom"


def rules(opened: Session) -> list[Rule]:
    """The rules that run, sorted by id."""
    chosen = opened.options.rules
    return [rule for rule in engine.all_rules(opened.rules_dirs) if not chosen or rule.id in chosen]


def repository(tree_path: str) -> str:
    """A tree's folder as a URI; a tree that has revisions is a repository's top."""
    return Path(tree_path).resolve().as_uri()
