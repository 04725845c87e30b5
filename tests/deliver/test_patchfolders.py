"""``reviewer hook series`` in a repository that keeps patches for a small kernel."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reviewer.deliver.patchfolders import committed, patch_folders

if TYPE_CHECKING:
    from conftest import Repository

    Hook = Callable[..., str]

BALLOON = "drivers/virtio/virtio_balloon.c"


@pytest.fixture
def keeper(tmp_path: Path, bare_kernel: Repository) -> Repository:
    """A repository without a commit, for patches."""
    other = dataclasses.replace(bare_kernel, folder=tmp_path / "patches for it")
    other.folder.mkdir()
    other.git("init", "-q", "-b", "main")
    return other


def put(repository: Repository, **files: str) -> None:
    for name, text in files.items():
        path = repository.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    repository.git("add", "-A")


def patch(kernel: Repository, change: Callable[[], None]) -> str:
    """The diff of a change, which is undone."""
    change()
    diff = kernel.git("diff") + "\n"
    kernel.git("checkout", "-q", ".")
    return diff


@pytest.fixture
def hazard(bare_kernel: Repository) -> str:
    return patch(bare_kernel, bare_kernel.allocate)


@pytest.fixture
def other_hazard(bare_kernel: Repository) -> str:
    return patch(bare_kernel, bare_kernel.allocate_there)


@pytest.fixture
def harmless(bare_kernel: Repository) -> str:
    return patch(bare_kernel, bare_kernel.add_function)


@pytest.fixture
def series(keeper: Repository, bare_kernel: Repository, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> Hook:
    """Runs the verb on what is staged."""
    monkeypatch.chdir(keeper.folder)

    def command(*arguments: str | Path, code: int = 0) -> str:
        return hook("series", "--tree", bare_kernel.folder, *arguments, code=code)

    return command


# --- which folders


def test_folders_of_what_is_staged(keeper: Repository) -> None:
    put(
        keeper,
        **{
            "README": "", "debian/patches/series": "", "debian/patches/mm/one.patch": "", "debian/patches/mm/deep/two.patch": "",
            "board/0001-a.patch": "", "board/0002-b.patch": "", "top.diff": "",
        },
    )  # fmt: skip
    every = (".", "board", "debian/patches")
    assert patch_folders(keeper.folder, None) == every
    keeper.make()
    assert patch_folders(keeper.folder, None) == every, "all of them if nothing is staged"
    put(keeper, README="more")
    assert patch_folders(keeper.folder, None) == ()
    put(keeper, **{"board/0002-b.patch": "more"})
    assert patch_folders(keeper.folder, None) == ("board",)
    put(keeper, **{"debian/patches/mm/deep/two.patch": "more"})
    assert patch_folders(keeper.folder, None) == ("board", "debian/patches")
    assert patch_folders(keeper.folder, None, ["./debian"]) == ("debian/patches",)
    assert patch_folders(keeper.folder, None, ["board/0001-a.patch"]) == ()
    keeper.git("rm", "-q", "-f", "board/0001-a.patch", "board/0002-b.patch")
    assert patch_folders(keeper.folder, None) == ("debian/patches",)


def test_a_folder_as_it_was_committed(keeper: Repository) -> None:
    put(keeper, **{"p/series": "one", "p/mm/one": "old", "q.patch": ""})
    with committed(keeper.folder, "p") as copy:
        assert copy is None, "there is no commit"
    keeper.make()
    put(keeper, **{"p/mm/one": "new", "r/one.patch": ""})
    with committed(keeper.folder, "p") as copy:
        assert copy is not None
        assert {str(file.relative_to(copy)): file.read_text() for file in copy.rglob("*") if file.is_file()} == {
            "series": "one", "mm/one": "old",
        }  # fmt: skip
    assert not copy.exists()
    with committed(keeper.folder, "r") as copy:
        assert copy is None, "the folder is new"


# --- what is said of them


def test_a_quilt_series(keeper: Repository, series: Hook, hazard: str, other_hazard: str, harmless: str) -> None:
    put(keeper, **{"patches/series": "first.patch\n", "patches/first.patch": harmless})
    assert series() == ""
    put(keeper, **{"patches/series": "first.patch\nsub/second.patch -p1\n", "patches/sub/second.patch": hazard})
    said = series(code=1)
    assert "[2/2] second" in said
    assert "kzalloc() with GFP_KERNEL in leak_balloon" in said
    assert said.endswith("SKIP=reviewer-series git commit\n")
    keeper.make()
    put(keeper, **{"patches/series": "sub/second.patch\nfirst.patch\n"})
    assert series() == "", "a hazard that was committed is nothing new"
    put(keeper, **{"patches/series": "sub/second.patch\nthird.patch\n", "patches/third.patch": other_hazard})
    said = series(code=1)
    assert "in virtballoon_oom_notify" in said
    assert "introduced: " + BALLOON in said and said.count("introduced: ") == 1, said


def test_a_folder_of_patches_and_its_end(keeper: Repository, series: Hook, hazard: str, bare_kernel: Repository) -> None:
    def mend() -> None:
        bare_kernel.edit(BALLOON, "\tkzalloc(8, GFP_KERNEL);\n", "")

    put(keeper, **{"0001-a.patch": hazard})
    series(code=1)
    bare_kernel.allocate()
    bare_kernel.git("add", "-A")
    mend()
    put(keeper, **{"0002-b.patch": bare_kernel.git("diff") + "\n"})
    bare_kernel.git("reset", "-q", "--hard")
    assert series() == "", "what a later patch mends is not there at the end"


def test_a_patch_that_does_not_apply(keeper: Repository, series: Hook, hazard: str) -> None:
    put(keeper, **{"p/0001-a.patch": hazard.replace("unsigned int given", "unsigned long given")})
    said = series(code=2)
    assert said.startswith("reviewer: p/0001-a.patch") and said.count("\n") == 1, said
    put(keeper, README="text")
    keeper.make()
    put(keeper, **{"p/0001-a.patch": hazard})
    series(code=1)  # and what did not apply before is no excuse


def test_each_folder_is_said(keeper: Repository, series: Hook, hazard: str, other_hazard: str) -> None:
    put(keeper, **{"a/1.patch": hazard, "b/1.patch": other_hazard})
    said = series(code=1)
    assert "in leak_balloon" in said and "in virtballoon_oom_notify" in said
    assert "in leak_balloon" not in series("b", code=1)
    assert series("--fail-on", "never").count("introduced: ") == said.count("introduced: ")
