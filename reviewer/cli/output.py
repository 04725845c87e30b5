"""Where output goes: reports to standard output or ``-o FILE``, everything else to standard error."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TextIO

from reviewer.cli.options import Options
from reviewer.errors import InputError
from reviewer.report.paint import Paint, wants_color
from reviewer.report.plain import clip, safe


def check_output(options: Options) -> None:
    """Complains about an ``-o`` that cannot be written before a long analysis rather than after it.

    :raises InputError: its folder is missing or closed to us, or it is a folder itself.
    """
    if options.output is None:
        return
    path = Path(options.output)
    mend = "give -o a file in an existing folder that you may write to"
    if not options.output or path.is_dir():
        raise InputError(f"-o {options.output!r}: is a folder", mend)
    if not path.parent.is_dir():
        raise InputError(f"-o {options.output}: there is no folder {path.parent}", mend)
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"-o {options.output}: not writable", mend)


def paint_for(options: Options) -> Paint:
    """Colours as ``--color`` and the terminal want them; a file gets none unless asked for."""
    terminal = options.output is None and sys.stdout is not None and sys.stdout.isatty()
    return Paint(wants_color(options.color or "auto", terminal, os.environ))


def write(options: Options, report: str | bytes) -> None:
    """Writes a report. A reader that has gone away (``| head``) is no error.

    :raises InputError: the disk is full, the file cannot be written.
    """
    data = report if isinstance(report, bytes) else report.encode("utf-8", "surrogateescape")
    if options.output is None and sys.stdout is None:
        raise InputError("standard output is closed", "give -o FILE")
    try:
        if options.output is None:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            Path(options.output).write_bytes(data)
    except BrokenPipeError:
        close_stdout()
    except OSError as error:
        where = "standard output" if options.output is None else f"-o {options.output}"
        close_stdout()
        raise InputError(f"{where}: {error.strerror}", "write to another place") from None


def close_stdout() -> None:
    """Sends what is still buffered nowhere, so that the interpreter does not complain when it ends."""
    send_nowhere(sys.stdout)


def send_nowhere(stream: TextIO | None) -> None:
    """What is buffered in a stream, and what follows, is lost; the interpreter would else end with 120 for it."""
    if stream is None:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def say(line: str) -> None:
    """One line on standard error; never fails."""
    try:
        encoding = sys.stderr.encoding or "utf-8"
        text = safe(line).encode(encoding, "backslashreplace").decode(encoding)
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):  # nobody listens
        with contextlib.suppress(OSError, ValueError):
            send_nowhere(sys.stderr)


class Progress:
    """Shows on a terminal's standard error how far the work is, ten times a second at most.

    Use as a context manager: leaving it clears the line.
    """

    def __init__(self, on: bool) -> None:
        self._on = on and sys.stderr.isatty()
        self._last = 0.0
        self._shown = False

    def __call__(self, what: str, done: int = 0, total: int = 0) -> None:
        if not self._on or (now := time.monotonic()) - self._last < 0.1:
            return
        self._last = now
        self._shown = True
        count = f" {done}/{total}" if total else f" {done}" if done else ""
        sys.stderr.write(f"\r\x1b[K{clip(safe(what) + count, 78)}")
        sys.stderr.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
