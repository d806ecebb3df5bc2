"""A TCP connection to an instrument, or to a serial device server."""

from __future__ import annotations

import errno
import os
import select
import socket

from drivers.ports._settings import SerialSettings
from drivers.ports.base import FdPort, reason_of
from mktl.errors import DeviceError, DeviceLost, DeviceTimeout

__all__ = ["TcpPort", "at"]

# Ask a silent peer after 10 s, every 5 s, and give up after 3: a cable that was pulled is noticed
# within half a minute even while nothing is sent. The idle probe of a line is usually quicker.
_KEEPALIVE = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))


class TcpPort(FdPort):
    """One connection to *host*:*port*."""

    def __init__(self, host: str, port: int, settings: SerialSettings | None = None) -> None:
        """Note where to connect; nothing is opened yet.

        Args:
            host: Name or address.
            port: TCP port.
            settings: Those of the serial line behind it, if there is one. They are set there, at
                the server, and known here for the time that a character takes.
        """
        super().__init__()
        self._host = host
        self._port = port
        self._settings = settings
        self._socket: socket.socket | None = None

    @property
    def url(self) -> str:
        """``tcp://host:port``, or ``socket://host:port?baud=...`` with a serial line behind it."""
        place = at(self._host, self._port)
        return f"socket://{place}?{self._settings.query}" if self._settings else f"tcp://{place}"

    @property
    def char_s(self) -> float:
        """Seconds that one character takes on the serial line behind it; 0 without one."""
        return self._settings.char_s if self._settings else 0.0

    def renew(self) -> TcpPort:
        """Return an unopened port to the same address."""
        return TcpPort(self._host, self._port, self._settings)

    def _open(self, deadline: float) -> None:
        # A name is looked up by the system's resolver, which nothing can interrupt: while it
        # hangs, close() does not wait for it. Numeric addresses are not affected.
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise DeviceLost(f"cannot find host {self._host!r}: {reason_of(error)}") from error
        failure = DeviceLost(f"host {self._host!r} has no address")
        for family, kind, protocol, _name, address in found:
            try:
                self._connect(family, kind, protocol, address, deadline)
            except DeviceError:  # the deadline, or closed meanwhile: no use in another address
                raise
            except OSError as error:
                self._close()
                failure = DeviceLost(reason_of(error))
            else:
                return
        raise failure

    def _connect(
        self, family: int, kind: int, protocol: int, address: tuple[object, ...], deadline: float
    ) -> None:
        sock = self._socket = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        if sock.connect_ex(address) == 0:
            return
        if not self._ready(sock.fileno(), select.POLLOUT, deadline):
            raise DeviceTimeout("no answer to the attempt to connect")
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        # Connecting to a free port of the ephemeral range on this very machine can meet itself.
        if sock.getsockname() == sock.getpeername():
            raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))

    def _fileno(self) -> int:
        assert self._socket is not None
        return self._socket.fileno()

    def _receive(self) -> bytes | None:
        assert self._socket is not None
        try:
            return self._socket.recv(65536)
        except BlockingIOError:
            return None
        except OSError as error:
            raise DeviceLost(reason_of(error)) from error

    def _send(self, data: memoryview) -> int:
        assert self._socket is not None
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise DeviceLost(reason_of(error)) from error

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def at(host: str, port: int) -> str:
    """Return ``host:port`` as a URL has it, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
