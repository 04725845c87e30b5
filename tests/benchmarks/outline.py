"""The outline of one file against tree-sitter's own parse of the same bytes.

    python tests/benchmarks/outline.py TREE[@REV]... [--files N] [--seed N]

Wanted: at most 3 times the parse. Processor time, the least of three rounds over the same random files.
"""

from __future__ import annotations

import argparse

from measure import Where, processor_seconds, random_files, table

from reviewer.parse.dialect import load_dialect
from reviewer.parse.extract import outline, parser
from reviewer.parse.lexical import split
from reviewer.parse.normalise import rewrite


def measured(where: Where, files: int, seed: int) -> list[str]:
    tree = where.open()
    try:
        texts = [text for _, text in random_files(tree, files, seed)]
    finally:
        tree.close()
    dialect = load_dialect()
    parse = parser().parse
    normal = [rewrite(text, dialect).text for text in texts]
    alone = processor_seconds(lambda: [parse(text) for text in texts])
    parts = [
        processor_seconds(lambda: [split(text) for text in texts]),
        processor_seconds(lambda: [rewrite(text, dialect) for text in texts]),
        processor_seconds(lambda: [parse(text) for text in normal]),
        processor_seconds(lambda: [outline(text, dialect) for text in texts]),
    ]
    size = sum(map(len, texts)) / 1e6
    return [str(where), str(len(texts)), f"{size:.1f}", f"{size / alone:.1f}", *(f"{part / alone:.2f}" for part in parts)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("trees", nargs="+", metavar="TREE[@REV]", type=Where.of)
    options.add_argument("--files", type=int, default=400)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    head = ["tree", "files", "MB", "parse MB/s", "split", "normalise", "parse of that", "outline, all in all"]
    rows = [measured(where, given.files, given.seed) for where in given.trees]
    table("one file, as multiples of tree-sitter's own parse", head, rows)


if __name__ == "__main__":
    main()
