"""What keeps a connection up: a thread that connects, stays by it, and connects again."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from drivers.backoff import Backoff
from drivers.link import Link
from drivers.meter import Meter
from drivers.settings import LineSettings
from mktl.controllers import ControllerStatus, LinkState
from mktl.errors import (
    DeviceError,
    DeviceLost,
    DeviceTimeout,
    LinkDown,
    MktlError,
    ProtocolMismatch,
    WrongDevice,
)

__all__ = ["Keeper"]

_log = logging.getLogger(__name__)
_JOIN_S = 1.0
PAUSED = "it was paused by hand, and the port is free for others"

Kept = TypeVar("Kept")


class Keeper(ABC, Generic[Kept]):
    """The life of one connection: state, back-off, pause, end. Safe to use from several threads."""

    def __init__(self, name: str, settings: LineSettings) -> None:
        """Note how long to wait for what; nothing happens before :meth:`start`."""
        self.name = name
        self.settings = settings
        self._meter = Meter()
        self._link = Link(lambda: self.label, self._meter)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._poke = threading.Event()
        self._thread: threading.Thread | None = None
        self._patient = False
        self._paused = False
        self._noted: weakref.ref[BaseException] | None = None

    @property
    @abstractmethod
    def label(self) -> str:
        """Name and place, as error texts show them."""

    def start(self) -> None:
        """Begin connecting, in a thread of its own. Returns at once; again is harmless.

        Raises:
            LinkDown: it was closed.
        """
        self._start(patient=False)

    def close(self) -> None:
        """Stop for good: turns fail, the port is released, the thread ends. Again is harmless.

        Callbacks are not called any more once this has returned.
        """
        with self._lock:
            self._closing.set()
            thread = self._thread
        self._link.close()
        self._let_go("it was closed")
        self._wake.set()
        self._poke.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)

    def pause(self) -> None:
        """Release the port until :meth:`resume`: turns fail, and nothing is tried."""
        self._start_quietly()
        self._paused = True
        self._link.change("Paused", PAUSED)
        self._let_go(PAUSED)
        self._wake.set()
        self._poke.set()

    def resume(self) -> None:
        """Connect again after :meth:`pause`; harmless if it was not paused."""
        if self._paused:
            self._paused = False
            self._link.change("Connecting", "")
            self._poke.set()

    def wait_until_up(self, *, timeout_s: float) -> None:
        """Wait for the link, starting it if need be.

        Raises:
            LinkDown: it is not up after *timeout_s*; the text says why.
        """
        self.start()
        with self._link.changed:
            self._link.changed.wait_for(
                lambda: self._link.state == "Up" or self._closing.is_set(), timeout_s
            )
        if self._link.state != "Up":
            raise LinkDown(self._link.why_not())

    def status(self) -> ControllerStatus:
        """Return the state of the link now. Never blocks on the hardware."""
        return self._link.status()

    @property
    def reason(self) -> str:
        """Why the link is as it is; unlike ``status().error`` the same text from try to try."""
        return self._link.reason

    def on_change(self, callback: Callable[[ControllerStatus], None]) -> None:
        """Have *callback* called from the thread of the connection after each change of state."""
        self._link.on_change(callback)

    @abstractmethod
    def _connect(self) -> Kept:
        """Connect, and make the link "Up"; raise an MktlError if that fails."""

    @abstractmethod
    def _attend(self, kept: Kept) -> None:
        """Stay by it until it is lost."""

    @abstractmethod
    def _let_go(self, reason: str) -> None:
        """Give up the present connection, if there is one, and have all who wait look again."""

    def _was_of_use(self) -> bool:
        """Whether anything was answered through the connection that was lost just now."""
        return True

    def _check(self) -> None:
        if self._link.state == "Up" or self._own_thread_connects():
            return
        raise LinkDown(self._link.why_not())

    @abstractmethod
    def _own_thread_connects(self) -> bool:
        """Whether this is our own thread, which may speak before the link counts as up."""

    def _note(self, error: DeviceError) -> None:
        """Count *error* once, however many nested turns it leaves."""
        if isinstance(error, LinkDown) or (self._noted is not None and self._noted() is error):
            return
        if isinstance(error, DeviceTimeout | DeviceLost | ProtocolMismatch):
            self._noted = weakref.ref(error)
            self._link.note_error(str(error))

    def _start_quietly(self) -> None:
        if self._thread is None and not self._closing.is_set():
            self._start(patient=False)

    def _start(self, *, patient: bool) -> None:
        with self._lock:
            if self._closing.is_set():
                raise LinkDown(self._link.why_not())
            if self._thread is not None:
                return
            self._patient = patient
            self._link.change("Connecting", "")
            self._thread = threading.Thread(target=self._run, name=f"link-{self.name}", daemon=True)
            self._thread.start()

    def _start_if_new(self) -> None:
        """Start at the first turn, and let such early turns wait for the first attempt."""
        if self._thread is None and not self._closing.is_set():
            self._start(patient=True)
        if not self._patient or self._link.state != "Connecting" or self._own_thread_connects():
            return
        s = self.settings
        with self._link.changed:
            self._link.changed.wait_for(
                lambda: self._link.state != "Connecting", s.connect_timeout_s + s.wait_s
            )

    def _run(self) -> None:
        s = self.settings
        backoff = Backoff(first_s=s.retry_first_s, longest_s=s.retry_longest_s)
        while not self._closing.is_set():
            if self._paused:
                self._stay_paused()
                backoff.reset()
                continue
            try:
                kept = self._connect()
            except MktlError as error:
                self._attempt_failed(error, backoff.next_delay_s())
            except Exception as error:  # a driver's on_connect with a mistake in it
                _log.exception("%s: connecting failed unexpectedly", self.label)
                self._attempt_failed(error, backoff.next_delay_s())
            else:
                begun = time.monotonic()
                self._attend(kept)
                if time.monotonic() - begun >= s.steady_s and self._was_of_use():
                    backoff.reset()
                delay_s = backoff.next_delay_s()
                if not self._paused:
                    self._link.plan(time.monotonic() + delay_s)
                    self._rest(delay_s)

    def _after_loss(self) -> str:
        """Say what happens next where the connection was lost."""
        if self._closing.is_set():
            return "the controller was closed"
        return PAUSED if self._paused else "connecting again"

    def _stay_paused(self) -> None:
        self._link.change("Paused", PAUSED)
        while self._paused and not self._closing.is_set():
            self._rest(None)

    def _attempt_failed(self, error: Exception, delay_s: float) -> None:
        if self._closing.is_set() or self._paused:
            return
        state: LinkState = "Wrong device" if isinstance(error, WrongDevice) else "Down"
        if self._noted is None or self._noted() is not error:
            self._link.note_error(f"{self.label}: {error}")
        self._link.change(state, str(error), next_try=time.monotonic() + delay_s)
        self._rest(delay_s)

    def _rest(self, delay_s: float | None) -> None:
        """Tell of changes, and wait for the next attempt, or for what makes it worth a try."""
        if self._closing.is_set():
            return
        self._link.deliver()
        self._poke.wait(delay_s)
        self._poke.clear()
