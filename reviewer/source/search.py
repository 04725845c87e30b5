"""One ``git grep``: its command line, its output as a stream, its complaints as (path, reason)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import IO

from reviewer.source.gitrun import Git, scratch


def matching(fixed: bool, word: bool, perl: bool) -> list[str]:
    """Options for the kind of pattern."""
    kind = "-P" if perl else "-F" if fixed else "-E"
    return [kind, "-w"] if word else [kind]


def _folders(under: Sequence[str]) -> list[str]:
    if not under:
        return ["*"]
    return [folder.rstrip("/") + "/*" for folder in under]


def _escape(pathspec: str) -> str:
    """A pathspec in which only our own trailing ``*`` is magic."""
    body, star = (pathspec[:-1], "*") if pathspec.endswith("*") else (pathspec, "")
    for letter in "\\*?[":
        body = body.replace(letter, "\\" + letter)
    if body.startswith(":"):
        body = "\\" + body
    return body + star


def arguments(
    options: Sequence[str],
    scope: Sequence[str],
    under: Sequence[str],
    suffixes: Sequence[str],
    without: Sequence[str] = (),
) -> list[str]:
    """The command line of a ``git grep`` that reads its patterns from standard input.

    :param scope: where to look (``--untracked``, a tree id). :param under: folders or files to stay in.
    :param without: files or folders to leave out.
    """
    pathspecs = [f"{_escape(folder)}{suffix}" for folder in _folders(under) for suffix in suffixes]
    pathspecs += [_escape(path) for path in under if path.endswith(tuple(suffixes))]
    pathspecs += [f":(exclude,literal){path}" for path in without]
    # -a: what an attribute or a NUL declares binary is searched as well.
    always = ["--no-color", "--no-textconv", "-a", "-f", "-"]
    return ["grep", *always, *options, *scope, "--", *pathspecs]


_COMPLAINT = re.compile(r"(?:error|warning): (?:failed to stat |could not open directory )?'(?P<name>.*?)/?': (?P<reason>.*)")


def complained(complaints: bytes) -> Iterator[tuple[str, str]]:
    """(name as git says it, reason) of files and folders that git could not read."""
    for line in os.fsdecode(complaints).splitlines():
        if found := _COMPLAINT.fullmatch(line):
            yield found["name"], found["reason"]


class Search:
    """A running ``git grep``. As a context manager it gives the output stream; leaving it waits for git.

    :param words: the patterns. :ivar unread: (name as git says it, reason) of files git could not read.
    :raises GitFailed: on leaving, when git failed (a bad expression)
    """

    def __init__(self, git: Git, command: Sequence[str], words: Sequence[str]) -> None:
        self._git, self._command = git, command
        self.unread: list[tuple[str, str]] = []
        self._complaints = scratch()
        # By file rather than by pipe: thousands of words fill a pipe before git reads them.
        with scratch() as patterns:
            patterns.write(b"".join(os.fsencode(word) + b"\n" for word in words))
            patterns.seek(0)
            self._process = git.popen(*command, stdin=patterns, stderr=self._complaints)

    def __enter__(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._process.stdout is not None
        if kind is not None:  # abandoned
            self._process.kill()
        self._process.stdout.close()
        code = self._process.wait()
        self._complaints.seek(0)
        complaints = self._complaints.read()
        self._complaints.close()
        self._note(complaints)
        if kind is None and code not in (0, 1):
            raise self._git.failure(self._command, code, complaints)

    def _note(self, complaints: bytes) -> None:
        for name, reason in complained(complaints):
            absent = reason.startswith("unable to read")
            self.unread.append((name, "content absent from the repository" if absent else reason))
