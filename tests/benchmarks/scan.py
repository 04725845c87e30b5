"""The default scan against ``git grep -w`` for the same names over the same tree.

    python tests/benchmarks/scan.py TREE[@REV]...

Wanted: with an empty store at most the search and 5 s; with a full one 1.5 s; 500 MiB for all processes together.
The names are those that the scan itself has git look for; a first run writes them down. Runs of the two programs take
turns, and the least of each counts. The memory is what all processes together hold, a shared page counted once.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from measure import Run, Where, reviewer, run, table

RECORDING = """
import json, os, sys
from reviewer.source import search
from reviewer.cli.main import main
names = set()
begin = search.Search.__init__
def begun(self, git, command, words):
    if "-F" in command:
        names.update(words)
    begin(self, git, command, words)
search.Search.__init__ = begun
try:
    main()
finally:
    with open(os.environ["NAMES"], "w") as file:
        json.dump(sorted(names), file)
"""


def names_of(where: Where, folder: Path) -> list[str]:
    """The words that a default scan has git look for."""
    file = folder / "names"
    command = [*reviewer()[:2], RECORDING, "scan", "--no-store", "--jobs", "1", *where.arguments]
    run(command, env={"NAMES": str(file)})
    return list(json.loads(file.read_text()))


def searched(where: Where, names: list[str]) -> Run:
    """``git grep -w`` for all of ``names``, once over the tree."""
    scope = [where.rev] if where.rev else ["--untracked", "--no-exclude-standard"]
    command = ["git", "-C", where.path, "grep", "-n", "-a", "-F", "-w", "-f", "-", *scope, "--", "*.c", "*.h"]
    return run(command, "".join(f"{name}\n" for name in names).encode())


def scanned(where: Where, store: Path) -> Run:
    return run(reviewer("scan", "--quiet", "--store", str(store), *where.arguments))


def measured(where: Where, rounds: int) -> list[str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = names_of(where, folder)
        searches, empty, full = [], [], []
        for number in range(rounds):
            searches.append(searched(where, names))
            empty.append(scanned(where, folder / f"store{number}"))
            full.append(scanned(where, folder / f"store{number}"))
        codes = {one.code for one in [*empty, *full]}
    best = [min(one.seconds for one in runs) for runs in (searches, empty, full)]
    memory = max(one.mebibytes for one in [*empty, *full])
    return [
        str(where), str(len(names)), *(f"{seconds:.1f}" for seconds in best), f"{best[1] - best[0]:+.1f}",
        f"{best[1] / best[0]:.2f}", f"{best[2] / best[0]:.2f}", f"{memory:.0f}", ",".join(map(str, sorted(codes))),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="+", metavar="TREE[@REV]", type=Where.of)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    head = ["tree", "names", "grep s", "empty s", "full s", "over grep", "empty/grep", "full/grep", "MiB", "exit"]
    table("default scan", head, [measured(where, options.rounds) for where in options.trees])


if __name__ == "__main__":
    main()
