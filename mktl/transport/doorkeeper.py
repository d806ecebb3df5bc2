"""Whom a daemon lets stay, when there are more connections, or more in memory, than it can have.

ZeroMQ takes every connection, and keeps what a peer has begun to send, or does not read, without a
bound that counts bytes. It neither tells nor can be told to end one connection. But its monitor
tells their descriptors, and the system can shut one down, after which ZeroMQ forgets it.
"""

from __future__ import annotations

import itertools
import logging
import os
import resource
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import zmq

from .. import config
from .._memory import give_back, resident_kilobytes
from .._ratelimit import RateLimitedLog
from .connections import end, figures_of, opened
from .context import context
from .monitor import FAILURES, failure_of

__all__ = ["Doorkeeper", "Entrance", "descriptor_of"]

MOST_CONNECTIONS = 10_000
MOST_SUBSCRIPTIONS = 200_000
"""Of one connection."""
LOOK_S = 0.5
"""How often to look at the memory of the process."""
LOOK_CLOSELY_S = 0.1
"""The same while there is too much in it."""
GIVE_BACK_S = 1.0
"""How often to give back what was freed: after a connection has ended, that takes a moment."""
REMEMBER_S = 300.0
"""What the process has needed for so long is taken for its own need."""
SLOW_LOOKS = 10
"""A peer that has not read all that was sent in so many looks is taken for one that never does."""
UNFINISHED_BYTES = 64 * 1024
"""Received between two looks without one message that was complete: it is a very long one."""

_ACCEPTED, _ENDED = int(zmq.EVENT_ACCEPTED), int(zmq.EVENT_DISCONNECTED)
_EVENT = struct.Struct("=HI")
_numbers = itertools.count()

# Who was refused is told of by who has refused it.
_FAILURES = {
    "mechanism": "it spoke in clear text, as it knows no key of this daemon",
    "broken": "it broke off, or it takes another key for that of this daemon",
}

_log = logging.getLogger(__name__)


class Entrance:
    """Tells which connections come to a socket, and go.

    Args:
        socket: Not bound yet.
        failures: Tell also which connections do not come about.
    """

    def __init__(self, socket: zmq.Socket[bytes], *, failures: bool = False) -> None:
        self.port = 0
        self._watched = socket
        address = f"inproc://entrance-{os.getpid()}-{next(_numbers)}"
        socket.monitor(address, _ACCEPTED | _ENDED | (FAILURES if failures else 0))
        self._monitor = context().socket(zmq.PAIR)
        self._monitor.set(zmq.LINGER, 0)
        # Without a limit: with one, ZeroMQ's own thread would wait here for ours.
        self._monitor.set(zmq.RCVHWM, 0)
        self._monitor.connect(address)
        self._closed = False

    def fileno(self) -> int:
        """Return the descriptor that signals that :meth:`events` may find something."""
        return int(self._monitor.get(zmq.FD))

    def events(self) -> Iterator[tuple[int, int]]:
        """Yield what has happened: the event, and the descriptor of the connection.

        With an event of ``FAILURES``, it is how that has failed.
        """
        while not self._closed and int(self._monitor.get(zmq.EVENTS)) & zmq.POLLIN:
            event, *_address = self._monitor.recv_multipart(zmq.DONTWAIT)
            yield _EVENT.unpack(event)

    def close(self) -> None:
        """Stop watching; before the watched socket is closed."""
        if not self._closed:
            self._closed = True
            self._watched.disable_monitor()
            self._monitor.close()


@dataclass(slots=True)
class _Connection:
    entrance: Entrance
    identity: bytes = b""
    """What the socket calls the peer, once it has said something."""
    subscriptions: int = 0
    received: int = 0
    messages: int = 0
    """Complete ones, counted while there is too much in memory."""
    messages_before: int = 0
    slow: int = 0
    """Looks in a row in which not all was sent."""


class Doorkeeper:
    """Ends connections where there are too many, or where they take too much memory.

    All of its methods but :meth:`add` are for one thread.

    Args:
        name: Whose it is, for the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._entrances: list[Entrance] = []
        self._connections: dict[int, _Connection] = {}
        self._identities: dict[bytes, int] = {}
        self._unheard: dict[int, None] = {}
        self._most = most_connections()
        self._budget = config.max_backlog() // 1024
        self._need = [resident_kilobytes()] * 2
        self._need_since = self._next_look = time.monotonic()
        self._gave_back = 0.0
        self._alert = False
        self._crowd = RateLimitedLog(_log)
        self._greed = RateLimitedLog(_log)
        self._failed = RateLimitedLog(_log)

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def ended(self) -> int:
        """How many connections were ended so far."""
        return self._crowd.count + self._greed.count

    @property
    def pause_s(self) -> float:
        """For how long there is nothing to do, if no connection comes or goes."""
        return LOOK_CLOSELY_S if self._alert else LOOK_S

    def add(self, entrance: Entrance) -> None:
        """See to the connections of *entrance*, too."""
        self._entrances.append(entrance)

    def heard(self, identity: bytes, frame: zmq.Frame) -> None:
        """Take note that a whole message came.

        Args:
            identity: What the socket calls the peer.
            frame: Any frame of the message.
        """
        if identity not in self._identities or self._alert:
            self._heard_on(descriptor_of(frame), identity)

    def _heard_on(self, descriptor: int, identity: bytes) -> None:
        connection = self._connections.get(descriptor)
        if connection is None:  # it has come since
            self._take_events()
            connection = self._connections.get(descriptor)
        if connection is not None:
            connection.messages += 1
            connection.identity = identity
            if identity:
                self._identities[identity] = descriptor
            self._unheard.pop(descriptor, None)

    def attend(self, subscriptions: Iterable[tuple[int, int]] = ()) -> None:
        """Take note of who has come and gone, and look after the memory when it is time to.

        Args:
            subscriptions: Descriptors of connections, and by how many more or fewer subscriptions
                they have now.
        """
        self._take_events()
        for descriptor, change in subscriptions:
            self._heard_on(descriptor, b"")
            self._count_subscriptions(descriptor, change)
        now = time.monotonic()
        if now >= self._next_look:
            self._look(now)
            self._next_look = now + self.pause_s

    def _count_subscriptions(self, descriptor: int, change: int) -> None:
        connection = self._connections.get(descriptor)
        if connection is None:
            return
        # What two have subscribed to, ZeroMQ tells of once: it may end with the other one.
        connection.subscriptions = max(0, connection.subscriptions + change)
        if connection.subscriptions > MOST_SUBSCRIPTIONS and self._end(descriptor):
            self._greed.warning(
                "%s: a connection with %d subscriptions was ended", self._name, MOST_SUBSCRIPTIONS
            )

    def _take_events(self) -> None:
        for entrance in self._entrances:
            for event, descriptor in entrance.events():
                if event == _ACCEPTED:
                    self._forget(descriptor)
                    self._enter(entrance, descriptor)
                elif event & FAILURES:
                    self._note_failure(failure_of(event, descriptor))
                elif self._is_of(entrance, descriptor):
                    self._forget(descriptor)

    def _note_failure(self, failure: str) -> None:
        if failure in _FAILURES:
            why = _FAILURES[failure]
            self._failed.warning("somebody could not connect to %s: %s", self._name, why)

    def end_all(self, entrance: Entrance) -> None:
        """End all connections that came by *entrance*: whoever may, will connect again."""
        self._take_events()
        for descriptor, connection in list(self._connections.items()):
            if connection.entrance is entrance:
                self._end(descriptor)

    def _forget(self, descriptor: int) -> _Connection | None:
        self._unheard.pop(descriptor, None)
        connection = self._connections.pop(descriptor, None)
        if connection is not None:
            self._identities.pop(connection.identity, None)
        return connection

    def _is_of(self, entrance: Entrance, descriptor: int) -> bool:
        # Its number may have gone to a connection of the other entrance since.
        connection = self._connections.get(descriptor)
        return connection is not None and connection.entrance is entrance

    def _enter(self, entrance: Entrance, descriptor: int) -> None:
        self._connections[descriptor] = _Connection(entrance)
        self._unheard[descriptor] = None
        if len(self._connections) <= self._most:
            return
        # Whoever has said something stays. Of the others, an honest one says something soon.
        if self._end(next(iter(self._unheard))):
            self._crowd.warning(
                "%s has %d connections, which is all it can have: one that said nothing was ended",
                self._name,
                self._most,
            )

    def _end(self, descriptor: int) -> bool:
        connection = self._forget(descriptor)
        if connection is None:
            return False
        with opened(descriptor, connection.entrance.port) as found:
            if found is None:
                return False
            end(found)
        return True

    # Memory.

    def _look(self, now: float) -> None:
        """See whether the process has much more memory than it had for minutes."""
        resident = resident_kilobytes()
        if now - self._need_since > REMEMBER_S / 2:
            self._need = [resident, self._need[0]]
            self._need_since = now
        self._need[0] = min(self._need[0], resident)
        too_much = resident - min(self._need) > self._budget
        if too_much and self._alert:
            self._end_the_greediest()
            if now - self._gave_back >= GIVE_BACK_S:
                self._gave_back = now
                give_back()
        elif too_much:
            for connection in self._connections.values():
                connection.slow = 0
                connection.received = connection.messages = connection.messages_before = 0
        self._alert = too_much

    def _end_the_greediest(self) -> None:
        """End one connection that has to do with it, if there is one."""
        found: tuple[int, int, str] | None = None
        for descriptor, connection in self._connections.items():
            greed, why = _greed(descriptor, connection)
            if greed > (found[0] if found else 0):
                found = greed, descriptor, why
        if found is None or not self._end(found[1]):
            return
        self._greed.warning(
            "%s has %d kB more in memory than it needs: a connection was ended %s",
            self._name,
            resident_kilobytes() - min(self._need),
            found[2],
        )


def _greed(descriptor: int, connection: _Connection) -> tuple[int, str]:
    """Return how likely a connection is to blame, 0 if it is not, and why."""
    with opened(descriptor, connection.entrance.port) as found:
        figures = None if found is None else figures_of(found)
    if figures is None:
        return 0, ""
    received, not_sent = figures
    before, connection.received = connection.received, received
    complete = connection.messages - connection.messages_before
    connection.messages_before = connection.messages
    connection.slow = connection.slow + 1 if not_sent else 0
    if before and not complete and received - before >= UNFINISHED_BYTES:
        return received - before, "that sends a message without an end"
    if connection.slow >= SLOW_LOOKS:
        return connection.slow, "whose peer does not read what it is sent"
    return 0, ""


def descriptor_of(frame: zmq.Frame) -> int:
    """Return the descriptor of the connection on which *frame* came; -1 if it is not known."""
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return -1


def most_connections() -> int:
    """Return how many connections there may be: the process needs descriptors for more."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(16, min(MOST_CONNECTIONS, soft - max(64, soft // 4)))
