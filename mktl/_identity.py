"""The place of a daemon on this host: its uuid, its files, and the lock that only one can hold."""

from __future__ import annotations

import contextlib
import fcntl
import json
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


def read_items(path: Path) -> dict[str, dict[str, Any]]:
    """Return the item descriptions in the JSON file at *path*, keys folded.

    Raises:
        ConfigurationError: it is not an object of descriptions by key; the text says where.
    """
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
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
            self._lock = os.open(self._path(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
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
            made = str(uuid.uuid4())
        except BadName as error:
            raise ConfigurationError(f"{path} holds no uuid: {error}") from error
        try:
            write_atomically(path, f"{made}\n".encode())
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error}") from error
        return made

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
        path = self._path(".hash")
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            known = json.loads(path.read_text())
            if known["hash"] == hash_:
                return float(known["time"])
        now = time.time()
        with contextlib.suppress(OSError):  # a full disk: the next start finds it new once more
            write_atomically(path, encode_json({"hash": hash_, "time": now}))
        return now

    def leave(self) -> None:
        """Give the place back."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None
