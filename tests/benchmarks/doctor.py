"""Parse health: what share of function definitions has no ERROR or MISSING inside, and what measuring it costs.

    python tests/benchmarks/doctor.py TREE[@REV]... [--files N] [--jobs N]

Wanted: at least 99 %. ``--files 0`` takes the whole tree. The rate is against tree-sitter alone, on the same number of
processes, over a sample of at most 400 of the files.
"""

from __future__ import annotations

import argparse
import os
import time

from measure import Where, processor_seconds, random_files, table

from reviewer.errors import MissingContent
from reviewer.parse.dialect import load_dialect
from reviewer.parse.extract import parser
from reviewer.parse.health import file_health, health


def measured(where: Where, files: int, jobs: int) -> list[str]:
    tree = where.open()
    dialect = load_dialect()
    try:
        paths = list(tree.paths()) if files == 0 else [path for path, _ in random_files(tree, files, 0)]
        read = ((path, text) for path, text in tree.read_many(paths) if not isinstance(text, MissingContent))
        start = time.monotonic()
        found = health(read, dialect, jobs)
        seconds = time.monotonic() - start
        sample = [text for _, text in random_files(tree, min(files or 400, 400), 1)]
    finally:
        tree.close()
    alone = processor_seconds(lambda: [parser().parse(text) for text in sample], 2)
    ours = processor_seconds(lambda: [file_health(text, dialect) for text in sample], 2)
    share = 100 * (1 - found.broken / max(1, found.functions))
    row = [str(where), str(found.files), str(found.functions), str(found.broken), f"{share:.3f}", f"{seconds:.0f}"]
    return [*row, f"{ours / alone:.2f}"]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("trees", nargs="+", metavar="TREE[@REV]", type=Where.of)
    options.add_argument("--files", type=int, default=2000)
    options.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    given = options.parse_args()
    head = ["tree", "files", "definitions", "broken", "whole %", "wall s", "against a parse"]
    table("parse health", head, [measured(where, given.files, given.jobs) for where in given.trees])


if __name__ == "__main__":
    main()
