"""Values that survive a restart, a crash and a power cut.

One SQLite database a daemon, in write-ahead mode with full synchronisation: when :meth:`save`
returns, the value is on disk. Each has a checksum. What is damaged is told, and moved aside.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ._persistence_batches import Batches, Saving
from ._persistence_carving import Row
from ._persistence_database import Damaged, Database, Doubt, HighWater
from ._persistence_opening import Copy, open_database, read_copy
from ._persistence_reference import read_reference
from .errors import BadMessage, NotSaved
from .payload import Payload
from .protocol.message import decode_json

__all__ = ["PersistentValues"]

_log = logging.getLogger(__name__)

_RETRY_S = 1.0
"""A database that could not be opened is tried again this long after, and not sooner."""


class PersistentValues:
    """The persistent values of one daemon.

    A file that is no database of ours, or not any more, is moved aside, never deleted; the values
    that are left in it are kept, and in doubt. One that cannot be opened now, on a full disk for
    example, is tried again: :meth:`save` fails until then. Where the reference package left values
    in its own layout, they are taken over once, all in one transaction.

    Args:
        path: The database file.
        reference_directory: Where the reference package would keep this daemon's values.

    Attributes:
        trouble: Why the database is not open; empty if it is.
        held: Nothing is saved now.
    """

    def __init__(self, path: Path, reference_directory: Path | None = None) -> None:
        self.path = path
        self.trouble = ""
        self.held = False
        self._reference_directory = reference_directory
        self._high_water = HighWater(path)
        self._lock = threading.RLock()
        self._batches = Batches(self._write)
        self._database: Database | None = None
        self._copy: Copy | None = None
        self._doubts: dict[str, Doubt] = {}
        self._serials: dict[str, int] = {}
        self._tried = 0.0
        self._closed = False
        self.reopen()

    @property
    def lost(self) -> str:
        """Why values of earlier runs are lost that are not known by name; empty if none are."""
        doubt = self._doubts.get("")
        return doubt.reason if doubt is not None else ""

    def reopen(self) -> bool:
        """Open the database if it is not open, and was not tried just now.

        Returns:
            Whether it is open now.
        """
        with self._lock:
            if self._database is not None:
                return True
            if self._closed or (self._tried and time.monotonic() - self._tried < _RETRY_S):
                return False
            self._tried = time.monotonic()
            try:
                self._database = self._open()
            except (OSError, sqlite3.Error, Damaged) as error:
                self._note_trouble(error)
                return False
            if self.trouble:
                _log.warning("%s can be used again", self.path)
            self.trouble, self._copy = "", None
            return True

    def _open(self) -> Database:
        database = open_database(self.path, self._high_water)
        try:
            if not database.reference_imported:
                self._import_reference(database)
        except BaseException:  # nobody else would close it
            database.close()
            raise
        return database

    def _import_reference(self, database: Database) -> None:
        try:
            left = read_reference(self._reference_directory)
        except OSError as error:
            _log.error("%s was not taken over: %s", self._reference_directory, error)
        else:
            database.import_reference(left.rows, left.unread)

    def _note_trouble(self, error: Exception) -> None:
        trouble = f"{self.path}: {error}"
        if trouble == self.trouble:
            return
        first, self.trouble = not self.trouble, trouble
        if first:
            self._copy = read_copy(self.path, error)
        _log.error(
            "persistent values cannot be kept in %s: %s. SETs of persistent items fail until they "
            "can be; it is tried again%s",
            self.path,
            error,
            "" if self._copy is None else ". What is there was read",
        )

    def save(self, key: str, payload: Payload) -> None:
        """Write *payload* to disk; it is there when this returns.

        What several threads save at the same time is written together.

        Raises:
            NotSaved: it could not be written; what was there before still is.
        """
        fields, bulk = payload.encode()
        self._batches.save(Saving(key, fields, None if bulk is None else bytes(bulk)))

    def _write(self, batch: Sequence[Saving]) -> None:
        named = batch[0].key + (f" and {len(batch) - 1} others" if len(batch) > 1 else "")
        with self._lock:
            try:
                self._write_or_replace(batch)
            except (OSError, sqlite3.Error, Damaged) as error:
                raise NotSaved(f"{named} could not be saved in {self.path}: {error}") from error

    def _write_or_replace(self, batch: Sequence[Saving]) -> None:
        try:
            self._write_to(self._usable(), batch)
        except Damaged as error:
            _log.error("%s is damaged: %s", self.path, error)
            self._give_up()
            self._write_to(self._usable(), batch)

    def _write_to(self, database: Database, batch: Sequence[Saving]) -> None:
        serial = max(database.last, 1)
        rows = [
            Row(saving.key, saving.payload, saving.bulk, serial + number)
            for number, saving in enumerate(batch, 1)
        ]
        database.write(rows)
        self._high_water.note(database.last)

    def _usable(self) -> Database:
        """Return the open database, in its place.

        Raises:
            NotSaved: it cannot be opened.
        """
        if self._closed:
            raise NotSaved(f"{self.path} was closed")
        if self._database is not None and not self._database.is_in_place:
            self._put_back(self._database)
        if self.held or (self._database is None and not self.reopen()):
            why = self.trouble or f"{self.path}: what is there is being read"
            raise NotSaved(f"persistent values cannot be kept in {why}")
        assert self._database is not None
        return self._database

    def _put_back(self, database: Database) -> None:
        """Write all values to a file under the old name: somebody removed or replaced it."""
        _log.error("%s was removed or replaced while in use: it is written anew", self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(f"{self.path}.again")
        fresh.unlink(missing_ok=True)
        database.backup(fresh)
        for suffix in ("", "-wal"):
            there = Path(f"{self.path}{suffix}")
            if there.exists():
                there.replace(f"{there}.replaced-{time.time_ns()}")
        self._give_up()
        self._high_water.close()  # it may be gone as well, and is made anew
        fresh.replace(self.path)

    def _give_up(self) -> None:
        database, self._database, self._tried = self._database, None, 0.0
        if database is not None:
            with contextlib.suppress(sqlite3.Error):  # it is left as it is
                database.close()

    def load(self) -> Iterator[tuple[str, Payload]]:
        """Yield keys and payloads; :meth:`doubt_of` tells of those that cannot be read."""
        for row in self._rows():
            self._serials[row.key] = row.serial
            try:
                yield row.key, Payload.from_wire(decode_json(row.payload), row.bulk)
            except BadMessage as error:
                reason = f"its saved value is not readable: {error}"
                self._doubts[row.key] = Doubt(row.serial, reason)
                _log.error("the persistent value of %s in %s: %s", row.key, self.path, reason)

    def _rows(self) -> list[Row]:
        with self._lock:
            for _attempt in range(2):
                if self._database is None:
                    break
                try:
                    rows = self._database.read()
                    self._doubts = self._database.doubts()
                except Damaged:  # it was whole when it was opened
                    self._give_up()
                    self.reopen()
                except sqlite3.Error as error:
                    self._give_up()
                    self._note_trouble(error)
                else:
                    return rows
            self._doubts = dict(self._copy.doubts) if self._copy is not None else {}
            return self._copy.rows if self._copy is not None else []

    def doubt_of(self, key: str) -> str:
        """Return why the value of *key* may not be the last one that was set; empty if it is.

        It says what was known when :meth:`load` was called.
        """
        serial = self._serials.get(key, 0)
        for doubt in (self._doubts.get(key), self._doubts.get("")):
            if doubt is not None and serial <= doubt.serial:
                return doubt.reason
        if self._database is None and self._copy is None and self.trouble:
            return f"its saved value cannot be read: {self.trouble}"
        return ""

    def doubt_all(self, reason: str) -> None:
        """Doubt the values of all items until they are saved, as *reason* says."""
        with self._lock:
            if self._database is not None:
                try:
                    self._database.note_doubts([("", reason)], max(self._database.last, 1))
                except (sqlite3.Error, Damaged) as error:
                    _log.error("%s: %s", self.path, error)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._closed = True
            self._give_up()
            self._high_water.close()
            self._copy = None
