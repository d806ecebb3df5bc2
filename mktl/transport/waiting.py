"""Waiting on descriptors: awake for a moment, where what is waited for has come quickly before.

To be woken takes longer than to answer a request, and what runs after it runs slowly, as the
processor has nothing of it at hand. Who waits awake is spared both, at the price of processor time.
"""

from __future__ import annotations

import os
import select
import time

from .. import config

__all__ = ["Poller"]

_SHORT = 2
"""How many times as long as one waits awake a wait may last, for the next one to begin awake."""
_MOST_ASLEEP = 63
"""Short waits at most after one that was awake in vain, until the next one that begins awake."""


class Poller:
    """Waits until descriptors are readable. Used by one thread at a time.

    Args:
        awake_s: For how many seconds to wait awake; ``None``: as configured, and where there are
            processors for it.
    """

    def __init__(self, awake_s: float | None = None) -> None:
        self._poll = select.poll()
        self._awake_s = _awake_s() if awake_s is None else awake_s
        self._short_s = _SHORT * self._awake_s
        self._last_s = float("inf")
        self._pause = self._asleep = 0

    def register(self, descriptor: int) -> None:
        """Wait for *descriptor*, too, from the next time on."""
        self._poll.register(descriptor, select.POLLIN)

    def wait(self, timeout_s: float | None) -> list[int]:
        """Wait until one is readable, or the time is over.

        Returns:
            Those that are readable; none when the time is over.
        """
        if timeout_s is not None and timeout_s <= 0:
            return self._readable(0)
        began = time.monotonic()
        until = None if timeout_s is None else began + timeout_s
        ready = self._wait_awake(began, until) if self._is_worth_it() else self._sleep(began, until)
        self._last_s = time.monotonic() - began
        return ready

    def _is_worth_it(self) -> bool:
        if self._last_s >= self._short_s:
            return False
        self._asleep -= 1
        return self._asleep < 0

    def _wait_awake(self, began: float, until: float | None) -> list[int]:
        until_asleep = began + self._awake_s
        if until is not None:
            until_asleep = min(until_asleep, until)
        while not (ready := self._readable(0)):
            # Others go first: other threads while the system is asked, other processes in between.
            os.sched_yield()
            # Where others have work to do, they keep this thread: then it is late, and in vain,
            # whatever has come meanwhile.
            if (now := time.monotonic()) >= until_asleep:
                self._asleep = self._pause = min(2 * self._pause + 1, _MOST_ASLEEP)
                return self._sleep(now, until)
        self._pause = 0
        return ready

    def _sleep(self, now: float, until: float | None) -> list[int]:
        return self._readable(None if until is None else max(0.0, 1000 * (until - now)))

    def _readable(self, milliseconds: float | None) -> list[int]:
        return [descriptor for descriptor, _event in self._poll.poll(milliseconds)]


def _awake_s() -> float:
    configured_s = config.awake_s()
    return configured_s if _has_processors() else 0.0


def _has_processors() -> bool:
    """Return whether whoever is waited for can run while this process does."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) > 1
    return (os.cpu_count() or 1) > 1
