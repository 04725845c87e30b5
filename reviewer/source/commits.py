"""Commits of a repository, or what is staged in it, as a patch series. No program that anybody configured is run."""

from __future__ import annotations

import os
import re
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

from reviewer.errors import InputError
from reviewer.source.base import SUFFIXES
from reviewer.source.diff import parse_diff
from reviewer.source.gitrun import Git, GitFailed
from reviewer.source.headers import decode
from reviewer.source.mail import tidy
from reviewer.source.patch import Author, FileChange, Patch, Series
from reviewer.source.paths import shown

_DIFF = (
    "-p",
    "-r",
    "-M",  # no -C: a copy is new text for a reviewer, and to look for its source takes long
    "-U3",
    "--full-index",
    "--binary",
    "--no-color",
    "--no-ext-diff",  # programs of the configuration, chosen by attributes of the tree
    "--no-textconv",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--submodule=short",
    "--ignore-submodules=dirty",  # their commits count, their work trees are not looked at
)
"""How diffs are made, whatever the configuration says."""

_SIGNATURE = re.compile(rb"(.*?) ?<([^<>]*)> (-?\d{1,15}) ([-+])(\d\d)(\d\d)")


def read_commits(folder: Path, revisions: str) -> Series:
    """The commits of a range, oldest first.

    :param folder: a work tree's top, or a bare repository.
    :param revisions: ``A..B``: what B has and A has not (a side left out is HEAD); ``A...B``: the same, since what is only in
        A is no part of the series; ``X``: that commit alone.
    :return: merges are left out, with a note. A range without commits is a series without patches.
    :raises InputError: a revision is unknown, the history is cut off (a shallow clone) or content is absent; git is not
        there, or refuses the repository
    """
    git = Git(folder)
    _without_index(git)
    old, dots, new = revisions.partition("...") if "..." in revisions else revisions.partition("..")
    if dots:
        limits = [_commit(git, new or "HEAD"), "^" + _commit(git, old or "HEAD")]
    else:
        limits = ["--no-walk", _commit(git, revisions)]
    listing = git.text("rev-list", "--reverse", "--topo-order", "--parents", *limits, "--")
    commits: list[str] = []
    merges: list[str] = []
    roots: set[str] = set()
    for line in listing.splitlines():
        commit, *parents = line.split()
        if len(parents) > 1:
            merges.append(commit[:12])
            continue
        commits.append(commit)
        if not parents:
            roots.add(commit)
    with git.cat_file() as reader:
        headers = {name: content for name, content in reader.read_many(commits) if content is not None}
    for commit in commits:
        if commit not in headers:
            raise InputError(f"{folder}: the commit {commit[:12]} is absent", "fetch the whole history")
        if commit in roots and b"\nparent " in headers[commit].partition(b"\n\n")[0]:
            raise InputError(f"{folder}: the history ends at {commit[:12]} (a shallow clone)", "git fetch --deepen=100")
    changes = _changes(git, commits)
    patches = tuple(
        _patch(commit, headers[commit], changes[commit], number, len(commits)) for number, commit in enumerate(commits, 1)
    )
    title = patches[0].subject if len(patches) == 1 else ""
    notes = (f"merges are left out: {', '.join(merges[:5])}{', ...' * (len(merges) > 5)}",) if merges else ()
    return Series(patches, title=title, notes=notes)


def read_staged(folder: Path, index: Path | None = None) -> Series:
    """What is staged, against HEAD or, before the first commit, against nothing: one patch, or none if nothing is.

    :param index: the index file, where it is not the repository's own. A hook is told in ``GIT_INDEX_FILE``, relative to
        the work tree: with ``git commit -a`` and ``git commit FILE`` what is committed is in another one.
    :raises InputError: there are conflicts in the index; git is not there, or refuses the repository
    """
    git = Git(folder)
    if index is not None:
        git.env["GIT_INDEX_FILE"] = str(folder.resolve() / index)
    _, stderr, code = git.run_raw("rev-parse", "--git-dir")
    if code != 0:
        raise git.failure(("rev-parse",), code, stderr)
    head, _, code = git.run_raw("rev-parse", "--verify", "-q", "HEAD^{commit}")
    base_commit = head.decode().strip() if code == 0 else ""
    against = base_commit or git.run("hash-object", "-t", "tree", "--stdin", input=b"").decode().strip()
    # Unmerged paths are not left to the diff, which names them in a line among others.
    if conflicts := git.run("ls-files", "-u", "-z").split(b"\0")[0]:
        path = shown(conflicts.partition(b"\t")[2])
        raise InputError(f"{folder}: '{path}' has conflicts in the index", "resolve them and git add the file")

    def diff(*options: str) -> bytes:
        return _run(git, "diff-index", "--cached", *_DIFF, *options, against, "--")

    files = parse_diff(diff(), "staged changes", strip=1)
    if _hidden(files):
        files = parse_diff(diff("--text"), "staged changes", strip=1)
    if not files:
        return Series((), base_commit=base_commit)
    subject = "staged changes"
    patch = Patch(1, 1, subject, subject, "", Author("", ""), "", "", files, subject)
    return Series((patch,), title=subject, base_commit=base_commit)


def merging(folder: Path) -> tuple[str, ...]:
    """Full ids of the commits that a merge under way brings in; none where there is none.

    :param folder: a work tree's top, or a bare repository. :source: gitrevisions(7), "MERGE_HEAD"
    """
    file = folder.resolve() / Git(folder).text("rev-parse", "--git-path", "MERGE_HEAD")
    try:
        return tuple(file.read_text("ascii", "replace").split())
    except FileNotFoundError:
        return ()


def _without_index(git: Git) -> None:
    """Objects only: with an index, git reads a blob from the work tree where it believes the file to be the same."""
    path, stderr, code = git.run_raw("rev-parse", "--git-path", "reviewer-no-index")
    if code != 0:
        raise git.failure(("rev-parse",), code, stderr)
    git.env["GIT_INDEX_FILE"] = str(git.folder.resolve() / os.fsdecode(path).removesuffix("\n"))


def _commit(git: Git, name: str) -> str:
    """Full id of a commit."""
    output, stderr, code = git.run_raw("rev-parse", "--verify", f"{name}^{{commit}}")
    # An option is never a revision; --end-of-options is not understood by every git in use.
    if code == 0 and name and not name.startswith(("-", "^")):
        return output.decode().strip()
    failure = git.failure(("rev-parse",), code, stderr)
    if code != 0 and isinstance(failure, InputError):
        raise failure  # git refuses the whole repository
    raise InputError(f"{git.folder}: no commit '{shown(name)}' in it", "name a commit, tag or branch of it, or a range A..B")


def _run(git: Git, *arguments: str, input: bytes | None = None) -> bytes:
    try:
        return git.run(*arguments, input=input)
    except GitFailed as error:
        raise _absent(git, error) from error


def _absent(git: Git, why: object) -> InputError:
    what = f"{git.folder}: a commit's changes cannot be read ({why})"
    return InputError(what, "the clone is partial or damaged; fetch it whole")


def _changes(git: Git, commits: list[str]) -> dict[str, tuple[FileChange, ...]]:
    """What each commit changes, by one run of git."""
    result = {commit: parse_diff(text, commit[:12], strip=1) for commit, text in _diffs(git, commits).items()}
    hidden = [commit for commit, files in result.items() if _hidden(files)]
    return result | {commit: parse_diff(text, commit[:12], strip=1) for commit, text in _diffs(git, hidden, "--text").items()}


def _hidden(files: tuple[FileChange, ...]) -> bool:
    """Whether C text is called binary: an attribute of the tree can say so of any file, and a review would see nothing."""
    return any(change.binary and change.path.endswith(SUFFIXES) for change in files)


def _diffs(git: Git, commits: list[str], *options: str) -> dict[str, bytes]:
    """The diff text of each commit against its only parent."""
    if not commits:
        return {}
    names = "".join(f"{commit}\n" for commit in commits).encode()
    output = _run(git, "diff-tree", "--stdin", "--root", "--always", *_DIFF, *options, input=names)
    result: dict[str, bytes] = {}
    # A line that is a commit's id alone is no line of a diff: those begin with a mark or a word, and in a binary patch the
    # length of a line says how long it must be, which is never 40 or 64.
    at = 0
    for commit, following in zip(commits, [*commits[1:], None], strict=True):
        start = at + len(commit) + 1
        if output[at:start] != commit.encode() + b"\n":
            raise _absent(git, f"git diff-tree says nothing of {commit[:12]}")
        at = len(output) if following is None else output.find(b"\n" + following.encode() + b"\n", start - 1) + 1
        result[commit] = output[start:at]
    return result


def _patch(commit: str, raw: bytes, files: tuple[FileChange, ...], number: int, total: int) -> Patch:
    head, _, body = raw.partition(b"\n\n")
    fields = dict(line.split(b" ", 1) for line in reversed(head.split(b"\n")) if b" " in line and not line.startswith(b" "))
    text = tidy(decode(body, fields.get(b"encoding", b"utf-8").decode("ascii", "replace")))
    title, _, message = text.partition("\n\n")
    title = " ".join(line.strip() for line in title.rstrip("\n").split("\n"))
    author, date = _signature(fields.get(b"author", b""))
    return Patch(number, total, title, title, "", author, date, message, files, origin=commit[:12], commit=commit)


def _signature(line: bytes) -> tuple[Author, str]:
    """(person, date as a mail would say it) of an ``author`` line."""
    found = _SIGNATURE.fullmatch(line)
    if not found:
        return Author(os.fsdecode(line), ""), ""
    author = Author(decode(found[1], "utf-8"), decode(found[2], "utf-8"))
    offset = timedelta(hours=int(found[5]), minutes=int(found[6]))
    try:
        zone = timezone(offset if found[4] == b"+" else -offset)
        return author, format_datetime(datetime.fromtimestamp(int(found[3]), zone)).replace(", 0", ", ")
    except (ValueError, OverflowError, OSError):
        return author, ""


