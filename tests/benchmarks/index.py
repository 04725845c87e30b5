"""``index`` of a share of a tree with an empty store, against tree-sitter alone on the same bytes and processors.

    python tests/benchmarks/index.py TREE [--share N]...

Wanted: at most 3x of tree-sitter alone; 2 s when nothing has changed, 5 s after ten edits; the store of a whole kernel under
600 MB. ``--share 8`` takes every eighth folder of the tree; several shares show how time and memory grow.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from measure import Where, reviewer, run, table

from reviewer.parse.extract import parser

SUFFIXES = (".c", ".h")


def parse(files: Sequence[Path]) -> None:
    grammar = parser()
    for file in files:
        grammar.parse(file.read_bytes())


def alone(folder: Path) -> float:
    """Seconds of tree-sitter's parser over all C files of a folder, on all processors."""
    files = [file for file in folder.rglob("*") if file.suffix in SUFFIXES and file.is_file() and not file.is_symlink()]
    for file in files:
        file.read_bytes()  # into the page cache, as they will be for the other
    start = time.monotonic()
    with multiprocessing.Pool(len(os.sched_getaffinity(0))) as pool:
        pool.map(parse, [files[i : i + 50] for i in range(0, len(files), 50)], 1)
    return time.monotonic() - start


def copied(where: Where, share: int, to: Path) -> int:
    """Every ``share``-th folder of a tree as a plain directory; gives its bytes of C."""
    tree = where.open()
    try:
        folders = sorted({path.rpartition("/")[0] for path in tree.paths()})
        chosen = set(folders[::share])
        size = 0
        for path, text in tree.read_many([p for p in tree.paths() if p.rpartition("/")[0] in chosen]):
            if isinstance(text, bytes):
                target = to / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(text)
                os.utime(target, (time.time() - 3600,) * 2)
                size += len(text)
    finally:
        tree.close()
    (to / "Makefile").touch()
    time.sleep(1.1)  # no later change can hide within a tick of the clock
    return size


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("tree", type=Where.of)
    arguments.add_argument("--share", type=int, action="append")
    given = arguments.parse_args()
    rows = []
    for share in given.share or [1]:
        with tempfile.TemporaryDirectory() as name:
            folder, store = Path(name, "linux"), Path(name, "store")
            size = copied(given.tree, share, folder)
            plain = alone(folder)
            command = reviewer("index", "--quiet", "--store", str(store), str(folder))
            full, again = run(command), run(command)
            for file in sorted(folder.rglob("*.c"))[:: max(1, sum(1 for _ in folder.rglob("*.c")) // 10)][:10]:
                with file.open("a") as text:
                    text.write("\nstatic int freshly_added;\n")
            edited = run(command)
            kept = sum(file.stat().st_size for file in store.rglob("*"))
            rows.append(
                [
                    f"1/{share}", f"{size / 1e6:.0f}", f"{plain:.1f}", f"{full.seconds:.1f}", f"{full.seconds / plain:.2f}",
                    f"{full.mebibytes:.0f}", f"{again.seconds:.1f}", f"{edited.seconds:.1f}", f"{kept / 1e6:.0f}",
                ]
            )  # fmt: skip
            shutil.rmtree(folder)
    head = ["share", "MB of C", "alone s", "index s", "ratio", "MiB", "again s", "ten edits s", "store MB"]
    table(f"index of {given.tree}", head, rows)


if __name__ == "__main__":
    main()
