"""What the benchmarks share: trees from the command line, random files of them, time, memory, tables.

Figures are ratios of things measured side by side in one run, so that they hold on any machine. Nothing is asserted.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reviewer.errors import MissingContent
from reviewer.parse.extract import MAX_PARSE
from reviewer.source.tree import Tree, open_tree

SAMPLING = 0.1
"""Seconds between two looks at the memory of a run."""


@dataclass(frozen=True)
class Where:
    """A tree as the command line names it: ``PATH`` or ``PATH@REV``."""

    path: str
    rev: str | None

    @classmethod
    def of(cls, text: str) -> Where:
        path, _, rev = text.partition("@")
        return cls(str(Path(path).expanduser()), rev or None)

    def __str__(self) -> str:
        return Path(self.path).name + (f"@{self.rev}" if self.rev else "")

    def open(self) -> Tree:
        return open_tree(self.path, self.rev)

    @property
    def arguments(self) -> list[str]:
        return [self.path, *(["--rev", self.rev] if self.rev else [])]


def random_files(tree: Tree, count: int, seed: int, suffixes: tuple[str, ...] = (".c", ".h")) -> list[tuple[str, bytes]]:
    """``count`` files of the tree that can be read and are small enough to be parsed; the same for the same seed."""
    paths = [path for path in tree.paths() if path.endswith(suffixes)]
    chosen = random.Random(seed).sample(paths, min(count, len(paths)))
    texts = [(path, text) for path, text in tree.read_many(chosen) if not isinstance(text, MissingContent)]
    return [(path, text) for path, text in texts if len(text) <= MAX_PARSE]


def processor_seconds(work: Callable[[], object], rounds: int = 3) -> float:
    """The least processor time of ``rounds`` runs."""
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


@dataclass(frozen=True)
class Run:
    """One program that ran: wall seconds, and the most memory in MiB that it and its children held at once."""

    seconds: float
    mebibytes: float
    code: int


def run(command: Sequence[str], stdin: bytes = b"", env: dict[str, str] | None = None) -> Run:
    """Runs a program to its end; its output goes nowhere."""
    start = time.monotonic()
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, **(env or {})},
    )  # fmt: skip
    most = 0

    def watch() -> None:
        nonlocal most
        while process.poll() is None:
            most = max(most, _resident(process.pid))
            time.sleep(SAMPLING)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert process.stdin is not None
    process.stdin.write(stdin)
    process.stdin.close()
    code = process.wait()
    seconds = time.monotonic() - start
    watcher.join()
    return Run(seconds, most / (1 << 20), code)


def _resident(session: int) -> int:
    """Proportional set size in bytes of all processes of a session: a page that n of them share counts 1/n for each."""
    total = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session:
                    lines = Path(entry.path, "smaps_rollup").read_text().splitlines()
                    total += next(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
            except (OSError, IndexError, ValueError, StopIteration):
                continue  # it has gone
    return total


def reviewer(*arguments: str) -> list[str]:
    """The command line of the program as this interpreter sees it, installed or not."""
    return [sys.executable, "-c", "from reviewer.cli.main import main; main()", *arguments]


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table; the first column to the left, the others to the right."""
    lines = [list(head), *(list(row) for row in rows)]
    wide = [max(len(line[i]) for line in lines) for i in range(len(head))]
    print(f"\n{title}")
    for number, line in enumerate(lines):
        cells = [line[0].ljust(wide[0]), *(cell.rjust(width) for cell, width in zip(line[1:], wide[1:], strict=True))]
        print("  ".join(cells).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in wide))
