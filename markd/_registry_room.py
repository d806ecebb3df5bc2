"""How much a registry keeps: anybody may announce anything, and as much of it as they like."""

from __future__ import annotations

import threading

from mktl.errors import Busy

__all__ = ["Room"]


class Room:
    """Counts blocks and their bytes, those too that are being decided about.

    Args:
        most_blocks: Blocks that are kept.
        most_bytes: Bytes of all of them as JSON; a block of 100 items has some 20 kB.
        most_waiting: Announcements that may wait for others of their store.
    """

    def __init__(
        self,
        *,
        most_blocks: int = 10_000,
        most_bytes: int = 64 * 1024 * 1024,
        most_waiting: int = 1000,
    ) -> None:
        self._most_blocks, self._most_bytes = most_blocks, most_bytes
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._kept: dict[str, int] = {}
        self._bytes = 0
        self._waiting = 0

    def let_in(self, uuid: str, size: int) -> None:
        """Count an announcement of *size* bytes, until :meth:`let_go`.

        Raises:
            Busy: there is no room for it; it is not counted.
        """
        with self._lock:
            if self._waiting >= self._most_waiting:
                raise Busy(f"{self._waiting} announcements wait to be decided about: try again")
            if uuid not in self._kept and len(self._kept) >= self._most_blocks:
                raise Busy(f"this registry knows {len(self._kept)} daemons, and takes no more")
            if self._bytes - self._kept.get(uuid, 0) + size > self._most_bytes:
                raise Busy(
                    f"this registry keeps {self._most_bytes} bytes about daemons at most, and has "
                    f"{self._bytes}: {size} more are not taken in"
                )
            self._waiting += 1
            self._bytes += size

    def let_go(self, size: int) -> None:
        """Count no more what :meth:`let_in` has counted: it was decided about."""
        with self._lock:
            self._waiting -= 1
            self._bytes -= size

    def keep(self, uuid: str, size: int) -> None:
        """Count a block that is known, in the place of an earlier one of the same daemon."""
        with self._lock:
            self._bytes += size - self._kept.get(uuid, 0)
            self._kept[uuid] = size

    def forget(self, uuid: str) -> None:
        """Count a block no more."""
        with self._lock:
            self._bytes -= self._kept.pop(uuid, 0)
