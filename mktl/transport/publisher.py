"""Broadcasts to whoever subscribed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import zmq

from ..protocol.message import SYNC_TOPIC, VERSION, Buffer
from .context import make_socket
from .shared import SharedSocket

__all__ = ["Publisher"]

_HIGH_WATER = 20_000
"""Messages kept for a subscriber that does not read; beyond them it loses the newest."""


class Publisher:
    """A socket that sends broadcasts from any thread.

    It also answers the topics with which a client asks whether its subscriptions are in force
    (see :data:`mktl.protocol.message.SYNC_TOPIC`), for which somebody has to call
    :meth:`take_in` when :meth:`fileno` becomes readable.

    Args:
        bind: Binds the socket it is given and returns the port.
    """

    def __init__(self, bind: Callable[[zmq.Socket[bytes]], int]) -> None:
        socket = make_socket(zmq.XPUB, linger_ms=500, high_water=_HIGH_WATER)
        try:
            self.port = bind(socket)
        except BaseException:
            socket.close()
            raise
        self._asked: deque[bytes] = deque(maxlen=10_000)
        self._socket = SharedSocket(socket, self._receive)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when clients subscribe."""
        return self._socket.fileno()

    def publish(self, topic: bytes, payload: bytes, bulk: Buffer | None = None) -> None:
        """Send a broadcast; whoever is not connected, or too slow, misses it."""
        frames: list[Buffer] = [topic, VERSION, payload]
        if bulk is not None:
            frames.append(bulk)
        self._socket.send(frames)
        if self._asked:
            self._answer()

    def take_in(self) -> None:
        """Take note of new subscriptions."""
        self._socket.take_in()
        self._answer()

    def _receive(self, frames: list[Buffer]) -> None:
        subscription = bytes(frames[0][:100])
        if subscription[:1] == b"\x01" and subscription.startswith(SYNC_TOPIC, 1):
            self._asked.append(subscription[1:])

    def _answer(self) -> None:
        while True:
            try:
                asked = self._asked.popleft()
            except IndexError:  # all are answered, perhaps by another thread
                return
            self._socket.send([asked, VERSION, b"{}"])

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
