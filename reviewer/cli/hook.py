"""``reviewer hook``: the git pre-commit hook, and what it and the pre-commit framework run."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reviewer.cli.options import Options, options
from reviewer.cli.review import asked_for, index_of_hook, reviewed, write
from reviewer.errors import ReviewerError

if TYPE_CHECKING:
    from reviewer.checks.finding import Confidence, Finding
    from reviewer.cli.session import Session
    from reviewer.review.prepare import Question
    from reviewer.review.result import Reviewed, ReviewResult

CHAIN = click.option("--chain", metavar="NAME", help="Another notifier chain than the OOM killer's; `all` for every chain.")

PASSED_ON = ("path", "min_confidence", "fail_on", "rules", "rules_dir", "config", "baseline", "jobs", "store", "color")
"""Options of ``install`` that the hook is run with, by their names in :class:`Options`."""

PATHS = ("rules_dir", "config", "baseline", "store")
"""Those that are paths: the hook runs in the top folder, wherever it was installed from."""


@click.group()
def hook() -> None:
    """Review each commit before it is made."""


@hook.command()
@options(findings=True, fixed=True)
@CHAIN
def install(options: Options, chain: str | None) -> int:
    """Install the git pre-commit hook in the work tree TREE; a hook that is there already stays and runs first.

    The options are those that the hook is to run with.
    """
    from reviewer.cli import engine
    from reviewer.cli.output import write as write_out
    from reviewer.cli.session import check_files, rules_dirs
    from reviewer.deliver import hook as deliver
    from reviewer.report.plain import safe

    check_files(options)
    engine.check_rules(options.rules, rules_dirs(options))
    outcome = deliver.install(Path(options.tree), sys.executable, words(options, chain))
    said = {"installed": "installed", "changed": "installed anew", "unchanged": "is installed already"}[outcome.done]
    lines = [f"{said}: {safe(str(outcome.file))}\n"]
    if outcome.kept is not None:
        lines.append(f"the hook that was there runs first: {safe(str(outcome.kept))}\n")
    write_out(options, "".join(lines))
    return 0


@hook.command()
@options(analysis=False, store=False, fixed=True)
def uninstall(options: Options) -> int:
    """Take the hook out of the work tree TREE, and bring back the one that was there before."""
    from reviewer.cli.output import write as write_out
    from reviewer.deliver import hook as deliver
    from reviewer.report.plain import safe

    outcome = deliver.uninstall(Path(options.tree))
    back = ", and the former one is back" if outcome.kept is not None else ""
    write_out(options, f"removed{back}: {safe(str(outcome.file))}\n")
    return 0


@hook.command()
@options(positional=False, findings=True, fixed=True)
@CHAIN
def run(options: Options, chain: str | None) -> int:
    """What the hook runs: `review --staged` that says nothing where nothing is introduced.

    Exits with 1 to refuse the commit. An incomplete review is said, and refuses nothing.
    """
    from reviewer.review.prepare import Question
    from reviewer.source.base import SUFFIXES
    from reviewer.source.listing import staged_files

    tree, index = under_way(options.tree)
    if not any(file.endswith(SUFFIXES) for file in staged_files(Path(tree), index)):
        return 0  # also in a tree without any C file
    question = Question(staged=True, index=index)
    with reviewed(hooked(options, tree), question, chain) as (opened, _, result):
        return verdict(opened, result, fresh(opened, result), "reviewer")


@hook.command()
@click.argument("where", metavar="[PATCH|FOLDER]...", nargs=-1)
@options(positional=False, findings=True, fixed=True)
@click.option("--base", metavar="REV", help="What the patches apply to.  [default: found]")
@click.option("--cumulative", is_flag=True, help="Compare the base with the last patch only.")
@CHAIN
def series(options: Options, where: tuple[str, ...], base: str | None, cumulative: bool, chain: str | None) -> int:
    """For a repository that keeps patches: review the folders whose patches are staged, on the kernel in TREE.

    Run in the repository's top folder. What a folder brought as it was committed last does not count. If nothing is staged,
    all folders of patches are reviewed.
    """
    from reviewer.deliver.patchfolders import patch_folders
    from reviewer.review.difference import compare
    from reviewer.review.prepare import Question
    from reviewer.review.run import introduced

    code = 0
    for folder in patch_folders(Path(), index_of_hook(), where):
        question = Question(inputs=(folder,), base=base, cumulative=cumulative)
        with reviewed(hooked(options, options.tree), question, chain) as (opened, _, result):
            found = fresh(opened, result)
        if found:
            new = compare(committed_before(options, question, folder, chain), introduced(result, False), {}).introduced
            found = [r for r in found if r.finding in new]
        code = max(code, verdict(opened, result, found, "reviewer-series"))
    return code


def words(options: Options, chain: str | None) -> list[str]:
    """The command line of the hook."""
    found = [] if chain is None else ["--chain", chain]
    for name in PASSED_ON:
        value = getattr(options, name)
        values = value if isinstance(value, tuple) else () if value is None else (value,)
        for one in values:
            found += [f"--{name.replace('_', '-')}", str(Path(one).absolute()) if name in PATHS else str(one)]
    return [*found, "--no-store"] if options.no_store else found


def under_way(tree: str) -> tuple[str, Path | None]:
    """The repository and the index of a ``git commit`` under way, as git tells its hooks."""
    from reviewer.source.tree import is_repository

    index, git_dir = index_of_hook(), os.environ.get("GIT_DIR")
    if index is not None and git_dir and not is_repository(Path(tree)):  # git --git-dir=DIR --work-tree=. commit
        return git_dir, index.absolute()
    return tree, index


def hooked(options: Options, tree: str) -> Options:
    return replace(options, tree=tree, format="text")


def fresh(opened: Session, result: ReviewResult) -> list[Reviewed]:
    """What is introduced, still there at the end, on the user's paths and not in the user's baseline."""
    from reviewer.review.run import introduced

    new = {id(finding) for finding in introduced(result, False)}
    return asked_for(opened.options, [r for r in result.findings if id(r.finding) in new])


def committed_before(options: Options, question: Question, folder: str, chain: str | None) -> list[Finding]:
    """What the patches of a folder introduce as HEAD has them; nothing if they do not apply any more."""
    from reviewer.deliver.patchfolders import committed
    from reviewer.review.run import introduced

    with committed(Path(), folder) as copy:
        if copy is None:
            return []
        try:
            with reviewed(hooked(options, options.tree), replace(question, inputs=(str(copy),)), chain) as (_, _, result):
                return introduced(result, False)
        except ReviewerError:
            return []


def verdict(opened: Session, result: ReviewResult, found: Sequence[Reviewed], name: str) -> int:
    """Prints what was found, and says whether the commit is refused. ``name``: of the hook, for those who skip it."""
    import msgspec

    from reviewer.cli.exits import FOUND, INCOMPLETE, exit_code
    from reviewer.cli.output import say

    options = opened.options
    quiet = replace(options, quiet=True, verbose=False, min_confidence=printed(options))
    write(replace(opened, options=quiet), msgspec.structs.replace(result, findings=tuple(found)))
    code = exit_code([r.finding for r in found], result.skipped, options.fail_floor)
    if code == FOUND:
        say(f"reviewer: a hazard is introduced; to commit all the same: SKIP={name} git commit")
    elif code == INCOMPLETE:
        files = ", ".join(f"{file} ({reason})" for file, reason in result.skipped[:3]) + ", ..." * (len(result.skipped) > 3)
        say(f"reviewer: the review is incomplete: {files}")
    return FOUND if code == FOUND else 0


def printed(options: Options) -> Confidence:
    """The weakest confidence that is printed: a commit is never refused for something that is not said."""
    from reviewer.checks.finding import at_least

    fail = options.fail_floor
    return fail if fail is not None and at_least(options.floor, fail) else options.floor
