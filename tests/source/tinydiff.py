"""A reader of what plain ``git diff`` writes, for tests only: no mail, no odd headers, names without quotes."""

from __future__ import annotations

import os
import re

from reviewer.source.patch import Author, FileChange, Hunk, Operation, Patch, Series

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)\n")


def changes(diff: bytes) -> tuple[FileChange, ...]:
    """The files of a diff that was made with --no-color --src-prefix=a/ --dst-prefix=b/."""
    starts = [match.start() for match in re.finditer(rb"^diff --git ", diff, re.M)]
    pieces = zip(starts, [*starts[1:], len(diff)], strict=True)
    return tuple(_change(diff[start:end], diff[:start].count(b"\n") + 1) for start, end in pieces)


def patch(diff: bytes, number: int = 1, origin: str = "0001-test.patch") -> Patch:
    author = Author("a", "a@b")
    return Patch(number, 1, "test", "[PATCH] test", "", author, "", "", changes(diff), origin)


def series(*diffs: bytes, base_commit: str = "") -> Series:
    patches = tuple(patch(diff, number, f"{number:04}-test.patch") for number, diff in enumerate(diffs, 1))
    return Series(patches, base_commit=base_commit)


def _change(text: bytes, line: int) -> FileChange:
    binary = text.find(b"\nGIT binary patch\n")
    differ = re.search(rb"^Binary files .* differ$", text, re.M)
    first = re.search(rb"^@@ ", text, re.M)
    limits = [binary + 1 if binary >= 0 else None, differ.start() if differ else None, first.start() if first else None]
    head = text[: min(limit for limit in [*limits, len(text)] if limit is not None)]

    def field(pattern: bytes) -> str | None:
        found = re.search(rb"^" + pattern + rb"$", head, re.M)
        return os.fsdecode(found[1]) if found else None

    names = re.match(rb"diff --git a/(.*) b/(.*)\n", head)
    assert names
    old, new = os.fsdecode(names[1]), os.fsdecode(names[2])
    blobs = re.search(rb"^index ([0-9a-f]+)\.\.([0-9a-f]+)(?: (\d+))?$", head, re.M)
    operation: Operation = "modify"
    if added := field(rb"new file mode (\d+)"):
        operation = "add"
    elif deleted := field(rb"deleted file mode (\d+)"):
        operation = "delete"
    elif source := field(rb"rename from (.*)"):
        operation, old, new = "rename", source, field(rb"rename to (.*)") or ""
    elif source := field(rb"copy from (.*)"):
        operation, old, new = "copy", source, field(rb"copy to (.*)") or ""
    same = blobs[3].decode() if blobs and blobs[3] else None
    return FileChange(
        operation,
        None if operation == "add" else old,
        None if operation == "delete" else new,
        deleted if operation == "delete" else field(rb"old mode (\d+)") or same,
        added if operation == "add" else field(rb"new mode (\d+)") or same,
        blobs[1].decode() if blobs else "",
        blobs[2].decode() if blobs else "",
        _hunks(text[len(head) :], line + head.count(b"\n")) if first and binary < 0 and not differ else (),
        binary >= 0 or differ is not None,
        text[binary + len(b"\nGIT binary patch\n") :] if binary >= 0 else None,
        line,
    )


def _hunks(text: bytes, line: int) -> tuple[Hunk, ...]:
    result = []
    rows = [row + b"\n" for row in text.split(b"\n")[:-1]]
    at = 0
    while at < len(rows):
        head = _HUNK.fullmatch(rows[at])
        assert head, rows[at]
        start = at
        at += 1
        old, new = (1 if count is None else int(count) for count in (head[2], head[4]))
        left_old, left_new = old, new
        body: list[bytes] = []
        while at < len(rows) and (left_old or left_new or rows[at].startswith(b"\\")):
            row = rows[at]
            at += 1
            if row.startswith(b"\\"):
                body[-1] = body[-1].removesuffix(b"\n")
                continue
            left_old -= row[:1] in b" -"
            left_new -= row[:1] in b" +"
            body.append(row)
        result.append(Hunk(int(head[1]), old, int(head[3]), new, head[5], tuple(body), line + start))
    return tuple(result)
