"""Values that wait for somebody who may be slow: in order, and not without end."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Generic, TypeVar

from .payload import Payload
from .protocol import bulk

__all__ = ["MOST_BYTES", "MOST_WAITING", "Queue", "Waiting"]

MOST_WAITING = 1000
"""Values of one item that may wait; beyond them the oldest are dropped."""
MOST_BYTES = 64 * 1024 * 1024
"""Bytes that they may have together, about; the newest value waits whatever its size."""
_BYTES_OF_AN_ELEMENT = 32
_SMALL = (float, int, bool)

T = TypeVar("T")


class Queue(Generic[T]):
    """A queue that drops its oldest entries where there are too many: the newest one counts.

    It is for one thread at a time.
    """

    __slots__ = ("_bytes", "_entries")

    def __init__(self) -> None:
        self._entries: deque[tuple[T, int]] = deque()
        self._bytes = 0

    def put(self, entry: T, payload: Payload) -> int:
        """Have *entry* wait, which is about *payload*; return how many were dropped for it."""
        entries = self._entries
        value = payload.value
        size = 0 if type(value) in _SMALL else _size(value)
        entries.append((entry, size))
        self._bytes += size
        dropped = 0
        while len(entries) > MOST_WAITING or (self._bytes > MOST_BYTES and len(entries) > 1):
            self._bytes -= entries.popleft()[1]
            dropped += 1
        return dropped

    def take(self) -> T | None:
        """Return the oldest entry; ``None`` if there is none."""
        if not self._entries:
            return None
        entry, size = self._entries.popleft()
        self._bytes -= size
        return entry

    def __len__(self) -> int:
        return len(self._entries)


class Waiting(Generic[T]):
    """The same for any threads, and one can wait for an entry."""

    def __init__(self) -> None:
        self._queue: Queue[T] = Queue()
        self._changed = threading.Condition()

    def put(self, entry: T, payload: Payload) -> int:
        """Have *entry* wait, which is about *payload*; return how many were dropped for it."""
        with self._changed:
            dropped = self._queue.put(entry, payload)
            self._changed.notify()
        return dropped

    def get(self, timeout_s: float | None = None) -> T | None:
        """Return the oldest entry; ``None`` if there is none within *timeout_s*."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue, timeout_s)
            return self._queue.take()

    def __len__(self) -> int:
        return len(self._queue)


def _size(value: Any) -> int:
    """Return about how many bytes *value* takes, if that is worth counting."""
    if bulk.is_array(value):
        return int(value.nbytes)
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, (list, dict)):
        return _BYTES_OF_AN_ELEMENT * len(value)
    return 0
