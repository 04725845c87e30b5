"""``reviewer store``: look at the fact store, trim it, move it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from reviewer.cli.options import Options, options


@click.group()
def store() -> None:
    """Look at the fact store, trim it, or move it to another machine."""


@store.command()
@options(tree=False, analysis=False)
def stats(options: Options) -> int:
    """Show where the store is, how large, and what is in it."""
    from reviewer.cli.output import write
    from reviewer.cli.session import opened_store, store_path
    from reviewer.report import json_v1
    from reviewer.report.plain import safe

    path = store_path(options)
    with opened_store(options) as opened:
        found = dict(opened.stats())
    if options.format == "json":
        document = {**json_v1.tool(), "path": None if path is None else str(path), "stats": found}
        write(options, json_v1.encode(document))
        return 0
    lines = [f"{safe(str(path)) if path else 'no store'}\n"]
    wide = max(map(len, found), default=0)
    lines += [f"  {name.ljust(wide)}  {value}\n" for name, value in found.items()]
    write(options, "".join(lines))
    return 0


@store.command()
@options(tree=False, analysis=False)
@click.option("--max-mb", type=click.IntRange(0), metavar="N", help="Drop the oldest until N MB are left.")
def gc(options: Options, max_mb: int | None) -> int:
    """Drop what another version wrote, and with --max-mb the oldest facts; give the space back."""
    from reviewer.cli import engine
    from reviewer.cli.output import write
    from reviewer.cli.session import opened_store
    from reviewer.report import json_v1

    with opened_store(options, must_keep=True) as opened:
        freed = engine.collect(opened, None if max_mb is None else max_mb * 1_000_000)
    if options.format == "json":
        write(options, json_v1.encode({**json_v1.tool(), "freed_bytes": freed}))
    else:
        write(options, f"{freed / 1e6:.1f} MB freed\n")
    return 0


@store.command("export")
@click.argument("file", metavar="FILE")
@options(tree=False, analysis=False)
def export_(options: Options, file: str) -> int:
    """Write the whole store to FILE, for `store import` elsewhere."""
    from reviewer.cli import engine
    from reviewer.cli.output import write
    from reviewer.cli.session import opened_store
    from reviewer.report import json_v1

    with opened_store(replace(options, quiet=True)) as opened:
        size = engine.export(opened, Path(file))
    if options.format == "json":
        write(options, json_v1.encode({**json_v1.tool(), "file": file, "bytes": size}))
    else:
        write(options, f"{size / 1e6:.1f} MB written\n")
    return 0


@store.command("import")
@click.argument("file", metavar="FILE")
@options(tree=False, analysis=False)
def import_(options: Options, file: str) -> int:
    """Add what FILE has, written by `store export`, to the store."""
    from reviewer.cli import engine
    from reviewer.cli.output import write
    from reviewer.cli.session import opened_store
    from reviewer.report import json_v1

    with opened_store(replace(options, quiet=True)) as opened:
        added = engine.take_in(opened, Path(file))
    if options.format == "json":
        write(options, json_v1.encode({**json_v1.tool(), "file": file, "added": added}))
    else:
        write(options, f"{added} facts added\n")
    return 0
