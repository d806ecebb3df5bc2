"""Broadcasts to whoever subscribed."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import zmq

from ..protocol.message import (
    LOST_TOPIC,
    MARK_TOPIC,
    SYNC_TOPIC,
    VERSION,
    Buffer,
    encode_json,
)
from .context import make_socket, noted
from .curve import Guard
from .doorkeeper import Entrance, descriptor_of
from .shared import SharedSocket

__all__ = ["Audience", "Publisher"]

_HIGH_WATER = 20_000
"""Messages kept for a subscriber that does not read; beyond them it loses the newest."""
_TELL_EVERY_S = 0.5
"""How often those are told of it who may have lost something; the clock of the daemon sees to it
that there is an occasion each second."""
_MOST_AT_ONCE = 2000
"""Subscriptions, and topics that they are narrowed to, before it is somebody else's turn."""
_LONGEST_TOPIC = 1000
"""More than a store and a key can have."""
_LONGEST_MESSAGE = 4096
"""Bytes that a subscriber may send at once. ZeroMQ keeps each byte of a topic in some thirty."""
_COUNTED_ONCE = 64
"""Bytes of a topic that count as one subscription; a longer one counts as several."""
_MOST_MARKS = 10_000
_LONGEST_MARK = 80
"""Marks that are remembered until somebody asks for them, and what one may have at most."""
_MOST_TURNS = 5
"""How often that many are taken in, to find a mark among them, before it is given up."""
_LOOK_EVERY_S = 0.005
"""How often it is looked who has subscribed, while values are published together."""


class Audience(Protocol):
    """Who may hear what."""

    narrows: bool
    """Whether there is anybody who may not hear everything."""

    def topics(self, prefix: bytes, key: str, address: str) -> Iterable[bytes]:
        """Return what a subscription to *prefix*, of a key at an address, is narrowed to."""

    def has_changed(self) -> bool:
        """Return whether anybody may hear more or less than when this was asked last."""


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
        guard: Encrypts the socket; ``None`` leaves it in clear text.
        audience: Says who may hear what; ``None``: everybody may hear everything.
    """

    def __init__(
        self,
        bind: Callable[[zmq.Socket[bytes]], int],
        *,
        guard: Guard | None = None,
        audience: Audience | None = None,
    ) -> None:
        self._guard = guard
        self.audience = audience
        self._narrows = audience is not None and audience.narrows
        # Nobody is let in before all items are there, else who came early would not get them.
        self._admits = not self._narrows
        self._room = 0 if self._narrows else _MOST_AT_ONCE
        socket = self._raw = make_socket(zmq.XPUB, linger_ms=500, high_water=_HIGH_WATER)
        socket.set(zmq.MAXMSGSIZE, _LONGEST_MESSAGE)
        self.entrance = Entrance(socket)
        """Tells who comes and goes, for whoever sees to that."""
        try:
            if guard is not None:
                guard.protect(socket)
            self.port = self.entrance.port = bind(socket)
        except BaseException:  # nobody else would close them
            self.entrance.close()
            socket.close()
            raise
        # Else ZeroMQ drops what is beyond the high-water mark without a word.
        socket.set(zmq.XPUB_NODROP, 1)
        if self._narrows:
            # ZeroMQ subscribes nobody to anything then: that is up to us.
            socket.set(zmq.XPUB_MANUAL, 1)
        self._loss = ""
        self._tell_again = 0.0
        self._changes: deque[tuple[int, int]] = deque()
        self._asked: deque[bytes] = deque(maxlen=10_000)
        self._marks: dict[bytes, None] = {}
        self._thread = _Thread()
        self._socket = SharedSocket(socket, self._receive, lambda: self._room > 0)

    @property
    def is_behind(self) -> bool:
        """Whether there are subscriptions left for another call of :meth:`take_in`."""
        return self._admits and self._room <= 0

    @property
    def has_news(self) -> bool:
        """Whether who publishes has come upon subscriptions that nobody has looked at yet."""
        return bool(self._changes or self._asked)

    def admit(self) -> None:
        """Let subscribers in: all items are there."""
        self._admits = True

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
        if self._socket.send(frames, take_in=self._is_time_to_look):
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
        """Take note of new subscriptions, as many as do not hold up anything else."""
        if self._admits:
            self._room = _MOST_AT_ONCE
        self._socket.take_in()
        self._answer()

    def subscriptions(self) -> list[tuple[int, int]]:
        """Return which connections have more or fewer subscriptions since the last call."""
        changes = self._changes
        return [changes.popleft() for _one in range(len(changes))] if changes else []

    def _receive(self, frames: list[zmq.Frame]) -> None:
        subscription = bytes(frames[0].buffer[:_LONGEST_TOPIC])
        self._room -= 1
        if self._narrows:
            self._subscribe(subscription, frames[0])
        change = {b"\x00": -1, b"\x01": 1}.get(subscription[:1], 0)
        weight = 1 + len(frames[0]) // _COUNTED_ONCE
        self._changes.append((descriptor_of(frames[0]), change * weight))
        if subscription[1:] == LOST_TOPIC or subscription[:1] != b"\x01":
            return
        if subscription.startswith(MARK_TOPIC, 1):
            self._remember(subscription[1:])
        elif subscription.startswith(SYNC_TOPIC, 1):
            self._asked.append(subscription[1:])

    def _remember(self, mark: bytes) -> None:
        if len(self._marks) >= _MOST_MARKS:
            self._marks.clear()  # whoever asks for one of them now has to ask for a confirmation
        if len(mark) <= _LONGEST_MARK:
            self._marks[mark] = None

    def has_seen(self, mark: bytes) -> bool:
        """Return whether somebody has subscribed to *mark*, and so to what they did before.

        It is told once only.
        """
        for _turn in range(_MOST_TURNS):
            if mark in self._marks:
                break
            self.take_in()
            if not self.is_behind:
                break
        seen = mark in self._marks
        self._marks.pop(mark, None)
        return seen

    def _subscribe(self, subscription: bytes, frame: zmq.Frame) -> None:
        """Subscribe the peer that has sent *subscription* to what it may hear of it."""
        assert self.audience is not None
        begins, prefix = subscription[:1] == b"\x01", subscription[1:]
        if prefix.startswith(SYNC_TOPIC):
            topics: Iterable[bytes] = (prefix,)
        elif begins and len(subscription) < _LONGEST_TOPIC:
            address = noted(frame, "Peer-Address")
            key = noted(frame, "User-Id") if self._guard is not None else ""
            topics = self.audience.topics(prefix, key, address)
        else:
            # Of what else it has subscribed to, ZeroMQ does not tell: it goes on to get all that it
            # may hear, and leaves out by itself what it no longer wants.
            return
        option = zmq.SUBSCRIBE if begins else zmq.UNSUBSCRIBE
        with contextlib.suppress(zmq.ZMQError):  # it has gone meanwhile
            for topic in topics:
                self._raw.set(option, topic)
                self._room -= 1

    def _answer(self) -> None:
        while True:
            try:
                asked = self._asked.popleft()
            except IndexError:  # all are answered, perhaps by another thread
                return
            self._send([asked, VERSION, b"{}"])

    def close(self) -> None:
        """Close the socket. May be called twice."""
        if not self._socket.closed:
            self._socket.configure(lambda _socket: self.entrance.close())
        self._socket.close()
