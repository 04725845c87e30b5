"""``reviewer scan``: hazards in a tree."""

from __future__ import annotations

import click

from reviewer.cli.options import Options, executor, options
from reviewer.errors import InputError


@click.command()
@options(findings=True)
@click.option("--chain", metavar="NAME", help="A notifier chain and its users; `all` for every chain.")
@click.option("--all", "everything", is_flag=True, help="Every rule over the whole tree.")
@executor
def scan(options: Options, chain: str | None, everything: bool, executor: str | None) -> int:
    """Find hazards in TREE.

    Without --chain or --all: the OOM killer and the users of its notifier chain.
    """
    from reviewer.cli import engine, hosts
    from reviewer.cli.exits import exit_code
    from reviewer.cli.output import paint_for, say, write
    from reviewer.cli.session import session, store_path
    from reviewer.report import json_v1, saved, select, text

    if chain is not None and everything:
        raise InputError("--chain and --all contradict each other", "--all looks at the chains, too")
    with session(options) as opened:
        chosen = opened.options
        known = select.read_baseline(chosen.baseline) if chosen.baseline else frozenset()
        if chain is None and not everything:
            chain = opened.settings.chain
        engine.check_rules(chosen.rules, opened.rules_dirs)
        request = opened.request(chain, everything)
        if chosen.verbose:
            say(f"tree {opened.tree.path} at {opened.tree.rev or 'the files on disk'}")
            say(f"store {store_path(chosen) or 'off'}, {request.jobs} processes")
        result = engine.scan(opened.tree, opened.store, opened.models(), request, opened.progress, executor)
        unmatched = select.unmatched(opened.tree.paths(), chosen.path)
        saved.save(opened.store, result)
    relevant = select.unknown(select.on_paths(result.findings, chosen.path), known)
    shown = select.confident(relevant, chosen.floor)
    if not chosen.quiet:
        for message in (*result.messages, *unmatched):
            say(f"reviewer: {message}")
    if chosen.format == "json":
        write(chosen, json_v1.encode(json_v1.scan_report(result, shown)))
    elif chosen.format in hosts.FORMATS:
        write(chosen, hosts.scan_report(opened, result, shown, chain, everything))
    else:
        hidden = len(relevant) - len(shown)
        paint = paint_for(chosen)
        write(
            chosen,
            text.scan_text(result, shown, hidden=hidden, floor=chosen.floor, paint=paint, brief=chosen.quiet),
        )
    # What is below --min-confidence still counts: --fail-on alone says what fails.
    return exit_code(relevant, result.skipped, chosen.fail_floor)
