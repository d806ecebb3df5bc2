"""Requests to one daemon or registry.

There is no thread in here. Whoever waits for a reply takes in what arrives, for all: the first
that has to wait leads, the others sleep until their reply was handed over or the lead was.
"""

from __future__ import annotations

import threading
import time

import zmq

from .. import config
from ..errors import BadMessage, ConnectionLost, HandshakeFailed, NoAnswer, NotConnected
from ..protocol.exchange import Exchange
from ..protocol.message import NO_REP, Buffer, Response, encode_request
from .context import connect_again, make_socket
from .monitor import FAILURES, FINAL, Monitor, connect_or_close
from .reply import Reply, Waiter
from .shared import SharedSocket, contents

__all__ = ["Reconnected", "Reply", "RequestClient"]

_HIGH_WATER = 100_000
_LINGER_MS = 500
_LOOK_S = 0.05
"""How often to look whether we were turned away, while waiting for a connection."""
AGAIN_S = 0.25
"""How soon at the earliest to connect again to a peer that has turned us away."""


class Reconnected(Exception):
    """Nothing was sent, as the connection is another one than that which was asked for."""


class RequestClient:
    """One connection for requests. It connects by itself, again and again where needed.

    Args:
        host: Name or address of the daemon's host.
        port: Its request port.
        name: What to call the peer in messages, for example ``cryo.hw``.
        server_key: What the peer has to prove to have, encrypted; ``None`` is clear text.
    """

    def __init__(
        self, host: str, port: int, *, name: str = "", server_key: bytes | None = None
    ) -> None:
        self.host, self.port = host, port
        self.server_key = server_key
        self._connected_at = time.monotonic()
        self.peer = f"{name} at {host}:{port}" if name else f"{host}:{port}"
        self.breaks = 0
        """How often the connection broke: who is at its other end may be somebody else now."""
        self._exchange: Exchange[Reply] = Exchange()
        self._table = threading.Lock()
        self._closed = False
        self._lead = threading.Lock()
        self._waiting: set[Waiter] = set()
        self._leading: Waiter | None = None
        self._leader = 0
        socket = make_socket(zmq.DEALER, linger_ms=_LINGER_MS, high_water=_HIGH_WATER)
        # Nothing is queued for a peer that is not there: a SET that was reported as failed must
        # not happen an hour later, when the daemon is back.
        socket.set(zmq.IMMEDIATE, 1)
        self._monitor = Monitor(
            socket, zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | FAILURES
        )
        connect_or_close(socket, self._monitor, host, port, server_key)
        self._socket = SharedSocket(socket, self._receive)
        self._socket.also_wait_for(self._monitor.fileno())

    def request(
        self,
        kind: bytes,
        target: str,
        payload: bytes = b"",
        *,
        bulk: Buffer | None = None,
        flags: int = 0,
        ack_timeout_s: float | None = None,
        breaks: int | None = None,
    ) -> Reply:
        """Send a request and return what its reply will arrive in.

        Waits, where the connection is not up, until it is.

        Args:
            kind: ``GET`` or ``SET``.
            target: A full key, or what every daemon answers.
            payload: Encoded already.
            bulk: Data beside it.
            flags: Which answers not to send.
            ack_timeout_s: How long to wait for the connection, and then for an acknowledgement.
            breaks: :attr:`breaks` as they were when it was found out who is at the other end.

        Raises:
            Reconnected: the connection broke since; nothing was sent.
            NotConnected: there was no connection within *ack_timeout_s*; nothing was sent.
            ConnectionLost: this client was closed.
        """
        timeout_s = config.answer_timeout_s() if ack_timeout_s is None else ack_timeout_s
        reply = self._enter(target, timeout_s)
        try:
            if breaks is not None and breaks != self.breaks:
                raise Reconnected
            frames = encode_request(reply.id, kind, target, payload, bulk=bulk, flags=flags)
            self._send(frames, reply, timeout_s)
        except BaseException:
            self._forget(reply)
            raise
        if flags & NO_REP:
            self._forget(reply)
        return reply

    def begin(
        self, kind: bytes, target: str, payload: bytes = b"", *, ack_timeout_s: float
    ) -> Reply | None:
        """Send a request if the connection is up; ``None`` if it is not, or not yet.

        Raises:
            ConnectionLost: this client was closed.
        """
        reply = self._enter(target, ack_timeout_s)
        frames = encode_request(reply.id, kind, target, payload, bulk=None, flags=0)
        try:
            sent = self._socket.send(frames)
        except BaseException:
            self._forget(reply)
            raise
        if not sent:
            self._forget(reply)
            return None
        return reply

    def descriptors(self) -> tuple[int, int]:
        """Return descriptors that become readable when the connection or a reply comes."""
        return self._socket.fileno(), self._monitor.fileno()

    def _enter(self, target: str, timeout_s: float) -> Reply:
        # Before the request is entered: a break that is noticed only now does not concern it.
        self._check_monitor()
        if self._monitor.failure:
            self._try_again()
        reply = Reply(self, target, timeout_s)
        with self._table:
            if self._closed:
                raise ConnectionLost(f"{target}: the connection to {self.peer} was closed")
            reply.id = self._exchange.begin(reply)
        return reply

    def _send(self, frames: list[Buffer], reply: Reply, timeout_s: float) -> None:
        while not self._socket.send(frames, take_in=self._has_leader):
            self.wait_connected(reply.target, reply.ack_deadline, timeout_s)
        reply.ack_deadline = time.monotonic() + timeout_s

    def wait_connected(self, target: str, deadline: float, timeout_s: float) -> None:
        """Wait until the connection is up.

        Args:
            target: What it is needed for.
            deadline: Until when, in seconds of :func:`time.monotonic`.
            timeout_s: How long that was from the beginning, for the message.

        Raises:
            NotConnected: it is not.
        """
        while not self._socket.wait_writable(min(deadline, time.monotonic() + _LOOK_S)):
            if self.turned_away or time.monotonic() >= deadline:
                raise self.not_connected(target, timeout_s)

    @property
    def turned_away(self) -> bool:
        """Whether the peer is there, and does not let us in: waiting will not change that."""
        self._check_monitor()
        return self._monitor.failure in FINAL

    def not_connected(self, target: str, timeout_s: float) -> NotConnected:
        """Return the error that says why there was no connection within *timeout_s*."""
        from .handshakes import explain, mechanism_at  # seldom needed, and slow to import

        self._check_monitor()
        failure = self._monitor.failure
        if failure == "broken":
            other = "NULL" if self.server_key else "CURVE"
            failure = "mechanism" if mechanism_at(self.host, self.port) == other else failure
        explained = explain(failure, self.peer, self.host, self.server_key)
        if explained:
            return HandshakeFailed(f"{target}: {explained}. Nothing was sent")
        return NotConnected(
            f"{target}: no connection to {self.peer} within {timeout_s:g} s: "
            "is the daemon running, and is this its address? Nothing was sent"
        )

    def _try_again(self) -> None:
        """Connect once more, where the peer has turned us away: it may be of another mind now."""
        now = time.monotonic()
        if self._monitor.failure in FINAL and now > self._connected_at + AGAIN_S:
            self._connected_at = now
            self._monitor.failure = ""
            self._socket.configure(lambda socket: connect_again(socket, self.host, self.port))

    def _forget(self, reply: Reply) -> None:
        with self._table:
            self._exchange.forget(reply.id)

    def take_in(self) -> None:
        """Hand over whatever has arrived."""
        self._socket.take_in()
        self._check_monitor()

    def _wait_for_more(self, timeout_s: float | None) -> None:
        """Wait until something may have arrived, and take it in."""
        ready = self._socket.wait(timeout_s)
        self._socket.take_in(ready)
        if self._monitor.fileno() in ready:
            self._check_monitor()

    def expire(self, reply: Reply) -> None:
        """Give *reply* its error if nothing acknowledged it in time."""
        if not reply.overdue:
            return
        self.take_in()  # who was held up may find that the answer has long been here
        with self._table:
            if not reply.overdue:
                return
            self._exchange.forget(reply.id)
            reply.error = NoAnswer(
                f"{reply.target}: no answer from {self.peer}: it is connected but acknowledged "
                "nothing; whether the request was carried out is not known"
            )

    def wait(self, reply: Reply, timeout_s: float | None, *, acknowledged: bool = False) -> None:
        """Wait until *reply* is done, or *acknowledged*, or *timeout_s* is over."""
        waiter = Waiter(reply, acknowledged)
        if waiter.over():
            return
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._waiting.add(waiter)
        try:
            while not waiter.over():
                if self._lead.acquire(blocking=False):
                    try:
                        self._take_lead(waiter, deadline)
                    finally:
                        self._lead.release()
                else:
                    self._follow(waiter, deadline)
                self.expire(reply)
                if deadline is not None and time.monotonic() >= deadline:
                    return
        finally:
            self._waiting.discard(waiter)
            self._hand_over_lead()

    def _take_lead(self, waiter: Waiter, deadline: float | None) -> None:
        self._leading, self._leader = waiter, threading.get_ident()
        try:
            self._socket.take_in()
            while not waiter.over():
                remaining = self._remaining(waiter.reply, deadline)
                if remaining is not None and remaining <= 0:
                    return
                self._wait_for_more(remaining)
        finally:
            self._leading = None

    def _has_leader(self) -> bool:
        """Return whether anybody waits for what arrives; who begins to will take in what has."""
        return self._leading is not None

    def _follow(self, waiter: Waiter, deadline: float | None) -> None:
        turn = waiter.turn
        if turn is None:
            turn = waiter.turn = threading.Event()
            return  # once more around, as the lead may have been given up before this was there
        turn.wait(self._remaining(waiter.reply, deadline))
        turn.clear()

    @staticmethod
    def _remaining(reply: Reply, deadline: float | None) -> float | None:
        """Return the seconds after which to look again at what *reply* is due."""
        until = deadline
        if not reply.acknowledged:
            until = reply.ack_deadline if until is None else min(until, reply.ack_deadline)
        return None if until is None else until - time.monotonic()

    def _hand_over_lead(self) -> None:
        for waiter in list(self._waiting):
            if not waiter.reply.done and waiter.turn is not None:
                waiter.turn.set()
                return

    def _receive(self, message: list[zmq.Frame]) -> None:
        frames = contents(message)
        try:
            response = Response.decode(frames)
        except BadMessage as error:
            self._receive_bad(frames, error)
            return
        with self._table:
            reply = self._exchange.receive(response)
        if reply is not None:
            self._notify(reply)

    def _receive_bad(self, frames: list[bytes | memoryview], error: BadMessage) -> None:
        """A reply that cannot be understood still ends the wait of whoever asked."""
        if len(frames) < 2:
            return
        with self._table:
            asked = self._exchange.forget(bytes(frames[1]))
            if asked is not None:
                asked.error = BadMessage(
                    f"{asked.target}: the reply of {self.peer} is broken: {error}"
                )
        if asked is not None:
            self._notify(asked)

    def _notify(self, reply: Reply) -> None:
        for waiter in list(self._waiting):
            if waiter.reply is reply and waiter.turn is not None:
                waiter.turn.set()
        leading = self._leading
        if leading is None or leading.reply is not reply:
            return
        if self._leader != threading.get_ident():  # who leads looks by itself at what it took in
            self._socket.wake()

    def _check_monitor(self) -> None:
        """Fail what is open when the connection broke: its replies can no longer come."""
        if zmq.EVENT_DISCONNECTED in self._monitor.take():
            self.breaks += 1
            self._socket.take_in()
            self._fail_all(
                f"the connection to {self.peer} broke before it replied: "
                "whether the request was carried out is not known"
            )

    def _fail_all(self, reason: str) -> None:
        with self._table:
            lost = list(self._exchange)
            for reply in lost:
                self._exchange.forget(reply.id)
                reply.error = ConnectionLost(f"{reply.target}: {reason}")
        for reply in lost:
            self._notify(reply)

    def close(self) -> None:
        """Close the connection; requests that are open fail."""
        with self._table:
            if self._closed:
                return
            self._closed = True  # from here on no request is entered that nobody would fail
        self._fail_all("the connection was closed")
        with self._lead:
            self._socket.configure(lambda _socket: self._monitor.close())
            self._socket.close()
