"""The log of alarms: each change a line, but no flood of one that comes and goes."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque

from ._alarm_clock import AlarmClock
from ._episodes import Episode
from ._limits import ALARM, WARNING

__all__ = ["AlarmLog", "describe_change"]

_log = logging.getLogger(__name__)

MOST_LINES = 6
"""Of one item, within :data:`PER_S` seconds; later, one line says what was left out."""
PER_S = 60.0

_NAMES = {WARNING: "warning", ALARM: "alarm"}


class AlarmLog:
    """Logs the changes of one item's alarm.

    Args:
        full_key: The item.
        clock: Wakes it to tell what it has left out.
    """

    def __init__(self, full_key: str, clock: AlarmClock) -> None:
        self._full_key = full_key
        self._clock = clock
        self._lock = threading.Lock()
        self._lines: deque[float] = deque(maxlen=MOST_LINES)
        self._left_out = 0
        self._last = (logging.INFO, "")

    def tell(self, level: int, text: str) -> None:
        """Log a change, now or together with later ones."""
        with self._lock:
            self._last = level, text
            self._left_out += 1
            full = len(self._lines) == MOST_LINES
            if full and time.monotonic() < self._lines[0] + PER_S:
                self._clock.wake(self, self._lines[0] + PER_S)
                return
            self._write()

    def wake(self) -> None:
        """Log what was left out."""
        with self._lock:
            if self._left_out:
                self._write()

    def _write(self) -> None:
        level, text = self._last
        others = self._left_out - 1
        suffix = f" (and {others} changes before, since the last such line)" if others else ""
        _log.log(level, "%s: %s%s", self._full_key, text, suffix)
        self._left_out = 0
        self._lines.append(time.monotonic())


def describe_change(old: Episode | None, new: Episode | None) -> tuple[int, str] | None:
    """Return level and text of the line that says what has changed; ``None`` if nothing has.

    Who has acknowledged what is logged where that is done.
    """
    if new is None:
        if old is None:
            return None
        return logging.INFO, f"{_NAMES[old.severity]} is over: {_alone(old.was)}"
    name = _NAMES[new.severity]
    same = old is not None and (old.severity, old.ended) == (new.severity, new.ended)
    if same or (old is None and not new.waits):  # the latter is of an earlier run
        return None
    if new.ended is not None:
        return logging.INFO, f"{name} is over, and waits to be acknowledged: {_alone(new.was)}"
    return logging.WARNING if new.waits else logging.INFO, f"{name}: {new.reason}"


def _alone(was: str) -> str:
    """Return what was wrong without the comma before the times, where no times follow."""
    return was.removesuffix(",")
