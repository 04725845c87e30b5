"""The reverse search: who else takes a lock, and makes a reclaiming allocation while holding it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

from reviewer.checks.analysis import Analysis
from reviewer.parse.facts import Call, Const
from reviewer.program.flow.objects import short
from reviewer.program.graph.reach import Leaf
from reviewer.program.index.linkage import ASIDE, driver_of
from reviewer.program.linked.link import Func

MAX_FILES = 80
"""Files that name a lock's struct and are searched; the nearest to the lock's user first."""

DISTANCE, NODES = 7, 150
"""How far below a holder's calls an allocation is looked for, and in how many functions at most."""

MAX_WRAPPERS = 12
"""Functions that return with the lock held whose callers are searched too."""


def akin(driver: str, drivers: frozenset[str]) -> bool:
    """Whether code of ``driver`` may see the same objects as code on a way through ``drivers``: the folders above them hold
    their libraries, which serve every driver below. The deepest say whose objects are at hand."""
    deepest = [d for d in drivers if not any(other.startswith(d + "/") for other in drivers)]
    return not driver or not deepest or any(f"{a}/".startswith(f"{b}/") for d in deepest for a, b in ((d, driver), (driver, d)))


class Holders:
    """Memoised by lock class."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self._found: dict[tuple[str, frozenset[str]], list[tuple[Func, Leaf]]] = {}

    def allocating(self, name: str, way: Iterable[str], waiter: frozenset[str]) -> list[tuple[Func, Leaf]]:
        """Functions that hold lock class ``name`` over a reclaiming allocation, each with that allocation, the most certain
        first. Once one is certain, only the rest of its file is looked through.

        :param way: files of the functions that lead to the lock's user, the first being the one that waits. A lock inside
            an object of another driver is another lock.
        :param waiter: keys of the functions that the waiting callback runs through itself: a holder among them
            counts only where there is no other.
        """
        files = list(way)
        kin = frozenset(filter(None, map(driver_of, files)))
        got = self._found.get((name, kin))
        if got is None:
            got = self._found[name, kin] = self._search(name, files[0], kin, waiter)
        return got

    def _search(self, name: str, near: str, kin: frozenset[str], waiter: frozenset[str]) -> list[tuple[Func, Leaf]]:
        found: dict[str, tuple[Func, Leaf]] = {}
        certain = ""
        for func in self._candidates(name, near):
            if certain and func.path != certain:
                break
            if name.startswith(("struct ", "union ")) and not akin(driver_of(func.path), kin):
                continue
            leaf = min(self._under(func, name), key=lambda leaf: leaf.rank, default=None)
            if leaf is not None:
                found.setdefault(func.key, (func, leaf))
                if self._rank(func, leaf, waiter)[:2] == (False, 0):
                    certain = func.path
        return sorted(found.values(), key=lambda holder: self._rank(holder[0], holder[1], waiter))

    def prepare(self, names: Iterable[str], near: str) -> None:
        """Look for the users of all these locks at once, rather than for each when its turn comes."""
        words: dict[str, list[str]] = {}
        for name in names:
            if "/" not in name and "@" not in name:
                word, folder = self._sought(name, near)
                words.setdefault(folder, []).append(word)
        for folder, all_of_it in words.items():
            self.analysis.program.names.files_mentioning(all_of_it, (folder,) if folder else ())

    def _sought(self, name: str, near: str) -> tuple[str, str]:
        """The word by which a lock's users are found, and the folder to stay in ("" for the whole tree)."""
        if name.startswith(("struct ", "union ")):
            tag = name.partition(".")[0]
            return tag.split(" ", 1)[1], self.analysis.program.struct_home(tag, near)
        return short(name).partition(".")[0], ""  # the variable, whose member the lock may be

    @staticmethod
    def _rank(func: Func, leaf: Leaf, waiter: frozenset[str]) -> tuple[bool, int, int, str]:
        return func.key in waiter, *leaf.rank

    def _candidates(self, name: str, near: str) -> Iterator[Func]:
        program = self.analysis.program
        word = short(name).rpartition(".")[2]
        files = self._files(name, near)
        program.load(files)
        takers: list[Func] = []
        for file in files:
            for func in program.functions_with(file, word):
                if any(self._takes(c) for c in func.calls):
                    yield func
                    if any(h.name == name for o in self.analysis.summaries.of(func).outcomes for h in o.takes):
                        takers.append(func)
        for taker in takers[:MAX_WRAPPERS]:
            seen: set[str] = set()
            for caller, _ in self.analysis.chains.callers_of(taker):
                if caller.key not in seen and len(seen) < 60:
                    seen.add(caller.key)
                    yield caller

    def _takes(self, callee: str) -> bool:
        model = self.analysis.program.models.functions.get(callee)
        return (model is not None and bool(model.takes)) or callee in ("guard", "scoped_guard")

    def _files(self, name: str, near: str) -> list[str]:
        if "/" in name:
            return list(self.analysis.program.unit(name.rpartition(":")[0]))
        if "@" in name:
            found = self.analysis.program.files_naming(name.partition(".")[0], near)
        else:
            sought, home = self._sought(name, near)
            found = self.analysis.program.names.files_mentioning([sought], (home,) if home else ())[sought]
        folder = posixpath.dirname(near)
        found = tuple(f for f in found if f.split("/", 1)[0] not in ASIDE)
        return sorted(found, key=lambda f: (not f.startswith(folder), f))[:MAX_FILES]

    def _under(self, func: Func, name: str) -> list[Leaf]:
        flow = self.analysis.summaries.flow(func)
        calls = [
            seen
            for seen in (flow.seen if flow is not None else ())
            if isinstance(seen.event, Call) and any(h.name == name for h in seen.may())
        ]
        if not calls:
            return []
        search = self.analysis.reach.under(func, calls, DISTANCE, NODES)
        retries = self.analysis.program.gfp.retries
        return [
            leaf
            for leaf in search.leaves
            if leaf.kind == "alloc" and isinstance(leaf.data, Const) and retries(leaf.data.value)
        ]
