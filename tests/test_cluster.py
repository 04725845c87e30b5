"""Two workers of a cluster say what this process says."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reviewer.checks.result import ScanRequest
from reviewer.checks.run import scan
from reviewer.cluster import Cluster
from reviewer.data import fixtures_dir
from reviewer.errors import InputError
from reviewer.parse.dialect import load_dialect
from reviewer.program.api.load import load_models
from reviewer.program.index.scope import Definitions
from reviewer.program.views.fill import fill_tree
from reviewer.source.tree import open_tree
from reviewer.store.factstore import FILE_NAME, FactStore, NullStore


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address.replace("tcp://", "dask://")


def commit(folder: Path) -> None:
    """Everything in a folder as a commit of a repository there."""
    for line in ("init -q", "add -A", "-c user.name=a -c user.email=a@b commit -qm one"):
        subprocess.run(["git", "-C", str(folder), *line.split()], check=True)


def silent(what: str, done: int, of: int) -> None:
    """No progress."""


def test_the_same_findings(address: str) -> None:
    tree = open_tree(str(fixtures_dir() / "oom"))
    request = ScanRequest(everything=True)
    here = scan(tree, NullStore(), load_models(), request, silent)
    with Cluster(address) as cluster:
        there = scan(tree, NullStore(), load_models(), request, silent, cluster)
    assert there.findings == here.findings
    assert here.findings


def test_an_edit_after_an_answer_from_elsewhere(address: str, tmp_path: Path) -> None:
    """What was worked out on other machines is kept with what it rests on, too."""
    tree, models, request = tmp_path / "linux", load_models(), ScanRequest(everything=True)
    shutil.copytree(fixtures_dir() / "sleep-in-atomic", tree)
    commit(tree)
    with FactStore.open(tmp_path / "store") as store:
        Definitions(open_tree(str(tree), "HEAD"), store).build(silent)
        with Cluster(address) as cluster:
            before = scan(open_tree(str(tree), "HEAD"), store, models, request, silent, cluster)
        spared = tree / "drivers/spared.c"
        spared.write_text(spared.read_text().replace("tank_packet(tank, MSG_DONTWAIT)", "tank_packet(tank, 0)"))
        commit(tree)
        after = scan(open_tree(str(tree), "HEAD"), store, models, request, silent)
    fresh = scan(open_tree(str(tree), "HEAD"), NullStore(), models, request, silent)
    assert after.findings == fresh.findings
    assert len(after.findings) == len(before.findings) + 1


def test_the_same_facts(address: str, tmp_path: Path) -> None:
    import sqlite3

    tree, models, dialect = open_tree(str(fixtures_dir() / "oom")), load_models(), load_dialect()
    rows = []
    with Cluster(address) as cluster:
        for name, others in (("here", None), ("there", cluster)):
            with FactStore.open(tmp_path / name) as store:
                fill_tree(tree, store, models, dialect, 1, silent, others)
            with sqlite3.connect(tmp_path / name / FILE_NAME) as db:
                query = "SELECT name, key, value FROM fact JOIN kind ON kind.id = fact.kind ORDER BY name, key"
                rows.append(db.execute(query).fetchall())
    assert rows[0] == rows[1]
    assert len(rows[0]) > 20


@pytest.mark.parametrize("wrong", ["dask://", "localhost:8786", "dask://localhost", "dask://localhost:x"])
def test_no_address(wrong: str) -> None:
    with pytest.raises(InputError, match="not an executor"):
        Cluster(wrong)


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("reviewer.cluster.TIMEOUT", 1)
    with pytest.raises(InputError, match="no scheduler answers"), Cluster("dask://127.0.0.1:9"):
        pass
