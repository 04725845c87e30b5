"""Series onto trees, with git's own result beside ours; and that nothing of the user's is touched."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from tinydiff import series

from reviewer.errors import InputError, MissingContent
from reviewer.source.apply import DoesNotApply
from reviewer.source.indexfile import sparse_index
from reviewer.source.packwriter import _index
from reviewer.source.patch import Series
from reviewer.source.scratch import EMPTY_TREE, Applied, Scratch
from reviewer.source.tree import open_tree

RunGit = Callable[..., str]
LONG = "".join(f"int v{n};\n" for n in range(40))
BINARY = bytes(range(256)) * 9


def raw(folder: Path, *arguments: str, **more: str) -> bytes:
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C"} | more
    return subprocess.run(["git", "-C", str(folder), *arguments], env=environment, check=True, capture_output=True).stdout


def diffs(repository: Path, first: str, last: str = "HEAD", *options: str) -> list[bytes]:
    """One diff for each commit, as format-patch would write it."""
    commits = raw(repository, "rev-list", "--reverse", f"{first}..{last}").decode().split()
    common = options or ("--binary", "--full-index")
    return [raw(repository, "diff", "-M", "-C", *common, f"{commit}^", commit) for commit in commits]


def trees(repository: Path, first: str, last: str = "HEAD") -> list[str]:
    commits = raw(repository, "rev-list", "--reverse", f"{first}..{last}").decode().split()
    return [raw(repository, "rev-parse", f"{commit}^{{tree}}").decode().strip() for commit in commits]


def commit(repository: Path, files: dict[str, bytes | None], git: RunGit, message: str = "change") -> str:
    for path, content in files.items():
        file = repository / path
        if content is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", message)
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, git: RunGit, request: pytest.FixtureRequest) -> Path:
    """A repository with a tag ``base``; by SHA-256 where the parameter says so."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main", f"--object-format={getattr(request, 'param', 'sha1')}")
    files = {"mm/a.c": LONG.encode(), "mm/b.c": b"int b;\n", "top.c": b"int top;\n", "logo.bin": BINARY}
    commit(folder, files, git)
    git(folder, "tag", "base")
    return folder


def apply(repository: Path, base: str, wanted: Series) -> list[Applied]:
    with Scratch(repository) as scratch:
        return scratch.apply(raw(repository, "rev-parse", base).decode().strip(), wanted)


both = pytest.mark.parametrize("repository", ["sha1", "sha256"], indirect=True)


@both
def test_a_series_of_all_kinds(repository: Path, git: RunGit, tmp_path: Path) -> None:
    commit(repository, {"mm/a.c": LONG.replace("v7", "seven").encode(), "new/deep/er.c": b"int er;"}, git)
    commit(repository, {"new/deep/er.c": None, "mm/b.c": b"", "empty.c": b""}, git, "folders go")
    git(repository, "mv", "mm/a.c", "mm/moved.c")
    commit(repository, {"mm/moved.c": LONG.replace("v9", "nine").encode(), "mm/b.c": None}, git, "rename")
    commit(repository, {"mm/copy.c": LONG.replace("v9", "ten").encode(), "mm/moved.c": LONG.encode()}, git, "copy")
    commit(repository, {"logo.bin": BINARY + b"more", "other.bin": os.urandom(300)}, git, "binary")
    (repository / "top.c").chmod(0o755)
    commit(repository, {}, git, "mode only")
    (repository / "link.c").symlink_to("/etc/passwd")
    commit(repository, {}, git, "link")
    (repository / "link.c").unlink()
    commit(repository, {"link.c": b"int link;\n", "logo.bin": None}, git, "link to file")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{git(repository, 'rev-parse', 'base')},sub")
    git(repository, "commit", "-qm", "submodule")
    git(repository, "update-index", "--cacheinfo", f"160000,{git(repository, 'rev-parse', 'HEAD')},sub")
    git(repository, "commit", "-qm", "submodule moves")
    commit(repository, {"A.c": b"int one;\n", "a.c": b"int two;\n", "odd name\t.c".replace("\t", " "): b"x\n"}, git, "case")
    with Scratch(repository) as scratch:
        done = scratch.apply(git(repository, "rev-parse", "base"), series(*diffs(repository, "base")))
        assert [one.tree for one in done] == trees(repository, "base")
        assert [note for one in done for note in one.notes] == []
        objects = scratch.objects
        assert scratch.git.run("fsck", "--no-dangling", "--full", "--strict") == b""
        if git(repository, "rev-parse", "--show-object-format") == "sha1":
            tree = open_tree(str(repository), done[0].tree, objects)
            assert tree.read("new/deep/er.c") == b"int er;" and tree.read("mm/a.c").count(b"seven") == 1
            tree.close()
    assert not objects.exists()


def test_names_change_places(repository: Path, git: RunGit) -> None:
    commit(repository, {"mm/b.c": b"".join(b"word %d\n" % n**5 for n in range(50))}, git)
    git(repository, "tag", "-f", "base")
    git(repository, "mv", "mm/a.c", "x")
    git(repository, "mv", "mm/b.c", "mm/a.c")
    git(repository, "mv", "x", "mm/b.c")
    commit(repository, {}, git)
    swap = diffs(repository, "base", "HEAD", "-B", "--full-index")
    assert swap[0].count(b"rename from") == 2
    assert [one.tree for one in apply(repository, "base", series(*swap))] == trees(repository, "base")


def test_offsets_are_noted(repository: Path, git: RunGit) -> None:
    commit(repository, {"mm/a.c": LONG.replace("v7", "x").replace("v30", "y").encode()}, git)
    patch = diffs(repository, "base")
    git(repository, "checkout", "-q", "base")
    commit(repository, {"mm/a.c": b"int more;\n" * 14 + LONG.encode()}, git)
    done = apply(repository, "HEAD", series(*patch))
    assert done[0].notes == ("mm/a.c: hunk 1 at offset 14", "mm/a.c: hunk 2 at offset 14")


def by_am(repository: Path, tmp_path: Path, base: str, commit_id: str) -> str | None:
    """The tree that ``git am -3`` makes; None where it refuses."""
    copy = tmp_path / f"am-{commit_id[:8]}"
    subprocess.run(["git", "clone", "-q", "--shared", str(repository), str(copy)], check=True, capture_output=True)
    raw(copy, "checkout", "-q", base)
    mail = raw(repository, "format-patch", "-1", "--stdout", "--full-index", "--binary", commit_id)
    who = {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b", "PATH": os.environ["PATH"]}
    done = subprocess.run(["git", "-C", str(copy), "am", "-3", "-q", "--keep-cr"], env=who, input=mail, capture_output=True)
    return raw(copy, "rev-parse", "HEAD^{tree}").decode().strip() if done.returncode == 0 else None


@pytest.mark.parametrize(
    ("patched", "base", "noted"),
    [
        (LONG.replace("v7;", "x;"), LONG.replace("v9;", "y;"), "merged three-way"),
        (LONG.replace("v7;", "x;"), LONG.replace("v7;", "x;"), "already as the patch wants it"),
        (LONG.replace("v7;", "x;"), LONG.replace("v7;", "y;"), None),
        (LONG.replace("v7;", "x;"), LONG.replace("v10;", "y;"), "merged three-way"),
        (LONG.replace("v7;", "x;"), "", None),
        (LONG + "int more;\n", LONG.replace("v0;", "x;") + "int other;\n", None),
        (LONG + "int more;\n", LONG.replace("v38;", "x;"), "merged three-way"),
    ],
)
def test_three_way_as_git_am(repository: Path, git: RunGit, tmp_path: Path, patched: str, base: str, noted: str | None) -> None:
    change = commit(repository, {"mm/a.c": patched.encode()}, git)
    patch = series(*diffs(repository, "base"))
    git(repository, "checkout", "-q", "base")
    commit(repository, {"mm/a.c": base.encode()}, git)
    theirs = by_am(repository, tmp_path, git(repository, "rev-parse", "HEAD"), change)
    if noted is None:
        assert theirs is None
        with pytest.raises(DoesNotApply, match="three-way merge with the content it was made for conflicts") as caught:
            apply(repository, "HEAD", patch)
        assert "\n" not in str(caught.value) and "hunk @@ -" in str(caught.value)
    else:
        done = apply(repository, "HEAD", patch)
        assert done[0].tree == theirs and noted in done[0].notes[0]


def test_three_way_needs_the_old_content(repository: Path, git: RunGit) -> None:
    commit(repository, {"mm/a.c": LONG.replace("v7;", "x;").encode()}, git)
    patch = diffs(repository, "base")[0]
    old = git(repository, "rev-parse", "base:mm/a.c")
    git(repository, "checkout", "-q", "base")
    commit(repository, {"mm/a.c": LONG.replace("v9;", "y;").encode()}, git)
    with pytest.raises(DoesNotApply, match=r'0001-test.patch:5: hunk @@ -5,7 \+5,7 @@ .* mm/a.c: line 10 is "int y;"'):
        apply(repository, "HEAD", series(patch.replace(old.encode(), b"1" * 40)))
    assert apply(repository, "HEAD", series(patch.replace(old.encode(), old[:9].encode())))


def test_three_way_on_what_the_series_made(repository: Path, git: RunGit) -> None:
    """The content that the second patch was made for exists only in the scratch."""
    one, two = LONG.replace("v7;", "x;"), LONG.replace("v7;", "z;")
    commit(repository, {"mm/a.c": one.encode()}, git)
    commit(repository, {"mm/a.c": two.encode()}, git)
    patches = diffs(repository, "base", "HEAD", "--abbrev=9")
    wanted = trees(repository, "base")
    git(repository, "checkout", "-q", "base")
    assert [done.tree for done in apply(repository, "base", series(*patches))] == wanted
    again = apply(repository, "base", series(patches[0], patches[0], patches[1]))
    assert [done.tree for done in again] == [wanted[0], wanted[0], wanted[1]]
    assert again[1].notes == ("mm/a.c: already as the patch wants it",)


FILE = b"diff --git a/%s b/%s\n"


@pytest.mark.parametrize(
    ("diff", "said"),
    [
        (
            FILE % (b"mm/b.c", b"mm/b.c")
            + b"new file mode 100644\nindex 0000000..1111111\n--- /dev/null\n+++ b/mm/b.c\n@@ -0,0 +1 @@\n+x\n",
            "0001-test.patch:1: mm/b.c is to be created and is already in the tree with other content",
        ),
        (
            FILE % (b"mm/b.c", b"mm/b.c")
            + b"deleted file mode 100644\nindex 1234567..0000000\n--- a/mm/b.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-int c;\n",
            '@@ -1 +0,0 @@ does not apply to mm/b.c: line 1 is "int b;" where the patch has "int c;"',
        ),
        (
            FILE % (b"mm/b.c", b"mm/b.c") + b"deleted file mode 100644\nindex e69de29..0000000\n",
            "as an empty file and has content",
        ),
        (FILE % (b"no.c", b"new.c") + b"similarity index 100%\nrename from no.c\nrename to new.c\n", "no.c is not in the tree"),
        (FILE % (b"no.c", b"new.c") + b"similarity index 100%\ncopy from no.c\ncopy to new.c\n", "no.c is not in the tree"),
        (
            FILE % (b"top.c", b"mm/b.c") + b"similarity index 100%\nrename from top.c\nrename to mm/b.c\n",
            "mm/b.c is to be created and is already",
        ),
        (FILE % (b"no.c", b"no.c") + b"old mode 100644\nnew mode 100755\n", "no.c is not in the tree"),
        (
            FILE % (b"top.c", b"top.c") + b"old mode 120000\nnew mode 100755\n",
            "has mode 100644 in the tree and 120000 in the patch",
        ),
        (FILE % (b"top.c", b"top.c") + b"old mode 100644\nnew mode 040000\n", "top.c cannot have mode 040000"),
        (FILE % (b"../x", b"../x") + b"new file mode 100644\n", "'../x' is no path inside a tree"),
        (FILE % (b"/x", b"/x") + b"new file mode 100644\n", "'/x' is no path inside a tree"),
        (FILE % (b"mm/.GIT/config", b"mm/.GIT/config") + b"new file mode 100644\n", "is no path inside a tree"),
        (FILE % (b"link/x", b"link/x") + b"new file mode 100644\n", "link/x cannot be a file: link is a symbolic link"),
        (FILE % (b"link/b.c", b"link/b.c") + b"deleted file mode 100644\n", "link/b.c cannot be a file: link is a symbolic link"),
        (FILE % (b"mm", b"mm") + b"new file mode 100644\n", "mm cannot be a file: mm is a folder"),
        (FILE % (b"top.c/x", b"top.c/x") + b"new file mode 100644\n", "top.c/x cannot be a file: top.c is a file"),
        (
            FILE % (b"mm/b.c", b"mm/b.c") + b"index 1234567..89abcde 100644\nBinary files a/mm/b.c and b/mm/b.c differ\n",
            "mm/b.c differs as a binary file and the patch brings no data; get it with git format-patch --binary",
        ),
    ],
)
def test_refusals(repository: Path, git: RunGit, diff: bytes, said: str) -> None:
    (repository / "link").symlink_to("mm")
    commit(repository, {}, git)
    with pytest.raises(DoesNotApply) as caught:
        apply(repository, "HEAD", series(diff))
    assert said in str(caught.value)


def test_a_link_that_the_series_makes_is_not_followed(repository: Path) -> None:
    link = FILE % (b"way", b"way") + b"new file mode 120000\n--- /dev/null\n+++ b/way\n@@ -0,0 +1 @@\n+mm\n\\ No newline\n"
    through = FILE % (b"way/x.c", b"way/x.c") + b"new file mode 100644\n"
    for wanted in (series(link, through), series(link + through), series(through + link)):
        with pytest.raises(DoesNotApply, match="cannot be a file: way"):
            apply(repository, "base", wanted)


def test_a_folder_gives_way_to_a_file(repository: Path, git: RunGit) -> None:
    git(repository, "rm", "-q", "mm/b.c", "mm/a.c")
    commit(repository, {"mm": b"a file now\n"}, git)
    git(repository, "rm", "-q", "mm")
    commit(repository, {"mm/again.c": b"int x;\n"}, git)
    assert [one.tree for one in apply(repository, "base", series(*diffs(repository, "base")))] == trees(repository, "base")


def test_deleted_and_created_already(repository: Path, git: RunGit) -> None:
    commit(repository, {"mm/b.c": None, "new.c": b"int x;\n"}, git)
    done = apply(repository, "HEAD", series(*diffs(repository, "base")))
    assert done[0].tree == trees(repository, "base")[0]
    assert done[0].notes == ("mm/b.c: already deleted in the tree", "new.c: already in the tree as the patch creates it")


def test_binary_changes_without_data(repository: Path, git: RunGit) -> None:
    commit(repository, {"logo.bin": BINARY + b"1", "new.bin": b"\0new", "mm/b.c": b"int c;\n"}, git)
    patch = diffs(repository, "base", "HEAD", "--abbrev=7")
    assert patch[0].count(b"differ\n") == 2
    wanted = commit(repository, {"logo.bin": BINARY, "new.bin": None}, git)
    done = apply(repository, "base", series(*patch))
    assert done[0].tree == git(repository, "rev-parse", f"{wanted}^{{tree}}")
    assert done[0].notes == (
        "logo.bin: kept as it is, its binary change is not in the patch",
        "new.bin: left out, its binary change is not in the patch",
    )
    full = diffs(repository, "base", "HEAD~", "--full-index")  # the contents are in the repository
    assert apply(repository, "base", series(*full))[0].tree == trees(repository, "base")[0]


def test_a_binary_patch_for_another_content(repository: Path, git: RunGit) -> None:
    commit(repository, {"logo.bin": BINARY + b"1"}, git)
    patch = diffs(repository, "base")
    assert b"\ndelta " in patch[0]
    assert apply(repository, "HEAD", series(*patch))[0].notes == ("logo.bin: already as the patch wants it",)
    broken = series(patch[0].replace(b"\nzc", b"\nzd"))
    commit(repository, {"logo.bin": b"\0other"}, git)
    with pytest.raises(DoesNotApply, match=r"logo.bin is binary and not the content that the patch was made for"):
        apply(repository, "HEAD", series(*patch))
    change = replace(broken.patches[0].files[0], patch=b"delta 7\nGABCDE\n\n")
    broken = replace(broken, patches=(replace(broken.patches[0], files=(change,)),))
    with pytest.raises(DoesNotApply, match=r"binary patch of logo.bin cannot be read: a line of it is damaged"):
        apply(repository, "base", broken)


def test_the_mode_in_the_tree_wins_over_that_of_an_index_line(repository: Path, git: RunGit) -> None:
    commit(repository, {"top.c": b"int other;\n"}, git)
    patch = diffs(repository, "base")
    git(repository, "checkout", "-q", "base")
    (repository / "top.c").chmod(0o755)
    commit(repository, {}, git)
    with Scratch(repository) as scratch:
        done = scratch.apply(git(repository, "rev-parse", "HEAD"), series(*patch))
        assert scratch.git.text("ls-tree", done[0].tree, "top.c").startswith("100755")


def test_no_such_base(repository: Path) -> None:
    with Scratch(repository) as scratch, pytest.raises(InputError, match="no commit or tree '1111"):
        scratch.apply("1" * 40, series())


# What is the user's stays as it is.


def state(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Mode, time and digest of every file and folder, ``.git`` included."""
    result = {}
    for path in sorted(folder.rglob("*")):
        found = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        result[str(path.relative_to(folder))] = (found.st_mode, found.st_mtime_ns, hashlib.sha256(content).hexdigest())
    return result


def hostile(repository: Path, marker: Path, git: RunGit) -> None:
    """Everything that a repository can name to be run, each touching ``marker``."""
    touch = f"touch {marker}; cat"
    script = repository / ".git/evil"
    script.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    script.chmod(0o755)
    for hook in ("pre-commit", "post-index-change", "applypatch-msg", "pre-applypatch", "reference-transaction", "post-checkout"):
        path = repository / ".git/hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {marker}\n")
        path.chmod(0o755)
    (repository / ".git/included").write_text(f"[gpg]\n\tprogram = {script}\n[log]\n\tshowSignature = true\n")
    settings = {
        "core.fsmonitor": str(script),
        "core.hooksPath": str(repository / ".git/hooks"),
        "core.sshCommand": str(script),
        "core.pager": touch,
        "core.editor": touch,
        "core.askPass": str(script),
        "core.alternateRefsCommand": touch,
        "filter.evil.clean": touch,
        "filter.evil.smudge": touch,
        "filter.evil.process": str(script),
        "filter.evil.required": "true",
        "merge.evil.driver": f"touch {marker}; false",
        "merge.default": "evil",
        "diff.external": str(script),
        "diff.evil.textconv": str(script),
        "diff.evil.command": str(script),
        "include.path": str(repository / ".git/included"),
        "credential.helper": f"!{touch}",
        "uploadpack.packObjectsHook": str(script),
        "alias.rev-parse": f"!{touch}",
        "remote.origin.url": f"ext::{script}",
        "remote.origin.promisor": "true",
        "extensions.partialClone": "origin",
        "core.repositoryFormatVersion": "1",
    }
    for key, value in settings.items():
        with (repository / ".git/config").open("a") as file:
            section, _, name = key.rpartition(".")
            head, _, sub = section.partition(".")
            heading = f'[{head} "{sub}"]' if sub else f"[{head}]"
            file.write(f'{heading}\n\t{name} = "{value}"\n')
    (repository / ".git/info").mkdir(exist_ok=True)
    (repository / ".git/info/attributes").write_text("* filter=evil merge=evil diff=evil\n")


@pytest.fixture
def trap(repository: Path, git: RunGit, tmp_path: Path) -> Iterable[tuple[Path, list[bytes]]]:
    """A hostile repository, and patches for it that need a merge."""
    attributes = b"* filter=evil merge=evil diff=evil text eol=crlf ident working-tree-encoding=UTF-16\n"
    commit(repository, {"mm/a.c": LONG.replace("v7;", "x;").encode(), "mm/c.c": b"int c;\n"}, git)
    commit(repository, {"mm/a.c": LONG.replace("v7;", "x;").replace("v20;", "y;").encode()}, git)
    patches = diffs(repository, "base")
    git(repository, "checkout", "-q", "base")
    commit(repository, {"mm/a.c": LONG.replace("v9;", "z;").encode(), "mm/b.c": b"int bee;\n"}, git)
    (repository / ".gitattributes").write_bytes(attributes)
    blob = git(repository, "hash-object", "-w", "--no-filters", ".gitattributes")
    git(repository, "update-index", "--add", "--cacheinfo", f"100644,{blob},.gitattributes")
    git(repository, "commit", "-qm", "attributes")
    git(repository, "update-index", "--force-remove", "mm/b.c")
    marker = tmp_path / "marker"
    hostile(repository, marker, git)
    before = state(repository)
    yield repository, patches
    assert not marker.exists()
    assert state(repository) == before


def test_nothing_is_run_and_nothing_written(
    trap: tuple[Path, list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, patches = trap
    home = tmp_path / "home"
    (home / ".config/git").mkdir(parents=True)
    (home / ".gitconfig").write_text((repository / ".git/config").read_text())
    (home / ".config/git/attributes").write_text("* text eol=crlf ident filter=evil\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", f"touch {tmp_path}/marker")
    with Scratch(repository) as scratch:
        base, staged = scratch.staged()
        assert base != staged
        done = scratch.apply(base, series(*patches))
        assert "merged three-way" in done[0].notes[0]
        scratch.apply(staged, series(*patches))
        with scratch.git.cat_file() as cat:
            content = cat.read(f"{done[1].tree}:mm/a.c")
        assert content == LONG.replace("v9;", "z;").replace("v7;", "x;").replace("v20;", "y;").encode()


def test_a_snapshot_runs_nothing_and_is_byte_for_byte(trap: tuple[Path, list[bytes]], tmp_path: Path, git: RunGit) -> None:
    folder = tmp_path / "plain"
    contents = {
        ".gitattributes": b"* filter=evil text eol=crlf ident working-tree-encoding=UTF-16\n",
        "crlf.c": b"int a;\r\n",
        "mixed.c": b"a\r\nb\n",
        "$Id$.c": b"$Id$\n",
        "sub/.gitattributes": b"*.c ident\n",
        "sub/deep/x.c": b"\xff\xfe\0",
        'qu"ote\\ \n.c': b"q\n",
        "umlaut-\udcff.c": b"",
        ".config": b"CONFIG_MM=y\n",
    }
    for path, content in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "sub/tool.sh").write_bytes(b"#!/bin/sh\n")
    (folder / "sub/tool.sh").chmod(0o755)
    (folder / ".pc").mkdir()
    (folder / ".pc/old.c").write_bytes(b"old\n")
    (folder / "link.c").symlink_to("crlf.c")
    (folder / "folder").symlink_to("sub")
    os.mkfifo(folder / "fifo.c")
    before = state(folder)
    with Scratch(None) as scratch:
        tree = scratch.snapshot(folder)
        scratch.git.run("fsck", "--full", "--strict")
        listing = scratch.git.run("ls-tree", "-r", "-z", tree).split(b"\0")[:-1]
        assert {os.fsdecode(entry.split(b"\t")[1]) for entry in listing} == {*contents, "sub/tool.sh"}
        assert [entry[:6] for entry in listing if entry.endswith(b"tool.sh")] == [b"100755"]
        with scratch.git.cat_file() as cat:
            for entry in listing:
                path = os.fsdecode(entry.split(b"\t")[1])
                assert cat.read(entry.split(b"\t")[0].split(b" ")[2].decode()) == (folder / path).read_bytes()
        patch = FILE % (b"crlf.c", b"crlf.c") + b"--- a/crlf.c\n+++ b/crlf.c\n@@ -1 +1 @@\n-int a;\r\n+int b;\r\n"
        done = scratch.apply(tree, series(patch))
        with scratch.git.cat_file() as cat:
            assert cat.read(f"{done[0].tree}:crlf.c") == b"int b;\r\n"
    assert state(folder) == before


@both
def test_a_snapshot_of_many_files_is_a_sound_pack(repository: Path, git: RunGit) -> None:
    for n in range(300):
        (repository / f"mm/f{n}.c").write_bytes(b"x\n" * (n % 250) ** 2)  # some are equal
    commit(repository, {}, git)
    with Scratch(repository) as scratch:
        assert scratch.snapshot(repository) == git(repository, "rev-parse", "HEAD^{tree}")
        scratch.git.run("verify-pack", str(scratch.objects / "pack/snapshot.idx"))


def test_far_objects_have_a_table_of_their_own() -> None:
    index = _index({b"\1" * 20: (7, 12), b"\2" * 20: (8, 1 << 33)})
    assert index.endswith(struct.pack(">IIIIQ", 7, 8, 12, 1 << 31, 1 << 33))


def test_a_snapshot_of_nothing(tmp_path: Path) -> None:
    with Scratch(None) as scratch:
        assert scratch.snapshot(tmp_path) == EMPTY_TREE[False]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (tmp_path / "closed.c").write_bytes(b"x")
    (tmp_path / "closed.c").chmod(0)
    with Scratch(None) as scratch, pytest.raises(InputError, match=r"closed.c: Permission denied"):
        scratch.snapshot(tmp_path)


# The index.


def staged(repository: Path, index: Path | None = None) -> tuple[str, str]:
    before = state(repository)
    with Scratch(repository) as scratch:
        result = scratch.staged(index)
        scratch.git.run("ls-tree", "-r", result[1])
    assert state(repository) == before
    return result


def written(repository: Path, git: RunGit) -> tuple[str, str]:
    return git(repository, "rev-parse", "HEAD^{tree}"), git(repository, "write-tree")


@both
def test_staged(repository: Path, git: RunGit) -> None:
    assert staged(repository)[0] == staged(repository)[1]
    (repository / "top.c").chmod(0o755)
    (repository / "mm/new.c").write_bytes(b"int n;\n")
    (repository / "mm/b.c").unlink()
    git(repository, "add", "-A")
    (repository / "mm/a.c").write_bytes(b"not staged\n")
    found = staged(repository)
    assert found == written(repository, git) and found[0] != found[1]


def test_no_commit_yet(tmp_path: Path, git: RunGit) -> None:
    git(tmp_path, "init", "-q", "fresh")
    assert staged(tmp_path / "fresh") == (EMPTY_TREE[False], EMPTY_TREE[False])
    (tmp_path / "fresh/a.c").write_bytes(b"int a;\n")
    git(tmp_path / "fresh", "add", "a.c")
    assert staged(tmp_path / "fresh") == (EMPTY_TREE[False], git(tmp_path / "fresh", "write-tree"))


def test_split_index(repository: Path, git: RunGit) -> None:
    git(repository, "update-index", "--split-index")
    (repository / "mm/a.c").write_bytes(b"int changed;\n")
    git(repository, "add", "mm/a.c")
    assert list((repository / ".git").glob("sharedindex.*"))
    assert staged(repository) == written(repository, git)


def test_linked_work_tree_with_split_index(repository: Path, git: RunGit, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "-q", str(tmp_path / "linked"))
    (tmp_path / "linked/mm/a.c").write_bytes(b"int linked;\n")
    git(tmp_path / "linked", "update-index", "--split-index")
    git(tmp_path / "linked", "add", "mm/a.c")
    assert staged(tmp_path / "linked") == written(tmp_path / "linked", git)
    assert staged(repository)[0] == staged(repository)[1]


@both
@pytest.mark.parametrize("version", ["2", "4"])
def test_sparse_checkout_and_sparse_index(repository: Path, git: RunGit, version: str) -> None:
    commit(repository, {"drivers/deep/x.c": b"int x;\n", "drivers/y.c": b"int y;\n"}, git)
    git(repository, "update-index", "--index-version", version)
    git(repository, "sparse-checkout", "set", "--cone", "--sparse-index", "mm")
    assert sparse_index((repository / ".git/index").read_bytes(), len(git(repository, "rev-parse", "HEAD")) // 2)
    (repository / "mm/later.c").write_bytes(b"int later;\n")
    git(repository, "add", "-N", "mm/later.c")
    assert not (repository / "drivers").exists()
    (repository / "mm/b.c").write_bytes(b"int bee;\n")
    git(repository, "add", "mm/b.c")
    found = staged(repository)
    assert found == written(repository, git) and found[0] != found[1]


def test_skip_worktree(repository: Path, git: RunGit) -> None:
    commit(repository, {"sdir": b"a name that looks like a sparse index\n"}, git)
    git(repository, "update-index", "--skip-worktree", "mm/a.c")
    (repository / "mm/a.c").unlink()
    assert staged(repository)[0] == staged(repository)[1]


def test_intent_to_add_is_not_staged(repository: Path, git: RunGit) -> None:
    (repository / "later.c").write_bytes(b"int later;\n")
    git(repository, "add", "-N", "later.c")
    assert staged(repository)[0] == staged(repository)[1]


def test_extensions_of_the_index(repository: Path, git: RunGit) -> None:
    git(repository, "update-index", "--untracked-cache", "--index-version", "4")
    git(repository, "status")
    git(repository, "-c", "core.fsmonitor=true", "update-index", "--fsmonitor-valid", "mm/a.c")
    (repository / "mm/b.c").write_bytes(b"int bee;\n")
    git(repository, "add", "mm/b.c")
    assert staged(repository) == written(repository, git)


def test_conflicts_are_one_line(repository: Path, git: RunGit) -> None:
    commit(repository, {"mm/b.c": b"int one;\n", "top.c": b"int one;\n"}, git)
    git(repository, "checkout", "-q", "-b", "side", "base")
    commit(repository, {"mm/b.c": b"int two;\n", "top.c": b"int two;\n"}, git)
    somebody = ("-c", "user.name=a", "-c", "user.email=a@b")  # a fresh machine knows nobody
    subprocess.run(["git", "-C", str(repository), *somebody, "merge", "main"], capture_output=True)
    with pytest.raises(InputError, match=r"mm/b.c and 1 more is not merged yet; resolve the conflict and git add it$"):
        staged(repository)


def test_the_index_of_a_hook(repository: Path, git: RunGit, tmp_path: Path) -> None:
    """``git commit -o PATH`` shows its hook another index; it is named relative to the top folder."""
    (repository / "mm/b.c").write_bytes(b"int staged;\n")
    (repository / "top.c").write_bytes(b"int only;\n")
    git(repository, "add", "mm/b.c")
    hook = repository / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\necho "$GIT_INDEX_FILE" > {tmp_path}/named\ncp "$GIT_INDEX_FILE" {tmp_path}/kept\n')
    hook.chmod(0o755)
    git(repository, "commit", "-qm", "only", "-o", "top.c")
    committed = git(repository, "rev-parse", "HEAD^{tree}")
    git(repository, "reset", "-q", "--soft", "base")
    named = Path((tmp_path / "named").read_text().strip())
    (repository / named).write_bytes((tmp_path / "kept").read_bytes())
    assert staged(repository, named) == (git(repository, "rev-parse", "base^{tree}"), committed)


def test_a_damaged_index(repository: Path) -> None:
    (repository / ".git/index").write_bytes(b"DIRC\0\0\0\2nonsense")
    with pytest.raises(InputError, match=r"index: the index cannot be read .*; try git status there"):
        staged(repository)


# Where objects come from.


def test_objects_borrowed_in_turn(repository: Path, git: RunGit, tmp_path: Path) -> None:
    commit(repository, {"top.c": b"int changed;\n"}, git)
    shared = tmp_path / 'odd "quoted" name'
    git(tmp_path, "clone", "-q", "--shared", str(repository), str(shared))
    relative = os.path.relpath(repository / ".git/objects", shared / ".git/objects")
    (shared / ".git/objects/info/alternates").write_text(relative + "\n")
    done = apply(shared, git(repository, "rev-parse", "base"), series(*diffs(repository, "base")))
    assert done[0].tree == trees(repository, "base")[0]


def test_bare_linked_shallow(repository: Path, git: RunGit, tmp_path: Path) -> None:
    commit(repository, {"top.c": b"int changed;\n"}, git)
    patch, wanted = series(*diffs(repository, "base")), trees(repository, "base")[0]
    base = git(repository, "rev-parse", "base")
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare")
    git(tmp_path, "clone", "-q", "--depth=1", "--branch=base", f"file://{repository}", "shallow")
    git(repository, "worktree", "add", "-q", str(tmp_path / "linked"))
    for folder in ("bare", "shallow", "linked"):
        assert apply(tmp_path / folder, base, patch)[0].tree == wanted


def test_what_a_partial_clone_lacks(repository: Path, git: RunGit, tmp_path: Path) -> None:
    git(repository, "config", "uploadpack.allowFilter", "true")
    commit(repository, {"top.c": b"int changed;\n"}, git)
    patch = series(*diffs(repository, "base"))
    git(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", f"file://{repository}", "partial")
    with pytest.raises(MissingContent, match=r"top.c: content absent from the repository"):
        apply(tmp_path / "partial", "base", patch)


def test_it_is_gone_after_an_interrupt(repository: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Scratch(repository) as scratch:
        folder = scratch.folder
        raise KeyboardInterrupt
    assert not folder.exists()


def test_the_users_configuration_cannot_forbid_it(
    repository: Path, git: RunGit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".gitconfig").write_text("[safe]\n\tbareRepository = explicit\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    commit(repository, {"top.c": b"int changed;\n"}, git)
    assert apply(repository, "base", series(*diffs(repository, "base")))[0].tree == trees(repository, "base")[0]
