"""SIGKILL in the middle of a fill, over and over: what was committed is there, half of anything is not, and the next run goes on.

A run is killed at a statement of SQL, which is sure to be in the middle of a write, and by the clock, which also hits what SQLite
does in one statement: the commit, a checkpoint, the opening of a store that the last kill left with a log.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reviewer.checks.result import ScanRequest
from reviewer.cli import engine
from reviewer.program.api.load import load_models
from reviewer.program.api.models import ApiModels
from reviewer.program.index import scope, symbols, words
from reviewer.program.views import fill
from reviewer.source.tree import open_tree
from reviewer.store.factstore import FILE_NAME, FactStore
from reviewer.store.packed import unpack

ROUNDS = 100
"""Runs that die."""

FILES = 48

BATCH = 4
"""Files in a batch, so that there are a dozen."""

PAGES = 400
"""Of each index. A page is a row; those of a kernel are 40,000, some 160 MB."""

CACHE = 10
"""Pages of 4 KiB that SQLite holds back in memory. In a kernel's index it has far more to write than it holds back, and so has to
write rows to the log long before they are committed; here it must be told to."""

LOG = 40
"""Pages in the log after which SQLite moves it into the file: as often, for so few rows, as in the index of a kernel."""

BEGIN, END = "begin", "end"
"""What a run says around each of its transactions."""

ENOUGH = 0.1
"""Share of a fill that is left to do, below which the rest is done without a kill."""

Facts = dict[tuple[str, str], bytes]
"""(kind, key) to value."""


@pytest.fixture(scope="module")
def models() -> ApiModels:
    return load_models()


@pytest.fixture
def linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of small files, an hour old: no change of them can hide within a tick of the clock."""
    monkeypatch.setattr(fill, "BATCH", BATCH)
    for module, name in ((symbols, "PAGES"), (scope, "PAGES"), (words, "PAGES"), (scope, "WORD_PAGES")):
        monkeypatch.setattr(module, name, PAGES)
    folder = tmp_path / "linux"
    folder.mkdir()
    for n in range(FILES):
        text = f"static DEFINE_MUTEX(gate{n});\n" + "".join(
            f"int pump{n}_{k}(int a)\n{{\n\tmutex_lock(&gate{n});\n\tmsleep({k});\n\tmutex_unlock(&gate{n});\n\treturn a;\n}}\n"
            for k in range(3)
        )
        (folder / f"pump{n}.c").write_text(text)
        os.utime(folder / f"pump{n}.c", (time.time() - 3600,) * 2)
    time.sleep(0.05)
    return folder


@dataclass(frozen=True)
class End:
    """How a run ended. ``died``: by the kill. ``said``: its lines, each written when what it tells was done or begun."""

    died: bool
    said: tuple[str, ...]
    seconds: float

    @property
    def files(self) -> int:
        """Files whose functions it had committed."""
        return max((int(line.split()[1]) for line in self.said if line.startswith("done")), default=0)

    @property
    def in_a_write(self) -> bool:
        """It died in a transaction, its commit included."""
        return self.died and [line for line in self.said if line in (BEGIN, END)][-1:] == [BEGIN]


class Told(FactStore):
    """A store that says when it begins and ends to write."""

    say: Callable[[str], None]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection | None]:
        self.say(BEGIN)
        with super()._transaction() as db:
            yield db
        self.say(END)


class Runs:
    """Runs of `reviewer index` in processes that are forked, which costs a hundredth of a second and no import."""

    def __init__(self, linux: Path, models: ApiModels) -> None:
        self._linux = linux
        self._models = models

    def __call__(self, store: Path, seconds: float | None = None, statement: int = 0) -> End:
        """Fill a store.

        :param seconds: the kill comes so long after it has begun to write.
        :param statement: it comes before this statement of SQL, counted from 1.
        """
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(read)
                self._fill(store, lambda line: os.write(write, f"{line}\n".encode()), statement)
                os._exit(0)
            except BaseException:
                traceback.print_exc(file=sys.__stderr__)
            finally:
                os._exit(1)
        os.close(write)
        with os.fdopen(read, "rb") as said:
            first = said.readline()
            started = time.monotonic()
            if seconds is not None:
                time.sleep(seconds)
                os.kill(child, signal.SIGKILL)
            lines = (first + said.read()).decode().splitlines()
        spent = time.monotonic() - started
        status = os.waitpid(child, 0)[1]
        died = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        assert died or status == 0, "a run failed, its traceback is above"
        return End(died, tuple(lines), spent)

    def _fill(self, folder: Path, say: Callable[[str], None], kill_at: int) -> None:
        """In the child: the work of `reviewer index`."""
        count = 0

        def before(statement: str) -> None:
            nonlocal count
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        def progress(what: str, done: int, of: int) -> None:
            if what.startswith("functions"):  # of a batch that was committed
                say(f"done {done}")

        with Told.open(folder) as store:
            assert store._db is not None
            store.say = say
            store._db.execute(f"PRAGMA cache_size = {CACHE}")
            store._db.execute(f"PRAGMA wal_autocheckpoint = {LOG}")
            store._db.set_trace_callback(before)
            engine.index(open_tree(str(self._linux)), store, self._models, ScanRequest(), progress)
        say(f"statements {count}")


@pytest.fixture
def run(linux: Path, models: ApiModels) -> Runs:
    return Runs(linux, models)


ANSWERS = frozenset({"answer", "findings", "part", "trace"})
"""Kinds of what was made of facts, which tell how long it took."""


KEY = "CASE typeof(key) WHEN 'blob' THEN lower(hex(key)) ELSE key END"


def facts_as_left(store: Path, aside: Path) -> Facts:
    """All facts of a store when it is opened as a kill has left it.

    A copy is opened: that mends it, and the next run is to find the store as it was left.
    """
    if not (store / FILE_NAME).exists():
        return {}
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(store, aside)
    with FactStore.open(aside) as opened:
        found = {key: value for kind in kinds(aside) for key, value in facts_of(opened, kind)}
        assert opened.trouble == ""
    assert not list(aside.glob("*.broken")), "the store was thought to be damaged"
    with contextlib.closing(sqlite3.connect(aside / FILE_NAME)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = db.execute(f"SELECT name, {KEY}, value FROM fact JOIN kind ON kind.id = kind")
        assert found == {(name, key): unpack(value) for name, key, value in rows}
    return {key: value for key, value in found.items() if key[0].partition("@")[0] not in ANSWERS}


def kinds(store: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(store / FILE_NAME)) as db:
        return [name for (name,) in db.execute("SELECT name FROM kind")]


def facts_of(opened: FactStore, kind: str) -> Iterator[tuple[tuple[str, str], bytes]]:
    assert opened._db is not None
    rows = opened._db.execute(f"SELECT {KEY} FROM fact JOIN kind ON kind.id = kind WHERE name = ?", (kind,))
    keys = [key for (key,) in rows]
    for key, value in opened.get_many(kind, keys).items():
        yield (kind, key), value


def of(facts: Facts, what: str) -> Facts:
    """Those of one kind, whatever version made them."""
    return {key: value for key, value in facts.items() if key[0].split("@")[0] == what}


def check(facts: Facts, whole: Facts, ended: End) -> None:
    """A store after a kill, against one that nobody killed."""
    assert facts.items() <= whole.items(), "something else is served than what is so"
    for index in ("symbols", scope._WORDS):
        assert len(of(facts, index)) in (0, len(of(whole, index))), "half an index"
    marked = [key for kind, key in facts if kind.startswith("filled") and not kind.endswith("-trees")]
    assert len(marked) >= ended.files, "what was committed is gone"
    if any(kind.endswith("-trees") for kind, _ in facts):
        assert facts == whole, "the tree counts as done, and is not"
    bodies = len(of(facts, "body"))
    assert bodies >= len(of(whole, "body")) // FILES * len(marked), "a file counts as done without its functions"


def killed_all_over(run: Runs, tmp_path: Path, whole: Facts, kill: Callable[[Path, float], End], rounds: int) -> list[End]:
    """Kills runs on a store until it is nearly full, has it filled to the end, and goes on with a new one, until so many died.

    :param kill: a run on a store that is to be killed when this share of a fill of an empty one is done.
    :return: all runs, at most twice as many: most of the kills must come before the end.
    """
    chance = random.Random(0)
    ends: list[End] = []
    store, left, before = tmp_path / "store", 1.0, Facts()
    while sum(end.died for end in ends) < rounds and len(ends) < 2 * rounds:
        share = chance.random() * left
        ends.append(kill(store, share))
        facts = facts_as_left(store, tmp_path / "aside")
        check(facts, whole, ends[-1])
        assert before.items() <= facts.items(), "a kill has cost what an earlier run had committed"
        left, before = left - share, facts
        if left < ENOUGH or not ends[-1].died:
            if facts != whole:
                assert not run(store).died
            assert facts_as_left(store, tmp_path / "aside") == whole
            store, left, before = tmp_path / f"store{len(ends)}", 1.0, Facts()
    return ends


@pytest.fixture
def whole(linux: Path, models: ApiModels, tmp_path: Path) -> Facts:
    """What a store holds when nobody is killed. Done in this process, which has then imported all that its children need."""
    with FactStore.open(tmp_path / "whole") as store:
        engine.index(open_tree(str(linux)), store, models, ScanRequest(), lambda *_: None)
    found = facts_as_left(tmp_path / "whole", tmp_path / "aside")
    assert len(of(found, "body")) == 3 * FILES and len(of(found, "symbols")) == PAGES + 1
    return found


def test_killed_at_a_statement(run: Runs, tmp_path: Path, whole: Facts) -> None:
    statements = int(run(tmp_path / "counted").said[-1].split()[1])
    ends = killed_all_over(run, tmp_path, whole, lambda at, share: run(at, statement=1 + int(share * statements)), ROUNDS // 2)
    assert sum(end.died for end in ends) == ROUNDS // 2
    assert sum(end.in_a_write for end in ends) > ROUNDS // 4


@pytest.mark.slow
def test_killed_by_the_clock(run: Runs, tmp_path: Path, whole: Facts) -> None:
    seconds = min(run(tmp_path / f"timed{n}").seconds for n in range(3))

    def kill(at: Path, share: float) -> End:
        nonlocal seconds
        end = run(at, seconds=share * seconds)
        if not end.died:
            seconds *= 0.9  # the machine has less to do than when it was timed
        return end

    ends = killed_all_over(run, tmp_path, whole, kill, ROUNDS)
    assert sum(end.died for end in ends) == ROUNDS
    assert any(end.in_a_write for end in ends)  # how many is the machine's to say; the other test counts them
