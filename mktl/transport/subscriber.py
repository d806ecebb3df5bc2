"""Broadcasts from one daemon."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import zmq

from .._ratelimit import RateLimitedLog
from ..errors import BadMessage, ConnectionLost
from ..protocol.message import LOST_TOPIC, MARK_TOPIC, SYNC_TOPIC, Broadcast, Buffer
from .context import connect_again, make_socket
from .monitor import FAILURES, FINAL, Monitor, connect_or_close
from .shared import SharedSocket, contents

__all__ = ["Listener"]

_HIGH_WATER = 100_000
_MOST_ASKED = 1000
_MOST_MARKS = 100
_TICKS = 2
"""Broadcasts of a daemon's clock after which earlier subscriptions are in force: the first may
have been on its way already, the next was sent a second later."""

_AT_ONCE = 500
"""Broadcasts of one daemon that are handed over before callbacks are called, and before it is the
turn of another daemon. So many values of an item may wait for its callbacks."""
_log = logging.getLogger(__name__)
_bad = RateLimitedLog(_log)


class Listener:
    """The connection to the broadcasts of one daemon.

    Args:
        host: Name or address of the daemon's host.
        port: Its broadcast port.
        deliver: Called with each broadcast, on the reader's thread.
        in_force: Called, on the reader's thread, when subscriptions are known to be in force,
            after the events of :meth:`confirm` were set; with ``True`` if the daemon has
            confirmed them, with ``False`` if its clock has shown it.
        lost: Called, on the reader's thread, when the daemon says that it had to drop broadcasts.
        connection: Called, on the reader's thread, with ``True`` when the connection is up and
            with ``False`` when it broke.
        server_key: What the daemon has to prove to have, encrypted; ``None`` is clear text.
        listened: Called, on the reader's thread, about twice a second, after all that had arrived
            was handed over: with the seconds since the last time, as far as the thread has run
            meanwhile, and with whether it was held up so long that broadcasts may be lost.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        deliver: Callable[[Broadcast], None],
        in_force: Callable[[bool], None],
        lost: Callable[[], None],
        connection: Callable[[bool], None],
        listened: Callable[[float, bool], None],
        server_key: bytes | None = None,
    ) -> None:
        self._deliver, self._connection = deliver, connection
        self.listened = listened
        self._in_force, self._lost = in_force, lost
        self._last_loss: object = None
        self._inbox: deque[list[Buffer]] = deque()
        # Random, as the same topic of two clients would be confirmed to the first of them alone.
        self._name = os.urandom(8).hex().encode()
        self._numbers = itertools.count()
        self._confirming = threading.Lock()
        self._asked: list[_Asked] = []
        self._sync_topic = b""
        self._marks: list[bytes] = []
        self._clock = b""
        self._wake: Callable[[], None] = _nobody
        socket = make_socket(zmq.SUB, high_water=_HIGH_WATER)
        self._address = host, port
        self._monitor = Monitor(
            socket, zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | FAILURES
        )
        connect_or_close(socket, self._monitor, host, port, server_key)
        self._socket = SharedSocket(
            socket,
            lambda frames: self._inbox.append(contents(frames)),
            lambda: len(self._inbox) < _AT_ONCE,
        )
        self._descriptors = self._socket.fileno(), self._monitor.fileno()

    def descriptors(self) -> tuple[int, int]:
        """Return the descriptors whose readability calls for :meth:`attend_to`.

        That of the broadcasts comes first, to be looked at first: whoever finds one there will not
        miss that the connection was made before.
        """
        return self._descriptors

    def attended_by(self, wake: Callable[[], None]) -> None:
        """Have *wake* called when there is something for :meth:`attend` that no signal tells of."""
        self._wake = wake

    def try_again(self) -> bool:
        """Connect once more, where the peer has turned us away: it may be of another mind now.

        Returns:
            Whether it has.
        """
        failure = self._monitor.failure
        if failure in FINAL:
            with contextlib.suppress(ConnectionLost):  # closed meanwhile
                self._configure(lambda socket: connect_again(socket, *self._address))
        return bool(failure)

    def subscribe(self, topic: bytes) -> None:
        """Ask for the broadcasts on *topic*, now and after each reconnection."""
        self._configure(lambda socket: socket.subscribe(topic))

    def subscribe_all(self, topics: Iterable[bytes]) -> None:
        """Do the same for many topics, at less cost."""

        def change(socket: zmq.Socket[bytes]) -> None:
            for topic in topics:
                socket.subscribe(topic)

        self._configure(change)

    def subscribe_marked(self, topic: bytes) -> bytes:
        """Ask for the broadcasts on *topic*, and return the mark that was set behind it."""

        def change(socket: zmq.Socket[bytes]) -> None:
            socket.subscribe(topic)
            socket.subscribe(mark)
            for old in outdated:
                socket.unsubscribe(old)

        with self._confirming:
            mark = b"%s%s-%d." % (MARK_TOPIC, self._name, next(self._numbers))
            # Not each by itself: it would be sent, and taken in, by itself.
            outdated: list[bytes] = []
            if len(self._marks) >= _MOST_MARKS:
                outdated, self._marks = self._marks, []
            self._marks.append(mark)
            self._configure(change)
        return mark

    def _configure(self, change: Callable[[zmq.Socket[bytes]], None]) -> None:
        self._socket.configure(change)
        if self._inbox:  # what came meanwhile was taken in here: its signal is used up
            self._wake()

    def confirm(self) -> threading.Event:
        """Ask the daemon to confirm that all subscriptions up to here are in force.

        Returns:
            An event that is set when it has. Daemons of others never do: :meth:`watch_clock`.
        """
        event = threading.Event()

        def change(socket: zmq.Socket[bytes]) -> None:
            if old:
                socket.unsubscribe(old)
            socket.subscribe(new)

        with self._confirming:
            old = self._sync_topic
            new = b"%s%s-%d." % (SYNC_TOPIC, self._name, next(self._numbers))
            self._sync_topic = new
            self._asked = [*self._asked[-_MOST_ASKED:], _Asked(new, event)]
            self._configure(change)
            if not old:
                # After the topics that were asked for first, of which some daemons take note.
                self.subscribe(LOST_TOPIC)
        return event

    def watch_clock(self, topic: bytes) -> None:
        """Take what comes on *topic* each second for a confirmation, as there is no other."""
        with self._confirming:
            if not self._clock:
                self._clock = topic
                self.subscribe(topic)

    def attend_to(self, descriptor: int) -> None:
        """Hand over the first of what *descriptor* has signalled; :meth:`attend` has to follow.

        Like that, it is called by the reader's thread alone.
        """
        if descriptor == self._descriptors[0]:
            self._socket.take_in_one()
        else:
            self._attend_connection()
        self._hand_over_all()

    def attend(self) -> None:
        """Hand over what has arrived."""
        self._attend_connection()
        self._socket.take_in()
        if self._hand_over_all() >= _AT_ONCE:  # there may be more, of which no signal tells
            self._wake()

    def _attend_connection(self) -> None:
        for event in self._monitor.take():
            if event & FAILURES:
                continue  # that the connection is down is told by itself
            if event == zmq.EVENT_DISCONNECTED:
                self._start_counting_again()
            self._connection(event == zmq.EVENT_HANDSHAKE_SUCCEEDED)

    def _hand_over_all(self) -> int:
        count = len(self._inbox)
        for _turn in range(count):
            self._hand_over(self._inbox.popleft())
        return count

    def _hand_over(self, frames: list[Buffer]) -> None:
        topic = bytes(frames[0])
        if topic.startswith(SYNC_TOPIC):
            if topic == LOST_TOPIC:
                self._note_loss(frames)
            else:
                self._note_confirmed(topic)
            return
        try:
            self._deliver(Broadcast.decode(frames))
        except BadMessage as error:
            _bad.warning("a broadcast that is none was dropped: %s", error)
        except Exception:  # one item's trouble must not end the broadcasts of all others
            _log.exception("a broadcast on %.200r could not be handed over", topic)
        if topic == self._clock:
            self._note_clock()

    def _note_confirmed(self, topic: bytes) -> None:
        with self._confirming:
            asked = [one.topic for one in self._asked]
            if topic not in asked:
                return
            # What was asked for earlier is in force as well.
            confirmed = self._take_asked(asked.index(topic) + 1)
        self._tell(confirmed, by_itself=True)

    def _note_clock(self) -> None:
        with self._confirming:
            for one in self._asked:
                one.ticks += 1
            confirmed = self._take_asked(sum(one.ticks >= _TICKS for one in self._asked))
        if confirmed:
            self._tell(confirmed, by_itself=False)

    def _start_counting_again(self) -> None:
        with self._confirming:
            for one in self._asked:
                one.ticks = 0

    def _take_asked(self, count: int) -> list[_Asked]:
        taken, self._asked = self._asked[:count], self._asked[count:]
        return taken

    def _tell(self, confirmed: list[_Asked], *, by_itself: bool) -> None:
        for one in confirmed:
            one.event.set()
        self._in_force(by_itself)

    def _note_loss(self, frames: list[Buffer]) -> None:
        """It is repeated for those who could not hear of it the first time: once is enough."""
        try:
            loss = Broadcast.decode(frames).payload.get("lost")
        except BadMessage as error:
            _bad.warning("a broadcast that is none was dropped: %s", error)
            return
        if loss is not None and loss != self._last_loss:
            self._last_loss = loss
            self._lost()

    def close(self) -> None:
        """Close the connection; only when the reader no longer attends it."""
        self._socket.configure(lambda _socket: self._monitor.close())
        self._socket.close()


@dataclass(slots=True)
class _Asked:
    """A confirmation that was asked for."""

    topic: bytes
    event: threading.Event
    ticks: int = 0
    """How often the clock of the daemon was heard since."""


def _nobody() -> None:
    """Wake nobody: the listener is not attended yet, and looked at when it is."""
