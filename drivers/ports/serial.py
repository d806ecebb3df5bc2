"""A serial port of this machine, or a pseudo-terminal, through pyserial.

This module is ``drivers.ports.serial``; pyserial is the top-level ``serial``. Imports are
absolute, so the two do not meet.
"""

from __future__ import annotations

import errno
import logging
import os
import termios
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from drivers.ports._nodes import node_at
from drivers.ports._settings import SerialSettings
from drivers.ports.base import FdPort, reason_of
from mktl.errors import ConfigurationError, DeviceLost

if TYPE_CHECKING:
    import serial

__all__ = [
    "SerialPort",
    "SerialSettings",
    "import_pyserial",
    "pyserial_settings",
    "settings_for",
    "why_not_open",
]

_log = logging.getLogger(__name__)


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
        return f"serial://{self._path}?{self._settings.query}"

    @property
    def char_s(self) -> float:
        """Seconds that one character takes on the wire."""
        return self._settings.char_s

    def renew(self) -> SerialPort:
        """Return an unopened port to the same device."""
        return SerialPort(self._path, self._settings)

    def _open(self, deadline: float) -> None:  # noqa: ARG002 - opening does not wait
        serial = import_pyserial()
        settings = settings_for(self._path, self._settings)
        try:
            self._serial = serial.Serial(
                self._path,
                **pyserial_settings(settings),
                timeout=0,
                write_timeout=0,
                exclusive=True,
            )
        except serial.SerialException as error:
            raise DeviceLost(
                f"cannot open {self._path}: {why_not_open(self._path, error)}"
            ) from error
        except (OSError, termios.error, ValueError) as error:
            raise DeviceLost(f"cannot set up {self._path}: {error}") from error
        if settings.rs485:
            self._switch_to_rs485(settings)

    def _switch_to_rs485(self, settings: SerialSettings) -> None:
        from serial.rs485 import RS485Settings

        assert self._serial is not None
        try:
            self._serial.rs485_mode = RS485Settings(
                rts_level_for_tx=settings.rts_on_send,
                rts_level_for_rx=not settings.rts_on_send,
                delay_before_tx=settings.delay_before_s,
                # The kernel's "delay after send", under the name that pyserial has for it.
                delay_before_rx=settings.delay_after_s,
            )
        except (OSError, termios.error, ValueError, NotImplementedError) as error:
            raise ConfigurationError(
                f"{self._path} cannot do rs485=1 ({error}): its driver does not switch the "
                f"transmitter; leave rs485 out if the adapter does that by itself"
            ) from error

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
            raise DeviceLost(reason_of(error)) from error
        if not data:
            raise DeviceLost("the serial port is gone")
        return data

    def _send(self, data: memoryview) -> int:
        try:
            return os.write(self._fileno(), data)
        except BlockingIOError:
            return 0
        except (OSError, termios.error) as error:
            raise DeviceLost(reason_of(error)) from error

    def _close(self) -> None:
        if self._serial is None:
            return
        try:
            self._serial.close()
        except (OSError, termios.error) as error:
            _log.debug("closing %s: %s", self._path, error)
        self._serial = None


def import_pyserial() -> ModuleType:
    """Return the module ``serial`` of pyserial.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import serial
    except ImportError:
        raise ConfigurationError(
            'serial ports need pyserial: pip install "mktl-hardware[serial]"'
        ) from None
    return serial


def pyserial_settings(settings: SerialSettings) -> dict[str, Any]:
    """Return *settings* as pyserial calls them."""
    return {
        "baudrate": settings.baud,
        "bytesize": settings.bits,
        "parity": settings.parity[0].upper(),
        "stopbits": settings.stop,
        "xonxoff": settings.flow == "xonxoff",
        "rtscts": settings.flow == "rtscts",
        "dsrdtr": settings.flow == "dsrdtr",
    }


def settings_for(path: str, settings: SerialSettings) -> SerialSettings:
    """Return *settings*, or those that *path* can have: a pseudo-terminal has no parity."""
    if not _is_pty(path):
        return settings
    # The kernel drops parity and 7 data bits on a pseudo-terminal, then refuses to set
    # them with a bare termios.error at the second time of asking.
    _log.debug("%s is a pseudo-terminal: opened with 8 data bits, no parity", path)
    return replace(settings, bits=8, parity="none")


def _is_pty(path: str) -> bool:
    try:
        node = node_at(path)
    except OSError:
        return False  # opening it will say why
    return node is not None and node.is_pty


def why_not_open(path: str, error: OSError) -> str:
    """Say why *path* could not be opened, and what is known beyond the error itself."""
    if error.errno in (errno.EAGAIN, errno.EBUSY):
        return f"it is in use by {_who_has(path)}"
    if error.errno == errno.ENOENT:
        from drivers.ports.inventory import Inventory

        return Inventory().why_missing(path)
    if error.errno == errno.EACCES:
        return "permission denied (is this user in the group that the port belongs to?)"
    if error.errno:
        return os.strerror(error.errno).lower()
    return str(error)


def _who_has(path: str) -> str:
    from drivers.ports.holders import find_holders, lock_holders

    try:
        node = node_at(path)
    except OSError:
        node = None  # pulled a moment ago: the next attempt will say so
    if node is not None:
        # Who has locked it is the one; who has made it its own by other means has it open.
        found = lock_holders(node) or find_holders([node]).of(node)
        users = [holder for holder in found if not holder.far_end]
        if any(holder.pid == os.getpid() for holder in users):
            return "this process itself: two controllers on one port?"
        if users:
            return f"another program: {', '.join(map(str, users))}"
    return f"another program (as root, mark ports {path} shows which)"
