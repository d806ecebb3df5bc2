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
    """Waits until descriptors are readable. Used by one thread at a time."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._awake_s = config.awake_s() if _has_processors() else 0.0
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
        ready = self._wait_awake(began, timeout_s) if self._is_worth_it() else []
        if not ready:
            ready = self._readable(None if timeout_s is None else 1000 * timeout_s)
        self._last_s = time.monotonic() - began
        return ready

    def _is_worth_it(self) -> bool:
        if self._last_s >= self._short_s:
            return False
        self._asleep -= 1
        return self._asleep < 0

    def _wait_awake(self, began: float, timeout_s: float | None) -> list[int]:
        until = began + (self._awake_s if timeout_s is None else min(self._awake_s, timeout_s))
        # Others go first: other threads while the system is asked, other processes in between.
        while not (ready := self._readable(0)) and time.monotonic() < until:
            os.sched_yield()
        self._pause = 0 if ready else min(2 * self._pause + 1, _MOST_ASLEEP)
        self._asleep = self._pause
        return ready

    def _readable(self, milliseconds: float | None) -> list[int]:
        return [descriptor for descriptor, _event in self._poll.poll(milliseconds)]


def _has_processors() -> bool:
    """Return whether whoever is waited for can run while this process does."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) > 1
    return (os.cpu_count() or 1) > 1
