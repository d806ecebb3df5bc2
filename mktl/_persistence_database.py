"""The database in which a daemon keeps its persistent values: one open SQLite file."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ._persistence_carving import PAGE, Row, checksum

__all__ = ["Damaged", "Database", "Doubt", "HighWater"]

_log = logging.getLogger(__name__)

APPLICATION = 0x6D4B544C  # "mKTL" in ASCII
VERSION = 2

_HEADERS = tuple(b"SQLite format 3\0\x10\0" + mode * 2 for mode in (b"\1", b"\2"))
"""How a file begins: its kind, the size of a page, and twice whether it has a log."""

_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LOCK_WAIT_S = 1.0

_SCHEMA = (
    """CREATE TABLE saved_values (
    key TEXT PRIMARY KEY, payload BLOB NOT NULL, bulk BLOB,
    serial INTEGER NOT NULL, checksum INTEGER NOT NULL
)""",
    """CREATE TABLE doubts (
    key TEXT NOT NULL, serial INTEGER NOT NULL, reason TEXT NOT NULL, found REAL NOT NULL,
    payload, bulk, PRIMARY KEY (key, serial)
)""",
    "CREATE TABLE notes (name TEXT PRIMARY KEY, value)",
)
_UPSERT = """
INSERT INTO saved_values (key, payload, bulk, serial, checksum) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    payload = excluded.payload, bulk = excluded.bulk,
    serial = excluded.serial, checksum = excluded.checksum
"""
_DOUBT = "INSERT OR REPLACE INTO doubts VALUES (?, ?, ?, ?, ?, ?)"
_IMPORTED = "INSERT OR REPLACE INTO notes VALUES ('reference imported', 1)"


class Damaged(Exception):
    """The file is not, or not any more, a database that can be used here."""


class Doubt(NamedTuple):
    """Why the value of an item may not be the last one that was set."""

    serial: int
    """What was saved up to here is in doubt; what was saved later is not."""
    reason: str


@contextlib.contextmanager
def _telling_damage(*more: int) -> Iterator[None]:
    """Tell a file that is broken, which *more* codes may mean, from one that is out of reach."""
    try:
        yield
    except UnicodeDecodeError as error:  # of a message that quotes what it has found
        raise Damaged(f"it holds text that is none: {error}") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None or code & 0xFF not in (*_DAMAGE, *more):
            raise
        raise Damaged(str(error)) from error


class Database:
    """One file, in write-ahead mode with full synchronisation, held by this process alone.

    As it is held alone, SQLite needs no shared memory beside it: that could not be made on a full
    disk, nor on most network file systems.

    Args:
        path: The file; made if it is not there.

    Attributes:
        last: The serial of what was saved last.

    Raises:
        Damaged: it is to be moved aside.
        sqlite3.Error: it cannot be opened now.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last = 0
        self._log_path = Path(f"{path}-wal")
        self._unkept: dict[str, Doubt] = {}
        _check_header(path)
        self._connection = sqlite3.connect(
            path, timeout=_LOCK_WAIT_S, check_same_thread=False, isolation_level=None
        )
        # What cannot be decoded is damaged, which its checksum will tell.
        self._connection.text_factory = lambda data: data.decode(errors="replace")
        try:
            # Nothing else is wrong with what is asked there: the file is of another format.
            with _telling_damage(sqlite3.SQLITE_ERROR):
                self._prepare()
        except BaseException:  # nobody else would close it
            self._connection.close()
            raise
        self._places = self._look()

    def _prepare(self) -> None:
        for pragma in (
            f"page_size = {PAGE}",
            "locking_mode = EXCLUSIVE",  # before anything is read: no shared memory, then
            "synchronous = FULL",
            "fullfsync = ON",  # macOS would leave it to the drive
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        version = self._version()
        # Not the quick one: with a damaged index, a new value would stand beside the old one.
        (verdict,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise Damaged(" ".join(verdict.split()))
        self._connection.execute("PRAGMA journal_mode = WAL")
        if version < VERSION:
            self._upgrade()
        if not set(_SCHEMA) <= self._master("sql"):
            raise Damaged("its tables are not those of this package")
        self.last = max(self._greatest("saved_values"), self._greatest("doubts"))

    def _version(self) -> int:
        """Return the version of the file; 0 if there is nothing in it."""
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if application == APPLICATION:
            if version > VERSION:
                raise Damaged(f"it was made by a newer version of this package ({version})")
            if version < VERSION:
                raise Damaged(f"its version is {version}, which never was")
            return int(version)
        if application or version > 1 or not self._master("name") <= {"persistent_values"}:
            raise Damaged("it is the database of something else")
        return int(version)

    def _master(self, column: str) -> set[str | None]:
        return {
            found for (found,) in self._connection.execute(f"SELECT {column} FROM sqlite_master")
        }

    def _upgrade(self) -> None:
        with self._transaction() as connection:
            for statement in _SCHEMA:
                connection.execute(statement)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 1:
                connection.execute(_IMPORTED)
            if "persistent_values" in self._master("name"):
                rows = connection.execute("SELECT key, payload, bulk FROM persistent_values")
                self._take_in_old(rows.fetchall())
                connection.execute("DROP TABLE persistent_values")
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")

    def _take_in_old(self, rows: Iterable[tuple[Any, Any, Any]]) -> None:
        """Take in rows of version 1, which had no checksums."""
        for serial, (key, payload, bulk) in enumerate(rows, 1):
            row = Row(key, payload, bulk, serial)
            if _is_well_formed(row):
                self._connection.execute(_UPSERT, (*row, checksum(row)))
            else:
                self._insert_doubt(str(key), serial, _ODD, payload, bulk)

    def _greatest(self, table: str) -> int:
        (serial,) = self._connection.execute(f"SELECT max(serial) FROM {table}").fetchone()
        return int(serial or 0)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit all that is done within, or nothing."""
        with _telling_damage():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:  # all or nothing, whatever has ended it
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def write(self, rows: Sequence[Row]) -> None:
        """Write *rows*, all or none; they are on disk when this returns."""
        with self._transaction() as connection:
            connection.executemany(_UPSERT, [(*row, checksum(row)) for row in rows])
        self.last = max(self.last, *(row.serial for row in rows))

    def read(self) -> list[Row]:
        """Return all rows. One that is damaged is kept as a doubt, and is no value any more."""
        select = "SELECT rowid, key, payload, bulk, serial, checksum FROM saved_values"
        good, bad = [], []
        with _telling_damage():
            rows = self._connection.execute(select).fetchall()
        for rowid, *columns, sum_ in rows:
            row = Row(*columns)
            if _is_well_formed(row) and sum_ == checksum(row):
                good.append(row)
            else:
                bad.append((rowid, row))
        if bad:
            self._set_aside(bad)
        return good

    def _set_aside(self, bad: list[tuple[int, Row]]) -> None:
        """Make doubts of rows that are damaged."""
        for _rowid, row in bad:
            _log.error(
                "the row of %r in %s is damaged: it is kept, and not used", row.key, self.path
            )
        try:
            with self._transaction() as connection:
                for rowid, row in bad:
                    self._insert_doubt(str(row.key), self.last, _why(row), row.payload, row.bulk)
                    connection.execute("DELETE FROM saved_values WHERE rowid = ?", (rowid,))
        except sqlite3.Error as error:  # a full disk: they stay where they are, and are found again
            _log.error("they stay in their place in %s: %s", self.path, error)
            self._unkept = {str(row.key): Doubt(self.last, _why(row)) for _rowid, row in bad}

    def note_doubts(self, doubts: Iterable[tuple[str, str]], upto: int) -> None:
        """Doubt, for the reasons given, the values of keys that were saved until serial *upto*."""
        with self._transaction():
            for key, reason in doubts:
                self._insert_doubt(key, upto, reason, None, None)
        self.last = max(self.last, upto)

    def _insert_doubt(self, key: str, serial: int, reason: str, payload: Any, bulk: Any) -> None:
        self._connection.execute(_DOUBT, (key, serial, reason, time.time(), payload, bulk))

    def doubts(self) -> dict[str, Doubt]:
        """Return the latest doubt of each key; that of the empty key is about all of them."""
        rows = self._connection.execute("SELECT key, serial, reason FROM doubts ORDER BY serial")
        return {
            key: Doubt(serial, reason) for key, serial, reason in rows.fetchall()
        } | self._unkept

    @property
    def reference_imported(self) -> bool:
        """Whether the values of the reference package were taken over."""
        select = "SELECT 1 FROM notes WHERE name = 'reference imported'"
        return self._connection.execute(select).fetchone() is not None

    def import_reference(
        self, rows: Iterable[tuple[str, bytes, bytes | None]], unread: Iterable[tuple[str, str]]
    ) -> None:
        """Take over *rows*, and *unread* as doubts, all or nothing, where nothing is newer."""
        known = {row.key for row in self.read()} | self.doubts().keys()
        last = self.last
        with self._transaction() as connection:
            for key, reason in unread:
                if key not in known:
                    self._insert_doubt(key, last, reason, None, None)
            for key, payload, bulk in rows:
                if key not in known:
                    known.add(key)
                    last += 1
                    row = Row(key, payload, bulk, last)
                    connection.execute(_UPSERT, (*row, checksum(row)))
            connection.execute(_IMPORTED)
        self.last = last

    def backup(self, path: Path) -> None:
        """Write all that is in here to a new file at *path*."""
        with contextlib.closing(sqlite3.connect(path)) as copy:
            self._connection.backup(copy)

    @property
    def is_in_place(self) -> bool:
        """Whether the files are still those under their names: somebody may have removed them."""
        seen = self._look()
        # The log comes with the first thing that is written.
        if self._places[1] is None:
            self._places = (self._places[0], seen[1])
        return seen == self._places

    def _look(self) -> tuple[int | None, int | None]:
        return _inode(self.path), _inode(self._log_path)

    def close(self) -> None:
        """Close it. SQLite brings the log into the file, and removes the log."""
        self._connection.close()


_ODD = "its saved value is not of the kind that this package writes"
_CHANGED = "its saved value is damaged: it is not what was written"


def _check_header(path: Path) -> None:
    """SQLite writes over what is too short, and only reads what has another format number."""
    # Before SQLite has locked the file: closing any descriptor of it would give up the lock.
    if not path.exists():
        return
    with path.open("rb") as file:
        header = file.read(20)
    if header and header not in _HEADERS:
        raise Damaged("its header is not one that this package writes")


def _why(row: Row) -> str:
    return _CHANGED if _is_well_formed(row) else _ODD


def _is_well_formed(row: tuple[Any, ...]) -> bool:
    key, payload, bulk, serial = row
    return (
        isinstance(key, str)
        and isinstance(payload, bytes)
        and (bulk is None or isinstance(bulk, bytes))
        and isinstance(serial, int)
    )


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


class HighWater:
    """The serial of what was saved last, in a small file beside the database.

    It is not synchronised: it survives the end of the process. When the database ends before it,
    the file system has lost what was saved, or somebody has put an older copy in its place.
    """

    def __init__(self, database: Path) -> None:
        self.path = Path(f"{database}-last")
        self._file: int | None = None

    def read(self) -> int:
        """Return the serial; 0 where none is known."""
        try:
            text = self.path.read_bytes()[:40].strip()
        except OSError:
            return 0
        return int(text) if text.isdigit() else 0

    def note(self, serial: int) -> None:
        """Keep *serial*, if it can be kept."""
        with contextlib.suppress(OSError):  # without it a loss is not noticed, and nothing is lost
            if self._file is None:
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.pwrite(self._file, b"%-20d\n" % serial, 0)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
