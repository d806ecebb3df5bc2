"""Log lines that a flood of bad input cannot turn into a flood of their own."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ._log import Log

if TYPE_CHECKING:
    import logging

__all__ = ["RateLimitedLog"]


class RateLimitedLog:
    """Counts every event, logs the first, and then at most one in *interval_s* seconds."""

    def __init__(self, log: Log | logging.Logger, interval_s: float = 30.0) -> None:
        self._log = log
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._next = 0.0
        self._unlogged = 0
        self.count = 0

    def warning(self, message: str, *args: object, exc_info: BaseException | None = None) -> bool:
        """Count an event, and log it if it is time to; return whether it was logged."""
        now = time.monotonic()
        with self._lock:
            self.count += 1
            if now < self._next:
                self._unlogged += 1
                return False
            self._next = now + self._interval_s
            unlogged, self._unlogged = self._unlogged, 0
        suffix = f" ({unlogged} more like it since the last such line)" if unlogged else ""
        self._log.warning(message + "%s", *args, suffix, exc_info=exc_info)
        return True
