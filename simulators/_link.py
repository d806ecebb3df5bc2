"""What the two kinds of link have in common: a wire, and the conversation over it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from simulators._bench import Bench


class Link(Protocol):
    """A way for hosts to reach the device; it lives in one event loop."""

    kind: str
    """``tcp`` or ``serial``."""

    @property
    def url(self) -> str:
        """The URL that a driver opens; the same before and after a cut."""
        ...

    async def connect(self) -> None:
        """Let hosts in, for the first time or again.

        Raises:
            OSError: the address or path cannot be used.
        """
        ...

    async def cut(self) -> None:
        """Pull the cable: whoever is connected loses it, and nobody gets in."""
        ...

    async def reset(self) -> None:
        """Drop who is connected; new connections are welcome at once."""
        ...

    async def close(self) -> None:
        """Give everything back."""
        ...


class Wire(Protocol):
    """One connection to a host."""

    async def receive(self) -> bytes:
        """Wait for some bytes; empty: the host has gone."""
        ...

    async def send(self, data: bytes) -> None:
        """Send all of *data*."""
        ...


async def converse(bench: Bench, wire: Wire, *, link: str) -> None:
    """Answer the messages of one host until it goes.

    Raises:
        OSError: the connection broke.
    """
    framer = bench.device.framer()
    while data := await wire.receive():
        for message in framer.feed(data):
            pieces = bench.respond(message, link=link)
            for piece in pieces:
                if piece.delay_s:
                    await asyncio.sleep(piece.delay_s)
                await wire.send(piece.data)
            if pieces:
                bench.reply_ended()
        # A host that floods must not starve the others.
        await asyncio.sleep(0)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel *task* and wait until it is over; what it raised has been dealt with in it."""
    task.cancel()
    await asyncio.wait([task])
