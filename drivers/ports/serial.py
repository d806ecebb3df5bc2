"""A serial port of this machine, or a pseudo-terminal, through pyserial.

This module is ``drivers.ports.serial``; pyserial is the top-level ``serial``. Imports are
absolute, so the two do not meet.
"""

from __future__ import annotations

import logging
import os
import stat
import termios
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from drivers.ports.base import FdPort, reason_of
from mktl.errors import ConfigurationError, DeviceLost

if TYPE_CHECKING:
    import serial

__all__ = ["PARITIES", "SerialPort", "SerialSettings"]

_log = logging.getLogger(__name__)

PARITIES = ("none", "even", "odd", "mark", "space")
_PTY_MAJORS = range(136, 144)  # Linux, Documentation/admin-guide/devices.txt: Unix98 PTY slaves


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """How characters look on the wire."""

    baud: int = 9600
    """Bits per second."""
    bits: int = 8
    """Data bits, 5 to 8."""
    parity: str = "none"
    """One of :data:`PARITIES`."""
    stop: float = 1
    """Stop bits: 1, 1.5 or 2."""

    @property
    def char_s(self) -> float:
        """Seconds that one character takes."""
        return (1 + self.bits + (self.parity != "none") + self.stop) / self.baud


class SerialPort(FdPort):
    """One serial port, opened for exclusive use."""

    def __init__(self, path: str, settings: SerialSettings | None = None) -> None:
        """Note what to open; nothing is opened yet."""
        super().__init__()
        self._path = path
        self._settings = settings or SerialSettings()
        self._serial: serial.Serial | None = None

    @property
    def url(self) -> str:
        """``serial:///dev/...?baud=...``, with every setting."""
        s = self._settings
        query = f"baud={s.baud}&bits={s.bits}&parity={s.parity}&stop={s.stop:g}"
        return f"serial://{self._path}?{query}"

    @property
    def char_s(self) -> float:
        """Seconds that one character takes on the wire."""
        return self._settings.char_s

    def renew(self) -> SerialPort:
        """Return an unopened port to the same device."""
        return SerialPort(self._path, self._settings)

    def _open(self, deadline: float) -> None:  # noqa: ARG002 - opening does not wait
        try:
            import serial
        except ImportError:
            raise ConfigurationError(
                'serial ports need pyserial: pip install "mktl-hardware[serial]"'
            ) from None
        settings = self._settings
        if _is_pty(self._path):
            # The kernel drops parity and 7 data bits on a pseudo-terminal, then refuses to set
            # them with a bare termios.error at the second time of asking.
            settings = replace(settings, bits=8, parity="none")
            _log.debug("%s is a pseudo-terminal: opened with 8 data bits, no parity", self._path)
        try:
            self._serial = serial.Serial(
                self._path,
                baudrate=settings.baud,
                bytesize=settings.bits,
                parity=settings.parity[0].upper(),
                stopbits=settings.stop,
                timeout=0,
                write_timeout=0,
                exclusive=True,
            )
        except serial.SerialException as error:
            raise DeviceLost(f"cannot open {self._path}: {_open_reason(error)}") from error
        except (OSError, termios.error, ValueError) as error:
            raise DeviceLost(f"cannot set up {self._path}: {error}") from error

    def _fileno(self) -> int:
        assert self._serial is not None
        return int(self._serial.fileno())

    def _receive(self) -> bytes | None:
        # Straight from the descriptor: pyserial cannot tell "nothing" from "gone".
        try:
            data = os.read(self._fileno(), 65536)
        except BlockingIOError:
            return None
        except (OSError, termios.error) as error:
            raise DeviceLost(_reason(error)) from error
        if not data:
            raise DeviceLost("the serial port is gone")
        return data

    def _send(self, data: memoryview) -> int:
        try:
            return os.write(self._fileno(), data)
        except BlockingIOError:
            return 0
        except (OSError, termios.error) as error:
            raise DeviceLost(_reason(error)) from error

    def _close(self) -> None:
        if self._serial is None:
            return
        try:
            self._serial.close()
        except (OSError, termios.error) as error:
            _log.debug("closing %s: %s", self._path, error)
        self._serial = None


def _is_pty(path: str) -> bool:
    try:
        found = os.stat(path)  # noqa: PTH116 - Path.stat hides nothing, but st_rdev reads better so
    except OSError:
        return False  # opening it will say why
    return stat.S_ISCHR(found.st_mode) and os.major(found.st_rdev) in _PTY_MAJORS


def _reason(error: Any) -> str:
    return reason_of(error) if isinstance(error, OSError) else str(error)


def _open_reason(error: OSError) -> str:
    if error.errno == 11:
        return "it is in use by another program"
    if error.errno:
        return os.strerror(error.errno).lower()
    return str(error)
