"""The verbs, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import errno
import gc
import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from reviewer import __version__
from reviewer.cli.bench import bench
from reviewer.cli.check import check
from reviewer.cli.context import context
from reviewer.cli.doctor import doctor
from reviewer.cli.explain import explain
from reviewer.cli.graph import graph
from reviewer.cli.hook import hook
from reviewer.cli.index import index
from reviewer.cli.options import default_store
from reviewer.cli.output import close_stdout, say
from reviewer.cli.relies_on import relies_on
from reviewer.cli.reply import reply
from reviewer.cli.review import review
from reviewer.cli.rules import rules
from reviewer.cli.scan import scan
from reviewer.cli.store import store
from reviewer.errors import ReviewerError

NAME = "reviewer"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Finds concurrency hazards in C kernel source, from a git tree, by call and lock graphs.

    Exit codes: 0 nothing found, 1 findings, 2 wrong input or usage, 3 incomplete result, 130 interrupted.
    """


for verb in (scan, review, reply, check, context, relies_on, graph, explain, rules, index, doctor, store, bench, hook):
    cli.add_command(verb)


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: runs a verb and leaves with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


COLLECT_AFTER = (50_000, 20, 1_000)
"""Python's thresholds for garbage collection. Facts live to the end: looking through millions of them in vain costs a fifth of
a scan, and what is kept by a rarer look is some MB."""


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; returns the exit code instead of leaving.

    click's own ``main`` is not used: it turns a broken pipe into 1 and prints usage errors on several lines.
    """
    if "_REVIEWER_COMPLETE" in os.environ:  # a shell asks for completions
        cli.main(args=list(arguments), prog_name=NAME)
    if sys.stderr is None:  # closed by whoever started us (2>&-)
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115  for as long as the process lives
    gc.set_threshold(*COLLECT_AFTER)
    with _noticed() as pressed:
        return _run(arguments, pressed)


def _run(arguments: Sequence[str], pressed: list[int]) -> int:
    """:param pressed: gets an entry with every Ctrl-C."""
    try:
        with cli.make_context(NAME, list(arguments)) as ctx:
            code = cli.invoke(ctx)
        return int(code or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        say_lines(error.format_message())
        return 2
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        say(f"{NAME}: {_usage_line(error, arguments)}")
        return 2
    except ReviewerError as error:
        say(f"{NAME}: {error}")
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _interrupted()
    except BrokenPipeError:
        close_stdout()
        return 0
    except Exception as error:
        # Python 3.11 wraps it where it hits the making of a class, and pydantic keeps only its text.
        if pressed or isinstance(error.__cause__, KeyboardInterrupt):
            return _interrupted()
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            close_stdout()
            where = error.filename or "standard output"
            say(f"{NAME}: {where}: {error.strerror}; make room, or write elsewhere")
            return 2
        return _crashed(error, arguments)


@contextmanager
def _noticed() -> Iterator[list[int]]:
    """Where every Ctrl-C is noted, before it is raised as it always is."""
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        signal.default_int_handler(number, frame)

    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield pressed
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupted() -> int:
    say(f"{NAME}: interrupted")
    return 130


def say_lines(text: str) -> None:
    for line in text.split("\n"):
        say(line)


def _usage_line(error: click.ClickException, arguments: Sequence[str]) -> str:
    """click's message on one line, ending with the way out."""
    message = " ".join(error.format_message().split()).rstrip(".")
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if ctx is not None:
        path = ctx.command_path
    else:  # an option without its value does not say whose it is
        path = f"{NAME} {arguments[0]}" if arguments and arguments[0] in cli.commands else NAME
    verb = path.removeprefix(NAME).strip()
    return f"{f'{verb}: ' if verb else ''}{message}; see `{path} --help`"


def _crashed(error: Exception, arguments: Sequence[str]) -> int:
    """A bug of ours: one line, and what is needed to mend it in a file."""
    text = "".join(traceback.format_exception(error))
    what = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    about = f"reviewer {__version__}, Python {platform.python_version()}, {platform.platform()}"
    log = default_store() / "crash.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        Path(log).write_text(
            f"{stamp} {about}\narguments: {list(arguments)!r}\n\n{text}", errors="backslashreplace"
        )
    except OSError:
        say_lines(text)
        say(f"{NAME}: unexpected {what}; please report it with the lines above")
    else:
        say(f"{NAME}: unexpected {what}; please report it with {log}")
    return 2
