"""A base for ports on libraries whose calls block and cannot be interrupted.

The calls are made in a thread of the port, so that whoever waits for one can be woken by
``close()``, and does not wait beyond the deadline however long the library takes.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from drivers.ports.base import CLOSED
from mktl.errors import DeviceLost, DeviceTimeout

__all__ = ["THREAD_PREFIX", "LibraryPort"]

THREAD_PREFIX = "port "
_LOOK_S = 0.2  # how often to look whether the connection still stands, while a call is under way
_GRACE_S = 3.0  # beyond the deadline: pyvisa-py waits 1 s longer than it tells the instrument to
_RELEASE_S = 2.0  # pyserial rests for 0.3 s when it closes an RFC 2217 connection

_OVERDUE = "the library did not come back in time, so the port was given up"

Result = TypeVar("Result")


class _Call(Generic[Result]):
    """One call of the library, and what became of it."""

    def __init__(self, action: Callable[[], Result]) -> None:
        self._action = action
        self._result: Result | None = None
        self._error: BaseException | None = None
        self.done = False

    @property
    def failed(self) -> bool:
        return self._error is not None

    def make(self) -> None:
        try:
            self._result = self._action()
        except BaseException as error:  # it is raised again, in the thread that waits for it
            self._error = error

    def outcome(self) -> Result:
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error  # its traceback has this frame: no circle, and sockets close at once
        return self._result  # type: ignore[return-value]  # None where that is the result


class LibraryPort(ABC):
    """A port whose library is called in a thread of its own. See :class:`~base.Port`.

    A call that does not come back in time closes the port: nobody knows what it will do yet.
    """

    def __init__(self) -> None:
        """Begin unopened."""
        self._changed = threading.Condition()
        self._call: _Call[object] | None = None
        self._thread: threading.Thread | None = None
        self._closing = ""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where it leads."""

    def open(self, deadline: float) -> None:
        """Connect; see :meth:`Port.open`."""
        with self._changed:
            if self._closing or self._thread is not None:
                raise DeviceLost(self._closing or "the port was opened before")
            self._thread = threading.Thread(
                target=self._run, name=f"{THREAD_PREFIX}{self.url}", daemon=True
            )
            self._thread.start()
        try:
            self._do(lambda: self._open(deadline), deadline)
        except BaseException:  # what is half open is not left so
            self.close()
            raise

    def close(self) -> None:
        """Release it; see :meth:`Port.close`."""
        self._shut(CLOSED)

    @abstractmethod
    def _open(self, deadline: float) -> None: ...

    @abstractmethod
    def _release(self) -> None:
        """Close what was opened, in the thread of the port, when no call is under way."""

    def _interrupt(self) -> None:  # noqa: B027 - not abstract: short calls need none
        """Make a call that is under way fail soon, if that can be done; from any thread."""

    def _broken(self) -> str:
        """Say what is seen to be wrong with the connection, without waiting; from any thread."""
        return ""

    def _do(self, action: Callable[[], Result], until: float) -> Result:
        """Have *action* called in the thread of the port, and return what it returns.

        Raises:
            DeviceLost: the port was closed, or seen to be broken, meanwhile.
            DeviceTimeout: it did not come back before the moment *until*.
        """
        call = _Call(action)
        with self._changed:
            if self._closing or self._thread is None:
                raise DeviceLost(self._closing or "the port is not open")
            if self._call is not None:
                raise DeviceLost("two threads use the port at once")
            self._call = call  # type: ignore[assignment]
            self._changed.notify_all()
        try:
            return self._await(call, until)
        except BaseException:  # KeyboardInterrupt, too: then the call still goes on
            if not call.done:  # interrupted: nobody waits for it any more
                self._shut("the wait for the device was interrupted")
            raise

    def _await(self, call: _Call[Result], until: float) -> Result:
        why = ""
        while True:
            with self._changed:
                left_s = until - time.monotonic()
                if not call.done and not self._closing and left_s > 0:
                    self._changed.wait(min(left_s, _LOOK_S))
                # What a call raises that was interrupted is a consequence, and not the reason.
                if call.done and not (self._closing and call.failed):
                    return call.outcome()
                if self._closing:
                    raise DeviceLost(self._closing)
            if time.monotonic() >= until:
                self._shut(_OVERDUE)
                raise DeviceTimeout(_OVERDUE)
            # Seen twice running: what came before the end has been given back by then.
            before, why = why, self._broken()
            if why and why == before:
                self._shut(why)
                raise DeviceLost(why)

    def _do_in_time(self, action: Callable[[], Result], deadline: float) -> Result:
        """Do *action*, which keeps the deadline itself; only if it does not, give the port up."""
        return self._do(action, max(deadline, time.monotonic()) + _GRACE_S)

    def _shut(self, why: str) -> None:
        with self._changed:
            if self._closing:
                return
            self._closing = why
            busy = self._call is not None
            self._changed.notify_all()
        if busy:
            self._interrupt()
        elif self._thread is not None and self._thread is not threading.current_thread():
            # What was released can be opened again at once, by us or by another program.
            self._thread.join(_RELEASE_S)

    def _run(self) -> None:
        while (call := self._next_call()) is not None:
            call.make()
            with self._changed:
                self._call = None
                call.done = True
                self._changed.notify_all()
            del call
        self._release()

    def _next_call(self) -> _Call[object] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._call is not None or self._closing)
            if self._closing:
                self._call = None
                return None
            return self._call
