"""Schema 1: the JSON that scripts read. Key names and their order are part of the contract."""

from __future__ import annotations

import json
from collections.abc import Sequence

from reviewer import __version__
from reviewer.checks.finding import Finding, Step
from reviewer.checks.result import Chain, ScanResult, Site

SCHEMA = 1

Object = dict[str, object]


def scan_report(result: ScanResult, findings: Sequence[Finding]) -> Object:
    """The report of a scan; ``findings`` are those that passed the filters of the command line."""
    return {
        **head(result.tree_path, result.rev),
        "stats": {
            "files": result.stats.files,
            "functions": result.stats.functions,
            "functions_with_errors": result.stats.functions_with_errors,
            "seconds": round(result.stats.seconds, 3),
            "cached": result.stats.cached,
        },
        "chains": [_chain(chain) for chain in result.chains],
        "findings": [finding_object(finding) for finding in findings],
        "contexts": [],
        "skipped": skipped_objects(result.skipped),
    }


def tool() -> Object:
    """What every document starts with."""
    return {"schema": SCHEMA, "tool": f"reviewer {__version__}"}


def head(tree_path: str, rev: str | None) -> Object:
    """What a document about a tree starts with."""
    return {**tool(), "tree": {"path": tree_path, "rev": rev}}


def finding_object(finding: Finding) -> Object:
    """One finding. ``status``, ``mended_by`` and ``patch`` are null: only a review compares two programs."""
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "status": None,
        "mended_by": None,
        "patch": None,
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "function": finding.function,
        "message": finding.message,
        "involves": list(finding.involves),
        "proof": [step_object(step) for step in finding.proof],
        "fix": finding.fix,
        "fingerprint": finding.fingerprint,
    }


def skipped_objects(skipped: Sequence[tuple[str, str]]) -> list[Object]:
    return [{"file": file, "reason": reason} for file, reason in skipped]


def site_object(site: Site) -> Object:
    return {"function": site.function, "file": site.file, "line": site.line}


def encode(document: object) -> str:
    """``document`` as text that every JSON reader takes: bytes that are no UTF-8 become U+FFFD."""
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") + "\n"


def step_object(step: Step) -> Object:
    return {
        "kind": step.kind,
        "file": step.file,
        "line": step.line,
        "function": step.function,
        "text": step.text,
        "held": list(step.held),
    }


def _chain(chain: Chain) -> Object:
    return {
        "head": chain.head,
        "kind": chain.kind,
        "file": chain.file,
        "called_from": [site_object(site) for site in chain.called_from],
        "users": [
            {"function": user.function, "file": user.file, "registered_at": site_object(user.registered_at)}
            for user in chain.users
        ],
    }
