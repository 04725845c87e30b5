"""A second scan of the same tree repeats the answer; whatever it rests on changes, it is worked out anew."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reviewer.checks import memo
from reviewer.checks import run as scanner

if TYPE_CHECKING:
    from conftest import Outcome

    Run = Callable[..., Outcome]
    Git = Callable[..., str]

SCAN = ("scan", "--format", "json", "--fail-on", "never")


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests that were really worked out."""
    done: list[Any] = []
    real = scanner.scan

    def spy(tree: Any, store: Any, models: Any, request: Any, progress: Any, cluster: Any = None) -> Any:
        done.append(request)
        return real(tree, store, models, request, progress, cluster)

    monkeypatch.setattr(scanner, "scan", spy)
    return done


@pytest.fixture
def scan(real: Run, kernel: Path, tmp_path: Path, scans: list[Any]) -> Callable[..., tuple[bool, dict[str, Any]]]:
    """Scans the kernel with one store: whether it was worked out, and the report without its statistics."""

    def command(*arguments: str | Path) -> tuple[bool, dict[str, Any]]:
        time.sleep(0.05)  # else what was just written might be written again unseen
        before = len(scans)
        outcome = real(*SCAN, "-C", kernel, "--store", tmp_path / "store", *arguments)
        assert (outcome.code, outcome.err) == (0, "")
        report: dict[str, Any] = json.loads(outcome.out)
        stats = report.pop("stats")
        worked = len(scans) > before
        assert worked or stats["cached"] == stats["files"] > 0
        return worked, report

    return command


Scan = Callable[..., tuple[bool, dict[str, Any]]]


def test_the_same_again(scan: Scan) -> None:
    first = scan()
    assert first[0]
    assert first[1]["findings"] and first[1]["chains"]
    assert scan() == (False, first[1])
    assert scan("--jobs", "1", "--min-confidence", "low")[0] is False, "how it is shown is no other question"


def test_a_changed_file(scan: Scan, kernel: Path) -> None:
    before = scan()[1]
    file = kernel / "kernel/rcu/tree_plugin.h"
    text = file.read_text()
    changed = text.replace("atomic_set(&oom_callback_count, 1)", "atomic_inc(&oom_callback_count)")
    assert changed != text
    file.write_text(changed)
    worked, after = scan()
    assert worked and after["findings"] != before["findings"]
    file.write_text(text)
    assert scan()[1] == before


def test_a_new_file_and_one_less(scan: Scan, kernel: Path) -> None:
    before = scan()[1]
    new = kernel / "mm/new.c"
    new.write_text((kernel / "drivers/virtio/virtio_balloon.c").read_text().replace("virtballoon_oom", "newballoon_oom"))
    worked, after = scan()
    assert worked
    assert "newballoon_oom_notify" in json.dumps(after["chains"])
    new.unlink()
    assert scan() == (False, before)


def test_a_file_of_another_kind_that_is_included(scan: Scan, kernel: Path) -> None:
    balloon = kernel / "drivers/virtio/virtio_balloon.c"
    balloon.write_text('#include "odd.inc"\n' + balloon.read_text())
    scan()
    assert not scan()[0]
    (balloon.parent / "odd.inc").write_text("static int odd;\n")  # was asked for, and not there
    assert scan()[0]
    assert not scan()[0]
    (balloon.parent / "odd.inc").write_text("static int odder;\n")
    assert scan()[0]


@pytest.mark.parametrize(
    "arguments",
    [("--all",), ("--chain", "all"), ("--chain", "oom_notify_list"), ("--rules", "missing-freed-update"), ("--rev", "HEAD")],
)
def test_another_question(scan: Scan, arguments: tuple[str, ...]) -> None:
    scan()
    worked, report = scan(*arguments)
    assert worked
    assert scan(*arguments) == (False, report)


def test_a_configuration(scan: Scan, tmp_path: Path) -> None:
    scan()
    config = tmp_path / "config"
    config.write_text("CONFIG_SMP=y\n")
    assert scan("--config", config)[0]
    assert not scan("--config", config)[0]
    config.write_text("CONFIG_SMP=n\n")
    assert scan("--config", config)[0]


def test_changed_models_and_rules(scan: Scan, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    (mine / "api").mkdir(parents=True)
    plain = scan()[1]
    assert scan("--rules-dir", mine)[0]
    model = mine / "api/x.yaml"
    model.write_text("- call: nobody_calls_this\n  may_sleep: true\n  source: made up for a test\n")
    assert scan("--rules-dir", mine)[0]
    assert scan("--rules-dir", mine) == (False, plain)
    rule = (Path(__file__).parents[2] / "rules/missing-freed-update.yaml").read_text()
    (mine / "missing-freed-update.yaml").write_text(rule)
    assert scan("--rules-dir", mine)[0]
    (mine / "missing-freed-update.yaml").write_text(rule + "# a remark\n")
    assert scan("--rules-dir", mine)[0]
    assert not scan("--rules-dir", mine)[0]


def test_another_version_of_ours(scan: Scan, monkeypatch: pytest.MonkeyPatch) -> None:
    scan()
    monkeypatch.setattr(memo, "installation_digest", lambda: "another")
    assert scan()[0]


def test_the_same_content_elsewhere(real: Run, scan: Scan, kernel: Path, git: Git, tmp_path: Path, scans: list[Any]) -> None:
    """A revision's answer is its content's: it is repeated under the name that was asked for."""
    report = scan("--rev", "HEAD")[1]
    git(kernel, "commit", "-q", "--allow-empty", "-m", "two")
    worked, again = scan("--rev", "HEAD")
    assert not worked
    assert again["tree"]["rev"] == git(kernel, "rev-parse", "HEAD") != report["tree"]["rev"]
    git(tmp_path, "clone", "-q", "--bare", str(kernel), "bare.git")
    outcome = real(*SCAN, tmp_path / "bare.git", "--store", tmp_path / "store")
    assert json.loads(outcome.out)["tree"]["path"] == str(tmp_path / "bare.git")
    assert len(scans) == 1


def test_what_was_absent_and_is_fetched(
    real: Run, kernel: Path, git: Git, tmp_path: Path, scans: list[Any]
) -> None:
    blob = git(kernel, "rev-parse", "HEAD:drivers/virtio/virtio_balloon.c")
    path = kernel / ".git/objects" / blob[:2] / blob[2:]
    path.rename(tmp_path / "blob")
    arguments = (*SCAN, kernel, "--rev", "HEAD", "--store", tmp_path / "store")
    for _ in range(2):
        outcome = real(*arguments)
        assert outcome.code == 3
        assert [one["file"] for one in json.loads(outcome.out)["skipped"]] == ["drivers/virtio/virtio_balloon.c"]
    assert len(scans) == 1
    (tmp_path / "blob").rename(path)
    outcome = real(*arguments)
    assert (outcome.code, json.loads(outcome.out)["skipped"]) == (0, [])
    assert len(scans) == 2


def test_without_a_store_nothing_is_repeated(real: Run, kernel: Path, scans: list[Any]) -> None:
    for _ in range(2):
        real(*SCAN, kernel, "--no-store")
    assert len(scans) == 2


def test_a_file_name_that_is_no_utf8(scan: Scan, kernel: Path) -> None:
    name = b"mm/odd\xff.c".decode("utf-8", "surrogateescape")
    text = (kernel / "drivers/virtio/virtio_balloon.c").read_text().replace("virtballoon_oom", "newballoon_oom")
    (kernel / name).write_text(text)
    first = scan()
    assert first[0] and "newballoon_oom_notify" in json.dumps(first[1]["chains"])
    assert scan() == (False, first[1])


def test_findings_of_a_repeated_answer_can_be_explained(real: Run, scan: Scan, tmp_path: Path) -> None:
    scan()
    report = scan()[1]
    print_ = report["findings"][0]["fingerprint"]
    outcome = real("explain", print_, "--store", tmp_path / "store")
    assert outcome.code == 0 and report["findings"][0]["message"] in outcome.out


def test_cached_counts_files_whose_facts_were_stored(real: Run, kernel: Path, tmp_path: Path) -> None:
    def stats() -> dict[str, int]:
        time.sleep(0.05)
        found: dict[str, int] = json.loads(real(*SCAN, kernel, "--store", tmp_path / "store").out)["stats"]
        return found

    assert stats()["cached"] == 0
    (kernel / "mm/new.c").write_text("int other;\n")
    second = stats()
    assert 0 < second["cached"] < second["files"]


def test_an_index_knows_the_first_answer(scan: Scan, real: Run, kernel: Path, tmp_path: Path, scans: list[Any]) -> None:
    index = ("index", "-q", "-C", kernel, "--store", tmp_path / "store")
    time.sleep(0.05)  # as in scan()
    assert real(*index).code == 0
    assert [request.everything for request in scans] == [False]
    assert not scan()[0]
    time.sleep(0.05)
    (kernel / "mm" / "more.c").write_text("int more(void)\n{\n\treturn 0;\n}\n")
    time.sleep(0.05)
    assert real(*index).code == 0
    assert len(scans) == 1  # what is like a stored tree is indexed in less time than an answer takes
