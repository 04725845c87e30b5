"""A library that answers from memory, so that the command line is tested without an analysis."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from running import COMMAND, NO_PRIVILEGES, commit_all, environment, run_git

from reviewer.checks.finding import Finding, Step
from reviewer.checks.result import Progress, ScanRequest, ScanResult, Site, Stats
from reviewer.cli import engine
from reviewer.cli.main import run
from reviewer.data import fixtures_dir
from reviewer.errors import InputError, MissingContent
from reviewer.report.doctor import CallHealth
from reviewer.report.views import ContextReport, Edge, GraphReport, Node, RelianceReport


@dataclass
class FakeTree:
    """The files of a folder, without git."""

    path: str
    rev: str | None = None
    closed: bool = False

    def paths(self) -> Sequence[str]:
        return [*(f"file{n}.c" for n in range(18)), "mm/a.c", "fs/c.c"]

    def exists(self, path: str) -> bool:
        return (Path(self.path) / path).is_file()

    def read(self, path: str) -> bytes:
        try:
            return (Path(self.path) / path).read_bytes()
        except OSError as error:
            raise MissingContent(f"{path}: {error.strerror}") from None

    def read_many(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes | MissingContent]]:
        for path in paths:
            try:
                yield path, self.read(path)
            except MissingContent as error:
                yield path, error

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeStore:
    rows: dict[tuple[str, str], bytes]
    closed: bool = False
    trouble: str = ""

    def memo_get(self, kind: str, key: str) -> bytes | None:
        return self.rows.get((kind, key))

    def put_many(self, kind: str, items: Iterable[tuple[str, bytes]]) -> None:
        self.rows.update(((kind, key), value) for key, value in items)

    def stats(self) -> Mapping[str, int]:
        return {"outlines": 3, "bytes": 1024}

    def gc(self, max_bytes: int | None, version: str = "") -> int:
        assert version, "another version's facts are to go"
        return 5_000_000 if max_bytes is None else max_bytes

    def close(self) -> None:
        self.closed = True


class FakeRule(NamedTuple):
    id: str
    title: str = "a title"
    what: str = "What it is."
    why: str = "Why it matters."
    mend: str = "How to mend it."
    source: str = "a document"
    severity: str = "error"
    confidence: str = "high"
    family: str = "general"


@dataclass
class Library:
    """What the fakes answer, and what they were asked."""

    findings: tuple[Finding, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    messages: tuple[str, ...] = ()
    error: BaseException | None = None
    request: ScanRequest | None = None
    store_path: Path | None = None
    asked: list[tuple[str, Any]] = field(default_factory=list)
    trees: list[FakeTree] = field(default_factory=list)
    stores: list[FakeStore] = field(default_factory=list)
    rows: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def open_tree(self, path: str, rev: str | None) -> FakeTree:
        if not Path(path).is_dir():
            raise InputError(f"{path}: no such directory", "name a kernel tree")
        self.trees.append(FakeTree(path, rev))
        return self.trees[-1]

    def open_store(self, path: Path | None) -> FakeStore:
        self.store_path = path
        self.stores.append(FakeStore(self.rows))
        return self.stores[-1]

    def load_models(self, extra: Sequence[Path], cache: Path | None) -> str:
        return "models"

    def scan(
        self, tree: FakeTree, store: FakeStore, models: object, request: ScanRequest, progress: Progress,
        executor: str | None = None,
    ) -> ScanResult:  # fmt: skip
        self.request = request
        progress("reading", 1, 2)
        if self.error is not None:
            raise self.error
        return ScanResult(
            tree_path=tree.path,
            rev=tree.rev,
            stats=Stats(files=2, functions=5, seconds=0.1),
            findings=self.findings,
            skipped=self.skipped,
            messages=self.messages,
        )

    def open_program(self, *asked: object) -> str:
        return "program"

    def calls(self, tree: FakeTree, store: FakeStore, models: object, paths: Sequence[str], jobs: int) -> CallHealth:
        self.asked.append(("calls", len(paths)))
        return CallHealth(
            files=len(paths), functions=1, direct=4, defined=2, modelled=1, external=0, indirect=1, indirect_known=1
        )

    def describe(self, program: object, function: str) -> tuple[ContextReport, ...]:
        if function == "nowhere":
            raise InputError("the tree does not define nowhere", "spell it as the tree does")
        return tuple(ContextReport(function=function, file=file, line=3) for file in ("a.c", "b.c"))

    def relies_on(self, program: object, lock: str, store: object, jobs: int) -> RelianceReport:
        return RelianceReport(lock=lock)

    def call_graph(self, program: object, start: str | None) -> GraphReport:
        self.asked.append(("calls", start))
        return GraphReport(kind="calls", nodes=(Node("f"),), edges=(Edge("f", "g", Site("f", "a.c", 1)),))

    def lock_graph(self, program: object, start: str | None) -> GraphReport:
        self.asked.append(("locks", start))
        return GraphReport(kind="locks")

    def unread(self, tree: FakeTree, program: object) -> tuple[tuple[str, str], ...]:
        return self.skipped

    def all_rules(self, extra: Sequence[Path]) -> Sequence[FakeRule]:
        return [FakeRule("lock-imbalance"), FakeRule("sleep-in-atomic")]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Library:
    """The fake library, in place of the real one; the cache is an empty folder."""
    fake = Library()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in (
        *("open_tree", "open_store", "load_models", "scan", "open_program", "describe", "relies_on"),
        *("call_graph", "lock_graph", "all_rules", "calls"),
    ):
        monkeypatch.setattr(engine, name, getattr(fake, name))
    monkeypatch.setattr(engine, "skipped", fake.unread)
    return fake


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty tree, which is also the current folder."""
    folder = tmp_path / "linux"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def make_finding() -> Callable[..., Finding]:
    """A finding; keyword arguments replace its parts."""

    def make(**parts: Any) -> Finding:
        step = Step("call", "mm/a.c", 7, "f", "g()", ("a_lock",))
        given = {
            "rule": "sleep-in-atomic",
            "severity": "error",
            "confidence": "medium",
            "file": "mm/a.c",
            "line": 7,
            "column": 2,
            "function": "f",
            "message": "g() may sleep",
            "involves": ("a_lock",),
            "proof": (step,),
            "event": "g()",
            "fingerprint": "0123456789abcdef",
        }
        return Finding(**{**given, **parts})

    return make


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def reviewer(library: Library, tree: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs one command line in the empty tree, with the fake library."""

    def command(*arguments: str) -> Outcome:
        code = run(arguments)
        return Outcome(code, *capfd.readouterr())

    return command


# --- the real library, on small kernels ------------------------------------------------------------

@pytest.fixture
def git() -> Callable[..., str]:
    return run_git


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """A work tree with a small kernel, committed: an OOM chain and five users."""
    folder = tmp_path / "kernel"
    shutil.copytree(fixtures_dir() / "oom", folder)
    commit_all(folder)
    return folder


@pytest.fixture
def commit() -> Callable[..., None]:
    return commit_all


@pytest.fixture
def real(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Runs one command line with the real library, in this process; the cache is an empty folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def command(*arguments: str | Path) -> Outcome:
        code = run([str(argument) for argument in arguments])
        return Outcome(code, *capfd.readouterr())

    return command


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., Outcome]:
    """Runs one command line in a process of its own, which may do what files' permissions say and no more."""
    if NO_PRIVILEGES and shutil.which(NO_PRIVILEGES[0]) is None:
        pytest.skip("run by root, and there is no setpriv")

    def command(*arguments: str | Path) -> Outcome:
        done = subprocess.run(
            [*NO_PRIVILEGES, *COMMAND, *map(str, arguments)], env=environment(tmp_path / "cache"), capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, done.stderr)

    return command


def one_line(outcome: Outcome, code: int, *parts: str) -> None:
    """The exit code, and one line on standard error with all of ``parts``."""
    assert outcome.code == code, outcome
    assert outcome.err.startswith("reviewer: ") and outcome.err.count("\n") == 1, outcome.err
    for part in parts:
        assert part in outcome.err, outcome.err


@pytest.fixture
def says() -> Callable[..., None]:
    return one_line


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """A job in the background of a script starts with Ctrl-C ignored, and so would the commands that tests interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
