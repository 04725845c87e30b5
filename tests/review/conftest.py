"""One kernel for all tests of a session: the OOM killer and its notifiers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import oom
import pytest
from kernels import Desk, Kernel, Patch, Said, commit, write

from reviewer.data import fixtures_dir


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="session")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    """The miniature of ``fixtures/oom``, with the function by which everybody allocates. No test may change it."""
    folder = tmp_path_factory.mktemp("review") / "linux"
    shutil.copytree(fixtures_dir() / "oom", folder)
    write(folder, {oom.ALLOC: lambda text: text + oom.FRONT})
    commit(folder)
    return Kernel(folder)


@pytest.fixture(scope="session")
def says(kernel: Kernel, desk: Desk) -> Callable[..., Said]:
    """What a review says of patches, with -v; each series is reviewed once in a session."""
    known: dict[str, Said] = {}

    def review(*patches: Patch) -> Said:
        path = kernel.series(*patches)
        text = path.read_text()
        if text not in known:
            known[text] = desk.json(kernel.folder, path, "-v")
        return known[text]

    return review


@pytest.fixture
def own(tmp_path: Path, kernel: Kernel) -> Kernel:
    """A copy of the kernel that a test may change."""
    shutil.copytree(kernel.folder, tmp_path / "linux", symlinks=True)
    return Kernel(tmp_path / "linux")
