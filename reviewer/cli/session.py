"""What a verb works on: the tree, its settings, the fact store and the API models."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reviewer.checks.result import ScanRequest
from reviewer.cli import engine
from reviewer.cli.options import Options, default_store
from reviewer.cli.output import Progress, check_output, say
from reviewer.errors import InputError, MissingContent
from reviewer.settings import FILE_NAME, Settings, read_settings

if TYPE_CHECKING:
    from reviewer.program.api.models import ApiModels
    from reviewer.program.linked.link import Program
    from reviewer.source.tree import Tree
    from reviewer.store.factstore import Store


@dataclass(frozen=True)
class Session:
    """An open tree and what a question about it needs; ``options`` include the tree's settings."""

    options: Options
    settings: Settings
    tree: Tree
    store: Store
    progress: Progress

    @property
    def rules_dirs(self) -> tuple[Path, ...]:
        return rules_dirs(self.options)

    def models(self) -> ApiModels:
        """:raises RuleError: a model does not fit its schema."""
        return engine.load_models(self.rules_dirs, store_path(self.options))

    def request(self, chain: str | None = None, everything: bool = False) -> ScanRequest:
        return ScanRequest(
            chain=chain,
            everything=everything,
            paths=self.options.path if everything else (),
            rules=self.options.rules,
            rules_dirs=tuple(map(str, self.rules_dirs)),
            config=self.options.config,
            jobs=self.options.processes,
        )

    def program(self) -> Program:
        """The linked program of the tree."""
        return engine.open_program(self.tree, self.store, self.models(), self.request(), self.progress)


@contextmanager
def session(options: Options, must_keep: bool = False) -> Iterator[Session]:
    """Opens what ``options`` name, cheapest complaint first, and closes it again.

    :param must_keep: as for :func:`opened_store`.
    :raises InputError: an option or the tree is wrong.
    """
    check_output(options)
    tree = engine.open_tree(options.tree, options.rev)
    try:
        with session_of(options, tree, must_keep) as opened:
            yield opened
    finally:
        tree.close()


@contextmanager
def session_of(options: Options, tree: Tree, must_keep: bool = False) -> Iterator[Session]:
    """The same for a tree that is open already, and stays so.

    :raises InputError: an option or the tree's settings are wrong.
    """
    settings = settings_of(tree)
    options = options.with_settings(settings)
    check_files(options)
    with opened_store(options, must_keep) as store, Progress(not options.quiet) as progress:
        yield Session(options, settings, tree, store, progress)


@contextmanager
def opened_store(options: Options, must_keep: bool = False) -> Iterator[Store]:
    """The fact store that ``options`` name, or one that keeps nothing. Its troubles are said on standard error.

    :param must_keep: that nothing new is kept is not said: the command fails of it, and says so itself.
    """
    logger, handler = logging.getLogger("reviewer.store"), Warnings(options.quiet)
    if must_keep:
        from reviewer.store.factstore import LAST

        handler.addFilter(lambda record: not hasattr(record, LAST))
    logger.addHandler(handler)
    try:
        store = engine.open_store(store_path(options))
        try:
            yield store
        finally:
            store.close()
    finally:
        logger.removeHandler(handler)


class Warnings(logging.Handler):
    """Lines for standard error."""

    def __init__(self, quiet: bool) -> None:
        super().__init__(logging.ERROR if quiet else logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def store_path(options: Options) -> Path | None:
    """Where facts are kept; None with ``--no-store``.

    :raises InputError: both options are given, or the path is empty.
    """
    if options.store is None:
        return None if options.no_store else default_store()
    if options.no_store:
        raise InputError("--store and --no-store contradict each other", "give one of them")
    if not options.store:
        raise InputError("--store is empty", "name a folder for the facts")
    return Path(options.store)


def rules_dirs(options: Options) -> tuple[Path, ...]:
    """The user's rule folders.

    :raises InputError: one of them is not a folder.
    """
    for folder in options.rules_dir:
        if not Path(folder).is_dir():
            raise InputError(
                f"--rules-dir {folder}: not a folder", "name a folder with ID.yaml and api/*.yaml"
            )
    return tuple(map(Path, options.rules_dir))


def settings_of(tree: Tree) -> Settings:
    """The settings that the tree brings; empty where it brings none.

    :raises InputError: the file is not as it should be, or cannot be read: going on without it would quietly
        use other options than the user thinks.
    """
    if not tree.exists(FILE_NAME):
        return Settings()
    try:
        text = tree.read(FILE_NAME)
    except MissingContent as error:
        raise InputError(str(error), f"make {FILE_NAME} readable or remove it") from None
    return read_settings(text, FILE_NAME, _root(tree.path))


def _root(path: str) -> Path | None:
    """The tree's folder on disk; None for a bare repository."""
    folder = Path(path)
    is_git_dir = (folder / "objects").is_dir() and (folder / "HEAD").is_file()
    return None if is_git_dir else folder


def check_files(options: Options) -> None:
    """:raises InputError: a file or folder that an option names is not there, or options contradict each other."""
    rules_dirs(options)
    store_path(options)
    for name, path in (("--config", options.config), ("--baseline", options.baseline)):
        if path is not None and not (Path(path).is_file() and os.access(path, os.R_OK)):
            raise InputError(f"{name} {path}: no such file, or not readable", "name a file that can be read")
