"""Opens the database of persistent values, and saves what can be saved of a damaged one."""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ._persistence_carving import Buffer, Row, carve
from ._persistence_database import Damaged, Database, Doubt, HighWater

__all__ = ["Copy", "open_database", "read_copy"]

_log = logging.getLogger(__name__)

_OUT_OF_REACH = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
}


class Copy:
    """What was read from a database that itself cannot be opened for writing.

    Attributes:
        rows: Its values.
        doubts: As a database tells them.
    """

    def __init__(self, rows: list[Row], doubts: dict[str, Doubt]) -> None:
        self.rows, self.doubts = rows, doubts


def open_database(path: Path, high_water: HighWater) -> Database:
    """Open the database at *path*; what is damaged is moved aside, and its values are rescued.

    Args:
        path: The file.
        high_water: What is known of its end.

    Raises:
        OSError: the directory cannot be used.
        sqlite3.Error: it cannot be opened now, or what is damaged cannot be replaced now.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _finish_replacing(path)
    expected = high_water.read()
    with _opened(Path(f"{path}-wal")) as log:  # SQLite drops what is behind a bad frame of it
        existed = path.exists()
        try:
            if path.is_dir():
                raise Damaged("it is a directory")
            return _open_to_the_end(path, log, expected, existed=existed)
        except Damaged as error:
            return _replace(path, str(error), _content(log), expected)


def _open_to_the_end(path: Path, log: BinaryIO | None, expected: int, *, existed: bool) -> Database:
    database = Database(path)
    try:
        if database.last < expected:
            _recover_end(database, _content(log), expected, existed=existed)
    except BaseException:  # nobody else would close it
        database.close()
        raise
    return database


def read_copy(path: Path, error: Exception) -> Copy | None:
    """Return what stands in a database that could not be opened because of *error*.

    A copy is read, as to read the log in its place SQLite has to write. One that another process
    holds is not copied: it could change meanwhile.
    """
    code = getattr(error, "sqlite_errorcode", None)
    unreachable = code is not None and code & 0xFF in _OUT_OF_REACH
    if not (unreachable or isinstance(error, OSError)) or not path.is_file():
        return None
    try:
        with tempfile.TemporaryDirectory(prefix="mktl-values-") as folder:
            for suffix in ("", "-wal", "-last"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(f"{path}{suffix}", Path(folder) / f"{path.name}{suffix}")
            copied = Path(folder) / path.name
            database = open_database(copied, HighWater(copied))
            try:
                return Copy(database.read(), database.doubts())
            finally:
                database.close()
    except (OSError, sqlite3.Error, Damaged) as failure:
        _log.error("%s cannot be copied to be read: %s", path, failure)
        return None


def _recover_end(database: Database, log: bytes, expected: int, *, existed: bool) -> None:
    """Take what the log has beyond a bad place, and doubt everything, as some changes are lost."""
    path, last = database.path, database.last
    if log:
        aside = Path(f"{path}-wal.unreadable-{time.time_ns()}")
        aside.write_bytes(log)
    known = {row.key: row.serial for row in database.read()}
    rows = [row for row in carve(b"", log).values() if row.serial > known.get(row.key, 0)]
    reason = (
        f"it may not be the value that was set last: {path.name} ends at change {last} "
        f"of {expected}"
        if existed and last
        else f"its saved value was lost: {path.name} was not there or empty"
    )
    _log.error(
        "%s ends at change %d of %d: later changes are lost%s. Items that are persistent say so "
        "until they are set; %s-last tells the number",
        path,
        last,
        expected,
        f", but for {len(rows)} that were found in its log" if rows else "",
        path.name,
    )
    if rows:
        database.write(rows)
    database.note_doubts([("", reason)], max(expected, database.last))


def _replace(path: Path, why: str, log: bytes, expected: int) -> Database:
    """Move aside what is at *path*, and make a new database with the values that are left in it."""
    aside = path.with_name(f"{path.name}.unreadable-{time.time_ns()}")
    rows: list[Row] = []
    if path.is_file():
        with path.open("rb") as file, _mapped(file) as content:
            rows = list(carve(content, log).values())
    lost = f"its saved value was lost: {aside.name} is not readable"
    found = f"it may not be the value that was set last: it was found in {aside.name}, damaged"
    fresh = Path(f"{path}.new")
    _remove(fresh)
    database = Database(fresh)
    try:
        if rows:
            database.write(rows)
        upto = max(expected, database.last, 1)
        database.note_doubts([("", lost), *((row.key, found) for row in rows)], upto)
        # What the reference package left is older than what was lost.
        database.import_reference([], [])
    finally:
        database.close()
    _move_aside(path, aside, log)
    fresh.replace(path)
    _log.error(
        "%s cannot be used (%s): moved aside as %s, with %d values that could still be read",
        path,
        why,
        aside.name,
        len(rows),
    )
    return Database(path)


def _move_aside(path: Path, aside: Path, log: bytes) -> None:
    """Have what is at *path* under another name; it stays here, too, until it is replaced."""
    if log:
        Path(f"{aside}-wal").write_bytes(log)
    try:
        os.link(path, aside)
    except OSError:  # a directory, or a file system without links
        path.replace(aside)
    # A log would be taken for that of the new database.
    for suffix in ("-wal", "-shm", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").unlink()


def _finish_replacing(path: Path) -> None:
    """Put the new database in its place, where a crash came between that and what went before."""
    fresh = Path(f"{path}.new")
    if not path.exists() and fresh.exists() and any(path.parent.glob(f"{path.name}.unreadable-*")):
        fresh.replace(path)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").unlink()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO | None]:
    """Hold the file at *path* open, so that it can be read after it was removed."""
    try:
        file = path.open("rb")
    except OSError:
        yield None
        return
    with file:
        yield file


@contextlib.contextmanager
def _mapped(file: BinaryIO) -> Iterator[Buffer]:
    if not os.fstat(file.fileno()).st_size:
        yield b""
        return
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        try:
            yield view
        finally:
            view.release()


def _content(file: BinaryIO | None) -> bytes:
    if file is None:
        return b""
    file.seek(0)
    return file.read()
