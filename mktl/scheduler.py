"""One clock for all polls of a daemon."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext

from ._log import Log
from ._quick import has_waited
from ._quick_polls import QuickPolls
from .errors import BadValue
from .lanes import Lanes

__all__ = ["Poll", "Scheduler"]

_log = Log(__name__)

_TOGETHER = 5
"""So many polls that are spread are due at the same time: to wake up costs more than each of them,
and all of them do not hold up others for long."""
_TICK_S = 0.005
"""Those of different periods come due on ticks of the clock, so that they often share one."""
_GOLDEN = (math.sqrt(5) - 1) / 2
"""Its multiples, without what is before the point, lie evenly in 0 to 1, however many they are."""
_QUICK_S = 0.002
"""What takes longer, without computing, is worth a thread of its own."""
_CONFIDENCE = 5
"""So many times in a row has a poll to be quick that was slow once, until it counts as quick."""
_NEVER = -math.inf
_LONGEST_S = 3600.0
"""The clock may wait for as long at once; for what is due in centuries it could not."""


class Poll:
    """Something to be done again and again.

    Attributes:
        overruns: How often it was due while the one before was still waiting or running.
        since: When it was last handed over, in seconds of :func:`time.monotonic`.
    """

    __slots__ = ("_busy", "_cancelled", "_job", "_lane", "_quick_runs", "overruns", "since")

    def __init__(
        self, job: Callable[[], object], lane: Callable[[], Hashable], *, alone: bool
    ) -> None:
        self.overruns = 0
        self.since = 0.0
        self._job = job
        self._lane = lane
        self._quick_runs = _CONFIDENCE if alone else _NEVER
        self._busy = False
        self._cancelled = False

    def cancel(self) -> None:
        """Do it no more."""
        self._cancelled = True

    def do_by(self, submit: Callable[[Hashable, Callable[[], object]], object]) -> None:
        """Have it done by *submit*, in its lane."""
        try:
            submit(self._lane(), self._run)
        except Exception:  # whoever does it has other polls to do
            _log.exception("a poll could not be started")
            self._busy = False

    def _run(self) -> None:
        began, used_s = time.monotonic(), time.process_time()
        try:
            if not self._cancelled:
                self._job()
        finally:
            if self._quick_runs < _CONFIDENCE:
                self._quick_runs += 1
            if has_waited(began, used_s, _QUICK_S):
                self._quick_runs = min(self._quick_runs, 0)
            self._busy = False


class _Round:
    """Polls that are always due at the same time.

    Args:
        period_s: Seconds from one time to the next.
        phase: Which part of its period the second time is early; later ones keep to that.
        ticks: Whether the second time, and so all of them, are on a tick of the clock.
    """

    __slots__ = ("period_s", "phase", "polls", "ticks", "was_due")

    def __init__(self, period_s: float, phase: float, *, ticks: bool) -> None:
        self.period_s = period_s
        self.phase = phase
        self.ticks = ticks
        self.polls: list[Poll] = []
        self.was_due = False

    def has_room(self, period_s: float) -> bool:
        """Return whether another poll of *period_s* can join, before its first time."""
        return not self.was_due and self.period_s == period_s and len(self.polls) < _TOGETHER

    def next_due(self, due: float, now: float) -> float:
        """Return when they are due again, and count how often they were missed meanwhile."""
        if self.was_due:
            missed = int((now - due) / self.period_s)
            if missed:
                for poll in self.polls:
                    poll.overruns += missed
            return due + (missed + 1) * self.period_s
        self.was_due = True
        second = now + self.period_s * (1.0 - self.phase)
        if not self.ticks:
            return second
        tick = min(_TICK_S, self.period_s)
        second = second // tick * tick
        return second if second > now else second + tick


class Scheduler:
    """A thread that hands polls to lanes when they are due.

    A poll is due at once, and then on a fixed cadence, however long it takes. What is due while it
    still waits or runs is skipped, and counted.

    Args:
        lanes: Where polls are run.
        name: For the thread.
        together: Returns a context in which a thread does many polls, at less cost.
    """

    def __init__(
        self,
        lanes: Lanes,
        name: str,
        together: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._lanes = lanes
        self._quick = QuickPolls(lanes, f"{name}-polls", together)
        self._condition = threading.Condition()
        self._due: list[tuple[float, int, _Round]] = []
        self._open: _Round | None = None
        self._numbers = itertools.count()
        self._phases = itertools.count()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"{name}-clock", daemon=True)

    @property
    def thread(self) -> Lanes:
        """The one of quick polls."""
        return self._quick.thread

    def start(self) -> None:
        """Begin. Polls that were added before are due at once."""
        self._thread.start()

    def add(
        self,
        period_s: float,
        job: Callable[[], object],
        lane: Callable[[], Hashable],
        *,
        alone: bool = False,
    ) -> Poll:
        """Have *job* done now and every *period_s* seconds, until the poll is cancelled.

        Args:
            period_s: Seconds, above 0.
            job: What to do. An exception in it is logged and ends nothing.
            lane: Asked each time in which lane to do it.
            alone: It shares its lane with no other poll. Such polls are spread evenly over their
                period (the second one comes early for that), and one thread does all that are due,
                as long as they are quick.

        Raises:
            BadValue: the period is not a positive number.
        """
        if not 0 < period_s < float("inf"):
            raise BadValue(f"a poll needs a period above 0 seconds, not {period_s!r}")
        poll = Poll(job, lane, alone=alone)
        with self._condition:
            self._round_for(period_s, alone=alone).polls.append(poll)
            self._condition.notify()
        return poll

    def _round_for(self, period_s: float, *, alone: bool) -> _Round:
        """Return a round that has not begun."""
        if alone and self._open is not None and self._open.has_room(period_s):
            return self._open
        phase = next(self._phases) * _GOLDEN % 1.0 if alone else 0.0
        made = _Round(period_s, phase, ticks=alone)
        if alone:
            self._open = made
        heapq.heappush(self._due, (time.monotonic(), next(self._numbers), made))
        return made

    def stop(self) -> None:
        """Hand out no more polls, and end the thread."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if self._thread.is_alive():
            self._thread.join()
        self._quick.stop()

    def _run(self) -> None:
        while (polls := self._wait_for_polls()) is not None:
            now = time.monotonic()
            quick: list[Poll] = []
            others: list[Poll] = []
            for poll in polls:
                if poll._busy:
                    poll.overruns += 1
                    continue
                poll._busy = True
                poll.since = now
                (quick if poll._quick_runs >= _CONFIDENCE else others).append(poll)
            self._quick.do(quick, now)  # before threads wake up with which it shares a processor
            for poll in others:
                poll.do_by(self._lanes.submit)
            self._quick.look(now)

    def _wait_for_polls(self) -> list[Poll] | None:
        """Return what is due, perhaps nothing; ``None`` at the end."""
        with self._condition:
            if not self._stopping:
                due = self._due[0][0] if self._due else float("inf")
                wait_s = min(due, self._quick.look_at) - time.monotonic()
                if wait_s > 0:
                    self._condition.wait(min(wait_s, _LONGEST_S))
            return None if self._stopping else self._take_due()

    def _take_due(self) -> list[Poll]:
        polls: list[Poll] = []
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            due, number, one = self._due[0]
            one.polls = [poll for poll in one.polls if not poll._cancelled]
            if one.polls:
                polls += one.polls
                heapq.heapreplace(self._due, (one.next_due(due, now), number, one))
            else:
                heapq.heappop(self._due)
        return polls
