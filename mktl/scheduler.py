"""One clock for all polls of a daemon."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Hashable

from .errors import BadValue
from .lanes import Lanes

__all__ = ["Poll", "Scheduler"]

_log = logging.getLogger(__name__)


class Poll:
    """Something to be done again and again.

    Attributes:
        overruns: How often it was due while the one before was still waiting or running.
    """

    __slots__ = ("_busy", "_cancelled", "_job", "_lane", "overruns", "period_s")

    def __init__(
        self, period_s: float, job: Callable[[], object], lane: Callable[[], Hashable]
    ) -> None:
        self.period_s = period_s
        self.overruns = 0
        self._job = job
        self._lane = lane
        self._busy = False
        self._cancelled = False

    def cancel(self) -> None:
        """Do it no more."""
        self._cancelled = True

    def _run(self) -> None:
        try:
            if not self._cancelled:
                self._job()
        finally:
            self._busy = False


class Scheduler:
    """A thread that hands polls to lanes when they are due.

    The cadence is fixed: a poll is due at its start plus a whole number of periods, however long
    it takes. What is due while it still waits or runs is skipped, and counted.

    Args:
        lanes: Where polls are run.
        name: For the thread.
    """

    def __init__(self, lanes: Lanes, name: str) -> None:
        self._lanes = lanes
        self._condition = threading.Condition()
        self._due: list[tuple[float, int, Poll]] = []
        self._numbers = itertools.count()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"{name}-clock", daemon=True)

    def start(self) -> None:
        """Begin. Polls that were added before are due at once."""
        self._thread.start()

    def add(self, period_s: float, job: Callable[[], object], lane: Callable[[], Hashable]) -> Poll:
        """Have *job* done now and every *period_s* seconds, until the poll is cancelled.

        Args:
            period_s: Seconds, above 0.
            job: What to do. An exception in it is logged and ends nothing.
            lane: Asked each time in which lane to do it.

        Raises:
            BadValue: the period is not a positive number.
        """
        if not 0 < period_s < float("inf"):
            raise BadValue(f"a poll needs a period above 0 seconds, not {period_s!r}")
        poll = Poll(period_s, job, lane)
        with self._condition:
            heapq.heappush(self._due, (time.monotonic(), next(self._numbers), poll))
            self._condition.notify()
        return poll

    def stop(self) -> None:
        """Hand out no more polls, and end the thread."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while (poll := self._next_due()) is not None:
            if poll._busy:
                poll.overruns += 1
                continue
            poll._busy = True
            try:
                self._lanes.submit(poll._lane(), poll._run)
            except Exception:  # the clock of all polls must outlive a mistake in one
                _log.exception("a poll could not be started")
                poll._busy = False

    def _next_due(self) -> Poll | None:
        with self._condition:
            while not self._stopping:
                if not self._due:
                    self._condition.wait()
                    continue
                due, number, poll = self._due[0]
                now = time.monotonic()
                if poll._cancelled:
                    heapq.heappop(self._due)
                elif due > now:
                    self._condition.wait(due - now)
                else:
                    missed = int((now - due) / poll.period_s)
                    poll.overruns += missed
                    following = due + (missed + 1) * poll.period_s
                    heapq.heapreplace(self._due, (following, number, poll))
                    return poll
        return None
