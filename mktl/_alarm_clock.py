"""What becomes due of alarms though nothing is published: one poll, while there is something."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .scheduler import Poll, Scheduler

__all__ = ["AlarmClock", "Sleeper"]

_log = logging.getLogger(__name__)

TICK_S = 0.1


class Sleeper(Protocol):
    """What waits to be woken."""

    def wake(self) -> None:
        """Do what is due."""


class AlarmClock:
    """Wakes what asked for it.

    Args:
        scheduler: The clock of the daemon.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._lock = threading.Lock()
        self._dues: dict[Sleeper, float] = {}
        self._poll: Poll | None = None

    def wake(self, sleeper: Sleeper, due: float | None) -> None:
        """Have *sleeper* woken once, at *due* by the monotonic clock; ``None``: let it sleep."""
        with self._lock:
            if due is None:
                self._dues.pop(sleeper, None)
                return
            self._dues[sleeper] = due
            if self._poll is None:
                self._poll = self._scheduler.add(TICK_S, self._tick, lambda: "alarm clock")

    def _tick(self) -> None:
        now = time.monotonic()
        with self._lock:
            due = [sleeper for sleeper, moment in self._dues.items() if moment <= now]
            for sleeper in due:
                del self._dues[sleeper]
            if not self._dues and self._poll is not None:
                self._poll.cancel()
                self._poll = None
        for sleeper in due:
            try:
                sleeper.wake()
            except Exception:  # the others are due as well
                _log.exception("what was due of an alarm has failed")
