"""``reviewer index``: fill the fact store for a whole tree."""

from __future__ import annotations

import click

from reviewer.cli.options import Options, executor, options


@click.command()
@options(formats=("text", "json"))
@executor
def index(options: Options, executor: str | None) -> int:
    """Fill the fact store with what TREE defines and mentions, so that later questions need not search it."""
    import time

    from reviewer.cli import engine
    from reviewer.cli.output import write
    from reviewer.cli.session import session
    from reviewer.report import json_v1

    start = time.monotonic()
    with session(options, must_keep=True) as opened:
        engine.index(opened.tree, opened.store, opened.models(), opened.request(opened.settings.chain), opened.progress, executor)
        seconds = time.monotonic() - start
        files, skipped = len(opened.tree.paths()), opened.tree.skipped
        if options.format == "json":
            document = {
                **json_v1.head(opened.tree.path, opened.tree.rev),
                "stats": {"files": files, "seconds": round(seconds, 2)}, "skipped": json_v1.skipped_objects(skipped),
            }  # fmt: skip
            write(options, json_v1.encode(document))
        else:
            lost = f", {len(skipped)} could not be read" if skipped else ""
            write(options, f"{files} files{lost}, {seconds:.1f} s\n")
    return 3 if skipped else 0
