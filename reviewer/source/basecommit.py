"""Which commit a series was made for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reviewer.errors import InputError
from reviewer.source.gitrun import Git, GitFailed
from reviewer.source.patch import Series
from reviewer.source.scratch import Scratch

HISTORY = 20_000
"""Commits looked at along first parents: years of a branch, a second or two of reading."""

_CHUNK = 256
"""Commits asked about at a time: few enough that an early answer is quick, and that they fit into a pipe of 64 KiB."""

_END = b"end\n"


@dataclass(frozen=True, slots=True)
class BaseCommit:
    """What a series applies to.

    :ivar commit: id of a commit, or of a tree if one was given. :ivar tree: id of its tree.
    :ivar reason: a sentence for the user: what was taken and why.
    :ivar notes: what was tried before, a line each.
    :ivar sure: somebody said so, or the contents do; else it is merely what is at hand.
    """

    commit: str
    tree: str
    reason: str
    notes: tuple[str, ...] = ()
    sure: bool = True


def find_base(
    scratch: Scratch, series: Series, given: str | None = None, branch: str = "HEAD", history: int = HISTORY
) -> BaseCommit:
    """The base of a series: as given, as it says itself, as its blobs say, else the branch's tip.

    :param scratch: of the repository, which may be bare, shallow or partial.
    :param given: a commit or tree by any name git knows; nothing else is then tried.
    :param branch: where to look for it, along first parents. :param history: commits to look at.
    :raises InputError: no such revision as ``given`` or ``branch``
    """
    assert scratch.repository is not None
    git = Git(scratch.repository)
    if given is not None:
        commit = _resolve(git, scratch.repository, given)
        return BaseCommit(commit, scratch.tree_of(commit), f"base {given} as given")
    notes = []
    if series.base_commit:
        # A name would mean something else in each repository: only an id counts.
        named = series.base_commit.strip().lower()
        if len(named) >= 7 and not named.strip("0123456789abcdef"):
            try:
                commit = scratch.git.text("rev-parse", "--verify", "-q", f"{named}^{{commit}}")
                return BaseCommit(commit, scratch.tree_of(commit), f"base {commit[:12]} from the series' base-commit line")
            except (GitFailed, InputError):
                pass
        notes.append(f"base-commit {named[:12]!r} is not in this repository".replace("'", ""))
    tip = _resolve(git, scratch.repository, branch)
    tree = scratch.tree_of(tip)
    wanted = first_blobs(series)
    if not wanted:
        return BaseCommit(
            tip, tree, f"base {branch} ({tip[:12]}): the series does not say which contents it was made for", tuple(notes), False
        )
    current = _blobs(scratch.git, tree, wanted)
    if _all_there(wanted, current):
        return BaseCommit(
            tip, tree, f"base {branch} ({tip[:12]}), which has the contents that the series was made for", tuple(notes)
        )
    absent = _absent(scratch.git, scratch.objects, wanted)
    if absent:
        notes.append(f"the content of {absent} that the series was made for is not in this repository")
    else:
        found = _walk(scratch.git, tip, wanted, current, history)
        if found is not None:
            commit = found
            reason = f"base {commit[:12]}, the newest commit of {branch} with the contents that the series was made for"
            return BaseCommit(commit, scratch.tree_of(commit), reason, tuple(notes))
        notes.append(f"no commit among the last {history} of {branch} has the contents that the series was made for")
    return BaseCommit(tip, tree, f"base {branch} ({tip[:12]}), for want of a better one", tuple(notes), False)


def first_blobs(series: Series) -> dict[str, str]:
    """What the series finds at each path: path to (abbreviated) blob id, "" for a file that it creates.

    Only the first patch that touches a path counts, the later ones stand on it. A path of which nothing is said is absent.
    """
    wanted: dict[str, str] = {}
    touched: set[str] = set()
    for patch in series.patches:
        fresh: set[str] = set()
        for change in patch.files:
            old, new = change.old_path, change.new_path
            if old is not None and old not in touched and change.old_blob.strip("0"):
                wanted.setdefault(old, change.old_blob)
            if old is None and new is not None and new not in touched:
                wanted.setdefault(new, "")
            fresh |= {path for path in (old, new) if path is not None}
        touched |= fresh
    return wanted


def _all_there(wanted: Mapping[str, str], current: Mapping[str, str]) -> bool:
    return all(current.get(path, "").startswith(blob) if blob else path not in current for path, blob in wanted.items())


def _resolve(git: Git, repository: Path, name: str) -> str:
    output, stderr, code = git.run_raw("rev-parse", "--verify", f"{name}^{{}}")
    if code == 0 and not name.startswith("-"):
        return output.decode().strip()
    failure = git.failure(("rev-parse",), code, stderr)
    if isinstance(failure, InputError):
        raise failure
    if name == "HEAD":
        raise InputError(f"{repository}: the repository has no commit at HEAD", "give --base")
    raise InputError(f"{repository}: no revision '{name}' in it", "name a commit, tag or branch of it")


def _blobs(git: Git, tree: str, paths: Mapping[str, str]) -> dict[str, str]:
    """Blob id of each of the paths that is in the tree."""
    found: dict[str, str] = {}
    names = list(paths)
    while names:
        part, names = names[:_CHUNK], names[_CHUNK:]
        output = git.run("--literal-pathspecs", "ls-tree", "-z", "--full-tree", tree, "--", *part)
        for entry in output.split(b"\0")[:-1]:
            head, _, path = entry.partition(b"\t")
            found[os.fsdecode(path)] = head.split(b" ")[2].decode()
    return found


def _absent(git: Git, objects: Path, wanted: Mapping[str, str]) -> str | None:
    """A path whose wanted content is nowhere, so that a walk cannot find it; None where it may be found."""
    paths = [path for path, blob in wanted.items() if blob]
    answer = git.run("cat-file", "--batch-check", input=b"".join(b"%s\n" % wanted[path].encode() for path in paths))
    for path, line in zip(paths, answer.split(b"\n"), strict=False):
        if line.endswith(b" missing") and not _is_partial(objects):
            return path
    return None


def _is_partial(objects: Path) -> bool:
    """Whether contents may be absent although commits name them."""
    borrowed = Path(os.fsdecode((objects / "info/alternates").read_bytes().rstrip(b"\n")))
    return next((borrowed / "pack").glob("*.promisor"), None) is not None


def _walk(git: Git, tip: str, wanted: Mapping[str, str], current: dict[str, str], history: int) -> str | None:
    """The newest commit before ``tip``, along first parents, in which all blobs are as wanted.

    Going back, each difference to the parent is undone in ``current``; only the paths in question are compared.
    """
    current = dict(current)
    paths = [f":(top,literal){path}" for path in wanted]
    command = ("diff-tree", "--stdin", "-r", "--raw", "-z", "--no-abbrev", "--no-renames", "--", *paths)
    with (
        git.popen("rev-list", "--first-parent", f"--max-count={history}", tip, stderr=subprocess.DEVNULL) as lister,
        git.popen(*command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as differ,
    ):
        try:
            assert lister.stdout is not None
            commits = (line.decode().strip() for line in lister.stdout)
            child = next(commits, None)
            chunk: list[tuple[str, str]] = []
            for parent in commits:
                assert child is not None
                chunk.append((child, parent))
                child = parent
                if len(chunk) == _CHUNK:
                    if (found := _undo(differ, chunk, wanted, current)) is not None:
                        return found
                    chunk = []
            return _undo(differ, chunk, wanted, current)
        finally:
            lister.kill()
            differ.kill()


def _undo(
    differ: subprocess.Popen[bytes], chunk: list[tuple[str, str]], wanted: Mapping[str, str], current: dict[str, str]
) -> str | None:
    """The first parent in ``chunk`` at which all is as wanted; else ``current`` is as in the last one."""
    parents = dict(chunk)
    for child, changes in _differences(differ, chunk):
        for path, blob in changes:
            if blob.strip("0"):
                current[path] = blob
            else:
                current.pop(path, None)
        if _all_there(wanted, current):
            return parents[child]
    return None


def _differences(differ: subprocess.Popen[bytes], chunk: list[tuple[str, str]]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """(commit, [(path, blob in its first parent)]) of each commit in ``chunk`` that touches a path in question."""
    assert differ.stdin is not None and differ.stdout is not None
    answer = b""
    try:
        # What is no id is sent back as it is: it shows where the answers to this chunk end. The last chunk was
        # answered to its end, so the pipe is empty and holds all of this one.
        differ.stdin.write(b"".join(f"{child} {parent}\n".encode() for child, parent in chunk) + _END)
        differ.stdin.flush()
        while not answer.endswith(_END) and (data := os.read(differ.stdout.fileno(), 1 << 16)):
            answer += data
    except BrokenPipeError:
        pass  # a tree is absent (shallow, partial clone): what is older cannot be known
    commit = ""
    changes: list[tuple[str, str]] = []
    fields = iter(answer.removesuffix(_END).split(b"\0")[:-1])
    for field in fields:
        if field.startswith(b":"):
            changes.append((os.fsdecode(next(fields, b"")), field.split(b" ")[2].decode()))
            continue
        if commit:
            yield commit, changes
        commit, changes = field.decode(), []
    if commit:
        yield commit, changes
