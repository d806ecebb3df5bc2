"""How busy a line is, and how quick its device."""

from __future__ import annotations

import statistics
import threading
import time
from collections import deque

__all__ = ["Meter"]

_WINDOW_S = 10.0
_TURNS = 101


class Meter:
    """Durations of recent exchanges. Safe to use from several threads."""

    def __init__(self) -> None:
        """Begin with nothing measured."""
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._latencies_s: deque[float] = deque(maxlen=_TURNS)
        self._busy: deque[tuple[float, float]] = deque()

    def exchanged(self, begin: float, end: float, free: float) -> None:
        """Count one exchange, from *begin* to *end*, after which the line rests until *free*."""
        with self._lock:
            self._latencies_s.append(end - begin)
            self._busy.append((begin, free))
            while self._busy[0][1] < end - _WINDOW_S:
                self._busy.popleft()

    @property
    def latency_ms(self) -> float | None:
        """Median of the last 101 exchanges, from the first byte out to the last one in."""
        with self._lock:
            if not self._latencies_s:
                return None
            return statistics.median(self._latencies_s) * 1000

    @property
    def load_percent(self) -> float:
        """Share of the last 10 s in which the line was busy or had to rest, 0 to 100."""
        now = time.monotonic()
        since = max(now - _WINDOW_S, self._begun)
        if now <= since:
            return 0.0
        with self._lock:
            busy_s = sum(max(0.0, min(end, now) - max(begin, since)) for begin, end in self._busy)
        return min(100.0, 100.0 * busy_s / (now - since))
