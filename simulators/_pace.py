"""The pace of a serial line: no character sooner than its bits take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from time import sleep

BITS_PER_CHARACTER = 10
"""Start, 7 data, parity and stop, or start, 8 data and stop."""
# Sleeping for single characters at 57600 baud would be all that the processor does.
_SLICE_S = 0.005
# What comes so soon has come at once: it is the loop that took that long to see to it.
_AT_ONCE_S = 0.0005
_LOOP_STEP_S = 0.001


async def wait_until(due_s: float, now: Callable[[], float]) -> None:
    """Wait for the moment *due_s* of the clock *now*, and not for up to a millisecond more.

    A loop waits for whole milliseconds, rounded up, and one is a character at 9600 baud: the rest
    is waited for outside of it.
    """
    await asyncio.sleep(due_s - now() - _LOOP_STEP_S)
    sleep(max(0.0, due_s - now()))


class Pace:
    """Both directions of one line."""

    def __init__(self, baud: int, *, now: Callable[[], float]) -> None:
        """Start silent; *baud* in bits per second, *now* gives the real time in seconds."""
        self.character_s = BITS_PER_CHARACTER / baud
        self.slice = max(1, int(_SLICE_S / self.character_s))
        self._now = now
        self._heard_until_s = self._sent_until_s = 0.0
        self.hearing = False

    async def heard(self, count: int) -> None:
        """Wait until *count* more characters have come."""
        self._heard_until_s = self._after(self._heard_until_s) + count * self.character_s
        self.hearing = True
        try:
            await wait_until(self._heard_until_s, self._now)
        finally:
            self.hearing = False

    async def send(self, data: bytes, write: Callable[[bytes], None]) -> None:
        """Hand *data* to *write*, some characters at a time, each when it is due."""
        self._sent_until_s = self._after(max(self._heard_until_s, self._sent_until_s))
        for part in self._slices(data):
            self._sent_until_s += len(part) * self.character_s
            await wait_until(self._sent_until_s, self._now)
            write(part)

    def _after(self, end_s: float) -> float:
        """Return when the next character begins: as the last one ended, at *end_s*, or now."""
        now_s = self._now()
        return end_s if end_s <= now_s < end_s + _AT_ONCE_S else now_s

    def _slices(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), self.slice):
            yield data[at : at + self.slice]
