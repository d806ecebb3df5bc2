"""The interface of a port, and a base for the ones that stand on a file descriptor."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol

from mktl.errors import DeviceLost, DeviceTimeout

__all__ = ["CLOSED", "DISCARD_LIMIT", "FdPort", "Port", "reason_of"]

DISCARD_LIMIT = 1 << 16
"""Most bytes that are thrown away at once."""
CLOSED = "the port was closed on this side"


class Port(Protocol):
    """A way to one device. Opened once, used by one thread at a time, closed from any.

    Deadlines are moments of ``time.monotonic()``.
    """

    @property
    def url(self) -> str:
        """Where it leads, in full, as an error text should show it."""

    @property
    def char_s(self) -> float:
        """Seconds that one character takes on the wire; 0 where it does not matter."""

    @property
    def whole_messages(self) -> bool:
        """Whether the transport itself marks where a message ends: a read gives a whole one."""

    def renew(self) -> Port:
        """Return an unopened port to the same place: a port is not opened twice."""

    def open(self, deadline: float) -> None:
        """Connect.

        Raises:
            DeviceLost: it cannot be opened.
            DeviceTimeout: it could not be opened before *deadline*.
            ConfigurationError: it never can be, on this machine.
        """

    def read(self, deadline: float) -> bytes:
        """Wait for bytes, and return those that are there; ``b""`` if none came in time.

        Raises:
            DeviceLost: the port is broken, or was closed, on either side.
        """

    def write(self, data: bytes, deadline: float) -> None:
        """Hand over all of *data*.

        Raises:
            DeviceLost: as for :meth:`read`; a part may have been sent.
            DeviceTimeout: not all was taken before *deadline*.
        """

    def discard(self) -> bytes:
        """Return, without waiting, what came unasked, up to 64 KiB of it.

        Raises:
            DeviceLost: as for :meth:`read`.
        """

    def clear(self, deadline: float) -> None:
        """Have the device forget what it was asked, where the transport can do that.

        Raises:
            DeviceLost: as for :meth:`read`.
            DeviceTimeout: not before *deadline*.
        """

    def close(self) -> None:
        """Release it. Wakes a thread that waits in it. May be called twice."""


def reason_of(error: BaseException) -> str:
    """Say what *error* says; of the operating system, without its number where it has words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error) or type(error).__name__


class FdPort(ABC):
    """A port on a non-blocking file descriptor, which another thread may close meanwhile."""

    def __init__(self) -> None:
        """Begin unopened."""
        self._lock = threading.Lock()
        self._users = 0
        self._closing = False
        self._wake: tuple[int, int] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it leads."""

    @property
    def char_s(self) -> float:
        """Seconds that one character takes on the wire."""
        return 0.0

    @property
    def whole_messages(self) -> bool:
        """Never: these are streams of bytes."""
        return False

    def clear(self, deadline: float) -> None:  # noqa: B027 - not abstract: true of all streams
        """Nothing to do: a stream of bytes has no device clear."""

    def open(self, deadline: float) -> None:
        """Connect; see :meth:`Port.open`."""
        with self._lock:
            if self._closing or self._wake is not None:
                raise DeviceLost(CLOSED if self._closing else "the port was opened before")
            self._wake = os.pipe()
        try:
            with self._in_use():
                self._open(deadline)
        except BaseException:
            self.close()
            raise

    def read(self, deadline: float) -> bytes:
        """Wait for bytes; see :meth:`Port.read`."""
        with self._in_use():
            while self._ready(self._fileno(), select.POLLIN, deadline):
                data = self._receive()
                if data == b"":
                    raise DeviceLost("the other side closed the connection")
                if data is not None:
                    return data
            return b""

    def write(self, data: bytes, deadline: float) -> None:
        """Hand over all of *data*; see :meth:`Port.write`."""
        with self._in_use():
            rest = memoryview(data)
            while rest:
                if not self._ready(self._fileno(), select.POLLOUT, deadline):
                    sent = len(data) - len(rest)
                    raise DeviceTimeout(f"only {sent} of {len(data)} bytes could be sent in time")
                rest = rest[self._send(rest) :]

    def discard(self) -> bytes:
        """Return what came unasked; see :meth:`Port.discard`."""
        found = b""
        while len(found) < DISCARD_LIMIT:
            data = self.read(deadline=0.0)
            if not data:
                break
            found += data
        return found

    def close(self) -> None:
        """Release it; see :meth:`Port.close`."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            if self._wake is not None and self._users:
                os.write(self._wake[1], b"x")
            elif not self._users:
                self._release()

    @abstractmethod
    def _open(self, deadline: float) -> None: ...

    @abstractmethod
    def _fileno(self) -> int: ...

    @abstractmethod
    def _receive(self) -> bytes | None:
        """Read once: ``b""`` at the end of the stream, ``None`` if there was nothing after all."""

    @abstractmethod
    def _send(self, data: memoryview) -> int: ...

    @abstractmethod
    def _close(self) -> None: ...

    def _ready(self, fd: int, events: int, deadline: float) -> bool:
        """Wait until *fd* is ready; false when the deadline came first."""
        assert self._wake is not None
        poll = select.poll()
        poll.register(fd, events)
        poll.register(self._wake[0], select.POLLIN)
        wait_ms = max(0.0, deadline - time.monotonic()) * 1000
        ready = dict(poll.poll(wait_ms))
        if self._wake[0] in ready:
            raise DeviceLost(CLOSED)
        return fd in ready

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[None]:
        # The descriptor must not be closed (and its number reused) under a thread that waits on
        # it: the last one out releases it.
        with self._lock:
            if self._closing or self._wake is None:
                raise DeviceLost(CLOSED if self._closing else "the port is not open")
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._closing and not self._users:
                    self._release()

    def _release(self) -> None:
        self._close()
        if self._wake is not None:
            for fd in self._wake:
                os.close(fd)
            self._wake = None
