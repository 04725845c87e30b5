"""cscope's cross reference of a tree: who calls a function, and whom it calls, by name alone.

It knows no types, no scopes and no configuration; that is what makes it a witness of its own.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

LISTED = (".c", ".h")
"""Files that are cross-referenced: those that the program reads."""


@dataclass(frozen=True)
class Place:
    """One line of an answer. ``name``: of a query for callers the caller, for callees the callee."""

    file: str
    name: str
    line: int


class Crossref:
    """A cscope that answers by lines; the data base is made where there is none."""

    def __init__(self, tree: Path, base: Path | None) -> None:
        """:param base: a data base of this tree, kept for the next run; None for one that goes away."""
        self._folder = None if base is not None else tempfile.TemporaryDirectory()
        file = base if base is not None else Path(self._folder.name if self._folder is not None else "", "cscope.out")
        if not file.exists():
            make(tree, file)
        self._process = subprocess.Popen(
            ["cscope", "-d", "-l", "-f", str(file)], cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def __enter__(self) -> Crossref:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.communicate(b"q\n")
        if self._folder is not None:
            self._folder.cleanup()

    def definitions(self, name: str) -> list[Place]:
        return self._ask("1", name)

    def callees(self, name: str) -> list[Place]:
        """The calls in every function of that name."""
        return self._ask("2", name)

    def callers(self, name: str) -> list[Place]:
        """The calls of any function of that name; ``<global>`` is the caller of what stands in no function."""
        return self._ask("3", name)

    def _ask(self, field: str, name: str) -> list[Place]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{field}{name}\n".encode())
        self._process.stdin.flush()
        head = self._process.stdout.readline()
        if not head.rstrip().endswith(b"lines"):
            return []  # "Unable to search database": no such name in it
        found = []
        for _ in range(int(head.split()[-2])):
            file, called, line, _ = self._process.stdout.readline().decode("utf-8", "replace").split(" ", 3)
            found.append(Place(file, called, int(line)))
        return found


def make(tree: Path, file: Path) -> None:
    """The data base of all C files of a tree."""
    paths = (p.relative_to(tree) for p in sorted(tree.rglob("*")) if p.suffix in LISTED and p.is_file() and not p.is_symlink())
    names = "".join(f'"{p}"\n' for p in paths)
    subprocess.run(
        ["cscope", "-b", "-q", "-k", "-i", "-", "-f", str(file)], cwd=tree, input=names.encode(), check=True,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
