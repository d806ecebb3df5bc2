"""A serial device server (RFC 2217) in front of a simulator that has a TCP port."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator

import serial
import serial.rfc2217

__all__ = ["SerialServer", "serial_server"]


class SerialServer:
    """pyserial's own server: line settings are made on a line of its own, bytes go to *address*."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.line = serial.serial_for_url("loop://")
        self._address = address
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ended, self._end = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="rfc2217-server")
        self._thread.start()

    def stop(self) -> None:
        self._end.close()
        self._thread.join(10)
        self._listener.close()
        self._ended.close()
        self.line.close()

    def _serve(self) -> None:
        while self._ready(self._listener) is self._listener:
            host, _ = self._listener.accept()
            # While the instrument is off, whoever comes is sent away.
            with host, contextlib.suppress(OSError):
                self._carry(host)

    def _carry(self, host: socket.socket) -> None:
        manager = serial.rfc2217.PortManager(self.line, _Connection(host))
        with socket.create_connection(self._address, timeout=5) as instrument:
            while (ready := self._ready(host, instrument)) is not self._ended:
                data = ready.recv(4096)
                if not data:
                    return
                if ready is host:
                    instrument.sendall(b"".join(manager.filter(data)))
                else:
                    host.sendall(b"".join(manager.escape(data)))

    def _ready(self, *sockets: socket.socket) -> socket.socket:
        readable, _, _ = select.select([self._ended, *sockets], [], [])
        return self._ended if self._ended in readable else readable[0]


class _Connection:
    """What a PortManager wants of its connection."""

    def __init__(self, host: socket.socket) -> None:
        self._host = host

    def write(self, data: bytes) -> None:
        self._host.sendall(data)


@contextlib.contextmanager
def serial_server(address: tuple[str, int]) -> Iterator[SerialServer]:
    """Run one for the length of the ``with`` block."""
    made = SerialServer(address)
    try:
        yield made
    finally:
        made.stop()
