"""Messages with an explicit end (END), as VXI-11 and HiSLIP carry them, and their replies."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial

from simulators._bench import Bench, Coming
from simulators._link import Waiting, ended
from simulators.faults import Piece

MESSAGE_AVAILABLE = 0x10
"""Bit of the status byte: a reply waits to be read (IEEE 488.2, section 11.2.1.2)."""
_MOST_UNREAD = 64


class InstrumentSession:
    """What one host has sent, and the replies that it has not read yet.

    A reply is there once the delays of its pieces have passed; those of later messages wait.
    """

    def __init__(self, bench: Bench, link: str) -> None:
        """Start with nothing sent and nothing to read."""
        self._bench = bench
        self._link = link
        self._framer = bench.device.framer_for(link)
        self._coming: asyncio.Queue[tuple[Piece, int | None, bool]] = asyncio.Queue()
        self._ready: deque[tuple[bytes, int | None, bool]] = deque()
        self._arrived = asyncio.Event()
        self._on_its_way = False
        self._waiting = Waiting()
        self._task = asyncio.create_task(self._let_arrive(), name="marksim-replies")

    async def write(self, data: bytes, *, end: bool, message_id: int | None = None) -> None:
        """Take some of a message; *end*: that was all of it, terminator or not.

        *message_id* is the number that its reply is given, where messages have one.
        """
        messages = self._framer.feed(data)
        if end:
            messages += self._framer.feed(self._bench.device.line_end)
        for message in messages:
            await self._waiting.make_way()
            if self._is_unread() and self._bench.device.interrupted():
                self._forget()
            reply = self._bench.respond(message, link=self._link)
            deliver = partial(self._deliver, message_id)
            if isinstance(reply, Coming):
                self._waiting.begin(reply, deliver)
            else:
                await deliver(reply)

    async def _deliver(self, message_id: int | None, pieces: list[Piece]) -> None:
        for number, piece in enumerate(pieces, 1):
            # A reply that has lost its terminator has lost its END as well.
            last = number == len(pieces) and piece.data.endswith(self._bench.device.reply_end)
            self._coming.put_nowait((piece, message_id, last))

    def trigger(self) -> bool:
        """Trigger the device; False: it cannot be."""
        self._bench.advance()
        return self._bench.device.trigger()

    def note_interruption(self) -> None:
        """Tell the device that a host has sent more before it has read what was sent to it."""
        self._bench.device.interrupted()

    def put_unasked(self, data: bytes) -> None:
        """Let *data* be read as if it were a reply; it is lost if a host has too much to read."""
        if len(self._ready) + self._coming.qsize() < _MOST_UNREAD:
            self._coming.put_nowait((Piece(0.0, data), None, True))

    def status_byte(self) -> int:
        """Give the status byte of the device, with the bit of a waiting reply."""
        waiting = MESSAGE_AVAILABLE if self._ready else 0
        return (self._bench.device.status_byte() & ~MESSAGE_AVAILABLE & 0xFF) | waiting

    async def take(
        self, size: int | None = None, term: bytes = b""
    ) -> tuple[bytes, int | None, bool]:
        """Wait for some bytes of one reply.

        Args:
            size: Most bytes; None: as many as have come.
            term: Stop after this character; empty: there is none.

        Returns:
            The bytes, the number of the message that they answer (None: nobody asked, or messages
            have none), and whether they are its end.
        """
        while not self._ready:
            self._arrived.clear()
            await self._arrived.wait()
        data, message_id, end = self._ready.popleft()
        length = len(data) if size is None else min(size, len(data))
        if term and (at := data.find(term, 0, length)) >= 0:
            length = at + 1
        if length < len(data):
            self._ready.appendleft((data[length:], message_id, end))
            end = False
        return data[:length], message_id, end

    def clear(self) -> None:
        """Forget what was half sent, and all replies (device clear)."""
        self._framer = self._bench.device.framer_for(self._link)
        self._waiting.drop()
        self._forget()

    def _is_unread(self) -> bool:
        return bool(self._ready) or self._on_its_way or not self._coming.empty()

    def _forget(self) -> None:
        self._ready.clear()
        self._on_its_way = False
        self._task.cancel()
        self._coming = asyncio.Queue()
        self._task = asyncio.create_task(self._let_arrive(), name="marksim-replies")

    async def close(self) -> None:
        """End it."""
        await self._waiting.close()
        await ended(self._task)

    async def _let_arrive(self) -> None:
        while True:
            piece, message_id, end = await self._coming.get()
            if piece.delay_s:
                self._on_its_way = True
                await asyncio.sleep(piece.delay_s)
                self._on_its_way = False
            self._ready.append((piece.data, message_id, end))
            self._arrived.set()
            self._bench.reply_ended()
