"""``reviewer doctor``: parse health, calls that lead somewhere, store, versions, what is missing."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from reviewer.cli.options import Options, options
from reviewer.errors import MissingContent, ReviewerError, StoreError

if TYPE_CHECKING:
    from reviewer.cli.output import Progress
    from reviewer.report.doctor import CallHealth, Diagnosis
    from reviewer.source.tree import Tree

DEFAULT_SAMPLE = 200

CALL_SAMPLE = 20
"""Files whose calls are looked up: some 3,000 calls, a few seconds with an empty store."""


@click.command()
@options()
@click.option(
    "--sample", type=click.IntRange(0), default=DEFAULT_SAMPLE, show_default=True, metavar="N",
    help="Parse N .c files of TREE, always the same ones; 0 for all files.",
)  # fmt: skip
def doctor(options: Options, sample: int) -> int:
    """Check versions, store and helpers, how much of TREE can be parsed, and how many calls lead somewhere."""
    from reviewer.cli.output import check_output, paint_for, write
    from reviewer.report import json_v1
    from reviewer.report.doctor import diagnosis_object, diagnosis_text

    check_output(options)
    diagnosis = _diagnose(options, sample)
    if options.format == "json":
        write(options, json_v1.encode({**json_v1.tool(), **diagnosis_object(diagnosis)}))
    else:
        write(options, diagnosis_text(diagnosis, paint_for(options)))
    return 0


def _diagnose(options: Options, sample: int) -> Diagnosis:
    from reviewer.cli import engine
    from reviewer.cli.installation import checks
    from reviewer.cli.output import Progress
    from reviewer.cli.session import store_path
    from reviewer.report.doctor import Diagnosis

    installed = checks(store_path(options))
    try:
        tree = engine.open_tree(options.tree, options.rev)
    except ReviewerError as error:
        if options.tree != ".":
            raise
        # Nobody asked for this tree; the installation is still worth a look.
        return Diagnosis(checks=installed, no_tree=str(error))
    try:
        all_paths = tree.paths()
        with Progress(not options.quiet) as progress:
            wanted = sampled(all_paths, sample)
            health = engine.health(_contents(tree, wanted, progress), len(all_paths), options.processes)
            calls = _calls(options, tree, all_paths, progress)
    finally:
        tree.close()
    return Diagnosis(checks=installed, tree_path=tree.path, rev=tree.rev, health=health, calls=calls)


def _calls(options: Options, tree: Tree, paths: Iterable[str], progress: Progress) -> CallHealth:
    """How many calls lead somewhere, in a few files of the kernel proper; without the store, if that cannot be opened."""
    from reviewer.cli import engine
    from reviewer.cli.session import rules_dirs, store_path
    from reviewer.program.index.linkage import ASIDE

    progress("calls", 0, 0)
    models = engine.load_models(rules_dirs(options), store_path(options))
    try:
        store = engine.open_store(store_path(options))
    except StoreError:
        store = engine.open_store(None)
    try:
        wanted = sampled((p for p in paths if p.split("/", 1)[0] not in ASIDE), CALL_SAMPLE)
        return engine.calls(tree, store, models, wanted, options.processes)
    finally:
        store.close()


def sampled(paths: Iterable[str], count: int) -> list[str]:
    """``count`` of the ``.c`` files, the same for the same tree; every file for 0."""
    if count == 0:
        return list(paths)
    sources = [path for path in paths if path.endswith(".c")]
    return sorted(random.Random(0).sample(sources, min(count, len(sources))))


def _contents(tree: Tree, paths: list[str], progress: Progress) -> Iterator[tuple[str, bytes]]:
    """(path, text) of what can be read, as it is asked for; a scan that needs the rest lists it as skipped."""
    for number, (path, text) in enumerate(tree.read_many(paths)):
        progress("parsing", number, len(paths))
        if not isinstance(text, MissingContent):
            yield path, text
