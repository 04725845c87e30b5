"""What the program says, against what others say of the same tree: cscope, the authors' annotations and assertions, the compiler.

    python tests/benchmarks/truth.py TREE [--functions N] [--seed N] [--store DIR] [--cscope FILE] [--show]
    python tests/benchmarks/truth.py TREE --objects KBUILD_DIR [--config FILE] [--store DIR] [--show]

TREE is a folder. Wanted: no direct call that stands in the code and that we have not; no call of ours that stands nowhere;
95 % of the direct calls lead somewhere. ``--cscope`` keeps the cross reference (1.5 GB) for the next run. ``--show`` lists
what disagrees, one line each. A row says what disagrees for which cause; the first of a table is what agrees.

``--objects`` compares with a build of TREE for x86-64 instead, for every source of which the folder has the object (``make
defconfig mm/slub.o mm/slub.i``). Without the ``.i`` fewer causes can be told. Wanted: no OURS ALONE; each MISSED known by its
construct.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from claims import annotated, annotation, asserted
from compiled import against_objects
from crossref import Crossref
from measure import Where, table
from wordwise import callees, callers

from reviewer.checks.result import ScanRequest
from reviewer.checks.run import open_program
from reviewer.cli.doctor import sampled
from reviewer.program.api.load import load_models
from reviewer.program.flow.summaries import Summaries
from reviewer.program.index.linkage import ASIDE
from reviewer.program.linked.link import Func, Program
from reviewer.program.views.describe import upward
from reviewer.program.views.resolution import resolution
from reviewer.source.tree import open_tree
from reviewer.store.factstore import FactStore, NullStore

FILES_FOR_EACH = 3
"""Files that are looked through for each function wanted, so that a large file gives more functions, and not only it."""

Verdict = tuple[str, str]
"""A cause, and the case for people."""


def kernel_files(program: Program) -> list[str]:
    return sorted(p for p in program.content.paths() if p.endswith((".c", ".h")) and p.split("/", 1)[0] not in ASIDE)


def random_functions(program: Program, count: int, seed: int) -> list[Func]:
    paths = kernel_files(program)
    chosen = random.Random(seed).sample(paths, min(len(paths), FILES_FOR_EACH * count))
    functions = [f for path in chosen for f in program.functions_in(path)]
    return random.Random(seed).sample(functions, min(len(functions), count))


def report(title: str, verdicts: Iterable[Verdict], show: bool) -> None:
    """A table of the causes, what agrees first, with their shares."""
    counts: Counter[str] = Counter()
    for cause, case in verdicts:
        counts[cause] += 1
        if show and not cause.startswith("agree"):
            print(f"{title}: {cause}: {case}", file=sys.stderr)
    total = max(1, counts.total())
    order = sorted(counts.items(), key=lambda item: (not item[0].startswith("agree"), -item[1]))
    table(title, ["cause", "cases", "%"], [[cause, str(n), f"{100 * n / total:.2f}"] for cause, n in order])


def called(program: Program, functions: list[Func], words: Crossref) -> Iterator[Verdict]:
    for func in functions:
        yield from callees(program, func, words)


def leads_somewhere(program: Program, files: int) -> list[list[str]]:
    found = resolution(program, sampled([p for p in kernel_files(program) if p.endswith(".c")], files))
    rows = [("a definition or macro", found.defined), ("a modelled API", found.modelled), ("only declared", found.external)]
    rows.append(("unknown", found.unknown.total()))
    direct = [[f"direct: {what}", str(n), f"{100 * n / max(1, found.direct):.2f}"] for what, n in rows]
    known = found.indirect_known
    rows = [("a known target", known), ("none", found.indirect - known)]
    return direct + [[f"indirect: {what}", str(n), f"{100 * n / max(1, found.indirect):.2f}"] for what, n in rows]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("tree", metavar="TREE", type=Where.of)
    options.add_argument("--functions", type=int, default=200)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--store", type=Path)
    options.add_argument("--cscope", type=Path)
    options.add_argument("--show", action="store_true")
    options.add_argument("--objects", metavar="KBUILD_DIR", type=Path)
    options.add_argument("--config", metavar=".config", help="as for the program; default that of KBUILD_DIR")
    given = options.parse_args()
    tree = open_tree(given.tree.path, given.tree.rev)
    store = FactStore.open(given.store) if given.store else NullStore()
    config = given.config or (str(given.objects / ".config") if given.objects is not None else None)
    program = open_program(tree, store, load_models(), ScanRequest(config=config), lambda *_: None)
    if given.objects is not None:
        report(f"calls, against the objects in {given.objects.name}", against_objects(program, given.objects), given.show)
        program.bodies.flush()
        return
    summaries = Summaries(program)
    search = upward(summaries).search
    functions = random_functions(program, given.functions, given.seed)
    with Crossref(Path(given.tree.path), given.cscope) as words:
        report("whom a function calls, against cscope -2", called(program, functions, words), given.show)
        above = (v for func in functions for v in callers(search, func, words))
        report("who calls a function, against cscope -3", above, given.show)
    with_claims = annotated(program, given.functions, given.seed)
    report("__acquires, __releases, __must_hold", (v for f in with_claims for v in annotation(summaries, f)), given.show)
    report("lockdep_assert_held, at the known callers", asserted(search, given.functions, given.seed), given.show)
    head = ["calls", "cases", "%"]
    table("calls that lead somewhere", head, leads_somewhere(program, given.functions))
    program.keep()


if __name__ == "__main__":
    main()
