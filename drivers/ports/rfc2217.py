"""A serial line behind a device server that speaks RFC 2217, through pyserial."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING

from drivers.ports._library import LibraryPort
from drivers.ports._settings import SerialSettings
from drivers.ports.base import DISCARD_LIMIT, reason_of
from drivers.ports.serial import import_pyserial, pyserial_settings
from drivers.ports.tcp import at
from mktl.errors import DeviceLost, DeviceTimeout

if TYPE_CHECKING:
    from serial.rfc2217 import Serial

__all__ = ["Rfc2217Port"]

# Changing the timeout of an open port would negotiate all its settings again, so it is fixed,
# and short: a read overshoots its deadline by no more.
_SLICE_S = 0.02
_ANSWER_S = 3.0  # to each of the things that pyserial negotiates; nothing ends that wait earlier


class Rfc2217Port(LibraryPort):
    """One serial line at *host*:*port*, with its settings made there."""

    def __init__(self, host: str, port: int, settings: SerialSettings | None = None) -> None:
        """Note where to connect; nothing is opened yet."""
        super().__init__()
        self._host = host
        self._port = port
        self._settings = settings or SerialSettings()
        self._serial: Serial | None = None

    @property
    def url(self) -> str:
        """``rfc2217://host:port?baud=...``, with every setting."""
        return f"rfc2217://{at(self._host, self._port)}?{self._settings.query}"

    @property
    def char_s(self) -> float:
        """Seconds that one character takes on the serial line."""
        return self._settings.char_s

    @property
    def whole_messages(self) -> bool:
        """Never: it is a stream of bytes."""
        return False

    def renew(self) -> Rfc2217Port:
        """Return an unopened port to the same line."""
        return Rfc2217Port(self._host, self._port, self._settings)

    def read(self, deadline: float) -> bytes:
        """Wait for bytes; see :meth:`Port.read`."""
        try:
            return self._do_in_time(lambda: self._read(deadline), deadline)
        except DeviceTimeout as error:
            raise DeviceLost(str(error)) from error

    def write(self, data: bytes, deadline: float) -> None:
        """Hand over all of *data*; see :meth:`Port.write`."""
        self._do(lambda: self._write(data), deadline)

    def discard(self) -> bytes:
        """Return what came unasked; see :meth:`Port.discard`."""
        return self._do_in_time(self._discard, 0.0)

    def clear(self, deadline: float) -> None:
        """Nothing to do: a stream of bytes has no device clear."""

    def _open(self, deadline: float) -> None:
        answer_s = min(max(0.1, deadline - time.monotonic()), _ANSWER_S)
        try:
            self._serial = _serial_class()(
                None, **pyserial_settings(self._settings), timeout=_SLICE_S
            )
            self._serial.port = f"rfc2217://{at(self._host, self._port)}?timeout={answer_s:.3f}"
            self._serial.open()
        except (OSError, ValueError) as error:  # ValueError: the server refuses a setting
            raise DeviceLost(f"cannot open {self.url}: {reason_of(error)}") from error

    def _release(self) -> None:
        if self._serial is not None:
            self._serial.close()  # swallows what the socket may raise
            self._serial = None

    def _interrupt(self) -> None:
        # A write that hangs is woken by the end of the connection; the rest is slices.
        # Not closed from here: pyserial may be about to start the thread that it would wait for.
        connection = getattr(self._serial, "_socket", None)
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _read(self, deadline: float) -> bytes:
        assert self._serial is not None
        try:
            while not (data := self._serial.read(1)):
                if self._closing:  # else it would look as if merely nothing had come
                    raise DeviceLost(self._closing)
                if time.monotonic() >= deadline:
                    return b""
            return bytes(data) + self._waiting(1)
        except OSError as error:
            raise DeviceLost(reason_of(error)) from error

    def _discard(self) -> bytes:
        try:
            return self._waiting(0)
        except OSError as error:
            raise DeviceLost(reason_of(error)) from error

    def _waiting(self, begun: int) -> bytes:
        assert self._serial is not None
        count = min(self._serial.in_waiting, DISCARD_LIMIT - begun)
        return bytes(self._serial.read(count)) if count > 0 else b""

    def _write(self, data: bytes) -> None:
        assert self._serial is not None
        try:
            self._serial.write(data)
        except OSError as error:
            raise DeviceLost(reason_of(error)) from error


def _serial_class() -> type[Serial]:
    import_pyserial()
    from serial.rfc2217 import Serial

    class ClosingSerial(Serial):
        def close(self) -> None:
            # pyserial forgets to, when the other side has ended the connection before.
            connection = getattr(self, "_socket", None)
            super().close()
            if connection is not None:
                connection.close()

        def _telnet_read_loop(self) -> None:
            # pyserial's thread ends with a traceback on stderr if the other side has gone when it
            # is about to answer it.
            try:
                super()._telnet_read_loop()  # type: ignore[misc]  # not in the stubs
            except OSError:
                # The sign that the connection is lost.
                self._read_buffer.put(None)  # type: ignore[attr-defined]

    return ClosingSerial
