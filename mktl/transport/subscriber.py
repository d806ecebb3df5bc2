"""Broadcasts from many daemons, read by one thread."""

from __future__ import annotations

import itertools
import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import zmq

from .._ratelimit import RateLimitedLog
from ..errors import BadMessage
from ..protocol.message import LOST_TOPIC, SYNC_TOPIC, Broadcast, Buffer
from .context import connect, make_socket
from .monitor import Monitor
from .shared import SharedSocket, Wakeup

__all__ = ["Listener", "Reader"]

_HIGH_WATER = 100_000
_INBOX = 10_000
_MOST_ASKED = 1000
_TICKS = 2
"""Broadcasts of a daemon's clock after which earlier subscriptions are in force: the first may
have been on its way already, the next was sent a second later."""

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
    ) -> None:
        self._deliver, self._connection = deliver, connection
        self._in_force, self._lost = in_force, lost
        self._last_loss: object = None
        self._inbox: deque[list[Buffer]] = deque()
        # Random, as the same topic of two clients would be confirmed to the first of them alone.
        self._name = os.urandom(8).hex().encode()
        self._numbers = itertools.count()
        self._confirming = threading.Lock()
        self._asked: list[_Asked] = []
        self._sync_topic = b""
        self._clock = b""
        self._wake: Callable[[], None] = _nobody
        socket = make_socket(zmq.SUB, high_water=_HIGH_WATER)
        self._monitor = Monitor(socket, zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        connect(socket, host, port)
        self._socket = SharedSocket(socket, self._inbox.append, lambda: len(self._inbox) < _INBOX)

    def descriptors(self) -> tuple[int, int]:
        """Return the descriptors whose readability calls for :meth:`attend`."""
        return self._socket.fileno(), self._monitor.fileno()

    def attended_by(self, wake: Callable[[], None]) -> None:
        """Have *wake* called when there is something for :meth:`attend` that no signal tells of."""
        self._wake = wake

    def subscribe(self, topic: bytes) -> None:
        """Ask for the broadcasts on *topic*, now and after each reconnection."""
        self._configure(lambda socket: socket.subscribe(topic))

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

    def attend(self) -> None:
        """Hand over what has arrived. Called by the reader's thread alone."""
        for event in self._monitor.take():
            if event == zmq.EVENT_DISCONNECTED:
                self._start_counting_again()
            self._connection(event == zmq.EVENT_HANDSHAKE_SUCCEEDED)
        self._socket.take_in()
        while self._inbox:
            self._hand_over(self._inbox.popleft())
            if not self._inbox:
                self._socket.take_in()

    def _hand_over(self, frames: list[Buffer]) -> None:
        topic = bytes(frames[0])
        if topic == LOST_TOPIC:
            self._note_loss(frames)
            return
        if topic.startswith(SYNC_TOPIC):
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


class Reader:
    """The thread that reads all listeners of a process."""

    def __init__(self) -> None:
        self._listeners: dict[int, Listener] = {}
        self._lock = threading.Lock()
        self._wakeup = Wakeup()
        self._stopping = False
        self._attending = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="mktl-broadcasts", daemon=True)
        self._thread.start()

    def add(self, listener: Listener) -> None:
        """Attend *listener* from now on."""
        listener.attended_by(self._wakeup.set)
        with self._lock:
            for descriptor in listener.descriptors():
                self._listeners[descriptor] = listener
        self._wakeup.set()

    def remove(self, listener: Listener) -> None:
        """Attend *listener* no longer; it can be closed when this returns."""
        with self._attending, self._lock:
            for descriptor in listener.descriptors():
                self._listeners.pop(descriptor, None)
        self._wakeup.set()

    def close(self) -> None:
        """End the thread."""
        self._stopping = True
        self._wakeup.set()
        self._thread.join()
        self._wakeup.close()

    def _run(self) -> None:
        while not self._stopping:
            with self._lock:
                listeners = dict(self._listeners)
            poller = select.poll()
            poller.register(self._wakeup.fileno(), select.POLLIN)
            for descriptor in listeners:
                poller.register(descriptor, select.POLLIN)
            self._attend_all(listeners)
            self._poll_until_woken(poller, listeners)

    def _attend_all(self, listeners: dict[int, Listener]) -> None:
        """Attend to what may have arrived before the descriptors were waited for."""
        for descriptor in listeners:
            self._attend(descriptor)

    def _poll_until_woken(self, poller: select.poll, listeners: dict[int, Listener]) -> None:
        while not self._stopping:
            ready = [descriptor for descriptor, _event in poller.poll()]
            for descriptor in ready:
                if descriptor in listeners:
                    self._attend(descriptor)
            if self._wakeup.fileno() in ready:
                self._wakeup.clear()
                return

    def _attend(self, descriptor: int) -> None:
        with self._attending:
            listener = self._listeners.get(descriptor)
            if listener is None:
                return
            try:
                listener.attend()
            except Exception:  # one item's trouble must not end the broadcasts of all others
                _log.exception("broadcasts could not be handed over")
