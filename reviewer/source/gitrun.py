"""The one runner of git: nothing is executed for the repository, nothing is written to it.

Plain ``subprocess`` on purpose: importing GitPython costs 180 ms, which is more than most commands here take,
and its persistent ``cat-file`` reads one object per round trip where we keep hundreds under way.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from reviewer.errors import InputError, ReviewerError

SAFE_CONFIG: tuple[str, ...] = (
    "core.fsmonitor=false",  # names a program that ls-files -o, grep and diff would run
    "core.hooksPath=/dev/null",
    "core.untrackedCache=false",  # would be written into the index
    "core.quotePath=false",
    "diff.mnemonicPrefix=false",
    "diff.noprefix=false",
    "diff.ignoreSubmodules=all",  # else diff walks into submodules and runs git there
    "submodule.recurse=false",
    "protocol.allow=never",
    "color.ui=false",
    "grep.patternType=default",
    "grep.extendedRegexp=false",
    "grep.column=false",
    "grep.fullName=false",
    "core.packedGitWindowSize=8m",  # of a pack of 180 MB some 50 are mapped at a time, which costs nothing
    "core.packedGitLimit=48m",
    "gc.auto=0",
    "maintenance.auto=false",
)
"""Settings that beat the repository's own. Each could run a program, write, change what is printed, or take memory."""

_WINDOW = 512
_WINDOW_BYTES = 48_000
"""Requests, and their bytes, under way in ``cat-file --batch``: below a pipe's 64 KiB, so that a write never
blocks while git is itself blocked on writing an answer."""

_OWNERSHIP = re.compile(rb"dubious ownership in repository at '([^']*)'")


class GitFailed(ReviewerError):
    """git ended with an error nobody planned for. ``stderr``: what it said, decoded."""

    def __init__(self, arguments: Sequence[str], code: int, stderr: str) -> None:
        last = stderr.strip().splitlines()[-1] if stderr.strip() else f"exit code {code}"
        super().__init__(f"git {arguments[0] if arguments else ''}: {last}")
        self.code = code
        self.stderr = stderr


def environment(inherited: Mapping[str, str], ceiling: Path | None = None) -> dict[str, str]:
    """The environment that git runs in: inherited ``GIT_*`` dropped, no locks, no network, no questions.

    :param ceiling: folder above which git must not look for a repository.
    """
    result = {key: value for key, value in inherited.items() if not key.startswith("GIT_")}
    result |= {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",  # known to git since 2.44
        "GIT_ALLOW_PROTOCOL": "none",  # what stops a lazy fetch before that: no transport has this name
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",  # facts are stored under the id of the real content
        "GIT_PAGER": "cat",
        "LC_ALL": "C",  # messages we can read; grep -P works on bytes
    }
    result.pop("LANGUAGE", None)
    if ceiling is not None:
        result["GIT_CEILING_DIRECTORIES"] = str(ceiling)
    return result


class Git:
    """git in one folder.

    :param folder: a work tree's top, a bare repository, or (for ``--no-index``) any folder.
    :param objects: a scratch directory for new objects; the repository's own become its alternate.
    :ivar settings: what beats the repository's configuration.
    :raises InputError: git is not installed, or refuses the repository (ownership, ``safe.bareRepository``)
    """

    def __init__(self, folder: Path, objects: Path | None = None) -> None:
        self.folder = folder
        self.settings = SAFE_CONFIG
        self._objects: Path | None = None
        self._bare: tempfile.TemporaryDirectory[str] | None = None
        real = folder.resolve()
        # The folder itself may hold a repository; one further up is somebody else's.
        self.env = environment(os.environ, real.parent)
        if objects is not None:
            self._own_objects()
            self.env["GIT_OBJECT_DIRECTORY"] = str(objects)
            self.env["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = str(self._objects)

    def _own_objects(self) -> Path:
        """The repository's object directory (of the main repository, in a linked work tree)."""
        if self._objects is None:
            self._objects = self.folder.resolve() / self.text("rev-parse", "--git-path", "objects")
        return self._objects

    def forget_promises(self) -> None:
        """In a partial clone, look at the objects alone: what is absent is absent, nobody tries to fetch it.

        git before 2.44 dies when it may not fetch a promised object. A repository without a configuration
        knows of no promise. Ownership has been checked when the revision was resolved.
        """
        own = self._own_objects()
        if next((own / "pack").glob("*.promisor"), None) is None:
            return
        sha256 = self.text("rev-parse", "--show-object-format") == "sha256"
        self._bare = tempfile.TemporaryDirectory(prefix="reviewer-")
        bare = Path(self._bare.name)
        for name in ("refs", "objects"):
            (bare / name).mkdir()
        (bare / "HEAD").write_text("ref: refs/heads/none\n")
        if sha256:
            (bare / "config").write_text("[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n")
        self.env["GIT_DIR"] = str(bare)
        self.env.setdefault("GIT_OBJECT_DIRECTORY", str(own))

    def command(self, *arguments: str) -> list[str]:
        """The argument vector of ``git ARGUMENTS`` with every safety setting."""
        settings = [word for setting in self.settings for word in ("-c", setting)]
        return ["git", "--no-pager", "-C", str(self.folder), *settings, *arguments]

    def popen(
        self, *arguments: str, stderr: IO[bytes] | int, stdin: IO[bytes] | int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start git with its output in a pipe. The caller waits for it.

        :raises InputError: there is no git
        """
        try:
            return subprocess.Popen(self.command(*arguments), stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=self.env)
        except FileNotFoundError as error:
            raise InputError("git is not installed", "install it or put it on PATH") from error

    def run(self, *arguments: str, input: bytes | None = None, accept: Sequence[int] = (0,)) -> bytes:
        """Run git to its end.

        :return: standard output
        :raises GitFailed: the exit code is not in ``accept``
        :raises InputError: git refuses the repository
        """
        output, stderr, code = self.run_raw(*arguments, input=input)
        if code not in accept:
            raise self.failure(arguments, code, stderr)
        return output

    def run_raw(self, *arguments: str, input: bytes | None = None) -> tuple[bytes, bytes, int]:
        """Run git to its end and judge nothing: standard output, standard error, exit code."""
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        with self.popen(*arguments, stderr=subprocess.PIPE, stdin=stdin) as process:
            try:
                output, stderr = process.communicate(input)
            except BaseException:
                process.kill()
                raise
        return output, stderr, process.returncode

    def text(self, *arguments: str) -> str:
        """Output of a command as one stripped string (undecodable bytes as surrogates)."""
        return os.fsdecode(self.run(*arguments)).strip()

    def failure(self, arguments: Sequence[str], code: int, stderr: bytes) -> ReviewerError:
        """What to raise for a failed command: a refusal has its own clear line."""
        if refused := _OWNERSHIP.search(stderr):
            where = os.fsdecode(refused[1])
            return InputError(
                f"{where}: the repository belongs to another user and git refuses it",
                f"trust it with: git config --global --add safe.directory {where}",
            )
        if b"safe.bareRepository" in stderr:
            return InputError(
                f"{self.folder}: git refuses bare repositories (safe.bareRepository is 'explicit')",
                "allow them (git config --global safe.bareRepository all) or give a work tree",
            )
        if b"not a git repository" in stderr:
            return InputError(f"{self.folder}: git finds no valid repository there", "try git fsck there")
        return GitFailed(arguments, code, stderr.decode("utf-8", "replace"))

    def cat_file(self) -> CatFile:
        """A reader of objects; close it or use it in a ``with``."""
        return CatFile(self)


class CatFile:
    """Objects by name through one ``git cat-file --batch``, started at the first read."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process. Reading again starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def read(self, name: str) -> bytes | None:
        """Content of one object (an id, or ``REV:path``); None when it is absent or damaged."""
        return next(self.read_many([name]))[1]

    def read_many(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """(name, content or None) in the order asked, with many requests under way at a time."""
        source = iter(names)
        waiting: list[str] = []
        finished = False
        try:
            while True:
                if not finished and len(waiting) <= _WINDOW // 2:
                    room = _WINDOW_BYTES - sum(len(os.fsencode(name)) + 1 for name in waiting)
                    fresh = _take(source, _WINDOW - len(waiting), room)
                    finished = not fresh and not waiting
                    self._send(fresh)
                    waiting += fresh
                if not waiting:
                    return
                content, alive = self._receive()
                name = waiting.pop(0)
                if not alive:  # git died over this object: leave it out and go on behind it
                    self.close()
                    self._send(waiting)
                yield name, content
        finally:
            if waiting:  # abandoned half-way: answers nobody waits for are in the pipe
                self.close()

    def _send(self, names: list[str]) -> None:
        if not names:
            return
        if self._process is None:
            self._process = self._git.popen("cat-file", "--batch", stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"".join(_request(name) for name in names))
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # its death shows where the answers are read

    def _receive(self) -> tuple[bytes | None, bool]:
        """One answer: (content or None, whether git still lives)."""
        assert self._process is not None and self._process.stdout is not None
        header = self._process.stdout.readline()
        if not header:
            return None, False
        words = header.rsplit(b" ", 2)
        if len(words) != 3 or not words[2].strip().isdigit():
            return None, True  # "NAME missing", "NAME ambiguous"
        size = int(words[2])
        content = self._process.stdout.read(size + 1)
        if len(content) != size + 1:
            return None, False
        return content[:-1], True


def _request(name: str) -> bytes:
    # The protocol is one name per line: a newline inside would be two requests and shift every answer.
    line = os.fsencode(name)
    return (b"0" * 40 if b"\n" in line else line) + b"\n"


def _take(source: Iterator[str], count: int, room: int) -> list[str]:
    """Up to ``count`` names; stops at the first that exceeds ``room`` bytes (a single name always fits)."""
    taken: list[str] = []
    while len(taken) < count and room > 4_096:
        name = next(source, None)
        if name is None:
            break
        taken.append(name)
        room -= len(os.fsencode(name)) + 1
    return taken


def split_records(stream: IO[bytes], separator: bytes, chunk: int = 1 << 20) -> Iterator[bytes]:
    """Pieces of a stream between separators, read in chunks; the last may be unterminated."""
    rest = b""
    while data := stream.read(chunk):
        *whole, rest = (rest + data).split(separator)
        yield from whole
    if rest:
        yield rest


def scratch() -> IO[bytes]:
    """An unnamed temporary file for a child's standard error: it never fills up like a pipe."""
    return tempfile.TemporaryFile()
