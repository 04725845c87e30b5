"""Schema 1: the JSON that scripts read. Key names and their order are part of the contract."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from reviewer import __version__
from reviewer.checks.finding import Finding, Step
from reviewer.checks.result import Chain, ScanResult, Site, Stats
from reviewer.review.result import ContextChange, FunctionContext, HeldLock, PatchRef, Reviewed, ReviewResult

SCHEMA = 1

Object = dict[str, object]


def scan_report(result: ScanResult, findings: Sequence[Finding]) -> Object:
    """The report of a scan; ``findings`` are those that passed the filters of the command line."""
    return {
        **head(result.tree_path, result.rev),
        "stats": _stats(result.stats),
        "chains": [_chain(chain) for chain in result.chains],
        "findings": [finding_object(finding) for finding in findings],
        "contexts": [],
        "skipped": skipped_objects(result.skipped),
    }


def review_report(result: ReviewResult, findings: Sequence[Reviewed]) -> Object:
    """The report of a review; ``findings`` are those that passed the filters of the command line."""
    tree = {"path": result.tree_path, "rev": result.rev, "base": result.base}
    return {
        **tool(),
        "tree": tree,
        "stats": _stats(result.stats),
        "patches": [_patch(patch) for patch in result.patches],
        "chains": [_chain(chain) for chain in result.chains],
        "findings": [reviewed_object(reviewed) for reviewed in findings],
        "contexts": [_context_change(change) for change in result.contexts],
        "skipped": skipped_objects(result.skipped),
    }


def reviewed_object(reviewed: Reviewed) -> Object:
    """One finding with what the series does to it, and the hunk that does so."""
    cause = reviewed.cause
    return {
        **finding_object(reviewed.finding),
        "status": reviewed.status,
        "mended_by": reviewed.mended_by,
        "patch": _patch(reviewed.patch) if reviewed.patch is not None else None,
        "hunk": {
            "file": cause.file, "line": cause.line, "header": cause.header, "inside": cause.inside, "why": cause.why,
        } if cause is not None else None,
    }  # fmt: skip


def _patch(patch: PatchRef) -> Object:
    return {"number": patch.number, "subject": patch.subject, "message_id": patch.message_id}


def _context_change(change: ContextChange) -> Object:
    return {
        "function": change.function,
        "file": change.file,
        "patch": change.patch or None,
        "before": _context(change.before),
        "after": _context(change.after),
        "changes": list(change.changes),
        "relied_on": [msgspec.to_builtins(one) for one in change.relied_on],
    }


def _context(context: FunctionContext) -> Object:
    return {
        "must": [_held(lock) for lock in context.must],
        "may": [_held(lock) for lock in context.may],
        "serialiser": context.serialiser,
        "irq": context.irq,
        "callers_known": context.callers_known,
    }


def _held(lock: HeldLock) -> Object:
    return {"class": lock.lock, "mode": lock.mode, "taken": lock.taken}


def _stats(stats: Stats) -> Object:
    return {
        "files": stats.files,
        "functions": stats.functions,
        "functions_with_errors": stats.functions_with_errors,
        "seconds": round(stats.seconds, 3),
        "cached": stats.cached,
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
