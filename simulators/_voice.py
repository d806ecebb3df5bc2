"""What a device says by itself, on its way over one link."""

from __future__ import annotations

import asyncio
from collections import deque

from simulators._link import Link, ended
from simulators.device import Device
from simulators.faults import Piece

__all__ = ["MOST_UNSAID", "Voice"]

MOST_UNSAID = 32
"""While so many messages wait for hosts to take the ones before them, new ones are lost."""


class Voice:
    """Sends messages in their order; a link that is slow, or a host, holds up no other link."""

    def __init__(self, device: Device, link: Link) -> None:
        """Be silent; *device* may take back what it has said."""
        self._device = device
        self._link = link
        self._waiting: deque[tuple[list[Piece], int]] = deque()
        self._task: asyncio.Task[None] | None = None

    def say(self, messages: list[list[Piece]]) -> None:
        """Send *messages*, all of them or none: a line keeps only few."""
        if len(self._waiting) >= MOST_UNSAID:
            return
        self._waiting.extend((pieces, self._device.taken_back) for pieces in messages)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._speak(), name="marksim-unasked")

    async def finish(self, *, within_s: float) -> None:
        """Wait until all is said, but not for longer than *within_s* seconds."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=within_s)

    async def close(self) -> None:
        """Say no more."""
        self._waiting.clear()
        if self._task is not None:
            await ended(self._task)

    async def _speak(self) -> None:
        while self._waiting:
            pieces, taken_back = self._waiting.popleft()
            if self._device.taken_back != taken_back:
                continue
            for piece in pieces:
                if piece.delay_s:
                    await asyncio.sleep(piece.delay_s)
                await self._link.send_unasked(piece.data)
