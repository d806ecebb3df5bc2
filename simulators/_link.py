"""What all kinds of link have in common: a wire, and the conversation over it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, Self

from simulators._bench import Bench, Coming
from simulators._pace import wait_until
from simulators.device import TimedFramer
from simulators.faults import Piece

# More than a busy machine makes between two bytes that were sent together.
_LEAST_GAP_S = 0.05
_CHARACTERS_OF_SILENCE = 3.5
_LOOK_S = 0.01


class Link(Protocol):
    """A way for hosts to reach the device; it lives in one event loop."""

    kind: str
    """The transport, e.g. ``tcp`` or ``modbus+rtu``."""

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

    async def vanish(self) -> None:
        """Neither hear nor answer who is connected any more, and let it believe that it is so."""
        ...

    async def send_unasked(self, data: bytes) -> None:
        """Send *data* to every host that is connected."""
        ...

    async def close(self) -> None:
        """Give everything back."""
        ...


class Wire(Protocol):
    """One connection to a host."""

    character_s: float
    """Seconds that a character takes; 0: no time."""

    @property
    def hearing(self) -> bool:
        """Tell whether characters come that have not been received."""
        ...

    async def receive(self) -> bytes:
        """Wait for some bytes; empty: the host has gone."""
        ...

    async def send(self, data: bytes) -> None:
        """Send all of *data*, and nothing else amid it."""
        ...


async def converse(bench: Bench, wire: Wire, *, link: str) -> None:
    """Answer the messages of one host until it goes, or has been idle for too long.

    Raises:
        OSError: the connection broke.
    """
    framer = bench.device.framer_for(link)
    gap_s: float | None = None
    if isinstance(framer, TimedFramer):
        silence_s = _CHARACTERS_OF_SILENCE * wire.character_s
        gap_s = max(framer.gap_s, _LEAST_GAP_S + silence_s)
    quiet = True
    async with _Receiver(wire) as receiver, Waiting() as waiting:
        while True:
            limit_s = bench.device.idle_limit_s() if quiet else gap_s
            data = await receiver.receive(limit_s)
            if data == b"" or (data is None and quiet):
                return
            if data is None:
                assert isinstance(framer, TimedFramer), "only with one there is a gap"
                messages, quiet = framer.silence(), True
            else:
                if bench.faults.is_active("echo"):
                    await wire.send(data)
                messages, quiet = framer.feed(data), gap_s is None
            for message in messages:
                await waiting.make_way()
                heard_s = time.monotonic()
                reply = bench.respond(message, link=link)
                await bench.speak_first()
                if isinstance(reply, Coming):
                    waiting.begin(reply, partial(_reply, bench, wire))
                else:
                    await _reply(bench, wire, reply, heard_s)
            # A host that floods must not starve the others.
            await asyncio.sleep(0)


async def _reply(
    bench: Bench, wire: Wire, pieces: list[Piece], since_s: float | None = None
) -> None:
    since_s = time.monotonic() if since_s is None else since_s
    for piece in pieces:
        if piece.delay_s:
            await wait_until(since_s + piece.delay_s, time.monotonic)
        await wire.send(piece.data)
        since_s = time.monotonic()
    if pieces:
        bench.reply_ended()


class Waiting:
    """The one reply that one host waits for, if the device takes its time for it."""

    def __init__(self) -> None:
        """Start with none."""
        self._task: asyncio.Task[None] | None = None
        self._coming: Coming | None = None

    async def __aenter__(self) -> Self:
        """Do nothing yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait no longer."""
        await self.close()

    def begin(self, coming: Coming, deliver: Callable[[list[Piece]], Awaitable[None]]) -> None:
        """Hand the reply to *deliver* as soon as it is there."""
        self._coming = coming
        self._task = asyncio.create_task(self._wait(coming, deliver), name="marksim-waiting")

    async def make_way(self) -> None:
        """Let the next message be obeyed: the reply has come, or the device gives it up."""
        if self._task is None:
            return
        if self._coming is not None and self._coming.interrupt():
            await self.close()
        else:
            await asyncio.wait([self._task])

    def drop(self) -> None:
        """Wait no longer: nothing is delivered from now on."""
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.drop()
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """Drop the reply, and return when nothing goes on any longer."""
        self.drop()
        if self._task is not None:
            await ended(self._task)

    async def _wait(
        self, coming: Coming, deliver: Callable[[list[Piece]], Awaitable[None]]
    ) -> None:
        while (pieces := coming.take()) is None:
            await asyncio.sleep(_LOOK_S)
        self._coming = None
        # Who reads from the host finds out as well that it has gone.
        with contextlib.suppress(OSError):
            await deliver(pieces)


class _Receiver:
    """Waits for bytes for a limited time, without ever losing some."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._task: asyncio.Task[bytes] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            # What it raised was about a conversation that is over.
            await asyncio.gather(self._task, return_exceptions=True)

    async def receive(self, limit_s: float | None) -> bytes | None:
        """Give some bytes; None: none have come within *limit_s* seconds."""
        if limit_s is None and self._task is None:
            return await self._wire.receive()
        if self._task is None:
            self._task = asyncio.create_task(self._wire.receive(), name="marksim-receive")
        # Not wait_for, which cancels: what has been read already would be lost.
        await asyncio.wait([self._task], timeout=limit_s)
        if self._wire.hearing:
            await asyncio.wait([self._task])
        if not self._task.done():
            return None
        done, self._task = self._task, None
        return done.result()


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel *task* and wait until it is over; what it raised has been dealt with in it."""
    task.cancel()
    await asyncio.wait([task])
