"""Work in order within a lane, side by side between lanes, on few threads.

A lane is anything hashable: an item, a controller. Its jobs run one after the other, in the order
in which they were given. A lane costs nothing while it has no work.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable

from ._log import Log
from ._ratelimit import RateLimitedLog

__all__ = ["Lanes"]

_log = Log(__name__)

Job = Callable[[], object]


def _of_the_caller() -> None:
    """Stand for the job that whoever has claimed a lane does."""


_END = object()
"""Stands for no lane: a thread that gets it ends."""
_STALL_S = 0.02
"""When no job has ended for this long although some wait, the threads are taken to be blocked."""
_TOO_LONG_S = 0.05
"""The same, when a lane has waited for this long: most threads may be blocked, if not all."""
_IDLE_S = 10.0
"""After which one of the threads beyond the first few ends, if there was always an idle one."""


class Lanes:
    """A pool of threads that grows only while its threads are blocked.

    Args:
        name: For the threads.
        few: Threads to have as soon as there is work for them.
        most: Threads to have at most; with all of them blocked, other lanes wait.
    """

    def __init__(self, name: str, *, few: int = 4, most: int = 128) -> None:
        self._name = name
        self._few, self._most = few, most
        # Held by itself where nobody waits: a condition is entered by code in Python.
        self._lock = threading.Lock()
        self._condition = threading.Condition(self._lock)
        self._stalled = threading.Condition(self._lock)
        self._jobs: dict[Hashable, deque[Job]] = {}
        self._ready: deque[tuple[Hashable, float]] = deque()
        self._threads: set[threading.Thread] = set()
        self._watch: threading.Thread | None = None
        self._idle = 0
        self._ended = 0
        self._made = 0
        self._short_at = 0.0
        self._closing = False
        self._trouble = RateLimitedLog(_log)

    def submit(self, lane: Hashable, job: Job) -> bool:
        """Have *job* done after all earlier ones of *lane*; ``False`` after :meth:`close`."""
        with self._lock:
            if self._closing:
                return False
            queue = self._jobs.get(lane)
            if queue is not None:
                queue.append(job)
                return True
            self._jobs[lane] = deque([job])
            self._make_ready(lane)
        return True

    def do(self, lane: Hashable, job: Job) -> bool:
        """Have *job* done as by :meth:`submit`; if nothing of *lane* is under way, here and now."""
        if not self.claim(lane):
            return self.submit(lane, job)
        self._carry_out(job)
        self.release(lane)
        return True

    def claim(self, lane: Hashable) -> bool:
        """Let the caller itself do a job of *lane*; :meth:`release` has to follow.

        Returns:
            False if something of the lane is under way, or all is at an end.
        """
        with self._lock:
            if self._closing or lane in self._jobs:
                return False
            self._jobs[lane] = deque([_of_the_caller])
            return True

    def release(self, lane: Hashable) -> None:
        """Go on with a lane after :meth:`claim`."""
        with self._lock:
            queue = self._jobs[lane]
            queue.popleft()
            if queue:
                self._make_ready(lane)
            else:
                del self._jobs[lane]

    def _make_ready(self, lane: Hashable) -> None:
        """See to it that there is a thread for *lane*."""
        now = time.monotonic()
        self._ready.append((lane, now))
        if self._idle >= len(self._ready):
            self._condition.notify()
            return
        self._short_at = now
        if len(self._threads) >= self._few or not self._add_thread():
            self._watch_for_a_stall()

    def waiting(self) -> int:
        """Return the number of jobs that have not ended."""
        with self._lock:
            return sum(map(len, self._jobs.values()))

    def close(self, timeout_s: float) -> bool:
        """Take no more work, finish what is there, end the threads.

        Returns:
            Whether all threads had ended within *timeout_s* seconds.
        """
        deadline = time.monotonic() + timeout_s
        with self._lock:
            self._closing = True
            self._condition.notify_all()
            self._stalled.notify_all()
            threads = list(self._threads) + ([self._watch] if self._watch else [])
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _add_thread(self) -> bool:
        self._made += 1
        self._short_at = time.monotonic()
        thread = self._started(self._work, f"{self._name}-{self._made}")
        if thread is None:
            return False
        self._threads.add(thread)
        return True

    def _started(self, work: Callable[[], None], name: str) -> threading.Thread | None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system gives no more of them: there is a next time
            self._trouble.warning("%s lacks threads: %s", self._name, error)
            return None
        return thread

    def _work(self) -> None:
        me = threading.current_thread()
        while (lane := self._next_lane(me)) is not _END:
            self._carry_out(self._jobs[lane][0])
            self._end_job(lane)

    def _carry_out(self, job: Job) -> None:
        try:
            job()
        except BaseException:  # even SystemExit, which would end this thread and stop the lane
            _log.exception("a job of %s failed", self._name)

    def _next_lane(self, me: threading.Thread) -> Hashable:
        with self._lock:
            while not self._ready:
                if self._closing:
                    self._threads.discard(me)
                    return _END
                if self._is_one_too_many():
                    self._threads.discard(me)
                    return _END
                self._idle += 1
                self._condition.wait(_IDLE_S)
                self._idle -= 1
            lane, _since = self._ready.popleft()
            return lane

    def _is_one_too_many(self) -> bool:
        """Return whether there were more threads than work all the time lately; one of them ends.

        How long this one was idle does not tell: each of them gets some work now and again.
        """
        now = time.monotonic()
        enough = len(self._threads) > self._few and self._idle > 0  # another one is at hand
        if not enough or now - self._short_at < _IDLE_S:
            return False
        self._short_at = now - _IDLE_S / 2  # the next one soon, but not all at once
        return True

    def _end_job(self, lane: Hashable) -> None:
        with self._lock:
            self._ended += 1
            queue = self._jobs[lane]
            queue.popleft()
            if queue:
                self._ready.append((lane, time.monotonic()))
            else:
                del self._jobs[lane]

    def _longest_wait_s(self) -> float:
        return time.monotonic() - self._ready[0][1] if self._ready else 0.0

    def _watch_for_a_stall(self) -> None:
        if self._watch is None:
            self._watch = self._started(self._add_threads_while_stalled, f"{self._name}-watch")
        self._stalled.notify()

    def _add_threads_while_stalled(self) -> None:
        """Add a thread each time that a lane has waited too long, or no job ended for a while."""
        before = -1
        with self._lock:
            while not self._closing:
                stalled = self._ended == before or self._longest_wait_s() > _TOO_LONG_S
                if self._ready and stalled and len(self._threads) < self._most:
                    self._add_thread()
                before = self._ended
                self._stalled.wait(_STALL_S if self._ready else None)
