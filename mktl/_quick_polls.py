"""Polls that are done by one thread, one after the other, as long as none of them is held up."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from .lanes import Lanes

if TYPE_CHECKING:
    from .scheduler import Poll

__all__ = ["QuickPolls"]

_LOOK_S = 0.005
"""How often it is looked, while some wait, whether one of them holds up the others."""
_TOO_LONG_S = 0.05
"""When one has waited for this long, or none was begun for this long, another thread is needed."""
_MOST_THREADS = 128
"""As many as the lanes have: more of them than that would only wait for each other."""


class QuickPolls:
    """Has polls done that are known to be quick, and finds out when one of them is not.

    To wake a thread for each of them costs several times as much as most of them do themselves.
    All but the threads' own part is called by the clock.

    Args:
        lanes: Order what is done, and have the threads that go on where the one is held up.
        name: For the threads.
        together: Returns a context in which a thread does many polls, at less cost.

    Attributes:
        thread: The one that does them; no other work takes it.
        look_at: When to call :meth:`look`, in seconds of :func:`time.monotonic`.
    """

    def __init__(
        self, lanes: Lanes, name: str, together: Callable[[], AbstractContextManager[object]]
    ) -> None:
        self.thread = Lanes(name, few=1, most=1)
        self.look_at = float("inf")
        self._lanes = lanes
        self._together = together
        self._lock = threading.Lock()
        self._waiting: deque[Poll] = deque()
        self._working = 0
        self._taken_at = 0.0
        # When it was looked last, and the processor time of all threads until then.
        self._looked_at = self._used_s = 0.0

    def do(self, polls: Sequence[Poll], now: float) -> None:
        """Have *polls* done, each in its lane."""
        if not polls:
            return
        with self._lock:
            self._waiting.extend(polls)
            pool = self.thread if not self._working else self._lanes
            starts = not self._working or self._look_whether_held_up(now)
            self._working += starts
        if starts:
            self._start(pool, now)
        if not starts or len(polls) > 1:  # else nothing waits behind it
            self.look_at = now + _LOOK_S

    def look(self, now: float) -> None:
        """Have another thread go on where one is held up."""
        if now < self.look_at:
            return
        with self._lock:
            starts = bool(self._waiting) and self._look_whether_held_up(now)
            is_last = bool(self._working) and not self._waiting
            self._working += starts
        self.look_at = float("inf") if is_last or not self._working else now + _LOOK_S
        if starts:
            self._start(self._lanes, now)
        if starts or is_last:
            with self._together():
                pass  # to leave it is what the thread that is held up will do only at its end

    def _look_whether_held_up(self, now: float) -> bool:
        lasts_s, used_s = now - self._looked_at, time.process_time()
        # While the process computes, more threads would only be in each other's way.
        computes = used_s - self._used_s > lasts_s / 2
        self._looked_at, self._used_s = now, used_s
        stuck_s = now - self._taken_at
        if self._working >= _MOST_THREADS:
            return False
        if computes:
            return stuck_s > _TOO_LONG_S
        return stuck_s > _LOOK_S or now - self._waiting[0].since > _TOO_LONG_S

    def stop(self) -> None:
        """Begin nothing more; the thread ends, once it has done what it is at."""
        with self._lock:
            self._waiting.clear()
        self.thread.close(timeout_s=0.0)

    def _start(self, pool: Lanes, now: float) -> None:
        self._taken_at = self._looked_at = now
        self._used_s = time.process_time()
        if not pool.submit(object(), self._work):  # it is all at an end
            with self._lock:
                self._working -= 1

    def _work(self) -> None:
        with self._together():
            while (poll := self._next()) is not None:
                poll.do_by(self._lanes.do)

    def _next(self) -> Poll | None:
        with self._lock:
            if self._waiting:
                self._taken_at = time.monotonic()
                return self._waiting.popleft()
            self._working -= 1
            return None
