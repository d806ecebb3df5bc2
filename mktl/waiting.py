"""Values that wait for somebody who may be slow: in order, and not without end."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Generic, TypeVar

from .payload import Payload
from .protocol import bulk

__all__ = ["MOST_BYTES", "MOST_WAITING", "Waiting"]

MOST_WAITING = 1000
"""Values of one item that may wait; beyond them the oldest are dropped."""
MOST_BYTES = 64 * 1024 * 1024
"""Bytes that they may have together, about; the newest value waits whatever its size."""
_BYTES_OF_AN_ELEMENT = 32

T = TypeVar("T")


class Waiting(Generic[T]):
    """A queue that drops its oldest entries where there are too many: the newest one counts."""

    def __init__(self) -> None:
        self._entries: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()

    def put(self, entry: T, payload: Payload) -> int:
        """Have *entry* wait, which is about *payload*; return how many were dropped for it."""
        size = _size(payload.value)
        with self._changed:
            self._entries.append((entry, size))
            self._bytes += size
            dropped = 0
            while len(self._entries) > MOST_WAITING or (
                self._bytes > MOST_BYTES and len(self._entries) > 1
            ):
                self._bytes -= self._entries.popleft()[1]
                dropped += 1
            self._changed.notify()
        return dropped

    def get(self, timeout_s: float | None = None) -> T | None:
        """Return the oldest entry; ``None`` if there is none within *timeout_s*."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._entries, timeout_s):
                return None
            entry, size = self._entries.popleft()
            self._bytes -= size
            return entry

    def __len__(self) -> int:
        return len(self._entries)


def _size(value: Any) -> int:
    """Return about how many bytes *value* takes, if that is worth counting."""
    if bulk.is_array(value):
        return int(value.nbytes)
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, (list, dict)):
        return _BYTES_OF_AN_ELEMENT * len(value)
    return 0
