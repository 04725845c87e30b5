"""Bytes by kind and key in one SQLite file; losing it costs time, never a result.

Several processes may use one store at once. The write-ahead log lets them read while one of them writes;
``synchronous=NORMAL`` keeps the file whole over a kill or a crash, at the price that the last facts may be
lost. Every trouble (another process holds the lock, disk full, read-only folder, garbage in the file) is said
once in a warning and then the work goes on without the store.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from reviewer.errors import StoreError
from reviewer.store.packed import Damaged, pack, unpack

log = logging.getLogger(__name__)

LAST = "nothing_new_is_kept"
"""An attribute of the warning that says so, for commands of which it is the failure."""

SCHEMA = 3
"""Stands in the file's name too, so that two releases with different schemas live side by side."""

FILE_NAME = f"facts-{SCHEMA}.sqlite3"

LOCK_SECONDS = 3.0
"""How long a write waits for another process. Longer than any of our own transactions takes."""

_PAGE_SIZE = 8_192
"""Bytes of a page of the file. Of smaller ones more is left empty, of larger ones more is written anew for each new key."""

_CHUNK = 400
"""Keys per SELECT. SQLite before 3.32 takes at most 999 parameters."""

_CREATE = """
CREATE TABLE IF NOT EXISTS kind (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS fact (
    id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, key BLOB NOT NULL, day INTEGER NOT NULL, value BLOB NOT NULL,
    UNIQUE (kind, key)
);
"""


class Store(Protocol):
    """What everybody else sees of a store.

    ``path`` is the file that holds it, None for one that keeps nothing.
    ``kind`` names what a value is and, behind an ``@``, the version that made it: another version's values are
    simply other rows. ``key`` is a blob id (with a function's number) or the digest of whatever went in.
    ``trouble``: why nothing is kept any more, "" for no trouble.
    """

    trouble: str

    @property
    def path(self) -> Path | None: ...

    def get_many(self, kind: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Values of those keys that are stored."""

    def put_many(self, kind: str, items: Iterable[tuple[str, bytes]]) -> None:
        """Store values, all or none; what is there already is replaced."""

    def memo_get(self, kind: str, key: str) -> bytes | None:
        """One value, or None."""

    def memo_put(self, kind: str, key: str, value: bytes) -> None:
        """Store one value."""

    def forget(self, kind: str, keep: int) -> None:
        """Drop all but the ``keep`` values of ``kind`` that were stored last."""

    def stats(self) -> Mapping[str, int]:
        """Numbers for people: rows by kind, bytes on disk."""

    def gc(self, max_bytes: int | None, version: str = "") -> int:
        """Drop what versions other than ``version`` made, then the oldest until ``max_bytes`` are left.

        :return: bytes freed on disk
        """

    def after_fork(self) -> None:
        """In a child process: leave the parent's connection alone and open another."""

    def close(self) -> None:
        """Let go of the file."""


class NullStore:
    """Keeps nothing (``--no-store``)."""

    path: Path | None = None
    trouble = ""

    def get_many(self, kind: str, keys: Sequence[str]) -> dict[str, bytes]:
        return {}

    def put_many(self, kind: str, items: Iterable[tuple[str, bytes]]) -> None:
        return None

    def memo_get(self, kind: str, key: str) -> bytes | None:
        return None

    def memo_put(self, kind: str, key: str, value: bytes) -> None:
        return None

    def forget(self, kind: str, keep: int) -> None:
        return None

    def stats(self) -> Mapping[str, int]:
        return {}

    def gc(self, max_bytes: int | None, version: str = "") -> int:
        return 0

    def after_fork(self) -> None:
        return None

    def close(self) -> None:
        return None


class FactStore:
    """A store in a folder. Use :meth:`open`.

    :ivar path: the SQLite file. :ivar trouble: why the store is no longer written to or read, "" for no trouble.
    """

    def __init__(self, path: Path, db: sqlite3.Connection | None, readonly: bool = False) -> None:
        self.path = path
        self.trouble = ""
        self._db = db
        self._readonly = readonly
        self._kinds: dict[str, int] = {}

    @classmethod
    def open(cls, folder: Path | str, lock_seconds: float | None = None) -> FactStore:
        """The store in ``folder``, which is made if need be.

        :param lock_seconds: how long a write waits for another process; None for :data:`LOCK_SECONDS`.
        :raises StoreError: ``folder`` is something else than a folder
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"--store {folder}: not a folder", "name a folder for the facts")
        store = cls(folder / FILE_NAME, None)
        try:
            # 0700 is what the XDG Base Directory Specification asks for.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            store._give_up(f"cannot be made ({error.strerror})")
            return store
        store._connect(LOCK_SECONDS if lock_seconds is None else lock_seconds)
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- reading

    def get_many(self, kind: str, keys: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        try:
            number = self._kind(kind)
            if self._db is None or number is None:
                return found
            for start in range(0, len(keys), _CHUNK):
                part = {_short(key): key for key in keys[start : start + _CHUNK]}
                marks = ",".join("?" * len(part))
                rows = self._db.execute(
                    f"SELECT key, value FROM fact WHERE kind = ? AND key IN ({marks})", (number, *part)
                )
                for key, value in rows:
                    found[part[key]] = unpack(value)
        except (sqlite3.Error, Damaged) as error:
            found.clear()  # what came out of a damaged file before the damage showed
            self._trouble(error)
            if self.trouble:
                self.close()  # else each read would wait for the lock again
        return found

    def memo_get(self, kind: str, key: str) -> bytes | None:
        return self.get_many(kind, [key]).get(key)

    # --- writing

    def put_many(self, kind: str, items: Iterable[tuple[str, bytes]]) -> None:
        if not self._wanted_writable():
            return
        today = int(time.time() // 86_400)
        # Values are made before the lock is taken: parsing may stand behind the iterator.
        rows = [(_short(key), today, pack(value)) for key, value in items]
        with self._transaction() as db:
            if db is not None:
                number = self._kind(kind, db)
                db.executemany(
                    "INSERT OR REPLACE INTO fact (kind, key, day, value) VALUES (?, ?, ?, ?)",
                    [(number, *row) for row in rows],
                )

    def memo_put(self, kind: str, key: str, value: bytes) -> None:
        self.put_many(kind, [(key, value)])

    def forget(self, kind: str, keep: int) -> None:
        with self._transaction() as db:
            if db is not None:
                number = self._kind(kind)
                db.execute(
                    "DELETE FROM fact WHERE kind = ?1 AND id NOT IN"
                    " (SELECT id FROM fact WHERE kind = ?1 ORDER BY id DESC LIMIT ?2)",
                    (number, keep),
                )

    # --- upkeep

    def stats(self) -> Mapping[str, int]:
        result: dict[str, int] = {"bytes": _size(self.path)}
        try:
            if self._db is not None:
                rows = self._db.execute(
                    "SELECT name, count(*) FROM fact JOIN kind ON kind.id = fact.kind GROUP BY name ORDER BY name"
                )
                for name, count in rows:
                    result[name.partition("@")[0]] = result.get(name.partition("@")[0], 0) + count
        except sqlite3.Error as error:
            self._trouble(error)
        return result

    def gc(self, max_bytes: int | None, version: str = "") -> int:
        before = _size(self.path)
        freed = 0
        for other in self.path.parent.glob("facts-*.sqlite3*"):
            if not other.name.startswith(FILE_NAME) or other.name.endswith(".broken"):
                freed += _remove(other)
        for compiled in self.path.parent.glob("api-*.msgpack"):  # of models as they once were; made anew in 0.2 s
            freed += _remove(compiled)
        with self._transaction() as db:
            if db is not None:
                self._drop_versions(db, version)
                if max_bytes is not None:
                    _drop_oldest(db, max_bytes)
        try:
            if self._db is not None and not self._readonly:
                self._db.execute("VACUUM")
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            self._trouble(error)
        return freed + max(0, before - _size(self.path))

    def export(self, path: Path) -> None:
        """Write everything as one file, whole or not at all, while others may use the store.

        :raises StoreError: there is no store to be read, or the file cannot be written
        """
        if self._db is None:
            raise StoreError(f"the fact store {self.trouble or 'is not there'}", "name one with --store")
        part = path.with_name(f"{path.name}.part")
        _remove(part)
        try:
            self._db.execute("VACUUM INTO ?", (str(part),))
            part.replace(path)
        except (sqlite3.Error, OSError) as error:
            _remove(part)
            raise StoreError(f"{path}: cannot be written ({error})", "give a file in a folder with room for it") from error

    def take_in(self, path: Path) -> int:
        """Add what an exported file has and we have not, all or nothing.

        :return: values added :raises StoreError: it is no such file, or the store cannot be written to
        """
        mend = "give a file that `reviewer store export` of this release wrote"
        try:
            with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as other:
                (version,) = other.execute("PRAGMA user_version").fetchone()
                if version != SCHEMA or other.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                    raise StoreError(f"{path}: not an exported fact store of this release", mend)
        except sqlite3.Error as error:
            raise StoreError(f"{path}: not an exported fact store ({error})", mend) from error
        added = 0
        if self._db is not None and self._writable():
            self._db.execute("ATTACH ? AS other", (f"{path.absolute().as_uri()}?mode=ro",))
            try:
                with self._transaction() as db:
                    if db is not None:
                        db.execute("INSERT OR IGNORE INTO kind (name) SELECT name FROM other.kind")
                        added = db.execute(
                            "INSERT OR IGNORE INTO fact (kind, key, day, value) SELECT mine.id, f.key, f.day, f.value"
                            " FROM other.fact f JOIN other.kind theirs ON theirs.id = f.kind"
                            " JOIN main.kind mine ON mine.name = theirs.name ORDER BY f.id"
                        ).rowcount
            finally:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("DETACH other")
        if self.trouble or not self._writable():
            raise StoreError(f"the fact store {self.trouble or 'is read-only'}", "try again when that is mended")
        return added

    def _drop_versions(self, db: sqlite3.Connection, version: str) -> None:
        for number, name in db.execute("SELECT id, name FROM kind").fetchall():
            made_by = name.partition("@")[2]
            if version and made_by and made_by.partition("-")[0] != version:
                db.execute("DELETE FROM fact WHERE kind = ?", (number,))
                db.execute("DELETE FROM kind WHERE id = ?", (number,))
                self._kinds.pop(name, None)

    def after_fork(self) -> None:
        # Not closed: SQLite forbids to use, or to close, a connection that was opened before a fork.
        self._parents, self._db = self._db, None
        if self._parents is not None and self._readonly:
            self._db = self._opened_for_reading()
        elif self._parents is not None:
            self._connect(self._lock_seconds)

    def close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(sqlite3.Error):
                db.close()

    # --- inside

    def _connect(self, lock_seconds: float) -> None:
        self._lock_seconds = lock_seconds
        for _ in range(2):  # a broken file is moved aside once; a second failure is not about the file
            try:
                self._db = self._opened(lock_seconds)
                return
            except sqlite3.Error as error:
                if not self._move_aside_if_broken(error):
                    self._connect_readonly(error)
                    return
        self._give_up("cannot be opened")

    def _opened(self, lock_seconds: float) -> sqlite3.Connection:
        db = sqlite3.connect(self.path.absolute().as_uri(), timeout=lock_seconds, isolation_level=None, uri=True)
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                _set_up(db)
            elif version != SCHEMA:
                raise sqlite3.DatabaseError(f"schema {version}, not {SCHEMA}")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA mmap_size = 268435456")
        except BaseException:
            db.close()
            raise
        return db

    def _connect_readonly(self, error: sqlite3.Error) -> None:
        """A store that we may only read is still worth reading."""
        if os.access(self.path, os.R_OK) and not os.access(self.path.parent, os.W_OK):
            with contextlib.suppress(sqlite3.Error):
                self._db = self._opened_for_reading()
                self._db.execute("SELECT count(*) FROM kind").fetchone()
                self._readonly = True
                self._warn_of_end("is read-only")
                return
        self._db = None
        self._give_up(_reason(error))

    def _opened_for_reading(self) -> sqlite3.Connection:
        # immutable: with a log that cannot be written, SQLite would not even read.
        return sqlite3.connect(f"{self.path.absolute().as_uri()}?immutable=1", uri=True)

    def _kind(self, name: str, create: sqlite3.Connection | None = None) -> int | None:
        if name not in self._kinds and self._db is not None:
            if create is not None:
                create.execute("INSERT OR IGNORE INTO kind (name) VALUES (?)", (name,))
            row = self._db.execute("SELECT id FROM kind WHERE name = ?", (name,)).fetchone()
            if row is None:
                return None
            self._kinds[name] = row[0]
        return self._kinds.get(name)

    def _writable(self) -> bool:
        return self._db is not None and not self._readonly and not self.trouble

    def _wanted_writable(self) -> bool:
        """The same, where something was to be kept: that it was not is then a trouble, which has been said."""
        if self._readonly and not self.trouble:
            self.trouble = "is read-only"
        return self._writable()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection | None]:
        """All or nothing, also on Ctrl-C; gives None when the store cannot be written to."""
        if not self._wanted_writable():
            yield None
            return
        assert self._db is not None
        db = self._db
        known = dict(self._kinds)
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self._trouble(error)
            yield None
            return
        try:
            yield db
            db.execute("COMMIT")
        except BaseException as error:
            self._kinds = known
            with contextlib.suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error):
                raise
            self._trouble(error)

    def _trouble(self, error: Exception) -> None:
        if self._move_aside_if_broken(error):
            self._connect(self._lock_seconds)
        elif not self.trouble:
            self._give_up(_reason(error))

    def _give_up(self, reason: str) -> None:
        self.trouble = reason
        self._warn_of_end(reason)

    def _warn_of_end(self, reason: str) -> None:
        log.warning("reviewer: fact store %s %s, so nothing new is kept", self.path.parent, reason, extra={LAST: True})

    def _warn(self, what: str) -> None:
        log.warning("reviewer: fact store %s %s", self.path.parent, what)

    def _move_aside_if_broken(self, error: Exception) -> bool:
        if not _is_broken(error) or self._readonly or not os.access(self.path.parent, os.W_OK):
            return False
        self.close()
        self._kinds = {}
        aside = self.path.with_name(self.path.name + ".broken")
        try:
            self.path.replace(aside)
        except OSError:
            return False
        for suffix in ("-wal", "-shm", "-journal"):  # left behind, they would be applied to the fresh file
            _remove(self.path.with_name(self.path.name + suffix))
        self._warn(f"was damaged ({error}); moved to {aside.name}, starting a fresh one")
        return True


def _set_up(db: sqlite3.Connection) -> None:
    db.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
    # The change to a write-ahead log does not wait for others; whoever comes second finds it done.
    with contextlib.suppress(sqlite3.OperationalError):
        db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in _CREATE.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA}")
        db.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def _drop_oldest(db: sqlite3.Connection, max_bytes: int) -> None:
    (total,) = db.execute("SELECT coalesce(sum(length(value)), 0) FROM fact").fetchone()
    for number, size in db.execute("SELECT id, length(value) FROM fact ORDER BY day, id").fetchall():
        if total <= max_bytes:
            return
        db.execute("DELETE FROM fact WHERE id = ?", (number,))
        total -= size


def _short(key: str) -> str | bytes:
    """A key as it stands in the file: one of digits of a digest as the bytes that they mean. There are a million."""
    return bytes.fromhex(key) if _DIGEST.fullmatch(key) else key


_DIGEST = re.compile(r"(?:[0-9a-f]{2}){8,}")


def _is_broken(error: Exception) -> bool:
    if isinstance(error, Damaged):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # raised by ourselves: another schema
        return type(error) is sqlite3.DatabaseError
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


def _reason(error: Exception) -> str:
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "is locked by another process"
    if code == sqlite3.SQLITE_FULL:
        return "has no room left on its disk"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return "cannot be written to"
    return f"cannot be used ({error})"


def _size(path: Path) -> int:
    total = 0
    for name in (path, path.with_name(path.name + "-wal")):
        with contextlib.suppress(OSError):
            total += name.stat().st_size
    return total


def _remove(path: Path) -> int:
    try:
        size = path.stat().st_size
        path.unlink()
    except OSError:
        return 0
    return size
