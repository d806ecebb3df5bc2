"""Calls that are made by the very thread that has something to tell, as long as they are quick.

To wake another thread for it takes longer than all else that happens to a value on its way.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

__all__ = ["Promptness", "do_here", "has_waited", "offer"]

Job = Callable[[], object]

_QUICK_S = 0.0005
_QUICK_CALL_S = 0.00005
"""What a turn of calls may take, and each of them: whoever asks somebody else for something, or
works through a frame, takes longer than that."""
_FIRST_PENALTY, _LAST_PENALTY = 8, 10_000


class _Thread(threading.local):
    """What is so for one thread."""

    take: Callable[[Job, Job], bool] | None = None


_thread = _Thread()


def offer(take: Callable[[Job, Job], bool] | None) -> None:
    """Have quick jobs that come up on this thread done by *take*, if it returns true."""
    _thread.take = take


# A process that is forked by such a job goes on with that, and never reads on.
os.register_at_fork(after_in_child=lambda: offer(None))


def do_here(job: Job, otherwise: Job) -> bool:
    """Have this thread do *job* as soon as it may, or *otherwise* if it cannot; or return False."""
    return _thread.take is not None and _thread.take(job, otherwise)


def has_waited(began: float, used_s: float, at_least_s: float) -> bool:
    """Return whether what ends now has taken so long, and not because the process computes.

    While it does, one waits for no more than a turn at the interpreter: with more threads, all
    would take longer still.

    Args:
        began: When, by :func:`time.monotonic`.
        used_s: What :func:`time.process_time` said then.
        at_least_s: Seconds.
    """
    took_s = time.monotonic() - began
    return took_s >= at_least_s and time.process_time() - used_s <= took_s / 2


class Promptness:
    """Whether calls have been quick so far; each time that they were not, there is longer doubt."""

    __slots__ = ("_doubted", "_penalty", "_quick")

    def __init__(self) -> None:
        self._doubted = self._quick = 0
        self._penalty = _FIRST_PENALTY

    @property
    def is_good(self) -> bool:
        """Whether they may be made where others wait for them."""
        return not self._doubted

    def note(self, calls: int, took_s: float) -> None:
        """Take note of a turn that others have waited for."""
        if took_s > _QUICK_S + _QUICK_CALL_S * calls:
            self._doubted, self._quick = self._penalty, 0
            self._penalty = min(4 * self._penalty, _LAST_PENALTY)
            return
        self._quick += 1
        if self._quick >= self._penalty:
            self._quick = 0
            self._penalty = max(self._penalty // 2, _FIRST_PENALTY)

    def note_elsewhere(self) -> None:
        """Take note of a turn that nobody has waited for."""
        if self._doubted:
            self._doubted -= 1
