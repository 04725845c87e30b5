"""``reviewer relies-on``: state and callbacks that only one lock serialises."""

from __future__ import annotations

import click

from reviewer.cli.options import Options, options


@click.command("relies-on")
@click.argument("lock")
@options()
def relies_on(options: Options, lock: str) -> int:
    """Show state and callbacks that only LOCK serialises.

    LOCK is a class as reports write it: oom_lock, mm/oom_kill.c:name, "struct page.lock".
    """
    from reviewer.cli import engine
    from reviewer.cli.exits import answered
    from reviewer.cli.output import paint_for, write
    from reviewer.cli.session import session
    from reviewer.report import answers, json_v1

    with session(options) as opened:
        program = opened.program()
        report = engine.relies_on(program, lock, opened.store, opened.options.processes)
        skipped = engine.skipped(opened.tree, program)
    if opened.options.format == "json":
        head = json_v1.head(opened.tree.path, opened.tree.rev)
        document = {**head, **answers.reliance_object(report), "skipped": json_v1.skipped_objects(skipped)}
        write(options, json_v1.encode(document))
    else:
        write(options, answers.reliance_text(report, paint_for(opened.options)))
    return answered(skipped)
