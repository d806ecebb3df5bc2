"""The built-in items about the audit log: whether it is written, and what it says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ._audit_file import lines_backwards, oldest_line
from ._callers import Caller
from ._locks import matches
from .errors import BadMessage, BadValue, MktlError, UnknownKey
from .item import Item
from .payload import Payload
from .protocol.message import decode_json
from .protocol.names import join, nearest

if TYPE_CHECKING:
    from .daemon import Daemon
    from .requests import ItemRequest

__all__ = ["AuditItem", "HistoryItem"]

MOST_RECORDS = 1000
FEW_RECORDS = 20
MOST_BYTES = 1_000_000
"""Of the records in one reply."""
PATTERN_CHARACTERS = "*?["

_GAP = b'{"lost":'
"""How a line begins that says that others are missing."""


class AuditItem(Item):
    """Whether every SET is recorded: ``ok``, or since when and why lines are lost."""

    def __init__(self, store: Any, key: str, daemon: Daemon) -> None:
        super().__init__(store, key)
        self._audit = daemon._service.audit
        self.poll(1.0)

    def req_refresh(self) -> Payload:
        """Return how it stands."""
        state = self._audit.look_after()
        if state == "ok":
            return Payload(state)
        return Payload(state, quality="warning", reason="not every SET is recorded")


class HistoryItem(Item):
    """The SETs of an item, or the last few of all: a GET may say ``key``, ``since``, ``last``."""

    def __init__(self, store: Any, key: str, daemon: Daemon) -> None:
        super().__init__(store, key)
        self._service = daemon._service

    def req_get(self, request: ItemRequest) -> Payload:
        """Return records, oldest first; ``more`` says whether there are others before them.

        Raises:
            UnknownKey: the daemon has no such item, and never had.
            NotAllowed: the caller may not read the item.
            BadValue: a field is not what it should be.
        """
        fields = request.payload.extra
        last = _whole(fields.get("last"), FEW_RECORDS)
        since = _moment(fields.get("since"))
        key = self._key(fields.get("key"))
        authority = self._service.authorities.get(key)
        if authority is not None:
            self._service.check_get(authority.item, request.caller)
        self._service.audit.flush(0.2)  # also what the daemon's own code has set just now
        try:
            found, more = self._find(key, since, last, request.caller)
            oldest = self._oldest()
        except OSError as error:
            raise MktlError(f"{self._service.audit.path} cannot be read: {error}") from error
        if key and not found and not self._is_known(key):
            close = nearest(key, self._service.authorities)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise UnknownKey(f"{self._service.name} has no item {key!r}, and no SET of it{hint}")
        return Payload(found, time.time(), more=more, oldest=oldest)

    def _key(self, given: Any) -> str:
        if given is None:
            return ""
        if not isinstance(given, str) or not 0 < len(given) <= 400:
            raise BadValue(f"key must be a key or a pattern, not {ascii(given)[:60]}")
        return given.lower().removeprefix(f"{self.store.name}.")

    def _is_known(self, key: str) -> bool:
        return any(matches(key, known) for known in self._service.authorities)

    def _find(
        self, key: str, since: float, last: int, caller: Caller
    ) -> tuple[list[dict[str, Any]], bool]:
        wanted = self._wanted(key, caller)
        found: list[dict[str, Any]] = []
        size = 0
        for line in self._lines(key, since):
            record = _record(line)
            if record.get("time", 0.0) < since or not wanted(record):
                continue
            size += len(line)
            if len(found) >= last or size > MOST_BYTES:
                return found[::-1], True
            found.append(record)
        return found[::-1], False

    def _lines(self, key: str, since: float) -> Iterator[bytes]:
        audit = self._service.audit
        lines = lines_backwards(audit.path, audit.most_files, since)
        if not key or any(char in key for char in PATTERN_CHARACTERS):
            return lines
        # Most lines of a large log are about others: they need not be understood.
        needle = f'"item":"{join(self.store.name, key)}"'.encode()
        return (line for line in lines if needle in line or line.startswith(_GAP))

    def _wanted(self, key: str, caller: Caller) -> Callable[[dict[str, Any]], bool]:
        prefix = join(self.store.name, "")
        may_read = self._service.access.may_read

        def wanted(record: dict[str, Any]) -> bool:
            if "lost" in record:
                return True
            item = str(record.get("item", "")).removeprefix(prefix)
            return (not key or matches(key, item)) and bool(item) and may_read(item, caller)

        return wanted

    def _oldest(self) -> float | None:
        line = oldest_line(self._service.audit.path, self._service.audit.most_files)
        moment = _record(line).get("time")
        return moment if isinstance(moment, float) else None


def _record(line: bytes) -> dict[str, Any]:
    try:
        record = decode_json(line)
    except BadMessage:  # torn by a crash, or not ours
        return {}
    moment = record.get("time")
    return record if isinstance(moment, (int, float)) else {}


def _whole(given: Any, default: int) -> int:
    if given is None:
        return default
    if type(given) is not int or given < 1:
        raise BadValue(f"last must be a whole number above 0, not {ascii(given)[:40]}")
    return min(given, MOST_RECORDS)


def _moment(given: Any) -> float:
    if given is None:
        return 0.0
    if isinstance(given, bool) or not isinstance(given, (int, float)) or given > 1e12:
        raise BadValue(f"since must be UNIX seconds, not {ascii(given)[:40]}")
    return float(max(0, given))
