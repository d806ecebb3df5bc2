"""Values that survive a restart, a crash and a power cut.

One SQLite database a daemon, in write-ahead mode with full synchronisation: when :meth:`save`
returns, the value is on disk.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import BadMessage, NotSaved
from .payload import Payload
from .protocol.message import decode_json

__all__ = ["PersistentValues"]

_log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS persistent_values (
    key TEXT PRIMARY KEY, payload BLOB NOT NULL, bulk BLOB
) WITHOUT ROWID
"""
_UPSERT = """
INSERT INTO persistent_values (key, payload, bulk) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET payload = excluded.payload, bulk = excluded.bulk
"""
_INSERT = "INSERT OR IGNORE INTO persistent_values (key, payload, bulk) VALUES (?, ?, ?)"
_MARK_TAKEN_OVER = "PRAGMA user_version = 1"
"""The mark stands in the database, so that it is set together with what was taken over."""


class PersistentValues:
    """The persistent values of one daemon.

    A file that is not a database any more is moved aside, never deleted. Where the reference
    package left values in its own layout, they are taken over once, all in one transaction.

    Args:
        path: The database file.
        reference_directory: Where the reference package would keep this daemon's values.

    Attributes:
        lost: Why all values of earlier runs are lost; empty if they are not.

    Raises:
        NotSaved: the file cannot be opened or created.
    """

    def __init__(self, path: Path, reference_directory: Path | None = None) -> None:
        self.path = path
        self.lost = ""
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = self._open()
            self._take_over_once(reference_directory)
        except (OSError, sqlite3.Error) as error:
            raise NotSaved(f"persistent values cannot be kept in {path}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            aside = self.path.with_name(f"{self.path.name}.unreadable-{time.time_ns()}")
            self.path.replace(aside)
            for suffix in ("-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{self.path}{suffix}").replace(f"{aside}{suffix}")
            _log.error(
                "%s is not a readable database (%s): moved aside as %s, beginning without "
                "persistent values",
                self.path,
                error,
                aside.name,
            )
            self.lost = f"its saved value was lost: {aside.name} is not readable"
            database = self._connect()
            # What the reference package left is older than what was lost.
            database.execute(_MARK_TAKEN_OVER)
            return database

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute(_SCHEMA)
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
        except BaseException:
            database.close()
            raise
        return database

    def save(self, key: str, payload: Payload) -> None:
        """Write *payload* to disk; it is there when this returns.

        Raises:
            NotSaved: it could not be written; what was there before still is.
        """
        fields, bulk = payload.encode()
        try:
            with self._lock:
                self._database.execute(_UPSERT, (key, fields, bulk))
        except sqlite3.Error as error:
            raise NotSaved(f"{key} could not be saved in {self.path}: {error}") from error

    def load(self) -> Iterator[tuple[str, Payload]]:
        """Yield keys and payloads. One that cannot be read is logged and left where it is."""
        try:
            with self._lock:
                rows = self._database.execute("SELECT key, payload, bulk FROM persistent_values")
                found = rows.fetchall()
        except sqlite3.Error as error:
            raise NotSaved(f"persistent values cannot be read from {self.path}: {error}") from error
        for key, fields, bulk in found:
            try:
                if not (isinstance(key, str) and isinstance(fields, bytes)):
                    raise BadMessage("it is not of the kind that this daemon writes")
                if not (bulk is None or isinstance(bulk, bytes)):
                    raise BadMessage("its bulk data are not bytes")
                yield key, Payload.from_wire(decode_json(fields), bulk)
            except BadMessage as error:
                _log.error(
                    "the persistent value of %s in %s is unreadable: %s", key, self.path, error
                )

    def _take_over_once(self, directory: Path | None) -> None:
        """Take over what is in *directory*, and mark that as done: both or, if killed, neither."""
        try:
            with self._database:  # commits, or rolls back
                self._database.execute("BEGIN IMMEDIATE")
                (done,) = self._database.execute("PRAGMA user_version").fetchone()
                if done:
                    return
                if directory is not None and directory.is_dir():
                    self._take_over(directory)
                self._database.execute(_MARK_TAKEN_OVER)
        except BaseException:
            self._database.close()
            raise

    def _take_over(self, directory: Path) -> None:
        for path in sorted(directory.iterdir()):
            if path.name.startswith("bulk:") or not path.is_file():
                continue
            try:
                fields = path.read_bytes()
                beside = path.with_name(f"bulk:{path.name}")
                bulk = beside.read_bytes() if beside.exists() else None
                Payload.from_wire(decode_json(fields), bulk)
            except (OSError, BadMessage) as error:
                _log.error("the persistent value in %s was not taken over: %s", path, error)
                continue
            # What is there already was set since.
            self._database.execute(_INSERT, (path.name.lower(), fields, bulk))
            _log.info("taking over the persistent value in %s", path)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()
