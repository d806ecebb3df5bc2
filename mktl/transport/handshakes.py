"""What it means, for people, that a connection was not made although somebody is there."""

from __future__ import annotations

import contextlib
import socket

from ..security import fingerprint, key_text

__all__ = ["explain", "mechanism_at"]

_PROBE_S = 1.0
# ZMTP 3.1, "greeting": a signature and the version. What follows, both say without waiting.
_HALF_A_GREETING = b"\xff" + bytes(7) + b"\x01\x7f\x03"
_MECHANISM = slice(12, 32)


def mechanism_at(host: str, port: int) -> str:
    """Return what who is at *host* and *port* says to speak, ``NULL`` or ``CURVE``; empty if none.

    A peer that dislikes our mechanism breaks off, and may do so before it has told its own: libzmq
    does, where our greeting is complete by the time that it is read. So it is told half of one.
    """
    greeting = b""
    with (
        contextlib.suppress(OSError),
        socket.create_connection((host, port), timeout=_PROBE_S) as peer,
    ):
        peer.sendall(_HALF_A_GREETING)
        while len(greeting) < _MECHANISM.stop and (more := peer.recv(64)):
            greeting += more
    return greeting[_MECHANISM].rstrip(b"\0").decode(errors="replace")


def explain(failure: str, peer: str, host: str, server_key: bytes | None) -> str:
    """Return why there is no connection to *peer*, and what to do; empty if that is not known.

    Args:
        failure: As :attr:`mktl.transport.monitor.Monitor.failure` says it.
        peer: What to call it.
        host: Where it is.
        server_key: The key that it has to have; ``None``: we spoke in clear text.
    """
    if failure == "mechanism" and server_key is None:
        return (
            f"{peer} does not speak in clear text: its daemon wants CURVE. Ask who keeps it for "
            f"its key (mark keys server), and say: mark keys trust {host} KEY"
        )
    if failure == "mechanism":
        return (
            f"{peer} speaks in clear text only, but its key is known to be "
            f"{fingerprint(server_key or b'')}, so that it was not spoken to. If its daemon does "
            "without CURVE now, say: mark keys forget NAME (mark keys list has the names)"
        )
    if failure == "refused":
        return f"{peer} does not know our key: ask who keeps the daemon to say {_allow()}"
    if failure == "broken" and server_key is not None:
        return (
            f"{peer} does not have the key {fingerprint(server_key)} that is known of it, or broke "
            "off before it could show it: ask who keeps the daemon for its key (mark keys server)"
        )
    return ""


def _allow() -> str:
    from ..keyring import own_pair

    return f"mark keys allow NAME {key_text(own_pair().public)} --role operator"
