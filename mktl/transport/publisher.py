"""Broadcasts to whoever subscribed."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

import zmq

from ..protocol.message import LOST_TOPIC, SYNC_TOPIC, VERSION, Buffer, encode_json
from .context import make_socket
from .shared import SharedSocket

__all__ = ["Publisher"]

_HIGH_WATER = 20_000
"""Messages kept for a subscriber that does not read; beyond them it loses the newest."""
_TELL_EVERY_S = 0.5
"""How often those are told of it who may have lost something; the clock of the daemon sees to it
that there is an occasion each second."""
_LOOK_EVERY_S = 0.005
"""How often it is looked who has subscribed, while values are published together."""


class _Thread(threading.local):
    """What is so for one thread."""

    look_at = 0.0
    """When to look next who has subscribed; 0: each time."""


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
        # Else ZeroMQ drops what is beyond the high-water mark without a word.
        socket.set(zmq.XPUB_NODROP, 1)
        self._loss = ""
        self._tell_again = 0.0
        self._asked: deque[bytes] = deque(maxlen=10_000)
        self._thread = _Thread()
        self._socket = SharedSocket(socket, self._receive)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when clients subscribe."""
        return self._socket.fileno()

    def publish(self, topic: bytes, payload: bytes, bulk: Buffer | None = None) -> None:
        """Send a broadcast; whoever is not connected misses it, and whoever is too slow.

        The latter are told so, as soon as they read again.
        """
        frames: list[Buffer] = [topic, VERSION, payload]
        if bulk is not None:
            frames.append(bulk)
        self._send(frames)
        if self._asked:
            self._answer()
        if self._loss:
            self._tell_of_loss()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Publish several values of this thread at less cost, in a context that is soon left.

        Each is sent at once; but it is not looked after each whether somebody has subscribed.
        """
        self._thread.look_at = time.monotonic() + _LOOK_EVERY_S
        try:
            yield
        finally:
            self._thread.look_at = 0.0
            self.take_in()

    def _is_time_to_look(self) -> bool:
        if not self._thread.look_at:
            return True
        now = time.monotonic()
        if now < self._thread.look_at:
            return False
        self._thread.look_at = now + _LOOK_EVERY_S
        return True

    def _send(self, frames: list[Buffer]) -> None:
        if self._socket.send(frames, take_in=self._is_time_to_look()):
            return

        def send_to_others(socket: zmq.Socket[bytes]) -> None:
            socket.set(zmq.XPUB_NODROP, 0)
            try:
                socket.send_multipart(frames, zmq.DONTWAIT)
            finally:
                socket.set(zmq.XPUB_NODROP, 1)

        # Who has no room now is left out until it has read much of what waits for it, and
        # ZeroMQ does not tell when that is. So everybody is told again and again that something
        # was lost, under a name that is new whenever something more is.
        self._loss = os.urandom(6).hex()
        self._socket.configure(send_to_others)

    def _tell_of_loss(self) -> None:
        now = time.monotonic()
        if now >= self._tell_again:
            self._tell_again = now + _TELL_EVERY_S
            self._send([LOST_TOPIC, VERSION, encode_json({"lost": self._loss})])

    def take_in(self) -> None:
        """Take note of new subscriptions."""
        self._socket.take_in()
        self._answer()

    def _receive(self, frames: list[Buffer]) -> None:
        subscription = bytes(frames[0][:100])
        if subscription[1:] == LOST_TOPIC:
            return
        if subscription[:1] == b"\x01" and subscription.startswith(SYNC_TOPIC, 1):
            self._asked.append(subscription[1:])

    def _answer(self) -> None:
        while True:
            try:
                asked = self._asked.popleft()
            except IndexError:  # all are answered, perhaps by another thread
                return
            self._send([asked, VERSION, b"{}"])

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
