"""The TCP connections of ZeroMQ, as the system knows them by their descriptors."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator

__all__ = ["end", "figures_of", "opened"]

_AT_ONCE = struct.pack("=ii", 1, 0)
_RECEIVED = struct.Struct("=Q")
_NOT_SENT = struct.Struct("=I")
_RECEIVED_AT, _NOT_SENT_AT = 128, 144
"""Where ``struct tcp_info`` of Linux has ``tcpi_bytes_received`` and ``tcpi_notsent_bytes``."""


def end(connection: socket.socket) -> None:
    """End a connection; ZeroMQ notices, and closes it."""
    with contextlib.suppress(OSError):  # it has just ended by itself
        # What is still on its way is of no use to anybody: nobody need wait for it.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        connection.shutdown(socket.SHUT_RDWR)


def figures_of(connection: socket.socket) -> tuple[int, int] | None:
    """Return the bytes received, and those that the peer does not take; ``None`` if unknown."""
    option = getattr(socket, "TCP_INFO", None)
    if option is None:
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, option, 256)
        (received,) = _RECEIVED.unpack_from(info, _RECEIVED_AT)
        (not_sent,) = _NOT_SENT.unpack_from(info, _NOT_SENT_AT)
    except (OSError, struct.error):  # it has ended, or the kernel is older than these figures
        return None
    return received, not_sent


@contextlib.contextmanager
def opened(descriptor: int, port: int) -> Iterator[socket.socket | None]:
    """Give a connection of ZeroMQ to the block; ``None`` if it is none any more.

    ZeroMQ may close it at any time, and the number go to something else. A duplicate is the same
    thing for as long as the block lasts, and can be asked whether it is what was meant.
    """
    copied = True
    try:
        copy = os.dup(descriptor)
    except OSError as error:
        if error.errno != errno.EMFILE:
            yield None
            return
        # There is none left to be had, which is just when a connection has to be ended.
        copied, copy = False, descriptor
    try:
        connection = socket.socket(fileno=copy)
    except OSError:
        if copied:
            os.close(copy)
        yield None
        return
    try:
        yield connection if _has_port(connection, port) else None
    finally:
        if copied:
            connection.close()
        else:
            connection.detach()


def _has_port(connection: socket.socket, port: int) -> bool:
    try:
        return bool(connection.getsockname()[1] == port)
    except (OSError, IndexError, TypeError):
        return False
