"""What is particular to pyvisa and pyvisa-py: how they are loaded, what they raise, what to watch.

The facts about pyvisa-py are those of its releases 0.7 and 0.8.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from drivers.ports._library import THREAD_PREFIX
from drivers.ports.base import reason_of
from mktl.errors import ConfigurationError, DeviceError, DeviceLost, DeviceTimeout

if TYPE_CHECKING:
    from pyvisa import ResourceManager

__all__ = ["Watched", "close_left_open", "inside", "library", "manager", "translated"]

_TIMED_OUT = "the VISA library has waited long enough"
_SOCKETS = ("sock", "_sync", "_async")  # of the clients for VXI-11 and HiSLIP
_lock = threading.Lock()


def library() -> ModuleType:
    """Return pyvisa.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import pyvisa
    except ImportError:
        raise ConfigurationError(
            'visa:// needs pyvisa: pip install "mktl-hardware[visa]"'
        ) from None
    # pyvisa-py logs a traceback for each connection that fails. What has failed is told once, by
    # who keeps the link up.
    logging.getLogger("pyvisa").addFilter(_not_from_a_port)
    return pyvisa


def _not_from_a_port(record: logging.LogRecord) -> bool:
    return not (record.threadName or "").startswith(THREAD_PREFIX)


def manager(backend: str) -> ResourceManager:
    """Return the resource manager of *backend*, which all ports share and nobody closes.

    Raises:
        ConfigurationError: there is no such backend on this machine.
    """
    pyvisa = library()
    try:
        with _lock:  # pyvisa makes one each, and would make two of them at once
            return pyvisa.ResourceManager(backend)  # type: ignore[no-any-return]
    except (ValueError, OSError, ImportError) as error:
        extra = 'pip install "mktl-hardware[visa]"' if backend == "@py" else "is it installed?"
        raise ConfigurationError(f"no VISA library {backend!r} here ({extra}): {error}") from None


def translated(error: Exception) -> DeviceError:
    """Return one of our errors for whatever the library has raised."""
    pyvisa = library()
    if isinstance(error, pyvisa.errors.VisaIOError):
        if error.error_code == pyvisa.constants.StatusCode.error_timeout:
            return DeviceTimeout(_TIMED_OUT)
        cause = _system_error(error)
        if isinstance(cause, TimeoutError):
            return DeviceTimeout(_TIMED_OUT)
        told = f"{error.description.rstrip('.')} ({error.abbreviation})"
        return DeviceLost(reason_of(cause) if cause is not None else told)
    if isinstance(error, TimeoutError):
        return DeviceTimeout(_TIMED_OUT)
    return DeviceLost(reason_of(error))


def _system_error(error: BaseException) -> OSError | None:
    """Find the error of the operating system behind a code that says less."""
    return next((one for one in _chain(error) if isinstance(one, OSError)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def close_left_open(error: BaseException) -> None:
    """Close what an attempt to connect, which ended with *error*, has opened and not closed.

    pyvisa-py leaves it to the garbage collector, which may take its time: until then the instrument
    has one connection less to give.
    """
    for one in _chain(error):
        trace = one.__traceback__
        while trace is not None:
            for value in list(trace.tb_frame.f_locals.values()):
                _close_sockets(value, depth=2)
            trace = trace.tb_next


def _close_sockets(value: Any, depth: int) -> None:
    """Close *value* if it is a socket, and those of a session or a client."""
    if isinstance(value, socket.socket):
        value.close()
    elif depth:
        held = getattr(value, "__dict__", {})
        for name in ("interface", *_SOCKETS):
            _close_sockets(held.get(name), depth - 1)


def inside(resource: Any) -> Any:
    """Return what pyvisa-py talks through (a socket, a client, a serial port); or ``None``."""
    session = getattr(resource.visalib, "sessions", {}).get(resource.session)
    return getattr(session, "interface", None)


class _EndingSocket(socket.socket):
    """A socket that says when the other side has closed the connection.

    pyvisa-py takes the nothing that it would read then for silence, and reads again and again,
    without a pause and up to its timeout, or for ever.
    """

    @classmethod
    def in_place_of(cls, other: socket.socket) -> Self:
        timeout_s = other.gettimeout()
        made = cls(fileno=other.detach())
        made.settimeout(timeout_s)
        return made

    def recv(self, *args: Any) -> bytes:
        data = super().recv(*args)
        if not data:
            raise _closed()
        return data

    def recv_into(self, *args: Any) -> int:
        count = super().recv_into(*args)
        if not count:
            raise _closed()
        return count


def _closed() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "The other side closed the connection")


class Watched:
    """The sockets of a pyvisa-py resource, to see that they were closed, and to end a wait.

    pyvisa-py does not tell the end of a connection from silence, and in some places waits
    without a limit. What is looked at are duplicates, so that its own may be closed meanwhile.
    """

    def __init__(self, interface: Any) -> None:
        """Find them; there are none with other libraries, or on other interfaces."""
        self._lock = threading.Lock()
        held = [interface] if isinstance(interface, socket.socket) else []
        for name in _SOCKETS:
            one = getattr(interface, name, None)
            if isinstance(one, socket.socket):
                one = _EndingSocket.in_place_of(one)
                setattr(interface, name, one)
                held.append(one)
        self._sockets = [socket.socket(fileno=os.dup(one.fileno())) for one in held]

    def fault(self) -> str:
        """Say what is wrong with one of them, without waiting; empty if nothing is seen."""
        with self._lock:
            return next(filter(None, map(_fault, self._sockets)), "")

    def end(self) -> None:
        """End the connections: who waits on them wakes."""
        with self._lock:
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Close the duplicates."""
        with self._lock:
            for one in self._sockets:
                one.close()
            self._sockets = []


def _fault(one: socket.socket) -> str:
    try:
        if code := one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return reason_of(OSError(code, os.strerror(code)))
        poll = select.poll()
        poll.register(one, select.POLLIN)
        if poll.poll(0) and not one.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
            return reason_of(_closed())
    except BlockingIOError:
        return ""
    except OSError as error:
        return reason_of(error)
    return ""
