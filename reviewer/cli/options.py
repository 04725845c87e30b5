"""The options that verbs share, and what they come to together with ``.reviewer.toml``."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from reviewer.errors import InputError
from reviewer.settings import CONFIDENCE_NAMES, MAX_JOBS, Settings, choose

if TYPE_CHECKING:
    from reviewer.checks.finding import Confidence

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

REPORT_FORMATS = ("text", "json")
"""What every verb can write."""

FINDING_FORMATS = (*REPORT_FORMATS, "github", "sarif")
"""What a verb that prints findings can write."""

DEFAULT_CONFIDENCE: Confidence = "medium"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the command line says; None and ``()`` mean "not said"."""

    tree: str = "."
    rev: str | None = None
    format: str | None = None
    output: str | None = None
    color: str | None = None
    path: tuple[str, ...] = ()
    min_confidence: str | None = None
    fail_on: str | None = None
    rules: tuple[str, ...] = ()
    rules_dir: tuple[str, ...] = ()
    config: str | None = None
    baseline: str | None = None
    jobs: int | None = None
    store: str | None = None
    no_store: bool = False
    quiet: bool = False
    verbose: bool = False

    def with_settings(self, settings: Settings) -> Options:
        """These options, with the settings file's values where the command line says nothing."""
        return replace(
            self,
            format=choose(self.format, settings.format, None),
            color=choose(self.color, settings.color, None),
            path=choose(self.path or None, settings.path, ()),
            min_confidence=choose(self.min_confidence, settings.min_confidence, None),
            fail_on=choose(self.fail_on, settings.fail_on, None),
            rules=choose(self.rules or None, settings.rules, ()),
            rules_dir=choose(self.rules_dir or None, settings.rules_dir, ()),
            config=choose(self.config, settings.config, None),
            baseline=choose(self.baseline, settings.baseline, None),
            jobs=choose(self.jobs, settings.jobs, None),
        )

    @property
    def floor(self) -> Confidence:
        """The weakest confidence that is printed."""
        return cast("Confidence", self.min_confidence or DEFAULT_CONFIDENCE)

    @property
    def fail_floor(self) -> Confidence | None:
        """The weakest confidence that makes the exit code 1; None for never."""
        chosen = self.fail_on or DEFAULT_CONFIDENCE
        return None if chosen == "never" else cast("Confidence", chosen)

    @property
    def processes(self) -> int:
        """Processes to use: ``--jobs``, else the processors this process may run on."""
        return self.jobs or len(os.sched_getaffinity(0))


_NAMES = {field.name for field in fields(Options)}


REV = "Read this revision from git objects, not the files on disk."

BRANCH = "Branch along which the base is looked for.  [default: HEAD]"


def _tree(optional_positional: bool, revision: bool, rev_help: str) -> list[Decorator]:
    positional = (
        [click.argument("tree_argument", metavar="[TREE]", required=False)] if optional_positional else []
    )
    rev = click.option("--rev", metavar="REV", help=rev_help)
    return [
        *positional,
        click.option(
            "-C",
            "--tree",
            metavar="TREE",
            help="Git work tree, bare repository or plain directory.  [default: .]",
        ),
        *([rev] if revision else []),
    ]


def _output(formats: tuple[str, ...]) -> list[Decorator]:
    return [
        click.option("--format", type=click.Choice(formats), help=f"What to write.  [default: {formats[0]}]"),
        click.option("-o", "--output", metavar="FILE", help="Write there rather than to standard output."),
        *_color(),
        click.option("-q", "--quiet", is_flag=True, help="Findings and errors only."),
        click.option("-v", "--verbose", is_flag=True, help="Say more; a review shows what is unchanged, too."),
    ]


def _color() -> list[Decorator]:
    return [
        click.option("--color", type=click.Choice(("auto", "always", "never")), help="Colour the text.  [default: auto]")
    ]


def _store() -> list[Decorator]:
    return [
        click.option("--store", metavar="PATH", help="The fact store.  [default: $XDG_CACHE_HOME/reviewer]"),
        click.option("--no-store", is_flag=True, help="Neither read nor write stored facts."),
    ]


def _rules_dir() -> list[Decorator]:
    return [
        click.option(
            "--rules-dir", metavar="DIR", multiple=True, help="Your own rules and API models (repeat)."
        )
    ]


def _analysis() -> list[Decorator]:
    return [
        click.option("--config", metavar=".config", help="A kernel configuration that picks #if arms."),
        click.option(
            "--jobs", type=click.IntRange(1, MAX_JOBS), metavar="N", help="Processes to use.  [default: all]"
        ),
    ]


def _findings(hidden: bool) -> list[Decorator]:
    return [
        click.option(
            "--path", metavar="GLOB", multiple=True, hidden=hidden,
            help="Only findings whose place or proof touches such a file (repeat).",
        ),
        click.option(
            "--min-confidence", type=click.Choice(CONFIDENCE_NAMES), hidden=hidden,
            help=f"Print findings of this confidence or more.  [default: {DEFAULT_CONFIDENCE}]",
        ),
        click.option(
            "--fail-on", type=click.Choice((*CONFIDENCE_NAMES, "never")), hidden=hidden,
            help=f"Exit with 1 on a finding of this confidence or more.  [default: {DEFAULT_CONFIDENCE}]",
        ),
        click.option("--rules", metavar="ID", multiple=True, hidden=hidden, help="Only this rule (repeat)."),
        click.option(
            "--baseline", metavar="FILE", hidden=hidden,
            help="JSON of an earlier run; what it found is not reported again.",
        ),
    ]  # fmt: skip


def options(
    *, tree: bool = True, analysis: bool = True, findings: bool = False, store: bool = True,
    rules_dir: bool = False, positional: bool = True, fixed: bool = False, formats: tuple[str, ...] = (),
    rev: str = REV,
) -> Decorator:  # fmt: skip
    """Decorates a verb with the shared options and passes them to it as one :class:`Options`.

    The common options are taken by every verb that reads a tree, so that a script can pass one set to all; a
    verb that prints no findings takes those about findings and leaves them out of its help.

    :param positional: TREE may stand without an option, too.
    :param fixed: the verb itself decides which revision it reads, and where and how it writes.
    :param rev: what ``--rev`` means to it.
    :param formats: what it can write, if not what every verb, or every verb with findings, can.
    """
    formats = formats or (FINDING_FORMATS if findings else REPORT_FORMATS)
    wanted = [
        *(_tree(positional, not fixed, rev) if tree else []),
        *(_color() if fixed else _output(formats)),
        *(_rules_dir() if analysis or rules_dir else []),
        *(_analysis() if analysis else []),
        *(_findings(hidden=not findings) if tree else []),
        *(_store() if store else []),
    ]

    def decorate(verb: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(verb)
        def call(**given: Any) -> Any:
            positional = given.pop("tree_argument", None)
            shared = {name: given.pop(name) for name in list(given) if name in _NAMES}
            if tree:
                shared["tree"] = _one_tree(positional, shared.get("tree"))
            return verb(Options(**shared), **given)

        with_options: Callable[..., Any] = call
        for add in reversed(wanted):
            with_options = add(with_options)
        return with_options

    return decorate


executor: Decorator = click.option(
    "--executor", metavar="dask://HOST:PORT", help="Spread the work over the workers of this scheduler."
)
"""Of the verbs that look at a whole tree."""


def split_inputs(options: Options, inputs: Sequence[str]) -> tuple[Options, tuple[str, ...]]:
    """Of ``[TREE] SERIES...`` the tree, unless ``-C`` has named it, and the rest."""
    from reviewer.source.tree import looks_like_tree

    context = click.get_current_context()
    named = context.get_parameter_source("tree") is not click.core.ParameterSource.DEFAULT
    if inputs and not named and looks_like_tree(inputs[0]):
        return replace(options, tree=inputs[0]), tuple(inputs[1:])
    return options, tuple(inputs)


def _one_tree(positional: str | None, option: str | None) -> str:
    if positional is not None and option is not None:
        raise InputError(f"TREE is given twice, as {positional!r} and as -C {option!r}", "give it once")
    chosen = positional if positional is not None else option
    if chosen == "":
        raise InputError("TREE is empty", "name a folder, or leave it out for the current one")
    return "." if chosen is None else chosen


def default_store(environment: dict[str, str] | os._Environ[str] = os.environ) -> Path:
    """Where facts (and the log of a crash) are kept unless ``--store`` says otherwise.

    :source: XDG Base Directory Specification: a relative XDG_CACHE_HOME is to be ignored
    """
    base = environment.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "reviewer"
