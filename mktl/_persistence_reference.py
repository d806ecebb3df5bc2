"""Values that the reference package left in its own layout: a file for each item."""

from __future__ import annotations

import contextlib
import logging
import stat
from pathlib import Path
from typing import NamedTuple

from . import config
from .errors import BadMessage, BadName
from .payload import Payload
from .protocol.message import decode_json
from .protocol.names import fold

__all__ = ["Left", "read_reference"]

_log = logging.getLogger(__name__)


class Left(NamedTuple):
    """What was found."""

    rows: list[tuple[str, bytes, bytes | None]]
    """Keys, payloads and bulk data, ready to be saved."""
    unread: list[tuple[str, str]]
    """Keys whose value could not be read, and why."""


def read_reference(directory: Path | None) -> Left:
    """Return what is in *directory*, ``daemon/persist/UUID``; nothing in it is changed.

    Raises:
        OSError: the directory itself cannot be read.
    """
    left = Left([], [])
    if directory is None or not directory.is_dir():
        return left
    foreign = []
    # Where two names differ only in case, the one that this protocol writes goes first.
    paths = sorted(directory.iterdir(), key=lambda path: (path.name != path.name.lower(), path))
    for path in paths:
        if path.name.startswith("bulk:"):
            continue
        try:
            key = fold(path.name, "key")
        except BadName:
            foreign.append(path.name)
            continue
        try:
            left.rows.append((key, *_read(path)))
        except (OSError, BadMessage) as error:
            _log.error("the persistent value in %s was not taken over: %s", path, error)
            left.unread.append((key, f"its saved value in {path.name} is not readable: {error}"))
        else:
            _log.info("taking over the persistent value in %s", path)
    if foreign:
        shown = ", ".join(map(ascii, foreign[:5])) + (" ..." if len(foreign) > 5 else "")
        _log.warning("%s holds %d files that are no values: %s", directory, len(foreign), shown)
    return left


def _read(path: Path) -> tuple[bytes, bytes | None]:
    data = _content(path)
    fields = decode_json(data)
    if not fields.keys() & {"value", "shape"}:
        raise BadMessage("there is no value in it")
    bulk = None
    if "value" not in fields:
        with contextlib.suppress(FileNotFoundError):  # the payload then says what is missing
            bulk = _content(path.with_name(f"bulk:{path.name}"))
    Payload.from_wire(fields, bulk)
    return data, bulk


def _content(path: Path) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BadMessage(f"{path.name} is not a file")
    if status.st_size > config.max_message():
        raise BadMessage(f"{path.name} has {status.st_size} bytes, which no message can have")
    return path.read_bytes()
