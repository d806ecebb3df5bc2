"""The place of a daemon on this host: its uuid, its files, and the lock that only one can hold."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import time
import uuid
from pathlib import Path
from typing import Any

from .config import home, write_atomically
from .errors import AlreadyRunning, BadName, ConfigurationError, NotSaved
from .protocol.message import encode_json
from .protocol.names import fold
from .transport.hosts import own_name

__all__ = ["Place", "read_items"]

_log = logging.getLogger(__name__)


def read_items(path: Path) -> dict[str, dict[str, Any]]:
    """Return the item descriptions in the JSON file at *path*, keys folded.

    Raises:
        ConfigurationError: it is not an object of descriptions by key; the text says where.
    """
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not JSON: {error}") from error
    # A whole block is understood, too: it is what "markd --describe" prints.
    if isinstance(content, dict) and isinstance(content.get("items"), dict) and "uuid" in content:
        content = content["items"]
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} must hold an object of item descriptions by key")
    items = {}
    for key, fields in content.items():
        if not isinstance(fields, dict):
            raise ConfigurationError(f"{path}: the description of {key!r} must be an object")
        try:
            items[fold(key, "key")] = fields
        except BadName as error:
            raise ConfigurationError(f"{path}: {error}") from error
    return items


class Place:
    """What a daemon keeps under ``$MKTL_HOME/daemon/store``.

    Args:
        store: Its store.
        alias: Its alias there.
    """

    def __init__(self, store: str, alias: str) -> None:
        self._name = f"{store}.{alias}"
        self._directory = home() / "daemon" / "store" / store
        self._alias = alias
        self._lock: int | None = None
        self.uuid = ""
        self.forgotten = ""
        """Why the uuid, and with it what was saved under it, is lost; empty if it is not."""

    def _path(self, suffix: str) -> Path:
        return self._directory / f"{self._alias}{suffix}"

    def take(self) -> None:
        """Take the place, and find out the uuid, made the first time.

        Raises:
            AlreadyRunning: another process holds it; the text says which.
            ConfigurationError: the files cannot be used.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._lock = self._open_lock()
        except OSError as error:
            raise ConfigurationError(f"{self._path('.lock')} cannot be used: {error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = self._read_holder()
            os.close(self._lock)
            self._lock = None
            raise AlreadyRunning(f"{self._name} is already running: {holder}") from None
        self._write_holder("")
        self.uuid = self._read_uuid()

    def _open_lock(self) -> int:
        path = self._path(".lock")
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # enough to lock it

    def note_address(self, hostname: str, port: int) -> None:
        """Add to what a second copy is told where the daemon answers."""
        self._write_holder(f", answering at {hostname}:{port}")

    def _write_holder(self, address: str) -> None:
        assert self._lock is not None
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        text = f"process {os.getpid()} on {own_name()} since {since}{address}\n"
        with contextlib.suppress(OSError):  # a full disk: only the message is poorer
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, text.encode(), 0)

    def _read_holder(self) -> str:
        assert self._lock is not None
        text = os.pread(self._lock, 500, 0).decode(errors="replace").strip()
        return text or "another process holds " + str(self._path(".lock"))

    def _read_uuid(self) -> str:
        path = self._path(".uuid")
        try:
            return fold(path.read_text().strip(), "uuid")
        except FileNotFoundError:
            return self._write_uuid(str(uuid.uuid4()))
        except (BadName, UnicodeDecodeError, IsADirectoryError) as error:
            return self._replace_uuid(error)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error}") from error

    def _replace_uuid(self, error: Exception) -> str:
        """Move aside a file that holds no uuid, and use the one that was noted beside it."""
        path = self._path(".uuid")
        aside = path.with_name(f"{path.name}.unreadable-{time.time_ns()}")
        try:
            path.replace(aside)
        except OSError as failure:
            raise ConfigurationError(
                f"{path} holds no uuid, and cannot be moved aside: {failure}"
            ) from error
        known = self._noted().get("uuid")
        try:
            found = fold(known, "uuid")
        except BadName:
            found = str(uuid.uuid4())
            self.forgotten = f"its saved value was lost: {aside.name} holds no uuid"
        outcome = "a new one is made, so that saved values are lost" if self.forgotten else "mended"
        _log.error(
            "%s holds no uuid (%s): moved aside as %s, and %s", path, error, aside.name, outcome
        )
        return self._write_uuid(found)

    def _write_uuid(self, made: str) -> str:
        path = self._path(".uuid")
        try:
            write_atomically(path, f"{made}\n".encode())
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error}") from error
        return made

    def _noted(self) -> dict[str, Any]:
        """Return what :meth:`time_of` has noted; empty where that is nothing."""
        with contextlib.suppress(OSError, ValueError, RecursionError):
            noted = json.loads(self._path(".hash").read_text())
            return noted if isinstance(noted, dict) else {}
        return {}

    def load_items(self) -> dict[str, dict[str, Any]]:
        """Return the item descriptions that ``markd -c`` left here; empty if there are none."""
        path = self._path(".json")
        return read_items(path) if path.exists() else {}

    def replace_items(self, items: dict[str, dict[str, Any]]) -> None:
        """Have :meth:`load_items` return *items* from now on.

        Raises:
            NotSaved: they could not be written.
        """
        path, data = self._path(".json"), encode_json(items)
        try:
            # On a full disk a daemon starts with what it has.
            if not path.exists() or path.read_bytes() != data:
                write_atomically(path, data)
        except OSError as error:
            raise NotSaved(f"{path} cannot be written: {error}") from error

    def time_of(self, hash_: int) -> float:
        """Return UNIX seconds at which the hash of the items became *hash_*: now, if it is new."""
        noted = self._noted()
        since = noted.get("time")
        if noted.get("hash") != hash_ or not isinstance(since, (int, float)) or not since > 0:
            since = None
        changed = time.time() if since is None else float(since)
        if since is None or noted.get("uuid") != self.uuid:
            noted = {"hash": hash_, "time": changed, "uuid": self.uuid}
            with contextlib.suppress(OSError):  # a full disk: the next start finds it new once more
                write_atomically(self._path(".hash"), encode_json(noted))
        return changed

    def leave(self) -> None:
        """Give the place back."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None
