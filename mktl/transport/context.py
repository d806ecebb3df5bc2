"""One ZeroMQ context a process, and what all its sockets have in common."""

from __future__ import annotations

import contextlib
import os
import threading

import zmq

from .. import config

__all__ = ["HEARTBEAT_MS", "connect", "connect_again", "context", "make_socket", "noted"]

HEARTBEAT_MS = 2000
"""Interval of ZeroMQ's own heartbeats: they find a peer that vanished without closing."""
HANDSHAKE_MS = 6000
"""A greeting that was swallowed on its way is not waited for longer: there is a new connection."""

_lock = threading.Lock()
_context: tuple[int, zmq.Context[zmq.Socket[bytes]]] | None = None


def context() -> zmq.Context[zmq.Socket[bytes]]:
    """Return the context of this process, a new one after a fork."""
    global _context  # noqa: PLW0603 - one process has one context
    with _lock:
        if _context is None or _context[0] != os.getpid() or _context[1].closed:
            made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            made.set(zmq.MAX_SOCKETS, 16384)
            _context = (os.getpid(), made)
        return _context[1]


def make_socket(kind: int, *, linger_ms: int = 0, high_water: int) -> zmq.Socket[bytes]:
    """Return a new socket with the options that all of ours share.

    Args:
        kind: ``zmq.ROUTER`` and so on.
        linger_ms: How long closing may wait for what has not been sent yet.
        high_water: Messages to keep per peer and direction.
    """
    made = context().socket(kind)
    made.set(zmq.LINGER, linger_ms)
    made.set(zmq.SNDHWM, high_water)
    made.set(zmq.RCVHWM, high_water)
    made.set(zmq.MAXMSGSIZE, config.max_message())
    made.set(zmq.HEARTBEAT_IVL, HEARTBEAT_MS)
    made.set(zmq.HEARTBEAT_TIMEOUT, 3 * HEARTBEAT_MS)
    made.set(zmq.HEARTBEAT_TTL, 3 * HEARTBEAT_MS)
    made.set(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    made.set(zmq.RECONNECT_IVL, 50)
    made.set(zmq.RECONNECT_IVL_MAX, 1000)
    return made


def connect(
    socket: zmq.Socket[bytes], host: str, port: int, server_key: bytes | None = None
) -> None:
    """Have *socket* connect, in the background, to *host* and *port*.

    Args:
        socket: Of a client.
        host: Name or address.
        port: TCP port.
        server_key: What the peer has to prove to have, encrypted; ``None`` is clear text.
    """
    if ":" in host:
        # Only for a literal: with this on, "localhost" would mean ::1 alone.
        socket.set(zmq.IPV6, 1)
    if server_key is not None:
        from ..keyring import own_pair
        from .curve import encrypt

        own = own_pair()
        encrypt(socket, (own.public, own.secret), server_key)
    socket.connect(endpoint(host, port))


def connect_again(socket: zmq.Socket[bytes], host: str, port: int) -> None:
    """Have *socket* try once more after it was refused, as ZeroMQ does not by itself."""
    with contextlib.suppress(zmq.ZMQError):  # it has forgotten the place already
        socket.disconnect(endpoint(host, port))
    socket.connect(endpoint(host, port))


def endpoint(host: str, port: int) -> str:
    """Return how ZeroMQ writes an address."""
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def noted(frame: zmq.Frame, what: str) -> str:
    """Return what ZeroMQ has noted about the connection of *frame*; empty if it has not."""
    try:
        return str(frame.get(what))
    except zmq.ZMQError:
        return ""
