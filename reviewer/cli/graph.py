"""``reviewer graph``: call and lock graphs to draw or to work on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from reviewer.cli.options import Options, options

FORMATS = ("dot", "graphml", "json", "svg")


@click.group()
def graph() -> None:
    """Write the graph of calls or of locks, as dot, graphml, json or svg."""


def _start(verb: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--from", "start", metavar="F", help="Only what can be reached from function F.")(
        verb
    )


@graph.command()
@options(formats=FORMATS)
@_start
def calls(options: Options, start: str | None) -> int:
    """Who calls whom: direct calls, and those through tables and registrations."""
    return _draw(options, "call_graph", start)


@graph.command()
@options(formats=FORMATS)
@_start
def locks(options: Options, start: str | None) -> int:
    """Which lock class is taken while which is held."""
    return _draw(options, "lock_graph", start)


def _draw(options: Options, question: str, start: str | None) -> int:
    from reviewer.cli import engine
    from reviewer.cli.exits import answered
    from reviewer.cli.output import say, write
    from reviewer.cli.session import session
    from reviewer.report.graphs import check_format, graph_bytes

    format = options.format or FORMATS[0]
    check_format(format)
    with session(options) as opened:
        program = opened.program()
        report = getattr(engine, question)(program, start)
        skipped = engine.skipped(opened.tree, program)
    if not opened.options.quiet:
        if not report.nodes and start is None:
            say("reviewer: this tree has no OOM notifier chain; name a function with --from")
        for cut in report.cut:
            say(f"reviewer: not looked at: {cut}")
    write(options, graph_bytes(report, format))
    return answered(skipped)
