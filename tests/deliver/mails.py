"""Patches, findings and mails for tests, and what a reader of a quoted reply makes of one."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from reviewer.checks.finding import Finding, Step
from reviewer.review.result import Cause, PatchRef, Reviewed, ReviewResult
from reviewer.source.diff import parse_diff
from reviewer.source.patch import Author, Patch, Series

DIFF = b"""\
diff --git a/mm/pump.c b/mm/pump.c
index 1111111..2222222 100644
--- a/mm/pump.c
+++ b/mm/pump.c
@@ -1,4 +1,5 @@ top
 one
+first
 two
 three
 four
@@ -20,7 +21,8 @@ static int pump(void)
 {
 \tint level = 0;
\x20
-\tlevel = read_level();
+\tlevel = fill(GFP_KERNEL);
+\tsettle(level);
 \tif (!level)
 \t\treturn 0;
 \treturn level;
"""


def make_patch(**parts: Any) -> Patch:
    diff = parts.pop("diff", DIFF)
    given: dict[str, Any] = {
        "number": 1,
        "total": 1,
        "subject": "mm: fill the pump",
        "full_subject": "[PATCH] mm: fill the pump",
        "message_id": "1.ann@example.org",
        "author": Author("Ann Example", "ann@example.org"),
        "date": "Mon, 1 Jun 2026 10:00:00 +0200",
        "message": "",
        "files": parse_diff(diff, "test"),
        "origin": "test",
        "to": (Author("", "linux-mm@example.org"),),
    }
    return Patch(**{**given, **parts})


def make_finding(**parts: Any) -> Finding:
    given: dict[str, Any] = {
        "rule": "sleep-in-atomic",
        "severity": "error",
        "confidence": "high",
        "file": "mm/pump.c",
        "line": 24,
        "column": 2,
        "function": "pump",
        "message": "pump waits for memory with pump_lock held",
        "involves": ("pump_lock",),
        "proof": (
            Step("acquire", "mm/pump.c", 10, "pump_all", "spin_lock(&pump_lock);"),
            Step("call", "mm/pump.c", 11, "pump_all", "pump();", ("mm/pump.c:pump_lock",)),
            Step("alloc", "mm/pump.c", 24, "pump", "level = fill(GFP_KERNEL);", ("mm/pump.c:pump_lock",)),
        ),
        "event": "fill(GFP_KERNEL)",
        "fingerprint": "0123456789abcdef",
    }
    return Finding(**{**given, **parts})


def make_cause(patch: Patch | None = None, hunk: int = 1, **parts: Any) -> Cause:
    """The hunk of a patch as a fresh diff has it."""
    change = (patch or make_patch()).files[0]
    found = change.hunks[hunk]
    given: dict[str, Any] = {
        "file": change.path,
        "line": found.new_start,
        "header": found.header.decode("utf-8", "replace"),
        "text": tuple(line.rstrip(b"\n").decode("utf-8", "replace") for line in found.lines),
        "inside": True,
    }
    return Cause(**{**given, **parts})


def make_reviewed(patch: Patch, finding: Finding | None = None, cause: Cause | None = None, **parts: Any) -> Reviewed:
    given: dict[str, Any] = {
        "finding": finding or make_finding(),
        "status": "introduced",
        "patch": PatchRef(patch.number, patch.subject, patch.message_id),
        "cause": cause or make_cause(),
    }
    return Reviewed(**{**given, **parts})


def make_result(*findings: Reviewed, **parts: Any) -> ReviewResult:
    return ReviewResult(tree_path="linux", base="b" * 40, findings=findings, **parts)


def series_of(*patches: Patch, **parts: Any) -> Series:
    return Series(patches=patches, title=patches[0].subject, **parts)


class Comment(NamedTuple):
    path: str
    line: int
    content: str
    text: str


def comments(body: str) -> list[Comment]:
    """The remarks of a quoted reply, with the line that each is under, counted from the quoted ``@@``."""
    found: list[Comment] = []
    path, old, new, at, content = "", 0, 0, 0, ""
    text: list[str] = []

    def end() -> None:
        if content and (said := "\n".join(text).strip()):
            found.append(Comment(path, at, content, said))
        text.clear()

    for line in body.split("\n"):
        if not line.startswith(">"):
            if line.strip() != "[ ... ]":
                text.append(line)
            continue
        end()
        raw = line[2:]
        if header := re.match(r"@@ -(\d+)(?:,\d+)? \+(\d+)", raw):
            old, new = int(header[1]), int(header[2])
        elif raw.startswith("+++ b/"):
            path, content = raw[len("+++ b/") :], ""
        elif raw.startswith(("diff --git ", "--- ", "+++ ")):
            content = ""
        else:
            at, content = (old if raw.startswith("-") else new), raw
            old += not raw.startswith("+")
            new += not raw.startswith("-")
    end()
    return found
