"""What happens to the connections of a ZeroMQ socket."""

from __future__ import annotations

import select
import struct
import threading
from typing import Any

import zmq

from .context import connect

__all__ = ["FAILURES", "FINAL", "Monitor", "connect_or_close", "failure_of"]

FAILURES = int(
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
"""Events of a peer that is there, and with which one does not come to terms."""
FINAL = ("mechanism", "refused")
"""Failures after which ZeroMQ does not try again by itself."""
_OTHER_MECHANISM = 0x11000002
"""``ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH``: only one of the two encrypts."""

_EVENT = struct.Struct("=HI")
_EVENTS, _READABLE = int(zmq.EVENTS), int(zmq.POLLIN)


class Monitor:
    """Events of one socket, to be taken by any thread.

    Args:
        socket: Not connected yet, so that nothing is missed.
        events: Which ones, as ``zmq.EVENT_...`` bits.
    """

    def __init__(self, socket: zmq.Socket[bytes], events: int) -> None:
        self._lock = threading.Lock()
        self.failure = ""
        """How the last handshake has failed: ``mechanism``, ``refused`` or ``broken``; empty if it
        has not."""
        self._watched = socket
        self._socket = socket.get_monitor_socket(events)
        self._get_option: Any = super(zmq.Socket, self._socket).get
        self._descriptor = int(self._socket.get(zmq.FD))
        # Who has never looked is not signalled to: ZeroMQ takes it for somebody about to look.
        self._get_option(_EVENTS)
        self._poller = select.poll()
        self._poller.register(self._descriptor, select.POLLIN)
        self._closed = False

    def fileno(self) -> int:
        """Return the descriptor that signals that :meth:`take` may find something."""
        return self._descriptor

    def take(self) -> list[int]:
        """Return the events since the last call, oldest first."""
        events: list[int] = []
        with self._lock:
            # The descriptor tells whether there can be anything, as nobody else touches it.
            if self._closed or not self._poller.poll(0):
                return events
            # Asked first: a receive that finds nothing raises, which costs seven times as much.
            while self._get_option(_EVENTS) & _READABLE:
                event, *_address = self._socket.recv_multipart(zmq.DONTWAIT)
                number, value = _EVENT.unpack(event)
                events.append(number)
                if number & (FAILURES | zmq.EVENT_HANDSHAKE_SUCCEEDED):
                    self.failure = failure_of(number, value)
        return events

    def close(self) -> None:
        """Stop watching; before the watched socket is closed."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._watched.disable_monitor()
                self._socket.close()


def failure_of(event: int, value: int) -> str:
    """Return how a handshake has failed, as :attr:`Monitor.failure` says it."""
    if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
        return ""
    if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return "refused"
    return "mechanism" if value == _OTHER_MECHANISM else "broken"


def connect_or_close(
    socket: zmq.Socket[bytes], monitor: Monitor, host: str, port: int, server_key: bytes | None
) -> None:
    """Have *socket* connect: see :func:`mktl.transport.context.connect`; close both if it fails."""
    try:
        connect(socket, host, port, server_key)
    except BaseException:  # nobody else would close them
        monitor.close()
        socket.close()
        raise
