"""The review of a series against ``git am`` of the same series plus a parse of the files it touches.

    python tests/benchmarks/review.py TREE SERIES...

Wanted: with the facts of the base in the store 1 s for a patch of one file, 2 s for one that moves the call of a chain, 15 s for
30 patches over 100 files; without a store 10 s for a patch of one file. ``git am`` runs in a shared clone whose index alone is
filled. Runs take turns; the least counts. The last column says whether a byte of the repository was written: every file below its
``.git`` is hashed before and after.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import tempfile
import time
from pathlib import Path

from measure import Run, reviewer, run, table

from reviewer.parse.dialect import load_dialect
from reviewer.parse.extract import outline
from reviewer.source.scratch import Scratch
from reviewer.source.series import read_series
from reviewer.source.tree import RevisionTree


def digest(folder: Path) -> str:
    """Of every file below a folder, by name, content and time of change."""
    total = hashlib.sha256()
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(place, name)
            total.update(f"{path} {path.stat().st_mtime_ns}\0".encode())
            # What is large is a pack, which has its own digest in its name.
            total.update(path.read_bytes() if path.stat().st_size < 1 << 20 else b"")
    return total.hexdigest()


def git_folder(tree: Path) -> Path:
    return tree / ".git" if (tree / ".git").is_dir() else tree


def applied(tree: Path, series: str) -> float:
    """Seconds of ``git apply --cached`` for each patch and a commit, which is what ``git am`` does to an index, and of a parse
    of the files that the series leaves behind."""
    parsed = read_series([series])
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name, "clone")
        subprocess.run(["git", "clone", "-q", "--shared", "--no-checkout", str(tree), str(clone)], check=True)
        subprocess.run(["git", "-C", str(clone), "read-tree", "HEAD"], check=True)
        start = time.monotonic()
        source = Path(series)
        files = sorted(source.glob("*.patch")) if source.is_dir() else [source]
        for file in files:
            if not file.name.startswith("0000-"):
                for command in (["apply", "--cached", "-3", str(file.resolve())], ["commit", "-q", "-m", "one"]):
                    subprocess.run(["git", "-C", str(clone), *command], check=False, capture_output=True)
    seconds = time.monotonic() - start
    head = subprocess.check_output(["git", "-C", str(tree), "rev-parse", "HEAD"], text=True).strip()
    with Scratch(tree) as scratch:
        after = scratch.apply(head, parsed)[-1].tree
        content = RevisionTree(tree, after, scratch.objects)
        paths = {c.path for p in parsed.patches for c in p.files if c.path.endswith((".c", ".h")) and content.exists(c.path)}
        texts = [content.read(path) for path in sorted(paths)]
        content.close()
    dialect = load_dialect()
    start = time.monotonic()
    for text in texts:
        outline(text, dialect)
    return seconds + time.monotonic() - start


def reviewed(tree: Path, series: str, store: Path) -> Run:
    return run(reviewer("review", "--quiet", "--store", str(store), str(tree), series))


def measured(tree: Path, series: str, rounds: int) -> list[str]:
    before = digest(git_folder(tree))
    parsed = read_series([series])
    touched = len({c.path for p in parsed.patches for c in p.files})
    with tempfile.TemporaryDirectory() as name:
        cold = [reviewed(tree, series, Path(name, f"cold{n}")) for n in range(rounds)]
        base = Path(name, "base")
        warm, again = [], []
        for _ in range(rounds):
            # A store that knows the base but not the patched trees: what a scan of the base leaves behind.
            subprocess.run(["rm", "-rf", str(base)], check=True)
            run(reviewer("scan", "--quiet", "--store", str(base), "--rev", "HEAD", str(tree)))
            warm.append(reviewed(tree, series, base))
            again.append(reviewed(tree, series, base))
    written = "nothing" if digest(git_folder(tree)) == before else "SOMETHING"
    # Last, for git sets the time of a pack that has an object which it was about to write.
    git = [applied(tree, series) for _ in range(rounds)]
    best = [min(one.seconds for one in runs) for runs in (cold, warm, again)]
    least = min(git)
    return [
        Path(series).name, str(len(parsed.patches)), str(touched), f"{least:.2f}", *(f"{s:.2f}" for s in best),
        f"{best[1] / least:.1f}", f"{best[0] / least:.1f}", f"{max(one.mebibytes for one in (*cold, *warm)):.0f}", written,
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("series", nargs="+")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    head = ["series", "patches", "files", "am s", "no store s", "known s", "again s", "known/am", "empty/am", "MiB", "wrote"]
    table("review", head, [measured(options.tree.expanduser(), one, options.rounds) for one in options.series])


if __name__ == "__main__":
    main()
