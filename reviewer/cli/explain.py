"""``reviewer explain``: what a rule or one finding means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from reviewer.cli.options import Options, options
from reviewer.errors import InputError, ReviewerError

if TYPE_CHECKING:
    from reviewer.report.explain import Rule

FINGERPRINT = re.compile(r"[0-9a-fA-F]{16}")


@click.command()
@click.argument("subject", metavar="RULE|FINGERPRINT")
@options(tree=False, analysis=False, rules_dir=True)
def explain(options: Options, subject: str) -> int:
    """Say what a rule means, or show a finding of an earlier scan step by step, and how to mend it.

    FINGERPRINT is the 16 hex digits of a finding in a JSON report; the scan must have used the same store.
    """
    from reviewer.cli.output import check_output

    check_output(options)
    if FINGERPRINT.fullmatch(subject):
        return _explain_finding(options, subject.lower())
    return explain_rule(options, subject)


def explain_rule(options: Options, id: str) -> int:
    """Writes what the rule says of itself; used by ``rules show``, too."""
    from reviewer.cli import engine
    from reviewer.cli.output import paint_for, write
    from reviewer.cli.session import rules_dirs
    from reviewer.report import json_v1
    from reviewer.report.explain import rule_object, rule_text

    rule = engine.rule(id, rules_dirs(options))
    if options.format == "json":
        write(options, json_v1.encode({**json_v1.tool(), "rule": rule_object(rule)}))
    else:
        write(options, rule_text(rule, paint_for(options)))
    return 0


def _explain_finding(options: Options, fingerprint: str) -> int:
    from reviewer.cli.output import paint_for, write
    from reviewer.cli.session import opened_store
    from reviewer.report import json_v1, saved
    from reviewer.report.explain import finding_text, rule_object

    with opened_store(options) as store:
        found = saved.load(store, fingerprint)
    if found is None:
        raise InputError(
            f"no scan in this store has found {fingerprint}", "scan first, with the same --store"
        )
    rule = _rule_or_none(options, found.finding.rule)
    if options.format == "json":
        document = {
            **json_v1.head(found.tree_path, found.rev),
            "finding": json_v1.finding_object(found.finding),
            "rule": None if rule is None else rule_object(rule),
        }
        write(options, json_v1.encode(document))
    else:
        write(options, finding_text(found, rule, paint_for(options)))
    return 0


def _rule_or_none(options: Options, id: str) -> Rule | None:
    """The rule; None where it came from a --rules-dir that is not given now."""
    from reviewer.cli import engine
    from reviewer.cli.session import rules_dirs

    try:
        return engine.rule(id, rules_dirs(options))
    except ReviewerError:
        return None
