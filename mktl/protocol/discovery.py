"""The datagrams with which clients find registries, and registries find daemons."""

from __future__ import annotations

__all__ = ["CALL", "DAEMON_PORT", "LONGEST", "REGISTRY_PORT", "answer", "is_call", "parse_answer"]

REGISTRY_PORT = 10103
"""UDP port on which registries listen."""
DAEMON_PORT = 10111
"""UDP port on which every daemon listens, many on one host."""
CALL = b"Aloha mKTL"
"""What the caller sends."""
LONGEST = 64
"""Bytes to read of a datagram: longer ones are none of ours."""

_ANSWER = b"E komo mai:"


def answer(port: int) -> bytes:
    """Return the answer of a peer whose request socket is at TCP *port*."""
    return _ANSWER + str(port).encode()


def is_call(datagram: bytes) -> bool:
    """Return whether *datagram* asks who is there."""
    return datagram.strip() == CALL


def parse_answer(datagram: bytes) -> int | None:
    """Return the TCP port that *datagram* offers; ``None`` if it is not an answer."""
    if not datagram.startswith(_ANSWER):
        return None
    digits = datagram[len(_ANSWER) :].strip()
    if not (digits.isdigit() and len(digits) <= 5):
        return None
    port = int(digits)
    return port if 0 < port < 65536 else None
