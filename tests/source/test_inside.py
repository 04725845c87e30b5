"""Where in its repository a folder lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from reviewer.source.inside import path_in_repository


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    (tmp_path / "repo" / "third party" / "linux").mkdir(parents=True)
    return tmp_path / "repo"


def test_the_top(top: Path) -> None:
    assert path_in_repository(str(top)) == ""


def test_a_folder_below(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert path_in_repository(str(top / "third party" / "linux")) == "third party/linux/"
    monkeypatch.chdir(top / "third party")
    assert path_in_repository("linux") == "third party/linux/"
    assert path_in_repository(".") == "third party/"


def test_a_link_is_followed(top: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(top / "third party" / "linux")
    assert path_in_repository(str(tmp_path / "link")) == "third party/linux/"


def test_a_repository_in_another(top: Path) -> None:
    (top / "third party" / "linux" / ".git").write_text("gitdir: elsewhere\n")
    assert path_in_repository(str(top / "third party" / "linux")) == ""


def test_a_bare_repository_has_no_folder_in_another(top: Path) -> None:
    bare = top / "mirror.git"
    for part in ("objects", "refs"):
        (bare / part).mkdir(parents=True)
    (bare / "HEAD").write_text("ref: refs/heads/main\n")
    assert path_in_repository(str(bare)) == ""


def test_no_repository_at_all(tmp_path: Path) -> None:
    (tmp_path / "linux").mkdir()
    assert path_in_repository(str(tmp_path / "linux")) == ""
