"""``index`` of a share of a tree with an empty store, against tree-sitter alone on the same bytes and processors.

    python tests/benchmarks/index.py TREE [--share N]...
    python tests/benchmarks/index.py TREE --growth

Wanted: at most 3x of tree-sitter alone; 2 s when nothing has changed, 5 s after ten edits; the store of a whole kernel under
600 MB. ``--share 8`` takes every eighth folder of the tree. ``--growth`` takes an eighth, a quarter, a half and all of the files
and says how time and memory grow from each to the next: wanted is no more than twice, as the files do.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from zlib import crc32

from measure import Where, reviewer, run, table

from reviewer.parse.extract import parser

SUFFIXES = (".c", ".h")

SHARES = (8, 4, 2, 1)
"""Of the files of a tree, for ``--growth``; each doubles the one before, and has its files."""


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


def whole_folders(paths: Sequence[str], share: int) -> list[str]:
    """Every ``share``-th folder."""
    chosen = set(sorted({path.rpartition("/")[0] for path in paths})[::share])
    return [path for path in paths if path.rpartition("/")[0] in chosen]


def fair_sample(paths: Sequence[str], share: int) -> list[str]:
    """One file in ``share``, by the digest of its name: from all folders alike."""
    return [path for path in paths if crc32(os.fsencode(path)) % share == 0]


def copied(where: Where, share: int, to: Path, choose: Callable[[Sequence[str], int], list[str]] = whole_folders) -> int:
    """A share of a tree as a plain directory; gives its bytes of C."""
    tree = where.open()
    try:
        size = 0
        for path, text in tree.read_many(choose(tree.paths(), share)):
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


def growth(where: Where) -> None:
    """Prints time, memory and store of an index of each share, with their ratios to those of the one before."""
    rows: list[list[str]] = []
    last: tuple[float, ...] | None = None
    for share in SHARES:
        with tempfile.TemporaryDirectory() as name:
            folder, store = Path(name, "linux"), Path(name, "store")
            size = copied(where, share, folder, fair_sample)
            files = sum(1 for file in folder.rglob("*") if file.suffix in SUFFIXES)
            found = run(reviewer("index", "--quiet", "--store", str(store), str(folder)))
            if found.code != 0:
                raise SystemExit(f"index of 1/{share} ended with {found.code}")
            now = size / 1e6, found.seconds, found.mebibytes, sum(file.stat().st_size for file in store.rglob("*")) / 1e6
        times = [f"{a / b:.2f}" for a, b in zip(now, last, strict=True)] if last is not None else [""] * len(now)
        pairs = zip((f"{now[0]:.0f}", f"{now[1]:.1f}", f"{now[2]:.0f}", f"{now[3]:.0f}"), times, strict=True)
        rows.append([f"1/{share}", str(files), *(cell for pair in pairs for cell in pair)])
        last = now
    head = ["share", "files", "MB of C", "x", "index s", "x", "MiB", "x", "store MB", "x"]
    table(f"growth of index of {where}", head, rows)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("tree", type=Where.of)
    arguments.add_argument("--share", type=int, action="append")
    arguments.add_argument("--growth", action="store_true")
    given = arguments.parse_args()
    if given.growth:
        growth(given.tree)
        return
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
