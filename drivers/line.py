"""A line: one connection with turns, kept up by a thread of its own.

The contract, in short: one turn at a time, the most urgent first; after anything doubtful the line
is put back in step before the next message; while it is down, turns fail at once.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator

from drivers.backoff import Backoff
from drivers.connection import Connection
from drivers.identity import IdentityCheck
from drivers.link import Link
from drivers.meter import Meter
from drivers.ports.base import Port
from drivers.settings import LineSettings
from drivers.turns import Turns
from mktl.controllers import ControllerStatus, LinkState, TurnKind
from mktl.errors import (
    DeviceError,
    DeviceLost,
    DeviceTimeout,
    LinkDown,
    MktlError,
    ProtocolMismatch,
    WrongDevice,
)

__all__ = ["Line"]

_log = logging.getLogger(__name__)
_JOIN_S = 1.0


class Line:
    """Exchanges of bytes with one device, from any number of threads."""

    def __init__(
        self,
        port: Port,
        settings: LineSettings | None = None,
        *,
        name: str = "line",
        on_connect: Callable[[], None] | None = None,
    ) -> None:
        """Note what to connect to; nothing is opened before :meth:`start` or the first turn.

        Args:
            port: Where to; a new one like it is made for each attempt.
            settings: Timing and framing.
            name: What error texts and logs call it.
            on_connect: Called in the line's own thread, in a turn, after the identity was found
                right and before the link counts as up; may exchange. If it raises, the attempt
                has failed.
        """
        self.name = name
        self.settings = settings or LineSettings()
        self._port = port
        self._on_connect = on_connect or (lambda: None)
        self._turns = Turns()
        self._meter = Meter()
        self._link = Link(lambda: self.label, self._meter)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._patient = False
        self._connection: Connection | None = None
        self._of_turn: Connection | None = None
        self._identity = IdentityCheck(self.settings)
        self._noted: weakref.ref[BaseException] | None = None

    @property
    def url(self) -> str:
        """Where it leads, in full."""
        return self._port.url

    @property
    def label(self) -> str:
        """Name and URL, as error texts show them."""
        return f"{self.name} at {self._port.url}"

    def start(self) -> None:
        """Begin connecting, in a thread of the line. Returns at once; again is harmless.

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
            connection, self._connection = self._connection, None
            thread = self._thread
        if connection is not None:
            connection.close()
        self._link.close()
        self._turns.wake()
        self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_S)

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

    def on_change(self, callback: Callable[[ControllerStatus], None]) -> None:
        """Have *callback* called from the line's thread after each change of state."""
        self._link.on_change(callback)

    def prioritised(self, kind: TurnKind) -> contextlib.AbstractContextManager[None]:
        """Return a context in which this thread's turns have the priority of *kind*.

        Without one they have that of a refresh.
        """
        return self._turns.prioritised(kind)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Keep the line for several exchanges; may be nested.

        The wait for the turn is bounded by ``wait_s`` and does not count into the deadline of an
        exchange. A ProtocolMismatch that leaves the context makes the line suspect.

        Raises:
            LinkDown: the link is not up, or goes down while waiting; nothing was sent.
            DeviceTimeout: the turn did not come in time; nothing was sent.
        """
        self._start_if_new()
        try:
            with self._turns.turn(wait_s=self.settings.wait_s, check=self._check) as outermost:
                if outermost:
                    self._of_turn = self._connection
                try:
                    yield
                except ProtocolMismatch as error:
                    self._doubt(str(error))
                    raise
        except DeviceError as error:
            self._note(error)
            raise

    def exchange(
        self, message: bytes, *, timeout_s: float | None = None, reply: bool = True
    ) -> bytes:
        """Send *message* in a turn and return the reply, without its terminator.

        Args:
            message: Complete with its terminator.
            timeout_s: One deadline for writing and for reading to the end of the reply; pacing
                and the wait for the turn come before it.
            reply: Whether one is due; without, the result is empty.

        Raises:
            LinkDown: the link is not up; nothing was sent.
            DeviceTimeout: no complete reply in time; the line is put back in step before anything
                else is sent.
            DeviceLost: the connection broke; the message may or may not have arrived.
            ProtocolMismatch: more than one reply came back, or one without an end.
        """
        timeout_s = self.settings.timeout_s if timeout_s is None else timeout_s
        with self.turn():
            connection, begin = self._make_ready(), time.monotonic()
            try:
                answer = connection.exchange(message, begin + timeout_s, reply=reply)
            except DeviceError as error:
                raise self._failure(connection, error, message, timeout_s) from error
            self._meter.exchanged(begin, time.monotonic(), connection.ready_at)
            return answer

    def reconnect(self, reason: str) -> None:
        """Give up the present connection and make a new one, with all that belongs to it."""
        connection = self._connection
        if connection is not None:
            self._lose(connection, reason)

    def _check(self) -> None:
        if self._link.state == "Up" or self._own_thread_connects():
            return
        raise LinkDown(self._link.why_not())

    def _own_thread_connects(self) -> bool:
        return self._connection is not None and threading.current_thread() is self._thread

    def _make_ready(self) -> Connection:
        """Return the connection of this turn: rested, empty and in step."""
        self._check()
        connection = self._of_turn
        if connection is None or connection is not self._connection:
            raise LinkDown(
                f"{self.label}: the connection was lost and made anew within this turn; "
                f"nothing more was sent"
            )
        try:
            connection.pause()
            stale = connection.discard()
        except DeviceLost as error:
            self._lose(connection, str(error))
            raise LinkDown(self._link.why_not()) from error
        if stale and not connection.suspect:
            connection.suspect = f"{stale[-40:]!r} came unasked"
        if connection.suspect:
            self._resynchronise(connection)
            connection.pause()
        return connection

    def _resynchronise(self, connection: Connection) -> None:
        why = connection.suspect
        try:
            told = self._identity.resynchronise(connection)
        except DeviceError as error:
            self._lose(connection, f"{why}; after that, {error}")
            raise LinkDown(self._link.why_not()) from error
        if told:
            _log.warning("%s: %s (%s)", self.label, told, why)
            self._link.note_error(f"{self.label}: {told} ({why})")

    def _failure(
        self, connection: Connection, error: DeviceError, message: bytes, timeout_s: float
    ) -> DeviceError:
        """Say what became of *message*, and see to what must happen next."""
        self._identity.unanswered(message)
        unknown = "it may or may not have been carried out"
        if isinstance(error, DeviceLost):
            self._lose(connection, str(error))
            after = "the controller was closed" if self._closing.is_set() else "connecting again"
            text = f"{self.label}: {error} while {message!r} was under way; {unknown}; {after}"
            return DeviceLost(text)
        self._wake.set()
        after = "the line is put back in step before anything else is sent"
        if isinstance(error, DeviceTimeout):
            return DeviceTimeout(
                f"{self.label}: no complete answer to {message!r} within {timeout_s:g} s: "
                f"{error}; {unknown}; {after}"
            )
        return ProtocolMismatch(f"{self.label}: asked {message!r}: {error}; {after}")

    def _doubt(self, reason: str) -> None:
        connection = self._of_turn
        if connection is not None:
            connection.suspect = connection.suspect or reason
            self._wake.set()

    def _note(self, error: DeviceError) -> None:
        """Count *error* once, however many nested turns it leaves."""
        if isinstance(error, LinkDown) or (self._noted is not None and self._noted() is error):
            return
        if isinstance(error, DeviceTimeout | DeviceLost | ProtocolMismatch):
            self._noted = weakref.ref(error)
            self._link.note_error(str(error))

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
            try:
                connection = self._connect()
            except MktlError as error:
                self._attempt_failed(error, backoff.next_delay_s())
            except Exception as error:  # a driver's on_connect with a mistake in it
                _log.exception("%s: connecting failed unexpectedly", self.label)
                self._attempt_failed(error, backoff.next_delay_s())
            else:
                begun = time.monotonic()
                self._attend(connection)
                if time.monotonic() - begun >= s.steady_s:
                    backoff.reset()
                delay_s = backoff.next_delay_s()
                self._link.plan(time.monotonic() + delay_s)
                self._rest(delay_s)

    def _connect(self) -> Connection:
        connection = Connection(self._port.renew(), self.settings, self._closing)
        with self._lock:
            if self._closing.is_set():
                raise LinkDown(self._link.why_not())
            self._connection = connection
        try:
            connection.open()
            with self.prioritised("set"), self.turn():
                connection.pause()
                connection.drain()
                who = self._identity.ask(connection)
                connection.thrown_away = b""
                self._on_connect()
            with self._lock:
                if self._connection is not connection:
                    raise LinkDown(self._link.why_not())
                self._link.change("Up", who)
        except BaseException:
            with self._lock:
                self._connection = None
            connection.close()
            raise
        return connection

    def _attempt_failed(self, error: Exception, delay_s: float) -> None:
        if self._closing.is_set():
            return
        state: LinkState = "Wrong device" if isinstance(error, WrongDevice) else "Down"
        if self._noted is None or self._noted() is not error:
            self._link.note_error(f"{self.label}: {error}")
        self._link.change(state, str(error), next_try=time.monotonic() + delay_s)
        self._rest(delay_s)

    def _rest(self, delay_s: float) -> None:
        """Tell of changes, and wait for the next attempt."""
        if self._closing.is_set():
            return
        self._link.deliver()
        self._closing.wait(delay_s)

    def _attend(self, connection: Connection) -> None:
        """Stay by *connection* until it is lost: tell of changes, put in step, probe when idle."""
        while True:
            self._wake.clear()
            if self._connection is not connection:
                return
            self._link.deliver()
            left_s = self._before_probe_s(connection)
            if connection.suspect or left_s <= 0:
                self._probe(connection)
            else:
                self._wake.wait(min(left_s, threading.TIMEOUT_MAX))

    def _before_probe_s(self, connection: Connection) -> float:
        if not self._identity.possible:
            return float("inf")
        return connection.used_at + self.settings.idle_probe_s - time.monotonic()

    def _probe(self, connection: Connection) -> None:
        """Make sure that the device still answers, in a turn of the lowest priority."""
        with contextlib.suppress(DeviceError), self.prioritised("poll"), self.turn():
            if self._of_turn is not connection:
                return
            if not connection.suspect and self._before_probe_s(connection) > 0:
                return
            if not connection.suspect:
                connection.suspect = f"nothing was said for {self.settings.idle_probe_s:g} s"
            self._resynchronise(connection)

    def _lose(self, connection: Connection, reason: str) -> None:
        """Give up *connection*: everybody who waits fails, and the thread connects again."""
        with self._lock:
            if self._connection is not connection:
                return
            self._connection = None
            if self._link.state == "Up":
                self._link.change("Down", reason, next_try=time.monotonic())
        connection.close()
        self._turns.wake()
        self._wake.set()
