"""``reviewer context``: who calls a function, holding what, and what serialises it."""

from __future__ import annotations

import click

from reviewer.cli.options import Options, options


@click.command()
@click.argument("function")
@options()
def context(options: Options, function: str) -> int:
    """Show who calls FUNCTION, holding what, and what serialises it."""
    from reviewer.cli import engine
    from reviewer.cli.exits import answered
    from reviewer.cli.output import paint_for, write
    from reviewer.cli.session import session
    from reviewer.report import answers, json_v1

    with session(options) as opened:
        program = opened.program()
        reports = engine.describe(program, function)
        skipped = engine.skipped(opened.tree, program)
    if opened.options.format == "json":
        head = json_v1.head(opened.tree.path, opened.tree.rev)
        contexts = [answers.context_object(one) for one in reports]
        document = {**head, "contexts": contexts, "skipped": json_v1.skipped_objects(skipped)}
        write(options, json_v1.encode(document))
    else:
        paint = paint_for(opened.options)
        write(options, "\n".join(answers.context_text(one, paint) for one in reports))
    return answered(skipped)
