"""Requests from everybody: threads take turns at reading them, and any thread may answer."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import zmq

from .._callers import Caller
from .._ratelimit import RateLimitedLog
from ..errors import BadMessage, ConnectionLost, MktlError, error_to_wire
from ..protocol.message import (
    ACK,
    REP,
    Buffer,
    Request,
    encode_json,
    encode_response,
)
from .context import make_socket, noted
from .curve import Guard
from .doorkeeper import Doorkeeper, Entrance
from .publisher import Publisher
from .relay import Relay
from .shared import SharedSocket, contents

__all__ = ["Batch", "RequestServer", "Responder", "error_payload"]

_HIGH_WATER = 20_000
_INBOX = 1000
"""Messages that are taken in before they are looked at; the rest waits with their senders."""

_BATCH = 32
"""Requests of which the answers may wait for each other."""

_Message = tuple[zmq.Frame, list[Buffer]]
"""The last frame, and what all of them say, the identity of the peer first."""

_log = logging.getLogger(__name__)


def error_payload(error: BaseException) -> bytes:
    """Return the payload of a reply that says *error*.

    Errors that are not ours come from a mistake in somebody's code: they carry their traceback.
    """
    fields = error_to_wire(error)
    fields["text"] = " ".join(fields["text"].splitlines())
    if not isinstance(error, MktlError):
        fields["debug"] = "".join(traceback.format_exception(error))
    # Text may hold half of a character of a file name, say: that is no UTF-8.
    clean = {name: text.encode(errors="replace").decode() for name, text in fields.items()}
    return encode_json({"error": clean})


def _unknown(_key: str, address: str) -> Caller:
    return Caller(address=address)


class Responder:
    """Answers one request: at most one acknowledgement, at most one reply."""

    __slots__ = ("_acknowledged", "_frame", "_peer", "_replied", "_server", "_target", "request")

    def __init__(
        self, server: RequestServer, peer: Buffer, request: Request, frame: zmq.Frame
    ) -> None:
        self._server = server
        self._peer = peer
        self._frame = frame
        self._acknowledged = not request.wants_ack
        self._replied = not request.wants_rep
        self.request = request
        self._target = request.raw_target

    @property
    def caller(self) -> Caller:
        """Who asks: found out when it is needed, and again each time, as keys may be revoked."""
        return self._server.caller(self._frame)

    def acknowledge(self) -> None:
        """Say that the request was understood and will be replied to."""
        # No reply may come in between: what follows it would be taken for an answer to nothing.
        with self._server.answering:
            if not self._acknowledged:
                self._acknowledged = True
                self._server.send([self._peer, *encode_response(self.request.id, ACK)])

    def reply(self, payload: bytes, bulk: Buffer | None = None) -> None:
        """Send the reply; it counts as acknowledgement where there was none."""
        with self._server.answering:
            if self._replied:
                return
            self._replied = self._acknowledged = True
        frames = encode_response(self.request.id, REP, self._target, payload, bulk)
        self._server.send([self._peer, *frames])

    def fail(self, error: BaseException) -> None:
        """Reply with *error*."""
        self.reply(error_payload(error))

    def work(self, work: Callable[[], object], held_up: Callable[[], object]) -> bool:
        """Do *work* on the thread that has read the request: see :meth:`.relay.Relay.work`."""
        return self._server.relay.work(work, held_up)

    def end_batch(self) -> None:
        """Have done what :meth:`work` has left, with what others leave, if they are at hand."""
        self._server.end_batch()


class Batch(Protocol):
    """What requests leave to be done for several of them together."""

    @property
    def waits(self) -> bool:
        """Whether there is anything."""

    def do_here(self) -> None:
        """Do it on this thread, which that may hold up."""

    def hand_over(self) -> None:
        """Have another thread do it."""


class RequestServer:
    """A ROUTER socket and the threads that take turns at reading it.

    Args:
        bind: Binds the socket it is given and returns the port.
        handle: Called with each request, on the thread that reads: it must not block, but in what
            it has :meth:`Responder.work` do.
        name: For the thread and the log.
        identify: Returns who has connected with a key, as a text, from an address.
        guard: Encrypts the socket; ``None`` leaves it in clear text.
        batch: What requests leave to be done for several of them together.
    """

    def __init__(
        self,
        bind: Callable[[zmq.Socket[bytes]], int],
        handle: Callable[[Responder], None],
        name: str,
        *,
        identify: Callable[[str, str], Caller] = _unknown,
        guard: Guard | None = None,
        batch: Batch | None = None,
    ) -> None:
        self._handle = handle
        self._batch = batch
        self._identify = identify
        self._guard = guard
        self._inbox: deque[_Message] = deque()
        self._publisher: Publisher | None = None
        self._bad = RateLimitedLog(_log)
        self._doorkeeper = Doorkeeper(name)
        socket = make_socket(zmq.ROUTER, linger_ms=500, high_water=_HIGH_WATER)
        # What we cannot take in yet waits with its sender rather than here.
        socket.set(zmq.RCVHWM, _INBOX)
        self._entrance = Entrance(socket, failures=guard is not None)
        try:
            if guard is not None:
                guard.protect(socket)
            self.port = self._entrance.port = bind(socket)
        except BaseException:
            self._entrance.close()
            socket.close()
            raise
        self._doorkeeper.add(self._entrance)
        self._socket = SharedSocket(socket, self._take, lambda: len(self._inbox) < _INBOX)
        self._entries: set[int] = set()
        self._looks_around = True
        self._next_look = 0.0
        self._wait_for_entries(self._entrance.fileno())
        self.answering = threading.Lock()
        """Held while it is decided what a request is answered."""
        self.relay = Relay(self._run, f"{name}-requests")

    @property
    def connections(self) -> int:
        """Number of connections for requests and for broadcasts."""
        return len(self._doorkeeper)

    @property
    def bad_messages(self) -> int:
        """Number of messages so far that were not requests."""
        return self._bad.count

    def attend(self, publisher: Publisher) -> None:
        """Have this server's thread see to the subscriptions of *publisher*, too."""
        self._publisher = publisher
        self._doorkeeper.add(publisher.entrance)
        self._wait_for_entries(publisher.entrance.fileno(), publisher.fileno())

    def _wait_for_entries(self, *descriptors: int) -> None:
        for descriptor in descriptors:
            self._socket.also_wait_for(descriptor)
        self._entries |= set(descriptors)

    def start(self) -> None:
        """Begin to read requests; those that came before are not lost."""
        if self._publisher is not None:
            self._publisher.admit()
        self.relay.start()

    def send(self, frames: Sequence[Buffer]) -> None:
        """Send a response; dropped where the client has gone or never reads."""
        try:
            self._socket.send(frames, take_in=self._is_elsewhere)
        except ConnectionLost:
            _log.debug("a reply came after the end of this daemon")
            return
        if self._inbox and self._is_elsewhere():
            self._socket.wake()

    def _is_elsewhere(self) -> bool:
        """Return whether this thread will not take in what has arrived before anybody waits.

        It is asked once something was sent: the loop may have been taken over a moment before.
        """
        return not self.relay.is_here

    def stop(self) -> None:
        """Stop reading. Replies can still be sent."""
        self.relay.stop(self._socket.wake)

    def close(self) -> None:
        """Close the socket, after :meth:`stop`. May be called twice."""
        if not self._socket.closed:
            self._socket.configure(lambda _socket: self._entrance.close())
        self._socket.close()

    def _run(self) -> None:
        ready: list[int] = []
        while self.relay.is_mine:
            self._socket.take_in(ready)
            ready = []
            if self._is_time_to_look_around():
                self._look_around()
            if not self._inbox:
                # Of whoever was held up in the loop before.
                self.end_batch(on_loop=True)
                if not self.relay.is_mine:  # that was held up: the other one waits by now
                    return
                behind = self._publisher is not None and self._publisher.is_behind
                ready = self._socket.wait(0.0 if behind else self._doorkeeper.pause_s)
                self._looks_around = not self._entries.isdisjoint(ready)
            # No more than these, lest those who never stop should keep us from all else.
            for number in range(min(len(self._inbox), _INBOX)):
                if self.relay.is_mine:
                    self._dispatch(self._inbox.popleft())
                    if not self._inbox or number % _BATCH == _BATCH - 1:
                        self.end_batch(on_loop=True)

    def end_batch(self, *, on_loop: bool = False) -> None:
        """Do what requests have left, unless that comes later on the loop anyway.

        Args:
            on_loop: It comes now.
        """
        batch = self._batch
        if batch is None or not batch.waits:
            return
        if not self.relay.is_here:  # the loop was taken over meanwhile: nobody waits for this one
            batch.do_here()
        elif on_loop and not self.relay.work(batch.do_here, bool):
            batch.hand_over()

    def _is_time_to_look_around(self) -> bool:
        """Return whether somebody has come, gone or subscribed, or nobody has looked for a while.

        A look costs as much as the answer to a request.
        """
        publisher = self._publisher
        waits = publisher is not None and (publisher.is_behind or publisher.has_news)
        return self._looks_around or waits or time.monotonic() >= self._next_look

    def _look_around(self) -> None:
        if self._publisher is None:
            self._doorkeeper.attend()
        else:
            self._look_at_rights(self._publisher)
            self._publisher.take_in()
            self._doorkeeper.attend(self._publisher.subscriptions())
        self._looks_around = False
        self._next_look = time.monotonic() + self._doorkeeper.pause_s

    def _look_at_rights(self, publisher: Publisher) -> None:
        """Have all subscribers connect again, and so be judged again, when rights have changed.

        What a peer has subscribed to, ZeroMQ can neither tell nor be told without it.
        """
        if publisher.audience is not None and publisher.audience.has_changed():
            _log.info("keys were allowed or revoked: all subscribers have to connect again")
            self._doorkeeper.end_all(publisher.entrance)

    def _take(self, frames: list[zmq.Frame]) -> None:
        # ZeroMQ's own notes about a connection are with each frame, the last one as well.
        self._inbox.append((frames[-1], contents(frames)))

    def caller(self, frame: zmq.Frame) -> Caller:
        """Return who has sent *frame*."""
        key = noted(frame, "User-Id") if self._guard is not None else ""
        return self._identify(key, noted(frame, "Peer-Address"))

    def _dispatch(self, received: _Message) -> None:
        last, (peer, *message) = received
        self._doorkeeper.heard(bytes(peer), last)
        try:
            responder = Responder(self, peer, Request.decode(message), last)
        except BadMessage as error:
            self._refuse(peer, message, error)
            return
        try:
            self._handle(responder)
        except Exception as error:  # the thread that reads requests must outlive any of them
            if not isinstance(error, MktlError):
                _log.exception("request %.200r failed", responder.request.target)
            responder.fail(error)

    def _refuse(self, peer: Buffer, message: list[Buffer], error: BadMessage) -> None:
        self._bad.warning("a message that is no request was refused: %s", error)
        if len(message) < 2 or not message[1]:
            return
        frames = encode_response(bytes(message[1]), REP, b"", error_payload(error))
        self.send([peer, *frames])
